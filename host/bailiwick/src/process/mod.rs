//! Native programs as tools: command lines, scripts of the operator's, agents. There are none unless the operator writes
//! a `process` table.
//!
//! Every program is started by the keeper, in a cage that holds it to its plugin's grants; nothing here starts one, and
//! nothing here decides what it can reach. What is here makes a call's arguments into words and a stream's bytes into an
//! answer. All of these tools are high risk, so a person is asked unless the operator says otherwise.

mod agent;
mod output;
mod scripts;
mod shell;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use bailiwick_core::config::{self, Process, ProcessKind, Sandbox, Trust};
use bailiwick_core::context::{Catalogue, Wanted};
use bailiwick_core::grant::fs::Roots;
use bailiwick_core::grant::limit::Size;
use bailiwick_core::grant::{Access, Want, Witness};
use bailiwick_core::name::PluginName;
use bailiwick_core::outcome::{Code, Failure, Output};
use bailiwick_core::policy::Permitted;
use bailiwick_core::redact::quotable;
use bailiwick_core::registry::{Annotations, Definition, Risk};

use self::output::Spool;
use self::scripts::Scripts;
use self::watch::{Ran, Streams, attend};
use crate::context::CallContext;
use crate::egress::proxy;
use crate::keeper::{Ended, Keeper, LaunchError, Order, Over};
use crate::runtime::{ComponentDigest, Described};

/// Longest single argument of a program; Linux takes no longer one.
const MAX_ARGUMENT: usize = (128 << 10) - 1;
/// What of a command line stands in a message.
const MAX_QUOTED: usize = 200;
/// The most seconds a call may ask for.
const MAX_TIMEOUT: u64 = 600;

/// The native programs of one plugin.
#[derive(Debug)]
pub(crate) struct Programs {
    plugin: PluginName,
    process: Process,
    /// The seconds a call may ask for.
    most_time: u64,
    scripts: Scripts,
    digest: ComponentDigest,
    keeper: Option<Arc<Keeper>>,
}

impl Programs {
    /// Makes tools of what the operator wrote; without a `keeper` they can be looked at and not be called.
    ///
    /// # Errors
    /// A folder of scripts that cannot be read, or that others may write to; in a sentence.
    pub(crate) async fn read(
        configured: &config::Plugin,
        process: &Process,
        keeper: Option<Arc<Keeper>>,
    ) -> Result<Self, String> {
        let scripts = match process.folder.clone() {
            Some(folder) => tokio::task::spawn_blocking(move || Scripts::read(&folder))
                .await
                .unwrap_or_else(|_| Err("reading its scripts crashed; the log says more".to_owned()))?,
            None => Scripts::default(),
        };
        for skipped in &scripts.skipped {
            tracing::warn!(plugin = %configured.name, "{skipped}");
        }
        let most_time = configured.limits.time.as_secs().clamp(1, MAX_TIMEOUT);
        let digest = digest(process, &scripts);
        let (plugin, process) = (configured.name.clone(), process.clone());
        Ok(Self { plugin, process, most_time, scripts, digest, keeper })
    }

    /// The tools.
    pub(crate) fn described(&self) -> Described {
        let tools = match self.process.kind {
            ProcessKind::Bash => vec![shell::bash(self.most_time)],
            ProcessKind::SandboxExec => vec![shell::sandbox_exec(self.most_time, self.process.trust)],
            ProcessKind::StdExecuteCode => vec![shell::std_execute_code(self.plugin.as_str())],
            ProcessKind::CodeAgent | ProcessKind::Opencode => {
                vec![agent::definition_of(self.process.kind.as_str(), self.most_time, self.process.trust)]
            }
            ProcessKind::Scripts => self.scripts.definitions(),
        };
        Described { tools, context: Catalogue::default() }
    }

    /// Of what runs: the command as the operator wrote it and, of scripts, what each of them says.
    pub(crate) fn digest(&self) -> ComponentDigest {
        self.digest
    }

