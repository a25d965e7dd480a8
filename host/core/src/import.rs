//! Servers that somebody configured for another program, as tables for `bailiwick.toml`: a proposal for a person to read.
//!
//! Nothing is granted but what an entry itself shows: the directories it names, the address it is at. What looks like a
//! secret is never part of a proposal; it says where the host will look for it instead. What has no place here is named
//! in a note: a proposal leaves nothing out without saying so.

mod draft;
mod file;
mod runner;
mod secret;
mod text;

use serde::Serialize;

use crate::name::PluginName;
use crate::redact::visible;

/// A file larger than this is refused.
pub const MAX_FILE: usize = 1 << 20;
/// A file with more servers than this is refused.
pub const MAX_SERVERS: usize = 200;

/// One server as a table of `bailiwick.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// The plugin's name.
    pub name: PluginName,
    /// Its tables. No value that looks like a secret is in them.
    pub toml: String,
    /// What a person should know of it, a sentence each.
    pub notes: Vec<String>,
}

impl Proposal {
    /// The tables, with the notes as comments above them.
    #[must_use]
    pub fn text(&self) -> String {
        self.notes.iter().map(|note| comment(note)).collect::<String>() + &self.toml
    }
}

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Import {
    /// Its servers, in the order of the file.
    pub proposals: Vec<Proposal>,
    /// What was left out, a sentence each.
    pub notes: Vec<String>,
}

impl Import {
    /// All of it as TOML, the notes as comments.
    #[must_use]
    pub fn text(&self) -> String {
        let notes: String = self.notes.iter().map(|note| comment(note)).collect();
        let texts = std::iter::once(notes).chain(self.proposals.iter().map(Proposal::text));
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

fn comment(note: &str) -> String {
    let note = visible(note).split(['\n', '\r']).collect::<Vec<_>>().join(" ");
    format!("# {note}\n")
}

/// A server that was named on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The program and its arguments; empty for one at a URL.
    pub command: Vec<String>,
    /// Where it is; none for a program.
    pub url: Option<String>,
    /// Headers of requests to it.
    pub headers: Vec<(String, String)>,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
}

/// Why there are no proposals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Nobody writes that much by hand.
    #[error("the file has {0} bytes; at most {MAX_FILE} are read")]
    TooLarge(usize),
    /// It is something else.
    #[error("the file is not JSON: {0}")]
    NotJson(String),
    /// It is about something else.
    #[error("the file has no servers: there is neither `mcpServers` nor `servers` with a server in it")]
    NoServers,
    /// Nobody has that many.
    #[error("the file has {0} servers; at most {MAX_SERVERS} are taken")]
    TooMany(usize),
    /// What was given cannot be a plugin.
    #[error("there is nothing to propose: {0}")]
    LeftOut(String),
}

/// Reads a `mcpServers` file, as Claude, Cursor and many others have it, or a `servers` file, as VS Code has it.
///
/// Comments and trailing commas are taken, as those programs take them.
///
/// # Errors
/// The file is not one of these, or larger than a person's. An entry that cannot be a plugin is named in the notes.
pub fn import(text: &str) -> Result<Import, ImportError> {
    let file::Servers { entries, inputs, mut notes } = file::read(text)?;
    let mut proposals: Vec<Proposal> = Vec::new();
    let mut variables = text::Variables::default();
    variables.referred(entries.iter().flat_map(file::Entry::texts));
    for entry in entries {
        let shown = text::shown(&entry.name);
        let name = free_name(&entry.name, &proposals);
        match draft::proposal(name, entry, &inputs, &mut variables) {
            Ok(proposal) => proposals.push(proposal),
            Err(reason) => notes.push(format!("`{shown}` is left out: {reason}")),
        }
    }
    Ok(Import { proposals, notes })
}

/// The proposal for one server.
///
/// # Errors
/// It cannot be a plugin; the error says why.
pub fn given(name: &PluginName, given: Given) -> Result<Proposal, ImportError> {
    let mut words = given.command.into_iter();
    let entry = file::Entry {
        name: name.to_string(),
        command: words.next(),
        args: words.collect(),
        env: given.env,
        url: given.url,
        headers: given.headers,
        ..file::Entry::default()
    };
    let mut variables = text::Variables::default();
    variables.referred(entry.texts());
    draft::proposal(name.clone(), entry, &file::Inputs::new(), &mut variables).map_err(ImportError::LeftOut)
}

/// A plugin's name for what somebody called a server: what is no part of such a name becomes `-`, and where a name is
/// there already, a number follows.
fn free_name(text: &str, taken: &[Proposal]) -> PluginName {
    const LONGEST: usize = 32;
    let mut plain = String::new();
    for character in text.to_lowercase().chars() {
        let legal = character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_';
        let character = if legal { character } else { '-' };
        // No two of them beside each other: neither `__`, which joins names, nor rows of what could not be kept.
        if character.is_ascii_alphanumeric() || !plain.ends_with(['-', '_']) {
            plain.push(character);
        }
    }
    let plain = plain.trim_matches(['-', '_']);
    let plain = if plain.starts_with(|first: char| first.is_ascii_lowercase()) {
        plain.to_owned()
    } else {
        format!("server-{plain}").trim_end_matches('-').to_owned()
    };
    let numbered = |number: usize| {
        let end = if number == 1 { String::new() } else { format!("-{number}") };
        let start = plain[..plain.len().min(LONGEST - end.len())].trim_end_matches(['-', '_']);
        PluginName::parse(&format!("{start}{end}")).expect("a plain name is a legal one")
    };
    let is_free = |name: &PluginName| taken.iter().all(|proposal| proposal.name != *name);
    (1..).map(numbered).find(is_free).expect("there are more numbers than servers")
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
