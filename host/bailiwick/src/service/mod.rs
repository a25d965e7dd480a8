//! HTTP services as plugins: their documents are read here, and one built-in component sends the requests. What a document
//! says decides about names, arguments and paths below the operator's URL; where requests go, and with which secrets, only
//! the plugin's grants say.

mod document;
pub(crate) mod kept;
mod login;
pub(crate) mod sessions;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use bailiwick_core::config::{self, Known, narrowed_to};
use bailiwick_core::grant::{NetRequest, Placement, Section};
use bailiwick_core::name::PluginName;
use bailiwick_core::openapi::{self, Injected, OptionalHeaders, Options};
use bailiwick_core::outcome::{Code, Failure, Output};
use bailiwick_core::policy::Permitted;
use bailiwick_core::registry::Definition;
use bailiwick_operation::{Location, Operation, Parameter, Source, Style};

use self::document::{Documents, Found};
use self::login::Session;
pub(crate) use self::sessions::Sessions;
use crate::ambient;
use crate::artifact::files::files_in;
use crate::context::CallContext;
use crate::egress::Egress;
use crate::fleet::kept as pins;
use crate::remote::Wire;
use crate::runtime::{self, Component, Directories};
use crate::secrets::Secrets;
use crate::store::Store;

/// The one tool of the component that sends the requests.
const CALL: &str = "call";
/// How long until a service that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(30);
/// Begins the names under which headers of the operator's travel beside what is injected.
const HEADER: &str = "header ";

/// What a service offers, as far as its plugin may use it.
pub(crate) struct Offered {
    /// Its tools.
    pub(crate) tools: Vec<Definition>,
    operations: Vec<Operation>,
    /// Its operations that are no tools, with the reason.
    left_out: Vec<(String, String)>,
    /// What it asks for that the plugin does not have.
    advice: Vec<String>,
    /// Why what is known of it is older, if it is.
    pub(crate) stale: Option<Failure>,
}

/// A service that can be called.
pub(crate) struct Service {
    component: Arc<Component>,
    operations: HashMap<String, Ready>,
    left_out: Vec<String>,
    advice: Vec<String>,
    session: Option<Session>,
}

/// One operation, ready to be called.
struct Ready {
    /// What the component is told.
    settings: Arc<BTreeMap<String, String>>,
    /// The arguments that are files.
    files: Vec<String>,
}

/// The services of a host: what is kept of their documents, and those that did not answer.
pub(crate) struct Services {
    egress: Arc<Egress>,
    /// None where nothing is kept.
    store: Option<Arc<Store>>,
    /// None where nothing is kept.
    sessions: Option<Arc<Sessions>>,
    /// Whether services are asked although their answers are known.
    afresh: bool,
    changed: watch::Sender<u64>,
    /// Those that did not answer, and who asks each of them again.
    awaited: Mutex<HashMap<PluginName, AbortHandle>>,
}

impl Services {
    /// Tells `changed` when a service that did not answer does.
    pub(crate) fn new(
        egress: Arc<Egress>,
        store: Option<Arc<Store>>,
        afresh: bool,
        changed: watch::Sender<u64>,
    ) -> Self {
        Self { egress, store, sessions: None, afresh, changed, awaited: Mutex::default() }
    }

    /// The same; what logging in gave is kept.
    pub(crate) fn with_sessions(self, sessions: Arc<Sessions>) -> Self {
        Self { sessions: Some(sessions), ..self }
    }

    /// How the host logs in at a service, if it has to.
    pub(crate) fn session(&self, service: &config::Service, wire: Arc<Wire>) -> Option<Session> {
        let login = service.login.clone()?;
        Some(Session::new(login, service.origin(), wire, self.sessions.clone()))
    }

