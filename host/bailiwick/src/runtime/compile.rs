//! From the bytes of a component to code that can run, through a cache of compiled code.
//!
//! Loading compiled code is as dangerous as running it: nothing checks it. So an entry of the cache is taken only when
//! its seal is right: a keyed hash (BLAKE3), under a key only this host has, over the engine's settings, the component's
//! hash and the code. An entry that is flipped, swapped, from another host or another version is compiled anew. The hash is of the very
//! bytes in memory that are compiled; a file that changes meanwhile changes nothing.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use bailiwick_core::outcome::Code;
use bailiwick_core::registry::Trust;

use super::Runtime;
use super::engine::Engines;
use super::guard::Exceeded;
use super::precheck::{Unfit, precheck};
use super::proposals;
use crate::ambient::{self, Frozen, Links};
use crate::builtin::Embedded;

/// Compiled code larger than this is not loaded; that of CPython with its libraries is 45 MiB.
pub(super) const MAX_CODE: u64 = 1 << 30;
/// Of an entry of the cache: the code, then its seal.
const FORMAT: u32 = 2;
const SEAL: u64 = 32;

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

/// The bytes of a component, with their digest and where they are from.
#[derive(Debug, Clone)]
pub struct Wasm {
    /// The bytes.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: ComponentDigest,
    /// Whether they are part of this program.
    pub trust: Trust,
}

impl Wasm {
    /// A component from somewhere else. Hashes it, which takes a millisecond for each megabyte or so.
    #[must_use]
    pub fn foreign(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { digest: ComponentDigest::of(&bytes), bytes, trust: Trust::Foreign }
    }

    /// A component that is part of this program.
    #[must_use]
    pub fn embedded(embedded: Embedded) -> Self {
        let (bytes, digest) = (Bytes::from_static(embedded.wasm), ComponentDigest(embedded.digest));
        Self { bytes, digest, trust: Trust::Builtin }
    }
}

impl fmt::Display for ComponentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

/// Why a component cannot be loaded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CompileError {
    /// Not a component at all.
    #[error("it is not a WebAssembly component: {0}")]
    NotAComponent(&'static str),
    /// Nobody tries to compile it.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// It needs what is off here.
    #[error("it needs {0}, which this host does not offer; build it without")]
    Proposals(String),
    /// It does not compile.
    #[error("it cannot be compiled: {0}")]
    Compile(String),
    /// It takes too much to compile.
    #[error("{0}")]
    Exceeded(Exceeded),
    /// The child that compiles is not what it should be.
    #[error("its compiler failed: {0}")]
    Child(String),
    /// A bug of ours.
    #[error("loading it crashed; the log says more")]
    Crashed,
}

impl CompileError {
    /// The stable name of what went wrong.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unfit(Unfit::TooMuch { .. }) | Self::Exceeded(_) => Code::LimitCompile,
            Self::NotAComponent(_) | Self::Unfit(Unfit::Damaged(_)) | Self::Proposals(_) | Self::Compile(_) => {
                Code::PluginInvalid
            }
            Self::Child(_) | Self::Crashed => Code::Internal,
        }
    }

    /// Whether trying again would come to the same: it is in the component, and not in what else the machine does.
    fn is_lasting(&self) -> bool {
        match self {
            Self::NotAComponent(_) | Self::Unfit(_) | Self::Proposals(_) | Self::Compile(_) => true,
            Self::Exceeded(exceeded) => match exceeded {
                Exceeded::Time(_) | Exceeded::Memory(_) | Exceeded::Stack | Exceeded::Code(_) => true,
                Exceeded::Clock(_) | Exceeded::Killed(_) => false,
            },
            Self::Child(_) | Self::Crashed => false,
        }
    }
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
    pub fn open(folder: PathBuf, key: [u8; 32]) -> io::Result<Self> {
        ambient::create_private_dir(&folder)?;
        let refused = |message: String| io::Error::new(io::ErrorKind::PermissionDenied, message);
        let (mode, owner) = ambient::mode_and_owner(&folder)?;
        if mode & 0o022 != 0 {
            return Err(refused(format!("others may write to {}; run `chmod go-w` on it", folder.display())));
        }
        if ![ambient::own_user(), 0].contains(&owner) {
            return Err(refused(format!("{} belongs to another user; run `chown` on it", folder.display())));
        }
        let key = blake3::derive_key("bailiwick 2026-11-22 compiled code", &key);
        Ok(Self { folder, key })
    }

    fn path(&self, digest: ComponentDigest, engine: &Engine) -> PathBuf {
        self.folder.join(format!("{}-{:016x}.cwasm", hex::encode(digest.0), compatibility(engine)))
    }

    /// The seal of an entry, before its code was added.
    fn seal(&self, digest: ComponentDigest, engine: &Engine) -> blake3::Hasher {
        let mut seal = blake3::Hasher::new_keyed(&self.key);
        seal.update(&compatibility(engine).to_le_bytes());
        seal.update(&digest.0);
        seal
    }

    /// The code of an entry whose seal is right.
    fn read(&self, digest: ComponentDigest, engine: &Engine) -> Option<Frozen> {
        let path = self.path(digest, engine);
        match self.unsealed(&path, self.seal(digest, engine)) {
            Ok(Some(code)) => Some(code),
            Ok(None) => {
                tracing::warn!(entry = %path.display(), "compiled code does not match its seal; compiling anew");
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(entry = %path.display(), %error, "compiled code cannot be read; compiling anew");
                None
            }
        }
    }

    /// The code in a file, if its seal is right. What is checked is the copy: the file may change meanwhile.
    fn unsealed(&self, path: &Path, mut seal: blake3::Hasher) -> io::Result<Option<Frozen>> {
        let mut file = ambient::open_regular(path, Links::Refused)?;
        let size = file.metadata()?.len().saturating_sub(SEAL);
        let code = Frozen::copy((&mut file).take(size), MAX_CODE, |piece| {
            seal.update(piece);
        })?;
        let mut written = Vec::new();
        file.take(SEAL).read_to_end(&mut written)?;
        // Compared in constant time.
        Ok(<[u8; SEAL as usize]>::try_from(written).is_ok_and(|written| seal.finalize() == written).then_some(code))
    }

    fn write(&self, digest: ComponentDigest, engine: &Engine, code: &[u8]) {
        let seal = self.seal(digest, engine).update(code).finalize();
        let entry = [code, seal.as_bytes()].concat();
        if let Err(error) = ambient::write_private(&self.path(digest, engine), &entry) {
            tracing::warn!(%error, folder = %self.folder.display(), "compiled code cannot be kept; the next start will compile again");
        }
    }
}

