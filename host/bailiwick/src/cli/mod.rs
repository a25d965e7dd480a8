//! The command line: what can be written, and which file answers it. Results go to standard output, everything else
//! to standard error; [`exit`] says what the exit codes mean.

pub mod exit;

mod answer;
mod arguments;
mod ask;
mod start;
mod terminal;
mod watch;

mod add;
mod approvals;
mod audit;
mod call;
mod chat;
mod check;
mod codes;
mod completions;
mod config_schema;
mod explain;
mod help;
mod import;
mod inspect;
mod keys;
mod list;
mod lock;
mod login;
mod sarif;
mod selftest;
mod serve;
mod show;
mod suggest;
mod tools;
mod version;
mod warm;

use std::ffi::OsString;
use std::path::PathBuf;

use bailiwick_core::chain::Hash;
use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;

pub use exit::Exit;
pub use terminal::complain;

use crate::broker;
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
    /// Do not confine the host to what is granted; told on standard error
    #[arg(long, global = true)]
    no_confine: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Call a tool and print its result
    #[command(after_long_help = call::EXAMPLES)]
    Call(CallArguments),
    /// Let a model use the tools, in a conversation
    #[command(after_long_help = chat::EXAMPLES)]
    Chat(ChatArguments),
    /// List the tools
    #[command(after_long_help = list::EXAMPLES)]
    List,
    /// Show one tool: its arguments, and exactly what it may reach
    Show {
        /// The tool's name, as `bailiwick list` shows it, or an MCP server's plugin
        tool: String,
    },
    /// Say whether something would be allowed, which line decides, and which line would allow it
    #[command(after_long_help = explain::EXAMPLES)]
    Explain(ExplainArguments),
    /// Print the smallest lines that would cover what a plugin was refused while it was observed
    #[command(after_long_help = suggest::EXAMPLES)]
    Suggest {
        /// The plugin's name, as the configuration has it
        plugin: String,
        /// Forget what was observed of the plugin
        #[arg(long)]
        clear: bool,
    },
    /// Check the configuration and load everything it names
    #[command(after_long_help = check::EXAMPLES)]
    Check {
        /// Count warnings as problems
        #[arg(long)]
        strict: bool,
    },
    /// Look at a component before granting it anything: imports, exports, tools
    #[command(after_long_help = inspect::EXAMPLES)]
    Inspect {
        /// The component: a `.wasm` file, or `builtin:NAME`
        #[arg(value_name = "FILE|builtin:NAME")]
        component: String,
        /// Show only what is different from this older component
        #[arg(long, value_name = "FILE|builtin:NAME")]
        against: Option<String>,
    },
    /// Propose a plugin that is named here, and add it to the configuration with `--write`
    Add {
        #[command(subcommand)]
        addition: add::Addition,
    },
    /// Propose plugins for the MCP servers that another program's file has
    #[command(after_long_help = import::EXAMPLES)]
    Import {
        /// The file, with `mcpServers` or `servers` in it; `-` reads standard input
        file: PathBuf,
        /// Add them to the configuration
        #[arg(long)]
        write: bool,
    },
    /// Compare what components import with what was granted, and both with what was pinned
    #[command(after_long_help = audit::EXAMPLES)]
    Audit(AuditArguments),
    /// Pin components and definitions in bailiwick.lock, and accept what changed
    #[command(after_long_help = lock::EXAMPLES)]
    Lock(LockArguments),
    /// Look at the calls that wait for a person, and answer them
    #[command(after_long_help = approvals::EXAMPLES)]
    Approvals {
        /// What to do; without it, `list`
        #[command(subcommand)]
        action: Option<approvals::Action>,
    },
    /// Make, list and revoke the keys that callers prove themselves with
    #[command(after_long_help = keys::EXAMPLES)]
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Register services as tools, beside the configuration, and change and remove them
    #[command(after_long_help = tools::EXAMPLES)]
    Tools {
        #[command(subcommand)]
        command: tools::ToolsCommand,
    },
    /// Let a person agree, in a browser, that a server at a URL is asked in their name
    #[command(after_long_help = login::EXAMPLES)]
    Login {
        /// The plugin's name, as the configuration has it
        plugin: String,
        /// The port of this machine that the answer comes to; without this, a free one
        #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
        port: u16,
    },
    /// Forget what `login` was given
    #[command(after_long_help = login::LOGOUT_EXAMPLES)]
    Logout {
        /// The plugin's name, as the configuration has it
        plugin: String,
    },
    /// Serve the tools over HTTP, or to one MCP client
    #[command(after_long_help = serve::EXAMPLES)]
    Serve(ServeArguments),
    /// Compile what has to be compiled, so that no call waits for it
    #[command(after_long_help = warm::EXAMPLES)]
    Warm,
    /// Run hostile tools on this machine and see that they get nowhere
    #[command(after_long_help = selftest::EXAMPLES)]
    Selftest,
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
    /// Do for a confined host what it cannot do itself; the host starts this, over its standard streams
    #[command(name = broker::ARGUMENT, hide = true)]
    Broker,
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
    /// Write down what the plugin asks for and is refused, for `bailiwick suggest`
    #[arg(long)]
    observe: bool,
}

