//! MCP over standard input and output, and over HTTP ([`http`]). Both eras are served: sessions that begin with
//! `initialize` (2024-11-05 to 2025-11-25) and stateless requests (2026-07-28). rmcp tells them apart; where they
//! differ for us is how a question reaches a person ([`question`]) and how a change of tools is told.
//!
//! Nothing here decides anything: calls go to [`Host::call`], and [`wire`] turns what came of them into MCP's shapes.
#![expect(deprecated, reason = "lines of the log and subscriptions are for clients of versions that have them")]

mod artifacts;
mod call;
mod desk;
mod ending;
mod given;
mod http;
mod lines;
mod parked;
mod plain;
mod question;
mod seen;
mod sessions;
mod wire;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::http::request::Parts;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, CustomRequest, CustomResult,
    ErrorCode, GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{
    NotificationContext, Peer, RequestContext, ServerInitializeError, SubscriptionContext, serve_server,
};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use bailiwick_core::call::{Call, Caller};

use crate::channel::{Able, Channel};
use crate::contexts;
use crate::front::life::Life;
use crate::host::Host;
use crate::search::{Menu, TOOLS_HEADER};
use crate::streams;
use call::{Asked, Attended, Told, can_hear};
pub(crate) use desk::principal;
use desk::{Asker, Askers, Desk};
use ending::Ending;
use lines::Lines;
use parked::Parking;
use question::{abilities, able};
use sessions::ASKED_BY;
use wire::Vocabulary;

pub(crate) use http::Endpoint;

/// What a model reads before it sees the tools.
const INSTRUCTIONS: &str = "These tools run inside rights that an operator wrote down. A refusal names the rule and \
    what would change it; only the operator can. A result that is too long for an answer ends in a link to an \
    artifact:// resource, which holds all of it.";
/// How often calls that nobody came back for are looked for.
const SWEEP: Duration = Duration::from_secs(10);
/// How long a client that does not read may hold up the end of a connection.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves MCP on standard input and output until the client closes its end or `shutdown` completes; calls under way
/// then have two seconds to finish. A line of more than 16 MiB is dropped.
///
/// # Errors
/// When the client speaks something else.
///
/// # Ambient authority
/// Takes this process's standard input and output. Nothing else may write there.
pub async fn serve_stdio(
    host: Arc<Host>,
    caller: Arc<Caller>,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let lines = Lines::new(streams::input(), streams::output());
    let asker = Asker::alone(caller);
    let desk = Arc::clone(&asker.desk);
    let connection = Arc::new(Connection::new(host, Askers::One(asker), Arc::new(Life::new())));
    let told = async {
        shutdown.await;
        connection.life.leave();
        std::future::pending::<Infallible>().await
    };
    let ended = tokio::select! {
        ended = session(&connection, lines) => ended,
        never = look_after(&desk, &connection.life) => match never {},
        never = told => match never {},
    };
    // What is cancelled gets a moment to be recorded.
    desk.parked.clear();
    let _ = tokio::time::timeout(FAREWELL, connection.life.idle()).await;
    ended
}

async fn session(connection: &Arc<Connection>, lines: Lines) -> anyhow::Result<()> {
    let life = &connection.life;
    let running = match serve_server(Arc::clone(connection), Ending::new(lines, Arc::clone(connection))).await {
        Ok(running) => running,
        // It went away without a word.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(error).context("no MCP connection came about"),
    };
    let held_up = async {
        life.over().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        ended = running.waiting() => ended.map(|_| ()).context("the MCP connection crashed"),
        () = held_up => Ok(()),
    }
}

/// Does for the caller of a connection what has to be done without a request.
async fn look_after(desk: &Desk, life: &Life) -> Infallible {
    let mut sweep = tokio::time::interval(SWEEP);
    let mut leaving = pin!(life.leaving());
    let mut left = false;
    loop {
        tokio::select! {
            _ = sweep.tick() => desk.parked.expire(),
            () = &mut leaving, if !left => {
                left = true;
                // Nobody can come back with an answer.
                desk.parked.clear();
            }
        }
    }
}

/// One client, or one request of a client without a connection.
struct Connection {
    host: Arc<Host>,
    askers: Askers,
    /// Changes since the connection began, none of them seen: whoever clones it misses nothing.
    changes: watch::Receiver<u64>,
    life: Arc<Life>,
    /// Whether somebody tells the client of changes already; it begins with `initialize` then.
    told: AtomicBool,
    /// What the client said of itself when it opened its session, if it did.
    agreed: Mutex<Option<Agreed>>,
    /// The lines of plugins' logs that a client with a session wants.
    log_level: Mutex<Option<LoggingLevel>>,
    /// Ends with the connection.
    here: CancellationToken,
    /// Tells it from other connections.
    number: u64,
}

