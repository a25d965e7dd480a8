//! The only file that may open a path, a socket, an environment variable or a child (`clippy.toml` holds the rest of the
//! program to that). Nothing here decides anything: who calls must have a right already, or be the operator's own start-up.
#![expect(clippy::disallowed_methods, reason = "this is where they are allowed")]

pub(crate) mod cage;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write as _};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream};

/// The value of an environment variable; none when unset or not UTF-8.
///
/// # Ambient authority
/// Reads the process environment.
#[must_use]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The environment variables whose names begin like this, in the order of their names; those that are not UTF-8 left out.
///
/// # Ambient authority
/// Reads the process environment.
#[must_use]
pub fn variables(prefix: &str) -> Vec<(String, String)> {
    let text = |text: OsString| text.into_string().ok();
    let all = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
    let mut found: Vec<_> = all.filter(|(name, _)| name.starts_with(prefix)).collect();
    found.sort();
    found
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
    read_all(File::open(path)?, most)
}

fn read_all(file: File, most: u64) -> io::Result<Vec<u8>> {
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

/// When a file was last changed, in seconds and nanoseconds, how long it is, and its number.
pub type Fingerprint = (i64, i64, u64, u64);

/// What a file watch compares.
///
/// # Errors
/// As the operating system says.
pub fn fingerprint(path: &Path) -> io::Result<Fingerprint> {
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
    write_whole(path, bytes, 0o600)
}

/// Writes a file that everyone may read and its owner may write, whole or not at all.
///
/// # Errors
/// As the operating system says.
pub fn write_public(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole(path, bytes, 0o644)
}

/// Writes a file that is there already, whole or not at all. Who owns it and who may use it stays as it is, and a link
/// to it stays one.
///
/// # Errors
/// As the operating system says, also where the owner cannot be kept.
pub fn write_over(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let before = std::fs::metadata(&path)?;
    let temporary = beside(&path);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
            std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.set_permissions(before.permissions())?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    };
    write().inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

/// A name for a temporary file. Two that write the same file at once, in one process or in several, must not write to one.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    PathBuf::from(temporary)
}

fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = beside(path);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
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

/// Opens a database that is there. SQLite keeps two more files beside it and gives them the mode of the first.
///
/// # Errors
/// As SQLite says.
pub fn open_database(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    use rusqlite::OpenFlags;
    // No URIs: a path is a path, whatever is in it.
    rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Opens a file to add to its end. A new one is readable by its owner alone.
///
/// # Errors
/// As the operating system says.
pub fn append_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Removes a file.
///
/// # Errors
/// As the operating system says.
pub fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

/// The names of what lies in a directory, in their order; those that are not UTF-8 left out.
///
/// # Errors
/// As the operating system says; `FileTooLarge` for more than `most` entries.
pub fn names_in(path: &Path, most: usize) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for (number, entry) in std::fs::read_dir(path)?.enumerate() {
        if number == most {
            return Err(io::Error::new(ErrorKind::FileTooLarge, format!("more than {most} files")));
        }
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Whether there is a directory at this path.
#[must_use]
pub fn is_dir(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Waits until no other process holds the file at `path`, makes it if it is not there, and holds it until what is given
/// back is dropped.
///
/// # Errors
/// As the operating system says.
pub fn hold(path: &Path) -> io::Result<File> {
    let file = append_private(path)?;
    file.lock()?;
    Ok(file)
}

/// The same, without waiting; none while somebody else holds it.
///
/// # Errors
/// As the operating system says.
pub fn try_hold(path: &Path) -> io::Result<Option<File>> {
    let file = append_private(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
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

/// Opens a file or a directory as a mere place: nothing can be read through it.
///
/// # Errors
/// As the operating system says.
pub fn open_place(path: &Path) -> io::Result<File> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?.into())
}

/// Whether this process is kept from reading what its user may read: not by permissions, but by its own confinement.
#[must_use]
pub fn is_kept_from(path: &Path) -> bool {
    let opened = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path);
    let refused = opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    refused && rustix::fs::access(path, rustix::fs::Access::READ_OK).is_ok()
}

/// The file of this program.
///
/// # Errors
/// As the operating system says.
pub fn program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// The files this program runs from: its own, and those of its shared libraries. Asked at the start it names no others.
///
/// # Errors
/// As the operating system says.
pub fn mapped_files() -> io::Result<Vec<PathBuf>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let files: BTreeSet<&str> = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..])).collect();
    Ok(files.into_iter().map(PathBuf::from).collect())
}

