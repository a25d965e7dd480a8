//! The spine: [`Host::call`] is the only way to run a tool, and reads top to bottom. [`Host::list`] says which tools
//! there are, [`Host::watch`] when they changed. Every front end uses these three and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{AcquireError, Mutex, Semaphore, SemaphorePermit, watch};

use bailiwick_core::aggregate;
use bailiwick_core::call::{Call, CallId, Caller};
use bailiwick_core::code::Interpreter;
use bailiwick_core::config::{self, Config};
use bailiwick_core::context::Wanted;
use bailiwick_core::name::{PluginName, ToolName};
use bailiwick_core::outcome::{Code, Failure, Outcome, Output};
use bailiwick_core::policy::{Permitted, Verdict, permit_wanted};
use bailiwick_core::registry::{Registry, Tool};
use bailiwick_core::schema;

use crate::approval::{Desk, Settled};
use crate::artifact::Artifacts;
use crate::audit::Audit;
use crate::channel::Channel;
use crate::code::{Interpreters, Program};
use crate::confine::Wall;
use crate::context::{CallContext, Ledger};
use crate::deadline::Deadline;
use crate::egress::Egress;
use crate::fleet::Fleet;
use crate::inner::{Door, Outer};
use crate::keys::Keys;
use crate::load::{self, Backend, Loader, Plugin, Problem, Setup, StartError};
use crate::manage;
use crate::meters::Meters;
use crate::observe::Observer;
use crate::record::Recorder;
use crate::registrations::{Change, Listed, Registrations, with_registrations};
use crate::runtime::{self, Runtime};
use crate::seal::seal;
use crate::search::{self, Answer, Meant, Menu};
use crate::service::Services;
use crate::store::{Store, StoreError};
use crate::telemetry::{Counted, Telemetry};

/// A running host.
pub struct Host {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) artifacts: Arc<Artifacts>,
    pub(crate) store: Arc<Store>,
    pub(crate) registrations: Arc<Registrations>,
    /// What of them is loaded.
    pub(crate) registered: ArcSwap<Registered>,
    keys: Arc<Keys>,
    desk: Arc<Desk>,
    meters: Arc<Meters>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) observer: Option<Arc<Observer>>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) wall: Option<Arc<Wall>>,
    fleet: Arc<Fleet>,
    pub(crate) services: Arc<Services>,
    pub(crate) interpreters: Arc<Interpreters>,
    /// What it runs with.
    pub(crate) config: ArcSwap<Config>,
    /// Held while plugins are loaded: what was configured last is what is there last.
    loading: Mutex<()>,
    /// Held while a tool is made, so that no two get one name.
    pub(crate) managing: Mutex<()>,
    snapshot: ArcSwap<Snapshot>,
    slots: Semaphore,
    /// Held beside by calls that may call tools: the other half of the slots is for what they call.
    maker_slots: Semaphore,
    waiting: AtomicU32,
    queue: u32,
    /// More tools than this are searched and not listed; 0 for never.
    search_above: u32,
    calls: AtomicU64,
    /// Makes call ids of different processes differ.
    run: String,
    changed: watch::Sender<u64>,
}

/// Everything that a reload replaces, at one moment.
pub struct Snapshot {
    /// The tools.
    pub registry: Registry,
    /// The plugins behind them, by [`Tool::plugin_index`].
    pub plugins: Vec<Plugin>,
    /// What could not be loaded, and why.
    pub problems: Vec<Problem>,
    /// The tools by their words, once somebody searches.
    pub(crate) index: search::Lazy,
}

