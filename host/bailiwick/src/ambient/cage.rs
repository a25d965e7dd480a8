//! What the keeper needs of the kernel: processes, namespaces, mounts, and what is known of a tree of processes.
//!
//! Nothing here decides anything, as everywhere in [`super`]: `keeper` says who is put into what.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::fs::{CWD, MemfdFlags, SealFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{DumpableBehavior, Pid};
use rustix::thread::UnshareFlags;

/// Starts a program, this one by rule, that finds `socket` as its standard input and nothing in its environment but where
/// programs and the user's own files are. A terminal's Ctrl-C is not for it.
///
/// # Ambient authority
/// Starts a process with all the rights this process has now.
///
/// # Errors
/// As the operating system says.
pub(crate) fn start_with_socket(program: &Path, argument: &str, socket: OwnedFd) -> io::Result<Child> {
    let mut command = std::process::Command::new(program);
    command.arg0("bailiwick").arg(argument).env_clear().stdin(Stdio::from(socket)).stdout(Stdio::null());
    for name in ["PATH", "HOME"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.process_group(0).spawn()
}

/// Two ends of a connection that keeps messages apart and carries open files.
///
/// # Errors
/// As the operating system says.
pub(crate) fn connection() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// A file in memory that has no name, holds `bytes` and cannot be changed any more.
///
/// # Errors
/// As the operating system says.
pub(crate) fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("message", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file.into())
}

/// What such a file holds, at most `most` bytes.
///
/// # Errors
/// When it can still be changed, is longer, or is none: another kind of file could keep its reader waiting.
pub(crate) fn read_sealed(file: OwnedFd, most: u64) -> io::Result<Vec<u8>> {
    let seals = rustix::fs::fcntl_get_seals(&file)?;
    if !seals.contains(SealFlags::SHRINK | SealFlags::WRITE) {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut file = std::fs::File::from(file);
    file.rewind()?;
    super::read_all(file, most)
}

/// Makes a second process out of this one; none in the new one.
///
/// # Ambient authority
/// The new process has all that this one has.
///
/// # Errors
/// As the operating system says; `Unsupported` when this process has several threads, of which the new one would have but
/// one, with the locks of all the others.
#[expect(unsafe_code, reason = "there is no safe way to go on as two processes")]
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(ErrorKind::Unsupported.into());
    }
    // SAFETY: this process has one thread, so that no lock is held by a thread that the new process does not have.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Pid::from_raw(pid))
}

