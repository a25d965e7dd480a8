//! A host against real children that speak MCP well, badly or not at all.

mod answers;
mod endings;
mod starts;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use bailiwick_core::call::{Call, CallId, Caller};
use bailiwick_core::config::{Effective, Lifetime};
use bailiwick_core::context::{Catalogue, Contexts, Family, Offer, Prompt, PromptArgument, Wanted};
use bailiwick_core::grant::{Grants, Limits};
use bailiwick_core::name::{PluginName, ToolName};
use bailiwick_core::outcome::{Failure, Output, ResourceLink};
use bailiwick_core::policy::{Permitted, Verdict, permit_wanted};
use bailiwick_core::registry::{Annotations, Candidate, Definition, Naming, Registry, Risk, Role, Tool};
use bailiwick_core::schema::ArgumentSchema;

use super::{Launcher, Patience, Server, Settings, Streams, Way};
use crate::artifact::Artifacts;
use crate::channel::{Able, Answer, Channel, Matter, Question};
use crate::context::{CallContext, Ledger};
use crate::deadline::Deadline;
use crate::egress::Egress;
use crate::keeper::Ended;
use crate::resolver::{FixedNames, Resolver};
use crate::secrets::Secrets;
use crate::telemetry::Trail;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bridge/tests/server.py");

/// Starts the test server, or what else a test wants to start, and counts.
struct Child {
    argv: Vec<String>,
    starts: Arc<AtomicU32>,
}

impl Launcher for Child {
    #[expect(clippy::disallowed_methods, reason = "a test's own child")]
    fn launch(&self) -> BoxFuture<'_, Result<Streams, String>> {
        Box::pin(async {
            self.starts.fetch_add(1, Ordering::SeqCst);
            let mut command = tokio::process::Command::new(&self.argv[0]);
            command.args(&self.argv[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.kill_on_drop(true).spawn().map_err(|error| error.to_string())?;
            let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let (token, (tell, ended)) = (CancellationToken::new(), watch::channel(None));
            let released = token.clone();
            tokio::spawn(async move {
                let status = tokio::select! {
                    status = child.wait() => status,
                    () = released.cancelled() => {
                        let _ = child.start_kill();
                        child.wait().await
                    }
                };
                let signal = status.as_ref().ok().and_then(std::os::unix::process::ExitStatusExt::signal);
                let code = status.ok().and_then(|status| status.code());
                tell.send_replace(Some(Ended { code, signal, over: None }));
            });
            Ok(Streams {
                stdin: Box::new(stdin.unwrap()),
                stdout: Box::new(stdout.unwrap()),
                stderr: Some(Box::new(stderr.unwrap())),
                ended,
                leash: Box::new(token.drop_guard()),
            })
        })
    }
}

/// A server with what a test needs to know of it.
struct World {
    server: Arc<Server>,
    starts: Arc<AtomicU32>,
    channel: Channel,
    time: Duration,
    caller: String,
    session: Option<Arc<str>>,
    /// What callers are told of the tools, where that is more than a name.
    told: Vec<Definition>,
}

impl World {
    fn new(mode: &str) -> Self {
        Self::with(mode, |_| {})
    }

    fn with(mode: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let argv = ["/usr/bin/python3", SCRIPT].into_iter().chain(mode.split(' '));
        Self::of(argv.map(str::to_owned).collect(), change)
    }

    fn of(argv: Vec<String>, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            plugin: PluginName::parse("other").unwrap(),
            at: "bailiwick.toml:1".to_owned(),
            idle: Duration::from_secs(300),
            lifetime: Lifetime::Pooled,
            start_time: Duration::from_secs(20),
            patience: Patience {
                first: Duration::from_millis(20),
                rest: Duration::from_secs(30),
                ..Patience::default()
            },
        };
        change(&mut settings);
        let starts = Arc::new(AtomicU32::new(0));
        let launcher = Child { argv, starts: Arc::clone(&starts) };
        let server = Server::new(settings, Way::Child(Arc::new(launcher)));
        let (channel, time) = (Channel::default(), Duration::from_secs(20));
        Self { server, starts, channel, time, caller: "test".to_owned(), session: None, told: Vec::new() }
    }

    fn starts(&self) -> u32 {
        self.starts.load(Ordering::SeqCst)
    }

