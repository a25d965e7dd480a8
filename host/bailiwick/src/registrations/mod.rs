//! Services and tools that were registered while the host was there: what is kept of them in the host's database, and how
//! they come beside the plugins of the configuration.
//!
//! Records are plain and values are sealed. Every change is written down with who made it, in the same transaction. All of
//! it blocks: whoever is in async code takes `spawn_blocking`.

mod change;
mod merged;
mod narrowed;
mod sealing;
mod versions;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{OptionalExtension as _, Row as SqlRow, Transaction, params};

use bailiwick_core::config::{self, Flaw};
use bailiwick_core::name::PluginName;
use bailiwick_core::registration::Registration;
use zeroize::Zeroizing;

use crate::fleet;
use crate::runtime;
use crate::service::{self, sessions};
use crate::store::{Store, StoreError, now};

pub use change::{Action, Change};
pub(crate) use merged::left_out;
pub use merged::{Merged, Vault, with_registrations};
pub use narrowed::Narrowings;
pub(crate) use sealing::{Purpose, Seal};
pub use sealing::{SealError, Values};
pub use versions::{MAX_VERSIONS, Version};

/// All registrations of this host.
#[derive(Debug)]
pub struct Registrations {
    store: Arc<Store>,
    seal: Seal,
}

/// A registration as it is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its name, also where the record cannot be read.
    pub name: PluginName,
    /// The record.
    pub registration: Registration,
    /// What opens to [`Values`], or why nothing does.
    pub values: Result<Values, SealError>,
    /// Grows with each registration.
    pub number: i64,
}

impl Kept {
    /// The plugin it stands for, with what is injected; none of a second name.
    ///
    /// # Errors
    /// Why there is none, in a sentence that holds no value.
    pub fn plugin(&self) -> Result<Option<config::Plugin>, String> {
        let values = self
            .values
            .as_ref()
            .map_err(|error| format!("{error}; `bailiwick tools remove {}`, and add it once more", self.name))?;
        let plugin = self.registration.plugin().map_err(|flaw| flaw.to_string())?;
        Ok(plugin.map(|plugin| config::Plugin { inject: values.inject.clone(), ..plugin }))
    }
}

/// A record that cannot be read: of a newer program, or changed from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its name, as the database has it.
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// All that is kept, by name.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// What can be read.
    pub kept: Vec<Kept>,
    /// What cannot.
    pub unreadable: Vec<Unreadable>,
    /// What is laid over tools of the configuration.
    pub narrowings: Narrowings,
}

/// Why a registration was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// It is no plugin.
    #[error("{0}")]
    Unfit(Flaw),
    /// There is one of this name.
    #[error("tools {0:?} is registered already")]
    Exists(String),
    /// There is none of this name or id.
    #[error("tools {0:?} not found")]
    Unknown(String),
    /// Somebody else changed its program in the meantime.
    #[error("tools {0:?} was changed by somebody else meanwhile")]
    Changed(String),
    /// There is a record, which cannot be read.
    #[error("tools {0:?} cannot be read: {1}")]
    Unreadable(String, String),
    /// Its values cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RegistrationError {
    /// Stable, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unfit(_) => "tools.unfit",
            Self::Exists(_) => "tools.exists",
            Self::Unknown(_) => "tools.unknown",
            Self::Changed(_) => "tools.changed",
            Self::Unreadable(..) => "tools.unreadable",
            Self::Seal(_) => "tools.sealed",
            Self::Store(_) => "host.file",
        }
    }
}

