//! `read`: a window of lines of a text file, or a whole small image.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};

use bailiwick_sdk::schemars::JsonSchema;
use bailiwick_sdk::serde::Serialize;
use bailiwick_sdk::{Content, Failure, Output};

use crate::text::{self, MAX_CHARS};
use bailiwick_plugin_common::grants::{Grants, Place};
use bailiwick_plugin_common::trouble::{self, Wish};

/// Which lines to give.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// The first line, from 0; none: 0.
    pub(crate) offset: Option<u64>,
    /// How many; none: all that fit.
    pub(crate) limit: Option<u64>,
}

/// What `read` gave.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(crate = "bailiwick_sdk::serde")]
#[schemars(crate = "bailiwick_sdk::schemars")]
pub(crate) struct Summary {
    /// The file.
    path: String,
    /// How many lines are given. 0 for an image.
    lines: u64,
    /// How many lines the file has; left out where that is not known without reading a large file to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_lines: Option<u64>,
    /// The `offset` to read on from; left out at the end of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u64>,
    /// Whether less is given than was asked for, because it would be too much.
    truncated: bool,
    /// The media type, of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'static str>,
}

/// Reads the file `written`.
///
/// # Errors
///
/// `denied.*`, `tool.not-found`; `arguments.invalid` for a directory; `tool.failed` for what is no text and no image.
pub(crate) fn read(grants: &Grants, written: &str, window: Window) -> Result<Output, Failure> {
    if window.limit == Some(0) {
        return Err(Failure::invalid("`limit` is 0; ask for at least one line."));
    }
    let place = grants.find("filePath", written, Wish::Read)?;
    let fail = |error: io::Error| Wish::Read.failure(written, &error);
    let n_bytes = regular_size(&place)?;
    let mut file = File::open(&place.path).map_err(fail)?;
    let mut head = Vec::new();
    file.by_ref().take(SNIFFED).read_to_end(&mut head).map_err(fail)?;
    if head.contains(&0) {
        return image(&place, n_bytes, head, file);
    }
    let head = Cursor::new(head.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(head));
    let excerpt = Excerpt::of(BufReader::with_capacity(BUFFER, head.chain(file)), window).map_err(fail)?;
    let summary = excerpt.summary(text::of_path(&place.path));
    Ok(Output::text(excerpt.text(window)).with_structured(&summary))
}

/// How far to look for a NUL byte, which text does not have.
const SNIFFED: u64 = 8 << 10;

const BUFFER: usize = 64 << 10;

/// The size of the regular file at `place`. Looks before anything is opened: opening a pipe waits for its other end.
fn regular_size(place: &Place) -> Result<u64, Failure> {
    let written = &place.written;
    let metadata = fs::metadata(&place.path).map_err(|error| Wish::Read.failure(written, &error))?;
    if metadata.is_dir() {
        return Err(trouble::is_directory(written));
    }
    if !metadata.is_file() {
        return Err(trouble::is_not_regular(written));
    }
    if place.directory {
        return Err(trouble::not_found(written));
    }
    Ok(metadata.len())
}

/// Largest image given: what model providers take.
const MAX_IMAGE: u64 = 5 << 20;

fn image(place: &Place, n_bytes: u64, mut data: Vec<u8>, file: File) -> Result<Output, Failure> {
    let written = &place.written;
    let Some(mime_type) = image_type(&data) else {
        return Err(Failure::failed(format!("{written} is a binary file ({n_bytes} bytes), which cannot be shown.")));
    };
    let missing = (MAX_IMAGE + 1).saturating_sub(SNIFFED);
    file.take(missing).read_to_end(&mut data).map_err(|error| Wish::Read.failure(written, &error))?;
    if u64::try_from(data.len()).unwrap_or(u64::MAX) > MAX_IMAGE {
        let why = format!("{written} is an image of {n_bytes} bytes; at most {MAX_IMAGE} can be shown.");
        return Err(Failure::failed(why));
    }
    let summary = Summary {
        path: text::of_path(&place.path),
        mime_type: Some(mime_type),
        total_lines: None,
        ..Summary::default()
    };
    Ok(Output::from(Content::image(data, mime_type)).with_structured(&summary))
}

