//! Schemas a provider can hold its model to while it writes arguments. Only a subset of JSON Schema can be; what does not
//! fit is offered without.

use serde_json::{Map, Value, json};

use super::provider::tell;

/// What a provider can hold its model to.
pub(super) struct Subset {
    /// Rules that hold.
    rules: &'static [&'static str],
    /// Formats of texts that hold.
    formats: &'static [&'static str],
    /// Arguments that may be left out are there all the same, with `null`.
    null_for_nothing: bool,
    /// Whether `minItems` may be more than 1.
    any_length: bool,
    /// Whether a type can be several.
    several_types: bool,
    /// Whether a list of values has a type beside it.
    typed_values: bool,
    /// Whether a definition can refer to one.
    recursive: bool,
}

impl Subset {
    /// OpenAI's, as documented for structured outputs.
    pub(super) const OPENAI: Self = Self {
        rules: &[
            "pattern",
            "multipleOf",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "minItems",
            "maxItems",
        ],
        formats: &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"],
        null_for_nothing: true,
        any_length: true,
        several_types: true,
        typed_values: true,
        recursive: true,
    };
    /// Anthropic's, as its client library has it.
    pub(super) const ANTHROPIC: Self = Self {
        rules: &["minItems"],
        formats: &["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"],
        null_for_nothing: false,
        any_length: false,
        several_types: false,
        typed_values: false,
        recursive: false,
    };
}

/// Rules that no subset has: a schema with one of them does not fit.
const FOREIGN: [&str; 24] = [
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependentRequired",
    "dependencies",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "prefixItems",
    "additionalItems",
    "contains",
    "minContains",
    "maxContains",
    "$dynamicRef",
    "$recursiveRef",
    "$dynamicAnchor",
    "$recursiveAnchor",
    "$anchor",
    "$id",
    "id",
];
/// Rules that are told in words where a subset does not have them. The host checks them.
const TOLD: [&str; 14] = [
    "default",
    "pattern",
    "multipleOf",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];
/// Rules of which a schema may have no more than this, all in all.
const MAX_PROPERTIES: usize = 5_000;
const MAX_CHOICES: usize = 1_000;
const MAX_TEXT: usize = 120_000;
const MAX_DEPTH: usize = 10;

/// `schema` within `subset`, if it fits.
pub(super) fn strict(schema: &Value, subset: &Subset) -> Option<Value> {
    let root = schema.as_object()?;
    if ["anyOf", "oneOf", "$ref", "enum", "const"].iter().any(|keyword| root.contains_key(*keyword)) {
        return None;
    }
    Walk { subset, properties: 0, choices: 0, text: 0, root: schema }.schema(schema, Place { depth: 0, mended: true })
}

/// Where in a schema.
#[derive(Clone, Copy)]
struct Place {
    /// Objects and lists around it.
    depth: usize,
    /// Whether the host takes `null` out of arguments here before it checks them. It does not follow references, nor
    /// guess which of several alternatives is meant.
    mended: bool,
}

struct Walk<'s> {
    subset: &'s Subset,
    root: &'s Value,
    properties: usize,
    choices: usize,
    text: usize,
}

