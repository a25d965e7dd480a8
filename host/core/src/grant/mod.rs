//! What an operator allows, one right per file: what its text means, what it lets through, and what to write when it
//! does not.
//!
//! What is not written is not granted. A refusal is a value that names the closest grant and the line that would
//! change the answer, and it never decides anything by itself: every door asks again.

pub mod address;
pub mod call;
pub mod fs;
pub mod limit;
pub mod net;
pub mod pattern;
pub mod reach;
pub mod secret;
pub mod want;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::config::Place;

pub use address::{AddressClass, AddressRange, classify};
pub use call::CallGrants;
pub use fs::{Access, FsDenial, FsDenialKind, FsGrant, FsGrants};
pub use limit::{Limits, SomeLimits, parse_duration, parse_size};
pub use net::{NetDenial, NetDenialKind, NetGrant, NetGrants, NetRequest};
pub use reach::Reach;
pub use secret::{Binding, Origin, Placement, SecretGrant, SecretSource};
pub use want::{FsWant, NetWant, SecretWant, Want, Witness};

/// The table a grant stands in, for the sentence that says where to write another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Such as `plugins.fetch`, without brackets.
    pub table: Arc<str>,
    /// Such as `bailiwick.toml:12`.
    pub at: Arc<str>,
}

impl Section {
    /// Names a table and where it starts.
    pub fn new(table: &str, at: &str) -> Self {
        Self { table: table.into(), at: at.into() }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`[{}]` ({})", self.table, self.at)
    }
}

/// Everything one plugin, or one tool of it, may reach.
#[derive(Clone, Default, PartialEq)]
pub struct Grants {
    /// Hosts over HTTP.
    pub net: NetGrants,
    /// Directories.
    pub fs: FsGrants,
    /// Other tools.
    pub call: CallGrants,
    /// Environment variables as the plugin sees them.
    pub env: BTreeMap<String, String>,
    /// Secrets that may be used for it.
    pub secrets: Vec<SecretGrant>,
    /// The table these come from, such as `plugins.fetch` or `plugins.fetch.tools.web_fetch`, without brackets.
    pub table: String,
    /// Where that table starts, such as `bailiwick.toml:12`.
    pub at: String,
}

impl Grants {
    /// `FILE:LINE` of a grant of this table.
    pub fn line(&self, place: &Place) -> String {
        let file = self.at.rsplit_once(':').map_or(self.at.as_str(), |(file, _)| file);
        format!("{file}:{}", place.line)
    }

    /// The secret of this name, if it may be used.
    pub fn secret(&self, name: &str) -> Option<&SecretGrant> {
        self.secrets.iter().find(|grant| grant.name.as_str() == name)
    }
}

impl fmt::Debug for Grants {
    /// Leaves the values of `env` out: an operator may have put a credential there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants")
            .field("net", &self.net)
            .field("fs", &self.fs)
            .field("call", &self.call)
            .field("env", &self.env.keys())
            .field("secrets", &self.secrets)
            .field("table", &self.table)
            .field("at", &self.at)
            .finish()
    }
}

/// Lines to add, each with the tables to add it to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remedy {
    lines: Vec<(String, Section)>,
}

impl Remedy {
    pub(crate) fn add(&mut self, line: impl Into<String>, section: &Section) {
        self.lines.push((line.into(), section.clone()));
    }

    /// Each line with the table it belongs to.
    pub(crate) fn lines(&self) -> &[(String, Section)] {
        &self.lines
    }

    /// The lines alone, each once, as they would stand in the file.
    pub(crate) fn toml(&self) -> Option<String> {
        let mut lines: Vec<&str> = Vec::new();
        for (line, _) in &self.lines {
            if !lines.contains(&line.as_str()) {
                lines.push(line);
            }
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// A phrase that says what to add where: ``add `LINE` and `LINE` under `[TABLE]` (FILE:LINE)``.
    pub(crate) fn sentence(&self) -> Option<String> {
        let mut by_section: Vec<(&Section, Vec<String>)> = Vec::new();
        for (line, section) in &self.lines {
            let line = format!("`{line}`");
            match by_section.iter_mut().find(|(known, _)| *known == section) {
                Some((_, lines)) if lines.contains(&line) => {}
                Some((_, lines)) => lines.push(line),
                None => by_section.push((section, vec![line])),
            }
        }
        let phrases: Vec<String> =
            by_section.iter().map(|(section, lines)| format!("{} under {section}", lines.join(" and "))).collect();
        (!phrases.is_empty()).then(|| format!("add {}", phrases.join(", and ")))
    }
}

/// A text as a TOML string.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
