//! What the operator wrote, read once: text with places, then meaning, and every mistake at its own place.
//!
//! [`read`] takes the text and gives a [`Config`] or all [`Mistake`]s. What is left out is not granted, what is not
//! understood is an error, and nothing invalid falls back to a default.

mod class;
mod file;
mod gateway;
mod interpreted;
mod locate;
mod mistake;
mod plugin;
mod process;
mod reader;
mod remote;
mod secret;
mod service;
mod tool;
pub(crate) mod variables;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map as JsonMap, Value as Json};
use toml::de::DeTable;

pub use self::class::{Class, ComponentSource, Expose, Launch, Lifetime, Mcp, Prefix, Sandbox, Start};
pub use self::gateway::{ApprovalSettings, GatewaySettings, Key, Metrics, OauthSettings, TelemetrySettings, Webhook};
pub use self::interpreted::{CodeSource, CodeTool, Interpreted};
pub use self::locate::locate;
pub(crate) use self::mistake::Lines;
pub use self::mistake::{Flaw, Mistake, Place, Source, code, render};
pub use self::process::{Process, ProcessKind, Trust};
use self::reader::{At, Bytes, Env, Reading, Time};
pub use self::remote::{Auth, LoginClient, OwnCredentials, Remote};
pub use self::service::{Credential, Document, Known, Login, METHODS, NamingWord, Request, Service, Spec, narrowed_to};
use crate::call::Policy;
use crate::grant::fs::Roots;
use crate::grant::limit::Span;
use crate::grant::{Access, FsGrants, Grants, Limits, NetGrants, Section, SomeLimits};
use crate::lock::Lock;
use crate::name::{PluginName, SecretName, ToolName};

/// Everything an operator said.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The host itself.
    pub host: HostSettings,
    /// The record of every call.
    pub audit: AuditSettings,
    /// The HTTP server.
    pub gateway: GatewaySettings,
    /// What callers may do, by name.
    pub policies: BTreeMap<String, Arc<Policy>>,
    /// Callers with a key, by name.
    pub keys: BTreeMap<String, Key>,
    /// How a person is asked.
    pub approval: ApprovalSettings,
    /// Where traces and metrics go.
    pub telemetry: TelemetrySettings,
    /// What provides tools, in the order of the file.
    pub plugins: Vec<Plugin>,
    /// What was pinned in the lock file; none without one. [`read`] leaves it out: it is a file of its own.
    pub lock: Option<Arc<Lock>>,
}

/// Where the host keeps things and how much it does at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSettings {
    /// The folder for artifacts, the audit log and the host's key; none means the user's own state folder.
    pub state: Option<PathBuf>,
    /// The folder for compiled components; none means the user's own cache folder.
    pub cache: Option<PathBuf>,
    /// Calls at once in total.
    pub calls: u32,
    /// Calls that may wait for a slot before a new one is refused.
    pub queue: u32,
    /// PEM files with certificates that are trusted beside the built-in roots.
    pub extra_ca: Vec<PathBuf>,
    /// Whether the host runs where the kernel cannot confine it.
    pub confine: Confine,
    /// Processor time that compiling one component may take.
    pub compile_time: Duration,
    /// Memory that compiling one component may take.
    pub compile_memory: u64,
}

/// Whether the host runs where the kernel cannot confine it to what is granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confine {
    /// It runs, and says what the kernel lacks.
    #[default]
    BestEffort,
    /// It refuses to start.
    Required,
}

impl Confine {
    pub(crate) const ALL: [Self; 2] = [Self::BestEffort, Self::Required];

    /// As it stands in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BestEffort => "best-effort",
            Self::Required => "required",
        }
    }
}

