//! `bailiwick check`: is the configuration right, does everything it names load, and what in it is worth a second look?

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use bailiwick_core::config::{self, Approval, Config};
use bailiwick_core::grant::Access;
use bailiwick_core::grant::pattern::HostPattern;
use bailiwick_core::registry::Risk;

use crate::ambient;
use crate::host::Snapshot;
use crate::load::Problem;

use super::start::Settings;
use super::terminal::{DIM, GREEN, RED, Terminal, Trouble};
use super::{Exit, show, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick check
  bailiwick check --strict --config deploy/bailiwick.toml && systemctl reload bailiwick

Ends with 0 when everything loads, with 1 when something does not (or, with --strict, when there is
a warning) and with 3 when the file itself is missing or wrong. No tool is called.";

/// What is legal and worth a second look.
struct Warning {
    code: &'static str,
    at: String,
    message: String,
}

pub(super) async fn run(terminal: &Terminal, config: Option<&Path>, strict: bool) -> Result<Exit, Trouble> {
    let settings = match start::settings(config) {
        Ok(settings) => settings,
        Err(trouble) if terminal.json => {
            let mut report = trouble.json().clone();
            report["ok"] = false.into();
            terminal.print_json(&report)?;
            return Ok(trouble.exit);
        }
        Err(trouble) => return Err(trouble),
    };
    let host = start::host(terminal, &settings.config).await?;
    let snapshot = host.snapshot();
    let warnings = warnings(&settings, &snapshot);
    let problems = &snapshot.problems;
    let fine = problems.is_empty() && (warnings.is_empty() || !strict);
    if terminal.json {
        terminal.print_json(&report(&settings, &snapshot, &warnings, fine))?;
    } else {
        for warning in &warnings {
            terminal.warning(warning.code, &format!("{} ({})", warning.message, warning.at), None);
        }
        for problem in problems {
            terminal.trouble(&left_out(problem));
        }
        terminal.print(&lines(&settings.config, &snapshot))?;
        terminal.print(&summary(&settings, &snapshot, warnings.len()))?;
    }
    Ok(if fine { Exit::Done } else { Exit::Failed })
}

fn left_out(problem: &Problem) -> Trouble {
    let message = format!("plugin `{}` cannot be loaded: {}", problem.plugin, problem.message);
    Trouble::new(Exit::Failed, "plugin.left-out", &message).with("at", &problem.at)
}

/// What became of one plugin of the file.
enum Fate<'s> {
    Off,
    Broken,
    Loaded { source: &'s str, digest: String, tools: Vec<&'s str> },
}

fn fate<'s>(plugin: &config::Plugin, snapshot: &'s Snapshot) -> Fate<'s> {
    if !plugin.enabled {
        return Fate::Off;
    }
    let loaded = snapshot.plugins.iter().find(|loaded| loaded.name == plugin.name);
    match loaded.filter(|_| snapshot.problems.iter().all(|problem| problem.plugin != plugin.name)) {
        None => Fate::Broken,
        Some(loaded) => {
            let tools = snapshot.registry.tools().iter().filter(|tool| tool.plugin == plugin.name);
            let tools = tools.map(|tool| tool.name.as_ref()).collect();
            Fate::Loaded { source: &loaded.source, digest: loaded.component.digest.to_string(), tools }
        }
    }
}

