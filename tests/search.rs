//! Too many tools: a caller searches them, reads about one and calls it; what stands before a call stands before that too.

use bailiwick::channel::{Answer, Channel, Question};
use bailiwick::search::Menu;
use bailiwick_core::call::{Caller, Selector};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::TestHost;
use crate::support::host::World;

const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
const THREE: [&str; 3] = ["search_tools", "describe_tool", "call_tool"];

fn names(host: &TestHost, menu: Menu) -> Vec<String> {
    let offered = host.host.offer(&Caller::operator("test"), menu);
    offered.into_iter().map(|(name, _)| name.to_string()).collect()
}

/// The names that a search finds.
async fn found(host: &TestHost, arguments: Value) -> Vec<String> {
    let found = host.value("search_tools", arguments).await;
    let tools = found["tools"].as_array().unwrap_or_else(|| panic!("{found}"));
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn above_so_many_tools_a_caller_is_offered_a_search() {
    for (above, searches) in [("8", true), ("9", false), ("0", false)] {
        let host = TestHost::new(&format!("[gateway]\nsearch_above = {above}\n{POLITE}")).await;
        assert_eq!(names(&host, Menu::Auto) == THREE, searches, "{above}");
        assert_eq!(names(&host, Menu::Search), THREE);
        assert_eq!(names(&host, Menu::All).len(), 9);
    }
    // It is the caller's tools that count.
    let host = TestHost::new(&format!("[gateway]\nsearch_above = 2\n{POLITE}")).await;
    let few = Caller { tools: Selector::of(["echo", "ask"]), ..Caller::operator("test") };
    assert_eq!(host.host.offer(&few, Menu::Auto).len(), 2);
}

#[tokio::test]
async fn tools_are_found_by_words_of_their_names_descriptions_and_arguments() {
    let host = TestHost::new(&format!("{POLITE}[plugins.unruly]\ncomponent = \"unruly.wasm\"\n")).await;
    let first = |query: &str| json!({"query": query, "limit": 1});
    assert_eq!(found(&host, first("launch")).await, ["launch"]);
    assert_eq!(found(&host, first("change something for good")).await, ["launch"]);
    assert_eq!(found(&host, first("whether to SHOUT")).await, ["echo"]);
    // Another form of a word, and its beginning.
    assert_eq!(found(&host, first("counting promises")).await.len(), 1);
    assert_eq!(found(&host, first("laun")).await, ["launch"]);
    assert_eq!(found(&host, json!({"query": "zebra"})).await, [""; 0]);
    assert_eq!(found(&host, json!({"query": "\" zebra:* ^("})).await, [""; 0]);
    let all = host.value("search_tools", json!({"query": "", "limit": 2})).await;
    assert_eq!(all["tools"].as_array().map(Vec::len), Some(2));
    assert_eq!((&all["found"], &all["of"]), (&json!(all["of"]), &json!(host.listed().len())));
    let told = host.value("search_tools", first("launch")).await;
    assert_eq!(told["tools"][0], json!({"name": "launch", "description": "Changes something for good."}));
    let refused = host.told("search_tools", json!({"limit": 5})).await;
    assert!(refused.starts_with("arguments.invalid: the arguments: \"query\" is a required property"), "{refused}");
}

#[tokio::test]
async fn a_tool_that_was_found_is_described_and_called_as_if_it_were_listed() {
    let host = TestHost::new(POLITE).await;
    let described = host.value("describe_tool", json!({"name": "counted"})).await;
    let expected = json!({
        "name": "counted", "description": "Counts, and says so in its output schema.", "parameters": host.schema("counted"),
        "annotations": described["annotations"],
    });
    assert_eq!(described, expected);
    for arguments in [json!({"count": 3}), json!("{\"count\": 3}")] {
        let called = host.told("call_tool", json!({"name": "counted", "arguments": arguments})).await;
        assert_eq!(called, host.told("counted", json!({"count": 3})).await);
    }
    for (call, code) in [
        (json!({"name": "cuonted"}), "tool.unknown: Tool 'cuonted' not found; did you mean `counted`?"),
        (json!({"name": "call_tool", "arguments": {"name": "counted"}}), "tool.unknown: Tool 'call_tool' not found"),
    ] {
        assert_eq!(host.told("call_tool", call).await, code);
    }
    let refused = host.told("call_tool", json!({"name": "counted", "arguments": {"count": "many"}})).await;
    assert!(refused.starts_with("arguments.invalid: `count`: it is not of type \"integer\""), "{refused}");
    let refused = host.told("call_tool", json!({"tool": "counted"})).await;
    assert!(refused.starts_with("arguments.invalid: `call_tool`: unknown field `tool`"), "{refused}");
    let missing = host.told("describe_tool", json!({"name": "echoe"})).await;
    assert_eq!(missing, "tool.not-found: Tool 'echoe' not found; did you mean `echo`?");
}

#[tokio::test]
async fn what_a_caller_may_not_use_it_neither_finds_nor_reads_nor_calls() {
    let host = TestHost::new(POLITE).await.caller("key:ci", &["echo", "counted"]);
    assert_eq!(found(&host, json!({"query": "launch echo counts good", "limit": 50})).await.len(), 2);
    let hidden = host.told("describe_tool", json!({"name": "launch"})).await;
    assert_eq!(hidden, "tool.not-found: Tool 'launch' not found");
    let direct = host.told("launch", json!({"target": "x"})).await;
    let inner = host.told("call_tool", json!({"name": "launch", "arguments": {"target": "x"}})).await;
    assert_eq!((inner.as_str(), inner.starts_with("denied.tool: ")), (direct.as_str(), true));
}

#[tokio::test]
async fn a_person_and_the_audit_see_the_tool_that_is_called() {
    let (questions, mut asked) = mpsc::channel::<Question>(1);
    let host = TestHost::new(&format!("{POLITE}approval = \"always\"\n")).await;
    let host = host.channel(Channel { questions: Some(questions), ..Channel::default() });
    let person = tokio::spawn(async move {
        let question = asked.recv().await.expect("somebody is asked");
        let shown = question.message().to_owned();
        drop(question.reply.send(Answer::Accepted(json!({}))));
        shown
    });
    let called = host.told("call_tool", json!({"name": "launch", "arguments": {"target": "x"}})).await;
    assert_eq!(called, "ok: launched at x");
    let shown = person.await.expect("a person does not crash");
    assert!(shown.contains("`launch` of plugin `polite`") && !shown.contains("call_tool"), "{shown}");
    assert_eq!(found(&host, json!({"query": "launch"})).await, ["launch"]);
    let records = host.audit();
    let tools: Vec<&Value> = records.iter().map(|record| &record["tool"]).collect();
    assert!(tools.contains(&&json!("launch")) && tools.contains(&&json!("search_tools")), "{tools:?}");
    assert!(!tools.contains(&&json!("call_tool")), "{tools:?}");
}

#[test]
fn every_face_offers_the_search_alike_and_takes_a_word_for_it() {
    let gateway = "[gateway]\nanonymous = \"all\"\nper_ip = 0\nper_key = 0\nsearch_above = 3\n";
    let policy = "[gateway.api]\nenable_tool_execute = true\n[policies.all]\ntools = [\"*\"]\nexecute = true\n";
    let server = World::new().serve_http(&format!("{gateway}{policy}{POLITE}"));
    let listed = |path: &str, headers: &[(&str, &str)]| {
        let list = server.get(path, headers).json();
        let tools = list["tools"].as_array().unwrap_or_else(|| panic!("{list}")).clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let all = [("X-Bailiwick-Tools", "all")];
    for path in ["/api/v1/tools", "/api/tools/v1/list", "/api/v1/tools?format=anthropic", "/api/v1/tools?tools=search"]
    {
        assert_eq!(listed(path, &[]), THREE, "{path}");
    }
    for path in ["/api/v1/tools", "/api/tools/v1/tools"] {
        assert_eq!(listed(path, &all).len(), 9, "{path}");
    }
    assert_eq!(listed("/api/v1/tools?tools=search", &all), THREE);
    assert_eq!(listed("/api/v1/tools?tools=all", &[]).len(), 9);
    assert_eq!(listed("/api/v1/tools?search=shout", &[]), ["echo"]);
    assert_eq!(server.get("/api/v1/tools?tools=some", &[]).status, 422);
    assert_eq!(server.get("/api/v1/tools/call_tool", &[]).json()["plugin"], "bailiwick");
    let body = json!({"parameters": {"name": "counted", "arguments": {"count": 2}}});
    let called = server.post("/api/v1/tools/call_tool/execute", &[], &body).json();
    assert_eq!(called["structured"], json!({"count": 2}));
    let mcp = |meta: Value| {
        let mut meta = meta;
        meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "test", "version": "1"});
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
        let headers = [
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/list"),
        ];
        let answer = server.post("/mcp", &headers, &body).body;
        let data = answer.lines().find_map(|line| line.strip_prefix("data: ").filter(|data| data.contains("result")));
        let message: Value =
            serde_json::from_str(data.unwrap_or(&answer)).unwrap_or_else(|error| panic!("{error}: {answer}"));
        message["result"]["tools"].as_array().map(Vec::len)
    };
    assert_eq!(mcp(json!({})), Some(3));
    assert_eq!(mcp(json!({"bailiwick/tools": "all"})), Some(9));
}
