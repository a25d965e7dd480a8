//! `bailiwick lock`: pins what plugins are now, and accepts what became of them. Nothing else writes the lock file.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use bailiwick_core::config::{self, Config};
use bailiwick_core::grant::fs::Roots;
use bailiwick_core::lock::rights::Way;
use bailiwick_core::lock::{Difference, Lock, Pin};

use crate::examine::{Bench, Examined};
use crate::keeper::Keeper;
use crate::{ambient, settings};

use super::audit::subject;
use super::start::{Settings, unfit};
use super::terminal::{DIM, GREEN, Terminal, Trouble, YELLOW, gutter, painted};
use super::{Exit, Global, LockArguments, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick lock                     pin what is not pinned yet, show what changed
  bailiwick lock --accept weather    pin what `weather` is now
  bailiwick lock --check             write nothing; for continuous integration

The lock stands beside the configuration (bailiwick.lock for bailiwick.toml) and is meant to be
committed. It holds, of each plugin, the digest of its component, its imports, its rights and the whole
definition of each tool. From then on a plugin that is anything else is quarantined: it is not loaded,
and its calls are denied with `denied.quarantined`, until what it became is accepted. A built-in plugin
may change with the program as long as its definitions do not.

Looks at components and at the configuration; no directory is opened, no secret read, no tool called.
MCP servers are started, each in its cage, and asked what they have.
Ends with 0 when the lock is what it should be, with 1 when something changed and was not accepted or
(with --check) when the lock would be written, and with 3 when the configuration or the lock is wrong.";

/// What became of one plugin's pin.
enum State {
    /// As it was.
    Kept,
    /// Pinned for the first time.
    New,
    /// Its rights are narrower.
    Narrowed,
    /// It changed, and was accepted.
    Accepted,
    /// It changed, and was not.
    Changed,
    /// It cannot be loaded; what was pinned stays.
    LeftOut(String),
    /// Switched off; what was pinned stays.
    Off,
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::New => "new",
            Self::Narrowed => "narrowed",
            Self::Accepted => "accepted",
            Self::Changed => "changed",
            Self::LeftOut(_) => "left out",
            Self::Off => "off",
        }
    }

    fn is_fine(&self) -> bool {
        match self {
            Self::Kept | Self::New | Self::Narrowed | Self::Accepted | Self::Off => true,
            Self::Changed | Self::LeftOut(_) => false,
        }
    }
}

/// One plugin of the configuration, with what is to be written of it.
struct Entry<'c> {
    plugin: &'c config::Plugin,
    state: State,
    pin: Option<Pin>,
    difference: Option<Difference>,
    /// Sentences about rights that are not what they were.
    rights: Vec<String>,
}

pub(super) fn run(terminal: &Terminal, global: &Global, arguments: &LockArguments) -> Result<Exit, Trouble> {
    let settings = start::settings(global.config.as_deref())?;
    let keeper = start::keeper(&settings.config)?;
    start::with_threads(locked(terminal, &settings, arguments, keeper))
}

async fn locked(
    terminal: &Terminal,
    settings: &Settings,
    arguments: &LockArguments,
    keeper: Option<Arc<Keeper>>,
) -> Result<Exit, Trouble> {
    known(settings, &arguments.accept)?;
    let source = settings::source(&settings.path).map_err(|error| unfit(&error))?;
    let home = ambient::env("HOME");
    let roots = Roots { base: &source.base, home: home.as_deref() };
    let bench = Bench::of(&settings.config, keeper).map_err(|error| start::cannot_start(&error))?;
    let examined = start::patiently(terminal, bench.plugins(&settings.config)).await;
    let old = settings.config.lock.as_deref();
    let entries = entries(&settings.config, &examined, arguments, roots);
    let file = settings::lock_file(&settings.path);
    let pins = entries.iter().filter_map(|entry| Some((entry.plugin.name.clone(), entry.pin.clone()?)));
    let new = Lock { file: file.shown.clone(), plugins: pins.collect() };
    let differs = old != Some(&new);
    let fine = entries.iter().all(|entry| entry.state.is_fine()) && !(arguments.check && differs);
    if differs && !arguments.check {
        ambient::write_public(&file.path, new.write().as_bytes()).map_err(|error| {
            let message = format!("cannot write {}: {error}", file.shown);
            Trouble::new(Exit::Failed, "lock.unwritable", &message)
        })?;
    }
    let outcome = Outcome { entries, removed: removed(old, &new), new, differs, check: arguments.check };
    if terminal.json {
        terminal.print_json(&outcome.json(fine))?
    } else {
        terminal.print(&outcome.text())?
    }
    Ok(if fine { Exit::Done } else { Exit::Failed })
}

