//! From a configuration to plugins that can be called: components compiled, directories opened, secrets read, tools
//! described. Rights become handles here, once; no call looks at a path or a name again.

pub(crate) mod code;
mod programs;
mod servers;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use bailiwick_core::aggregate::gathered;
use bailiwick_core::call::CallId;
use bailiwick_core::config::{self, Approval, Class, ComponentSource, Config, Effective, Expose, Known, Prefix};
use bailiwick_core::context::{Catalogue, Contexts, Offer};
use bailiwick_core::grant::limit::Size;
use bailiwick_core::grant::{FsGrant, FsGrants, Grants, Limits, SecretGrant};
use bailiwick_core::lock::{Difference, Lock};
use bailiwick_core::name::{PluginName, SecretName, ToolName};
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::redact::brief;
use bailiwick_core::registry::{
    Annotations, Candidate, Definition, DefinitionError, Held, Naming, Publisher, Registry, Risk, Role, Tool, Trust,
    Which, annotations, check_published,
};
use bailiwick_core::schema::{ArgumentSchema, ResultSchema};

use crate::ambient::Links;
use crate::approval::Desk;
use crate::artifact::Artifacts;
use crate::audit::{Audit, Keeping};
use crate::channel::Channel;
use crate::code::{Interpreters, Program};
use crate::confine::Wall;
use crate::context::{CallContext, Ledger};
use crate::deadline::Deadline;
use crate::egress::Egress;
use crate::fleet::{self, Fleet};
use crate::host::Snapshot;
use crate::keeper::Keeper;
use crate::keys::Environment;
use crate::observe::{self, Observer};
use crate::process::Programs;
use crate::registrations::{Merged, Registrations, Vault, left_out, with_registrations};
use crate::resolver::Resolver;
use crate::runtime::{
    self, Cache, CompileLimits, Compiler, Component, ComponentDigest, Described, Directories, LoadError, MAX_COMPONENT,
    Runtime, Wasm,
};
use crate::search;
use crate::secrets::Secrets;
use crate::service::{Service, Services, Sessions};
use crate::store::{self, Store, StoreError};
use crate::telemetry::Trail;
use crate::{ambient, builtin, examine, settings};

/// Characters of what is said about a component.
const MAX_MESSAGE: usize = 2_000;

/// What a program that embeds the host decides; the rest is in the configuration.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Where names become addresses.
    pub resolver: Resolver,
    /// Where components are compiled that are not built in.
    pub compiler: Compiler,
    /// Whether what plugins are refused is written down, for `bailiwick suggest`.
    pub observe: bool,
    /// What this process is confined to, if it is.
    pub wall: Option<Arc<Wall>>,
    /// Who starts programs, if any plugin is one.
    pub keeper: Option<Arc<Keeper>>,
    /// Whether servers are asked what they have although it is known.
    pub afresh: bool,
    /// The one plugin that is loaded; without this, all are.
    pub only: Option<PluginName>,
    /// The key that comes from the environment, if one does.
    pub environment: Environment,
}

impl Setup {
    /// For a process that is confined, or was told not to be.
    #[must_use]
    pub fn behind(wall: Option<Arc<Wall>>) -> Self {
        let resolver = wall.as_ref().map_or_else(Resolver::default, |wall| wall.resolver());
        Self { resolver, wall, ..Self::default() }
    }
}

/// Why a host cannot start at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No folder for state or cache.
    #[error("no folder for {0}: set `HOME`, or `{1}` under `[host]`")]
    NoFolder(&'static str, &'static str),
    /// A file or folder of the host's own.
    #[error("cannot use {path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The database of the host's own.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine.
    #[error("this machine cannot run components: {0}")]
    Engine(String),
    /// TLS roots.
    #[error("egress cannot be set up: {0}")]
    Egress(String),
    /// The way to a collector.
    #[error("telemetry cannot be set up: {0}")]
    Telemetry(String),
    /// No random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
}

/// Why one plugin is not there.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The plugin.
    pub plugin: PluginName,
    /// Its line in the configuration, `FILE:LINE`.
    pub at: String,
    /// What is wrong.
    pub message: String,
    /// Stable: `denied.quarantined` for a plugin that is not what was pinned, the code of what is wrong with its component
    /// where that has one, `plugin.left-out` for the rest.
    pub code: &'static str,
    /// What to do about it, where that is known.
    pub fix: Option<String>,
    /// How it differs from what was pinned, line by line. Written by the plugin in part: what a terminal acts on has to
    /// be taken out before it is shown.
    pub difference: Option<String>,
    /// Whether the rest of the plugin is there.
    pub partly: bool,
}