impl Host {
    /// Starts a host: opens its state, loads every plugin. A plugin that cannot be loaded is left out and reported in
    /// [`Host::snapshot`]; the rest run.
    ///
    /// # Errors
    /// When the state folder, the audit file or the engine cannot be set up.
    pub async fn start(config: &Config, setup: Setup) -> Result<Self, StartError> {
        let (environment, only) = (setup.environment.clone(), setup.only.clone());
        let parts = load::parts(config, setup)?;
        let telemetry =
            Telemetry::start(&config.telemetry, &parts.egress, &parts.runtime.tally).map_err(StartError::Telemetry)?;
        let registered = Registered::read(&parts.registrations)?;
        let mut merged = with_registrations(config, &registered.listed);
        only.iter().for_each(|only| merged.keep_only(only));
        let snapshot = parts.loader(&merged.vault).merged(&merged).await;
        let store = parts.store;
        let keys = Arc::new(Keys::new(Arc::clone(&store), Arc::clone(&parts.egress), config, environment)?);
        telemetry.loaded(&snapshot);
        let mut run = [0; 4];
        getrandom::fill(&mut run).map_err(|error| StartError::Random(error.to_string()))?;
        Ok(Self {
            runtime: parts.runtime,
            egress: parts.egress,
            artifacts: parts.artifacts,
            meters: Meters::new(Arc::clone(&store)),
            store,
            registrations: parts.registrations,
            registered: ArcSwap::from_pointee(registered),
            keys,
            desk: parts.desk,
            audit: Arc::new(parts.audit),
            observer: parts.observer.map(Arc::new),
            telemetry: Arc::new(telemetry),
            wall: parts.wall,
            fleet: parts.fleet,
            services: parts.services,
            interpreters: parts.interpreters,
            config: ArcSwap::from_pointee(config.clone()),
            loading: Mutex::default(),
            managing: Mutex::default(),
            snapshot: ArcSwap::from_pointee(snapshot),
            slots: Semaphore::new(config.host.calls as usize),
            maker_slots: Semaphore::new((config.host.calls as usize / 2).max(1)),
            waiting: AtomicU32::new(0),
            queue: config.host.queue,
            search_above: config.gateway.search_above,
            calls: AtomicU64::new(0),
            run: hex::encode(run),
            changed: watch::Sender::new(0),
        })
    }

    /// Replaces all plugins, keys and policies by what `config` says. Calls under way end with the rights they started with;
    /// those of a key that is gone are for whoever serves them to end.
    ///
    /// `[host]` and `[audit]` are read at the start only. Where the process is confined, a plugin that needs more than it
    /// was confined to is left out.
    pub async fn reload(&self, config: &Config) {
        self.config.store(Arc::new(config.clone()));
        self.keys.reload(config);
        self.desk.reload(&config.approval);
        self.refresh().await;
    }

    /// Loads all plugins once more, as they are configured and registered. Who registers something calls this.
    pub async fn refresh(&self) {
        let _turn = self.loading.lock().await;
        let registrations = Arc::clone(&self.registrations);
        match tokio::task::spawn_blocking(move || Registered::read(&registrations)).await {
            Ok(Ok(registered)) => self.registered.store(Arc::new(registered)),
            Ok(Err(error)) => tracing::error!(%error, "what is registered cannot be read, and stays as it was"),
            Err(error) => tracing::error!(%error, "what is registered cannot be read, and stays as it was"),
        }
        let merged = with_registrations(&self.config.load(), &self.registered.load().listed);
        let loader = Loader {
            runtime: &self.runtime,
            egress: &self.egress,
            artifacts: &self.artifacts,
            wall: self.wall.as_ref(),
            fleet: &self.fleet,
            services: &self.services,
            interpreters: &self.interpreters,
            vault: &merged.vault,
        };
        let snapshot = loader.merged(&merged).await;
        self.telemetry.loaded(&snapshot);
        self.snapshot.store(Arc::new(snapshot));
        self.changed.send_modify(|version| *version += 1);
    }

