//! `/api/tools/v1`: the tools as Auxot's clients ask for them, with its errors.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use bailiwick_core::dialect::answers;
use bailiwick_core::outcome::{Code, Failure, Outcome, Output};
use bailiwick_core::redact::{brief, quotable};

use super::tools::DISABLED;
use super::{Gateway, Identity, Who};
use crate::search::{Menu, TOOLS_HEADER};

pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/api/tools/v1/list", get(list))
        .route("/api/tools/v1/list/", get(list))
        .route("/api/tools/v1/tools", get(tools))
        .route("/api/tools/v1/tools/", get(list))
        .route("/api/tools/v1/execute", post(execute))
}

/// The tools of a caller.
#[derive(Serialize, ToSchema)]
pub(super) struct AuxotTools {
    tools: Vec<AuxotTool>,
    /// Hosts that run them: this one.
    workers: u32,
}

/// One tool.
#[derive(Serialize, ToSchema)]
pub(super) struct AuxotTool {
    name: String,
    description: String,
    /// The JSON Schema of its arguments.
    #[schema(value_type = Object)]
    parameters: Value,
    /// Whether it can work as it is configured.
    available: bool,
}

/// A call. The arguments go under one of three names.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a body that is read without being taken apart")]
pub(super) struct AuxotCall {
    tool: String,
    #[schema(value_type = Option<Object>)]
    arguments: Option<Value>,
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
}

#[derive(Deserialize)]
struct Body<'a> {
    tool: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
}

/// What came of a call.
#[derive(Serialize, ToSchema)]
pub(super) struct AuxotResult {
    tool: String,
    /// JSON where the tool has it, else text.
    result: Value,
}

/// A refusal.
#[derive(Serialize, ToSchema)]
pub(super) struct AuxotError {
    error: AuxotErrorBody,
}

/// What is wrong.
#[derive(Serialize, ToSchema)]
pub(super) struct AuxotErrorBody {
    message: String,
    r#type: &'static str,
    /// Its stable name.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

/// The tools this caller may see.
#[utoipa::path(get, path = "/api/tools/v1/list", tag = "auxot", responses((status = 200, body = AuxotTools)))]
async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    headers: HeaderMap,
) -> Json<AuxotTools> {
    let menu = headers.get(TOOLS_HEADER).and_then(|menu| Menu::parse(menu.to_str().ok()?)).unwrap_or_default();
    let tools = gateway.host.offer(&asker.caller, menu).into_iter().map(|(name, tool)| AuxotTool {
        name: name.to_string(),
        description: tool.description(),
        parameters: tool.arguments.visible().clone(),
        available: tool.not_configured.is_none(),
    });
    Json(AuxotTools { tools: tools.collect(), workers: 1 })
}

/// The same by its other name.
#[utoipa::path(get, path = "/api/tools/v1/tools", tag = "auxot", responses((status = 200, body = AuxotTools)))]
async fn tools(gateway: State<Arc<Gateway>>, asker: Extension<Identity>, headers: HeaderMap) -> Json<AuxotTools> {
    list(gateway, asker, headers).await
}

/// Runs a tool.
#[utoipa::path(post, path = "/api/tools/v1/execute", tag = "auxot", request_body = AuxotCall,
    responses((status = 200, body = AuxotResult), (status = 400, body = AuxotError), (status = 403, body = AuxotError),
        (status = 404, body = AuxotError), (status = 500, body = AuxotError), (status = 503, body = AuxotError)))]
async fn execute(State(gateway): State<Arc<Gateway>>, who: Who, bytes: Bytes) -> Response {
    let (tool, arguments) = match asked(&bytes) {
        Ok(asked) => asked,
        Err(message) => return error(StatusCode::BAD_REQUEST, "invalid_request_error", message, None),
    };
    if !gateway.settings.enable_tool_execute {
        return error(StatusCode::FORBIDDEN, "permission_error", DISABLED.to_owned(), None);
    }
    match gateway.call(&who, tool.clone(), arguments).await.result {
        Ok(output) => Json(AuxotResult { result: result(output), tool }).into_response(),
        Err(failure) => failed(&tool, &failure),
    }
}

