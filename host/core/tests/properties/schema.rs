//! Schemas that a hostile plugin publishes: refused, or checked against in bounded time and stack.

use std::time::{Duration, Instant};

use bailiwick_core::outcome::Code;
use bailiwick_core::schema::{ArgumentSchema, ResultSchema};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::for_all;
use crate::oracle::schema::check;

/// What became of a schema and arguments, within a generous time.
fn outcome(schema: &Value, arguments: &str) -> Result<String, String> {
    let started = Instant::now();
    let compiled = ArgumentSchema::compile(&schema.to_string(), &[], Map::new()).map_err(|error| error.to_string());
    let outcome = compiled.and_then(|compiled| {
        compiled.prepare(arguments).map(|arguments| arguments.text).map_err(|failure| {
            assert!(matches!(failure.code, Code::ArgumentsInvalid | Code::ArgumentsTooLarge));
            failure.message
        })
    });
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    outcome
}

/// `n` definitions that each apply the next one, `times` over, and what the last one says.
fn chain(n: usize, times: usize, last: Value) -> Value {
    let mut definitions = Map::new();
    for at in 0..n {
        let next = json!({ "$ref": format!("#/$defs/d{}", at + 1) });
        definitions.insert(format!("d{at}"), json!({ "anyOf": vec![next; times] }));
    }
    definitions.insert(format!("d{n}"), last);
    json!({"type": "object", "$ref": "#/$defs/d0", "$defs": definitions})
}

fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"x":"#.repeat(depth), "}".repeat(depth))
}

