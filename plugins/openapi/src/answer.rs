//! What a service answered, as a result or a failure.

use bailiwick_sdk::http::Response;
use bailiwick_sdk::{Content, Failure, Output, ResourceLink};

use crate::retry;
use crate::strict::is_json;

/// How much of a refusal's body a caller reads, in characters: enough for what went wrong, too little to flood.
const MAX_REASON: usize = 2_000;

/// The largest content that is given whole where it is not text. Beyond it the host keeps it and the caller gets a
/// link: `limits.output` is 256 KiB unless the operator says otherwise.
const MAX_EMBEDDED: usize = 128 << 10;

/// Types outside `text/*` that are text, besides those with the suffixes `+xml` and `+yaml`.
const TEXT: [&str; 12] = [
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/jsonl",
    "application/jsonlines",
    "application/sql",
    "application/toml",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/x-yaml",
    "application/xml",
    "application/yaml",
];

/// Keeps content that is too large for an answer: name, media type and bytes become a URI.
pub(crate) type Keep<'k> = &'k dyn Fn(&str, &str, &[u8]) -> Result<String, Failure>;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Json,
    Text,
    Image,
    Audio,
    Bytes,
}

/// Makes a result of an answer.
///
/// # Errors
///
/// `upstream.*` for a status that is not 2xx, and for binary content that was cut off.
pub(crate) fn read(response: &Response, keep: Keep<'_>) -> Result<Output, Failure> {
    let Response { status, headers, body, truncated, .. } = response;
    if !(200..300).contains(status) {
        return Err(refused(response));
    }
    if body.is_empty() {
        return Ok(Output::text(nothing(response)));
    }
    let content_type = headers.get("content-type").unwrap_or_default();
    let shape = Shape::of(content_type, body);
    let is_text = matches!(shape, Shape::Json | Shape::Text);
    if *truncated && !is_text {
        let sentence = format!("The answer is larger than {} bytes, of which no part is of use.", body.len());
        return Err(Failure::upstream(sentence, None));
    }
    if is_text {
        return Ok(texts(response, shape));
    }
    let media = essence(content_type);
    let media = if media.is_empty() { "application/octet-stream".to_owned() } else { media };
    let content = if body.len() > MAX_EMBEDDED {
        link(response, &media, keep)?
    } else {
        match shape {
            Shape::Image => Content::image(body.clone(), media),
            Shape::Audio => Content::audio(body.clone(), media),
            Shape::Bytes | Shape::Json | Shape::Text => {
                Content::resource(format!("answer:{}", name(response, &media)), media, body.clone())
            }
        }
    };
    Ok(content.into())
}

impl Shape {
    fn of(content_type: &str, body: &[u8]) -> Self {
        let essence = essence(content_type);
        if essence == "application/json" || essence == "text/json" || essence.ends_with("+json") {
            return Self::Json;
        }
        let is_text = essence.starts_with("text/")
            || TEXT.contains(&essence.as_str())
            || ["+xml", "+yaml", "+text"].iter().any(|suffix| essence.ends_with(suffix));
        if is_text {
            return Self::Text;
        }
        match essence.split('/').next().unwrap_or_default() {
            "" if std::str::from_utf8(body).is_err() => Self::Bytes,
            "" if is_json(body) => Self::Json,
            "" => Self::Text,
            "image" => Self::Image,
            "audio" => Self::Audio,
            _ => Self::Bytes,
        }
    }
}

/// A media type without its parameters.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Text as it came, and structured too where it is whole JSON: it is passed on unread, so that no number loses a digit.
fn texts(response: &Response, shape: Shape) -> Output {
    let text = response.text();
    if response.truncated {
        let note = format!("The answer is longer than {} bytes; this is its beginning.", response.body.len());
        return Output::text(text).with(Content::text(note));
    }
    let is_whole = shape == Shape::Json && is_json(text.as_bytes());
    let structured = is_whole.then(|| text.trim().to_owned());
    Output { structured, ..Output::text(text) }
}

/// What an answer without a body says.
fn nothing(response: &Response) -> String {
    let mut text = format!("The service answered {} without content.", response.status);
    for name in ["Location", "Content-Type", "Content-Length", "ETag", "Last-Modified", "Allow"] {
        if let Some(value) = response.headers.get(name).filter(|value| *value != "0") {
            text.push_str(&format!("\n{name}: {value}"));
        }
    }
    text
}

