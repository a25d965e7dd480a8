//! A service or tool that was registered while the host was there, beside the plugins of the configuration.
//!
//! A [`Registration`] holds names and no values: what stands in its headers and what is injected is sealed elsewhere. It
//! stands for the text of one `[plugins.NAME]` table, so the reader of the configuration judges it like any other.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use url::{Host, Url};

use crate::config::{self, Class, CodeSource, Flaw, Interpreted, Known, Mistake, Plugin, Source, Spec};
use crate::grant::limit::Span;
use crate::grant::{Origin, Placement, SecretSource};
use crate::name::{PluginName, SecretName, ToolName};

mod ceiling;
pub mod code;
pub mod login;
pub mod resource;
mod table;

#[cfg(test)]
mod tests;

pub use self::ceiling::{reader, unfit, within};
pub use self::code::Code;

/// How long a call may take where nobody says.
pub const DEFAULT_TIMEOUT_MS: u64 = 10_000;

/// Methods that a service with a document is granted where nobody says.
const METHODS: &str = "GET,HEAD,POST,PUT,PATCH,DELETE";

/// The same, one by one.
const METHODS_OF_SERVICES: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Addresses of this machine itself, for services that are named by one of its names.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// What was registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// A UUID, version 4; it stays when the name changes.
    pub id: String,
    /// The name of the plugin.
    pub name: PluginName,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is registered.
    pub protocol: Protocol,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: u64,
    /// Headers of every request to its origin. What they hold is sealed.
    #[serde(default)]
    pub headers: Vec<Header>,
    /// Names of arguments that are set: they win over a caller's and are hidden from it. What they hold is sealed.
    #[serde(default)]
    pub inject: Vec<String>,
    /// Address ranges beyond the public internet that its hosts may resolve to. Those of this machine come by themselves
    /// for `localhost`.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// What it may reach; empty for what it needs.
    #[serde(default)]
    pub net: Vec<String>,
    /// The caller who registered it.
    pub owner: String,
    /// When, in seconds since 1970.
    pub created_at: i64,
    /// When it was changed last, in seconds since 1970.
    pub updated_at: i64,
}

/// What is registered, and how it is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Protocol {
    /// A service with an OpenAPI document: each operation is a tool.
    OpenApi(OpenApi),
    /// One request as a tool.
    Http(Http),
    /// One tool of an MCP server at a URL.
    Mcp(Mcp),
    /// Another name for a tool that is there.
    Native(Native),
    /// A program for an interpreter of the host's, which reaches nothing.
    Code(Code),
}

impl Protocol {
    /// The word for it, stable.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::OpenApi(_) => "openapi",
            Self::Http(_) => "http",
            Self::Mcp(_) => "mcp",
            Self::Native(_) => "native",
            Self::Code(_) => "code",
        }
    }
}

/// A service with an OpenAPI document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenApi {
    /// Where it is.
    pub url: String,
    /// Its document, where that is not at one of the usual places below the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Document>,
    /// How its tools are named.
    #[serde(default)]
    pub naming: Naming,
    /// Which operations become tools; empty means all.
    #[serde(default)]
    pub include: Vec<String>,
    /// Which do not, whatever `include` says.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Whether anybody may pass for the service: its certificate is not checked.
    #[serde(default)]
    pub unverified_tls: bool,
    /// How the host logs in there, if it has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<login::Login>,
}

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Document {
    /// At a URL.
    Url(String),
    /// In a file; its absolute path.
    File(PathBuf),
    /// Beside the registration: it came with it.
    Kept,
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Kept => f.write_str("kept here"),
        }
    }
}

/// How operations come by the names of their tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Naming {
    /// As the document names them.
    #[default]
    OperationId,
    /// The same, and an operation whose name is no tool's is left out.
    Exact,
    /// In small letters, digits and `_`.
    Slug,
}

impl Naming {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OperationId, Self::Exact, Self::Slug];

    /// As it stands in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OperationId => "operation-id",
            Self::Exact => "exact",
            Self::Slug => "slug",
        }
    }
}

/// One request as a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where it goes; `{name}` in the path stands for an argument.
    pub url: String,
    /// Its method, in capitals.
    pub method: String,
    /// What callers are told.
    #[serde(default)]
    pub description: String,
    /// What it takes; none means anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Json>,
    /// What it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Json>,
    /// Whether anybody may pass for the service: its certificate is not checked.
    #[serde(default)]
    pub unverified_tls: bool,
}

/// One tool of an MCP server at a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// Where the server is.
    pub url: String,
    /// The tool, as the server names it.
    pub tool: String,
    /// A schema that its arguments have to match beside the tool's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Json>,
    /// What it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Json>,
}

/// Another name for a tool that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Native {
    /// The tool, by the name callers use.
    pub tool: ToolName,
    /// What callers are told; none for what the tool says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A schema that its arguments have to match beside the tool's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Json>,
    /// What it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Json>,
}

