//! What a plugin is: a component, or a program of its own that the host starts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{LimitsTable, McpTable, PluginTable, SecretTable};
use super::mistake::{Flaw, Mistake, Place, code, shown};
use super::plugin::{builtin, wasm_file};
use super::process::Process;
use super::reader::{At, Bytes, Given, joined};
use super::{Interpreted, Remote, Service, Typing};
use crate::grant::limit::{Limits, Size};
use crate::grant::{FsGrants, NetGrants};
use crate::launcher::Installer;

/// What a plugin can be: exactly one of these keys makes it one.
const CLASSES: &str = "`component`, `mcp`, `openapi`, `http`, `code`, `process`";

/// What a plugin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// A WebAssembly component.
    Component(ComponentSource),
    /// An MCP server that the host starts.
    Mcp(Mcp),
    /// An MCP server at a URL.
    Remote(Box<Remote>),
    /// Native programs of the operator's.
    Process(Process),
    /// An HTTP service.
    Service(Box<Service>),
    /// Programs for an interpreter of the host's.
    Code(Interpreted),
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentSource {
    /// One that is part of the program.
    Builtin(String),
    /// A `.wasm` file, absolute.
    Path(PathBuf),
}

/// An MCP server that speaks over its standard streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mcp {
    /// How it is started.
    pub launch: Launch,
    /// When it is started.
    pub start: Start,
    /// How long it may do nothing before it is ended.
    pub idle: Duration,
    /// How long one lives, and who shares it.
    pub lifetime: Lifetime,
}

impl Mcp {
    /// How long a server may do nothing where the config says nothing.
    pub const DEFAULT_IDLE: Duration = Duration::from_secs(300);
}

/// A native program.
#[derive(Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program and its arguments; at least the program.
    pub command: Vec<String>,
    /// Its working directory; none means a folder of its own.
    pub cwd: Option<PathBuf>,
    /// Whether it runs where the kernel cannot hold it to its grants.
    pub sandbox: Sandbox,
    /// Whether it is a package that is installed on the way. Then its own folder holds programs.
    pub installs: bool,
}

impl fmt::Debug for Launch {
    /// Leaves out the arguments: an operator may have put a credential there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("program", &self.command.first())
            .field("cwd", &self.cwd)
            .field("sandbox", &self.sandbox)
            .field("installs", &self.installs)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Launch {
    /// The command, as a person would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, word) in self.command.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@+,%".contains(c));
            if plain { write!(f, "{space}{word}")? } else { write!(f, "{space}{word:?}")? }
        }
        Ok(())
    }
}

/// When a server is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the first call.
    #[default]
    Lazy,
    /// With the host.
    Eager,
}

impl Start {
    pub(crate) const ALL: [Self; 2] = [Self::Lazy, Self::Eager];

    /// As it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lazy => "lazy",
            Self::Eager => "eager",
        }
    }
}

/// How long a server lives, and who shares it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// One for all callers.
    #[default]
    Pooled,
    /// One for each session of a caller.
    Session,
    /// One for each call.
    Call,
}

impl Lifetime {
    pub(crate) const ALL: [Self; 3] = [Self::Pooled, Self::Session, Self::Call];

    /// As it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::Session => "session",
            Self::Call => "call",
        }
    }
}

/// Whether a program runs where the kernel cannot hold it to its grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// It does not.
    #[default]
    Required,
    /// It runs with all rights of the host, wherever it runs.
    Off,
}

impl Sandbox {
    pub(crate) const ALL: [Self; 2] = [Self::Required, Self::Off];

    /// As it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Off => "off",
        }
    }
}

/// Whether a server's tools are tools, or commands of one tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expose {
    /// Each is a tool.
    #[default]
    Flat,
    /// All are commands of one.
    Aggregate,
}

impl Expose {
    pub(crate) const ALL: [Self; 2] = [Self::Flat, Self::Aggregate];

    /// As it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Aggregate => "aggregate",
        }
    }
}

/// When tools have their plugin's name before their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefix {
    /// When another plugin has a tool of that name.
    #[default]
    Conflict,
    /// Always.
    Always,
}

impl Prefix {
    pub(crate) const ALL: [Self; 2] = [Self::Conflict, Self::Always];

    /// As it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Always => "always",
        }
    }
}

