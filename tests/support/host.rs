//! A real host on a configuration of a test's own, in a folder of its own.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bailiwick::audit::{Archive, Filter};
use bailiwick::channel::Channel;
use bailiwick::host::Host;
use bailiwick::load::{Setup, StartError};
use bailiwick::resolver::{FixedNames, Resolver};
use bailiwick::runtime::Compiler;
use bailiwick_core::call::{Call, Caller, Selector};
use bailiwick_core::config::{Config, Source, read, render};
use bailiwick_core::lock::Lock;
use bailiwick_core::outcome::{Content, Outcome, ResourceBody};
use bailiwick_core::trace::TraceContext;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Mutex;

/// Where what tests have in common lives: compiled guests, and folders of their own.
const COMMON: &str = env!("CARGO_TARGET_TMPDIR");
/// All test hosts have one key, so that a guest is compiled once and not once a test.
const KEY: [u8; 32] = *b"the tests' own key, not a secret";

/// Hosts start one after the other: the first to need a guest compiles it, the rest find it compiled.
static START: Mutex<()> = Mutex::const_new(());

/// A folder with the guests in it, ready to be a host's.
pub(crate) struct World {
    folder: TempDir,
    names: Option<HashMap<String, Vec<Vec<IpAddr>>>>,
    env: HashMap<String, String>,
    host_keys: String,
    cache: PathBuf,
    compiler: Compiler,
    observe: bool,
}

impl World {
    /// An empty one: no names, no environment.
    pub(crate) fn new() -> Self {
        super::log::capture();
        let folder =
            tempfile::Builder::new().prefix("world-").tempdir_in(COMMON).expect("the folder of tests can be written");
        for (name, component) in crate::GUESTS {
            std::os::unix::fs::symlink(component, folder.path().join(format!("{name}.wasm")))
                .expect("a link can be made");
        }
        let state = folder.path().join("state");
        std::fs::create_dir(&state).expect("a folder can be made");
        write_private(&state.join("host.key"), &KEY);
        let cache = Path::new(COMMON).join("cache");
        Self {
            folder,
            names: Some(HashMap::new()),
            env: HashMap::new(),
            host_keys: String::new(),
            cache,
            compiler: Compiler::InProcess,
            observe: false,
        }
    }

    /// What plugins are refused is written down.
    pub(crate) fn observed(mut self) -> Self {
        self.observe = true;
        self
    }

    /// The folder of the configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder for compiled components.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Lines of the table `[host]`, as they were given.
    pub(crate) fn host_lines(&self) -> &str {
        &self.host_keys
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
        self
    }

    /// Makes a folder.
    pub(crate) fn folder(self, name: &str) -> Self {
        std::fs::create_dir_all(self.path(name)).expect("a folder can be made");
        self
    }

