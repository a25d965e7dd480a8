//! The compiler's own process, from the inside: this program again, started with [`COMMAND`], which no help shows.
//!
//! It gives up everything it will not need before it has read a byte, compiles what stands on its standard input for
//! exactly the engine of its host, writes the answer to its standard output and ends. It also ends when its standard input
//! does: then nobody waits for it any more. (A signal at the parent's death would come when the parent's *thread* ends.)

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal};
use wasmtime::Engine;

use bailiwick_core::confine::Confinement;

use super::compile::{CompileError, compatibility};
use super::precheck::MAX_COMPONENT;
use crate::ambient;
use crate::confine::{self, Hold};

/// The first argument of a program that is to be a compiler. The others: bytes of memory, seconds of processor time.
pub const COMMAND: &str = "compile-child";
/// What an answer starts with; another version of this program has another.
pub(super) const MAGIC: [u8; 8] = *b"bwcode1\n";
/// Beyond the memory it may fill: what is mapped but not written to, such as the program itself and the stacks and heaps
/// that threads reserve.
const MAPPED: u64 = 8 << 30;
/// Its three streams, the ruleset of Landlock, and a few for what the standard library looks up.
const DESCRIPTORS: u64 = 16;
/// Calls under way come first.
const NICE: i32 = 10;

/// What an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Compiled code.
    Code,
    /// Why it does not compile.
    Invalid,
    /// The proposals it would need.
    Proposals,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Code, Self::Invalid, Self::Proposals];

    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Code => b'c',
            Self::Invalid => b'i',
            Self::Proposals => b'p',
        }
    }

    pub(super) fn parse(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }
}

/// Compiles, if that is what this process was started for, and says how to end; none: it was started for something else.
///
/// Has to be called before any thread is started: what a process gives up, only its later threads give up too.
#[must_use]
pub fn compile_if_child(arguments: &[OsString]) -> Option<ExitCode> {
    let arguments: Vec<&str> = arguments.iter().map(|argument| argument.to_str().unwrap_or_default()).collect();
    let [_, COMMAND, rest @ ..] = &arguments[..] else { return None };
    let ended = match rest {
        [memory, seconds] => match (memory.parse(), seconds.parse()) {
            (Ok(memory), Ok(seconds)) => give_up(memory, seconds).and_then(|()| answer()),
            (Err(_), _) | (_, Err(_)) => Err(unfit("its arguments are no numbers")),
        },
        _ => Err(unfit("it takes two arguments; the host starts it, nobody else does")),
    };
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{COMMAND}: {error}");
            ExitCode::FAILURE
        }
    })
}

fn unfit(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Gives up all that compiling does not need.
fn give_up(memory: u64, seconds: u64) -> io::Result<()> {
    ambient::first_when_memory_ends();
    limit(Resource::Data, memory)?;
    limit(Resource::As, memory.saturating_add(MAPPED))?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nofile, DESCRIPTORS)?;
    limit_time(seconds)?;
    rustix::process::nice(NICE)?;
    ambient::keep_memory_private()?;
    wall().map(|_| ())
}

/// Sets a limit for good, or leaves the one there is where that is lower.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = rustix::process::getrlimit(resource).maximum.map_or(most, |already| already.min(most));
    Ok(rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// The soft limit ends the process by a signal that says why; the hard one a little later by one that cannot be caught.
fn limit_time(seconds: u64) -> io::Result<()> {
    let last = rustix::process::getrlimit(Resource::Cpu).maximum;
    let last = last.map_or(seconds + 1, |already| already.min(seconds + 1));
    let limit = Rlimit { current: Some(seconds.min(last)), maximum: Some(last) };
    Ok(rustix::process::setrlimit(Resource::Cpu, limit)?)
}

/// No file, no connection, no signal to others, no new rights: whatever of that the kernel can take away.
fn wall() -> io::Result<Hold> {
    confine::hold(&Confinement::of_compiler()).map_err(io::Error::other)
}

/// Reads a component, compiles it, writes what came of it.
fn answer() -> io::Result<()> {
    let wasm = request()?;
    let engine = Engine::new(&super::engine_config()).map_err(|error| io::Error::other(format!("{error:#}")))?;
    let (kind, payload) = match super::compile::compile(&engine, &wasm) {
        Ok(code) => (Kind::Code, code),
        Err(CompileError::Proposals(names)) => (Kind::Proposals, names.into_bytes()),
        Err(CompileError::Compile(text)) => (Kind::Invalid, text.into_bytes()),
        Err(error) => return Err(io::Error::other(error.to_string())),
    };
    let mut out = io::stdout().lock();
    out.write_all(&MAGIC)?;
    out.write_all(&[kind.byte()])?;
    out.write_all(&compatibility(&engine).to_le_bytes())?;
    out.write_all(&(payload.len() as u64).to_le_bytes())?;
    out.write_all(&payload)?;
    out.flush()
}

/// The component on standard input: its length, then its bytes. What comes after that is the end, or nothing.
fn request() -> io::Result<Vec<u8>> {
    let mut input = io::stdin();
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_COMPONENT {
        return Err(unfit("the component is too large"));
    }
    let mut wasm = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
    input.by_ref().take(length).read_to_end(&mut wasm)?;
    if wasm.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    std::thread::Builder::new().name("lifeline".to_owned()).spawn(move || {
        let _ = input.read(&mut [0]);
        std::process::exit(1);
    })?;
    Ok(wasm)
}

/// How the processor's time being up ends a process.
pub(super) const OUT_OF_TIME: i32 = Signal::XCPU.as_raw();

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tries what a child must not be able to do")]
    fn behind_the_wall_there_is_no_file_and_no_network() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has one");
        let program = std::env::current_exe().expect("Linux says");
        let tries = move || {
            let scratch = std::env::temp_dir().join(format!("bailiwick-wall-{}", std::process::id()));
            [
                ("read", std::fs::File::open("/proc/self/status").map(drop)),
                ("list", std::fs::read_dir("/").map(drop)),
                ("write", std::fs::write(scratch, "").map(drop)),
                ("connect", TcpStream::connect(address).map(drop)),
                ("run", std::process::Command::new(&program).arg("--version").output().map(drop)),
            ]
        };
        for (what, tried) in tries() {
            tried.unwrap_or_else(|error| panic!("without the wall, {what}: {error}"));
        }
        let scratch = std::env::temp_dir().join(format!("bailiwick-wall-{}", std::process::id()));
        std::fs::remove_file(scratch).expect("it was written");
        // What a thread gives up, the other threads keep.
        let behind = std::thread::spawn(move || {
            let hold = super::wall().expect("it can be built");
            (hold, tries())
        });
        let (hold, tries) = behind.join().expect("it ends");
        if hold.landlock.is_none() {
            println!("skipped: this kernel has no Landlock");
            return;
        }
        for (what, tried) in tries {
            assert_eq!(tried.map_err(|error| error.kind()), Err(std::io::ErrorKind::PermissionDenied), "{what}");
        }
    }
}
