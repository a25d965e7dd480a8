//! Finds where a key stands, for what is told about a configuration that is right.

use toml::de::{DeTable, DeValue};

use super::mistake::{Lines, Place};

/// The place of the key at the end of `path`, such as `["plugins", "fetch", "approval"]`; of a key that is not there,
/// the place of the innermost table on the way that is. None when not even the first is.
pub fn locate(text: &str, path: &[&str]) -> Option<Place> {
    let (root, _) = DeTable::parse_recoverable(text);
    let (mut table, mut found) = (root.get_ref(), None);
    for key in path {
        let Some((key, value)) = table.get_key_value(*key) else { break };
        found = Some(key.span());
        let DeValue::Table(inner) = value.get_ref() else { break };
        table = inner;
    }
    found.map(|span| Lines::of(text).place(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "[plugins.a]\napproval = 'never'\nlimits.time = '1s'\n\n[plugins.\"b c\".tools.x]\nallow = false\n";

    #[track_caller]
    fn check(path: &[&str], expected: Option<(usize, usize, &str)>) {
        let found = locate(TEXT, path).map(|place| (place.line, place.column, &TEXT[place.span]));
        assert_eq!(found, expected, "{path:?}");
    }

    #[test]
    fn a_key_is_found_where_it_stands() {
        check(&["plugins", "a"], Some((1, 10, "a")));
        check(&["plugins", "a", "approval"], Some((2, 1, "approval")));
        check(&["plugins", "a", "limits", "time"], Some((3, 8, "time")));
        check(&["plugins", "b c", "tools", "x", "allow"], Some((6, 1, "allow")));
    }

    #[test]
    fn of_a_key_that_is_not_there_the_table_around_it_is() {
        check(&["plugins", "a", "net"], Some((1, 10, "a")));
        check(&["plugins", "a", "approval", "deeper"], Some((2, 1, "approval")));
        check(&["nothing"], None);
        check(&[], None);
    }
}
