//! Everything that leaves the host over HTTP leaves here. [`send_for_guest`] reads top to bottom: read the URL, judge
//! it, count it, resolve it once, judge every address, connect to a judged one, put in the secrets bound to this
//! origin, send, and pass the answer on under limits and without secrets.
//!
//! What it does not do: follow redirects (the guest asks again, and is judged again), use a proxy that the environment
//! names, accept a certificate that proves nothing (but where an operator wrote `danger_unverified_tls`), unpack bodies. It never logs a path, a query, a header or a body.

mod body;
mod connect;
mod fault;
mod head;
mod own;
mod pool;
pub(crate) mod proxy;
mod target;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::{Method, Request, Response, Uri, request};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;
use url::Url;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use bailiwick_core::grant::{NetDenial, NetGrant, NetRequest, Want, Witness};
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::trace::TraceContext;

use self::body::{RequestBody, ResponseBody};
use self::connect::Connection;
pub(crate) use self::fault::code;
pub use self::own::OwnError;
use self::pool::{Key, Lease, Pool};
use self::target::Target;
use crate::context::CallContext;
use crate::resolver::Resolver;

/// How long a connection may take to be made; a guest may ask for less.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the head of an answer may take, and how long its body may be silent, unless the guest says otherwise. The
/// call's deadline holds beside both.
const SILENCE: Duration = Duration::from_secs(30);

/// The way to the network. Shared by all calls; holds no right of its own.
pub struct Egress {
    resolver: Resolver,
    tls: TlsConnector,
    unverified_tls: TlsConnector,
    pool: Arc<Pool>,
}

/// Why egress cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EgressSetupError {
    /// A file of `extra_ca` is no good.
    #[error("certificate file {number} of `extra_ca` cannot be used: {reason}")]
    Authority {
        /// Its place in the list, counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl Egress {
    /// Egress with the public certificate authorities and those in `extra_ca_pem`.
    ///
    /// # Errors
    /// A text of `extra_ca_pem` that holds no certificate, or a broken one.
    pub fn new(resolver: Resolver, extra_ca_pem: &[Vec<u8>]) -> Result<Self, EgressSetupError> {
        let (tls, unverified_tls) = (connect::tls(extra_ca_pem)?, connect::unverified_tls()?);
        Ok(Self { resolver, tls, unverified_tls, pool: Arc::default() })
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("resolver", &self.resolver).finish_non_exhaustive()
    }
}

/// Reads a URL the way it is read when a guest sends it; nothing else may have a say in where it goes.
///
/// # Errors
/// The refusal a guest's request would get for it, unjudged.
pub fn read_url(uri: &Uri) -> Result<Url, Failure> {
    Target::read(uri).map(|target| target.url).map_err(|unreadable| Failure::new(unreadable.code, unreadable.reason))
}

/// Sends a guest's request, if the call's grants let it, and gives back the answer's head with its body to stream.
///
/// # Ambient authority
/// Resolves the host of the URL and connects to one of its addresses, after both were judged.
///
/// # Errors
/// In the guest's words. What the operator can change, a denial or a limit, is also noted in the call's ledger.
pub async fn send_for_guest(
    call: &Arc<CallContext>,
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<Response<WasiBody>, Error> {
    let started = Instant::now();
    let earlier = call.ledger.http_requests.fetch_add(1, Ordering::Relaxed);
    let (written, body) = request.into_parts();
    let (target, grant) = judged(call, &written.method, &written.uri)?;
    let asked = NetRequest { method: written.method.as_str(), url: &target.url };
    within_count(call, earlier)?;
    let slot = slot(call).await?;
    call.ledger.operation(format!("http {} {}", written.method, target.origin));
    let egress = &call.egress;
    let mut watch = call.trail.request(&call.plugin, &written.method, &target.origin);
    let answer = async {
        let addresses = connect::addresses(&egress.resolver, call, (&asked, grant), &target).await?;
        let exchange =
            Exchange { call, target: &target, addresses, patience: Patience::of(options), trace: watch.trace() };
        exchange.run(egress, &written, body, slot).await
    };
    let answer = answer.await.inspect_err(|error| call.ledger.note_trouble(fault::code(error)));
    match &answer {
        Ok(answer) => watch.answered(answer.status()),
        Err(error) => watch.failed(fault::code(error).as_str()),
    }
    let ms = started.elapsed().as_millis();
    let (call, plugin, origin) = (&call.id, &call.plugin, &target.origin);
    match &answer {
        Ok(answer) => tracing::debug!(%call, %plugin, %origin, status = answer.status().as_u16(), ms, "answered"),
        Err(error) => tracing::debug!(%call, %plugin, %origin, %error, ms, "not answered"),
    }
    answer
}

/// Where a request goes, and the grant that lets it through.
fn judged<'c>(call: &'c CallContext, method: &Method, uri: &Uri) -> Result<(Target, &'c NetGrant), Error> {
    let target = Target::read(uri).map_err(|unreadable| {
        call.ledger.deny(Failure::new(unreadable.code, unreadable.reason));
        if let Some(url) = &unreadable.url {
            wanted(call, &NetRequest { method: method.as_str(), url }, None);
        }
        unreadable.error
    })?;
    let request = NetRequest { method: method.as_str(), url: &target.url };
    let grant = call.effective.grants.net.decide(&request).map_err(|denial| {
        denied(call, &denial);
        wanted(call, &request, None);
        Error::HttpRequestDenied
    })?;
    Ok((target, grant))
}

