//! What is left to whoever takes over the process. A process of this very test program is confined as the host confines
//! itself, and then tries by raw system calls what no tool could: all that was not granted is refused by the kernel, and
//! all that was granted still works. Without the wall, the same process can do both.
#![expect(unsafe_code, reason = "raw system calls are the point")]

use std::ffi::CString;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;

use bailiwick::{confine, settings};
use bailiwick_core::confine::Life;

use crate::support::host::World;

/// Says what the re-started test program is to be: `confined` or `free`.
const ROLE: &str = "BAILIWICK_TEST_ESCAPE";
const PORTS: &str = "BAILIWICK_TEST_PORTS";

/// One attempt: its name, and the number of the error it ended with; 0 if it worked.
type Attempt = (String, i32);

/// A raw system call.
fn call(number: i64, arguments: &[usize]) -> i32 {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: each caller passes what this call takes: numbers, or pointers to what lives until it returns. The kernel
    // answers every wrong pointer with an error.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 { io::Error::last_os_error().raw_os_error().unwrap_or(-1) } else { 0 }
}

fn word(value: i32) -> usize {
    usize::try_from(i64::from(value).cast_unsigned()).expect("the processor has 64 bits")
}

fn path(path: &Path) -> CString {
    CString::new(path.to_str().expect("it is UTF-8")).expect("it has no NUL")
}

const HERE: i32 = libc::AT_FDCWD;

/// Opens a file with these flags, and closes it.
fn open(file: &Path, flags: i32) -> i32 {
    let name = path(file);
    // SAFETY: `name` is a path that lives until the call returns.
    let opened = unsafe { libc::openat(HERE, name.as_ptr(), flags | libc::O_CLOEXEC, 0o600) };
    if opened == -1 {
        return io::Error::last_os_error().raw_os_error().unwrap_or(-1);
    }
    // SAFETY: it was opened a moment ago, and nobody else knows it.
    unsafe { libc::close(opened) };
    0
}

fn two(number: i64, from: &Path, to: &Path) -> i32 {
    let (from, to) = (path(from), path(to));
    call(number, &[word(HERE), from.as_ptr() as usize, word(HERE), to.as_ptr() as usize, 0])
}

fn one(number: i64, file: &Path, rest: &[usize]) -> i32 {
    let file = path(file);
    call(number, &[&[word(HERE), file.as_ptr() as usize], rest].concat())
}

fn number_of<T>(result: io::Result<T>) -> i32 {
    result.err().map_or(0, |error| error.raw_os_error().unwrap_or(-1))
}

/// Memory of a process, by its number: eight bytes at the address of one of our own.
fn memory_of(process: u32) -> i32 {
    let (mut target, source) = ([0_u8; 8], [1_u8; 8]);
    let local = libc::iovec { iov_base: target.as_mut_ptr().cast(), iov_len: 8 };
    let remote = libc::iovec { iov_base: source.as_ptr().cast_mut().cast(), iov_len: 8 };
    let process = usize::try_from(process).expect("it fits");
    call(libc::SYS_process_vm_readv, &[process, &raw const local as usize, 1, &raw const remote as usize, 1, 0])
}

fn socket(family: i32, kind: i32, protocol: i32) -> i32 {
    call(libc::SYS_socket, &[word(family), word(kind | libc::SOCK_CLOEXEC), word(protocol)])
}

/// Sends a byte to a port with a flag that connects on the way.
fn fast_open(port: u16) -> i32 {
    // SAFETY: it takes numbers only.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    let address = libc::sockaddr_in {
        sin_family: u16::try_from(libc::AF_INET).expect("it is 2"),
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    let byte = [0_u8];
    call(
        libc::SYS_sendto,
        &[
            word(socket),
            byte.as_ptr() as usize,
            1,
            word(libc::MSG_FASTOPEN),
            &raw const address as usize,
            size_of_val(&address),
        ],
    )
}

/// Waits for connections on a port nobody chose.
fn listen_anywhere() -> i32 {
    // SAFETY: it takes numbers only.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    call(libc::SYS_listen, &[word(socket), 1])
}