/// To whom to serve.
#[derive(Debug, Args)]
struct ServeArguments {
    /// Speak MCP on standard input and output, instead of HTTP
    #[arg(long)]
    stdio: bool,
    /// Where to listen, instead of `listen` under `[gateway]`; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "stdio")]
    listen: Option<String>,
    /// Write down what plugins ask for and are refused, for `bailiwick suggest`
    #[arg(long)]
    observe: bool,
}

/// Which model, with which tools.
#[derive(Debug, Args)]
struct ChatArguments {
    /// The model's name, as its server knows it
    #[arg(long, value_name = "NAME")]
    model: String,
    /// The server of the model: a URL below which `/chat/completions` is
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// The tools it gets: names with commas between them, `*` for all, `!name` for all but this one
    #[arg(long, value_name = "SELECTOR", default_value = "*")]
    tools: String,
    /// How often it is asked in one turn
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_loops: u32,
    /// What it is told before everything else
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// The variable with the key of its server; without this, OPENAI_API_KEY if that is set
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// What to say to it; without this, standard input, or a conversation at the terminal
    prompt: Option<String>,
}

/// What would be asked for, and by whom.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("question").args(["net", "fs", "secret", "call"]).required(true).multiple(true)))]
struct ExplainArguments {
    /// A tool, a plugin, or `PLUGIN.TOOL`
    #[arg(value_name = "TOOL")]
    subject: String,
    /// A request, such as `GET https://api.example.com/v1`; without a method, GET
    #[arg(long, value_name = "METHOD URL")]
    net: Vec<String>,
    /// A path as the plugin calls it, to `read` or to `write`
    #[arg(long, num_args = 2, value_names = ["read|write", "PATH"])]
    fs: Vec<String>,
    /// A secret's name
    #[arg(long, value_name = "NAME")]
    secret: Vec<String>,
    /// A tool that it would call itself, by the name callers know
    #[arg(long, value_name = "TOOL")]
    call: Vec<String>,
}

/// How to audit.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
struct AuditArguments {
    #[command(subcommand)]
    command: Option<AuditCommand>,
    /// How findings are written; `--json` alone means `json`
    #[arg(long, value_name = "FORMAT")]
    format: Option<audit::Format>,
    /// The mildest finding that makes the exit code 1
    #[arg(long, value_name = "LEVEL", default_value = "warning")]
    level: audit::Least,
    /// Compare with this lock instead of the one beside the configuration
    #[arg(long, value_name = "LOCK")]
    against: Option<PathBuf>,
}

/// What was recorded of calls.
#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Show what was called, by whom, and what came of it
    #[command(after_long_help = audit::log::EXAMPLES)]
    Log(LogArguments),
    /// Check that the records are what was written
    #[command(after_long_help = audit::verify::EXAMPLES)]
    Verify {
        /// A hash that was noted elsewhere, and has to be in the chain
        #[arg(long, value_name = "HASH", value_parser = audit::verify::hash)]
        head: Option<Hash>,
    },
}

/// Which records to show.
#[derive(Debug, Clone, Args)]
struct LogArguments {
    /// Of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Of this caller: `cli`, `mcp-stdio`, `key:NAME`
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// Of this plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Of calls since then: `2h` ago, or a time such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = audit::log::since)]
    since: Option<Timestamp>,
    /// Of calls in which something was refused
    #[arg(long)]
    denied: bool,
    /// Go on with what is recorded from now on, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// How many, of the newest
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

/// What to pin.
#[derive(Debug, Args)]
struct LockArguments {
    /// Accept what this plugin is now; can be repeated
    #[arg(long, value_name = "NAME")]
    accept: Vec<String>,
    /// Accept what every plugin is now
    #[arg(long, conflicts_with = "accept")]
    accept_all: bool,
    /// Write nothing, and end with 1 if there is something to write
    #[arg(long, conflicts_with_all = ["accept", "accept_all"])]
    check: bool,
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
            Command::Serve(_) | Command::Broker => &[],
            // Which tells it all in its report.
            Command::Check { .. } => &["bailiwick::load", "bailiwick::cli::start"],
            // What hostile plugins print is no news.
            Command::Selftest => &["bailiwick::load", "plugin"],
            Command::Call(_)
            | Command::Chat(_)
            | Command::List
            | Command::Show { .. }
            | Command::Explain(_)
            | Command::Suggest { .. }
            | Command::Inspect { .. }
            | Command::Add { .. }
            | Command::Import { .. }
            | Command::Approvals { .. }
            | Command::Audit(_)
            | Command::Lock(_)
            | Command::Keys { .. }
            | Command::Tools { .. }
            | Command::Login { .. }
            | Command::Logout { .. }
            | Command::Codes
            | Command::ConfigSchema
            | Command::Completions { .. }
            | Command::Version
            | Command::Warm
            | Command::Help { .. } => &["bailiwick::load"],
        };
        let level = if self.global.quiet { "error".to_owned() } else { self.global.log.clone() };
        Logging { level, format: self.global.log_format, silent }
    }
}

