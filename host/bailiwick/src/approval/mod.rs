//! The desk: where calls wait until a person agrees. [`Desk::settle`] reads top to bottom: has somebody agreed already,
//! is there anybody to ask, write it down, tell everybody, wait for the first answer or the end of the time.
//!
//! Answers come by three ways: from the caller itself if it may approve, by [`Desk::answer`] from whoever a front end has
//! identified, and from other processes on this machine through the store. Only this process settles what it asked, under
//! one lock, so the first answer wins; it is written down before the call goes on. What goes wrong on the way is a no.

mod book;
mod webhook;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::json;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use bailiwick_core::approval::{
    ApprovalId, Decision, Facts, MAX_PENDING, MAX_PENDING_OF_ONE, Reply, State, may_answer,
};
use bailiwick_core::config::ApprovalSettings;
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::policy::{Permitted, Question, QuestionDigest};

use self::book::{End, New};
pub use self::book::{Entry, Standing};
use crate::ambient;
use crate::channel::{Answer, Channel};
use crate::egress::Egress;
use crate::load::Plugin;
use crate::secrets::Secrets;
use crate::store::{Store, StoreError};

/// How often answers of other processes are looked for while something waits.
const LOOK: Duration = Duration::from_millis(200);
/// How long an answer waits for the process that asked to take it.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// How often an answer that is waited for is looked at.
const VERDICT: Duration = Duration::from_millis(50);
/// Approvals that are listed.
const MOST_LISTED: u32 = 200;

/// Where calls wait until a person agrees.
pub struct Desk {
    store: Arc<Store>,
    egress: Arc<Egress>,
    settings: ArcSwap<ApprovalSettings>,
    /// This process among those that have something waiting, and the folder in which each holds a file while it lives.
    me: String,
    folder: PathBuf,
    alive: OnceLock<File>,
    room: Mutex<Room>,
    /// Whether somebody else than the caller can answer, as far as this process serves them.
    others: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
    changed: watch::Sender<u64>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("me", &self.me).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Room {
    waiting: HashMap<ApprovalId, Waiting>,
    /// Whether a task looks for answers of other processes.
    looking: bool,
}

/// A call that waits.
struct Waiting {
    question: Question,
    digest: QuestionDigest,
    facts: Facts,
    /// Names the plugin's code.
    component: String,
    secrets: Arc<Secrets>,
    reply: oneshot::Sender<Settled>,
}

/// What came of a question.
pub(crate) struct Settled {
    /// The call, with the arguments that were agreed to; or why it does not run.
    pub(crate) result: Result<Permitted, Failure>,
    /// How it came to that, for the audit.
    pub(crate) how: String,
}

/// Why an answer does not count.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// There is no such approval.
    #[error("there is no approval `{0}`")]
    Unknown(String),
    /// It is settled already.
    #[error("approval `{id}` is {state} already")]
    Settled {
        /// Which.
        id: String,
        /// How it stands.
        state: &'static str,
    },
    /// The other arguments do not fit.
    #[error("{0}")]
    Arguments(Failure),
    /// Nobody waits for it: the process that asked is gone, or does not look.
    #[error("no host took the answer to approval `{0}`: the one that asked may have ended")]
    Untaken(String),
    /// The answer cannot be written down; the call was rejected.
    #[error("the answer cannot be written down: {0}")]
    Store(#[from] StoreError),
}

impl AnswerError {
    /// Stable.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "approval.unknown",
            Self::Settled { .. } => "approval.settled",
            Self::Arguments(failure) => failure.code.as_str(),
            Self::Untaken(_) => "approval.untaken",
            Self::Store(_) => "host.file",
        }
    }
}