/// Why a plugin cannot be loaded.
#[derive(Debug)]
pub(crate) struct LoadFault {
    /// Where it has one of its own.
    code: Option<Code>,
    pub(crate) message: String,
}

impl From<String> for LoadFault {
    fn from(message: String) -> Self {
        Self { code: None, message }
    }
}

impl From<LoadError> for LoadFault {
    /// What is said of a component has names in it that its author chose, as many as they liked.
    fn from(error: LoadError) -> Self {
        let message = brief(&error.to_string(), MAX_MESSAGE);
        Self { code: Some(error.code()), message }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.partly { "is there in part" } else { "is left out" };
        write!(f, "plugin `{}` ({}) {what}: {}", self.plugin, self.at, self.message)
    }
}

impl Problem {
    pub(crate) fn left_out(plugin: &PluginName, at: &str, message: String) -> Self {
        let (plugin, at) = (plugin.clone(), at.to_owned());
        Self { plugin, at, message, code: "plugin.left-out", fix: None, difference: None, partly: false }
    }
}

/// Why a plugin is left out.
enum Fault {
    /// It cannot be used.
    Broken(LoadFault),
    /// It is not what was pinned.
    Quarantined(Box<Quarantine>),
}

/// A plugin that is not what was pinned.
struct Quarantine {
    /// The lock file.
    lock: String,
    difference: Difference,
    /// The tools it had.
    tools: Vec<ToolName>,
}

impl<T: Into<LoadFault>> From<T> for Fault {
    fn from(fault: T) -> Self {
        Self::Broken(fault.into())
    }
}

impl Fault {
    /// What is reported and, of a plugin in quarantine, the names it keeps.
    fn told(self, configured: &config::Plugin) -> (Problem, Option<Held>) {
        let (plugin, at) = (&configured.name, &configured.grants.at);
        let quarantine = match self {
            Self::Broken(LoadFault { code, message }) => {
                let left_out = Problem::left_out(plugin, at, message);
                return (Problem { code: code.map_or(left_out.code, Code::as_str), ..left_out }, None);
            }
            Self::Quarantined(quarantine) => quarantine,
        };
        let Quarantine { lock, difference, tools } = *quarantine;
        let message = format!("it is not what {lock} pins: {}", difference.summary());
        let fix = format!("`bailiwick lock` shows the difference, `bailiwick lock --accept {plugin}` accepts it");
        let failure = Failure::new(Code::DeniedQuarantined, format!("plugin `{plugin}` is quarantined: {message}"));
        let failure = failure.with_fix(fix.clone());
        let aliases = configured.alias.iter().filter(|(_, tool)| tools.contains(tool));
        let aliases = aliases.map(|(alias, _)| alias.clone()).collect();
        let problem = Problem {
            code: failure.code.as_str(),
            fix: Some(fix),
            difference: Some(difference.text),
            ..Problem::left_out(plugin, at, message)
        };
        (problem, Some(Held { plugin: plugin.clone(), tools, aliases, naming: naming(configured), failure }))
    }
}

/// Checks that a plugin is what was pinned of it. One that was never pinned may be anything.
fn unchanged(
    configured: &config::Plugin,
    lock: &Lock,
    component: &Component,
    described: &Described,
    bytes: &[u8],
) -> Result<(), Fault> {
    let Some(pin) = lock.plugins.get(&configured.name) else { return Ok(()) };
    // What is no definition at all is refused for that, and not compared.
    described.check()?;
    let Some(difference) = examine::difference(configured, pin, component, &described.definitions(), bytes)? else {
        return Ok(());
    };
    // Not those it has now: a change nobody accepted takes no name from anybody.
    let tools = pin.published.tools.keys().filter_map(|name| ToolName::parse(name).ok()).collect();
    let quarantine = Quarantine { lock: lock.file.clone(), difference, tools };
    Err(Fault::Quarantined(Box::new(quarantine)))
}

/// A plugin that can be called.
pub struct Plugin {
    /// Its name.
    pub name: PluginName,
    /// `FILE:LINE` of its table.
    pub at: String,
    /// Where its code comes from, as the operator wrote it.
    pub source: String,
    /// Of what runs: a component's bytes, or how a program is started.
    pub digest: ComponentDigest,
    /// What it is: `component`, `mcp`, `openapi`, `http`, `code`, `process`.
    pub class: &'static str,
    pub(crate) backend: Backend,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) config: Arc<BTreeMap<String, String>>,
    pub(crate) slots: Semaphore,
}

