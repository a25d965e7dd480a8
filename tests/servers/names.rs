//! What servers' tools are called, how one stands for all, what becomes of the rest when one does not come up, and how
//! another client's file becomes lines of the configuration.

use serde_json::{Value, json};

use super::{are_installed, plugin, script};
use crate::support::host::World;
use crate::support::program::Run;

fn repeating(name: &str, lines: &str) -> String {
    plugin(name, &script("repeat.py", &[]), lines)
}

fn is_there() -> bool {
    are_installed(&["/usr/bin/python3".into()])
}

fn json_of(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}{}", run.out, run.err))
}

/// What the configuration says of plugins, without the host's own table.
fn plugins_in(world: &World) -> String {
    let text = std::fs::read_to_string(world.path("bailiwick.toml")).expect("it is there");
    let mut is_host = false;
    let of_plugins = text.lines().filter(|line| {
        is_host = if line.starts_with('[') { *line == "[host]" } else { is_host };
        !is_host
    });
    of_plugins.map(|line| format!("{line}\n")).collect()
}

fn listed(world: &World, config: &str) -> Vec<String> {
    let list = json_of(&world.run(config, &["--json", "list"], ""));
    let tools = list["tools"].as_array().expect("a list");
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn t20_a_name_is_prefixed_only_where_two_want_it_whatever_their_order() {
    if !is_there() {
        return;
    }
    let world = World::new();
    assert_eq!(listed(&world, &repeating("one", "")), ["repeat"]);
    let (one, two) = (repeating("one", ""), repeating("two", ""));
    for config in [format!("{one}{two}"), format!("{two}{one}")] {
        assert_eq!(listed(&world, &config), ["one__repeat", "two__repeat"]);
    }
    assert_eq!(listed(&world, &repeating("one", "prefix = \"always\"")), ["one__repeat"]);
    let config = format!("{one}{}", repeating("two", "prefix = \"always\""));
    let run = world.run(&config, &["call", "two__repeat", r#"{"token": "again"}"#], "");
    assert_eq!((run.exit, run.out.as_str()), (0, "again\n"), "{}", run.err);
}

#[test]
fn t20_a_server_that_does_not_come_up_leaves_the_others_be() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let broken = plugin(
        "broken",
        &["/usr/bin/python3".to_owned(), "-c".to_owned(), "raise SystemExit('no luck')".to_owned()],
        "",
    );
    let missing = plugin("missing", &["no-such-program".to_owned()], "");
    let config = format!("{broken}{missing}{}", repeating("one", ""));
    let run = world.run(&config, &["call", "repeat", r#"{"token": "there"}"#], "");
    assert_eq!((run.exit, run.out.as_str()), (0, "there\n"), "{}", run.err);
    let run = world.run(&config, &["list"], "");
    assert!(run.out.contains("repeat") && run.err.contains("server.unreachable"), "{}{}", run.out, run.err);
    assert!(run.err.contains("no luck"), "it is quoted: {}", run.err);
    assert!(run.err.contains("`no-such-program` is not there"), "{}", run.err);
}

#[test]
fn a43_one_tool_stands_for_all_of_a_servers() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let config = repeating("mcp-one", "expose = \"aggregate\"");
    assert_eq!(listed(&world, &config), ["one"]);
    let shown = json_of(&world.run(&config, &["--json", "show", "one"], ""));
    assert!(shown["description"].as_str().expect("a text").contains("repeat(token): Says it again."), "{shown}");
    let call =
        |config: &str, arguments: Value| world.run(config, &["--json", "call", "one", &arguments.to_string()], "");
    let run = call(&config, json!({"command": "repeat", "arguments": {"token": "again"}}));
    assert_eq!(json_of(&run)["content"][0]["text"], "again", "{}", run.err);
    let run = call(&config, json!({"command": "repaet", "arguments": {}}));
    assert!(run.exit != 0 && run.out.contains("repeat"), "it names the nearest: {}", run.out);
    let run = call(&config, json!({"command": "repeat", "arguments": {}}));
    assert_eq!(json_of(&run)["code"], "arguments.invalid", "the tool's own schema holds: {}", run.out);
    let off = format!("{config}tools.repeat.allow = false\n");
    let run = call(&off, json!({"command": "repeat", "arguments": {"token": "again"}}));
    assert!(run.exit != 0 && !run.out.contains("again\""), "a rule for the one tool holds: {}", run.out);
}

#[test]
fn what_a_server_writes_to_its_standard_error_is_shown() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let run = world.run(&repeating("one", ""), &["--json", "show", "one"], "");
    let shown = json_of(&run);
    assert_eq!((shown["class"].as_str(), shown["tools"][0].as_str()), (Some("mcp"), Some("repeat")), "{}", run.out);
    assert!(shown["condition"].as_str().expect("a phrase").starts_with("it runs for"), "{shown}");
    assert_eq!(shown["stderr"], json!(["repeat is there"]), "{shown}");
}

#[test]
fn a_file_of_another_client_becomes_lines_that_work() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let command = script("repeat.py", &[]);
    let servers = json!({"mcpServers": {
        "Repeater": {"command": command[0], "args": command[1..], "env": {"API_TOKEN": "sk-canary-of-a-token-0123456789"}},
    }});
    std::fs::write(world.path("mcp.json"), servers.to_string()).expect("a file can be written");
    let file = world.path("mcp.json");
    let file = file.to_str().expect("UTF-8");
    let printed = world.run("", &["import", file], "");
    assert_eq!(printed.exit, 0, "{}", printed.err);
    assert!(
        printed.out.contains("[plugins.repeater]") && printed.out.contains("variable = \"API_TOKEN\""),
        "{}",
        printed.out
    );
    assert!(!printed.out.contains("canary") && !printed.err.contains("canary"), "no secret is printed");

    let variables = [("API_TOKEN", "sk-canary")];
    let written = world.run_with("", &["import", "--write", file], &variables);
    assert_eq!(written.exit, 0, "{}{}", written.out, written.err);
    let config = plugins_in(&world);
    let run = world.run_with(&config, &["call", "repeat", r#"{"token": "again"}"#], &variables);
    assert_eq!((run.exit, run.out.as_str()), (0, "again\n"), "{}", run.err);
    // Once is enough.
    let again = world.run_with(&config, &["import", "--write", file], &variables);
    assert!(again.exit != 0 && again.err.contains("repeater"), "{}", again.err);
    assert_eq!(plugins_in(&world).matches("[plugins.repeater]").count(), 1, "nothing is changed");

    let mut words = vec!["add", "mcp", "other", "--write", "--"];
    words.extend(command.iter().map(String::as_str));
    let added = world.run_with(&config, &words, &variables);
    assert_eq!(added.exit, 0, "{}{}", added.out, added.err);
    let config = plugins_in(&world);
    let list = world.run_with(&config, &["--json", "list"], &variables);
    assert!(list.out.contains("other__repeat") && list.out.contains("repeater__repeat"), "{}{}", list.out, list.err);
}