    /// Takes what a server publishes now for what is pinned of it, and says how many definitions that are. What a lock file
    /// pins stays.
    ///
    /// # Errors
    /// There is nothing to accept, or the server does not say what it publishes.
    pub async fn accept(&self, plugin: &PluginName) -> Result<usize, NotAccepted> {
        let config = with_registrations(&self.config.load(), &self.registered.load().listed).config;
        let configured = config.plugins.iter().find(|known| known.name == *plugin && known.enabled);
        let configured = configured.ok_or(NotAccepted::Unknown)?;
        let is_service = configured.class.service().is_some();
        if !configured.class.is_server() && !is_service {
            return Err(NotAccepted::Fixed);
        }
        if let Some(lock) = config.lock.as_ref().filter(|lock| lock.plugins.contains_key(plugin)) {
            return Err(NotAccepted::Locked(lock.file.clone()));
        }
        if is_service {
            // What it offers is pinned with the next load, like that of a service which is new.
            self.services.forget(plugin).await.map_err(NotAccepted::Silent)?;
            self.refresh().await;
            return Ok(self.snapshot().registry.tools().iter().filter(|tool| tool.plugin == *plugin).count());
        }
        let n_definitions = self.fleet.accept(plugin).await.map_err(NotAccepted::Silent)?;
        self.refresh().await;
        Ok(n_definitions)
    }

    /// Keeps up with servers whose tools change, with what other processes register, and with what has to be compiled, for as
    /// long as it is awaited.
    pub async fn follow(&self) -> Infallible {
        tokio::select! {
            never = self.keep_up() => never,
            never = self.keep_warm() => never,
        }
    }

