//! MCP over HTTP as bytes on the wire: who may ask, whose what is, and what is said when. What real clients make of it is
//! in `clients`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::served::{Answer, Served};
use crate::web::{KEY, OTHER_KEY, POLITE, bearer, config};

const BOTH: &str = "application/json, text/event-stream";

/// What every request of 2026-07-28 says of its client.
pub(crate) fn meta(capabilities: Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    })
}

/// The headers that go with it.
pub(crate) fn modern<'a>(method: &'a str, name: Option<&'a str>, key: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut headers =
        vec![("Authorization", key), ("Accept", BOTH), ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
    headers.extend(name.map(|name| ("Mcp-Name", name)));
    headers
}

fn serve() -> Served {
    World::new().serve_http(&config(POLITE, ""))
}

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// A request without a session.
fn ask(served: &Served, key: &str, method: &str, mut params: Value) -> Answer {
    let capabilities = params.get_mut("capabilities").map_or(json!({}), Value::take);
    params["_meta"] = meta(capabilities);
    if let Some(token) = params.get_mut("token").map(Value::take) {
        params["_meta"]["progressToken"] = token;
    }
    let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
    let key = bearer(key);
    served.post("/mcp", &modern(method, name.as_deref(), &key), &request(method, params))
}

/// The messages of an answer: one of JSON, or all of a stream.
fn messages(answer: &Answer) -> Vec<Value> {
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return vec![answer.json()];
    }
    let data = answer.body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| !data.is_empty()).map(|data| serde_json::from_str(data).expect("it is JSON")).collect()
}

/// Opens a session as clients before 2026-07-28 do.
fn open(served: &Served, key: &str) -> String {
    let hello = request(
        "initialize",
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}),
    );
    let key = bearer(key);
    let answer = served.post("/mcp", &[("Authorization", &key), ("Accept", BOTH)], &hello);
    let id = answer.header("mcp-session-id").unwrap_or_else(|| panic!("{answer:?}")).to_owned();
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(within(served, key.trim_start_matches("Bearer "), &id, &ready).status, 202);
    id
}

/// A message in a session.
fn within(served: &Served, key: &str, session: &str, message: &Value) -> Answer {
    let key = bearer(key);
    let headers = [
        ("Authorization", key.as_str()),
        ("Accept", BOTH),
        ("Mcp-Session-Id", session),
        ("MCP-Protocol-Version", "2025-11-25"),
    ];
    served.post("/mcp", &headers, message)
}

fn listing() -> Value {
    request("tools/list", json!({}))
}

#[test]
fn mcp34_who_has_no_key_is_told_so() {
    let served = serve();
    let answer = served.post("/mcp", &[("Accept", BOTH)], &listing());
    let refused =
        json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "Authentication required"}});
    assert_eq!(answer.told(), (401, refused));
    assert!(answer.header("www-authenticate").is_some_and(|how| how.starts_with("Bearer")), "{answer:?}");
    assert_eq!(ask(&served, KEY, "tools/list", json!({})).status, 200);
}

#[test]
fn mcp34_pages_and_names_of_others_are_refused() {
    let served = serve();
    let key = bearer(KEY);
    for (name, value, status) in [("Origin", "https://evil.example", 403), ("Host", "evil.example", 421)] {
        let headers = [modern("tools/list", None, &key), vec![(name, value)]].concat();
        let answer = served.post("/mcp", &headers, &request("tools/list", json!({"_meta": meta(json!({}))})));
        assert_eq!((answer.status, answer.json()["error"]["code"].clone()), (status, json!(-32000)), "{answer:?}");
    }
}

