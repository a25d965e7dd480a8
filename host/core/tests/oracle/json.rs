//! JSON is read as everyone reads it, less what is read differently elsewhere: two fields of one name.

use std::fmt;

use bailiwick_core::schema::parse;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// How many fields a text writes, those of the same name included.
struct Written(usize);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Counter)
    }
}

struct Counter;

impl<'de> Visitor<'de> for Counter {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Written, E> {
        Ok(Written(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Written, E> {
        Ok(Written(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Written, E> {
        Ok(Written(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Written, E> {
        Ok(Written(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Written, E> {
        Ok(Written(0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Written, E> {
        Ok(Written(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Written, A::Error> {
        let mut written = 0;
        while let Some(Written(inner)) = items.next_element()? {
            written += inner;
        }
        Ok(Written(written))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Written, A::Error> {
        let mut written = 0;
        while let Some((_, Written(inner))) = fields.next_entry::<String, Written>()? {
            written += 1 + inner;
        }
        Ok(Written(written))
    }
}

/// How many fields a value has.
fn kept(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(kept).sum(),
        Value::Object(fields) => fields.len() + fields.values().map(kept).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Compares with what `serde_json` reads.
pub fn check(text: &str) -> bool {
    let read = parse(text);
    match serde_json::from_str::<Value>(text) {
        Err(_) => assert!(read.is_err(), "{text:?} is no JSON"),
        Ok(value) => {
            let Written(written) = serde_json::from_str(text).expect("it was read before");
            if written == kept(&value) {
                assert_eq!(read.as_ref(), Ok(&value), "{text:?}");
            } else {
                let reason = read.as_ref().expect_err("a field is there twice");
                assert!(reason.contains("is there twice"), "{text:?}: {reason}");
            }
        }
    }
    read.is_ok()
}

/// Any text.
pub fn input(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
}
