//! The HTTP server from outside, as bytes on the wire: what is answered, what is refused before anybody is asked who they
//! are, how slow and how large a request may be, and how the server ends.

use std::io::{BufReader, Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::served::{Answer, Served};

/// A key, and a hash of it that costs little to check.
pub(crate) const KEY: &str = "bwk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
pub(crate) const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$vJUe/WFIFA3WGmy/KkLlcQ";
/// The same of somebody else.
pub(crate) const OTHER_KEY: &str = "rtr_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";
pub(crate) const OTHER_HASH: &str =
    "$argon2id$v=19$m=65536,t=3,p=4$ZmVkY2JhOTg3NjU0MzIxMA$eZD2mnNlkxPeyAd0w9BWqA8SutQzpmtxU6fE8hQrCfM";

/// Plugins and lines of `[gateway]` as a configuration in which both keys may do everything, as often as they like.
pub(crate) fn config(plugins: &str, gateway: &str) -> String {
    format!(
        "{plugins}\n[gateway]\nper_ip = 0\nper_key = 0\n{gateway}\n[policies.all]\ntools = [\"*\"]\nexecute = true\n\
         [keys.one]\nhash = {HASH:?}\npolicy = \"all\"\n[keys.other]\nhash = {OTHER_HASH:?}\npolicy = \"all\"\n"
    )
}

pub(crate) const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";

pub(crate) fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn serve(gateway: &str) -> Served {
    World::new().serve_http(&config(POLITE, gateway))
}

fn detail(text: &str) -> Value {
    json!({ "detail": text })
}

/// Waits for the other side to hang up; how long that took.
fn until_hung_up(served: &Served, sent: &[u8]) -> (Answer, Duration) {
    let begun = Instant::now();
    let answer = served.raw(sent);
    (answer, begun.elapsed())
}

#[test]
fn t9_every_answer_carries_the_same_headers() {
    let served = serve("");
    for (path, status) in [("/healthz", 200), ("/nowhere", 404), ("/mcp", 401), ("/api/tools/v1/nowhere", 404)] {
        let answer = served.get(path, &[("X-Request-ID", "job-7.a_B")]);
        assert_eq!(answer.status, status, "{answer:?}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("content-security-policy", "default-src 'none'"),
            ("cache-control", "no-store"),
            ("x-request-id", "job-7.a_B"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {answer:?}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("server"), None);
    }
    let made = served.get("/healthz", &[("X-Request-ID", "two words")]);
    let id = made.header("x-request-id").unwrap_or_default();
    assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made:?}");
}

#[test]
fn a24_api26_whoever_asks_is_told_that_it_runs_and_nothing_else() {
    let served = serve("");
    for (path, status) in [("/healthz", "ok"), ("/health", "ok"), ("/readyz", "ready")] {
        assert_eq!(served.get(path, &[]).told(), (200, json!({ "status": status })), "{path}");
    }
}

#[test]
fn t7_api10_what_is_not_there_is_told_in_the_words_of_its_face() {
    let served = serve("");
    assert_eq!(served.get("/nowhere", &[]).told(), (404, detail("Not Found")));
    assert_eq!(served.get("//healthz", &[]).told(), (404, detail("Not Found")));
    let auxot = json!({"error": {"message": "Not Found", "type": "not_found"}});
    assert_eq!(served.get("/api/tools/v1/nowhere", &[]).told(), (404, auxot));
    let answer = served.request("DELETE", "/healthz", &[], "");
    assert_eq!(answer.told(), (405, detail("Method Not Allowed")));
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
}

#[test]
fn api21_only_names_of_the_server_are_answered_to() {
    let served = serve("hosts = [\"tools.example\"]");
    let port = served.address.port();
    let (own, named, rebound) =
        (format!("localhost:{port}"), format!("tools.example:{port}"), format!("evil.example:{port}"));
    for host in [own.as_str(), &named, "127.0.0.1", "[::1]"] {
        assert_eq!(served.get("/healthz", &[("Host", host)]).status, 200, "{host}");
    }
    let refused = served.get("/healthz", &[("Host", &rebound)]);
    let told = "this server does not answer to `evil.example`; add it to `hosts` under `[gateway]`";
    assert_eq!(refused.told(), (421, detail(told)));
    for host in ["127.0.0.1.nip.io", "localhost.evil.example", "0.0.0.0", "sub.tools.example"] {
        assert_eq!(served.get("/healthz", &[("Host", host)]).status, 421, "{host}");
    }
    for raw in [
        "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost:80@evil.example\r\nConnection: close\r\n\r\n",
    ] {
        assert_eq!(served.raw(raw.as_bytes()).status, 400, "{raw}");
    }
    let elsewhere = "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(served.raw(elsewhere.as_bytes()).status, 421);
}

#[test]
fn api20_pages_of_other_origins_are_refused_and_those_configured_are_not() {
    let served = serve("origins = [\"https://app.example\"]");
    let own = format!("http://{}", served.address);
    let told = "pages of this origin may not call this server; add it to `origins` under `[gateway]`";
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://127.0.0.1.nip.io",
        "http://127.0.0.1:1",
    ] {
        let refused = served.get("/healthz", &[("Origin", origin)]);
        assert_eq!(refused.told(), (403, detail(told)), "{origin}");
        assert_eq!(refused.header("access-control-allow-origin"), None);
    }
    assert_eq!(served.get("/healthz", &[("Origin", &own)]).status, 200);
    let granted = served.get("/healthz", &[("Origin", "https://app.example")]);
    assert_eq!((granted.status, granted.header("access-control-allow-origin")), (200, Some("https://app.example")));
    assert_eq!(granted.header("vary"), Some("Origin"));
}