impl Class {
    /// How it is started, if it is a program.
    #[must_use]
    pub fn launch(&self) -> Option<&Launch> {
        match self {
            Self::Component(_) | Self::Remote(_) | Self::Service(_) | Self::Code(_) => None,
            Self::Mcp(mcp) => Some(&mcp.launch),
            Self::Process(process) => Some(&process.launch),
        }
    }

    /// Its native programs, if that is what it is.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        match self {
            Self::Component(_) | Self::Mcp(_) | Self::Remote(_) | Self::Service(_) | Self::Code(_) => None,
            Self::Process(process) => Some(process),
        }
    }

    /// Whether it is a component.
    #[must_use]
    pub fn is_component(&self) -> bool {
        match self {
            Self::Component(_) => true,
            Self::Mcp(_) | Self::Remote(_) | Self::Process(_) | Self::Service(_) | Self::Code(_) => false,
        }
    }

    /// Whether it is an MCP server.
    #[must_use]
    pub fn is_server(&self) -> bool {
        match self {
            Self::Component(_) | Self::Process(_) | Self::Service(_) | Self::Code(_) => false,
            Self::Mcp(_) | Self::Remote(_) => true,
        }
    }

    /// What one call may use where the config says nothing.
    #[must_use]
    pub fn limits(&self) -> Limits {
        match self {
            Self::Component(_) | Self::Remote(_) => Limits::DEFAULT,
            Self::Service(_) => Limits::OF_SERVICES,
            Self::Code(_) => Limits::OF_CODE,
            Self::Mcp(_) => Limits::OF_PROGRAMS,
            Self::Process(process) => process.kind.limits(),
        }
    }

    /// Processes and threads of one program, with all it starts; none of what is no program.
    #[must_use]
    pub fn processes(&self) -> u32 {
        match self {
            Self::Component(_) | Self::Remote(_) | Self::Service(_) | Self::Code(_) => 0,
            Self::Mcp(_) => 256,
            // As many as those before us gave a command.
            Self::Process(_) => 512,
        }
    }

    /// The key that makes a plugin one.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Component(_) => "component",
            Self::Mcp(_) | Self::Remote(_) => "mcp",
            Self::Process(_) => "process",
            Self::Service(service) => service.key(),
            Self::Code(Interpreted::Executor | Interpreted::Mode | Interpreted::Runner) => "component",
            Self::Code(Interpreted::Tool(_)) => "code",
        }
    }
}

impl Typing<'_, '_> {
    /// Reads the one key that says what a plugin is.
    pub(super) fn class(&mut self, path: &str, place: &Place, table: &mut PluginTable) -> Option<Class> {
        let given = [
            table.component.is_some(),
            table.mcp.is_some(),
            table.openapi.is_some(),
            table.http.is_some(),
            table.code.is_some(),
            table.process.is_some(),
        ];
        match given.into_iter().filter(|given| *given).count() {
            0 => {
                let message = format!("`[{path}]` does not say what it is");
                let mistake = Mistake::new(code::MISSING_KEY, place.clone(), message);
                self.reading.note(mistake.legal(CLASSES).suggest("add `component = \"…\"`"));
                return None;
            }
            1 => {}
            _ => {
                let message = format!("`[{path}]` says twice what it is");
                let mistake = Mistake::new(code::CONFLICT, place.clone(), message);
                self.reading.note(mistake.legal(format!("exactly one of {CLASSES}")));
                return None;
            }
        }
        if let Some(component) = table.component.take() {
            return self.component(component);
        }
        if let Some(process) = table.process.take() {
            let At { value, place, .. } = process.0?;
            return self.process(&joined(path, "process"), &place, value).map(Class::Process);
        }
        if let Some(program) = table.code.take() {
            let At { value, place, .. } = program.0?;
            let tool = self.code_tool(&joined(path, "code"), &place, value)?;
            return Some(Class::Code(Interpreted::Tool(Box::new(tool))));
        }
        if let Some(openapi) = table.openapi.take() {
            let At { value, place, .. } = openapi.0?;
            return self.openapi(&joined(path, "openapi"), &place, value).map(Box::new).map(Class::Service);
        }
        if let Some(http) = table.http.take() {
            let At { value, place, .. } = http.0?;
            return self.http(&joined(path, "http"), &place, value).map(Box::new).map(Class::Service);
        }
        let At { value, place, clean } = table.mcp.take()?.0?;
        self.server(&joined(path, "mcp"), &place, value, clean)
    }

