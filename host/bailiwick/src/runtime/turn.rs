//! Busy guests take turns. A guest that has not finished within a tick goes on only when it holds one of as many turns as
//! there are processors, so that the executor's queue never holds a hundred loops before a call that needs a moment.

use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One for each processor: more could not run at once anyway.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(processors))
});

/// The turn of one call, if it has one.
#[derive(Debug, Default)]
pub(super) struct Turn(Mutex<Option<OwnedSemaphorePermit>>);

impl Turn {
    /// Gives way to whoever waits, and waits for the next turn.
    pub(super) async fn next(self: Arc<Self>) {
        tokio::task::yield_now().await;
        // The semaphore is never closed; without a permit the guest would just go on as before.
        let permit = Arc::clone(&TURNS).acquire_owned().await.ok();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = permit;
    }

    /// Runs a guest. Whenever it waits, for its next turn or for the host, its turn is over.
    pub(super) async fn over<T>(self: Arc<Self>, guest: impl Future<Output = T>) -> T {
        let mut guest = pin!(guest);
        std::future::poll_fn(|cx| {
            let polled = guest.as_mut().poll(cx);
            drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
            polled
        })
        .await
    }
}
