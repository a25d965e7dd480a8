//! What proves to a server who asks: tokens of an authorization server, kept in the host's database, renewed before they
//! expire by one request at a time. They are put into requests to the server's own URL and into no other, and are taken
//! out of whatever it says.
//!
//! The protocol is rmcp's. Its requests go where the plugin's own requests may go, and nowhere else.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;
use http::header::ACCEPT;
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, AuthorizationMetadataResolution, ClientCredentialsConfig,
    CredentialStore as _, InMemoryCredentialStore, OAuthClientConfig, OAuthHttpClient, OAuthHttpClientFuture,
    OAuthHttpRequest, StoredCredentials,
};
use serde::Deserialize;
use url::{Host, Url};
use zeroize::{Zeroize as _, Zeroizing};

use bailiwick_core::config::{Auth, LoginClient, OwnCredentials, Remote};
use bailiwick_core::name::{PluginName, SecretName};
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::redact::Redactor;

use super::rows::{self, Row};
use super::wire::{Wire, said};
use crate::ambient;
use crate::store::{Store, StoreError};

/// How long an authorization server may take for one request, and for all that a renewal takes.
const REQUEST: Duration = Duration::from_secs(30);
const RENEWAL: Duration = Duration::from_secs(60);
/// How much of its answer is read.
const MAX_ANSWER: usize = 1 << 20;
/// A token that is good for less than this is renewed before it is used.
const LEEWAY: u64 = 30;
/// How long nothing is renewed after a fresh token was no good.
const BARREN: Duration = Duration::from_secs(30);

/// The tokens for one server.
pub(super) struct Tokens {
    pub(super) wire: Arc<Wire>,
    pub(super) url: Url,
    pub(super) kind: Kind,
    pub(super) logins: Logins,
    seen: Mutex<Option<Arc<Token>>>,
    renewing: tokio::sync::Mutex<Renewing>,
}

/// Who agrees that there are tokens.
pub(super) enum Kind {
    /// A person, once.
    Person(LoginClient),
    /// The host has credentials of its own.
    Host(OwnCredentials),
}

/// A token, as it is sent and as it is looked for in answers.
pub(super) struct Token {
    text: Zeroizing<String>,
    pub(super) bearer: HeaderValue,
    pub(super) mask: Arc<Redactor>,
}

/// What whoever renews tokens has of the authorization server.
#[derive(Default)]
struct Renewing {
    server: Option<Server>,
    /// When a fresh token was no good.
    barren: Option<Instant>,
}

/// An authorization server, as far as it said what it is.
pub(super) struct Server {
    pub(super) manager: AuthorizationManager,
    pub(super) metadata: AuthorizationMetadata,
    pub(super) memory: InMemoryCredentialStore,
    pub(super) errand: Arc<Errand>,
}

impl Tokens {
    pub(super) fn of(wire: &Arc<Wire>, remote: &Remote, store: Arc<Store>) -> Option<Self> {
        let kind = match &remote.auth {
            Auth::None => return None,
            Auth::Login(client) => Kind::Person(client.clone()),
            Auth::Credentials(own) => Kind::Host(own.clone()),
        };
        let logins = Logins { store, plugin: wire.plugin.clone(), url: remote.url.to_string() };
        let (wire, url) = (Arc::clone(wire), remote.url.clone());
        Some(Self { wire, url, kind, logins, seen: Mutex::default(), renewing: tokio::sync::Mutex::default() })
    }

    /// A token that is good for a while; none if somebody has to log in first.
    ///
    /// # Errors
    /// The database cannot be read, or a token cannot be had although nobody has to log in.
    pub(super) async fn token(&self) -> Result<Option<Arc<Token>>, Failure> {
        let row = self.logins.load().await?;
        match (Kept::of(&row), &self.kind) {
            (Some(kept), _) if kept.is_fresh() => self.known(&kept).map(Some),
            (Some(kept), _) => self.renew(kept.access()).await,
            (None, Kind::Person(_)) => Ok(None),
            (None, Kind::Host(_)) => self.renew("").await,
        }
    }

    /// Another token than `sent`, which the server did not take; none if somebody has to log in first.
    ///
    /// # Errors
    /// As [`Self::token`].
    pub(super) async fn renewed(&self, sent: &Token) -> Result<Option<Arc<Token>>, Failure> {
        self.renew(&sent.text).await
    }

    /// The server does not take `fresh` either: for a while there is no use in renewing it.
    pub(super) async fn is_barren(&self, fresh: &Token) {
        tracing::warn!(plugin = %self.wire.plugin, "the server takes no token, not even a new one");
        let is_seen = self.seen().as_ref().is_some_and(|seen| seen.text == fresh.text);
        if is_seen {
            self.renewing.lock().await.barren = Some(Instant::now());
        }
    }