impl HostSettings {
    /// Calls at once where the config says nothing.
    pub const DEFAULT_CALLS: u32 = 64;
    /// Calls that may wait where the config says nothing.
    pub const DEFAULT_QUEUE: u32 = 256;
    /// Processor time of compiling where the config says nothing: three times what the largest component we know takes.
    pub const DEFAULT_COMPILE_TIME: Duration = Duration::from_secs(120);
    /// Memory of compiling where the config says nothing: four times what the largest component we know takes.
    pub const DEFAULT_COMPILE_MEMORY: u64 = 2 << 30;
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            state: None,
            cache: None,
            calls: Self::DEFAULT_CALLS,
            queue: Self::DEFAULT_QUEUE,
            extra_ca: Vec::new(),
            confine: Confine::default(),
            compile_time: Self::DEFAULT_COMPILE_TIME,
            compile_memory: Self::DEFAULT_COMPILE_MEMORY,
        }
    }
}

/// Where the record of every call is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// The file; none means `audit.db` in the state folder.
    pub file: Option<PathBuf>,
    /// How long records are kept.
    pub keep: Duration,
    /// Bytes from which on the oldest records go before their time.
    pub max: u64,
}

impl AuditSettings {
    /// How long records are kept where the config says nothing: 90 days.
    pub const DEFAULT_KEEP: Duration = Duration::from_secs(90 * 24 * 3_600);
    /// Bytes from which on the oldest records go where the config says nothing.
    pub const DEFAULT_MAX: u64 = 1 << 30;
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { file: None, keep: Self::DEFAULT_KEEP, max: Self::DEFAULT_MAX }
    }
}

/// One `[plugins.NAME]` table.
#[derive(Clone)]
pub struct Plugin {
    /// Its name.
    pub name: PluginName,
    /// Whether it is loaded.
    pub enabled: bool,
    /// What it is.
    pub class: Class,
    /// Whether its tools are tools, or commands of one.
    pub expose: Expose,
    /// When its tools have its name before their own.
    pub prefix: Prefix,
    /// What it may reach.
    pub grants: Arc<Grants>,
    /// Settings as it reads them.
    pub config: BTreeMap<String, String>,
    /// What one call may use.
    pub limits: Limits,
    /// Whether a person is asked before a call.
    pub approval: Approval,
    /// Second names, each with the tool it stands for.
    pub alias: BTreeMap<ToolName, ToolName>,
    /// JSON Schema that the arguments of every tool have to match beside the tool's own.
    pub arguments: Option<Json>,
    /// Arguments that are set for every tool.
    pub inject: JsonMap<String, Json>,
    /// Rules for single tools; `*` fills in what a tool's own rule leaves out.
    pub tools: BTreeMap<String, ToolRule>,
    /// Where the table is.
    pub place: Place,
    /// Whether it is no table of the file but a registration that the host keeps.
    pub kept: bool,
}

impl fmt::Debug for Plugin {
    /// Leaves out the values of `config` and `inject`: an operator may have put a credential there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.name)
            .field("enabled", &self.enabled)
            .field("class", &self.class)
            .field("grants", &self.grants)
            .field("config", &self.config.keys())
            .field("inject", &self.inject.keys().collect::<Vec<_>>())
            .field("limits", &self.limits)
            .field("approval", &self.approval)
            .field("tools", &self.tools.keys())
            .finish_non_exhaustive()
    }
}

/// Whether a person is asked before a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approval {
    /// If the tool says that it is high risk.
    #[default]
    Auto,
    /// Before each call.
    Always,
    /// Not at all.
    Never,
}

impl Approval {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Always, Self::Never];

    /// As it stands in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// One `[plugins.NAME.tools.TOOL]` table: what is not set is left as it is.
#[derive(Clone, Default)]
pub struct ToolRule {
    /// Whether the tool may be called.
    pub allow: Option<bool>,
    /// All it may reach over HTTP.
    pub net: Option<NetGrants>,
    /// All directories it sees.
    pub fs: Option<FsGrants>,
    /// All secrets it may use.
    pub secrets: Option<BTreeSet<SecretName>>,
    /// What one call may use.
    pub limits: SomeLimits,
    /// Whether a person is asked before a call.
    pub approval: Option<Approval>,
    /// JSON Schema that its arguments have to match too.
    pub arguments: Option<Json>,
    /// Arguments that are set.
    pub inject: JsonMap<String, Json>,
    /// The table, for messages.
    pub section: Section,
}

