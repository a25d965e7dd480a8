//! What the operator wrote under `[plugins.NAME.config]`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use bailiwick_sdk::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

/// What holds where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BODY: usize = 1 << 20;
/// The most that may be set: past it a number is a slip of the pen.
const LONGEST_TIMEOUT: u64 = 600_000;
const LARGEST_BODY: usize = 16 << 20;

/// Fields that are nothing but a login.
const LOGINS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Header fields as they were written.
pub(crate) type Headers = BTreeMap<String, String>;

/// The settings of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    pub(crate) max_body: usize,
    /// In every request that does not say otherwise.
    pub(crate) default_headers: Headers,
    pub(crate) presets: BTreeMap<String, Preset>,
}

/// A service with a name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preset {
    /// What paths are put behind. Without query and fragment.
    pub(crate) base_url: Url,
    /// For its origin alone.
    #[serde(default)]
    pub(crate) headers: Headers,
}

impl Settings {
    /// Reads the settings from keys and their texts.
    ///
    /// # Errors
    ///
    /// `plugin.not-configured`, naming the key.
    pub(crate) fn read(entries: Vec<(String, String)>) -> Result<Self, Failure> {
        let mut settings =
            Self { timeout: TIMEOUT, max_body: MAX_BODY, default_headers: Headers::new(), presets: BTreeMap::new() };
        for (key, text) in entries {
            match key.as_str() {
                "timeout_ms" => {
                    settings.timeout = Duration::from_millis(within(&key, &text, 1..=LONGEST_TIMEOUT)?);
                }
                "max_response_bytes" => settings.max_body = within(&key, &text, 1..=LARGEST_BODY)?,
                "default_headers" => settings.default_headers = defaults(headers(&key, value(&key, &text)?)?)?,
                "presets" => settings.presets = presets(value(&key, &text)?)?,
                unknown => {
                    return Err(Failure::not_configured(format!(
                        "The setting `{unknown}` is unknown; there are `timeout_ms`, `max_response_bytes`, \
                         `default_headers` and `presets`."
                    )));
                }
            }
        }
        Ok(settings)
    }
}

/// The setting as a `T`. What stands there is not told: it may be a key.
fn value<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let shape = match key {
            "presets" => "tables such as `presets.NAME = { base_url = \"https://…\", headers = { NAME = \"value\" } }`",
            "default_headers" => "a table such as `{ Accept = \"application/json\" }`",
            _ => "a whole number",
        };
        Failure::not_configured(format!(
            "The setting `{key}` cannot be used at character {}: write {shape}.",
            error.column()
        ))
    })
}

fn within<T: DeserializeOwned + Display + PartialOrd>(
    key: &str,
    text: &str,
    range: RangeInclusive<T>,
) -> Result<T, Failure> {
    let number = value(key, text)?;
    if !range.contains(&number) {
        let sentence = format!("The setting `{key}` must be from {} to {}.", range.start(), range.end());
        return Err(Failure::not_configured(sentence));
    }
    Ok(number)
}

fn presets(presets: BTreeMap<String, Preset>) -> Result<BTreeMap<String, Preset>, Failure> {
    for (name, preset) in &presets {
        let url = &preset.base_url;
        let key = format!("presets.{name}.base_url");
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::not_configured(format!("`{key}` must begin with `http://` or `https://`.")));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let why = "holds a user name or a password; write a secret with `basic` instead";
            return Err(Failure::not_configured(format!("`{key}` {why}.")));
        }
        if url.query().is_some() || url.fragment().is_some() {
            let why = "holds a `?` or a `#`; paths are put behind it, so it ends with a path";
            return Err(Failure::not_configured(format!("`{key}` {why}.")));
        }
        headers(&format!("presets.{name}.headers"), preset.headers.clone())?;
    }
    Ok(presets)
}

