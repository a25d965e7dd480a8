//! Schemas of all sorts as TypeScript: what is written for them, and that it stays small.
//!
//! `UPDATE=1 cargo test -p bailiwick-core --test typescript` writes the expected files anew: read the difference. That a
//! compiler takes them is seen in `tests/typescript.rs`.
#![expect(clippy::disallowed_methods, reason = "tests read their cases")]

use std::fs;
use std::path::{Path, PathBuf};

use bailiwick_core::code::typescript::{Callable, MAX_TYPE, declarations, signature};
use serde_json::{Map, Value, json};

fn cases(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/typescript").join(name)
}

fn callable(tool: &Value) -> Callable<'_> {
    let text = |key: &str| tool[key].as_str().unwrap_or_default();
    Callable {
        name: text("name"),
        description: text("description"),
        input: &tool["inputSchema"],
        output: tool.get("outputSchema"),
    }
}

#[track_caller]
fn compare(name: &str, actual: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(cases(name), actual).expect("it can be written");
        return;
    }
    let expected = fs::read_to_string(cases(name)).unwrap_or_default();
    assert_eq!(actual, expected, "{name} is not as expected; UPDATE=1 writes it anew");
}

#[test]
fn every_schema_is_written_as_expected() {
    let text = fs::read_to_string(cases("tools.json")).expect("it is there");
    let tools: Vec<Value> = serde_json::from_str(&text).expect("it is JSON");
    let tools: Vec<Callable<'_>> = tools.iter().map(callable).collect();
    assert!(tools.len() > 60);
    compare("tools.ts", &declarations(&tools));
    compare("signatures.txt", &tools.iter().map(|tool| signature(tool) + "\n").collect::<String>());
}

/// So many properties, or definitions, or whatever else has names.
fn each(n: usize, make: impl Fn(usize) -> Value) -> Value {
    (0..n).map(|i| (format!("n{i}"), make(i))).collect::<Map<_, _>>().into()
}

fn nested(depth: usize, inner: Value, around: impl Fn(Value) -> Value) -> Value {
    (0..depth).fold(inner, |inner, _| around(inner))
}

/// Schemas that would be a long text, or take long to write.
fn large() -> Vec<Value> {
    let refers = |to: usize| json!({"$ref": format!("#/$defs/n{to}")});
    let wide = |names: usize| json!({ "enum": (0..names).map(|i| format!("name {i}")).collect::<Vec<_>>() });
    vec![
        json!({"properties": each(5_000, |_| json!({"type": "string", "description": "d".repeat(400)}))}),
        json!({"properties": each(5_000, |i| json!({ "properties": each(i % 9, |_| json!({"type": "null"})) }))}),
        json!({"properties": each(300, |_| wide(300))}),
        json!({"properties": each(2_000, refers), "$defs": each(2_000, |_| wide(30))}),
        json!({"properties": each(200, |_| nested(90, json!({}), |inner| json!({"properties": {"x": inner}})))}),
        json!({"items": nested(90, json!({}), |inner| json!({"items": inner}))}),
        json!({"anyOf": (0..20_000).map(|i| json!({ "const": i })).collect::<Vec<_>>()}),
        json!({"prefixItems": vec![json!({"type": "string"}); 50_000]}),
        json!({"required": (0..20_000).map(|i| format!("r{i}")).collect::<Vec<_>>()}),
        json!({"patternProperties": each(20_000, |i| json!({ "const": i }))}),
        json!({"type": vec!["object"; 20_000], "properties": each(30, |_| json!({}))}),
        json!({"properties": {"x".repeat(100_000): {}, "y": {"const": "z".repeat(100_000)}}}),
        json!({"$ref": "#/$defs/n0", "$defs": each(3_000, |i| json!({"anyOf": [refers(i + 1), refers(i + 1)]}))}),
        json!({"$ref": "#/$defs/n0", "$defs": each(3_000, |i| json!({"allOf": vec![refers((i * 7 + 1) % 3_000); 3]}))}),
        json!({"properties": each(30, refers), "$defs": each(30, |_| json!({"properties": each(30, refers)}))}),
    ]
}

#[test]
fn large_schemas_are_small_types() {
    for (index, schema) in large().into_iter().enumerate() {
        let tool = Callable { name: "large", description: "", input: &schema, output: Some(&schema) };
        let text = declarations(&[tool]);
        assert!(text.len() <= 2 * MAX_TYPE + 2_000, "{index}: {} bytes", text.len());
        let line = signature(&tool);
        assert!(line.len() <= 2_000, "{index}: {line}");
    }
}