    fn component(&mut self, component: Given<At<String>>) -> Option<Class> {
        let component = component.0?;
        let source = match component.value.strip_prefix("builtin:") {
            Some(name) if Interpreted::builtin(name).is_some() => return Interpreted::builtin(name).map(Class::Code),
            Some(name) => self.reading.accept(builtin(name), &component.place).map(ComponentSource::Builtin),
            None => {
                self.reading.accept(wasm_file(&component.value), &component.place)?;
                self.path(&component).map(ComponentSource::Path)
            }
        };
        source.map(Class::Component)
    }

    /// Reads an MCP server: one that is started, or one at a URL.
    fn server(&mut self, path: &str, place: &Place, table: McpTable, clean: bool) -> Option<Class> {
        const LEGAL: &str = "exactly one of `command`, `url`";
        match (&table.command, &table.url) {
            (Some(_), None) => self.mcp(path, place, table).map(Class::Mcp),
            (None, Some(_)) => self.remote(path, place, table).map(Box::new).map(Class::Remote),
            (Some(_), Some(url)) => {
                let message = format!("`{path}` says twice where the server is");
                self.reading.note(Mistake::new(code::CONFLICT, url.place.clone(), message).legal(LEGAL));
                None
            }
            (None, None) => {
                // What could not be read has been noted.
                if clean {
                    let message = format!("`{path}` does not say where the server is");
                    self.reading.note(Mistake::new(code::MISSING_KEY, place.clone(), message).legal(LEGAL));
                }
                None
            }
        }
    }

    fn mcp(&mut self, path: &str, place: &Place, mut table: McpTable) -> Option<Mcp> {
        self.only_of_remotes(path, &table);
        let (idle, lifetime) = self.idle_and_lifetime(path, &mut table);
        let install = table.install.is_some_and(|install| install.value);
        let sandbox = table.sandbox.map(|sandbox| sandbox.value).unwrap_or_default();
        let start = table.start.map(|start| start.value).unwrap_or_default();
        let command = self.command(path, place, table.command)?;
        let installs = self.installs(&command, install)?;
        let cwd = match table.cwd {
            Some(cwd) => Some(self.path(&cwd)?),
            None => None,
        };
        let command = command.value.into_iter().map(|word| word.value).collect();
        Some(Mcp { launch: Launch { command, cwd, sandbox, installs }, start, idle, lifetime })
    }

    /// Reads a program and its arguments.
    pub(super) fn command(
        &mut self,
        path: &str,
        place: &Place,
        command: Option<At<Vec<At<String>>>>,
    ) -> Option<At<Vec<At<String>>>> {
        const LEGAL: &str = "a program and its arguments, no shell: `[\"/usr/bin/node\", \"server.js\"]`";
        let Some(command) = command else {
            let message = format!("`{path}` does not say what is started");
            self.reading.note(Mistake::new(code::MISSING_KEY, place.clone(), message).legal(LEGAL));
            return None;
        };
        if !command.clean {
            return None;
        }
        let program = command.value.first().filter(|program| !program.value.is_empty());
        let Some(program) = program else {
            let flaw = Flaw::new("the command has no program").legal(LEGAL);
            self.reading.note(flaw.at(code::VALUE, command.place.clone()));
            return None;
        };
        if let Some(word) = command.value.iter().find(|word| word.value.contains('\0')) {
            let message = format!("{} holds a NUL, which no argument can", shown(&word.value));
            self.reading.note(Mistake::new(code::VALUE, word.place.clone(), message));
            return None;
        }
        if program.value.contains(char::is_whitespace) && command.value.len() == 1 {
            let message = format!("{} is one word with spaces in it", shown(&program.value));
            let mistake = Mistake::new(code::VALUE, program.place.clone(), message).legal(LEGAL);
            self.reading.note(mistake.suggest("write each word for itself"));
            return None;
        }
        Some(command)
    }

