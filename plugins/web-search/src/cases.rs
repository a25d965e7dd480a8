//! The files in `cases/`: each is a call, the settings it finds, the web it asks and what comes of it. To write the results
//! anew: `UPDATE=1 cargo test -p bailiwick-plugin-web-search`.

#![expect(clippy::disallowed_methods, reason = "reads test files, and one variable")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bailiwick_sdk::Failure;
use bailiwick_web_api::{Reply, Request, Trouble, Web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::settings::Settings;

/// What the clock shows: 2026-01-31 08:30:05 in UTC.
const NOW: u64 = 1_769_848_205;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The rule it proves.
    about: String,
    /// Whether it is a call of `std-web-search`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    std: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    config: BTreeMap<String, String>,
    arguments: Value,
    web: Vec<Exchange>,
    /// The record, or the failure.
    #[serde(default)]
    result: Value,
    /// Lines of the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    text: Vec<String>,
}

/// A request that is expected next, and its answer.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    request: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    /// Milliseconds that pass until the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    takes: Option<u64>,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Json(Value),
    Reply(Served),
    Failed(String),
    Timeout(bool),
    Denied(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Served {
    status: u16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    json: Value,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl Exchange {
    #[track_caller]
    fn answer(&self, request: &Request) -> Result<Reply, Trouble> {
        let method = if request.body.is_some() { "POST" } else { "GET" };
        assert_eq!(format!("{method} {}", request.url), self.request);
        assert_eq!(request.body, self.body);
        match &self.answer {
            Answer::Json(json) => Ok(Reply { status: 200, body: json.to_string().into_bytes(), ..Reply::default() }),
            Answer::Failed(reason) => Err(Trouble::Failed(reason.clone())),
            Answer::Timeout(_) => Err(Trouble::Timeout),
            Answer::Denied(url) => Err(Trouble::Denied { method: method.to_owned(), url: url.clone() }),
            Answer::Reply(Served { status, headers, json, text, cut }) => {
                let body = if json.is_null() { text.clone() } else { json.to_string() };
                let headers = headers.clone().into_iter().collect();
                Ok(Reply { status: *status, headers, body: body.into_bytes(), is_cut: *cut })
            }
        }
    }
}

/// The result as it stands in the files, and the text.
fn run(case: &Case) -> (Value, Vec<String>) {
    let config: Vec<_> = case.config.clone().into_iter().collect();
    let settings = Settings::read(&config, true).expect("it is configured");
    let arguments = case.arguments.clone();
    let ask = if case.std {
        Ask::std(serde_json::from_value(arguments).expect("arguments"))
    } else {
        Ask::of(serde_json::from_value(arguments).expect("arguments"), &settings)
    };
    let ask = ask.expect("arguments that make sense");
    let (mut exchanges, passed) = (case.web.iter(), Cell::new(Duration::ZERO));
    let mut send = |request: &Request, time: Duration| {
        let exchange = exchanges.next().expect("a request more than the case has");
        let took = Duration::from_millis(exchange.takes.unwrap_or_default());
        passed.set(passed.get() + took.min(time));
        exchange.answer(request)
    };
    let mut web = Web {
        send: &mut send,
        elapsed: &|| passed.get(),
        now: &|| NOW,
        wait: &mut |pause| passed.set(passed.get() + pause),
    };
    let found = crate::search(&settings, &ask, &mut web);
    assert_eq!(exchanges.count(), 0, "requests that were not made");
    match found {
        Err(failure) => (told(failure, passed.get()), Vec::new()),
        Ok(found) => {
            let text = found.to_text().lines().map(str::to_owned).collect();
            let record = if case.std {
                serde_json::to_value(found.std_results())
            } else {
                serde_json::to_value(found.results(ask.query))
            };
            (record.expect("a record is JSON"), text)
        }
    }
}

fn told(failure: Failure, passed: Duration) -> Value {
    let Failure::Upstream(upstream) = failure else { return json!({ "failure": format!("{failure:?}") }) };
    json!({
        "upstream": upstream.message, "status": upstream.status, "retry_after": upstream.retry_after,
        "took": u64::try_from(passed.as_millis()).expect("a short time"),
    })
}

#[test]
fn each_case_gives_its_result() {
    let update = std::env::var("UPDATE").is_ok();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("the cases").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() > 20, "the cases are there");
    let mut failures = Vec::new();
    for path in files {
        let mut case: Case = serde_json::from_str(&fs::read_to_string(&path).expect("readable"))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (result, text) = run(&case);
        if update {
            (case.result, case.text) = (result, text);
            fs::write(&path, serde_json::to_string_pretty(&case).expect("JSON") + "\n").expect("writable");
        } else if (&result, &text) != (&case.result, &case.text) {
            failures.push(format!("{}: {}\n{result:#}\n{text:#?}", path.display(), case.about));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
