//! What a provider is shown of a tool: it takes all that the tool takes, and what a model writes that is held to it, the
//! tool takes.

use bailiwick_core::dialect::calls::read;
use bailiwick_core::dialect::{Format, MAX_DESCRIPTION, Offered, Strict, definition};
use bailiwick_core::registry::Annotations;
use bailiwick_core::schema::ArgumentSchema;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{Tally, any_of, for_all};

const NAMES: &[&str] = &["path", "limit", "deep", "tags", "a-b", "2nd", "$x", "n\u{e4}me"];

fn object(fields: Vec<(&'static str, Value)>) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => any_of(&["string", "integer", "number", "boolean", "null"]).prop_map(|kind| json!({ "type": kind })),
        1 => Just(json!({"type": ["string", "null"]})),
        1 => Just(json!({"type": ["integer", "string"]})),
        1 => Just(json!({"type": "string", "enum": ["a", "b"]})),
        1 => Just(json!({"type": ["string", "null"], "enum": ["a", null]})),
        1 => Just(json!({"const": "a"})),
        1 => Just(json!({"enum": ["a", 5, null]})),
        1 => Just(json!({"type": "integer", "minimum": 0, "exclusiveMaximum": 6, "default": 3})),
        1 => Just(json!({"type": "string", "minLength": 1, "pattern": "^[a-z]*$", "format": "uri", "description": "A."})),
        1 => Just(json!({"$ref": "#/$defs/point"})),
        1 => Just(json!({"anyOf": [{"$ref": "#/$defs/point"}, {"type": "null"}], "description": "Or none."})),
        1 => Just(json!({})),
        1 => Just(json!(true)),
        1 => Just(json!({"type": "string", "not": {"const": "x"}})),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            2 => inner.clone().prop_map(|items| json!({"type": "array", "items": items, "minItems": 1})),
            2 => inner.clone().prop_map(|other| json!({"anyOf": [other, {"type": "null"}]})),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"oneOf": [a, b]})),
            4 => (vec((any_of(NAMES), inner), 0..4), vec(any_of(NAMES), 0..2), 0_u8..5).prop_map(
                |(properties, required, closed)| closing(json!({"type": "object", "properties": object(properties)}), &required, closed)
            ),
        ]
    })
}

/// Requires what of `names` there is, and says one thing or another of the rest.
fn closing(mut schema: Value, names: &[&str], closed: u8) -> Value {
    let there = names.iter().filter(|name| schema["properties"].get(**name).is_some());
    let there: std::collections::BTreeSet<&str> = there.copied().collect();
    schema["required"] = there.into_iter().collect();
    match closed {
        0 => schema["additionalProperties"] = true.into(),
        1 => schema["additionalProperties"] = json!({"type": "string"}),
        2 | 3 => schema["additionalProperties"] = false.into(),
        _ => {}
    }
    schema
}

fn tools() -> impl Strategy<Value = Value> {
    let root = (vec((any_of(NAMES), schemas()), 0..5), vec(any_of(NAMES), 0..3), 0_u8..5);
    (root, 0_u8..8).prop_map(|((properties, required, closed), more)| {
        let mut schema = closing(json!({"type": "object", "properties": object(properties)}), &required, closed);
        schema["$defs"] =
            json!({"point": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}});
        if more == 0 {
            schema["$defs"]["point"]["required"] = json!([]);
        }
        schema
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => any_of(&["", "a", "b", "x", "5", "true"]).prop_map(Value::from),
        3 => (-1_i64..7).prop_map(Value::from),
        1 => Just(json!(1.5)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!({"x": 1})),
        1 => Just(json!({})),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![vec(inner.clone(), 0..3).prop_map(Value::from), vec((any_of(NAMES), inner), 0..3).prop_map(object)]
    })
}

fn shown(schema: &Value, format: Format, how: Strict) -> Value {
    let description = "d".repeat(2_000);
    let tool = Offered {
        name: "9-tool",
        title: None,
        description: &description,
        not_configured: Some("why"),
        input: schema,
        output: None,
        annotations: Annotations::default(),
    };
    definition(format, &tool, how)
}

