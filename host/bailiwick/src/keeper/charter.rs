//! From a configuration to what its keeper may start.

use std::io;

use bailiwick_core::config::{Config, Sandbox};
use bailiwick_core::confine::ProgramRule;
use bailiwick_core::grant::Access;
use bailiwick_core::name::PluginName;

use super::{Granted, Keeper, Net, Program};

/// Bytes that one of its files may grow to.
const FILE_SIZE: u64 = 4 << 30;

impl Keeper {
    /// A keeper for the programs of a configuration; none where it has none.
    ///
    /// # Ambient authority
    /// Starts this program once more, with all the rights this process has now.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn of(config: &Config) -> io::Result<Option<Self>> {
        let enabled = config.plugins.iter().filter(|plugin| plugin.enabled);
        let programs: Vec<Program> = enabled.filter_map(ProgramRule::of).map(Program::from).collect();
        if programs.is_empty() { Ok(None) } else { Self::start(programs).map(Some) }
    }

    /// Whether the program of this plugin is among those it may start.
    #[must_use]
    pub fn keeps(&self, plugin: &PluginName) -> bool {
        self.plugins.contains(plugin.as_str())
    }
}

impl From<ProgramRule> for Program {
    fn from(rule: ProgramRule) -> Self {
        let sandbox = match rule.launch.sandbox {
            Sandbox::Required => true,
            Sandbox::Off => false,
        };
        let net = match (sandbox, rule.net) {
            (false, _) => Net::Host,
            (true, true) => Net::Proxy,
            (true, false) => Net::Nothing,
        };
        let granted = |(path, access)| Granted { path, write: access == Access::ReadWrite };
        Self {
            plugin: rule.plugin.to_string(),
            argv: rule.launch.command,
            more_arguments: rule.more_arguments,
            cwd: rule.launch.cwd,
            env: rule.env,
            variables: rule.variables,
            files: rule.files.into_iter().map(granted).collect(),
            net,
            sandbox,
            memory: rule.memory,
            processes: rule.processes,
            open_files: rule.handles,
            file_size: FILE_SIZE,
            installs: rule.launch.installs,
        }
    }
}
