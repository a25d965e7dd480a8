//! What a program says, in bounded memory: of a stream that is longer than it may be, its head and its tail.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// A stream as far as it is kept.
#[derive(Debug)]
pub(super) struct Spool {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes of the head, and as many of the tail.
    half: usize,
    n_left_out: u64,
}

impl Spool {
    /// Keeps at most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), half: most / 2, n_left_out: 0 }
    }

    /// Reads to the end of the stream; whoever writes is never kept waiting by what is kept.
    pub(super) async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) {
        let mut chunk = vec![0; CHUNK];
        // A stream that fails is at its end.
        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
            self.push(&chunk[..length]);
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..excess);
        self.n_left_out += excess as u64;
    }

    /// The stream as text: what is no UTF-8 as U+FFFD, and a line in place of what is left out.
    pub(super) fn into_text(mut self) -> String {
        let most = self.half * 2;
        if self.n_left_out == 0 {
            self.head.extend(self.tail.drain(..));
            let text = String::from_utf8_lossy(&self.head);
            // Bytes that are no text become three for one.
            return if text.len() <= most { text.into_owned() } else { shortened(&text, most) };
        }
        let n_kept = self.head.len() + self.tail.len();
        let (head, tail) = (whole_end(&self.head), whole_start(self.tail.make_contiguous()));
        let n_cut = n_kept - head.len() - tail.len();
        let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
        let (head, tail) = (first(&head, self.half), last(&tail, self.half));
        joined(head, self.n_left_out + n_cut as u64, tail)
    }
}

fn joined(head: &str, n_left_out: u64, tail: &str) -> String {
    format!("{head}\n[… {n_left_out} bytes left out here: more than is kept of one stream …]\n{tail}")
}

fn shortened(text: &str, most: usize) -> String {
    let (head, tail) = (first(text, most / 2), last(text, most / 2));
    joined(head, (text.len() - head.len() - tail.len()) as u64, tail)
}

fn first(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn last(text: &str, most: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(most))..]
}

/// Without a character at the end that was cut in two.
fn whole_end(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        Ok(_) | Err(_) => bytes,
    }
}

/// Without the rest of a character at the start.
fn whole_start(bytes: &[u8]) -> &[u8] {
    let n_rest = bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
    &bytes[n_rest..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spooled(most: usize, pieces: &[&[u8]]) -> String {
        let mut spool = Spool::new(most);
        for piece in pieces {
            spool.push(piece);
        }
        spool.into_text()
    }

    #[test]
    fn what_fits_is_kept_as_it_is() {
        assert_eq!(spooled(10, &[b"abc", b"defg", b"hij"]), "abcdefghij");
        assert_eq!(spooled(10, &[]), "");
        assert_eq!(spooled(8, &["aé".as_bytes(), "éé".as_bytes()]), "aééé");
    }

    #[test]
    fn of_what_does_not_fit_there_is_a_head_and_a_tail() {
        let text = spooled(10, &[b"0123456789", b"x".repeat(1_000).as_slice(), b"98765"]);
        assert_eq!(text, "01234\n[… 1005 bytes left out here: more than is kept of one stream …]\n98765");
        let text = spooled(9, &["ééé".as_bytes(), &b"x".repeat(9), "ééé".as_bytes()]);
        assert_eq!(text, "éé\n[… 13 bytes left out here: more than is kept of one stream …]\néé");
    }

    #[test]
    fn sh6_what_is_no_text_is_not_more_than_what_may_be_kept() {
        let text = spooled(3_000, &[&[0xff; 3_000]]);
        assert!(text.starts_with("\u{fffd}\u{fffd}") && text.contains("bytes left out"), "{text}");
        assert!(text.len() <= 3_100, "{}", text.len());
        assert!(spooled(3_000, &[&[0xff; 100_000]]).len() <= 3_100);
    }

    #[tokio::test]
    async fn sh6_ten_gibibytes_take_no_more_memory_than_ten() {
        let mut spool = Spool::new(1 << 20);
        let mut endless = tokio::io::AsyncReadExt::take(tokio::io::repeat(b'x'), 256 << 20);
        spool.read(&mut endless).await;
        assert!(spool.head.capacity() + spool.tail.capacity() <= (2 << 20) + CHUNK, "{}", spool.tail.capacity());
        assert_eq!(spool.n_left_out, (256 << 20) - (1 << 20));
    }
}
