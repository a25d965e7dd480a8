//! An MCP server at a URL: where it is, which headers it is sent, and how the host proves who asks.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::file::{McpTable, PluginTable};
use super::mistake::{Flaw, Mistake, Place, code, shown};
use super::reader::{At, joined};
use super::web::{self, Reserved};
use super::{Class, Lifetime, Mcp, Typing};
use crate::grant::{NetGrant, NetGrants, NetRequest, Origin, Placement, SecretGrant};
use crate::name::SecretName;

/// An MCP server that is reached over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it is: `https`, or `http` on this machine; without user, password or fragment.
    pub url: Url,
    /// Headers of every request to it, in lower case. None of them is a secret.
    pub headers: BTreeMap<String, String>,
    /// How the host proves who asks.
    pub auth: Auth,
    /// How long a connection may do nothing before it is closed.
    pub idle: Duration,
    /// How long a connection lives, and who shares it.
    pub lifetime: Lifetime,
    /// Where its URL is written.
    pub place: Place,
}

/// How the host proves to a server who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all, or with secrets that are bound to its origin.
    None,
    /// OAuth: a person has agreed in a browser, by `bailiwick login`.
    Login(LoginClient),
    /// OAuth: the host has credentials of its own.
    Credentials(OwnCredentials),
}

/// What the host is to an authorization server where a person agrees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginClient {
    /// Its name there, if an operator has registered it.
    pub client_id: Option<String>,
    /// The plugin's secret that goes with the name.
    pub client_secret: Option<SecretName>,
    /// The document that says what the host is, for servers that read such; its URL is the name then.
    pub client_metadata_url: Option<Url>,
    /// What is asked for; empty means what the server says it takes.
    pub scopes: Vec<String>,
}

/// What the host is to an authorization server where nobody is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCredentials {
    /// Its name there.
    pub client_id: String,
    /// The plugin's secret that goes with the name.
    pub client_secret: SecretName,
    /// What is asked for.
    pub scopes: Vec<String>,
}

/// The word for an [`Auth`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AuthWord {
    #[default]
    None,
    Oauth,
    ClientCredentials,
}

impl AuthWord {
    pub(super) const ALL: [Self; 3] = [Self::None, Self::Oauth, Self::ClientCredentials];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Oauth => "oauth",
            Self::ClientCredentials => "client-credentials",
        }
    }
}

impl Remote {
    /// Whom requests to it are for.
    ///
    /// # Panics
    /// Never: its URL has an origin.
    pub fn origin(&self) -> Origin {
        Origin::of(&self.url).expect("the URL of a server is one of HTTP")
    }

    /// The `net` grant that lets requests to it through: messages go by POST, streams by GET, and DELETE ends a session.
    pub fn grant(&self) -> String {
        let whole = format!("GET,POST,DELETE {}", self.origin());
        let path = self.url.path().replace('*', "%2A");
        let exact = if path == "/" { whole.clone() } else { format!("{whole}{path}") };
        // A path that reads in two ways matches no pattern: only a grant for the whole host lets it through.
        if NetGrant::parse(&exact, 1, Place::default()).is_ok() { exact } else { whole }
    }

    /// The secret that proves the host to an authorization server. It goes nowhere else.
    pub fn client_secret(&self) -> Option<&SecretName> {
        match &self.auth {
            Auth::None => None,
            Auth::Login(client) => client.client_secret.as_ref(),
            Auth::Credentials(own) => Some(&own.client_secret),
        }
    }
}

/// What the URL of a server looks like, for messages.
const URL_LEGAL: &str = "`https://HOST/PATH`; `http` only for localhost or a loopback address";

/// Headers that the protocol sets, or that frame the message.
const PROTOCOL: Reserved = Reserved {
    names: &["accept", "accept-encoding", "content-type", "last-event-id", "traceparent", "tracestate"],
    starts: &["mcp-", "proxy-"],
    whose: "the protocol's",
    origin: "server's",
};

impl Typing<'_, '_> {
    /// Reads a server at a URL.
    pub(super) fn remote(&mut self, path: &str, place: &Place, mut table: McpTable) -> Option<Remote> {
        self.only_of_programs(path, &table);
        let (idle, lifetime) = self.idle_and_lifetime(path, &mut table);
        let headers = self.plain_headers(table.headers.take().unwrap_or_default(), &PROTOCOL);
        let auth = self.auth(path, place, &mut table);
        let url = table.url?;
        let parsed = self.reading.accept(server_url(&url.value), &url.place)?;
        Some(Remote { url: parsed, headers: headers?, auth: auth?, idle, lifetime, place: url.place })
    }

