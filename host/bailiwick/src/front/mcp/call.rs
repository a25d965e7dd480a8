//! One `tools/call` from its start to its answer, with what is said on the way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use rmcp::model::{CallToolRequestParams, CallToolResponse, JsonObject, ProgressNotificationParam};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use bailiwick_core::call::{Call, CallId};
use bailiwick_core::outcome::{Code, Failure, Outcome};

use super::desk::Asker;
use super::parked::Parking;
use super::question::{Manner, ask};
use super::wire::Vocabulary;
use super::{Connection, wire};
use crate::channel::{Answer, Channel, Progress, Question};

/// Reports of progress that wait for a slow client; the context sends ten in a second at most and drops the rest.
const MAX_REPORTS: usize = 64;

/// A call under way. Dropping it cancels the call.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: CallId,
    tool: String,
    arguments: JsonObject,
    task: Task,
    progress: mpsc::Receiver<Progress>,
    questions: mpsc::Receiver<Question>,
}

impl Running {
    /// A call that never ends, for tests.
    #[cfg(test)]
    pub(super) fn endless(tool: &str) -> Self {
        Self {
            id: CallId::new("test-0"),
            tool: tool.to_owned(),
            arguments: JsonObject::new(),
            task: Task(tokio::spawn(std::future::pending())),
            progress: mpsc::channel(1).1,
            questions: mpsc::channel(1).1,
        }
    }

    /// Whether `request` asks for this same call.
    pub(super) fn is(&self, request: &CallToolRequestParams) -> bool {
        let arguments = request.arguments.as_ref();
        self.tool == request.name && arguments.map_or(self.arguments.is_empty(), |given| *given == self.arguments)
    }
}

/// The task a call runs in: it outlives the request when the call waits for an answer.
#[derive(Debug)]
struct Task(JoinHandle<Outcome>);

impl Future for Task {
    type Output = Result<Outcome, JoinError>;

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
    pub(super) fn start(
        &self,
        asker: &Asker,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Running {
        let (progress, reports) = mpsc::channel(MAX_REPORTS);
        let (questions, asked) = mpsc::channel(1);
        let channel = Channel {
            progress: context.meta.get_progress_token().map(|_| progress),
            questions: (Manner::of(context) != Manner::Never).then_some(questions),
            ..Channel::default()
        };
        let id = self.host.new_call_id();
        let tool = request.name.into_owned();
        let arguments = request.arguments.unwrap_or_default();
        let text = serde_json::to_string(&arguments).unwrap_or_else(|_| unreachable!("a JSON object has a text"));
        let (caller, mut span) = (Arc::clone(&asker.caller), self.seen_call(&tool, &asker.caller, context));
        let trace = span.place().cloned();
        let call = Call { id: id.clone(), tool: tool.clone(), arguments: text, caller, trace };
        let host = Arc::clone(&self.host);
        let under_way = self.life.enter();
        let revoked = asker.revoked.clone();
        let task = Task(tokio::spawn(async move {
            let _under_way = under_way;
            let outcome = tokio::select! {
                biased;
                () = revoked.cancelled() => {
                    Outcome::failed(Failure::new(Code::Cancelled, "the key of this call was revoked"))
                }
                outcome = host.call(call, channel) => outcome,
            };
            if outcome.result.is_err() {
                span.fail(outcome.code());
            }
            outcome
        }));
        Running { id, tool, arguments, task, progress: reports, questions: asked }
    }

    /// Waits for a call, passing on what it says, until it is done, has a question or is cancelled.
    pub(super) async fn attend(
        &self,
        asker: &Asker,
        mut call: Running,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let manner = Manner::of(context);
        let mut open = FuturesUnordered::new();
        let outcome = loop {
            tokio::select! {
                biased;
                () = context.ct.cancelled() => break None,
                () = self.life.over() => break None,
                Some(progress) = call.progress.recv() => report(context, progress).await,
                Some(question) = call.questions.recv() => match manner {
                    Manner::Request => open.push(ask(&context.peer, question)),
                    Manner::Result if self.life.is_open() => match asker.desk.parked.park(call, question) {
                        Parking::Waits(result) => return Ok(result.into()),
                        Parking::GoesOn(told) => call = told,
                    },
                    Manner::Result | Manner::Never => { let _ = question.reply.send(Answer::Unavailable); }
                },
                Some(()) = open.next() => {}
                outcome = &mut call.task => break Some(outcome),
            }
        };
        // Questions that are still open take themselves back: with the call, whoever waited for an answer is gone.
        call.task.0.abort();
        let answered = async { while open.next().await.is_some() {} };
        let outcome = match outcome {
            Some(outcome) => {
                while let Ok(progress) = call.progress.try_recv() {
                    report(context, progress).await;
                }
                outcome.unwrap_or_else(|error| crashed(&call.id, &error))
            }
            None => {
                // Once the task is gone, the call is recorded. rmcp drops the answer if the client cancelled.
                let _ = (&mut call.task).await;
                Outcome::failed(Failure::new(Code::Cancelled, "the call was cancelled"))
            }
        };
        answered.await;
        if let Ok(output) = &outcome.result {
            asker.desk.artifacts.note(&call.id, output);
        }
        wire::answer(outcome, Vocabulary::of(context)).map(CallToolResponse::from)
    }
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

fn crashed(id: &CallId, error: &JoinError) -> Outcome {
    tracing::error!(call = %id, %error, "the call crashed");
    Outcome::failed(Failure::new(Code::Internal, "the call crashed inside the host; the host's log says more"))
}
