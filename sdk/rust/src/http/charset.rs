//! Bytes to text.

/// The body as text, by the `charset` in a `content-type`.
pub(super) fn decode(content_type: Option<&str>, body: &[u8]) -> String {
    if let Some(rest) = body.strip_prefix(b"\xef\xbb\xbf") {
        return String::from_utf8_lossy(rest).into_owned();
    }
    let is_latin = content_type.and_then(charset).is_some_and(|name| {
        // The labels of windows-1252 in the WHATWG Encoding Standard that are still met.
        ["iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "windows-1252", "cp1252", "x-cp1252", "us-ascii", "ascii"]
            .iter()
            .any(|label| name.eq_ignore_ascii_case(label))
    });
    if is_latin { body.iter().copied().map(windows_1252).collect() } else { String::from_utf8_lossy(body).into_owned() }
}

fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

fn windows_1252(byte: u8) -> char {
    /// 0x80 to 0x9F; everywhere else a byte is its code point. The five gaps are control characters, as on the web.
    const HIGH_CONTROLS: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', //
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH_CONTROLS[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn text_is_read_in_the_charset_it_names() {
        assert_eq!(decode(Some("text/html; charset=ISO-8859-1"), b"caf\xe9 \x80"), "café €");
        assert_eq!(decode(Some("text/html; Charset=\"windows-1252\""), b"\x93x\x94"), "“x”");
        assert_eq!(decode(Some("text/html; charset=utf-8"), "café".as_bytes()), "café");
        assert_eq!(decode(None, "café".as_bytes()), "café");
        assert_eq!(decode(None, b"caf\xe9"), "caf\u{fffd}");
    }

    #[test]
    fn a_byte_order_mark_says_more_than_the_header() {
        assert_eq!(decode(Some("text/html; charset=latin1"), b"\xef\xbb\xbfcaf\xc3\xa9"), "café");
    }
}
