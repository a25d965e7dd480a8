//! `/api/v1/code-mode/types`: what programs of `execute_code` may call, for whoever writes them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::body::Detail;
use super::{Face, Gateway, Identity, Refusal};

pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/api/v1/code-mode/types", get(types))
}

/// TypeScript declarations of the tools that programs of this caller may call.
#[utoipa::path(get, path = "/api/v1/code-mode/types", tag = "tools",
    responses((status = 200, body = String, content_type = "application/typescript"), (status = 404, body = Detail)))]
async fn types(State(gateway): State<Arc<Gateway>>, Extension(asker): Extension<Identity>) -> Response {
    match gateway.host.code_mode_types(&asker.caller) {
        Some(types) => ([(CONTENT_TYPE, "application/typescript; charset=utf-8")], types).into_response(),
        None => {
            let message = "this caller has no tool that runs programs which call tools (`builtin:code-mode`)";
            Refusal::new(StatusCode::NOT_FOUND, message.to_owned()).response(Face::Api)
        }
    }
}