#[test]
fn alternatives_that_double_at_every_step_are_refused_when_they_are_too_many() {
    let refused = outcome(&chain(40, 2, json!({"required": ["x"]})), "{}").unwrap_err();
    assert!(refused.contains("nothing can be checked against it in a reasonable time"), "{refused}");
    let few = outcome(&chain(4, 2, json!({"required": ["x"]})), "{}").unwrap_err();
    assert!(few.contains("is not valid under any of the schemas"), "{few}");
    assert!(outcome(&chain(4, 2, json!({"required": ["x"]})), r#"{"x":1}"#).is_ok());
}

#[test]
fn alternatives_that_double_at_every_level_are_for_shallow_arguments_only() {
    let below = json!({"properties": {"x": {"$ref": "#/$defs/d0"}}, "required": ["x"]});
    let schema = chain(1, 2, below);
    assert!(outcome(&schema, &nested(4)).is_ok());
    let refused = outcome(&schema, &nested(60)).unwrap_err();
    assert_eq!(refused, "the arguments are too much to be checked against this schema");
}

/// A test's thread has 2 MiB of stack, as the host's have.
#[test]
fn no_schema_needs_more_stack_than_there_is() {
    let below = json!({"properties": {"x": {"$ref": "#/$defs/d0"}}, "required": ["y"]});
    let refused = outcome(&chain(100, 1, below.clone()), &nested(90)).unwrap_err();
    assert_eq!(refused, "the arguments are too deep to be checked against this schema");
    assert!(outcome(&chain(1_000, 1, below.clone()), "{}").is_err());
    // The most that is checked: it ends, on this stack, in a build that is not optimised.
    let most = outcome(&chain(4, 1, below), &nested(58)).unwrap_err();
    assert!(most.contains("\"y\" is a required property"), "{most}");
    let results = chain(100, 1, json!({"items": {"$ref": "#/$defs/d0"}}));
    let results = ResultSchema::compile(&results.to_string()).unwrap();
    let value = (0..90).fold(Value::Null, |value, _| json!([value]));
    assert_eq!(results.mismatch(&value).as_deref(), Some("it is too deep to be checked against this schema"));
}

#[test]
fn a_schema_that_applies_itself_is_refused() {
    for schema in [
        json!({"type": "object", "$ref": "#"}),
        json!({"type": "object", "not": {"anyOf": [{"$ref": "#"}]}}),
        json!({"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
    ] {
        let refused = outcome(&schema, "{}").unwrap_err();
        assert!(refused.ends_with("it refers to itself without end"), "{refused}");
    }
    let tree = json!({"type": "object", "properties": {"x": {"$ref": "#"}, "y": {"$ref": "#"}}});
    assert!(outcome(&tree, r#"{"x":{"y":{}},"y":{"x":{"x":{}}}}"#).is_ok());
}

#[test]
fn references_lead_within_the_document_in_one_way_only() {
    for schema in [
        json!({"type": "object", "$ref": "https://json-schema.org/draft/2020-12/schema"}),
        json!({"type": "object", "$ref": "#name", "$anchor": "name"}),
        json!({"type": "object", "$dynamicRef": "#"}),
        json!({"type": "object", "$ref": "#/$defs/a%2fb", "$defs": {"a/b": {}, "a": {"b": {}}}}),
        json!({"type": "object", "properties": {"x": {"$id": "https://a.test/", "$ref": "#/y"}}}),
        json!({"type": "object", "$ref": "#/nowhere"}),
    ] {
        assert!(outcome(&schema, "{}").is_err(), "{schema}");
    }
    let own = json!({"$id": "https://a.test/", "type": "object", "$ref": "#/$defs/a~1b", "$defs": {"a/b": {"required": ["x"]}}});
    assert!(outcome(&own, "{}").is_err() && outcome(&own, r#"{"x":1}"#).is_ok());
}

#[test]
fn a_long_text_is_not_matched_against_a_costly_pattern() {
    let schema =
        |pattern: &str| json!({"type": "object", "properties": {"a": {"pattern": pattern}, "b": {"type": "string"}}});
    let long = "ab".repeat(1 << 20);
    let costly = schema("^[ab]*a[ab]{1000}$");
    let refused = outcome(&costly, &json!({"a": long}).to_string()).unwrap_err();
    assert_eq!(refused, "the arguments are too long a text for the pattern it has to match");
    // The text that has no pattern may be long, and so may one whose pattern is simple.
    assert!(outcome(&costly, &json!({"b": long}).to_string()).is_ok());
    assert!(outcome(&schema("^[ab]*$"), &json!({"a": long}).to_string()).is_ok());
    let hidden = json!({
        "type": "object", "$ref": "#/$defs/x", "properties": {"a": {"allOf": [{"$ref": "#/$defs/y"}]}},
        "$defs": {"x": {"patternProperties": {"^a": {"$ref": "#/$defs/y"}}}, "y": {"pattern": "(ab){900}"}},
    });
    assert!(outcome(&hidden, &json!({"a": long}).to_string()).is_err());
}

/// What an operator might well call: large, flat, and with alternatives.
#[test]
fn large_arguments_of_an_ordinary_schema_are_checked() {
    let row = json!({"type": "object", "properties": {
        "id": {"type": "integer"}, "name": {"type": "string", "maxLength": 80}, "kind": {"enum": ["a", "b", "c"]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "when": {"type": "string", "pattern": "^[0-9-]{10}$"},
    }, "required": ["id"], "additionalProperties": false});
    let schema =
        json!({"type": "object", "properties": {"rows": {"type": "array", "items": row}, "text": {"type": "string"}}});
    let one = json!({"id": 1, "name": "x", "kind": "b", "note": null, "when": "2026-01-31"});
    let rows = |n: usize| json!({"rows": vec![one.clone(); n], "text": "x".repeat(1 << 20)}).to_string();
    assert!(outcome(&schema, &rows(20_000)).is_ok());
    let mut broken: Value = serde_json::from_str(&rows(20_000)).unwrap();
    broken["rows"][19_999]["kind"] = "d".into();
    let refused = outcome(&schema, &broken.to_string()).unwrap_err();
    assert_eq!(refused, "the arguments do not fit, and are too large to say where");
    let mut broken: Value = serde_json::from_str(&rows(2_000)).unwrap();
    broken["rows"][1_999]["kind"] = "d".into();
    assert!(outcome(&schema, &broken.to_string()).unwrap_err().starts_with("`rows[1999].kind`: it is not one of"));
}

/// Small schemas of every keyword, with references that go anywhere.
#[test]
fn what_is_checked_is_what_the_plain_checker_says() {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!(false)),
        Just(json!({"type": "array"})),
        Just(json!({"minimum": 2})),
        Just(json!({"pattern": "a{2,9}$"})),
        Just(json!({"uniqueItems": true})),
        Just(json!({"required": ["a"]})),
        Just(json!({"enum": [1, "1", [], {}]})),
        prop_oneof![Just("#"), Just("#/$defs/a"), Just("#/$defs/b"), Just("#/allOf/0"), Just("#/properties/a")]
            .prop_map(|target| json!({"$ref": target})),
    ];
    let schemas = leaf.prop_recursive(4, 24, 3, |inner| {
        let one = prop_oneof![
            Just("not"),
            Just("if"),
            Just("then"),
            Just("else"),
            Just("items"),
            Just("contains"),
            Just("additionalProperties"),
            Just("propertyNames"),
            Just("unevaluatedProperties"),
            Just("unevaluatedItems"),
        ];
        let many = prop_oneof![Just("allOf"), Just("anyOf"), Just("oneOf"), Just("prefixItems")];
        let named = prop_oneof![Just("properties"), Just("patternProperties"), Just("dependentSchemas"), Just("$defs")];
        prop_oneof![
            (one, inner.clone()).prop_map(|(keyword, schema)| json!({keyword: schema})),
            (many, proptest::collection::vec(inner.clone(), 1..4)).prop_map(|(keyword, list)| json!({keyword: list})),
            (named, inner.clone(), inner).prop_map(|(keyword, a, b)| json!({keyword: {"a": a, "b": b}})),
        ]
    });
    let whole = (schemas.clone(), schemas.clone(), schemas).prop_map(|(first, a, b)| {
        let mut schema = if first.is_object() { first } else { json!({}) };
        schema["$defs"] = json!({"a": a, "b": b});
        schema
    });
    let usable = std::cell::Cell::new(0);
    for_all(2_000, whole, |schema| {
        let values = [r#"{"a":{"a":1},"b":"1"}"#, r#"[1,[1,"aa"],{"a":[]}]"#, "\"aaaa\"", "3"];
        usable.set(usable.get() + u32::from(check(&schema.to_string(), values.into_iter())));
    });
    assert!(usable.get() > 200, "{} can be used", usable.get());
}
