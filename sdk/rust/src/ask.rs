//! Questions to whoever made the call: forms for a person (MCP elicitation), a word from its model (sampling), the folders
//! it works in (roots). No grant is needed. A call may ask 10 times; waiting does not use up its time.

pub use crate::bindings::bailiwick::host::ask::{
    Abilities, Answer, Form, Message, Question, Refusal, Reply, Role, Root, Sampled, Sampling,
};

use crate::Failure;
use crate::bindings::bailiwick::host::ask as host;

/// Shows the caller `message` with a form described by `schema_json`, and waits.
///
/// The schema is an object with flat properties: strings, numbers, integers, booleans, choices (`enum`, or `oneOf` of
/// `const` and `title`) and arrays of choices, each with a `default` if you like.
///
/// # Errors
///
/// [`Refusal::Unavailable`] when this caller cannot be asked, [`Refusal::InvalidSchema`], [`Refusal::TimedOut`] after
/// 120 seconds, [`Refusal::TooMany`]. With `?` a refusal becomes a [`Failure`] that says so.
///
/// ```no_run
/// use bailiwick_sdk::{Failure, ask};
///
/// fn confirmed(file: &str) -> Result<bool, Failure> {
///     let form = r#"{"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}"#;
///     match ask::input(&format!("Remove `{file}`?"), form)? {
///         ask::Answer::Accepted(answer) => Ok(answer.contains("true")),
///         ask::Answer::Declined | ask::Answer::Cancelled => Ok(false),
///     }
/// }
/// ```
pub fn input(message: &str, schema_json: &str) -> Result<Answer, Refusal> {
    host::input(message, schema_json)
}

/// What this caller can be asked, as far as it said so.
pub fn able() -> Abilities {
    host::able()
}

/// Asks several things at once, each under a key of its own, and waits for all replies, which come in the same order. If
/// one of them cannot be asked, none is.
///
/// # Errors
///
/// As [`input()`]; [`Refusal::InvalidQuestion`] for keys that are not 1 to 64 of `A-Z a-z 0-9 _ -` or come twice, and for
/// a model that is asked nothing.
///
/// ```no_run
/// use bailiwick_sdk::ask::{self, Question, Reply};
/// use bailiwick_sdk::Failure;
///
/// fn greeting() -> Result<String, Failure> {
///     let form = r#"{"type": "object", "properties": {"name": {"type": "string"}}}"#;
///     let questions = [
///         ("name", Question::form("Who are you?", form)),
///         ("words", Question::model("Write a greeting of five words.", 50)),
///     ];
///     match ask::all(questions)?.as_slice() {
///         [Reply::Filled(name), Reply::Sampled(words)] => Ok(format!("{name}: {}", words.text)),
///         _ => Err(Failure::failed("Without an answer there is no greeting.")),
///     }
/// }
/// ```
pub fn all<'k>(questions: impl IntoIterator<Item = (&'k str, Question)>) -> Result<Vec<Reply>, Refusal> {
    let questions: Vec<_> = questions.into_iter().map(|(key, question)| (key.to_owned(), question)).collect();
    host::all(&questions)
}

/// Asks the caller's model for an answer of at most `max_tokens` tokens to one message.
///
/// # Errors
///
/// As [`all`]; also when the caller says no.
///
/// ```no_run
/// # fn main() -> Result<(), bailiwick_sdk::Failure> {
/// let capital = bailiwick_sdk::ask::sample("What is the capital of France?", 100)?.text;
/// # Ok(())
/// # }
/// ```
pub fn sample(message: &str, max_tokens: u32) -> Result<Sampled, Failure> {
    match all([("sample", Question::model(message, max_tokens))])?.into_iter().next() {
        Some(Reply::Sampled(sampled)) => Ok(sampled),
        Some(Reply::Filled(_) | Reply::Roots(_) | Reply::Declined | Reply::Cancelled) | None => {
            Err(Failure::failed("The caller did not let its model answer."))
        }
    }
}

/// Asks which folders the caller works in. They grant nothing.
///
/// # Errors
///
/// As [`all`]; also when the caller says no.
///
/// ```no_run
/// # fn main() -> Result<(), bailiwick_sdk::Failure> {
/// let first = bailiwick_sdk::ask::roots()?.into_iter().next();
/// # Ok(())
/// # }
/// ```
pub fn roots() -> Result<Vec<Root>, Failure> {
    match all([("roots", Question::Roots)])?.into_iter().next() {
        Some(Reply::Roots(roots)) => Ok(roots),
        Some(Reply::Filled(_) | Reply::Sampled(_) | Reply::Declined | Reply::Cancelled) | None => {
            Err(Failure::failed("The caller did not say where it works."))
        }
    }
}

impl Question {
    /// A form for a person; see [`input()`].
    pub fn form(message: impl Into<String>, schema_json: impl Into<String>) -> Self {
        Self::Input(Form { message: message.into(), schema: schema_json.into() })
    }

    /// One message to the caller's model. For more of a conversation fill a [`Sampling`] in.
    pub fn model(message: impl Into<String>, max_tokens: u32) -> Self {
        let messages = vec![Message { role: Role::User, text: message.into() }];
        Self::Sample(Sampling { messages, system: None, max_tokens })
    }
}
