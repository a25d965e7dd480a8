//! One request, made of the arguments and the settings.

use std::collections::BTreeMap;
use std::time::Duration;

use bailiwick_plugin_common::headers::{self, Fields};
use bailiwick_sdk::Failure;
use serde_json::{Map, Value};
use url::Url;

use crate::settings::{Preset, Settings};

/// How to ask.
#[bailiwick_sdk::args]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub(crate) enum Method {
    Get,
    Post,
}

impl Method {
    /// As it is sent.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// The arguments of `http`.
#[bailiwick_sdk::args]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arguments {
    /// GET to read, POST to send something.
    pub(crate) method: Method,
    /// The full address, beginning with `http://` or `https://`; with a `preset`, a path of that service, such as
    /// `/items?limit=5`.
    pub(crate) url: String,
    /// The name of a preset that the operator configured. Its headers and its login are added.
    pub(crate) preset: Option<String>,
    /// What to send, as JSON. Only with POST.
    pub(crate) body: Option<Map<String, Value>>,
    /// Header fields to send. None for a login: use a `preset`, which has its own.
    pub(crate) headers: Option<BTreeMap<String, String>>,
}

/// A request, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Fields,
    /// Names of the fields that only the origin of `url` may see.
    pub(crate) private: Vec<String>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) timeout: Duration,
    pub(crate) max_body: usize,
}

impl Request {
    /// The request that the arguments ask for.
    ///
    /// # Errors
    ///
    /// `arguments.invalid`, naming the argument.
    pub(crate) fn of(asked: Arguments, settings: &Settings) -> Result<Self, Failure> {
        let preset = asked.preset.as_deref().map(|name| find(name, settings)).transpose()?;
        let url = match preset {
            Some((name, preset)) => with_preset(&asked.url, name, preset)?,
            None => alone(&asked.url)?,
        };
        let body = match (asked.method, asked.body) {
            (Method::Get, Some(_)) => return Err(Failure::invalid("`body` goes with `method` POST only.")),
            (Method::Get | Method::Post, None) => None,
            (Method::Post, Some(body)) => Some(serde_json::to_vec(&body)?),
        };
        let extra = asked.headers.unwrap_or_default();
        headers::check(&extra)?;
        let (mut fields, mut private) = (Fields::default(), Vec::new());
        for (name, value) in settings.default_headers.iter().chain(&extra) {
            fields.set(name, value);
            private.extend(headers::is_private(name).then(|| name.clone()));
        }
        for (name, value) in preset.iter().flat_map(|(_, preset)| &preset.headers) {
            fields.set(name, value);
            private.push(name.clone());
        }
        fields.set_if_absent("User-Agent", concat!("bailiwick/", env!("CARGO_PKG_VERSION"), " (http)"));
        if body.is_some() {
            fields.set_if_absent("Content-Type", "application/json");
        }
        let (timeout, max_body) = (settings.timeout, settings.max_body);
        Ok(Self { method: asked.method, url, headers: fields, private, body, timeout, max_body })
    }
}

fn find<'s>(name: &'s str, settings: &'s Settings) -> Result<(&'s str, &'s Preset), Failure> {
    settings.presets.get(name).map(|preset| (name, preset)).ok_or_else(|| {
        let known: Vec<String> = settings.presets.keys().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let name = name.escape_debug();
        Failure::invalid(format!("Unknown preset: \"{name}\". Check your config. Presets there: {known}."))
    })
}

/// The address that stands for itself.
fn alone(written: &str) -> Result<Url, Failure> {
    let url = Url::parse(written.trim()).map_err(|error| {
        Failure::invalid(format!("`url` is not a complete web address ({error}); a path needs a `preset`."))
    })?;
    requestable(url)
}

/// The address of a path of the preset, or of a full URL at the preset's origin.
///
/// The path is put behind the base and the whole is read anew, so that no spelling of it (`@host`, `//host`, `.host`) leads
/// to another origin: there the preset's headers would be told to whoever the caller likes.
fn with_preset(written: &str, name: &str, preset: &Preset) -> Result<Url, Failure> {
    let written = written.trim();
    let base = &preset.base_url;
    let url = match Url::parse(written) {
        Ok(url) => url,
        Err(_) => {
            let path = written.trim_start_matches(['/', '\\']);
            let joined = format!("{}/{path}", base.as_str().trim_end_matches('/'));
            Url::parse(&joined).map_err(|error| Failure::invalid(format!("`url` is not a path ({error}).")))?
        }
    };
    let url = requestable(url)?;
    if url.origin() != base.origin() {
        return Err(Failure::invalid(format!(
            "`url` leads to `{}`, and the preset `{name}` is for `{}` alone: give a path, or leave `preset` out.",
            url.origin().ascii_serialization(),
            base.origin().ascii_serialization()
        )));
    }
    Ok(url)
}

