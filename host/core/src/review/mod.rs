//! What a reviewer is told of one configuration: what each component asks for against what it was granted, and both
//! against what was pinned. [`review`] looks at one plugin, [`review_lock`] at what no plugin stands for.

mod danger;
mod rule;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use danger::{Danger, DangerKind, dangers, is_unasked};
pub use rule::{Level, Rule};

use crate::capability::{Capability, Right, Standing};
use crate::config::{Config, Place, Plugin, Source, locate};
use crate::grant::fs::Roots;
use crate::lock::diff::Patience;
use crate::lock::rights::{RightChange, Way};
use crate::lock::{Change, Lock, Pin, Published};
use crate::name::PluginName;
use crate::registry::Definition;

/// One thing a reviewer should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What sort of thing.
    pub rule: Rule,
    /// Whose it is; none for what is about the files.
    pub plugin: Option<PluginName>,
    /// What exactly: an import, a tool, a grant. With rule and plugin it is the finding's id.
    pub subject: String,
    /// Where in the configuration.
    pub place: Place,
    /// One sentence.
    pub message: String,
    /// A difference, line by line. Written by the plugin in part: what a terminal acts on has to be taken out before it
    /// is shown.
    pub detail: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    /// The same for the same finding in the next run, wherever its line has moved: `RULE:PLUGIN:SUBJECT`.
    pub fn id(&self) -> String {
        let plugin = self.plugin.as_ref().map_or("", PluginName::as_str);
        format!("{}:{plugin}:{}", self.rule.id(), self.subject)
    }
}

/// Where a review takes place.
pub struct Setting<'a> {
    /// The configuration as it was read.
    pub source: &'a Source,
    /// What its paths start from.
    pub roots: Roots<'a>,
    /// The configuration file, without links.
    pub own_file: &'a Path,
    /// A path without links, as far as it is there.
    pub real: &'a dyn Fn(&Path) -> PathBuf,
    /// What was pinned; none without a lock file.
    pub lock: Option<&'a Lock>,
    /// What the lock file is called, whether it is there or not.
    pub lock_file: &'a str,
}

/// A plugin under review.
pub struct Subject<'a> {
    /// As it is configured.
    pub plugin: &'a Plugin,
    /// What its component is called in a lock; none if it cannot be read.
    pub component: Option<String>,
    /// The imports that need something of the host; none if it cannot be read.
    pub imports: Option<&'a BTreeSet<String>>,
    /// What it published; none if it could not be asked.
    pub definitions: Option<&'a [Definition]>,
    /// Why it would be left out.
    pub fault: Option<&'a str>,
}

impl Subject<'_> {
    /// What would be pinned of it now; none if it cannot be.
    pub fn pin(&self, roots: Roots<'_>) -> Option<Pin> {
        let (Some(component), Some(imports), Some(definitions), None) =
            (&self.component, self.imports, self.definitions, self.fault)
        else {
            return None;
        };
        let published = Published::of(component.clone(), imports.iter().cloned(), definitions);
        Some(Pin::of(self.plugin, published, roots))
    }
}

/// Looks at one plugin; the worst comes first.
pub fn review(subject: &Subject<'_>, setting: &Setting<'_>) -> Vec<Finding> {
    let mut review = Review { subject, setting, found: Vec::new() };
    review.what_keeps_it_out();
    review.what_was_pinned();
    review.what_is_dangerous();
    review.what_is_granted_and_not_imported();
    review.what_is_imported_and_not_granted();
    let mut found = review.found;
    found.sort_by_key(|finding| std::cmp::Reverse(finding.rule.level()));
    found
}

/// Looks at the lock file itself.
pub fn review_lock(config: &Config, setting: &Setting<'_>) -> Vec<Finding> {
    let start = Place { line: 1, column: 1, span: 0..0 };
    let finding = |rule, subject: String, message, fix: &str| Finding {
        rule,
        plugin: None,
        subject,
        place: start.clone(),
        message,
        detail: None,
        fix: Some(fix.to_owned()),
    };
    let file = setting.lock_file;
    let Some(lock) = setting.lock else {
        let message = format!("nothing is pinned: there is no {file}, so no change of a component would be noticed");
        return vec![finding(Rule::NoLock, file.to_owned(), message, "run `bailiwick lock` and commit what it writes")];
    };
    let stale = lock.plugins.keys().filter(|name| config.plugins.iter().all(|plugin| plugin.name != **name));
    stale
        .map(|name| {
            let message = format!("{file} pins `{name}`, which is not configured");
            finding(Rule::StalePin, name.to_string(), message, "run `bailiwick lock`")
        })
        .collect()
}

