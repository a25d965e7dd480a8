//! One connection with a server: how it comes about in either era, one request on it, and its end.
#![expect(deprecated, reason = "servers of versions before 2026-07-28 are asked for the lines of their logs")]

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, ClientCapabilities, ClientJsonRpcMessage, ClientNotification,
    ClientRequest, ClientResult, DiscoverRequest, DiscoverRequestParams, ErrorCode, ErrorData, GetExtensions as _,
    InitializeRequest, InitializedNotification, JsonRpcMessage, LoggingLevel, PingRequest, ProtocolVersion, RequestId,
    RequestMetaObject, ServerJsonRpcMessage, ServerPeerInfo, ServerRequest, ServerResult, SetLevelRequest,
    SetLevelRequestParams, SubscriptionFilter, SubscriptionsListenRequest, SubscriptionsListenRequestParams,
};
use rmcp::service::{Peer, PeerRequestOptions, RunningService, serve_directly};
use rmcp::transport::Transport as _;
use rmcp::{RoleClient, ServiceError};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Level;

use bailiwick_core::outcome::Failure;
use bailiwick_core::redact::brief;

use super::hear::{Changes, Ear, Flight, Hear, capabilities, declared, us};
use super::stderr::Ring;
use super::wire::{Outlet, Wire};
use super::{Era, Streams};
use crate::channel::Able;
use crate::keeper::Ended;
use crate::remote;

/// How long a server may take to say whether it speaks 2026-07-28. One that does not know the question says so at once;
/// one that says nothing is then spoken to as before. A slow start counts, and an answer that comes later still does.
const PROBE: Duration = Duration::from_secs(5);
/// How long a child has to end by itself once nothing more is said to it.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a word that nobody waits for may take.
const ASIDE: Duration = Duration::from_secs(1);
/// How long a server that let a call's time pass has to show that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How long after it was lost a stream of changes is opened again.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);
/// Requests of the beginning, far from those that rmcp counts.
const DISCOVER: i64 = 1_000_000_000;
const INITIALIZE: i64 = 1_000_000_001;

/// A connection with a server.
pub(super) struct Line {
    running: RunningService<RoleClient, Hear>,
    ear: Arc<Ear>,
    /// What it speaks.
    pub(super) era: Era,
    /// Since when it is up.
    pub(super) since: Instant,
    /// What the server says it can do, as it wrote it.
    capabilities: Value,
    child: Option<Child>,
    /// Calls on it, and when the last one was.
    calls: AtomicU32,
    used: Mutex<Instant>,
    /// Whether its end is what the host wanted.
    wanted: AtomicBool,
    /// The least lines that the server was asked to log.
    level: Mutex<Option<Level>>,
    /// What is done beside calls; it ends with this.
    tasks: Mutex<JoinSet<()>>,
}

struct Child {
    outlet: Outlet,
    ended: watch::Receiver<Option<Ended>>,
    /// Dropped, it kills the child and what it started.
    leash: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server refused it.
    Refused(ErrorData),
    /// The connection is over.
    Over(String),
    /// It did not get there, and the host knows why.
    Failed(Failure),
}

/// Why no connection came about.
#[derive(Debug)]
pub(super) enum NoLine {
    /// The server ended or fell silent before it had said anything. Some do that when they are asked what they do not know.
    Ended(String),
    /// It answered, and that did not do.
    Unfit(String),
}

impl NoLine {
    /// The reason, in a sentence.
    pub(super) fn why(self) -> String {
        match self {
            Self::Ended(why) | Self::Unfit(why) => why,
        }
    }
}

impl Line {
    /// Agrees with a child on how to speak. One that is `known` to speak in the older way is not asked for the newer.
    pub(super) async fn with_child(
        streams: Streams,
        changes: &Arc<Changes>,
        ring: &Arc<Ring>,
        known: Option<Era>,
    ) -> Result<Arc<Self>, NoLine> {
        let Streams { stdin, stdout, stderr, ended, leash } = streams;
        let ear = Ear::new(changes, ring);
        let mut tasks = JoinSet::new();
        if let Some(stderr) = stderr {
            let ring = Arc::clone(ring);
            tasks.spawn(async move { ring.read(stderr).await });
        }
        let mut wire = Wire::new(stdin, stdout, ended.clone(), &ear);
        let child = Child { outlet: wire.outlet(), ended, leash: Mutex::new(Some(leash)) };
        let agreed = match agree(&mut wire, &ear, known).await {
            Ok(agreed) => agreed,
            Err(fault) => {
                // What it wrote last says why.
                let _ = tokio::time::timeout(ASIDE / 5, tasks.join_next()).await;
                return Err(fault);
            }
        };
        let Agreed { version, era, capabilities } = agreed;
        if era == Era::Modern {
            ear.is_modern();
        }
        let info = ServerPeerInfo::new(version, rmcp::model::ServerCapabilities::default());
        let running = serve_directly(Hear(Arc::clone(&ear)), wire, Some(info));
        Ok(Self::new(running, ear, era, capabilities, Some(child), tasks))
    }

