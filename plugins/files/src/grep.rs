//! `grep`: lines by what they say.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use bailiwick_sdk::schemars::JsonSchema;
use bailiwick_sdk::serde::Serialize;
use bailiwick_sdk::{Failure, Output};
use globset::GlobSet;
use grep_matcher::LineTerminator;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkContextKind, SinkMatch};

use crate::pattern;
use crate::text::{self, MAX_CHARS};
use crate::walk::{self, Entry, Skip, Walked};
use bailiwick_plugin_common::grants::{Grants, Place};
use bailiwick_plugin_common::trouble::{self, Wish};

/// What to look for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    /// The regular expression.
    pub(crate) pattern: String,
    /// Which files.
    pub(crate) include: Option<String>,
    /// Whether upper and lower case are the same.
    pub(crate) ignore_case: bool,
    /// How many lines around a match.
    pub(crate) context: Option<u64>,
    /// How many matches.
    pub(crate) limit: Option<u64>,
}

/// What `grep` found.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(crate = "bailiwick_sdk::serde")]
#[schemars(crate = "bailiwick_sdk::schemars")]
pub(crate) struct Found {
    /// The matching lines, file by file.
    matches: Vec<Match>,
    /// Whether there is more.
    truncated: bool,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[serde(crate = "bailiwick_sdk::serde")]
#[schemars(crate = "bailiwick_sdk::schemars")]
struct Match {
    /// The file.
    path: String,
    /// The line, counted from 1.
    line: u64,
    /// What it says, cut at 500 characters.
    text: String,
}

/// Finds the lines below `path`, or in the file `path`, that match.
///
/// # Errors
///
/// `denied.*`, `tool.not-found`; `arguments.invalid` for an unusable expression or glob.
pub(crate) fn grep(grants: &Grants, query: &Query, path: Option<&str>, skip: Skip) -> Result<Output, Failure> {
    let matcher = matcher(query)?;
    let include = query.include.as_deref().map(Include::compile).transpose()?;
    let context = bounded("context", query.context, 0, 10, 0)?;
    let limit = bounded("limit", query.limit, 1, 2000, 200)?;
    let root = grants.find_root(path)?;
    let walked = files(&root, include.as_ref(), skip)?;
    let mut search = Search::new(limit);
    let mut searcher = searcher(context);
    for entry in walked.entries {
        if search.is_full() {
            break;
        }
        search.file(&mut searcher, &matcher, &entry.path);
    }
    Ok(search.answer(walked.notes))
}

/// Longest expression taken, in bytes.
const MAX_PATTERN: usize = 4096;

/// Largest compiled expression and largest cache of its automaton: `\w{1000}` is refused, `\w{50}` is not.
const MAX_COMPILED: usize = 4 << 20;

/// Longest line searched. Lines have to be held whole.
const MAX_LINE: usize = 8 << 20;

fn matcher(query: &Query) -> Result<RegexMatcher, Failure> {
    if query.pattern.is_empty() {
        return Err(Failure::invalid("`pattern` is empty; give a regular expression."));
    }
    if query.pattern.len() > MAX_PATTERN {
        return Err(Failure::invalid(format!("`pattern` is longer than {MAX_PATTERN} bytes.")));
    }
    RegexMatcherBuilder::new()
        .case_insensitive(query.ignore_case)
        .multi_line(true)
        .crlf(true)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build(&query.pattern)
        .map_err(|error| Failure::invalid(format!("`pattern` is not a usable regular expression: {error}")))
}

fn searcher(context: usize) -> Searcher {
    SearcherBuilder::new()
        .line_terminator(LineTerminator::crlf())
        .line_number(true)
        .before_context(context)
        .after_context(context)
        .heap_limit(Some(MAX_LINE))
        .binary_detection(BinaryDetection::quit(0))
        .build()
}

fn bounded(argument: &str, given: Option<u64>, least: usize, most: usize, usual: usize) -> Result<usize, Failure> {
    let Some(given) = given else { return Ok(usual) };
    let within = usize::try_from(given).ok().filter(|given| (least..=most).contains(given));
    within.ok_or_else(|| Failure::invalid(format!("`{argument}` is {given}; it is to be {least} to {most}.")))
}

/// Which files to search.
enum Include {
    /// By their name.
    Name(GlobSet),
    /// By their path below the root.
    Path(GlobSet),
}

impl Include {
    fn compile(glob: &str) -> Result<Self, Failure> {
        let from_root = glob.strip_prefix("./").or(glob.strip_prefix('/')).unwrap_or(glob);
        if glob.contains('/') {
            return pattern::compile("include", from_root).map(Self::Path);
        }
        pattern::compile("include", glob).map(Self::Name)
    }

