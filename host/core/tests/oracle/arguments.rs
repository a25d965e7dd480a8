//! Arguments: what a tool gets is what its caller wrote and what the operator set, and fits the schemas; or nothing runs.

use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::schema::{ArgumentSchema, Arguments, parse};
use serde_json::{Map, Value};

use super::is_plain;

/// A tool's schema, the operator's rule and settings.
pub struct Case {
    schema: Value,
    overlay: Option<Value>,
    inject: Map<String, Value>,
}

impl Case {
    /// Reads the texts; an empty overlay is none.
    pub fn read(schema: &str, inject: &str, overlay: &str) -> Option<Self> {
        let inject = serde_json::from_str(inject).unwrap_or_default();
        let overlay = serde_json::from_str(overlay).ok().filter(Value::is_object);
        Some(Self { schema: parse(schema).ok()?, overlay, inject })
    }

    fn compile(&self, inject: Map<String, Value>) -> Option<ArgumentSchema> {
        let overlays: Vec<Value> = self.overlay.iter().cloned().collect();
        ArgumentSchema::compile(&self.schema.to_string(), &overlays, inject).ok()
    }
}

/// Prepares each of the `texts` and looks at what came of it. Says how many were taken and refused.
pub fn check<'t>(case: &Case, texts: impl Iterator<Item = &'t str>) -> (u32, u32) {
    let (mut taken, mut refused) = (0, 0);
    let Some(compiled) = case.compile(case.inject.clone()) else { return (0, 0) };
    check_visible(case, &compiled);
    let rules: Vec<jsonschema::Validator> = std::iter::once(&case.schema)
        .chain(&case.overlay)
        .filter_map(|schema| jsonschema::options().offline().build(schema).ok())
        .collect();
    for text in texts {
        match compiled.prepare(text) {
            Ok(arguments) => {
                taken += 1;
                check_taken(case, &compiled, &rules, text, &arguments);
            }
            Err(failure) => {
                refused += 1;
                check_refused(case, text, &failure);
            }
        }
        check_injected(case, &compiled, text);
    }
    (taken, refused)
}

/// What a caller is shown does not name what the operator sets.
fn check_visible(case: &Case, compiled: &ArgumentSchema) {
    let visible = compiled.visible();
    assert!(visible.is_object() && visible["properties"].is_object(), "{visible}");
    for name in case.inject.keys() {
        assert!(visible["properties"].get(name).is_none(), "`{name}` is in {visible}");
        let required = visible["required"].as_array().into_iter().flatten();
        assert!(required.into_iter().all(|required| required != name), "`{name}` is in {visible}");
    }
}

fn check_taken(
    case: &Case,
    compiled: &ArgumentSchema,
    rules: &[jsonschema::Validator],
    text: &str,
    arguments: &Arguments,
) {
    let result = parse(&arguments.text).unwrap_or_else(|reason| panic!("{text} became {}: {reason}", arguments.text));
    let written = if text.trim().is_empty() { "{}" } else { text };
    let written = parse(written).unwrap_or_else(|reason| panic!("{text} is taken: {reason}"));
    let fields = result.as_object().unwrap_or_else(|| panic!("{text} became {result}"));
    for rule in rules {
        assert!(rule.is_valid(&result), "{text} became {result}, which breaks {}", case.schema);
    }
    for (name, value) in fields {
        let source = case.inject.get(name).or_else(|| written.get(name));
        let source = source.unwrap_or_else(|| panic!("`{name}` of {result} is in neither {text} nor `inject`"));
        assert!(stems_from(value, source), "{source} became {value} in {result}");
    }
    for (name, value) in &case.inject {
        assert!(value.is_null() || fields.contains_key(name), "`{name}` is not in {result}");
    }
    let again = compiled.prepare(&arguments.text).unwrap_or_else(|failure| panic!("{text} became {result}: {failure}"));
    assert_eq!(parse(&again.text).as_ref(), Ok(&result), "{text} is not settled");
    assert!(is_plain(&arguments.shape), "{:?}", arguments.shape);
    if let Some(text) = texts(&result).into_iter().find(|text| arguments.shape.contains(*text)) {
        let in_a_name = fields.keys().any(|name| name.contains(text));
        assert!(in_a_name || KINDS.contains(text), "`{text}` is a value and in {}", arguments.shape);
    }
}

