//! What went wrong, in the words a guest understands, and in the ledger where the operator can do something about it.

use std::error::Error as _;
use std::io;

use tokio_rustls::rustls;
use wasmtime_wasi_http::Error;

use bailiwick_core::outcome::{Code, Failure};

use crate::context::CallContext;

/// A TCP connection that was not made.
pub(super) fn connect(error: &io::Error) -> Error {
    use io::ErrorKind as Kind;
    let kind = error.kind();
    if kind == Kind::ConnectionRefused {
        Error::ConnectionRefused
    } else if kind == Kind::TimedOut {
        Error::ConnectionTimeout
    } else if matches!(kind, Kind::NetworkUnreachable | Kind::AddrNotAvailable) {
        Error::DestinationIpUnroutable
    } else if matches!(kind, Kind::ConnectionReset | Kind::ConnectionAborted) {
        Error::ConnectionTerminated
    } else {
        Error::DestinationUnavailable
    }
}

/// A TLS handshake that failed.
pub(super) fn tls(error: &io::Error) -> Error {
    let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) else {
        return Error::ConnectionTerminated;
    };
    if matches!(cause, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) {
        Error::TlsCertificateError
    } else if let rustls::Error::AlertReceived(alert) = cause {
        Error::TlsAlertReceived { alert_id: Some(u8::from(*alert)), alert_message: Some(format!("{alert:?}")) }
    } else {
        Error::TlsProtocolError
    }
}

/// A request that was not answered, or a body that broke off.
pub(super) fn http(error: &hyper::Error) -> Error {
    let own = error.source().and_then(|cause| cause.downcast_ref::<Error>());
    let io = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    if let Some(Error::HttpRequestBodySize(size)) = own {
        Error::HttpRequestBodySize(*size)
    } else if error.is_parse() && error.to_string().contains("too large") {
        // hyper has a question for this only in its server.
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_parse() || error.is_user() {
        Error::HttpProtocolError
    } else if error.is_timeout() {
        Error::HttpResponseTimeout
    } else if error.is_incomplete_message() || io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof) {
        Error::HttpResponseIncomplete
    } else {
        Error::ConnectionTerminated
    }
}

/// The code of a request that got no answer, or only a part of one.
pub(crate) fn code(error: &Error) -> Code {
    use Error as E;
    if matches!(
        error,
        E::ConnectionTimeout | E::ConnectionReadTimeout | E::ConnectionWriteTimeout | E::HttpResponseTimeout
    ) {
        Code::UpstreamTimeout
    } else if matches!(error, E::DnsTimeout | E::DnsError { .. }) {
        Code::UpstreamDns
    } else if matches!(
        error,
        E::DestinationNotFound
            | E::DestinationUnavailable
            | E::DestinationIpUnroutable
            | E::ConnectionRefused
            | E::ConnectionTerminated
    ) {
        Code::UpstreamConnect
    } else if matches!(error, E::TlsProtocolError | E::TlsCertificateError | E::TlsAlertReceived { .. }) {
        Code::UpstreamTls
    } else {
        Code::UpstreamProtocol
    }
}

/// Notes that a limit was reached, and which line raises it.
pub(super) fn over_limit(call: &CallContext, limit: &str, message: String) {
    let grants = &call.effective.grants;
    let fix = format!("raise `limits.{limit}` under `[{}]` ({})", grants.table, grants.at);
    call.ledger.deny(Failure::new(Code::LimitHttp, message).with_fix(fix));
}
