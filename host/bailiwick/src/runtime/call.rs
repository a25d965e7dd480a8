//! One call: a store with the call's rights, an instance, the deadline around both, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use tracing::Level;
use wasmtime::component::{ComponentExportIndex, InstancePre, ResourceTable, ResourceTableError, Val};
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};
use wasmtime_wasi_http::WasiHttpCtx;

use bailiwick_core::context::{Catalogue, Wanted};
use bailiwick_core::grant::{Access, Want, Witness};
use bailiwick_core::name::SecretName;
use bailiwick_core::outcome::{Code, Content, EmbeddedResource, Failure, Media, Output, ResourceBody, ResourceLink};
use bailiwick_core::policy::Permitted;
use bailiwick_core::redact::quotable;
use bailiwick_core::registry::{Annotations, Definition, Risk, check_definitions};

use super::bindings::exports::bailiwick::tool::{context, tool};
use super::engine::PREVIEWS as PREVIEW_SLOTS;
use super::imports::files::Listings;
use super::imports::http::Outgoing;
use super::imports::log::LogStream;
use super::state::{Exceeded, Limiter, State};
use super::turn::GivingWay;
use super::{Component, Directories, Kind, turn, typed};
use crate::context::CallContext;

/// How long `describe` and `check` may take.
const PREVIEW_TIME: Duration = Duration::from_secs(2);
/// As many of them at once as the pool has room for beside calls.
static PREVIEWS: Semaphore = Semaphore::const_new(PREVIEW_SLOTS);
/// Random bytes a guest gets in one request.
const MAX_RANDOM: u64 = 64 << 10;
/// Bytes of headers in one `fields`.
const MAX_FIELDS: usize = 64 << 10;

/// Longest name of something a guest says it was refused; a path has at most so many bytes.
const MAX_QUOTED: usize = 4096;

/// Ends a guest that is still busy when its time is up.
#[derive(Debug, thiserror::Error)]
#[error("the time is up")]
struct TimeIsUp;

/// Ends the waiting of requests that are not sent yet.
struct Closing<'c>(&'c CallContext);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if let Some(slots) = self.0.ledger.http_slots.get() {
            slots.close();
        }
    }
}

/// Runs a tool. The proof that policy let it through is the argument.
///
/// # Errors
/// Why there is no result.
pub async fn call(
    component: &Component,
    permitted: &Permitted,
    directories: &Directories,
    context: &Arc<CallContext>,
) -> Result<Output, Failure> {
    let asked = (permitted.tool().definition.name.as_str(), permitted.arguments().text.as_str());
    call_as(component, permitted, asked, directories, context).await
}

/// The same by way of another tool of the component, with arguments that were made of those that were permitted.
///
/// # Errors
/// As [`call`].
pub async fn call_as(
    component: &Component,
    permitted: &Permitted,
    asked: (&str, &str),
    directories: &Directories,
    context: &Arc<CallContext>,
) -> Result<Output, Failure> {
    let work = Work::of(component, permitted, asked)?;
    run(component, work, directories, context).await
}

/// Asks one of the host's own components something on behalf of nobody, as `describe` and `check` are asked: without
/// directories, with the rights in `context`, which should be none, and beside calls, where there is room for few at once.
///
/// # Errors
/// As [`call`].
pub(crate) async fn ask_own(
    component: &Component,
    (tool, arguments): (&str, &str),
    context: &Arc<CallContext>,
) -> Result<Output, Failure> {
    let Kind::Contract { pre, call, .. } = &component.kind else {
        return Err(Failure::new(Code::PluginInvalid, "the component is none of the host's own"));
    };
    // Never closed.
    let _slot = PREVIEWS.acquire().await.ok();
    run(component, Work::Contract { pre, call: *call, tool, arguments }, &Directories::default(), context).await
}

