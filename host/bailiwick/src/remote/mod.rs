//! MCP servers at a URL. A [`Site`] is one: it knows the way there, which is the plugin's own egress, and what proves who
//! asks, which is kept from everybody else.
//!
//! It speaks streamable HTTP, to servers with sessions and to those without. What is said over a connection is somebody
//! else's business.

mod client;
mod events;
mod login;
mod oauth;
mod rows;
mod wire;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, RunningService, ServiceError};
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::{RoleClient, Service};
use tokio::net::TcpListener;

use bailiwick_core::config::{self, Remote};
use bailiwick_core::name::PluginName;
use bailiwick_core::outcome::{Code, Failure};

use self::oauth::{Tokens, internal, log_in};
use self::wire::{MAX_MESSAGE, said};
use crate::context::CallContext;
use crate::egress::Egress;
use crate::secrets::Secrets;
use crate::store::Store;

pub use self::client::Client;
pub use self::login::{Invitation, LoggedIn, PATIENCE};
pub(crate) use self::wire::Wire;

/// How often a stream that broke off is taken up again, before whoever waits for it is told.
const MOST_RETRIES: usize = 5;
/// The longest pause before that.
const MOST_PAUSE: Duration = Duration::from_secs(30);

/// An MCP server at a URL. Cheap to clone.
#[derive(Clone)]
pub struct Site {
    inner: Arc<Inner>,
}

struct Inner {
    remote: Remote,
    wire: Arc<Wire>,
    tokens: Option<Tokens>,
}

/// Whose call a request is part of, for the extensions of a request of rmcp's. With it, the request is judged by what the
/// call may reach, counts against the call's limits and is in its ledger; without, it is judged as the plugin's.
#[derive(Clone)]
pub struct For(pub Arc<CallContext>);

/// The transport that speaks to a [`Site`].
pub type Transport = StreamableHttpClientTransport<Client>;

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("plugin", &self.inner.wire.plugin).field("remote", &self.inner.remote).finish()
    }
}

/// How to begin with a server of either era: as those without sessions do, and if it is none of those, as the others.
#[must_use]
pub fn either_era() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
    }
}

impl Site {
    /// The server of a plugin. Nothing is sent yet.
    #[must_use]
    pub fn new(
        configured: &config::Plugin,
        remote: &Remote,
        egress: Arc<Egress>,
        secrets: Arc<Secrets>,
        store: Arc<Store>,
    ) -> Self {
        let wire = Arc::new(Wire::new(configured, egress, secrets));
        let tokens = Tokens::of(&wire, remote, store);
        Self { inner: Arc::new(Inner { remote: remote.clone(), wire, tokens }) }
    }

    /// A new connection. Nothing is sent until it is used; dropping it ends its session.
    ///
    /// # Ambient authority
    /// What is sent over it leaves by egress, with the plugin's own grants.
    #[must_use]
    pub fn transport(&self) -> Transport {
        let mut config = StreamableHttpClientTransportConfig::with_uri(self.inner.remote.url.as_str());
        let header = |(name, value): (&String, &String)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
        };
        config.custom_headers = self.inner.remote.headers.iter().filter_map(header).collect();
        config.max_sse_event_size = MAX_MESSAGE;
        let mut retries = ExponentialBackoff::default();
        (retries.max_times, retries.max_delay) = (Some(MOST_RETRIES), Some(MOST_PAUSE));
        config.retry_config = Arc::new(retries);
        StreamableHttpClientTransport::with_client(Client(Arc::clone(&self.inner)), config)
    }

    /// Connects to the server, and begins as `mode` says.
    ///
    /// # Ambient authority
    /// As [`Self::transport`].
    ///
    /// # Errors
    /// A denial with the line that would allow it; `upstream.auth` if somebody has to log in; no answer, or one that is
    /// not MCP.
    pub async fn connect<H: Service<RoleClient>>(
        &self,
        handler: H,
        mode: ClientLifecycleMode,
    ) -> Result<RunningService<RoleClient, H>, Failure> {
        self.connect_over(handler, self.transport(), mode).await
    }

    /// The same over a connection of [`Self::transport`] that somebody listens to.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(crate) async fn connect_over<H: Service<RoleClient>, T: rmcp::transport::Transport<RoleClient> + 'static>(
        &self,
        handler: H,
        transport: T,
        mode: ClientLifecycleMode,
    ) -> Result<RunningService<RoleClient, H>, Failure> {
        let connected = handler.serve_with_lifecycle(transport, mode).await;
        connected.map_err(|error| self.failure(&error))
    }

    /// What an error of rmcp's means, over a connection to this server.
    #[must_use]
    pub fn failure(&self, error: &(dyn Error + 'static)) -> Failure {
        self.inner.failure(error)
    }

    /// Lets a person agree in a browser that the host asks in their name, and keeps what comes of it. `listener` is at
    /// 127.0.0.1; `tell` says which page to look at. Nothing opens it.
    ///
    /// # Ambient authority
    /// As [`Self::transport`]; whoever is on this machine can connect to `listener`.
    ///
    /// # Errors
    /// `arguments.invalid` if nobody logs in there; `upstream.auth` if the authorization server is not to be trusted, or
    /// says no, or nobody agrees within `patience`; a denial with the line that would allow it.
    pub async fn login(
        &self,
        listener: TcpListener,
        tell: impl FnOnce(&Invitation),
        patience: Duration,
    ) -> Result<LoggedIn, Failure> {
        let Some(tokens) = &self.inner.tokens else {
            let message = format!("`{}` has no `auth = \"oauth\"`: nobody logs in", self.inner.wire.plugin);
            return Err(Failure::new(Code::ArgumentsInvalid, message));
        };
        login::log_in_with(&Client(Arc::clone(&self.inner)), tokens, listener, tell, patience).await
    }
}

