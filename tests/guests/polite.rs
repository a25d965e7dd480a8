//! A well-behaved plugin: what comes in goes out, questions are asked, results keep to their schema (but one).

use bailiwick_sdk::prelude::*;
use bailiwick_sdk::serde_json::{Value, json};

/// Which way.
#[bailiwick_sdk::args]
#[derive(Clone, Copy, Debug)]
#[serde(rename_all = "lowercase")]
enum Way {
    Up,
    Down,
}

/// A count.
#[bailiwick_sdk::output]
struct Count {
    /// How many.
    count: u32,
}

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Says what it was given.
    #[tool(read_only)]
    fn echo(
        /// Whom it is about.
        name: String,
        /// How often.
        count: Option<i64>,
        /// Whether to shout.
        #[serde(default)]
        loud: bool,
        /// Anything else.
        #[serde(default)]
        tags: Vec<String>,
        /// Which way.
        way: Option<Way>,
    ) -> Json<Value> {
        let way = way.map(|way| format!("{way:?}"));
        Json(json!({ "name": name, "count": count, "loud": loud, "tags": tags, "way": way }))
    }

    /// Changes something for good.
    #[tool(destructive)]
    fn launch(target: String) -> String {
        format!("launched at {target}")
    }

    /// Asks the caller.
    #[tool]
    fn ask(
        question: String,
        /// How often.
        times: Option<u32>,
    ) -> Result<String, Failure> {
        let form = r#"{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}"#;
        let mut last = String::new();
        for _ in 0..times.unwrap_or(1) {
            last = format!("{:?}", bailiwick_sdk::ask::input(&question, form)?);
        }
        Ok(last)
    }

    /// Asks with a form that is none.
    #[tool]
    fn ask_badly(form: String) -> String {
        match bailiwick_sdk::ask::input("?", &form) {
            Ok(answer) => format!("{answer:?}"),
            Err(refusal) => refusal.name().to_owned(),
        }
    }

    /// Reports every step.
    #[tool]
    fn steps(steps: u32) -> String {
        for step in 1..=steps {
            progress::report(f64::from(step), Some(f64::from(steps)), Some(&format!("step {step}")));
        }
        progress::report(0.5, None, Some("backwards"));
        progress::report(f64::NAN, None, None);
        "done".to_owned()
    }

    /// Counts, and says so in its output schema.
    #[tool(output = Count)]
    fn counted(count: u32) -> Json<Count> {
        Json(Count { count })
    }

    /// Promises a count and gives none.
    #[tool(output = Count)]
    fn uncounted() -> String {
        "many".to_owned()
    }

    /// Promises a count and gives something else.
    #[tool(output = Count)]
    fn miscounted() -> Output {
        Output::empty().with_structured(&json!({ "count": "many" }))
    }

    /// Fails in the way it is told to.
    #[tool]
    fn fail(how: String) -> Result<String, Failure> {
        Err(match how.as_str() {
            "invalid" => Failure::invalid("`how` makes no sense."),
            "not-configured" => Failure::not_configured("Set `url`."),
            "not-found" => Failure::not_found("There is no such thing."),
            "upstream" => {
                Failure::upstream("It answered 503.", 503).retry_after(std::time::Duration::from_millis(1_500))
            }
            "silent" => Failure::upstream("It said nothing.", None),
            "request" => Failure::denied_request("GET", "https://never.example/asked"),
            "secret" => Failure::denied_secret("TOKEN"),
            _ => Failure::failed("It broke."),
        })
    }

    #[check]
    fn ready() -> Option<String> {
        let wanted = config::get("wants")?;
        (!secret::is_set(&wanted)).then(|| format!("The secret `{wanted}` is not set."))
    }
}