async fn run(
    component: &Component,
    work: Work<'_>,
    directories: &Directories,
    context: &Arc<CallContext>,
) -> Result<Output, Failure> {
    let mut store = store(component, directories, context).map_err(|error| setup(&error))?;
    // Dropped before the store is: what waits to be sent is not sent any more while the store takes things down.
    let _closing = Closing(context);
    let giving_way = store.data().giving_way.clone();
    let run = turn::over(&context.plugin, &giving_way, work.run(&mut store));
    let answer = tokio::select! {
        biased;
        answer = run => Some(answer),
        () = context.deadline.passed() => None,
    };
    match answer {
        Some(Ok(Answer::Contract(Ok(output)))) => convert(output),
        Some(Ok(Answer::Contract(Err(failure)))) => Err(said(failure, context)),
        Some(Ok(Answer::Context(Ok(output)))) => Ok(output),
        Some(Ok(Answer::Context(Err(failure)))) => Err(said(failure, context)),
        Some(Ok(Answer::Typed(call, value))) => call.answer(value, context.redactor()),
        Some(Err(error)) => Err(trapped(&error, store.data(), context)),
        None => Err(timed_out(context)),
    }
}

/// What is asked of a guest.
enum Work<'c> {
    Contract { pre: &'c InstancePre<State>, call: ComponentExportIndex, tool: &'c str, arguments: &'c str },
    Context { pre: &'c InstancePre<State>, context: &'c context::GuestIndices, permitted: &'c Permitted },
    Typed(typed::Call<'c>),
}

/// What a guest that came to its end gave.
enum Answer<'c> {
    Contract(Result<tool::Output, tool::Failure>),
    Context(Result<Output, tool::Failure>),
    Typed(typed::Call<'c>, Option<Val>),
}

impl<'c> Work<'c> {
    fn of(
        component: &'c Component,
        permitted: &'c Permitted,
        (tool, arguments): (&'c str, &'c str),
    ) -> Result<Self, Failure> {
        let no_context = || Failure::new(Code::PluginInvalid, "the plugin gives no prompts and resources");
        match (&component.kind, permitted.wanted()) {
            (Kind::Contract { pre, call, .. }, Wanted::Tool) => {
                Ok(Self::Contract { pre, call: *call, tool, arguments })
            }
            (
                Kind::Contract { pre, context, .. },
                Wanted::Prompt(_) | Wanted::Resource(_) | Wanted::Completion { .. },
            ) => {
                let context = context.as_ref().ok_or_else(no_context)?;
                Ok(Self::Context { pre, context, permitted })
            }
            (Kind::Typed(typed), Wanted::Tool) => typed.prepare(tool, arguments).map(Self::Typed),
            (Kind::Typed(_), Wanted::Prompt(_) | Wanted::Resource(_) | Wanted::Completion { .. }) => Err(no_context()),
        }
    }

    async fn run(self, store: &mut Store<State>) -> wasmtime::Result<Answer<'c>> {
        match self {
            Self::Contract { pre, call, tool, arguments } => {
                let guest = pre.instantiate_async(&mut *store).await?;
                let call =
                    guest.get_typed_func::<(&str, &str), (Result<tool::Output, tool::Failure>,)>(&mut *store, call)?;
                let (answer,) = call.call_async(store, (tool, arguments)).await?;
                Ok(Answer::Contract(answer))
            }
            Self::Context { pre, context, permitted } => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let guest = context.load(&mut *store, &instance)?;
                super::context::answer(&guest, store, permitted).await.map(Answer::Context)
            }
            Self::Typed(call) => {
                let value = call.run(store).await?;
                Ok(Answer::Typed(call, value))
            }
        }
    }
}

/// What a component publishes.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// Its tools.
    pub tools: Vec<Definition>,
    /// What it gives beside them.
    pub context: Catalogue,
}

impl Described {
    /// All of it as definitions, as a reviewer sees it and a lock pins it.
    #[must_use]
    pub fn definitions(&self) -> Vec<Definition> {
        self.tools.iter().cloned().chain(self.context.definitions()).collect()
    }

