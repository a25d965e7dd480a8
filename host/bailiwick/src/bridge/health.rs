//! When a server that failed may be tried again: a little later after each failure, and after some in a row not at all for
//! a while, then once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How patient a host is with a server that fails.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The wait after the first failure; it doubles with each that follows.
    pub first: Duration,
    /// The longest such wait.
    pub longest: Duration,
    /// Failures in a row after which it is left alone.
    pub failures: u32,
    /// For how long it is left alone before it is tried once more.
    pub rest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(30),
            failures: 5,
            rest: Duration::from_secs(30),
        }
    }
}

/// What became of the tries so far.
#[derive(Debug)]
pub(super) struct Health {
    patience: Patience,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    not_before: Option<Instant>,
    /// Whether the one try after a rest is under way.
    trial: bool,
    why: String,
}

/// Whether a server may be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    Now,
    /// Soon: it failed, and too few times to give up.
    Later {
        until: Instant,
        why: String,
    },
    /// Not for whoever asks now.
    Not {
        until: Instant,
        why: String,
    },
}

impl Health {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, state: Mutex::default() }
    }

    /// Whether a start may begin at `now`. Where it is the one try after a rest, nobody else gets one until it is over.
    pub(super) fn admit(&self, now: Instant) -> Admission {
        let mut state = self.state();
        let rests = state.failures >= self.patience.failures;
        let why = state.why.clone();
        match state.not_before {
            Some(until) if until > now && rests => Admission::Not { until, why },
            Some(until) if until > now => Admission::Later { until, why },
            Some(_) if rests && state.trial => Admission::Not { until: now + self.patience.first, why },
            Some(_) if rests => {
                state.trial = true;
                Admission::Now
            }
            Some(_) | None => Admission::Now,
        }
    }

    /// How things stand at `now`, for who only looks: as [`Health::admit`] would say.
    pub(super) fn look(&self, now: Instant) -> Admission {
        let state = self.state();
        match state.not_before.filter(|until| *until > now) {
            Some(until) if state.failures >= self.patience.failures => Admission::Not { until, why: state.why.clone() },
            Some(until) => Admission::Later { until, why: state.why.clone() },
            None => Admission::Now,
        }
    }

    /// It came up. Whether it is of use shows when it answers.
    pub(super) fn up(&self) {
        self.state().trial = false;
    }

    /// It answered a call: what was before is forgotten.
    pub(super) fn well(&self) {
        let mut state = self.state();
        if state.failures > 0 {
            *state = State::default();
        }
    }

    /// It did not come up, or ended by itself, at `now`.
    pub(super) fn fail(&self, now: Instant, why: &str) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        state.trial = false;
        why.clone_into(&mut state.why);
        let Patience { first, longest, failures, rest } = self.patience;
        let wait = match state.failures {
            many if many >= failures => rest,
            few => first.saturating_mul(1_u32.checked_shl(few - 1).unwrap_or(u32::MAX)).min(longest),
        };
        state.not_before = Some(now + wait);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> (Health, Instant) {
        (Health::new(Patience::default()), Instant::now())
    }

    #[test]
    fn each_failure_doubles_the_wait_and_the_fifth_ends_it() {
        let (health, now) = health();
        assert_eq!(health.admit(now), Admission::Now);
        for wait in [250, 500, 1_000, 2_000] {
            health.fail(now, "it fell over");
            let until = now + Duration::from_millis(wait);
            assert_eq!(health.admit(now), Admission::Later { until, why: "it fell over".to_owned() });
            assert_eq!(health.admit(until), Admission::Now);
        }
        health.fail(now, "again");
        let until = now + Duration::from_secs(30);
        assert_eq!(health.admit(now), Admission::Not { until, why: "again".to_owned() });
        assert_eq!(health.look(now), Admission::Not { until, why: "again".to_owned() });
    }

    #[test]
    fn after_the_rest_there_is_one_try() {
        let (health, now) = health();
        (0..5).for_each(|_| health.fail(now, "no"));
        let rested = now + Duration::from_secs(30);
        assert_eq!(health.admit(rested), Admission::Now);
        assert!(matches!(health.admit(rested), Admission::Not { .. }), "the second has to wait for the first");
        health.fail(rested, "no");
        assert!(matches!(health.admit(rested + Duration::from_secs(29)), Admission::Not { .. }));
        assert_eq!(health.admit(rested + Duration::from_secs(30)), Admission::Now);
        health.up();
        health.well();
        assert_eq!(health.admit(rested + Duration::from_secs(30)), Admission::Now);
        assert_eq!(health.admit(rested + Duration::from_secs(30)), Admission::Now);
    }

    #[test]
    fn coming_up_alone_is_no_cure() {
        let (health, now) = health();
        for _ in 0..4 {
            health.fail(now, "no");
            health.up();
        }
        health.fail(now, "no");
        assert!(matches!(health.admit(now), Admission::Not { .. }));
    }
}
