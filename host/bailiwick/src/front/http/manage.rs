//! Tools as resources over HTTP: in the API's own words below `/api/v1/manage/tools`, and below `/api/tools` in those of
//! Agentron's clients. Both are for callers that may manage, and both are one set of tools.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::policy::may_manage;
use bailiwick_core::redact::brief;

use super::body::{Detail, shown};
use super::refusal::Face;
use super::{Gateway, Identity, Refusal};
use crate::manage::{Made, Refused};

/// What is answered, all of it for callers that may manage.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/api/v1/manage/tools", get(list).post(create))
        .route("/api/v1/manage/tools/openapi", post(import))
        .route("/api/v1/manage/tools/{id}", get(one).put(change).delete(remove))
        .route("/api/tools", get(list_plainly).post(create_plainly))
        .route("/api/tools/{id}", get(one_plainly).put(change_plainly).delete(remove_plainly))
}

/// A tool, as it is made or changed. What is left out of a change stays as it is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a body that is read without being taken apart")]
pub(super) struct ToolBody {
    /// For people; a blank one is `Unnamed tool`.
    name: Option<String>,
    /// `native`, `http`, `mcp` or `code`.
    protocol: Option<String>,
    /// By protocol: `{url, method, headers, description, inject, timeoutMs, addresses}`,
    /// `{endpoint, toolName, headers, timeoutMs, addresses}`, `{tool, description, arguments}`,
    /// `{language, source, description, timeoutMs}`, a program in JavaScript, TypeScript or Python with `main(input)`. Values of headers and of
    /// arguments are never given back: names are, and a list of names instead of values leaves them as they are.
    #[schema(value_type = Option<Object>)]
    config: Option<Value>,
    /// JSON Schema of its arguments.
    #[schema(value_type = Option<Object>)]
    #[serde(rename = "inputSchema")]
    input_schema: Option<Value>,
    /// JSON Schema of its results.
    #[schema(value_type = Option<Object>)]
    #[serde(rename = "outputSchema")]
    output_schema: Option<Value>,
}

/// An OpenAPI document whose operations become tools.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a body that is read without being taken apart")]
pub(super) struct DocumentBody {
    /// Where the document is.
    #[serde(rename = "specUrl")]
    spec_url: Option<String>,
    /// The document, as an object or a text, in the place of `specUrl`.
    #[schema(value_type = Option<Object>)]
    spec: Option<Value>,
    /// Where the service is, if not where the document says.
    #[serde(rename = "baseUrlOverride")]
    base_url_override: Option<String>,
    /// For people.
    name: Option<String>,
    #[schema(value_type = Option<Object>)]
    headers: Option<Value>,
    #[schema(value_type = Option<Object>)]
    inject: Option<Value>,
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    #[serde(rename = "timeoutMs")]
    timeout_ms: Option<u64>,
}

/// A refusal in the words of Agentron's clients.
#[derive(Serialize, ToSchema)]
pub(super) struct PlainError {
    error: String,
}

/// Why nothing was done, for the API's own clients.
struct Denied(Refused);

/// The same for Agentron's.
struct PlainlyDenied(Refused);

impl<T: Into<Refused>> From<T> for Denied {
    fn from(refused: T) -> Self {
        Self(refused.into())
    }
}

impl<T: Into<Refused>> From<T> for PlainlyDenied {
    fn from(refused: T) -> Self {
        Self(refused.into())
    }
}

const STANDARD: &str = "Standard tools cannot be deleted";

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, message) = match self.0 {
            Refused::Unknown => (StatusCode::NOT_FOUND, "Tool not found".to_owned()),
            Refused::Standard => (StatusCode::BAD_REQUEST, STANDARD.to_owned()),
            Refused::Taken(failure) => (StatusCode::CONFLICT, failure.to_string()),
            Refused::Other(failure) => (status(&failure, StatusCode::UNPROCESSABLE_ENTITY), failure.to_string()),
        };
        Refusal::new(status, message).response(Face::Api)
    }
}

impl IntoResponse for PlainlyDenied {
    fn into_response(self) -> Response {
        let (status, error) = match self.0 {
            Refused::Unknown => return StatusCode::NOT_FOUND.into_response(),
            Refused::Standard => (StatusCode::BAD_REQUEST, STANDARD.to_owned()),
            Refused::Taken(failure) => (StatusCode::CONFLICT, failure.to_string()),
            Refused::Other(failure) => (status(&failure, StatusCode::BAD_REQUEST), failure.to_string()),
        };
        (status, Json(PlainError { error })).into_response()
    }
}

/// The status of a failure; `wrong` is what a mistake in the request has.
fn status(failure: &Failure, wrong: StatusCode) -> StatusCode {
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else went wrong is the service's affair")]
    match failure.code {
        Code::ArgumentsInvalid | Code::ArgumentsTooLarge | Code::ToolUnknown => wrong,
        Code::LimitBudget => StatusCode::CONFLICT,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        code if code.is_denial() => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_GATEWAY,
    }
}

fn body(bytes: &[u8]) -> Result<Value, Failure> {
    let wrong = |reason: &str| Failure::new(Code::ArgumentsInvalid, format!("the body is not JSON: {reason}"));
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    bailiwick_core::schema::parse(text).map_err(|reason| wrong(&brief(&reason, 300)))
}

fn with_status(status: StatusCode, value: &Value) -> Response {
    let mut response = shown(value);
    *response.status_mut() = status;
    response
}