fn link(response: &Response, media: &str, keep: Keep<'_>) -> Result<Content, Failure> {
    let name = name(response, media);
    let uri = keep(&name, media, &response.body)?;
    let size = u64::try_from(response.body.len()).ok();
    Ok(ResourceLink { uri, name, title: None, description: None, mime_type: Some(media.to_owned()), size }.into())
}

/// A file name: what the service calls it, else one by its type.
fn name(response: &Response, media: &str) -> String {
    let disposition = response.headers.get("content-disposition").unwrap_or_default();
    let named = disposition.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case("filename").then(|| value.trim().trim_matches('"').to_owned())
    });
    let named = named.unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let base = named.rsplit(['/', '\\']).next().unwrap_or_default();
    let base: String = base.chars().take(100).map(plain).collect();
    if !base.trim_matches(['.', '_']).is_empty() {
        return base;
    }
    let end: String =
        media.rsplit(['/', '+', '.', '-']).next().unwrap_or_default().chars().take(12).map(plain).collect();
    format!("answer.{}", if end == "stream" || end.is_empty() { "bin".to_owned() } else { end })
}

/// The failure of a status that is not 2xx.
fn refused(response: &Response) -> Failure {
    let Response { status, headers, .. } = response;
    let reason = reason(response);
    let sentence = match reason.as_str() {
        "" => format!("The service answered {status}."),
        reason => format!("The service answered {status}: {reason}"),
    };
    let failure = Failure::upstream(sentence, *status);
    let wait = headers.get("retry-after").and_then(|text| retry::wait(text, headers.get("date")));
    match wait {
        Some(wait) => failure.retry_after(wait),
        None => failure,
    }
}

/// The head of a refusal's body, on one line.
fn reason(response: &Response) -> String {
    let content_type = response.headers.get("content-type").unwrap_or_default();
    let text = match Shape::of(content_type, &response.body) {
        Shape::Json | Shape::Text => response.text(),
        Shape::Image | Shape::Audio | Shape::Bytes => {
            return format!("{} bytes of {content_type}", response.body.len());
        }
    };
    let is_page = essence(content_type).contains("html");
    let text = if is_page { page(&text) } else { text };
    let mut words = String::new();
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > 4 * MAX_REASON {
            break;
        }
    }
    match words.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{} …", &words[..end]),
        None => words,
    }
}

/// The text of a page, roughly: what is between tags, and nothing of scripts and styles.
fn page(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let hidden = ["script", "style"]
            .into_iter()
            .find(|name| tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        let end = match hidden {
            Some(name) => tag.to_ascii_lowercase().find(&format!("</{name}")).map(|at| at + 1),
            None => Some(0),
        };
        let after = end.and_then(|end| tag[end..].split_once('>')).map_or("", |(_, after)| after);
        rest = after;
        if text.len() > 16 * MAX_REASON {
            return text;
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_says_what_a_body_is() {
        let check =
            |content_type, body: &[u8], shape| assert_eq!(Shape::of(content_type, body), shape, "{content_type}");
        check("application/json; charset=utf-8", b"", Shape::Json);
        check("application/vnd.github.v3+json", b"", Shape::Json);
        check("application/problem+JSON", b"", Shape::Json);
        check("text/event-stream", b"", Shape::Text);
        check("application/atom+xml", b"", Shape::Text);
        check("image/svg+xml", b"", Shape::Text);
        check("image/png", b"", Shape::Image);
        check("audio/mpeg", b"", Shape::Audio);
        check("application/pdf", b"", Shape::Bytes);
        check("video/mp4", b"", Shape::Bytes);
        check("", b"{}", Shape::Json);
        check("", b"hello", Shape::Text);
        check("", b"\xff\xfe", Shape::Bytes);
    }

    #[test]
    fn a_page_is_read_without_its_tags() {
        let html = "<title>502</title><style>a{}</style><SCRIPT>if (1 < 2) {}</script ><p>Bad <b>gateway</b>";
        assert_eq!(page(html).split_whitespace().collect::<Vec<_>>().join(" "), "502 Bad gateway");
        assert_eq!(page("a <script").trim(), "a");
        assert_eq!(page("a <scr\u{e9}>b"), "a  b");
    }
}
