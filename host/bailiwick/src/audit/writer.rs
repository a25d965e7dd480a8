//! The thread that writes records: a group at a time, each group as a whole, in one chain with what other processes write.
//! It also removes what is too old or too much, always from the beginning of the chain.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use tokio::sync::oneshot;

use bailiwick_core::chain::Link;
use bailiwick_core::redact::visible_json;

use super::queue::{Entry, Queue};
use super::record::Lost;
use super::{Keeping, archive};
use crate::store;

/// How long another process may keep the file for itself before a group is tried again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long after a group could not be written it is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How often it is looked whether records are too old.
const LOOK: Duration = Duration::from_secs(60);
/// Records that are removed at once: no more than what delays the next group by some milliseconds.
const AT_ONCE: i64 = 2_000;
/// How often that is done at a time: more than was added since it was looked last.
const BATCHES: u32 = 4;
/// Bytes of records that are written before the size of the file is looked at again, which takes as long as writing some.
const UNSEEN: usize = 64 << 10;

pub(super) struct Writer {
    keeping: Keeping,
    connection: Connection,
    /// Whether a group was on the disk, and not only with the system, when it was written.
    durable: bool,
    complained: bool,
    /// When it is looked again whether records are too old.
    look: Instant,
    /// Bytes of records since the size of the file was looked at.
    unseen: usize,
}

/// Records that are written together.
struct Group {
    lines: Vec<Line>,
    /// Somebody waits for it to be on the disk.
    durable: bool,
}

struct Line {
    record: String,
    written: Option<oneshot::Sender<i64>>,
}

impl Group {
    fn of(entries: Vec<Entry>, lost: u64) -> Self {
        let line = |Entry { record, written }| Line { record: json(&record), written };
        let mut lines: Vec<Line> = entries.into_iter().map(line).collect();
        if lost > 0 {
            lines.push(Line { record: json(&Lost::new(lost)), written: None });
        }
        Self { durable: lines.iter().any(|line| line.written.is_some()), lines }
    }

    /// Tells those who wait which numbers their records have.
    fn acknowledge(self, last: Link) {
        let first = last.number - i64::try_from(self.lines.len()).unwrap_or(0) + 1;
        for (number, line) in (first..).zip(self.lines) {
            // Whoever gave up waiting is told nothing.
            let _ = line.written.map(|written| written.send(number));
        }
    }
}

fn json(record: &impl serde::Serialize) -> String {
    // A record has no map with keys that are not text.
    let text = serde_json::to_string(record).unwrap_or_default();
    // Whoever looks at the file on a terminal sees what it says and nothing else.
    visible_json(&text).into_owned()
}

impl Writer {
    pub(super) fn new(keeping: Keeping, connection: Connection) -> rusqlite::Result<Self> {
        connection.busy_timeout(PATIENCE)?;
        Ok(Self { keeping, connection, durable: false, complained: false, look: Instant::now(), unseen: UNSEEN })
    }

    pub(super) fn run(mut self, queue: &Queue) {
        while let Some((entries, lost)) = queue.take() {
            if lost > 0 {
                tracing::error!(lost, "there was no room for audit records");
            }
            if let Err(records) = self.persist(Group::of(entries, lost), queue) {
                tracing::error!(records, "the host ends, and audit records are lost");
                continue;
            }
            if let Err(error) = self.prune() {
                tracing::warn!(%error, "old audit records cannot be removed");
            }
        }
    }

    /// Writes a group, however often it has to be tried; gives up when the host ends, and says how many records that were.
    fn persist(&mut self, group: Group, queue: &Queue) -> Result<(), usize> {
        loop {
            let error = match self.write(&group) {
                Ok(last) => {
                    self.unseen += group.lines.iter().map(|line| line.record.len()).sum::<usize>();
                    self.relieved(queue);
                    group.acknowledge(last);
                    return Ok(());
                }
                Err(error) => error,
            };
            queue.set_stuck(true);
            if !self.complained {
                let (file, records) = (self.keeping.file.display(), group.lines.len());
                tracing::error!(%error, %file, records, "audit records cannot be written; it is tried again");
                self.complained = true;
            }
            if queue.closed_within(RETRY) {
                let records = group.lines.len();
                return self.write(&group).map(|last| group.acknowledge(last)).map_err(|_| records);
            }
        }
    }