/// What a client with a session knows and can do.
#[derive(Debug, Clone, Copy)]
struct Agreed {
    vocabulary: Vocabulary,
    able: Able,
}

impl Connection {
    fn new(host: Arc<Host>, askers: Askers, life: Arc<Life>) -> Self {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
        let (told, here) = (AtomicBool::new(false), CancellationToken::new());
        Self {
            changes: host.watch(),
            host,
            askers,
            life,
            told,
            agreed: Mutex::default(),
            log_level: Mutex::default(),
            here,
            number: CONNECTIONS.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Names the session of this connection, if it is one: over HTTP a client opens one with `initialize` or has none.
    fn session(&self) -> Option<Arc<str>> {
        let lasts = matches!(self.askers, Askers::One(_)) || self.agreed().is_some();
        lasts.then(|| format!("mcp-{}", self.number).into())
    }

    fn agreed(&self) -> MutexGuard<'_, Option<Agreed>> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_level(&self) -> MutexGuard<'_, Option<LoggingLevel>> {
        self.log_level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call, or goes on with the one that the request answers a question of.
    async fn ask(&self, asked: Asked<'_>, context: &RequestContext<RoleServer>) -> Result<Attended, ErrorData> {
        let _under_way = self.life.enter();
        let asker = self.askers.of(&context.extensions)?;
        let given = asked.responses.filter(|_| asked.state.is_none());
        let call = match asked.state {
            None if !can_hear(Some(&context.meta), able(context), self.least(context)) => {
                return Ok(Attended::Told(self.run(&asker, asked, context.into(), &context.ct).await));
            }
            None => self.start(&asker, asked, context),
            Some(state) => match asker.desk.parked.resume(state, &asked)? {
                Parking::GoesOn(call) => call,
                Parking::Waits(result) => return Ok(Attended::Asks(result)),
            },
        };
        Ok(self.attend(&asker, call, given, context).await)
    }

    /// Does something for as long as its caller waits for it and may.
    async fn unless_over<T>(
        &self,
        asker: &Asker,
        context: &RequestContext<RoleServer>,
        work: impl Future<Output = T>,
    ) -> Result<T, ErrorData> {
        tokio::select! {
            biased;
            () = context.ct.cancelled() => Err(ErrorData::internal_error("the request was cancelled", None)),
            () = asker.revoked.cancelled() => Err(ErrorData::internal_error("the key was revoked", None)),
            () = self.life.over() => Err(ErrorData::internal_error("the server is stopping", None)),
            done = work => Ok(done),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.here.cancel();
    }
}

fn cursor(request: &Option<PaginatedRequestParams>) -> Option<&str> {
    request.as_ref()?.cursor.as_deref()
}

/// Tells a client of every change of the tools, for as long as it is there.
async fn tell(client: Peer<RoleServer>, mut changes: watch::Receiver<u64>, here: CancellationToken) {
    loop {
        tokio::select! {
            () = here.cancelled() => return,
            changed = changes.changed() => match changed {
                Ok(()) => {
                    // A client that is gone need not know.
                    let _ = client.notify_tool_list_changed().await;
                    let _ = client.notify_prompt_list_changed().await;
                    let _ = client.notify_resource_list_changed().await;
                }
                Err(_) => return,
            }
        }
    }
}

/// Where a client says how it wants the tools: `auto`, `all`, `search` or `code`.
const TOOLS: &str = "bailiwick/tools";

/// What a client asks to be offered: in its request's `_meta`, or over HTTP in a header.
fn menu(context: &RequestContext<RoleServer>) -> Menu {
    let said = context.meta.get(TOOLS).and_then(|menu| menu.as_str());
    let header = || context.extensions.get::<Parts>().and_then(|parts| parts.headers.get(TOOLS_HEADER)?.to_str().ok());
    said.or_else(header).and_then(Menu::parse).unwrap_or_default()
}

impl ServerHandler for Connection {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_logging()
            .enable_completions()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        let us = Implementation::new("bailiwick", env!("CARGO_PKG_VERSION")).with_title("Bailiwick");
        ServerConfig::new(capabilities).with_server_info(us).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let _seen = self.seen("tools/list", &context);
        let cursor = request.and_then(|request| request.cursor);
        let asker = self.askers.of(&context.extensions)?;
        let tools = self.host.offer(&asker.caller, menu(&context));
        wire::page(&tools, cursor.as_deref(), Vocabulary::of(&context))
    }

    /// The tool whose arguments a request's headers are compared with, if it has such and its caller may see it.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        let caller = match &self.askers {
            Askers::One(asker) => Some(Arc::clone(&asker.caller)),
            Askers::Each(_) => ASKED_BY.try_with(|owner| Arc::clone(&owner.caller)).ok(),
        };
        let snapshot = self.host.snapshot();
        let (name, tool) = snapshot.registry.resolve(name)?;
        let seen = tool.arguments.has_headers() && caller.is_some_and(|caller| caller.tools.contains(name));
        seen.then(|| wire::definition(name, tool, Vocabulary::NEWEST))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match self.ask(Asked::from(&request), &context).await? {
            Attended::Asks(result) => Ok(result.into()),
            Attended::Told(told) => told.of_tool(Vocabulary::of(&context)).map(Into::into),
        }
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let _seen = self.seen("prompts/list", &context);
        given::prompts(&self.host, &self.askers.of(&context.extensions)?, cursor(&request))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        match self.ask(Asked::from(&request), &context).await? {
            Attended::Asks(result) => Ok(result.into()),
            Attended::Told(Told::Prompt(made)) => given::conversation(made, Vocabulary::of(&context)).map(Into::into),
            Attended::Told(Told::Tool(_)) => Err(ErrorData::internal_error("a prompt ran a tool", None)),
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let _seen = self.seen("resources/list", &context);
        given::resources(&self.host, &self.askers.of(&context.extensions)?, cursor(&request))
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let _seen = self.seen("resources/templates/list", &context);
        given::templates(&self.host, &self.askers.of(&context.extensions)?, cursor(&request))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let _under_way = self.life.enter();
        let _seen = self.seen("resources/read", &context);
        let (asker, uri) = (self.askers.of(&context.extensions)?, request.uri.as_str());
        if uri.starts_with("artifact:") {
            return asker.desk.artifacts.read(&self.host.artifacts, uri).await.map(Into::into);
        }
        if let Some(types) = given::types(&self.host, &asker, uri, Vocabulary::of(&context)) {
            return types.map(Into::into);
        }
        let call = contexts::call(&self.host, &asker.caller, uri, String::new());
        let call = Call { session: self.session(), ..call };
        let reading = self.host.resource(call, Channel::default());
        let read = self.unless_over(&asker, &context, reading).await?;
        given::documents(read, uri, Vocabulary::of(&context)).map(Into::into)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let _under_way = self.life.enter();
        let _seen = self.seen("completion/complete", &context);
        let asker = self.askers.of(&context.extensions)?;
        let call = contexts::call(&self.host, &asker.caller, "", String::new());
        self.unless_over(&asker, &context, given::complete(&self.host, call, request)).await?
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        *self.log_level() = Some(request.level);
        Ok(())
    }

    /// What a plugin's resource holds can be different at any reading; nobody says when.
    async fn subscribe(
        &self,
        _request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        if let Some(client) = context.peer.peer_info() {
            let vocabulary = Vocabulary::since(Some(&client.protocol_version));
            let agreed = Agreed { vocabulary, able: abilities(&client.capabilities) };
            *self.agreed() = Some(agreed);
        }
        // A client that says so twice is the same client.
        if !self.told.swap(true, Ordering::Relaxed) {
            tokio::spawn(tell(context.peer, self.changes.clone(), self.here.clone()));
        }
    }

    fn accepted_subscription_filter(&self, _requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let lists = SubscriptionFilter::builder().tools_list_changed().prompts_list_changed().resources_list_changed();
        Some(lists.build())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        // The subscription is acknowledged already, so a change of this moment is one of its own. A change from before
        // is told too; that costs the client a needless look at the list.
        let mut changes = self.changes.clone();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.life.leaving() => return Ok(()),
                Ok(()) = changes.changed() => {
                    // Refused when the client did not ask for it; it still holds the subscription.
                    let _ = context.sink().notify_tool_list_changed().await;
                    let _ = context.sink().notify_prompt_list_changed().await;
                    let _ = context.sink().notify_resource_list_changed().await;
                }
            }
        }
    }

    /// What rmcp cannot read as the request its method names ends here too.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        // 2026-07-28 has no such method, whatever its parameters are.
        let is_gone = request.method == "logging/setLevel" && Vocabulary::of(&context).stateless;
        let known = [
            "completion/complete",
            "logging/setLevel",
            "prompts/get",
            "prompts/list",
            "resources/list",
            "resources/read",
            "resources/templates/list",
            "subscriptions/listen",
            "tools/call",
            "tools/list",
        ];
        if !is_gone && known.contains(&request.method.as_str()) {
            let message =
                format!("the parameters of `{}` do not have the shape the protocol gives them", request.method);
            return Err(ErrorData::invalid_params(message, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None))
    }
}