/// Gemini's subset of OpenAPI as JSON Schema. Panics at a word that is not in it.
fn from_openapi(schema: &Value) -> Value {
    let mut out = Map::new();
    for (keyword, rule) in schema.as_object().expect("an object") {
        match keyword.as_str() {
            "type" => drop(out.insert("type".to_owned(), rule.as_str().expect("one type").to_lowercase().into())),
            "nullable" | "format" | "title" | "description" => {}
            "items" => drop(out.insert("items".to_owned(), from_openapi(rule))),
            "properties" => {
                let properties = rule.as_object().expect("an object");
                assert!(!properties.is_empty());
                for name in properties.keys() {
                    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name}");
                }
                let properties: Map<String, Value> =
                    properties.iter().map(|(name, schema)| (name.clone(), from_openapi(schema))).collect();
                out.insert("properties".to_owned(), properties.into());
            }
            "enum" | "required" | "minimum" | "maximum" | "minItems" | "maxItems" | "minLength" | "maxLength"
            | "pattern" | "minProperties" | "maxProperties" => drop(out.insert(keyword.clone(), rule.clone())),
            other => panic!("Gemini has no `{other}`: {schema}"),
        }
    }
    Value::Object(out)
}

fn or_null(openapi: &Value, schema: Value) -> Value {
    if openapi["nullable"] == true { json!({"anyOf": [schema, {"type": "null"}]}) } else { schema }
}

/// The same, `null` where it may be.
fn gemini_schema(openapi: &Value) -> Value {
    let mut schema = from_openapi(openapi);
    if let Some(items) = openapi.get("items") {
        schema["items"] = gemini_schema(items);
    }
    for (name, property) in openapi["properties"].as_object().into_iter().flatten() {
        schema["properties"][name] = gemini_schema(property);
    }
    or_null(openapi, schema)
}

/// Rules that OpenAI's strict form has; each object closed, each of its fields required.
fn check_strict(schema: &Value) {
    let known = [
        "type",
        "title",
        "description",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "anyOf",
        "enum",
        "const",
        "$ref",
        "$defs",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minItems",
        "maxItems",
    ];
    let fields = schema.as_object().expect("an object");
    for keyword in fields.keys() {
        assert!(known.contains(&keyword.as_str()), "`{keyword}` in {schema}");
    }
    if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
        let names: Vec<&String> = properties.keys().collect();
        assert_eq!((&schema["required"], &schema["additionalProperties"]), (&json!(names), &json!(false)));
    }
    let below = ["properties", "$defs"].iter().filter_map(|keyword| fields.get(*keyword)?.as_object());
    below.flat_map(Map::values).for_each(check_strict);
    fields
        .get("items")
        .into_iter()
        .chain(fields.get("anyOf").and_then(Value::as_array).into_iter().flatten())
        .for_each(check_strict);
}

/// What a model writes that is held to a strict schema and means `value`: `null` for what is left out. None where the
/// schema has no words for a field.
fn strictly(value: &Value, schema: &Value, root: &Value) -> Option<Value> {
    if let Some(path) = schema["$ref"].as_str() {
        return strictly(value, root.pointer(path.strip_prefix('#')?)?, root);
    }
    if let Some(alternatives) = schema["anyOf"].as_array() {
        let fits = |alternative: &&Value| {
            let alone = json!({"$defs": root["$defs"], "anyOf": [alternative]});
            strictly(value, alternative, root).is_some_and(|value| {
                jsonschema::options().offline().build(&alone).is_ok_and(|rule| rule.is_valid(&value))
            })
        };
        return strictly(value, alternatives.iter().find(fits)?, root);
    }
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object()?;
            if fields.keys().any(|name| !properties.contains_key(name)) {
                return None;
            }
            let field = |(name, schema): (&String, &Value)| {
                let value = fields.get(name).map_or(Some(Value::Null), |value| strictly(value, schema, root));
                Some((name.clone(), value?))
            };
            properties.iter().map(field).collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        Value::Array(items) => items.iter().map(|item| strictly(item, &schema["items"], root)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.clone()),
    }
}

fn takes(schema: &Value, value: &Value) -> bool {
    let rule = jsonschema::options().offline().build(schema).unwrap_or_else(|error| panic!("{error}: {schema}"));
    rule.is_valid(value)
}

