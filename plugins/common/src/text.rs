//! Making text plain and bounded.

use std::path::Path;

/// The path as one line. A name can hold line breaks, and could so pass for more lines than it is.
#[must_use]
pub fn of_path(path: &Path) -> String {
    let path = path.to_string_lossy();
    let mut line = String::with_capacity(path.len());
    for c in path.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// The first `n_chars` characters of `text`; none left out: `None`.
#[must_use]
pub fn cut(text: &str, n_chars: usize) -> Option<&str> {
    text.char_indices().nth(n_chars).map(|(end, _)| &text[..end])
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
