//! One step of a request, from its making to its end. Its names and attributes are those of OpenTelemetry's conventions
//! for generative AI, MCP and HTTP; their values are names from the configuration and from closed lists.

use std::borrow::Cow;

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::Span as SdkSpan;

use bailiwick_core::trace::TraceContext;

use super::Telemetry;

/// What a step is to the one it is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Somebody else asked.
    Server,
    /// Somebody else is asked.
    Client,
    /// Neither.
    Internal,
}

/// A step under way. It ends when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Span {
    /// None where nothing is exported.
    recorded: Option<SdkSpan>,
    place: Option<TraceContext>,
}

impl Telemetry {
    /// Begins a step of what `parent` says; without a parent, a trace of its own. Where nothing is exported the step is
    /// nothing, and what comes after it stands where the parent stood.
    pub(crate) fn span(&self, name: impl Into<Cow<'static, str>>, kind: Kind, parent: Option<&TraceContext>) -> Span {
        let Some(exporter) = &self.exporter else { return Span { recorded: None, place: parent.cloned() } };
        let around = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(span_context(parent, kind == Kind::Server))
        });
        let kind = match kind {
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Internal => SpanKind::Internal,
        };
        let span = exporter.tracer().build_with_context(SpanBuilder::from_name(name).with_kind(kind), &around);
        let place = Some(trace_context(span.span_context())).filter(|_| span.span_context().is_valid());
        Span { recorded: Some(span), place }
    }
}

impl Span {
    /// Where what is done within this step stands in the trace, if there is one.
    pub(crate) fn place(&self) -> Option<&TraceContext> {
        self.place.as_ref()
    }

    /// Whether anybody will see it; what is not seen need not be made.
    pub(crate) fn is_recording(&self) -> bool {
        self.recorded.as_ref().is_some_and(opentelemetry::trace::Span::is_recording)
    }

    /// Gives it another name.
    pub(crate) fn rename(&mut self, name: impl FnOnce() -> String) {
        if self.is_recording()
            && let Some(span) = &mut self.recorded
        {
            span.update_name(name());
        }
    }

    /// Says more of it. `value` is only asked if somebody will see it.
    pub(crate) fn set<V: Into<Value>>(&mut self, key: &'static str, value: impl FnOnce() -> V) {
        if self.is_recording()
            && let Some(span) = &mut self.recorded
        {
            span.set_attribute(KeyValue::new(key, value()));
        }
    }

    /// It came to nothing, for this reason: a stable code, or the status of an answer.
    pub(crate) fn fail(&mut self, code: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.recorded {
            span.set_attribute(KeyValue::new("error.type", Value::from(code.into())));
            span.set_status(Status::error(""));
        }
    }
}

fn span_context(place: &TraceContext, is_remote: bool) -> SpanContext {
    let flags = if place.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let state = place.state.as_deref().and_then(|state| state.parse().ok()).unwrap_or_default();
    let (trace, span) = (TraceId::from_bytes(place.trace), SpanId::from_bytes(place.span));
    SpanContext::new(trace, span, flags, is_remote, state)
}

fn trace_context(span: &SpanContext) -> TraceContext {
    TraceContext {
        trace: span.trace_id().to_bytes(),
        span: span.span_id().to_bytes(),
        sampled: span.is_sampled(),
        state: Some(span.trace_state()).filter(|state| **state != TraceState::NONE).map(TraceState::header),
    }
}
