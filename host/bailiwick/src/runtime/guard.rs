//! Compiling what nobody vouches for: in a child with limits, so that a component made to be slow or large to compile
//! costs one child and gives one clear error. The child's own side is `child.rs`.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::sync::{Mutex, Semaphore};

use bailiwick_core::config::HostSettings;
use bailiwick_core::grant::limit::{Size, Span};

use super::child::{self, COMMAND, Kind, MAGIC};
use super::compile::{CompileError, ComponentDigest, MAX_CODE};
use crate::ambient;

/// Where components are compiled that are not part of this program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Compiler {
    /// In this process, without limits: for programs that load only components they trust.
    #[default]
    InProcess,
    /// In a process of its own for each component.
    Child {
        /// An absolute path of a program of exactly this version that calls [`super::compile_if_child`] first of all.
        program: PathBuf,
    },
}

impl Compiler {
    /// In processes of the program that runs now, which has to call [`super::compile_if_child`] first of all.
    #[must_use]
    pub fn own_program() -> Self {
        Self::Child { program: ambient::own_program() }
    }
}

/// What compiling one component may take, in a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Processor time over all its threads; it has four times as much on the clock.
    pub time: Duration,
    /// Bytes of memory.
    pub memory: u64,
}

impl CompileLimits {
    /// What holds where no configuration says anything else.
    pub const DEFAULT: Self =
        Self { time: HostSettings::DEFAULT_COMPILE_TIME, memory: HostSettings::DEFAULT_COMPILE_MEMORY };
}

/// What compiling took too much of, or how else the child failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exceeded {
    /// Processor time.
    Time(Duration),
    /// Time on the clock.
    Clock(Duration),
    /// Memory.
    Memory(u64),
    /// The stack of the compiler.
    Stack,
    /// The code it gave, in bytes.
    Code(u64),
    /// It was ended from outside, by this signal.
    Killed(i32),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raise = |key| format!("if you trust it, raise `{key}` under `[host]`");
        match self {
            Self::Time(time) => {
                let raise = raise("compile_time");
                write!(f, "compiling it takes more than {} of processor time; {raise}", Span(*time))
            }
            Self::Clock(time) => {
                let raise = raise("compile_time");
                write!(f, "compiling it did not end within {}; {raise}", Span(*time))
            }
            Self::Memory(memory) => {
                let raise = raise("compile_memory");
                write!(f, "compiling it takes more than {} of memory; {raise}", Size(*memory))
            }
            Self::Stack => f.write_str("it nests so deeply that the compiler ran out of stack"),
            Self::Code(most) => write!(f, "its compiled code is larger than {}, the most the host loads", Size(*most)),
            Self::Killed(signal) => write!(
                f,
                "its compiler was ended by signal {signal}; the machine may be out of memory, or someone ended it"
            ),
        }
    }
}

/// How long a child has a place of its own among those that run; after that it goes on, and the next may start.
const SHARE: Duration = Duration::from_secs(3);
/// Threads of one child. More would hardly be faster and each takes memory.
const THREADS: usize = 8;
/// How much of what a child complains of is kept.
const MAX_COMPLAINT: u64 = 4 << 10;

/// Compiles in children, a few at a time.
#[derive(Debug)]
pub(super) struct Guard {
    compiler: Compiler,
    limits: CompileLimits,
    /// One for each processor: those that run side by side.
    turns: Semaphore,
    /// Twice as many: what all of them take of memory is bounded by this.
    children: Semaphore,
    /// For each component that is compiled now or was refused; an operator has only so many.
    refusals: std::sync::Mutex<HashMap<ComponentDigest, Refusal>>,
}

type Refusal = Arc<Mutex<Option<CompileError>>>;

impl Guard {
    pub(super) fn new(compiler: Compiler, limits: CompileLimits) -> Self {
        let turns = super::turn::processors().clamp(2, 8);
        let (turns, children) = (Semaphore::new(turns), Semaphore::new(2 * turns));
        Self { compiler, limits, turns, children, refusals: std::sync::Mutex::default() }
    }

    /// What whoever compiles this component holds meanwhile, and why it could not be compiled before, where trying again
    /// would come to the same.
    pub(super) fn refusal(&self, digest: ComponentDigest) -> Refusal {
        Arc::clone(self.refusals().entry(digest).or_default())
    }

    /// Whoever comes after those that wait already may try again.
    pub(super) fn forget(&self, digest: ComponentDigest) {
        self.refusals().remove(&digest);
    }

    fn refusals(&self) -> std::sync::MutexGuard<'_, HashMap<ComponentDigest, Refusal>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compiles in a child for an engine with this compatibility number. None: children are not used.
    ///
    /// Dropping the future kills the child.
    pub(super) async fn compile(&self, wasm: &Bytes, engine: u64) -> Option<Result<Vec<u8>, CompileError>> {
        let Compiler::Child { program } = &self.compiler else { return None };
        // The semaphores are never closed.
        let _child = self.children.acquire().await.ok();
        let turn = self.turns.acquire().await.ok();
        let mut compiling = pin!(self.in_child(program, wasm, engine));
        tokio::select! {
            done = &mut compiling => return Some(done),
            () = tokio::time::sleep(SHARE) => drop(turn),
        }
        Some(compiling.await)
    }

