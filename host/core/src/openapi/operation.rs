//! One operation of a document, turned into a tool: its arguments, and where each of them goes.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_operation::{
    Body, CONNECTION_HEADERS, Location, OPERATORS_HEADERS, Operation, Parameter, PathValue, Piece, Source, Style,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};
use url::Url;

use super::names::{Taken, argument};
use super::output::Results;
use super::reference::{Library, Node};
use super::schema::{Dialect, Hidden, Level, Schemas, Way};
use super::text::{MOST_OF_OPERATION, MOST_OF_PART, MOST_OF_TITLE, clean, hidden, line};
use super::{Injected, OptionalHeaders, Options, Tool, scheme};
use crate::grant::pattern::path_segments;
use crate::redact::quotable;
use crate::registry::{Annotations, Definition, Risk};
use crate::schema::ArgumentSchema;

/// What can stand in a path item, sorted.
pub(super) const METHODS: [&str; 8] = ["delete", "get", "head", "options", "patch", "post", "put", "trace"];
/// Bytes of a schema for arguments. The largest one of GitHub's has 25 KB.
const MOST_INPUT: usize = 128 << 10;
/// Answers of one operation, media types of one of them, tags.
pub(super) const MOST_NAMED: usize = 64;
/// Arguments of one tool.
pub(super) const MOST_ARGUMENTS: usize = 512;

/// Headers and cookies that prove who calls, whether the document declares a scheme for them or not.
const CREDENTIALS: [&str; 6] = ["api-key", "apikey", "x-access-token", "x-api-key", "x-apikey", "x-auth-token"];

/// What a path may hold as it is; `%` is looked at by itself.
const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What all operations of a document share.
pub(super) struct Reader<'l, 'd> {
    pub(super) library: &'l Library<'d>,
    pub(super) dialect: Dialect,
    pub(super) options: &'l Options,
    pub(super) hidden: Hidden,
    /// Where credentials go, with their names in lower case.
    pub(super) credentials: BTreeSet<(String, Location)>,
    /// Schemas' values so far, in all.
    pub(super) values: usize,
    /// Types of results, by place.
    pub(super) results: Results,
}

/// One operation as the document has it.
#[derive(Clone, Copy)]
pub(super) struct Found<'d> {
    pub(super) method: &'static str,
    pub(super) path: &'d str,
    pub(super) item: Node<'d>,
    pub(super) node: Node<'d>,
}

/// The arguments of a tool while they are gathered.
pub(super) struct Arguments {
    properties: Map<String, Value>,
    required: BTreeSet<String>,
    taken: Taken,
    pub(super) open: bool,
}

impl Arguments {
    /// Adds one and says what it is called: as on the wire, or, if that is taken, with where it goes behind it.
    pub(super) fn add(&mut self, name: &str, at: Location, schema: Value, required: bool) -> Result<String, String> {
        if self.properties.len() == MOST_ARGUMENTS {
            return Err(format!("it takes more than {MOST_ARGUMENTS} arguments"));
        }
        let mut wanted = argument(name);
        if self.taken.has(&wanted) {
            wanted = argument(&format!("{wanted}_{}", place(at)));
        }
        let given = self.taken.give(&wanted);
        self.properties.insert(given.clone(), schema);
        if required {
            self.required.insert(given.clone());
        }
        Ok(given)
    }

    fn schema(self, definitions: Map<String, Value>) -> Value {
        let mut schema = json!({ "type": "object", "properties": self.properties });
        if !self.required.is_empty() {
            schema["required"] = self.required.into_iter().collect();
        }
        schema["additionalProperties"] = self.open.into();
        if !definitions.is_empty() {
            schema["$defs"] = Value::Object(definitions);
        }
        schema
    }
}

fn place(at: Location) -> &'static str {
    match at {
        Location::Path => "path",
        Location::Query => "query",
        Location::Header => "header",
        Location::Cookie => "cookie",
        Location::Body => "body",
    }
}

/// Where the values of a request come from, as far as it is gathered.
struct Places {
    path: BTreeMap<String, PathValue>,
    parameters: Vec<Parameter>,
    /// What the operator injects that has a place.
    injected: BTreeSet<String>,
}

