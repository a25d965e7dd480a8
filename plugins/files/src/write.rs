//! `write`: a whole file, replaced in one step.
//!
//! The new content goes into a file of its own beside the old one, which then takes its name. What the host cannot
//! carry over is lost: a replaced file gets the mode of a new one, and other hard links keep the old content.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use bailiwick_sdk::schemars::JsonSchema;
use bailiwick_sdk::serde::Serialize;
use bailiwick_sdk::{Failure, Output};

use crate::grants::{Grants, Place};
use crate::text;
use crate::trouble::{self, Wish};

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
    let target = target(&place).map_err(fail)?;
    let created = is_new(&place, &target)?;
    let parent = target.parent().ok_or_else(|| trouble::is_directory(written))?;
    make_directories(parent).map_err(fail)?;
    replace(parent, &target, content.as_bytes()).map_err(fail)?;
    let characters = content.chars().count();
    let summary = Summary { path: text::of_path(&place.path), characters, bytes: content.len(), created };
    Ok(Output::text(format!("Wrote {characters} characters to {written}")).with_structured(&summary))
}

/// Most links followed to a file: what Linux follows.
const MAX_LINKS: usize = 40;

/// The file to replace: where `place` is a link, what it leads to, so that the link stays one. Each step is taken by
/// the host, which refuses to leave the grant.
fn target(place: &Place) -> io::Result<PathBuf> {
    let mut target = place.path.clone();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_symlink() => {}
            _ => return Ok(target),
        }
        let to = fs::read_link(&target)?;
        if to.is_absolute() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        target = target.parent().unwrap_or(&place.grant).join(to);
    }
    Err(io::Error::other("too many links lead on from it"))
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

/// Makes the directory and those above it. Not `create_dir_all`: that recurses once per missing directory.
fn make_directories(directory: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && fs::metadata(path).is_err();
    let missing: Vec<&Path> = directory.ancestors().take_while(is_missing).collect();
    for directory in missing.into_iter().rev() {
        match fs::create_dir(directory) {
            // Somebody else made it meanwhile.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            done => done?,
        }
    }
    Ok(())
}

/// Puts a file with this content in the place of `target`, in one step.
fn replace(parent: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
    let (path, file) = make_temporary(parent, content)?;
    let done = fill(file, content).and_then(|()| fs::rename(&path, target));
    if done.is_err() {
        // The first failure is the one to tell; this one would only follow from it.
        let _ = fs::remove_file(&path);
    }
    done
}

fn fill(mut file: File, content: &[u8]) -> io::Result<()> {
    file.write_all(content)?;
    // Before the rename: else the name may survive a power cut, and the content not.
    file.sync_all()
}

/// Most files left over from calls that were killed, before a call gives up.
const MAX_LEFT_OVER: u64 = 64;

/// A new file under a name that no other call uses. The name comes from the content: two calls rarely collide, and the
/// plugin need not ask for random numbers.
fn make_temporary(parent: &Path, content: &[u8]) -> io::Result<(PathBuf, File)> {
    let start = content.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3) // FNV-1a
    });
    for n in 0..MAX_LEFT_OVER {
        let path = parent.join(format!(".bailiwick-{:016x}.tmp", start.wrapping_add(n)));
        match File::create_new(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many .bailiwick-*.tmp files are beside it; remove them"))
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

    #[test]
    fn a_file_left_over_from_a_killed_call_is_in_nobodys_way() {
        let folder = Folder::new(&[]);
        let (left_over, _) = make_temporary(&folder.path(""), b"x").unwrap();
        check(&folder, "a.txt", "x", 1);
        assert_eq!("", fs::read_to_string(left_over).unwrap());
    }
}
