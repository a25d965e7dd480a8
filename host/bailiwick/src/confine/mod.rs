//! The second wall: the process of the host gives up what neither its grants nor its own work need.
//!
//! What stays in reach is decided by [`bailiwick_core::confine`]. Landlock holds files, TCP ports, signals and devices; a
//! filter of system calls holds what Landlock does not know. Both bind the thread that asks and whatever it starts later,
//! so this comes before the first thread. What a kernel lacks is in the [`Hold`], and is not passed over in silence.

mod ruleset;
mod syscalls;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_core::config::{Config, Plugin};
use bailiwick_core::confine::{Confinement, FileRule, Life, Look, Site};

use crate::ambient;
use crate::broker::{Broker, Charter};
use crate::load::StartError;
use crate::resolver::Resolver;
use crate::settings;

pub use syscalls::refused_everywhere;

/// A process that is confined: what it was confined to, what of that holds, and who does for it what it cannot.
#[derive(Debug)]
pub struct Wall {
    confinement: Confinement,
    hold: Hold,
    names: Option<Arc<Broker>>,
    commands: Option<Broker>,
}

/// What the kernel holds of a confinement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The version of Landlock's interface; none where there is no Landlock.
    pub landlock: Option<u32>,
    /// Whether system calls are filtered.
    pub syscalls: bool,
    /// What does not hold.
    pub missing: Vec<Missing>,
}

/// A part of the confinement that this kernel does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Nothing that Landlock would hold; says why.
    Landlock(&'static str),
    /// Landlock before its version 2 refuses to move files from folder to folder at all.
    Moves,
    /// Landlock before its version 3.
    Truncation,
    /// Landlock before its version 4.
    Ports,
    /// Landlock before its version 5.
    Devices,
    /// Landlock before its version 6.
    Signals,
    /// No filter of system calls; says why.
    Syscalls(String),
}

impl Missing {
    /// What a version of Landlock does not have.
    fn before(version: u32) -> Vec<Self> {
        let since = [(2, Self::Moves), (3, Self::Truncation), (4, Self::Ports), (5, Self::Devices), (6, Self::Signals)];
        since.into_iter().filter(|(first, _)| version < *first).map(|(_, missing)| missing).collect()
    }

    /// Whether the wall is none without it.
    #[must_use]
    pub fn is_essential(&self) -> bool {
        match self {
            Self::Landlock(_) | Self::Truncation | Self::Ports | Self::Syscalls(_) => true,
            Self::Moves | Self::Devices | Self::Signals => false,
        }
    }

    /// The word for it, stable, for programs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Landlock(_) => "landlock",
            Self::Moves => "moves",
            Self::Truncation => "truncation",
            Self::Ports => "ports",
            Self::Devices => "devices",
            Self::Signals => "signals",
            Self::Syscalls(_) => "system-calls",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landlock(why) => write!(f, "the host is not confined to its files and TCP ports: {why}"),
            Self::Moves => {
                f.write_str("files cannot be moved between folders, not even granted ones (since Linux 5.19)")
            }
            Self::Truncation => f.write_str("the host is not kept from emptying files of others (since Linux 6.2)"),
            Self::Ports => f.write_str("the host is not confined to its TCP ports (since Linux 6.7)"),
            Self::Devices => f.write_str("the host is not kept from commanding devices (since Linux 6.10)"),
            Self::Signals => f.write_str(
                "the host is not kept from sending signals to its user's other processes (since Linux 6.12)",
            ),
            Self::Syscalls(why) => write!(f, "the host's system calls are not filtered: {why}"),
        }
    }
}