/// Lists all tools: those of the configuration, then those that were made, in the order they were. One whose service does not
/// answer is there too, and says so. For callers that may manage.
#[utoipa::path(get, path = "/api/v1/manage/tools", tag = "manage", responses((status = 200, body = Object)))]
async fn list(State(gateway): State<Arc<Gateway>>, Extension(asker): Extension<Identity>) -> Result<Response, Denied> {
    may_manage(&asker.caller)?;
    let tools: Value = gateway.host.tools_made(&asker.caller).into_iter().map(Made::whole).collect();
    Ok(shown(&json!({ "tools": tools })))
}

/// Makes a tool. It can be called as soon as this is answered.
#[utoipa::path(post, path = "/api/v1/manage/tools", tag = "manage", request_body = ToolBody,
    responses((status = 201, body = Object), (status = 409, body = Detail), (status = 422, body = Detail)))]
async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    bytes: Bytes,
) -> Result<Response, Denied> {
    may_manage(&asker.caller)?;
    let made = gateway.host.make_tool(&asker.caller, &body(&bytes)?).await?;
    Ok(with_status(StatusCode::CREATED, &made.whole()))
}

/// Makes a tool of each operation of an OpenAPI document.
#[utoipa::path(post, path = "/api/v1/manage/tools/openapi", tag = "manage", request_body = DocumentBody,
    responses((status = 201, body = Object), (status = 422, body = Detail),
        (status = 502, description = "the document cannot be had", body = Detail)))]
async fn import(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    bytes: Bytes,
) -> Result<Response, Denied> {
    may_manage(&asker.caller)?;
    let imported = gateway.host.import_tools(&asker.caller, &body(&bytes)?).await?;
    Ok(with_status(StatusCode::CREATED, &imported.said()))
}

/// One tool.
#[utoipa::path(get, path = "/api/v1/manage/tools/{id}", tag = "manage",
    params(("id" = String, Path, description = "The tool")),
    responses((status = 200, body = Object), (status = 404, body = Detail)))]
async fn one(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Response, Denied> {
    may_manage(&asker.caller)?;
    Ok(shown(&gateway.host.tool_made(&asker.caller, &id)?.whole()))
}

/// Changes a tool; of those of the configuration only the schemas, which hold beside their own.
#[utoipa::path(put, path = "/api/v1/manage/tools/{id}", tag = "manage",
    params(("id" = String, Path, description = "The tool")), request_body = ToolBody,
    responses((status = 200, body = Object), (status = 404, body = Detail), (status = 422, body = Detail)))]
async fn change(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<Response, Denied> {
    may_manage(&asker.caller)?;
    Ok(shown(&gateway.host.change_tool(&asker.caller, &id, &body(&bytes)?).await?.whole()))
}

/// Removes a tool that was made.
#[utoipa::path(delete, path = "/api/v1/manage/tools/{id}", tag = "manage",
    params(("id" = String, Path, description = "The tool")),
    responses((status = 200, body = Object), (status = 400, description = "it stands in the configuration", body = Detail),
        (status = 404, body = Detail)))]
async fn remove(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Response, Denied> {
    may_manage(&asker.caller)?;
    gateway.host.remove_tool(&asker.caller, &id).await?;
    Ok(shown(&json!({"ok": true})))
}

/// Lists all tools. For callers that may manage.
#[utoipa::path(get, path = "/api/tools", tag = "agentron", responses((status = 200, body = Vec<Object>)))]
async fn list_plainly(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
) -> Result<Response, PlainlyDenied> {
    may_manage(&asker.caller)?;
    let tools: Value = gateway.host.tools_made(&asker.caller).into_iter().map(|made| made.record).collect();
    Ok(shown(&tools))
}

/// Makes a tool.
#[utoipa::path(post, path = "/api/tools", tag = "agentron", request_body = ToolBody,
    responses((status = 201, body = Object), (status = 400, body = PlainError)))]
async fn create_plainly(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    bytes: Bytes,
) -> Result<Response, PlainlyDenied> {
    may_manage(&asker.caller)?;
    let made = gateway.host.make_tool(&asker.caller, &body(&bytes)?).await?;
    Ok(with_status(StatusCode::CREATED, &made.record))
}

/// One tool.
#[utoipa::path(get, path = "/api/tools/{id}", tag = "agentron", params(("id" = String, Path, description = "The tool")),
    responses((status = 200, body = Object), (status = 404, description = "there is none; the body is empty")))]
async fn one_plainly(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Response, PlainlyDenied> {
    may_manage(&asker.caller)?;
    Ok(shown(&gateway.host.tool_made(&asker.caller, &id)?.record))
}

/// Changes a tool.
#[utoipa::path(put, path = "/api/tools/{id}", tag = "agentron", params(("id" = String, Path, description = "The tool")),
    request_body = ToolBody,
    responses((status = 200, body = Object), (status = 400, body = PlainError),
        (status = 404, description = "there is none; the body is empty")))]
async fn change_plainly(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<Response, PlainlyDenied> {
    may_manage(&asker.caller)?;
    Ok(shown(&gateway.host.change_tool(&asker.caller, &id, &body(&bytes)?).await?.record))
}

/// Removes a tool that was made.
#[utoipa::path(delete, path = "/api/tools/{id}", tag = "agentron",
    params(("id" = String, Path, description = "The tool")),
    responses((status = 200, body = Object), (status = 400, body = PlainError),
        (status = 404, description = "there is none; the body is empty")))]
async fn remove_plainly(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Response, PlainlyDenied> {
    may_manage(&asker.caller)?;
    gateway.host.remove_tool(&asker.caller, &id).await?;
    Ok(shown(&json!({"ok": true})))
}
