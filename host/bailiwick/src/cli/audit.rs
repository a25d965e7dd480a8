//! `bailiwick audit`: of the configuration, what each plugin's component asks for against what it was granted, and both against what was pinned.
//! Below it, what was recorded of calls: [`log`] shows it, [`verify`] checks it.

pub(super) mod log;
pub(super) mod verify;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use serde_json::{Value, json};

use bailiwick_core::capability::{Capability, Right, Standing};
use bailiwick_core::config::{self, Config, Source};
use bailiwick_core::grant::fs::Roots;
use bailiwick_core::lock::Lock;
use bailiwick_core::review::{self, Finding, Level, Setting, Subject};

use crate::examine::{Bench, Examined};
use crate::keeper::Keeper;
use crate::load::StartError;
use crate::settings::{self, LockFile};
use crate::store::StoreError;
use crate::{ambient, surface::Surface};

use super::start::{Settings, unfit};
use super::terminal::{BOLD, DIM, RED, Terminal, Trouble, YELLOW, gutter, painted};
use super::{AuditArguments, AuditCommand, Exit, Global, sarif, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick audit
  bailiwick audit --level error && deploy
  bailiwick audit --format sarif > bailiwick.sarif
  git show main:bailiwick.lock > old.lock; bailiwick audit --against old.lock

Looks at components and at the configuration; no directory is opened, no secret read, no tool called.
MCP servers are started, each in its cage, and asked what they have.
Findings have a level:
  error    not what bailiwick.lock pins (another component, one more import, another definition, a
           wider grant), or not to be loaded
  warning  legal and dangerous (every host, cloud metadata, a revealed secret, its own rights), not
           pinned, or granted and of no use
  note     imported and not granted, addresses that are not public, a narrower grant

Ends with 0 when there is no finding at or above --level, with 1 when there is one, and with 3 when the
configuration or the lock is missing or wrong.

`bailiwick audit log` shows what was called; `bailiwick audit verify` checks that those records are what
was written.";

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For code hosts: SARIF 2.1.0
    Sarif,
}

/// The mildest finding that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Least {
    /// Everything counts
    Note,
    /// What is dangerous counts too
    Warning,
    /// Only what changed, and what is left out
    Error,
}

impl Least {
    fn level(self) -> Level {
        match self {
            Self::Note => Level::Note,
            Self::Warning => Level::Warning,
            Self::Error => Level::Error,
        }
    }
}

/// A configuration, audited.
pub(super) struct Audit<'a> {
    /// The configuration file, as it was named.
    pub(super) file: &'a Path,
    pub(super) plugins: Vec<(&'a config::Plugin, Examined)>,
    /// Those about the files first, then plugin by plugin.
    pub(super) findings: Vec<Finding>,
    lock: Option<Arc<Lock>>,
    lock_file: String,
}

pub(super) fn run(terminal: &Terminal, global: &Global, arguments: &AuditArguments) -> Result<Exit, Trouble> {
    let settings = start::settings(global.config.as_deref())?;
    match &arguments.command {
        None => {
            let keeper = start::keeper(&settings.config)?;
            start::with_threads(audited(terminal, &settings, arguments, keeper))
        }
        Some(AuditCommand::Log(arguments)) => log::run(terminal, &file(&settings.config)?, arguments),
        Some(AuditCommand::Verify { head }) => verify::run(terminal, &file(&settings.config)?, *head),
    }
}

/// Where calls are recorded.
fn file(config: &Config) -> Result<PathBuf, Trouble> {
    let none = || start::cannot_start(&StartError::NoFolder("the audit", "state"));
    settings::audit_file(config).ok_or_else(none)
}

fn unreadable(error: &StoreError) -> Trouble {
    let trouble = Trouble::new(Exit::Failed, "audit.unreadable", &error.to_string());
    trouble.with("fix", "`bailiwick audit verify` names the first record that is not what was written")
}

fn missing(path: &Path) -> Trouble {
    let message = format!("there is no audit at {}", path.display());
    Trouble::new(Exit::Failed, "audit.missing", &message).with("note", "the first call makes it")
}

