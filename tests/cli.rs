//! The program itself: exit codes, what goes to which stream, and that nothing else does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::Upstream;
use crate::support::host::World;
use crate::web_mcp::meta;

const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";

#[test]
fn a_call_prints_its_result_and_nothing_else() {
    let run = World::new().run(POLITE, &["call", "counted", "{\"count\": 3}"], "");
    assert_eq!((run.exit, run.out.as_str(), run.err.as_str()), (0, "{\"count\":3}\n", ""));
    let from_input = World::new().run(POLITE, &["call", "counted", "-"], "{\"count\": 4}");
    assert_eq!((from_input.exit, from_input.out.as_str()), (0, "{\"count\":4}\n"));
    let by_name = World::new().run(POLITE, &["call", "counted", "--arg", "count=5"], "");
    assert_eq!((by_name.exit, by_name.out.as_str()), (0, "{\"count\":5}\n"));
}

#[test]
fn each_family_of_codes_has_its_exit_code() {
    let text = format!(
        "{POLITE}[plugins.unruly]\ncomponent = \"unruly.wasm\"\nlimits.time = \"200ms\"\n[plugins.probe]\ncomponent = \"probe.wasm\"\n"
    );
    for (arguments, exit, code) in [
        (["call", "echo", "{\"name\":\"x\"}"], 0, ""),
        (["call", "fail", "{\"how\":\"else\"}"], 1, "tool.failed"),
        (["call", "trap", "{}"], 1, "plugin.trap"),
        (["call", "get", "{\"url\":\"http://x.test/\"}"], 4, "denied.net.host"),
        (["call", "launch", "{\"target\":\"x\"}"], 4, "denied.approval"),
        (["call", "echo", "{}"], 5, "arguments.invalid"),
        (["call", "ecko", "{}"], 5, "tool.unknown"),
        (["call", "spin", "{}"], 6, "limit.time"),
        (["call", "fail", "{\"how\":\"not-configured\"}"], 3, "plugin.not-configured"),
    ] {
        let run = World::new().run(&text, &arguments, "");
        assert_eq!(run.exit, exit, "{arguments:?}: {}{}", run.out, run.err);
        assert!(run.err.contains(code), "{arguments:?}: {}", run.err);
        assert_eq!(run.out.is_empty(), exit != 0, "a failure is not a result: {}", run.out);
        let as_json = World::new().run(&text, &[&["--json"], &arguments[..]].concat(), "");
        let answer: Value =
            serde_json::from_str(&as_json.out).unwrap_or_else(|error| panic!("{error}: {}", as_json.out));
        assert_eq!((as_json.exit, &answer["isError"]), (exit, &json!(exit != 0)));
        if exit != 0 {
            assert_eq!(answer["code"], code);
        }
    }
    assert_eq!(World::new().run(&text, &["call"], "").exit, 2);
    assert_eq!(World::new().run("[plugins.x]\nnett = []\n", &["list"], "").exit, 3);
}

#[test]
fn a_refusal_names_the_line_that_would_allow_it() {
    let run = World::new().run(
        "[plugins.probe]\ncomponent = \"probe.wasm\"\n",
        &["call", "get", "-a", "url=https://api.example.com/v1"],
        "",
    );
    assert_eq!(run.exit, 4);
    for words in
        ["denied.net.host", "net = [\"GET https://api.example.com/v1\"]", "[plugins.probe]", "bailiwick.toml:1"]
    {
        assert!(run.err.contains(words), "{words} in {}", run.err);
    }
}

#[test]
fn what_a_guest_prints_never_reaches_standard_output() {
    let text = "[plugins.unruly]\ncomponent = \"unruly.wasm\"\n";
    let run = World::new().run(text, &["call", "say", "-a", "text=canary on a stream", "--log", "trace"], "");
    assert_eq!((run.exit, run.out.as_str()), (0, "said\n"));
    assert_eq!(run.err.matches("canary on a stream").count(), 3, "{}", run.err);
    let quiet = World::new().run(text, &["call", "say", "-a", "text=canary on a stream"], "");
    assert_eq!(quiet.out, "said\n");
}