fn named(attempts: impl IntoIterator<Item = (&'static str, i32)>) -> Vec<Attempt> {
    attempts.into_iter().map(|(name, errno)| (name.to_owned(), errno)).collect()
}

/// What the configuration grants, or the host needs: it works behind the wall too.
fn inside(folder: &Path, granted: u16) -> Vec<Attempt> {
    let at = |name: &str| folder.join(name);
    let read = libc::O_RDONLY;
    let listed = libc::O_RDONLY | libc::O_DIRECTORY;
    named([
        ("read what is granted", open(&at("in/a"), read)),
        ("list what is granted", open(&at("in"), listed)),
        ("write what is granted", open(&at("out/a"), libc::O_RDWR | libc::O_TRUNC)),
        ("make a file", open(&at("out/new"), libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)),
        ("make a folder", one(libc::SYS_mkdirat, &at("out/sub"), &[0o700])),
        ("move a file to another folder", two(libc::SYS_renameat2, &at("out/new"), &at("out/sub/new"))),
        ("give it a second name", two(libc::SYS_linkat, &at("out/sub/new"), &at("out/second"))),
        ("empty it", one_path(libc::SYS_truncate, &at("out/second"), &[0])),
        ("remove it", one(libc::SYS_unlinkat, &at("out/second"), &[0])),
        ("keep state", open(&at("state/x"), libc::O_WRONLY | libc::O_CREAT)),
        ("keep compiled code", open(&at("cache/x"), libc::O_WRONLY | libc::O_CREAT)),
        ("read its component", open(&at("plugin.wasm"), read)),
        ("read what the system knows of it", open(Path::new("/proc/self/status"), read)),
        ("use the null device", open(Path::new("/dev/null"), libc::O_RDWR)),
        ("start itself", number_of(Command::new("/proc/self/exe").arg("--list").output())),
        ("start a thread", number_of(std::thread::Builder::new().spawn(|| ()).map(std::thread::JoinHandle::join))),
        ("connect to a granted port", number_of(TcpStream::connect(("127.0.0.1", granted)))),
        ("have a pair of sockets", number_of(std::os::unix::net::UnixStream::pair())),
    ])
}

fn one_path(number: i64, file: &Path, rest: &[usize]) -> i32 {
    let file = path(file);
    call(number, &[&[file.as_ptr() as usize], rest].concat())
}

/// What nobody granted: it works for a free process of the same user, and not behind the wall.
fn outside(folder: &Path, parent: u32, ungranted: u16) -> Vec<Attempt> {
    let at = |name: &str| folder.join(name);
    let read = libc::O_RDONLY;
    std::os::unix::fs::symlink(at("other/a"), at("out/link")).expect("links may be made");
    let to_parent = usize::try_from(parent).expect("it fits");
    let fifo = word(i32::try_from(libc::S_IFIFO).expect("it is small") | 0o600);
    named([
        ("read the users", open(Path::new("/etc/passwd"), read)),
        ("list the root", open(Path::new("/"), read | libc::O_DIRECTORY)),
        ("read the configuration once more", open(&at("bailiwick.toml"), read)),
        ("read what is beside a grant", open(&at("other/a"), read)),
        ("read it by a link within a grant", open(&at("out/link"), read)),
        ("read it by its second name", two(libc::SYS_linkat, &at("other/a"), &at("out/hard"))),
        ("change what may be read", open(&at("in/a"), libc::O_WRONLY)),
        ("make a file in what may be read", open(&at("in/new"), libc::O_WRONLY | libc::O_CREAT)),
        ("make a file outside", open(&at("other/new"), libc::O_WRONLY | libc::O_CREAT)),
        ("make a folder outside", one(libc::SYS_mkdirat, &at("other/sub"), &[0o700])),
        ("empty a file outside", one_path(libc::SYS_truncate, &at("other/b"), &[0])),
        ("remove a file outside", one(libc::SYS_unlinkat, &at("other/c"), &[0])),
        ("move a file out", two(libc::SYS_renameat2, &at("out/a"), &at("other/moved"))),
        ("make a pipe", one(libc::SYS_mknodat, &at("out/pipe"), &[fifo, 0])),
        ("change a mode", one(libc::SYS_fchmodat, &at("out/sub"), &[0o755])),
        ("start a program", number_of(Command::new("/bin/true").status())),
        ("read memory across processes", memory_of(std::process::id())),
        (
            "read the variables of another process",
            open(&Path::new("/proc").join(parent.to_string()).join("environ"), read),
        ),
        ("send a signal", call(libc::SYS_kill, &[to_parent, 0])),
        ("connect to another port", number_of(TcpStream::connect(("127.0.0.1", ungranted)))),
        ("take a port", number_of(TcpListener::bind("127.0.0.1:0"))),
        ("listen on any port", listen_anywhere()),
        ("have a UDP socket", socket(libc::AF_INET, libc::SOCK_DGRAM, 0)),
        ("have a socket of this machine", socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)),
        ("have a netlink socket", socket(libc::AF_NETLINK, libc::SOCK_RAW, 0)),
        ("leave a namespace", call(libc::SYS_unshare, &[0])),
        ("ask for its personality", call(libc::SYS_personality, &[0xffff_ffff])),
        ("look up a name", number_of(std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 0)))),
    ])
}