/// What holds for one tool once everything that was said about it is put together.
#[derive(Clone)]
pub struct Effective {
    /// Whether it may be called.
    pub allowed: bool,
    /// What it may reach.
    pub grants: Arc<Grants>,
    /// What one call may use.
    pub limits: Limits,
    /// Whether a person is asked before a call.
    pub approval: Approval,
    /// JSON Schemas that its arguments have to match, every one, beside the tool's own.
    pub arguments: Vec<Json>,
    /// Arguments that are set: they win over the caller's and are hidden from it.
    pub inject: JsonMap<String, Json>,
}

impl fmt::Debug for Effective {
    /// Leaves out the values of `inject`: an operator may have put a credential there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effective")
            .field("allowed", &self.allowed)
            .field("grants", &self.grants)
            .field("limits", &self.limits)
            .field("approval", &self.approval)
            .field("inject", &self.inject.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Default for Effective {
    /// A tool of which nothing was said: it may be called, and may reach nothing.
    fn default() -> Self {
        Self {
            allowed: true,
            grants: Arc::default(),
            limits: Limits::DEFAULT,
            approval: Approval::default(),
            arguments: Vec::new(),
            inject: JsonMap::new(),
        }
    }
}

/// What grants make possible at all, whatever a tool says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// It can change nothing outside of itself: no directory to write to, and nobody to send a request to.
    pub changes_nothing: bool,
    /// It can reach some host.
    pub reaches_network: bool,
}

impl Effective {
    /// Says what the grants make possible at all.
    pub fn authority(&self) -> Authority {
        let writes = self.grants.fs.iter().any(|grant| grant.access == Access::ReadWrite);
        let reaches_network = !self.grants.net.is_empty();
        Authority { changes_nothing: !writes && !reaches_network, reaches_network }
    }
}

/// The longest file that is read: a thousand plugins fit many times over.
const LONGEST: usize = 1 << 20;

/// The most mistakes that are told at once: nobody reads more.
const MOST_MISTAKES: usize = 100;

/// Reads a config. `env` looks up a variable of the environment.
///
/// # Errors
/// All mistakes, in the order of the file. If the text is not TOML, those of the syntax alone.
pub fn read(source: &Source, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Vec<Mistake>> {
    if source.text.len() > LONGEST {
        let message = format!("the file has {} bytes; at most {LONGEST} are read", source.text.len());
        let start = Place { line: 1, column: 1, span: 0..0 };
        return Err(vec![Mistake::new(code::VALUE, start, message)]);
    }
    let mut reading = Reading::new(&source.text, env);
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        for error in errors {
            let mistake = syntax_mistake(&source.text, &error, &reading);
            reading.note(mistake);
        }
        return Err(ordered(without_echoes(&source.text, reading.into_mistakes())));
    }
    let text = file::File::of(table.get_ref(), "", &mut reading);
    let config = Typing { source, env, reading: &mut reading }.config(text);
    match ordered(reading.into_mistakes()) {
        mistakes if mistakes.is_empty() => Ok(config),
        mistakes => Err(mistakes),
    }
}

/// The JSON Schema of the file, for editors: the same keys that [`read`] knows, with descriptions and defaults.
pub fn json_schema() -> Json {
    file::json_schema()
}

/// A text as it would stand in the file, to be read back as it is.
pub fn quoted(text: &str) -> String {
    crate::grant::quoted(&text.replace("${", "$${"))
}

/// A mistake of the syntax; the parser's words are kept where they say enough.
fn syntax_mistake(text: &str, error: &toml::de::Error, reading: &Reading<'_>) -> Mistake {
    let place = reading.place(error.span().unwrap_or(0..0));
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (error.message(), None),
    };
    let rest_of_line = text[place.span.start..].lines().next().unwrap_or_default();
    let found = &text[place.span.clone()];
    if message == "duplicate key" {
        return Mistake::new(code::DUPLICATE, place, format!("`{found}` is there already"));
    }
    if let Some(control) = found.chars().next().filter(|found| found.is_control() && !matches!(found, '\n' | '\r')) {
        let message = format!("the control character U+{:04X} cannot stand here", u32::from(control));
        return Mistake::new(code::SYNTAX, place, message);
    }
    match (message, expected) {
        (message, _) if message.contains("recursion") => Mistake::new(code::SYNTAX, place, "this is nested too deeply"),
        ("invalid basic string" | "invalid literal string", Some(_)) if rest_of_line.is_empty() => {
            Mistake::new(code::SYNTAX, place, "the string is not closed")
        }
        ("string values must be quoted", _) if rest_of_line.is_empty() => {
            Mistake::new(code::SYNTAX, place, "there is no value")
                .legal("a string, a number, true, false, a list, a table")
        }
        ("string values must be quoted", _) => {
            let word = rest_of_line.split([',', ' ', ']', '}', '#']).next().unwrap_or_default();
            Mistake::new(code::SYNTAX, place, "a string needs quotes").suggest(format!("write `\"{word}\"`"))
        }
        (message, Some(expected)) => Mistake::new(code::SYNTAX, place, message).legal(expected),
        (message, None) => Mistake::new(code::SYNTAX, place, message),
    }
}

