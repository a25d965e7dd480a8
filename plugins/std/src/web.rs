//! `std-fetch-url`, `std-http-request` and `std-webhook`. What sends the requests is the caller's, so that a test can be the
//! web.

use std::collections::BTreeMap;
use std::time::Duration;

use bailiwick_plugin_common::headers::{self, Fields};
use bailiwick_plugin_common::text;
use bailiwick_sdk::Failure;
use bailiwick_sdk::http::{Error, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

const FETCH_TIMEOUT: Duration = Duration::from_secs(15);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// Most characters of a text in a result.
const MAX_CONTENT: usize = 100_000;
const MAX_RESPONSE: usize = 5_000;
/// Most of a body that is read: more than all characters of a result can take, and for JSON what a model can use.
const MAX_BODY: usize = 1 << 20;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const AGENT: &str = concat!("bailiwick/", env!("CARGO_PKG_VERSION"), " (std)");

/// A request to send.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) url: Url,
    pub(crate) headers: Fields,
    /// Names of the fields that only the origin of `url` may see.
    pub(crate) private: Vec<String>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) timeout: Duration,
    pub(crate) max_body: usize,
}

/// What sends a request, and follows redirects.
pub(crate) type Send<'a> = &'a mut dyn FnMut(&Ask) -> Result<Response, Error>;

impl Ask {
    /// A `GET` without headers but our name.
    pub(crate) fn get(url: Url, timeout: Duration) -> Self {
        let mut headers = Fields::default();
        headers.set("User-Agent", AGENT);
        Self { method: "GET".to_owned(), url, headers, private: Vec::new(), body: None, timeout, max_body: MAX_BODY }
    }
}

/// What came of a fetch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Fetched {
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The address that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The body as text. Written by others.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// There when the body is longer than `content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    #[serde(flatten)]
    trouble: Option<Trouble>,
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Requested {
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The address that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The body: the value, if it is JSON, else text. Written by others.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Value>,
    /// There when the body is longer than `content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    /// The header fields of the answer, names in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    trouble: Option<Trouble>,
}