    /// Takes a connection that came about elsewhere.
    pub(super) fn with_site(running: RunningService<RoleClient, Hear>) -> Arc<Self> {
        let ear = Arc::clone(&running.service().0);
        let info = running.peer().peer_info();
        let modern = info.as_ref().is_some_and(|info| !info.protocol_version.has_initialize());
        let era = if modern { Era::Modern } else { Era::Legacy };
        if modern {
            ear.is_modern();
        }
        let capabilities = info.map(|info| serde_json::to_value(&info.capabilities).unwrap_or_default());
        Self::new(running, ear, era, capabilities.unwrap_or_default(), None, JoinSet::new())
    }

    fn new(
        running: RunningService<RoleClient, Hear>,
        ear: Arc<Ear>,
        era: Era,
        capabilities: Value,
        child: Option<Child>,
        tasks: JoinSet<()>,
    ) -> Arc<Self> {
        let now = Instant::now();
        let line = Arc::new(Self {
            running,
            ear,
            era,
            since: now,
            capabilities,
            child,
            calls: AtomicU32::new(0),
            used: Mutex::new(now),
            wanted: AtomicBool::new(false),
            level: Mutex::default(),
            tasks: Mutex::new(tasks),
        });
        line.listen();
        line
    }

    /// Whether the server says it has this.
    pub(super) fn has(&self, capability: &str) -> bool {
        self.capabilities.get(capability).is_some_and(|it| !it.is_null())
    }

    /// Whether nothing can be said on it any more.
    pub(super) fn is_over(&self) -> bool {
        self.ear.why_over().is_some() || self.running.peer().is_transport_closed()
    }

    /// What it hears, which knows when it is over.
    pub(super) fn ear(&self) -> Arc<Ear> {
        Arc::clone(&self.ear)
    }

    /// Whether the host wanted it to end.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Counts a call for as long as the answer lives.
    pub(super) fn enter(self: &Arc<Self>) -> Use {
        self.calls.fetch_add(1, Ordering::SeqCst);
        *self.used() = Instant::now();
        Use(Arc::clone(self))
    }

