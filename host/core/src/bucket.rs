//! How much a caller had of late: requests in the last minute, and what its budget counts.
//!
//! Nothing here asks what time it is; whoever does says so. A moment is a length of time since any fixed one.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use crate::call::Budget;
use crate::grant::limit::{Size, Span};

/// What requests are counted over.
pub const MINUTE: Duration = Duration::from_secs(60);

/// Moments of requests that are kept apart; above this limit, those of a quarter of a second count as one.
const FINE: u32 = 240;

/// The requests of the last minute.
#[derive(Clone, Debug, Default)]
pub struct Window {
    entries: VecDeque<Entry>,
    total: u32,
}

/// Requests of one moment, or of a few that are close together.
#[derive(Clone, Copy, Debug)]
struct Entry {
    first: Duration,
    last: Duration,
    count: u32,
}

impl Window {
    /// Counts a request, if there were fewer than `limit` in the minute before `now`, and says how many more there may
    /// be.
    ///
    /// # Errors
    /// How long it takes until there may be another. What is refused is not counted.
    pub fn take(&mut self, limit: u32, now: Duration) -> Result<u32, Duration> {
        while let Some(oldest) = self.entries.front().filter(|oldest| oldest.last + MINUTE <= now) {
            self.total -= oldest.count;
            self.entries.pop_front();
        }
        if self.total >= limit {
            return Err(self.room_in(limit, now));
        }
        let apart = if limit > FINE { MINUTE / FINE } else { Duration::ZERO };
        match self.entries.back_mut().filter(|newest| newest.first + apart >= now) {
            Some(newest) => {
                newest.count += 1;
                newest.last = newest.last.max(now);
            }
            None => self.entries.push_back(Entry { first: now, last: now, count: 1 }),
        }
        self.total += 1;
        Ok(limit - self.total)
    }

    /// How long until fewer than `limit` are left.
    fn room_in(&self, limit: u32, now: Duration) -> Duration {
        // The limit may have been higher when they came.
        let mut surplus = u64::from(self.total - limit) + 1;
        for entry in &self.entries {
            surplus = surplus.saturating_sub(u64::from(entry.count));
            if surplus == 0 {
                return (entry.last + MINUTE).saturating_sub(now);
            }
        }
        MINUTE
    }
}

/// The windows of many, bounded in number. Those that were idle for a minute go; where there is no room for all that were
/// not, those that were idle the longest go too.
#[derive(Debug)]
pub struct Windows<K> {
    young: HashMap<K, Window>,
    old: HashMap<K, Window>,
    turned: Duration,
    most: usize,
}

impl<K: Eq + Hash> Windows<K> {
    /// Keeps at least `most` windows and at most twice as many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), turned: Duration::ZERO, most }
    }

    /// See [`Window::take`]; a limit of 0 is none.
    ///
    /// # Errors
    /// See [`Window::take`].
    pub fn take(&mut self, key: K, limit: u32, now: Duration) -> Result<Option<u32>, Duration> {
        if limit == 0 {
            return Ok(None);
        }
        if now.saturating_sub(self.turned) >= MINUTE || self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
        let known = self.old.remove(&key);
        let window = self.young.entry(key).or_insert_with(|| known.unwrap_or_default());
        window.take(limit, now).map(Some)
    }

    /// How many windows are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a caller had of its budget since `begun`. Moments are lengths of time since 1970: they outlive a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// When counting began.
    pub begun: Duration,
    /// Calls.
    pub calls: u64,
    /// Time they took.
    pub time: Duration,
    /// Bytes of their results.
    pub bytes: u64,
}

/// A budget that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedUp {
    /// How much of what in how long, as the configuration has it.
    pub what: String,
    /// Its key there.
    pub key: &'static str,
    /// When there is more.
    pub again: Duration,
}

impl Budget {
    /// Whether it bounds anything.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.calls.is_some() || self.time.is_some() || self.bytes.is_some()
    }
}

impl Spent {
    /// As it stands at `now`: once `per` is over, counting begins anew. So does a clock that was set back, but what was
    /// spent stays spent.
    #[must_use]
    pub fn at(self, now: Duration, per: Duration) -> Self {
        match now.checked_sub(self.begun) {
            Some(passed) if passed >= per => Self { begun: now, ..Self::default() },
            Some(_) => self,
            None => Self { begun: now, ..self },
        }
    }