/// Takes out the keys of a table that is there twice: the table is the mistake, not each of its keys.
fn without_echoes(text: &str, mistakes: Vec<Mistake>) -> Vec<Mistake> {
    let is_header = |line: &str| line.trim_start().starts_with('[');
    let lines: Vec<&str> = text.lines().collect();
    let header_of = |line: usize| lines.iter().take(line).rposition(|line| is_header(line)).map(|at| at + 1);
    let twice: Vec<usize> =
        mistakes.iter().filter(|mistake| mistake.code == code::DUPLICATE).map(|mistake| mistake.place.line).collect();
    let is_echo = |mistake: &Mistake| {
        let header = header_of(mistake.place.line).filter(|header| *header != mistake.place.line);
        mistake.code == code::DUPLICATE && header.is_some_and(|header| twice.contains(&header))
    };
    mistakes.into_iter().filter(|mistake| !is_echo(mistake)).collect()
}

/// In the order of the file, each once, and not more than a person would read.
fn ordered(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort_by_key(|mistake| mistake.place.span.start);
    mistakes.dedup();
    let n_hidden = mistakes.len().saturating_sub(MOST_MISTAKES);
    if let (true, Some(hidden)) = (n_hidden > 0, mistakes.get(MOST_MISTAKES)) {
        let more = Mistake::new(code::MORE, hidden.place.clone(), format!("{n_hidden} more mistakes from here on"));
        mistakes.truncate(MOST_MISTAKES);
        mistakes.push(more);
    }
    mistakes
}

/// The second pass: from text with places to what it means.
struct Typing<'r, 't> {
    source: &'r Source,
    env: Env<'r>,
    reading: &'r mut Reading<'t>,
}

impl Typing<'_, '_> {
    fn config(&mut self, file: file::File) -> Config {
        let host = file.host.map_or_else(HostSettings::default, |host| self.host(host.value));
        let audit = file.audit.map_or_else(AuditSettings::default, |audit| self.audit(audit.value));
        let own = OwnPaths::of(&self.source.base, &host, &audit);
        let tables = file.plugins.unwrap_or_default();
        let plugins: Vec<Plugin> =
            tables.0.into_iter().filter_map(|(name, table)| self.plugin(&name, table, &own)).collect();
        let policies = self.policies(file.policies.unwrap_or_default());
        let gateway =
            file.gateway.map_or_else(GatewaySettings::default, |gateway| self.gateway(gateway.value, &policies));
        let keys = self.keys(file.keys.unwrap_or_default(), &policies);
        let approval = file.approval.map_or_else(ApprovalSettings::default, |approval| self.approval(approval.value));
        let telemetry = self.telemetry(file.telemetry.map(|telemetry| telemetry.value));
        let policies = policies.into_iter().filter_map(|(name, policy)| Some((name, policy?))).collect();
        Config { host, audit, gateway, policies, keys, approval, telemetry, plugins, lock: None }
    }

