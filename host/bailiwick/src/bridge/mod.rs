//! Other people's MCP servers as plugins. A [`Server`] is one of them: it comes up when something needs it, is asked for what
//! it gives, gets calls that the gate let through, and ends when nothing was asked of it for a while. What it asks goes to
//! whoever made the call; the host answers none of it.
//!
//! How a server is started or reached is not said here: a [`Launcher`] gives the streams of a child, a [`Dialer`] a
//! connection. One connection does for callers of both eras of the protocol, because questions are translated: a request of
//! an older server and an answer of a newer one that asks are the same question to a caller.

mod health;
mod hear;
mod line;
mod lists;
mod names;
mod over;
mod questions;
mod stderr;
mod talk;
mod translate;
mod wire;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use rmcp::RoleClient;
use rmcp::service::RunningService;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use bailiwick_core::config::Lifetime;
use bailiwick_core::context::Wanted;
use bailiwick_core::name::PluginName;
use bailiwick_core::outcome::{Code, Failure, Output};
use bailiwick_core::policy::Permitted;
use bailiwick_core::registry::Definition;

use crate::context::CallContext;
use crate::keeper::Ended;
use crate::runtime::{self, Described};

pub use health::Patience;
pub use hear::Hear;
pub use names::Names;

use health::{Admission, Health};
use hear::{Changes, Ear};
use line::{Fault, Line, NoLine, Use};
use stderr::Ring;
use talk::{Told, Work, talk};

/// Sessions that have a server of their own at once.
const MAX_SESSIONS: usize = 16;
/// Lines of what a server wrote that stand in a failure.
const LAST_LINES: usize = 5;

/// What an operator wrote down about one server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose server it is.
    pub plugin: PluginName,
    /// Where that is written, for messages.
    pub at: String,
    /// How long it runs on without a call.
    pub idle: Duration,
    /// Who shares it.
    pub lifetime: Lifetime,
    /// How long it may take to come up and say what it gives.
    pub start_time: Duration,
    /// How patient the host is when it fails.
    pub patience: Patience,
}

impl Settings {
    /// How long a server may take to come up where nothing else is written.
    pub const START_TIME: Duration = Duration::from_secs(30);
}

/// An era of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Until 2025-11-25: a connection begins with `initialize`.
    Legacy,
    /// From 2026-07-28 on: each request says everything about itself.
    Modern,
}

/// How to get at a server.
pub enum Way {
    /// It is a child of this host's keeper.
    Child(Arc<dyn Launcher>),
    /// It is somewhere else.
    Url(Arc<dyn Dialer>),
}

/// Starts a child.
pub trait Launcher: Send + Sync {
    /// Starts it once more.
    ///
    /// # Errors
    /// Why it could not be started, in a sentence that goes on after "it could not be started: ".
    fn launch(&self) -> BoxFuture<'_, Result<Streams, String>>;
}

/// Connects to a server that runs elsewhere.
pub trait Dialer: Send + Sync {
    /// Agrees with the server on how to speak and serves the connection with `hear`. `known` is the era it was found to
    /// speak before; none means that both are tried, the newer first.
    ///
    /// # Errors
    /// Why there is no connection.
    fn connect(
        &self,
        hear: Hear,
        known: Option<Era>,
    ) -> BoxFuture<'_, Result<RunningService<RoleClient, Hear>, Failure>>;
}

/// The streams of a child that runs.
pub struct Streams {
    /// What it reads.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it writes: the protocol.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// What it writes beside the protocol.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// How it ended, once it did.
    pub ended: watch::Receiver<Option<Ended>>,
    /// Dropped, it kills the child and everything the child started.
    pub leash: Box<dyn Any + Send>,
}

/// How a server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It does not run; the next call starts it.
    Idle,
    /// It runs.
    Running {
        /// How often at once.
        count: usize,
        /// What it speaks.
        era: Era,
        /// For how long the oldest one has run.
        up: Duration,
    },
    /// It failed, and is tried again after this time.
    BackingOff {
        /// When.
        again_in: Duration,
        /// What happened.
        why: String,
    },
    /// It failed too often: calls are refused for this time, then it is tried once.
    Broken {
        /// When.
        again_in: Duration,
        /// What happened last.
        why: String,
    },
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("it does not run; the next call starts it"),
            Self::Running { count, era, up } => {
                let era = match era {
                    Era::Legacy => "an older version of the protocol",
                    Era::Modern => "the newest version of the protocol",
                };
                let n_runs = if *count == 1 { String::new() } else { format!(" {count} times") };
                write!(f, "it runs{n_runs} for {} s and speaks {era}", up.as_secs())
            }
            Self::BackingOff { again_in, why } => write!(f, "it is tried again in {} ms: {why}", again_in.as_millis()),
            Self::Broken { again_in, why } => {
                write!(f, "it failed too often and is left alone for {} s: {why}", again_in.as_secs())
            }
        }
    }
}

