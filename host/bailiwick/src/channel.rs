//! The way back to whoever made a call: progress, lines of its log, and questions that only the caller can answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tracing::Level;

use bailiwick_core::context::Role;
use bailiwick_core::name::PluginName;

use crate::artifact::Owner;
use crate::deadline::Deadline;

/// What a caller is able to hear and answer. Without a sender, there is no way back of that kind.
#[derive(Debug, Clone, Default)]
pub struct Channel {
    /// Where reports of progress go.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// Where questions go.
    pub questions: Option<mpsc::Sender<Question>>,
    /// Which questions can be answered there.
    pub able: Able,
    /// Where lines of the log go.
    pub log: Option<LogSink>,
    /// Who can use what the call leaves, and whose artifacts it can use.
    pub owner: Owner,
    /// The time of the call that made this one, if one did: it stands still while somebody is asked.
    pub clock: Option<Arc<Deadline>>,
}

/// The kinds of questions that a caller who can be asked at all can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Able {
    /// Forms.
    pub input: bool,
    /// What its model says.
    pub sample: bool,
    /// Where it works.
    pub roots: bool,
}

impl Able {
    /// None of them.
    pub const NOTHING: Self = Self { input: false, sample: false, roots: false };
}

impl Default for Able {
    /// Forms: those a person can answer.
    fn default() -> Self {
        Self { input: true, sample: false, roots: false }
    }
}

/// A caller who asked for what its calls log.
#[derive(Debug, Clone)]
pub struct LogSink {
    /// The least a line has to matter.
    pub least: Level,
    /// Where they go; a caller who does not listen loses them.
    pub lines: mpsc::Sender<LogLine>,
}

/// One line that a plugin logged, redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// Whose it is.
    pub plugin: PluginName,
    /// The line.
    pub text: String,
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

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Matter {
    /// A form for a person.
    Form {
        /// The question.
        message: String,
        /// A JSON Schema object with flat properties; empty for a plain yes or no.
        schema: Value,
    },
    /// A word from the caller's model.
    Sample(Sampling),
    /// Where the caller works.
    Roots,
}

/// What a model is asked, redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampling {
    /// The conversation so far.
    pub messages: Vec<(Role, String)>,
    /// What the model should keep to.
    pub system: Option<String>,
    /// The most tokens of its answer.
    pub max_tokens: u32,
}

/// A question for the caller. Dropping `reply` counts as no answer.
#[derive(Debug)]
pub struct Question {
    /// Who asks.
    pub from: Asker,
    /// What the asker calls it; different from those of other questions that are open.
    pub key: String,
    /// What is asked.
    pub matter: Matter,
    /// For how long it stands, if it asks whether a call may run. Then an answer may hold `arguments` to run with instead,
    /// and `minutes` for which it is to hold.
    pub approval: Option<Duration>,
    /// So many questions follow at once that are asked together with this one.
    pub more: usize,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

impl Question {
    /// What a person would read.
    #[must_use]
    pub fn message(&self) -> &str {
        match &self.matter {
            Matter::Form { message, .. } => message,
            Matter::Sample(_) => "may your model say something?",
            Matter::Roots => "where do you work?",
        }
    }
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Yes. For a form its fields; for a model `text`, `model` and, if known, `stopReason`; for roots a list of objects with
    /// a `uri` and, if there is one, a `name`.
    Accepted(Value),
    /// No.
    Declined,
    /// Closed without an answer.
    Cancelled,
    /// It turned out that this caller cannot be asked.
    Unavailable,
}

/// The key of a question that has no other: of the host's, and of a plugin's that asks one thing.
pub const KEY: &str = "question";

impl Channel {
    /// Whether this can be asked.
    #[must_use]
    pub fn can(&self, matter: &Matter) -> bool {
        let able = self.able();
        match matter {
            Matter::Form { .. } => able.input,
            Matter::Sample(_) => able.sample,
            Matter::Roots => able.roots,
        }
    }

    /// What can be asked.
    #[must_use]
    pub fn able(&self) -> Able {
        if self.questions.is_some() { self.able } else { Able::NOTHING }
    }

    /// Asks with a form and waits; `Unavailable` when there is nobody to ask.
    pub async fn ask(&self, from: Asker, message: String, schema: Value) -> Answer {
        let asked = vec![(KEY.to_owned(), Matter::Form { message, schema })];
        self.ask_all(&from, asked).await.pop().unwrap_or(Answer::Unavailable)
    }

    /// Asks whether a call may run, and waits; `Unavailable` when there is nobody to ask. Whoever calls gives up after
    /// `time`.
    pub async fn ask_for_approval(&self, message: String, time: Duration) -> Answer {
        let Some(questions) = self.questions.as_ref().filter(|_| self.able.input) else { return Answer::Unavailable };
        let (reply, answer) = oneshot::channel();
        let matter = Matter::Form { message, schema: json!({"type": "object", "properties": {}}) };
        let (key, approval) = (KEY.to_owned(), Some(time));
        let question = Question { from: Asker::Host, key, matter, approval, more: 0, reply };
        if questions.send(question).await.is_err() {
            return Answer::Unavailable;
        }
        answer.await.unwrap_or(Answer::Cancelled)
    }

    /// Asks several things together and waits for all answers, which come in the same order.
    pub async fn ask_all(&self, from: &Asker, asked: Vec<(String, Matter)>) -> Vec<Answer> {
        let count = asked.len();
        let Some(questions) = &self.questions else { return vec![Answer::Unavailable; count] };
        let mut answers = Vec::with_capacity(count);
        for (index, (key, matter)) in asked.into_iter().enumerate() {
            let (reply, answer) = oneshot::channel();
            if !self.can(&matter) {
                return vec![Answer::Unavailable; count];
            }
            let more = count - index - 1;
            let question = Question { from: from.clone(), key, matter, approval: None, more, reply };
            if questions.send(question).await.is_err() {
                return vec![Answer::Unavailable; count];
            }
            answers.push(answer);
        }
        let answers = answers.into_iter().map(|answer| async move { answer.await.unwrap_or(Answer::Cancelled) });
        futures::future::join_all(answers).await
    }
}
