//! One record per call, as a JSON line: who called what, what it touched, what it was refused. Never a value.
//!
//! Writing happens on a thread of its own, so that a slow disk delays no call; when that thread falls behind by
//! [`BACKLOG`] records, calls wait for it. `bailiwick` ends only after the last record is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::Serialize;

use crate::ambient;

/// Records that may wait to be written.
const BACKLOG: usize = 4096;

/// One call.
#[derive(Debug, Serialize)]
pub struct Record {
    /// When the call came in, RFC 3339 in UTC with milliseconds.
    pub time: String,
    /// The call.
    pub call: String,
    /// Who made it.
    pub caller: String,
    /// The name the caller wrote, control characters made visible.
    pub tool: String,
    /// The plugin, when there is such a tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// `sha256:…` of the component that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
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
    /// Each distinct refusal on the way: its code and sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denials: Vec<Denial>,
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

/// Where records go.
#[derive(Debug)]
pub struct Audit {
    sender: Option<SyncSender<String>>,
    writer: Mutex<Option<JoinHandle<()>>>,
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
        let (sender, receiver) = sync_channel(BACKLOG);
        let writer = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || Writer { rotation, file, complained: false }.run(&receiver))?;
        Ok(Self { sender: Some(sender), writer: Mutex::new(Some(writer)) })
    }

    /// Adds one record.
    pub fn record(&self, record: &Record) {
        let (Ok(line), Some(sender)) = (serde_json::to_string(record), &self.sender) else { return };
        if sender.send(line).is_err() {
            tracing::error!(call = record.call, "the audit writer is gone; a record is lost");
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.sender = None;
        let writer = self.writer.get_mut().map(Option::take);
        if let Ok(Some(writer)) = writer {
            let _ = writer.join();
        }
    }
}

struct Writer {
    rotation: Rotation,
    file: File,
    complained: bool,
}

impl Writer {
    fn run(mut self, records: &Receiver<String>) {
        while let Ok(first) = records.recv() {
            let mut lines = first;
            lines.push('\n');
            while lines.len() < 256 << 10
                && let Ok(next) = records.try_recv()
            {
                lines.push_str(&next);
                lines.push('\n');
            }
            let written = self.rotate().and_then(|()| self.file.write_all(lines.as_bytes()));
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