    /// The command, as a person would write it, or the folder of the scripts.
    pub(crate) fn source(&self) -> String {
        match &self.process.folder {
            Some(folder) => folder.display().to_string(),
            None => self.process.launch.to_string(),
        }
    }

    /// Runs a tool. The proof that policy let it through is the argument. To drop the future ends the program, and all it
    /// started.
    ///
    /// # Errors
    /// Why there is no result.
    pub(crate) async fn call(&self, permitted: &Permitted, context: &Arc<CallContext>) -> Result<Output, Failure> {
        match permitted.wanted() {
            Wanted::Tool => {}
            Wanted::Prompt(_) | Wanted::Resource(_) | Wanted::Completion { .. } => {
                return Err(Failure::new(Code::PluginInvalid, "the plugin gives no prompts and resources"));
            }
        }
        let text = permitted.arguments().text.as_str();
        let arguments = Arguments::read(text)?;
        match self.process.kind {
            ProcessKind::Bash => self.bash(&arguments, context).await,
            ProcessKind::SandboxExec => self.sandbox_exec(&arguments, context).await,
            ProcessKind::StdExecuteCode => self.std_execute_code(&arguments, context).await,
            ProcessKind::CodeAgent | ProcessKind::Opencode => self.agent(&arguments, context).await,
            ProcessKind::Scripts => self.script(&permitted.tool().definition.name, text, context).await,
        }
    }

    /// Starts a program and waits for its end, or for the end of its time.
    async fn run(&self, task: Task<'_>, context: &Arc<CallContext>) -> Result<Said, Failure> {
        let work = async {
            let order = Order {
                plugin: self.plugin.clone(),
                arguments: task.arguments,
                variables: variables(context),
                cwd: task.workdir,
            };
            let keeper = self.keeper.as_ref().ok_or_else(|| not_started(&LaunchError::Gone))?;
            let mut running = keeper.launch(order).await.map_err(|error| not_started(&error))?;
            let way_out = running.proxy.take().filter(|_| task.network);
            let attended = attend(Streams::from(running), task.input, task.keep);
            Ok::<Ran, Failure>(match way_out {
                None => attended.await,
                Some(listener) => tokio::select! {
                    ran = attended => ran,
                    never = serve(listener, Arc::clone(context)) => match never {},
                },
            })
        };
        let time = tokio::time::sleep(task.time.unwrap_or(context.effective.limits.time));
        let ran = tokio::select! {
            biased;
            ran = work => ran?,
            () = time => return Err((task.timed_out)(task.time.unwrap_or(context.effective.limits.time))),
            () = context.deadline.passed() => return Err((task.timed_out)(context.effective.limits.time)),
        };
        let Some(ended) = ran.ended else {
            return Err(Failure::new(Code::ToolFailed, format!("nobody knows how `{}` ended", context.tool)));
        };
        match ended.over {
            None => Ok(Said { stdout: ran.stdout, stderr: ran.stderr, ended }),
            Some(over) => Err(too_much(over, context)),
        }
    }

    /// Where a call works: where it asks to, or else in the operator's own place for it.
    fn workdir(&self, asked: Option<&str>, context: &CallContext) -> Result<Option<PathBuf>, Failure> {
        let grants = &context.effective.grants;
        let writable = grants.fs.iter().find(|grant| grant.access == Access::ReadWrite);
        let granted = writable.or_else(|| grants.fs.first()).map(|grant| grant.host.clone());
        let workspace = self.process.launch.cwd.clone().or(granted);
        let Some(asked) = asked else { return Ok(workspace) };
        let base = workspace.clone().unwrap_or_else(|| PathBuf::from("/"));
        let found = Roots { base: &base, home: None }.resolve(asked);
        let path =
            found.map_err(|flaw| Failure::new(Code::ArgumentsInvalid, format!("`workdir`: {}", flaw.message)))?;
        let is_within = workspace.is_some_and(|workspace| path.starts_with(workspace));
        match self.process.launch.sandbox {
            Sandbox::Off if is_within => Ok(Some(path)),
            Sandbox::Off => {
                let message = format!("`{}` lies outside of `cwd`", quotable(asked, MAX_QUOTED));
                Err(noted(Failure::new(Code::DeniedFsRead, message), context))
            }
            Sandbox::Required => within_grants(&path, context).map(|()| Some(path)),
        }
    }

