//! From a name to a connection: resolve once, judge every address, connect to a judged one, prove who answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};
use wasmtime_wasi_http::Error;

use bailiwick_core::grant::{NetGrant, NetRequest};

use super::body::RequestBody;
use super::target::{Place, Target};
use super::{EgressSetupError, denied, fault, wanted};
use crate::ambient;
use crate::context::CallContext;
use crate::resolver::Resolver;

/// How long a name may take to resolve.
const DNS: Duration = Duration::from_secs(5);
/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried. All of them are judged.
const MOST_TRIED: usize = 8;
/// Largest head of an answer. Its most headers are hyper's default, 100.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// What every TLS connection has in common: TLS 1.2 or later, HTTP/1.1, certificates that lead to a public root or to
/// one the operator added. Only `danger_unverified_tls` skips the proof.
pub(super) fn tls(extra_ca_pem: &[Vec<u8>]) -> Result<TlsConnector, EgressSetupError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
    for (index, pem) in extra_ca_pem.iter().enumerate() {
        let bad = |reason: String| EgressSetupError::Authority { number: index + 1, reason };
        let mut any = false;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
            any = true;
        }
        if !any {
            return Err(bad("it holds no certificate".to_owned()));
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| EgressSetupError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// TLS with whoever answers, for services of which an operator said so.
pub(super) fn unverified_tls() -> Result<TlsConnector, EgressSetupError> {
    let provider = Arc::new(ring::default_provider());
    let anybody = Arc::new(Anybody(Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EgressSetupError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(anybody)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Takes every certificate. Who answers still has to have its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Where a request may connect to: every address of its host, if every one of them is allowed to a request that `grant`
/// lets through. One that is refused makes the whole answer suspect.
///
/// # Errors
/// The name does not resolve, or an address is refused, which is noted in the ledger.
pub(super) async fn addresses(
    resolver: &Resolver,
    call: &CallContext,
    (request, grant): (&NetRequest<'_>, &NetGrant),
    target: &Target,
) -> Result<Vec<SocketAddr>, Error> {
    let found = match &target.place {
        Place::Address(address) => vec![*address],
        Place::Name(name) => timeout(DNS, resolver.resolve(&call.plugin, name))
            .await
            .map_err(|_| Error::DnsTimeout)?
            .map_err(|_| Error::DnsError { rcode: None, info_code: None })?,
    };
    let mut checked: Vec<SocketAddr> = Vec::new();
    for address in found {
        let judged = call.effective.grants.net.decide_address(grant, request, address);
        judged.map_err(|denial| {
            denied(call, &denial);
            wanted(call, request, Some(address));
            Error::DestinationIpProhibited
        })?;
        let address = SocketAddr::new(address.to_canonical(), target.origin.port);
        if checked.len() < MOST_TRIED && !checked.contains(&address) {
            checked.push(address);
        }
    }
    if checked.is_empty() { Err(Error::DnsError { rcode: None, info_code: None }) } else { Ok(checked) }
}

/// An HTTP/1.1 connection. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: http1::SendRequest<RequestBody>,
    _driver: Driver,
}

/// The task that moves a connection's bytes.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Waits until a request can be sent.
    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        self.sender.ready().await
    }

    /// Whether the other side has closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: http::Request<RequestBody>,
    ) -> Result<http::Response<Incoming>, TrySendError<http::Request<RequestBody>>> {
        self.sender.try_send_request(request).await
    }
}

/// Connects to the first of the judged addresses that answers, within `patience` for all of them; a TLS handshake has
/// as long again.
///
/// # Errors
/// None answers, or the one that does cannot prove that it is `target`.
pub(super) async fn open(
    tls: &TlsConnector,
    target: &Target,
    addresses: &[SocketAddr],
    patience: Duration,
) -> Result<(Connection, SocketAddr), Error> {
    let (stream, address) = dial(addresses, patience).await?;
    if !target.is_secure() {
        return Ok((speak(stream).await?, address));
    }
    let name = match &target.place {
        Place::Address(address) => ServerName::IpAddress((*address).into()),
        Place::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?,
    };
    let stream = timeout(patience.min(HANDSHAKE), tls.connect(name, stream))
        .await
        .map_err(|_| Error::ConnectionTimeout)?
        .map_err(|error| fault::tls(&error))?;
    Ok((speak(stream).await?, address))
}

/// Tries the addresses in turn; each gets its share of the time that is left.
pub(super) async fn dial(addresses: &[SocketAddr], patience: Duration) -> Result<(TcpStream, SocketAddr), Error> {
    let ends = Instant::now() + patience;
    let mut last = Error::DestinationUnavailable;
    for (tried, address) in addresses.iter().enumerate() {
        let left = ends.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
        let connected: Result<io::Result<TcpStream>, _> =
            timeout_at(Instant::now() + share, ambient::connect(*address)).await;
        match connected {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => last = fault::connect(&error),
            Err(_) => last = Error::ConnectionTimeout,
        }
    }
    Err(last)
}

async fn speak<S>(stream: S) -> Result<Connection, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_header_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| fault::http(&error))?;
    let driver = tokio::spawn(async move {
        // Whoever waits for an answer is told of an error; without anybody waiting it means nothing.
        let _ = connection.await;
    });
    Ok(Connection { sender, _driver: Driver(driver) })
}