    fn has(&self, below: &Path) -> bool {
        match self {
            Self::Name(glob) => below.file_name().is_some_and(|name| glob.is_match(name)),
            Self::Path(glob) => glob.is_match(below),
        }
    }
}

/// The files to search. A file named as `path` is searched whatever it is called.
fn files(root: &Place, include: Option<&Include>, skip: Skip) -> Result<Walked, Failure> {
    let written = &root.written;
    let metadata = fs::metadata(&root.path).map_err(|error| Wish::Read.failure(written, &error))?;
    if metadata.is_dir() {
        return walk::walk(root, skip, None, |below, directory| {
            !directory && include.is_none_or(|glob| glob.has(below))
        });
    }
    if !metadata.is_file() {
        return Err(trouble::is_not_regular(written));
    }
    // Opened to learn of a refusal now: later it would only be noted.
    File::open(&root.path).map_err(|error| Wish::Read.failure(written, &error))?;
    Ok(Walked { entries: vec![Entry { path: root.path.clone(), directory: false }], notes: Vec::new() })
}

/// What was found so far.
struct Search {
    limit: usize,
    path: String,
    text: String,
    /// The length of the text up to the last match and what follows it.
    complete: usize,
    n_chars: usize,
    found: Found,
    n_unreadable: u64,
}

/// Longest line shown, in characters.
const MAX_SHOWN: usize = 500;

impl Search {
    fn new(limit: usize) -> Self {
        let found = Found::default();
        Self { limit, path: String::new(), text: String::new(), complete: 0, n_chars: 0, found, n_unreadable: 0 }
    }

    fn is_full(&self) -> bool {
        self.found.truncated
    }

    fn file(&mut self, searcher: &mut Searcher, matcher: &RegexMatcher, path: &Path) {
        self.path = text::of_path(path);
        let searched = File::open(path).and_then(|file| searcher.search_file(matcher, &file, &mut *self));
        self.text.truncate(self.complete);
        if searched.is_err() {
            self.n_unreadable += 1;
        }
    }

    /// Adds a line; what it says, cut.
    fn line(&mut self, number: Option<u64>, mark: char, bytes: &[u8]) -> String {
        let line = String::from_utf8_lossy(bytes);
        let line = line.trim_end_matches(['\r', '\n']);
        let line = text::cut(line, MAX_SHOWN).map_or_else(|| line.to_owned(), |cut| format!("{cut}… [cut]"));
        let shown = format!("{}{mark}{}{mark}{line}\n", self.path, number.unwrap_or_default());
        self.n_chars += shown.chars().count();
        self.text.push_str(&shown);
        line
    }

    fn answer(mut self, mut notes: Vec<String>) -> Output {
        if self.found.truncated {
            let n_shown = self.found.matches.len();
            let advice = "Narrow the search with `pattern`, `include` or `path`";
            notes.insert(0, format!("The first {n_shown} matches; there are more. {advice}, or raise `limit`."));
        }
        if self.n_unreadable > 0 {
            let why = "no right to read them, or a line of more than 8 MiB";
            notes.push(format!("{} files could not be searched to their end: {why}.", self.n_unreadable));
        }
        self.found.truncated |= !notes.is_empty();
        let shown = if self.found.matches.is_empty() { "No matches found." } else { self.text.trim_end_matches('\n') };
        Output::text(text::with_notes(shown.to_owned(), &notes)).with_structured(&self.found)
    }
}

impl Sink for Search {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, matched: &SinkMatch<'_>) -> io::Result<bool> {
        if self.found.matches.len() == self.limit || self.n_chars >= MAX_CHARS {
            self.found.truncated = true;
            return Ok(false);
        }
        let number = matched.line_number();
        let text = self.line(number, ':', matched.bytes());
        self.complete = self.text.len();
        self.found.matches.push(Match { path: self.path.clone(), line: number.unwrap_or_default(), text });
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> io::Result<bool> {
        self.line(context.line_number(), '-', context.bytes());
        if matches!(context.kind(), SinkContextKind::After) {
            self.complete = self.text.len();
        }
        Ok(true)
    }

    fn context_break(&mut self, _: &Searcher) -> io::Result<bool> {
        self.text.push_str("--\n");
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Folder, told};

    const USUAL: Skip = Skip { hidden: true, ignored: true };

    fn query(pattern: &str) -> Query {
        Query { pattern: pattern.to_owned(), ..Query::default() }
    }

    fn found(folder: &Folder, query: &Query, path: Option<&str>) -> String {
        told(grep(&folder.grants, query, path, USUAL)).replace(&(folder.root() + "/"), "")
    }

