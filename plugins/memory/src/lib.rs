//! The built-in plugin `memory`: text files that a model keeps in one granted folder and finds again later.
//!
//! The folder is the first that the operator granted. Paths are below it: what is absolute or climbs out is refused here
//! with a reason, and by the host in any case.
#![expect(clippy::disallowed_methods, reason = "a guest's std::fs reaches its preopens only")]

mod near;
mod notes;
mod place;

use bailiwick_sdk::prelude::*;

use crate::place::Folder;

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Reads from the memory: notes that were written with `memory_write`, in this conversation or an earlier one. With a
    /// `path`, gives the content of that file; without, the list of all files, one path a line. Look at the list first.
    #[tool(title = "Read from memory", read_only, closed_world, risk = "low")]
    fn memory_read(
        /// The file, as the list shows it, such as `people/ada.md`. Left out: the list of files.
        #[serde(default)]
        path: Option<String>,
    ) -> Result<String, Failure> {
        let folder = Folder::of_this_plugin()?;
        match path {
            Some(path) => notes::read(&folder, &path),
            None => notes::list(&folder),
        }
    }

    /// Writes a file of the memory, to be read later with `memory_read`. Makes it and the folders above it where they are
    /// missing, and replaces all that was in it: to add something, read the file first and write all of it.
    #[tool(title = "Write to memory", destructive, idempotent, closed_world, risk = "medium")]
    fn memory_write(
        /// The file: a path with `/` between folders, such as `people/ada.md`.
        path: String,
        /// Everything the file is to hold, at most 1 MiB.
        content: String,
    ) -> Result<String, Failure> {
        notes::write(&Folder::of_this_plugin()?, &path, &content)
    }

    #[check]
    fn check() -> Option<String> {
        Folder::of_this_plugin().err().map(|_| place::NO_FOLDER.to_owned())
    }
}
