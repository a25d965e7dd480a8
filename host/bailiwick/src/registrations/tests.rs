#![expect(clippy::disallowed_methods, reason = "tests look at files")]

use std::path::PathBuf;

use bailiwick_core::code::Language;
use bailiwick_core::config::{Config, Source};
use bailiwick_core::grant::SecretSource;
use bailiwick_core::registration::{Code, DEFAULT_TIMEOUT_MS, Header, Mcp, Protocol};
use serde_json::json;

use super::*;
use crate::store;

struct World {
    folder: tempfile::TempDir,
    registrations: Registrations,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let registrations = open(folder.path());
    World { folder, registrations }
}

fn open(folder: &Path) -> Registrations {
    let store = Store::open(&folder.join(store::FILE)).unwrap();
    Registrations::open(Arc::new(store), &folder.join("host.key")).unwrap()
}

fn hub(name: &str) -> (Registration, Values) {
    let registration = Registration {
        id: new_id().unwrap(),
        name: PluginName::parse(name).unwrap(),
        title: None,
        protocol: Protocol::Mcp(Mcp {
            url: "https://hub.example.com/mcp".to_owned(),
            tool: "search".to_owned(),
            input_schema: None,
            output_schema: None,
        }),
        timeout_ms: DEFAULT_TIMEOUT_MS,
        headers: vec![Header { name: "Authorization".to_owned(), format: "Bearer {}".to_owned() }],
        inject: vec!["units".to_owned()],
        addresses: Vec::new(),
        net: Vec::new(),
        owner: "cli".to_owned(),
        created_at: now(),
        updated_at: now(),
    };
    let headers = [("Authorization".to_owned(), Zeroizing::new("canary-header".to_owned()))].into();
    let inject = [("units".to_owned(), json!("canary-inject"))].into_iter().collect();
    (registration, Values { headers, inject, login: std::collections::BTreeMap::new() })
}