    async fn keep_up(&self) -> Infallible {
        /// Servers tell of changes one by one.
        const QUIET: Duration = Duration::from_millis(200);
        let mut changes = self.fleet.watch();
        loop {
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                    tokio::time::sleep(QUIET).await;
                    changes.mark_unchanged();
                }
                () = self.registered_elsewhere() => {}
            }
            self.refresh().await;
        }
    }

    /// The interpreters that the programs among the plugins need.
    pub(crate) fn interpreters_wanted(&self) -> Vec<Interpreter> {
        let snapshot = self.snapshot();
        let mut wanted: Vec<Interpreter> =
            snapshot.plugins.iter().filter_map(Plugin::program).flat_map(Program::interpreters).collect();
        wanted.sort();
        wanted.dedup();
        wanted
    }

    /// Makes ready what a call of `tool` with `arguments` needs and what may take long, if it does; a call would do so itself.
    pub async fn prepare(&self, tool: &str, arguments: &str) {
        let snapshot = self.snapshot();
        let program =
            snapshot.registry.resolve(tool).and_then(|(_, tool)| snapshot.plugins[tool.plugin_index].program());
        let Some(run) = program.and_then(|program| program.kind.run(&schema::parse(arguments).ok()?).ok()) else {
            return;
        };
        // Why not is told by the call.
        drop(self.interpreters.ready(run.language.interpreter()).await);
    }

    /// Keeps the interpreters ready that plugins need, for as long as it is awaited.
    async fn keep_warm(&self) -> Infallible {
        let mut changes = self.watch();
        loop {
            for interpreter in self.interpreters_wanted() {
                let name = interpreter.as_str();
                match self.interpreters.ready(interpreter).await {
                    Ok(_) => tracing::debug!(interpreter = name, "it is ready"),
                    Err(failure) => tracing::error!(interpreter = name, %failure, "programs in it are not run"),
                }
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Waits until something else is registered than what is loaded.
    async fn registered_elsewhere(&self) {
        /// How often it is looked.
        const POLL: Duration = Duration::from_millis(500);
        loop {
            tokio::time::sleep(POLL).await;
            let registrations = Arc::clone(&self.registrations);
            match tokio::task::spawn_blocking(move || registrations.version()).await {
                Ok(Ok(version)) if version == self.registered.load().version => {}
                Ok(Ok(_)) => return,
                Ok(Err(error)) => tracing::debug!(%error, "it cannot be read what is registered"),
                Err(error) => tracing::debug!(%error, "it cannot be read what is registered"),
            }
        }
    }

    /// Leaves in the audit what was done to a registration.
    pub fn note(&self, change: &Change) {
        self.audit.record(change.record());
    }

    /// What is registered beside the configuration. Whoever changes it calls [`Host::refresh`].
    #[must_use]
    pub fn registrations(&self) -> &Arc<Registrations> {
        &self.registrations
    }

    /// Who may ask.
    #[must_use]
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// What the host keeps from start to start.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Where calls wait until a person agrees.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// What is loaded at this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The tools `caller` may see, by name.
    #[must_use]
    pub fn list(&self, caller: &Caller) -> Vec<(ToolName, Arc<Tool>)> {
        let snapshot = self.snapshot.load();
        let registry = &snapshot.registry;
        registry
            .visible(&caller.tools)
            .map(|(name, tool)| (name.clone(), registry.as_seen(tool, &caller.tools)))
            .collect()
    }

    /// What `caller` is offered: its tools, those with which it searches them, or the one with which programs call them.
    #[must_use]
    pub fn offer(&self, caller: &Caller, menu: Menu) -> Vec<(ToolName, Arc<Tool>)> {
        let tools = self.list(caller);
        let snapshot = self.snapshot.load();
        let searches = menu.searches(tools.len(), self.search_above);
        let mut offered = if searches { search::tools().to_vec() } else { tools };
        if menu == Menu::Code && offered.iter().any(|(_, tool)| snapshot.is_code_mode(tool)) {
            offered.retain(|(_, tool)| snapshot.is_code_mode(tool));
        }
        offered = offered.into_iter().map(|named| snapshot.described(named, caller)).collect();
        if manage::is_offered(caller) {
            offered.extend_from_slice(manage::tools());
            offered.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        offered
    }

    /// The tools `caller` may see that have a word of `query`, the best first.
    pub async fn find(&self, caller: &Caller, query: &str) -> Vec<(ToolName, Arc<Tool>)> {
        let (snapshot, tools, query) = (self.snapshot(), caller.tools.clone(), query.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let index = snapshot.index.of(&snapshot.registry);
            let found = search::found(&snapshot.registry, index, &tools, &query);
            found.into_iter().map(|(name, tool)| (name.clone(), snapshot.registry.as_seen(tool, &tools))).collect()
        });
        found.await.unwrap_or_default()
    }

    /// Changes whenever the tools may have changed.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// An id for a new call.
    pub fn new_call_id(&self) -> CallId {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        CallId::new(&format!("{}-{number}", self.run))
    }

    /// Runs a tool: resolve, authorise, prepare (all in [`permit_wanted`]), charge, approve, admit, invoke, seal, record.
    ///
    /// Dropping the future cancels the call; it is recorded all the same.
    pub async fn call(&self, call: Call, channel: Channel) -> Outcome {
        match search::meant(call) {
            Meant::Tool(call) if manage::is_one(&call.tool) => self.managed(&call).await,
            Meant::Tool(call) => self.pass(Wanted::Tool, call, channel).await,
            Meant::Answer(call, answer) => self.answer(&call, answer).await,
        }
    }

    /// The gate: the same for tools, prompts and resources.
    pub(crate) async fn pass(&self, wanted: Wanted, call: Call, channel: Channel) -> Outcome {
        let snapshot = self.snapshot.load_full();
        // So that the record too is about the tool that is meant.
        let call = if wanted == Wanted::Tool { aggregate::redirected(&snapshot.registry, call) } else { call };
        let mut recorder = Recorder::start(&self.audit, self.observer.as_ref(), &self.telemetry, &call);
        let verdict = permit_wanted(&snapshot.registry, wanted, call);
        let mut spending = match self.meters.charge(verdict.pending()).await {
            Ok(spending) => spending,
            Err(failure) => return recorder.refused(verdict.pending().map(|call| call.tool().as_ref()), failure),
        };
        let permitted = match verdict {
            Verdict::Denied { tool, failure } => return recorder.refused(tool.as_deref(), failure),
            Verdict::Permitted(permitted) => *permitted,
            Verdict::Ask(question) => {
                let tool = Arc::clone(question.pending().tool());
                recorder.asked(&tool);
                recorder.approval("unanswered");
                let clock = channel.clock.clone();
                let _stands = clock.as_ref().map(|clock| clock.pause());
                let _waits = recorder.waits("approval wait");
                let Settled { result, how } =
                    self.desk.settle(*question, &snapshot.plugins[tool.plugin_index], &channel).await;
                recorder.approval(how);
                match result {
                    Ok(permitted) => permitted,
                    Err(failure) => return recorder.refused(Some(&tool), failure),
                }
            }
        };
        let plugin = &snapshot.plugins[permitted.tool().plugin_index];
        recorder.admitted(&permitted, plugin);
        let _slots = match self.admit(&permitted, plugin, &recorder).await {
            Ok(slots) => slots,
            Err(failure) => return recorder.refused(Some(permitted.tool()), failure),
        };
        if let Err(failure) = recorder.intend(&permitted).await {
            return recorder.refused(Some(permitted.tool()), failure);
        }
        let _running = Counted::in_(&self.telemetry.metrics.levels.running);
        let (door, orders) = Door::of(&snapshot.registry, permitted.tool(), &permitted.call().caller).unzip();
        let context = self.context(&permitted, plugin, (channel, door), &recorder);
        recorder.running(&context);
        spending.runs();
        let result = match orders {
            None => invoke(&permitted, plugin, &context).await,
            Some(orders) => {
                let maker = Outer::of(permitted.call(), &context);
                self.with_inner(maker, orders, invoke(&permitted, plugin, &context)).await
            }
        };
        let outcome = seal(result, &permitted, &context).await;
        self.artifacts.note(&context.channel.owner, &context.id, &outcome);
        spending.done(&outcome);
        recorder.done(outcome)
    }

    /// What is counted, as Prometheus reads it.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.telemetry.metrics.levels.audit.set(i64::try_from(self.audit.backlog()).unwrap_or(i64::MAX));
        self.telemetry.metrics.text()
    }

    /// Who may read that over HTTP.
    pub(crate) fn metrics_for(&self) -> config::Metrics {
        self.telemetry.metrics_for
    }

    /// Answers a search. It is recorded as a call is, and runs no plugin.
    async fn answer(&self, call: &Call, answer: Answer) -> Outcome {
        let recorder = Recorder::start(&self.audit, self.observer.as_ref(), &self.telemetry, call);
        let caller = &call.caller;
        let outcome = match answer {
            Answer::Refused(failure) => return recorder.refused(None, failure),
            Answer::Describe { name } => search::described(&self.snapshot().registry, &caller.tools, &name),
            Answer::Search { query, limit } => {
                let found = self.find(caller, &query).await;
                search::listed(&found, limit, self.list(caller).len())
            }
        };
        recorder.done(outcome)
    }

    /// Waits for a free slot of the plugin and of the host, if the queue is not full.
    async fn admit<'s>(
        &'s self,
        permitted: &Permitted,
        plugin: &'s Plugin,
        recorder: &Recorder,
    ) -> Result<Slots<'s>, Failure> {
        let makes_calls = !permitted.tool().effective.grants.call.is_empty();
        let maker = makes_calls.then_some(&self.maker_slots);
        if let (Ok(own), Ok(maker), Ok(all)) =
            (plugin.slots.try_acquire(), maker.map(Semaphore::try_acquire).transpose(), self.slots.try_acquire())
        {
            return Ok((own, maker, all));
        }
        let busy = || {
            Failure::new(
                Code::LimitConcurrency,
                format!("`{}` is busy: too many calls are under way", permitted.tool().name),
            )
            .with_fix("try again in a moment")
        };
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.queue {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(busy());
        }
        let _waiting = Waiting(&self.waiting);
        let _seen = (Counted::in_(&self.telemetry.metrics.levels.waiting), recorder.waits("queue wait"));
        let slots = async {
            let own = plugin.slots.acquire().await?;
            // First the right to make calls: who waits for it takes no room from what is called.
            let maker = match maker {
                Some(maker) => Some(maker.acquire().await?),
                None => None,
            };
            Ok::<_, AcquireError>((own, maker, self.slots.acquire().await?))
        };
        match tokio::time::timeout(permitted.tool().effective.limits.time, slots).await {
            Ok(Ok(slots)) => Ok(slots),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// The rights of one call. Its deadline starts here.
    fn context(
        &self,
        permitted: &Permitted,
        plugin: &Plugin,
        (channel, door): (Channel, Option<Door>),
        recorder: &Recorder,
    ) -> Arc<CallContext> {
        let tool = permitted.tool();
        Arc::new(CallContext {
            id: permitted.call().id.clone(),
            plugin: tool.plugin.clone(),
            tool: tool.name.clone(),
            effective: Arc::clone(&tool.effective),
            config: plugin.settings(tool),
            secrets: Arc::clone(&plugin.secrets),
            egress: Arc::clone(&self.egress),
            artifacts: Arc::clone(&self.artifacts),
            channel,
            door,
            trail: recorder.trail(),
            deadline: Arc::new(Deadline::new(tool.effective.limits.time)),
            ledger: Ledger::default(),
        })
    }
}

/// All registrations, and their version from before they were read: what is written since then is a change.
pub(crate) struct Registered {
    version: i64,
    pub(crate) listed: Listed,
}

impl Registered {
    fn read(registrations: &Registrations) -> Result<Self, StoreError> {
        Ok(Self { version: registrations.version()?, listed: registrations.list()? })
    }
}

/// Why what a plugin publishes was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum NotAccepted {
    /// There is none of that name.
    #[error("there is no such plugin")]
    Unknown,
    /// It cannot change while the host runs.
    #[error("it is a component: what it publishes is part of it, and `bailiwick lock --accept` accepts another one")]
    Fixed,
    /// A lock file pins it.
    #[error("{0} pins it: run `bailiwick lock --accept` and review what that writes")]
    Locked(String),
    /// It does not say what it publishes.
    #[error("it does not say what it publishes: {0}")]
    Silent(Failure),
}

