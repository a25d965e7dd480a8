//! `Retry-After`, in seconds or as a date. A date counts from the service's own `Date`: the two come from one clock.

use std::time::Duration;

/// How long to wait, where the service says so.
pub(crate) fn wait(retry_after: &str, date: Option<&str>) -> Option<Duration> {
    let text = retry_after.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let wait = seconds(text)?.checked_sub(seconds(date?)?)?;
    Some(Duration::from_secs(u64::try_from(wait).unwrap_or(0)))
}

/// Seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = date.trim().split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = i64::try_from(MONTHS.iter().position(|known| *known == month)?).ok()?;
    let year: i64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let [hour, minute, second] = [time.next()??, time.next()??, time.next()??];
    let in_range = (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && [(hour, 23), (minute, 59), (second, 60)].iter().all(|(value, max)| (0..=*max).contains(value));
    if !in_range || words.next()? != "GMT" {
        return None;
    }
    // Days since 1970, with years that begin in March so that a leap day is the last.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_second() {
        let check = |date, expected| assert_eq!(seconds(date), expected, "{date}");
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
        check("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199));
        check("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200));
        check("Sun, 06 Nov 1994 08:49:37 CET", None);
        check("Sun, 99 Nov 1994 08:49:37 GMT", None);
        check("soon", None);
    }

    #[test]
    fn a_wait_is_seconds_or_counts_from_the_services_date() {
        let date = Some("Thu, 29 Feb 2024 23:59:59 GMT");
        let check = |text, date, expected: Option<u64>| {
            assert_eq!(wait(text, date), expected.map(Duration::from_secs), "{text}");
        };
        check("120", None, Some(120));
        check(" 0 ", None, Some(0));
        check("Fri, 01 Mar 2024 00:01:00 GMT", date, Some(61));
        check("Thu, 29 Feb 2024 00:00:00 GMT", date, Some(0));
        check("Fri, 01 Mar 2024 00:01:00 GMT", None, None);
        check("-5", date, None);
        check("99999999999999999999999", date, None);
    }
}
