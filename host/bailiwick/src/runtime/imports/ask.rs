//! `bailiwick:host/ask`: questions for whoever made the call. The host never answers them itself.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use bailiwick_core::context::Role;
use bailiwick_core::outcome::Code;
use bailiwick_core::redact::Redactor;

use crate::channel::{Answer, Asker, KEY, Matter, Sampling};
use crate::context::{CallContext, MAX_QUESTIONS};
use crate::runtime::bindings::bailiwick::host::ask;
use crate::runtime::state::State;

/// How long a person has to answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// A question longer than this is cut.
const MAX_MESSAGE: usize = 4_000;
/// A form larger than this is no form a person fills in.
const MAX_FORM: usize = 16 << 10;
/// What a model is asked at most.
const MAX_SAMPLING: usize = 64 << 10;
/// Messages a model is asked at most.
const MAX_MESSAGES: usize = 64;

impl ask::Host for State {
    fn able(&mut self) -> ask::Abilities {
        let able = self.call.channel.able();
        ask::Abilities { input: able.input, sample: able.sample, roots: able.roots }
    }

    async fn input(&mut self, message: String, schema: String) -> Result<ask::Answer, ask::Refusal> {
        let question = ask::Question::Input(ask::Form { message, schema });
        let mut replies = put(&self.call, vec![(KEY.to_owned(), question)]).await?;
        match replies.pop() {
            Some(ask::Reply::Filled(fields)) => Ok(ask::Answer::Accepted(fields)),
            Some(ask::Reply::Declined) => Ok(ask::Answer::Declined),
            Some(ask::Reply::Cancelled | ask::Reply::Sampled(_) | ask::Reply::Roots(_)) | None => {
                Ok(ask::Answer::Cancelled)
            }
        }
    }

    async fn all(&mut self, questions: Vec<(String, ask::Question)>) -> Result<Vec<ask::Reply>, ask::Refusal> {
        put(&self.call, questions).await
    }
}

