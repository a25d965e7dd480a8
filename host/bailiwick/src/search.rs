//! Too many tools: instead of all of them, a caller is offered three with which it finds, reads and calls the rest.
//!
//! `call_tool` is no tool of its own: a call of it becomes a call of the tool it names, before anything is decided, so that
//! what a caller may use, approvals, limits and the audit are about that tool. The other two are answered here.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use bailiwick_core::call::{Call, Selector};
use bailiwick_core::config::Effective;
use bailiwick_core::name::{PluginName, ToolName};
use bailiwick_core::outcome::{Code, Failure, Outcome, Output};
use bailiwick_core::policy;
use bailiwick_core::registry::{
    Annotations, CALL_TOOL, DESCRIBE_TOOL, Definition, Registry, Risk, Role, SEARCH_TOOLS, Tool,
};
use bailiwick_core::schema::ArgumentSchema;

/// The header in which a caller over HTTP says what it wants to be shown: see [`Menu::parse`].
pub const TOOLS_HEADER: &str = "x-bailiwick-tools";

/// What a caller is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Menu {
    /// Its tools, or the search where there are more than `search_above` under `[gateway]`.
    #[default]
    Auto,
    /// All its tools.
    All,
    /// The search.
    Search,
    /// The tool with which programs call the others; all tools where there is none.
    Code,
}

impl Menu {
    /// The menu of this name: `auto`, `all`, `search` or `code`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "all" => Some(Self::All),
            "search" => Some(Self::Search),
            "code" => Some(Self::Code),
            _ => None,
        }
    }

    /// Whether `n_tools` are searched and not listed.
    #[must_use]
    pub fn searches(self, n_tools: usize, above: u32) -> bool {
        match self {
            Self::Auto => above > 0 && n_tools > above as usize,
            Self::All | Self::Code => false,
            Self::Search => true,
        }
    }
}

/// Tools that a search finds where it is not told how many.
const FOUND: usize = 10;
/// The most it finds.
const MAX_FOUND: usize = 50;
/// Of a query, this many words are looked for.
const MAX_WORDS: usize = 32;
/// What a search shows of a description, in characters.
const SHOWN: usize = 300;

/// The three tools of a caller who searches.
pub(crate) fn tools() -> &'static [(ToolName, Arc<Tool>)] {
    static TOOLS: LazyLock<Vec<(ToolName, Arc<Tool>)>> = LazyLock::new(|| {
        let search = json!({"type": "object", "properties": {
            "query": {"type": "string", "description": "What the tool should do, in a few words. Empty for the first ones by name."},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_FOUND, "description": format!("How many to find; {FOUND} where it is left out.")},
        }, "required": ["query"], "additionalProperties": false});
        let name = json!({"type": "string", "description": "The tool's name, as `search_tools` gave it."});
        let describe = json!({"type": "object", "properties": {"name": name}, "required": ["name"], "additionalProperties": false});
        let call = json!({"type": "object", "properties": {
            "name": name,
            "arguments": {"type": "object", "description": "The arguments, as `describe_tool` says.", "additionalProperties": true},
        }, "required": ["name"], "additionalProperties": false});
        let reads = Annotations {
            read_only: Some(true),
            destructive: Some(false),
            idempotent: Some(true),
            open_world: Some(false),
        };
        vec![
            tool(
                SEARCH_TOOLS,
                "Finds tools by what they do. There are more tools than are listed: search before you say that something cannot be done.",
                &search,
                reads,
            ),
            tool(DESCRIBE_TOOL, "Tells what a tool does and which arguments it takes.", &describe, reads),
            tool(CALL_TOOL, "Calls a tool that `search_tools` found.", &call, Annotations::default()),
        ]
    });
    &TOOLS
}

/// A tool of the host's own.
pub(crate) fn tool(name: &str, description: &str, schema: &Value, annotations: Annotations) -> (ToolName, Arc<Tool>) {
    let definition = Definition {
        name: name.to_owned(),
        title: None,
        description: description.to_owned(),
        input_schema: schema.to_string(),
        output_schema: None,
        annotations,
        risk: Risk::Low,
    };
    let arguments = ArgumentSchema::compile(&definition.input_schema, &[], Map::new());
    let name = ToolName::parse(name).expect("the names are legal");
    let tool = Tool {
        name: name.clone(),
        plugin: PluginName::parse("bailiwick").expect("the name is legal"),
        // No plugin stands behind it, and nothing that looks for one is ever given it.
        plugin_index: usize::MAX,
        definition,
        brief: None,
        effective: Arc::new(Effective::default()),
        arguments: arguments.expect("the schemas are ours"),
        results: None,
        grants_digest: String::new(),
        annotations,
        not_configured: None,
        role: Role::Single,
    };
    (name, Arc::new(tool))
}

/// What a call is for.
pub(crate) enum Meant {
    /// A tool, the one it names or the one that `call_tool` does.
    Tool(Call),
    /// The search, or something that is none of it.
    Answer(Call, Answer),
}

