//! What came of calls, in the messages a provider's model reads next.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Format;
use super::calls::Asked;
use crate::outcome::{Code, Content, EmbeddedResource, Failure, Media, Outcome, Output, ResourceBody, ResourceLink};

/// The messages that go on from `answers`, each the call and what came of it, in the order of the calls.
///
/// Where a provider takes images beside a text, they go with it. OpenAI's chat takes texts alone from a tool, so its
/// images follow in one message of their own.
#[must_use]
pub fn messages(format: Format, answers: &[(Asked, Outcome)]) -> Vec<Value> {
    match format {
        Format::OpenAi | Format::Flat | Format::Mcp => chat(answers),
        Format::OpenAiResponses => answers.iter().map(|(asked, outcome)| response(asked, outcome)).collect(),
        Format::Anthropic => {
            let content: Vec<Value> = answers.iter().map(|(asked, outcome)| anthropic(asked, outcome)).collect();
            vec![json!({"role": "user", "content": content})]
        }
        Format::Gemini => {
            let parts: Vec<Value> = answers.iter().map(|(asked, outcome)| gemini(asked, outcome)).collect();
            vec![json!({"role": "user", "parts": parts})]
        }
    }
}

/// An outcome as text alone: what the tool said, or `Error: ` and why it said nothing.
#[must_use]
pub fn text(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(output) => joined(&pieces(output), &|_| false),
        Err(failure) => failed(failure, &outcome.denials),
    }
}

/// Why there is no result, in a sentence for a model; then what else was refused on the way, a line each.
#[must_use]
pub fn failed(failure: &Failure, denials: &[Failure]) -> String {
    // What a person decided is told as it is.
    if failure.code == Code::DeniedApproval {
        return failure.to_string();
    }
    let line = |failure: &Failure| format!("{failure} [{}]", failure.code);
    let others = denials.iter().filter(|denial| *denial != failure).map(line);
    let first = format!("Error: {}", line(failure));
    std::iter::once(first).chain(others).collect::<Vec<_>>().join("\n")
}

/// One piece of a result.
enum Piece<'o> {
    Text(Cow<'o, str>),
    Media(Cow<'o, Media>),
}

fn pieces(output: &Output) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = output.content.iter().map(piece).collect();
    // What a tool says in words and as JSON is told once, and what it says as JSON alone is told too.
    let worded = pieces.iter().any(|piece| matches!(piece, Piece::Text(_)));
    if let (false, Some(structured)) = (worded, &output.structured) {
        pieces.insert(0, Piece::Text(structured.to_string().into()));
    }
    pieces
}

fn piece(content: &Content) -> Piece<'_> {
    match content {
        Content::Text(text) => Piece::Text(text.into()),
        Content::Image(media) | Content::Audio(media) => Piece::Media(Cow::Borrowed(media)),
        Content::Resource(EmbeddedResource { body: ResourceBody::Text(text), .. }) => Piece::Text(text.into()),
        Content::Resource(EmbeddedResource { body: ResourceBody::Blob(data), mime_type, .. }) => {
            let mime_type = mime_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
            Piece::Media(Cow::Owned(Media { data: data.clone(), mime_type }))
        }
        Content::Link(ResourceLink { uri, description, .. }) => {
            let about = description.as_ref().map(|about| format!(": {about}")).unwrap_or_default();
            Piece::Text(format!("[resource {uri}{about}]").into())
        }
    }
}

/// All pieces as text; of those that `shown` says go elsewhere, nothing.
fn joined(pieces: &[Piece<'_>], shown: &dyn Fn(&Media) -> bool) -> String {
    let texts: Vec<Cow<'_, str>> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Text(text) => Some(Cow::Borrowed(&**text)),
            Piece::Media(media) if shown(media) => None,
            Piece::Media(media) => Some(unshown(media).into()),
        })
        .collect();
    texts.join("\n")
}

/// Stands for what a provider has no place for.
fn unshown(media: &Media) -> String {
    format!("[{} bytes of {}, which cannot be shown here]", media.data.len(), media.mime_type)
}

fn data_url(media: &Media) -> String {
    format!("data:{};base64,{}", media.mime_type, STANDARD.encode(&media.data))
}

/// What all of them look at.
fn is_picture(media: &Media) -> bool {
    ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&media.mime_type.as_str())
}

fn is_document(media: &Media) -> bool {
    media.mime_type == "application/pdf"
}

