//! `bailiwick:host/ask`: a question for whoever made the call. The host never answers it itself.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use bailiwick_core::redact::Redactor;

use crate::channel::{Answer, Asker};
use crate::context::MAX_QUESTIONS;
use crate::runtime::bindings::bailiwick::host::ask;
use crate::runtime::state::State;

/// How long a person has to answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// A question longer than this is cut.
const MAX_MESSAGE: usize = 4_000;
/// A form larger than this is no form a person fills in.
const MAX_FORM: usize = 16 << 10;

impl ask::Host for State {
    async fn input(&mut self, message: String, schema: String) -> Result<ask::Answer, ask::Refusal> {
        let call = std::sync::Arc::clone(&self.call);
        let schema = form(&schema).filter(|form| is_presentable(form, call.redactor()));
        let schema = schema.ok_or(ask::Refusal::InvalidSchema)?;
        if call.ledger.questions.fetch_add(1, Ordering::Relaxed) >= MAX_QUESTIONS {
            return Err(ask::Refusal::TooMany);
        }
        call.ledger.operation("ask".to_owned());
        let message: String = call.redactor().text(&message).chars().take(MAX_MESSAGE).collect();
        let _pause = call.deadline.pause();
        let question = call.channel.ask(Asker::Plugin(call.plugin.clone()), message, schema.clone());
        match tokio::time::timeout(PATIENCE, question).await {
            Err(_) => Err(ask::Refusal::TimedOut),
            Ok(Answer::Unavailable) => Err(ask::Refusal::Unavailable),
            Ok(Answer::Declined) => Ok(ask::Answer::Declined),
            Ok(Answer::Cancelled) => Ok(ask::Answer::Cancelled),
            Ok(Answer::Accepted(value)) => match jsonschema_fits(&schema, &value) {
                true => Ok(ask::Answer::Accepted(value.to_string())),
                false => Ok(ask::Answer::Cancelled),
            },
        }
    }
}

fn jsonschema_fits(schema: &Value, value: &Value) -> bool {
    bailiwick_core::schema::ResultSchema::compile(&schema.to_string())
        .is_ok_and(|(compiled, _)| compiled.mismatch(value).is_none())
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
    let flat = schema
        .get("properties")?
        .as_object()?
        .values()
        .all(|property| matches!(property["type"].as_str(), Some("string" | "number" | "integer" | "boolean")));
    (schema["type"] == "object" && flat).then_some(schema)
}
