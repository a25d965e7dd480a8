//! Why there is no response.

use std::fmt;

use crate::Failure;

/// Why a request got no response.
///
/// As a [`Failure`], `Denied` is `denied.*`, for which the host names the line of the configuration that would allow it;
/// all the others are `upstream.*`.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The host refused the request: no grant covers it.
    Denied {
        /// The method of the refused hop.
        method: String,
        /// The URL of the refused hop.
        url: String,
    },
    /// Connecting, or waiting for bytes, took too long.
    Timeout,
    /// The name could not be resolved.
    Dns(String),
    /// No connection, or it broke.
    Connect(String),
    /// TLS could not be agreed on, or the certificate is not trusted.
    Tls(String),
    /// More redirects than [`Request::redirects`](super::Request::redirects) allows.
    TooManyRedirects,
    /// A body is larger than the host takes, or larger than [`Request::max_body`](super::Request::max_body) where all of
    /// it is needed.
    BodyTooLarge,
    /// What came is not HTTP, or not what was announced.
    Protocol(String),
    /// The URL cannot be requested.
    InvalidUrl(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { method, url } => write!(f, "the host does not allow {method} {url}"),
            Self::Timeout => f.write_str("the server took too long"),
            Self::Dns(reason) => write!(f, "the name could not be resolved: {reason}"),
            Self::Connect(reason) => write!(f, "no connection to the server: {reason}"),
            Self::Tls(reason) => write!(f, "no trusted connection to the server: {reason}"),
            Self::TooManyRedirects => f.write_str("the server redirects too often"),
            Self::BodyTooLarge => f.write_str("the body is too large"),
            Self::Protocol(reason) => write!(f, "the exchange with the server failed: {reason}"),
            Self::InvalidUrl(reason) => write!(f, "the URL cannot be requested: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied { method, url } => Self::denied_request(method, url),
            Error::InvalidUrl(_)
            | Error::Timeout
            | Error::Dns(_)
            | Error::Connect(_)
            | Error::Tls(_)
            | Error::TooManyRedirects
            | Error::BodyTooLarge
            | Error::Protocol(_) => Self::upstream(sentence(&error.to_string()), None),
        }
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| format!("{}{}.", first.to_uppercase(), chars.as_str())).unwrap_or_default()
}
