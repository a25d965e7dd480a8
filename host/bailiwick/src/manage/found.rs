//! What there is: tools that were made, tools of the configuration, and operations of services that were made.

use std::sync::Arc;

use serde_json::{Value, json};

use bailiwick_core::call::Caller;
use bailiwick_core::name::ToolName;
use bailiwick_core::redact::brief;
use bailiwick_core::registration::{Protocol, resource};
use bailiwick_core::registry::{RESERVED, Tool};

use crate::host::Host;
use crate::registrations::Kept;

/// Characters of why a tool is not there.
const MAX_REASON: usize = 200;

/// A tool as callers are shown it.
pub(crate) struct Made {
    /// What clients of other hosts know.
    pub(crate) record: Value,
    /// What ours know beside it.
    pub(crate) more: Value,
}

impl Made {
    /// The name that calls go by, if there is one.
    pub(crate) fn called(&self) -> Option<&str> {
        self.more["tools"].as_array()?.first()?.as_str()
    }

    /// The same without the text of a program, for lists.
    pub(super) fn without_source(mut self) -> Self {
        if let Some(config) = self.record["config"].as_object_mut() {
            config.remove("source");
        }
        self
    }

    /// All of it.
    pub(crate) fn whole(mut self) -> Value {
        if let (Value::Object(record), Value::Object(more)) = (&mut self.record, self.more) {
            record.extend(more);
        }
        self.record
    }
}

/// What an id stands for.
pub(super) enum Found {
    /// A registration.
    Kept(Kept),
    /// A tool of the configuration.
    Standard(ToolName, Arc<Tool>),
    /// One tool of a registration that has several.
    Part(ToolName, Arc<Tool>, Kept),
}

impl Host {
    /// All registrations that are loaded, in the order they were made.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let mut kept = self.registered.load().listed.kept.clone();
        kept.sort_by_key(|kept| kept.number);
        kept
    }

    /// What there is of this id: that of a registration, the name of a tool of the configuration that `caller` may see, or a
    /// name under which a registration is called.
    pub(super) fn found(&self, caller: &Caller, id: &str) -> Option<Found> {
        let kept = self.kept();
        if let Some(kept) =
            kept.iter().find(|kept| kept.registration.id == id || resource::id(&kept.registration) == id)
        {
            return Some(Found::Kept(kept.clone()));
        }
        let snapshot = self.snapshot();
        if let Some((name, tool)) = snapshot.registry.resolve(id) {
            if self.is_standard(name, tool) {
                let is_seen = tool.effective.allowed && snapshot.registry.selects(&caller.tools, name, tool);
                return is_seen.then(|| Found::Standard(name.clone(), Arc::clone(tool)));
            }
            let own = kept.iter().find(|kept| kept.name == tool.plugin);
            if let Some(own) = own.filter(|own| own.registration.url().is_some() && own.name.as_str() != id) {
                return Some(Found::Part(name.clone(), Arc::clone(tool), own.clone()));
            }
        }
        kept.iter().find(|kept| kept.name.as_str() == id).map(|kept| Found::Kept(kept.clone()))
    }

    /// Whether a tool is one of the configuration.
    fn is_standard(&self, name: &ToolName, tool: &Tool) -> bool {
        let snapshot = self.snapshot();
        let is_made = snapshot.registry.made_of(name).is_some();
        !is_made && self.config.load().plugins.iter().any(|plugin| plugin.name == tool.plugin && !plugin.kept)
    }

    /// Whether a tool that is made cannot have this name.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        let snapshot = self.snapshot();
        RESERVED.contains(&name)
            || snapshot.registry.resolve(name).is_some()
            || self.config.load().plugins.iter().any(|plugin| plugin.name.as_str() == name)
            || self.registered.load().listed.kept.iter().any(|kept| kept.name.as_str() == name)
            || self.registered.load().listed.unreadable.iter().any(|unreadable| unreadable.name == name)
    }

    /// The tools of the configuration that `caller` may see.
    pub(super) fn standard(&self, caller: &Caller) -> Vec<Made> {
        let snapshot = self.snapshot();
        let visible = snapshot.registry.visible(&caller.tools);
        let standard = visible.filter(|(name, tool)| self.is_standard(name, tool));
        standard.map(|(name, tool)| self.standard_one(name, tool)).collect()
    }

    pub(super) fn standard_one(&self, name: &ToolName, tool: &Tool) -> Made {
        let class = self.snapshot().plugins.get(tool.plugin_index).map_or("component", |plugin| plugin.class);
        let protocol = match class {
            "openapi" | "http" => "http",
            "mcp" => "mcp",
            _ => "native",
        };
        let mut record = json!({
            "id": name.as_str(), "name": name.as_str(), "protocol": protocol, "config": {},
            "inputSchema": tool.arguments.visible(),
        });
        if let Some(schema) = tool.output_schema() {
            record["outputSchema"] = schema.clone();
        }
        Made { record, more: json!({"standard": true, "plugin": tool.plugin.as_str(), "tools": [name.as_str()]}) }
    }

    /// A registration, with what became of it.
    pub(super) fn shown(&self, kept: &Kept) -> Made {
        let of = &kept.registration;
        let snapshot = self.snapshot();
        let registry = &snapshot.registry;
        let is_second = matches!(of.protocol, Protocol::Native(_));
        let of_plugin = registry.tools().iter().filter(|tool| {
            let is_own = tool.plugin == kept.name && !is_second && registry.made_of(&tool.name).is_none();
            is_own && tool.effective.allowed || is_second && tool.name.as_str() == kept.name.as_str()
        });
        let tools: Vec<&str> = of_plugin.map(|tool| tool.name.as_str()).collect();
        let problem = snapshot.problems.iter().find(|problem| problem.plugin == kept.name);
        let mut more = json!({
            "standard": false, "tools": tools, "owner": of.owner,
            "createdAt": moment(of.created_at), "updatedAt": moment(of.updated_at),
        });
        if let Protocol::Code(code) = &of.protocol {
            more["version"] = code.version.into();
        }
        if let Some(document) = resource::document(of) {
            more["specUrl"] = document.into();
        }
        if let Some(problem) = problem.filter(|problem| tools.is_empty() || !problem.partly) {
            more["unavailableReason"] = brief(&problem.message, MAX_REASON).into();
        }
        Made { record: resource::record(of), more }
    }
}

/// One operation of a service that was made.
pub(super) fn part(name: &ToolName, tool: &Tool, kept: &Kept) -> Made {
    let title = tool.definition.title.as_deref().unwrap_or(name.as_str());
    let mut record = json!({
        "id": name.as_str(), "name": title, "protocol": resource::Kind::of(&kept.registration.protocol).as_str(),
        "config": {"of": kept.registration.id}, "inputSchema": tool.arguments.visible(),
    });
    if let Some(schema) = tool.output_schema() {
        record["outputSchema"] = schema.clone();
    }
    Made { record, more: json!({"standard": false, "tools": [name.as_str()], "owner": kept.registration.owner}) }
}

pub(super) fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}
