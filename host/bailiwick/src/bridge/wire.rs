//! The two streams of a child: lines of JSON, read and written one at a time. rmcp is handed answers and questions only;
//! what a server says beside them is heard here, in its order. What is no message is passed over, up to a bound.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use rmcp::RoleClient;
use rmcp::model::{
    ClientJsonRpcMessage, CustomRequest, CustomResult, ErrorData, GetExtensions as _, GetMeta as _, JsonRpcMessage,
    PingRequest, ProgressToken, RequestId, ServerJsonRpcMessage, ServerRequest, ServerResult,
};
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::hear::{Ear, Flight};
use super::translate::taken;
use crate::keeper::Ended;

/// The longest line: rmcp's own bound. A server that writes more is broken or hostile.
const MAX_LINE: usize = 16 << 20;
/// Lines in a row that are no messages.
const MAX_BAD: u32 = 1_000;
/// Requests of the server's that wait for an answer.
const MAX_OPEN: u32 = 32;
/// Messages of a batch (2025-03-26).
const MAX_BATCH: usize = 1_000;
/// What a server may say beside answers before it has to wait, and for how long that is.
const BURST: u32 = 2_000;
const SPELL: Duration = Duration::from_millis(100);
/// Bytes there is room for when something is read.
const CHUNK: usize = 32 << 10;
/// A buffer that grew beyond this is given back once it is empty.
const USUAL: usize = 256 << 10;
/// How long the streams of a child that ended are read on: others may hold them open for ever.
const LAST_WORDS: Duration = Duration::from_millis(300);

pub(super) type Input = Box<dyn AsyncWrite + Send + Unpin>;
pub(super) type Output = Box<dyn AsyncRead + Send + Unpin>;

/// Where lines are written; nothing once it is closed.
pub(super) type Outlet = Arc<Mutex<Option<Input>>>;

/// The streams of one child.
pub(super) struct Wire {
    read: Output,
    write: Outlet,
    ended: watch::Receiver<Option<Ended>>,
    ear: Arc<Ear>,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line's end.
    looked: usize,
    waiting: VecDeque<ServerJsonRpcMessage>,
    bad: u32,
    open: Arc<AtomicU32>,
    pace: Pace,
    /// When the child was found to have ended, or to have closed its output.
    died: Option<Instant>,
    closed: bool,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("ear", &self.ear).finish_non_exhaustive()
    }
}

/// How much a server says beside answers.
#[derive(Debug)]
struct Pace {
    since: Instant,
    count: u32,
    until: Option<Instant>,
}

impl Pace {
    fn count(&mut self) {
        self.count += 1;
        if self.count >= BURST {
            let next = self.since + SPELL;
            self.until = (next > Instant::now()).then_some(next);
            (self.since, self.count) = (next.max(Instant::now()), 0);
        }
    }
}

impl Wire {
    pub(super) fn new(input: Input, output: Output, ended: watch::Receiver<Option<Ended>>, ear: &Arc<Ear>) -> Self {
        Self {
            read: output,
            write: Arc::new(Mutex::new(Some(input))),
            ended,
            ear: Arc::clone(ear),
            buffer: BytesMut::new(),
            looked: 0,
            waiting: VecDeque::new(),
            bad: 0,
            open: Arc::default(),
            pace: Pace { since: Instant::now(), count: 0, until: None },
            died: None,
            closed: false,
        }
    }

    /// Where it writes, for who has to close that.
    pub(super) fn outlet(&self) -> Outlet {
        Arc::clone(&self.write)
    }