/// Refuses to accept what is not there.
fn known(settings: &Settings, accept: &[String]) -> Result<(), Trouble> {
    let plugins = || settings.config.plugins.iter().map(|plugin| plugin.name.as_str());
    match accept.iter().find(|name| plugins().all(|known| known != name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let names: Vec<String> = plugins().map(|name| format!("`{name}`")).collect();
            let message = format!("there is no plugin `{name}` in {}", settings.path.display());
            Err(Trouble::new(Exit::Usage, "usage.plugin", &message)
                .with("fix", &format!("there are {}", names.join(", "))))
        }
    }
}

/// The names of plugins that are pinned no longer.
fn removed(old: Option<&Lock>, new: &Lock) -> Vec<String> {
    let gone = old.into_iter().flat_map(|old| old.plugins.keys()).filter(|name| !new.plugins.contains_key(*name));
    gone.map(ToString::to_string).collect()
}

/// Every plugin of the configuration, in its order, those that are switched off too.
fn entries<'c>(
    config: &'c Config,
    examined: &[(&'c config::Plugin, Examined)],
    arguments: &LockArguments,
    roots: Roots<'_>,
) -> Vec<Entry<'c>> {
    let of_plugin = |plugin: &'c config::Plugin| {
        let examined = examined.iter().find(|(known, _)| known.name == plugin.name).map(|(_, examined)| examined);
        let pinned = config.lock.as_ref().and_then(|lock| lock.plugins.get(&plugin.name));
        let is_accepted = arguments.accept_all || arguments.accept.iter().any(|name| name == plugin.name.as_str());
        entry(plugin, examined, pinned, is_accepted, roots)
    };
    config.plugins.iter().map(of_plugin).collect()
}

fn entry<'c>(
    plugin: &'c config::Plugin,
    examined: Option<&Examined>,
    pinned: Option<&Pin>,
    is_accepted: bool,
    roots: Roots<'_>,
) -> Entry<'c> {
    let kept = |state| Entry { plugin, state, pin: pinned.cloned(), difference: None, rights: Vec::new() };
    let Some(examined) = examined else { return kept(State::Off) };
    let imports = examined.needs();
    let Some(now) = subject(plugin, examined, imports.as_ref()).pin(roots) else {
        return kept(State::LeftOut(examined.fault.clone().unwrap_or_default()));
    };
    let Some(pinned) = pinned else {
        return Entry { pin: Some(now), ..kept(State::New) };
    };
    let difference = pinned.published.difference(&now.published);
    let changes = pinned.right_changes(&now, roots);
    let is_wider = changes.iter().any(|(_, change)| change.way == Way::Wider);
    let sentence = |(tool, change): &(Option<String>, bailiwick_core::lock::rights::RightChange)| match tool {
        Some(tool) => format!("`{tool}` of `{}` {}", plugin.name, change.phrase()),
        None => format!("`{}` {}", plugin.name, change.phrase()),
    };
    let rights = changes.iter().map(sentence).collect();
    let (state, pin) = match (difference.is_some() || is_wider, is_accepted) {
        (true, true) => (State::Accepted, now),
        (true, false) => (State::Changed, pinned.clone()),
        (false, _) if *pinned == now => (State::Kept, now),
        (false, _) => (State::Narrowed, now),
    };
    Entry { plugin, state, pin: Some(pin), difference, rights }
}

