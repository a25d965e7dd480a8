//! What is laid over the tools that plugins published, once all of them have their names: second names that were made while
//! the host was there, and schemas. Both narrow: a second name runs with the rights of the tool it stands for.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Definition, RESERVED, Registry, Role, Tool};
use crate::name::{PluginName, ToolName};
use crate::schema::{ArgumentSchema, ResultSchema};

/// Another name for a tool that is there. `Debug` shows names of arguments, never values.
#[derive(Clone)]
pub struct SecondName {
    /// The name.
    pub name: ToolName,
    /// The tool, by the name callers use.
    pub of: ToolName,
    /// What people call it.
    pub title: Option<String>,
    /// What callers are told; none for what the tool says.
    pub description: Option<String>,
    /// Arguments that are set, and hidden from callers.
    pub inject: Map<String, Value>,
    /// What is laid over it.
    pub over: Over,
}

impl fmt::Debug for SecondName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inject: Vec<&String> = self.inject.keys().collect();
        f.debug_struct("SecondName").field("name", &self.name).field("of", &self.of).field("inject", &inject).finish()
    }
}

/// Schemas that hold beside a tool's own.
#[derive(Debug, Clone, Default)]
pub struct Over {
    /// For its arguments.
    pub input: Option<Value>,
    /// For its results.
    pub output: Option<Value>,
}

impl Over {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.input.is_none() && self.output.is_none()
    }
}

/// Which tool something is laid over.
#[derive(Debug, Clone)]
pub enum Which {
    /// The one that callers know by this name.
    Named(ToolName),
    /// The one that this plugin calls so.
    Own(PluginName, String),
}

impl Registry {
    /// Lays schemas over a tool: they hold beside its own. Where one cannot be used, nobody can call the tool: without it,
    /// it would take or give more than it may.
    ///
    /// # Errors
    /// There is no such tool, or a schema cannot be used.
    pub fn lay_over(&mut self, which: &Which, over: &Over) -> Result<(), String> {
        let index = match which {
            Which::Named(name) => self.by_name.get(name).copied(),
            Which::Own(plugin, own) => {
                self.tools.iter().position(|tool| tool.plugin == *plugin && tool.definition.name == *own)
            }
        };
        let Some(index) = index else {
            return Err("the tool that its schemas are for is not there".to_owned());
        };
        match with(&self.tools[index], &Map::new(), over) {
            Ok(tool) => self.tools[index] = Arc::new(tool),
            Err(reason) => {
                self.by_name.retain(|_, known| *known != index);
                return Err(reason);
            }
        }
        Ok(())
    }

    /// Adds a second name. It runs what the tool runs, with its rights and no others.
    ///
    /// # Errors
    /// There is no such tool, the name is another's, or a schema cannot be used.
    pub fn stand_for(&mut self, second: SecondName) -> Result<(), String> {
        let SecondName { name, of, title, description, inject, over } = second;
        if RESERVED.contains(&name.as_str()) || self.by_name.contains_key(&name) || self.held.contains_key(&name) {
            return Err(format!("the name `{name}` is another tool's"));
        }
        let known = self.resolve(of.as_str()).filter(|(known, _)| !self.made.contains_key(*known));
        let Some((_, tool)) = known else { return Err(format!("there is no tool `{of}` that it could stand for")) };
        if tool.role == Role::Aggregate {
            return Err(format!("`{of}` leads to many tools: name one of them"));
        }
        let mut tool = with(tool, &inject, &over)?;
        tool.name = name.clone();
        tool.role = Role::Single;
        tool.definition = Definition {
            title: title.or(tool.definition.title),
            description: description.clone().unwrap_or(tool.definition.description),
            ..tool.definition
        };
        tool.brief = if description.is_some() { None } else { tool.brief };
        self.by_name.insert(name.clone(), self.tools.len());
        self.tools.push(Arc::new(tool));
        self.made.insert(name, of);
        Ok(())
    }

    /// The tool that a second name stands for, if it is one that was made.
    #[must_use]
    pub fn made_of(&self, name: &ToolName) -> Option<&ToolName> {
        self.made.get(name)
    }
}

/// A tool with more arguments set and more schemas over it.
fn with(tool: &Tool, inject: &Map<String, Value>, over: &Over) -> Result<Tool, String> {
    let mut effective = (*tool.effective).clone();
    effective.arguments.extend(over.input.clone());
    // What the operator sets wins over what is set for a second name.
    let own = std::mem::replace(&mut effective.inject, inject.clone());
    effective.inject.extend(own);
    let definition = tool.definition.clone();
    let arguments = ArgumentSchema::compile(&definition.input_schema, &effective.arguments, effective.inject.clone())
        .map_err(|error| format!("its input schema cannot be used: {error}"))?;
    let own = definition.output_schema.as_deref().map(ResultSchema::compile).transpose();
    let unusable = |error| format!("its output schema cannot be used: {error}");
    let own = own.map_err(unusable)?;
    let results = match (&over.output, own) {
        (None, own) => own,
        (Some(more), None) => Some(ResultSchema::compile(&more.to_string()).map_err(unusable)?),
        (Some(more), Some(own)) => Some(own.and(more).map_err(unusable)?),
    };
    Ok(Tool {
        name: tool.name.clone(),
        plugin: tool.plugin.clone(),
        plugin_index: tool.plugin_index,
        definition,
        brief: tool.brief.clone(),
        grants_digest: format!("sha256:{}", hex::encode(Sha256::digest(format!("{effective:?}")))),
        effective: Arc::new(effective),
        arguments,
        results,
        annotations: tool.annotations,
        not_configured: tool.not_configured.clone(),
        role: tool.role,
    })
}

#[cfg(test)]
#[path = "created_tests.rs"]
mod tests;
