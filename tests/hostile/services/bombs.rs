//! Documents that are more than they look like, or no documents at all: YAML and JSON without measure.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Service, counted, document, get, tried};
use crate::support::host::World;
use crate::support::served::Served;
use crate::support::{Reply, TestHost};

/// How long a document may take to be refused. It is an unoptimised program that reads.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that the host may take at most while it reads one: a document has at most 32 MiB, and may be kept in a few forms.
const MOST: u64 = 700 << 20;

const YAML: &str = "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths:\n  /ping: {get: {operationId: ping}}\n";

/// Starts a host with one service of this document; gives it and the reason, if it is left out.
async fn started(text: impl Into<Vec<u8>>) -> (Service, TestHost, Option<String>) {
    let service = Service::text(text).await;
    let begun = Instant::now();
    let host = tried(World::new(), &service.named("shop")).await;
    assert!(begun.elapsed() < PATIENCE, "{:?}: {:?}", begun.elapsed(), host.problems());
    let problem = host.problems().pop();
    (service, host, problem)
}

/// Each of these is refused with these words, and nothing of it is a tool.
async fn refused(cases: Vec<(&str, Vec<u8>, &str)>) -> usize {
    let inputs = cases.len();
    for (about, text, words) in cases {
        let (_service, host, problem) = started(text).await;
        let problem = problem.unwrap_or_else(|| panic!("{about} is taken: {:?}", host.listed()));
        assert!(problem.contains(words) && problem.len() < 1_500, "{about}: {problem}");
        assert!(!problem.contains(|c: char| c.is_control() && c != '\n'), "{about}: {problem:?}");
        assert!(host.listed().is_empty(), "{about}");
    }
    inputs
}

/// `a: &a [x, x …]`, `b: &b [*a, *a …]` and so on.
fn laughs(levels: u8, times: usize) -> String {
    let mut text = format!("{YAML}x-0: &a0 [{}]\n", vec!["lol"; times].join(", "));
    for level in 1..levels {
        let aliases = vec![format!("*a{}", level - 1); times].join(", ");
        text.push_str(&format!("x-{level}: &a{level} [{aliases}]\n"));
    }
    text
}

#[tokio::test]
async fn oas5_yaml_that_is_more_than_it_looks_like_is_refused() {
    let many = |line: &str, n: usize| format!("{YAML}{}", line.repeat(n));
    let merged: String = (1..40).map(|n| format!("x-{n}: &m{n} {{<<: [*m{0}, *m{0}], k{n}: 1}}\n", n - 1)).collect();
    let cases = vec![
        ("a billion laughs", laughs(9, 10).into_bytes(), "aliases"),
        ("two to the thirtieth", laughs(30, 2).into_bytes(), "aliases"),
        (
            "large aliases",
            format!("{YAML}x-a: &a {}\nx-b: [{}]\n", "y".repeat(1 << 20), vec!["*a"; 1_000].join(", ")).into_bytes(),
            "aliases",
        ),
        ("an alias of itself", format!("{YAML}x-a: &a [*a]\n").into_bytes(), "YAML"),
        ("merged forty times", format!("{YAML}x-0: &m0 {{k0: 1}}\n{merged}").into_bytes(), ""),
        ("deep lists", format!("{YAML}x-a: {}{}\n", "[".repeat(10_000), "]".repeat(10_000)).into_bytes(), "YAML"),
        ("deep objects", format!("{YAML}x-a: {}1{}\n", "{a: ".repeat(10_000), "}".repeat(10_000)).into_bytes(), "YAML"),
        ("deep dashes", format!("{YAML}x-a:\n  {}1\n", "- ".repeat(10_000)).into_bytes(), "YAML"),
        ("deep and open", format!("{YAML}x-a: {}", "[".repeat(100_000)).into_bytes(), "YAML"),
        (
            "three million values",
            many("x-a", 0)
                .into_bytes()
                .into_iter()
                .chain(format!("x-a: [{}]\n", "1,".repeat(3_000_000)).into_bytes())
                .collect(),
            "values",
        ),
        ("a hundred MiB", vec![b'#'; 100 << 20], ""),
        ("a tag", format!("{YAML}x-a: !!python/object/apply:os.system ['true']\n").into_bytes(), "YAML"),
        ("a tag of one's own", format!("{YAML}x-a: !evil {{a: 1}}\n").into_bytes(), "YAML"),
        ("a tag for bytes", format!("{YAML}x-a: !!binary aGk=\n").into_bytes(), "YAML"),
        ("a key twice", format!("{YAML}paths: {{}}\n").into_bytes(), "YAML"),
        ("a key twice, in quotes", format!("{YAML}\"paths\": {{}}\n").into_bytes(), "YAML"),
        ("an unknown alias", format!("{YAML}x-a: *nobody\n").into_bytes(), "YAML"),
        ("no number", format!("{YAML}x-a: .nan\n").into_bytes(), "YAML"),
        ("too large a number", format!("{YAML}x-a: .inf\n").into_bytes(), "YAML"),
        ("a key that is a list", format!("{YAML}? [a, b]\n: 1\n").into_bytes(), "YAML"),
        ("two documents", format!("{YAML}---\n{YAML}").into_bytes(), "second document"),
        ("a tab for a space", format!("{YAML}x:\n\t- 1\n").into_bytes(), "YAML"),
        ("an escape", format!("{YAML}x: \"\\q\"\n").into_bytes(), "YAML"),
        ("nothing", Vec::new(), "no OpenAPI document"),
        ("a word", b"hello".to_vec(), "no OpenAPI document"),
        ("a page", b"<!doctype html><title>Log in</title>".to_vec(), ""),
    ];
    counted("OAS-5", refused(cases).await);
}

