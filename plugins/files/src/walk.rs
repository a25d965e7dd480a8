//! Walking through a directory: bounded, never through a link, by ripgrep's rules for what to skip.
//!
//! Not `ignore::Walk`: it looks for rules above its root with `canonicalize`, which WASI does not have, and it opens a
//! `.gitignore` that is a pipe.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bailiwick_sdk::Failure;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use bailiwick_plugin_common::grants::Place;
use bailiwick_plugin_common::listing::{Kind, Lister};
use bailiwick_plugin_common::trouble::Wish;

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
    let rules = if skip.ignored { Rules::above(root) } else { None };
    let lister = &Lister::open();
    let mut walk = Walk {
        lister,
        root: &root.path,
        skip,
        wanted,
        n_left: MAX_VISITED,
        n_unreadable: 0,
        n_too_deep: 0,
        entries: Vec::new(),
    };
    let mut directories = vec![Directory { path: root.path.clone(), rules, n_below: depth.unwrap_or(MAX_DEPTH) }];
    while let Some(directory) = directories.pop() {
        if walk.n_left == 0 {
            break;
        }
        walk.list(directory, &mut directories);
    }
    Ok(walk.end(depth.is_none()))
}

/// A directory still to be listed.
struct Directory {
    path: PathBuf,
    /// What the ignore files above it say.
    rules: Option<Rc<Rules>>,
    /// How many levels to go down, this one counted.
    n_below: usize,
}

struct Walk<'p, F> {
    lister: &'p Lister,
    root: &'p Path,
    skip: Skip,
    wanted: F,
    n_left: usize,
    n_unreadable: u64,
    /// Directories at the lowest level, which are not listed.
    n_too_deep: u64,
    entries: Vec<Entry>,
}

impl<F: Fn(&Path, bool) -> bool> Walk<'_, F> {
    /// Lists one directory; the directories in it are to be listed later.
    fn list(&mut self, directory: Directory, later: &mut Vec<Directory>) {
        let Some(listing) = self.lister.list(&directory.path) else {
            self.n_unreadable += 1;
            return;
        };
        let rules = if self.skip.ignored { Rules::at(&directory.path, directory.rules) } else { None };
        for entry in listing {
            if self.n_left == 0 {
                return;
            }
            self.n_left -= 1;
            let Some((name, kind)) = entry else {
                self.n_unreadable += 1;
                continue;
            };
            let Some(entry) = self.look(&directory.path, &name, kind, rules.as_deref()) else { continue };
            let below = entry.path.strip_prefix(self.root).unwrap_or(&entry.path);
            let wanted = (self.wanted)(below, entry.directory);
            if entry.directory && directory.n_below == 1 {
                self.n_too_deep += 1;
            } else if entry.directory {
                let (path, rules) = (entry.path.clone(), rules.clone());
                later.push(Directory { path, rules, n_below: directory.n_below - 1 });
            }
            if wanted {
                self.entries.push(entry);
            }
        }
    }

    /// The entry, unless it is to be skipped.
    fn look(&self, above: &Path, name: &str, kind: Kind, rules: Option<&Rules>) -> Option<Entry> {
        let directory = match kind {
            Kind::File => false,
            Kind::Directory => true,
            // Links, devices, pipes and sockets.
            Kind::Other => return None,
        };
        // `.git` holds no text that anybody searches for.
        if (self.skip.hidden && name.starts_with('.')) || (self.skip.ignored && directory && name == ".git") {
            return None;
        }
        let entry = Entry { path: above.join(name), directory };
        (!rules.is_some_and(|rules| rules.ignore(&entry))).then_some(entry)
    }

    fn end(mut self, whole: bool) -> Walked {
        let mut notes = Vec::new();
        if self.n_left == 0 {
            notes.push(format!("Stopped after {MAX_VISITED} files and directories. Narrow the search with `path`."));
        }
        if self.n_unreadable > 0 {
            notes.push(format!(
                "Could not look at {} of the files and directories: no right to, or a name that is not UTF-8.",
                self.n_unreadable
            ));
        }
        if whole && self.n_too_deep > 0 {
            notes.push(format!("Left out what is more than {MAX_DEPTH} directories deep."));
        }
        self.entries.sort_unstable();
        Walked { entries: self.entries, notes }
    }
}

/// The ignore files of one directory, and of those above it.
struct Rules {
    files: Vec<Gitignore>,
    above: Option<Rc<Rules>>,
}

/// Largest ignore file taken.
const MAX_RULES: u64 = 1 << 20;

impl Rules {
    /// Those of the directories from the grant down to above `root`.
    fn above(root: &Place) -> Option<Rc<Self>> {
        let above = root.path.ancestors().skip(1).take_while(|directory| directory.starts_with(&root.grant));
        let above: Vec<&Path> = above.collect();
        above.into_iter().rev().fold(None, |rules, directory| Self::at(directory, rules))
    }

    /// Those of `directory` and what is `above` it. They count without a `.git`, too: where a subdirectory of a
    /// repository is granted, that is outside of the grant.
    fn at(directory: &Path, above: Option<Rc<Self>>) -> Option<Rc<Self>> {
        let files = [".ignore", ".gitignore"].map(|name| directory.join(name));
        // Never a pipe: opening one waits for its other end.
        let usable = |file: &&PathBuf| fs::metadata(file).is_ok_and(|file| file.is_file() && file.len() <= MAX_RULES);
        let files: Vec<Gitignore> = files.iter().filter(usable).map(|file| read_rules(directory, file)).collect();
        if files.is_empty() { above } else { Some(Rc::new(Self { files, above })) }
    }

    /// Whether the nearest rule about this entry says to skip it.
    fn ignore(&self, entry: &Entry) -> bool {
        let mut rules = Some(self);
        while let Some(Self { files, above }) = rules {
            let decided =
                files.iter().map(|file| file.matched(&entry.path, entry.directory)).find(|said| !said.is_none());
            if let Some(decided) = decided {
                return decided.is_ignore();
            }
            rules = above.as_deref();
        }
        false
    }
}

fn read_rules(directory: &Path, file: &Path) -> Gitignore {
    let mut builder = GitignoreBuilder::new(directory);
    // Lines that are no globs are left out, as git does.
    let _ = builder.add(file);
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Folder;

    #[test]
    fn a_deep_or_linked_tree_comes_to_an_end() {
        let folder = Folder::new(&[(&("d/".repeat(200) + "x"), ""), ("a/x", "")]);
        folder.link(".", "a/self");
        folder.link("..", "a/up");
        let root = folder.grants.find_root(None).unwrap();
        let walked = walk(&root, Skip { hidden: true, ignored: true }, None, |_, _| true).unwrap();
        // `a`, `a/x`, and 128 directories `d`: deeper ones are left out.
        assert_eq!(130, walked.entries.len());
        assert_eq!(["Left out what is more than 128 directories deep."].as_slice(), walked.notes);
    }

    #[test]
    fn an_ignore_file_that_is_a_pipe_is_not_opened() {
        let folder = Folder::new(&[("a", "")]);
        let status = std::process::Command::new("mkfifo").arg(folder.path(".gitignore")).status().unwrap();
        assert!(status.success());
        let root = folder.grants.find_root(None).unwrap();
        let walked = walk(&root, Skip { hidden: false, ignored: true }, None, |_, _| true).unwrap();
        assert_eq!(vec![Entry { path: folder.path("a"), directory: false }], walked.entries);
    }
}
