//! What plugins give beside tools, in MCP's shapes: prompts, resources, templates of them, and values for their blanks.

use rmcp::ErrorData;
use rmcp::model::{
    self, CompleteRequestParams, CompleteResult, CompletionInfo, GetPromptResult, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, PromptMessage, ReadResourceResult, Reference, ResourceTemplate,
};
use serde_json::{Value, json};

use bailiwick_core::call::Call;
use bailiwick_core::context::{Completion, Conversation, Family, OfferedPrompt, Role, Subject};
use bailiwick_core::outcome::{EmbeddedResource, Failure, ResourceBody, ResourceLink};

use super::desk::Asker;
use super::wire::{self, Vocabulary};
use crate::code_mode::TYPES_URI;
use crate::contexts::is_unknown;
use crate::host::Host;

/// The media type of TypeScript.
const TYPESCRIPT: &str = "application/typescript";

/// The prompts of a page, and where the next one begins.
pub(super) fn prompts(host: &Host, asker: &Asker, cursor: Option<&str>) -> Result<ListPromptsResult, ErrorData> {
    let all = host.contexts(&asker.caller).prompts;
    let (page, next_cursor) = wire::slice(&all, cursor, |offered| offered.tool.name.as_ref())?;
    let mut result = ListPromptsResult::with_all_items(page.iter().map(prompt).collect());
    result.next_cursor = next_cursor;
    Ok(result)
}

fn prompt(offered: &OfferedPrompt) -> model::Prompt {
    let OfferedPrompt { tool, prompt } = offered;
    let arguments = prompt.arguments.iter().map(|argument| {
        let mut told = model::PromptArgument::new(argument.name.clone());
        told.title.clone_from(&argument.title);
        told.description.clone_from(&argument.description);
        told.required = Some(argument.required);
        told
    });
    let arguments = Some(arguments.collect::<Vec<_>>()).filter(|arguments| !arguments.is_empty());
    let mut told = model::Prompt::new(tool.name.to_string(), Some(prompt.description.clone()), arguments);
    told.title.clone_from(&prompt.title);
    told
}

/// The resources of a page: first the caller's own artifacts, then what plugins publish.
pub(super) fn resources(host: &Host, asker: &Asker, cursor: Option<&str>) -> Result<ListResourcesResult, ErrorData> {
    let published = host.contexts(&asker.caller).resources;
    let (page, next_cursor) = wire::slice(&published, cursor, |offered| offered.link.uri.as_str())?;
    let mut own = if cursor.is_none() { asker.desk.artifacts.list() } else { Vec::new() };
    if cursor.is_none() && host.has_code_mode(&asker.caller) {
        own.push(wire::resource(ResourceLink {
            uri: TYPES_URI.to_owned(),
            name: "code-mode-types".to_owned(),
            title: Some("Types of the tools that programs may call".to_owned()),
            description: None,
            mime_type: Some(TYPESCRIPT.to_owned()),
            size: None,
        }));
    }
    let page = page.iter().map(|offered| wire::resource(offered.link.clone()));
    let mut result = ListResourcesResult::with_all_items(own.into_iter().chain(page).collect());
    result.next_cursor = next_cursor;
    Ok(result)
}

/// The declarations of what programs may call, if that is what `uri` names and there are any.
pub(super) fn types(
    host: &Host,
    asker: &Asker,
    uri: &str,
    vocabulary: Vocabulary,
) -> Option<Result<ReadResourceResult, ErrorData>> {
    let types = (uri == TYPES_URI).then(|| host.code_mode_types(&asker.caller)).flatten()?;
    let document = EmbeddedResource {
        uri: uri.to_owned(),
        mime_type: Some(TYPESCRIPT.to_owned()),
        body: ResourceBody::Text(types),
    };
    Some(documents(Ok(vec![document]), uri, vocabulary))
}

/// The templates of a page.
pub(super) fn templates(
    host: &Host,
    asker: &Asker,
    cursor: Option<&str>,
) -> Result<ListResourceTemplatesResult, ErrorData> {
    let all = host.contexts(&asker.caller).families;
    let (page, next_cursor) = wire::slice(&all, cursor, |offered| offered.family.uri_template.as_str())?;
    let template = |family: &Family| {
        let mut told = ResourceTemplate::new(family.uri_template.clone(), family.name.clone());
        told.title.clone_from(&family.title);
        told.description.clone_from(&family.description);
        told.mime_type.clone_from(&family.mime_type);
        told
    };
    let templates = page.iter().map(|offered| template(&offered.family)).collect();
    let mut result = ListResourceTemplatesResult::with_all_items(templates);
    result.next_cursor = next_cursor;
    Ok(result)
}

/// A prompt that was filled in.
pub(super) fn conversation(
    made: Result<Conversation, Failure>,
    vocabulary: Vocabulary,
) -> Result<GetPromptResult, ErrorData> {
    let Conversation { description, messages } = made.map_err(|failure| match wire::lacks(failure.code) {
        Some(_) if vocabulary.stateless => wire::incapable(&failure),
        Some(_) | None => refused(&failure, &Value::Null),
    })?;
    let role = |role| match role {
        Role::User => model::Role::User,
        Role::Assistant => model::Role::Assistant,
    };
    let messages =
        messages.into_iter().map(|(from, piece)| PromptMessage::new(role(from), wire::block(piece, vocabulary)));
    let mut result = GetPromptResult::new(messages.collect());
    result.description = description;
    Ok(result)
}

/// The documents of a resource that was read.
pub(super) fn documents(
    read: Result<Vec<EmbeddedResource>, Failure>,
    uri: &str,
    vocabulary: Vocabulary,
) -> Result<ReadResourceResult, ErrorData> {
    let documents = read.map_err(|failure| {
        let about = json!({ "uri": uri });
        // Which code this has depends on the version.
        if is_unknown(&failure) && !vocabulary.stateless {
            return ErrorData::resource_not_found(failure.to_string(), Some(about));
        }
        refused(&failure, &about)
    })?;
    let contents =
        documents.into_iter().map(|EmbeddedResource { uri, mime_type, body }| wire::contents(uri, mime_type, body));
    Ok(ReadResourceResult::new(contents.collect()))
}

/// Values for a blank.
pub(super) async fn complete(
    host: &Host,
    call: Call,
    request: CompleteRequestParams,
) -> Result<CompleteResult, ErrorData> {
    let subject = match request.r#ref {
        Reference::Prompt(prompt) => Subject::Prompt(prompt.name),
        Reference::Resource(resource) => Subject::Template(resource.uri),
        _ => return Err(ErrorData::invalid_params("`ref` is neither a prompt nor a template", None)),
    };
    let known = request.context.and_then(|context| context.arguments).unwrap_or_default();
    let mut known: Vec<(String, String)> = known.into_iter().collect();
    known.sort();
    let found = host.complete(call, subject, &request.argument.name, &request.argument.value, known).await;
    let Completion { mut values, total, has_more } = found.map_err(|failure| refused(&failure, &Value::Null))?;
    values.truncate(CompletionInfo::MAX_VALUES);
    let info = CompletionInfo::with_pagination(values, total, has_more);
    info.map(CompleteResult::new).map_err(|error| ErrorData::internal_error(error, None))
}

/// What is wrong with a request for which there is no other way to fail.
fn refused(failure: &Failure, about: &Value) -> ErrorData {
    let mut about = about.clone();
    about["code"] = json!(failure.code);
    ErrorData::invalid_params(failure.to_string(), Some(about))
}