/// Runs a command to its end. One that starts a host confines this process first: before the first thread.
pub fn run(cli: Cli) -> Exit {
    let Cli { global, command } = cli;
    let terminal = Terminal::new(global.json, global.quiet);
    let ended = dispatch(command, &global, &terminal);
    ended.unwrap_or_else(|trouble| {
        terminal.trouble(&trouble);
        trouble.exit
    })
}

fn dispatch(command: Command, global: &Global, terminal: &Terminal) -> Result<Exit, Trouble> {
    match command {
        Command::Call(call) => call::run(terminal, global, call),
        Command::Chat(arguments) => chat::run(terminal, global, arguments),
        Command::List => list::run(terminal, global),
        Command::Show { tool } => show::run(terminal, global, &tool),
        Command::Explain(asked) => explain::run(terminal, global, &asked),
        Command::Suggest { plugin, clear } => suggest::run(terminal, global, &plugin, clear),
        Command::Check { strict } => check::run(terminal, global, strict),
        Command::Inspect { component, against } => inspect::run(terminal, &component, against.as_deref()),
        Command::Add { addition } => add::run(terminal, global, addition),
        Command::Import { file, write } => import::run(terminal, global, &file, write),
        Command::Approvals { action } => approvals::run(terminal, global, action.unwrap_or_default()),
        Command::Audit(arguments) => audit::run(terminal, global, &arguments),
        Command::Lock(arguments) => lock::run(terminal, global, &arguments),
        Command::Keys { command } => keys::run(terminal, global, &command),
        Command::Tools { command } => tools::run(terminal, global, command),
        Command::Login { plugin, port } => login::run(terminal, global, &plugin, port),
        Command::Logout { plugin } => login::logout(terminal, global, &plugin),
        Command::Serve(arguments) => serve::run(terminal, global, &arguments),
        Command::Warm => warm::run(terminal, global),
        Command::Selftest => selftest::run(terminal),
        Command::Codes => codes::run(terminal),
        Command::ConfigSchema => config_schema::run(terminal),
        Command::Completions { shell } => completions::run(terminal, shell),
        Command::Broker => match broker::serve() {
            Ok(()) => Ok(Exit::Done),
            Err(error) => Err(Trouble::new(Exit::Failed, "broker.failed", &error.to_string())),
        },
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
    fn a_question_is_asked_at_least() {
        check("explain get --net x --fs read /a --fs write /b --secret A", None);
        check("explain get", Some(Exit::Usage));
        check("explain get --fs read", Some(Exit::Usage));
        check("suggest", Some(Exit::Usage));
    }

    #[test]
    fn a_server_is_a_command_or_a_url() {
        check("add mcp time -- uvx mcp-server-time --tz UTC --write", None);
        check("add mcp time --write --env A=b -- uvx", None);
        check("add mcp hub --url https://x --header A:b", None);
        check("add mcp hub", Some(Exit::Usage));
        check("add mcp hub --url https://x -- y", Some(Exit::Usage));
        check("add mcp hub --header A:b -- y", Some(Exit::Usage));
        check("add", Some(Exit::Usage));
        check("import x.json --write", None);
        check("import", Some(Exit::Usage));
    }

    #[test]
    fn global_options_stand_before_or_behind_the_command() {
        check("--config x.toml --json list", None);
        check("list --json --config x.toml --log info,plugin=trace --log-format json", None);
        check("list --log loud!", Some(Exit::Usage));
    }

    #[test]
    fn one_serves_over_http_or_to_one_client() {
        check("serve", None);
        check("serve --listen 127.0.0.1:0 --observe", None);
        check("serve --stdio", None);
        check("serve --stdio --listen 127.0.0.1:0", Some(Exit::Usage));
    }
}
