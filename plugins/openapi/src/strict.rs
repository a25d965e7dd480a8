//! JSON that every reader reads alike: no two fields of an object have one name, and it is not too deep to be read.

use std::collections::HashSet;
use std::fmt;

use bailiwick_sdk::serde_json;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Whether a body is such JSON. What is not is text: the host takes nothing else for structured.
pub(crate) fn is_json(body: &[u8]) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    Strict.deserialize(&mut deserializer).is_ok() && deserializer.end().is_ok()
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _value: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _value: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _value: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _value: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _value: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Strict)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            fields.next_value_seed(Strict)?;
            if !names.insert(name) {
                return Err(A::Error::custom("a field is there twice"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_read_differently_is_text() {
        for json in ["{}", " [1, null, \"a\"] ", "{\"a\": {\"b\": 1}, \"b\": 1}", "-1.5e3", "\"\\u00e9\""] {
            assert!(is_json(json.as_bytes()), "{json}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in ["", "{", "{} {}", "[1,]", "NaN", "{\"a\": 1, \"\\u0061\": 2}", "\"\\ud800\"", "\u{feff}{}", &deep]
        {
            assert!(!is_json(text.as_bytes()), "{text}");
        }
        assert!(!is_json(b"\"\xff\""));
    }
}