impl Desk {
    /// A desk that keeps what waits in `store`, and a file of its own in a folder of `state` as long as it lives. What
    /// waited for processes that have ended is rejected.
    #[must_use]
    pub(crate) fn open(store: Arc<Store>, egress: Arc<Egress>, settings: ApprovalSettings, state: &Path) -> Self {
        let desk = Self {
            store,
            egress,
            settings: ArcSwap::from_pointee(settings),
            me: new_id().map(|id| id.to_string()).unwrap_or_default(),
            folder: folder(state),
            alive: OnceLock::new(),
            room: Mutex::default(),
            others: OnceLock::new(),
            changed: watch::Sender::new(0),
        };
        if let Err(error) = sweep(&desk.store, &desk.folder, &desk.me) {
            tracing::warn!(%error, "what waited for hosts that have ended is not cleared up");
        }
        desk
    }

    /// From now on, what is asked is asked like this.
    pub(crate) fn reload(&self, settings: &ApprovalSettings) {
        self.settings.store(Arc::new(settings.clone()));
    }

    /// Says how to find out whether somebody else than a caller itself can answer it, by [`Desk::answer`]. Said once.
    pub fn answered_by(&self, others: impl Fn() -> bool + Send + Sync + 'static) {
        // A server says it when it starts; a process serves once.
        let _ = self.others.set(Box::new(others));
    }

