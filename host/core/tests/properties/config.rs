//! Configurations: written and read again, damaged, and glued together of what makes trouble.

use std::cell::Cell;

use bailiwick_core::config::{Approval, Config, Plugin, code};
use bailiwick_core::grant::{Limits, SecretSource};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use toml::{Table, Value};

use crate::oracle::config::check;
use crate::{any_of, for_all};

const NET: &[&str] = &[
    "https://api.example.com",
    "GET,POST https://*.example.com/v1/**",
    "* http://127.0.0.1:8080",
    "https://*",
    "PUT https://db.corp:8443/x",
];
const FS: &[&str] = &["./docs", "./work:/work:rw", "~/notes:/notes:ro", "/var/data:/data:rw", "./a b:/\u{e4}:ro"];
const LIMITS: &[(&str, &str)] = &[
    ("time", "7s"),
    ("memory", "8MiB"),
    ("output", "3KB"),
    ("log", "0B"),
    ("artifacts", "1GiB"),
    ("http_request_body", "5B"),
    ("http_response_body", "4GiB"),
];
const COUNTS: &[(&str, i64)] =
    &[("http_requests", 3), ("http_concurrent", 2), ("handles", 77), ("table_elements", 9), ("concurrency", 1)];

/// Texts of every sort, as they are meant; `${` has to be written `$${`.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", "\\PC{0,6}", "[\n\t\"'\\\\$\\{\\}#=\\[\\]\u{1b}\u{202e}]{0,8}"]
}

fn written(text: &str) -> Value {
    Value::from(text.replace("${", "$${"))
}

#[derive(Clone, Debug)]
struct Wanted {
    builtin: bool,
    net: Vec<&'static str>,
    fs: Vec<&'static str>,
    env: Vec<(String, String)>,
    settings: Vec<(String, String)>,
    inject: Vec<(String, String)>,
    approval: Option<Approval>,
    limits: Vec<(&'static str, &'static str)>,
    counts: Vec<(&'static str, i64)>,
    revealed: Vec<String>,
    rules: Vec<(String, Rule)>,
}

#[derive(Clone, Debug)]
struct Rule {
    allow: Option<bool>,
    net: Option<Vec<Index>>,
    fs: Option<Vec<Index>>,
    secrets: Option<Vec<Index>>,
    limits: Vec<(&'static str, &'static str)>,
}

fn pairs(names: &'static str) -> impl Strategy<Value = Vec<(String, String)>> {
    btree_map(names, texts(), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn rules() -> impl Strategy<Value = Rule> {
    let some = || proptest::option::of(vec(any::<Index>(), 0..3));
    (any::<Option<bool>>(), some(), some(), some(), subsequence(LIMITS, 0..=LIMITS.len()))
        .prop_map(|(allow, net, fs, secrets, limits)| Rule { allow, net, fs, secrets, limits })
}

fn plugins() -> impl Strategy<Value = Wanted> {
    let approval = proptest::option::of(proptest::sample::select(&[Approval::Auto, Approval::Always, Approval::Never]));
    let what_it_sees =
        (subsequence(NET, 0..=NET.len()), subsequence(FS, 0..=FS.len()), pairs("[A-Za-z_][A-Za-z0-9_]{0,6}"));
    let how_it_is_called = (pairs(".{0,6}"), pairs("\\PC{0,6}"), approval);
    let what_it_uses = (subsequence(LIMITS, 0..=LIMITS.len()), subsequence(COUNTS, 0..=COUNTS.len()));
    let revealed = proptest::collection::btree_set("[A-Za-z0-9_-]{1,8}", 0..3);
    let rules = btree_map("(\\*|[A-Za-z0-9_-]{1,8})", rules(), 0..4);
    (any::<bool>(), what_it_sees, how_it_is_called, what_it_uses, revealed, rules).prop_map(
        |(builtin, (net, fs, env), (settings, inject, approval), (limits, counts), revealed, rules)| Wanted {
            builtin,
            net,
            fs,
            env,
            settings,
            inject,
            approval,
            limits,
            counts,
            revealed: revealed.into_iter().collect(),
            rules: rules.into_iter().collect(),
        },
    )
}

fn configs() -> impl Strategy<Value = Vec<(String, Wanted)>> {
    let names = "[a-z]([a-z0-9-]|_[a-z]){0,9}";
    btree_map(names, plugins(), 0..4).prop_map(|plugins| plugins.into_iter().collect())
}

fn list(texts: &[&str]) -> Value {
    texts.iter().map(|text| Value::from(*text)).collect::<Vec<_>>().into()
}

fn table(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, text)| (name.clone(), written(text))).collect::<Table>().into()
}

/// The entries that indices stand for, each once, in the order of the list.
fn picked<'t>(all: &[&'t str], indices: &[Index]) -> Vec<&'t str> {
    let chosen: Vec<usize> = indices.iter().filter(|_| !all.is_empty()).map(|index| index.index(all.len())).collect();
    all.iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, text)| *text).collect()
}

