//! Schemas that a hostile plugin publishes: whatever they hold, compiling them and judging arguments by them ends soon.

use std::time::{Duration, Instant};

use bailiwick_core::schema::ArgumentSchema;
use serde_json::{Map, Value, json};

/// How long a schema and a call's arguments may take, in a debug build on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// Compiles the schema and judges the arguments; whether they fit, or that the schema is refused.
fn judged(schema: &Value, arguments: &Value) -> Option<bool> {
    let begun = Instant::now();
    let compiled = ArgumentSchema::compile(&schema.to_string(), &[], Map::new());
    let fits = compiled.ok().map(|compiled| compiled.prepare(&arguments.to_string()).is_ok());
    assert!(
        begun.elapsed() < SOON,
        "{:?} for {}",
        begun.elapsed(),
        &schema.to_string()[..200.min(schema.to_string().len())]
    );
    fits
}

/// `$defs` a0 … an, each made of the next by `link`.
fn chain(n: usize, link: impl Fn(&str) -> Value) -> Value {
    let mut defs: Map<String, Value> =
        (0..n).map(|i| (format!("a{i}"), link(&format!("#/$defs/a{}", i + 1)))).collect();
    defs.insert(format!("a{n}"), json!({"type": "object", "required": ["never"]}));
    json!({"type": "object", "allOf": [{"$ref": "#/$defs/a0"}], "$defs": defs})
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({}), |inner, _| json!({ "a": inner }))
}

#[test]
fn references_that_double_at_every_step_do_not_explode() {
    for keyword in ["anyOf", "oneOf", "allOf"] {
        let doubling = chain(40, |next| json!({ keyword: [{"$ref": next}, {"$ref": next}] }));
        assert_ne!(judged(&doubling, &json!({})), Some(true), "{keyword}");
        let deeper = json!({
            "type": "object",
            "properties": {"a": {keyword: [{"$ref": "#"}, {"$ref": "#"}]}},
            "additionalProperties": false,
        });
        assert_ne!(judged(&deeper, &nested(90)), None, "{keyword}");
        assert_eq!(judged(&deeper, &json!({"b": 1})), Some(false), "{keyword}");
        let mut wrong = nested(60);
        for _ in 0..60 {
            wrong = json!({ "a": wrong });
        }
        judged(&deeper, &wrong);
    }
    let negated = chain(40, |next| json!({"not": {"anyOf": [{"$ref": next}, {"$ref": next}]}}));
    judged(&negated, &json!({}));
    let conditional = chain(40, |next| json!({"if": {"$ref": next}, "then": {"$ref": next}, "else": {"$ref": next}}));
    judged(&conditional, &json!({}));
}

#[test]
fn references_in_circles_and_in_long_rows_end() {
    for schema in [
        json!({"type": "object", "$ref": "#"}),
        json!({"type": "object", "allOf": [{"$ref": "#"}]}),
        json!({"type": "object", "anyOf": [{"$ref": "#/anyOf/0"}]}),
        json!({"type": "object", "not": {"$ref": "#"}}),
        json!({"type": "object", "$dynamicAnchor": "x", "allOf": [{"$dynamicRef": "#x"}]}),
        json!({"type": "object", "allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
        json!({"type": "object", "propertyNames": {"$ref": "#"}, "dependentSchemas": {"a": {"$ref": "#"}}}),
        json!({"type": "object", "unevaluatedProperties": {"$ref": "#"}, "anyOf": [{"$ref": "#"}, {"properties": {"a": true}}]}),
    ] {
        judged(&schema, &nested(20));
        judged(&schema, &json!({"a": "x", "b": [1, 2]}));
    }
    for keyword in ["allOf", "anyOf"] {
        judged(&chain(4_000, |next| json!({ keyword: [{"$ref": next}] })), &json!({}));
    }
    judged(&chain(5_000, |next| json!({"$ref": next})), &json!({}));
    judged(&chain(2_000, |next| json!({"not": {"$ref": next}})), &json!({}));
}

#[test]
fn patterns_without_number_take_no_memory_without_measure() {
    let resident = || {
        #[expect(clippy::disallowed_methods, reason = "the kernel knows how much memory a test takes")]
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap() * 4096
    };
    let before = resident();
    for pattern in ["^(\\p{L}{NUMBER})$", "^([^x]{NUMBER}|y)+$", "(a|b|ab){NUMBER}"] {
        let properties: Map<String, Value> = (0..4_000)
            .map(|n| {
                (
                    format!("p{n}"),
                    json!({"pattern": pattern.replace("NUMBER", &(n % 50 + 20).to_string()) + &"a".repeat(n % 7)}),
                )
            })
            .collect();
        let schema = json!({"type": "object", "properties": properties});
        assert!(schema.to_string().len() < 256 << 10);
        judged(&schema, &json!({"p1": "x"}));
        let after = resident();
        println!("{pattern}: {} MiB", after.saturating_sub(before) >> 20);
        assert!(after < before + (200 << 20), "{pattern}: {} MiB", (after - before) >> 20);
    }
    for evil in ["(a+)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*a){30}"] {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": evil}}});
        judged(&schema, &json!({"a": "a".repeat(200_000) + "!"}));
    }
}

#[test]
fn large_lists_and_numbers_are_judged_soon() {
    let items: Vec<Value> = (0..20_000).map(|n| json!({"n": n})).collect();
    let schema = json!({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": true}}});
    assert_eq!(judged(&schema, &json!({ "a": items })), Some(true));
    let choices: Vec<Value> = (0..15_000).map(|n| json!(format!("v{n}"))).collect();
    let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"enum": choices}}}});
    judged(&schema, &json!({"a": vec!["v14999"; 10_000]}));
    let schema = json!({"type": "object", "properties": {"a": {"multipleOf": 1e-300, "maximum": 1e308}}});
    judged(&schema, &json!({"a": 1e307}));
    let contains = json!({"type": "object", "properties": {"a": {"contains": {"contains": {"const": 1}}, "items": {"items": {"type": "integer"}}}}});
    judged(&contains, &json!({"a": vec![vec![0; 300]; 300]}));
}
