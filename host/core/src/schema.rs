//! What a model wrote, turned into arguments a tool can take; a tool's schema, turned into what a caller sees.

mod cost;

use std::fmt;
use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, PatternOptions, ValidationError, Validator};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use self::cost::{Cost, Detail, Extent};
use crate::outcome::{Code, Failure};
use crate::redact::visible as shown;

/// Arguments larger than this are refused before they are parsed.
pub const MAX_ARGUMENTS: usize = 4 << 20;
/// A schema larger than this is refused when its plugin is loaded.
pub const MAX_SCHEMA: usize = 256 << 10;
/// Objects and lists in one another; what serde_json takes too.
const MAX_DEPTH: usize = 100;

/// A tool's argument rules, compiled once when the tool is loaded. Of a service with 1,222 operations that takes 25 ms and
/// 15 MB.
#[derive(Debug)]
pub struct ArgumentSchema {
    /// What the tool published.
    own: Rule,
    /// The operator's rules laid over it.
    overlays: Vec<Rule>,
    /// Arguments the operator sets; hidden from callers.
    inject: Map<String, Value>,
    /// Shares the tool's own where they are the same.
    visible: Arc<Value>,
    has_headers: bool,
}

/// What marks arguments that MCP clients repeat in headers.
const HEADER: &str = "\"x-mcp-header\":";

/// Arguments that passed.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// A JSON object.
    pub text: String,
    /// The types of its fields, for the audit: names and kinds, never values.
    pub shape: String,
}

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(String);

impl ArgumentSchema {
    /// Compiles the tool's own `input` schema together with the operator's `overlays` and `inject`.
    ///
    /// # Errors
    /// When `input` is not JSON, not an object schema, too large, too deep, refers to another document, or could take for
    /// ever to check anything against.
    pub fn compile(input: &str, overlays: &[Value], inject: Map<String, Value>) -> Result<Self, SchemaError> {
        if input.len() > MAX_SCHEMA {
            return Err(SchemaError(format!("the schema has {} bytes; at most {MAX_SCHEMA} are taken", input.len())));
        }
        let own = parse(input).map_err(|reason| SchemaError(format!("the schema is not JSON: {reason}")))?;
        if !own.is_object() || own.get("type").is_some_and(|kind| kind != "object") {
            return Err(SchemaError("the root of the schema must describe an object".to_owned()));
        }
        let visible = visible(&own, overlays, &inject);
        let overlays = overlays.iter().cloned().map(Rule::compile).collect::<Result<_, _>>()?;
        let has_headers = visible.to_string().contains(HEADER);
        let own = Rule::compile(own)?;
        let visible = if visible == *own.schema { Arc::clone(&own.schema) } else { Arc::new(visible) };
        Ok(Self { own, overlays, inject, visible, has_headers })
    }

    /// The schema as a caller sees it: without the injected arguments, with the operator's rules.
    #[must_use]
    pub fn visible(&self) -> &Value {
        &self.visible
    }

    /// Whether some of the arguments are to be repeated in headers of MCP over HTTP (`x-mcp-header`).
    #[must_use]
    pub fn has_headers(&self) -> bool {
        self.has_headers
    }

