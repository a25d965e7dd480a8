//! The last step of every call: nothing leaves with a secret or a hidden character in it, and nothing leaves larger than
//! its limit. What is too large is kept whole as an artifact; the caller sees its head and tail.

use serde_json::Value;

use bailiwick_core::context::Wanted;
use bailiwick_core::outcome::{Code, Content, Failure, Outcome, Output, ResourceBody, ResourceLink};
use bailiwick_core::policy::Permitted;
use bailiwick_core::redact::{Redactor, quotable};
use bailiwick_core::registry::Tool;

use crate::context::CallContext;

/// What a caller sees of a text that was kept: this much of its head, and half as much of its tail.
const HEAD: usize = 4_000;
const TAIL: usize = 2_000;
/// Longest message of a failure.
const MAX_MESSAGE: usize = 4_000;
/// Longest media type; RFC 6838 allows 127 characters on each side of the slash.
const MAX_MIME_TYPE: usize = 255;
/// Most pieces of a result: each that does not fit becomes a file.
const MAX_PIECES: usize = 1_000;

/// Makes the outcome of what the plugin gave.
pub(crate) async fn seal(result: Result<Output, Failure>, permitted: &Permitted, context: &CallContext) -> Outcome {
    let tool = permitted.tool();
    let redactor = context.redactor();
    let result = match result {
        Ok(mut output) => {
            redact(&mut output, redactor);
            let fits = output.size() <= context.effective.limits.output;
            match permitted.wanted() {
                _ if fits => Ok(output),
                Wanted::Tool => spill(output, tool, context).await,
                // In these there is no place for a link.
                Wanted::Prompt(_) | Wanted::Resource(_) | Wanted::Completion { .. } => {
                    Err(too_large(&permitted.call().tool, output.size(), "output", context))
                }
            }
        }
        Err(failure) => Err(clean(failure, redactor)),
    };
    let denials = context.ledger.denials().into_iter().map(|failure| clean(failure, redactor)).collect();
    Outcome { result, denials }
}

fn clean(failure: Failure, redactor: &Redactor) -> Failure {
    let cut = |text: &str| redactor.text(text).chars().take(MAX_MESSAGE).collect::<String>();
    Failure { code: failure.code, message: cut(&failure.message), fix: failure.fix.as_deref().map(cut) }
}

fn redact(output: &mut Output, redactor: &Redactor) {
    let clean = |text: &mut String| {
        if let std::borrow::Cow::Owned(clean) = redactor.text(text) {
            *text = clean;
        }
    };
    let clean_type = |mime_type: &mut String| {
        clean(mime_type);
        if let Some((end, _)) = mime_type.char_indices().nth(MAX_MIME_TYPE) {
            mime_type.truncate(end);
        }
    };
    for piece in &mut output.content {
        match piece {
            Content::Text(text) => clean(text),
            Content::Image(media) | Content::Audio(media) => {
                redactor.mask(&mut media.data);
                clean_type(&mut media.mime_type);
            }
            Content::Resource(resource) => {
                clean(&mut resource.uri);
                resource.mime_type.as_mut().map(clean_type);
                match &mut resource.body {
                    ResourceBody::Text(text) => clean(text),
                    ResourceBody::Blob(blob) => {
                        redactor.mask(blob);
                    }
                }
            }
            Content::Link(link) => {
                clean(&mut link.uri);
                clean(&mut link.name);
                link.title.as_mut().map(clean);
                link.description.as_mut().map(clean);
                link.mime_type.as_mut().map(clean_type);
            }
        }
    }
    if let Some(value) = &mut output.structured {
        redact_value(value, redactor);
    }
}

fn redact_value(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(clean) = redactor.text(text) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact_value(item, redactor)),
        Value::Object(fields) => {
            if fields.keys().any(|name| matches!(redactor.text(name), std::borrow::Cow::Owned(_))) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, field)| (redactor.text(&name).into_owned(), field))
                    .collect();
            }
            fields.values_mut().for_each(|field| redact_value(field, redactor));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Keeps what is too large and leaves previews and links in its place.
