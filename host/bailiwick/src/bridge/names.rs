//! What a server calls its tools and prompts, and what they are called here. A name is taken as it is where it is legal;
//! elsewhere it is made so, the same way each time.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

/// The longest name.
const MAX_NAME: usize = 64;
/// Characters of a hash that tell two names apart.
const HASH: usize = 8;

/// The server's own names by those they have here, where the two differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of tools.
    pub tools: BTreeMap<String, String>,
    /// Of prompts.
    pub prompts: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn of_tools<'n>(&mut self, own: impl Iterator<Item = &'n str>) {
        self.tools = changed(own);
    }

    pub(super) fn of_prompts<'n>(&mut self, own: impl Iterator<Item = &'n str>) {
        self.prompts = changed(own);
    }

    pub(super) fn legal_tool(&self, own: &str) -> String {
        legal(&self.tools, own)
    }

    pub(super) fn legal_prompt(&self, own: &str) -> String {
        legal(&self.prompts, own)
    }

    /// What the server calls the tool.
    #[must_use]
    pub fn own_tool<'n>(&'n self, name: &'n str) -> &'n str {
        self.tools.get(name).map_or(name, String::as_str)
    }

    /// What the server calls the prompt.
    #[must_use]
    pub fn own_prompt<'n>(&'n self, name: &'n str) -> &'n str {
        self.prompts.get(name).map_or(name, String::as_str)
    }
}

fn legal(changed: &BTreeMap<String, String>, own: &str) -> String {
    let other = changed.iter().find(|(_, known)| *known == own).map(|(legal, _)| legal.clone());
    other.unwrap_or_else(|| own.to_owned())
}

/// The names that have to change. One that another has already, or that had to be cut, gets a hash of what it was.
fn changed<'n>(own: impl Iterator<Item = &'n str>) -> BTreeMap<String, String> {
    let own: Vec<&str> = own.collect();
    let plain = |name: &str| name.chars().map(|c| if is_legal(c) { c } else { '_' }).collect::<String>();
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for name in &own {
        *wanted.entry(plain(name)).or_default() += 1;
    }
    let mut changed = BTreeMap::new();
    for name in own {
        let plain = plain(name);
        let fits = (1..=MAX_NAME).contains(&plain.len());
        let legal = match fits {
            true if plain == name => continue,
            true if wanted[&plain] == 1 => plain,
            true | false => hashed(&plain, name),
        };
        changed.insert(legal, name.to_owned());
    }
    changed
}

fn is_legal(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

fn hashed(plain: &str, own: &str) -> String {
    let digest = hex::encode(Sha256::digest(own));
    let stem = &plain[..plain.len().min(MAX_NAME - HASH - 1)];
    format!("{stem}_{}", &digest[..HASH])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(own: &[&str], expected: &[&str]) {
        let mut names = Names::default();
        names.of_tools(own.iter().copied());
        let legal: Vec<String> = own.iter().map(|name| names.legal_tool(name)).collect();
        assert_eq!(legal, expected);
        let back: Vec<&str> = legal.iter().map(|name| names.own_tool(name)).collect();
        assert_eq!(back, own);
    }

    #[test]
    fn a_legal_name_stays_and_another_is_made_legal() {
        check(&["read_file", "get-sum", "A1"], &["read_file", "get-sum", "A1"]);
        check(&["files.read", "a b", "ä"], &["files_read", "a_b", "_"]);
    }

    #[test]
    fn of_two_that_would_be_the_same_each_has_a_hash_unless_it_is_legal_itself() {
        check(&["a.b", "a b"], &["a_b_2e7336dc", "a_b_c8687a08"]);
        check(&["a_b", "a.b"], &["a_b", "a_b_2e7336dc"]);
    }

    #[test]
    fn what_is_too_long_or_empty_has_a_hash() {
        let long = "x".repeat(100);
        let mut names = Names::default();
        names.of_tools([long.as_str(), ""].into_iter());
        let legal = names.legal_tool(&long);
        assert_eq!(legal, format!("{}_09ecb6eb", "x".repeat(55)));
        assert_eq!(names.own_tool(&legal), long);
        assert_eq!(names.legal_tool(""), "_e3b0c442");
    }
}
