//! What can be told from a schema's keywords before its type is written.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::types::MAX_DEPTH;

/// Schemas that are looked at to find out whether something has to be there.
const MAX_STEPS: usize = 1_000;
/// Keywords that say something of objects only.
const OF_OBJECTS: [&str; 4] = ["properties", "required", "additionalProperties", "patternProperties"];
/// Keywords that say something of lists only.
const OF_LISTS: [&str; 2] = ["items", "prefixItems"];
/// Keywords that hold other schemas, of the same value.
const COMBINING: [&str; 4] = ["$ref", "anyOf", "oneOf", "allOf"];

/// Whether there is something without which arguments do not fit. Where that takes long to find out, there is.
pub(super) fn demands(schema: &Value) -> bool {
    demanding(schema, schema, &mut 0, 0)
}

fn demanding(schema: &Value, root: &Value, steps: &mut usize, depth: usize) -> bool {
    *steps += 1;
    if *steps > MAX_STEPS || depth > MAX_DEPTH {
        return true;
    }
    let Value::Object(fields) = schema else { return schema == &Value::Bool(false) };
    let mut demanding = |other: &Value| demanding(other, root, steps, depth + 1);
    let list = |keyword: &str| fields.get(keyword).and_then(Value::as_array).filter(|list| !list.is_empty());
    list("required").is_some()
        || fields.get("minProperties").and_then(Value::as_u64).is_some_and(|least| least > 0)
        || fields.contains_key("const")
        || fields.contains_key("enum")
        || list("allOf").is_some_and(|parts| parts.iter().any(&mut demanding))
        || ["anyOf", "oneOf"].into_iter().filter_map(list).any(|others| others.iter().all(&mut demanding))
        || fields.get("$ref").and_then(|to| target(root, to)).is_some_and(|(_, other)| demanding(other))
}

/// What a reference within the document refers to, and its JSON Pointer.
pub(super) fn target<'s>(root: &'s Value, reference: &Value) -> Option<(String, &'s Value)> {
    let pointer = percent_decode_str(reference.as_str()?.strip_prefix('#')?).decode_utf8().ok()?;
    Some((pointer.to_string(), root.pointer(&pointer)?))
}

fn has(fields: &Map<String, Value>, keywords: &[&str]) -> bool {
    keywords.iter().any(|keyword| fields.contains_key(*keyword))
}

/// Whether a schema that says `object` leaves the rest to the schemas it is made of.
pub(super) fn says_nothing_more(fields: &Map<String, Value>) -> bool {
    has(fields, &COMBINING) && !has(fields, &OF_OBJECTS)
}

/// The type that a schema without one is about: it speaks of properties or items, and no alternative is of another type.
pub(super) fn implied(fields: &Map<String, Value>) -> Option<&'static str> {
    let kind = match (has(fields, &OF_OBJECTS), has(fields, &OF_LISTS)) {
        (true, false) => "object",
        (false, true) => "array",
        (true, true) | (false, false) => return None,
    };
    let others = ["anyOf", "oneOf"].into_iter().filter_map(|keyword| fields.get(keyword)?.as_array()).flatten();
    let mut others = others.filter_map(Value::as_object);
    let agrees = |other: &Map<String, Value>| {
        other.get("type").is_none_or(|other| other == kind) && !has(other, &["$ref", "const", "enum"])
    };
    others.all(agrees).then_some(kind)
}

/// The keyword whose alternatives only name types, of which the schema itself says more, and these types.
pub(super) fn spread(fields: &Map<String, Value>) -> Option<(&'static str, Vec<&str>)> {
    let is_open = !has(fields, &["type", "const", "enum"]) && (has(fields, &OF_OBJECTS) || has(fields, &OF_LISTS));
    let kinds =
        |keyword| Some((keyword, fields.get(keyword)?.as_array()?.iter().map(bare).collect::<Option<Vec<_>>>()?));
    is_open.then(|| ["anyOf", "oneOf"].into_iter().find_map(kinds))?
}

/// The type that a schema names, if it says no more of what that is made of.
fn bare(schema: &Value) -> Option<&str> {
    let fields = schema.as_object()?;
    let is_bare = ![&OF_OBJECTS[..], &OF_LISTS, &COMBINING].iter().any(|keywords| has(fields, keywords));
    fields.get("type").filter(|_| is_bare)?.as_str()
}
