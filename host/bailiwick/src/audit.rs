//! One record per call, as a JSON line: who called what, what it touched, what it was refused. Never a value.
//!
//! Writing happens on a thread of its own, so that a slow disk delays no call; when that thread falls behind by
//! [`BACKLOG`] records, calls wait for it. It writes what came within [`LINGER`] at once: waking a thread for every
//! record would cost more than most calls do. `bailiwick` ends only after the last record is written.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use bailiwick_core::call::CallId;
use bailiwick_core::name::PluginName;
use bailiwick_core::redact::visible_json;

use crate::ambient;
use crate::runtime::ComponentDigest;

/// Records that may wait to be written.
const BACKLOG: usize = 4096;
/// How long the first record that waits may wait for others. A host that is killed loses these.
const LINGER: Duration = Duration::from_millis(2);

/// One call.
#[derive(Debug, Serialize)]
pub struct Record {
    /// When the call came in, RFC 3339 in UTC with milliseconds.
    #[serde(serialize_with = "milliseconds")]
    pub time: Timestamp,
    /// The call.
    #[serde(serialize_with = "text")]
    pub call: CallId,
    /// Who made it.
    pub caller: String,
    /// The name the caller wrote, control characters made visible.
    pub tool: String,
    /// The plugin, when there is such a tool.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_if_any")]
    pub plugin: Option<PluginName>,
    /// `sha256:…` of the component that ran.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_if_any")]
    pub component: Option<ComponentDigest>,
    /// `sha256:…` of the rights it ran with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<String>,
    /// Names and kinds of the arguments, for example `{path:string}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// `ok`, or the code of the failure.
    pub outcome: &'static str,
    /// How an approval went, when one was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<&'static str>,
    /// Each distinct refusal on the way, up to 32: its code and sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denials: Vec<Denial>,
    /// How many refusals there were in all, where that is more than `denials` shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// What the host did for the guest, and how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<String, u32>,
    /// Microseconds from start to end, waiting for a person included.
    pub micros: u64,
    /// The most linear memory the guest had, in bytes.
    pub memory: u64,
    /// The size of the result in bytes.
    pub output: u64,
}

/// A refusal.
#[derive(Debug, Serialize)]
pub struct Denial {
    /// Its code.
    pub code: &'static str,
    /// What was refused, and which line would allow it.
    pub message: String,
}

fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn text_if_any<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// Where records go.
#[derive(Debug)]
pub struct Audit {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

/// How the file is kept.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The file records are added to.
    pub file: PathBuf,
    /// It is put aside when it has this many bytes.
    pub at: u64,
    /// How many old ones are kept, as `FILE.1` (the newest) to `FILE.N`.
    pub keep: u32,
}

impl Audit {
    /// Opens the file and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be opened or its folder made.
    pub fn open(rotation: Rotation) -> io::Result<Self> {
        if let Some(folder) = rotation.file.parent() {
            ambient::create_private_dir(folder)?;
        }
        let file = ambient::append_private(&rotation.file)?;
        let queue = Arc::new(Queue::default());
        let records = Arc::clone(&queue);
        let writer = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || Writer { rotation, file, complained: false }.run(&records))?;
        Ok(Self { queue, writer: Some(writer) })
    }

    /// Adds one record.
    pub fn record(&self, record: Record) {
        self.queue.push(record);
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Records on their way to the writer.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// There is something to write, or nothing will come any more.
    work: Condvar,
    /// There is room again.
    room: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<Record>,
    closed: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, record: Record) {
        let mut waiting = self.waiting();
        while waiting.records.len() >= BACKLOG {
            waiting = self.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.records.push(record);
        let first = waiting.records.len() == 1;
        drop(waiting);
        // With the second record and those after it, the writer knows already.
        if first {
            self.work.notify_one();
        }
    }

    fn close(&self) {
        self.waiting().closed = true;
        self.work.notify_one();
    }

    /// Waits for records and takes all that are there; none: it is closed and empty.
    fn take(&self) -> Option<Vec<Record>> {
        let waiting = self.waiting();
        let idle = |waiting: &mut Waiting| waiting.records.is_empty() && !waiting.closed;
        let waiting = self.work.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
        let closed = waiting.closed;
        drop(waiting);
        if !closed {
            std::thread::sleep(LINGER);
        }
        let records = std::mem::take(&mut self.waiting().records);
        self.room.notify_all();
        (!records.is_empty()).then_some(records)
    }
}

struct Writer {
    rotation: Rotation,
    file: File,
    complained: bool,
}

impl Writer {
    fn run(mut self, queue: &Queue) {
        while let Some(records) = queue.take() {
            let mut lines = Vec::with_capacity(records.len() * 512);
            for record in &records {
                // A record has no map with keys that are not text.
                let line = serde_json::to_string(record).unwrap_or_default();
                // Whoever looks at the file on a terminal sees what it says and nothing else.
                lines.extend_from_slice(visible_json(&line).as_bytes());
                lines.push(b'\n');
            }
            let written = self.rotate().and_then(|()| self.file.write_all(&lines));
            match written {
                Ok(()) => self.complained = false,
                Err(error) if !self.complained => {
                    tracing::error!(%error, file = %self.rotation.file.display(), "audit records cannot be written");
                    self.complained = true;
                }
                Err(_) => {}
            }
        }
        let _ = self.file.sync_data();
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() < self.rotation.at {
            return Ok(());
        }
        let file = self.rotation.file.clone();
        if self.rotation.keep == 0 {
            ambient::remove(&file)?;
        }
        for number in (0..self.rotation.keep).rev() {
            let from = if number == 0 { file.clone() } else { numbered(&file, number) };
            match ambient::rename(&from, &numbered(&file, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        self.file = ambient::append_private(&file)?;
        Ok(())
    }
}

fn numbered(file: &Path, number: u32) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}
