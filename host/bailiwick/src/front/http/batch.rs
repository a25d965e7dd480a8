//! `/api/v1/tool-calls`: the message of a model in, the messages that answer it out.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use bailiwick_core::dialect::Format;
use bailiwick_core::dialect::answers::messages;
use bailiwick_core::dialect::calls::{self, Misread};
use bailiwick_core::redact::brief;

use super::body::{Detail, FieldError, Invalid};
use super::tools::{DISABLED, FormatName};
use super::{Face, Gateway, Refusal, Who};

/// Calls of one message that are under way at once; the others wait, so that no message takes all of the host's queue.
const AT_ONCE: usize = 8;

pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/api/v1/tool-calls", post(run))
}

/// Which provider's message it is.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// Refuses a message of another provider; without it, the message says whose it is.
    #[param(inline, value_type = Option<FormatName>)]
    format: Option<String>,
}

/// A model's message, or the answer of the provider it stands in. What else is in it is passed over.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a body that is read without being taken apart")]
pub(super) struct ToolCalls {
    /// OpenAI: `{id, type: "function", function: {name, arguments}}`.
    #[schema(value_type = Option<Vec<Object>>)]
    tool_calls: Option<Vec<Value>>,
    /// OpenAI responses: `{type: "function_call", call_id, name, arguments}`.
    #[schema(value_type = Option<Vec<Object>>)]
    output: Option<Vec<Value>>,
    /// Anthropic: `{type: "tool_use", id, name, input}`.
    #[schema(value_type = Option<Vec<Object>>)]
    content: Option<Vec<Value>>,
    /// Gemini: `{functionCall: {id, name, args}}`.
    #[schema(value_type = Option<Vec<Object>>)]
    parts: Option<Vec<Value>>,
}

/// What goes on the conversation.
#[derive(Serialize, ToSchema)]
pub(super) struct ToolMessages {
    /// Whose messages they are.
    format: &'static str,
    /// Messages to put after the model's own, in the order of its calls.
    messages: Vec<Value>,
    /// How many calls there were.
    count: usize,
}

/// Runs the calls of a message, several at once.
#[utoipa::path(post, path = "/api/v1/tool-calls", tag = "tools", params(From), request_body = ToolCalls,
    responses((status = 200, body = ToolMessages), (status = 403, body = Detail), (status = 422, body = Detail)))]
async fn run(
    State(gateway): State<Arc<Gateway>>,
    who: Who,
    from: Result<Query<From>, QueryRejection>,
    bytes: Bytes,
) -> Result<Response, Invalid> {
    let Query(from) = from.map_err(|rejection| Invalid::query(&rejection))?;
    let told = match from.format.as_deref().map(|name| Format::parse(name).ok_or(name)) {
        None => None,
        Some(Ok(format)) => Some(format),
        Some(Err(_)) => return Err(Invalid::one(FieldError::new("format", "there is no such format", "enum"))),
    };
    let text =
        std::str::from_utf8(&bytes).map_err(|_| misread(Misread::new("body", "it is not UTF-8", "json_invalid")))?;
    let batch = calls::read(text, told).map_err(misread)?;
    if !gateway.settings.enable_tool_execute {
        return Ok(Refusal::new(StatusCode::FORBIDDEN, DISABLED).response(Face::Api));
    }
    let under_way = batch.calls.into_iter().map(|call| async {
        let tool = batch.format.tool(&call.name).to_owned();
        let outcome = gateway.call(&who, tool, call.arguments.clone()).await;
        (call, outcome)
    });
    let answers: Vec<_> = futures::stream::iter(under_way).buffered(AT_ONCE).collect().await;
    let messages = messages(batch.format, &answers);
    Ok(Json(ToolMessages { format: batch.format.as_str(), messages, count: answers.len() }).into_response())
}

fn misread(Misread { field, message, kind }: Misread) -> Invalid {
    Invalid::one(FieldError::new(field, brief(&message, 300), kind))
}
