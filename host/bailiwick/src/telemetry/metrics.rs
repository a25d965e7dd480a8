//! What is counted, and how it is told: as text for Prometheus, and to a collector if there is one.
//!
//! Labels are names from the configuration and words from closed lists, never what a caller or a guest wrote: whoever
//! could choose labels could fill the memory of whoever keeps them.

use std::fmt;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics as otel;
use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use bailiwick_core::name::{PluginName, ToolName};

/// The type of the text, for the header of an answer.
pub(crate) const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Stands for a tool that is none, or none for this caller. No tool and no plugin can be called so.
const UNKNOWN: &str = "(unknown)";
/// Stands for every method that is none of HTTP's own.
const OTHER_METHOD: &str = "_OTHER";
/// Bounds of how long things take, in seconds: from a call that does nothing to one that waited for a person.
const SECONDS: [f64; 16] =
    [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

/// The sort of a caller: its name says too much, and there may be many.
pub(crate) fn caller_sort(name: &str) -> &'static str {
    match name.split_once(':').map_or(name, |(sort, _)| sort) {
        "cli" => "cli",
        "mcp-stdio" => "mcp-stdio",
        "key" => "key",
        "oauth" => "oauth",
        "anonymous" => "anonymous",
        _ => "other",
    }
}

/// A method of HTTP, or the word for all others.
pub(crate) fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or(OTHER_METHOD)
}

/// How an approval went, without who answered.
fn known_answer(how: &str) -> &'static str {
    const KNOWN: [&str; 6] = ["approved", "rejected", "timed-out", "unaskable", "unanswered", "standing"];
    KNOWN.into_iter().find(|known| how.starts_with(known)).unwrap_or("other")
}

/// The class of a status.
pub(crate) fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// Which call is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CallLabels {
    /// None where there is no such tool for this caller.
    pub(crate) plugin: Option<PluginName>,
    /// The same.
    pub(crate) tool: Option<ToolName>,
    /// `ok`, or the code of the failure.
    pub(crate) outcome: &'static str,
    /// See [`caller_sort`].
    pub(crate) caller: &'static str,
}

impl CallLabels {
    fn plugin(&self) -> &str {
        self.plugin.as_ref().map_or(UNKNOWN, AsRef::as_ref)
    }

    fn tool(&self) -> &str {
        self.tool.as_ref().map_or(UNKNOWN, AsRef::as_ref)
    }
}

impl EncodeLabelSet for CallLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("plugin", self.plugin()).encode(encoder.encode_label())?;
        ("tool", self.tool()).encode(encoder.encode_label())?;
        ("outcome", self.outcome).encode(encoder.encode_label())?;
        ("caller", self.caller).encode(encoder.encode_label())
    }
}

/// Whose calls are timed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ToolLabels(Option<PluginName>, Option<ToolName>);

impl EncodeLabelSet for ToolLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("plugin", self.0.as_ref().map_or(UNKNOWN, AsRef::as_ref)).encode(encoder.encode_label())?;
        ("tool", self.1.as_ref().map_or(UNKNOWN, AsRef::as_ref)).encode(encoder.encode_label())
    }
}

/// Which requests of guests are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EgressLabels(PluginName, &'static str, &'static str);

impl EncodeLabelSet for EgressLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("plugin", self.0.as_ref()).encode(encoder.encode_label())?;
        ("method", self.1).encode(encoder.encode_label())?;
        ("status", self.2).encode(encoder.encode_label())
    }
}

/// Whose bytes, and which way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ByteLabels(PluginName, &'static str);

impl EncodeLabelSet for ByteLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("plugin", self.0.as_ref()).encode(encoder.encode_label())?;
        ("direction", self.1).encode(encoder.encode_label())
    }
}

/// Which requests to the host itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct HttpLabels {
    /// As the router has it, with the names of its parameters.
    route: String,
    method: &'static str,
    status: u16,
}

impl EncodeLabelSet for HttpLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("route", self.route.as_str()).encode(encoder.encode_label())?;
        ("method", self.method).encode(encoder.encode_label())?;
        ("status", self.status).encode(encoder.encode_label())
    }
}

type Words = [(&'static str, &'static str); 1];
type Times<L> = Family<L, Histogram, fn() -> Histogram>;

fn times() -> Histogram {
    Histogram::new(SECONDS)
}

/// What there is at this moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Levels {
    /// Calls under way: each is one instance.
    pub(crate) running: Gauge,
    /// Calls that wait for a slot.
    pub(crate) waiting: Gauge,
    /// Plugins that are loaded.
    pub(crate) plugins: Gauge,
    /// Plugins that are not, though they should be.
    pub(crate) problems: Gauge,
    /// Tools that are there.
    pub(crate) tools: Gauge,
    /// Audit records that wait to be written.
    pub(crate) audit: Gauge,
}

/// What the runtime counts for itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Components whose compiled code was found.
    pub(crate) cached: Counter,
    /// Components that had to be compiled.
    pub(crate) compiled: Counter,
}

