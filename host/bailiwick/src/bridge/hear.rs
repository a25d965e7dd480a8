//! What a server says on its own: reports of progress, lines of a log, changes of its lists, and questions. Each finds its
//! way to the call it belongs to, or to none.
#![expect(deprecated, reason = "servers of versions before 2026-07-28 log, sample and ask for roots")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult, CustomRequest, CustomResult,
    ElicitRequestParams, ElicitResult, ElicitationCapability, ErrorCode, FormElicitationCapability, Implementation,
    ListRootsResult, LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken, ProtocolVersion,
    RequestId, RootsCapabilities, SamplingCapability,
};
use rmcp::service::{InboundStreamOrigin, NotificationContext, RequestContext};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Level;

use super::questions;
use super::stderr::Ring;
use crate::channel::{Able, KEY};
use crate::context::CallContext;

/// Changes of lists are told at most once in so long.
const PACE: Duration = Duration::from_secs(1);
/// How soon after the first sign of a change it is told: several come together.
const MOMENT: Duration = Duration::from_millis(50);
/// How long a report is held for the call it is of: over HTTP it can be here before the call is noted.
const RACE: Duration = Duration::from_millis(20);

/// A call that is under way at a server.
#[derive(Debug, Clone)]
pub(super) struct Flight(Arc<Under>);

#[derive(Debug)]
struct Under {
    context: Arc<CallContext>,
    /// Whether the server may have read of it.
    sent: AtomicBool,
}

impl Flight {
    pub(super) fn new(context: &Arc<CallContext>) -> Self {
        Self(Arc::new(Under { context: Arc::clone(context), sent: AtomicBool::new(false) }))
    }

    pub(super) fn context(&self) -> &Arc<CallContext> {
        &self.0.context
    }

    pub(super) fn mark(&self, sent: bool) {
        self.0.sent.store(sent, Ordering::SeqCst);
    }

    pub(super) fn is_sent(&self) -> bool {
        self.0.sent.load(Ordering::SeqCst)
    }
}

/// What a connection hears, and which calls are on it.
#[derive(Debug)]
pub(super) struct Ear {
    flights: Mutex<HashMap<RequestId, (Option<ProgressToken>, Flight)>>,
    changes: Arc<Changes>,
    ring: Arc<Ring>,
    /// Why the connection is over, once it is.
    over: watch::Sender<Option<String>>,
    /// Whether the server may put questions in requests of its own: before 2026-07-28.
    asks: AtomicBool,
}

impl Ear {
    pub(super) fn new(changes: &Arc<Changes>, ring: &Arc<Ring>) -> Arc<Self> {
        Arc::new(Self {
            flights: Mutex::default(),
            changes: Arc::clone(changes),
            ring: Arc::clone(ring),
            over: watch::Sender::new(None),
            asks: AtomicBool::new(true),
        })
    }

    /// Notes that the server speaks 2026-07-28, where a question is an answer to a call.
    pub(super) fn is_modern(&self) {
        self.asks.store(false, Ordering::Relaxed);
    }

    pub(super) fn board(&self, id: &RequestId, token: Option<ProgressToken>, flight: &Flight) {
        self.flights().insert(id.clone(), (token, flight.clone()));
    }

    pub(super) fn leave(&self, id: &RequestId) {
        self.flights().remove(id);
    }

    /// Ends the connection; the first reason counts.
    pub(super) fn end(&self, why: impl FnOnce() -> String) {
        self.over.send_if_modified(|over| {
            let first = over.is_none();
            if first {
                *over = Some(why());
            }
            first
        });
    }

    /// Why the connection is over, if it is.
    pub(super) fn why_over(&self) -> Option<String> {
        self.over.borrow().clone()
    }

