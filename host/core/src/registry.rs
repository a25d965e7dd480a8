//! All tools at one moment: an immutable snapshot. A reload makes a new one; calls under way keep theirs.

mod created;
mod publisher;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use self::created::{Over, SecondName, Which};
pub use self::publisher::{MAX_SERVICE_TOOLS, MAX_TOOLS, Publisher};
use crate::aggregate;
use crate::call::Selector;
use crate::config::Effective;
use crate::context::Contexts;
use crate::grant::Access;
use crate::grant::pattern::Methods;
use crate::name::{NameError, PluginName, ToolName};
use crate::outcome::Failure;
use crate::redact::is_invisible;
use crate::schema::{ArgumentSchema, ResultSchema, SchemaError};

/// Finds tools for a caller that has too many of them to be told of each.
pub const SEARCH_TOOLS: &str = "search_tools";
/// Tells about one tool.
pub const DESCRIBE_TOOL: &str = "describe_tool";
/// Calls one.
pub const CALL_TOOL: &str = "call_tool";
/// Names that no tool of a plugin gets: a caller has to be able to rely on what they are.
pub const RESERVED: [&str; 13] = [
    SEARCH_TOOLS,
    DESCRIBE_TOOL,
    CALL_TOOL,
    MANAGEMENT[0],
    MANAGEMENT[1],
    MANAGEMENT[2],
    MANAGEMENT[3],
    MANAGEMENT[4],
    MANAGEMENT[5],
    FUNCTIONS[0],
    FUNCTIONS[1],
    FUNCTIONS[2],
    FUNCTIONS[3],
];
/// Make, show and change tools that are programs, for callers that may manage.
pub const FUNCTIONS: [&str; 4] =
    ["create_code_tool", "list_custom_functions", "get_custom_function", "update_custom_function"];
/// Make, show, change and remove tools, for callers that may manage.
pub const MANAGEMENT: [&str; 6] =
    ["create_tool", "list_tools", "get_tool", "update_tool", "delete_tool", "create_tools_from_openapi"];
pub(crate) const MAX_DESCRIPTION: usize = 16 << 10;

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
    /// What lists say instead of its description, where that is too long for them.
    pub brief: Option<String>,
    /// What it may reach, after per-tool narrowing.
    pub effective: Arc<Effective>,
    /// Its argument rules.
    pub arguments: ArgumentSchema,
    /// The rule for its results.
    pub results: Option<ResultSchema>,
    /// `sha256:…` of those rights, for the audit.
    pub grants_digest: String,
    /// What callers are told.
    pub annotations: Annotations,
    /// Why it cannot work as configured; shown in the description.
    pub not_configured: Option<String>,
    /// Whether callers see it by itself.
    pub role: Role,
}

/// Whether callers see a tool by itself, or one in the place of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// It is seen.
    #[default]
    Single,
    /// It is seen in the place of all tools of its plugin, and is none itself: see [`crate::aggregate`].
    Aggregate,
    /// It is not seen under its own name: its plugin's aggregate leads to it.
    Member,
}

/// How a tool comes by the name callers use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Naming {
    /// Somebody else chose the name it wants: where a tool of a component wants it too, that one keeps it.
    pub yields: bool,
    /// It is called `PLUGIN__TOOL` also where nothing else wants its own name.
    pub prefix_always: bool,
}

impl Tool {
    /// The description a caller sees who looks at this tool alone.
    #[must_use]
    pub fn whole_description(&self) -> String {
        self.noted(&self.definition.description)
    }

    /// The description a caller sees in a list.
    #[must_use]
    pub fn description(&self) -> String {
        self.noted(self.listed())
    }

    /// The same without what has to be set first.
    #[must_use]
    pub fn listed(&self) -> &str {
        self.brief.as_deref().unwrap_or(&self.definition.description)
    }

    /// The schema of its results.
    #[must_use]
    pub fn output_schema(&self) -> Option<&Value> {
        self.results.as_ref().map(ResultSchema::value)
    }