impl<'d> Reader<'_, 'd> {
    /// The tool for an operation.
    ///
    /// # Errors
    /// Why there is none, in a sentence.
    pub(super) fn tool(&mut self, found: Found<'d>, name: String, base: &Url) -> Result<Tool, String> {
        let hidden = self.hidden.clone();
        let mut schemas = Schemas::new(self.library, self.dialect, Way::Out, &hidden);
        let made = self.made(found, name, base, &mut schemas);
        // Counted also where nothing came of it.
        self.values += schemas.values;
        made
    }

    fn made(
        &mut self,
        found: Found<'d>,
        name: String,
        base: &Url,
        schemas: &mut Schemas<'_, 'd>,
    ) -> Result<Tool, String> {
        let mut arguments =
            Arguments { properties: Map::new(), required: BTreeSet::new(), taken: Taken::default(), open: false };
        let mut places = self.places(found, schemas, &mut arguments)?;
        let path = self.path(found.path, base, &mut places, &mut arguments)?;
        let mut body = self.body(found, schemas, &mut arguments)?;
        self.inject(found.method, &mut places, &mut body);
        let definitions = schemas.definitions()?;
        let in_part = if schemas.cut { "\n\nIts arguments are described in part only." } else { "" };
        let input = usable(arguments.schema(definitions))?;
        let output = self.output(found);
        let method = found.method.to_ascii_uppercase();
        let (annotations, risk) = harm(&method);
        let definition = Definition {
            name,
            title: found.node.text("summary").map(|text| line(text, MOST_OF_TITLE)).filter(|text| !text.is_empty()),
            description: self.description(found) + in_part,
            input_schema: input,
            output_schema: output,
            annotations,
            risk,
        };
        let operation = Operation { method, path, parameters: places.parameters, body, accept: self.accept(found) };
        let tags = found.node.at("tags").into_iter().flat_map(Node::items);
        Ok(Tool {
            definition,
            operation,
            path: found.path.to_owned(),
            id: found.node.text("operationId").map(|id| clean(id, 200)),
            tags: tags.take(MOST_NAMED).filter_map(|tag| Some(line(tag.value.as_str()?, 80))).collect(),
            security: scheme::required(self.library, found.node),
        })
    }

    /// The parameters of the path item and of the operation, which replaces those of the same name and place.
    fn places(
        &self,
        found: Found<'d>,
        schemas: &mut Schemas<'_, 'd>,
        arguments: &mut Arguments,
    ) -> Result<Places, String> {
        let mut declared: Vec<Node<'d>> = Vec::new();
        let n_declared = [found.item, found.node].map(|of| of.at("parameters").map_or(0, |all| all.items().count()));
        if n_declared.iter().any(|n| *n > MOST_ARGUMENTS) {
            return Err(format!("it takes more than {MOST_ARGUMENTS} arguments"));
        }
        for of in [found.item, found.node] {
            for node in of.at("parameters").into_iter().flat_map(Node::items) {
                let node = self.library.follow(node)?;
                let same = |other: &Node<'_>| ["name", "in"].iter().all(|key| other.value[*key] == node.value[*key]);
                declared.retain(|other| !same(other));
                declared.push(node);
            }
        }
        let mut places = Places { path: BTreeMap::new(), parameters: Vec::new(), injected: BTreeSet::new() };
        let (mut withheld, mut spread) = (Vec::new(), false);
        for node in declared {
            let Some(name) = node.text("name") else { continue };
            let Some(at) = location(node.text("in")) else { continue };
            match self.source(node, name, at, schemas, arguments, &mut places)? {
                Some(from) => place_value(node, name, at, from, &mut places),
                None => withheld.push((name.to_owned(), at)),
            }
            spread |= self.may_be_object(node);
        }
        if spread {
            places.parameters.extend(scheme::nobodys(withheld, &self.credentials, &places.parameters));
        }
        Ok(places)
    }

    /// Whether an object can be given for a parameter, whose keys are names of their own then.
    fn may_be_object(&self, node: Node<'d>) -> bool {
        // Without a schema it is a text.
        let Some(schema) = node.at("schema").and_then(|schema| self.library.follow(schema).ok()) else { return false };
        let declared = schema.text("type");
        !matches!(declared, Some("string" | "integer" | "number" | "boolean" | "array"))
    }

    /// Where the value of a parameter comes from: none if it is not sent at all.
    fn source(
        &self,
        node: Node<'d>,
        name: &str,
        at: Location,
        schemas: &mut Schemas<'_, 'd>,
        arguments: &mut Arguments,
        places: &mut Places,
    ) -> Result<Option<Source>, String> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let in_head = matches!(at, Location::Header | Location::Cookie);
        if in_head && (name.is_empty() || !name.bytes().all(is_token)) {
            return Err(format!("`{}` can be no name of a header or a cookie", quotable(name, 80)));
        }
        let is_in = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
        if at == Location::Header && (is_in(&CONNECTION_HEADERS) || is_in(&OPERATORS_HEADERS)) {
            return Ok(None);
        }
        if let Some(injected) = self.injected(name) {
            if injected.at.is_none_or(|wanted| wanted == at) {
                places.injected.insert(injected.name.clone());
                return Ok(Some(Source::Injected(injected.name.clone())));
            }
            return Ok(None);
        }
        if self.is_withheld(node, name, at) {
            return Ok(None);
        }
        let content = node.at("content").and_then(|content| content.fields().next());
        let schema = node.at("schema").or_else(|| content.and_then(|(_, media)| media.at("schema")));
        let mut schema = match schema {
            Some(schema) => schemas.schema(schema, Level::Inner)?,
            None => json!({ "type": "string" }),
        };
        describe(&mut schema, node);
        let required = at == Location::Path || node.is_true("required");
        if required {
            filled(&mut schema, at);
        }
        Ok(Some(Source::Argument(arguments.add(name, at, schema, required)?)))
    }

    /// Whether a header, a cookie or a key in the query is nothing a caller should give.
    fn is_withheld(&self, node: Node<'_>, name: &str, at: Location) -> bool {
        let lower = name.to_ascii_lowercase();
        let given = at == Location::Header && self.options.given_headers.contains(&lower);
        let credential = self.credentials.contains(&(lower.clone(), at));
        let in_head = matches!(at, Location::Header | Location::Cookie);
        let proof = in_head && CREDENTIALS.contains(&lower.as_str());
        let optional = in_head && self.options.optional_headers == OptionalHeaders::Hidden && !node.is_true("required");
        given || credential || proof || optional
    }

    pub(super) fn injected(&self, name: &str) -> Option<&Injected> {
        let argument = argument(name);
        let same = |injected: &&Injected| {
            injected.name.eq_ignore_ascii_case(name) || injected.name.eq_ignore_ascii_case(&argument)
        };
        self.options.injected.iter().find(same)
    }

    /// The path in pieces, below the base's own.
    fn path(
        &self,
        template: &str,
        base: &Url,
        places: &mut Places,
        arguments: &mut Arguments,
    ) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::new();
        let mut text = base.path().trim_end_matches('/').to_owned();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err("its path has a brace that does not close".to_owned());
            };
            text.push_str(&fixed(before)?);
            let value = match places.path.get(name) {
                Some(value) => value.clone(),
                None => self.undeclared(name, places, arguments)?,
            };
            pieces.extend((!text.is_empty()).then(|| Piece::Text(std::mem::take(&mut text))));
            pieces.push(Piece::Value(value));
            rest = after;
        }
        text.push_str(&fixed(rest)?);
        pieces.extend((!text.is_empty()).then_some(Piece::Text(text)));
        let example: String = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Value(_) => "x",
            })
            .collect();
        if !example.starts_with('/') || example.starts_with("//") {
            return Err("its path does not begin with one `/`".to_owned());
        }
        path_segments(&example).map_err(|ambiguous| format!("its path {}", ambiguous.0))?;
        Ok(pieces)
    }

    /// A value in a path that nobody declared.
    fn undeclared(&self, name: &str, places: &mut Places, arguments: &mut Arguments) -> Result<PathValue, String> {
        let from = match self.injected(name) {
            Some(injected) => {
                places.injected.insert(injected.name.clone());
                Source::Injected(injected.name.clone())
            }
            None => {
                let schema = json!({ "type": "string", "minLength": 1 });
                Source::Argument(arguments.add(name, Location::Path, schema, true)?)
            }
        };
        let value = PathValue { from, name: name.to_owned(), style: Style::Simple, explode: false };
        places.path.insert(name.to_owned(), value.clone());
        Ok(value)
    }

    /// Gives a place to what the operator injects and the document does not know.
    fn inject(&self, method: &str, places: &mut Places, body: &mut Option<Body>) {
        use bailiwick_operation::{Content, InjectedField, Kind};
        for injected in &self.options.injected {
            let in_body =
                body.as_ref().is_some_and(|body| body.injected.iter().any(|field| field.from == injected.name));
            if places.injected.contains(&injected.name) || in_body {
                continue;
            }
            let sends = matches!(method, "post" | "put" | "patch");
            let takes_fields = body.as_ref().is_none_or(|body| !matches!(body.kind, Kind::Text | Kind::Bytes));
            let at = injected.at.unwrap_or(if sends && takes_fields { Location::Body } else { Location::Query });
            match at {
                Location::Body if takes_fields && (sends || body.is_some()) => {
                    let empty = || Body {
                        media: "application/json".to_owned(),
                        kind: Kind::Json,
                        content: Content::Fields { fields: Vec::new(), open: false },
                        required: true,
                        injected: Vec::new(),
                    };
                    let field = InjectedField { from: injected.name.clone(), name: injected.name.clone() };
                    body.get_or_insert_with(empty).injected.push(field);
                }
                // Nothing in it that could be filled: the template names all there is.
                Location::Path | Location::Body => {}
                Location::Query | Location::Header | Location::Cookie => places.parameters.push(Parameter {
                    from: Source::Injected(injected.name.clone()),
                    name: injected.name.clone(),
                    at,
                    style: if at == Location::Header { Style::Simple } else { Style::Form },
                    explode: at != Location::Header,
                    reserved: false,
                }),
            }
        }
    }

    fn description(&self, found: Found<'_>) -> String {
        let part = |key| {
            found
                .node
                .text(key)
                .or_else(|| found.item.text(key))
                .map(|text| clean(text, MOST_OF_OPERATION))
                .unwrap_or_default()
        };
        let (summary, long) = (part("summary"), part("description"));
        let mut text = match (summary.as_str(), long.as_str()) {
            ("", "") => format!("{} {}", found.method.to_ascii_uppercase(), found.path),
            (summary, "") => summary.to_owned(),
            (summary, long) if summary.is_empty() || long.starts_with(summary) => long.to_owned(),
            (summary, long) => format!("{summary}\n\n{long}"),
        };
        if found.node.is_true("deprecated") {
            text.insert_str(0, "Deprecated. ");
        }
        clean(&text, MOST_OF_OPERATION)
    }
}

