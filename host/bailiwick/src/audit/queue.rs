//! Records on their way to the writer, and who waits for what.
//!
//! A call leaves its record here and goes on. The writer takes what came within [`LINGER`] at once: waking a thread for
//! every record would cost more than most calls do. When it falls behind by [`BACKLOG`] records, calls wait for it, and for
//! [`PATIENCE`] at most: a disk that hangs, or is full, holds up no call after that. What is not kept then is counted.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::record::Record;

/// Records that may wait to be written.
const BACKLOG: usize = 4096;
/// How long the first record that waits may wait for others. A host that is killed loses these.
const LINGER: Duration = Duration::from_millis(2);
/// How long a call waits for room. The next ones do not wait, until something was written.
const PATIENCE: Duration = Duration::from_secs(1);

/// A record, and who waits for it to be on the disk.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: Box<Record>,
    /// Is told the number of the record.
    pub(super) written: Option<oneshot::Sender<i64>>,
}

/// See the top of this file.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// There is something to write, or nothing will come any more.
    work: Condvar,
    /// There is room again, or nobody is to wait for it.
    room: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<Entry>,
    /// Somebody waits for one of them.
    urgent: bool,
    /// Nothing could be written the last time, or for too long.
    stuck: bool,
    /// Records for which there was no room.
    lost: u64,
    closed: bool,
    finished: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record; waits for room if there is none and the writer is at work.
    pub(super) fn push(&self, entry: Entry) {
        let full = |waiting: &mut Waiting| waiting.entries.len() >= BACKLOG && !waiting.stuck;
        let waited = self.room.wait_timeout_while(self.waiting(), PATIENCE, full);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if waiting.entries.len() >= BACKLOG {
            waiting.lost += 1;
            waiting.stuck = true;
            drop(waiting);
            self.room.notify_all();
            return;
        }
        let urgent = entry.written.is_some();
        waiting.urgent |= urgent;
        waiting.entries.push(entry);
        let first = waiting.entries.len() == 1;
        drop(waiting);
        // With the second record and those after it, the writer knows already.
        if first || urgent {
            self.work.notify_one();
        }
    }

    /// How many records wait to be written.
    pub(super) fn n_waiting(&self) -> usize {
        self.waiting().entries.len()
    }

    /// Whether records cannot be written now.
    pub(super) fn is_stuck(&self) -> bool {
        self.waiting().stuck
    }

    /// The writer could write again, or could not.
    pub(super) fn set_stuck(&self, stuck: bool) {
        self.waiting().stuck = stuck;
        self.room.notify_all();
    }

    /// Waits for records and takes all that are there, with the number of those that are lost; none: it is closed and empty.
    pub(super) fn take(&self) -> Option<(Vec<Entry>, u64)> {
        let idle = |waiting: &mut Waiting| waiting.entries.is_empty() && !waiting.closed;
        let waiting = self.work.wait_while(self.waiting(), idle).unwrap_or_else(PoisonError::into_inner);
        let calm = |waiting: &mut Waiting| !waiting.urgent && !waiting.closed;
        let lingered = self.work.wait_timeout_while(waiting, LINGER, calm);
        let (mut waiting, _) = lingered.unwrap_or_else(PoisonError::into_inner);
        waiting.urgent = false;
        let (entries, lost) = (std::mem::take(&mut waiting.entries), std::mem::take(&mut waiting.lost));
        drop(waiting);
        self.room.notify_all();
        (!entries.is_empty() || lost > 0).then_some((entries, lost))
    }

    /// Waits for so long, or until nothing will come any more. Whether that is so.
    pub(super) fn closed_within(&self, time: Duration) -> bool {
        let open = |waiting: &mut Waiting| !waiting.closed;
        let waited = self.work.wait_timeout_while(self.waiting(), time, open);
        waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Nothing will come any more.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.work.notify_all();
    }

    /// The writer has ended.
    pub(super) fn finish(&self) {
        self.waiting().finished = true;
        self.room.notify_all();
    }

    /// Waits for the writer to end, for so long at most. Whether it has.
    pub(super) fn finished(&self, patience: Duration) -> bool {
        let waited = self.room.wait_timeout_while(self.waiting(), patience, |waiting| !waiting.finished);
        waited.unwrap_or_else(PoisonError::into_inner).0.finished
    }
}
