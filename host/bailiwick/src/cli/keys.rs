//! `bailiwick keys`: makes keys, lists them, revokes them. A key is shown once; what is kept is a hash.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use bailiwick_core::config::Config;
use bailiwick_core::grant::limit::{Size, Span, parse_duration, parse_size};
use bailiwick_core::key::{KeyHash, KeyText};
use bailiwick_core::redact::visible;

use crate::keys::hash;
use crate::keys::rows::{self, Change, Own, Rights, Row};
use crate::store::{self, Store};
use crate::{ambient, settings};

use super::start::{self, cannot_start};
use super::terminal::{Terminal, Trouble};
use super::{Exit, Global};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick keys create ci --tools read,fetch --execute
  bailiwick keys create ops --policy operators --expires 30d
  bailiwick keys create bot --tools '*' --execute --per-minute 30 --calls 500 --per 24h
  bailiwick keys list
  bailiwick keys revoke ci
  bailiwick keys hash < key.txt

A key is shown once, on standard output, when it is made; after that there is only its hash, in the
database of the state folder. A server that runs takes a new key at once, and ends at once what goes
on under a revoked one. `hash` prints the hash of a key for `[keys.NAME]` or for the variable
BAILIWICK_API_KEY_HASH; without a key on standard input it makes one. `--write-env FILE` writes the key
(of `create`) or the hash (of `hash`) to a new file that only you can read, instead of showing it.

Without --policy a key has the rights that are given with it and no others: no tools, nothing to run.";

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key and show it, once
    Create(Box<CreateArguments>),
    /// List the keys: what they may do, never what they are
    List,
    /// Make a key worthless, at once
    Revoke {
        /// Its name
        name: String,
    },
    /// Print the hash of a key from standard input, or of a new one
    Hash {
        /// Write it to this new file as BAILIWICK_API_KEY_HASH=…, for its owner alone
        #[arg(long, value_name = "FILE")]
        write_env: Option<PathBuf>,
    },
}

/// What a key may do.
#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// A name for it: 1 to 64 of a-z, A-Z, 0-9, `.`, `_` and `-`
    name: String,
    /// What this policy of the configuration says, at each moment
    #[arg(long, value_name = "NAME", conflicts_with_all = [
        "tools", "execute", "approve", "manage", "per_minute", "calls", "time", "bytes", "per"
    ])]
    policy: Option<String>,
    /// The tools it sees: names, `*` for all, `!name` for all but this one; with commas, or repeated
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    tools: Vec<String>,
    /// It may run them
    #[arg(long)]
    execute: bool,
    /// It may answer when a person is asked for a call
    #[arg(long)]
    approve: bool,
    /// It may manage what is loaded and see how the host does
    #[arg(long)]
    manage: bool,
    /// Requests in a minute; 0 means no limit
    #[arg(long, value_name = "N")]
    per_minute: Option<u32>,
    /// Calls in each --per
    #[arg(long, value_name = "N")]
    calls: Option<u32>,
    /// Time that calls take, together, in each --per, such as `10m`
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// Bytes of results in each --per, such as `100MiB`
    #[arg(long, value_name = "SIZE")]
    bytes: Option<String>,
    /// The length of time that --calls, --time and --bytes are counted over [default: 24h]
    #[arg(long, value_name = "TIME")]
    per: Option<String>,
    /// How long it is valid, such as `30d` or `12h`
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Write it to this new file as BAILIWICK_API_KEY=…, for its owner alone, instead of showing it
    #[arg(long, value_name = "FILE")]
    write_env: Option<PathBuf>,
}

pub(super) fn run(terminal: &Terminal, global: &Global, command: &KeysCommand) -> Result<Exit, Trouble> {
    match command {
        KeysCommand::Hash { write_env } => hash_of(terminal, write_env.as_deref()),
        KeysCommand::Create(arguments) => {
            let config = start::settings(global.config.as_deref())?.config;
            create(terminal, &config, arguments)
        }
        KeysCommand::List => {
            let config = start::settings(global.config.as_deref())?.config;
            list(terminal, &config)
        }
        KeysCommand::Revoke { name } => {
            let config = start::settings(global.config.as_deref())?.config;
            revoke(terminal, &config, name)
        }
    }
}

/// The database of the state folder.
fn open(config: &Config) -> Result<Store, Trouble> {
    use crate::load::StartError;
    let folder = settings::state_folder(config);
    let folder = folder.ok_or_else(|| cannot_start(&StartError::NoFolder("state", "state")))?;
    let unusable = |error| cannot_start(&StartError::File { path: folder.clone(), error });
    ambient::create_private_dir(&folder).map_err(unusable)?;
    Store::open(&folder.join(store::FILE)).map_err(|error| cannot_start(&error.into()))
}

fn unusable(error: store::StoreError) -> Trouble {
    cannot_start(&error.into())
}

fn usage(message: &str) -> Trouble {
    Trouble::new(Exit::Usage, "usage.key", message)
}

