//! `bailiwick serve`: the tools over HTTP, or for one MCP client.

use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use serde_json::json;

use bailiwick_core::call::{Caller, May};
use bailiwick_core::config::GatewaySettings;
use bailiwick_core::confine::Life;

use crate::ambient;
use crate::front;
use crate::front::http::{Gateway, Server};

use super::call::interrupted;
use super::start::Ground;
use super::terminal::{Terminal, Trouble};
use super::{Exit, Global, ServeArguments, start, watch};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick serve                              # at `listen` under `[gateway]`, else 127.0.0.1:8080
  bailiwick serve --listen 127.0.0.1:0         # at a free port; the URL is printed
  curl -H \"Authorization: Bearer $KEY\" http://127.0.0.1:8080/api/v1/tools
  claude mcp add --transport http bailiwick http://127.0.0.1:8080/mcp

MCP is at /mcp, in its versions with sessions and in the one without. Callers have a key (`bailiwick
keys create`), a token of an authorization server (`[gateway.oauth]`), or, where `anonymous` under
`[gateway]` names a policy, nothing. BAILIWICK_GATEWAY__LISTEN, AUXOT_HOST and AUXOT_PORT say where
to listen too, and BAILIWICK_GATEWAY__API__ENABLE_TOOL_EXECUTE whether tools run over plain HTTP; they
come before the configuration, and `--listen` before them.

As MCP clients that start their server have it in their configuration:
  {\"mcpServers\": {\"bailiwick\": {
      \"command\": \"bailiwick\",
      \"args\": [\"serve\", \"--stdio\", \"--config\", \"/etc/bailiwick.toml\"]
  }}}

The configuration file is watched: a change takes effect at once, and clients are told. SIGHUP
reloads it too, with the components and secrets it names. A file with mistakes changes nothing; the
mistakes are told on standard error. `[host]`, `[gateway]` and `[audit]` are read at the start only,
and what the server confined itself to at its start is not widened: a plugin that is granted more is
left out, and says so, until a restart. SIGTERM and SIGINT end the server: calls under way have the
time of `grace` under `[gateway]` to finish; a second one ends it at once. The end of standard input
ends a server with `--stdio`.

`--observe` writes down what plugins ask for and are refused; it allows nothing. `bailiwick suggest
PLUGIN` makes of it the lines that would.";

pub(super) fn run(terminal: &Terminal, global: &Global, arguments: &ServeArguments) -> Result<Exit, Trouble> {
    if arguments.stdio {
        let ground = start::ground(terminal, global, Life::Serving, None)?;
        return start::with_threads(serve_stdio(terminal, ground, arguments.observe));
    }
    let settings = start::settings(global.config.as_deref())?;
    let mut gateway = settings.config.gateway.clone();
    overlay(&mut gateway, arguments.listen.as_deref(), &ambient::variables("BAILIWICK_GATEWAY__"))?;
    // Before the process is confined: from then on it opens no port.
    let listener = listen(gateway.listen)?;
    let ground = start::stand(terminal, global, settings, Life::Listening, None)?;
    start::with_threads(serve_http(terminal, ground, arguments.observe, gateway, listener))
}

async fn serve_stdio(terminal: &Terminal, ground: Ground, observe: bool) -> Result<Exit, Trouble> {
    // Before anything that takes time: a SIGHUP that nobody waits for ends a process.
    let hangup = watch::hangup();
    let host = start::host_with(terminal, &ground, observe).await?;
    if std::io::stdin().is_terminal() {
        terminal.hint("waiting for an MCP client on standard input; to run a tool by hand there is `bailiwick call`");
    }
    // Whoever writes the lines is a model: what it may reach is what the operator wrote down, and nothing that it adds.
    let may = May { manage: false, ..May::EVERYTHING };
    let caller = Arc::new(Caller { may, ..Caller::operator("mcp-stdio") });
    tokio::select! {
        served = front::serve_stdio(Arc::clone(&host), caller, interrupted()) => match served {
            Ok(()) => Ok(Exit::Done),
            Err(error) => Err(failed(&error.to_string())),
        },
        never = watch::keep_up(terminal, &host, ground, hangup) => match never {},
        never = host.follow() => match never {},
    }
}

