//! The plugins of the configuration, and those that are kept beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick_core::config::Config;
use bailiwick_core::name::{PluginName, ToolName};
use bailiwick_core::registration::{Protocol, Registration};
use bailiwick_core::registry::{Over, SecondName, Which};

use super::{Kept, Listed, Unreadable, Values};
use crate::load::Problem;

/// What the plugins that are kept have of values. `Debug` shows names, never values.
#[derive(Debug, Clone, Default)]
pub struct Vault(BTreeMap<PluginName, Arc<Values>>);

impl Vault {
    /// What is kept of a plugin.
    #[must_use]
    pub fn of(&self, plugin: &PluginName) -> Option<Arc<Values>> {
        self.0.get(plugin).cloned()
    }
}

/// A configuration with what is kept beside it.
#[derive(Debug, Clone)]
pub struct Merged {
    /// All plugins.
    pub config: Config,
    /// The values of those that are kept.
    pub vault: Vault,
    /// What of the kept ones is not there, and why.
    pub problems: Vec<Problem>,
    /// Second names for tools.
    pub seconds: Vec<SecondName>,
    /// Schemas for tools, and the plugin that they came with.
    pub over: Vec<(PluginName, Which, Over)>,
}

impl Merged {
    /// Leaves out every other plugin.
    pub(crate) fn keep_only(&mut self, name: &PluginName) {
        self.config.plugins.retain(|plugin| plugin.name == *name);
        self.problems.retain(|problem| problem.plugin == *name);
        self.seconds.clear();
        self.over.retain(|(plugin, _, _)| plugin == name);
    }
}

/// Adds what is kept to the plugins of the configuration. What was added before is left out first, and one whose name the
/// configuration has gives way to it.
#[must_use]
pub fn with_registrations(config: &Config, listed: &Listed) -> Merged {
    let mut config = config.clone();
    config.plugins.retain(|plugin| !plugin.kept);
    let (mut vault, mut problems, mut seconds, mut over) = (Vault::default(), Vec::new(), Vec::new(), Vec::new());
    for kept in &listed.kept {
        if let Some(taken) = config.plugins.iter().find(|plugin| plugin.name == kept.name) {
            problems.push(gives_way(kept, &taken.grants.at));
            continue;
        }
        match kept.plugin() {
            Ok(None) => seconds.extend(second(kept)),
            Ok(Some(plugin)) => {
                over.extend(schemas(&kept.registration));
                let values = kept.values.as_ref().cloned().unwrap_or_default();
                vault.0.insert(kept.name.clone(), Arc::new(values));
                config.plugins.push(plugin);
            }
            Err(message) => problems.push(left_out(&kept.name, message, None)),
        }
    }
    problems.extend(listed.unreadable.iter().filter_map(unreadable));
    // Of those that were laid over a tool which is not there any more nothing is said: it may come back.
    let named = |(tool, over): (&ToolName, &Over)| {
        let plugin = PluginName::parse("bailiwick").ok()?;
        Some((plugin, Which::Named(tool.clone()), over.clone()))
    };
    over.extend(listed.narrowings.iter().filter_map(named));
    Merged { config, vault, problems, seconds, over }
}

/// The second name that a registration stands for.
fn second(kept: &Kept) -> Option<SecondName> {
    let of = &kept.registration;
    let Protocol::Native(native) = &of.protocol else { return None };
    Some(SecondName {
        name: ToolName::parse(kept.name.as_str()).ok()?,
        of: native.tool.clone(),
        title: of.title.clone(),
        description: native.description.clone(),
        inject: kept.values.as_ref().map(|values| values.inject.clone()).unwrap_or_default(),
        over: Over { input: native.input_schema.clone(), output: native.output_schema.clone() },
    })
}

/// The schemas that came with a registration, where its plugin does not know them.
fn schemas(of: &Registration) -> Option<(PluginName, Which, Over)> {
    let (own, over) = match &of.protocol {
        Protocol::Http(http) => (of.name.to_string(), Over { input: None, output: http.output_schema.clone() }),
        Protocol::Mcp(mcp) => {
            (mcp.tool.clone(), Over { input: mcp.input_schema.clone(), output: mcp.output_schema.clone() })
        }
        Protocol::Code(code) => (of.name.to_string(), Over { input: None, output: code.output_schema.clone() }),
        Protocol::OpenApi(_) | Protocol::Native(_) => return None,
    };
    (!over.is_empty()).then(|| (of.name.clone(), Which::Own(of.name.clone(), own), over))
}

fn gives_way(kept: &Kept, at: &str) -> Problem {
    let message = format!("the configuration has a plugin of this name ({at}), which comes before what was registered");
    let fix =
        format!("`bailiwick tools remove {}`, or take `[plugins.{}]` out of the configuration", kept.name, kept.name);
    left_out(&kept.name, message, Some(fix))
}

fn unreadable(unreadable: &Unreadable) -> Option<Problem> {
    let name = PluginName::parse(&unreadable.name).ok()?;
    let fix = format!("`bailiwick tools remove {name}`, and add it once more");
    Some(left_out(&name, unreadable.reason.clone(), Some(fix)))
}

pub(crate) fn left_out(name: &PluginName, message: String, fix: Option<String>) -> Problem {
    Problem { fix, ..Problem::left_out(name, &format!("bailiwick tools show --toml {name}"), message) }
}
