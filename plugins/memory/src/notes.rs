//! Reading, listing and writing the files of the memory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use bailiwick_plugin_common::listing::{Kind, Lister};
use bailiwick_plugin_common::trouble::{self, Wish};
use bailiwick_plugin_common::{replace, text};
use bailiwick_sdk::Failure;

use crate::near::near;
use crate::place::Folder;

/// Largest file read or written: a note is text for a model, and no model reads more.
const MAX_BYTES: u64 = 1 << 20;
/// Most files listed, and most entries looked at for it.
const MAX_LISTED: usize = 2_000;
const MAX_VISITED: usize = 20_000;
/// How deep a list goes.
const MAX_DEPTH: usize = 32;

/// The content of a file.
///
/// # Errors
///
/// `arguments.invalid` for what is no path of a file, `tool.not-found`, `denied.fs.read`; `tool.failed` for what is too
/// large or no text.
pub(crate) fn read(folder: &Folder, written: &str) -> Result<String, Failure> {
    let path = folder.find(written)?;
    let fail = |error: io::Error| {
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
            return not_found(folder, written);
        }
        Wish::Read.failure(written, &error)
    };
    let metadata = fs::metadata(&path).map_err(fail)?;
    if metadata.is_dir() {
        return Err(Failure::invalid(format!("{written} is a folder; leave `path` out to see the files in it.")));
    }
    if !metadata.is_file() {
        return Err(trouble::is_not_regular(written));
    }
    let mut bytes = Vec::new();
    File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(fail)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::failed(format!("{written} is larger than 1 MiB, which is the most that is read here.")));
    }
    String::from_utf8(bytes).map_err(|_| Failure::failed(format!("{written} is not text: it is not UTF-8.")))
}

/// The paths of all files, one a line, in alphabetical order. Links, and what is left of calls that were killed, are not
/// listed.
///
/// # Errors
///
/// `tool.failed` when the folder cannot be listed.
pub(crate) fn list(folder: &Folder) -> Result<String, Failure> {
    let Files { mut paths, is_all } =
        files(folder).ok_or_else(|| Failure::failed("The memory's folder cannot be listed: is it still there?"))?;
    if paths.is_empty() && is_all {
        return Ok("[The memory is empty.]".to_owned());
    }
    let is_all = is_all && paths.len() <= MAX_LISTED;
    paths.truncate(MAX_LISTED);
    if !is_all {
        paths.push("[There are more files than are listed here.]".to_owned());
    }
    Ok(paths.join("\n"))
}

/// Makes or replaces a file.
///
/// # Errors
///
/// `arguments.invalid` for what is no path of a file or too large, `denied.fs.write`; `tool.failed` when the disk is full.
pub(crate) fn write(folder: &Folder, written: &str, content: &str) -> Result<String, Failure> {
    let path = folder.find(written)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(Failure::invalid("`content` is larger than 1 MiB; write several files."));
    }
    replace::write(&path, written, content)?;
    Ok(format!("Written to {written}"))
}

/// What a walk found.
struct Files {
    /// Below the folder, in alphabetical order, each one line.
    paths: Vec<String>,
    /// Whether nothing was left out.
    is_all: bool,
}

/// Every regular file below the folder; none: it cannot be listed.
fn files(folder: &Folder) -> Option<Files> {
    let lister = Lister::open();
    let mut files = Files { paths: Vec::new(), is_all: true };
    let mut directories = vec![(folder.path().clone(), 0)];
    let mut n_left = MAX_VISITED;
    while let Some((directory, depth)) = directories.pop() {
        let Some(entries) = lister.list(&directory) else {
            if depth == 0 {
                return None;
            }
            files.is_all = false;
            continue;
        };
        for entry in entries {
            if n_left == 0 {
                files.is_all = false;
                break;
            }
            n_left -= 1;
            match entry {
                Some((name, Kind::File)) if !replace::is_left_over(&name) => {
                    files.paths.extend(below(folder, &directory.join(name)));
                }
                Some((name, Kind::Directory)) if depth < MAX_DEPTH => {
                    directories.push((directory.join(name), depth + 1));
                }
                Some((_, Kind::Directory)) | None => files.is_all = false,
                Some((_, Kind::File | Kind::Other)) => {}
            }
        }
    }
    files.paths.sort_unstable();
    Some(files)
}

fn below(folder: &Folder, path: &Path) -> Option<String> {
    path.strip_prefix(folder.path()).ok().map(text::of_path)
}

