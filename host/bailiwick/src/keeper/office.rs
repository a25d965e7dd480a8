//! The keeper's own process: it hears what the host wants, starts it if the charter says so, and waits for what ends.
//!
//! It has one thread and waits for nobody but the system: what takes time is done by the cages.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::Shutdown;
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions};

use super::cage::{self, Streams};
use super::wire::{self, Ask, Bid, Launch, Report, Word};
use super::{Ended, LaunchError, Net, Program};
use crate::ambient;

/// Cages at once. Far beyond what a machine of today bears; a host that was taken over may ask without end.
const AT_ONCE: usize = 1_024;
/// How long a cage may take to end what is in it, before it is ended itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// Is the keeper, until the host is gone.
pub(super) fn serve() -> io::Result<()> {
    let host = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // What a cage without walls loses is found here again.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let Some((programs, _)) = wire::receive::<Vec<Program>>(host.as_fd())? else { return Ok(()) };
    let programs = programs.into_iter().map(|program| (program.plugin.clone(), program)).collect();
    let mut office = Office { host, programs, cages: BTreeMap::new() };
    let served = office.serve();
    office.end_all();
    // The host is gone in the middle of a word to it.
    served.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

struct Office {
    host: OwnedFd,
    programs: BTreeMap<String, Program>,
    cages: BTreeMap<u64, Cage>,
}

/// A cage, from the outside.
struct Cage {
    process: Pid,
    connection: OwnedFd,
    /// The host's ends of the program's streams, until it has them.
    streams: Option<[OwnedFd; 3]>,
    /// How the program ended, as far as is known.
    ended: Ended,
    refused: bool,
    /// Since when it is to end.
    ending: Option<Instant>,
    /// The folder that a program without walls has for itself.
    scratch: Option<PathBuf>,
}

/// A program with all it is started with, checked.
pub(super) struct Checked<'a> {
    pub(super) program: &'a Program,
    /// The file of the program, as the operator names it.
    pub(super) file: PathBuf,
    pub(super) launch: Launch,
    /// Its own folder, if it has no walls to find one behind.
    pub(super) scratch: Option<PathBuf>,
}

impl Office {
    fn serve(&mut self) -> io::Result<()> {
        loop {
            let (host, cages) = self.wait()?;
            for id in cages {
                self.hear_cage(id)?;
            }
            self.end_the_stubborn();
            if host {
                let Some((ask, _)) = wire::receive::<Ask>(self.host.as_fd())? else { return Ok(()) };
                match ask {
                    Ask::Launch(launch) => self.launch(launch)?,
                    Ask::Terminate(id) => {
                        let cage = self.cages.get(&id);
                        // It may have ended meanwhile.
                        let _ = cage.map(|cage| wire::send(cage.connection.as_fd(), &Bid::Terminate, &[]));
                    }
                    Ask::Kill(id) => {
                        self.cages.get_mut(&id).map(Cage::end);
                    }
                }
            }
        }
    }

    /// Waits until somebody has something to say: the host, or these cages.
    fn wait(&self) -> io::Result<(bool, Vec<u64>)> {
        let mut awaited = vec![PollFd::new(&self.host, PollFlags::IN)];
        awaited.extend(self.cages.values().map(|cage| PollFd::new(&cage.connection, PollFlags::IN)));
        let is_ending = self.cages.values().any(|cage| cage.ending.is_some());
        let patience = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        rustix::io::retry_on_intr(|| poll(&mut awaited, is_ending.then_some(&patience)))?;
        let mut ready = awaited.iter().map(|file| !file.revents().is_empty());
        let host = ready.next().unwrap_or_default();
        Ok((host, self.cages.keys().zip(ready).filter_map(|(id, ready)| ready.then_some(*id)).collect()))
    }

    fn say(&self, word: &Word, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        wire::send(self.host.as_fd(), word, files)
    }