    /// Completes when the connection is over.
    pub(super) async fn over(&self) -> String {
        let mut over = self.over.subscribe();
        // The sender lives as long as this.
        over.wait_for(Option::is_some).await.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// A report of progress, if it is of a call that is under way.
    pub(super) fn progress(&self, token: &ProgressToken, done: f64, total: Option<f64>, message: Option<&str>) -> bool {
        let of =
            self.flights().values().find(|(known, _)| known.as_ref() == Some(token)).map(|(_, flight)| flight.clone());
        let Some(flight) = of else { return false };
        flight.context().progress(done, total, message);
        true
    }

    /// A line of the server's log. With one call under way it is that call's; else it is kept with what the server writes
    /// beside the protocol.
    pub(super) fn log(&self, level: Option<&str>, data: &Value) {
        let level = level_of(level);
        let text = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
        match self.alone() {
            Ok(flight) => flight.context().say(level, &text),
            Err(_) => self.ring.push(&format!("[{}] {text}", level.as_str().to_lowercase())),
        }
    }

    /// The server says that its tools, prompts or resources are others now.
    pub(super) fn changed(&self) {
        self.changes.tell();
    }

    /// The one call that is under way; else how many there are.
    fn alone(&self) -> Result<Flight, usize> {
        let flights = self.flights();
        let mut all = flights.values();
        match (all.next(), all.next()) {
            (Some((_, one)), None) => Ok(one.clone()),
            (_, _) => Err(flights.len()),
        }
    }

    /// Whose question it is: over HTTP that of the call whose stream it came on, else that of the only call there is.
    fn asker(&self, origin: Option<&InboundStreamOrigin>) -> Result<Flight, ErrorData> {
        let nobody = || ErrorData::invalid_request("no call is under way that this could be asked for", None);
        if let Some(InboundStreamOrigin::OutboundRequest(id)) = origin {
            return self.flights().get(id).map(|(_, flight)| flight.clone()).ok_or_else(nobody);
        }
        self.alone().map_err(|count| match count {
            0 => nobody(),
            _ => ErrorData::invalid_request(
                "several calls are under way, and nothing says for which of them this is asked; with \
                 `lifetime = \"session\"` each session has a server of its own",
                None,
            ),
        })
    }

    /// Asks whoever made the call.
    async fn ask(
        &self,
        method: &str,
        params: &Value,
        origin: Option<&InboundStreamOrigin>,
    ) -> Result<Value, ErrorData> {
        if !questions::is_question(method) || !self.asks.load(Ordering::Relaxed) {
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method.to_owned(), None));
        }
        let flight = self.asker(origin)?;
        let mut answers = questions::ask(flight.context(), vec![(KEY.to_owned(), method, params)]).await?;
        answers.pop().ok_or_else(|| ErrorData::internal_error("there is no answer", None))
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<RequestId, (Option<ProgressToken>, Flight)>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn level_of(name: Option<&str>) -> Level {
    match name {
        Some("debug") => Level::DEBUG,
        Some("warning") => Level::WARN,
        Some("error" | "critical" | "alert" | "emergency") => Level::ERROR,
        Some(_) | None => Level::INFO,
    }
}

/// Counts changes of what a server gives, and tells of them at an even pace.
#[derive(Debug)]
pub(super) struct Changes {
    count: watch::Sender<u64>,
    due: AtomicBool,
    told: Mutex<Option<Instant>>,
}

impl Changes {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { count: watch::Sender::new(0), due: AtomicBool::new(false), told: Mutex::default() })
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// Tells of a change soon. However many there are until then, it is told once.
    pub(super) fn tell(self: &Arc<Self>) {
        if self.due.swap(true, Ordering::SeqCst) {
            return;
        }
        let changes = Arc::clone(self);
        tokio::spawn(async move {
            let last = *changes.told.lock().unwrap_or_else(PoisonError::into_inner);
            let soon = Instant::now() + MOMENT;
            tokio::time::sleep_until(last.map_or(soon, |last| soon.max(last + PACE))).await;
            *changes.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            changes.due.store(false, Ordering::SeqCst);
            changes.count.send_modify(|count| *count += 1);
        });
    }
}

/// The client that a server sees.
#[derive(Debug, Clone)]
pub struct Hear(pub(super) Arc<Ear>);

/// What a client says it is called.
pub(super) fn us() -> Implementation {
    Implementation::new("bailiwick", env!("CARGO_PKG_VERSION")).with_title("Bailiwick")
}

/// What a caller who can be asked `able` lets a server ask. Nothing is declared that its caller did not.
pub(super) fn capabilities(able: Able) -> ClientCapabilities {
    let mut capabilities = ClientCapabilities::default();
    if able.input {
        capabilities.elicitation = Some(ElicitationCapability::new().with_form(FormElicitationCapability::new()));
    }
    capabilities.sampling = able.sample.then(SamplingCapability::default);
    capabilities.roots = able.roots.then(RootsCapabilities::default);
    capabilities
}

/// What is declared where it is declared once for all callers: before 2026-07-28. Who cannot be asked is not asked.
pub(super) fn declared() -> ClientConfig {
    let all = Able { input: true, sample: true, roots: true };
    ClientConfig::new(capabilities(all), us()).with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
}

impl Hear {
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        params: &impl serde::Serialize,
        context: &RequestContext<RoleClient>,
    ) -> Result<T, ErrorData> {
        let odd = |error: serde_json::Error| ErrorData::internal_error(error.to_string(), None);
        let params = serde_json::to_value(params).map_err(odd)?;
        let origin = context.extensions.get::<InboundStreamOrigin>();
        let answer = tokio::select! {
            biased;
            () = context.ct.cancelled() => Err(ErrorData::invalid_request("the question was taken back", None)),
            answer = self.0.ask(method, &params, origin) => answer,
        };
        serde_json::from_value(answer?).map_err(odd)
    }
}

impl ClientHandler for Hear {
    fn get_info(&self) -> ClientConfig {
        declared()
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.ask("elicitation/create", &request, &context).await
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.ask("sampling/createMessage", &params, &context).await
    }

    async fn list_roots(&self, context: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        self.ask("roots/list", &Value::Null, &context).await
    }

    /// Over standard streams every question comes here, as it was written.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleClient>,
    ) -> Result<CustomResult, ErrorData> {
        let params = request.params.unwrap_or_default();
        self.ask(&request.method, &params, &context).await.map(CustomResult::new)
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _context: NotificationContext<RoleClient>) {
        let ProgressNotificationParam { progress_token, progress, total, message, .. } = params;
        let told = || self.0.progress(&progress_token, progress, total, message.as_deref());
        if !told() {
            tokio::time::sleep(RACE).await;
            told();
        }
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        let level = serde_json::to_value(params.level).unwrap_or_default();
        self.0.log(level.as_str(), &params.data);
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.0.changed();
    }

    async fn on_prompt_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.0.changed();
    }

    async fn on_resource_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.0.changed();
    }
}
