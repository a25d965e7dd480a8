//! What the caller wants: the arguments as they came, and what they mean.

use bailiwick_sdk::Failure;

use crate::settings::{MAX_COUNT, Settings};

/// Longest query. Providers take no longer ones.
const MAX_QUERY: usize = 400;

/// Results of `std-web-search` where the caller does not say.
const STD_COUNT: usize = 8;

/// How old a page may be.
#[bailiwick_sdk::args]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Freshness {
    Day,
    Week,
    Month,
}

/// The arguments of `web_search`.
#[bailiwick_sdk::args]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// What to search for, as one would type it into a search engine.
    #[schemars(length(min = 1, max = 400))]
    pub(crate) query: String,
    /// How many results; 5 unless the operator set another number.
    #[schemars(range(min = 1, max = 20))]
    pub(crate) count: Option<usize>,
    /// Only pages of the last day, week or month. Left out: of any age.
    pub(crate) freshness: Option<Freshness>,
}

/// The arguments of `std-web-search`.
#[bailiwick_sdk::args]
#[derive(Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StdArguments {
    /// What to search for, as one would type it into a search engine.
    #[schemars(length(min = 1, max = 400))]
    pub(crate) query: String,
    /// How many results; default 8.
    #[schemars(range(min = 1, max = 20))]
    pub(crate) max_results: Option<usize>,
}

/// A search that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) query: String,
    pub(crate) count: usize,
    pub(crate) freshness: Option<Freshness>,
}

impl Ask {
    /// What the arguments of `web_search` mean.
    ///
    /// # Errors
    ///
    /// `arguments.invalid`, with the name of the argument.
    pub(crate) fn of(arguments: Arguments, settings: &Settings) -> Result<Self, Failure> {
        let Arguments { query, count, freshness } = arguments;
        Ok(Self {
            query: self::query(&query)?,
            count: self::count("count", count.unwrap_or(settings.count))?,
            freshness,
        })
    }

    /// What the arguments of `std-web-search` mean.
    ///
    /// # Errors
    ///
    /// `arguments.invalid`, with the name of the argument.
    pub(crate) fn std(arguments: StdArguments) -> Result<Self, Failure> {
        let StdArguments { query, max_results } = arguments;
        let count = self::count("maxResults", max_results.unwrap_or(STD_COUNT))?;
        Ok(Self { query: self::query(&query)?, count, freshness: None })
    }
}

fn query(text: &str) -> Result<String, Failure> {
    let query = text.trim();
    if query.is_empty() {
        return Err(Failure::invalid("`query` must not be empty."));
    }
    if query.chars().count() > MAX_QUERY {
        return Err(Failure::invalid(format!("`query` must not be longer than {MAX_QUERY} characters.")));
    }
    Ok(query.to_owned())
}

fn count(argument: &str, count: usize) -> Result<usize, Failure> {
    match count {
        1..=MAX_COUNT => Ok(count),
        _ => Err(Failure::invalid(format!("`{argument}` must be from 1 to {MAX_COUNT}."))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ask(arguments: Value) -> Result<Ask, Failure> {
        let settings = Settings::read(&[("count".to_owned(), "7".to_owned())], true).expect("settings");
        Ask::of(serde_json::from_value(arguments).expect("the arguments match the schema"), &settings)
    }

    #[test]
    fn only_the_query_is_needed() {
        assert_eq!(ask(json!({"query": " rust "})), Ok(Ask { query: "rust".to_owned(), count: 7, freshness: None }));
        assert_eq!(
            ask(json!({"query": "rust", "count": 20, "freshness": "week"})),
            Ok(Ask { query: "rust".to_owned(), count: 20, freshness: Some(Freshness::Week) })
        );
        let std = serde_json::from_value(json!({"query": "rust"})).expect("arguments");
        assert_eq!(Ask::std(std).map(|ask| ask.count), Ok(8));
    }

    #[test]
    fn what_makes_no_sense_names_its_argument() {
        for (arguments, expected) in [
            (json!({"query": " \n "}), "`query` must not be empty."),
            (json!({"query": "é".repeat(401)}), "`query` must not be longer than 400 characters."),
            (json!({"query": "x", "count": 0}), "`count` must be from 1 to 20."),
            (json!({"query": "x", "count": 21}), "`count` must be from 1 to 20."),
        ] {
            assert_eq!(ask(arguments), Err(Failure::invalid(expected)));
        }
        let std = serde_json::from_value(json!({"query": "x", "maxResults": 21})).expect("arguments");
        assert_eq!(Ask::std(std), Err(Failure::invalid("`maxResults` must be from 1 to 20.")));
    }

    #[test]
    fn the_schemas_have_one_word_for_one_thing() {
        let names = |schema: Value| schema["properties"].as_object().expect("an object").keys().cloned().collect();
        let of: Vec<String> = names(serde_json::to_value(schemars::schema_for!(Arguments)).expect("JSON"));
        assert_eq!(of, ["query", "count", "freshness"]);
        let std: Vec<String> = names(serde_json::to_value(schemars::schema_for!(StdArguments)).expect("JSON"));
        assert_eq!(std, ["query", "maxResults"]);
    }
}
