//! MCP on standard input and output: the program against a bare rmcp server, with one client for both.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::report::{Goal, Report, median, micros, quantile, ratio};
use crate::world::World;

const ROUNDS: usize = 20;
const BATCH: usize = 100;
const FLIGHT: usize = 64;

/// A server that is spoken to.
pub(crate) struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Server {
    /// Starts it and greets it.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut server = Self { child, input, output, next: 0 };
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}});
        server.send("initialize", &hello);
        server.receive();
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        writeln!(server.input, "{ready}").expect("it reads");
        server
    }

    fn send(&mut self, method: &str, parameters: &Value) {
        self.next += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": parameters});
        self.input.write_all(format!("{request}\n").as_bytes()).expect("it reads");
    }

    fn receive(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        assert!(line.contains("\"result\"") && !line.contains("\"isError\":true"), "{line}");
        line
    }

    /// The process.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// How many tools it lists, on all pages.
    pub(crate) fn list(&mut self) -> usize {
        let (mut parameters, mut n_tools) = (json!({}), 0);
        loop {
            self.send("tools/list", &parameters);
            let page: Value = serde_json::from_str(&self.receive()).expect("it answers with JSON");
            n_tools += page["result"]["tools"].as_array().map_or(0, Vec::len);
            let Some(cursor) = page["result"]["nextCursor"].as_str() else { return n_tools };
            parameters = json!({"cursor": cursor});
        }
    }

    fn call(&mut self) {
        self.send("tools/call", &json!({"name": "echo", "arguments": {"name": "x"}}));
        self.receive();
    }

    /// Microseconds of each of a batch of calls, one after the other.
    pub(crate) fn one_by_one(&mut self) -> Vec<f64> {
        let one = |_| {
            let start = Instant::now();
            self.call();
            micros(start.elapsed())
        };
        (0..BATCH).map(one).collect()
    }

    /// Calls a second with [`FLIGHT`] under way.
    pub(crate) fn in_flight(&mut self) -> f64 {
        let (total, parameters) = (1_000, json!({"name": "echo", "arguments": {"name": "x"}}));
        let start = Instant::now();
        for _ in 0..FLIGHT {
            self.send("tools/call", &parameters);
        }
        for _ in FLIGHT..total {
            self.receive();
            self.send("tools/call", &parameters);
        }
        for _ in 0..FLIGHT {
            self.receive();
        }
        total as f64 / start.elapsed().as_secs_f64()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run(report: &mut Report) {
    let world = World::new();
    let config = world.path().join("bailiwick.toml");
    let polite = bailiwick_tests::guest("polite");
    let text =
        world.toml(&format!("[plugins.polite]\ncomponent = {polite:?}\nlimits = {{ concurrency = {FLIGHT} }}\n"), "");
    std::fs::write(&config, text).expect("a file can be written");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_bailiwick-bench"));
    serve.args(["serve", "--stdio", "--config"]).arg(&config);
    let mut ours = Server::start(serve);
    let mut bare = Server::start(Command::new(env!("CARGO_BIN_EXE_bare-echo")));
    let (mut our_times, mut bare_times, mut our_rates, mut bare_rates) = (vec![], vec![], vec![], vec![]);
    let (mut our_calls, mut bare_calls) = (vec![], vec![]);
    for round in 0..ROUNDS + 2 {
        let (our, theirs) = (ours.one_by_one(), bare.one_by_one());
        let (our_rate, their_rate) = (ours.in_flight(), bare.in_flight());
        if round >= 2 {
            our_times.push(median(&our));
            bare_times.push(median(&theirs));
            our_calls.extend(our);
            bare_calls.extend(theirs);
            our_rates.push(our_rate);
            bare_rates.push(their_rate);
        }
    }
    report.plain("a call over stdio: median", median(&our_calls), "µs");
    report.plain("a call over stdio: 99th percentile", quantile(&our_calls, 0.99), "µs");
    report.plain("bare rmcp echo: median", median(&bare_calls), "µs");
    report.plain("64 in flight: calls a second", median(&our_rates), "");
    report.plain("bare rmcp echo, 64 in flight: calls a second", median(&bare_rates), "");
    report.gated("MCP call over stdio / bare rmcp echo", ratio(&our_times, &bare_times), Goal::AtMost(1.5));
    report.gated(
        "calls a second with 64 in flight / bare rmcp echo",
        ratio(&our_rates, &bare_rates),
        Goal::AtLeast(0.5),
    );
}
