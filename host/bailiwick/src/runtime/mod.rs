//! Runs components: a fresh store and instance for every call, with exactly the rights of that call.

mod bindings;
mod call;
mod compile;
mod engine;
mod imports;
mod state;
mod turn;

use std::fs::File;
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::component::Linker;
use wasmtime::component::types::ComponentItem;

use bailiwick_core::grant::fs::{Access, FsGrants};

pub use call::{call, check, describe};
pub use compile::{Cache, CompileError, ComponentDigest, MAX_COMPONENT, host_key};
pub use engine::{Engines, TICK, config as engine_config};

use crate::ambient;
use state::State;

/// The interface a plugin exports, without its version.
const TOOL: &str = "bailiwick:tool/tool";
/// The version of the contracts this host speaks.
pub const CONTRACT: &str = "0.1.0";

/// Components that are asked what they are at once, beside the calls.
const PREVIEWS: u32 = 4;

/// Loads and runs components.
pub struct Runtime {
    engines: Engines,
    pooled: Linker<State>,
    on_demand: Linker<State>,
    cache: Option<Cache>,
    previews: Semaphore,
}

/// A component that can be called.
pub struct Component {
    pre: bindings::ComponentPre<State>,
    /// Of its bytes.
    pub digest: ComponentDigest,
}

/// Why a component cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It does not export the contract.
    #[error("it does not export `{TOOL}@{CONTRACT}`: build it with bailiwick-sdk, or against wit/tool.wit")]
    NoTools,
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
    /// A runtime for `calls` calls at once.
    ///
    /// # Errors
    /// When this machine cannot run compiled WebAssembly.
    pub fn new(calls: u32, cache: Option<Cache>) -> wasmtime::Result<Self> {
        let engines = Engines::new(calls + PREVIEWS)?;
        let mut pooled = Linker::new(&engines.pooled);
        imports::link(&mut pooled)?;
        let mut on_demand = Linker::new(&engines.on_demand);
        imports::link(&mut on_demand)?;
        Ok(Self { engines, pooled, on_demand, cache, previews: Semaphore::new(PREVIEWS as usize) })
    }

    /// Room for one [`describe`] or [`check`]: they take none of the calls'.
    pub async fn preview(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.previews.acquire().await.ok()
    }

    /// Compiles (or finds compiled) and links a component. Blocks; may take many seconds.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(&self, wasm: &[u8], name: &str) -> Result<Component, LoadError> {
        let compiled = compile::load(&self.engines, self.cache.as_ref(), wasm, name)?;
        let pooled = wasmtime::Engine::same(&compiled.engine, &self.engines.pooled);
        let linker = if pooled { &self.pooled } else { &self.on_demand };
        contract(&compiled)?;
        let unknown = unknown_imports(&compiled);
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown.join(", ")));
        }
        let pre = linker
            .instantiate_pre(&compiled.component)
            .and_then(bindings::ComponentPre::new)
            .map_err(|error| LoadError::Mismatch(format!("{error:#}")))?;
        Ok(Component { pre, digest: compiled.digest })
    }
}

/// Checks that the component exports the contract in a version this host speaks.
fn contract(compiled: &compile::Compiled) -> Result<(), LoadError> {
    let ty = compiled.component.component_type();
    let exported = ty.exports(&compiled.engine).map(|(name, _)| name.to_owned()).find(|name| name.starts_with(TOOL));
    match exported {
        Some(name) if name == format!("{TOOL}@{CONTRACT}") => Ok(()),
        Some(name) => Err(LoadError::OtherContract(name)),
        None => Err(LoadError::NoTools),
    }
}

/// The imports no version of which this host has.
fn unknown_imports(compiled: &compile::Compiled) -> Vec<String> {
    let known = |name: &str| {
        let standard = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
        let own = ["log", "progress", "ask", "secret", "artifact"];
        let http = ["wasi:http/types@0.2.", "wasi:http/outgoing-handler@0.2."];
        standard.iter().any(|package| name.starts_with(package)) && name.contains("@0.2.")
            || http.iter().any(|interface| name.starts_with(interface))
            || name == "wasi:config/store@0.2.0-rc.1"
            || own.iter().any(|interface| name == format!("bailiwick:host/{interface}@{CONTRACT}"))
    };
    let ty = compiled.component.component_type();
    ty.imports(&compiled.engine)
        .filter(|(name, item)| !known(name) && !is_only_types(item, &compiled.engine))
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
