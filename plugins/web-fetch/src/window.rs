//! One page of a long result, and the words that say how to get the next.

/// How far before the limit a line may end for the cut to go there.
const NEWLINE_WITHIN: usize = 200;

/// A part of something longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window<T> {
    /// The part.
    pub(crate) part: T,
    /// How long the whole is.
    pub(crate) total: usize,
    /// What is left out and how to get it; none: nothing follows.
    pub(crate) hint: Option<String>,
}

/// At most `limit` characters of `text` from the character `offset` on. The cut goes after the last line that ends within
/// 200 characters of the limit, if there is one.
pub(crate) fn of_text(text: &str, offset: usize, limit: usize) -> Window<String> {
    let total = text.chars().count();
    if let Some(hint) = past_the_end(offset, total, "characters") {
        return Window { part: String::new(), total, hint: Some(hint) };
    }
    let rest = &text[byte_of(text, offset)..];
    if total - offset <= limit {
        return Window { part: rest.to_owned(), total, hint: None };
    }
    let mut part = &rest[..byte_of(rest, limit)];
    if let Some(newline) = part.rfind('\n')
        && part[newline + 1..].chars().count() < NEWLINE_WITHIN
    {
        part = &part[..=newline];
    }
    let end = offset + part.chars().count();
    let hint = format!("These are characters {offset} to {} of {total}; for more set offset={end}.", end - 1);
    Window { part: part.to_owned(), total, hint: Some(hint) }
}

/// At most `limit` of `items` from `offset` on.
pub(crate) fn of_links<T: Clone>(items: &[T], offset: usize, limit: usize) -> Window<Vec<T>> {
    let total = items.len();
    if let Some(hint) = past_the_end(offset, total, "links") {
        return Window { part: Vec::new(), total, hint: Some(hint) };
    }
    let end = offset.saturating_add(limit).min(total);
    let hint = (end < total)
        .then(|| format!("These are links {offset} to {} of {total}; for more set offset={end}.", end - 1));
    Window { part: items[offset..end].to_vec(), total, hint }
}

fn past_the_end(offset: usize, total: usize, what: &str) -> Option<String> {
    (offset > 0 && offset >= total)
        .then(|| format!("offset={offset} is past the end: there are {total} {what}. Set offset=0 to begin again."))
}

/// The byte where the character number `at` begins.
fn byte_of(text: &str, at: usize) -> usize {
    text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, offset: usize, limit: usize, part: &str, hint: Option<&str>) {
        let window = of_text(text, offset, limit);
        assert_eq!((window.part.as_str(), window.hint.as_deref()), (part, hint));
    }

    #[test]
    fn what_fits_is_whole() {
        check("abc", 0, 3, "abc", None);
        check("abc", 1, 3, "bc", None);
        check("", 0, 3, "", None);
    }

    #[test]
    fn the_hint_names_the_next_offset() {
        check("abcdef", 1, 2, "bc", Some("These are characters 1 to 2 of 6; for more set offset=3."));
    }

    #[test]
    fn characters_are_never_split() {
        check("äöü€𝄞x", 1, 3, "öü€", Some("These are characters 1 to 3 of 6; for more set offset=4."));
    }

    #[test]
    fn the_cut_goes_after_a_line_that_ends_near_the_limit() {
        check("ab\ncdef", 0, 5, "ab\n", Some("These are characters 0 to 2 of 7; for more set offset=3."));
        let far = format!("a\n{}", "b".repeat(500));
        assert_eq!(of_text(&far, 0, 201).part, "a\n");
        assert_eq!(of_text(&far, 0, 202).part.len(), 202);
    }

    #[test]
    fn past_the_end_there_is_nothing() {
        check("abc", 3, 5, "", Some("offset=3 is past the end: there are 3 characters. Set offset=0 to begin again."));
    }

    #[test]
    fn the_pages_make_up_the_whole() {
        let text: String = (0..500).map(|n| if n % 37 == 0 { '\n' } else { 'ß' }).collect();
        let (mut offset, mut whole) = (0, String::new());
        loop {
            let window = of_text(&text, offset, 90);
            whole.push_str(&window.part);
            offset += window.part.chars().count();
            if window.hint.is_none() {
                break;
            }
        }
        assert_eq!(whole, text);
    }

    #[test]
    fn links_are_counted_one_by_one() {
        let window = of_links(&['a', 'b', 'c', 'd'], 1, 2);
        assert_eq!((window.part, window.total), (vec!['b', 'c'], 4));
        assert_eq!(window.hint.as_deref(), Some("These are links 1 to 2 of 4; for more set offset=3."));
        assert_eq!(of_links(&['a'], 0, 2).hint, None);
    }
}
