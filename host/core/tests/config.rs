//! Broken configs with what a person is shown, whole configs, the examples, and the JSON Schema.
//!
//! `UPDATE=1 cargo test -p bailiwick-core --test config` writes the expected files anew: read the difference.
#![expect(clippy::disallowed_methods, reason = "tests read their cases")]
#![expect(clippy::unwrap_used, reason = "a case that cannot be read is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bailiwick_core::config::{self, Config, Mistake, Source, code, read, render};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn configs(folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    found.sort();
    assert!(!found.is_empty(), "{folder} is empty");
    found
}

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "HOME" => "/home/me",
        "API_HOST" => "api.example.com",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

/// The case as if it stood in `/srv/app`, so that messages are the same everywhere.
fn read_case(path: &Path) -> (Source, Result<Config, Vec<Mistake>>) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let source = Source { name, text: fs::read_to_string(path).unwrap(), base: "/srv/app".into() };
    let config = read(&source, &environment);
    (source, config)
}

#[track_caller]
fn compare(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(actual, expected, "{} is not as expected; UPDATE=1 writes it anew", path.display());
}

#[test]
fn every_broken_config_is_answered_as_expected() {
    let mut seen = BTreeSet::new();
    for path in configs("tests/cases/config/bad") {
        let (source, config) = read_case(&path);
        let Err(mistakes) = config else {
            panic!("{} has no mistake", path.display());
        };
        seen.extend(mistakes.iter().map(|mistake| mistake.code));
        compare(&path.with_extension("expect"), &render(&source, &mistakes));
    }
    assert_eq!(seen, code::ALL.iter().copied().collect(), "every code has a case, and every case a known code");
}

#[test]
fn every_place_is_where_it_says() {
    for path in configs("tests/cases/config/bad") {
        let (source, config) = read_case(&path);
        for mistake in config.unwrap_err() {
            let place = &mistake.place;
            let before = &source.text[..place.span.start];
            assert_eq!(place.line, before.matches('\n').count() + 1, "{}: {mistake}", path.display());
            assert!(source.text.is_char_boundary(place.span.end), "{}: {mistake}", path.display());
        }
    }
}

#[test]
fn every_good_config_and_every_example_is_read() {
    for folder in ["tests/cases/config/good", "examples"] {
        for path in configs(folder) {
            let (source, config) = read_case(&path);
            if let Err(mistakes) = config {
                panic!("{}\n{}", path.display(), render(&source, &mistakes));
            }
        }
    }
}

#[test]
fn every_key_of_the_schema_is_used_in_some_good_config() {
    let mut used = BTreeSet::new();
    for folder in ["tests/cases/config/good", "examples"] {
        for path in configs(folder) {
            let table: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
            note_keys(&serde_json::to_value(table).unwrap(), &config::json_schema(), "", &mut used);
        }
    }
    let mut known = BTreeSet::new();
    schema_keys(&config::json_schema(), "", &mut known);
    assert_eq!(used, known);
}

/// The keys of a document as the schema names them: `plugins.*.limits.time`.
fn note_keys(value: &Value, schema: &Value, path: &str, out: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        if let Some(known) = schema["properties"].get(key) {
            let path = format!("{path}.{key}");
            note_keys(value, known, &path, out);
            out.insert(path);
        } else if schema["additionalProperties"].is_object() {
            note_keys(value, &schema["additionalProperties"], &format!("{path}.*"), out);
        }
    }
}

fn schema_keys(schema: &Value, path: &str, out: &mut BTreeSet<String>) {
    for (key, known) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        schema_keys(known, &path, out);
        out.insert(path);
    }
    if schema["additionalProperties"].is_object() {
        schema_keys(&schema["additionalProperties"], &format!("{path}.*"), out);
    }
}

#[test]
fn the_json_schema_is_the_one_in_the_repository() {
    let text = serde_json::to_string_pretty(&config::json_schema()).unwrap() + "\n";
    compare(&root().join("host/core/bailiwick.schema.json"), &text);
}

#[test]
fn the_json_schema_accepts_what_is_read_and_knows_misspelt_keys() {
    let validator = jsonschema::validator_for(&config::json_schema()).unwrap();
    for folder in ["tests/cases/config/good", "examples"] {
        for path in configs(folder) {
            let table: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
            let document = serde_json::to_value(table).unwrap();
            assert!(validator.is_valid(&document), "{}: {:?}", path.display(), validator.validate(&document));
        }
    }
    assert!(!validator.is_valid(&serde_json::json!({ "plugins": { "a": { "nett": [] } } })));
}

fn plugin(text: &str) -> config::Plugin {
    let source = Source { name: "bailiwick.toml".into(), text: text.into(), base: "/srv/app".into() };
    let config = read(&source, &environment).unwrap_or_else(|mistakes| panic!("{}", render(&source, &mistakes)));
    config.plugins.into_iter().next().unwrap()
}

const RULES: &str = r#"
[plugins.a]
component = "builtin:a"
net = ["https://api.example.com"]
fs = ["./papers:/papers:rw"]
approval = "always"
arguments = { maxProperties = 8 }
inject = { region = "eu", depth = 1 }
limits.time = "20s"
secrets.KEY = { env = "KEY", reveal = true }

[plugins.a.tools."*"]
allow = false
net = []
limits = { time = "10s", memory = "8MiB" }
arguments = { maxProperties = 4 }
inject = { depth = 2, lang = "en" }