    /// Makes a folder its owner's alone.
    pub(crate) fn private(self, name: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o700)).expect("a mode can be set");
        self
    }

    /// Makes a symbolic link.
    pub(crate) fn link(self, target: impl AsRef<Path>, name: &str) -> Self {
        std::os::unix::fs::symlink(target, self.path(name)).expect("a link can be made");
        self
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn secret(self, name: &str, value: &str) -> Self {
        write_private(&self.path(name), value.as_bytes());
        self
    }

    /// A name with its addresses, the same at every look-up.
    pub(crate) fn name(self, name: &str, addresses: &[&str]) -> Self {
        self.names(name, &[addresses])
    }

    /// A name with its addresses: each look-up takes the next list, the last one stays.
    pub(crate) fn names(mut self, name: &str, answers: &[&[&str]]) -> Self {
        let address = |text: &&str| text.parse().expect("an address");
        let answers = answers.iter().map(|addresses| addresses.iter().map(address).collect()).collect();
        self.names.get_or_insert_default().insert(name.to_owned(), answers);
        self
    }

    /// The operating system's resolver.
    pub(crate) fn system_names(mut self) -> Self {
        self.names = None;
        self
    }

    /// A variable the configuration can name.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Lines of the table `[host]`.
    pub(crate) fn host_keys(mut self, lines: &str) -> Self {
        self.host_keys.push_str(lines);
        self
    }

    /// Foreign components are compiled by children that run this program.
    pub(crate) fn compiled_by(mut self, program: impl Into<PathBuf>) -> Self {
        self.compiler = Compiler::Child { program: program.into() };
        self
    }

    /// A folder for compiled components that no other test uses.
    pub(crate) fn own_cache(mut self) -> Self {
        self.cache = self.path("cache");
        self
    }

    /// The records of the audit, as they were written.
    pub(crate) fn recorded(&self) -> Vec<String> {
        let archive = Archive::open(&self.path("state/audit.db")).expect("it can be read").expect("there is an audit");
        let rows = archive.records(&Filter::default(), 0, u32::MAX).expect("it can be read");
        rows.into_iter().map(|row| row.record).collect()
    }

    /// The records of the audit.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.recorded().iter().map(|record| serde_json::from_str(record).expect("a record is JSON")).collect()
    }

    /// The configuration: the test's text, then `[host]`, so that lines keep their numbers.
    pub(crate) fn config(&self, text: &str) -> Result<Config, String> {
        let state = self.path("state");
        let text = format!("{text}\n[host]\nstate = {state:?}\ncache = {:?}\n{}", self.cache, self.host_keys);
        let source = Source { name: "bailiwick.toml".to_owned(), text, base: self.folder.path().to_owned() };
        let mut config =
            read(&source, &|name| self.env.get(name).cloned()).map_err(|mistakes| render(&source, &mistakes))?;
        config.lock = std::fs::read_to_string(self.path("bailiwick.lock")).ok().map(|text| {
            let source = Source { name: "bailiwick.lock".to_owned(), text, base: self.folder.path().to_owned() };
            Arc::new(Lock::read(&source).unwrap_or_else(|mistakes| panic!("{}", render(&source, &mistakes))))
        });
        Ok(config)
    }

    /// Starts a host, whatever became of its plugins.
    pub(crate) async fn try_start(self, text: &str) -> Result<TestHost, StartError> {
        let config = self.config(text).unwrap_or_else(|mistakes| panic!("the configuration is wrong:\n{mistakes}"));
        let table = self.names.clone().map(|names| Arc::new(FixedNames { names, ..FixedNames::default() }));
        let resolver = table.clone().map_or(Resolver::System, Resolver::Fixed);
        let started = {
            let _one_at_a_time = START.lock().await;
            let (compiler, observe) = (self.compiler.clone(), self.observe);
            Host::start(&config, Setup { resolver, compiler, observe, ..Setup::default() }).await?
        };
        let caller = Arc::new(Caller::operator("test"));
        Ok(TestHost { host: Arc::new(started), world: self, table, caller, channel: Channel::default(), trace: None })
    }

    /// Starts a host all of whose plugins are there.
    pub(crate) async fn start(self, text: &str) -> TestHost {
        let host = self.try_start(text).await.unwrap_or_else(|error| panic!("the host does not start: {error}"));
        let problems: Vec<String> = host.host.snapshot().problems.iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{problems:#?}");
        host
    }
}

fn write_private(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).expect("a file can be written");
}

/// A running host.
pub(crate) struct TestHost {
    pub(crate) host: Arc<Host>,
    pub(crate) world: World,
    table: Option<Arc<FixedNames>>,
    caller: Arc<Caller>,
    pub(crate) channel: Channel,
    trace: Option<TraceContext>,
}

impl TestHost {
    /// A host that needs nothing of the world but its guests.
    pub(crate) async fn new(text: &str) -> Self {
        World::new().start(text).await
    }

    /// Who calls from here on.
    pub(crate) fn caller(mut self, name: &str, tools: &[&str]) -> Self {
        let tools = Selector::of(tools.iter().copied());
        self.caller = Arc::new(Caller { tools, ..Caller::operator(name) });
        self
    }

    /// The same, with all rights of its own.
    pub(crate) fn called_by(mut self, caller: Caller) -> Self {
        self.caller = Arc::new(caller);
        self
    }

    /// Who calls.
    pub(crate) fn who(&self) -> Arc<Caller> {
        Arc::clone(&self.caller)
    }

    /// The way back to whoever calls from here on.
    pub(crate) fn channel(mut self, channel: Channel) -> Self {
        self.channel = channel;
        self
    }

