//! What can be known of a plugin without granting it anything: what its component shows, and what its `describe` says.
//! No directory is opened, no secret read, no tool called, nothing written. For reviewers, who look before they grant.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use tokio::sync::watch;

use bailiwick_core::config::{self, Approval, Class, ComponentSource, Config, Effective};
use bailiwick_core::grant::Limits;
use bailiwick_core::lock::{Difference, Pin, Published};
use bailiwick_core::name::PluginName;
use bailiwick_core::registry::{Definition, check_published};

use crate::artifact::Artifacts;
use crate::context::CallContext;
use crate::egress::Egress;
use crate::fleet::{self, Yard};
use crate::keeper::Keeper;
use crate::load::{self, StartError};
use crate::process::Programs;
use crate::registrations::Vault;
use crate::resolver::Resolver;
use crate::runtime::{self, Cache, CompileLimits, Compiler, Component, ComponentDigest, Described, Runtime, Wasm};
use crate::service::Services;
use crate::store::{self, Store};
use crate::surface::Surface;
use crate::{ambient, settings};

/// Plugins that are looked at side by side; each may be compiling.
const AT_ONCE: usize = 4;

/// Where plugins are looked at.
pub struct Bench {
    runtime: Arc<Runtime>,
    keeper: Option<Arc<Keeper>>,
    store: Option<Arc<Store>>,
    egress: Arc<Egress>,
    artifacts: Arc<Artifacts>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Examined {
    /// What the component shows; none if it could not be read, or is none.
    pub surface: Option<Surface>,
    /// What a lock calls what runs; none if that cannot be said.
    pub pinned: Option<String>,
    /// What it published, prompts and resources as definitions too; none if it could not be asked.
    pub definitions: Option<Vec<Definition>>,
    /// Those of them that are tools.
    pub tools: Vec<Definition>,
    /// Why it would not be loaded.
    pub fault: Option<String>,
}

impl Examined {
    /// One that would not be loaded.
    fn broken(surface: Option<Surface>, fault: String) -> Self {
        Self { surface, pinned: None, definitions: None, tools: Vec::new(), fault: Some(fault) }
    }

    /// The imports that need something of the host: none of what is no component. None if they cannot be known.
    #[must_use]
    pub fn needs(&self) -> Option<BTreeSet<String>> {
        match (&self.surface, &self.pinned) {
            (Some(surface), _) => Some(surface.needs()),
            (None, Some(_)) => Some(BTreeSet::new()),
            (None, None) => None,
        }
    }
}

impl Bench {
    /// A bench of its own, which leaves nothing behind.
    ///
    /// # Errors
    /// When this machine cannot run components.
    pub fn new() -> Result<Self, StartError> {
        Self::with(None, CompileLimits::DEFAULT, &[])
    }

    /// A bench that finds what was compiled before, and keeps what it compiles, where `config` says. Where that cannot be
    /// done it does without. `keeper` starts what is a program.
    ///
    /// # Errors
    /// When this machine cannot run components.
    pub fn of(config: &Config, keeper: Option<Arc<Keeper>>) -> Result<Self, StartError> {
        let key = settings::state_folder(config).map(|state| state.join(runtime::KEY_FILE));
        let key = key.filter(|file| ambient::exists(file)).and_then(|file| runtime::host_key(&file).ok());
        let cache = settings::cache_folder(config).zip(key).and_then(|(folder, key)| Cache::open(folder, key).ok());
        let database = settings::state_folder(config).map(|state| state.join(store::FILE));
        let database = database.filter(|file| ambient::exists(file));
        let store = database.and_then(|file| Store::open(&file).ok()).map(Arc::new);
        let authorities = load::authorities(config)?;
        Ok(Self { keeper, store, ..Self::with(cache, load::compile_limits(config), &authorities)? })
    }

