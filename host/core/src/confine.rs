//! What the host's own process can reach once it is confined: the union of what is granted and of what its work takes.
//!
//! Nothing here touches the machine: the shell says what is where, and makes the kernel hold what comes out. What one
//! plugin may reach of it is still its own grants' business; this is for the day when those are got around.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use url::{Host, Url};

use crate::call::Ceiling;
use crate::config::{Class, ComponentSource, Config, Launch, Place, Plugin, Process, Sandbox};
use crate::grant::pattern::HostPattern;
use crate::grant::{Access, FsGrants, NetGrant, SecretSource};
use crate::name::PluginName;

/// What may be done with a file, or with all that lies below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Files are read, folders are listed.
    Read,
    /// The same, and files are started as programs.
    Run,
    /// What is there is read and written to: for devices.
    Use,
    /// Files, folders and links are read, made, changed, moved and removed. Devices, pipes and sockets are not made.
    Change,
}

impl Reach {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Use => "use",
            Self::Change => "change",
        }
    }

    fn covers(self, other: Self) -> bool {
        self == other || matches!((self, other), (Self::Run | Self::Change, Self::Read) | (Self::Change, Self::Use))
    }
}

/// How long a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// For one command: every file is read as it is now.
    Once,
    /// Until it is ended: files change, and others take their place.
    Serving,
    /// The same, and others connect to it: at a socket that was opened before it was confined.
    Listening,
}

/// A file or a folder that stays in reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRule {
    /// Without links.
    pub path: PathBuf,
    /// What may be done there.
    pub reach: Reach,
    /// What it is for.
    pub what: String,
    /// The line of the configuration that asks for it, `FILE:LINE`, if one does.
    pub at: Option<String>,
}

/// A `net` grant as the process needs it: the kernel knows ports, and no hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// The TCP port that connections go to.
    pub port: u16,
    /// Which names are looked up for it; none where the grant has an address.
    pub name: Option<HostPattern>,
    /// The grant as it was written.
    pub what: String,
    /// Its line in the configuration, `FILE:LINE`.
    pub at: String,
}

/// A command that prints a secret. It runs outside of the confinement, as its operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRule {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The secret it is for.
    pub what: String,
    /// Its line in the configuration, `FILE:LINE`.
    pub at: String,
}

/// A program that is started for a plugin, outside of the confinement and in one of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramRule {
    /// The plugin.
    pub plugin: PluginName,
    /// How it is started.
    pub launch: Launch,
    /// Whether a call's own words come after the command's.
    pub more_arguments: bool,
    /// The directories it reaches, and whether it may change what is there.
    pub files: Vec<(PathBuf, Access)>,
    /// Whether it reaches the network, by way of the host.
    pub net: bool,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Names of variables that hold secrets.
    pub variables: BTreeSet<String>,
    /// Its memory, in bytes.
    pub memory: u64,
    /// How many files it may have open.
    pub handles: u32,
    /// How many processes and threads it may be, with all it starts.
    pub processes: u32,
    /// Its line in the configuration, `FILE:LINE`.
    pub at: String,
}

impl ProgramRule {
    /// What is started for a plugin, if it is a program.
    #[must_use]
    pub fn of(plugin: &Plugin) -> Option<Self> {
        let launch = plugin.class.launch()?.clone();
        let grants = &plugin.grants;
        let process = plugin.class.process();
        let scripts = process.and_then(|process| process.folder.clone()).map(|folder| (folder, Access::ReadOnly));
        let granted = grants.fs.iter().map(|grant| (grant.host.clone(), grant.access));
        let files = granted.chain(scripts).collect();
        Some(Self {
            plugin: plugin.name.clone(),
            launch,
            more_arguments: process.is_some(),
            files,
            net: !grants.net.is_empty() && process.is_none_or(Process::reaches_network),
            env: grants.env.clone(),
            variables: grants.secrets.iter().filter_map(|secret| secret.variable.clone()).collect(),
            memory: plugin.limits.memory,
            handles: plugin.limits.handles,
            processes: plugin.class.processes(),
            at: grants.at.clone(),
        })
    }

