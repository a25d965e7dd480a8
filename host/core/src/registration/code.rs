//! A program that a caller made a tool of: its text, what is asked of it before it is kept, and how it is shown as a function.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::resource::{self, Made, Reader};
use super::{Protocol, Registration};
use crate::code::Language;
use crate::config::Flaw;
use crate::registry::MAX_DESCRIPTION;

/// The largest source, in bytes.
pub const MAX_SOURCE: usize = 1 << 20;
/// What stands before the id of a function in the id of its tool.
const TOOL: &str = "fn-";
/// What can be set.
const KEYS: &str = "language, source, description, timeoutMs";
/// Keys of others, which would have a program reach something.
const OF_OTHERS: [&str; 10] =
    ["headers", "inject", "arguments", "addresses", "net", "fs", "call", "secrets", "env", "url"];

/// What a caller is told that leaves out the source.
pub const NO_SOURCE: &str = "source is required";
/// What a caller is told that names no language, or another one.
pub const NO_LANGUAGE: &str = "language must be javascript, python, or typescript";
/// What a caller is told that leaves out the name.
pub const NO_NAME: &str = "name is required";

/// A program for an interpreter of the host's. It defines `main`, and reaches nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Its language.
    pub language: Language,
    /// Its text.
    pub source: String,
    /// From 1; another source, or the same in another language, is the next.
    pub version: u32,
    /// What callers are told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it takes; none means anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Json>,
    /// What it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Json>,
}

impl Made {
    /// Reads the config of a program; what is not said of one that is there already stays.
    ///
    /// # Errors
    /// There is no language or source, a field is unknown, or it would have the program reach something.
    pub fn code(before: Option<&Code>, config: &Map<String, Json>) -> Result<Self, Flaw> {
        if let Some(key) = OF_OTHERS.into_iter().find(|key| config.contains_key(*key)) {
            let message = format!("`config.{key}` is not for a program that callers make: it reaches nothing");
            return Err(Flaw::new(message).legal(KEYS));
        }
        let mut reader = Reader::of(config);
        let language = match (reader.text("language")?, before) {
            (Some(name), _) => Language::of(&name),
            (None, before) => before.map(|before| before.language),
        };
        let source = match (reader.verbatim("source")?, before) {
            (Some(text), _) => text,
            (None, before) => before.map(|before| before.source.as_str()).unwrap_or_default(),
        };
        let description = match (reader.text("description")?, before) {
            (Some(text), _) => text,
            (None, before) => before.map(|before| before.description.clone()).unwrap_or_default(),
        };
        let mut code = Code {
            language: language.ok_or_else(|| Flaw::new(NO_LANGUAGE))?,
            source: source.to_owned(),
            version: 1,
            description,
            input_schema: None,
            output_schema: None,
        };
        code.fits()?;
        if let Some(before) = before {
            code.version = before.version.saturating_add(u32::from(!code.is_same_program(before)));
        }
        reader.made(Protocol::Code(code), "", KEYS)
    }
}

impl Code {
    /// Whether the same is run.
    #[must_use]
    pub fn is_same_program(&self, other: &Self) -> bool {
        (self.language, &self.source) == (other.language, &other.source)
    }

    /// Whether its texts are there and not too long.
    fn fits(&self) -> Result<(), Flaw> {
        if self.source.trim().is_empty() {
            return Err(Flaw::new(NO_SOURCE));
        }
        if self.source.len() > MAX_SOURCE {
            let message = format!("source has {} bytes, and may have {MAX_SOURCE}", self.source.len());
            return Err(Flaw::new(message).suggest("make several tools of it"));
        }
        if self.description.len() > MAX_DESCRIPTION {
            let message = format!("description has {} bytes, and may have {MAX_DESCRIPTION}", self.description.len());
            return Err(Flaw::new(message));
        }
        Ok(())
    }
}

/// What is wrong with the arguments of somebody who makes a function, in the words that clients know; none if nothing is.
#[must_use]
pub fn lacks(arguments: &Json) -> Option<&'static str> {
    let text = |key: &str| arguments[key].as_str().unwrap_or_default();
    if text("name").trim().is_empty() {
        Some(NO_NAME)
    } else if Language::of(text("language")).is_none() {
        Some(NO_LANGUAGE)
    } else if text("source").trim().is_empty() {
        Some(NO_SOURCE)
    } else {
        None
    }
}