    /// Whether a command installs a package on the way. Without `install = true` none does, and with it the version has
    /// to be there.
    pub(super) fn installs(&mut self, command: &At<Vec<At<String>>>, install: bool) -> Option<bool> {
        let words: Vec<&str> = command.value.iter().map(|word| word.value.as_str()).collect();
        let note = |typing: &mut Self, code, message: String, suggestion: String| {
            typing.reading.note(Mistake::new(code, command.place.clone(), message).suggest(suggestion));
            None
        };
        match (Installer::of(&words), install) {
            (None, false) => Some(false),
            (None, true) => {
                let message = "`install = true` has no effect: the command installs nothing that is known".to_owned();
                note(self, code::UNUSED, message, format!("leave it out; it is for {}", Installer::KNOWN))
            }
            (Some(installer), false) => {
                let message = format!("`{}` downloads and installs a package whenever it likes", installer.program);
                let remedy = "install it once and name the installed program, or add `install = true` to allow it";
                note(self, code::CONFLICT, message, remedy.to_owned())
            }
            (Some(Installer { package: Some(_), version: Some(_), .. }), true) => Some(true),
            (Some(Installer { program, package, .. }), true) => {
                let package = package.unwrap_or("PACKAGE");
                let message = format!("`{program}` would install whatever version of `{package}` is the newest");
                let at = if program == "uvx" || program == "uv" { "==" } else { "@" };
                note(self, code::VALUE, message, format!("name an exact version: `{package}{at}1.2.3`"))
            }
        }
    }
}

/// Keys that a class of plugins has no use for. What parses and does nothing would mislead.
impl Typing<'_, '_> {
    /// Notes every key that does nothing, or cannot be held, for a plugin of this class.
    pub(super) fn fits(&mut self, path: &str, class: &Class, table: &PluginTable) {
        if let (false, Some(expose)) = (class.is_server(), &table.expose) {
            let message = "`expose` has no effect: it is for the tools of MCP servers";
            self.reading.note(Mistake::new(code::UNUSED, expose.place.clone(), message));
        }
        for (name, secret) in table.secrets.iter().flat_map(|secrets| &secrets.0) {
            self.secret_fits(&name.value, class, &secret.value);
        }
        self.code_fits(path, class, table);
        if class.remote().is_some() {
            self.remote_fits(path, table);
        }
        if let Some(service) = class.service() {
            self.service_fits(path, service, table);
        }
        if class.launch().is_none() {
            return;
        }
        let key = class.key();
        if let Some((name, _)) = table.config.iter().flat_map(|config| &config.0).next() {
            let message = format!("`config` has no effect: a plugin with `{key}` reads no settings");
            let mistake = Mistake::new(code::UNUSED, name.place.clone(), message);
            self.reading.note(mistake.suggest("give it arguments in its command, or variables in `env`"));
        }
        if let Some(limits) = &table.limits {
            self.limits_fit(&joined(path, "limits"), key, &limits.value);
        }
        for (name, rule) in table.tools.iter().flat_map(|tools| &tools.0) {
            let rule = &rule.value;
            let narrowed = [("net", &rule.net), ("fs", &rule.fs), ("secrets", &rule.secrets)];
            for (right, list) in narrowed.into_iter().filter_map(|(right, list)| Some((right, list.as_ref()?))) {
                let message =
                    format!("`{right}` of the tool `{}` cannot be held: all tools of one program", name.value);
                let message = format!("{message} share what it may reach");
                let mistake = Mistake::new(code::CONFLICT, list.place.clone(), message);
                self.reading.note(mistake.suggest(format!("narrow `{right}` of `[{path}]`, or make it two plugins")));
            }
            if let Some(limits) = &rule.limits {
                let path = joined(&joined(&joined(path, "tools"), &name.value), "limits");
                self.limits_fit(&path, key, &limits.value);
                let of_program = [("memory", limits.value.memory.as_ref().map(|memory| &memory.place))];
                for (limit, place) in of_program.into_iter().filter_map(|(limit, place)| Some((limit, place?))) {
                    let message = format!("`{path}.{limit}` cannot be held: all tools of one program share it");
                    self.reading.note(Mistake::new(code::CONFLICT, place.clone(), message));
                }
            }
        }
    }