async fn audited(
    terminal: &Terminal,
    settings: &Settings,
    arguments: &AuditArguments,
    keeper: Option<Arc<Keeper>>,
) -> Result<Exit, Trouble> {
    let source = settings::source(&settings.path).map_err(|error| unfit(&error))?;
    let (lock, lock_file) = lock(settings, arguments.against.as_deref())?;
    let bench = Bench::of(&settings.config, keeper).map_err(|error| start::cannot_start(&error))?;
    let plugins = start::patiently(terminal, bench.plugins(&settings.config)).await;
    let mut audit = Audit { file: &settings.path, plugins, findings: Vec::new(), lock, lock_file };
    audit.findings = audit.look(settings, &source);
    let least = arguments.level.level();
    let fine = audit.findings.iter().all(|finding| finding.rule.level() < least);
    match arguments.format.unwrap_or(if terminal.json { Format::Json } else { Format::Text }) {
        Format::Text => terminal.print(&audit.text())?,
        Format::Json => terminal.print_json(&audit.json(least, fine))?,
        Format::Sarif => terminal.print_json(&sarif::log(&audit))?,
    }
    Ok(if fine { Exit::Done } else { Exit::Failed })
}

/// What the configuration is compared with: what is pinned beside it, or in a file of the operator's choice.
fn lock(settings: &Settings, against: Option<&Path>) -> Result<(Option<Arc<Lock>>, String), Trouble> {
    let Some(path) = against else {
        return Ok((settings.config.lock.clone(), settings::lock_file(&settings.path).shown));
    };
    let file = LockFile { path: path.to_owned(), shown: path.display().to_string() };
    let lock = settings::read_lock(&file).map_err(|error| unfit(&error))?;
    Ok((Some(Arc::new(lock)), file.shown))
}

/// The subject of a review.
pub(super) fn subject<'a>(
    plugin: &'a config::Plugin,
    examined: &'a Examined,
    imports: Option<&'a std::collections::BTreeSet<String>>,
) -> Subject<'a> {
    Subject {
        plugin,
        component: examined.pinned.clone(),
        imports,
        definitions: examined.definitions.as_deref(),
        fault: examined.fault.as_deref(),
    }
}

impl Audit<'_> {
    fn look(&self, settings: &Settings, source: &Source) -> Vec<Finding> {
        let home = ambient::env("HOME");
        let real = |path: &Path| -> PathBuf { ambient::canonical(path).unwrap_or_else(|_| path.to_owned()) };
        let own_file = real(self.file);
        let setting = Setting {
            source,
            roots: Roots { base: &source.base, home: home.as_deref() },
            own_file: &own_file,
            real: &real,
            lock: self.lock.as_deref(),
            lock_file: &self.lock_file,
        };
        let of_plugin = |(plugin, examined): &(&config::Plugin, Examined)| {
            let imports = examined.needs();
            review::review(&subject(plugin, examined, imports.as_ref()), &setting)
        };
        let of_files = review::review_lock(&settings.config, &setting);
        of_files.into_iter().chain(self.plugins.iter().flat_map(of_plugin)).collect()
    }

    fn text(&self) -> String {
        let shown = self.file.display().to_string();
        let findings_of = |plugin: Option<&config::Plugin>| -> String {
            let own =
                self.findings.iter().filter(|finding| finding.plugin.as_ref() == plugin.map(|plugin| &plugin.name));
            own.map(|finding| finding_text(finding, &shown)).collect()
        };
        let mut text = findings_of(None);
        for (plugin, examined) in &self.plugins {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&rights(plugin, examined));
            text.push_str(&findings_of(Some(plugin)));
        }
        let count = |level: Level| {
            let n = self.findings.iter().filter(|finding| finding.rule.level() == level).count();
            if n == 1 { format!("1 {level}") } else { format!("{n} {level}s") }
        };
        let [notes, warnings, errors] = Level::ALL.map(count);
        let plugins = if self.plugins.len() == 1 { "plugin" } else { "plugins" };
        let _ = writeln!(text, "\n{shown}: {} {plugins}, {errors}, {warnings}, {notes}", self.plugins.len());
        text
    }

    fn json(&self, least: Level, fine: bool) -> Value {
        let plugin = |(plugin, examined): &(&config::Plugin, Examined)| {
            json!({
                "name": plugin.name.as_str(),
                "at": plugin.grants.at,
                "component": examined.pinned,
                "imports": examined.surface.as_ref().map(Surface::needs),
                "fault": examined.fault,
            })
        };
        json!({
            "ok": fine,
            "level": least.as_str(),
            "file": self.file,
            "lock": self.lock.as_ref().map(|_| &self.lock_file),
            "plugins": self.plugins.iter().map(plugin).collect::<Value>(),
            "findings": self.findings.iter().map(|finding| finding_json(finding, self.file)).collect::<Value>(),
        })
    }
}