impl Registrations {
    /// Those in `store`, with values that the key in the file `key` opens; it is made where it is missing.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn open(store: Arc<Store>, key: &Path) -> std::io::Result<Self> {
        let bytes = Zeroizing::new(runtime::host_key(key)?);
        Ok(Self { store, seal: Seal::new(&bytes, Purpose::Registrations) })
    }

    /// All, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Listed, StoreError> {
        let rows: Vec<Row> = self.store.read(|read| {
            let select = "SELECT rowid AS number, id, name, record, sealed FROM registrations ORDER BY name";
            let mut select = read.prepare_cached(select)?;
            select.query_map([], row)?.collect()
        })?;
        let mut listed = Listed { narrowings: self.narrowings()?, ..Listed::default() };
        for row in rows {
            match self.kept(row) {
                Ok(kept) => listed.kept.push(kept),
                Err(unreadable) => listed.unreadable.push(unreadable),
            }
        }
        Ok(listed)
    }

    /// The one of this name or id.
    ///
    /// # Errors
    /// There is none, it cannot be read, or the database cannot.
    pub fn get(&self, name_or_id: &str) -> Result<Kept, RegistrationError> {
        let row = self.store.read(|read| found(read, name_or_id))?;
        let row = row.ok_or_else(|| RegistrationError::Unknown(name_or_id.to_owned()))?;
        self.kept(row).map_err(|Unreadable { name, reason }| RegistrationError::Unreadable(name, reason))
    }

    /// Adds one. What its headers and injected arguments are called, and `values`, have to agree.
    ///
    /// # Errors
    /// It is no plugin, or there is one of its name.
    pub fn add(&self, new: &Registration, values: &Values, caller: &str) -> Result<Change, RegistrationError> {
        self.add_with(new, values, None, caller)
    }

    /// The same; its document comes with it, if it has one.
    ///
    /// # Errors
    /// As [`Registrations::add`].
    pub fn add_with(
        &self,
        new: &Registration,
        values: &Values,
        document: Option<&[u8]>,
        caller: &str,
    ) -> Result<Change, RegistrationError> {
        let (record, sealed) = self.sealed(new, values)?;
        let added = self.store.write(|write| {
            if found(write, new.name.as_str())?.is_some() || found(write, &new.id)?.is_some() {
                return Ok(false);
            }
            let insert = "INSERT INTO registrations (id, name, record, sealed, created, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            write.execute(insert, params![new.id, new.name.as_str(), record, sealed, new.created_at, new.updated_at])?;
            if let Some(document) = document {
                write.execute("INSERT INTO registration_documents (id, body) VALUES (?1, ?2)", params![new.id, document])?;
            }
            forget(write, new.name.as_str())?;
            versions::keep(write, new, None, caller)?;
            noted(write, Action::Add, caller, new, &record)?;
            Ok(true)
        })?;
        if !added {
            return Err(RegistrationError::Exists(new.name.to_string()));
        }
        Ok(Change::new(Action::Add, caller, (&new.id, new.name.as_str()), Some(new)))
    }

    /// Puts another one in the place of the one with the same id.
    ///
    /// # Errors
    /// It is no plugin, another one has its name, there is none of this id, or its program was changed meanwhile.
    pub fn update(&self, new: &Registration, values: &Values, caller: &str) -> Result<Change, RegistrationError> {
        let (record, sealed) = self.sealed(new, values)?;
        let done = self.store.write(|write| {
            let before = found(write, &new.id)?;
            let holder = found(write, new.name.as_str())?;
            if holder.is_some_and(|holder| holder.id != new.id) {
                return Ok(Err(RegistrationError::Exists(new.name.to_string())));
            }
            let record_before = before.as_ref().and_then(|row| serde_json::from_str::<Registration>(&row.record).ok());
            if record_before.as_ref().is_some_and(|before| !versions::follows(new, before)) {
                return Ok(Err(RegistrationError::Changed(new.name.to_string())));
            }
            let update = "UPDATE registrations SET name = ?2, record = ?3, sealed = ?4, updated = ?5 WHERE id = ?1";
            let changed = write.execute(update, params![new.id, new.name.as_str(), record, sealed, new.updated_at])?;
            if changed == 0 {
                return Ok(Err(RegistrationError::Unknown(new.name.to_string())));
            }
            for name in before.iter().map(|row| row.name.as_str()).chain([new.name.as_str()]) {
                sessions::forget(write, name)?;
            }
            versions::keep(write, new, record_before.as_ref(), caller)?;
            if !record_before.is_some_and(|before| new.publishes_as(&before)) {
                forget(write, new.name.as_str())?;
            }
            noted(write, Action::Update, caller, new, &record)?;
            Ok(Ok(()))
        })?;
        done.map(|()| Change::new(Action::Update, caller, (&new.id, new.name.as_str()), Some(new)))
    }

    /// Removes the one of this name or id, also where it cannot be read.
    ///
    /// # Errors
    /// There is none.
    pub fn remove(&self, name_or_id: &str, caller: &str) -> Result<Change, RegistrationError> {
        let removed = self.store.write(|write| {
            let Some(row) = found(write, name_or_id)? else { return Ok(None) };
            write.execute("DELETE FROM registrations WHERE id = ?1", [&row.id])?;
            write.execute("DELETE FROM registration_documents WHERE id = ?1", [&row.id])?;
            versions::forget(write, &row.id)?;
            forget(write, &row.name)?;
            note(write, Action::Remove, caller, (&row.id, &row.name), &row.record)?;
            Ok(Some(row))
        })?;
        let row = removed.ok_or_else(|| RegistrationError::Unknown(name_or_id.to_owned()))?;
        let registration = serde_json::from_str(&row.record).ok();
        Ok(Change::new(Action::Remove, caller, (&row.id, &row.name), registration.as_ref()))
    }

    /// A number that is another one once a registration was changed, by this process or another. Cheap.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.store.read(|read| {
            let mut select = read.prepare_cached("SELECT coalesce(max(number), 0) FROM registration_changes")?;
            select.query_row([], |row| row.get(0))
        })
    }

    /// The record as it is written, and its sealed values.
    fn sealed(&self, new: &Registration, values: &Values) -> Result<(String, Vec<u8>), RegistrationError> {
        new.plugin().map_err(RegistrationError::Unfit)?;
        agree(new, values).map_err(RegistrationError::Unfit)?;
        let record = serde_json::to_string(new).expect("its keys are text");
        let sealed = self.seal.seal(values, &record)?;
        Ok((record, sealed))
    }

    fn kept(&self, row: Row) -> Result<Kept, Unreadable> {
        let unreadable = |reason: String| Unreadable { name: row.name.clone(), reason };
        let registration: Registration =
            serde_json::from_str(&row.record).map_err(|error| unreadable(format!("its record is none: {error}")))?;
        if registration.id != row.id || registration.name.as_str() != row.name {
            return Err(unreadable("its record is another one's".to_owned()));
        }
        let values = self.seal.open(&row.sealed, &row.record);
        Ok(Kept { name: registration.name.clone(), registration, values, number: row.number })
    }
}

