//! A world for egress: servers on loopback that do as they are told, names that resolve as they are told, and calls
//! with exactly the rights a test gives them.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use bailiwick_core::call::CallId;
use bailiwick_core::config::{Effective, Place};
use bailiwick_core::grant::{
    AddressRange, Binding, Grants, Limits, NetGrant, NetGrants, Origin, Placement, SecretGrant, SecretSource, Section,
};
use bailiwick_core::name::{PluginName, SecretName, ToolName};

use crate::artifact::Artifacts;
use crate::channel::Channel;
use crate::context::{CallContext, Ledger};
use crate::deadline::Deadline;
use crate::egress::{Egress, send_for_guest};
use crate::resolver::{FixedNames, Resolver};
use crate::secrets::Secrets;
use crate::telemetry::Trail;

/// What a server does, in order, when it has read a request.
#[derive(Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    Close,
}

/// Sends this text.
pub(super) fn text(text: impl Into<String>) -> Step {
    Step::Send(text.into().into_bytes())
}

/// A plain answer with a body.
pub(super) fn ok(body: &str) -> Vec<Step> {
    vec![text(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))]
}

type Reply = Arc<dyn Fn(&str) -> Vec<Step> + Send + Sync>;

/// A server that counts who comes and keeps what they said.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(reply: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::run(None, Arc::new(reply)).await
    }

    pub(super) async fn start_tls(
        tls: ServerConfig,
        reply: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::run(Some(TlsAcceptor::from(Arc::new(tls))), Arc::new(reply)).await
    }

    #[expect(clippy::disallowed_methods, reason = "a test's own listener on loopback")]
    async fn run(tls: Option<TlsAcceptor>, reply: Reply) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, open, requests) = (Arc::default(), Arc::default(), Arc::default());
        let task = tokio::spawn(accept(
            listener,
            tls,
            reply,
            Arc::clone(&connections),
            Arc::clone(&open),
            Arc::clone(&requests),
        ));
        Self { address, connections, open, requests, task }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns when no connection is open.
    pub(super) async fn all_closed(&self) {
        let closed = async {
            while self.open.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), closed).await.expect("a connection stays open");
    }

    /// The requests so far, whole.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    reply: Reply,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::SeqCst);
        open.fetch_add(1, Ordering::SeqCst);
        let (tls, reply, open, requests) = (tls.clone(), Arc::clone(&reply), Arc::clone(&open), Arc::clone(&requests));
        tokio::spawn(async move {
            match tls {
                None => converse(stream, reply, requests).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        converse(stream, reply, requests).await;
                    }
                }
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: Reply, requests: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        requests.lock().unwrap().push(request.clone());
        for step in reply(&request) {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::Close => return,
            }
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let whole = match length {
                Some(length) => body.len() >= length,
                None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
            };
            if whole {
                return Some(text);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => read.extend_from_slice(&buffer[..n]),
        }
    }
}

/// A certificate authority of the test's own.
pub(super) struct Authority {
    pub(super) pem: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem().into_bytes();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A server's side of TLS, with a certificate for these names.
    pub(super) fn certify(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        server_config(certificate.der().clone(), &key)
    }
}

/// A server's side of TLS, with a certificate that nobody vouches for.
pub(super) fn self_signed(names: &[&str]) -> ServerConfig {
    let params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    let key = KeyPair::generate().unwrap();
    server_config(params.self_signed(&key).unwrap().der().clone(), &key)
}

