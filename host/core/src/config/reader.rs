//! Reads TOML into tables of typed values that know where they stand, and notes every mistake on the way.
//!
//! A table is written once, with [`table!`]: the keys it reads, the keys it calls legal and the keys of the JSON Schema
//! are the same list. Nothing here knows what a key means; that is [`super::plugin`] and [`super`].

use std::ops::Range;
use std::time::Duration;

use serde_json::{Map as JsonMap, Value as Json, json};
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::mistake::{Flaw, Lines, Mistake, Place, code};
use super::variables;
use crate::grant::limit::{DURATION_UNITS, SIZE_UNITS, Size, parse_duration, parse_size};

/// Looks up a variable of the environment, which core itself does not read.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What reading needs beside the value: where things are, what variables hold, what went wrong so far.
pub(super) struct Reading<'a> {
    lines: Lines<'a>,
    env: Env<'a>,
    mistakes: Vec<Mistake>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(text: &'a str, env: Env<'a>) -> Self {
        Self { lines: Lines::of(text), env, mistakes: Vec::new() }
    }

    pub(super) fn place(&self, span: Range<usize>) -> Place {
        self.lines.place(span)
    }

    pub(super) fn note(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// How many mistakes there are so far: no more after some step means the step went well.
    pub(super) fn n_mistakes(&self) -> usize {
        self.mistakes.len()
    }

    /// Takes what a step gave, or notes what was wrong with the value it was given.
    pub(super) fn accept<T>(&mut self, result: Result<T, Flaw>, place: &Place) -> Option<T> {
        result.map_err(|flaw| self.note(flaw.at(code::VALUE, place.clone()))).ok()
    }

    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes
    }

    fn expect_type<T>(&mut self, value: &Spanned<DeValue<'_>>, path: &str, wanted: &str) -> Option<T> {
        let found = type_name(value.get_ref());
        let message = format!("`{path}` takes {wanted}, not {found}");
        let mistake = Mistake::new(code::TYPE, self.place(value.span()), message);
        let text = value.get_ref().as_str().unwrap_or_default();
        let quotes_too_many = match wanted {
            "a whole number" => text.parse::<u32>().is_ok(),
            "true or false" => text.parse::<bool>().is_ok(),
            _ => false,
        };
        self.note(if wanted == "a list" && value.get_ref().is_str() {
            mistake.suggest(format!("write `[{}]`", crate::grant::quoted(text)))
        } else if quotes_too_many {
            mistake.suggest("leave out the quotes")
        } else {
            mistake
        });
        None
    }

    /// Reads one key of a table, if it is there.
    pub(super) fn field<T: Value>(&mut self, table: &DeTable<'_>, path: &str, key: &str) -> Option<T> {
        let value = table.get(key)?;
        T::read(value, &joined(path, key), self)
    }

    /// Notes each key that is not among the legal ones, which come with the keys of the tables they hold.
    pub(super) fn refuse_unknown(
        &mut self,
        table: &DeTable<'_>,
        path: &str,
        legal: &[(&'static str, Vec<&'static str>)],
    ) {
        let mut keys: Vec<&str> = legal.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        for key in table.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let owner = if path.is_empty() { "this file".to_owned() } else { format!("`[{path}]`") };
            let message = format!("`{name}` is not a key of {owner}");
            let mistake = Mistake::new(code::UNKNOWN_KEY, self.place(key.span()), message).legal(keys.join(", "));
            let nested = legal.iter().find(|(_, below)| below.contains(&name));
            self.note(match (closest(name, keys.iter().copied()), nested) {
                (Some(meant), _) => mistake.suggest(format!("did you mean `{meant}`?")),
                (None, Some((table, _))) => mistake.suggest(format!("it belongs in `[{}]`", joined(path, table))),
                (None, None) => mistake,
            });
        }
    }
}

/// The candidate a misspelt word was probably meant to be.
pub(super) fn closest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_ascii_lowercase();
    let likeness = |candidate: &str| strsim::jaro_winkler(&word, candidate);
    let best = candidates.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    let few_slips = strsim::damerau_levenshtein(&word, best) <= word.len().max(best.len()).div_ceil(4);
    (few_slips || likeness(best) > 0.83).then_some(best)
}