/// Closes every open file but these, and puts nothing in the place of the three standard streams. What owned the others
/// must not be used any more, nor dropped: the process has to end without.
///
/// # Errors
/// As the operating system says.
#[expect(unsafe_code, reason = "no type can give up files it does not know of")]
pub(crate) fn keep_only(files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let nothing = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    drop(nothing);
    let mut kept: Vec<u32> = files.iter().filter_map(|file| u32::try_from(file.as_raw_fd()).ok()).collect();
    kept.sort_unstable();
    kept.push(u32::MAX);
    let mut first = 3;
    for kept in kept {
        if first < kept {
            // SAFETY: the call takes numbers; what is closed is nobody's in this process from here on, as is asked above.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, first, kept - 1, 0) };
            if closed != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        first = kept.saturating_add(1);
    }
    Ok(())
}

/// Has every open file but the standard streams closed when another program takes the place of this one.
///
/// # Errors
/// As the operating system says.
#[expect(unsafe_code, reason = "no type can mark files it does not know of")]
pub(crate) fn hand_on_no_files() -> io::Result<()> {
    // SAFETY: the call takes numbers and closes nothing now.
    let marked = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if marked == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Leaves the namespaces of this process for new ones.
///
/// # Errors
/// As the operating system says.
#[expect(unsafe_code, reason = "rustix cannot know which of the flags are given")]
pub(crate) fn leave(namespaces: UnshareFlags) -> io::Result<()> {
    debug_assert!(!namespaces.contains(UnshareFlags::FILES));
    // SAFETY: the table of open files, for whose sake this is unsafe, stays shared as it is.
    Ok(unsafe { rustix::thread::unshare_unsafe(namespaces) }?)
}

/// In a new user namespace: the user and the group are called what they were called before.
///
/// # Errors
/// As the operating system says.
pub(crate) fn keep_own_names(user: u32, group: u32) -> io::Result<()> {
    // The files of what `/proc` knows of a process belong to its user only while it could be looked into.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Switches on the loopback device of a new network namespace.
///
/// # Errors
/// As the operating system says.
#[expect(unsafe_code, reason = "there is no other way to say so than a call that takes any structure")]
pub(crate) fn loopback_up() -> io::Result<()> {
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        flags: libc::c_short,
        rest: [u8; 22],
    }
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut name = [0; libc::IFNAMSIZ];
    name[..2].copy_from_slice(b"lo");
    let up = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(io::Error::other)?;
    let request = Request { name, flags: up, rest: [0; 22] };
    // SAFETY: the call reads a structure `ifreq` of 40 bytes, as which `Request` is laid out, and writes nothing.
    let set = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Listens on a free port of 127.0.0.1, as [`super::listen_on_loopback`] does, in the network namespace of this process.
///
/// # Errors
/// As the operating system says.
pub(crate) fn listen_in_namespace() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&listener, 1_024)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Says how high the numbers of processes go in this PID namespace; where the kernel has but one such number for all, or
/// keeps it to itself, nothing changes.
pub(crate) fn limit_process_numbers(processes: u32) {
    /// The kernel does not go below.
    const LEAST: u32 = 301;
    let _ = std::fs::write("/proc/sys/kernel/pid_max", processes.max(LEAST).to_string());
}

/// Has mounts of this namespace be nobody else's business, and those of others none of its own.
///
/// # Errors
/// As the operating system says.
pub(crate) fn keep_mounts_private() -> io::Result<()> {
    Ok(rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?)
}

/// Mounts a new file system.
///
/// # Errors
/// As the operating system says.
pub(crate) fn mount(kind: &str, at: &Path, flags: MountFlags, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    Ok(rustix::mount::mount(kind, at, kind, flags, options.as_c_str())?)
}

/// Takes all mounts away from below a folder, as soon as nobody uses them.
///
/// # Errors
/// As the operating system says.
pub(crate) fn unmount(at: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(at, UnmountFlags::DETACH)?)
}

/// Has the mount that is the working folder be the root, and the root of before at `old` in it.
///
/// # Errors
/// As the operating system says.
pub(crate) fn pivot(old: &str) -> io::Result<()> {
    rustix::process::pivot_root(".", old)?;
    Ok(rustix::process::chdir("/")?)
}

/// What may be done through a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    /// Read, and start programs.
    Read,
    /// Also write.
    Write,
    /// Use devices; start no programs.
    Devices,
}

