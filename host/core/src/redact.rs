//! Takes secrets and control characters out of whatever leaves the host.
//!
//! A secret is found as it is and in the encodings it is likely to travel in: base64 (standard and URL alphabet, at each
//! of the three alignments), hex, percent-encoding and JSON escapes. Reversed or otherwise computed forms are not claimed.

use std::borrow::Cow;
use std::fmt::Write as _;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::name::SecretName;

/// A secret shorter than this would turn ordinary text into asterisks; it is not searched for.
pub const SHORTEST_SECRET: usize = 4;

/// Finds secrets in text and bytes.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    needles: Option<AhoCorasick>,
    /// The secret's name, by pattern.
    names: Vec<SecretName>,
    longest: usize,
}

impl Redactor {
    /// A redactor for these secrets; values shorter than [`SHORTEST_SECRET`] are left out.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a SecretName, &'a str)>) -> Self {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        let mut names = Vec::new();
        for (name, value) in secrets {
            for pattern in forms(value) {
                patterns.push(pattern);
                names.push(name.clone());
            }
        }
        if patterns.is_empty() {
            return Self::default();
        }
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        let needles = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns).ok();
        Self { needles, names, longest }
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.needles.is_none()
    }

    /// `text` with every secret replaced by `[secret NAME]` and control characters made visible.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.secrets(text) {
            Cow::Borrowed(text) => visible(text),
            Cow::Owned(text) => Cow::Owned(visible(&text).into_owned()),
        }
    }

    /// `text` with every secret replaced by `[secret NAME]`, control characters left alone.
    #[must_use]
    pub fn secrets<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(needles) = &self.needles else { return Cow::Borrowed(text) };
        if !needles.is_match(text) {
            return Cow::Borrowed(text);
        }
        let mut clean = String::with_capacity(text.len());
        needles.replace_all_with(text, &mut clean, |found, _, out| {
            let _ = write!(out, "[secret {}]", self.names[found.pattern().as_usize()]);
            true
        });
        Cow::Owned(clean)
    }

    /// Overwrites every secret in `bytes` with `*`, length kept, and says whether there was one.
    pub fn mask(&self, bytes: &mut [u8]) -> bool {
        let Some(needles) = &self.needles else { return false };
        let found: Vec<_> = needles.find_iter(&*bytes).map(|m| m.range()).collect();
        for range in &found {
            bytes[range.clone()].fill(b'*');
        }
        !found.is_empty()
    }

    /// A masker for bytes that come in pieces.
    #[must_use]
    pub fn stream(&self) -> StreamMask<'_> {
        StreamMask { redactor: self, held: Vec::new() }
    }
}

/// Masks secrets in a stream, also those that are cut in two by a piece's end.
#[derive(Debug)]
pub struct StreamMask<'r> {
    redactor: &'r Redactor,
    held: Vec<u8>,
}

impl StreamMask<'_> {
    /// Takes the next piece and gives back what can no longer be part of a secret.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        push(self.redactor, &mut self.held, piece)
    }

    /// Gives back the rest.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.redactor.mask(&mut self.held);
        self.held
    }
}

/// One step of a [`StreamMask`], for callers that keep the held bytes themselves.
pub fn push(redactor: &Redactor, held: &mut Vec<u8>, piece: &[u8]) -> Vec<u8> {
    if redactor.is_empty() {
        return piece.to_vec();
    }
    held.extend_from_slice(piece);
    redactor.mask(held);
    // A secret that starts in what is let go would have to end in it too: all but the last `longest - 1` bytes.
    let keep = held.len().min(redactor.longest.saturating_sub(1));
    let rest = held.split_off(held.len() - keep);
    std::mem::replace(held, rest)
}

/// The byte strings a secret is looked for as.
fn forms(value: &str) -> Vec<Vec<u8>> {
    if value.len() < SHORTEST_SECRET {
        return Vec::new();
    }
    let bytes = value.as_bytes();
    let mut forms: Vec<Vec<u8>> = vec![bytes.to_vec()];
    let mut add = |form: Vec<u8>| {
        if form.len() >= SHORTEST_SECRET && !forms.contains(&form) {
            forms.push(form);
        }
    };
    add(hex::encode(bytes).into_bytes());
    add(hex::encode_upper(bytes).into_bytes());
    let percent = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    add(percent.to_ascii_lowercase().into_bytes());
    add(percent.into_bytes());
    if let Ok(json) = serde_json::to_string(value) {
        add(json.as_bytes()[1..json.len() - 1].to_vec());
    }
    for skipped in 0..3 {
        add(base64_middle(bytes, skipped, &STANDARD_NO_PAD));
        add(base64_middle(bytes, skipped, &URL_SAFE_NO_PAD));
    }
    forms
}

