//! Files as arguments: base64 text, or an artifact that an earlier call of the same caller left.

use bailiwick_operation::{Content, Kind, Operation, Part};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// What callers write before the call and the name of an artifact: its URI, or the start of the path it is fetched at.
const SCHEME: &str = "artifact://";
const FETCHED_AT: &str = "/api/v1/artifacts/";

/// The schema of one file; `media` is its type where that is known.
pub(super) fn schema(media: Option<&str>) -> Value {
    let mut text = json!({ "type": "string", "contentEncoding": "base64" });
    if let Some(media) = media {
        text["contentMediaType"] = media.into();
    }
    let uri = json!({ "type": "string", "description": "The URI of an artifact that one of your calls left." });
    let artifact = json!({
        "type": "object", "properties": { "artifact": uri }, "required": ["artifact"], "additionalProperties": false,
    });
    json!({ "anyOf": [text, artifact] })
}

/// The arguments of an operation that are files, or lists of them.
pub fn file_arguments(operation: &Operation) -> Vec<&str> {
    let Some(body) = &operation.body else { return Vec::new() };
    match &body.content {
        Content::Whole { argument } if body.kind == Kind::Bytes => vec![argument],
        Content::Whole { .. } => Vec::new(),
        Content::Fields { fields, .. } => {
            let is_file = |part: &Part| matches!(part, Part::File { .. });
            let files = fields.iter().filter(|field| field.part.as_ref().is_some_and(is_file));
            files.map(|field| field.argument.as_str()).collect()
        }
    }
}

/// The URI of the artifact that stands in the place of a file, if one does: no base64 has a `:` in it.
#[must_use]
pub fn artifact_in(value: &Value) -> Option<String> {
    let named = match value {
        Value::String(text) => Some(text.as_str()).filter(|text| text.starts_with(SCHEME)),
        Value::Object(fields) => fields.get("artifact").and_then(Value::as_str),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }?;
    let place = [SCHEME, FETCHED_AT].iter().find_map(|start| named.strip_prefix(start)).unwrap_or(named);
    Some(format!("{SCHEME}{place}"))
}

/// What the component is given in the place of an artifact.
#[must_use]
pub fn contents(name: &str, media: Option<&str>, bytes: &[u8]) -> Value {
    let mut file = Map::new();
    file.insert("base64".to_owned(), STANDARD.encode(bytes).into());
    file.insert("name".to_owned(), name.into());
    // Whoever left the artifact wrote it.
    if let Some(media) = media.filter(|media| is_bare(media)) {
        file.insert("type".to_owned(), media.into());
    }
    Value::Object(file)
}

/// Whether a text is a media type without parameters.
fn is_bare(media: &str) -> bool {
    let is_word = |word: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        (1..=127).contains(&word.len()) && word.bytes().all(legal)
    };
    media.split_once('/').is_some_and(|(kind, of_it)| is_word(kind) && is_word(of_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_named_in_any_of_the_ways_callers_know_it_by() {
        for named in [
            json!("artifact://c-1/a.pdf"),
            json!({ "artifact": "artifact://c-1/a.pdf" }),
            json!({ "artifact": "/api/v1/artifacts/c-1/a.pdf" }),
            json!({ "artifact": "c-1/a.pdf" }),
        ] {
            assert_eq!(artifact_in(&named).as_deref(), Some("artifact://c-1/a.pdf"), "{named}");
        }
        for other in
            [json!("YQ=="), json!("c-1/a.pdf"), json!({ "base64": "YQ==" }), json!(["artifact://c/a"]), json!(1)]
        {
            assert_eq!(artifact_in(&other), None, "{other}");
        }
    }

    #[test]
    fn an_artifact_becomes_a_file_with_its_name() {
        assert_eq!(
            contents("a.pdf", Some("application/pdf"), b"hi"),
            json!({ "base64": "aGk=", "name": "a.pdf", "type": "application/pdf" })
        );
        for media in [None, Some("text/plain; charset=utf-8"), Some("a/b\r\nX: y"), Some("a/"), Some("a")] {
            assert_eq!(contents("a", media, b""), json!({ "base64": "", "name": "a" }), "{media:?}");
        }
    }

    #[test]
    fn files_are_told_from_other_arguments() {
        let operation = |body: Value| -> Operation {
            serde_json::from_value(json!({
                "method": "POST", "path": [{ "text": "/" }], "accept": "*/*", "body": body,
            }))
            .unwrap()
        };
        let whole = |kind: &str| json!({ "media": "a/b", "kind": kind, "required": true, "content": { "whole": { "argument": "body" } } });
        assert_eq!(file_arguments(&operation(whole("bytes"))), ["body"]);
        for kind in ["json", "text", "form", "multipart"] {
            assert!(file_arguments(&operation(whole(kind))).is_empty(), "{kind}");
        }
        let fields = json!({ "media": "multipart/form-data", "kind": "multipart", "required": false, "content": {
            "fields": { "open": false, "fields": [
                { "argument": "file_body", "name": "file", "part": { "file": { "media": "a/b" } } },
                { "argument": "about", "name": "about", "part": { "json": { "media": "application/json" } } },
                { "argument": "title", "name": "title" },
            ] } } });
        assert_eq!(file_arguments(&operation(fields)), ["file_body"]);
        assert!(file_arguments(&operation(Value::Null)).is_empty());
    }
}
