//! Reads what was recorded, and checks that it is what was recorded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, ToSql};

use bailiwick_core::chain::{Break, Hash, Link, Walk};

use super::{STEPS, unfit};
use crate::ambient;
use crate::store::{self, StoreError};

/// How long a reader waits for the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// An audit that is there, to read.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    connection: Connection,
}

/// Which records; what is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this tool, as the caller wrote its name.
    pub tool: Option<String>,
    /// Of this caller.
    pub caller: Option<String>,
    /// Of this plugin.
    pub plugin: Option<String>,
    /// Of calls that came in then or later.
    pub since: Option<Timestamp>,
    /// Of calls in which something was refused.
    pub denied: bool,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub number: i64,
    /// What was written, JSON.
    pub record: String,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The last record that was removed for its age, or to make room.
    pub start: Link,
    /// The last record that holds.
    pub head: Link,
    /// Where the chain breaks.
    pub broken: Option<Break>,
    /// Whether the hash that was noted elsewhere is in the chain; none if there was none.
    pub found: Option<bool>,
}

impl Archive {
    /// Opens the file if there is one.
    ///
    /// # Errors
    /// When there is one and it cannot be read, or is a newer program's.
    pub fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        if !ambient::exists(path) {
            return Ok(None);
        }
        let connection = ambient::open_database(path).map_err(|error| unfit(path, error))?;
        let prepared = || -> rusqlite::Result<i64> {
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_query_value(None, "user_version", |row| row.get(0))
        };
        let version = prepared().map_err(|error| unfit(path, error))?;
        if usize::try_from(version).is_ok_and(|version| version > STEPS.len()) {
            return Err(StoreError::Newer { path: path.to_owned() });
        }
        Ok(Some(Self { path: path.to_owned(), connection }))
    }

    /// The newest `most` records after number `after`, the newest last.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn records(&self, filter: &Filter, after: i64, most: u32) -> Result<Vec<Row>, StoreError> {
        self.read(|connection| records(connection, filter, after, most))
    }

    /// The number of the last record.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last(&self) -> Result<i64, StoreError> {
        self.read(|connection| Ok(head(connection)?.number))
    }

    /// A number that is another one once something was written.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.read(store::data_version)
    }

    /// Walks along the whole chain.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn verify(&self, sought: Option<Hash>) -> Result<Verified, StoreError> {
        self.read(|connection| verify(connection, sought))
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.connection).map_err(|error| unfit(&self.path, error))
    }
}

fn records(connection: &Connection, filter: &Filter, after: i64, most: u32) -> rusqlite::Result<Vec<Row>> {
    let Filter { tool, caller, plugin, since, denied } = filter;
    let since = since.map(|since| format!("{since:.3}"));
    let mut conditions = vec!["seq > ?"];
    let mut values: Vec<&dyn ToSql> = vec![&after];
    for (condition, value) in
        [("tool = ?", tool), ("caller = ?", caller), ("plugin = ?", plugin), ("time >= ?", &since)]
    {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value);
        }
    }
    if *denied {
        conditions.push("denied");
    }
    values.push(&most);
    let conditions = conditions.join(" AND ");
    let text = format!("SELECT seq, record FROM records WHERE {conditions} ORDER BY seq DESC LIMIT ?");
    let mut query = connection.prepare(&text)?;
    let row = |row: &rusqlite::Row<'_>| Ok(Row { number: row.get(0)?, record: row.get(1)? });
    let mut rows: Vec<Row> = query.query_map(&values[..], row)?.collect::<rusqlite::Result<_>>()?;
    rows.reverse();
    Ok(rows)
}

fn verify(connection: &Connection, sought: Option<Hash>) -> rusqlite::Result<Verified> {
    // One look at all of it, whatever is written or removed meanwhile.
    let transaction = connection.unchecked_transaction()?;
    let start = anchor(&transaction)?;
    let mut walk = Walk::new(start, sought);
    let mut query = transaction.prepare("SELECT seq, record, hash FROM records ORDER BY seq")?;
    let mut rows = query.query([])?;
    let mut broken = None;
    while let Some(row) = rows.next()? {
        let record = row.get_ref(1)?.as_str().unwrap_or_default();
        let hash = row.get_ref(2)?.as_blob().unwrap_or_default();
        broken = walk.step(row.get(0)?, record, hash).err();
        if broken.is_some() {
            break;
        }
    }
    Ok(Verified { start, head: walk.at(), broken, found: walk.found() })
}

/// The last place of the chain.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Link> {
    let mut newest = connection.prepare_cached("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1")?;
    match newest.query_row([], link).optional()? {
        Some(head) => Ok(head),
        None => anchor(connection),
    }
}

fn anchor(connection: &Connection) -> rusqlite::Result<Link> {
    let anchor = connection.query_row("SELECT seq, hash FROM anchor", [], link);
    Ok(anchor.optional()?.unwrap_or(Link::START))
}

fn link(row: &rusqlite::Row<'_>) -> rusqlite::Result<Link> {
    // What is no hash was not written by this program; `verify` says so.
    let hash = row.get_ref(1)?.as_blob().ok().and_then(Hash::of_bytes).unwrap_or(Hash::START);
    Ok(Link { number: row.get(0)?, hash })
}
