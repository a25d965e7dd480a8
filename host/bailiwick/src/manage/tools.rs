//! The same as tools of the host itself, for callers that may manage: they are listed for nobody else.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use bailiwick_core::call::{Call, Caller};
use bailiwick_core::name::ToolName;
use bailiwick_core::outcome::{Code, Failure, Outcome, Output};
use bailiwick_core::policy::{may_manage, may_run};
use bailiwick_core::registration::resource::Kind;
use bailiwick_core::registry::{Annotations, MANAGEMENT, Tool};

use super::{Refused, brief, functions, is_bounded};
use crate::host::Host;
use crate::record::Recorder;
use crate::search::tool;

/// Whether a name is one of these tools'.
pub(crate) fn is_one(name: &str) -> bool {
    MANAGEMENT.contains(&name) || functions::is_one(name)
}

/// Whether they are listed for a caller: one that may use them, within bounds that were written for it.
pub(crate) fn is_offered(caller: &Caller) -> bool {
    caller.may.manage && caller.may.execute && is_bounded(caller)
}

/// All of them.
pub(crate) fn tools() -> &'static [(ToolName, Arc<Tool>)] {
    static TOOLS: LazyLock<Vec<(ToolName, Arc<Tool>)>> = LazyLock::new(|| {
        let (reads, changes) = (reads(), changes());
        let [create, list, get, update, delete, import] = MANAGEMENT;
        let told = [
            (create, "Makes a tool. It can be called at once by callers that may use it.", fields(&["name"]), changes),
            (list, "Lists all tools: id, name and protocol.", listing(), reads),
            (get, "Shows one tool.", only_id(), reads),
            (
                update,
                "Changes a tool; what is left out stays as it is. Of standard tools only the schemas can be narrowed.",
                fields(&["id"]),
                changes,
            ),
            (delete, "Removes a tool. Standard tools cannot be removed.", only_id(), changes),
            (
                import,
                "Makes a tool of each operation of an OpenAPI document.",
                importing(),
                Annotations { open_world: Some(true), ..changes },
            ),
        ];
        let told = told.into_iter().map(|(name, description, schema, hints)| tool(name, description, &schema, hints));
        told.chain(functions::tools().iter().cloned()).collect()
    });
    &TOOLS
}

/// The hints of one that changes nothing.
pub(super) fn reads() -> Annotations {
    Annotations { read_only: Some(true), destructive: Some(false), idempotent: Some(true), open_world: Some(false) }
}

/// The hints of one that changes something.
pub(super) fn changes() -> Annotations {
    Annotations { read_only: Some(false), destructive: Some(true), idempotent: Some(false), open_world: Some(false) }
}

pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn id() -> Value {
    id_of("The tool's id, as `list_tools` gives it.")
}

