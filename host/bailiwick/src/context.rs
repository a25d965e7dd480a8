//! What one running call carries with it: its rights, and a ledger of what it did and was refused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;

use bailiwick_core::call::CallId;
use bailiwick_core::config::Effective;
use bailiwick_core::grant::{Want, Witness};
use bailiwick_core::name::{PluginName, ToolName};
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::redact::Redactor;

use crate::artifact::Artifacts;
use crate::channel::{Channel, LogLine, Progress};
use crate::deadline::{Deadline, Pause};
use crate::egress::Egress;
use crate::inner::Door;
use crate::secrets::Secrets;
use crate::telemetry::Trail;

/// Distinct denials kept per call; the rest are counted.
const MAX_DENIALS: usize = 32;
/// Distinct wants kept per call.
const MAX_WANTS: usize = 64;
/// Distinct operations kept per call; the rest are counted under `…`.
const MAX_OPERATIONS: usize = 64;
/// Reports of progress that reach a caller in a second.
const PROGRESS_PER_SECOND: u32 = 10;
/// Lines of a call's log that reach a caller in a second, and the longest of them.
const LINES_PER_SECOND: u32 = 50;
const MAX_LINE: usize = 4096;
/// Artifacts a call may keep, however small: each is a file.
pub(crate) const MAX_ARTIFACTS: u32 = 1_000;
/// Questions a call may ask.
pub(crate) const MAX_QUESTIONS: u32 = 10;

/// One call under way. Everything a guest's import needs is here; no import looks anything up elsewhere.
#[derive(Debug)]
pub struct CallContext {
    /// The call.
    pub id: CallId,
    /// Whose tool it is.
    pub plugin: PluginName,
    /// The tool, as callers know it.
    pub tool: ToolName,
    /// What it may reach.
    pub effective: Arc<Effective>,
    /// The plugin's configuration.
    pub config: Arc<BTreeMap<String, String>>,
    /// The plugin's secrets.
    pub secrets: Arc<Secrets>,
    /// The way to the network.
    pub egress: Arc<Egress>,
    /// Where big results are kept.
    pub artifacts: Arc<Artifacts>,
    /// The way back to the caller.
    pub channel: Channel,
    /// The way to other tools, if it may call any.
    pub(crate) door: Option<Door>,
    /// Where its requests are counted, and where they stand in a trace.
    pub trail: Trail,
    /// When it has to be over.
    pub deadline: Arc<Deadline>,
    /// What it did.
    pub ledger: Ledger,
}