/// Refuses a login in what goes to every host.
fn defaults(headers: Headers) -> Result<Headers, Failure> {
    let is_login = |name: &&String| LOGINS.iter().any(|login| name.eq_ignore_ascii_case(login));
    match headers.keys().find(is_login) {
        Some(name) => Err(Failure::not_configured(format!(
            "`default_headers` holds `{name}`, which would go to every host: write a secret with `origin` and `header`, or \
             set it in a preset."
        ))),
        None => Ok(headers),
    }
}

fn headers(key: &str, headers: Headers) -> Result<Headers, Failure> {
    match bailiwick_plugin_common::headers::check(&headers) {
        Err(Failure::InvalidArguments(why)) => Err(Failure::not_configured(why.replacen("headers", key, 1))),
        Err(other) => Err(other),
        Ok(()) => Ok(headers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read(entries: &[(&str, &str)]) -> Result<Settings, Failure> {
        Settings::read(entries.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect())
    }

    #[track_caller]
    fn refused(key: &str, text: &str, expected: &str) {
        assert_eq!(read(&[(key, text)]), Err(Failure::not_configured(expected)));
    }

    #[test]
    fn without_settings_there_are_those_that_are_usual() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.timeout, settings.max_body), (Duration::from_millis(10_000), 1_048_576));
        assert!(settings.default_headers.is_empty() && settings.presets.is_empty());
    }

    #[test]
    fn settings_are_read_as_the_host_gives_them() {
        let presets = r#"{"a":{"base_url":"https://a.example/v1","headers":{"X-A":"1"}},"b":{"base_url":"http://b"}}"#;
        let settings =
            read(&[("timeout_ms", "500"), ("default_headers", r#"{"Accept":"*/*"}"#), ("presets", presets)]).unwrap();
        assert_eq!(settings.timeout, Duration::from_millis(500));
        assert_eq!(settings.default_headers["Accept"], "*/*");
        assert_eq!(settings.presets["a"].base_url.as_str(), "https://a.example/v1");
        assert_eq!(settings.presets["a"].headers["X-A"], "1");
        assert_eq!(settings.presets["b"].headers, Headers::new());
    }

    #[test]
    fn what_cannot_be_used_is_named_and_not_shown() {
        let known = "there are `timeout_ms`, `max_response_bytes`, `default_headers` and `presets`.";
        refused("timeout", "1", &format!("The setting `timeout` is unknown; {known}"));
        refused("timeout_ms", "0", "The setting `timeout_ms` must be from 1 to 600000.");
        refused("timeout_ms", "soon", "The setting `timeout_ms` cannot be used at character 1: write a whole number.");
        refused("max_response_bytes", "99999999", "The setting `max_response_bytes` must be from 1 to 16777216.");
        let why = "holds `Cookie`, which would go to every host: write a secret with `origin` and `header`, or set it in a \
                   preset.";
        refused("default_headers", r#"{"Cookie":"s3cret"}"#, &format!("`default_headers` {why}"));
        let url = |url: &str| format!(r#"{{"a":{{"base_url":"{url}"}}}}"#);
        refused("presets", &url("ftp://a"), "`presets.a.base_url` must begin with `http://` or `https://`.");
        let why = "holds a user name or a password; write a secret with `basic` instead.";
        refused("presets", &url("https://u:p@a"), &format!("`presets.a.base_url` {why}"));
        let why = "holds a `?` or a `#`; paths are put behind it, so it ends with a path.";
        refused("presets", &url("https://a?x=1"), &format!("`presets.a.base_url` {why}"));
        let reserved = r#"{"a":{"base_url":"https://a","headers":{"Host":"b"}}}"#;
        let why = "`presets.a.headers` holds `Host`, which belongs to the connection: leave it out.";
        refused("presets", reserved, why);
        let Err(Failure::NotConfigured(why)) = read(&[("presets", r#"{"a":{"url":"https://a","key":"s3cret"}}"#)])
        else {
            panic!("unknown keys are mistakes");
        };
        assert!(why.starts_with("The setting `presets` cannot be used at character ") && !why.contains("s3cret"));
    }
}