fn limits(limits: &[(&str, &str)], counts: &[(&str, i64)]) -> Table {
    let texts = limits.iter().map(|(key, text)| ((*key).to_owned(), Value::from(*text)));
    texts.chain(counts.iter().map(|(key, count)| ((*key).to_owned(), Value::from(*count)))).collect()
}

impl Wanted {
    fn secrets(&self) -> Vec<&str> {
        self.revealed.iter().map(String::as_str).collect()
    }

    /// Within the plugin's own limits, so that a rule only narrows.
    fn narrowed(&self, rule: &Rule) -> Vec<(&'static str, &'static str)> {
        let default = ["artifacts", "http_response_body"];
        rule.limits.iter().filter(|(key, _)| !default.contains(key)).copied().collect()
    }

    fn toml(&self) -> Table {
        let component = if self.builtin { "builtin:files" } else { "plugins/own.wasm" };
        let mut plugin = Table::new();
        plugin.insert("component".to_owned(), component.into());
        plugin.insert("net".to_owned(), list(&self.net));
        plugin.insert("fs".to_owned(), list(&self.fs));
        plugin.insert("env".to_owned(), table(&self.env));
        plugin.insert("config".to_owned(), table(&self.settings));
        plugin.insert("inject".to_owned(), table(&self.inject));
        plugin.insert("limits".to_owned(), limits(&self.limits, &self.counts).into());
        if let Some(approval) = self.approval {
            plugin.insert("approval".to_owned(), approval.as_str().into());
        }
        let secret = || Table::from_iter([("env".to_owned(), "TOKEN".into()), ("reveal".to_owned(), true.into())]);
        let secrets: Table = self.revealed.iter().map(|name| (name.clone(), secret().into())).collect();
        plugin.insert("secrets".to_owned(), secrets.into());
        let rules: Table = self.rules.iter().map(|(name, rule)| (name.clone(), self.rule(rule).into())).collect();
        plugin.insert("tools".to_owned(), rules.into());
        plugin
    }

    fn rule(&self, rule: &Rule) -> Table {
        let mut table = Table::new();
        table.extend(rule.allow.map(|allow| ("allow".to_owned(), allow.into())));
        let lists = [
            ("net", &rule.net, self.net.clone()),
            ("fs", &rule.fs, self.fs.clone()),
            ("secrets", &rule.secrets, self.secrets()),
        ];
        for (key, indices, all) in lists {
            table.extend(indices.as_ref().map(|indices| (key.to_owned(), list(&picked(&all, indices)))));
        }
        table.insert("limits".to_owned(), limits(&self.narrowed(rule), &[]).into());
        table
    }

    fn compare(&self, plugin: &Plugin) {
        let net: Vec<&str> = plugin.grants.net.iter().map(|grant| grant.text()).collect();
        let fs: Vec<&str> = plugin.grants.fs.iter().map(|grant| grant.text.as_str()).collect();
        assert_eq!((net, fs), (self.net.clone(), self.fs.clone()));
        assert_eq!(plugin.grants.env.clone().into_iter().collect::<Vec<_>>(), self.env);
        let mut settings = self.settings.clone();
        settings.sort();
        assert_eq!(plugin.config.clone().into_iter().collect::<Vec<_>>(), settings);
        let inject: Vec<_> = self.inject.iter().map(|(name, text)| (name.clone(), text.clone().into())).collect();
        assert_eq!(plugin.inject, inject.into_iter().collect());
        assert_eq!(plugin.approval, self.approval.unwrap_or_default());
        let secrets: Vec<&str> = plugin.grants.secrets.iter().map(|secret| secret.name.as_str()).collect();
        assert_eq!(secrets, self.secrets());
        assert!(plugin.grants.secrets.iter().all(|secret| secret.source == SecretSource::Env("TOKEN".to_owned())));
        let says = |key: &str| self.limits.iter().find(|(known, _)| *known == key).map(|(_, text)| *text);
        assert_eq!(plugin.limits.memory, if says("memory").is_some() { 8 << 20 } else { Limits::DEFAULT.memory });
        assert_eq!(plugin.limits.output, if says("output").is_some() { 3_000 } else { Limits::DEFAULT.output });
        let handles = self.counts.iter().any(|(key, _)| *key == "handles");
        assert_eq!(plugin.limits.handles, if handles { 77 } else { Limits::DEFAULT.handles });
        for (name, rule) in &self.rules {
            let effective = plugin.rules_for(name);
            let every = self.rules.iter().find(|(name, _)| name == "*").map(|(_, rule)| rule);
            let net = rule.net.as_ref().or(every.and_then(|every| every.net.as_ref()));
            let expected = net.map_or_else(|| self.net.clone(), |indices| picked(&self.net, indices));
            assert_eq!(effective.grants.net.iter().map(|grant| grant.text()).collect::<Vec<_>>(), expected);
            let secrets = rule.secrets.as_ref().or(every.and_then(|every| every.secrets.as_ref()));
            let expected = secrets.map_or_else(|| self.secrets(), |indices| picked(&self.secrets(), indices));
            assert_eq!(
                effective.grants.secrets.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(),
                expected
            );
            assert_eq!(effective.allowed, rule.allow.or(every.and_then(|every| every.allow)).unwrap_or(true));
        }
    }
}

