//! Approvals over HTTP: who may approve sees what waits, and answers it. Everybody else is refused before anything is
//! looked up, so nobody learns what there is.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures::Stream;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use bailiwick_core::approval::{self, ApprovalId, Reply, may_answer};
use bailiwick_core::redact::visible_json;

use super::body::{Detail, shown};
use super::refusal::{Denied, refuse};
use super::{Gateway, Identity};
use crate::approval::AnswerError;
use crate::store::StoreError;

/// What is answered, all of it for callers that may approve.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/api/v1/approvals", get(list))
        .route("/api/v1/approvals/stream", get(stream))
        .route("/api/v1/approvals/{id}", get(show).post(answer))
}

fn allowed(identity: &Identity) -> Result<(), Denied> {
    if may_answer(&identity.caller) {
        return Ok(());
    }
    let message = format!("`{}` may not approve; set `approve = true` in its policy", identity.caller.name);
    Err(refuse(StatusCode::FORBIDDEN, message))
}

fn unreadable(error: &StoreError) -> Denied {
    tracing::error!(%error, "approvals cannot be read");
    refuse(StatusCode::SERVICE_UNAVAILABLE, "approvals cannot be read at this moment")
}

fn id(text: &str) -> Result<ApprovalId, Denied> {
    let unknown = || AnswerError::Unknown(bailiwick_core::redact::quotable(text, 40));
    ApprovalId::parse(text).ok_or_else(|| refused(&unknown()))
}

fn refused(error: &AnswerError) -> Denied {
    let status = match error {
        AnswerError::Unknown(_) => StatusCode::NOT_FOUND,
        AnswerError::Settled { .. } | AnswerError::Untaken(_) => StatusCode::CONFLICT,
        AnswerError::Arguments(_) => StatusCode::UNPROCESSABLE_ENTITY,
        AnswerError::Store(error) => return unreadable(error),
    };
    refuse(status, error.to_string())
}

/// The query of a list.
#[derive(serde::Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// `pending`, `approved`, `rejected`, `expired` or `cancelled`; without it, all
    state: Option<String>,
}

/// An answer, for the description; [`Reply::read`] reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a description")]
struct ApprovalAnswer {
    /// `approve` or `reject`
    decision: String,
    /// With an approval: what to run with instead of the caller's arguments
    #[schema(value_type = Option<Object>)]
    arguments: Option<Value>,
    /// With an approval: how long it stands for the same caller, tool and arguments, 1 to 1440
    #[schema(minimum = 1, maximum = 1440)]
    minutes: Option<u32>,
    /// Why
    reason: Option<String>,
}

/// Lists calls that wait for a person, or did, the newest first. For callers that may approve.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals", params(Asked),
    responses((status = 200, body = Object), (status = 422, body = Detail)))]
async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(identity): Extension<Identity>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Denied> {
    allowed(&identity)?;
    let wrong = || {
        let states = approval::State::ALL.map(|state| format!("`{}`", state.as_str())).join(", ");
        refuse(StatusCode::UNPROCESSABLE_ENTITY, format!("the query takes `state`, one of {states}"))
    };
    let Query(Asked { state }) = asked.map_err(|_| wrong())?;
    let state = state.map(|state| approval::State::parse(&state).ok_or_else(wrong)).transpose()?;
    let entries = gateway.host.desk().list(state).await.map_err(|error| unreadable(&error))?;
    Ok(shown(&json!({"approvals": entries})))
}

/// One approval.
#[utoipa::path(get, path = "/api/v1/approvals/{id}", tag = "approvals",
    params(("id" = String, Path, description = "The approval")),
    responses((status = 200, body = Object), (status = 404, body = Detail)))]
async fn show(
    State(gateway): State<Arc<Gateway>>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
) -> Result<Response, Denied> {
    allowed(&identity)?;
    let id = id(&name)?;
    let entry = gateway.host.desk().one(&id).await.map_err(|error| unreadable(&error))?;
    let entry = entry.ok_or_else(|| refused(&AnswerError::Unknown(name)))?;
    Ok(shown(&json!(entry)))
}

/// Answers: the call runs, perhaps with other arguments, or it does not. The first answer counts.
#[utoipa::path(post, path = "/api/v1/approvals/{id}", tag = "approvals",
    params(("id" = String, Path, description = "The approval")), request_body = ApprovalAnswer,
    responses((status = 200, body = Object), (status = 404, body = Detail),
        (status = 409, description = "it is settled already", body = Detail), (status = 422, body = Detail)))]
async fn answer(
    State(gateway): State<Arc<Gateway>>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Denied> {
    allowed(&identity)?;
    let id = id(&name)?;
    let invalid = |message: String| refuse(StatusCode::UNPROCESSABLE_ENTITY, message);
    let text = std::str::from_utf8(&body).map_err(|_| invalid("the body is not JSON: it is not UTF-8".to_owned()))?;
    let value = bailiwick_core::schema::parse(text);
    let value = value.map_err(|reason| invalid(format!("the body is not JSON: {reason}")))?;
    let reply = Reply::read(&value).map_err(invalid)?;
    let entry = gateway.host.desk().answer(&id, &identity.caller.name, reply).await;
    entry.map(|entry| shown(&json!(entry))).map_err(|error| refused(&error))
}

/// What waits, now and after each change, as server-sent events.
#[utoipa::path(get, path = "/api/v1/approvals/stream", tag = "approvals",
    responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn stream(
    State(gateway): State<Arc<Gateway>>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, Denied> {
    allowed(&identity)?;
    Ok(Sse::new(changes(gateway, identity)).keep_alive(KeepAlive::default()).into_response())
}

fn changes(gateway: Arc<Gateway>, identity: Identity) -> impl Stream<Item = Result<Event, Infallible>> {
    let changed = gateway.host.desk().watch();
    let start = (gateway, identity, changed, true);
    futures::stream::unfold(start, |(gateway, identity, mut changed, first)| async move {
        if !first {
            tokio::select! {
                biased;
                () = identity.revoked.cancelled() => return None,
                () = gateway.life.leaving() => return None,
                more = changed.changed() => more.ok()?,
            }
        }
        changed.mark_unchanged();
        let pending = gateway.host.desk().list(Some(approval::State::Pending)).await.ok()?;
        let text = visible_json(&json!({"approvals": pending}).to_string()).into_owned();
        Some((Ok(Event::default().event("approvals").data(text)), (gateway, identity, changed, false)))
    })
}
