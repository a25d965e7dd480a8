//! Documents that would have the host ask somebody else: where they are, where they say the service is, what they refer to.

use serde_json::{Value, json};

use super::{Service, counted, document, get, left_out, post, tried, with_schemas};
use crate::hostile::network::SPECIAL;
use crate::support::host::World;
use crate::support::{Reply, Upstream, told};

/// A document with one operation, `ping`.
fn small() -> Value {
    document(json!({"/ping": get("ping", json!([]))}))
}

#[tokio::test]
async fn oas1_a_document_is_fetched_from_no_address_that_is_not_for_everybody() {
    let name = |n: usize| format!("special-{n}.inner.example");
    let listed = SPECIAL.iter().enumerate();
    let world = listed.fold(World::new(), |world, (n, address)| world.name(&name(n), &[address, "8.8.8.8"]));
    let plugin = |n: usize| {
        let url = format!("http://{}", name(n));
        format!("[plugins.p{n}]\nopenapi = {{ url = \"{url}\" }}\nnet = [\"GET {url}\"]\n")
    };
    let text: String = (0..SPECIAL.len()).map(plugin).collect();
    let host = tried(world, &text).await;
    let problems = host.problems();
    assert_eq!(problems.len(), SPECIAL.len(), "{problems:#?}");
    for (n, address) in SPECIAL.iter().enumerate() {
        let problem = problems.iter().find(|problem| problem.contains(&format!("`p{n}`"))).expect("it is left out");
        assert!(problem.contains(&name(n)) && problem.contains("addresses"), "{address}: {problem}");
    }
    assert_eq!(host.lookups(), SPECIAL.len(), "one look-up each, and not one for each usual place");
    counted("OAS-1", SPECIAL.len());
}

#[tokio::test]
async fn oas1_a_document_is_redirected_only_where_the_grants_lead() {
    let evil = Upstream::new(|_| Reply::ok(small().to_string())).await;
    let elsewhere = [
        evil.url("/openapi.json"),
        evil.named("evil.test", "/openapi.json"),
        format!("//127.0.0.1:{}/openapi.json", evil.port),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::ffff:169.254.169.254]/latest".to_owned(),
        "http://2852039166/latest".to_owned(),
        "http://metadata.google.internal/computeMetadata/v1/".to_owned(),
        "http://localhost:1/".to_owned(),
        "https://127.0.0.1:1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "data:application/json,{}".to_owned(),
        "javascript:alert(1)".to_owned(),
        "gopher://127.0.0.1:70/".to_owned(),
        "http://".to_owned(),
    ];
    for location in &elsewhere {
        let to = location.clone();
        let web = Upstream::new(move |_| Reply::redirect(302, to.clone())).await;
        let url = web.url("");
        let text = format!("[plugins.shop]\nopenapi = {{ url = \"{url}\" }}\nnet = [\"* {url}\"]\n");
        let host = tried(World::new().name("evil.test", &["127.0.0.1"]), &text).await;
        assert_eq!((host.problems().len(), host.listed().len()), (1, 0), "{location}: {:?}", host.problems());
        assert_eq!(web.requests().len(), 1, "{location}");
        assert_eq!(host.lookups(), 0, "{location}");
        // Whatever it would take is named.
        let is_web = location.starts_with("http") && location.len() > 8 || location.starts_with("//");
        assert!(!is_web || host.problems()[0].contains("net"), "{location}: {:?}", host.problems());
    }
    assert_eq!(evil.connections(), 0);
    // In a circle, and one time too often.
    let round = Upstream::new(|request| Reply::redirect(307, format!("{}x", request.target))).await;
    let url = round.url("");
    let text = format!("[plugins.shop]\nopenapi = {{ url = \"{url}\" }}\nnet = [\"* {url}\"]\n");
    let host = tried(World::new(), &text).await;
    assert!(host.problems()[0].contains("redirected more than 3 times"), "{:?}", host.problems());
    assert_eq!(round.requests().len(), 4);
    // Granted: within the service, and to another one that `net` reaches.
    let other = Upstream::new(|_| Reply::ok(small().to_string())).await;
    for to in ["/real.json".to_owned(), other.url("/doc.json")] {
        let service = Service::serving(move |request| match request.target.as_str() {
            "/real.json" => Reply::ok(small().to_string()),
            "/openapi.json" => Reply::redirect(302, to.clone()),
            _ => Reply::ok("pong"),
        });
        let service = service.await;
        let text = service.plugin("shop", "", "").replace("net = [", &format!("net = [\"GET {}\", ", other.url("")));
        assert_eq!(World::new().start(&text).await.told("ping", json!({})).await, "ok: pong");
        assert_eq!(service.last().target, "/ping");
    }
    counted("OAS-1", elsewhere.len() + 3);
}

