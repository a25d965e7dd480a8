//! The directories this plugin was given, and which of them a caller's path is in.
//!
//! Purely lexical: it decides what to answer. Whether a path may be opened is decided by the host.

use std::path::{Path, PathBuf};

use bailiwick_sdk::Failure;

use crate::trouble::Wish;

/// The guest paths of the granted directories, in the operator's order. The first is the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<Parts>);

/// A path a caller wrote, found to be in a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As the caller wrote it. Failures name it so.
    pub written: String,
    /// What to open: without `.` and `..`.
    pub path: PathBuf,
    /// The granted directory it is in.
    pub grant: PathBuf,
    /// Whether the caller wrote a `/` at the end, and so meant a directory.
    pub directory: bool,
}

/// Longest path taken: what Linux takes (`PATH_MAX`).
const MAX_PATH: usize = 4096;

impl Grants {
    /// The grants with these guest paths.
    pub fn new<P: AsRef<str>>(paths: impl IntoIterator<Item = P>) -> Self {
        let parts = |path: P| Parts::of(path.as_ref()).unwrap_or_default();
        Self(paths.into_iter().map(parts).collect())
    }

    /// What the host gave this plugin.
    pub fn of_this_plugin() -> Self {
        Self::new(crate::granted_directories())
    }

    /// Where the path is that the caller wrote in the argument `argument`.
    ///
    /// # Errors
    ///
    /// `arguments.invalid` for what is no path, `denied.*` for a path outside of every grant.
    pub fn find(&self, argument: &str, written: &str, wish: Wish) -> Result<Place, Failure> {
        if written.is_empty() {
            return Err(Failure::invalid(format!("`{argument}` is empty; give a path.")));
        }
        if written.contains('\0') {
            return Err(Failure::invalid(format!("`{argument}` contains a NUL character; no path does.")));
        }
        if written.chars().count() > MAX_PATH {
            return Err(Failure::invalid(format!("`{argument}` is longer than {MAX_PATH} characters.")));
        }
        let refused = || wish.denied(written);
        let parts = if written.starts_with('/') {
            Parts::of(written)
        } else {
            self.0.first().and_then(|workspace| workspace.join(written))
        };
        let parts = parts.ok_or_else(refused)?;
        // The longest wins: a directory granted inside another one has its own rights.
        let grant = self.0.iter().filter(|grant| parts.is_in(grant)).max_by_key(|grant| grant.names.len());
        let grant = grant.ok_or_else(refused)?;
        let last = written.rsplit('/').next().unwrap_or_default();
        let directory = matches!(last, "" | "." | "..");
        Ok(Place { written: written.to_owned(), path: parts.to_path(), grant: grant.to_path(), directory })
    }

    /// Where the search starts that the caller wrote as `written`; the workspace if nothing was written.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn find_root(&self, written: Option<&str>) -> Result<Place, Failure> {
        self.find("path", written.unwrap_or("."), Wish::Read)
    }
}

/// A path as its names, without `.` and `..`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parts {
    absolute: bool,
    names: Vec<String>,
}

impl Parts {
    /// None: the path leads above where it starts.
    fn of(path: &str) -> Option<Self> {
        Self { absolute: path.starts_with('/'), names: Vec::new() }.join(path)
    }

    fn join(&self, path: &str) -> Option<Self> {
        let mut joined = self.clone();
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(joined.names.pop()?),
                name => joined.names.push(name.to_owned()),
            }
        }
        Some(joined)
    }

    fn is_in(&self, grant: &Self) -> bool {
        self.absolute == grant.absolute && self.names.starts_with(&grant.names)
    }

    fn to_path(&self) -> PathBuf {
        let names = self.names.join("/");
        match (self.absolute, names.is_empty()) {
            (true, _) => Path::new("/").join(names),
            (false, true) => PathBuf::from("."),
            (false, false) => PathBuf::from(names),
        }
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_sdk::Wanted;
    use serde_json::Value;

    use super::*;

    fn render(found: Result<Place, Failure>) -> String {
        match found {
            Ok(place) => format!("{} in {}", place.path.display(), place.grant.display()),
            Err(Failure::Denied(Wanted::ReadPath(path))) => format!("denied {path}"),
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_are_found_as_the_cases_say() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../cases/paths.json")).unwrap();
        for case in cases {
            let grants = Grants::new(case["grants"].as_array().unwrap().iter().map(|grant| grant.as_str().unwrap()));
            for (written, expected) in case["paths"].as_object().unwrap() {
                let found = render(grants.find("filePath", written, Wish::Read));
                assert_eq!(expected.as_str().unwrap(), found, "{written:?} with {grants:?}");
            }
        }
    }

    #[test]
    fn what_is_no_path_is_invalid() {
        let grants = Grants::new(["/w"]);
        let check = |written: &str, expected: &str| {
            assert_eq!(Err(Failure::invalid(expected)), grants.find("filePath", written, Wish::Write));
        };
        check("", "`filePath` is empty; give a path.");
        check("a\0b", "`filePath` contains a NUL character; no path does.");
        check(&"a".repeat(4097), "`filePath` is longer than 4096 characters.");
    }

    #[test]
    fn a_refused_write_is_named_as_one() {
        let found = Grants::new(["/w"]).find("filePath", "/etc/passwd", Wish::Write);
        assert_eq!(Err(Failure::denied_write("/etc/passwd")), found);
    }
}
