//! Services that are registered beside the configuration, as operators meet them: the real program, a small service.

mod login;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::Upstream;
use crate::support::host::World;
use crate::support::program::Run;
use crate::support::upstream::{Received, Reply};

const NOTHING: &str = "";
const HEADER: &str = "canary-of-a-header-91";
const INJECTED: &str = "canary-of-an-argument-92";

/// The document of a small service.
fn document() -> Value {
    let text = json!({"type": "string"});
    let query = |name: &str, required: bool| json!({"name": name, "in": "query", "required": required, "schema": text});
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Echo", "version": "1"},
        "paths": {
            "/echo/{id}": {"get": {
                "operationId": "echo",
                "summary": "Says what it was asked.",
                "parameters": [
                    {"name": "id", "in": "path", "required": true, "schema": text},
                    query("units", true), query("q", false),
                ],
            }},
            "/things": {"post": {
                "operationId": "make_thing",
                "requestBody": {"content": {"application/json": {"schema": {
                    "type": "object", "properties": {"name": text, "units": text}, "required": ["name", "units"],
                }}}},
            }},
            "/health": {"get": {"operationId": "health"}},
        },
    })
}

/// Answers like that service: with what it was asked, but never with what proves who asks.
fn answer(received: &Received) -> Reply {
    if received.target == "/openapi.json" {
        return Reply::ok(document().to_string()).header("content-type", "application/json");
    }
    if !(received.target.starts_with("/echo/") || received.target == "/things") {
        return Reply::status(404, "{}");
    }
    let body = String::from_utf8_lossy(&received.body).into_owned();
    let said = json!({"method": received.method, "target": received.target, "body": body});
    Reply::ok(said.to_string()).header("content-type", "application/json")
}

/// A world, a configuration and what runs the program in it.
struct Desk {
    world: Arc<World>,
    text: String,
}

impl Desk {
    fn new() -> Self {
        Self::with(NOTHING)
    }

    fn with(text: &str) -> Self {
        Self::of(World::new(), text)
    }

    fn of(world: World, text: &str) -> Self {
        Self { world: Arc::new(world), text: text.to_owned() }
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, &[]).await
    }

    /// The same, with more variables in its environment.
    async fn run_with(&self, arguments: &[&str], variables: &'static [(&str, &str)]) -> Run {
        let (world, text) = (Arc::clone(&self.world), self.text.clone());
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let run = tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            world.run_with(&text, &arguments, variables)
        });
        run.await.expect("it runs")
    }

    /// The same; it has to end well.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> impl Future<Output = String> {
        let shown = arguments.join(" ");
        async move {
            let run = self.run(arguments).await;
            assert_eq!(run.exit, 0, "{shown}: {}{}", run.out, run.err);
            run.out
        }
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let out = self.done(&[&["--json"], arguments].concat()).await;
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

/// Whether any file below `folder` holds `text`.
pub(crate) fn is_anywhere(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => is_anywhere(&path, text),
            false => std::fs::read(&path)
                .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes())),
        }
    })
}

