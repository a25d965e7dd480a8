//! Who asks: from the `Authorization` header of a request to a caller with its rights.
//!
//! Keys come from the host's database (`bailiwick keys create`), from `[keys.NAME]` and from the environment; of none of
//! them more than a hash is kept. Checking one takes a tenth of a second and 64 MiB, so few are checked at once, few may
//! wait for it, and what came of it is remembered for a while, under a digest with a key of this process.

mod book;
mod environment;
pub(crate) mod hash;
mod oauth;
mod recent;
pub(crate) mod rows;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, header};
use sha2::Sha256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use bailiwick_core::approval::may_answer;
use bailiwick_core::call::Caller;
use bailiwick_core::config::Config;
use bailiwick_core::key::{KeyHash, KeyText};

use self::book::{Book, Entry, Given};
use self::oauth::Authority;
use self::recent::Recent;
use crate::egress::Egress;
use crate::store::{Store, StoreError, now};

pub use self::environment::{Environment, EnvironmentError};

/// How long what came of a check is remembered where the environment says nothing.
const CACHE: Duration = Duration::from_secs(300);
/// Answers that are remembered, of each kind; each takes a hundred bytes.
const MOST_REMEMBERED: usize = 4_096;
/// How often it is looked for keys that were revoked, by whatever process, while something goes on under them.
const WATCH: Duration = Duration::from_millis(250);

/// Who asks.
#[derive(Clone, Debug)]
pub struct Identity {
    /// With its rights; its name tells one from another.
    pub caller: Arc<Caller>,
    /// Requests in a minute, where its policy says so; 0 means no limit.
    pub per_minute: Option<u32>,
    /// Cancelled once the key is revoked or expired: what goes on under it ends then.
    pub revoked: CancellationToken,
}

/// The name of callers without a key.
const ANONYMOUS: &str = "anonymous";

impl Identity {
    /// Whether there is no key.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.caller.name == ANONYMOUS
    }
}

/// Why nobody was found to be asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no key, and callers without one are not let in.
    Missing,
    /// The key is none of ours, or not any more.
    Invalid,
    /// The token is good, and lacks scopes: these are the ones it has to have.
    Scope(String),
    /// Too many keys are being checked.
    Busy,
    /// The keys cannot be read.
    Unavailable,
}

/// All who may ask.
pub struct Keys {
    store: Arc<Store>,
    environment: Environment,
    given: ArcSwap<Given>,
    /// Whose tokens are let in, beside keys.
    authority: ArcSwapOption<Authority>,
    egress: Arc<Egress>,
    book: ArcSwap<Book>,
    /// Held by whoever replaces `given` or `book`.
    changing: Mutex<()>,
    secret: Zeroizing<[u8; 32]>,
    remembered: Mutex<Remembered>,
    cache: Duration,
    /// For keys that are found by their id, or were checked before: nobody else gets into this one.
    known: Lane,
    /// For whatever else looks like a key.
    unknown: Lane,
}

/// What a key is remembered under.
type Tag = [u8; 32];

struct Remembered {
    good: Recent<Tag, Good>,
    /// With the number of the book that knows them not.
    bad: Recent<Tag, (u64, Instant)>,
}

#[derive(Clone)]
struct Good {
    name: String,
    hash: KeyHash,
    since: Instant,
}

/// What is remembered of a key.
enum Memory {
    Good(Arc<Entry>),
    /// It was good some time ago.
    Stale(Arc<Entry>),
    Bad,
    Nothing,
}