    /// Checks names, texts and counts.
    ///
    /// # Errors
    /// The first thing that is wrong, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        check_definitions(&self.tools).map_err(|error| error.to_string())?;
        self.context.check()
    }
}

/// What the component publishes. It runs with the rights in `context`, which should be none.
///
/// # Errors
/// Why it could not say.
pub async fn describe(component: &Component, context: &Arc<CallContext>) -> Result<Described, Failure> {
    let (pre, of_tool, of_context) = match &component.kind {
        Kind::Contract { pre, tool, context, .. } => (pre, tool, context),
        Kind::Typed(typed) => return Ok(Described { tools: typed.definitions(), context: Catalogue::default() }),
    };
    // Never closed.
    let _slot = PREVIEWS.acquire().await.ok();
    let mut store = store(component, &Directories::default(), context).map_err(|error| setup(&error))?;
    let giving_way = store.data().giving_way.clone();
    let run = turn::over(&context.plugin, &giving_way, async {
        let instance = pre.instantiate_async(&mut store).await?;
        let guest = of_tool.load(&mut store, &instance)?;
        let tools = guest.call_describe(&mut store).await?.into_iter().map(definition).collect();
        let context = match of_context {
            None => Catalogue::default(),
            Some(of_context) => {
                let guest = of_context.load(&mut store, &instance)?;
                super::context::catalogue(guest.call_describe(&mut store).await?)
            }
        };
        Ok(Described { tools, context })
    });
    match tokio::time::timeout(PREVIEW_TIME, run).await {
        Ok(Ok(described)) => Ok(described),
        Ok(Err(error)) => Err(trapped(&error, store.data(), context)),
        Err(_) => Err(Failure::new(Code::LimitTime, format!("`describe` took longer than {PREVIEW_TIME:?}"))),
    }
}

/// Why the component cannot do its work as configured, if it says so.
///
/// # Errors
/// Why it could not say.
pub async fn check(component: &Component, context: &Arc<CallContext>) -> Result<Option<String>, Failure> {
    let (pre, of_tool) = match &component.kind {
        Kind::Contract { pre, tool, .. } => (pre, tool),
        // It has no way to say so.
        Kind::Typed(_) => return Ok(None),
    };
    // Never closed.
    let _slot = PREVIEWS.acquire().await.ok();
    let mut store = store(component, &Directories::default(), context).map_err(|error| setup(&error))?;
    let giving_way = store.data().giving_way.clone();
    let run = turn::over(&context.plugin, &giving_way, async {
        let instance = pre.instantiate_async(&mut store).await?;
        of_tool.load(&mut store, &instance)?.call_check(&mut store).await
    });
    match tokio::time::timeout(PREVIEW_TIME, run).await {
        Ok(Ok(reason)) => Ok(reason.map(|text| context.redactor().text(&text).chars().take(500).collect())),
        Ok(Err(error)) => Err(trapped(&error, store.data(), context)),
        Err(_) => Err(Failure::new(Code::LimitTime, format!("`check` took longer than {PREVIEW_TIME:?}"))),
    }
}

