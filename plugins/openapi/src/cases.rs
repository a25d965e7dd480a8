//! The files in `cases/`. Each case of a request is an operation with arguments and the request it makes, or the
//! failure; each case of an answer is an answer and the result it gives. To write the results anew:
//! `UPDATE=1 cargo test -p bailiwick-plugin-openapi`.

#![expect(clippy::disallowed_methods, reason = "reads test files, and one variable")]

use std::fs;
use std::path::{Path, PathBuf};

use bailiwick_operation::Operation;
use bailiwick_sdk::http::Response;
use bailiwick_sdk::{Content, Failure, Output, ResourceBody, Wanted};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use crate::answer;
use crate::request::{Call, build};

const BASE: &str = "https://a.example/v1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The rule it proves.
    about: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    operation: Value,
    calls: Vec<Made>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    given: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    injected: Map<String, Value>,
    #[serde(default)]
    sent: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    about: String,
    status: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    /// Each text this often, one after the other.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<bool>,
    #[serde(default)]
    result: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// Runs every case of a file and compares the whole, or writes it anew.
#[track_caller]
fn check<C: Serialize + DeserializeOwned>(file: &str, run: impl Fn(&mut C)) {
    let path = folder().join(file);
    let text = fs::read_to_string(&path).expect("the cases");
    let mut cases: Vec<C> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(cases.len() > 3, "the cases are there");
    cases.iter_mut().for_each(run);
    let told = serde_json::to_string_pretty(&cases).expect("JSON") + "\n";
    if std::env::var("UPDATE").is_ok() {
        fs::write(&path, told).expect("writable");
        return;
    }
    if told != text {
        let differing = told.lines().zip(text.lines()).filter(|(told, expected)| told != expected);
        let lines: Vec<String> = differing.map(|(told, expected)| format!("- {expected}\n+ {told}")).collect();
        panic!("{file}:\n{}", lines.join("\n"));
    }
}

/// The request line by line, or the failure.
fn sent(operation: &Operation, base: &Url, made: &Made) -> Vec<String> {
    let Made { given, injected, .. } = made;
    let request = match build(&Call { operation, base, given, injected, boundary: "BOUNDARY" }) {
        Ok(request) => request,
        Err(failure) => return vec![told(&failure)],
    };
    let mut lines = vec![format!("{} {}", request.method, request.url)];
    let usual = |name: &str, value: &str| {
        (name == "User-Agent" && value.starts_with("bailiwick/")) || (name == "Accept" && value == "application/json")
    };
    let headers = request.headers.iter().filter(|(name, value)| !usual(name, value));
    lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
    if let Some(body) = request.body {
        lines.push(String::new());
        lines.extend(String::from_utf8_lossy(&body).split("\r\n").map(str::to_owned));
    }
    lines
}

fn told(failure: &Failure) -> String {
    match failure {
        Failure::InvalidArguments(why) => format!("invalid: {why}"),
        Failure::NotConfigured(why) => format!("not configured: {why}"),
        Failure::Denied(Wanted::Request(what)) => format!("denied: {what}"),
        Failure::Upstream(why) => {
            let wait = why.retry_after.map(|wait| format!(" after {wait} ms")).unwrap_or_default();
            let status = why.status.map(|status| status.to_string()).unwrap_or_default();
            format!("upstream {status}{wait}: {}", why.message)
        }
        Failure::Denied(_) | Failure::NotFound(_) | Failure::Unasked(_) | Failure::Failed(_) => format!("{failure:?}"),
    }
}

fn shown(output: &Output) -> Value {
    let pieces = output.content.iter().map(|content| match content {
        Content::Text(text) => json!({ "text": text }),
        Content::Image(media) => json!({ "image": media.mime_type, "bytes": media.data.len() }),
        Content::Audio(media) => json!({ "audio": media.mime_type, "bytes": media.data.len() }),
        Content::Resource(resource) => {
            let bytes = match &resource.body {
                ResourceBody::Text(text) => text.len(),
                ResourceBody::Blob(blob) => blob.len(),
            };
            json!({ "resource": resource.uri, "type": resource.mime_type, "bytes": bytes })
        }
        Content::Link(link) => json!({ "link": link.uri, "type": link.mime_type, "bytes": link.size }),
    });
    let pieces: Vec<Value> = pieces.collect();
    json!({ "content": pieces, "structured": output.structured })
}

#[test]
fn each_operation_makes_its_request() {
    check("requests.json", |case: &mut Asked| {
        let operation: Operation =
            serde_json::from_value(case.operation.clone()).unwrap_or_else(|error| panic!("{}: {error}", case.about));
        let base = Url::parse(case.base.as_deref().unwrap_or(BASE)).expect("a base");
        for made in &mut case.calls {
            made.sent = sent(&operation, &base, made);
        }
    });
}

#[test]
fn each_answer_gives_its_result() {
    check("answers.json", |case: &mut Answered| {
        let response = Response {
            status: case.status,
            headers: case.headers.iter().cloned().collect(),
            // `%XX` stands for a byte.
            body: percent_encoding::percent_decode_str(&case.body.repeat(case.times.unwrap_or(1))).collect(),
            url: BASE.to_owned(),
            redirected: false,
            truncated: case.cut.unwrap_or(false),
        };
        let keep = |name: &str, _: &str, _: &[u8]| Ok(format!("artifact://call/{name}"));
        case.result = match answer::read(&response, &keep) {
            Ok(output) => shown(&output),
            Err(failure) => told(&failure).into(),
        };
    });
}
