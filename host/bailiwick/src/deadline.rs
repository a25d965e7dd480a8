//! A wall clock for one call that stands still while a person is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// When a call has to be over.
#[derive(Debug)]
pub struct Deadline {
    state: Mutex<State>,
    resumed: Notify,
}

#[derive(Debug, Clone, Copy)]
struct State {
    ends: Instant,
    paused: Option<Instant>,
    /// Those who want it to stand still.
    pauses: u32,
}

/// While it lives, the call's time stands still.
#[derive(Debug)]
pub struct Pause<'d>(&'d Deadline);

impl Deadline {
    /// A deadline `time` from now.
    #[must_use]
    pub fn new(time: Duration) -> Self {
        Self {
            state: Mutex::new(State { ends: Instant::now() + time, paused: None, pauses: 0 }),
            resumed: Notify::new(),
        }
    }

    /// There is no more time than `time` from now on.
    pub fn shorten(&self, time: Duration) {
        let mut state = self.state();
        state.ends = state.ends.min(Instant::now() + time);
    }

    /// Stops the clock until the answer is dropped; of several answers, the last.
    pub fn pause(&self) -> Pause<'_> {
        let mut state = self.state();
        state.paused.get_or_insert_with(Instant::now);
        state.pauses += 1;
        Pause(self)
    }

    /// Completes when the time is up.
    pub async fn passed(&self) {
        loop {
            let resumed = self.resumed.notified();
            let state = *self.state();
            match state.paused {
                Some(_) => resumed.await,
                None if state.ends <= Instant::now() => return,
                None => tokio::time::sleep_until(state.ends).await,
            }
        }
    }

    /// Whether the time is up. What runs without a pause asks this itself: on a busy machine a timer is seen late.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let state = self.state();
        state.paused.is_none() && state.ends <= Instant::now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.pauses -= 1;
        if state.pauses > 0 {
            return;
        }
        if let Some(since) = state.paused.take() {
            state.ends += since.elapsed();
        }
        drop(state);
        self.0.resumed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_person_does_not_use_up_the_time() {
        let start = Instant::now();
        let deadline = Deadline::new(Duration::from_secs(2));
        let question = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _pause = deadline.pause();
            tokio::time::sleep(Duration::from_secs(60)).await;
        };
        tokio::join!(question, deadline.passed());
        assert_eq!(start.elapsed().as_secs(), 62);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_pause_it_is_a_plain_deadline() {
        let start = Instant::now();
        Deadline::new(Duration::from_millis(250)).passed().await;
        assert_eq!(start.elapsed().as_millis(), 250);
    }
}
