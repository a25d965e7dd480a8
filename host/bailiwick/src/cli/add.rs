//! `bailiwick add mcp`: a server that is named on the command line, as a table for the configuration.

use clap::{Args, Subcommand};

use bailiwick_core::import::{Given, Import, given};
use bailiwick_core::name::PluginName;
use bailiwick_core::redact::visible;

use super::terminal::{Terminal, Trouble};
use super::{Exit, Global, import};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick add mcp time -- uvx mcp-server-time==2026.10.1
  bailiwick add mcp files --write -- mcp-server-filesystem ~/notes
  bailiwick add mcp github --env GITHUB_TOKEN= -- npx @modelcontextprotocol/server-github@2026.8.31
  bailiwick add mcp hub --url https://api.example.com/mcp --header 'Authorization: Bearer ${HUB_TOKEN}'

Prints the TOML it proposes, as `bailiwick import` does for whole files, and with --write adds it to the
configuration. Nothing is granted but what is named; what looks like a secret is not printed, and nothing
is installed.";

/// What can be added.
#[derive(Debug, Subcommand)]
pub(super) enum Addition {
    /// An MCP server: a program and its arguments, or one at a URL
    #[command(after_long_help = EXAMPLES)]
    Mcp(ServerArguments),
}

/// Which server.
#[derive(Debug, Args)]
pub(super) struct ServerArguments {
    /// What the plugin is called
    name: String,
    /// Where it is, if the host does not start it
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    url: Option<String>,
    /// A header of requests to the URL; can be repeated
    #[arg(long, value_name = "NAME: VALUE", conflicts_with = "command")]
    header: Vec<String>,
    /// A variable of the program's environment; can be repeated
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "url")]
    env: Vec<String>,
    /// Add it to the configuration
    #[arg(long)]
    write: bool,
    /// The program and its arguments
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "url")]
    command: Vec<String>,
}

pub(super) fn run(terminal: &Terminal, global: &Global, addition: Addition) -> Result<Exit, Trouble> {
    let Addition::Mcp(ServerArguments { name, url, header, env, write, command }) = addition;
    let name = PluginName::parse(&name).map_err(|error| {
        let message = format!("there can be no plugin `{}`", visible(&name));
        Trouble::new(Exit::Usage, "usage.name", &message).with("legal", error.legal())
    })?;
    let headers = pairs("--header", "NAME: VALUE", ':', &header)?;
    let env = pairs("--env", "NAME=VALUE", '=', &env)?;
    let proposal = given(&name, Given { command, url, headers, env }).map_err(|error| import::unusable(&error))?;
    let proposals = vec![proposal];
    import::propose(terminal, global, &Import { proposals, notes: Vec::new() }, write)
}

/// Names and values. What is wrong with one is said without its value, which may be a secret.
fn pairs(option: &str, form: &str, between: char, texts: &[String]) -> Result<Vec<(String, String)>, Trouble> {
    let pair = |text: &String| {
        let (name, value) = text.split_once(between).filter(|(name, _)| !name.trim().is_empty()).ok_or_else(|| {
            Trouble::new(Exit::Usage, "usage.option", &format!("a value of `{option}` has no name"))
                .with("legal", &format!("`{option} '{form}'`"))
        })?;
        let value = if between == ':' { value.trim() } else { value };
        Ok((name.trim().to_owned(), value.to_owned()))
    };
    texts.iter().map(pair).collect()
}
