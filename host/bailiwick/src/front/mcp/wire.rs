//! Tools and outcomes in MCP's shapes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rmcp::model::{
    self, CallToolResult, ContentBlock, ErrorCode, JsonObject, ListToolsResult, LoggingLevel, MetaObject,
    ProtocolVersion, ResourceContents, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};
use tracing::Level;

use bailiwick_core::context::Role;
use bailiwick_core::name::ToolName;
use bailiwick_core::outcome::{
    Code, Content, EmbeddedResource, Failure, Media, Note, Outcome, Output, ResourceBody, ResourceLink,
};
use bailiwick_core::registry::{Annotations, Tool};

/// Tools on one page of a list.
const PAGE: usize = 200;
/// Where a result says what was refused on the way.
const DENIALS: &str = "bailiwick/denials";

/// What a client's protocol version has words for. Clients refuse a whole result for one kind they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vocabulary {
    /// 2026-07-28: no sessions, and structured content of any type.
    pub(super) stateless: bool,
    /// 2025-06-18: links among content.
    links: bool,
    /// 2025-03-26: audio.
    audio: bool,
}

impl Vocabulary {
    /// All there is.
    pub(super) const NEWEST: Self = Self { stateless: true, links: true, audio: true };

    /// What the request says it speaks, or its session agreed on.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Self {
        Self::since(context.protocol_version().as_ref())
    }

    /// What a client of this version has; of none, what there always was.
    pub(super) fn since(version: Option<&ProtocolVersion>) -> Self {
        let at_least = |first: &ProtocolVersion| version.is_some_and(|version| version.as_str() >= first.as_str());
        Self {
            stateless: at_least(&ProtocolVersion::V_2026_07_28),
            links: at_least(&ProtocolVersion::V_2025_06_18),
            audio: at_least(&ProtocolVersion::V_2025_03_26),
        }
    }
}

/// The page of `tools`, which are in name order, after `cursor`. It carries no hint on caching: where the protocol wants
/// one, rmcp says that it is stale at once and private, which is right, since a reload changes the list at any time.
///
/// # Errors
/// When the cursor is none of ours.
pub(super) fn page(
    tools: &[(ToolName, Arc<Tool>)],
    cursor: Option<&str>,
    vocabulary: Vocabulary,
) -> Result<ListToolsResult, ErrorData> {
    let (page, next_cursor) = slice(tools, cursor, |(name, _)| name.as_ref())?;
    let mut result =
        ListToolsResult::with_all_items(page.iter().map(|(name, tool)| definition(name, tool, vocabulary)).collect());
    result.next_cursor = next_cursor;
    Ok(result)
}

/// The page of a list, which is in the order of its items' names, after `cursor`, and the cursor of the next one.
///
/// # Errors
/// When the cursor is none of ours.
pub(super) fn slice<'i, T>(
    items: &'i [T],
    cursor: Option<&str>,
    name: impl Fn(&T) -> &str,
) -> Result<(&'i [T], Option<String>), ErrorData> {
    let start = match cursor {
        Some(cursor) => {
            let last = after(cursor).ok_or_else(|| ErrorData::invalid_params("the cursor is unknown", None))?;
            items.partition_point(|item| name(item) <= last.as_str())
        }
        None => 0,
    };
    let end = items.len().min(start + PAGE);
    let next = (end < items.len()).then(|| cursor_of(name(&items[end - 1])));
    Ok((&items[start..end], next))
}

