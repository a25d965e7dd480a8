//! The way to a server at a URL and to the authorization servers it names: egress, with the plugin's own grants and
//! secrets. Nothing a server says opens another way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http::header::{CONTENT_ENCODING, LOCATION, USER_AGENT};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use bailiwick_core::config::{self, Approval, Effective};
use bailiwick_core::grant::{Limits, NetRequest, Origin};
use bailiwick_core::name::PluginName;
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::redact::{self, Redactor, brief};

use crate::artifact::Artifacts;
use crate::context::CallContext;
use crate::egress::{self, Egress};
use crate::secrets::{Injection, Secrets};

/// The largest message, and the largest event of a stream, either way: as with servers that are started.
pub(super) const MAX_MESSAGE: usize = 16 << 20;
/// The longest part of what a server says that is passed on in a message.
const MAX_SAID: usize = 300;

/// What a plugin may reach, and what it is sent with.
pub(crate) struct Wire {
    pub(crate) plugin: PluginName,
    effective: Arc<Effective>,
    secrets: Arc<Secrets>,
    egress: Arc<Egress>,
    artifacts: Arc<Artifacts>,
}

/// How long the other side may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) first_byte: Duration,
    pub(super) between_bytes: Duration,
}

impl Wire {
    pub(crate) fn new(configured: &config::Plugin, egress: Arc<Egress>, secrets: Arc<Secrets>) -> Self {
        // What is said between calls counts for none of them. Messages and events have a length; streams have none.
        let limits = Limits {
            http_requests: u32::MAX,
            http_request_body: MAX_MESSAGE as u64,
            http_response_body: u64::MAX,
            artifacts: 0,
            ..configured.limits.clone()
        };
        let grants = Arc::clone(&configured.grants);
        let effective = Effective { grants, limits, approval: Approval::Never, ..Effective::default() };
        Self {
            plugin: configured.name.clone(),
            effective: Arc::new(effective),
            secrets,
            egress,
            artifacts: Arc::new(Artifacts::new(std::path::PathBuf::new())),
        }
    }

    /// The rights of what no call asks for.
    pub(super) fn context(&self) -> Arc<CallContext> {
        let effective = Arc::clone(&self.effective);
        CallContext::aside("server", &self.plugin, effective, &self.secrets, &self.egress, &self.artifacts)
    }

    /// Whether a request may be sent, as far as that can be told without sending it.
    ///
    /// # Errors
    /// A denial with the line that would allow it.
    pub(super) fn may(&self, method: &str, url: &str) -> Result<(), Failure> {
        // What is no URL is told when it is used.
        let Ok(url) = url::Url::parse(url) else { return Ok(()) };
        let denied = self.effective.grants.net.decide(&NetRequest { method, url: &url }).err();
        denied.map_or(Ok(()), |denial| {
            let code = Code::parse(denial.code()).unwrap_or(Code::DeniedNetHost);
            Err(Failure::new(code, denial.to_string()).with_fix(denial.fix()))
        })
    }

    /// How long a call of this plugin may take.
    pub(super) fn time(&self) -> Duration {
        self.effective.limits.time
    }

    /// The value of one of the plugin's secrets.
    pub(crate) fn secret(&self, name: &bailiwick_core::name::SecretName) -> Option<&str> {
        self.secrets.value(name)
    }

    /// The plugin's secrets that go to this origin, with each request.
    pub(crate) fn sent_to<'w>(&'w self, origin: &'w Origin) -> impl Iterator<Item = Injection<'w>> {
        self.secrets.for_origin(origin, &self.effective.grants.secrets)
    }