    fn context(&self, tool: &str) -> Arc<CallContext> {
        let limits = Limits { time: self.time, ..Limits::DEFAULT };
        let grants =
            Grants { table: "plugins.other".to_owned(), at: "bailiwick.toml:1".to_owned(), ..Grants::default() };
        let effective = Effective { grants: grants.into(), limits, ..Effective::default() };
        let egress = Egress::new(Resolver::Fixed(Arc::new(FixedNames::default())), &[]).unwrap();
        Arc::new(CallContext {
            id: CallId::new("test-1"),
            plugin: PluginName::parse("other").unwrap(),
            tool: ToolName::parse(tool).unwrap(),
            deadline: Arc::new(Deadline::new(self.time)),
            effective: Arc::new(effective),
            config: Arc::new(BTreeMap::new()),
            secrets: Arc::new(Secrets::load(&[], "bailiwick.toml:1").unwrap()),
            egress: Arc::new(egress),
            artifacts: Arc::new(Artifacts::new("/does/not/exist".into())),
            channel: self.channel.clone(),
            door: None,
            trail: Trail::default(),
            ledger: Ledger::default(),
        })
    }

    async fn ask(&self, wanted: Wanted, tool: &str, arguments: &Value) -> Result<Output, Failure> {
        let context = self.context("tool");
        self.server.call(&self.permitted(wanted, tool, arguments), &context).await
    }

    async fn call(&self, tool: &str, arguments: Value) -> Result<Output, Failure> {
        self.ask(Wanted::Tool, tool, &arguments).await
    }

    /// What came of a call, in one line.
    async fn told(&self, tool: &str, arguments: Value) -> String {
        match self.call(tool, arguments).await {
            Ok(output) => output.plain(),
            Err(failure) => format!("{}: {}", failure.code, failure.message),
        }
    }

    fn permitted(&self, wanted: Wanted, name: &str, arguments: &Value) -> Permitted {
        let call = Call {
            id: CallId::new("test-1"),
            tool: name.to_owned(),
            arguments: arguments.to_string(),
            caller: Arc::new(Caller::operator(&self.caller)),
            trace: None,
            session: self.session.clone(),
        };
        let mut tool = tool(name);
        if let Some(told) = self.told.iter().find(|told| told.name == name) {
            tool.definition = told.clone();
        }
        let mut registry =
            Registry::new(vec![Candidate { tool, aliases: Vec::new(), naming: Naming::default() }]).unwrap();
        registry.contexts = Contexts::new(vec![offer()]);
        match permit_wanted(&registry, wanted, call) {
            Verdict::Permitted(permitted) => *permitted,
            refused @ (Verdict::Ask(_) | Verdict::Denied { .. }) => panic!("{refused:?}"),
        }
    }

    /// Answers every question with what `answer` makes of it, and notes what was asked.
    fn answering(
        &mut self,
        able: Able,
        answer: impl Fn(&Matter) -> Answer + Send + 'static,
    ) -> mpsc::UnboundedReceiver<(String, Matter)> {
        let (questions, mut open) = mpsc::channel::<Question>(1);
        let (note, noted) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(question) = open.recv().await {
                let _ = note.send((question.key.clone(), question.matter.clone()));
                let _ = question.reply.send(answer(&question.matter));
            }
        });
        (self.channel.questions, self.channel.able) = (Some(questions), able);
        noted
    }
}

fn tool(name: &str) -> Tool {
    let schema = r#"{"type":"object"}"#;
    Tool {
        name: ToolName::parse(name).unwrap_or_else(|_| ToolName::parse("other").unwrap()),
        plugin: PluginName::parse("other").unwrap(),
        plugin_index: 0,
        definition: Definition {
            name: name.to_owned(),
            title: None,
            description: String::new(),
            input_schema: schema.to_owned(),
            output_schema: None,
            annotations: Annotations::default(),
            risk: Risk::Medium,
        },
        effective: Arc::new(Effective { allowed: true, ..Effective::default() }),
        arguments: ArgumentSchema::compile(schema, &[], serde_json::Map::new()).unwrap(),
        results: None,
        brief: None,
        grants_digest: String::new(),
        annotations: Annotations::default(),
        not_configured: None,
        role: Role::Single,
    }
}

/// What the test server gives beside tools, as a host that loaded it knows it.
fn offer() -> Offer {
    let who = PromptArgument { name: "who".to_owned(), title: None, description: None, required: true };
    let prompt =
        Prompt { name: "greet_once".to_owned(), title: None, description: String::new(), arguments: vec![who] };
    let link = |uri: &str| ResourceLink { uri: uri.to_owned(), name: "a".to_owned(), ..ResourceLink::default() };
    let family = Family {
        uri_template: "test://{id}/b".to_owned(),
        name: "t".to_owned(),
        title: None,
        description: None,
        mime_type: None,
    };
    Offer {
        plugin: PluginName::parse("other").unwrap(),
        catalogue: Catalogue {
            prompts: vec![prompt],
            resources: vec![link("test://a"), link("test://gone")],
            templates: vec![family],
        },
        prompts: vec![tool("greet_once")],
        reader: Arc::new(tool("reader")),
        completer: Arc::new(tool("completer")),
    }
}

const ABLE: Able = Able { input: true, sample: true, roots: true };

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn nothing() -> Value {
    json!({})
}
