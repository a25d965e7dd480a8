//! One request that an operator describes, as the same data that a document's operation becomes.

use bailiwick_operation::{Body, Content, InjectedField, Kind, Operation, PathValue, Piece, Source, Style};
use serde_json::{Map, Value, json};

use super::operation::harm;
use crate::config::Request;
use crate::registry::{Annotations, Definition};

/// The request as a tool called `name`. Arguments that the URL names go there; the others go to the query of GET, HEAD,
/// OPTIONS and DELETE, and into a JSON object of the rest. What the operator `injects` is in no schema, and wins.
///
/// # Errors
/// The URL or the schema says something that no request can be made of, in a sentence.
pub fn request(name: &str, request: &Request, injects: &Map<String, Value>) -> Result<(Definition, Operation), String> {
    let (path, named) = path(&request.template, injects)?;
    let in_query = matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "DELETE");
    let injected = injects.keys().filter(|key| !named.contains(key));
    let injected = injected.map(|key| InjectedField { from: key.clone(), name: key.clone() }).collect();
    let body = Body {
        media: if in_query { "application/x-www-form-urlencoded" } else { "application/json" }.to_owned(),
        kind: if in_query { Kind::Query } else { Kind::Json },
        content: Content::Fields { fields: Vec::new(), open: true },
        required: !in_query,
        injected,
    };
    let arguments = named.iter().filter(|key| !injects.contains_key(*key));
    let input = input(&request.input, arguments.map(String::as_str), injects)?;
    let (annotations, risk) = harm(&request.method);
    let definition = Definition {
        name: name.to_owned(),
        title: None,
        description: request.description.clone(),
        input_schema: input.to_string(),
        output_schema: None,
        annotations: Annotations { open_world: Some(true), ..annotations },
        risk,
    };
    let accept = "application/json, */*;q=0.5".to_owned();
    let body = Some(body);
    let operation = Operation { method: request.method.clone(), path, parameters: Vec::new(), body, accept };
    Ok((definition, operation))
}

/// The path and the query of a URL in pieces, and the names in it.
fn path(template: &str, injects: &Map<String, Value>) -> Result<(Vec<Piece>, Vec<String>), String> {
    let start = template.find("://").map_or(0, |at| at + 3);
    let rest = &template[start..];
    let rest = &rest[rest.find(['/', '?']).unwrap_or(rest.len())..];
    let mut text = if rest.starts_with('/') { String::new() } else { "/".to_owned() };
    let (mut pieces, mut names, mut rest) = (Vec::new(), Vec::new(), rest);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("its URL has a `{` without its `}`")?;
        if name.is_empty() || name.contains(['{', '/', '?']) {
            return Err(format!("`{{{name}}}` in its URL names no argument"));
        }
        text.push_str(before);
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        let from = match injects.contains_key(name) {
            true => Source::Injected(name.to_owned()),
            false => Source::Argument(name.to_owned()),
        };
        pieces.push(Piece::Value(PathValue { from, name: name.to_owned(), style: Style::Simple, explode: false }));
        names.push(name.to_owned());
        rest = after;
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok((pieces, names))
}

/// The operator's schema, with the arguments of the URL and without what is injected.
fn input<'a>(
    schema: &Value,
    named: impl Iterator<Item = &'a str>,
    injects: &Map<String, Value>,
) -> Result<Value, String> {
    let mut schema = schema.clone();
    let object = schema.as_object_mut().ok_or("its `input` is no object")?;
    object.entry("type").or_insert_with(|| json!("object"));
    let mut required: Vec<Value> = match object.remove("required") {
        Some(Value::Array(required)) => required,
        Some(_) | None => Vec::new(),
    };
    required.retain(|name| !name.as_str().is_some_and(|name| injects.contains_key(name)));
    let properties = object.entry("properties").or_insert_with(|| json!({}));
    let properties = properties.as_object_mut().ok_or("the `properties` of its `input` are no object")?;
    properties.retain(|name, _| !injects.contains_key(name));
    for name in named {
        properties.entry(name).or_insert_with(|| json!({ "type": ["string", "number", "boolean"] }));
        if !required.iter().any(|known| known == name) {
            required.push(name.into());
        }
    }
    if !required.is_empty() {
        object.insert("required".to_owned(), Value::Array(required));
    }
    Ok(schema)
}
