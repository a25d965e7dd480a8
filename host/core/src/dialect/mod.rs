//! The shapes in which model providers want tools described, ask for calls and take the answers.
//!
//! [`definitions`] writes tools for one of them, [`calls`] reads what a model asked for, [`answers`] writes what came of
//! it. A schema that a provider would refuse is shown to it with less in it ([`provider`]); what a tool takes is judged
//! by the tool's own schema all the same, so a provider's schema is never a check.

pub mod answers;
pub mod calls;
mod provider;
mod strict;

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::name::ToolName;
use crate::registry::{Annotations, Tool};
use provider::{Parameters, gemini, plain_root};
use strict::{Subset, strict};

/// The longest description that goes to a provider, in characters. Providers had this bound, and their models read no
/// better for more.
pub const MAX_DESCRIPTION: usize = 1_024;

/// A shape of definitions, calls and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{name, description, parameters}`.
    Flat,
    /// OpenAI's chat completions, and what most servers of models speak.
    OpenAi,
    /// OpenAI's responses.
    OpenAiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini.
    Gemini,
    /// The Model Context Protocol.
    Mcp,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Flat, Self::OpenAi, Self::OpenAiResponses, Self::Anthropic, Self::Gemini, Self::Mcp];

    /// Its name in a request.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::OpenAi => "openai",
            Self::OpenAiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Mcp => "mcp",
        }
    }

    /// The format of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// The name a model of this provider is given for a tool. Tool names are legal everywhere but for Gemini, where one
    /// starts with a letter or `_`; there, `_.` goes before it, which no tool's name contains.
    #[must_use]
    pub fn name(self, tool: &str) -> Cow<'_, str> {
        match self {
            Self::Gemini if !tool.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') => {
                Cow::Owned(format!("{GEMINI_PREFIX}{tool}"))
            }
            Self::Gemini | Self::Flat | Self::OpenAi | Self::OpenAiResponses | Self::Anthropic | Self::Mcp => {
                Cow::Borrowed(tool)
            }
        }
    }

    /// The tool that a model of this provider means by a name; undoes [`Format::name`].
    #[must_use]
    pub fn tool(self, name: &str) -> &str {
        match self {
            Self::Gemini => name.strip_prefix(GEMINI_PREFIX).unwrap_or(name),
            Self::Flat | Self::OpenAi | Self::OpenAiResponses | Self::Anthropic | Self::Mcp => name,
        }
    }
}

const GEMINI_PREFIX: &str = "_.";

/// Whether a provider is asked to hold its model to the schema, where it can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strict {
    /// Where that costs nothing: with OpenAI. Anthropic compiles the schemas of all strict tools of a request into one
    /// grammar and refuses the request when that is too large, so there it has to be asked for.
    #[default]
    Auto,
    /// Wherever a schema fits.
    Always,
    /// Nowhere.
    Never,
}

/// A tool as it is offered to a caller.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'t> {
    /// The name the caller uses.
    pub name: &'t str,
    /// A name for people.
    pub title: Option<&'t str>,
    /// What it does.
    pub description: &'t str,
    /// Why it cannot work as configured.
    pub not_configured: Option<&'t str>,
    /// The schema of its arguments.
    pub input: &'t Value,
    /// The schema of its results.
    pub output: Option<&'t Value>,
    /// What a call does.
    pub annotations: Annotations,
}

impl<'t> Offered<'t> {
    /// A tool under one of its names.
    #[must_use]
    pub fn of(name: &'t ToolName, tool: &'t Tool) -> Self {
        Self {
            name: name.as_str(),
            title: tool.definition.title.as_deref(),
            description: tool.listed(),
            not_configured: tool.not_configured.as_deref(),
            input: tool.arguments.visible(),
            output: tool.output_schema(),
            annotations: tool.annotations,
        }
    }

    /// The description at full length.
    #[must_use]
    pub fn whole_description(&self) -> String {
        self.described(usize::MAX)
    }

