//! One request for JSON: it is asked again once if the service is busy, and what comes of it is JSON or a failure that
//! says what to change.

use std::time::Duration;

use bailiwick_sdk::Failure;
use serde_json::Value;
use url::Url;

use crate::clean;
use crate::pause;
use crate::service::{KEY, Service};

/// Most that is read of an answer. Twenty results with their snippets are a tenth of it.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// The longest a call waits for a busy service by itself. What takes longer is the caller's to decide.
const MAX_PAUSE: Duration = Duration::from_secs(3);

/// The pause where a service says that it is busy and not until when.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest piece of a service's own words in a failure.
const MAX_WORDS: usize = 200;

/// What to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Where to.
    pub url: Url,
    /// What to `POST`; without it the request is a `GET`.
    pub body: Option<Value>,
}

/// What came, from the server that was asked: redirects are not followed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// As they came.
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB of it.
    pub body: Vec<u8>,
    /// Whether it goes on.
    pub is_cut: bool,
}

impl Reply {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No grant allows the request.
    Denied {
        /// Its method.
        method: String,
        /// Its URL.
        url: String,
    },
    /// It took too long.
    Timeout,
    /// Anything else, as the rest of a sentence.
    Failed(String),
}

/// The web, and the time there.
pub struct Web<'a> {
    /// Sends a request, which may take so long.
    pub send: &'a mut dyn FnMut(&Request, Duration) -> Result<Reply, Trouble>,
    /// The time since the call began.
    pub elapsed: &'a dyn Fn() -> Duration,
    /// The seconds since 1970.
    pub now: &'a dyn Fn() -> u64,
    /// Waits.
    pub wait: &'a mut dyn FnMut(Duration),
}

/// Asks a service for JSON, and takes `time` for it at most.
///
/// # Errors
///
/// `denied.*` where no grant allows the request, else `upstream.*`: the service cannot be reached, refuses the key, had too
/// many requests (after one more try, if it is soon), failed, or answered with something else.
pub fn ask(service: &Service, request: &Request, time: Duration, web: &mut Web<'_>) -> Result<Value, Failure> {
    let mut reply = send(service, request, time, web)?;
    if reply.status == 429 {
        let pause = pause::wanted(&reply, (web.now)()).unwrap_or(PAUSE);
        // Half of what is left is for the answer.
        let left = time.saturating_sub((web.elapsed)());
        if pause <= MAX_PAUSE.min(left / 2) {
            (web.wait)(pause);
            reply = send(service, request, time, web)?;
        }
    }
    read(service, &reply, (web.now)())
}

fn send(service: &Service, request: &Request, time: Duration, web: &mut Web<'_>) -> Result<Reply, Failure> {
    let left = time.saturating_sub((web.elapsed)());
    let name = service.name;
    let late = || Failure::upstream(format!("{name} gave no answer in time. Try again later."), None);
    if left.is_zero() {
        return Err(late());
    }
    (web.send)(request, left).map_err(|trouble| match trouble {
        Trouble::Denied { method, url } => Failure::denied_request(method, url),
        Trouble::Timeout => late(),
        Trouble::Failed(reason) => {
            Failure::upstream(format!("{name} at {} cannot be asked: {reason}.", service.base), None)
        }
    })
}

fn read(service: &Service, reply: &Reply, now: u64) -> Result<Value, Failure> {
    if reply.status != 200 {
        return Err(refusal(service, reply, now));
    }
    if reply.is_cut {
        let text = format!("The answer of {} is larger than 1 MiB; ask for fewer results.", service.name);
        return Err(Failure::upstream(text, None));
    }
    serde_json::from_slice(&reply.body).map_err(|_| {
        let came = if is_html(reply) { "a web page" } else { "something else" };
        let text = format!(
            "{} at {} answered with {came} instead of JSON: check the setting `base_url`.",
            service.name, service.base
        );
        Failure::upstream(text, None)
    })
}

/// What a status other than 200 means.
fn refusal(service: &Service, reply: &Reply, now: u64) -> Failure {
    let (name, status) = (service.name, reply.status);
    let words = words(reply).map(|words| format!(" {words}")).unwrap_or_default();
    match status {
        301..=308 => {
            let location = clean::line(reply.header("location").unwrap_or("nowhere"), MAX_WORDS);
            let text = format!(
                "{name} API error: {status}, a redirect to `{location}`, which is not followed: set `base_url` to where \
                 the service is."
            );
            Failure::upstream(text, status)
        }
        401 | 403 => Failure::upstream(locked_out(service, status, &words), status),
        // Brave's word for a wrong key.
        422 if is_about_the_key(reply) => Failure::upstream(locked_out(service, status, &words), status),
        429 => {
            let text = format!("{name} API error: 429{words}. It had too many requests, or the plan is used up.");
            let failure = Failure::upstream(text, status);
            pause::wanted(reply, now).map_or(failure.clone(), |pause| failure.retry_after(pause))
        }
        500.. => Failure::upstream(format!("{name} API error: {status}{words}. Try again later."), status),
        _ => Failure::upstream(format!("{name} API error: {status}{words}."), status),
    }
}

fn locked_out(service: &Service, status: u16, words: &str) -> String {
    let said = format!("{} API error: {status}{words}.", service.name);
    match service.line() {
        Some(line) => format!(
            "{said} Check the value of the secret `{KEY}` and its line in the plugin's table, which should be `{line}`."
        ),
        None if status == 401 => format!(
            "{said} It wants a login: bind a secret to the origin {}.",
            service.base.origin().ascii_serialization()
        ),
        // What an instance of SearXNG says where only its web pages are switched on.
        None => format!("{said} It may not give JSON: add `json` to `search.formats` in its settings.yml."),
    }
}

fn is_about_the_key(reply: &Reply) -> bool {
    let body = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
    body["error"]["code"].as_str().is_some_and(|code| code.contains("TOKEN"))
}

fn is_html(reply: &Reply) -> bool {
    let is_announced = reply.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
    is_announced || reply.body.trim_ascii_start().starts_with(b"<")
}

/// What the service says about a refusal, in the places where services say it.
fn words(reply: &Reply) -> Option<String> {
    let said = match serde_json::from_slice::<Value>(&reply.body) {
        Ok(body) => told(&body).map(str::to_owned),
        Err(_) if is_html(reply) => None,
        Err(_) => Some(String::from_utf8_lossy(&reply.body).into_owned()),
    };
    said.map(|said| clean::line(&said, MAX_WORDS).trim_end_matches('.').to_owned()).filter(|said| !said.is_empty())
}

fn told(body: &Value) -> Option<&str> {
    match body {
        Value::String(text) => Some(text),
        Value::Object(fields) => {
            ["detail", "error", "message", "msg"].iter().find_map(|key| fields.get(*key).and_then(told))
        }
        Value::Array(several) => several.first().and_then(told),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
