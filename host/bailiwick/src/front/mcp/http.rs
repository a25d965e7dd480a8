//! MCP over streamable HTTP, at one endpoint for both eras. rmcp speaks the protocol; what is here says whose request it
//! is, keeps sessions to their owners, and ends what goes on under a key that is revoked.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::de::IgnoredAny;
use serde_json::json;

use super::desk::{Askers, Desks, principal};
use super::plain::Plain;
use super::sessions::{ASKED_BY, Owner, Sessions};
use super::{Connection, SWEEP};
use crate::front::http::{Face, Identity, Refusal};
use crate::front::life::Life;
use crate::host::Host;

/// Which session a request is of.
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// JSON-RPC: it is no JSON.
const PARSE_ERROR: i32 = -32700;
/// JSON-RPC: it is no message.
const INVALID_REQUEST: i32 = -32600;

/// The endpoint.
pub(crate) struct Endpoint {
    service: StreamableHttpService<Connection, Sessions>,
    /// For what rmcp has nothing to do with.
    plain: Connection,
    desks: Arc<Desks>,
    sessions: Arc<Sessions>,
    life: Arc<Life>,
}

impl Endpoint {
    /// An endpoint for the tools of `host` that takes bodies of up to `most` bytes, for as long as `life` lasts.
    pub(crate) fn new(host: Arc<Host>, life: Arc<Life>, most: u64) -> Self {
        let (desks, sessions) = (Arc::new(Desks::default()), Sessions::new());
        // Names and origins were looked at before, and bodies measured.
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_json_response(true)
            .with_max_request_body_bytes(usize::try_from(most).unwrap_or(usize::MAX))
            .with_cancellation_token(life.over_token());
        tokio::spawn(look_after(Arc::clone(&desks), Arc::clone(&life)));
        let (alive, all) = (Arc::clone(&life), Arc::clone(&desks));
        let connect = move || Connection::new(Arc::clone(&host), Askers::Each(Arc::clone(&all)), Arc::clone(&alive));
        let plain = connect();
        let service = StreamableHttpService::new(move || Ok(connect()), Arc::clone(&sessions), config);
        Self { service, plain, desks, sessions, life }
    }

    /// Answers a request whose sender is known and whose body is here.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        // Until its answer is there: what a call gave is still in rmcp's hands when the call itself is over. A stream that
        // is opened for what may come ends with the server, and is nobody's answer.
        let under_way = (request.method() == Method::POST).then(|| self.life.enter());
        let refused = |status, why| Refusal::new(status, why).response(Face::Mcp);
        let known = request.extensions().get::<Identity>().cloned();
        let Some((principal, Identity { caller, revoked, .. })) = principal(request.extensions()).zip(known) else {
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error");
        };
        let session = request.headers().get(SESSION).map(|id| id.to_str().unwrap_or_default());
        if session.is_some_and(|id| !self.sessions.is_of(id, &principal)) {
            // Whether it is somebody else's is nobody's business.
            return refused(StatusCode::NOT_FOUND, "there is no such session");
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return invalid(PARSE_ERROR, "the body ended too early") };
        let body = body.to_bytes();
        if let Some(call) = Plain::read(&self.plain.host, &parts, &body)
            && let Some(asker) = self.desks.asker(&parts.extensions)
        {
            return call.answer(&self.plain, &asker, &parts.headers).await;
        }
        if let Err(refusal) = readable(&parts, &body) {
            return refusal;
        }
        let request = Request::from_parts(parts, http_body_util::Full::new(body));
        let owner = Owner { caller, principal, revoked: revoked.clone() };
        let response = ASKED_BY.scope(owner, self.service.handle(request)).await;
        match response.status() {
            // All that is left of reasons for this status, once the body is JSON and says so.
            StatusCode::UNSUPPORTED_MEDIA_TYPE => invalid(INVALID_REQUEST, "the body is no message of JSON-RPC 2.0"),
            StatusCode::INTERNAL_SERVER_ERROR => refused(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
            _ if is_stream(&response) => {
                let (parts, body) = response.into_parts();
                let body = body.into_data_stream().take_until(revoked.cancelled_owned());
                let body = body.inspect(move |_| _ = &under_way);
                Response::from_parts(parts, Body::from_stream(body))
            }
            _ => response.map(Body::new),
        }
    }
}

/// Refuses what is no JSON, and batches: what is left is for rmcp to read.
#[expect(clippy::result_large_err, reason = "made once and sent")]
fn readable(parts: &Parts, body: &[u8]) -> Result<(), Response> {
    if is_message(parts) {
        if let Err(error) = serde_json::from_slice::<IgnoredAny>(body) {
            return Err(invalid(PARSE_ERROR, &format!("the body is no JSON: {error}")));
        }
        if body.trim_ascii_start().starts_with(b"[") {
            return Err(invalid(INVALID_REQUEST, "one message at a time: batches are not taken"));
        }
    }
    Ok(())
}

fn is_message(parts: &Parts) -> bool {
    parts.method == Method::POST && parts.headers.contains_key(header::CONTENT_TYPE)
}

fn is_stream<B>(response: &Response<B>) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

fn invalid(code: i32, message: &str) -> Response {
    let error = json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}});
    (StatusCode::BAD_REQUEST, axum::Json(error)).into_response()
}

/// Does what has to be done without a request.
async fn look_after(desks: Arc<Desks>, life: Arc<Life>) {
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            () = life.leaving() => {
                // Nobody can come back with an answer.
                desks.clear();
                return;
            }
            _ = sweep.tick() => desks.expire(),
        }
    }
}
