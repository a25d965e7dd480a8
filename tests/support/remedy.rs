//! Takes a refusal at its word: puts the line it names into the configuration.

use toml::{Table, Value};

/// The configuration `text` with every line that `sentence` tells to add: ``add `LINE` and `LINE` under `[TABLE]` (…)``.
pub(crate) fn applied(text: &str, sentence: &str) -> String {
    let mut config: Table = text.parse().expect("the configuration is TOML");
    let mut rest = sentence;
    let mut lines: Vec<Table> = Vec::new();
    let mut n_applied = 0;
    while let Some((_, from)) = rest.split_once('`') {
        let (quoted, after) = from.split_once('`').expect("backticks come in pairs");
        match quoted.strip_prefix('[').and_then(|table| table.strip_suffix(']')) {
            Some(path) => {
                assert!(after.starts_with(" (bailiwick.toml:"), "the place is named: {sentence}");
                for line in lines.drain(..) {
                    merge(table(&mut config, path), line);
                    n_applied += 1;
                }
            }
            None => lines.extend(quoted.parse::<Table>()),
        }
        rest = after;
    }
    assert!(n_applied > 0, "nothing to add is named: {sentence}");
    toml::to_string(&config).expect("TOML can be written")
}

/// The configuration `text` with the tables of `lines`, which are TOML.
pub(crate) fn merged(text: &str, lines: &str) -> String {
    let mut config: Table = text.parse().expect("the configuration is TOML");
    merge(&mut config, lines.parse().unwrap_or_else(|error| panic!("{error}: {lines}")));
    toml::to_string(&config).expect("TOML can be written")
}

/// The table at `plugins.x.tools.y`, made where it is missing.
fn table<'t>(config: &'t mut Table, path: &str) -> &'t mut Table {
    path.split('.').fold(config, |table, key| {
        let entry = table.entry(key.trim_matches('"')).or_insert_with(|| Value::Table(Table::new()));
        entry.as_table_mut().expect("a table")
    })
}

fn merge(into: &mut Table, line: Table) {
    for (key, value) in line {
        match (into.get_mut(&key), value) {
            (Some(Value::Array(known)), Value::Array(more)) => {
                // A directory that is granted anew takes the place of the grant that was too narrow.
                let bare = |item: &Value| {
                    item.as_str().map(|text| text.trim_end_matches(":ro").trim_end_matches(":rw").to_owned())
                };
                known.retain(|item| !more.iter().any(|new| bare(new) == bare(item)));
                known.extend(more);
            }
            (Some(Value::Table(known)), Value::Table(more)) => merge(known, more),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