[plugins.a.tools.get]
allow = true
net = ["GET https://api.example.com/v1/**"]
secrets = []
approval = "never"
limits.time = "1s"
inject = { depth = 3 }

[plugins.a.tools.list]
fs = ["./papers/lists"]
"#;

#[test]
fn a_tools_rule_wins_over_the_rule_for_all_which_wins_over_the_plugin() {
    let plugin = plugin(RULES);
    let get = plugin.rules_for("get");
    assert!(get.allowed);
    assert_eq!(
        get.grants.net.iter().map(|grant| grant.text()).collect::<Vec<_>>(),
        ["GET https://api.example.com/v1/**"]
    );
    assert_eq!(get.grants.fs.first().unwrap().guest, "/papers");
    assert!(get.grants.secrets.is_empty());
    assert_eq!((get.grants.table.as_str(), get.grants.at.as_str()), ("plugins.a.tools.get", "bailiwick.toml:19"));
    assert_eq!(get.approval, config::Approval::Never);
    assert_eq!(get.limits.time.as_secs(), 1);
    assert_eq!(get.limits.memory, 8 << 20);
    assert_eq!(Value::Array(get.arguments), serde_json::json!([{ "maxProperties": 8 }, { "maxProperties": 4 }]));
    assert_eq!(Value::Object(get.inject), serde_json::json!({ "region": "eu", "depth": 3, "lang": "en" }));
}

#[test]
fn what_a_tools_rule_leaves_out_the_rule_for_all_says() {
    let plugin = plugin(RULES);
    let list = plugin.rules_for("list");
    assert!(!list.allowed, "nothing said that it is allowed, and the rule for all says that it is not");
    assert!(list.grants.net.is_empty());
    assert_eq!(list.grants.fs.first().unwrap().guest, "/papers/lists");
    assert_eq!(list.grants.secrets.len(), 1);
    assert_eq!(list.approval, config::Approval::Always);

    let other = plugin.rules_for("other");
    assert!(!other.allowed);
    assert_eq!(other.grants.table, r#"plugins.a.tools."*""#);
}

#[test]
fn without_rules_a_tool_has_what_its_plugin_has_and_nothing_is_what_is_not_written() {
    let bare = plugin("[plugins.a]\ncomponent = \"builtin:a\"");
    let tool = bare.rules_for("any");
    assert!(tool.allowed && tool.grants.net.is_empty() && tool.grants.fs.is_empty() && tool.grants.secrets.is_empty());
    assert!(std::sync::Arc::ptr_eq(&tool.grants, &bare.grants));
    assert!(tool.authority().changes_nothing && !tool.authority().reaches_network);
    let granted = plugin(RULES).rules_for("get");
    assert!(!granted.authority().changes_nothing && granted.authority().reaches_network);
}

#[test]
fn no_value_that_may_be_a_credential_is_in_a_debug_text() {
    let plugin = plugin(
        "[plugins.a]\ncomponent = \"builtin:a\"\nenv = { A = \"canary\" }\nconfig = { b = \"canary\" }\n\
         inject = { c = \"canary\" }\n[plugins.a.tools.x]\ninject = { d = \"canary\" }",
    );
    assert!(!format!("{plugin:?} {:?}", plugin.rules_for("x")).contains("canary"));
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let source = Source { name: "bailiwick.toml".into(), text: "#".repeat((1 << 20) + 1), base: "/srv/app".into() };
    assert_eq!(read(&source, &environment).unwrap_err().len(), 1);
}

/// Whatever is cut off or changed in a config: an answer, never a panic, and what is read has no mistake.
#[test]
fn a_damaged_config_is_answered() {
    for path in configs("tests/cases/config/good").into_iter().chain(configs("examples")) {
        let text = fs::read_to_string(&path).unwrap();
        let cuts = text.char_indices().map(|(at, _)| at).step_by(7);
        for at in cuts {
            for damaged in [text[..at].to_owned(), format!("{}\u{1b}\"{}", &text[..at], &text[at..])] {
                let source = Source { name: "damaged.toml".into(), text: damaged, base: "/srv/app".into() };
                if let Err(mistakes) = read(&source, &environment) {
                    assert!(!mistakes.is_empty() && !render(&source, &mistakes).contains('\u{1b}'));
                }
            }
        }
    }
}

#[test]
fn where_the_file_says_nothing_of_telemetry_the_standard_variables_do() {
    let telemetry = |text: &str, endpoint: &str, part: &str| {
        let env = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.to_owned()),
            "OTEL_TRACES_SAMPLER_ARG" => Some(part.to_owned()),
            _ => None,
        };
        let source = Source { name: "b.toml".to_owned(), text: text.to_owned(), base: "/srv".into() };
        let config = read(&source, &env).unwrap_or_else(|mistakes| panic!("{}", render(&source, &mistakes)));
        (config.telemetry.otlp.map(String::from), config.telemetry.sample)
    };
    let there = |url: &str| Some(url.to_owned());
    assert_eq!(telemetry("", "http://otel:4318", "0.25"), (there("http://otel:4318/"), 25));
    let own = "[telemetry]\notlp = \"https://other\"\nsample = 7";
    assert_eq!(telemetry(own, "http://otel:4318", "0.25"), (there("https://other/"), 7));
    for nonsense in ["", "otel:4318", "ftp://otel", "http://user:password@otel"] {
        assert_eq!(telemetry("[telemetry]", nonsense, "much"), (None, 100), "{nonsense}");
    }
    assert_eq!(telemetry("", "", "-1").1, 100);
    assert_eq!(telemetry("", "", "1.5").1, 100);
}
