//! Schemas that a plugin publishes: whatever they say, checking ends, and says what the plain checker says.

use bailiwick_core::schema::{ArgumentSchema, ResultSchema, parse};
use serde_json::Map;

/// Compiles a schema and checks values against it. Says whether it can be used.
pub fn check<'t>(schema: &str, values: impl Iterator<Item = &'t str>) -> bool {
    let arguments = ArgumentSchema::compile(schema, &[], Map::new());
    let result = ResultSchema::compile(schema);
    if let Err(error) = &result {
        assert!(!error.to_string().is_empty());
    }
    let plain = parse(schema).ok().and_then(|schema| jsonschema::options().offline().build(&schema).ok());
    if let Ok(result) = &result {
        assert_eq!(parse(schema).as_ref(), Ok(result.value()), "{schema}");
        assert!(plain.is_some(), "{schema}");
    }
    for text in values {
        if let Ok(arguments) = &arguments {
            // What comes of it is judged elsewhere; here it has to come at all.
            let _ = arguments.prepare(text);
        }
        let (Ok(rule), Some(plain), Ok(value)) = (&result, &plain, parse(text)) else { continue };
        match rule.mismatch(&value) {
            None => assert!(plain.is_valid(&value), "{value} breaks {schema}"),
            Some(reason) if reason.starts_with("it is too ") => {}
            Some(reason) => assert!(!plain.is_valid(&value), "{value} fits {schema}: {reason}"),
        }
    }
    result.is_ok()
}

/// Values that hostile schemas are made for.
const VALUES: [&str; 4] = [
    r#"{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}},"b":["x",1,null,[],{}],"c":"aaaaaaaaaaaaaaaaaaaaaaaaaaaa!"}"#,
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "[1,1.0,\"1\",[1],{\"1\":1},true,null,1e300,-0.0]",
    "null",
];

/// Lines: a schema, and values.
pub fn input(data: &[u8]) {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let (schema, values) = text.split_once('\n').unwrap_or((text, ""));
    check(schema, values.split('\n').take(8).chain(VALUES));
}