    /// Keeps what the server wants to be shown, for the next login.
    pub(super) async fn challenged(&self, challenge: &str) {
        let known = self.logins.load().await.ok().and_then(|row| row.challenge);
        if known.as_deref() != Some(challenge) {
            let challenge = challenge.to_owned();
            let kept = self.logins.write(move |store, plugin, url| rows::challenged(store, plugin, url, &challenge));
            if let Err(failure) = kept.await {
                tracing::warn!(plugin = %self.wire.plugin, %failure, "what a server wants to be shown cannot be kept");
            }
        }
    }

    async fn renew(&self, old: &str) -> Result<Option<Arc<Token>>, Failure> {
        let late = || Failure::new(Code::UpstreamTimeout, "the authorization server took too long");
        tokio::time::timeout(RENEWAL, self.renew_alone(old)).await.map_err(|_| late())?
    }

    async fn renew_alone(&self, old: &str) -> Result<Option<Arc<Token>>, Failure> {
        let mut renewing = self.renewing.lock().await;
        // Other processes renew the same tokens, and a refresh token is often good only once.
        let _alone = self.logins.hold().await?;
        let row = self.logins.load().await?;
        let kept = Kept::of(&row);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.access() != old && kept.is_fresh()) {
            return self.known(kept).map(Some);
        }
        if renewing.barren.is_some_and(|since| since.elapsed() < BARREN) {
            return Ok(None);
        }
        match (&self.kind, kept) {
            (Kind::Host(own), _) => self.asked_for(own, &mut renewing).await.map(Some),
            (Kind::Person(_), None) => Ok(None),
            (Kind::Person(client), Some(kept)) if kept.can_be_refreshed() => {
                self.refreshed(client, &row, &kept, &mut renewing).await
            }
            (Kind::Person(_), Some(_)) => Ok(None),
        }
    }

    /// Asks for a token with credentials of the host's own.
    async fn asked_for(&self, own: &OwnCredentials, renewing: &mut Renewing) -> Result<Arc<Token>, Failure> {
        let server = self.server(renewing).await?;
        let config = ClientCredentialsConfig::ClientSecret {
            client_id: own.client_id.clone(),
            client_secret: self.secret(&own.client_secret)?,
            scopes: own.scopes.clone(),
            resource: Some(self.url.to_string()),
        };
        let told = |server: &Server, error| server.failure(&self.wire.plugin, &error);
        server.manager.validate_client_credentials_metadata(&config).map_err(|error| told(server, error))?;
        server.manager.configure_client_credentials(&config).map_err(|error| told(server, error))?;
        let asked = server.manager.exchange_client_credentials(&config).await;
        asked.map_err(|error| told(server, error))?;
        let credentials = server.credentials().await?;
        let row = Row { credentials: Some(credentials), ..Row::default() };
        let kept = Kept::of(&row).ok_or_else(|| no_bearer(&self.wire.plugin))?;
        let token = self.known(&kept)?;
        self.logins.keep(row).await?;
        Ok(token)
    }

    /// Asks for another token with the one that a login came with.
    async fn refreshed(
        &self,
        client: &LoginClient,
        row: &Row,
        kept: &Kept,
        renewing: &mut Renewing,
    ) -> Result<Option<Arc<Token>>, Failure> {
        let old = row.credentials.clone().unwrap_or_default();
        let server = self.server(renewing).await?;
        if kept.issuer.is_some() && kept.issuer != server.metadata.issuer {
            // Tokens of one server are never shown to another.
            tracing::warn!(plugin = %self.wire.plugin, "the server names another authorization server than at the login");
            self.logins.replace(old, None).await?;
            return Ok(None);
        }
        let client_secret = match &client.client_secret {
            Some(name) => Some(self.secret(name)?),
            None => row.client_secret.as_ref().map(|secret| secret.to_string()),
        };
        let mut config = OAuthClientConfig::new(kept.client_id.clone(), self.url.as_str());
        config.client_secret = client_secret;
        server.manager.configure_client(config).map_err(|error| server.failure(&self.wire.plugin, &error))?;
        let stored: StoredCredentials = serde_json::from_str(&old).map_err(|error| internal(&error))?;
        server.memory.save(stored).await.map_err(|error| internal(&error))?;
        match server.manager.refresh_token().await {
            Ok(_) => {}
            Err(AuthError::TokenRefreshRejected(reason)) => {
                let reason = said(&reason);
                tracing::warn!(plugin = %self.wire.plugin, reason, "the login is no good any more");
                self.logins.replace(old, None).await?;
                return Ok(None);
            }
            Err(error) => return Err(server.failure(&self.wire.plugin, &error)),
        }
        let new = server.credentials().await?;
        let row = Row { credentials: Some(new), ..Row::default() };
        let kept = Kept::of(&row).ok_or_else(|| no_bearer(&self.wire.plugin))?;
        let token = self.known(&kept)?;
        self.logins.replace(old, row.credentials).await?;
        Ok(Some(token))
    }

    /// The authorization server, asked what it is once.
    async fn server<'r>(&self, renewing: &'r mut Renewing) -> Result<&'r mut Server, Failure> {
        if renewing.server.is_none() {
            renewing.server = Some(self.discovered(None).await?);
        }
        Ok(renewing.server.as_mut().expect("it was just put there"))
    }

    /// Finds the authorization server, by what the server said in `challenge` if it said something.
    ///
    /// # Errors
    /// There is none, it says of itself what it is not, or it is out of reach of the plugin's grants.
    pub(super) async fn discovered(&self, challenge: Option<&str>) -> Result<Server, Failure> {
        let plugin = &self.wire.plugin;
        let errand = Arc::new(Errand { wire: Arc::clone(&self.wire), trouble: Mutex::default() });
        let http: Arc<dyn OAuthHttpClient> = Arc::clone(&errand) as _;
        let made = AuthorizationManager::new_with_oauth_http_client(self.url.as_str(), http).await;
        let mut manager = made.map_err(|error| errand.failure(plugin, &error))?;
        let memory = InMemoryCredentialStore::new();
        manager.set_credential_store(memory.clone());
        let found = manager.resolve_metadata_from_challenge(challenge).await;
        let found = found.map_err(|error| errand.failure(plugin, &error))?;
        self.sound(&found)?;
        manager.set_metadata(found.metadata.clone());
        Ok(Server { manager, metadata: found.metadata, memory, errand })
    }

    /// Whether what was found can be trusted with a login.
    fn sound(&self, found: &AuthorizationMetadataResolution) -> Result<(), Failure> {
        let metadata = &found.metadata;
        let refused = |reason: String| {
            let message = format!("the authorization server of `{}` is not used: {reason}", self.wire.plugin);
            Err(Failure::new(Code::UpstreamAuth, message))
        };
        let endpoints = [
            ("authorization_endpoint", Some(&metadata.authorization_endpoint)),
            ("token_endpoint", Some(&metadata.token_endpoint)),
            ("registration_endpoint", metadata.registration_endpoint.as_ref()),
        ];
        for (name, endpoint) in endpoints.into_iter().filter_map(|(name, endpoint)| Some((name, endpoint?))) {
            if !is_protected(endpoint) {
                return refused(format!("its `{name}` is not reached over https: {}", said(endpoint)));
            }
        }
        let methods = metadata.code_challenge_methods_supported.as_deref().unwrap_or_default();
        let is_person = matches!(self.kind, Kind::Person(_));
        if is_person && found.source.is_discovered() && !methods.iter().any(|method| method == "S256") {
            return refused(
                "it does not say that it takes PKCE with S256, without which a code could be stolen".to_owned(),
            );
        }
        Ok(())
    }

    /// The value of a secret that goes with the host's name at the authorization server.
    pub(super) fn secret(&self, name: &SecretName) -> Result<String, Failure> {
        let missing = || Failure::new(Code::PluginNotConfigured, format!("the secret `{name}` has no value"));
        self.wire.secret(name).map(str::to_owned).ok_or_else(missing)
    }

    /// The token as it is sent; made once for each.
    fn known(&self, kept: &Kept) -> Result<Arc<Token>, Failure> {
        let mut seen = self.seen();
        if let Some(token) = seen.as_ref().filter(|token| token.text.as_str() == kept.access()) {
            return Ok(Arc::clone(token));
        }
        let text = Zeroizing::new(kept.access().to_owned());
        let bearer = Zeroizing::new(format!("Bearer {}", *text));
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| no_bearer(&self.wire.plugin))?;
        bearer.set_sensitive(true);
        let name = SecretName::parse("ACCESS_TOKEN").expect("this is a name a secret can have");
        let mask = Arc::new(Redactor::new([(&name, text.as_str())]));
        let token = Arc::new(Token { text, bearer, mask });
        *seen = Some(Arc::clone(&token));
        Ok(token)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<Arc<Token>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// What rmcp has kept, as the database has it.
    pub(super) async fn credentials(&self) -> Result<Zeroizing<String>, Failure> {
        let stored = self.memory.load().await.map_err(|error| internal(&error))?;
        serde_json::to_string(&stored).map(Zeroizing::new).map_err(|error| internal(&error))
    }

    /// What went wrong, in words that name the plugin and the way out.
    pub(super) fn failure(&self, plugin: &PluginName, error: &AuthError) -> Failure {
        self.errand.failure(plugin, error)
    }
}

