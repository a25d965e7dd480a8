//! Finds and reads `bailiwick.toml`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_core::config::{self, Config, Mistake, Source};
use bailiwick_core::lock::Lock;

use crate::{ambient, audit};

/// A configuration file larger than this is refused.
const MAX_FILE: u64 = 1 << 20;
/// A lock file larger than this is refused: a thousand plugins with ten tools each fit.
const MAX_LOCK: u64 = 64 << 20;

/// Permission bits: everyone may write, and in a folder only to what is their own.
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Nobody wrote one.
    #[error(
        "no configuration found; looked at {}\nwrite one, for example\n\n    [plugins.datetime]\n    component = \"builtin:datetime\"\n\nor name one with `--config FILE`",
        list(.looked)
    )]
    Missing {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// It cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Others could have written it.
    #[error("others may write to {path} (mode {mode:o}): whoever can write it grants rights; run `chmod go-w` on it")]
    Writable {
        /// The file or its folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is wrong.
    #[error("{}", config::render(.source_text, .mistakes))]
    Mistakes {
        /// The text.
        source_text: Box<Source>,
        /// All that is wrong with it.
        mistakes: Vec<Mistake>,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The file of the audit; none where there is no folder for it.
#[must_use]
pub fn audit_file(config: &Config) -> Option<PathBuf> {
    config.audit.file.clone().or_else(|| Some(state_folder(config)?.join(audit::FILE)))
}

/// The configuration file: `given`, else `BAILIWICK_CONFIG`, else `./bailiwick.toml`, else the one in the XDG folder.
///
/// A file that is named must be there; of the rest the first that is there counts.
///
/// # Errors
/// When none is there.
pub fn find(given: Option<&Path>) -> Result<PathBuf, SettingsError> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    if let Some(path) = ambient::env("BAILIWICK_CONFIG").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let looked: Vec<PathBuf> =
        std::iter::once(PathBuf::from("./bailiwick.toml")).chain(xdg("XDG_CONFIG_HOME", ".config")).collect();
    looked.iter().find(|path| ambient::exists(path)).cloned().ok_or(SettingsError::Missing { looked })
}

fn xdg(variable: &str, fallback: &str) -> Option<PathBuf> {
    folder(variable, fallback).map(|folder| folder.join("bailiwick.toml"))
}

/// `$VARIABLE/bailiwick`, or `~/FALLBACK/bailiwick`.
fn folder(variable: &str, fallback: &str) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = ambient::env(variable).map(PathBuf::from).filter(absolute);
    let base = base.or_else(|| ambient::env("HOME").map(|home| Path::new(&home).join(fallback)).filter(absolute));
    Some(base?.join("bailiwick"))
}

/// Reads the file at `path`, and what is pinned in the lock file beside it.
///
/// # Errors
/// See [`SettingsError`]; all mistakes of the file at once.
pub fn read(path: &Path) -> Result<Config, SettingsError> {
    let source = source(path)?;
    let mut config = config::read(&source, &|name| ambient::env(name))
        .map_err(|mistakes| SettingsError::Mistakes { source_text: Box::new(source), mistakes })?;
    config.lock = match read_lock(&lock_file(path)) {
        Ok(lock) => Some(Arc::new(lock)),
        // Only a file that is not there pins nothing; one that cannot be read is no licence.
        Err(SettingsError::Unreadable { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(config)
}

/// The text of the configuration at `path`.
///
/// # Errors
/// See [`SettingsError`].
pub fn source(path: &Path) -> Result<Source, SettingsError> {
    let absolute =
        ambient::canonical(path).map_err(|error| SettingsError::Unreadable { path: path.to_owned(), error })?;
    let base = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    let name = path.strip_prefix("./").unwrap_or(path).display().to_string();
    Ok(Source { name, text: text(path, MAX_FILE)?, base })
}

/// The file in which plugins are pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFile {
    /// Where it is, or would be.
    pub path: PathBuf,
    /// As it is shown in messages.
    pub shown: String,
}

/// The lock file of a configuration: beside it, `bailiwick.lock` for `bailiwick.toml`. Beside the file itself, where the
/// configuration is a link, as with everything that is relative to it.
#[must_use]
pub fn lock_file(config: &Path) -> LockFile {
    let named = |path: &Path| match path.extension() {
        // A configuration by this very name keeps it.
        Some(ending) if ending == "lock" => PathBuf::from(format!("{}.lock", path.display())),
        Some(_) | None => path.with_extension("lock"),
    };
    let config = config.strip_prefix("./").unwrap_or(config);
    let path = ambient::canonical(config).map_or_else(|_| named(config), |real| named(&real));
    let beside = named(config);
    let folder = beside.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_beside =
        path.file_name() == beside.file_name() && ambient::canonical(folder).ok().as_deref() == path.parent();
    let shown = if is_beside { beside.display().to_string() } else { path.display().to_string() };
    LockFile { path, shown }
}

/// Reads a lock file.
///
/// # Errors
/// See [`SettingsError`]; one that is wrong in part pins nothing, and so nothing starts with it.
pub fn read_lock(file: &LockFile) -> Result<Lock, SettingsError> {
    let text = text(&file.path, MAX_LOCK)?;
    let base = file.path.parent().unwrap_or(Path::new("/")).to_owned();
    let source = Source { name: file.shown.clone(), text, base };
    Lock::read(&source).map_err(|mistakes| SettingsError::Mistakes { source_text: Box::new(source), mistakes })
}

/// The text of a file of the operator's, which nobody else may write.
fn text(path: &Path, most: u64) -> Result<String, SettingsError> {
    let unreadable = |error| SettingsError::Unreadable { path: path.to_owned(), error };
    let (mode, _) = ambient::mode_and_owner(path).map_err(unreadable)?;
    if mode & OTHERS_WRITE != 0 {
        return Err(SettingsError::Writable { path: path.to_owned(), mode });
    }
    let absolute = ambient::canonical(path).map_err(unreadable)?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    // Whoever may write to the folder may put another file in its place, unless the folder is sticky.
    let (mode, _) = ambient::mode_and_owner(folder).map_err(unreadable)?;
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        return Err(SettingsError::Writable { path: folder.to_owned(), mode });
    }
    let bytes = ambient::read(path, most).map_err(unreadable)?;
    let not_text = |_| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8"));
    String::from_utf8(bytes).map_err(not_text)
}

/// Where state is kept: `[host] state`, else the XDG folder.
#[must_use]
pub fn state_folder(config: &Config) -> Option<PathBuf> {
    config.host.state.clone().or_else(|| folder("XDG_STATE_HOME", ".local/state"))
}

/// Where compiled components are kept: `[host] cache`, else the XDG folder.
#[must_use]
pub fn cache_folder(config: &Config) -> Option<PathBuf> {
    config.host.cache.clone().or_else(|| folder("XDG_CACHE_HOME", ".cache"))
}