    fn host(&mut self, table: file::HostTable) -> HostSettings {
        HostSettings {
            state: table.state.and_then(|path| self.path(&path)),
            cache: table.cache.and_then(|path| self.path(&path)),
            calls: self.count("host.calls", table.calls, HostSettings::DEFAULT_CALLS, 1, 1_000),
            queue: self.count("host.queue", table.queue, HostSettings::DEFAULT_QUEUE, 0, 10_000),
            extra_ca: table
                .extra_ca
                .map(|list| list.value)
                .unwrap_or_default()
                .iter()
                .filter_map(|path| self.path(path))
                .collect(),
            confine: table.confine.map(|confine| confine.value).unwrap_or_default(),
            compile_time: self.span(
                "host.compile_time",
                table.compile_time,
                HostSettings::DEFAULT_COMPILE_TIME,
                Duration::from_secs(1),
                Duration::from_secs(3_600),
            ),
            compile_memory: self.size(
                "host.compile_memory",
                table.compile_memory,
                HostSettings::DEFAULT_COMPILE_MEMORY,
                64 << 20,
                64 << 30,
            ),
        }
    }

    fn audit(&mut self, table: file::AuditTable) -> AuditSettings {
        const HOUR: Duration = Duration::from_secs(3_600);
        AuditSettings {
            file: table.file.and_then(|path| self.path(&path)),
            keep: self.span("audit.keep", table.keep, AuditSettings::DEFAULT_KEEP, HOUR, 87_600 * HOUR),
            max: self.size("audit.max", table.max, AuditSettings::DEFAULT_MAX, 1 << 20, 1 << 40),
        }
    }

    fn path(&mut self, text: &At<String>) -> Option<PathBuf> {
        let home = (self.env)("HOME");
        let roots = Roots { base: &self.source.base, home: home.as_deref() };
        let path = roots.resolve(&text.value);
        self.reading.accept(path, &text.place)
    }

    fn count(&mut self, key: &str, value: Option<At<u32>>, default: u32, least: u32, most: u32) -> u32 {
        let Some(At { value, place, .. }) = value else {
            return default;
        };
        if !(least..=most).contains(&value) {
            let mistake = Mistake::new(code::VALUE, place, format!("`{key}` cannot be {value}"));
            self.reading.note(mistake.legal(format!("{least} to {most}")));
        }
        value
    }

    fn size(&mut self, key: &str, value: Option<At<Bytes>>, default: u64, least: u64, most: u64) -> u64 {
        use crate::grant::limit::Size;
        let Some(At { value: Bytes(value), place, .. }) = value else {
            return default;
        };
        if !(least..=most).contains(&value) {
            let mistake = Mistake::new(code::VALUE, place, format!("`{key}` cannot be {}", Size(value)));
            self.reading.note(mistake.legal(format!("{} to {}", Size(least), Size(most))));
        }
        value
    }

    fn span(
        &mut self,
        key: &str,
        value: Option<At<Time>>,
        default: Duration,
        least: Duration,
        most: Duration,
    ) -> Duration {
        let Some(At { value: Time(value), place, .. }) = value else {
            return default;
        };
        if !(least..=most).contains(&value) {
            let mistake = Mistake::new(code::VALUE, place, format!("`{key}` cannot be {}", Span(value)));
            self.reading.note(mistake.legal(format!("{} to {}", Span(least), Span(most))));
        }
        value
    }

    /// The table a path names, and the line where it starts.
    fn section(&self, table: &str, place: &Place) -> Section {
        Section::new(table, &format!("{}:{}", self.source.name, place.line))
    }
}

/// What belongs to the host: a plugin that could write here, or read some of it, could grant itself more.
struct OwnPaths {
    /// The folder of the config file.
    config: PathBuf,
    /// Folders and files that no plugin may even read, and what each is.
    private: Vec<(PathBuf, &'static str)>,
}

impl OwnPaths {
    fn of(base: &Path, host: &HostSettings, audit: &AuditSettings) -> Self {
        let named = [
            (&host.state, "the state folder (`host.state`)"),
            (&host.cache, "the cache (`host.cache`)"),
            (&audit.file, "the audit log (`audit.file`)"),
        ];
        let private = named.into_iter().filter_map(|(path, what)| path.clone().map(|path| (path, what))).collect();
        Self { config: base.to_path_buf(), private }
    }
}
