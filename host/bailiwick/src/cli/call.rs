//! `bailiwick call`: runs one tool.

use std::io::{IsTerminal as _, Read as _};
use std::sync::Arc;

use serde_json::Value;

use bailiwick_core::call::{Call, Caller};
use bailiwick_core::confine::Life;
use bailiwick_core::outcome::{Code, Outcome};
use bailiwick_core::schema::MAX_ARGUMENTS;

use crate::artifact::Owner;
use crate::channel::Channel;
use crate::host::Host;

use super::answer::{self, Pieces};
use super::ask::audience;
use super::start::Ground;
use super::terminal::{Terminal, Trouble};
use super::{CallArguments, Exit, Global, arguments, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick call datetime
  bailiwick call datetime --arg timezone=Europe/Berlin
  bailiwick call grep '{\"pattern\": \"TODO\", \"path\": \"src\"}'
  bailiwick call write --arg filePath=notes.txt --arg content=\"$(date)\"
  jq -n '{url: \"https://example.com\"}' | bailiwick call web_fetch -
  bailiwick call web_fetch --arg url=https://example.com --json | jq -r .code

`name=text` stands for text, which becomes a number or a list where the tool wants one;
`name:=JSON` is taken as it is. What the tool was refused on the way is told on standard error,
with the line of the configuration that would allow it.

`--observe` writes down what was refused; it allows nothing. `bailiwick suggest PLUGIN` makes of it
the lines that would. A refusal usually ends a tool's run: what it would have asked for next is seen
once the first is granted, so go on until nothing is refused.";

pub(super) fn run(terminal: &Terminal, global: &Global, call: CallArguments) -> Result<Exit, Trouble> {
    let arguments = arguments_text(terminal, &call)?;
    let ground = start::ground(terminal, global, Life::Once, call.out.as_deref())?;
    start::with_threads(answer(terminal, &ground, call, arguments))
}

async fn answer(terminal: &Terminal, ground: &Ground, call: CallArguments, arguments: String) -> Result<Exit, Trouble> {
    let host = start::host_with(terminal, ground, call.observe).await?;
    let from_stdin = call.arguments.as_deref() == Some("-");
    let (channel, mut audience) = audience(terminal, !from_stdin && !call.no_input);
    let channel = Channel { owner: Owner::Operator, ..channel };
    let caller = Arc::new(Caller::operator("cli"));
    let request =
        Call { id: host.new_call_id(), tool: call.tool.clone(), arguments, caller, trace: None, session: None };
    start::patiently(terminal, host.prepare(&request.tool, &request.arguments)).await;
    let ended = tokio::select! {
        outcome = host.call(request, channel) => Ok(outcome),
        () = interrupted() => Err(Trouble::new(Exit::Interrupted, Code::Cancelled.as_str(), "interrupted")),
        never = audience.attend() => match never {},
    };
    audience.clear();
    let outcome = ended?;
    if outcome.code() == Code::ToolUnknown.as_str() {
        start::warn_of_problems(terminal, &host);
    }
    if let (true, Some(plugin)) = (call.observe, refused(&host, &call.tool, &outcome)) {
        terminal
            .hint(&format!("what was refused is written down; `bailiwick suggest {plugin}` shows what would cover it"));
    }
    show(terminal, &host, &call, &outcome)
}

/// The plugin that was refused something, if it was.
fn refused(host: &Host, tool: &str, outcome: &Outcome) -> Option<String> {
    let failures = outcome.result.as_ref().err().into_iter().chain(&outcome.denials);
    let any = failures.into_iter().any(|failure| failure.code.is_denial());
    host.snapshot().registry.resolve(tool).filter(|_| any).map(|(_, tool)| tool.plugin.to_string())
}

/// The arguments as JSON text, whichever way they were given.
fn arguments_text(terminal: &Terminal, call: &CallArguments) -> Result<String, Trouble> {
    match call.arguments.as_deref() {
        Some("-") => {
            if std::io::stdin().is_terminal() {
                terminal.hint("reading the arguments from the terminal; Ctrl-D ends them");
            }
            let mut text = String::new();
            // One byte more than the host takes, so that the host can say that it is too much.
            let read = std::io::stdin().take(MAX_ARGUMENTS as u64 + 1).read_to_string(&mut text);
            read.map_err(|error| {
                Trouble::new(Exit::Usage, "usage.stdin", &format!("standard input cannot be read: {error}"))
            })?;
            Ok(text)
        }
        Some(text) => Ok(text.to_owned()),
        None if call.arg.is_empty() => Ok(String::new()),
        None => arguments::object(call.arg.iter().map(String::as_str))
            .map(|object| Value::Object(object).to_string())
            .map_err(|sentence| Trouble::new(Exit::Usage, "usage.argument", &sentence)),
    }
}

fn show(terminal: &Terminal, host: &Host, call: &CallArguments, outcome: &Outcome) -> Result<Exit, Trouble> {
    let exit = outcome.result.as_ref().map_or_else(|failure| Exit::of(failure.code), |_| Exit::Done);
    let pieces = Pieces { out: call.out.clone(), artifacts: &host.artifacts };
    let unsaved = |error: answer::SaveError| Trouble::new(Exit::Failed, "output.unsaved", &error.to_string());
    if terminal.json {
        terminal.print_json(&answer::json(outcome))?;
        if let (Ok(output), Some(_)) = (&outcome.result, &call.out) {
            pieces.text(output).map_err(unsaved)?;
        }
        return Ok(exit);
    }
    let failure = outcome.result.as_ref().err();
    for denial in outcome.denials.iter().filter(|denial| Some(*denial) != failure) {
        terminal.warning(denial.code.as_str(), &denial.message, denial.fix.as_deref());
    }
    match &outcome.result {
        Ok(output) => terminal.print(&pieces.text(output).map_err(unsaved)?)?,
        Err(failure) if failure.code == Code::ToolUnknown && failure.fix.is_none() => {
            terminal.trouble(&Trouble::of(failure).with("fix", "`bailiwick list` shows the tools there are"));
        }
        Err(failure) => terminal.trouble(&Trouble::of(failure)),
    }
    Ok(exit)
}

/// Waits until the process is told to end. From the call on, not from the first look at what it gives, a signal that says
/// so no longer ends the process by itself.
pub(super) fn interrupted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let handlers = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        match handlers {
            (Ok(mut interrupt), Ok(mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            // Without a handler the signal ends the process by itself.
            (Err(_), _) | (_, Err(_)) => std::future::pending().await,
        }
    }
}