/// What is told of it all.
struct Outcome<'c> {
    entries: Vec<Entry<'c>>,
    removed: Vec<String>,
    new: Lock,
    differs: bool,
    check: bool,
}

impl Outcome<'_> {
    fn text(&self) -> String {
        let wide = self.entries.iter().map(|entry| entry.plugin.name.as_str().len()).max().unwrap_or(0);
        let mut text = String::new();
        for entry in &self.entries {
            let _ = writeln!(text, "{}", self.line(entry, wide));
        }
        for name in &self.removed {
            let _ = writeln!(text, "{YELLOW}removed{YELLOW:#}   {name:<wide$}  {DIM}not configured{DIM:#}");
        }
        for entry in &self.entries {
            text.push_str(&painted(&self.details(entry)));
        }
        let file = &self.new.file;
        let _ = match (self.differs, self.check) {
            (false, _) => writeln!(text, "{file} stays as it is"),
            (true, true) => writeln!(text, "{file} is not up to date; `bailiwick lock` writes it"),
            (true, false) => writeln!(text, "{file} is written; review it and commit it"),
        };
        text
    }

    fn line(&self, entry: &Entry<'_>, wide: usize) -> String {
        let (word, name) = (entry.state.word(), entry.plugin.name.as_str());
        let style = match entry.state {
            State::Kept | State::Off => DIM,
            State::New | State::Accepted | State::Narrowed => GREEN,
            State::Changed | State::LeftOut(_) => YELLOW,
        };
        let component = entry.pin.as_ref().map_or("not pinned", |pin| pin.published.component.as_str());
        format!("{style}{word:<9}{style:#} {name:<wide$}  {DIM}{component}{DIM:#}")
    }

    /// What a person has to read before they accept it.
    fn details(&self, entry: &Entry<'_>) -> String {
        let (name, at, file) = (&entry.plugin.name, &entry.plugin.grants.at, &self.new.file);
        let head = match &entry.state {
            State::Kept | State::New | State::Off => return String::new(),
            State::LeftOut(fault) => {
                return format!("error[lock.left-out]: plugin `{name}` cannot be pinned: {fault}\n --> {at}\n");
            }
            State::Accepted | State::Narrowed => "note[lock.accepted]",
            State::Changed => "error[lock.changed]",
        };
        let mut what: Vec<String> = entry.difference.iter().map(Difference::summary).collect();
        what.extend(entry.rights.iter().cloned());
        let mut text = format!("{head}: plugin `{name}` is not what {file} pinned: {}\n --> {at}\n", what.join("; "));
        text.push_str(&entry.difference.as_ref().map_or_else(String::new, |difference| gutter(&difference.text)));
        if let State::Changed = entry.state {
            let _ = writeln!(text, "  = fix: if it is meant, run `bailiwick lock --accept {name}`");
        }
        text
    }

    fn json(&self, fine: bool) -> Value {
        let entry = |entry: &Entry<'_>| {
            let fault = if let State::LeftOut(fault) = &entry.state { Some(fault) } else { None };
            json!({
                "name": entry.plugin.name.as_str(),
                "at": entry.plugin.grants.at,
                "state": entry.state.word(),
                "component": entry.pin.as_ref().map(|pin| &pin.published.component),
                "summary": entry.difference.as_ref().map(Difference::summary),
                "difference": entry.difference.as_ref().map(|difference| &difference.text),
                "rights": entry.rights,
                "fault": fault,
            })
        };
        json!({
            "ok": fine,
            "file": self.new.file,
            "written": self.differs && !self.check,
            "plugins": self.entries.iter().map(entry).collect::<Value>(),
            "removed": self.removed,
        })
    }
}
