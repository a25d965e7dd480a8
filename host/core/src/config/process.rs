//! The `process` table: native programs as tools. From text to what it means.

use std::path::PathBuf;
use std::time::Duration;

use super::class::{Launch, Sandbox};
use super::file::ProcessTable;
use super::mistake::{Flaw, Mistake, Place, code, shown};
use super::reader::{At, joined};
use super::{Class, Typing};
use crate::deny::{Deny, Pattern};
use crate::grant::{FsGrants, Limits, NetGrants};

/// Native programs as tools. There are none unless the operator writes them down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Which tools they are.
    pub kind: ProcessKind,
    /// How each of its programs is started; what a call says comes after the command's own words.
    pub launch: Launch,
    /// The folder of the scripts; only with [`ProcessKind::Scripts`], and always there with it.
    pub folder: Option<PathBuf>,
    /// The most a call may be trusted with.
    pub trust: Trust,
    /// Commands that are not run, by the look of them.
    pub deny: Deny,
}

/// Which tools native programs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessKind {
    /// `bash`: a command line in the plugin's directories.
    Bash,
    /// One tool for each program of a folder that has a description beside it.
    Scripts,
    /// `sandbox_exec`: a command line with or without the network.
    SandboxExec,
    /// `std-execute-code`: a command line, with what came of it as fields.
    StdExecuteCode,
    /// `code_agent`: a program of the operator's that is given a task.
    CodeAgent,
    /// The same under the name `opencode`.
    Opencode,
}

impl ProcessKind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Bash, Self::Scripts, Self::SandboxExec, Self::StdExecuteCode, Self::CodeAgent, Self::Opencode];

    /// As it stands in the file; of all but the scripts it is the tool's name too.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Scripts => "scripts",
            Self::SandboxExec => "sandbox_exec",
            Self::StdExecuteCode => "std-execute-code",
            Self::CodeAgent => "code_agent",
            Self::Opencode => "opencode",
        }
    }

    /// What one call may use where the config says nothing.
    #[must_use]
    pub fn limits(self) -> Limits {
        let (time, memory) = match self {
            Self::Bash | Self::CodeAgent | Self::Opencode => (600, Limits::OF_PROGRAMS.memory),
            Self::Scripts => (60, Limits::OF_PROGRAMS.memory),
            Self::SandboxExec => (300, 512 << 20),
            Self::StdExecuteCode => (120, Limits::OF_PROGRAMS.memory),
        };
        Limits { time: Duration::from_secs(time), memory, ..Limits::OF_PROGRAMS }
    }

    /// The operator's own words before those of a call.
    fn command(self) -> Option<&'static [&'static str]> {
        match self {
            // After `--` a command may begin with a dash.
            Self::Bash | Self::SandboxExec | Self::StdExecuteCode => {
                Some(&["bash", "--noprofile", "--norc", "-c", "--"])
            }
            // Runs a script without a first line that says what runs it, too.
            Self::Scripts => Some(&["/bin/sh", "-c", "exec \"$0\""]),
            Self::CodeAgent | Self::Opencode => None,
        }
    }

    fn is_shell(self) -> bool {
        match self {
            Self::Bash | Self::SandboxExec | Self::StdExecuteCode => true,
            Self::Scripts | Self::CodeAgent | Self::Opencode => false,
        }
    }

    fn asks_for_trust(self) -> bool {
        match self {
            Self::SandboxExec | Self::CodeAgent | Self::Opencode => true,
            Self::Bash | Self::Scripts | Self::StdExecuteCode => false,
        }
    }
}

/// How much a call is trusted with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// It reaches no network.
    #[default]
    Sandboxed,
    /// It reaches what the plugin's `net` grants.
    Trusted,
}

impl Trust {
    pub(crate) const ALL: [Self; 2] = [Self::Sandboxed, Self::Trusted];

    /// As it stands in the file, and in the arguments of a call.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sandboxed => "sandboxed",
            Self::Trusted => "trusted",
        }
    }

    /// The trust of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trust| trust.as_str() == text)
    }
}

impl Process {
    /// Whether some call of it may reach the network that is granted.
    #[must_use]
    pub fn reaches_network(&self) -> bool {
        !self.kind.asks_for_trust() || self.trust == Trust::Trusted
    }
}

