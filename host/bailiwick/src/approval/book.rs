//! The tables of approvals. All of it blocks; every time is given by the caller.
//!
//! Only the process that waits settles its approvals. Others leave an answer in `approval_answers` and read the verdict
//! there, so that the first answer wins whichever way it came.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;
use serde_json::Value;

use bailiwick_core::approval::{ApprovalId, Facts, Reply, State};
use bailiwick_core::policy::QuestionDigest;

use crate::store::{Store, StoreError};

/// How long settled approvals are kept, in milliseconds: thirty days.
const KEPT: i64 = 30 * 24 * 3_600_000;
/// How long an answer that nobody took is kept, in milliseconds.
const UNTAKEN: i64 = 60_000;
/// Standing answers that are kept; beyond them the oldest go.
const MAX_STANDING: i64 = 1_000;

/// One approval, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Its name.
    pub id: String,
    /// How it stands.
    pub state: &'static str,
    /// The call that waits for it.
    pub call: String,
    /// What is asked.
    #[serde(flatten)]
    pub facts: Facts,
    /// Since when it waits.
    pub created: String,
    /// Until when it waits.
    pub expires: String,
    /// Who answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What they answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<String>,
}

/// An answer that stands for a while, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// Its name: that of the approval it came from.
    pub id: String,
    /// What was agreed to.
    #[serde(flatten)]
    pub facts: Facts,
    /// Who agreed.
    pub by: String,
    /// When.
    pub created: String,
    /// Until when it stands.
    pub expires: String,
}

/// What is written down of a new approval.
pub(super) struct New {
    pub(super) id: ApprovalId,
    pub(super) host: String,
    pub(super) call: String,
    pub(super) facts: Facts,
    pub(super) created: i64,
    pub(super) expires: i64,
}

/// How an approval ended.
pub(super) struct End {
    pub(super) state: State,
    pub(super) by: Option<String>,
    pub(super) reply: Option<Reply>,
    /// What stands from now on, until when, and what it was agreed for.
    pub(super) standing: Option<(QuestionDigest, i64, Facts)>,
}

/// An answer from another process.
pub(super) struct Left {
    pub(super) number: i64,
    pub(super) id: String,
    pub(super) by: String,
    pub(super) reply: String,
}

/// This moment as the tables have it.
pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

fn shown(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// Text of ours from a column; what is none there was put there by somebody else and is no reason to fall over.
fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let state: String = row.get("state")?;
    let reply: Option<String> = row.get("reply")?;
    Ok(Entry {
        id: row.get("id")?,
        state: State::parse(&state).unwrap_or(State::Cancelled).as_str(),
        call: row.get("call")?,
        facts: json(row, "facts")?,
        created: shown(row.get("created")?),
        expires: shown(row.get("expires")?),
        by: row.get("by_whom")?,
        answer: reply.and_then(|reply| serde_json::from_str(&reply).ok()),
        settled: row.get::<_, Option<i64>>("settled")?.map(shown),
    })
}

fn text(facts: &Facts) -> String {
    // A struct of texts, numbers and JSON has a text.
    serde_json::to_string(facts).unwrap_or_default()
}

/// Writes a new approval down, unless `gone` says that nobody waits for it any more.
pub(super) fn register(store: &Store, new: &New, gone: impl Fn() -> bool) -> Result<(), StoreError> {
    store.write(|write| {
        write.execute("DELETE FROM approvals WHERE state <> 'pending' AND created < ?1", [new.created - KEPT])?;
        write.execute("DELETE FROM approval_standing WHERE expires <= ?1", [new.created])?;
        write.execute("DELETE FROM approval_answers WHERE created < ?1", [new.created - UNTAKEN])?;
        if gone() {
            return Ok(());
        }
        let New { id, host, call, facts, created, expires } = new;
        write.execute(
            "INSERT INTO approvals (id, host, call, caller, facts, created, expires, state) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending')",
            params![id.as_str(), host, call, facts.caller, text(facts), created, expires],
        )?;
        Ok(())
    })
}

/// Writes down how an approval ended.
pub(super) fn settle(store: &Store, id: &ApprovalId, end: &End) -> Result<(), StoreError> {
    let now = now();
    store.write(|write| {
        let reply = end.reply.as_ref().map(|reply| reply.to_json().to_string());
        write.execute(
            "UPDATE approvals SET state = ?2, by_whom = ?3, reply = ?4, settled = ?5 WHERE id = ?1 AND state = 'pending'",
            params![id.as_str(), end.state.as_str(), end.by, reply, now],
        )?;
        let Some((question, until, facts)) = &end.standing else { return Ok(()) };
        write.execute(
            "INSERT OR REPLACE INTO approval_standing \
             (id, caller, tool, definition, arguments, facts, by_whom, created, expires) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                id.as_str(),
                question.caller,
                question.tool,
                question.definition,
                question.arguments,
                text(facts),
                end.by,
                now,
                until
            ],
        )?;
        write.execute(
            "DELETE FROM approval_standing WHERE id NOT IN \
             (SELECT id FROM approval_standing ORDER BY created DESC LIMIT ?1)",
            [MAX_STANDING],
        )?;
        Ok(())
    })
}

/// One approval.
pub(super) fn one(store: &Store, id: &str) -> Result<Option<Entry>, StoreError> {
    store.read(|read| read.query_row("SELECT * FROM approvals WHERE id = ?1", [id], entry).optional())
}

/// The newest approvals, at most `most`, the newest first.
pub(super) fn list(store: &Store, state: Option<State>, most: u32) -> Result<Vec<Entry>, StoreError> {
    store.read(|read| {
        let mut statement =
            read.prepare("SELECT * FROM approvals WHERE ?1 IS NULL OR state = ?1 ORDER BY created DESC, id LIMIT ?2")?;
        let state = state.map(State::as_str);
        statement.query_map(params![state, most], entry)?.collect()
    })
}