    /// Since when nothing is done on it; none while something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.calls.load(Ordering::SeqCst) == 0).then(|| *self.used())
    }

    /// Whether it is a child's.
    pub(super) fn is_child(&self) -> bool {
        self.child.is_some()
    }

    fn used(&self) -> MutexGuard<'_, Instant> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and waits for what comes of it. Dropped in the middle, it takes the request back. The server may
    /// ask whoever can be asked `able`; in the newer era each request says so itself.
    ///
    /// # Errors
    /// See [`Fault`].
    pub(super) async fn exchange(
        &self,
        mut request: ClientRequest,
        able: Able,
        flight: Option<&Flight>,
    ) -> Result<Value, Fault> {
        let mut options = PeerRequestOptions::no_options();
        let mut meta = RequestMetaObject::new();
        if self.era == Era::Modern {
            meta.set_client_capabilities(capabilities(able));
            if let Some(sink) = flight.and_then(|flight| flight.context().channel.log.as_ref()) {
                meta.set_log_level(logging_level(sink.least));
            }
            options = options.with_meta(meta);
        }
        if let Some(flight) = flight {
            request.extensions_mut().insert(flight.clone());
            request.extensions_mut().insert(remote::For(Arc::clone(flight.context())));
            // Of what goes elsewhere than to a child nothing is known but that it went.
            flight.mark(!self.is_child());
        }
        let lost = || Fault::Over(self.ear.why_over().unwrap_or_else(|| "the connection was lost".to_owned()));
        let peer = self.running.peer();
        let mut sent = match peer.send_request_with_option(request, options).await {
            Ok(sent) => sent,
            Err(error) => return Err(self.fault(error)),
        };
        let mut recall = Recall { peer: peer.clone(), ear: &self.ear, id: Some(sent.id.clone()) };
        if let Some(flight) = flight.filter(|_| !self.is_child()) {
            self.ear.board(&sent.id, Some(sent.progress_token.clone()), flight);
        }
        let answer = tokio::select! {
            biased;
            answer = &mut sent.rx => answer.ok(),
            _ = self.ear.over() => sent.rx.try_recv().ok(),
        };
        recall.done();
        match answer {
            Some(Ok(ServerResult::CustomResult(result))) => Ok(result.0),
            Some(Ok(result)) => serde_json::to_value(result)
                .map_err(|error| Fault::Refused(ErrorData::internal_error(error.to_string(), None))),
            Some(Err(error)) => Err(self.fault(error)),
            None => {
                self.ear.end(|| "the connection was lost".to_owned());
                Err(lost())
            }
        }
    }

    fn fault(&self, error: ServiceError) -> Fault {
        if let ServiceError::McpError(error) = error {
            return Fault::Refused(error);
        }
        if let ServiceError::TransportSend(error) = &error {
            if let Some(failure) = failure_in(&*error.error) {
                return Fault::Failed(failure);
            }
            if !self.is_child() {
                // This request did not get there; the next one may.
                return Fault::Over(brief(&error.error.to_string(), 300));
            }
            self.ear.end(|| "it closed its standard input".to_owned());
        }
        self.ear.end(|| brief(&error.to_string(), 300));
        Fault::Over(self.ear.why_over().unwrap_or_default())
    }

    /// Asks the server to log what a caller wants to see, where that is said once for all.
    pub(super) async fn log_from(&self, least: Level) {
        let known = || self.level.lock().unwrap_or_else(PoisonError::into_inner);
        if self.era == Era::Modern || !self.has("logging") || known().is_some_and(|level| level >= least) {
            return;
        }
        *known() = Some(least);
        let request = SetLevelRequest::new(SetLevelRequestParams::new(logging_level(least)));
        // A server that does not do so logs as it pleases.
        let asked = self.exchange(ClientRequest::SetLevelRequest(request), Able::NOTHING, None);
        let _ = tokio::time::timeout(ASIDE, asked).await;
    }

    /// Follows the changes of a server that tells of them only where it is asked to: from 2026-07-28 on.
    fn listen(self: &Arc<Self>) {
        let tells = |kind: &str| self.capabilities[kind]["listChanged"] == true;
        let (tools, prompts, resources) = (tells("tools"), tells("prompts"), tells("resources"));
        if self.era == Era::Legacy || !(tools || prompts || resources) {
            return;
        }
        let mut filter = SubscriptionFilter::new();
        filter.tools_list_changed = tools.then_some(true);
        filter.prompts_list_changed = prompts.then_some(true);
        filter.resources_list_changed = resources.then_some(true);
        let line = Arc::downgrade(self);
        self.tasks().spawn(async move {
            loop {
                let params = SubscriptionsListenRequestParams::new(filter.clone());
                let request = ClientRequest::SubscriptionsListenRequest(SubscriptionsListenRequest::new(params));
                // It is not this that keeps the line.
                let Some(peer) = line.upgrade().filter(|line| !line.is_over()).map(|line| line.running.peer().clone())
                else {
                    return;
                };
                let sent = peer.send_request_with_option(request, PeerRequestOptions::no_options()).await;
                let Ok(sent) = sent else { return };
                if let Ok(Err(ServiceError::McpError(_))) = sent.rx.await {
                    return;
                }
                tokio::time::sleep(LISTEN_AGAIN).await;
            }
        });
    }

    /// Finds out whether a server that let a call's time pass is there at all, and ends it if not.
    pub(super) fn examine(self: &Arc<Self>) {
        if self.is_over() || !self.is_child() {
            return;
        }
        let line = Arc::clone(self);
        tokio::spawn(async move {
            let request = match line.era {
                Era::Legacy => ClientRequest::PingRequest(PingRequest {
                    method: Default::default(),
                    extensions: Default::default(),
                }),
                Era::Modern => ClientRequest::DiscoverRequest(DiscoverRequest::new(DiscoverRequestParams {})),
            };
            let asked = line.exchange(request, Able::NOTHING, None);
            if tokio::time::timeout(SIGN_OF_LIFE, asked).await.is_err() {
                line.ear.end(|| format!("it did not answer for {SIGN_OF_LIFE:?}"));
            }
        });
    }

    /// Ends it: what it is connected to has a moment to end by itself.
    pub(super) async fn close(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        if let Some(Child { outlet, ended, .. }) = &self.child {
            // A child that does not read has no goodbye.
            if let Ok(mut outlet) = tokio::time::timeout(ASIDE / 5, outlet.lock()).await {
                *outlet = None;
            }
            let mut ended = ended.clone();
            let _ = tokio::time::timeout(FAREWELL, ended.wait_for(Option::is_some)).await;
        }
        self.kill();
    }

    /// Ends it at once.
    pub(super) fn kill(&self) {
        self.ear.end(|| "it was stopped".to_owned());
        self.running.cancellation_token().cancel();
        if let Some(child) = &self.child {
            let leash = child.leash.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(leash);
        }
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A call on a line.
pub(super) struct Use(pub(super) Arc<Line>);

impl Drop for Use {
    fn drop(&mut self) {
        *self.0.used() = Instant::now();
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Takes a request back that nobody waits for any more, and forgets whose it was.
struct Recall<'l> {
    peer: Peer<RoleClient>,
    ear: &'l Ear,
    id: Option<RequestId>,
}

impl Recall<'_> {
    fn done(&mut self) {
        if let Some(id) = self.id.take() {
            self.ear.leave(&id);
        }
    }
}

impl Drop for Recall<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        self.ear.leave(&id);
        let (peer, Ok(runtime)) = (self.peer.clone(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(async move {
            let params = CancelledNotificationParam::new(Some(id), Some("nobody waits for it any more".to_owned()));
            let notification = ClientNotification::CancelledNotification(CancelledNotification::new(params));
            // A server that does not read does not need to know.
            let _ = tokio::time::timeout(ASIDE, peer.send_notification(notification)).await;
        });
    }
}

/// The host's own reason among those of a transport's error.
fn failure_in(error: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(failure) = error.downcast_ref::<Failure>().cloned().or_else(|| remote::failure_in(error)) {
            return Some(failure);
        }
        next = error.source();
    }
    None
}

