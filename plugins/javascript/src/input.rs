//! What a run is told.

use serde::Deserialize;
use serde_json::Value;

/// The one tool.
pub(crate) const TOOL: &str = "run";

/// What the tool takes, for the host to check.
pub(crate) const SCHEMA: &str = r#"{
  "type": "object",
  "properties": {
    "language": { "type": "string", "enum": ["javascript", "typescript"], "description": "What the source is written in." },
    "form": {
      "type": "string",
      "enum": ["script", "body", "main", "check"],
      "description": "A script whose value is that of its last expression; the body of an async function; a file with a function `main`; or a source that is only parsed."
    },
    "source": { "type": "string", "maxLength": 1048576, "description": "The program." },
    "input": { "description": "What `main` is called with." },
    "time_ms": { "type": "integer", "minimum": 1, "maximum": 86400000, "description": "How long the program may run, in milliseconds: 10000, if left out." },
    "tools": { "type": "boolean", "description": "Whether there is a global `api` to call other tools by." }
  },
  "required": ["language", "form", "source"],
  "additionalProperties": false
}"#;

/// The longest source, in bytes. Reading TypeScript takes about thirty times its size in memory.
const LONGEST: usize = 1 << 20;

/// What a source is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    JavaScript,
    TypeScript,
}

/// How a source is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// A script; its value is that of its last expression.
    Script,
    /// The body of an async function; its value is what it returns.
    Body,
    /// A file that defines `main`; its value is what `main(input)` returns.
    Main,
    /// Not at all: it is parsed.
    Check,
}

/// One run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) language: Language,
    pub(crate) form: Form,
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) input: Value,
    #[serde(default = "ten_seconds")]
    pub(crate) time_ms: u32,
    #[serde(default)]
    pub(crate) tools: bool,
}

const fn ten_seconds() -> u32 {
    10_000
}

/// Reads the arguments of a call.
///
/// # Errors
/// A sentence that names the argument.
pub(crate) fn read(arguments: &str) -> Result<Request, String> {
    let request: Request =
        serde_json::from_str(arguments).map_err(|error| format!("The arguments do not fit: {error}."))?;
    if request.source.len() > LONGEST {
        return Err(format!("`source` has {} bytes; the most is {LONGEST}.", request.source.len()));
    }
    if request.time_ms == 0 {
        return Err("`time_ms` must be at least 1.".to_owned());
    }
    Ok(request)
}
