//! One HTTP request exactly as it is written: no URL parser has a say in it.

use bailiwick_sdk::Failure;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::StreamError;

/// The four parts of a request that say where it goes.
pub struct Written<'a> {
    /// `GET`, `get`, whatever.
    pub method: &'a str,
    /// `http`, `https` or something else.
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// Path and query.
    pub path: &'a str,
}

/// An answer.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Sends it; the connection stays open as long as the future lives.
///
/// # Errors
/// What WASI does not take is `arguments.invalid`; what the host refuses is `denied`; the rest is `upstream`.
pub fn start(written: &Written<'_>) -> Result<FutureIncomingResponse, Failure> {
    let unfit = |what: &str| Failure::invalid(format!("WASI does not take this {what}"));
    let request = OutgoingRequest::new(Fields::new());
    let method = match written.method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        "TRACE" => Method::Trace,
        other => Method::Other(other.to_owned()),
    };
    let scheme = match written.scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(|()| unfit("method"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| unfit("scheme"))?;
    request.set_authority(Some(written.authority)).map_err(|()| unfit("authority"))?;
    request.set_path_with_query(Some(written.path)).map_err(|()| unfit("path"))?;
    let body = request.body().map_err(|()| unfit("body"))?;
    let answer = outgoing_handler::handle(request, None).map_err(|code| failure(written, &code))?;
    OutgoingBody::finish(body, None).map_err(|code| failure(written, &code))?;
    Ok(answer)
}

/// Sends it and reads the whole answer.
///
/// # Errors
/// As [`start`].
pub fn send(written: &Written<'_>) -> Result<Answer, Failure> {
    let answer = start(written)?;
    answer.subscribe().block();
    let response = match answer.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(failure(written, &code)),
        Some(Err(())) | None => return Err(Failure::failed("there is no answer")),
    };
    let status = response.status();
    let body = response.consume().map_err(|()| Failure::failed("there is no body"))?;
    Ok(Answer { status, body: read(&body)? })
}

fn read(body: &IncomingBody) -> Result<Vec<u8>, Failure> {
    let stream = body.stream().map_err(|()| Failure::failed("there is no body"))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => return Err(Failure::failed(error.to_debug_string())),
        }
    }
}

fn failure(written: &Written<'_>, code: &ErrorCode) -> Failure {
    let refused = matches!(
        code,
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited | ErrorCode::HttpRequestUriInvalid
    );
    if refused {
        return Failure::denied_request(
            written.method,
            format!("{}://{}{}", written.scheme, written.authority, written.path),
        );
    }
    Failure::upstream(format!("{code:?}"), None)
}
