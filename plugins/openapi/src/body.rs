//! Bodies: an object of arguments, or one argument, written as the operation says.

use std::borrow::Cow;

use bailiwick_operation::{Body, Content, InjectedField, Kind, Part, Style};
use bailiwick_sdk::Failure;
use serde_json::{Map, Value};

use crate::encode::{For, encode};
use crate::file::File;
use crate::header;
use crate::multipart::Multipart;
use crate::style::{self, Pair};
use crate::values::{Names, Values, is_same, is_taken};

/// A media type and bytes.
pub(crate) type Written = (String, Vec<u8>);

/// One property of a body.
struct Entry<'e> {
    wire: &'e str,
    value: Cow<'e, Value>,
    part: Option<&'e Part>,
    is_operators: bool,
}

/// Writes the body; none: nothing is sent.
///
/// # Errors
///
/// `arguments.invalid` names the argument; `plugin.not-configured` says what the operation lacks.
pub(crate) fn write(body: &Body, values: &mut Values<'_>, boundary: &str) -> Result<Option<Written>, Failure> {
    if !header::is_media_type(&body.media) {
        return Err(Failure::not_configured(format!("The operation's media type `{}` is none.", body.media)));
    }
    let bytes = match body.kind {
        Kind::Json => json(body, values)?.map(|value| value.to_string().into_bytes()),
        Kind::Form | Kind::Query => match entries(body, values)? {
            Some(entries) => Some(form(&entries, values, names(&entries, Names::default()))?.into_bytes()),
            None => None,
        },
        Kind::Multipart => {
            let Some(entries) = entries(body, values)? else { return Ok(None) };
            let bytes = multipart(&entries, values, boundary)?;
            return Ok(Some((format!("{}; boundary={boundary}", body.media), bytes)));
        }
        Kind::Text => text(body, values)?.map(String::into_bytes),
        Kind::Bytes => {
            let (argument, value) = whole(body, values)?;
            let file = value.map(|value| File::read(argument, value)).transpose()?;
            return Ok(file.map(|file| (file.media(&body.media), file.bytes)));
        }
    };
    Ok(bytes.map(|bytes| (media(body), bytes)))
}

/// The pairs of a form that goes into a query, where these names have a meaning already.
///
/// # Errors
///
/// `arguments.invalid`, with the name of the argument.
pub(crate) fn pairs(body: &Body, values: &mut Values<'_>, known: Names) -> Result<Vec<Pair>, Failure> {
    let entries = entries(body, values)?.unwrap_or_default();
    form_pairs(&entries, values, &names(&entries, known), For::Value)
}

/// The media type as it is sent.
fn media(body: &Body) -> String {
    let is_bare_text = body.media.starts_with("text/") && !body.media.contains("charset");
    if is_bare_text { format!("{}; charset=utf-8", body.media) } else { body.media.clone() }
}

/// The argument that is the whole body.
fn whole<'v, 'b>(body: &'b Body, values: &mut Values<'v>) -> Result<(&'b str, Option<&'v Value>), Failure> {
    match &body.content {
        Content::Whole { argument } => Ok((argument, values.argument(argument).filter(|value| !value.is_null()))),
        Content::Fields { .. } => {
            Err(Failure::not_configured(format!("A body of type {} is no object of arguments.", body.media)))
        }
    }
}

fn text(body: &Body, values: &mut Values<'_>) -> Result<Option<String>, Failure> {
    let (_, value) = whole(body, values)?;
    Ok(value.and_then(style::plain).or_else(|| body.required.then(String::new)))
}

fn json(body: &Body, values: &mut Values<'_>) -> Result<Option<Value>, Failure> {
    if let Content::Whole { argument } = &body.content
        && let Some(value) = values.argument(argument)
        && !value.is_object()
    {
        if body.injected.is_empty() {
            return Ok(Some(value.clone()));
        }
        return Err(Failure::invalid(format!("`{argument}` must be an object.")));
    }
    let Some(entries) = entries(body, values)? else { return Ok(None) };
    let pairs = entries.into_iter().map(|entry| (entry.wire.to_owned(), entry.value.into_owned()));
    Ok(Some(Value::Object(pairs.collect::<Map<_, _>>())))
}

