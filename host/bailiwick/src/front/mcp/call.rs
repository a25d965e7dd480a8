//! One `tools/call` from its start to its answer, with what is said on the way.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, GetPromptRequestParams, InputRequiredResult, InputResponses, JsonObject,
    LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, RequestMetaObject,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use bailiwick_core::call::{Call, CallId};
use bailiwick_core::context::Conversation;
use bailiwick_core::outcome::{Code, Failure, Outcome};

use super::desk::Asker;
use super::parked::Parking;
use super::question::{Manner, able, ask};
use super::seen::Origin;
use super::wire::Vocabulary;
use super::{Connection, wire};
use crate::channel::{Able, Answer, Channel, LogLine, LogSink, Progress, Question};
use crate::host::Host;
use crate::telemetry::Span;

/// Reports of progress that wait for a slow client; the context sends ten in a second at most and drops the rest.
const MAX_REPORTS: usize = 64;
/// Lines of a plugin's log that do; the rest is dropped as well.
const MAX_LINES: usize = 64;

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tool,
    Prompt,
}

/// What came of a call.
#[derive(Debug)]
pub(super) enum Told {
    Tool(Outcome),
    Prompt(Result<Conversation, Failure>),
}

impl Told {
    fn failed(kind: Kind, code: Code, why: &str) -> Self {
        let failure = Failure::new(code, why);
        match kind {
            Kind::Tool => Self::Tool(Outcome::failed(failure)),
            Kind::Prompt => Self::Prompt(Err(failure)),
        }
    }

    fn cancelled(kind: Kind) -> Self {
        Self::failed(kind, Code::Cancelled, "the call was cancelled")
    }

    /// The log has it already: where a panic happens, it is written.
    fn crashed(kind: Kind, id: &CallId) -> Self {
        tracing::error!(call = %id, "the call crashed");
        Self::failed(kind, Code::Internal, "the call crashed inside the host; the host's log says more")
    }

    /// What a call of a tool is answered with.
    ///
    /// # Errors
    /// As [`wire::answer`].
    pub(super) fn of_tool(self, vocabulary: Vocabulary) -> Result<CallToolResult, ErrorData> {
        match self {
            Self::Tool(outcome) => wire::answer(outcome, vocabulary),
            Self::Prompt(_) => Err(ErrorData::internal_error("a tool gave a prompt", None)),
        }
    }

    /// Why it failed, if it did.
    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Tool(outcome) => outcome.result.is_err().then(|| outcome.code()),
            Self::Prompt(made) => made.as_ref().err().map(|failure| failure.code.as_str()),
        }
    }
}

/// What a request gets for waiting.
#[derive(Debug)]
pub(super) enum Attended {
    Told(Told),
    /// The call waits for an answer; this asks for it.
    Asks(InputRequiredResult),
}

/// What a request asks for, and what it answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'r> {
    pub(super) kind: Kind,
    pub(super) name: &'r str,
    pub(super) arguments: Option<&'r JsonObject>,
    pub(super) state: Option<&'r str>,
    pub(super) responses: Option<&'r InputResponses>,
}

impl<'r> From<&'r CallToolRequestParams> for Asked<'r> {
    fn from(request: &'r CallToolRequestParams) -> Self {
        Self {
            kind: Kind::Tool,
            name: &request.name,
            arguments: request.arguments.as_ref(),
            state: request.request_state.as_deref(),
            responses: request.input_responses.as_ref(),
        }
    }
}

impl<'r> From<&'r GetPromptRequestParams> for Asked<'r> {
    fn from(request: &'r GetPromptRequestParams) -> Self {
        Self {
            kind: Kind::Prompt,
            name: &request.name,
            arguments: request.arguments.as_ref(),
            state: request.request_state.as_deref(),
            responses: request.input_responses.as_ref(),
        }
    }
}

/// A call under way. Dropping it cancels the call.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: CallId,
    kind: Kind,
    tool: String,
    /// A JSON object.
    arguments: String,
    task: Task,
    progress: mpsc::Receiver<Progress>,
    questions: mpsc::Receiver<Question>,
    log: mpsc::Receiver<LogLine>,
}

