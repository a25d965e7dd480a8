//! Texts of somebody else's file, with the references they may hold, and texts of ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::redact::{is_invisible, quotable};

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Itself.
    Text(String),
    /// `${NAME}` or `${env:NAME}`: a variable of the environment; with `:-` what stands for it if there is none.
    Variable { name: String, default: Option<String> },
    /// `${input:ID}`: what a person is asked for.
    Input(String),
    /// `${workspaceFolder}`: the folder that is open in an editor.
    Folder,
    /// `${userHome}`.
    Home,
}

/// Reads a text. A reference that is not known is text.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        plain.push_str(before);
        let found = from.find('}').and_then(|end| Some((end + 1, reference(&from[2..end])?)));
        let taken = match found {
            Some((taken, Piece::Text(text))) => {
                plain.push_str(&text);
                taken
            }
            Some((taken, piece)) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(piece);
                taken
            }
            None => {
                plain.push_str("${");
                2
            }
        };
        rest = &from[taken..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

fn reference(inner: &str) -> Option<Piece> {
    match inner {
        "workspaceFolder" | "workspaceRoot" => return Some(Piece::Folder),
        "userHome" => return Some(Piece::Home),
        "/" | "pathSeparator" => return Some(Piece::Text("/".to_owned())),
        _ => {}
    }
    if let Some(id) = inner.strip_prefix("input:") {
        return Some(Piece::Input(id.to_owned()));
    }
    let variable = inner.strip_prefix("env:").unwrap_or(inner);
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (variable, None),
    };
    is_variable(name).then(|| Piece::Variable { name: name.to_owned(), default })
}

/// Whether a text is a name an environment variable can have.
pub(super) fn is_variable(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(word) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// The name of an environment variable made of other names.
pub(super) fn variable(parts: &[&str]) -> String {
    let mut name = String::new();
    for character in parts.join("_").chars() {
        if character.is_ascii_alphanumeric() {
            name.push(character.to_ascii_uppercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    name.truncate(64);
    let name = name.trim_end_matches('_');
    if is_variable(name) { name.to_owned() } else { format!("SERVER_{name}").trim_end_matches('_').to_owned() }
}

/// Which variables of the host's environment stand for what: no two things share one.
#[derive(Default)]
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Takes note of all variables that texts refer to.
    pub(super) fn referred<'t>(&mut self, texts: impl IntoIterator<Item = &'t String>) {
        for piece in texts.into_iter().flat_map(|text| pieces(text)) {
            if let Piece::Variable { name, .. } = piece {
                let itself = format!("${{{name}}}");
                self.0.insert(name, itself);
            }
        }
    }

    /// The variable for `value`: `wanted`, or that with a number where it stands for something else.
    pub(super) fn of(&mut self, wanted: &str, value: &str) -> String {
        let numbered = |number: usize| if number == 1 { wanted.to_owned() } else { format!("{wanted}_{number}") };
        let fits = |name: &String| self.0.get(name).is_none_or(|known| known == value);
        let name = (1..).map(numbered).find(fits).expect("there are more numbers than variables");
        self.0.insert(name.clone(), value.to_owned());
        name
    }
}

/// A text as a TOML string, on one line, with everything escaped that a reader would not see.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        let number = u32::from(character);
        let _ = match character {
            '"' | '\\' => write!(quoted, "\\{character}"),
            '\n' => write!(quoted, "\\n"),
            '\t' => write!(quoted, "\\t"),
            _ if !(character.is_control() || is_invisible(character)) => write!(quoted, "{character}"),
            _ if number < 0x1_0000 => write!(quoted, "\\u{number:04X}"),
            _ => write!(quoted, "\\U{number:08X}"),
        };
    }
    quoted.push('"');
    quoted
}

/// Texts as a TOML list on one line.
pub(super) fn list<'t>(texts: impl IntoIterator<Item = &'t String>) -> String {
    format!("[{}]", texts.into_iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// A text of the file in a sentence of ours.
pub(super) fn shown(text: &str) -> String {
    quotable(text, 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_those_of_the_programs_that_have_such_files() {
        let variable = |name: &str, default: Option<&str>| Piece::Variable {
            name: name.to_owned(),
            default: default.map(str::to_owned),
        };
        let text = |text: &str| Piece::Text(text.to_owned());
        for (given, expected) in [
            ("plain $HOME", vec![text("plain $HOME")]),
            ("a${B}c", vec![text("a"), variable("B", None), text("c")]),
            ("${env:B}${C:-d e}", vec![variable("B", None), variable("C", Some("d e"))]),
            ("${input:a-b}", vec![Piece::Input("a-b".to_owned())]),
            ("${workspaceFolder}${/}x", vec![Piece::Folder, text("/x")]),
            ("${userHome}", vec![Piece::Home]),
            ("${a:b} ${1} ${", vec![text("${a:b} ${1} ${")]),
            ("", vec![]),
        ] {
            assert_eq!(pieces(given), expected, "{given}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_spelled_out_and_reads_back() {
        let text = "a\"b\\c\n\t\r\u{202e}\u{e0041}\u{7f}ä'";
        assert_eq!(quoted(text), r#""a\"b\\c\n\t\u000D\u202E\U000E0041\u007Fä'""#);
        let read: toml::Table = format!("x = {}", quoted(text)).parse().unwrap();
        assert_eq!(read["x"].as_str(), Some(text));
    }

    #[test]
    fn a_variable_is_named_after_what_it_is_for() {
        assert_eq!(variable(&["my-hub", "--api-key"]), "MY_HUB_API_KEY");
        assert_eq!(variable(&["1", "é"]), "SERVER_1");
        assert!(is_variable(&variable(&["x", &"y".repeat(99)])));
    }
}
