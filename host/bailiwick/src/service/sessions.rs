//! What services gave when the host logged in there, kept from start to start, so that a service sees one login and not one
//! for each start. It is sealed with a key of the host's own; what does not open is as good as nothing.

use std::sync::Arc;

use ring::hmac;
use rusqlite::{OptionalExtension as _, Transaction, params};
use zeroize::Zeroizing;

use bailiwick_core::name::PluginName;

use crate::registrations::{Purpose, Seal, SealError};
use crate::store::{Store, StoreError};

/// All sessions of this host.
pub(crate) struct Sessions {
    store: Arc<Store>,
    seal: Seal,
    digest: hmac::Key,
}

/// A session that cannot be kept, or not be had again.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// It does not open, or cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sessions {
    /// Those in `store`, with keys that are made of the host's own.
    pub(crate) fn new(store: Arc<Store>, host_key: &[u8; 32]) -> Self {
        let digest = Purpose::Logins.key(host_key, hmac::HMAC_SHA256);
        Self { store, seal: Seal::new(host_key, Purpose::Sessions), digest }
    }

    /// What tells a login from every other one, and tells nobody else anything: a keyed digest of all it is made of.
    pub(super) fn identify<'p>(&self, parts: impl IntoIterator<Item = &'p str>) -> String {
        let mut digest = hmac::Context::with_key(&self.digest);
        for part in parts {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        hex::encode(digest.sign())
    }

    /// What this very login gave. What cannot be read is told in the log, and is none.
    pub(super) async fn kept(self: &Arc<Self>, plugin: &PluginName, login: String) -> Option<Zeroizing<String>> {
        let (sessions, name) = (Arc::clone(self), plugin.clone());
        let read = tokio::task::spawn_blocking(move || sessions.read(&name, &login)).await.ok()?;
        let unread = |error: &SessionError| {
            tracing::warn!(%plugin, %error, "the session that was kept is of no use: the host logs in anew");
        };
        read.inspect_err(unread).ok()?
    }

    /// Keeps what this login gave, in the place of what was kept for the plugin. Where that fails, the log says so.
    pub(super) async fn keep(self: &Arc<Self>, plugin: &PluginName, login: String, gave: Zeroizing<String>) {
        let (sessions, name) = (Arc::clone(self), plugin.clone());
        let written = tokio::task::spawn_blocking(move || sessions.write(&name, &login, &gave)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%plugin, %error, "the session cannot be kept: the host logs in anew after its next start");
        }
    }

    fn read(&self, plugin: &PluginName, login: &str) -> Result<Option<Zeroizing<String>>, SessionError> {
        const ASK: &str = "SELECT sealed FROM sessions WHERE plugin = ?1 AND login = ?2";
        let sealed: Option<Vec<u8>> = self
            .store
            .read(|read| read.prepare_cached(ASK)?.query_row([plugin.as_str(), login], |row| row.get(0)).optional())?;
        let Some(sealed) = sealed else { return Ok(None) };
        let opened = self.seal.open_bytes(&sealed, &bound(plugin, login))?;
        let text = std::str::from_utf8(&opened).map_err(|_| SealError::Closed)?;
        Ok(Some(Zeroizing::new(text.to_owned())))
    }

    fn write(&self, plugin: &PluginName, login: &str, gave: &Zeroizing<String>) -> Result<(), SessionError> {
        const KEEP: &str = "INSERT INTO sessions (plugin, login, sealed) VALUES (?1, ?2, ?3)
            ON CONFLICT (plugin) DO UPDATE SET login = excluded.login, sealed = excluded.sealed";
        let text = Zeroizing::new(gave.as_bytes().to_vec());
        let sealed = self.seal.seal_bytes(text, &bound(plugin, login))?;
        self.store.write(|write| write.execute(KEEP, params![plugin.as_str(), login, sealed]))?;
        Ok(())
    }
}

/// Forgets what a service gave, as part of a change.
pub(crate) fn forget(write: &Transaction<'_>, plugin: &str) -> rusqlite::Result<()> {
    write.execute("DELETE FROM sessions WHERE plugin = ?1", [plugin]).map(drop)
}

/// What a sealed session belongs to. Neither part has a line break.
fn bound(plugin: &PluginName, login: &str) -> Vec<u8> {
    format!("{plugin}\n{login}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(folder: &tempfile::TempDir, key: u8) -> Sessions {
        let store = Store::open(&folder.path().join(crate::store::FILE)).unwrap();
        Sessions::new(Arc::new(store), &[key; 32])
    }

    fn plugin(name: &str) -> PluginName {
        PluginName::parse(name).unwrap()
    }

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn c15_a_session_is_had_again_by_the_same_login_of_the_same_host_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, hub) = (sessions(&folder, 7), plugin("hub"));
        let login = ours.identify(["https://a.example/login", "p=secret"]);
        assert!(ours.read(&hub, &login).unwrap().is_none());
        ours.write(&hub, &login, &text("canary-session")).unwrap();
        assert_eq!(sessions(&folder, 7).read(&hub, &login).unwrap(), Some(text("canary-session")));
        let changed = ours.identify(["https://a.example/login", "p=other"]);
        assert!(ours.read(&hub, &changed).unwrap().is_none());
        assert!(ours.read(&plugin("other"), &login).unwrap().is_none());
        assert!(matches!(sessions(&folder, 8).read(&hub, &login), Err(SessionError::Seal(SealError::Closed))));
        ours.write(&hub, &changed, &text("another")).unwrap();
        assert!(ours.read(&hub, &login).unwrap().is_none(), "one is kept for each plugin");
    }

    #[test]
    fn c15_a_session_of_another_plugin_or_login_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, hub) = (sessions(&folder, 7), plugin("hub"));
        ours.write(&hub, "one", &text("canary-session")).unwrap();
        for (change, name, login) in [
            ("login = 'two'", "hub", "two"),
            ("login = 'one', plugin = 'other'", "other", "one"),
            ("plugin = 'hub', sealed = x'01'", "hub", "one"),
        ] {
            ours.store.write(|write| write.execute_batch(&format!("UPDATE sessions SET {change}"))).unwrap();
            let read = ours.read(&plugin(name), login);
            assert!(matches!(read, Err(SessionError::Seal(SealError::Closed))), "{change}: {read:?}");
        }
    }

    #[test]
    fn logins_are_told_apart_by_their_parts_and_by_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let ours = sessions(&folder, 7);
        assert_eq!(ours.identify(["a", "bc"]), sessions(&folder, 7).identify(["a", "bc"]));
        assert_ne!(ours.identify(["a", "bc"]), ours.identify(["ab", "c"]));
        assert_ne!(ours.identify(["a", "bc"]), sessions(&folder, 8).identify(["a", "bc"]));
    }
}