/// A review under way.
struct Review<'r> {
    subject: &'r Subject<'r>,
    setting: &'r Setting<'r>,
    found: Vec<Finding>,
}

impl Review<'_> {
    fn plugin(&self) -> &Plugin {
        self.subject.plugin
    }

    /// The place of a key of the plugin, or of the innermost table around it.
    fn at(&self, path: &[&str]) -> Place {
        let whole: Vec<&str> =
            ["plugins", self.plugin().name.as_str()].into_iter().chain(path.iter().copied()).collect();
        locate(&self.setting.source.text, &whole).unwrap_or_else(|| self.plugin().place.clone())
    }

    fn note(&mut self, rule: Rule, subject: &str, place: Place, message: String) -> &mut Finding {
        let plugin = Some(self.plugin().name.clone());
        let finding = Finding { rule, plugin, subject: subject.to_owned(), place, message, detail: None, fix: None };
        self.found.push(finding);
        self.found.last_mut().unwrap_or_else(|| unreachable!("one was added a line above"))
    }

    fn what_keeps_it_out(&mut self) {
        let name = self.plugin().name.clone();
        let unknown: Vec<&String> =
            self.subject.imports.into_iter().flatten().filter(|import| Capability::of(import).is_none()).collect();
        for import in &unknown {
            let message = format!("`{name}` imports `{import}`, which this host does not offer: it is not loaded");
            self.note(Rule::ImportUnknown, import, self.at(&["component"]), message);
        }
        if let (Some(fault), true) = (self.subject.fault, unknown.is_empty()) {
            let key = self.plugin().class.key();
            self.note(Rule::LeftOut, "", self.at(&[key]), format!("`{name}` cannot be loaded: {fault}"));
        }
    }

    fn what_was_pinned(&mut self) {
        let (name, file) = (self.plugin().name.clone(), self.setting.lock_file);
        let Some(lock) = self.setting.lock else { return };
        let Some(pin) = lock.plugins.get(&name) else {
            let message = format!("`{name}` is not pinned in {file}: no change of it would be noticed");
            let place = self.plugin().place.clone();
            self.note(Rule::Unpinned, "", place, message).fix = Some("run `bailiwick lock`".to_owned());
            return;
        };
        if let (Some(component), Some(imports)) = (&self.subject.component, self.subject.imports) {
            let mut now = Published::of(component.clone(), imports.iter().cloned(), &[]);
            now.tools = match self.subject.definitions {
                Some(definitions) => Published::of(String::new(), [], definitions).tools,
                // Not known: as if nothing had changed.
                None => pin.published.tools.clone(),
            };
            self.note_changes(&pin.published, &now);
        }
        if let Some(now) = self.subject.pin(self.setting.roots) {
            for (tool, change) in pin.right_changes(&now, self.setting.roots) {
                self.note_right(tool.as_deref(), &change);
            }
        }
    }

    fn note_changes(&mut self, was: &Published, now: &Published) {
        // Once: there can be thousands of changes, and a place is found by reading the whole file.
        let place = self.at(&[self.plugin().class.key()]);
        let mut patience = Patience::default();
        for change in was.changes(now) {
            let detail = detail(was, now, &change, &mut patience);
            self.note_change(change, detail, place.clone());
        }
    }

    fn note_change(&mut self, change: Change, detail: Option<String>, place: Place) {
        let (name, file) = (self.plugin().name.clone(), self.setting.lock_file);
        let (rule, subject, message) = match &change {
            Change::Component { was, now } => {
                (Rule::ComponentChanged, String::new(), format!("`{name}` is {now}, and {file} pins {was}"))
            }
            Change::ImportAdded(import) => {
                let message =
                    format!("`{name}` imports `{import}`, which it did not when it was pinned: {}", told(import));
                (Rule::ImportAdded, import.clone(), message)
            }
            Change::ImportRemoved(import) => {
                (Rule::ImportRemoved, import.clone(), format!("`{name}` no longer imports `{import}`"))
            }
            Change::ImportVersion { was, now } => {
                (Rule::ImportVersion, now.clone(), format!("`{name}` imports `{now}`, which was `{was}`"))
            }
            Change::ToolAdded(tool) => {
                (Rule::ToolAdded, tool.clone(), format!("`{name}` has the tool `{tool}`, which {file} does not know"))
            }
            Change::ToolRemoved(tool) => {
                (Rule::ToolRemoved, tool.clone(), format!("`{name}` no longer has the tool `{tool}`"))
            }
            Change::ToolChanged(tool) => (
                Rule::DefinitionChanged,
                tool.clone(),
                format!("`{tool}` of `{name}` is not defined as {file} pins it"),
            ),
        };
        let finding = self.note(rule, &subject, place, message);
        finding.detail = detail;
        if rule.level() == Level::Error {
            finding.fix = Some(format!("if it is meant, run `bailiwick lock --accept {name}`"));
        }
    }

    fn note_right(&mut self, tool: Option<&str>, change: &RightChange) {
        let name = self.plugin().name.clone();
        let owner = tool.map_or_else(|| format!("`{name}`"), |tool| format!("`{tool}` of `{name}`"));
        let subject = match tool {
            Some(tool) => format!("{tool}:{}:{}", change.key, change.text),
            None => format!("{}:{}", change.key, change.text),
        };
        let message = format!("{owner} {}", change.phrase());
        let place = self.place_of_right(tool, change);
        match change.way {
            Way::Wider => {
                let fix = format!("if it is meant, run `bailiwick lock --accept {name}`");
                self.note(Rule::GrantWidened, &subject, place, message).fix = Some(fix);
            }
            Way::Narrower => {
                let fix = "run `bailiwick lock` to pin less".to_owned();
                self.note(Rule::GrantNarrowed, &subject, place, message).fix = Some(fix);
            }
        }
    }

    /// Where the line is that changed a right, or where it would be.
    fn place_of_right(&self, tool: Option<&str>, change: &RightChange) -> Place {
        let grants = self.plugin().rules_for(tool.unwrap_or("*")).grants;
        let written = match change.key {
            "net" => grants.net.iter().find(|grant| grant.text() == change.text).map(|grant| grant.place().clone()),
            "fs" => grants.fs.iter().find(|grant| grant.text == change.text).map(|grant| grant.place.clone()),
            _ => None,
        };
        let key = |start: &[&str]| match change.key {
            "secrets" => {
                let secret = change.text.split(' ').next().unwrap_or_default();
                self.at(&[start, &["secrets", secret]].concat())
            }
            key => self.at(&[start, &[key]].concat()),
        };
        written.unwrap_or_else(|| tool.map_or_else(|| key(&[]), |tool| key(&["tools", tool])))
    }

    fn what_is_dangerous(&mut self) {
        for danger in dangers(self.plugin(), self.setting.own_file, self.setting.real) {
            let place = match danger.kind {
                DangerKind::Metadata => self.at(&["danger_metadata_addresses"]),
                DangerKind::Addresses => danger.place.unwrap_or_else(|| self.at(&["addresses"])),
                DangerKind::Sandbox | DangerKind::Installs | DangerKind::Unverified => {
                    self.at(&[self.plugin().class.key()])
                }
                DangerKind::AnyHost | DangerKind::OwnRights | DangerKind::Reveal => {
                    danger.place.unwrap_or_else(|| self.plugin().place.clone())
                }
            };
            self.note(danger.kind.rule(), &danger.subject, place, danger.message);
        }
        let of_all = OnceCell::new();
        for definition in self.subject.definitions.unwrap_or_default() {
            let name = &definition.name;
            if is_unasked(definition, &self.plugin().rules_for(name)) {
                let own_rule = self.plugin().tools.get(name).is_some_and(|rule| rule.approval.is_some());
                let of_all = || of_all.get_or_init(|| self.at(&["approval"])).clone();
                let place = if own_rule { self.at(&["tools", name, "approval"]) } else { of_all() };
                let message = format!("`{name}` can do harm for good and `approval = \"never\"` lets it run unasked");
                self.note(Rule::Unasked, name, place, message);
            }
        }
    }

    /// Whether some import is opened by this right.
    fn imports(&self, right: Right) -> bool {
        let opened =
            |import: &String| Capability::of(import).is_some_and(|known| known.standing == Standing::Granted(right));
        self.subject.imports.into_iter().flatten().any(opened)
    }

    fn what_is_granted_and_not_imported(&mut self) {
        if self.subject.imports.is_none() || !self.plugin().class.is_component() {
            return;
        }
        let name = self.plugin().name.clone();
        for right in [Right::Net, Right::Fs, Right::Call, Right::Env, Right::Config] {
            if has(self.plugin(), right) && !self.imports(right) {
                let key = right.key();
                let message = format!("`{key}` of `{name}` has no effect: its component imports nothing that uses it");
                let place = self.at(&[key]);
                self.note(Rule::GrantUnused, key, place, message).fix = Some("leave it out".to_owned());
            }
        }
        let (asks, sends) = (self.imports(Right::Secrets), self.imports(Right::Net));
        for secret in self.plugin().grants.secrets.clone() {
            let is_of_use = asks || (sends && secret.binding.is_some());
            if !is_of_use {
                let message =
                    format!("the secret `{}` of `{name}` has no effect: nothing of it could use it", secret.name);
                let subject = format!("secrets.{}", secret.name);
                self.note(Rule::GrantUnused, &subject, secret.place, message).fix = Some("leave it out".to_owned());
            }
        }
    }

    fn what_is_imported_and_not_granted(&mut self) {
        let name = self.plugin().name.clone();
        for known in crate::capability::CAPABILITIES {
            let is_own = |import: &&String| Capability::of(import) == Some(known);
            let imports: Vec<String> =
                self.subject.imports.into_iter().flatten().filter(is_own).map(|import| format!("`{import}`")).collect();
            let why = match known.standing {
                Standing::Granted(right) if !has(self.plugin(), right) => format!("`{}` is not granted", right.key()),
                Standing::Never => "nothing grants it".to_owned(),
                Standing::Granted(_) | Standing::Empty | Standing::Open => continue,
            };
            if !imports.is_empty() {
                let message = format!("`{name}` imports {}, and {why}: {}", imports.join(", "), known.without);
                let place = self.at(&["component"]);
                self.note(Rule::ImportDenied, known.imports[0], place, message);
            }
        }
    }
}

