//! What went wrong in a run, for whoever wrote the program.

use rquickjs::{Ctx, Object, Value};
use serde::Serialize;

use crate::position::Place;
use crate::{memory, state};

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The source is no program.
    Syntax,
    /// The program threw, or a promise of its was rejected.
    Runtime,
    /// Its time was up.
    Timeout,
    /// It needed more memory than there is.
    Memory,
    /// It called itself too deep.
    Stack,
}

/// One thing that went wrong. Line and column are those of the author's source, from 1.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Trouble {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) stack: String,
}

/// What to do about a name that is not there. The rest of the message is the engine's.
const MISSING: [(&str, &str); 15] = [
    ("fetch", "there is no network here"),
    ("XMLHttpRequest", "there is no network here"),
    ("WebSocket", "there is no network here"),
    ("require", "there are no modules here: use the globals, such as `Buffer`, `URL` and `crypto.randomUUID`"),
    ("process", "there is no process here: no environment, no arguments; what is printed goes through `console`"),
    ("WebAssembly", "there is no WebAssembly within WebAssembly"),
    ("Intl", "there is no Intl here: use `toFixed`, `toISOString` and the like"),
    ("module", "there are no modules here: the value of the last expression is the result"),
    ("exports", "there are no modules here: the value of the last expression is the result"),
    ("window", "there is no browser here: `globalThis` is the global object"),
    ("document", "there is no browser here"),
    ("api", "this run may call no tools"),
    ("readFile", "this run was given no folders"),
    ("writeFile", "this run was given no folders"),
    ("listFiles", "this run was given no folders"),
];

impl Trouble {
    /// One without a place.
    pub(crate) fn plain(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), line: None, column: None, stack: String::new() }
    }

    /// One in the source itself.
    pub(crate) fn syntax(message: impl Into<String>, place: Option<Place>) -> Self {
        let (line, column) = (place.map(|place| place.line), place.map(|place| place.column));
        Self { line, column, ..Self::plain(Kind::Syntax, message) }
    }

    /// The run's time is up.
    pub(crate) fn late(time_ms: u32) -> Self {
        Self::plain(Kind::Timeout, format!("execution timed out after {time_ms}ms"))
    }

    /// Of what the program threw.
    pub(crate) fn thrown<'js>(own: &Object<'js>, value: Value<'js>) -> Self {
        let is_empty = value.is_null() && memory::was_refused();
        let Some((name, message, stack)) = (!is_empty).then(|| described(own, value).ok()).flatten() else {
            return Self::plain(Kind::Memory, "out of memory");
        };
        let (stack, place) = state::map(|map| map.stack(&stack));
        let kind = kind(&name, &message);
        let text = if name.is_empty() { message } else { format!("{name}: {message}") };
        let message = match hint(&text) {
            Some(hint) => format!("{text} ({hint})"),
            None => text,
        };
        Self { kind, message, line: place.map(|place| place.line), column: place.map(|place| place.column), stack }
    }

    /// Of the exception that is pending.
    pub(crate) fn pending<'js>(ctx: &Ctx<'js>, own: &Object<'js>) -> Self {
        Self::thrown(own, ctx.catch())
    }
}

/// Name, message and stack of a thrown value; of what is no error, its text as the message.
fn described<'js>(own: &Object<'js>, value: Value<'js>) -> rquickjs::Result<(String, String, String)> {
    let describe: rquickjs::Function<'_> = own.get("describe")?;
    let parts: Vec<String> = describe.call((value,))?;
    let mut parts = parts.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    Ok((next(), next(), next()))
}

fn kind(name: &str, message: &str) -> Kind {
    match (name, message) {
        ("InternalError", "out of memory" | "string too long") | ("RangeError", "invalid string length") => {
            Kind::Memory
        }
        ("InternalError", "stack overflow") | ("RangeError", "Maximum call stack size exceeded") => Kind::Stack,
        _ => Kind::Runtime,
    }
}

/// What to use instead of what is not there.
fn hint(text: &str) -> Option<&'static str> {
    let name = text.strip_prefix("ReferenceError: ")?;
    if name.starts_with("could not load module") {
        return Some("there are no modules here, only globals");
    }
    let name = name.strip_suffix(" is not defined")?.trim_matches('\'');
    MISSING.iter().find(|(missing, _)| *missing == name).map(|(_, hint)| *hint)
}