/// A store with the rights and limits of `context`. What is not granted is not in it.
fn store(
    component: &Component,
    directories: &Directories,
    context: &Arc<CallContext>,
) -> wasmtime::Result<Store<State>> {
    let effective = &context.effective;
    let limits = &effective.limits;
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(LogStream::new(Level::INFO, context))
        .stderr(LogStream::new(Level::WARN, context))
        .max_random_size(MAX_RANDOM)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    for (name, value) in &effective.grants.env {
        wasi.env(name, value);
    }
    for grant in effective.grants.fs.iter() {
        if let Some(path) = directories.handle_path(&grant.host) {
            wasi.preopened_dir(path, &grant.guest, super::permissions(grant.access))?;
        }
    }
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles as usize);
    let mut http = WasiHttpCtx::new();
    http.set_field_size_limit(MAX_FIELDS);
    let state = State {
        table,
        wasi: wasi.build(),
        http,
        outgoing: Outgoing(Arc::clone(context)),
        limiter: Limiter::new(limits.memory, u64::from(limits.table_elements)),
        call: Arc::clone(context),
        listings: Listings::default(),
        giving_way: GivingWay::default(),
    };
    let mut store = Store::new(component.engine(), state);
    store.limiter(|state| &mut state.limiter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        let State { call, giving_way, .. } = store.data();
        if call.deadline.is_over() {
            return Err(wasmtime::Error::new(TimeIsUp));
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(giving_way.clone().stop())))
    });
    store.set_max_component_handles(limits.handles as usize);
    // What a guest hands over in one host call, and what it gives back in the end: the result in full, and some.
    let lifted = limits.output.max(limits.artifacts).saturating_mul(4).saturating_add(1 << 20);
    store.set_hostcall_fuel(usize::try_from(lifted).unwrap_or(usize::MAX));
    Ok(store)
}

fn setup(error: &wasmtime::Error) -> Failure {
    tracing::error!(error = format!("{error:#}"), "a store could not be made");
    Failure::new(Code::Internal, "the host could not prepare the call; its log says why")
}

/// The failure of a call whose time is up.
pub(crate) fn timed_out(context: &CallContext) -> Failure {
    let time = context.effective.limits.time;
    Failure::new(Code::LimitTime, format!("`{}` did not end within {time:?}", context.tool))
        .with_fix(limit_line(context, &format!("time = \"{}s\"", (time * 2).as_secs().max(1))))
}

fn limit_line(context: &CallContext, value: &str) -> String {
    let grants = &context.effective.grants;
    format!("raise it with `limits.{value}` under `[{}]` ({})", grants.table, grants.at)
}

/// The failure behind an error of the engine.
fn trapped(error: &wasmtime::Error, state: &State, context: &CallContext) -> Failure {
    let (tool, limits) = (&context.tool, &context.effective.limits);
    let detail = format!("{error:#}");
    tracing::debug!(call = %context.id, plugin = %context.plugin, detail = %context.redactor().text(&detail), "the guest ended early");
    if state.limiter.exceeded == Some(Exceeded::Memory) {
        let size = limits.memory;
        return Failure::new(Code::LimitMemory, format!("`{tool}` needs more than its {} MiB of memory", size >> 20))
            .with_fix(limit_line(context, &format!("memory = \"{}MiB\"", (size >> 19).max(1))));
    }
    if state.limiter.exceeded == Some(Exceeded::Table) {
        let most = limits.table_elements;
        return Failure::new(Code::LimitMemory, format!("`{tool}` needs more than {most} table elements"))
            .with_fix(limit_line(context, &format!("table_elements = {}", most.saturating_mul(2))));
    }
    if error.downcast_ref::<TimeIsUp>().is_some() {
        return timed_out(context);
    }
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return Failure::new(
            Code::PluginExit,
            format!("`{tool}` called exit with status {status} instead of answering"),
        );
    }
    if let Some(failure) = over_capacity(error, &detail, context) {
        return failure;
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => {
            Failure::new(Code::LimitStack, format!("`{tool}` ran out of stack: it recurses too deeply"))
        }
        Some(trap) => Failure::new(Code::PluginTrap, format!("`{tool}` crashed: {trap}")),
        None => {
            // What is on top says where it happened, what is below says what.
            let cause = error.chain().last().map(ToString::to_string).unwrap_or_default();
            let cause: String = context.redactor().text(cause.trim()).chars().take(300).collect();
            Failure::new(Code::PluginTrap, format!("`{tool}` broke off: {cause}"))
        }
    }
}

