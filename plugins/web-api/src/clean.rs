//! Text of others as text: without tags, entities, and what only a terminal or a browser would act on.

/// Elements that services and pages leave in titles and snippets. What else stands between `<` and `>` is text, such as
/// `Vec<String>`.
const ELEMENTS: [&str; 34] = [
    "a",
    "abbr",
    "article",
    "b",
    "big",
    "blockquote",
    "br",
    "cite",
    "code",
    "div",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "hr",
    "i",
    "img",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "section",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "u",
    "ul",
    "wbr",
];

/// Elements whose content is not text either.
const UNREAD: [&str; 3] = ["script", "style", "iframe"];

/// Longest tag, with its attributes.
const MAX_TAG: usize = 1_000;

const ENTITIES: [(&str, char); 18] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("ensp", ' '),
    ("emsp", ' '),
    ("hellip", '…'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("middot", '·'),
    ("laquo", '«'),
    ("raquo", '»'),
];

/// One line of plain text made of HTML or text: tags and entities are resolved, blanks run together, `max` characters at
/// most; what is longer ends with `…`.
pub fn line(text: &str, max: usize) -> String {
    // The work is bounded, whatever was sent: no result is made of more. A tag that is cut through goes.
    let start = match text.char_indices().nth(max.saturating_mul(20)) {
        None => text,
        Some((end, _)) => {
            let start = &text[..end];
            start.rfind('<').filter(|at| !start[*at..].contains('>')).map_or(start, |at| &start[..at])
        }
    };
    let plain = shown(&decoded(&without_tags(start)));
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(words, max)
}

/// Text of several lines, as it is, without control characters and marks that hide.
pub fn paragraphs(text: &str) -> String {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    shown(&unix).trim().to_owned()
}

fn cut(text: String, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text,
        Some(_) => {
            let kept: String = text.chars().take(max.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
    }
}

/// Without control characters other than breaks and tabs, and without marks that reorder text or are not seen.
fn shown(text: &str) -> String {
    let is_hidden = |c: char| match c {
        '\n' | '\t' => false,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        other => other.is_control(),
    };
    text.chars().filter(|c| !is_hidden(*c)).collect()
}

/// Without tags and comments of HTML, and without what scripts and styles are made of.
fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        plain.push_str(&rest[..at]);
        let (becomes, after) = tag(&rest[at..]);
        plain.push_str(becomes);
        rest = after;
    }
    plain.push_str(rest);
    plain
}

/// What the text that begins with `<` begins with: what it becomes, and what follows.
fn tag(text: &str) -> (&'static str, &str) {
    let not_one = ("<", &text[1..]);
    if let Some(comment) = text.strip_prefix("<!--") {
        return comment.split_once("-->").map_or(("", ""), |(_, after)| ("", after));
    }
    let Some(end) = text.bytes().take(MAX_TAG).position(|byte| byte == b'>') else { return not_one };
    let (inside, after) = (&text[1..end], &text[end + 1..]);
    let name = inside.trim_start_matches('/').split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    if UNREAD.contains(&name.as_str()) {
        return ("", past(after, &format!("</{name}")));
    }
    match name.as_str() {
        "br" | "p" | "div" | "li" | "hr" | "h1" | "h2" | "h3" => (" ", after),
        name if ELEMENTS.contains(&name) => ("", after),
        _ => not_one,
    }
}

/// What follows the tag that begins with `end`; nothing, if it never comes.
fn past<'t>(text: &'t str, end: &str) -> &'t str {
    let found = text.to_ascii_lowercase().find(end).map(|at| &text[at..]);
    found.and_then(|tag| tag.split_once('>')).map_or("", |(_, after)| after)
}

fn decoded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        match entity(after) {
            Some((character, end)) => {
                plain.push(character);
                rest = &after[end..];
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// The character of the entity whose name begins here, and where what follows begins.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(10).position(|byte| byte == b';')?;
    let name = &text[..end];
    let character = match name.strip_prefix('#') {
        Some(number) => {
            let hex = number.strip_prefix(['x', 'X']).map(|digits| u32::from_str_radix(digits, 16));
            char::from_u32(hex.unwrap_or_else(|| number.parse()).ok()?)?
        }
        None => ENTITIES.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((character, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(line(text, 40), expected);
    }

    #[test]
    fn tags_go_and_text_that_looks_like_them_stays() {
        check("A <strong>bold</strong> <EM class=\"x\">word</EM><br/>next", "A bold word next");
        check("Vec<String> and a < b > c", "Vec<String> and a < b > c");
        check("one<!-- two -->three", "onethree");
        check("x<script>alert('no')</script >y<style>p{}</style>z", "xyz");
        check("x<script>never ends", "x");
        check("<b", "<b");
        check("é<b>ü</b>", "éü");
    }

    #[test]
    fn entities_are_characters_and_make_no_tags() {
        check("Tom &amp; Jerry&#39;s &#x201C;house&#8221; &hellip;", "Tom & Jerry's “house” …");
        check("&lt;b&gt; &amp;lt; &unknown; & &; &#xffffffff;", "<b> &lt; &unknown; & &; &#xffffffff;");
        check("a&#27;[2Jb&#8238;c&#0;", "a[2Jbc");
    }

    #[test]
    fn a_line_is_one_line_without_what_is_not_seen() {
        check(" a\r\n b\t\u{1b}[31mc\u{202e}d\u{200b}e ", "a b [31mcde");
        check(&"word ".repeat(20), "word word word word word word word word…");
        assert_eq!(line(&"<b>".repeat(100_000), 10), "");
    }

    #[test]
    fn paragraphs_keep_their_breaks() {
        assert_eq!(paragraphs("\n# A\r\n\r\n- b\u{202e}\u{7}\tc <b> &amp;\n"), "# A\n\n- b\tc <b> &amp;");
    }
}
