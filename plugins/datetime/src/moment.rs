//! An instant in a time zone, and how it is written.

use bailiwick_sdk::schemars::JsonSchema;
use bailiwick_sdk::serde::Serialize;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// One instant, as a caller reads it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(crate = "bailiwick_sdk::serde")]
#[schemars(crate = "bailiwick_sdk::schemars")]
pub(crate) struct Moment {
    /// The IANA name of the time zone.
    timezone: String,
    /// The local date and time, RFC 3339 with the offset from UTC.
    local: String,
    /// The same instant in UTC, RFC 3339.
    utc: String,
    /// Seconds since 1970-01-01T00:00:00Z.
    unix: i64,
    /// The day of the week in the time zone, in English.
    weekday: &'static str,
    /// The first line of the text.
    #[serde(skip)]
    headline: String,
}

impl Moment {
    /// The instant `now` in `zone`.
    pub(crate) fn of(now: Timestamp, zone: TimeZone) -> Self {
        let utc = rfc3339(&now.to_zoned(TimeZone::UTC), "Z");
        let now = now.to_zoned(zone);
        let offset = offset(&now);
        let weekday = weekday(now.weekday());
        let timezone = now.time_zone().iana_name().unwrap_or("UTC").to_owned();
        let headline = format!(
            "{weekday}, {} {}, {} at {:02}:{:02}:{:02} UTC{offset} ({timezone})",
            month(now.month()),
            now.day(),
            now.year(),
            now.hour(),
            now.minute(),
            now.second(),
        );
        let unix = now.timestamp().as_second();
        Self { timezone, local: rfc3339(&now, &offset), utc, unix, weekday, headline }
    }

    /// The three lines for a reader.
    pub(crate) fn text(&self) -> String {
        format!("{}\nISO 8601 (UTC): {}\nUnix timestamp: {}", self.headline, self.utc, self.unix)
    }
}

/// Milliseconds, no more: that is what callers know from other systems.
fn rfc3339(at: &Zoned, offset: &str) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{offset}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond(),
    )
}

/// `+05:30`. Offsets had seconds only before clocks were synchronised; the tool tells the present.
fn offset(at: &Zoned) -> String {
    let seconds = at.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

fn month(number: i8) -> &'static str {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    usize::try_from(number - 1).ok().and_then(|index| NAMES.get(index)).copied().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::zone;

    #[test]
    fn an_instant_reads_as_the_cases_say() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../cases/moments.json")).unwrap();
        for case in cases {
            let zone = zone::find(case["timezone"].as_str().unwrap()).unwrap();
            let now = Timestamp::from_millisecond(case["unix_ms"].as_i64().unwrap()).unwrap();
            let moment = Moment::of(now, zone);
            let answer = json!({ "text": moment.text(), "structured": &moment });
            assert_eq!(answer, case["answer"]);
        }
    }
}