/// Whether a registration that is a program says nothing of what it could reach.
///
/// # Errors
/// It does, or its texts are not what they have to be.
pub(super) fn reaches_nothing(of: &Registration) -> Result<(), Flaw> {
    let Protocol::Code(code) = &of.protocol else { return Ok(()) };
    code.fits()?;
    let said = [
        ("headers", of.headers.is_empty()),
        ("injected arguments", of.inject.is_empty()),
        ("addresses", of.addresses.is_empty()),
        ("`net`", of.net.is_empty()),
    ];
    match said.into_iter().find(|(_, is_empty)| !is_empty) {
        None => Ok(()),
        Some((what, _)) => {
            let flaw = Flaw::new(format!("{what} are not for a program that callers make: it reaches nothing"));
            Err(flaw.suggest("leave them out, or write a `[plugins.NAME]` table with what it may reach"))
        }
    }
}

/// The id of the tool of a function.
#[must_use]
pub fn tool_id(function: &str) -> String {
    format!("{TOOL}{function}")
}

/// The id of a function by its own, or by that of its tool.
#[must_use]
pub fn function_id(id: &str) -> &str {
    id.strip_prefix(TOOL).unwrap_or(id)
}

/// A program as a function, without its source; none of other registrations.
#[must_use]
pub fn function(of: &Registration) -> Option<Json> {
    let Protocol::Code(code) = &of.protocol else { return None };
    let mut shown = json!({
        "id": of.id, "toolId": tool_id(&of.id), "name": resource::title(of), "language": code.language,
        "version": code.version,
    });
    if !code.description.is_empty() {
        shown["description"] = code.description.as_str().into();
    }
    if let Some(schema) = &code.input_schema {
        shown["inputSchema"] = schema.clone();
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Class, CodeSource, Interpreted};
    use crate::name::PluginName;
    use crate::registration::DEFAULT_TIMEOUT_MS;

    fn registration(config: &Json) -> Registration {
        let made = Made::code(None, config.as_object().unwrap()).unwrap();
        Registration {
            id: "5c0b7c5e-7d4f-4f39-9d0b-0f7c0c6b2a11".to_owned(),
            name: PluginName::parse("adder").unwrap(),
            title: Some("Adder".to_owned()),
            protocol: made.protocol,
            timeout_ms: made.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS),
            headers: Vec::new(),
            inject: Vec::new(),
            addresses: Vec::new(),
            net: Vec::new(),
            owner: "cli".to_owned(),
            created_at: 0,
            updated_at: 0,
        }
    }

    fn refused(config: &Json) -> String {
        Made::code(None, config.as_object().unwrap()).err().expect("it is refused").message
    }

    fn program(config: &Json) -> Code {
        let Protocol::Code(code) = registration(config).protocol else { unreachable!() };
        code
    }

    #[test]
    fn g12_what_is_missing_is_said_in_the_words_that_clients_know() {
        let check = |arguments: Json, expected: Option<&str>| assert_eq!(lacks(&arguments), expected, "{arguments}");
        check(json!({}), Some("name is required"));
        check(json!({"name": " ", "language": "python", "source": "x"}), Some("name is required"));
        for language in [json!(null), json!("Python"), json!("ruby"), json!(1)] {
            let arguments = json!({"name": "x", "language": language, "source": "x"});
            check(arguments, Some("language must be javascript, python, or typescript"));
        }
        check(json!({"name": "x", "language": "python"}), Some("source is required"));
        check(json!({"name": "x", "language": "typescript", "source": " \n"}), Some("source is required"));
        check(json!({"name": "x", "language": "javascript", "source": "1"}), None);
        assert_eq!(refused(&json!({"source": "1"})), NO_LANGUAGE);
        assert_eq!(refused(&json!({"language": "python", "source": "\n"})), NO_SOURCE);
        assert!(refused(&json!({"language": "python", "source": "x".repeat(MAX_SOURCE + 1)})).contains("1048577"));
        assert!(
            Made::code(None, json!({"language": "python", "source": "x".repeat(MAX_SOURCE)}).as_object().unwrap())
                .is_ok()
        );
    }

    #[test]
    fn g12_nothing_that_is_said_of_a_program_has_it_reach_something() {
        for key in OF_OTHERS {
            let said = refused(&json!({"language": "python", "source": "1", key: []}));
            assert!(said.contains(key) && said.contains("reaches nothing"), "{said}");
        }
        assert!(refused(&json!({"language": "python", "source": "1", "colour": 1})).contains("config.colour"));
        let plain = registration(&json!({"language": "python", "source": "1"}));
        let plugin = plain.plugin().unwrap().unwrap();
        let grants = &plugin.grants;
        assert!(grants.net.iter().next().is_none() && grants.fs.iter().next().is_none() && grants.call.is_empty());
        assert!(grants.secrets.is_empty() && plugin.kept);
        let mut with_net = plain.clone();
        with_net.net = vec!["GET https://a.example".to_owned()];
        let mut with_header = plain;
        with_header.headers = vec![crate::registration::Header { name: "X".to_owned(), format: "{}".to_owned() }];
        for wider in [with_net, with_header] {
            assert!(wider.plugin().is_err_and(|flaw| flaw.message.contains("reaches nothing")));
        }
    }

    #[test]
    fn g12_a_source_is_kept_to_the_byte() {
        for source in [
            "\n\nfunction main({a, b}) {\n  return `${a} $${b} $$${a}`;\n}\n",
            "def main(input):\r\n\treturn '''a\"\"\"b''' + \"\\n\"\r\n",
            "\u{0}\u{7f}\u{200b}'''\"\"\"\\ ${X} $$ ${",
            "  indented\n",
        ] {
            let of = registration(&json!({"language": "javascript", "source": source, "description": "Costs ${x}."}));
            let plugin = of.plugin().unwrap().unwrap();
            let Class::Code(Interpreted::Tool(tool)) = plugin.class else { panic!("{:?}", plugin.class) };
            assert_eq!(tool.source, CodeSource::Text(source.to_owned()));
            assert_eq!(tool.description, "Costs ${x}.");
            let table: toml::Table = toml::from_str(&of.table().unwrap().unwrap()).unwrap();
            let written = table["plugins"]["adder"]["code"]["source"].as_str().unwrap();
            assert_eq!(written.replace("$${", "${"), source, "what is shown is the same");
        }
    }

    #[test]
    fn g14_what_is_not_said_of_a_change_stays_and_another_program_is_another_version() {
        let before = program(&json!({"language": "python", "source": "1", "description": "One."}));
        let change = |config: Json| {
            let made = Made::code(Some(&before), config.as_object().unwrap()).unwrap();
            let Protocol::Code(code) = made.protocol else { unreachable!() };
            (code.language, code.source, code.description, code.version)
        };
        let same = (Language::Python, "1".to_owned(), "One.".to_owned(), 1);
        assert_eq!(change(json!({})), same);
        assert_eq!(change(json!({"source": "1", "language": "python"})), same);
        assert_eq!(change(json!({"description": ""})).3, 1);
        assert_eq!(change(json!({"source": "2"})), (Language::Python, "2".to_owned(), "One.".to_owned(), 2));
        assert_eq!(change(json!({"language": "javascript"})).3, 2);
    }

    #[test]
    fn g14_a_function_is_shown_with_the_id_of_its_tool_and_without_its_source() {
        let of = registration(&json!({"language": "python", "source": "canary", "description": "Adds."}));
        let shown = function(&of).unwrap();
        assert_eq!(shown["toolId"], format!("fn-{}", of.id));
        assert_eq!(shown["toolId"], resource::record(&of)["id"]);
        assert_eq!((function_id("fn-x"), function_id("x")), ("x", "x"));
        let expected = json!({"id": of.id, "toolId": shown["toolId"], "name": "Adder", "language": "python", "version": 1,
            "description": "Adds."});
        assert_eq!(shown, expected);
    }
}
