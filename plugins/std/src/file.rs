//! `std-write-file`: a file under a plain name in the first granted folder.

use std::path::Path;

use bailiwick_plugin_common::{replace, text};
use bailiwick_sdk::Failure;
use schemars::JsonSchema;
use serde::Serialize;

/// Largest file written.
const MAX_BYTES: usize = 4 << 20;
/// Longest name of a file: what Linux takes (`NAME_MAX`).
const MAX_NAME: usize = 255;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Written {
    /// The name of the file.
    name: String,
    /// Where it is.
    path: String,
    /// The folder it is in.
    #[serde(rename = "contextDir")]
    context_dir: String,
}

/// Runs `std-write-file`.
///
/// # Errors
///
/// `plugin.not-configured` without a folder; `arguments.invalid` for what is no plain name or too large; `denied.fs.write`;
/// `tool.failed` when the disk is full.
pub(crate) fn write(folder: Option<&str>, name: &str, content: &str) -> Result<Written, Failure> {
    let name = name.trim();
    if let Some(flaw) = flaw(name) {
        return Err(Failure::invalid(format!("`name` {flaw}.")));
    }
    if content.len() > MAX_BYTES {
        return Err(Failure::invalid("`content` is larger than 4 MiB; write several files."));
    }
    let folder = folder.map(Path::new).ok_or_else(|| {
        Failure::not_configured("No folder is granted to write to: add `fs = [\"./files:rw\"]` to the plugin's table.")
    })?;
    let path = folder.join(name);
    replace::write(&path, name, content)?;
    Ok(Written { name: name.to_owned(), path: text::of_path(&path), context_dir: text::of_path(folder) })
}

/// What is wrong with a name, as the end of a sentence.
fn flaw(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty; name the file, such as `report.md`");
    }
    if matches!(name, "." | "..") || name.contains(['/', '\\']) || name.chars().any(char::is_control) {
        return Some("is not a plain file name: it may hold no `/`, no `\\` and no control character");
    }
    (name.len() > MAX_NAME).then_some("is longer than 255 bytes")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a test's own folder")]

    use super::*;

    #[test]
    fn a_file_is_written_into_the_folder() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().to_str().unwrap();
        let written = write(Some(folder), " a.md ", "ü").unwrap();
        let path = format!("{folder}/a.md");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "ü");
        assert_eq!(written, Written { name: "a.md".to_owned(), path, context_dir: folder.to_owned() });
        assert!(write(Some(folder), "a.md", "new").is_ok());
        assert_eq!(std::fs::read_to_string(directory.path().join("a.md")).unwrap(), "new");
    }

    #[test]
    fn only_a_plain_name_is_taken() {
        let plain = "`name` is not a plain file name: it may hold no `/`, no `\\` and no control character.";
        for name in ["..", ".", "a/b", "/etc/x", "../x", "a\\b", "a\nb", "a\0"] {
            assert_eq!(write(Some("/nowhere"), name, ""), Err(Failure::invalid(plain)), "{name}");
        }
        let empty = "`name` is empty; name the file, such as `report.md`.";
        assert_eq!(write(Some("/nowhere"), " ", ""), Err(Failure::invalid(empty)));
        let long = Failure::invalid("`name` is longer than 255 bytes.");
        assert_eq!(write(Some("/nowhere"), &"a".repeat(256), ""), Err(long));
        let large = Failure::invalid("`content` is larger than 4 MiB; write several files.");
        assert_eq!(write(Some("/nowhere"), "a", &"a".repeat(MAX_BYTES + 1)), Err(large));
    }

    #[test]
    fn without_a_folder_nothing_is_written() {
        let why = "No folder is granted to write to: add `fs = [\"./files:rw\"]` to the plugin's table.";
        assert_eq!(write(None, "a", ""), Err(Failure::not_configured(why)));
    }
}
