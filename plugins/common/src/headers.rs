//! Header fields that a caller or an operator sets in a request.

use bailiwick_operation::CONNECTION_HEADERS;
use bailiwick_sdk::Failure;

/// Header fields that any server may see. The others stay with the server they were meant for, whatever it redirects to:
/// they may be keys.
const FOR_ANYONE: [&str; 5] = ["accept", "accept-language", "content-type", "range", "user-agent"];

/// Whether a field set by a caller stays with the origin it was meant for.
#[must_use]
pub fn is_private(name: &str) -> bool {
    !FOR_ANYONE.iter().any(|public| name.eq_ignore_ascii_case(public))
}

/// Why a field cannot be set: as the end of a sentence that begins with its name.
fn flaw(name: &str, value: &str) -> Option<&'static str> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) || value.contains(|c: char| c.is_control() && c != '\t') {
        return Some("which is not valid in HTTP");
    }
    let reserved = CONNECTION_HEADERS.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
    reserved.then_some("which belongs to the connection: leave it out")
}

/// Checks the fields of the argument `headers`.
///
/// # Errors
///
/// `arguments.invalid`, naming the field; its value is never told.
pub fn check<'h>(fields: impl IntoIterator<Item = (&'h String, &'h String)>) -> Result<(), Failure> {
    fields.into_iter().try_for_each(|(name, value)| match flaw(name, value) {
        Some(flaw) => Err(Failure::invalid(format!("`headers` holds `{}`, {flaw}.", name.escape_debug()))),
        None => Ok(()),
    })
}

/// Header fields, each name once in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Sets a field, in place of one of the same name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Sets a field unless there is one of that name.
    pub fn set_if_absent(&mut self, name: &str, value: &str) {
        if !self.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            self.set(name, value);
        }
    }

    /// The fields, in the order they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, value: &str) -> String {
        match check([(&name.to_owned(), &value.to_owned())]) {
            Ok(()) => "fine".to_owned(),
            Err(Failure::InvalidArguments(why)) => why,
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_a_field_is_refused_by_name() {
        assert_eq!(told("X-Key", "a\tb"), "fine");
        assert_eq!(told("HOST", "x"), "`headers` holds `HOST`, which belongs to the connection: leave it out.");
        assert_eq!(told("X", "secret\r\nB: c"), "`headers` holds `X`, which is not valid in HTTP.");
        assert_eq!(told("a b", ""), "`headers` holds `a b`, which is not valid in HTTP.");
        assert_eq!(told("", ""), "`headers` holds ``, which is not valid in HTTP.");
    }

    #[test]
    fn a_name_is_there_once_in_any_case() {
        let mut fields = Fields::default();
        fields.set("X-A", "1");
        fields.set("x-a", "2");
        fields.set_if_absent("X-a", "3");
        fields.set_if_absent("B", "4");
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("x-a", "2"), ("B", "4")]);
    }

    #[test]
    fn only_what_any_server_may_see_goes_elsewhere() {
        assert!(is_private("X-Key") && is_private("Authorization"));
        assert!(!is_private("ACCEPT") && !is_private("user-agent"));
    }
}