#[test]
fn on_stdio_every_line_is_of_the_protocol() {
    let text = "[plugins.unruly]\ncomponent = \"unruly.wasm\"\n";
    let messages = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "say", "arguments": {"text": "canary on stdio"}}}),
        json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "chatter", "arguments": {"lines": 100, "length": 100}}}),
    ];
    let input: String = messages.iter().map(|message| format!("{message}\n")).collect();
    let run = World::new().run(text, &["serve", "--stdio"], &input);
    let answers: Vec<Value> = run
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let answered = |id: u64| {
        answers
            .iter()
            .find(|answer| answer["id"] == id)
            .unwrap_or_else(|| panic!("{id} is not answered: {}{}", run.out, run.err))
    };
    assert_eq!(answered(2)["result"]["content"][0]["text"], "said");
    assert_eq!(answered(3)["result"]["content"][0]["text"], "done");
    assert!(!run.out.contains("canary on stdio"));
}

/// What a server on stdio answers to these messages, one after the other.
fn spoken(plugins: &str, messages: &[Value]) -> Vec<Value> {
    let input: String = messages.iter().map(|message| format!("{message}\n")).collect();
    let run = World::new().run(plugins, &["serve", "--stdio"], &input);
    assert_eq!(run.exit, 0, "{}", run.err);
    run.out.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
}

#[test]
fn a_first_call_that_is_taken_back_ends_nothing() {
    let call = |id: u64, name: &str, arguments: Value| {
        let params = json!({"name": name, "arguments": arguments, "_meta": meta(json!({}))});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    };
    let messages = [
        call(1, "sleep", json!({"milliseconds": 10_000})),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
        call(2, "say", json!({"text": "on"})),
    ];
    let answers = spoken("[plugins.unruly]\ncomponent = \"unruly.wasm\"\n", &messages);
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!((&answers[0]["id"], &answers[0]["result"]["content"][0]["text"]), (&json!(2), &json!("said")));
}