    /// Reads, completes and checks what a caller sent. The text goes on as it came unless something had to change.
    ///
    /// # Errors
    /// `arguments.invalid` or `arguments.too-large`, naming the field and the line of the schema it breaks.
    pub fn prepare(&self, text: &str) -> Result<Arguments, Failure> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        if text.len() > MAX_ARGUMENTS {
            let message = format!("the arguments have {} bytes; at most {MAX_ARGUMENTS} are taken", text.len());
            return Err(Failure::new(Code::ArgumentsTooLarge, message));
        }
        let mut value = match parse(text) {
            Ok(Value::Null) => Value::Object(Map::new()),
            Ok(value) => value,
            Err(reason) => return Err(invalid(&format!("the arguments are not JSON: {reason}"))),
        };
        let Value::Object(fields) = &mut value else {
            return Err(invalid(&format!("the arguments must be a JSON object, not {}", kind(&value))));
        };
        let mut changed = false;
        for (name, injected) in &self.inject {
            fields.insert(name.clone(), injected.clone());
            changed = true;
        }
        let _ = self.within_reason(&value)?;
        if self.fits(&value) {
            // `3.0` is an integer to JSON Schema and none to most programs.
            changed |= has_whole_float(&value) && coerce(&mut value, &self.own.schema, Mending::WholeNumbers, 0);
        } else {
            changed |= coerce(&mut value, &self.own.schema, Mending::All, 0);
            match self.within_reason(&value)? {
                Detail::Full => self.explain(&value)?,
                Detail::None if self.fits(&value) => {}
                Detail::None => return Err(invalid("the arguments do not fit, and are too large to say where")),
            }
        }
        let shape = shape(&value);
        let text = if changed || text.trim_start().starts_with("null") { value.to_string() } else { text.to_owned() };
        Ok(Arguments { text, shape })
    }

    /// Refuses what would take too long to check.
    fn within_reason(&self, value: &Value) -> Result<Detail, Failure> {
        let extent = Extent::of(value);
        let details = self.rules().map(|rule| rule.cost.allows(&rule.schema, value, &extent));
        details
            .min_by_key(|detail| detail.ok())
            .unwrap_or(Ok(Detail::Full))
            .map_err(|reason| Failure::new(Code::ArgumentsTooLarge, format!("the arguments are {reason}")))
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        std::iter::once(&self.own).chain(&self.overlays)
    }

    fn fits(&self, value: &Value) -> bool {
        self.rules().all(|rule| rule.validator.is_valid(value))
    }

    /// The first rule that is broken, in a sentence.
    fn explain(&self, value: &Value) -> Result<(), Failure> {
        let error = self.rules().find_map(|rule| rule.validator.iter_errors(value).next());
        error.map_or(Ok(()), |error| Err(invalid(&self.sentence(nearest(&error), value))))
    }

    fn sentence(&self, error: &ValidationError<'_>, value: &Value) -> String {
        let path = error.instance_path().to_string();
        let field = &unescaped(path.split('/').nth(1).unwrap_or_default());
        if self.inject.contains_key(field) {
            return format!("the operator's `inject` sets `{field}` to something this tool does not take");
        }
        let place = if path.is_empty() { "the arguments".to_owned() } else { format!("`{}`", dotted(&path)) };
        let got = match value.pointer(&path) {
            Some(Value::Object(_) | Value::Array(_)) | None => String::new(),
            Some(found) => format!(" (got {})", clipped(&found.to_string(), 80)),
        };
        // The masked form keeps injected values out of a message about the whole object.
        let mut message = format!("{place}: {}{got}", error.masked_with("it"));
        if let Some(line) = self.visible["properties"].get(field) {
            message.push_str(&format!("; the schema says `{field}`: {}", clipped(&line.to_string(), 300)));
        } else if path.is_empty() {
            message.push_str(&format!("; {}", self.known_fields()));
        }
        message
    }

    fn known_fields(&self) -> String {
        let names = |value: Option<&Value>| -> Vec<String> {
            match value {
                Some(Value::Object(fields)) => fields.keys().map(|name| format!("`{name}`")).collect(),
                Some(Value::Array(items)) => {
                    items.iter().filter_map(Value::as_str).map(|name| format!("`{name}`")).collect()
                }
                Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => Vec::new(),
            }
        };
        let known = names(self.visible.get("properties"));
        let required = names(self.visible.get("required"));
        match (known.is_empty(), required.is_empty()) {
            (true, _) => "the tool takes no arguments".to_owned(),
            (false, true) => format!("it takes {}, none of them required", known.join(", ")),
            (false, false) => format!("it takes {}, of which {} must be there", known.join(", "), required.join(", ")),
        }
    }
}

/// The mistake in the alternative that was meant, where there are several and all but one are further off.
fn nearest<'e>(error: &'e ValidationError<'e>) -> &'e ValidationError<'e> {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind() else {
        return error;
    };
    let here = |other: &ValidationError<'_>| other.instance_path() == error.instance_path();
    // Another kind of value, or another tag, is another alternative; a field too few or too many may be a slip.
    let distance = |other: &ValidationError<'_>| {
        let named = matches!(other.kind(), ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. });
        let typed = matches!(other.kind(), ValidationErrorKind::Type { .. });
        if named || typed && here(other) { 2 } else { u32::from(here(other)) }
    };
    let is_null = |errors: &Vec<ValidationError<'_>>| {
        errors.iter().any(|other| {
            matches!(other.kind(), ValidationErrorKind::Type { kind: TypeKind::Single(JsonType::Null) }) && here(other)
        })
    };
    let mut ranked: Vec<(u32, &ValidationError<'_>)> = context
        .iter()
        .filter(|errors| !is_null(errors))
        .filter_map(|errors| Some((errors.iter().map(distance).sum(), errors.first()?)))
        .collect();
    ranked.sort_by_key(|(distance, _)| *distance);
    match ranked[..] {
        [(_, only)] => nearest(only),
        [(first, meant), (second, _), ..] if first < second => nearest(meant),
        _ => error,
    }
}

