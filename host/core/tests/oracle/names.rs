//! Names, and how tools get theirs: the same whatever the order, and nobody can take another's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailiwick_core::call::Selector;
use bailiwick_core::config::Effective;
use bailiwick_core::name::{NameError, PluginName, SecretName, ToolName};
use bailiwick_core::registry::{Annotations, Candidate, Definition, Naming, RESERVED, Registry, Risk, Role, Tool};
use bailiwick_core::schema::ArgumentSchema;

/// Compares a text with what makes a name of each sort.
pub fn check(text: &str) {
    let word = |character: char| matches!(character, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-');
    let length = text.chars().count();
    let is_word = text.chars().all(word) && (1..=64).contains(&length);
    let is_plugin = is_word
        && length <= 32
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.to_lowercase() == text
        && !text.contains("__");
    let legal = |name: Result<String, NameError>, expected: bool| match name {
        Ok(name) => assert!(expected && name == text, "{text:?}"),
        Err(error) => assert!(!expected && error.to_string().chars().count() < 300, "{text:?}"),
    };
    legal(ToolName::parse(text).map(|name| name.to_string()), is_word);
    legal(SecretName::parse(text).map(|name| name.to_string()), is_word);
    legal(PluginName::parse(text).map(|name| name.to_string()), is_plugin);
    let quoted = serde_json::Value::from(text);
    assert_eq!(serde_json::from_value::<PluginName>(quoted).is_ok(), is_plugin, "{text:?}");
}

/// A plugin, a tool it publishes, and the second names the operator gave that.
pub type Wanted<'t> = (&'t str, &'t str, Vec<&'t str>);

fn candidate((plugin, tool, aliases): &Wanted<'_>) -> Option<Candidate> {
    let definition = Definition {
        name: (*tool).to_owned(),
        title: None,
        description: String::new(),
        input_schema: r#"{"type":"object"}"#.to_owned(),
        output_schema: None,
        annotations: Annotations::default(),
        risk: Risk::Low,
    };
    let arguments = ArgumentSchema::compile(&definition.input_schema, &[], serde_json::Map::new()).ok()?;
    let tool = Tool {
        name: ToolName::parse(tool).ok()?,
        plugin: PluginName::parse(plugin).ok()?,
        plugin_index: 0,
        definition,
        effective: Arc::new(Effective::default()),
        arguments,
        results: None,
        brief: None,
        grants_digest: String::new(),
        annotations: Annotations::default(),
        not_configured: None,
        role: Role::Single,
    };
    let aliases = aliases.iter().filter_map(|alias| ToolName::parse(alias).ok()).collect();
    Some(Candidate { tool, aliases, naming: Naming::default() })
}

/// The names in a registry, each with its plugin and the plugin's own name for the tool.
type Names = BTreeMap<String, (String, String)>;

fn names<'t>(wanted: impl Iterator<Item = &'t Wanted<'t>>) -> Result<Names, String> {
    let registry = Registry::new(wanted.filter_map(candidate).collect())?;
    let everyone = Selector::all();
    let visible = registry.visible(&everyone);
    let names: Names = visible
        .map(|(name, tool)| (name.to_string(), (tool.plugin.to_string(), tool.definition.name.clone())))
        .collect();
    for (name, (plugin, tool)) in &names {
        let (resolved, found) = registry.resolve(name).expect("what is listed is found");
        assert_eq!((resolved.as_str(), found.plugin.as_str(), &found.definition.name), (&**name, &**plugin, tool));
    }
    Ok(names)
}

