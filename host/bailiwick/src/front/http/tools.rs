//! `/api/v1/tools`: the tools of a caller, in the shape its model wants, and one call at a time.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use bailiwick_core::call::Caller;
use bailiwick_core::dialect::{Format, Offered, Strict, answers, definitions};
use bailiwick_core::name::ToolName;
use bailiwick_core::outcome::{Code, Failure, Outcome};
use bailiwick_core::redact::quotable;
use bailiwick_core::registry::Tool;

use super::artifacts::{self, Artifact};
use super::body::{self, Detail, FieldError, Invalid};
use super::{Face, Gateway, Identity, Refusal, Who};
use crate::artifact::{Artifacts, Owner};
use crate::manage;
use crate::search::{self, Menu, TOOLS_HEADER};

/// What a caller is told where tools cannot be run over plain HTTP.
pub(super) const DISABLED: &str =
    "Direct tool execution is disabled. Set gateway.api.enable_tool_execute=true to enable.";

pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/api/v1/tools", get(list))
        .route("/api/v1/tools/{name}", get(describe))
        .route("/api/v1/tools/{name}/execute", post(execute))
}

/// How tools are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The shape of the definitions; `tools` of the answer goes into a request to that provider as it is.
    #[param(inline, value_type = Option<FormatName>)]
    format: Option<String>,
    /// What to list: `all` tools, the three with which they are searched (`search`), those where there are too many
    /// (`auto`), or the one with which programs call the others (`code`). Without it, the header `X-Bailiwick-Tools` says so, and else it is `auto`.
    #[param(inline, value_type = Option<MenuName>)]
    tools: Option<String>,
    /// Lists the tools that have one of these words, the best first.
    search: Option<String>,
    /// Whether the provider holds its model to the schemas. Without it, OpenAI does where a schema allows it.
    strict: Option<bool>,
}

/// The shapes there are.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a text")]
#[schema(rename_all = "kebab-case")]
pub(super) enum FormatName {
    Flat,
    Openai,
    OpenaiResponses,
    Anthropic,
    Gemini,
    Mcp,
}

/// What can be listed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a text")]
#[schema(rename_all = "kebab-case")]
pub(super) enum MenuName {
    Auto,
    All,
    Search,
    Code,
}

impl Wanted {
    fn menu(&self, headers: &HeaderMap) -> Result<Menu, Invalid> {
        let header = || headers.get(TOOLS_HEADER).map(|value| value.to_str().unwrap_or_default());
        let Some(name) = self.tools.as_deref().or_else(header) else { return Ok(Menu::Auto) };
        let wrong = || Invalid::one(FieldError::new("tools", "Input should be one of auto, all, search, code", "enum"));
        Menu::parse(name).ok_or_else(wrong)
    }

    fn format(&self) -> Result<Format, Invalid> {
        let Some(name) = &self.format else { return Ok(Format::Flat) };
        Format::parse(name).ok_or_else(|| {
            let known: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
            let message = format!("Input should be one of {}", known.join(", "));
            Invalid::one(FieldError::new("format", message, "enum"))
        })
    }

    fn how(&self) -> Strict {
        match self.strict {
            None => Strict::Auto,
            Some(true) => Strict::Always,
            Some(false) => Strict::Never,
        }
    }
}

/// The tools of a caller.
#[derive(Serialize, ToSchema)]
pub(super) struct Listed {
    /// Definitions in the shape that was asked for.
    tools: Vec<Value>,
    /// How many tools there are.
    count: usize,
    /// Plugins that are not there, and why.
    unavailable: Vec<Unavailable>,
}

/// A plugin that is not there.
#[derive(Serialize, ToSchema)]
pub(super) struct Unavailable {
    /// Its name.
    plugin: String,
    /// A stable word for why.
    code: &'static str,
    /// Why; the whole of it only for callers that may manage.
    reason: String,
}

/// One tool.
#[derive(Serialize, ToSchema)]
pub(super) struct Definition {
    /// Its name.
    name: String,
    /// What it does.
    description: String,
    /// The JSON Schema of its arguments.
    #[schema(value_type = Object)]
    parameters: Value,
    /// The plugin it belongs to.
    plugin: String,
    /// Whether it can work as it is configured.
    available: bool,
    /// The JSON Schema of its results, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    output_schema: Option<Value>,
    /// What a call does: `readOnlyHint`, `destructiveHint`, `idempotentHint`, `openWorldHint`.
    #[schema(value_type = Object)]
    annotations: Value,
}

