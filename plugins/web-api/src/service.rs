//! A service as an operator configured it, and the sentences for one that is not.

use bailiwick_sdk::Failure;
use url::Url;

/// The name of the secret that holds a service's key.
pub const KEY: &str = "KEY";

/// How a service wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The environment variable it is usually kept in.
    pub variable: &'static str,
    /// The header it is sent in.
    pub header: &'static str,
    /// What stands around it there, if anything.
    pub format: Option<&'static str>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What people call it.
    pub name: &'static str,
    /// Where it is; what [`base_url`] gave.
    pub base: Url,
    /// The key it wants, if it wants one.
    pub key: Option<Key>,
}

impl Service {
    /// The URL of a path of the service, which begins with `/`.
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// The line of the configuration that gives the service its key.
    pub fn line(&self) -> Option<String> {
        let Key { variable, header, format } = self.key?;
        let origin = self.base.origin().ascii_serialization();
        let format = format.map(|format| format!(", format = \"{format}\"")).unwrap_or_default();
        Some(format!(
            "secrets.{KEY} = {{ env = \"{variable}\", origin = \"{origin}\", header = \"{header}\"{format} }}"
        ))
    }

    /// What to do where the service wants a key and none is set.
    pub fn lacks(&self, has_key: bool) -> Option<String> {
        let (key, line) = self.key.zip(self.line()).filter(|_| !has_key)?;
        Some(format!("Set {} to enable it: write `{line}` into the plugin's table.", key.variable))
    }
}

/// The failure of a call of `tool` where something is still to set; `reason` is the sentence that says what.
pub fn not_configured(tool: &str, reason: &str) -> Failure {
    Failure::not_configured(format!("{tool} is not configured. {reason}"))
}

/// Reads the setting `base_url`.
///
/// # Errors
///
/// Why it is no URL of a service, as a sentence.
pub fn base_url(text: &str) -> Result<Url, String> {
    let wrong = |reason: &str| format!("The setting `base_url` {reason}, such as `https://search.example.com`.");
    let url = Url::parse(text.trim()).map_err(|_| wrong("must be a complete URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("must begin with `http://` or `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not hold a user name or a password: bind a secret to its origin; write a plain URL"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must end with its path"));
    }
    Ok(url)
}

/// Why the settings of a plugin that knows only `known` cannot be used.
pub fn unknown_setting(settings: &[(String, String)], known: &[&str]) -> Option<String> {
    let (name, _) = settings.iter().find(|(name, _)| !known.contains(&name.as_str()))?;
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    Some(format!("There is no setting `{}`; there are {}.", name.escape_debug(), known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(base: &str, format: Option<&'static str>) -> Service {
        let key = Key { variable: "LETTERS_KEY", header: "X-Key", format };
        Service { name: "Letters", base: base_url(base).expect("a URL"), key: Some(key) }
    }

    #[test]
    fn a_path_goes_below_the_base() {
        for (base, expected) in [
            ("https://a.example", "https://a.example/search"),
            (" https://a.example/ ", "https://a.example/search"),
            ("http://a.example:8080/sub/", "http://a.example:8080/sub/search"),
        ] {
            assert_eq!(service(base, None).url("/search").as_str(), expected);
        }
    }

    #[test]
    fn the_sentence_has_the_line_that_is_missing() {
        let expected = "Set LETTERS_KEY to enable it: write `secrets.KEY = { env = \
            \"LETTERS_KEY\", origin = \"https://a.example\", header = \"X-Key\" }` into the plugin's table.";
        assert_eq!(service("https://a.example/sub", None).lacks(false).as_deref(), Some(expected));
        assert_eq!(service("https://a.example", None).lacks(true), None);
        let bearer = service("http://a.example:81", Some("Bearer {}")).line().expect("it wants a key");
        assert!(
            bearer.contains("origin = \"http://a.example:81\", header = \"X-Key\", format = \"Bearer {}\" }"),
            "{bearer}"
        );
        let open = Service { key: None, ..service("https://a.example", None) };
        assert_eq!(open.lacks(false), None);
    }

    #[test]
    fn a_base_that_is_none_says_why() {
        for (text, reason) in [
            ("a.example", "must be a complete URL"),
            ("ftp://a.example", "must begin with"),
            ("https://u:p@a.example", "must not hold"),
            ("https://a.example/?q=1", "must end with its path"),
            ("https://a.example/#x", "must end with its path"),
        ] {
            let error = base_url(text).expect_err(text);
            assert!(error.starts_with("The setting `base_url` ") && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_misspelt_setting_is_named() {
        let settings = [("provider".to_owned(), "exa".to_owned()), ("base-url".to_owned(), String::new())];
        assert_eq!(unknown_setting(&settings[..1], &["provider", "base_url"]), None);
        assert_eq!(
            unknown_setting(&settings, &["provider", "base_url"]).as_deref(),
            Some("There is no setting `base-url`; there are `provider`, `base_url`.")
        );
    }
}