/// All bytes of all files of the folder.
fn bytes(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.flat_map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn c5_what_is_added_is_listed_changed_and_removed() {
    let World { folder, registrations } = world();
    let (mut added, values) = hub("hub");
    registrations.add(&added, &values, "cli").unwrap();
    let again = registrations.add(&hub("hub").0, &values, "cli").unwrap_err();
    assert_eq!((again.code(), again.to_string()), ("tools.exists", "tools \"hub\" is registered already".to_owned()));
    let kept = registrations.get("hub").unwrap();
    assert_eq!((&kept.registration, kept.values.as_ref().unwrap()), (&added, &values));
    assert_eq!(registrations.get(&added.id).unwrap().registration, added);
    added.timeout_ms = 5;
    registrations.update(&added, &values, "key:ops").unwrap();
    assert_eq!(open(folder.path()).list().unwrap().kept[0].registration.timeout_ms, 5);
    registrations.remove("hub", "cli").unwrap();
    let gone = registrations.remove("hub", "cli").unwrap_err();
    assert_eq!((gone.code(), gone.to_string()), ("tools.unknown", "tools \"hub\" not found".to_owned()));
    assert!(registrations.list().unwrap().kept.is_empty());
}

#[test]
fn a_name_is_taken_once_also_by_a_change() {
    let World { registrations, .. } = world();
    let ((one, values), (mut other, _)) = (hub("one"), hub("other"));
    registrations.add(&one, &values, "cli").unwrap();
    registrations.add(&other, &values, "cli").unwrap();
    other.name = one.name.clone();
    assert_eq!(registrations.update(&other, &values, "cli").unwrap_err().code(), "tools.exists");
    other.name = PluginName::parse("third").unwrap();
    registrations.update(&other, &values, "cli").unwrap();
    assert_eq!(registrations.get(&other.id).unwrap().name.as_str(), "third");
    assert!(registrations.get("other").is_err());
}

#[test]
fn c7_values_are_nowhere_in_the_folder_and_open_with_this_key_alone() {
    let World { folder, registrations } = world();
    let (added, values) = hub("hub");
    registrations.add(&added, &values, "cli").unwrap();
    let all = bytes(folder.path());
    let holds = |what: &str| all.windows(what.len()).any(|window| window == what.as_bytes());
    assert!(holds("Authorization") && holds("hub.example.com"), "the record is plain");
    assert!(!holds("canary"), "values are not");
    drop(registrations);
    let key: PathBuf = folder.path().join("host.key");
    std::fs::write(&key, [9; 32]).unwrap();
    let kept = open(folder.path()).get("hub").unwrap();
    assert_eq!(kept.values, Err(SealError::Closed));
    let reason = kept.plugin().unwrap_err();
    assert!(reason.contains("`host.key` is another one") && reason.contains("bailiwick tools remove hub"), "{reason}");
}

#[test]
fn c7_a_record_that_was_changed_from_outside_gets_no_values() {
    let World { folder, registrations } = world();
    let (added, values) = hub("hub");
    registrations.add(&added, &values, "cli").unwrap();
    let elsewhere = "UPDATE registrations SET record = replace(record, 'hub.example.com', 'evil.example.com')";
    registrations.store.write(|write| write.execute(elsewhere, [])).unwrap();
    assert_eq!(open(folder.path()).get("hub").unwrap().values, Err(SealError::Closed));
}

#[test]
fn what_cannot_be_read_is_told_and_can_be_removed() {
    let World { registrations, .. } = world();
    let (added, values) = hub("hub");
    registrations.add(&added, &values, "cli").unwrap();
    registrations.store.write(|write| write.execute("UPDATE registrations SET record = '{}'", [])).unwrap();
    let listed = registrations.list().unwrap();
    assert!(listed.kept.is_empty() && listed.unreadable[0].name == "hub");
    assert_eq!(registrations.get("hub").unwrap_err().code(), "tools.unreadable");
    let merged = with_registrations(&Config::default(), &listed);
    assert!(merged.problems[0].fix.as_deref().unwrap().contains("bailiwick tools remove hub"));
    registrations.remove("hub", "cli").unwrap();
}

#[test]
fn what_was_published_is_forgotten_once_it_is_to_be_another_thing() {
    let World { registrations, .. } = world();
    let pinned = |registrations: &Registrations| {
        let count = |read: &rusqlite::Connection| {
            read.query_row("SELECT count(*) FROM servers WHERE plugin = 'hub'", [], |row| row.get::<_, i64>(0))
        };
        let was = registrations.store.read(count).unwrap() == 1;
        let insert = "INSERT OR REPLACE INTO servers VALUES ('hub', 'x', '{}', 0, '[]')";
        registrations.store.write(|write| write.execute(insert, [])).unwrap();
        was
    };
    pinned(&registrations);
    let (mut hub, mut values) = hub("hub");
    registrations.add(&hub, &values, "cli").unwrap();
    assert!(!pinned(&registrations), "another plugin had this name");
    hub.timeout_ms = 5;
    registrations.update(&hub, &values, "cli").unwrap();
    assert!(pinned(&registrations), "a timeout is nothing that callers see");
    values.inject.insert("more".to_owned(), json!(1));
    hub.inject.push("more".to_owned());
    registrations.update(&hub, &values, "cli").unwrap();
    assert!(!pinned(&registrations), "a hidden argument is");
    registrations.remove("hub", "cli").unwrap();
    assert!(!pinned(&registrations));
}

#[test]
fn values_belong_to_the_names_of_the_record() {
    let World { registrations, .. } = world();
    let (added, values) = hub("hub");
    let mut without = values.clone();
    without.inject.clear();
    for wrong in [Values::default(), without] {
        assert_eq!(registrations.add(&added, &wrong, "cli").unwrap_err().code(), "tools.unfit");
    }
    let (mut unfit, values) = hub("hub");
    unfit.timeout_ms = 0;
    assert_eq!(registrations.add(&unfit, &values, "cli").unwrap_err().code(), "tools.unfit");
}

#[test]
fn a_change_is_seen_by_another_process_and_written_down() {
    let World { folder, registrations } = world();
    let other = open(folder.path());
    let before = other.version().unwrap();
    registrations.store.write(|write| write.execute("DELETE FROM keys", [])).unwrap();
    assert_eq!(other.version().unwrap(), before, "what is written elsewhere is no change of these");
    let (added, values) = hub("hub");
    registrations.add(&added, &values, "cli").unwrap();
    let then = other.version().unwrap();
    assert_ne!(then, before);
    registrations.remove("hub", "key:ops").unwrap();
    assert_ne!(other.version().unwrap(), then);
    let all: Vec<(String, String, String)> = other
        .store
        .read(|read| {
            let mut select = read.prepare("SELECT caller, action, record FROM registration_changes ORDER BY number")?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })
        .unwrap();
    let told: Vec<(&str, &str)> = all.iter().map(|(who, what, _)| (who.as_str(), what.as_str())).collect();
    assert_eq!(told, [("cli", "add"), ("key:ops", "remove")]);
    assert!(all.iter().all(|(.., record)| record.contains("Authorization") && !record.contains("canary")));
}

#[test]
fn what_is_kept_comes_beside_the_configuration_which_comes_first() {
    let World { registrations, .. } = world();
    for name in ["hub", "clock"] {
        let (added, values) = hub(name);
        registrations.add(&added, &values, "cli").unwrap();
    }
    let text = "[plugins.clock]\ncomponent = 'builtin:datetime'\n".to_owned();
    let source = Source { name: "bailiwick.toml".to_owned(), text, base: "/etc".into() };
    let config = config::read(&source, &|_| None).unwrap();
    let once = with_registrations(&config, &registrations.list().unwrap());
    let twice = with_registrations(&once.config, &registrations.list().unwrap());
    for merged in [once, twice] {
        let names: Vec<&str> = merged.config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        assert_eq!(names, ["clock", "hub"]);
        let hub = &merged.config.plugins[1];
        assert_eq!(hub.inject["units"], json!("canary-inject"));
        assert_eq!(hub.grants.secrets[0].source, SecretSource::Kept);
        assert_eq!(merged.vault.of(&hub.name).unwrap().headers["Authorization"].as_str(), "canary-header");
        let told: Vec<String> = merged.problems.iter().map(ToString::to_string).collect();
        let expected = "plugin `clock` (bailiwick tools show --toml clock) is left out: the configuration has a plugin \
                        of this name (bailiwick.toml:1), which comes before what was registered";
        assert_eq!(told, [expected]);
        assert!(!format!("{merged:?}").contains("canary"), "{merged:?}");
    }
}

#[test]
fn an_id_is_a_uuid_of_version_4() {
    let id = new_id().unwrap();
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert!(id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]) && id != new_id().unwrap());
}

