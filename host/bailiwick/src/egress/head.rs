//! The head of a request, with the operator's secrets put in, and the head of its answer, with them taken out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName,
    HeaderValue, IF_RANGE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::response;
use url::{Url, form_urlencoded};
use wasmtime_wasi_http::Error;
use zeroize::Zeroizing;

use bailiwick_core::grant::Placement;
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::redact::Redactor;
use bailiwick_core::trace::TraceContext;

use super::target::Target;
use crate::context::CallContext;
use crate::secrets::Injection;

/// Headers between two neighbours: they frame the message or speak to a proxy, and are the host's own business.
const HOP_BY_HOP: [HeaderName; 11] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// A request's head as it goes out.
pub(super) struct Head {
    /// With secrets bound to the query in it; never shown.
    pub(super) url: Url,
    /// With secrets bound to headers in it, those marked sensitive.
    pub(super) headers: HeaderMap,
    /// Whether a secret is in it.
    pub(super) injected: bool,
}

/// Makes the head that goes out of the one a guest wrote. `length` is the body's, where that is known.
///
/// # Errors
/// A secret that cannot stand in a header, which loading it has ruled out.
pub(super) fn outgoing(
    call: &CallContext,
    target: &Target,
    written: &HeaderMap,
    length: Option<u64>,
    trace: Option<&TraceContext>,
) -> Result<Head, Error> {
    let mut headers = HeaderMap::with_capacity(written.len() + 2);
    headers.insert(HOST, HeaderValue::from_str(target.host_header()).map_err(|_| Error::HttpRequestUriInvalid)?);
    let named = named_by_connection(written);
    for (name, value) in written {
        if !is_hop_by_hop(name) && !named.contains(name) && !matches!(*name, HOST | CONTENT_LENGTH) {
            headers.append(name, value.clone());
        }
    }
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    if let Some(trace) = trace {
        set_trace(&mut headers, trace);
    }
    let mut head = Head { url: target.url.clone(), headers, injected: false };
    for injection in call.secrets.for_origin(&target.origin, &call.effective.grants.secrets) {
        inject(&mut head, &injection)?;
        call.ledger.operation(format!("secret use {}", injection.name));
    }
    if head.injected {
        // The answer may repeat the secret: packed or in parts it could not be found and masked.
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        head.headers.remove(RANGE);
        head.headers.remove(IF_RANGE);
    }
    Ok(head)
}

/// Says what trace the request is part of. Whatever the guest says of that is gone: it cannot put its requests into
/// another's trace. Where the host knows of no trace, a guest's own headers are headers like others.
fn set_trace(headers: &mut HeaderMap, trace: &TraceContext) {
    let (parent, state) = (HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate"));
    headers.remove(&state);
    if let Ok(value) = HeaderValue::from_str(&trace.to_string()) {
        headers.insert(parent, value);
    }
    if let Some(value) = trace.state.as_deref().and_then(|state| HeaderValue::from_str(state).ok()) {
        headers.insert(state, value);
    }
}

/// The content length a guest gave, if it is one number and does not contradict the body.
pub(super) fn declared_length(written: &HeaderMap, known: Option<u64>) -> Option<u64> {
    let mut values = written.get_all(CONTENT_LENGTH).iter();
    let (value, more) = (values.next()?.to_str().ok()?, values.next());
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let length = value.parse().ok().filter(|_| digits && more.is_none())?;
    known.is_none_or(|known| known == length).then_some(length)
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name) || name.as_str().starts_with("proxy-")
}

/// The headers that `connection` says are for the neighbour only.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// Puts one secret in its place. Whatever the guest wrote there is gone.
fn inject(head: &mut Head, injection: &Injection<'_>) -> Result<(), Error> {
    match injection.placement {
        Placement::Header { name, format } => {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::ConfigurationError)?;
            set_secret(head, name, &Zeroizing::new(format.replace("{}", injection.value)))?;
        }
        Placement::Basic { user } => {
            let pair = Zeroizing::new(format!("{user}:{}", injection.value));
            let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
            set_secret(head, AUTHORIZATION, &basic)?;
        }
        Placement::Query { key } => {
            let query = with_parameter(head.url.query().unwrap_or_default(), key, injection.value);
            head.url.set_query(Some(&query));
        }
    }
    head.injected = true;
    Ok(())
}

fn set_secret(head: &mut Head, name: HeaderName, text: &str) -> Result<(), Error> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| Error::ConfigurationError)?;
    value.set_sensitive(true);
    head.headers.insert(name, value);
    Ok(())
}