fn server_config(certificate: rustls_pki_types::CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

/// What a call may do and finds.
pub(super) struct World {
    pub(super) plugin: &'static str,
    pub(super) net: Vec<String>,
    pub(super) ranges: Vec<&'static str>,
    pub(super) secrets: Vec<SecretGrant>,
    /// Secrets the plugin has but this tool does not.
    pub(super) withheld: Vec<SecretGrant>,
    pub(super) limits: Limits,
    pub(super) egress: Arc<Egress>,
}

impl World {
    pub(super) fn with(egress: Arc<Egress>, net: impl IntoIterator<Item = String>) -> Self {
        Self {
            plugin: "fetch",
            net: net.into_iter().collect(),
            ranges: vec!["127.0.0.0/8"],
            secrets: Vec::new(),
            withheld: Vec::new(),
            limits: Limits::DEFAULT,
            egress,
        }
    }

    /// A world without names, where these `net` lines are granted.
    pub(super) fn new(net: impl IntoIterator<Item = String>) -> Self {
        Self::with(egress(&names([]), &[]), net)
    }

    pub(super) fn call(&self) -> Arc<CallContext> {
        let lines = self.net.iter().enumerate();
        let net = lines.map(|(index, text)| NetGrant::parse(text, index + 1, Place::default()).unwrap()).collect();
        let ranges = self.ranges.iter().map(|range| AddressRange::parse(range).unwrap()).collect();
        let section = Section::new("plugins.fetch", "bailiwick.toml:1");
        let grants = Grants {
            net: NetGrants::new(net, ranges, false, section),
            secrets: self.secrets.clone(),
            table: "plugins.fetch".to_owned(),
            at: "bailiwick.toml:1".to_owned(),
            ..Grants::default()
        };
        let all: Vec<SecretGrant> = self.secrets.iter().chain(&self.withheld).cloned().collect();
        let effective = Effective { grants: grants.into(), limits: self.limits.clone(), ..Effective::default() };
        Arc::new(CallContext {
            id: CallId::new("test-1"),
            plugin: PluginName::parse(self.plugin).unwrap(),
            tool: ToolName::parse("web_fetch").unwrap(),
            deadline: Arc::new(Deadline::new(effective.limits.time)),
            effective: Arc::new(effective),
            config: Arc::new(BTreeMap::new()),
            secrets: Arc::new(Secrets::load(&all, "bailiwick.toml:1").unwrap()),
            egress: Arc::clone(&self.egress),
            artifacts: Arc::new(Artifacts::new("/does/not/exist".into())),
            channel: Channel::default(),
            door: None,
            trail: Trail::default(),
            ledger: Ledger::default(),
        })
    }
}

/// A table of names; each look-up takes the next list of addresses.
pub(super) fn names<const N: usize>(table: [(&str, &[&[&str]]); N]) -> Arc<FixedNames> {
    let addresses = |list: &[&str]| list.iter().map(|address| address.parse::<IpAddr>().unwrap()).collect::<Vec<_>>();
    let names: HashMap<String, Vec<Vec<IpAddr>>> = table
        .iter()
        .map(|(name, lists)| ((*name).to_owned(), lists.iter().map(|list| addresses(list)).collect()))
        .collect();
    Arc::new(FixedNames { names, ..FixedNames::default() })
}

pub(super) fn egress(names: &Arc<FixedNames>, extra_ca: &[Vec<u8>]) -> Arc<Egress> {
    Arc::new(Egress::new(Resolver::Fixed(Arc::clone(names)), extra_ca).unwrap())
}

/// A secret that is put into requests to `origin`.
pub(super) fn secret(name: &str, value: &str, origin: &str, placement: Placement) -> SecretGrant {
    SecretGrant {
        name: SecretName::parse(name).unwrap(),
        source: SecretSource::Command(vec!["printf".to_owned(), "%s".to_owned(), value.to_owned()]),
        binding: Some(Binding { origin: Origin::parse(origin).unwrap(), placement }),
        variable: None,
        reveal: false,
        place: Place::default(),
    }
}

pub(super) fn header(name: &str, format: &str) -> Placement {
    Placement::Header { name: name.to_owned(), format: format.to_owned() }
}

pub(super) fn get(url: &str) -> Request<WasiBody> {
    let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
    Request::get(url).body(nothing).unwrap()
}

pub(super) fn post(url: &str, body: &str) -> Request<WasiBody> {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes())).map_err(|never| match never {}).boxed_unsync();
    Request::post(url).body(body).unwrap()
}

/// Sends, with short timeouts so that no test waits long for a server that never answers.
pub(super) async fn send(call: &Arc<CallContext>, request: Request<WasiBody>) -> Result<Response<WasiBody>, Error> {
    let options = RequestOptions {
        connect_timeout: Some(Duration::from_secs(2)),
        first_byte_timeout: Some(Duration::from_secs(2)),
        between_bytes_timeout: Some(Duration::from_secs(2)),
    };
    send_for_guest(call, request, Some(options)).await
}

/// Sends and reads the whole answer.
pub(super) async fn fetch(call: &Arc<CallContext>, request: Request<WasiBody>) -> Result<String, Error> {
    let body = send(call, request).await?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// The codes in a call's ledger.
pub(super) fn codes(call: &CallContext) -> Vec<&'static str> {
    call.ledger.denials().iter().map(|failure| failure.code.as_str()).collect()
}
