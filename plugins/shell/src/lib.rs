//! The built-in plugin `shell`: `bash`, whose commands are part of the component. It starts no process.
//!
//! The granted directories are there under their own paths; everything else (`/tmp`, `/home`) is memory of the call, gone
//! with it. The host enforces the grants; nothing here protects anything.
//!
//! bashkit runs the commands. Its own limits are set aside where the host has one (memory, time): what remains are those that
//! guard its stack.
#![cfg(target_family = "wasm")]
#![expect(clippy::disallowed_methods, reason = "a guest's std::fs reaches its preopens only")]

mod folder;
mod run;
mod said;

use bailiwick_sdk::prelude::*;

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Runs a command with a bash that has its commands built in: pipes, loops, functions, arrays, here-documents; `ls`,
    /// `find`, `grep`, `rg`, `sed`, `awk`, `jq`, `sort`, `diff`, `tar`, `gzip`, `xargs`, `date` and some 150 more. No other
    /// program can be started (no git, python, make or package managers), and there is no network. Files in the granted
    /// directories last; all others, `/tmp` included, end with the command. What runs in the background is waited for. Gives standard output, then standard error
    /// after `[stderr]`, then `[exit code: N]` unless it is 0.
    #[tool(title = "Run a shell command", destructive, closed_world, risk = "medium")]
    fn bash(
        /// What bash runs.
        #[schemars(length(min = 1))]
        command: String,
        /// Where it runs, relative to the workspace (the first granted directory); without this, the workspace itself.
        #[serde(default)]
        workdir: Option<String>,
        /// Seconds after which it is ended. The operator's limit for a call holds as well.
        #[serde(default)]
        #[schemars(range(min = 1, max = 3600))]
        timeout: Option<u64>,
    ) -> Result<String, Failure> {
        run::bash(&command, workdir.as_deref(), timeout)
    }
}