    /// Counts one more call, if something of `budget` is left of everything it bounds. What the call takes is added when
    /// it is over, so the last one may go over.
    ///
    /// # Errors
    /// What is used up.
    pub fn charge(self, budget: &Budget, now: Duration) -> Result<Self, UsedUp> {
        let spent = self.at(now, budget.per);
        let used_up = |what: String, key| {
            let what = format!("{what} in each {}", Span(budget.per));
            Err(UsedUp { what, key, again: (spent.begun + budget.per).saturating_sub(now) })
        };
        if let Some(calls) = budget.calls.filter(|calls| spent.calls >= u64::from(*calls)) {
            return used_up(format!("{calls} calls"), "calls");
        }
        if let Some(time) = budget.time.filter(|time| spent.time >= *time) {
            return used_up(format!("{} of calls", Span(time)), "time");
        }
        if let Some(bytes) = budget.bytes.filter(|bytes| spent.bytes >= *bytes) {
            return used_up(format!("{} of results", Size(bytes)), "bytes");
        }
        Ok(Self { calls: spent.calls + 1, ..spent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn sixty_in_a_minute_and_not_one_more() {
        let mut window = Window::default();
        for at in 0..60 {
            assert_eq!(window.take(60, ms(at * 100)), Ok(59 - at as u32));
        }
        assert_eq!(window.take(60, ms(6_000)), Err(ms(54_000)));
        assert_eq!(window.take(60, ms(59_999)), Err(ms(1)));
        // The window slides: with the first one a minute ago there is room for one.
        assert_eq!(window.take(60, ms(60_000)), Ok(0));
        assert_eq!(window.take(60, ms(60_000)), Err(ms(100)));
    }

    #[test]
    fn a_burst_counts_as_what_it_is() {
        let mut window = Window::default();
        assert_eq!((0..100).filter(|_| window.take(60, ms(5)).is_ok()).count(), 60);
        assert_eq!(window.entries.len(), 1);
        assert_eq!(window.take(60, ms(60_004)), Err(ms(1)));
        assert_eq!(window.take(60, ms(60_005)), Ok(59));
    }

    #[test]
    fn many_requests_take_little_room() {
        let mut window = Window::default();
        let taken = (0..200_000).filter(|at| window.take(1_000_000, ms(at / 2)).is_ok()).count();
        assert_eq!(taken, 200_000);
        assert!(window.entries.len() <= FINE as usize + 1, "{}", window.entries.len());
        assert!(window.total <= 120_500, "{}", window.total);
    }

    #[test]
    fn a_limit_that_was_lowered_holds_at_once() {
        let mut window = Window::default();
        (0..10).for_each(|at| assert!(window.take(10, ms(at * 1_000)).is_ok()));
        assert_eq!(window.take(3, ms(10_000)), Err(ms(57_000)));
    }

    #[test]
    fn each_has_a_window_of_its_own_and_there_are_not_too_many() {
        let mut windows = Windows::new(1_000);
        assert_eq!(windows.take(0_u32, 1, ms(0)), Ok(Some(0)));
        assert_eq!(windows.take(0, 1, ms(1)), Err(ms(59_999)));
        assert_eq!(windows.take(1, 1, ms(1)), Ok(Some(0)));
        assert_eq!(windows.take(2, 0, ms(1)), Ok(None), "0 is no limit");
        for key in 0..1_000_000 {
            let _ = windows.take(key, 1, ms(2));
        }
        assert!(windows.len() <= 2_000, "{}", windows.len());
    }

    #[test]
    fn a_window_that_is_used_outlives_the_turn_and_an_idle_one_does_not() {
        let mut windows = Windows::new(1_000);
        let _ = windows.take("idle", 9, ms(0));
        for at in 0..10 {
            let _ = windows.take("used", 9, ms(at * 20_000));
        }
        assert_eq!(windows.len(), 1);
        assert_eq!(windows.take("used", 9, ms(190_000)), Ok(Some(5)));
    }

    fn budget(calls: Option<u32>, time: Option<Duration>, bytes: Option<u64>) -> Budget {
        Budget { calls, time, bytes, per: Duration::from_secs(3_600) }
    }

    #[test]
    fn a_budget_is_spent_and_comes_back() {
        let budget = budget(Some(2), None, None);
        let now = Duration::from_secs(1_000_000);
        let spent = Spent::default().charge(&budget, now).unwrap();
        assert_eq!((spent.begun, spent.calls), (now, 1));
        let spent = spent.charge(&budget, now + ms(1)).unwrap();
        let used_up = spent.charge(&budget, now + Duration::from_secs(600)).unwrap_err();
        let again = Duration::from_secs(3_000);
        assert_eq!(used_up, UsedUp { what: "2 calls in each 1h".to_owned(), key: "calls", again });
        let later = now + Duration::from_secs(3_600);
        assert_eq!(spent.charge(&budget, later).map(|spent| (spent.begun, spent.calls)), Ok((later, 1)));
    }

    #[test]
    fn time_and_bytes_are_bounded_too() {
        let now = Duration::from_secs(10);
        let spent = Spent { begun: now, calls: 1, time: ms(5_000), bytes: 2_048 };
        let key = |budget: Budget| spent.charge(&budget, now).err().map(|used_up| (used_up.key, used_up.what));
        let told = |key, what: &str| Some((key, what.to_owned()));
        assert_eq!(key(budget(None, Some(ms(5_000)), None)), told("time", "5s of calls in each 1h"));
        assert_eq!(key(budget(None, Some(ms(5_001)), None)), None);
        assert_eq!(key(budget(None, None, Some(2_048))), told("bytes", "2KiB of results in each 1h"));
        assert_eq!(key(budget(None, None, Some(2_049))), None);
        assert!(!budget(None, None, None).is_bounded() && budget(Some(0), None, None).is_bounded());
    }

    #[test]
    fn a_clock_that_is_set_back_gives_nothing_back() {
        let spent = Spent { begun: Duration::from_secs(100), calls: 5, ..Spent::default() };
        let back = Duration::from_secs(10);
        assert_eq!(spent.at(back, Duration::from_secs(60)), Spent { begun: back, ..spent });
    }
}
