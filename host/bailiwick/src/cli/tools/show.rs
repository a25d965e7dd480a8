//! `bailiwick tools show`, and what a service has at this moment.

use serde_json::{Value, json};

use bailiwick_core::call::Caller;
use bailiwick_core::confine::Life;
use bailiwick_core::name::PluginName;
use bailiwick_core::redact::{brief, visible};
use bailiwick_core::registration::login::{Credential, Login};
use bailiwick_core::registration::{Protocol, Registration};

use super::{record, refused, timeout, unfit};
use crate::cli::start::{self, Ground};
use crate::cli::terminal::{BOLD, Terminal, Trouble, YELLOW, clipped, width};
use crate::cli::{Exit, Global};
use crate::load::Setup;

/// Characters of what is said about a service that is not there.
const MAX_TROUBLE: usize = 400;

/// What a service has at this moment.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Names and descriptions of its tools.
    pub(super) tools: Vec<(String, String)>,
    /// Why it cannot be asked.
    pub(super) trouble: Option<String>,
    /// What of it is not there, although it can be asked.
    pub(super) held: Vec<String>,
}

impl Live {
    /// Puts it into what programs are told of a service.
    pub(super) fn put(&self, json: &mut Value) {
        json["tools"] = match &self.trouble {
            Some(_) if self.tools.is_empty() => Value::Null,
            None | Some(_) => {
                self.tools.iter().map(|(name, said)| json!({"name": name, "description": said})).collect()
            }
        };
        json["unavailableReason"] = self.trouble.clone().into();
        json["heldBack"] = self.held.clone().into();
    }
}

/// Asks a service what it has: starts a host with its plugin alone.
pub(super) async fn live(terminal: &Terminal, ground: &Ground, name: &PluginName) -> Result<Live, Trouble> {
    let only = Some(name.clone());
    let host = start::host_of(terminal, ground, Setup { only, afresh: true, ..start::setup(ground) }).await?;
    let tools = host.list(&Caller::operator(super::CALLER)).into_iter();
    let tools = tools.filter(|(_, tool)| tool.plugin == *name);
    let tools = tools.map(|(name, tool)| (name.to_string(), tool.definition.description.clone())).collect();
    let (mut trouble, mut held) = (None, Vec::new());
    for problem in host.snapshot().problems.iter().filter(|problem| problem.plugin == *name) {
        let message = brief(&problem.message, MAX_TROUBLE);
        // What a service said before is of use while it does not answer.
        let unanswered = problem.code.starts_with("upstream.");
        if problem.partly && !unanswered { held.push(message) } else { trouble = Some(message) }
    }
    Ok(Live { tools, trouble, held })
}

pub(super) fn run(terminal: &Terminal, global: &Global, name: &str, toml: bool) -> Result<Exit, Trouble> {
    let settings = start::settings(global.config.as_deref())?;
    let kept = start::registrations(&settings.config)?.get(name).map_err(|error| refused(&error))?;
    let registration = kept.registration;
    if toml {
        let text = registration.table().map_err(|flaw| unfit(&flaw))?;
        terminal.print(&visible(&text.unwrap_or_else(|| "# another name for a tool is no table\n".to_owned())))?;
        return Ok(Exit::Done);
    }
    let ground = start::stand(terminal, global, settings, Life::Once, None)?;
    start::with_threads(async {
        let live = live(terminal, &ground, &registration.name).await?;
        if terminal.json {
            let mut json = record(&registration);
            live.put(&mut json);
            terminal.print_json(&json)?;
        } else {
            terminal.print(&text(&registration, &live))?;
        }
        Ok(Exit::Done)
    })
}

fn text(of: &Registration, live: &Live) -> String {
    let mut text = format!("{BOLD}{}{BOLD:#}\n", of.name);
    let mut line = |what: &str, value: &str| text.push_str(&format!("  {what:<10}{}\n", visible(value)));
    let names = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    if let Protocol::Code(code) = &of.protocol {
        line("Language", code.language.as_str());
        line("Size", &format!("{} bytes", code.source.len()));
        line("Version", &code.version.to_string());
        line("Timeout", &timeout(of).to_string());
        return text + &tools(live);
    }
    line("URL", of.url().unwrap_or("-"));
    if let Protocol::OpenApi(service) = &of.protocol {
        if let Some(spec) = &service.spec {
            line("Spec", &spec.to_string());
        }
        for (what, patterns) in [("Include", &service.include), ("Exclude", &service.exclude)] {
            if !patterns.is_empty() {
                line(what, &patterns.join(", "));
            }
        }
    }
    if let Some(login) = of.login() {
        line("Login", &told(of, login));
    }
    if of.is_unverified() {
        line("TLS", "it is not checked who answers");
    }
    line("Timeout", &timeout(of).to_string());
    line("Headers", &names(of.headers.iter().map(|header| header.name.as_str()).collect()));
    line("Inject", &names(of.inject.iter().map(String::as_str).collect()));
    if !of.ranges().is_empty() {
        line("Addresses", &of.ranges().join(", "));
    }
    text + &tools(live)
}

/// Where a service is logged in at, and where what comes of it goes.
fn told(of: &Registration, login: &Login) -> String {
    let what = match &login.credential {
        Credential::Cookie(name) => format!("the cookie {name}"),
        Credential::Json(place) => place.clone(),
    };
    let header = of.effective_login().map(|login| login.header).unwrap_or_default();
    format!("{} {}; {what} goes into the header {header}", login.method, login.url)
}

fn tools(live: &Live) -> String {
    let mut text = String::from("\n");
    let known = match &live.trouble {
        None => format!("Tools ({})", live.tools.len()),
        Some(trouble) => {
            text.push_str(&format!("(could not reach endpoint: {})\n", visible(trouble)));
            if live.tools.is_empty() {
                return text;
            }
            format!("Tools as they were ({})", live.tools.len())
        }
    };
    text.push_str(&format!("{BOLD}{known}{BOLD:#}\n"));
    let wide = live.tools.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let left = width().map_or(usize::MAX, |width| width.saturating_sub(wide + 4).max(20));
    for (name, said) in &live.tools {
        text.push_str(format!("  {name:<wide$}  {}", clipped(said, left)).trim_end());
        text.push('\n');
    }
    for held in &live.held {
        text.push_str(&format!("  {YELLOW}held back{YELLOW:#}  {}\n", visible(held)));
    }
    text
}