    /// Whether another one would be started in the same way, wherever it is written.
    fn is_same(&self, other: &Self) -> bool {
        Self { at: String::new(), ..self.clone() } == Self { at: String::new(), ..other.clone() }
    }
}

/// A file that is in reach only as the file it was at the start, because the folder it lies in is not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The file.
    pub file: PathBuf,
    /// Its folder.
    pub folder: PathBuf,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, folder, what } = self;
        let (file, folder) = (file.display(), folder.display());
        write!(
            f,
            "{what} {file} is out of reach once another file takes its place, because all of {folder} is too much to \
             open up for it: put it in a folder of its own, or restart the host whenever it changes"
        )
    }
}

/// Which sockets can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// None.
    None,
    /// TCP, to the ports of [`Confinement::ports`].
    Tcp,
    /// All.
    Any,
}

/// What one process can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// How long it runs.
    pub life: Life,
    /// Files and folders.
    pub files: Vec<FileRule>,
    /// Which sockets.
    pub sockets: Sockets,
    /// Where connections go.
    pub hosts: Vec<HostRule>,
    /// Commands that run outside.
    pub commands: Vec<CommandRule>,
    /// Programs that run outside.
    pub programs: Vec<ProgramRule>,
    /// Files whose successors are out of reach.
    pub pinned: Vec<Pinned>,
}

/// Something a changed configuration asks for and the process can no longer have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// What it is.
    pub what: String,
    /// Where it is, and the line of the configuration that asks for it, `FILE:LINE`.
    pub at: String,
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) lies outside of what the host was confined to at its start; restart it", self.what, self.at)
    }
}

/// How the shell answers questions about paths.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// The user's home folder, if there is one.
    pub home: Option<&'a Path>,
    /// The path without links; none if there is nothing.
    pub real: &'a dyn Fn(&Path) -> Option<PathBuf>,
}

/// Where the host keeps its own things, and what it is made of.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The configuration file.
    pub config: &'a Path,
    /// The folder for artifacts, the audit and the key.
    pub state: &'a Path,
    /// The folder for compiled components.
    pub cache: &'a Path,
    /// The audit file.
    pub audit: &'a Path,
    /// Where the pieces of a result are saved, if somewhere.
    pub out: Option<&'a Path>,
    /// The program's own file.
    pub program: &'a Path,
    /// The shared libraries it runs with.
    pub libraries: &'a [PathBuf],
}

/// What every process needs of the system, whatever it is granted.
const SYSTEM: [(&str, Reach, &str); 6] = [
    ("/proc/self", Reach::Read, "what the host knows of itself"),
    ("/sys/fs/cgroup", Reach::Read, "how much of the processors the host may use"),
    ("/sys/devices/system/cpu", Reach::Read, "how many processors there are"),
    ("/dev/null", Reach::Use, "the streams of a process that has none"),
    ("/etc/ld.so.cache", Reach::Read, "where the program's libraries are"),
    ("/etc/ld.so.preload", Reach::Read, "where the program's libraries are"),
];

/// Folders in which everybody keeps things: too much to open up for the sake of one file.
const SHARED: [&str; 24] = [
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/lib",
    "/usr/local",
    "/usr/share",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/run",
    "/var/tmp",
];

impl Confinement {
    /// What a host needs for this configuration.
    #[must_use]
    pub fn of(config: &Config, life: Life, site: Site<'_>, look: Look<'_>) -> Self {
        let mut draft = Self::nothing(life);
        draft.own(config, site, look);
        for plugin in config.plugins.iter().filter(|plugin| plugin.enabled) {
            draft.plugin(plugin, look);
        }
        draft.own_hosts(config, site.config);
        if !draft.hosts.is_empty() {
            draft.sockets = Sockets::Tcp;
        }
        draft
    }

    /// Whether programs connect to it: at listeners that it is handed, and did not open itself.
    #[must_use]
    pub fn hears_programs(&self) -> bool {
        self.programs.iter().any(|program| program.net && program.launch.sandbox == Sandbox::Required)
    }