/// What a call holds while it runs: a slot of its plugin, the right to make calls if it may, and a slot of the host.
type Slots<'s> = (SemaphorePermit<'s>, Option<SemaphorePermit<'s>>, SemaphorePermit<'s>);

struct Waiting<'w>(&'w AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hands a permitted call to its plugin's class.
async fn invoke(permitted: &Permitted, plugin: &Plugin, context: &Arc<CallContext>) -> Result<Output, Failure> {
    let output = match &plugin.backend {
        Backend::Component { component, directories } => {
            runtime::call(component, permitted, directories, context).await?
        }
        Backend::Server(member) => member.call(permitted, context).await?,
        Backend::Programs(programs) => programs.call(permitted, context).await?,
        Backend::Service(service) => service.call(permitted, context).await?,
        Backend::Code(program) => program.call(permitted, context).await?,
    };
    let tool = permitted.tool();
    match (&tool.results, &output.structured) {
        (None, _) => Ok(output),
        (Some(_), None) => {
            Err(Failure::new(Code::PluginInvalid, "the tool has an output schema and gave no structured result"))
        }
        (Some(schema), Some(value)) => match schema.mismatch(value) {
            None => Ok(output),
            Some(reason) => Err(Failure::new(
                Code::PluginInvalid,
                format!("the tool's result breaks its own output schema: {reason}"),
            )),
        },
    }
}
