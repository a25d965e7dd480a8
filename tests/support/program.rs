//! The real program, built once.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use super::host::World;

/// The program `bailiwick`, beside the tests in the target folder. Cargo builds binaries of other crates only when it is
/// told to; what is up to date costs it a moment. It is told the same as `just test` tells it, because what is selected
/// decides the features of all dependencies, and another choice would compile them all again.
pub(crate) fn path() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let profile = std::env::current_exe()
            .expect("Linux says")
            .ancestors()
            .nth(2)
            .expect("target/PROFILE/deps/TEST")
            .to_owned();
        let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
            "build",
            "--locked",
            "--quiet",
            "--workspace",
            "--exclude",
            "bailiwick-guests",
            "--exclude",
            "bailiwick-benches",
            "--bins",
            "--tests",
        ]);
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let built = cargo.status().expect("cargo can be started");
        assert!(built.success(), "the program does not compile");
        profile.join("bailiwick")
    })
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
