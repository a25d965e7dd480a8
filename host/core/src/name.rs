//! What things are called: names are parsed once, at the border, and are right from then on.
//!
//! A name is cheap to clone and compares, sorts and prints as its text. None of them can hold a character that means
//! something to a shell, a URL, a terminal or a path.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A text that is not a name of the wanted sort; the sentence says what is legal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {what}: write {legal}", shown(text))]
pub struct NameError {
    text: String,
    what: &'static str,
    legal: &'static str,
}

impl NameError {
    /// Says which texts are names of this sort.
    pub fn legal(&self) -> &'static str {
        self.legal
    }
}

/// The start of a text, for an error: a refused name may be of any length.
fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $legal:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// What a legal name is made of, as a phrase for messages.
            pub const LEGAL: &'static str = $legal;

            /// Reads a name.
            ///
            /// # Errors
            /// The text is not a name of this sort; the error says what would be.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let legal: fn(&str) -> bool = $check;
                if legal(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { text: text.to_owned(), what: $what, legal: $legal })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }
    };
}

name!(
    /// What a caller calls: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-` (what every model API takes as a function name).
    ToolName,
    "a tool name",
    "1 to 64 of A-Z, a-z, 0-9, `_` and `-`",
    |text| (1..=64).contains(&text.len()) && text.bytes().all(is_word)
);

name!(
    /// One `[plugins.NAME]` table: 1 to 32 of `a-z`, `0-9`, `_`, `-`, starting with a letter, without `__`.
    ///
    /// `__` is left out because it joins a plugin's name and a tool's where both are shown as one.
    PluginName,
    "a plugin name",
    "1 to 32 of a-z, 0-9, `_` and `-`, starting with a letter, without `__`",
    |text| {
        (1..=32).contains(&text.len())
            && text.bytes().all(|byte| is_word(byte) && !byte.is_ascii_uppercase())
            && text.as_bytes()[0].is_ascii_lowercase()
            && !text.contains("__")
    }
);

name!(
    /// One `[plugins.NAME.secrets.SECRET]` table: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`.
    SecretName,
    "a secret name",
    "1 to 64 of A-Z, a-z, 0-9, `_` and `-`",
    |text| (1..=64).contains(&text.len()) && text.bytes().all(is_word)
);

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_name_is_up_to_64_word_characters() {
        for legal in ["a", "Web_fetch-2", &"x".repeat(64)] {
            assert_eq!(ToolName::parse(legal).unwrap().as_str(), legal);
        }
        for illegal in ["", "a b", "a.b", "ä", "a/b", "a\0", &"x".repeat(65)] {
            assert!(ToolName::parse(illegal).is_err(), "{illegal:?}");
        }
    }

    #[test]
    fn a_plugin_name_is_lower_case_and_never_holds_the_joint() {
        for legal in ["a", "web-fetch", "a_b", "a2", &"x".repeat(32)] {
            assert_eq!(PluginName::parse(legal).unwrap().to_string(), legal);
        }
        for illegal in ["", "Fetch", "2a", "-a", "_a", "a__b", "a.b", &"x".repeat(33)] {
            assert!(PluginName::parse(illegal).is_err(), "{illegal:?}");
        }
    }

    #[test]
    fn the_error_says_what_is_legal() {
        assert_eq!(
            PluginName::parse("Fetch").unwrap_err().to_string(),
            "`Fetch` is not a plugin name: write 1 to 32 of a-z, 0-9, `_` and `-`, starting with a letter, without `__`"
        );
    }

    #[test]
    fn a_name_read_by_serde_is_checked_too() {
        assert_eq!(serde_json::from_str::<SecretName>("\"TOKEN\"").unwrap().as_str(), "TOKEN");
        assert!(serde_json::from_str::<SecretName>("\"a b\"").is_err());
    }
}
