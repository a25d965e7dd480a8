//! What `explain` says is what a call finds, and touches nothing; what is observed allows nothing, and the lines that
//! `suggest` makes of it are enough.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::program::Run;
use crate::support::{Upstream, remedy, told};

const PROBE: &str = "[plugins.probe]\ncomponent = \"probe.wasm\"\n";
const CURIOUS: &str = "[plugins.curious]\ncomponent = \"curious.wasm\"\n";

fn world() -> World {
    World::new()
        .file("data/plain.txt", "plain")
        .file("data/sub/deep.txt", "deep")
        .file("outside/secret.txt", "secret")
        .link("../outside", "data/out")
}

/// The folder of the configuration.
fn here(world: &World) -> String {
    world.path("").display().to_string().trim_end_matches('/').to_owned()
}

fn explain(world: &World, text: &str, arguments: &[&str]) -> Run {
    world.run(text, &[&["explain"], arguments].concat(), "")
}

#[test]
fn a_request_is_explained_with_its_line() {
    let text = format!(
        "{PROBE}net = [\"https://api.example.com/v1/**\"]\naddresses = [\"10.0.0.0/8\"]\n\
         [plugins.probe.secrets.TOKEN]\nfile = \"token\"\norigin = \"https://api.example.com\"\nheader = \"Authorization\"\n"
    );
    let text = text.replace("https://api.example.com/v1/**", "https://api.example.com");
    let net = ["probe.get", "--net", "GET https://api.example.com/v1?q=1"];
    let run = explain(&World::new(), &text, &net);
    assert_eq!(
        (run.exit, run.out.as_str(), run.err.as_str()),
        (
            0,
            "get of probe  [plugins.probe] bailiwick.toml:1\n\
             \n\
             allowed  GET https://api.example.com/v1?q=1\n\
             \x20 decided by   bailiwick.toml:3  net 1: https://api.example.com\n\
             \x20 methods      the grant names none, which means GET and HEAD\n\
             \x20 addresses    the name is looked up at the call; it may lead to public ones, and 10.0.0.0/8, without metadata services\n\
             \x20 secret       `TOKEN` is put into the header `authorization` by the host\n\
             \x20 limits       100 requests in one call, 6 at once; bodies of 1MiB out and 8MiB in\n",
            ""
        )
    );
    let refused = explain(&World::new(), &text, &["probe", "--net", "http://2852039166/latest", "--secret", "NONE"]);
    assert_eq!(
        (refused.exit, refused.out.as_str()),
        (
            4,
            "probe  [plugins.probe] bailiwick.toml:1\n\
             \n\
             denied   GET http://2852039166/latest  denied.net.addr\n\
             \x20 because      `2852039166` is another spelling of the address 169.254.169.254: write the address itself\n\
             \x20 decided by   bailiwick.toml:1  [plugins.probe]\n\
             \x20 to allow it  no line can\n\
             \n\
             denied   secret NONE  denied.secret\n\
             \x20 because      the plugin has no secret of this name\n\
             \x20 decided by   bailiwick.toml:1  [plugins.probe]\n\
             \x20 to allow it  secrets.NONE = { env = \"NONE\", origin = \"https://HOST\", header = \"NAME\" }  under [plugins.probe] bailiwick.toml:1\n"
        )
    );
}

