//! What a plugin may not reach over HTTP, each beside the same call with the very line that the refusal tells to add.

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{Reply, TestHost, Upstream, remedy, told};

/// The names of the fake world: all of them lead to this machine, which the operator has to say.
fn world() -> World {
    World::new()
        .name("web.test", &["127.0.0.1"])
        .name("www.web.test", &["127.0.0.1"])
        .name("other.example", &["127.0.0.1"])
        .name("inner.test", &["127.0.0.1"])
}

/// `probe` with these lines, where names may lead to this machine.
fn probe(lines: &str) -> String {
    bare(&format!("addresses = [\"127.0.0.0/8\"]\n{lines}"))
}

/// `probe` with these lines.
fn bare(lines: &str) -> String {
    format!("[plugins.probe]\ncomponent = \"probe.wasm\"\n{lines}\n")
}

/// The configuration after its owner did what each refusal of this call says, one after the other, until none is left.
async fn after_all_advice(text: &str, tool: &str, arguments: &Value) -> String {
    let mut text = text.to_owned();
    for _ in 0..3 {
        let outcome = world().start(&text).await.call(tool, arguments.clone()).await;
        let Err(failure) = outcome.result else { return text };
        text = remedy::applied(&text, &failure.fix.expect("a refusal names its line"));
    }
    text
}

/// The call is refused with exactly this sentence and nobody hears of it; with the line that the sentence names, it is
/// answered. `PORT` stands for the server's port.
async fn twin(web: &Upstream, text: &str, tool: &str, arguments: Value, refusal: &str) {
    let port = web.port.to_string();
    let fill = |text: &str| text.replace("PORT", &port);
    let (text, arguments) = (fill(text), serde_json::from_str::<Value>(&fill(&arguments.to_string())).expect("JSON"));
    let before = web.connections();
    let outcome = world().start(&text).await.call(tool, arguments.clone()).await;
    assert_eq!(told(&outcome), fill(refusal));
    assert_eq!(web.connections(), before, "a refused request leaves no trace");
    let allowed = after_all_advice(&text, tool, &arguments).await;
    let before = web.connections();
    let granted = world().start(&allowed).await.told(tool, arguments).await;
    assert!(granted.starts_with("ok: 200 hello"), "with {allowed}: {granted}");
    assert_eq!(web.connections(), before + 1);
}

#[tokio::test]
async fn a_plugin_without_net_reaches_nobody() {
    let web = Upstream::hello().await;
    twin(
        &web,
        &bare(""),
        "raw",
        json!({"authority": "web.test:PORT"}),
        "denied.net.host: `GET http://web.test:PORT/` is refused: `[plugins.probe]` (bailiwick.toml:1) grants no `net`; \
         add `net = [\"GET http://web.test:PORT\"]` under `[plugins.probe]` (bailiwick.toml:1)",
    )
    .await;
}

#[tokio::test]
async fn another_host_is_refused() {
    let web = Upstream::hello().await;
    twin(
        &web,
        &probe("net = [\"http://web.test:PORT\"]"),
        "raw",
        json!({"authority": "other.example:PORT"}),
        "denied.net.host: `GET http://other.example:PORT/` is refused: no `net` of `[plugins.probe]` (bailiwick.toml:1) \
         names the host `other.example`; \
         add `net = [\"GET http://other.example:PORT\"]` under `[plugins.probe]` (bailiwick.toml:1)",
    )
    .await;
}

#[tokio::test]
async fn another_port_is_refused() {
    let web = Upstream::hello().await;
    twin(
        &web,
        &probe("net = [\"http://web.test\"]"),
        "raw",
        json!({"authority": "web.test:PORT"}),
        "denied.net.port: `GET http://web.test:PORT/` is refused: port PORT of this host is not granted; \
         the closest grant is `http://web.test` (net 1); \
         add `net = [\"GET http://web.test:PORT\"]` under `[plugins.probe]` (bailiwick.toml:1)",
    )
    .await;
}

#[tokio::test]
async fn another_scheme_is_refused() {
    let web = Upstream::hello().await;
    twin(
        &web,
        &probe("net = [\"https://web.test:PORT\"]"),
        "raw",
        json!({"authority": "web.test:PORT"}),
        "denied.net.scheme: `GET http://web.test:PORT/` is refused: `http` to this host is not granted; \
         the closest grant is `https://web.test:PORT` (net 1); \
         add `net = [\"GET http://web.test:PORT\"]` under `[plugins.probe]` (bailiwick.toml:1)",
    )
    .await;
}