fn requestable(mut url: Url) -> Result<Url, Failure> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Failure::invalid("`url` must begin with `http://` or `https://`."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::invalid("`url` holds a user name or a password: leave it out."));
    }
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings() -> Settings {
        let presets = json!({
            "api": {"base_url": "https://api.example/v1", "headers": {"X-Api-Key": "k", "Accept": "application/json"}},
            "root": {"base_url": "http://api.example:8080/"},
        });
        let defaults = json!({"accept": "text/plain", "X-Team": "t"});
        let entries = [("presets", presets), ("default_headers", defaults)];
        Settings::read(entries.map(|(key, value)| (key.to_owned(), value.to_string())).to_vec())
            .expect("they are right")
    }

    fn of(arguments: Value) -> Result<Request, Failure> {
        Request::of(serde_json::from_value(arguments).expect("the arguments match the schema"), &settings())
    }

    fn get(url: &str, preset: Option<&str>) -> String {
        match of(json!({"method": "GET", "url": url, "preset": preset})) {
            Ok(request) => request.url.to_string(),
            Err(Failure::InvalidArguments(why)) => why,
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn a_path_is_put_behind_the_base() {
        assert_eq!(get("/items?n=5#top", Some("api")), "https://api.example/v1/items?n=5");
        assert_eq!(get("items", Some("api")), "https://api.example/v1/items");
        assert_eq!(get("", Some("api")), "https://api.example/v1/");
        assert_eq!(get("/x", Some("root")), "http://api.example:8080/x");
        assert_eq!(get("https://api.example/v2/x", Some("api")), "https://api.example/v2/x");
        assert_eq!(get("https://API.example:443/x", Some("api")), "https://api.example/x");
        assert_eq!(get("https://else.example/x", None), "https://else.example/x");
    }

    #[test]
    fn no_spelling_of_a_path_leads_to_another_origin() {
        for path in
            ["//evil.example/x", "\\\\evil.example/x", "@evil.example/", ".evil.example/", "/../../x", ":8443/x"]
        {
            let url = get(path, Some("api"));
            assert!(url.starts_with("https://api.example/"), "{path}: {url}");
        }
        for url in [
            "https://evil.example/x",
            "http://api.example/x",
            "https://api.example:8443/",
            "https:evil.example",
            "https:/evil.example",
            "https:\\\\evil.example",
            "\thttps://evil.example",
            "ht\ntps://evil.example",
        ] {
            let told = get(url, Some("api"));
            assert!(
                told.ends_with("is for `https://api.example` alone: give a path, or leave `preset` out."),
                "{told}"
            );
        }
        assert_eq!(get("file:///etc/passwd", Some("api")), "`url` must begin with `http://` or `https://`.");
        assert_eq!(
            get("https://u:p@api.example/", Some("api")),
            "`url` holds a user name or a password: leave it out."
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let unknown = "Unknown preset: \"x\". Check your config. Presets there: `api`, `root`.";
        assert_eq!(get("/", Some("x")), unknown);
        let none = Settings::read(Vec::new()).expect("they are right");
        let asked = json!({"method": "GET", "url": "/", "preset": "x"});
        let refused = Request::of(serde_json::from_value(asked).expect("valid"), &none);
        let unknown = "Unknown preset: \"x\". Check your config. Presets there: none.";
        assert_eq!(refused, Err(Failure::invalid(unknown)));
        let relative = "`url` is not a complete web address (relative URL without a base); a path needs a `preset`.";
        assert_eq!(get("/items", None), relative);
        assert_eq!(get("ftp://a.example", None), "`url` must begin with `http://` or `https://`.");
        let body = of(json!({"method": "GET", "url": "http://a.example", "body": {}}));
        assert_eq!(body, Err(Failure::invalid("`body` goes with `method` POST only.")));
        let reserved = of(json!({"method": "GET", "url": "http://a.example", "headers": {"Host": "b"}}));
        let why = "`headers` holds `Host`, which belongs to the connection: leave it out.";
        assert_eq!(reserved, Err(Failure::invalid(why)));
    }

    fn sent(request: &Request) -> Vec<(&str, &str)> {
        request.headers.iter().filter(|(name, _)| *name != "User-Agent").collect()
    }

    #[test]
    fn a_preset_says_more_than_a_caller_and_a_caller_more_than_the_defaults() {
        let extra = json!({"x-api-key": "mine", "X-Team": "u", "Range": "bytes=0-1"});
        let asked = json!({"method": "GET", "url": "/", "preset": "api", "headers": extra});
        let request = of(asked.clone()).expect("valid");
        let expected = [("Range", "bytes=0-1"), ("X-Team", "u"), ("Accept", "application/json"), ("X-Api-Key", "k")];
        assert_eq!(sent(&request), expected);
        // All that the operator set for the preset stays at its origin.
        assert_eq!(request.private, ["X-Team", "X-Team", "x-api-key", "Accept", "X-Api-Key"]);
        let request = of(json!({"method": "GET", "url": "http://a.example"})).expect("valid");
        assert_eq!(sent(&request), [("X-Team", "t"), ("accept", "text/plain")]);
    }

    #[test]
    fn a_body_is_json_unless_it_is_called_otherwise() {
        let asked = json!({"method": "POST", "url": "http://a.example", "body": {"b": [1], "a": "x"}});
        let request = of(asked.clone()).expect("valid");
        assert_eq!(request.body.as_deref(), Some(br#"{"b":[1],"a":"x"}"#.as_slice()));
        assert!(sent(&request).contains(&("Content-Type", "application/json")));
        let mut named = asked;
        named["headers"] = json!({"content-type": "application/ld+json"});
        let request = of(named).expect("valid");
        assert!(sent(&request).contains(&("content-type", "application/ld+json")));
        assert!(!sent(&request).contains(&("Content-Type", "application/json")));
    }

    #[test]
    fn what_is_not_declared_is_not_taken() {
        for wrong in [json!({"method": "PUT", "url": "x"}), json!({"method": "GET", "url": "x", "timeout": 5})] {
            assert!(serde_json::from_value::<Arguments>(wrong).is_err());
        }
    }
}
