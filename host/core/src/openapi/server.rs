//! Where a service is. The operator says it; a document can add a path to that, never another origin.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::parse::DocumentError;
use super::reference::Node;
use super::text::{clean, line};
use crate::redact::quotable;

/// An address a document gives, with names in braces that have values of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// As the document writes it; relative to the document's own address if it has no origin.
    pub url: String,
    /// What it says of it.
    pub description: Option<String>,
    /// Its variables.
    pub variables: BTreeMap<String, Variable>,
}

/// A part of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// What it is unless somebody chooses.
    pub default: String,
    /// What can be chosen; empty for anything.
    pub choices: Vec<String>,
}

/// Bytes of an address.
const MOST_OF_ADDRESS: usize = 2048;
/// Names in braces in one of them.
const MOST_VARIABLES: usize = 16;
/// Addresses tried for one template at most.
const MOST_CHOICES: usize = 64;

impl Server {
    pub(super) fn read(node: Node<'_>) -> Option<Self> {
        let variable = |node: Node<'_>| Variable {
            default: node.at("default").map(|default| plain(default.value)).unwrap_or_default(),
            choices: node.at("enum").into_iter().flat_map(Node::items).map(|choice| plain(choice.value)).collect(),
        };
        Some(Self {
            url: node.text("url").map(str::trim).filter(|url| url.len() <= MOST_OF_ADDRESS)?.to_owned(),
            description: node.text("description").map(|text| line(text, 200)),
            variables: node
                .at("variables")
                .into_iter()
                .flat_map(Node::fields)
                .take(MOST_VARIABLES)
                .map(|(name, node)| (name.to_owned(), variable(node)))
                .collect(),
        })
    }

    /// The addresses it stands for: that of all defaults first, then those with one of them chosen otherwise.
    fn addresses(&self) -> Vec<String> {
        let filled = |chosen: Option<(&str, &str)>| {
            self.variables.iter().fold(self.url.clone(), |url, (name, variable)| {
                let value =
                    chosen.filter(|(which, _)| which == name).map_or(variable.default.as_str(), |(_, value)| value);
                url.replace(&format!("{{{name}}}"), value)
            })
        };
        let chosen = self.variables.iter().flat_map(|(name, variable)| {
            variable.choices.iter().map(move |choice| Some((name.as_str(), choice.as_str())))
        });
        std::iter::once(None).chain(chosen).take(MOST_CHOICES).map(filled).collect()
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => clean(text, 256),
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            clean(&other.to_string(), 256)
        }
    }
}

/// The base of all requests: its origin is `operator`'s, and so is its path if that has one. Else the path is that of the
/// first server of the same origin, or without one. None if all servers are elsewhere.
///
/// Without an `operator` it is the first server, which the operator has to agree to.
///
/// # Errors
/// Neither the operator nor the document says where the service is.
pub fn base(servers: &[Server], operator: Option<&Url>, document: Option<&Url>) -> Result<Option<Url>, DocumentError> {
    let Some(operator) = operator else { return first(servers, document).map(Some) };
    if operator.path() != "/" {
        return Ok(Some(tidy(operator.clone())));
    }
    if servers.is_empty() {
        return Ok(Some(tidy(operator.clone())));
    }
    Ok(same_origin(servers, operator, document))
}

/// The first of `servers` that is at the operator's origin.
pub(super) fn same_origin(servers: &[Server], operator: &Url, document: Option<&Url>) -> Option<Url> {
    let at = document.filter(|document| document.origin() == operator.origin()).unwrap_or(operator);
    let addresses = servers.iter().flat_map(Server::addresses);
    // An address without an origin of its own: `//host/path` has one.
    let mut joined = addresses.filter_map(|address| at.join(&address).ok());
    joined.find(|url| url.origin() == operator.origin() && is_plain(url)).map(tidy)
}

fn first(servers: &[Server], document: Option<&Url>) -> Result<Url, DocumentError> {
    let address = servers.first().and_then(|server| server.addresses().into_iter().next());
    let address = address.filter(|address| !address.is_empty()).ok_or(DocumentError::NoServer)?;
    let refused = |reason| DocumentError::Server { url: quotable(&address, 200), reason };
    let url = match document {
        Some(document) => document.join(&address),
        None => Url::parse(&address),
    };
    let url = url.map_err(|_| refused("it has no origin"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(refused("it is no address of the web"));
    }
    if url.host_str().is_some_and(|host| host.contains(['{', '}', '%'])) || !is_plain(&url) {
        return Err(refused("parts of it are left open"));
    }
    Ok(tidy(url))
}

/// Whether all of an address is origin and path, with nothing left in braces.
fn is_plain(url: &Url) -> bool {
    let no_braces = !["{", "}", "%7B", "%7D", "%7b", "%7d"].iter().any(|brace| url.path().contains(brace));
    no_braces && url.username().is_empty() && url.password().is_none() && url.query().is_none()
}

fn tidy(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    url
}
