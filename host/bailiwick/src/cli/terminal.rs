//! Writing to the two streams: results on standard output, the rest on standard error, colours only for people.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use bailiwick_core::outcome::Failure;
use bailiwick_core::redact::{visible, visible_json};

use super::Exit;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const GREEN: Style = AnsiColor::Green.on_default();
const BLUE: Style = AnsiColor::Blue.on_default().bold();

/// Why a command gave no result, as people and programs are told.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) exit: Exit,
    /// Plain text, as compilers write it.
    text: String,
    /// The same for programs.
    json: Value,
}

impl Trouble {
    pub(super) fn new(exit: Exit, code: &str, message: &str) -> Self {
        Self {
            exit,
            text: format!("error[{code}]: {}\n", set_back(message)),
            json: json!({"errors": [{"code": code, "message": message}]}),
        }
    }

    /// The same with one more line: `= WHAT: TEXT`.
    pub(super) fn with(mut self, what: &str, text: &str) -> Self {
        self.text.push_str(&note(what, text));
        self.json["errors"][0][what.replace(' ', "_")] = text.into();
        self
    }

    /// The same with a difference, line by line.
    pub(super) fn with_difference(mut self, text: &str) -> Self {
        self.text.push_str(&gutter(text));
        self.json["errors"][0]["difference"] = text.into();
        self
    }

    /// What is rendered already, with its form for programs.
    pub(super) fn rendered(exit: Exit, text: String, errors: Value) -> Self {
        Self { exit, text, json: json!({"errors": errors}) }
    }

    pub(super) fn of(failure: &Failure) -> Self {
        let trouble = Self::new(Exit::of(failure.code), failure.code.as_str(), &failure.message);
        match &failure.fix {
            Some(fix) => trouble.with("fix", fix),
            None => trouble,
        }
    }

    pub(super) fn json(&self) -> &Value {
        &self.json
    }
}

/// A message whose further lines are set back: a plugin may have written it, and none of them is to pass for one of ours.
fn set_back(message: &str) -> String {
    message.trim_end().replace('\n', "\n    | ")
}

/// A line below an error; what does not fit on it stands below its beginning.
fn note(what: &str, text: &str) -> String {
    let indent = format!("\n{}", " ".repeat(what.len() + 6));
    format!("  = {what}: {}\n", text.trim_end().replace('\n', &indent))
}

/// Text below an error, such as a difference: each line behind a bar, so that none can be taken for one of the host's.
pub(super) fn gutter(text: &str) -> String {
    text.lines().fold("  |\n".to_owned(), |all, line| all + format!("  | {line}").trim_end() + "\n")
}

/// The streams, and how this command was asked to use them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    pub(super) json: bool,
    quiet: bool,
}

impl Terminal {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Writes a result. A reader that has gone away has seen enough.
    pub(super) fn print(self, text: &str) -> Result<(), Trouble> {
        self.offer(text).map(drop)
    }

