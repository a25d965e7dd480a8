//! What every request has to be, whoever sends it: to a name of ours, from a page that may, of a size and a speed. And
//! what every answer carries.

use std::collections::HashSet;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

use bailiwick_core::trace::TraceContext;

use super::{Ends, Face, Gateway, Refusal};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken over from a caller.
const MAX_REQUEST_ID: usize = 64;
/// Headers of answers that pages of other origins may read.
const EXPOSED: &str = "Mcp-Session-Id, X-Request-ID, Retry-After, X-RateLimit-Remaining, WWW-Authenticate";
/// Headers that pages of other origins may send.
const ALLOWED: &str = "Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, \
    Mcp-Method, Mcp-Name, X-Request-ID, traceparent, tracestate";

/// What a request is called in the log and in its answer.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// What goes around a request: its id, and the headers of its answer.
pub(super) struct Frame {
    face: Face,
    id: Arc<str>,
}

impl Frame {
    /// Gives a request its id.
    pub(super) fn around(request: &mut Request) -> Self {
        let id = request_id(request.headers());
        request.extensions_mut().insert(RequestId(Arc::clone(&id)));
        Self { face: Face::of(request.uri().path()), id }
    }

    /// Finishes an answer; a crash on the way to it becomes an answer too.
    pub(super) async fn close(self, answer: impl Future<Output = Response>) -> Response {
        let Self { face, id } = self;
        let mut response = AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(request = %id, "a request crashed");
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error").response(face)
        });
        let headers = response.headers_mut();
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.extend(HeaderValue::from_str(&id).ok().map(|id| (REQUEST_ID, id)));
        response
    }
}

/// The caller's own id for the request if it is a plain word, else a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let plain = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(plain);
    given.map_or_else(new_id, Arc::from)
}

fn new_id() -> Arc<str> {
    let mut bits = [0; 6];
    // Without random bits there is no id to tell requests apart by, and nothing else depends on it.
    let _ = getrandom::fill(&mut bits);
    hex::encode(bits).into()
}

/// What trace a request says it is part of.
pub(crate) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    TraceContext::read(text("traceparent")?, text("tracestate"))
}

/// Refuses requests to a name that is not ours: a page whose name was made to point here (DNS rebinding) says its own.
pub(super) fn host(gateway: &Gateway, request: &Request) -> Result<(), Refusal> {
    let local = request.extensions().get::<Ends>().map(|ends| ends.local.ip());
    let names = meant(request).map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, why))?;
    match names.iter().find(|name| !is_ours(name, local, &gateway.settings.hosts)) {
        None => Ok(()),
        Some(name) => {
            tracing::warn!(host = %name, "refused: not a name of this server");
            let message = format!("this server does not answer to `{name}`; add it to `hosts` under `[gateway]`");
            Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, message))
        }
    }
}

/// The names a request is meant for: that of its `Host`, and that of its target if it has one.
fn meant(request: &Request) -> Result<HashSet<String>, &'static str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
            Some(host.ok_or("the `Host` header is not a name and a port")?)
        }
        (None, _) => None,
        (Some(_), Some(_)) => return Err("there is more than one `Host` header"),
    };
    let named: Vec<&Authority> = host.iter().chain(request.uri().authority()).collect();
    if named.is_empty() {
        return Err("there is no `Host` header");
    }
    if named.iter().any(|name| name.as_str().contains('@')) {
        return Err("the `Host` header is not a name and a port");
    }
    Ok(named.into_iter().map(name_of).collect())
}

/// Without the port, the brackets of an address, and the dot at the end of a name.
fn name_of(authority: &Authority) -> String {
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn is_ours(name: &str, local: Option<IpAddr>, configured: &[String]) -> bool {
    let address = name.parse::<IpAddr>().ok();
    name == "localhost"
        || address.is_some_and(|address| address.is_loopback() || local == Some(address.to_canonical()))
        || configured.iter().any(|own| own == name)
}

/// A page of a configured origin, which may read what is answered.
pub(super) struct Page {
    origin: HeaderValue,
    /// What a browser is answered that asks first whether the page may send a request.
    pub(super) preflight: Option<Response>,
}

/// Refuses pages of other origins, but for those that are configured. None: no page asks, or one of this server.
pub(super) fn page(gateway: &Gateway, request: &Request) -> Result<Option<Page>, Refusal> {
    let headers = request.headers();
    let origin = match single(headers, &header::ORIGIN) {
        Ok(None) => return Ok(None),
        Ok(Some(origin)) if is_own(origin, headers) => return Ok(None),
        Ok(Some(origin)) => origin.clone(),
        Err(()) => return Err(Refusal::new(StatusCode::FORBIDDEN, "there is more than one `Origin`")),
    };
    let configured = gateway.settings.origins.iter().any(|known| known.as_bytes() == origin.as_bytes());
    if !configured {
        tracing::warn!(?origin, "refused: a page of another origin");
        let message = "pages of this origin may not call this server; add it to `origins` under `[gateway]`";
        return Err(Refusal::new(StatusCode::FORBIDDEN, message));
    }
    let asks = request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    Ok(Some(Page { origin, preflight: asks.then(|| granted(headers)) }))
}

impl Page {
    /// Lets the page read an answer.
    pub(super) fn told(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        response
    }
}

/// Whether a page comes from this server itself, by the name that the request was sent to.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| host.is_some_and(|host| authority.eq_ignore_ascii_case(host)))
}

