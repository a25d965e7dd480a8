//! TypeScript for any schema: bounded, the same every time, and nothing of the schema gets out of where it is put.

use bailiwick_core::code::typescript::{Callable, MAX_SIGNATURE, MAX_TYPE, declarations, identifier, signature};
use bailiwick_core::redact::is_invisible;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{any_of, for_all};

const KEYWORDS: &[&str] = &[
    "type",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "items",
    "prefixItems",
    "additionalItems",
    "minItems",
    "maxItems",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "enum",
    "const",
    "$ref",
    "$defs",
    "description",
    "default",
    "format",
    "pattern",
    "minimum",
    "nullable",
    "a",
    "a-b",
];

const TEXTS: &[&str] = &[
    "object",
    "array",
    "string",
    "integer",
    "null",
    "#",
    "#/$defs/a",
    "#/$defs/a-b",
    "#/properties/a",
    "#/items",
    "*/",
    "/*",
    "//",
    "\"",
    "'",
    "`${",
    "\\",
    "\\u002a/",
    "\n",
    "\r",
    "\u{2028}",
    "\u{202e}",
    "\u{0}",
    "@ts-ignore",
    "} | { [key: string]: unknown",
    "a",
    "",
];

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any_of(TEXTS).prop_map(str::to_owned),
        1 => vec(any_of(TEXTS), 0..5).prop_map(|texts| texts.concat()),
        1 => any::<String>(),
    ]
}

/// Any JSON, most of it nearly a schema.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => texts().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => Just(Value::Null),
        3 => any_of(&["string", "integer", "array", "object", "null"]).prop_map(|kind| json!({ "type": kind })),
        1 => any_of(&["#", "#/$defs/a", "#/$defs/a-b"]).prop_map(|to| json!({ "$ref": to })),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let name = prop_oneof![5 => any_of(KEYWORDS).prop_map(str::to_owned), 1 => texts()];
        prop_oneof![
            1 => vec(inner.clone(), 0..5).prop_map(Value::from),
            4 => vec((name, inner), 0..6).prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// Reads a text as a compiler would, and wants every bracket, string and comment closed.
#[track_caller]
fn check_balance(text: &str) {
    let mut open = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        match first {
            '/' if rest.starts_with("/*") => taken = rest.find("*/").expect("a comment ends") + 2,
            '/' if rest.starts_with("//") => taken = rest.find('\n').unwrap_or(rest.len()),
            '"' => taken = string(rest),
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            '<' => open.push('>'),
            ')' | ']' | '}' | '>' => assert_eq!(open.pop(), Some(first), "{rest}"),
            _ => {
                let is_plain = first.is_ascii_alphanumeric() || " \n;:?|&,._$=+-/".contains(first);
                assert!(is_plain, "{first:?} is outside of strings and comments: {rest}");
            }
        }
        let is_order = first == '/' && rest[..taken].contains("@ts-");
        assert!(!is_order, "a comment tells the compiler something: {rest}");
        rest = &rest[taken..];
    }
    assert!(open.is_empty(), "{open:?} is missing in {text}");
}

/// The length of the string with which `text` begins.
#[track_caller]
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '\n' => break,
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = letter == '\\' && !is_escaped,
        }
    }
    panic!("a string does not end: {text}");
}

#[track_caller]
fn check(name: &str, description: &str, input: &Value, output: &Value) {
    let tool = Callable { name, description, input, output: Some(output) };
    let text = declarations(&[tool, tool]);
    assert_eq!(text, declarations(&[tool, tool]));
    check_balance(&text);
    assert!(!text.chars().any(is_invisible), "{text:?}");
    assert!(text.len() <= 4 * MAX_TYPE + 4 * description.len() + 6 * name.len() + 4_000, "{} bytes", text.len());
    let line = signature(&tool);
    check_balance(&line);
    assert!(!line.contains('\n'), "{line}");
    assert!(line.len() <= 4 * MAX_SIGNATURE + description.len() + name.len() + 500, "{} bytes", line.len());
}

#[test]
fn whatever_a_schema_holds_it_is_a_text_of_bounded_length() {
    for_all(10_000, (texts(), texts(), values(), values()), |(name, description, input, output)| {
        check(&name, &description, &input, &output);
    });
}

#[test]
fn many_times_the_same_schema_is_a_text_of_bounded_length() {
    for_all(300, (values(), texts(), 1_usize..500), |(schema, name, n)| {
        let properties = (0..n).map(|i| (format!("{name}{i}"), schema.clone())).collect::<Map<_, _>>();
        let input = json!({"properties": properties, "$defs": {"a": schema, "a-b": {"items": schema}}});
        let output = json!({ "anyOf": vec![schema; n] });
        check("t", "", &input, &output);
    });
}

#[test]
fn every_name_is_a_method() {
    for_all(10_000, texts(), |name| {
        let method = identifier(&name);
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        assert!(method.chars().all(is_plain) && method.starts_with(|first: char| !first.is_ascii_digit()), "{method}");
        assert_eq!(identifier(&method), method);
    });
}
