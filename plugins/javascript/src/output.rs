//! What a run prints: its lines, joined by line breaks, up to a size.

use crate::bindings::bailiwick::host::artifact;

/// The most of it that is given, in bytes: half of it from the start, half from the end.
const MOST: usize = 96 << 10;
/// The most that is kept for the artifact.
const MOST_KEPT: usize = 8 << 20;

/// The lines so far.
#[derive(Debug)]
pub(crate) struct Console {
    kept: String,
    /// The last of what was not kept.
    tail: String,
    left_out: usize,
    is_empty: bool,
}

/// What was printed, as it is given.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) text: String,
    pub(crate) artifact: Option<String>,
}

impl Console {
    pub(crate) const fn new() -> Self {
        Self { kept: String::new(), tail: String::new(), left_out: 0, is_empty: true }
    }

    /// Adds a line, which may itself have line breaks.
    pub(crate) fn line(&mut self, text: &str) {
        if !self.is_empty {
            self.add("\n");
        }
        self.is_empty = false;
        self.add(text);
    }

    fn add(&mut self, text: &str) {
        let room = MOST_KEPT - self.kept.len();
        let fits = text.len() <= room && self.left_out == 0;
        if fits && self.kept.try_reserve(text.len()).is_ok() {
            self.kept.push_str(text);
            return;
        }
        let text = &text[self.head(text)..];
        self.left_out += text.len();
        let end = &text[ceiling(text, text.len().saturating_sub(MOST / 2))..];
        if self.tail.len() + end.len() > MOST {
            let from = ceiling(&self.tail, self.tail.len().saturating_sub(MOST / 2));
            self.tail.drain(..from);
        }
        if self.tail.try_reserve(end.len()).is_ok() {
            self.tail.push_str(end);
        }
    }

    /// Keeps as much of a text as the start that is given has room for, and says how many bytes that was.
    fn head(&mut self, text: &str) -> usize {
        let start = &text[..floor(text, (MOST / 2).saturating_sub(self.kept.len()))];
        if self.left_out > 0 || self.kept.try_reserve(start.len()).is_err() {
            return 0;
        }
        self.kept.push_str(start);
        start.len()
    }

    /// What was printed: all of it, or its start and end, with the whole as an artifact.
    pub(crate) fn finish(self) -> Printed {
        let total = self.kept.len() + self.left_out;
        if self.left_out == 0 && total <= MOST {
            return Printed { text: self.kept, artifact: None };
        }
        let head = &self.kept[..floor(&self.kept, MOST / 2)];
        let last = if self.left_out > 0 { &self.tail } else { &self.kept };
        let tail = &last[ceiling(last, last.len().saturating_sub(MOST / 2))..];
        let middle = total - head.len() - tail.len();
        let text = format!("{head}\n[{middle} bytes left out]\n{tail}");
        let whole = self.left_out == 0;
        let artifact = whole.then(|| artifact::put("output.txt", "text/plain", self.kept.as_bytes()).ok()).flatten();
        Printed { text, artifact }
    }
}

/// The last boundary between characters at `index` or before.
fn floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The first boundary between characters at `index` or after.
fn ceiling(text: &str, index: usize) -> usize {
    (index..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
