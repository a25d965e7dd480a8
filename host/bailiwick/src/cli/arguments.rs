//! Arguments as people write them: `name=text` and `name:=JSON`, as in httpie.

use serde_json::{Map, Value};

/// Turns the parts of `--arg` into one JSON object. Text stays text: the host makes a number of `5` where the tool
/// wants one.
///
/// # Errors
/// A sentence about the first part that is wrong.
pub(super) fn object<'p>(parts: impl IntoIterator<Item = &'p str>) -> Result<Map<String, Value>, String> {
    let mut object = Map::new();
    for part in parts {
        let (name, value) = argument(part)?;
        if object.insert(name.to_owned(), value).is_some() {
            return Err(format!("`{name}` is given twice; a list is written `{name}:=[…]`"));
        }
    }
    Ok(object)
}

fn argument(part: &str) -> Result<(&str, Value), String> {
    let Some((name, text)) = part.split_once('=') else {
        return Err(format!("`{part}` has no `=`; write `NAME=TEXT` or `NAME:=JSON`"));
    };
    let (name, value) = match name.strip_suffix(':') {
        None => (name, Value::String(text.to_owned())),
        Some(name) => {
            let value = serde_json::from_str(text).map_err(|error| {
                format!("the value of `{name}` is not JSON ({error}); for text write `{name}={text}`")
            })?;
            (name, value)
        }
    };
    if name.is_empty() { Err(format!("`{part}` names no argument")) } else { Ok((name, value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parts: &[&str], expected: &str) {
        let shown = match object(parts.iter().copied()) {
            Ok(object) => Value::Object(object).to_string(),
            Err(sentence) => sentence,
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn text_stays_text() {
        check(&["a=5", "b= x = y ", "c="], r#"{"a":"5","b":" x = y ","c":""}"#);
        check(&[r#"a={"x":1}"#], r#"{"a":"{\"x\":1}"}"#);
        check(&["url=https://x.example/?a:=b"], r#"{"url":"https://x.example/?a:=b"}"#);
    }

    #[test]
    fn a_colon_makes_it_json() {
        check(
            &["a:=5", "b:=[1,\"x\"]", "c:=null", "d:= {\"e\":true}"],
            r#"{"a":5,"b":[1,"x"],"c":null,"d":{"e":true}}"#,
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        check(&["a"], "`a` has no `=`; write `NAME=TEXT` or `NAME:=JSON`");
        check(&["=a"], "`=a` names no argument");
        check(&[":=1"], "`:=1` names no argument");
        check(&["a=1", "a=2"], "`a` is given twice; a list is written `a:=[…]`");
        check(&["a:=x"], "the value of `a` is not JSON (expected value at line 1 column 1); for text write `a=x`");
    }
}
