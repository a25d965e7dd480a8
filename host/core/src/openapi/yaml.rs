//! YAML 1.2 with its core schema, as far as JSON can say the same: `yes` and `010` are a text and the number ten, and what
//! has no place in JSON (`.nan`, keys that are lists, tags of somebody's own) is refused.
//!
//! Events are taken one by one and counted, aliases by what they stand for: a document of a few lines that means
//! gigabytes ends at the limit.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Number, Value};

use super::parse::{MAX_DEPTH, MAX_DOCUMENT, MAX_VALUES};
use crate::redact::quotable;

/// Reads the one document of a stream.
///
/// # Errors
/// A sentence that says what is wrong and in which line.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    match built(text) {
        Err(Refused { line, reason }) if line.is_some_and(|line| closes(text, line)) => {
            built(&pushed_in(text)).map_err(|again| again.or(reason))
        }
        done => done.map_err(|refused| refused.reason),
    }
}

/// What is wrong with a document.
struct Refused {
    reason: String,
    /// The line, if it is not indented as far as it has to be.
    line: Option<usize>,
}

impl Refused {
    /// The reason; after a second attempt that of the first, if it still holds.
    fn or(self, first: String) -> String {
        if self.line.is_some() { first } else { self.reason }
    }
}

fn built(text: &str) -> Result<Value, Refused> {
    let mut building = Building::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let line = error.marker().line();
            let is_shallow = error.info() == "invalid indentation";
            let reason = format!("{} in line {line}", quotable(error.info(), 200));
            Refused { reason, line: is_shallow.then_some(line) }
        })?;
        let refused = |reason| Refused { reason: format!("{reason} in line {}", span.start.line()), line: None };
        building.take(event, span).map_err(refused)?;
    }
    Ok(building.root.unwrap_or(Value::Null))
}

/// Whether a line begins with a bracket or a brace that closes.
fn closes(text: &str, line: usize) -> bool {
    let line = line.checked_sub(1).and_then(|before| text.lines().nth(before));
    line.is_some_and(is_closing)
}

fn is_closing(line: &str) -> bool {
    line.trim_start_matches(' ').starts_with(['}', ']'])
}

/// The text with such lines one column further in. The standard wants them deeper than the key they belong to; every
/// other reader takes them below it, and Docker's document, for one, has them there.
fn pushed_in(text: &str) -> String {
    let mut pushed = String::with_capacity(text.len() + text.len() / 16);
    for line in text.split_inclusive('\n') {
        pushed.extend(is_closing(line).then_some(' '));
        pushed.push_str(line);
    }
    pushed
}

/// What is not finished yet.
#[derive(Default)]
struct Building {
    root: Option<Value>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    size: Size,
    documents: usize,
}

/// How much a value is.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    values: usize,
    text: usize,
    depth: usize,
}

/// A value that aliases may stand for.
struct Anchored {
    value: Value,
    size: Size,
}

/// A list or an object whose end has not come.
struct Open {
    anchor: usize,
    inside: Inside,
    /// The deepest of what is in it.
    depth: usize,
    /// All there was before it.
    before: Size,
}

enum Inside {
    List(Vec<Value>),
    Object { fields: Map<String, Value>, key: Option<Key>, merged: Vec<Value> },
}

/// What a value belongs to.
enum Key {
    Name(String),
    /// `<<`: the fields of the value are taken over.
    Merge,
}

impl Building {
    fn take(&mut self, event: Event<'_>, _span: Span) -> Result<(), String> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 { Err("a second document begins".to_owned()) } else { Ok(()) }
            }
            Event::Alias(anchor) => self.alias(anchor),
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref()),
            Event::SequenceStart(anchor, tag) => {
                container(tag.as_deref(), "seq")?;
                self.begin(anchor, Inside::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                container(tag.as_deref(), "map")?;
                self.begin(anchor, Inside::Object { fields: Map::new(), key: None, merged: Vec::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn charge(&mut self, size: Size) -> Result<(), String> {
        self.size.values += size.values;
        self.size.text += size.text;
        if self.size.values > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values, what aliases stand for included,"));
        }
        // Every text is in the document once; what is more than that came of aliases.
        if self.size.text > 2 * MAX_DOCUMENT {
            return Err(format!("more than {} bytes, what aliases stand for included,", 2 * MAX_DOCUMENT));
        }
        self.deeper(size.depth)
    }

    fn deeper(&self, depth: usize) -> Result<(), String> {
        if self.open.len() + depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} objects and lists in one another"));
        }
        Ok(())
    }

    fn begin(&mut self, anchor: usize, inside: Inside) -> Result<(), String> {
        if self.wants_key() {
            return Err("a key that is a list or an object".to_owned());
        }
        let before = self.size;
        self.charge(Size { values: 1, text: 0, depth: 1 })?;
        self.open.push(Open { anchor, inside, depth: 0, before });
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.inside {
            Inside::List(items) => Value::Array(items),
            Inside::Object { mut fields, merged, .. } => {
                merged.into_iter().try_for_each(|other| merge(&mut fields, other))?;
                Value::Object(fields)
            }
        };
        let size = Size {
            values: self.size.values - open.before.values,
            text: self.size.text - open.before.text,
            depth: open.depth + 1,
        };
        self.keep(open.anchor, &value, size)?;
        self.place(value, size.depth)
    }

    /// Remembers a value that has an anchor. The copy counts as if it stood there.
    fn keep(&mut self, anchor: usize, value: &Value, size: Size) -> Result<(), String> {
        if anchor != 0 {
            self.charge(Size { depth: 0, ..size })?;
            self.anchors.insert(anchor, Anchored { value: value.clone(), size });
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize) -> Result<(), String> {
        let Some(Anchored { value, size }) = self.anchors.get(&anchor) else {
            return Err("an alias for what it stands in itself".to_owned());
        };
        let size = *size;
        if self.size.values + size.values <= MAX_VALUES && self.wants_key() {
            let Value::String(name) = value else { return Err("a key that is an alias for no text".to_owned()) };
            let name = name.clone();
            self.charge(size)?;
            return self.key(name, false);
        }
        // Counted before it is copied.
        self.charge(size)?;
        let value = self.anchors.get(&anchor).map(|anchored| anchored.value.clone()).unwrap_or_default();
        self.place(value, size.depth)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, tag: Option<&Tag>) -> Result<(), String> {
        let size = Size { values: 1, text: text.len(), depth: 0 };
        self.charge(size)?;
        if self.wants_key() {
            self.keep(anchor, &Value::from(text), size)?;
            return self.key(text.to_owned(), style == ScalarStyle::Plain && tag.is_none() && text == "<<");
        }
        let value = scalar(text, style, tag)?;
        self.keep(anchor, &value, size)?;
        self.place(value, 0)
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { inside: Inside::Object { key: None, .. }, .. }))
    }

    fn key(&mut self, name: String, merges: bool) -> Result<(), String> {
        if let Some(Open { inside: Inside::Object { fields, key, .. }, .. }) = self.open.last_mut() {
            if fields.contains_key(&name) {
                return Err(format!("`{}` is there twice", quotable(&name, 80)));
            }
            *key = Some(if merges { Key::Merge } else { Key::Name(name) });
        }
        Ok(())
    }

    fn place(&mut self, value: Value, depth: usize) -> Result<(), String> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        open.depth = open.depth.max(depth);
        match &mut open.inside {
            Inside::List(items) => items.push(value),
            Inside::Object { fields, key, merged } => match key.take() {
                Some(Key::Name(name)) => {
                    fields.insert(name, value);
                }
                Some(Key::Merge) => match value {
                    Value::Array(others) => merged.extend(others),
                    other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                        merged.push(other);
                    }
                },
                None => return Err("a value without a key".to_owned()),
            },
        }
        Ok(())
    }
}