pub(super) fn id_of(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn only_id() -> Value {
    object(json!({"id": id()}), &["id"])
}

fn listing() -> Value {
    let category = json!({"type": "string", "enum": ["standard", "custom"], "description": "Only tools of the configuration, or only those that were made."});
    object(json!({"category": category}), &[])
}

fn fields(required: &[&str]) -> Value {
    let config = "http: {url, method, headers, description, inject, timeoutMs}, where `{name}` in the URL stands for an argument; mcp: {endpoint, toolName, headers}; native: {tool, arguments}, another name for a tool that is there; code: {language, source}, a program with `main(input)`.";
    let protocols: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let mut properties = json!({
        "name": {"type": "string", "description": "What people call it; calls go by this in small letters, digits and `_`."},
        "protocol": {"type": "string", "enum": protocols, "description": "What runs it; `native` where it is left out."},
        "config": {"type": "object", "description": config},
        "inputSchema": {"type": "object", "description": "JSON Schema of its arguments."},
        "outputSchema": {"type": "object", "description": "JSON Schema of its results."},
    });
    if required.contains(&"id") {
        properties["id"] = id();
    }
    object(properties, required)
}

fn importing() -> Value {
    let properties = json!({
        "specUrl": {"type": "string", "description": "Where the document is."},
        "spec": {"type": ["object", "string"], "description": "The document itself, in the place of `specUrl`."},
        "baseUrlOverride": {"type": "string", "description": "Where the service is, if not where the document says."},
        "name": {"type": "string", "description": "What people call the service."},
        "headers": {"type": "object", "description": "Headers of every request; their values are never shown again."},
        "inject": {"type": "object", "description": "Arguments that are set and hidden from callers."},
        "include": {"type": "array", "items": {"type": "string"}, "description": "Which operations, such as `GET /points/**`; empty for all."},
        "exclude": {"type": "array", "items": {"type": "string"}, "description": "Which operations not."},
        "timeoutMs": {"type": "integer", "minimum": 1, "description": "How long a call may take."},
    });
    object(properties, &[])
}

impl Host {
    /// Answers a call of one of them. It is recorded as a call is, and runs no plugin.
    pub(crate) async fn managed(&self, call: &Call) -> Outcome {
        let recorder = Recorder::start(&self.audit, self.observer.as_ref(), &self.telemetry, call);
        let caller = &call.caller;
        if let Err(failure) = may_run(caller).and_then(|()| may_manage(caller)) {
            return recorder.refused(None, failure);
        }
        if let Some(error) = functions::lacks(&call.tool, &call.arguments) {
            return recorder.done(outcome(json!({ "error": error })));
        }
        let known = tools().iter().find(|(name, _)| name.as_str() == call.tool);
        let prepared = match known {
            Some((_, tool)) => tool.arguments.prepare(&call.arguments),
            None => Err(Failure::new(Code::ToolUnknown, "there is no such tool")),
        };
        let arguments = match prepared {
            Ok(arguments) => serde_json::from_str(&arguments.text).unwrap_or_default(),
            Err(failure) => return recorder.refused(None, failure),
        };
        match self.done(caller, &call.tool, &arguments).await {
            Ok(said) => recorder.done(outcome(said)),
            Err(Refused::Unknown) if functions::is_one(&call.tool) => {
                recorder.done(outcome(json!({"error": functions::UNKNOWN})))
            }
            Err(Refused::Unknown) => recorder.done(outcome(json!({"error": "Tool not found"}))),
            Err(Refused::Standard) => recorder.done(outcome(json!({"error": "Standard tools cannot be deleted"}))),
            Err(Refused::Taken(failure) | Refused::Other(failure)) => recorder.refused(None, failure),
        }
    }

    async fn done(&self, caller: &Caller, tool: &str, arguments: &Value) -> Result<Value, Refused> {
        if functions::is_one(tool) {
            return self.function(caller, tool, arguments).await;
        }
        let [create, list, get, update, delete, _] = MANAGEMENT;
        let id = arguments["id"].as_str().unwrap_or_default();
        if tool == create {
            let made = self.make_tool(caller, arguments).await?;
            let (id, name) = (&made.record["id"], made.record["name"].as_str().unwrap_or_default());
            return Ok(json!({"id": id, "name": name, "message": created("Tool", name, made.called())}));
        }
        if tool == list {
            let wanted = arguments["category"].as_str().map(|category| category == "standard");
            let all = self.tools_made(caller).into_iter();
            let chosen = all.filter(|made| wanted.is_none_or(|standard| made.more["standard"] == standard));
            return Ok(chosen.map(|made| brief(&made)).collect());
        }
        if tool == get {
            return Ok(self.tool_made(caller, id)?.record);
        }
        if tool == update {
            let made = self.change_tool(caller, id, arguments).await?;
            let name = made.record["name"].as_str().unwrap_or_default();
            return Ok(json!({"id": made.record["id"], "message": format!("Tool \"{name}\" updated")}));
        }
        if tool == delete {
            self.remove_tool(caller, id).await?;
            return Ok(json!({"ok": true}));
        }
        let imported = self.import_tools(caller, arguments).await?;
        Ok(imported.said())
    }
}

impl super::Imported {
    /// As callers are told.
    pub(crate) fn said(self) -> Value {
        let service = self.service.whole();
        let mut said = json!({
            "id": service["id"], "name": service["name"],
            "message": format!("{} tool(s) created", self.tools.len()), "tools": self.tools,
        });
        if let Some(reason) = service.get("unavailableReason") {
            said["unavailableReason"] = reason.clone();
        }
        said
    }
}

/// What is said of one that is new.
pub(super) fn created(what: &str, name: &str, called: Option<&str>) -> String {
    match called {
        Some(called) => format!("{what} \"{name}\" created. Calls go by `{called}`."),
        None => format!("{what} \"{name}\" created, and cannot be called yet."),
    }
}

/// JSON as the result of a tool; structured too where it is an object.
fn outcome(value: Value) -> Outcome {
    let text = value.to_string();
    Outcome::done(Output { structured: Some(value).filter(Value::is_object), ..Output::text(text) })
}
