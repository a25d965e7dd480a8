//! All tools at one moment: an immutable snapshot. A reload makes a new one; calls under way keep theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::call::Selector;
use crate::config::Effective;
use crate::context::Contexts;
use crate::grant::Access;
use crate::grant::pattern::Methods;
use crate::name::{NameError, PluginName, ToolName};
use crate::outcome::Failure;
use crate::redact::is_invisible;
use crate::schema::{ArgumentSchema, ResultSchema, SchemaError};

/// A plugin may publish this many tools.
pub const MAX_TOOLS: usize = 256;
/// Finds tools for a caller that has too many of them to be told of each.
pub const SEARCH_TOOLS: &str = "search_tools";
/// Tells about one tool.
pub const DESCRIBE_TOOL: &str = "describe_tool";
/// Calls one.
pub const CALL_TOOL: &str = "call_tool";
/// Names that no tool of a plugin gets: a caller has to be able to rely on what they are.
pub const RESERVED: [&str; 3] = [SEARCH_TOOLS, DESCRIBE_TOOL, CALL_TOOL];
const MAX_DESCRIPTION: usize = 16 << 10;

/// How much harm a call can do if its arguments are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Reads, or writes only what the tool itself made.
    Low,
    /// Changes something that can be changed back.
    Medium,
    /// Changes something for good, spends money, or speaks to people.
    High,
}

/// Hints about what a call does, as in the MCP tool annotations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    /// The tool changes nothing.
    #[serde(rename = "readOnlyHint", skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// What it changes may be lost.
    #[serde(rename = "destructiveHint", skip_serializing_if = "Option::is_none")]
    pub destructive: Option<bool>,
    /// Calling twice changes no more than calling once.
    #[serde(rename = "idempotentHint", skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// It deals with things outside this machine.
    #[serde(rename = "openWorldHint", skip_serializing_if = "Option::is_none")]
    pub open_world: Option<bool>,
}

/// One tool as its plugin published it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Definition {
    /// The plugin's own name for it.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it does, for a model.
    pub description: String,
    /// JSON Schema text.
    pub input_schema: String,
    /// JSON Schema text, when every result has structured content.
    pub output_schema: Option<String>,
    /// What the plugin says of itself.
    pub annotations: Annotations,
    /// What the plugin says of itself.
    pub risk: Risk,
}

/// Whether a plugin's own word about its tools is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Shipped with the host.
    Builtin,
    /// From anywhere else: hints are kept only where the grants do not speak.
    Foreign,
}

/// A tool that can be called.
#[derive(Debug)]
pub struct Tool {
    /// The name callers use.
    pub name: ToolName,
    /// The plugin it belongs to.
    pub plugin: PluginName,
    /// The place of the plugin in the host's list.
    pub plugin_index: usize,
    /// What the plugin published.
    pub definition: Definition,
    /// What it may reach, after per-tool narrowing.
    pub effective: Arc<Effective>,
    /// Its argument rules.
    pub arguments: ArgumentSchema,
    /// The rule for its results.
    pub results: Option<ResultSchema>,
    /// `definition.output_schema`, parsed.
    pub output_schema: Option<Value>,
    /// `sha256:…` of those rights, for the audit.
    pub grants_digest: String,
    /// What callers are told.
    pub annotations: Annotations,
    /// Why it cannot work as configured; shown in the description.
    pub not_configured: Option<String>,
}

impl Tool {
    /// The description a caller sees.
    #[must_use]
    pub fn description(&self) -> String {
        match &self.not_configured {
            Some(reason) => format!("{} [NOT CONFIGURED] {reason}", self.definition.description),
            None => self.definition.description.clone(),
        }
    }
}

/// Why a plugin's definition is refused.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// Not a legal name.
    #[error("tool `{name}`: {error}")]
    Name {
        /// What the plugin wrote.
        name: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// Two tools of one name.
    #[error("tool `{0}` is there twice")]
    Twice(String),
    /// Too many tools.
    #[error("the plugin publishes {0} tools; at most {MAX_TOOLS} are taken")]
    TooMany(usize),
    /// A text that is too long or hides something.
    #[error("tool `{tool}`: {reason}")]
    Text {
        /// The tool.
        tool: String,
        /// What is wrong.
        reason: String,
    },
    /// A schema that cannot be used.
    #[error("tool `{tool}`: {which}: {error}")]
    Schema {
        /// The tool.
        tool: String,
        /// Which of its schemas.
        which: &'static str,
        /// What is wrong.
        error: SchemaError,
    },
    /// The configuration names a tool the plugin does not have.
    #[error("the configuration names `{name}`, which is not a tool of this plugin; it has {known}")]
    UnknownTool {
        /// What the operator wrote.
        name: String,
        /// What there is.
        known: String,
    },
}