#[tokio::test]
async fn oas5_yaml_says_what_its_standard_says() {
    for (about, text) in [
        ("plain", YAML.to_owned()),
        ("a mark before it", format!("\u{feff}{YAML}")),
        ("lines of another system", YAML.replace('\n', "\r\n")),
        ("merged", "openapi: 3.0.3\ninfo: {title: t, version: '1'}\nx-get: &get {get: {operationId: wrong}}\npaths:\n  /ping: {<<: *get, get: {operationId: ping}}\n".to_owned()),
        ("some aliases", laughs(3, 10)),
    ] {
        let (_service, host, problem) = started(text).await;
        assert_eq!((problem, host.listed()), (None, vec!["ping".to_owned()]), "{about}");
        assert_eq!(host.told("ping", json!({})).await, "ok: done", "{about}");
    }
    // `yes`, `no` and `on` are texts, and `010` is ten; a name is a name whatever it looks like.
    let text = "openapi: 3.0.3\ninfo: {title: no, version: 1.0}\npaths:\n  /ping:\n    get:\n      operationId: yes\n      parameters:\n      - {name: q, in: query, schema: {type: string, enum: [yes, no, on, off, y]}}\n      - {name: n, in: query, schema: {type: integer, maximum: 010}}\n";
    let (service, host, problem) = started(text).await;
    assert_eq!((problem, host.listed()), (None, vec!["yes".to_owned()]));
    assert_eq!(host.schema("yes")["properties"]["q"]["enum"], json!(["yes", "no", "on", "off", "y"]));
    assert_eq!(host.schema("yes")["properties"]["n"]["maximum"], json!(10));
    assert_eq!(host.told("yes", json!({"q": "no", "n": 10})).await, "ok: done");
    assert_eq!(service.last().target, "/ping?q=no&n=10");
    assert_eq!(host.call("yes", json!({"q": false})).await.code(), "arguments.invalid");
    counted("OAS-5", 6);
}

/// JSON around one value.
fn json_with(value: &str) -> Vec<u8> {
    let text = document(json!({"/ping": get("ping", json!([]))})).to_string();
    text.replacen('{', &format!("{{\"x-a\":{value},"), 1).into_bytes()
}

