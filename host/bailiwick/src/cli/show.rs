//! `bailiwick show`: one tool, and exactly what it may reach; or one server, how it does, and what it wrote.

use std::fmt::Write as _;

use serde_json::{Value, json};

use bailiwick_core::call::Selector;
use bailiwick_core::config::{Approval, Effective, Place};
use bailiwick_core::confine::Life;
use bailiwick_core::grant::limit::{Limits, Size, Span};
use bailiwick_core::grant::{Binding, Grants, NetGrant, Placement, SecretGrant, SecretSource};
use bailiwick_core::outcome::Code;
use bailiwick_core::redact::visible_json;
use bailiwick_core::registry::{Risk, Tool};

use crate::host::Snapshot;
use crate::load::Plugin;

use super::list::marks;
use super::start::Ground;
use super::terminal::{BOLD, DIM, RED, Terminal, Trouble, YELLOW};
use super::{Exit, Global, start};

pub(super) fn run(terminal: &Terminal, global: &Global, name: &str) -> Result<Exit, Trouble> {
    let ground = start::ground(terminal, global, Life::Once, None)?;
    start::with_threads(shown(terminal, &ground, name))
}

async fn shown(terminal: &Terminal, ground: &Ground, name: &str) -> Result<Exit, Trouble> {
    let host = start::host_afresh(terminal, ground).await?;
    let snapshot = host.snapshot();
    let Some((_, tool)) = snapshot.registry.resolve(name) else {
        start::warn_of_problems(terminal, &host);
        let is_server = |plugin: &&Plugin| plugin.name.as_str() == name && plugin.condition().is_some();
        if let Some(plugin) = snapshot.plugins.iter().find(is_server) {
            match terminal.json {
                true => terminal.print_json(&server_json(plugin, &snapshot))?,
                false => terminal.print(&server_text(plugin, &snapshot))?,
            }
            return Ok(Exit::Done);
        }
        return Err(unknown(&snapshot, name));
    };
    let plugin = &snapshot.plugins[tool.plugin_index];
    if terminal.json {
        terminal.print_json(&json(tool, plugin))?;
    } else {
        terminal.print(&text(tool, plugin))?;
    }
    Ok(Exit::Done)
}

/// A server: what it is, how it does, its tools, and the last lines it wrote beside the protocol.
fn server_text(plugin: &Plugin, snapshot: &Snapshot) -> String {
    let facts = [
        ("class", plugin.class.to_owned()),
        ("source", plugin.source.clone()),
        ("digest", plugin.digest.to_string()),
        ("condition", plugin.condition().unwrap_or_default()),
    ];
    let mut text = format!("{BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}\n\n", plugin.name, plugin.at);
    text.push_str(&facts.iter().map(|(name, value)| format!("  {name:<9} {value}\n")).collect::<String>());
    let _ = writeln!(text, "\n{BOLD}Tools{BOLD:#}");
    for tool in tools_of(plugin, snapshot) {
        let _ = writeln!(text, "  {}  {DIM}{}{DIM:#}", tool.name, marks(tool));
    }
    let _ = writeln!(text, "\n{BOLD}Standard error{BOLD:#}  {DIM}its last lines{DIM:#}");
    for line in plugin.stderr() {
        // It wrote that: marked, so that no line of it passes for one of the facts above.
        let _ = writeln!(text, "{}", format!("  | {line}").trim_end());
    }
    text
}

fn server_json(plugin: &Plugin, snapshot: &Snapshot) -> Value {
    json!({
        "plugin": plugin.name.as_str(),
        "at": plugin.at,
        "class": plugin.class,
        "source": plugin.source,
        "digest": plugin.digest.to_string(),
        "condition": plugin.condition(),
        "tools": tools_of(plugin, snapshot).map(|tool| tool.name.as_str()).collect::<Value>(),
        "stderr": plugin.stderr(),
    })
}

fn tools_of<'s>(plugin: &'s Plugin, snapshot: &'s Snapshot) -> impl Iterator<Item = &'s std::sync::Arc<Tool>> {
    snapshot.registry.tools().iter().filter(|tool| tool.plugin == plugin.name)
}

fn unknown(snapshot: &Snapshot, name: &str) -> Trouble {
    let trouble = Trouble::new(Exit::Arguments, Code::ToolUnknown.as_str(), &format!("there is no tool `{name}`"));
    let tools = snapshot.registry.tools().iter();
    let own: Vec<String> = tools
        .filter(|tool| AsRef::<str>::as_ref(&tool.plugin) == name)
        .map(|tool| format!("`{}`", tool.name))
        .collect();
    if !own.is_empty() {
        return trouble.with("fix", &format!("`{name}` is a plugin; its tools are {}", own.join(", ")));
    }
    match snapshot.registry.closest(name, &Selector::all()) {
        Some(known) => trouble.with("fix", &format!("did you mean `{known}`?")),
        None => trouble.with("fix", "`bailiwick list` shows the tools there are"),
    }
}

