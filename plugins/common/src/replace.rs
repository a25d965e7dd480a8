//! A whole file, replaced in one step.
//!
//! The new content goes into a file of its own beside the old one, which then takes its name. What the host cannot
//! carry over is lost: a replaced file gets the mode of a new one, and other hard links keep the old content.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use bailiwick_sdk::Failure;

use crate::trouble::{self, Wish};

/// Makes or replaces the file at `path` with the directories above it. Failures call it `written`, as the caller does.
///
/// # Errors
///
/// `denied.*`; `arguments.invalid` for a directory; `tool.failed` for a device, and when the disk is full.
pub fn write(path: &Path, written: &str, content: &str) -> Result<(), Failure> {
    let fail = |error: io::Error| Wish::Write.failure(written, &error);
    let target = target(path).map_err(fail)?;
    match fs::metadata(&target) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(Failure::invalid(format!("{written} is a directory, not a file.")));
        }
        Ok(metadata) if !metadata.is_file() => return Err(trouble::is_not_regular(written)),
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
        Err(error) => return Err(fail(error)),
    }
    make_directories(target.parent().unwrap_or(path)).map_err(fail)?;
    replace(&target, content.as_bytes()).map_err(fail)
}

/// Whether a file of this name is left over from a call that was killed.
#[must_use]
pub fn is_left_over(name: &str) -> bool {
    name.starts_with(".bailiwick-") && name.ends_with(".tmp")
}

/// Most links followed to a file: what Linux follows.
const MAX_LINKS: usize = 40;

/// The file to replace: where `path` is a link, what it leads to, so that the link stays one. Each step is taken by
/// the host, which refuses to leave the grant.
///
/// # Errors
///
/// The operating system's; `PermissionDenied` for a link to an absolute path.
pub fn target(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_symlink() => {}
            _ => return Ok(target),
        }
        let to = fs::read_link(&target)?;
        if to.is_absolute() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        target = target.parent().unwrap_or(Path::new("/")).join(to);
    }
    Err(io::Error::other("too many links lead on from it"))
}

/// Makes the directory and those above it. Not `create_dir_all`: that recurses once per missing directory.
///
/// # Errors
///
/// The operating system's.
pub fn make_directories(directory: &Path) -> io::Result<()> {
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
///
/// # Errors
///
/// The operating system's; then the file is as it was.
pub fn replace(target: &Path, content: &[u8]) -> io::Result<()> {
    let parent = target.parent().ok_or(ErrorKind::InvalidInput)?;
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
    use super::*;

    #[test]
    fn a_file_left_over_from_a_killed_call_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        let (left_over, _) = make_temporary(folder.path(), b"x").unwrap();
        assert!(is_left_over(left_over.file_name().unwrap().to_str().unwrap()));
        replace(&file, b"x").unwrap();
        assert_eq!("x", fs::read_to_string(file).unwrap());
        assert_eq!("", fs::read_to_string(left_over).unwrap());
    }
}
