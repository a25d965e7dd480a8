//! `bailiwick serve`: the tools for MCP clients.

use std::io::IsTerminal as _;
use std::sync::Arc;

use bailiwick_core::call::Caller;
use bailiwick_core::confine::Life;

use crate::front;

use super::call::interrupted;
use super::start::Ground;
use super::terminal::{Terminal, Trouble};
use super::{Exit, Global, start, watch};

pub(super) const EXAMPLES: &str = "\
Example, as MCP clients have it in their configuration:
  {\"mcpServers\": {\"bailiwick\": {
      \"command\": \"bailiwick\",
      \"args\": [\"serve\", \"--stdio\", \"--config\", \"/etc/bailiwick.toml\"]
  }}}

The configuration file is watched: a change takes effect at once, and clients are told. SIGHUP
reloads it too, with the components and secrets it names. A file with mistakes changes nothing; the
mistakes are told on standard error. `[host]` and `[audit]` are read at the start only, and what the
server confined itself to at its start is not widened: a plugin that is granted more is left out, and
says so, until a restart. SIGTERM, SIGINT and the end of standard input end the server.

`--observe` writes down what plugins ask for and are refused; it allows nothing. `bailiwick suggest
PLUGIN` makes of it the lines that would.";

pub(super) fn run(terminal: &Terminal, global: &Global, observe: bool) -> Result<Exit, Trouble> {
    let ground = start::ground(terminal, global, Life::Serving, None)?;
    start::with_threads(serve(terminal, ground, observe))
}

async fn serve(terminal: &Terminal, ground: Ground, observe: bool) -> Result<Exit, Trouble> {
    // Before anything that takes time: a SIGHUP that nobody waits for ends a process.
    let hangup = watch::hangup();
    let host = start::host_with(terminal, &ground, observe).await?;
    if std::io::stdin().is_terminal() {
        terminal.hint("waiting for an MCP client on standard input; to run a tool by hand there is `bailiwick call`");
    }
    let caller = Arc::new(Caller::operator("mcp-stdio"));
    tokio::select! {
        served = front::serve_stdio(Arc::clone(&host), caller, interrupted()) => match served {
            Ok(()) => Ok(Exit::Done),
            Err(error) => Err(Trouble::new(Exit::Failed, "serve.failed", &error.to_string())),
        },
        never = watch::keep_up(terminal, &host, ground, hangup) => match never {},
    }
}