/// Counts one for as long as it is there.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn in_(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What one host counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) levels: Levels,
    calls: Family<CallLabels, Counter>,
    durations: Times<ToolLabels>,
    denials: Family<Words, Counter>,
    approvals: Family<Words, Counter>,
    egress: Family<EgressLabels, Counter>,
    bytes: Family<ByteLabels, Counter>,
    requests: Family<HttpLabels, Counter>,
    request_durations: Times<Vec<(&'static str, String)>>,
    refused_keys: Family<Words, Counter>,
    exported: Option<Exported>,
}

impl Metrics {
    /// Counts from nothing; also for a collector, where there is one.
    pub(super) fn new(meter: Option<&otel::Meter>, tally: &Tally) -> Self {
        let levels = Levels::default();
        let exported = meter.map(|meter| Exported::new(meter, &levels));
        let mut metrics = Self {
            registry: Registry::with_prefix("bailiwick"),
            levels,
            calls: Family::default(),
            durations: Family::new_with_constructor(times),
            denials: Family::default(),
            approvals: Family::default(),
            egress: Family::default(),
            bytes: Family::default(),
            requests: Family::default(),
            request_durations: Family::new_with_constructor(times),
            refused_keys: Family::default(),
            exported,
        };
        metrics.register(tally);
        metrics
    }