/// What may fail for a free process too, for other reasons: behind the wall it is always refused.
fn never(ungranted: u16) -> Vec<Attempt> {
    let all_ones = [usize::MAX; 6];
    let listed = confine::refused_everywhere()
        .into_iter()
        .map(|number| (format!("system call {number}"), call(number, &all_ones)));
    let clone = || {
        let flags = word(libc::CLONE_NEWUSER | libc::SIGCHLD);
        // SAFETY: where it works after all, the new process ends at once.
        match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
            0 => unsafe { libc::_exit(0) },
            -1 => io::Error::last_os_error().raw_os_error().unwrap_or(-1),
            _ => 0,
        }
    };
    let letter = b"x";
    let others = named([
        ("have a user namespace", clone()),
        ("have a new process by way of a struct", call(libc::SYS_clone3, &[0, 0])),
        ("type into its terminal", call(libc::SYS_ioctl, &[0, 0x5412, letter.as_ptr() as usize])),
        ("connect by sending", fast_open(ungranted)),
        ("have a socket for MPTCP", socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP)),
        ("have a raw socket", socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)),
        ("have a packet socket", socket(libc::AF_PACKET, libc::SOCK_RAW, 0)),
        ("have a socket to a hypervisor", socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
        ("have a pair that can be reconnected", {
            let mut pair = [0; 2];
            let kind = word(libc::SOCK_DGRAM);
            call(libc::SYS_socketpair, &[word(libc::AF_UNIX), kind, 0, pair.as_mut_ptr() as usize])
        }),
    ]);
    listed.chain(others).collect()
}

/// Not a rule of its own: what the test program does when one of the tests below starts it once more.
#[test]
fn the_process_that_is_taken_over() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let ports = std::env::var(PORTS).expect("it is set with the role");
    let (granted, ungranted) = ports.split_once(' ').expect("two ports");
    let [granted, ungranted]: [u16; 2] = [granted, ungranted].map(|port| port.parse().expect("a port"));
    let folder = std::env::current_dir().expect("it is there");
    if role == "confined" {
        let file = folder.join("bailiwick.toml");
        let config = settings::read(&file).unwrap_or_else(|error| panic!("{error}"));
        let planned = confine::plan(&config, &file, Life::Once, None).unwrap_or_else(|error| panic!("{error}"));
        let hold = confine::hold(&planned).unwrap_or_else(|error| panic!("{error}"));
        hold.missing.iter().for_each(|missing| println!("\nmissing\t{missing}"));
    }
    let parent = std::os::unix::process::parent_id();
    let attempts = [("inside", inside(&folder, granted)), ("outside", outside(&folder, parent, ungranted))];
    for (kind, attempts) in attempts {
        attempts.iter().for_each(|(name, errno)| println!("\n{kind}\t{name}\t{errno}"));
    }
    if role == "confined" {
        never(ungranted).iter().for_each(|(name, errno)| println!("\nnever\t{name}\t{errno}"));
    }
}

/// What came of the attempts of one process: kind, name, error.
struct Taken {
    id: u32,
    attempts: Vec<(String, String, i32)>,
    missing: Vec<String>,
}

impl Taken {
    fn of(&self, kind: &str) -> impl Iterator<Item = (&str, i32)> {
        self.attempts.iter().filter(move |(known, ..)| known == kind).map(|(_, name, errno)| (name.as_str(), *errno))
    }
}