#[tokio::test]
async fn c1_a_service_is_registered_and_its_tools_are_counted() {
    let (service, desk) = (Upstream::new(answer).await, Desk::new());
    let added = desk.run(&["tools", "add", "echo", "--url", &service.url("")]).await;
    let expected = "Registered tools \"echo\" — 2 tool(s) discovered.\n";
    assert_eq!((added.exit, added.out.as_str(), added.err.as_str()), (0, expected, ""));
    let tools = desk.json(&["list"]).await;
    let names: Vec<&str> = tools["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["echo", "make_thing"]);
    let said = desk.done(&["call", "echo", "-a", "id=7", "-a", "units=si", "--no-input"]).await;
    assert!(said.contains("/echo/7?units=si"), "{said}");
}

#[tokio::test]
async fn c1_a_name_is_registered_once() {
    let (service, desk) = (Upstream::new(answer).await, Desk::new());
    let add = ["tools", "add", "echo", "--url", &service.url("")];
    desk.done(&add).await;
    let again = desk.run(&add).await;
    assert_eq!((again.exit, again.out.as_str()), (1, ""));
    assert_eq!(
        again.err,
        "error[tools.exists]: tools \"echo\" is registered already\n  = fix: `bailiwick tools update echo` changes it\n"
    );
    let taken = Desk::with("[plugins.echo]\ncomponent = \"builtin:datetime\"\n");
    let refused = taken.run(&add).await;
    assert_eq!(refused.exit, 1);
    assert!(refused.err.contains("bailiwick.toml:1") && refused.err.contains("tools.configured"), "{}", refused.err);
}

#[tokio::test]
async fn c2_what_is_given_has_names_and_values() {
    let desk = Desk::new();
    for (option, value) in [
        ("--header", "canary"),
        ("--header", ":canary"),
        ("--header", " : canary"),
        ("--header", "X-Key:  "),
        ("--header", "Host: canary"),
        ("--inject", "canary"),
        ("--inject", "=canary"),
        ("--timeout", "0"),
        ("--timeout", "soon"),
        ("--naming", "nice"),
        ("--url", "ftp://x.example"),
        ("--spec", "/nowhere/openapi.json"),
        ("--spec", "ftp://x.example/openapi.json"),
        ("--addresses", "somewhere"),
    ] {
        let url = if option == "--url" { "" } else { "https://x.example" };
        let arguments = ["tools", "add", "echo", "--url", url, option, value];
        let arguments = if url.is_empty() { &["tools", "add", "echo", option, value][..] } else { &arguments[..] };
        let run = desk.run(arguments).await;
        assert_eq!((run.exit, run.out.as_str()), (2, ""), "{option} {value}: {}", run.err);
        assert!(!run.err.contains("canary"), "{}", run.err);
    }
    assert_eq!(desk.done(&["tools", "list"]).await, "no tools are registered\n");
    let unsafe_ = ["tools", "add", "echo", "--url", "http://10.0.0.1", "--header", "X-Key: canary"];
    let unsafe_ = desk.run(&unsafe_).await;
    assert!(unsafe_.exit == 2 && unsafe_.err.contains("unencrypted"), "{}", unsafe_.err);
}

#[tokio::test]
async fn c3_a_service_that_is_down_is_registered_all_the_same() {
    let desk = Desk::new();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one").port();
    let url = format!("http://127.0.0.1:{port}");
    let added = desk.run(&["tools", "add", "echo", "--url", &url]).await;
    let expected = "Registered tools \"echo\" — could not reach endpoint to count tools (will retry…)\n";
    assert_eq!((added.exit, added.out.as_str()), (0, expected), "{}", added.err);
    let shown = desk.done(&["tools", "show", "echo"]).await;
    assert!(shown.contains("\n(could not reach endpoint: "), "{shown}");
    let service = Upstream::at(port, answer).await;
    assert!(desk.done(&["tools", "show", "echo"]).await.contains("Tools (2)"));
    drop(service);
}

#[tokio::test]
async fn c4_c7_what_is_secret_is_shown_nowhere_and_sent_with_every_request() {
    let (service, desk) = (Upstream::new(answer).await, Desk::new());
    let header = format!("Authorization: Bearer {HEADER}");
    let inject = format!("units={INJECTED}");
    let add = ["tools", "add", "echo", "--url", &service.url(""), "--header", &header, "--inject", &inject];
    let mut seen = vec![desk.done(&add).await];
    let call = ["call", "echo", "-a", "id=7", "--log", "trace", "--no-input"];
    let called = desk.run(&call).await;
    assert_eq!(called.exit, 0, "{}", called.err);
    assert!(!called.err.contains(INJECTED), "{}", called.err);
    seen.push(called.err);
    let shown = desk.done(&["tools", "show", "echo"]).await;
    assert!(shown.contains("Headers   Authorization\n") && shown.contains("Inject    units\n"), "{shown}");
    seen.push(shown);
    for arguments in [&["tools", "show", "echo"][..], &["tools", "list"], &["list"], &["show", "echo"], &["check"]] {
        seen.push(desk.json(arguments).await.to_string());
    }
    for arguments in
        [&["tools", "show", "--toml", "echo"][..], &["tools", "list"], &["show", "echo"], &["audit", "log"]]
    {
        seen.push(desk.done(arguments).await);
    }
    for text in seen {
        assert!(!text.contains(HEADER) && !text.contains(INJECTED), "{text}");
    }
    let state = desk.world.path("state");
    assert!(!is_anywhere(&state, HEADER) && !is_anywhere(&state, INJECTED), "a value is in the state folder");
    let requests = service.requests();
    let calls: Vec<&Received> = requests.iter().filter(|request| request.target.starts_with("/echo/")).collect();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].header("authorization"), Some(format!("Bearer {HEADER}").as_str()));
    assert!(calls[0].target.contains(INJECTED), "{}", calls[0].target);
}

