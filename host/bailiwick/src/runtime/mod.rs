//! Runs components: a fresh store and instance for every call, with exactly the rights of that call.

mod bindings;
mod call;
mod child;
mod compile;
mod context;
mod engine;
mod guard;
pub(crate) mod imports;
pub mod precheck;
mod proposals;
mod state;
mod turn;
mod typed;

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{ComponentExportIndex, InstancePre, Linker};

use bailiwick_core::capability::Capability;
use bailiwick_core::grant::fs::{Access, FsGrants};
use bailiwick_core::outcome::Code;
use bailiwick_core::typed::LeftOut;

pub use call::{Described, call, call_as, check, describe};
pub use child::{COMMAND as CHILD_COMMAND, compile_if_child};
pub use compile::{Cache, CompileError, ComponentDigest, KEY_FILE, Wasm, host_key};
pub use engine::{Engines, TICK, config as engine_config};
pub use guard::{CompileLimits, Compiler, Exceeded};
pub use precheck::MAX_COMPONENT;
pub use turn::executor;

/// What a plugin of any class asks its caller, and how: checked, redacted, counted and waited for in one place.
pub(crate) use bindings::bailiwick::host::ask as question;
pub(crate) use call::{ask_own, timed_out};
pub(crate) use imports::ask::put as ask;

use crate::ambient;
use crate::telemetry::Tally;
use bindings::exports::bailiwick::tool as exports;
use guard::Guard;
use state::State;
use typed::{Tools, Typed};

/// The interface a plugin exports, without its version.
const TOOL: &str = "bailiwick:tool/tool";
/// The interface it exports when it has prompts or resources too.
const CONTEXT: &str = "bailiwick:tool/context";
/// The version of the contracts this host speaks.
pub const CONTRACT: &str = "0.1.0";

/// Loads and runs components.
pub struct Runtime {
    engines: Engines,
    pooled: Linker<State>,
    on_demand: Linker<State>,
    cache: Option<Cache>,
    /// How often compiled code was found, and how often not.
    pub(crate) tally: Tally,
    guard: Guard,
    /// Those that are in use: plugins of the same component share its code.
    loaded: Mutex<HashMap<ComponentDigest, Weak<Component>>>,
}

/// A component that can be called.
pub struct Component {
    kind: Kind,
    /// Of its bytes.
    pub digest: ComponentDigest,
    /// Functions of a component without the contract that cannot be tools.
    pub left_out: Vec<LeftOut>,
}

/// How a component's tools are found and called.
enum Kind {
    /// It says what its tools are, and is called by the contract.
    Contract {
        pre: InstancePre<State>,
        /// Where its functions are.
        tool: exports::tool::GuestIndices,
        /// Where those of its context are, if it has one.
        context: Option<exports::context::GuestIndices>,
        /// Where its `call` is, so that a call need not look up and check the other functions too.
        call: ComponentExportIndex,
    },
    /// Its functions are its tools.
    Typed(Typed),
}

impl Component {
    fn engine(&self) -> &wasmtime::Engine {
        match &self.kind {
            Kind::Contract { pre, .. } => pre.component().engine(),
            Kind::Typed(typed) => typed.engine(),
        }
    }
}

/// Why a component cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It exports neither the contract nor a function that can be a tool.
    #[error(
        "it exports neither `{TOOL}@{CONTRACT}` nor a function that can be a tool{}; build it with bailiwick-sdk, against wit/tool.wit, or with functions of its own (see wit/README.md)",
        reasons(.0)
    )]
    NoTools(Vec<LeftOut>),
    /// It was built for another version of the contract.
    #[error(
        "it exports `{0}`, which this host does not speak ({TOOL}@{CONTRACT}); use a newer bailiwick, or rebuild the plugin with an older SDK"
    )]
    OtherContract(String),
    /// It needs something the host does not have.
    #[error("it imports {0}, which this host does not offer; see wit/README.md for what it does")]
    UnknownImports(String),
    /// Its types do not match the contract it names.
    #[error("it does not fit the contract it names: {0}")]
    Mismatch(String),
}

