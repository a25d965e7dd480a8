//! What the code that `#[plugin]` writes calls. Not an interface: it changes with the macros.

use schemars::generate::{Contract, SchemaSettings};
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Failure;
pub use crate::bindings::exports::bailiwick::tool::context::Guest as ContextGuest;
pub use crate::bindings::exports::bailiwick::tool::tool::Guest;

/// The JSON Schema of what a `T` is read from.
pub fn input_schema<T: JsonSchema>() -> String {
    let mut schema = schema::<T>(Contract::Deserialize);
    LeftOut.transform(&mut schema);
    schema.to_value().to_string()
}

/// The JSON Schema of what a `T` is written as.
pub fn output_schema<T: JsonSchema>() -> String {
    let mut schema = schema::<T>(Contract::Serialize);
    OneType.transform(&mut schema);
    schema.to_value().to_string()
}

/// The schema (2020-12) as the host wants it: one document without `$ref`, `$schema` and `title`.
fn schema<T: JsonSchema>(contract: Contract) -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.contract = contract;
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema.remove("description");
    if schema.get("type").is_some_and(|kind| kind == "object") && schema.get("properties").is_none() {
        schema.insert("properties".to_owned(), Value::Object(Map::new()));
    }
    Tidy.transform(&mut schema);
    schema
}

/// The arguments of a call as a `T`.
pub fn arguments<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        // The position is one in a text the caller never saw.
        let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(before, _)| before);
        if path == "." {
            return Failure::invalid(format!("The arguments do not fit: {reason}."));
        }
        Failure::invalid(format!("The argument `{path}` does not fit: {reason}."))
    })
}

/// The answer to a call of a tool this plugin does not have.
pub fn unknown_tool(name: &str) -> Failure {
    Failure::not_found(format!("This plugin has no tool `{name}`."))
}

/// The answer to a call of a prompt this plugin does not have.
pub fn unknown_prompt(name: &str) -> Failure {
    Failure::not_found(format!("This plugin has no prompt `{name}`."))
}

/// The answer where this plugin does not have a resource.
pub fn unknown_resource(uri: &str) -> Failure {
    Failure::not_found(format!("This plugin has no resource `{uri}`."))
}

/// An argument of a prompt, if it was given.
pub fn given(arguments: &[(String, String)], name: &str) -> Option<String> {
    arguments.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

/// An argument of a prompt that has to be given.
pub fn required(arguments: &[(String, String)], name: &str) -> Result<String, Failure> {
    given(arguments, name).ok_or_else(|| Failure::invalid(format!("The argument `{name}` is missing.")))
}

/// Takes out what schemars adds for Rust and callers cannot use: `"default": null` and `"items": true`, which say nothing
/// (some clients refuse a schema that is not an object), and the formats of Rust's number types, which no standard names
/// and some model providers refuse.
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        if schema.get("items") == Some(&Value::Bool(true)) {
            schema.remove("items");
        }
        if schema.get("format").and_then(Value::as_str).is_some_and(is_rust_number) {
            schema.remove("format");
        }
        transform_subschemas(self, schema);
    }
}

/// Says of what may be left out (an `Option`) only what it is where it is there: a caller leaves it out, `null` is a second
/// word for that. The host takes such a `null` out before it calls, so a guest never meets one.
struct LeftOut;

impl Transform for LeftOut {
    fn transform(&mut self, schema: &mut Schema) {
        let required = schema.get("required").cloned();
        let is_required = |name: &str| {
            required.as_ref().and_then(Value::as_array).is_some_and(|names| names.iter().any(|known| known == name))
        };
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.iter_mut().filter(|(name, _)| !is_required(name)).for_each(|(_, schema)| without_null(schema));
        }
        transform_subschemas(self, schema);
    }
}

/// Says `anyOf` of what may be `null`: some clients take one `type` and no list of them.
struct OneType;

impl Transform for OneType {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(Value::Array(kinds)) = schema.get("type") else { return };
        if schema.get("anyOf").is_none() {
            let either: Vec<Value> = kinds.iter().map(|kind| serde_json::json!({ "type": kind })).collect();
            schema.remove("type");
            schema.insert("anyOf".to_owned(), either.into());
        }
    }
}

/// Takes `null` out of what a schema allows.
fn without_null(schema: &mut Value) {
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    let Some(either) = schema.get_mut("anyOf").and_then(Value::as_array_mut) else { return };
    either.retain(|schema| schema["type"] != "null");
    if either.len() == 1
        && let Some(Value::Object(only)) = either.pop()
        && let Some(schema) = schema.as_object_mut()
    {
        schema.remove("anyOf");
        for (keyword, rule) in only {
            schema.entry(keyword).or_insert(rule);
        }
    }
}

fn is_rust_number(format: &str) -> bool {
    matches!(format, "float" | "double") || format.starts_with("int") || format.starts_with("uint")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What to sort by.
    #[derive(serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema and its errors are looked at")]
    struct Search {
        /// The text.
        text: String,
        n_hits: Option<u32>,
        /// How.
        order: Option<Order>,
        /// Where.
        #[serde(default)]
        folders: Vec<Folder>,
    }

    #[derive(serde::Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        /// The newest first.
        Newest,
        /// The best first.
        Best,
    }

    #[derive(serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema and its errors are looked at")]
    struct Folder {
        path: String,
    }

    #[test]
    fn a_schema_is_one_plain_document() {
        let expected = serde_json::json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "text": { "description": "The text.", "type": "string" },
                "n_hits": { "type": "integer", "minimum": 0 },
                "order": {
                    "description": "How.",
                    "oneOf": [
                        { "description": "The newest first.", "type": "string", "const": "newest" },
                        { "description": "The best first.", "type": "string", "const": "best" },
                    ],
                },
                "folders": {
                    "description": "Where.",
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": { "path": { "type": "string" } },
                        "required": ["path"],
                    },
                },
            },
            "required": ["text"],
        });
        let schema: Value = serde_json::from_str(&input_schema::<Search>()).expect("a schema is JSON");
        assert_eq!(schema, expected);
    }

    #[test]
    fn what_may_be_null_in_a_result_says_so_with_one_type_each() {
        #[derive(serde::Serialize, JsonSchema)]
        struct Found {
            at: Option<u32>,
        }
        let expected = serde_json::json!({
            "type": "object",
            "properties": { "at": { "anyOf": [{ "type": "integer" }, { "type": "null" }], "minimum": 0 } },
            "required": ["at"],
        });
        let schema: Value = serde_json::from_str(&output_schema::<Found>()).expect("a schema is JSON");
        assert_eq!(schema, expected);
    }

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let told = match arguments::<Search>(json) {
            Ok(_) => "fine".to_owned(),
            Err(failure) => format!("{failure:?}"),
        };
        assert_eq!(told, format!("Failure::InvalidArguments({expected:?})"));
    }

    #[test]
    fn a_wrong_argument_is_named() {
        check("{}", "The arguments do not fit: missing field `text`.");
        check(r#"{"text": 3}"#, "The argument `text` does not fit: invalid type: integer `3`, expected a string.");
        let expected = "The argument `folders[0].path` does not fit: invalid type: null, expected a string.";
        check(r#"{"text": "", "folders": [{"path": null}]}"#, expected);
        let expected =
            "The argument `nn` does not fit: unknown field `nn`, expected one of `text`, `n_hits`, `order`, `folders`.";
        check(r#"{"text": "", "nn": 1}"#, expected);
    }
}