/// A number that changes with anything that makes compiled code unfit for an engine.
pub(super) fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    FORMAT.hash(&mut hasher);
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
}

/// Loads `wasm`, from the cache if it is there. May take minutes for a large component that is not.
///
/// Dropping the future ends the child that compiles.
///
/// # Errors
/// When it is not a component, does not compile, or takes too much to compile.
pub(super) async fn load(runtime: &Arc<Runtime>, wasm: Wasm, name: &str) -> Result<Compiled, CompileError> {
    let digest = wasm.digest;
    let look = async || {
        let (wasm, plugin) = (wasm.clone(), name.to_owned());
        blocking(runtime, move |runtime| find(runtime, &wasm, &plugin)).await
    };
    if let Some(compiled) = look().await? {
        return Ok(compiled);
    }
    // Several plugins may be of one component, and load side by side: one compiles, the others take what came of it.
    let refusal = runtime.guard.refusal(digest);
    let (mut refusal, waited) = match refusal.try_lock() {
        Ok(refusal) => (refusal, false),
        Err(_) => (refusal.lock().await, true),
    };
    if let Some(error) = &*refusal {
        return Err(error.clone());
    }
    if waited && let Some(compiled) = look().await? {
        return Ok(compiled);
    }
    let compiled = make(runtime, wasm, name).await;
    let error = compiled.as_ref().err();
    refusal.clone_from(&error.cloned());
    if !error.is_some_and(CompileError::is_lasting) {
        runtime.guard.forget(digest);
    }
    compiled
}

/// Compiles what the cache does not have, and keeps it there.
async fn make(runtime: &Arc<Runtime>, wasm: Wasm, name: &str) -> Result<Compiled, CompileError> {
    let start = std::time::Instant::now();
    let Wasm { bytes: wasm, digest, trust } = wasm;
    let size = wasm.len();
    let guarded = match trust {
        Trust::Foreign => runtime.guard.compile(&wasm, compatibility(&runtime.engines.pooled)).await,
        // Part of this program: whoever could change it could change the compiler too.
        Trust::Builtin => None,
    };
    let code = match guarded {
        Some(code) => code?,
        None => blocking(runtime, move |runtime| compile(&runtime.engines.pooled, &wasm)).await?,
    };
    runtime.tally.compiled.inc();
    tracing::info!(plugin = name, bytes = size, ms = start.elapsed().as_millis() as u64, "compiled");
    let plugin = name.to_owned();
    blocking(runtime, move |runtime| {
        if let Some(cache) = &runtime.cache {
            cache.write(digest, &runtime.engines.pooled, &code);
        }
        let kept =
            Frozen::copy(&code[..], MAX_CODE, |_| {}).map_err(|error| CompileError::Compile(error.to_string()))?;
        fit(&runtime.engines, &kept, &plugin).map_err(|error| CompileError::Compile(format!("{error:#}")))
    })
    .await
}

/// Does what takes a while where it holds up nobody.
pub(super) async fn blocking<T: Send + 'static>(
    runtime: &Arc<Runtime>,
    work: impl FnOnce(&Runtime) -> Result<T, CompileError> + Send + 'static,
) -> Result<T, CompileError> {
    let runtime = Arc::clone(runtime);
    tokio::task::spawn_blocking(move || work(&runtime)).await.map_err(|_| CompileError::Crashed)?
}

