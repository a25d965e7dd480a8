//! Calls that wait for an answer between two requests, as 2026-07-28 has it: the first request ends with the question
//! and a `requestState`, the client sends the call again with both, and the call goes on where it was.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, ElicitResult, InputRequest, InputRequests, InputRequiredResult};
use tokio::time::Instant;

use super::call::Running;
use super::question;
use crate::channel::{Answer, Question};

/// Calls that may wait at once; one more, and the one that has waited longest is cancelled.
const MAX_PARKED: usize = 64;
/// Longer than a person has to answer (120 seconds), so that the client also learns that time ran out.
const PATIENCE: Duration = Duration::from_secs(150);
/// The name of our only question among a result's `inputRequests`.
const KEY: &str = "question";

/// The calls that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Parked(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    state: String,
    until: Instant,
    call: Running,
    question: Question,
}

/// What a request that names a `requestState` came to.
#[derive(Debug)]
pub(super) enum Resumed {
    /// The call has its answer.
    Call(Running),
    /// The answer is still missing.
    Waiting(InputRequiredResult),
}

impl Parked {
    /// Lets `call` wait for the answer to `question`, and gives what tells the client so. When the question cannot be
    /// asked, the call is given back and has been told.
    pub(super) fn park(&self, call: Running, question: Question) -> Result<InputRequiredResult, Running> {
        let Some((form, state)) = question::form(&question).zip(new_state()) else {
            let _ = question.reply.send(Answer::Unavailable);
            return Err(call);
        };
        let mut entries = self.entries();
        if entries.len() >= MAX_PARKED {
            let oldest = entries.remove(0);
            tracing::warn!(call = %oldest.call.id, "too many calls wait for an answer; the oldest is cancelled");
        }
        entries.push(Entry { state: state.clone(), until: Instant::now() + PATIENCE, call, question });
        let requests = InputRequests::from([(KEY.to_owned(), InputRequest::Elicitation(form))]);
        Ok(InputRequiredResult::new(Some(requests), Some(state)))
    }

    /// Answers the question of the call behind `state`.
    ///
    /// # Errors
    /// When there is none, `request` is another call, or its answer cannot be read; the call goes on waiting.
    pub(super) fn resume(&self, state: &str, request: &CallToolRequestParams) -> Result<Resumed, ErrorData> {
        let mut entries = self.entries();
        let waiting = entries.iter().position(|entry| entry.state == state && entry.until > Instant::now());
        let index = waiting.ok_or_else(|| invalid("`requestState` is unknown or has expired; make the call again without it"))?;
        if !entries[index].call.is(request) {
            return Err(invalid("`requestState` belongs to another call"));
        }
        let answer = request.input_responses.as_ref().and_then(|responses| responses.get(KEY));
        let answer = answer.map(|answer| serde_json::from_value::<ElicitResult>(answer.clone())).transpose();
        let answer = answer.map_err(|error| invalid(format!("`inputResponses.{KEY}` is not an elicitation result: {error}")))?;
        let Entry { call, question, .. } = entries.remove(index);
        drop(entries);
        match answer {
            Some(result) => {
                // Whoever asked may have given up; then the call is over and its outcome says so.
                let _ = question.reply.send(question::answer(result));
                Ok(Resumed::Call(call))
            }
            None => Ok(self.park(call, question).map_or_else(Resumed::Call, Resumed::Waiting)),
        }
    }

    /// Cancels what has waited too long.
    pub(super) fn expire(&self) {
        let now = Instant::now();
        self.entries().retain(|entry| entry.until > now);
    }

    /// Cancels everything.
    pub(super) fn clear(&self) {
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn invalid(message: impl Into<String>) -> ErrorData {
    ErrorData::invalid_params(message.into(), None)
}

/// 128 random bits; none when the machine has none to give.
fn new_state() -> Option<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).ok()?;
    Some(hex::encode(bits))
}
