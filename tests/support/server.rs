//! The real program as a server that stays up while a test changes the world around it.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::host::World;
use super::program;

/// Longer than anything here takes, also on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

impl World {
    /// Writes the configuration as editors do: a new file takes the place of the old one.
    pub(crate) fn configure(&self, text: &str) {
        let text = format!("{text}\n[host]\nstate = \"./state\"\ncache = {:?}\n{}", self.cache(), self.host_lines());
        std::fs::write(self.path("new.toml"), text).expect("a file can be written");
        std::fs::rename(self.path("new.toml"), self.path("bailiwick.toml")).expect("a file can be renamed");
    }

    /// The program on this configuration, started by `before` if that is not empty.
    pub(crate) fn program(&self, text: &str, before: &[&str], arguments: &[&str]) -> Command {
        self.configure(text);
        let mut words = before.iter().copied().chain([program::path().to_str().expect("it is UTF-8")]);
        let mut command = Command::new(words.next().expect("there is one"));
        command.args(words).args(["--config", "bailiwick.toml"]).args(arguments);
        command.current_dir(self.path("")).env_remove("BAILIWICK_LOG");
        command
    }

    /// The program as a server for MCP on its standard streams.
    pub(crate) fn serve(&self, text: &str, options: &[&str]) -> Server {
        Server::start(self.program(text, &[], &[&["serve", "--stdio"], options].concat()))
    }
}

/// A server with a client that has said who it is.
pub(crate) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
    /// What came on standard error so far.
    said: String,
    asked: u64,
}

/// The lines of a stream, as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        // A test that has seen enough takes no more.
        lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
    });
    lines
}

impl Server {
    /// Starts the program and greets it: then it is ready.
    pub(crate) fn start(command: Command) -> Self {
        let mut server = Self::spawn(command);
        server.greet();
        server
    }

    /// Starts the program.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let out = lines(child.stdout.take().expect("it is piped"));
        let errors = lines(child.stderr.take().expect("it is piped"));
        let input = child.stdin.take();
        Self { child, input, lines: out, errors, said: String::new(), asked: 0 }
    }

    /// Says who the client is, and waits until the server has said who it is.
    pub(crate) fn greet(&mut self) {
        self.greet_as(&json!({}));
    }

    /// Says that the client can do this.
    pub(crate) fn greet_as(&mut self, capabilities: &Value) {
        let client = json!({"name": "test", "version": "1"});
        let greeting = json!({"protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": client});
        self.ask("initialize", &greeting);
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn say(&mut self, message: &Value) {
        let input = self.input.as_mut().expect("it is piped");
        writeln!(input, "{message}").expect("the server reads");
    }

    pub(crate) fn next(&mut self, awaited: &str) -> Value {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")),
            Err(error) => self.broken(awaited, &error.to_string()),
        }
    }

    fn broken(&mut self, awaited: &str, error: &str) -> ! {
        drop(self.child.kill());
        self.said.extend(self.errors.iter().map(|line| line + "\n"));
        panic!("{awaited} did not come: {error}\n{}", self.said)
    }

    /// Asks and waits for the result.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let mut message = self.next(method);
            if message["id"] == id {
                return message["result"].take();
            }
        }
    }

    /// Calls a tool; the first piece of what it says.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}")).to_owned()
    }

    /// Calls a tool and waits for nothing.
    pub(crate) fn begin(&mut self, tool: &str, arguments: &Value) {
        self.asked += 1;
        let params = json!({"name": tool, "arguments": arguments});
        self.say(&json!({"jsonrpc": "2.0", "id": self.asked, "method": "tools/call", "params": params}));
    }

    /// Calls a tool and answers each question on the way like this; the first piece of what it says, and the questions.
    pub(crate) fn call_answering(&mut self, tool: &str, arguments: Value, answer: &Value) -> (String, Vec<Value>) {
        self.asked += 1;
        let (id, params) = (self.asked, json!({"name": tool, "arguments": arguments}));
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
        let mut questions = Vec::new();
        loop {
            let mut message = self.next("an answer or a question");
            if message["method"] == "elicitation/create" {
                self.say(&json!({"jsonrpc": "2.0", "id": message["id"], "result": answer}));
                questions.push(message["params"].take());
            } else if message["id"] == id {
                let text = message["result"]["content"][0]["text"].as_str().map(str::to_owned);
                return (text.unwrap_or_else(|| panic!("no text: {message}")), questions);
            }
        }
    }

    /// Waits until the server says that its tools may have changed.
    pub(crate) fn reloaded(&mut self) {
        while self.next("a reload")["method"] != "notifications/tools/list_changed" {}
    }

    /// Waits until the server says these words on standard error.
    pub(crate) fn told(&mut self, words: &str) {
        while !self.said.contains(words) {
            match self.errors.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push_str(&(line + "\n")),
                Err(error) => self.broken(words, &error.to_string()),
            }
        }
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(sent.expect("there is `kill`").success());
    }

    /// Ends the server by the end of its input, and gives all it said on standard error.
    pub(crate) fn end(mut self) -> String {
        drop(self.input.take());
        self.child.wait().expect("it ends");
        self.said.extend(self.errors.iter().map(|line| line + "\n"));
        self.said
    }
}