/// The properties of a body that is an object; none: nothing is sent.
fn entries<'e, 'v: 'e>(body: &'e Body, values: &mut Values<'v>) -> Result<Option<Vec<Entry<'e>>>, Failure> {
    let mut entries = Vec::new();
    let mut is_given = false;
    let entry = |wire, value, part| Entry { wire, value: Cow::Borrowed(value), part, is_operators: false };
    match &body.content {
        Content::Whole { argument } => match values.argument(argument) {
            Some(Value::Object(map)) => {
                is_given = true;
                entries.extend(map.iter().map(|(key, value)| entry(key.as_str(), value, None)));
            }
            None | Some(Value::Null) => {}
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(Failure::invalid(format!("`{argument}` must be an object.")));
            }
        },
        Content::Fields { fields, open } => {
            for field in fields {
                let value = values.argument(&field.argument);
                entries.extend(value.map(|value| entry(field.name.as_str(), value, field.part.as_ref())));
            }
            if *open {
                entries.extend(values.take_rest().into_iter().map(|(name, value)| entry(name, value, None)));
            }
        }
    }
    for InjectedField { from, name } in &body.injected {
        entries.retain(|entry| !is_taken(name, entry.wire));
        let value = values.injected(from);
        entries.extend(value.map(|value| Entry { is_operators: true, ..entry(name.as_str(), value, None) }));
    }
    Ok((is_given || body.required || !entries.is_empty()).then_some(entries))
}

fn names(entries: &[Entry<'_>], mut names: Names) -> Names {
    for entry in entries {
        if entry.is_operators {
            names.add_operators(entry.wire.to_owned());
        }
    }
    names
}

fn form(entries: &[Entry<'_>], values: &Values<'_>, names: Names) -> Result<String, Failure> {
    let pairs = form_pairs(entries, values, &names, For::Value)?.into_iter();
    Ok(pairs.map(|(name, value)| format!("{}={value}", encode(&name, For::Value))).collect::<Vec<_>>().join("&"))
}

fn form_pairs(entries: &[Entry<'_>], values: &Values<'_>, names: &Names, place: For) -> Result<Vec<Pair>, Failure> {
    let mut pairs = Vec::new();
    for entry in entries {
        pairs.extend(entry_pairs(entry, entries, values, names, place)?);
    }
    Ok(pairs)
}

fn entry_pairs(
    entry: &Entry<'_>,
    entries: &[Entry<'_>],
    values: &Values<'_>,
    names: &Names,
    place: For,
) -> Result<Vec<Pair>, Failure> {
    let (style, explode) = match entry.part {
        Some(Part::Text { style, explode }) => (*style, *explode),
        Some(Part::Json { .. }) => (Style::Json, false),
        // What nothing is said about: values as they are, lists item by item, objects as JSON.
        Some(Part::File { .. }) | None => (if entry.value.is_object() { Style::Json } else { Style::Form }, true),
    };
    let mut pairs = Vec::new();
    for pair in style::pairs(entry.wire, &entry.value, style, explode, place) {
        let is_callers_name = pair.0 != entry.wire && !entry.is_operators;
        if !is_callers_name || is_free(entries, &pair.0, names, values)? {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

/// Whether the key of an object may be sent as the name of a field.
fn is_free(entries: &[Entry<'_>], name: &str, names: &Names, values: &Values<'_>) -> Result<bool, Failure> {
    if entries.iter().any(|entry| !entry.is_operators && is_same(entry.wire, name)) {
        return Err(Failure::invalid(format!("The key `{}` is an argument of its own.", name.escape_debug())));
    }
    names.allow(name, values)
}

fn multipart(entries: &[Entry<'_>], values: &Values<'_>, boundary: &str) -> Result<Vec<u8>, Failure> {
    let mut whole = Multipart::new(boundary);
    for entry in entries {
        match entry.part {
            Some(Part::File { media }) => {
                for value in items(&entry.value) {
                    let file = File::read(entry.wire, value)?;
                    let name = file.name.as_deref().unwrap_or(entry.wire);
                    whole.add(entry.wire, Some(name), Some(&file.media(media)), &file.bytes)?;
                }
            }
            Some(Part::Json { media }) => {
                let media = if header::is_media_type(media) { media } else { "application/json" };
                for value in items(&entry.value) {
                    whole.add(entry.wire, None, Some(media), value.to_string().as_bytes())?;
                }
            }
            Some(Part::Text { .. }) => {
                let names = names(entries, Names::default());
                for (name, value) in entry_pairs(entry, entries, values, &names, For::Header)? {
                    whole.add(&name, None, None, value.as_bytes())?;
                }
            }
            None => {
                for value in items(&entry.value) {
                    let Some(text) = style::plain(value) else { continue };
                    let is_json = value.is_object() || value.is_array();
                    whole.add(entry.wire, None, is_json.then_some("application/json"), text.as_bytes())?;
                }
            }
        }
    }
    Ok(whole.end())
}

/// The values that are parts of their own: those of a list, else the one there is.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter().filter(|item| !item.is_null())
}