    fn launch(&mut self, launch: Launch) -> io::Result<()> {
        let id = launch.id;
        match self.start(launch) {
            Ok(cage) => {
                self.cages.insert(id, cage);
                Ok(())
            }
            Err(why) => self.say(&Word::Refused(id, why), &[]),
        }
    }

    fn start(&self, launch: Launch) -> Result<Cage, LaunchError> {
        if self.cages.len() >= AT_ONCE || self.cages.contains_key(&launch.id) {
            return Err(LaunchError::Failed(format!("{AT_ONCE} programs run already")));
        }
        let checked = check(&self.programs, launch)?;
        self.fork(checked).map_err(|error| LaunchError::Failed(error.to_string()))
    }

    fn fork(&self, checked: Checked<'_>) -> io::Result<Cage> {
        let (connection, inside) = ambient::cage::connection()?;
        let (stdin, to_stdin) = io::pipe()?;
        let (from_stdout, stdout) = io::pipe()?;
        let (from_stderr, stderr) = io::pipe()?;
        let scratch = checked.scratch.clone();
        let Some(process) = ambient::cage::fork()? else {
            let streams: Streams = [stdin.into(), stdout.into(), stderr.into()];
            cage::be(&inside, streams, checked);
        };
        let streams = Some([to_stdin.into(), from_stdout.into(), from_stderr.into()]);
        Ok(Cage { process, connection, streams, ended: Ended::KILLED, refused: false, ending: None, scratch })
    }

    /// Passes on what a cage says.
    fn hear_cage(&mut self, id: u64) -> io::Result<()> {
        let Some(cage) = self.cages.get_mut(&id) else { return Ok(()) };
        match wire::receive::<Report>(cage.connection.as_fd()) {
            Ok(Some((Report::Started, listener))) => {
                let Some(streams) = cage.streams.take() else { return Ok(()) };
                let files: Vec<_> = streams.iter().chain(&listener).map(|file| file.as_fd()).collect();
                self.say(&Word::Launched(id), &files)
            }
            Ok(Some((Report::Refused(why), _))) => {
                cage.refused = true;
                self.say(&Word::Refused(id, why), &[])
            }
            Ok(Some((Report::Ended(ended), _))) => {
                cage.ended = ended;
                Ok(())
            }
            // It speaks no more: what is in it has ended.
            Ok(None) | Err(_) => self.close(id),
        }
    }

    /// Sees to it that nothing is left of a cage, and tells the host.
    fn close(&mut self, id: u64) -> io::Result<()> {
        let Some(cage) = self.cages.remove(&id) else { return Ok(()) };
        let _ = rustix::process::kill_process(cage.process, Signal::KILL);
        let status = rustix::process::waitpid(Some(cage.process), WaitOptions::empty());
        let went_by_itself = matches!(status, Ok(Some((_, status))) if status.exited());
        if !went_by_itself {
            self.end_strays();
        }
        // The cage has removed it, unless it was ended before it could.
        let _ = cage.scratch.map(|scratch| ambient::remove_tree(&scratch));
        if cage.refused {
            return Ok(());
        }
        if cage.streams.is_some() {
            let why = LaunchError::Failed("it was ended before it ran".to_owned());
            return self.say(&Word::Refused(id, why), &[]);
        }
        self.say(&Word::Ended(id, cage.ended), &[])
    }

    /// Ends what lost its cage: the kernel made it a child of this process.
    fn end_strays(&self) {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let is_cage = |pid: Pid| self.cages.values().any(|cage| cage.process == pid);
        // Who loses its parent while the list is made may be missing in it once.
        let mut n_empty = 0;
        while n_empty < 2 {
            let Ok(all) = ambient::cage::processes() else { return };
            let strays: Vec<Pid> =
                all.iter().filter(|one| one.parent == own && !is_cage(one.pid)).map(|one| one.pid).collect();
            n_empty = if strays.is_empty() { n_empty + 1 } else { 0 };
            for stray in strays {
                let _ = rustix::process::kill_process(stray, Signal::KILL);
                let _ = rustix::process::waitpid(Some(stray), WaitOptions::empty());
            }
        }
    }