    /// The description in at most `most` characters. What has to be set first is kept before anything else.
    fn described(&self, most: usize) -> String {
        let note = self.not_configured.map(|reason| format!(" [NOT CONFIGURED] {reason}")).unwrap_or_default();
        let note = clipped(&note, most);
        let room = most - note.chars().count().min(most);
        format!("{}{note}", clipped(self.description, room))
    }
}

/// `tools` as `format` has them: what goes into a request's `tools` as it is.
#[must_use]
pub fn definitions(format: Format, tools: &[Offered<'_>], how: Strict) -> Vec<Value> {
    if format == Format::Gemini {
        let declared: Vec<Value> = tools.iter().map(gemini_declaration).collect();
        return if declared.is_empty() { Vec::new() } else { vec![json!({ "functionDeclarations": declared })] };
    }
    tools.iter().map(|tool| definition(format, tool, how)).collect()
}

/// One tool as `format` has it.
#[must_use]
pub fn definition(format: Format, tool: &Offered<'_>, how: Strict) -> Value {
    match format {
        Format::Flat => {
            json!({"name": tool.name, "description": tool.whole_description(), "parameters": tool.input})
        }
        Format::OpenAi => {
            let (parameters, strict) = openai(tool.input, how);
            let description = tool.described(MAX_DESCRIPTION);
            json!({"type": "function", "function": {
                "name": tool.name, "description": description, "parameters": parameters, "strict": strict,
            }})
        }
        Format::OpenAiResponses => {
            let (parameters, strict) = openai(tool.input, how);
            let description = tool.described(MAX_DESCRIPTION);
            json!({
                "type": "function", "name": tool.name, "description": description,
                "parameters": parameters, "strict": strict,
            })
        }
        Format::Anthropic => anthropic(tool, how),
        Format::Gemini => gemini_declaration(tool),
        Format::Mcp => mcp(tool),
    }
}

fn openai(input: &Value, how: Strict) -> (Value, bool) {
    let held = if how == Strict::Never { None } else { strict(input, &Subset::OPENAI) };
    match held {
        Some(schema) => (schema, true),
        None => (plain_root(input), false),
    }
}

fn anthropic(tool: &Offered<'_>, how: Strict) -> Value {
    let held = if how == Strict::Always { strict(tool.input, &Subset::ANTHROPIC) } else { None };
    let is_strict = held.is_some();
    let schema = held.unwrap_or_else(|| plain_root(tool.input));
    let mut definition =
        json!({"name": tool.name, "description": tool.described(MAX_DESCRIPTION), "input_schema": schema});
    if is_strict {
        definition["strict"] = true.into();
    }
    definition
}

fn gemini_declaration(tool: &Offered<'_>) -> Value {
    let name = Format::Gemini.name(tool.name);
    let mut declaration = json!({"name": name, "description": tool.described(MAX_DESCRIPTION)});
    match gemini(tool.input) {
        Parameters::Nothing => {}
        Parameters::OpenApi(schema) => declaration["parameters"] = schema,
        Parameters::JsonSchema(schema) => declaration["parametersJsonSchema"] = schema,
    }
    declaration
}

fn mcp(tool: &Offered<'_>) -> Value {
    let mut definition = Map::new();
    definition.insert("name".to_owned(), tool.name.into());
    if let Some(title) = tool.title {
        definition.insert("title".to_owned(), title.into());
    }
    definition.insert("description".to_owned(), tool.whole_description().into());
    definition.insert("inputSchema".to_owned(), tool.input.clone());
    if let Some(output) = tool.output {
        definition.insert("outputSchema".to_owned(), output.clone());
    }
    let annotations = serde_json::to_value(tool.annotations).unwrap_or(Value::Null);
    definition.insert("annotations".to_owned(), annotations);
    Value::Object(definition)
}

/// At most `most` characters of `text`, the last of them `…` where something was left out.
fn clipped(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    if most > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
