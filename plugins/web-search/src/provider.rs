//! How each provider is asked, and how it answers.

use bailiwick_sdk::Failure;
use bailiwick_web_api::{Key, Request, Service, day, line};
use serde_json::{Value, json};

use crate::ask::{Ask, Freshness};
use crate::found::{Found, Hit};

/// What Exa may send of a page's text.
const EXA_CHARACTERS: u64 = 300;

const SECONDS_A_DAY: u64 = 86_400;
/// Longest summary, and longest note about what did not answer.
const MAX_SUMMARY: usize = 1_000;
const MAX_NOTE: usize = 300;

/// Who can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Provider {
    #[default]
    Brave,
    Tavily,
    Exa,
    Searxng,
}

impl Provider {
    /// Reads the setting `provider`.
    ///
    /// # Errors
    ///
    /// A sentence with the names there are.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "brave" => Ok(Self::Brave),
            "tavily" => Ok(Self::Tavily),
            "exa" => Ok(Self::Exa),
            "searxng" => Ok(Self::Searxng),
            other => Err(format!(
                "The setting `provider` is `{}`; write `brave`, `tavily`, `exa` or `searxng`.",
                line(other, 80)
            )),
        }
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Brave => "Brave",
            Self::Tavily => "Tavily",
            Self::Exa => "Exa",
            Self::Searxng => "SearXNG",
        }
    }

    /// Where it is, if it is in one place.
    pub(crate) fn usual_base(self) -> Option<&'static str> {
        match self {
            Self::Brave => Some("https://api.search.brave.com"),
            Self::Tavily => Some("https://api.tavily.com"),
            Self::Exa => Some("https://api.exa.ai"),
            Self::Searxng => None,
        }
    }

    /// The key it wants.
    pub(crate) fn key(self) -> Option<Key> {
        match self {
            Self::Brave => Some(Key { variable: "BRAVE_SEARCH_API_KEY", header: "X-Subscription-Token", format: None }),
            Self::Tavily => {
                Some(Key { variable: "TAVILY_API_KEY", header: "Authorization", format: Some("Bearer {}") })
            }
            Self::Exa => Some(Key { variable: "EXA_API_KEY", header: "x-api-key", format: None }),
            Self::Searxng => None,
        }
    }

    /// The request for a search; `now` is in seconds since 1970.
    pub(crate) fn request(self, service: &Service, ask: &Ask, now: u64) -> Request {
        match self {
            Self::Brave => brave(service, ask),
            Self::Tavily => tavily(service, ask),
            Self::Exa => exa(service, ask, now),
            Self::Searxng => searxng(service, ask),
        }
    }

    /// What was found: `count` results at most.
    ///
    /// # Errors
    ///
    /// `upstream.*`: the answer has no list of results, or none of the engines behind it answered.
    pub(crate) fn read(self, answer: &Value, count: usize) -> Result<Found, Failure> {
        match self {
            // Without anything found there is no `web` at all.
            Self::Brave if answer.is_object() && answer.get("web").is_none_or(Value::is_null) => Ok(Found::default()),
            Self::Brave => Ok(Found { hits: self.hits(&answer["web"], "description", count)?, ..Found::default() }),
            Self::Tavily => {
                let summary = summary(&answer["answer"]);
                Ok(Found { hits: self.hits(answer, "content", count)?, summary, error: None })
            }
            Self::Exa => Ok(Found { hits: self.hits(answer, "text", count)?, ..Found::default() }),
            Self::Searxng => {
                let hits = self.hits(answer, "content", count)?;
                let error = unanswered(&answer["unresponsive_engines"]);
                match error {
                    Some(error) if hits.is_empty() => Err(Failure::upstream(format!("{error}."), None)),
                    error => Ok(Found { hits, summary: summary(&answer["answers"][0]), error }),
                }
            }
        }
    }

    fn hits(self, answer: &Value, snippet: &str, count: usize) -> Result<Vec<Hit>, Failure> {
        let Some(results) = answer["results"].as_array() else {
            let text = format!("The answer of {} has no list of results: check the setting `base_url`.", self.name());
            return Err(Failure::upstream(text, None));
        };
        let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
        let hit = |result: &Value| Hit::new(&text(result, "title"), &text(result, "url"), &text(result, snippet));
        Ok(results.iter().filter_map(hit).take(count).collect())
    }
}

fn brave(service: &Service, ask: &Ask) -> Request {
    let mut url = service.url("/res/v1/web/search");
    let freshness = ask.freshness.map(|freshness| match freshness {
        Freshness::Day => "pd",
        Freshness::Week => "pw",
        Freshness::Month => "pm",
    });
    let mut pairs = url.query_pairs_mut();
    pairs.append_pair("q", &ask.query).append_pair("count", &ask.count.to_string());
    if let Some(freshness) = freshness {
        pairs.append_pair("freshness", freshness);
    }
    drop(pairs);
    Request { url, body: None }
}

fn tavily(service: &Service, ask: &Ask) -> Request {
    let mut body = json!({ "query": ask.query, "max_results": ask.count });
    if let Some(freshness) = ask.freshness {
        body["time_range"] = range(freshness).into();
    }
    Request { url: service.url("/search"), body: Some(body) }
}

fn exa(service: &Service, ask: &Ask, now: u64) -> Request {
    let contents = json!({ "text": { "maxCharacters": EXA_CHARACTERS } });
    let mut body = json!({ "query": ask.query, "numResults": ask.count, "contents": contents });
    if let Some(freshness) = ask.freshness {
        let days = match freshness {
            Freshness::Day => 1,
            Freshness::Week => 7,
            Freshness::Month => 31,
        };
        let since = day(now.saturating_sub(days * SECONDS_A_DAY));
        body["startPublishedDate"] = format!("{since}T00:00:00.000Z").into();
    }
    Request { url: service.url("/search"), body: Some(body) }
}

/// It takes no number of results: a page has as many as its engines give.
fn searxng(service: &Service, ask: &Ask) -> Request {
    let mut url = service.url("/search");
    let mut pairs = url.query_pairs_mut();
    pairs.append_pair("q", &ask.query).append_pair("format", "json").append_pair("pageno", "1");
    if let Some(freshness) = ask.freshness {
        pairs.append_pair("time_range", range(freshness));
    }
    drop(pairs);
    Request { url, body: None }
}

/// As Tavily and SearXNG say it.
fn range(freshness: Freshness) -> &'static str {
    match freshness {
        Freshness::Day => "day",
        Freshness::Week => "week",
        Freshness::Month => "month",
    }
}

/// What a provider says itself: a text, or an object that holds one.
fn summary(said: &Value) -> Option<String> {
    let text = said.as_str().or_else(|| said["answer"].as_str())?;
    Some(line(text, MAX_SUMMARY)).filter(|summary| !summary.is_empty())
}

/// The engines that did not answer, as pairs of name and reason.
fn unanswered(engines: &Value) -> Option<String> {
    let engine = |pair: &Value| {
        let name = pair[0].as_str()?;
        Some(pair[1].as_str().map_or_else(|| name.to_owned(), |reason| format!("{name} ({reason})")))
    };
    let names: Vec<String> = engines.as_array()?.iter().filter_map(engine).collect();
    (!names.is_empty()).then(|| line(&format!("Engines of SearXNG did not answer: {}", names.join(", ")), MAX_NOTE))
}