/// Why arguments do not fit, with nothing in it that a terminal acts on.
fn invalid(message: &str) -> Failure {
    Failure::new(Code::ArgumentsInvalid, shown(message))
}

/// A schema for what a tool gives back.
#[derive(Debug)]
pub struct ResultSchema {
    /// What callers are told.
    own: Rule,
    /// What holds beside it.
    more: Vec<Rule>,
}

impl ResultSchema {
    /// Compiles the tool's `output-schema`.
    ///
    /// # Errors
    /// As [`ArgumentSchema::compile`], except that any type is fine at the root.
    pub fn compile(text: &str) -> Result<Self, SchemaError> {
        if text.len() > MAX_SCHEMA {
            return Err(SchemaError(format!("the schema has {} bytes; at most {MAX_SCHEMA} are taken", text.len())));
        }
        let value = parse(text).map_err(|reason| SchemaError(format!("the schema is not JSON: {reason}")))?;
        Ok(Self { own: Rule::compile(value)?, more: Vec::new() })
    }

    /// The same, and `schema` has to match too.
    ///
    /// # Errors
    /// As [`ResultSchema::compile`].
    pub fn and(mut self, schema: &Value) -> Result<Self, SchemaError> {
        self.more.push(Rule::compile(schema.clone())?);
        Ok(self)
    }

    /// The schema itself.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.own.schema
    }

    /// The first way in which `value` does not match.
    #[must_use]
    pub fn mismatch(&self, value: &Value) -> Option<String> {
        std::iter::once(&self.own).chain(&self.more).find_map(|rule| rule.mismatch(value))
    }
}

/// One schema, ready to be checked against.
#[derive(Debug)]
struct Rule {
    schema: Arc<Value>,
    validator: Validator,
    cost: Cost,
}

impl Rule {
    /// The first way in which a result does not match.
    fn mismatch(&self, value: &Value) -> Option<String> {
        let Self { schema, validator, cost } = self;
        let detail = match cost.allows(schema, value, &Extent::of(value)) {
            Ok(detail) => detail,
            Err(reason) => return Some(format!("it is {reason}")),
        };
        if validator.is_valid(value) {
            return None;
        }
        if detail == Detail::None {
            return Some("it does not fit, and is too large to say where".to_owned());
        }
        let error = validator.iter_errors(value).next()?;
        Some(format!("`{}`: {}", dotted(&error.instance_path().to_string()), error.masked_with("it")))
    }

    /// Compiles without a network, without files, with a linear-time regular expression engine.
    fn compile(schema: Value) -> Result<Self, SchemaError> {
        let unusable = |error: String| SchemaError(format!("the schema cannot be used: {}", clipped(&error, 300)));
        let cost = Cost::of(&schema).map_err(unusable)?;
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(256 << 10).dfa_size_limit(1 << 20))
            .build(&schema)
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { schema: Arc::new(schema), validator, cost })
    }
}

/// `own` less the injected arguments, with the operator's rules where a caller looks for them.
fn visible(own: &Value, overlays: &[Value], inject: &Map<String, Value>) -> Value {
    let mut schema = own.clone();
    for overlay in overlays {
        lay_over(&mut schema, overlay);
    }
    let Some(fields) = schema.as_object_mut() else { return schema };
    fields.entry("type").or_insert_with(|| "object".into());
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.retain(|name, _| !inject.contains_key(name));
    } else {
        fields.insert("properties".to_owned(), Value::Object(Map::new()));
    }
    if let Some(Value::Array(required)) = fields.get_mut("required") {
        required.retain(|name| !name.as_str().is_some_and(|name| inject.contains_key(name)));
        if required.is_empty() {
            fields.shift_remove("required");
        }
    }
    schema
}