/// Notes a denial with the line that would change it.
fn denied(call: &CallContext, denial: &NetDenial) {
    let code = Code::parse(denial.code()).unwrap_or(Code::DeniedNetHost);
    call.ledger.deny(Failure::new(code, denial.to_string()).with_fix(denial.fix()));
}

/// Notes what was asked for, with the address that a name led to if that is why it was refused.
fn wanted(call: &CallContext, request: &NetRequest<'_>, address: Option<IpAddr>) {
    call.ledger.want(Want::net(request, address, call.redactor()), Witness::Host);
}

fn within_count(call: &CallContext, earlier: u32) -> Result<(), Error> {
    let limit = call.effective.limits.http_requests;
    if earlier < limit {
        return Ok(());
    }
    fault::over_limit(
        call,
        "http_requests",
        format!("`{}` made more than {limit} HTTP requests in one call", call.tool),
    );
    Err(Error::ConnectionLimitReached)
}

/// Waits until the call has fewer requests open than it may have.
async fn slot(call: &CallContext) -> Result<OwnedSemaphorePermit, Error> {
    let limit = call.effective.limits.http_concurrent;
    let slots = call.ledger.http_slots.get_or_init(|| Arc::new(Semaphore::new(limit as usize)));
    tokio::select! {
        biased;
        slot = Arc::clone(slots).acquire_owned() => slot.map_err(|_| Error::ConnectionLimitReached),
        () = call.deadline.passed() => {
            let message = format!("`{}` had {limit} HTTP requests open and waited for another until its time was up", call.tool);
            fault::over_limit(call, "http_concurrent", message);
            Err(Error::ConnectionLimitReached)
        }
    }
}

/// How long the other side may take for what.
#[derive(Debug, Clone, Copy)]
struct Patience {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Patience {
    fn of(options: Option<RequestOptions>) -> Self {
        let connect = options.as_ref().and_then(|options| options.connect_timeout).unwrap_or(CONNECT);
        let first_byte = options.as_ref().and_then(|options| options.first_byte_timeout).unwrap_or(SILENCE);
        let between_bytes = options.as_ref().and_then(|options| options.between_bytes_timeout).unwrap_or(SILENCE);
        Self { connect: connect.min(CONNECT), first_byte, between_bytes }
    }
}

/// One request that was let through, to addresses that were let through.
struct Exchange<'c> {
    call: &'c Arc<CallContext>,
    target: &'c Target,
    addresses: Vec<SocketAddr>,
    patience: Patience,
    trace: Option<&'c TraceContext>,
}