/// Looks for the compiled code of `wasm`, and whether compiling it should be tried where there is none.
fn find(runtime: &Runtime, wasm: &Wasm, name: &str) -> Result<Option<Compiled>, CompileError> {
    let Wasm { bytes, digest, .. } = wasm;
    is_component(bytes)?;
    let code = runtime.cache.as_ref().and_then(|cache| cache.read(*digest, &runtime.engines.pooled));
    match code.map(|code| fit(&runtime.engines, &code, name)) {
        Some(Ok(compiled)) => {
            runtime.tally.cached.inc();
            return Ok(Some(compiled));
        }
        Some(Err(error)) => {
            tracing::warn!(plugin = name, %error, "compiled code in the cache is of no use; compiling anew");
        }
        None => {}
    }
    precheck(bytes)?;
    Ok(None)
}

fn is_component(wasm: &[u8]) -> Result<(), CompileError> {
    if wasm.starts_with(b"\x7fELF") {
        return Err(CompileError::NotAComponent(
            "it is compiled code, which is never loaded from a file; name the component it was compiled from",
        ));
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(CompileError::NotAComponent("it does not start with the WebAssembly magic number"));
    }
    if !wasmparser::Parser::is_component(wasm) {
        return Err(CompileError::NotAComponent(
            "it is a core module; build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`",
        ));
    }
    Ok(())
}

/// Compiles in this process, without limits.
pub(super) fn compile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    engine.precompile_component(wasm).map_err(|error| match &proposals::missing(wasm)[..] {
        [] => CompileError::Compile(format!("{error:#}")),
        missing => CompileError::Proposals(missing.join(", ")),
    })
}

/// Makes code ready to run: from the pool where it fits a slot, else one by one.
fn fit(engines: &Engines, code: &Frozen, name: &str) -> wasmtime::Result<Compiled> {
    let on =
        |engine: &Engine| deserialize(engine, code).map(|component| Compiled { component, engine: engine.clone() });
    // A component that does not fit a slot of the pool fails to load there, before it runs.
    on(&engines.pooled).or_else(|pooled| {
        let compiled = on(&engines.on_demand)?;
        tracing::warn!(plugin = name, reason = %pooled, "does not fit the pool; its calls will start slower");
        Ok(compiled)
    })
}

#[expect(unsafe_code, reason = "there is no safe way to load compiled code")]
fn deserialize(engine: &Engine, code: &Frozen) -> wasmtime::Result<Component> {
    // SAFETY: nobody can change `code`, and it was made by `precompile_component` of this very version of the engine with the same settings: a
    // moment ago in this process, or in a child that runs this very program and gave the number of its engine, or by
    // this host before, which the seal over exactly these bytes proves.
    unsafe { Component::deserialize_file(engine, code.path()) }
}

/// The name of the file with the host's own key, in the state folder.
pub const KEY_FILE: &str = "host.key";

/// The host's own key, made when it is first needed.
///
/// # Errors
/// When the file cannot be made or read, has another size, or can be read by others.
pub fn host_key(file: &Path) -> io::Result<[u8; 32]> {
    let unfit = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    if !ambient::exists(file) {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        match ambient::create_private(file, &key) {
            Ok(()) => return Ok(key),
            // Another process was first; its key is the key.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use wasmtime::OptLevel;

    use super::super::engine_config;
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn both_engines_take_the_same_code() {
        let engines = Engines::new(1).expect("this machine runs components");
        assert_eq!(compatibility(&engines.pooled), compatibility(&engines.on_demand));
        let child = Engine::new(&engine_config()).expect("it starts");
        assert_eq!(compatibility(&engines.pooled), compatibility(&child), "and what a child makes is for them");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "puts one entry in the place of another")]
    fn code_for_another_engine_is_not_taken_under_its_name() {
        let folder = std::env::temp_dir().join(format!("bailiwick-cache-{}", std::process::id()));
        let cache = Cache::open(folder.clone(), [7; 32]).expect("it can be made");
        let digest = ComponentDigest::of(EMPTY);
        let ours = Engine::new(&engine_config()).expect("it starts");
        let mut settings = engine_config();
        let theirs = Engine::new(settings.cranelift_opt_level(OptLevel::None)).expect("it starts");
        let code = compile(&theirs, EMPTY).expect("it compiles");
        cache.write(digest, &theirs, &code);
        assert!(cache.read(digest, &ours).is_none(), "it has another name");
        let read = cache.read(digest, &theirs).expect("it is there");
        assert_eq!(std::fs::read(read.path()).expect("it can be read"), code);
        assert!(
            std::fs::OpenOptions::new().append(true).open(read.path()).and_then(|mut it| it.write_all(b"x")).is_err()
        );
        std::fs::rename(cache.path(digest, &theirs), cache.path(digest, &ours)).expect("it can be renamed");
        assert!(cache.read(digest, &ours).is_none(), "its seal is of another engine");
        let other_host = Cache { folder: folder.clone(), key: [8; 32] };
        cache.write(digest, &ours, b"code");
        assert!(cache.read(digest, &ours).is_some());
        assert!(other_host.read(digest, &ours).is_none(), "its seal is of another host");
        std::fs::remove_dir_all(folder).expect("it can be removed");
    }
}
