//! The bodies of a request and its answer: counted, timed and masked while they pass, never held whole.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, WasiBody};

use bailiwick_core::redact;

use super::fault;
use super::head;
use super::pool::Lease;
use crate::context::CallContext;

/// A guest's request body, up to `limits.http_request_body`. Its trailers are left out: no grant covers them.
pub(super) struct RequestBody {
    inner: WasiBody,
    call: Arc<CallContext>,
    left: u64,
    /// Set once the connection is done with the body, however that came.
    over: Arc<AtomicBool>,
}

impl RequestBody {
    pub(super) fn new(inner: WasiBody, call: &Arc<CallContext>) -> Self {
        let left = call.effective.limits.http_request_body;
        Self { inner, call: Arc::clone(call), left, over: Arc::default() }
    }

    /// Becomes true when the connection is done with the body.
    pub(super) fn over(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.over)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

/// Notes that a request body is too large, and says so to the guest.
pub(super) fn request_too_large(call: &CallContext) -> Error {
    let limit = call.effective.limits.http_request_body;
    let message = format!("`{}` sent a request body of more than {limit} bytes", call.tool);
    fault::over_limit(call, "http_request_body", message);
    Error::HttpRequestBodySize(Some(limit))
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)) else { return Poll::Ready(None) };
        let data = match frame.map(Frame::into_data) {
            Ok(Ok(data)) => data,
            Ok(Err(_trailers)) => return Poll::Ready(None),
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        match self.left.checked_sub(data.len() as u64) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err(request_too_large(&self.call)))),
        }
        self.call.ledger.http_sent.fetch_add(data.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer, up to `limits.http_response_body`, with the plugin's secrets masked. Holds the connection:
/// dropping it closes the connection, reading it to its end gives the connection back.
pub(super) struct ResponseBody {
    incoming: Incoming,
    call: Arc<CallContext>,
    left: u64,
    /// The longest silence; counted from the moment the guest waits, so that a slow reader is not taken for a slow
    /// server.
    between_bytes: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    /// What may be the start of a secret.
    held: redact::Held,
    trailers: Option<HeaderMap>,
    lease: Option<Lease>,
}

impl ResponseBody {
    pub(super) fn new(incoming: Incoming, call: &Arc<CallContext>, between_bytes: Duration, lease: Lease) -> Self {
        let mut body = Self {
            incoming,
            call: Arc::clone(call),
            left: call.effective.limits.http_response_body,
            between_bytes,
            silence: None,
            held: redact::Held::default(),
            trailers: None,
            lease: Some(lease),
        };
        body.finish_if_read();
        body
    }

    /// A guest that knows the length may not ask for what comes after the last byte.
    fn finish_if_read(&mut self) {
        if self.incoming.is_end_stream() {
            self.finish(None);
        }
    }

    /// What can be passed on of the next piece; nothing when all of it may be part of a secret.
    fn pass(&mut self, data: Bytes) -> Result<Bytes, Error> {
        let Some(left) = self.left.checked_sub(data.len() as u64) else {
            let limit = self.call.effective.limits.http_response_body;
            let message = format!("`{}` was sent a response body of more than {limit} bytes", self.call.tool);
            fault::over_limit(&self.call, "http_response_body", message);
            return Err(Error::HttpResponseBodySize(Some(limit)));
        };
        self.left = left;
        self.call.ledger.http_received.fetch_add(data.len() as u64, Ordering::Relaxed);
        let redactor = self.call.redactor();
        Ok(if redactor.is_empty() { data } else { redact::push(redactor, &mut self.held, &data).into() })
    }

    /// The body is at its end: the connection can serve another request.
    fn finish(&mut self, trailers: Option<HeaderMap>) {
        self.trailers = trailers.map(|trailers| head::redacted(self.call.redactor(), &trailers));
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    /// The body broke off: the connection is of no more use.
    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.call.ledger.note_trouble(fault::code(&error));
        drop(self.held.take());
        self.lease = None;
        Poll::Ready(Some(Err(error)))
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let between_bytes = self.between_bytes;
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(between_bytes)));
        silence.as_mut().poll(cx)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while self.lease.is_some() {
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(self.poll_silence(cx));
                    return self.fail(Error::ConnectionReadTimeout);
                }
            };
            self.silence = None;
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => self.finish(None),
                Some(Err(error)) => return self.fail(fault::http(&error)),
                Some(Ok(Err(trailers))) => self.finish(trailers.into_trailers().ok()),
                Some(Ok(Ok(data))) => match self.pass(data) {
                    Ok(data) => {
                        self.finish_if_read();
                        if !data.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(data))));
                        }
                    }
                    Err(error) => return self.fail(error),
                },
            }
        }
        if !self.held.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(self.held.take().into()))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}