    fn project() -> Folder {
        let folder = Folder::new(&[
            ("b.rs", "fn one() {}\r\n\r\nstruct Two;\r\n"),
            ("a/c.txt", "One\ntwo\nthree\nfour\none more\nsix\n"),
            ("a/d.rs", "// nothing\n"),
            ("a/bin", "one\0two"),
            (".hidden", "one"),
            ("ignored.rs", "one"),
            (".gitignore", "ignored.*"),
        ]);
        folder.link("/etc", "a/etc");
        folder
    }

    #[track_caller]
    fn check(query: &Query, path: Option<&str>, expected: &str) {
        assert_eq!(expected, found(&project(), query, path));
    }

    #[test]
    fn matching_lines_are_given_with_their_places() {
        check(&query("one|Two"), None, "a/c.txt:5:one more\nb.rs:1:fn one() {}\nb.rs:3:struct Two;");
        check(&Query { ignore_case: true, ..query("^ONE") }, None, "a/c.txt:1:One\na/c.txt:5:one more");
        check(&query(";$"), None, "b.rs:3:struct Two;");
        check(&query("nowhere"), None, "No matches found.");
        check(&query("one"), Some("ignored.rs"), "ignored.rs:1:one");
        check(&query("two"), Some("a"), "a/c.txt:2:two");
    }

    #[test]
    fn include_is_a_name_or_a_path() {
        let only = |glob: &str| Query { include: Some(glob.to_owned()), ..query("one") };
        check(&only("*.rs"), None, "b.rs:1:fn one() {}");
        check(&only("*.{rs,txt}"), None, "a/c.txt:5:one more\nb.rs:1:fn one() {}");
        check(&only("a/*"), None, "a/c.txt:5:one more");
        check(&only("/*.rs"), None, "b.rs:1:fn one() {}");
        check(&only("**/*.md"), None, "No matches found.");
    }

    #[test]
    fn context_is_marked() {
        let lines = "a/c.txt:2:two\na/c.txt-3-three\n--\nb.rs-2-\nb.rs:3:struct Two;";
        let around = |context| Query { context: Some(context), include: None, ..query("^two|Two") };
        check(&around(1), None, &lines.replacen("a/c.txt:2", "a/c.txt-1-One\na/c.txt:2", 1).replace("--\n", ""));
        let apart = Query { context: Some(1), ..query("One|six") };
        check(&apart, Some("a"), "a/c.txt:1:One\na/c.txt-2-two\n--\na/c.txt-5-one more\na/c.txt:6:six");
    }

    #[test]
    fn what_is_too_much_is_noted() {
        let note = "[The first 1 matches; there are more. Narrow the search with `pattern`, `include` or `path`, or raise `limit`.]";
        let first = Query { limit: Some(1), context: Some(1), ..query("One|six") };
        check(&first, None, &format!("a/c.txt:1:One\na/c.txt-2-two\n\n{note}"));
        let all = Query { limit: Some(1), ..query("four") };
        check(&all, None, "a/c.txt:4:four");
    }

    #[test]
    fn long_lines_are_cut_and_endless_ones_noted() {
        let folder = Folder::new(&[("a", &("x".repeat(600) + "\n")), ("b", &"x".repeat(20 << 20)), ("c", "x")]);
        let shown = format!("a:1:{}… [cut]\nc:1:x", "x".repeat(500));
        let note = "[1 files could not be searched to their end: no right to read them, or a line of more than 8 MiB.]";
        assert_eq!(format!("{shown}\n\n{note}"), found(&folder, &query("x"), None));
    }

    #[test]
    fn what_makes_no_sense_is_invalid() {
        let check = |query: Query, path: Option<&str>, expected: Failure| {
            assert_eq!(Err(expected), grep(&project().grants, &query, path, USUAL));
        };
        check(query(""), None, Failure::invalid("`pattern` is empty; give a regular expression."));
        check(query(&"a".repeat(5000)), None, Failure::invalid("`pattern` is longer than 4096 bytes."));
        check(
            Query { context: Some(11), ..query("a") },
            None,
            Failure::invalid("`context` is 11; it is to be 0 to 10."),
        );
        let most = Query { limit: Some(u64::MAX), ..query("a") };
        check(most, None, Failure::invalid(format!("`limit` is {}; it is to be 1 to 2000.", u64::MAX)));
        check(query("a"), Some("none"), Failure::not_found("File not found: none"));
        check(query("root"), Some("/etc/passwd"), Failure::denied_read("/etc/passwd"));
    }

    #[test]
    fn an_expression_that_cannot_be_used_is_told_why() {
        for pattern in ["(", "a\\nb", "(?=a)", "(\\w{500}){500}", &"(".repeat(2000)] {
            let found = found(&project(), &query(pattern), None);
            let told = "invalid: `pattern` is not a usable regular expression: ";
            assert_eq!(told, &found[..told.len()], "{pattern}");
        }
    }
}