    /// Where what services said is kept; none where nothing is.
    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        self.store.as_ref()
    }

    /// Forgets what was pinned of a service, so that what it offers next is.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub(crate) async fn forget(&self, plugin: &PluginName) -> Result<(), Failure> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        let plugin = plugin.clone();
        let forget = move || store.write(|write| pins::forget(write, plugin.as_str()));
        let forgotten = tokio::task::spawn_blocking(forget).await;
        let unkept = |error: String| Failure::new(Code::Internal, error);
        forgotten.map_err(|error| unkept(error.to_string()))?.map_err(|error| unkept(error.to_string()))
    }

    /// The way to a service.
    pub(crate) fn wire(&self, configured: &config::Plugin, secrets: &Arc<Secrets>) -> Arc<Wire> {
        Arc::new(Wire::new(configured, Arc::clone(&self.egress), Arc::clone(secrets)))
    }

    /// What a service offers.
    ///
    /// # Ambient authority
    /// Reads the file or asks the URL that the operator named.
    ///
    /// # Errors
    /// Its document cannot be had, or is none.
    pub(crate) async fn offered(
        &self,
        configured: &config::Plugin,
        service: &config::Service,
        wire: &Wire,
    ) -> Result<Offered, Failure> {
        match &service.known {
            Known::Request(request) => {
                let unusable = |reason| Failure::new(Code::PluginInvalid, reason);
                let made = openapi::request(configured.name.as_ref(), request, &configured.inject);
                let (tool, operation) = made.map_err(unusable)?;
                let (tools, operations) = (vec![tool], vec![operation]);
                Ok(Offered { tools, operations, left_out: Vec::new(), advice: Vec::new(), stale: None })
            }
            Known::Document(document) => {
                let documents = Documents::new(wire, self.store.as_ref(), self.afresh);
                let found = documents.read(service, document).await?;
                let (configured, service, document) = (configured.clone(), service.clone(), document.clone());
                let read = tokio::task::spawn_blocking(move || {
                    let offered = read(found, &configured, &service, &document);
                    // A large document is the most memory that a start takes.
                    ambient::give_freed_memory_back();
                    offered
                });
                read.await.map_err(|_| Failure::new(Code::Internal, "reading the document crashed"))?
            }
        }
    }

    /// The document at the URL that `configured` may ask for, without anybody's secrets. It is not kept.
    ///
    /// # Errors
    /// It cannot be had.
    pub(crate) async fn document(&self, configured: &config::Plugin) -> Result<(Value, Option<url::Url>), Failure> {
        let unfit = || Failure::new(Code::Internal, "there is no document to ask for");
        let service = configured.class.service().ok_or_else(unfit)?;
        let Known::Document(document) = &service.known else { return Err(unfit()) };
        let wire = self.wire(configured, &Arc::default());
        let documents = Documents::new(&wire, None, true);
        let found = documents.read(service, document).await?;
        Ok((found.value, found.at))
    }

    /// Asks a service that did not answer again and again, until it does: then its tools are there without anybody's doing.
    pub(crate) fn ask_again(self: &Arc<Self>, configured: &config::Plugin, service: &config::Service, wire: Arc<Wire>) {
        let name = configured.name.clone();
        let (services, configured, service) = (Arc::downgrade(self), configured.clone(), service.clone());
        let asking = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                let Some(services) = services.upgrade() else { return };
                if services.offered(&configured, &service, &wire).await.is_ok() {
                    services.changed.send_modify(|version| *version += 1);
                    return;
                }
            }
        });
        // As it is configured now, and no other way.
        if let Some(before) = self.awaited().insert(name, asking.abort_handle()) {
            before.abort();
        }
    }

    /// Asks no service again that is not among these.
    pub(crate) fn retain(&self, config: &config::Config) {
        let is_there = |name: &PluginName| config.plugins.iter().any(|plugin| plugin.name == *name && plugin.enabled);
        self.awaited().retain(|name, asking| {
            let stays = is_there(name) && !asking.is_finished();
            if !stays {
                asking.abort();
            }
            stays
        });
    }

    /// Asks a service no more that did not answer: it does, or is configured otherwise.
    pub(crate) fn stop_asking(&self, plugin: &PluginName) {
        if let Some(asking) = self.awaited().remove(plugin) {
            asking.abort();
        }
    }

    fn awaited(&self) -> MutexGuard<'_, HashMap<PluginName, AbortHandle>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tools of a document, of which those are left out that the plugin's grants do not let through. Blocks.
