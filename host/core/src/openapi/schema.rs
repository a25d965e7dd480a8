//! Schemas of a document, as JSON Schema 2020-12 that stands by itself.
//!
//! Only keywords that are known and make sense are taken over: what else a document says cannot make a schema that no
//! validator takes. A reference becomes one into `$defs`, so that types that contain themselves stay what they are; small
//! ones are put where they are used.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::names::argument;
use super::reference::{Library, Node};
use super::text::{MOST_OF_PART, MOST_OF_TITLE, clean, hidden, hides, line};

/// Schemas and keywords in the schema of one tool. What is beyond is described no further.
const MOST_IN_TOOL: usize = 8_000;
/// A type up to this many values, that refers to nothing, is put where it is used.
const SMALL: usize = 12;
/// Values to choose from that are worth telling a model.
const MOST_CHOICES: usize = 500;
/// Bytes of all of them.
const MOST_OF_CHOICES: usize = 32 << 10;
/// Bytes of an example or a default.
const MOST_EXAMPLE: usize = 256;

/// The version of OpenAPI, as far as it changes what a schema means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Swagger 2.0 and OpenAPI 3.0: `nullable`, and nothing counts beside a `$ref`.
    Own,
    /// OpenAPI 3.1: JSON Schema 2020-12.
    Standard,
}

/// Whether a value is sent or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Out,
    Back,
}

/// Where in the arguments a schema stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// It describes the body itself, whose fields an operator may inject.
    Body,
    /// Anywhere else.
    Inner,
}

/// Names that a caller never sees.
#[derive(Debug, Clone, Default)]
pub(super) struct Hidden(Vec<String>);

