//! Making text of what is on the disk: plain, bounded, one thing per line.

use std::path::Path;

/// Most characters in one answer: what the tools of other systems give.
pub(crate) const MAX_CHARS: usize = 100_000;

/// The path as one line. A name can hold line breaks, and could so pass for more lines than it is.
pub(crate) fn of_path(path: &Path) -> String {
    let path = path.to_string_lossy();
    let mut line = String::with_capacity(path.len());
    for c in path.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// The first `n_chars` characters of `text`; none left out: `None`.
pub(crate) fn cut(text: &str, n_chars: usize) -> Option<&str> {
    text.char_indices().nth(n_chars).map(|(end, _)| &text[..end])
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_always_one_line() {
        assert_eq!("/a/b\\nc\\u{1b}[31m/ü", of_path(Path::new("/a/b\nc\u{1b}[31m/ü")));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(Some("üü"), cut("üüü", 2));
        assert_eq!(None, cut("üüü", 3));
    }
}
