//! What was pinned: of every plugin its component, its imports, the definitions of its tools and its rights.
//!
//! `bailiwick.lock` holds it, written by `bailiwick lock` alone and meant to be reviewed and committed. A plugin that
//! publishes anything else than what is pinned is quarantined ([`Published::difference`]); rights that grew are told to a
//! reviewer ([`Pin::right_changes`]). Everything is kept in full, so that a difference can be shown from the file alone.

pub mod diff;
mod file;
pub mod rights;

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

pub use file::code;

use crate::capability::interface;
use crate::config::Plugin;
use crate::grant::fs::Roots;
use crate::name::PluginName;
use crate::registry::{Annotations, Definition, Risk};
use rights::{RightChange, Rights};

/// Everything that was pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The file, as shown in messages.
    pub file: String,
    /// By plugin.
    pub plugins: BTreeMap<PluginName, Pin>,
}

/// What was pinned of one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// What it published.
    pub published: Published,
    /// What each tool without a rule of its own may reach.
    pub rights: Rights,
    /// What each other tool may reach.
    pub tool_rights: BTreeMap<String, Rights>,
}

/// What a plugin is, as far as it can be known without granting it anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// `sha256:…` of its component; of a built-in plugin `builtin:NAME`, since it came with the program.
    pub component: String,
    /// The imports of its component that need something of the host, with their versions.
    pub imports: BTreeSet<String>,
    /// Its tools.
    pub tools: BTreeMap<String, PinnedTool>,
}

/// A tool's definition; schemas as they are shown to a person, so that only what a caller would see is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedTool {
    /// A name for people.
    pub title: Option<String>,
    /// What it does, for a model.
    pub description: String,
    /// What the plugin says of itself.
    pub risk: Risk,
    /// What the plugin says of itself.
    pub annotations: Annotations,
    /// JSON Schema, a line for each thing it says.
    pub input_schema: String,
    /// JSON Schema, a line for each thing it says.
    pub output_schema: Option<String>,
}

impl PinnedTool {
    /// What is kept of a definition.
    pub fn of(definition: &Definition) -> Self {
        Self {
            title: definition.title.clone(),
            description: definition.description.clone(),
            risk: definition.risk,
            annotations: definition.annotations,
            input_schema: pretty(&definition.input_schema),
            output_schema: definition.output_schema.as_deref().map(pretty),
        }
    }

    /// `sha256:…` of the whole definition, the tool's name included.
    pub fn hash(&self, name: &str) -> String {
        let whole = serde_json::json!([
            name,
            self.title,
            self.description,
            self.risk,
            self.annotations,
            self.input_schema,
            self.output_schema,
        ]);
        format!("sha256:{}", hex::encode(Sha256::digest(whole.to_string())))
    }

    /// The definition as text for a person to compare.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut part = |name: &str, value: &str| {
            text.push_str(name);
            if value.contains('\n') || value.len() > 60 {
                value.lines().for_each(|line| text.push_str(&format!("\n  {line}")));
            } else {
                text.push_str(&format!(" {value}"));
            }
            text.push('\n');
        };
        if let Some(title) = &self.title {
            part("title:", title);
        }
        part("risk:", risk_word(self.risk));
        part("hints:", &hints(self.annotations).join(", "));
        part("description:", &self.description);
        part("input schema:", &self.input_schema);
        if let Some(schema) = &self.output_schema {
            part("output schema:", schema);
        }
        text
    }
}

/// JSON with a line for each thing it says; what is no JSON as it is.
fn pretty(json: &str) -> String {
    match crate::schema::parse(json) {
        Ok(value) => format!("{value:#}"),
        Err(_) => json.to_owned(),
    }
}

/// The word for a risk in the lock file.
fn risk_word(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}

/// The hints in words: `read-only`, `not destructive` …; what the plugin did not say is left out.
fn hints(annotations: Annotations) -> Vec<String> {
    let Annotations { read_only, destructive, idempotent, open_world } = annotations;
    [("read-only", read_only), ("destructive", destructive), ("idempotent", idempotent), ("open-world", open_world)]
        .into_iter()
        .filter_map(|(word, said)| said.map(|yes| if yes { word.to_owned() } else { format!("not {word}") }))
        .collect()
}