#[tokio::test]
async fn c7_another_key_opens_nothing() {
    // What is compiled is sealed with the key too, and the other tests use theirs.
    let (service, desk) = (Upstream::new(answer).await, Desk::of(World::new().own_cache(), NOTHING));
    let header = format!("X-Key: {HEADER}");
    desk.done(&["tools", "add", "echo", "--url", &service.url(""), "--header", &header]).await;
    std::fs::write(desk.world.path("state/host.key"), [9; 32]).expect("it can be written");
    let listed = desk.json(&["list"]).await;
    let problem = listed["problems"][0]["message"].as_str().unwrap_or_default();
    assert!(problem.contains("`host.key` is another one"), "{listed}");
    let update = desk.run(&["tools", "update", "echo", "--header", &header]).await;
    assert!(update.exit == 1 && update.err.contains("tools.sealed"), "{}", update.err);
    desk.done(&["tools", "remove", "echo"]).await;
    desk.done(&["tools", "add", "echo", "--url", &service.url(""), "--header", &header]).await;
    assert_eq!(desk.json(&["list"]).await["tools"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn c5_services_are_listed_changed_and_removed() {
    let (service, desk) = (Upstream::new(answer).await, Desk::new());
    let url = service.url("");
    let long = format!("{url}/{}", "a".repeat(60));
    let headers = ["--header", "X-One: canary-1", "--header", "X-Two: canary-2", "--inject", "units=si"];
    desk.done(&[&["tools", "add", "echo", "--url", &url][..], &headers].concat()).await;
    desk.done(&["tools", "add", "far", "--url", &long, "--timeout", "2500"]).await;
    let listed = desk.done(&["tools", "list"]).await;
    let lines: Vec<&str> = listed.lines().collect();
    let cut: String = long.chars().take(44).collect();
    assert_eq!(lines[0], format!("NAME  {:<45}  TIMEOUT", "URL"));
    assert_eq!(lines[1], format!("echo  {url:<45}  10s"));
    assert_eq!(lines[2], format!("far   {cut}…  2500ms"));
    desk.done(&["tools", "update", "echo", "--timeout", "7000"]).await;
    let shown = desk.json(&["tools", "show", "echo"]).await;
    assert_eq!((&shown["timeoutMs"], &shown["headers"]), (&json!(7_000), &json!(["X-One", "X-Two"])));
    assert_eq!(
        desk.done(&["tools", "update", "echo", "--header", "X-Two: canary-3"]).await,
        "Updated tools \"echo\".\n"
    );
    let shown = desk.json(&["tools", "show", "echo"]).await;
    assert_eq!(
        (&shown["headers"], &shown["inject"]),
        (&json!(["X-Two"]), &json!(["units"])),
        "the whole of it is replaced"
    );
    assert_eq!(desk.done(&["tools", "remove", "far"]).await, "Removed tools \"far\".\n");
    for action in ["remove", "show", "update"] {
        let unknown = desk.run(&["tools", action, "far"]).await;
        assert_eq!((unknown.exit, unknown.out.as_str()), (1, ""));
        assert!(unknown.err.starts_with("error[tools.unknown]: tools \"far\" not found\n"), "{}", unknown.err);
    }
}

#[tokio::test]
async fn c5_every_change_is_in_the_audit_with_who_made_it() {
    let (service, desk) = (Upstream::new(answer).await, Desk::new());
    desk.done(&["tools", "add", "echo", "--url", &service.url(""), "--header", "X-Key: canary-1"]).await;
    desk.done(&["tools", "update", "echo", "--timeout", "7000"]).await;
    desk.done(&["tools", "remove", "echo"]).await;
    let records = desk.world.records();
    let told: Vec<(&str, &str, &str)> = records
        .iter()
        .filter_map(|record| Some((record["caller"].as_str()?, record["tool"].as_str()?, record["plugin"].as_str()?)))
        .collect();
    assert_eq!(told, [("cli", "tools add", "echo"), ("cli", "tools update", "echo"), ("cli", "tools remove", "echo")]);
    assert!(records[0]["arguments"].as_str().is_some_and(|facts| facts.contains("header:X-Key")), "{}", records[0]);
    assert!(desk.done(&["audit", "verify"]).await.contains("3"));
}

#[tokio::test]
async fn c6_a_call_has_ten_seconds_or_what_was_said() {
    let slow = |received: &Received| match received.target.as_str() {
        "/openapi.json" => answer(received),
        _ => Reply::silence(),
    };
    let (service, desk) = (Upstream::new(slow).await, Desk::new());
    desk.done(&["tools", "add", "echo", "--url", &service.url("")]).await;
    assert_eq!(desk.json(&["tools", "show", "echo"]).await["timeoutMs"], 10_000);
    desk.done(&["tools", "update", "echo", "--timeout", "300"]).await;
    let call = desk.run(&["call", "echo", "-a", "id=7", "-a", "units=si", "--no-input"]).await;
    assert!(call.exit != 0 && call.err.contains("time"), "{}", call.err);
}

#[tokio::test]
async fn c8_what_is_injected_is_hidden_and_wins() {
    let (service, desk) = (Upstream::new(answer).await, Desk::new());
    desk.done(&["tools", "add", "echo", "--url", &service.url(""), "--inject", "units=si"]).await;
    let listed = desk.json(&["list"]).await;
    for tool in listed["tools"].as_array().expect("a list") {
        let schema = tool["inputSchema"].to_string();
        assert!(!schema.contains("units"), "{schema}");
    }
    desk.done(&["call", "echo", "-a", "id=7", "--no-input"]).await;
    desk.done(&["call", "make_thing", "-a", "name=x", "--no-input"]).await;
    let mine = desk.run(&["call", "echo", "-a", "id=8", "-a", "units=mine", "--no-input"]).await;
    let requests = service.requests();
    assert!(!requests.iter().any(|request| request.target.contains("mine")), "{}{}", mine.out, mine.err);
    let made = requests.iter().find(|request| request.target == "/things").expect("it was asked");
    assert_eq!(serde_json::from_slice::<Value>(&made.body).expect("JSON"), json!({"name": "x", "units": "si"}));
    assert!(requests.iter().any(|request| request.target == "/echo/7?units=si"), "{requests:?}");
}

#[tokio::test]
async fn c14_a_document_may_be_elsewhere() {
    let bare = |received: &Received| match received.target.as_str() {
        "/openapi.json" => Reply::status(404, ""),
        _ => answer(received),
    };
    let service = Upstream::new(bare).await;
    let yaml = "openapi: 3.0.3\ninfo: {title: Echo, version: '1'}\npaths:\n  /echo/{id}:\n    get:\n      operationId: from_yaml\n      \
                parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n";
    let desk = Desk::of(World::new().file("echo.yaml", yaml), NOTHING);
    let url = service.url("");
    desk.done(&["tools", "add", "echo", "--url", &url, "--spec", "./echo.yaml"]).await;
    let shown = desk.json(&["tools", "show", "echo"]).await;
    let real = desk.world.path("echo.yaml").canonicalize().expect("it is there");
    assert_eq!(shown["spec"], json!(real), "stored absolute");
    assert_eq!(shown["tools"][0]["name"], "from_yaml");
    let file = format!("file://{}", real.display());
    desk.done(&["tools", "update", "echo", "--spec", &file]).await;
    assert_eq!(desk.json(&["tools", "show", "echo"]).await["spec"], json!(real));
    let elsewhere = Upstream::new(answer).await;
    desk.done(&["tools", "update", "echo", "--spec", &elsewhere.url("/openapi.json")]).await;
    assert_eq!(desk.json(&["tools", "show", "echo"]).await["tools"].as_array().map(Vec::len), Some(2));
    desk.done(&["tools", "update", "echo", "--spec", ""]).await;
    let cleared = desk.json(&["tools", "show", "echo"]).await;
    assert!(cleared["spec"].is_null() && cleared["unavailableReason"].is_string(), "{cleared}");
}

#[tokio::test]
async fn c16_who_answers_is_checked_unless_that_is_said() {
    let (service, desk) = (Upstream::secure(&["localhost"], answer).await, Desk::new());
    let url = format!("https://localhost:{}", service.port);
    let added = desk.run(&["tools", "add", "echo", "--url", &url]).await;
    assert!(added.exit == 0 && added.out.contains("could not reach endpoint"), "{}{}", added.out, added.err);
    let updated = desk.run(&["tools", "update", "echo", "--insecure-skip-tls-verify"]).await;
    assert_eq!(updated.exit, 0);
    assert!(updated.err.contains("tools.unverified-tls"), "{}", updated.err);
    assert!(desk.done(&["tools", "show", "echo"]).await.contains("Tools (2)"));
    let records = desk.world.records();
    assert!(records[1]["arguments"].as_str().is_some_and(|facts| facts.contains("unverified-tls")), "{records:?}");
    desk.done(&["tools", "update", "echo", "--insecure-skip-tls-verify=false"]).await;
    assert!(desk.done(&["tools", "show", "echo"]).await.contains("could not reach endpoint"));
}

#[tokio::test]
async fn c20_one_service_that_is_down_takes_nothing_from_the_others() {
    let (service, desk) =
        (Upstream::new(answer).await, Desk::with("[plugins.datetime]\ncomponent = \"builtin:datetime\"\n"));
    desk.done(&["tools", "add", "echo", "--url", &service.url("")]).await;
    desk.run(&["tools", "add", "down", "--url", "http://127.0.0.1:1"]).await;
    let listed = desk.json(&["list"]).await;
    let plugins: Vec<&str> =
        listed["tools"].as_array().expect("a list").iter().filter_map(|tool| tool["plugin"].as_str()).collect();
    assert!(plugins.contains(&"datetime") && plugins.contains(&"echo") && !plugins.contains(&"down"), "{plugins:?}");
    assert_eq!(listed["problems"][0]["plugin"], "down");
}

#[tokio::test]
async fn c20_the_configuration_comes_first() {
    let (service, mut desk) = (Upstream::new(answer).await, Desk::new());
    desk.done(&["tools", "add", "clock", "--url", &service.url("")]).await;
    desk.text = "[plugins.clock]\ncomponent = \"builtin:datetime\"\n".to_owned();
    let listed = desk.json(&["list"]).await;
    assert!(listed["tools"].as_array().expect("a list").iter().all(|tool| tool["name"] != "make_thing"), "{listed}");
    assert!(listed["problems"][0]["fix"].as_str().is_some_and(|fix| fix.contains("bailiwick tools remove clock")));
    desk.done(&["tools", "remove", "clock"]).await;
    assert_eq!(desk.json(&["list"]).await["problems"], json!([]));
}

#[tokio::test]
async fn c20_a_server_that_runs_takes_a_change_at_once() {
    let (service, desk) = (Upstream::new(answer).await, Desk::new());
    desk.done(&["tools", "add", "echo", "--url", &service.url("")]).await;
    let world = Arc::clone(&desk.world);
    let names = |listed: &Value| {
        let tools = listed["tools"].as_array().cloned().unwrap_or_default();
        tools.iter().filter_map(|tool| Some(tool["name"].as_str()?.to_owned())).collect::<Vec<_>>()
    };
    let (mut server, before) = tokio::task::spawn_blocking(move || {
        let mut server = world.serve(NOTHING, &[]);
        let before = server.ask("tools/list", &json!({}));
        (server, before)
    })
    .await
    .expect("it starts");
    assert_eq!(names(&before), ["echo", "make_thing"]);
    let changed = std::time::Instant::now();
    desk.done(&["tools", "update", "echo", "--exclude", "POST /**"]).await;
    let after = tokio::task::spawn_blocking(move || {
        server.reloaded();
        let after = server.ask("tools/list", &json!({}));
        server.end();
        after
    });
    assert_eq!(names(&after.await.expect("it answers")), ["echo"]);
    println!("measured: a change by another process took {:?}", changed.elapsed());
}
