//! Questions to whoever made the call (MCP elicitation).

pub use crate::bindings::bailiwick::host::ask::{Answer, Refusal};

/// Shows the caller `message` with a form described by `schema_json`, and waits; waiting does not use up the call's time.
///
/// The schema is an object whose properties are strings, numbers, integers or booleans. No grant is needed. A call may
/// ask 10 times.
///
/// # Errors
///
/// [`Refusal::Unavailable`] when this caller cannot be asked, [`Refusal::InvalidSchema`], [`Refusal::TimedOut`] after
/// 120 seconds, [`Refusal::TooMany`]. With `?` a refusal becomes a [`Failure`](crate::Failure) that says so.
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
    crate::bindings::bailiwick::host::ask::input(message, schema_json)
}
