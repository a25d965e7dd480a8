//! Commands that are not run, by the look of them.
//!
//! A courtesy to whoever slips, and no boundary: a shell has more ways to say a thing than any list of patterns. What a
//! command can do at most is decided by its grants and held by its sandbox, whatever it is called. `BYPASSES` in the tests
//! are ways around this that work.

use std::fmt;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::config::Flaw;

/// What a pattern that is no plain text begins with.
const REGEX: &str = "re:";
/// Memory that one compiled expression may take.
const MAX_COMPILED: usize = 1 << 20;

/// What a command may not look like: what every shell tool refuses, and what the operator wrote in `deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deny(Vec<Pattern>);

/// One line of `deny`: a text that is looked for with all white space as one blank or, after `re:`, a regular expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Literal(String),
    Regex(Regex),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

/// Why a command is not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It matches this line of the operator's.
    Own(String),
    /// It is one of those that every shell tool refuses; says which.
    BuiltIn(String),
}

impl fmt::Display for Refusal {
    /// A phrase that begins with `it`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(pattern) => write!(f, "it matches `{pattern}` of `deny`"),
            Self::BuiltIn(what) => write!(f, "it {what}"),
        }
    }
}

impl Pattern {
    /// Reads one line of `deny`.
    ///
    /// # Errors
    /// It is empty, or its regular expression is none or too large.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let kind = match text.strip_prefix(REGEX) {
            Some(expression) => Kind::Regex(regex(expression)?),
            None => Kind::Literal(squeezed(text)),
        };
        let is_empty = match &kind {
            Kind::Literal(literal) => literal.is_empty(),
            Kind::Regex(regex) => regex.is_match(""),
        };
        if is_empty {
            let flaw = Flaw::new("the pattern matches every command").legal("a text such as `rm -rf /`, or `re:REGEX`");
            return Err(flaw.suggest("leave the tool out instead"));
        }
        Ok(Self { text: text.to_owned(), kind })
    }

    fn matches(&self, command: &str, squeezed: &str) -> bool {
        match &self.kind {
            Kind::Literal(literal) => squeezed.contains(literal),
            Kind::Regex(regex) => regex.is_match(command),
        }
    }
}

fn regex(expression: &str) -> Result<Regex, Flaw> {
    RegexBuilder::new(expression).size_limit(MAX_COMPILED).build().map_err(|error| {
        // The last line is the reason; those above draw a picture that a message has no room for.
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Flaw::new(format!("`{expression}` is not a regular expression that can be used: {reason}"))
    })
}

impl FromIterator<Pattern> for Deny {
    fn from_iter<T: IntoIterator<Item = Pattern>>(patterns: T) -> Self {
        Self(patterns.into_iter().collect())
    }
}