impl Running {
    /// A call that never ends, for tests.
    #[cfg(test)]
    pub(super) fn endless(tool: &str) -> Self {
        Self {
            id: CallId::new("test-0"),
            kind: Kind::Tool,
            tool: tool.to_owned(),
            arguments: "{}".to_owned(),
            task: Task(tokio::spawn(std::future::pending())),
            progress: mpsc::channel(1).1,
            questions: mpsc::channel(1).1,
            log: mpsc::channel(1).1,
        }
    }

    /// A question with those that are asked together with it.
    async fn together(&mut self, first: Question) -> Vec<Question> {
        let mut questions = vec![first];
        while questions.last().is_some_and(|last| last.more > 0) {
            let Some(next) = self.questions.recv().await else { break };
            questions.push(next);
        }
        questions
    }

    /// Whether a request asks for this same call.
    pub(super) fn is(&self, asked: &Asked<'_>) -> bool {
        let same =
            |given: &JsonObject| serde_json::from_str(&self.arguments).is_ok_and(|own: JsonObject| own == *given);
        let same = asked.arguments.map_or(self.arguments == "{}", same);
        self.kind == asked.kind && self.tool == asked.name && same
    }
}

/// The task a call runs in: it outlives the request when the call waits for an answer.
#[derive(Debug)]
struct Task(JoinHandle<Told>);

impl Future for Task {
    type Output = Result<Told, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Starts a call.
    pub(super) fn start(&self, asker: &Asker, asked: Asked<'_>, context: &RequestContext<RoleServer>) -> Running {
        let (progress, reports) = mpsc::channel(MAX_REPORTS);
        let (questions, open) = mpsc::channel(1);
        let (lines, log) = mpsc::channel(MAX_LINES);
        let channel = Channel {
            progress: context.meta.get_progress_token().map(|_| progress),
            questions: (Manner::of(context) != Manner::Never).then_some(questions),
            able: able(context),
            log: self.least(context).map(|least| LogSink { least: wire::level(least), lines }),
            owner: asker.owner.clone(),
            clock: None,
        };
        let (kind, call, span) = self.read(asker, asked, context.into());
        let (id, tool, arguments) = (call.id.clone(), call.tool.clone(), call.arguments.clone());
        let (host, under_way, revoked) = (Arc::clone(&self.host), self.life.enter(), asker.revoked.clone());
        let task = Task(tokio::spawn(async move {
            let _under_way = under_way;
            told(&host, kind, call, channel, &revoked, span).await
        }));
        Running { id, kind, tool, arguments, task, progress: reports, questions: open, log }
    }

    /// Runs a call that nothing can be heard of on the way: it needs no task of its own to be listened to.
    pub(super) async fn run(
        &self,
        asker: &Asker,
        asked: Asked<'_>,
        origin: Origin<'_>,
        cancelled: &CancellationToken,
    ) -> Told {
        let (kind, call, span) = self.read(asker, asked, origin);
        let id = call.id.clone();
        let channel = Channel { able: Able::NOTHING, owner: asker.owner.clone(), ..Channel::default() };
        let running = told(&self.host, kind, call, channel, &asker.revoked, span);
        let told = tokio::select! {
            biased;
            () = cancelled.cancelled() => Told::cancelled(kind),
            () = self.life.over() => Told::cancelled(kind),
            // A call that crashes takes nothing with it.
            told = AssertUnwindSafe(running).catch_unwind() => told.unwrap_or_else(|_| Told::crashed(kind, &id)),
        };
        asker.keep(&id, &told);
        told
    }

    fn read(&self, asker: &Asker, asked: Asked<'_>, origin: Origin<'_>) -> (Kind, Call, Span) {
        let (kind, tool, caller) = (asked.kind, asked.name.to_owned(), Arc::clone(&asker.caller));
        let span = match kind {
            Kind::Tool => self.seen_call(&tool, &caller, origin),
            Kind::Prompt => self.seen("prompts/get", origin),
        };
        let arguments = asked.arguments.map_or_else(|| "{}".to_owned(), json);
        let (id, trace, session) = (self.host.new_call_id(), span.place().cloned(), self.session());
        (kind, Call { id, tool, arguments, caller, trace, session }, span)
    }

    /// The least that a line of the log has to matter for this client to be sent it; none where it asked for none.
    pub(super) fn least(&self, context: &RequestContext<RoleServer>) -> Option<LoggingLevel> {
        if Vocabulary::of(context).stateless { context.meta.log_level() } else { *self.log_level() }
    }

