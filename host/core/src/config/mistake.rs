//! What is wrong with a config, and how a person is shown it.
//!
//! A mistake knows its place, so rendering needs only the text. [`render`] writes plain text the way rustc and cargo
//! do; colours are the shell's business, and whatever the file holds, no control character reaches the terminal.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use crate::key::KeyText;

/// A config as it was found: what to call it, what it says, and the folder its relative paths start from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file name as shown in messages.
    pub name: String,
    /// What the file says.
    pub text: String,
    /// The absolute path of the folder that relative paths are relative to.
    pub base: PathBuf,
}

/// Where something stands in a [`Source`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// In bytes of the text.
    pub span: Range<usize>,
}

/// The codes of all mistakes, for programs; a test has an example of each.
pub mod code {
    /// The text is not TOML.
    pub const SYNTAX: &str = "config.syntax";
    /// A key that means nothing here.
    pub const UNKNOWN_KEY: &str = "config.unknown-key";
    /// A key that has to be there is not.
    pub const MISSING_KEY: &str = "config.missing-key";
    /// A value of another type than the key takes.
    pub const TYPE: &str = "config.type";
    /// A value of the right type that is not legal.
    pub const VALUE: &str = "config.value";
    /// The same thing said twice.
    pub const DUPLICATE: &str = "config.duplicate";
    /// Two things that cannot both hold.
    pub const CONFLICT: &str = "config.conflict";
    /// `${NAME}` where no variable of that name is set.
    pub const MISSING_VARIABLE: &str = "config.missing-variable";
    /// A tool's rule reaches further than its plugin's grant.
    pub const WIDER: &str = "config.wider";
    /// A grant that could never be used.
    pub const UNUSED: &str = "config.unused";
    /// Further mistakes are not shown.
    pub const MORE: &str = "config.more";

    /// All of them.
    pub const ALL: &[&str] =
        &[SYNTAX, UNKNOWN_KEY, MISSING_KEY, TYPE, VALUE, DUPLICATE, CONFLICT, MISSING_VARIABLE, WIDER, UNUSED, MORE];
}

/// One thing that is wrong with a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// One of [`code`], stable.
    pub code: &'static str,
    /// What to underline.
    pub place: Place,
    /// One sentence: what is wrong.
    pub message: String,
    /// What could stand here instead, as a list or a phrase.
    pub legal: Option<String>,
    /// What was probably meant; shown beside the underline.
    pub suggestion: Option<String>,
}

impl Mistake {
    /// Makes a mistake that says only what is wrong.
    pub fn new(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { code, place, message: message.into(), legal: None, suggestion: None }
    }

    /// Adds what could stand here.
    #[must_use]
    pub fn legal(mut self, legal: impl Into<String>) -> Self {
        self.legal = Some(legal.into());
        self
    }

    /// Adds what was probably meant.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.message, self.place.line, self.place.column)
    }
}

/// What is wrong with the text of one value, before its place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// One sentence: what is wrong.
    pub message: String,
    /// What could stand here instead.
    pub legal: Option<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Flaw {
    /// Makes a flaw that says only what is wrong.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), legal: None, suggestion: None }
    }

    /// Adds what could stand here.
    #[must_use]
    pub fn legal(mut self, legal: impl Into<String>) -> Self {
        self.legal = Some(legal.into());
        self
    }

    /// Adds what was probably meant.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// Says where it is.
    #[must_use]
    pub fn at(self, code: &'static str, place: Place) -> Mistake {
        Mistake { code, place, message: self.message, legal: self.legal, suggestion: self.suggestion }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Flaw {}

/// A text for a message; an empty one would be seen as two backticks.
pub(super) fn shown(text: &str) -> String {
    if text.is_empty() { "an empty text".to_owned() } else { format!("`{text}`") }
}

/// Finds lines and columns in a text.
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// Line and column of a span; one that lies past the end or inside a character is pulled back.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end).max(start);
        let line = self.starts.partition_point(|line_start| *line_start <= start);
        let before = &self.text[self.starts[line - 1]..start];
        Place { line, column: before.trim_start_matches('\u{feff}').chars().count() + 1, span: start..end }
    }
}

/// Writes mistakes as plain text, each with its place in the source, a blank line between two.
pub fn render(source: &Source, mistakes: &[Mistake]) -> String {
    let shown: Vec<String> = mistakes.iter().map(|mistake| render_one(source, mistake)).collect();
    shown.join("\n")
}

