//! A second process of this program that starts other people's programs for a confined host, each in a cage.
//!
//! It is started before the host confines itself and told at once which programs there are, with which files, variables and
//! limits ([`Program`]). From then on the host says which of them to start ([`Order`]) and gets its streams
//! ([`Running`]); whoever takes over the host can start what the operator wrote down, and nothing else. What was started
//! ends with its [`Leash`], with the host and with the keeper, however those end, and so does all that it started itself.
//!
//! `office` is that process, `cage` what it puts a program into, `view` and `rules` what the program finds there, and
//! `watch` what ends it when it takes too much.

mod cage;
mod charter;
mod office;
mod rules;
mod view;
mod watch;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::net::Shutdown;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch as channel};
use zeroize::Zeroizing;

use bailiwick_core::name::PluginName;

use crate::ambient;
use wire::{Ask, Hidden, Launch, Word};

/// What makes this program a keeper; no help shows it.
pub const ARGUMENT: &str = "keeper";

/// A program that the keeper may start. One per plugin that has one.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Program {
    /// Whose it is.
    pub plugin: String,
    /// The program and its arguments, as the operator wrote them. A name without a slash is looked up in `PATH`.
    pub argv: Vec<String>,
    /// Whether an order may add arguments after these.
    pub more_arguments: bool,
    /// Where it starts, unless an order says otherwise: absolute. It may read what is there. None: its scratch folder.
    pub cwd: Option<PathBuf>,
    /// Its environment, besides what every program has.
    pub env: BTreeMap<String, String>,
    /// Variables that an order may add: secrets.
    pub variables: BTreeSet<String>,
    /// What it is granted.
    pub files: Vec<Granted>,
    /// What it reaches of the network.
    pub net: Net,
    /// Whether it is put into a cage. Without one, it can do whatever the host's user can.
    pub sandbox: bool,
    /// Bytes of memory, of it and all it starts together.
    pub memory: u64,
    /// Processes at once, threads among them, of it and all it starts. (A `node` alone has eleven.)
    pub processes: u32,
    /// Files that one process may have open.
    pub open_files: u32,
    /// Bytes that one file may grow to.
    pub file_size: u64,
    /// Whether it installs what it runs: then programs are started from its scratch folder too.
    pub installs: bool,
}

/// A folder or a file that a program is granted.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Whether what is there may be changed.
    pub write: bool,
}

/// What a program reaches of the network.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Net {
    /// Only itself: its loopback device is nobody else's.
    Nothing,
    /// Itself, and [`Running::proxy`].
    Proxy,
    /// All that the host's user does. Only without a cage.
    Host,
}

/// Which program to start, and with what besides what its [`Program`] says.
#[derive(Debug)]
pub struct Order {
    /// Whose program.
    pub plugin: PluginName,
    /// More arguments.
    pub arguments: Vec<String>,
    /// More variables.
    pub variables: BTreeMap<String, Zeroizing<String>>,
    /// Where it starts: at or below its `cwd` or one of its `files`.
    pub cwd: Option<PathBuf>,
}

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    /// Its standard input.
    pub stdin: pipe::Sender,
    /// Its standard output.
    pub stdout: pipe::Receiver,
    /// Its standard error.
    pub stderr: pipe::Receiver,
    /// Where it sends its requests, if its network is [`Net::Proxy`]: an HTTP proxy on its loopback device, that the host
    /// has to be.
    pub proxy: Option<TcpListener>,
    /// How it ended, once nothing that it started runs any more.
    pub ended: channel::Receiver<Option<Ended>>,
    /// What it hangs on.
    pub leash: Leash,
}

/// How a program ended.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What it ended with, by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The limit that it was ended for.
    pub over: Option<Over>,
}

/// A limit of all that a program started together.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// [`Program::memory`].
    Memory,
    /// [`Program::processes`].
    Processes,
}

impl Ended {
    /// Of what was ended from outside.
    const KILLED: Self = Self { code: None, signal: Some(9), over: None };
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.over, self.code, self.signal) {
            (Some(Over::Memory), _, _) => f.write_str("it was ended because it took more memory than it may"),
            (Some(Over::Processes), _, _) => f.write_str("it was ended because it started more processes than it may"),
            (None, Some(code), _) => write!(f, "it ended with exit code {code}"),
            (None, None, Some(signal)) => write!(f, "it was ended by signal {signal}"),
            (None, None, None) => f.write_str("it ended"),
        }
    }
}

