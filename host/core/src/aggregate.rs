//! One tool in the place of all that a server has: its arguments are the name of one of them, a `command`, and that one's
//! own arguments.
//!
//! The aggregate is never run. [`redirected`] makes a call of it a call of the tool it names, before anything is decided,
//! so that what a caller may use, approvals, limits, argument schemas and the audit are about that tool.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, json};

use crate::call::{Call, Selector};
use crate::config::Effective;
use crate::name::{PluginName, ToolName};
use crate::outcome::{Code, Failure};
use crate::redact::{quotable, visible};
use crate::registry::{Annotations, Candidate, Definition, MAX_DESCRIPTION, Naming, Registry, Risk, Role, Tool};
use crate::schema::{ArgumentSchema, MAX_ARGUMENTS};

/// What is shown of a command's description, in characters.
const SHOWN: usize = 80;
/// What is shown of a parameter's name, in characters.
const SHOWN_NAME: usize = 40;
/// Parameters of one command that are shown.
const SHOWN_PARAMETERS: usize = 16;

/// What the one tool for all of a server's is called, where nothing else has that name: what the server is called without
/// `@scope/`, without `mcp-` and `server-` before it, and with `_` for what tool names of some model providers cannot have.
///
/// `None` where nothing is left that could be a name.
#[must_use]
pub fn slug(name: &str) -> Option<ToolName> {
    let bare = match name.strip_prefix('@').and_then(|scoped| scoped.split_once('/')) {
        Some((_, name)) => name,
        None => name,
    };
    let mut rest = bare;
    while let Some(shorter) = rest.strip_prefix("server-").or_else(|| rest.strip_prefix("mcp-")) {
        rest = shorter;
    }
    let named = |text: &str| {
        let word = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
        ToolName::parse(&text.chars().map(word).take(64).collect::<String>()).ok()
    };
    named(rest).or_else(|| named(bare))
}

/// Puts one tool in the place of `members`, which are all tools of `plugin` and stay with it, hidden. `effective` is what
/// holds for tools of which nothing was said: what the plugin may reach, for whoever asks what the one tool does.
///
/// A plugin without tools gets none.
#[must_use]
pub fn gathered(plugin: &PluginName, effective: Effective, members: Vec<Candidate>) -> Vec<Candidate> {
    let Some(first) = members.first() else { return members };
    let naming = Naming { prefix_always: true, ..first.naming };
    let own_naming = Naming { prefix_always: false, ..first.naming };
    let open: Vec<&Tool> =
        members.iter().map(|member| &member.tool).filter(|member| member.effective.allowed).collect();
    let name = slug(plugin.as_str()).expect("a plugin's name has letters");
    let definition = definition(name.as_str(), plugin, &open);
    let whole = Tool {
        plugin: plugin.clone(),
        plugin_index: first.tool.plugin_index,
        effective: Arc::new(Effective { allowed: true, ..effective }),
        grants_digest: first.tool.grants_digest.clone(),
        ..ready(name, definition, &open)
    };
    let hidden = |member: Candidate| Candidate { tool: Tool { role: Role::Member, ..member.tool }, naming, ..member };
    let mut all: Vec<Candidate> = members.into_iter().map(hidden).collect();
    all.push(Candidate { tool: whole, aliases: Vec::new(), naming: own_naming });
    all
}

/// An aggregate that leads to fewer tools.
pub(crate) fn narrowed(whole: &Tool, members: &[&Tool]) -> Tool {
    let definition = definition(&whole.definition.name, &whole.plugin, members);
    Tool {
        plugin: whole.plugin.clone(),
        plugin_index: whole.plugin_index,
        effective: Arc::clone(&whole.effective),
        grants_digest: whole.grants_digest.clone(),
        ..ready(whole.name.clone(), definition, members)
    }
}

fn ready(name: ToolName, definition: Definition, members: &[&Tool]) -> Tool {
    let arguments = ArgumentSchema::compile(&definition.input_schema, &[], Map::new());
    Tool {
        name,
        plugin: PluginName::parse("bailiwick").expect("the name is legal"),
        plugin_index: 0,
        annotations: annotations(members),
        definition,
        brief: None,
        effective: Arc::default(),
        arguments: arguments.expect("the schema is ours"),
        results: None,
        grants_digest: String::new(),
        not_configured: None,
        role: Role::Aggregate,
    }
}

fn definition(name: &str, plugin: &PluginName, members: &[&Tool]) -> Definition {
    let names: Vec<&str> = members.iter().map(|member| member.definition.name.as_str()).collect();
    let mut command = json!({"type": "string", "description": "Which command to run."});
    if !names.is_empty() {
        command["enum"] = names.into();
    }
    let schema = json!({"type": "object", "properties": {
        "command": command,
        "arguments": {
            "type": "object", "description": "What the command takes, by name.", "additionalProperties": true,
        },
    }, "required": ["command"], "additionalProperties": false});
    Definition {
        name: name.to_owned(),
        title: None,
        description: description(plugin, members),
        input_schema: schema.to_string(),
        output_schema: None,
        annotations: annotations(members),
        risk: members.iter().map(|member| member.definition.risk).max().unwrap_or(Risk::Low),
    }
}

/// The most that is true of every one of them.
fn annotations(members: &[&Tool]) -> Annotations {
    let all = |hint: fn(&Annotations) -> Option<bool>| members.iter().all(|tool| hint(&tool.annotations) == Some(true));
    let none =
        |hint: fn(&Annotations) -> Option<bool>| members.iter().all(|tool| hint(&tool.annotations) == Some(false));
    Annotations {
        read_only: Some(all(|hints| hints.read_only)),
        destructive: Some(!none(|hints| hints.destructive)),
        idempotent: Some(all(|hints| hints.idempotent)),
        open_world: Some(!none(|hints| hints.open_world)),
    }
}

