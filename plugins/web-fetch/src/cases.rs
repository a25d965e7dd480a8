//! The files in `cases/`: each `.json` is a call, the web it finds and the record it gives; the `.md` beside it is the
//! text a model sees. To write the results anew: `UPDATE=1 cargo test -p bailiwick-plugin-web-fetch`.

#![expect(clippy::disallowed_methods, reason = "reads test files, and one variable")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bailiwick_sdk::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ask::{Arguments, Ask};
use crate::fetch::{Denied, Reply, Request, Trouble, Web, fetch};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The rule it proves.
    about: String,
    arguments: Value,
    web: Vec<Exchange>,
    /// The record without its `content`, which the text holds; or the failure.
    #[serde(default)]
    result: Value,
}

/// A request that is expected next, and its answer.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    request: String,
    /// Parts of the request that must be so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<String>,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Reply(Served),
    Failed(String),
    Denied(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Served {
    status: u16,
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

impl Exchange {
    #[track_caller]
    fn answer(&self, request: &Request<'_>) -> Result<Reply, Trouble> {
        assert_eq!(format!("{} {}", request.method.as_str(), request.url), self.request);
        if let Some(sent) = &self.sent {
            let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
            let body = String::from_utf8_lossy(request.body.unwrap_or_default());
            let whole = format!("{}\n{body}", headers.collect::<String>());
            assert!(whole.contains(sent), "`{sent}` is not in:\n{whole}");
        }
        match &self.answer {
            Answer::Failed(message) => Err(Trouble::Failed(message.clone())),
            Answer::Denied(url) => {
                let method = request.method.as_str().to_owned();
                Err(Trouble::Denied(Denied { method, url: url.clone() }))
            }
            Answer::Reply(served) => {
                let file = served.file.as_ref().map(|name| fs::read(folder().join(name)).expect("a page of the case"));
                let text = served.text.as_ref().map(|text| text.clone().into_bytes());
                Ok(Reply {
                    status: served.status,
                    headers: served.headers.clone(),
                    body: file.or(text).unwrap_or_default(),
                    url: served.url.clone().unwrap_or_else(|| request.url.to_string()),
                    is_cut: false,
                })
            }
        }
    }
}

/// The result as it stands in the files: the record, and the text.
fn run(case: &Case) -> (Value, String) {
    let arguments: Arguments = serde_json::from_value(case.arguments.clone()).expect("arguments that match the schema");
    let ask = match Ask::try_from(arguments) {
        Ok(ask) => ask,
        Err(Failure::InvalidArguments(message)) => return (serde_json::json!({ "invalid": message }), String::new()),
        Err(other) => panic!("{other:?}"),
    };
    let mut web = case.web.iter();
    let mut send = |request: &Request<'_>| web.next().expect("a request more than the case has").answer(request);
    let fetched = fetch(&ask, &mut Web { send: &mut send, elapsed: &|| Duration::from_millis(12) });
    assert_eq!(web.count(), 0, "requests that were not made");
    match fetched {
        Err(Denied { method, url }) => (serde_json::json!({ "denied": format!("{method} {url}") }), String::new()),
        Ok(fetched) => {
            let text = fetched.to_text();
            let content = fetched.content.as_deref().unwrap_or_default().trim_matches('\n');
            assert!(text.contains(content), "the text holds the content");
            let mut record = serde_json::to_value(&fetched).expect("a record is JSON");
            record.as_object_mut().expect("a record is an object").remove("content");
            (record, format!("{text}\n"))
        }
    }
}

#[test]
fn each_case_gives_its_result() {
    let update = std::env::var("UPDATE").is_ok();
    let mut failures = Vec::new();
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder()).expect("the cases").map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(files.len() > 10, "the cases are there");
    for path in files {
        let mut case: Case = serde_json::from_str(&fs::read_to_string(&path).expect("readable"))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (result, text) = run(&case);
        let text_path = path.with_extension("md");
        if update {
            case.result = result;
            fs::write(&path, serde_json::to_string_pretty(&case).expect("JSON") + "\n").expect("writable");
            if !text.is_empty() {
                fs::write(&text_path, text).expect("writable");
            }
            continue;
        }
        let expected = fs::read_to_string(&text_path).unwrap_or_default();
        if result != case.result || text != expected {
            failures.push(format!("{}: {}\n{result:#}\n{text}", path.display(), case.about));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What a hostile page must not do, with less stack than the component has.
#[test]
fn a_small_stack_is_enough_for_any_page() {
    let n = 20_000;
    let pages = [
        "<div>".repeat(100_000),
        "<ul><li>".repeat(n),
        "<blockquote>".repeat(n),
        "<blockquote><ul><li>".repeat(n),
        "<a href=x><b><p>".repeat(n),
        "<em><strong>".repeat(n),
        "<table><tr><td>".repeat(n),
        format!("{}text", "<span><i>".repeat(n)),
        format!("<article><p>{}</p></article>", "<q>word, word, word. ".repeat(n)),
    ];
    for mode in ["article", "full", "links"] {
        for page in &pages {
            let (mode, page) = (mode.to_owned(), page.clone());
            let walk = move || {
                let arguments: Arguments =
                    serde_json::from_value(serde_json::json!({"url": "http://a.b", "mode": mode})).expect("arguments");
                let ask = Ask::try_from(arguments).expect("valid");
                let mut send = |request: &Request<'_>| {
                    let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
                    let body = page.clone().into_bytes();
                    Ok(Reply { status: 200, headers, body, url: request.url.to_string(), is_cut: false })
                };
                fetch(&ask, &mut Web { send: &mut send, elapsed: &|| Duration::ZERO }).expect("a record");
            };
            // The component has 1 MiB, and smaller frames.
            std::thread::Builder::new()
                .stack_size(512 << 10)
                .spawn(walk)
                .expect("a thread")
                .join()
                .expect("no overflow");
        }
    }
}
