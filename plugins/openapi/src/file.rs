//! Files as arguments: a component has none, so their bytes come as text.

use bailiwick_sdk::Failure;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::header;

/// Base64 with or without the `=` at its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) name: Option<String>,
    pub(crate) media: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

impl File {
    /// The file that an argument is: base64, a `data:` URI, or an object with `base64` or `text` and perhaps a `name`
    /// and a `type`.
    ///
    /// # Errors
    ///
    /// `arguments.invalid`, with the name of the argument.
    pub(crate) fn read(argument: &str, value: &Value) -> Result<Self, Failure> {
        let wrong = || {
            Failure::invalid(format!(
                "`{argument}` must be a file: base64, or an object with `base64` or `text`, and perhaps `name` and \
                 `type`."
            ))
        };
        match value {
            Value::String(text) => Self::of_text(text).ok_or_else(wrong),
            Value::Object(parts) => Self::of_parts(parts).ok_or_else(wrong),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(wrong()),
        }
    }

    fn of_text(text: &str) -> Option<Self> {
        let Some(rest) = text.strip_prefix("data:") else {
            return Some(Self { name: None, media: None, bytes: decode(text)? });
        };
        let (head, data) = rest.split_once(',')?;
        let media = head.strip_suffix(";base64")?;
        let media = (!media.is_empty()).then(|| media.to_owned());
        Some(Self { name: None, media: media.filter(|media| header::is_media_type(media)), bytes: decode(data)? })
    }

    fn of_parts(parts: &Map<String, Value>) -> Option<Self> {
        if parts.keys().any(|key| !matches!(key.as_str(), "base64" | "text" | "name" | "type")) {
            return None;
        }
        let text = |key: &str| parts.get(key).and_then(Value::as_str);
        let bytes = match (text("base64"), text("text")) {
            (Some(encoded), None) => decode(encoded)?,
            (None, Some(text)) => text.as_bytes().to_vec(),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        let media = match text("type") {
            Some(media) if !header::is_media_type(media) => return None,
            media => media.map(str::to_owned),
        };
        Some(Self { name: text("name").map(str::to_owned), media, bytes })
    }

    /// The media type it is sent with, where the document allows `allowed`: one type, several, or a pattern.
    pub(crate) fn media(&self, allowed: &str) -> String {
        let concrete = |media: &&str| header::is_media_type(media) && !media.contains('*');
        let only = (!allowed.contains(',')).then_some(allowed).filter(concrete);
        only.or(self.media.as_deref())
            .or_else(|| allowed.split(',').map(str::trim).find(concrete))
            .unwrap_or("application/octet-stream")
            .to_owned()
    }
}

/// The bytes of base64 in either alphabet, line breaks and all.
fn decode(text: &str) -> Option<Vec<u8>> {
    let plain = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    });
    BASE64.decode(plain.collect::<Vec<u8>>()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_comes_as_text() {
        let check = |value: Value, expected: Option<(&str, Option<&str>, Option<&str>)>| {
            let file = File::read("f", &value).ok();
            let expected = expected.map(|(bytes, name, media)| File {
                name: name.map(str::to_owned),
                media: media.map(str::to_owned),
                bytes: bytes.as_bytes().to_vec(),
            });
            assert_eq!(file, expected, "{value}");
        };
        check(json!("aGk="), Some(("hi", None, None)));
        check(json!("aGk"), Some(("hi", None, None)));
        check(json!("aG\nk=\n"), Some(("hi", None, None)));
        check(json!("fn5-Xw"), Some(("~~~_", None, None)));
        check(json!("data:text/plain;base64,aGk="), Some(("hi", None, Some("text/plain"))));
        check(json!("data:;base64,aGk="), Some(("hi", None, None)));
        check(json!({ "text": "hi", "name": "a.txt" }), Some(("hi", Some("a.txt"), None)));
        check(json!({ "base64": "aGk=", "type": "text/x" }), Some(("hi", None, Some("text/x"))));
        check(json!("not base64!"), None);
        check(json!("data:text/plain,hi"), None);
        check(json!({ "text": "hi", "base64": "aGk=" }), None);
        check(json!({ "text": "hi", "type": "a\r\nb" }), None);
        check(json!({ "text": "hi", "path": "/etc/passwd" }), None);
        check(json!(3), None);
    }

    #[test]
    fn a_file_has_a_type_that_the_document_allows() {
        let check = |own: Option<&str>, allowed, expected| {
            let file = File { name: None, media: own.map(str::to_owned), bytes: Vec::new() };
            assert_eq!(file.media(allowed), expected);
        };
        check(None, "image/png", "image/png");
        check(Some("image/gif"), "image/png", "image/png");
        check(Some("image/gif"), "image/png, image/gif", "image/gif");
        check(None, "image/*, image/gif", "image/gif");
        check(None, "*/*", "application/octet-stream");
        check(Some("a/b"), "*/*", "a/b");
    }
}
