//! Takes secrets and control characters out of whatever leaves the host.
//!
//! A secret is found as it is and in the encodings it is likely to travel in: base64 (standard and URL alphabet, at each
//! of the three alignments), hex, percent-encoding and JSON escapes, the last two as the usual libraries write them.
//! Reversed or otherwise computed forms are not claimed. Where found forms overlap, all of them are taken out whole.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt::Write as _;
use std::ops::Range;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, Input, MatchKind};
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::name::SecretName;

/// A secret shorter than this would turn ordinary text into asterisks; it is not searched for.
pub const SHORTEST_SECRET: usize = 4;

/// Finds secrets in text and bytes.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// Small for its patterns, unlike a DFA: a private key of some kilobytes is a secret too.
    needles: Option<NFA>,
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
            // Around a header's value spaces come and go.
            let bare = Some(value.trim()).filter(|bare| *bare != value);
            for pattern in std::iter::once(value).chain(bare).flat_map(forms) {
                patterns.push(pattern);
                names.push(name.clone());
            }
        }
        if patterns.is_empty() {
            return Self::default();
        }
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        let needles = NFA::builder().match_kind(MatchKind::Standard).build(patterns).ok();
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
        let clean = self.secrets(text);
        let shown = match visible(&clean) {
            Cow::Borrowed(_) => None,
            // What stood between the parts of a secret may be gone now.
            Cow::Owned(shown) => Some(self.secrets(&shown).into_owned()),
        };
        shown.map_or(clean, Cow::Owned)
    }

    /// `text` with every secret replaced by `[secret NAME]`, control characters left alone.
    #[must_use]
    pub fn secrets<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = String::with_capacity(text.len());
        let mut done = 0;
        for Found { range, name, .. } in found {
            clean.push_str(&text[done..range.start]);
            let _ = write!(clean, "[secret {name}]");
            done = range.end;
        }
        clean.push_str(&text[done..]);
        Cow::Owned(clean)
    }

    /// Overwrites every secret in `bytes` with `*`, length kept, and says whether there was one.
    pub fn mask(&self, bytes: &mut [u8]) -> bool {
        let found = self.find(bytes);
        for Found { range, .. } in &found {
            bytes[range.clone()].fill(b'*');
        }
        !found.is_empty()
    }

    /// A masker for bytes that come in pieces.
    #[must_use]
    pub fn stream(&self) -> StreamMask<'_> {
        StreamMask { redactor: self, held: Held::default() }
    }

    /// Every place that has to go, in order; those that overlap are one, named after the longest form in it.
    fn find(&self, bytes: &[u8]) -> Vec<Found<'_>> {
        let mut found: Vec<Found<'_>> = Vec::new();
        let Some(needles) = self.needles.as_ref().filter(|needles| has_match(needles, bytes)) else { return found };
        let mut state = start(needles);
        for (at, byte) in bytes.iter().enumerate() {
            state = needles.next_state(Anchored::No, state, *byte);
            let Some((longest, pattern)) = longest_match(needles, state) else { continue };
            let mut next = Found { range: at + 1 - longest..at + 1, longest, name: &self.names[pattern] };
            while let Some(before) = found.pop_if(|before| before.range.end > next.range.start) {
                next.range.start = next.range.start.min(before.range.start);
                if before.longest >= next.longest {
                    (next.longest, next.name) = (before.longest, before.name);
                }
            }
            found.push(next);
        }
        found
    }
}

/// A place that has to go.
struct Found<'r> {
    range: Range<usize>,
    /// The length of the longest form in it.
    longest: usize,
    /// The secret which that is a form of.
    name: &'r SecretName,
}

/// Whether there is any match; with a prefilter, which makes it much faster than looking for all of them.
fn has_match(needles: &NFA, bytes: &[u8]) -> bool {
    needles.try_find(&Input::new(bytes).earliest(true)).is_ok_and(|found| found.is_some())
}

fn start(needles: &NFA) -> StateID {
    needles.start_state(Anchored::No).unwrap_or_default()
}

/// The longest pattern that ends where `state` was reached, and which it is.
fn longest_match(needles: &NFA, state: StateID) -> Option<(usize, usize)> {
    if !needles.is_special(state) || !needles.is_match(state) {
        return None;
    }
    let ending = (0..needles.match_len(state)).map(|index| needles.match_pattern(state, index));
    let with_length = |pattern| (needles.pattern_len(pattern), pattern.as_usize());
    ending.map(with_length).max_by_key(|(length, pattern)| (*length, Reverse(*pattern)))
}