    /// Changes whenever something begins or ends to wait.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The newest approvals, at most 200, the newest first. Those of other processes on this state folder are among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self, state: Option<State>) -> Result<Vec<Entry>, StoreError> {
        self.stored(move |store| book::list(store, state, MOST_LISTED)).await
    }

    /// One approval.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn one(&self, id: &ApprovalId) -> Result<Option<Entry>, StoreError> {
        let id = id.clone();
        self.stored(move |store| book::one(store, id.as_str())).await
    }

    /// Answers in the name of `by`, who must have been found to be somebody who may.
    ///
    /// # Errors
    /// See [`AnswerError`]; with one of `Arguments` the question stands as before.
    pub async fn answer(self: &Arc<Self>, id: &ApprovalId, by: &str, reply: Reply) -> Result<Entry, AnswerError> {
        let waiting = match self.take(id, &reply)? {
            Some(waiting) => waiting,
            None => return self.answer_elsewhere(id, by, reply).await,
        };
        // In a task of its own: whoever answers may go away, and what is begun here is ended.
        let (desk, id, by) = (Arc::clone(self), id.clone(), by.to_owned());
        let ended = tokio::spawn(async move { desk.end(&id, waiting, &by, reply).await });
        ended.await.unwrap_or_else(|_| Err(AnswerError::Untaken(String::new())))
    }

    /// Waits until a person agrees to `question`, or does not.
    pub(crate) async fn settle(self: &Arc<Self>, question: Question, plugin: &Plugin, channel: &Channel) -> Settled {
        let component = plugin.digest.to_string();
        let digest = question.digest(&component);
        if let Some(by) = self.agreed(&digest).await {
            return Settled { result: Ok(question.approved()), how: format!("standing approval by {by}") };
        }
        let caller = &question.pending().call().caller;
        let own = may_answer(caller) && channel.questions.is_some();
        let others = self.has_others().await;
        if !own && !others {
            return refused(question.unaskable(), "unaskable");
        }
        let (name, facts) = (caller.name.clone(), question.facts(plugin.secrets.redactor()));
        let (reply, answered) = oneshot::channel();
        let waiting =
            Waiting { question, digest, facts: facts.clone(), component, secrets: Arc::clone(&plugin.secrets), reply };
        let (mut ticket, entry) = match self.register(waiting, answered).await {
            Ok(registered) => registered,
            Err(settled) => return *settled,
        };
        self.look();
        if let Some(webhook) = &self.settings.load().webhook {
            webhook::tell(&self.egress, webhook, &entry);
        }
        let asked = async {
            match own {
                true => self.ask((&ticket.id, ticket.until), &name, &facts, channel).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            settled = &mut ticket.answered => return ended(settled),
            () = asked => if others {
                // This one cannot be asked after all; the others still can.
                tokio::select! {
                    settled = &mut ticket.answered => return ended(settled),
                    () = tokio::time::sleep_until(ticket.until) => self.close(&ticket.id, State::Expired).await,
                }
            } else {
                self.close(&ticket.id, State::Cancelled).await;
            },
            () = tokio::time::sleep_until(ticket.until) => self.close(&ticket.id, State::Expired).await,
        }
        // Either by what was just closed, or by an answer of this very moment.
        ended((&mut ticket.answered).await)
    }

    /// Asks the caller itself until it has answered. Comes back if it cannot be asked.
    async fn ask(self: &Arc<Self>, ticket: (&ApprovalId, Instant), name: &str, facts: &Facts, channel: &Channel) {
        let (id, until) = ticket;
        let mut text = facts.text();
        loop {
            let reply =
                match channel.ask_for_approval(text.clone(), until.saturating_duration_since(Instant::now())).await {
                    Answer::Accepted(form) => Reply::accepted(&form),
                    Answer::Declined | Answer::Cancelled => Ok(Reply::NO),
                    Answer::Unavailable => return,
                };
            let wrong = match reply {
                Err(wrong) => wrong,
                Ok(reply) => match self.answer(id, name, reply).await {
                    Err(AnswerError::Arguments(failure)) => failure.to_string(),
                    // It is settled, by this answer or by another; the result is on its way.
                    Ok(_) | Err(_) => std::future::pending().await,
                },
            };
            text = format!("{wrong}\n{}", facts.text());
        }
    }

    /// Whether somebody has agreed to this very question for a while, and who.
    async fn agreed(&self, digest: &QuestionDigest) -> Option<String> {
        let digest = digest.clone();
        let agreed = self.stored(move |store| book::agreed(store, &digest)).await;
        agreed.unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known who agreed to what");
            None
        })
    }

    /// Whether somebody else than the caller can be asked: by this server, by the webhook, or at another terminal.
    async fn has_others(&self) -> bool {
        if self.settings.load().webhook.is_some() || self.others.get().is_some_and(|others| others()) {
            return true;
        }
        self.stored(book::is_watched).await.unwrap_or(false)
    }

    /// Gives the question a name, if there is room for it, and writes it down.
    async fn register(
        self: &Arc<Self>,
        waiting: Waiting,
        answered: oneshot::Receiver<Settled>,
    ) -> Result<(Ticket, Entry), Box<Settled>> {
        let Some(id) = new_id().filter(|_| self.live().is_ok()) else {
            return Err(Box::new(refused(waiting.question.unwritable(), "unaskable")));
        };
        let created = book::now();
        let time = self.settings.load().time;
        let expires = created + i64::try_from(time.as_millis()).unwrap_or(0);
        let (facts, host) = (waiting.facts.clone(), self.me.clone());
        let call = waiting.question.pending().call().id.to_string();
        let new = New { id: id.clone(), host, call, facts, created, expires };
        let until = Instant::now() + time;
        self.admit(&id, waiting)?;
        let gone = Arc::new(AtomicBool::new(false));
        let ticket = Ticket { id: id.clone(), desk: Arc::downgrade(self), until, answered, gone: Arc::clone(&gone) };
        let written = self.stored(move |store| {
            book::register(store, &new, || gone.load(Ordering::SeqCst))?;
            book::one(store, new.id.as_str())
        });
        match written.await {
            Ok(Some(entry)) => {
                self.note();
                Ok((ticket, entry))
            }
            Ok(None) | Err(_) => {
                let waiting = self.room().waiting.remove(&id);
                tracing::error!(approval = %id, "an approval cannot be written down");
                let failure = waiting.map(|waiting| waiting.question.unwritable());
                Err(Box::new(refused(failure.unwrap_or_else(lost), "unaskable")))
            }
        }
    }

    fn admit(&self, id: &ApprovalId, waiting: Waiting) -> Result<(), Box<Settled>> {
        let mut room = self.room();
        let of_caller = room.waiting.values().filter(|other| other.facts.caller == waiting.facts.caller).count();
        if room.waiting.len() >= MAX_PENDING || of_caller >= MAX_PENDING_OF_ONE {
            return Err(Box::new(refused(waiting.question.crowded(), "too many wait")));
        }
        room.waiting.insert(id.clone(), waiting);
        Ok(())
    }

    /// Holds a file from the first question on: as long as it is held, this process lives.
    fn live(&self) -> std::io::Result<()> {
        if self.alive.get().is_some() {
            return Ok(());
        }
        ambient::create_private_dir(&self.folder)?;
        let file = ambient::try_hold(&self.folder.join(&self.me))?;
        if let Some(file) = file {
            // Of two at once one holds it, and that is enough.
            let _ = self.alive.set(file);
        }
        Ok(())
    }

    /// Takes what waits under this name, with other arguments if that is the answer. None: it does not wait here.
    fn take(&self, id: &ApprovalId, reply: &Reply) -> Result<Option<Waiting>, AnswerError> {
        let mut room = self.room();
        let Some(waiting) = room.waiting.get_mut(id) else { return Ok(None) };
        if let Decision::Approve { arguments: Some(arguments), .. } = &reply.decision {
            waiting.question.edit(arguments).map_err(AnswerError::Arguments)?;
        }
        Ok(room.waiting.remove(id))
    }

    /// Writes an answer down, and lets the call go on or not.
    async fn end(&self, id: &ApprovalId, waiting: Waiting, by: &str, mut reply: Reply) -> Result<Entry, AnswerError> {
        let Waiting { question, mut digest, mut facts, component, secrets, reply: waits } = waiting;
        let how = reply.in_words(by);
        let (state, standing) = match &mut reply.decision {
            Decision::Reject => (State::Rejected, None),
            Decision::Approve { arguments, minutes } => {
                if let Some(arguments) = arguments {
                    digest = question.digest(&component);
                    facts = question.facts(secrets.redactor());
                    *arguments = facts.arguments.to_string();
                }
                let until = minutes.map(|minutes| book::now() + i64::from(minutes) * 60_000);
                (State::Approved, until.map(|until| (digest, until, facts)))
            }
        };
        let result = match state {
            State::Approved => Ok(question),
            State::Rejected | State::Pending | State::Expired | State::Cancelled => {
                Err(question.rejected(reply.reason.as_deref()))
            }
        };
        let end = End { state, by: Some(by.to_owned()), reply: Some(reply), standing };
        let own = id.clone();
        let written = self.stored(move |store| {
            book::settle(store, &own, &end)?;
            book::one(store, own.as_str())
        });
        let written = written.await;
        let result = match (&written, result) {
            (Ok(Some(_)), Ok(question)) => Ok(question.approved()),
            (Ok(None) | Err(_), Ok(question)) => Err(question.unwritable()),
            (_, Err(failure)) => Err(failure),
        };
        self.note();
        let waited = waits.send(Settled { result, how }).is_ok();
        let entry = written?.ok_or_else(|| AnswerError::Unknown(id.to_string()))?;
        if waited {
            return Ok(entry);
        }
        // The caller gave up while this was written.
        Err(AnswerError::Settled { id: id.to_string(), state: State::Cancelled.as_str() })
    }

    /// Ends what nobody answered.
    async fn close(&self, id: &ApprovalId, state: State) {
        let Some(waiting) = self.room().waiting.remove(id) else { return };
        let (failure, how) = match state {
            State::Cancelled => (waiting.question.unaskable(), "unaskable"),
            State::Expired | State::Pending | State::Approved | State::Rejected => {
                (waiting.question.unanswered(), "timed-out")
            }
        };
        self.write_end(id.clone(), state).await;
        // It is the waiting call itself that closes.
        let _ = waiting.reply.send(refused(failure, how));
    }

    async fn write_end(&self, id: ApprovalId, state: State) {
        let end = End { state, by: None, reply: None, standing: None };
        if let Err(error) = self.stored(move |store| book::settle(store, &id, &end)).await {
            tracing::warn!(%error, "the end of an approval is not written down");
        }
        self.note();
    }

    /// Answers what another process on this state folder asked, or says why that cannot be.
    async fn answer_elsewhere(&self, id: &ApprovalId, by: &str, reply: Reply) -> Result<Entry, AnswerError> {
        let (id, by) = (id.clone(), by.to_owned());
        let (store, folder, me) = (Arc::clone(&self.store), self.folder.clone(), self.me.clone());
        blocking(move || from_outside(&store, &folder, &me, &id, &by, &reply)).await
    }

    /// Looks for answers of other processes as long as something waits.
    fn look(self: &Arc<Self>) {
        let mut room = self.room();
        if !std::mem::replace(&mut room.looking, true) {
            tokio::spawn(looking(Arc::downgrade(self)));
        }
    }

    /// Takes what other processes have answered.
    async fn take_answers(self: &Arc<Self>) -> Result<(), StoreError> {
        for left in self.stored(book::left).await? {
            let Some(id) = ApprovalId::parse(&left.id).filter(|id| self.room().waiting.contains_key(id)) else {
                continue;
            };
            let reply = serde_json::from_str(&left.reply).map_err(|error| error.to_string());
            let verdict = match reply.and_then(|reply| Reply::read(&reply)) {
                Err(wrong) => json!({"code": Code::ArgumentsInvalid, "message": wrong}),
                Ok(reply) => match self.answer(&id, &left.by, reply).await {
                    Ok(_) => json!({"code": "ok"}),
                    Err(error) => json!({"code": error.code(), "message": error.to_string()}),
                },
            };
            self.stored(move |store| book::judged(store, left.number, &verdict.to_string())).await?;
        }
        Ok(())
    }

    async fn stored<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        blocking(move || work(&store)).await
    }

    fn note(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if self.alive.get().is_some() {
            // Nothing waits any more; a file that stays is found to be nobody's.
            let _ = ambient::remove(&self.folder.join(&self.me));
        }
    }
}

