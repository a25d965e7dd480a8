//! Prompts and resources, as front ends ask for them. Each is a call through the gate: who may have it, the plugin's
//! grants and limits, redaction and the audit are those of tools.

use std::sync::Arc;

use serde_json::Value;

use bailiwick_core::call::{Call, Caller};
use bailiwick_core::context::{Completion, Conversation, Role, Subject, Visible, Wanted};
use bailiwick_core::outcome::{Code, Content, EmbeddedResource, Failure, Output};

use crate::channel::Channel;
use crate::host::Host;

impl Host {
    /// The prompts and resources `caller` may have, by name. They change when [`Host::watch`] says that the tools do.
    #[must_use]
    pub fn contexts(&self, caller: &Caller) -> Visible {
        self.snapshot().registry.contexts.visible(&caller.tools)
    }

    /// Fills in the prompt that `call` names as its tool, with a JSON object of texts as arguments.
    ///
    /// # Errors
    /// Why there is none; `tool.unknown` when there is no such prompt.
    pub async fn prompt(&self, call: Call, channel: Channel) -> Result<Conversation, Failure> {
        let wanted = Wanted::Prompt(call.tool.clone());
        let call = Call { tool: format!("prompt:{}", call.tool), ..call };
        let Output { content, structured, .. } = self.pass(wanted, call, channel).await.result?;
        let described = structured.unwrap_or_default();
        let roles = described["roles"].as_array().into_iter().flatten();
        let roles = roles.map(|role| role.as_str().and_then(Role::parse).unwrap_or(Role::User));
        let description = described["description"].as_str().map(str::to_owned);
        Ok(Conversation { description, messages: roles.zip(content).collect() })
    }

    /// The documents of the resource whose URI `call` names as its tool. Its arguments are not looked at.
    ///
    /// # Errors
    /// Why there are none; `tool.unknown` or `tool.not-found` when there is no such resource.
    pub async fn resource(&self, call: Call, channel: Channel) -> Result<Vec<EmbeddedResource>, Failure> {
        let wanted = Wanted::Resource(call.tool.clone());
        let call = Call { tool: format!("resource:{}", call.tool), arguments: String::new(), ..call };
        let output = self.pass(wanted, call, channel).await.result?;
        let document = |piece| match piece {
            Content::Resource(document) => Some(document),
            Content::Text(_) | Content::Image(_) | Content::Audio(_) | Content::Link(_) => None,
        };
        Ok(output.content.into_iter().filter_map(document).collect())
    }

    /// Values for an argument of a prompt or a place of a template. The call's own tool and arguments are not looked at.
    ///
    /// # Errors
    /// Why there are none; `tool.unknown` when there is no such prompt or template.
    pub async fn complete(
        &self,
        call: Call,
        subject: Subject,
        argument: &str,
        value: &str,
        known: Vec<(String, String)>,
    ) -> Result<Completion, Failure> {
        let (Subject::Prompt(name) | Subject::Template(name)) = &subject;
        let tool = format!("complete:{name}");
        let (argument, value) = (argument.to_owned(), value.to_owned());
        let call = Call { tool, arguments: String::new(), ..call };
        let wanted = Wanted::Completion { subject, argument, value, known };
        let output = self.pass(wanted, call, Channel::default()).await.result?;
        let said = output.structured.unwrap_or_default();
        let values = said["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let total = said["total"].as_u64().and_then(|total| u32::try_from(total).ok());
        Ok(Completion { values: values.map(str::to_owned).collect(), total, has_more: said["hasMore"] == true })
    }
}

/// Whether there is no such thing, for front ends that say so in a way of their own.
#[must_use]
pub fn is_unknown(failure: &Failure) -> bool {
    matches!(failure.code, Code::ToolUnknown | Code::ToolNotFound)
}

/// A call that asks for a prompt or a resource.
#[must_use]
pub fn call(host: &Host, caller: &Arc<Caller>, name: &str, arguments: String) -> Call {
    Call {
        id: host.new_call_id(),
        tool: name.to_owned(),
        arguments,
        caller: Arc::clone(caller),
        trace: None,
        session: None,
    }
}
