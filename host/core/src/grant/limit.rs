//! How much a call may use: time, memory, bytes, counts. Every limit has a default and a highest value.

use std::fmt;
use std::time::Duration;

use crate::config::Flaw;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What one call of one tool may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall clock for the whole call, waiting for the host included.
    pub time: Duration,
    /// Bytes of all linear memories of the instance together.
    pub memory: u64,
    /// Bytes of output a caller is shown; what is over becomes an artifact.
    pub output: u64,
    /// Bytes of log lines kept.
    pub log: u64,
    /// Bytes of artifacts kept.
    pub artifacts: u64,
    /// Calls of other tools.
    pub calls: u32,
    /// HTTP requests sent.
    pub http_requests: u32,
    /// HTTP requests open at once.
    pub http_concurrent: u32,
    /// Bytes of one request body.
    pub http_request_body: u64,
    /// Bytes of one response body.
    pub http_response_body: u64,
    /// Component handles (open files, requests, streams …) at once.
    pub handles: u32,
    /// Elements of all tables of the instance together.
    pub table_elements: u32,
    /// Calls of the plugin at once.
    pub concurrency: u32,
}

impl Limits {
    /// What holds where the config says nothing.
    pub const DEFAULT: Self = Self {
        time: Duration::from_secs(30),
        memory: 64 * MIB,
        output: 256 * KIB,
        log: 64 * KIB,
        artifacts: 16 * MIB,
        calls: 100,
        http_requests: 100,
        http_concurrent: 6,
        http_request_body: MIB,
        http_response_body: 8 * MIB,
        handles: 1_000,
        table_elements: 20_000,
        concurrency: 16,
    };

    /// What one call of an HTTP service may use where the config says nothing: it answers soon, or not at all.
    pub const OF_SERVICES: Self = Self { time: Duration::from_secs(10), ..Self::DEFAULT };

    /// What one program may use that an interpreter runs, where the config says nothing: the interpreter takes some of it.
    pub const OF_CODE: Self =
        Self { time: Duration::from_secs(40), memory: 256 * MIB, concurrency: 8, ..Self::DEFAULT };

    /// What holds where the configuration says nothing, of programs that the host starts: interpreters need more memory.
    pub const OF_PROGRAMS: Self = Self { memory: GIB, ..Self::DEFAULT };

    /// The least memory of a program that the host starts: with less, no interpreter comes up.
    pub const LEAST_OF_PROGRAMS: u64 = 64 * MIB;

    /// The least that makes sense: below it nothing could run. Zero is legal where it means "none of it".
    pub const LEAST: Self = Self {
        time: Duration::from_millis(1),
        memory: 64 * KIB, // one page of WebAssembly memory
        output: 1,
        log: 0,
        artifacts: 0,
        calls: 0,
        http_requests: 0,
        http_concurrent: 1,
        http_request_body: 0,
        http_response_body: 0,
        handles: 1,
        table_elements: 1,
        concurrency: 1,
    };

    /// The most that may be set. Past it a number is a slip of the pen, or would let one plugin take the whole host.
    pub const MOST: Self = Self {
        time: Duration::from_secs(60 * 60),
        memory: 4 * GIB, // all that 32-bit WebAssembly can address
        output: 64 * MIB,
        log: 64 * MIB,
        artifacts: 4 * GIB,
        calls: 10_000,
        http_requests: 1_000_000,
        http_concurrent: 1_000,
        http_request_body: 4 * GIB,
        http_response_body: 4 * GIB,
        handles: 100_000,
        table_elements: 10_000_000,
        concurrency: 1_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Limits as they were written: what is not set is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SomeLimits {
    /// See [`Limits::time`].
    pub time: Option<Duration>,
    /// See [`Limits::memory`].
    pub memory: Option<u64>,
    /// See [`Limits::output`].
    pub output: Option<u64>,
    /// See [`Limits::log`].
    pub log: Option<u64>,
    /// See [`Limits::artifacts`].
    pub artifacts: Option<u64>,
    /// See [`Limits::calls`].
    pub calls: Option<u32>,
    /// See [`Limits::http_requests`].
    pub http_requests: Option<u32>,
    /// See [`Limits::http_concurrent`].
    pub http_concurrent: Option<u32>,
    /// See [`Limits::http_request_body`].
    pub http_request_body: Option<u64>,
    /// See [`Limits::http_response_body`].
    pub http_response_body: Option<u64>,
    /// See [`Limits::handles`].
    pub handles: Option<u32>,
    /// See [`Limits::table_elements`].
    pub table_elements: Option<u32>,
    /// See [`Limits::concurrency`].
    pub concurrency: Option<u32>,
}

impl SomeLimits {
    /// These limits where they are set, and `rest` where they are not.
    pub fn over(&self, rest: &Limits) -> Limits {
        Limits {
            time: self.time.unwrap_or(rest.time),
            memory: self.memory.unwrap_or(rest.memory),
            output: self.output.unwrap_or(rest.output),
            log: self.log.unwrap_or(rest.log),
            artifacts: self.artifacts.unwrap_or(rest.artifacts),
            calls: self.calls.unwrap_or(rest.calls),
            http_requests: self.http_requests.unwrap_or(rest.http_requests),
            http_concurrent: self.http_concurrent.unwrap_or(rest.http_concurrent),
            http_request_body: self.http_request_body.unwrap_or(rest.http_request_body),
            http_response_body: self.http_response_body.unwrap_or(rest.http_response_body),
            handles: self.handles.unwrap_or(rest.handles),
            table_elements: self.table_elements.unwrap_or(rest.table_elements),
            concurrency: self.concurrency.unwrap_or(rest.concurrency),
        }
    }
}

/// The legal units of a size, for messages.
pub const SIZE_UNITS: &str = "a whole number and a unit: B, KiB, MiB, GiB, KB, MB or GB, such as `64MiB`";
/// The legal units of a duration, for messages.
pub const DURATION_UNITS: &str = "a whole number and a unit: ms, s, m or h, such as `30s`";

/// Reads a number of bytes such as `64MiB`.
///
/// # Errors
/// The text has no number, no unit, an unknown unit, or means more than fits.
pub fn parse_size(text: &str) -> Result<u64, Flaw> {
    let (number, unit) = number_and_unit(text, "a size", SIZE_UNITS)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => GIB,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        other => return Err(unknown_unit(text, other, &["B", "KiB", "MiB", "GiB", "KB", "MB", "GB"], SIZE_UNITS)),
    };
    number.checked_mul(factor).ok_or_else(|| Flaw::new(format!("`{text}` is more bytes than can be counted")))
}

/// Reads a length of time such as `10s`.
///
/// # Errors
/// The text has no number, no unit, an unknown unit, or means more than fits.
pub fn parse_duration(text: &str) -> Result<Duration, Flaw> {
    let (number, unit) = number_and_unit(text, "a duration", DURATION_UNITS)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => return Err(unknown_unit(text, other, &["ms", "s", "m", "h"], DURATION_UNITS)),
    };
    let total = number.checked_mul(milliseconds).map(Duration::from_millis);
    total.ok_or_else(|| Flaw::new(format!("`{text}` is longer than can be counted")))
}