/// One line for each plugin.
fn lines(config: &Config, snapshot: &Snapshot) -> String {
    let wide = config.plugins.iter().map(|plugin| plugin.name.to_string().chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for plugin in &config.plugins {
        let name = format!("{:<wide$}", plugin.name.to_string());
        let _ = match fate(plugin, snapshot) {
            Fate::Off => writeln!(text, "{DIM}off   {name}  `enabled = false`{DIM:#}"),
            Fate::Broken => writeln!(text, "{RED}error{RED:#} {name}  {}", plugin.grants.at),
            Fate::Loaded { source, digest, tools } => {
                let tools = counted(tools.len(), "tool");
                writeln!(text, "{GREEN}ok{GREEN:#}    {name}  {tools:<8}  {digest}  {source}")
            }
        };
    }
    text
}

fn summary(settings: &Settings, snapshot: &Snapshot, warnings: usize) -> String {
    format!(
        "{}: {}, {}, {}, {}\n",
        settings.path.display(),
        counted(settings.config.plugins.len(), "plugin"),
        counted(snapshot.registry.tools().len(), "tool"),
        counted(warnings, "warning"),
        counted(snapshot.problems.len(), "problem"),
    )
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn report(settings: &Settings, snapshot: &Snapshot, warnings: &[Warning], fine: bool) -> Value {
    let plugin = |plugin: &config::Plugin| {
        let (name, at) = (plugin.name.to_string(), &plugin.grants.at);
        match fate(plugin, snapshot) {
            Fate::Off => json!({"name": name, "at": at, "enabled": false, "loaded": false}),
            Fate::Broken => json!({"name": name, "at": at, "enabled": true, "loaded": false}),
            Fate::Loaded { source, digest, tools } => json!({
                "name": name, "at": at, "enabled": true, "loaded": true,
                "source": source, "digest": digest, "tools": tools,
            }),
        }
    };
    let warning = |warning: &Warning| json!({"code": warning.code, "at": warning.at, "message": warning.message});
    json!({
        "ok": fine,
        "file": settings.path,
        "plugins": settings.config.plugins.iter().map(plugin).collect::<Value>(),
        "warnings": warnings.iter().map(warning).collect::<Value>(),
        "problems": start::problems_json(&snapshot.problems),
    })
}

fn warnings(settings: &Settings, snapshot: &Snapshot) -> Vec<Warning> {
    let enabled = settings.config.plugins.iter().filter(|plugin| plugin.enabled);
    let mut warnings: Vec<Warning> = enabled.flat_map(|plugin| wide_grants(plugin, &settings.path)).collect();
    for tool in snapshot.registry.tools() {
        let at = || tool.effective.grants.at.clone();
        if tool.definition.risk == Risk::High && tool.effective.approval == Approval::Never {
            let message =
                format!("`{}` can do harm for good and `approval = \"never\"` lets it run unasked", tool.name);
            warnings.push(Warning { code: "check.unasked", at: at(), message });
        }
        if let Some(reason) = &tool.not_configured {
            let message = format!("`{}` is not configured: {reason}", tool.name);
            warnings.push(Warning { code: "check.not-configured", at: at(), message });
        }
    }
    warnings
}

/// Grants that reach further than most tools need. The configuration itself refuses what it can tell from names alone.
fn wide_grants(plugin: &config::Plugin, file: &Path) -> Vec<Warning> {
    let (name, grants) = (&plugin.name, &plugin.grants);
    let mut warnings = Vec::new();
    for grant in grants.net.iter().filter(|grant| *grant.host() == HostPattern::Any) {
        let message = format!("`{name}` may reach every public host: `{}`", grant.text());
        warnings.push(Warning { code: "check.any-host", at: show::at(grants, grant.place()), message });
    }
    if grants.net.danger_metadata() {
        let message =
            format!("`{name}` may reach cloud metadata, which hands out credentials: `danger_metadata_addresses`");
        warnings.push(Warning { code: "check.danger", at: grants.at.clone(), message });
    }
    let own_file = ambient::canonical(file).unwrap_or_else(|_| file.to_owned());
    for grant in grants.fs.iter().filter(|grant| grant.access == Access::ReadWrite) {
        let host = ambient::canonical(&grant.host).unwrap_or_else(|_| grant.host.clone());
        if own_file.starts_with(&host) {
            let message = format!("`{name}` may write to its own rights: {} lies in `{}`", file.display(), grant.text);
            warnings.push(Warning { code: "check.own-rights", at: show::at(grants, &grant.place), message });
        }
    }
    for secret in grants.secrets.iter().filter(|secret| secret.reveal) {
        let message = format!("`{name}` can read the secret `{}` itself: `reveal = true`", secret.name);
        warnings.push(Warning { code: "check.reveal", at: show::at(grants, &secret.place), message });
    }
    warnings
}