/// What a guest asked too much of, where the engine counts it.
fn over_capacity(error: &wasmtime::Error, detail: &str, context: &CallContext) -> Option<Failure> {
    let (tool, limits) = (&context.tool, &context.effective.limits);
    if error.downcast_ref::<ResourceTableError>().is_some() || detail.contains("store handle limit exceeded") {
        let more = limit_line(context, &format!("handles = {}", limits.handles.saturating_mul(2)));
        return Some(Failure::new(Code::LimitHandles, format!("`{tool}` holds too many handles")).with_fix(more));
    }
    if detail.contains("fuel allocated for hostcalls") {
        let grants = &context.effective.grants;
        let fix = format!("ask for less, or raise `limits.artifacts` under `[{}]` ({})", grants.table, grants.at);
        let message = format!("`{tool}` handed over more at once than the host takes");
        return Some(Failure::new(Code::LimitOutput, message).with_fix(fix));
    }
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return Some(
            Failure::new(Code::LimitConcurrency, format!("`{tool}` found no room: too many calls are under way"))
                .with_fix("try again in a moment"),
        );
    }
    let parts = detail.contains("resource limit exceeded");
    parts.then(|| {
        Failure::new(
            Code::LimitMemory,
            format!("`{tool}` is made of more instances, memories or tables than a call may have"),
        )
    })
}

/// A failure the guest gave itself. For a denial the host finds the line that would allow it.
fn said(failure: tool::Failure, context: &CallContext) -> Failure {
    let grants = &context.effective.grants;
    let claim = |want| context.ledger.want(want, Witness::Plugin);
    let denied = |wanted| match wanted {
        tool::Wanted::ReadPath(path) => match grants.fs.decide_read(&grants.fs.meant(&quoted(&path))) {
            Err(denial) => {
                claim(Want::fs(Access::ReadOnly, &path, &grants.fs, context.redactor()));
                Failure::new(Code::DeniedFsRead, denial.to_string()).with_fix(denial.fix())
            }
            Ok(_) => Failure::new(Code::DeniedFsRead, leads_out(&path)),
        },
        tool::Wanted::WritePath(path) => match grants.fs.decide_write(&grants.fs.meant(&quoted(&path))) {
            Err(denial) => {
                claim(Want::fs(Access::ReadWrite, &path, &grants.fs, context.redactor()));
                Failure::new(Code::DeniedFsWrite, denial.to_string()).with_fix(denial.fix())
            }
            Ok(_) => Failure::new(Code::DeniedFsWrite, leads_out(&path)),
        },
        tool::Wanted::Request(request) => last_net_denial(context, &quoted(&request)),
        tool::Wanted::Secret(name) => {
            claim(Want::secret(&name, false));
            missing_secret(&name, context)
        }
    };
    match failure {
        tool::Failure::InvalidArguments(text) => Failure::new(Code::ArgumentsInvalid, text),
        tool::Failure::NotConfigured(text) => Failure::new(Code::PluginNotConfigured, text),
        tool::Failure::NotFound(text) => Failure::new(Code::ToolNotFound, text),
        tool::Failure::Unasked(text) => Failure::new(context.ledger.unasked().unwrap_or(Code::ToolFailed), text),
        tool::Failure::Failed(text) => Failure::new(Code::ToolFailed, text),
        tool::Failure::Denied(wanted) => denied(wanted),
        tool::Failure::Upstream(upstream) => gave_up(upstream, context),
    }
}

/// What a guest wrote, as it stands in a sentence of the host's.
fn quoted(text: &str) -> String {
    quotable(text, MAX_QUOTED)
}

fn leads_out(path: &str) -> String {
    format!("`{}` leads out of the granted directories", quoted(path))
}

