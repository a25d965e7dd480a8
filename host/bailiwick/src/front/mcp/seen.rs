//! What is seen of a request: its span. It names the method and, of a call, the tool; it has no arguments, no session and
//! no id that a client chose.

use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;

use bailiwick_core::call::Caller;
use bailiwick_core::trace::TraceContext;

use super::Connection;
use crate::front::http::guard;
use crate::telemetry::{Kind, Span};

impl Connection {
    /// A request, for as long as what is given back is kept. It is part of what its `_meta` says, else of the HTTP
    /// request that brought it.
    pub(super) fn seen(&self, method: &'static str, context: &RequestContext<RoleServer>) -> Span {
        let over_http = context.extensions.get::<Parts>();
        let meta = &context.meta;
        let said = meta.get_traceparent().and_then(|parent| TraceContext::read(parent, meta.get_tracestate()));
        let parent = said.or_else(|| guard::trace(&over_http?.headers));
        let mut span = self.host.telemetry.span(method, Kind::Server, parent.as_ref());
        span.set("mcp.method.name", || method);
        span.set("network.transport", || if over_http.is_some() { "tcp" } else { "pipe" });
        span
    }

    /// A request to run a tool. It has the tool's name if there is one that this caller may know of.
    pub(super) fn seen_call(&self, tool: &str, caller: &Caller, context: &RequestContext<RoleServer>) -> Span {
        let mut span = self.seen("tools/call", context);
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
