//! The host's one SQLite file for what it keeps from start to start: keys, approvals, registrations, sessions. The audit has a file of its own.
//!
//! Several processes use it at once, a server and commands beside it. All of it blocks: whoever is in async code takes
//! `spawn_blocking`. What a table means is its owner's business; the list of migrations is here, because it is one list.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use rusqlite_migration::{Error as MigrationError, M, MigrationDefinitionError, Migrations};

use crate::ambient;

/// The file's name in the state folder.
pub const FILE: &str = "bailiwick.db";

/// How long one process waits for another's transaction. Transactions take milliseconds; this is for a disk that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was released is never changed; a new version adds a step.
const STEPS: [M<'static>; 8] = [
    M::up(concat!(include_str!("store/keys.sql"), include_str!("store/approvals.sql"))),
    M::up(include_str!("store/servers.sql")),
    M::up(include_str!("store/logins.sql")),
    M::up(include_str!("store/documents.sql")),
    M::up(include_str!("store/registrations.sql")),
    M::up(include_str!("store/created.sql")),
    M::up(include_str!("store/sessions.sql")),
    M::up(include_str!("store/versions.sql")),
];

/// A database, opened by this process.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file, or its folder.
    #[error("cannot use {path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The database says no.
    #[error("cannot use {path}: {error}")]
    Database {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: rusqlite::Error,
    },
    /// A newer program has changed its tables.
    #[error("{path} was written by a newer version of this program: run that one, or move the file away")]
    Newer {
        /// Which.
        path: PathBuf,
    },
    /// Its tables cannot be brought up to date.
    #[error("cannot bring the tables of {path} up to date: {reason}")]
    Tables {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Store {
    /// Opens the database at `path`, readable by its owner alone; makes it and its tables where they are missing.
    ///
    /// # Errors
    /// When the file cannot be used, is no database, or is a newer program's.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (writer, reader) = open(path, &Migrations::from_slice(&STEPS))?;
        // What was told to a caller stays true when the power fails: a revoked key does not come back.
        let durable = writer.pragma_update(None, "synchronous", "FULL");
        durable.map_err(|error| StoreError::Database { path: path.to_owned(), error })?;
        Ok(Self { path: path.to_owned(), reader: Mutex::new(reader), writer: Mutex::new(writer) })
    }

    /// Reads. Blocks.
    ///
    /// # Errors
    /// What `work` says; `work` cannot write.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&held(&self.reader)).map_err(|error| self.unfit(error))
    }

    /// Changes something, as a whole or not at all: what `work` did holds once this returns. Blocks; `work` sees what other
    /// processes wrote, and none of them writes meanwhile.
    ///
    /// # Errors
    /// What `work` says; then nothing is changed.
    pub fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        transaction(&mut held(&self.writer), work).map_err(|error| self.unfit(error))
    }

    /// A number that is another one once something was written, by this process or by another.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.read(data_version)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn unfit(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), error }
    }
}

/// Whether something was written since the last time this connection was asked: then the number is another one.
pub(crate) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}

/// This moment as most tables have it: seconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// One transaction that nobody else writes beside.
pub(crate) fn transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Opens a database twice, to write and to read, with its tables up to date.
pub(crate) fn open(path: &Path, migrations: &Migrations<'_>) -> Result<(Connection, Connection), StoreError> {
    let unfit = |error| StoreError::Database { path: path.to_owned(), error };
    let file = |error| StoreError::File { path: path.to_owned(), error };
    // One process at a time makes tables. The file of the database cannot be held for that: SQLite's own locks on it are
    // gone as soon as any other handle on it is closed.
    let mut lock = path.as_os_str().to_owned();
    lock.push("-setup");
    let _alone = ambient::hold(Path::new(&lock)).map_err(file)?;
    ambient::append_private(path).map_err(file)?;
    let mut writer = connect(path).map_err(unfit)?;
    // Of a new file; one that is there stays as it is.
    writer.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(unfit)?;
    writer.pragma_update(None, "journal_mode", "WAL").map_err(unfit)?;
    migrations.to_latest(&mut writer).map_err(|error| outdated(path, error))?;
    let reader = connect(path).map_err(unfit)?;
    reader.pragma_update(None, "query_only", true).map_err(unfit)?;
    Ok((writer, reader))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = ambient::open_database(path)?;
    connection.busy_timeout(PATIENCE)?;
    // A file that somebody prepared runs none of its own code and changes none of the tables' definitions.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // The host's wall has no folder for temporary files.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

fn outdated(path: &Path, error: MigrationError) -> StoreError {
    let path = path.to_owned();
    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's errors, which may become more")]
    match error {
        MigrationError::RusqliteError { err: error, .. } => StoreError::Database { path, error },
        MigrationError::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            StoreError::Newer { path }
        }
        other => StoreError::Tables { path, reason: other.to_string() },
    }
}