/// The characters of base64 that depend on `bytes` alone, when `skipped` other bytes stand before it in its group.
fn base64_middle(bytes: &[u8], skipped: usize, engine: &impl base64::Engine) -> Vec<u8> {
    let mut padded = vec![0; skipped];
    padded.extend_from_slice(bytes);
    let text = engine.encode(&padded);
    let start = [0, 2, 3][skipped];
    // The last character mixes with what follows unless the group is full.
    let end = if padded.len().is_multiple_of(3) { text.len() } else { text.len() - 1 };
    let middle = &text.as_bytes()[start..end];
    // Too few characters left would match by chance.
    if middle.len() < 8 && bytes.len() > 8 { Vec::new() } else { middle.to_vec() }
}

/// Makes characters visible that could forge a line, move a cursor or turn text around: C0 and C1 controls other than
/// line feed and tab, bidirectional controls, zero-width and tag characters.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    if text.bytes().all(plain) || !text.chars().any(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if character == '\r' {
            continue;
        }
        if is_invisible(character) {
            let _ = write!(clean, "\\u{{{:x}}}", character as u32);
        } else {
            clean.push(character);
        }
    }
    Cow::Owned(clean)
}

/// Whether `character` is one of those [`visible`] spells out.
#[must_use]
pub fn is_invisible(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    const SECRET: &str = "canary-9f/4+c2\"7e";

    fn redactor() -> Redactor {
        let name = SecretName::parse("TOKEN").unwrap();
        Redactor::new([(&name, SECRET)])
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        let redactor = redactor();
        let mut texts = vec![
            SECRET.to_owned(),
            hex::encode(SECRET),
            hex::encode_upper(SECRET),
            utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string(),
            serde_json::to_string(SECRET).unwrap(),
        ];
        for before in ["", "u", "us", "user:", "a longer user:"] {
            texts.push(STANDARD_NO_PAD.encode(format!("{before}{SECRET}")));
            texts.push(STANDARD_NO_PAD.encode(format!("{before}{SECRET} and more")));
            texts.push(URL_SAFE_NO_PAD.encode(format!("{before}{SECRET}!")));
        }
        for text in texts {
            assert!(redactor.secrets(&text).contains("[secret TOKEN]"), "not found in {text}");
        }
    }

    #[test]
    fn other_text_is_left_alone() {
        let text = "canary-9f and c2 are harmless; dG9rZW4";
        assert!(matches!(redactor().text(text), Cow::Borrowed(_)));
    }

    #[test]
    fn a_secret_cut_in_two_is_masked_at_every_cut() {
        let redactor = redactor();
        let whole = format!("before {SECRET} after");
        for cut in 0..whole.len() {
            let mut mask = redactor.stream();
            let mut seen = mask.push(&whole.as_bytes()[..cut]);
            seen.extend(mask.push(&whole.as_bytes()[cut..]));
            seen.extend(mask.finish());
            let expected = format!("before {} after", "*".repeat(SECRET.len()));
            assert_eq!(String::from_utf8(seen).unwrap(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn one_byte_at_a_time_is_masked_too() {
        let redactor = redactor();
        let whole = format!("{SECRET}{SECRET}x{SECRET}");
        let mut mask = redactor.stream();
        let mut seen: Vec<u8> = whole.as_bytes().iter().flat_map(|b| mask.push(&[*b])).collect();
        seen.extend(mask.finish());
        assert!(!String::from_utf8(seen).unwrap().contains("canary"));
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(visible("a\u{1b}[31mb\nc\td\r\n\u{202e}x"), "a\\u{1b}[31mb\nc\td\n\\u{202e}x");
    }

    #[test]
    fn no_secrets_cost_nothing() {
        assert!(Redactor::new([]).is_empty());
        assert!(matches!(Redactor::default().secrets(SECRET), Cow::Borrowed(_)));
    }
}
