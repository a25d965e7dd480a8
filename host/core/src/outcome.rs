//! The one result type of a call, and the stable codes of everything that can go wrong.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::context::Role;

/// What a call came to. Every front end maps this to its own wire shape in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// A result, or why there is none.
    pub result: Result<Output, Failure>,
    /// What the plugin was refused on the way, in order, one entry per distinct refusal. A result can have some too:
    /// the plugin went on without.
    pub denials: Vec<Failure>,
}

impl Outcome {
    /// A call that gave a result.
    #[must_use]
    pub fn done(output: Output) -> Self {
        Self { result: Ok(output), denials: Vec::new() }
    }

    /// A call that gave none.
    #[must_use]
    pub fn failed(failure: Failure) -> Self {
        Self { result: Err(failure), denials: Vec::new() }
    }

    /// `ok`, or the failure's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.result {
            Ok(_) => "ok",
            Err(failure) => failure.code.as_str(),
        }
    }
}

/// A tool's result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// The pieces in order.
    pub content: Vec<Content>,
    /// The result as JSON, when the tool has one.
    pub structured: Option<Value>,
    /// For whom pieces are and how much they matter, by their place in `content`: hints of an MCP server's.
    pub notes: BTreeMap<usize, Note>,
}

/// What a server says of one piece of a result (MCP, "Annotations"). A hint, and no more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Note {
    /// For whom it is; empty where that was not said.
    pub audience: Vec<Role>,
    /// How much it matters, from 0 to 1.
    pub priority: Option<f32>,
    /// When it was changed last, as RFC 3339 writes it.
    pub last_modified: Option<String>,
}

impl Output {
    /// A result that is one piece of text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: vec![Content::Text(text.into())], ..Self::default() }
    }

    /// All text pieces, one after the other, for callers that take only text.
    #[must_use]
    pub fn plain(&self) -> String {
        let texts: Vec<&str> = self
            .content
            .iter()
            .filter_map(|piece| match piece {
                Content::Text(text) => Some(text.as_str()),
                Content::Image(_) | Content::Audio(_) | Content::Resource(_) | Content::Link(_) => None,
            })
            .collect();
        texts.join("\n")
    }

    /// The bytes this result counts for against `limits.output`: all its texts and data, and a little for each piece
    /// after the first, because a caller's copy of an empty piece is not empty.
    #[must_use]
    pub fn size(&self) -> u64 {
        let pieces: u64 = self.content.iter().map(Content::size).sum();
        let frames = self.content.len().saturating_sub(1) * PIECE_FRAME;
        pieces + (frames + self.structured.as_ref().map_or(0, length)) as u64
    }
}

/// How long `value` is as JSON text, without making the text.
fn length(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting does not fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// One piece of a result; the kinds are those of MCP content.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Text for the caller.
    Text(String),
    /// An image.
    Image(Media),
    /// Sound.
    Audio(Media),
    /// A document given whole.
    Resource(EmbeddedResource),
    /// A document named.
    Link(ResourceLink),
}

/// What a piece takes in an answer beside its content.
const PIECE_FRAME: usize = 32;

impl Content {
    /// The bytes this piece counts for against `limits.output`.
    #[must_use]
    pub fn size(&self) -> u64 {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let size = match self {
            Self::Text(text) => text.len(),
            Self::Image(media) | Self::Audio(media) => media.data.len() + media.mime_type.len(),
            Self::Resource(resource) => {
                let body = match &resource.body {
                    ResourceBody::Text(text) => text.len(),
                    ResourceBody::Blob(blob) => blob.len(),
                };
                body + resource.uri.len() + length(&resource.mime_type)
            }
            Self::Link(link) => {
                let optional = length(&link.title) + length(&link.description) + length(&link.mime_type);
                link.uri.len() + link.name.len() + optional
            }
        };
        size as u64
    }
}

/// Bytes with a media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The bytes, not encoded.
    pub data: Vec<u8>,
    /// As in RFC 6838.
    pub mime_type: String,
}

/// A document given whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedResource {
    /// Identifies it; never fetched by the host.
    pub uri: String,
    /// Its media type, where known.
    pub mime_type: Option<String>,
    /// Its content.
    pub body: ResourceBody,
}

/// What an embedded resource holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceBody {
    /// Text.
    Text(String),
    /// Bytes, not encoded.
    Blob(Vec<u8>),
}

/// A document named, not given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct ResourceLink {
    /// Where it is; never fetched by the host.
    pub uri: String,
    /// A short name.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Its media type, where known.
    pub mime_type: Option<String>,
    /// Its size in bytes, where known.
    pub size: Option<u64>,
}