#[test]
fn mcp34_what_is_no_message_is_refused() {
    let served = serve();
    let key = bearer(KEY);
    let send = |body: &str| served.request("POST", "/mcp", &modern("tools/list", None, &key), body);
    let batch = json!([listing(), listing()]).to_string();
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    for (what, body, code) in [
        ("no JSON", "{\"jsonrpc\": ", -32700),
        ("two of them", "{} {}", -32700),
        ("UTF-16", "\u{feff}{}", -32700),
        ("endless depth", &deep, -32600),
        ("a batch", &batch, -32600),
        ("no message", "{}", -32600),
        ("a text", "\"tools/list\"", -32600),
        ("another version", "{\"jsonrpc\": \"1.0\", \"id\": 1, \"method\": \"tools/list\"}", -32600),
    ] {
        let answer = send(body);
        assert_eq!((answer.status, answer.json()["error"]["code"].clone()), (400, json!(code)), "{what}: {answer:?}");
    }
    let wrong = [("Authorization", key.as_str()), ("Accept", "text/html")];
    assert_eq!(served.post("/mcp", &wrong, &listing()).status, 406);
    assert_eq!(served.request("PUT", "/mcp", &[("Authorization", &key)], "").status, 405);
}

#[test]
fn mcp34_headers_that_say_something_else_are_refused() {
    let served = serve();
    let key = bearer(KEY);
    let call = request("tools/call", json!({"name": "echo", "arguments": {"name": "x"}, "_meta": meta(json!({}))}));
    let good = modern("tools/call", Some("echo"), &key);
    assert_eq!(served.post("/mcp", &good, &call).status, 200);
    for (name, value) in [
        ("Mcp-Method", "tools/list"),
        ("Mcp-Name", "launch"),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("MCP-Protocol-Version", "2099-01-01"),
    ] {
        let headers: Vec<_> =
            good.iter().map(|(known, own)| if *known == name { (name, value) } else { (*known, *own) }).collect();
        let answer = served.post("/mcp", &headers, &call);
        assert_eq!((answer.status, answer.json()["error"]["code"].clone()), (400, json!(-32020)), "{name}: {answer:?}");
    }
    let without: Vec<_> = good.iter().filter(|(name, _)| *name != "Mcp-Method").copied().collect();
    assert_eq!(served.post("/mcp", &without, &call).status, 400);
}

#[test]
fn a_call_is_answered_as_json_where_nothing_is_said_on_the_way() {
    let served = serve();
    let answer = ask(&served, KEY, "tools/call", json!({"name": "echo", "arguments": {"name": "x"}}));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["result"]["structuredContent"]["name"], "x", "{answer:?}");
    // What is absent is nothing.
    let answer = ask(&served, KEY, "tools/call", json!({"name": "echo"}));
    assert_eq!(answer.json()["result"]["isError"], true, "{answer:?}");
    let answer = ask(&served, KEY, "tools/call", json!({"name": "ehco", "arguments": {}}));
    let error = &answer.json()["error"];
    assert_eq!((answer.status, error["code"].clone()), (200, json!(-32602)), "{answer:?}");
    let answer = ask(&served, KEY, "no/such", json!({}));
    assert_eq!((answer.status, answer.json()["error"]["code"].clone()), (404, json!(-32601)), "{answer:?}");
}

#[test]
fn a_call_is_answered_the_same_whichever_way_it_takes() {
    let served = serve();
    let key = bearer(KEY);
    for (name, arguments) in [
        ("echo", json!({"name": "x", "tags": ["a", "b"]})),
        ("echo", json!({"name": "\u{202e}\u{0}\"\\ü"})),
        ("echo", json!({"name": 1})),
        ("echo", json!({})),
        ("echo", Value::Null),
        ("echo", json!([])),
        ("steps", json!({"steps": 2})),
        ("launch", json!({"target": "x"})),
        ("ehco", json!({"name": "x"})),
    ] {
        for id in [json!(7), json!("seven")] {
            let params = json!({"name": name, "arguments": arguments, "_meta": meta(json!({}))});
            let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
            let plain = modern("tools/call", Some(name), &key);
            // Both kinds are taken as before, and it is no longer the usual request.
            let unusual: Vec<_> = plain
                .iter()
                .map(|&(name, value)| {
                    (name, if name == "Accept" { "application/json;q=1, text/event-stream" } else { value })
                })
                .collect();
            let seen = |headers: &[(&str, &str)]| {
                let answer = served.post("/mcp", headers, &call);
                (answer.status, answer.header("content-type").map(str::to_owned), answer.body)
            };
            assert_eq!(seen(&plain), seen(&unusual), "{call}");
        }
    }
}