#[tokio::test]
async fn another_method_is_refused() {
    let web = Upstream::hello().await;
    twin(
        &web,
        &probe("net = [\"http://web.test:PORT\"]"),
        "raw",
        json!({"authority": "web.test:PORT", "method": "POST"}),
        "denied.net.method: `POST http://web.test:PORT/` is refused: `POST` to this host is not granted; \
         the closest grant is `http://web.test:PORT` (net 1); \
         add `net = [\"POST http://web.test:PORT\"]` under `[plugins.probe]` (bailiwick.toml:1)",
    )
    .await;
}

#[tokio::test]
async fn another_path_is_refused() {
    let web = Upstream::hello().await;
    for (path, seen) in [
        ("/apix", "/apix"),
        ("/", "/"),
        ("/api/../admin", "/admin"),
        ("/api/%2e%2e/admin", "/admin"),
        ("/api/.%2E/admin", "/admin"),
        ("/api/x/../../admin", "/admin"),
        ("/API/x", "/API/x"),
    ] {
        let line = if seen == "/" { "" } else { seen };
        let refusal = format!(
            "denied.net.path: `GET http://web.test:PORT{seen}` is refused: this path is not granted; \
             the closest grant is `http://web.test:PORT/api/**` (net 1); \
             add `net = [\"GET http://web.test:PORT{line}\"]` under `[plugins.probe]` (bailiwick.toml:1)"
        );
        let text = probe("net = [\"http://web.test:PORT/api/**\"]");
        twin(&web, &text, "raw", json!({"authority": "web.test:PORT", "path": path}), &refusal).await;
    }
}

#[tokio::test]
async fn a_path_that_reads_in_two_ways_needs_the_whole_host() {
    let web = Upstream::hello().await;
    for path in [
        "/api%2fadmin",
        "/api/%2e%2e%2fadmin",
        "/api/..%2fadmin",
        "/api/%5c..%5cadmin",
        "/api/%252e%252e/admin",
        "/api/x%00",
        "//api/x",
    ] {
        let text = probe(&format!("net = [\"http://web.test:{}/api/**\"]", web.port));
        let host = world().start(&text).await;
        let arguments = json!({"authority": format!("web.test:{}", web.port), "path": path});
        let outcome = host.call("raw", arguments.clone()).await;
        let failure = outcome.result.expect_err(path);
        assert_eq!(failure.code.as_str(), "denied.net.path", "{path}: {failure}");
        let fix = failure.fix.expect("a refusal names its line");
        let granted = world().start(&remedy::applied(&text, &fix)).await.told("raw", arguments).await;
        assert!(granted.starts_with("ok: 200 hello"), "{path} with {fix}: {granted}");
    }
}

#[tokio::test]
async fn what_is_below_a_granted_path_is_reached_at_the_path_that_was_judged() {
    let web = Upstream::new(|request| Reply::ok(request.target.clone())).await;
    let host = world().start(&probe(&format!("net = [\"http://web.test:{}/api/**\"]", web.port))).await;
    for (path, sent) in [
        ("/api/x", "/api/x"),
        ("/api/a/b?c=/../d", "/api/a/b?c=/../d"),
        ("/x/../api/y", "/api/y"),
        ("/api/./z", "/api/z"),
    ] {
        let arguments = json!({"authority": format!("web.test:{}", web.port), "path": path});
        assert_eq!(host.told("raw", arguments).await, format!("ok: 200 {sent}"));
    }
}

#[tokio::test]
async fn a_wildcard_is_for_what_is_below_a_domain() {
    let host = world()
        .name("evilweb.test", &["127.0.0.1"])
        .name("web.test.evil.example", &["127.0.0.1"])
        .start(&bare("net = [\"http://*.web.test\"]"))
        .await;
    let code = async |authority: &str| {
        let outcome = host.call("raw", json!({"authority": authority})).await;
        outcome.result.expect_err(authority).code.as_str()
    };
    for (refused, expected) in [
        ("web.test", "denied.net.host"),
        ("evilweb.test", "denied.net.host"),
        ("web.test.evil.example", "denied.net.host"),
        ("test", "denied.net.host"),
        // A wildcard is for public addresses only: who answers for a whole domain could name any address.
        ("www.web.test", "denied.net.addr"),
    ] {
        assert_eq!(code(refused).await, expected, "{refused}");
    }
    // The grant lets these through: all that is missing is the name itself.
    for granted in ["nobody.web.test", "a.b.web.test", "NOBODY.WEB.TEST", "nobody.web.test."] {
        assert_eq!(code(granted).await, "upstream.dns", "{granted}");
    }
}

