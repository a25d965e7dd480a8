//! `bailiwick:host/log`, and what a guest writes to standard output and standard error: all of it becomes log lines.
//! A guest never writes to the host's own streams.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::context::CallContext;
use crate::runtime::bindings::bailiwick::host::log;
use crate::runtime::state::State;

/// Longest line kept in one piece; a longer one is logged in parts.
const MAX_LINE: usize = 4096;

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Trace => Level::TRACE,
            log::Level::Debug => Level::DEBUG,
            log::Level::Info => Level::INFO,
            log::Level::Warn => Level::WARN,
            log::Level::Error => Level::ERROR,
        };
        self.call.say(level, &message);
    }
}

/// A standard stream of a guest: lines go to the log.
#[derive(Clone)]
pub(in crate::runtime) struct LogStream {
    level: Level,
    call: Arc<CallContext>,
    line: Arc<Mutex<Vec<u8>>>,
}

impl LogStream {
    pub(in crate::runtime) fn new(level: Level, call: &Arc<CallContext>) -> Self {
        Self { level, call: Arc::clone(call), line: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            if *byte == b'\n' || line.len() >= MAX_LINE {
                self.emit(&mut line);
            }
            if *byte != b'\n' {
                line.push(*byte);
            }
        }
    }

    fn emit(&self, line: &mut Vec<u8>) {
        if !line.is_empty() {
            self.call.log(self.level, &String::from_utf8_lossy(line));
            line.clear();
        }
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        // The last handle logs a line that has no end.
        if Arc::strong_count(&self.line) == 1 {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            self.emit(&mut line);
        }
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
