//! The built-in plugin `openapi`: runs one operation of an HTTP service.
//!
//! The host reads documents and keeps the operations; with each call it says here which one, where the service is and
//! what the operator injects. `request` builds what is sent, `answer` reads what comes back; only this file knows the
//! SDK's HTTP client and the host. The one power of the plugin is the operator's grant to reach that service.

mod answer;
mod body;
mod encode;
mod file;
mod header;
mod multipart;
mod request;
mod retry;
mod settings;
mod strict;
mod style;
mod values;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod properties;

use std::hash::{BuildHasher, RandomState};

use bailiwick_sdk::prelude::*;
use serde_json::{Map, Value};

use crate::request::{Call, Request};
use crate::settings::Settings;

/// Redirects that are followed. Each is one the host allows or not; services that move a path need one or two.
const MAX_REDIRECTS: u32 = 5;

/// Header fields that any server may see. The others stay with the service, whatever it redirects to: they may be keys.
const FOR_ANYONE: [&str; 4] = ["accept", "accept-language", "content-type", "user-agent"];

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Runs the operation that the configuration holds, with the arguments it names.
    #[tool(open_world, input_schema = r#"{"type":"object"}"#)]
    fn call(arguments: Args<Map<String, Value>>) -> Result<Output, Failure> {
        let settings = Settings::read(config::get)?;
        let boundary = boundary();
        let call = Call {
            operation: &settings.operation,
            base: &settings.base,
            given: &arguments.0,
            injected: &settings.injected,
            boundary: &boundary,
        };
        let response = send(request::build(&call)?, &settings)?;
        answer::read(&response, &|name, media, bytes| Ok(artifact::put(name, media, bytes)?))
    }
}

/// What separates the parts of a body; nobody can foresee it.
fn boundary() -> String {
    let random = RandomState::new();
    format!("bailiwick-{:016x}{:016x}", random.hash_one(1), random.hash_one(2))
}

fn send(request: Request, settings: &Settings) -> Result<http::Response, Failure> {
    let Request { method, url, headers, body } = request;
    let is_private = |name: &&str| !FOR_ANYONE.iter().any(|public| name.eq_ignore_ascii_case(public));
    let mut sent = http::Request::new(method, url)
        .timeout(settings.timeout)
        .max_body(settings.max_body)
        .redirects(MAX_REDIRECTS)
        .sensitive(headers.iter().map(|(name, _)| name.as_str()).filter(is_private));
    for (name, value) in headers {
        sent = sent.header(name, value);
    }
    if let Some(body) = body {
        sent = sent.body(body);
    }
    sent.send().map_err(failure)
}

/// The failure without the query of an address, which may hold what the operator injects.
fn failure(error: http::Error) -> Failure {
    match error {
        http::Error::Denied { method, url } => {
            Failure::denied_request(method, url.split_once('?').map_or(url.as_str(), |(before, _)| before))
        }
        http::Error::InvalidUrl(_) => Failure::upstream("The service redirects to what is no address.", None),
        other @ (http::Error::Timeout
        | http::Error::Dns(_)
        | http::Error::Connect(_)
        | http::Error::Tls(_)
        | http::Error::TooManyRedirects
        | http::Error::BodyTooLarge
        | http::Error::Protocol(_)) => other.into(),
    }
}
