//! What an operation sends: which of the media types the document offers, and which arguments it is made of.

use std::collections::BTreeSet;

use bailiwick_operation::{Body, Content, Field, InjectedField, Kind, Location, Part, Style};
use serde_json::{Value, json};

use super::file;
use super::operation::{Arguments, Found, MOST_ARGUMENTS, Reader, describe, style};
use super::reference::Node;
use super::schema::{Level, Schemas, is_binary};
use super::text::hidden;
use crate::redact::quotable;

/// Media types looked at.
const MOST_OFFERED: usize = 64;
/// Types made of types made of types.
const MOST_PARENTS: usize = 8;

/// The fields of a body that is an object and nothing else.
#[derive(Default)]
struct Lifted<'d> {
    fields: Vec<(&'d str, Node<'d>)>,
    required: BTreeSet<&'d str>,
    open: bool,
}

impl<'d> Reader<'_, 'd> {
    /// The body of an operation, whose arguments are added.
    ///
    /// # Errors
    /// It wants one that cannot be made.
    pub(super) fn body(
        &self,
        found: Found<'d>,
        schemas: &mut Schemas<'_, 'd>,
        arguments: &mut Arguments,
    ) -> Result<Option<Body>, String> {
        let Some(declared) = found.node.at("requestBody") else { return Ok(None) };
        let declared = self.library.follow(declared)?;
        let required = declared.is_true("required");
        if matches!(found.method, "get" | "head" | "options") {
            let refused = format!("it wants a body with {}, which means nothing", found.method.to_ascii_uppercase());
            return if required { Err(refused) } else { Ok(None) };
        }
        let offered = declared.at("content").into_iter().flat_map(Node::fields).take(MOST_OFFERED);
        let taken = offered.filter_map(|(media, node)| Some((written(media)?, node)));
        let Some((Written { media, kind, .. }, offer)) = taken.min_by_key(|(written, _)| written.rank) else {
            let refused = "it sends nothing that can be made: JSON, a form, text and bytes can".to_owned();
            return if required { Err(refused) } else { Ok(None) };
        };
        let lifted = match (kind, offer.at("schema")) {
            (Kind::Json | Kind::Form | Kind::Query | Kind::Multipart, Some(schema)) => self.lift(schema, 0)?,
            (Kind::Json | Kind::Form | Kind::Query | Kind::Multipart | Kind::Text | Kind::Bytes, _) => None,
        };
        let mut body = Body { media, kind, content: nothing(), required, injected: Vec::new() };
        match lifted {
            Some(lifted) => self.fields(&lifted, offer, &mut body, schemas, arguments)?,
            None => self.whole(declared, offer, &mut body, schemas, arguments)?,
        }
        Ok(Some(body))
    }

    /// Makes an argument of each field.
    fn fields(
        &self,
        lifted: &Lifted<'d>,
        offer: Node<'d>,
        body: &mut Body,
        schemas: &mut Schemas<'_, 'd>,
        arguments: &mut Arguments,
    ) -> Result<(), String> {
        let mut fields = Vec::new();
        for (name, node) in &lifted.fields {
            if let Some(injected) = self.injected(name) {
                if injected.at.is_none_or(|at| at == Location::Body) {
                    body.injected.push(InjectedField { from: injected.name.clone(), name: (*name).to_owned() });
                }
                continue;
            }
            if hidden(name) || !schemas.travels(*node) {
                continue;
            }
            let schema = schemas.schema(*node, Level::Inner)?;
            let required = body.required && lifted.required.contains(name);
            let part = match body.kind {
                Kind::Form | Kind::Query | Kind::Multipart => Some(self.part(name, *node, offer, body.kind)?),
                Kind::Json | Kind::Text | Kind::Bytes => None,
            };
            let schema = if matches!(part, Some(Part::File { .. })) { files(schema) } else { schema };
            let argument = arguments.add(name, Location::Body, schema, required)?;
            fields.push(Field { argument, name: (*name).to_owned(), part });
        }
        arguments.open |= lifted.open;
        body.content = Content::Fields { fields, open: lifted.open };
        Ok(())
    }

    /// Makes one argument of all of it.
    fn whole(
        &self,
        declared: Node<'d>,
        offer: Node<'d>,
        body: &mut Body,
        schemas: &mut Schemas<'_, 'd>,
        arguments: &mut Arguments,
    ) -> Result<(), String> {
        let mut schema = match (body.kind, offer.at("schema")) {
            (Kind::Json, Some(schema)) => schemas.schema(schema, Level::Body)?,
            (Kind::Form | Kind::Query | Kind::Multipart, Some(schema)) => {
                json!({ "type": "object", "allOf": [schemas.schema(schema, Level::Body)?] })
            }
            (Kind::Form | Kind::Query | Kind::Multipart, None) => json!({ "type": "object" }),
            (Kind::Json, None) => json!({}),
            (Kind::Text, _) => json!({ "type": "string", "contentMediaType": body.media }),
            (Kind::Bytes, _) => file::schema(Some(&body.media)),
        };
        describe(&mut schema, declared);
        let argument = arguments.add("body", Location::Body, schema, body.required)?;
        body.content = Content::Whole { argument };
        Ok(())
    }

    /// The fields of a schema that is an object made of properties; none for anything else.
    fn lift(&self, node: Node<'d>, depth: usize) -> Result<Option<Lifted<'d>>, String> {
        let node = self.library.follow(node)?;
        let is_object = node.value.get("type").is_none_or(|kind| kind == "object" || *kind == json!(["object"]));
        let other = ["not", "if", "patternProperties", "dependentSchemas", "const", "enum"];
        let is_simple = node.value.is_object() && is_object && !other.iter().any(|keyword| node.at(keyword).is_some());
        if !is_simple || node.is_true("nullable") || depth > MOST_PARENTS || !only_requires(node) {
            return Ok(None);
        }
        let mut lifted = Lifted::default();
        for parent in node.at("allOf").into_iter().flat_map(Node::items) {
            let Some(parent) = self.lift(parent, depth + 1)? else { return Ok(None) };
            parent.fields.into_iter().for_each(|(name, node)| lifted.put(name, node));
            lifted.required.extend(parent.required);
            lifted.open |= parent.open;
        }
        let n_properties = node.at("properties").map_or(0, |properties| properties.fields().count());
        if lifted.fields.len() + n_properties > MOST_ARGUMENTS {
            return Ok(None);
        }
        for (name, property) in node.at("properties").into_iter().flat_map(Node::fields) {
            lifted.put(name, property);
        }
        lifted
            .required
            .extend(node.at("required").into_iter().flat_map(Node::items).filter_map(|name| name.value.as_str()));
        lifted.open |= node
            .at("additionalProperties")
            .is_some_and(|more| more.value.is_object() || more.value == &Value::Bool(true));
        Ok((depth > 0 || !lifted.fields.is_empty()).then_some(lifted))
    }

    /// How a form writes a field.
    fn part(&self, name: &str, node: Node<'d>, offer: Node<'d>, kind: Kind) -> Result<Part, String> {
        let encoding = offer.at("encoding").and_then(|encoding| encoding.at(name));
        let said = encoding.and_then(|encoding| encoding.text("contentType"));
        let media = said.map(|media| media.split(',').next().unwrap_or(media).trim()).filter(|media| is_media(media));
        let node = self.library.follow(node)?;
        let item = node.at("items").map(|item| self.library.follow(item)).transpose()?;
        let bytes = |node: Node<'_>| is_binary(node) || node.text("type") == Some("file");
        let usual = |usual: &str| media.filter(|media| !media.contains('*')).unwrap_or(usual).to_owned();
        if kind == Kind::Multipart && (bytes(node) || item.is_some_and(bytes)) {
            return Ok(Part::File { media: usual("application/octet-stream") });
        }
        let says_json = media.is_some_and(|media| media.contains("json"));
        let structured = |node: Node<'_>| node.text("type") == Some("object") || node.at("properties").is_some();
        if says_json || kind == Kind::Multipart && (structured(node) || item.is_some_and(structured)) {
            return Ok(Part::Json {
                media: if says_json { usual("application/json") } else { "application/json".into() },
            });
        }
        let style = encoding.and_then(|encoding| style(encoding.text("style"))).unwrap_or(Style::Form);
        let explode = encoding.and_then(|encoding| encoding.value.get("explode")).and_then(Value::as_bool);
        Ok(Part::Text { style, explode: explode.unwrap_or(style == Style::Form) })
    }
}