/// The query with `key` set to `value` and to nothing else: the guest's `KEY`, `%6bey` and `key[]` are left out. The
/// rest keeps its bytes, because a guest may have signed them.
fn with_parameter(query: &str, key: &str, value: &str) -> Zeroizing<String> {
    let folded = key.to_lowercase();
    let is_other = |piece: &&str| {
        let written = form_urlencoded::parse(piece.as_bytes()).next();
        let name = written.map_or(String::new(), |(name, _)| name.to_lowercase());
        let stem = name.split(['[', '\0']).next().unwrap_or_default();
        !piece.is_empty() && stem.trim() != folded
    };
    let mut out = Zeroizing::new(String::with_capacity(query.len() + key.len() + 3 * value.len() + 2));
    for piece in query.split('&').filter(is_other) {
        out.push_str(piece);
        out.push('&');
    }
    out.extend(form_urlencoded::byte_serialize(key.as_bytes()));
    out.push('=');
    out.push_str(&Zeroizing::new(percent(value)));
    out
}

/// Every byte but letters and digits as `%XX`: the form the redactor looks for when a server repeats its URL.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Judges the head of an answer and makes the one the guest sees: no secrets, nothing that was for the host alone.
///
/// # Errors
/// An answer that switches protocols, is framed in a way the host cannot vouch for, or is packed although it may
/// repeat a secret.
pub(super) fn incoming(
    call: &CallContext,
    target: &Target,
    injected: bool,
    answer: &response::Parts,
) -> Result<HeaderMap, Error> {
    if answer.status.is_informational() {
        return Err(Error::HttpUpgradeFailed);
    }
    let says = |name: HeaderName, only: &'static str| {
        answer.headers.get_all(name).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(only.as_bytes()))
    };
    if !says(TRANSFER_ENCODING, "chunked") {
        return Err(Error::HttpResponseTransferCoding(None));
    }
    if injected && !says(CONTENT_ENCODING, "identity") {
        let message = format!(
            "{} packed its answer although it was asked not to, so that the secret sent to it could not be masked",
            target.origin
        );
        call.ledger.deny(Failure::new(Code::UpstreamProtocol, message));
        return Err(Error::HttpProtocolError);
    }
    let mut headers = redacted(call.redactor(), &answer.headers);
    for name in named_by_connection(&answer.headers).iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    Ok(headers)
}

/// The headers without secrets. A header whose name holds one is left out.
pub(super) fn redacted(redactor: &Redactor, headers: &HeaderMap) -> HeaderMap {
    if redactor.is_empty() {
        return headers.clone();
    }
    let mut clean = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let mut named = name.as_str().as_bytes().to_vec();
        if !redactor.mask(&mut named) {
            clean.append(name, redacted_value(redactor, value));
        }
    }
    clean
}

fn redacted_value(redactor: &Redactor, value: &HeaderValue) -> HeaderValue {
    let shown = std::str::from_utf8(value.as_bytes()).map(|text| redactor.secrets(text));
    if let Ok(std::borrow::Cow::Borrowed(_)) = shown {
        return value.clone();
    }
    let mut masked = value.as_bytes().to_vec();
    redactor.mask(&mut masked);
    let named = shown.ok().and_then(|text| HeaderValue::from_str(&text).ok());
    named.or_else(|| HeaderValue::from_bytes(&masked).ok()).unwrap_or_else(|| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_parameter_wins_and_the_others_keep_their_bytes() {
        for (query, expected) in [
            ("", "key=s%2Dcret"),
            ("a=%41&b=x+y", "a=%41&b=x+y&key=s%2Dcret"),
            ("key=mine", "key=s%2Dcret"),
            ("KEY=mine&key=mine&a=1&Key=x", "a=1&key=s%2Dcret"),
            ("%6bey=mine", "key=s%2Dcret"),
            ("key[]=mine&key%5B0%5D=mine&keys=2", "keys=2&key=s%2Dcret"),
            ("&&a", "a&key=s%2Dcret"),
            ("+key=mine&key+=mine", "key=s%2Dcret"),
        ] {
            assert_eq!(*with_parameter(query, "key", "s-cret"), expected, "{query}");
        }
    }

    #[test]
    fn only_one_number_is_a_content_length() {
        let length = |values: &[&str], known| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_LENGTH, value.parse().unwrap());
            }
            declared_length(&headers, known)
        };
        assert_eq!(length(&["5"], None), Some(5));
        assert_eq!(length(&["5"], Some(5)), Some(5));
        assert_eq!(length(&["5"], Some(6)), None);
        assert_eq!(length(&[], Some(6)), None);
        for values in [&["5", "5"][..], &["+5"], &["5, 5"], &[""], &["-1"], &["99999999999999999999"]] {
            assert_eq!(length(values, None), None, "{values:?}");
        }
    }
}