#[tokio::test]
async fn oas1_a_name_that_leads_elsewhere_the_second_time_is_judged_again() {
    let service = Service::of(&small()).await;
    let url = service.web.named("shop.test", "");
    let text = |more: &str| {
        format!(
            "[plugins.shop]\nopenapi = {{ url = \"{url}\" }}\nnet = [\"* {url}\"]\naddresses = [\"127.0.0.1\"]\n{more}"
        )
    };
    for second in ["10.0.0.1", "169.254.169.254", "::1", "127.0.0.2", "0.0.0.0"] {
        let host = World::new().names("shop.test", &[&["127.0.0.1"], &[second]]).start(&text("")).await;
        let outcome = host.call("ping", json!({})).await;
        assert_eq!(outcome.code(), "denied.net.addr", "{second}: {}", told(&outcome));
        assert!(told(&outcome).contains("addresses"), "{}", told(&outcome));
    }
    assert_eq!(service.asked().len(), 0);
    // The other way round: the document is not asked for where its name leads inside at first.
    let host = tried(World::new().names("shop.test", &[&["10.0.0.1"], &["127.0.0.1"]]), &text("")).await;
    assert_eq!(host.listed(), Vec::<String>::new());
    let host = World::new().name("shop.test", &["127.0.0.1"]).start(&text("")).await;
    assert!(host.told("ping", json!({})).await.starts_with("ok: "));
    counted("OAS-1", 7);
}

#[tokio::test]
async fn oas1_a_document_in_a_file_is_a_plain_file() {
    let world = || World::new().folder("folder").file("plain.json", small().to_string());
    let plugin = |spec: &str| {
        format!(
            "[plugins.shop]\nopenapi = {{ url = \"http://127.0.0.1:1\", spec = \"{spec}\" }}\nnet = [\"* http://127.0.0.1:1\"]\n"
        )
    };
    let pipe = world();
    let made = std::process::Command::new("mkfifo").arg(pipe.path("pipe.json")).status().expect("mkfifo is there");
    assert!(made.success());
    for (world, spec) in [
        (world(), "./nothing.json"),
        (world(), "./folder"),
        (world(), "/dev/zero"),
        (world(), "/proc/self/environ"),
        (pipe, "./pipe.json"),
    ] {
        let host = tried(world, &plugin(spec)).await;
        assert_eq!((host.problems().len(), host.listed().len()), (1, 0), "{spec}: {:?}", host.problems());
        assert!(!host.problems()[0].contains("PATH="), "{spec}: {:?}", host.problems());
    }
    let host = world().start(&plugin("./plain.json")).await;
    assert_eq!(host.listed(), ["ping"]);
    for wrong in [
        // Not granted, with a password, of another scheme.
        "spec = \"http://10.0.0.1/openapi.json\"",
        "spec = \"http://me:pass@127.0.0.1:1/openapi.json\"",
        "spec = \"file:///etc/passwd\"",
        "spec = \"http://127.0.0.1:2/openapi.json\"",
    ] {
        let text = format!(
            "[plugins.shop]\nopenapi = {{ url = \"http://127.0.0.1:1\", {wrong} }}\nnet = [\"* http://127.0.0.1:1\"]\n"
        );
        assert!(world().config(&text).is_err(), "{wrong}");
    }
    counted("OAS-1", 10);
}