impl<'d> Lifted<'d> {
    fn put(&mut self, name: &'d str, node: Node<'d>) {
        self.fields.retain(|(known, _)| *known != name);
        self.fields.push((name, node));
    }
}

/// Whether alternatives, if there are any, differ only in what has to be there: a service says that itself.
fn only_requires(node: Node<'_>) -> bool {
    let harmless = |keyword: &str| matches!(keyword, "required" | "title" | "description" | "type");
    ["anyOf", "oneOf"].iter().all(|keyword| {
        let mut alternatives = node.at(keyword).into_iter().flat_map(Node::items);
        alternatives.all(|other| other.value.is_object() && other.fields().all(|(keyword, _)| harmless(keyword)))
    })
}

fn nothing() -> Content {
    Content::Fields { fields: Vec::new(), open: false }
}

/// The schema of a file, or of several.
fn files(schema: Value) -> Value {
    let described = schema.get("description").cloned();
    let one = file::schema(None);
    let is_list = schema.get("type").is_some_and(|kind| kind == "array");
    let mut files = if is_list { json!({ "type": "array", "items": one }) } else { one };
    if let Some(text) = described {
        files["description"] = text;
    }
    files
}

/// A media type that can be written.
struct Written {
    media: String,
    kind: Kind,
    /// The lower, the better it holds what a model writes.
    rank: u8,
}

