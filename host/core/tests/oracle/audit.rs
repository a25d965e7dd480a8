//! What is written for people and programs: one line of JSON for each record, with nothing in it that a terminal acts on.

use bailiwick_core::redact::{visible, visible_json};
use serde_json::{Map, Value};

use super::is_plain;

/// Lines: the fields of a record, in which everything may stand.
pub fn input(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    check(text.split('\u{1e}'));
}

/// Writes a record with these texts as names and values, and reads it back.
pub fn check<'t>(texts: impl Iterator<Item = &'t str>) {
    let mut record = Map::new();
    for (at, text) in texts.enumerate() {
        record.insert(format!("field{at}"), text.into());
        record.insert(text.to_owned(), Value::from(vec![text, text]));
        check_visible(text);
    }
    let record = Value::Object(record);
    let line = record.to_string();
    let line = visible_json(&line);
    assert!(is_plain(&line) && !line.contains(['\n', '\r', '\t']), "{line:?}");
    assert_eq!(serde_json::from_str::<Value>(&line).ok(), Some(record), "{line:?}");
    // The same for JSON that is laid out for people.
    let pretty = format!("{:#}", serde_json::from_str::<Value>(&line).unwrap_or_default());
    assert!(is_plain(&visible_json(&pretty)), "{pretty:?}");
}

fn check_visible(text: &str) {
    let shown = visible(text);
    assert!(is_plain(&shown), "{shown:?}");
    assert_eq!(visible(&shown), shown, "{text:?}");
    if is_plain(text) && !text.contains(|character| matches!(u32::from(character), 0x2028..=0x206f)) {
        assert_eq!(shown, text);
    }
}
