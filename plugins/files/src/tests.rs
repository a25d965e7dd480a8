//! What the tests of several modules share: a granted directory with files in it.

use std::fs;
use std::path::PathBuf;

use bailiwick_sdk::{Content, Failure, Output, Wanted};

use bailiwick_plugin_common::grants::Grants;

/// A directory that is the only grant, removed at the end of the test.
pub(crate) struct Folder {
    directory: tempfile::TempDir,
    pub(crate) grants: Grants,
}

impl Folder {
    /// With these files: name and content.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let grants = Grants::new([directory.path().to_str().unwrap()]);
        let folder = Self { directory, grants };
        for (name, content) in files {
            let path = folder.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    pub(crate) fn root(&self) -> String {
        self.directory.path().to_str().unwrap().to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes the symbolic link `name`.
    pub(crate) fn link(&self, to: &str, name: &str) {
        std::os::unix::fs::symlink(to, self.path(name)).unwrap();
    }

    /// The names of all regular files.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut directories = vec![self.path("")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    directories.push(entry.path());
                } else if kind.is_file() {
                    let path = entry.path();
                    let name = path.strip_prefix(self.directory.path()).unwrap();
                    names.push(name.to_str().unwrap().to_owned());
                }
            }
        }
        names.sort();
        names
    }
}

/// What a caller is told, in one text.
pub(crate) fn told(answer: Result<Output, Failure>) -> String {
    match answer {
        Ok(output) => match output.content.as_slice() {
            [Content::Text(text)] => text.clone(),
            other => format!("{other:?}"),
        },
        Err(Failure::InvalidArguments(why)) => format!("invalid: {why}"),
        Err(Failure::NotFound(what)) => format!("not found: {what}"),
        Err(Failure::Denied(Wanted::ReadPath(path))) => format!("denied: reading {path}"),
        Err(other) => format!("{other:?}"),
    }
}