/// Keeps what this process holds in memory out of core dumps, and out of the reach of other processes of its user.
///
/// # Errors
/// As the operating system says.
pub fn keep_memory_private() -> io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)?;
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Has the allocator give large buffers back to the system as soon as they are freed. By itself, glibc's keeps up to twice
/// the largest buffer it saw, for each of its arenas. To be said before there are threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "there is no safe way to tell the allocator")]
pub fn give_memory_back() {
    /// Buffers from this size on are mapped and unmapped one by one; what is free at the end of a heap is given back from
    /// this size on.
    const LARGE: i32 = 1 << 20;
    // SAFETY: `mallopt` takes two numbers and touches nothing but the allocator's own settings.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
    }
}

/// Other allocators do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_memory_back() {}

/// Gives back what was freed in small pieces, which glibc's allocator keeps for the thread that had it. Takes milliseconds
/// for a hundred mebibytes: after work that needed many and leaves few.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "there is no safe way to tell the allocator")]
pub(crate) fn give_freed_memory_back() {
    // SAFETY: `malloc_trim` touches nothing but what the allocator holds free, under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other allocators do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_freed_memory_back() {}

/// Standard input, opened once more; what it is opened as is nobody else's.
///
/// # Errors
/// When it is no pipe, or the operating system has no such way.
pub(crate) fn input_pipe() -> io::Result<pipe::Receiver> {
    pipe::OpenOptions::new().open_receiver("/proc/self/fd/0")
}

/// Standard output, as [`input_pipe`] opens standard input.
///
/// # Errors
/// As there.
pub(crate) fn output_pipe() -> io::Result<pipe::Sender> {
    pipe::OpenOptions::new().open_sender("/proc/self/fd/1")
}

/// Standard input, if it is a socket.
///
/// # Errors
/// When it is none.
pub(crate) fn input_socket() -> io::Result<OwnedFd> {
    socket(io::stdin().as_fd())
}

/// Standard output, if it is a socket.
///
/// # Errors
/// When it is none.
pub(crate) fn output_socket() -> io::Result<OwnedFd> {
    socket(io::stdout().as_fd())
}

fn socket(stream: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let kind = rustix::net::sockopt::socket_type(stream)?;
    if kind != rustix::net::SocketType::STREAM {
        return Err(ErrorKind::Unsupported.into());
    }
    stream.try_clone_to_owned()
}

/// An open file that says when there is something to do with it.
///
/// # Errors
/// As the operating system says: not every kind of file can.
#[expect(unsafe_code, reason = "nothing but this asks for the promise that a type cannot make")]
pub(crate) fn awaited(file: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: what an `OwnedFd` owns stays open, and the same, until it is dropped.
    Ok(unsafe { AsyncFd::register(file) }?)
}

/// To whom a terminal's Ctrl-C is said, and who may read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// To a new process as to this one.
    Shared,
    /// Not to the new process: it ends with its standard input.
    Own,
}

/// Starts this program once more, as a process that is asked over its standard streams.
///
/// # Errors
/// As the operating system says.
pub fn start_self(argument: &str, group: Group) -> io::Result<Child> {
    let mut command = std::process::Command::new(own_program());
    command.arg0("bailiwick").arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped());
    match group {
        Group::Shared => command.spawn(),
        Group::Own => command.process_group(0).spawn(),
    }
}

/// How many entries an opened directory has, `.` and `..` left out; none when there are more than `most`.
///
/// # Errors
/// As the operating system says.
pub fn count_entries(directory: &File, most: usize) -> io::Result<Option<usize>> {
    use rustix::fs::{Dir, openat};
    let mut n_entries = 0;
    // Opened anew: what is open may be a mere place, which cannot be read.
    let readable = openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for entry in Dir::new(readable)? {
        n_entries += usize::from(!matches!(entry?.file_name().to_bytes(), b"." | b".."));
        if n_entries > most {
            return Ok(None);
        }
    }
    Ok(Some(n_entries))
}

/// Makes a new folder for temporary files, readable by its owner alone.
///
/// # Errors
/// As the operating system says.
pub fn temporary_dir(prefix: &str) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    // Without links, as everything that is granted is shown.
    let path = std::env::temp_dir().canonicalize()?.join(format!("{prefix}-{}", hex::encode(random)));
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

/// Removes a folder with all that is in it; links are removed, not followed.
///
/// # Errors
/// As the operating system says.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    std::fs::remove_dir_all(path)
}

/// Makes a symbolic link to `target`, whatever that is.
///
/// # Errors
/// As the operating system says.
pub fn symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Makes a named pipe that its owner alone may use.
///
/// # Errors
/// As the operating system says.
pub fn make_pipe(path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, mknodat};
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
}