#[tokio::test]
async fn the_domain_of_a_wildcard_is_refused() {
    let web = Upstream::hello().await;
    twin(
        &web,
        &bare("net = [\"http://*.web.test:PORT\"]"),
        "raw",
        json!({"authority": "web.test:PORT"}),
        "denied.net.host: `GET http://web.test:PORT/` is refused: no `net` of `[plugins.probe]` (bailiwick.toml:1) names \
         the host `web.test`; the closest grant is `http://*.web.test:PORT` (net 1); \
         add `net = [\"GET http://web.test:PORT\"]` under `[plugins.probe]` (bailiwick.toml:1)",
    )
    .await;
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused() {
    let web = Upstream::hello().await;
    let text = "[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"http://inner.test:PORT\"]\n";
    twin(
        &web,
        text,
        "raw",
        json!({"authority": "inner.test:PORT"}),
        "denied.net.addr: `http://inner.test:PORT` is refused: 127.0.0.1 is a loopback address, which no grant names; \
         the closest grant is `http://inner.test:PORT` (net 1); \
         add `addresses = [\"127.0.0.1\"]` under `[plugins.probe]` (bailiwick.toml:1)",
    )
    .await;
}

#[tokio::test]
async fn a_wildcard_leads_to_public_addresses_only() {
    let web = Upstream::hello().await;
    twin(
        &web,
        &bare("net = [\"http://*.web.test:PORT\"]"),
        "raw",
        json!({"authority": "www.web.test:PORT"}),
        "denied.net.addr: `http://www.web.test:PORT` is refused: 127.0.0.1 is a loopback address, and a wildcard reaches \
         only public ones; the closest grant is `http://*.web.test:PORT` (net 1); \
         add `net = [\"GET,HEAD http://www.web.test:PORT\"]` and `addresses = [\"127.0.0.1\"]` under `[plugins.probe]` (bailiwick.toml:1)",
    )
    .await;
}

#[tokio::test]
async fn any_host_does_not_mean_an_address_inside() {
    let web = Upstream::hello().await;
    twin(
        &web,
        &bare("net = [\"http://*:PORT\"]"),
        "raw",
        json!({"authority": "127.0.0.1:PORT"}),
        "denied.net.addr: `http://127.0.0.1:PORT` is refused: 127.0.0.1 is a loopback address, and a wildcard reaches only \
         public ones; the closest grant is `http://*:PORT` (net 1); \
         add `net = [\"GET,HEAD http://127.0.0.1:PORT\"]` under `[plugins.probe]` (bailiwick.toml:1)",
    )
    .await;
}

#[tokio::test]
async fn one_address_inside_spoils_the_whole_answer() {
    let web = Upstream::hello().await;
    let text = format!(
        "[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"http://mixed.test:{}\"]\naddresses = [\"127.0.0.1\"]\n",
        web.port
    );
    let asked = json!({"authority": format!("mixed.test:{}", web.port)});
    for answers in [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "::ffff:169.254.169.254"]] {
        let host = World::new().name("mixed.test", &answers).start(&text).await;
        let outcome = host.call("raw", asked.clone()).await;
        assert_eq!(outcome.code(), "denied.net.addr", "{answers:?}: {}", told(&outcome));
    }
    assert_eq!(web.connections(), 0);
    let host = World::new().name("mixed.test", &["127.0.0.1", "::ffff:127.0.0.1"]).start(&text).await;
    assert_eq!(host.told("raw", asked).await, "ok: 200 hello");
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_each_request_and_judged_each_time() {
    let web = Upstream::hello().await;
    let text = probe(&format!("net = [\"http://turning.test:{}\"]", web.port));
    let asked = json!({"authority": format!("turning.test:{}", web.port)});
    // Whoever looks twice (once to judge, once to connect) would meet the second answer.
    let host = World::new().names("turning.test", &[&["127.0.0.1"], &["169.254.169.254"]]).start(&text).await;
    assert_eq!(host.told("raw", asked.clone()).await, "ok: 200 hello");
    assert_eq!(host.lookups(), 1);
    assert_eq!(
        host.told("raw", asked).await,
        format!(
            "denied.net.addr: `http://turning.test:{port}` is refused: 169.254.169.254 is a cloud metadata address, which is never \
             reached without `danger_metadata_addresses`; the closest grant is `http://turning.test:{port}` (net 1); \
             add `addresses = [\"169.254.169.254\"]` and `danger_metadata_addresses = true` under `[plugins.probe]` (bailiwick.toml:1)",
            port = web.port
        )
    );
    assert_eq!((host.lookups(), web.connections()), (2, 1), "an open connection is not used past the judgement");
}

#[tokio::test]
async fn metadata_needs_a_key_of_its_own() {
    let text =
        "[plugins.probe]\ncomponent = \"probe.wasm\"\naddresses = [\"10.0.0.0/8\"]\nnet = [\"http://meta.test\"]\n";
    let asked = json!({"authority": "meta.test"});
    let world = || World::new().name("meta.test", &["169.254.169.254"]);
    let outcome = world().start(text).await.call("raw", asked).await;
    assert_eq!(outcome.code(), "denied.net.addr");
    let failure = outcome.result.expect_err("it was refused");
    let fix = failure.fix.expect("a refusal names its line");
    assert!(fix.contains("`danger_metadata_addresses = true`"), "{fix}");
    // Nobody answers there: that it is tried at all is the twin. The lines the refusal names are legal ones.
    let allowed = remedy::applied(text, &fix);
    assert!(world().config(&allowed).is_ok(), "{allowed}");
}

/// A server that sends its callers on to `location`.
async fn turnstile(status: u16, location: String) -> Upstream {
    Upstream::new(move |request| match request.target.as_str() {
        "/here" => Reply::ok("hello"),
        _ => Reply::redirect(status, location.clone()),
    })
    .await
}

#[tokio::test]
async fn each_hop_of_a_redirect_is_judged() {
    let goal = Upstream::hello().await;
    for status in [301, 302, 303, 307, 308] {
        let gate = turnstile(status, goal.named("other.example", "/goal")).await;
        let text = probe(&format!("net = [\"http://web.test:{}\"]", gate.port));
        let before = goal.connections();
        let asked = json!({"url": gate.named("web.test", "/")});
        let host = world().start(&text).await;
        let outcome = host.call("get", asked.clone()).await;
        let expected = format!(
            "denied.net.host: `GET http://other.example:{port}/goal` is refused: no `net` of `[plugins.probe]` \
             (bailiwick.toml:1) names the host `other.example`; \
             add `net = [\"GET http://other.example:{port}/goal\"]` under `[plugins.probe]` (bailiwick.toml:1)",
            port = goal.port
        );
        assert_eq!(told(&outcome), expected, "{status}");
        assert_eq!((gate.connections(), goal.connections(), host.lookups()), (1, before, 1));
        let fix = outcome.result.expect_err("it was refused").fix.expect("a refusal names its line");
        let host = world().start(&remedy::applied(&text, &fix)).await;
        assert_eq!(host.value("get", asked).await["body"], "hello");
        assert_eq!((goal.connections(), host.lookups()), (before + 1, 2), "one look-up for each hop");
    }
}

#[tokio::test]
async fn a_redirect_leads_to_nothing_that_is_not_granted() {
    let inside = Upstream::hello().await;
    let port = inside.port;
    for (location, code) in [
        (format!("http://127.0.0.1:{port}/"), "denied.net.host"),
        (format!("http://2130706433:{port}/"), "denied.net.host"),
        (format!("http://[::ffff:7f00:1]:{port}/"), "denied.net.host"),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), "denied.net.host"),
        (format!("//other.example:{port}/"), "denied.net.host"),
        ("http://web.test/".to_owned(), "denied.net.port"),
        ("/secret".to_owned(), "denied.net.path"),
        ("../secret".to_owned(), "denied.net.path"),
        (format!("http://web.test@127.0.0.1:{port}/"), "upstream.protocol"),
        ("file:///etc/passwd".to_owned(), "upstream.protocol"),
        ("gopher://127.0.0.1/".to_owned(), "upstream.protocol"),
        ("javascript:alert(1)".to_owned(), "upstream.protocol"),
    ] {
        let gate = turnstile(302, location.clone()).await;
        let host = world()
            .start(&probe(&format!(
                "net = [\"http://web.test:{}/here\", \"http://web.test:{}/go/**\"]",
                gate.port, gate.port
            )))
            .await;
        let outcome = host.call("get", json!({"url": gate.named("web.test", "/go/on")})).await;
        assert_eq!(outcome.code(), code, "{location}: {}", told(&outcome));
        assert_eq!(gate.requests().len(), 1, "{location}");
        assert_eq!(host.value("get", json!({"url": gate.named("web.test", "/here")})).await["body"], "hello");
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn methods_that_make_a_tunnel_or_an_echo_are_never_granted() {
    let web = Upstream::hello().await;
    let host = world().start(&probe(&format!("net = [\"* http://web.test:{}\"]", web.port))).await;
    let authority = format!("web.test:{}", web.port);
    for method in ["CONNECT", "TRACE"] {
        let outcome = host.call("raw", json!({"authority": authority, "method": method})).await;
        assert_eq!(outcome.code(), "denied.net.method", "{method}: {}", told(&outcome));
    }
    for method in ["get", "GET\r\nX: y", "G ET", ""] {
        let outcome = host.call("raw", json!({"authority": authority, "method": method})).await;
        assert!(matches!(outcome.code(), "denied.net.method" | "arguments.invalid"), "{method:?}: {}", told(&outcome));
    }
    assert_eq!(web.connections(), 0);
    for method in ["GET", "POST", "PROPFIND", "M-SEARCH"] {
        assert_eq!(host.told("raw", json!({"authority": authority, "method": method})).await, "ok: 200 hello");
    }
}

#[tokio::test]
async fn a_tool_has_no_more_than_its_own_net_and_its_plugins() {
    let web = Upstream::hello().await;
    let text = format!(
        "{}\n[plugins.probe.tools.raw]\nnet = [\"http://web.test:{port}/only\"]\n",
        probe(&format!("net = [\"http://web.test:{port}\"]", port = web.port)),
        port = web.port
    );
    let host = world().start(&text).await;
    let authority = format!("web.test:{}", web.port);
    assert_eq!(host.told("raw", json!({"authority": authority, "path": "/only"})).await, "ok: 200 hello");
    assert_eq!(
        host.told("raw", json!({"authority": authority, "path": "/else"})).await,
        format!(
            "denied.net.path: `GET http://{authority}/else` is refused: this path is not granted; \
             the closest grant is `http://{authority}/only` (net 1); \
             add `net = [\"GET http://{authority}/else\"]` under `[plugins.probe.tools.raw]` (bailiwick.toml:6)"
        )
    );
    assert_eq!(
        host.value("get", json!({"url": web.named("web.test", "/else")})).await["body"],
        "hello",
        "the other tools keep theirs"
    );
}

#[tokio::test]
async fn raw_sockets_and_look_ups_are_there_and_denied() {
    let host = TestHost::new("[plugins.probe]\ncomponent = \"probe.wasm\"\n").await;
    assert_eq!(host.told("socket", json!({})).await, "ok: look-up: permanent-resolver-failure, connect: access-denied");
}

#[tokio::test]
async fn a_service_that_fails_is_told_apart_from_a_refusal() {
    let silent = Upstream::new(|_| Reply::silence()).await;
    let garbled = Upstream::new(|_| Reply::raw("SMTP ready\r\n\r\n")).await;
    let sent_away = Upstream::new(|_| Reply::redirect(302, "/again")).await;
    let secure = Upstream::secure(&["web.test"], |_| Reply::ok("hello")).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port is free")
        .port();
    let ports =
        [silent.port, garbled.port, sent_away.port, free].map(|port| format!("\"http://web.test:{port}\"")).join(", ");
    let net =
        format!("net = [{ports}, \"https://web.test:{}\", \"http://nobody.test\"]\nlimits.time = \"5s\"", secure.port);
    let ca = world().file("ca.pem", secure.authority.clone().expect("it speaks TLS"));
    let trusting = ca.host_keys("extra_ca = [\"./ca.pem\"]\n").start(&probe(&net)).await;
    let host = world().start(&probe(&net)).await;
    let code = async |host: &TestHost, url: String| host.call("get", json!({"url": url})).await.code();
    assert_eq!(code(&host, format!("http://web.test:{free}/")).await, "upstream.connect");
    assert_eq!(code(&host, "http://nobody.test/".to_owned()).await, "upstream.dns");
    assert_eq!(code(&host, garbled.named("web.test", "/")).await, "upstream.protocol");
    assert_eq!(code(&host, sent_away.named("web.test", "/")).await, "upstream.protocol");
    assert_eq!(
        code(&host, format!("https://web.test:{}/", secure.port)).await,
        "upstream.tls",
        "nobody vouches for the certificate"
    );
    assert_eq!(code(&trusting, format!("https://web.test:{}/", secure.port)).await, "ok", "`extra_ca` does");
    assert_eq!(code(&host, silent.named("web.test", "/")).await, "limit.time");
    let outcome = host.call("get", json!({"url": silent.named("web.test", "/"), "milliseconds": 100})).await;
    assert_eq!(outcome.code(), "upstream.timeout", "{}", told(&outcome));
}