/// What runs a plugin's tools.
pub(crate) enum Backend {
    /// The engine.
    Component {
        /// The code.
        component: Arc<Component>,
        /// The directories it sees.
        directories: Directories,
    },
    /// A server that the host speaks to.
    Server(Arc<fleet::Member>),
    /// Native programs, started for each call.
    Programs(Box<Programs>),
    /// An HTTP service.
    Service(Box<Service>),
    /// A program, or what runs some.
    Code(Box<Program>),
}

impl Plugin {
    /// How its server does, in a phrase; none of what runs only while it is called.
    #[must_use]
    pub fn condition(&self) -> Option<String> {
        match &self.backend {
            Backend::Component { .. } | Backend::Programs(_) | Backend::Service(_) | Backend::Code(_) => None,
            Backend::Server(member) => Some(member.server.condition().to_string()),
        }
    }

    /// The last lines that its server wrote beside the protocol, redacted.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        let lines = match &self.backend {
            Backend::Component { .. } | Backend::Programs(_) | Backend::Service(_) | Backend::Code(_) => Vec::new(),
            Backend::Server(member) => member.server.stderr(),
        };
        lines.iter().map(|line| self.secrets.redactor().text(line).into_owned()).collect()
    }

    /// What runs its tool, if that is a program or runs some.
    pub(crate) fn program(&self) -> Option<&Program> {
        match &self.backend {
            Backend::Code(program) => Some(program),
            Backend::Component { .. } | Backend::Server(_) | Backend::Programs(_) | Backend::Service(_) => None,
        }
    }

    /// What of a component or a service is no tool, and why.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        match &self.backend {
            Backend::Component { component, .. } => component.left_out.iter().map(ToString::to_string).collect(),
            Backend::Service(service) => service.left_out().to_vec(),
            Backend::Server(_) | Backend::Programs(_) | Backend::Code(_) => Vec::new(),
        }
    }

    /// What its service asks for that it does not have, with the lines that would give it.
    #[must_use]
    pub fn advice(&self) -> &[String] {
        match &self.backend {
            Backend::Service(service) => service.advice(),
            Backend::Component { .. } | Backend::Server(_) | Backend::Programs(_) | Backend::Code(_) => &[],
        }
    }

    /// Settings as what runs a tool of it reads them.
    pub(crate) fn settings(&self, tool: &Tool) -> Arc<BTreeMap<String, String>> {
        match &self.backend {
            Backend::Service(service) => service.settings(&tool.definition.name).cloned().unwrap_or_default(),
            Backend::Component { .. } | Backend::Server(_) | Backend::Programs(_) | Backend::Code(_) => {
                Arc::clone(&self.config)
            }
        }
    }
}

/// A plugin, with what it publishes.
struct Loaded {
    plugin: Plugin,
    described: Described,
    /// Why it is not configured, if it is not.
    reason: Option<String>,
    /// Names of tools it has beside those that are published.
    known: BTreeSet<String>,
    /// Of these, those that may not run.
    held: Vec<Held>,
    /// Why not.
    problems: Vec<Problem>,
    /// The plugin as its tools are held to it, where that is narrower than it is configured.
    held_to: Option<Box<config::Plugin>>,
}

/// Everything of a host that outlives a reload.
pub(crate) struct Parts {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) artifacts: Arc<Artifacts>,
    pub(crate) store: Arc<Store>,
    pub(crate) registrations: Arc<Registrations>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) audit: Audit,
    pub(crate) observer: Option<Observer>,
    pub(crate) wall: Option<Arc<Wall>>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) services: Arc<Services>,
    pub(crate) interpreters: Arc<Interpreters>,
}

impl Parts {
    /// What loads the plugins of a configuration, with the values of those that are kept.
    pub(crate) fn loader<'h>(&'h self, vault: &'h Vault) -> Loader<'h> {
        Loader {
            runtime: &self.runtime,
            egress: &self.egress,
            artifacts: &self.artifacts,
            wall: self.wall.as_ref(),
            fleet: &self.fleet,
            services: &self.services,
            interpreters: &self.interpreters,
            vault,
        }
    }
}

