//! What the caller wants: the arguments as they came, and what they mean.

use std::collections::BTreeMap;
use std::time::Duration;

use bailiwick_plugin_common::headers;
use bailiwick_sdk::Failure;
use regex::Regex;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use crate::search;

const DEFAULT_LIMIT: usize = 18_000;
const MAX_LIMIT: usize = 100_000;
const DEFAULT_LINKS: usize = 200;
const MAX_LINKS: usize = 2_000;
const DEFAULT_TIMEOUT: u64 = 30;
const MAX_TIMEOUT: u64 = 60;

/// What to make of an HTML page.
#[bailiwick_sdk::args]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Mode {
    #[default]
    Article,
    Links,
    Full,
}

/// An HTTP method.
#[bailiwick_sdk::args]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub(crate) enum Method {
    #[default]
    Get,
    Post,
    Put,
    Delete,
    Head,
}

impl Method {
    /// As it is sent.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
        }
    }

    fn takes_body(self) -> bool {
        match self {
            Self::Post | Self::Put | Self::Delete => true,
            Self::Get | Self::Head => false,
        }
    }
}

/// Text to send as it is, or a value to send as JSON.
#[bailiwick_sdk::args]
#[derive(Clone, Debug, PartialEq)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Body {
    Text(String),
    Object(Map<String, Value>),
    Array(Vec<Value>),
}

/// The arguments of `web_fetch`.
#[bailiwick_sdk::args]
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Arguments {
    /// The address to fetch, beginning with `http://` or `https://`.
    pub(crate) url: String,
    /// What to make of an HTML page. `article` (the default): the main text as Markdown, without menus, adverts and
    /// footers; best for articles and documentation. `full`: the whole page as Markdown; use it when `article` returns
    /// too little. `links`: the links of the page; best for finding one's way in a site.
    pub(crate) mode: Option<Mode>,
    /// Where to begin in the result, counted in characters (in links with mode `links`). Default 0; `truncated` in an
    /// answer names the next one.
    pub(crate) offset: Option<u64>,
    /// How much to return at most: characters (default 18000, at most 100000), or links with mode `links` (default 200,
    /// at most 2000).
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) limit: Option<u64>,
    /// The HTTP method; default GET.
    pub(crate) method: Option<Method>,
    /// More request header fields, by name; for example `{"Accept": "application/json"}`.
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// The request body for POST, PUT and DELETE: text, sent as it is, or a JSON object, sent as JSON.
    pub(crate) body: Option<Body>,
    /// A regular expression (no look-around, no back-references; `(?i)` ignores case). Only the lines that match are
    /// returned, with 3 lines around each; groups of lines are separated by `---`. With mode `links`: only the links
    /// whose text or address matches.
    pub(crate) search: Option<String>,
    /// How long the server may take, in seconds; default 30.
    #[schemars(range(min = 1, max = 60))]
    pub(crate) timeout_seconds: Option<u64>,
}

/// What to fetch and what to make of it.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Without a fragment.
    pub(crate) url: Url,
    pub(crate) mode: Mode,
    pub(crate) method: Method,
    /// Those of the caller and those we add; valid as HTTP.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) search: Option<Regex>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    pub(crate) timeout: Duration,
}

impl TryFrom<Arguments> for Ask {
    type Error = Failure;

    /// # Errors
    ///
    /// `arguments.invalid`, with the name of the argument.
    fn try_from(arguments: Arguments) -> Result<Self, Failure> {
        let mode = arguments.mode.unwrap_or_default();
        let method = arguments.method.unwrap_or_default();
        let (body, body_type) = body(arguments.body)?;
        if body.is_some() && !method.takes_body() {
            return Err(Failure::invalid(format!(
                "`body` cannot go with `method` {}: use POST or PUT.",
                method.as_str()
            )));
        }
        Ok(Self {
            url: url(&arguments.url)?,
            mode,
            method,
            headers: headers(arguments.headers.unwrap_or_default(), body_type)?,
            body,
            search: arguments.search.filter(|pattern| !pattern.is_empty()).map(|p| search::pattern(&p)).transpose()?,
            offset: usize::try_from(arguments.offset.unwrap_or(0)).unwrap_or(usize::MAX),
            limit: limit(arguments.limit, mode)?,
            timeout: timeout(arguments.timeout_seconds)?,
        })
    }
}

