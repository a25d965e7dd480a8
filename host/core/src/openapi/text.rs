//! Texts of a document that a model will read: without what is hidden in them, and not too long.

use serde_json::Value;

use crate::redact::is_invisible;

/// Bytes of what is said of an operation.
pub(super) const MOST_OF_OPERATION: usize = 8 << 10;
/// Bytes of what is said of an argument or a part of one.
pub(super) const MOST_OF_PART: usize = 1 << 10;
/// Bytes of a title.
pub(super) const MOST_OF_TITLE: usize = 120;

/// `text` without hidden characters and of at most `most` bytes.
pub(super) fn clean(text: &str, most: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(most));
    for character in text.trim().chars().filter(|character| !is_invisible(*character)) {
        if clean.len() + character.len_utf8() + '…'.len_utf8() > most {
            clean.push('…');
            break;
        }
        clean.push(character);
    }
    clean
}

/// The same on one line.
pub(super) fn line(text: &str, most: usize) -> String {
    let start: String = text.chars().take(8 * most).collect();
    clean(&start.split_whitespace().collect::<Vec<_>>().join(" "), most)
}

/// Whether a value has a hidden character in it anywhere.
pub(super) fn hides(value: &Value) -> bool {
    match value {
        Value::String(text) => hidden(text),
        Value::Array(items) => items.iter().any(hides),
        Value::Object(fields) => fields.iter().any(|(name, field)| hidden(name) || hides(field)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

pub(super) fn hidden(text: &str) -> bool {
    text.chars().any(is_invisible)
}