/// Takes over the fields that are not there yet.
fn merge(fields: &mut Map<String, Value>, other: Value) -> Result<(), String> {
    let Value::Object(other) = other else { return Err("`<<` with something that has no fields".to_owned()) };
    for (name, value) in other {
        fields.entry(name).or_insert(value);
    }
    Ok(())
}

/// The name of a tag of the core schema; `!` means as little as none does, save that a text stays one.
fn core(tag: &Tag) -> Result<&str, String> {
    if tag.is_yaml_core_schema() {
        return Ok(&tag.suffix);
    }
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("", "!") | ("!", "") => Ok("!"),
        _ => Err(format!("the tag `{}`, which means nothing here,", quotable(&tag.to_string(), 80))),
    }
}

fn container(tag: Option<&Tag>, expected: &str) -> Result<(), String> {
    match tag.map(core).transpose()? {
        None | Some("!") => Ok(()),
        Some(name) if name == expected => Ok(()),
        Some(name) => Err(format!("the tag `!!{}` where it cannot be", quotable(name, 80))),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let wrong = |what: &str| format!("`{}` is not {what}", quotable(text, 80));
    match tag.map(core).transpose()? {
        None if style == ScalarStyle::Plain => plain(text),
        None | Some("!" | "str") => Ok(text.into()),
        Some("null") => {
            if is_null(text) {
                Ok(Value::Null)
            } else {
                Err(wrong("null"))
            }
        }
        Some("bool") => boolean(text).map(Value::Bool).ok_or_else(|| wrong("true or false")),
        Some("int") => integer(text).ok_or_else(|| wrong("a whole number")),
        Some("float") => match integer(text) {
            Some(number) => Ok(number),
            None => float(text)?.ok_or_else(|| wrong("a number")),
        },
        Some(name) => Err(format!("the tag `!!{}`, which JSON has nothing for,", quotable(name, 80))),
    }
}

/// A text without quotes, as the core schema of YAML 1.2 reads it.
fn plain(text: &str) -> Result<Value, String> {
    if is_null(text) {
        return Ok(Value::Null);
    }
    if let Some(yes) = boolean(text) {
        return Ok(Value::Bool(yes));
    }
    match integer(text) {
        Some(number) => Ok(number),
        None => Ok(float(text)?.unwrap_or_else(|| text.into())),
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// `12`, `+012` (which is twelve), `0o14`, `0xC`. What does not fit into 64 bits is a number all the same.
fn integer(text: &str) -> Option<Value> {
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(Value::from);
    let unsigned = |digits: &str| !digits.starts_with(['+', '-']);
    if let Some(digits) = text.strip_prefix("0o").filter(|digits| unsigned(digits)) {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x").filter(|digits| unsigned(digits)) {
        return radix(digits, 16);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exact = text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from));
    exact.ok().or_else(|| Number::from_f64(text.parse().ok()?).map(Value::Number))
}

/// `1.5`, `.5`, `1e3`. None where it is not a number.
fn float(text: &str) -> Result<Option<Value>, String> {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(bare, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(format!("`{text}`, which JSON has no number for,"));
    }
    let (mantissa, exponent) = match bare.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (bare, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent));
    if !is_number {
        return Ok(None);
    }
    let number = text.parse().ok().and_then(Number::from_f64);
    number.map(|number| Some(Value::Number(number))).ok_or_else(|| format!("`{}` is too large", quotable(text, 80)))
}