/// A call.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a body that is read without being taken apart")]
pub(super) struct ExecuteRequest {
    /// The arguments.
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExecuteBody<'a> {
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
}

/// What came of a call.
#[derive(Serialize, ToSchema)]
pub(super) struct Executed {
    /// The tool.
    tool: String,
    /// What it said; a failure begins with `Error: `.
    output: String,
    /// Whether `output` does not begin with `Error:`.
    success: bool,
    /// Whether the call failed; other than `success`, right for tools whose results begin with `Error:` too.
    is_error: bool,
    /// The stable name of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    code: Option<Code>,
    /// The result as JSON, where the tool has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    structured: Option<Value>,
    /// What was too large for an answer, or a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    artifacts: Vec<Artifact>,
    /// What the plugin was refused on the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    denials: Vec<Denial>,
}

/// A refusal.
#[derive(Serialize, ToSchema)]
pub(super) struct Denial {
    /// Its stable name.
    #[schema(value_type = String)]
    code: Code,
    /// What was refused, and why.
    message: String,
}

/// The tools this caller may see.
#[utoipa::path(get, path = "/api/v1/tools", tag = "tools", params(Wanted),
    responses((status = 200, body = Listed), (status = 422, body = Detail)))]
async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Listed>, Invalid> {
    let Query(wanted) = wanted.map_err(|rejection| Invalid::query(&rejection))?;
    let format = wanted.format()?;
    let tools = match &wanted.search {
        Some(query) => gateway.host.find(&asker.caller, query).await,
        None => gateway.host.offer(&asker.caller, wanted.menu(&headers)?),
    };
    let offered: Vec<Offered<'_>> = tools.iter().map(|(name, tool)| Offered::of(name, tool)).collect();
    let listed = definitions(format, &offered, wanted.how());
    Ok(Json(Listed { tools: listed, count: offered.len(), unavailable: unavailable(&gateway, &asker.caller) }))
}

/// What of the configuration is not there. Its reasons can name files and grants, so they are for those who manage it.
fn unavailable(gateway: &Gateway, caller: &Caller) -> Vec<Unavailable> {
    let snapshot = gateway.host.snapshot();
    let left_out = snapshot.problems.iter().map(|problem| Unavailable {
        plugin: problem.plugin.to_string(),
        code: problem.code,
        reason: if caller.may.manage {
            problem.message.clone()
        } else {
            "it could not be loaded; who runs this server can see why".to_owned()
        },
    });
    left_out.collect()
}

/// One tool this caller may see.
#[utoipa::path(get, path = "/api/v1/tools/{name}", tag = "tools",
    params(("name" = String, Path, description = "The tool")),
    responses((status = 200, body = Definition), (status = 404, body = Detail)))]
async fn describe(
    State(gateway): State<Arc<Gateway>>,
    Extension(asker): Extension<Identity>,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    let name = written(name);
    let tools = gateway.host.list(&asker.caller);
    let managing = if manage::is_offered(&asker.caller) { manage::tools() } else { &[] };
    let all = tools.iter().chain(search::tools()).chain(managing);
    let Some((name, tool)) = { all }.find(|(known, _)| known.as_str() == name) else { return not_found(&name) };
    Json(definition(name, tool)).into_response()
}

fn definition(name: &ToolName, tool: &Tool) -> Definition {
    Definition {
        name: name.to_string(),
        description: tool.whole_description(),
        parameters: tool.arguments.visible().clone(),
        plugin: tool.plugin.to_string(),
        available: tool.not_configured.is_none(),
        output_schema: tool.output_schema().cloned(),
        annotations: serde_json::to_value(tool.annotations).unwrap_or_default(),
    }
}

/// The name in a path. One that is not UTF-8 is no tool's.
fn written(name: Result<Path<String>, PathRejection>) -> String {
    name.map(|Path(name)| name).unwrap_or_default()
}

fn not_found(name: &str) -> Response {
    let message = format!("Tool '{}' not found", quotable(name, 80));
    Refusal::new(StatusCode::NOT_FOUND, message).response(Face::Api)
}

/// Runs a tool.
#[utoipa::path(post, path = "/api/v1/tools/{name}/execute", tag = "tools",
    params(("name" = String, Path, description = "The tool")), request_body = ExecuteRequest,
    responses((status = 200, body = Executed), (status = 403, body = Detail), (status = 404, body = Detail),
        (status = 422, body = Detail), (status = 503, body = Detail)))]
