//! Small real servers on ports of their own, which count who comes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    /// One piece is sent with its length, more are sent as chunks.
    pieces: Vec<Vec<u8>>,
    /// Bytes instead of all that.
    raw: Option<Vec<u8>>,
    /// Nothing, for ever.
    silent: bool,
}

impl Reply {
    /// 200 with a body.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200, body)
    }

    /// Any status with a body.
    pub(crate) fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), pieces: vec![body.into()], raw: None, silent: false }
    }

    /// A redirect.
    pub(crate) fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::status(status, "").header("location", location)
    }

    /// 200 with a body in chunks.
    pub(crate) fn chunks(pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut reply = Self::ok("");
        reply.pieces = pieces.into_iter().collect();
        reply
    }

    /// Exactly these bytes.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw: Some(bytes.into()), ..Self::ok("") }
    }

    /// No answer, and the connection stays open.
    pub(crate) fn silence() -> Self {
        Self { silent: true, ..Self::ok("") }
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

type Answer = dyn Fn(&Received) -> Reply + Send + Sync;

/// A server; it ends with this value.
pub(crate) struct Upstream {
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<Received>>>,
    /// The certificate to trust, if it speaks TLS.
    pub(crate) authority: Option<String>,
    serving: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Upstream {
    /// A server that answers as the function says.
    pub(crate) async fn new(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1:0", None, answer).await
    }

    /// The same at a port that nobody has.
    pub(crate) async fn at(port: u16, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(&format!("127.0.0.1:{port}"), None, answer).await
    }

    /// A server that says `hello` to everything.
    pub(crate) async fn hello() -> Self {
        Self::new(|_| Reply::ok("hello")).await
    }

    /// A server that speaks TLS under these names, with a certificate of its own making.
    pub(crate) async fn secure(names: &[&str], answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("there are protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("the certificate fits its key");
        let mut upstream = Self::on("127.0.0.1:0", Some(TlsAcceptor::from(Arc::new(config))), answer).await;
        upstream.authority = Some(made.cert.pem());
        upstream
    }

    async fn on(
        address: &str,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (connections, received) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<Received>>>::default());
        let (counted, noted) = (Arc::clone(&connections), Arc::clone(&received));
        let answer: Arc<Answer> = Arc::new(answer);
        let serving = tokio::spawn(async move {
            // What is served ends with this task.
            let mut guests = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                guests.spawn(connection(stream, tls.clone(), Arc::clone(&noted), Arc::clone(&answer)));
            }
        });
        Self { port, connections, received, authority: None, serving }
    }

    /// How many connections were opened to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// All requests, in order.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its URL by its address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Its URL by a name.
    pub(crate) fn named(&self, name: &str, path: &str) -> String {
        format!("http://{name}:{}{path}", self.port)
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    received: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Answer>,
) {
    match tls {
        None => serve(stream, &received, &answer).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, &received, &answer).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, received: &Mutex<Vec<Received>>, answer: &Arc<Answer>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = request(&mut stream).await {
        let reply = answer(&request);
        let head_only = request.method == "HEAD";
        received.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        if reply.silent {
            std::future::pending::<()>().await;
        }
        if send(&mut stream, &reply, head_only).await.is_err() || reply.raw.is_some() {
            return;
        }
    }
}

async fn request(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<Received> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut received = Received { method, target, headers, body: Vec::new() };
    let length = received.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    received.body = vec![0; length];
    stream.read_exact(&mut received.body).await.ok()?;
    if received.header("transfer-encoding") == Some("chunked") {
        received.body = chunked(stream).await?;
    }
    Some(received)
}

async fn chunked(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        stream.read_line(&mut size).await.ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let start = body.len();
        body.resize(start + size + 2, 0);
        stream.read_exact(&mut body[start..]).await.ok()?;
        body.truncate(start + size);
        if size == 0 {
            return Some(body);
        }
    }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), reply: &Reply, head_only: bool) -> std::io::Result<()> {
    if let Some(raw) = &reply.raw {
        stream.write_all(raw).await?;
        return stream.flush().await;
    }
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match reply.pieces.as_slice() {
        [body] => {
            head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
            stream.write_all(head.as_bytes()).await?;
            if !head_only {
                stream.write_all(body).await?;
            }
        }
        pieces => {
            stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).await?;
            for piece in pieces {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
                stream.write_all(piece).await?;
                stream.write_all(b"\r\n").await?;
                // Each chunk in a packet of its own, as far as the system lets it.
                stream.flush().await?;
                tokio::task::yield_now().await;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        }
    }
    stream.flush().await
}