    /// What the process needs that looks up names for a confined one: it reads the system's settings and asks the
    /// network, in whichever way the system has it. It changes nothing and starts nothing.
    #[must_use]
    pub fn of_resolver() -> Self {
        let mut draft = Self { sockets: Sockets::Any, ..Self::nothing(Life::Serving) };
        draft.add(Some(PathBuf::from("/")), Reach::Read, "how the system looks up names", None);
        draft
    }

    /// What the process needs that compiles one component for the host: nothing beyond its standard streams.
    #[must_use]
    pub fn of_compiler() -> Self {
        Self::nothing(Life::Once)
    }

    /// The same, with what is at `url` in reach too. `what` and `at` say who asks for it.
    #[must_use]
    pub fn and_host(mut self, url: &Url, what: &str, at: &str) -> Self {
        self.hosts.extend(host_rule(url, what, at));
        if !self.hosts.is_empty() {
            self.sockets = Sockets::Tcp;
        }
        self
    }

    fn nothing(life: Life) -> Self {
        let (files, hosts, commands, pinned) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { life, files, sockets: Sockets::None, hosts, commands, programs: Vec::new(), pinned }
    }

    /// The TCP ports that connections may go to.
    #[must_use]
    pub fn ports(&self) -> BTreeSet<u16> {
        self.hosts.iter().map(|host| host.port).collect()
    }

