//! A server on a port of 127.0.0.1 that counts who comes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

use crate::ambient;

/// Largest head of a request.
const MAX_HEAD: usize = 16 << 10;

/// A server; it ends with this value.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) port: u16,
    connections: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    /// A server that says `hello`, gives back the head of a request for `/echo`, and sends whoever asks for `/redirect`
    /// on to `elsewhere`.
    pub(super) async fn start(elsewhere: String) -> io::Result<Self> {
        let listener = ambient::listen_on_loopback().await?;
        let port = listener.local_addr()?.port();
        let connections = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&connections);
        let serving = tokio::spawn(async move {
            // What is served ends with this task.
            let mut guests = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let elsewhere = elsewhere.clone();
                guests.spawn(async move {
                    // A guest that breaks off is not waited for.
                    let _ = serve(stream, &elsewhere).await;
                });
            }
        });
        Ok(Self { port, connections, serving })
    }

    /// How many connections were opened to it.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, elsewhere: &str) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let (status, header, body) = if head.starts_with("get /redirect ") {
        ("302 Found", format!("location: {elsewhere}\r\n"), String::new())
    } else if head.starts_with("get /echo ") {
        let token = head.lines().find(|line| line.starts_with("x-token: ")).unwrap_or("no token");
        ("200 OK", String::new(), token.to_owned())
    } else {
        ("200 OK", String::new(), "hello".to_owned())
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
