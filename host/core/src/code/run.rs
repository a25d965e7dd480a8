//! What an interpreter is asked and what it says. The interpreters are built with the host and speak this JSON with no other.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Language;

/// The one tool of each interpreter.
pub const RUN: &str = "run";

/// How a program is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// From top to bottom; the value of its last expression is the result.
    Script,
    /// The body of an asynchronous function; what it returns is the result.
    Body,
    /// It defines `main`, which is called with the input; what that returns is the result.
    Main,
    /// It is not run, only read.
    Check,
}

impl Form {
    fn as_str(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Body => "body",
            Self::Main => "main",
            Self::Check => "check",
        }
    }
}

/// A program to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its language.
    pub language: Language,
    /// How it is meant.
    pub form: Form,
    /// Its text.
    pub source: String,
    /// What `main` is given.
    pub input: Option<Value>,
    /// How long it may run.
    pub time: Duration,
    /// Whether it may call tools.
    pub tools: bool,
}

impl Run {
    /// As the interpreter reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut fields = Map::new();
        fields.insert("language".to_owned(), self.language.as_str().into());
        fields.insert("form".to_owned(), self.form.as_str().into());
        fields.insert("source".to_owned(), self.source.as_str().into());
        fields.extend(self.input.clone().map(|input| ("input".to_owned(), input)));
        fields.insert("time_ms".to_owned(), json!(self.time.as_millis()));
        fields.insert("tools".to_owned(), self.tools.into());
        Value::Object(fields).to_string()
    }
}

/// What became of a program.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Ran {
    /// What it wrote.
    #[serde(default)]
    pub output: String,
    /// Its result, where it has one.
    #[serde(default, deserialize_with = "there")]
    pub value: Option<Value>,
    /// Whether it has a `main`, where that was to be called.
    #[serde(default = "yes")]
    pub main: bool,
    /// Why it ended before its end.
    #[serde(default)]
    pub error: Option<Fault>,
    /// All that is wrong with its text, where it was only read.
    #[serde(default)]
    pub errors: Vec<Fault>,
    /// How long it ran, in milliseconds.
    #[serde(default)]
    pub duration_ms: f64,
    /// Where all that it wrote is kept, if that is more than `output`.
    #[serde(default)]
    pub artifact: Option<String>,
    /// Where its result is kept, if it is too large for an answer; then `value` says so.
    #[serde(default)]
    pub value_artifact: Option<String>,
}

/// `null` is a result too.
fn there<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

fn yes() -> bool {
    true
}

/// What went wrong in a program.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Fault {
    /// Of what sort it is.
    pub kind: FaultKind,
    /// What the interpreter says.
    pub message: String,
    /// The line in the program's text, from 1.
    #[serde(default)]
    pub line: Option<u32>,
    /// The column in it, from 1.
    #[serde(default)]
    pub column: Option<u32>,
    /// The calls that led there.
    #[serde(default)]
    pub stack: Option<String>,
}

/// The sorts of what goes wrong in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// It is no program.
    Syntax,
    /// It failed.
    Runtime,
    /// Its time was up.
    Timeout,
    /// It wanted more memory than it may have.
    Memory,
    /// It called itself too deeply.
    Stack,
}

impl Fault {
    /// The time was up.
    #[must_use]
    pub fn timeout(time: Duration) -> Self {
        let message = format!("execution timed out after {}ms", time.as_millis());
        Self { kind: FaultKind::Timeout, message, line: None, column: None, stack: None }
    }

    /// All of it in a sentence: what sort it is, what it is, and where.
    #[must_use]
    pub fn sentence(&self) -> String {
        let sort = match self.kind {
            FaultKind::Syntax => "syntax error: ",
            FaultKind::Runtime => "runtime error: ",
            FaultKind::Memory => "out of memory: ",
            FaultKind::Stack => "stack overflow: ",
            FaultKind::Timeout => "",
        };
        let place = match (self.line, self.column) {
            (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
            (Some(line), None) => format!(" (line {line})"),
            (None, _) => String::new(),
        };
        format!("{sort}{}{place}", self.message)
    }
}

impl Ran {
    /// Reads what an interpreter said.
    ///
    /// # Errors
    /// It is not what one says.
    pub fn read(said: Value) -> Result<Self, String> {
        let ran: Self = serde_json::from_value(said)
            .map_err(|error| format!("the interpreter's answer cannot be read: {error}"))?;
        // What ends a line belongs to it, and not to a line after it.
        let output = ran.output.strip_suffix('\n').unwrap_or(&ran.output).to_owned();
        Ok(Self { output, ..ran })
    }

    /// A program that was ended from outside.
    #[must_use]
    pub fn ended(fault: Fault, took: Duration) -> Self {
        Self { main: true, error: Some(fault), duration_ms: took.as_secs_f64() * 1_000.0, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_a_result_and_nothing_is_none() {
        let read = |said: Value| Ran::read(said).unwrap();
        assert_eq!(read(json!({"value": null})).value, Some(Value::Null));
        let nothing = read(json!({}));
        assert_eq!((nothing.value, nothing.main), (None, true));
        assert!(Ran::read(json!({"error": {"kind": "odd", "message": ""}})).is_err());
    }

    #[test]
    fn a_fault_says_of_what_sort_it_is_and_where() {
        let fault = json!({"kind": "runtime", "message": "TypeError: x is not a function", "line": 3, "column": 5});
        let ran = Ran::read(json!({"error": fault})).unwrap();
        let sentence = ran.error.unwrap().sentence();
        assert_eq!(sentence, "runtime error: TypeError: x is not a function (line 3, column 5)");
        assert_eq!(Fault::timeout(Duration::from_secs(1)).sentence(), "execution timed out after 1000ms");
    }
}
