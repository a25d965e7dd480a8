//! The tools APIs over HTTP: what they list, what they run, and in whose words they refuse. Artifacts, batches, texts with
//! tools in them and the description of it all too.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::served::{Answer, Served};

const OPEN: &str = "[gateway]\nanonymous = \"all\"\nper_ip = 0\nper_key = 0\n";
const RUN: &str = "[gateway.api]\nenable_tool_execute = true\n";
const POLICY: &str = "[policies.all]\ntools = [\"*\"]\nexecute = true\n";
const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
const UNRULY: &str = "[plugins.unruly]\ncomponent = \"unruly.wasm\"\nlimits = { output = \"4KiB\" }\n";

/// A server that runs tools for everyone.
fn serve(plugins: &str) -> Served {
    World::new().serve_http(&format!("{OPEN}{RUN}{POLICY}{plugins}"))
}

fn post(server: &Served, path: &str, body: Value) -> (u16, Value) {
    server.post(path, &[], &body).told()
}

/// Compares with `tests/cases/http/NAME`; `UPDATE=1` writes it.
#[track_caller]
fn golden(name: &str, seen: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/http").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(seen).expect("JSON has a text"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        std::fs::write(&path, &text).expect("a file can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{} is not what was seen (UPDATE=1 writes it):\n{text}", path.display());
}

#[test]
fn t1_tools_are_listed_in_the_shape_a_model_wants() {
    let server = serve("[plugins.datetime]\ncomponent = \"builtin:datetime\"\n");
    let formats = ["", "?format=flat", "?format=openai", "?format=openai&strict=false", "?format=openai-responses"];
    let more = ["?format=anthropic", "?format=anthropic&strict=true", "?format=gemini", "?format=mcp"];
    let lists: Vec<Value> = formats
        .iter()
        .chain(&more)
        .map(|query| {
            let (status, body) = server.get(&format!("/api/v1/tools{query}"), &[]).told();
            assert_eq!((status, &body["count"], &body["unavailable"]), (200, &json!(1), &json!([])), "{body}");
            json!({"query": query, "tools": body["tools"]})
        })
        .collect();
    golden("tools.json", &lists.into());
    let odd = server.get("/api/v1/tools?format=xml", &[]).told();
    let message = "Input should be one of flat, openai, openai-responses, anthropic, gemini, mcp";
    let expected =
        json!({"detail": "Validation error", "errors": [{"field": "format", "message": message, "type": "enum"}]});
    assert_eq!(odd, (422, expected));
    for query in ["?strict=maybe", "?forma=flat"] {
        assert_eq!(server.get(&format!("/api/v1/tools{query}"), &[]).status, 422, "{query}");
    }
}

#[test]
fn t1_one_tool_is_described_and_an_unknown_one_is_not() {
    let server = serve(POLITE);
    let (status, body) = server.get("/api/v1/tools/counted", &[]).told();
    assert_eq!(
        (status, &body["name"], &body["plugin"], &body["available"]),
        (200, &json!("counted"), &json!("polite"), &json!(true))
    );
    assert_eq!(body["output_schema"]["properties"]["count"]["description"], "How many.");
    let missing = json!({"detail": "Tool 'nonexistent' not found"});
    assert_eq!(server.get("/api/v1/tools/nonexistent", &[]).told(), (404, missing));
}

#[test]
fn t2_a_call_says_what_came_of_it_with_200_whatever_that_is() {
    let server = serve(POLITE);
    let run = |tool: &str, body: Value| post(&server, &format!("/api/v1/tools/{tool}/execute"), body);
    let echoed = json!({"name": "x", "count": 7, "loud": false, "tags": [], "way": null});
    assert_eq!(
        run("echo", json!({"parameters": {"name": "x", "count": "7"}})),
        (
            200,
            json!({"tool": "echo", "output": echoed.to_string(), "success": true, "is_error": false, "structured": echoed})
        )
    );
    let failed = |output: &str, code: &str, tool: &str| json!({"tool": tool, "output": output, "success": false, "is_error": true, "code": code});
    assert_eq!(
        run("fail", json!({"parameters": {"how": "plainly"}})),
        (200, failed("Error: It broke.", "tool.failed", "fail"))
    );
    // T21: the host looks at arguments before the tool does.
    let (status, body) = run("echo", json!({}));
    assert_eq!((status, &body["success"], &body["code"]), (200, &json!(false), &json!("arguments.invalid")));
    let output = body["output"].as_str().expect("a text");
    assert!(
        output.starts_with("Error: Invalid parameters: the arguments: \"name\" is a required property"),
        "{output}"
    );
    // A refusal inside the call.
    let (_, body) = run("fail", json!({"parameters": {"how": "request"}}));
    assert!(body["output"].as_str().expect("a text").starts_with("Error: Access denied. "), "{body}");
    assert_eq!((&body["success"], &body["code"]), (&json!(false), &json!("denied.net.host")));
}