#[test]
fn programs_are_told_the_same() {
    let text = format!("{PROBE}fs = [\"./data:/data:ro\"]\n[plugins.probe.tools.write]\nallow = false\n");
    let world = world();
    let run = explain(&world, &text, &["probe", "--fs", "read", "plain.txt", "--fs", "write", "/data/x", "--json"]);
    let here = here(&world);
    let answer: Value =
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}{}", run.out, run.err));
    assert_eq!(run.exit, 4);
    assert_eq!(answer["plugin"], "probe");
    assert_eq!(answer["allowed"], false);
    assert_eq!(
        answer["answers"],
        json!([
            {
                "question": {"fs": "plain.txt", "access": "ro"},
                "allowed": true,
                "decidedBy": {"at": "bailiwick.toml:3", "text": "fs: ./data:/data:ro"},
                "notes": [
                    {"about": "path", "text": "it means `/data/plain.txt`"},
                    {"about": "host path", "text": format!("{here}/data/plain.txt")},
                    {"about": "links", "text": "one that leads out of the directory is refused at the call"},
                ],
            },
            {
                "question": {"fs": "/data/x", "access": "rw"},
                "allowed": false,
                "code": "denied.fs.write",
                "reason": "`./data:/data:ro` is read-only",
                "decidedBy": {"at": "bailiwick.toml:3", "text": "fs: ./data:/data:ro"},
                "fix": [{"line": "fs = [\"./data:/data:rw\"]", "table": "plugins.probe", "at": "bailiwick.toml:1"}],
                "notes": [],
            },
        ])
    );
    // A tool that is switched off does nothing, whatever it is granted.
    let off = explain(&world, &text, &["write", "--fs", "read", "/data/x"]);
    assert_eq!(off.exit, 4);
    for words in
        ["denied   every call  denied.tool", "allow = true  under [plugins.probe.tools.write]", "allowed  read /data/x"]
    {
        assert!(off.out.contains(words), "{words} in {}", off.out);
    }
}

#[test]
fn a_question_that_makes_no_sense_is_a_mistake_of_the_command_line() {
    let world = World::new();
    for (arguments, exit) in [
        (&["probe"][..], 2),
        (&["probe", "--net", "GET not a url"], 2),
        (&["probe", "--fs", "eat", "/x"], 2),
        (&["probe", "--call", "no tool"], 2),
        (&["nobody.get", "--secret", "A"], 5),
        (&["gett", "--secret", "A"], 5),
    ] {
        let run = explain(&world, PROBE, arguments);
        assert_eq!((run.exit, run.out.as_str()), (exit, ""), "{arguments:?}: {}", run.err);
    }
    assert!(explain(&world, PROBE, &["gett", "--secret", "A"]).err.contains("did you mean `get`?"));
}