    /// The next whole line that is here already.
    fn line(&mut self) -> Option<BytesMut> {
        match self.buffer[self.looked..].iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                let line = self.buffer.split_to(self.looked + at + 1);
                self.looked = 0;
                Some(line)
            }
            None => {
                self.looked = self.buffer.len();
                if self.buffer.is_empty() && self.buffer.capacity() > USUAL {
                    self.buffer = BytesMut::new();
                }
                None
            }
        }
    }

    /// Reads what there is. Cancelled in the middle, it has read nothing.
    async fn fill(&mut self) {
        if let Some(until) = self.pace.until {
            tokio::time::sleep_until(until).await;
            self.pace.until = None;
            return;
        }
        let last = self.died.map(|died| died + LAST_WORDS);
        let known = self.ended.borrow().is_some();
        if (self.closed && known) || last.is_some_and(|last| last <= Instant::now()) {
            return self.give_up();
        }
        if self.buffer.capacity() - self.buffer.len() < CHUNK {
            self.buffer.reserve(CHUNK);
        }
        let (closed, ended) = (self.closed, &mut self.ended);
        let read =
            async { if closed { std::future::pending().await } else { self.read.read_buf(&mut self.buffer).await } };
        // A sender that is gone says nothing about the child; its streams do.
        let dead = async {
            let told = !known && ended.wait_for(Option::is_some).await.is_ok();
            if !told {
                std::future::pending::<()>().await;
            }
        };
        let over = async {
            match last {
                Some(last) => tokio::time::sleep_until(last).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            count = read => if count.unwrap_or(0) == 0 {
                // How it ended is known in a moment.
                self.closed = true;
                self.died.get_or_insert_with(Instant::now);
            },
            () = dead => {
                self.died.get_or_insert_with(Instant::now);
            }
            () = over => {}
        }
    }

    fn give_up(&self) {
        let ended = *self.ended.borrow();
        self.ear.end(|| match ended {
            Some(ended) => ended.to_string(),
            None => "it closed its standard output".to_owned(),
        });
    }

    /// Takes a line apart. Messages for rmcp wait their turn.
    fn read_line(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if line.is_empty() {
            return self.pace.count();
        }
        let messages = match serde_json::from_slice(line) {
            Ok(Value::Array(batch)) if batch.len() <= MAX_BATCH => batch,
            Ok(one @ Value::Object(_)) => vec![one],
            Ok(_) | Err(_) => Vec::new(),
        };
        let mut understood = false;
        for message in messages {
            understood |= self.take(message).is_some();
        }
        if understood {
            self.bad = 0;
            return;
        }
        self.pace.count();
        self.bad += 1;
        if self.bad >= MAX_BAD {
            self.ear.end(|| format!("it wrote {MAX_BAD} lines to its standard output that are no messages"));
        }
    }

    /// Takes one message; none if it is none.
    fn take(&mut self, mut message: Value) -> Option<()> {
        let id = message.get_mut("id").map(Value::take);
        let id = id.and_then(|id| serde_json::from_value::<RequestId>(id).ok());
        let method = message["method"].as_str().map(str::to_owned);
        let params = message.get_mut("params").map(Value::take);
        match (method, id) {
            (Some(method), None) => {
                self.pace.count();
                self.notification(&method, &params.unwrap_or_default());
                Some(())
            }
            (Some(method), Some(id)) => {
                self.pace.count();
                self.request(method, params, id);
                Some(())
            }
            (None, Some(id)) => {
                let (result, error) =
                    (message.get_mut("result").map(Value::take), message.get_mut("error").map(Value::take));
                self.waiting.push_back(response(id, result, error));
                Some(())
            }
            // An error that answers nothing, for example to a line it could not read.
            (None, None) if message.get("error").is_some() => {
                self.pace.count();
                self.ear.log(Some("warning"), &message["error"]);
                let error = serde_json::from_value(taken(&mut message, "error"));
                let error = error.unwrap_or_else(|_| ErrorData::internal_error("an error without words", None));
                self.waiting.push_back(JsonRpcMessage::error(error, None));
                Some(())
            }
            (None, None) => None,
        }
    }

    fn notification(&self, method: &str, params: &Value) {
        match method {
            "notifications/progress" => {
                let token = serde_json::from_value::<ProgressToken>(params["progressToken"].clone());
                if let (Ok(token), Some(done)) = (token, params["progress"].as_f64()) {
                    self.ear.progress(&token, done, params["total"].as_f64(), params["message"].as_str());
                }
            }
            "notifications/message" => self.ear.log(params["level"].as_str(), &params["data"]),
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed" => self.ear.changed(),
            // The rest asks nothing of a client. A question that is taken back ends with its call.
            _ => {}
        }
    }

    fn request(&mut self, method: String, params: Option<Value>, id: RequestId) {
        if self.open.fetch_add(1, Ordering::SeqCst) >= MAX_OPEN {
            // Who asks so much at once gets no answer to the rest.
            self.open.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        let request = match method.as_str() {
            "ping" => {
                ServerRequest::PingRequest(PingRequest { method: Default::default(), extensions: Default::default() })
            }
            _ => ServerRequest::CustomRequest(CustomRequest::new(method, params)),
        };
        self.waiting.push_back(JsonRpcMessage::request(request, id));
    }
}

/// An answer. One that is two, or none, is an error.
fn response(id: RequestId, result: Option<Value>, error: Option<Value>) -> ServerJsonRpcMessage {
    let odd = |why: &'static str| JsonRpcMessage::error(ErrorData::internal_error(why, None), Some(id.clone()));
    match (result, error.filter(|error| !error.is_null())) {
        (Some(_), Some(_)) => odd("the server answered with a result and an error both"),
        (None, None) => odd("the server answered with neither a result nor an error"),
        (Some(result), None) => JsonRpcMessage::response(ServerResult::CustomResult(CustomResult(result)), id),
        (None, Some(error)) => match serde_json::from_value::<ErrorData>(error.clone()) {
            Ok(error) => JsonRpcMessage::error(error, Some(id)),
            Err(_) => {
                let said = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
                JsonRpcMessage::error(ErrorData::internal_error(said, None), Some(id))
            }
        },
    }
}

impl Transport<RoleClient> for Wire {
    type Error = io::Error;

    fn send(&mut self, item: ClientJsonRpcMessage) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let mut flight = None;
        let mut answers = false;
        match &item {
            JsonRpcMessage::Request(request) => {
                flight = request.request.extensions().get::<Flight>().cloned();
                if let Some(flight) = &flight {
                    self.ear.board(&request.id, request.request.get_meta().get_progress_token(), flight);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => answers = true,
            JsonRpcMessage::Notification(_) => {}
        }
        let (write, open) = (Arc::clone(&self.write), Arc::clone(&self.open));
        async move {
            let mut line = serde_json::to_vec(&item)?;
            line.push(b'\n');
            let mut write = write.lock().await;
            let sent = match write.as_mut() {
                None => Err(io::ErrorKind::NotConnected.into()),
                Some(write) => {
                    flight.iter().for_each(|flight| flight.mark(true));
                    match write.write_all(&line).await {
                        Ok(()) => write.flush().await,
                        failed @ Err(_) => failed,
                    }
                }
            };
            if sent.is_err() {
                // A pipe breaks when nobody reads it any more: the line has no end, and no reader.
                flight.iter().for_each(|flight| flight.mark(false));
            }
            if answers {
                open.fetch_sub(1, Ordering::SeqCst);
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Some(message);
            }
            if self.ear.why_over().is_some() {
                return None;
            }
            if self.pace.until.is_none()
                && let Some(line) = self.line()
            {
                self.read_line(&line);
            } else if self.buffer.len() > MAX_LINE {
                self.ear.end(|| format!("it wrote a line of more than {} MiB", MAX_LINE >> 20));
            } else {
                self.fill().await;
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.ear.end(|| "the connection was closed".to_owned());
        // Whoever writes still waits for a child that does not read.
        if let Ok(mut write) = self.write.try_lock() {
            *write = None;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