impl Deny {
    /// The operator's lines, as they stand in the file.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|pattern| pattern.text.as_str())
    }

    /// Says why a command is not run; none if it is.
    #[must_use]
    pub fn refuses(&self, command: &str) -> Option<Refusal> {
        let squeezed = squeezed(command);
        let own = self.0.iter().find(|pattern| pattern.matches(command, &squeezed));
        own.map(|pattern| Refusal::Own(pattern.text.clone())).or_else(|| built_in(command).map(Refusal::BuiltIn))
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What would end the machine: three layers, as agents' shells have them.
fn built_in(command: &str) -> Option<String> {
    simple_commands(command).iter().find_map(|words| ruinous(words)).or_else(|| {
        let found = RUINOUS.matches(command).iter().next()?;
        RUINOUS_MEANS.get(found).map(|what| (*what).to_owned())
    })
}

/// Programs that stop the machine or empty a disk, whatever their arguments are.
const NEVER: [&str; 5] = ["mkfs", "shutdown", "reboot", "halt", "poweroff"];
/// Directories that a machine does not survive without.
const VITAL: [&str; 16] = [
    "/", "/*", "~", "$HOME", "${HOME}", "/home", "/etc", "/var", "/usr", "/bin", "/sbin", "/lib", "/boot", "/root",
    "/opt", "/srv",
];

/// Why a simple command is refused.
fn ruinous(words: &[String]) -> Option<String> {
    let words = without_sudo(words);
    let (first, rest) = words.split_first()?;
    let program = first.rsplit('/').next().unwrap_or(first);
    let family = program.split('.').next().unwrap_or(program);
    let first_argument = rest.first().map(String::as_str);
    match (program, first_argument) {
        _ if NEVER.contains(&family) => Some(format!("runs `{program}`")),
        ("systemctl", Some(action @ ("poweroff" | "reboot" | "halt"))) => Some(format!("runs `systemctl {action}`")),
        ("init", Some(level @ ("0" | "6"))) => Some(format!("runs `init {level}`")),
        ("rm", _) => removes(rest),
        _ => None,
    }
}

/// Without `sudo` and its options; an option that takes a value takes the next word with it.
fn without_sudo(words: &[String]) -> &[String] {
    let Some((first, mut rest)) = words.split_first() else { return words };
    if first.rsplit('/').next() != Some("sudo") {
        return words;
    }
    while let Some((option, after)) = rest.split_first().filter(|(word, _)| word.starts_with('-')) {
        let takes_value =
            matches!(option.as_str(), "-u" | "-g" | "-h" | "-p" | "-C" | "-T" | "-r" | "-t" | "-D" | "-R");
        rest = if takes_value { after.get(1..).unwrap_or_default() } else { after };
        if option == "--" {
            break;
        }
    }
    rest
}

/// Why an `rm` with these arguments is refused.
fn removes(arguments: &[String]) -> Option<String> {
    let (mut recursive, mut force, mut root_too, mut options) = (false, false, false, true);
    let mut targets = Vec::new();
    for word in arguments {
        match word.as_str() {
            "--" if options => options = false,
            "--recursive" if options => recursive = true,
            "--force" if options => force = true,
            "--no-preserve-root" if options => root_too = true,
            word if options && word.len() > 1 && word.starts_with('-') && !word.starts_with("--") => {
                recursive |= word.contains(['r', 'R']);
                force |= word.contains('f');
            }
            word if options && word.starts_with("--") => {}
            word => targets.push(word),
        }
    }
    if recursive && root_too {
        return Some("removes with `--no-preserve-root`".to_owned());
    }
    let vital = targets.into_iter().find(|target| {
        let plain = match target.trim_end_matches('/') {
            "" => "/",
            plain => plain,
        };
        recursive && (plain == "/" || force && VITAL.contains(&plain))
    });
    vital.map(|target| format!("removes `{target}` and all that is below it"))
}

/// The expressions of the last layer and, in the same order, what each stands for.
static RUINOUS: LazyLock<RegexSet> = LazyLock::new(|| {
    const DISKS: &str = r"/dev/(sd[a-z]|vd[a-z]|hd[a-z]|nvme|mmcblk|disk)";
    let expressions = [
        r":\(\)\s*\{\s*:\s*\|\s*:\s*&\s*\}\s*;".to_owned(),
        format!(r"\bdd\b.*\bof={DISKS}"),
        format!(r">\s*{DISKS}"),
        r"\bch(mod|own)\s+-R\s.*\s/\s*$".to_owned(),
    ];
    RegexSetBuilder::new(expressions).case_insensitive(true).build().expect("they are expressions")
});
const RUINOUS_MEANS: [&str; 4] = [
    "starts itself without end",
    "writes over a disk",
    "writes over a disk",
    "changes the modes or owners of the whole file system",
];

/// The simple commands of a line as lists of words without their quotes. No more than a look: nothing is expanded, and what
/// a shell would take apart further (substitutions, here-documents, `eval`) is left as it stands.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = line.chars().peekable();
    let end_word = |commands: &mut Vec<Vec<String>>, word: &mut Option<String>| {
        if let (Some(word), Some(command)) = (word.take(), commands.last_mut()) {
            command.push(word);
        }
    };
    while let Some(character) = rest.next() {
        match (quote, character) {
            (Some(open), character) if character == open => quote = None,
            (Some('\''), character) => word.get_or_insert_default().push(character),
            (_, '\\') => match rest.next() {
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            (Some(_), character) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(character);
            }
            (None, ';' | '&' | '|' | '\n') => {
                end_word(&mut commands, &mut word);
                commands.push(Vec::new());
            }
            (None, character) if character.is_whitespace() => end_word(&mut commands, &mut word),
            (None, '#') if word.is_none() => while rest.next_if(|next| *next != '\n').is_some() {},
            (None, character) => word.get_or_insert_default().push(character),
        }
    }
    end_word(&mut commands, &mut word);
    commands.retain(|command| !command.is_empty());
    commands
}

#[cfg(test)]
#[path = "deny_tests.rs"]
mod tests;
