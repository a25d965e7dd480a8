//! What a server says in MCP's words, in ours: what it gives, and what came of a call. All of it is read from JSON, so that
//! one thing that is odd takes nothing else with it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rmcp::ErrorData;
use rmcp::model::ErrorCode;
use serde_json::{Value, json};

use bailiwick_core::context::{Catalogue, Family, Prompt, PromptArgument, Role};
use bailiwick_core::outcome::{
    Code, Content, EmbeddedResource, Failure, Media, Note, Output, ResourceBody, ResourceLink,
};
use bailiwick_core::redact::{brief, quotable};
use bailiwick_core::registry::{Annotations, Definition, Risk};

use super::names::Names;

/// Values of a completion that reach the caller.
const MAX_VALUES: usize = 100;
/// The longest message of an error that is passed on.
const MAX_MESSAGE: usize = 4_000;
/// Base64 as it is found: with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The tools of a list, under names that are legal here. What has no name, or the name of one before it, is left out.
pub(super) fn tools(items: &[Value], names: &mut Names) -> Vec<Definition> {
    let mut seen = BTreeSet::new();
    let named = |item: &&Value| item["name"].as_str().is_some_and(|name| seen.insert(name.to_owned()));
    let items: Vec<&Value> = items.iter().filter(named).collect();
    names.of_tools(items.iter().filter_map(|item| item["name"].as_str()));
    items.into_iter().map(|item| tool(item, names)).collect()
}

fn tool(item: &Value, names: &Names) -> Definition {
    let said = &item["annotations"];
    let hint = |name: &str| said[name].as_bool();
    let destructive = hint("destructiveHint");
    let schema = |value: &Value| (!value.is_null()).then(|| value.to_string());
    Definition {
        name: names.legal_tool(item["name"].as_str().unwrap_or_default()),
        title: text(&item["title"]).or_else(|| text(&said["title"])),
        description: text(&item["description"]).unwrap_or_default(),
        input_schema: schema(&item["inputSchema"]).unwrap_or_else(|| r#"{"type":"object"}"#.to_owned()),
        output_schema: schema(&item["outputSchema"]),
        annotations: Annotations {
            read_only: hint("readOnlyHint"),
            destructive,
            idempotent: hint("idempotentHint"),
            open_world: hint("openWorldHint"),
        },
        // A hint of a stranger's makes a tool more dangerous, never less.
        risk: if destructive == Some(true) { Risk::High } else { Risk::Medium },
    }
}

/// The prompts, resources and templates of lists, and what is left out of them, a sentence each: one prompt that a caller
/// could not be offered is no reason to go without the others.
pub(super) fn catalogue(
    prompts: &[Value],
    resources: &[Value],
    templates: &[Value],
    names: &mut Names,
) -> (Catalogue, Vec<String>) {
    names.of_prompts(prompts.iter().filter_map(|item| item["name"].as_str()));
    let mut left_out = Vec::new();
    let mut catalogue = Catalogue::default();
    for item in prompts {
        let one = prompt(item, names);
        let alone = Catalogue { prompts: vec![one.clone()], ..Catalogue::default() };
        let known = catalogue.prompts.iter().any(|other| other.name == one.name);
        keep(&mut catalogue.prompts, one, &alone, known, &mut left_out);
    }
    for item in resources {
        let one = link(item);
        let alone = Catalogue { resources: vec![one.clone()], ..Catalogue::default() };
        let known = catalogue.resources.iter().any(|other| other.uri == one.uri);
        keep(&mut catalogue.resources, one, &alone, known, &mut left_out);
    }
    for item in templates {
        let one = family(item);
        let alone = Catalogue { templates: vec![one.clone()], ..Catalogue::default() };
        let known = catalogue.templates.iter().any(|other| other.uri_template == one.uri_template);
        keep(&mut catalogue.templates, one, &alone, known, &mut left_out);
    }
    (catalogue, left_out)
}

fn keep<T>(list: &mut Vec<T>, one: T, alone: &Catalogue, known: bool, left_out: &mut Vec<String>) {
    match alone.check() {
        Err(reason) => left_out.push(reason),
        Ok(()) if known => {}
        Ok(()) => list.push(one),
    }
}

fn prompt(item: &Value, names: &Names) -> Prompt {
    let argument = |argument: &Value| PromptArgument {
        name: text(&argument["name"]).unwrap_or_default(),
        title: text(&argument["title"]),
        description: text(&argument["description"]),
        required: argument["required"] == true,
    };
    Prompt {
        name: names.legal_prompt(item["name"].as_str().unwrap_or_default()),
        title: text(&item["title"]),
        description: text(&item["description"]).unwrap_or_default(),
        arguments: item["arguments"].as_array().into_iter().flatten().map(argument).collect(),
    }
}

fn family(item: &Value) -> Family {
    Family {
        uri_template: text(&item["uriTemplate"]).unwrap_or_default(),
        name: text(&item["name"]).unwrap_or_default(),
        title: text(&item["title"]),
        description: text(&item["description"]),
        mime_type: text(&item["mimeType"]),
    }
}

fn link(item: &Value) -> ResourceLink {
    ResourceLink {
        uri: text(&item["uri"]).unwrap_or_default(),
        name: text(&item["name"]).unwrap_or_default(),
        title: text(&item["title"]),
        description: text(&item["description"]),
        mime_type: text(&item["mimeType"]),
        size: item["size"].as_u64(),
    }
}

/// What came of a tool's call.
///
/// # Errors
/// What the server says went wrong, or that its answer is none.
pub(super) fn result(mut result: Value) -> Result<Output, Failure> {
    let mut notes = BTreeMap::new();
    let content = match taken(&mut result, "content") {
        Value::Array(items) => {
            let noted = |(place, item): (usize, &Value)| Some((place, note(&item["annotations"])?));
            notes = items.iter().enumerate().filter_map(noted).collect();
            Some(items.into_iter().map(content).collect::<Vec<_>>())
        }
        Value::Null => None,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Err(invalid("a result whose content is no list"));
        }
    };
    let structured = result.get_mut("structuredContent").map(Value::take);
    let failed = result["isError"] == true;
    if !result.is_object() || (content.is_none() && structured.is_none() && !failed) {
        return Err(invalid("a result with neither content nor structured content"));
    }
    let output = Output { content: content.unwrap_or_default(), structured, notes };
    if failed { Err(said(&output)) } else { Ok(output) }
}