/// What stands, the newest first.
pub(super) fn standing(store: &Store) -> Result<Vec<Standing>, StoreError> {
    store.read(|read| {
        let mut statement =
            read.prepare("SELECT * FROM approval_standing WHERE expires > ?1 ORDER BY created DESC, id")?;
        let standing = |row: &Row<'_>| {
            Ok(Standing {
                id: row.get("id")?,
                facts: json(row, "facts")?,
                by: row.get("by_whom")?,
                created: shown(row.get("created")?),
                expires: shown(row.get("expires")?),
            })
        };
        statement.query_map([now()], standing)?.collect()
    })
}

/// Takes a standing answer back; says whether there was one.
pub(super) fn revoke(store: &Store, id: &str) -> Result<bool, StoreError> {
    store.write(|write| Ok(write.execute("DELETE FROM approval_standing WHERE id = ?1", [id])? > 0))
}

/// Who has agreed to exactly this question for now. An answer for the same caller, tool and arguments that was given when
/// the tool was another one is taken back.
pub(super) fn agreed(store: &Store, question: &QuestionDigest) -> Result<Option<String>, StoreError> {
    let QuestionDigest { caller, tool, definition, arguments } = question;
    let found = store.read(|read| {
        let query = "SELECT id, definition, by_whom FROM approval_standing \
             WHERE caller = ?1 AND tool = ?2 AND arguments = ?3 AND expires > ?4";
        let columns =
            |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?));
        read.query_row(query, params![caller, tool, arguments, now()], columns).optional()
    })?;
    match found {
        Some((_, known, by)) if known == *definition => Ok(Some(by)),
        Some((id, _, _)) => revoke(store, &id).map(|_| None),
        None => Ok(None),
    }
}

/// Leaves an answer for the process that waits.
pub(super) fn leave(store: &Store, id: &ApprovalId, by: &str, reply: &Reply) -> Result<i64, StoreError> {
    store.write(|write| {
        write.execute(
            "INSERT INTO approval_answers (approval, by_whom, reply, created) VALUES (?1, ?2, ?3, ?4)",
            params![id.as_str(), by, reply.to_json().to_string(), now()],
        )?;
        Ok(write.last_insert_rowid())
    })
}

/// Answers that nobody has judged, in the order in which they came.
pub(super) fn left(store: &Store) -> Result<Vec<Left>, StoreError> {
    store.read(|read| {
        let mut statement = read.prepare(
            "SELECT number, approval, by_whom, reply FROM approval_answers WHERE verdict IS NULL ORDER BY number",
        )?;
        let left =
            |row: &Row<'_>| Ok(Left { number: row.get(0)?, id: row.get(1)?, by: row.get(2)?, reply: row.get(3)? });
        statement.query_map([], left)?.collect()
    })
}

/// Says what became of an answer that was left.
pub(super) fn judged(store: &Store, number: i64, verdict: &str) -> Result<(), StoreError> {
    store.write(|write| {
        write.execute("UPDATE approval_answers SET verdict = ?2 WHERE number = ?1", params![number, verdict])?;
        Ok(())
    })
}

/// What became of an answer that was left; none as long as nobody has judged it.
pub(super) fn verdict(store: &Store, number: i64) -> Result<Option<String>, StoreError> {
    store.read(|read| {
        let query = "SELECT verdict FROM approval_answers WHERE number = ?1";
        Ok(read.query_row(query, [number], |row| row.get(0)).optional()?.flatten())
    })
}

/// Takes an answer back; gives what became of it where that was quicker.
pub(super) fn take_back(store: &Store, number: i64) -> Result<Option<String>, StoreError> {
    store.write(|write| {
        let query = "DELETE FROM approval_answers WHERE number = ?1 RETURNING verdict";
        Ok(write.query_row(query, [number], |row| row.get(0)).optional()?.flatten())
    })
}

/// Processes that have something waiting.
pub(super) fn hosts(store: &Store) -> Result<Vec<String>, StoreError> {
    store.read(|read| {
        let mut statement = read.prepare("SELECT DISTINCT host FROM approvals WHERE state = 'pending'")?;
        statement.query_map([], |row| row.get(0))?.collect()
    })
}

/// Rejects all that waited for a process that has ended.
pub(super) fn bury(store: &Store, host: &str) -> Result<(), StoreError> {
    store.write(|write| {
        write.execute(
            "UPDATE approvals SET state = 'rejected', by_whom = 'restart', settled = ?2, \
             reply = '{\"decision\":\"reject\",\"reason\":\"the host ended before anyone answered\"}' \
             WHERE host = ?1 AND state = 'pending'",
            params![host, now()],
        )?;
        Ok(())
    })
}

/// Notes that somebody looks at what waits, until this moment.
pub(super) fn watch(store: &Store, id: &str, until: i64) -> Result<(), StoreError> {
    store.write(|write| {
        write.execute("DELETE FROM approval_watchers WHERE expires <= ?1", [now()])?;
        write.execute("INSERT OR REPLACE INTO approval_watchers (id, expires) VALUES (?1, ?2)", params![id, until])?;
        Ok(())
    })
}

/// Whether somebody looks at what waits.
pub(super) fn is_watched(store: &Store) -> Result<bool, StoreError> {
    let query = "SELECT EXISTS (SELECT 1 FROM approval_watchers WHERE expires > ?1)";
    store.read(|read: &Connection| read.query_row(query, [now()], |row| row.get(0)))
}