/// Sends rmcp's requests.
pub(super) struct Errand {
    wire: Arc<Wire>,
    /// Why the last request had no answer: rmcp passes only its text on, if that.
    trouble: Mutex<Option<Failure>>,
}

impl OAuthHttpClient for Errand {
    /// Sends one request of the protocol, judged as the plugin's own. No redirect is followed, whatever rmcp would allow:
    /// it asks again where it may, and is judged again.
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let (patience, mut request) =
                (request.timeout.unwrap_or(REQUEST).min(REQUEST), request.request.map(Bytes::from));
            request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
            let sent = self.wire.send_whole(request, MAX_ANSWER, patience).await;
            let answer = sent.inspect_err(|failure| *self.trouble() = Some(failure.clone()))?;
            Ok(answer.map(|body| body.to_vec()))
        })
    }
}

impl Errand {
    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<Failure>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, plugin: &PluginName, error: &AuthError) -> Failure {
        // A request that was refused or not answered says more than what came of it.
        if let Some(trouble) = self.trouble().take() {
            return Failure { message: format!("no token for `{plugin}`: {}", trouble.message), ..trouble };
        }
        let failure =
            Failure::new(Code::UpstreamAuth, format!("no token for `{plugin}`: {}", said(&error.to_string())));
        failure.with_fix(log_in(plugin))
    }
}

