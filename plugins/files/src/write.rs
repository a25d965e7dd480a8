//! `write`: a whole file, replaced in one step.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use bailiwick_plugin_common::replace;
use bailiwick_plugin_common::trouble::{self, Wish};
use bailiwick_sdk::schemars::JsonSchema;
use bailiwick_sdk::serde::Serialize;
use bailiwick_sdk::{Failure, Output};

use crate::text;
use bailiwick_plugin_common::grants::{Grants, Place};

/// What `write` did.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[serde(crate = "bailiwick_sdk::serde")]
#[schemars(crate = "bailiwick_sdk::schemars")]
pub(crate) struct Summary {
    /// The file.
    path: String,
    /// How many characters it holds now.
    characters: usize,
    /// How many bytes it holds now.
    bytes: usize,
    /// Whether it is new.
    created: bool,
}

/// Makes or replaces the file `written`.
///
/// # Errors
///
/// `denied.*`; `arguments.invalid` for a directory; `tool.failed` for a device, and when the disk is full.
pub(crate) fn write(grants: &Grants, written: &str, content: &str) -> Result<Output, Failure> {
    let place = grants.find("filePath", written, Wish::Write)?;
    let fail = |error: io::Error| Wish::Write.failure(written, &error);
    let target = replace::target(&place.path).map_err(fail)?;
    let created = is_new(&place, &target)?;
    let parent = target.parent().ok_or_else(|| trouble::is_directory(written))?;
    replace::make_directories(parent).map_err(fail)?;
    replace::replace(&target, content.as_bytes()).map_err(fail)?;
    let characters = content.chars().count();
    let summary = Summary { path: text::of_path(&place.path), characters, bytes: content.len(), created };
    Ok(Output::text(format!("Wrote {characters} characters to {written}")).with_structured(&summary))
}

/// Whether nothing is there yet.
fn is_new(place: &Place, target: &Path) -> Result<bool, Failure> {
    let written = &place.written;
    match fs::metadata(target) {
        Ok(metadata) if metadata.is_dir() => Err(trouble::is_directory(written)),
        Ok(metadata) if !metadata.is_file() => Err(trouble::is_not_regular(written)),
        _ if place.directory => Err(Failure::invalid(format!("{written} names a directory, not a file."))),
        Ok(_) => Ok(false),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(true),
        Err(error) => Err(Wish::Write.failure(written, &error)),
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_sdk::Content;

    use super::*;
    use crate::tests::Folder;

    #[track_caller]
    fn check(folder: &Folder, path: &str, content: &str, n_chars: usize) {
        let output = write(&folder.grants, path, content).unwrap();
        assert_eq!(vec![Content::text(format!("Wrote {n_chars} characters to {path}"))], output.content);
        assert_eq!(content, fs::read_to_string(folder.path(path)).unwrap());
    }

    #[test]
    fn a_file_is_made_with_its_directories_and_replaced() {
        let folder = Folder::new(&[]);
        check(&folder, "a/b/c.txt", "grün", 4);
        check(&folder, "a/b/c.txt", "", 0);
        let structured = write(&folder.grants, "a/b/c.txt", "ü").unwrap().structured.unwrap();
        let expected = r#"{"path":"/a/b/c.txt","characters":1,"bytes":2,"created":false}"#;
        assert_eq!(expected, structured.replace(&folder.root(), ""));
        check(&folder, &"n".repeat(255), "the longest name", 16);
        assert_eq!(vec!["a/b/c.txt".to_owned(), "n".repeat(255)], folder.files());
    }

    #[test]
    fn a_link_within_the_grant_stays_a_link() {
        let folder = Folder::new(&[("real/a.txt", "old")]);
        folder.link("real/a.txt", "link");
        check(&folder, "link", "new", 3);
        assert_eq!("new", fs::read_to_string(folder.path("real/a.txt")).unwrap());
        assert!(folder.path("link").is_symlink());
    }

    #[track_caller]
    fn check_failure(folder: &Folder, path: &str, expected: Failure) {
        assert_eq!(Err(expected), write(&folder.grants, path, "x"));
    }

    #[test]
    fn what_cannot_be_written_is_named_and_nothing_is_left_behind() {
        let folder = Folder::new(&[("dir/a.txt", "old")]);
        folder.link("/etc/hostname", "out");
        folder.link("round", "round");
        check_failure(&folder, "dir", Failure::invalid("dir is a directory; use glob to see what is in it."));
        check_failure(&folder, ".", Failure::invalid(". is a directory; use glob to see what is in it."));
        check_failure(&folder, "new/", Failure::invalid("new/ names a directory, not a file."));
        check_failure(&folder, "../x", Failure::denied_write("../x"));
        check_failure(&folder, "/etc/x", Failure::denied_write("/etc/x"));
        check_failure(&folder, "out", Failure::denied_write("out"));
        check_failure(&folder, "round", Failure::failed("Cannot write round: too many links lead on from it."));
        check_failure(&folder, "dir/a.txt/b", Failure::not_found("File not found: dir/a.txt/b"));
        assert_eq!(["dir/a.txt"].as_slice(), folder.files());
    }
}
