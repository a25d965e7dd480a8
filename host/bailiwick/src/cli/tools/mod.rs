//! `bailiwick tools`: services that are registered beside the configuration, so that they come and go without it.

mod add;
mod given;
mod login;
mod show;

use clap::Subcommand;
use serde_json::{Value, json};

use bailiwick_core::config::{Config, Flaw};
use bailiwick_core::grant::limit::Span;
use bailiwick_core::redact::visible;
use bailiwick_core::registration::{Document, Protocol, Registration};
use std::time::Duration;

use crate::audit::{Audit, Keeping};
use crate::load::StartError;
use crate::registrations::{Change, Kept, RegistrationError};
use crate::settings;

use super::start::{self, cannot_start};
use super::terminal::{BOLD, Terminal, Trouble};
use super::{Exit, Global};
use given::{AddArguments, UpdateArguments};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick tools add weather --url https://api.weather.example --header 'X-Api-Key: …'
  bailiwick tools add hub --url https://hub.example.com/v1 --header-file ./hub.headers
  bailiwick tools add local --url http://localhost:8000 --inject units=si --timeout 5000
  bailiwick tools add shop --url https://shop.example --auth-login-url https://shop.example/login \
      --auth-login-body 'user=bot&password=${SHOP_PASSWORD}' --auth-extract-cookie session
  bailiwick tools list
  bailiwick tools show weather
  bailiwick tools update weather --spec ./weather.yaml --exclude 'DELETE /**'
  bailiwick tools remove weather

A service has an OpenAPI document, at /openapi.json below its URL unless `--spec` says where; each
operation is a tool. The host asks the URL's origin, and nobody else. What is registered is kept in the
database of the state folder, beside the configuration, which comes first where both have a plugin of
one name. A server that runs takes a change at once; what lies outside of what it confined itself to
at its start it leaves out until a restart, and says so.

The values of headers and of injected arguments are sealed with the host's own key, and are never
shown again. Headers go to the origin of the URL alone, with every request; injected arguments are
hidden from callers and always win. `--header-file` reads headers from a file, one `NAME: VALUE` on
each line, so that they stand on no command line. Who changed what is in the audit.

A service that answers 401 or 403 is logged in at once, with --auth-login-…, and asked once more. What
the login gives, a cookie or a place in a JSON answer, goes to the origin of the service's URL; it is
kept sealed, over restarts too. Values belong into ${NAME} in the body: each is read from the
environment when the service is registered, and sealed. What else the body says is kept as it is.

Programs that callers made tools of are listed here too: `show` tells their language, size and version,
and `show --toml` their source.

`show --toml` prints the table of bailiwick.toml that a service stands for. To grant it more, or less,
put that into the configuration, say where its secrets are, and remove what is registered.";

/// What to do with what is registered.
#[derive(Debug, Subcommand)]
pub(super) enum ToolsCommand {
    /// Register a service
    Add(Box<AddArguments>),
    /// Show a service: where it is, the names of what it is sent, and its tools
    Show {
        /// Its name
        name: String,
        /// Print the table of bailiwick.toml that it stands for instead; where a value belongs it names a variable
        #[arg(long)]
        toml: bool,
    },
    /// List what is registered
    List,
    /// Change what is given, and nothing else
    Update(Box<UpdateArguments>),
    /// Take a service away
    Remove {
        /// Its name
        name: String,
    },
}

pub(super) fn run(terminal: &Terminal, global: &Global, command: ToolsCommand) -> Result<Exit, Trouble> {
    match command {
        ToolsCommand::Add(arguments) => add::add(terminal, global, &arguments),
        ToolsCommand::Show { name, toml } => show::run(terminal, global, &name, toml),
        ToolsCommand::List => list(terminal, global),
        ToolsCommand::Update(arguments) => add::update(terminal, global, &arguments),
        ToolsCommand::Remove { name } => remove(terminal, global, &name),
    }
}

/// Who changes what is registered here.
const CALLER: &str = "cli";

/// Most characters of a URL in the list.
const WIDEST_URL: usize = 45;

fn list(terminal: &Terminal, global: &Global) -> Result<Exit, Trouble> {
    let config = start::settings(global.config.as_deref())?.config;
    let listed = start::registrations(&config)?.list().map_err(|error| cannot_start(&error.into()))?;
    for unreadable in &listed.unreadable {
        let fix = format!("`bailiwick tools remove {}`, and add it once more", unreadable.name);
        let message = format!("tools {:?} cannot be read: {}", unreadable.name, unreadable.reason);
        terminal.warning("tools.unreadable", &message, Some(&fix));
    }
    if terminal.json {
        let tools: Vec<Value> = listed.kept.iter().map(|kept| record(&kept.registration)).collect();
        terminal.print_json(&json!({ "tools": tools }))?;
        return Ok(Exit::Done);
    }
    if listed.kept.is_empty() {
        terminal.print("no tools are registered\n")?;
        return Ok(Exit::Done);
    }
    terminal.print(&table(&listed.kept))?;
    Ok(Exit::Done)
}