fn logging_level(level: Level) -> LoggingLevel {
    match level {
        Level::ERROR => LoggingLevel::Error,
        Level::WARN => LoggingLevel::Warning,
        Level::INFO => LoggingLevel::Info,
        Level::DEBUG | Level::TRACE => LoggingLevel::Debug,
    }
}

/// How a connection is spoken on.
struct Agreed {
    version: ProtocolVersion,
    era: Era,
    capabilities: Value,
}

/// Finds out what a child speaks: 2026-07-28 if it says so, else what it answers to `initialize`.
async fn agree(wire: &mut Wire, ear: &Ear, known: Option<Era>) -> Result<Agreed, NoLine> {
    if known != Some(Era::Legacy) {
        tell(wire, ear, JsonRpcMessage::request(discover(), RequestId::Number(DISCOVER))).await?;
        match tokio::time::timeout(PROBE, answer(wire, ear)).await {
            Ok(Ok((_, Ok(found)))) => {
                if let Some(agreed) = discovered(&found)? {
                    return Ok(agreed);
                }
            }
            Ok(Ok((_, Err(error)))) if error.code == ErrorCode::UNSUPPORTED_PROTOCOL_VERSION => {
                shared(&error.data.unwrap_or_default()["supported"])?;
            }
            // It does not know the question, or does not say.
            Ok(Ok((_, Err(_)))) | Err(_) => {}
            Ok(Err(fault)) => return Err(fault),
        }
    }
    let request = ClientRequest::InitializeRequest(InitializeRequest::new(declared()));
    tell(wire, ear, JsonRpcMessage::request(request, RequestId::Number(INITIALIZE))).await?;
    let mut late = None;
    loop {
        match answer(wire, ear).await? {
            (DISCOVER, Ok(found)) => late = discovered(&found)?,
            (DISCOVER, Err(_)) => {}
            (_, Ok(found)) => {
                let initialized =
                    InitializedNotification { method: Default::default(), extensions: Default::default() };
                let initialized = ClientNotification::InitializedNotification(initialized);
                let agreed = initialized_by(&found)?;
                tell(wire, ear, JsonRpcMessage::notification(initialized)).await?;
                return Ok(agreed);
            }
            (_, Err(error)) => {
                let why = || NoLine::Unfit(format!("it refused to begin: {}", brief(&error.message, 300)));
                return late.ok_or_else(why);
            }
        }
    }
}