#[test]
fn api22_a_browser_may_only_ask_for_pages_that_are_configured() {
    let served = serve("origins = [\"https://app.example\"]");
    let ask = |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization, mcp-param-region, x-evil"),
        ];
        served.request("OPTIONS", "/mcp", &headers, "")
    };
    let refused = ask("https://evil.example");
    assert_eq!((refused.status, refused.header("access-control-allow-methods")), (403, None));
    let granted = ask("https://app.example");
    assert_eq!(granted.status, 204, "{granted:?}");
    assert_eq!(granted.header("access-control-allow-methods"), Some("GET, POST, DELETE"));
    let headers = granted.header("access-control-allow-headers").unwrap_or_default();
    assert!(headers.contains("Authorization") && headers.contains("mcp-param-region"), "{headers}");
    assert!(!headers.contains("x-evil"), "{headers}");
}

#[test]
fn t7_api5_api8_api23_a_body_has_a_size_and_a_kind() {
    let served = serve("body = \"1KiB\"");
    let key = bearer(KEY);
    let post = |headers: &[(&str, &str)], body: &str| {
        served.request("POST", "/mcp", &[&[("Authorization", key.as_str())], headers].concat(), body)
    };
    let told = |answer: &Answer| answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    let large = "x".repeat(1_025);
    let refused = post(&[], &large);
    assert_eq!((refused.status, told(&refused).as_str()), (413, "Request body too large (max 1024 bytes)"));
    let chunked = format!("401\r\n{large}\r\n0\r\n\r\n");
    let refused = post(&[("Transfer-Encoding", "chunked")], &chunked);
    assert_eq!((refused.status, told(&refused).as_str()), (413, "Request body too large (max 1024 bytes)"));
    // A form is what every page may send without asking.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        assert_eq!(post(&[("Content-Type", kind)], "{}").status, 415, "{kind}");
    }
    assert_eq!(post(&[("Content-Encoding", "gzip")], "{}").status, 415);
    let fits = post(&[("Content-Type", "application/json; charset=utf-8"), ("Accept", "application/json")], "{}");
    assert_eq!(fits.status, 406, "{fits:?}");
}

