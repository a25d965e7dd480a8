//! The tools that are programs, or run some: what callers read of them, what their arguments ask of an interpreter, and what
//! becomes of its answer.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Language;
use super::run::{Fault, FaultKind, Form, Ran, Run};
use crate::config::CodeTool;
use crate::outcome::{Code, Content, Failure, Output, ResourceLink};
use crate::registry::{Annotations, Definition, Risk};

/// How long a program may run where its caller says nothing, or nothing that makes sense.
const DEFAULT_TIME: Duration = Duration::from_secs(10);
/// Seconds that a caller may ask for.
const TIMES: std::ops::RangeInclusive<i64> = 1..=30;
/// The same for programs that call tools.
const MODE_TIME: Duration = Duration::from_secs(30);

/// A program that is a tool of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Custom {
    /// Its language.
    pub language: Language,
    /// Its text, which defines `main`.
    pub source: String,
}

/// Which tool it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Runs what its caller sends.
    Executor,
    /// The same, with the caller's other tools at hand.
    Mode,
    /// Runs `main` of what its caller sends, with the input that comes with it.
    Runner,
    /// Runs what it was made of.
    Custom(Custom),
}

/// The tool that runs programs.
#[must_use]
pub fn executor() -> Definition {
    let schema = json!({
        "type": "object",
        "properties": {
            "code": {"type": "string", "description": "The program. The value of its last expression is `return_value`; what it prints is `output`."},
            "language": language_schema("javascript"),
            "timeout_seconds": {"type": "integer", "description": "How long it may run: 1 to 30; anything else means 10.", "default": 10},
        },
        "required": ["code"],
        "additionalProperties": false,
    });
    let output = json!({
        "type": "object",
        "properties": {
            "output": {"type": "string", "description": "What it printed."},
            "return_value": {"description": "The value of its last expression."},
            "error": {"type": "string", "description": "Why it ended before its end."},
            "duration_ms": {"type": "number"},
        },
        "required": ["duration_ms"],
    });
    let description = "Runs a program in JavaScript, TypeScript or Python, in a fresh interpreter that reaches nothing: no \
                      network, no environment, no processes, and no files but those of granted directories. Use it to \
                      compute, to parse and to transform data. `console.log` and `print` go to `output`, the value of the \
                      last expression to `return_value`; errors and timeouts are told in `error`. Nothing is kept from one \
                      run to the next.";
    Definition {
        output_schema: Some(output.to_string()),
        ..definition("code_executor", Some("Run code"), description, &schema)
    }
}

/// The tool that runs programs which call tools.
#[must_use]
pub fn mode() -> Definition {
    let schema = json!({
        "type": "object",
        "properties": {
            "code": {"type": "string", "description": "The body of an async function. `return` gives the result; what it prints is logged."},
            "language": language_schema("typescript"),
        },
        "required": ["code"],
        "additionalProperties": false,
    });
    let description = "Runs a program that calls other tools as functions: `const r = await api.read({ filePath: \"a.txt\" })` \
                      gives `{ success, output }`, where `output` is the tool's result as a value, or the message of its \
                      failure. Several at once: `await Promise.all([...])`. In Python: `api.read(filePath=\"a.txt\")`, and \
                      `api.all([(\"read\", {...}), ...])` for several at once. `return` what is wanted: only that, and what \
                      is printed, comes back. Every call is checked, approved and recorded as if you had made it yourself.";
    definition("execute_code", Some("Run code that calls tools"), description, &schema)
}

/// The tool that runs `main` of programs.
#[must_use]
pub fn runner() -> Definition {
    let schema = json!({
        "type": "object",
        "properties": {
            "language": language_schema("javascript"),
            "code": {"type": "string", "description": "The program. It defines `main(input)`, in JavaScript and TypeScript also asynchronous; what that returns is the result."},
            "input": {"description": "What `main` is called with."},
        },
        "required": ["code"],
        "additionalProperties": false,
    });
    let description = "Runs `main(input)` of a program in JavaScript, TypeScript or Python, in a fresh interpreter that \
                      reaches nothing. The result is what `main` returns: an object as it is, anything else in `output`. \
                      A program that fails gives `error`, `stdout`, `stderr` and `exitCode`.";
    definition("std-run-code", Some("Run main"), description, &schema)
}