    fn noted(&self, description: &str) -> String {
        match &self.not_configured {
            Some(reason) => format!("{description} [NOT CONFIGURED] {reason}"),
            None => description.to_owned(),
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
    #[error("the plugin publishes {there} tools; at most {most} are taken")]
    TooMany {
        /// So many.
        there: usize,
        /// What is taken.
        most: usize,
    },
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

impl DefinitionError {
    /// The configuration names a tool that is none of `known`. Of many, those are named that it may have meant.
    pub fn unknown<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        const MOST_NAMED: usize = 40;
        let mut known: Vec<&str> = known.into_iter().collect();
        let n_more = known.len().saturating_sub(MOST_NAMED);
        if n_more > 0 {
            known.sort_by_cached_key(|known| strsim::damerau_levenshtein(known, name));
            known.truncate(MOST_NAMED);
        }
        let mut text = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if n_more > 0 {
            text.push_str(&format!(" and {n_more} more"));
        }
        Self::UnknownTool { name: name.to_owned(), known: text }
    }
}

/// Checks what a plugin published: names, texts, counts.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_definitions(definitions: &[Definition]) -> Result<(), DefinitionError> {
    check_published(Publisher::Plugin, definitions)
}

/// The same for what `publisher` published.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_published(publisher: Publisher, definitions: &[Definition]) -> Result<(), DefinitionError> {
    let (there, most) = (definitions.len(), publisher.most_tools());
    if there > most {
        return Err(DefinitionError::TooMany { there, most });
    }
    let mut names = BTreeSet::new();
    for definition in definitions {
        let name = &definition.name;
        ToolName::parse(name).map_err(|error| DefinitionError::Name { name: name.clone(), error })?;
        if !names.insert(name) {
            return Err(DefinitionError::Twice(name.clone()));
        }
        check_texts(definition).map_err(|reason| DefinitionError::Text { tool: name.clone(), reason })?;
    }
    Ok(())
}

/// Refuses what is too long in a definition or hides something.
fn check_texts(definition: &Definition) -> Result<(), String> {
    for text in std::iter::once(&definition.description).chain(&definition.title) {
        check_text(text)?;
    }
    if definition.title.as_ref().is_some_and(|title| title.contains('\n')) {
        return Err("the title has more than one line".to_owned());
    }
    for schema in std::iter::once(&definition.input_schema).chain(&definition.output_schema) {
        if is_plainly_visible(schema) {
            continue;
        }
        // What is no JSON, or too large, is refused where it is compiled.
        let texts = serde_json::from_str(schema).unwrap_or(Value::Null);
        if let Some(hidden) = hidden(&texts) {
            return Err(format!("a schema hides a character (U+{:04X})", hidden as u32));
        }
    }
    Ok(())
}

/// Whether no text in `json` can have an invisible character: none is there as it is, and none is escaped. Of a thousand
/// schemas this tells nearly all, and needs not read them.
fn is_plainly_visible(json: &str) -> bool {
    // What follows a backslash that is escaped is taken for escaped too: a `\u` is never missed.
    let is_harmless = |rest: &str| rest.is_empty() || rest.starts_with(['"', '/', 'n', 't']);
    json.split('\\').skip(1).all(is_harmless) && !json.chars().any(is_invisible)
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
    // What other tools do is theirs to say.
    let calls = !grants.call.is_empty();
    Authority { changes_nothing: !writes_files && !sends && !calls, reaches_network: !grants.net.is_empty() || calls }
}

/// A tool before it has the name callers use.
#[derive(Debug)]
pub struct Candidate {
    /// Everything but the final name, which is still the plugin's own.
    pub tool: Tool,
    /// Second names the operator gave it.
    pub aliases: Vec<ToolName>,
    /// How it comes by its name.
    pub naming: Naming,
}

/// Tools that may not run as they are, all of a plugin's or some: nobody else gets their names, and a call is told why.
#[derive(Debug)]
pub struct Held {
    /// The plugin.
    pub plugin: PluginName,
    /// The plugin's own names for its tools.
    pub tools: Vec<ToolName>,
    /// Second names the operator gave them.
    pub aliases: Vec<ToolName>,
    /// How they would come by their names.
    pub naming: Naming,
    /// What a call is told.
    pub failure: Failure,
}

/// One tool that may not run, under the name it would have.
#[derive(Debug)]
struct Kept {
    plugin: PluginName,
    /// The plugin's own name for it; none under a second name.
    own: Option<ToolName>,
    failure: Failure,
}

