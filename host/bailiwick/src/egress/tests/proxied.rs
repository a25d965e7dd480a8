//! What a program asks for by way of the proxy, with a client that writes bytes: granted twins beside what is denied.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::support::*;
use crate::ambient;
use crate::context::CallContext;
use crate::egress::proxy;

/// A program with these grants; it keeps the codes of what it was refused.
struct Program {
    world: World,
    denied: Mutex<Vec<&'static str>>,
}

impl proxy::Program for Program {
    fn call(&self) -> Arc<CallContext> {
        self.world.call()
    }

    fn settle(&self, call: &CallContext) {
        self.denied.lock().unwrap().extend(call.ledger.denials().iter().map(|denial| denial.code.as_str()));
    }
}

struct Proxied {
    program: Arc<Program>,
    address: SocketAddr,
}

impl Proxied {
    async fn new(net: impl IntoIterator<Item = String>) -> Self {
        let program = Arc::new(Program { world: World::new(net), denied: Mutex::default() });
        let listener = ambient::listen_on_loopback().await.unwrap();
        let address = listener.local_addr().unwrap();
        let served: Arc<dyn proxy::Program> = Arc::<Program>::clone(&program);
        tokio::spawn(proxy::serve(listener, served));
        Self { program, address }
    }

    /// What comes back for this text.
    async fn said(&self, text: &str) -> String {
        self.pieces(&[text.as_bytes()]).await
    }

    /// The same for a text in pieces, of which each is an answer to what came before.
    async fn pieces(&self, pieces: &[&[u8]]) -> String {
        let mut stream = ambient::connect(self.address).await.unwrap();
        let mut got = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            stream.write_all(piece).await.unwrap();
            if index + 1 < pieces.len() {
                let mut buffer = [0; 4_096];
                let n_read = stream.read(&mut buffer).await.unwrap();
                got.extend_from_slice(&buffer[..n_read]);
            }
        }
        let rest = tokio::time::timeout(std::time::Duration::from_secs(5), stream.read_to_end(&mut got)).await;
        assert!(rest.is_ok(), "the connection stays open after {:?}", String::from_utf8_lossy(&got));
        String::from_utf8_lossy(&got).into_owned()
    }

    fn denied(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.program.denied.lock().unwrap())
    }
}

fn get(url: &str) -> String {
    format!("GET {url} HTTP/1.1\r\nhost: elsewhere.example\r\nconnection: close\r\nproxy-connection: close\r\n\r\n")
}

#[tokio::test]
async fn a_granted_page_is_had_and_another_path_port_or_method_is_not() {
    let server = Server::start(|_| ok("hello")).await;
    let port = server.port();
    let proxied = Proxied::new([format!("GET http://127.0.0.1:{port}/page")]).await;
    assert!(proxied.said(&get(&format!("http://127.0.0.1:{port}/page"))).await.ends_with("hello"));
    assert_eq!(server.requests().len(), 1);
    assert!(server.requests()[0].contains(&format!("host: 127.0.0.1:{port}")), "the host of the URL, and no other");
    assert!(proxied.denied().is_empty());

    let other = Server::start(|_| ok("other")).await;
    for (request, code) in [
        (get(&format!("http://127.0.0.1:{port}/other")), "denied.net.path"),
        (get(&format!("http://127.0.0.1:{}/page", other.port())), "denied.net.port"),
        (get("http://169.254.169.254/page"), "denied.net.host"),
        (get("http://example.com/page"), "denied.net.host"),
        (get(&format!("http://[::1]:{port}/page")), "denied.net.host"),
        (get(&format!("http://2130706433:{port}/page")), "denied.net.addr"),
        (get(&format!("http://127.0.0.1:{port}/page")).replace("GET", "POST"), "denied.net.method"),
    ] {
        let answer = proxied.said(&request).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains(code), "{request}: {answer}");
        assert_eq!(proxied.denied(), [code], "{request}");
    }
    assert_eq!((server.requests().len(), other.connections()), (1, 0));
}

#[tokio::test]
async fn a_tunnel_leads_to_hosts_that_are_granted_as_a_whole() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.certify(&["localhost"], |_| ()), |_| ok("secure")).await;
    let port = server.port();
    let granted = Proxied::new([format!("* https://127.0.0.1:{port}")]).await;
    let connect = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
    // Not TLS: the tunnel is there, and is closed.
    let answer = granted.pieces(&[connect.as_bytes(), b"GET / HTTP/1.1\r\n\r\n"]).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("secure"));
    // A record of TLS gets through to the server, which answers with one of its own.
    let answer = granted.pieces(&[connect.as_bytes(), &[0x16, 3, 1, 0, 4, 9, 0, 0, 0]]).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains('\u{15}'), "an alert comes back: {answer:?}");
    assert!(granted.denied().is_empty());

    for (net, code) in [
        (format!("GET https://127.0.0.1:{port}"), "denied.net.method"),
        ("* https://127.0.0.1:1".to_owned(), "denied.net.port"),
        ("* https://example.com".to_owned(), "denied.net.host"),
    ] {
        let proxied = Proxied::new([net.clone()]).await;
        let answer = proxied.said(&connect.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains(code), "{net}: {answer}");
        assert_eq!(proxied.denied(), [code]);
    }
}

#[tokio::test]
async fn plain_http_in_a_tunnel_is_judged_request_by_request() {
    let server = Server::start(|_| ok("hello")).await;
    let port = server.port();
    let proxied = Proxied::new([format!("GET http://127.0.0.1:{port}/page")]).await;
    let connect = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    let answer = proxied.pieces(&[connect.as_bytes(), ask("/page").as_bytes()]).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    let answer = proxied.pieces(&[connect.as_bytes(), ask("/other").as_bytes()]).await;
    assert!(answer.contains("HTTP/1.1 403") && answer.contains("denied.net.path"), "{answer}");
    assert_eq!(proxied.denied(), ["denied.net.path"]);
    let answer = proxied.pieces(&[connect.as_bytes(), &[0x16, 3, 1, 0, 4, 9, 0, 0, 0]]).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.matches("HTTP").count() == 1, "{answer}");
    assert_eq!(proxied.denied(), ["denied.net.scheme"], "TLS is something else than what was granted");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn what_is_no_request_to_a_proxy_is_told_so() {
    let proxied = Proxied::new([]).await;
    for (text, says) in [
        ("GET /page HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "whole URLs"),
        ("CONNECT example.com HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "a host and a port"),
    ] {
        let answer = proxied.said(text).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(says), "{answer}");
    }
}
