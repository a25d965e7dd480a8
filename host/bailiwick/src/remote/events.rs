//! Events of a server's stream, each of a bounded length.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use rmcp::model::{ErrorData, RequestId, ServerJsonRpcMessage};
use sse_stream::{Error as SseError, Sse, SseStream};
use wasmtime_wasi_http::WasiBody;

use bailiwick_core::redact::Redactor;

use super::wire::{Broken, pieces};

/// The events of a body. One that is too long ends them, with an answer in the server's place to whoever waits: it would
/// come again if the stream were taken up again.
pub(super) fn events(
    body: WasiBody,
    mask: Option<Arc<Redactor>>,
    most: usize,
    asked: Option<RequestId>,
) -> BoxStream<'static, Result<Sse, SseError>> {
    let bounded = bounded(pieces(body, mask), most).boxed();
    let parsed = SseStream::from_bytes_stream(bounded);
    let start = (parsed, asked, false);
    stream::unfold(start, |(mut parsed, asked, over)| async move {
        if over {
            return None;
        }
        match parsed.next().await? {
            Err(SseError::Body(error)) => match (error.downcast::<Broken>(), asked.clone()) {
                (Ok(broken), Some(id)) if matches!(*broken, Broken::TooMuch(_)) => {
                    let answer = in_its_place(&broken, id);
                    Some((Ok(answer), (parsed, asked, true)))
                }
                (Ok(broken), _) => Some((Err(SseError::Body(broken)), (parsed, asked, true))),
                (Err(error), _) => Some((Err(SseError::Body(error)), (parsed, asked, true))),
            },
            event => Some((event, (parsed, asked, false))),
        }
    })
    .boxed()
}

fn in_its_place(broken: &Broken, id: RequestId) -> Sse {
    let error = ErrorData::internal_error(broken.to_string(), None);
    let message = ServerJsonRpcMessage::error(error, Some(id));
    Sse::default().data(serde_json::to_string(&message).unwrap_or_default())
}

/// The same pieces until an event is longer than `most`.
fn bounded(
    pieces: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static,
    most: usize,
) -> impl Stream<Item = Result<Bytes, Broken>> + Send + 'static {
    let start = (Box::pin(pieces), Length::default(), false);
    stream::unfold(start, move |(mut pieces, mut length, over)| async move {
        if over {
            return None;
        }
        let item = match pieces.next().await? {
            Ok(piece) if length.admits(&piece, most) => Ok(piece),
            Ok(_) => Err(Broken::too_long("an event", most)),
            Err(broken) => Err(broken),
        };
        let over = item.is_err();
        Some((item, (pieces, length, over)))
    })
}

/// How long an event is so far. An empty line ends it; a comment is none of it, but has a length too.
#[derive(Default)]
struct Length {
    event: usize,
    line: usize,
    is_comment: bool,
    after_return: bool,
}

impl Length {
    fn admits(&mut self, piece: &[u8], most: usize) -> bool {
        piece.iter().all(|byte| self.admits_byte(*byte, most))
    }

    fn admits_byte(&mut self, byte: u8, most: usize) -> bool {
        let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        match byte {
            // The second half of one line's end.
            b'\n' if after_return => {}
            b'\r' | b'\n' => {
                self.event = match (self.line, self.is_comment) {
                    (0, _) => 0,
                    (_, true) => self.event,
                    (line, false) => self.event + line + 1,
                };
                (self.line, self.is_comment) = (0, false);
            }
            _ => {
                self.is_comment |= self.line == 0 && byte == b':';
                self.line += 1;
            }
        }
        self.event + self.line <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, most: usize, expected: bool) {
        for size in [1, 2, 3, text.len().max(1)] {
            let mut length = Length::default();
            let fits = text.as_bytes().chunks(size).all(|piece| length.admits(piece, most));
            assert_eq!(fits, expected, "{text:?} in pieces of {size}");
        }
    }

    #[test]
    fn an_event_has_a_length_and_a_stream_has_none() {
        check(&"data: 1234\n\n".repeat(100), 11, true);
        check("data: 1234\n\n", 10, false);
        check(&"data: 1234\r\n\r\n".repeat(100), 11, true);
        check(&"data: 1234\r\r".repeat(100), 11, true);
        check(&"data: 1\n".repeat(100), 100, false);
        check(&": alive\n".repeat(100), 10, true);
        check(": a comment without an end", 10, false);
        check("data: without an end", 10, false);
    }
}