/// A program that is a tool, called `name`.
#[must_use]
pub fn custom(name: &str, tool: &CodeTool) -> Definition {
    let described = !tool.description.is_empty();
    let description =
        if described { tool.description.clone() } else { format!("Runs `main` of {name} ({}).", tool.language) };
    definition(name, None, &description, &tool.input)
}

/// A tool of which its grants say what it may do.
fn definition(name: &str, title: Option<&str>, description: &str, input: &Value) -> Definition {
    Definition {
        name: name.to_owned(),
        title: title.map(str::to_owned),
        description: description.to_owned(),
        input_schema: input.to_string(),
        output_schema: None,
        annotations: Annotations::default(),
        risk: Risk::Low,
    }
}

fn language_schema(default: &str) -> Value {
    let names: Vec<&str> = Language::ALL.iter().map(|language| language.as_str()).collect();
    json!({"type": "string", "enum": names, "default": default, "description": "The program's language."})
}

impl Kind {
    /// What a call asks of an interpreter.
    ///
    /// # Errors
    /// `arguments.invalid`: there is no program.
    pub fn run(&self, arguments: &Value) -> Result<Run, Failure> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str);
        let language = |default| text("language").and_then(Language::of).unwrap_or(default);
        let program = |tool: &str| match text("code") {
            Some(code) if !code.trim().is_empty() => Ok(code.to_owned()),
            Some(_) | None => Err(Failure::new(Code::ArgumentsInvalid, format!("{tool}: code must not be empty"))),
        };
        match self {
            Self::Executor => Ok(Run {
                language: language(Language::JavaScript),
                form: Form::Script,
                source: program("code_executor")?,
                input: None,
                time: arguments.get("timeout_seconds").and_then(Value::as_i64).map_or(DEFAULT_TIME, seconds),
                tools: false,
            }),
            Self::Mode => Ok(Run {
                language: language(Language::TypeScript),
                form: Form::Body,
                source: program("execute_code")?,
                input: None,
                time: MODE_TIME,
                tools: true,
            }),
            Self::Runner => Ok(Run {
                language: language(Language::JavaScript),
                form: Form::Main,
                source: program("std-run-code")?,
                input: Some(arguments.get("input").cloned().unwrap_or(Value::Null)),
                time: MODE_TIME,
                tools: false,
            }),
            Self::Custom(custom) => Ok(Run {
                language: custom.language,
                form: Form::Main,
                source: custom.source.clone(),
                input: Some(arguments.clone()),
                time: MODE_TIME,
                tools: true,
            }),
        }
    }

    /// What the caller is told.
    ///
    /// # Errors
    /// Of a program that calls tools, and of one that is a tool: why it has no result. What else a program runs into is part
    /// of a result.
    pub fn answer(&self, ran: Ran) -> Result<Output, Failure> {
        match self {
            Self::Executor => Ok(executed(ran)),
            Self::Mode => {
                let kept = kept(ran.artifact.clone(), ran.value_artifact.clone());
                let (logs, value) = returned(ran)?;
                let mut output = mode_output(&logs, value);
                output.content.extend(kept);
                Ok(output)
            }
            Self::Runner | Self::Custom(_) if !ran.main => Ok(structured(json!({"output": "No main() defined"}))),
            Self::Runner => Ok(ran_main(ran)),
            Self::Custom(_) => returned(ran).map(|(_, value)| custom_output(value)),
        }
    }
}

fn seconds(given: i64) -> Duration {
    if TIMES.contains(&given) { Duration::from_secs(given.unsigned_abs()) } else { DEFAULT_TIME }
}

/// A result of [`executor`].
fn executed(ran: Ran) -> Output {
    let mut fields = Map::new();
    if !ran.output.is_empty() {
        fields.insert("output".to_owned(), ran.output.into());
    }
    fields.extend(ran.value.map(|value| ("return_value".to_owned(), value)));
    fields.extend(ran.error.map(|fault| ("error".to_owned(), fault.sentence().into())));
    fields.insert("duration_ms".to_owned(), json!((ran.duration_ms * 1_000.0).round() / 1_000.0));
    let mut output = structured(Value::Object(fields));
    output.content.extend(kept(ran.artifact, ran.value_artifact));
    output
}