/// Whether a plugin was granted some of a right.
pub fn has(plugin: &Plugin, right: Right) -> bool {
    let grants = &plugin.grants;
    match right {
        Right::Net => !grants.net.is_empty(),
        Right::Fs => !grants.fs.is_empty(),
        Right::Call => !grants.call.is_empty(),
        Right::Env => !grants.env.is_empty(),
        Right::Config => !plugin.config.is_empty(),
        Right::Secrets => !grants.secrets.is_empty(),
    }
}

/// The difference that a change of a definition makes, line by line.
fn detail(was: &Published, now: &Published, change: &Change, patience: &mut Patience) -> Option<String> {
    match change {
        Change::ToolAdded(tool) | Change::ToolRemoved(tool) | Change::ToolChanged(tool) => {
            Some(was.difference_of(now, tool, patience))
        }
        Change::Component { .. } | Change::ImportAdded(_) | Change::ImportRemoved(_) | Change::ImportVersion { .. } => {
            None
        }
    }
}

/// What an import leads to, as the end of a sentence.
fn told(import: &str) -> String {
    match Capability::of(import).map(|known| known.standing) {
        None => "this host does not offer it".to_owned(),
        Some(Standing::Granted(right)) => format!("`{}` grants it", right.key()),
        Some(Standing::Never) => "nothing grants it".to_owned(),
        Some(Standing::Empty) => "it is there, and leads nowhere".to_owned(),
        Some(Standing::Open) => "it is always there".to_owned(),
    }
}

#[cfg(test)]
mod tests;
