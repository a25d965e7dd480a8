//! What a call left behind for its caller: files that were too large for the answer, for as long as this server runs.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Serialize;
use utoipa::ToSchema;

use bailiwick_core::outcome::{Output, ResourceLink};

use super::body::Detail;
use super::{Face, Gateway, Refusal, Who};
use crate::ambient;
use crate::artifact::{Artifacts, Kept, Owner, SCHEME, links};

/// The largest artifact that goes into one answer.
const MAX_READ: u64 = 64 << 20;

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

/// What of a result its owner can fetch here.
pub(super) fn of(artifacts: &Artifacts, owner: &Owner, output: &Output) -> Vec<Artifact> {
    let owned = links(output).filter(|link| artifacts.of(owner, &link.uri).is_some());
    let artifacts = owned.filter_map(|link| {
        let ResourceLink { uri, name, description, mime_type, size, .. } = link.clone();
        let href = format!("/api/v1/artifacts/{}", uri.strip_prefix(SCHEME)?);
        Some(Artifact { name, uri, href, description, mime_type, size })
    });
    artifacts.collect()
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
    let Some(Kept { path, mime_type, .. }) = gateway.host.artifacts.of(&who.owner, &uri) else { return unknown() };
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
