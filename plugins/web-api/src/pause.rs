//! How long a service that had too many requests wants to be left alone.

use std::time::Duration;

use crate::exchange::Reply;
use crate::moment;

/// What `reply` says about when to try again: `Retry-After`, in seconds or as a date, else the resets of the windows that
/// `X-RateLimit-Remaining` says are used up. None: it says nothing. `now` is in seconds since 1970.
pub(crate) fn wanted(reply: &Reply, now: u64) -> Option<Duration> {
    let seconds = match reply.header("retry-after") {
        Some(text) => after(text.trim(), now)?,
        None => reset(reply.header("x-ratelimit-remaining")?, reply.header("x-ratelimit-reset")?)?,
    };
    Some(Duration::from_secs(seconds))
}

fn after(text: &str, now: u64) -> Option<u64> {
    text.parse().ok().or_else(|| moment::instant(text).map(|instant| instant.saturating_sub(now)))
}

/// Both are lists with a place for each window, such as `0, 14832` beside `1, 1419704`.
fn reset(remaining: &str, reset: &str) -> Option<u64> {
    let numbers = |text: &str| text.split(',').map(|number| number.trim().parse::<u64>().ok()).collect::<Vec<_>>();
    let used_up = numbers(remaining).into_iter().zip(numbers(reset));
    used_up.filter(|(left, _)| *left == Some(0)).filter_map(|(_, seconds)| seconds).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Option<u64>) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let reply = Reply { status: 429, headers, ..Reply::default() };
        assert_eq!(wanted(&reply, 1_769_848_205), expected.map(Duration::from_secs));
    }

    #[test]
    fn seconds_or_a_date_say_when() {
        check(&[("Retry-After", " 2 ")], Some(2));
        check(&[("Retry-After", "Sat, 31 Jan 2026 08:30:10 GMT")], Some(5));
        check(&[("Retry-After", "Sat, 31 Jan 2026 08:00:00 GMT")], Some(0));
        check(&[("Retry-After", "-1")], None);
        check(&[("Retry-After", "tomorrow")], None);
        check(&[], None);
    }

    #[test]
    fn else_the_windows_that_are_used_up_do() {
        check(&[("X-RateLimit-Remaining", "0, 14832"), ("X-RateLimit-Reset", "1, 1419704")], Some(1));
        check(&[("X-RateLimit-Remaining", "0, 0"), ("X-RateLimit-Reset", "1, 1419704")], Some(1_419_704));
        check(&[("X-RateLimit-Remaining", "1, 1"), ("X-RateLimit-Reset", "1, 1419704")], None);
        check(&[("X-RateLimit-Remaining", "0")], None);
    }
}