fn not_found(folder: &Folder, written: &str) -> Failure {
    let all = files(folder).map(|files| files.paths).unwrap_or_default();
    let near: Vec<String> = near(written, &all).into_iter().map(|path| format!("`{path}`")).collect();
    let way_out = if near.is_empty() {
        "leave `path` out to see what there is".to_owned()
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    Failure::not_found(format!("File not found: {written}; {way_out}"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn memory(files: &[(&str, &[u8])]) -> (TempDir, Folder) {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let folder = Folder::new(directory.path());
        (directory, folder)
    }

    #[test]
    fn what_was_written_is_read_and_listed() {
        let (_directory, folder) = memory(&[]);
        assert_eq!(Ok("[The memory is empty.]".to_owned()), list(&folder));
        assert_eq!(Ok("Written to people/ada.md".to_owned()), write(&folder, "people/ada.md", "Likes engines.\n"));
        assert_eq!(Ok("Written to b.md".to_owned()), write(&folder, "b.md", "old"));
        assert_eq!(Ok("Written to b.md".to_owned()), write(&folder, "b.md", "new"));
        assert_eq!(Ok("Likes engines.\n".to_owned()), read(&folder, "people/ada.md"));
        assert_eq!(Ok("new".to_owned()), read(&folder, "b.md"));
        assert_eq!(Ok("b.md\npeople/ada.md".to_owned()), list(&folder));
    }

    #[test]
    fn a_list_is_of_files_each_one_line() {
        let (directory, folder) =
            memory(&[("z", b""), ("a/b/c.md", b""), ("a\nb", b""), (".bailiwick-00.tmp", b""), (".hidden", b"")]);
        std::os::unix::fs::symlink("z", directory.path().join("link")).unwrap();
        std::os::unix::fs::symlink("..", directory.path().join("a/up")).unwrap();
        assert_eq!(Ok(".hidden\na/b/c.md\na\\nb\nz".to_owned()), list(&folder));
    }

    #[test]
    fn a_list_ends() {
        let (directory, folder) = memory(&[]);
        for n in 0..MAX_LISTED + 5 {
            fs::write(directory.path().join(format!("{n:05}")), "").unwrap();
        }
        let list = list(&folder).unwrap();
        assert_eq!(MAX_LISTED + 1, list.lines().count());
        assert!(list.starts_with("00000\n00001\n") && list.ends_with("\n[There are more files than are listed here.]"));
        let (directory, folder) = memory(&[]);
        fs::create_dir_all(directory.path().join("d/".repeat(MAX_DEPTH + 2))).unwrap();
        assert_eq!(Ok("[There are more files than are listed here.]".to_owned()), super::list(&folder));
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is_near() {
        let (_directory, folder) = memory(&[("people/ada.md", b"x")]);
        let check = |path: &str, expected: &str| {
            assert_eq!(Err(Failure::not_found(expected)), read(&folder, path));
        };
        check("people/adda.md", "File not found: people/adda.md; did you mean `people/ada.md`?");
        check("shopping", "File not found: shopping; leave `path` out to see what there is");
        check("people/ada.md/x", "File not found: people/ada.md/x; did you mean `people/ada.md`?");
    }

    #[test]
    fn what_is_no_note_is_not_read() {
        let large = vec![b'a'; MAX_BYTES as usize + 1];
        let (_directory, folder) = memory(&[("d/a", b"x"), ("image", b"\xff\xd8\xff"), ("large", &large)]);
        assert_eq!(
            Err(Failure::invalid("d is a folder; leave `path` out to see the files in it.")),
            read(&folder, "d")
        );
        assert_eq!(Err(Failure::failed("image is not text: it is not UTF-8.")), read(&folder, "image"));
        let expected = "large is larger than 1 MiB, which is the most that is read here.";
        assert_eq!(Err(Failure::failed(expected)), read(&folder, "large"));
        assert!(read(&memory(&[("a", &large[1..])]).1, "a").is_ok());
    }

    #[test]
    fn what_cannot_be_written_is_named_and_nothing_is_left_behind() {
        let (directory, folder) = memory(&[("d/a", b"old")]);
        std::os::unix::fs::symlink("/etc/hostname", directory.path().join("out")).unwrap();
        let large = "a".repeat(MAX_BYTES as usize + 1);
        let too_large = Failure::invalid("`content` is larger than 1 MiB; write several files.");
        assert_eq!(Err(too_large), write(&folder, "b", &large));
        assert_eq!(Err(Failure::invalid("d is a directory, not a file.")), write(&folder, "d", "x"));
        assert_eq!(Err(Failure::denied_write("out")), write(&folder, "out", "x"));
        assert_eq!(Err(Failure::not_found("File not found: d/a/b")), write(&folder, "d/a/b", "x"));
        assert_eq!(Ok("d/a".to_owned()), list(&folder));
    }
}