/// A call's place at the desk. Dropped before it is answered, nobody waits any more.
struct Ticket {
    id: ApprovalId,
    desk: Weak<Desk>,
    until: Instant,
    answered: oneshot::Receiver<Settled>,
    gone: Arc<AtomicBool>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        let Some(desk) = self.desk.upgrade() else { return };
        if desk.room().waiting.remove(&self.id).is_none() {
            return;
        }
        let id = self.id.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { desk.write_end(id, State::Cancelled).await });
        }
    }
}

/// Looks for answers of other processes until nothing waits.
async fn looking(desk: Weak<Desk>) {
    let mut seen = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(desk) = desk.upgrade() else { return };
        {
            let mut room = desk.room();
            if room.waiting.is_empty() {
                room.looking = false;
                return;
            }
        }
        let looked = async {
            let version = desk.stored(Store::version).await?;
            if seen.replace(version) != Some(version) { desk.take_answers().await } else { Ok(()) }
        };
        if let Err(error) = looked.await {
            tracing::warn!(%error, "answers of other processes are not seen");
            seen = None;
        }
    }
}

fn refused(failure: Failure, how: &str) -> Settled {
    Settled { result: Err(failure), how: how.to_owned() }
}

fn ended(settled: Result<Settled, oneshot::error::RecvError>) -> Settled {
    settled.unwrap_or_else(|_| refused(lost(), "lost"))
}