    /// Ends cages that do not end by themselves.
    fn end_the_stubborn(&self) {
        let late = |cage: &&Cage| cage.ending.is_some_and(|since| since.elapsed() >= PATIENCE);
        for cage in self.cages.values().filter(late) {
            let _ = rustix::process::kill_process(cage.process, Signal::KILL);
        }
    }

    /// The host is gone: nothing outlives it.
    fn end_all(&mut self) {
        self.cages.values_mut().for_each(Cage::end);
        while !self.cages.is_empty() {
            let mut awaited: Vec<_> =
                self.cages.values().map(|cage| PollFd::new(&cage.connection, PollFlags::IN)).collect();
            let patience = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
            let _ = rustix::io::retry_on_intr(|| poll(&mut awaited, Some(&patience)));
            let ready: Vec<bool> = awaited.iter().map(|file| !file.revents().is_empty()).collect();
            let ids: Vec<u64> = self.cages.keys().copied().collect();
            for (id, _) in ids.into_iter().zip(ready).filter(|(_, ready)| *ready) {
                // There is nobody to be told.
                let _ = self.hear_cage(id);
            }
            self.end_the_stubborn();
        }
    }
}

impl Cage {
    /// Has it end all that is in it, and itself.
    fn end(&mut self) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(Instant::now());
        let _ = rustix::net::shutdown(&self.connection, Shutdown::Write);
        if self.streams.is_some() {
            // It is being set up, and hears nothing yet. Nothing but its own processes runs in it.
            let _ = rustix::process::kill_process(self.process, Signal::KILL);
        }
    }
}

/// Whether the charter has this program, and allows to start it like this.
fn check(programs: &BTreeMap<String, Program>, launch: Launch) -> Result<Checked<'_>, LaunchError> {
    let denied = |why: String| Err(LaunchError::Denied(why));
    let plugin = &launch.plugin;
    let Some(program) = programs.get(plugin) else { return denied(format!("`{plugin}` has no program")) };
    let Some(name) = program.argv.first() else { return denied(format!("`{plugin}` has no command")) };
    if !program.more_arguments && !launch.arguments.is_empty() {
        return denied(format!("the program of `{plugin}` takes no more arguments"));
    }
    if let Some(variable) = launch.variables.keys().find(|name| !program.variables.contains(*name)) {
        return denied(format!("the program of `{plugin}` is not given the variable `{variable}`"));
    }
    if program.sandbox && program.net == Net::Host {
        return denied(format!("the program of `{plugin}` cannot have the host's network in a cage"));
    }
    if let Some(cwd) = &launch.cwd
        && !is_within(program, cwd)
    {
        let cwd = cwd.display();
        return denied(format!("the program of `{plugin}` is not granted `{cwd}`, where it is to start"));
    }
    let file = ambient::cage::program_named(name, program.cwd.as_deref());
    let Some(file) = file else { return Err(missing("the program", name, "; install it, or give its absolute path")) };
    let scratch = (!program.sandbox).then(|| ambient::temporary_dir("bailiwick-program")).transpose();
    let scratch =
        scratch.map_err(|error| LaunchError::Failed(format!("there is no place for its own files: {error}")))?;
    Ok(Checked { program, file, launch, scratch })
}

/// Whether a folder is one of the program's own or lies below one, whatever the links on the way.
fn is_within(program: &Program, folder: &Path) -> bool {
    let Ok(folder) = ambient::canonical(folder) else { return false };
    let own = program.files.iter().map(|granted| &granted.path).chain(&program.cwd);
    own.filter_map(|path| ambient::canonical(path).ok()).any(|path| folder.starts_with(path))
}

pub(super) fn missing(what: &str, path: &str, hint: &str) -> LaunchError {
    LaunchError::Missing { what: what.to_owned(), path: path.to_owned(), hint: hint.to_owned() }
}
