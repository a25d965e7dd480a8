//! Schemas with what a provider refuses taken out of them. They say less than the tool's own, never more: the host checks
//! arguments by the tool's own schema, and a caller is told what is wrong.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// What stands at a schema's root and providers do not take there.
const NOT_AT_ROOT: [&str; 18] = [
    "$schema",
    "$ref",
    "$dynamicRef",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "enum",
    "const",
    "dependentSchemas",
    "dependentRequired",
    "dependencies",
    "unevaluatedProperties",
    "nullable",
    "default",
];
/// References that are followed to find the arguments of a tool; deeper ones add none that a model needs.
const MAX_STEPS: usize = 8;

/// `schema` with an object at its root, as all providers want it: arguments that are in alternatives or conditions are all
/// listed, and only those required that every alternative wants.
pub(super) fn plain_root(schema: &Value) -> Value {
    let own = schema.as_object().cloned().unwrap_or_default();
    let arguments = Arguments::of(schema, schema, 0);
    let mut root = Map::new();
    root.insert("type".to_owned(), "object".into());
    root.insert("properties".to_owned(), Value::Object(arguments.properties));
    if !arguments.required.is_empty() {
        root.insert("required".to_owned(), arguments.required.into());
    }
    for (keyword, rule) in own {
        if !NOT_AT_ROOT.contains(&keyword.as_str()) {
            root.entry(keyword).or_insert(rule);
        }
    }
    Value::Object(root)
}

/// The arguments that an object schema names, wherever it does.
#[derive(Default)]
struct Arguments {
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl Arguments {
    fn of(schema: &Value, root: &Value, steps: usize) -> Self {
        let mut arguments = Self {
            properties: schema["properties"].as_object().cloned().unwrap_or_default(),
            required: texts(&schema["required"]),
        };
        if steps == MAX_STEPS {
            return arguments;
        }
        let below = |schema: &Value| Self::of(schema, root, steps + 1);
        let all = schema["allOf"].as_array().into_iter().flatten();
        for also in all.chain(target(schema, root)) {
            arguments.also(below(also), Must::Stay);
        }
        for either in ["anyOf", "oneOf"].iter().filter_map(|keyword| schema[*keyword].as_array()) {
            let either = either.iter().map(below).reduce(Self::or);
            arguments.also(either.unwrap_or_default(), Must::Stay);
        }
        let conditions = ["then", "else"].iter().filter_map(|keyword| schema.get(*keyword));
        let dependent = schema["dependentSchemas"].as_object().into_iter().flat_map(Map::values);
        for sometimes in conditions.chain(dependent) {
            arguments.also(below(sometimes), Must::Go);
        }
        arguments
    }

    /// Takes over what it does not have.
    fn also(&mut self, other: Self, required: Must) {
        for (name, schema) in other.properties {
            self.properties.entry(name).or_insert(schema);
        }
        if required == Must::Stay {
            let new: Vec<String> = other.required.into_iter().filter(|name| !self.required.contains(name)).collect();
            self.required.extend(new);
        }
    }

    /// Either.
    fn or(mut self, other: Self) -> Self {
        for (name, schema) in other.properties {
            match self.properties.get_mut(&name) {
                None => drop(self.properties.insert(name, schema)),
                Some(own) if *own == schema => {}
                Some(own) => {
                    match own.as_object_mut().and_then(|own| own.get_mut(EITHER)).and_then(Value::as_array_mut) {
                        Some(alternatives) if !alternatives.contains(&schema) => alternatives.push(schema),
                        Some(_) => {}
                        None => *own = json!({ EITHER: [own.take(), schema] }),
                    }
                }
            }
        }
        self.required.retain(|name| other.required.contains(name));
        self
    }
}

const EITHER: &str = "anyOf";

/// Whether what is required in one place is required at all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    Stay,
    Go,
}

/// What `schema` refers to within its own document.
fn target<'s>(schema: &Value, root: &'s Value) -> Option<&'s Value> {
    root.pointer(schema["$ref"].as_str()?.strip_prefix('#')?)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// How Gemini is told of arguments.
pub(super) enum Parameters {
    /// There are none.
    Nothing,
    /// Its own subset of OpenAPI 3.0.
    OpenApi(Value),
    /// JSON Schema, for what does not fit the subset.
    JsonSchema(Value),
}

/// The arguments of a tool for Gemini.
pub(super) fn gemini(schema: &Value) -> Parameters {
    let named = schema["properties"].as_object().is_some_and(|properties| !properties.is_empty());
    let combined = schema.as_object().is_some_and(|schema| schema.keys().any(|key| UNSPEAKABLE.contains(&&**key)));
    match openapi(schema) {
        Some(schema) if named => Parameters::OpenApi(schema),
        Some(_) | None if !named && !combined => Parameters::Nothing,
        Some(_) | None => Parameters::JsonSchema(plain_root(schema)),
    }
}

/// What Gemini's subset has no words for.
const UNSPEAKABLE: [&str; 24] = [
    "$ref",
    "$dynamicRef",
    "$id",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "patternProperties",
    "propertyNames",
    "dependentSchemas",
    "dependentRequired",
    "dependencies",
    "unevaluatedProperties",
    "unevaluatedItems",
    "prefixItems",
    "additionalItems",
    "contains",
    "minContains",
    "maxContains",
    "$recursiveRef",
    "$anchor",
    "oneOf",
    "anyOf",
];
/// What it takes as it is.
const TAKEN: [&str; 11] = [
    "title",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "pattern",
    "minProperties",
    "maxProperties",
    "description",
];
/// What is told in words instead.
const TOLD: [&str; 5] = ["exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems", "default"];
const FORMATS: [&str; 5] = ["date-time", "float", "double", "int32", "int64"];

