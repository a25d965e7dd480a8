//! All keys that count at one moment, from the database, the configuration and the environment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use bailiwick_core::call::{Caller, Policy};
use bailiwick_core::config::{Config, Key};
use bailiwick_core::key::{KeyHash, KeyId};

use super::environment::Environment;
use super::rows::{Rights, Row};

/// The name of the key that comes from the environment.
const ENVIRONMENT: &str = "environment";

/// What the configuration and the environment say of callers.
pub(super) struct Given {
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) policies: BTreeMap<String, Arc<Policy>>,
    /// Callers without a key.
    pub(super) anonymous: Option<Arc<Policy>>,
}

impl Given {
    pub(super) fn of(config: &Config, environment: &Environment) -> Self {
        let mut keys = config.keys.clone();
        if let Some(key) = &environment.key {
            keys.entry(ENVIRONMENT.to_owned()).or_insert_with(|| key.clone());
        }
        Self { keys, policies: config.policies.clone(), anonymous: config.gateway.anonymous.clone() }
    }
}

/// A key that counts.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) hash: KeyHash,
    pub(super) caller: Arc<Caller>,
    pub(super) per_minute: Option<u32>,
    /// Seconds since 1970.
    pub(super) expires: Option<i64>,
    /// Cancelled once it does not count any more.
    pub(super) revoked: CancellationToken,
}

impl Entry {
    pub(super) fn is_expired(&self, now: i64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// All keys that count.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Of the database, when it was read.
    pub(super) version: i64,
    /// Another number for another set of keys.
    pub(super) number: u64,
    pub(super) rows: Vec<Row>,
    entries: BTreeMap<String, Arc<Entry>>,
    by_id: HashMap<KeyId, Vec<Arc<Entry>>>,
    /// Those whose hash is all that is known of them.
    others: Vec<Arc<Entry>>,
}

impl Book {
    /// The keys of `rows` and `given`. Keys that count no more, or have another hash, are cancelled.
    pub(super) fn of(version: i64, rows: Vec<Row>, given: &Given, now: i64, before: &Self) -> Self {
        let number = before.number + 1;
        let mut book = Self { version, number, rows: Vec::new(), ..Self::default() };
        for (name, key) in &given.keys {
            let entry = entry(name, key.hash.clone(), &key.policy, None, before);
            book.others.push(Arc::clone(&entry));
            book.entries.insert(name.clone(), entry);
        }
        for row in rows.iter().filter(|row| row.is_valid(now)) {
            let Some(entry) = of_row(row, given, &book, before) else { continue };
            book.by_id.entry(row.id.clone()).or_default().push(Arc::clone(&entry));
            book.entries.insert(row.name.clone(), entry);
        }
        book.rows = rows;
        for (name, old) in &before.entries {
            if book.entries.get(name).is_none_or(|new| new.hash != old.hash) {
                old.revoked.cancel();
            }
        }
        book
    }

    /// The same keys, read at another version.
    pub(super) fn at(&self, version: i64) -> Self {
        let Self { number, rows, entries, by_id, others, version: _ } = self;
        let (rows, entries, by_id, others) = (rows.clone(), entries.clone(), by_id.clone(), others.clone());
        Self { version, number: *number, rows, entries, by_id, others }
    }

    /// The key of this name, if it still has this hash.
    pub(super) fn get(&self, name: &str, hash: &KeyHash) -> Option<&Arc<Entry>> {
        self.entries.get(name).filter(|entry| entry.hash == *hash)
    }

    /// The keys whose hash was stored with this id.
    pub(super) fn by_id(&self, id: &KeyId) -> Option<&[Arc<Entry>]> {
        self.by_id.get(id).map(Vec::as_slice)
    }

    /// The keys that were stored without an id.
    pub(super) fn others(&self) -> &[Arc<Entry>] {
        &self.others
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }
}

fn of_row(row: &Row, given: &Given, book: &Book, before: &Book) -> Option<Arc<Entry>> {
    let left_out = |why: &str| tracing::warn!(key = row.name, "the key is left out: {why}");
    if book.entries.contains_key(&row.name) {
        left_out("the configuration or the environment has a key of this name");
        return None;
    }
    let Ok(hash) = KeyHash::parse(&row.hash) else {
        left_out("its hash is none");
        return None;
    };
    let policy = match &row.rights {
        Rights::Own(own) => Arc::new(own.policy()),
        Rights::Policy(name) => match given.policies.get(name) {
            Some(policy) => Arc::clone(policy),
            None => {
                left_out(&format!("its policy is gone: add `[policies.{name}]`"));
                return None;
            }
        },
    };
    Some(entry(&row.name, hash, &policy, row.expires, before))
}

fn entry(name: &str, hash: KeyHash, policy: &Policy, expires: Option<i64>, before: &Book) -> Arc<Entry> {
    let revoked = before.get(name, &hash).map_or_else(CancellationToken::new, |entry| entry.revoked.clone());
    let caller = Arc::new(Caller::under(&format!("key:{name}"), policy));
    Arc::new(Entry { name: name.to_owned(), hash, caller, per_minute: policy.per_minute, expires, revoked })
}