#[test]
fn progress_comes_before_the_answer_in_both_eras() {
    let served = serve();
    let seen = |answer: &Answer| {
        let messages = messages(answer);
        let progress = messages.iter().filter(|message| message["method"] == "notifications/progress");
        let steps: Vec<Value> = progress.map(|message| message["params"]["progress"].clone()).collect();
        (steps, messages.last().map(|last| last["result"]["content"][0]["text"].clone()))
    };
    let expected = (vec![json!(1.0), json!(2.0), json!(3.0)], Some(json!("done")));
    let params = json!({"name": "steps", "arguments": {"steps": 3}, "token": "p"});
    let answer = ask(&served, KEY, "tools/call", params);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(seen(&answer), expected, "{answer:?}");
    let session = open(&served, KEY);
    let params = json!({"name": "steps", "arguments": {"steps": 3}, "_meta": {"progressToken": "p"}});
    let answer = within(&served, KEY, &session, &request("tools/call", params));
    assert_eq!(seen(&answer), expected, "{answer:?}");
}

#[test]
fn mcp33_a_session_is_its_callers_alone() {
    let served = serve();
    let session = open(&served, KEY);
    assert_eq!(within(&served, KEY, &session, &listing()).status, 200);
    let none = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "there is no such session"}});
    // Stolen, guessed, made up.
    assert_eq!(within(&served, OTHER_KEY, &session, &listing()).told(), (404, none.clone()));
    assert_eq!(within(&served, KEY, "00000000-0000-4000-8000-000000000000", &listing()).told(), (404, none.clone()));
    let (other, own) = (bearer(OTHER_KEY), bearer(KEY));
    let headers = |key| [("Authorization", key), ("Mcp-Session-Id", session.as_str()), ("Accept", "text/event-stream")];
    assert_eq!(served.get("/mcp", &headers(&other)).told(), (404, none.clone()));
    assert_eq!(served.request("DELETE", "/mcp", &headers(&other), "").told(), (404, none.clone()));
    assert_eq!(within(&served, KEY, &session, &listing()).status, 200, "it goes on");
    assert_eq!(served.request("DELETE", "/mcp", &headers(&own), "").status, 202);
    assert_eq!(within(&served, KEY, &session, &listing()).told(), (404, none));
}

