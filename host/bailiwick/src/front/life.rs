//! How something ends in good order: nothing more comes in, what is under way may finish, then it is cancelled.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How far a connection or a server is, and what of it is under way.
#[derive(Debug)]
pub(crate) struct Life {
    phase: watch::Sender<Phase>,
    under_way: watch::Sender<usize>,
    /// Cancelled once everything has to end.
    over: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Requests come in.
    Open,
    /// Nothing more comes in; what is under way may finish.
    Leaving,
    /// What is still under way is cancelled.
    Over,
}

/// Counts as under way for as long as it lives.
#[derive(Debug)]
pub(crate) struct UnderWay(watch::Sender<usize>);

impl Life {
    pub(crate) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Open),
            under_way: watch::Sender::new(0),
            over: CancellationToken::new(),
        }
    }

    /// Counts something as under way.
    pub(crate) fn enter(&self) -> UnderWay {
        self.under_way.send_modify(|count| *count += 1);
        UnderWay(self.under_way.clone())
    }

    /// Stops taking requests.
    pub(crate) fn leave(&self) {
        self.advance(Phase::Leaving);
    }

    /// Whether requests still come in.
    pub(crate) fn is_open(&self) -> bool {
        *self.phase.borrow() == Phase::Open
    }

    /// Completes once nothing more comes in.
    pub(crate) async fn leaving(&self) {
        self.reached(Phase::Leaving).await;
    }

    /// Completes once everything has to end.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Completes once nothing is under way.
    pub(crate) async fn idle(&self) {
        // The sender is our own, so it cannot be gone.
        let _ = self.under_way.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Cancelled once everything has to end.
    pub(crate) fn over_token(&self) -> CancellationToken {
        self.over.clone()
    }

    /// Ends everything.
    pub(crate) fn end(&self) {
        self.advance(Phase::Over);
        self.over.cancel();
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| std::mem::replace(phase, to.max(*phase)) < to);
    }

    async fn reached(&self, wanted: Phase) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase >= wanted).await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