/// Whether a person has to agree to each call.
pub(super) fn asks(tool: &Tool) -> bool {
    match tool.effective.approval {
        Approval::Always => true,
        Approval::Never => false,
        Approval::Auto => tool.definition.risk == Risk::High,
    }
}

/// The plugin's word for its risk.
pub(super) fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}

/// `FILE:LINE` of a grant.
pub(super) fn at(grants: &Grants, place: &Place) -> String {
    grants.line(place)
}

fn text(tool: &Tool, plugin: &Plugin) -> String {
    let mut text = format!("{BOLD}{}{BOLD:#}", tool.name);
    if let Some(title) = &tool.definition.title {
        let _ = write!(text, "  {title}");
    }
    text.push('\n');
    for line in tool.definition.description.trim().lines() {
        // The plugin wrote it: marked, so that no line of it passes for one of the facts below.
        let _ = writeln!(text, "{}", format!("  | {line}").trim_end());
    }
    text.push('\n');
    if let Some(reason) = &tool.not_configured {
        let _ = writeln!(text, "{YELLOW}not configured: {}{YELLOW:#}\n", reason.replace('\n', "\n  | "));
    }
    if !tool.effective.allowed {
        let _ = writeln!(text, "{YELLOW}switched off: `allow = false` ({}){YELLOW:#}\n", tool.effective.grants.at);
    }
    let approval = match (tool.effective.approval, asks(tool)) {
        (Approval::Auto, true) => "auto: each call asks, because the risk is high",
        (Approval::Auto, false) => "auto: not asked, because the risk is not high",
        (Approval::Always, _) => "always: each call asks",
        (Approval::Never, _) => "never",
    };
    let facts = [
        ("plugin", format!("{}  {DIM}{}{DIM:#}", tool.plugin, plugin.at)),
        ("source", plugin.source.clone()),
        ("digest", plugin.digest.to_string()),
        ("risk", format!("{}  {DIM}{}{DIM:#}", risk(tool.definition.risk), marks(tool))),
        ("approval", approval.to_owned()),
    ];
    text.push_str(&facts.iter().map(|(name, value)| format!("  {name:<9} {value}\n")).collect::<String>());
    text.push_str(&reach(&tool.effective));
    let _ = writeln!(text, "\n{BOLD}Limits{BOLD:#}\n{}", limit_lines(&tool.effective.limits));
    text.push_str(&schemas(tool));
    text
}

/// Everything the tool may reach, a line for each grant.
fn reach(effective: &Effective) -> String {
    let grants = &effective.grants;
    let net = grants.net.iter().map(|grant| ("net", net_line(grant), at(grants, grant.place())));
    let fs = grants.fs.iter().map(|grant| {
        let shown =
            format!("{}  {DIM}{} as {} ({}){DIM:#}", grant.text, grant.host.display(), grant.guest, grant.access);
        ("fs", shown, at(grants, &grant.place))
    });
    let secrets = grants.secrets.iter().map(|secret| ("secret", secret_line(secret), at(grants, &secret.place)));
    let names: Vec<&str> = grants.env.keys().map(String::as_str).collect();
    let env = (!names.is_empty()).then(|| ("env", names.join(", "), grants.at.clone()));
    let tools = grants.call.entries();
    let call = (!tools.is_empty()).then(|| ("call", tools.join(", "), grants.at.clone()));
    let lines: Vec<(&str, String, String)> = net.chain(fs).chain(call).chain(secrets).chain(env).collect();
    let mut text = format!("\n{BOLD}May reach{BOLD:#}  {DIM}[{}] {}{DIM:#}\n", grants.table, grants.at);
    if lines.is_empty() {
        text.push_str("  nothing\n");
    }
    for (kind, line, at) in lines {
        let _ = writeln!(text, "  {kind:<7} {line}  {DIM}{at}{DIM:#}");
    }
    if !effective.inject.is_empty() {
        let names: Vec<String> = effective.inject.keys().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "\n{BOLD}Set by the operator{BOLD:#}, hidden from callers\n  {}", names.join(", "));
    }
    text
}

fn net_line(grant: &NetGrant) -> String {
    match grant.text().contains(' ') {
        true => grant.text().to_owned(),
        false => format!("{}  {DIM}{}{DIM:#}", grant.text(), grant.methods()),
    }
}

