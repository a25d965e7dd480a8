//! May this call run? One function says so, and only it can make a [`Permitted`], which running a tool takes.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::aggregate;
use crate::approval::{self, Facts};
use crate::call::{Call, Caller, Selector};
use crate::config::Approval;
use crate::context::Wanted;
use crate::outcome::{Code, Failure};
use crate::redact::{Redactor, quotable};
use crate::registry::{Definition, Registry, Risk, Role, Tool};
use crate::schema::Arguments;

/// A call that policy has let through. Only [`permit`] and [`Question::approved`] make one.
#[derive(Debug)]
pub struct Permitted {
    tool: Arc<Tool>,
    call: Call,
    arguments: Arguments,
    wanted: Wanted,
}

impl Permitted {
    /// The tool to run.
    #[must_use]
    pub fn tool(&self) -> &Arc<Tool> {
        &self.tool
    }

    /// The call as it came in.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// What is called, as a person is told: a tool's name, or what a prompt or a resource is called in the audit.
    fn name(&self) -> String {
        match self.wanted {
            Wanted::Tool => self.tool.name.to_string(),
            Wanted::Prompt(_) | Wanted::Resource(_) | Wanted::Completion { .. } => {
                crate::redact::quotable(&self.call.tool, 200)
            }
        }
    }

    /// What of the plugin is wanted; prompts under the plugin's own names for them.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The arguments, completed and checked.
    #[must_use]
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }
}

/// A call that a person has to agree to first.
#[derive(Debug)]
pub struct Question(Permitted);

impl Question {
    /// What would run.
    #[must_use]
    pub fn pending(&self) -> &Permitted {
        &self.0
    }

    /// What the person is shown. `redactor` knows the plugin's secrets.
    #[must_use]
    pub fn facts(&self, redactor: &Redactor) -> Facts {
        let Permitted { tool, call, arguments, .. } = &self.0;
        let effective = &tool.effective;
        let why = match effective.approval {
            Approval::Always => format!("`approval = \"always\"` holds for it ({})", effective.grants.at),
            Approval::Auto | Approval::Never => "its plugin says that its risk is high".to_owned(),
        };
        let mut shown = crate::schema::parse(&arguments.text).unwrap_or(Value::Null);
        if let Value::Object(fields) = &mut shown {
            fields.retain(|name, _| !effective.inject.contains_key(name));
        }
        let facts = Facts {
            caller: call.caller.name.clone(),
            tool: self.0.name(),
            plugin: tool.plugin.to_string(),
            risk: tool.definition.risk,
            why,
            arguments: Value::Null,
            not_shown: 0,
            set_by_operator: effective.inject.keys().cloned().collect(),
            may: approval::in_words(&effective.grants),
        };
        facts.with_arguments(&shown, redactor)
    }

    /// What exactly is asked: another caller, tool, definition, component, right or argument is another question.
    /// `component` names the plugin's code.
    #[must_use]
    pub fn digest(&self, component: &str) -> QuestionDigest {
        let Permitted { tool, call, arguments, wanted } = &self.0;
        let Definition { name, title, description, input_schema, output_schema, annotations, risk } = &tool.definition;
        let definition = json!([name, title, description, input_schema, output_schema, annotations, risk]);
        // Of a resource and a completion this says all that is asked for.
        let wanted = format!("{wanted:?}");
        let tool_parts = json!([tool.plugin.to_string(), component, tool.grants_digest, definition, wanted]);
        let value = crate::schema::parse(&arguments.text).unwrap_or(Value::Null);
        QuestionDigest {
            caller: call.caller.name.clone(),
            tool: self.0.name(),
            definition: sha256(&tool_parts.to_string()),
            arguments: sha256(&sorted(value).to_string()),
        }
    }

    /// Puts other arguments in the place of the caller's. They are completed and checked as the caller's were.
    ///
    /// # Errors
    /// `arguments.invalid` or `arguments.too-large`; then the question is as it was.
    pub fn edit(&mut self, arguments: &str) -> Result<(), Failure> {
        self.0.arguments = self.0.tool.arguments.prepare(arguments)?;
        arguments.clone_into(&mut self.0.call.arguments);
        Ok(())
    }

    /// A person said yes.
    #[must_use]
    pub fn approved(self) -> Permitted {
        self.0
    }