    /// Notes each key that is for programs the host starts.
    fn only_of_programs(&mut self, path: &str, table: &McpTable) {
        let foreign = [
            ("cwd", table.cwd.as_ref().map(|key| &key.place)),
            ("start", table.start.as_ref().map(|key| &key.place)),
            ("sandbox", table.sandbox.as_ref().map(|key| &key.place)),
            ("install", table.install.as_ref().map(|key| &key.place)),
        ];
        for (key, place) in foreign.into_iter().filter_map(|(key, place)| Some((key, place?))) {
            let message = format!("`{path}.{key}` has no effect: the host does not start a server that has a `url`");
            self.reading.note(Mistake::new(code::UNUSED, place.clone(), message));
        }
    }

    /// Notes each key that is for servers at a URL, of a table that names a program.
    pub(super) fn only_of_remotes(&mut self, path: &str, table: &McpTable) {
        let foreign = [
            ("headers", table.headers.as_ref().and_then(|headers| headers.0.first()).map(|(name, _)| &name.place)),
            ("auth", table.auth.as_ref().map(|key| &key.place)),
            ("client_id", table.client_id.as_ref().map(|key| &key.place)),
            ("client_secret", table.client_secret.as_ref().map(|key| &key.place)),
            ("client_metadata_url", table.client_metadata_url.as_ref().map(|key| &key.place)),
            ("scopes", table.scopes.as_ref().map(|key| &key.place)),
        ];
        for (key, place) in foreign.into_iter().filter_map(|(key, place)| Some((key, place?))) {
            let message = format!("`{path}.{key}` has no effect: it is for a server that has a `url`");
            self.reading.note(Mistake::new(code::UNUSED, place.clone(), message));
        }
    }

    /// Reads how long something lives that speaks MCP.
    pub(super) fn idle_and_lifetime(&mut self, path: &str, table: &mut McpTable) -> (Duration, Lifetime) {
        const DAY: Duration = Duration::from_secs(24 * 3_600);
        let idle = table.idle.take();
        let idle = self.span(&joined(path, "idle"), idle, Mcp::DEFAULT_IDLE, Duration::from_secs(1), DAY);
        (idle, table.lifetime.take().map(|lifetime| lifetime.value).unwrap_or_default())
    }

    fn auth(&mut self, path: &str, place: &Place, table: &mut McpTable) -> Option<Auth> {
        let before = self.reading.n_mistakes();
        let word = table.auth.take().map(|auth| auth.value).unwrap_or_default();
        self.only_of_oauth(path, word, table);
        let scopes = self.scopes(table.scopes.take());
        let client_id = table.client_id.take().map(|id| id.value);
        let client_secret = table.client_secret.take().map(|name| {
            let parsed = SecretName::parse(&name.value).map_err(|error| {
                Flaw::new(format!("{} is not a secret name", shown(&name.value))).legal(error.legal())
            });
            self.reading.accept(parsed, &name.place)
        });
        let client_metadata_url = table.client_metadata_url.take();
        let client_metadata_url =
            client_metadata_url.map(|url| self.reading.accept(document_url(&url.value), &url.place));
        let auth = match word {
            AuthWord::None => Auth::None,
            AuthWord::Oauth => Auth::Login(LoginClient {
                client_id,
                client_secret: client_secret.flatten(),
                client_metadata_url: client_metadata_url.flatten(),
                scopes,
            }),
            AuthWord::ClientCredentials => match (client_id, client_secret) {
                (Some(client_id), Some(client_secret)) => {
                    Auth::Credentials(OwnCredentials { client_id, client_secret: client_secret?, scopes })
                }
                (None, _) | (_, None) => {
                    let message = format!("`{path}` does not say which credentials the host has");
                    let mistake = Mistake::new(code::MISSING_KEY, place.clone(), message);
                    self.reading.note(mistake.legal("`client_id`, and `client_secret` with the name of a secret"));
                    return None;
                }
            },
        };
        (self.reading.n_mistakes() == before).then_some(auth)
    }

    /// Notes each key that means nothing with this way to prove who asks.
    fn only_of_oauth(&mut self, path: &str, word: AuthWord, table: &McpTable) {
        let id = table.client_id.as_ref().map(|key| &key.place);
        let secret = table.client_secret.as_ref().map(|key| &key.place);
        let document = table.client_metadata_url.as_ref().map(|key| &key.place);
        let scopes = table.scopes.as_ref().map(|key| &key.place);
        let foreign = match word {
            AuthWord::None => {
                vec![
                    ("client_id", id),
                    ("client_secret", secret),
                    ("client_metadata_url", document),
                    ("scopes", scopes),
                ]
            }
            AuthWord::Oauth if id.is_none() => vec![("client_secret", secret)],
            AuthWord::Oauth => vec![("client_metadata_url", document)],
            AuthWord::ClientCredentials => vec![("client_metadata_url", document)],
        };
        for (key, place) in foreign.into_iter().filter_map(|(key, place)| Some((key, place?))) {
            let message = match word {
                AuthWord::None => format!("`{path}.{key}` has no effect without `auth = \"oauth\"`"),
                AuthWord::Oauth if key == "client_secret" => {
                    format!("`{path}.client_secret` has no effect without `client_id`")
                }
                AuthWord::Oauth => format!("`{path}.{key}` has no effect beside `client_id`"),
                AuthWord::ClientCredentials => format!("`{path}.{key}` has no effect with `client-credentials`"),
            };
            self.reading.note(Mistake::new(code::UNUSED, place.clone(), message));
        }
    }