/// Why a process is not confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// What a confined host needs outside is not there.
    #[error("the process that {0} for a confined host cannot be started: {1}")]
    Broker(&'static str, io::Error),
    /// The kernel has what is needed and refuses it.
    #[error("the kernel refuses to confine the host: {0}")]
    Refused(String),
    /// The kernel lacks what the configuration requires.
    #[error("the kernel cannot confine the host as `confine = \"required\"` under `[host]` wants it: {}", list(.0))]
    Lacking(Vec<Missing>),
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What a host needs for this configuration; makes the folders it keeps its own things in, and `out`, where they are
/// missing.
///
/// # Errors
/// When there is no place for them, or they cannot be made.
pub fn plan(config: &Config, file: &Path, life: Life, out: Option<&Path>) -> Result<Confinement, StartError> {
    let state = settings::state_folder(config).ok_or(StartError::NoFolder("state", "state"))?;
    let cache = settings::cache_folder(config).ok_or(StartError::NoFolder("compiled components", "cache"))?;
    let audit = settings::audit_file(config).ok_or(StartError::NoFolder("the audit", "state"))?;
    for folder in [Some(state.as_path()), Some(cache.as_path()), audit.parent(), out].into_iter().flatten() {
        let unfit = |error| StartError::File { path: folder.to_owned(), error };
        ambient::create_private_dir(folder).map_err(unfit)?;
    }
    let program = ambient::program().unwrap_or_default();
    let mut libraries = ambient::mapped_files().unwrap_or_default();
    libraries.retain(|path| *path != program);
    let site = Site {
        config: file,
        state: &state,
        cache: &cache,
        audit: &audit,
        out,
        program: &program,
        libraries: &libraries,
    };
    let home = home();
    Ok(Confinement::of(config, life, site, Look { home: home.as_deref(), real: &real }))
}

fn home() -> Option<PathBuf> {
    ambient::env("HOME").and_then(|home| real(Path::new(&home)))
}

fn real(path: &Path) -> Option<PathBuf> {
    ambient::canonical(path).ok()
}

/// Confines this thread and all it starts from here on, for good. Threads that run already are not.
///
/// # Errors
/// When the kernel refuses what it has. What it does not have is in the [`Hold`].
pub fn hold(confinement: &Confinement) -> Result<Hold, ConfineError> {
    let (landlock, mut missing) = match ruleset::restrict(confinement)? {
        Ok(version) => (Some(version), Missing::before(version)),
        Err(why) => (None, vec![Missing::Landlock(why)]),
    };
    // Caged programs connect to the host for all their network, however long it runs.
    let life = if confinement.hears_programs() { Life::Listening } else { confinement.life };
    let filtered = syscalls::filter(confinement.sockets, life);
    let syscalls = filtered.is_ok();
    missing.extend(filtered.err().map(Missing::Syscalls));
    Ok(Hold { landlock, syscalls, missing })
}

/// Filters the system calls of a program that somebody else wrote, and that this process is about to become.
///
/// # Errors
/// Why there is no filter.
pub(crate) fn hold_program() -> Result<(), String> {
    syscalls::filter_program()
}

impl Wall {
    /// Confines this process for good, as far as the kernel can. Call it before the first thread is started.
    ///
    /// # Ambient authority
    /// Starts processes outside of the wall: one that looks up granted names, one that runs the commands of secrets, each
    /// only if there are such.
    ///
    /// # Errors
    /// When one of them cannot be started, or the kernel refuses what it has.
    pub fn raise(confinement: Confinement) -> Result<Self, ConfineError> {
        let names: Vec<String> = confinement.names().into_iter().map(ToString::to_string).collect();
        let names = (!names.is_empty()).then(|| Broker::start(Charter::Names(names)).map(Arc::new));
        let names = names.transpose().map_err(|error| ConfineError::Broker("looks up names", error))?;
        let commands: Vec<Vec<String>> = confinement.commands.iter().map(|rule| rule.argv.clone()).collect();
        let commands = (!commands.is_empty()).then(|| Broker::start(Charter::Commands(commands)));
        let commands = commands.transpose().map_err(|error| ConfineError::Broker("runs commands", error))?;
        let hold = hold(&confinement)?;
        tracing::info!(landlock = hold.landlock, syscalls = hold.syscalls, "the host is confined");
        Ok(Self { confinement, hold, names, commands })
    }

    /// What the process is confined to.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// What of it holds.
    #[must_use]
    pub fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Where names become addresses from here on.
    #[must_use]
    pub fn resolver(&self) -> Resolver {
        self.names.clone().map_or(Resolver::System, Resolver::Broker)
    }

    /// Whether a plugin, as it is configured now, can have what it is granted.
    ///
    /// # Errors
    /// All that lies outside, or took the place of what was inside, in one sentence each.
    pub fn admits(&self, plugin: &Plugin) -> Result<(), String> {
        let home = home();
        let look = Look { home: home.as_deref(), real: &real };
        let mut beyond = self.confinement.beyond(plugin, look);
        if beyond.is_empty() {
            let needs = self.confinement.needs(plugin, look).files;
            beyond = needs.iter().filter(|rule| ambient::is_kept_from(&rule.path)).map(FileRule::beyond).collect();
        }
        if beyond.is_empty() {
            return Ok(());
        }
        Err(beyond.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    /// What the command of a secret prints; it runs outside of the wall. Blocks.
    ///
    /// # Errors
    /// When it is not among those that were configured at the start, or fails.
    pub fn command_output(&self, argv: &[String]) -> io::Result<Vec<u8>> {
        self.commands.as_ref().ok_or(io::ErrorKind::PermissionDenied)?.output(argv)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_of_landlock_lacks_less() {
        let lacking = |version| Missing::before(version).iter().map(Missing::as_str).collect::<Vec<_>>();
        assert_eq!(lacking(1), ["moves", "truncation", "ports", "devices", "signals"]);
        assert_eq!(lacking(3), ["ports", "devices", "signals"]);
        assert_eq!(lacking(5), ["signals"]);
        assert!(lacking(6).is_empty() && lacking(99).is_empty());
    }

    #[test]
    fn a_wall_with_a_hole_for_files_ports_or_system_calls_is_none() {
        let essential = |version| Missing::before(version).iter().any(Missing::is_essential);
        assert!(essential(1) && essential(3) && !essential(4) && !essential(5));
        assert!(Missing::Landlock("it is old").is_essential());
        assert!(Missing::Syscalls("it is old".to_owned()).is_essential());
    }
}
