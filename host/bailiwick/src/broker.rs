//! A second process of this program that does for a confined host what the host itself cannot do any more: look up
//! names, and run the commands that print secrets.
//!
//! It is started before the host confines itself and told at once, in its charter, which names and which commands. Then
//! it answers questions, one JSON line each, until its standard input ends. Whoever takes over the host can ask it for
//! what the operator granted, and for nothing else. One that looks up names confines itself: it changes nothing and
//! starts nothing.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::IpAddr;
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use zeroize::{Zeroize as _, Zeroizing};

use bailiwick_core::confine::Confinement;
use bailiwick_core::grant::pattern::{HostName, HostPattern};

use crate::ambient::{self, Group};
use crate::confine;

/// What makes this program a broker; the command line knows it and does not show it.
pub const ARGUMENT: &str = "broker";
/// Questions that are answered at once.
const AT_ONCE: usize = 64;
/// A charter is part of a configuration, and those have at most 1 MiB; as JSON it may take twice that.
const LONGEST_CHARTER: u64 = 2 << 20;
/// A question is a name of at most 253 bytes, or a number.
const LONGEST_QUESTION: u64 = 1 << 10;

/// What a broker does. Fixed when it starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charter {
    /// It looks up names that one of these host patterns is for.
    Names(Vec<String>),
    /// It runs one of these commands and gives what that prints.
    Commands(Vec<Vec<String>>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    id: u64,
    ask: Ask,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    /// The addresses of this name.
    Name(String),
    /// What this command of the charter prints.
    Command(usize),
}

#[derive(Serialize, Deserialize)]
struct Reply {
    id: u64,
    answer: Result<Answer, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Addresses(Vec<IpAddr>),
    Output(Printed),
}

/// What a command printed, in base64: it need not be text.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Printed(String);

impl Drop for Printed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The host's side: a process that can be asked.
#[derive(Debug)]
pub struct Broker {
    charter: Charter,
    questions: Mutex<ChildStdin>,
    /// Taken by the thread that reads them, when the first question is asked.
    replies: Mutex<Option<ChildStdout>>,
    waiting: Waiting,
    next: AtomicU64,
    slots: Arc<Semaphore>,
}

/// Who waits for which answer; none once the broker is gone.
type Waiting = Arc<Mutex<Option<HashMap<u64, Asked>>>>;

#[derive(Debug)]
struct Asked {
    answer: oneshot::Sender<Result<Answer, String>>,
    /// Kept until there is an answer, whether or not somebody still waits for it: the broker is busy for as long.
    _slot: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for Answer {
    /// Leaves out what a command printed: it is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Addresses(addresses) => f.debug_tuple("Addresses").field(addresses).finish(),
            Self::Output(_) => f.debug_tuple("Output").finish_non_exhaustive(),
        }
    }
}