/// Checks what a plugin published: names, texts, counts.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_definitions(definitions: &[Definition]) -> Result<(), DefinitionError> {
    if definitions.len() > MAX_TOOLS {
        return Err(DefinitionError::TooMany(definitions.len()));
    }
    for (index, definition) in definitions.iter().enumerate() {
        let name = &definition.name;
        ToolName::parse(name).map_err(|error| DefinitionError::Name { name: name.clone(), error })?;
        if definitions[..index].iter().any(|other| other.name == *name) {
            return Err(DefinitionError::Twice(name.clone()));
        }
        let refused = |reason| DefinitionError::Text { tool: name.clone(), reason };
        for text in std::iter::once(&definition.description).chain(&definition.title) {
            check_text(text).map_err(refused)?;
        }
        if definition.title.as_ref().is_some_and(|title| title.contains('\n')) {
            return Err(refused("the title has more than one line".to_owned()));
        }
        for schema in std::iter::once(&definition.input_schema).chain(&definition.output_schema) {
            // What is no JSON, or too large, is refused where it is compiled.
            let texts = serde_json::from_str(schema).unwrap_or(Value::Null);
            if let Some(hidden) = hidden(&texts) {
                return Err(refused(format!("a schema hides a character (U+{:04X})", hidden as u32)));
            }
        }
    }
    Ok(())
}

/// The first invisible character in a text or a name of `value`. Models read all of a schema.
fn hidden(value: &Value) -> Option<char> {
    let in_text = |text: &str| text.chars().find(|character| is_invisible(*character));
    match value {
        Value::String(text) => in_text(text),
        Value::Array(items) => items.iter().find_map(hidden),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| in_text(name).or_else(|| hidden(field))),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

pub(crate) fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_DESCRIPTION {
        return Err(format!("a description of {} bytes; at most {MAX_DESCRIPTION} are taken", text.len()));
    }
    match text.chars().find(|character| is_invisible(*character)) {
        Some(hidden) => Err(format!("the description hides a character (U+{:04X})", hidden as u32)),
        None => Ok(()),
    }
}

/// What callers are told: what the grants make impossible is certain, the rest is the plugin's word if it is taken.
#[must_use]
pub fn annotations(definition: &Definition, effective: &Effective, trust: Trust) -> Annotations {
    let said = definition.annotations;
    let authority = authority(effective);
    let word = |hint: Option<bool>| match trust {
        Trust::Builtin => hint,
        Trust::Foreign => None,
    };
    let read_only = if authority.changes_nothing { Some(true) } else { word(said.read_only).or(Some(false)) };
    let destructive = match read_only {
        Some(true) => Some(false),
        Some(false) | None => word(said.destructive).or(Some(true)),
    };
    Annotations {
        read_only,
        destructive,
        idempotent: if authority.changes_nothing { Some(true) } else { word(said.idempotent) },
        open_world: Some(authority.reaches_network && word(said.open_world).unwrap_or(true)),
    }
}

/// What the grants come to: what a call could do at most.
struct Authority {
    changes_nothing: bool,
    reaches_network: bool,
}