#[tokio::test]
async fn oas2_requests_go_to_the_operators_origin_whatever_a_document_says() {
    let evil = Upstream::hello().await;
    let at = |port: u16| {
        [
            format!("http://127.0.0.1:{port}/"),
            format!("http://evil.test:{port}/"),
            format!("//evil.test:{port}/v1"),
            format!("http://127.0.0.1:{port}@evil.test/"),
            format!("http://SHOP@evil.test:{port}/"),
            format!("http:\\\\evil.test:{port}\\"),
            format!("http://{{host}}:{port}/"),
        ]
    };
    let mut servers: Vec<Value> = at(evil.port).into_iter().map(|url| json!([{"url": url}])).collect();
    servers.extend([
        json!([{"url": "http://169.254.169.254/latest"}]),
        json!([{"url": "file:///etc"}]),
        json!([{"url": "javascript:alert(1)"}]),
        json!([{"url": ""}]),
        json!([{"url": "{host}", "variables": {"host": {"default": format!("http://evil.test:{}", evil.port)}}}]),
        json!([{"url": "http://{host}/", "variables": {"host": {"default": "SHOP", "enum": [format!("evil.test:{}", evil.port)]}}}]),
        json!([{"url": "http://SHOP{x}/", "variables": {"x": {"default": "@evil.test"}}}]),
        json!([{"url": "http://SHOP.evil.test/"}]),
        json!([{"url": "https://SHOP/"}]),
        json!([{"url": "../../../.."}]),
        json!([{"url": 7}]),
        json!([]),
        json!("http://evil.test/"),
        Value::Null,
    ]);
    let inputs = servers.len();
    for place in ["", "/paths/~1ping", "/paths/~1ping/get"] {
        for said in &servers {
            let mut document = small();
            document.pointer_mut(place).expect("it is there")["servers"] = said.clone();
            let service = Service::of(&document).await;
            let text = service
                .plugin("shop", "", "")
                .replace("net = [", &format!("net = [\"* http://evil.test:{}\", ", evil.port));
            // It even has the grant to go there.
            let host = World::new().name("evil.test", &["127.0.0.1"]).start(&text).await;
            let outcome = host.call("ping", json!({})).await;
            let answered = outcome.result.is_ok();
            assert!(answered || !left_out(&host).is_empty(), "{place} {said}: {}", told(&outcome));
            assert_eq!((evil.connections(), host.lookups()), (0, 0), "{place} {said}");
            assert_eq!(service.asked().len(), usize::from(answered), "{place} {said}: {}", told(&outcome));
        }
    }
    counted("OAS-2", 3 * inputs);
}

#[tokio::test]
async fn oas2_a_document_may_say_where_below_the_operators_origin() {
    for (place, url, expected) in [
        ("", "/v2", "/v2/ping"),
        ("", "v2/", "/v2/ping"),
        ("", "http://SHOP/v2", "/v2/ping"),
        ("", "http://SHOP/{a}", "/one/ping"),
        ("/paths/~1ping", "/v3", "/v3/ping"),
        ("/paths/~1ping/get", "http://SHOP/v4", "/v4/ping"),
    ] {
        let mut said = small();
        said.pointer_mut(place).expect("it is there")["servers"] =
            json!([{"url": "http://10.0.0.1/"}, {"url": url, "variables": {"a": {"default": "one"}}}]);
        let service = Service::of(&said).await;
        let host = service.host("", "").await;
        assert_eq!(host.told("ping", json!({})).await, "ok: done", "{place} {url}");
        assert_eq!(service.last().target, expected, "{place} {url}");
    }
    // A path of the operator's own is the base, and the grant's path holds too.
    let mut said = small();
    said["servers"] = json!([{"url": "/other"}]);
    let said = said.to_string();
    let web = Upstream::new(move |request| match request.target.as_str() {
        "/api/openapi.json" => Reply::ok(said.clone()),
        _ => Reply::ok("pong"),
    });
    let web = web.await;
    let own = web.url("/api");
    let text = format!("[plugins.shop]\nopenapi = {{ url = \"{own}\" }}\nnet = [\"* {own}/**\"]\n");
    assert_eq!(World::new().start(&text).await.told("ping", json!({})).await, "ok: pong");
    assert_eq!(web.requests()[1].target, "/api/ping");
    counted("OAS-2", 7);
}