impl Broker {
    /// Starts one. No thread is started here, so that the caller can confine itself afterwards.
    ///
    /// # Ambient authority
    /// Starts this program once more, with all the rights this process has now.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start(charter: Charter) -> io::Result<Self> {
        let group = match charter {
            // Calls under way may finish after a Ctrl-C, and may still look up names.
            Charter::Names(_) => Group::Own,
            // A command may have to ask a person.
            Charter::Commands(_) => Group::Shared,
        };
        let mut child = ambient::start_self(ARGUMENT, group)?;
        let mut questions = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        questions.write_all(&line(&charter)?)?;
        Ok(Self {
            charter,
            questions: Mutex::new(questions),
            replies: Mutex::new(child.stdout.take()),
            waiting: Arc::new(Mutex::new(Some(HashMap::new()))),
            next: AtomicU64::new(0),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// All addresses of a name.
    ///
    /// # Errors
    /// When there are none, the name is not in the charter, or the broker is gone.
    pub async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        let answer = match self.ask(Ask::Name(name.to_owned()), slot) {
            Ok(answered) => answered.await.map_err(|_| gone()),
            Err(error) => Err(error),
        };
        // A plugin only learns that there is no such name.
        let answer = answer.inspect_err(|error| tracing::error!(%error, "no name can be looked up"))?;
        match answer.map_err(io::Error::other)? {
            Answer::Addresses(addresses) => Ok(addresses),
            Answer::Output(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Runs a command of the charter and gives what it prints. Blocks.
    ///
    /// # Errors
    /// When it is not in the charter, fails, or the broker is gone.
    pub fn output(&self, argv: &[String]) -> io::Result<Vec<u8>> {
        let number = match &self.charter {
            Charter::Commands(commands) => commands.iter().position(|known| known == argv),
            Charter::Names(_) => None,
        };
        let number = number.ok_or(io::ErrorKind::PermissionDenied)?;
        let answer = self.ask(Ask::Command(number), None)?.blocking_recv();
        match answer.map_err(|_| gone())?.map_err(io::Error::other)? {
            Answer::Output(output) => STANDARD.decode(output.0.as_bytes()).map_err(io::Error::other),
            Answer::Addresses(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn ask(
        &self,
        ask: Ask,
        slot: Option<OwnedSemaphorePermit>,
    ) -> io::Result<oneshot::Receiver<Result<Answer, String>>> {
        self.listen()?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        locked(&self.waiting).as_mut().ok_or_else(gone)?.insert(id, Asked { answer, _slot: slot });
        let question = line(&Question { id, ask })?;
        locked(&self.questions).write_all(&question).map_err(|_| gone())?;
        Ok(answered)
    }

    /// Starts to take answers, once.
    fn listen(&self) -> io::Result<()> {
        let Some(replies) = locked(&self.replies).take() else { return Ok(()) };
        let waiting = Arc::clone(&self.waiting);
        std::thread::Builder::new().name("broker".to_owned()).spawn(move || {
            deliver(replies, &waiting);
            // Whoever still waits is told by the end of its channel.
            *locked(&waiting) = None;
        })?;
        Ok(())
    }
}

/// Hands answers to who asked, until there are no more.
fn deliver(replies: ChildStdout, waiting: &Waiting) {
    let mut replies = BufReader::new(replies);
    let mut line = Zeroizing::new(String::new());
    while replies.read_line(&mut line).is_ok_and(|length| length > 0) {
        match serde_json::from_str::<Reply>(&line) {
            Ok(reply) => {
                let asked = locked(waiting).as_mut().and_then(|waiting| waiting.remove(&reply.id));
                if let Some(asked) = asked {
                    // Nobody waits any more: the answer is dropped.
                    let _ = asked.answer.send(reply.answer);
                }
            }
            Err(error) => tracing::error!(%error, "the broker says what is no answer"),
        }
        line.zeroize();
    }
}

fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the process that did this for the confined host is gone; restart the host",
    )
}

fn line(message: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(serde_json::to_vec(message)?);
    line.push(b'\n');
    Ok(line)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is a broker: reads the charter and then questions from standard input, and writes answers to standard output, until
/// there are no more questions.
///
/// # Ambient authority
/// Asks the system's resolver, or runs the commands of the charter.
///
/// # Errors
/// When the charter or a question cannot be read.
pub fn serve() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let Some(text) = bounded_line(&mut input, LONGEST_CHARTER)? else { return Ok(()) };
    let office = Arc::new(Office::open(&text)?);
    let busy = Arc::new(Busy::default());
    while let Some(text) = bounded_line(&mut input, LONGEST_QUESTION)? {
        let Question { id, ask } = serde_json::from_str(&text)?;
        let (office, turn) = (Arc::clone(&office), busy.enter());
        std::thread::Builder::new().spawn(move || {
            let _turn = turn;
            // The host is gone, and this process is about to be.
            let _ = line(&Reply { id, answer: office.answer(&ask) }).and_then(|reply| {
                let mut out = io::stdout().lock();
                out.write_all(&reply).and_then(|()| out.flush())
            });
        })?;
    }
    Ok(())
}

/// A charter, read.
enum Office {
    Names(Vec<HostPattern>),
    Commands(Vec<Vec<String>>),
}

impl Office {
    /// Reads the charter; one for names is all that this process can do from here on.
    fn open(text: &str) -> io::Result<Self> {
        match serde_json::from_str(text)? {
            Charter::Commands(commands) => Ok(Self::Commands(commands)),
            Charter::Names(patterns) => {
                let patterns = patterns.iter().map(|pattern| HostPattern::parse(pattern));
                let patterns = patterns.collect::<Result<_, _>>().map_err(|flaw| io::Error::other(flaw.message))?;
                confine::hold(&Confinement::of_resolver()).map_err(io::Error::other)?;
                Ok(Self::Names(patterns))
            }
        }
    }

    fn answer(&self, ask: &Ask) -> Result<Answer, String> {
        match (self, ask) {
            (Self::Names(patterns), Ask::Name(name)) => {
                let asked = HostName::Name(name.clone());
                if !patterns.iter().any(|pattern| pattern.allows(&asked)) {
                    return Err(format!("`{name}` is not granted"));
                }
                ambient::look_up(name).map(Answer::Addresses).map_err(|error| error.to_string())
            }
            (Self::Commands(commands), Ask::Command(number)) => {
                let argv = commands.get(*number).ok_or("there is no such command")?;
                let output = ambient::command_output(argv).map(Zeroizing::new).map_err(|error| error.to_string())?;
                Ok(Answer::Output(Printed(STANDARD.encode(&output))))
            }
            (Self::Names(_), Ask::Command(_)) | (Self::Commands(_), Ask::Name(_)) => {
                Err("this is not in the charter".to_owned())
            }
        }
    }
}

/// The next line, without its end; none when there are no more. A longer one is an error.
fn bounded_line(input: &mut impl BufRead, longest: u64) -> io::Result<Option<String>> {
    let mut line = String::new();
    let length = input.take(longest).read_line(&mut line)?;
    match line.pop() {
        None => Ok(None),
        Some('\n') => Ok(Some(line)),
        Some(_) if (length as u64) < longest => Ok(None),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long")),
    }
}

/// How many questions are being answered. A host that was taken over may ask without end.
#[derive(Default)]
struct Busy {
    now: Mutex<usize>,
    less: Condvar,
}

struct Turn(Arc<Busy>);

impl Busy {
    fn enter(self: &Arc<Self>) -> Turn {
        let now = locked(&self.now);
        let mut now = self.less.wait_while(now, |now| *now >= AT_ONCE).unwrap_or_else(PoisonError::into_inner);
        *now += 1;
        Turn(Arc::clone(self))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *locked(&self.0.now) -= 1;
        self.0.less.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_an_end_and_a_length() {
        let read = |text: &str| {
            let mut input = text.as_bytes();
            std::iter::from_fn(|| match bounded_line(&mut input, 8) {
                Ok(line) => line.map(Ok),
                Err(error) => Some(Err(error.kind())),
            })
            .take(3)
            .collect::<Vec<_>>()
        };
        assert_eq!(read("one\ntwo\n"), [Ok("one".to_owned()), Ok("two".to_owned())]);
        assert_eq!(read("one\ncut"), [Ok("one".to_owned())], "the host ended in the middle of a question");
        assert_eq!(read("1234567\n"), [Ok("1234567".to_owned())]);
        assert_eq!(read("12345678\n")[0], Err(io::ErrorKind::InvalidData));
    }

    fn ask(office: &Office, ask: Ask) -> String {
        match office.answer(&ask) {
            Ok(Answer::Addresses(addresses)) => format!("{addresses:?}"),
            Ok(Answer::Output(output)) => output.0.clone(),
            Err(error) => error,
        }
    }

    #[test]
    fn only_names_of_the_charter_are_looked_up() {
        let patterns = ["localhost", "*.example.com"].map(|pattern| HostPattern::parse(pattern).unwrap());
        let office = Office::Names(patterns.into());
        assert!(ask(&office, Ask::Name("localhost".to_owned())).contains("127.0.0.1"));
        for name in ["example.com", "x.example.org", "", "localhost.", "127.0.0.1", "LOCALHOST"] {
            assert_eq!(ask(&office, Ask::Name(name.to_owned())), format!("`{name}` is not granted"));
        }
        assert_eq!(ask(&office, Ask::Command(0)), "this is not in the charter");
    }

    #[test]
    fn only_commands_of_the_charter_are_run() {
        let office = Office::Commands(vec![vec!["printf".to_owned(), "one".to_owned()], vec!["false".to_owned()]]);
        assert_eq!(ask(&office, Ask::Command(0)), STANDARD.encode("one"));
        assert!(ask(&office, Ask::Command(1)).contains("exit status: 1"));
        assert_eq!(ask(&office, Ask::Command(2)), "there is no such command");
        assert_eq!(ask(&office, Ask::Name("localhost".to_owned())), "this is not in the charter");
    }

    #[test]
    fn no_more_are_answered_at_once_than_there_are_turns() {
        let busy = Arc::new(Busy::default());
        let mut turns: Vec<Turn> = (0..AT_ONCE).map(|_| busy.enter()).collect();
        let waiting = std::thread::spawn({
            let busy = Arc::clone(&busy);
            move || drop(busy.enter())
        });
        assert_eq!(*locked(&busy.now), AT_ONCE);
        drop(turns.pop());
        waiting.join().unwrap();
        assert_eq!(*locked(&busy.now), AT_ONCE - 1);
    }

    #[test]
    fn what_a_command_printed_is_in_no_debug_text() {
        let answer = Answer::Output(Printed("Y2FuYXJ5".to_owned()));
        assert_eq!(format!("{answer:?}"), "Output(..)");
    }
}