#[test]
fn a_provider_is_shown_all_that_a_tool_takes_and_a_tool_takes_what_a_strict_model_writes() {
    let (tally, held, subset) = (Tally::default(), Tally::default(), Tally::default());
    for_all(1_000, (tools(), vec(vec((any_of(NAMES), values()), 0..4).prop_map(object), 6)), |(schema, arguments)| {
        let Ok(compiled) = ArgumentSchema::compile(&schema.to_string(), &[], Map::new()) else { return };
        let input = compiled.visible();
        let plain = shown(input, Format::OpenAi, Strict::Never)["function"]["parameters"].clone();
        let strict = shown(input, Format::OpenAiResponses, Strict::Auto);
        let is_strict = strict["strict"] == true;
        held.add(if is_strict { (1, 0) } else { (0, 1) });
        if is_strict {
            check_strict(&strict["parameters"]);
        }
        let gemini = shown(input, Format::Gemini, Strict::Auto);
        let gemini_rule = match (gemini.get("parameters"), gemini.get("parametersJsonSchema")) {
            (Some(openapi), None) => gemini_schema(openapi),
            (None, Some(schema)) => schema.clone(),
            _ => json!({"type": "object"}),
        };
        subset.add(if gemini.get("parameters").is_some() { (1, 0) } else { (0, 1) });
        for value in &arguments {
            let fits = takes(input, value);
            tally.add(if fits { (1, 0) } else { (0, 1) });
            if !fits {
                continue;
            }
            assert!(takes(&plain, value), "{value} fits {input} and not {plain}");
            assert!(takes(&gemini_rule, value), "{value} fits {input} and not {gemini_rule}");
            let rule = &strict["parameters"];
            if let Some(written) = is_strict.then(|| strictly(value, rule, rule)).flatten()
                && takes(rule, &written)
            {
                let prepared = compiled.prepare(&written.to_string());
                assert!(prepared.is_ok(), "{written} for {value} fits {rule} and not {input}: {prepared:?}");
            }
        }
    });
    tally.expect(5_000, 50);
    // Most generated schemas have something in them that a provider has no words for.
    held.expect(900, 500);
    subset.expect(900, 500);
}

#[test]
fn every_definition_is_one_its_provider_takes() {
    for_all(400, tools(), |schema| {
        for (format, at) in [
            (Format::OpenAi, "/function"),
            (Format::OpenAiResponses, ""),
            (Format::Anthropic, ""),
            (Format::Gemini, ""),
        ] {
            for how in [Strict::Auto, Strict::Always, Strict::Never] {
                let shown = shown(&schema, format, how);
                let body = shown.pointer(at).expect("it is there");
                assert!(body["description"].as_str().is_some_and(|text| text.chars().count() <= MAX_DESCRIPTION));
                assert_eq!(format.tool(body["name"].as_str().expect("a name")), "9-tool");
                let schema =
                    ["parameters", "input_schema", "parametersJsonSchema"].iter().find_map(|key| body.get(*key));
                let schema = schema.unwrap_or(&Value::Null);
                for forbidden in ["$schema", "$ref", "allOf", "anyOf", "oneOf", "not", "enum", "if"] {
                    assert!(schema.get(forbidden).is_none(), "`{forbidden}` at the root of {schema}");
                }
            }
        }
    });
}

#[test]
fn calls_are_read_or_refused_whatever_they_are() {
    let words = any_of(&[
        "tool_calls",
        "output",
        "content",
        "parts",
        "choices",
        "message",
        "function",
        "id",
        "type",
        "tool_use",
        "name",
    ]);
    let leaf = prop_oneof![words.clone().prop_map(Value::from), Just(Value::Null), Just(json!(1)), Just(json!("{}"))];
    let bodies = leaf.prop_recursive(5, 24, 3, move |inner| {
        prop_oneof![vec(inner.clone(), 0..3).prop_map(Value::from), vec((words.clone(), inner), 0..4).prop_map(object)]
    });
    for_all(2_000, bodies, |body| {
        let _ = read(&body.to_string(), None);
    });
}
