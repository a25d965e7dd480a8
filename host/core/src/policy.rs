//! May this call run? One function says so, and only it can make a [`Permitted`], which running a tool takes.

use std::sync::Arc;

use crate::call::{Call, Caller};
use crate::config::Approval;
use crate::outcome::{Code, Failure};
use crate::registry::{Registry, Risk, Tool};
use crate::schema::Arguments;

/// A call that policy has let through. Only [`permit`] and [`Question::approved`] make one.
#[derive(Debug)]
pub struct Permitted {
    tool: Arc<Tool>,
    call: Call,
    arguments: Arguments,
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

    /// What to ask. Written by the host alone: a plugin's texts have no say in it. Arguments are shown without the
    /// spaces between them; where they are too long it is said how much is not shown.
    #[must_use]
    pub fn text(&self) -> String {
        const MOST: usize = 2_000;
        let Permitted { tool, call, .. } = &self.0;
        let compact = crate::schema::parse(&call.arguments).map(|arguments| arguments.to_string());
        let arguments = crate::redact::visible(compact.as_deref().unwrap_or(&call.arguments)).into_owned();
        let arguments = match arguments.char_indices().nth(MOST) {
            Some((end, _)) => {
                let hidden = arguments[end..].chars().count();
                format!("{} … and {hidden} more characters, which are not shown", &arguments[..end])
            }
            None => arguments,
        };
        format!(
            "`{}` wants to run the tool `{}` of plugin `{}` with {arguments}",
            call.caller.name, tool.name, tool.plugin
        )
    }

    /// A person said yes.
    #[must_use]
    pub fn approved(self) -> Permitted {
        self.0
    }

    /// A person said no.
    #[must_use]
    pub fn rejected(&self) -> Failure {
        Failure::new(Code::DeniedApproval, "Tool call rejected by user.")
    }

    /// Nobody answered in time.
    #[must_use]
    pub fn unanswered(&self) -> Failure {
        Failure::new(Code::DeniedApproval, "Tool call rejected by user. (approval timed out)")
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
    if let Err(failure) = may_run(&call.caller) {
        return Verdict::Denied { tool: None, failure };
    }
    let tool = match resolve(registry, &call) {
        Ok(tool) => Arc::clone(tool),
        Err(failure) => return Verdict::Denied { tool: None, failure },
    };
    let arguments = match tool.arguments.prepare(&call.arguments) {
        Ok(arguments) => arguments,
        Err(failure) => return Verdict::Denied { tool: Some(tool), failure },
    };
    let ask = match tool.effective.approval {
        Approval::Always => true,
        Approval::Never => false,
        Approval::Auto => tool.definition.risk == Risk::High,
    };
    let permitted = Permitted { tool, call, arguments };
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

/// The tool a call names, if its caller may use it.
fn resolve<'r>(registry: &'r Registry, call: &Call) -> Result<&'r Arc<Tool>, Failure> {
    let selector = &call.caller.tools;
    let Some((name, tool)) = registry.resolve(&call.tool) else {
        if let Some(failure) = registry.held(&call.tool, selector) {
            return Err(failure.clone());
        }
        let name: String = crate::redact::visible(&call.tool).chars().take(80).collect();
        let failure = Failure::new(Code::ToolUnknown, format!("Tool '{name}' not found"));
        return Err(match registry.closest(&call.tool, selector) {
            Some(known) => failure.with_fix(format!("did you mean `{known}`?")),
            None => failure,
        });
    };
    if !tool.effective.allowed {
        let (plugin, own, at) = (&tool.plugin, &tool.definition.name, &tool.effective.grants.at);
        return Err(Failure::new(Code::DeniedTool, format!("`{name}` is switched off in the configuration"))
            .with_fix(format!("set `allow = true` under `[plugins.{plugin}.tools.{own}]` ({at})")));
    }
    if !selector.contains(name) {
        let message = format!("`{name}` is not among the tools `{}` may use", call.caller.name);
        let failure = Failure::new(Code::DeniedTool, message);
        return Err(match &call.caller.policy {
            Some(policy) => failure.with_fix(format!("add it to `tools` under `[policies.{policy}]`")),
            None => failure,
        });
    }
    Ok(tool)
}
