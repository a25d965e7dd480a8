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
    record: Record,
    context: Option<Arc<CallContext>>,
    written: bool,
}

impl Recorder {
    pub(crate) fn start(audit: &Arc<Audit>, call: &Call) -> Self {
        let record = Record {
            time: format!("{:.3}", jiff::Timestamp::now()),
            call: call.id.to_string(),
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
        Self { audit: Arc::clone(audit), start: Instant::now(), record, context: None, written: false }
    }

    /// How an approval went.
    pub(crate) fn approval(&mut self, how: &'static str) {
        self.record.approval = Some(how);
    }

    /// What will run, with which rights.
    pub(crate) fn admitted(&mut self, permitted: &Permitted, plugin: &Plugin) {
        self.record.plugin = Some(permitted.tool().plugin.to_string());
        self.record.component = Some(plugin.component.digest.to_string());
        self.record.grants = Some(permitted.tool().grants_digest.clone());
        self.record.arguments = Some(permitted.arguments().shape.clone());
    }

    /// It runs now; its ledger fills.
    pub(crate) fn running(&mut self, context: &Arc<CallContext>) {
        self.context = Some(Arc::clone(context));
    }

    /// It was refused before it ran.
    pub(crate) fn refused(mut self, tool: Option<&Tool>, failure: Failure) -> Outcome {
        if let Some(tool) = tool {
            self.record.plugin = Some(tool.plugin.to_string());
        }
        if failure.code.is_denial() {
            self.record.denials.push(Denial { code: failure.code.as_str(), message: failure.to_string() });
        }
        self.done(Outcome::failed(failure))
    }

    /// It is over.
    pub(crate) fn done(mut self, outcome: Outcome) -> Outcome {
        self.record.outcome = outcome.code();
        self.record.output = outcome.result.as_ref().map_or(0, |output| output.size());
        self.write();
        outcome
    }

    fn write(&mut self) {
        self.written = true;
        if let Some(context) = &self.context {
            let redacted = |failure: &Failure| context.redactor().text(&failure.to_string()).into_owned();
            let denials = context.ledger.denials();
            self.record.denials.extend(denials.iter().map(|f| Denial { code: f.code.as_str(), message: redacted(f) }));
            self.record.operations = context.ledger.operations();
            self.record.memory = context.ledger.memory.load(Ordering::Relaxed);
        }
        self.record.micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(
            call = self.record.call,
            tool = self.record.tool,
            caller = self.record.caller,
            code = self.record.outcome,
            micros = self.record.micros,
            "call"
        );
        self.audit.record(&self.record);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.written {
            self.write();
        }
    }
}