    /// Which names are looked up, each pattern once.
    #[must_use]
    pub fn names(&self) -> Vec<&HostPattern> {
        let patterns = self.hosts.iter().filter_map(|host| host.name.as_ref());
        patterns.map(|pattern| (pattern.to_string(), pattern)).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// What this plugin needs and the process cannot have. What is not there at all is not among it.
    #[must_use]
    pub fn beyond(&self, plugin: &Plugin, look: Look<'_>) -> Vec<Beyond> {
        let needs = self.needs(plugin, look);
        let names = self.names();
        let file = |rule: &&FileRule| !self.files.iter().any(|own| own.covers(rule));
        let host = |rule: &&HostRule| {
            let named = rule.name.as_ref().is_none_or(|name| names.iter().any(|own| own.covers(name)));
            !named || !self.ports().contains(&rule.port)
        };
        let command = |rule: &&CommandRule| !self.commands.iter().any(|own| own.argv == rule.argv);
        let files = needs.files.iter().filter(file).map(FileRule::beyond);
        let hosts = needs.hosts.iter().filter(host).map(|rule| (&rule.what, &rule.at));
        let commands = needs.commands.iter().filter(command).map(|rule| (&rule.what, &rule.at));
        let program = |rule: &&ProgramRule| !self.programs.iter().any(|own| own.is_same(rule));
        let programs: Vec<_> = needs.programs.iter().filter(program).collect();
        let programs = programs
            .iter()
            .map(|rule| Beyond { what: format!("the program of `{}`", rule.plugin), at: rule.at.clone() });
        let others = hosts.chain(commands).map(|(what, at)| Beyond { what: what.clone(), at: at.clone() });
        files.chain(others).chain(programs).collect()
    }

    /// What one plugin needs.
    #[must_use]
    pub fn needs(&self, plugin: &Plugin, look: Look<'_>) -> Self {
        let mut draft = Self::nothing(self.life);
        draft.plugin(plugin, look);
        draft
    }

    /// What the host needs for itself.
    fn own(&mut self, config: &Config, site: Site<'_>, look: Look<'_>) {
        let real = |path: &Path| (look.real)(path);
        self.add(real(site.state), Reach::Change, "the state folder", None);
        self.add(real(site.cache), Reach::Change, "the cache", None);
        self.add(site.audit.parent().and_then(real), Reach::Change, "the folder of the audit", None);
        self.add(site.out.and_then(real), Reach::Change, "the folder of `--out`", None);
        for path in &config.host.extra_ca {
            self.add(real(path), Reach::Read, "`extra_ca`", None);
        }
        match self.life {
            Life::Once => {}
            Life::Serving | Life::Listening => self.file(site.config, look, "the configuration", None),
        }
        self.add(real(&site.config.with_extension("lock")), Reach::Read, "the lock file", None);
        for (path, reach, what) in SYSTEM {
            self.add(real(Path::new(path)), reach, what, None);
        }
        self.add(real(site.program), Reach::Run, "the program itself", None);
        for library in site.libraries {
            self.add(library.parent().and_then(real), Reach::Run, "the program's libraries", None);
        }
    }

    /// Where requests of the host's own go.
    fn own_hosts(&mut self, config: &Config, file: &Path) {
        let telemetry = config.telemetry.otlp.as_ref().map(|url| (url, "`otlp` under `[telemetry]`"));
        let webhook = config.approval.webhook.as_ref().map(|hook| (&hook.url, "`webhook` under `[approval]`"));
        let oauth = config.gateway.oauth.as_ref();
        let issuer = oauth.map(|oauth| (&oauth.issuer, "`issuer` under `[gateway.oauth]`"));
        let jwks = oauth.and_then(|oauth| oauth.jwks.as_ref()).map(|url| (url, "`jwks` under `[gateway.oauth]`"));
        for (url, what) in [telemetry, webhook, issuer, jwks].into_iter().flatten() {
            self.hosts.extend(host_rule(url, what, &file.display().to_string()));
        }
        for policy in config.policies.values() {
            let Ceiling::Within(most) = &policy.ceiling else { continue };
            let what = format!("in `create` of the policy `{}`", policy.name);
            self.hosts.extend(most.iter().map(|grant| grant_rule(grant, &what, &most.section().at)));
        }
    }

    fn plugin(&mut self, plugin: &Plugin, look: Look<'_>) {
        let (name, grants) = (&plugin.name, &plugin.grants);
        let at = |place: &Place| Some(line(&grants.at, place));
        match &plugin.class {
            Class::Component(ComponentSource::Builtin(_)) => {}
            Class::Component(ComponentSource::Path(path)) => {
                self.file(path, look, &format!("the component of `{name}`"), Some(grants.at.clone()));
            }
            Class::Mcp(_) => self.programs.extend(ProgramRule::of(plugin)),
            Class::Remote(_) => {}
            Class::Code(interpreted) => {
                if let Some(file) = interpreted.file() {
                    self.file(file, look, &format!("the program of `{name}`"), Some(grants.at.clone()));
                }
            }
            Class::Service(service) => {
                if let Some(file) = service.file() {
                    self.file(file, look, &format!("the document of `{name}`"), Some(grants.at.clone()));
                }
            }
            Class::Process(process) => {
                self.programs.extend(ProgramRule::of(plugin));
                // Their descriptions are read here, and the scripts themselves to see that they are what was described.
                let folder = process.folder.as_deref().and_then(look.real);
                self.add(folder, Reach::Read, &format!("the scripts of `{name}`"), Some(grants.at.clone()));
            }
        }
        // What a program reaches is its own, and nothing of the host's.
        let seen = if plugin.class.launch().is_none() { Some(&grants.fs) } else { None };
        let of_tools = plugin.tools.values().filter_map(|rule| rule.fs.as_ref());
        for grant in seen.into_iter().chain(of_tools).flat_map(FsGrants::iter) {
            let reach = match grant.access {
                Access::ReadOnly => Reach::Read,
                Access::ReadWrite => Reach::Change,
            };
            let what = format!("`{}` in `fs` of `{name}`", grant.text);
            self.add((look.real)(&grant.host), reach, &what, at(&grant.place));
        }
        let what = format!("in `net` of `{name}`");
        self.hosts.extend(grants.net.iter().map(|grant| grant_rule(grant, &what, &grants.at)));
        for secret in &grants.secrets {
            match &secret.source {
                SecretSource::Env(_) | SecretSource::Kept => {}
                SecretSource::File(path) => {
                    let what = format!("the file of the secret `{}`", secret.name);
                    self.file(path, look, &what, at(&secret.place));
                }
                SecretSource::Command(argv) => {
                    let what = format!("the command of the secret `{}`", secret.name);
                    let at = line(&grants.at, &secret.place);
                    self.commands.push(CommandRule { argv: argv.clone(), what, at });
                }
            }
        }
    }

    /// A file that is read, perhaps again and again. Where others take its place its folders are what has to be in reach:
    /// the one it is named in and, past all links, the one it lies in.
    fn file(&mut self, path: &Path, look: Look<'_>, what: &str, at: Option<String>) {
        let file = (look.real)(path);
        let folders: BTreeSet<PathBuf> = match self.life {
            Life::Once => BTreeSet::new(),
            Life::Serving | Life::Listening => {
                let parent = |path: &Path| path.parent().map(Path::to_owned);
                let named = path.parent().map(|folder| if folder == Path::new("") { Path::new(".") } else { folder });
                let named = named.and_then(look.real);
                [named, file.as_deref().and_then(parent)].into_iter().flatten().collect()
            }
        };
        let (shared, own): (Vec<_>, Vec<_>) = folders.into_iter().partition(|folder| is_shared(folder, look.home));
        let within_own = |file: &Path| own.iter().any(|folder| file.starts_with(folder));
        if let Some(file) = file.filter(|file| !within_own(file)) {
            let folder = shared.into_iter().find(|folder| file.parent() == Some(folder.as_path()));
            let pin = |folder| Pinned { file: file.clone(), folder, what: what.to_owned() };
            self.pinned.extend(folder.map(pin));
            self.add(Some(file), Reach::Read, what, at.clone());
        }
        for folder in own {
            self.add(Some(folder), Reach::Read, what, at.clone());
        }
    }

    /// Adds a rule for what is there, unless another one says it all.
    fn add(&mut self, path: Option<PathBuf>, reach: Reach, what: &str, at: Option<String>) {
        let Some(path) = path else { return };
        let rule = FileRule { path, reach, what: what.to_owned(), at };
        if !self.files.iter().any(|known| known.covers(&rule)) {
            self.files.push(rule);
        }
    }
}

impl FileRule {
    /// This rule as what cannot be had.
    #[must_use]
    pub fn beyond(&self) -> Beyond {
        let at = self.at.iter().map(|at| format!(", {at}"));
        Beyond { what: self.what.clone(), at: format!("{}{}", self.path.display(), at.collect::<String>()) }
    }