#[test]
fn on_stdio_a_call_is_answered_the_same_whichever_way_it_takes() {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
        "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let discover =
        json!({"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {"_meta": meta(json!({}))}});
    for (begin, own) in [(vec![hello, ready], json!({})), (vec![discover], meta(json!({})))] {
        // A client that wants to hear of progress is rmcp's to answer; the other is not.
        let mut heard = own.clone();
        heard["progressToken"] = json!("p");
        let calls = |meta: &Value| -> Vec<Value> {
            let call = |(id, (name, arguments)): (usize, (&str, Value))| {
                let params = json!({"name": name, "arguments": arguments, "_meta": meta});
                json!({"jsonrpc": "2.0", "id": id + 1, "method": "tools/call", "params": params})
            };
            let all = [
                ("echo", json!({"name": "x", "tags": ["a"]})),
                ("echo", json!({"name": 1})),
                ("launch", json!({"target": "x"})),
                ("ehco", json!({})),
            ];
            all.into_iter().enumerate().map(call).collect()
        };
        let answers = |meta: &Value| -> BTreeMap<u64, Value> {
            let spoken =
                spoken("[plugins.polite]\ncomponent = \"polite.wasm\"\n", &[begin.clone(), calls(meta)].concat());
            let answers = spoken.into_iter().filter_map(|answer| Some((answer["id"].as_u64()?, answer)));
            answers.filter(|(id, _)| *id > 0).collect()
        };
        let (plain, other) = (answers(&own), answers(&heard));
        assert_eq!(plain.len(), 4, "{plain:?}");
        assert_eq!(plain, other);
        assert_eq!(plain[&1]["result"].get("resultType").is_some(), own != json!({}), "{plain:?}");
    }
}

#[tokio::test]
async fn no_level_of_the_log_shows_a_secret() {
    let web = Upstream::hello().await;
    let canary = "canary-of-the-whole-program-77";
    let text = format!(
        "[plugins.gossip]\ncomponent = \"gossip.wasm\"\nnet = [\"http://127.0.0.1:{port}\"]\n\
         [plugins.gossip.secrets.TOKEN]\nfile = \"canary\"\norigin = \"http://127.0.0.1:{port}\"\nheader = \"Authorization\"\n",
        port = web.port
    );
    let world = World::new().secret("canary", canary);
    let url = format!("url={}", web.url("/"));
    let mut run = tokio::task::spawn_blocking(move || {
        let call = world.run(&text, &["call", "fetch", "-a", &url, "--log", "trace", "--no-input"], "");
        let show = world.run(&text, &["show", "fetch"], "");
        let show_json = world.run(&text, &["--json", "show", "fetch"], "");
        let list = world.run(&text, &["--json", "list"], "");
        [call, show, show_json, list]
    })
    .await
    .expect("it runs");
    assert_eq!(web.requests()[0].header("authorization"), Some(canary));
    for run in &mut run {
        assert_eq!(run.exit, 0, "{}", run.err);
        let whole = std::mem::take(&mut run.out) + &run.err;
        assert!(!whole.contains(canary) && !whole.contains(&hex::encode(canary)), "{whole}");
    }
}

#[test]
fn list_shows_the_tools_and_what_is_left_out() {
    let text = format!("{POLITE}[plugins.hidden]\ncomponent = \"hidden.wasm\"\n");
    let run = World::new().run(&text, &["--json", "list"], "");
    assert_eq!(run.exit, 0, "{}", run.err);
    let listed: Value = serde_json::from_str(&run.out).expect("JSON");
    let names: Vec<&str> =
        listed["tools"].as_array().expect("a list").iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["ask", "ask_badly", "counted", "echo", "fail", "launch", "miscounted", "steps", "uncounted"]);
    assert!(listed["problems"].to_string().contains("U+202E"), "{}", listed["problems"]);
    let plain = World::new().run(&text, &["list"], "");
    assert!(plain.out.contains("launch") && plain.err.contains("hidden"), "{}{}", plain.out, plain.err);
}

#[test]
fn check_says_what_is_wrong_by_its_exit_code() {
    assert_eq!(World::new().run(POLITE, &["check"], "").exit, 0);
    let broken = World::new().run(&format!("{POLITE}[plugins.hidden]\ncomponent = \"hidden.wasm\"\n"), &["check"], "");
    assert_eq!(broken.exit, 1, "{}{}", broken.out, broken.err);
    let wrong = World::new().run("[plugins.polite]\ncomponent = \"polite.wasm\"\nnett = []\n", &["check"], "");
    assert_eq!(wrong.exit, 3, "{}{}", wrong.out, wrong.err);
    assert!(wrong.err.contains("nett") && wrong.err.contains("net"), "{}", wrong.err);
}

#[test]
fn show_tells_what_a_tool_may_reach() {
    let text = "[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"https://api.example.com/v1/**\"]\n";
    let run = World::new().run(text, &["show", "get"], "");
    assert_eq!(run.exit, 0, "{}", run.err);
    assert!(run.out.contains("https://api.example.com/v1/**") && run.out.contains("bailiwick.toml:3"), "{}", run.out);
    assert_eq!(World::new().run(text, &["show", "nothing_like_it"], "").exit, 5);
}

#[test]
fn a_configuration_that_others_may_write_to_is_not_read() {
    let world = World::new();
    assert_eq!(world.run(POLITE, &["list"], "").exit, 0);
    let config = world.path("bailiwick.toml");
    std::fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("a mode can be set");
    let run = world.run(POLITE, &["list"], "");
    assert_eq!(run.exit, 3, "{}", run.err);
    assert!(run.err.contains("chmod o-w bailiwick.toml"), "{}", run.err);
}
