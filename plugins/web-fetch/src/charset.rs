//! Bytes to text, and text without what only a terminal would act on.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::media::Media;

/// How much of a page is searched for a `<meta charset>`. Browsers stop at the same place.
const PRESCANNED: usize = 1_024;

/// The text of a body. A byte order mark decides; else the `charset` of the `Content-Type`; else what an HTML page says of
/// itself; else UTF-8 if it is valid, and windows-1252 if not. Ends of lines become `\n`; other control characters go,
/// because a page must not be able to drive a terminal.
pub(crate) fn text(body: &[u8], content_type: &str, media: Media) -> String {
    let named = charset_parameter(content_type)
        .and_then(|label| Encoding::for_label(label.as_bytes()))
        .or_else(|| if media == Media::Html { in_meta(body) } else { None });
    let encoding = named.unwrap_or_else(|| if is_utf8_so_far(body) { UTF_8 } else { WINDOWS_1252 });
    let (text, _, _) = encoding.decode(body);
    without_controls(&text)
}

/// Valid, or cut off within its last character.
fn is_utf8_so_far(body: &[u8]) -> bool {
    std::str::from_utf8(body).map_or_else(|error| error.error_len().is_none(), |_| true)
}

fn charset_parameter(content_type: &str) -> Option<&str> {
    let value = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    })?;
    Some(value.trim().trim_matches(['"', '\'']))
}

/// What a `<meta>` near the beginning names. UTF-16 cannot be: the page was readable as ASCII up to there.
fn in_meta(body: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&body[..body.len().min(PRESCANNED)]).to_ascii_lowercase();
    let label = head.split("<meta").skip(1).find_map(|rest| {
        let tag = rest.split('>').next()?;
        let value = tag.split_once("charset")?.1.trim_start().strip_prefix('=')?.trim_start();
        let value = value.trim_start_matches(['"', '\'']);
        value.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '/')).next()
    })?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    Some(if encoding == UTF_16BE || encoding == UTF_16LE { UTF_8 } else { encoding })
}

fn without_controls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\x0c' => clean.push('\n'),
            '\n' | '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &[u8], content_type: &str, expected: &str) {
        assert_eq!(text(body, content_type, Media::of(content_type)), expected);
    }

    #[test]
    fn the_header_names_the_charset() {
        check(b"caf\xe9", "text/plain; charset=iso-8859-1", "café");
        check("café".as_bytes(), "text/plain; Charset=\"UTF-8\"", "café");
        check(b"\x93\xfa\x96\x7b", "text/html; charset=Shift_JIS", "日本");
    }

    #[test]
    fn a_page_names_its_own() {
        check(b"<meta charset=koi8-r>\xf0", "text/html", "<meta charset=koi8-r>П");
        let http_equiv = b"<META http-equiv='Content-Type' content='text/html; charset=windows-1251'>\xcf";
        assert!(text(http_equiv, "text/html", Media::Html).ends_with('П'));
        check("<meta charset=utf-16>é".as_bytes(), "text/html", "<meta charset=utf-16>é");
    }

    #[test]
    fn a_byte_order_mark_decides() {
        check(b"\xef\xbb\xbf\xc3\xa9", "text/plain; charset=iso-8859-1", "é");
        check(b"\xff\xfeh\0i\0", "text/plain", "hi");
    }

    #[test]
    fn without_a_name_bytes_decide() {
        check("é".as_bytes(), "text/plain", "é");
        check(b"\x93caf\xe9\x94", "text/plain", "“café”");
    }

    #[test]
    fn controls_go_and_lines_end_alike() {
        check(b"a\r\nb\rc\td\x1b[31m\0e", "text/plain", "a\nb\nc\td[31me");
    }
}
