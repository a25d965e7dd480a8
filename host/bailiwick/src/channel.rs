//! The way back to whoever made a call: progress, and questions that only a person can answer.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use bailiwick_core::name::PluginName;

/// What a caller is able to hear and answer. Without a sender, there is no way back of that kind.
#[derive(Debug, Clone, Default)]
pub struct Channel {
    /// Where reports of progress go.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// Where questions go.
    pub questions: Option<mpsc::Sender<Question>>,
}

/// One report of progress, redacted.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Units of work done.
    pub done: f64,
    /// Units in all, where known.
    pub total: Option<f64>,
    /// What is being done.
    pub message: Option<String>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// The host itself: may this call run?
    Host,
    /// A plugin, in the middle of its call.
    Plugin(PluginName),
}

/// A question for a person. Dropping `reply` counts as no answer.
#[derive(Debug)]
pub struct Question {
    /// Who asks.
    pub from: Asker,
    /// The question.
    pub message: String,
    /// A JSON Schema object with flat properties; empty for a plain yes or no.
    pub schema: Value,
    /// For how long it stands, if it asks whether a call may run. Then an answer may hold `arguments` to run with instead,
    /// and `minutes` for which it is to hold.
    pub approval: Option<Duration>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Yes, with the fields the schema asks for.
    Accepted(Value),
    /// No.
    Declined,
    /// Closed without an answer.
    Cancelled,
    /// It turned out that this caller cannot be asked.
    Unavailable,
}

impl Channel {
    /// Asks and waits; `Unavailable` when there is nobody to ask.
    pub async fn ask(&self, from: Asker, message: String, schema: Value) -> Answer {
        self.put(|reply| Question { from, message, schema, approval: None, reply }).await
    }

    /// Asks whether a call may run, and waits; `Unavailable` when there is nobody to ask. Whoever calls gives up after
    /// `time`.
    pub async fn ask_for_approval(&self, message: String, time: Duration) -> Answer {
        let (from, schema) = (Asker::Host, json!({"type": "object", "properties": {}}));
        self.put(|reply| Question { from, message, schema, approval: Some(time), reply }).await
    }

    async fn put(&self, question: impl FnOnce(oneshot::Sender<Answer>) -> Question) -> Answer {
        let Some(questions) = &self.questions else { return Answer::Unavailable };
        let (reply, answer) = oneshot::channel();
        if questions.send(question(reply)).await.is_err() {
            return Answer::Unavailable;
        }
        answer.await.unwrap_or(Answer::Cancelled)
    }
}