fn image_type(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// Lines of a text, and what is known about the rest.
#[derive(Debug, Default)]
struct Excerpt {
    lines: String,
    n_lines: u64,
    /// The lines before and in the excerpt, and those after it as far as they were counted.
    n_seen: u64,
    /// Whether `n_seen` is all of them.
    at_end: bool,
    next: Option<u64>,
    truncated: bool,
}

/// Longest part of a line kept. More never fits: it is more than `MAX_CHARS` characters even at four bytes each.
const MAX_LINE: usize = 1 << 20;

/// How far to read on to count a file's lines. Reading that much takes a few milliseconds.
const COUNTED: u64 = 8 << 20;

impl Excerpt {
    fn of(mut source: impl BufRead, window: Window) -> io::Result<Self> {
        let mut excerpt = Self::default();
        let offset = window.offset.unwrap_or(0);
        while excerpt.n_seen < offset {
            if skip_line(&mut source)? == 0 {
                excerpt.at_end = true;
                return Ok(excerpt);
            }
            excerpt.n_seen += 1;
        }
        excerpt.take(&mut source, window.limit.unwrap_or(u64::MAX))?;
        let next = offset.saturating_add(excerpt.n_lines);
        excerpt.count_rest(&mut source)?;
        if excerpt.n_seen > next {
            excerpt.next = Some(next);
            let kept = excerpt.lines.trim_end_matches('\n').len().max(excerpt.lines.len().saturating_sub(1));
            excerpt.lines.truncate(kept);
        }
        Ok(excerpt)
    }

    /// Takes lines until there are `limit`, or no more of them, or no more room.
    fn take(&mut self, source: &mut impl BufRead, limit: u64) -> io::Result<()> {
        let mut room = MAX_CHARS;
        let mut line = Vec::new();
        while self.n_lines < limit {
            line.clear();
            let n_bytes = read_line(source, &mut line)?;
            if n_bytes == 0 {
                return Ok(());
            }
            self.n_seen += 1;
            let shown = String::from_utf8_lossy(&line);
            let n_chars = shown.chars().count();
            if n_chars <= room {
                room -= n_chars;
                self.lines.push_str(&shown);
                self.n_lines += 1;
                continue;
            }
            self.truncated = true;
            if self.n_lines == 0 {
                // Alone it would never fit.
                let kept = text::cut(&shown, MAX_CHARS).unwrap_or(&shown);
                self.lines = format!("{kept}… [this line has {n_bytes} bytes; the rest of it is left out]\n");
                self.n_lines = 1;
            }
            return Ok(());
        }
        Ok(())
    }

    fn count_rest(&mut self, source: &mut impl BufRead) -> io::Result<()> {
        let mut rest = source.take(COUNTED);
        while skip_line(&mut rest)? != 0 {
            self.n_seen += 1;
        }
        // With all of it used up, the last line counted may be half a line.
        self.at_end = rest.limit() > 0;
        Ok(())
    }

    fn total(&self) -> Option<u64> {
        self.at_end.then_some(self.n_seen)
    }

    fn summary(&self, path: String) -> Summary {
        Summary {
            path,
            lines: self.n_lines,
            total_lines: self.total(),
            next_offset: self.next,
            truncated: self.truncated,
            mime_type: None,
        }
    }

    fn text(self, window: Window) -> String {
        let offset = window.offset.unwrap_or(0);
        let total = self.total();
        let note = if total == Some(0) {
            "The file is empty.".to_owned()
        } else if self.n_lines == 0 {
            format!("There is no line {offset}: the file has {} lines, counted from 0.", self.n_seen)
        } else if self.truncated && self.next.is_none() {
            "Truncated: the line is too long to be given whole. Use grep to look inside.".to_owned()
        } else if let (true, Some(next)) = (self.truncated, self.next) {
            let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
            format!("Truncated: this is line {offset} to {}{of}. Read on with offset={next}.", next - 1)
        } else {
            return self.lines;
        };
        text::with_notes(self.lines, &[note])
    }
}

/// Reads to the end of the line, keeping at most [`MAX_LINE`] bytes; how many bytes there were.
fn read_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let n_read = source.by_ref().take(MAX_LINE as u64).read_until(b'\n', line)?;
    let mut n_bytes = n_read as u64;
    if n_read == MAX_LINE && line.last() != Some(&b'\n') {
        n_bytes += skip_line(source)?;
    }
    Ok(n_bytes)
}

