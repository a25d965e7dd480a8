//! The log: what is written, how a line looks, and what never gets into it. It goes to standard error alone.
//!
//! Our own lines hold ids and sizes. Dependencies do not promise that: wasmtime-wasi traces the arguments of host
//! calls, hyper traces headers. So whatever level is asked for, theirs end at INFO.

use std::fmt;
use std::io;

use anstyle::{AnsiColor, Style};
use bailiwick_core::redact::{is_invisible, visible};
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
    EnvFilter::builder().parse(level).map_err(|error| format!("`{level}` is not a log filter ({error}): {LEGAL}"))
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
            let layer = tracing_subscriber::fmt::layer().event_format(Line).with_writer(anstream::stderr);
            Registry::default().with(layer.with_filter(wanted)).try_init()?;
        }
        Format::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(JsonLines);
            Registry::default().with(layer.with_filter(wanted)).try_init()?;
        }
    }
    Ok(())
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

/// Standard error for JSON. serde_json leaves C1 and bidirectional controls as they are; a terminal acts on them.
struct JsonLines;

impl<'w> MakeWriter<'w> for JsonLines {
    type Writer = JsonLine;

    fn make_writer(&'w self) -> Self::Writer {
        JsonLine
    }
}

/// Writes to standard error as [`JsonLines`] says.
struct JsonLine;

impl io::Write for JsonLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        anstream::stderr().write_all(escaped(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        anstream::stderr().flush()
    }
}

/// JSON text with what is invisible written as `\uXXXX`, which means the same.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if is_invisible(character) {
            let mut units = [0; 2];
            text.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_forge_a_line() {
        assert_eq!(one_line("a\n12:00:00 ERROR x\u{1b}[2J"), "a\n    | 12:00:00 ERROR x\\u{1b}[2J");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let text = serde_json::to_string("ä\u{9b}2J\u{202e}\u{e0041}").unwrap();
        let escaped = escaped(&text);
        assert!(!escaped.chars().any(is_invisible));
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), "ä\u{9b}2J\u{202e}\u{e0041}");
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