fn missing_secret(name: &str, context: &CallContext) -> Failure {
    let (tool, grants, shown) = (&context.tool, &context.effective.grants, quoted(name));
    let message = format!("`{tool}` needs the secret `{shown}`, which is not granted");
    let failure = Failure::new(Code::DeniedSecret, message);
    // What is no name of a secret cannot be granted.
    if SecretName::parse(name).is_err() {
        return failure;
    }
    failure.with_fix(format!("add `secrets.{name}` under `[{}]` ({})", grants.table, grants.at))
}

/// A service that did not do its part. Where the host itself cut the exchange off, that is the reason.
fn gave_up(upstream: tool::Upstream, context: &CallContext) -> Failure {
    let over_limit = context.ledger.denials().into_iter().rev().find(|failure| failure.code == Code::LimitHttp);
    if let (None, Some(limit)) = (upstream.status, over_limit) {
        return limit;
    }
    let code = match upstream.status {
        Some(401 | 403) => Code::UpstreamAuth,
        Some(_) => Code::UpstreamStatus,
        None => context.ledger.trouble().unwrap_or(Code::UpstreamProtocol),
    };
    let failure = Failure::new(code, upstream.message);
    match upstream.retry_after {
        Some(wait) => failure.with_fix(format!("try again in {} s", wait.div_ceil(1000))),
        None => failure,
    }
}

/// The refusal of egress that a guest passes on; it knows the reason, the guest only that there was one.
fn last_net_denial(context: &CallContext, request: &str) -> Failure {
    let denials = context.ledger.denials();
    let last = denials.into_iter().rev().find(|failure| failure.code.as_str().starts_with("denied.net."));
    last.unwrap_or_else(|| {
        Failure::new(
            Code::DeniedNetHost,
            format!("`{}` says `{request}` was refused; the host refused nothing", context.tool),
        )
    })
}

fn definition(definition: tool::Definition) -> Definition {
    let said = definition.annotations;
    Definition {
        name: definition.name,
        title: definition.title,
        description: definition.description,
        input_schema: definition.input_schema,
        output_schema: definition.output_schema,
        annotations: Annotations {
            read_only: said.read_only,
            destructive: said.destructive,
            idempotent: said.idempotent,
            open_world: said.open_world,
        },
        risk: match definition.risk {
            tool::Risk::Low => Risk::Low,
            tool::Risk::Medium => Risk::Medium,
            tool::Risk::High => Risk::High,
        },
    }
}

fn convert(output: tool::Output) -> Result<Output, Failure> {
    let structured = match output.structured {
        None => None,
        Some(text) => Some(parse(&text)?),
    };
    let content = output.content.into_iter().map(content).collect();
    Ok(Output { content, structured, ..Output::default() })
}

fn parse(text: &str) -> Result<Value, Failure> {
    bailiwick_core::schema::parse(text).map_err(|reason| {
        Failure::new(Code::PluginInvalid, format!("the tool's structured result is not JSON: {reason}"))
    })
}

pub(super) fn content(content: tool::Content) -> Content {
    let media = |media: tool::Media| Media { data: media.data, mime_type: media.mime_type };
    match content {
        tool::Content::Text(text) => Content::Text(text),
        tool::Content::Image(image) => Content::Image(media(image)),
        tool::Content::Audio(audio) => Content::Audio(media(audio)),
        tool::Content::Resource(resource) => Content::Resource(embedded(resource)),
        tool::Content::Link(named) => Content::Link(link(named)),
    }
}

pub(super) fn embedded(resource: tool::EmbeddedResource) -> EmbeddedResource {
    let tool::EmbeddedResource { uri, mime_type, body } = resource;
    let body = match body {
        tool::ResourceBody::Text(text) => ResourceBody::Text(text),
        tool::ResourceBody::Blob(blob) => ResourceBody::Blob(blob),
    };
    EmbeddedResource { uri, mime_type, body }
}

pub(super) fn link(link: tool::ResourceLink) -> ResourceLink {
    let tool::ResourceLink { uri, name, title, description, mime_type, size } = link;
    ResourceLink { uri, name, title, description, mime_type, size }
}
