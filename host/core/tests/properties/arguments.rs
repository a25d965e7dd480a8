//! Arguments: nothing invented, nothing unchecked, and what the operator sets wins.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::oracle::arguments::{Case, check, judge};
use crate::{Tally, any_of, for_all};

const NAMES: &[&str] = &["path", "limit", "deep", "tags", "key", "a/b", "~x", "n\u{202e}", ""];

fn texts() -> impl Strategy<Value = String> {
    let known = any_of(&[
        "",
        "5",
        "-3",
        "2.5",
        "3.0",
        "true",
        "false",
        "null",
        " 7 ",
        "[]",
        "[1]",
        "{}",
        "{\"path\":\"5\"}",
        "1e3",
        "+5",
        "12345678901234567890",
        "123456789012345678901234567890",
        "0.1",
        "nan",
        "Infinity",
        "canary-text",
        "\"x\"",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "[ -~]{0,10}", 1 => "[\\PC\u{1b}\u{202e}\n]{0,4}"]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => texts().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => (-9_i64..9).prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => (-9_i32..9).prop_map(|number| Value::from(f64::from(number))),
        1 => any::<f64>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), vec((any_of(NAMES), inner), 0..4).prop_map(object),]
    })
}

fn object(fields: Vec<(&'static str, Value)>) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

fn schemas() -> impl Strategy<Value = Value> {
    let kinds = any_of(&["string", "integer", "number", "boolean", "array", "object", "null"]);
    let leaf = prop_oneof![
        6 => kinds.clone().prop_map(|kind| json!({ "type": kind })),
        2 => (kinds.clone(), kinds.clone()).prop_filter("two kinds", |(a, b)| a != b).prop_map(|(a, b)| json!({"type": [a, b]})),
        1 => Just(json!({})),
        1 => Just(json!({"type": "integer", "minimum": 1, "maximum": 100})),
        1 => Just(json!({"type": "string", "pattern": "^[a-z/]+$", "maxLength": 8})),
        1 => Just(json!({"enum": ["5", 5, true, null]})),
        1 => Just(json!({"const": 3})),
        1 => Just(json!({"$ref": "#/$defs/flag"})),
        1 => (kinds.clone(), kinds).prop_map(|(a, b)| json!({"anyOf": [{"type": a}, {"type": b}, {"$ref": "#/$defs/flag"}]})),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|items| json!({"type": "array", "items": items})),
            (vec((any_of(NAMES), inner), 0..4), vec(any_of(NAMES), 0..2), 0_u8..4).prop_map(
                |(properties, required, keyword)| {
                    let mut schema = json!({"type": "object", "properties": object(properties)});
                    let required: std::collections::BTreeSet<_> = required.into_iter().collect();
                    match keyword {
                        0 => schema["required"] = required.into_iter().collect(),
                        1 => schema["additionalProperties"] = false.into(),
                        2 => schema["minProperties"] = 1.into(),
                        _ => schema["required"] = json!([]),
                    }
                    schema
                }
            ),
        ]
    })
}

/// A schema for an object, what is injected, a rule of the operator's, and arguments that may fit.
fn cases() -> impl Strategy<Value = (Value, Value, Option<Value>, Vec<Value>)> {
    let properties = vec((any_of(NAMES), schemas()), 1..5).prop_map(object);
    let schema = (properties, any::<bool>(), proptest::sample::subsequence(NAMES, 0..3)).prop_map(
        |(properties, closed, required)| {
            json!({
                "type": "object", "properties": properties, "additionalProperties": !closed, "required": required,
                "$defs": {"flag": {"type": ["boolean", "null"]}},
            })
        },
    );
    let inject = vec((any_of(NAMES), values()), 0..3).prop_map(object);
    let overlay = proptest::option::of(
        (any_of(NAMES), schemas())
            .prop_map(|(name, rule)| json!({"properties": {name: rule}, "maxProperties": 6, "$defs": {"flag": true}})),
    );
    let arguments = vec(vec((any_of(NAMES), values()), 0..5).prop_map(object), 8);
    (schema, inject, overlay, arguments)
}

#[test]
fn what_a_tool_gets_is_what_was_written_and_fits() {
    let tally = Tally::default();
    for_all(1_500, cases(), |(schema, inject, overlay, arguments)| {
        let overlay = overlay.map(|overlay| overlay.to_string()).unwrap_or_default();
        let case = Case::read(&schema.to_string(), &inject.to_string(), &overlay).unwrap();
        let texts: Vec<String> = arguments.iter().map(Value::to_string).collect();
        tally.add(check(&case, texts.iter().map(String::as_str)));
    });
    tally.expect(8_000, 20);
}

#[test]
fn texts_that_are_no_json_are_answered() {
    for_all(2_000, vec("[\\[\\]{}\",:0-9a-z\\\\\u{1b} -]{0,24}", 8), |texts| {
        judge(format!("{{\"type\":\"object\"}}\n{{\"key\":\"canary-inject\"}}\n\n{}", texts.join("\n")).as_bytes());
    });
}

#[track_caller]
fn prepared(schema: &Value, inject: &Value, text: &str) -> String {
    let inject = inject.as_object().unwrap().clone();
    let compiled = bailiwick_core::schema::ArgumentSchema::compile(&schema.to_string(), &[], inject).unwrap();
    compiled.prepare(text).map_or_else(|failure| failure.message, |arguments| arguments.text)
}

/// Found by the properties above; each would break one of them again.
#[test]
fn arguments_that_fit_are_not_mended() {
    let schema = json!({
        "type": "object", "minProperties": 2, "$defs": {"text": {"type": "string"}},
        "properties": {"a": {}, "b": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/text"}]}, "n": {"type": "number"}},
    });
    for text in [r#"{"a":null,"n":3.0}"#, r#"{"b":"5","n":3.0}"#] {
        assert_eq!(prepared(&schema, &json!({}), text), text);
    }
}

#[test]
fn no_digit_of_a_number_is_lost() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "number"}, "i": {"type": "integer"}}});
    let mended = prepared(&schema, &json!({}), r#"{"n":"12345678901234567890","i":"12345678901234567890"}"#);
    assert_eq!(mended, r#"{"n":12345678901234567890,"i":12345678901234567890}"#);
    let refused = prepared(&schema, &json!({}), r#"{"n":"123456789012345678901234567890"}"#);
    assert!(refused.starts_with("`n`: it is not of type \"number\""), "{refused}");
}

#[test]
fn an_injected_value_is_in_no_message_whatever_its_name() {
    let schema = json!({"type": "object", "properties": {"a/b": {"type": "integer"}, "~": {"type": "integer"}}});
    for name in ["a/b", "~"] {
        let refused = prepared(&schema, &json!({ name: "canary-inject" }), "{}");
        assert_eq!(refused, format!("the operator's `inject` sets `{name}` to something this tool does not take"));
    }
}