/// `schema` in Gemini's subset, if it fits.
fn openapi(schema: &Value) -> Option<Value> {
    let (schema, null_too) = without_null(schema)?;
    let schema = schema.as_ref();
    if schema.keys().any(|keyword| UNSPEAKABLE.contains(&keyword.as_str())) {
        return None;
    }
    if schema.get("additionalProperties").is_some_and(|more| *more != false) {
        return None;
    }
    let (kind, null_here) = kind(schema)?;
    let mut out = Map::new();
    out.insert("type".to_owned(), kind.to_uppercase().into());
    if null_too || null_here {
        out.insert("nullable".to_owned(), true.into());
    }
    for keyword in TAKEN {
        if let Some(rule) = schema.get(keyword) {
            out.insert(keyword.to_owned(), rule.clone());
        }
    }
    choices(schema, kind, &mut out)?;
    match kind {
        "object" => object(schema, &mut out)?,
        "array" => {
            out.insert("items".to_owned(), openapi(schema.get("items")?)?);
        }
        _ => {}
    }
    let mut told: Vec<(&str, &Value)> =
        TOLD.iter().filter_map(|keyword| Some((*keyword, schema.get(*keyword)?))).collect();
    match schema.get("format") {
        Some(format) if format.as_str().is_some_and(|format| FORMATS.contains(&format)) => {
            out.insert("format".to_owned(), format.clone());
        }
        Some(format) => told.push(("format", format)),
        None => {}
    }
    tell(&mut out, &told);
    Some(Value::Object(out))
}

/// The one alternative beside `null` with the words around it, and whether there was a `null`.
fn without_null(schema: &Value) -> Option<(Cow<'_, Map<String, Value>>, bool)> {
    let own = schema.as_object()?;
    let Some(alternatives) = own.get("anyOf").or_else(|| own.get("oneOf")) else {
        return Some((Cow::Borrowed(own), false));
    };
    let is_null = |alternative: &&Value| alternative["type"] == "null";
    let mut others = alternatives.as_array()?.iter().filter(|alternative| !is_null(alternative));
    let null_too = alternatives.as_array()?.iter().any(|alternative| is_null(&alternative));
    let (Some(only), None) = (others.next(), others.next()) else { return None };
    let mut only = only.as_object()?.clone();
    for (keyword, rule) in own {
        match keyword.as_str() {
            "anyOf" | "oneOf" => {}
            "title" | "description" | "default" => only.extend([(keyword.clone(), rule.clone())]),
            _ => return None,
        }
    }
    Some((Cow::Owned(only), null_too))
}

/// The one type of a schema, and whether `null` is one too.
fn kind(schema: &Map<String, Value>) -> Option<(&str, bool)> {
    match schema.get("type")? {
        Value::String(kind) if kind != "null" => Some((kind, false)),
        Value::Array(kinds) => {
            let mut others = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            match (others.next(), others.next()) {
                (Some(only), None) => Some((only, kinds.len() > 1)),
                _ => None,
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => None,
    }
}

/// Enumerations are of texts that are not empty.
fn choices(schema: &Map<String, Value>, kind: &str, out: &mut Map<String, Value>) -> Option<()> {
    let listed = match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(choices)), None) => choices.clone(),
        (None, Some(only)) => vec![only.clone()],
        (None, None) => return Some(()),
        (Some(_), _) => return None,
    };
    let nullable = out.contains_key("nullable");
    let listed: Vec<Value> = listed.into_iter().filter(|choice| !(nullable && choice.is_null())).collect();
    let speakable = listed.iter().all(|choice| choice.as_str().is_some_and(|text| !text.is_empty()));
    if kind != "string" || !speakable || listed.is_empty() {
        return None;
    }
    out.insert("enum".to_owned(), listed.into());
    Some(())
}

fn object(schema: &Map<String, Value>, out: &mut Map<String, Value>) -> Option<()> {
    let properties = schema.get("properties")?.as_object().filter(|properties| !properties.is_empty())?;
    let mut shown = Map::new();
    for (name, property) in properties {
        let legal = name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.is_empty();
        shown.insert(name.clone(), legal.then(|| openapi(property)).flatten()?);
    }
    let required = texts(schema.get("required").unwrap_or(&Value::Null));
    if required.iter().any(|name| !shown.contains_key(name)) {
        return None;
    }
    out.insert("properties".to_owned(), Value::Object(shown));
    if !required.is_empty() {
        out.insert("required".to_owned(), required.into());
    }
    Some(())
}

/// Puts rules that a provider has no place for where its model reads them.
pub(super) fn tell(schema: &mut Map<String, Value>, rules: &[(&str, &Value)]) {
    // That nothing stands for nothing need not be said.
    let rules = rules.iter().filter(|(keyword, rule)| *keyword != "default" || !rule.is_null());
    let rules: Vec<String> = rules.map(|(keyword, rule)| format!("{keyword}: {rule}")).collect();
    if rules.is_empty() {
        return;
    }
    let rules = format!("{{{}}}", rules.join(", "));
    let text = match schema.get("description").and_then(Value::as_str) {
        Some(description) if !description.is_empty() => format!("{description}\n\n{rules}"),
        Some(_) | None => rules,
    };
    schema.insert("description".to_owned(), text.into());
}