/// A failure that the server tells as a result: its texts, and how much else there was.
fn said(output: &Output) -> Failure {
    let text = output.plain();
    let others = output.content.iter().filter(|piece| !matches!(piece, Content::Text(_))).count();
    let text = match (text.trim().is_empty(), &output.structured) {
        (false, _) => text,
        (true, Some(structured)) => structured.to_string(),
        (true, None) => "the tool failed and did not say why".to_owned(),
    };
    let more = match others {
        0 => String::new(),
        1 => " [and a piece that is no text]".to_owned(),
        more => format!(" [and {more} pieces that are no text]"),
    };
    Failure::new(Code::ToolFailed, text + &more)
}

/// What came of asking for a prompt.
///
/// # Errors
/// When the answer is none.
pub(super) fn conversation(mut result: Value) -> Result<Output, Failure> {
    let Value::Array(messages) = taken(&mut result, "messages") else {
        return Err(invalid("a prompt without messages"));
    };
    let role = |message: &Value| message["role"].as_str().and_then(Role::parse).unwrap_or(Role::User).as_str();
    let roles: Vec<&str> = messages.iter().map(role).collect();
    let structured = json!({"description": text(&result["description"]), "roles": roles});
    let content = messages.into_iter().map(|mut message| content(taken(&mut message, "content"))).collect();
    Ok(Output { content, structured: Some(structured), ..Output::default() })
}

/// What came of reading the resource `uri`.
///
/// # Errors
/// When there is nothing, or the answer is none.
pub(super) fn documents(mut result: Value, uri: &str) -> Result<Output, Failure> {
    let Value::Array(items) = taken(&mut result, "contents") else {
        return Err(invalid("a resource without contents"));
    };
    if items.is_empty() {
        return Err(missing(uri));
    }
    let content = items.into_iter().map(|item| embedded(item, Some(uri)).map(Content::Resource));
    let content =
        content.collect::<Option<Vec<_>>>().ok_or_else(|| invalid("a document with neither text nor data"))?;
    Ok(Output { content, ..Output::default() })
}