    fn relieved(&mut self, queue: &Queue) {
        // Also when calls found it too slow in the meantime.
        queue.set_stuck(false);
        if std::mem::take(&mut self.complained) {
            tracing::warn!("audit records are written again");
        }
    }

    /// Writes a group after what is there, and gives the place of its last record.
    fn write(&mut self, group: &Group) -> rusqlite::Result<Link> {
        if group.durable != self.durable {
            let synchronous = if group.durable { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", synchronous)?;
            self.durable = group.durable;
        }
        store::transaction(&mut self.connection, |transaction| {
            let mut insert =
                transaction.prepare_cached("INSERT INTO records (seq, record, hash) VALUES (?1, ?2, ?3)")?;
            let mut at = archive::head(transaction)?;
            for line in &group.lines {
                at = at.then(&line.record);
                insert.execute(params![at.number, line.record, at.hash.as_bytes()])?;
            }
            Ok(at)
        })
    }

    /// Removes what is too old or too much, more of it than was added; the rest goes with the groups to come.
    fn prune(&mut self) -> rusqlite::Result<()> {
        if self.unseen < UNSEEN && Instant::now() < self.look {
            return Ok(());
        }
        for _ in 0..BATCHES {
            if !self.prune_some()? {
                self.unseen = 0;
                break;
            }
        }
        Ok(())
    }

    /// Removes [`AT_ONCE`] records at most. Whether there may be more.
    fn prune_some(&mut self) -> rusqlite::Result<bool> {
        let too_much = self.size()? > self.keeping.max;
        if !too_much && Instant::now() < self.look {
            return Ok(false);
        }
        let keep = i64::try_from(self.keeping.keep.as_secs()).unwrap_or(i64::MAX);
        let oldest = Timestamp::now().as_second().saturating_sub(keep);
        let oldest = Timestamp::from_second(oldest).unwrap_or(Timestamp::MIN);
        let removed = store::transaction(&mut self.connection, |transaction| {
            let first = first_number(transaction)?;
            let last = if too_much { first + AT_ONCE - 1 } else { last_before(transaction, first, oldest)? };
            remove_up_to(transaction, last)
        })?;
        // Gives room back to the file system.
        let mut vacuum = self.connection.prepare_cached("PRAGMA incremental_vacuum(256)")?;
        let mut pages = vacuum.query([])?;
        while pages.next()?.is_some() {}
        if removed < AT_ONCE {
            self.look = Instant::now() + LOOK;
        }
        Ok(removed == AT_ONCE)
    }

    /// The bytes that are in use.
    fn size(&self) -> rusqlite::Result<u64> {
        let number = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let used = (number("page_count")? - number("freelist_count")?) * number("page_size")?;
        Ok(u64::try_from(used).unwrap_or(0))
    }
}

fn first_number(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    transaction.query_row("SELECT seq + 1 FROM anchor", [], |row| row.get(0))
}

/// The number before the first record that is not older than this, no further than [`AT_ONCE`] records on.
fn last_before(transaction: &Transaction<'_>, first: i64, oldest: Timestamp) -> rusqlite::Result<i64> {
    let young = "SELECT seq FROM records WHERE seq >= ?1 AND seq < ?2 AND time >= ?3 ORDER BY seq LIMIT 1";
    let young = transaction.query_row(young, params![first, first + AT_ONCE, format!("{oldest:.3}")], |row| row.get(0));
    Ok(young.optional()?.unwrap_or(first + AT_ONCE) - 1)
}

/// Removes the records up to this number, and notes where the chain goes on. Gives how many.
fn remove_up_to(transaction: &Transaction<'_>, last: i64) -> rusqlite::Result<i64> {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
    // The newest record always stays.
    let newest = "SELECT seq, hash FROM records WHERE seq <= ?1 AND seq < (SELECT max(seq) FROM records) \
                  ORDER BY seq DESC LIMIT 1";
    let Some((last, hash)) = transaction.query_row(newest, [last], row).optional()? else { return Ok(0) };
    let removed = transaction.execute("DELETE FROM records WHERE seq <= ?1", [last])?;
    transaction.execute("UPDATE anchor SET seq = ?1, hash = ?2", params![last, hash])?;
    Ok(i64::try_from(removed).unwrap_or(i64::MAX))
}
