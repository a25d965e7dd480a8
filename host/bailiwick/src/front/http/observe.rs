//! What is seen of every request: a span, a count, and one line of the log. None of them has a path in it, only the
//! route that it took; nor a query, a header or a body.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, Version};
use axum::response::{IntoResponse as _, Response};

use bailiwick_core::call::Caller;
use bailiwick_core::trace::TraceContext;

use super::guard::{self, RequestId};
use super::{Face, Gateway, Refusal};
use crate::telemetry::{Kind, METRICS_TEXT, Span, Telemetry, known_method};

/// Stands for every path that leads nowhere.
const NOWHERE: &str = "(none)";
/// Whoever asked went away before there was an answer; servers before this one call it so.
const GONE: u16 = 499;

/// Who asked, as soon as that is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Asker(Arc<OnceLock<Arc<Caller>>>);

impl Asker {
    /// Notes who asks.
    pub(super) fn is(request: &Request, caller: &Arc<Caller>) {
        if let Some(Self(known)) = request.extensions().get() {
            let _ = known.set(Arc::clone(caller));
        }
    }
}

/// What is counted, for callers that may manage.
pub(super) async fn metrics_for_managers(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    if !request.extensions().get::<Arc<Caller>>().is_some_and(|caller| caller.may.manage) {
        let message =
            "reading metrics takes a policy with `manage = true`, or `metrics = \"open\"` under `[telemetry]`";
        return Refusal::new(StatusCode::FORBIDDEN, message).response(Face::of(request.uri().path()));
    }
    metrics(State(gateway)).await
}

/// What is counted, for everyone.
pub(super) async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TEXT)], gateway.host.metrics()).into_response()
}

/// A request under way. What comes after it began is part of its span: its `traceparent` is that of the span, or the
/// caller's own where nothing is traced; one that cannot be read is gone. Dropped before there was an answer, whoever asked is gone.
pub(super) struct Seen<'g> {
    telemetry: &'g Telemetry,
    span: Span,
    route: String,
    method: &'static str,
    has_key: bool,
    id: Option<RequestId>,
    asker: Asker,
    start: Instant,
    is_over: bool,
}

impl<'g> Seen<'g> {
    /// A request whose head is here.
    pub(super) fn of(telemetry: &'g Telemetry, request: &mut Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let route = matched.map_or_else(|| NOWHERE.to_owned(), |matched| matched.as_str().to_owned());
        let method = known_method(request.method().as_str());
        let parent = guard::trace(request.headers());
        let mut span = telemetry.span(method, Kind::Server, parent.as_ref());
        span.rename(|| format!("{method} {route}"));
        span.set("http.request.method", || method);
        span.set("http.route", || route.clone());
        span.set("url.scheme", || "http");
        span.set("network.protocol.version", || version(request.version()));
        set_trace(request.headers_mut(), span.place());
        let asker = Asker::default();
        request.extensions_mut().insert(asker.clone());
        let has_key = request.headers().contains_key(header::AUTHORIZATION);
        let id = request.extensions().get::<RequestId>().cloned();
        Self { telemetry, span, route, method, has_key, id, asker, start: Instant::now(), is_over: false }
    }

    /// The head of its answer is here.
    pub(super) fn answered(&mut self, status: u16) {
        self.is_over = true;
        let took = self.start.elapsed();
        self.span.set("http.response.status_code", || i64::from(status));
        if status >= 500 {
            self.span.fail(status.to_string());
        }
        if status == StatusCode::UNAUTHORIZED.as_u16() {
            self.telemetry.metrics.unauthenticated(if self.has_key { "invalid" } else { "missing" });
        }
        self.telemetry.metrics.requested(&self.route, self.method, status, took);
        tracing::info!(
            request = self.id.as_ref().map(|id| &*id.0),
            trace = self.span.place().map(TraceContext::trace_id),
            method = self.method,
            route = self.route,
            status,
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            caller = self.asker.0.get().map(|caller| caller.name.as_str()),
            "request"
        );
    }
}

impl Drop for Seen<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.answered(GONE);
        }
    }
}

/// Makes the headers say where the request stands from here on.
fn set_trace(headers: &mut HeaderMap, place: Option<&TraceContext>) {
    let (parent, state) = (HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate"));
    headers.remove(&parent);
    headers.remove(&state);
    let value = |text: &str| HeaderValue::from_str(text).ok();
    headers.extend(place.and_then(|place| value(&place.to_string())).map(|value| (parent, value)));
    let told = place.and_then(|place| place.state.as_deref()).and_then(value);
    headers.extend(told.map(|value| (state, value)));
}

fn version(version: Version) -> &'static str {
    if version == Version::HTTP_2 { "2" } else { "1.1" }
}