/// All tools by name.
#[derive(Debug, Default)]
pub struct Registry {
    /// What plugins give beside tools.
    pub contexts: Contexts,
    tools: Vec<Arc<Tool>>,
    by_name: BTreeMap<ToolName, usize>,
    held: BTreeMap<ToolName, Kept>,
    /// Of each plugin that is seen as one tool, that tool.
    aggregates: BTreeMap<PluginName, usize>,
    /// Of each second name that was made while the host was there, the tool's own.
    made: BTreeMap<ToolName, ToolName>,
}

impl Registry {
    /// Gives every candidate its name. A name that two plugins want goes to neither: both get `PLUGIN__NAME`, whatever
    /// the order they were loaded in. A second name the operator wrote always holds: a tool of that name gets
    /// `PLUGIN__NAME` too. So no plugin can take another's tools away by what it calls its own, nor the host's
    /// ([`RESERVED`]).
    ///
    /// What tools that yield ([`Naming::yields`]) are called makes no difference to the others. A name that looks like
    /// another plugin's is not theirs either: one that differs in case, or in `-` and `_`, or that begins with another
    /// plugin's name and `__`.
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
            if candidate.tool.role == Role::Aggregate {
                registry.aggregates.insert(candidate.tool.plugin.clone(), index);
            }
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

    /// Whether callers with this selector may use `tool` under `name`. A member of an aggregate is theirs too if that is,
    /// unless they are kept from the member itself; and the aggregate if some member is.
    #[must_use]
    pub fn selects(&self, selector: &Selector, name: &ToolName, tool: &Tool) -> bool {
        let leads_somewhere = || tool.role == Role::Aggregate && self.members(&tool.plugin, selector).next().is_some();
        // Who is kept from a tool is kept from it under every name that somebody else gave it.
        if self.made.get(name).is_some_and(|own| selector.excludes(own)) {
            return false;
        }
        self.has(selector, name, &tool.plugin) || leads_somewhere()
    }

    fn has(&self, selector: &Selector, name: &ToolName, plugin: &PluginName) -> bool {
        match self.aggregates.get(plugin) {
            Some(whole) => selector.contains_part(name, &self.tools[*whole].name),
            None => selector.contains(name),
        }
    }

    /// The aggregate of this name.
    pub(crate) fn aggregate_named(&self, name: &str) -> Option<&Arc<Tool>> {
        self.aggregates.values().map(|index| &self.tools[*index]).find(|tool| tool.name.as_str() == name)
    }

    /// The member that an aggregate of `plugin` knows by this name, whoever asks.
    pub(crate) fn member(&self, plugin: &PluginName, own: &str) -> Option<&Arc<Tool>> {
        let is_it = |tool: &&Arc<Tool>| tool.role == Role::Member && tool.plugin == *plugin;
        self.tools.iter().filter(is_it).find(|tool| tool.definition.name == own)
    }

