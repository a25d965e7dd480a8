//! The way out for programs: an HTTP proxy that is all the network they have. Every request is judged as a component's
//! is, by the same grants and on the same path; what is within TLS nobody sees, so there only host and port are judged.
//!
//! A client may tunnel plain HTTP too. What it sends within such a tunnel is read and judged, request by request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, WasiBody};

use bailiwick_core::grant::NetRequest;
use bailiwick_core::outcome::{Code, Failure};

use super::target::Target;
use super::{CONNECT, connect, fault, send_for_guest, wanted};
use crate::context::CallContext;

/// Connections of one program at once; more wait.
const AT_ONCE: usize = 64;
/// How long a program may take to say what it wants.
const HEAD: Duration = Duration::from_secs(10);
/// The first byte of TLS: a record of its handshake.
const HANDSHAKE: u8 = 0x16;

/// Whose requests they are. What is granted and noted is that of the call it gives.
pub(crate) trait Program: Send + Sync + 'static {
    /// The rights of one request, and where what it was refused is noted.
    fn call(&self) -> Arc<CallContext>;

    /// Takes note of what came of it.
    fn settle(&self, call: &CallContext);
}

/// Answers a program's connections until the listener fails or nobody waits for this any more.
pub(crate) async fn serve(listener: TcpListener, program: Arc<dyn Program>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = tokio::task::JoinSet::new();
    loop {
        while under_way.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { return };
        let program = Arc::clone(&program);
        under_way.spawn(async move {
            let _slot = slot;
            let answer = service_fn(move |request| {
                let program = Arc::clone(&program);
                async move { Ok::<_, Error>(proxied(&program, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_buf_size(connect::MAX_HEAD)
                .serve_connection(TokioIo::new(stream), answer)
                .with_upgrades();
            // A program that breaks off its own request needs no answer.
            let _ = connection.await;
        });
    }
}

async fn proxied(program: &Arc<dyn Program>, request: Request<Incoming>) -> Response<WasiBody> {
    if request.method() == Method::CONNECT { tunnelled(program, request).await } else { sent(program, request).await }
}

/// Sends one request on, if its program may send it.
async fn sent(program: &Arc<dyn Program>, request: Request<Incoming>) -> Response<WasiBody> {
    let call = program.call();
    let (mut parts, body) = request.into_parts();
    if parts.uri.scheme().is_none() {
        return told(StatusCode::BAD_REQUEST, "this is a proxy: it takes requests with whole URLs");
    }
    parts.headers.remove(http::header::HOST);
    let body: WasiBody = body.map_err(|_| Error::ConnectionTerminated).boxed_unsync();
    let answer = send_for_guest(&call, Request::from_parts(parts, body), None).await;
    program.settle(&call);
    match answer {
        Ok(answer) => answer,
        Err(error) => refused(&call, &error),
    }
}

/// What a program is told of a request that was not sent, or not answered.
fn refused(call: &CallContext, error: &Error) -> Response<WasiBody> {
    match call.ledger.denials().last() {
        Some(denial) => told(StatusCode::FORBIDDEN, &format!("{}: {denial}", denial.code)),
        None => told(StatusCode::BAD_GATEWAY, &format!("{}: {error}", fault::code(error))),
    }
}

fn told(status: StatusCode, text: &str) -> Response<WasiBody> {
    let body = Full::new(Bytes::from(format!("{text}\n"))).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let text = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, text);
    response
}

/// Opens a tunnel to a host and a port.
async fn tunnelled(program: &Arc<dyn Program>, request: Request<Incoming>) -> Response<WasiBody> {
    let Some(authority) = request.uri().authority().filter(|authority| authority.port_u16().is_some()).cloned() else {
        return told(StatusCode::BAD_REQUEST, "`CONNECT` takes a host and a port");
    };
    if speaks_plainly(&program.call(), &authority) {
        let program = Arc::clone(program);
        tokio::spawn(async move {
            let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
            // The program went away.
            let _ = either(program, authority, upgraded).await;
        });
        return Response::new(nothing());
    }
    let call = program.call();
    let opened = secure(&call, &authority).await;
    program.settle(&call);
    match opened {
        Ok(stream) => {
            tokio::spawn(async move {
                let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
                // The program or the server ended it.
                let _ = pumped(upgraded, stream).await;
            });
            Response::new(nothing())
        }
        Err(error) => refused(&call, &error),
    }
}

fn nothing() -> WasiBody {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Whether nothing but plain HTTP is granted at a host and port.
fn speaks_plainly(call: &CallContext, authority: &Authority) -> bool {
    let granted = |scheme: &str| {
        let url = url::Url::parse(&format!("{scheme}://{authority}/")).ok();
        let origin = url.as_ref().and_then(bailiwick_core::grant::Origin::of);
        origin.is_some_and(|origin| call.effective.grants.net.names(&origin))
    };
    granted("http") && !granted("https")
}

/// Connects to a host that is granted as a whole.
async fn secure(call: &Arc<CallContext>, authority: &Authority) -> Result<tokio::net::TcpStream, Error> {
    let uri = Uri::builder().scheme(Scheme::HTTPS).authority(authority.clone()).path_and_query("/").build();
    let uri = uri.map_err(|_| Error::HttpRequestUriInvalid)?;
    let target = Target::read(&uri).map_err(|unreadable| {
        call.ledger.deny(Failure::new(unreadable.code, unreadable.reason));
        unreadable.error
    })?;
    // Whatever a program asks for in there, nobody will see it: only a grant of all there is will do.
    let asked = NetRequest { method: Method::GET.as_str(), url: &target.url };
    let grant = call.effective.grants.net.decide(&asked).map_err(|denial| {
        let code = Code::parse(denial.code()).unwrap_or(Code::DeniedNetHost);
        let failure = Failure::new(code, denial.to_string().replacen("`GET ", "`CONNECT ", 1));
        call.ledger.deny(failure.with_fix(denial.fix().replace("\"GET ", "\"* ")));
        wanted(call, &asked, None);
        Error::HttpRequestDenied
    })?;
    if !grant.holds_in_a_tunnel() {
        let message =
            format!("`{}` cannot be held: nobody sees methods and paths within a program's TLS", grant.text());
        let failure = Failure::new(Code::DeniedNetMethod, message);
        let grants = &call.effective.grants;
        let fix = format!(
            "to allow the whole host, write `{}` under `[{}]` ({})",
            grant.whole_host(),
            grants.table,
            grants.at
        );
        call.ledger.deny(failure.with_fix(fix));
        return Err(Error::HttpRequestDenied);
    }
    call.ledger.operation(format!("tunnel {}", target.origin));
    let found = connect::addresses(&call.egress.resolver, call, (&asked, grant), &target).await;
    let addresses = found.inspect_err(|error| call.ledger.note_trouble(fault::code(error)))?;
    let (stream, _) = connect::dial(&addresses, CONNECT).await?;
    Ok(stream)
}

/// Carries bytes both ways, if what the program says first is TLS.
async fn pumped(upgraded: Upgraded, mut server: tokio::net::TcpStream) -> io::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut program = TokioIo::new(upgraded);
    let mut first = [0; 1];
    let n_read = tokio::time::timeout(HEAD, program.read(&mut first)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    if n_read == 0 || first[0] != HANDSHAKE {
        tracing::warn!("a program sent something else than TLS into a tunnel for it; the tunnel is closed");
        return Ok(());
    }
    server.write_all(&first).await?;
    tokio::io::copy_bidirectional(&mut program, &mut server).await.map(|_| ())
}

/// Looks at what a program says first in a tunnel where plain HTTP is granted: TLS is judged as what it is.
async fn either(program: Arc<dyn Program>, authority: Authority, upgraded: Upgraded) -> io::Result<()> {
    use tokio::io::AsyncReadExt as _;
    let mut stream = TokioIo::new(upgraded);
    let mut first = [0; 1];
    let n_read = tokio::time::timeout(HEAD, stream.read(&mut first)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    if n_read == 0 {
        return Ok(());
    }
    if first[0] == HANDSHAKE {
        let call = program.call();
        // It is not granted, and that is noted.
        let _ = secure(&call, &authority).await;
        program.settle(&call);
        return Ok(());
    }
    let (reader, writer) = tokio::io::split(stream);
    plain(program, authority, tokio::io::join(io::Cursor::new(first).chain(reader), writer)).await;
    Ok(())
}

/// Reads plain HTTP within a tunnel; each request is judged.
async fn plain<S>(program: Arc<dyn Program>, authority: Authority, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request: Request<Incoming>| {
        let (program, authority) = (Arc::clone(&program), authority.clone());
        async move {
            let (mut parts, body) = request.into_parts();
            let path = parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
            let uri = Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build();
            let Ok(uri) = uri else {
                return Ok::<_, Error>(told(StatusCode::BAD_REQUEST, "its URL cannot be read"));
            };
            parts.uri = uri;
            Ok(sent(&program, Request::from_parts(parts, body)).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(connect::MAX_HEAD)
        .serve_connection(TokioIo::new(stream), answer);
    // A program that breaks off its own request needs no answer.
    let _ = connection.await;
}