/// Opens what the host keeps for itself.
pub(crate) fn parts(config: &Config, setup: Setup) -> Result<Parts, StartError> {
    let state = settings::state_folder(config).ok_or(StartError::NoFolder("state", "state"))?;
    let file = |path: &std::path::Path| {
        let path = path.to_owned();
        move |error| StartError::File { path, error }
    };
    ambient::create_private_dir(&state).map_err(file(&state))?;
    let key_file = state.join(runtime::KEY_FILE);
    let key = runtime::host_key(&key_file).map_err(file(&key_file))?;
    let cache_folder = settings::cache_folder(config).ok_or(StartError::NoFolder("compiled components", "cache"))?;
    let cache = Cache::open(cache_folder.clone(), key).map_err(file(&cache_folder))?;
    let store = Arc::new(Store::open(&state.join(store::FILE))?);
    let registrations = Registrations::open(Arc::clone(&store), &key_file).map_err(file(&key_file))?;
    let audit_file = settings::audit_file(config).ok_or(StartError::NoFolder("the audit", "state"))?;
    let audit = Audit::open(Keeping { file: audit_file, keep: config.audit.keep, max: config.audit.max })?;
    let observed = state.join(observe::FILE);
    let observer = setup.observe.then(|| Observer::open(&observed)).transpose().map_err(file(&observed))?;
    let authorities = authorities(config)?;
    let egress = Egress::new(setup.resolver, &authorities).map_err(|error| StartError::Egress(error.to_string()))?;
    let egress = Arc::new(egress);
    let desk = Desk::open(Arc::clone(&store), Arc::clone(&egress), config.approval.clone(), &state);
    let runtime = Runtime::new(config.host.calls, Some(cache), setup.compiler, compile_limits(config))
        .map_err(|error| StartError::Engine(format!("{error:#}")))?;
    let artifacts = Arc::new(Artifacts::new(state.join("artifacts")));
    let (way, kept) = (Arc::clone(&egress), Arc::clone(&store));
    let fleet = Fleet::new(setup.keeper, way, Arc::clone(&artifacts), kept, setup.afresh);
    let (way, kept) = (Arc::clone(&egress), Some(Arc::clone(&store)));
    let sessions = Arc::new(Sessions::new(Arc::clone(&store), &key));
    let services = Services::new(way, kept, setup.afresh, fleet.changed()).with_sessions(sessions);
    let runtime = Arc::new(runtime);
    Ok(Parts {
        interpreters: Arc::new(Interpreters::new(&runtime)),
        runtime,
        egress,
        artifacts,
        fleet: Arc::new(fleet),
        services: Arc::new(services),
        store,
        registrations: Arc::new(registrations),
        desk: Arc::new(desk),
        audit,
        observer,
        wall: setup.wall,
    })
}

/// The certificates in `extra_ca`.
pub(crate) fn authorities(config: &Config) -> Result<Vec<Vec<u8>>, StartError> {
    let read =
        |path: &PathBuf| ambient::read(path, 4 << 20).map_err(|error| StartError::File { path: path.clone(), error });
    config.host.extra_ca.iter().map(read).collect()
}

pub(crate) fn compile_limits(config: &Config) -> CompileLimits {
    CompileLimits { time: config.host.compile_time, memory: config.host.compile_memory }
}

/// The tools that would be there, by the names callers use, and what could not be asked: every enabled plugin is asked
/// what it publishes, and nothing that is granted to it is opened.
///
/// # Errors
/// When the host's own folders or the engine cannot be set up.
pub(crate) async fn published(config: &Config, setup: Setup) -> Result<(Registry, Vec<Problem>), StartError> {
    let parts = parts(config, setup)?;
    let Merged { config, vault, problems, .. } = with_registrations(config, &parts.registrations.list()?);
    let (registry, others) = parts.loader(&vault).published(&config).await;
    Ok((registry, problems.into_iter().chain(others).collect()))
}

/// Plugins that are loaded at once: the memory and files of those underway are in use beside the loaded ones'.
const LOADS: usize = 16;

/// Lays over the tools what was made while the host was there, and says what of it cannot be.
fn laid_over(registry: &mut Registry, merged: &Merged) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (plugin, which, over) in &merged.over {
        if let Err(reason) = registry.lay_over(which, over) {
            match which {
                Which::Named(name) => tracing::warn!(tool = %name, reason, "its schemas are not laid over it"),
                Which::Own(..) => problems.push(left_out(plugin, reason, None)),
            }
        }
    }
    for second in &merged.seconds {
        let plugin = PluginName::parse(second.name.as_str());
        if let (Err(reason), Ok(plugin)) = (registry.stand_for(second.clone()), plugin) {
            problems.push(left_out(&plugin, reason, None));
        }
    }
    problems.iter().for_each(|problem| tracing::error!("{problem}"));
    problems
}

/// What loading needs.
pub(crate) struct Loader<'h> {
    pub(crate) runtime: &'h Arc<Runtime>,
    pub(crate) egress: &'h Arc<Egress>,
    pub(crate) artifacts: &'h Arc<Artifacts>,
    pub(crate) wall: Option<&'h Arc<Wall>>,
    pub(crate) fleet: &'h Arc<Fleet>,
    pub(crate) services: &'h Arc<Services>,
    pub(crate) interpreters: &'h Arc<Interpreters>,
    pub(crate) vault: &'h Vault,
}

