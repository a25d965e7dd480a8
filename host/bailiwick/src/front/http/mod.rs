//! The HTTP server: MCP and the tools APIs on one port. Read [`router`] and [`any_request`]: what a request goes through.
//! These are two layers and not one for each step, because every layer of a router is copied for every request.
//!
//! Nothing here decides whether a tool runs; [`guard`] and [`auth`] decide who gets as far as asking. A refusal of theirs
//! has the shape of the [`Face`] that was asked.

mod approvals;
mod artifacts;
mod auth;
mod auxot;
mod batch;
mod body;
mod code_mode;
mod context;
pub(crate) mod guard;
mod limits;
mod manage;
mod oauth;
mod observe;
mod openapi;
mod plugins;
mod refusal;
mod render;
mod server;
mod tools;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use serde_json::json;

use bailiwick_core::call::Call;
use bailiwick_core::config::{GatewaySettings, Metrics};
use bailiwick_core::outcome::{Code, Failure, Outcome};
use bailiwick_core::trace::TraceContext;

use crate::artifact::Owner;
use crate::channel::Channel;
use crate::front::life::Life;
use crate::front::mcp::{Endpoint, principal};
use crate::host::Host;

pub(crate) use auth::Identity;
use limits::Limits;
pub(crate) use refusal::{Face, Refusal};
pub use server::Server;

/// A host as it is offered to others over HTTP. Every face takes it as its state.
pub struct Gateway {
    pub(crate) host: Arc<Host>,
    pub(crate) settings: GatewaySettings,
    limits: Limits,
    /// Whether requests still come in, and how many calls are under way.
    pub(crate) life: Arc<Life>,
    mcp: Endpoint,
}

impl Gateway {
    /// Offers `host` as `settings` say, for as long as `server` serves.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[must_use]
    pub fn new(host: Arc<Host>, settings: GatewaySettings, server: &Server) -> Arc<Self> {
        let keys = Arc::clone(host.keys());
        let by_token = settings.oauth.as_ref().is_some_and(|oauth| oauth.policy.may.approve);
        host.desk().answered_by(move || by_token || keys.may_anybody_approve());
        let life = server.life();
        let mcp = Endpoint::new(Arc::clone(&host), Arc::clone(&life), settings.body);
        Arc::new(Self { host, settings, limits: Limits::new(), life, mcp })
    }

    /// Runs a call for who asks. It is cancelled when the answer is dropped, the key is revoked or the server's time to
    /// finish is over.
    async fn call(&self, who: &Who, tool: String, arguments: String) -> Outcome {
        let _under_way = self.life.enter();
        let Who { identity: asker, owner, trace } = who;
        let call = Call {
            id: self.host.new_call_id(),
            tool,
            arguments,
            caller: Arc::clone(&asker.caller),
            trace: trace.clone(),
            session: None,
        };
        let channel = Channel { owner: owner.clone(), ..Channel::default() };
        tokio::select! {
            biased;
            () = asker.revoked.cancelled() => cancelled("the key of this call was revoked"),
            () = self.life.over() => cancelled("the server is stopping"),
            outcome = self.host.call(call, channel) => outcome,
        }
    }
}

/// Who asks, as the tools APIs need to know it.
struct Who {
    identity: Identity,
    /// Whose is what a call leaves behind.
    owner: Owner,
    /// What trace the request is part of, if any.
    trace: Option<TraceContext>,
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let found = parts.extensions.get::<Identity>().cloned().zip(principal(&parts.extensions));
        let Some((identity, owner)) = found else {
            tracing::error!("nobody knows who asks");
            let refusal = Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error");
            return Err(refusal.response(Face::of(parts.uri.path())));
        };
        Ok(Self { identity, owner: Owner::Named(owner.into()), trace: guard::trace(&parts.headers) })
    }
}

fn cancelled(why: &str) -> Outcome {
    Outcome::failed(Failure::new(Code::Cancelled, why))
}