    fn with(cache: Option<Cache>, limits: CompileLimits, authorities: &[Vec<u8>]) -> Result<Self, StartError> {
        let engine = |error| StartError::Engine(format!("{error:#}"));
        let calls = u32::try_from(AT_ONCE).unwrap_or(1);
        let egress = Egress::new(Resolver::default(), authorities);
        Ok(Self {
            runtime: Arc::new(Runtime::new(calls, cache, Compiler::own_program(), limits).map_err(engine)?),
            egress: Arc::new(egress.map_err(|error| StartError::Egress(error.to_string()))?),
            artifacts: Arc::new(Artifacts::new(PathBuf::new())),
            keeper: None,
            store: None,
        })
    }

    /// Looks at every enabled plugin of a configuration, in its order.
    pub async fn plugins<'c>(&self, config: &'c Config) -> Vec<(&'c config::Plugin, Examined)> {
        let enabled = config.plugins.iter().filter(|plugin| plugin.enabled);
        let examined = enabled.map(|plugin| async move { (plugin, self.plugin(plugin).await) });
        stream::iter(examined).buffered(AT_ONCE).collect().await
    }

    async fn plugin(&self, plugin: &config::Plugin) -> Examined {
        let mut examined = match &plugin.class {
            Class::Component(source) => match load::wasm(source).await {
                Ok((wasm, _)) => self.component(wasm, &plugin.name).await,
                Err(fault) => return Examined::broken(None, fault.message),
            },
            Class::Mcp(_) | Class::Remote(_) => self.server(plugin).await,
            Class::Process(process) => programs(plugin, process).await,
            Class::Service(service) => self.service(plugin, service).await,
            Class::Code(interpreted) => code(plugin, interpreted).await,
        };
        let digest = examined.surface.as_ref().map(|surface| surface.digest);
        examined.pinned = examined.pinned.or_else(|| pinned_name(&plugin.class, digest));
        if let (Some(_), None) = (&examined.definitions, &examined.fault) {
            examined.fault = load::tools(plugin, &examined.tools, &BTreeSet::new(), None, 0).err();
        }
        examined
    }

    /// Starts a server and asks what it has.
    async fn server(&self, plugin: &config::Plugin) -> Examined {
        let yard = Yard {
            keeper: self.keeper.as_ref(),
            egress: &self.egress,
            artifacts: &self.artifacts,
            store: self.store.as_ref(),
        };
        match yard.asked(plugin).await {
            Ok(described) => {
                let fault = described.check().err();
                let definitions = Some(described.definitions());
                Examined { surface: None, pinned: None, definitions, tools: described.tools, fault }
            }
            Err(fault) => Examined::broken(None, fault),
        }
    }

    /// Reads the document of a service.
    async fn service(&self, plugin: &config::Plugin, service: &config::Service) -> Examined {
        let secrets = match load::secrets(plugin, None, &Vault::default()).await {
            Ok(secrets) => secrets,
            Err(fault) => return Examined::broken(None, fault),
        };
        let services = Services::new(Arc::clone(&self.egress), self.store.clone(), true, watch::Sender::new(0));
        let wire = services.wire(plugin, &secrets);
        match services.offered(plugin, service, &wire).await {
            Ok(offered) => {
                let described = Described { tools: offered.tools, ..Described::default() };
                let checked = check_published(load::publisher(&plugin.class), &described.tools);
                let fault = checked.err().map(|error| error.to_string());
                let definitions = Some(described.definitions());
                Examined { surface: None, pinned: None, definitions, tools: described.tools, fault }
            }
            Err(failure) => Examined::broken(None, secrets.redactor().text(&failure.to_string()).into_owned()),
        }
    }

    /// Looks at a component.
    pub async fn component(&self, wasm: Wasm, name: &PluginName) -> Examined {
        let surface = match Surface::read(&wasm.bytes) {
            Ok(surface) => surface,
            Err(error) => return Examined::broken(None, error.to_string()),
        };
        match self.describe(wasm, name).await {
            Ok(described) => {
                let fault = described.check().err();
                let definitions = Some(described.definitions());
                Examined { surface: Some(surface), pinned: None, definitions, tools: described.tools, fault }
            }
            Err(fault) => Examined::broken(Some(surface), fault),
        }
    }