impl Loader<'_> {
    /// Loads all enabled plugins of a configuration and of what is kept beside it.
    pub(crate) async fn merged(&self, merged: &Merged) -> Snapshot {
        let mut snapshot = self.snapshot(&merged.config).await;
        merged.problems.iter().for_each(|problem| tracing::error!("{problem}"));
        snapshot.problems.extend(merged.problems.iter().cloned());
        snapshot.problems.extend(laid_over(&mut snapshot.registry, merged));
        snapshot
    }

    /// Loads all enabled plugins, side by side.
    async fn snapshot(&self, config: &Config) -> Snapshot {
        let enabled: Vec<&config::Plugin> = config.plugins.iter().filter(|plugin| plugin.enabled).collect();
        let own = own_folders(config);
        let lock = config.lock.as_deref();
        let loads: Vec<_> = enabled.iter().map(|plugin| self.plugin(plugin, &own, lock)).collect();
        let loaded: Vec<_> = stream::iter(loads).buffered(LOADS).collect().await;
        let (mut plugins, mut candidates, mut problems, mut held) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut offers = Vec::new();
        for (configured, loaded) in enabled.into_iter().zip(loaded) {
            let tools = loaded.and_then(|loaded| {
                let Loaded { plugin, described, reason, known, held, problems, held_to } = loaded;
                let configured = held_to.as_deref().unwrap_or(configured);
                let tools = tools(configured, &described.tools, &known, reason.as_deref(), plugins.len())?;
                let offer = offer(configured, described.context, reason.as_deref(), plugins.len())?;
                Ok((plugin, tools, offer, held, problems))
            });
            match tools {
                Ok((plugin, tools, offer, quarantined, told)) => {
                    plugins.push(plugin);
                    candidates.extend(tools);
                    offers.extend(offer);
                    held.extend(quarantined);
                    told.iter().for_each(|problem| tracing::error!("{problem}"));
                    problems.extend(told);
                }
                Err(fault) => {
                    let (problem, quarantined) = fault.told(configured);
                    tracing::error!("{problem}");
                    problems.push(problem);
                    held.extend(quarantined);
                }
            }
        }
        let mut registry = Registry::beside(candidates, &held).unwrap_or_else(|message| {
            tracing::error!("no tools: {message}");
            problems.extend(plugins.first().map(|plugin| Problem::left_out(&plugin.name, &plugin.at, message)));
            Registry::default()
        });
        registry.contexts = Contexts::new(offers);
        self.fleet.retain(config);
        self.services.retain(config);
        Snapshot { registry, plugins, problems, index: search::Lazy::default() }
    }

    async fn published(&self, config: &Config) -> (Registry, Vec<Problem>) {
        let enabled: Vec<&config::Plugin> = config.plugins.iter().filter(|plugin| plugin.enabled).collect();
        let lock = config.lock.as_deref();
        let described = enabled.iter().map(|plugin| async {
            match &plugin.class {
                Class::Component(source) => {
                    let (component, ..) = self.component(plugin, source).await?;
                    Ok::<_, Fault>((self.describe(plugin, &component).await?, BTreeSet::new()))
                }
                Class::Mcp(_) | Class::Remote(_) => {
                    self.server(plugin, lock).await.map(|loaded| (loaded.described, loaded.known))
                }
                Class::Service(service) => {
                    self.service(plugin, service, lock).await.map(|loaded| (loaded.described, loaded.known))
                }
                Class::Code(interpreted) => {
                    let read = code::read(plugin, interpreted).await?;
                    Ok((Described { tools: vec![read.definition], ..Described::default() }, BTreeSet::new()))
                }
                Class::Process(process) => {
                    let programs = Programs::read(plugin, process, None).await?;
                    Ok((programs.described(), BTreeSet::new()))
                }
            }
        });
        let described: Vec<_> = stream::iter(described.collect::<Vec<_>>()).buffered(LOADS).collect().await;
        let (mut candidates, mut problems) = (Vec::new(), Vec::new());
        for (index, (configured, described)) in enabled.iter().zip(described).enumerate() {
            let tools =
                described.and_then(|(described, known)| Ok(tools(configured, &described.tools, &known, None, index)?));
            match tools {
                Ok(tools) => candidates.extend(tools),
                Err(fault) => problems.push(Fault::told(fault, configured).0),
            }
        }
        (Registry::new(candidates).unwrap_or_default(), problems)
    }

    /// The plugin's code, ready to run, where it comes from, and the bytes it was made of.
    async fn component(
        &self,
        configured: &config::Plugin,
        source: &ComponentSource,
    ) -> Result<(Arc<Component>, String, Bytes), LoadFault> {
        self.wall.map_or(Ok(()), |wall| wall.admits(configured))?;
        let (wasm, shown) = wasm(source).await?;
        let bytes = wasm.bytes.clone();
        Ok((self.runtime.load(wasm, configured.name.as_ref()).await?, shown, bytes))
    }

    /// What the plugin publishes, asked before anything is granted.
    async fn describe(&self, configured: &config::Plugin, component: &Component) -> Result<Described, LoadFault> {
        let nothing = examine::nothing(&configured.name, self.egress, self.artifacts);
        runtime::describe(component, &nothing).await.map_err(|failure| gave_up("describe", &failure))
    }

    async fn plugin(&self, configured: &config::Plugin, own: &[PathBuf], lock: Option<&Lock>) -> Result<Loaded, Fault> {
        match &configured.class {
            Class::Component(source) => self.component_plugin(configured, source, own, lock).await,
            Class::Mcp(_) | Class::Remote(_) => {
                own_files(own, configured.grants.fs.iter())?;
                self.server(configured, lock).await
            }
            Class::Process(process) => self.programs_plugin(configured, process, own, lock).await,
            Class::Service(service) => self.service(configured, service, lock).await,
            Class::Code(interpreted) => self.code(configured, interpreted, own, lock).await,
        }
    }

    async fn secrets(&self, configured: &config::Plugin) -> Result<Arc<Secrets>, LoadFault> {
        Ok(secrets(configured, self.wall, self.vault).await?)
    }

    async fn component_plugin(
        &self,
        configured: &config::Plugin,
        source: &ComponentSource,
        own: &[PathBuf],
        lock: Option<&Lock>,
    ) -> Result<Loaded, Fault> {
        let (component, source, bytes) = self.component(configured, source).await?;
        let described = self.describe(configured, &component).await?;
        // Before anything of what was granted is opened for it.
        if let Some(lock) = lock {
            unchanged(configured, lock, &component, &described, &bytes)?;
        }
        drop(bytes);
        let directories = opened(configured, own)?;
        let secrets = self.secrets(configured).await?;
        let settings = Arc::new(configured.config.clone());
        let names = self.preview(configured, Arc::clone(&secrets), Arc::clone(&settings));
        let reason = runtime::check(&component, &names).await.map_err(|failure| gave_up("check", &failure))?;
        let slots = Semaphore::new(configured.limits.concurrency as usize);
        let at = configured.grants.at.clone();
        let plugin = Plugin {
            name: configured.name.clone(),
            at,
            source,
            class: configured.class.key(),
            digest: component.digest,
            backend: Backend::Component { component, directories },
            secrets,
            config: settings,
            slots,
        };
        let (known, held, problems) = (BTreeSet::new(), Vec::new(), Vec::new());
        Ok(Loaded { plugin, described, reason, known, held, problems, held_to: None })
    }

    /// The rights of `check`: none, but for the names of secrets and the configuration.
    fn preview(
        &self,
        configured: &config::Plugin,
        secrets: Arc<Secrets>,
        settings: Arc<BTreeMap<String, String>>,
    ) -> Arc<CallContext> {
        let names_only = |grant: &SecretGrant| SecretGrant { reveal: false, ..grant.clone() };
        let secrets_seen = configured.grants.secrets.iter().map(names_only).collect();
        let (table, at) = (configured.grants.table.clone(), configured.grants.at.clone());
        let effective = Effective {
            allowed: true,
            grants: Arc::new(Grants { secrets: secrets_seen, table, at, ..Grants::default() }),
            limits: Limits { artifacts: 0, ..Limits::DEFAULT },
            approval: Approval::Never,
            arguments: Vec::new(),
            inject: serde_json::Map::new(),
        };
        Arc::new(CallContext {
            id: CallId::new(&format!("check-{}", configured.name)),
            plugin: configured.name.clone(),
            tool: ToolName::parse("check").unwrap_or_else(|_| unreachable!("`check` is a legal name")),
            deadline: Arc::new(Deadline::new(effective.limits.time)),
            effective: Arc::new(effective),
            config: settings,
            secrets,
            egress: Arc::clone(self.egress),
            artifacts: Arc::clone(self.artifacts),
            channel: Channel::default(),
            door: None,
            trail: Trail::default(),
            ledger: Ledger::default(),
        })
    }
}

