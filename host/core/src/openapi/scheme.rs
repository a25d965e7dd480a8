//! How a service wants callers to prove who they are. The operator's secrets answer that, never a caller.

use std::collections::BTreeSet;

use bailiwick_operation::{Location, Parameter, Source, Style};

use super::reference::{Library, Node};
use super::text::clean;

/// One way to prove who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    /// The document's name for it.
    pub name: String,
    /// What it takes.
    pub kind: SchemeKind,
    /// What the document says of it.
    pub description: Option<String>,
}

/// What a scheme takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemeKind {
    /// A key under a name, in a header, the query or a cookie.
    Key {
        /// [`Location::Header`], [`Location::Query`] or [`Location::Cookie`].
        at: Location,
        /// The name of the header, parameter or cookie.
        name: String,
    },
    /// A user's name and password.
    Basic,
    /// A token in `Authorization`.
    Bearer,
    /// OAuth 2.
    OAuth {
        /// Where a client that speaks for itself has its token from; none if only people can have one.
        token_url: Option<String>,
        /// What can be asked for there.
        scopes: Vec<String>,
    },
    /// OpenID Connect.
    OpenId {
        /// Where its configuration is.
        url: String,
    },
    /// Anything else, which no secret answers.
    Other(String),
}

/// Schemes an operation asks for, and lists of them.
const MOST_ASKED: usize = 32;

/// The schemes a document declares, by their order in it.
pub(super) fn schemes(library: &Library<'_>) -> Vec<Scheme> {
    let root = library.root();
    let declared = root.at("components").and_then(|node| node.at("securitySchemes"));
    let declared = declared.or_else(|| root.at("securityDefinitions"));
    let read = |(name, node)| {
        let node = library.follow(node).ok()?;
        let description = node.text("description").map(|text| clean(text, 500));
        Some(Scheme { name: clean(name, 120), kind: kind(node), description })
    };
    declared.into_iter().flat_map(Node::fields).filter_map(read).collect()
}

fn kind(node: Node<'_>) -> SchemeKind {
    let declared = node.text("type").unwrap_or_default();
    match declared {
        "apiKey" => match (location(node.text("in")), node.text("name")) {
            (Some(at), Some(name)) => SchemeKind::Key { at, name: clean(name, 200) },
            (None, _) | (_, None) => SchemeKind::Other("apiKey".to_owned()),
        },
        "basic" => SchemeKind::Basic,
        "http" => match node.text("scheme").unwrap_or_default().to_ascii_lowercase().as_str() {
            "basic" => SchemeKind::Basic,
            "bearer" => SchemeKind::Bearer,
            other => SchemeKind::Other(clean(other, 60)),
        },
        "oauth2" => oauth(node),
        "openIdConnect" => SchemeKind::OpenId { url: clean(node.text("openIdConnectUrl").unwrap_or_default(), 500) },
        other => SchemeKind::Other(clean(other, 60)),
    }
}

fn location(text: Option<&str>) -> Option<Location> {
    match text? {
        "header" => Some(Location::Header),
        "query" => Some(Location::Query),
        "cookie" => Some(Location::Cookie),
        _ => None,
    }
}

/// Swagger 2.0 has one flow and calls it `application`; OpenAPI 3 has a table of them.
fn oauth(node: Node<'_>) -> SchemeKind {
    let flow = match node.at("flows") {
        Some(flows) => flows.at("clientCredentials"),
        None => (node.text("flow") == Some("application")).then_some(node),
    };
    let scopes = flow.and_then(|flow| flow.at("scopes")).into_iter().flat_map(Node::fields);
    SchemeKind::OAuth {
        token_url: flow.and_then(|flow| flow.text("tokenUrl")).map(|url| clean(url, 500)),
        scopes: scopes.map(|(name, _)| clean(name, 200)).collect(),
    }
}

/// The names of schemes an operation asks for: one of the lists, all of it. An empty list asks for nothing.
pub(super) fn required(library: &Library<'_>, operation: Node<'_>) -> Vec<Vec<String>> {
    let declared = operation.at("security").or_else(|| library.root().at("security"));
    let names = |node: Node<'_>| node.fields().take(MOST_ASKED).map(|(name, _)| clean(name, 120)).collect();
    declared.into_iter().flat_map(Node::items).take(MOST_ASKED).map(names).collect()
}

/// Where the keys of `schemes` go, with their names in lower case: nobody else fills these places.
pub(super) fn places(schemes: &[Scheme]) -> BTreeSet<(String, Location)> {
    let place = |scheme: &Scheme| match &scheme.kind {
        SchemeKind::Key { at, name } => Some((name.to_ascii_lowercase(), *at)),
        SchemeKind::Basic
        | SchemeKind::Bearer
        | SchemeKind::OAuth { .. }
        | SchemeKind::OpenId { .. }
        | SchemeKind::Other(_) => None,
    };
    schemes.iter().filter_map(place).collect()
}

/// Parameters that nobody gives, so that no key of an object a caller does give stands for one of them.
pub(super) fn nobodys(
    withheld: Vec<(String, Location)>,
    credentials: &BTreeSet<(String, Location)>,
    given: &[Parameter],
) -> Vec<Parameter> {
    let is_spread = |at: Location| {
        let of_caller = |given: &&Parameter| matches!(given.from, Source::Argument(_)) && given.at == at;
        given.iter().filter(of_caller).any(|given| given.style == Style::Form && given.explode)
    };
    let spread: Vec<Location> = [Location::Query, Location::Cookie].into_iter().filter(|at| is_spread(*at)).collect();
    let mut names: BTreeSet<(String, Location)> = credentials.clone();
    names.extend(withheld.into_iter().map(|(name, at)| (name.to_ascii_lowercase(), at)));
    let nobodys = |(name, at): (String, Location)| Parameter {
        from: Source::Injected(format!("withheld {name}")),
        name,
        at,
        style: Style::Form,
        explode: false,
        reserved: false,
    };
    names.into_iter().filter(|(_, at)| spread.contains(at)).map(nobodys).collect()
}
