//! Writes down what plugins ask for and are refused, when an operator wants to learn what to grant. It changes no
//! decision: the call is refused all the same. The file holds no query, header, body or value.
//!
//! Writing happens on a thread of its own and holds up no call: what comes faster than it can be written is lost. Several
//! processes may observe at once; each takes the file, adds to it and puts it back.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use bailiwick_core::name::PluginName;
use bailiwick_core::observation::{Observation, Observations};

use crate::ambient;

/// The file's name in the state folder.
pub const FILE: &str = "observed.jsonl";
/// A file larger than this is none of ours: the entries it may have are fewer and shorter.
const MAX_FILE: u64 = 8 << 20;
/// Calls that may wait to be written.
const BACKLOG: usize = 1024;

/// Where observations go.
#[derive(Debug)]
pub struct Observer {
    sender: Option<SyncSender<Vec<Observation>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Observer {
    /// Makes sure that the file can be written, and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(file: &Path) -> io::Result<Self> {
        update(file, |_| ())?;
        let (sender, receiver) = sync_channel(BACKLOG);
        let file = file.to_owned();
        let writer = std::thread::Builder::new().name("observer".to_owned()).spawn(move || write(&file, &receiver))?;
        Ok(Self { sender: Some(sender), writer: Mutex::new(Some(writer)) })
    }

    /// Adds what one call asked for and was refused.
    pub fn note(&self, seen: Vec<Observation>) {
        if let Some(sender) = self.sender.as_ref().filter(|_| !seen.is_empty())
            && sender.try_send(seen).is_err()
        {
            tracing::warn!("refusals come faster than they can be written down; some are not observed");
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.sender = None;
        if let Ok(Some(writer)) = self.writer.get_mut().map(Option::take) {
            let _ = writer.join();
        }
    }
}

fn write(file: &Path, calls: &Receiver<Vec<Observation>>) {
    let mut full = false;
    while let Ok(mut seen) = calls.recv() {
        seen.extend(calls.try_iter().take(BACKLOG).flatten());
        // Not `all`, which would stop at the first for which there is no room.
        let added = update(file, |known| {
            let mut room = true;
            for seen in seen.drain(..) {
                room &= known.add(seen);
            }
            room
        });
        match added {
            Ok(true) => {}
            Ok(false) if !full => {
                full = true;
                tracing::warn!(file = %file.display(), "no more is observed of a plugin: `bailiwick suggest PLUGIN --clear` makes room");
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%error, file = %file.display(), "what was refused cannot be written down"),
        }
    }
}

/// What was observed, and how many lines of the file say nothing that can be understood. Nothing if there is no file.
///
/// # Errors
/// When the file cannot be read, or others could have written it.
pub fn read(file: &Path) -> io::Result<(Observations, usize)> {
    match ambient::mode_and_owner(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => return Err(error),
        Ok((mode, _)) if mode & 0o022 != 0 => {
            let message = format!("others may write to it (mode {mode:o}); run `chmod 600 {}`", file.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(_) => {}
    }
    let text = String::from_utf8(ambient::read(file, MAX_FILE)?);
    let text = text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
    Ok(Observations::read(&text))
}

/// Takes out what was observed of one plugin; says how much that was.
///
/// # Errors
/// When the file cannot be read or written.
pub fn forget(file: &Path, plugin: &PluginName) -> io::Result<usize> {
    update(file, |known| known.forget(plugin))
}

/// Changes the file while nobody else does.
fn update<T>(file: &Path, change: impl FnOnce(&mut Observations) -> T) -> io::Result<T> {
    let _held = ambient::hold(&lock_file(file))?;
    let (mut known, unreadable) = read(file)?;
    if unreadable > 0 {
        tracing::warn!(unreadable, file = %file.display(), "some lines are no observations and are dropped");
    }
    let changed = change(&mut known);
    ambient::write_private(file, known.lines().as_bytes())?;
    Ok(changed)
}

fn lock_file(file: &Path) -> PathBuf {
    file.with_extension("lock")
}
