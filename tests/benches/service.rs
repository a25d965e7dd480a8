//! HTTP services: what it takes to load the document of GitHub, with its more than a thousand operations, and what a call
//! of one operation costs beside a client without a host.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::report::{Report, median, micros, quantile};
use crate::stdio::Server;
use crate::world::{BenchHost, World, anonymous_memory, peak_memory};

const LOADS: usize = 5;
const ROUNDS: usize = 30;
const BATCH: u32 = 50;
const MEBIBYTE: f64 = (1 << 20) as f64;

pub(crate) async fn run(report: &mut Report) {
    load(report).await;
    call(report).await;
}

/// How a host is started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Without any plugin.
    Empty,
    /// For the first time.
    Cold,
    /// With the component compiled, and no document.
    Fetched,
    /// With the document of a moment ago.
    Kept,
    /// With an older document, of which the service says that it is as it was.
    Asked,
}

const STARTS: [(Start, &str); 5] = [
    (Start::Empty, "no plugin"),
    (Start::Cold, "GitHub, for the first time"),
    (Start::Fetched, "GitHub, fetched"),
    (Start::Kept, "GitHub, kept"),
    (Start::Asked, "GitHub, kept and asked for (304)"),
];

/// What a start takes.
#[derive(Default)]
struct Taken {
    /// Milliseconds until all tools are listed.
    listed: Vec<f64>,
    /// Of these, those until the host answers at all.
    answered: Vec<f64>,
    /// Mebibytes that it keeps.
    kept: Vec<f64>,
    /// Mebibytes at the worst moment.
    peak: Vec<f64>,
}

/// Starts the program in each way, in turns.
async fn load(report: &mut Report) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/.documents/github.json");
    let Ok(document) = std::fs::read(&path) else {
        println!("  skip: {} is not there; run `tests/install.sh services fastapi`", path.display());
        return;
    };
    let size = document.len();
    let origin = serve(document).await;
    let mut taken = STARTS.map(|_| Taken::default());
    let mut n_tools = 0;
    for _ in 0..LOADS {
        let world = World::new();
        for ((start, _), taken) in STARTS.iter().zip(&mut taken) {
            let config = prepared(&world, *start, &origin);
            n_tools = n_tools.max(started(&config, taken));
        }
    }
    report.plain("the document of GitHub", size as f64 / MEBIBYTE, "MiB");
    report.plain("its tools", n_tools as f64, "");
    let [empty, ..] = &taken;
    for ((start, name), taken) in STARTS.iter().zip(&taken) {
        report.plain(&format!("{name}: until it answers"), median(&taken.answered), "ms");
        report.plain(&format!("{name}: until all tools are listed"), median(&taken.listed), "ms");
        if *start == Start::Empty {
            report.plain(&format!("{name}: anonymous memory"), median(&taken.kept), "MiB");
        } else {
            let more = |of: fn(&Taken) -> &Vec<f64>| median(of(taken)) - median(of(empty));
            report.plain(&format!("{name}: anonymous memory beyond"), more(|taken| &taken.kept), "MiB");
            report.plain(&format!("{name}: peak beyond"), more(|taken| &taken.peak), "MiB");
        }
    }
}

/// Makes the world what a start finds, and gives the configuration it is for.
fn prepared(world: &World, start: Start, origin: &str) -> PathBuf {
    let state = world.path().join("state");
    let plugin = format!(
        "[plugins.github]\nopenapi = {{ url = \"{origin}\", spec = \"{origin}/document\" }}\nnet = [\"* {origin}\"]\n"
    );
    let text = match start {
        Start::Empty => String::new(),
        Start::Cold | Start::Fetched | Start::Kept | Start::Asked => plugin,
    };
    match start {
        Start::Cold => ["state", "cache"].iter().for_each(|folder| {
            let _ = std::fs::remove_dir_all(world.path().join(folder));
        }),
        Start::Fetched => change(&state, "DELETE FROM documents; DELETE FROM servers"),
        Start::Asked => change(&state, "UPDATE documents SET at = at - 3600"),
        Start::Empty | Start::Kept => {}
    }
    let config = world.path().join("bailiwick.toml");
    let text = world.toml(&format!("[gateway]\nsearch_above = 0\n{text}"), "");
    std::fs::write(&config, text).expect("a file can be written");
    config
}

/// Changes what a host keeps, while none runs.
fn change(state: &Path, sql: &str) {
    let store = rusqlite::Connection::open(state.join(bailiwick::store::FILE)).expect("it was there before");
    store.execute_batch(sql).expect("it has these tables");
}

/// One start; gives how many tools there are.
fn started(config: &Path, taken: &mut Taken) -> usize {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick-bench"));
    command.args(["serve", "--stdio", "--config"]).arg(config);
    let start = Instant::now();
    let mut server = Server::start(command);
    taken.answered.push(micros(start.elapsed()) / 1000.0);
    let n_tools = server.list();
    taken.listed.push(micros(start.elapsed()) / 1000.0);
    taken.kept.push(anonymous_memory(&server.pid()) / MEBIBYTE);
    taken.peak.push(peak_memory(&server.pid()) / MEBIBYTE);
    n_tools
}