    fn scopes(&mut self, list: Option<At<Vec<At<String>>>>) -> Vec<String> {
        let mut scopes = Vec::new();
        for scope in list.map(|list| list.value).unwrap_or_default() {
            let token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            let fits = !scope.value.is_empty() && scope.value.bytes().all(token);
            let flaw = || Flaw::new(format!("{} is not a scope", shown(&scope.value))).legal("one word for each scope");
            if self.reading.accept(fits.then_some(()).ok_or_else(flaw), &scope.place).is_some() {
                scopes.push(scope.value);
            }
        }
        scopes
    }

    /// Notes what keeps a server at a URL from being reached with these grants.
    pub(super) fn can_be_reached(
        &mut self,
        path: &str,
        remote: &Remote,
        net: Option<&NetGrants>,
        secrets: &[SecretGrant],
    ) {
        let refused = |net: &NetGrants| {
            let denial = |method| net.decide(&NetRequest { method, url: &remote.url }).err();
            ["POST", "GET", "DELETE"].into_iter().find_map(denial)
        };
        if let Some(denial) = net.and_then(refused) {
            let message = format!("the server is out of reach: {}", denial.reason());
            let mistake = Mistake::new(code::CONFLICT, remote.place.clone(), message);
            self.reading.note(
                mistake.suggest(format!("add `net = [{}]` under `[{path}]`", crate::grant::quoted(&remote.grant()))),
            );
        }
        if let Some(name) = remote.client_secret().filter(|name| !secrets.iter().any(|secret| secret.name == **name)) {
            let message = format!("there is no secret `{name}` for `client_secret`");
            let mistake = Mistake::new(code::MISSING_KEY, remote.place.clone(), message);
            self.reading.note(mistake.suggest(format!("add it as `[{path}.secrets.{name}]`")));
        }
        let taken = |secret: &&SecretGrant| {
            let binding = secret.binding.as_ref().filter(|binding| binding.origin == remote.origin());
            binding.is_some_and(|binding| match &binding.placement {
                Placement::Header { name, .. } => name == "authorization",
                Placement::Basic { .. } => true,
                Placement::Query { .. } => false,
            })
        };
        if let (false, Some(secret)) = (remote.auth == Auth::None, secrets.iter().find(taken)) {
            let message = format!("the secret `{}` stands where `auth` puts its token", secret.name);
            let mistake = Mistake::new(code::CONFLICT, secret.place.clone(), message);
            self.reading.note(mistake.suggest("leave out the secret, or `auth`"));
        }
    }

    /// Notes what means nothing for a server that the host neither starts nor gives directories.
    pub(super) fn remote_fits(&mut self, path: &str, table: &PluginTable) {
        let limits = table.limits.as_ref().map(|limits| &limits.value);
        let foreign = [
            ("fs", table.fs.as_ref().map(|key| &key.place)),
            ("env", table.env.as_ref().and_then(|env| env.0.first()).map(|(name, _)| &name.place)),
            ("config", table.config.as_ref().and_then(|config| config.0.first()).map(|(name, _)| &name.place)),
            ("limits.memory", limits.and_then(|limits| limits.memory.as_ref()).map(|key| &key.place)),
            ("limits.handles", limits.and_then(|limits| limits.handles.as_ref()).map(|key| &key.place)),
            ("limits.table_elements", limits.and_then(|limits| limits.table_elements.as_ref()).map(|key| &key.place)),
        ];
        for (key, place) in foreign.into_iter().filter_map(|(key, place)| Some((key, place?))) {
            let message = format!("`{path}.{key}` has no effect: the server at the URL is not on this host");
            self.reading.note(Mistake::new(code::UNUSED, place.clone(), message));
        }
    }
}

impl Class {
    /// Where it is, if it is a server at a URL.
    #[must_use]
    pub fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Remote(remote) => Some(remote),
            Self::Component(_) | Self::Mcp(_) | Self::Process(_) | Self::Service(_) | Self::Code(_) => None,
        }
    }
}

/// The URL of a server.
fn server_url(text: &str) -> Result<Url, Flaw> {
    let url = web::url(text, "the URL of a server", URL_LEGAL)?;
    web::encrypted(url, "what is asked of the server", URL_LEGAL)
}

/// The URL of a document about the host.
fn document_url(text: &str) -> Result<Url, Flaw> {
    const LEGAL: &str = "`https://HOST/PATH`";
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.has_host() && url.path() != "/");
    let plain = url.filter(|url| url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    plain.ok_or_else(|| Flaw::new(format!("{} cannot name a document about this client", shown(text))).legal(LEGAL))
}