/// What to do about a login that is not there.
pub(super) fn log_in(plugin: &PluginName) -> String {
    format!("run `bailiwick login {plugin}`")
}

fn no_bearer(plugin: &PluginName) -> Failure {
    Failure::new(Code::UpstreamAuth, format!("the authorization server of `{plugin}` gave no bearer token"))
}

/// A mistake of ours, or of what keeps things for us.
pub(super) fn internal(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::Internal, format!("a login cannot be read or kept: {error}"))
}

/// Whether what is sent there is read by nobody on the way.
pub(super) fn is_protected(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && is_here))
}

/// What is read of a login that is kept.
#[derive(Deserialize)]
pub(super) struct Kept {
    client_id: String,
    token_response: Option<Given>,
    #[serde(default)]
    pub(super) granted_scopes: Vec<String>,
    token_received_at: Option<u64>,
    issuer: Option<String>,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

impl Drop for Given {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
    }
}

impl Kept {
    /// The login in a row, if it has a token that can be sent.
    pub(super) fn of(row: &Row) -> Option<Self> {
        let kept: Self = serde_json::from_str(row.credentials.as_deref()?).ok()?;
        let given = kept.token_response.as_ref()?;
        (given.token_type.eq_ignore_ascii_case("bearer") && !given.access_token.is_empty()).then_some(kept)
    }

    fn access(&self) -> &str {
        self.token_response.as_ref().map_or("", |given| given.access_token.as_str())
    }

    pub(super) fn can_be_refreshed(&self) -> bool {
        self.token_response.as_ref().is_some_and(|given| given.refresh_token.is_some())
    }

    /// When it expires, in seconds since 1970, if it says so.
    pub(super) fn expires(&self) -> Option<u64> {
        let lasts = self.token_response.as_ref()?.expires_in?;
        Some(self.token_received_at?.saturating_add(lasts))
    }

    /// Whether it is good for a while. One that lasts no longer than the leeway is used to its end.
    fn is_fresh(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let lasts = self.token_response.as_ref().and_then(|given| given.expires_in).unwrap_or(u64::MAX);
        let leeway = if lasts > 2 * LEEWAY { LEEWAY } else { 0 };
        self.expires().is_none_or(|expires| now.saturating_add(leeway) < expires)
    }
}

/// The place of one server's login in the database.
#[derive(Clone)]
pub(super) struct Logins {
    store: Arc<Store>,
    plugin: PluginName,
    url: String,
}

impl Logins {
    pub(super) async fn load(&self) -> Result<Row, Failure> {
        self.write(rows::load).await
    }

    pub(super) async fn keep(&self, row: Row) -> Result<(), Failure> {
        self.write(move |store, plugin, url| rows::keep(store, plugin, url, &row)).await
    }

    async fn replace(&self, old: Zeroizing<String>, new: Option<Zeroizing<String>>) -> Result<(), Failure> {
        let new = move |store: &Store, plugin: &str, url: &str| {
            rows::replace(store, plugin, url, &old, new.as_ref().map(|new| new.as_str()))
        };
        self.write(new).await
    }

    /// Does something to the place, where blocking is no harm.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &str, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let place = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&place.store, place.plugin.as_str(), &place.url)).await;
        done.map_err(|error| internal(&error))?.map_err(|error| internal(&error))
    }

    /// Waits until no other process renews this login.
    async fn hold(&self) -> Result<std::fs::File, Failure> {
        let mut path = self.store.path().as_os_str().to_owned();
        path.push(format!("-login-{}", self.plugin));
        let held = tokio::task::spawn_blocking(move || ambient::hold(&PathBuf::from(path))).await;
        held.map_err(|error| internal(&error))?.map_err(|error| internal(&error))
    }
}
