//! What is seen of a request: its span. It names the method and, of a call, the tool; it has no arguments, no session and
//! no id that a client chose.

use axum::http::HeaderMap;
use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::model::RequestMetaObject;
use rmcp::service::RequestContext;

use bailiwick_core::call::Caller;
use bailiwick_core::trace::TraceContext;

use super::Connection;
use crate::front::http::guard;
use crate::telemetry::{Kind, Span};

/// What says where a request is from: what it brought itself and, over HTTP, the headers of what brought it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'r> {
    pub(super) meta: Option<&'r RequestMetaObject>,
    pub(super) headers: Option<&'r HeaderMap>,
}

impl<'r> From<&'r RequestContext<RoleServer>> for Origin<'r> {
    fn from(context: &'r RequestContext<RoleServer>) -> Self {
        Self { meta: Some(&context.meta), headers: context.extensions.get::<Parts>().map(|parts| &parts.headers) }
    }
}

impl Connection {
    /// A request, for as long as what is given back is kept. It is part of what its `_meta` says, else of the HTTP
    /// request that brought it.
    pub(super) fn seen<'r>(&self, method: &'static str, origin: impl Into<Origin<'r>>) -> Span {
        let Origin { meta, headers } = origin.into();
        let said = meta.and_then(|meta| TraceContext::read(meta.get_traceparent()?, meta.get_tracestate()));
        let parent = said.or_else(|| guard::trace(headers?));
        let mut span = self.host.telemetry.span(method, Kind::Server, parent.as_ref());
        span.set("mcp.method.name", || method);
        span.set("network.transport", || if headers.is_some() { "tcp" } else { "pipe" });
        span
    }

    /// A request to run a tool. It has the tool's name if there is one that this caller may know of.
    pub(super) fn seen_call(&self, tool: &str, caller: &Caller, origin: Origin<'_>) -> Span {
        let mut span = self.seen("tools/call", origin);
        span.set("gen_ai.operation.name", || "execute_tool");
        if span.is_recording()
            && let Some((name, _)) = self.host.snapshot().registry.resolve(tool)
            && caller.tools.contains(name)
        {
            span.rename(|| format!("tools/call {name}"));
            span.set("gen_ai.tool.name", || name.to_string());
        }
        span
    }
}
