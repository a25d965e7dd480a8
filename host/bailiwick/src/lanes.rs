//! Blocking work on behalf of guests: so many threads for each plugin, and no more.
//!
//! A thread that waits in the operating system cannot be called back when its call ends. So its place is free only when
//! the work is really over: a plugin whose work never ends holds up itself, not the others.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::Semaphore;

use bailiwick_core::name::PluginName;

/// Threads that may work for one plugin at once; the executor has 512 for all.
const WIDTH: usize = 16;

static LANES: LazyLock<Mutex<HashMap<PluginName, Arc<Semaphore>>>> = LazyLock::new(Mutex::default);

/// Does `work` on a thread where it may block, as soon as `plugin` has room for it.
///
/// # Errors
/// When the work panicked, or the executor is ending.
pub(crate) async fn run<T: Send + 'static>(
    plugin: &PluginName,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let lane = {
        let mut lanes = LANES.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(plugin.clone()).or_insert_with(|| Arc::new(Semaphore::new(WIDTH))))
    };
    let place = lane.acquire_owned().await.map_err(io::Error::other)?;
    let worked = tokio::task::spawn_blocking(move || {
        let _place = place;
        work()
    });
    worked.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_that_never_ends_holds_up_its_own_plugin_alone() {
        let (stuck, free) = (PluginName::parse("stuck").unwrap(), PluginName::parse("free").unwrap());
        let mut releases = Vec::new();
        for _ in 0..WIDTH {
            let (release, released) = mpsc::channel::<()>();
            releases.push(release);
            let work = run(&stuck, move || released.recv().is_ok());
            // The caller gives up; the thread does not.
            assert!(tokio::time::timeout(Duration::from_millis(1), work).await.is_err());
        }
        assert!(tokio::time::timeout(Duration::from_millis(50), run(&stuck, || 1)).await.is_err());
        let other = tokio::time::timeout(Duration::from_secs(5), run(&free, || 1)).await;
        assert_eq!(other.expect("another plugin has room").unwrap(), 1);
        drop(releases);
        assert_eq!(run(&stuck, || 1).await.unwrap(), 1, "there is room again");
    }
}
