//! `glob`: files by name.

use std::fs;
use std::path::Path;

use bailiwick_sdk::schemars::JsonSchema;
use bailiwick_sdk::serde::Serialize;
use bailiwick_sdk::{Failure, Output};

use crate::pattern;
use crate::text;
use crate::walk::{self, Entry, Skip};
use bailiwick_plugin_common::grants::{Grants, Place};
use bailiwick_plugin_common::trouble::Wish;

/// What `glob` found.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[serde(crate = "bailiwick_sdk::serde")]
#[schemars(crate = "bailiwick_sdk::schemars")]
pub(crate) struct Found {
    /// The paths in alphabetical order; a directory ends with `/`.
    paths: Vec<String>,
    /// Whether there is more.
    truncated: bool,
}

/// Most paths in one answer.
const MAX_PATHS: usize = 1000;

/// Finds what matches `glob` below the directory `path`.
///
/// # Errors
///
/// `denied.*`, `tool.not-found`; `arguments.invalid` for an unusable glob and where `path` is a file.
pub(crate) fn glob(grants: &Grants, glob: &str, path: Option<&str>, skip: Skip) -> Result<Output, Failure> {
    let (leading, rest) = pattern::split(glob);
    let matcher = pattern::compile("pattern", rest.trim_end_matches('/'))?;
    let only_directories = rest.ends_with('/');
    let across = rest.contains("**");
    let Some(root) = root(grants, path, leading)? else { return Ok(answer(&[], Vec::new())) };
    // Who asks for a dot wants what starts with one.
    let skip = Skip { hidden: skip.hidden && !rest.split(['/', '{', ',']).any(|name| name.starts_with('.')), ..skip };
    let depth = (!across).then(|| rest.matches('/').count() + 1);
    let walked = walk::walk(&root, skip, depth, |below: &Path, directory| {
        let right_kind = if directory { only_directories || !across } else { !only_directories };
        right_kind && matcher.is_match(below)
    })?;
    Ok(answer(&walked.entries, walked.notes))
}

/// The directory to search: `leading` below `path`. None: there is no such directory, and so nothing in it.
fn root(grants: &Grants, path: Option<&str>, leading: &str) -> Result<Option<Place>, Failure> {
    let path = path.filter(|_| !leading.starts_with('/'));
    if leading.is_empty() || path.is_some() {
        let base = grants.find_root(path)?;
        let metadata = fs::metadata(&base.path).map_err(|error| Wish::Read.failure(&base.written, &error))?;
        if !metadata.is_dir() {
            return Err(Failure::invalid(format!("{} is not a directory; `path` is to be one.", base.written)));
        }
        if leading.is_empty() {
            return Ok(Some(base));
        }
    }
    let written = path.map_or(leading.to_owned(), |path| format!("{}/{leading}", path.trim_end_matches('/')));
    let root = grants.find("pattern", &written, Wish::Read)?;
    match fs::metadata(&root.path).map_err(|error| Wish::Read.failure(&written, &error)) {
        Ok(metadata) => Ok(metadata.is_dir().then_some(root)),
        Err(Failure::NotFound(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn answer(entries: &[Entry], mut notes: Vec<String>) -> Output {
    let truncated = entries.len() > MAX_PATHS || !notes.is_empty();
    let line = |entry: &Entry| text::of_path(&entry.path) + if entry.directory { "/" } else { "" };
    let paths: Vec<String> = entries.iter().take(MAX_PATHS).map(line).collect();
    if entries.len() > MAX_PATHS {
        let n_found = entries.len();
        notes.insert(
            0,
            format!("The first {MAX_PATHS} of {n_found} found. Narrow the search with `pattern` or `path`."),
        );
    }
    let shown = if paths.is_empty() { "No files found.".to_owned() } else { paths.join("\n") };
    Output::text(text::with_notes(shown, &notes)).with_structured(&Found { paths, truncated })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::tests::{Folder, told};

    const USUAL: Skip = Skip { hidden: true, ignored: true };
    const NOTHING: Skip = Skip { hidden: false, ignored: false };

    fn found(folder: &Folder, pattern: &str, path: Option<&str>, skip: Skip) -> String {
        told(glob(&folder.grants, pattern, path, skip)).replace(&(folder.root() + "/"), "").replace('\n', " ")
    }

    fn project() -> Folder {
        let names = [
            ".env",
            ".github/ci.yml",
            ".git/config",
            "Cargo.toml",
            "build/out.rs",
            "src/lib.rs",
            "src/a/b.rs",
            "src/a/c.txt",
            "src/a/keep.log",
            "src/build/x.rs",
            "notes.log",
        ];
        let folder = Folder::new(&names.map(|name| (name, name)));
        fs::write(folder.path(".gitignore"), "*.log\n/build\n").unwrap();
        fs::write(folder.path("src/a/.gitignore"), "!keep.log\n").unwrap();
        folder.link("src", "linked");
        folder.link("..", "src/up");
        folder
    }

    #[test]
    fn files_are_found_as_the_cases_say() {
        let folder = project();
        let cases: Vec<Value> = serde_json::from_str(include_str!("../cases/globs.json")).unwrap();
        for case in cases {
            let skip = if case["all"] == true { NOTHING } else { USUAL };
            let pattern = case["pattern"].as_str().unwrap();
            assert_eq!(case["found"].as_str().unwrap(), found(&folder, pattern, case["path"].as_str(), skip), "{case}");
        }
    }

    #[test]
    fn an_absolute_pattern_needs_no_path() {
        let folder = project();
        let pattern = folder.root() + "/src/*.rs";
        assert_eq!("src/lib.rs", found(&folder, &pattern, None, USUAL));
        assert_eq!("src/lib.rs", found(&folder, &pattern, Some("build"), USUAL));
    }

    #[test]
    fn no_more_is_given_than_fits() {
        let folder = Folder::new(&[]);
        for n in 0..1001 {
            fs::write(folder.path(&format!("{n:04}")), "").unwrap();
        }
        let found = found(&folder, "*", None, USUAL);
        let note = "0999  [The first 1000 of 1001 found. Narrow the search with `pattern` or `path`.]";
        assert_eq!(note, &found[found.len() - note.len()..]);
    }
}
