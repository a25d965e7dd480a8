//! Writes the one audit record of a call, whatever becomes of it: also when the caller gives up in the middle.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bailiwick_core::call::Call;
use bailiwick_core::name::ToolName;
use bailiwick_core::observation::Observation;
use bailiwick_core::outcome::{Code, Failure, Outcome};
use bailiwick_core::policy::Permitted;
use bailiwick_core::redact::brief;
use bailiwick_core::registry::{Risk, Tool};
use bailiwick_core::trace::TraceContext;

use crate::audit::{Audit, BEGUN, Denial, Record};
use crate::context::CallContext;
use crate::load::Plugin;
use crate::observe::Observer;
use crate::telemetry::{CallWatch, Ended, Span, Telemetry, Trail};

/// The record of a call under way. Dropped before the end, it records a cancelled call.
pub(crate) struct Recorder {
    audit: Arc<Audit>,
    observer: Option<Arc<Observer>>,
    watch: CallWatch,
    start: Instant,
    /// None once it is written.
    record: Option<Record>,
    context: Option<Arc<CallContext>>,
    /// The plugin's own name for the tool.
    tool: Option<ToolName>,
}

impl Recorder {
    pub(crate) fn start(
        audit: &Arc<Audit>,
        observer: Option<&Arc<Observer>>,
        telemetry: &Arc<Telemetry>,
        call: &Call,
    ) -> Self {
        let record = Record {
            time: jiff::Timestamp::now(),
            call: call.id.clone(),
            caller: call.caller.name.clone(),
            tool: brief(&call.tool, 128),
            plugin: None,
            component: None,
            grants: None,
            arguments: None,
            outcome: Code::Cancelled.as_str(),
            approval: None,
            intent: None,
            denials: Vec::new(),
            refused: None,
            operations: std::collections::BTreeMap::new(),
            micros: 0,
            memory: 0,
            output: 0,
        };
        let (audit, observer, watch) = (Arc::clone(audit), observer.cloned(), CallWatch::start(telemetry, call));
        Self { audit, observer, watch, start: Instant::now(), record: Some(record), context: None, tool: None }
    }

    fn record(&mut self) -> &mut Record {
        self.record.as_mut().expect("it is written last")
    }

    /// A wait within the call, for as long as what is given back is kept.
    pub(crate) fn waits(&self, name: &'static str) -> Span {
        self.watch.step(name)
    }

    /// For what the call's guest asks for.
    pub(crate) fn trail(&self) -> Trail {
        self.watch.trail()
    }

    /// What is called, while it is not certain that it will run.
    pub(crate) fn asked(&mut self, tool: &Tool) {
        self.watch.of(tool);
    }

    /// How an approval went.
    pub(crate) fn approval(&mut self, how: impl Into<String>) {
        self.record().approval = Some(how.into());
    }

    /// What will run, with which rights.
    pub(crate) fn admitted(&mut self, permitted: &Permitted, plugin: &Plugin) {
        self.watch.of(permitted.tool());
        self.tool = self.observer.is_some().then(|| ToolName::parse(&permitted.tool().definition.name).ok()).flatten();
        let record = self.record();
        record.plugin = Some(permitted.tool().plugin.clone());
        record.component = Some(plugin.digest);
        record.grants = Some(permitted.tool().grants_digest.clone());
        record.arguments = Some(permitted.arguments().shape.clone());
    }

    /// Where the risk is high, that it is about to run is on the disk before it runs, or it does not run.
    pub(crate) async fn intend(&mut self, permitted: &Permitted) -> Result<(), Failure> {
        let record = self.record();
        if permitted.tool().definition.risk != Risk::High && record.approval.is_none() {
            return Ok(());
        }
        let intent = Record { outcome: BEGUN, ..record.clone() };
        match self.audit.record_now(intent).await {
            Ok(number) => {
                self.record().intent = Some(number);
                Ok(())
            }
            Err(unwritten) => {
                let name = &permitted.tool().name;
                let message = format!("`{name}` runs only when that is on record, and {unwritten}");
                Err(Failure::new(Code::HostAudit, message).with_fix("the log of the host says why"))
            }
        }
    }

    /// It runs now; its ledger fills.
    pub(crate) fn running(&mut self, context: &Arc<CallContext>) {
        self.context = Some(Arc::clone(context));
    }

    /// It was refused before it ran.
    pub(crate) fn refused(mut self, tool: Option<&Tool>, failure: Failure) -> Outcome {
        if let Some(tool) = tool {
            self.watch.of(tool);
        }
        let record = self.record();
        record.plugin = tool.map(|tool| tool.plugin.clone());
        if failure.code.is_denial() {
            record.denials.push(Denial { code: failure.code.as_str(), message: failure.to_string() });
        }
        self.done(Outcome::failed(failure))
    }

    /// It is over.
    pub(crate) fn done(mut self, outcome: Outcome) -> Outcome {
        let record = self.record();
        record.outcome = outcome.code();
        record.output = outcome.result.as_ref().map_or(0, |output| output.size());
        // Of a refusal that a plugin reports by itself no ledger knows.
        if let Err(failure) = &outcome.result
            && failure.code.is_denial()
            && !outcome.denials.contains(failure)
        {
            record.denials.push(Denial { code: failure.code.as_str(), message: failure.to_string() });
        }
        self.write();
        outcome
    }

    fn write(&mut self) {
        let Some(mut record) = self.record.take() else { return };
        if let Some(context) = &self.context {
            let redacted = |failure: &Failure| context.redactor().text(&failure.to_string()).into_owned();
            let denials = context.ledger.denials();
            record.denials.extend(denials.iter().map(|f| Denial { code: f.code.as_str(), message: redacted(f) }));
            record.refused = Some(context.ledger.refused()).filter(|refused| *refused > denials.len() as u64);
            record.operations = context.ledger.operations();
            record.memory = context.ledger.memory.load(Ordering::Relaxed);
        }
        record.micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(
            call = %record.call,
            trace = self.watch.trace().map(TraceContext::trace_id),
            tool = record.tool,
            caller = record.caller,
            code = record.outcome,
            micros = record.micros,
            "call"
        );
        self.watched(&record);
        if let Some(observer) = &self.observer {
            observer.note(self.observed(&record));
        }
        self.audit.record(record);
    }

    /// Counts the call.
    fn watched(&mut self, record: &Record) {
        let bytes = self.context.as_ref().map_or((0, 0), |context| context.ledger.http_bytes());
        let codes: Vec<&'static str> = record.denials.iter().map(|denial| denial.code).collect();
        let (took, approval) = (self.start.elapsed(), record.approval.as_deref());
        self.watch.end(&Ended { code: record.outcome, took, denials: &codes, approval, bytes });
    }

    /// What the plugin asked for and was not given.
    fn observed(&self, record: &Record) -> Vec<Observation> {
        let (Some(context), Some(tool)) = (&self.context, &self.tool) else { return Vec::new() };
        let time = format!("{:.3}", record.time);
        let observation = |(want, by)| Observation {
            plugin: context.plugin.clone(),
            tool: tool.clone(),
            want,
            by,
            count: 1,
            first: time.clone(),
            last: time.clone(),
            call: record.call.to_string(),
        };
        context.ledger.wants().into_iter().map(observation).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.write();
    }
}
