//! What the host says with each call: the operation, where the service is, what the operator injects.

use std::time::Duration;

use bailiwick_operation::Operation;
use bailiwick_sdk::Failure;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

/// The most that is read of an answer unless `max_body` says otherwise.
const DEFAULT_MAX_BODY: usize = 8 << 20;

/// How long a service may take unless `timeout_ms` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The plugin's configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) operation: Operation,
    /// Origin and path that all operations are below.
    pub(crate) base: Url,
    pub(crate) injected: Map<String, Value>,
    pub(crate) max_body: usize,
    pub(crate) timeout: Duration,
}

impl Settings {
    /// Reads the configuration, key by key.
    ///
    /// # Errors
    ///
    /// `plugin.not-configured`, with the key.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let needed = |key: &str| get(key).ok_or_else(|| Failure::not_configured(format!("`{key}` is not set.")));
        Ok(Self {
            operation: json("operation", &needed("operation")?)?,
            base: base(&needed("base")?)?,
            injected: get("injected").map_or_else(|| Ok(Map::new()), |text| json("injected", &text))?,
            max_body: get("max_body").map_or(Ok(DEFAULT_MAX_BODY), |text| json("max_body", &text))?,
            timeout: match get("timeout_ms") {
                Some(text) => Duration::from_millis(json::<std::num::NonZeroU64>("timeout_ms", &text)?.get()),
                None => DEFAULT_TIMEOUT,
            },
        })
    }
}

/// The values are not repeated: they are the operator's.
fn json<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::not_configured(format!("`{key}` cannot be used (line {}, column {}).", error.line(), error.column()))
    })
}

fn base(text: &str) -> Result<Url, Failure> {
    let is_base = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    Url::parse(text).ok().filter(is_base).ok_or_else(|| {
        Failure::not_configured("`base` must be an `http:` or `https:` URL without user name, query and fragment.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATION: &str = r#"{"method":"GET","path":[{"text":"/"}],"accept":"*/*"}"#;

    #[track_caller]
    fn check(changed: &str, value: Option<&str>, expected: &str) {
        let told = Settings::read(|key| {
            if key == changed {
                return value.map(str::to_owned);
            }
            match key {
                "operation" => Some(OPERATION.to_owned()),
                "base" => Some("https://a.example/v1".to_owned()),
                _ => None,
            }
        });
        let told = match told {
            Ok(read) => format!("{} {} {} {:?}", read.base, read.injected.len(), read.max_body, read.timeout),
            Err(Failure::NotConfigured(why)) => why,
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn what_the_host_says_is_read() {
        check("", None, "https://a.example/v1 0 8388608 10s");
        check("injected", Some(r#"{"a": 1}"#), "https://a.example/v1 1 8388608 10s");
        check("max_body", Some("1024"), "https://a.example/v1 0 1024 10s");
        check("timeout_ms", Some("250"), "https://a.example/v1 0 8388608 250ms");
    }

    #[test]
    fn what_cannot_be_used_is_named_and_not_repeated() {
        check("operation", None, "`operation` is not set.");
        check("operation", Some("{}"), "`operation` cannot be used (line 1, column 2).");
        check("base", None, "`base` is not set.");
        let expected = "`base` must be an `http:` or `https:` URL without user name, query and fragment.";
        for base in ["/v1", "file:///etc", "https://u:p@a.example", "https://a.example/?a", "https://a.example/#a"] {
            check("base", Some(base), expected);
        }
        check("injected", Some("[\"hidden\"]"), "`injected` cannot be used (line 1, column 0).");
        check("timeout_ms", Some("0"), "`timeout_ms` cannot be used (line 1, column 1).");
    }
}