/// Reads a plugin's secrets; those that the host keeps are in the vault. A secret's command may take seconds.
///
/// # Errors
/// Which cannot be read, in a sentence.
pub(crate) async fn secrets(
    configured: &config::Plugin,
    wall: Option<&Arc<Wall>>,
    vault: &Vault,
) -> Result<Arc<Secrets>, String> {
    let (granted, wall, values) = (Arc::clone(&configured.grants), wall.cloned(), vault.of(&configured.name));
    let run = move |argv: &[String]| match &wall {
        Some(wall) => wall.command_output(argv),
        None => ambient::command_output(argv),
    };
    let kept = move |name: &SecretName| values.as_ref()?.secret(name.as_str()).cloned();
    let secrets = tokio::task::spawn_blocking(move || Secrets::load_with(&granted.secrets, &granted.at, &run, &kept))
        .await
        .map_err(|_| "reading its secrets crashed; the log says more".to_owned())?
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    Ok(Arc::new(secrets))
}

fn gave_up(what: &str, failure: &Failure) -> LoadFault {
    LoadFault { code: Some(failure.code), message: format!("`{what}` failed: {failure}") }
}

/// The places the host keeps for itself, without links.
pub(crate) fn own_folders(config: &Config) -> Vec<PathBuf> {
    [settings::state_folder(config), settings::cache_folder(config), config.audit.file.clone()]
        .into_iter()
        .flatten()
        .filter_map(|path| ambient::canonical(&path).ok())
        .collect()
}