/// Shows what is at `source` at `target` too.
///
/// # Errors
/// As the operating system says.
pub(crate) fn show(source: &Path, target: &Path, through: Through) -> io::Result<()> {
    /// All that is mounted below comes along; the same for what `mount_setattr` and `open_tree` are told.
    const RECURSIVE: u32 = 0x8000;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, source, clone | OpenTreeFlags::from_bits_retain(RECURSIVE))?;
    let set = match through {
        Through::Read => libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        Through::Write => libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        Through::Devices => libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC,
    };
    set_attributes(tree.as_fd(), set, RECURSIVE)?;
    Ok(rustix::mount::move_mount(tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Has a folder be at a second place too, as it is.
///
/// # Errors
/// As the operating system says.
pub(crate) fn repeat(source: &Path, target: &Path) -> io::Result<()> {
    Ok(rustix::mount::mount_bind(source, target)?)
}

/// Has the root of this mount namespace be read only; what is mounted below stays as it is.
///
/// # Errors
/// As the operating system says.
pub(crate) fn close_root() -> io::Result<()> {
    let root = super::open_place(Path::new("/"))?;
    set_attributes(root.as_fd(), libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, 0)
}

#[expect(unsafe_code, reason = "rustix does not know the call")]
fn set_attributes(tree: BorrowedFd<'_>, set: u64, flags: u32) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let attributes = Attributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    let flags = flags | libc::AT_EMPTY_PATH.cast_unsigned();
    // SAFETY: the path is an empty text with its end; `attributes` is laid out as the kernel's `mount_attr`, of which it
    // reads as many bytes as it is told. It writes nothing.
    let changed = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    if changed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a folder and its parents that everyone may enter.
///
/// # Errors
/// As the operating system says.
pub(crate) fn create_open_dir(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Makes an empty file unless there is one.
///
/// # Errors
/// As the operating system says.
pub(crate) fn touch(path: &Path) -> io::Result<()> {
    std::fs::File::options().append(true).create(true).open(path).map(drop)
}

/// Removes an empty folder.
///
/// # Errors
/// As the operating system says.
pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    std::fs::remove_dir(path)
}

/// Where a symbolic link leads; none if it is no link, or nothing.
#[must_use]
pub(crate) fn link_target(path: &Path) -> Option<PathBuf> {
    std::fs::read_link(path).ok()
}

/// Whether there is a regular file at this path.
#[must_use]
pub(crate) fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// The program of this name: in the folders of `PATH`, or relative to `folder` if it has a slash.
#[must_use]
pub(crate) fn program_named(name: &str, folder: Option<&Path>) -> Option<PathBuf> {
    let runs = |path: &Path| {
        let metadata = std::fs::metadata(path);
        metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        let folder = folder.map_or_else(std::env::current_dir, |folder| Ok(folder.to_owned())).ok()?;
        return Some(folder.join(name)).filter(|path| runs(path));
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_absolute() && runs(path))
}

/// What a program is started with, besides itself.
pub(crate) struct Start<'a> {
    /// What it is called, as its first argument.
    pub(crate) name: &'a str,
    /// All others.
    pub(crate) arguments: Vec<&'a str>,
    /// Its whole environment.
    pub(crate) environment: BTreeMap<&'a str, &'a str>,
    /// Standard input, output and error.
    pub(crate) streams: [OwnedFd; 3],
}

/// Puts a program in the place of this one. Comes back only when that fails.
///
/// # Ambient authority
/// The program has all that this process has.
pub(crate) fn become_program(program: &Path, start: Start<'_>) -> io::Error {
    let [input, output, error] = start.streams;
    let mut command = std::process::Command::new(program);
    command.arg0(start.name).args(start.arguments).env_clear().envs(start.environment);
    command.stdin(input).stdout(output).stderr(error).exec()
}

/// Ends this process at once.
pub(crate) fn end() -> ! {
    std::process::exit(0)
}

/// What is known of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: Pid,
    /// Who started it, or took it over.
    pub(crate) parent: i32,
    /// Whether it still runs; one that ended and was not asked for how does not.
    pub(crate) runs: bool,
    /// Its threads.
    pub(crate) threads: u64,
    /// Bytes in memory and in swap that are nobody else's file. What several processes share counts for each.
    pub(crate) memory: u64,
}

/// All processes of this PID namespace, as far as `/proc` shows them.
///
/// # Errors
/// As the operating system says.
pub(crate) fn processes() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else { continue };
        // It may have ended meanwhile.
        found.extend(std::fs::read_to_string(Path::new("/proc").join(name).join("status")).ok().map(|text| {
            let field = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.and_then(|value| value.split_whitespace().next()).unwrap_or_default()
            };
            let number = |name| field(name).parse::<u64>().unwrap_or_default();
            Process {
                pid,
                parent: field("PPid").parse().unwrap_or_default(),
                runs: !matches!(field("State"), "Z" | "X"),
                threads: number("Threads"),
                memory: (number("RssAnon") + number("RssShmem") + number("VmSwap")) * 1_024,
            }
        }));
    }
    Ok(found)
}

/// Bytes of a process's memory and swap that are nobody else's file, each shared page by the share; none where this cannot
/// be asked. A process that has ended has no memory.
#[must_use]
pub(crate) fn own_share_of_memory(pid: Pid) -> Option<u64> {
    let path = Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("smaps_rollup");
    let mut text = String::new();
    match std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH) => {
            return Some(0);
        }
        Err(_) => return None,
    }
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok())
    };
    Some((of("Pss_Anon:")? + of("Pss_Shmem:")? + of("SwapPss:").unwrap_or(0)) * 1_024)
}

/// Whether a text has the ending of a kind of file that is run by an interpreter.
#[must_use]
pub(crate) fn is_script(path: &Path) -> bool {
    const ENDINGS: [&str; 14] =
        ["js", "mjs", "cjs", "ts", "mts", "cts", "py", "pyz", "jar", "rb", "php", "pl", "sh", "lua"];
    path.extension().and_then(OsStr::to_str).is_some_and(|ending| ENDINGS.contains(&ending))
}
