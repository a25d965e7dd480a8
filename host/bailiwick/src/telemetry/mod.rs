//! What operators see of a running host: the log, metrics and traces. None of it decides anything, none of it holds up a
//! call, and none of it shows an argument, a result, a secret, or more of a URL than its host.
//!
//! [`log`] goes to standard error. [`Metrics`] are counted where decisions meet, and read at `/metrics`. A [`Span`] is
//! one step of a request; spans and metrics leave for a collector only if the configuration names one ([`export`]).
//! Without one there are no threads for it and no ids are made; a trace that a caller began is passed on all the same.

mod call;
mod export;
mod log;
mod metrics;
mod span;

use std::sync::Arc;

use bailiwick_core::call::Selector;
use bailiwick_core::config::{self, TelemetrySettings};

use crate::egress::Egress;
use crate::host::Snapshot;

pub use log::{Format, LogError, Logging, filter, flush, start, write_aside};

pub use call::Trail;
pub(crate) use call::{CallWatch, Ended};
pub(crate) use export::deliver;
pub(crate) use metrics::{Counted, Metrics, TEXT as METRICS_TEXT, Tally, known_method};
pub(crate) use span::{Kind, Span};

use export::Exporter;

/// What one host counts and traces.
#[derive(Debug)]
pub(crate) struct Telemetry {
    pub(crate) metrics: Metrics,
    /// Who may read them over HTTP.
    pub(crate) metrics_for: config::Metrics,
    exporter: Option<Exporter>,
}

impl Telemetry {
    /// Starts to count; where the settings name a collector, also to export.
    ///
    /// # Errors
    /// The exporter cannot be set up: no threads, or a URL it cannot use.
    pub(crate) fn start(settings: &TelemetrySettings, egress: &Arc<Egress>, tally: &Tally) -> Result<Self, String> {
        let exporter = settings.otlp.as_ref().map(|url| Exporter::start(url, settings.sample, egress)).transpose()?;
        let metrics = Metrics::new(exporter.as_ref().map(Exporter::meter), tally);
        Ok(Self { metrics, metrics_for: settings.metrics, exporter })
    }

    /// These plugins are there from here on.
    pub(crate) fn loaded(&self, snapshot: &Snapshot) {
        let levels = &self.metrics.levels;
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        levels.plugins.set(count(snapshot.plugins.len()));
        levels.problems.set(count(snapshot.problems.len()));
        levels.tools.set(count(snapshot.registry.visible(&Selector::all()).count()));
    }
}