impl Hidden {
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_ascii_lowercase).collect())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let argument = argument(name);
        self.0.iter().any(|hidden| hidden.eq_ignore_ascii_case(name) || hidden.eq_ignore_ascii_case(&argument))
    }

    /// Whether one of the names stands in a value as the name of a field, at any depth.
    fn within(&self, value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.iter().any(|(name, field)| self.has(name) || self.within(field)),
            Value::Array(items) => items.iter().any(|item| self.within(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
}

/// Turns schemas of one tool, one after the other, into such that share their definitions.
pub(super) struct Schemas<'l, 'd> {
    library: &'l Library<'d>,
    dialect: Dialect,
    way: Way,
    hidden: &'l Hidden,
    /// The names of definitions by place.
    names: BTreeMap<(usize, Level), String>,
    pending: Vec<(String, Node<'d>, Level)>,
    /// Values so far.
    pub(super) values: usize,
    /// Whether something was left undescribed for its size.
    pub(super) cut: bool,
}

impl<'l, 'd> Schemas<'l, 'd> {
    pub(super) fn new(library: &'l Library<'d>, dialect: Dialect, way: Way, hidden: &'l Hidden) -> Self {
        let (names, pending) = (BTreeMap::new(), Vec::new());
        Self { library, dialect, way, hidden, names, pending, values: 0, cut: false }
    }

    /// The definitions that the schemas made so far refer to.
    pub(super) fn definitions(&mut self) -> Result<Map<String, Value>, String> {
        let mut definitions = Map::new();
        while let Some((name, node, level)) = self.pending.pop() {
            let schema = self.schema(node, level)?;
            definitions.insert(name, schema);
        }
        definitions.sort_keys();
        Ok(definitions)
    }

    /// One schema.
    ///
    /// # Errors
    /// A `$ref` in it leads nowhere.
    pub(super) fn schema(&mut self, node: Node<'d>, level: Level) -> Result<Value, String> {
        if self.is_full() {
            return Ok(json!({}));
        }
        if let Value::Bool(any) = node.value {
            return Ok(Value::Bool(*any));
        }
        if node.text("$ref").is_some() {
            return self.reference(node, level);
        }
        let mut schema = self.keywords(node, level)?;
        if node.is_true("nullable") {
            schema = nullable(schema);
        }
        Ok(Value::Object(schema))
    }

    /// Counts one more, and says whether there is no room for it: who refers to a large type many times pays many times.
    fn is_full(&mut self) -> bool {
        self.values += 1;
        self.cut |= self.values > MOST_IN_TOOL;
        self.cut
    }

    fn reference(&mut self, node: Node<'d>, level: Level) -> Result<Value, String> {
        let target = self.library.follow(node)?;
        let mut schema = if is_small(target.value) && !target.value.is_boolean() {
            self.keywords(target, level)
                .map(|schema| if target.is_true("nullable") { nullable(schema) } else { schema })?
        } else {
            let name = self.define(node, target, level);
            Map::from_iter([("$ref".to_owned(), Value::from(format!("#/$defs/{name}")))])
        };
        let beside = match self.dialect {
            Dialect::Standard => self.keywords(node, level)?,
            Dialect::Own => Map::new(),
        };
        if let Some(text) = node.text("description") {
            schema.insert("description".to_owned(), clean(text, MOST_OF_PART).into());
        }
        if beside.keys().any(|keyword| schema.contains_key(keyword) && keyword != "description") {
            return Ok(json!({ "allOf": [schema, beside] }));
        }
        for (keyword, rule) in beside {
            schema.entry(keyword).or_insert(rule);
        }
        if self.dialect == Dialect::Own && node.is_true("nullable") {
            schema = nullable(schema);
        }
        Ok(Value::Object(schema))
    }

    fn define(&mut self, node: Node<'d>, target: Node<'d>, level: Level) -> String {
        let place = (target.place(), level);
        if let Some(name) = self.names.get(&place) {
            return name.clone();
        }
        let last = node.text("$ref").and_then(|reference| reference.rsplit(['/', '#']).next()).unwrap_or_default();
        let base = match argument(last).replace('.', "_") {
            name if name.is_empty() => "type".to_owned(),
            name => name,
        };
        let mut name = base.clone();
        let mut number = 2;
        while self.names.values().any(|taken| *taken == name) {
            name = format!("{base}_{number}");
            number += 1;
        }
        self.names.insert(place, name.clone());
        self.pending.push((name.clone(), target, level));
        name
    }

    fn keywords(&mut self, node: Node<'d>, level: Level) -> Result<Map<String, Value>, String> {
        let mut schema = Map::new();
        for (keyword, rule) in node.fields() {
            if self.is_full() {
                break;
            }
            if let Some(taken) = self.keyword(keyword, rule, level, node)? {
                schema.insert(keyword.to_owned(), taken);
            }
        }
        example(node, self.hidden, &mut schema);
        bounds(node, &mut schema);
        self.requirements(node, level, &mut schema);
        if node.text("type") == Some("file") || is_binary(node) {
            schema.insert("type".to_owned(), "string".into());
            schema.insert("contentEncoding".to_owned(), "base64".into());
        }
        Ok(schema)
    }

    /// What becomes of one keyword: none if it means nothing to a validator or a model.
    fn keyword(&mut self, keyword: &str, rule: Node<'d>, level: Level, of: Node<'d>) -> Result<Option<Value>, String> {
        let value = rule.value;
        let copied = |wanted: bool| Ok(wanted.then(|| value.clone()));
        match keyword {
            "title" => Ok(value.as_str().map(|text| line(text, MOST_OF_TITLE).into())),
            "description" => Ok(value.as_str().map(|text| clean(text, MOST_OF_PART).into())),
            "$comment" | "example" | "examples" | "required" | "nullable" => Ok(None),
            "type" => Ok(kind(value)),
            "enum" => Ok(choices(value, of)),
            "const" => copied(within(value, MOST_EXAMPLE) && !hides(value)),
            "default" => copied(is_brief(value) && !self.hidden.within(value)),
            "format" => copied(value.as_str().is_some_and(|text| text.len() <= 64 && !hidden(text))),
            "pattern" => copied(value.as_str().is_some_and(|text| text.len() <= 1024 && !hidden(text))),
            "minimum" | "maximum" => copied(value.is_number()),
            "multipleOf" => copied(value.as_f64().is_some_and(|number| number > 0.0)),
            "exclusiveMinimum" | "exclusiveMaximum" => copied(value.is_number()),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
            | "maxContains" => Ok(whole(value)),
            "uniqueItems" | "deprecated" => copied(value.is_boolean()),
            "items" if value.is_array() => Ok(None),
            "items"
            | "contains"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "unevaluatedItems"
            | "propertyNames" => self.one(rule, Level::Inner),
            "not" | "if" | "then" | "else" => self.one(rule, level),
            "allOf" | "anyOf" | "oneOf" => self.several(rule, level),
            "prefixItems" => self.several(rule, Level::Inner),
            "properties" | "patternProperties" | "dependentSchemas" => self.named(keyword, rule, level),
            _ => Ok(None),
        }
    }

    fn one(&mut self, rule: Node<'d>, level: Level) -> Result<Option<Value>, String> {
        let is_schema = rule.value.is_object() || rule.value.is_boolean();
        is_schema.then(|| self.schema(rule, level)).transpose()
    }

    fn several(&mut self, rules: Node<'d>, level: Level) -> Result<Option<Value>, String> {
        let schemas: Vec<Value> = rules
            .items()
            .filter(|rule| rule.value.is_object() || rule.value.is_boolean())
            .take(MOST_IN_TOOL)
            .map(|rule| self.schema(rule, level))
            .collect::<Result<_, _>>()?;
        Ok((!schemas.is_empty()).then_some(Value::Array(schemas)))
    }

    fn named(&mut self, keyword: &str, rules: Node<'d>, level: Level) -> Result<Option<Value>, String> {
        if !rules.value.is_object() {
            return Ok(None);
        }
        let inner = if keyword == "dependentSchemas" { level } else { Level::Inner };
        // Patterns are not names.
        let hides = level == Level::Body && keyword != "patternProperties";
        let mut schemas = Map::new();
        for (name, rule) in rules.fields() {
            if self.is_full() {
                break;
            }
            let is_schema = rule.value.is_object() || rule.value.is_boolean();
            if is_schema && !hidden(name) && !(hides && self.hidden.has(name)) && self.travels(rule) {
                schemas.insert(name.to_owned(), self.schema(rule, inner)?);
            }
        }
        Ok(Some(Value::Object(schemas)))
    }

    /// Whether a property is sent, or received, at all.
    pub(super) fn travels(&self, property: Node<'d>) -> bool {
        let Ok(target) = self.library.follow(property) else { return true };
        let never = match self.way {
            Way::Out => "readOnly",
            Way::Back => "writeOnly",
        };
        !property.is_true(never) && !target.is_true(never)
    }

    fn requirements(&self, node: Node<'d>, level: Level, schema: &mut Map<String, Value>) {
        let Some(names) = node.at("required").filter(|names| names.value.is_array()) else { return };
        let travels = |name: &str| {
            node.at("properties")
                .and_then(|properties| properties.at(name))
                .is_none_or(|property| self.travels(property))
        };
        let mut required: Vec<&str> = names
            .items()
            .take(MOST_CHOICES)
            .filter_map(|name| name.value.as_str())
            .filter(|name| !(hidden(name) || level == Level::Body && self.hidden.has(name)) && travels(name))
            .collect();
        required.sort_unstable();
        required.dedup();
        if !required.is_empty() {
            schema.insert("required".to_owned(), required.into());
        }
    }
}

/// Whether a type is so small, and so closed, that it need not be a definition.
fn is_small(value: &Value) -> bool {
    fn count(value: &Value, left: &mut usize) -> bool {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        match value {
            Value::Object(fields) => !fields.contains_key("$ref") && fields.values().all(|field| count(field, left)),
            Value::Array(items) => items.iter().all(|item| count(item, left)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
    let mut left = SMALL;
    count(value, &mut left)
}

/// Whether the value is bytes.
pub(super) fn is_binary(node: Node<'_>) -> bool {
    let bytes = node.text("format") == Some("binary") && node.text("type").is_none_or(|kind| kind == "string");
    let is_text = |media: &str| media.starts_with("text/") || media.contains("json") || media.contains("xml");
    let media = node.text("contentMediaType").is_some_and(|media| !is_text(media));
    bytes || media && node.text("contentEncoding").is_none()
}

const KINDS: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

fn kind(value: &Value) -> Option<Value> {
    let known = |value: &Value| value.as_str().is_some_and(|name| KINDS.contains(&name));
    match value {
        Value::Array(names) => {
            let mut kinds: Vec<Value> = Vec::new();
            for name in names.iter().filter(|name| known(name)) {
                if !kinds.contains(name) {
                    kinds.push(name.clone());
                }
            }
            (!kinds.is_empty() && kinds.len() == names.len()).then_some(Value::Array(kinds))
        }
        Value::String(_) if known(value) => Some(value.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => None,
    }
}

/// The values to choose from, without doubles. Documents that say `string` and list numbers mean texts.
fn choices(value: &Value, of: Node<'_>) -> Option<Value> {
    let listed = value.as_array()?;
    if listed.is_empty() || listed.len() > MOST_CHOICES || !within(value, MOST_OF_CHOICES) || hides(value) {
        return None;
    }
    let texts = of.text("type") == Some("string");
    let mut choices: Vec<Value> = Vec::new();
    for choice in listed {
        let choice = match choice {
            Value::Number(_) | Value::Bool(_) if texts => Value::from(choice.to_string()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                choice.clone()
            }
        };
        if !choices.contains(&choice) {
            choices.push(choice);
        }
    }
    Some(Value::Array(choices))
}

fn is_brief(value: &Value) -> bool {
    !value.is_null() && within(value, MOST_EXAMPLE) && !hides(value)
}

/// Whether a value takes no more than about so many bytes. Looks no further than it has to.
fn within(value: &Value, most: usize) -> bool {
    fn spend(value: &Value, left: &mut usize) -> bool {
        let cost = match value {
            Value::String(text) => text.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => 0,
        };
        let Some(rest) = left.checked_sub(cost + 2) else { return false };
        *left = rest;
        match value {
            Value::Array(items) => items.iter().all(|item| spend(item, left)),
            Value::Object(fields) => fields.iter().all(|(name, field)| {
                let Some(rest) = left.checked_sub(name.len() + 2) else { return false };
                *left = rest;
                spend(field, left)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
    let mut left = most;
    spend(value, &mut left)
}

/// A count, also where it is written `3.0`.
fn whole(value: &Value) -> Option<Value> {
    let float = || value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..9e15).contains(number));
    value.as_u64().map(Value::from).or_else(|| float().map(|number| Value::from(number as u64)))
}

/// One example at most, if it is short and shows nothing that is injected.
fn example(node: Node<'_>, hidden: &Hidden, schema: &mut Map<String, Value>) {
    let listed = node.value.get("examples").and_then(Value::as_array).and_then(|examples| examples.first());
    let example = node.value.get("example").or(listed);
    if let Some(example) = example.filter(|example| is_brief(example) && !hidden.within(example)) {
        schema.insert("examples".to_owned(), json!([example]));
    }
}

/// `exclusiveMinimum: true` beside `minimum` is a number of its own by now.
fn bounds(node: Node<'_>, schema: &mut Map<String, Value>) {
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        if node.is_true(exclusive)
            && let Some(number) = schema.shift_remove(bound)
        {
            schema.insert(exclusive.to_owned(), number);
        }
    }
}

/// A schema that takes `null` too.
fn nullable(mut schema: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(choices)) = schema.get_mut("enum")
        && !choices.contains(&Value::Null)
    {
        choices.push(Value::Null);
    }
    let combined = ["$ref", "allOf", "anyOf", "oneOf", "not", "const"].iter().any(|key| schema.contains_key(*key));
    match schema.get_mut("type") {
        Some(kind @ Value::String(_)) if kind != "null" => {
            *kind = json!([kind.clone(), "null"]);
            schema
        }
        Some(Value::Array(kinds)) => {
            if !kinds.contains(&"null".into()) {
                kinds.push("null".into());
            }
            schema
        }
        Some(_) => schema,
        None if !combined => schema,
        None => {
            let outside: Map<String, Value> = ["title", "description", "default"]
                .iter()
                .filter_map(|key| Some(((*key).to_owned(), schema.shift_remove(*key)?)))
                .collect();
            let mut either = Map::from_iter([("anyOf".to_owned(), json!([schema, { "type": "null" }]))]);
            either.extend(outside);
            either
        }
    }
}

/// A schema that no honest answer breaks: what is there may be null, and nothing has to be there.
pub(super) fn lenient(schema: &mut Value, is_root: bool) {
    let Some(fields) = schema.as_object_mut() else {
        if *schema == Value::Bool(false) {
            *schema = Value::Bool(true);
        }
        return;
    };
    fields.retain(|keyword, _| {
        matches!(
            keyword.as_str(),
            "title" | "description" | "type" | "properties" | "items" | "anyOf" | "allOf" | "$ref" | "$defs" | "format"
        )
    });
    if !is_root && let Some(kind @ Value::String(_)) = fields.get_mut("type") {
        // Numbers and texts are taken for one another too often to hold a service to it.
        if kind != "null" {
            *kind = json!([kind.clone(), "null"]);
        }
    }
    for (keyword, rule) in fields.iter_mut() {
        match (keyword.as_str(), rule) {
            ("properties" | "$defs", Value::Object(inner)) => {
                inner.values_mut().for_each(|inner| lenient(inner, false))
            }
            ("anyOf" | "allOf", Value::Array(inner)) => inner.iter_mut().for_each(|inner| lenient(inner, false)),
            ("items", rule) => lenient(rule, false),
            _ => {}
        }
    }
}