fn document(plugins: &[(String, Wanted)]) -> Table {
    let plugins: Table = plugins.iter().map(|(name, wanted)| (name.clone(), wanted.toml().into())).collect();
    let host = Table::from_iter([("calls".to_owned(), Value::from(9))]);
    Table::from_iter([("host".to_owned(), host.into()), ("plugins".to_owned(), plugins.into())])
}

fn taken(text: &str) -> Config {
    check(text).unwrap_or_else(|mistakes| panic!("{}\n{text}", mistakes[0]))
}

#[test]
fn a_configuration_is_read_as_it_was_written() {
    for_all(1_000, configs(), |wanted| {
        let config = taken(&toml::to_string(&document(&wanted)).unwrap());
        assert_eq!(config.host.calls, 9);
        assert_eq!(config.plugins.len(), wanted.len());
        for (name, wanted) in &wanted {
            wanted.compare(config.plugins.iter().find(|plugin| plugin.name.as_str() == name).unwrap());
        }
    });
}

/// The tables of a document whose keys are fixed.
fn tables_with_fixed_keys<'t>(document: &'t mut Table, found: &mut Vec<&'t mut Table>) {
    const FREE: [&str; 6] = ["plugins", "env", "config", "inject", "secrets", "tools"];
    for (key, value) in document.iter_mut() {
        let Value::Table(table) = value else { continue };
        match key.as_str() {
            "plugins" | "secrets" | "tools" => {
                for table in table.iter_mut().filter_map(|(_, value)| value.as_table_mut()) {
                    // A table and what is in it cannot both be lent: one or the other, by what is in it.
                    if table.iter().any(|(key, value)| value.is_table() && !FREE.contains(&key.as_str()))
                        && table.len() % 2 == 0
                    {
                        tables_with_fixed_keys(table, found);
                    } else {
                        found.push(table);
                    }
                }
            }
            key if FREE.contains(&key) => {}
            _ => found.push(table),
        }
    }
}

#[test]
fn a_key_that_means_nothing_is_a_mistake_wherever_it_stands() {
    let unknown = any_of(&["netw", "allowed", "host", "danger", "x.y", "", "\u{e4}", "command2"]);
    for_all(1_000, (configs(), unknown, any::<Index>()), |(wanted, unknown, place)| {
        let mut document = document(&wanted);
        let mut tables = Vec::new();
        tables_with_fixed_keys(&mut document, &mut tables);
        let table = place.index(tables.len());
        tables[table].insert(unknown.to_owned(), true.into());
        let mistakes = check(&toml::to_string(&document).unwrap()).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.code == code::UNKNOWN_KEY), "{mistakes:?}");
    });
}

const PIECES: &[&str] = &[
    "[plugins.a]\n",
    "component = \"builtin:a\"\n",
    "[plugins.a.tools.x]\n",
    "[[plugins]]\n",
    "net = [",
    "\"https://a.test\"",
    "'* http://*'",
    "]\n",
    "fs = ['./a:rw', './a/b:ro']\n",
    "fs = ['..:rw']\n",
    "= ",
    "\n",
    "\"",
    "'''",
    "\u{feff}",
    "\r\n",
    "\r",
    "\0",
    "\u{1b}[2J",
    "${HOME}",
    "\"${HOSTILE}\"",
    "\"${MISSING}\"",
    "{",
    "}",
    "limits.time = \"1h\"\n",
    "1e999",
    "0x7f",
    "1979-05-27T07:32:00Z",
    "inf",
    "nan",
    "\u{e4}",
    "\u{202e}",
    "#",
    "alias = { a = \"b\", b = \"a\" }\n",
    "[host]\n",
    "state = \".\"\n",
    "approval = \"maybe\"\n",
    "inject = { a = inf }\n",
    "secrets.T = { env = \"T\", reveal = true }\n",
    "arguments = { \"$ref\" = \"#\" }\n",
    "a.b.c.d.e.f = 1\n",
    "net = 5\n",
    "\t",
    "[plugins.\"a b\"]\n",
    "[plugins.\"\\u001b\"]\n",
];

#[test]
fn glued_pieces_are_answered_with_places() {
    let (read, refused) = (Cell::new(0), Cell::new(0));
    for_all(10_000, vec(any_of(PIECES), 0..14), |pieces| {
        let counter = if check(&pieces.concat()).is_ok() { &read } else { &refused };
        counter.set(counter.get() + 1);
    });
    assert!(read.get() > 100 && refused.get() > 5_000, "{} read, {} refused", read.get(), refused.get());
}

#[test]
fn a_damaged_configuration_is_answered_with_places() {
    let damage = (any::<Index>(), 0_usize..12, any_of(PIECES));
    for_all(1_500, (configs(), vec(damage, 1..5)), |(wanted, damage)| {
        let mut text: Vec<char> = toml::to_string(&document(&wanted)).unwrap().chars().collect();
        for (place, cut, piece) in damage {
            let start = place.index(text.len() + 1);
            text.splice(start..(start + cut).min(text.len()), piece.chars());
        }
        let _ = check(&text.into_iter().collect::<String>());
    });
}