impl CallContext {
    /// The rights of something that is done for a plugin outside of any call: nobody hears of it, and no trace has it.
    #[must_use]
    pub fn aside(
        what: &str,
        plugin: &PluginName,
        effective: Arc<Effective>,
        secrets: &Arc<Secrets>,
        egress: &Arc<Egress>,
        artifacts: &Arc<Artifacts>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: CallId::new(&format!("{what}-{plugin}")),
            plugin: plugin.clone(),
            tool: ToolName::parse(what).unwrap_or_else(|_| unreachable!("`{what}` is a legal name")),
            deadline: Arc::new(Deadline::new(effective.limits.time)),
            effective,
            config: Arc::default(),
            secrets: Arc::clone(secrets),
            egress: Arc::clone(egress),
            artifacts: Arc::clone(artifacts),
            channel: Channel::default(),
            door: None,
            trail: Trail::default(),
            ledger: Ledger::default(),
        })
    }

    /// The same call with other rights and secrets, and a ledger of its own.
    pub(crate) fn again(&self, effective: Arc<Effective>, secrets: Arc<Secrets>) -> Arc<Self> {
        Arc::new(Self {
            id: self.id.clone(),
            plugin: self.plugin.clone(),
            tool: self.tool.clone(),
            deadline: Arc::clone(&self.deadline),
            effective,
            config: Arc::clone(&self.config),
            secrets,
            egress: Arc::clone(&self.egress),
            artifacts: Arc::clone(&self.artifacts),
            channel: self.channel.clone(),
            door: None,
            trail: self.trail.clone(),
            ledger: Ledger::default(),
        })
    }

    /// As long as what is given back lives, neither the time of this call runs nor that of the call that made it.
    pub(crate) fn stand_still(&self) -> (Pause<'_>, Option<Pause<'_>>) {
        (self.deadline.pause(), self.channel.clock.as_ref().map(|clock| clock.pause()))
    }

    /// Takes the plugin's secrets out of whatever leaves.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        self.secrets.redactor()
    }

    /// Writes one line of a guest's to the host's log, and to a caller who asked for it.
    pub fn say(&self, level: tracing::Level, message: &str) {
        let Some(text) = self.log(level, message) else { return };
        let Some(sink) = self.channel.log.as_ref().filter(|sink| level <= sink.least) else { return };
        if self.ledger.admit_line() {
            let text = text.chars().take(MAX_LINE).collect();
            // A caller who does not listen loses lines, never the call.
            let _ = sink.lines.try_send(LogLine { level, plugin: self.plugin.clone(), text });
        }
    }

    /// Writes one line of a guest's to the host's log, and gives back what it wrote.
    pub fn log(&self, level: tracing::Level, message: &str) -> Option<String> {
        let budget = self.effective.limits.log;
        let before = self.ledger.log_bytes.fetch_add(message.len() as u64 + 1, Ordering::Relaxed);
        if before > budget {
            return None;
        }
        let left = usize::try_from(budget - before).unwrap_or(usize::MAX);
        let cut = message.len() > left;
        let mut end = message.len().min(left);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let text = self.redactor().text(&message[..end]);
        let (call, plugin) = (&self.id, &self.plugin);
        match level {
            tracing::Level::ERROR => tracing::error!(target: "plugin", %call, %plugin, "{text}"),
            tracing::Level::WARN => tracing::warn!(target: "plugin", %call, %plugin, "{text}"),
            tracing::Level::INFO => tracing::info!(target: "plugin", %call, %plugin, "{text}"),
            tracing::Level::DEBUG => tracing::debug!(target: "plugin", %call, %plugin, "{text}"),
            tracing::Level::TRACE => tracing::trace!(target: "plugin", %call, %plugin, "{text}"),
        }
        if cut {
            tracing::warn!(target: "plugin", %call, %plugin, limit = budget, "the call wrote more than `limits.log`; the rest is dropped");
        }
        Some(text.into_owned())
    }

    /// Passes a report of progress on, if it says something new and there is room for it.
    pub fn progress(&self, done: f64, total: Option<f64>, message: Option<&str>) {
        let Some(sender) = &self.channel.progress else { return };
        if !done.is_finite() || !self.ledger.admit_progress(done) {
            return;
        }
        let message = message.map(|text| self.redactor().text(text).chars().take(500).collect());
        // A caller who does not listen loses reports, never the call.
        let _ = sender.try_send(Progress { done, total: total.filter(|total| total.is_finite()), message });
    }
}

/// What a call did and was refused, for the outcome and the audit.
#[derive(Debug, Default)]
pub struct Ledger {
    denials: Mutex<Vec<Failure>>,
    wants: Mutex<Vec<(Want, Witness)>>,
    refused: AtomicU64,
    operations: Mutex<BTreeMap<String, u32>>,
    progress: Mutex<Option<Pace>>,
    lines: Mutex<Option<(Instant, u32)>>,
    unasked: Mutex<Option<Code>>,
    trouble: Mutex<Option<Code>>,
    /// Bytes written to the log, standard output and standard error.
    pub log_bytes: AtomicU64,
    /// HTTP requests sent or refused.
    pub http_requests: AtomicU32,
    /// Bytes of bodies that were sent.
    pub http_sent: AtomicU64,
    /// Bytes of bodies that came.
    pub http_received: AtomicU64,
    /// Room for HTTP requests open at once; made by the first.
    pub http_slots: OnceLock<Arc<Semaphore>>,
    /// Calls of other tools.
    pub calls: AtomicU32,
    /// Questions asked.
    pub questions: AtomicU32,
    /// Bytes put into artifacts.
    pub artifact_bytes: AtomicU64,
    /// Artifacts kept.
    pub artifacts: AtomicU32,
    /// The most memory the guest had.
    pub memory: AtomicU64,
}

#[derive(Debug)]
struct Pace {
    last: f64,
    second: Instant,
    count: u32,
}