#[test]
fn api6_slow_requests_are_hung_up_on() {
    let served = serve("header_time = \"300ms\"\nbody_time = \"300ms\"");
    let soon = |sent: &[u8]| {
        let (answer, took) = until_hung_up(&served, sent);
        assert!(took < Duration::from_secs(5), "{took:?}");
        answer.status
    };
    // Nothing, a part of a head, a part of what HTTP/2 begins with.
    assert_eq!(soon(b""), 0);
    assert_eq!(soon(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "), 0);
    assert_eq!(soon(b"PRI * HTTP/2.0\r\n\r\nSM"), 0);
    let slow = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{",
        bearer(KEY)
    );
    assert_eq!(soon(slow.as_bytes()), 408);
}

#[test]
fn api18_what_could_be_read_in_two_ways_is_not_read() {
    let served = serve("");
    let head = "POST /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    for (what, rest) in [
        ("two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        ("a length that is none", "Content-Length: +2\r\n\r\n{}"),
        ("chunks that are not last", "Transfer-Encoding: chunked, gzip\r\n\r\n{}"),
        ("an encoding nobody knows", "Transfer-Encoding: xchunked\r\n\r\n{}"),
        ("a header without a name", ": x\r\n\r\n"),
        ("a header that is folded", "X-A: b\r\n c\r\n\r\n"),
        ("a space before the colon", "X-A : b\r\n\r\n"),
    ] {
        let answer = served.raw(format!("{head}{rest}").as_bytes());
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
    }
    // Both: the length is left aside, as RFC 9112 has it, and the connection ends with the answer.
    let both =
        format!("{head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n");
    let mut stream = served.connect();
    stream.write_all(both.as_bytes()).expect("it listens");
    let mut all = String::new();
    let _ = stream.read_to_string(&mut all);
    assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{all}");
    for (what, raw) in [
        ("HTTP/0.9", "GET /healthz\r\n\r\n".to_owned()),
        ("a target with a space", "GET /health z HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()),
        ("a target without end", format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(70_000))),
        ("a head without end", format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-A: {}\r\n\r\n", "a".repeat(70_000))),
        ("headers without end", format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-A: b\r\n".repeat(200))),
    ] {
        let status = served.raw(raw.as_bytes()).status;
        assert!(matches!(status, 400 | 414 | 431), "{what}: {status}");
    }
    let tunnel = served.raw(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n");
    assert_eq!(tunnel.status, 421);
}

#[test]
fn api24_there_is_nothing_to_upgrade_to() {
    let served = serve("");
    let headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Authorization", &bearer(KEY)),
    ];
    assert_eq!(served.get("/healthz", &headers).status, 200);
    assert!(served.get("/mcp", &headers).status >= 400);
}

#[test]
fn http2_is_spoken_to_whoever_begins_with_it() {
    let served = serve("");
    let mut stream = served.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("it listens");
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).expect("it answers");
    assert_eq!(frame[3], 4, "settings");
}

#[test]
fn requests_that_come_in_one_piece_are_answered_in_order() {
    let served = serve("");
    let mut stream = served.connect();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all([get("/healthz"), get("/nowhere"), get("/readyz")].concat().as_bytes()).expect("it listens");
    let mut answers = BufReader::new(stream);
    let statuses: Vec<u16> = (0..3).map(|_| Answer::read(&mut answers).status).collect();
    assert_eq!(statuses, [200, 404, 200]);
}

#[test]
fn connections_beyond_the_limit_wait_for_room() {
    let served = serve("connections = 2\nheader_time = \"400ms\"");
    let (first, second) = (served.connect(), served.connect());
    let begun = Instant::now();
    assert_eq!(served.get("/healthz", &[]).status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(200), "there was no room: {:?}", begun.elapsed());
    drop((first, second));
    assert_eq!(served.get("/healthz", &[]).status, 200);
}

#[test]
fn api29_a_server_out_of_files_recovers() {
    let served = serve("header_time = \"1s\"");
    let open = std::fs::read_dir(format!("/proc/{}/fd", served.pid())).expect("it runs").count() as u64;
    let limit = libc::rlimit { rlim_cur: open + 4, rlim_max: open + 4 };
    // SAFETY: the call reads the numbers it is given.
    #[expect(unsafe_code, reason = "the standard library knows no limits")]
    let set = unsafe {
        libc::prlimit(served.pid().cast_signed(), libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut())
    };
    assert_eq!(set, 0);
    let greedy: Vec<_> = (0..20).map(|_| served.connect()).collect();
    drop(greedy);
    assert_eq!(served.get("/healthz", &[]).status, 200);
}

#[test]
fn t11_cfg19_what_opens_the_server_to_others_is_told() {
    let text = config("", "anonymous = \"all\"\n[gateway.api]\nenable_tool_execute = true");
    let (exit, said, world) = World::new().serve_http(&text).end();
    assert_eq!(exit, 0);
    let told: Vec<&str> = said.lines().filter(|line| line.starts_with("warning")).collect();
    assert_eq!(
        told,
        [
            "warning[gateway.execute]: callers with a key that may execute can run tools over plain HTTP: `enable_tool_execute`",
            "warning[gateway.anonymous]: callers without a key have the policy `all`: `anonymous`",
        ]
    );
    let everywhere = world.serve_http_at(&config("", ""), "0.0.0.0:0", &[]);
    let (exit, said, _) = everywhere.end();
    assert!(exit == 0 && said.contains("beyond this machine, and without TLS"), "{said}");
}

#[test]
fn t22_cfg16_the_environment_says_where_to_listen_or_is_told_that_it_does_not() {
    let world = World::new();
    let run = |variables: &[(&str, &str)], arguments: &[&str]| world.run_with(&config("", ""), arguments, variables);
    let typo = run(&[("BAILIWICK_GATEWAY__LISTN", "127.0.0.1:0")], &["serve"]);
    assert_eq!(typo.exit, 2, "{}", typo.err);
    assert!(typo.err.contains("`BAILIWICK_GATEWAY__LISTN` stands for nothing"), "{}", typo.err);
    let wrong = run(&[("AUXOT_PORT", "eighty")], &["serve"]);
    assert!(wrong.exit == 2 && wrong.err.contains("`AUXOT_PORT` is `eighty`"), "{}", wrong.err);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = taken.local_addr().expect("it has one").port().to_string();
    for (variables, arguments) in [
        (vec![("AUXOT_PORT", port.as_str()), ("AUXOT_HOST", "127.0.0.1")], vec!["serve"]),
        (vec![("BAILIWICK_GATEWAY__LISTEN", "127.0.0.1:1")], vec!["serve", "--listen"]),
    ] {
        let listen = format!("127.0.0.1:{port}");
        let arguments = if arguments.len() == 2 { vec!["serve", "--listen", &listen] } else { arguments };
        let refused = run(&variables, &arguments);
        assert!(refused.err.contains(&format!("error[serve.listen]: cannot listen at {listen}: ")), "{}", refused.err);
    }
}

/// A call of `sleep` on its way, on a connection of its own.
fn sleeping(served: &Served, milliseconds: u64) -> BufReader<std::net::TcpStream> {
    sleeping_with(served, milliseconds, crate::web_mcp::meta(json!({})))
}

fn sleeping_with(served: &Served, milliseconds: u64, meta: Value) -> BufReader<std::net::TcpStream> {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "sleep", "arguments": {"milliseconds": milliseconds}, "_meta": meta,
    }});
    let mut stream = served.connect();
    let key = bearer(KEY);
    let headers = crate::web_mcp::modern("tools/call", Some("sleep"), &key);
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = call.to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("it listens");
    BufReader::new(stream)
}