#[test]
fn nothing_that_is_asked_about_is_touched() {
    // The directory is not there, the variable is not set, the command would leave a mark, the name does not exist.
    let text = format!(
        "{PROBE}net = [\"https://nowhere.invalid\"]\nfs = [\"./nowhere:/data:rw\"]\n\
         [plugins.probe.secrets.A]\ncommand = [\"touch\", \"mark\"]\nreveal = true\n\
         [plugins.probe.secrets.B]\nenv = \"BAILIWICK_TEST_NOT_SET\"\nreveal = true\n"
    );
    let questions = ["--net", "https://nowhere.invalid", "--fs", "write", "/data/x", "--secret", "A", "--secret", "B"];
    let world = World::new();
    let before: Vec<String> = entries(&world.path("state"));
    let by_plugin = explain(&world, &text, &[&["probe.get"], &questions[..]].concat());
    assert_eq!(by_plugin.exit, 0, "{}{}", by_plugin.out, by_plugin.err);
    assert_eq!(entries(&world.path("state")), before, "not even the host's own files");
    // A tool that has to be found first: the plugin is asked for its tools, and nothing of it is opened.
    let by_tool = explain(&world, &text, &[&["get"], &questions[..]].concat());
    assert_eq!((by_tool.exit, by_tool.out), (0, by_plugin.out), "{}", by_tool.err);
    assert!(!world.path("mark").exists() && !world.path("nowhere").exists());
    // The twin: what loads the plugin runs the command.
    let world = world.folder("nowhere");
    assert_ne!(world.run(&text, &["show", "get"], "").exit, 0);
    assert!(world.path("mark").exists());
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("it is there").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_tool_is_found_by_each_of_its_names() {
    let text = format!(
        "{PROBE}net = [\"https://a.example\"]\nalias = {{ fetch = \"get\" }}\n\
         [plugins.other]\ncomponent = \"probe.wasm\"\n[plugins.probe.tools.get]\nnet = []\n"
    );
    let world = World::new();
    for (subject, exit) in [
        ("probe.get", 4),
        ("probe__get", 4),
        ("fetch", 4),
        ("probe.fetch", 4),
        ("get", 4),
        ("probe.raw", 0),
        ("probe__raw", 0),
        ("probe", 0),
        ("other.raw", 4),
        ("other", 4),
    ] {
        let run = explain(&world, &text, &[subject, "--net", "GET https://a.example/x"]);
        assert_eq!(run.exit, exit, "{subject}: {}{}", run.out, run.err);
    }
}

#[tokio::test]
async fn what_is_explained_of_requests_is_what_a_call_finds() {
    let web = Upstream::hello().await;
    let mut answered = 0;
    for net in [
        "[]",
        "[\"http://127.0.0.1:PORT\"]",
        "[\"http://127.0.0.1:PORT/v1/**\"]",
        "[\"POST http://127.0.0.1:PORT\"]",
        "[\"https://127.0.0.1:PORT\", \"http://127.0.0.1\"]",
        "[\"http://*:PORT\"]",
        "[\"http://127.0.0.1:PORT\"]\n[plugins.probe.tools.raw]\nnet = [\"http://127.0.0.1:PORT/v1\"]",
        "[\"http://127.0.0.1:PORT\"]\nlimits.http_requests = 0",
    ] {
        let text = format!("{PROBE}net = {net}\n").replace("PORT", &web.port.to_string());
        let host = World::new().start(&text).await;
        for (method, path) in
            [("GET", "/"), ("GET", "/v1"), ("POST", "/v1"), ("GET", "/v1/%2e%2e/x"), ("GET", "/v1%2fx")]
        {
            let authority = format!("127.0.0.1:{}", web.port);
            let outcome = host.call("raw", json!({"authority": authority, "method": method, "path": path})).await;
            let run =
                explain(&host.world, &text, &["probe.raw", "--net", &format!("{method} http://{authority}{path}")]);
            let found = if outcome.result.is_ok() { 0 } else { 4 };
            assert_eq!(run.exit, found, "{method} {path} under {net}: {}{}", run.out, told(&outcome));
            answered += usize::from(outcome.result.is_ok());
        }
    }
    assert!((5..35).contains(&answered), "both answers are there: {answered}");
}

#[tokio::test]
async fn what_is_explained_of_paths_is_what_a_call_finds() {
    let mut allowed = 0;
    for fs in [
        "[]",
        "[\"./data:/data:ro\"]",
        "[\"./data:/data:rw\"]",
        "[\"./data:/data:ro\", \"./data/sub:/data/sub:rw\"]",
        "[\"./data:/data:rw\"]\n[plugins.probe.tools.read]\nfs = [\"./data/sub\"]\n[plugins.probe.tools.write]\nfs = []",
    ] {
        let text = format!("{PROBE}fs = {fs}\n");
        let host = world().start(&text).await;
        for path in [
            "/data/plain.txt",
            "/data/sub/deep.txt",
            "/data/sub/../plain.txt",
            "/data/../outside/secret.txt",
            "/etc/passwd",
        ] {
            for (tool, access) in [("read", "read"), ("write", "write")] {
                let arguments = json!({"path": path, "text": "plain"});
                let arguments = if tool == "read" { json!({"path": path}) } else { arguments };
                let outcome = host.call(tool, arguments).await;
                let subject = format!("probe.{tool}");
                let run = explain(&host.world, &text, &[&subject, "--fs", access, path]);
                // Its C library hands `..` on as it is.
                let refused = outcome.result.is_err() && !run.out.contains("that does not take `..` out");
                assert_eq!(
                    run.exit,
                    if refused { 4 } else { 0 },
                    "{tool} {path} under {fs}: {}{}",
                    run.out,
                    told(&outcome)
                );
                allowed += usize::from(outcome.result.is_ok());
            }
        }
    }
    assert!((5..45).contains(&allowed), "both answers are there: {allowed}");
}

#[tokio::test]
async fn what_is_explained_of_secrets_is_what_a_call_finds() {
    let text = "[plugins.gossip]\ncomponent = \"gossip.wasm\"\nnet = [\"https://a.example\"]\n\
                [plugins.gossip.secrets.SHOWN]\nfile = \"shown\"\nreveal = true\n\
                [plugins.gossip.secrets.BOUND]\nfile = \"bound\"\norigin = \"https://a.example\"\nheader = \"X-Key\"\n\
                [plugins.gossip.tools.has]\nsecrets = [\"BOUND\"]\n";
    let host = World::new().secret("shown", "shown-value-1").secret("bound", "bound-value-1").start(text).await;
    for (tool, name, is_there) in [
        ("has", "BOUND", true),
        ("has", "SHOWN", false),
        ("has", "NONE", false),
        ("tell", "SHOWN", true),
        ("tell", "BOUND", true),
        ("tell", "NONE", false),
    ] {
        let run = explain(&host.world, text, &[&format!("gossip.{tool}"), "--secret", name]);
        assert_eq!(run.exit, if is_there { 0 } else { 4 }, "{tool} {name}: {}", run.out);
        assert!(!run.out.contains("value-1"), "{}", run.out);
        if tool == "has" {
            assert_eq!(host.told("has", json!({"name": name})).await, format!("ok: {is_there}"));
        } else {
            let told = host.call("tell", json!({"name": name, "how": "length"})).await;
            assert_eq!(run.out.contains("the plugin can read it"), told.result.is_ok(), "{name}: {}", run.out);
        }
    }
}

#[tokio::test]
async fn what_is_explained_of_calls_is_what_a_call_finds() {
    let polite = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    for (call, allowed, fix) in [
        ("", false, "to allow it  call = [\"echo\"]  under [plugins.maker] bailiwick.toml:1"),
        ("call = [\"count\"]", false, "to allow it  call = [\"echo\"]  under [plugins.maker] bailiwick.toml:1"),
        (
            "call = [\"*\", \"!echo\"]",
            false,
            "leave \"!echo\" out of `call` under `[plugins.maker]` (bailiwick.toml:1)",
        ),
        ("call = [\"echo\"]", true, "decided by   bailiwick.toml:1  call = [\"echo\"]"),
        ("call = [\"*\"]", true, "decided by   bailiwick.toml:1  call = [\"*\"]"),
    ] {
        let text = format!("[plugins.maker]\ncomponent = \"maker.wasm\"\n{call}\n{polite}");
        let host = World::new().start(&text).await;
        let run = explain(&host.world, &text, &["maker.together", "--call", "echo"]);
        assert_eq!(run.exit, if allowed { 0 } else { 4 }, "{call}: {}", run.out);
        assert!(run.out.contains(fix), "{call}: {}", run.out);
        let calls = json!({"calls": [{"tool": "echo", "arguments": {"name": "x"}}]});
        let found = host.value("together", calls).await;
        assert_eq!(found[0]["code"] != "denied.call", allowed, "{call}: {found}");
    }
}

/// Calls a tool that is refused, takes the printed suggestion at its word, and gives what the same call then finds.
async fn learned(world: World, text: &str, tool: &str, arguments: Value) -> (String, String) {
    let plugin = text.split(['.', ']']).nth(1).expect("the file starts with a plugin").to_owned();
    let host = world.observed().start(text).await;
    let refused = host.call(tool, arguments.clone()).await;
    assert!(refused.code().starts_with("denied."), "{}", told(&refused));
    let world = host.end();
    let run = world.run(text, &["suggest", &plugin], "");
    assert_eq!((run.exit, run.err.as_str()), (0, ""), "{}", run.out);
    let host = world.start(&remedy::merged(text, &run.out)).await;
    (run.out, host.told(tool, arguments).await)
}

/// The lines of a suggestion that are no comments.
fn lines(suggested: &str) -> Vec<&str> {
    suggested.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[tokio::test]
async fn the_suggested_net_lines_are_enough() {
    let web = Upstream::hello().await;
    let world = || World::new().name("web.test", &["127.0.0.1"]).name("old.test", &["127.0.0.1"]);
    let base = format!("{PROBE}addresses = [\"127.0.0.0/8\"]\nnet = [\"http://old.test\"]\n");
    let arguments = json!({"authority": format!("web.test:{}", web.port), "path": "/x?token=canary-in-the-query"});
    let (suggested, granted) = learned(world(), &base, "raw", arguments.clone()).await;
    let line = format!("\"GET http://web.test:{}/x\",", web.port);
    assert_eq!(lines(&suggested), ["[plugins.probe]", "net = [", &line, "]"]);
    assert_eq!(granted, "ok: 200 hello");
    // A tool with a rule of its own needs the line there too.
    let ruled = format!("{base}[plugins.probe.tools.raw]\nnet = []\n");
    let (suggested, granted) = learned(world(), &ruled, "raw", arguments).await;
    assert_eq!(
        lines(&suggested),
        ["[plugins.probe]", "net = [", &line, "]", "[plugins.probe.tools.raw]", "net = [", &line, "]"]
    );
    assert_eq!(granted, "ok: 200 hello");
}

#[tokio::test]
async fn the_suggested_fs_lines_are_enough_and_no_more() {
    for (fs, tool, path, line) in [
        ("[]", "read", "HERE/outside/secret.txt", "\"HERE/outside:ro\","),
        ("[]", "list", "HERE/data/sub", "\"HERE/data/sub:ro\","),
        ("[]", "write", "HERE/outside/new.txt", "\"HERE/outside:rw\","),
        ("[\"./data:/data:ro\"]", "write", "/data/sub/new.txt", "\"./data/sub:/data/sub:rw\","),
        ("[\"./data:/data:ro\"]", "write", "/data/new.txt", "\"./data:/data:rw\","),
    ] {
        let world = world();
        let here = here(&world);
        let arguments = match tool {
            "write" => json!({"path": path.replace("HERE", &here), "text": "new"}),
            _ => json!({"path": path.replace("HERE", &here)}),
        };
        let (suggested, granted) = learned(world, &format!("{PROBE}fs = {fs}\n"), tool, arguments).await;
        assert_eq!(lines(&suggested), ["[plugins.probe]", "fs = [", &line.replace("HERE", &here), "]"], "{path}");
        assert!(granted.starts_with("ok: "), "{granted} with {suggested}");
        assert!(suggested.contains("by the plugin's own word"), "{suggested}");
    }
}

#[tokio::test]
async fn a_secret_the_plugin_has_is_suggested_and_one_it_has_not_is_left_to_its_owner() {
    let text = "[plugins.gossip]\ncomponent = \"gossip.wasm\"\n\
                [plugins.gossip.secrets.SHOWN]\nfile = \"shown\"\nreveal = true\n\
                [plugins.gossip.tools.tell]\nsecrets = []\n";
    let world = World::new().secret("shown", "shown-value-1").observed();
    let host = world.start(text).await;
    for name in ["SHOWN", "NONE"] {
        assert_eq!(host.call("tell", json!({"name": name, "how": "length"})).await.code(), "plugin.not-configured");
    }
    let world = host.end();
    let suggested = world.run(text, &["suggest", "gossip"], "").out;
    assert_eq!(lines(&suggested), ["[plugins.gossip.tools.tell]", "secrets = [", "\"SHOWN\",", "]"]);
    assert!(suggested.contains("see the value of the secret NONE"), "{suggested}");
    let host = world.start(&remedy::merged(text, &suggested)).await;
    assert_eq!(host.told("tell", json!({"name": "SHOWN", "how": "length"})).await, "ok: 13");
}

#[tokio::test]
async fn the_suggested_calls_are_enough() {
    let text = "[plugins.maker]\ncomponent = \"maker.wasm\"\n[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    let calls = json!({"calls": [{"tool": "echo", "arguments": {"name": "x"}}]});
    let host = World::new().observed().start(text).await;
    assert_eq!(host.value("together", calls.clone()).await[0]["code"], "denied.call");
    let world = host.end();
    let run = world.run(text, &["suggest", "maker"], "");
    assert_eq!(lines(&run.out), ["[plugins.maker]", "call = [", "\"echo\",", "]"], "{}", run.out);
    let text = remedy::merged(text, "[plugins.maker]\ncall = [\"echo\"]");
    let host = world.start(&text).await;
    assert!(host.value("together", calls).await[0].get("code").is_none());
    let run = host.end().run(&text, &["suggest", "maker"], "");
    assert_eq!(lines(&run.out), Vec::<&str>::new(), "{}", run.out);
}

#[tokio::test]
async fn what_leads_inward_is_named_and_has_no_line() {
    let text = format!("{CURIOUS}net = [\"http://inner.test\"]\n");
    let world = World::new().name("inner.test", &["10.0.0.7"]).observed();
    let host = world.start(&text).await;
    let urls = [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/",
        "http://metadata.google.internal/",
        "http://127.0.0.1:8080/x",
        "http://192.168.1.1/",
        "http://inner.test/db",
    ];
    assert_eq!(host.told("roam", json!({"urls": urls})).await.lines().next(), Some("ok: 0 answered"));
    let run = host.end().run(&text, &["suggest", "curious"], "");
    assert_eq!(lines(&run.out), Vec::<&str>::new(), "{}", run.out);
    for words in [
        "169.254.169.254 is a cloud metadata address: it hands out this machine's credentials to whoever asks",
        "`metadata.google.internal` is a cloud metadata service",
        "127.0.0.1 is a loopback address",
        "192.168.1.1 is a private address",
        "`inner.test` led to 10.0.0.7, a private address",
        "by hand: addresses = [\"10.0.0.7\"] under [plugins.curious]",
    ] {
        assert!(run.out.contains(words), "{words} in {}", run.out);
    }
    let by_hand: Vec<&str> = run.out.lines().filter(|line| line.contains("by hand")).collect();
    assert_eq!(by_hand.len(), 3, "none for metadata: {by_hand:?}");
    assert!(!run.out.contains("danger_metadata_addresses = true"), "no line to copy: {}", run.out);
}

#[tokio::test]
async fn observing_allows_nothing_and_holds_no_value() {
    let canary = "canary-of-the-observed-4711";
    let web = Upstream::hello().await;
    let text = "[plugins.gossip]\ncomponent = \"gossip.wasm\"\n\
                [plugins.gossip.secrets.TOKEN]\nfile = \"canary\"\nreveal = true\n";
    let world = || World::new().secret("canary", canary);
    let host = world().observed().start(text).await;
    for how in ["request", "denial"] {
        assert!(host.call("tell", json!({"name": "TOKEN", "how": how})).await.code().starts_with("denied."), "{how}");
    }
    let url = format!("{}?token={canary}", web.url("/path"));
    assert_eq!(host.call("fetch", json!({"url": url})).await.code(), "denied.net.host");
    assert_eq!(web.connections(), 0);
    let world_after = host.end();
    let file = world_after.path("state/observed.jsonl");
    let written = std::fs::read_to_string(&file).expect("it is written");
    assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    for part in ["canary-of", "token", "?"] {
        assert!(!written.contains(part), "{part} in {written}");
    }
    let seen: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let paths: Vec<&Value> = seen.iter().map(|seen| &seen["want"]["net"]["path"]).collect();
    assert_eq!(paths, [&json!("/*"), &json!("/path")], "{written}");
    let suggested = world_after.run(text, &["suggest", "gossip"], "").out;
    assert!(suggested.contains("\"GET https://evil.example/*\"") && !suggested.contains(canary), "{suggested}");
    // Without being told to, the host writes nothing down.
    let host = world().start(text).await;
    assert_eq!(host.call("fetch", json!({"url": url})).await.code(), "denied.net.host");
    assert!(!host.end().path("state/observed.jsonl").exists());
}

#[tokio::test]
async fn many_wants_of_one_call_are_counted_and_a_claim_is_marked() {
    let text = format!("{CURIOUS}config = {{ known = 1 }}\n");
    let host = World::new().observed().start(&text).await;
    let urls: Vec<String> = (1..=4).map(|n| format!("https://a.example/items/{n}")).collect();
    for _ in 0..3 {
        host.call("roam", json!({"urls": urls})).await;
    }
    for name in ["known", "unknown"] {
        host.call("setting", json!({"name": name})).await;
    }
    for (what, name) in
        [("read", "/etc\n[plugins.evil]\ncomponent = \"x.wasm\""), ("read", "/proc/1/environ"), ("secret", "KEY")]
    {
        assert!(host.call("claim", json!({"what": what, "name": name})).await.code().starts_with("denied."));
    }
    let world = host.end();
    let run = world.run(&text, &["suggest", "curious", "--json"], "");
    let suggested: Value = serde_json::from_str(&run.out).expect("JSON");
    assert_eq!(suggested["tables"][0]["lines"][0]["grant"], "GET https://a.example/items/*");
    let counts =
        suggested["tables"][0]["lines"][0]["asked"].as_array().expect("a list").iter().map(|asked| &asked["count"]);
    assert_eq!(counts.collect::<Vec<_>>(), [3, 3, 3, 3]);
    let withheld: Vec<(&str, &str)> = suggested["withheld"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|left| (left["want"].as_str().expect("text"), left["asked"][0]["by"].as_str().expect("text")))
        .collect();
    assert_eq!(
        withheld,
        [
            ("read the setting unknown", "host"),
            ("read /etc\\n[plugins.evil]\\ncomponent = \"x.wasm\"", "plugin"),
            ("read /proc/1/environ", "plugin"),
            ("use the secret KEY", "plugin"),
        ]
    );
    let printed = suggested["toml"].as_str().expect("text");
    assert_eq!(lines(printed).first(), Some(&"[plugins.curious]"));
    assert!(!remedy::merged(&text, printed).contains("[plugins.evil]"), "{printed}");
}

#[test]
fn the_program_observes_suggests_and_forgets() {
    let text = format!("{PROBE}{CURIOUS}");
    let world = World::new();
    let nothing = world.run(&text, &["suggest", "probe"], "");
    assert_eq!(nothing.exit, 0);
    assert!(nothing.out.contains("was refused nothing while it was observed"), "{}", nothing.out);
    assert!(!world.path("state/observed.jsonl").exists());
    // Two at once: each adds what it saw.
    let call = ["call", "--observe", "get", "-a", "url=https://a.example/x"];
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(world.run(&text, &call, "").exit, 4));
        }
    });
    let serve = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "setting", "arguments": {"name": "max"}}});
    let start = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let input = format!("{start}\n{ready}\n{serve}\n");
    let served = world.run_until(&text, &["serve", "--stdio", "--observe"], &input, "\"id\":1");
    assert!(served.contains("not set"), "{served}");
    let probe = world.run(&text, &["suggest", "probe"], "").out;
    assert!(probe.contains("# `get` 2 times, last 2") && probe.contains("\"GET https://a.example/x\""), "{probe}");
    let curious = world.run(&text, &["suggest", "curious"], "").out;
    assert!(curious.contains("read the setting max"), "{curious}");
    // The configuration is as it was: nothing is written there.
    assert!(std::fs::read_to_string(world.path("bailiwick.toml")).expect("it is there").starts_with(&text));
    let cleared = world.run(&text, &["suggest", "probe", "--clear"], "");
    assert_eq!((cleared.exit, cleared.out.as_str()), (0, "1 observations of `probe` are forgotten\n"));
    assert!(world.run(&text, &["suggest", "probe"], "").out.contains("was refused nothing"));
    assert_eq!(world.run(&text, &["suggest", "curious"], "").out, curious);
    assert_eq!(world.run(&text, &["suggest", "nobody"], "").exit, 5);
}

#[test]
fn a_file_of_observations_that_others_may_write_to_is_not_believed() {
    let world = World::new();
    let file = world.path("state/observed.jsonl");
    let line = r#"{"plugin":"probe","tool":"get","want":{"net":{"method":"GET","scheme":"https","host":"evil.example","port":443,"path":"/"}},"by":"host","count":9,"first":"T","last":"T","call":"c"}"#;
    std::fs::write(&file, format!("{line}\nnonsense\n")).expect("a file can be written");
    for (mode, exit) in [(0o666, 7), (0o660, 7), (0o600, 0)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("a mode can be set");
        let run = world.run(PROBE, &["suggest", "probe"], "");
        assert_eq!((run.exit, run.out.contains("evil.example")), (exit, exit == 0), "{mode:o}: {}{}", run.out, run.err);
        assert_eq!(world.run(PROBE, &["call", "--observe", "surroundings"], "").exit, exit, "{mode:o}");
    }
}
