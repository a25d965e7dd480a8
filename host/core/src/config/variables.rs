//! `${NAME}` in a string stands for a variable of the environment; `$${` for a `${` as it is.

use crate::config::Flaw;

/// Puts variables in. What they hold is taken as it is: a `${` in it means nothing.
///
/// # Errors
/// A variable is not set, has no legal name, or its brace is not closed.
pub(crate) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Flaw> {
    const LITERAL: &str = "`${NAME}` for a variable, `$${` for the characters themselves";
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        let Some((name, after)) = from[2..].split_once('}') else {
            return Err(Flaw::new("`${` without a `}`").legal(LITERAL));
        };
        if !is_variable(name) {
            return Err(Flaw::new(format!("`${{{name}}}` does not name a variable")).legal(LITERAL));
        }
        let value = env(name).ok_or_else(|| {
            Flaw::new(format!("the environment variable `{name}` is not set"))
                .suggest("set it, or write the value here")
        })?;
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether a text is a name an environment variable can have.
pub(super) fn is_variable(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(word) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let env = |name: &str| match name {
            "HOST" => Some("api.example.com".to_owned()),
            "NESTED" => Some("${HOST}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        assert_eq!(expand(text, &env).ok().as_deref(), expected, "{text}");
    }

    #[test]
    fn a_variable_is_put_in_once() {
        check("plain $HOST", Some("plain $HOST"));
        check("https://${HOST}/${HOST}", Some("https://api.example.com/api.example.com"));
        check("${NESTED}", Some("${HOST}"));
        check("a${EMPTY}b", Some("ab"));
        check("$${HOST}", Some("${HOST}"));
        check("$$${HOST}", Some("$${HOST}"));
        check("ä${HOST}ö", Some("äapi.example.comö"));
    }

    #[test]
    fn what_names_no_set_variable_is_refused() {
        for text in ["${MISSING}", "${}", "${HOST", "${a b}", "${1A}", "${${HOST}}"] {
            check(text, None);
        }
    }
}
