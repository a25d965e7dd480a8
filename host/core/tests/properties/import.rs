//! Files of other programs: whatever is in them, what is proposed is TOML of exactly the plugins it names, and no secret.

use bailiwick_core::import::import;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::oracle::is_plain;
use crate::{any_of, for_all};

const SECRET: &str = "hunter2canary";

fn texts() -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        "\"",
        "\\",
        "\n",
        "]",
        "[plugins.evil]",
        "'''",
        "${A}",
        "$",
        "${",
        "${input:x}",
        "${B:-c}",
        "#",
        "=",
        "\u{202e}",
        "\u{0}",
        "\r\n",
        "/",
        "~",
        "-y",
        "npx",
        "--from",
        "https://x.example/",
        "http://",
        "user:pass@",
        "?a=b&token=",
        "{}",
        "mcp-remote",
        "é",
        "server-filesystem",
        " ",
        ":",
        "a",
        "\u{e0041}",
    ];
    vec(any_of(PARTS), 0..6).prop_map(|parts| parts.concat())
}

fn pairs() -> impl Strategy<Value = Value> {
    vec((texts(), texts()), 0..3)
        .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(k, v)| (k, v.into())).collect()))
}

#[test]
fn what_is_proposed_is_toml_of_the_plugins_it_names_and_no_secret() {
    let program = (texts(), vec(texts(), 0..4), pairs(), texts()).prop_map(|(command, args, mut env, cwd)| {
        env["API_TOKEN"] = SECRET.into();
        let args: Vec<String> = args.into_iter().chain(["--api-key".to_owned(), SECRET.to_owned()]).collect();
        json!({"command": command, "args": args, "env": env, "cwd": cwd})
    });
    let at_url = (any_of(&["", "https://x.example/"]), texts(), pairs()).prop_map(|(start, url, mut headers)| {
        headers["Authorization"] = format!("Bearer {SECRET}").into();
        json!({"url": format!("{start}{url}"), "headers": headers})
    });
    let servers = vec((texts(), prop_oneof![program, at_url]), 1..5);
    for_all(5_000, servers, |servers| {
        let servers: serde_json::Map<String, Value> = servers.into_iter().collect();
        let file = json!({"mcpServers": servers}).to_string();
        let imported = import(&file).expect("it is such a file");
        let text = imported.text();
        assert!(is_plain(&text), "{text:?}");
        assert!(!text.contains(SECRET), "{file}\n{text}");
        let read: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let plugins = read.get("plugins").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        assert!(read.keys().all(|key| key == "plugins"), "{text}");
        let mut names: Vec<&str> = imported.proposals.iter().map(|proposal| proposal.name.as_str()).collect();
        let mut found: Vec<&str> = plugins.keys().map(String::as_str).collect();
        names.sort_unstable();
        found.sort_unstable();
        assert_eq!(names, found, "{text}");
        assert_eq!(
            imported.proposals.len() + imported.notes.len(),
            servers.len(),
            "nothing goes without a word: {text}"
        );
    });
}