    /// Writes a part of a result. Whether the reader is still there.
    pub(super) fn offer(self, text: &str) -> Result<bool, Trouble> {
        let mut out = anstream::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => {
                Err(Trouble::new(Exit::Failed, "output.unwritable", &format!("the result cannot be written: {error}")))
            }
        }
    }

    /// Writes a result as JSON.
    pub(super) fn print_json(self, value: &Value) -> Result<(), Trouble> {
        self.print(&visible_json(&format!("{value:#}\n")))
    }

    /// Tells what went wrong.
    pub(super) fn trouble(self, trouble: &Trouble) {
        if self.json {
            say(&visible_json(&format!("{}\n", trouble.json)));
        } else {
            say(&painted(&trouble.text));
        }
    }

    /// Tells what is not as it should be, although there is a result.
    pub(super) fn warning(self, code: &str, message: &str, fix: Option<&str>) {
        if self.quiet {
            return;
        }
        let mut text = format!("warning[{code}]: {}\n", set_back(message));
        text.push_str(&fix.map_or_else(String::new, |fix| note("fix", fix)));
        say(&painted(&text));
    }

    /// Tells what nobody should miss, whoever asked for quiet.
    pub(super) fn alarm(self, code: &str, message: &str) {
        say(&painted(&format!("warning[{code}]: {message}\n")));
    }

    /// Tells a person who watches what is going on.
    pub(super) fn hint(self, text: &str) {
        if self.is_watched() {
            say(&format!("{DIM}{text}{DIM:#}\n"));
        }
    }

    /// Whether a person reads standard error and wants to.
    pub(super) fn is_watched(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

/// Writes to standard error; if nobody reads it there is nothing to be done.
pub(super) fn say(text: &str) {
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// Says that the program cannot even begin.
pub fn complain(message: &str) {
    say(&painted(&format!("error[host.start]: {message}\n")));
}

/// How many characters fit on a line of standard output; none when it is not a terminal.
pub(super) fn width() -> Option<usize> {
    let out = io::stdout();
    let size = rustix::termios::tcgetwinsize(&out).ok().filter(|_| out.is_terminal())?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// The first sentence of `text`, on one line of at most `most` characters.
pub(super) fn clipped(text: &str, most: usize) -> String {
    let paragraph =
        text.trim().lines().map(str::trim).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let sentence = paragraph.split_once(". ").map_or(paragraph.as_str(), |(first, _)| first);
    let line = visible(sentence.trim_end_matches('.')).into_owned();
    if line.chars().count() <= most {
        return line;
    }
    let mut clipped: String = line.chars().take(most.saturating_sub(1)).collect();
    clipped.truncate(clipped.trim_end().len());
    clipped + "…"
}

/// Colours for text as compilers write it. What a terminal acts on is spelled out first.
pub(super) fn painted(text: &str) -> String {
    visible(text).lines().fold(String::new(), |mut painted, line| {
        let _ = writeln!(painted, "{}", painted_line(line));
        painted
    })
}

fn painted_line(line: &str) -> String {
    for (head, style) in [("error[", RED), ("warning[", YELLOW), ("note[", BLUE)] {
        if let Some((code, message)) = line.strip_prefix(head).and_then(|rest| rest.split_once("]: ")) {
            return format!("{style}{head}{code}]{style:#}{BOLD}: {message}{BOLD:#}");
        }
    }
    let bare = line.trim_start();
    let indent = &line[..line.len() - bare.len()];
    if let Some(place) = bare.strip_prefix("--> ") {
        return format!("{indent}{BLUE}-->{BLUE:#} {place}");
    }
    if let Some((what, text)) = bare.strip_prefix("= ").and_then(|rest| rest.split_once(": ")) {
        return format!("{indent}{BLUE}={BLUE:#} {BOLD}{what}:{BOLD:#} {text}");
    }
    match line.split_once('|') {
        Some((number, source)) if number.trim().chars().all(|digit| digit.is_ascii_digit()) => {
            let carets = source.trim_start().starts_with('^');
            let style = if carets { RED } else { Style::new() };
            format!("{BLUE}{number}|{BLUE:#}{style}{source}{style:#}")
        }
        Some(_) | None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_reads_like_a_compilers() {
        let trouble =
            Trouble::new(Exit::Config, "config.missing", "there is no configuration").with("fix", "write one:\n[x]");
        assert_eq!(
            trouble.text,
            "error[config.missing]: there is no configuration\n  = fix: write one:\n         [x]\n"
        );
    }

    #[test]
    fn a_message_of_several_lines_passes_for_nothing_else() {
        let trouble = Trouble::new(Exit::Failed, "tool.failed", "no\n  = fix: run this\nerror[a.b]: that\n");
        assert_eq!(trouble.text, "error[tool.failed]: no\n    |   = fix: run this\n    | error[a.b]: that\n");
    }

    #[test]
    fn no_line_of_a_difference_is_taken_for_one_of_ours() {
        let trouble =
            Trouble::new(Exit::Failed, "a.b", "no").with_difference("+ a\n  = fix: run this\nerror[x]: y\n\n");
        assert_eq!(trouble.text, "error[a.b]: no\n  |\n  | + a\n  |   = fix: run this\n  | error[x]: y\n  |\n");
        let plain = anstream::adapter::strip_str(&painted(&trouble.text)).to_string();
        assert_eq!(plain, trouble.text);
        assert!(!painted(&trouble.text).contains(&format!("{BLUE}={BLUE:#}")));
    }

    #[test]
    fn colours_change_no_text_and_controls_are_spelled_out() {
        let text = "error[a.b]: no\n --> f:1:2\n  |\n1 | x = 1\n  |     ^ here\n  = fix: do\n";
        let plain = anstream::adapter::strip_str(&painted(text)).to_string();
        assert_eq!(plain, text);
        assert!(painted("warning[a]: \u{1b}]52;x").contains("\\u{1b}]52"));
    }

    #[test]
    fn of_a_description_the_first_sentence_is_listed() {
        assert_eq!(clipped("\n  one two\n three. Four\n\nfive", 80), "one two three");
        assert_eq!(clipped("one two three", 8), "one two…");
        assert_eq!(clipped("one v1.2.", 80), "one v1.2");
    }
}