/// What came of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Delivered {
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The address it was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The beginning of the answer. Written by others.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<String>,
    #[serde(flatten)]
    trouble: Option<Trouble>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Trouble {
    /// What failed.
    pub(crate) error: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

impl Trouble {
    /// What `error` means for a result.
    ///
    /// # Errors
    ///
    /// `denied.*`: what the host refused is no result.
    pub(crate) fn of(what: &str, error: Error) -> Result<Self, Failure> {
        match error {
            Error::Denied { .. } => Err(error.into()),
            Error::Timeout
            | Error::Dns(_)
            | Error::Connect(_)
            | Error::Tls(_)
            | Error::TooManyRedirects
            | Error::BodyTooLarge
            | Error::Protocol(_)
            | Error::InvalidUrl(_) => Ok(Self { error: what.to_owned(), message: Some(error.to_string()) }),
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

/// The arguments of `std-http-request`.
#[bailiwick_sdk::args]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpArguments {
    /// The address, beginning with `http://` or `https://`.
    pub(crate) url: String,
    /// The method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS. Left out: GET.
    pub(crate) method: Option<String>,
    /// Header fields to send.
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// What to send: a value goes as JSON, a text as it is. With neither GET nor HEAD.
    pub(crate) body: Option<Body>,
}

/// Runs `std-fetch-url`.
///
/// # Errors
///
/// `arguments.invalid` for what is no address, `denied.*`.
pub(crate) fn fetch(url: &str, send: Send<'_>) -> Result<Fetched, Failure> {
    let ask = Ask::get(address(url)?, FETCH_TIMEOUT);
    match send(&ask) {
        Ok(response) => {
            let (content, is_cut) = beginning(&response, MAX_CONTENT);
            let truncated = is_cut.then_some(true);
            let (status, url) = (Some(response.status), Some(url.to_owned()));
            Ok(Fetched { status, url, content: Some(content), truncated, trouble: None })
        }
        Err(error) => Ok(Fetched { trouble: Some(Trouble::of("Fetch failed", error)?), ..Fetched::default() }),
    }
}

/// Runs `std-http-request`.
///
/// # Errors
///
/// `arguments.invalid`, naming the argument; `denied.*`.
pub(crate) fn request(asked: HttpArguments, send: Send<'_>) -> Result<Requested, Failure> {
    let url = asked.url.clone();
    match send(&ask(asked)?) {
        Ok(response) => {
            let (content, is_cut) = content(&response);
            Ok(Requested {
                status: Some(response.status),
                url: Some(url),
                content: Some(content),
                truncated: is_cut.then_some(true),
                headers: Some(fields(&response)),
                trouble: None,
            })
        }
        Err(error) => {
            let trouble = Trouble::of("HTTP request failed", error)?;
            Ok(Requested { trouble: Some(trouble), ..Requested::default() })
        }
    }
}

/// Runs `std-webhook`.
///
/// # Errors
///
/// `arguments.invalid` for what is no address, `denied.*`.
pub(crate) fn deliver(url: &str, body: Map<String, Value>, send: Send<'_>) -> Result<Delivered, Failure> {
    let mut ask = Ask::get(address(url)?, WEBHOOK_TIMEOUT);
    ask.method = "POST".to_owned();
    ask.headers.set("Content-Type", "application/json");
    ask.body = Some(serde_json::to_vec(&body)?);
    match send(&ask) {
        Ok(response) => {
            let (beginning, _) = beginning(&response, MAX_RESPONSE);
            let (status, url) = (Some(response.status), Some(url.to_owned()));
            Ok(Delivered { status, url, response: Some(beginning), trouble: None })
        }
        Err(error) => Ok(Delivered { trouble: Some(Trouble::of("Webhook failed", error)?), ..Delivered::default() }),
    }
}

/// The request that the arguments of `std-http-request` ask for.
fn ask(asked: HttpArguments) -> Result<Ask, Failure> {
    let mut ask = Ask::get(address(&asked.url)?, REQUEST_TIMEOUT);
    let method = asked.method.unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase();
    if !METHODS.contains(&method.as_str()) {
        return Err(Failure::invalid(format!("`method` must be one of {}.", METHODS.join(", "))));
    }
    if asked.body.is_some() && matches!(method.as_str(), "GET" | "HEAD") {
        return Err(Failure::invalid(format!("`body` cannot go with `method` {method}: use POST, PUT or PATCH.")));
    }
    ask.method = method;
    let fields = asked.headers.unwrap_or_default();
    headers::check(&fields)?;
    for (name, value) in &fields {
        ask.headers.set(name, value);
    }
    ask.private = fields.into_keys().filter(|name| headers::is_private(name)).collect();
    if let Some(body) = asked.body {
        ask.headers.set_if_absent("Content-Type", "application/json");
        ask.body = Some(match body {
            Body::Text(text) => text.into_bytes(),
            Body::Object(object) => serde_json::to_vec(&object)?,
            Body::Array(array) => serde_json::to_vec(&array)?,
        });
    }
    Ok(ask)
}

/// The address that a caller means.
fn address(written: &str) -> Result<Url, Failure> {
    let url = Url::parse(written.trim())
        .map_err(|error| Failure::invalid(format!("`url` is not a complete web address ({error}).")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Failure::invalid("`url` must begin with `http://` or `https://`."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::invalid("`url` holds a user name or a password: send an `Authorization` header instead."));
    }
    Ok(url)
}

/// The first characters of a body, and whether it goes on.
fn beginning(response: &Response, max_chars: usize) -> (String, bool) {
    let whole = response.text();
    match text::cut(&whole, max_chars) {
        Some(beginning) => (beginning.to_owned(), true),
        None => (whole, response.truncated),
    }
}

/// A body as the value it holds, if it is JSON, else as text; and whether it goes on.
fn content(response: &Response) -> (Value, bool) {
    let is_json = response.headers.get("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    match serde_json::from_slice(&response.body) {
        Ok(value) if is_json && !response.truncated => (value, false),
        _ => {
            let (text, is_cut) = beginning(response, MAX_CONTENT);
            (Value::String(text), is_cut)
        }
    }
}

/// The header fields, values of one name in one text.
fn fields(response: &Response) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::<String, String>::new();
    for (name, value) in response.headers.iter() {
        let known = fields.entry(name.to_ascii_lowercase()).or_default();
        *known = if known.is_empty() { value.to_owned() } else { format!("{known}, {value}") };
    }
    fields
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// An answer of the web in a test.
    pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        Response {
            status,
            headers: headers.iter().copied().collect(),
            body: body.as_bytes().to_vec(),
            url: String::new(),
            redirected: false,
            truncated: false,
        }
    }

    fn json_of(value: &impl Serialize) -> Value {
        serde_json::to_value(value).expect("a result is JSON")
    }

    fn arguments(arguments: Value) -> HttpArguments {
        serde_json::from_value(arguments).expect("the arguments match the schema")
    }

    #[test]
    fn a_fetch_is_status_url_and_content() {
        let mut asked = Vec::new();
        let fetched = fetch("https://a.example/x#top", &mut |ask: &Ask| {
            asked.push(ask.clone());
            Ok(response(404, &[], "gone"))
        });
        let expected = json!({"status": 404, "url": "https://a.example/x#top", "content": "gone"});
        assert_eq!(fetched.map(|fetched| json_of(&fetched)), Ok(expected));
        assert_eq!((asked[0].method.as_str(), asked[0].timeout), ("GET", Duration::from_secs(15)));
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let long =
            fetch("http://a.example", &mut |_: &Ask| Ok(response(200, &[], &"ü".repeat(100_001)))).expect("valid");
        assert_eq!((long.content.as_deref(), long.truncated), (Some("ü".repeat(100_000).as_str()), Some(true)));
        let fits =
            fetch("http://a.example", &mut |_: &Ask| Ok(response(200, &[], &"ü".repeat(100_000)))).expect("valid");
        assert_eq!((fits.content.as_deref(), fits.truncated), (Some("ü".repeat(100_000).as_str()), None));
    }

    #[test]
    fn no_answer_is_a_result_and_a_refusal_is_none() {
        let refused = || Error::Denied { method: "GET".to_owned(), url: "http://a.example/".to_owned() };
        let denied = Failure::denied_request("GET", "http://a.example/");
        let fails = |error: Error| move |_: &Ask| Err(error.clone());
        let told = |what: &str| json!({"error": what, "message": "the server took too long"});
        let url = "http://a.example";

        assert_eq!(fetch(url, &mut fails(Error::Timeout)).map(|it| json_of(&it)), Ok(told("Fetch failed")));
        assert_eq!(fetch(url, &mut fails(refused())), Err(denied.clone()));

        let asked = || arguments(json!({"url": url}));
        let requested = request(asked(), &mut fails(Error::Timeout)).map(|it| json_of(&it));
        assert_eq!(requested, Ok(told("HTTP request failed")));
        assert_eq!(request(asked(), &mut fails(refused())), Err(denied.clone()));

        let delivered = deliver(url, Map::new(), &mut fails(Error::Timeout)).map(|it| json_of(&it));
        assert_eq!(delivered, Ok(told("Webhook failed")));
        assert_eq!(deliver(url, Map::new(), &mut fails(refused())), Err(denied));
    }

    #[test]
    fn a_request_gives_json_as_a_value_and_every_header() {
        let headers = [("Content-Type", "application/json"), ("X-A", "1"), ("x-a", "2")];
        let answer = |body: &str| {
            let body = body.to_owned();
            let mut send = move |_: &Ask| Ok(response(201, &headers, &body));
            json_of(&request(arguments(json!({"url": "http://a.example"})), &mut send).expect("valid"))
        };
        let expected = json!({
            "status": 201, "url": "http://a.example", "content": {"b": 1},
            "headers": {"content-type": "application/json", "x-a": "1, 2"},
        });
        assert_eq!(answer("{\"b\":1}"), expected);
        assert_eq!(answer("{\"b\":")["content"], json!("{\"b\":"));
    }

    #[test]
    fn a_request_is_what_was_asked_for() {
        let asked = json!({"url": "http://a.example", "method": "patch", "body": {"b": [1]},
            "headers": {"X-Key": "k", "Accept": "a/b"}});
        let made = ask(arguments(asked)).expect("valid");
        assert_eq!((made.method.as_str(), made.timeout), ("PATCH", Duration::from_secs(30)));
        assert_eq!(made.body.as_deref(), Some(br#"{"b":[1]}"#.as_slice()));
        assert_eq!(made.private, ["X-Key"]);
        assert!(made.headers.iter().any(|field| field == ("Content-Type", "application/json")));
        let text = ask(arguments(json!({"url": "http://a.example", "method": "POST", "body": "a=1",
            "headers": {"content-type": "text/plain"}})));
        let text = text.expect("valid");
        assert_eq!(text.body.as_deref(), Some(b"a=1".as_slice()));
        assert_eq!(text.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).count(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let refused = |asked: Value, expected: &str| {
            let answer = request(arguments(asked), &mut |_: &Ask| Err(Error::Timeout));
            assert_eq!(answer, Err(Failure::invalid(expected)));
        };
        refused(json!({"url": "a"}), "`url` is not a complete web address (relative URL without a base).");
        refused(json!({"url": "file:///etc/passwd"}), "`url` must begin with `http://` or `https://`.");
        let why = "`url` holds a user name or a password: send an `Authorization` header instead.";
        refused(json!({"url": "http://u:p@a.example"}), why);
        let methods = "`method` must be one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS.";
        refused(json!({"url": "http://a.example", "method": "CONNECT"}), methods);
        let why = "`body` cannot go with `method` GET: use POST, PUT or PATCH.";
        refused(json!({"url": "http://a.example", "body": "x"}), why);
        let why = "`headers` holds `Host`, which belongs to the connection: leave it out.";
        refused(json!({"url": "http://a.example", "headers": {"Host": "b"}}), why);
    }

    #[test]
    fn a_webhook_is_sent_json_and_its_answer_is_cut() {
        let mut asked = Vec::new();
        let delivered = deliver("http://a.example/hook", Map::new(), &mut |ask: &Ask| {
            asked.push(ask.clone());
            Ok(response(200, &[], &"x".repeat(5_001)))
        });
        let expected = json!({"status": 200, "url": "http://a.example/hook", "response": "x".repeat(5_000)});
        assert_eq!(delivered.map(|it| json_of(&it)), Ok(expected));
        assert_eq!((asked[0].method.as_str(), asked[0].body.as_deref()), ("POST", Some(b"{}".as_slice())));
        assert!(asked[0].headers.iter().any(|field| field == ("Content-Type", "application/json")));
    }
}