const UNRULY: &str = "[plugins.unruly]\ncomponent = \"unruly.wasm\"\nlimits.time = \"20s\"\n";

/// The audit of a server that ended: tools with what came of their calls.
fn audit(world: &World) -> Vec<(String, String)> {
    let run = world.run_bare(&["--config", "bailiwick.toml", "audit", "log", "--json"], "");
    let records = run.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    records.map(|record| (text(&record["tool"]), text(&record["outcome"]))).collect()
}

/// Waits until a call is under way: its guest takes processor time, or sleeps.
fn settle() {
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn api28_calls_under_way_may_finish() {
    let served = World::new().serve_http(&config(UNRULY, "grace = \"20s\""));
    let mut call = sleeping(&served, 1_000);
    settle();
    let ready = served.get("/readyz", &[]);
    assert_eq!(ready.status, 200);
    let begun = Instant::now();
    let (exit, _, world) = served.end();
    assert!(begun.elapsed() < Duration::from_secs(10), "it does not wait for longer than the call takes");
    let answer = Answer::read(&mut call);
    assert_eq!((exit, answer.status, answer.json()["result"]["isError"].clone()), (0, 200, json!(false)), "{answer:?}");
    assert_eq!(audit(&world), [("sleep".to_owned(), "ok".to_owned())]);
}

#[test]
fn api28_what_a_stream_has_begun_it_ends() {
    // The end of a stream is on its way when the call itself is over already: more than one shows it.
    let served = World::new().serve_http(&config(UNRULY, "grace = \"20s\""));
    let mut meta = crate::web_mcp::meta(json!({}));
    meta["progressToken"] = json!("p");
    let calls: Vec<_> = (0..8).map(|_| sleeping_with(&served, 700, meta.clone())).collect();
    settle();
    let (exit, _, world) = served.end();
    assert_eq!(exit, 0);
    for mut call in calls {
        let answer = Answer::read(&mut call);
        assert_eq!(answer.header("content-type"), Some("text/event-stream"), "{answer:?}");
        assert!(answer.body.contains("\"isError\":false"), "{answer:?}");
    }
    assert_eq!(audit(&world), vec![("sleep".to_owned(), "ok".to_owned()); 8]);
}

#[test]
fn api28_calls_that_take_longer_are_cancelled_and_recorded() {
    let served = World::new().serve_http(&config(UNRULY, "grace = \"200ms\""));
    let mut call = sleeping(&served, 15_000);
    settle();
    let begun = Instant::now();
    let (exit, said, world) = served.end();
    assert!(exit == 0 && begun.elapsed() < Duration::from_secs(5), "{exit} {said}");
    let _ = Answer::read(&mut call);
    assert_eq!(audit(&world), [("sleep".to_owned(), "call.cancelled".to_owned())]);
}

#[test]
fn api28_a_second_signal_ends_it_at_once() {
    let served = World::new().serve_http(&config(UNRULY, "grace = \"60s\""));
    let _call = sleeping(&served, 15_000);
    settle();
    let begun = Instant::now();
    served.signal(libc::SIGTERM);
    settle();
    served.signal(libc::SIGTERM);
    let (exit, _, world) = served.ended();
    assert!(exit == 0 && begun.elapsed() < Duration::from_secs(5), "{exit}");
    assert_eq!(audit(&world), [("sleep".to_owned(), "call.cancelled".to_owned())]);
}