fn render_one(source: &Source, mistake: &Mistake) -> String {
    let Place { line, column, .. } = mistake.place;
    let gutter = " ".repeat(line.to_string().len());
    let mut out = format!("error[{}]: {}\n", mistake.code, printable(&mistake.message));
    out += &format!("{gutter}--> {}:{line}:{column}\n", printable(&source.name));
    let (text, underline) = quoted_line(&source.text, &mistake.place);
    let label = mistake.suggestion.as_deref().map(|label| format!(" {}", printable(label))).unwrap_or_default();
    out += &format!("{gutter} |\n{}\n", format!("{line} | {text}").trim_end());
    out += &format!("{gutter} | {underline}{label}\n");
    if let Some(legal) = &mistake.legal {
        out += &format!("{gutter} = legal here: {}\n", printable(legal));
    }
    out
}

/// The line a place is on and the carets under it; of a long line, the part around the place.
fn quoted_line(text: &str, place: &Place) -> (String, String) {
    const BEFORE: usize = 60;
    const LONGEST: usize = 140;
    let line = masked(text.lines().nth(place.line - 1).unwrap_or("").trim_start_matches('\u{feff}'));
    let line: Vec<char> = line.chars().collect();
    let start = (place.column - 1).min(line.len());
    let marked = text.get(place.span.clone()).unwrap_or("").lines().next().unwrap_or("").chars().count().max(1);
    let from = if line.len() > LONGEST { start.saturating_sub(BEFORE) } else { 0 };
    let until = line.len().min(from + LONGEST);
    let mut quoted: String = line[from..until].iter().collect();
    let mut indent = start - from;
    if from > 0 {
        quoted.insert(0, '…');
        indent += 1;
    }
    if until < line.len() {
        quoted.push('…');
    }
    let carets = marked.min(until.saturating_sub(start).max(1));
    (printable(&quoted), format!("{}{}", " ".repeat(indent), "^".repeat(carets)))
}

/// The line with asterisks for what looks like a caller's key: whoever puts one where its hash belongs should not find it
/// in the log too.
fn masked(line: &str) -> String {
    let is_of_key = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    let mut masked = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let length = rest.find(|character| !is_of_key(character)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(length);
        if KeyText::parse(word).is_some() {
            masked.extend(word.chars().map(|_| '*'))
        } else {
            masked.push_str(word)
        }
        let next = tail.chars().next().map_or(0, char::len_utf8);
        masked.push_str(&tail[..next]);
        rest = &tail[next..];
    }
    masked
}

/// The text without what a terminal would act on, one character for one, so that carets stay where they belong.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| if is_printable(character) { character } else { '\u{fffd}' })
        .map(tab_to_space)
        .collect()
}

fn tab_to_space(character: char) -> char {
    if character == '\t' { ' ' } else { character }
}

/// False for control characters and for those that reorder or hide text (bidi marks, zero width, tags).
fn is_printable(character: char) -> bool {
    character == '\t'
        || !(character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(character, '\u{feff}' | '\u{e0000}'..='\u{e007f}' | '\u{061c}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { name: "bailiwick.toml".into(), text: text.into(), base: "/etc".into() }
    }

    #[test]
    fn columns_count_characters_and_carets_stand_under_them() {
        let source = source("[a]\nä = 'ö'  # x\n");
        let place = Lines::of(&source.text).place(9..13);
        let mistake = Mistake::new(code::VALUE, place, "no").suggest("did you mean `o`?").legal("o, u");
        assert_eq!(
            render(&source, &[mistake]),
            "error[config.value]: no\n --> bailiwick.toml:2:5\n  |\n2 | ä = 'ö'  # x\n  |     ^^^ did you mean `o`?\n  = legal here: o, u\n"
        );
    }

    #[test]
    fn nothing_a_terminal_acts_on_is_printed() {
        let source = source("a = '\u{1b}[2J\u{202e}'");
        let place = Lines::of(&source.text).place(4..14);
        let shown = render(&source, &[Mistake::new(code::VALUE, place, "\u{1b}]52;\u{7}")]);
        assert!(shown.chars().all(|character| character == '\n' || is_printable(character)), "{shown:?}");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let source = source(&format!("{}X{}", "a".repeat(300), "b".repeat(300)));
        let shown = render(&source, &[Mistake::new(code::VALUE, Lines::of(&source.text).place(300..301), "here")]);
        let lines: Vec<&str> = shown.lines().collect();
        let (quoted, carets) = (lines[3], lines[4]);
        let caret = carets.chars().position(|character| character == '^');
        assert_eq!(quoted.chars().position(|character| character == 'X'), caret);
        assert!(quoted.chars().count() < 150);
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = "rtr_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";
        let line = format!("ä = '{key}', '{}' # {key}", &key[1..]);
        let stars = "*".repeat(47);
        assert_eq!(masked(&line), format!("ä = '{stars}', '{}' # {stars}", "*".repeat(46)));
        assert_eq!(masked("a_b = \"x\" # ö"), "a_b = \"x\" # ö");
    }

    #[test]
    fn a_place_past_the_end_is_pulled_back() {
        let text = "ä";
        assert_eq!(Lines::of(text).place(1..99), Place { line: 1, column: 1, span: 0..2 });
    }
}
