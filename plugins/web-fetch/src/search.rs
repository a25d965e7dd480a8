//! The `search` argument: which lines of a text stay.

use bailiwick_sdk::Failure;
use regex::{Regex, RegexBuilder};

/// Lines kept before and after a line that matches.
const AROUND: usize = 3;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 1_000;

/// Memory a compiled pattern, and its cache, may take. Enough for any pattern a person writes; `(\w{99}){99}` is
/// refused. Matching is linear in the text whatever the pattern, so this bounds the time too.
const MAX_COMPILED: usize = 512 << 10;

/// Compiles a pattern.
///
/// # Errors
///
/// `arguments.invalid`, with what is wrong with the pattern.
pub(crate) fn pattern(text: &str) -> Result<Regex, Failure> {
    if text.len() > MAX_PATTERN {
        return Err(Failure::invalid(format!("`search` is longer than {MAX_PATTERN} bytes.")));
    }
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).nest_limit(64);
    builder.build().map_err(|error| {
        if let regex::Error::CompiledTooBig(_) = error {
            return Failure::invalid("`search` is too large once compiled: repeat less.");
        }
        let reason = last_line(&error.to_string());
        Failure::invalid(format!("`search` is not a valid regular expression: {reason}"))
    })
}

/// The parser draws the pattern over several lines; the last one says what is wrong.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or_default().trim();
    format!("{}.", line.trim_start_matches("error: ").trim_end_matches('.'))
}

/// The lines of `text` that match, with the lines around them; `---` stands where lines are left out between two groups.
/// None: no line matches.
pub(crate) fn matching(text: &str, pattern: &Regex) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept: Vec<&str> = Vec::new();
    let mut next = 0;
    for (at, _) in lines.iter().enumerate().filter(|(_, line)| pattern.is_match(line)) {
        let from = at.saturating_sub(AROUND).max(next);
        let to = (at + AROUND + 1).min(lines.len());
        if from >= to {
            continue;
        }
        if from > next && !kept.is_empty() {
            kept.push("---");
        }
        kept.extend(&lines[from..to]);
        next = to;
    }
    (!kept.is_empty()).then(|| kept.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, of: &str, expected: Option<&str>) {
        assert_eq!(matching(text, &pattern(of).expect("a valid pattern")).as_deref(), expected);
    }

    const TEXT: &str = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm";

    #[test]
    fn three_lines_stay_on_each_side() {
        check(TEXT, "^g$", Some("d\ne\nf\ng\nh\ni\nj"));
        check(TEXT, "^a$", Some("a\nb\nc\nd"));
        check(TEXT, "^m$", Some("j\nk\nl\nm"));
    }

    #[test]
    fn groups_are_separated_unless_they_touch() {
        check(TEXT, "^(a|m)$", Some("a\nb\nc\nd\n---\nj\nk\nl\nm"));
        check(TEXT, "^(a|h)$", Some("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk"));
        check(TEXT, "[ab]", Some("a\nb\nc\nd\ne"));
    }

    #[test]
    fn no_match_is_none() {
        check(TEXT, "z", None);
        check("", "z", None);
    }

    #[track_caller]
    fn refused(of: &str, expected: &str) {
        assert_eq!(pattern(of).expect_err("refused"), Failure::invalid(expected));
    }

    #[test]
    fn a_bad_pattern_is_refused() {
        refused("(", "`search` is not a valid regular expression: unclosed group.");
        refused(r"(\w{99}){99}", "`search` is too large once compiled: repeat less.");
        refused(&"a".repeat(1_001), "`search` is longer than 1000 bytes.");
        pattern(&"(".repeat(400)).expect_err("unclosed or too deep");
    }
}