fn read(
    found: Found,
    configured: &config::Plugin,
    service: &config::Service,
    document: &config::Document,
) -> Result<Offered, Failure> {
    let Found { value, at, others, stale } = found;
    let injected = configured.inject.keys().map(|name| Injected { name: name.clone(), at: None }).collect();
    let options = Options {
        url: Some(service.url.clone()),
        document: at,
        others,
        naming: document.naming,
        include: document.include.clone(),
        exclude: document.exclude.clone(),
        injected,
        given_headers: given_headers(configured, service),
        optional_headers: match document.optional_headers {
            true => OptionalHeaders::Shown,
            false => OptionalHeaders::Hidden,
        },
    };
    let read = openapi::read(&value, &options);
    let read = read.map_err(|error| Failure::new(Code::PluginInvalid, error.to_string()))?;
    let logs_in = service.login.is_some();
    let advice = openapi::advice(&read, configured.name.as_ref(), &configured.grants.secrets, logs_in);
    let mut left_out: Vec<(String, String)> =
        read.left_out.into_iter().map(|left_out| (left_out.operation, left_out.reason)).collect();
    let (origin, mut tools, mut operations) = (service.origin(), Vec::new(), Vec::new());
    for tool in &read.tools {
        let method = &tool.operation().method;
        if configured.grants.net.names_method(method, &origin) {
            tools.push(tool.definition().clone());
            operations.push(tool.operation().clone());
        } else {
            let denial = configured.grants.net.decide(&NetRequest { method, url: &read.base }).err();
            let reason =
                denial.map_or_else(|| format!("`net` grants no {method}"), |denial| denial.reason().to_owned());
            left_out.push((format!("{method} {}", tool.path), reason));
        }
    }
    Ok(Offered { tools, operations, left_out, advice, stale })
}

/// Headers that the operator gives: as they are, or as the place of a secret.
fn given_headers(configured: &config::Plugin, service: &config::Service) -> BTreeSet<String> {
    let of_secrets = configured.grants.secrets.iter().filter_map(|secret| match &secret.binding.as_ref()?.placement {
        Placement::Header { name, .. } => Some(name.clone()),
        Placement::Basic { .. } => Some("authorization".to_owned()),
        Placement::Query { .. } => None,
    });
    let of_login = service.login.as_ref().map(|login| login.header.clone());
    service.headers.keys().cloned().chain(of_secrets).chain(of_login).collect()
}

impl Offered {
    /// The plugin as its tools are loaded: each may send only what its own method takes, and what is injected is part of
    /// its operation.
    pub(crate) fn held(&self, configured: &config::Plugin) -> config::Plugin {
        let mut held = configured.clone();
        held.inject = Map::new();
        for (tool, operation) in self.tools.iter().zip(&self.operations) {
            let effective = configured.rules_for(&tool.name);
            let every = configured.tools.get("*");
            let rule = held.tools.entry(tool.name.clone()).or_insert_with(|| {
                let section = every.map_or_else(
                    || Section::new(&configured.grants.table, &configured.grants.at),
                    |rule| rule.section.clone(),
                );
                config::ToolRule { section, ..config::ToolRule::default() }
            });
            rule.net = Some(narrowed_to(&effective.grants.net, &operation.method));
        }
        held
    }

    /// The service, ready to be called by way of `component`.
    ///
    /// # Errors
    /// An operation cannot be written down.
    pub(crate) fn service(
        self,
        configured: &config::Plugin,
        service: &config::Service,
        component: Arc<Component>,
        session: Option<Session>,
    ) -> Result<Service, Failure> {
        let unwritten = |error: serde_json::Error| Failure::new(Code::Internal, error.to_string());
        let mut injected: Map<String, Value> = configured.inject.clone();
        injected.extend(service.headers.iter().map(|(name, value)| (format!("{HEADER}{name}"), value.as_str().into())));
        let injected = serde_json::to_string(&injected).map_err(unwritten)?;
        let base = service.origin().to_string();
        let mut ready = HashMap::new();
        for (tool, mut operation) in self.tools.iter().zip(self.operations) {
            let files = openapi::file_arguments(&operation).into_iter().map(str::to_owned).collect();
            operation.parameters.extend(service.headers.keys().map(|name| header(name)));
            let limits = configured.rules_for(&tool.name).limits;
            let told = [
                ("operation", serde_json::to_string(&operation).map_err(unwritten)?),
                ("base", base.clone()),
                ("injected", injected.clone()),
                ("max_body", limits.http_response_body.to_string()),
                ("timeout_ms", limits.time.as_millis().to_string()),
            ];
            let told = told.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            ready.insert(tool.name.clone(), Ready { settings: Arc::new(told), files });
        }
        Ok(Service { component, operations: ready, left_out: grouped(&self.left_out), advice: self.advice, session })
    }
}

/// A header of the operator's.
fn header(name: &str) -> Parameter {
    Parameter {
        from: Source::Injected(format!("{HEADER}{name}")),
        name: name.to_owned(),
        at: Location::Header,
        style: Style::Simple,
        explode: false,
        reserved: false,
    }
}