/// A key's path, quoted where TOML needs it.
pub(super) fn joined(path: &str, key: &str) -> String {
    let is_bare =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let key = if is_bare { key.to_owned() } else { crate::grant::quoted(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What can stand in a config.
pub(super) trait Value: Sized {
    /// Reads it; none means that a mistake has been noted.
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self>;

    /// What an editor should know of it.
    fn schema() -> Json;

    /// The keys of a table; none for everything else.
    fn keys() -> Vec<&'static str> {
        Vec::new()
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
    /// Whether all of it could be read: what is checked against it makes sense only then.
    pub(super) clean: bool,
}

impl<T: Value> Value for At<T> {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        let before = reading.n_mistakes();
        let inner = T::read(value, path, reading)?;
        Some(Self { value: inner, place: reading.place(value.span()), clean: reading.n_mistakes() == before })
    }

    fn schema() -> Json {
        T::schema()
    }

    fn keys() -> Vec<&'static str> {
        T::keys()
    }
}

/// A value that was given, though perhaps not as it should be: its absence would be another mistake.
#[derive(Clone, Debug)]
pub(super) struct Given<T>(pub(super) Option<T>);

impl<T: Value> Value for Given<T> {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        Some(Self(T::read(value, path, reading)))
    }

    fn schema() -> Json {
        T::schema()
    }
}

impl Value for bool {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        value.get_ref().as_bool().or_else(|| reading.expect_type(value, path, "true or false"))
    }

    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
}

impl Value for String {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        let DeValue::String(text) = value.get_ref() else {
            return reading.expect_type(value, path, "a string");
        };
        let expanded = variables::expand(text, reading.env);
        let place = reading.place(value.span());
        expanded.map_err(|flaw| reading.note(flaw.at(code::MISSING_VARIABLE, place))).ok()
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

impl Value for u32 {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        let DeValue::Integer(number) = value.get_ref() else {
            return reading.expect_type(value, path, "a whole number");
        };
        let legal = format!("a whole number from 0 to {}", Self::MAX);
        let out_of_range = |_| Flaw::new(format!("`{path}` cannot be {number}")).legal(legal);
        let parsed = Self::from_str_radix(number.as_str(), number.radix()).map_err(out_of_range);
        let place = reading.place(value.span());
        reading.accept(parsed, &place)
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 0 })
    }
}

/// A number of bytes, written with a unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes(pub(super) u64);

impl Value for Bytes {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        let text = with_unit(value, path, SIZE_UNITS, likely_size, reading)?;
        let place = reading.place(value.span());
        reading.accept(parse_size(&text), &place).map(Self)
    }

    fn schema() -> Json {
        json!({ "type": "string", "examples": ["64MiB"] })
    }
}

/// A length of time, written with a unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) Duration);

impl Value for Time {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        let text = with_unit(value, path, DURATION_UNITS, |number| format!("{number}s"), reading)?;
        let place = reading.place(value.span());
        reading.accept(parse_duration(&text), &place).map(Self)
    }

    fn schema() -> Json {
        json!({ "type": "string", "examples": ["30s"] })
    }
}

/// What a bare number was meant to be: a small one mebibytes, a large one bytes.
fn likely_size(number: &str) -> String {
    match number.parse() {
        Ok(bytes) if bytes > 4096 => Size(bytes).to_string(),
        Ok(_) | Err(_) => format!("{number}MiB"),
    }
}

/// A text with a unit; a bare number is told what it would be with one.
fn with_unit(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    legal: &str,
    meant: impl Fn(&str) -> String,
    reading: &mut Reading<'_>,
) -> Option<String> {
    let DeValue::Integer(number) = value.get_ref() else {
        return String::read(value, path, reading);
    };
    let mistake = Mistake::new(code::TYPE, reading.place(value.span()), format!("`{path}` needs a unit"));
    reading.note(mistake.legal(legal).suggest(format!("did you mean `\"{}\"`?", meant(number.as_str()))));
    None
}

impl<T: Value> Value for Vec<T> {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        let DeValue::Array(items) = value.get_ref() else {
            return reading.expect_type(value, path, "a list");
        };
        let path = format!("{path}[]");
        Some(items.iter().filter_map(|item| T::read(item, &path, reading)).collect())
    }

    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// A table whose keys the operator chooses, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Named<T>(pub(super) Vec<(At<String>, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Value> Value for Named<T> {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            return reading.expect_type(value, path, "a table");
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut named = Vec::new();
        for (key, value) in entries {
            let name = key.get_ref().clone().into_owned();
            let place = reading.place(key.span());
            if let Some(value) = T::read(value, &joined(path, &name), reading) {
                named.push((At { value: name, place, clean: true }, value));
            }
        }
        Some(Self(named))
    }

    fn schema() -> Json {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }
}

/// Any table, as JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct JsonTable(pub(super) JsonMap<String, Json>);

impl Value for JsonTable {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        if !value.get_ref().is_table() {
            return reading.expect_type(value, path, "a table");
        }
        match to_json(value, path, reading) {
            Some(Json::Object(map)) => Some(Self(map)),
            Some(_) | None => None,
        }
    }

    fn schema() -> Json {
        json!({ "type": "object" })
    }
}

/// Any value as text: a string as it is, everything else as JSON.
#[derive(Clone, Debug)]
pub(super) struct AnyText(pub(super) String);

impl Value for AnyText {
    fn read(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Self> {
        Some(Self(match to_json(value, path, reading)? {
            Json::String(text) => text,
            other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
                other.to_string()
            }
        }))
    }

