//! Making text of what is on the disk: plain, bounded, one thing per line.

pub(crate) use bailiwick_plugin_common::text::{cut, of_path};

/// Most characters in one answer: what the tools of other systems give.
pub(crate) const MAX_CHARS: usize = 100_000;

/// The text with what a reader should know about it below, each note on a line of its own.
pub(crate) fn with_notes(mut text: String, notes: &[String]) -> String {
    if notes.is_empty() {
        return text;
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    let notes: Vec<String> = notes.iter().map(|note| format!("[{note}]")).collect();
    text + &notes.join("\n")
}
