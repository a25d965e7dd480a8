//! An HTTP service, described by an OpenAPI document (3.1, 3.0, or Swagger 2.0), as tools.
//!
//! A document is data that somebody else wrote. [`parse`] makes one bounded value of it, [`read`] a [`Service`]: every
//! operation is a [`Tool`] or is [`LeftOut`] with the reason. What a document says decides about names, arguments and
//! paths below the operator's origin, never about where a request goes, who sends it, or what the operator injects.

mod advice;
mod body;
mod file;
mod names;
mod operation;
mod output;
mod parse;
mod reference;
mod request;
mod schema;
mod scheme;
mod server;
mod swagger;
mod text;
mod yaml;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bailiwick_operation::{Location, Operation};
use serde_json::Value;
use url::Url;

pub use self::advice::advice;
pub use self::file::{artifact_in, contents, file_arguments};
pub use self::names::{Naming, Pattern};
pub use self::parse::{DocumentError, Format, MAX_DEPTH, MAX_DOCUMENT, MAX_VALUES, parse};
pub use self::reference::elsewhere;
pub use self::request::request;
pub use self::scheme::{Scheme, SchemeKind};
pub use self::server::{Server, Variable, base};

use self::names::{Named, Taken, excluded};
use self::operation::{Found, METHODS, Reader};
use self::reference::{Library, Node};
use self::schema::{Dialect, Hidden};
use self::text::{MOST_OF_TITLE, line};
use crate::redact::quotable;
use crate::registry::{Definition, MAX_SERVICE_TOOLS};

/// Operations of one document that become tools.
pub const MAX_OPERATIONS: usize = MAX_SERVICE_TOOLS;
/// Schemas and keywords in the schemas of all tools.
const MOST_VALUES: usize = 1_500_000;

/// What the operator says about a service.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where it is. Without it the document's first server is taken, and the operator has to agree.
    pub url: Option<Url>,
    /// Where the document came from: relative references and servers start there.
    pub document: Option<Url>,
    /// Other documents it may refer to, by address.
    pub others: BTreeMap<Url, Value>,
    /// How tools are named.
    pub naming: Naming,
    /// Which operations become tools; empty means all.
    pub include: Vec<Pattern>,
    /// Which do not, whatever `include` says.
    pub exclude: Vec<Pattern>,
    /// What the operator fills. No schema shows it.
    pub injected: Vec<Injected>,
    /// Headers the operator gives with every request, in small letters. No schema shows them.
    pub given_headers: BTreeSet<String>,
    /// Whether callers see headers and cookies that may be left out.
    pub optional_headers: OptionalHeaders,
}

/// A value the operator fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injected {
    /// What it is called, in any case.
    pub name: String,
    /// Where it goes; none for where the document declares it, else the body or, without one, the query.
    pub at: Option<Location>,
}

/// Whether callers see headers and cookies that may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OptionalHeaders {
    /// They are never sent.
    #[default]
    Hidden,
    /// They are arguments like all others.
    Shown,
}

/// A service as its document describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What it calls itself, on one line.
    pub title: String,
    /// The version of its document.
    pub version: Option<String>,
    /// The base of all requests. Each [`Operation`] has the whole path; only the origin of this is needed beside it.
    pub base: Url,
    /// Its tools, by path and method.
    pub tools: Vec<Tool>,
    /// How it wants callers to prove who they are.
    pub schemes: Vec<Scheme>,
    /// Where the document says it is.
    pub servers: Vec<Server>,
    /// What did not become a tool.
    pub left_out: Vec<LeftOut>,
}

/// An operation that is no tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its method and path.
    pub operation: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// An operation that is a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    definition: Definition,
    operation: Operation,
    /// The path as the document writes it.
    pub path: String,
    /// The document's `operationId`.
    pub id: Option<String>,
    /// The groups the document puts it in.
    pub tags: Vec<String>,
    /// The schemes it wants, as lists of names: one of the lists, all of it. None at all, or an empty one, wants nothing.
    pub security: Vec<Vec<String>>,
}

impl Tool {
    /// What callers are told.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// What is done.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.operation
    }
}

