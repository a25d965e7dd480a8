//! What a service answered, as text for a model.

use std::time::Duration;

use bailiwick_plugin_common::text;
use bailiwick_sdk::artifact::Refusal;
use bailiwick_sdk::{Content, Failure, Output, ResourceLink, artifact};
use http::StatusCode;

/// Most characters of a body in the result. The rest is in an artifact.
const MAX_CHARS: usize = 4_000;
/// Most characters of a body in a failure: with what stands before it, what the host takes of one.
const MAX_FAILED_CHARS: usize = 3_500;

/// An answer, after redirects.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As the server said it; empty when it did not.
    pub(crate) content_type: String,
    /// What to wait before another try, in seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Vec<u8>,
    /// The body as text, in its charset.
    pub(crate) text: String,
    /// Whether the body goes on.
    pub(crate) is_cut: bool,
    /// How much of a body is read.
    pub(crate) max_body: usize,
}

impl Answer {
    /// The result of the call: of an answer that is no success, a failure with the same text.
    ///
    /// # Errors
    ///
    /// `upstream.*` for any status but 2xx.
    pub(crate) fn into_output(self) -> Result<Output, Failure> {
        if !(200..300).contains(&self.status) {
            let failure = Failure::upstream(self.shown(MAX_FAILED_CHARS), self.status);
            return Err(match self.retry_after {
                Some(seconds) => failure.retry_after(Duration::from_secs(seconds)),
                None => failure,
            });
        }
        let shown = self.shown(MAX_CHARS);
        let Some(name) = self.file(MAX_CHARS) else {
            return Ok(Output::text(shown));
        };
        let media_type = media_type(&self.content_type);
        Ok(match artifact::put(name, media_type, &self.body) {
            Ok(uri) => Output::text(shown).with(link(uri, name, media_type, self.body.len())),
            Err(refusal) => {
                let why = match refusal {
                    Refusal::TooLarge => "it is larger than `limits.artifacts` allows",
                    Refusal::Unavailable => "the host's log says why",
                };
                Output::text(format!("{shown}\n[the whole could not be kept: {why}]"))
            }
        })
    }

    /// Status, content type and the beginning of the body.
    fn shown(&self, max_chars: usize) -> String {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        let content_type = one_line(&self.content_type);
        let mut shown = format!("Status: {}{reason}\nContent-Type: {content_type}\n\n", self.status);
        if self.is_binary() {
            shown.push_str(&format!("[{} bytes that are no text]", self.body.len()));
        } else {
            match text::cut(&self.text, max_chars) {
                Some(beginning) => shown.extend([beginning, "\n[truncated]"]),
                None => shown.push_str(&self.text),
            }
        }
        if self.is_cut {
            shown.push_str(&format!("\n[the answer goes on: only its first {} bytes were read]", self.max_body));
        }
        shown
    }

    fn is_binary(&self) -> bool {
        self.text.contains('\0')
    }

    /// The name of a file for the body, where it is not all shown.
    fn file(&self, max_chars: usize) -> Option<&'static str> {
        let is_shown = !self.is_binary() && text::cut(&self.text, max_chars).is_none();
        let is_json = || media_type(&self.content_type).ends_with("json");
        match is_shown {
            true => None,
            false if self.is_binary() => Some("body.bin"),
            false if is_json() => Some("body.json"),
            false => Some("body.txt"),
        }
    }
}

fn link(uri: String, name: &str, media_type: &str, n_bytes: usize) -> Content {
    let (name, mime_type, size) = (name.to_owned(), Some(media_type.to_owned()), u64::try_from(n_bytes).ok());
    ResourceLink { uri, name, title: None, description: None, mime_type, size }.into()
}

/// The media type without parameters.
fn media_type(content_type: &str) -> &str {
    match content_type.split(';').next().unwrap_or_default().trim() {
        "" => "application/octet-stream",
        media_type => media_type,
    }
}

/// A header's value cannot pass for another line.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &str, text: &str) -> Answer {
        let (content_type, text, body) = (content_type.to_owned(), text.to_owned(), text.as_bytes().to_vec());
        Answer { status, content_type, text, body, max_body: 1 << 20, ..Answer::default() }
    }

    #[test]
    fn a_success_is_status_type_and_body() {
        let output = answer(200, "application/json", "{\"a\":1}").into_output();
        assert_eq!(output, Ok(Output::text("Status: 200 OK\nContent-Type: application/json\n\n{\"a\":1}")));
        assert_eq!(answer(204, "", "").shown(9), "Status: 204 No Content\nContent-Type: \n\n");
        assert_eq!(answer(299, "a/b", "x").shown(9), "Status: 299\nContent-Type: a/b\n\nx");
    }

    #[test]
    fn any_other_status_is_a_failure_with_the_same_text() {
        let failed = |status, text: &str| Err(Failure::upstream(text, status));
        let gone = answer(404, "text/plain", "nothing here").into_output();
        assert_eq!(gone, failed(404, "Status: 404 Not Found\nContent-Type: text/plain\n\nnothing here"));
        let moved = answer(304, "", "").into_output();
        assert_eq!(moved, failed(304, "Status: 304 Not Modified\nContent-Type: \n\n"));
        let busy = Answer { retry_after: Some(7), ..answer(429, "", "") }.into_output();
        let expected = Failure::upstream("Status: 429 Too Many Requests\nContent-Type: \n\n", 429);
        assert_eq!(busy, Err(expected.retry_after(Duration::from_secs(7))));
        let Err(Failure::Upstream(long)) = answer(500, "text/plain", &"ü".repeat(5_000)).into_output() else {
            panic!("it is a failure");
        };
        assert!(long.message.chars().count() < 4_000 && long.message.ends_with("ü\n[truncated]"));
    }

    #[test]
    fn a_long_body_is_cut_at_a_character_and_says_so() {
        let long = answer(200, "text/plain; charset=utf-8", &"ü".repeat(4_001));
        assert!(long.shown(MAX_CHARS).ends_with(&format!("\n\n{}\n[truncated]", "ü".repeat(4_000))));
        assert_eq!(long.file(MAX_CHARS), Some("body.txt"));
        let fits = answer(200, "text/plain", &"ü".repeat(4_000));
        assert!(fits.shown(MAX_CHARS).ends_with('ü'));
        assert_eq!(fits.file(MAX_CHARS), None);
        let json = answer(200, "application/ld+json;x=y", &"1".repeat(4_001));
        assert_eq!((json.file(MAX_CHARS), media_type(&json.content_type)), (Some("body.json"), "application/ld+json"));
        let cut = Answer { is_cut: true, max_body: 3, ..answer(200, "text/plain", "abc") };
        assert!(cut.shown(9).ends_with("\n\nabc\n[the answer goes on: only its first 3 bytes were read]"));
    }

    #[test]
    fn what_is_no_text_is_not_shown() {
        let image = answer(200, "image/png", "\u{fffd}PNG\0\0");
        assert_eq!(image.shown(9), "Status: 200 OK\nContent-Type: image/png\n\n[8 bytes that are no text]");
        assert_eq!(image.file(9), Some("body.bin"));
    }

    #[test]
    fn a_header_is_one_line() {
        assert_eq!(answer(200, "a\r\nStatus: 500", "x").shown(9), "Status: 200 OK\nContent-Type: aStatus: 500\n\nx");
    }
}
