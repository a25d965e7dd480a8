//! Constructors and conversions of [`Failure`].

use std::io;

use crate::bindings::bailiwick::host::{artifact, ask, secret};
use crate::{Failure, Upstream, Wanted};

/// Each constructor is one code for the caller; the text is one sentence that says what happened and what to do.
///
/// ```
/// use bailiwick_sdk::Failure;
///
/// fn even(n: u32) -> Result<u32, Failure> {
///     if n % 2 == 0 { Ok(n / 2) } else { Err(Failure::invalid("`n` must be even.")) }
/// }
/// ```
impl Failure {
    /// `tool.failed`: anything that no other constructor fits.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// `arguments.invalid`: the arguments match the schema and still make no sense. Name the argument.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidArguments(message.into())
    }

    /// `tool.not-found`: what the arguments name is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound(message.into())
    }

    /// `caller.*`: the tool has to ask its caller something, and this caller cannot be asked that. The host adds what it
    /// would have to be able to do.
    pub fn unasked(message: impl Into<String>) -> Self {
        Self::Unasked(message.into())
    }

    /// `plugin.not-configured`: the operator has to set something first. Name it.
    pub fn not_configured(message: impl Into<String>) -> Self {
        Self::NotConfigured(message.into())
    }

    /// `denied.*`: the tool may not read `path` (as the caller wrote it). The host adds which line would allow it.
    pub fn denied_read(path: impl Into<String>) -> Self {
        Self::Denied(Wanted::ReadPath(path.into()))
    }

    /// `denied.*`: the tool may not change `path` (as the caller wrote it).
    pub fn denied_write(path: impl Into<String>) -> Self {
        Self::Denied(Wanted::WritePath(path.into()))
    }

    /// `denied.*`: the tool may not send this request.
    pub fn denied_request(method: impl AsRef<str>, url: impl AsRef<str>) -> Self {
        Self::Denied(Wanted::Request(format!("{} {}", method.as_ref(), url.as_ref())))
    }

    /// `denied.*`: the tool may not have this secret.
    pub fn denied_secret(name: impl Into<String>) -> Self {
        Self::Denied(Wanted::Secret(name.into()))
    }

    /// `upstream.*`: a service the tool depends on did not do its part; `status` is its HTTP status, if there was one.
    ///
    /// ```
    /// use bailiwick_sdk::Failure;
    ///
    /// let answered = Failure::upstream("The search service answered 503.", 503);
    /// let silent = Failure::upstream("The search service did not answer.", None);
    /// ```
    pub fn upstream(message: impl Into<String>, status: impl Into<Option<u16>>) -> Self {
        Self::Upstream(Upstream { message: message.into(), status: status.into(), retry_after: None })
    }

    /// Adds how long to wait before another try. Changes only an `upstream` failure.
    #[must_use]
    pub fn retry_after(mut self, wait: std::time::Duration) -> Self {
        if let Self::Upstream(upstream) = &mut self {
            upstream.retry_after = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        }
        self
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::Failed(message.to_owned())
    }
}

impl From<Box<dyn std::error::Error>> for Failure {
    fn from(error: Box<dyn std::error::Error>) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What is not there is `not-found`; everything else is `failed`. A refusal stays `failed` because the error does not
/// know the path: use [`Failure::denied_read`] and [`Failure::denied_write`] where it is known.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            return Self::NotFound(error.to_string());
        }
        Self::Failed(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(format!("cannot read or write JSON: {error}"))
    }
}

impl From<std::fmt::Error> for Failure {
    fn from(error: std::fmt::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::string::FromUtf8Error> for Failure {
    fn from(error: std::string::FromUtf8Error) -> Self {
        Self::Failed(format!("the text is not UTF-8: {error}"))
    }
}

impl From<std::convert::Infallible> for Failure {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<artifact::Refusal> for Failure {
    fn from(refusal: artifact::Refusal) -> Self {
        Self::failed(match refusal {
            artifact::Refusal::TooLarge => "The result is larger than `limits.artifacts` allows.",
            artifact::Refusal::Unavailable => "The host could not keep the result; its log says why.",
        })
    }
}

impl From<ask::Refusal> for Failure {
    fn from(refusal: ask::Refusal) -> Self {
        Self::failed(match refusal {
            ask::Refusal::Unavailable => {
                return Self::unasked("The tool has to ask something, and this caller cannot be asked.");
            }
            ask::Refusal::InvalidQuestion => "The tool asked something that is no question.",
            ask::Refusal::InvalidSchema => "The tool asked with a form the host does not accept.",
            ask::Refusal::TimedOut => "The tool asked something, and nobody answered in time.",
            ask::Refusal::TooMany => "The tool asked too many questions in one call.",
        })
    }
}

impl From<secret::Denial> for Failure {
    fn from(denial: secret::Denial) -> Self {
        Self::not_configured(match denial {
            secret::Denial::Unknown => "A secret the tool needs is not granted to it.",
            secret::Denial::NotRevealed => "A secret the tool needs the value of lacks `reveal = true`.",
        })
    }
}
