//! Percent-encoding: what of a value may stand in a URL or a cookie as it is.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986. A `%` is encoded too, so that nothing a caller writes is read as an
/// escape.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What `allowReserved` leaves: reserved characters that do not separate anything in a query.
const RESERVED: &AsciiSet = &VALUE
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',');

/// What a cookie cannot hold (RFC 6265). The rest stays: many services do not decode cookies.
const COOKIE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// What the text of a path template may not hold. Escapes that are there stay.
const TEXT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'\'')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'\\')
    .add(b'^')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Where an encoded text will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// A path, a query or a form, as a value of its own.
    Value,
    /// A query, with reserved characters as they are.
    Reserved,
    /// A cookie.
    Cookie,
    /// A header field, which has no escapes.
    Header,
}

/// `text` as it can stand there.
pub(crate) fn encode(text: &str, place: For) -> String {
    let set = match place {
        For::Value => VALUE,
        For::Reserved => RESERVED,
        For::Cookie => COOKIE,
        For::Header => return text.to_owned(),
    };
    utf8_percent_encode(text, set).to_string()
}

/// The text of a path template as it can stand in a URL.
pub(crate) fn literal(text: &str) -> String {
    utf8_percent_encode(text, TEXT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_value() {
        let check = |text, place, expected: &str| assert_eq!(encode(text, place), expected);
        check("a b/c?d=e&f#g;h%2f+é'\r\n\\", For::Value, "a%20b%2Fc%3Fd%3De%26f%23g%3Bh%252f%2B%C3%A9%27%0D%0A%5C");
        check("-._~", For::Value, "-._~");
        check("a:/?@!$()*,&=+#[]';%", For::Reserved, "a:/?@!$()*,%26%3D%2B%23%5B%5D%27%3B%25");
        check("a=b; c\"d,%\n", For::Cookie, "a=b%3B%20c%22d%2C%25%0A");
        check("a, b%", For::Header, "a, b%");
    }

    #[test]
    fn text_of_a_template_keeps_its_escapes() {
        assert_eq!(literal("/a%20b/c d:e(f='x',g)"), "/a%20b/c%20d:e(f=%27x%27,g)");
    }
}
