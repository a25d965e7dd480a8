//! The network beyond the twins: names that lead inside, long chains of redirects, answers without end, headers that
//! would break a request in two, and how often a name is looked up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{Reply, TestHost, Upstream, told};

/// One address in each range that is not for everybody: IANA's special-purpose registries and what clouds add to them.
pub(crate) const SPECIAL: [&str; 33] = [
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.0.1",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "168.63.129.16",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:2::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fe80::1",
    "ff02::1",
];

fn probe(lines: &str) -> String {
    format!("[plugins.probe]\ncomponent = \"probe.wasm\"\n{lines}\n")
}

#[tokio::test]
async fn a_name_that_leads_to_any_special_range_is_refused_after_one_look_up() {
    let name = |n: usize| format!("special-{n}.inner.example");
    let named = || {
        let world = SPECIAL.iter().enumerate();
        world.fold(World::new(), |world, (n, address)| world.name(&name(n), &[address, "8.8.8.8"]))
    };
    let lines: Vec<String> = (0..SPECIAL.len()).map(|n| format!("\"http://{}\"", name(n))).collect();
    for net in [
        format!("net = [{}]", lines.join(", ")),
        "net = [\"http://*\"]".to_owned(),
        "net = [\"http://*.inner.example\"]".to_owned(),
    ] {
        let host = named().start(&probe(&net)).await;
        for (n, address) in SPECIAL.iter().enumerate() {
            let before = host.lookups();
            let outcome = host.call("raw", json!({"authority": name(n)})).await;
            assert_eq!(outcome.code(), "denied.net.addr", "{address}: {}", told(&outcome));
            assert_eq!(host.lookups(), before + 1, "{address}: one look-up");
        }
    }
    println!("measured: names that lead to {} special ranges under 3 grants: 0 reached", SPECIAL.len());
}