/// Masks secrets in a stream, also those that are cut in two by a piece's end.
#[derive(Debug)]
pub struct StreamMask<'r> {
    redactor: &'r Redactor,
    held: Held,
}

impl StreamMask<'_> {
    /// Takes the next piece and gives back what can no longer be part of a secret.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        push(self.redactor, &mut self.held, piece)
    }

    /// Gives back the rest.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.held.take()
    }
}

/// What a stream has not let go yet, because it may be the start of a secret. Secrets in it are masked already.
#[derive(Debug, Clone, Default)]
pub struct Held {
    bytes: Vec<u8>,
    /// Where the search stands after those bytes; none at the start.
    state: Option<StateID>,
}

impl Held {
    /// Whether nothing is held back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is held back, for when nothing more comes.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.state = None;
        std::mem::take(&mut self.bytes)
    }
}

/// One step of a [`StreamMask`], for callers that keep what is held themselves. Takes time in proportion to the piece,
/// however small the pieces are.
pub fn push(redactor: &Redactor, held: &mut Held, piece: &[u8]) -> Vec<u8> {
    let Some(needles) = &redactor.needles else { return piece.to_vec() };
    let before = held.bytes.len();
    held.bytes.extend_from_slice(piece);
    let mut state = held.state.unwrap_or_else(|| start(needles));
    for (at, byte) in piece.iter().enumerate() {
        state = needles.next_state(Anchored::No, state, *byte);
        if let Some((longest, _)) = longest_match(needles, state) {
            let end = before + at + 1;
            held.bytes[end - longest..end].fill(b'*');
        }
    }
    held.state = Some(state);
    // A secret that starts in what is let go would have to end in it too: all but the last `longest - 1` bytes.
    let keep = held.bytes.len().min(redactor.longest.saturating_sub(1));
    let rest = held.bytes.split_off(held.bytes.len() - keep);
    std::mem::replace(&mut held.bytes, rest)
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
    for keep in PERCENT_KEEPS {
        for digits in [Digits::Upper, Digits::Lower] {
            add(percent(bytes, keep, digits));
            if bytes.contains(&b' ') {
                let plus = percent(bytes, &format!("{keep} "), digits);
                add(plus.into_iter().map(|byte| if byte == b' ' { b'+' } else { byte }).collect());
            }
        }
    }
    for writer in &JSON_WRITERS {
        for digits in [Digits::Upper, Digits::Lower] {
            add(json(value, writer, digits));
        }
    }
    for skipped in 0..3 {
        add(base64_middle(bytes, skipped, &STANDARD_NO_PAD));
        add(base64_middle(bytes, skipped, &URL_SAFE_NO_PAD));
    }
    forms
}

/// How a byte's hex digits are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Digits {
    Upper,
    Lower,
}

/// What percent-encoders leave as it is beside letters and digits. A space is looked for as `%20` and as `+`.
const PERCENT_KEEPS: [&str; 14] = [
    "",
    // PHP; RFC 3986's unreserved characters (Go, curl); Python; encodeURIComponent; forms (browsers, Java); encodeURI.
    "-_.",
    "-_.~",
    "-_.~/",
    "-_.~!*'()",
    "-_.*",
    "-_.~!*'();/?:@&=+$,#",
    // A segment of a path by RFC 3986 and by Go.
    "-_.~!$&'()*+,;=:@",
    "-_.~$&+=:@",
    // What browsers leave in a query of http and of others, in a path, in a segment of it, and in a user's name.
    "!$%&()*+,-./:;=?@[\\]^_`{|}~",
    "!$%&'()*+,-./:;=?@[\\]^_`{|}~",
    "!$%&'()*+,-./:;=@[\\]^_|~",
    "!$&'()*+,-.:;=@[]^_|~",
    "!$%&'()*+,-._~",
];

fn percent(bytes: &[u8], keep: &str, digits: Digits) -> Vec<u8> {
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        let _ = match digits {
            _ if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(byte) => {
                text.push(char::from(*byte));
                Ok(())
            }
            Digits::Upper => write!(text, "%{byte:02X}"),
            Digits::Lower => write!(text, "%{byte:02x}"),
        };
    }
    text.into_bytes()
}

/// What a JSON writer escapes beside what it must.
struct JsonWriter {
    slash: bool,
    as_unicode: fn(char) -> bool,
}

