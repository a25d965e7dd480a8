//! TypeScript declarations of the tools a program may call, for the model that writes the program.
//!
//! Nothing is checked by them: the gate judges each call by the schema itself. Where TypeScript cannot say what a schema
//! says, the type is wider. It is narrower in one way: properties that a schema neither names nor mentions are not
//! offered. Descriptions and names are somebody else's text: none gets out of its comment or its quotes.

mod keywords;
mod kind;
mod text;
mod types;

use std::collections::BTreeSet;

use serde_json::Value;

use self::keywords::demands;
use self::text::{Names, block, comment, pascal};
use self::types::{in_line, named};

/// The most that the types of one schema take, in bytes, give or take a line: what comes later is `unknown`.
pub const MAX_TYPE: usize = 16 << 10;
/// The same for the schemas in a [`signature`].
pub const MAX_SIGNATURE: usize = 400;
/// The most of a tool's description that is repeated, in characters.
const MAX_DESCRIPTION: usize = 1_000;
/// The same in a [`signature`].
const MAX_SUMMARY: usize = 120;

/// What every program has beside the tools.
const HEAD: &str = "\
/** What became of a call. `output` is the result, or says what went wrong; `error.code` is for programs. */
type ToolResult<T> =
  | { success: true; output: T; error?: undefined }
  | { success: false; output: string; error: { code: string; message: string } };
";

/// Words before `Input` and `Output` that would make the name of something browsers have.
const TAKEN: [&str; 1] = ["MIDI"];

/// A tool that a program may call.
#[derive(Debug, Clone, Copy)]
pub struct Callable<'a> {
    /// The name callers use.
    pub name: &'a str,
    /// What it does.
    pub description: &'a str,
    /// The JSON Schema of its arguments, as callers see it.
    pub input: &'a Value,
    /// The JSON Schema of its results, if it published one.
    pub output: Option<&'a Value>,
}

/// The declarations for `tools`, in their order: a type for the arguments of each, one for its results where it has a
/// schema for them, and `api` with a method for each, named by [`identifiers`].
///
/// The same tools give the same text. It grows with the number of tools, each of which takes no more than twice
/// [`MAX_TYPE`] and its description.
#[must_use]
pub fn declarations(tools: &[Callable<'_>]) -> String {
    let mut stems = Names::default();
    TAKEN.iter().for_each(|word| stems.take(word));
    let mut text = HEAD.to_owned();
    let mut methods = String::new();
    for (tool, method) in tools.iter().zip(identifiers(tools.iter().map(|tool| tool.name))) {
        let stem = stems.fresh(&pascal(&method), "");
        let input = format!("{stem}Input");
        text.push('\n');
        text.push_str(&named(tool.input, &input));
        let output = match tool.output {
            Some(schema) => {
                let output = format!("{stem}Output");
                text.push_str(&named(schema, &output));
                output
            }
            None => "unknown".to_owned(),
        };
        methods.push_str(&block(&comment(tool.description, MAX_DESCRIPTION), "  "));
        methods.push_str(&format!("  {};\n", head(&method, tool.input, &input, &output)));
    }
    text.push_str("\n/** The tools. Several calls can be under way at the same time. */\ndeclare const api: {\n");
    text.push_str(&methods);
    text.push_str("};\n");
    text
}

/// One line for one tool, for short lists: its method with the types in place, and the first sentence of its description.
/// Less is said than in [`declarations`]: no comments, and `unknown` beyond [`MAX_SIGNATURE`].
#[must_use]
pub fn signature(tool: &Callable<'_>) -> String {
    let output = tool.output.map_or_else(|| "unknown".to_owned(), in_line);
    let line = head(&identifier(tool.name), tool.input, &in_line(tool.input), &output);
    let words = tool.description.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = words.split_once(". ").map_or(words.as_str(), |(sentence, _)| sentence);
    match comment(sentence, MAX_SUMMARY).first() {
        Some(summary) => format!("{line}; // {}", summary.trim_end_matches('.')),
        None => format!("{line};"),
    }
}

/// The method of a tool: its name, with `_` in the place of whatever is no ASCII letter or digit, and another `_` before a
/// digit at the beginning. Never empty.
///
/// It may be a reserved word, which is a fine name for a method in JavaScript. Python reaches such a one by `getattr`.
#[must_use]
pub fn identifier(name: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    let method: String = name.chars().map(plain).collect();
    match method.chars().next() {
        Some(first) if !first.is_ascii_digit() => method,
        Some(_) | None => format!("_{method}"),
    }
}

/// The methods of `names`, in their order, all different. A name that needs no change has itself; where others come to the
/// same [`identifier`], they are numbered: `a_b`, `a_b_2`.
#[must_use]
pub fn identifiers<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted: Vec<(&str, String)> = names.into_iter().map(|name| (name, identifier(name))).collect();
    let exact: BTreeSet<&str> = wanted.iter().filter(|(name, method)| name == method).map(|(name, _)| *name).collect();
    let (mut taken, mut given) = (Names::default(), BTreeSet::new());
    exact.iter().for_each(|name| taken.take(name));
    let method = |(name, method): (&str, String)| {
        let is_its_own = exact.contains(name) && given.insert(name.to_owned());
        if is_its_own { method } else { taken.fresh(&method, "_") }
    };
    wanted.into_iter().map(method).collect()
}

/// A method without its comment.
fn head(method: &str, schema: &Value, input: &str, output: &str) -> String {
    let mark = if demands(schema) { "" } else { "?" };
    // `new(…)` would be a constructor.
    let quote = if method == "new" { "\"" } else { "" };
    format!("{quote}{method}{quote}(input{mark}: {input}): Promise<ToolResult<{output}>>")
}

#[cfg(test)]
mod tests;
