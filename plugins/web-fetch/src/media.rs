//! Which answers are text, and which of them are HTML.

/// What can be done with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// A page to make Markdown of.
    Html,
    /// Text to pass on as it is.
    Text,
    /// Nothing a model can read.
    Binary,
}

/// Types outside `text/*` that are text, besides `application/*+json`, `+xml` and `+yaml`.
const TEXT: [&str; 12] = [
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/jsonlines",
    "application/sql",
    "application/toml",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-yaml",
    "application/xml",
    "application/yaml",
];

/// How much of a body without a type is looked at.
const SNIFFED: usize = 1_024;

impl Media {
    /// What a `Content-Type` says.
    pub(crate) fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let text_suffix = ["+json", "+xml", "+yaml"].iter().any(|suffix| essence.ends_with(suffix));
        if matches!(essence.as_str(), "text/html" | "application/xhtml+xml") {
            Self::Html
        } else if essence.starts_with("text/")
            || TEXT.contains(&essence.as_str())
            || (essence.starts_with("application/") && text_suffix)
        {
            Self::Text
        } else {
            Self::Binary
        }
    }

    /// What the first bytes look like, for an answer without a `Content-Type`.
    pub(crate) fn sniff(body: &[u8]) -> Self {
        let head = &body[..body.len().min(SNIFFED)];
        if head.iter().any(|&byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b'\x1b')) {
            return Self::Binary;
        }
        let head = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
        let is_html = ["<!doctype html", "<html", "<head", "<body"].iter().any(|start| head.starts_with(start));
        if is_html { Self::Html } else { Self::Text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_says_what_a_body_is() {
        let check = |content_type, media| assert_eq!(Media::of(content_type), media, "{content_type}");
        check("text/html", Media::Html);
        check("Text/HTML; charset=utf-8", Media::Html);
        check("application/xhtml+xml", Media::Html);
        check("text/plain", Media::Text);
        check("application/json;charset=utf-8", Media::Text);
        check("application/ld+json", Media::Text);
        check("application/atom+xml", Media::Text);
        check("application/octet-stream", Media::Binary);
        check("application/pdf", Media::Binary);
        check("application/jsonp-not-really", Media::Binary);
        check("image/svg+xml", Media::Binary);
        check("image/png", Media::Binary);
        check("", Media::Binary);
    }

    #[test]
    fn a_body_without_a_type_is_looked_at() {
        let check = |body: &[u8], media| assert_eq!(Media::sniff(body), media);
        check(b"\xef\xbb\xbf \n<!DOCTYPE HTML><p>x", Media::Html);
        check(b"{\"a\": 1}", Media::Text);
        check(b"", Media::Text);
        check(b"\x89PNG\r\n\x1a\n\0\0", Media::Binary);
    }
}
