//! What a call left behind for its caller: files that were too large for the answer, for as long as this server runs.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Serialize;
use utoipa::ToSchema;

use bailiwick_core::call::CallId;
use bailiwick_core::outcome::{Content, Outcome, Output, ResourceLink};

use super::body::Detail;
use super::{Face, Gateway, Refusal, Who};
use crate::ambient;

/// Artifacts a caller can read; after that its oldest fall out.
const MAX_KEPT: usize = 500;
/// Callers whose artifacts are known; after that those of who asked for none the longest fall out.
const MAX_CALLERS: usize = 1_000;
/// The largest artifact that goes into one answer.
const MAX_READ: u64 = 64 << 20;
const SCHEME: &str = "artifact://";

pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/api/v1/artifacts/{call}/{name}", get(fetch))
}

/// A file that a call left.
#[derive(Serialize, ToSchema)]
pub(super) struct Artifact {
    /// Its name.
    name: String,
    /// What other interfaces know it by.
    uri: String,
    /// Where to fetch it.
    href: String,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    /// Its size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// The links of a result.
fn links(output: &Output) -> impl Iterator<Item = &ResourceLink> {
    output.content.iter().filter_map(|piece| match piece {
        Content::Link(link) => Some(link),
        Content::Text(_) | Content::Image(_) | Content::Audio(_) | Content::Resource(_) => None,
    })
}

/// Which artifacts belong to whom.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Owners>);

#[derive(Debug, Default)]
struct Owners {
    kept: HashMap<String, VecDeque<(String, Option<String>)>>,
    /// Callers, the one that got nothing for the longest time first.
    order: VecDeque<String>,
}

impl Shelf {
    /// Remembers what a call left for its caller. A link to what another call left stays a mere link: the plugin wrote
    /// it, and must not be able to open what another caller was given.
    pub(super) fn note(&self, caller: &str, call: &CallId, outcome: &Outcome) {
        let Ok(output) = &outcome.result else { return };
        let own = format!("{SCHEME}{call}/");
        let mut links = links(output).filter(|link| link.uri.starts_with(&own)).peekable();
        if links.peek().is_none() {
            return;
        }
        let mut owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        owners.order.retain(|known| known != caller);
        owners.order.push_back(caller.to_owned());
        let kept = owners.kept.entry(caller.to_owned()).or_default();
        for link in links {
            kept.push_back((link.uri.clone(), link.mime_type.clone()));
            if kept.len() > MAX_KEPT {
                kept.pop_front();
            }
        }
        if owners.order.len() > MAX_CALLERS
            && let Some(oldest) = owners.order.pop_front()
        {
            owners.kept.remove(&oldest);
        }
    }

    /// What of a result the caller can fetch here.
    pub(super) fn artifacts(&self, caller: &str, output: &Output) -> Vec<Artifact> {
        let owned = links(output).filter(|link| self.owned(caller, &link.uri).is_some());
        let artifacts = owned.filter_map(|link| {
            let ResourceLink { uri, name, description, mime_type, size, .. } = link.clone();
            let href = format!("/api/v1/artifacts/{}", uri.strip_prefix(SCHEME)?);
            Some(Artifact { name, uri, href, description, mime_type, size })
        });
        artifacts.collect()
    }

    /// The media type of an artifact that belongs to `caller`.
    fn owned(&self, caller: &str, uri: &str) -> Option<Option<String>> {
        let owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, mime_type) = owners.kept.get(caller)?.iter().find(|(known, _)| known == uri)?;
        Some(mime_type.clone())
    }
}

/// The content of an artifact of this caller's own calls.
#[utoipa::path(get, path = "/api/v1/artifacts/{call}/{name}", tag = "tools",
    params(("call" = String, Path, description = "The call that left it"), ("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "Its bytes", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, body = Detail), (status = 413, body = Detail), (status = 500, body = Detail)))]
async fn fetch(
    State(gateway): State<Arc<Gateway>>,
    who: Who,
    place: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, "no call of yours left such an artifact").response(Face::Api);
    let Ok(Path((call, name))) = place else { return unknown() };
    let uri = format!("{SCHEME}{call}/{name}");
    let Some(mime_type) = gateway.shelf.owned(&who.owner, &uri) else { return unknown() };
    let Some(path) = gateway.host.artifacts.path(&uri) else { return unknown() };
    let read = tokio::task::spawn_blocking(move || ambient::read(&path, MAX_READ)).await;
    match read.map_err(io::Error::other).flatten() {
        Ok(bytes) => download(bytes, &name, mime_type.as_deref()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => unknown(),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            let message = format!("the artifact is larger than {} MiB; ask the tool for less", MAX_READ >> 20);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message).response(Face::Api)
        }
        Err(error) => {
            tracing::error!(uri, %error, "an artifact cannot be read");
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error").response(Face::Api)
        }
    }
}

/// A file to keep, never one to show: a plugin wrote it.
fn download(bytes: Vec<u8>, name: &str, mime_type: Option<&str>) -> Response {
    let fallback = HeaderValue::from_static("application/octet-stream");
    let kind = mime_type.and_then(|kind| HeaderValue::from_str(kind).ok()).unwrap_or(fallback);
    // Names of artifacts are letters, digits, `.`, `_` and `-`.
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.extend(
        disposition.ok().map(|disposition| (header::CONTENT_DISPOSITION, disposition)) as Option<(HeaderName, _)>
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(shelf: &Shelf, caller: &str, uris: &[String]) {
        let link = |uri: &String| Content::Link(ResourceLink { uri: uri.clone(), ..ResourceLink::default() });
        let output = Output { content: uris.iter().map(link).collect(), ..Output::default() };
        shelf.note(caller, &CallId::new("c"), &Outcome::done(output));
    }

    #[test]
    fn an_artifact_belongs_to_who_called_and_the_oldest_fall_out() {
        let shelf = Shelf::default();
        let uri = |n: usize| format!("artifact://c/{n}");
        let foreign = ["https://x/y", "artifact://d/0", "artifact://c"].map(str::to_owned);
        note(&shelf, "key:a", &[&[uri(0)], &foreign[..]].concat());
        assert_eq!(shelf.owned("key:a", &uri(0)), Some(None));
        assert_eq!(shelf.owned("key:b", &uri(0)), None);
        for uri in &foreign {
            assert_eq!(shelf.owned("key:a", uri), None, "{uri}");
        }
        note(&shelf, "key:a", &(1..=MAX_KEPT).map(uri).collect::<Vec<_>>());
        assert_eq!(shelf.owned("key:a", &uri(0)), None);
        assert_eq!(shelf.owned("key:a", &uri(MAX_KEPT)), Some(None));
        for n in 0..MAX_CALLERS {
            note(&shelf, &format!("oauth:{n}"), &[uri(n)]);
        }
        assert_eq!(shelf.owned("key:a", &uri(MAX_KEPT)), None);
        assert_eq!(shelf.owned("oauth:0", &uri(0)), Some(None));
    }
}
