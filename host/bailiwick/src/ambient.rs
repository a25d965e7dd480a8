//! The only file that may open a path, a socket, an environment variable or a child (`clippy.toml` holds the rest of the
//! program to that). Nothing here decides anything: who calls must have a right already, or be the operator's own start-up.
#![expect(clippy::disallowed_methods, reason = "this is where they are allowed")]

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;

/// The value of an environment variable; none when unset or not UTF-8.
///
/// # Ambient authority
/// Reads the process environment.
#[must_use]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The folder relative paths start from.
///
/// # Errors
/// When it was removed.
pub fn current_dir() -> io::Result<PathBuf> {
    std::env::current_dir()
}

/// This program's own arguments.
#[must_use]
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// Whether something is there.
#[must_use]
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// The path without links, `.` and `..`.
///
/// # Errors
/// As the operating system says.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// Reads a whole file of at most `most` bytes.
///
/// # Errors
/// As the operating system says; `FileTooLarge` above the limit.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(most)).unwrap_or(0));
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {most} bytes")));
    }
    Ok(bytes)
}

/// The file's permission bits and owner, as `(mode, uid)`.
///
/// # Errors
/// As the operating system says.
pub fn mode_and_owner(path: &Path) -> io::Result<(u32, u32)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.mode() & 0o7777, metadata.uid()))
}

/// When the file was last changed and how long it is; what a file watch compares.
///
/// # Errors
/// As the operating system says.
pub fn fingerprint(path: &Path) -> io::Result<(i64, i64, u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino()))
}

/// Makes a folder and its parents, readable by their owner alone.
///
/// # Errors
/// As the operating system says.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file readable by its owner alone, whole or not at all: temporary file, flush, rename.
///
/// # Errors
/// As the operating system says.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Two that write the same file at once, in one process or in several, must not write to one temporary file.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let temporary = PathBuf::from(temporary);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    match written.and_then(|()| std::fs::rename(&temporary, path)) {
        Ok(()) => Ok(()),
        Err(error) => {
            let _ = std::fs::remove_file(&temporary);
            Err(error)
        }
    }
}

/// Makes a new file readable by its owner alone; fails when there is one.
///
/// # Errors
/// As the operating system says.
pub fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

/// Opens a file readable by its owner alone to add to its end.
///
/// # Errors
/// As the operating system says.
pub fn append_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Gives a file another name in the same folder.
///
/// # Errors
/// As the operating system says.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

/// Removes a file.
///
/// # Errors
/// As the operating system says.
pub fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

/// Opens a directory once, so that what is granted is this directory, whatever its name means later.
///
/// # Errors
/// As the operating system says; `NotADirectory` for anything else.
pub fn open_dir(path: &Path) -> io::Result<File> {
    let dir = File::open(path)?;
    if !dir.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    Ok(dir)
}

/// Runs an operator's command and takes what it prints on standard output, at most 64 KiB, within 10 seconds.
///
/// # Errors
/// When it cannot be started, fails, prints too much or takes too long.
pub fn command_output(argv: &[String]) -> io::Result<Vec<u8>> {
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.take((64 << 10) + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let patience = std::time::Instant::now() + Duration::from_secs(10);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if std::time::Instant::now() > patience {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not end within 10 seconds"));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if !status.success() {
        return Err(io::Error::other(format!("it ended with {status}")));
    }
    let bytes = reader.join().map_err(|_| io::ErrorKind::BrokenPipe)??;
    if bytes.len() > 64 << 10 {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it printed more than 64 KiB"));
    }
    Ok(bytes)
}

/// Where names become addresses.
#[derive(Debug, Clone, Default)]
pub enum Resolver {
    /// The operating system's resolver.
    #[default]
    System,
    /// A fixed table, for tests: every look-up is counted, names that are not in it do not exist.
    Fixed(Arc<FixedNames>),
}

/// Names with their addresses, and how often they were looked up.
#[derive(Debug, Default)]
pub struct FixedNames {
    /// The addresses; each look-up takes the next list, the last one stays.
    pub names: HashMap<String, Vec<Vec<IpAddr>>>,
    /// How many look-ups there were.
    pub lookups: std::sync::atomic::AtomicUsize,
}

impl Resolver {
    /// All addresses of `name`.
    ///
    /// # Ambient authority
    /// Asks the system's resolver, that is `/etc/hosts` and the network's DNS.
    ///
    /// # Errors
    /// When there are none, or the resolver fails.
    pub async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()),
            Self::Fixed(table) => {
                let earlier = table.lookups.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let answers = table.names.get(name).ok_or(io::ErrorKind::NotFound)?;
                answers.get(earlier).or(answers.last()).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }
}

/// Connects to exactly this address.
///
/// # Ambient authority
/// Opens a connection; egress has judged the address before.
///
/// # Errors
/// As the operating system says.
pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