/// What is answered without a plugin.
pub(crate) enum Answer {
    Search { query: String, limit: usize },
    Describe { name: String },
    Refused(Failure),
}

/// Reads a call of one of the three.
pub(crate) fn meant(mut call: Call) -> Meant {
    let Some((_, tool)) = tools().iter().find(|(name, _)| name.as_str() == call.tool) else { return Meant::Tool(call) };
    if call.tool == CALL_TOOL {
        return match inner(&call.arguments) {
            Ok((tool, arguments)) => {
                (call.tool, call.arguments) = (tool, arguments);
                Meant::Tool(call)
            }
            Err(reason) => {
                let failure = Failure::new(Code::ArgumentsInvalid, format!("`{CALL_TOOL}`: {reason}"));
                Meant::Answer(call, Answer::Refused(failure))
            }
        };
    }
    let answer = match tool.arguments.prepare(&call.arguments) {
        Err(failure) => Answer::Refused(failure),
        Ok(arguments) => {
            let value: Value = serde_json::from_str(&arguments.text).unwrap_or_default();
            let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            if call.tool == SEARCH_TOOLS {
                let limit = value["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
                Answer::Search { query: text("query"), limit: limit.unwrap_or(FOUND).clamp(1, MAX_FOUND) }
            } else {
                Answer::Describe { name: text("name") }
            }
        }
    };
    Meant::Answer(call, answer)
}

/// The tool that `call_tool` names, and its arguments as they came: no digit of them is lost on the way.
fn inner(arguments: &str) -> Result<(String, String), String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner<'a> {
        name: String,
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
    }
    let Inner { name, arguments } = serde_json::from_str(arguments)
        .map_err(|error| bailiwick_core::redact::visible(&error.to_string()).into_owned())?;
    let arguments = match arguments.map(RawValue::get) {
        None => "{}".to_owned(),
        // Models write JSON in a text where an object belongs.
        Some(text) if text.starts_with('"') => serde_json::from_str(text).map_err(|error| error.to_string())?,
        Some(object) => object.to_owned(),
    };
    Ok((name, arguments))
}

/// All tools of a registry, to be found by their words.
pub(crate) struct Index(Mutex<Connection>);

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}

impl Index {
    /// Reads all tools in. It is in memory alone.
    pub(crate) fn of(registry: &Registry) -> rusqlite::Result<Self> {
        let everyone = Selector::all();
        let mut connection = Connection::open_in_memory()?;
        connection.execute_batch(
            "CREATE VIRTUAL TABLE tools USING fts5(name, words, title, description, arguments, tokenize = 'porter unicode61')",
        )?;
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare("INSERT INTO tools VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (name, tool) in registry.visible(&everyone) {
                let title = tool.definition.title.as_deref().unwrap_or_default();
                let arguments = arguments(tool.arguments.visible());
                let words = words(&format!("{name} {}", tool.plugin));
                insert.execute(params![name.as_str(), words, title, tool.definition.description, arguments])?;
            }
        }
        transaction.commit()?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Names of tools that have one of the words of `query`, the best first.
    pub(crate) fn find(&self, query: &str) -> rusqlite::Result<Vec<String>> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(query) = expression(query) else { return Ok(Vec::new()) };
        let ranked =
            "SELECT name FROM tools WHERE tools MATCH ?1 ORDER BY bm25(tools, 10.0, 10.0, 5.0, 2.0, 1.0), name";
        let mut found = connection.prepare_cached(ranked)?;
        found.query_map([query], |row| row.get(0))?.collect()
    }
}

/// The index of a snapshot, made when somebody first searches.
#[derive(Debug, Default)]
pub(crate) struct Lazy(OnceLock<Option<Index>>);

impl Lazy {
    /// The index of `registry`, always the same one. None where it cannot be made; the log says why.
    pub(crate) fn of(&self, registry: &Registry) -> Option<&Index> {
        let made = || Index::of(registry).inspect_err(|error| tracing::error!(%error, "tools cannot be searched")).ok();
        self.0.get_or_init(made).as_ref()
    }
}

/// Words within a name: `listPullRequests` is found by `requests` too.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    let mut before = ' ';
    for character in name.chars() {
        if character.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        words.push(character);
        before = character;
    }
    words
}

/// The names of a tool's arguments and what is said of them.
fn arguments(schema: &Value) -> String {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let said = properties
        .map(|(name, property)| format!("{} {}", words(name), property["description"].as_str().unwrap_or_default()));
    said.collect::<Vec<_>>().join("\n")
}

/// A query in FTS5's language: any of its words, or a word that begins like one. Nothing of it is an operator.
fn expression(query: &str) -> Option<String> {
    let mut seen = HashSet::new();
    let words = query.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words
        .filter(|word| seen.insert(word.to_lowercase()))
        .take(MAX_WORDS)
        .map(|word| format!("\"{word}\"*"))
        .collect();
    (!words.is_empty()).then(|| words.join(" OR "))
}