const KINDS: &str = "object,string,number,boolean,array,null";

/// Texts of some length: short ones are in everything.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) if text.len() >= 6 => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Whether a value is what was written, or that with the type mended.
fn stems_from(value: &Value, written: &Value) -> bool {
    if value == written {
        return true;
    }
    match (value, written) {
        (Value::Object(fields), Value::Object(source)) => {
            let kept = |(name, source): (&String, &Value)| source.is_null() || fields.contains_key(name);
            let stems =
                |(name, value): (&String, &Value)| source.get(name).is_some_and(|source| stems_from(value, source));
            fields.iter().all(stems) && source.iter().all(kept)
        }
        (Value::Array(items), Value::Array(source)) => {
            items.len() == source.len() && items.iter().zip(source).all(|(value, source)| stems_from(value, source))
        }
        (Value::Number(number), Value::Number(source)) => number.as_f64() == source.as_f64(),
        (Value::String(text), Value::Number(source)) => *text == source.to_string(),
        // `+5` and `.5` are numbers to people, and JSON says the rest.
        (Value::Number(number), Value::String(source)) => {
            let source = source.trim().trim_start_matches('+');
            source == number.to_string() || source.parse() == Ok(number.as_f64().unwrap_or(f64::NAN))
        }
        (Value::Bool(value), Value::String(source)) => source.trim().parse() == Ok(*value),
        (Value::Object(_) | Value::Array(_), Value::String(source)) => {
            parse(source.trim()).is_ok_and(|source| stems_from(value, &source))
        }
        _ => false,
    }
}

fn check_refused(case: &Case, text: &str, failure: &Failure) {
    assert!(matches!(failure.code, Code::ArgumentsInvalid | Code::ArgumentsTooLarge), "{failure:?}");
    let starts = ["the arguments", "`", "the operator's `inject`"];
    assert!(starts.iter().any(|start| failure.message.starts_with(start)), "{}", failure.message);
    assert!(is_plain(&failure.message), "{:?}", failure.message);
    let known = format!("{text}{}{}", case.schema, case.overlay.clone().unwrap_or_default());
    let names: String = case.inject.keys().cloned().collect();
    for value in case.inject.values().flat_map(texts) {
        let public = known.contains(value) || names.contains(value) || failure.message.len() > 4_000;
        assert!(public || !failure.message.contains(value), "an injected value is in {:?}", failure.message);
    }
}

/// What a caller writes for an argument that the operator sets makes no difference.
fn check_injected(case: &Case, compiled: &ArgumentSchema, text: &str) {
    let Ok(Value::Object(written)) = parse(text) else { return };
    let outcome = |fields: &Map<String, Value>| {
        let prepared = compiled.prepare(&Value::Object(fields.clone()).to_string());
        prepared.ok().map(|arguments| parse(&arguments.text).unwrap_or_default())
    };
    let mut without = written;
    without.retain(|name, _| !case.inject.contains_key(name));
    for name in case.inject.keys().take(2) {
        let mut with = without.clone();
        with.insert(name.clone(), Value::from("what the caller wants"));
        assert_eq!(outcome(&with), outcome(&without), "`{name}` of the caller counts in {text}");
    }
}

/// Lines: the schema, what is injected, the operator's rule or nothing, and then arguments, one to a line.
pub fn input(data: &[u8]) {
    judge(data);
}

/// The same, and says how many arguments were taken and refused.
pub fn judge(data: &[u8]) -> (u32, u32) {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let Some(case) = Case::read(next(), next(), next()) else { return (0, 0) };
    check(&case, lines.take(8))
}