    fn register(&mut self, tally: &Tally) {
        let registry = &mut self.registry;
        registry.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("calls", "Calls of tools, by what came of them", self.calls.clone());
        registry.register_with_unit(
            "call_duration",
            "How long calls took, waiting included",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("calls_running", "Calls under way, each with an instance", self.levels.running.clone());
        registry.register("calls_waiting", "Calls that wait for a slot", self.levels.waiting.clone());
        registry.register("denials", "What was refused to callers and plugins, by code", self.denials.clone());
        registry.register("approvals", "How a person answered, or that nobody did", self.approvals.clone());
        registry.register("egress_requests", "HTTP requests of plugins that were let through", self.egress.clone());
        registry.register_with_unit(
            "egress",
            "Bodies of plugins' HTTP requests and their answers",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register("http_requests", "Requests to this server", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "How long requests to this server took",
            Unit::Seconds,
            self.request_durations.clone(),
        );
        registry.register(
            "authentication_failures",
            "Requests without a right to be here, by reason",
            self.refused_keys.clone(),
        );
        registry.register("plugins", "Plugins that are loaded", self.levels.plugins.clone());
        registry.register("plugin_problems", "Plugins that could not be loaded", self.levels.problems.clone());
        registry.register("tools", "Tools that are there", self.levels.tools.clone());
        registry.register("components_cached", "Components whose compiled code was found", tally.cached.clone());
        registry.register("components_compiled", "Components that had to be compiled", tally.compiled.clone());
        registry.register("audit_backlog", "Audit records that wait to be written", self.levels.audit.clone());
    }

    /// All of it, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut out = String::with_capacity(16 << 10);
        // A String takes everything.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    /// A call is over.
    pub(super) fn called(&self, labels: CallLabels, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(exported) = &self.exported {
            exported.called(&labels, seconds);
        }
        self.calls.get_or_create(&labels).inc();
        self.durations.get_or_create(&ToolLabels(labels.plugin, labels.tool)).observe(seconds);
    }

    /// Something was refused.
    pub(super) fn denied(&self, code: &'static str) {
        self.denials.get_or_create(&[("code", code)]).inc();
        if let Some(exported) = &self.exported {
            exported.denials.add(1, &[KeyValue::new("error.type", code)]);
        }
    }

    /// A person answered, or nobody did.
    pub(super) fn approved(&self, answer: &str) {
        let answer = known_answer(answer);
        self.approvals.get_or_create(&[("answer", answer)]).inc();
        if let Some(exported) = &self.exported {
            exported.approvals.add(1, &[KeyValue::new("bailiwick.approval", answer)]);
        }
    }

    /// A guest's request was answered, or will not be.
    pub(super) fn egress(&self, plugin: PluginName, method: &'static str, status: &'static str) {
        if let Some(exported) = &self.exported {
            let labels = [
                KeyValue::new("bailiwick.plugin", plugin.to_string()),
                KeyValue::new("http.request.method", method),
                KeyValue::new("bailiwick.status.class", status),
            ];
            exported.egress.add(1, &labels);
        }
        self.egress.get_or_create(&EgressLabels(plugin, method, status)).inc();
    }

    /// What a call's guest sent and was sent.
    pub(super) fn egress_bytes(&self, plugin: &PluginName, sent: u64, received: u64) {
        for (direction, bytes) in [("sent", sent), ("received", received)] {
            if bytes == 0 {
                continue;
            }
            self.bytes.get_or_create(&ByteLabels(plugin.clone(), direction)).inc_by(bytes);
            if let Some(exported) = &self.exported {
                let plugin = KeyValue::new("bailiwick.plugin", plugin.to_string());
                exported.bytes.add(bytes, &[plugin, KeyValue::new("network.io.direction", direction)]);
            }
        }
    }

    /// A request to this server was answered. `route` is as the router has it.
    pub(crate) fn requested(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let seconds = took.as_secs_f64();
        self.requests.get_or_create(&HttpLabels { route: route.to_owned(), method, status }).inc();
        self.request_durations.get_or_create(&vec![("route", route.to_owned())]).observe(seconds);
        if let Some(exported) = &self.exported {
            let labels = [
                KeyValue::new("http.route", route.to_owned()),
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.response.status_code", i64::from(status)),
            ];
            exported.requests.record(seconds, &labels);
        }
    }

    /// Somebody could not say who they are.
    pub(crate) fn unauthenticated(&self, reason: &'static str) {
        self.refused_keys.get_or_create(&[("reason", reason)]).inc();
        if let Some(exported) = &self.exported {
            exported.refused_keys.add(1, &[KeyValue::new("error.type", reason)]);
        }
    }
}

/// The same numbers for a collector.
#[derive(Debug)]
struct Exported {
    calls: otel::Counter<u64>,
    durations: otel::Histogram<f64>,
    denials: otel::Counter<u64>,
    approvals: otel::Counter<u64>,
    egress: otel::Counter<u64>,
    bytes: otel::Counter<u64>,
    requests: otel::Histogram<f64>,
    refused_keys: otel::Counter<u64>,
}

impl Exported {
    fn new(meter: &otel::Meter, levels: &Levels) -> Self {
        for (name, level) in [
            ("bailiwick.calls.running", &levels.running),
            ("bailiwick.calls.waiting", &levels.waiting),
            ("bailiwick.plugins", &levels.plugins),
            ("bailiwick.plugins.problems", &levels.problems),
            ("bailiwick.tools", &levels.tools),
        ] {
            let level = level.clone();
            // The meter keeps it.
            let _ = meter
                .i64_observable_gauge(name)
                .with_callback(move |observer| observer.observe(level.get(), &[]))
                .build();
        }
        let times = |name| meter.f64_histogram(name).with_unit("s").with_boundaries(SECONDS.to_vec());
        Self {
            calls: meter.u64_counter("bailiwick.calls").with_unit("{call}").build(),
            durations: times("bailiwick.call.duration").build(),
            denials: meter.u64_counter("bailiwick.denials").with_unit("{denial}").build(),
            approvals: meter.u64_counter("bailiwick.approvals").with_unit("{approval}").build(),
            egress: meter.u64_counter("bailiwick.egress.requests").with_unit("{request}").build(),
            bytes: meter.u64_counter("bailiwick.egress.io").with_unit("By").build(),
            requests: times("http.server.request.duration").build(),
            refused_keys: meter.u64_counter("bailiwick.authentication.failures").with_unit("{failure}").build(),
        }
    }

    fn called(&self, labels: &CallLabels, seconds: f64) {
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "execute_tool"),
            KeyValue::new("gen_ai.tool.name", labels.tool().to_owned()),
            KeyValue::new("bailiwick.plugin", labels.plugin().to_owned()),
        ];
        if labels.outcome != "ok" {
            attributes.push(KeyValue::new("error.type", labels.outcome));
        }
        self.durations.record(seconds, &attributes);
        attributes.push(KeyValue::new("bailiwick.caller.sort", labels.caller));
        self.calls.add(1, &attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_from_closed_lists() {
        assert_eq!(caller_sort("key:ci"), "key");
        assert_eq!(caller_sort("oauth:someone@example.com"), "oauth");
        assert_eq!(caller_sort("mcp-stdio"), "mcp-stdio");
        assert_eq!(caller_sort("somebody"), "other");
        assert_eq!(known_method("GET"), "GET");
        assert_eq!(known_method("get"), OTHER_METHOD);
        assert_eq!(known_method("X-ANYTHING"), OTHER_METHOD);
        assert_eq!([204, 302, 404, 503].map(status_class), ["2xx", "3xx", "4xx", "5xx"]);
    }

    #[test]
    fn a_tool_that_is_none_is_counted_under_one_name() {
        let metrics = Metrics::new(None, &Tally::default());
        let labels = CallLabels { plugin: None, tool: None, outcome: "tool.unknown", caller: "key" };
        metrics.called(labels.clone(), Duration::from_millis(1));
        metrics.called(labels, Duration::from_millis(1));
        let text = metrics.text();
        let line =
            "bailiwick_calls_total{plugin=\"(unknown)\",tool=\"(unknown)\",outcome=\"tool.unknown\",caller=\"key\"} 2";
        assert!(text.lines().any(|shown| shown == line), "{text}");
    }

    #[test]
    fn what_is_counted_ends_with_what_it_counts() {
        let gauge = Gauge::default();
        let (one, two) = (Counted::in_(&gauge), Counted::in_(&gauge));
        assert_eq!(gauge.get(), 2);
        drop((one, two));
        assert_eq!(gauge.get(), 0);
    }
}