/// An answer got lost on its way; that is a no.
fn lost() -> Failure {
    Failure::new(Code::DeniedApproval, "Tool call rejected by user. (the answer was lost)")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The executor is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

fn new_id() -> Option<ApprovalId> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).ok()?;
    Some(ApprovalId::of(bits))
}

fn folder(state: &Path) -> PathBuf {
    state.join("hosts")
}

/// Rejects what waited for processes that have ended: their files are held by nobody.
fn sweep(store: &Store, folder: &Path, me: &str) -> Result<(), StoreError> {
    for host in book::hosts(store)? {
        if host == me || ApprovalId::parse(&host).is_none() {
            continue;
        }
        let file = folder.join(&host);
        let held = ambient::create_private_dir(folder).and_then(|()| ambient::try_hold(&file));
        if let Ok(Some(_dead)) = held {
            book::bury(store, &host)?;
            // Whoever comes next makes it again.
            let _ = ambient::remove(&file);
        }
    }
    Ok(())
}

/// Answers in the name of `by` from a process that is not the one that waits: leaves the answer and waits for its verdict.
fn from_outside(
    store: &Store,
    folder: &Path,
    me: &str,
    id: &ApprovalId,
    by: &str,
    reply: &Reply,
) -> Result<Entry, AnswerError> {
    sweep(store, folder, me)?;
    let unknown = || AnswerError::Unknown(id.to_string());
    let settled = |entry: Entry| AnswerError::Settled { id: entry.id, state: entry.state };
    let found = book::one(store, id.as_str())?.ok_or_else(unknown)?;
    if found.state != State::Pending.as_str() {
        return Err(settled(found));
    }
    let number = book::leave(store, id, by, reply)?;
    let begun = std::time::Instant::now();
    let verdict = loop {
        if let Some(verdict) = book::verdict(store, number)? {
            break Some(verdict);
        }
        if begun.elapsed() > TAKEN_WITHIN {
            break book::take_back(store, number)?;
        }
        std::thread::sleep(VERDICT);
    };
    let entry = book::one(store, id.as_str())?.ok_or_else(unknown)?;
    let Some(verdict) = verdict else {
        let pending = entry.state == State::Pending.as_str();
        return Err(if pending { AnswerError::Untaken(id.to_string()) } else { settled(entry) });
    };
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap_or_default();
    match verdict["code"].as_str().unwrap_or_default() {
        "ok" => Ok(entry),
        code => match Code::parse(code) {
            Some(code) => {
                let message = verdict["message"].as_str().unwrap_or_default();
                Err(AnswerError::Arguments(Failure::new(code, message)))
            }
            None => Err(settled(entry)),
        },
    }
}