    /// Sends a request with the rights of `context`.
    ///
    /// # Ambient authority
    /// As [`egress::send_for_guest`].
    ///
    /// # Errors
    /// A denial with the line that would allow it; no answer; one that leads elsewhere, or is packed.
    pub(super) async fn send(
        &self,
        context: &Arc<CallContext>,
        mut request: Request<Bytes>,
        patience: Patience,
    ) -> Result<Response<WasiBody>, Failure> {
        let url = url::Url::parse(&request.uri().to_string()).ok();
        let origin =
            url.as_ref().and_then(Origin::of).map_or_else(|| "its URL".to_owned(), |origin| origin.to_string());
        let agent = HeaderValue::from_static(concat!("bailiwick/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(USER_AGENT).or_insert(agent);
        // What comes is read here, and searched for what must not be passed on.
        request.headers_mut().insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let request = request.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync());
        let options = RequestOptions {
            connect_timeout: None,
            first_byte_timeout: Some(patience.first_byte),
            between_bytes_timeout: Some(patience.between_bytes),
        };
        let sent = egress::send_for_guest(context, request, Some(options)).await;
        let answer = sent.map_err(|error| unanswered(context, &origin, &error))?;
        if answer.headers().get_all(CONTENT_ENCODING).iter().any(|packed| packed != "identity") {
            let message = format!("{origin} packed its answer although it was asked not to");
            return Err(Failure::new(Code::UpstreamProtocol, message));
        }
        Ok(answer)
    }

    /// Sends a request and reads its answer, of at most `most` bytes, within `patience` for all of it.
    ///
    /// # Ambient authority
    /// As [`Self::send`].
    ///
    /// # Errors
    /// As [`Self::send`], and an answer that is too long or takes too long.
    pub(crate) async fn send_whole(
        &self,
        request: Request<Bytes>,
        most: usize,
        patience: Duration,
    ) -> Result<Response<Bytes>, Failure> {
        let whole = async {
            let context = self.context();
            let silence = Patience { first_byte: patience, between_bytes: patience };
            let (parts, body) = self.send(&context, request, silence).await?.into_parts();
            let body = collected(pieces(body, None), most).await.map_err(Broken::into_failure)?;
            Ok(Response::from_parts(parts, body))
        };
        let timely = tokio::time::timeout(patience, whole).await;
        timely.unwrap_or_else(|_| Err(Failure::new(Code::UpstreamTimeout, "the answer took too long")))
    }
}

/// Why a request has no answer, with what an operator can do about it where that is known.
fn unanswered(context: &CallContext, origin: &str, error: &Error) -> Failure {
    let noted = matches!(
        error,
        Error::HttpRequestDenied
            | Error::DestinationIpProhibited
            | Error::HttpRequestUriInvalid
            | Error::ConnectionLimitReached
            | Error::HttpRequestBodySize(_)
    );
    let denial = context.ledger.denials().pop().filter(|_| noted);
    denial.unwrap_or_else(|| Failure::new(egress::code(error), format!("{origin} gives no answer: {error}")))
}

/// Where an answer would lead, for messages.
pub(super) fn elsewhere(answer: &http::response::Parts) -> String {
    let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or("nowhere");
    brief(location, MAX_SAID)
}

/// What a server says of itself, cut and without what a terminal acts on.
pub(super) fn said(text: &str) -> String {
    brief(text, MAX_SAID)
}

/// A body that broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// It is longer than it may be: there is no use in asking again.
    #[error("{0}")]
    TooMuch(Failure),
    /// It ended before its time.
    #[error("{0}")]
    Off(Failure),
}

impl Broken {
    /// One that is longer than `most` bytes.
    pub(super) fn too_long(what: &str, most: usize) -> Self {
        Self::TooMuch(Failure::new(Code::UpstreamProtocol, format!("the server sent {what} of more than {most} bytes")))
    }

    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::TooMuch(failure) | Self::Off(failure) => failure,
        }
    }
}

/// The pieces of a body, without what `mask` takes out.
pub(super) fn pieces(
    body: WasiBody,
    mask: Option<Arc<Redactor>>,
) -> impl Stream<Item = Result<Bytes, Broken>> + Send + 'static {
    let start = (body.into_data_stream(), mask, redact::Held::default(), false);
    stream::unfold(start, |(mut body, mask, mut held, over)| async move {
        if over {
            return None;
        }
        let (item, over) = match (body.next().await, &mask) {
            (Some(Ok(piece)), None) => (Ok(piece), false),
            (Some(Ok(piece)), Some(mask)) => (Ok(redact::push(mask, &mut held, &piece).into()), false),
            (Some(Err(error)), _) => {
                let failure = Failure::new(egress::code(&error), format!("the answer broke off: {error}"));
                let too_much = matches!(error, Error::HttpResponseBodySize(_));
                (Err(if too_much { Broken::TooMuch(failure) } else { Broken::Off(failure) }), true)
            }
            (None, _) => (Ok(held.take().into()), true),
        };
        Some((item, (body, mask, held, over)))
    })
}

/// All pieces as one, if they are not more than `most` bytes.
pub(super) async fn collected(pieces: impl Stream<Item = Result<Bytes, Broken>>, most: usize) -> Result<Bytes, Broken> {
    let mut pieces = std::pin::pin!(pieces);
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if piece.len() > most - whole.len() {
            return Err(Broken::too_long("an answer", most));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.into())
}