fn create(terminal: &Terminal, config: &Config, arguments: &CreateArguments) -> Result<Exit, Trouble> {
    let name = &arguments.name;
    let legal = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if !(1..=64).contains(&name.len()) || !name.chars().all(legal) {
        return Err(usage("the name of a key is 1 to 64 of a-z, A-Z, 0-9, `.`, `_` and `-`"));
    }
    if config.keys.contains_key(name) {
        return Err(usage(&format!("the configuration has a key `{name}` already: `[keys.{name}]`")));
    }
    let rights = rights(config, arguments)?;
    let created = store::now();
    let expires = arguments.expires.as_deref().map(|text| time("--expires", text)).transpose()?;
    let expires = expires.map(|time| created.saturating_add_unsigned(time.as_secs().max(1)));
    let store = open(config)?;
    let key = new_key()?;
    let text = KeyText::parse(&key).expect("what is made is a key");
    let hash = hashed(text)?.to_string();
    let row = Row { name: name.clone(), id: text.id(), hash, rights, created, expires, revoked: None };
    if rows::add(&store, &row).map_err(unusable)? == Change::Refused {
        let trouble = Trouble::new(Exit::Failed, "keys.exists", &format!("there is a key `{name}` already"));
        return Err(trouble.with("fix", &format!("take another name, or run `bailiwick keys revoke {name}` first")));
    }
    let shown = match &arguments.write_env {
        None => Ok(Some(key.as_str())),
        Some(file) => write_env(file, "BAILIWICK_API_KEY", &key).map(|()| None),
    };
    // A key that nobody got to know is none.
    let shown = shown.inspect_err(|_| drop(rows::revoke(&store, name, store::now())))?;
    told(terminal, &row, shown, arguments.write_env.as_deref())
}

fn told(terminal: &Terminal, row: &Row, key: Option<&str>, file: Option<&Path>) -> Result<Exit, Trouble> {
    if terminal.json {
        let mut json = json_of(row);
        if let Some(key) = key {
            json["key"] = key.into();
        }
        terminal.print_json(&json)?;
        return Ok(Exit::Done);
    }
    match (key, file) {
        (Some(key), _) => {
            terminal.hint(&format!("this is the key `{}`; it is not shown again:", row.name));
            terminal.print(&format!("{key}\n"))?;
        }
        (None, file) => {
            let file = file.map(|file| file.display().to_string()).unwrap_or_default();
            terminal.print(&format!("the key `{}` is in {file}\n", row.name))?;
        }
    }
    Ok(Exit::Done)
}

fn rights(config: &Config, arguments: &CreateArguments) -> Result<Rights, Trouble> {
    if let Some(policy) = &arguments.policy {
        if config.policies.contains_key(policy) {
            return Ok(Rights::Policy(policy.clone()));
        }
        let names: Vec<String> = config.policies.keys().map(|name| format!("`{name}`")).collect();
        let trouble = usage(&format!("there is no policy `{}` in the configuration", visible(policy)));
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(trouble.with("known", &known));
    }
    let CreateArguments { execute, approve, manage, per_minute, calls, .. } = *arguments;
    let tools = arguments.tools.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let ms = |option, text: &Option<String>| {
        let time = text.as_deref().map(|text| time(option, text)).transpose()?;
        Ok(time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    };
    let bytes = arguments.bytes.as_deref().map(|text| {
        parse_size(text).map_err(|_| usage(&format!("`--bytes` cannot be `{text}`")).with("legal", "such as `100MiB`"))
    });
    let (time_ms, per_ms) = (ms("--time", &arguments.time)?, ms("--per", &arguments.per)?);
    let bytes = bytes.transpose()?;
    Ok(Rights::Own(Own { tools, execute, approve, manage, per_minute, calls, time_ms, bytes, per_ms }))
}

/// A length of time; days too, which the configuration does not have.
fn time(option: &str, text: &str) -> Result<std::time::Duration, Trouble> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()).map(|days| format!("{}h", days * 24));
    parse_duration(days.as_deref().unwrap_or(text))
        .map_err(|_| usage(&format!("`{option}` cannot be `{text}`")).with("legal", "such as `90s`, `12h` or `30d`"))
}

fn list(terminal: &Terminal, config: &Config) -> Result<Exit, Trouble> {
    let rows = rows::all(&open(config)?).map_err(unusable)?;
    if terminal.json {
        let of_config = config.keys.iter().map(
            |(name, key)| json!({"name": name, "from": "configuration", "policy": key.policy.name, "state": "valid"}),
        );
        let keys: Vec<Value> = of_config.chain(rows.iter().map(json_of)).collect();
        terminal.print_json(&json!({ "keys": keys }))?;
        return Ok(Exit::Done);
    }
    let of_config =
        config.keys.iter().map(|(name, key)| format!("{name}  valid  policy {}  (configuration)\n", key.policy.name));
    let lines: String = of_config.chain(rows.iter().map(line)).collect();
    terminal.print(if lines.is_empty() { "there are no keys\n" } else { &lines })?;
    Ok(Exit::Done)
}

fn state(row: &Row) -> &'static str {
    match row.revoked {
        Some(_) => "revoked",
        None if row.is_valid(store::now()) => "valid",
        None => "expired",
    }
}