/// Merges the operator's rules per property; what does not fit there is added under `allOf`.
fn lay_over(schema: &mut Value, overlay: &Value) {
    let (Some(schema), Some(overlay)) = (schema.as_object_mut(), overlay.as_object()) else { return };
    let mut rest = Map::new();
    for (keyword, rule) in overlay {
        match (keyword.as_str(), rule) {
            ("properties", Value::Object(rules)) => {
                let own = schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
                for (name, rule) in rules {
                    merge_property(own, name, rule);
                }
            }
            ("required", Value::Array(names)) => {
                let own = schema.entry("required").or_insert_with(|| Value::Array(Vec::new()));
                if let Some(own) = own.as_array_mut() {
                    own.extend(names.iter().filter(|name| !own.contains(name)).cloned().collect::<Vec<_>>());
                }
            }
            ("type", _) => {}
            _ => {
                rest.insert(keyword.clone(), rule.clone());
            }
        }
    }
    if !rest.is_empty() {
        let all = schema.entry("allOf").or_insert_with(|| Value::Array(Vec::new()));
        if let Some(all) = all.as_array_mut() {
            all.push(Value::Object(rest));
        }
    }
}

fn merge_property(properties: &mut Value, name: &str, rule: &Value) {
    match (properties.get_mut(name), rule) {
        (Some(Value::Object(own)), Value::Object(rule)) => {
            own.extend(rule.iter().map(|(keyword, value)| (keyword.clone(), value.clone())));
        }
        _ => properties[name] = rule.clone(),
    }
}

/// What may be changed in arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mending {
    /// What models get wrong: `"5"` for a number, `"true"` for a boolean, a number for a string, JSON text for an object
    /// or list, and `null` for an argument that may be left out.
    All,
    /// Only how a whole number is written: these arguments fit as they are.
    WholeNumbers,
}

/// Mends what does not have the type that `schema` says. Says whether it changed anything.
fn coerce(value: &mut Value, schema: &Value, mending: Mending, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let mut changed = mend(value, schema, mending);
    let schema = meant(schema, value);
    match value {
        Value::Object(fields) => {
            let properties = &schema["properties"];
            if mending == Mending::All {
                let before = fields.len();
                fields.retain(|name, field| !field.is_null() || !may_be_left_out(schema, name));
                changed |= fields.len() != before;
            }
            for (name, field) in fields.iter_mut() {
                changed |= coerce(field, &properties[name.as_str()], mending, depth + 1);
            }
        }
        Value::Array(items) => {
            for item in items {
                changed |= coerce(item, &schema["items"], mending, depth + 1);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    changed
}

/// The one alternative of `schema` that an object or list can be meant for: it has the fields that must be there, and the
/// names that tell alternatives apart. Without alternatives, or when it could be several, `schema` itself.
fn meant<'s>(schema: &'s Value, value: &Value) -> &'s Value {
    let alternatives = ["anyOf", "oneOf"].iter().find_map(|keyword| schema[*keyword].as_array());
    let Some(alternatives) = alternatives else { return schema };
    let fits = |alternative: &&Value| {
        let required = alternative["required"]
            .as_array()
            .is_none_or(|names| names.iter().all(|name| name.as_str().is_some_and(|name| value.get(name).is_some())));
        let named = alternative["properties"].as_object().is_none_or(|properties| {
            properties.iter().all(|(name, property)| match (property["enum"].as_array(), value.get(name)) {
                (Some(names), Some(field)) => names.contains(field),
                (None, _) | (_, None) => true,
            })
        });
        allows(alternative, kind(value)) && required && named
    };
    let mut fitting = alternatives.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => only,
        _ => schema,
    }
}

/// Whether a field is one that the schema knows, does not ask for, and does not say can be `null`.
fn may_be_left_out(schema: &Value, name: &str) -> bool {
    let required = schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name));
    let known = schema["properties"].get(name);
    !required && known.is_some_and(|known| !allows(known, "null"))
}

fn has_whole_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => whole(number).is_some(),
        Value::Array(items) => items.iter().any(has_whole_float),
        Value::Object(fields) => fields.values().any(has_whole_float),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// The integer that a number such as `3.0` is, as far as floating point counts exactly.