/// Starts this test program once more, in a world of its own, and reads what it could do.
fn taken_over(role: &str) -> Taken {
    let world = World::new()
        .file("in/a", "")
        .file("out/a", "")
        .file("other/a", "")
        .file("other/b", "")
        .file("other/c", "")
        .file("plugin.wasm", "")
        .folder("cache");
    let listen = || TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let (granted, ungranted) = (listen(), listen());
    let port = |listener: &TcpListener| listener.local_addr().expect("it has one").port();
    let (granted_port, ungranted_port) = (port(&granted), port(&ungranted));
    let text = format!(
        "[plugins.a]\ncomponent = \"plugin.wasm\"\nfs = [\"./in\", \"./out:rw\"]\n\
         net = [\"http://127.0.0.1:{granted_port}\"]\n[host]\nstate = \"./state\"\ncache = \"./cache\"\n"
    );
    std::fs::write(world.path("bailiwick.toml"), text).expect("a file can be written");
    let child = Command::new(std::env::current_exe().expect("Linux says"))
        .args(["--exact", "escape::the_process_that_is_taken_over", "--nocapture", "--test-threads", "1"])
        .current_dir(world.path(""))
        .env(ROLE, role)
        .env(PORTS, format!("{granted_port} {ungranted_port}"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it can be started");
    assert!(granted.as_raw_fd() != ungranted.as_raw_fd(), "both listen until the end");
    let id = child.id();
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let mut taken = Taken { id, attempts: Vec::new(), missing: Vec::new() };
    for line in said.lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["missing", what] => taken.missing.push(what.to_owned()),
            [kind, name, errno] => {
                taken.attempts.push((kind.to_owned(), name.to_owned(), errno.parse().expect("a number")));
            }
            _ => {}
        }
    }
    assert!(taken.attempts.len() > 40, "{said}");
    taken
}

#[test]
fn a_process_that_was_taken_over_reaches_what_is_granted_and_nothing_else() {
    let confined = taken_over("confined");
    if !confined.missing.is_empty() {
        println!("skip   this kernel does not hold the whole wall: {:#?}", confined.missing);
        return;
    }
    let failed: Vec<_> = confined.of("inside").filter(|(_, errno)| *errno != 0).collect();
    assert!(failed.is_empty(), "granted, and refused: {failed:?}");
    let refusals = [libc::EACCES, libc::EPERM, libc::EXDEV, libc::ENOSYS];
    let by_name = |name: &str, errno: i32| name == "look up a name" && errno == -1;
    let through: Vec<_> = ["outside", "never"]
        .into_iter()
        .flat_map(|kind| confined.of(kind))
        .filter(|(name, errno)| !refusals.contains(errno) && !by_name(name, *errno))
        .collect();
    assert!(through.is_empty(), "refused by nobody: {through:?}");
    let listed: Vec<_> = confined.of("never").filter(|(name, _)| name.starts_with("system call ")).collect();
    assert_eq!(listed.len(), confine::refused_everywhere().len());
    assert!(listed.iter().all(|(_, errno)| *errno == libc::EPERM), "{listed:?}");
    let granted = confined.of("inside").count();
    println!("tried behind the wall: {granted} granted, {} not", confined.attempts.len() - granted);
    noted_by_the_kernel(confined.id);
}

#[test]
fn without_the_wall_the_same_process_reaches_all_of_it() {
    let free = taken_over("free");
    let failed: Vec<_> =
        ["inside", "outside"].into_iter().flat_map(|kind| free.of(kind)).filter(|(_, errno)| *errno != 0).collect();
    assert!(failed.is_empty(), "this proves nothing of the wall: {failed:?}");
}

/// Whether refusals stand in the kernel's log, where it can be read and nobody else takes them from there.
fn noted_by_the_kernel(process: u32) {
    let log = Command::new("dmesg").output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let notes = |line: &&str| line.contains("audit: type=1326");
    match log {
        Ok(log) if log.lines().any(|line| notes(&line)) => {
            let own = format!(" pid={process} ");
            // It notes so many in a while, and says when there were more: other tests are refused things too.
            let noted = log.lines().filter(notes).any(|line| line.contains(&own));
            let left_out = log.lines().any(|line| line.contains("kauditd_printk_skb") && line.contains("suppressed"));
            match (noted, left_out) {
                (true, _) => {}
                (false, true) => {
                    println!("skip   the kernel's log: it says that it left notes out, {process}'s among them")
                }
                (false, false) => panic!("the kernel noted no refusal of {process}"),
            }
        }
        Ok(_) | Err(_) => println!("skip   the kernel's log: it cannot be read here, or is kept elsewhere"),
    }
}
