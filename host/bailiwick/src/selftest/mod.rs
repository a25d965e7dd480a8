//! `bailiwick selftest`: the hostile plugin that is part of this program, run on this machine, in a private world that is
//! made for it and gone afterwards. Each case says what was tried and what has to come of it; where a right would allow
//! it, the same is tried once more with that right, because a host that refuses everything proves nothing.

mod cases;
mod server;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick_core::call::{Call, Caller};
use bailiwick_core::outcome::{Content, Outcome};

use crate::channel::Channel;
use crate::host::Host;
use crate::runtime::Compiler;
use cases::{Case, Expected};
use world::World;

/// How long a call that means no harm may take while others do.
const CANARY: Duration = Duration::from_secs(1);

/// What came of one case.
#[derive(Debug)]
pub struct Row {
    /// Its short name, `group.what`.
    pub name: &'static str,
    /// What was tried.
    pub tried: &'static str,
    /// Whether the right to do it was granted.
    pub granted: bool,
    /// What had to come of it.
    pub expected: String,
    /// What came of it.
    pub happened: String,
    /// Whether that is the same.
    pub holds: bool,
    /// How long it took.
    pub took: Duration,
}

/// What came of all of them.
#[derive(Debug)]
pub struct Report {
    /// Each case, in order.
    pub rows: Vec<Row>,
    /// What is wrong beyond a single case; empty when all is well.
    pub findings: Vec<String>,
    /// How long all of it took.
    pub took: Duration,
}

impl Report {
    /// Whether every promise held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.findings.is_empty() && self.rows.iter().all(|row| row.holds)
    }
}

/// Why the self-test cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SelftestError {
    /// The hostile plugin is not part of this program.
    #[error("this program was built without its plugins; run `rustup target add wasm32-wasip2` and build it again")]
    NoPlugin,
    /// The private world cannot be made.
    #[error("the self-test cannot make its temporary folder and servers: {0}")]
    World(#[from] std::io::Error),
    /// The host does not start, or not with the plugin.
    #[error("the host does not start: {0}")]
    Start(String),
}

/// Runs all cases, one after the other, with the plugin compiled by `compiler`; `seen` is told of each as it ends.
///
/// # Ambient authority
/// Makes a folder for temporary files and listens on two ports of 127.0.0.1; both are gone when it returns.
///
/// # Errors
/// See [`SelftestError`]. What does not hold is no error but part of the report.
pub async fn run(compiler: Compiler, mut seen: impl FnMut(&Row)) -> Result<Report, SelftestError> {
    let begun = Instant::now();
    let world = World::new().await?;
    let host = world.start(compiler).await?;
    let mut leaks = Vec::new();
    let mut rows = Vec::new();
    for case in cases::all(&world) {
        let row = run_case(&host, &world, case, &mut leaks).await;
        seen(&row);
        rows.push(row);
    }
    let calls = rows.len() * 2;
    let findings = world.findings(host, calls, &leaks).await;
    Ok(Report { rows, findings, took: begun.elapsed() })
}

/// Runs one case, and beside it a call that means no harm.
async fn run_case(host: &Arc<Host>, world: &World, case: Case, leaks: &mut Vec<String>) -> Row {
    let begun = Instant::now();
    let hostile = {
        let (host, tool, arguments) = (Arc::clone(host), case.tool(), case.arguments.to_string());
        tokio::spawn(async move {
            let outcome = call(&host, &tool, arguments).await;
            (outcome, begun.elapsed())
        })
    };
    // Not before the other has begun.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let canary_begun = Instant::now();
    let canary = call(host, "bare__hello", String::new()).await;
    let canary_took = canary_begun.elapsed();
    let (happened, took) = match hostile.await {
        Ok((outcome, took)) => (told(&outcome), took),
        Err(error) => (format!("the call crashed: {error}"), begun.elapsed()),
    };
    if world.is_leaked(&happened) {
        leaks.push(case.name.to_owned());
    }
    let mut holds = case.expected.is_met(&happened);
    let mut happened: String = happened.lines().next().unwrap_or_default().chars().take(200).collect();
    if canary.code() != "ok" || canary_took > CANARY {
        holds = false;
        happened = format!("a harmless call beside it took {canary_took:?} and ended with {}", canary.code());
    }
    let expected = match &case.expected {
        Expected::Code(code) => (*code).to_owned(),
        Expected::Text(text) => format!("ok: {text}"),
    };
    Row { name: case.name, tried: case.tried, granted: case.granted, expected, happened, holds, took }
}

async fn call(host: &Host, tool: &str, arguments: String) -> Outcome {
    let caller = Arc::new(Caller::operator("selftest"));
    let call = Call { id: host.new_call_id(), tool: tool.to_owned(), arguments, caller, trace: None, session: None };
    host.call(call, Channel::default()).await
}

/// An outcome as text: `ok: …` or `CODE: sentence`.
fn told(outcome: &Outcome) -> String {
    let denials: String = outcome.denials.iter().map(|denial| format!("\n{}: {denial}", denial.code)).collect();
    match &outcome.result {
        Err(failure) => format!("{}: {failure}{denials}", failure.code),
        Ok(output) => {
            let texts: Vec<&str> = output
                .content
                .iter()
                .map(|piece| match piece {
                    Content::Text(text) => text.as_str(),
                    Content::Image(_) | Content::Audio(_) | Content::Resource(_) | Content::Link(_) => "[a file]",
                })
                .collect();
            format!("ok: {}{denials}", texts.join(" "))
        }
    }
}
