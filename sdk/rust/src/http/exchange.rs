//! One request and its response over `wasi:http`.

use std::time::Duration;

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, IoError, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme, http_error_code,
};
use wasip2::io::streams::{OutputStream, StreamError};

use super::hop::Hop;
use super::{Error, Headers, Response};

/// What `blocking-write-and-flush` takes at once, by its contract.
const MAX_WRITE: usize = 4096;

/// What one read asks for. Larger reads only make the host set more memory aside.
const MAX_READ: usize = 64 << 10;

/// A response whose body has not been read.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Headers,
    response: IncomingResponse,
}

/// Sends one request, without following what it answers.
pub(super) fn send(hop: &Hop, timeout: Option<Duration>) -> Result<Reply, Error> {
    let request = request(hop)?;
    let body = request.body().map_err(|()| broken("the request has no body"))?;
    let response = outgoing_handler::handle(request, Some(options(timeout)?)).map_err(|code| error(hop, code))?;
    let written = write(body, &hop.body);
    // A server may answer, or the host refuse, before the body is through: that says more than the broken stream.
    let response = wait(hop, &response)?;
    if response.status() < 300 {
        written.map_err(|code| code.map_or_else(|| broken("the body could not be sent"), |code| error(hop, code)))?;
    }
    let headers = response.headers().entries();
    let headers = headers.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()));
    Ok(Reply { status: response.status(), headers: headers.collect(), response })
}

impl Reply {
    /// Reads the body, up to `max_body` bytes of it.
    pub(super) fn read(self, hop: &Hop, max_body: usize, redirected: bool) -> Result<Response, Error> {
        let Self { status, headers, response } = self;
        let (body, truncated) = match hop.method.as_str() {
            "HEAD" => (Vec::new(), false),
            _ => read(hop, &response, max_body)?,
        };
        Ok(Response { status, headers, body, url: hop.url.to_string(), redirected, truncated })
    }
}

fn request(hop: &Hop) -> Result<OutgoingRequest, Error> {
    let fields = Fields::new();
    for (name, value) in hop.headers.iter() {
        fields
            .append(name, value.as_bytes())
            .map_err(|reason| Error::Protocol(format!("the header `{name}` cannot be sent: {reason}")))?;
    }
    if needs_length(hop) {
        fields
            .set("content-length", &[hop.body.len().to_string().into_bytes()])
            .map_err(|reason| Error::Protocol(format!("the header `content-length` cannot be sent: {reason}")))?;
    }
    let scheme = if hop.url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let path = &hop.url[url::Position::BeforePath..url::Position::AfterQuery];
    let invalid = |()| Error::InvalidUrl(format!("the host does not take `{}`", hop.url));
    let request = OutgoingRequest::new(fields);
    request
        .set_method(&method(&hop.method))
        .map_err(|()| Error::Protocol(format!("`{}` is not a method", hop.method)))?;
    request.set_scheme(Some(&scheme)).map_err(invalid)?;
    request.set_authority(Some(hop.url.authority())).map_err(invalid)?;
    request.set_path_with_query(Some(path)).map_err(invalid)?;
    Ok(request)
}

/// Servers refuse a `POST` that says nothing about its length, even where there is no body.
fn needs_length(hop: &Hop) -> bool {
    !hop.body.is_empty() || matches!(hop.method.as_str(), "POST" | "PUT" | "PATCH")
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn options(timeout: Option<Duration>) -> Result<RequestOptions, Error> {
    let options = RequestOptions::new();
    let nanoseconds = timeout.map(|timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
    options
        .set_connect_timeout(nanoseconds)
        .and_then(|()| options.set_first_byte_timeout(nanoseconds))
        .and_then(|()| options.set_between_bytes_timeout(nanoseconds))
        .map_err(|()| broken("the host does not take a timeout"))?;
    Ok(options)
}

/// Sends the body and ends it. Without an error code the stream just closed.
fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), Option<ErrorCode>> {
    // Nothing is written of an empty body: the host may have closed the stream already, and a write would fail.
    if !bytes.is_empty() {
        let stream = body.write().map_err(|()| None)?;
        let written = write_all(&stream, bytes);
        // The stream is a child of the body and has to go before it.
        drop(stream);
        written?;
    }
    OutgoingBody::finish(body, None).map_err(Some)
}

fn write_all(stream: &OutputStream, bytes: &[u8]) -> Result<(), Option<ErrorCode>> {
    for chunk in bytes.chunks(MAX_WRITE) {
        stream.blocking_write_and_flush(chunk).map_err(|error| error_code(&error))?;
    }
    Ok(())
}

fn wait(hop: &Hop, response: &FutureIncomingResponse) -> Result<IncomingResponse, Error> {
    response.subscribe().block();
    match response.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(code))) => Err(error(hop, code)),
        Some(Err(())) | None => Err(broken("there is no response")),
    }
}

