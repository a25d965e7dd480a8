//! What servers published, kept from start to start: what they said last, so that listing needs none of them running, and
//! what they said first, so that a change is noticed.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Transaction};
use serde::{Deserialize, Serialize};

use bailiwick_core::context::Catalogue;
use bailiwick_core::name::PluginName;
use bailiwick_core::registry::Definition;

use crate::runtime::Described;
use crate::store::{Store, StoreError, now};

/// How long what a server said is taken for what it would say.
const FRESH: Duration = Duration::from_secs(24 * 3_600);

/// What is known of one server.
#[derive(Debug)]
pub(crate) struct Kept {
    /// What it said last; none if that was another program, or long ago.
    pub(crate) listed: Option<Described>,
    /// What was pinned of it.
    pub(crate) pinned: Vec<Definition>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    tools: Vec<Definition>,
    context: Catalogue,
}

/// What is kept of a plugin; none if it was never asked. Blocks.
pub(crate) fn read(store: &Store, plugin: &PluginName, identity: &str) -> Result<Option<Kept>, StoreError> {
    const ASK: &str = "SELECT identity, listed, at, pinned FROM servers WHERE plugin = ?1";
    type Row = (String, String, i64, String);
    let row: Option<Row> = store.read(|connection| {
        let found = connection
            .query_row(ASK, [plugin.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        found.optional()
    })?;
    let kept = |(was, listed, at, pinned): Row| {
        let fresh = u64::try_from(now() - at).is_ok_and(|age| age < FRESH.as_secs());
        let listed = (was == identity && fresh).then(|| serde_json::from_str::<Listed>(&listed).ok()).flatten();
        let listed = listed.map(|Listed { tools, context }| Described { tools, context });
        Kept { listed, pinned: serde_json::from_str(&pinned).unwrap_or_default() }
    };
    Ok(row.map(kept))
}

/// What was pinned of a plugin; none if it was never asked. Blocks.
pub(crate) fn pinned(store: &Store, plugin: &PluginName) -> Result<Option<Vec<Definition>>, StoreError> {
    const ASK: &str = "SELECT pinned FROM servers WHERE plugin = ?1";
    let pinned: Option<String> =
        store.read(|connection| connection.query_row(ASK, [plugin.as_str()], |row| row.get(0)).optional())?;
    Ok(pinned.map(|pinned| serde_json::from_str(&pinned).unwrap_or_default()))
}

/// Keeps what a server said. What was pinned of it stays, if something was. Blocks.
pub(crate) fn write(store: &Store, plugin: &PluginName, identity: &str, said: &Described) -> Result<(), StoreError> {
    const KEEP: &str = "INSERT INTO servers (plugin, identity, listed, at, pinned) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (plugin) DO UPDATE SET identity = excluded.identity, listed = excluded.listed, at = excluded.at";
    let listed = Listed { tools: said.tools.clone(), context: said.context.clone() };
    let listed = serde_json::to_string(&listed).unwrap_or_default();
    let pinned = serde_json::to_string(&said.definitions()).unwrap_or_default();
    store.write(|transaction| transaction.execute(KEEP, (plugin.as_str(), identity, listed, now(), pinned)).map(|_| ()))
}

/// Pins definitions in the place of those that were pinned. Blocks.
pub(crate) fn pin(store: &Store, plugin: &PluginName, definitions: &[Definition]) -> Result<(), StoreError> {
    let pinned = serde_json::to_string(definitions).unwrap_or_default();
    store.write(|transaction| {
        let done = transaction.execute("UPDATE servers SET pinned = ?2 WHERE plugin = ?1", (plugin.as_str(), pinned));
        done.map(|_| ())
    })
}

/// Forgets all that is kept of a plugin, as part of a change.
pub(crate) fn forget(write: &Transaction<'_>, plugin: &str) -> rusqlite::Result<()> {
    write.execute("DELETE FROM servers WHERE plugin = ?1", [plugin]).map(drop)
}

#[cfg(test)]
mod tests {
    use bailiwick_core::registry::{Annotations, Risk};

    use super::*;

    fn said(description: &str) -> Described {
        let tool = Definition {
            name: "search".to_owned(),
            title: None,
            description: description.to_owned(),
            input_schema: r#"{"type":"object"}"#.to_owned(),
            output_schema: None,
            annotations: Annotations { read_only: Some(true), ..Annotations::default() },
            risk: Risk::Medium,
        };
        Described { tools: vec![tool], context: Catalogue::default() }
    }

    fn world() -> (tempfile::TempDir, Store, PluginName) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join(crate::store::FILE)).unwrap();
        (folder, store, PluginName::parse("hub").unwrap())
    }

    #[test]
    fn what_was_said_first_is_pinned_and_what_was_said_last_is_listed() {
        let (_folder, store, hub) = world();
        assert!(read(&store, &hub, "a").unwrap().is_none());
        write(&store, &hub, "a", &said("first")).unwrap();
        write(&store, &hub, "a", &said("second")).unwrap();
        let kept = read(&store, &hub, "a").unwrap().unwrap();
        assert_eq!(kept.listed.unwrap().tools, said("second").tools);
        assert_eq!(kept.pinned, said("first").tools);
        pin(&store, &hub, &said("second").tools).unwrap();
        assert_eq!(read(&store, &hub, "a").unwrap().unwrap().pinned, said("second").tools);
        assert_eq!(pinned(&store, &hub).unwrap(), Some(said("second").tools));
        assert_eq!(pinned(&store, &PluginName::parse("other").unwrap()).unwrap(), None);
    }

    #[test]
    fn what_another_program_said_is_not_what_this_one_says() {
        let (_folder, store, hub) = world();
        write(&store, &hub, "a", &said("first")).unwrap();
        let kept = read(&store, &hub, "b").unwrap().unwrap();
        assert!(kept.listed.is_none(), "it has to be asked");
        assert_eq!(kept.pinned, said("first").tools, "and is compared with what was there");
    }

    #[test]
    fn what_was_said_long_ago_is_asked_again() {
        let (_folder, store, hub) = world();
        write(&store, &hub, "a", &said("first")).unwrap();
        let age = |seconds: i64| {
            store.write(|transaction| transaction.execute("UPDATE servers SET at = at - ?1", [seconds])).unwrap();
            read(&store, &hub, "a").unwrap().unwrap().listed.is_some()
        };
        assert!(age(23 * 3_600));
        assert!(!age(2 * 3_600));
    }
}