/// The tool and its arguments. Under several names they have to be the same: whoever looked at one of them before us has
/// seen all there is.
fn asked(bytes: &[u8]) -> Result<(String, String), String> {
    let body: Body<'_> =
        serde_json::from_slice(bytes).map_err(|error| format!("invalid JSON: {}", brief(&error.to_string(), 300)))?;
    let tool = body.tool.filter(|tool| !tool.is_empty()).ok_or("tool name is required")?;
    let mut given = [("arguments", body.arguments), ("input", body.input), ("parameters", body.parameters)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?.get())));
    let Some((first, arguments)) = given.next() else { return Ok((tool, "{}".to_owned())) };
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    if let Some((other, _)) = given.find(|(_, text)| *text != arguments && value(text) != value(arguments)) {
        return Err(format!("`{first}` and `{other}` are different: give the arguments once"));
    }
    if !arguments.starts_with('{') {
        return Err(format!("`{first}` has to be an object"));
    }
    Ok((tool, arguments.to_owned()))
}

fn result(output: Output) -> Value {
    match output.structured {
        Some(structured) => structured,
        None => answers::text(&Outcome::done(output)).into(),
    }
}

fn failed(tool: &str, failure: &Failure) -> Response {
    let code = failure.code;
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else went wrong is the tool's affair")]
    let (status, kind, message) = match code {
        Code::ToolUnknown => {
            let message = format!("no tools worker connected that supports \"{}\"", quotable(tool, 80));
            (StatusCode::NOT_FOUND, "not_found", message)
        }
        Code::ArgumentsInvalid | Code::ArgumentsTooLarge => {
            (StatusCode::BAD_REQUEST, "invalid_request_error", failure.to_string())
        }
        Code::LimitConcurrency => (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", failure.to_string()),
        Code::LimitRate | Code::LimitBudget => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", failure.to_string()),
        code if code.is_denial() => (StatusCode::FORBIDDEN, "permission_error", failure.to_string()),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "tool_error", failure.to_string()),
    };
    let mut response = error(status, kind, message, Some(code.as_str()));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

fn error(status: StatusCode, kind: &'static str, message: String, code: Option<&'static str>) -> Response {
    (status, Json(AuxotError { error: AuxotErrorBody { message, r#type: kind, code } })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let seen = asked(body.as_bytes());
        assert_eq!(seen.map_or_else(|message| message, |(tool, arguments)| format!("{tool} {arguments}")), expected);
    }

    #[test]
    fn arguments_have_three_names_and_one_value() {
        check(r#"{"tool":"t"}"#, "t {}");
        check(r#"{"tool":"t","arguments":null}"#, "t {}");
        for name in ["arguments", "input", "parameters"] {
            check(&format!(r#"{{"tool":"t","{name}":{{"a":1}}}}"#), r#"t {"a":1}"#);
        }
        check(r#"{"tool":"t","arguments":{"a":1,"b":2},"input":{"b":2, "a":1}}"#, r#"t {"a":1,"b":2}"#);
        let different = "`arguments` and `parameters` are different: give the arguments once";
        check(r#"{"tool":"t","arguments":{"a":1},"input":{"a":1},"parameters":{"a":2}}"#, different);
        check(r#"{"tool":"t","input":[]}"#, "`input` has to be an object");
    }

    #[test]
    fn what_is_missing_is_said_as_it_always_was() {
        check("{}", "tool name is required");
        check(r#"{"tool":""}"#, "tool name is required");
        check("{", "invalid JSON: EOF while parsing an object at line 1 column 1");
        check(r#"{"tool":"t","tool":"u"}"#, "invalid JSON: duplicate field `tool` at line 1 column 18");
    }
}