fn discover() -> ClientRequest {
    let mut discover = DiscoverRequest::new(DiscoverRequestParams {});
    let (version, nothing) = (ProtocolVersion::V_2026_07_28, ClientCapabilities::default());
    discover.extensions.insert(RequestMetaObject::with_client_context(version, us(), nothing));
    ClientRequest::DiscoverRequest(discover)
}

/// What a server that answers `server/discover` speaks; none if only what began with `initialize`.
fn discovered(found: &Value) -> Result<Option<Agreed>, NoLine> {
    let version = shared(&found["supportedVersions"])?;
    let capabilities = found["capabilities"].clone();
    Ok((!version.has_initialize()).then_some(Agreed { version, era: Era::Modern, capabilities }))
}

fn initialized_by(found: &Value) -> Result<Agreed, NoLine> {
    let said = found["protocolVersion"].as_str().unwrap_or_default();
    let known = |version: &&ProtocolVersion| version.as_str() == said && version.has_initialize();
    let version = ProtocolVersion::KNOWN_VERSIONS.iter().find(known).cloned();
    let version = version.ok_or_else(|| {
        NoLine::Unfit(format!("it speaks version `{}` of MCP, which this host does not", brief(said, 40)))
    })?;
    Ok(Agreed { version, era: Era::Legacy, capabilities: found["capabilities"].clone() })
}

/// The newest version among those a server names that this host speaks too.
fn shared(supported: &Value) -> Result<ProtocolVersion, NoLine> {
    let theirs: Vec<&str> = supported.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let both = ProtocolVersion::KNOWN_VERSIONS.iter().rev().find(|version| theirs.contains(&version.as_str()));
    both.cloned().ok_or_else(|| {
        let theirs = brief(&theirs.join(", "), 200);
        NoLine::Unfit(format!("it speaks versions of MCP that this host does not: {theirs}"))
    })
}

async fn tell(wire: &mut Wire, ear: &Ear, message: ClientJsonRpcMessage) -> Result<(), NoLine> {
    let sending = wire.send(message);
    // A child that is gone breaks the pipe; how it went is known when its output ends.
    if sending.await.is_err() {
        while wire.receive().await.is_some() {}
        return Err(NoLine::Ended(ear.why_over().unwrap_or_default()));
    }
    Ok(())
}

/// The next answer to a request of the beginning, and to which.
async fn answer(wire: &mut Wire, ear: &Ear) -> Result<(i64, Result<Value, ErrorData>), NoLine> {
    let of = |id: &RequestId| match id {
        RequestId::Number(number) => Some(*number),
        RequestId::String(text) => text.parse().ok(),
    };
    let ours = |id: i64| matches!(id, DISCOVER | INITIALIZE);
    loop {
        let Some(message): Option<ServerJsonRpcMessage> = wire.receive().await else {
            return Err(NoLine::Ended(ear.why_over().unwrap_or_default()));
        };
        match message {
            JsonRpcMessage::Response(response) => {
                let Some(id) = of(&response.id).filter(|id| ours(*id)) else { continue };
                let ServerResult::CustomResult(result) = response.result else { continue };
                return Ok((id, Ok(result.0)));
            }
            JsonRpcMessage::Error(error) => match error.id.as_ref().map(of) {
                // It could not even read which request it was.
                None => return Ok((DISCOVER, Err(error.error))),
                Some(Some(id)) if ours(id) => return Ok((id, Err(error.error))),
                Some(_) => {}
            },
            JsonRpcMessage::Request(request) => {
                let reply = if let ServerRequest::PingRequest(_) = request.request {
                    JsonRpcMessage::response(ClientResult::empty(()), request.id)
                } else {
                    let early = ErrorData::invalid_request("nothing can be asked before the beginning", None);
                    JsonRpcMessage::error(early, Some(request.id))
                };
                tell(wire, ear, reply).await?;
            }
            JsonRpcMessage::Notification(_) => {}
        }
    }
}