    /// The tools that the aggregate of a plugin leads this caller to, by the plugin's own names for them.
    pub fn members<'r, 's>(
        &'r self,
        plugin: &'s PluginName,
        selector: &'s Selector,
    ) -> impl Iterator<Item = &'r Arc<Tool>> + use<'r, 's> {
        let of_plugin = move |tool: &&Arc<Tool>| tool.role == Role::Member && tool.plugin == *plugin;
        let is_open = move |tool: &&Arc<Tool>| tool.effective.allowed && self.has(selector, &tool.name, plugin);
        self.tools.iter().filter(of_plugin).filter(is_open)
    }

    /// `tool` as a caller sees it: an aggregate names the tools it leads this caller to, and no others.
    #[must_use]
    pub fn as_seen(&self, tool: &Arc<Tool>, selector: &Selector) -> Arc<Tool> {
        match tool.role {
            Role::Single | Role::Member => Arc::clone(tool),
            Role::Aggregate => {
                let of_plugin = |other: &&Arc<Tool>| other.role == Role::Member && other.plugin == tool.plugin;
                let n_open = self.tools.iter().filter(of_plugin).filter(|member| member.effective.allowed).count();
                let members: Vec<&Tool> = self.members(&tool.plugin, selector).map(AsRef::as_ref).collect();
                // The same for all who may use all of it: nothing to be made anew.
                if members.len() == n_open { Arc::clone(tool) } else { Arc::new(aggregate::narrowed(tool, &members)) }
            }
        }
    }

    /// What a call of a tool is told that may not run as it is, if its caller may use it.
    #[must_use]
    pub fn held(&self, name: &str, selector: &Selector) -> Option<&Failure> {
        let (name, kept) = self.held.get_key_value(name)?;
        self.has(selector, name, &kept.plugin).then_some(&kept.failure)
    }

    /// The same for a tool that an aggregate would lead to, by the plugin's own name for it.
    #[must_use]
    pub fn held_member(&self, plugin: &PluginName, own: &str, selector: &Selector) -> Option<&Failure> {
        let is_it = |kept: &Kept| kept.plugin == *plugin && kept.own.as_ref().is_some_and(|name| name.as_str() == own);
        let (name, kept) = self.held.iter().find(|(_, kept)| is_it(kept))?;
        self.has(selector, name, plugin).then_some(&kept.failure)
    }

    /// The tools a caller may see with the names they may use, in name order. Members of an aggregate are seen under the
    /// second names the operator gave them, and under no other.
    pub fn visible<'r>(&'r self, selector: &'r Selector) -> impl Iterator<Item = (&'r ToolName, &'r Arc<Tool>)> {
        let is_shown = |name: &ToolName, tool: &Tool| match tool.role {
            Role::Single => true,
            Role::Member => *name != tool.name,
            Role::Aggregate => self.members(&tool.plugin, selector).next().is_some(),
        };
        self.by_name
            .iter()
            .map(|(name, index)| (name, &self.tools[*index]))
            .filter(|(name, tool)| tool.effective.allowed && self.selects(selector, name, tool))
            .filter(move |(name, tool)| is_shown(name, tool))
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
fn names(candidates: &[Candidate], held: &[Held]) -> (Vec<ToolName>, BTreeMap<ToolName, Kept>) {
    let second_names = candidates.iter().flat_map(|candidate| &candidate.aliases);
    let second_names = second_names.chain(held.iter().flat_map(|held| &held.aliases));
    let reserved = RESERVED.iter().filter_map(|name| ToolName::parse(name).ok());
    let taken: Vec<ToolName> = second_names.cloned().chain(reserved).collect();
    let own = candidates.iter().map(|candidate| (&candidate.tool.plugin, &candidate.tool.name, candidate.naming));
    let of_held = held.iter().flat_map(|held| held.tools.iter().map(move |name| (held, name)));
    let wanting = own.chain(of_held.clone().map(|(held, name)| (&held.plugin, name, held.naming)));
    let mut names = assigned(&taken, wanting.map(|(plugin, name, naming)| Rungs::new(plugin, name, naming)).collect());
    let kept_names = names.split_off(candidates.len());
    let kept = |held: &Held, own: Option<&ToolName>| Kept {
        plugin: held.plugin.clone(),
        own: own.cloned(),
        failure: held.failure.clone(),
    };
    let mut all_kept: BTreeMap<ToolName, Kept> =
        kept_names.into_iter().zip(of_held).map(|(name, (held, own))| (name, kept(held, Some(own)))).collect();
    for held in held {
        all_kept.extend(held.aliases.iter().map(|alias| (alias.clone(), kept(held, None))));
    }
    (names, all_kept)
}

/// Names for things of which no two may be called the same: of those that want the same, each gets a longer one.
pub(crate) fn distinct(wanted: &[(PluginName, ToolName)]) -> Vec<ToolName> {
    let rungs = wanted.iter().map(|(plugin, name)| Rungs::new(plugin, name, Naming::default()));
    assigned(&[], rungs.collect())
}

/// The names a tool can have, and the one it would get now.
struct Rungs<'p> {
    plugin: &'p PluginName,
    yields: bool,
    ladder: [ToolName; 4],
    step: usize,
}

impl<'p> Rungs<'p> {
    fn new(plugin: &'p PluginName, tool: &ToolName, naming: Naming) -> Self {
        let step = usize::from(naming.prefix_always);
        Self { plugin, yields: naming.yields, ladder: ladder(plugin, tool), step }
    }

    fn name(&self) -> &ToolName {
        &self.ladder[self.step]
    }

    /// Whether this is the name that the plugin chose, without the operator's for the plugin in front.
    fn is_bare(&self) -> bool {
        self.step == 0
    }
}