/// Documents that refer to `to` in one place each, and have an operation `ping` beside it.
fn referring(to: &str) -> Vec<Value> {
    let reference = json!({"$ref": to});
    let paths = |other: Value| document(json!({"/ping": get("ping", json!([])), "/other": other}));
    let mut shared = paths(post("other", json!({"$ref": "#/components/schemas/A"})));
    shared["components"] = json!({"schemas": {"A": {"type": "object", "properties": {"deep": {"items": reference}}}}});
    vec![
        paths(reference.clone()),
        paths(get("other", json!([reference]))),
        paths(get("other", json!([{"name": "q", "in": "query", "schema": reference}]))),
        paths(json!({"post": {"operationId": "other", "requestBody": reference}})),
        paths(post("other", reference.clone())),
        paths(post("other", json!({"allOf": [reference]}))),
        paths(json!({"get": {"operationId": "other", "responses": {"200": reference}}})),
        shared,
    ]
}

#[tokio::test]
async fn oas3_references_lead_nowhere_else() {
    let evil = Upstream::new(|_| Reply::ok(r#"{"type": "string", "name": "q", "in": "query"}"#)).await;
    let mut inputs = 0;
    let addresses = [
        evil.url("/x.json"),
        evil.named("evil.test", "/x.json#/a"),
        format!("//127.0.0.1:{}/x.json", evil.port),
        "http://169.254.169.254/x.json".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/etc/passwd".to_owned(),
        "../other.json".to_owned(),
        "other.yaml#/components/schemas/A".to_owned(),
    ];
    for to in &addresses {
        for (n, said) in referring(to).into_iter().enumerate() {
            let service = Service::of(&said).await;
            let host = World::new().name("evil.test", &["127.0.0.1"]);
            // Granted to the network, and still not asked for.
            let text = service.plugin("shop", "", "").replace("net = [", &format!("net = [\"* {}\", ", evil.url("")));
            let host = host.start(&text).await;
            assert!(host.listed().contains(&"ping".to_owned()), "{to} {n}");
            let is_answer = n == 6;
            assert!(is_answer || left_out(&host).contains("$ref"), "{to} {n}: {}", left_out(&host));
            assert_eq!((evil.connections(), host.lookups(), service.asked().len()), (0, 0, 0), "{to} {n}");
            inputs += 1;
        }
    }
    // From a file the files beside it are just as far.
    for to in ["other.json", "./other.json#/a", "file:///etc/passwd", "../../../../etc/passwd"] {
        let said =
            document(json!({"/other": get("other", json!([{"name": "q", "in": "query", "schema": {"$ref": to}}]))}));
        let world = World::new().file("doc.json", said.to_string()).file("other.json", r#"{"type": "string"}"#);
        let text = "[plugins.shop]\nopenapi = { url = \"http://127.0.0.1:1\", spec = \"./doc.json\" }\nnet = [\"* http://127.0.0.1:1\"]\n";
        let host = world.start(text).await;
        assert!(host.listed().is_empty() && left_out(&host).contains("not allowed"), "{to}: {}", left_out(&host));
        inputs += 1;
    }
    counted("OAS-3", inputs);
}

#[tokio::test]
async fn oas3_other_documents_are_read_where_the_operator_allows_them() {
    let said = with_schemas(json!({"/other": post("other", json!({"$ref": "parts/a.json#/A"}))}), json!({}));
    let part = |text: &str| Reply::ok(text.to_owned());
    let text = said.to_string();
    let web = Upstream::new(move |request| match request.target.as_str() {
        "/openapi.json" => Reply::ok(text.clone()),
        "/parts/a.json" => part(r#"{"A": {"type": "object", "properties": {"b": {"$ref": "b.json"}}}}"#),
        "/parts/b.json" => part(r#"{"type": "string", "maxLength": 3}"#),
        "/jump/a.json" => Reply::redirect(302, "http://169.254.169.254/a.json"),
        _ => Reply::ok("pong"),
    });
    let web = web.await;
    let own = web.url("");
    let plugin = |references: &str, net: &str| {
        format!("[plugins.shop]\nopenapi = {{ url = \"{own}\", references = [{references}] }}\nnet = [{net}]\n")
    };
    let all = format!("\"* {own}\"");
    let host = World::new().start(&plugin(&format!("\"{own}/parts/\""), &all)).await;
    assert_eq!(host.call("other", json!({"b": "abcd"})).await.code(), "arguments.invalid");
    assert_eq!(host.told("other", json!({"b": "abc"})).await, "ok: pong");
    let fetched: Vec<String> = web.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(fetched, ["/openapi.json", "/parts/a.json", "/parts/b.json", "/other"]);
    // Allowed for one of them only: what it refers to is as far as ever.
    let host = World::new().start(&plugin(&format!("\"{own}/parts/a.json\""), &all)).await;
    assert!(host.listed().is_empty() && left_out(&host).contains("b.json"), "{}", left_out(&host));
    // Allowed, and not granted.
    let narrow = format!("\"* {own}/openapi.json\", \"* {own}/other\"");
    let host = tried(World::new(), &plugin(&format!("\"{own}/parts/\""), &narrow)).await;
    assert!(
        host.problems()[0].contains("/parts/a.json") || host.problems()[0].contains("net"),
        "{:?}",
        host.problems()
    );
    counted("OAS-3", 3);
}

#[tokio::test]
async fn oas3_what_is_allowed_has_an_end_too() {
    // Each document refers to the next one, for ever.
    let web = Upstream::new(|request| {
        let n: u32 = request.target.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
        let next = json!({"$ref": format!("/d/{}.json", n + 1)});
        match request.target.as_str() {
            "/openapi.json" => Reply::ok(document(json!({"/a": post("a", next)})).to_string()),
            _ => Reply::ok(next.to_string()),
        }
    });
    let web = web.await;
    let own = web.url("");
    let text = |references: &str| {
        format!("[plugins.shop]\nopenapi = {{ url = \"{own}\", references = [{references}] }}\nnet = [\"* {own}\"]\n")
    };
    let host = tried(World::new(), &text(&format!("\"{own}/d/\""))).await;
    assert!(host.problems()[0].contains("more than 64 others"), "{:?}", host.problems());
    assert_eq!(web.requests().len(), 65);
    // Redirected from what is allowed to what is not granted.
    let jumping = Upstream::new(|request| match request.target.as_str() {
        "/openapi.json" => Reply::ok(document(json!({"/a": post("a", json!({"$ref": "/d/1.json"}))})).to_string()),
        _ => Reply::redirect(302, "http://169.254.169.254/a.json"),
    });
    let jumping = jumping.await;
    let own = jumping.url("");
    let text =
        format!("[plugins.shop]\nopenapi = {{ url = \"{own}\", references = [\"{own}/d/\"] }}\nnet = [\"* {own}\"]\n");
    let host = tried(World::new(), &text).await;
    assert!(host.problems()[0].contains("169.254.169.254"), "{:?}", host.problems());
    counted("OAS-3", 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oas1_asking_at_every_usual_place_takes_no_longer_than_asking_at_one() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    // Says slowly that there is nothing, or something else.
    let serving = tokio::spawn(async move {
        let mut guests = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            guests.spawn(async move {
                let mut request = [0; 1024];
                while let Ok(1..) = stream.read(&mut request).await {
                    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
                    let moved = String::from_utf8_lossy(&request).contains("/moves");
                    let answer = if moved { "302 X\r\nlocation: /moves\r\n" } else { "404 X\r\n" };
                    let _ = stream.write_all(format!("HTTP/1.1 {answer}content-length: 0\r\n\r\n").as_bytes()).await;
                }
            });
        }
    });
    let plugin = |name: &str, spec: &str| {
        format!("[plugins.{name}]\nopenapi = {{ url = \"{url}\"{spec} }}\nnet = [\"* {url}\"]\n")
    };
    let text = plugin("absent", "") + &plugin("moving", &format!(", spec = \"{url}/moves\""));
    let begun = std::time::Instant::now();
    let host = tried(World::new(), &text).await;
    println!("measured: slow services hold up the start for {} ms", begun.elapsed().as_millis());
    assert!(begun.elapsed() < std::time::Duration::from_secs(13), "{:?}", begun.elapsed());
    assert_eq!(host.problems().len(), 2, "{:?}", host.problems());
    serving.abort();
    counted("OAS-1", 2);
}
