//! Dates as services write them: the day of an instant, and the instant of an HTTP date. All in UTC.

const SECONDS_A_DAY: u64 = 86_400;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The last year that is counted to. What lies after it is no date anybody means.
const LAST_YEAR: u64 = 9_999;

fn days_of_year(year: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if is_leap { 366 } else { 365 }
}

fn days_of_month(year: u64, month: usize) -> u64 {
    match month {
        1 => days_of_year(year) - 337,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

/// The day that holds an instant, as `2026-01-31`; the instant is counted in seconds since 1970.
pub fn day(unix: u64) -> String {
    let mut days = unix / SECONDS_A_DAY;
    let mut year = 1970;
    while year < LAST_YEAR && days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 0;
    while month < 11 && days >= days_of_month(year, month) {
        days -= days_of_month(year, month);
        month += 1;
    }
    format!("{year:04}-{:02}-{:02}", month + 1, days + 1)
}

/// The instant of a date as HTTP writes it, `Sat, 31 Jan 2026 08:30:00 GMT`, in seconds since 1970.
pub(crate) fn instant(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, clock, "GMT"] = words.as_slice() else { return None };
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let month = MONTHS.iter().position(|name| name == month)?;
    let clock: Vec<u64> = clock.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hour @ 0..24, minute @ 0..60, second @ 0..=60] = clock[..] else { return None };
    if !(1970..=LAST_YEAR).contains(&year) || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year).map(days_of_year).sum();
    let months: u64 = (0..month).map(|month| days_of_month(year, month)).sum();
    Some((years + months + day - 1) * SECONDS_A_DAY + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (unix, expected) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_164_800, "2024-02-29"),
            (1_769_817_600, "2026-01-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(day(unix), expected);
        }
        assert!(day(u64::MAX).starts_with("9999-12-"));
    }

    #[test]
    fn an_http_date_is_an_instant() {
        assert_eq!(instant("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(instant("Sat, 31 Jan 2026 08:30:05 GMT"), Some(1_769_817_600 + 8 * 3_600 + 30 * 60 + 5));
        assert_eq!(instant("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        for wrong in [
            "",
            "soon",
            "Sat, 31 Jan 2026 08:30:05 CET",
            "Sat, 31 Jan 2026 25:00:00 GMT",
            "Thu, 29 Feb 2023 00:00:00 GMT",
            "Sat, 00 Jan 2026 00:00:00 GMT",
            "Sat, 31 Jan 99999999999999999999 00:00:00 GMT",
            "Sat, 31 Foo 2026 00:00:00 GMT",
        ] {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }
}
