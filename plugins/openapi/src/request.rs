//! The request of one call: an operation with values in its places.
//!
//! A value never reaches beyond its place: it is one segment of the path, one value of the query, one header field.

use bailiwick_operation::{Body, Kind, Location, Operation, Parameter, PathValue, Piece, Source};
use bailiwick_sdk::Failure;
use serde_json::{Map, Value};
use url::Url;

use crate::body;
use crate::encode::{For, encode, literal};
use crate::header;
use crate::style::{self, Pair};
use crate::values::{Names, Values};

/// Longest URL that is sent. Servers give up between 8 and 64 KiB.
const MAX_URL: usize = 64 << 10;

/// Ready to be sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: Url,
    /// One field per name.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

/// What a call is about.
pub(crate) struct Call<'c> {
    pub(crate) operation: &'c Operation,
    /// An origin, perhaps with a path.
    pub(crate) base: &'c Url,
    pub(crate) given: &'c Map<String, Value>,
    pub(crate) injected: &'c Map<String, Value>,
    /// Separates the parts of a multipart body. No caller can foresee it.
    pub(crate) boundary: &'c str,
}

/// Builds the request.
///
/// # Errors
///
/// `arguments.invalid` names the argument; `plugin.not-configured` says what the operation lacks.
pub(crate) fn build(call: &Call<'_>) -> Result<Request, Failure> {
    let Call { operation, base, given, injected, boundary } = *call;
    if !is_method(&operation.method) {
        return Err(Failure::not_configured(format!("The operation's method `{}` is none.", operation.method)));
    }
    let mut values = Values::new(given, injected);
    let (path, literal_query) = path(&operation.path, &mut values)?;
    let mut parts = Parts::new(operation, &literal_query);
    for parameter in &operation.parameters {
        parts.add(parameter, &mut values)?;
    }
    let written = match &operation.body {
        Some(body) if goes_into_query(operation, body)? => {
            let names = std::mem::take(&mut parts.query_names);
            parts.query.extend(body::pairs(body, &mut values, names)?);
            None
        }
        Some(body) => body::write(body, &mut values, boundary)?,
        None => None,
    };
    if let Some((name, _)) = values.rest().next() {
        return Err(Failure::invalid(format!("This tool has no argument `{}`.", name.escape_debug())));
    }
    let url = url(base, &path, literal_query, &parts.query)?;
    let Parts { mut headers, cookies, .. } = parts;
    if !cookies.is_empty() {
        let cookies: Vec<String> = cookies.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        header::set(&mut headers, "Cookie", cookies.join("; "));
    }
    let accept = if operation.accept.is_empty() { "*/*" } else { &operation.accept };
    header::set(&mut headers, "Accept", header::checked("Accept", accept)?);
    let body = written.map(|(kind, bytes)| {
        header::set(&mut headers, "Content-Type", kind);
        bytes
    });
    Ok(Request { method: operation.method.clone(), url, headers, body })
}

/// What an operation can be. TRACE and CONNECT cannot.
fn is_method(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS")
}

/// Whether this body is the form of a GET, which goes into the query as on the web.
fn goes_into_query(operation: &Operation, body: &Body) -> Result<bool, Failure> {
    match (operation.method.as_str(), body.kind) {
        (_, Kind::Query) | ("GET" | "HEAD", Kind::Form) => Ok(true),
        ("GET" | "HEAD", Kind::Json | Kind::Multipart | Kind::Text | Kind::Bytes) => Err(Failure::not_configured(
            format!("The operation has a body, and what a {} carries has no meaning.", operation.method),
        )),
        _ => Ok(false),
    }
}

/// The path with its values, and the query that the template itself has.
fn path(pieces: &[Piece], values: &mut Values<'_>) -> Result<(String, String), Failure> {
    let mut whole = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => whole.push_str(&literal(text)),
            Piece::Value(value) => whole.push_str(&path_value(value, values, whole.contains('?'))?),
        }
    }
    let (path, query) = whole.split_once('?').unwrap_or((&whole, ""));
    if !path.starts_with('/') || whole.contains('#') {
        return Err(Failure::not_configured("The operation's path is no path below an origin."));
    }
    if climbs(path) {
        return Err(match pieces.iter().any(|piece| matches!(piece, Piece::Value(_))) {
            true => Failure::invalid("A segment of the path would be `.` or `..`, which leads elsewhere."),
            false => {
                Failure::not_configured("A segment of the operation's path is `.` or `..`, which leads elsewhere.")
            }
        });
    }
    Ok((path.to_owned(), query.to_owned()))
}