/// Reads a document.
///
/// # Errors
/// It describes no service, or nobody says where that is. An operation that cannot be a tool is no error: see
/// [`Service::left_out`].
pub fn read(document: &Value, options: &Options) -> Result<Service, DocumentError> {
    let (document, dialect) = version(document)?;
    let library = Library::new(&document, options.document.as_ref(), &options.others);
    let root = library.root();
    let servers = servers(root);
    let found_base = base(&servers, options.url.as_ref(), options.document.as_ref())?;
    // Where all servers are elsewhere the operator's word stands alone.
    let base = found_base.or_else(|| options.url.clone()).ok_or(DocumentError::NoServer)?;
    let schemes = scheme::schemes(&library);
    let mut service = Service {
        title: info(root, "title").unwrap_or_else(|| base.host_str().unwrap_or_default().to_owned()),
        version: info(root, "version"),
        base: base.clone(),
        tools: Vec::new(),
        left_out: Vec::new(),
        servers,
        schemes,
    };
    let mut reader = Reader {
        library: &library,
        dialect,
        options,
        hidden: Hidden::new(options.injected.iter().map(|injected| injected.name.as_str())),
        credentials: scheme::places(&service.schemes),
        values: 0,
        results: BTreeMap::new(),
    };
    let mut taken = Taken::default();
    for (path, item) in paths(root) {
        let item = match library.follow(item) {
            Ok(item) => item,
            Err(reason) => {
                service.left_out.push(LeftOut { operation: quotable(path, 200), reason });
                continue;
            }
        };
        for method in METHODS {
            let Some(node) = item.at(method).filter(|node| node.value.is_object()) else { continue };
            let found = Found { method, path, item, node };
            match one(&mut reader, found, &mut taken, &base, service.tools.len()) {
                Ok(tool) => service.tools.push(tool),
                Err(reason) => service.left_out.push(LeftOut { operation: shown(found), reason }),
            }
        }
    }
    Ok(service)
}

/// The tool for one operation, or why there is none. Its name is taken all the same: what is left out does not rename others.
fn one<'d>(
    reader: &mut Reader<'_, 'd>,
    found: Found<'d>,
    taken: &mut Taken,
    base: &Url,
    n_tools: usize,
) -> Result<Tool, String> {
    let Found { path, item, node, .. } = found;
    let method = found.method.to_ascii_uppercase();
    let options = reader.options;
    let id = node.text("operationId");
    let wanted = options.naming.wanted(&Named { method: &method, path, id, tool_name: node.text("x-tool-name") })?;
    let name = taken.give(&wanted);
    if let Some(reason) = excluded(&method, path, &options.include, &options.exclude) {
        return Err(reason.to_owned());
    }
    if method == "TRACE" {
        return Err("TRACE sends back whatever it is given, secrets too".to_owned());
    }
    if n_tools == MAX_OPERATIONS {
        return Err(format!("there are {MAX_OPERATIONS} tools already; `include` those that are needed"));
    }
    if reader.values > MOST_VALUES {
        return Err("the document describes more than is taken; `include` the operations that are needed".to_owned());
    }
    // The servers of an operation, or else of its path, stand in the place of the document's.
    let own = [node, item].into_iter().map(servers).find(|own| !own.is_empty());
    let own = own.map(|own| elsewhere_or(&own, base, options)).transpose()?;
    reader.tool(found, name, own.as_ref().unwrap_or(base))
}

/// The base of an operation that has servers of its own.
fn elsewhere_or(own: &[Server], base: &Url, options: &Options) -> Result<Url, String> {
    let mut origin = base.clone();
    origin.set_path("/");
    let document = options.document.as_ref();
    server::same_origin(own, &origin, document).ok_or_else(|| {
        let address = own.first().map(|server| quotable(&server.url, 120)).unwrap_or_default();
        format!("it is at `{address}`, and the service at `{}`", origin.origin().ascii_serialization())
    })
}

fn shown(found: Found<'_>) -> String {
    format!("{} {}", found.method.to_ascii_uppercase(), quotable(found.path, 200))
}

/// The document as OpenAPI 3, and what its schemas mean.
fn version(document: &Value) -> Result<(Cow<'_, Value>, Dialect), DocumentError> {
    let not = |reason: &str| DocumentError::Not(reason.to_owned());
    if !document.is_object() {
        return Err(not("it is no object"));
    }
    let text = |key: &str| match &document[key] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match (text("openapi"), text("swagger")) {
        (Some(version), _) if version.starts_with("3.0") => Ok((Cow::Borrowed(document), Dialect::Own)),
        (Some(version), _) if version.starts_with("3.") => Ok((Cow::Borrowed(document), Dialect::Standard)),
        (None, Some(version)) if version.starts_with('2') => Ok((Cow::Owned(swagger::modern(document)), Dialect::Own)),
        (Some(version), _) | (None, Some(version)) => {
            Err(not(&format!("version `{}`; 3.1, 3.0 and 2.0 are read", quotable(&version, 40))))
        }
        (None, None) => Err(not("it has neither `openapi` nor `swagger`")),
    }
}

fn info(root: Node<'_>, key: &str) -> Option<String> {
    let text = root.at("info")?.text(key)?;
    Some(line(text, MOST_OF_TITLE)).filter(|text| !text.is_empty())
}

fn servers(node: Node<'_>) -> Vec<Server> {
    node.at("servers").into_iter().flat_map(Node::items).filter_map(Server::read).collect()
}

/// The paths of a document, sorted.
fn paths(root: Node<'_>) -> Vec<(&str, Node<'_>)> {
    let mut paths: Vec<_> =
        root.at("paths").into_iter().flat_map(Node::fields).filter(|(path, _)| !path.starts_with("x-")).collect();
    paths.sort_by_key(|(path, _)| *path);
    paths
}
