//! Code mode: one tool with which a program calls the others. What its callers read of those is declared here.

use std::sync::Arc;

use serde_json::{Value, json};

use bailiwick_core::call::Caller;
use bailiwick_core::code::tools::Kind;
use bailiwick_core::code::typescript::{Callable, declarations, signature};
use bailiwick_core::name::ToolName;
use bailiwick_core::registry::{Definition, Role, Tool};
use bailiwick_core::schema::ArgumentSchema;

use crate::host::{Host, Snapshot};
use crate::inner::callable;

/// Where the declarations are for MCP clients.
pub(crate) const TYPES_URI: &str = "bailiwick://code-mode/types";
/// What of the declarations stands in the tool's description, in bytes; beyond it, a line for each tool, and beyond that,
/// names.
const SHOWN: usize = 12 << 10;

/// What a tool takes at least, as a declaration and as a line: with more tools than fit so there is no use in trying.
const LEAST_DECLARED: usize = 150;
const LEAST_LINE: usize = 30;

/// A tool under the name it is called by.
type Named = (ToolName, Arc<Tool>);

impl Snapshot {
    /// Whether a tool runs programs that call tools.
    pub(crate) fn is_code_mode(&self, tool: &Tool) -> bool {
        // Tools of the host's own stand behind no plugin.
        let plugin = self.plugins.get(tool.plugin_index).filter(|plugin| plugin.name == tool.plugin);
        plugin.and_then(|plugin| plugin.program()).is_some_and(|program| program.kind == Kind::Mode)
    }

    /// The tool with which `caller` runs programs that call tools, if it has one; of several, the first by name.
    fn code_mode<'s>(&'s self, caller: &'s Caller) -> Option<&'s Arc<Tool>> {
        let mut visible = self.registry.visible(&caller.tools);
        visible.find(|(_, tool)| self.is_code_mode(tool)).map(|(_, tool)| tool)
    }

    /// `tool` as `caller` is shown it: what runs programs says what they may call.
    pub(crate) fn described(&self, (name, tool): Named, caller: &Caller) -> Named {
        if !self.is_code_mode(&tool) {
            return (name, tool);
        }
        let told = told(&self.callables(&tool, caller));
        let description = format!("{}\n\n{told}", tool.definition.description);
        match with_description(&tool, description) {
            Some(described) => (name, Arc::new(described)),
            None => (name, tool),
        }
    }

    /// The tools that programs of `caller` may call by way of `tool`.
    fn callables(&self, tool: &Tool, caller: &Caller) -> Vec<Named> {
        let (names, _) = callable(&self.registry, tool, caller);
        let found = names.into_iter().filter_map(|name| {
            let (_, tool) = self.registry.resolve(name.as_str())?;
            let tool = self.registry.as_seen(tool, &caller.tools);
            Some((name, tool))
        });
        found.collect()
    }
}

impl Host {
    /// Whether `caller` may run programs that call tools.
    pub(crate) fn has_code_mode(&self, caller: &Caller) -> bool {
        self.snapshot().code_mode(caller).is_some()
    }

    /// TypeScript declarations of the tools that programs of `caller` may call; none where it may run no such programs.
    #[must_use]
    pub fn code_mode_types(&self, caller: &Caller) -> Option<String> {
        let snapshot = self.snapshot();
        let callables = snapshot.callables(snapshot.code_mode(caller)?, caller);
        Some(declared(&callables, declarations))
    }
}

/// What a call of a tool gives a program: the structured result, with the text beside it where that says more.
fn given(tool: &Tool) -> Option<Value> {
    let mut schema = tool.output_schema()?.clone();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let text = || json!({"type": "string", "description": "What the tool says in words, where that is more."});
        properties.entry("text").or_insert_with(text);
    }
    Some(schema)
}

fn declared<T>(callables: &[Named], make: impl FnOnce(&[Callable<'_>]) -> T) -> T {
    let outputs: Vec<Option<Value>> = callables.iter().map(|(_, tool)| given(tool)).collect();
    let tools: Vec<Callable<'_>> = callables
        .iter()
        .zip(&outputs)
        .map(|((name, tool), output)| Callable {
            name: name.as_str(),
            description: &tool.definition.description,
            input: tool.arguments.visible(),
            output: output.as_ref(),
        })
        .collect();
    make(&tools)
}

/// The tools in as many words as there is room for.
fn told(callables: &[Named]) -> String {
    if callables.is_empty() {
        return "No tool can be called: the operator grants none, or its caller may use none.".to_owned();
    }
    let may_fit = |least: usize| callables.len() * least <= SHOWN;
    let whole = may_fit(LEAST_DECLARED).then(|| declared(callables, declarations));
    if let Some(whole) = whole.filter(|whole| whole.len() <= SHOWN) {
        return format!("```ts\n{whole}```");
    }
    let more = format!("Their types are in the resource {TYPES_URI} (over HTTP: GET /api/v1/code-mode/types).");
    let lines =
        |tools: &[Callable<'_>]| tools.iter().map(|tool| format!("  {}\n", signature(tool))).collect::<String>();
    let short = may_fit(LEAST_LINE).then(|| declared(callables, lines));
    if let Some(short) = short.filter(|short| short.len() <= SHOWN) {
        return format!("{more}\n```ts\ndeclare const api: {{\n{short}}}\n```");
    }
    let names: Vec<&str> = callables.iter().map(|(name, _)| name.as_str()).collect();
    let mut names = names.join(", ");
    if names.len() > SHOWN {
        names.truncate(names.floor_char_boundary(SHOWN));
        names.push_str(", …");
    }
    format!("{more}\nIts {} tools: {names}", callables.len())
}

/// The same tool with another description.
fn with_description(tool: &Tool, description: String) -> Option<Tool> {
    let effective = Arc::clone(&tool.effective);
    let arguments =
        ArgumentSchema::compile(&tool.definition.input_schema, &effective.arguments, effective.inject.clone()).ok()?;
    Some(Tool {
        name: tool.name.clone(),
        plugin: tool.plugin.clone(),
        plugin_index: tool.plugin_index,
        definition: Definition { description, ..tool.definition.clone() },
        brief: None,
        effective,
        arguments,
        results: None,
        grants_digest: tool.grants_digest.clone(),
        annotations: tool.annotations,
        not_configured: tool.not_configured.clone(),
        role: Role::Single,
    })
}
