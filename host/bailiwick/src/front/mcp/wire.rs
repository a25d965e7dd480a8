//! Tools and outcomes in MCP's shapes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rmcp::ErrorData;
use rmcp::model::{
    self, CacheScope, CallToolResult, ContentBlock, JsonObject, ListToolsResult, MetaObject, ResourceContents,
    ToolAnnotations,
};
use serde_json::{Value, json};

use bailiwick_core::name::ToolName;
use bailiwick_core::outcome::{Code, Content, EmbeddedResource, Failure, Outcome, Output, ResourceBody, ResourceLink};
use bailiwick_core::registry::{Annotations, Tool};

/// Tools on one page of a list.
const PAGE: usize = 200;
/// Where a result says what was refused on the way.
const DENIALS: &str = "bailiwick/denials";

/// The page of `tools`, which are in name order, after `cursor`.
///
/// # Errors
/// When the cursor is none of ours.
pub(super) fn page(
    tools: &[(ToolName, Arc<Tool>)],
    cursor: Option<&str>,
    stateless: bool,
) -> Result<ListToolsResult, ErrorData> {
    let start = match cursor {
        Some(cursor) => {
            let last = after(cursor).ok_or_else(|| ErrorData::invalid_params("the cursor is unknown", None))?;
            tools.partition_point(|(name, _)| *name <= last)
        }
        None => 0,
    };
    let page: Vec<_> = tools[start..].iter().take(PAGE).collect();
    let mut result = ListToolsResult::with_all_items(page.iter().map(|(name, tool)| definition(name, tool, stateless)).collect());
    result.next_cursor = page.last().filter(|_| start + page.len() < tools.len()).map(|(name, _)| cursor_of(name));
    // A reload changes the list at any time, and a client that was not told must not keep the old one.
    result.ttl_ms = Some(0);
    result.cache_scope = Some(CacheScope::Private);
    Ok(result)
}

/// A cursor is the last name before it, so that it stays good when tools come and go.
fn cursor_of(name: &ToolName) -> String {
    URL_SAFE_NO_PAD.encode(AsRef::<str>::as_ref(name))
}

fn after(cursor: &str) -> Option<ToolName> {
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    ToolName::parse(&name).ok()
}

fn definition(name: &ToolName, tool: &Tool, stateless: bool) -> model::Tool {
    let mut definition = model::Tool::new(name.to_string(), tool.description(), Arc::new(object(tool.arguments.visible())));
    definition.title.clone_from(&tool.definition.title);
    definition.output_schema = tool.output_schema.as_ref().filter(|schema| stateless || schema["type"] == "object").map(object).map(Arc::new);
    let Annotations { read_only, destructive, idempotent, open_world } = tool.annotations;
    definition.annotations = Some(ToolAnnotations::from_raw(None, read_only, destructive, idempotent, open_world));
    definition
}

fn object(schema: &Value) -> JsonObject {
    schema.as_object().cloned().unwrap_or_default()
}

/// The answer to a call: an unknown tool is the client's mistake, everything else is for the model to read.
///
/// # Errors
/// For an unknown tool.
pub(super) fn answer(outcome: Outcome, stateless: bool) -> Result<CallToolResult, ErrorData> {
    let mut result = match outcome.result {
        Ok(output) => success(output, stateless),
        Err(failure) if failure.code == Code::ToolUnknown => return Err(ErrorData::invalid_params(failure.to_string(), None)),
        Err(failure) => CallToolResult::error(vec![ContentBlock::text(explain(&failure, &outcome.denials))]),
    };
    if !outcome.denials.is_empty() {
        let denials = outcome.denials.iter().map(|denial| json!({"code": denial.code, "message": denial.message}));
        result.meta.get_or_insert_with(MetaObject::new).insert(DENIALS.to_owned(), denials.collect());
    }
    Ok(result)
}

/// What happened, what to change, the code; then what else was refused, a line each.
fn explain(failure: &Failure, denials: &[Failure]) -> String {
    let line = |failure: &Failure| format!("{failure} [{}]", failure.code);
    let others = denials.iter().filter(|denial| *denial != failure).map(line);
    std::iter::once(line(failure)).chain(others).collect::<Vec<_>>().join("\n")
}

fn success(output: Output, stateless: bool) -> CallToolResult {
    let mut content: Vec<ContentBlock> = output.content.into_iter().map(block).collect();
    // Before 2026-07-28 structured content was an object, and clients refuse anything else.
    let structured = output.structured.filter(|value| {
        let fits = stateless || value.is_object();
        if content.is_empty() || !fits {
            content.push(ContentBlock::text(value.to_string()));
        }
        fits
    });
    let mut result = CallToolResult::success(content);
    result.structured_content = structured;
    result
}

fn block(content: Content) -> ContentBlock {
    match content {
        Content::Text(text) => ContentBlock::text(text),
        Content::Image(media) => ContentBlock::image(STANDARD.encode(media.data), media.mime_type),
        Content::Audio(media) => ContentBlock::audio(STANDARD.encode(media.data), media.mime_type),
        Content::Resource(EmbeddedResource { uri, mime_type, body }) => ContentBlock::resource(contents(uri, mime_type, body)),
        Content::Link(link) => ContentBlock::resource_link(resource(link)),
    }
}

/// A document given whole.
pub(super) fn contents(uri: String, mime_type: Option<String>, body: ResourceBody) -> ResourceContents {
    match body {
        ResourceBody::Text(text) => ResourceContents::TextResourceContents { uri, mime_type, text, meta: None },
        ResourceBody::Blob(blob) => {
            ResourceContents::BlobResourceContents { uri, mime_type, blob: STANDARD.encode(blob), meta: None }
        }
    }
}

/// A document named.
pub(super) fn resource(link: ResourceLink) -> model::Resource {
    let ResourceLink { uri, name, title, description, mime_type, size } = link;
    let mut resource = model::Resource::new(uri, name);
    resource.title = title;
    resource.description = description;
    resource.mime_type = mime_type;
    resource.size = size;
    resource
}