fn program(name: &str) -> Registration {
    let (mut of, _) = hub(name);
    (of.headers, of.inject) = (Vec::new(), Vec::new());
    of.protocol = Protocol::Code(Code {
        language: Language::Python,
        source: "def main(input): return 'first canary'".to_owned(),
        version: 1,
        description: String::new(),
        input_schema: None,
        output_schema: None,
    });
    of
}

/// Gives a program another source, as the next version.
fn next(of: &mut Registration, source: &str) {
    let Protocol::Code(code) = &mut of.protocol else { panic!("{of:?}") };
    code.source = source.to_owned();
    code.version += 1;
}

#[test]
fn g14_versions_of_a_program_are_kept_with_who_gave_them_and_old_ones_go() {
    let World { folder, registrations } = world();
    let mut of = program("adder");
    let none = Values::default();
    registrations.add(&of, &none, "key:one").unwrap();
    registrations.update(&of, &none, "key:two").unwrap();
    next(&mut of, "second canary");
    registrations.update(&of, &none, "key:two").unwrap();
    let id = of.id.clone();
    let told = |registrations: &Registrations| -> Vec<(u32, String)> {
        let versions = registrations.versions(&id).unwrap();
        versions.into_iter().map(|version| (version.number, version.caller)).collect()
    };
    assert_eq!(told(&registrations), [(2, "key:two".to_owned()), (1, "key:one".to_owned())]);
    // Whoever did not know of that changes nothing.
    let mut late = program("adder");
    late.id.clone_from(&of.id);
    assert_eq!(registrations.update(&late, &none, "key:three").unwrap_err().code(), "tools.changed");
    next(&mut late, "third");
    assert_eq!(registrations.update(&late, &none, "key:three").unwrap_err().code(), "tools.changed");
    let first = registrations.source(&of.id, 1).unwrap().unwrap();
    assert_eq!(first, (Language::Python, "def main(input): return 'first canary'".to_owned()));
    assert_eq!(registrations.source(&of.id, 3).unwrap(), None);
    let changes: Vec<String> = registrations
        .store
        .read(|read| {
            read.prepare("SELECT record FROM registration_changes")?.query_map([], |row| row.get(0))?.collect()
        })
        .unwrap();
    assert!(changes.len() == 3 && changes.iter().all(|record| !record.contains("canary")), "{changes:?}");
    drop(registrations);
    let again = open(folder.path());
    assert_eq!(told(&again).len(), 2);
    for _ in 0..30 {
        next(&mut of, "def main(input): pass");
        again.update(&of, &none, "cli").unwrap();
    }
    let numbers: Vec<u32> = told(&again).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (13..=32).rev().collect::<Vec<_>>());
    // Of large ones there are fewer, and always the one before.
    for _ in 0..8 {
        next(&mut of, &"é".repeat(500_000));
        again.update(&of, &none, "cli").unwrap();
    }
    assert_eq!(told(&again).len(), 4);
    again.remove("adder", "cli").unwrap();
    assert_eq!(again.versions(&of.id).unwrap(), []);
}

#[test]
fn g12_a_program_that_cannot_be_kept_whole_is_not_kept_at_all() {
    let World { registrations, .. } = world();
    let of = program("adder");
    let full = "CREATE TRIGGER full BEFORE INSERT ON code_versions BEGIN SELECT raise(ABORT, 'full'); END";
    registrations.store.write(|write| write.execute_batch(full)).unwrap();
    assert_eq!(registrations.add(&of, &Values::default(), "cli").unwrap_err().code(), "host.file");
    assert!(registrations.list().unwrap().kept.is_empty());
    registrations.store.write(|write| write.execute_batch("DROP TRIGGER full")).unwrap();
    registrations.add(&of, &Values::default(), "cli").unwrap();
    assert_eq!(registrations.list().unwrap().kept.len(), 1);
}

#[test]
fn g12_a_program_that_was_changed_from_outside_is_no_plugin() {
    let World { registrations, .. } = world();
    registrations.add(&program("adder"), &Values::default(), "cli").unwrap();
    assert!(registrations.get("adder").unwrap().plugin().unwrap().is_some());
    let other = "UPDATE registrations SET record = replace(record, 'first', 'other')";
    registrations.store.write(|write| write.execute(other, [])).unwrap();
    assert!(registrations.get("adder").unwrap().plugin().is_err());
}