#[test]
fn t3_running_tools_is_off_until_it_is_switched_on_and_says_so_before_anything_else() {
    let server = World::new().serve_http(&format!("{OPEN}{POLICY}{POLITE}"));
    let text = "Direct tool execution is disabled. Set gateway.api.enable_tool_execute=true to enable.";
    let detail = json!({ "detail": text });
    for tool in ["echo", "nonexistent"] {
        let path = format!("/api/v1/tools/{tool}/execute");
        assert_eq!(post(&server, &path, json!({"parameters": {}})), (403, detail.clone()));
        // What cannot be read is told before that.
        assert_eq!(post(&server, &path, json!({"parameters": 1})).0, 422);
    }
    assert_eq!(post(&server, "/api/v1/tool-calls", json!({"tool_calls": []})), (403, detail));
    let auxot = json!({"error": {"message": text, "type": "permission_error"}});
    assert_eq!(post(&server, "/api/tools/v1/execute", json!({"tool": "echo"})), (403, auxot));
    assert_eq!(server.get("/api/v1/tools", &[]).status, 200);
}

#[test]
fn t4_t6_t7_what_cannot_be_done_is_refused_in_the_words_of_the_api() {
    let server = serve(POLITE);
    let path = "/api/v1/tools/echo/execute";
    let run = |body: &str| server.request("POST", path, &[], body).told();
    let invalid = |field: &str, message: &str, kind: &str| {
        (422, json!({"detail": "Validation error", "errors": [{"field": field, "message": message, "type": kind}]}))
    };
    assert_eq!(
        post(&server, "/api/v1/tools/nonexistent/execute", json!({})),
        (404, json!({"detail": "Tool 'nonexistent' not found"}))
    );
    assert_eq!(run(""), invalid("body", "Field required", "missing"));
    assert_eq!(run("{"), invalid("body", "EOF while parsing an object at line 1 column 1", "json_invalid"));
    assert_eq!(run(r#"{"parameters":[]}"#), invalid("parameters", "Input should be a valid dictionary", "dict_type"));
    let unknown = "unknown field `arguments`, expected `parameters` at line 1 column 12";
    assert_eq!(run(r#"{"arguments":{}}"#), invalid("body", unknown, "extra_forbidden"));
    let method = server.request("DELETE", path, &[], "");
    assert_eq!((method.told(), method.header("allow")), ((405, json!({"detail": "Method Not Allowed"})), Some("POST")));
    let large = format!(r#"{{"parameters":{{"name":"{}"}}}}"#, "x".repeat(1 << 20));
    let too_large = (413, json!({"detail": "Request body too large (max 1048576 bytes)"}));
    assert_eq!(run(&large), too_large);
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    );
    assert_eq!(server.raw(chunked.as_bytes()).told(), too_large);
}

#[test]
fn api_7_bodies_that_readers_disagree_on_are_refused() {
    let server = serve(POLITE);
    let run = |body: &[u8]| {
        let head = format!(
            "POST /api/v1/tools/echo/execute HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        server.raw(&[head.as_bytes(), body].concat()).told()
    };
    let deep = format!(r#"{{"parameters":{}1{}}}"#, r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let utf16: Vec<u8> = r#"{"parameters":{}}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (body, what) in [
        (&b"{\"parameters\":{}}x"[..], "text after the end"),
        (b"{\"parameters\":{},\"parameters\":{\"name\":\"x\"}}", "a field that is there twice"),
        (b"\xef\xbb\xbf{\"parameters\":{}}", "a mark of byte order"),
        (&utf16, "UTF-16"),
        (b"{'parameters':{}}", "the wrong quotes"),
        (b"{\"parameters\":{\"name\":\"\xff\"}}", "no UTF-8"),
        (b"[]", "a list"),
        (b"{\"parameters\":{},\"__proto__\":{}}", "a field of another language"),
    ] {
        let (status, body) = run(body);
        assert_eq!((status, &body["detail"]), (422, &json!("Validation error")), "{what}: {body}");
    }
    // What is odd about the arguments alone is the tool's business, and its schema's.
    for (body, what) in [
        (&b"{\"parameters\":{\"name\":\"x\",\"name\":\"y\"}}"[..], "an argument that is there twice"),
        (deep.as_bytes(), "10,000 levels"),
        (b"{\"parameters\":{\"name\":\"x\",\"count\":1e400}}", "a number that is none"),
        (b"{\"parameters\":{\"name\":\"x\",\"count\":99999999999999999999}}", "an integer that is too large"),
        (b"{\"parameters\":{\"name\":\"x\",\"__proto__\":{}}}", "an argument of another language"),
    ] {
        let (status, body) = run(body);
        assert_eq!((status, &body["success"]), (200, &json!(false)), "{what}: {body}");
        assert!(
            body["output"].as_str().is_some_and(|text| text.starts_with("Error: Invalid parameters: ")),
            "{what}: {body}"
        );
    }
    assert_eq!(run(b" {\"parameters\" : {\"name\":\"x\"} }\n").1["success"], true);
}

#[test]
fn api_8_a_packed_body_is_not_unpacked() {
    let server = serve(POLITE);
    for coding in ["gzip", "br", "identity"] {
        let answer =
            server.request("POST", "/api/v1/tools/echo/execute", &[("Content-Encoding", coding)], "\u{1f}\u{8b}");
        assert_eq!(answer.told(), (415, json!({"detail": "send the body as it is, without an encoding"})));
    }
}

#[test]
fn api_9_api_19_a_name_is_one_part_of_a_path_and_nothing_else() {
    let server = serve(POLITE);
    let long = "x".repeat(10_000);
    for (written, shown) in [
        ("..%2Fecho", "../echo"),
        ("%2e%2e", ".."),
        ("a%2Fb", "a/b"),
        ("echo%00", "echo\\u{0}"),
        ("%D0%B5cho", "\u{435}cho"),
        ("ECHO", "ECHO"),
        ("a'b%60c", "a'b'c"),
        ("%ff", ""),
        (&long, &format!("{}…", &long[..80])),
    ] {
        let missing = (404, json!({"detail": format!("Tool '{shown}' not found")}));
        assert_eq!(server.get(&format!("/api/v1/tools/{written}"), &[]).told(), missing);
        assert_eq!(post(&server, &format!("/api/v1/tools/{written}/execute"), json!({})), missing);
    }
    let nameless = (404, json!({"detail": "Tool '' not found"}));
    assert_eq!(post(&server, "/api/v1/tools//execute", json!({})), nameless);
    let nowhere = (404, json!({"detail": "Not Found"}));
    for path in [
        "//api/v1/tools",
        "/api//v1/tools",
        "/api/v1/tools/",
        "/api/v1/tools/a/b/execute",
        "/api/v1/tools/../tools",
        "/api/v1/./tools",
        "/API/v1/tools",
        "/api/v1/tools;x",
        "/api%2fv1/tools",
    ] {
        assert_eq!(server.get(path, &[]).told(), nowhere, "{path}");
    }
}

#[test]
fn n6_what_is_not_configured_says_so_on_every_face_and_what_is_left_out_breaks_no_list() {
    let waiting = "[plugins.polite]\ncomponent = \"polite.wasm\"\nconfig = { wants = \"TOKEN\" }\n";
    let server = serve(&format!("{waiting}[plugins.gone]\ncomponent = \"gone.wasm\"\n"));
    let says = "Changes something for good. [NOT CONFIGURED] The secret `TOKEN` is not set.";
    let described = |list: &Value, pointer: &str| {
        let tools = list["tools"].as_array().expect("a list").clone();
        tools.iter().filter_map(|tool| tool.pointer(pointer)?.as_str()).any(|text| text == says)
    };
    for (format, pointer) in [
        ("flat", "/description"),
        ("openai", "/function/description"),
        ("openai-responses", "/description"),
        ("anthropic", "/description"),
        ("mcp", "/description"),
    ] {
        let list = server.get(&format!("/api/v1/tools?format={format}"), &[]).json();
        assert!(described(&list, pointer), "{format}: {list}");
        let reason = "it could not be loaded; who runs this server can see why";
        assert_eq!(list["unavailable"], json!([{"plugin": "gone", "code": "plugin.left-out", "reason": reason}]));
    }
    let gemini = server.get("/api/v1/tools?format=gemini", &[]).json();
    assert!(gemini.to_string().contains(&says.replace('"', "\\\"")), "{gemini}");
    let auxot = server.get("/api/tools/v1/list", &[]).json();
    assert!(described(&auxot, "/description"), "{auxot}");
    assert_eq!(auxot["tools"][0]["available"], false);
    assert_eq!(server.get("/api/v1/tools/launch", &[]).json()["available"], false);
    // Who may manage is told why.
    let managed =
        format!("{OPEN}[policies.all]\ntools = [\"*\"]\nmanage = true\n[plugins.gone]\ncomponent = \"gone.wasm\"\n");
    let server = World::new().serve_http(&managed);
    let list = server.get("/api/v1/tools", &[]).json();
    assert!(list["unavailable"][0]["reason"].as_str().is_some_and(|reason| reason.contains("gone.wasm")), "{list}");
}

#[test]
fn a20_to_a24_auxots_clients_find_what_they_know() {
    let server = serve(POLITE);
    let list = server.get("/api/tools/v1/list", &[]).json();
    assert_eq!((&list["workers"], list["tools"].as_array().map(Vec::len)), (&json!(1), Some(9)));
    let tool =
        list["tools"].as_array().into_iter().flatten().find(|tool| tool["name"] == "launch").expect("it is there");
    assert_eq!((&tool["description"], &tool["available"]), (&json!("Changes something for good."), &json!(true)));
    assert!(tool["parameters"]["properties"]["target"].is_object());
    for path in ["/api/tools/v1/list/", "/api/tools/v1/tools", "/api/tools/v1/tools/"] {
        assert_eq!(server.get(path, &[]).json(), list, "{path}");
    }
    assert_eq!(server.get("/health", &[]).status, 200);
    let run = |body: &str| server.request("POST", "/api/tools/v1/execute", &[], body).told();
    let counted = (200, json!({"tool": "counted", "result": {"count": 3}}));
    for name in ["arguments", "input", "parameters"] {
        assert_eq!(run(&format!(r#"{{"tool":"counted","{name}":{{"count":3}}}}"#)), counted);
    }
    assert_eq!(run(r#"{"tool":"steps","input":{"steps":1}}"#), (200, json!({"tool": "steps", "result": "done"})));
    let error = |message: &str, kind: &str| json!({"error": {"message": message, "type": kind}});
    let coded =
        |message: &str, kind: &str, code: &str| json!({"error": {"message": message, "type": kind, "code": code}});
    let invalid = "invalid_request_error";
    assert_eq!(run("{}"), (400, error("tool name is required", invalid)));
    assert_eq!(run("{"), (400, error("invalid JSON: EOF while parsing an object at line 1 column 1", invalid)));
    let twice = "`arguments` and `input` are different: give the arguments once";
    assert_eq!(run(r#"{"tool":"counted","arguments":{"count":3},"input":{"count":4}}"#), (400, error(twice, invalid)));
    let unknown = "no tools worker connected that supports \"x\"";
    assert_eq!(run(r#"{"tool":"x"}"#), (404, coded(unknown, "not_found", "tool.unknown")));
    let (status, body) = run(r#"{"tool":"counted"}"#);
    assert_eq!(
        (status, &body["error"]["type"], &body["error"]["code"]),
        (400, &json!(invalid), &json!("arguments.invalid"))
    );
    let (status, body) = run(r#"{"tool":"fail","input":{"how":"request"}}"#);
    assert_eq!(
        (status, &body["error"]["type"], &body["error"]["code"]),
        (403, &json!("permission_error"), &json!("denied.net.host"))
    );
    assert_eq!(
        run(r#"{"tool":"fail","input":{"how":"plainly"}}"#),
        (500, coded("It broke.", "tool_error", "tool.failed"))
    );
    let method = server.request("DELETE", "/api/tools/v1/execute", &[], "").told();
    assert_eq!(method, (405, error("Method Not Allowed", invalid)));
    assert_eq!(server.get("/api/tools/v1/nothing", &[]).told(), (404, error("Not Found", "not_found")));
}

#[test]
fn c19_calls_of_a_message_are_answered_in_their_order_whatever_becomes_of_each() {
    let server = serve(POLITE);
    let chat = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let calls = json!([
        chat("a", "counted", r#"{"count":1}"#),
        chat("b", "nobody", "{}"),
        chat("c", "counted", "{"),
        chat("d", "fail", r#"{"how":"plainly"}"#),
        chat("e", "steps", r#"{"steps":2}"#),
    ]);
    let tool = |id: &str, content: &str| json!({"role": "tool", "tool_call_id": id, "content": content});
    let broken =
        "Error: the arguments are not JSON: EOF while parsing an object at line 1 column 1 [arguments.invalid]";
    assert_eq!(
        post(&server, "/api/v1/tool-calls", json!({"role": "assistant", "content": null, "tool_calls": calls})),
        (
            200,
            json!({"format": "openai", "count": 5, "messages": [
                tool("a", "{\"count\":1}"),
                tool("b", "Error: Tool 'nobody' not found [tool.unknown]"),
                tool("c", broken),
                tool("d", "Error: It broke. [tool.failed]"),
                tool("e", "done"),
            ]})
        )
    );
    let used = json!({"content": [{"type": "text", "text": "I count."}, {"type": "tool_use", "id": "a", "name": "counted", "input": {"count": 1}}]});
    let result =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "{\"count\":1}"}]});
    assert_eq!(
        post(&server, "/api/v1/tool-calls?format=anthropic", used.clone()),
        (200, json!({"format": "anthropic", "count": 1, "messages": [result]}))
    );
    let (status, body) = post(&server, "/api/v1/tool-calls?format=gemini", used);
    assert_eq!((status, &body["errors"][0]["type"]), (422, &json!("format_mismatch")));
    let output =
        json!({"output": [{"type": "function_call", "call_id": "a", "name": "counted", "arguments": "{\"count\":1}"}]});
    let result = json!({"type": "function_call_output", "call_id": "a", "output": "{\"count\":1}"});
    assert_eq!(
        post(&server, "/api/v1/tool-calls", output),
        (200, json!({"format": "openai-responses", "count": 1, "messages": [result]}))
    );
    let parts = json!({"role": "model", "parts": [{"functionCall": {"name": "counted", "args": {"count": 1}}}]});
    let result = json!({"role": "user", "parts": [{"functionResponse": {"name": "counted", "response": {"output": {"count": 1}}}}]});
    assert_eq!(
        post(&server, "/api/v1/tool-calls", parts),
        (200, json!({"format": "gemini", "count": 1, "messages": [result]}))
    );
    let many: Vec<Value> = (0..64).map(|n| chat(&n.to_string(), "counted", &format!("{{\"count\":{n}}}"))).collect();
    let (_, body) = post(&server, "/api/v1/tool-calls", json!({"tool_calls": many}));
    let expected: Vec<Value> = (0..64).map(|n| tool(&n.to_string(), &format!("{{\"count\":{n}}}"))).collect();
    assert_eq!(body["messages"], Value::from(expected));
}

#[test]
fn c18_a_text_gets_the_tools_of_who_asks() {
    let policy = "[policies.all]\ntools = [\"*\", \"!fail\", \"!launch\", \"!steps\", \"!ask\", \"!ask_badly\"]\n";
    let server = World::new().serve_http(&format!("{OPEN}{policy}{POLITE}"));
    let render = |text: &str| post(&server, "/api/v1/render", json!({ "text": text }));
    let list = r#"{"polite":["counted","echo","miscounted","uncounted"]}"#;
    assert_eq!(render("{{toolservice:list}}"), (200, json!({ "text": list })));
    assert_eq!(render("{{toolsservice:list}}"), (200, json!({ "text": list })));
    assert_eq!(render("{{toolservice:tools}} {{toolservice:tools x}}"), (200, json!({"text": "[\"polite\"] []"})));
    assert_eq!(render("{{var:x}}"), (200, json!({"text": "{{var:x}}"})));
    assert_eq!(post(&server, "/api/v1/render", json!({})).0, 422);
    // A short text stands for a long one.
    let long = "{{toolservice:list}}".repeat(50_000);
    assert_eq!(render(&long).0, 200);
    let server = World::new().serve_http(&format!("{OPEN}{POLICY}{POLITE}"));
    let answer = post(&server, "/api/v1/render", json!({ "text": long }));
    assert_eq!(answer, (413, json!({"detail": "the text would be larger than 4 MiB"})));
}

#[test]
fn what_was_too_large_for_an_answer_is_there_for_its_caller() {
    let server = serve(UNRULY);
    let (_, said) = post(&server, "/api/v1/tools/flood/execute", json!({"parameters": {"bytes": 10_000}}));
    let artifact = &said["artifacts"][0];
    let href = artifact["href"].as_str().unwrap_or_else(|| panic!("{said}"));
    assert_eq!(artifact["uri"].as_str(), Some(href.replace("/api/v1/artifacts/", "artifact://").as_str()));
    let Answer { status, body, .. } = server.get(href, &[]);
    assert_eq!((status, body.len()), (200, 10_000));
    let answer = server.get(href, &[]);
    let name = artifact["name"].as_str().expect("a name");
    assert_eq!(answer.header("content-disposition"), Some(format!("attachment; filename=\"{name}\"").as_str()));
    let unknown = (404, json!({"detail": "no call of yours left such an artifact"}));
    let beside = format!("{href}x");
    for path in [
        beside.as_str(),
        "/api/v1/artifacts/..%2f..%2fhost.key/x",
        "/api/v1/artifacts/x/..%2fhost.key",
        "/api/v1/artifacts/%ff/x",
    ] {
        assert_eq!(server.get(path, &[]).told(), unknown, "{path}");
    }
}

#[test]
fn api_16_a_caller_who_goes_away_takes_the_call_along() {
    let server = serve("[plugins.unruly]\ncomponent = \"unruly.wasm\"\nlimits = { time = \"60s\" }\n");
    let body = r#"{"parameters":{}}"#;
    let request = format!(
        "POST /api/v1/tools/sleep_for_ever/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).expect("it reads");
    // Another call shows that the first was taken.
    assert_eq!(post(&server, "/api/v1/tools/count/execute", json!({})).0, 200);
    drop(stream);
    let started = Instant::now();
    let (exit, _, _) = server.end();
    assert_eq!(exit, 0);
    assert!(started.elapsed() < Duration::from_secs(8), "the call went on for {:?}", started.elapsed());
}

#[test]
fn t3_a_caller_that_may_not_execute_sees_tools_and_runs_none() {
    let server = World::new().serve_http(&format!("{OPEN}{RUN}[policies.all]\ntools = [\"echo\"]\n{POLITE}"));
    assert_eq!(server.get("/api/v1/tools", &[]).json()["count"], 1);
    assert_eq!(server.get("/api/v1/tools/launch", &[]).status, 404);
    let (status, body) = post(&server, "/api/v1/tools/launch/execute", json!({"parameters": {"target": "x"}}));
    assert_eq!((status, &body["is_error"], &body["code"]), (200, &json!(true), &json!("denied.execute")));
}

#[test]
fn the_description_of_the_interface_is_what_was_agreed_on() {
    let server = World::new().serve_http("[gateway]\n");
    let (status, document) = server.get("/openapi.json", &[]).told();
    assert_eq!(status, 200);
    golden("openapi.json", &document);
}
