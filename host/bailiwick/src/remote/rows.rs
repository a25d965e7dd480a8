//! The table of logins: what authorization servers gave the host, for each server at a URL. All of it blocks.

use rusqlite::{OptionalExtension as _, params};
use zeroize::Zeroizing;

use crate::store::{Store, StoreError};

/// What is kept of one server. Holds secrets.
#[derive(Default)]
pub(super) struct Row {
    /// The secret of a registration that the host made itself.
    pub(super) client_secret: Option<Zeroizing<String>>,
    /// What rmcp keeps of a login, as JSON.
    pub(super) credentials: Option<Zeroizing<String>>,
    /// What the server last wanted to be shown, and was not.
    pub(super) challenge: Option<String>,
}

/// What is kept of the server at `url`.
pub(super) fn load(store: &Store, plugin: &str, url: &str) -> Result<Row, StoreError> {
    store.read(|read| {
        let row = read
            .prepare_cached("SELECT client_secret, credentials, challenge FROM logins WHERE plugin = ?1 AND url = ?2");
        let row = row?.query_row(params![plugin, url], |row| {
            Ok(Row {
                client_secret: row.get::<_, Option<String>>(0)?.map(Zeroizing::new),
                credentials: row.get::<_, Option<String>>(1)?.map(Zeroizing::new),
                challenge: row.get(2)?,
            })
        });
        row.optional().map(Option::unwrap_or_default)
    })
}

/// Keeps a login: nothing of an earlier one stays.
pub(super) fn keep(store: &Store, plugin: &str, url: &str, row: &Row) -> Result<(), StoreError> {
    let secret = row.client_secret.as_ref().map(|secret| secret.as_str());
    let credentials = row.credentials.as_ref().map(|credentials| credentials.as_str());
    store.write(|write| {
        write.execute(
            "INSERT INTO logins (plugin, url, client_secret, credentials, challenge) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (plugin, url) DO UPDATE SET
                 client_secret = excluded.client_secret, credentials = excluded.credentials,
                 challenge = excluded.challenge",
            params![plugin, url, secret, credentials, row.challenge],
        )
    })?;
    Ok(())
}

/// Replaces what rmcp keeps, unless somebody has logged in or out meanwhile: then nothing is changed.
pub(super) fn replace(store: &Store, plugin: &str, url: &str, old: &str, new: Option<&str>) -> Result<(), StoreError> {
    store.write(|write| {
        write.execute(
            "UPDATE logins SET credentials = ?4 WHERE plugin = ?1 AND url = ?2 AND credentials = ?3",
            params![plugin, url, old, new],
        )
    })?;
    Ok(())
}

/// Keeps what a server wants to be shown.
pub(super) fn challenged(store: &Store, plugin: &str, url: &str, challenge: &str) -> Result<(), StoreError> {
    store.write(|write| {
        write.execute(
            "INSERT INTO logins (plugin, url, challenge) VALUES (?1, ?2, ?3)
             ON CONFLICT (plugin, url) DO UPDATE SET challenge = excluded.challenge",
            params![plugin, url, challenge],
        )
    })?;
    Ok(())
}

/// Forgets all logins of a plugin, and says of how many servers.
pub(super) fn forget(store: &Store, plugin: &str) -> Result<usize, StoreError> {
    store.write(|write| {
        let kept = write.query_row(
            "SELECT count(*) FROM logins WHERE plugin = ?1 AND credentials IS NOT NULL",
            params![plugin],
            |row| row.get::<_, i64>(0),
        )?;
        write.execute("DELETE FROM logins WHERE plugin = ?1", params![plugin])?;
        Ok(usize::try_from(kept).unwrap_or_default())
    })
}