    /// Waits for a call, passing on what it says, until it is done, has a question or is cancelled.
    pub(super) async fn attend(
        &self,
        asker: &Asker,
        mut call: Running,
        given: Option<&InputResponses>,
        context: &RequestContext<RoleServer>,
    ) -> Attended {
        let manner = Manner::of(context);
        let mut open = FuturesUnordered::new();
        let outcome = loop {
            tokio::select! {
                biased;
                () = context.ct.cancelled() => break None,
                () = self.life.over() => break None,
                Some(progress) = call.progress.recv() => report(context, progress).await,
                Some(line) = call.log.recv() => tell(context, line).await,
                Some(question) = call.questions.recv() => {
                    let questions = call.together(question).await;
                    match manner {
                        Manner::Request => open.extend(questions.into_iter().map(|one| ask(&context.peer, one))),
                        Manner::Result if self.life.is_open() => match asker.desk.parked.park(call, questions, given) {
                            Parking::Waits(result) => return Attended::Asks(result),
                            Parking::GoesOn(told) => call = told,
                        },
                        Manner::Result | Manner::Never => {
                            questions.into_iter().for_each(|one| drop(one.reply.send(Answer::Unavailable)));
                        }
                    }
                },
                Some(()) = open.next() => {}
                outcome = &mut call.task => break Some(outcome),
            }
        };
        // Questions that are still open take themselves back: with the call, whoever waited for an answer is gone.
        call.task.0.abort();
        let answered = async { while open.next().await.is_some() {} };
        let told = match outcome {
            Some(outcome) => {
                while let Ok(progress) = call.progress.try_recv() {
                    report(context, progress).await;
                }
                while let Ok(line) = call.log.try_recv() {
                    tell(context, line).await;
                }
                outcome.unwrap_or_else(|_| Told::crashed(call.kind, &call.id))
            }
            None => {
                // Once the task is gone, the call is recorded. rmcp drops the answer if the client cancelled.
                let _ = (&mut call.task).await;
                Told::cancelled(call.kind)
            }
        };
        answered.await;
        asker.keep(&call.id, &told);
        Attended::Told(told)
    }
}

/// Whether a client can be told or asked anything before its answer: with what its request says, what it can be asked,
/// and the lines of the log that it wants.
pub(super) fn can_hear(meta: Option<&RequestMetaObject>, able: Able, log: Option<LoggingLevel>) -> bool {
    able != Able::NOTHING || log.is_some() || meta.is_some_and(|meta| meta.get_progress_token().is_some())
}

/// Tells the client how far the call is. The next thing is sent only once this is written.
async fn report(context: &RequestContext<RoleServer>, progress: Progress) {
    let Some(token) = context.meta.get_progress_token() else { return };
    let mut report = ProgressNotificationParam::new(token, progress.done);
    report.total = progress.total;
    report.message = progress.message;
    // A client that is gone needs no report, and the end of the connection ends the call.
    let _ = context.peer.notify_progress(report).await;
}

/// Passes a line of a plugin's log on. It belongs to this request, like everything that is said here.
async fn tell(context: &RequestContext<RoleServer>, line: LogLine) {
    let message = LoggingMessageNotificationParam::new(wire::logging_level(line.level), Value::String(line.text));
    // As with progress.
    let _ = context.peer.notify_logging_message(message.with_logger(line.plugin.to_string())).await;
}

/// Runs a call for as long as its caller may.
async fn told(
    host: &Host,
    kind: Kind,
    call: Call,
    channel: Channel,
    revoked: &CancellationToken,
    mut span: Span,
) -> Told {
    let run = async {
        match kind {
            Kind::Tool => Told::Tool(host.call(call, channel).await),
            Kind::Prompt => Told::Prompt(host.prompt(call, channel).await),
        }
    };
    let told = tokio::select! {
        biased;
        () = revoked.cancelled() => Told::failed(kind, Code::Cancelled, "the key of this call was revoked"),
        told = run => told,
    };
    if let Some(code) = told.code() {
        span.fail(code);
    }
    told
}

fn json(arguments: &JsonObject) -> String {
    serde_json::to_string(arguments).unwrap_or_else(|_| unreachable!("a JSON object has a text"))
}
