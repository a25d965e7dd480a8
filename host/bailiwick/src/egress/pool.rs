//! Connections that have served one request and may serve another of the same plugin.
//!
//! A pooled connection is no right: every request is judged and resolved anew, and takes a connection only if it leads
//! to one of the addresses that were allowed just then.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use bailiwick_core::name::PluginName;

use super::connect::Connection;

/// How long a connection waits for its next request. Common servers close an idle one after 15 to 75 seconds.
const IDLE: Duration = Duration::from_secs(15);
/// Connections that wait for one destination.
const MOST_PER_KEY: usize = 8;
/// Connections that wait in all: each holds a file descriptor and up to 64 KiB.
const MOST: usize = 256;
/// How long a connection may take to be ready again after its last answer was read; it only has to be scheduled.
const READY: Duration = Duration::from_millis(100);

/// Who may use a connection, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Connections are never shared between plugins.
    pub(super) plugin: PluginName,
    /// Over TLS, with a certificate for `host`.
    pub(super) secure: bool,
    /// Whether that certificate was checked.
    pub(super) verified: bool,
    /// As in the `Host` header, without the port.
    pub(super) host: String,
    /// Where it leads, in the form that was judged.
    pub(super) address: SocketAddr,
}

/// The connections that wait.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    waiting: HashMap<Key, Vec<(Instant, Connection)>>,
    /// Whether somebody comes to close those that waited too long.
    swept: bool,
}

impl Pool {
    /// A connection for `key` that can take a request now.
    pub(super) async fn take(&self, key: &Key) -> Option<Connection> {
        loop {
            let mut connection = self.pop(key)?;
            if let Ok(Ok(())) = tokio::time::timeout(READY, connection.ready()).await {
                return Some(connection);
            }
        }
    }

    fn pop(&self, key: &Key) -> Option<Connection> {
        let mut idle = self.lock();
        let waiting = idle.waiting.get_mut(key)?;
        let newest = waiting.pop().filter(|(since, _)| since.elapsed() < IDLE);
        if newest.is_none() {
            // The newest was too old, so all are.
            idle.waiting.remove(key);
        }
        newest.map(|(_, connection)| connection)
    }

    fn put(self: &Arc<Self>, key: Key, connection: Connection) {
        let mut idle = self.lock();
        let total: usize = idle.waiting.values().map(Vec::len).sum();
        let waiting = idle.waiting.entry(key).or_default();
        if total < MOST && waiting.len() < MOST_PER_KEY {
            waiting.push((Instant::now(), connection));
        }
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what waited too long; false when nothing is left to wait.
    fn close_old(&self) -> bool {
        let mut idle = self.lock();
        idle.waiting.retain(|_, waiting| {
            waiting.retain(|(since, connection)| since.elapsed() < IDLE && !connection.is_closed());
            !waiting.is_empty()
        });
        idle.swept = !idle.waiting.is_empty();
        idle.swept
    }

    /// How many connections wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.values().map(Vec::len).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs while connections wait, and no longer than the pool.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE / 3).await;
        if !pool.upgrade().is_some_and(|pool| pool.close_old()) {
            return;
        }
    }
}

/// A connection in use, and the right to have one more request open.
pub(super) struct Lease {
    pub(super) connection: Connection,
    pub(super) key: Key,
    pub(super) home: Arc<Pool>,
    /// True once the request is wholly sent.
    pub(super) sent: Arc<AtomicBool>,
    pub(super) _slot: OwnedSemaphorePermit,
}

impl Lease {
    /// Keeps the connection for another request, unless the last one is still being sent.
    pub(super) fn give_back(self) {
        if self.sent.load(Ordering::Acquire) && !self.connection.is_closed() {
            self.home.put(self.key, self.connection);
        }
    }
}