/// The schema as text, if arguments can be checked against it. What is too long loses its texts first, and a pattern that
/// is none here, because it looks ahead or back, is left out.
fn usable(mut schema: Value) -> Result<String, String> {
    let mut text = schema.to_string();
    if text.len() > MOST_INPUT {
        prune(&mut schema, &|keyword, rule| {
            matches!(keyword, "description" | "title") && rule.is_string() || keyword == "examples" && rule.is_array()
        });
        text = schema.to_string();
    }
    if text.len() > MOST_INPUT {
        return Err(format!("its arguments take {} bytes to describe; at most {MOST_INPUT} are taken", text.len()));
    }
    if compiles(&text).is_ok() {
        return Ok(text);
    }
    without_patterns(&mut schema, &|pattern| {
        compiles(&json!({ "properties": { "p": { "pattern": pattern } } }).to_string()).is_ok()
    });
    text = schema.to_string();
    if compiles(&text).is_err() {
        without_patterns(&mut schema, &|_| false);
        text = schema.to_string();
    }
    compiles(&text).map(|()| text)
}

fn compiles(schema: &str) -> Result<(), String> {
    let compiled = ArgumentSchema::compile(schema, &[], Map::new());
    compiled.map(drop).map_err(|error| quotable(&error.to_string(), 300))
}

