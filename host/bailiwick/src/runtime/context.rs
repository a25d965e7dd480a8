//! Prompts and resources of a component: what it publishes, and one answer. An answer goes through the gate as an
//! [`Output`], as every result does: the pieces of a prompt with who says them beside, a resource's documents, the values
//! of a completion. [`crate::contexts`] reads them back when they are sealed.

use serde_json::json;
use wasmtime::Store;

use bailiwick_core::context::{Catalogue, Family, Prompt, PromptArgument, Subject, Wanted};
use bailiwick_core::outcome::{Content, Output};
use bailiwick_core::policy::Permitted;

use super::bindings::exports::bailiwick::tool::{context, tool};
use super::call;
use super::state::State;

/// Values of a completion that reach the caller.
const MAX_VALUES: usize = 100;

/// What the component offers, as it says.
pub(super) fn catalogue(catalogue: context::Catalogue) -> Catalogue {
    let argument = |argument: context::PromptArgument| {
        let context::PromptArgument { name, title, description, required } = argument;
        PromptArgument { name, title, description, required }
    };
    let prompt = |prompt: context::Prompt| {
        let context::Prompt { name, title, description, arguments } = prompt;
        Prompt { name, title, description, arguments: arguments.into_iter().map(argument).collect() }
    };
    let family = |template: context::ResourceTemplate| {
        let context::ResourceTemplate { uri_template, name, title, description, mime_type } = template;
        Family { uri_template, name, title, description, mime_type }
    };
    Catalogue {
        prompts: catalogue.prompts.into_iter().map(prompt).collect(),
        resources: catalogue.resources.into_iter().map(call::link).collect(),
        templates: catalogue.templates.into_iter().map(family).collect(),
    }
}

/// Asks the component for what is wanted.
///
/// # Errors
/// When it breaks off; what it says itself is in the answer.
pub(super) async fn answer(
    guest: &context::Guest,
    store: &mut Store<State>,
    permitted: &Permitted,
) -> wasmtime::Result<Result<Output, tool::Failure>> {
    match permitted.wanted() {
        Wanted::Prompt(name) => {
            let arguments = texts(&permitted.arguments().text);
            let said = guest.call_get_prompt(store, name, &arguments).await?;
            Ok(said.map(conversation))
        }
        Wanted::Resource(uri) => match guest.call_read_resource(store, uri).await? {
            Ok(documents) if documents.is_empty() => Ok(Err(tool::Failure::NotFound(format!("`{uri}` is not there.")))),
            Ok(documents) => {
                let content =
                    documents.into_iter().map(|document| Content::Resource(call::embedded(document))).collect();
                Ok(Ok(Output { content, ..Output::default() }))
            }
            Err(failure) => Ok(Err(failure)),
        },
        Wanted::Completion { subject, argument, value, known } => {
            let subject = match subject {
                Subject::Prompt(name) => context::Subject::Prompt(name.clone()),
                Subject::Template(text) => context::Subject::Template(text.clone()),
            };
            let said = guest.call_complete(store, &subject, argument, value, known).await?;
            Ok(said.map(completion))
        }
        // A tool is called by `call`.
        Wanted::Tool => Ok(Err(tool::Failure::Failed("a tool is no prompt or resource".to_owned()))),
    }
}

fn conversation(conversation: context::Conversation) -> Output {
    let role = |role| match role {
        context::Role::User => "user",
        context::Role::Assistant => "assistant",
    };
    let roles: Vec<&str> = conversation.messages.iter().map(|message| role(message.role)).collect();
    let structured = json!({"description": conversation.description, "roles": roles});
    let content = conversation.messages.into_iter().map(|message| call::content(message.content)).collect();
    Output { content, structured: Some(structured), ..Output::default() }
}

fn completion(completion: context::Completion) -> Output {
    let context::Completion { mut values, total, has_more } = completion;
    let has_more = has_more || values.len() > MAX_VALUES;
    values.truncate(MAX_VALUES);
    let structured = json!({"values": values, "total": total, "hasMore": has_more});
    Output { structured: Some(structured), ..Output::default() }
}

/// The fields of a JSON object that are texts; the prompt's schema allows no others.
fn texts(arguments: &str) -> Vec<(String, String)> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(arguments).unwrap_or_default();
    let text = |(name, value): (String, serde_json::Value)| Some((name, value.as_str()?.to_owned()));
    fields.into_iter().filter_map(text).collect()
}