    async fn in_child(&self, program: &std::path::Path, wasm: &Bytes, engine: u64) -> Result<Vec<u8>, CompileError> {
        let limits = self.limits;
        let seconds = limits.time.as_secs().max(1);
        let arguments = [COMMAND.to_owned(), limits.memory.to_string(), seconds.to_string()];
        let environment = [("RAYON_NUM_THREADS", super::turn::processors().min(THREADS).to_string())];
        let mut child = ambient::child(program, &arguments, &environment)
            .map_err(|error| CompileError::Child(format!("it cannot be started: {error}")))?;
        let clock = limits.time.saturating_mul(4);
        let failed = match tokio::time::timeout(clock, exchange(&mut child, wasm)).await {
            Ok(Ok(ended)) => return ended.judge(limits, engine),
            Ok(Err(error)) => CompileError::Child(format!("talking to it failed: {error}")),
            Err(_) => CompileError::Exceeded(Exceeded::Clock(clock)),
        };
        if let Err(error) = child.kill().await {
            tracing::warn!(%error, "a compiler cannot be ended");
        }
        Err(failed)
    }
}

/// Gives the child its work and takes everything it says, until it ends.
async fn exchange(child: &mut Child, wasm: &Bytes) -> io::Result<Ended> {
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let mut input = child.stdin.take().ok_or_else(gone)?;
    let output = child.stdout.take().ok_or_else(gone)?;
    let mut complaints = child.stderr.take().ok_or_else(gone)?;
    let give = async {
        let length = (wasm.len() as u64).to_le_bytes();
        // A child that ends without reading says why in another way.
        if input.write_all(&length).await.is_ok() {
            let _ = input.write_all(wasm).await;
        }
        // It stays open: its end would mean that nobody waits any more.
        input
    };
    let (_input, said, complaint) = tokio::join!(give, take_answer(output), take_complaint(&mut complaints));
    Ok(Ended { status: child.wait().await?, said: said?, complaint: complaint? })
}

/// Takes an answer. What a child says beyond that, nobody listens to.
async fn take_answer(mut output: impl AsyncRead + Unpin) -> io::Result<Said> {
    let mut head = Vec::with_capacity(HEAD);
    (&mut output).take(HEAD as u64).read_to_end(&mut head).await?;
    let Some(Head { kind, engine, length }) = Head::parse(&head) else { return Ok(Said::Nothing) };
    if length > MAX_CODE {
        return Ok(Said::TooMuch);
    }
    let mut payload = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    output.take(length).read_to_end(&mut payload).await?;
    if (payload.len() as u64) < length {
        return Ok(Said::Nothing);
    }
    Ok(Said::Answer { kind, engine, payload })
}

/// The start of what it complains of; the rest is read, so that it does not wait, and forgotten.
async fn take_complaint(complaints: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut bytes = Vec::new();
    (&mut *complaints).take(MAX_COMPLAINT).read_to_end(&mut bytes).await?;
    tokio::io::copy(complaints, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

const HEAD: usize = 8 + 1 + 8 + 8;

struct Head {
    kind: Kind,
    engine: u64,
    length: u64,
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (kind, rest) = rest.split_first()?;
        let (engine, length) = rest.split_first_chunk::<8>()?;
        let length: [u8; 8] = length.try_into().ok()?;
        Some(Self {
            kind: Kind::parse(*kind)?,
            engine: u64::from_le_bytes(*engine),
            length: u64::from_le_bytes(length),
        })
    }
}

/// What a child said.
enum Said {
    /// Nothing that is an answer, or not all of it.
    Nothing,
    /// That it has more to give than is taken.
    TooMuch,
    /// An answer.
    Answer { kind: Kind, engine: u64, payload: Vec<u8> },
}

/// How a child ended and what it had said by then.
struct Ended {
    status: ExitStatus,
    said: Said,
    complaint: String,
}

impl Ended {
    fn judge(self, limits: CompileLimits, engine: u64) -> Result<Vec<u8>, CompileError> {
        if matches!(self.said, Said::TooMuch) {
            return Err(CompileError::Exceeded(Exceeded::Code(MAX_CODE)));
        }
        if let Some(signal) = self.status.signal() {
            return Err(CompileError::Exceeded(died_of(signal, &self.complaint, limits)));
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match self.said {
            Said::Answer { kind, engine: its, payload } if self.status.success() => match kind {
                Kind::Code if its == engine => Ok(payload),
                Kind::Code => Err(CompileError::Child("it is of another version than this host".to_owned())),
                Kind::Invalid => Err(CompileError::Compile(text(payload))),
                Kind::Proposals => Err(CompileError::Proposals(text(payload))),
            },
            Said::TooMuch | Said::Nothing | Said::Answer { .. } => {
                let status = self.status;
                Err(CompileError::Child(match self.complaint.lines().next().unwrap_or_default().trim() {
                    "" => format!("it ended with {status} and no answer"),
                    said => format!("it ended with {status} and said `{said}`"),
                }))
            }
        }
    }
}

/// What a child that was ended by a signal had too much of.
fn died_of(signal: i32, complaint: &str, limits: CompileLimits) -> Exceeded {
    if signal == child::OUT_OF_TIME {
        return Exceeded::Time(limits.time);
    }
    // What the standard library says before it aborts.
    if complaint.contains("memory allocation of") {
        return Exceeded::Memory(limits.memory);
    }
    if complaint.contains("overflowed its stack") {
        return Exceeded::Stack;
    }
    Exceeded::Killed(signal)
}