/// The host's own reason in an error of a [`Transport`], if it is one.
#[must_use]
pub(crate) fn failure_in(error: &(dyn Error + 'static)) -> Option<Failure> {
    let Some(StreamableHttpError::<Failure>::Client(failure)) = error.downcast_ref() else { return None };
    Some(failure.clone())
}

/// Forgets what authorization servers gave for a plugin's servers, and says for how many. Blocks.
///
/// # Errors
/// The database cannot be used.
pub fn logout(store: &Store, plugin: &PluginName) -> Result<usize, Failure> {
    rows::forget(store, plugin.as_str()).map_err(|error| internal(&error))
}

impl Inner {
    fn failure(&self, error: &(dyn Error + 'static)) -> Failure {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(failure) = error.downcast_ref::<Failure>() {
                return failure.clone();
            }
            if let Some(error) = error.downcast_ref::<StreamableHttpError<Failure>>() {
                return self.of_transport(error);
            }
            // These name what they come from only in their text.
            next = match (error.downcast_ref(), error.downcast_ref()) {
                (Some(ServiceError::TransportSend(error)), _) => Some(&*error.error),
                (_, Some(ClientInitializeError::TransportError { error, .. })) => Some(&*error.error),
                (_, Some(ClientInitializeError::LegacyFallbackFailed { fallback, .. })) => Some(&**fallback),
                (Some(_) | None, Some(_) | None) => error.source(),
            };
        }
        self.unreadable(&error.to_string())
    }

    fn of_transport(&self, error: &StreamableHttpError<Failure>) -> Failure {
        #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's errors, which may become more")]
        match error {
            StreamableHttpError::Client(failure) => failure.clone(),
            StreamableHttpError::AuthRequired(_) => self.unproved(),
            other => self.unreadable(&other.to_string()),
        }
    }

    /// The server wants to know who asks.
    fn unproved(&self) -> Failure {
        let (plugin, origin) = (&self.wire.plugin, self.remote.origin());
        Failure::new(Code::UpstreamAuth, format!("{origin} wants to know who asks for `{plugin}`"))
            .with_fix(self.proof())
    }

    /// The server knows who asks, and wants more.
    fn not_enough(&self, challenge: &str) -> Failure {
        let (plugin, origin) = (&self.wire.plugin, self.remote.origin());
        let message = format!("{origin} wants more than `{plugin}` has proved: {}", said(challenge));
        Failure::new(Code::UpstreamAuth, message).with_fix(self.proof())
    }

    /// The server has had enough for a while.
    fn busy(&self, after: Option<&str>) -> Failure {
        let failure = self.refused(StatusCode::TOO_MANY_REQUESTS, "");
        match after {
            Some(after) => failure.with_fix(format!("ask again later: it says `Retry-After: {}`", said(after))),
            None => failure,
        }
    }

    /// What an operator does so that the server knows who asks.
    fn proof(&self) -> String {
        match self.remote.auth {
            config::Auth::Login(_) => log_in(&self.wire.plugin),
            config::Auth::Credentials(_) => "see whether `client_id` and `client_secret` are still good".to_owned(),
            config::Auth::None => {
                format!("bind a secret to {}, or write `auth = \"oauth\"` in `mcp`", self.remote.origin())
            }
        }
    }

    fn refused(&self, status: StatusCode, text: &str) -> Failure {
        let says = if text.trim().is_empty() { String::new() } else { format!(": {}", said(text)) };
        let message = format!("{} answers {}{says}", self.remote.origin(), status.as_u16());
        Failure::new(Code::UpstreamStatus, message)
    }

    fn led_away(&self, status: StatusCode, place: &str) -> Failure {
        let origin = self.remote.origin();
        let message = format!("{origin} answers {} and leads to {place}, which is not followed", status.as_u16());
        Failure::new(Code::UpstreamStatus, message).with_fix("write the server's own URL in `mcp`")
    }

    fn unreadable(&self, reason: &str) -> Failure {
        let message = format!("{} does not speak MCP as it should: {}", self.remote.origin(), said(reason));
        Failure::new(Code::UpstreamProtocol, message)
    }
}