impl Runtime {
    /// A runtime for `calls` calls at once that compiles with `compiler`.
    ///
    /// # Errors
    /// When this machine cannot run compiled WebAssembly.
    pub fn new(calls: u32, cache: Option<Cache>, compiler: Compiler, limits: CompileLimits) -> wasmtime::Result<Self> {
        let engines = Engines::new(calls)?;
        let mut pooled = Linker::new(&engines.pooled);
        imports::link(&mut pooled)?;
        let mut on_demand = Linker::new(&engines.on_demand);
        imports::link(&mut on_demand)?;
        let guard = Guard::new(compiler, limits);
        Ok(Self { engines, pooled, on_demand, cache, guard, tally: Tally::default(), loaded: Mutex::default() })
    }

    /// Finds a component among those in use, or compiles (or finds compiled) and links it. May take minutes; dropping the
    /// future ends what it started.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(self: &Arc<Self>, wasm: Wasm, name: &str) -> Result<Arc<Component>, LoadError> {
        let digest = wasm.digest;
        if let Some(component) = self.in_use(digest, None) {
            return Ok(component);
        }
        let component = Arc::new(self.link(wasm, name).await?);
        // Another plugin may have been faster.
        Ok(self.in_use(digest, Some(&component)).unwrap_or(component))
    }

    /// The component of this digest, if one is in use. If not, `new` is the one from here on.
    fn in_use(&self, digest: ComponentDigest, new: Option<&Arc<Component>>) -> Option<Arc<Component>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let known = loaded.get(&digest).and_then(Weak::upgrade);
        if let (None, Some(new)) = (&known, new) {
            loaded.retain(|_, component| component.strong_count() > 0);
            loaded.insert(digest, Arc::downgrade(new));
        }
        known
    }

    async fn link(self: &Arc<Self>, wasm: Wasm, name: &str) -> Result<Component, LoadError> {
        let digest = wasm.digest;
        let bytes = wasm.bytes.clone();
        let compiled = compile::load(self, wasm, name).await?;
        let pooled = wasmtime::Engine::same(&compiled.engine, &self.engines.pooled);
        let linker = if pooled { &self.pooled } else { &self.on_demand };
        let tools = if exported(&compiled, TOOL)? { None } else { Some(Tools::find(&compiled, &bytes, name)) };
        if let Some(none) = tools.as_ref().filter(|tools| tools.is_empty()) {
            return Err(LoadError::NoTools(none.left_out.clone()));
        }
        let unknown = unknown_imports(&compiled);
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(some_of(&unknown)));
        }
        let mismatch = |error| LoadError::Mismatch(format!("{error:#}"));
        let pre = linker.instantiate_pre(&compiled.component).map_err(mismatch)?;
        match tools {
            None => {
                let call =
                    call_of(&compiled.component).ok_or_else(|| LoadError::Mismatch("it has no `call`".to_owned()))?;
                let tool = exports::tool::GuestIndices::new(&pre).map_err(mismatch)?;
                let context = match exported(&compiled, CONTEXT)? {
                    true => Some(exports::context::GuestIndices::new(&pre).map_err(mismatch)?),
                    false => None,
                };
                Ok(Component { kind: Kind::Contract { pre, tool, context, call }, digest, left_out: Vec::new() })
            }
            Some(mut tools) => {
                let left_out = std::mem::take(&mut tools.left_out);
                Ok(Component { kind: Kind::Typed(tools.link(pre)), digest, left_out })
            }
        }
    }
}

impl LoadError {
    /// The stable name of what went wrong.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Compile(error) => error.code(),
            Self::NoTools(_) | Self::OtherContract(_) | Self::UnknownImports(_) | Self::Mismatch(_) => {
                Code::PluginInvalid
            }
        }
    }
}

