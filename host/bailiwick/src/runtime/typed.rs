//! Components without our contract: what they export is found when they are loaded, each function is a tool, and a call
//! turns JSON into the function's types and its result back. The rules are those of `bailiwick_core::typed`.

mod exports;
mod value;

use serde_json::{Value, json};
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, InstancePre, Val};

use bailiwick_core::outcome::{Code, Failure, Output};
use bailiwick_core::redact::Redactor;
use bailiwick_core::registry::Definition;
use bailiwick_core::typed::{Docs, Function, LeftOut, RESULT, Type, definition, is_bare, tool_names};

use super::compile::Compiled;
use super::state::State;
use exports::Exports;

/// Functions left out that the log tells; `bailiwick check` tells all.
const LOGGED: usize = 16;

/// A component whose functions are tools.
pub(super) struct Typed {
    pre: InstancePre<State>,
    tools: Vec<Exported>,
}

struct Exported {
    definition: Definition,
    function: Function,
    index: ComponentExportIndex,
}

/// The tools of a component before it is linked, and what of it is none.
pub(super) struct Tools {
    tools: Vec<Exported>,
    /// Exported functions that cannot be tools.
    pub(super) left_out: Vec<LeftOut>,
}

impl Tools {
    /// Finds the functions `compiled`, which was made of `wasm`, exports.
    pub(super) fn find(compiled: &Compiled, wasm: &[u8], plugin: &str) -> Self {
        let docs = exports::docs(wasm).unwrap_or_else(|reason| {
            tracing::info!(plugin, reason, "the component's doc comments cannot be read");
            Docs::default()
        });
        let Exports { functions, interfaces, mut left_out } = Exports::read(compiled);
        let names: Vec<_> = functions.iter().map(|found| found.function.name.clone()).collect();
        let mut tools = Vec::new();
        for (found, name) in functions.into_iter().zip(tool_names(&names)) {
            match definition(&found.function, &name, &interfaces[found.interface], &docs) {
                Ok(definition) => tools.push(Exported { definition, function: found.function, index: found.index }),
                Err(reason) => left_out.push(LeftOut { function: found.function.name, reason }),
            }
        }
        for function in left_out.iter().take(LOGGED) {
            tracing::warn!(plugin, "{function}");
        }
        Self { tools, left_out }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Ties the tools to the linked component.
    pub(super) fn link(self, pre: InstancePre<State>) -> Typed {
        Typed { pre, tools: self.tools }
    }
}

impl Typed {
    /// The engine its code was made for.
    pub(super) fn engine(&self) -> &wasmtime::Engine {
        self.pre.engine()
    }

    /// What tools there are; nothing runs for it.
    pub(super) fn definitions(&self) -> Vec<Definition> {
        self.tools.iter().map(|tool| tool.definition.clone()).collect()
    }

    /// Turns arguments that fit the schema of `tool` into what its function takes.
    ///
    /// # Errors
    /// `arguments.invalid` or `arguments.too-large`, naming the argument, for what a schema does not tell.
    pub(super) fn prepare(&self, tool: &str, arguments: &str) -> Result<Call<'_>, Failure> {
        let found = self.tools.iter().find(|known| known.definition.name == tool);
        let tool = found.ok_or_else(|| Failure::new(Code::ToolNotFound, format!("the component has no `{tool}`")))?;
        let arguments = bailiwick_core::schema::parse(arguments)
            .map_err(|reason| Failure::new(Code::ArgumentsInvalid, format!("the arguments are not JSON: {reason}")))?;
        let params = value::arguments(&tool.function.params, arguments)?;
        Ok(Call { pre: &self.pre, tool, params })
    }
}

/// A function with its arguments.
pub(super) struct Call<'t> {
    pre: &'t InstancePre<State>,
    tool: &'t Exported,
    params: Vec<Val>,
}

impl Call<'_> {
    /// Calls the function in a fresh instance.
    ///
    /// # Errors
    /// What ended the guest early.
    pub(super) async fn run(&self, store: &mut Store<State>) -> wasmtime::Result<Option<Val>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let function = instance
            .get_func(&mut *store, self.tool.index)
            .ok_or_else(|| wasmtime::format_err!("`{}` is not there", self.tool.function.name))?;
        // What stands in it is overwritten.
        let mut results = vec![Val::Bool(false); usize::from(self.tool.function.result.is_some())];
        function.call_async(&mut *store, &self.params, &mut results).await?;
        Ok(results.pop())
    }

    /// What the function's result means: the error of a `result` is the tool's failure.
    ///
    /// # Errors
    /// `tool.failed` with the function's own error.
    pub(super) fn answer(&self, returned: Option<Val>, redactor: &Redactor) -> Result<Output, Failure> {
        let (ty, value) = match (&self.tool.function.result, returned) {
            (Some(Type::Result(ok, _)), Some(Val::Result(Ok(value)))) => (ok.as_deref(), value.map(|value| *value)),
            (Some(Type::Result(_, err)), Some(Val::Result(Err(value)))) => {
                return Err(self.failed(err.as_deref(), value.map(|value| *value), redactor));
            }
            (ty, value) => (ty.as_ref(), value),
        };
        let (Some(ty), Some(value)) = (ty, value) else { return Ok(Output::text("done")) };
        let value = value::json(ty, value, redactor).ok_or_else(|| self.confused())?;
        let structured = if is_bare(ty) { value } else { json!({ RESULT: value }) };
        Ok(Output { structured: Some(structured), ..Output::default() })
    }

    fn failed(&self, ty: Option<&Type>, error: Option<Val>, redactor: &Redactor) -> Failure {
        let tool = &self.tool.definition.name;
        let (Some(ty), Some(error)) = (ty, error) else {
            return Failure::new(Code::ToolFailed, format!("`{tool}` failed and did not say why"));
        };
        match value::json(ty, error, redactor) {
            Some(Value::String(text)) => Failure::new(Code::ToolFailed, format!("`{tool}` failed: {text}")),
            Some(value) => Failure::new(Code::ToolFailed, format!("`{tool}` failed: {value}")),
            None => self.confused(),
        }
    }

    fn confused(&self) -> Failure {
        let message = format!("`{}` gave a value of another type than it says", self.tool.function.name);
        Failure::new(Code::PluginInvalid, message)
    }
}