    async fn describe(&self, wasm: Wasm, name: &PluginName) -> Result<Described, String> {
        let component = self.runtime.load(wasm, name.as_ref()).await.map_err(|error| error.to_string())?;
        let described = runtime::describe(&component, &nothing(name, &self.egress, &self.artifacts)).await;
        described.map_err(|failure| format!("`describe` failed: {failure}"))
    }
}

/// Looks at a tool that is a program, or runs some: nothing of it runs.
async fn code(plugin: &config::Plugin, interpreted: &config::Interpreted) -> Examined {
    match load::code::read(plugin, interpreted).await {
        Ok(read) => {
            let tools = vec![read.definition];
            let described = Described { tools, ..Described::default() };
            let fault = described.check().err();
            let (definitions, pinned) = (Some(described.definitions()), Some(read.digest.to_string()));
            Examined { surface: None, pinned, definitions, tools: described.tools, fault }
        }
        Err(fault) => Examined::broken(None, fault),
    }
}

/// Looks at native programs: nothing of them runs.
async fn programs(plugin: &config::Plugin, process: &config::Process) -> Examined {
    match Programs::read(plugin, process, None).await {
        Ok(programs) => {
            let described = programs.described();
            let fault = described.check().err();
            let (definitions, pinned) = (Some(described.definitions()), Some(programs.digest().to_string()));
            Examined { surface: None, pinned, definitions, tools: described.tools, fault }
        }
        Err(fault) => Examined::broken(None, fault),
    }
}

/// The rights of `describe`: none, not even to keep an artifact. The same whoever asks, so that no plugin can tell whether
/// it is being looked at or loaded.
pub(crate) fn nothing(plugin: &PluginName, egress: &Arc<Egress>, artifacts: &Arc<Artifacts>) -> Arc<CallContext> {
    let limits = Limits { artifacts: 0, ..Limits::DEFAULT };
    let effective = Effective { limits, approval: Approval::Never, ..Effective::default() };
    CallContext::aside("describe", plugin, Arc::new(effective), &Arc::default(), egress, artifacts)
}

/// What a lock calls what a plugin runs; none for a component of which nothing is known. Of a program it is the digest of
/// its command (and of its scripts), of a component its digest or, of one that came with the program, its name. Built from the
/// same source on two machines, the built-in plugins differ in a few bytes; and who can change them can change the host.
#[must_use]
pub fn pinned_name(class: &Class, digest: Option<ComponentDigest>) -> Option<String> {
    match class {
        Class::Component(ComponentSource::Builtin(name)) => digest.map(|_| format!("builtin:{name}")),
        Class::Component(ComponentSource::Path(_)) => digest.map(|digest| digest.to_string()),
        Class::Mcp(_) | Class::Remote(_) | Class::Service(_) => Some(fleet::identity(class)),
        Class::Process(_) | Class::Code(_) => digest.map(|digest| digest.to_string()),
    }
}

/// How a plugin that was just loaded differs from what is pinned of it; none when it does not.
///
/// # Errors
/// When the component cannot be looked at.
pub(crate) fn difference(
    configured: &config::Plugin,
    pin: &Pin,
    component: &Component,
    definitions: &[Definition],
    bytes: &[u8],
) -> Result<Option<Difference>, String> {
    let name = pinned_name(&configured.class, Some(component.digest)).unwrap_or_default();
    if !pin.published.is_changed(&name, definitions) {
        return Ok(None);
    }
    let surface = Surface::read(bytes).map_err(|error| error.to_string())?;
    Ok(pin.published.difference(&Published::of(name, surface.needs(), definitions)))
}