async fn execute(
    State(gateway): State<Arc<Gateway>>,
    who: Who,
    name: Result<Path<String>, PathRejection>,
    bytes: Bytes,
) -> Result<Response, Invalid> {
    let name = written(name);
    let asked: ExecuteBody<'_> = body::read(&bytes)?;
    let arguments = asked.parameters.map_or("{}", RawValue::get);
    if !arguments.starts_with('{') {
        let message = "Input should be a valid dictionary";
        return Err(Invalid::one(FieldError::new("parameters", message, "dict_type")));
    }
    // Whether there is such a tool is not told to who may not run it.
    if !gateway.settings.enable_tool_execute {
        return Ok(Refusal::new(StatusCode::FORBIDDEN, DISABLED).response(Face::Api));
    }
    let outcome = gateway.call(&who, name.clone(), arguments.to_owned()).await;
    Ok(match refused(&outcome) {
        Some(Refused::Unknown) => not_found(&name),
        Some(Refused::TooMuch(message)) => Refusal::new(StatusCode::TOO_MANY_REQUESTS, message).response(Face::Api),
        Some(Refused::Busy(message)) => {
            let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message);
            refusal.with(header::RETRY_AFTER, "1").response(Face::Api)
        }
        None => Json(executed(&name, outcome, &gateway.host.artifacts, &who.owner)).into_response(),
    })
}

/// An outcome that is no outcome of the tool.
enum Refused {
    /// There is none of this name.
    Unknown,
    /// There is no room for another call.
    Busy(String),
    /// Its caller has had all it may have for now.
    TooMuch(String),
}

fn refused(outcome: &Outcome) -> Option<Refused> {
    let failure = outcome.result.as_ref().err()?;
    #[expect(clippy::wildcard_enum_match_arm, reason = "all the others are what came of a call")]
    match failure.code {
        Code::ToolUnknown => Some(Refused::Unknown),
        Code::LimitConcurrency => Some(Refused::Busy(failure.message.clone())),
        Code::LimitRate | Code::LimitBudget => Some(Refused::TooMuch(failure.to_string())),
        _ => None,
    }
}

fn executed(name: &str, outcome: Outcome, kept: &Artifacts, owner: &Owner) -> Executed {
    let output = said(&outcome);
    let Outcome { result, denials } = outcome;
    let code = result.as_ref().err().map(|failure| failure.code);
    let artifacts = result.as_ref().map(|output| artifacts::of(kept, owner, output)).unwrap_or_default();
    let structured = result.ok().and_then(|output| output.structured);
    Executed {
        tool: name.to_owned(),
        success: !output.starts_with("Error:"),
        output,
        is_error: code.is_some(),
        code,
        structured,
        artifacts,
        denials: denials.into_iter().map(|Failure { code, message, .. }| Denial { code, message }).collect(),
    }
}

/// An outcome as text. Other than what a model reads, it has no codes in it: there is a field for them.
#[expect(clippy::wildcard_enum_match_arm, reason = "only some have words of their own")]
fn said(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(_) => answers::text(outcome),
        Err(failure) => match failure.code {
            Code::ArgumentsInvalid | Code::ArgumentsTooLarge => format!("Error: Invalid parameters: {failure}"),
            code if code.is_denial() && code != Code::DeniedApproval => format!("Error: Access denied. {failure}"),
            _ => format!("Error: {failure}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_core::outcome::Output;

    use super::*;

    #[track_caller]
    fn check(outcome: Outcome, output: &str, success: bool, is_error: bool) {
        let executed = executed("t", outcome, &Artifacts::new("/state".into()), &Owner::Nobody);
        assert_eq!((executed.output.as_str(), executed.success, executed.is_error), (output, success, is_error));
    }

    /// X26: `success` is by the letter, `is_error` by what happened.
    #[test]
    fn a_result_that_begins_like_a_failure_is_told_from_one() {
        let said = |text: &str| Outcome::done(Output::text(text));
        let failed = |code| Outcome::failed(Failure::new(code, "no"));
        check(said("fine"), "fine", true, false);
        check(said("Error: not really"), "Error: not really", false, false);
        check(failed(Code::ToolFailed), "Error: no", false, true);
        check(failed(Code::DeniedFsRead), "Error: Access denied. no", false, true);
        check(failed(Code::DeniedApproval), "Error: no", false, true);
        check(failed(Code::ArgumentsInvalid), "Error: Invalid parameters: no", false, true);
    }
}