/// Why a call gave no result: a code for programs, a sentence for people, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Stable.
    pub code: Code,
    /// What happened, to what, and why.
    pub message: String,
    /// What to change, where that is known: for a denial the TOML line that would allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Failure {
    /// A failure without advice.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fix: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fix {
            Some(fix) => write!(f, "{}; {fix}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Failure {}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// A stable name for what went wrong. New ones may come, none changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// All codes, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as callers see it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What it means, for the documentation and `bailiwick help`.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }

            /// The code with this name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

codes! {
    /// The arguments do not match the tool's schema, or make no sense together.
    ArgumentsInvalid = "arguments.invalid",
    /// The arguments are larger or deeper than the host takes.
    ArgumentsTooLarge = "arguments.too-large",
    /// No tool of this name, or none this caller may see.
    ToolUnknown = "tool.unknown",
    /// What the arguments name is not there.
    ToolNotFound = "tool.not-found",
    /// The tool could not do it.
    ToolFailed = "tool.failed",
    /// The caller may not run tools.
    DeniedExecute = "denied.execute",
    /// The caller may not use this tool.
    DeniedTool = "denied.tool",
    /// A person said no, or nobody could be asked.
    DeniedApproval = "denied.approval",
    /// The plugin is not what was pinned, and nobody has accepted what it is now.
    DeniedQuarantined = "denied.quarantined",
    /// No net grant names the host.
    DeniedNetHost = "denied.net.host",
    /// The host is granted with another scheme.
    DeniedNetScheme = "denied.net.scheme",
    /// The host is granted on another port.
    DeniedNetPort = "denied.net.port",
    /// The origin is granted for other methods.
    DeniedNetMethod = "denied.net.method",
    /// The origin is granted for other paths.
    DeniedNetPath = "denied.net.path",
    /// The name leads to an address that is not public and not granted.
    DeniedNetAddress = "denied.net.addr",
    /// No fs grant lets the plugin read the path.
    DeniedFsRead = "denied.fs.read",
    /// No fs grant lets the plugin write the path.
    DeniedFsWrite = "denied.fs.write",
    /// The secret is not granted, or only for use by the host.
    DeniedSecret = "denied.secret",
    /// No `call` grant names the tool that a plugin's code called.
    DeniedCall = "denied.call",
    /// The command is not one the operator lets run, or asks for more trust than is granted.
    DeniedProcess = "denied.process",
    /// The caller may not manage tools.
    DeniedManage = "denied.manage",
    /// The tool would reach more than tools that its maker makes may reach.
    DeniedCeiling = "denied.ceiling",
    /// The deadline passed.
    LimitTime = "limit.time",
    /// The plugin asked for more memory than it may have.
    LimitMemory = "limit.memory",
    /// The plugin's stack overflowed.
    LimitStack = "limit.stack",
    /// The plugin holds too many handles.
    LimitHandles = "limit.handles",
    /// The result is larger than `limits.output` and cannot be kept as an artifact, or more than the host takes at once.
    LimitOutput = "limit.output",
    /// The plugin's code made more calls of other tools than it may.
    LimitCalls = "limit.calls",
    /// Too many HTTP requests, or a body over its limit.
    LimitHttp = "limit.http",
    /// Too many calls at once; try again later.
    LimitConcurrency = "limit.concurrency",
    /// Too many requests in a minute; try again later.
    LimitRate = "limit.rate",
    /// The caller's budget is used up; there is more later.
    LimitBudget = "limit.budget",
    /// A component is larger than the host takes, or takes more to compile than it may.
    LimitCompile = "limit.compile",
    /// The plugin trapped.
    PluginTrap = "plugin.trap",
    /// The plugin called exit.
    PluginExit = "plugin.exit",
    /// The plugin broke the contract.
    PluginInvalid = "plugin.invalid",
    /// The operator has to set something first.
    PluginNotConfigured = "plugin.not-configured",
    /// The tool has to ask a person something, and this caller cannot show a form.
    CallerNoInput = "caller.no-input",
    /// The tool has to ask a model something, and this caller lends none.
    CallerNoSampling = "caller.no-sampling",
    /// The tool has to know where the caller works, and this caller does not say.
    CallerNoRoots = "caller.no-roots",
    /// A service did not answer in time.
    UpstreamTimeout = "upstream.timeout",
    /// A name could not be resolved.
    UpstreamDns = "upstream.dns",
    /// A service could not be reached.
    UpstreamConnect = "upstream.connect",
    /// A service's certificate or handshake is no good.
    UpstreamTls = "upstream.tls",
    /// A service did not keep to its protocol.
    UpstreamProtocol = "upstream.protocol",
    /// A service answered with an error.
    UpstreamStatus = "upstream.status",
    /// A service wants to know who asks, and nobody has logged in, or the login is no good any more.
    UpstreamAuth = "upstream.auth",
    /// The plugin's MCP server does not run and could not be started, or cannot be reached; the call did not get there.
    ServerUnreachable = "server.unreachable",
    /// The plugin's MCP server ended in the middle of the call; what it did of it until then is done.
    ServerEnded = "server.ended",
    /// The caller gave up.
    Cancelled = "call.cancelled",
    /// The tool's risk is high and the audit cannot be written: it did not run.
    HostAudit = "host.audit",
    /// A mistake in Bailiwick itself; the log says more.
    Internal = "host.internal",
}

impl Code {
    /// Whether this is a refusal by policy.
    #[must_use]
    pub fn is_denial(self) -> bool {
        self.as_str().starts_with("denied.")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_as_itself() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert!(!code.meaning().trim().is_empty(), "{code} says nothing");
        }
    }
}
