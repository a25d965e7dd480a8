//! Who writes the configuration, logs in, and grants what a refusal says was missing.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::browser;

/// Longer than a login takes when nobody has to think.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a refusal is taken at its word in one login: a server's metadata in each of its places, those of its
/// authorization server, and what it has to be asked there.
const MOST_REFUSALS: usize = 12;
/// What the suite's authorization servers know of a client by a document of its own.
const METADATA: &str = "https://conformance-test.local/client-metadata.json";

/// The operator of one program with one plugin, `server`.
pub(crate) struct Operator {
    folder: TempDir,
    /// Lines of the table `mcp`.
    server: String,
    /// Tables behind the plugin's own.
    secrets: String,
    net: Vec<String>,
}

/// The program: the one that is named, or the one that was built beside this.
fn program() -> PathBuf {
    let beside = || std::env::current_exe().ok().map(|path| path.with_file_name("bailiwick-tested"));
    std::env::var_os("BAILIWICK_TEST_PROGRAM").map(PathBuf::from).or_else(beside).unwrap_or_else(|| "bailiwick".into())
}

impl Operator {
    /// Writes down the server of a scenario.
    pub(crate) fn new(scenario: &str, url: &str, context: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut server = format!("url = {}", Value::from(url));
        let mut secrets = String::new();
        if scenario.starts_with("auth/") {
            let auth = if scenario.starts_with("auth/client-credentials") { "client-credentials" } else { "oauth" };
            let _ = write!(server, ", auth = \"{auth}\"");
        }
        if scenario == "auth/basic-cimd" {
            let _ = write!(server, ", client_metadata_url = \"{METADATA}\"");
        }
        if let Some(id) = context["client_id"].as_str() {
            let _ = write!(server, ", client_id = {}", Value::from(id));
        }
        if let Some(secret) = context["client_secret"].as_str() {
            write_private(&folder.path().join("client"), secret);
            server.push_str(", client_secret = \"CLIENT\"");
            secrets.push_str("[plugins.server.secrets.CLIENT]\nfile = \"client\"\n");
        }
        let operator = Self { folder, server, secrets, net: vec![format!("GET,POST,DELETE {url}")] };
        operator.write();
        operator
    }

    fn write(&self) {
        let Self { folder, server, secrets, net } = self;
        let text = format!(
            "[plugins.server]\nmcp = {{ {server} }}\nnet = {}\napproval = \"never\"\n{secrets}\
             [host]\nstate = \"./state\"\n",
            Value::from(net.clone())
        );
        std::fs::write(folder.path().join("bailiwick.toml"), text).expect("a file can be written");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(["--config", "bailiwick.toml"]).args(arguments).current_dir(self.folder.path());
        command.env_remove("BAILIWICK_LOG");
        command
    }

    /// The program as a server on standard streams.
    pub(crate) fn serve(&self) -> Command {
        self.command(&["serve", "--stdio"])
    }

    /// Grants what a refusal says was missing; whether it said anything new.
    fn granted(&mut self, told: &str) -> bool {
        let before = self.net.len();
        for part in told.split("net = ").skip(1) {
            let Some(end) = part.find(']') else { continue };
            let lines: Vec<String> = serde_json::from_str(&part[..=end]).unwrap_or_default();
            // Only the suite's own servers are on this machine.
            let ours = |line: &String| line.contains("://localhost:") || line.contains("://127.0.0.1:");
            for line in lines.into_iter().filter(ours) {
                if !self.net.contains(&line) {
                    self.net.push(line);
                }
            }
        }
        self.write();
        self.net.len() > before
    }

    /// Grants what a refusal says was missing, for the next step.
    pub(crate) fn heed(&mut self, told: &str) {
        self.granted(told);
    }

    /// Logs in, as often as there is something new to grant on the way.
    pub(crate) fn login(&mut self) -> Result<(), String> {
        let mut told = String::new();
        for _ in 0..=MOST_REFUSALS {
            let (good, said) = self.login_once();
            if good {
                return Ok(());
            }
            told = said;
            if !self.granted(&told) {
                break;
            }
        }
        Err(format!("no login: {told}"))
    }

    fn login_once(&self) -> (bool, String) {
        let mut command = self.command(&["login", "server"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let said = attend(&mut child);
        let good = child.wait().is_ok_and(|status| status.success());
        (good, said)
    }
}

/// Hears what a login says until it ends, and follows the link in it; what it said.
fn attend(child: &mut Child) -> String {
    let (sender, pieces) = channel();
    let streams: [Box<dyn std::io::Read + Send>; 2] =
        [Box::new(child.stdout.take().expect("it is piped")), Box::new(child.stderr.take().expect("it is piped"))];
    for mut stream in streams {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut bytes) {
                if sender.send(String::from_utf8_lossy(&bytes[..length]).into_owned()).is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);
    let (mut said, mut followed, ends) = (String::new(), false, Instant::now() + PATIENCE);
    loop {
        match pieces.recv_timeout(ends.saturating_duration_since(Instant::now())) {
            Ok(piece) => said.push_str(&piece),
            Err(RecvTimeoutError::Disconnected) => return said,
            Err(RecvTimeoutError::Timeout) => {
                drop(child.kill());
                return said + "\nit did not end";
            }
        }
        if let Some(link) = link(&said).filter(|_| !followed) {
            followed = true;
            let link = link.to_owned();
            std::thread::spawn(move || browser::visit(&link));
        }
    }
}

/// The link to where a person would agree, once all of it was said.
fn link(said: &str) -> Option<&str> {
    let whole = &said[..said.rfind('\n')?];
    whole.split_whitespace().find(|word| word.starts_with("http") && word.contains("response_type=code"))
}

fn write_private(path: &std::path::Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a file can be written");
}