fn table(kept: &[Kept]) -> String {
    let wide = kept.iter().map(|kept| kept.name.as_str().len()).max().unwrap_or(0).max("NAME".len());
    let mut text = format!("{BOLD}{:<wide$}  {:<WIDEST_URL$}  TIMEOUT{BOLD:#}\n", "NAME", "URL");
    for Kept { name, registration, .. } in kept {
        let url = cut(&place(registration));
        text.push_str(&format!("{name:<wide$}  {url:<WIDEST_URL$}  {}\n", timeout(registration), name = name.as_str()));
    }
    text
}

/// Where it is; of a program, in which language it is.
fn place(registration: &Registration) -> String {
    match &registration.protocol {
        Protocol::Code(code) => format!("({})", code.language),
        Protocol::OpenApi(_) | Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Native(_) => {
            registration.url().unwrap_or("-").to_owned()
        }
    }
}

/// A URL that fits its column.
fn cut(url: &str) -> String {
    let url = visible(url);
    match url.char_indices().nth(WIDEST_URL) {
        None => url.into_owned(),
        Some(_) => url.chars().take(WIDEST_URL - 1).chain(['…']).collect(),
    }
}

fn timeout(registration: &Registration) -> Span {
    Span(Duration::from_millis(registration.timeout_ms))
}

fn remove(terminal: &Terminal, global: &Global, name: &str) -> Result<Exit, Trouble> {
    let config = start::settings(global.config.as_deref())?.config;
    let change = start::registrations(&config)?.remove(name, CALLER).map_err(|error| refused(&error))?;
    audited(&config, &change)?;
    if terminal.json {
        terminal.print_json(&json!({"name": change.name, "registered": false}))?;
    } else {
        terminal.print(&format!("Removed tools {:?}.\n", change.name))?;
    }
    Ok(Exit::Done)
}

/// Leaves a change in the audit, and returns when it is written.
fn audited(config: &Config, change: &Change) -> Result<(), Trouble> {
    let file = settings::audit_file(config);
    let file = file.ok_or_else(|| cannot_start(&StartError::NoFolder("the audit", "state")))?;
    let keeping = Keeping { file, keep: config.audit.keep, max: config.audit.max };
    let audit = Audit::open(keeping).map_err(|error| cannot_start(&error.into()))?;
    audit.record(change.record());
    Ok(())
}

/// Why nothing was changed.
fn refused(error: &RegistrationError) -> Trouble {
    let trouble = |exit| Trouble::new(exit, error.code(), &error.to_string());
    match error {
        RegistrationError::Unfit(flaw) => unfit(flaw),
        RegistrationError::Exists(name) => {
            trouble(Exit::Failed).with("fix", &format!("`bailiwick tools update {name}` changes it"))
        }
        RegistrationError::Unknown(_) => {
            trouble(Exit::Failed).with("fix", "`bailiwick tools list` lists what is registered")
        }
        RegistrationError::Unreadable(name, _) => {
            trouble(Exit::Failed).with("fix", &format!("`bailiwick tools remove {name}`, and add it once more"))
        }
        RegistrationError::Changed(_) => trouble(Exit::Failed).with("fix", "look at it, and change it once more"),
        RegistrationError::Seal(_) => {
            trouble(Exit::Failed).with("fix", "remove it with `bailiwick tools remove`, and add it once more")
        }
        RegistrationError::Store(_) => trouble(Exit::Start),
    }
}

/// What cannot be registered.
fn unfit(flaw: &Flaw) -> Trouble {
    let trouble = Trouble::new(Exit::Usage, "tools.unfit", &flaw.message);
    let trouble = flaw.legal.iter().fold(trouble, |trouble, legal| trouble.with("legal", legal));
    flaw.suggestion.iter().fold(trouble, |trouble, fix| trouble.with("fix", fix))
}

/// A registration for programs: names, and never a value.
fn record(of: &Registration) -> Value {
    let headers: Vec<&str> = of.headers.iter().map(|header| header.name.as_str()).collect();
    let mut json = json!({
        "id": of.id, "name": of.name.as_str(), "protocol": of.protocol.as_str(), "url": of.url(),
        "timeoutMs": of.timeout_ms, "headers": headers, "inject": of.inject, "addresses": of.ranges(),
        "net": of.net().unwrap_or_default(), "unverifiedTls": of.is_unverified(), "owner": of.owner,
        "createdAt": moment(of.created_at), "updatedAt": moment(of.updated_at),
    });
    if let Some(login) = of.login() {
        let header = of.effective_login().map(|login| login.header);
        let (kind, named) = (login.credential.kind(), login.credential.as_str());
        json["login"] = json!({"url": login.url, "method": login.method, kind: named, "header": header});
    }
    match &of.protocol {
        Protocol::OpenApi(service) => {
            json["spec"] = service.spec.as_ref().map(Document::to_string).into();
            json["naming"] = service.naming.as_str().into();
            json["include"] = service.include.clone().into();
            json["exclude"] = service.exclude.clone().into();
        }
        Protocol::Http(request) => json["method"] = request.method.as_str().into(),
        Protocol::Mcp(server) => json["tool"] = server.tool.as_str().into(),
        Protocol::Native(native) => json["tool"] = native.tool.as_str().into(),
        Protocol::Code(code) => {
            json["language"] = code.language.as_str().into();
            json["bytes"] = code.source.len().into();
            json["version"] = code.version.into();
        }
    }
    json
}

fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}