async fn spill(output: Output, tool: &Tool, context: &CallContext) -> Result<Output, Failure> {
    let size = output.size();
    if size > context.effective.limits.artifacts {
        return Err(too_large(tool.name.as_str(), size, "artifacts", context));
    }
    if output.content.len() > MAX_PIECES {
        let message =
            format!("`{}` gave a result of {} pieces; at most {MAX_PIECES} are taken", tool.name, output.content.len());
        return Err(Failure::new(Code::LimitOutput, message).with_fix("ask for less"));
    }
    let mut sealed = Output::default();
    let mut left = context.effective.limits.output;
    let mut whole = None;
    // Before the texts: of those a link is enough, and a tool may have promised this.
    if let Some(mut value) = output.structured {
        let text = value.to_string();
        if text.len() > HEAD + TAIL {
            shorten(&mut value);
            whole = Some(text);
        }
        if let Some(rest) = left.checked_sub(value.to_string().len() as u64) {
            left = rest;
            sealed.structured = Some(value);
        }
    }
    let mut notes = output.notes;
    for (place, piece) in output.content.into_iter().enumerate() {
        let is_short =
            matches!(&piece, Content::Link(_)) || matches!(&piece, Content::Text(text) if text.len() <= HEAD + TAIL);
        match left.checked_sub(piece.size()) {
            Some(rest) if is_short => {
                left = rest;
                if let Some(note) = notes.remove(&place) {
                    sealed.notes.insert(sealed.content.len(), note);
                }
                sealed.content.push(piece);
            }
            Some(_) | None => spill_piece(piece, &mut sealed, &mut left, tool, context).await?,
        }
    }
    if let Some(whole) = whole {
        let kept = keep("structured.json", whole.into_bytes(), "application/json".to_owned(), context).await?;
        sealed.content.push(Content::Link(kept));
    }
    if tool.results.is_some() && sealed.structured.is_none() {
        let message = format!(
            "`{}` gave a result of {size} bytes; it cannot be shortened without breaking its schema",
            tool.name
        );
        return Err(Failure::new(Code::LimitOutput, message).with_fix("ask for less"));
    }
    Ok(sealed)
}

fn too_large(name: &str, size: u64, limit: &str, context: &CallContext) -> Failure {
    let than = if limit == "artifacts" { "more than can be kept" } else { "more than it may have" };
    let message = format!("`{}` gave a result of {size} bytes, {than}", quotable(name, 200));
    let grants = &context.effective.grants;
    let fix = format!("ask for less, or raise `limits.{limit}` under `[{}]` ({})", grants.table, grants.at);
    Failure::new(Code::LimitOutput, message).with_fix(fix)
}

/// Keeps one piece and leaves a link in its place, after a preview of a text where there is still room for one.
async fn spill_piece(
    piece: Content,
    sealed: &mut Output,
    left: &mut u64,
    tool: &Tool,
    context: &CallContext,
) -> Result<(), Failure> {
    let (shown, name, data, mime_type) = match piece {
        Content::Text(text) => (Some(preview(&text)), "result.txt", text.into_bytes(), "text/plain".to_owned()),
        Content::Image(media) => (None, "image", media.data, media.mime_type),
        Content::Audio(media) => (None, "audio", media.data, media.mime_type),
        Content::Resource(resource) => {
            let mime_type = resource.mime_type.unwrap_or_else(|| "application/octet-stream".to_owned());
            match resource.body {
                ResourceBody::Text(text) => (Some(preview(&text)), "resource.txt", text.into_bytes(), mime_type),
                ResourceBody::Blob(blob) => (None, "resource", blob, mime_type),
            }
        }
        Content::Link(_) => {
            let message = format!("`{}` gave links that are longer than a result may be", tool.name);
            return Err(Failure::new(Code::LimitOutput, message).with_fix("ask for less"));
        }
    };
    if let Some(shown) = shown
        && let Some(rest) = left.checked_sub(shown.len() as u64)
    {
        *left = rest;
        sealed.content.push(Content::Text(shown));
    }
    sealed.content.push(Content::Link(keep(name, data, mime_type, context).await?));
    Ok(())
}

async fn keep(name: &str, data: Vec<u8>, mime_type: String, context: &CallContext) -> Result<ResourceLink, Failure> {
    let size = data.len() as u64;
    let uri = context.artifacts.keep(&context.id, name, data).await.map_err(|error| {
        tracing::error!(call = %context.id, %error, "a large result could not be kept");
        Failure::new(
            Code::LimitOutput,
            "the result is too large for an answer and could not be kept; the host's log says why",
        )
    })?;
    Ok(ResourceLink {
        uri,
        name: name.to_owned(),
        title: None,
        description: Some("the whole result, kept by the host".to_owned()),
        mime_type: Some(mime_type),
        size: Some(size),
    })
}

/// Head and tail of a text, cut at line ends where there are any nearby.
fn preview(text: &str) -> String {
    if text.len() <= HEAD + TAIL {
        return text.to_owned();
    }
    let mut head = HEAD;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - TAIL;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    let head = text[..head].rfind('\n').filter(|at| *at > HEAD / 2).unwrap_or(head);
    let tail = text[tail..].find('\n').filter(|at| *at < TAIL / 2).map_or(tail, |at| tail + at + 1);
    let left_out = text[head..tail].chars().count();
    format!(
        "{}\n[… {left_out} characters left out here; the whole result is in the linked artifact …]\n{}",
        &text[..head],
        &text[tail..]
    )
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = preview(text),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_has_head_and_tail_and_counts_what_is_missing() {
        let text = "é".repeat(10_000);
        let preview = preview(&text);
        assert!(preview.starts_with("éé") && preview.ends_with("éé"));
        assert!(preview.contains("[… 7000 characters left out here"), "{preview}");
        assert_eq!(super::preview("short"), "short");
    }
}
