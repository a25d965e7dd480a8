//! Sends spans and metrics to a collector: OTLP over HTTP, as protobuf, to `/v1/traces` and `/v1/metrics` below the URL
//! that the configuration names.
//!
//! Each kind has a thread of its own, so that no call waits. What waits to be sent is bounded: a collector that does not
//! answer costs spans, which are counted by the SDK and dropped, and nothing else.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    MetricExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tokio::runtime::{self, Runtime};
use url::Url;

use crate::ambient;
use crate::egress::Egress;

/// What this program calls itself to a collector.
const NAME: &str = "bailiwick";
/// How long one delivery may take. The next waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer of a collector: it says what it did not take, in a sentence.
const MOST: usize = 64 << 10;
/// How long the last deliveries may take, together.
const FAREWELL: Duration = Duration::from_secs(1);

/// The way to a collector.
#[derive(Debug)]
pub(super) struct Exporter {
    tracer: SdkTracer,
    meter: Meter,
    last: Arc<Last>,
}

/// What has to be told to end, so that what is left is delivered. None once that is done.
#[derive(Debug)]
struct Last(Mutex<Option<(SdkTracerProvider, SdkMeterProvider)>>);

/// All exporters of this process that were not told to end so far.
static EXPORTERS: Mutex<Vec<Weak<Last>>> = Mutex::new(Vec::new());

/// Delivers what is left of all hosts of this process, also of those that somebody still holds. To be said last.
pub(crate) fn deliver() {
    let exporters = std::mem::take(&mut *locked(&EXPORTERS));
    exporters.iter().filter_map(Weak::upgrade).for_each(|last| last.deliver());
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exporter {
    /// Starts the threads that deliver. Of a hundred traces without a parent `sample` are kept.
    ///
    /// # Errors
    /// The URL cannot be used, or a variable of the environment asks for what this exporter does not do.
    pub(super) fn start(url: &Url, sample: u32, egress: &Arc<Egress>) -> Result<Self, String> {
        let unfit = |error: &dyn std::fmt::Display| format!("nothing can be sent to {}: {error}", url.as_str());
        let retries = RetryPolicy::recommended().with_max_retries(1);
        let spans = SpanExporter::builder()
            .with_http()
            .with_endpoint(below(url, "v1/traces"))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(PATIENCE)
            .with_retry_policy(retries.clone())
            .with_http_client(Client::new("traces", egress).map_err(|error| unfit(&error))?)
            .build()
            .map_err(|error| unfit(&error))?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_endpoint(below(url, "v1/metrics"))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(PATIENCE)
            .with_retry_policy(retries)
            .with_http_client(Client::new("metrics", egress).map_err(|error| unfit(&error))?)
            .build()
            .map_err(|error| unfit(&error))?;
        let resource = resource();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(f64::from(sample) / 100.0)));
        let traces = SdkTracerProvider::builder()
            .with_batch_exporter(spans)
            .with_sampler(sampler)
            .with_resource(resource.clone())
            .build();
        let reader = PeriodicReader::builder(metrics).build();
        let meters = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
        let (tracer, meter) = (traces.tracer(NAME), meters.meter(NAME));
        tracing::info!(to = %url.origin().ascii_serialization(), "traces and metrics are sent to a collector");
        let last = Arc::new(Last(Mutex::new(Some((traces, meters)))));
        let mut exporters = locked(&EXPORTERS);
        exporters.retain(|exporter| exporter.strong_count() > 0);
        exporters.push(Arc::downgrade(&last));
        Ok(Self { tracer, meter, last })
    }

    pub(super) fn tracer(&self) -> &SdkTracer {
        &self.tracer
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.last.deliver();
    }
}

impl Last {
    /// Delivers what is left, on threads of their own: whoever ends a host waits no longer than [`FAREWELL`], and whoever
    /// comes second waits for the first.
    fn deliver(&self) {
        let mut providers = locked(&self.0);
        let Some((traces, meters)) = providers.take() else { return };
        let until = Instant::now() + FAREWELL;
        let (done, over) = sync_channel(2);
        let done_too = done.clone();
        let ends: [Box<dyn FnOnce() + Send>; 2] = [
            Box::new(move || {
                let _ = traces.shutdown_with_timeout(FAREWELL);
                let _ = done.send(());
            }),
            Box::new(move || {
                let _ = meters.shutdown();
                let _ = done_too.send(());
            }),
        ];
        let n_started = ends.map(|end| std::thread::Builder::new().name("farewell".to_owned()).spawn(end).is_ok());
        for _ in n_started.into_iter().filter(|started| *started) {
            if over.recv_timeout(until.saturating_duration_since(Instant::now())).is_err() {
                tracing::warn!("the collector did not take the last traces and metrics in time");
                return;
            }
        }
    }
}

/// Who sends: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` have the last word.
fn resource() -> Resource {
    let attributes = ambient::env("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let named = ambient::env("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty())
        || attributes.split(',').any(|pair| pair.trim_start().starts_with("service.name="));
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if named { builder.build() } else { builder.with_service_name(NAME).build() }
}

/// The URL of one kind.
fn below(url: &Url, path: &str) -> String {
    format!("{}/{path}", url.as_str().trim_end_matches('/'))
}

/// Sends over the host's own way out. Whoever delivers waits on a thread of its own, which drives the connection.
#[derive(Debug)]
struct Client {
    what: &'static str,
    egress: Arc<Egress>,
    /// None once it is dropped.
    runtime: Option<Runtime>,
    /// Whether the last delivery failed: that is said once.
    failing: AtomicBool,
}

impl Client {
    fn new(what: &'static str, egress: &Arc<Egress>) -> std::io::Result<Self> {
        let runtime = Some(runtime::Builder::new_current_thread().enable_all().build()?);
        Ok(Self { what, egress: Arc::clone(egress), runtime, failing: AtomicBool::new(false) })
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let runtime = self.runtime.as_ref().ok_or("it has ended")?;
        let answer = runtime.block_on(self.egress.send_own(request, PATIENCE, MOST));
        let trouble = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers with status {}", answer.status().as_u16())),
            Err(error) => Some(error.to_string()),
        };
        let what = self.what;
        match (trouble, self.failing.load(Ordering::Relaxed)) {
            (Some(trouble), false) => tracing::warn!(what, "the collector does not take what is sent: {trouble}"),
            (None, true) => tracing::info!(what, "the collector takes what is sent again"),
            (Some(_), true) | (None, false) => {}
        }
        self.failing.store(!answer.as_ref().is_ok_and(|answer| answer.status().is_success()), Ordering::Relaxed);
        Ok(answer?)
    }
}

type Sending<'s> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 's>>;

impl HttpClient for Client {
    /// Waits where it stands: the SDK calls it on the thread that delivers, and on no other.
    fn send_bytes<'life0, 'async_trait>(&'life0 self, request: Request<Bytes>) -> Sending<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { self.send(request) })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waits for nothing, so that it may happen anywhere.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_path_below_the_url() {
        for (url, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://otel.example.com/otlp/", "https://otel.example.com/otlp/v1/traces"),
        ] {
            assert_eq!(below(&url.parse().unwrap(), "v1/traces"), expected);
        }
    }
}