/// The links to all that a program printed and gave, where that is more than is told.
fn kept(output: Option<String>, value: Option<String>) -> Vec<Content> {
    let output = output.map(|uri| link(uri, "output.txt", "text/plain", "All that the program printed."));
    let value = value.map(|uri| link(uri, "value.json", "application/json", "All of the result."));
    output.into_iter().chain(value).collect()
}

fn link(uri: String, name: &str, mime_type: &str, description: &str) -> Content {
    let (name, mime_type, description) = (name.to_owned(), Some(mime_type.to_owned()), Some(description.to_owned()));
    Content::Link(ResourceLink { uri, name, title: None, description, mime_type, size: None })
}

/// A value as structured result and, for callers that take only text, as text.
fn structured(value: Value) -> Output {
    Output { content: vec![Content::Text(value.to_string())], structured: Some(value), ..Output::default() }
}

/// What a program printed and returned.
fn returned(ran: Ran) -> Result<(String, Option<Value>), Failure> {
    let Some(fault) = ran.error else { return Ok((ran.output, ran.value)) };
    let code = match fault.kind {
        FaultKind::Timeout => Code::LimitTime,
        FaultKind::Memory => Code::LimitMemory,
        FaultKind::Stack => Code::LimitStack,
        FaultKind::Syntax | FaultKind::Runtime => Code::ToolFailed,
    };
    let logs = if ran.output.is_empty() { String::new() } else { format!("\n[logs]\n{}", ran.output) };
    Err(Failure::new(code, format!("{}{logs}", fault.sentence())))
}

/// Text as it is, everything else as JSON.
fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| format!("{value:#}"), str::to_owned)
}

/// A result of [`mode`].
fn mode_output(logs: &str, value: Option<Value>) -> Output {
    let told = value.as_ref().map_or_else(|| "undefined".to_owned(), as_text);
    let text = if logs.is_empty() { told } else { format!("[logs]\n{logs}\n\n{told}") };
    let mut fields = Map::new();
    fields.extend(value.map(|value| ("output".to_owned(), value)));
    if !logs.is_empty() {
        fields.insert("logs".to_owned(), logs.into());
    }
    Output { content: vec![Content::Text(text)], structured: Some(Value::Object(fields)), ..Output::default() }
}

/// A result of [`runner`].
fn ran_main(ran: Ran) -> Output {
    match ran.error {
        None => custom_output(ran.value),
        Some(fault) => {
            let stack = fault.stack.clone().unwrap_or_default();
            structured(json!({"error": fault.sentence(), "stdout": ran.output, "stderr": stack, "exitCode": 1}))
        }
    }
}

/// A result of a program that is a tool: an object as it is, anything else in `output`.
fn custom_output(value: Option<Value>) -> Output {
    match value {
        Some(value @ Value::Object(_)) => structured(value),
        Some(value) => {
            let text = as_text(&value);
            Output {
                content: vec![Content::Text(text)],
                structured: Some(json!({"output": value})),
                ..Output::default()
            }
        }
        None => structured(json!({"output": null})),
    }
}

impl Fault {
    /// What a call that was ended from outside ended with, where that says something about the program.
    #[must_use]
    pub fn of(failure: &Failure, time: Duration) -> Option<Self> {
        let fault =
            |kind, message: &str| Self { kind, message: message.to_owned(), line: None, column: None, stack: None };
        let code = failure.code;
        if code == Code::LimitTime {
            Some(Self::timeout(time))
        } else if code == Code::LimitMemory {
            Some(fault(FaultKind::Memory, "the program wanted more than `limits.memory`"))
        } else if code == Code::LimitStack {
            Some(fault(FaultKind::Stack, "the program called itself too deeply"))
        } else {
            None
        }
    }
}

#[cfg(test)]
#[path = "tools_tests.rs"]
mod tests;
