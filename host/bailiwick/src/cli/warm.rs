//! `bailiwick warm`: everything that has to be compiled before it runs is compiled now.

use std::time::Instant;

use serde_json::{Value, json};

use bailiwick_core::confine::Life;

use super::start::Ground;
use super::terminal::{Terminal, Trouble};
use super::{Exit, Global, start};

pub(super) const EXAMPLES: &str = "\
Compiles every component of the configuration, and the interpreters that its plugins run programs with,
and keeps what that gives in the folder `cache` under `[host]`. A server does so by itself when it
starts; a first call does so if nobody did, before its time begins. Running this once after an
installation or an update keeps all callers from waiting: the interpreter for Python takes seconds.

Ends with 0 when all is ready, and with 1 when something is not; it says why.";

pub(super) fn run(terminal: &Terminal, global: &Global) -> Result<Exit, Trouble> {
    let ground = start::ground(terminal, global, Life::Once, None)?;
    start::with_threads(warmed(terminal, &ground))
}

async fn warmed(terminal: &Terminal, ground: &Ground) -> Result<Exit, Trouble> {
    let begun = Instant::now();
    let host = start::host(terminal, ground).await?;
    let (plugins, took) = (host.snapshot().plugins.len(), begun.elapsed());
    let mut ready = vec![json!({"what": format!("{plugins} plugins"), "seconds": took.as_secs_f64()})];
    told(terminal, &format!("{plugins} plugins: ready after {:.1} s", took.as_secs_f64()))?;
    start::warn_of_problems(terminal, &host);
    let mut missing = !host.snapshot().problems.is_empty();
    for interpreter in host.interpreters_wanted() {
        let (name, begun) = (interpreter.as_str(), Instant::now());
        terminal.hint(&format!("preparing the interpreter for {name} …"));
        match host.interpreters.ready(interpreter).await {
            Ok(_) => {
                let seconds = begun.elapsed().as_secs_f64();
                told(terminal, &format!("{name}: ready after {seconds:.1} s"))?;
                ready.push(json!({"what": name, "seconds": seconds}));
            }
            Err(failure) => {
                missing = true;
                terminal.warning(failure.code.as_str(), &format!("{name}: {failure}"), None);
            }
        }
    }
    if terminal.json {
        let problems = start::problems_json(&host.snapshot().problems);
        terminal.print_json(&json!({"ready": Value::from(ready), "problems": problems}))?;
    }
    Ok(if missing { Exit::Failed } else { Exit::Done })
}

/// One line of the result, for people.
fn told(terminal: &Terminal, line: &str) -> Result<(), Trouble> {
    if terminal.json { Ok(()) } else { terminal.print(&format!("{line}\n")) }
}