/// One thing a plugin published that is not what was pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Other bytes.
    Component {
        /// Pinned.
        was: String,
        /// Published.
        now: String,
    },
    /// An interface it did not have before.
    ImportAdded(String),
    /// An interface it has no longer.
    ImportRemoved(String),
    /// An interface in another version.
    ImportVersion {
        /// Pinned.
        was: String,
        /// Published.
        now: String,
    },
    /// A tool it did not have before.
    ToolAdded(String),
    /// A tool it has no longer.
    ToolRemoved(String),
    /// A tool with another definition.
    ToolChanged(String),
}

impl Published {
    /// What a component, its imports and its definitions come to.
    pub fn of(component: String, imports: impl IntoIterator<Item = String>, definitions: &[Definition]) -> Self {
        let tools = definitions.iter().map(|definition| (definition.name.clone(), PinnedTool::of(definition)));
        Self { component, imports: imports.into_iter().collect(), tools: tools.collect() }
    }

    /// Whether this is another component, or has other definitions. Imports are part of the component: they need not be
    /// known for this.
    pub fn is_changed(&self, component: &str, definitions: &[Definition]) -> bool {
        let same = |definition: &Definition| {
            self.tools.get(&definition.name).is_some_and(|pinned| *pinned == PinnedTool::of(definition))
        };
        self.component != component || self.tools.len() != definitions.len() || !definitions.iter().all(same)
    }

    /// What is different in `now`: the component, then imports, then tools.
    pub fn changes(&self, now: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.component != now.component {
            changes.push(Change::Component { was: self.component.clone(), now: now.component.clone() });
        }
        changes.extend(self.import_changes(now));
        for name in self.tools.keys().chain(now.tools.keys()).collect::<BTreeSet<_>>() {
            match (self.tools.get(name), now.tools.get(name)) {
                (None, _) => changes.push(Change::ToolAdded(name.clone())),
                (_, None) => changes.push(Change::ToolRemoved(name.clone())),
                (Some(was), Some(now)) if was != now => changes.push(Change::ToolChanged(name.clone())),
                (Some(_), Some(_)) => {}
            }
        }
        changes
    }

    fn import_changes(&self, now: &Self) -> Vec<Change> {
        let (gone, new): (Vec<&String>, Vec<&String>) =
            (self.imports.difference(&now.imports).collect(), now.imports.difference(&self.imports).collect());
        let mut changes = Vec::new();
        for import in &new {
            // A toolchain that was updated imports the same interfaces in another version.
            let known = self.imports.iter().find(|known| interface(known) == interface(import));
            changes.push(match known {
                Some(was) => Change::ImportVersion { was: was.clone(), now: (*import).clone() },
                None => Change::ImportAdded((*import).clone()),
            });
        }
        let replaced = |import: &String| new.iter().any(|new| interface(new) == interface(import));
        changes.extend(gone.into_iter().filter(|import| !replaced(import)).cloned().map(Change::ImportRemoved));
        changes
    }

    /// What is different in `now` for a person to read; none when nothing is.
    pub fn difference(&self, now: &Self) -> Option<Difference> {
        let changes = self.changes(now);
        let mut patience = diff::Patience::default();
        let text = changes.iter().map(|change| self.told(now, change, &mut patience)).collect();
        (!changes.is_empty()).then_some(Difference { changes, text })
    }

    fn told(&self, now: &Self, change: &Change, patience: &mut diff::Patience) -> String {
        match change {
            Change::Component { was, now } => format!("component\n- {was}\n+ {now}\n"),
            Change::ImportAdded(import) => format!("import\n+ {import}\n"),
            Change::ImportRemoved(import) => format!("import\n- {import}\n"),
            Change::ImportVersion { was, now } => format!("import\n- {was}\n+ {now}\n"),
            Change::ToolAdded(name) | Change::ToolRemoved(name) | Change::ToolChanged(name) => {
                format!("tool {name}\n{}", self.difference_of(now, name, patience))
            }
        }
    }

    /// The difference between the two definitions of a tool, line by line.
    pub fn tool_difference(&self, now: &Self, tool: &str) -> String {
        self.difference_of(now, tool, &mut diff::Patience::default())
    }