fn finding_text(finding: &Finding, file: &str) -> String {
    let (level, place) = (finding.rule.level(), &finding.place);
    let mut text = format!("{level}[{}]: {}\n", finding.rule.id(), finding.message.replace('\n', " "));
    let _ = writeln!(text, " --> {file}:{}:{}", place.line, place.column);
    text.push_str(&finding.detail.as_deref().map_or_else(String::new, gutter));
    if let Some(fix) = &finding.fix {
        let _ = writeln!(text, "  = fix: {fix}");
    }
    painted(&text)
}

fn finding_json(finding: &Finding, file: &Path) -> Value {
    json!({
        "id": finding.id(),
        "rule": finding.rule.id(),
        "level": finding.rule.level().as_str(),
        "plugin": finding.plugin.as_ref().map(|plugin| plugin.as_str()),
        "subject": finding.subject,
        "message": finding.message,
        "file": file,
        "line": finding.place.line,
        "column": finding.place.column,
        "difference": finding.detail,
        "fix": finding.fix,
    })
}

/// A plugin, and for each right whether its component imports it and what was granted of it.
fn rights(plugin: &config::Plugin, examined: &Examined) -> String {
    let head = format!("{BOLD}{}{BOLD:#}  {DIM}{}", plugin.name, plugin.grants.at);
    let pinned = examined.pinned.as_deref().unwrap_or_default();
    let head = format!("{head}  {pinned}{DIM:#}\n");
    let Some(surface) = &examined.surface else { return head + &rights_of_program(plugin) };
    let mut text = head;
    let imports = surface.needs();
    let imported = |standing: Standing| {
        imports.iter().any(|import| Capability::of(import).is_some_and(|known| known.standing == standing))
    };
    for right in [Right::Net, Right::Fs, Right::Call, Right::Env, Right::Config, Right::Secrets] {
        let granted = granted(plugin, right);
        let state = match (imported(Standing::Granted(right)), granted.is_empty()) {
            (true, true) => format!("{DIM}imported, not granted: denied{DIM:#}"),
            (true, false) => format!("imported, granted  {granted}"),
            (false, true) => format!("{DIM}neither imported nor granted{DIM:#}"),
            (false, false) => format!("{YELLOW}not imported{YELLOW:#}, granted  {granted}"),
        };
        let _ = writeln!(text, "  {:<8} {state}", right.key());
    }
    if imported(Standing::Never) {
        let _ = writeln!(text, "  {:<8} {DIM}imported, never granted: denied{DIM:#}", "sockets");
    }
    text
}

/// A plugin that is no component: what it was granted, whether it uses that or not.
fn rights_of_program(plugin: &config::Plugin) -> String {
    if plugin.class.is_component() {
        return String::new();
    }
    let line = |right: Right| {
        let granted = granted(plugin, right);
        let state = if granted.is_empty() { format!("{DIM}not granted{DIM:#}") } else { format!("granted  {granted}") };
        format!("  {:<8} {state}\n", right.key())
    };
    [Right::Net, Right::Fs, Right::Env, Right::Secrets].map(line).concat()
}

/// What was granted of a right, in a few words; what a reviewer has to see is red.
fn granted(plugin: &config::Plugin, right: Right) -> String {
    let grants = &plugin.grants;
    let names: Vec<String> = match right {
        Right::Net => {
            let danger = grants.net.danger_metadata().then(|| format!("{RED}danger_metadata_addresses{RED:#}"));
            grants.net.iter().map(|grant| grant.text().to_owned()).chain(danger).collect()
        }
        Right::Fs => grants.fs.iter().map(|grant| grant.text.clone()).collect(),
        Right::Call => grants.call.entries(),
        Right::Env => grants.env.keys().cloned().collect(),
        Right::Config => plugin.config.keys().cloned().collect(),
        Right::Secrets => {
            let secret = |secret: &bailiwick_core::grant::SecretGrant| match (secret.reveal, &secret.variable) {
                (true, _) => format!("{} {RED}reveal = true{RED:#}", secret.name),
                (false, Some(variable)) => format!("{} {RED}variable = \"{variable}\"{RED:#}", secret.name),
                (false, None) => secret.name.to_string(),
            };
            grants.secrets.iter().map(secret).collect()
        }
    };
    names.join(", ")
}