    /// A person said no, perhaps with a reason.
    #[must_use]
    pub fn rejected(&self, reason: Option<&str>) -> Failure {
        let reason = reason.map(|reason| format!(" Reason: {}", crate::redact::visible(reason)));
        Failure::new(Code::DeniedApproval, format!("Tool call rejected by user.{}", reason.unwrap_or_default()))
    }

    /// Nobody answered in time.
    #[must_use]
    pub fn unanswered(&self) -> Failure {
        Failure::new(Code::DeniedApproval, "Tool call rejected by user. (approval timed out)")
    }

    /// Too many questions wait already.
    #[must_use]
    pub fn crowded(&self) -> Failure {
        let name = &self.0.tool.name;
        let message = format!("`{name}` needs a person's approval, and too many calls wait for one already");
        Failure::new(Code::LimitConcurrency, message).with_fix("try again once some of them are answered")
    }

    /// The host cannot write down that it asks; then it does not.
    #[must_use]
    pub fn unwritable(&self) -> Failure {
        let name = &self.0.tool.name;
        let message = format!("`{name}` needs a person's approval, and the host cannot write that down");
        Failure::new(Code::DeniedApproval, message).with_fix("the host's log says what is wrong with its database")
    }

    /// Nobody can be asked.
    #[must_use]
    pub fn unaskable(&self) -> Failure {
        let Permitted { tool, .. } = &self.0;
        let message = format!("`{}` needs a person's approval and this caller has no way to give it", tool.name);
        let grants = &tool.effective.grants;
        Failure::new(Code::DeniedApproval, message)
            .with_fix(format!("add `approval = \"never\"` under `[{}]` ({})", grants.table, grants.at))
    }
}

/// What exactly a person agreed to, for the next time that it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QuestionDigest {
    /// Who asked.
    pub caller: String,
    /// For which tool.
    pub tool: String,
    /// A digest of what the tool is and may reach.
    pub definition: String,
    /// A digest of the arguments, however they are written.
    pub arguments: String,
}

/// What policy says of a call.
#[derive(Debug)]
pub enum Verdict {
    /// It may run.
    Permitted(Box<Permitted>),
    /// It may run once a person agrees.
    Ask(Box<Question>),
    /// It may not.
    Denied {
        /// The tool, when the call names one this caller may know of.
        tool: Option<Arc<Tool>>,
        /// Why not.
        failure: Failure,
    },
}

impl Verdict {
    /// What would run.
    #[must_use]
    pub fn pending(&self) -> Option<&Permitted> {
        match self {
            Self::Permitted(permitted) => Some(permitted),
            Self::Ask(question) => Some(question.pending()),
            Self::Denied { .. } => None,
        }
    }
}

/// Judges `call`: may this caller run tools, is there such a tool, may it use it, do the arguments fit, does a person have
/// to agree?
#[must_use]
pub fn permit(registry: &Registry, call: Call) -> Verdict {
    permit_wanted(registry, Wanted::Tool, call)
}

/// Judges `call` for a tool or for anything else a plugin gives: prompts and resources are had under the same rules.
#[must_use]
pub fn permit_wanted(registry: &Registry, wanted: Wanted, call: Call) -> Verdict {
    if let Err(failure) = may_run(&call.caller) {
        return Verdict::Denied { tool: None, failure };
    }
    let call = match &wanted {
        Wanted::Tool => aggregate::redirected(registry, call),
        Wanted::Prompt(_) | Wanted::Resource(_) | Wanted::Completion { .. } => call,
    };
    let resolved = match &wanted {
        Wanted::Tool => resolve(registry, &call),
        Wanted::Prompt(_) | Wanted::Resource(_) | Wanted::Completion { .. } => {
            resolve_context(registry, &wanted, &call)
        }
    };
    let tool = match resolved {
        Ok(tool) => Arc::clone(tool),
        Err(failure) => return Verdict::Denied { tool: None, failure },
    };
    let runs = match tool.role {
        Role::Single | Role::Member => Ok(()),
        // It leads to others, and this call to none of them.
        Role::Aggregate => Err(aggregate::misled(registry, &tool, &call)),
    };
    let arguments = match runs.and_then(|()| tool.arguments.prepare(&call.arguments)) {
        Ok(arguments) => arguments,
        Err(failure) => return Verdict::Denied { tool: Some(tool), failure },
    };
    let ask = match tool.effective.approval {
        Approval::Always => true,
        Approval::Never => false,
        Approval::Auto => tool.definition.risk == Risk::High,
    };
    let wanted = registry.contexts.own(wanted);
    let permitted = Permitted { tool, call, arguments, wanted };
    if ask { Verdict::Ask(Box::new(Question(permitted))) } else { Verdict::Permitted(Box::new(permitted)) }
}