type Coming = Shared<BoxFuture<'static, Result<Arc<Line>, Failure>>>;

/// An MCP server that is a plugin.
pub struct Server {
    me: Weak<Self>,
    settings: Settings,
    way: Way,
    health: Health,
    ring: Arc<Ring>,
    changes: Arc<Changes>,
    /// By whom they are for.
    lines: Mutex<HashMap<String, Coming>>,
    known: Mutex<Known>,
}

/// What is known of a server from earlier.
#[derive(Debug, Default)]
struct Known {
    era: Option<Era>,
    /// None until it was listed once, or remembered.
    names: Option<Arc<Names>>,
    /// Of what it gave when it was last listed, or is expected to give.
    digest: Option<[u8; 32]>,
    /// Its tools when it was last listed.
    tools: Option<HashMap<String, Definition>>,
    /// What it gave when it came up, until somebody asks, and how many changes had been told by then.
    fresh: Option<(u64, Described)>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Server {
    /// A server that does not run yet.
    #[must_use]
    pub fn new(settings: Settings, way: Way) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            health: Health::new(settings.patience),
            settings,
            way,
            ring: Arc::default(),
            changes: Changes::new(),
            lines: Mutex::default(),
            known: Mutex::default(),
        })
    }

    /// What it gives: its tools, prompts, resources and templates, under names that are legal here. Starts it if it does
    /// not run. What could not be offered to anybody is left out, and the log says so.
    ///
    /// # Errors
    /// `server.unreachable` when it does not come up or does not answer within its time; `plugin.invalid` when what it
    /// answers has no end or no sense.
    pub async fn described(&self) -> Result<Described, Failure> {
        let time = self.settings.start_time;
        let described = async {
            let on = self.line("").await?;
            let fresh = self.known().fresh.take();
            match fresh {
                Some((n_changes, described)) if n_changes == *self.changes.watch().borrow() => Ok(described),
                Some(_) | None => self.list(&on.0).await,
            }
        };
        let late = || self.unreachable(&format!("it did not say within {time:?} what it gives"));
        tokio::time::timeout(time, described).await.unwrap_or_else(|_| Err(late()))
    }

    /// Runs a tool, or asks for a prompt, a resource or values. The proof that policy let it through is the argument.
    ///
    /// # Errors
    /// Why there is no result: what the server says, `server.unreachable`, `server.ended`, `limit.time`.
    pub async fn call(&self, permitted: &Permitted, context: &Arc<CallContext>) -> Result<Output, Failure> {
        let mut on = None;
        let told = tokio::select! {
            biased;
            told = self.run(permitted, context, &mut on) => Some(told),
            () = context.deadline.passed() => None,
        };
        if let (Lifetime::Call, Some(line)) = (self.settings.lifetime, on.clone()) {
            // It may have something to put away; nobody waits for that.
            tokio::spawn(async move { line.close().await });
        }
        match (told, on) {
            (Some(told), _) => told,
            (None, Some(line)) => {
                line.examine();
                Err(runtime::timed_out(context))
            }
            (None, None) => Err(self.unreachable("it did not come up within the time of the call")),
        }
    }

    /// Changes whenever what it gives may have changed: it said so, or gave something else after a restart. Not more than
    /// once in a second.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.watch()
    }

    /// How it does.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let now = Instant::now();
        let running = self.running();
        if let Some(oldest) = running.iter().min_by_key(|line| line.since) {
            return Condition::Running { count: running.len(), era: oldest.era, up: now - oldest.since };
        }
        match self.health.look(now) {
            Admission::Now => Condition::Idle,
            Admission::Later { until, why } => Condition::BackingOff { again_in: until - now, why },
            Admission::Not { until, why } => Condition::Broken { again_in: until - now, why },
        }
    }

    /// The last lines it wrote beside the protocol, the oldest first. They are not redacted.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        self.ring.lines()
    }

    /// What it calls its tools and prompts itself, where that is not what they are called here; none before it was listed.
    #[must_use]
    pub fn names(&self) -> Option<Arc<Names>> {
        self.known().names.clone()
    }

    /// Remembers what it gave in an earlier run: where it gives something else when it comes up, that is told.
    pub fn expect(&self, described: &Described) {
        self.known().digest.get_or_insert_with(|| digest(described));
    }

    /// Remembers its own names from an earlier run, so that a call need not list them first.
    pub fn remember(&self, names: Names) {
        self.known().names = Some(Arc::new(names));
    }

    /// Ends whatever runs of it, with a moment to end by itself. A call that comes later starts it again.
    pub async fn stop(&self) {
        let running = self.running();
        self.lines().clear();
        futures::future::join_all(running.iter().map(|line| line.close())).await;
    }

    fn running(&self) -> Vec<Arc<Line>> {
        let lines = self.lines();
        let up = lines.values().filter_map(|coming| coming.peek()?.as_ref().ok());
        up.filter(|line| !line.is_over()).cloned().collect()
    }

    async fn run(
        &self,
        permitted: &Permitted,
        context: &Arc<CallContext>,
        on: &mut Option<Arc<Line>>,
    ) -> Result<Output, Failure> {
        let call = permitted.call();
        let key = match (self.settings.lifetime, &call.session) {
            (Lifetime::Pooled | Lifetime::Call, _) => String::new(),
            (Lifetime::Session, Some(session)) => format!("session {session} of {}", call.caller.name),
            (Lifetime::Session, None) => format!("caller {}", call.caller.name),
        };
        let mut again = false;
        loop {
            let using = self.line(&key).await?;
            *on = Some(Arc::clone(&using.0));
            self.unchanged(permitted)?;
            let names = self.names_by(&using.0).await;
            let told = talk(&using.0, &Work::of(permitted, &names), context).await;
            match told {
                Told::Said(result) => {
                    self.health.well();
                    return result;
                }
                Told::Failed(failure) => return Err(failure),
                // It has not begun: this cannot do anything twice.
                Told::Unsent(_) if !again => again = true,
                Told::Unsent(why) => return Err(self.unreachable(&why)),
                Told::Over(why) => return Err(self.ended(&why)),
            }
        }
    }

    /// The server's own names; it is asked for them if nobody knows.
    async fn names_by(&self, line: &Line) -> Arc<Names> {
        if let Some(names) = self.names() {
            return names;
        }
        // What cannot be listed cannot be renamed either.
        let _ = self.list(line).await;
        self.names().unwrap_or_default()
    }

    async fn list(&self, line: &Line) -> Result<Described, Failure> {
        let plugin = &self.settings.plugin;
        let lists = lists::all(line).await.map_err(|fault| match fault {
            Fault::Refused(error) => {
                let why = bailiwick_core::redact::brief(&error.message, 300);
                Failure::new(
                    Code::PluginInvalid,
                    format!("the MCP server of `{plugin}` does not say what it gives: {why}"),
                )
            }
            Fault::Over(why) => self.unreachable(&why),
            Fault::Failed(failure) => failure,
        })?;
        self.health.well();
        let mut names = Names::default();
        let tools = translate::tools(&lists.tools, &mut names);
        let (context, left_out) = translate::catalogue(&lists.prompts, &lists.resources, &lists.templates, &mut names);
        for reason in left_out {
            tracing::warn!(%plugin, "something its MCP server gives is left out: {reason}");
        }
        let described = Described { tools, context };
        let mut known = self.known();
        known.names = Some(Arc::new(names));
        known.digest = Some(digest(&described));
        let by_name = |tool: &Definition| (tool.name.clone(), tool.clone());
        known.tools = Some(described.tools.iter().map(by_name).collect());
        Ok(described)
    }

    /// A line for whoever `key` names, in use from here on. Whoever asks at once waits for the same one.
    async fn line(&self, key: &str) -> Result<Use, Failure> {
        if self.settings.lifetime == Lifetime::Call {
            let me = self.me.upgrade().ok_or_else(gone)?;
            return me.bring_up().await.map(|line| line.enter());
        }
        loop {
            let coming = {
                let mut lines = self.lines();
                let there = match lines.get(key).map(|coming| (coming.peek(), coming)) {
                    Some((Some(Ok(line)), _)) if !line.is_over() => return Ok(line.enter()),
                    Some((None, coming)) => Some(coming.clone()),
                    Some((Some(Ok(_) | Err(_)), _)) | None => None,
                };
                match there {
                    Some(coming) => coming,
                    None => {
                        self.make_room(&mut lines, key)?;
                        let coming = self.coming(key);
                        lines.insert(key.to_owned(), coming.clone());
                        coming
                    }
                }
            };
            coming.await?;
        }
    }

    /// Sees to it that one session more does not make too many.
    fn make_room(&self, lines: &mut HashMap<String, Coming>, key: &str) -> Result<(), Failure> {
        lines.retain(|known, coming| {
            known != key && coming.peek().is_none_or(|line| line.as_ref().is_ok_and(|line| !line.is_over()))
        });
        if lines.len() < MAX_SESSIONS {
            return Ok(());
        }
        let idle = |coming: &Coming| coming.peek()?.as_ref().ok()?.idle_since();
        let oldest = lines.iter().filter_map(|(key, coming)| Some((idle(coming)?, key.clone()))).min();
        let Some((_, oldest)) = oldest else {
            let plugin = &self.settings.plugin;
            let message =
                format!("{MAX_SESSIONS} sessions have a server of `{plugin}` of their own already, all of them busy");
            return Err(Failure::new(Code::LimitConcurrency, message).with_fix("try again in a moment"));
        };
        if let Some(Ok(line)) = lines.remove(&oldest).as_ref().and_then(|coming| coming.peek()) {
            let line = Arc::clone(line);
            tokio::spawn(async move { line.close().await });
        }
        Ok(())
    }

    /// Brings a line up on its own: whoever waits for it may give up, the others go on waiting.
    fn coming(&self, key: &str) -> Coming {
        let (me, key) = (Weak::clone(&self.me), key.to_owned());
        let task = tokio::spawn(async move {
            let server = me.upgrade().ok_or_else(gone)?;
            let line = Arc::clone(&server).bring_up().await?;
            server.end_when_idle(key, &line);
            Ok(line)
        });
        let crashed =
            |_| Err(Failure::new(Code::Internal, "the host crashed while a server came up; its log says more"));
        task.map(move |line| line.unwrap_or_else(crashed)).boxed().shared()
    }

    /// Starts it as soon as it may be started.
    async fn bring_up(self: Arc<Self>) -> Result<Arc<Line>, Failure> {
        loop {
            match self.health.admit(Instant::now()) {
                Admission::Now => break,
                Admission::Later { until, .. } => tokio::time::sleep_until(until).await,
                Admission::Not { until, why } => {
                    let wait = until.duration_since(Instant::now()).as_secs().max(1);
                    let failure = self.unreachable(&format!("it failed too often, last because {why}"));
                    let fix = format!(
                        "it is tried again in {wait} s{}",
                        failure.fix.map(|fix| format!("; {fix}")).unwrap_or_default()
                    );
                    return Err(Failure { fix: Some(fix), ..failure });
                }
            }
        }
        let time = self.settings.start_time;
        let started = tokio::time::timeout(time, self.start()).await;
        let started = started.unwrap_or_else(|_| Err(Trouble::Said(format!("it did not come up within {time:?}"))));
        match started {
            Ok(line) => {
                self.health.up();
                self.known().era = Some(line.era);
                self.watch_over(&line);
                self.take_stock(&line).await?;
                Ok(line)
            }
            Err(trouble) => {
                self.known().era = None;
                let (failure, why) = match trouble {
                    Trouble::Said(why) => (self.unreachable(&why), why),
                    Trouble::Failed(failure) => (failure.clone(), failure.message),
                };
                tracing::warn!(plugin = %self.settings.plugin, "its MCP server is not there: {why}");
                self.health.fail(Instant::now(), &why);
                Err(failure)
            }
        }
    }

    async fn start(&self) -> Result<Arc<Line>, Trouble> {
        let known = self.known().era;
        let launcher = match &self.way {
            Way::Child(launcher) => launcher,
            Way::Url(dialer) => {
                let hear = || Hear(Ear::new(&self.changes, &self.ring));
                let connected = match dialer.connect(hear(), known).await {
                    // Some answer what they do not know with something else than an error: this time it is not asked.
                    Err(failure) if failure.code == Code::UpstreamProtocol && known.is_none() => {
                        dialer.connect(hear(), Some(Era::Legacy)).await
                    }
                    connected => connected,
                };
                return connected.map(Line::with_site).map_err(Trouble::Failed);
            }
        };
        match self.child(&**launcher, known).await {
            // Some end when they are asked what they do not know: this time it is not asked.
            Err(NoLine::Ended(_)) if known != Some(Era::Legacy) => {
                let again = self.child(&**launcher, Some(Era::Legacy)).await;
                again.map_err(|no| Trouble::Said(no.why()))
            }
            line => line.map_err(|no| Trouble::Said(no.why())),
        }
    }

    async fn child(&self, launcher: &dyn Launcher, known: Option<Era>) -> Result<Arc<Line>, NoLine> {
        let streams = launcher.launch().await;
        let streams = streams.map_err(|why| NoLine::Unfit(format!("it could not be started: {why}")))?;
        Line::with_child(streams, &self.changes, &self.ring, known).await
    }

    /// Notes when a line ends that nobody ended, and takes down what is left of it.
    fn watch_over(&self, line: &Arc<Line>) {
        let (me, line, ear) = (Weak::clone(&self.me), Arc::downgrade(line), line.ear());
        tokio::spawn(async move {
            let why = ear.over().await;
            let Some(line) = line.upgrade().filter(|line| !line.is_wanted()) else { return };
            line.kill();
            if let Some(server) = me.upgrade() {
                tracing::warn!(plugin = %server.settings.plugin, "its MCP server is gone: {why}");
                server.health.fail(Instant::now(), &why);
            }
        });
    }

    /// Ends a line that nothing was done on for a while.
    fn end_when_idle(&self, key: String, line: &Arc<Line>) {
        let (me, line, idle) = (Weak::clone(&self.me), Arc::downgrade(line), self.settings.idle);
        tokio::spawn(async move {
            loop {
                let (Some(server), Some(line)) = (me.upgrade(), line.upgrade()) else { return };
                if line.is_over() {
                    return;
                }
                let next = {
                    let mut lines = server.lines();
                    let next = line.idle_since().unwrap_or_else(Instant::now) + idle;
                    let due = next <= Instant::now() && line.idle_since().is_some();
                    let is_this =
                        |coming: &Coming| matches!(coming.peek(), Some(Ok(other)) if Arc::ptr_eq(other, &line));
                    if due && lines.get(&key).is_some_and(is_this) {
                        lines.remove(&key);
                    }
                    (!due).then_some(next)
                };
                drop(server);
                match next {
                    None => return line.close().await,
                    Some(next) => {
                        drop(line);
                        tokio::time::sleep_until(next.max(Instant::now() + Duration::from_millis(10))).await;
                    }
                }
            }
        });
    }

    /// Asks a server that just came up what it gives: no call is made before that is known. Where it is something else than
    /// it was, that is told.
    async fn take_stock(&self, line: &Line) -> Result<(), Failure> {
        let before = self.known().digest;
        let described = match tokio::time::timeout(self.settings.start_time, self.list(line)).await {
            Ok(described) => described?,
            Err(_) => return Err(self.unreachable("it did not say in time what it gives")),
        };
        if before.is_some() && before != self.known().digest {
            self.changes.tell();
        }
        let n_changes = *self.changes.watch().borrow();
        self.known().fresh = Some((n_changes, described));
        Ok(())
    }

    /// Refuses a call of a tool that the server defines otherwise than the caller was told.
    fn unchanged(&self, permitted: &Permitted) -> Result<(), Failure> {
        if *permitted.wanted() != Wanted::Tool {
            return Ok(());
        }
        let told = &permitted.tool().definition;
        let known = self.known();
        let Some(now) = known.tools.as_ref().and_then(|tools| tools.get(&told.name)) else { return Ok(()) };
        if now == told {
            return Ok(());
        }
        let plugin = &self.settings.plugin;
        let message = format!("plugin `{plugin}`: its server defines the tool `{}` otherwise than it did", told.name);
        let fix = format!("`bailiwick lock` shows the difference, `bailiwick lock --accept {plugin}` accepts it");
        Err(Failure::new(Code::DeniedQuarantined, message).with_fix(fix))
    }

    fn unreachable(&self, why: &str) -> Failure {
        let Settings { plugin, at, .. } = &self.settings;
        let message = format!("the MCP server of `{plugin}` is not there: {why}");
        let fix = match self.ring.last(LAST_LINES) {
            Some(last) => format!("it last wrote: {last}"),
            None => format!("see `mcp` under `[plugins.{plugin}]` ({at})"),
        };
        Failure::new(Code::ServerUnreachable, message).with_fix(fix)
    }

    fn ended(&self, why: &str) -> Failure {
        let plugin = &self.settings.plugin;
        let message = format!("the MCP server of `{plugin}` was lost in the middle of the call: {why}");
        let last = self.ring.last(LAST_LINES).map(|last| format!("; it last wrote: {last}")).unwrap_or_default();
        let fix = format!("what it did until then is done: call again only if that does no harm{last}");
        Failure::new(Code::ServerEnded, message).with_fix(fix)
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, Coming>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a server did not come up.
enum Trouble {
    Said(String),
    Failed(Failure),
}

fn gone() -> Failure {
    Failure::new(Code::Cancelled, "the plugin was unloaded")
}

/// Of all that a server gives.
fn digest(described: &Described) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for definition in described.definitions() {
        hasher.update(format!("{definition:?}"));
    }
    hasher.finalize().into()
}
