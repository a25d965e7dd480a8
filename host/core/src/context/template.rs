//! Templates of URIs: a part of RFC 6570 in which it can be told which URIs fit.

/// A template: literal text and places, of which no two touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// What stands before the first place.
    start: String,
    /// Each place, and the text after it.
    places: Vec<(Place, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    name: String,
    /// Whether a value may have `/` in it.
    reserved: bool,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (start, mut rest) = text.split_at(text.find('{').unwrap_or(text.len()));
        let scheme = start.split_once(':').map_or("", |(scheme, _)| scheme);
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(legal) {
            return Err("it does not begin with a scheme".to_owned());
        }
        let mut places = Vec::new();
        while let Some(inner) = rest.strip_prefix('{') {
            let (place, after) = inner.split_once('}').ok_or("a brace is not closed")?;
            let (name, reserved) = place.strip_prefix('+').map_or((place, false), |name| (name, true));
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !(1..=64).contains(&name.len()) || !name.chars().all(legal) {
                return Err(format!("`{{{place}}}` is not a place such as `{{day}}` or `{{+path}}`"));
            }
            let (literal, next) = after.split_at(after.find('{').unwrap_or(after.len()));
            if literal.is_empty() && !next.is_empty() {
                return Err("two places touch".to_owned());
            }
            places.push((Place { name: name.to_owned(), reserved }, literal.to_owned()));
            rest = next;
        }
        let known = |name: &String| places.iter().filter(|(place, _)| place.name == *name).count() > 1;
        if places.is_empty() {
            return Err("it has no place such as `{day}`".to_owned());
        }
        if places.iter().any(|(place, _)| known(&place.name)) {
            return Err("it names a place twice".to_owned());
        }
        if start.contains('}') || places.iter().any(|(_, literal)| literal.contains('}')) {
            return Err("a brace is not opened".to_owned());
        }
        Ok(Self { start: start.to_owned(), places })
    }

    /// Whether `uri` is one of the family: each place stands for one or more characters.
    #[must_use]
    pub fn fits(&self, uri: &str) -> bool {
        let Some(mut rest) = uri.strip_prefix(&self.start) else { return false };
        for (index, (place, literal)) in self.places.iter().enumerate() {
            let last = index + 1 == self.places.len();
            let end = match (last, literal.is_empty()) {
                (true, true) => Some(rest.len()),
                (true, false) => rest.len().checked_sub(literal.len()).filter(|end| rest.get(*end..) == Some(literal)),
                // The first place where it goes on as it should; what comes after has to fit from there.
                (false, _) => rest
                    .char_indices()
                    .skip(1)
                    .find(|(at, _)| rest[*at..].starts_with(literal.as_str()))
                    .map(|(at, _)| at),
            };
            let Some(value) = end.and_then(|end| rest.get(..end)) else { return false };
            if value.is_empty() || (!place.reserved && value.contains('/')) {
                return false;
            }
            rest = &rest[value.len() + literal.len()..];
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, uri: &str, expected: bool) {
        let template = Template::parse(template).unwrap();
        assert_eq!(template.fits(uri), expected, "{template:?} {uri}");
    }

    #[test]
    fn a_place_stands_for_something_without_slashes() {
        check("test://template/{id}/data", "test://template/123/data", true);
        check("test://template/{id}/data", "test://template//data", false);
        check("test://template/{id}/data", "test://template/1/2/data", false);
        check("test://template/{id}/data", "test://template/1/datum", false);
        check("test://template/{id}/data", "test://template/1/data/", false);
        check("a:{b}", "a:b", true);
        check("a:{b}", "a:", false);
        check("a:{b}", "c:b", false);
        check("a:{b}-{c}", "a:1-2-3", true);
    }

    #[test]
    fn a_reserved_place_takes_slashes_too() {
        check("file:{+path}", "file:a/b/c", true);
        check("file:{+path}.md", "file:a/b.md", true);
        check("file:{+path}.md", "file:.md", false);
    }

    #[test]
    fn what_is_no_template_is_told() {
        for (text, reason) in [
            ("{a}", "it does not begin with a scheme"),
            ("a:b", "it has no place such as `{day}`"),
            ("a:{b", "a brace is not closed"),
            ("a:{b}}", "a brace is not opened"),
            ("a:{b}{c}", "two places touch"),
            ("a:{b}/{b}", "it names a place twice"),
            ("a:{?b}", "`{?b}` is not a place such as `{day}` or `{+path}`"),
            ("a:{}", "`{}` is not a place such as `{day}` or `{+path}`"),
        ] {
            assert_eq!(Template::parse(text), Err(reason.to_owned()), "{text}");
        }
    }
}