    /// Refuses a command by its look.
    fn looks_harmless(&self, command: &str, context: &CallContext) -> Result<(), Failure> {
        let Some(refusal) = self.process.deny.refuses(command) else { return Ok(()) };
        let message = format!("Command denied by security policy: {refusal}");
        Err(noted(Failure::new(Code::DeniedProcess, message), context))
    }

    /// Refuses more trust than the operator has.
    fn trusted(&self, asked: Trust, context: &CallContext) -> Result<Trust, Failure> {
        let (granted, grants) = (self.process.trust, &context.effective.grants);
        let (tool, plugin) = (&context.tool, &self.plugin);
        let place = format!("of `process` under `[plugins.{plugin}]` ({})", grants.at);
        let refused = |message: String, fix: String| {
            Err(noted(Failure::new(Code::DeniedProcess, message).with_fix(fix), context))
        };
        let asked_for = asked.as_str();
        if asked > granted {
            let message =
                format!("`{tool}` may not run as `{asked_for}`: the operator trusts it as `{}`", granted.as_str());
            return refused(message, format!("set `trust = \"{asked_for}\"` {place}"));
        }
        match (asked, self.process.launch.sandbox) {
            (Trust::Sandboxed, Sandbox::Off) => {
                let message = format!("`{tool}` cannot run as `{asked_for}`: the operator took its sandbox away");
                refused(message, format!("take `sandbox = \"off\"` out {place}"))
            }
            (Trust::Sandboxed, Sandbox::Required) | (Trust::Trusted, _) => Ok(asked),
        }
    }
}

/// What is to be run.
struct Task<'a> {
    /// After the operator's own words.
    arguments: Vec<String>,
    workdir: Option<PathBuf>,
    input: &'a [u8],
    /// Less than the call's own time; none leaves it at that.
    time: Option<Duration>,
    /// Whether it has the network that is granted.
    network: bool,
    /// How much of its output and of what it says beside is kept.
    keep: (usize, usize),
    /// What is said when its time is up.
    timed_out: &'a (dyn Fn(Duration) -> Failure + Send + Sync),
}

/// What a program that came to its end said.
struct Said {
    stdout: Spool,
    stderr: Spool,
    ended: Ended,
}

/// Bytes of one stream that are kept: together with the other one it has to fit into an artifact or, where that may be
/// larger, into an answer. What is not shown of it becomes an artifact when the answer is sealed.
fn room(context: &CallContext) -> usize {
    let limits = &context.effective.limits;
    let most = limits.output.max(limits.artifacts);
    usize::try_from(most / 32 * 15).unwrap_or(usize::MAX)
}

/// What a call says, as far as the tools here have use for it.
struct Arguments(Map<String, Value>);

impl Arguments {
    fn read(text: &str) -> Result<Self, Failure> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) | Err(_) => Err(Failure::new(Code::ArgumentsInvalid, "the arguments must be a JSON object")),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// What becomes one argument of a program.
    fn word(&self, name: &str) -> Result<String, Failure> {
        let text = self.text(name).unwrap_or_default();
        if text.contains('\0') {
            let message = format!("`{name}` holds a NUL, which no program can be given");
            return Err(Failure::new(Code::ArgumentsInvalid, message));
        }
        if text.len() > MAX_ARGUMENT {
            let message = format!("`{name}` has {} bytes; a program takes at most {MAX_ARGUMENT}", text.len());
            return Err(Failure::new(Code::ArgumentsTooLarge, message).with_fix("write it to a file and name that"));
        }
        Ok(text.to_owned())
    }

    fn timeout(&self) -> Option<Duration> {
        self.0.get("timeout").and_then(Value::as_u64).map(Duration::from_secs)
    }

    fn trust(&self) -> Option<Trust> {
        self.text("trust").and_then(Trust::parse)
    }
}