/// Refuses a grant that shows the host's own files, also by way of a link or of a folder around them: the key, the
/// compiled code and the audit are nobody's to read or write.
fn own_files<'g>(own: &[PathBuf], grants: impl Iterator<Item = &'g FsGrant>) -> Result<(), String> {
    for grant in grants {
        let Ok(real) = ambient::canonical(&grant.host) else { continue };
        if let Some(path) = own.iter().find(|path| path.starts_with(&real) || real.starts_with(path)) {
            let path = path.display();
            return Err(format!("its `fs` grant `{}` reaches {path}, which the host keeps for itself", grant.text));
        }
    }
    Ok(())
}

/// The bytes of a component, and where they are from.
pub(crate) async fn wasm(source: &ComponentSource) -> Result<(Wasm, String), LoadFault> {
    let path = match source {
        ComponentSource::Builtin(name) => {
            return Ok((builtin::find(name)?, format!("builtin:{name}")));
        }
        ComponentSource::Path(path) => path.clone(),
    };
    let shown = path.display().to_string();
    let read = move || ambient::read_regular(&path, MAX_COMPONENT, Links::Followed).map(Wasm::foreign);
    let read = tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    match read {
        Ok(wasm) => Ok((wasm, shown)),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            let message = format!("{shown} is larger than {}, the most the host takes", Size(MAX_COMPONENT));
            Err(LoadFault { code: Some(Code::LimitCompile), message })
        }
        Err(error) => Err(format!("cannot read {shown}: {error}").into()),
    }
}

/// The directories of a plugin and of its tools' own rules. None of them holds what belongs to the host.
fn opened(configured: &config::Plugin, own: &[PathBuf]) -> Result<Directories, LoadFault> {
    let grants =
        || std::iter::once(&configured.grants.fs).chain(configured.tools.values().filter_map(|rule| rule.fs.as_ref()));
    let directories = Directories::open(grants())
        .map_err(|(path, error)| format!("the directory {} of its `fs` cannot be opened: {error}", path.display()))?;
    own_files(own, grants().flat_map(FsGrants::iter))?;
    Ok(directories)
}

fn trust_in(class: &Class) -> Trust {
    match class {
        Class::Component(ComponentSource::Builtin(_)) => Trust::Builtin,
        Class::Component(ComponentSource::Path(_)) | Class::Mcp(_) | Class::Remote(_) => Trust::Foreign,
        // What is said of them the host itself says.
        Class::Process(_) | Class::Service(_) | Class::Code(_) => Trust::Builtin,
    }
}

pub(crate) fn publisher(class: &Class) -> Publisher {
    match class {
        Class::Component(_) | Class::Mcp(_) | Class::Remote(_) | Class::Process(_) | Class::Code(_) => {
            Publisher::Plugin
        }
        Class::Service(service) => match service.known {
            Known::Document(_) => Publisher::Service,
            Known::Request(_) => Publisher::Plugin,
        },
    }
}