/// The first of many names: a component may have thousands.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Why some functions are no tools: the first few of them.
fn reasons(left_out: &[LeftOut]) -> String {
    const SHOWN: usize = 3;
    let mut text: String = left_out.iter().take(SHOWN).map(|function| format!("; {function}")).collect();
    if left_out.len() > SHOWN {
        text.push_str(&format!("; and {} more", left_out.len() - SHOWN));
    }
    text
}

/// Whether the component exports `interface`, without its version, of the contract.
///
/// # Errors
/// When it does so in a version this host does not speak.
fn exported(compiled: &compile::Compiled, interface: &str) -> Result<bool, LoadError> {
    let ty = compiled.component.component_type();
    let of_interface =
        |name: &&str| name.strip_prefix(interface).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'));
    let exported = ty.exports(&compiled.engine).map(|(name, _)| name).find(of_interface).map(str::to_owned);
    match exported {
        Some(name) if name == format!("{interface}@{CONTRACT}") => Ok(true),
        Some(name) => Err(LoadError::OtherContract(name)),
        None => Ok(false),
    }
}

/// Where the contract's `call` is.
fn call_of(component: &wasmtime::component::Component) -> Option<ComponentExportIndex> {
    let tool = component.get_export_index(None, format!("{TOOL}@{CONTRACT}"))?;
    component.get_export_index(Some(&tool), "call")
}

/// The imports no version of which this host has.
fn unknown_imports(compiled: &compile::Compiled) -> Vec<String> {
    let ty = compiled.component.component_type();
    ty.imports(&compiled.engine)
        .filter(|(name, item)| Capability::of(name).is_none() && !is_only_types(item, &compiled.engine))
        .map(|(name, _)| format!("`{name}`"))
        .collect()
}

/// Whether an import is an interface of types alone, which needs nothing from the host.
fn is_only_types(item: &wasmtime::component::types::ComponentExtern, engine: &wasmtime::Engine) -> bool {
    match &item.ty {
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).all(|(_, item)| matches!(item.ty, ComponentItem::Type(_)))
        }
        ComponentItem::Type(_) => true,
        ComponentItem::ComponentFunc(_)
        | ComponentItem::CoreFunc(_)
        | ComponentItem::Module(_)
        | ComponentItem::Component(_)
        | ComponentItem::Resource(_) => false,
    }
}

/// The directories of a plugin's fs grants, opened once: what is granted is the directory that was there at the start,
/// whatever its name leads to later.
#[derive(Debug, Default)]
pub struct Directories(Vec<Directory>);

#[derive(Debug)]
struct Directory {
    host: std::path::PathBuf,
    handle: Arc<File>,
}

impl Directories {
    /// Opens the directories of `grants`.
    ///
    /// # Errors
    /// The first that cannot be opened, with what the operating system says.
    pub fn open<'g>(
        grants: impl IntoIterator<Item = &'g FsGrants>,
    ) -> Result<Self, (std::path::PathBuf, std::io::Error)> {
        let mut directories = Vec::<Directory>::new();
        for grant in grants.into_iter().flat_map(FsGrants::iter) {
            if directories.iter().any(|known| known.host == grant.host) {
                continue;
            }
            let handle = ambient::open_dir(&grant.host).map_err(|error| (grant.host.clone(), error))?;
            directories.push(Directory { host: grant.host.clone(), handle: Arc::new(handle) });
        }
        Ok(Self(directories))
    }

    /// A path that leads to the opened directory itself, not to its name.
    fn handle_path(&self, host: &std::path::Path) -> Option<std::path::PathBuf> {
        use std::os::fd::AsRawFd as _;
        let directory = self.0.iter().find(|directory| directory.host == host)?;
        Some(format!("/proc/self/fd/{}", directory.handle.as_raw_fd()).into())
    }
}

/// How WASI knows the two kinds of access.
fn permissions(access: Access) -> wasmtime_wasi::FsPerms {
    match access {
        Access::ReadOnly => wasmtime_wasi::FsPerms::ReadOnly,
        Access::ReadWrite => wasmtime_wasi::FsPerms::ReadWrite,
    }
}