impl Exchange<'_> {
    async fn run(
        &self,
        egress: &Egress,
        written: &request::Parts,
        body: WasiBody,
        slot: OwnedSemaphorePermit,
    ) -> Result<Response<WasiBody>, Error> {
        let known = body.size_hint().exact();
        let length = head::declared_length(&written.headers, known);
        if length.or(known).is_some_and(|length| length > self.call.effective.limits.http_request_body) {
            return Err(body::request_too_large(self.call));
        }
        let head = head::outgoing(self.call, self.target, &written.headers, length, self.trace)?;
        let body = RequestBody::new(body, self.call);
        let sent = body.over();
        let mut request = Request::new(body);
        *request.method_mut() = written.method.clone();
        *request.uri_mut() = Target::request_line(&head.url)?;
        *request.headers_mut() = head.headers;
        let (answer, connection, key) = self.send(egress, request).await?;
        let lease = Lease { connection, key, home: Arc::clone(&egress.pool), sent, _slot: slot };
        self.pass_on(answer, head.injected, lease)
    }

    /// Sends the request over a connection that waits, or else over a new one.
    async fn send(
        &self,
        egress: &Egress,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Connection, Key), Error> {
        let mut request = request;
        if let Some((mut connection, key)) = self.pooled(&egress.pool).await {
            let spare = spare(&request, self.call);
            match self.answer(&mut connection, request).await {
                Ok(answer) => return Ok((answer, connection, key)),
                // The other side had closed the connection. It cannot have seen a request that was not sent; one that
                // was sent is repeated only if twice is the same as once.
                Err(Unanswered { unsent: Some(unsent), .. }) => request = *unsent,
                Err(Unanswered { is_stale: true, error, .. }) => request = spare.ok_or(error)?,
                Err(unanswered) => return Err(unanswered.error),
            }
        }
        let tls = if self.is_verified() { &egress.tls } else { &egress.unverified_tls };
        let (mut connection, address) = connect::open(tls, self.target, &self.addresses, self.patience.connect).await?;
        let answer = self.answer(&mut connection, request).await.map_err(|unanswered| unanswered.error)?;
        Ok((answer, connection, self.key(address)))
    }

    async fn pooled(&self, pool: &Pool) -> Option<(Connection, Key)> {
        for address in &self.addresses {
            let key = self.key(*address);
            if let Some(connection) = pool.take(&key).await {
                return Some((connection, key));
            }
        }
        None
    }

    fn key(&self, address: SocketAddr) -> Key {
        let host = self.target.origin.host.clone();
        let (secure, verified) = (self.target.is_secure(), self.is_verified());
        Key { plugin: self.call.plugin.clone(), secure, verified, host, address }
    }

    /// Whether who answers has to prove who it is.
    fn is_verified(&self) -> bool {
        !self.call.effective.grants.net.unverified_tls()
    }

    async fn answer(
        &self,
        connection: &mut Connection,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Unanswered> {
        match tokio::time::timeout(self.patience.first_byte, connection.send(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(mut failed)) => {
                let unsent = failed.take_message().map(Box::new);
                let error = failed.error();
                let is_stale = error.is_canceled() || error.is_closed() || error.is_incomplete_message();
                let is_broken = matches!(fault::http(error), Error::ConnectionTerminated);
                Err(Unanswered { unsent, is_stale: is_stale || is_broken, error: fault::http(error) })
            }
            Err(_) => Err(Unanswered { unsent: None, is_stale: false, error: Error::HttpResponseTimeout }),
        }
    }

    fn pass_on(&self, answer: Response<Incoming>, injected: bool, lease: Lease) -> Result<Response<WasiBody>, Error> {
        let (parts, incoming) = answer.into_parts();
        let headers = head::incoming(self.call, self.target, injected, &parts)?;
        let body = ResponseBody::new(incoming, self.call, self.patience.between_bytes, lease);
        let mut response = Response::new(body.boxed_unsync());
        *response.status_mut() = parts.status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// A request that got no answer.
struct Unanswered {
    /// The request, if not a byte of it was sent.
    unsent: Option<Box<Request<RequestBody>>>,
    /// Whether the connection was closed before anything came back.
    is_stale: bool,
    error: Error,
}

/// The same request once more, if it has no body and sending it twice does no more than sending it once.
fn spare(request: &Request<RequestBody>, call: &Arc<CallContext>) -> Option<Request<RequestBody>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let nothing = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut again = Request::new(RequestBody::new(nothing, call));
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}