    /// The same as one of many.
    pub fn difference_of(&self, now: &Self, tool: &str, patience: &mut diff::Patience) -> String {
        let text = |of: &Self| of.tools.get(tool).map(PinnedTool::text).unwrap_or_default();
        diff::text(&text(self), &text(now), patience)
    }
}

/// How a plugin differs from what was pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What changed.
    pub changes: Vec<Change>,
    /// All of it, lines that went with `-` and lines that came with `+` before them. Written by the plugin in part: what
    /// a terminal acts on has to be taken out before it is shown.
    pub text: String,
}

impl Difference {
    /// What changed, in one phrase.
    pub fn summary(&self) -> String {
        let named = |pick: fn(&Change) -> Option<&str>| {
            let names: Vec<String> = self.changes.iter().filter_map(pick).map(|name| format!("`{name}`")).collect();
            (!names.is_empty()).then(|| short_list(&names))
        };
        let is_other = |change: &Change| matches!(change, Change::Component { .. });
        let mut phrases: Vec<String> = Vec::new();
        phrases.extend(self.changes.iter().any(is_other).then(|| "it is another component".to_owned()));
        phrases.extend(named(import_added).map(|names| format!("it imports {names} now")));
        phrases.extend(named(tool_added).map(|names| format!("it has a new tool {names}")));
        phrases.extend(named(tool_removed).map(|names| format!("it has no tool {names} any more")));
        phrases.extend(named(tool_changed).map(|names| format!("the definition of {names} is another")));
        if phrases.is_empty() { "its imports are others".to_owned() } else { phrases.join(", ") }
    }
}

fn import_added(change: &Change) -> Option<&str> {
    if let Change::ImportAdded(import) = change { Some(import) } else { None }
}

fn tool_added(change: &Change) -> Option<&str> {
    if let Change::ToolAdded(tool) = change { Some(tool) } else { None }
}

fn tool_removed(change: &Change) -> Option<&str> {
    if let Change::ToolRemoved(tool) = change { Some(tool) } else { None }
}

fn tool_changed(change: &Change) -> Option<&str> {
    if let Change::ToolChanged(tool) = change { Some(tool) } else { None }
}

/// The first few of a list: a plugin may have hundreds of tools.
fn short_list(names: &[String]) -> String {
    const MOST: usize = 3;
    match names.len().checked_sub(MOST) {
        None | Some(0) => names.join(", "),
        Some(n_more) => format!("{} and {n_more} more", names[..MOST].join(", ")),
    }
}

impl Pin {
    /// What is pinned of a plugin as it is configured and published now.
    pub fn of(plugin: &Plugin, published: Published, roots: Roots<'_>) -> Self {
        let rights_of = |tool: &str| Rights::of(&plugin.rules_for(tool), roots);
        // What holds for `*` holds for every tool that has no rule of its own.
        let rights = rights_of("*");
        let own = published.tools.keys().map(|tool| (tool.clone(), rights_of(tool)));
        let tool_rights = own.filter(|(_, own)| *own != rights).collect();
        Self { published, rights, tool_rights }
    }

    /// What a tool may reach.
    pub fn rights_of(&self, tool: &str) -> &Rights {
        self.tool_rights.get(tool).unwrap_or(&self.rights)
    }

    /// What the operator granted otherwise in `now`: for the plugin, then for tools with rights of their own on either
    /// side.
    pub fn right_changes(&self, now: &Self, roots: Roots<'_>) -> Vec<(Option<String>, RightChange)> {
        let whole = self.rights.changes(&now.rights, roots);
        let tools: BTreeSet<&String> = self.tool_rights.keys().chain(now.tool_rights.keys()).collect();
        let of_tool = |tool: &&String| {
            let changes = self.rights_of(tool).changes(now.rights_of(tool), roots);
            // What changed for the whole plugin is told once.
            let new: Vec<RightChange> = changes.into_iter().filter(|change| !whole.contains(change)).collect();
            new.into_iter().map(|change| (Some((*tool).clone()), change)).collect::<Vec<_>>()
        };
        let of_tools: Vec<_> = tools.iter().flat_map(of_tool).collect();
        whole.into_iter().map(|change| (None, change)).chain(of_tools).collect()
    }
}

#[cfg(test)]
mod tests;
