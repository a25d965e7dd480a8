//! The real program.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::host::World;

/// The program `bailiwick`, compiled beside the tests with the very same dependencies.
pub(crate) fn path() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bailiwick-tested"))
}

/// A run of the program.
pub(crate) struct Run {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    /// Writes the configuration to a file and runs the program on it, with `input` on standard input.
    pub(crate) fn run(&self, text: &str, arguments: &[&str], input: &str) -> Run {
        let config = self.path("bailiwick.toml");
        let text = format!("{text}\n[host]\nstate = \"./state\"\ncache = {:?}\n", self.cache());
        std::fs::write(&config, text).expect("a file can be written");
        let mut command = Command::new(path());
        command
            .args(["--config", "bailiwick.toml"])
            .args(arguments)
            .current_dir(self.path(""))
            .env_remove("BAILIWICK_LOG");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program can be started");
        // The program may end before it has read all of it.
        drop(child.stdin.take().expect("it is piped").write_all(input.as_bytes()));
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes UTF-8");
        Run { exit: status.code().expect("it was not killed"), out: text(stdout), err: text(stderr) }
    }
}
