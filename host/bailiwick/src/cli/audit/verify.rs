//! `bailiwick audit verify`: whether the audit is what was written.

use std::path::Path;

use serde_json::json;

use bailiwick_core::chain::Hash;

use crate::audit::{Archive, Verified};
use crate::cli::Exit;
use crate::cli::terminal::{Terminal, Trouble};

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  bailiwick audit verify
  bailiwick audit verify --head 5f0c…

Each record has a hash that takes in the one before it. A record that was changed, removed, put in or
moved is found, and the first one is named; the exit code is 1 then.

Whoever may write to the file may also cut off its end, or write all of it anew. That shows only
against a hash that was noted elsewhere: note the head from time to time, and give it with `--head`.";

/// A hash, as it is shown.
pub(in crate::cli) fn hash(text: &str) -> Result<Hash, String> {
    Hash::parse(text).ok_or_else(|| "a hash has 64 hex digits".to_owned())
}

pub(super) fn run(terminal: &Terminal, path: &Path, noted: Option<Hash>) -> Result<Exit, Trouble> {
    let archive = Archive::open(path).map_err(|error| super::unreadable(&error))?;
    let archive = archive.ok_or_else(|| super::missing(path))?;
    let verified = archive.verify(noted).map_err(|error| super::unreadable(&error))?;
    let Verified { start, head, broken, found } = verified;
    if let Some(broken) = broken {
        let trouble = Trouble::new(Exit::Failed, "audit.broken", &format!("{}: {broken}", path.display()));
        let before = format!("what comes before it holds, up to record {} with the hash {}", head.number, head.hash);
        return Err(trouble.with("note", &before));
    }
    if let (Some(noted), Some(false)) = (noted, found) {
        let message = format!("{}: no record has the hash {noted}", path.display());
        let why = "records were cut off at the end, or all were written anew; or what has the hash is so old that it was removed";
        return Err(Trouble::new(Exit::Failed, "audit.head", &message).with("note", why));
    }
    let records = head.number - start.number;
    if terminal.json {
        let (first, last) = (start.number + 1, head.number);
        let hash = head.hash.to_string();
        terminal.print_json(&json!({"ok": true, "records": records, "first": first, "last": last, "head": hash}))?;
        return Ok(Exit::Done);
    }
    let hold = if records == 1 { "1 record is".to_owned() } else { format!("{records} records are") };
    let removed = match start.number {
        0 => String::new(),
        number => format!("; {number} before were removed for their age, or to make room"),
    };
    terminal.print(&format!("{hold} what was written{removed}\nhead {}\n", head.hash))?;
    Ok(Exit::Done)
}
