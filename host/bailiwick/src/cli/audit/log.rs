//! `bailiwick audit log`: what was called, by whom, and what came of it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use bailiwick_core::grant::limit::parse_duration;
use bailiwick_core::redact::visible;

use crate::audit::{Archive, BEGUN, Filter, LOST, Row};
use crate::cli::terminal::{DIM, GREEN, RED, Terminal, Trouble};
use crate::cli::{Exit, LogArguments};
use crate::store::StoreError;

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  bailiwick audit log
  bailiwick audit log --denied --since 24h
  bailiwick audit log --tool web_fetch --caller key:ci --limit 1000
  bailiwick audit log --follow --json | jq .outcome

One line for each call: when it came in, who called which tool, what came of it, how long it took. A call
whose risk is high has two: `begun`, which was on the disk before it ran, and its outcome. What was
refused on the way stands below, with the line that would allow it. Arguments and results are not kept.

`--json` prints each record as it was written, one on a line.";

/// How often it is looked for new records.
const LOOK: Duration = Duration::from_millis(200);

/// Since when: `2h` ago, or an RFC 3339 time.
pub(in crate::cli) fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let wrong = |error| format!("{error}; or write a time such as 2026-01-31T08:00:00Z");
    let ago = parse_duration(text).map_err(|flaw| wrong(flaw.message))?;
    let ago = SignedDuration::try_from(ago).map_err(|error| wrong(error.to_string()))?;
    Timestamp::now().checked_sub(ago).map_err(|error| wrong(error.to_string()))
}

pub(super) fn run(terminal: &Terminal, path: &Path, arguments: &LogArguments) -> Result<Exit, Trouble> {
    let LogArguments { tool, caller, plugin, since, denied, follow, limit } = arguments.clone();
    let filter = Filter { tool, caller, plugin, since, denied };
    let unreadable = |error: StoreError| super::unreadable(&error);
    let Some(archive) = Archive::open(path).map_err(unreadable)? else {
        return Err(super::missing(path));
    };
    // Before the records are read: what is written meanwhile is news.
    let (mut version, mut last) = (archive.version().map_err(unreadable)?, archive.last().map_err(unreadable)?);
    let rows = archive.records(&filter, 0, limit).map_err(unreadable)?;
    last = rows.last().map_or(last, |row| row.number.max(last));
    if !terminal.offer(&shown(terminal, &rows))? || !follow {
        return Ok(Exit::Done);
    }
    while is_read() {
        let now = archive.version().map_err(unreadable)?;
        if now == version {
            continue;
        }
        version = now;
        let rows = archive.records(&filter, last, u32::MAX).map_err(unreadable)?;
        last = rows.last().map_or(last, |row| row.number);
        if !terminal.offer(&shown(terminal, &rows))? {
            break;
        }
    }
    Ok(Exit::Done)
}

/// Waits for [`LOOK`]; whether somebody still reads standard output then.
fn is_read() -> bool {
    let out = std::io::stdout();
    // What is not asked for is told all the same: that the other end is closed.
    let mut pipe = [PollFd::new(&out, PollFlags::empty())];
    let look = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
    poll(&mut pipe, Some(&look)).map_or(true, |told| told == 0)
}

fn shown(terminal: &Terminal, rows: &[Row]) -> String {
    rows.iter().fold(String::new(), |mut text, row| {
        if terminal.json {
            text.push_str(&row.record);
            text.push('\n');
        } else {
            text.push_str(&line(row));
        }
        text
    })
}

fn line(row: &Row) -> String {
    let Ok(record) = serde_json::from_str::<Value>(&row.record) else {
        return format!("{RED}record {} is not what was written; run `bailiwick audit verify`{RED:#}\n", row.number);
    };
    let word = |key: &str| one_line(record[key].as_str().unwrap_or("-"));
    let outcome = word("outcome");
    let style = match outcome.as_str() {
        "ok" => GREEN,
        BEGUN => DIM,
        _ => RED,
    };
    let mut text = format!(
        "{DIM}{}{DIM:#}  {:<12}  {:<20}  {style}{outcome}{style:#}",
        word("time"),
        word("caller"),
        word("tool")
    );
    match outcome.as_str() {
        BEGUN => {}
        LOST => {
            let _ = write!(text, "  {} records could not be written", record["records"]);
        }
        _ => {
            let milliseconds = record["micros"].as_f64().unwrap_or(0.0) / 1_000.0;
            let _ = write!(text, "  {DIM}{milliseconds:.1} ms{DIM:#}");
        }
    }
    if let Some(approval) = record["approval"].as_str() {
        let _ = write!(text, "  {}", one_line(approval));
    }
    for (operation, count) in record["operations"].as_object().into_iter().flatten() {
        let _ = write!(text, "  {DIM}{}{DIM:#}", one_line(operation));
        if count.as_u64() != Some(1) {
            let _ = write!(text, "{DIM} ×{count}{DIM:#}");
        }
    }
    text.push('\n');
    for denial in record["denials"].as_array().into_iter().flatten() {
        let part = |key: &str| one_line(denial[key].as_str().unwrap_or("-"));
        let _ = writeln!(text, "    {RED}{}{RED:#}: {}", part("code"), part("message"));
    }
    text
}

/// What was recorded, as nothing but a piece of a line.
fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n").replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(record: &str, expected: &str) {
        let row = Row { number: 7, record: record.to_owned() };
        assert_eq!(anstream::adapter::strip_str(&line(&row)).to_string(), expected);
    }

    #[test]
    fn a_record_is_one_line_and_its_refusals_stand_below() {
        check(
            r#"{"time":"2026-01-02T03:04:05.678Z","caller":"cli","tool":"web_fetch","outcome":"ok","operations":{"http GET https://a.example":2},"micros":12345,"denials":[{"code":"denied.net.host","message":"no; add `x`"}]}"#,
            "2026-01-02T03:04:05.678Z  cli           web_fetch             ok  12.3 ms  http GET https://a.example ×2\n    \
             denied.net.host: no; add `x`\n",
        );
        check(
            r#"{"time":"t","caller":"key:a","tool":"launch","outcome":"begun","approval":"approved","micros":1}"#,
            "t  key:a         launch                begun  approved\n",
        );
        check(
            r#"{"time":"t","caller":"bailiwick","outcome":"lost","records":3}"#,
            "t  bailiwick     -                     lost  3 records could not be written\n",
        );
        check("x", "record 7 is not what was written; run `bailiwick audit verify`\n");
    }

    #[test]
    fn nothing_in_a_record_acts_on_a_terminal_or_passes_for_another_line() {
        check(
            r#"{"time":"t","caller":"cli","tool":"a\u001b[2J\nt  cli  b","outcome":"ok","micros":0}"#,
            "t  cli           a\\u{1b}[2J\\nt  cli  b  ok  0.0 ms\n",
        );
    }

    #[test]
    fn since_is_so_long_ago_or_a_time() {
        let time = "2026-01-31T08:00:00Z";
        assert_eq!(since(time).unwrap().to_string(), time);
        let ago = Timestamp::now().duration_since(since("2h").unwrap());
        assert!((ago.as_secs() - 7_200).abs() < 60, "{ago}");
        for wrong in ["yesterday", "2", "2d", "", "99999999999999999h"] {
            assert!(since(wrong).unwrap_err().contains("2026-01-31T08:00:00Z"), "{wrong}");
        }
    }
}
