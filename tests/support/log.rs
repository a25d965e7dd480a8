//! Everything the host logs in this process, at TRACE, as its own filter lets it through.
//!
//! Tests run side by side and share the log: each looks for words that only its own host can have written.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

static LINES: Mutex<String> = Mutex::new(String::new());
static START: Once = Once::new();

#[derive(Clone, Copy)]
struct Capture;

impl io::Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts to capture, once.
pub(crate) fn capture() {
    START.call_once(|| {
        // What dependencies say below INFO is left out here because `telemetry` leaves it out; `cli.rs` proves that.
        let ours = filter_fn(|line| line.target().starts_with("bailiwick") || line.target() == "plugin");
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Capture).with_filter(ours);
        tracing_subscriber::registry().with(layer).init();
    });
}

/// All lines that hold `word`.
pub(crate) fn lines_with(word: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
}

/// Everything so far.
pub(crate) fn everything() -> String {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
