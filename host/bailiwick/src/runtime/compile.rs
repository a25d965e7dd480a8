//! From the bytes of a component to code that can run, through a cache of compiled code.
//!
//! Loading compiled code is as dangerous as running it: nothing checks it. So an entry of the cache is taken only when
//! its seal is right: an HMAC, under a key only this host has, over the engine's settings, the component's hash and the
//! code. An entry that is flipped, swapped, from another host or another version is compiled anew.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::engine::Engines;
use crate::ambient;

/// A component larger than this is refused; CPython with its libraries is about 32 MiB.
pub const MAX_COMPONENT: u64 = 128 << 20;
/// An entry of the cache larger than this is not read.
const MAX_ENTRY: u64 = 1 << 30;
const SEAL: usize = 32;

/// SHA-256 of a component's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ComponentDigest([u8; 32]);

impl ComponentDigest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for ComponentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

/// Why a component cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Not a component at all.
    #[error("it is not a WebAssembly component: {0}")]
    NotAComponent(&'static str),
    /// It does not compile.
    #[error("it cannot be compiled: {0}")]
    Compile(String),
}

/// Compiled code on disk.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    key: [u8; 32],
}

impl Cache {
    /// A cache in `folder`, sealed with `key`.
    ///
    /// # Errors
    /// When the folder cannot be made, or others may write to it.
    pub fn open(folder: PathBuf, key: [u8; 32]) -> std::io::Result<Self> {
        ambient::create_private_dir(&folder)?;
        let (mode, _) = ambient::mode_and_owner(&folder)?;
        if mode & 0o022 != 0 {
            let message = format!("others may write to {}; run `chmod go-w` on it", folder.display());
            return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, message));
        }
        Ok(Self { folder, key })
    }

    fn path(&self, digest: ComponentDigest, engine: &Engine) -> PathBuf {
        self.folder.join(format!("{}-{:016x}.cwasm", hex::encode(digest.0), compatibility(engine)))
    }

    fn seal(&self, digest: ComponentDigest, engine: &Engine, code: &[u8]) -> Hmac<Sha256> {
        let mut seal = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        seal.update(b"bailiwick compiled code 1\0");
        seal.update(&compatibility(engine).to_le_bytes());
        seal.update(&digest.0);
        seal.update(code);
        seal
    }

    /// The code of an entry whose seal is right.
    fn read(&self, digest: ComponentDigest, engine: &Engine) -> Option<Vec<u8>> {
        let path = self.path(digest, engine);
        let entry = ambient::read(&path, MAX_ENTRY).ok()?;
        let (seal, code) = entry.split_at_checked(SEAL)?;
        if self.seal(digest, engine, code).verify_slice(seal).is_err() {
            tracing::warn!(entry = %path.display(), "compiled code does not match its seal; compiling anew");
            return None;
        }
        Some(code.to_vec())
    }

    fn write(&self, digest: ComponentDigest, engine: &Engine, code: &[u8]) {
        let mut entry = self.seal(digest, engine, code).finalize().into_bytes().to_vec();
        entry.extend_from_slice(code);
        if let Err(error) = ambient::write_private(&self.path(digest, engine), &entry) {
            tracing::warn!(%error, folder = %self.folder.display(), "compiled code cannot be kept; the next start will compile again");
        }
    }
}

/// A number that changes with anything that makes compiled code unfit for an engine.
fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// A component that is ready to be linked.
#[derive(Clone)]
pub(super) struct Compiled {
    /// The code.
    pub(super) component: Component,
    /// The engine it belongs to.
    pub(super) engine: Engine,
    /// Of the bytes it was compiled from.
    pub(super) digest: ComponentDigest,
}

/// Loads `wasm`, from the cache if it is there. May take many seconds for a large component that is not.
///
/// # Errors
/// When it is not a component or does not compile.
pub(super) fn load(
    engines: &Engines,
    cache: Option<&Cache>,
    wasm: &[u8],
    name: &str,
) -> Result<Compiled, CompileError> {
    if !wasm.starts_with(b"\0asm") {
        return Err(CompileError::NotAComponent("it does not start with the WebAssembly magic number"));
    }
    if !wasmparser::Parser::is_component(wasm) {
        return Err(CompileError::NotAComponent(
            "it is a core module; build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`",
        ));
    }
    let digest = ComponentDigest::of(wasm);
    // A component that does not fit a slot of the pool fails to load there, before it runs.
    match on_engine(&engines.pooled, cache, wasm, digest, name) {
        Ok(compiled) => Ok(compiled),
        Err(pooled) => match on_engine(&engines.on_demand, cache, wasm, digest, name) {
            Ok(compiled) => {
                tracing::warn!(plugin = name, reason = %pooled, "does not fit the pool; its calls will start slower");
                Ok(compiled)
            }
            Err(error) => Err(error),
        },
    }
}

fn on_engine(
    engine: &Engine,
    cache: Option<&Cache>,
    wasm: &[u8],
    digest: ComponentDigest,
    name: &str,
) -> Result<Compiled, CompileError> {
    let done = |component| Compiled { component, engine: engine.clone(), digest };
    if let Some(code) = cache.and_then(|cache| cache.read(digest, engine)) {
        match deserialize(engine, &code) {
            Ok(component) => return Ok(done(component)),
            Err(error) => {
                tracing::warn!(plugin = name, %error, "compiled code in the cache is of no use; compiling anew")
            }
        }
    }
    let start = std::time::Instant::now();
    let code = engine.precompile_component(wasm).map_err(|error| CompileError::Compile(format!("{error:#}")))?;
    tracing::info!(plugin = name, bytes = wasm.len(), ms = start.elapsed().as_millis() as u64, "compiled");
    if let Some(cache) = cache {
        cache.write(digest, engine, &code);
    }
    let component = deserialize(engine, &code).map_err(|error| CompileError::Compile(format!("{error:#}")))?;
    Ok(done(component))
}

#[expect(unsafe_code, reason = "there is no safe way to load compiled code")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` was made by `precompile_component` of this very version of the engine: either a moment ago in this
    // process, or by this host before, which the seal over exactly these bytes proves.
    unsafe { Component::deserialize(engine, code) }
}

/// The host's own key, made when it is first needed.
///
/// # Errors
/// When the file cannot be made or read, has another size, or can be read by others.
pub fn host_key(file: &Path) -> std::io::Result<[u8; 32]> {
    let unfit = |message: String| std::io::Error::new(std::io::ErrorKind::InvalidData, message);
    if !ambient::exists(file) {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(std::io::Error::other)?;
        match ambient::create_private(file, &key) {
            Ok(()) => return Ok(key),
            // Another process was first; its key is the key.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    let (mode, _) = ambient::mode_and_owner(file)?;
    if mode & 0o077 != 0 {
        return Err(unfit(format!("others may read {}; run `chmod 600` on it or remove it", file.display())));
    }
    let key = ambient::read(file, 64)?;
    key.try_into().map_err(|_| unfit(format!("{} is not a key; remove it and a new one is made", file.display())))
}
