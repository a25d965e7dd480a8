//! Tools that callers make while the host runs: over HTTP in the words of two APIs and as tools of the host, within what the
//! policy of each caller says, against services that write down what they are asked.

use serde_json::{Value, json};

use crate::support::Upstream;
use crate::support::host::World;
use crate::support::served::{Answer, Served};
use crate::support::upstream::{Received, Reply};
use crate::web::{HASH, KEY, OTHER_HASH, OTHER_KEY, POLITE, bearer};
use crate::web_mcp::{meta, modern};

const HEADER: &str = "canary-of-a-header-81";
const INJECTED: &str = "canary-of-an-argument-82";

/// Says what it was asked, but never with what proves who asks.
fn answer(received: &Received) -> Reply {
    if received.target == "/openapi.json" {
        return Reply::ok(document(&[]).to_string()).header("content-type", "application/json");
    }
    if received.target.starts_with("/broken") {
        return Reply::status(500, "it broke");
    }
    let body = String::from_utf8_lossy(&received.body).into_owned();
    let said = json!({"method": received.method, "target": received.target, "body": body});
    Reply::ok(said.to_string()).header("content-type", "application/json")
}

/// A document of three operations.
fn document(servers: &[String]) -> Value {
    let text = json!({"type": "string"});
    let servers: Vec<Value> = servers.iter().map(|url| json!({ "url": url })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Pet Store", "version": "1"},
        "servers": servers,
        "paths": {
            "/pets/{petId}": {
                "get": {"operationId": "showPet", "summary": "Shows a pet.",
                    "parameters": [{"name": "petId", "in": "path", "required": true, "schema": text}]},
                "delete": {"parameters": [{"name": "petId", "in": "path", "required": true, "schema": text}]},
            },
            "/pets": {"post": {"operationId": "Make Pet!", "requestBody": {"content": {"application/json": {
                "schema": {"type": "object", "properties": {"name": text}, "required": ["name"]}}}}}},
        },
    })
}

/// Two keys: one that manages, within these lines, and one that may do all but that.
pub(crate) fn config(plugins: &str, lines: &str) -> String {
    format!(
        "{plugins}\n[gateway]\nper_ip = 0\nper_key = 0\n[gateway.api]\nenable_tool_execute = true\n\
         [policies.maker]\ntools = [\"*\"]\nexecute = true\nmanage = true\n{lines}\n\
         [policies.user]\ntools = [\"*\"]\nexecute = true\n\
         [keys.maker]\nhash = {HASH:?}\npolicy = \"maker\"\n[keys.user]\nhash = {OTHER_HASH:?}\npolicy = \"user\"\n"
    )
}

pub(crate) fn serve(plugins: &str, lines: &str) -> Served {
    World::new().serve_http(&config(plugins, lines))
}

/// One that makes tools which reach this service.
fn serve_for(service: &Upstream, plugins: &str) -> Served {
    serve(plugins, &format!("create = [\"GET,POST {}\"]", service.url("")))
}

pub(crate) fn ask(served: &Served, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    served.request(method, path, &[("Authorization", &bearer(key))], &body)
}

pub(crate) fn made(served: &Served, path: &str, body: &Value) -> Value {
    let answer = ask(served, KEY, "POST", path, body);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

pub(crate) fn told(served: &Served, method: &str, path: &str, body: &Value) -> (u16, Value) {
    ask(served, KEY, method, path, body).told()
}

/// Calls a tool through the tools API.
pub(crate) fn run(served: &Served, key: &str, tool: &str, parameters: &Value) -> Value {
    let path = format!("/api/v1/tools/{tool}/execute");
    ask(served, key, "POST", &path, &json!({ "parameters": parameters })).json()
}

/// Calls a tool over MCP: its texts, and whether it is an error.
pub(crate) fn call(served: &Served, key: &str, tool: &str, arguments: &Value) -> (String, bool) {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments, "_meta": meta(json!({}))}});
    let key = bearer(key);
    let answer = served.post("/mcp", &modern("tools/call", Some(tool), &key), &message).json();
    let result = &answer["result"];
    (result["content"][0]["text"].as_str().unwrap_or_default().to_owned(), result["isError"] == true)
}

