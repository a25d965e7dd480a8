//! The log: what is written, how a line looks, and what never gets into it. It goes to standard error alone.
//!
//! Our own lines hold ids and sizes. Dependencies do not promise that: wasmtime-wasi traces the arguments of host
//! calls, hyper traces headers. So whatever level is asked for, theirs end at INFO.
//!
//! Nobody waits for the log once there are threads: from then on ([`write_aside`]) lines are written by a thread of their
//! own, and when nobody reads standard error, lines are dropped and counted, not calls.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use bailiwick_core::redact::{visible, visible_json};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Registry};

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: `04:05:06.789 WARN bailiwick::load: what happened field=value`.
    #[default]
    Text,
    /// For programs: one JSON object on each line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, Default)]
pub struct Logging {
    /// Which lines; read by [`filter`].
    pub level: String,
    /// How they look.
    pub format: Format,
    /// Targets that are left out, because whoever runs says the same in a better way.
    pub silent: &'static [&'static str],
}

/// Reads a level or a list such as `warn,bailiwick=debug`.
///
/// # Errors
/// A sentence that says what is legal.
pub fn filter(level: &str) -> Result<EnvFilter, String> {
    const LEGAL: &str = "write off, error, warn, info, debug or trace, or a list such as `warn,bailiwick=debug`";
    // A word alone that is no level would stand for a target of that name, and say nothing.
    let word = |part: &&str| !part.contains(['=', '[']) && part.parse::<LevelFilter>().is_err();
    if let Some(word) = level.split(',').map(str::trim).find(word) {
        return Err(format!("`{word}` is not a log level: {LEGAL}"));
    }
    // What a library says of messages that are refused, whoever refuses them says better; and at finer levels it says
    // what is in them.
    let quiet = level.split(',').all(|part| part.trim() != "off" && !part.trim().starts_with("rmcp"));
    let whole = if quiet { format!("rmcp=off,{level}") } else { level.to_owned() };
    EnvFilter::builder().parse(whole).map_err(|error| format!("`{level}` is not a log filter ({error}): {LEGAL}"))
}

/// Starts the log of this process.
///
/// # Errors
/// When there is one already, or the level cannot be read.
pub fn start(logging: &Logging) -> Result<(), LogError> {
    let silent = logging.silent;
    let wanted = filter(&logging.level)
        .map_err(LogError::Level)?
        .and(filter_fn(move |line| is_harmless(line) && !silent.contains(&line.target())));
    match logging.format {
        Format::Text => {
            let layer = tracing_subscriber::fmt::layer().event_format(Line).with_writer(Lines { json: false });
            Registry::default().with(layer.with_filter(wanted)).try_init()?;
        }
        Format::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(Lines { json: true });
            Registry::default().with(layer.with_filter(wanted)).try_init()?;
        }
    }
    Ok(())
}

/// From now on, lines are written by a thread of their own. It shares the confinement of the thread that says this.
pub fn write_aside() {
    let _ = Sink::get();
}

/// Waits until what was logged so far is written, at most for `patience`.
pub fn flush(patience: Duration) {
    let Some(sink) = SINK.get() else { return };
    let (done, wait) = sync_channel(1);
    if sink.sender.try_send(Said::Flush(done)).is_ok() {
        let _ = wait.recv_timeout(patience);
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level cannot be read.
    #[error("{0}")]
    Level(String),
    /// There is one already.
    #[error(transparent)]
    Taken(#[from] TryInitError),
}

/// Whether a line is one of ours, or of a level at which dependencies show no values.
fn is_harmless(line: &Metadata<'_>) -> bool {
    let ours =
        |name: &str| line.target().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    *line.level() <= Level::INFO || ["bailiwick", "bailiwick_core", "plugin"].into_iter().any(ours)
}

/// One event as one line, whatever its texts hold.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        let level = *event.metadata().level();
        let (bold, dim) = (style(level), Style::new().dimmed());
        let time = jiff::Timestamp::now().strftime("%H:%M:%S%.3f").to_string();
        let target = event.metadata().target();
        writeln!(line, "{dim}{time}{dim:#} {bold}{level:<5}{bold:#} {dim}{target}:{dim:#} {}", one_line(&fields))
    }
}

fn style(level: Level) -> Style {
    let colour = match level {
        Level::ERROR => AnsiColor::Red,
        Level::WARN => AnsiColor::Yellow,
        Level::INFO => AnsiColor::Green,
        Level::DEBUG => AnsiColor::Blue,
        Level::TRACE => AnsiColor::Magenta,
    };
    colour.on_default().bold()
}