impl Typing<'_, '_> {
    /// Reads what native programs a plugin has.
    pub(super) fn process(&mut self, path: &str, place: &Place, table: ProcessTable) -> Option<Process> {
        let Some(kind) = table.kind.as_ref() else {
            let names = ProcessKind::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", ");
            let message = format!("`{path}` does not say which tools its programs are");
            let mistake = Mistake::new(code::MISSING_KEY, place.clone(), message).legal(names);
            self.reading.note(mistake.suggest("add `kind = \"…\"`"));
            return None;
        };
        let kind = kind.0.as_ref()?.value;
        self.keys_fit(path, kind, &table);
        let deny: Deny = table
            .deny
            .iter()
            .flat_map(|list| &list.value)
            .filter_map(|line| self.reading.accept(Pattern::parse(&line.value), &line.place))
            .collect();
        let install = table.install.is_some_and(|install| install.value);
        let (command, installs) = match kind.command() {
            Some(words) => (words.iter().map(|word| (*word).to_owned()).collect(), false),
            None => {
                let command = self.command(path, place, table.command)?;
                let installs = self.installs(&command, install)?;
                (command.value.into_iter().map(|word| word.value).collect(), installs)
            }
        };
        let folder = match kind {
            ProcessKind::Scripts => Some(self.scripts_folder(path, place, table.folder.as_ref())?),
            ProcessKind::Bash
            | ProcessKind::SandboxExec
            | ProcessKind::StdExecuteCode
            | ProcessKind::CodeAgent
            | ProcessKind::Opencode => None,
        };
        let cwd = match table.cwd {
            Some(cwd) => Some(self.path(&cwd)?),
            None => None,
        };
        let sandbox = table.sandbox.map(|sandbox| sandbox.value).unwrap_or_default();
        let trust = table.trust.map(|trust| trust.value).unwrap_or_default();
        Some(Process { kind, launch: Launch { command, cwd, sandbox, installs }, folder, trust, deny })
    }

    /// Notes each key that says nothing about this kind.
    fn keys_fit(&mut self, path: &str, kind: ProcessKind, table: &ProcessTable) {
        let agents = kind.command().is_none();
        let shells = "`bash`, `sandbox_exec` and `std-execute-code`, which run command lines";
        let foreign = [
            ("folder", table.folder.as_ref().map(|at| &at.place), kind == ProcessKind::Scripts, "`scripts`"),
            ("command", table.command.as_ref().map(|at| &at.place), agents, "`code_agent` and `opencode`"),
            ("install", table.install.as_ref().map(|at| &at.place), agents, "`code_agent` and `opencode`"),
            ("deny", table.deny.as_ref().map(|at| &at.place), kind.is_shell(), shells),
            (
                "trust",
                table.trust.as_ref().map(|at| &at.place),
                kind.asks_for_trust(),
                "`sandbox_exec`, `code_agent` and `opencode`",
            ),
        ];
        for (key, place, _, owner) in foreign.into_iter().filter(|(.., fits, _)| !fits) {
            let Some(place) = place else { continue };
            let message = format!("`{}` has no effect: it is for {owner}", joined(path, key));
            self.reading.note(Mistake::new(code::UNUSED, place.clone(), message));
        }
    }

    fn scripts_folder(&mut self, path: &str, place: &Place, folder: Option<&At<String>>) -> Option<PathBuf> {
        let Some(folder) = folder else {
            let message = format!("`{path}` does not say where the scripts are");
            let mistake = Mistake::new(code::MISSING_KEY, place.clone(), message);
            self.reading.note(mistake.legal("`folder = \"./tools\"`, relative to this file"));
            return None;
        };
        let path = self.path(folder)?;
        let flaw =
            || Flaw::new(format!("{} is no folder of scripts", shown(&folder.value))).legal("a folder of their own");
        let is_root = path.parent().is_none();
        self.reading.accept(if is_root { Err(flaw()) } else { Ok(path) }, &folder.place)
    }

    /// Notes where trust, network and sandbox contradict each other.
    pub(super) fn trust_fits(&mut self, class: &Class, place: &Place, net: &NetGrants) {
        let Class::Process(process) = class else { return };
        let key = format!("kind = \"{}\"", process.kind.as_str());
        let note = |typing: &mut Self, code, place: &Place, message: String, suggestion: &str| {
            typing.reading.note(Mistake::new(code, place.clone(), message).suggest(suggestion));
        };
        if !process.kind.asks_for_trust() {
            return;
        }
        match (process.launch.sandbox, process.trust) {
            (Sandbox::Off, _) if process.kind == ProcessKind::SandboxExec => {
                let message = format!("`{key}` is a sandbox, and `sandbox = \"off\"` takes it away");
                note(self, code::CONFLICT, place, message, "write `kind = \"bash\"`, or leave `sandbox` out");
            }
            (Sandbox::Off, Trust::Sandboxed) => {
                let message = format!("without a sandbox `{key}` is trusted with everything");
                note(self, code::CONFLICT, place, message, "say so with `trust = \"trusted\"`, or leave `sandbox` out");
            }
            (Sandbox::Required, Trust::Trusted) if net.is_empty() => {
                let message = "`trust = \"trusted\"` has no effect: it is for what `net` grants, and that is nothing";
                note(self, code::UNUSED, place, message.to_owned(), "add the hosts it may reach to `net`");
            }
            (Sandbox::Required, Trust::Sandboxed) => {
                if let Some(grant) = net.iter().next() {
                    let message =
                        format!("`{}` has no effect: all calls are sandboxed, and reach no network", grant.text());
                    note(self, code::UNUSED, grant.place(), message, "add `trust = \"trusted\"` to `process`");
                }
            }
            (Sandbox::Off | Sandbox::Required, Trust::Trusted) => {}
        }
    }

    /// Notes a place to work that is none.
    pub(super) fn workspace_fits(&mut self, class: &Class, place: &Place, fs: &FsGrants) {
        let Class::Process(process) = class else { return };
        match (process.launch.sandbox, process.launch.cwd.as_deref()) {
            (Sandbox::Off, None) if process.kind == ProcessKind::Bash => {
                let message = "without a sandbox a shell needs a directory to work in".to_owned();
                let mistake = Mistake::new(code::MISSING_KEY, place.clone(), message);
                self.reading.note(mistake.legal("`cwd = \"./work\"` in `process`"));
            }
            (Sandbox::Required, Some(cwd)) if !fs.iter().any(|grant| cwd.starts_with(&grant.host)) => {
                let message = format!("nothing of `fs` has {} in it, where `cwd` says to work", cwd.display());
                self.reading.note(Mistake::new(code::CONFLICT, place.clone(), message).suggest("add it to `fs`"));
            }
            (Sandbox::Off | Sandbox::Required, _) => {}
        }
    }
}