fn secret_line(secret: &SecretGrant) -> String {
    let mut line = format!("{} from {}", secret.name, source(&secret.source));
    if let Some(binding) = &secret.binding {
        let _ = write!(line, ", put by the host into {}", placement(binding));
    }
    if let Some(variable) = &secret.variable {
        let _ = write!(line, ", {RED}which the program can read in its variable {variable}{RED:#}");
    }
    if secret.reveal {
        let _ = write!(line, ", {RED}which the plugin can read{RED:#}");
    }
    line
}

fn source(source: &SecretSource) -> String {
    match source {
        SecretSource::Env(name) => format!("the variable {name}"),
        SecretSource::File(path) => format!("the file {}", path.display()),
        // Its arguments may hold what is not for every eye.
        SecretSource::Command(argv) => format!("the command `{}`", argv.first().map_or("", String::as_str)),
        SecretSource::Kept => "the host's own database, sealed".to_owned(),
    }
}

fn placement(binding: &Binding) -> String {
    let place = match &binding.placement {
        Placement::Header { name, .. } => format!("the header `{name}`"),
        Placement::Basic { user } => format!("basic authentication of `{user}`"),
        Placement::Query { key } => format!("the query parameter `{key}`"),
    };
    format!("{place} of requests to {}", binding.origin)
}

fn limits(limits: &Limits) -> [(&'static str, String); 13] {
    let size = |bytes: u64| Size(bytes).to_string();
    [
        ("time", Span(limits.time).to_string()),
        ("memory", size(limits.memory)),
        ("output", size(limits.output)),
        ("artifacts", size(limits.artifacts)),
        ("log", size(limits.log)),
        ("calls", limits.calls.to_string()),
        ("http_requests", limits.http_requests.to_string()),
        ("http_concurrent", limits.http_concurrent.to_string()),
        ("http_request_body", size(limits.http_request_body)),
        ("http_response_body", size(limits.http_response_body)),
        ("handles", limits.handles.to_string()),
        ("table_elements", limits.table_elements.to_string()),
        ("concurrency", limits.concurrency.to_string()),
    ]
}

fn limit_lines(of: &Limits) -> String {
    let cells = limits(of).map(|(name, value)| format!("{name} {value}"));
    let lines = cells.chunks(4).map(|row| row.iter().map(|cell| format!("  {cell:<28}")).collect::<String>());
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn schemas(tool: &Tool) -> String {
    let schema = format!("{:#}", tool.arguments.visible());
    let mut text = format!("{BOLD}Arguments{BOLD:#}\n{}\n", visible_json(&schema));
    if let Some(schema) = tool.output_schema() {
        let schema = format!("{schema:#}");
        let _ = writeln!(text, "\n{BOLD}Structured result{BOLD:#}\n{}", visible_json(&schema));
    }
    text
}

fn json(tool: &Tool, plugin: &Plugin) -> Value {
    let limits = limits(&tool.effective.limits).into_iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
    json!({
        "name": tool.name.to_string(),
        "title": tool.definition.title,
        "description": tool.definition.description,
        "notConfigured": tool.not_configured,
        "allowed": tool.effective.allowed,
        "plugin": {
            "name": tool.plugin.to_string(),
            "at": plugin.at,
            "source": plugin.source,
            "digest": plugin.digest.to_string(),
        },
        "risk": tool.definition.risk,
        "approval": tool.effective.approval.as_str(),
        "asks": asks(tool),
        "annotations": tool.annotations,
        "grants": grants_json(tool),
        "limits": limits.collect::<serde_json::Map<_, _>>(),
        "injected": tool.effective.inject.keys().map(String::as_str).collect::<Value>(),
        "inputSchema": tool.arguments.visible(),
        "outputSchema": tool.output_schema(),
    })
}

fn grants_json(tool: &Tool) -> Value {
    let grants = &tool.effective.grants;
    let net = grants.net.iter().map(|grant| json!({"grant": grant.text(), "at": at(grants, grant.place())}));
    let fs = grants.fs.iter().map(|grant| {
        json!({
            "grant": grant.text,
            "host": grant.host,
            "guest": grant.guest,
            "access": grant.access.to_string(),
            "at": at(grants, &grant.place),
        })
    });
    let secrets = grants.secrets.iter().map(|secret| {
        json!({
            "name": secret.name.to_string(),
            "source": source(&secret.source),
            "origin": secret.binding.as_ref().map(|binding| binding.origin.to_string()),
            "placement": secret.binding.as_ref().map(placement),
            "variable": secret.variable,
            "reveal": secret.reveal,
            "at": at(grants, &secret.place),
        })
    });
    json!({
        "table": grants.table,
        "at": grants.at,
        "digest": tool.grants_digest,
        "net": net.collect::<Value>(),
        "fs": fs.collect::<Value>(),
        "call": grants.call.entries(),
        "secrets": secrets.collect::<Value>(),
        "env": grants.env.keys().map(String::as_str).collect::<Value>(),
    })
}