/// Asks and waits, if all of it can be asked.
pub(crate) async fn put(
    call: &Arc<CallContext>,
    questions: Vec<(String, ask::Question)>,
) -> Result<Vec<ask::Reply>, ask::Refusal> {
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    let call = Arc::clone(call);
    let mut keys = BTreeSet::new();
    let legal = |key: &String| {
        (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    if !questions.iter().all(|(key, _)| legal(key) && keys.insert(key.clone())) {
        return Err(ask::Refusal::InvalidQuestion);
    }
    let redactor = call.redactor();
    let asked = questions.into_iter().map(|(key, question)| Ok((key, matter(question, redactor)?)));
    let asked: Vec<(String, Matter)> = asked.collect::<Result<_, _>>()?;
    let count = u32::try_from(asked.len()).unwrap_or(u32::MAX);
    if call.ledger.questions.fetch_add(count, Ordering::Relaxed).saturating_add(count) > MAX_QUESTIONS {
        return Err(ask::Refusal::TooMany);
    }
    if let Some((_, matter)) = asked.iter().find(|(_, matter)| !call.channel.can(matter)) {
        call.ledger.note_unasked(code(matter));
        return Err(ask::Refusal::Unavailable);
    }
    asked.iter().for_each(|(_, matter)| call.ledger.operation(operation(matter).to_owned()));
    let matters: Vec<Matter> = asked.iter().map(|(_, matter)| matter.clone()).collect();
    let asker = Asker::Plugin(call.plugin.clone());
    let _still = call.stand_still();
    let answers = tokio::time::timeout(PATIENCE, call.channel.ask_all(&asker, asked)).await;
    let answers = answers.map_err(|_| ask::Refusal::TimedOut)?;
    matters.iter().zip(answers).map(|(matter, answer)| reply(matter, answer, &call)).collect()
}

/// What is asked, fit to be shown.
fn matter(question: ask::Question, redactor: &Redactor) -> Result<Matter, ask::Refusal> {
    let clean = |text: &str| redactor.text(text).into_owned();
    match question {
        ask::Question::Input(ask::Form { message, schema }) => {
            let schema = form(&schema).filter(|form| is_presentable(form, redactor));
            let schema = schema.ok_or(ask::Refusal::InvalidSchema)?;
            Ok(Matter::Form { message: redactor.text(&message).chars().take(MAX_MESSAGE).collect(), schema })
        }
        ask::Question::Sample(ask::Sampling { messages, system, max_tokens }) => {
            let texts = messages.iter().map(|message| &message.text).chain(&system);
            let size: usize = texts.map(String::len).sum();
            let fits = (1..=MAX_MESSAGES).contains(&messages.len()) && size <= MAX_SAMPLING && max_tokens > 0;
            if !fits {
                return Err(ask::Refusal::InvalidQuestion);
            }
            let role = |role| match role {
                ask::Role::User => Role::User,
                ask::Role::Assistant => Role::Assistant,
            };
            let messages = messages.iter().map(|message| (role(message.role), clean(&message.text))).collect();
            Ok(Matter::Sample(Sampling { messages, system: system.as_deref().map(clean), max_tokens }))
        }
        ask::Question::Roots => Ok(Matter::Roots),
    }
}

/// What a caller lacks that cannot be asked this.
fn code(matter: &Matter) -> Code {
    match matter {
        Matter::Form { .. } => Code::CallerNoInput,
        Matter::Sample(_) => Code::CallerNoSampling,
        Matter::Roots => Code::CallerNoRoots,
    }
}

/// How a question stands in the audit.
fn operation(matter: &Matter) -> &'static str {
    match matter {
        Matter::Form { .. } => "ask",
        Matter::Sample(_) => "ask sample",
        Matter::Roots => "ask roots",
    }
}

fn reply(matter: &Matter, answer: Answer, call: &CallContext) -> Result<ask::Reply, ask::Refusal> {
    let value = match answer {
        Answer::Accepted(value) => value,
        Answer::Declined => return Ok(ask::Reply::Declined),
        Answer::Cancelled => return Ok(ask::Reply::Cancelled),
        Answer::Unavailable => {
            call.ledger.note_unasked(code(matter));
            return Err(ask::Refusal::Unavailable);
        }
    };
    let text = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
    let read = match matter {
        Matter::Form { schema, .. } => jsonschema_fits(schema, &value).then(|| ask::Reply::Filled(value.to_string())),
        Matter::Sample(_) => text(&value, "text").zip(text(&value, "model")).map(|(said, model)| {
            ask::Reply::Sampled(ask::Sampled { text: said, model, stop_reason: text(&value, "stopReason") })
        }),
        Matter::Roots => value.as_array().and_then(|roots| {
            let root = |root: &Value| Some(ask::Root { uri: text(root, "uri")?, name: text(root, "name") });
            roots.iter().map(root).collect::<Option<_>>().map(ask::Reply::Roots)
        }),
    };
    Ok(read.unwrap_or(ask::Reply::Cancelled))
}

fn jsonschema_fits(schema: &Value, value: &Value) -> bool {
    bailiwick_core::schema::ResultSchema::compile(&schema.to_string())
        .is_ok_and(|compiled| compiled.mismatch(value).is_none())
}

/// Whether a form shows a person nothing but what it says: no secret, no hidden character, and no line break but in a
/// description, so that no part of it passes for another question.
fn is_presentable(value: &Value, redactor: &Redactor) -> bool {
    let is_plain = |text: &str| matches!(redactor.text(text), Cow::Borrowed(_));
    match value {
        Value::String(text) => is_plain(text) && !text.contains('\n'),
        Value::Array(items) => items.iter().all(|item| is_presentable(item, redactor)),
        Value::Object(fields) => fields.iter().all(|(name, field)| {
            let is_description = matches!(field, Value::String(text) if name == "description" && is_plain(text));
            is_plain(name) && !name.contains('\n') && (is_description || is_presentable(field, redactor))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The schema, if it is an object with flat properties, which is all that callers can show as a form.
fn form(text: &str) -> Option<Value> {
    if text.len() > MAX_FORM {
        return None;
    }
    let schema = bailiwick_core::schema::parse(text).ok()?;
    let flat = schema.get("properties")?.as_object()?.values().all(is_field);
    (schema["type"] == "object" && flat).then_some(schema)
}

/// Whether a property is one that a person fills in: a text, a number, yes or no, a choice, or several choices.
fn is_field(property: &Value) -> bool {
    match property["type"].as_str() {
        Some("number" | "integer" | "boolean") => true,
        Some("string") => is_choice(property, "oneOf").unwrap_or(true),
        Some("array") => is_choice(&property["items"], "anyOf").unwrap_or(false),
        Some(_) | None => false,
    }
}

/// Whether a choice is one between texts, with titles under `titled` or in `enumNames`; none: it is no choice.
fn is_choice(property: &Value, titled: &str) -> Option<bool> {
    let texts = |list: &Value| list.as_array().filter(|list| list.iter().all(Value::is_string)).map(Vec::len);
    let option = |option: &Value| option["const"].is_string() && option["title"].is_string();
    match (property.get("enum"), property.get(titled)) {
        (None, None) => None,
        (Some(list), None) => {
            let named = property.get("enumNames").is_none_or(|names| texts(names) == texts(list));
            Some(texts(list).is_some() && named)
        }
        (None, Some(options)) => Some(options.as_array().is_some_and(|options| options.iter().all(option))),
        (Some(_), Some(_)) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(property: &str, expected: bool) {
        let schema = format!(r#"{{"type":"object","properties":{{"it":{property}}}}}"#);
        assert_eq!(form(&schema).is_some(), expected, "{property}");
    }

    #[test]
    fn a_form_has_fields_that_a_person_fills_in() {
        for field in [
            r#"{"type":"string","default":"John"}"#,
            r#"{"type":"integer","default":3}"#,
            r#"{"type":"number","minimum":0.5}"#,
            r#"{"type":"boolean","default":true}"#,
            r#"{"type":"string","enum":["a","b"],"default":"a"}"#,
            r#"{"type":"string","enum":["a","b"],"enumNames":["A","B"]}"#,
            r#"{"type":"string","oneOf":[{"const":"a","title":"A"}]}"#,
            r#"{"type":"array","items":{"type":"string","enum":["a","b"]},"default":["a"]}"#,
            r#"{"type":"array","items":{"anyOf":[{"const":"a","title":"A"}]}}"#,
        ] {
            check(field, true);
        }
    }

    #[test]
    fn what_no_client_shows_as_a_form_is_none() {
        for field in [
            r#"{"type":"object"}"#,
            r#"{"type":"array"}"#,
            r#"{"type":"array","items":{"type":"string"}}"#,
            r#"{"type":"array","items":{"type":"object","properties":{}}}"#,
            r#"{"type":"string","enum":[1,2]}"#,
            r#"{"type":"string","enum":["a"],"enumNames":["A","B"]}"#,
            r#"{"type":"string","oneOf":[{"const":"a"}]}"#,
            r#"{"type":["string","null"]}"#,
            r#"{}"#,
        ] {
            check(field, false);
        }
    }
}
