//! The built-in plugin `files`: `read`, `write`, `glob` and `grep` within the directories the operator granted.
//!
//! The host enforces the grants: it opens every path beneath a granted directory, and no link leads out. What this
//! plugin knows about grants is there to answer with the right failure, and protects nothing.
#![expect(clippy::disallowed_methods, reason = "a guest's std::fs reaches its preopens only")]

mod glob;
mod grep;
mod pattern;
mod read;
#[cfg(test)]
mod tests;
mod text;
mod walk;
mod write;

use bailiwick_sdk::prelude::*;

use bailiwick_plugin_common::grants::Grants;

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Reads a file: text as it is, or a PNG, JPEG, GIF or WebP image of at most 5 MiB as an image. At most 100 000
    /// characters are given at once; where text is left out, the last line names the `offset` to read on from. Which
    /// directories can be read is decided by the operator and not known beforehand: just try. Not for directories
    /// (use `glob`).
    #[tool(title = "Read a file", read_only, closed_world, risk = "low", output = read::Summary)]
    fn read(
        /// The file: an absolute path, or one relative to the workspace.
        #[serde(rename = "filePath")]
        file_path: String,
        /// The first line to give, counted from 0. Left out: 0.
        #[serde(default)]
        offset: Option<u64>,
        /// How many lines to give at most. Left out: all that fit.
        #[serde(default)]
        limit: Option<u64>,
    ) -> Result<Output, Failure> {
        read::read(&Grants::of_this_plugin(), &file_path, read::Window { offset, limit })
    }

    /// Writes a whole file: makes it and the directories above it where they are missing, and replaces what was in it.
    /// The file is either wholly new or wholly old, never half written. To change part of a file, `read` it first and
    /// write all of it. Which directories can be written is decided by the operator: just try.
    #[tool(title = "Write a file", destructive, idempotent, closed_world, risk = "medium", output = write::Summary)]
    fn write(
        /// The file: an absolute path, or one relative to the workspace.
        #[serde(rename = "filePath")]
        file_path: String,
        /// Everything the file is to hold.
        content: String,
    ) -> Result<Output, Failure> {
        write::write(&Grants::of_this_plugin(), &file_path, &content)
    }

    /// Finds files by name. In the pattern `*` and `?` match within one path component, `**/` any number of
    /// directories, `{a,b}` either, `[a-z]` one character: `**/*.rs` finds every Rust file, `src/*` what is directly in
    /// `src`. Gives absolute paths in alphabetical order, at most 1000. A pattern without `**` finds directories too,
    /// shown with a `/` at the end. Skips hidden files and what `.gitignore` names, and does not follow links.
    #[tool(title = "Find files", read_only, closed_world, risk = "low", output = glob::Found)]
    fn glob(
        /// What to find, relative to `path`.
        pattern: String,
        /// The directory to search: an absolute path, or one relative to the workspace. Left out: the workspace.
        #[serde(default)]
        path: Option<String>,
        /// Also find files whose name, or a directory's name above them, starts with a dot.
        #[serde(default)]
        hidden: bool,
        /// Also find what `.gitignore` and `.ignore` files name.
        #[serde(default)]
        no_ignore: bool,
    ) -> Result<Output, Failure> {
        let skip = walk::Skip { hidden: !hidden, ignored: !no_ignore };
        glob::glob(&Grants::of_this_plugin(), &pattern, path.as_deref(), skip)
    }

    /// Searches the text of files for a regular expression, line by line. Gives `path:line:text` for each matching line
    /// (and `path-line-text` for lines of context), long lines cut at 500 characters, files in alphabetical order.
    /// Skips hidden files, what `.gitignore` names, binary files and links. Narrow a search with `include` or `path`.
    #[expect(clippy::too_many_arguments, reason = "they are the tool's")]
    #[tool(title = "Search in files", read_only, closed_world, risk = "low", output = grep::Found)]
    fn grep(
        /// The regular expression, in the syntax of ripgrep (no look-around, no backreferences): `fn \w+|struct Foo`.
        pattern: String,
        /// Only files that match this glob. Without a `/` it is the file's name (`*.rs`, `*.{ts,tsx}`), with one the
        /// path below `path` (`src/**/*.rs`).
        #[serde(default)]
        include: Option<String>,
        /// The directory or the file to search: an absolute path, or one relative to the workspace. Left out: the
        /// workspace.
        #[serde(default)]
        path: Option<String>,
        /// Whether upper and lower case are the same.
        #[serde(default)]
        ignore_case: bool,
        /// How many lines to show before and after each match, 0 to 10. Left out: 0.
        #[serde(default)]
        #[schemars(range(min = 0, max = 10))]
        context: Option<u64>,
        /// How many matching lines to give at most, 1 to 2000. Left out: 200.
        #[serde(default)]
        #[schemars(range(min = 1, max = 2000))]
        limit: Option<u64>,
        /// Also search files whose name, or a directory's name above them, starts with a dot.
        #[serde(default)]
        hidden: bool,
        /// Also search what `.gitignore` and `.ignore` files name.
        #[serde(default)]
        no_ignore: bool,
    ) -> Result<Output, Failure> {
        let skip = walk::Skip { hidden: !hidden, ignored: !no_ignore };
        let query = grep::Query { pattern, include, ignore_case, context, limit };
        grep::grep(&Grants::of_this_plugin(), &query, path.as_deref(), skip)
    }
}