/// What a command on the same machine does with approvals, without a host of its own. All of it blocks.
#[derive(Debug)]
pub struct Counter {
    store: Store,
    folder: PathBuf,
    me: String,
}

impl Counter {
    /// Opens the database in the state folder `state`.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let store = Store::open(&state.join(crate::store::FILE))?;
        let me = new_id().map(|id| id.to_string()).unwrap_or_default();
        let folder = folder(state);
        sweep(&store, &folder, &me)?;
        Ok(Self { store, folder, me })
    }

    /// The newest approvals, at most 200, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self, state: Option<State>) -> Result<Vec<Entry>, StoreError> {
        sweep(&self.store, &self.folder, &self.me)?;
        book::list(&self.store, state, MOST_LISTED)
    }

    /// One approval.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn one(&self, id: &ApprovalId) -> Result<Option<Entry>, StoreError> {
        book::one(&self.store, id.as_str())
    }

    /// Answers in the name of `by`.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn answer(&self, id: &ApprovalId, by: &str, reply: &Reply) -> Result<Entry, AnswerError> {
        from_outside(&self.store, &self.folder, &self.me, id, by, reply)
    }

    /// What stands, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn standing(&self) -> Result<Vec<Standing>, StoreError> {
        book::standing(&self.store)
    }

    /// Takes a standing answer back; says whether there was one.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn revoke(&self, id: &ApprovalId) -> Result<bool, StoreError> {
        book::revoke(&self.store, id.as_str())
    }

    /// Says that a person looks at what waits, for so long from now on: then hosts ask.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn look(&self, time: Duration) -> Result<(), StoreError> {
        let until = book::now() + i64::try_from(time.as_millis()).unwrap_or(0);
        book::watch(&self.store, &self.me, until)
    }

    /// A number that is another one once something may have changed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.store.version()
    }
}