fn url(text: &str) -> Result<Url, Failure> {
    let mut url = Url::parse(text.trim())
        .map_err(|error| Failure::invalid(format!("`url` is not a complete web address ({error}).")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Failure::invalid("`url` must begin with `http://` or `https://`."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::invalid("`url` holds a user name or a password: send an `Authorization` header instead."));
    }
    url.set_fragment(None);
    Ok(url)
}

/// The bytes of the body, and the media type to send with them unless the caller names one.
fn body(body: Option<Body>) -> Result<(Option<Vec<u8>>, Option<&'static str>), Failure> {
    let json = match body {
        None => return Ok((None, None)),
        Some(Body::Text(text)) => return Ok(((!text.is_empty()).then(|| text.into_bytes()), None)),
        Some(Body::Object(object)) => Value::Object(object),
        Some(Body::Array(array)) => Value::Array(array),
    };
    Ok((Some(serde_json::to_vec(&json)?), Some("application/json")))
}

fn headers(asked: BTreeMap<String, String>, body_type: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    let ours = [
        Some(("User-Agent", concat!("bailiwick/", env!("CARGO_PKG_VERSION"), " (web_fetch)"))),
        Some(("Accept", "text/html,application/xhtml+xml,text/plain;q=0.9,application/json;q=0.9,*/*;q=0.5")),
        body_type.map(|kind| ("Content-Type", kind)),
    ];
    let mut fields: Vec<(String, String)> = ours
        .into_iter()
        .flatten()
        .filter(|(name, _)| !asked.keys().any(|other| other.eq_ignore_ascii_case(name)))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    headers::check(&asked)?;
    fields.extend(asked);
    Ok(fields)
}

fn limit(limit: Option<u64>, mode: Mode) -> Result<usize, Failure> {
    let (default, max) = match mode {
        Mode::Article | Mode::Full => (DEFAULT_LIMIT, MAX_LIMIT),
        Mode::Links => (DEFAULT_LINKS, MAX_LINKS),
    };
    match limit.map(usize::try_from) {
        None => Ok(default),
        Some(Ok(limit @ 1..=MAX_LIMIT)) => Ok(limit.min(max)),
        Some(_) => Err(Failure::invalid(format!("`limit` must be from 1 to {MAX_LIMIT}."))),
    }
}

fn timeout(seconds: Option<u64>) -> Result<Duration, Failure> {
    match seconds.unwrap_or(DEFAULT_TIMEOUT) {
        seconds @ 1..=MAX_TIMEOUT => Ok(Duration::from_secs(seconds)),
        _ => Err(Failure::invalid(format!("`timeout_seconds` must be from 1 to {MAX_TIMEOUT}."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(json: Value) -> Result<Ask, Failure> {
        Ask::try_from(serde_json::from_value::<Arguments>(json).expect("the arguments match the schema"))
    }

    #[test]
    fn the_schema_names_the_arguments_in_place() {
        let schema = serde_json::to_value(schemars::schema_for!(Arguments)).expect("a schema is JSON");
        let names: Vec<_> = schema["properties"].as_object().expect("an object schema").keys().cloned().collect();
        let expected = ["url", "mode", "offset", "limit", "method", "headers", "body", "search", "timeout_seconds"]
            .map(String::from);
        assert_eq!(names, expected);
        assert_eq!(schema["required"], serde_json::json!(["url"]));
        assert_eq!(schema["$defs"], Value::Null);
        assert_eq!(schema["properties"]["limit"]["maximum"], 100_000);
        assert_eq!(schema["properties"]["mode"]["enum"], serde_json::json!(["article", "links", "full", null]));
    }

    #[track_caller]
    fn refused(json: Value, expected: &str) {
        assert_eq!(ask(json).expect_err("the arguments make no sense"), Failure::invalid(expected));
    }

    #[test]
    fn only_the_address_is_needed() {
        let ask = ask(serde_json::json!({"url": " HTTPS://example.com#top "})).expect("an address is enough");
        assert_eq!(ask.url.as_str(), "https://example.com/");
        assert_eq!((ask.mode, ask.method, ask.offset, ask.limit), (Mode::Article, Method::Get, 0, 18_000));
        assert_eq!(ask.timeout, Duration::from_secs(30));
        let agent = ("User-Agent".to_owned(), format!("bailiwick/{} (web_fetch)", env!("CARGO_PKG_VERSION")));
        assert_eq!(ask.headers[0], agent);
    }

    #[test]
    fn null_is_the_default() {
        let nulls =
            serde_json::json!({"url": "http://a.b", "mode": null, "limit": null, "headers": null, "body": null});
        assert_eq!(ask(nulls).expect("null is like nothing").limit, 18_000);
    }

    #[test]
    fn links_have_limits_of_their_own() {
        let of = |limit: Value| {
            ask(serde_json::json!({"url": "http://a.b", "mode": "links", "limit": limit})).expect("valid").limit
        };
        assert_eq!((of(Value::Null), of(7.into()), of(50_000.into())), (200, 7, 2_000));
    }

    #[test]
    fn a_json_body_is_compact_and_typed() {
        let ask = ask(serde_json::json!({"url": "http://a.b", "method": "POST", "body": {"b": [1, 2], "a": "x"}}))
            .expect("POST takes a body");
        assert_eq!(ask.body.as_deref(), Some(br#"{"b":[1,2],"a":"x"}"#.as_slice()));
        assert!(ask.headers.contains(&("Content-Type".to_owned(), "application/json".to_owned())));
    }

    #[test]
    fn a_text_body_goes_as_it_is_and_the_callers_type_wins() {
        let text = ask(serde_json::json!({"url": "http://a.b", "method": "PUT", "body": "a=1"})).expect("valid");
        assert_eq!(text.body.as_deref(), Some(b"a=1".as_slice()));
        assert!(!text.headers.iter().any(|(name, _)| name == "Content-Type"));
        let typed = serde_json::json!({
            "url": "http://a.b", "method": "POST", "body": {}, "headers": {"content-type": "application/ld+json"}
        });
        let kinds: Vec<_> = ask(typed).expect("valid").headers.into_iter().filter(|(n, _)| n.len() == 12).collect();
        assert_eq!(kinds, [("content-type".to_owned(), "application/ld+json".to_owned())]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let with = |name: &str, value: Value| {
            let mut json = serde_json::json!({"url": "http://a.b"});
            json[name] = value;
            json
        };
        refused(with("url", "file:///etc/passwd".into()), "`url` must begin with `http://` or `https://`.");
        refused(with("url", "a.b".into()), "`url` is not a complete web address (relative URL without a base).");
        refused(
            with("url", "http://u:p@a.b".into()),
            "`url` holds a user name or a password: send an `Authorization` header instead.",
        );
        refused(with("body", "x".into()), "`body` cannot go with `method` GET: use POST or PUT.");
        refused(with("limit", 0.into()), "`limit` must be from 1 to 100000.");
        refused(with("timeout_seconds", 61.into()), "`timeout_seconds` must be from 1 to 60.");
        refused(
            with("headers", serde_json::json!({"HOST": "x"})),
            "`headers` holds `HOST`, which belongs to the connection: leave it out.",
        );
        refused(
            with("headers", serde_json::json!({"X": "a\r\nB: c"})),
            "`headers` holds `X`, which is not valid in HTTP.",
        );
    }
}