/// A header whose value is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its name, as it was given.
    pub name: String,
    /// What it says; `{}` stands for the value.
    pub format: String,
}

/// Words before a credential that are none themselves.
const SCHEMES: [&str; 3] = ["bearer", "basic", "token"];

impl Header {
    /// Tells a header's credential from the word before it, so that the credential alone is what is sealed and kept out of
    /// sight. Gives the header, and what is to be sealed.
    ///
    /// # Errors
    /// The name is none that a sealed header can have, or the value is empty. The value is not in the sentence.
    pub fn of<'v>(name: &str, value: &'v str) -> Result<(Self, &'v str), Flaw> {
        Placement::header(name)?;
        SecretName::parse(name).map_err(|error| {
            let flaw = Flaw::new(format!("the header `{name}` cannot be kept"));
            flaw.legal(error.legal())
        })?;
        let value = value.trim();
        if value.is_empty() {
            return Err(Flaw::new(format!("the header `{name}` has no value")).legal(HEADER_LEGAL));
        }
        if value.contains(char::is_control) {
            let message = format!("the header `{name}` holds a line break or another control character");
            return Err(Flaw::new(message));
        }
        let scheme = value.split_once(' ').filter(|(word, _)| SCHEMES.iter().any(|s| s.eq_ignore_ascii_case(word)));
        let (format, value) = match scheme {
            Some((word, credential)) => (format!("{word} {{}}"), credential.trim()),
            None => ("{}".to_owned(), value),
        };
        Ok((Self { name: name.to_owned(), format }, value))
    }
}

/// Headers, and what is to be sealed of each, by its name.
pub type Sealing<'v> = (Vec<Header>, Vec<(String, &'v str)>);

/// Reads all headers of a service: names and values.
///
/// # Errors
/// As [`Header::of`], or two of them are one.
pub fn headers<'v>(given: impl IntoIterator<Item = (&'v str, &'v str)>) -> Result<Sealing<'v>, Flaw> {
    let (mut headers, mut values) = (Vec::<Header>::new(), Vec::new());
    for (name, value) in given {
        let (header, value) = Header::of(name, value)?;
        if headers.iter().any(|known| known.name.eq_ignore_ascii_case(name)) {
            return Err(Flaw::new(format!("the header `{name}` is given twice")));
        }
        values.push((header.name.clone(), value));
        headers.push(header);
    }
    Ok((headers, values))
}

/// What a header looks like, for messages.
const HEADER_LEGAL: &str = "`NAME: VALUE`";

/// Reads a header as it is written on a command line: its name and its value. The value is not in the error.
///
/// # Errors
/// There is no name before a colon.
pub fn header_line(text: &str) -> Result<(&str, &str), Flaw> {
    let (name, value) = text.split_once(':').unwrap_or_default();
    match name.trim() {
        "" => Err(Flaw::new("a header has no name before a `:`").legal(HEADER_LEGAL)),
        name => Ok((name, value.trim())),
    }
}

/// Reads an injected argument as it is written on a command line: its name and its value. The value is not in the error.
///
/// # Errors
/// There is no name before an equals sign.
pub fn inject_line(text: &str) -> Result<(&str, &str), Flaw> {
    let (name, value) = text.split_once('=').unwrap_or_default();
    match name.trim() {
        "" => Err(Flaw::new("an injected argument has no name before a `=`").legal("`NAME=VALUE`")),
        name => Ok((name, value.trim())),
    }
}

