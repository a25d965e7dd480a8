//! The real program.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use super::host::World;

/// The program `bailiwick`, compiled beside the tests with the very same dependencies.
pub(crate) fn path() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    // The one that is shipped, or any other.
    let given = || std::env::var_os("BAILIWICK_TEST_PROGRAM").map(PathBuf::from);
    PROGRAM.get_or_init(|| given().unwrap_or_else(|| env!("CARGO_BIN_EXE_bailiwick-tested").into()))
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
        ended(self.child(text, arguments), input)
    }

    /// Writes the configuration to a file and runs the program on it, with more variables in its environment.
    pub(crate) fn run_with(&self, text: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let mut command = self.command(text, arguments);
        command.envs(variables.iter().copied());
        ended(start(command), "")
    }

    /// Runs the program with these arguments and no others.
    pub(crate) fn run_bare(&self, arguments: &[&str], input: &str) -> Run {
        ended(self.child_bare(arguments), input)
    }

    /// The same, with the input open until a line of standard output has `enough` in it. Gives that line.
    pub(crate) fn run_until(&self, text: &str, arguments: &[&str], input: &str, enough: &str) -> String {
        let mut child = self.child(text, arguments);
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(input.as_bytes()).expect("it reads");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let found = out.lines().map_while(Result::ok).find(|line| line.contains(enough));
        drop(stdin);
        child.wait().expect("it ends");
        found.expect("it answers")
    }

    pub(super) fn child(&self, text: &str, arguments: &[&str]) -> Child {
        start(self.command(text, arguments))
    }

    fn command(&self, text: &str, arguments: &[&str]) -> Command {
        let config = self.path("bailiwick.toml");
        let text = format!("{text}\n[host]\nstate = \"./state\"\ncache = {:?}\n", self.cache());
        // Another run may be reading it.
        if std::fs::read_to_string(&config).ok().as_deref() != Some(&text) {
            std::fs::write(&config, text).expect("a file can be written");
        }
        self.command_bare(&[&["--config", "bailiwick.toml"], arguments].concat())
    }

    fn child_bare(&self, arguments: &[&str]) -> Child {
        start(self.command_bare(arguments))
    }

    fn command_bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(path());
        command.args(arguments).current_dir(self.path("")).env_remove("BAILIWICK_LOG");
        command
    }
}

fn start(mut command: Command) -> Child {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.expect("the program can be started")
}

/// Gives a run its input and waits for its end.
fn ended(mut child: Child, input: &str) -> Run {
    // The program may end before it has read all of it.
    drop(child.stdin.take().expect("it is piped").write_all(input.as_bytes()));
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes UTF-8");
    Run { exit: status.code().expect("it was not killed"), out: text(stdout), err: text(stderr) }
}
