//! The folder of the memory, and which of its files a caller means.

use std::path::PathBuf;

use bailiwick_sdk::Failure;

/// What there is to say without a folder.
pub(crate) const NO_FOLDER: &str = "No folder is granted to keep the memory in: add `fs = [\"./memory:rw\"]` to the \
                                    plugin's table.";

/// Longest path taken: what Linux takes (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// Longest name of a file or folder: what Linux takes (`NAME_MAX`).
const MAX_NAME: usize = 255;

/// The folder of the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The folder at this path.
    #[cfg(test)]
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The first directory that the operator granted.
    ///
    /// # Errors
    ///
    /// `plugin.not-configured` when there is none.
    pub(crate) fn of_this_plugin() -> Result<Self, Failure> {
        let first = bailiwick_plugin_common::granted_directories().into_iter().next();
        first.map(|path| Self(path.into())).ok_or_else(|| Failure::not_configured(NO_FOLDER))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &PathBuf {
        &self.0
    }

    /// The file that a caller means by `written`.
    ///
    /// # Errors
    ///
    /// `arguments.invalid` for what is no path below the folder.
    pub(crate) fn find(&self, written: &str) -> Result<PathBuf, Failure> {
        if let Some(flaw) = flaw(written) {
            return Err(Failure::invalid(format!("`path` {flaw}.")));
        }
        Ok(self.0.join(written))
    }
}

/// What is wrong with a path, as the end of a sentence.
fn flaw(path: &str) -> Option<&'static str> {
    if path.trim().is_empty() {
        return Some("is empty; name a file, such as `people/ada.md`");
    }
    if path.starts_with('/') {
        return Some("is absolute; give a path below the memory's folder, without a `/` at the start");
    }
    if path.chars().any(char::is_control) {
        return Some("contains a control character, such as a line break; leave it out");
    }
    if path.len() > MAX_PATH || path.split('/').any(|name| name.len() > MAX_NAME) {
        return Some("is longer than 4096 bytes, or a name in it than 255");
    }
    path.split('/').find_map(|name| match name {
        "" => Some("has an empty name between two `/` or at its end; name a file"),
        "." | ".." => Some("holds `.` or `..`; give a path that only goes down, below the memory's folder"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(written: &str) -> String {
        match Folder::new("/m").find(written) {
            Ok(path) => path.display().to_string(),
            Err(Failure::InvalidArguments(why)) => why,
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn a_path_is_below_the_folder() {
        assert_eq!("/m/a.md", told("a.md"));
        assert_eq!("/m/people/ada lovelace/ü.md", told("people/ada lovelace/ü.md"));
        assert_eq!("/m/..a/b..", told("..a/b.."));
    }

    #[test]
    fn what_leads_elsewhere_is_no_path() {
        let climbs = "`path` holds `.` or `..`; give a path that only goes down, below the memory's folder.";
        for path in ["..", "../x", "a/../../x", "a/..", "./a", "a/./b"] {
            assert_eq!(climbs, told(path), "{path}");
        }
        let absolute = "`path` is absolute; give a path below the memory's folder, without a `/` at the start.";
        for path in ["/", "/etc/passwd", "//x", "/m/a.md"] {
            assert_eq!(absolute, told(path), "{path}");
        }
        let empty = "`path` is empty; name a file, such as `people/ada.md`.";
        assert_eq!((empty, empty), (told("").as_str(), told(" \t").as_str()));
        let hollow = "`path` has an empty name between two `/` or at its end; name a file.";
        assert_eq!((hollow, hollow), (told("a//b").as_str(), told("a/").as_str()));
        let control = "`path` contains a control character, such as a line break; leave it out.";
        assert_eq!((control, control), (told("a\nb").as_str(), told("a\0b").as_str()));
        let long = "`path` is longer than 4096 bytes, or a name in it than 255.";
        assert_eq!((long, long), (told(&"a".repeat(256)).as_str(), told(&"a/".repeat(2049)).as_str()));
    }

    #[test]
    fn without_a_grant_there_is_no_folder() {
        assert_eq!(Err(Failure::not_configured(NO_FOLDER)), Folder::of_this_plugin());
    }
}