impl Registration {
    /// Where it is; none of what is here already.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match &self.protocol {
            Protocol::OpenApi(OpenApi { url, .. })
            | Protocol::Http(Http { url, .. })
            | Protocol::Mcp(Mcp { url, .. }) => Some(url),
            Protocol::Native(_) | Protocol::Code(_) => None,
        }
    }

    /// Whether it is believed whoever answers.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        match &self.protocol {
            Protocol::OpenApi(OpenApi { unverified_tls, .. }) | Protocol::Http(Http { unverified_tls, .. }) => {
                *unverified_tls
            }
            Protocol::Mcp(_) | Protocol::Native(_) | Protocol::Code(_) => false,
        }
    }

    /// Whether what callers see of it is what they saw of `before`, as long as the service itself does not change.
    #[must_use]
    pub fn publishes_as(&self, before: &Self) -> bool {
        (&self.name, self.published(), &self.inject) == (&before.name, before.published(), &before.inject)
    }

    /// What is called, without how the host comes to be let in.
    fn published(&self) -> Protocol {
        let mut protocol = self.protocol.clone();
        if let Protocol::OpenApi(service) = &mut protocol {
            service.login = None;
        }
        protocol
    }

    /// What it may reach: what was said, else what it needs.
    ///
    /// # Errors
    /// A URL of it is none.
    pub fn net(&self) -> Result<Vec<String>, Flaw> {
        if !self.net.is_empty() {
            return Ok(self.net.clone());
        }
        let Some(url) = self.url() else { return Ok(Vec::new()) };
        let origin = origin(url)?;
        Ok(match &self.protocol {
            Protocol::OpenApi(service) => {
                let document = match &service.spec {
                    Some(Document::Url(spec)) => Some(self::origin(spec)?).filter(|spec| *spec != origin),
                    Some(Document::File(_) | Document::Kept) | None => None,
                };
                let document = document.map(|document| format!("GET {document}"));
                let login = service.login.as_ref().map(|login| login_line(login, &origin)).transpose()?.flatten();
                std::iter::once(format!("{METHODS} {origin}")).chain(document).chain(login).collect()
            }
            Protocol::Http(Http { method, .. }) => vec![format!("{method} {origin}")],
            Protocol::Mcp(_) => vec![format!("GET,POST,DELETE {origin}")],
            Protocol::Native(_) | Protocol::Code(_) => Vec::new(),
        })
    }

    /// The address ranges beyond the public internet that its hosts may resolve to.
    #[must_use]
    pub fn ranges(&self) -> Vec<String> {
        let document = match &self.protocol {
            Protocol::OpenApi(OpenApi { spec: Some(Document::Url(spec)), .. }) => Some(spec.as_str()),
            Protocol::OpenApi(_) | Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Native(_) | Protocol::Code(_) => {
                None
            }
        };
        let login = self.login().map(|login| login.url.as_str());
        let is_local = self.url().into_iter().chain(document).chain(login).any(is_named_here);
        let own = if is_local { &LOOPBACK[..] } else { &[] };
        let given = |range: &&&str| self.addresses.iter().all(|known| known != *range);
        let own = own.iter().filter(given).map(|range| (*range).to_owned());
        self.addresses.iter().cloned().chain(own).collect()
    }

    /// The plugin it stands for, as the reader of the configuration understands it; none of a second name. Its secrets come
    /// from where values are kept, and what is injected has to be put in.
    ///
    /// # Errors
    /// What the reader does not accept, in sentences.
    pub fn plugin(&self) -> Result<Option<Plugin>, Flaw> {
        if self.timeout_ms == 0 {
            return Err(Flaw::new("the timeout has to be more than 0").legal("milliseconds, such as 10000"));
        }
        code::reaches_nothing(self)?;
        let Some(text) = self.table()? else { return Ok(None) };
        // Whose lines these are, for messages.
        let name = format!("bailiwick tools show --toml {}", self.name);
        let source = Source { name, text, base: PathBuf::from("/") };
        let read = config::read(&source, &|_| None).map_err(|mistakes| flaw(&mistakes))?;
        let plugin = read.plugins.into_iter().next();
        Ok(plugin.map(|plugin| kept(plugin, &self.protocol)))
    }
}

/// The line that a login takes beside those of its service, if it takes one.
fn login_line(login: &login::Login, service: &Origin) -> Result<Option<String>, Flaw> {
    let origin = origin(&login.url)?;
    let is_there = origin == *service && METHODS.split(',').any(|method| method == login.method);
    Ok((!is_there).then(|| format!("{} {origin}", login.method)))
}

/// The plugin, with values from where they are kept.
fn kept(mut plugin: Plugin, protocol: &Protocol) -> Plugin {
    if let (Protocol::OpenApi(OpenApi { spec: Some(Document::Kept), .. }), Class::Service(service)) =
        (protocol, &mut plugin.class)
        && let Known::Document(document) = &mut service.known
    {
        document.spec = Some(Spec::Kept);
    }
    if let (Protocol::Code(code), Class::Code(Interpreted::Tool(tool))) = (protocol, &mut plugin.class) {
        // To the byte, whatever became of it on its way through TOML.
        tool.source = CodeSource::Text(code.source.clone());
    }
    let mut grants = (*plugin.grants).clone();
    for secret in &mut grants.secrets {
        secret.source = SecretSource::Kept;
    }
    plugin.grants = grants.into();
    plugin.kept = true;
    plugin
}

/// What the reader of the configuration said, without its places.
fn flaw(mistakes: &[Mistake]) -> Flaw {
    let sentences: Vec<&str> = mistakes.iter().map(|mistake| mistake.message.as_str()).collect();
    let first = mistakes.first();
    let legal = first.and_then(|mistake| mistake.legal.clone());
    let suggestion = first.and_then(|mistake| mistake.suggestion.clone());
    Flaw { message: sentences.join("; "), legal, suggestion }
}

/// The origin of a service.
fn origin(text: &str) -> Result<Origin, Flaw> {
    let url = Url::parse(text).ok();
    url.as_ref().and_then(Origin::of).ok_or_else(|| {
        Flaw::new(format!("`{text}` is not the URL of a service")).legal("`https://HOST` or `http://HOST`, with a path")
    })
}

/// Whether a URL names this machine by one of its names.
fn is_named_here(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
    }
}

/// The time of a call, as it stands in the configuration.
fn time(milliseconds: u64) -> String {
    Span(std::time::Duration::from_millis(milliseconds)).to_string()
}