impl Walk<'_> {
    fn schema(&mut self, schema: &Value, place: Place) -> Option<Value> {
        let own = schema.as_object()?;
        if place.depth > MAX_DEPTH || own.keys().any(|keyword| FOREIGN.contains(&keyword.as_str())) {
            return None;
        }
        let mut out = Map::new();
        for keyword in ["title", "description"] {
            if let Some(text) = own.get(keyword) {
                out.insert(keyword.to_owned(), text.clone());
            }
        }
        self.definitions(own, &mut out)?;
        if let Some(target) = own.get("$ref") {
            return self.reference(target, own, out);
        }
        match own.get("anyOf").or_else(|| own.get("oneOf")) {
            Some(alternatives) => self.alternatives(alternatives, own, &mut out, place)?,
            None => self.typed(own, &mut out, place)?,
        }
        self.told(own, &mut out);
        Some(Value::Object(out))
    }

    fn definitions(&mut self, own: &Map<String, Value>, out: &mut Map<String, Value>) -> Option<()> {
        for keyword in ["$defs", "definitions"] {
            let Some(definitions) = own.get(keyword) else { continue };
            let mut kept = Map::new();
            for (name, schema) in definitions.as_object()? {
                self.text += name.len();
                kept.insert(name.clone(), self.schema(schema, Place { depth: 1, mended: false })?);
            }
            if !self.subset.recursive && refers(&Value::Object(kept.clone())) {
                return None;
            }
            out.insert(keyword.to_owned(), Value::Object(kept));
        }
        Some(())
    }

    /// A reference stands alone, so words about it go around it.
    fn reference(&self, target: &Value, own: &Map<String, Value>, mut out: Map<String, Value>) -> Option<Value> {
        let path = target.as_str()?.strip_prefix('#')?;
        let names_definition = path.starts_with("/$defs/") || path.starts_with("/definitions/");
        let alone = own.keys().all(|keyword| ["$ref", "title", "description"].contains(&keyword.as_str()));
        if !names_definition || !alone || self.root.pointer(path).is_none() {
            return None;
        }
        let reference = json!({ "$ref": target });
        if out.is_empty() {
            return Some(reference);
        }
        out.insert("anyOf".to_owned(), json!([reference]));
        Some(Value::Object(out))
    }

    fn alternatives(
        &mut self,
        alternatives: &Value,
        own: &Map<String, Value>,
        out: &mut Map<String, Value>,
        place: Place,
    ) -> Option<()> {
        // What is beside alternatives holds for each of them, and there is no way to say that.
        let beside = ["anyOf", "oneOf", "title", "description", "default", "$defs", "definitions"];
        if own.keys().any(|keyword| !beside.contains(&keyword.as_str()))
            || own.contains_key("anyOf") == own.contains_key("oneOf")
        {
            return None;
        }
        let alternatives = alternatives.as_array().filter(|alternatives| !alternatives.is_empty())?;
        let others = alternatives.iter().filter(|alternative| alternative["type"] != "null").count();
        let place = Place { mended: place.mended && others == 1, ..place };
        let kept: Option<Vec<Value>> = alternatives.iter().map(|alternative| self.schema(alternative, place)).collect();
        out.insert("anyOf".to_owned(), kept?.into());
        Some(())
    }

    fn typed(&mut self, own: &Map<String, Value>, out: &mut Map<String, Value>, place: Place) -> Option<()> {
        let listed = own.get("enum").or_else(|| own.get("const"));
        let kinds: Vec<&str> = match own.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) if self.subset.several_types => {
                kinds.iter().map(Value::as_str).collect::<Option<_>>()?
            }
            // A list of texts says its type.
            None if listed.is_some_and(is_texts) => vec!["string"],
            Some(_) | None => return None,
        };
        let kind = match kinds[..] {
            [only] => Value::from(only),
            _ => kinds.clone().into(),
        };
        match listed {
            Some(values) if !self.subset.typed_values => values_are(values, &kinds).then_some(())?,
            Some(_) | None => drop(out.insert("type".to_owned(), kind)),
        }
        self.listed(own, out)?;
        if kinds.contains(&"object") {
            self.object(own, out, place)?;
        }
        if kinds.contains(&"array") {
            let below = Place { depth: place.depth + 1, ..place };
            out.insert("items".to_owned(), self.schema(own.get("items")?, below)?);
        }
        Some(())
    }

    fn listed(&mut self, own: &Map<String, Value>, out: &mut Map<String, Value>) -> Option<()> {
        for keyword in ["enum", "const"] {
            let Some(listed) = own.get(keyword) else { continue };
            let choices = if keyword == "enum" { listed.as_array()?.as_slice() } else { std::slice::from_ref(listed) };
            if choices.is_empty() || choices.iter().any(|choice| choice.is_object() || choice.is_array()) {
                return None;
            }
            self.choices += choices.len();
            self.text += choices.iter().filter_map(Value::as_str).map(str::len).sum::<usize>();
            out.insert(keyword.to_owned(), listed.clone());
        }
        (self.choices <= MAX_CHOICES && self.text <= MAX_TEXT).then_some(())
    }

    fn object(&mut self, own: &Map<String, Value>, out: &mut Map<String, Value>, place: Place) -> Option<()> {
        let closed = own.get("additionalProperties") == Some(&Value::Bool(false));
        let is_root = place.depth == 0 && place.mended;
        let properties = own.get("properties").and_then(Value::as_object);
        let named = properties.is_some_and(|properties| !properties.is_empty());
        // An object without names is one of any shape, but at the root, where there is no other argument to name.
        if own.contains_key("additionalProperties") && !closed || !named && !closed && !is_root {
            return None;
        }
        let required: Vec<&str> =
            own.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut kept = Map::new();
        for (name, property) in properties.into_iter().flatten() {
            self.properties += 1;
            self.text += name.len();
            let below = Place { depth: place.depth + 1, ..place };
            let mut schema = self.schema(property, below)?;
            if self.subset.null_for_nothing && !required.contains(&name.as_str()) && !takes_null(&schema) {
                if !place.mended {
                    return None;
                }
                schema = or_null(schema);
            }
            kept.insert(name.clone(), schema);
        }
        if self.properties > MAX_PROPERTIES
            || self.text > MAX_TEXT
            || required.iter().any(|name| !kept.contains_key(*name))
        {
            return None;
        }
        let names: Vec<Value> = if self.subset.null_for_nothing {
            kept.keys().map(|name| name.as_str().into()).collect()
        } else {
            required.into_iter().map(Value::from).collect()
        };
        out.insert("properties".to_owned(), Value::Object(kept));
        out.insert("required".to_owned(), names.into());
        out.insert("additionalProperties".to_owned(), false.into());
        Some(())
    }

    fn told(&self, own: &Map<String, Value>, out: &mut Map<String, Value>) {
        let holds = |keyword: &str, rule: &Value| {
            self.subset.rules.contains(&keyword)
                && (keyword != "minItems" || self.subset.any_length || rule.as_u64().is_some_and(|least| least <= 1))
        };
        let mut told = Vec::new();
        for keyword in TOLD {
            match own.get(keyword) {
                Some(rule) if holds(keyword, rule) => drop(out.insert(keyword.to_owned(), rule.clone())),
                Some(rule) => told.push((keyword, rule)),
                None => {}
            }
        }
        match own.get("format") {
            Some(format) if format.as_str().is_some_and(|format| self.subset.formats.contains(&format)) => {
                out.insert("format".to_owned(), format.clone());
            }
            Some(format) => told.push(("format", format)),
            None => {}
        }
        tell(out, &told);
    }
}