/// Takes out keywords. A property may be called like one too: its rule is an object.
fn prune(schema: &mut Value, goes: &dyn Fn(&str, &Value) -> bool) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|keyword, rule| !goes(keyword, rule));
            fields.values_mut().for_each(|inner| prune(inner, goes));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| prune(inner, goes)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn without_patterns(schema: &mut Value, holds: &dyn Fn(&str) -> bool) {
    prune(schema, &|keyword, rule| match rule {
        Value::String(pattern) => keyword == "pattern" && !holds(pattern),
        Value::Object(rules) => keyword == "patternProperties" && !rules.keys().all(|pattern| holds(pattern)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    });
}

/// What a method promises. POST and PATCH promise nothing.
pub(super) fn harm(method: &str) -> (Annotations, Risk) {
    let said =
        |read_only, destructive, idempotent| Annotations { read_only, destructive, idempotent, open_world: Some(true) };
    match method {
        "GET" | "HEAD" | "OPTIONS" => (said(Some(true), Some(false), Some(true)), Risk::Low),
        "DELETE" => (said(Some(false), Some(true), Some(true)), Risk::High),
        "PUT" => (said(Some(false), Some(true), Some(true)), Risk::Medium),
        _ => (said(Some(false), None, None), Risk::Medium),
    }
}

/// What a document says of a parameter, on its schema.
pub(super) fn describe(schema: &mut Value, node: Node<'_>) {
    if !schema.is_object() {
        *schema = json!({});
    }
    if let Some(text) = node.text("description").map(|text| clean(text, MOST_OF_PART)).filter(|text| !text.is_empty()) {
        schema["description"] = text.into();
    }
    if node.is_true("deprecated") {
        schema["deprecated"] = true.into();
    }
}

/// Says that a value has to be there where nothing else stands for none: a path has no empty segment, and an empty list
/// leaves no trace in a query.
fn filled(schema: &mut Value, at: Location) {
    if let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") {
        alternatives.retain(|one| one["type"] != "null");
        alternatives.iter_mut().for_each(|one| filled(one, at));
    }
    let Some(fields) = schema.as_object_mut() else { return };
    let tells = ["type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"];
    if at == Location::Path && !tells.iter().any(|keyword| fields.contains_key(*keyword)) {
        fields.insert("type".to_owned(), json!(["string", "number", "boolean"]));
    }
    if let Some(Value::Array(kinds)) = fields.get_mut("type") {
        kinds.retain(|kind| kind != "null");
    }
    let is = |kind: &str| match fields.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(kinds)) => kinds.iter().any(|other| other == kind),
        Some(_) | None => false,
    };
    let bound = match at {
        _ if is("array") => "minItems",
        Location::Path if is("string") => "minLength",
        Location::Path | Location::Query | Location::Header | Location::Cookie | Location::Body => return,
    };
    if fields.get(bound).is_none_or(|least| least == 0) {
        fields.insert(bound.to_owned(), 1.into());
    }
}

