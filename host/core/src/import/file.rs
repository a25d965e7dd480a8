//! The files of other programs, as they are: which servers are in them, and what of it is not understood.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::text::shown;
use super::{ImportError, MAX_FILE, MAX_SERVERS};

/// Words of a command, and variables of an environment, that one server has at most.
const MAX_WORDS: usize = 256;

/// All servers of a file.
pub(super) struct Servers {
    pub(super) entries: Vec<Entry>,
    pub(super) inputs: Inputs,
    pub(super) notes: Vec<String>,
}

/// What a person is asked for, by its id.
pub(super) type Inputs = BTreeMap<String, Input>;

/// What a person is asked for.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) is_password: bool,
    pub(super) description: String,
    pub(super) default: Option<String>,
}

/// One server.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) name: String,
    /// `stdio`, `http`, `sse`, as it is written.
    pub(super) transport: Option<String>,
    pub(super) command: Option<String>,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) url: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) is_off: bool,
    /// Tools that are switched off.
    pub(super) without: Vec<String>,
    pub(super) notes: Vec<String>,
    /// Why it cannot be understood.
    pub(super) fault: Option<String>,
}

/// Reads a file.
pub(super) fn read(text: &str) -> Result<Servers, ImportError> {
    if text.len() > MAX_FILE {
        return Err(ImportError::TooLarge(text.len()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value = crate::schema::parse(&plain_json(text)).map_err(|error| ImportError::NotJson(shown(&error)))?;
    let Value::Object(mut file) = value else { return Err(ImportError::NoServers) };
    // The settings of VS Code have it all one level down.
    let nested = file.get("mcp").is_some_and(|mcp| mcp.get("servers").is_some());
    if let Some(Value::Object(mcp)) = nested.then(|| file.remove("mcp")).flatten() {
        file.extend(mcp);
    }
    let mut entries = Vec::new();
    for key in ["mcpServers", "servers"] {
        if let Some(Value::Object(servers)) = file.remove(key) {
            entries.extend(servers.into_iter().map(|(name, value)| entry(name, value)));
        }
    }
    let inputs = file.remove("inputs").map(inputs).unwrap_or_default();
    file.remove("$schema");
    match entries.len() {
        0 => Err(ImportError::NoServers),
        n_entries if n_entries > MAX_SERVERS => Err(ImportError::TooMany(n_entries)),
        _ => Ok(Servers { entries, inputs, notes: unknown_keys("the file's", file.keys()).into_iter().collect() }),
    }
}

/// A sentence about keys that mean nothing here.
fn unknown_keys<'k>(whose: &str, keys: impl Iterator<Item = &'k String>) -> Option<String> {
    const SHOWN: usize = 10;
    let keys: Vec<String> = keys.map(|key| format!("`{}`", shown(key))).collect();
    let more = if keys.len() > SHOWN { format!(" and {} more", keys.len() - SHOWN) } else { String::new() };
    let list = keys.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    (!keys.is_empty()).then(|| format!("{whose} {list}{more}: not understood, and left out"))
}

/// JSON without the comments and trailing commas that editors allow. Lines stay where they are.
fn plain_json(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if rest.starts_with("/*") => {
                let length = rest.find("*/").map_or(rest.len(), |end| end + 2);
                plain.extend(rest[..length].chars().filter(|character| *character == '\n'));
                plain.push(' ');
                rest = &rest[length..];
                continue;
            }
            '}' | ']' => {
                let end = plain.trim_end().len();
                if plain[..end].ends_with(',') {
                    plain.replace_range(end - 1..end, " ");
                }
                1
            }
            _ => first.len_utf8(),
        };
        plain.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    plain
}

/// The length of the string that a text begins with, with its quotes.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn inputs(value: Value) -> Inputs {
    let Value::Array(inputs) = value else { return Inputs::new() };
    let input = |input: Value| {
        let text = |key: &str| input.get(key).and_then(Value::as_str).map(str::to_owned);
        let is_password = input.get("password").and_then(Value::as_bool).unwrap_or(false);
        let description = text("description").unwrap_or_default();
        Some((text("id")?, Input { is_password, description, default: text("default") }))
    };
    inputs.into_iter().filter_map(input).collect()
}

fn entry(name: String, value: Value) -> Entry {
    let mut entry = Entry { name, ..Entry::default() };
    match value {
        Value::Object(fields) => {
            entry.fault = entry.fill(fields).err();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            entry.fault = Some("it is no object".to_owned());
        }
    }
    entry
}