/// Whether there is a value for each name, and no other.
fn agree(new: &Registration, values: &Values) -> Result<(), Flaw> {
    let headers: Vec<&str> = new.headers.iter().map(|header| header.name.as_str()).collect();
    let inject: Vec<&str> = new.inject.iter().map(String::as_str).collect();
    let same =
        |names: &[&str], held: Vec<&str>| names.len() == held.len() && held.iter().all(|name| names.contains(name));
    let login: Vec<&str> = new.login_secrets().iter().map(String::as_str).collect();
    let fits = same(&headers, values.headers.keys().map(String::as_str).collect())
        && same(&inject, values.inject.keys().map(String::as_str).collect())
        && same(&login, values.login.keys().map(String::as_str).collect());
    if fits { Ok(()) } else { Err(Flaw::new("what is sealed is not what the record names")) }
}

struct Row {
    number: i64,
    id: String,
    name: String,
    record: String,
    sealed: Vec<u8>,
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        number: row.get("number")?,
        id: row.get("id")?,
        name: row.get("name")?,
        record: row.get("record")?,
        sealed: row.get("sealed")?,
    })
}

/// The one of this name, or else of this id.
fn found(read: &rusqlite::Connection, name_or_id: &str) -> rusqlite::Result<Option<Row>> {
    let select = "SELECT rowid AS number, id, name, record, sealed FROM registrations
        WHERE name = ?1 OR id = ?1 ORDER BY name <> ?1 LIMIT 1";
    read.prepare_cached(select)?.query_row([name_or_id], row).optional()
}

/// Forgets what a plugin of this name published: whoever registers it says what it is from now on.
fn forget(write: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    sessions::forget(write, name)?;
    fleet::kept::forget(write, name)?;
    service::kept::forget(write, name)
}

fn noted(
    write: &Transaction<'_>,
    action: Action,
    caller: &str,
    of: &Registration,
    record: &str,
) -> rusqlite::Result<()> {
    note(write, action, caller, (&of.id, of.name.as_str()), record)
}

/// Writes down a change.
fn note(
    write: &Transaction<'_>,
    action: Action,
    caller: &str,
    (id, name): (&str, &str),
    record: &str,
) -> rusqlite::Result<()> {
    let record = versions::without_source(record);
    let insert =
        "INSERT INTO registration_changes (time, caller, action, id, name, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    write.execute(insert, params![now(), caller, action.as_str(), id, name, record]).map(drop)
}

/// A new id: a UUID, version 4.
///
/// # Errors
/// No random numbers.
pub fn new_id() -> Result<String, SealError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| SealError::Unsealable)?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    Ok([&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-"))
}
