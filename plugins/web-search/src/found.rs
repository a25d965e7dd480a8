//! What a search gives: the record for programs, and the same as text for a model.

use schemars::JsonSchema;
use serde::Serialize;
use url::Url;

use bailiwick_web_api::line;

const MAX_TITLE: usize = 200;
const MAX_SNIPPET: usize = 500;
/// Longest address. Browsers take no longer ones everywhere.
const MAX_URL: usize = 2_000;

/// A page that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Hit {
    /// The title of the page. Written by others.
    pub(crate) title: String,
    /// Its address, which begins with `http://` or `https://`.
    pub(crate) url: String,
    /// A piece of it, or a description; may be empty. Written by others.
    pub(crate) snippet: String,
}

impl Hit {
    /// A result as a provider wrote it; none if its address is not one of the web.
    pub(crate) fn new(title: &str, url: &str, snippet: &str) -> Option<Self> {
        let address = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let url = address.to_string();
        if url.len() > MAX_URL || !address.username().is_empty() || address.password().is_some() {
            return None;
        }
        let title = line(title, MAX_TITLE);
        let title = if title.is_empty() { address.host_str().unwrap_or_default().to_owned() } else { title };
        Some(Self { title, snippet: line(snippet, MAX_SNIPPET), url })
    }
}

/// What a provider answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Best first.
    pub(crate) hits: Vec<Hit>,
    /// What the provider itself says to the query, if it does.
    pub(crate) summary: Option<String>,
    /// Why there may be less than there could be.
    pub(crate) error: Option<String>,
}

/// What `web_search` gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Results {
    /// What was searched for.
    query: String,
    /// Best first.
    results: Vec<Hit>,
    /// How many there are.
    result_count: usize,
    /// Why there may be less than there could be.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What `std-web-search` gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct StdResults {
    /// Best first.
    results: Vec<Hit>,
    /// What the provider itself says to the query, if it does. Written by others.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// Why there may be less than there could be.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Found {
    /// As `web_search` gives it.
    pub(crate) fn results(self, query: String) -> Results {
        Results { query, result_count: self.hits.len(), results: self.hits, error: self.error }
    }

    /// As `std-web-search` gives it.
    pub(crate) fn std_results(self) -> StdResults {
        StdResults { results: self.hits, summary: self.summary, error: self.error }
    }

    /// The same for a model: a numbered list.
    pub(crate) fn to_text(&self) -> String {
        let item = |(index, hit): (usize, &Hit)| {
            let lines = [format!("{}. **{}**", index + 1, hit.title), hit.snippet.clone(), hit.url.clone()];
            lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n   ")
        };
        let list: Vec<String> = self.hits.iter().enumerate().map(item).collect();
        let text = if list.is_empty() { "No results found.".to_owned() } else { list.join("\n\n") };
        match &self.error {
            Some(error) => format!("{text}\n\n({error})"),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_results() {
        for url in [
            "",
            "example.com",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "https://u:p@a.example/",
            &format!("https://a.example/{}", "x".repeat(2_000)),
        ] {
            assert_eq!(Hit::new("A", url, ""), None, "{url}");
        }
        let hit = Hit::new("<b>A</b>", " HTTPS://a.example/x y ", "b &amp; c").expect("an address");
        assert_eq!(
            (hit.title.as_str(), hit.url.as_str(), hit.snippet.as_str()),
            ("A", "https://a.example/x%20y", "b & c")
        );
    }

    #[test]
    fn the_text_is_a_numbered_list() {
        let hit = |title, snippet| Hit::new(title, "https://a.example/", snippet).expect("an address");
        let mut found = Found { hits: vec![hit("A", "about a"), hit("", "")], ..Found::default() };
        let list = "1. **A**\n   about a\n   https://a.example/\n\n2. **a.example**\n   https://a.example/";
        assert_eq!(found.to_text(), list);
        found.error = Some("b did not answer".to_owned());
        assert_eq!(found.to_text(), format!("{list}\n\n(b did not answer)"));
        assert_eq!(Found::default().to_text(), "No results found.");
    }
}