fn location(text: Option<&str>) -> Option<Location> {
    match text? {
        "path" => Some(Location::Path),
        "query" => Some(Location::Query),
        "header" => Some(Location::Header),
        "cookie" => Some(Location::Cookie),
        _ => None,
    }
}

pub(super) fn style(text: Option<&str>) -> Option<Style> {
    match text? {
        "simple" => Some(Style::Simple),
        "form" => Some(Style::Form),
        "spaceDelimited" => Some(Style::Space),
        "pipeDelimited" => Some(Style::Pipe),
        "tabDelimited" => Some(Style::Tab),
        "deepObject" => Some(Style::Deep),
        "label" => Some(Style::Label),
        "matrix" => Some(Style::Matrix),
        _ => None,
    }
}

fn place_value(node: Node<'_>, name: &str, at: Location, from: Source, places: &mut Places) {
    let usual = if matches!(at, Location::Query | Location::Cookie) { Style::Form } else { Style::Simple };
    let is_json = node.at("content").and_then(|content| content.fields().next());
    let style = match is_json {
        Some((media, _)) if media.contains("json") => Style::Json,
        Some(_) | None => style(node.text("style")).unwrap_or(usual),
    };
    let explode = node.value.get("explode").and_then(Value::as_bool).unwrap_or(style == Style::Form);
    let name = name.to_owned();
    match at {
        Location::Path => {
            places.path.insert(name.clone(), PathValue { from, name, style, explode });
        }
        Location::Query | Location::Header | Location::Cookie | Location::Body => {
            places.parameters.push(Parameter {
                from,
                name,
                at,
                style,
                explode,
                reserved: node.is_true("allowReserved"),
            });
        }
    }
}

/// A part of a path that stays as it is, encoded.
fn fixed(text: &str) -> Result<String, String> {
    if text.contains(['?', '#']) {
        return Err("its path goes on with a query or a fragment".to_owned());
    }
    if text.contains('}') || hidden(text) {
        return Err("its path has a brace that does not open, or hides a character".to_owned());
    }
    let bytes = text.as_bytes();
    let is_escape = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    let mut encoded = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        if character == '%' && !is_escape(at) {
            encoded.push_str("%25");
        } else {
            encoded.extend(utf8_percent_encode(character.encode_utf8(&mut [0; 4]), IN_PATH));
        }
    }
    Ok(encoded)
}