/// The same, of an answer that is JSON.
pub(crate) fn call_json(served: &Served, tool: &str, arguments: &Value) -> Value {
    let (text, is_error) = call(served, KEY, tool, arguments);
    assert!(!is_error, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The names of all tools that a key is told of over MCP.
pub(crate) fn listed(served: &Served, key: &str) -> Vec<String> {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta(json!({}))}});
    let key = bearer(key);
    let answer = served.post("/mcp", &modern("tools/list", None, &key), &message).json();
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect()
}

fn http(name: &str, url: &str) -> Value {
    json!({"name": name, "protocol": "http", "config": {"url": url}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g6_tools_are_made_shown_changed_and_removed_over_http() {
    let service = Upstream::new(answer).await;
    let served = serve_for(&service, POLITE);
    let input = json!({"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]});
    let body = json!({"name": "My  Weather!", "protocol": "http", "inputSchema": input,
        "config": {"url": service.url("/at/{id}"), "method": "GET"}});
    let record = made(&served, "/api/tools", &body);
    let id = record["id"].as_str().expect("an id").to_owned();
    assert!(id.len() == 36 && id.as_bytes()[14] == b'4', "{id}");
    assert_eq!((&record["name"], &record["protocol"]), (&json!("My Weather!"), &json!("http")));
    assert_eq!((&record["config"]["url"], &record["inputSchema"]), (&json!(service.url("/at/{id}")), &input));
    let one = format!("/api/tools/{id}");
    assert_eq!(told(&served, "GET", &one, &Value::Null), (200, record.clone()));
    // It is there with the answer, for whoever may use it.
    let said = run(&served, OTHER_KEY, "my_weather", &json!({"id": "a/b", "q": 1}));
    assert_eq!(said["structured"]["target"], "/at/a%2Fb?q=1", "{said}");
    let second = made(&served, "/api/tools", &http("My Weather", &service.url("/two")));
    let list = told(&served, "GET", "/api/tools", &Value::Null).1;
    let names: Vec<&str> = list.as_array().expect("a list").iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names[names.len() - 2..], ["My Weather!", "My Weather"]);
    assert!(names.contains(&"echo"), "{names:?}");
    assert_eq!(run(&served, OTHER_KEY, "my_weather_2", &json!({}))["structured"]["method"], "POST");
    let changed =
        told(&served, "PUT", &one, &json!({"name": "Other", "config": {"url": service.url("/new"), "method": "GET"}}));
    assert_eq!((changed.0, &changed.1["name"], &changed.1["id"]), (200, &json!("Other"), &json!(id)));
    assert_eq!(changed.1["inputSchema"], input, "what is not said stays");
    // The name that calls go by stays too.
    let said = run(&served, OTHER_KEY, "my_weather", &json!({"id": "7"}));
    assert_eq!(said["structured"]["target"], "/new?id=7", "{said}");
    assert_eq!(told(&served, "DELETE", &one, &Value::Null), (200, json!({"ok": true})));
    for method in ["GET", "DELETE", "PUT"] {
        let body = if method == "PUT" { json!({"name": "x"}) } else { Value::Null };
        let gone = ask(&served, KEY, method, &one, &body);
        assert_eq!((gone.status, gone.body.as_str()), (404, ""), "{method}");
    }
    assert_eq!(ask(&served, KEY, "GET", "/api/v1/tools/my_weather", &Value::Null).status, 404);
    let other = format!("/api/v1/manage/tools/{}", second["id"].as_str().expect("an id"));
    let (status, whole) = told(&served, "GET", &other, &Value::Null);
    assert_eq!((status, &whole["owner"], &whole["tools"]), (200, &json!("key:maker"), &json!(["my_weather_2"])));
}

#[test]
fn g2_a_blank_name_is_said_and_what_cannot_be_read_is_refused_by_its_name() {
    let served = serve(POLITE, "");
    let native = |name: &str| json!({"name": name, "config": {"tool": "echo"}});
    let blank = made(&served, "/api/tools", &native("  "));
    assert_eq!((&blank["name"], &blank["protocol"]), (&json!("Unnamed tool"), &json!("native")));
    assert_eq!(run(&served, KEY, "unnamed_tool", &json!({"name": "x"}))["success"], true);
    for (body, said) in [
        (json!({"name": "x", "colour": "red"}), "colour"),
        (json!({"name": "x", "protocol": "ftp"}), "protocol"),
        (json!({"name": "x", "protocol": "http", "config": {}}), "config.url"),
        (
            json!({"name": "x", "protocol": "http", "config": {"url": "https://x.example", "colour": "canary"}}),
            "config.colour",
        ),
        (json!({"name": "x", "protocol": "http", "config": {"url": "https://{host}/"}}), "host"),
        (json!({"name": "x", "protocol": "mcp", "config": {"endpoint": "https://x.example"}}), "config.toolName"),
        (json!({"name": "x", "config": {"tool": "nothing"}}), "not found"),
        (json!({"name": "x", "config": {"tool": "echo"}, "inputSchema": {"type": "array"}}), "inputSchema"),
        (json!([]), "object"),
    ] {
        let (status, answer) = told(&served, "POST", "/api/tools", &body);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(status == 400 && error.contains(said) && !error.contains("canary"), "{body}: {status} {answer}");
        let (status, answer) = told(&served, "POST", "/api/v1/manage/tools", &body);
        assert!(status == 422 && answer["detail"].as_str().is_some_and(|text| text.contains(said)), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_g3_g4_g5_the_same_as_tools_for_those_who_manage() {
    let service = Upstream::new(answer).await;
    let served = serve_for(&service, POLITE);
    let management =
        ["create_tool", "list_tools", "get_tool", "update_tool", "delete_tool", "create_tools_from_openapi"];
    let (mine, theirs) = (listed(&served, KEY), listed(&served, OTHER_KEY));
    for name in management {
        assert!(mine.iter().any(|known| known == name) && !theirs.iter().any(|known| known == name), "{name}");
    }
    let said = call_json(&served, "create_tool", &http("Echo It", &service.url("/echo")));
    assert_eq!(said["message"], "Tool \"Echo It\" created. Calls go by `echo_it`.");
    let id = said["id"].clone();
    let all = call_json(&served, "list_tools", &json!({"category": "custom"}));
    assert_eq!(all, json!([{"id": id, "name": "Echo It", "protocol": "http"}]));
    assert_eq!(call_json(&served, "get_tool", &json!({"id": id}))["config"]["url"], json!(service.url("/echo")));
    assert_eq!(call_json(&served, "get_tool", &json!({"id": "nothing"})), json!({"error": "Tool not found"}));
    let updated = call_json(&served, "update_tool", &json!({"id": id, "name": "New"}));
    assert_eq!(updated, json!({"id": id, "message": "Tool \"New\" updated"}));
    let (text, is_error) = call(&served, KEY, "echo_it", &json!({"a": 1}));
    assert!(!is_error && text.contains("/echo"), "{text}");
    let standard = call_json(&served, "delete_tool", &json!({"id": "echo"}));
    assert_eq!(standard, json!({"error": "Standard tools cannot be deleted"}));
    assert_eq!(call_json(&served, "delete_tool", &json!({"id": id})), json!({"ok": true}));
    assert_eq!(call_json(&served, "list_tools", &json!({"category": "custom"})), json!([]));
    // Who may not manage learns which line would let it, and by way of the search too.
    for (tool, arguments) in [
        ("create_tool", http("x", &service.url("/"))),
        ("call_tool", json!({"name": "create_tool", "arguments": {"name": "x"}})),
    ] {
        let (text, is_error) = call(&served, OTHER_KEY, tool, &arguments);
        assert!(is_error && text.contains("set `manage = true` under `[policies.user]`"), "{text}");
    }
    let records = served.end().2.records();
    let outcomes: Vec<&str> = records
        .iter()
        .filter(|record| record["tool"] == "create_tool")
        .filter_map(|record| record["outcome"].as_str())
        .collect();
    assert_eq!(outcomes, ["ok", "denied.manage", "denied.manage"]);
}

#[test]
fn g6_who_may_not_manage_is_refused_everywhere() {
    let served = serve(POLITE, "");
    for (method, path) in [
        ("GET", "/api/tools"),
        ("POST", "/api/tools"),
        ("GET", "/api/tools/echo"),
        ("PUT", "/api/tools/echo"),
        ("DELETE", "/api/tools/echo"),
        ("GET", "/api/v1/manage/tools"),
        ("POST", "/api/v1/manage/tools"),
        ("POST", "/api/v1/manage/tools/openapi"),
        ("GET", "/api/v1/manage/tools/echo"),
        ("PUT", "/api/v1/manage/tools/echo"),
        ("DELETE", "/api/v1/manage/tools/echo"),
    ] {
        let body = if matches!(method, "POST" | "PUT") { json!({"name": "x"}) } else { Value::Null };
        let refused = ask(&served, OTHER_KEY, method, path, &body);
        assert!(refused.status == 403 && refused.body.contains("[policies.user]"), "{method} {path}: {refused:?}");
        assert_eq!(served.request(method, path, &[], &body.to_string()).status, 401, "{method} {path}");
    }
    // The same requests are answered for who may.
    assert_eq!(ask(&served, KEY, "GET", "/api/tools", &Value::Null).status, 200);
    assert_eq!(ask(&served, KEY, "GET", "/api/v1/manage/tools/echo", &Value::Null).status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_nothing_is_made_that_reaches_more_than_its_makers_policy_says() {
    let (service, other) = (Upstream::new(answer).await, Upstream::new(answer).await);
    let lines = format!("create = [\"GET {}/open/**\"]", service.url(""));
    let served = serve(POLITE, &lines);
    let tool =
        |method: &str, url: String| json!({"name": "t", "protocol": "http", "config": {"url": url, "method": method}});
    for body in [
        tool("POST", service.url("/open/x")),
        tool("GET", service.url("/closed/x")),
        tool("GET", service.url("/{id}")),
        tool("GET", other.url("/open/x")),
        tool("GET", service.named("localhost", "/open/x")),
        tool("GET", "http://169.254.169.254/latest".to_owned()),
        json!({"name": "t", "protocol": "mcp", "config": {"endpoint": other.url("/mcp"), "toolName": "x"}}),
    ] {
        let (status, answer) = told(&served, "POST", "/api/v1/manage/tools", &body);
        let detail = answer["detail"].as_str().unwrap_or_default();
        let names_the_line = detail.contains("to `create` under `[policies.maker]`");
        assert!(status == 403 && names_the_line, "{body}: {status} {answer}");
        let (text, is_error) = call(&served, KEY, "create_tool", &body);
        assert!(is_error && text.contains("[policies.maker]"), "{text}");
    }
    for path in ["/open/x", "/open/{id}/y"] {
        made(&served, "/api/v1/manage/tools", &tool("GET", service.url(path)));
    }
    // What was made within it is held to it when it is changed.
    let id = made(&served, "/api/v1/manage/tools", &tool("GET", service.url("/open/z")))["id"].clone();
    let path = format!("/api/v1/manage/tools/{}", id.as_str().expect("an id"));
    let wider = told(&served, "PUT", &path, &json!({"config": {"url": other.url("/open/z"), "method": "GET"}}));
    assert_eq!(wider.0, 403, "{wider:?}");
    assert_eq!(run(&served, KEY, "t_3", &json!({}))["structured"]["target"], "/open/z");
    assert_eq!(other.connections(), 0);
    let refused = served.end().2.records();
    assert_eq!(refused.iter().filter(|record| record["outcome"] == "denied.ceiling").count(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_addresses_beyond_the_internet_are_reached_where_the_policy_says() {
    let service = Upstream::new(answer).await;
    let url = service.named("localhost", "");
    let body = http("Local", &format!("{url}/x"));
    let closed = serve("", &format!("create = [\"POST {url}\"]"));
    let (status, answer) = told(&closed, "POST", "/api/v1/manage/tools", &body);
    let detail = answer["detail"].as_str().unwrap_or_default();
    assert!(status == 403 && detail.contains("to `create_addresses` under `[policies.maker]`"), "{answer}");
    let open = serve("", &format!("create = [\"POST {url}\"]\ncreate_addresses = [\"127.0.0.0/8\", \"::1/128\"]"));
    made(&open, "/api/v1/manage/tools", &body);
    assert_eq!(run(&open, KEY, "local", &json!({"a": 1}))["structured"]["body"], "{\"a\":1}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_an_http_tool_sends_its_sealed_header_and_nobody_is_shown_it() {
    let (service, other) = (Upstream::new(answer).await, Upstream::new(answer).await);
    let create = format!("create = [\"GET,POST {}\", \"POST {}\"]", service.url(""), other.url(""));
    let served = World::new().serve_http_with(&config(POLITE, &create), &["--log", "trace"]);
    let body = json!({"name": "Sender", "protocol": "http", "config": {
        "url": service.url("/things/{id}"), "headers": {"X-Api-Key": HEADER, "Content-Type": "application/json"},
        "inject": {"units": INJECTED},
    }});
    let mut seen = Vec::new();
    let record = made(&served, "/api/v1/manage/tools", &body);
    assert_eq!((&record["config"]["headers"], &record["config"]["inject"]), (&json!(["X-Api-Key"]), &json!(["units"])));
    seen.push(record.to_string());
    let said = run(&served, OTHER_KEY, "sender", &json!({"id": "a b", "n": 1, "units": "theirs"}));
    assert_eq!(said["structured"]["target"], "/things/a%20b", "{said}");
    let received = service.requests().pop().expect("it was asked");
    assert_eq!((received.method.as_str(), received.header("x-api-key")), ("POST", Some(HEADER)));
    let sent: Value = serde_json::from_slice(&received.body).expect("it is JSON");
    assert_eq!(sent, json!({"n": 1, "units": INJECTED}));
    // Names alone leave the values as they are; another place does not get them.
    let path = format!("/api/v1/manage/tools/{}", record["id"].as_str().expect("an id"));
    let stay = json!({"config": {"url": service.url("/new"), "headers": ["X-Api-Key"], "inject": ["units"]}});
    assert_eq!(told(&served, "PUT", &path, &stay).0, 200);
    run(&served, OTHER_KEY, "sender", &json!({}));
    assert_eq!(
        service.requests().pop().and_then(|last| last.header("x-api-key").map(str::to_owned)).as_deref(),
        Some(HEADER)
    );
    for elsewhere in [
        json!({"config": {"url": other.url("/"), "headers": ["X-Api-Key"], "inject": []}}),
        json!({"config": {"url": other.url("/")}}),
    ] {
        let (status, answer) = told(&served, "PUT", &path, &elsewhere);
        assert!(
            status == 422 && answer["detail"].as_str().is_some_and(|text| text.contains("somewhere else")),
            "{answer}"
        );
    }
    let elsewhere = json!({"config": {"url": other.url("/"), "headers": [], "inject": []}});
    assert_eq!(told(&served, "PUT", &path, &elsewhere).0, 200);
    run(&served, OTHER_KEY, "sender", &json!({}));
    assert_eq!(other.requests().pop().expect("it was asked").header("x-api-key"), None);
    for path in [path.as_str(), "/api/v1/manage/tools", "/api/tools", "/api/v1/tools", "/api/v1/plugins"] {
        seen.push(ask(&served, KEY, "GET", path, &Value::Null).body);
    }
    let (code, log, world) = served.end();
    assert_eq!(code, 0, "{log}");
    seen.push(log);
    seen.extend(world.recorded());
    assert!(seen.iter().all(|text| !text.contains("canary")), "{seen:?}");
    assert!(!crate::registrations::is_anywhere(&world.path("state"), "canary"));
    let changes: Vec<String> = world
        .records()
        .iter()
        .filter(|record| record["tool"].as_str().is_some_and(|tool| tool.starts_with("tools ")))
        .map(|record| format!("{} {} {}", record["caller"], record["tool"], record["plugin"]))
        .collect();
    assert_eq!(changes.len(), 3, "{changes:?}");
    assert_eq!(changes[0], "\"key:maker\" \"tools add\" \"sender\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_service_that_refuses_is_quoted() {
    let service = Upstream::new(answer).await;
    let served = serve_for(&service, "");
    made(&served, "/api/tools", &http("Broken", &service.url("/broken")));
    let said = run(&served, KEY, "broken", &json!({}));
    assert_eq!(said["success"], false);
    assert!(said["output"].as_str().is_some_and(|text| text.contains("500: it broke")), "{said}");
}

#[test]
fn g10_one_tool_of_a_server_is_made_a_tool() {
    let far = World::new().serve_http(
        "[plugins.polite]\ncomponent = \"polite.wasm\"\n[gateway]\nanonymous = \"all\"\nper_ip = 0\n[policies.all]\ntools = [\"*\"]\nexecute = true\n",
    );
    let origin = format!("http://{}", far.address);
    let served = serve("", &format!("create = [\"GET,POST,DELETE {origin}\"]"));
    let body =
        json!({"name": "Far", "protocol": "mcp", "config": {"endpoint": format!("{origin}/mcp"), "toolName": "echo"}});
    let record = made(&served, "/api/v1/manage/tools", &body);
    assert_eq!((&record["protocol"], &record["tools"]), (&json!("mcp"), &json!(["echo"])), "{record}");
    let said = run(&served, OTHER_KEY, "echo", &json!({"name": "x", "count": 1}));
    assert_eq!((&said["success"], &said["structured"]["name"]), (&json!(true), &json!("x")), "{said}");
    // The others of that server are not there.
    assert_eq!(run(&served, OTHER_KEY, "counted", &json!({}))["code"], "denied.tool");
    let narrow = json!({"inputSchema": {"type": "object", "properties": {"count": {"maximum": 3}}}});
    let path = format!("/api/v1/manage/tools/{}", record["id"].as_str().expect("an id"));
    assert_eq!(told(&served, "PUT", &path, &narrow).0, 200);
    assert_eq!(run(&served, OTHER_KEY, "echo", &json!({"name": "x", "count": 4}))["code"], "arguments.invalid");
}

#[test]
fn g1_a_native_tool_is_another_name_with_no_more_rights() {
    let served = World::new().serve_http(&format!(
        "{}[policies.kept]\ntools = [\"*\", \"!echo\"]\nexecute = true\n[policies.few]\ntools = [\"counted\"]\nexecute = true\nmanage = true\n",
        config(POLITE, "").replace("policy = \"user\"", "policy = \"kept\"")
    ));
    let body = json!({"name": "Twin", "config": {"tool": "echo", "arguments": {"name": "set"}}});
    let record = made(&served, "/api/tools", &body);
    assert_eq!(record["config"], json!({"tool": "echo", "arguments": ["name"]}));
    let said = run(&served, KEY, "twin", &json!({"count": 2}));
    assert_eq!((&said["structured"]["name"], &said["structured"]["count"]), (&json!("set"), &json!(2)), "{said}");
    let described = ask(&served, KEY, "GET", "/api/v1/tools/twin", &Value::Null).json();
    assert_eq!(described["parameters"]["properties"].get("name"), None, "{described}");
    // Who is kept from a tool is kept from it under every name.
    assert_eq!(run(&served, OTHER_KEY, "twin", &json!({}))["code"], "denied.tool");
    assert_eq!(run(&served, OTHER_KEY, "counted", &json!({"count": 1}))["success"], true);
    // A name of a name is none, and the configuration's names stay its own.
    let again = told(&served, "POST", "/api/tools", &json!({"name": "x", "config": {"tool": "twin"}}));
    assert_eq!(again.0, 400, "{again:?}");
    let clash = made(&served, "/api/v1/manage/tools", &json!({"name": "Echo", "config": {"tool": "counted"}}));
    assert_eq!(clash["tools"], json!(["echo_2"]));
    assert_eq!(run(&served, KEY, "echo", &json!({"name": "x"}))["structured"]["name"], "x");
    for reserved in ["create tool", "search_tools", "polite"] {
        let other = made(&served, "/api/v1/manage/tools", &json!({"name": reserved, "config": {"tool": "counted"}}));
        assert!(other["tools"][0].as_str().is_some_and(|name| name.ends_with("_2")), "{other}");
    }
}

#[test]
fn g1_a_tool_that_its_maker_may_not_call_is_not_found() {
    let config =
        config(POLITE, "").replace("[policies.maker]\ntools = [\"*\"]", "[policies.maker]\ntools = [\"*\", \"!echo\"]");
    let served = World::new().serve_http(&config);
    let refused = told(&served, "POST", "/api/tools", &json!({"name": "x", "config": {"tool": "echo"}}));
    assert!(
        refused.0 == 400 && refused.1["error"].as_str().is_some_and(|text| text.contains("not found")),
        "{refused:?}"
    );
    made(&served, "/api/tools", &json!({"name": "x", "config": {"tool": "counted"}}));
    assert_eq!(ask(&served, KEY, "GET", "/api/tools/echo", &Value::Null).status, 404);
}

#[test]
fn g5_x28_of_standard_tools_the_schemas_alone_are_narrowed() {
    let served = serve(POLITE, "");
    let (path, plain) = ("/api/tools/echo", json!({"name": "x", "count": 7}));
    assert_eq!(
        ask(&served, KEY, "DELETE", path, &Value::Null).told(),
        (400, json!({"error": "Standard tools cannot be deleted"}))
    );
    for field in ["name", "protocol", "config"] {
        let value = json!({"name": "y", "protocol": "http", "config": {}})[field].clone();
        let (status, answer) = told(&served, "PUT", path, &json!({ field: value }));
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(status == 400 && error.starts_with(&format!("`{field}` of a standard tool")), "{answer}");
    }
    assert_eq!(run(&served, OTHER_KEY, "echo", &plain)["success"], true);
    // It narrows and does not replace: the tool's own schema holds too.
    let narrow = json!({"inputSchema": {"type": "object", "properties": {"count": {"maximum": 5}}}});
    let (status, record) = told(&served, "PUT", path, &narrow);
    assert_eq!(status, 200, "{record}");
    assert_eq!(run(&served, OTHER_KEY, "echo", &plain)["code"], "arguments.invalid");
    assert_eq!(run(&served, OTHER_KEY, "echo", &json!({"name": "x", "count": 5}))["success"], true);
    assert_eq!(run(&served, OTHER_KEY, "echo", &json!({"count": 5}))["code"], "arguments.invalid");
    let output = json!({"outputSchema": {"type": "object", "properties": {"name": {"maxLength": 2}}}});
    assert_eq!(told(&served, "PUT", path, &output).0, 200);
    assert_eq!(run(&served, OTHER_KEY, "echo", &json!({"name": "xy"}))["success"], true);
    assert_eq!(run(&served, OTHER_KEY, "echo", &json!({"name": "xyz"}))["code"], "plugin.invalid");
    // It outlives a restart, and goes when it is taken away.
    let (_, _, world) = served.end();
    let served = world.serve_http(&config(POLITE, ""));
    assert_eq!(run(&served, OTHER_KEY, "echo", &plain)["code"], "arguments.invalid");
    assert_eq!(told(&served, "PUT", path, &json!({"inputSchema": null, "outputSchema": null})).0, 200);
    assert_eq!(run(&served, OTHER_KEY, "echo", &json!({"name": "xyz", "count": 7}))["success"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g11_tools_are_made_of_a_document_that_is_sent_or_named() {
    let service = Upstream::new(answer).await;
    let served = serve_for(&service, "");
    let path = "/api/v1/manage/tools/openapi";
    let missing = told(&served, "POST", path, &json!({"spec": document(&[])}));
    assert_eq!(missing.0, 422);
    let expected = "OpenAPI spec has no servers[0].url and no baseUrlOverride was provided.";
    assert_eq!(missing.1["detail"], expected);
    let sent = made(&served, path, &json!({"spec": document(&[service.url("/v1/")])}));
    // What the policy does not let through is no tool.
    let tools = json!([
        {"id": "make_pet", "name": "Make Pet!", "protocol": "http"},
        {"id": "showpet", "name": "Shows a pet.", "protocol": "http"},
    ]);
    assert_eq!((&sent["name"], &sent["tools"]), (&json!("Pet Store"), &tools), "{sent}");
    let said = run(&served, OTHER_KEY, "showpet", &json!({"petId": "a/b"}));
    assert_eq!(said["structured"]["target"], "/v1/pets/a%2Fb", "{said}");
    let part = told(&served, "GET", "/api/v1/manage/tools/showpet", &Value::Null).1;
    assert_eq!((&part["name"], &part["config"]["of"]), (&json!("Shows a pet."), &sent["id"]));
    assert_eq!(told(&served, "DELETE", "/api/v1/manage/tools/showpet", &Value::Null).0, 422);
    // It is kept: the service is not asked for it.
    let (_, _, world) = served.end();
    let served = world.serve_http(&config("", &format!("create = [\"GET,POST {}\"]", service.url(""))));
    assert_eq!(run(&served, OTHER_KEY, "make_pet", &json!({"name": "x"}))["structured"]["body"], "{\"name\":\"x\"}");
    let one = format!("/api/v1/manage/tools/{}", sent["id"].as_str().expect("an id"));
    assert_eq!(told(&served, "DELETE", &one, &Value::Null).0, 200);
    assert_eq!(run(&served, OTHER_KEY, "make_pet", &json!({"name": "x"}))["detail"], "Tool 'make_pet' not found");
    // The same by its address, and as YAML, and as a tool.
    let named =
        json!({"specUrl": service.url("/openapi.json"), "baseUrlOverride": service.url("/v2"), "name": "Named"});
    let said = call_json(&served, "create_tools_from_openapi", &named);
    assert_eq!((&said["name"], said["tools"].as_array().map(Vec::len)), (&json!("Named"), Some(2)), "{said}");
    assert_eq!(run(&served, OTHER_KEY, "showpet", &json!({"petId": "1"}))["structured"]["target"], "/v2/pets/1");
    let yaml = "openapi: 3.0.0\ninfo: {title: Y, version: '1'}\npaths: {/y: {get: {operationId: why}}}\n";
    let from_yaml = json!({"spec": yaml, "baseUrlOverride": service.url("")});
    assert_eq!(made(&served, path, &from_yaml)["tools"][0]["id"], "why");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g11_a_document_reaches_no_more_than_its_makers_policy_says() {
    let (service, other) = (Upstream::new(answer).await, Upstream::new(answer).await);
    let served = serve_for(&service, "");
    let path = "/api/v1/manage/tools/openapi";
    for body in [
        json!({"spec": document(&[other.url("")])}),
        json!({"specUrl": other.url("/openapi.json"), "baseUrlOverride": service.url("")}),
        json!({"specUrl": service.url("/openapi.json"), "baseUrlOverride": other.url("")}),
    ] {
        let (status, answer) = told(&served, "POST", path, &body);
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(status == 403 && detail.contains("to `create` under `[policies.maker]`"), "{answer}");
    }
    assert_eq!(other.connections(), 0);
    for body in [json!({}), json!({"specUrl": "x", "spec": {}}), json!({"spec": {"openapi": "3.1.0"}, "colour": 1})] {
        assert_eq!(told(&served, "POST", path, &body).0, 422, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c20_a_list_does_not_fail_because_one_service_is_down() {
    let service = Upstream::new(answer).await;
    let served = serve_for(&service, POLITE);
    made(&served, "/api/v1/manage/tools", &http("Up", &service.url("/up")));
    let record = json!({"specUrl": service.url("/openapi.json"), "baseUrlOverride": service.url("/")});
    let made_of = made(&served, "/api/v1/manage/tools/openapi", &record);
    let (_, _, world) = served.end();
    let lines = format!("create = [\"GET,POST {}\"]", service.url(""));
    // Nothing of its document is kept, and nobody is there to give it.
    let kept = rusqlite::Connection::open(world.path("state/bailiwick.db")).expect("a database");
    kept.execute("DELETE FROM documents", []).expect("it can be written");
    drop(kept);
    let port = service.port;
    drop(service);
    let served = world.serve_http(&config(POLITE, &lines));
    let (status, list) = told(&served, "GET", "/api/v1/manage/tools", &Value::Null);
    assert_eq!(status, 200);
    let tools = list["tools"].as_array().expect("a list");
    let down = tools.iter().find(|tool| tool["id"] == made_of["id"]).expect("it is listed");
    let reason = down["unavailableReason"].as_str().unwrap_or_default();
    assert!(!reason.is_empty() && reason.chars().count() <= 201 && reason.contains(&port.to_string()), "{down}");
    for key in ["createdAt", "updatedAt", "owner", "specUrl"] {
        assert!(down[key].is_string(), "{key}: {down}");
    }
    assert!(tools.iter().any(|tool| tool["name"] == "Up" && tool.get("unavailableReason").is_none()), "{list}");
    assert_eq!(told(&served, "GET", "/api/tools", &Value::Null).0, 200);
}

#[test]
fn g2_what_the_configuration_has_comes_before_what_was_made() {
    let served = serve(POLITE, "");
    made(&served, "/api/tools", &json!({"name": "clock", "config": {"tool": "counted"}}));
    let (_, _, world) = served.end();
    let served = world.serve_http(&config(&format!("{POLITE}[plugins.clock]\ncomponent = \"builtin:datetime\"\n"), ""));
    let list = told(&served, "GET", "/api/v1/manage/tools", &Value::Null).1;
    let made =
        list["tools"].as_array().expect("a list").iter().find(|tool| tool["standard"] == false).expect("it is there");
    assert!(made["unavailableReason"].as_str().is_some_and(|reason| reason.contains("configuration")), "{made}");
}

#[test]
fn g2_over_standard_input_nobody_manages() {
    let world = World::new();
    let text = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}
{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"create_tool","arguments":{"name":"x"}}}
"#;
    let run = world.run(text, &["serve", "--stdio"], list);
    assert!(run.out.contains("\"echo\"") && !run.out.contains("\"create_tool\""), "{}", run.out);
    assert!(run.out.contains("may not manage tools"), "{}{}", run.out, run.err);
    // A person at the command line does.
    let made =
        world.run(text, &["call", "create_tool", "{\"name\":\"x\",\"config\":{\"tool\":\"echo\"}}", "--no-input"], "");
    assert_eq!(made.exit, 0, "{}{}", made.out, made.err);
    let said = world.run(text, &["call", "x", "{\"name\":\"y\"}", "--no-input"], "");
    assert_eq!(said.exit, 0, "{}{}", said.out, said.err);
}