impl Keys {
    /// Reads all keys. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn new(
        store: Arc<Store>,
        egress: Arc<Egress>,
        config: &Config,
        environment: Environment,
    ) -> Result<Self, StoreError> {
        let given = Given::of(config, &environment);
        let version = store.version()?;
        let book = Book::of(version, rows::all(&store)?, &given, now(), &Book::default());
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).expect("the host had random numbers a moment ago");
        let (good, bad) = (Recent::new(MOST_REMEMBERED), Recent::new(MOST_REMEMBERED));
        Ok(Self {
            store,
            cache: environment.cache.unwrap_or(CACHE),
            environment,
            given: ArcSwap::from_pointee(given),
            authority: ArcSwapOption::new(authority(config, &egress)),
            egress,
            book: ArcSwap::from_pointee(book),
            changing: Mutex::new(()),
            secret,
            remembered: Mutex::new(Remembered { good, bad }),
            known: Lane::new(2, 1_024),
            unknown: Lane::new(1, 64),
        })
    }

    /// Finds out who asks, by the `Authorization` header and by nothing else. Callers without one are `anonymous`, if the
    /// configuration lets them in; with a wrong one they are nobody.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn identify(self: &Arc<Self>, headers: &HeaderMap) -> Result<Identity, Refused> {
        let mut headers = headers.get_all(header::AUTHORIZATION).iter();
        let token = match (headers.next(), headers.next()) {
            (None, _) => return self.anonymous(),
            (Some(_), Some(_)) => return Err(Refused::Invalid),
            (Some(header), None) => bearer(header).ok_or(Refused::Invalid)?,
        };
        let Some(key) = KeyText::parse(token) else {
            let authority = self.authority.load_full().ok_or(Refused::Invalid)?;
            return authority.identify(token, self.tag(token)).await;
        };
        let book = self.current().await?;
        let tag = self.tag(key.as_str());
        let entry = match self.memory(&book, &tag) {
            Memory::Good(entry) => entry,
            Memory::Bad => return Err(Refused::Invalid),
            Memory::Stale(entry) => self.check(&self.known, key, tag, book.number, vec![entry]).await?,
            Memory::Nothing => match book.by_id(&key.id()) {
                Some(found) => self.check(&self.known, key, tag, book.number, found.to_vec()).await?,
                None if book.others().is_empty() => return Err(Refused::Invalid),
                None => self.check(&self.unknown, key, tag, book.number, book.others().to_vec()).await?,
            },
        };
        if entry.is_expired(now()) || entry.revoked.is_cancelled() {
            return Err(Refused::Invalid);
        }
        let (caller, revoked) = (Arc::clone(&entry.caller), entry.revoked.clone());
        Ok(Identity { caller, per_minute: entry.per_minute, revoked })
    }

    fn anonymous(&self) -> Result<Identity, Refused> {
        let given = self.given.load();
        let policy = given.anonymous.as_ref().ok_or(Refused::Missing)?;
        let caller = Arc::new(Caller::under(ANONYMOUS, policy));
        Ok(Identity { caller, per_minute: policy.per_minute, revoked: CancellationToken::new() })
    }

    /// Whether anybody could be let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let nobody = self.given.load().anonymous.is_none() && self.authority.load().is_none();
        nobody && self.book.load().entries().next().is_none()
    }

    /// Whether anybody who could be let in may answer when a person is asked for a call.
    #[must_use]
    pub fn may_anybody_approve(&self) -> bool {
        let (now, book, given) = (now(), self.book.load(), self.given.load());
        let key = |entry: &Arc<Entry>| !entry.is_expired(now) && may_answer(&entry.caller);
        book.entries().any(key) || given.anonymous.as_ref().is_some_and(|policy| policy.may.approve)
    }

    /// Takes over what `config` says of callers. Keys that are gone from it are revoked at once.
    pub fn reload(&self, config: &Config) {
        let _alone = held(&self.changing);
        self.given.store(Arc::new(Given::of(config, &self.environment)));
        let same = |known: &Authority| config.gateway.oauth.as_ref().is_some_and(|oauth| known.is(oauth));
        if !self.authority.load().as_deref().is_some_and(same) {
            self.authority.store(authority(config, &self.egress));
        }
        let before = self.book.load();
        self.book.store(Arc::new(Book::of(before.version, before.rows.clone(), &self.given.load(), now(), &before)));
    }

    /// Revokes at once, for all that goes on, what any process revokes and what expires. Never ends.
    pub async fn watch(self: Arc<Self>) -> Infallible {
        loop {
            tokio::time::sleep(WATCH).await;
            if let Some(authority) = self.authority.load_full() {
                authority.expire();
            }
            if let Ok(book) = self.current().await {
                let now = now();
                let expired = |entry: &&Arc<Entry>| entry.is_expired(now);
                book.entries().filter(expired).for_each(|entry| entry.revoked.cancel());
            }
        }
    }

    /// The keys as they are now. Asking whether they changed takes microseconds, and is asked for every request.
    async fn current(self: &Arc<Self>) -> Result<Arc<Book>, Refused> {
        let unavailable = |error: StoreError| {
            tracing::error!(%error, "keys cannot be read");
            Refused::Unavailable
        };
        let book = self.book.load_full();
        if self.store.version().map_err(unavailable)? == book.version {
            return Ok(book);
        }
        let keys = Arc::clone(self);
        let renewed = tokio::task::spawn_blocking(move || keys.renew()).await;
        renewed.map_err(|_| Refused::Unavailable)?.map_err(unavailable)
    }

    /// Reads the database again. Blocks.
    fn renew(&self) -> Result<Arc<Book>, StoreError> {
        let _alone = held(&self.changing);
        let before = self.book.load_full();
        // Before the rows: what is written in between is a change again.
        let version = self.store.version()?;
        if version == before.version {
            return Ok(before);
        }
        let rows = rows::all(&self.store)?;
        let book = if rows == before.rows {
            before.at(version)
        } else {
            Book::of(version, rows, &self.given.load(), now(), &before)
        };
        let book = Arc::new(book);
        self.book.store(Arc::clone(&book));
        Ok(book)
    }

    fn tag(&self, token: &str) -> Tag {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_slice()).expect("HMAC takes a key of any length");
        mac.update(token.as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn memory(&self, book: &Book, tag: &Tag) -> Memory {
        let remembered = held(&self.remembered);
        if let Some(good) = remembered.good.get(tag)
            && let Some(entry) = book.get(&good.name, &good.hash)
        {
            let entry = Arc::clone(entry);
            return if good.since.elapsed() < self.cache { Memory::Good(entry) } else { Memory::Stale(entry) };
        }
        match remembered.bad.get(tag) {
            Some((number, since)) if *number == book.number && since.elapsed() < self.cache => Memory::Bad,
            Some(_) | None => Memory::Nothing,
        }
    }

    /// Finds the key among `candidates`, and remembers what came of it.
    async fn check(
        self: &Arc<Self>,
        lane: &Lane,
        key: KeyText<'_>,
        tag: Tag,
        number: u64,
        candidates: Vec<Arc<Entry>>,
    ) -> Result<Arc<Entry>, Refused> {
        let permit = lane.enter().await.ok_or(Refused::Busy)?;
        // Somebody may have found out while we waited.
        match self.memory(&self.book.load(), &tag) {
            Memory::Good(entry) => return Ok(entry),
            Memory::Bad => return Err(Refused::Invalid),
            Memory::Stale(_) | Memory::Nothing => {}
        }
        let (keys, key) = (Arc::clone(self), Zeroizing::new(key.as_str().to_owned()));
        // The permit goes along: work that nobody waits for any more still counts.
        let work = move || {
            let _permit = permit;
            keys.found(&key, tag, number, &candidates)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Refused::Unavailable)?
    }

    /// Blocks.
    fn found(&self, key: &str, tag: Tag, number: u64, candidates: &[Arc<Entry>]) -> Result<Arc<Entry>, Refused> {
        let key = KeyText::parse(key).ok_or(Refused::Invalid)?;
        for entry in candidates {
            let fits = hash::fits(key, &entry.hash).map_err(|error| {
                tracing::error!(%error, key = entry.name, "a key cannot be checked");
                Refused::Unavailable
            })?;
            if fits {
                let good = Good { name: entry.name.clone(), hash: entry.hash.clone(), since: Instant::now() };
                held(&self.remembered).good.insert(tag, good);
                return Ok(Arc::clone(entry));
            }
        }
        held(&self.remembered).bad.insert(tag, (number, Instant::now()));
        Err(Refused::Invalid)
    }
}

fn authority(config: &Config, egress: &Arc<Egress>) -> Option<Arc<Authority>> {
    let settings = config.gateway.oauth.clone()?;
    Some(Arc::new(Authority::new(settings, Arc::clone(egress))))
}

/// What stands behind `Bearer`, in whatever letters that is written.
fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start_matches(' '))
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Work that few do at once, and that few may wait for.
struct Lane {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    most: usize,
}

impl Lane {
    fn new(places: usize, most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0), most }
    }

    /// Waits for a place; none if too many wait already.
    async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        struct Waiting<'w>(&'w AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let earlier = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if earlier >= self.most {
            return None;
        }
        Arc::clone(&self.places).acquire_owned().await.ok()
    }
}