async fn serve_http(
    terminal: &Terminal,
    ground: Ground,
    observe: bool,
    gateway: GatewaySettings,
    listener: TcpListener,
) -> Result<Exit, Trouble> {
    let hangup = watch::hangup();
    // From here on, not from when somebody first waits for it: who was told the URL may end the server.
    let told = interrupted();
    let signals = async |server: &Server| {
        told.await;
        server.leave();
        interrupted().await;
        server.leave();
        std::future::pending::<std::convert::Infallible>().await
    };
    let address = listener.local_addr().map_err(|error| failed(&error.to_string()))?;
    let server = Server::new(&gateway);
    let offered = async {
        let host = start::host_with(terminal, &ground, observe).await?;
        warn(terminal, &gateway, address);
        if host.keys().is_empty() {
            let fix = "run `bailiwick keys create NAME --tools '*' --execute`, or name a policy in `anonymous`";
            terminal.warning("gateway.keys", "nobody can call this server yet: there is no key", Some(fix));
        }
        server.offer(&Gateway::new(Arc::clone(&host), gateway, &server));
        let url = format!("http://{address}");
        if terminal.json {
            terminal.print_json(&json!({"url": url}))?;
        } else {
            terminal.print(&format!("{url}\n"))?;
        }
        tokio::select! {
            never = watch::keep_up(terminal, &host, ground, hangup) => match never {},
            never = host.follow() => match never {},
            never = Arc::clone(host.keys()).watch() => match never {},
        }
    };
    tokio::select! {
        served = server.serve(listener) => served.map(|()| Exit::Done).map_err(|error| failed(&error.to_string())),
        never = signals(&server) => match never {},
        trouble = offered => trouble,
    }
}

fn failed(message: &str) -> Trouble {
    Trouble::new(Exit::Failed, "serve.failed", message)
}

fn listen(address: SocketAddr) -> Result<TcpListener, Trouble> {
    ambient::listen(address).map_err(|error| {
        let trouble = Trouble::new(Exit::Start, "serve.listen", &format!("cannot listen at {address}: {error}"));
        trouble.with("fix", "name another address with `--listen`, or in `listen` under `[gateway]`")
    })
}

/// Tells what makes the server reachable for more than its operator.
fn warn(terminal: &Terminal, gateway: &GatewaySettings, address: SocketAddr) {
    if !address.ip().is_loopback() {
        let message = format!(
            "the server listens at {address}, beyond this machine, and without TLS: put a proxy with TLS before it"
        );
        terminal.warning("gateway.listen", &message, Some("`listen = \"127.0.0.1:8080\"` under `[gateway]`"));
    }
    if gateway.enable_tool_execute {
        let message = "callers with a key that may execute can run tools over plain HTTP: `enable_tool_execute`";
        terminal.warning("gateway.execute", message, None);
    }
    if let Some(policy) = &gateway.anonymous {
        let message = format!("callers without a key have the policy `{}`: `anonymous`", policy.name);
        terminal.warning("gateway.anonymous", &message, None);
    }
}

/// Puts the command line and the environment over what the configuration says.
fn overlay(gateway: &mut GatewaySettings, listen: Option<&str>, variables: &[(String, String)]) -> Result<(), Trouble> {
    let usage = |what: &str, value: &str, legal: &str| {
        let trouble = Trouble::new(Exit::Usage, "serve.variable", &format!("`{what}` is `{value}`"));
        trouble.with("legal", legal)
    };
    const ADDRESS: &str = "an address and a port, such as `127.0.0.1:8080`";
    if let Some(host) = ambient::env("AUXOT_HOST").filter(|host| !host.is_empty()) {
        let address = if host == "localhost" { Ok(IpAddr::from([127, 0, 0, 1])) } else { host.parse() };
        gateway.listen.set_ip(address.map_err(|_| usage("AUXOT_HOST", &host, "an address"))?);
    }
    if let Some(port) = ambient::env("AUXOT_PORT").filter(|port| !port.is_empty()) {
        gateway.listen.set_port(port.parse().map_err(|_| usage("AUXOT_PORT", &port, "a port"))?);
    }
    for (name, value) in variables {
        match name.as_str() {
            "BAILIWICK_GATEWAY__LISTEN" => {
                gateway.listen = address(value).ok_or_else(|| usage(name, value, ADDRESS))?;
            }
            "BAILIWICK_GATEWAY__API__ENABLE_TOOL_EXECUTE" => {
                let said = value.parse().map_err(|_| usage(name, value, "`true` or `false`"))?;
                gateway.enable_tool_execute = said;
            }
            _ => {
                let message = format!("`{name}` stands for nothing");
                let known = "`BAILIWICK_GATEWAY__LISTEN`, `BAILIWICK_GATEWAY__API__ENABLE_TOOL_EXECUTE`";
                return Err(Trouble::new(Exit::Usage, "serve.variable", &message).with("legal", known));
            }
        }
    }
    if let Some(text) = listen {
        gateway.listen = address(text).ok_or_else(|| usage("--listen", text, ADDRESS))?;
    }
    Ok(())
}

fn address(text: &str) -> Option<SocketAddr> {
    let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    local.as_deref().unwrap_or(text).parse().ok()
}
