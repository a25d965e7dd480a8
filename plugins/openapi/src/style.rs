//! How a list or an object becomes text, by the styles of OpenAPI, which are those of RFC 6570.
//!
//! What the styles leave open is settled here: `null` is left out, a value inside of a value is written as JSON, and
//! places in a list below the style `Deep` are numbers.

use bailiwick_operation::Style;
use serde_json::Value;

use crate::encode::{For, encode};

/// A name as it is meant and a value as it is sent.
pub(crate) type Pair = (String, String);

/// How deep `Deep` goes; what lies deeper is written as JSON.
const MAX_DEPTH: usize = 16;

/// A value as text, without separators of any style; none: `null`.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

/// The value in one place of a path or in one header field; none: there is nothing to write.
pub(crate) fn inline(wire: &str, value: &Value, style: Style, explode: bool, place: For) -> Option<String> {
    let (before, between) = match style {
        Style::Label => (".", if explode { "." } else { "," }),
        Style::Matrix => (";", if explode { ";" } else { "," }),
        Style::Simple | Style::Form => ("", ","),
        Style::Space => ("", if place == For::Header { " " } else { "%20" }),
        Style::Pipe => ("", if place == For::Header { "|" } else { "%7C" }),
        Style::Tab => ("", if place == For::Header { "\t" } else { "%09" }),
        Style::Deep | Style::Json => return json(value, place),
    };
    let name = encode(wire, place);
    let is_matrix = style == Style::Matrix;
    let text = match value {
        Value::Array(items) if is_matrix && explode => {
            join(items.iter().filter_map(plain).map(|item| format!("{name}={}", encode(&item, place))), between)?
        }
        Value::Object(_) if is_matrix && explode => join(properties(value, "=", place), between)?,
        Value::Array(items) => join(items.iter().filter_map(plain).map(|item| encode(&item, place)), between)?,
        Value::Object(_) => join(properties(value, if explode { "=" } else { between }, place), between)?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => encode(&plain(value)?, place),
    };
    let named = is_matrix && !(explode && (value.is_array() || value.is_object()));
    Some(if named { format!("{before}{name}={text}") } else { format!("{before}{text}") })
}

/// The value as pairs of a query, a form or a cookie. No pairs: there is nothing to write.
pub(crate) fn pairs(wire: &str, value: &Value, style: Style, explode: bool, place: For) -> Vec<Pair> {
    let one = |text: Option<String>| text.map(|text| (wire.to_owned(), text)).into_iter().collect();
    if style == Style::Deep {
        let mut pairs = Vec::new();
        deep(wire.to_owned(), value, place, MAX_DEPTH, &mut pairs);
        return pairs;
    }
    if style == Style::Json {
        return one(json(value, place));
    }
    match value {
        Value::Array(items) if explode => {
            items.iter().filter_map(plain).map(|item| (wire.to_owned(), encode(&item, place))).collect()
        }
        Value::Object(map) if explode => {
            let pairs = map.iter().filter_map(|(key, value)| Some((key.clone(), encode(&plain(value)?, place))));
            pairs.collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            // Only a list or an object has separators; a single value looks the same in any style.
            one(inline(wire, value, delimited(style), false, place))
        }
    }
}

/// The style of what stands after the `=` of a pair.
fn delimited(style: Style) -> Style {
    match style {
        Style::Space | Style::Pipe | Style::Tab => style,
        Style::Simple | Style::Form | Style::Label | Style::Matrix | Style::Deep | Style::Json => Style::Simple,
    }
}

/// The whole value as JSON, text in quotes too.
fn json(value: &Value, place: For) -> Option<String> {
    (!value.is_null()).then(|| encode(&value.to_string(), place))
}