/// Where a request came from and to: the two ends of its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Everything that is answered, and what stands before it.
pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    let (keyed, open) = match gateway.host.metrics_for() {
        Metrics::Off => (Router::new(), Router::new()),
        Metrics::Key => (Router::new().route("/metrics", get(observe::metrics_for_managers)), Router::new()),
        Metrics::Open => (Router::new(), Router::new().route("/metrics", get(observe::metrics))),
    };
    let keyed = keyed
        .route("/mcp", any(mcp))
        .merge(approvals::routes())
        .merge(plugins::routes())
        .merge(manage::routes())
        .merge(tools::routes())
        .merge(batch::routes())
        .merge(code_mode::routes())
        .merge(render::routes())
        .merge(context::routes())
        .merge(artifacts::routes())
        .merge(auxot::routes())
        .layer(from_fn_with_state(Arc::clone(&gateway), known));
    let open = open.route("/healthz", get(alive)).route("/readyz", get(ready)).route("/health", get(health));
    open.merge(oauth::routes())
        .merge(openapi::routes())
        .merge(keyed)
        .fallback(nowhere)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(Arc::clone(&gateway), any_request))
        .with_state(gateway)
}

/// What every request goes through.
async fn any_request(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let frame = guard::Frame::around(&mut request);
    let answer = async {
        let mut seen = observe::Seen::of(&gateway.host.telemetry, &mut request);
        let face = Face::of(request.uri().path());
        let response = admitted(&gateway, request, next).await.unwrap_or_else(|refusal| refusal.response(face));
        seen.answered(response.status().as_u16());
        response
    };
    frame.close(answer).await
}

/// Is it for this server, from a page that may, and from an address that has not asked too often?
async fn admitted(gateway: &Gateway, request: Request, next: Next) -> Result<Response, Refusal> {
    guard::host(gateway, &request)?;
    let Some(mut page) = guard::page(gateway, &request)? else { return Ok(counted(gateway, request, next).await) };
    let response = match page.preflight.take() {
        Some(granted) => granted,
        None => counted(gateway, request, next).await,
    };
    Ok(page.told(response))
}

async fn counted(gateway: &Gateway, request: Request, next: Next) -> Response {
    match auth::per_address(gateway, &request) {
        Ok(left) => limits::told(next.run(request).await, left),
        Err(refusal) => refusal.response(Face::of(request.uri().path())),
    }
}

/// What a request that takes a key goes through: who asks, not too often, and its body.
async fn known(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let face = Face::of(request.uri().path());
    let answer = async {
        let identity = auth::authenticate(&gateway, &mut request).await?;
        observe::Asker::is(&request, &identity.caller);
        let left = auth::per_key(&gateway, &request, &identity)?;
        let response = match guard::body(&gateway, request).await {
            Ok(request) => next.run(request).await,
            Err(refusal) => refusal.response(face),
        };
        Ok(limits::told(response, left))
    };
    answer.await.unwrap_or_else(|refusal: Refusal| refusal.response(face))
}

/// What is answered while plugins are still being loaded.
pub(crate) fn opening() -> Router {
    let opening = |uri: Uri| async move {
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is starting");
        refusal.with(axum::http::header::RETRY_AFTER, "1").response(Face::of(uri.path()))
    };
    let not_ready = || async { (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "starting"}))) };
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(not_ready))
        .fallback(opening)
        .layer(from_fn(framed))
}

async fn framed(mut request: Request, next: Next) -> Response {
    guard::Frame::around(&mut request).close(next.run(request)).await
}

/// Whether the process runs.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, body = Object)))]
async fn alive() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// Whether calls are taken.
#[utoipa::path(get, path = "/readyz", tag = "server", responses((status = 200, body = Object), (status = 503, body = Object)))]
async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    if gateway.life.is_open() {
        return Json(json!({"status": "ready"})).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "stopping"}))).into_response()
}

/// The same as `/healthz`, where Auxot's clients look for it.
#[utoipa::path(get, path = "/health", tag = "server", responses((status = 200, body = Object)))]
async fn health() -> Response {
    alive().await
}

async fn mcp(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    gateway.mcp.answer(request).await
}

async fn nowhere(uri: Uri) -> Response {
    Refusal::new(StatusCode::NOT_FOUND, "Not Found").response(Face::of(uri.path()))
}

async fn no_such_method(_: Method, uri: Uri) -> Response {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").response(Face::of(uri.path()))
}