/// Why a program was not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum LaunchError {
    /// Something it needs is not there.
    #[error("{what} `{path}` is not there{hint}")]
    Missing {
        /// What sort of thing.
        what: String,
        /// How it is called.
        path: String,
        /// What to do about it, if that is known; begins with what separates it from the sentence.
        hint: String,
    },
    /// This machine cannot put it into a cage.
    #[error(
        "this machine has no cage for it: {0}; `sandbox = \"off\"` runs it without one, with all that the host's user may"
    )]
    Cage(String),
    /// It is not what the operator allowed when the host was started.
    #[error(
        "{0}; what programs there are is fixed when the host starts: restart it after a change of its configuration"
    )]
    Denied(String),
    /// The system does not start it.
    #[error("it cannot be started: {0}")]
    Failed(String),
    /// There is no keeper any more.
    #[error("the process that starts programs for the host is gone; restart the host")]
    Gone,
}

/// The host's side of the keeper. Clones are of the same.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// None when there is nothing to start.
    desk: Option<Arc<Desk>>,
    /// The plugins whose programs it may start.
    plugins: Arc<BTreeSet<String>>,
}

/// Holds a program that runs: when it is dropped, the program is ended with all it started.
#[derive(Debug)]
pub struct Leash {
    desk: Arc<Desk>,
    id: u64,
}

impl Keeper {
    /// Starts the keeper, if there are programs. No thread is started here, so that the caller can confine itself
    /// afterwards.
    ///
    /// # Ambient authority
    /// Starts this program once more, with all the rights this process has now.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start(programs: Vec<Program>) -> io::Result<Self> {
        Self::start_as(&ambient::own_program(), programs)
    }

    /// The same, with another file of this very program: for those who have it as a library.
    ///
    /// # Ambient authority
    /// As there.
    ///
    /// # Errors
    /// As there.
    pub fn start_as(program: &Path, programs: Vec<Program>) -> io::Result<Self> {
        let plugins = Arc::new(programs.iter().map(|program| program.plugin.clone()).collect());
        if programs.is_empty() {
            return Ok(Self { desk: None, plugins });
        }
        let (socket, theirs) = ambient::cage::connection()?;
        let process = ambient::cage::start_with_socket(program, ARGUMENT, theirs)?;
        wire::send(socket.as_fd(), &programs, &[])?;
        let line = Line { socket, guests: Mutex::new(Some(HashMap::new())) };
        let desk = Desk { line: Arc::new(line), process: Mutex::new(Some(process)), next: AtomicU64::new(0) };
        Ok(Self { desk: Some(Arc::new(desk)), plugins })
    }

    /// Has a program started. It is ended when nobody waits for this any more.
    ///
    /// # Errors
    /// When it is not among those of the start, there is no cage for it here, or it does not run.
    pub async fn launch(&self, order: Order) -> Result<Running, LaunchError> {
        let Order { plugin, arguments, variables, cwd } = order;
        let unknown = || LaunchError::Denied(format!("`{plugin}` has no program"));
        let desk = self.desk.as_ref().ok_or_else(unknown)?;
        desk.listen().map_err(|_| LaunchError::Gone)?;
        let id = desk.next.fetch_add(1, Ordering::Relaxed);
        let (landed, landing) = oneshot::channel();
        let (ends, ended) = channel::channel(None);
        let guest = Guest { landed: Some(landed), ended: ends };
        desk.line.guests().as_mut().ok_or(LaunchError::Gone)?.insert(id, guest);
        // From here on it is ended when this is dropped, at whichever await.
        let leash = Leash { desk: Arc::clone(desk), id };
        let variables = variables.iter().map(|(name, value)| (name.clone(), Hidden(value.to_string()))).collect();
        let launch = Launch { id, plugin: plugin.as_str().to_owned(), arguments, variables, cwd };
        desk.line.say(&Ask::Launch(launch))?;
        let files = landing.await.map_err(|_| LaunchError::Gone)??;
        running(files, ended, leash).map_err(|error| LaunchError::Failed(error.to_string()))
    }
}

fn running(files: Vec<OwnedFd>, ended: channel::Receiver<Option<Ended>>, leash: Leash) -> io::Result<Running> {
    let mut files = files.into_iter();
    let mut next = || files.next().ok_or(io::ErrorKind::InvalidData);
    Ok(Running {
        stdin: pipe::Sender::from_owned_fd(next()?)?,
        stdout: pipe::Receiver::from_owned_fd(next()?)?,
        stderr: pipe::Receiver::from_owned_fd(next()?)?,
        proxy: next().ok().map(|listener| TcpListener::from_std(listener.into())).transpose()?,
        ended,
        leash,
    })
}