#[tokio::test]
async fn each_hop_costs_one_look_up_and_the_sixth_is_not_made() {
    let web = Upstream::new(|request| {
        let hop: u32 = request.target[1..].parse().unwrap_or(0);
        let host = request.header("host").unwrap_or_default().to_owned();
        let port = host.rsplit(':').next().unwrap_or_default().to_owned();
        Reply::redirect(302, format!("http://hop{}.test:{port}/{}", hop + 1, hop + 1))
    })
    .await;
    let world = (0..10).fold(World::new(), |world, n| world.name(&format!("hop{n}.test"), &["127.0.0.1"]));
    let lines: Vec<String> = (0..10).map(|n| format!("\"http://hop{n}.test:{}\"", web.port)).collect();
    let text = probe(&format!("addresses = [\"127.0.0.1\"]\nnet = [{}]", lines.join(", ")));
    let host = world.start(&text).await;
    let outcome = host.call("get", json!({"url": web.named("hop0.test", "/0")})).await;
    assert_eq!(outcome.code(), "upstream.protocol", "{}", told(&outcome));
    assert_eq!((host.lookups(), web.requests().len()), (6, 6), "the first request and five redirects");
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_or_in_a_circle_ends() {
    for location in ["", "http://", "//", "http:///x", "http://[::1", "\u{7f}", "ht tp://x/", "http://web.test:99999/"]
    {
        let location = location.to_owned();
        let web = Upstream::new(move |_| Reply::redirect(301, location.clone())).await;
        let text = probe(&format!("net = [\"http://127.0.0.1:{}\"]", web.port));
        let outcome = TestHost::new(&text).await.call("get", json!({"url": web.url("/")})).await;
        assert!(outcome.result.is_err() || web.requests().len() == 1, "{}", told(&outcome));
        assert!(web.requests().len() <= 6);
    }
    let web = Upstream::new(|_| Reply::status(302, "no location")).await;
    let text = probe(&format!("net = [\"http://127.0.0.1:{}\"]", web.port));
    let answer = TestHost::new(&text).await.value("get", json!({"url": web.url("/")})).await;
    assert_eq!((&answer["status"], &answer["body"]), (&json!(302), &json!("no location")));
}

#[tokio::test]
async fn ten_thousand_addresses_are_judged_and_few_are_tried() {
    let many: Vec<String> = (0..10_000).map(|n| format!("127.1.{}.{}", n / 250, n % 250 + 1)).collect();
    let addresses: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut spoiled = addresses.clone();
    spoiled.push("10.0.0.1");
    let text = probe(
        "addresses = [\"127.0.0.0/8\"]\nnet = [\"http://many.test:1\", \"http://spoiled.test:1\"]\nlimits.time = \"5s\"",
    );
    let host = World::new().name("many.test", &addresses).name("spoiled.test", &spoiled).start(&text).await;
    let begun = Instant::now();
    let outcome = host.call("raw", json!({"authority": "many.test:1"})).await;
    assert_eq!(outcome.code(), "upstream.connect", "nobody listens there: {}", told(&outcome));
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(host.call("raw", json!({"authority": "spoiled.test:1"})).await.code(), "denied.net.addr");
}

#[tokio::test]
async fn headers_cannot_break_a_request_in_two() {
    let web = Upstream::hello().await;
    let text = probe(&format!("net = [\"GET,POST http://127.0.0.1:{}\"]", web.port));
    let host = TestHost::new(&text).await;
    for (name, value) in [
        ("x-a", "b\r\nx-injected: 1"),
        ("x-a", "b\nx-injected: 1"),
        ("x-a", "b\0c"),
        ("x-a\r\nx-injected", "1"),
        ("x a", "1"),
        ("x:a", "1"),
        ("", "1"),
        (":authority", "evil.example"),
    ] {
        let outcome = host.call("get", json!({"url": web.url("/"), "headers": {name: value}})).await;
        assert!(outcome.result.is_err(), "{name:?}: {value:?}: {}", told(&outcome));
    }
    assert_eq!(web.connections(), 0, "none of it was sent");
    // What belongs to the host is refused, left out, or replaced by what is true.
    for (name, value) in [
        ("host", "evil.example"),
        ("connection", "x-kept"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("proxy-authorization", "Basic x"),
        ("keep-alive", "x"),
        ("te", "trailers"),
        ("content-length", "5"),
        ("content-length", "+5"),
    ] {
        let before = web.requests().len();
        let outcome = host.call("get", json!({"url": web.url("/"), "headers": {name: value, "x-kept": "1"}})).await;
        let Some(request) = web.requests().get(before).cloned() else {
            assert!(outcome.result.is_err(), "{name}: {}", told(&outcome));
            continue;
        };
        let sent: Vec<&(String, String)> = request.headers.iter().filter(|(sent, _)| sent == name).collect();
        let true_host = format!("127.0.0.1:{}", web.port);
        assert!(sent.iter().all(|(_, sent)| *sent == true_host || sent == "0"), "{name}: {sent:?}");
    }
    for (method, override_header) in [("GET", "x-http-method-override"), ("GET", "x-method-override")] {
        // Noted: what a server makes of such a header is its own affair; a grant is for what the request line says.
        let asked = json!({"url": web.url("/"), "method": method, "headers": {override_header: "DELETE"}});
        assert!(host.call("get", asked).await.result.is_ok());
    }
}

#[tokio::test]
async fn packed_bodies_stay_packed() {
    // 10 KiB of zeros as a gzip bomb's first layer would be: nobody here unpacks it.
    let packed: Vec<u8> = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 10_000]].concat();
    let sent = packed.clone();
    let web =
        Upstream::new(move |_| Reply::ok(sent.clone()).header("content-encoding", "gzip, br, zstd, deflate")).await;
    let text = probe(&format!("net = [\"http://127.0.0.1:{}\"]\nlimits.http_response_body = \"16KiB\"", web.port));
    let answer = TestHost::new(&text).await.value("get", json!({"url": web.url("/")})).await;
    assert_eq!(answer["headers"]["content-encoding"], "gzip, br, zstd, deflate");
    assert!(answer["body"].as_str().is_some_and(|body| body.len() >= 10_000 && body.len() < 80_000));
    assert!(web.requests()[0].header("accept-encoding").is_none(), "none is asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_ends_with_its_limit_or_its_time() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let serving = tokio::spawn(async move {
        let mut guests = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            guests.spawn(async move {
                let mut request = [0; 1024];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let slow = String::from_utf8_lossy(&request[..read]).starts_with("GET /slow");
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
                let chunk =
                    if slow { "1\r\nx\r\n".to_owned() } else { format!("10000\r\n{}\r\n", "x".repeat(0x10000)) };
                while stream.write_all(chunk.as_bytes()).await.is_ok() {
                    if slow {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            });
        }
    });
    let text = probe(&format!(
        "net = [\"http://127.0.0.1:{port}\"]\nlimits.time = \"1s\"\nlimits.http_response_body = \"1MiB\""
    ));
    let host = TestHost::new(&text).await;
    let begun = Instant::now();
    assert_eq!(host.call("get", json!({"url": format!("http://127.0.0.1:{port}/fast")})).await.code(), "limit.http");
    assert_eq!(host.call("get", json!({"url": format!("http://127.0.0.1:{port}/slow")})).await.code(), "limit.time");
    assert!(begun.elapsed() < Duration::from_secs(4));
    serving.abort();
}

