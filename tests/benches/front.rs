//! MCP over HTTP: the program against a bare rmcp server, with one client for both. Stateless requests (2026-07-28) on
//! connections that are kept, as a gateway has them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::report::{Goal, Report, median, micros, quantile, ratio};
use crate::world::World;

const ROUNDS: usize = 20;
const BATCH: usize = 100;
const FLIGHT: usize = 64;
/// Connections that send a byte of their head now and then.
const SLOW: usize = 1_000;

/// A server and where it listens; it says so on its first line.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("it says where it listens");
        let after = line.split("http://").nth(1).unwrap_or_else(|| panic!("{line} names no address"));
        let address = after.split(['/', '"', ' ', '\n']).next().expect("there is one");
        Self { address: address.parse().unwrap_or_else(|error| panic!("{address}: {error}")), child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection that is kept.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket knows this");
        Self(BufReader::new(stream))
    }

    fn call(&mut self, request: &[u8]) {
        self.0.get_mut().write_all(request).expect("it reads");
        let (mut length, mut chunked, mut line) = (0, false, String::new());
        loop {
            line.clear();
            self.0.read_line(&mut line).expect("it answers");
            let lower = line.trim().to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            chunked |= lower == "transfer-encoding: chunked";
            if lower.is_empty() {
                break;
            }
        }
        let mut body = Vec::new();
        if !chunked {
            body.resize(length, 0);
            self.0.read_exact(&mut body).expect("it answers");
        }
        while chunked {
            line.clear();
            self.0.read_line(&mut line).expect("it answers");
            let size = usize::from_str_radix(line.trim(), 16).expect("a chunk has a size");
            let begin = body.len();
            body.resize(begin + size + 2, 0);
            self.0.read_exact(&mut body[begin..]).expect("it answers");
            chunked = size > 0;
        }
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("\"result\"") && !text.contains("\"isError\":true"), "{text}");
    }
}

fn request(path: &str) -> Vec<u8> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "echo", "arguments": {"name": "x"},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        },
    }})
    .to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n\
         Mcp-Name: echo\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// Microseconds of each of a batch of calls, one after the other.
fn one_by_one(connection: &mut Connection, request: &[u8]) -> Vec<f64> {
    let one = |_| {
        let start = Instant::now();
        connection.call(request);
        micros(start.elapsed())
    };
    (0..BATCH).map(one).collect()
}

/// Calls a second on [`FLIGHT`] connections at once, shared by four threads' worth of client.
fn in_flight(connections: &mut [Connection], request: &[u8]) -> f64 {
    let each = 16;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for connection in connections.iter_mut() {
            scope.spawn(move || (0..each).for_each(|_| connection.call(request)));
        }
    });
    (connections.len() * each) as f64 / start.elapsed().as_secs_f64()
}

pub(crate) fn run(report: &mut Report) {
    let world = World::new();
    let config = world.path().join("bailiwick.toml");
    let polite = bailiwick_tests::guest("polite");
    let text = format!(
        "[gateway]\nlisten = \"127.0.0.1:0\"\nanonymous = \"all\"\nper_ip = 0\nper_key = 0\nheader_time = \"10m\"\n\
         [policies.all]\ntools = [\"*\"]\nexecute = true\nper_minute = 0\n\
         [plugins.polite]\ncomponent = {polite:?}\nlimits = {{ concurrency = {FLIGHT} }}\n"
    );
    std::fs::write(&config, world.toml(&text, "")).expect("a file can be written");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_bailiwick-bench"));
    serve.args(["serve", "--config"]).arg(&config);
    let ours = Server::start(serve);
    let mut echo = Command::new(env!("CARGO_BIN_EXE_bare-echo"));
    echo.arg("http");
    let bare = Server::start(echo);
    let request = request("/mcp");
    let open = |server: &Server| (0..FLIGHT).map(|_| Connection::open(server.address)).collect::<Vec<_>>();
    let (mut our_connections, mut bare_connections) = (open(&ours), open(&bare));
    let (mut our_times, mut bare_times, mut our_rates, mut bare_rates) = (vec![], vec![], vec![], vec![]);
    let (mut our_calls, mut bare_calls) = (vec![], vec![]);
    for round in 0..ROUNDS + 2 {
        let (our, theirs) =
            (one_by_one(&mut our_connections[0], &request), one_by_one(&mut bare_connections[0], &request));
        let (our_rate, their_rate) =
            (in_flight(&mut our_connections, &request), in_flight(&mut bare_connections, &request));
        if round >= 2 {
            our_times.push(median(&our));
            bare_times.push(median(&theirs));
            our_calls.extend(our);
            bare_calls.extend(theirs);
            our_rates.push(our_rate);
            bare_rates.push(their_rate);
        }
    }
    report.plain("a call over HTTP: median", median(&our_calls), "µs");
    report.plain("a call over HTTP: 99th percentile", quantile(&our_calls, 0.99), "µs");
    report.plain("bare rmcp echo over HTTP: median", median(&bare_calls), "µs");
    report.plain("64 connections: calls a second", median(&our_rates), "");
    report.plain("bare rmcp echo, 64 connections: calls a second", median(&bare_rates), "");
    report.gated("MCP call over HTTP / bare rmcp echo", ratio(&our_times, &bare_times), Goal::AtMost(2.0));
    report.gated(
        "calls a second on 64 connections / bare rmcp echo",
        ratio(&our_rates, &bare_rates),
        Goal::AtLeast(0.5),
    );
    beside_slow_ones(report, &ours, &mut our_connections[0], &request);
}

/// The same calls without and with a thousand connections that never get to the end of their head.
fn beside_slow_ones(report: &mut Report, server: &Server, connection: &mut Connection, request: &[u8]) {
    let (mut quiet, mut besides) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let alone: Vec<f64> = (0..5).flat_map(|_| one_by_one(connection, request)).collect();
        quiet.push(quantile(&alone, 0.99));
        let mut slow: Vec<TcpStream> =
            (0..SLOW).map(|_| TcpStream::connect(server.address).expect("it listens")).collect();
        for (number, stream) in slow.iter_mut().enumerate() {
            stream.write_all(&b"POST /mcp HTTP/1.1\r\n"[..1 + number % 18]).expect("it reads");
        }
        let together: Vec<f64> = (0..5).flat_map(|_| one_by_one(connection, request)).collect();
        besides.push(quantile(&together, 0.99));
        slow.iter_mut().for_each(|stream| drop(stream.write_all(b"x")));
    }
    report.plain("99th percentile beside 1,000 slow connections", median(&besides), "µs");
    report.gated("99th percentile beside 1,000 slow connections / alone", ratio(&besides, &quiet), Goal::AtMost(1.2));
}
