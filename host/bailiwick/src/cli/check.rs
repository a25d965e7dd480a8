//! `bailiwick check`: is the configuration right, does everything it names load, and what in it is worth a second look?

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use bailiwick_core::config::{self, Config};
use bailiwick_core::confine::{FileRule, Life};
use bailiwick_core::review::{Danger, DangerKind, dangers, is_unasked};

use crate::ambient;
use crate::confine::{Missing, Wall};
use crate::host::Snapshot;
use crate::load::Problem;

use super::start::{Ground, Settings};
use super::terminal::{DIM, GREEN, RED, Terminal, Trouble, YELLOW};
use super::{Exit, Global, show, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick check
  bailiwick check --strict --config deploy/bailiwick.toml && systemctl reload bailiwick

Ends with 0 when everything loads, with 1 when something does not (or, with --strict, when there is
a warning) and with 3 when the file itself is missing or wrong. No tool is called.";

/// What is legal and worth a second look.
struct Warning {
    code: &'static str,
    /// Its line in the configuration, if one line is to blame.
    at: Option<String>,
    message: String,
}

pub(super) fn run(terminal: &Terminal, global: &Global, strict: bool) -> Result<Exit, Trouble> {
    // Confined as a server would be: that is what the report is about.
    let ground = match start::ground(terminal, global, Life::Serving, None) {
        Ok(ground) => ground,
        Err(trouble) if terminal.json => {
            let mut report = trouble.json().clone();
            report["ok"] = false.into();
            terminal.print_json(&report)?;
            return Ok(trouble.exit);
        }
        Err(trouble) => return Err(trouble),
    };
    start::with_threads(check(terminal, &ground, strict))
}

async fn check(terminal: &Terminal, ground: &Ground, strict: bool) -> Result<Exit, Trouble> {
    let host = start::host_afresh(terminal, ground).await?;
    let Ground { settings, wall, .. } = ground;
    let wall = wall.as_deref();
    let snapshot = host.snapshot();
    let mut warnings = warnings(settings, &snapshot);
    warnings.extend(wall.into_iter().flat_map(holes));
    let problems = &snapshot.problems;
    let fine = problems.is_empty() && (warnings.is_empty() || !strict);
    if terminal.json {
        let mut report = report(settings, &snapshot, &warnings, fine);
        report["wall"] = wall.map_or_else(|| json!({"confined": false}), wall_json);
        terminal.print_json(&report)?;
    } else {
        for warning in &warnings {
            let at = warning.at.iter().map(|at| format!(" ({at})")).collect::<String>();
            terminal.warning(warning.code, &format!("{}{at}", warning.message), None);
        }
        for problem in problems {
            terminal.trouble(&left_out(problem));
        }
        terminal.print(&lines(&settings.config, &snapshot))?;
        terminal.print(&wall_line(wall))?;
        terminal.print(&summary(settings, &snapshot, warnings.len()))?;
    }
    Ok(if fine { Exit::Done } else { Exit::Failed })
}

fn left_out(problem: &Problem) -> Trouble {
    let what = if problem.partly { "cannot be loaded as a whole" } else { "cannot be loaded" };
    let message = format!("plugin `{}` {what}: {}", problem.plugin, problem.message);
    let mut trouble = Trouble::new(Exit::Failed, problem.code, &message).with("at", &problem.at);
    if let Some(difference) = &problem.difference {
        trouble = trouble.with_difference(difference);
    }
    match &problem.fix {
        Some(fix) => trouble.with("fix", fix),
        None => trouble,
    }
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
    match loaded.filter(|_| snapshot.problems.iter().all(|problem| problem.plugin != plugin.name || problem.partly)) {
        None => Fate::Broken,
        Some(loaded) => {
            let tools = snapshot.registry.tools().iter().filter(|tool| tool.plugin == plugin.name);
            let tools = tools.map(|tool| tool.name.as_ref()).collect();
            Fate::Loaded { source: &loaded.source, digest: loaded.digest.to_string(), tools }
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

/// What the host itself is confined to, in a line.
fn wall_line(wall: Option<&Wall>) -> String {
    let Some(wall) = wall else {
        return format!("{RED}open{RED:#}  the host itself is not confined: `--no-confine`\n");
    };
    let (hold, confinement) = (wall.hold(), wall.confinement());
    let landlock = hold.landlock.map_or_else(|| "no Landlock".to_owned(), |version| format!("Landlock {version}"));
    let calls = if hold.syscalls { "system calls filtered" } else { "system calls not filtered" };
    let files = counted(confinement.files.len(), "path");
    let ports = counted(confinement.ports().len(), "TCP port");
    let (style, word) = if hold.missing.is_empty() { (GREEN, "ok") } else { (YELLOW, "weak") };
    format!("{style}{word:<4}{style:#}  the host itself is confined to {files} and {ports}  {landlock}, {calls}\n")
}

fn wall_json(wall: &Wall) -> Value {
    let (hold, confinement) = (wall.hold(), wall.confinement());
    let missing = |missing: &Missing| json!({"what": missing.as_str(), "essential": missing.is_essential(), "message": missing.to_string()});
    let file =
        |rule: &FileRule| json!({"path": rule.path, "reach": rule.reach.as_str(), "what": rule.what, "at": rule.at});
    // Their arguments may hold what is not for every eye.
    let outside = confinement.commands.iter().map(|rule| json!({"command": rule.argv.first(), "at": rule.at}));
    json!({
        "confined": hold.landlock.is_some() || hold.syscalls,
        "landlock": hold.landlock,
        "systemCalls": hold.syscalls,
        "missing": hold.missing.iter().map(missing).collect::<Value>(),
        "files": confinement.files.iter().map(file).collect::<Value>(),
        "ports": confinement.ports(),
        "names": confinement.names().into_iter().map(ToString::to_string).collect::<Value>(),
        "outside": outside.collect::<Value>(),
    })
}

/// What of the confinement does not hold, or will not for long.
fn holes(wall: &Wall) -> impl Iterator<Item = Warning> {
    let missing = wall.hold().missing.iter().map(ToString::to_string);
    let missing = missing.map(|message| Warning { code: "check.wall", at: None, message });
    let pinned = wall.confinement().pinned.iter().map(ToString::to_string);
    missing.chain(pinned.map(|message| Warning { code: "check.pinned", at: None, message }))
}

fn summary(settings: &Settings, snapshot: &Snapshot, warnings: usize) -> String {
    let unpinned = match &settings.config.lock {
        Some(_) => String::new(),
        None => format!("{DIM}nothing is pinned; `bailiwick lock` writes what is there now into a file{DIM:#}\n"),
    };
    format!(
        "{unpinned}{}: {}, {}, {}, {}\n",
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
        "lock": settings.config.lock.as_ref().map(|lock| &lock.file),
        "plugins": settings.config.plugins.iter().map(plugin).collect::<Value>(),
        "warnings": warnings.iter().map(warning).collect::<Value>(),
        "problems": start::problems_json(&snapshot.problems),
    })
}

fn warnings(settings: &Settings, snapshot: &Snapshot) -> Vec<Warning> {
    let enabled = settings.config.plugins.iter().filter(|plugin| plugin.enabled);
    let mut warnings: Vec<Warning> = enabled.flat_map(|plugin| wide_grants(plugin, &settings.path)).collect();
    for plugin in &snapshot.plugins {
        let warning = |function| Warning {
            code: "check.no-tool",
            at: Some(plugin.at.clone()),
            message: format!("plugin `{}`: {function}", plugin.name),
        };
        warnings.extend(plugin.left_out().iter().map(warning));
        warnings.extend(plugin.advice().iter().map(|advice| Warning {
            code: "check.no-proof",
            at: Some(plugin.at.clone()),
            message: format!("plugin `{}`: {advice}", plugin.name),
        }));
    }
    warnings.extend(unpinned(&settings.config));
    for tool in snapshot.registry.tools() {
        let at = || tool.effective.grants.at.clone();
        if is_unasked(&tool.definition, &tool.effective) {
            let message =
                format!("`{}` can do harm for good and `approval = \"never\"` lets it run unasked", tool.name);
            warnings.push(Warning { code: "check.unasked", at: Some(at()), message });
        }
        if let Some(reason) = &tool.not_configured {
            let message = format!("`{}` is not configured: {reason}", tool.name);
            warnings.push(Warning { code: "check.not-configured", at: Some(at()), message });
        }
    }
    warnings
}

/// Grants that reach further than most tools need. Addresses that are not public had to be named, and are left to
/// `audit`.
fn wide_grants(plugin: &config::Plugin, file: &Path) -> Vec<Warning> {
    let real = |path: &Path| ambient::canonical(path).unwrap_or_else(|_| path.to_owned());
    let warning = |danger: Danger| {
        let code = match danger.kind {
            DangerKind::AnyHost => "check.any-host",
            DangerKind::Metadata => "check.danger",
            DangerKind::OwnRights => "check.own-rights",
            DangerKind::Reveal => "check.reveal",
            DangerKind::Sandbox => "check.sandbox",
            DangerKind::Installs => "check.installs",
            DangerKind::Unverified => "check.unverified",
            DangerKind::Addresses => return None,
        };
        let at = danger.place.map_or_else(|| plugin.grants.at.clone(), |place| show::at(&plugin.grants, &place));
        Some(Warning { code, at: Some(at), message: danger.message })
    };
    dangers(plugin, &real(file), &real).into_iter().filter_map(warning).collect()
}

/// Plugins that no change of would be noticed, although others are pinned.
fn unpinned(config: &Config) -> Vec<Warning> {
    let Some(lock) = &config.lock else { return Vec::new() };
    let warning = |plugin: &config::Plugin| {
        let message = format!("`{}` is not pinned in {}; `bailiwick lock` pins it", plugin.name, lock.file);
        Warning { code: "check.unpinned", at: Some(plugin.grants.at.clone()), message }
    };
    // What is registered while the host is there is no part of what was reviewed.
    let plugins = config.plugins.iter().filter(|plugin| plugin.enabled && !plugin.kept);
    plugins.filter(|plugin| !lock.plugins.contains_key(&plugin.name)).map(warning).collect()
}