/// How a media type is written; none if it cannot be.
fn written(declared: &str) -> Option<Written> {
    let bare = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let as_is = || declared.trim().to_owned();
    let is_json = bare.ends_with("/json") || bare.ends_with("+json");
    let (media, kind, rank) = match bare.as_str() {
        "application/json" => (as_is(), Kind::Json, 0),
        _ if is_json => (as_is(), Kind::Json, 1),
        "*/*" | "application/*" => ("application/json".to_owned(), Kind::Json, 2),
        "multipart/form-data" | "multipart/*" => ("multipart/form-data".to_owned(), Kind::Multipart, 3),
        "application/x-www-form-urlencoded" => (bare, Kind::Form, 4),
        _ if bare.starts_with("multipart/") => return None,
        "text/*" => ("text/plain".to_owned(), Kind::Text, 5),
        _ if bare.starts_with("text/") => (as_is(), Kind::Text, 5),
        _ if ["xml", "yaml", "javascript", "graphql"].iter().any(|text| bare.ends_with(text)) => {
            (as_is(), Kind::Text, 6)
        }
        _ if bare.contains('*') => ("application/octet-stream".to_owned(), Kind::Bytes, 7),
        _ => (as_is(), Kind::Bytes, 7),
    };
    is_media(&media).then_some(Written { media, kind, rank })
}

/// Whether a text can stand in a header as a media type.
pub(super) fn is_media(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let named = |part: &str| !part.is_empty() && part.bytes().all(token);
    let essence = text.split(';').next().unwrap_or_default().trim();
    text.len() <= 200
        && essence.split_once('/').is_some_and(|(kind, of_it)| named(kind) && named(of_it))
        && text.bytes().all(legal)
        && !text.contains(',')
        && quotable(text, 200) == text
}