/// One operation with an answer of a kilobyte, three ways in turns: as a client without a host asks, as a plugin with a
/// document, and as a plugin that is one request.
async fn call(report: &mut Report) {
    let origin = serve(shop().into_bytes()).await;
    let text = format!(
        "[plugins.shop]\nopenapi = {{ url = \"{origin}\", spec = \"{origin}/document\" }}\nnet = [\"GET {origin}\"]\n\
         [plugins.item]\nnet = [\"GET {origin}\"]\n\
         http = {{ url = \"{origin}/items/{{id}}?limit=5\", method = \"GET\", description = \"An item.\", \
         input = {{ type = \"object\", properties = {{ id = {{ type = \"string\" }} }} }} }}\n"
    );
    let host = World::new().start(&text, "").await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let url = format!("{origin}/items/seven?limit=5");
    let (mut plain, mut service, mut request) = (Vec::new(), Vec::new(), Vec::new());
    let (mut to_service, mut to_request) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS + 2 {
        let without = asked(&client, &url).await;
        let within = called(&host, "get_item", "{\"id\":\"seven\",\"limit\":5}").await;
        let single = called(&host, "item", "{\"id\":\"seven\"}").await;
        if round >= 2 {
            to_service.push(median(&within) / median(&without));
            to_request.push(median(&single) / median(&without));
            plain.extend(without);
            service.extend(within);
            request.extend(single);
        }
    }
    for (name, times) in [
        ("a GET of 1 kB of JSON, reqwest", &plain),
        ("the same as an operation of a document", &service),
        ("the same as a plugin that is one request", &request),
    ] {
        report.plain(&format!("{name}: median"), median(times), "µs");
        report.plain(&format!("{name}: 99th percentile"), quantile(times, 0.99), "µs");
    }
    report.plain("a call of an operation / reqwest", median(&to_service), "");
    report.plain("a call of one request / reqwest", median(&to_request), "");
}

/// A small document.
fn shop() -> String {
    let parameters = json!([
        {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
        {"name": "limit", "in": "query", "schema": {"type": "integer"}},
    ]);
    let paths = json!({"/items/{id}": {"get": {"operationId": "get_item", "parameters": parameters}}});
    json!({"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": paths}).to_string()
}

/// Microseconds of each of a batch of requests without a host.
async fn asked(client: &reqwest::Client, url: &str) -> Vec<f64> {
    let mut times = Vec::new();
    for _ in 0..BATCH {
        let start = Instant::now();
        let answer = client.get(url).send().await.expect("it answers").bytes().await.expect("it is whole");
        std::hint::black_box(serde_json::from_slice::<Value>(&answer).expect("it is JSON"));
        times.push(micros(start.elapsed()));
    }
    times
}

/// Microseconds of each of a batch of calls.
async fn called(host: &BenchHost, tool: &str, arguments: &str) -> Vec<f64> {
    let mut times = Vec::new();
    for _ in 0..BATCH {
        let start = Instant::now();
        host.call(tool, arguments).await;
        times.push(micros(start.elapsed()));
    }
    times
}

/// A service that has a document, of which it knows when it was seen, and says a kilobyte of JSON to everything else.
async fn serve(document: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let origin = format!("http://{}", listener.local_addr().expect("it is bound"));
    let head = "content-type: application/json\r\netag: \"1\"";
    let document = Arc::new(answer("200 OK", head, &document));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(converse(stream, Arc::clone(&document)));
        }
    });
    origin
}

async fn converse(mut stream: TcpStream, document: Arc<Vec<u8>>) {
    let items: Vec<_> = (0..10)
        .map(|number| json!({"id": number, "name": "An item of a shop", "tags": ["small", "blue"], "price": 9.5, "stock": null}))
        .collect();
    let items = json!({"items": items, "total": 10}).to_string();
    let items = answer("200 OK", "content-type: application/json", items.as_bytes());
    let unchanged = answer("304 Not Modified", "etag: \"1\"", b"");
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        seen.extend_from_slice(&buffer[..read]);
        if !seen.ends_with(b"\r\n\r\n") {
            continue;
        }
        let asked = String::from_utf8_lossy(&seen).to_ascii_lowercase();
        let answer = match (asked.starts_with("get /document "), asked.contains("if-none-match: \"1\"")) {
            (true, true) => &unchanged,
            (true, false) => &*document,
            (false, _) => &items,
        };
        if stream.write_all(answer).await.is_err() {
            break;
        }
        seen.clear();
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = if status.starts_with("304") { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    [format!("HTTP/1.1 {status}\r\n{headers}\r\n{length}\r\n").as_bytes(), body].concat()
}
