//! Somebody else's text in a program: comments that stay comments, and names that stay names.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::redact::{visible, visible_json};

/// Longer patterns, formats and defaults are not repeated, in characters.
const MAX_NOTE: usize = 80;
/// Longer names of types are cut, in characters.
const MAX_NAME: usize = 60;

/// The lines of a comment that says `text`, at most `most` characters of it. None of them ends the comment, or tells a
/// compiler anything.
pub(super) fn comment(text: &str, most: usize) -> Vec<String> {
    let text = visible(text);
    let cut = text.char_indices().nth(most).map(|(end, _)| format!("{}…", text[..end].trim_end()));
    let lines = cut.as_deref().unwrap_or(&text).lines();
    let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    // `@ts-ignore` and its kin are orders, in comments of any sort.
    lines.filter(|line| !line.is_empty()).map(|line| line.replace("*/", "*\\/").replace("@ts-", "@ ts-")).collect()
}

/// A doc comment of `lines` with its line break; nothing where there are none.
pub(super) fn block(lines: &[String], indent: &str) -> String {
    match lines {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        [..] => {
            let lines: String = lines.iter().map(|line| format!("{indent} * {line}\n")).collect();
            format!("{indent}/**\n{lines}{indent} */\n")
        }
    }
}

/// `text` between quotes. It means the same, and shows all it holds.
pub(super) fn quoted(text: &str) -> String {
    visible_json(&Value::from(text).to_string()).into_owned()
}

/// The name of a property as it stands in a type.
pub(super) fn property(name: &str) -> String {
    let mut letters = name.chars();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '$';
    let plain = letters.next().is_some_and(|first| fits(first) && !first.is_ascii_digit()) && letters.all(fits);
    if plain { name.to_owned() } else { quoted(name) }
}

/// A name for a type: the words of `name` with capitals, without what is no ASCII letter or digit.
pub(super) fn pascal(name: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined: String = words.map(capital).collect::<String>().chars().take(MAX_NAME).collect();
    match joined.chars().next() {
        None => "Tool".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("_{joined}"),
        Some(_) => joined,
    }
}

/// Names that are given once.
#[derive(Default)]
pub(super) struct Names {
    /// With the number that is tried next where one is wanted again.
    taken: BTreeMap<String, u32>,
}

impl Names {
    pub(super) fn has(&self, name: &str) -> bool {
        self.taken.contains_key(name)
    }

    pub(super) fn take(&mut self, name: &str) {
        self.taken.insert(name.to_owned(), 2);
    }

    /// `wanted`, or that with `between` and the first number behind it that nobody has.
    pub(super) fn fresh(&mut self, wanted: &str, between: &str) -> String {
        let mut name = wanted.to_owned();
        while self.has(&name) {
            let number = self.taken.entry(wanted.to_owned()).or_insert(2);
            name = format!("{wanted}{between}{number}");
            *number += 1;
        }
        self.take(&name);
        name
    }
}

/// What a schema says of a value beside its type, in a few words; empty where there is nothing.
pub(super) fn notes(schema: &Map<String, Value>) -> String {
    let only = only(schema);
    let find = |keyword: &str| schema.get(keyword).or_else(|| only?.get(keyword));
    let text = |keyword: &str| find(keyword).and_then(Value::as_str).filter(|text| is_brief(text));
    let number = |keyword: &str| find(keyword).filter(|value| value.is_number());
    let is = |keyword: &str| find(keyword) == Some(&Value::Bool(true));
    let is_integer = find("type").is_some_and(|kind| match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "integer"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => kind == "integer",
    });
    let notes = [
        is_integer.then(|| "integer".to_owned()),
        text("format").map(str::to_owned),
        range(number("minimum"), number("maximum"), ""),
        number("exclusiveMinimum").map(|least| format!("more than {least}")),
        number("exclusiveMaximum").map(|most| format!("less than {most}")),
        number("multipleOf").map(|step| format!("a multiple of {step}")),
        range(number("minLength"), number("maxLength"), " character"),
        range(number("minItems"), number("maxItems"), " item"),
        text("pattern").map(|pattern| format!("matches {pattern}")),
        is("uniqueItems").then(|| "all different".to_owned()),
        is("deprecated").then(|| "deprecated".to_owned()),
        find("default").map(Value::to_string).filter(|text| is_brief(text)).map(|text| format!("default {text}")),
    ];
    notes.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The one alternative beside `null`.
fn only(schema: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()?;
    let mut others = alternatives.iter().filter(|other| other["type"] != "null");
    others.next().filter(|_| others.next().is_none())?.as_object()
}

fn is_brief(text: &str) -> bool {
    text.chars().nth(MAX_NOTE).is_none()
}

/// How much there may be, `of` what if it is one.
fn range(least: Option<&Value>, most: Option<&Value>, of: &str) -> Option<String> {
    let said = match (least, most) {
        (Some(least), Some(most)) if least == most => format!("exactly {least}"),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => return None,
    };
    let is_one = most.or(least).is_some_and(|last| *last == 1);
    Some(if of.is_empty() || is_one { said + of } else { format!("{said}{of}s") })
}
