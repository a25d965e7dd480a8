//! Walking through a directory: bounded, never through a link, by ripgrep's rules for what to skip.

use std::fs;
use std::path::{Path, PathBuf};

use bailiwick_sdk::Failure;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, WalkBuilder};

use crate::grants::Place;
use crate::trouble::Wish;

/// What a walk leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skip {
    /// Names that start with a dot.
    pub(crate) hidden: bool,
    /// What `.gitignore` and `.ignore` files name, and `.git`.
    pub(crate) ignored: bool,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// In alphabetical order.
    pub(crate) entries: Vec<Entry>,
    /// What a reader should know: that it is not everything.
    pub(crate) notes: Vec<String>,
}

/// One regular file or directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) directory: bool,
}

/// Most files and directories looked at. The paths of so many fit into the memory a plugin has by default.
const MAX_VISITED: usize = 200_000;

/// How deep a walk goes. What is deeper has a path too long to open, sooner or later.
const MAX_DEPTH: usize = 128;

/// Collects what is below `root` and `wanted`, which is asked with the path below `root` and whether it is a directory.
///
/// # Errors
///
/// Only for `root` itself; what cannot be read below it is noted.
pub(crate) fn walk(
    root: &Place,
    skip: Skip,
    depth: Option<usize>,
    wanted: impl Fn(&Path, bool) -> bool,
) -> Result<Walked, Failure> {
    fs::read_dir(&root.path).map_err(|error| Wish::Read.failure(&root.written, &error))?;
    let mut walked = Walked::default();
    let mut n_unreadable = 0_u64;
    let mut n_left = MAX_VISITED;
    for entry in builder(root, skip, depth).build() {
        if n_left == 0 {
            let note = format!("Stopped after {MAX_VISITED} files and directories. Narrow the search with `path`.");
            walked.notes.push(note);
            break;
        }
        n_left -= 1;
        let Ok(entry) = entry else {
            n_unreadable += 1;
            continue;
        };
        // Links, devices, pipes and sockets are neither.
        let Some(kind) = entry.file_type().filter(|kind| kind.is_dir() || kind.is_file()) else { continue };
        let below = entry.path().strip_prefix(&root.path).unwrap_or(entry.path());
        if entry.depth() > 0 && wanted(below, kind.is_dir()) {
            walked.entries.push(Entry { directory: kind.is_dir(), path: entry.into_path() });
        }
    }
    if n_unreadable > 0 {
        walked.notes.push(format!("Could not look at {n_unreadable} of the files and directories."));
    }
    walked.entries.sort_unstable();
    Ok(walked)
}

fn builder(root: &Place, skip: Skip, depth: Option<usize>) -> WalkBuilder {
    let mut builder = WalkBuilder::new(&root.path);
    builder
        .standard_filters(false)
        .hidden(skip.hidden)
        .ignore(skip.ignored)
        .git_ignore(skip.ignored)
        .git_exclude(skip.ignored)
        // The `.git` of a granted subdirectory is outside of the grant: its `.gitignore` counts all the same.
        .require_git(false)
        .max_depth(Some(depth.unwrap_or(MAX_DEPTH).min(MAX_DEPTH)))
        .current_dir("/");
    if skip.ignored {
        let above = ignored_above(root);
        builder.filter_entry(move |entry| !is_ignored(&above, entry));
    }
    builder
}

/// The ignore files of the directories from the grant down to above `root`, the nearest first. The walk itself looks
/// only below `root`: to look above it, it needs `canonicalize`, which WASI does not have.
fn ignored_above(root: &Place) -> Vec<Gitignore> {
    let above = root.path.ancestors().skip(1).take_while(|directory| directory.starts_with(&root.grant));
    let files = above.flat_map(|directory| [".ignore", ".gitignore"].map(|name| directory.join(name)));
    files
        .filter(|file| fs::metadata(file).is_ok_and(|metadata| metadata.is_file()))
        .map(|file| ignore_file(&file))
        .collect()
}

fn ignore_file(file: &Path) -> Gitignore {
    let mut builder = GitignoreBuilder::new(file.parent().unwrap_or(file));
    // Lines that are no globs are left out, as git does.
    let _ = builder.add(file);
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// Whether what is above the walk's root says to skip this. `.git` is no text anybody wants to search.
fn is_ignored(above: &[Gitignore], entry: &DirEntry) -> bool {
    if entry.depth() == 0 {
        return false;
    }
    let directory = entry.file_type().is_some_and(|kind| kind.is_dir());
    let decided = above.iter().map(|file| file.matched(entry.path(), directory)).find(|said| !said.is_none());
    (directory && entry.file_name() == ".git") || decided.is_some_and(|said| said.is_ignore())
}