fn number_and_unit<'t>(text: &'t str, what: &str, legal: &str) -> Result<(u64, &'t str), Flaw> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(Flaw::new(format!("`{text}` is not {what}")).legal(legal));
    }
    if unit.is_empty() {
        return Err(Flaw::new(format!("`{text}` has no unit")).legal(legal));
    }
    let value = number.parse().map_err(|_| Flaw::new(format!("`{number}` is too large a number")).legal(legal))?;
    Ok((value, unit.strip_prefix(' ').unwrap_or(unit)))
}

fn unknown_unit(text: &str, unit: &str, units: &[&str], legal: &str) -> Flaw {
    let flaw = Flaw::new(format!("`{unit}` in `{text}` is not a unit")).legal(legal);
    let folded = |candidate: &&&str| candidate.eq_ignore_ascii_case(unit) || candidate.starts_with(unit);
    match units.iter().find(folded) {
        Some(meant) => flaw.suggest(format!("did you mean `{}`?", text.replace(unit, meant))),
        None => flaw,
    }
}

/// A number of bytes that prints as a person would write it: `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")];
        let whole = units.iter().find(|(factor, _)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        match whole {
            Some((factor, unit)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// A length of time that prints as a person would write it: `30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        let whole = units.iter().find(|(factor, _)| milliseconds >= *factor && milliseconds.is_multiple_of(*factor));
        match whole {
            Some((factor, unit)) => write!(f, "{}{unit}", milliseconds / factor),
            None => write!(f, "{milliseconds}ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_number_and_a_unit() {
        for (text, bytes) in [("1B", 1), ("2KiB", 2048), ("64MiB", 64 << 20), ("1GiB", 1 << 30), ("3KB", 3000)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "64", "MiB", "1e9", "-1MiB", "10MBB", "1.5MiB", "64 mib", "99999999999999999999B", "1TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert!(parse_size("18446744073709551615GiB").is_err());
    }

    #[test]
    fn durations_need_a_number_and_a_unit() {
        for (text, ms) in [("1ms", 1), ("2s", 2_000), ("3m", 180_000), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "10", "s", "-1s", "1d", "1.5s", "1h30m"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_unit_is_answered_with_the_right_one() {
        assert_eq!(parse_size("64mib").unwrap_err().suggestion.unwrap(), "did you mean `64MiB`?");
        assert_eq!(parse_size("64M").unwrap_err().suggestion.unwrap(), "did you mean `64MiB`?");
    }

    #[test]
    fn sizes_and_durations_print_as_they_are_written() {
        for text in ["0B", "1B", "1500B", "64MiB", "4GiB", "3KB"].map(|text| (text, parse_size(text).unwrap())) {
            assert_eq!(parse_size(&Size(text.1).to_string()), Ok(text.1));
        }
        assert_eq!(Size(64 << 20).to_string(), "64MiB");
        assert_eq!(Span(Duration::from_secs(90)).to_string(), "90s");
        assert_eq!(Span(Duration::from_secs(3600)).to_string(), "1h");
        assert_eq!(Span(Duration::from_millis(1500)).to_string(), "1500ms");
    }

    #[test]
    fn what_is_not_set_stays() {
        let some = SomeLimits { memory: Some(1), ..SomeLimits::default() };
        assert_eq!(some.over(&Limits::DEFAULT), Limits { memory: 1, ..Limits::DEFAULT });
    }
}
