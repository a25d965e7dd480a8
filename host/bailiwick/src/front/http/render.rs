//! `/api/v1/render`: a text with the caller's tools written into it.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use bailiwick_core::render::{MAX_RENDERED, Manifest};

use super::body::{self, Detail, Invalid};
use super::{Face, Gateway, Identity, Refusal};

pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/api/v1/render", post(render))
}

/// A text.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    /// It may have `{{toolservice:list}}`, `{{toolservice:tools}}` and `{{toolservice:tools NAME}}` in it; in the answer,
    /// what they stand for.
    text: String,
}

/// Writes the caller's tools into a text.
#[utoipa::path(post, path = "/api/v1/render", tag = "tools", request_body = Text,
    responses((status = 200, body = Text), (status = 413, body = Detail), (status = 422, body = Detail)))]
async fn render(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    bytes: Bytes,
) -> Result<Response, Invalid> {
    let Text { text } = body::read(&bytes)?;
    let snapshot = gateway.host.snapshot();
    Ok(match Manifest::of(&snapshot.registry, &asker.caller.tools).render(&text) {
        Some(text) => Json(Text { text }).into_response(),
        None => {
            let message = format!("the text would be larger than {} MiB", MAX_RENDERED >> 20);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message).response(Face::Api)
        }
    })
}