impl Ledger {
    /// Notes a refusal, once for each distinct message, and counts it.
    pub fn deny(&self, failure: Failure) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.keep_denial(failure);
    }

    fn keep_denial(&self, failure: Failure) {
        let mut denials = lock(&self.denials);
        if denials.len() < MAX_DENIALS && !denials.contains(&failure) {
            denials.push(failure);
        }
    }

    /// The refusals so far.
    #[must_use]
    pub fn denials(&self) -> Vec<Failure> {
        lock(&self.denials).clone()
    }

    /// Notes what was asked for and not given, in the terms of a grant; none for what no grant could give.
    pub fn want(&self, want: Option<Want>, by: Witness) {
        let Some(want) = want else { return };
        let mut wants = lock(&self.wants);
        if wants.len() < MAX_WANTS && !wants.iter().any(|known| known.0 == want && known.1 == by) {
            wants.push((want, by));
        }
    }

    /// What was asked for and not given so far, and who says so.
    #[must_use]
    pub fn wants(&self) -> Vec<(Want, Witness)> {
        lock(&self.wants).clone()
    }

    /// How many refusals there were in all.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Bytes of bodies that were sent, and that came.
    #[must_use]
    pub fn http_bytes(&self) -> (u64, u64) {
        (self.http_sent.load(Ordering::Relaxed), self.http_received.load(Ordering::Relaxed))
    }

    /// Notes why a request got no answer: a guest that passes it on knows only that there was none.
    pub fn note_trouble(&self, code: Code) {
        *lock(&self.trouble) = Some(code);
    }

    /// Why the last request without an answer got none.
    #[must_use]
    pub fn trouble(&self) -> Option<Code> {
        *lock(&self.trouble)
    }

    /// Takes over what another ledger of the same call has.
    pub(crate) fn absorb(&self, other: &Self) {
        other.denials().into_iter().for_each(|failure| self.keep_denial(failure));
        self.refused.fetch_add(other.refused(), Ordering::Relaxed);
        other.wants().into_iter().for_each(|(want, by)| self.want(Some(want), by));
        for (what, n) in other.operations() {
            *lock(&self.operations).entry(what).or_default() += n;
        }
        if let Some(code) = other.trouble() {
            self.note_trouble(code);
        }
        let counts = [
            (&self.log_bytes, &other.log_bytes),
            (&self.http_sent, &other.http_sent),
            (&self.http_received, &other.http_received),
            (&self.artifact_bytes, &other.artifact_bytes),
        ];
        for (own, others) in counts {
            own.fetch_add(others.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.http_requests.fetch_add(other.http_requests.load(Ordering::Relaxed), Ordering::Relaxed);
        self.artifacts.fetch_add(other.artifacts.load(Ordering::Relaxed), Ordering::Relaxed);
        self.memory.fetch_max(other.memory.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Notes that the host did something for the guest, for example `http GET https://api.example.com`. Never a value.
    pub fn operation(&self, what: String) {
        let mut operations = lock(&self.operations);
        let full = operations.len() >= MAX_OPERATIONS && !operations.contains_key(&what);
        *operations.entry(if full { "…".to_owned() } else { what }).or_default() += 1;
    }

    /// What was done, and how often.
    #[must_use]
    pub fn operations(&self) -> BTreeMap<String, u32> {
        lock(&self.operations).clone()
    }

    /// Notes what the caller lacks that could not be asked something.
    pub fn note_unasked(&self, code: Code) {
        *lock(&self.unasked) = Some(code);
    }

    /// What the caller lacks that could not be asked something last.
    #[must_use]
    pub fn unasked(&self) -> Option<Code> {
        *lock(&self.unasked)
    }

    fn admit_line(&self) -> bool {
        let mut lines = lock(&self.lines);
        let now = Instant::now();
        let (since, count) = lines.get_or_insert((now, 0));
        if now.duration_since(*since).as_secs() >= 1 {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= LINES_PER_SECOND
    }

    fn admit_progress(&self, done: f64) -> bool {
        let mut pace = lock(&self.progress);
        let now = Instant::now();
        let Some(pace) = pace.as_mut() else {
            *pace = Some(Pace { last: done, second: now, count: 1 });
            return true;
        };
        if done <= pace.last {
            return false;
        }
        pace.last = done;
        if now.duration_since(pace.second).as_secs() >= 1 {
            (pace.second, pace.count) = (now, 0);
        }
        pace.count += 1;
        pace.count <= PROGRESS_PER_SECOND
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