    /// What trace the calls from here on are part of.
    pub(crate) fn traced(mut self, parent: &str, state: Option<&str>) -> Self {
        self.trace = Some(TraceContext::read(parent, state).expect("it is a parent"));
        self
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Outcome {
        self.call_text(tool, &arguments.to_string()).await
    }

    /// Calls a tool with arguments as text.
    pub(crate) async fn call_text(&self, tool: &str, arguments: &str) -> Outcome {
        let (id, caller) = (self.host.new_call_id(), Arc::clone(&self.caller));
        let (tool, arguments, trace) = (tool.to_owned(), arguments.to_owned(), self.trace.clone());
        let call = Call { id, tool, arguments, caller, trace, session: None };
        self.host.call(call, self.channel.clone()).await
    }

    /// Calls a tool and gives what came of it as text.
    pub(crate) async fn told(&self, tool: &str, arguments: Value) -> String {
        told(&self.call(tool, arguments).await)
    }

    /// Calls a tool that has to succeed, and gives its structured result.
    pub(crate) async fn value(&self, tool: &str, arguments: Value) -> Value {
        let outcome = self.call(tool, arguments).await;
        let output = outcome.result.unwrap_or_else(|failure| panic!("{}: {failure}", failure.code));
        output.structured.expect("the result is structured")
    }

    /// Replaces the configuration.
    pub(crate) async fn reload(&self, text: &str) {
        let config =
            self.world.config(text).unwrap_or_else(|mistakes| panic!("the configuration is wrong:\n{mistakes}"));
        self.host.reload(&config).await;
    }

    /// The names callers see.
    pub(crate) fn listed(&self) -> Vec<String> {
        self.host.list(&self.caller).into_iter().map(|(name, _)| name.to_string()).collect()
    }

    /// The schema a caller sees.
    pub(crate) fn schema(&self, tool: &str) -> Value {
        let found = self.host.list(&self.caller).into_iter().find(|(name, _)| name.to_string() == tool);
        found.unwrap_or_else(|| panic!("`{tool}` is not listed")).1.arguments.visible().clone()
    }

    /// Plugins that are left out, and why.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.host.snapshot().problems.iter().map(ToString::to_string).collect()
    }

    /// How often a name was looked up.
    pub(crate) fn lookups(&self) -> usize {
        self.table.as_ref().map_or(0, |table| table.lookups.load(Ordering::SeqCst))
    }

    /// Ends the host: then all that was observed is written down.
    pub(crate) fn end(self) -> World {
        let Self { host, world, .. } = self;
        drop(Arc::into_inner(host).expect("nothing else holds the host"));
        world
    }

    /// Ends the host and gives its audit records, one for each call: ending it is what makes the last one be written.
    pub(crate) fn audit(self) -> Vec<Value> {
        let mut records = self.end().records();
        records.retain(|record| record["outcome"] != "begun");
        records
    }
}

/// An outcome as text: `ok: …` or `CODE: message; fix`, then one line for each refusal on the way.
pub(crate) fn told(outcome: &Outcome) -> String {
    let mut text = match &outcome.result {
        Err(failure) => format!("{}: {failure}", failure.code),
        Ok(output) => {
            let mut pieces: Vec<String> = output.content.iter().map(piece).collect();
            pieces.extend(output.structured.as_ref().map(|value| format!("= {value}")));
            format!("ok: {}", pieces.join(" | "))
        }
    };
    let own = outcome.result.as_ref().err();
    for denial in outcome.denials.iter().filter(|denial| Some(*denial) != own) {
        write!(text, "\n  on the way {}: {denial}", denial.code).expect("a String takes everything");
    }
    text
}

fn piece(content: &Content) -> String {
    match content {
        Content::Text(text) => text.clone(),
        Content::Image(media) => format!("[image {} {}]", media.mime_type, String::from_utf8_lossy(&media.data)),
        Content::Audio(media) => format!("[audio {} {}]", media.mime_type, String::from_utf8_lossy(&media.data)),
        Content::Resource(resource) => match &resource.body {
            ResourceBody::Text(text) => format!("[resource {} {text}]", resource.uri),
            ResourceBody::Blob(blob) => format!("[resource {} {}]", resource.uri, String::from_utf8_lossy(blob)),
        },
        Content::Link(link) => format!("[link {} {} {:?}]", link.uri, link.name, link.size),
    }
}