/// Everybody's name: all who are in another's way get a longer one, at once, until nobody is. That the order does not
/// matter follows from "at once".
fn assigned(taken: &[ToolName], mut all: Vec<Rungs<'_>>) -> Vec<ToolName> {
    let plugins: BTreeSet<String> = all.iter().map(|rungs| folded(rungs.plugin.as_str())).collect();
    loop {
        let wanted = Wanted::of(taken, &all, &plugins);
        let moved: Vec<usize> = (0..all.len())
            .filter(|at| all[*at].step + 1 < all[*at].ladder.len() && wanted.must_move(&all[*at]))
            .collect();
        if moved.is_empty() {
            return all.into_iter().map(|Rungs { ladder, step, .. }| ladder[step].clone()).collect();
        }
        moved.into_iter().for_each(|at| all[at].step += 1);
    }
}

/// Who wants which name at one moment.
struct Wanted<'n> {
    /// By tools that yield to nobody, and by the operator for others.
    firm: BTreeMap<ToolName, usize>,
    /// By tools that yield and have their plugin's name in theirs.
    prefixed: BTreeMap<ToolName, usize>,
    /// By tools that yield and have not.
    bare: BTreeMap<ToolName, usize>,
    /// By anybody, as one might read it: which plugins' tools. The host's and the operator's own are nobody's.
    read_as: BTreeMap<String, BTreeSet<Option<&'n PluginName>>>,
    /// All plugins, as one might read them.
    plugins: &'n BTreeSet<String>,
}

impl<'n> Wanted<'n> {
    fn of(taken: &[ToolName], all: &[Rungs<'n>], plugins: &'n BTreeSet<String>) -> Self {
        let (firm, prefixed, bare, read_as) = Default::default();
        let mut wanted = Self { firm, prefixed, bare, read_as, plugins };
        for name in taken {
            *wanted.firm.entry(name.clone()).or_default() += 1;
        }
        for name in RESERVED {
            wanted.read_as.entry(folded(name)).or_default().insert(None);
        }
        for rungs in all {
            let counts = match (rungs.yields, rungs.is_bare()) {
                (false, _) => &mut wanted.firm,
                (true, false) => &mut wanted.prefixed,
                (true, true) => &mut wanted.bare,
            };
            *counts.entry(rungs.name().clone()).or_default() += 1;
            wanted.read_as.entry(folded(rungs.name().as_str())).or_default().insert(Some(rungs.plugin));
        }
        wanted
    }

    /// Whether this one has to give way: to its like, to those that come before it, and, as long as it is called what its
    /// plugin chose, to what it could be taken for.
    fn must_move(&self, rungs: &Rungs<'_>) -> bool {
        let name = rungs.name();
        let n_of = |counts: &BTreeMap<ToolName, usize>| counts.get(name).copied().unwrap_or(0);
        match (rungs.yields, rungs.is_bare()) {
            (false, _) => n_of(&self.firm) > 1,
            (true, false) => n_of(&self.firm) > 0 || n_of(&self.prefixed) > 1,
            (true, true) => {
                n_of(&self.firm) > 0
                    || n_of(&self.prefixed) > 0
                    || n_of(&self.bare) > 1
                    || self.could_be_anothers(name.as_str(), rungs.plugin)
            }
        }
    }

    fn could_be_anothers(&self, name: &str, plugin: &PluginName) -> bool {
        let name = folded(name);
        let is_anothers = |wanting: &BTreeSet<Option<&PluginName>>| wanting.iter().any(|who| *who != Some(plugin));
        let own = folded(plugin.as_str());
        let starts_like = |other: &String| {
            *other != own && name.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with("__"))
        };
        self.read_as.get(&name).is_some_and(is_anothers) || self.plugins.iter().any(starts_like)
    }
}

/// A name as one might read it.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// The names a tool can have, from the one it wants to one that is nobody else's: its own, `PLUGIN__TOOL`, and that with
/// a hash. Longer than the 64 characters model providers take, they are cut and get the hash too. The last has so much of
/// the hash that no plugin can find two tools which share it.
fn ladder(plugin: &PluginName, tool: &ToolName) -> [ToolName; 4] {
    let whole = format!("{plugin}__{tool}");
    let digest = hex::encode(Sha256::digest(format!("{plugin}\0{tool}")));
    let hashed = |digits: usize| format!("{}_{}", &whole[..whole.len().min(63 - digits)], &digest[..digits]);
    let short = if whole.len() <= 64 { whole.clone() } else { hashed(8) };
    let named = |text: &str| ToolName::parse(text).unwrap_or_else(|_| tool.clone());
    [tool.clone(), named(&short), named(&hashed(8)), named(&hashed(40))]
}