/// Text that a terminal acts on is spelled out; further lines are set back, so that none passes for a line of its own.
fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\n    | ")
}

/// Lines that may wait to be written.
const BACKLOG: usize = 1024;

static SINK: OnceLock<Sink> = OnceLock::new();

/// The way to the thread that writes.
struct Sink {
    sender: SyncSender<Said>,
}

/// Lines that nobody was there to read.
static DROPPED: AtomicU64 = AtomicU64::new(0);

enum Said {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Sink {
    /// The only one of this process.
    fn get() -> &'static Self {
        SINK.get_or_init(|| {
            let (sender, said) = sync_channel(BACKLOG);
            // Without a thread there is nobody to receive, and every line counts as dropped.
            let _ =
                std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&said, anstream::stderr()));
            Self { sender }
        })
    }

    fn say(&self, line: Vec<u8>) {
        match self.sender.try_send(Said::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Writes what is said, for as long as somebody reads it.
fn write_all(said: &Receiver<Said>, mut out: impl io::Write) {
    for said in said {
        match said {
            Said::Line(line) => {
                // Nobody reads any more: nothing to be done.
                let _ = out.write_all(&line);
            }
            Said::Flush(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
        }
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let _ = writeln!(out, "{dropped} log lines were dropped: nobody read standard error");
        }
    }
}

/// Makes a writer for each line.
#[derive(Clone, Copy)]
struct Lines {
    json: bool,
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = OneLine;

    fn make_writer(&'w self) -> Self::Writer {
        OneLine { json: self.json, bytes: Vec::new() }
    }
}

/// A line in the making; it is sent when it is dropped.
struct OneLine {
    json: bool,
    bytes: Vec<u8>,
}

impl io::Write for OneLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for OneLine {
    fn drop(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        if self.json {
            bytes = visible_json(&String::from_utf8_lossy(&bytes)).into_owned().into_bytes();
        }
        match SINK.get() {
            Some(sink) => sink.say(bytes),
            // Nobody reads: nothing to be done.
            None => drop(anstream::stderr().write_all(&bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_forge_a_line() {
        assert_eq!(one_line("a\n12:00:00 ERROR x\u{1b}[2J"), "a\n    | 12:00:00 ERROR x\\u{1b}[2J");
    }

    #[test]
    fn lines_that_nobody_reads_hold_up_nobody_and_are_counted() {
        /// A pipe that is full until it is let go.
        struct Full(std::sync::mpsc::Receiver<()>, std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl io::Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                self.1.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (let_go, held) = std::sync::mpsc::channel();
        let written = std::sync::Arc::default();
        let out = Full(held, std::sync::Arc::clone(&written));
        let (sender, said) = sync_channel(2);
        let writer = std::thread::spawn(move || write_all(&said, out));
        let sink = Sink { sender };
        for _ in 0..100 {
            sink.say(b"line\n".to_vec());
        }
        drop((let_go, sink));
        writer.join().unwrap();
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let lines = written.matches("line\n").count();
        let told = format!("{} log lines were dropped: nobody read standard error", 100 - lines);
        assert!((2..=4).contains(&lines) && written.contains(&told), "{written}");
    }

    #[test]
    fn a_level_is_a_word_or_a_list() {
        for level in ["warn", "debug", "warn,bailiwick::egress=debug", "off"] {
            assert!(filter(level).is_ok(), "{level}");
        }
        for level in ["loud!", "verbose", "warn,plugin", "plugin=loud"] {
            assert!(filter(level).is_err(), "{level}");
        }
    }

    #[test]
    fn dependencies_end_at_info_whatever_is_asked() {
        use std::sync::{Arc, Mutex, PoisonError};
        #[derive(Clone, Default)]
        struct Written(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Written {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let written = Written::default();
        let copy = written.clone();
        let layer = tracing_subscriber::fmt::layer().event_format(Line).with_writer(move || copy.clone());
        let wanted = filter("trace,wasmtime_wasi=trace").unwrap().and(filter_fn(is_harmless));
        tracing::subscriber::with_default(Registry::default().with(layer.with_filter(wanted)), || {
            tracing::trace!(target: "wasmtime_wasi::p2", "hidden");
            tracing::debug!(target: "bailiwicked", "hidden");
            tracing::info!(target: "hyper", "one");
            tracing::trace!(target: "bailiwick::egress", "two");
            tracing::debug!(target: "plugin", "three");
        });
        let text = String::from_utf8(written.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap();
        let said: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next_back()).collect();
        assert_eq!(said, ["one", "two", "three"]);
    }
}