fn deep(name: String, value: &Value, place: For, depth: usize, pairs: &mut Vec<Pair>) {
    match value {
        Value::Object(map) if depth > 0 => {
            for (key, value) in map {
                deep(format!("{name}[{key}]"), value, place, depth - 1, pairs);
            }
        }
        Value::Array(items) if depth > 0 => {
            for (n, value) in items.iter().enumerate() {
                deep(format!("{name}[{n}]"), value, place, depth - 1, pairs);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            pairs.extend(plain(value).map(|text| (name, encode(&text, place))));
        }
    }
}

fn properties<'v>(value: &'v Value, between: &'v str, place: For) -> impl Iterator<Item = String> + 'v {
    let map = value.as_object().into_iter().flatten();
    map.filter_map(move |(key, value)| {
        Some(format!("{}{between}{}", encode(key, place), encode(&plain(value)?, place)))
    })
}

fn join(items: impl Iterator<Item = String>, between: &str) -> Option<String> {
    let items: Vec<String> = items.collect();
    (!items.is_empty()).then(|| items.join(between))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The table of the specification, whole.
    #[test]
    fn the_styles_write_what_the_specification_shows() {
        let list = json!(["blue", "black", "brown"]);
        let object = json!({ "R": 100, "G": 200, "B": 150 });
        let inline = |value: &Value, style, explode| inline("color", value, style, explode, For::Value).expect("text");
        assert_eq!(inline(&json!("blue"), Style::Matrix, false), ";color=blue");
        assert_eq!(inline(&list, Style::Matrix, false), ";color=blue,black,brown");
        assert_eq!(inline(&list, Style::Matrix, true), ";color=blue;color=black;color=brown");
        assert_eq!(inline(&object, Style::Matrix, false), ";color=R,100,G,200,B,150");
        assert_eq!(inline(&object, Style::Matrix, true), ";R=100;G=200;B=150");
        assert_eq!(inline(&json!("blue"), Style::Label, true), ".blue");
        assert_eq!(inline(&list, Style::Label, false), ".blue,black,brown");
        assert_eq!(inline(&list, Style::Label, true), ".blue.black.brown");
        assert_eq!(inline(&object, Style::Label, false), ".R,100,G,200,B,150");
        assert_eq!(inline(&object, Style::Label, true), ".R=100.G=200.B=150");
        assert_eq!(inline(&list, Style::Simple, false), "blue,black,brown");
        assert_eq!(inline(&object, Style::Simple, false), "R,100,G,200,B,150");
        assert_eq!(inline(&object, Style::Simple, true), "R=100,G=200,B=150");
        let pairs = |value: &Value, style, explode| {
            let pairs = pairs("color", value, style, explode, For::Value).into_iter();
            pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
        };
        assert_eq!(pairs(&json!(""), Style::Form, true), "color=");
        assert_eq!(pairs(&list, Style::Form, false), "color=blue,black,brown");
        assert_eq!(pairs(&list, Style::Form, true), "color=blue&color=black&color=brown");
        assert_eq!(pairs(&object, Style::Form, false), "color=R,100,G,200,B,150");
        assert_eq!(pairs(&object, Style::Form, true), "R=100&G=200&B=150");
        assert_eq!(pairs(&list, Style::Space, false), "color=blue%20black%20brown");
        assert_eq!(pairs(&object, Style::Space, false), "color=R,100%20G,200%20B,150".replace(',', "%20"));
        assert_eq!(pairs(&list, Style::Pipe, false), "color=blue%7Cblack%7Cbrown");
        assert_eq!(pairs(&list, Style::Tab, false), "color=blue%09black%09brown");
        assert_eq!(pairs(&object, Style::Deep, true), "color[R]=100&color[G]=200&color[B]=150");
    }

    #[test]
    fn what_the_styles_leave_open_is_settled() {
        let pairs = |value: Value, style, explode| pairs("q", &value, style, explode, For::Value);
        let of = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert_eq!(pairs(json!(null), Style::Form, true), []);
        assert_eq!(pairs(json!([]), Style::Form, true), []);
        assert_eq!(pairs(json!([]), Style::Form, false), []);
        assert_eq!(pairs(json!({}), Style::Deep, true), []);
        assert_eq!(pairs(json!([null, "a&b", null]), Style::Form, true), of("q", "a%26b"));
        assert_eq!(pairs(json!("a b"), Style::Json, true), of("q", "%22a%20b%22"));
        assert_eq!(pairs(json!([{"a": 1}]), Style::Form, true), of("q", "%7B%22a%22%3A1%7D"));
        assert_eq!(pairs(json!({"a": [{"b": "x=y"}]}), Style::Deep, true), of("q[a][0][b]", "x%3Dy"));
    }

    #[test]
    fn a_separator_in_a_value_is_no_separator() {
        let value = json!(["a,b", "c|d", "e f"]);
        assert_eq!(inline("n", &value, Style::Simple, false, For::Value).expect("text"), "a%2Cb,c%7Cd,e%20f");
        let pairs = pairs("n", &value, Style::Pipe, false, For::Value);
        assert_eq!(pairs, [("n".to_owned(), "a%2Cb%7Cc%7Cd%7Ce%20f".to_owned())]);
    }
}