/// Listens on a free port of 127.0.0.1.
///
/// # Ambient authority
/// Whoever is on this machine can connect.
///
/// # Errors
/// As the operating system says.
pub async fn listen_on_loopback() -> io::Result<TcpListener> {
    TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await
}

/// Listens at an address. Connections that come before they are taken wait in a queue.
///
/// # Ambient authority
/// Whoever reaches this address can connect.
///
/// # Errors
/// As the operating system says.
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    /// Connections that wait to be taken; the system may allow less.
    const BACKLOG: i32 = 4_096;
    let listener = std::net::TcpListener::bind(address)?;
    // Told again: the standard library's own number is too small for many callers at once.
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
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

/// All addresses of `name`. Waits for as long as the system does, which may be half a minute.
///
/// # Ambient authority
/// Asks the system's resolver, that is `/etc/hosts` and the network's DNS.
///
/// # Errors
/// When there are none, or the resolver fails.
pub fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
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

/// Reads a whole regular file of at most `most` bytes. A pipe or a device, which could keep the reader waiting for ever,
/// is refused; so is a symbolic link at the end of the path, unless `links` allows it.
///
/// # Errors
/// As the operating system says; `InvalidInput` for what is no regular file, `FileTooLarge` above the limit.
pub fn read_regular(path: &Path, most: u64, links: Links) -> io::Result<Vec<u8>> {
    read_all(open_regular(path, links)?, most)
}

/// Opens a regular file to read; see [`read_regular`].
///
/// # Errors
/// As the operating system says; `InvalidInput` for what is no regular file.
pub fn open_regular(path: &Path, links: Links) -> io::Result<File> {
    let flags = match links {
        Links::Followed => OFlags::NONBLOCK,
        Links::Refused => OFlags::NONBLOCK | OFlags::NOFOLLOW,
    };
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

/// Bytes that are copied at once: few enough to stay in a processor's cache.
const PIECE: usize = 256 << 10;

/// Bytes in memory that nobody can change any more, this process included, and that can be mapped like a file.
#[derive(Debug)]
pub struct Frozen(File);

impl Frozen {
    /// Copies what `source` has, of at most `most` bytes, and shows each piece to `seen` on the way.
    ///
    /// # Errors
    /// As the operating system says; `FileTooLarge` above the limit.
    pub fn copy(source: impl Read, most: u64, mut seen: impl FnMut(&[u8])) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut memory = File::from(rustix::fs::memfd_create("bailiwick", flags)?);
        let mut source = source.take(most + 1);
        let (mut piece, mut copied) = (vec![0; PIECE], 0);
        loop {
            let n_bytes = match source.read(&mut piece) {
                Ok(0) => break,
                Ok(n_bytes) => n_bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            copied += n_bytes as u64;
            if copied > most {
                return Err(io::Error::new(ErrorKind::FileTooLarge, format!("more than {most} bytes")));
            }
            seen(&piece[..n_bytes]);
            memory.write_all(&piece[..n_bytes])?;
        }
        Self::seal(&memory)?;
        Ok(Self(memory))
    }

    /// While the kernel moves its pages about, memory cannot be sealed (EBUSY); a moment later it can.
    fn seal(memory: &File) -> io::Result<()> {
        const MOST_TRIES: u32 = 20;
        const PAUSE: Duration = Duration::from_millis(50);
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        for _ in 1..MOST_TRIES {
            match rustix::fs::fcntl_add_seals(memory, seals) {
                Err(rustix::io::Errno::BUSY) => std::thread::sleep(PAUSE),
                sealed => return Ok(sealed?),
            }
        }
        Ok(rustix::fs::fcntl_add_seals(memory, seals)?)
    }

    /// A path that leads to it for as long as it is there.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// What a symbolic link at the end of a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Another name of the file.
    Followed,
    /// A sign that someone was here.
    Refused,
}

/// The user this process acts as.
#[must_use]
pub fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The program that runs now, also when the file it was started from has been replaced since.
#[must_use]
pub fn own_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// Starts a program in a process group of its own, with all three streams piped and nothing in its environment but
/// `environment`. It is killed when the handle is dropped.
///
/// # Ambient authority
/// Starts a child.
///
/// # Errors
/// As the operating system says.
pub fn child(
    program: &Path,
    arguments: &[String],
    environment: &[(&str, String)],
) -> io::Result<tokio::process::Child> {
    tokio::process::Command::new(program)
        .arg0("bailiwick")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Offers this process first when the machine runs out of memory. Where the kernel does not know how, or the wall of the
/// host that started this process does not let it, nothing changes.
///
/// # Ambient authority
/// Writes to `/proc/self`.
pub fn first_when_memory_ends() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}