    fn limits_fit(&mut self, path: &str, key: &str, limits: &LimitsTable) {
        let foreign = [
            ("table_elements", limits.table_elements.as_ref().map(|limit| &limit.place)),
            ("http_requests", limits.http_requests.as_ref().map(|limit| &limit.place)),
            ("http_request_body", limits.http_request_body.as_ref().map(|limit| &limit.place)),
            ("http_response_body", limits.http_response_body.as_ref().map(|limit| &limit.place)),
        ];
        for (limit, place) in foreign.into_iter().filter_map(|(limit, place)| Some((limit, place?))) {
            let message =
                format!("`{path}.{limit}` has no effect: it is for components, not for a plugin with `{key}`");
            self.reading.note(Mistake::new(code::UNUSED, place.clone(), message));
        }
        if let Some(At { value: Bytes(memory), place, .. }) = &limits.memory
            && *memory < Limits::LEAST_OF_PROGRAMS
        {
            let least = Size(Limits::LEAST_OF_PROGRAMS);
            let message = format!("`{path}.memory` cannot be {}: no program comes up with that", Size(*memory));
            self.reading.note(Mistake::new(code::VALUE, place.clone(), message).legal(format!("{least} or more")));
        }
    }

    /// A secret reaches a component by way of its requests, and a program by way of its environment.
    fn secret_fits(&mut self, name: &str, class: &Class, secret: &SecretTable) {
        let bound = [
            ("origin", secret.origin.as_ref()),
            ("header", secret.header.as_ref()),
            ("basic", secret.basic.as_ref()),
            ("query", secret.query.as_ref()),
        ];
        let bound = bound.into_iter().filter_map(|(key, given)| Some((key, &given?.place)));
        let reveal = secret.reveal.as_ref().map(|reveal| ("reveal", &reveal.place));
        let (unfit, remedy): (Vec<_>, _) = match class {
            Class::Component(_) => {
                let variable = secret.variable.as_ref().map(|variable| ("variable", &variable.place));
                (variable.into_iter().collect(), "a component has it with `origin` and `header`, `basic` or `query`")
            }
            Class::Remote(_) | Class::Service(_) => {
                let variable = secret.variable.as_ref().map(|variable| ("variable", &variable.place));
                (
                    variable.into_iter().chain(reveal).collect(),
                    "it is had with `origin` and `header`, `basic` or `query`",
                )
            }
            // It has none at all, which is noted once for all of them.
            Class::Code(_) => return,
            Class::Mcp(_) | Class::Process(_) => {
                (bound.chain(reveal).collect(), "a program has it with `variable = \"NAME\"`")
            }
        };
        for (key, place) in unfit {
            let message = format!("`{key}` of the secret `{name}` cannot be had by a plugin with `{}`", class.key());
            let mistake = Mistake::new(code::CONFLICT, place.clone(), message);
            self.reading.note(mistake.suggest(remedy));
        }
    }

    /// Notes each grant that the kernel and a proxy cannot hold a program to.
    pub(super) fn can_be_held(&mut self, class: &Class, net: &NetGrants, fs: &FsGrants) {
        let Some(launch) = class.launch() else { return };
        for grant in net.iter().filter(|grant| !grant.holds_in_a_tunnel()) {
            let message =
                format!("`{}` cannot be held: nobody sees methods and paths within a program's TLS", grant.text());
            let mistake = Mistake::new(code::CONFLICT, grant.place().clone(), message);
            self.reading.note(mistake.suggest(format!("to allow the whole host, write `{}`", grant.whole_host())));
        }
        for grant in fs.iter().filter(|grant| Path::new(&grant.guest) != grant.host) {
            let message = format!("`{}` cannot be held: a program sees a directory where it is", grant.text);
            let mistake = Mistake::new(code::CONFLICT, grant.place.clone(), message);
            self.reading.note(mistake.suggest("leave out the second path"));
        }
        if let (Sandbox::Off, Some(first)) = (launch.sandbox, net.iter().next()) {
            let message = "`net` has no effect with `sandbox = \"off\"`: the program reaches what the host reaches";
            self.reading.note(Mistake::new(code::UNUSED, first.place().clone(), message));
        }
        if let (Sandbox::Off, Some(first)) = (launch.sandbox, fs.iter().next()) {
            let message = "`fs` has no effect with `sandbox = \"off\"`: the program reaches what the host reaches";
            self.reading.note(Mistake::new(code::UNUSED, first.place.clone(), message));
        }
    }
}
