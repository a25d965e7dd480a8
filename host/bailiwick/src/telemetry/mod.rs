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

use bailiwick_core::config::TelemetrySettings;

use crate::egress::Egress;

pub use log::{Format, LogError, Logging, filter, flush, start, write_aside};

pub(crate) use call::{CallWatch, Place};
pub(crate) use metrics::Metrics;
pub(crate) use span::{Kind, Span};

use export::Exporter;

/// What one host counts and traces.
#[derive(Debug)]
pub(crate) struct Telemetry {
    pub(crate) metrics: Metrics,
    exporter: Option<Exporter>,
}

impl Telemetry {
    /// Starts to count; where the settings name a collector, also to export.
    ///
    /// # Errors
    /// The exporter cannot be set up: no threads, or a URL it cannot use.
    pub(crate) fn start(settings: &TelemetrySettings, egress: &Arc<Egress>) -> Result<Self, String> {
        let exporter = settings.otlp.as_ref().map(|url| Exporter::start(url, settings.sample, egress)).transpose()?;
        let metrics = Metrics::new(exporter.as_ref().map(Exporter::meter));
        Ok(Self { metrics, exporter })
    }
}