fn line(row: &Row) -> String {
    let rights = match &row.rights {
        Rights::Policy(policy) => format!("policy {policy}"),
        Rights::Own(own) => in_words(own),
    };
    let expires = row.expires.map(|at| format!("  until {}", moment(at))).unwrap_or_default();
    format!("{}  {}  {rights}{expires}\n", row.name, state(row))
}

fn in_words(own: &Own) -> String {
    let may = [(own.execute, "execute"), (own.approve, "approve"), (own.manage, "manage")];
    let may = may.into_iter().filter(|(said, _)| *said).map(|(_, what)| what.to_owned());
    let tools = if own.tools.is_empty() { "no tools".to_owned() } else { format!("tools {}", own.tools.join(",")) };
    let per_minute = own.per_minute.map(|n| format!("{n}/min"));
    let budget = own.policy().budget;
    let per = Span(budget.per);
    let calls = budget.calls.map(|calls| format!("{calls} calls/{per}"));
    let time = budget.time.map(|time| format!("{} of calls/{per}", Span(time)));
    let bytes = budget.bytes.map(|bytes| format!("{} of results/{per}", Size(bytes)));
    let all = std::iter::once(tools).chain(may).chain(per_minute).chain(calls).chain(time).chain(bytes);
    all.collect::<Vec<_>>().join(", ")
}

fn json_of(row: &Row) -> Value {
    let mut json = json!({"name": row.name, "from": "database", "state": state(row), "created": moment(row.created)});
    match &row.rights {
        Rights::Policy(policy) => json["policy"] = policy.as_str().into(),
        Rights::Own(own) => json["rights"] = serde_json::to_value(own).expect("its keys are text"),
    }
    for (what, at) in [("expires", row.expires), ("revoked", row.revoked)] {
        if let Some(at) = at {
            json[what] = moment(at).into();
        }
    }
    json
}

fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}

fn revoke(terminal: &Terminal, config: &Config, name: &str) -> Result<Exit, Trouble> {
    if config.keys.contains_key(name) {
        let message = format!("the key `{name}` is in the configuration: take `[keys.{name}]` out of it");
        return Err(Trouble::new(Exit::Failed, "keys.configured", &message));
    }
    if rows::revoke(&open(config)?, name, store::now()).map_err(unusable)? == Change::Refused {
        let message = format!("there is no key `{}` that could be revoked", visible(name));
        let trouble = Trouble::new(Exit::Failed, "keys.unknown", &message);
        return Err(trouble.with("fix", "`bailiwick keys list` lists the keys"));
    }
    if terminal.json {
        terminal.print_json(&json!({"name": name, "state": "revoked"}))?;
    } else {
        terminal.print(&format!("the key `{name}` is revoked\n"))?;
    }
    Ok(Exit::Done)
}

/// The longest text that is read as a key.
const MAX_INPUT: u64 = 1 << 10;

fn hash_of(terminal: &Terminal, file: Option<&Path>) -> Result<Exit, Trouble> {
    let mut given = Zeroizing::new(String::new());
    if !std::io::stdin().is_terminal() {
        std::io::stdin()
            .take(MAX_INPUT)
            .read_to_string(&mut given)
            .map_err(|error| usage(&format!("standard input cannot be read: {error}")))?;
    }
    let made = if given.trim().is_empty() { Some(new_key()?) } else { None };
    let key = made.as_ref().map_or(given.trim(), |made| made.as_str());
    let key = KeyText::parse(key).ok_or_else(|| {
        let trouble = usage("what is on standard input is no key");
        trouble.with("legal", "2 to 8 small letters, `_`, and 43 characters of base64url")
    })?;
    let hash = hashed(key)?.to_string();
    let made = made.as_ref().map(|_| key.as_str());
    if let Some(file) = file {
        // In quotes, for whoever lets a shell read it.
        write_env(file, "BAILIWICK_API_KEY_HASH", &format!("'{hash}'"))?;
    }
    if terminal.json {
        terminal.print_json(&json!({"key": made, "hash": hash}))?;
        return Ok(Exit::Done);
    }
    if let Some(key) = made {
        terminal.hint("a new key; it is not shown again:");
        terminal.print(&format!("{key}\n"))?;
    }
    terminal.print(&if file.is_some() { String::new() } else { format!("{hash}\n") })?;
    Ok(Exit::Done)
}

fn new_key() -> Result<Zeroizing<String>, Trouble> {
    hash::new_key().map_err(|error| Trouble::new(Exit::Start, "host.random", &error.to_string()))
}

fn hashed(key: KeyText<'_>) -> Result<KeyHash, Trouble> {
    hash::make(key).map_err(|error| Trouble::new(Exit::Start, "keys.hash", &error.to_string()))
}

/// Writes a variable to a new file of the operator's alone.
fn write_env(file: &Path, name: &str, value: &str) -> Result<(), Trouble> {
    let text = Zeroizing::new(format!("{name}={value}\n"));
    ambient::create_private(file, text.as_bytes()).map_err(|error| {
        let trouble = Trouble::new(Exit::Failed, "keys.file", &format!("cannot write {}: {error}", file.display()));
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return trouble.with("fix", "name a file that is not there: none is written over");
        }
        trouble
    })
}