fn chat(answers: &[(Asked, Outcome)]) -> Vec<Value> {
    let mut messages = Vec::with_capacity(answers.len() + 1);
    let mut pictures = Vec::new();
    for (asked, outcome) in answers {
        let content = match &outcome.result {
            Ok(output) => {
                let pieces = pieces(output);
                let mut lines = vec![joined(&pieces, &is_picture)];
                for piece in &pieces {
                    let Piece::Media(media) = piece else { continue };
                    if is_picture(media) {
                        let number = pictures.len() / 2 + 1;
                        lines.push(format!("[image {number}, in the message after the results]"));
                        let id = asked.id.as_deref().unwrap_or_default();
                        pictures.push(json!({"type": "text", "text": format!("Image {number}, from `{id}`:")}));
                        pictures.push(json!({"type": "image_url", "image_url": {"url": data_url(media)}}));
                    }
                }
                lines.retain(|line| !line.is_empty());
                lines.join("\n")
            }
            Err(failure) => failed(failure, &outcome.denials),
        };
        messages.push(json!({"role": "tool", "tool_call_id": asked.id, "content": content}));
    }
    if !pictures.is_empty() {
        messages.push(json!({"role": "user", "content": pictures}));
    }
    messages
}

fn response(asked: &Asked, outcome: &Outcome) -> Value {
    let output: Value = match &outcome.result {
        Ok(output) => {
            let pieces = pieces(output);
            if pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Media(media) if is_picture(media) || is_document(media)))
            {
                pieces.iter().map(response_part).collect()
            } else {
                joined(&pieces, &|_| false).into()
            }
        }
        Err(failure) => failed(failure, &outcome.denials).into(),
    };
    json!({"type": "function_call_output", "call_id": asked.id, "output": output})
}

fn response_part(piece: &Piece<'_>) -> Value {
    match piece {
        Piece::Text(text) => json!({"type": "input_text", "text": text}),
        Piece::Media(media) if is_picture(media) => json!({"type": "input_image", "image_url": data_url(media)}),
        Piece::Media(media) if is_document(media) => {
            json!({"type": "input_file", "filename": "document.pdf", "file_data": data_url(media)})
        }
        Piece::Media(media) => json!({"type": "input_text", "text": unshown(media)}),
    }
}

fn anthropic(asked: &Asked, outcome: &Outcome) -> Value {
    let content: Value = match &outcome.result {
        Ok(output) => {
            let pieces = pieces(output);
            match &pieces[..] {
                [] => "".into(),
                [Piece::Text(only)] => only.as_ref().into(),
                // An empty text among others is refused.
                several => several
                    .iter()
                    .filter(|piece| !matches!(piece, Piece::Text(text) if text.trim().is_empty()))
                    .map(block)
                    .collect(),
            }
        }
        Err(failure) => failed(failure, &outcome.denials).into(),
    };
    let mut result = json!({"type": "tool_result", "tool_use_id": asked.id, "content": content});
    if outcome.result.is_err() {
        result["is_error"] = true.into();
    }
    result
}

fn block(piece: &Piece<'_>) -> Value {
    let source =
        |media: &Media| json!({"type": "base64", "media_type": media.mime_type, "data": STANDARD.encode(&media.data)});
    match piece {
        Piece::Text(text) => json!({"type": "text", "text": text}),
        Piece::Media(media) if is_picture(media) => json!({"type": "image", "source": source(media)}),
        Piece::Media(media) if is_document(media) => json!({"type": "document", "source": source(media)}),
        Piece::Media(media) => json!({"type": "text", "text": unshown(media)}),
    }
}

fn gemini(asked: &Asked, outcome: &Outcome) -> Value {
    let mut answer = Map::new();
    if let Some(id) = &asked.id {
        answer.insert("id".to_owned(), id.as_str().into());
    }
    answer.insert("name".to_owned(), asked.name.as_str().into());
    match &outcome.result {
        Ok(output) => {
            let pieces = pieces(output);
            let text = || joined(&pieces, &|_| true).into();
            let value = output.structured.clone().unwrap_or_else(text);
            answer.insert("response".to_owned(), json!({ "output": value }));
            let parts: Vec<Value> = pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Text(_) => None,
                    Piece::Media(media) => Some(json!({"inlineData": {
                        "mimeType": media.mime_type, "data": STANDARD.encode(&media.data),
                    }})),
                })
                .collect();
            if !parts.is_empty() {
                answer.insert("parts".to_owned(), parts.into());
            }
        }
        Err(failure) => {
            answer.insert("response".to_owned(), json!({"error": failed(failure, &outcome.denials)}));
        }
    }
    json!({ "functionResponse": answer })
}