/// A tool that runs programs: what it does nobody can say beforehand.
fn definition(name: &str, description: &str, input_schema: &Value) -> Definition {
    Definition {
        name: name.to_owned(),
        title: None,
        description: description.to_owned(),
        input_schema: input_schema.to_string(),
        output_schema: None,
        annotations: Annotations {
            read_only: Some(false),
            destructive: Some(true),
            idempotent: Some(false),
            open_world: Some(true),
        },
        risk: Risk::High,
    }
}

/// The secrets a program has in its environment.
fn variables(context: &CallContext) -> BTreeMap<String, Zeroizing<String>> {
    let granted = context.effective.grants.secrets.iter();
    let value = |grant: &bailiwick_core::grant::SecretGrant| {
        let value = context.secrets.value(&grant.name)?;
        Some((grant.variable.clone()?, Zeroizing::new(value.to_owned())))
    };
    granted.filter_map(value).collect()
}

/// The rights of the one call a program runs for.
struct OfCall(Arc<CallContext>);

impl proxy::Program for OfCall {
    fn call(&self) -> Arc<CallContext> {
        Arc::clone(&self.0)
    }

    fn settle(&self, _: &CallContext) {
        // What it noted is in the call's own ledger.
    }
}

/// Answers what a program asks of the network for as long as it runs.
async fn serve(listener: tokio::net::TcpListener, context: Arc<CallContext>) -> std::convert::Infallible {
    proxy::serve(listener, Arc::new(OfCall(context))).await;
    // Nobody listens any more; the program goes on without a network.
    std::future::pending().await
}

fn within_grants(path: &Path, context: &CallContext) -> Result<(), Failure> {
    let (grants, shown) = (&context.effective.grants, path.to_string_lossy());
    let Err(denial) = grants.fs.decide_read(&shown) else { return Ok(()) };
    let want = Want::fs(Access::ReadOnly, &shown, &grants.fs, context.redactor());
    context.ledger.want(want, Witness::Host);
    let failure = Failure::new(Code::DeniedFsRead, denial.to_string()).with_fix(denial.fix());
    Err(noted(failure, context))
}

fn noted(failure: Failure, context: &CallContext) -> Failure {
    context.ledger.deny(failure.clone());
    failure
}

fn not_started(error: &LaunchError) -> Failure {
    let code = match error {
        LaunchError::Missing { .. } | LaunchError::Cage(_) => Code::PluginNotConfigured,
        LaunchError::Denied(_) => Code::DeniedProcess,
        LaunchError::Failed(_) => Code::ToolFailed,
        LaunchError::Gone => Code::Internal,
    };
    Failure::new(code, error.to_string())
}

/// Why a program was ended that took more than it may.
fn too_much(over: Over, context: &CallContext) -> Failure {
    let (tool, limits, grants) = (&context.tool, &context.effective.limits, &context.effective.grants);
    match over {
        Over::Memory => {
            let message = format!("`{tool}` needs more than its {} of memory", Size(limits.memory));
            let more = Size(limits.memory.saturating_mul(2));
            let fix = format!("raise it with `limits.memory = \"{more}\"` under `[{}]` ({})", grants.table, grants.at);
            Failure::new(Code::LimitMemory, message).with_fix(fix)
        }
        Over::Processes => Failure::new(Code::ToolFailed, format!("`{tool}` started more processes than it may"))
            .with_fix("start fewer"),
    }
}

fn digest(process: &Process, scripts: &Scripts) -> ComponentDigest {
    let launch = &process.launch;
    let own = (process.kind.as_str(), &launch.command, &launch.cwd);
    let scripts: Vec<_> = scripts.iter().map(|script| (&script.definition.name, script.digest)).collect();
    ComponentDigest::of(format!("{own:?} {scripts:?}").as_bytes())
}