    fn covers(&self, other: &Self) -> bool {
        other.path.starts_with(&self.path) && self.reach.covers(other.reach)
    }
}

/// What requests that a grant lets through take. `at` is a line of the file the grant stands in.
fn grant_rule(grant: &NetGrant, what: &str, at: &str) -> HostRule {
    let name = match grant.host() {
        HostPattern::Address(_) => None,
        pattern @ (HostPattern::Name(_) | HostPattern::Under(_) | HostPattern::Any) => Some(pattern.clone()),
    };
    HostRule { port: grant.port(), name, what: format!("`{}` {what}", grant.text()), at: line(at, grant.place()) }
}

/// What a request of the host's own to `url` takes.
fn host_rule(url: &Url, what: &str, at: &str) -> Option<HostRule> {
    let name = match url.host()? {
        Host::Domain(name) => Some(HostPattern::Name(name.trim_end_matches('.').to_owned())),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    };
    let port = url.port_or_known_default()?;
    Some(HostRule { port, name, what: what.to_owned(), at: at.to_owned() })
}

/// Whether a folder holds what is none of the host's business: the user's home, what lies around it, or a place where
/// everybody keeps things.
fn is_shared(folder: &Path, home: Option<&Path>) -> bool {
    SHARED.iter().any(|shared| folder == Path::new(shared)) || home.is_some_and(|home| home.starts_with(folder))
}

/// The line of a grant, in the file that `at` (`FILE:LINE`) names.
fn line(at: &str, place: &Place) -> String {
    let file = at.rsplit_once(':').map_or(at, |(file, _)| file);
    format!("{file}:{}", place.line)
}

#[cfg(test)]
#[path = "confine_tests.rs"]
mod tests;
