//! A document's text, turned into one JSON value of bounded size, whether it was written as JSON or as YAML.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::yaml;
use crate::redact::{brief, quotable};

/// Bytes of a document. GitHub's has 13 MB.
pub const MAX_DOCUMENT: usize = 32 << 20;
/// Values in a document, what aliases stand for included. GitHub's
/// document has 258,000.
pub const MAX_VALUES: usize = 2_000_000;
/// Objects and lists in one another. GitHub's document goes down to 21.
pub const MAX_DEPTH: usize = 64;

/// How a document is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML 1.2.
    Yaml,
    /// Whatever it looks like: JSON begins with a brace, and everything else is YAML.
    #[default]
    Either,
}

/// Why a document cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Too much of it.
    #[error("the document has {0}; at most {1} are taken")]
    TooLarge(String, usize),
    /// Not what it should be written in.
    #[error("the document cannot be read as {format}: {reason}")]
    Syntax {
        /// `JSON` or `YAML`.
        format: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// Not a description of a service.
    #[error("this is no OpenAPI document: {0}")]
    Not(String),
    /// Nobody says where the service is.
    #[error("OpenAPI spec has no servers[0].url and no baseUrlOverride was provided.")]
    NoServer,
    /// The document says where the service is, but not so that a request could be sent there.
    #[error("`{url}` cannot be the address of the service: {reason}; give its `url`")]
    Server {
        /// What the document says.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Reads a document.
///
/// # Errors
/// It is too large or too deep, cannot be read, or says two things under one name.
pub fn parse(text: &str, format: Format) -> Result<Value, DocumentError> {
    if text.len() > MAX_DOCUMENT {
        return Err(DocumentError::TooLarge(format!("{} bytes", text.len()), MAX_DOCUMENT));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_json = match format {
        Format::Json => true,
        Format::Yaml => false,
        Format::Either => text.trim_start().starts_with('{'),
    };
    if is_json {
        json(text).map_err(|reason| DocumentError::Syntax { format: "JSON", reason })
    } else {
        yaml::parse(text).map_err(|reason| DocumentError::Syntax { format: "YAML", reason })
    }
}

fn json(text: &str) -> Result<Value, String> {
    let values = Cell::new(0);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Bounded { values: &values, depth: 0 };
    let value = seed.deserialize(&mut deserializer).map_err(|error| brief(&error.to_string(), 300))?;
    deserializer.end().map_err(|error| brief(&error.to_string(), 300))?;
    Ok(value)
}

/// Builds a value as long as there is not too much of it.
#[derive(Clone, Copy)]
struct Bounded<'c> {
    values: &'c Cell<usize>,
    depth: usize,
}

impl Bounded<'_> {
    fn inner(self) -> Result<Self, String> {
        if self.depth == MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} objects and lists in one another"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > MAX_VALUES {
            return Err(D::Error::custom(format!("more than {MAX_VALUES} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inner = self.inner().map_err(A::Error::custom)?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.inner().map_err(A::Error::custom)?;
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            match fields.entry(name) {
                Entry::Occupied(entry) => {
                    return Err(A::Error::custom(format!("`{}` is there twice", quotable(entry.key(), 80))));
                }
                Entry::Vacant(entry) => {
                    entry.insert(map.next_value_seed(inner)?);
                }
            }
        }
        Ok(Value::Object(fields))
    }
}
