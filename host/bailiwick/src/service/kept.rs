//! Documents as they were fetched, kept from start to start, so that a service is asked only whether its own changed, and
//! has its tools while it does not answer.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Transaction};

use bailiwick_core::name::PluginName;

use crate::store::{Store, StoreError, now};

/// How long a document is taken for what the service would say.
const FRESH: Duration = Duration::from_secs(300);

/// A document that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// What the answer had in `ETag`.
    pub(super) etag: Option<String>,
    /// What it had in `Last-Modified`.
    pub(super) modified: Option<String>,
    /// Whether it was fetched just now.
    pub(super) is_fresh: bool,
    pub(super) body: Vec<u8>,
}

/// What is kept of a document. Blocks.
pub(super) fn read(store: &Store, plugin: &PluginName, url: &str) -> Result<Option<Kept>, StoreError> {
    const ASK: &str = "SELECT etag, modified, at, body FROM documents WHERE plugin = ?1 AND url = ?2";
    store.read(|connection| {
        let found = connection.query_row(ASK, (plugin.as_str(), url), |row| {
            let at: i64 = row.get(2)?;
            let is_fresh = u64::try_from(now() - at).is_ok_and(|age| age < FRESH.as_secs());
            Ok(Kept { etag: row.get(0)?, modified: row.get(1)?, is_fresh, body: row.get(3)? })
        });
        found.optional()
    })
}

/// The document that came with the registration of a plugin. Blocks.
pub(super) fn registered(store: &Store, plugin: &PluginName) -> Result<Option<Vec<u8>>, StoreError> {
    const ASK: &str = "SELECT body FROM registration_documents JOIN registrations USING (id) WHERE name = ?1";
    store.read(|connection| connection.query_row(ASK, [plugin.as_str()], |row| row.get(0)).optional())
}

/// Keeps a document that was fetched just now. Blocks.
pub(super) fn write(store: &Store, plugin: &PluginName, url: &str, kept: &Kept) -> Result<(), StoreError> {
    const KEEP: &str = "INSERT INTO documents (plugin, url, etag, modified, at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (plugin, url) DO UPDATE SET etag = excluded.etag, modified = excluded.modified, at = excluded.at,
        body = excluded.body";
    let Kept { etag, modified, is_fresh: _, body } = kept;
    store
        .write(|transaction| transaction.execute(KEEP, (plugin.as_str(), url, etag, modified, now(), body)).map(|_| ()))
}

/// Forgets the documents of a plugin, as part of a change.
pub(crate) fn forget(write: &Transaction<'_>, plugin: &str) -> rusqlite::Result<()> {
    write.execute("DELETE FROM documents WHERE plugin = ?1", [plugin]).map(drop)
}

/// Notes that a document is as it was. Blocks.
pub(super) fn touch(store: &Store, plugin: &PluginName, url: &str) -> Result<(), StoreError> {
    const TOUCH: &str = "UPDATE documents SET at = ?3 WHERE plugin = ?1 AND url = ?2";
    store.write(|transaction| transaction.execute(TOUCH, (plugin.as_str(), url, now())).map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_kept_with_what_tells_whether_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join(crate::store::FILE)).unwrap();
        let (hub, other) = (PluginName::parse("hub").unwrap(), PluginName::parse("other").unwrap());
        let url = "https://a.example/openapi.json";
        assert_eq!(read(&store, &hub, url).unwrap(), None);
        let kept = Kept { etag: Some("\"1\"".to_owned()), modified: None, is_fresh: true, body: b"{}".to_vec() };
        write(&store, &hub, url, &kept).unwrap();
        assert_eq!(read(&store, &hub, url).unwrap(), Some(kept.clone()));
        assert_eq!(read(&store, &other, url).unwrap(), None, "each plugin has asked with its own rights");
        store.write(|transaction| transaction.execute("UPDATE documents SET at = at - 3600", [])).unwrap();
        assert!(!read(&store, &hub, url).unwrap().unwrap().is_fresh);
        touch(&store, &hub, url).unwrap();
        assert_eq!(read(&store, &hub, url).unwrap(), Some(kept));
    }
}