/// The answer to a browser that asks whether a page of a configured origin may send a request.
fn granted(headers: &HeaderMap) -> Response {
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|wanted| wanted.to_str().ok());
    // Arguments of tools can be headers too, by names we do not know.
    let arguments = wanted.unwrap_or_default().split(',').map(str::trim);
    let arguments = arguments.filter(|name| name.to_ascii_lowercase().starts_with("mcp-param-"));
    let allowed: Vec<&str> = std::iter::once(ALLOWED).chain(arguments).collect();
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
    if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// The only value of a header.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(()) } else { Ok(first) }
}

/// Takes in the request's body, as large and as slow as `[gateway]` allows: what comes after has it whole. A body has to
/// be JSON and say so: forms, which every page may send without asking, are refused.
pub(super) async fn body(gateway: &Gateway, request: Request) -> Result<Request, Refusal> {
    let (most, patience) = (gateway.settings.body, gateway.settings.body_time);
    let too_large = || {
        let message = format!("Request body too large (max {most} bytes)");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > most) {
        return Err(too_large());
    }
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        let message = "send the body as it is, without an encoding";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let limited = Limited::new(body, usize::try_from(most).unwrap_or(usize::MAX));
    let bytes = match timeout(patience, limited.collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => return Err(Refusal::new(StatusCode::BAD_REQUEST, "the body ended too early")),
        Err(_) => return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    };
    if !bytes.is_empty() && !is_json(&parts.headers) {
        let message = "the body has to be `application/json`, and `Content-Type` has to say so";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = single(headers, &header::CONTENT_TYPE).ok().flatten().and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, hosts: &[&str]) -> Request {
        let builder = hosts.iter().fold(Request::builder().uri(target), |builder, host| builder.header("host", *host));
        builder.body(Body::empty()).unwrap()
    }

    /// Whether a request is taken by a server at 10.0.0.7 that is also called `tools.example`.
    #[track_caller]
    fn check(target: &str, hosts: &[&str], expected: &str) {
        let local = Some("10.0.0.7".parse().unwrap());
        let seen = match meant(&request(target, hosts)) {
            Err(why) => why.to_owned(),
            Ok(names) if names.iter().all(|name| is_ours(name, local, &["tools.example".to_owned()])) => {
                "ours".to_owned()
            }
            Ok(_) => "not ours".to_owned(),
        };
        assert_eq!(seen, expected, "{target} {hosts:?}");
    }

    #[test]
    fn only_names_of_this_server_are_answered_to() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8080",
            "10.0.0.7:8080",
            "tools.example",
            "Tools.Example.:443",
        ] {
            check("/", &[host], "ours");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "10.0.0.8",
            "0.0.0.0",
            "tools.example.com",
            "2130706433",
        ] {
            check("/", &[host], "not ours");
        }
        check("http://evil.example/", &["localhost"], "not ours");
        check("http://localhost/", &["evil.example"], "not ours");
        check("http://localhost:1/", &["127.0.0.1"], "ours");
    }

    #[test]
    fn a_host_is_one_name() {
        let odd = "the `Host` header is not a name and a port";
        check("/", &[], "there is no `Host` header");
        check("/", &["localhost", "localhost"], "there is more than one `Host` header");
        check("/", &["localhost:80@evil.example"], odd);
        check("/", &["me@localhost"], odd);
        check("/", &["local host"], odd);
        check("/", &[""], odd);
        check("http://localhost/", &[], "ours");
    }

    #[test]
    fn an_id_is_taken_over_if_it_is_a_plain_word() {
        let given = |id: &str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(id).unwrap())]);
            request_id(&headers)
        };
        assert_eq!(&*given("job-7.a_B"), "job-7.a_B");
        for odd in ["", "a b", "a\"", &"a".repeat(65)] {
            let made = given(odd);
            assert!(made.len() == 12 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{odd:?} {made}");
        }
        assert_ne!(new_id(), new_id());
    }

    #[test]
    fn a_page_of_the_server_itself_is_known_by_the_name_it_was_sent_to() {
        let own = |origin: &'static str, host: &'static str| {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            is_own(&HeaderValue::from_static(origin), &headers)
        };
        assert!(own("http://localhost:8080", "localhost:8080") && own("https://Tools.example", "tools.example"));
        for other in ["http://localhost", "http://localhost:8081", "http://localhost.evil:8080", "null", "file://", ""]
        {
            assert!(!own(other, "localhost:8080"), "{other}");
        }
    }
}
