//! Sources of programs that callers made tools of, each that there was: numbered, with when and by whom. Old ones are shown
//! and never run.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use bailiwick_core::code::Language;
use bailiwick_core::registration::{Code, Protocol, Registration};

use super::{Registrations, now};
use crate::store::StoreError;

/// Versions of a program that are kept, the one that is with them.
pub const MAX_VERSIONS: u32 = 20;
/// Bytes of them: of larger programs fewer are kept, but always the one that is and the one before.
const MAX_BYTES: i64 = 4 << 20;

/// A version of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// When it was given, in seconds since 1970.
    pub time: i64,
    /// By whom.
    pub caller: String,
}

impl Registrations {
    /// The versions that are kept of a program, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn versions(&self, id: &str) -> Result<Vec<Version>, StoreError> {
        self.store.read(|read| {
            let select = "SELECT number, time, caller FROM code_versions WHERE id = ?1 ORDER BY number DESC";
            read.prepare_cached(select)?.query_map([id], version)?.collect()
        })
    }

    /// The language and the source of a version; none if it is not kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn source(&self, id: &str, number: u32) -> Result<Option<(Language, String)>, StoreError> {
        let row: Option<(String, String)> = self.store.read(|read| {
            let select = "SELECT language, source FROM code_versions WHERE id = ?1 AND number = ?2";
            let mut select = read.prepare_cached(select)?;
            select.query_row(params![id, number], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })?;
        Ok(row.and_then(|(language, source)| Some((Language::of(&language)?, source))))
    }
}

fn version(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version { number: row.get(0)?, time: row.get(1)?, caller: row.get(2)? })
}

/// Whether a change of a registration knew the program that is there: it leaves it as it is, or puts the next one in its place.
pub(super) fn follows(new: &Registration, before: &Registration) -> bool {
    let (Some(new), Some(before)) = (code(new), code(before)) else { return true };
    let stays = new.version == before.version && new.is_same_program(before);
    stays || before.version.checked_add(1) == Some(new.version)
}

/// Keeps the source of a registration, if it is a program and another one than before.
pub(super) fn keep(
    write: &Transaction<'_>,
    new: &Registration,
    before: Option<&Registration>,
    caller: &str,
) -> rusqlite::Result<()> {
    let Some(code) = code(new) else { return Ok(()) };
    if before.and_then(self::code).is_some_and(|before| before.version == code.version) {
        return Ok(());
    }
    let insert =
        "INSERT INTO code_versions (id, number, time, caller, language, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    write.execute(insert, params![new.id, code.version, now(), caller, code.language.as_str(), code.source])?;
    let cut = "DELETE FROM code_versions WHERE id = ?1 AND number IN (
        SELECT number FROM (
            SELECT number, row_number() OVER newest AS place, sum(length(CAST(source AS BLOB))) OVER newest AS bytes
            FROM code_versions WHERE id = ?1 WINDOW newest AS (ORDER BY number DESC)
        ) WHERE place > ?2 OR place > 2 AND bytes > ?3)";
    write.execute(cut, params![new.id, MAX_VERSIONS, MAX_BYTES])?;
    Ok(())
}

/// Forgets the sources of a registration that is removed.
pub(super) fn forget(write: &Transaction<'_>, id: &str) -> rusqlite::Result<()> {
    write.execute("DELETE FROM code_versions WHERE id = ?1", [id]).map(drop)
}

/// A record as it is written down beside others: without the source, which is kept with the versions.
pub(super) fn without_source(record: &str) -> String {
    let Ok(mut of) = serde_json::from_str::<Registration>(record) else { return record.to_owned() };
    let Protocol::Code(code) = &mut of.protocol else { return record.to_owned() };
    code.source.clear();
    serde_json::to_string(&of).unwrap_or_else(|_| record.to_owned())
}

fn code(of: &Registration) -> Option<&Code> {
    match &of.protocol {
        Protocol::Code(code) => Some(code),
        Protocol::OpenApi(_) | Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Native(_) => None,
    }
}