#[tokio::test]
async fn oas6_json_that_is_too_much_or_none_is_refused() {
    let nested = |n: usize, open: &str, close: &str| json_with(&format!("{}1{}", open.repeat(n), close.repeat(n)));
    let good = String::from_utf8(json_with("1")).expect("text");
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin = [&json_with("1")[..], b" \xff"].concat();
    let cases = vec![
        ("ten thousand lists", nested(10_000, "[", "]"), "JSON"),
        ("ten thousand objects", nested(10_000, "{\"a\":", "}"), "JSON"),
        ("a million open lists", json_with(&"[".repeat(1_000_000)), "JSON"),
        ("sixty-five", nested(65, "[", "]"), "JSON"),
        ("three million values", json_with(&format!("[{}1]", "1,".repeat(3_000_000))), "values"),
        ("a hundred MiB of text", json_with(&format!("\"{}\"", "x".repeat(100 << 20))), ""),
        ("a key twice", json_with("{\"b\":1,\"b\":2}"), "JSON"),
        ("paths twice", json_with("1,\"paths\":{}"), "JSON"),
        ("a key twice, one escaped", json_with("{\"b\":1,\"\\u0062\":2}"), "JSON"),
        ("too large a number", json_with("1e400"), "JSON"),
        ("no number", json_with("NaN"), "JSON"),
        ("half a character", json_with("\"\\ud800\""), "JSON"),
        ("something behind it", [json_with("1"), b"{}".to_vec()].concat(), "JSON"),
        ("a comment", json_with("1/*x*/"), "JSON"),
        ("a comma too many", json_with("[1,]"), "JSON"),
        ("cut off", good.as_bytes()[..good.len() - 1].to_vec(), "JSON"),
        ("two bytes a character", wide, ""),
        ("no text", latin, "UTF-8"),
        ("a packed one", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], ""),
        ("zeros", vec![0; 1 << 20], ""),
        ("a list", b"{\"openapi\": []}".to_vec(), "no OpenAPI document"),
        ("another version", b"{\"openapi\": \"4.0.0\", \"paths\": {}}".to_vec(), "no OpenAPI document"),
    ];
    let inputs = refused(cases).await;
    for (about, text) in [
        ("sixty-three", nested(62, "[", "]")),
        ("a large number", json_with("123456789012345678901234567890")),
        ("a mark before it", [b"\xef\xbb\xbf", &json_with("1")[..]].concat()),
        ("ten MiB of text", json_with(&format!("\"{}\"", "x".repeat(10 << 20)))),
        ("its own keys", json_with("{\"__proto__\":{\"a\":1},\"constructor\":1}")),
    ] {
        let (_service, host, problem) = started(text).await;
        assert_eq!((problem, host.listed()), (None, vec!["ping".to_owned()]), "{about}");
    }
    counted("OAS-6", inputs + 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oas6_a_document_that_never_ends_ends_with_its_time_or_its_size() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let serving = tokio::spawn(async move {
        let mut guests = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            guests.spawn(async move {
                let mut request = [0; 1024];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let (head, chunk, pause) = match String::from_utf8_lossy(&request[..read]).split(' ').nth(1) {
                    Some("/endless") => {
                        ("transfer-encoding: chunked\r\n\r\n", format!("10000\r\n{}\r\n", " ".repeat(0x10000)), 0)
                    }
                    Some("/slow") => ("transfer-encoding: chunked\r\n\r\n", "1\r\n \r\n".to_owned(), 100),
                    Some("/short") => ("content-length: 1000000\r\n\r\n", "{}".to_owned(), 60_000),
                    Some("/huge") => ("content-length: 99999999999\r\n\r\n", " ".repeat(0x10000), 0),
                    Some("/header") => ("x-a: ", "y".repeat(0x10000), 0),
                    Some(_) | None => ("", String::new(), 60_000),
                };
                let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes()).await;
                while stream.write_all(chunk.as_bytes()).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            });
        }
    });
    let kinds = ["endless", "slow", "short", "huge", "header", "silent"];
    let plugin = |kind: &str| {
        let url = format!("http://127.0.0.1:{port}");
        format!("[plugins.{kind}]\nopenapi = {{ url = \"{url}\", spec = \"{url}/{kind}\" }}\nnet = [\"* {url}\"]\n")
    };
    let good = Service::of(&document(json!({"/ping": get("ping", json!([]))}))).await;
    let text: String = kinds.into_iter().map(plugin).chain([good.plugin("good", "", "")]).collect();
    let begun = Instant::now();
    let host = tried(World::new(), &text).await;
    println!(
        "measured: {} documents without end: {} ms until the host was there",
        kinds.len(),
        begun.elapsed().as_millis()
    );
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let problems = host.problems();
    assert_eq!(problems.len(), kinds.len(), "{problems:#?}");
    assert_eq!(host.listed(), ["ping"]);
    assert_eq!(host.told("ping", json!({})).await, "ok: done");
    serving.abort();
    counted("OAS-6", kinds.len());
}

/// The most that a process ever took, in bytes.
fn peak(server: &Served) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("Linux says");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    kib << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oas5_oas6_the_programs_memory_is_bounded_whatever_a_document_is() {
    let open = "[policies.all]\ntools = [\"*\"]\n[gateway]\nanonymous = \"all\"\n";
    let nothing = tokio::task::block_in_place(|| {
        let server = World::new().serve_http(open);
        peak(&server)
    });
    let mut most = 0;
    for (about, text) in [
        ("a billion laughs", laughs(9, 10).into_bytes()),
        ("as many values as are taken, in YAML", format!("{YAML}x-a: [{}]\n", "1,".repeat(1_900_000)).into_bytes()),
        ("as many values as are taken", json_with(&format!("[{}1]", "1,".repeat(1_900_000)))),
        ("as many objects as are taken", json_with(&format!("[{}1]", "{\"a\":1},".repeat(900_000)))),
        ("as large as is taken", json_with(&format!("\"{}\"", "x".repeat(31 << 20)))),
        ("a hundred MiB", vec![b' '; 100 << 20]),
    ] {
        let service = Service::serving(move |_| Reply::ok(text.clone())).await;
        let config = format!("{open}{}", service.named("shop"));
        let taken = tokio::task::block_in_place(|| {
            let server = World::new().serve_http(&config);
            let healthy = server.get("/healthz", &[]);
            assert_eq!(healthy.status, 200, "{about}");
            peak(&server)
        });
        println!("measured: {about}: the program took {} MiB at most, {} without", taken >> 20, nothing >> 20);
        most = most.max(taken);
    }
    assert!(most < MOST, "{} MiB", most >> 20);
    counted("OAS-6", 6);
}