impl Entry {
    /// Every text of it that may refer to something.
    pub(super) fn texts(&self) -> impl Iterator<Item = &String> {
        let pairs = self.env.iter().chain(&self.headers).map(|(_, value)| value);
        self.command.iter().chain(&self.args).chain(&self.cwd).chain(&self.url).chain(pairs)
    }

    fn fill(&mut self, mut fields: Map<String, Value>) -> Result<(), String> {
        let mut take = |keys: &[&str]| {
            let key = keys.iter().find(|key| fields.contains_key(**key))?;
            fields.shift_remove(*key).filter(|value| !value.is_null()).map(|value| ((*key).to_owned(), value))
        };
        self.transport = text(take(&["type", "transport", "transportType"]))?;
        self.command = text(take(&["command"]))?;
        self.args = texts(take(&["args"]))?;
        self.env = pairs(take(&["env"]))?;
        self.cwd = text(take(&["cwd", "workingDirectory"]))?;
        self.url = text(take(&["url", "serverUrl", "httpUrl"]))?;
        self.headers = pairs(take(&["headers"]))?;
        self.without = texts(take(&["disabledTools", "excludeTools"]))?;
        let is =
            |given: Option<(String, Value)>, word: bool| given.is_some_and(|(_, value)| value == Value::Bool(word));
        let off = is(take(&["disabled"]), true);
        self.is_off = off || is(take(&["enabled", "isActive"]), false);
        if let Some((key, _)) = take(&["autoApprove", "alwaysAllow", "trust"]) {
            self.notes.push(format!(
                "`{key}` is left out: a person is asked before a call of high risk; `approval = \"never\"` ends that"
            ));
        }
        if take(&["envFile"]).is_some() {
            self.notes.push("`envFile` is left out: put what is in it under `env` and `secrets`".to_owned());
        }
        if take(&["oauth", "auth", "authProviderType"]).is_some() {
            let how = "`auth = \"oauth\"` beside `url`, and `bailiwick login`, have a person agree";
            self.notes.push(format!("how it is signed in to is left out: {how}"));
        }
        // What says only what it is, to people.
        for key in ["description", "name", "title", "gallery", "version", "note", "_comment"] {
            let _ = take(&[key]);
        }
        self.notes.extend(unknown_keys("its", fields.keys()));
        Ok(())
    }
}

fn text(given: Option<(String, Value)>) -> Result<Option<String>, String> {
    match given {
        None => Ok(None),
        Some((_, Value::String(text))) => Ok(Some(text)),
        Some((key, _)) => Err(format!("its `{key}` is no text")),
    }
}

/// A text, or what reads as one.
fn word(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn texts(given: Option<(String, Value)>) -> Result<Vec<String>, String> {
    let Some((key, value)) = given else { return Ok(Vec::new()) };
    let Value::Array(values) = value else { return Err(format!("its `{key}` is no list")) };
    if values.len() > MAX_WORDS {
        return Err(format!("its `{key}` has {} entries; at most {MAX_WORDS} are taken", values.len()));
    }
    let texts: Option<Vec<String>> = values.into_iter().map(word).collect();
    texts.ok_or_else(|| format!("its `{key}` is no list of texts"))
}

fn pairs(given: Option<(String, Value)>) -> Result<Vec<(String, String)>, String> {
    let Some((key, value)) = given else { return Ok(Vec::new()) };
    let Value::Object(fields) = value else { return Err(format!("its `{key}` is no object")) };
    if fields.len() > MAX_WORDS {
        return Err(format!("its `{key}` has {} entries; at most {MAX_WORDS} are taken", fields.len()));
    }
    let pair = |(name, value): (String, Value)| match value {
        // Not set.
        Value::Null => Ok((name, String::new())),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            let name_shown = shown(&name);
            word(value).map(|value| (name, value)).ok_or_else(|| format!("`{name_shown}` of its `{key}` is no text"))
        }
    };
    fields.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_go_and_strings_stay() {
        let text = "{ // a \"b\n \"x\": \"//, ]\\\" /*\", /* , ] */ \"y\": [1, 2 , /* c */ ], }\n";
        let value: Value = serde_json::from_str(&plain_json(text)).unwrap();
        assert_eq!(value, serde_json::json!({"x": "//, ]\" /*", "y": [1, 2]}));
        assert_eq!(plain_json("a\n/* \n\n */b").lines().count(), 4);
        for broken in ["\"", "/*", "//", "\"\\", "]", ",]"] {
            let _ = plain_json(broken);
        }
    }
}