/// Whether `caller` may run tools at all. Which ones there are is not said to those who may not.
///
/// # Errors
/// `denied.execute`.
pub fn may_run(caller: &Caller) -> Result<(), Failure> {
    if caller.may.execute {
        return Ok(());
    }
    let failure = Failure::new(Code::DeniedExecute, format!("`{}` may not run tools", caller.name));
    Err(match &caller.policy {
        Some(policy) => failure.with_fix(format!("set `execute = true` under `[policies.{policy}]`")),
        None => failure.with_fix("make it another key with `bailiwick keys create NAME --execute`"),
    })
}

/// Whether `caller` may make, change and remove tools.
///
/// # Errors
/// `denied.manage`.
pub fn may_manage(caller: &Caller) -> Result<(), Failure> {
    if caller.may.manage {
        return Ok(());
    }
    let failure = Failure::new(Code::DeniedManage, format!("`{}` may not manage tools", caller.name));
    Err(match &caller.policy {
        Some(policy) => failure.with_fix(format!("set `manage = true` under `[policies.{policy}]`")),
        None => failure.with_fix("make its key with a policy that has `manage = true`"),
    })
}

/// What runs for a prompt or a resource, if the caller may have its plugin's.
fn resolve_context<'r>(registry: &'r Registry, wanted: &Wanted, call: &Call) -> Result<&'r Arc<Tool>, Failure> {
    let tool = registry.contexts.resolve(wanted)?;
    let (plugin, at) = (&tool.plugin, &tool.effective.grants.at);
    if !tool.effective.allowed {
        let message = format!("the prompts and resources of `{plugin}` are switched off in the configuration");
        let fix = format!("set `allow = true` under `[plugins.{plugin}.tools.\"*\"]` ({at})");
        return Err(Failure::new(Code::DeniedTool, message).with_fix(fix));
    }
    if !call.caller.tools.has_context(plugin) {
        let message =
            format!("the prompts and resources of `{plugin}` are not among what `{}` may use", call.caller.name);
        let failure = Failure::new(Code::DeniedTool, message);
        return Err(match &call.caller.policy {
            Some(policy) => failure.with_fix(format!("add `context:{plugin}` to `tools` under `[policies.{policy}]`")),
            None => failure,
        });
    }
    Ok(tool)
}

/// There is no such tool; which of those the selector has in it may have been meant.
#[must_use]
pub fn unknown(registry: &Registry, name: &str, selector: &Selector) -> Failure {
    let failure = Failure::new(Code::ToolUnknown, format!("Tool '{}' not found", quotable(name, 80)));
    match registry.closest(name, selector) {
        Some(known) => failure.with_fix(format!("did you mean `{known}`?")),
        None => failure,
    }
}

/// The tool a call names, if its caller may use it.
fn resolve<'r>(registry: &'r Registry, call: &Call) -> Result<&'r Arc<Tool>, Failure> {
    let selector = &call.caller.tools;
    let Some((name, tool)) = registry.resolve(&call.tool) else {
        if let Some(failure) = registry.held(&call.tool, selector) {
            return Err(failure.clone());
        }
        return Err(unknown(registry, &call.tool, selector));
    };
    if !tool.effective.allowed {
        let (plugin, own, at) = (&tool.plugin, &tool.definition.name, &tool.effective.grants.at);
        return Err(Failure::new(Code::DeniedTool, format!("`{name}` is switched off in the configuration"))
            .with_fix(format!("set `allow = true` under `[plugins.{plugin}.tools.{own}]` ({at})")));
    }
    if !registry.selects(selector, name, tool) {
        let message = format!("`{name}` is not among the tools `{}` may use", call.caller.name);
        let failure = Failure::new(Code::DeniedTool, message);
        return Err(match &call.caller.policy {
            Some(policy) => failure.with_fix(format!("add it to `tools` under `[policies.{policy}]`")),
            None => failure,
        });
    }
    Ok(tool)
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The same value with the fields of its objects in the order of their names.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> =
                fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(fields.into_iter().collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
