//! What is seen of one call: its span, what it counts, and where the requests of its guest stand in the trace.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use bailiwick_core::call::Call;
use bailiwick_core::grant::Origin;
use bailiwick_core::name::{PluginName, ToolName};
use bailiwick_core::registry::Tool;
use bailiwick_core::trace::TraceContext;

use super::metrics::{self, CallLabels};
use super::{Kind, Span, Telemetry};

/// A call under way, as it is seen from outside.
#[derive(Debug)]
pub(crate) struct CallWatch {
    telemetry: Arc<Telemetry>,
    span: Span,
    caller: &'static str,
    tool: Option<(PluginName, ToolName)>,
}

/// What came of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'r> {
    /// `ok`, or the code of its failure.
    pub(crate) code: &'static str,
    /// From its start to its end, waiting included.
    pub(crate) took: Duration,
    /// The codes of what was refused on the way.
    pub(crate) denials: &'r [&'static str],
    /// How an approval went, when one was needed.
    pub(crate) approval: Option<&'r str>,
    /// Bytes of bodies that its guest sent, and was sent.
    pub(crate) bytes: (u64, u64),
}

impl CallWatch {
    pub(crate) fn start(telemetry: &Arc<Telemetry>, call: &Call) -> Self {
        let mut span = telemetry.span("execute_tool", Kind::Internal, call.trace.as_ref());
        span.set("gen_ai.operation.name", || "execute_tool");
        span.set("gen_ai.tool.type", || "extension");
        span.set("gen_ai.tool.call.id", || call.id.to_string());
        let caller = metrics::caller_sort(&call.caller.name);
        span.set("bailiwick.caller.sort", || caller);
        Self { telemetry: Arc::clone(telemetry), span, caller, tool: None }
    }

    /// There is such a tool, and the caller may know of it: from here on it has a name.
    pub(crate) fn of(&mut self, tool: &Tool) {
        self.span.rename(|| format!("execute_tool {}", tool.name));
        self.span.set("gen_ai.tool.name", || tool.name.to_string());
        self.span.set("bailiwick.plugin", || tool.plugin.to_string());
        self.tool = Some((tool.plugin.clone(), tool.name.clone()));
    }

    /// A step within the call that lasts for as long as what is given back.
    pub(crate) fn step(&self, name: &'static str) -> Span {
        match self.span.is_recording() {
            true => self.telemetry.span(name, Kind::Internal, self.span.place()),
            false => Span::default(),
        }
    }

    /// Where the trace is at this call, if there is one.
    pub(crate) fn trace(&self) -> Option<&TraceContext> {
        self.span.place()
    }

    /// For what the call's guest asks for.
    pub(crate) fn trail(&self) -> Trail {
        Trail { telemetry: Some(Arc::clone(&self.telemetry)), trace: self.span.place().cloned() }
    }

    /// It is over.
    pub(crate) fn end(&mut self, ended: &Ended<'_>) {
        let metrics = &self.telemetry.metrics;
        if ended.code != "ok" {
            self.span.fail(ended.code);
        }
        let (plugin, tool) = match self.tool.take() {
            Some((plugin, tool)) => (Some(plugin), Some(tool)),
            None => (None, None),
        };
        if let (Some(plugin), (sent, received)) = (&plugin, ended.bytes) {
            metrics.egress_bytes(plugin, sent, received);
        }
        ended.denials.iter().for_each(|code| metrics.denied(code));
        if let Some(answer) = ended.approval {
            metrics.approved(answer);
        }
        metrics.called(CallLabels { plugin, tool, outcome: ended.code, caller: self.caller }, ended.took);
        // The step ends with the call, not with whoever still holds this.
        self.span = Span::default();
    }
}

/// Where the requests of a call's guest are counted, and where they stand in the trace. The default is nowhere.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    telemetry: Option<Arc<Telemetry>>,
    trace: Option<TraceContext>,
}

/// A request of a guest's, from when it was let through.
#[derive(Debug, Default)]
pub(crate) struct RequestWatch {
    telemetry: Option<Arc<Telemetry>>,
    span: Span,
    labels: Option<(PluginName, &'static str)>,
}

impl Trail {
    /// Where it stands in a trace, if it is part of one.
    pub(crate) fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    /// A request that was let through.
    pub(crate) fn request(&self, plugin: &PluginName, method: &Method, to: &Origin) -> RequestWatch {
        let Some(telemetry) = &self.telemetry else { return RequestWatch::default() };
        let method = metrics::known_method(method.as_str());
        let mut span = telemetry.span(method, Kind::Client, self.trace.as_ref());
        span.set("http.request.method", || method);
        span.set("server.address", || to.host.clone());
        span.set("server.port", || i64::from(to.port));
        RequestWatch { telemetry: Some(Arc::clone(telemetry)), span, labels: Some((plugin.clone(), method)) }
    }
}

impl RequestWatch {
    /// What the request says of the trace it is part of, if it is part of one.
    pub(crate) fn trace(&self) -> Option<&TraceContext> {
        self.span.place()
    }

    /// The head of the answer is there.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.span.set("http.response.status_code", || i64::from(status.as_u16()));
        if status.is_client_error() || status.is_server_error() {
            self.span.fail(status.as_u16().to_string());
        }
        self.count(metrics::status_class(status.as_u16()));
    }

    /// There will be none.
    pub(crate) fn failed(&mut self, code: &'static str) {
        self.span.fail(code);
        self.count("none");
    }

    fn count(&mut self, status: &'static str) {
        if let (Some(telemetry), Some((plugin, method))) = (&self.telemetry, self.labels.take()) {
            telemetry.metrics.egress(plugin, method, status);
        }
    }
}

impl Drop for RequestWatch {
    /// The call was over before there was an answer.
    fn drop(&mut self) {
        if self.labels.is_some() {
            self.failed("cancelled");
        }
    }
}