#[tokio::test]
async fn names_as_a_way_out_are_few_short_and_on_record() {
    let text = probe("net = [\"http://*.granted.example\"]\nlimits.http_requests = 50\nlimits.time = \"20s\"");
    let host = World::new().start(&text).await;
    let long = |n: usize| format!("{}.{n}.granted.example", "a".repeat(63));
    let too_long = format!("{}.granted.example", "a".repeat(64));
    assert_eq!(host.call("raw", json!({"authority": too_long})).await.code(), "denied.net.host");
    assert_eq!(host.lookups(), 0, "what is no name is not looked up");
    for n in 0..3 {
        assert_eq!(host.call("raw", json!({"authority": long(n)})).await.code(), "upstream.dns");
    }
    let told = host.told("hammer", json!({"url": format!("http://{}/", long(9)), "times": 1_000})).await;
    assert!(told.starts_with("ok: 0 answered, then: "), "{told}");
    let before = host.lookups();
    assert!(before <= 4 + 50, "{before} look-ups");
    let records = host.audit();
    let operations: Vec<&Value> = records.iter().map(|record| &record["operations"]).collect();
    assert_eq!(
        operations[1],
        &json!({format!("http GET http://{}", long(0)): 1}),
        "each name is on record: {operations:?}"
    );
}

#[tokio::test]
async fn what_is_not_http_is_not_reached() {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    let world = World::new().folder("sockets");
    let socket = world.path("sockets/docker.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket can be made");
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            CONNECTIONS.fetch_add(1, Ordering::SeqCst);
        }
    });
    let host = world.start(&probe("net = [\"http://*\", \"https://*\"]\nfs = [\"./sockets:/sockets:rw\"]")).await;
    for scheme in ["unix", "http+unix", "file", "gopher", "ftp", "data", "jar", "ws"] {
        let outcome = host.call("raw", json!({"scheme": scheme, "authority": "x.example", "path": "/"})).await;
        assert!(
            matches!(
                outcome.code(),
                "denied.net.scheme" | "denied.net.host" | "arguments.invalid" | "upstream.protocol"
            ),
            "{scheme}: {}",
            told(&outcome)
        );
    }
    let path = socket.display().to_string().replace('/', "%2F");
    let outcome = host.call("raw", json!({"scheme": "http", "authority": path})).await;
    assert!(matches!(outcome.code(), "denied.net.host" | "arguments.invalid"), "{}", told(&outcome));
    let opened = json!({"directory": "/sockets", "operation": "open-both-ways", "path": "docker.sock"});
    assert_eq!(host.told("file", opened).await, "ok: unsupported");
    assert_eq!(CONNECTIONS.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn names_that_only_look_like_the_granted_one_are_others() {
    let host = World::new()
        .name("good.test", &["127.0.0.1"])
        .name("xn--god-5na.test", &["127.0.0.1"])
        .start(&probe("addresses = [\"127.0.0.1\"]\nnet = [\"http://good.test:1\"]"))
        .await;
    for authority in [
        "g\u{43e}od.test",
        "go\u{2060}od.test",
        "\u{ff47}ood.test",
        "good\u{3002}test",
        "goo\u{17f}.test",
        "xn--god-5na.test",
        "xn--.test",
        "good.test.",
        "GOOD.TEST",
    ] {
        let outcome = host.call("raw", json!({"authority": format!("{authority}:1")})).await;
        let is_same = matches!(authority, "good.test." | "GOOD.TEST");
        let expected: &[&str] = if is_same { &["upstream.connect"] } else { &["denied.net.host", "arguments.invalid"] };
        assert!(expected.contains(&outcome.code()), "{authority:?}: {}", told(&outcome));
    }
    for (net, config) in [
        ("http://g\u{43e}od.test", "a name in another script"),
        ("http://good.test:0", "port 0"),
        ("http://*.com", "a whole suffix"),
    ] {
        assert!(World::new().config(&probe(&format!("net = [\"{net}\"]"))).is_err(), "{config}");
    }
}