fn authority(effective: &Effective) -> Authority {
    let grants = &effective.grants;
    let writes_files = grants.fs.iter().any(|grant| grant.access == Access::ReadWrite);
    let only_reads = |methods: &Methods| match methods {
        Methods::Any => false,
        Methods::Only(methods) => methods.iter().all(|method| matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS")),
    };
    let sends = grants.net.iter().any(|grant| !only_reads(grant.methods()));
    Authority { changes_nothing: !writes_files && !sends, reaches_network: !grants.net.is_empty() }
}

/// A tool before it has the name callers use.
#[derive(Debug)]
pub struct Candidate {
    /// Everything but the final name, which is still the plugin's own.
    pub tool: Tool,
    /// Second names the operator gave it.
    pub aliases: Vec<ToolName>,
}

/// The tools of a plugin that may not run as it is: nobody else gets their names, and a call is told why.
#[derive(Debug)]
pub struct Held {
    /// The plugin.
    pub plugin: PluginName,
    /// The plugin's own names for its tools.
    pub tools: Vec<ToolName>,
    /// Second names the operator gave them.
    pub aliases: Vec<ToolName>,
    /// What a call is told.
    pub failure: Failure,
}

/// All tools by name.
#[derive(Debug, Default)]
pub struct Registry {
    /// What plugins give beside tools.
    pub contexts: Contexts,
    tools: Vec<Arc<Tool>>,
    by_name: BTreeMap<ToolName, usize>,
    held: BTreeMap<ToolName, Failure>,
}

impl Registry {
    /// Gives every candidate its name. A name that two plugins want goes to neither: both get `PLUGIN__NAME`, whatever
    /// the order they were loaded in. A second name the operator wrote always holds: a tool of that name gets
    /// `PLUGIN__NAME` too. So no plugin can take another's tools away by what it calls its own, nor the host's
    /// ([`RESERVED`]).
    ///
    /// # Errors
    /// Two second names that are the same, or one that is the host's; the sentence names both.
    pub fn new(candidates: Vec<Candidate>) -> Result<Self, String> {
        Self::beside(candidates, &[])
    }

    /// The same beside the tools of plugins that may not run: those keep the names they would have.
    ///
    /// # Errors
    /// As [`Registry::new`].
    pub fn beside(candidates: Vec<Candidate>, held: &[Held]) -> Result<Self, String> {
        let (names, held) = names(&candidates, held);
        let mut registry = Self { held, ..Self::default() };
        let mut second_names = Vec::new();
        for (mut candidate, name) in candidates.into_iter().zip(names) {
            let index = registry.tools.len();
            candidate.tool.name = name.clone();
            second_names.extend(candidate.aliases.into_iter().map(|alias| (alias, index)));
            registry.tools.push(Arc::new(candidate.tool));
            if let Some(other) = registry.by_name.insert(name.clone(), index) {
                return Err(taken(&name, &registry.tools[other], &registry.tools[index]));
            }
        }
        for (alias, index) in second_names {
            if RESERVED.contains(&alias.as_str()) {
                let tool = &registry.tools[index];
                let (own, plugin) = (&tool.definition.name, &tool.plugin);
                return Err(format!(
                    "`{alias}` is a tool of the host; give `{own}` of plugin `{plugin}` another `alias`"
                ));
            }
            if let Some(other) = registry.by_name.insert(alias.clone(), index) {
                return Err(taken(&alias, &registry.tools[other], &registry.tools[index]));
            }
        }
        Ok(registry)
    }

    /// The tool of this name, whoever asks.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<(&ToolName, &Arc<Tool>)> {
        let name = ToolName::parse(name).ok()?;
        self.by_name.get_key_value(&name).map(|(name, index)| (name, &self.tools[*index]))
    }

    /// What a call of a tool is told whose plugin may not run as it is, if its caller may use it.
    #[must_use]
    pub fn held(&self, name: &str, selector: &Selector) -> Option<&Failure> {
        self.held.get_key_value(name).filter(|(name, _)| selector.contains(name)).map(|(_, failure)| failure)
    }

    /// The tools a caller may see with the names they may use, in name order.
    pub fn visible<'r>(&'r self, selector: &'r Selector) -> impl Iterator<Item = (&'r ToolName, &'r Arc<Tool>)> {
        self.by_name
            .iter()
            .map(|(name, index)| (name, &self.tools[*index]))
            .filter(|(name, tool)| tool.effective.allowed && selector.contains(name))
    }

    /// Every tool, in the order it was loaded.
    #[must_use]
    pub fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    /// The visible name closest to `name`, for a did-you-mean.
    #[must_use]
    pub fn closest<'r>(&'r self, name: &str, selector: &'r Selector) -> Option<&'r ToolName> {
        self.visible(selector)
            .map(|(known, _)| (strsim::damerau_levenshtein(known.as_ref(), name), known))
            .filter(|(distance, known)| *distance <= 1 + AsRef::<str>::as_ref(*known).len() / 4)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, known)| known)
    }
}

fn taken(name: &ToolName, first: &Tool, second: &Tool) -> String {
    format!(
        "the name `{name}` is wanted by `{}` of plugin `{}` and by `{}` of plugin `{}`; give one of them another `alias`",
        first.definition.name, first.plugin, second.definition.name, second.plugin
    )
}

