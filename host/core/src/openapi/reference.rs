//! Documents that refer to one another, and to themselves. What was not handed in cannot be reached.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::Url;

use crate::redact::quotable;

/// References in a row. Real documents have two or three.
const MOST_HOPS: usize = 32;
/// Documents one may refer to.
const MOST_DOCUMENTS: usize = 256;

/// The addresses of other documents that `$ref`s lead to, sorted: only what an operator allowed is to be fetched from
/// there. Relative ones are resolved against `at`, the address of this document; without it they lead nowhere.
#[must_use]
pub fn elsewhere(document: &Value, at: Option<&Url>) -> Vec<Url> {
    let mut found = BTreeSet::new();
    let mut pending = vec![document];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.extend(other_document(reference, at));
                }
                pending.extend(fields.values());
            }
            Value::Array(items) => pending.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        if found.len() == MOST_DOCUMENTS {
            break;
        }
    }
    found.into_iter().filter(|url| at.is_none_or(|at| without_fragment(at.clone()) != *url)).collect()
}

fn other_document(reference: &str, at: Option<&Url>) -> Option<Url> {
    if reference.starts_with('#') {
        return None;
    }
    let url = match at {
        Some(at) => at.join(reference).ok()?,
        None => Url::parse(reference).ok()?,
    };
    Some(without_fragment(url))
}

fn without_fragment(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}

/// All documents of a service.
pub(super) struct Library<'d> {
    documents: Vec<(Option<Url>, &'d Value)>,
}

/// A value and the document it stands in.
#[derive(Clone, Copy)]
pub(super) struct Node<'d> {
    pub(super) document: usize,
    pub(super) value: &'d Value,
}

impl<'d> Node<'d> {
    pub(super) fn at(self, key: &str) -> Option<Self> {
        self.value.get(key).map(|value| Self { value, ..self })
    }

    pub(super) fn text(self, key: &str) -> Option<&'d str> {
        self.value.get(key).and_then(Value::as_str)
    }

    pub(super) fn is_true(self, key: &str) -> bool {
        self.value.get(key).and_then(Value::as_bool) == Some(true)
    }

    pub(super) fn fields(self) -> impl Iterator<Item = (&'d str, Self)> {
        let fields = self.value.as_object().into_iter().flatten();
        fields.map(move |(name, value)| (name.as_str(), Self { value, ..self }))
    }

    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        self.value.as_array().into_iter().flatten().map(move |value| Self { value, ..self })
    }

    /// Tells one place from another.
    pub(super) fn place(self) -> usize {
        std::ptr::from_ref(self.value).addr()
    }
}

impl<'d> Library<'d> {
    pub(super) fn new(root: &'d Value, at: Option<&Url>, others: &'d BTreeMap<Url, Value>) -> Self {
        let mut documents = vec![(at.cloned().map(without_fragment), root)];
        documents.extend(others.iter().map(|(url, value)| (Some(without_fragment(url.clone())), value)));
        Self { documents }
    }

    pub(super) fn root(&self) -> Node<'d> {
        Node { document: 0, value: self.documents[0].1 }
    }

    /// What a value stands for: itself, or what its `$ref` leads to in the end.
    ///
    /// # Errors
    /// It leads nowhere, to a document that was not handed in, or round in a circle.
    pub(super) fn follow(&self, node: Node<'d>) -> Result<Node<'d>, String> {
        let mut node = node;
        for _ in 0..MOST_HOPS {
            let Some(reference) = node.text("$ref") else { return Ok(node) };
            node = self.step(node.document, reference)?;
        }
        let reference = quotable(node.text("$ref").unwrap_or_default(), 120);
        Err(format!("`$ref` leads on and on, or in a circle (`{reference}`)"))
    }

    fn step(&self, from: usize, reference: &str) -> Result<Node<'d>, String> {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let document = if address.is_empty() { from } else { self.document(from, reference)? };
        let nowhere = || format!("`$ref` leads to `{}`, which is not there", quotable(reference, 120));
        let pointer = percent_decode_str(fragment).decode_utf8().map_err(|_| nowhere())?;
        let value = self.documents[document].1.pointer(&pointer).ok_or_else(nowhere)?;
        Ok(Node { document, value })
    }

    fn document(&self, from: usize, reference: &str) -> Result<usize, String> {
        let url = other_document(reference, self.documents[from].0.as_ref());
        let known = |url: &Url| self.documents.iter().position(|(known, _)| known.as_ref() == Some(url));
        url.as_ref().and_then(known).ok_or_else(|| {
            format!("`$ref` leads to another document (`{}`), which was not allowed", quotable(reference, 120))
        })
    }
}