fn held(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // Whoever panicked in a transaction has rolled it back.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests make and look at files")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn tabled(store: &Store) {
        store.write(|write| write.execute_batch("CREATE TABLE IF NOT EXISTS things (name TEXT) STRICT")).unwrap();
    }

    fn add(store: &Store, name: &str) {
        store.write(|write| write.execute("INSERT INTO things VALUES (?1)", [name])).unwrap();
    }

    fn count(store: &Store) -> i64 {
        store.read(|read| read.query_row("SELECT count(*) FROM things", [], |row| row.get(0))).unwrap()
    }

    #[test]
    fn the_migrations_hold_together() {
        Migrations::from_slice(&STEPS).validate().unwrap();
    }

    #[test]
    fn what_is_written_is_there_for_others_and_after_a_restart() {
        let folder = folder();
        let path = folder.path().join(FILE);
        let (one, other) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
        tabled(&one);
        let before = (one.version().unwrap(), other.version().unwrap());
        assert_eq!((one.version().unwrap(), other.version().unwrap()), before, "nothing was written");
        add(&one, "a");
        assert_ne!(other.version().unwrap(), before.1);
        assert_ne!(one.version().unwrap(), before.0);
        assert_eq!(count(&other), 1);
        drop((one, other));
        assert_eq!(count(&Store::open(&path).unwrap()), 1);
    }

    #[test]
    fn what_fails_in_the_middle_leaves_nothing_and_a_reader_cannot_write() {
        let folder = folder();
        let store = Store::open(&folder.path().join(FILE)).unwrap();
        tabled(&store);
        let failed = store.write(|write| {
            write.execute("INSERT INTO things VALUES ('a')", [])?;
            write.execute("INSERT INTO nothing VALUES ('a')", [])
        });
        assert!(failed.is_err());
        assert!(store.read(|read| read.execute("INSERT INTO things VALUES ('a')", [])).is_err());
        assert_eq!(count(&store), 0);
    }

    #[test]
    fn its_files_are_its_owners_alone() {
        let folder = folder();
        let store = Store::open(&folder.path().join(FILE)).unwrap();
        tabled(&store);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder.path()).unwrap().flatten() {
            names.push(entry.file_name().to_string_lossy().into_owned());
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{names:?}");
        }
        names.sort();
        assert_eq!(names, ["bailiwick.db", "bailiwick.db-setup", "bailiwick.db-shm", "bailiwick.db-wal"]);
    }

    #[test]
    fn a_newer_programs_file_and_what_is_no_database_are_left_alone() {
        let folder = folder();
        let path = folder.path().join(FILE);
        let (writer, _) = open(&path, &Migrations::from_slice(&STEPS)).unwrap();
        writer.pragma_update(None, "user_version", 1_000).unwrap();
        drop(writer);
        assert!(matches!(Store::open(&path), Err(StoreError::Newer { .. })));
        let other = folder.path().join("other.db");
        std::fs::write(&other, "this is a letter, not a database, and it is long enough to be one".repeat(40)).unwrap();
        assert!(matches!(Store::open(&other), Err(StoreError::Database { .. })));
        assert!(std::fs::read_to_string(&other).unwrap().starts_with("this is a letter"));
    }

    #[test]
    fn many_open_and_write_at_once() {
        let folder = folder();
        let path = folder.path().join(FILE);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let store = Store::open(&path).unwrap();
                    tabled(&store);
                    (0..20).for_each(|_| add(&store, "a"));
                });
            }
        });
        assert_eq!(count(&Store::open(&path).unwrap()), 160);
    }
}