#[cfg(test)]
mod many_tests;

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
        let backslashes = r#"{"pattern":"^\\d\\u200b$","description":"\\"}"#;
        check(definition(None, "", backslashes, Some("no JSON, \\")), "fine");
        let hiding = "tool `tool`: a schema hides a character (U+E0041)";
        for schema in [
            r#"{"description":"a\udb40\udc41"}"#,
            r#"{"properties":{"\udb40\udc41":{}}}"#,
            r#"{"description":"a\\\udb40\udc41"}"#,
            r#"{"properties":{"a":{"enum":["x",["\udb40\udc41"]]}}}"#,
            "{\"title\":\"\u{e0041}\"}",
        ] {
            check(definition(None, "", schema, None), hiding);
            check(definition(None, "", plain, Some(schema)), hiding);
        }
    }

    /// A plugin, its tool, and how that comes by its name: `y` yields, `p` has the prefix always.
    type Wanting<'t> = (&'t str, &'t str, &'t str);

    fn rungs((plugin, tool, how): &Wanting<'_>) -> (PluginName, ToolName, Naming) {
        let naming = Naming { yields: how.contains('y'), prefix_always: how.contains('p') };
        (PluginName::parse(plugin).unwrap(), ToolName::parse(tool).unwrap(), naming)
    }

    #[track_caller]
    fn check_names(wanting: &[Wanting<'_>], expected: &[&str]) {
        let all: Vec<_> = wanting.iter().map(rungs).collect();
        let named = |all: &[&(PluginName, ToolName, Naming)]| {
            let rungs = all.iter().map(|(plugin, tool, naming)| Rungs::new(plugin, tool, *naming));
            assigned(&[], rungs.collect()).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let forwards: Vec<_> = all.iter().collect();
        let backwards: Vec<_> = all.iter().rev().collect();
        assert_eq!(named(&forwards), expected);
        assert_eq!(named(&backwards).into_iter().rev().collect::<Vec<_>>(), expected, "backwards");
    }

    #[test]
    fn who_did_not_choose_its_name_gives_way() {
        check_names(&[("files", "read", ""), ("srv", "read", "y")], &["read", "srv__read"]);
        check_names(&[("a", "read", "y"), ("b", "read", "y")], &["a__read", "b__read"]);
        check_names(&[("a", "read", ""), ("b", "read", ""), ("c", "read", "y")], &["a__read", "b__read", "c__read"]);
        check_names(&[("a", "read", "yp"), ("b", "write", "y")], &["a__read", "write"]);
        check_names(&[("a", "call_tool", "y"), ("a", "echo", "y")], &["a__call_tool", "echo"]);
    }

    #[test]
    fn a_name_that_reads_like_anothers_is_not_given() {
        check_names(&[("files", "web_fetch", ""), ("srv", "Web-Fetch", "y")], &["web_fetch", "srv__Web-Fetch"]);
        check_names(&[("srv", "Read", "y"), ("srv", "read", "y")], &["Read", "read"]);
        check_names(&[("srv", "files__read", "y"), ("files", "x", "")], &["srv__files__read", "x"]);
        check_names(&[("srv", "Search-Tools", "y")], &["srv__Search-Tools"]);
        check_names(&[("srv", "srv__read", "y")], &["srv__read"]);
        // Who takes a name that another would get does not drive it further up.
        check_names(
            &[("c", "b__read", "y"), ("b", "read", "y"), ("a", "read", "y")],
            &["c__b__read", "b__read", "a__read"],
        );
    }

    #[test]
    fn a_long_name_is_cut_and_stays_its_own() {
        let long = "n".repeat(64);
        let longer = format!("{}m", "n".repeat(63));
        check_names(
            &[("srv", &long, "yp"), ("srv", &longer, "yp"), ("srv", "short", "yp")],
            &[
                "srv__nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn_66ec3a8d",
                "srv__nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn_3a25ba58",
                "srv__short",
            ],
        );
    }
}
