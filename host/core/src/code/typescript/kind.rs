//! A type as text, with what has to be known to put it beside others; and values as types.

use std::collections::BTreeSet;

use serde_json::Value;

use super::text::{property, quoted};

/// Alternatives of what several unions have in common: compilers multiply them, and give up at 100,000.
const MAX_WIDTH: usize = 1_000;

/// A type: what it can be, which is nothing for `never`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Type(Vec<Alternative>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternative {
    text: String,
    /// Whether it is made of several with `&`.
    is_joined: bool,
    /// How many alternatives it stands for, when names are followed.
    width: usize,
}

impl Type {
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self(vec![Alternative { text: text.into(), is_joined: false, width: 1 }])
    }

    pub(super) fn unknown() -> Self {
        Self::of("unknown")
    }

    pub(super) fn never() -> Self {
        Self(Vec::new())
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.0.iter().any(|alternative| alternative.text == "unknown")
    }

    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|alternative| alternative.width).sum()
    }

    pub(super) fn text(&self) -> String {
        match &self.0[..] {
            [] => "never".to_owned(),
            alternatives => alternatives.iter().map(|other| other.text.as_str()).collect::<Vec<_>>().join(" | "),
        }
    }

    /// The text as something can stand right behind it.
    pub(super) fn tight(&self) -> String {
        let is_loose = self.0.len() > 1 || self.0.iter().any(|alternative| alternative.is_joined);
        if is_loose { format!("({})", self.text()) } else { self.text() }
    }

    /// The name of a type that has so many alternatives.
    pub(super) fn name(text: String, width: usize) -> Self {
        Self(vec![Alternative { text, is_joined: false, width }])
    }

    /// One or the other.
    pub(super) fn union(types: Vec<Self>) -> Self {
        if types.iter().any(Self::is_unknown) {
            return Self::unknown();
        }
        let mut seen = BTreeSet::new();
        let all = types.into_iter().flat_map(|other| other.0);
        Self(all.filter(|alternative| seen.insert(alternative.text.clone())).collect())
    }

    /// One and the other, as far as compilers follow.
    pub(super) fn intersection(types: Vec<Self>) -> Self {
        if types.contains(&Self::never()) {
            return Self::never();
        }
        let mut parts: Vec<Self> = Vec::new();
        let mut width = 1;
        for part in types {
            let is_new = !part.is_unknown() && !parts.contains(&part);
            if is_new && (parts.is_empty() || width * part.width() <= MAX_WIDTH) {
                width *= part.width();
                parts.push(part);
            }
        }
        match parts.len() {
            0 => Self::unknown(),
            1 => parts.remove(0),
            _ => {
                // What is joined already needs no brackets here.
                let text = |part: &Self| if part.0.len() > 1 { part.tight() } else { part.text() };
                let text = parts.iter().map(text).collect::<Vec<_>>().join(" & ");
                Self(vec![Alternative { text, is_joined: true, width }])
            }
        }
    }
}

/// Whether `value` is of one of `kinds`, where there are any.
pub(super) fn allows(kinds: Option<&Value>, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("number" | "integer") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some(_) | None => true,
    };
    match kinds {
        Some(Value::Array(kinds)) => kinds.iter().any(is),
        Some(kind) => is(kind),
        None => true,
    }
}

/// The type of a value that is too long to be one.
pub(super) fn sort(value: &Value) -> Type {
    match value {
        Value::String(_) => Type::of("string"),
        Value::Number(_) => Type::of("number"),
        Value::Bool(_) => Type::of("boolean"),
        Value::Null => Type::of("null"),
        Value::Array(_) | Value::Object(_) => Type::unknown(),
    }
}

/// A value as the type of that value alone.
pub(super) fn constant(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(constant).collect::<Vec<_>>().join(", ")),
        // `{}` would be anything.
        Value::Object(fields) if fields.is_empty() => "{ [key: string]: never }".to_owned(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{}: {}", property(name), constant(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join("; "))
        }
    }
}
