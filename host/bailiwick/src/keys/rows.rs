//! The keys in the host's database: what `bailiwick keys` makes, lists and revokes. All of it blocks.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Row as SqlRow, params};
use serde::{Deserialize, Serialize};

use bailiwick_core::call::{Budget, Ceiling, May, Policy, Selector};
use bailiwick_core::key::KeyId;

use crate::store::{Store, StoreError};

/// A key, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) id: KeyId,
    /// PHC text.
    pub(crate) hash: String,
    pub(crate) rights: Rights,
    /// Seconds since 1970, as all times here.
    pub(crate) created: i64,
    pub(crate) expires: Option<i64>,
    pub(crate) revoked: Option<i64>,
}

impl Row {
    /// Whether it is neither revoked nor expired.
    pub(crate) fn is_valid(&self, now: i64) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// What a key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// What the policy of this name says, at each moment.
    Policy(String),
    /// Rights of its own.
    Own(Own),
}

/// Rights that were given to one key alone, as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Own {
    pub(crate) tools: Vec<String>,
    pub(crate) execute: bool,
    pub(crate) approve: bool,
    pub(crate) manage: bool,
    pub(crate) per_minute: Option<u32>,
    pub(crate) calls: Option<u32>,
    pub(crate) time_ms: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) per_ms: Option<u64>,
}

impl Own {
    /// The same as a policy; it has no name.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            name: String::new(),
            tools: Selector::of(self.tools.iter().map(String::as_str)),
            may: May { execute: self.execute, approve: self.approve, manage: self.manage },
            per_minute: self.per_minute,
            budget: Budget {
                calls: self.calls,
                time: self.time_ms.map(Duration::from_millis),
                bytes: self.bytes,
                per: self.per_ms.map_or(Budget::DEFAULT_PER, Duration::from_millis),
            },
            ceiling: Ceiling::default(),
        }
    }
}

/// All keys, by name. One whose rights cannot be read has none.
pub(crate) fn all(store: &Store) -> Result<Vec<Row>, StoreError> {
    store.read(|read| {
        let columns = "name, id, hash, policy, rights, created, expires, revoked";
        let mut select = read.prepare_cached(&format!("SELECT {columns} FROM keys ORDER BY name"))?;
        select.query_map([], row)?.collect()
    })
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let (policy, rights): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
    let rights = match policy {
        Some(policy) => Rights::Policy(policy),
        None => Rights::Own(serde_json::from_str(&rights.unwrap_or_default()).unwrap_or_default()),
    };
    let id: String = row.get(1)?;
    Ok(Row {
        name: row.get(0)?,
        id: KeyId::stored(&id),
        hash: row.get(2)?,
        rights,
        created: row.get(5)?,
        expires: row.get(6)?,
        revoked: row.get(7)?,
    })
}

/// What became of a request to make or to revoke a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is done.
    Done,
    /// There is a valid key of this name already, or there is none to revoke.
    Refused,
}

/// Adds a key, in the place of one of its name that is not valid any more.
pub(crate) fn add(store: &Store, new: &Row) -> Result<Change, StoreError> {
    let (policy, rights) = match &new.rights {
        Rights::Policy(policy) => (Some(policy.as_str()), None),
        Rights::Own(own) => (None, Some(serde_json::to_string(own).expect("its keys are text"))),
    };
    store.write(|write| {
        let known = write.query_row("SELECT expires, revoked FROM keys WHERE name = ?1", [&new.name], |row| {
            let (expires, revoked): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok(revoked.is_none() && expires.is_none_or(|expires| new.created < expires))
        });
        if known.optional()? == Some(true) {
            return Ok(Change::Refused);
        }
        let columns = "(name, id, hash, policy, rights, created, expires)";
        write.execute(
            &format!("INSERT OR REPLACE INTO keys {columns} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
            params![new.name, new.id.as_str(), new.hash, policy, rights, new.created, new.expires],
        )?;
        Ok(Change::Done)
    })
}

/// Revokes a key. It is kept, so that it stays listed.
pub(crate) fn revoke(store: &Store, name: &str, now: i64) -> Result<Change, StoreError> {
    let revoked = store.write(|write| {
        write.execute("UPDATE keys SET revoked = ?2 WHERE name = ?1 AND revoked IS NULL", params![name, now])
    })?;
    Ok(if revoked == 0 { Change::Refused } else { Change::Done })
}