/// Whether a segment is one that URLs have no way to spell, `%2e` included: whoever reads it goes up a directory.
fn climbs(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."))
}

fn path_value(place: &PathValue, values: &mut Values<'_>, in_query: bool) -> Result<String, Failure> {
    let PathValue { from, name, style, explode } = place;
    let value = values.take(from);
    let text = value.and_then(|value| style::inline(name, value, *style, *explode, For::Value)).unwrap_or_default();
    if text.is_empty() && !in_query {
        return Err(Failure::invalid(format!("`{name}` is missing or empty: the path needs a value there.")));
    }
    Ok(text)
}

/// What parameters add up to.
struct Parts {
    query: Vec<Pair>,
    query_names: Names,
    headers: Vec<(String, String)>,
    cookies: Vec<Pair>,
    cookie_names: Names,
}

impl Parts {
    fn new(operation: &Operation, literal_query: &str) -> Self {
        let [mut query_names, mut cookie_names] = [Names::default(), Names::default()];
        for (name, _) in url::form_urlencoded::parse(literal_query.as_bytes()) {
            query_names.add_operators(name.into_owned());
        }
        for Parameter { from, name, at, .. } in &operation.parameters {
            match at {
                Location::Query => query_names.add(name, from),
                Location::Cookie => cookie_names.add(name, from),
                Location::Header | Location::Path | Location::Body => {}
            }
        }
        let agent = concat!("bailiwick/", env!("CARGO_PKG_VERSION"), " (openapi)");
        let headers = vec![("User-Agent".to_owned(), agent.to_owned())];
        Self { query: Vec::new(), query_names, headers, cookies: Vec::new(), cookie_names }
    }

    fn add(&mut self, parameter: &Parameter, values: &mut Values<'_>) -> Result<(), Failure> {
        let Parameter { from, name, at, style, explode, reserved } = parameter;
        let Some(value) = values.take(from) else { return Ok(()) };
        let by_operator = matches!(from, Source::Injected(_));
        match at {
            Location::Query => {
                let place = if *reserved { For::Reserved } else { For::Value };
                for pair in style::pairs(name, value, *style, *explode, place) {
                    if by_operator || pair.0 == *name || self.query_names.allow(&pair.0, values)? {
                        self.query.push(pair);
                    }
                }
            }
            Location::Cookie => {
                for pair in style::pairs(name, value, *style, *explode, For::Cookie) {
                    if by_operator || pair.0 == *name || self.cookie_names.allow(&pair.0, values)? {
                        self.cookies.push((header::cookie_name(&pair.0)?, pair.1));
                    }
                }
            }
            Location::Header => {
                let text = style::inline(name, value, *style, *explode, For::Header);
                if let Some(text) = text.filter(|_| header::may_be_sent(name, by_operator)) {
                    header::set(&mut self.headers, name, header::checked(name, &text)?);
                }
            }
            Location::Path | Location::Body => {
                let sentence = format!("The operation has the parameter `{name}` where none can be.");
                return Err(Failure::not_configured(sentence));
            }
        }
        Ok(())
    }
}

/// The whole address, which says what was meant or is none.
fn url(base: &Url, path: &str, literal_query: String, pairs: &[Pair]) -> Result<Url, Failure> {
    let mut query = literal_query;
    for (name, value) in pairs {
        if !query.is_empty() && !query.ends_with('&') {
            query.push('&');
        }
        query.push_str(&encode(name, For::Value));
        query.push('=');
        query.push_str(value);
    }
    let before = base[..url::Position::AfterPath].trim_end_matches('/');
    let mark = if query.is_empty() { "" } else { "?" };
    let text = format!("{before}{path}{mark}{query}");
    if text.len() > MAX_URL {
        return Err(Failure::invalid(format!("The arguments make an address of more than {} KiB.", MAX_URL >> 10)));
    }
    let broken = || Failure::not_configured("The operation's path makes no address below the service's own.");
    let url = Url::parse(&text).map_err(|_| broken())?;
    // What the parser changed would be another request than the one that was built.
    if url.as_str() != text || url.origin() != base.origin() {
        return Err(broken());
    }
    Ok(url)
}