/// The tools of one plugin, with what the operator says of each. The configuration may name those of `known` too.
pub(crate) fn tools(
    configured: &config::Plugin,
    definitions: &[Definition],
    known: &BTreeSet<String>,
    reason: Option<&str>,
    plugin_index: usize,
) -> Result<Vec<Candidate>, String> {
    check_published(publisher(&configured.class), definitions).map_err(|error| error.to_string())?;
    let trust = trust_in(&configured.class);
    let own: BTreeSet<&str> = definitions.iter().map(|definition| definition.name.as_str()).collect();
    let named = configured.tools.keys().filter(|name| *name != "*").map(String::as_str);
    let named = named.chain(configured.alias.values().map(AsRef::as_ref));
    if let Some(name) = named.into_iter().find(|name| !known.contains(*name) && !own.contains(name)) {
        let all = definitions.iter().map(|definition| definition.name.as_str());
        return Err(DefinitionError::unknown(name, all).to_string());
    }
    let mut aliases: BTreeMap<&str, Vec<ToolName>> = BTreeMap::new();
    for (alias, tool) in &configured.alias {
        aliases.entry(tool.as_ref()).or_default().push(alias.clone());
    }
    aliases.values_mut().for_each(|aliases| aliases.sort());
    definitions
        .iter()
        .map(|definition| {
            let tool = tool(configured, definition, reason, plugin_index, trust)?;
            let aliases = aliases.remove(definition.name.as_str()).unwrap_or_default();
            Ok(Candidate { tool, aliases, naming: naming(configured) })
        })
        .collect::<Result<Vec<_>, String>>()
        .map(|candidates| match configured.expose {
            Expose::Flat => candidates,
            Expose::Aggregate => gathered(&configured.name, configured.rules_for("*"), candidates),
        })
}

/// How the tools of a plugin come by the names callers use: those of a component were chosen with it, those of others by
/// somebody else.
fn naming(configured: &config::Plugin) -> Naming {
    let described = |service: &config::Service| matches!(service.known, config::Known::Document(_));
    let is_anothers = configured.class.is_server() || configured.class.service().is_some_and(described);
    // What is registered gives way to what the configuration has, whoever chose its names.
    Naming { yields: is_anothers || configured.kept, prefix_always: configured.prefix == Prefix::Always }
}

/// The prompts and resources of one plugin, if it gives any.
pub(crate) fn offer(
    configured: &config::Plugin,
    catalogue: Catalogue,
    reason: Option<&str>,
    plugin_index: usize,
) -> Result<Option<Offer>, String> {
    catalogue.check()?;
    if catalogue.is_empty() {
        return Ok(None);
    }
    let trust = trust_in(&configured.class);
    let carrier = |name: &str, schema: &Value| {
        // None of the rules for a tool's arguments is for these.
        let effective =
            Effective { arguments: Vec::new(), inject: serde_json::Map::new(), ..configured.rules_for("*") };
        let definition = Definition {
            name: name.to_owned(),
            title: None,
            description: String::new(),
            input_schema: schema.to_string(),
            output_schema: None,
            annotations: Annotations::default(),
            risk: Risk::Low,
        };
        ready(configured, &definition, effective, reason, plugin_index, trust)
    };
    let whole = json!({"type": "object", "properties": {}});
    let prompts = catalogue.prompts.iter().map(|prompt| carrier(&prompt.name, &prompt.schema()));
    let prompts = prompts.collect::<Result<_, _>>()?;
    let (reader, completer) = (carrier("read-resource", &whole)?, carrier("complete", &whole)?);
    let (reader, completer) = (Arc::new(reader), Arc::new(completer));
    Ok(Some(Offer { plugin: configured.name.clone(), catalogue, prompts, reader, completer }))
}

fn tool(
    configured: &config::Plugin,
    definition: &Definition,
    reason: Option<&str>,
    plugin_index: usize,
    trust: Trust,
) -> Result<Tool, String> {
    let effective = configured.rules_for(&definition.name);
    ready(configured, definition, effective, reason, plugin_index, trust)
}

/// A definition with the rights it runs under.
fn ready(
    configured: &config::Plugin,
    definition: &Definition,
    effective: Effective,
    reason: Option<&str>,
    plugin_index: usize,
    trust: Trust,
) -> Result<Tool, String> {
    let name = &definition.name;
    let schema = |which, error| DefinitionError::Schema { tool: name.clone(), which, error }.to_string();
    let arguments = ArgumentSchema::compile(&definition.input_schema, &effective.arguments, effective.inject.clone())
        .map_err(|error| schema("input schema", error))?;
    let output = definition.output_schema.as_deref().map(ResultSchema::compile).transpose();
    let results = output.map_err(|error| schema("output schema", error))?;
    let grants_digest = format!("sha256:{}", hex::encode(Sha256::digest(format!("{effective:?}"))));
    Ok(Tool {
        name: ToolName::parse(name).map_err(|error| error.to_string())?,
        plugin: configured.name.clone(),
        plugin_index,
        annotations: annotations(definition, &effective, trust),
        brief: publisher(&configured.class).brief(&definition.description),
        definition: definition.clone(),
        effective: Arc::new(effective),
        arguments,
        results,
        grants_digest,
        not_configured: reason.map(str::to_owned),
        role: Role::Single,
    })
}