/// `NAME(PARAMETERS): WHAT IT DOES`, a line for each command: as much of it as fits.
fn description(plugin: &PluginName, members: &[&Tool]) -> String {
    let head = format!("Commands of `{plugin}`: `command` says which, `arguments` is an object of what it takes.");
    let whole: Vec<String> = members.iter().map(|tool| format!("{}: {}", signature(tool), summary(tool))).collect();
    let signatures = || members.iter().map(|tool| signature(tool)).collect();
    let names = || members.iter().map(|tool| tool.definition.name.clone()).collect();
    let text = |lines: &[String]| lines.iter().fold(head.clone(), |text, line| text + "\n" + line);
    for lines in [whole, signatures(), names()] {
        let text = text(&lines);
        if text.len() <= MAX_DESCRIPTION {
            return text;
        }
    }
    // They are all in the schema.
    head
}

fn signature(tool: &Tool) -> String {
    let schema = tool.arguments.visible();
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let properties = schema["properties"].as_object();
    let mut text = format!("{}(", tool.definition.name);
    for (index, name) in properties.into_iter().flat_map(Map::keys).take(SHOWN_PARAMETERS).enumerate() {
        let (comma, optional) = (if index == 0 { "" } else { ", " }, if required(name) { "" } else { "?" });
        let _ = write!(text, "{comma}{}{optional}", line(name, SHOWN_NAME));
    }
    let more = if properties.is_some_and(|all| all.len() > SHOWN_PARAMETERS) { ", …" } else { "" };
    text + more + ")"
}

fn summary(tool: &Tool) -> String {
    line(&tool.description(), SHOWN)
}

/// The start of a text, on one line: what a server says of one command is not to pass for another.
fn line(text: &str, most: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(most) {
        None => text,
        Some(_) => text.chars().take(most - 1).collect::<String>().trim_end().to_owned() + "…",
    }
}

/// A call of an aggregate as a call of the tool that it names; every other call, and one that names none, as it is.
#[must_use]
pub fn redirected(registry: &Registry, call: Call) -> Call {
    let Some(whole) = registry.aggregate_named(&call.tool) else { return call };
    match named(registry, whole, &call) {
        Ok((tool, arguments)) => Call { tool, arguments, ..call },
        Err(_) => call,
    }
}

/// Why a call of the aggregate `whole` leads nowhere.
pub(crate) fn misled(registry: &Registry, whole: &Tool, call: &Call) -> Failure {
    named(registry, whole, call).err().unwrap_or_else(|| {
        let message = format!("`{}` stands for other tools and is none itself", whole.name);
        Failure::new(Code::Internal, message)
    })
}

/// The tool that is meant, and its arguments as they came: no digit of them is lost on the way. Whether the caller may use
/// it is asked later.
fn named(registry: &Registry, whole: &Tool, call: &Call) -> Result<(String, String), Failure> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner<'a> {
        command: String,
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
    }
    let text = if call.arguments.trim().is_empty() { "{}" } else { call.arguments.as_str() };
    if text.len() > MAX_ARGUMENTS {
        let message = format!("the arguments have {} bytes; at most {MAX_ARGUMENTS} are taken", text.len());
        return Err(Failure::new(Code::ArgumentsTooLarge, message));
    }
    let invalid = |reason: &str| {
        Failure::new(Code::ArgumentsInvalid, format!("`{}`: {}", whole.name, visible(reason)))
            .with_fix("write `{\"command\": \"NAME\", \"arguments\": {…}}`")
    };
    let Inner { command, arguments } = serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?;
    let Some(member) = registry.member(&whole.plugin, &command) else {
        return Err(unknown(registry, whole, &command, &call.caller.tools));
    };
    let arguments = match arguments.map(RawValue::get) {
        None => "{}".to_owned(),
        // Models write JSON in a text where an object belongs.
        Some(text) if text.starts_with('"') => {
            serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?
        }
        Some(object) => object.to_owned(),
    };
    Ok((member.name.to_string(), arguments))
}

fn unknown(registry: &Registry, whole: &Tool, command: &str, selector: &Selector) -> Failure {
    if let Some(failure) = registry.held_member(&whole.plugin, command, selector) {
        return failure.clone();
    }
    let message = format!("`{}` has no command `{}`", whole.name, quotable(command, SHOWN));
    let failure = Failure::new(Code::ArgumentsInvalid, message);
    let names: Vec<&str> =
        registry.members(&whole.plugin, selector).map(|tool| tool.definition.name.as_str()).collect();
    let mut near: Vec<(usize, &str)> = names
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, command), *known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .collect();
    near.sort_unstable();
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let near: Vec<&str> = near.into_iter().take(3).map(|(_, name)| name).collect();
    match (near.as_slice(), names.as_slice()) {
        ([], []) => failure,
        ([], all) => {
            let more = if all.len() > SHOWN_PARAMETERS { ", …" } else { "" };
            failure.with_fix(format!("it has {}{more}", quoted(&all[..all.len().min(SHOWN_PARAMETERS)])))
        }
        (near, _) => failure.with_fix(format!("did you mean {}?", quoted(near))),
    }
}

#[cfg(test)]
#[path = "aggregate_tests.rs"]
mod tests;