/// What came of asking for values.
pub(super) fn completion(result: &Value) -> Output {
    let said = &result["completion"];
    let values: Vec<&str> = said["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let has_more = said["hasMore"] == true || values.len() > MAX_VALUES;
    let values = &values[..values.len().min(MAX_VALUES)];
    let structured = json!({"values": values, "total": said["total"].as_u64(), "hasMore": has_more});
    Output { structured: Some(structured), ..Output::default() }
}

/// One piece of content. One of a kind that is not known, or that breaks its kind's rules, is its own JSON text.
fn content(mut item: Value) -> Content {
    let known = match item["type"].as_str() {
        Some("text") => text(&item["text"]).map(Content::Text),
        Some("image") => media(&item).map(Content::Image),
        Some("audio") => media(&item).map(Content::Audio),
        Some("resource") => embedded(item["resource"].clone(), None).map(Content::Resource),
        Some("resource_link") => Some(link(&item)).filter(|link| !link.uri.is_empty()).map(Content::Link),
        Some(_) | None => None,
    };
    known.unwrap_or_else(|| {
        // What is to be bytes and is not is of no use to a reader.
        if let Some(data) = item.get_mut("data").filter(|data| data.as_str().is_some_and(|data| data.len() > 100)) {
            *data = json!("[not base64]");
        }
        Content::Text(item.to_string())
    })
}

/// What a server says of a piece, if it says anything that can be passed on.
fn note(said: &Value) -> Option<Note> {
    /// Longer than any moment is written.
    const MAX_MOMENT: usize = 64;
    let audience = said["audience"].as_array().into_iter().flatten();
    let priority = said["priority"].as_f64().filter(|priority| (0.0..=1.0).contains(priority));
    #[expect(clippy::cast_possible_truncation, reason = "a hint between 0 and 1")]
    let note = Note {
        audience: audience.filter_map(|role| Role::parse(role.as_str()?)).take(2).collect(),
        priority: priority.map(|priority| priority as f32),
        last_modified: text(&said["lastModified"]).filter(|moment| moment.len() <= MAX_MOMENT && moment.is_ascii()),
    };
    (note != Note::default()).then_some(note)
}

fn media(item: &Value) -> Option<Media> {
    let data = bytes(item["data"].as_str()?)?;
    Some(Media { data, mime_type: text(&item["mimeType"]).unwrap_or_else(|| "application/octet-stream".to_owned()) })
}

fn embedded(mut item: Value, asked: Option<&str>) -> Option<EmbeddedResource> {
    let body = match (taken(&mut item, "text"), item["blob"].as_str()) {
        (Value::String(text), _) => ResourceBody::Text(text),
        (_, Some(blob)) => ResourceBody::Blob(bytes(blob)?),
        (_, None) => return None,
    };
    let uri = text(&item["uri"]).or_else(|| asked.map(str::to_owned))?;
    Some(EmbeddedResource { uri, mime_type: text(&item["mimeType"]), body })
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok().or_else(|| {
        let compact: String = text.split_ascii_whitespace().collect();
        BASE64.decode(compact).ok()
    })
}

/// A field, taken out of whatever `value` is; null where there is none.
pub(super) fn taken(value: &mut Value, field: &str) -> Value {
    value.get_mut(field).map(Value::take).unwrap_or_default()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    Tool,
    Prompt,
    Resource(&'a str),
    Completion,
}

/// An error of the protocol, as a failure of what was `asked`.
pub(super) fn refusal(error: &ErrorData, asked: Asked<'_>) -> Failure {
    let message = brief(&error.message, MAX_MESSAGE);
    let message =
        if message.is_empty() { format!("the server refused it with error {}", error.code.0) } else { message };
    if error.code == ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY {
        let required = error.data.as_ref().map(|data| &data["requiredCapabilities"]).unwrap_or(&Value::Null);
        let lacks = [
            ("elicitation", Code::CallerNoInput),
            ("sampling", Code::CallerNoSampling),
            ("roots", Code::CallerNoRoots),
        ];
        let code = lacks.into_iter().find(|(name, _)| required.get(name).is_some()).map_or(Code::ToolFailed, |of| of.1);
        return Failure::new(code, message);
    }
    let code = match (error.code, asked) {
        (ErrorCode::RESOURCE_NOT_FOUND | ErrorCode::INVALID_PARAMS, Asked::Resource(uri)) => {
            return Failure { message: format!("{} ({message})", missing(uri).message), ..missing(uri) };
        }
        (ErrorCode::INVALID_PARAMS, Asked::Tool | Asked::Prompt | Asked::Completion) => Code::ArgumentsInvalid,
        (ErrorCode::METHOD_NOT_FOUND, _) => Code::PluginInvalid,
        (_, _) => Code::ToolFailed,
    };
    Failure::new(code, message)
}

fn missing(uri: &str) -> Failure {
    Failure::new(Code::ToolNotFound, format!("`{}` is not there.", quotable(uri, 200)))
}

fn invalid(what: &str) -> Failure {
    Failure::new(Code::PluginInvalid, format!("the server answered with {what}"))
}

#[cfg(test)]
#[path = "translate_tests.rs"]
mod tests;
