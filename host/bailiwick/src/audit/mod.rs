//! One record per call: who called what, what it touched, what it was refused. Never a value.
//!
//! Records are in a SQLite file of their own, each chained to the one before it ([`bailiwick_core::chain`]); several
//! processes write to one chain. Writing happens on a thread of its own, so that a slow disk delays no call: see [`queue`]
//! for what waits for what. `bailiwick` ends only after the last record is written.

mod archive;
mod queue;
mod record;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite_migration::{M, Migrations};
use tokio::sync::oneshot;

pub use archive::{Archive, Filter, Row, Verified};
pub use record::{BEGUN, Denial, LOST, Record};

use crate::store::{self, StoreError};
use queue::{Entry, Queue};
use writer::Writer;

/// The file's name in the state folder.
pub const FILE: &str = "audit.db";

/// What was released is never changed; a new version adds a step.
const STEPS: [M<'static>; 1] = [M::up(include_str!("audit.sql"))];

/// How long the record of a call whose risk is high may take to be on the disk before the call is refused.
const INTENT_PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of the host waits for the last records; a disk that hangs may hang for ever.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// Where records go.
#[derive(Debug)]
pub struct Audit {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

/// How the file is kept.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// The file.
    pub file: PathBuf,
    /// Records older than this are removed.
    pub keep: Duration,
    /// The oldest records are removed when all of them take more bytes.
    pub max: u64,
}

/// A record cannot be written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit cannot be written")]
pub struct Unwritten;

impl Audit {
    /// Opens the file and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be opened or its folder made.
    pub fn open(keeping: Keeping) -> Result<Self, StoreError> {
        let path = keeping.file.clone();
        let file = |error| StoreError::File { path: path.clone(), error };
        if let Some(folder) = path.parent() {
            crate::ambient::create_private_dir(folder).map_err(file)?;
        }
        let (writer, _) = store::open(&path, &Migrations::from_slice(&STEPS))?;
        let writer =
            Writer::new(keeping, writer).map_err(|error| StoreError::Database { path: path.clone(), error })?;
        let queue = Arc::new(Queue::default());
        let records = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            writer.run(&records);
            records.finish();
        });
        let writer = thread.map_err(file)?;
        Ok(Self { queue, writer: Some(writer) })
    }

    /// How many records wait to be written.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.queue.n_waiting()
    }

    /// Adds one record, some milliseconds from now.
    pub fn record(&self, record: Record) {
        self.queue.push(Entry { record: Box::new(record), written: None });
    }

    /// Adds one record and waits until it is on the disk. Gives its number.
    ///
    /// # Errors
    /// When it is not within [`INTENT_PATIENCE`], or what came before it could not be written either.
    pub async fn record_now(&self, record: Record) -> Result<i64, Unwritten> {
        if self.queue.is_stuck() {
            return Err(Unwritten);
        }
        let (written, number) = oneshot::channel();
        self.queue.push(Entry { record: Box::new(record), written: Some(written) });
        match tokio::time::timeout(INTENT_PATIENCE, number).await {
            Ok(Ok(number)) => Ok(number),
            Ok(Err(_)) | Err(_) => Err(Unwritten),
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take()
            && self.queue.finished(END_PATIENCE)
        {
            let _ = writer.join();
        }
    }
}

fn unfit(path: &Path, error: rusqlite::Error) -> StoreError {
    StoreError::Database { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bailiwick_core::call::CallId;
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn record(age: SignedDuration) -> Record {
        Record {
            time: Timestamp::now() - age,
            call: CallId::new("1-1"),
            caller: "test".to_owned(),
            tool: "x".repeat(100),
            plugin: None,
            component: None,
            grants: None,
            arguments: Some("{path:string,pattern:string}".to_owned()),
            outcome: "ok",
            approval: None,
            intent: None,
            denials: Vec::new(),
            refused: None,
            operations: std::collections::BTreeMap::from([("fs read".to_owned(), 3)]),
            micros: 100,
            memory: 1 << 20,
            output: 17,
        }
    }

    fn keeping(folder: &tempfile::TempDir, keep: Duration, max: u64) -> Keeping {
        Keeping { file: folder.path().join(FILE), keep, max }
    }

    fn verified(folder: &tempfile::TempDir) -> Verified {
        Archive::open(&folder.path().join(FILE)).unwrap().unwrap().verify(None).unwrap()
    }

    const LONG: Duration = Duration::from_secs(3_600);
    const NEW: SignedDuration = SignedDuration::ZERO;
    const OLD: SignedDuration = SignedDuration::from_hours(2);

    #[test]
    fn what_is_too_old_goes_and_the_rest_still_holds() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(keeping(&folder, LONG, 1 << 30)).unwrap();
        (0..3_000).for_each(|_| audit.record(record(OLD)));
        (0..10).for_each(|_| audit.record(record(NEW)));
        drop(audit);
        let audit = Audit::open(keeping(&folder, LONG, 1 << 30)).unwrap();
        audit.record(record(NEW));
        drop(audit);
        let Verified { start, head, broken, .. } = verified(&folder);
        assert_eq!((start.number, head.number, broken), (3_000, 3_011, None));
    }

    #[test]
    fn what_is_too_much_goes_oldest_first_and_the_file_stays_within_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(keeping(&folder, LONG, 1 << 20)).unwrap();
        for _ in 0..4 {
            (0..4_000).for_each(|_| audit.record(record(NEW)));
        }
        drop(audit);
        let Verified { start, head, broken, .. } = verified(&folder);
        assert_eq!((head.number, broken), (16_000, None));
        assert!(start.number > 8_000, "{start:?}");
        let size = crate::ambient::fingerprint(&folder.path().join(FILE)).unwrap().2;
        assert!(size < 4 << 20, "{size}");
    }

    #[tokio::test]
    async fn who_waits_is_told_the_number_and_finds_it_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(keeping(&folder, LONG, 1 << 30)).unwrap();
        audit.record(record(NEW));
        assert_eq!(audit.record_now(record(NEW)).await, Ok(2));
        assert_eq!(verified(&folder).head.number, 2);
        assert_eq!(audit.record_now(record(NEW)).await, Ok(3));
    }

    #[test]
    fn leaving_a_record_is_cheap() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(keeping(&folder, LONG, 1 << 30)).unwrap();
        let mut records: Vec<Record> = (0..20_000).map(|_| record(NEW)).collect();
        let begun = Instant::now();
        records.drain(..).for_each(|record| audit.record(record));
        let left = begun.elapsed();
        drop(audit);
        println!("measured: 20,000 records were left in {left:?} and written after {:?}", begun.elapsed());
        assert_eq!(verified(&folder).head.number, 20_000);
    }
}