/// What is left out, a line for each reason.
fn grouped(left_out: &[(String, String)]) -> Vec<String> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (operation, reason) in left_out {
        reasons.entry(reason).or_default().push(operation);
    }
    let line = |(reason, operations): (&str, Vec<&str>)| match operations.as_slice() {
        [first] => format!("`{first}` is no tool: {reason}"),
        [first, rest @ ..] => format!("`{first}` and {} more are no tools: {reason}", rest.len()),
        [] => String::new(),
    };
    reasons.into_iter().map(line).collect()
}

impl Service {
    /// What the component is told for one tool.
    pub(crate) fn settings(&self, tool: &str) -> Option<&Arc<BTreeMap<String, String>>> {
        self.operations.get(tool).map(|ready| &ready.settings)
    }

    /// Its operations that are no tools, a line for each reason.
    pub(crate) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// What it asks for that the plugin does not have, with the lines that would give it.
    pub(crate) fn advice(&self) -> &[String] {
        &self.advice
    }

    /// Runs one operation. Where the service refuses it, the host logs in, if it can, and asks once more.
    ///
    /// # Errors
    /// Why there is no result.
    pub(crate) async fn call(&self, permitted: &Permitted, context: &Arc<CallContext>) -> Result<Output, Failure> {
        let Some(session) = &self.session else { return self.attempt(permitted, context).await };
        let known = session.current().await;
        let first = match &known {
            Some(credential) => self.attempt_with(session, credential, permitted, context).await,
            None => self.attempt(permitted, context).await,
        };
        match first {
            Err(failure) if failure.code == Code::UpstreamAuth => {
                let fresh = tokio::select! {
                    biased;
                    fresh = session.renewed(known.as_ref()) => fresh?,
                    () = context.deadline.passed() => return Err(runtime::timed_out(context)),
                };
                self.attempt_with(session, &fresh, permitted, context).await
            }
            other => other,
        }
    }

    async fn attempt_with(
        &self,
        session: &Session,
        credential: &zeroize::Zeroizing<String>,
        permitted: &Permitted,
        context: &Arc<CallContext>,
    ) -> Result<Output, Failure> {
        let inner = session.with(context, credential)?;
        let result = self.attempt(permitted, &inner).await;
        context.ledger.absorb(&inner.ledger);
        result
    }

    async fn attempt(&self, permitted: &Permitted, context: &Arc<CallContext>) -> Result<Output, Failure> {
        let ready = self.operations.get(&permitted.tool().definition.name);
        let files: Vec<&str> = ready.iter().flat_map(|ready| &ready.files).map(String::as_str).collect();
        let arguments = files_in(&files, &permitted.arguments().text, context).await?;
        runtime::call_as(&self.component, permitted, (CALL, &arguments), &Directories::default(), context).await
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_core::config::{Config, Source as File, read};

    use super::*;
    use crate::resolver::Resolver;

    fn config(text: &str) -> Config {
        let source = File { name: "bailiwick.toml".to_owned(), text: text.to_owned(), base: "/".into() };
        read(&source, &|_| None).unwrap()
    }

    #[tokio::test]
    async fn a_service_is_asked_again_as_it_is_configured_now_and_not_once_it_is_gone() {
        let egress = Arc::new(Egress::new(Resolver::default(), &[]).unwrap());
        let services = Arc::new(Services::new(egress, None, false, watch::Sender::new(0)));
        let with = |url: &str| config(&format!("[plugins.shop]\nopenapi = {{ url = \"{url}\" }}\nnet = [\"{url}\"]"));
        let ask = |config: &Config| {
            let plugin = &config.plugins[0];
            let wire = services.wire(plugin, &Arc::default());
            services.ask_again(plugin, plugin.class.service().unwrap(), wire);
            services.awaited().values().next().unwrap().clone()
        };
        let ended = async |asking: &AbortHandle| {
            while !asking.is_finished() {
                tokio::task::yield_now().await;
            }
        };
        let (before, now) = (with("http://127.0.0.1:1"), with("http://127.0.0.1:2"));
        let first = ask(&before);
        let second = ask(&now);
        ended(&first).await;
        services.retain(&now);
        assert!(!second.is_finished() && services.awaited().len() == 1);
        services.retain(&config(""));
        ended(&second).await;
        assert!(services.awaited().is_empty());
        let third = ask(&now);
        services.stop_asking(&now.plugins[0].name);
        ended(&third).await;
    }
}