    fn schema() -> Json {
        json!({})
    }
}

fn to_json(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<Json> {
    match value.get_ref() {
        DeValue::String(_) => String::read(value, path, reading).map(Json::from),
        DeValue::Boolean(yes) => Some(Json::from(*yes)),
        DeValue::Datetime(date) => Some(Json::from(date.to_string())),
        DeValue::Integer(number) => {
            let place = reading.place(value.span());
            reading.accept(integer(number), &place)
        }
        DeValue::Float(number) => {
            let place = reading.place(value.span());
            reading.accept(float(number), &place)
        }
        DeValue::Array(items) => {
            let before = reading.n_mistakes();
            let items: Vec<Json> = items.iter().filter_map(|item| to_json(item, path, reading)).collect();
            (reading.n_mistakes() == before).then_some(Json::Array(items))
        }
        DeValue::Table(table) => {
            let before = reading.n_mistakes();
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_by_key(|(key, _)| key.span().start);
            let mut map = JsonMap::new();
            for (key, value) in entries {
                let name = key.get_ref().as_ref();
                if let Some(value) = to_json(value, &joined(path, name), reading) {
                    map.insert(name.to_owned(), value);
                }
            }
            (reading.n_mistakes() == before).then_some(Json::Object(map))
        }
    }
}

fn integer(number: &DeInteger<'_>) -> Result<Json, Flaw> {
    let signed = i64::from_str_radix(number.as_str(), number.radix()).map(Json::from);
    let parsed = signed.or_else(|_| u64::from_str_radix(number.as_str(), number.radix()).map(Json::from));
    parsed.map_err(|_| Flaw::new(format!("{number} does not fit into 64 bits")))
}

fn float(number: &DeFloat<'_>) -> Result<Json, Flaw> {
    let parsed = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
    parsed.map(Json::from).ok_or_else(|| Flaw::new(format!("JSON has no number `{number}`")))
}

/// One key as the JSON Schema has it.
pub(super) struct KeyDoc {
    pub(super) key: &'static str,
    pub(super) doc: &'static str,
    pub(super) schema: Json,
    pub(super) default: Option<Json>,
}

/// A table's JSON Schema.
pub(super) fn table_schema(about: &str, keys: Vec<KeyDoc>) -> Json {
    let property = |key: KeyDoc| {
        let mut schema = key.schema;
        schema["description"] = Json::from(key.doc.trim());
        if let Some(default) = key.default {
            schema["default"] = default;
        }
        (key.key.to_owned(), schema)
    };
    let properties: JsonMap<String, Json> = keys.into_iter().map(property).collect();
    json!({ "type": "object", "description": about.trim(), "additionalProperties": false, "properties": properties })
}

/// Declares a table of the config: its keys, what each takes, what it is for, and its default.
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        struct $name:ident {
            $( $(#[doc = $doc:literal])+ $key:ident : $type:ty $(= $default:expr)?, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub(super) struct $name {
            $( $(#[doc = $doc])+ pub(super) $key: Option<$type>, )+
        }

        impl $crate::config::reader::Value for $name {
            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                path: &str,
                reading: &mut $crate::config::reader::Reading<'_>,
            ) -> Option<Self> {
                let Some(table) = value.get_ref().as_table() else {
                    return $crate::config::reader::wrong_type(value, path, reading);
                };
                Some(Self::of(table, path, reading))
            }

            fn schema() -> serde_json::Value {
                $crate::config::reader::table_schema(concat!($($about, "\n"),+), vec![
                    $( $crate::config::reader::KeyDoc {
                        key: stringify!($key),
                        doc: concat!($($doc, "\n"),+),
                        schema: <$type as $crate::config::reader::Value>::schema(),
                        default: $crate::config::reader::table!(@default $($default)?),
                    }, )+
                ])
            }

            fn keys() -> Vec<&'static str> {
                vec![$(stringify!($key)),+]
            }
        }

        impl $name {
            /// Reads all keys of a table and notes those that are not legal.
            pub(super) fn of(
                table: &toml::de::DeTable<'_>,
                path: &str,
                reading: &mut $crate::config::reader::Reading<'_>,
            ) -> Self {
                reading.refuse_unknown(table, path, &[
                    $( (stringify!($key), <$type as $crate::config::reader::Value>::keys()), )+
                ]);
                Self { $( $key: reading.field(table, path, stringify!($key)), )+ }
            }
        }
    };
    (@default) => { None };
    (@default $default:expr) => { Some(serde_json::Value::from($default)) };
}
pub(super) use table;

/// Notes that a table was expected.
pub(super) fn wrong_type<T>(value: &Spanned<DeValue<'_>>, path: &str, reading: &mut Reading<'_>) -> Option<T> {
    reading.expect_type(value, path, "a table")
}