/// Tools of a caller, the best first; without words to look for, the first ones by name.
pub(crate) fn found<'r>(
    registry: &'r Registry,
    index: Option<&Index>,
    selector: &'r Selector,
    query: &str,
) -> Vec<(&'r ToolName, &'r Arc<Tool>)> {
    let visible = || registry.visible(selector);
    if expression(query).is_none() {
        return visible().collect();
    }
    let ranked = index.map(|index| index.find(query)).transpose().unwrap_or_else(|error| {
        tracing::error!(%error, "tools cannot be searched");
        None
    });
    let is_visible = |name: &String| {
        let (name, tool) = registry.resolve(name)?;
        (tool.effective.allowed && registry.selects(selector, name, tool)).then_some((name, tool))
    };
    ranked.unwrap_or_default().iter().filter_map(is_visible).collect()
}

/// What a search answers.
pub(crate) fn listed(found: &[(ToolName, Arc<Tool>)], limit: usize, n_tools: usize) -> Outcome {
    let shown = found.iter().take(limit).map(|(name, tool)| {
        let description = tool.description();
        let cut = description.char_indices().nth(SHOWN).map(|(end, _)| format!("{}…", &description[..end]));
        json!({"name": name, "description": cut.unwrap_or(description)})
    });
    let tools: Vec<Value> = shown.collect();
    structured(json!({"tools": tools, "found": found.len(), "of": n_tools}))
}

/// What is told of one tool.
pub(crate) fn described(registry: &Registry, selector: &Selector, name: &str) -> Outcome {
    let is_open = |name: &ToolName, tool: &Tool| tool.effective.allowed && registry.selects(selector, name, tool);
    let found = registry.resolve(name).filter(|(name, tool)| is_open(name, tool));
    let Some((name, tool)) = found else {
        // Another tool is not found than the one that was called.
        let unknown = policy::unknown(registry, name, selector);
        return Outcome::failed(Failure { code: Code::ToolNotFound, ..unknown });
    };
    let tool = registry.as_seen(tool, selector);
    structured(json!({
        "name": name, "description": tool.whole_description(), "parameters": tool.arguments.visible(),
        "annotations": tool.annotations,
    }))
}

fn structured(value: Value) -> Outcome {
    Outcome::done(Output { structured: Some(value.clone()), ..Output::text(value.to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_words_and_no_language() {
        for (query, expected) in [
            ("pull requests", Some("\"pull\"* OR \"requests\"*")),
            ("a\" OR name:* NOT (b)", Some("\"a\"* OR \"OR\"* OR \"name\"* OR \"NOT\"* OR \"b\"*")),
            ("list List LIST", Some("\"list\"*")),
            ("größe 大小", Some("\"größe\"* OR \"大小\"*")),
            ("", None),
            ("\"*'; --", None),
        ] {
            assert_eq!(expression(query).as_deref(), expected, "{query}");
        }
        assert_eq!(expression(&"a b c d e ".repeat(9_999)).map(|text| text.matches(" OR ").count()), Some(4));
    }

    #[test]
    fn words_within_a_name_are_words() {
        assert_eq!(words("listPullRequests"), "list Pull Requests");
        assert_eq!(words("web_fetch HTTPGet"), "web_fetch HTTPGet");
    }

    #[test]
    fn a_menu_has_so_many_tools_or_the_search() {
        for (menu, n_tools, above, expected) in [
            (Menu::Auto, 100, 100, false),
            (Menu::Auto, 101, 100, true),
            (Menu::Auto, 9_999, 0, false),
            (Menu::All, 101, 100, false),
            (Menu::Search, 1, 100, true),
            (Menu::Search, 1, 0, true),
        ] {
            assert_eq!(menu.searches(n_tools, above), expected, "{menu:?} {n_tools} {above}");
        }
    }

    #[test]
    fn the_arguments_of_a_call_within_a_call_go_on_as_they_came() {
        let given = |arguments: &str| inner(arguments).map(|(name, arguments)| format!("{name} {arguments}"));
        assert_eq!(given(r#"{"name":"t"}"#).as_deref(), Ok("t {}"));
        assert_eq!(
            given(r#"{"name":"t","arguments":{"n": 123456789012345678901234567890}}"#).as_deref(),
            Ok("t {\"n\": 123456789012345678901234567890}")
        );
        assert_eq!(given(r#"{"name":"t","arguments":"{\"a\":1}"}"#).as_deref(), Ok("t {\"a\":1}"));
        assert!(given("{}").is_err_and(|reason| reason.starts_with("missing field `name`")));
        assert!(
            given(r#"{"name":"t","parameters":{}}"#)
                .is_err_and(|reason| reason.starts_with("unknown field `parameters`"))
        );
    }
}