/// Gives names to what is wanted, in two orders, and looks at what became of it. Says whether there were names.
pub fn check_registry(wanted: &[Wanted<'_>]) -> bool {
    let mut seen = BTreeSet::new();
    let mut wanted: Vec<Wanted<'_>> = wanted.to_vec();
    wanted.retain(|(plugin, tool, _)| candidate(&(plugin, tool, vec![])).is_some() && seen.insert((*plugin, *tool)));
    for (_, tool, aliases) in &mut wanted {
        aliases.sort_unstable();
        aliases.dedup();
        aliases.retain(|alias| alias != tool && ToolName::parse(alias).is_ok() && !RESERVED.contains(alias));
    }
    let names_ = names(wanted.iter());
    let backwards = names(wanted.iter().rev());
    assert_eq!(names_.as_ref().ok(), backwards.as_ref().ok(), "{wanted:?}");
    let mut aliases: Vec<&str> = wanted.iter().flat_map(|(_, _, aliases)| aliases.clone()).collect();
    let n_aliases = aliases.len();
    aliases.sort_unstable();
    aliases.dedup();
    let Ok(names_) = names_ else {
        // Only the operator's own names can be in each other's way.
        assert!(aliases.len() < n_aliases, "no names for {wanted:?}");
        return false;
    };
    assert!(RESERVED.iter().all(|name| !names_.contains_key(*name)), "{wanted:?} are {names_:?}");
    assert_eq!(names_.len(), wanted.len() + aliases.len(), "{wanted:?} are {names_:?}");
    for (plugin, tool, own_aliases) in &wanted {
        let own = ((*plugin).to_owned(), (*tool).to_owned());
        assert!(own_aliases.iter().all(|alias| names_.get(*alias) == Some(&own)), "{wanted:?} are {names_:?}");
        let n_wanting = wanted.iter().filter(|(_, other, _)| other == tool).count();
        let alone = n_wanting == 1 && !aliases.contains(tool) && !RESERVED.contains(tool);
        let is_prefixed = |name: &&String| name.starts_with(&format!("{plugin}__"));
        if alone && !tool.contains("__") {
            assert_eq!(names_.get(*tool), Some(&own), "{wanted:?} are {names_:?}");
        } else if n_wanting > 1 {
            assert!(aliases.contains(tool) || !names_.contains_key(*tool) || tool.contains("__"), "{names_:?}");
            assert!(names_.iter().any(|(name, is)| *is == own && is_prefixed(&name)), "{wanted:?} are {names_:?}");
        }
    }
    true
}

/// A plugin, a tool it publishes, and how that comes by its name.
pub type Named<'t> = (&'t str, &'t str, Naming);

/// Gives names to tools of which some yield, in two orders: every one has a legal name of its own, those that do not
/// yield have the ones they would have alone, and nobody is called what could be another plugin's.
pub fn check_yielding(wanted: &[Named<'_>]) {
    let mut seen = BTreeSet::new();
    let mut wanted: Vec<Named<'_>> = wanted.to_vec();
    // All tools of a plugin are of one class.
    let mut classes = BTreeMap::new();
    for (plugin, _, naming) in &mut wanted {
        naming.yields = *classes.entry(*plugin).or_insert(naming.yields);
    }
    wanted.retain(|(plugin, tool, _)| candidate(&(plugin, tool, vec![])).is_some() && seen.insert((*plugin, *tool)));
    let names = |wanted: &mut dyn Iterator<Item = &Named<'_>>| -> Names {
        let candidates = wanted.filter_map(|(plugin, tool, naming)| {
            Some(Candidate { naming: *naming, ..candidate(&(plugin, tool, vec![]))? })
        });
        let registry = Registry::new(candidates.collect()).expect("only second names can be in each other's way");
        let everyone = Selector::all();
        let visible = registry.visible(&everyone);
        visible
            .map(|(name, tool)| (name.to_string(), (tool.plugin.to_string(), tool.definition.name.clone())))
            .collect()
    };
    let all = names(&mut wanted.iter());
    assert_eq!(all, names(&mut wanted.iter().rev()), "{wanted:?}");
    assert_eq!(all.len(), wanted.len(), "{wanted:?} are {all:?}");
    let firm = names(&mut wanted.iter().filter(|(.., naming)| !naming.yields));
    assert!(firm.iter().all(|(name, tool)| all.get(name) == Some(tool)), "{wanted:?}: {firm:?} are {all:?}");
    for (plugin, tool, naming) in &wanted {
        let own = ((*plugin).to_owned(), (*tool).to_owned());
        let name = all.iter().find(|(_, is)| **is == own).map(|(name, _)| name.as_str()).expect("each has a name");
        assert!(ToolName::parse(name).is_ok(), "{name}");
        let is_prefixed = name.starts_with(&format!("{plugin}__"));
        assert!(name == *tool || is_prefixed, "{wanted:?} are {all:?}");
        assert!(!naming.prefix_always || is_prefixed, "{wanted:?} are {all:?}");
        let read_as = |name: &str| name.to_lowercase().replace('-', "_");
        for (name_of_other, (other, _)) in &all {
            let alike = read_as(name) == read_as(name_of_other);
            assert!(!naming.yields || other == plugin || !alike || is_prefixed, "{wanted:?} are {all:?}");
        }
    }
}

/// Lines that are names, and lines of a plugin, a tool and second names with spaces between.
pub fn input(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    text.split('\n').for_each(check);
    let lines: Vec<Vec<&str>> = text.split('\n').take(24).map(|line| line.split(' ').collect()).collect();
    let wanted = lines.iter().filter_map(|line| match line.as_slice() {
        [plugin, tool, aliases @ ..] => Some((*plugin, *tool, aliases.to_vec())),
        [] | [_] => None,
    });
    check_registry(&wanted.collect::<Vec<_>>());
    let yielding = lines.iter().filter_map(|line| match line.as_slice() {
        [plugin, tool, rest @ ..] => {
            let naming = Naming { yields: rest.len() % 2 == 1, prefix_always: rest.len() % 3 == 2 };
            Some((*plugin, *tool, naming))
        }
        [] | [_] => None,
    });
    check_yielding(&yielding.collect::<Vec<_>>());
}