fn whole(number: &Number) -> Option<i64> {
    let number = number.as_f64().filter(|_| number.is_f64())?;
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

fn mend(value: &mut Value, schema: &Value, mending: Mending) -> bool {
    let all = mending == Mending::All;
    let mended = match value {
        Value::String(text) if all && !allows(schema, "string") => from_text(text.trim(), schema),
        Value::Number(number)
            if all && allows(schema, "string") && !allows(schema, "number") && !allows(schema, "integer") =>
        {
            Some(Value::String(number.to_string()))
        }
        Value::Number(number) if allows(schema, "integer") && !allows(schema, "number") => {
            whole(number).map(Value::from)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let changed = mended.is_some();
    if let Some(mended) = mended {
        *value = mended;
    }
    changed
}

/// What a text stands for where none is wanted. A number that would lose digits is left as it is.
fn from_text(text: &str, schema: &Value) -> Option<Value> {
    let digits = text.trim_start_matches(['-', '+']);
    let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
    let integer = || text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).ok();
    let fraction = || text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number);
    let number = || if is_integer { integer() } else { fraction() };
    let boolean = || text.parse::<bool>().ok().map(Value::Bool);
    let nested = |test: fn(&Value) -> bool| parse(text).ok().filter(test);
    None.or_else(|| allows(schema, "integer").then(integer).flatten())
        .or_else(|| allows(schema, "number").then(number).flatten())
        .or_else(|| allows(schema, "boolean").then(boolean).flatten())
        .or_else(|| allows(schema, "object").then(|| nested(Value::is_object)).flatten())
        .or_else(|| allows(schema, "array").then(|| nested(Value::is_array)).flatten())
}

/// Whether `schema` names `kind` in its `type`, directly or in one of its alternatives.
fn allows(schema: &Value, kind: &str) -> bool {
    let own = match &schema["type"] {
        Value::String(name) => name == kind,
        Value::Array(names) => names.iter().any(|name| name == kind),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    own || ["anyOf", "oneOf"].iter().any(|keyword| {
        schema[keyword].as_array().is_some_and(|branches| branches.iter().any(|branch| allows(branch, kind)))
    })
}

/// `{path:string,limit:number}`: names and kinds, at most 32 fields, no values.
fn shape(value: &Value) -> String {
    let Some(fields) = value.as_object() else { return kind(value).to_owned() };
    let mut shape = String::from("{");
    for (name, field) in fields.iter().take(32) {
        if shape.len() > 1 {
            shape.push(',');
        }
        shape.push_str(&shown(&clipped(name, 64)));
        shape.push(':');
        shape.push_str(kind(field));
    }
    if fields.len() > 32 {
        shape.push_str(&format!(",+{}", fields.len() - 32));
    }
    shape.push('}');
    shape
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `/a/0/b` as `a[0].b`.
fn dotted(path: &str) -> String {
    let mut text = String::new();
    for part in path.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty() && !text.is_empty() {
            text.push_str(&format!("[{part}]"));
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&unescaped(part));
        }
    }
    text
}

/// One step of a JSON Pointer.
fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// At most `most` characters of `text`.
fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Parses JSON and refuses what other parsers read differently: two fields of the same name.
///
/// # Errors
/// A sentence that says what is wrong and where.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Strict)?;
            match object.entry(name) {
                Entry::Vacant(place) => drop(place.insert(value)),
                Entry::Occupied(there) => {
                    let name = clipped(there.key(), 64);
                    return Err(A::Error::custom(format_args!("`{name}` is there twice")));
                }
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "limit": {"type": "integer", "minimum": 1},
                "deep": {"type": "boolean"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "key": {"type": "string"},
            },
            "required": ["path", "key"],
            "additionalProperties": false,
        })
    }

    fn compiled() -> ArgumentSchema {
        let inject = json!({"key": "injected"}).as_object().unwrap().clone();
        ArgumentSchema::compile(&schema().to_string(), &[], inject).unwrap()
    }

    #[track_caller]
    fn check(arguments: &str, expected: &str) {
        let seen = match compiled().prepare(arguments) {
            Ok(arguments) => arguments.text,
            Err(failure) => failure.to_string(),
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn an_injected_argument_wins_and_is_hidden() {
        check(r#"{"path":"a"}"#, r#"{"path":"a","key":"injected"}"#);
        check(r#"{"path":"a","key":"mine"}"#, r#"{"path":"a","key":"injected"}"#);
        let compiled = compiled();
        assert!(compiled.visible()["properties"].get("key").is_none());
        assert_eq!(compiled.visible()["required"], json!(["path"]));
    }

    #[test]
    fn what_models_get_wrong_is_mended() {
        check(
            r#"{"path":5,"limit":"7","deep":"true","tags":"[\"a\"]"}"#,
            r#"{"path":"5","limit":7,"deep":true,"tags":["a"],"key":"injected"}"#,
        );
        check(r#"{"path":"a","limit":null}"#, r#"{"path":"a","key":"injected"}"#);
        check(r#"{"path":"a","limit":3.0}"#, r#"{"path":"a","limit":3,"key":"injected"}"#);
    }

    #[test]
    fn a_mistake_names_the_field_and_shows_the_schema() {
        check(
            r#"{"path":"a","limit":"many"}"#,
            "`limit`: it is not of type \"integer\" (got \"many\"); the schema says `limit`: {\"type\":\"integer\",\"minimum\":1}",
        );
        check(
            "",
            "the arguments: \"path\" is a required property; it takes `path`, `limit`, `deep`, `tags`, of which `path` must be there",
        );
    }

    #[test]
    fn alternatives_are_told_by_what_must_be_in_them() {
        let case = |tag: &str, value: Value| json!({"type": "object", "properties": {"tag": {"enum": [tag]}, "value": value}, "required": ["tag", "value"]});
        let point = json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]});
        let schema = json!({"type": "object", "properties": {
            "shape": {"anyOf": [case("circle", json!({"type": "number"})), case("point", point.clone()), {"type": "null"}]},
            "outcome": {"oneOf": [
                {"type": "object", "properties": {"ok": point}, "required": ["ok"], "additionalProperties": false},
                {"type": "object", "properties": {"err": {"type": "string"}}, "required": ["err"], "additionalProperties": false},
            ]},
            "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        }});
        let compiled = ArgumentSchema::compile(&schema.to_string(), &[], Map::new()).unwrap();
        for (given, expected) in [
            (r#"{"shape":{"tag":"circle","value":"1.5"}}"#, r#"{"shape":{"tag":"circle","value":1.5}}"#),
            (r#"{"shape":{"tag":"point","value":{"x":"7"}}}"#, r#"{"shape":{"tag":"point","value":{"x":7}}}"#),
            (r#"{"outcome":{"err":5}}"#, r#"{"outcome":{"err":"5"}}"#),
            (r#"{"size":"18446744073709551615"}"#, r#"{"size":18446744073709551615}"#),
        ] {
            assert_eq!(compiled.prepare(given).unwrap().text, expected);
        }
        for (given, expected) in [
            (
                r#"{"shape":{"tag":"point","value":{"x":"seven"}}}"#,
                "`shape.value.x`: it is not of type \"integer\" (got \"seven\")",
            ),
            (r#"{"shape":{"tag":"circle"}}"#, "`shape`: \"value\" is a required property"),
            (r#"{"outcome":{"ok":{"x":[]}}}"#, "`outcome.ok.x`: it is not of type \"integer\""),
            (r#"{"size":"many"}"#, "`size`: it is not of type \"integer\" (got \"many\")"),
            (
                r#"{"shape":{"tag":"star","value":1}}"#,
                "`shape`: it is not valid under any of the schemas listed in the 'anyOf' keyword",
            ),
        ] {
            let said = compiled.prepare(given).unwrap_err().to_string();
            assert!(said.starts_with(&format!("{expected}; the schema says ")), "{said}");
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        check("[]", "the arguments must be a JSON object, not array");
        check("{\"a\":1,\"a\":2}", "the arguments are not JSON: `a` is there twice at line 1 column 13");
        check("{", "the arguments are not JSON: EOF while parsing an object at line 1 column 1");
        check(&"[".repeat(200), "the arguments are not JSON: recursion limit exceeded at line 1 column 128");
    }

    #[test]
    fn the_operators_rules_are_laid_over() {
        let overlay = json!({"properties": {"path": {"pattern": "^/srv/"}}, "required": ["limit"]});
        let compiled = ArgumentSchema::compile(&schema().to_string(), &[overlay], Map::new()).unwrap();
        assert_eq!(compiled.visible()["properties"]["path"], json!({"type": "string", "pattern": "^/srv/"}));
        assert_eq!(compiled.visible()["required"], json!(["path", "key", "limit"]));
        assert!(compiled.prepare(r#"{"path":"/srv/a","key":"k","limit":1}"#).is_ok());
        assert!(compiled.prepare(r#"{"path":"/etc/a","key":"k","limit":1}"#).is_err());
    }

    #[test]
    fn untouched_arguments_go_on_as_they_came() {
        let compiled = ArgumentSchema::compile(&schema().to_string(), &[], Map::new()).unwrap();
        let text = "{ \"path\" : \"a\",  \"key\":\"k\" }";
        let arguments = compiled.prepare(text).unwrap();
        assert_eq!(arguments.text, text);
        assert_eq!(arguments.shape, "{path:string,key:string}");
    }

    #[test]
    fn a_schema_that_points_elsewhere_is_refused() {
        let schema = json!({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/schema.json"}}});
        assert!(ArgumentSchema::compile(&schema.to_string(), &[], Map::new()).is_err());
    }
}
