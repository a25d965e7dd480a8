//! The command line: what can be written, and which file answers it. Results go to standard output, everything else
//! to standard error; [`exit`] says what the exit codes mean.

pub mod exit;

mod answer;
mod arguments;
mod ask;
mod start;
mod terminal;
mod watch;

mod call;
mod check;
mod codes;
mod completions;
mod config_schema;
mod help;
mod list;
mod serve;
mod show;
mod version;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use exit::Exit;
pub use terminal::complain;

use crate::telemetry::{self, Format, Logging};
use terminal::{Terminal, Trouble};

/// Runs tools as WebAssembly components that reach exactly what you granted.
///
/// Tools and their rights are written in `bailiwick.toml`: `--config FILE`, else the variable BAILIWICK_CONFIG, else
/// ./bailiwick.toml, else ~/.config/bailiwick/bailiwick.toml. What is not written there is not granted.
#[derive(Debug, Parser)]
#[command(name = "bailiwick", version, disable_help_subcommand = true, after_long_help = exit::HELP)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The configuration file [env: BAILIWICK_CONFIG]
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Give results, and errors on standard error, as JSON
    #[arg(long, global = true)]
    json: bool,
    /// What to log: error, warn, info, debug, trace, or a list such as `warn,plugin=debug`
    #[arg(
        long, global = true, value_name = "LEVEL", env = "BAILIWICK_LOG", hide_env_values = true,
        default_value = "warn", hide_default_value = true, value_parser = log_level
    )]
    log: String,
    /// How log lines look
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "BAILIWICK_LOG_FORMAT",
        hide_env_values = true,
        default_value = "text",
        hide_default_value = true,
        hide_possible_values = false
    )]
    log_format: Format,
    /// Say nothing on standard error but errors
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Call a tool and print its result
    #[command(after_long_help = call::EXAMPLES)]
    Call(CallArguments),
    /// List the tools
    #[command(after_long_help = list::EXAMPLES)]
    List,
    /// Show one tool: its arguments, and exactly what it may reach
    Show {
        /// The tool's name, as `bailiwick list` shows it
        tool: String,
    },
    /// Check the configuration and load everything it names
    #[command(after_long_help = check::EXAMPLES)]
    Check {
        /// Count warnings as problems
        #[arg(long)]
        strict: bool,
    },
    /// Serve the tools to an MCP client
    #[command(after_long_help = serve::EXAMPLES)]
    Serve {
        /// Speak MCP on standard input and output
        #[arg(long, required = true)]
        stdio: bool,
    },
    /// List the codes of everything that can go wrong
    Codes,
    /// Print the JSON Schema of bailiwick.toml, for editors
    #[command(after_long_help = config_schema::EXAMPLES)]
    ConfigSchema,
    /// Print a script that completes commands in a shell
    #[command(after_long_help = completions::EXAMPLES)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the versions of the program, its engine, its contract and its built-in plugins
    Version,
    /// Explain a command, or a topic: `config`, `exit-codes`
    Help {
        /// A command or a topic
        topic: Option<String>,
    },
}

/// What to call, with what.
#[derive(Debug, Args)]
struct CallArguments {
    /// The tool's name, as `bailiwick list` shows it
    tool: String,
    /// The arguments as a JSON object; `-` reads it from standard input
    #[arg(value_name = "JSON|-", conflicts_with = "arg")]
    arguments: Option<String>,
    /// One argument: `name=text`, or `name:=JSON` for anything else; can be repeated
    #[arg(long, short, value_name = "NAME=VALUE")]
    arg: Vec<String>,
    /// Save images, sounds and files of the result in this folder
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Never ask: what needs an answer from you is refused
    #[arg(long)]
    no_input: bool,
}

/// A level for `--log`; an empty variable counts as none.
fn log_level(level: &str) -> Result<String, String> {
    let level = if level.trim().is_empty() { "warn" } else { level };
    telemetry::filter(level).map(|_| level.to_owned())
}

/// Reads the command line. Help and mistakes are printed here; then all that is left is an exit code.
///
/// # Errors
/// The exit code, when there is nothing to run.
pub fn parse(arguments: Vec<OsString>) -> Result<Cli, Exit> {
    Cli::try_parse_from(arguments).map_err(|error| {
        // Nobody listens: there is nobody to tell.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Done }
    })
}

impl Cli {
    /// What this command logs, and how.
    #[must_use]
    pub fn logging(&self) -> Logging {
        // Commands that end show what could not be loaded themselves, in full; a server has only its log.
        let silent: &[&str] = match self.command {
            Command::Serve { .. } => &[],
            Command::Call(_)
            | Command::List
            | Command::Show { .. }
            | Command::Check { .. }
            | Command::Codes
            | Command::ConfigSchema
            | Command::Completions { .. }
            | Command::Version
            | Command::Help { .. } => &["bailiwick::load"],
        };
        let level = if self.global.quiet { "error".to_owned() } else { self.global.log.clone() };
        Logging { level, format: self.global.log_format, silent }
    }
}

/// Runs a command to its end.
pub async fn run(cli: Cli) -> Exit {
    let Global { config, json, quiet, .. } = cli.global;
    let terminal = Terminal::new(json, quiet);
    let ended = dispatch(cli.command, config, &terminal).await;
    ended.unwrap_or_else(|trouble| {
        terminal.trouble(&trouble);
        trouble.exit
    })
}

async fn dispatch(command: Command, config: Option<PathBuf>, terminal: &Terminal) -> Result<Exit, Trouble> {
    let config = config.as_deref();
    match command {
        Command::Call(call) => call::run(terminal, config, call).await,
        Command::List => list::run(terminal, config).await,
        Command::Show { tool } => show::run(terminal, config, &tool).await,
        Command::Check { strict } => check::run(terminal, config, strict).await,
        Command::Serve { stdio: _ } => serve::run(terminal, config).await,
        Command::Codes => codes::run(terminal),
        Command::ConfigSchema => config_schema::run(terminal),
        Command::Completions { shell } => completions::run(terminal, shell),
        Command::Version => version::run(terminal),
        Command::Help { topic } => help::run(terminal, topic.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[track_caller]
    fn check(line: &str, expected: Option<Exit>) {
        let words = std::iter::once("bailiwick").chain(line.split_whitespace()).map(OsString::from).collect();
        assert_eq!(parse(words).err(), expected, "{line}");
    }

    #[test]
    fn arguments_come_in_one_form_or_the_other() {
        check("call read {}", None);
        check("call read -", None);
        check("call read --arg a=1 -a b:=2", None);
        check("call read {} --arg a=1", Some(Exit::Usage));
        check("call", Some(Exit::Usage));
    }

    #[test]
    fn global_options_stand_before_or_behind_the_command() {
        check("--config x.toml --json list", None);
        check("list --json --config x.toml --log info,plugin=trace --log-format json", None);
        check("list --log loud!", Some(Exit::Usage));
        check("serve", Some(Exit::Usage));
    }
}