#[test]
fn mcp33_an_answer_is_for_the_call_of_whoever_gives_it() {
    let served = serve();
    let call = |key: &str, more: Value| {
        let mut params =
            json!({"name": "ask", "arguments": {"question": "?"}, "capabilities": {"elicitation": {"form": {}}}});
        params.as_object_mut().expect("it is one").extend(more.as_object().cloned().unwrap_or_default());
        ask(&served, key, "tools/call", params).json()
    };
    let asked = call(KEY, json!({}));
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let state = &asked["result"]["requestState"];
    let answer = json!({"requestState": state, "inputResponses": {"question": {"action": "accept", "content": {"answer": "yes"}}}});
    assert_eq!(call(OTHER_KEY, answer.clone())["error"]["code"], -32602);
    let told = call(KEY, answer);
    assert!(told["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("yes")), "{told}");
}

#[test]
fn mcp33_artifacts_are_of_whoever_made_them() {
    let plugins = "[plugins.polite]\ncomponent = \"polite.wasm\"\napproval = \"never\"\nlimits.output = \"1KiB\"";
    let served = World::new().serve_http(&config(plugins, ""));
    let long = "x".repeat(5_000);
    let made = json!({"name": "launch", "arguments": {"target": long}});
    let made = ask(&served, KEY, "tools/call", made).json();
    let links = made["result"]["content"].as_array().cloned().unwrap_or_default();
    let link = links.iter().find(|piece| piece["type"] == "resource_link").unwrap_or_else(|| panic!("{made}"));
    let listed = |key: &str| ask(&served, key, "resources/list", json!({})).json()["result"]["resources"].clone();
    assert_eq!(listed(OTHER_KEY), json!([]));
    assert_eq!(listed(KEY)[0]["uri"], link["uri"]);
    let read = |key: &str| ask(&served, key, "resources/read", json!({"uri": link["uri"]})).json();
    assert!(read(KEY)["result"]["contents"][0]["text"].as_str().is_some_and(|text| text.contains("xxx")));
    assert_eq!(read(OTHER_KEY)["error"]["code"], -32602);
}

/// The head of an answer that is a stream, and the stream.
fn stream(served: &Served, headers: &[(&str, &str)]) -> BufReader<TcpStream> {
    let mut stream = served.connect();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    stream.write_all(format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes()).expect("it listens");
    BufReader::new(stream)
}

/// Reads lines until one has `enough` in it; none when the stream ends before.
fn until(stream: &mut BufReader<TcpStream>, enough: &str) -> Option<String> {
    stream.lines().map_while(Result::ok).find(|line| line.contains(enough))
}

#[test]
fn sessions_are_told_of_changes_and_end_with_their_key() {
    let text = config(POLITE, "");
    let served = World::new().serve_http(&text);
    let (gone, stays) = (open(&served, KEY), open(&served, OTHER_KEY));
    let (key, other) = (bearer(KEY), bearer(OTHER_KEY));
    let headers = |key, session| [("Authorization", key), ("Mcp-Session-Id", session), ("Accept", "text/event-stream")];
    let (mut ending, mut going_on) =
        (stream(&served, &headers(&key, gone.as_str())), stream(&served, &headers(&other, stays.as_str())));
    assert!(until(&mut ending, "200 OK").is_some() && until(&mut going_on, "200 OK").is_some());
    // The key is taken out of the configuration, and with it goes what went on under it.
    let (before, after) = text.split_once("[keys.one]").expect("it is there");
    let (_, after) = after.split_once("[keys.other]").expect("it is there");
    served.world().configure(&format!("{before}[keys.other]{after}"));
    assert_eq!(until(&mut ending, "nothing more comes"), None);
    assert!(until(&mut going_on, "notifications/tools/list_changed").is_some());
    assert_eq!(within(&served, KEY, &gone, &listing()).status, 401);
    assert_eq!(within(&served, OTHER_KEY, &stays, &listing()).status, 200);
}

#[test]
fn api16_a_client_that_goes_away_cancels_its_call() {
    let plugins = "[plugins.unruly]\ncomponent = \"unruly.wasm\"\nlimits.time = \"20s\"\nlimits.concurrency = 1\n";
    let served = World::new().serve_http(&config(plugins, ""));
    let key = bearer(KEY);
    let call = request(
        "tools/call",
        json!({"name": "sleep", "arguments": {"milliseconds": 15_000}, "_meta": meta(json!({}))}),
    );
    let headers: String =
        modern("tools/call", Some("sleep"), &key).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = call.to_string();
    let mut gone = served.connect();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    gone.write_all((head + &body).as_bytes()).expect("it listens");
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(gone);
    // There is room for one call only: this one runs as soon as the other has ended.
    let answer = ask(&served, KEY, "tools/call", json!({"name": "sleep", "arguments": {"milliseconds": 1}}));
    assert_eq!(answer.json()["result"]["content"][0]["text"], "slept", "{answer:?}");
}

#[test]
fn callers_without_a_key_are_told_apart_by_their_sessions_and_addresses() {
    let served = World::new().serve_http(&config(POLITE, "anonymous = \"all\""));
    let headers = [("Accept", BOTH)];
    let hello = request(
        "initialize",
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}),
    );
    let answer = served.post("/mcp", &headers, &hello);
    assert_eq!(answer.status, 200, "{answer:?}");
    let session = answer.header("mcp-session-id").expect("there is one").to_owned();
    // Whoever has a key is somebody else.
    assert_eq!(within(&served, KEY, &session, &listing()).status, 404);
}
