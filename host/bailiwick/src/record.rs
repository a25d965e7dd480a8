//! Writes the one audit record of a call, whatever becomes of it: also when the caller gives up in the middle.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bailiwick_core::call::Call;
use bailiwick_core::outcome::{Code, Failure, Outcome};
use bailiwick_core::policy::Permitted;
use bailiwick_core::redact::visible;
use bailiwick_core::registry::Tool;

use crate::audit::{Audit, Denial, Record};
use crate::context::CallContext;
use crate::load::Plugin;

/// The record of a call under way. Dropped before the end, it records a cancelled call.
pub(crate) struct Recorder {
    audit: Arc<Audit>,
    start: Instant,
    /// None once it is written.
    record: Option<Record>,
    context: Option<Arc<CallContext>>,
}

impl Recorder {
    pub(crate) fn start(audit: &Arc<Audit>, call: &Call) -> Self {
        let record = Record {
            time: jiff::Timestamp::now(),
            call: call.id.clone(),
            caller: call.caller.name.clone(),
            tool: visible(&call.tool).chars().take(128).collect(),
            plugin: None,
            component: None,
            grants: None,
            arguments: None,
            outcome: Code::Cancelled.as_str(),
            approval: None,
            denials: Vec::new(),
            operations: std::collections::BTreeMap::new(),
            micros: 0,
            memory: 0,
            output: 0,
        };
        Self { audit: Arc::clone(audit), start: Instant::now(), record: Some(record), context: None }
    }

    fn record(&mut self) -> &mut Record {
        self.record.as_mut().expect("it is written last")
    }

    /// How an approval went.
    pub(crate) fn approval(&mut self, how: &'static str) {
        self.record().approval = Some(how);
    }

    /// What will run, with which rights.
    pub(crate) fn admitted(&mut self, permitted: &Permitted, plugin: &Plugin) {
        let record = self.record();
        record.plugin = Some(permitted.tool().plugin.clone());
        record.component = Some(plugin.component.digest);
        record.grants = Some(permitted.tool().grants_digest.clone());
        record.arguments = Some(permitted.arguments().shape.clone());
    }

    /// It runs now; its ledger fills.
    pub(crate) fn running(&mut self, context: &Arc<CallContext>) {
        self.context = Some(Arc::clone(context));
    }

    /// It was refused before it ran.
    pub(crate) fn refused(mut self, tool: Option<&Tool>, failure: Failure) -> Outcome {
        let record = self.record();
        if let Some(tool) = tool {
            record.plugin = Some(tool.plugin.clone());
        }
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
        self.write();
        outcome
    }

    fn write(&mut self) {
        let Some(mut record) = self.record.take() else { return };
        if let Some(context) = &self.context {
            let redacted = |failure: &Failure| context.redactor().text(&failure.to_string()).into_owned();
            let denials = context.ledger.denials();
            record.denials.extend(denials.iter().map(|f| Denial { code: f.code.as_str(), message: redacted(f) }));
            record.operations = context.ledger.operations();
            record.memory = context.ledger.memory.load(Ordering::Relaxed);
        }
        record.micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(
            call = %record.call,
            tool = record.tool,
            caller = record.caller,
            code = record.outcome,
            micros = record.micros,
            "call"
        );
        self.audit.record(record);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.write();
    }
}