/// Whether the type of a list of values, or of the only one, says nothing that the values do not.
fn values_are(listed: &Value, kinds: &[&str]) -> bool {
    let is = |value: &Value| {
        kinds.iter().any(|kind| match *kind {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            _ => false,
        })
    };
    listed.as_array().map_or_else(|| is(listed), |values| values.iter().all(is))
}

fn is_texts(listed: &Value) -> bool {
    match listed {
        Value::String(_) => true,
        Value::Array(choices) => !choices.is_empty() && choices.iter().all(Value::is_string),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

fn refers(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.contains_key("$ref") || fields.values().any(refers),
        Value::Array(items) => items.iter().any(refers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn takes_null(schema: &Value) -> bool {
    let named = match &schema["type"] {
        Value::String(kind) => kind == "null",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "null"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    let listed =
        schema["enum"].as_array().is_none_or(|choices| choices.contains(&Value::Null)) && schema.get("const").is_none();
    named && listed || schema["anyOf"].as_array().is_some_and(|alternatives| alternatives.iter().any(takes_null))
}

/// The same or `null`.
fn or_null(mut schema: Value) -> Value {
    let Some(own) = schema.as_object_mut() else { return schema };
    if let Some(Value::Array(alternatives)) = own.get_mut("anyOf") {
        alternatives.push(json!({"type": "null"}));
        return schema;
    }
    if own.contains_key("$ref") || own.contains_key("const") {
        let words: Vec<(String, Value)> =
            ["title", "description"].iter().filter_map(|keyword| own.shift_remove_entry(*keyword)).collect();
        let mut either: Map<String, Value> = words.into_iter().collect();
        either.insert("anyOf".to_owned(), json!([schema, {"type": "null"}]));
        return Value::Object(either);
    }
    if let Some(kinds) = own.get_mut("type") {
        match kinds {
            Value::Array(kinds) if !kinds.contains(&"null".into()) => kinds.push("null".into()),
            Value::Array(_) => {}
            only @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                *only = json!([only.take(), "null"]);
            }
        }
    }
    if let Some(Value::Array(choices)) = own.get_mut("enum")
        && !choices.contains(&Value::Null)
    {
        choices.push(Value::Null);
    }
    schema
}
