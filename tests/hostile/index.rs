//! Holds the catalogue to its word: every case is there, and every test it names.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

/// The groups of the catalogue and how many cases each has.
const GROUPS: [(&str, usize); 14] = [
    ("RES", 48),
    ("CMP", 18),
    ("FS", 33),
    ("NET", 80),
    ("SEC", 22),
    ("CFG", 22),
    ("API", 32),
    ("MCP", 36),
    ("SH", 24),
    ("OAS", 24),
    ("STO", 20),
    ("SUP", 16),
    ("ISO", 6),
    ("AUD", 7),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What the catalogue says of one case.
pub(crate) enum Entry {
    Covered(Vec<String>),
    LeftOut(String),
}

pub(crate) fn entry(id: &str, value: &Value) -> Entry {
    let table = value.as_table().unwrap_or_else(|| panic!("{id} is no table"));
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    assert!(table.contains_key("what") && table.len() == 2, "{id} has `what`, and `by` or `left_out`");
    match (table.get("by"), table.get("left_out")) {
        (Some(by), None) => Entry::Covered(texts(by)),
        (None, Some(reason)) => Entry::LeftOut(reason.as_str().unwrap_or_default().to_owned()),
        _ => panic!("{id} has neither `by` nor `left_out`"),
    }
}

/// The file a test is in, by its path: `tests/hostile/files.rs` for `hostile::files::name`, `host/…` for the crates'.
fn source(path: &str) -> Option<String> {
    let (module, _) = path.rsplit_once("::")?;
    let places = match module.split_once("::") {
        Some(("core", rest)) => {
            vec![format!("host/core/src/{}.rs", rest.replace("::", "/")), format!("host/core/tests/{rest}.rs")]
        }
        Some(("host", rest)) => {
            let rest = rest.replace("::", "/");
            vec![format!("host/bailiwick/src/{rest}.rs"), format!("host/bailiwick/src/{rest}/mod.rs")]
        }
        Some(("plugins", rest)) => {
            let (plugin, file) = rest.split_once("::")?;
            vec![format!("plugins/{plugin}/src/{}.rs", file.replace("::", "/"))]
        }
        Some(_) | None => vec![format!("tests/{}.rs", module.replace("::", "/"))],
    };
    places.iter().find_map(|place| std::fs::read_to_string(root().join(place)).ok())
}

/// Whether there is such a test.
pub(crate) fn exists(path: &str) -> bool {
    let name = path.rsplit("::").next().unwrap_or_default();
    let Some(text) = source(path) else { return false };
    let function = format!("fn {name}(");
    let Some((before, _)) = text.split_once(&function) else { return false };
    let attributes: Vec<&str> = before.lines().rev().take(5).collect();
    attributes.iter().any(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
}

#[test]
fn every_case_of_the_catalogue_has_its_test_or_its_reason() {
    let text = std::fs::read_to_string(root().join("tests/cases/catalogue.toml")).expect("there is a catalogue");
    let catalogue: Table = text.parse().expect("the catalogue is TOML");
    let mut totals = (0, 0, 0);
    let mut missing = Vec::new();
    for (group, count) in GROUPS {
        let cases = catalogue.get(group).and_then(Value::as_table).unwrap_or_else(|| panic!("no group {group}"));
        let known: BTreeMap<usize, &Value> = cases
            .iter()
            .map(|(id, value)| (id.parse().unwrap_or_else(|_| panic!("{group}-{id} is no number")), value))
            .collect();
        assert_eq!(known.keys().copied().collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>(), "the ids of {group}");
        let (mut covered, mut left_out) = (0, 0);
        for (id, value) in known {
            let id = format!("{group}-{id}");
            match entry(&id, value) {
                Entry::Covered(tests) => {
                    assert!(!tests.is_empty(), "{id} names no test");
                    missing.extend(tests.iter().filter(|test| !exists(test)).map(|test| format!("{id}: {test}")));
                    covered += 1;
                }
                Entry::LeftOut(reason) => {
                    assert!(reason.len() > 10, "{id} gives no reason");
                    left_out += 1;
                }
            }
        }
        println!("measured: {group:<4} {count:>3} cases, {covered:>3} covered, {left_out:>3} left out with a reason");
        totals = (totals.0 + count, totals.1 + covered, totals.2 + left_out);
    }
    assert!(missing.is_empty(), "the catalogue names tests that are not there:\n{}", missing.join("\n"));
    assert_eq!(catalogue.len(), GROUPS.len(), "no other group");
    println!("measured: all  {:>3} cases, {:>3} covered, {:>3} left out with a reason", totals.0, totals.1, totals.2);
}

#[test]
fn every_component_written_as_text_is_used() {
    let folder = root().join("tests/hostile");
    let text: String = std::fs::read_dir(folder)
        .expect("it is there")
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| std::fs::read_to_string(entry.path()).expect("it can be read"))
        .collect();
    for name in crate::support::raw::names() {
        assert!(name == "plain" || text.contains(&format!("\"{name}\"")), "no test uses guests/raw/{name}.wat");
    }
}