fn skip_line(source: &mut impl BufRead) -> io::Result<u64> {
    source.skip_until(b'\n').map(|n_bytes| n_bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Folder;

    #[track_caller]
    fn check(content: &str, offset: Option<u64>, limit: Option<u64>, expected: &str) -> String {
        let folder = Folder::new(&[("a.txt", content)]);
        let output = read(&folder.grants, "a.txt", Window { offset, limit }).unwrap();
        assert_eq!(vec![Content::text(expected)], output.content);
        output.structured.unwrap().replace(&folder.root(), "")
    }

    #[test]
    fn a_file_is_given_as_it_is() {
        let structured = check("eins\r\n  zwei\n", None, None, "eins\r\n  zwei\n");
        assert_eq!(r#"{"path":"/a.txt","lines":2,"total_lines":2,"truncated":false}"#, structured);
        check("no end", None, None, "no end");
        check("\u{feff}mark", None, None, "mark");
        check("", None, None, "[The file is empty.]");
    }

    #[test]
    fn a_window_is_given_without_the_last_line_break() {
        let structured = check("a\nb\nc\nd\n", Some(1), Some(2), "b\nc");
        assert_eq!(r#"{"path":"/a.txt","lines":2,"total_lines":4,"next_offset":3,"truncated":false}"#, structured);
        check("a\nb\n\n\nd\n", Some(1), Some(2), "b\n");
        check("a\nb\nc\n", Some(2), Some(9), "c\n");
        check("a\nb", Some(1), Some(1), "b");
    }

    #[test]
    fn numbers_without_bounds_are_harmless() {
        check("a\nb\n", Some(1), Some(u64::MAX), "b\n");
        check(
            "a\nb\n",
            Some(u64::MAX),
            None,
            &format!("[There is no line {}: the file has 2 lines, counted from 0.]", u64::MAX),
        );
        check("a\nb\n", Some(2), None, "[There is no line 2: the file has 2 lines, counted from 0.]");
        let folder = Folder::new(&[("a.txt", "a")]);
        let none = read(&folder.grants, "a.txt", Window { offset: None, limit: Some(0) });
        assert_eq!(Err(Failure::invalid("`limit` is 0; ask for at least one line.")), none);
    }

    #[test]
    fn what_is_too_much_names_the_offset_to_read_on_from() {
        let line = "ä".repeat(39_999) + "\n";
        let shown =
            format!("{line}{}\n\n[Truncated: this is line 0 to 1 of 5. Read on with offset=2.]", line.trim_end());
        let structured = check(&line.repeat(5), None, None, &shown);
        assert_eq!(r#"{"path":"/a.txt","lines":2,"total_lines":5,"next_offset":2,"truncated":true}"#, structured);
    }

    #[test]
    fn a_line_that_never_fits_is_cut() {
        let content = "x".repeat(3 << 20) + "\nnext\n";
        let shown = format!(
            "{}… [this line has 3145729 bytes; the rest of it is left out]\n\n[Truncated: this is line 0 to 0 of 2. Read on with offset=1.]",
            "x".repeat(MAX_CHARS)
        );
        check(&content, None, None, &shown);
        check(&content, Some(1), None, "next\n");
    }

    #[test]
    fn the_lines_of_a_large_file_are_not_counted() {
        let structured = check(&"0123456789\n".repeat(1 << 20), Some(5), Some(1), "0123456789");
        assert_eq!(r#"{"path":"/a.txt","lines":1,"next_offset":6,"truncated":false}"#, structured);
    }

    #[track_caller]
    fn check_failure(folder: &Folder, path: &str, expected: Failure) {
        assert_eq!(Err(expected), read(&folder.grants, path, Window::default()));
    }

    #[test]
    fn what_is_no_readable_file_is_named() {
        let folder = Folder::new(&[("dir/a.txt", "a"), ("b.bin", "a\0b")]);
        check_failure(&folder, "none", Failure::not_found("File not found: none"));
        check_failure(&folder, "dir/a.txt/b", Failure::not_found("File not found: dir/a.txt/b"));
        check_failure(&folder, "dir/a.txt/", Failure::not_found("File not found: dir/a.txt/"));
        check_failure(&folder, "dir", Failure::invalid("dir is a directory; use glob to see what is in it."));
        check_failure(&folder, "b.bin", Failure::failed("b.bin is a binary file (3 bytes), which cannot be shown."));
        check_failure(&folder, "/etc/passwd", Failure::denied_read("/etc/passwd"));
        check_failure(&folder, "../x", Failure::denied_read("../x"));
    }

    #[test]
    fn a_device_is_never_opened() {
        let why = "/dev/null is not a regular file but a device, a pipe or a socket.";
        assert_eq!(Err(Failure::failed(why)), read(&Grants::new(["/dev"]), "/dev/null", Window::default()));
    }

    #[test]
    fn an_image_is_given_as_one_up_to_its_limit() {
        let folder = Folder::new(&[]);
        let png = |n_bytes: usize| {
            let mut data = b"\x89PNG\r\n\x1a\n".to_vec();
            data.resize(n_bytes, 0);
            fs::write(folder.path("a.png"), &data).unwrap();
            data
        };
        for n_bytes in [20, 5 << 20] {
            let data = png(n_bytes);
            let output = read(&folder.grants, "a.png", Window::default()).unwrap();
            assert_eq!(vec![Content::image(data, "image/png")], output.content);
        }
        png((5 << 20) + 1);
        let why = "a.png is an image of 5242881 bytes; at most 5242880 can be shown.";
        check_failure(&folder, "a.png", Failure::failed(why));
    }
}