/// A cursor is the last name before it, so that it stays good when things come and go.
fn cursor_of(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn after(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

pub(super) fn definition(name: &ToolName, tool: &Tool, vocabulary: Vocabulary) -> model::Tool {
    let mut definition =
        model::Tool::new(name.to_string(), tool.description(), Arc::new(object(tool.arguments.visible())));
    definition.title.clone_from(&tool.definition.title);
    let output_schema = tool.output_schema().filter(|schema| vocabulary.stateless || schema["type"] == "object");
    definition.output_schema = output_schema.map(object).map(Arc::new);
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
pub(super) fn answer(outcome: Outcome, vocabulary: Vocabulary) -> Result<CallToolResult, ErrorData> {
    let mut result = match outcome.result {
        Ok(output) => success(output, vocabulary),
        Err(failure) if failure.code == Code::ToolUnknown => {
            return Err(ErrorData::invalid_params(failure.to_string(), None));
        }
        Err(failure) if vocabulary.stateless && lacks(failure.code).is_some() => return Err(incapable(&failure)),
        Err(failure) => CallToolResult::error(vec![ContentBlock::text(explain(&failure, &outcome.denials))]),
    };
    if !outcome.denials.is_empty() {
        let denials = outcome.denials.iter().map(|denial| json!({"code": denial.code, "message": denial.message}));
        result.meta.get_or_insert_with(MetaObject::new).insert(DENIALS.to_owned(), denials.collect());
    }
    Ok(result)
}

/// The capability of a client that a failure names.
pub(super) fn lacks(code: Code) -> Option<&'static str> {
    let of =
        [(Code::CallerNoInput, "elicitation"), (Code::CallerNoSampling, "sampling"), (Code::CallerNoRoots, "roots")];
    of.into_iter().find(|(known, _)| *known == code).map(|(_, capability)| capability)
}

/// What a client is told that would have had to declare a capability.
pub(super) fn incapable(failure: &Failure) -> ErrorData {
    let required = lacks(failure.code).map(|capability| json!({"requiredCapabilities": {capability: {}}}));
    ErrorData::new(ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY, failure.to_string(), required)
}

/// What happened, what to change, the code; then what else was refused, a line each.
fn explain(failure: &Failure, denials: &[Failure]) -> String {
    let line = |failure: &Failure| format!("{failure} [{}]", failure.code);
    let others = denials.iter().filter(|denial| *denial != failure).map(line);
    std::iter::once(line(failure)).chain(others).collect::<Vec<_>>().join("\n")
}

fn success(output: Output, vocabulary: Vocabulary) -> CallToolResult {
    let mut notes = output.notes;
    let pieces = output.content.into_iter().enumerate();
    let mut content: Vec<ContentBlock> =
        pieces.map(|(place, piece)| noted(block(piece, vocabulary), notes.remove(&place))).collect();
    // Before 2026-07-28 structured content was an object, and clients refuse anything else.
    let structured = output.structured.filter(|value| {
        let fits = vocabulary.stateless || value.is_object();
        if content.is_empty() || !fits {
            content.push(ContentBlock::text(value.to_string()));
        }
        fits
    });
    let mut result = CallToolResult::success(content);
    result.structured_content = structured;
    result
}

/// A piece with what its server said of it.
fn noted(block: ContentBlock, note: Option<Note>) -> ContentBlock {
    let Some(Note { audience, priority, last_modified }) = note else { return block };
    let role = |role: &Role| match role {
        Role::User => model::Role::User,
        Role::Assistant => model::Role::Assistant,
    };
    let mut annotations = model::Annotations::default();
    annotations.audience = (!audience.is_empty()).then(|| audience.iter().map(role).collect());
    annotations.priority = priority;
    annotations.last_modified = last_modified;
    match block {
        ContentBlock::Text(text) => ContentBlock::Text(text.with_annotations(annotations)),
        ContentBlock::Image(image) => ContentBlock::Image(image.with_annotations(annotations)),
        ContentBlock::Audio(audio) => ContentBlock::Audio(audio.with_annotations(annotations)),
        ContentBlock::Resource(resource) => ContentBlock::Resource(resource.with_annotations(annotations)),
        ContentBlock::ResourceLink(link) => ContentBlock::ResourceLink(link.with_annotations(annotations)),
        other => other,
    }
}

pub(super) fn block(content: Content, vocabulary: Vocabulary) -> ContentBlock {
    match content {
        Content::Text(text) => ContentBlock::text(text),
        Content::Image(media) => ContentBlock::image(STANDARD.encode(media.data), media.mime_type),
        Content::Audio(media) if !vocabulary.audio => {
            let Media { data, mime_type } = media;
            ContentBlock::text(format!(
                "[{} bytes of {mime_type}, which your version of MCP has no place for]",
                data.len()
            ))
        }
        Content::Audio(media) => ContentBlock::audio(STANDARD.encode(media.data), media.mime_type),
        Content::Resource(EmbeddedResource { uri, mime_type, body }) => {
            ContentBlock::resource(contents(uri, mime_type, body))
        }
        Content::Link(link) if !vocabulary.links => {
            let about = link.description.map(|about| format!(": {about}")).unwrap_or_default();
            ContentBlock::text(format!("[resource {}{about}]", link.uri))
        }
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

/// How much a line of the log matters, for one who asks for lines of this level.
pub(super) fn level(asked: LoggingLevel) -> Level {
    match asked {
        LoggingLevel::Debug => Level::DEBUG,
        LoggingLevel::Info | LoggingLevel::Notice => Level::INFO,
        LoggingLevel::Warning => Level::WARN,
        LoggingLevel::Error | LoggingLevel::Critical | LoggingLevel::Alert | LoggingLevel::Emergency => Level::ERROR,
    }
}

/// What a line of this level is called.
pub(super) fn logging_level(level: Level) -> LoggingLevel {
    match level {
        Level::ERROR => LoggingLevel::Error,
        Level::WARN => LoggingLevel::Warning,
        Level::INFO => LoggingLevel::Info,
        Level::DEBUG | Level::TRACE => LoggingLevel::Debug,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(outcome: Outcome, version: &ProtocolVersion, expected: Value) {
        let seen = match answer(outcome, Vocabulary::since(Some(version))) {
            Ok(result) => serde_json::to_value(result).unwrap(),
            Err(error) => serde_json::to_value(error).unwrap(),
        };
        assert_eq!(seen, expected);
    }

    fn link() -> ResourceLink {
        ResourceLink { uri: "artifact://c/page.txt".to_owned(), name: "page.txt".to_owned(), ..ResourceLink::default() }
    }

    const NEW: ProtocolVersion = ProtocolVersion::V_2026_07_28;
    const OLD: ProtocolVersion = ProtocolVersion::V_2025_11_25;
    const OLDEST: ProtocolVersion = ProtocolVersion::V_2024_11_05;

    #[test]
    fn every_kind_of_content_has_its_own() {
        let media = || Media { data: vec![1, 2, 255], mime_type: "x/y".to_owned() };
        let resource = |body| EmbeddedResource { uri: "a:b".to_owned(), mime_type: None, body };
        let content = vec![
            Content::Text("t".to_owned()),
            Content::Image(media()),
            Content::Audio(media()),
            Content::Resource(resource(ResourceBody::Text("r".to_owned()))),
            Content::Resource(resource(ResourceBody::Blob(vec![0]))),
            Content::Link(link()),
        ];
        let mut expected = json!({"resultType": "complete", "content": [
            {"type": "text", "text": "t"},
            {"type": "image", "data": "AQL/", "mimeType": "x/y"},
            {"type": "audio", "data": "AQL/", "mimeType": "x/y"},
            {"type": "resource", "resource": {"uri": "a:b", "text": "r"}},
            {"type": "resource", "resource": {"uri": "a:b", "blob": "AA=="}},
            {"type": "resource_link", "uri": "artifact://c/page.txt", "name": "page.txt"},
        ], "isError": false});
        let outcome = Outcome::done(Output { content, ..Output::default() });
        check(outcome.clone(), &NEW, expected.clone());
        expected["content"][2] =
            json!({"type": "text", "text": "[3 bytes of x/y, which your version of MCP has no place for]"});
        expected["content"][5] = json!({"type": "text", "text": "[resource artifact://c/page.txt]"});
        check(outcome, &OLDEST, expected);
    }

    #[test]
    fn structured_content_alone_is_text_too() {
        let structured = |value| Outcome::done(Output { structured: Some(value), ..Output::default() });
        let text = |text| json!([{"type": "text", "text": text}]);
        let expected = json!({"resultType": "complete", "content": text("{\"a\":1}"), "structuredContent": {"a": 1}, "isError": false});
        check(structured(json!({"a": 1})), &OLD, expected);
        let expected =
            json!({"resultType": "complete", "content": text("[1]"), "structuredContent": [1], "isError": false});
        check(structured(json!([1])), &NEW, expected);
        let expected = json!({"resultType": "complete", "content": text("[1]"), "isError": false});
        check(structured(json!([1])), &OLD, expected);
    }

    #[test]
    fn a_failure_says_what_and_how_and_which_and_what_else() {
        let denied = Failure::new(Code::DeniedNetHost, "`p` may not reach `x`").with_fix("add `net = [\"x\"]`");
        let other = Failure::new(Code::DeniedFsRead, "`p` may not read `/y`");
        let denials = vec![denied.clone(), other];
        let listed = json!({"bailiwick/denials": [
            {"code": "denied.net.host", "message": "`p` may not reach `x`"},
            {"code": "denied.fs.read", "message": "`p` may not read `/y`"},
        ]});
        let text =
            "`p` may not reach `x`; add `net = [\"x\"]` [denied.net.host]\n`p` may not read `/y` [denied.fs.read]";
        let expected = json!({"resultType": "complete", "content": [{"type": "text", "text": text}], "isError": true, "_meta": listed});
        check(Outcome { result: Err(denied), denials: denials.clone() }, &NEW, expected);
        let expected = json!({"resultType": "complete", "content": [{"type": "text", "text": "went on"}], "isError": false, "_meta": listed});
        check(Outcome { result: Ok(Output::text("went on")), denials }, &NEW, expected);
    }

    #[test]
    fn only_an_unknown_tool_is_an_error_of_the_protocol() {
        let failure = Failure::new(Code::ToolUnknown, "Tool 'raed' not found").with_fix("did you mean `read`?");
        let expected = json!({"code": -32602, "message": "Tool 'raed' not found; did you mean `read`?"});
        check(Outcome::failed(failure), &OLD, expected);
    }

    #[test]
    fn a_cursor_reads_back_and_a_forged_one_does_not() {
        assert_eq!(after(&cursor_of("files__read")).as_deref(), Some("files__read"));
        assert_eq!(after("!"), None);
        assert_eq!(after(&URL_SAFE_NO_PAD.encode(b"\xff")), None);
    }
}
