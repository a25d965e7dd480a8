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
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
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
    path: PathBuf,
    reader: Mutex<Connection>,
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

/// What a caller has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls that were let through.
    pub calls: u64,
    /// What they took from start to end, in microseconds, waiting included.
    pub micros: u64,
    /// The bytes of their results.
    pub bytes: u64,
}

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
        let (writer, reader) = store::open(&path, &Migrations::from_slice(&STEPS))?;
        let writer =
            Writer::new(keeping, writer).map_err(|error| StoreError::Database { path: path.clone(), error })?;
        let queue = Arc::new(Queue::default());
        let records = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            writer.run(&records);
            records.finish();
        });
        let writer = thread.map_err(file)?;
        Ok(Self { queue, path, reader: Mutex::new(reader), writer: Some(writer) })
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

    /// What `caller` has used since then, as far as it is written. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn spent(&self, caller: &str, since: Timestamp) -> Result<Spent, StoreError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        archive::spent(&reader, caller, since).map_err(|error| unfit(&self.path, error))
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