/// The name of each candidate, in their order, and those of tools that may not run: its own where nothing else wants it,
/// else the first of the longer ones that nothing else has.
fn names(candidates: &[Candidate], held: &[Held]) -> (Vec<ToolName>, BTreeMap<ToolName, Failure>) {
    let second_names = candidates.iter().flat_map(|candidate| &candidate.aliases);
    let second_names = second_names.chain(held.iter().flat_map(|held| &held.aliases));
    let reserved: Vec<ToolName> = RESERVED.iter().filter_map(|name| ToolName::parse(name).ok()).collect();
    let second_names = second_names.chain(&reserved);
    let own = candidates.iter().map(|candidate| (&candidate.tool.plugin, &candidate.tool.name));
    let of_held = held.iter().flat_map(|held| held.tools.iter().map(|name| (&held.plugin, name, &held.failure)));
    let ladders: Vec<[ToolName; 3]> = own
        .chain(of_held.clone().map(|(plugin, name, _)| (plugin, name)))
        .map(|(plugin, name)| ladder(plugin, name))
        .collect();
    let mut steps = vec![0; ladders.len()];
    loop {
        let mut wanted: BTreeMap<&ToolName, usize> = BTreeMap::new();
        for name in second_names.clone().chain(ladders.iter().zip(&steps).map(|(ladder, step)| &ladder[*step])) {
            *wanted.entry(name).or_default() += 1;
        }
        let mut moved = false;
        for (ladder, step) in ladders.iter().zip(&mut steps) {
            if wanted[&ladder[*step]] > 1 && *step + 1 < ladder.len() {
                *step += 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let mut names = ladders.iter().zip(steps).map(|(ladder, step)| ladder[step].clone());
    let own = names.by_ref().take(candidates.len()).collect();
    let failures = of_held.map(|(.., failure)| failure.clone());
    let mut kept: BTreeMap<ToolName, Failure> = names.zip(failures).collect();
    for Held { aliases, failure, .. } in held {
        kept.extend(aliases.iter().map(|alias| (alias.clone(), failure.clone())));
    }
    (own, kept)
}

/// Names for things of which no two may be called the same: of those that want the same, each gets a longer one.
pub(crate) fn distinct(wanted: &[(PluginName, ToolName)]) -> Vec<ToolName> {
    let ladders: Vec<[ToolName; 3]> = wanted.iter().map(|(plugin, name)| ladder(plugin, name)).collect();
    let mut steps = vec![0; ladders.len()];
    loop {
        let mut taken: BTreeMap<&ToolName, usize> = BTreeMap::new();
        for (ladder, step) in ladders.iter().zip(&steps) {
            *taken.entry(&ladder[*step]).or_default() += 1;
        }
        let clash = |(ladder, step): (&[ToolName; 3], &usize)| taken[&ladder[*step]] > 1 && *step + 1 < ladder.len();
        let moved: Vec<usize> = (0..steps.len()).filter(|index| clash((&ladders[*index], &steps[*index]))).collect();
        if moved.is_empty() {
            break;
        }
        moved.into_iter().for_each(|index| steps[index] += 1);
    }
    ladders.into_iter().zip(steps).map(|(ladder, step)| ladder[step].clone()).collect()
}

/// The names a tool can have, from the one it wants to one that is nobody else's: its own, `PLUGIN__TOOL`, and that with
/// a hash. Longer than the 64 characters model providers take, they are cut and get the hash too.
fn ladder(plugin: &PluginName, tool: &ToolName) -> [ToolName; 3] {
    let whole = format!("{plugin}__{tool}");
    let hashed = || {
        let digest = hex::encode(Sha256::digest(format!("{plugin}\0{tool}")));
        format!("{}_{}", &whole[..whole.len().min(55)], &digest[..8])
    };
    let short = if whole.len() <= 64 { whole.clone() } else { hashed() };
    let named = |text: &str| ToolName::parse(text).unwrap_or_else(|_| tool.clone());
    [tool.clone(), named(&short), named(&hashed())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(title: Option<&str>, description: &str, input: &str, output: Option<&str>) -> Definition {
        Definition {
            name: "tool".to_owned(),
            title: title.map(str::to_owned),
            description: description.to_owned(),
            input_schema: input.to_owned(),
            output_schema: output.map(str::to_owned),
            annotations: Annotations::default(),
            risk: Risk::Low,
        }
    }

    #[track_caller]
    fn check(definition: Definition, expected: &str) {
        let told = check_definitions(&[definition]).map_or_else(|error| error.to_string(), |()| "fine".to_owned());
        assert_eq!(told, expected);
    }

    #[test]
    fn texts_that_hide_something_are_refused_wherever_they_stand() {
        let plain = r#"{"type":"object","properties":{"a":{"description":"Fine,\n\tin lines."}}}"#;
        check(definition(Some("A tool"), "Does it.\nIn lines.", plain, Some(plain)), "fine");
        check(definition(None, "a\u{202e}b", plain, None), "tool `tool`: the description hides a character (U+202E)");
        check(
            definition(Some("a\u{200b}b"), "", plain, None),
            "tool `tool`: the description hides a character (U+200B)",
        );
        check(definition(Some("a\nb"), "", plain, None), "tool `tool`: the title has more than one line");
        let hiding = "tool `tool`: a schema hides a character (U+E0041)";
        for schema in [
            r#"{"description":"a\udb40\udc41"}"#,
            r#"{"properties":{"\udb40\udc41":{}}}"#,
            r#"{"properties":{"a":{"enum":["x",["\udb40\udc41"]]}}}"#,
            "{\"title\":\"\u{e0041}\"}",
        ] {
            check(definition(None, "", schema, None), hiding);
            check(definition(None, "", plain, Some(schema)), hiding);
        }
    }
}