impl Leash {
    /// Ends the program and all it started. [`Running::ended`] says when that is done.
    pub fn kill(&self) {
        self.say(&Ask::Kill(self.id));
    }

    /// Asks the program to end, with the signal TERM. It may take its time, or not listen.
    pub fn terminate(&self) {
        self.say(&Ask::Terminate(self.id));
    }

    fn say(&self, ask: &Ask) {
        let runs = self.desk.line.guests().as_ref().is_some_and(|guests| guests.contains_key(&self.id));
        if runs {
            // Otherwise the keeper is gone, and everything with it.
            let _ = self.desk.line.say(ask);
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What clones of a [`Keeper`] and all leashes share. With the last of them, the keeper ends.
#[derive(Debug)]
struct Desk {
    line: Arc<Line>,
    /// Taken by the thread that hears what the keeper says, when the first program is started.
    process: Mutex<Option<Child>>,
    next: AtomicU64,
}

/// What is said, and who is there.
#[derive(Debug)]
struct Line {
    socket: OwnedFd,
    /// None once the keeper is gone.
    guests: Mutex<Option<HashMap<u64, Guest>>>,
}

/// A program that runs, or is about to.
#[derive(Debug)]
struct Guest {
    landed: Option<oneshot::Sender<Result<Vec<OwnedFd>, LaunchError>>>,
    ended: channel::Sender<Option<Ended>>,
}

impl Desk {
    /// Starts to hear what the keeper says, once.
    fn listen(&self) -> io::Result<()> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut taken) = process.take() else { return Ok(()) };
        let line = Arc::clone(&self.line);
        std::thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            line.hear();
            // It goes when nothing runs any more.
            let _ = taken.wait();
            line.close();
        })?;
        Ok(())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The keeper ends with this connection, and the thread that hears it with the keeper.
        let _ = rustix::net::shutdown(&self.line.socket, Shutdown::Both);
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut process) = process {
            let _ = process.wait();
        }
    }
}

impl Line {
    fn guests(&self) -> MutexGuard<'_, Option<HashMap<u64, Guest>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keeper reads at once what it is told: it never waits for anybody but the system.
    fn say(&self, ask: &Ask) -> Result<(), LaunchError> {
        wire::send(self.socket.as_fd(), ask, &[]).map_err(|error| {
            let is_unfit = matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
            if is_unfit { LaunchError::Failed(error.to_string()) } else { LaunchError::Gone }
        })
    }

    /// Tells everyone what they wait for, until there is no keeper any more.
    fn hear(&self) {
        loop {
            match wire::receive::<Word>(self.socket.as_fd()) {
                Ok(Some((word, files))) => self.pass_on(word, files),
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "the keeper cannot be understood");
                    return;
                }
            }
        }
    }

    fn pass_on(&self, word: Word, files: Vec<OwnedFd>) {
        let mut guests = self.guests();
        let Some(guests) = guests.as_mut() else { return };
        // Where nobody waits any more, a leash was dropped, and the keeper is told already.
        match word {
            Word::Launched(id) => {
                let landed = guests.get_mut(&id).and_then(|guest| guest.landed.take());
                landed.map(|landed| landed.send(Ok(files)));
            }
            Word::Refused(id, why) => {
                let landed = guests.remove(&id).and_then(|guest| guest.landed);
                landed.map(|landed| landed.send(Err(why)));
            }
            Word::Ended(id, ended) => {
                guests.remove(&id).map(|guest| guest.ended.send_replace(Some(ended)));
            }
        }
    }

    /// Tells everyone that the keeper is gone, and with it all that ran.
    fn close(&self) {
        for guest in self.guests().take().into_iter().flat_map(HashMap::into_values) {
            guest.ended.send_replace(Some(Ended::KILLED));
        }
    }
}

/// Is a keeper, if that is what this process was started for, and says how to end; none: it was started for something
/// else.
///
/// Has to be called before any thread is started: what it starts goes on as copies of it.
#[must_use]
pub fn serve_if_keeper(arguments: &[OsString]) -> Option<ExitCode> {
    if arguments.get(1).is_none_or(|argument| argument != ARGUMENT) || arguments.len() != 2 {
        return None;
    }
    Some(match office::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{ARGUMENT}: {error}");
            ExitCode::FAILURE
        }
    })
}
