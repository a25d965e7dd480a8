//! Who is asked: the plugin's settings, and what is missing for them.

use std::time::Duration;

use bailiwick_web_api::{Service, base_url, unknown_setting};

use crate::provider::Provider;

/// How long a search may take.
pub(crate) const TIME: Duration = Duration::from_secs(15);

/// Most results of one search. Providers give no more at once.
pub(crate) const MAX_COUNT: usize = 20;

const DEFAULT_COUNT: usize = 5;

/// What the operator set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) provider: Provider,
    pub(crate) service: Service,
    /// Results where the caller does not say.
    pub(crate) count: usize,
}

impl Settings {
    /// Reads the settings of the plugin; `has_key` says whether the secret with the provider's key is set.
    ///
    /// # Errors
    ///
    /// What to set, as a sentence.
    pub(crate) fn read(settings: &[(String, String)], has_key: bool) -> Result<Self, String> {
        if let Some(reason) = unknown_setting(settings, &["provider", "base_url", "count"]) {
            return Err(reason);
        }
        let setting = |name| settings.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        let provider = setting("provider").map_or(Ok(Provider::default()), Provider::parse)?;
        let base = setting("base_url").or(provider.usual_base()).ok_or_else(|| {
            format!("Set `config.base_url` to the URL of your instance of {} to enable it.", provider.name())
        })?;
        let base = base_url(base)?;
        let count = setting("count").map_or(Ok(DEFAULT_COUNT), count)?;
        let service = Service { name: provider.name(), base, key: provider.key() };
        match service.lacks(has_key) {
            Some(reason) => Err(reason),
            None => Ok(Self { provider, service, count }),
        }
    }
}

fn count(text: &str) -> Result<usize, String> {
    let wrong = || format!("The setting `count` must be a number from 1 to {MAX_COUNT}.");
    text.parse().ok().filter(|count| (1..=MAX_COUNT).contains(count)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)], has_key: bool) -> Result<Settings, String> {
        let settings: Vec<_> = settings.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        Settings::read(&settings, has_key)
    }

    #[track_caller]
    fn refused(settings: &[(&str, &str)], expected: &str) {
        assert_eq!(read(settings, true), Err(expected.to_owned()));
    }

    #[test]
    fn brave_is_asked_unless_somebody_else_is_named() {
        let settings = read(&[], true).expect("a key is enough");
        assert_eq!((settings.service.name, settings.count), ("Brave", 5));
        assert_eq!(settings.service.base.as_str(), "https://api.search.brave.com/");
        let elsewhere = read(&[("provider", "tavily"), ("base_url", "http://127.0.0.1:9"), ("count", "20")], true);
        let elsewhere = elsewhere.expect("all of it is set");
        assert_eq!((elsewhere.service.name, elsewhere.count), ("Tavily", 20));
        assert_eq!(elsewhere.service.base.as_str(), "http://127.0.0.1:9/");
    }

    #[test]
    fn without_a_key_the_variable_and_the_line_are_named() {
        for (provider, variable, rest) in [
            (
                "brave",
                "BRAVE_SEARCH_API_KEY",
                "origin = \"https://api.search.brave.com\", header = \"X-Subscription-Token\" }",
            ),
            (
                "tavily",
                "TAVILY_API_KEY",
                "origin = \"https://api.tavily.com\", header = \"Authorization\", format = \"Bearer {}\" }",
            ),
            ("exa", "EXA_API_KEY", "origin = \"https://api.exa.ai\", header = \"x-api-key\" }"),
        ] {
            let expected = format!(
                "Set {variable} to enable it: write `secrets.KEY = {{ env = \"{variable}\", \
                 {rest}` into the plugin's table."
            );
            assert_eq!(read(&[("provider", provider)], false), Err(expected));
        }
        assert!(read(&[("provider", "searxng"), ("base_url", "http://127.0.0.1:8888")], false).is_ok());
    }

    #[test]
    fn settings_that_make_no_sense_say_why() {
        refused(
            &[("provider", "bing")],
            "The setting `provider` is `bing`; write `brave`, `tavily`, `exa` or `searxng`.",
        );
        refused(
            &[("provider", "searxng")],
            "Set `config.base_url` to the URL of your instance of SearXNG to enable it.",
        );
        refused(&[("baseurl", "x")], "There is no setting `baseurl`; there are `provider`, `base_url`, `count`.");
        refused(&[("count", "21")], "The setting `count` must be a number from 1 to 20.");
        refused(
            &[("base_url", "search.example.com")],
            "The setting `base_url` must be a complete URL, such as `https://search.example.com`.",
        );
    }
}