fn read(hop: &Hop, response: &IncomingResponse, max_body: usize) -> Result<(Vec<u8>, bool), Error> {
    // Declared in this order so that the stream, a child of the body, is dropped first.
    let body: IncomingBody = response.consume().map_err(|()| broken("the response has no body"))?;
    let stream = body.stream().map_err(|()| broken("the response has no body"))?;
    let mut bytes = Vec::new();
    loop {
        // One byte more than wanted, to know whether there is more.
        let n_wanted = (max_body - bytes.len()).saturating_add(1).min(MAX_READ);
        match stream.blocking_read(n_wanted as u64) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok((bytes, false)),
            Err(StreamError::LastOperationFailed(reason)) => return Err(body_error(hop, &reason)),
        }
        if bytes.len() > max_body {
            bytes.truncate(max_body);
            return Ok((bytes, true));
        }
    }
}

fn error_code(error: &StreamError) -> Option<ErrorCode> {
    match error {
        StreamError::LastOperationFailed(error) => http_error_code(error),
        StreamError::Closed => None,
    }
}

/// Why a body ended early.
fn body_error(hop: &Hop, reason: &IoError) -> Error {
    if let Some(code) = http_error_code(reason) {
        return error(hop, code);
    }
    // Wasmtime (48 to 49) gives no code for what happens to a body, only its words, on the first line.
    let text = reason.to_debug_string();
    let words = text.lines().next().unwrap_or_default();
    if words.contains("timeout") {
        return Error::Timeout;
    }
    if words.contains("body size") {
        return Error::BodyTooLarge;
    }
    Error::Protocol(format!("the body broke off: {words}"))
}

fn broken(what: &str) -> Error {
    Error::Protocol(what.to_owned())
}

fn error(hop: &Hop, code: ErrorCode) -> Error {
    use ErrorCode as Code;
    match code {
        Code::HttpRequestDenied | Code::DestinationIpProhibited => {
            Error::Denied { method: hop.method.clone(), url: hop.url.to_string() }
        }
        Code::ConnectionTimeout
        | Code::ConnectionReadTimeout
        | Code::ConnectionWriteTimeout
        | Code::HttpResponseTimeout => Error::Timeout,
        Code::DnsTimeout => Error::Dns("no answer in time".to_owned()),
        Code::DnsError(detail) => Error::Dns(detail.rcode.unwrap_or_else(|| "no such name".to_owned())),
        Code::DestinationNotFound
        | Code::DestinationUnavailable
        | Code::DestinationIpUnroutable
        | Code::ConnectionRefused
        | Code::ConnectionTerminated
        | Code::ConnectionLimitReached => Error::Connect(words(&code)),
        Code::TlsProtocolError | Code::TlsCertificateError | Code::TlsAlertReceived(_) => Error::Tls(words(&code)),
        Code::HttpRequestUriInvalid | Code::HttpRequestUriTooLong => Error::InvalidUrl(words(&code)),
        Code::HttpRequestBodySize(_) | Code::HttpResponseBodySize(_) => Error::BodyTooLarge,
        Code::HttpRequestLengthRequired
        | Code::HttpRequestMethodInvalid
        | Code::HttpRequestHeaderSectionSize(_)
        | Code::HttpRequestHeaderSize(_)
        | Code::HttpRequestTrailerSectionSize(_)
        | Code::HttpRequestTrailerSize(_)
        | Code::HttpResponseIncomplete
        | Code::HttpResponseHeaderSectionSize(_)
        | Code::HttpResponseHeaderSize(_)
        | Code::HttpResponseTrailerSectionSize(_)
        | Code::HttpResponseTrailerSize(_)
        | Code::HttpResponseTransferCoding(_)
        | Code::HttpResponseContentCoding(_)
        | Code::HttpUpgradeFailed
        | Code::HttpProtocolError
        | Code::LoopDetected
        | Code::ConfigurationError
        | Code::InternalError(_) => Error::Protocol(words(&code)),
    }
}

/// `ErrorCode::ConnectionRefused` as `connection refused`, with what the host added to it.
fn words(code: &ErrorCode) -> String {
    if let ErrorCode::InternalError(Some(detail)) = code {
        return detail.clone();
    }
    let debug = format!("{code:?}");
    let name = debug.strip_prefix("ErrorCode::").unwrap_or(&debug);
    let (name, detail) = name.split_at(name.find('(').unwrap_or(name.len()));
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words + if detail == "(None)" { "" } else { detail }
}
