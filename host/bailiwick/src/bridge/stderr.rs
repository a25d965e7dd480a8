//! The last lines that a server wrote beside the protocol: what an operator reads when it does not work.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use bailiwick_core::redact::brief;

/// Lines that are kept.
const MAX_LINES: usize = 100;
/// Bytes that are kept, as they came.
const MAX_BYTES: usize = 64 << 10;
/// Characters of a line that are kept.
const MAX_LINE: usize = 1_000;
/// Bytes taken in one go, and the pause after so many of them: nobody reads a flood.
const CHUNK: usize = 8 << 10;
const BURST: usize = 1 << 20;
const PAUSE: Duration = Duration::from_millis(50);

/// The last lines, with nothing in them that a terminal acts on.
#[derive(Debug, Default)]
pub(super) struct Ring(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Ring {
    /// Keeps a line, and lets go of the oldest that there is no room for.
    pub(super) fn push(&self, line: &str) {
        let line = brief(line.trim_end(), MAX_LINE);
        if line.is_empty() {
            return;
        }
        let mut kept = self.kept();
        kept.bytes += line.len();
        kept.lines.push_back(line);
        while kept.lines.len() > MAX_LINES || kept.bytes > MAX_BYTES {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
    }

    /// All that is kept, the oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.kept().lines.iter().cloned().collect()
    }

    /// The last few, as they can stand in a sentence; none if there is nothing.
    pub(super) fn last(&self, count: usize) -> Option<String> {
        let kept = self.kept();
        let first = kept.lines.len().saturating_sub(count);
        let lines: Vec<&str> = kept.lines.iter().skip(first).map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join(" | "))
    }

    /// Reads `stream` until it ends.
    pub(super) async fn read(&self, mut stream: impl AsyncRead + Unpin) {
        let (mut chunk, mut line, mut read) = (vec![0; CHUNK], Vec::new(), 0);
        loop {
            // What cannot be read is over.
            let count = stream.read(&mut chunk).await.unwrap_or(0);
            for piece in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
                // Of a line without an end the start is kept.
                let room = (4 * MAX_LINE).saturating_sub(line.len());
                line.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.ends_with(b"\n") {
                    self.push(&String::from_utf8_lossy(&line));
                    line.clear();
                }
            }
            if count == 0 {
                self.push(&String::from_utf8_lossy(&line));
                return;
            }
            read += count;
            if read >= BURST {
                read = 0;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hundred_lines_are_kept() {
        let ring = Ring::default();
        (0..250).for_each(|number| ring.push(&format!("line {number}\n")));
        let lines = ring.lines();
        assert_eq!((lines.len(), lines[0].as_str(), lines[99].as_str()), (100, "line 150", "line 249"));
        assert_eq!(ring.last(2).as_deref(), Some("line 248 | line 249"));
    }

    #[test]
    fn there_is_an_end_to_their_size() {
        let ring = Ring::default();
        (0..100).for_each(|_| ring.push(&"ä".repeat(5_000)));
        let sizes: Vec<usize> = ring.lines().iter().map(String::len).collect();
        assert!(sizes.iter().sum::<usize>() <= MAX_BYTES, "{sizes:?}");
        assert!(sizes.iter().all(|size| *size == 2 * MAX_LINE), "{sizes:?}");
    }

    #[tokio::test]
    async fn nothing_in_them_moves_a_cursor() {
        let ring = Ring::default();
        ring.read(&b"\x1b[31mred\x1b[0m\r\nbell\x07\n\xff\xfe no text\nwithout an end"[..]).await;
        assert_eq!(
            ring.lines(),
            ["\\u{1b}[31mred\\u{1b}[0m", "bell\\u{7}", "\u{fffd}\u{fffd} no text", "without an end"]
        );
    }
}
