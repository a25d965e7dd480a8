//! Finds and reads `bailiwick.toml`.

use std::path::{Path, PathBuf};

use bailiwick_core::config::{self, Config, Mistake, Source};

use crate::ambient;

/// A configuration file larger than this is refused.
const MAX_FILE: u64 = 1 << 20;

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

/// Reads the file at `path`.
///
/// # Errors
/// See [`SettingsError`]; all mistakes of the file at once.
pub fn read(path: &Path) -> Result<Config, SettingsError> {
    let unreadable = |error| SettingsError::Unreadable { path: path.to_owned(), error };
    let (mode, _) = ambient::mode_and_owner(path).map_err(unreadable)?;
    if mode & 0o002 != 0 {
        return Err(SettingsError::Writable { path: path.to_owned(), mode });
    }
    let bytes = ambient::read(path, MAX_FILE).map_err(unreadable)?;
    let not_text = |_| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8"));
    let text = String::from_utf8(bytes).map_err(not_text)?;
    let absolute = ambient::canonical(path).map_err(unreadable)?;
    let base = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    let name = path.strip_prefix("./").unwrap_or(path).display().to_string();
    let source = Source { name, text, base };
    config::read(&source, &|name| ambient::env(name))
        .map_err(|mistakes| SettingsError::Mistakes { source_text: Box::new(source), mistakes })
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