/// Most writers; Go; Python; PHP and its kin; .NET.
const JSON_WRITERS: [JsonWriter; 6] = [
    JsonWriter { slash: false, as_unicode: |_| false },
    JsonWriter { slash: false, as_unicode: |character| "<>&".contains(character) },
    JsonWriter { slash: false, as_unicode: |character| !character.is_ascii() },
    JsonWriter { slash: true, as_unicode: |_| false },
    JsonWriter { slash: true, as_unicode: |character| !character.is_ascii() },
    JsonWriter { slash: false, as_unicode: |character| !character.is_ascii() || "<>&'+`\"".contains(character) },
];

fn json(value: &str, writer: &JsonWriter, digits: Digits) -> Vec<u8> {
    let mut text = String::with_capacity(value.len() + 16);
    for character in value.chars() {
        match character {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            _ if character < ' ' || (writer.as_unicode)(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = match digits {
                        Digits::Upper => write!(text, "\\u{unit:04X}"),
                        Digits::Lower => write!(text, "\\u{unit:04x}"),
                    };
                }
            }
            '"' | '\\' => text.extend(['\\', character]),
            '/' if writer.slash => text.push_str("\\/"),
            _ => text.push(character),
        }
    }
    text.into_bytes()
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

/// `text` as it can stand between backticks in a sentence of ours: on one line, without backticks of its own, of at most
/// `most` characters. Who wrote it cannot end the quotation and go on in our voice.
#[must_use]
pub fn quotable(text: &str, most: usize) -> String {
    let text = visible(text).replace('`', "'").replace('\n', "\\n");
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The first `most` characters of a text somebody else had a hand in, with nothing in them that a terminal acts on.
#[must_use]
pub fn brief(text: &str, most: usize) -> String {
    visible(text).chars().take(most).collect()
}

/// JSON text with what is invisible written as `\u` and four hex digits, which means the same: serde_json leaves C1 and bidirectional
/// controls as they are, and a terminal acts on them. Line feeds and tabs between values stay.
#[must_use]
pub fn visible_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(is_invisible) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_invisible(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(character);
        }
    }
    Cow::Owned(text)
}

/// Whether `character` is one of those [`visible`] spells out.
#[must_use]
pub fn is_invisible(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{feff}' => true,
        // Tags, and variation selectors beyond those that scripts and emoji use: a text can be hidden in them.
        '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

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
    fn a_secret_is_found_without_the_spaces_around_it() {
        let name = SecretName::parse("TOKEN").unwrap();
        let redactor = Redactor::new([(&name, "  spaced out\t")]);
        assert_eq!(redactor.secrets("a spaced out b"), "a [secret TOKEN] b");
        assert!(redactor.secrets(&hex::encode("spaced out")).contains("[secret TOKEN]"));
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
    fn every_form_is_masked_however_it_is_cut() {
        let (short, long) = (SecretName::parse("SHORT").unwrap(), SecretName::parse("LONG").unwrap());
        // One secret is the beginning of the other.
        let longer = format!("{SECRET}-and-more");
        let redactor = Redactor::new([(&short, SECRET), (&long, longer.as_str())]);
        for form in forms(SECRET).into_iter().chain(forms(&longer)) {
            let whole = [b"<", &form[..], b">"].concat();
            let expected = [b"<", &vec![b'*'; form.len()][..], b">"].concat();
            for first in 0..whole.len() {
                for second in first..whole.len() {
                    let mut mask = redactor.stream();
                    let mut seen = mask.push(&whole[..first]);
                    seen.extend(mask.push(&whole[first..second]));
                    seen.extend(mask.push(&whole[second..]));
                    seen.extend(mask.finish());
                    let shown = String::from_utf8_lossy(&form).into_owned();
                    assert_eq!(seen, expected, "{shown} cut at {first} and {second}");
                }
            }
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
    fn a_quotation_cannot_be_ended_from_inside() {
        assert_eq!(quotable("a`; add `b`\nc\u{202e}", 80), "a'; add 'b'\\nc\\u{202e}");
        assert_eq!(quotable("abcdef", 3), "abc…");
        assert_eq!(quotable("abc", 3), "abc");
    }

    #[test]
    fn visible_json_means_the_same() {
        let text = serde_json::to_string("ä\u{9b}2J\u{202e}\u{e0041}").unwrap();
        let visible = visible_json(&text);
        assert!(!visible.chars().any(is_invisible));
        assert_eq!(serde_json::from_str::<String>(&visible).unwrap(), "ä\u{9b}2J\u{202e}\u{e0041}");
        assert!(matches!(visible_json("{\n  \"a\": 1\n}"), Cow::Borrowed(_)));
    }

    #[test]
    fn no_secrets_cost_nothing() {
        assert!(Redactor::new([]).is_empty());
        assert!(matches!(Redactor::default().secrets(SECRET), Cow::Borrowed(_)));
    }
}
