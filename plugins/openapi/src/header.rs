//! Header fields: which may be sent, and with what in them.

use bailiwick_operation::{CONNECTION_HEADERS, OPERATORS_HEADERS};
use bailiwick_sdk::Failure;

/// Whether a parameter may set this field.
pub(crate) fn may_be_sent(name: &str, by_operator: bool) -> bool {
    let is_in = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
    is_token(name) && !is_in(&CONNECTION_HEADERS) && (by_operator || !is_in(&OPERATORS_HEADERS))
}

/// Sets a field, in place of one of the same name.
pub(crate) fn set(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value));
}

/// The value as it is sent.
///
/// # Errors
///
/// `arguments.invalid` for what would end the field or is no text.
pub(crate) fn checked(name: &str, value: &str) -> Result<String, Failure> {
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err(Failure::invalid(format!("`{name}` holds a line break or another control character.")));
    }
    Ok(value.trim_matches([' ', '\t']).to_owned())
}

/// The name of a cookie.
///
/// # Errors
///
/// `arguments.invalid` for what would end the name.
pub(crate) fn cookie_name(name: &str) -> Result<String, Failure> {
    if is_token(name) {
        return Ok(name.to_owned());
    }
    Err(Failure::invalid(format!("`{}` cannot be the name of a cookie.", name.escape_debug())))
}

/// Whether this is a media type without parameters, or with plain ones.
pub(crate) fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let is_plain = !parameters.contains(|c: char| c.is_control() || !c.is_ascii());
    is_plain && essence.trim().split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub))
}

/// Whether this is a `token` as in RFC 9110, which is what a field name is.
fn is_token(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}
