//! Globs, bounded: a pattern comes from a model, and must cost little whatever it says.

use bailiwick_sdk::Failure;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Longest glob taken, in bytes. Longer ones are lists of files.
const MAX_GLOB: usize = 1024;

/// Most braces and commas in a glob: how many alternatives it can have.
const MAX_ALTERNATIVES: usize = 256;

/// The matcher for one glob, in which `*` and `?` stay within a path component.
///
/// # Errors
///
/// `arguments.invalid`, naming `argument`.
pub(crate) fn compile(argument: &str, glob: &str) -> Result<GlobSet, Failure> {
    let invalid = |why: String| Failure::invalid(format!("`{argument}` is not a usable glob: {why}."));
    if glob.is_empty() {
        return Err(invalid("it is empty".into()));
    }
    if glob.len() > MAX_GLOB {
        return Err(invalid(format!("it is longer than {MAX_GLOB} bytes")));
    }
    if glob.chars().filter(|c| matches!(c, '{' | ',')).count() > MAX_ALTERNATIVES {
        return Err(invalid(format!("it has more than {MAX_ALTERNATIVES} alternatives")));
    }
    if glob.contains('\0') {
        return Err(invalid("it contains a NUL character".into()));
    }
    if glob.split('/').any(|name| name == "..") {
        return Err(invalid("`..` can stand only before the first `*`, `?`, `[` or `{`".into()));
    }
    let glob = GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).empty_alternates(true).build();
    let glob = glob.map_err(|error| invalid(error.kind().to_string()))?;
    // Not `compile_matcher`: it panics where the expression becomes too large.
    GlobSetBuilder::new().add(glob).build().map_err(|error| invalid(error.kind().to_string()))
}

/// Splits a glob into the directories that lead to what it matches, and the rest, which has at least one name.
pub(crate) fn split(glob: &str) -> (&str, &str) {
    let special = glob.find(['*', '?', '[', '{', '\\']).unwrap_or(glob.len());
    let last = glob.trim_end_matches('/').len();
    match glob[..special.min(last)].rfind('/') {
        Some(0) => ("/", &glob[1..]),
        Some(at) => (&glob[..at], &glob[at + 1..]),
        None => ("", glob),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_split_before_its_first_special_component() {
        assert_eq!(("", "*.rs"), split("*.rs"));
        assert_eq!(("", "a.txt"), split("a.txt"));
        assert_eq!(("src", "a.txt"), split("src/a.txt"));
        assert_eq!(("/w/src", "**/*.rs"), split("/w/src/**/*.rs"));
        assert_eq!(("src", "a{b/c,d}/*"), split("src/a{b/c,d}/*"));
        assert_eq!(("/", "*"), split("/*"));
        assert_eq!(("", "src/"), split("src/"));
        assert_eq!(("..", "*"), split("../*"));
    }

    #[track_caller]
    fn check_refused(glob: &str, why: &str) {
        let expected = Failure::invalid(format!("`pattern` is not a usable glob: {why}."));
        assert_eq!(expected, compile("pattern", glob).unwrap_err());
    }

    #[test]
    fn what_is_no_glob_is_invalid() {
        check_refused("", "it is empty");
        check_refused("a[", "unclosed character class; missing ']'");
        check_refused("{a,b", "unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)");
        check_refused("*/../b", "`..` can stand only before the first `*`, `?`, `[` or `{`");
        check_refused(&"a".repeat(1025), "it is longer than 1024 bytes");
        check_refused(&"{a,b}".repeat(129), "it has more than 256 alternatives");
    }

    #[test]
    fn a_pattern_bomb_is_refused_or_quick() {
        let name = "a".repeat(255);
        for glob in ["{a,b}".repeat(120) + "c", "*a".repeat(50) + "b", "?".repeat(1024), "**/".repeat(300) + "b"] {
            assert!(!compile("pattern", &glob).unwrap().is_match(&name), "{glob}");
        }
        // Nesting is bounded by the expression's own limit: an error, not a panic.
        let nested = "{".repeat(256) + &"}".repeat(256);
        let _ = compile("pattern", &nested);
    }
}
