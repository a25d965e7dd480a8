//! What an operator granted, as lines that can be kept in a file and compared: is this more than it was?

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::config::{Approval, Effective, Place};
use crate::grant::fs::Roots;
use crate::grant::{
    AddressRange, Binding, FsGrant, FsGrants, NetGrant, NetGrants, Placement, SecretGrant, SecretSource, Section,
};

/// The rights of a plugin, or of one tool of it. No value of a variable, a secret or an argument is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Whether it may be called.
    pub allowed: bool,
    /// Whether a person is asked before a call.
    pub approval: Approval,
    /// `net`, as it was written.
    pub net: Vec<String>,
    /// `addresses`.
    pub addresses: Vec<String>,
    /// `danger_metadata_addresses`.
    pub danger_metadata_addresses: bool,
    /// `fs`, as it was written.
    pub fs: Vec<String>,
    /// `call`: tools that its code may call, and those that are taken out.
    pub call: Vec<String>,
    /// The names of `env`.
    pub env: Vec<String>,
    /// Each secret in one sentence: its name, where it is from, where it goes, whether it is revealed.
    pub secrets: Vec<String>,
    /// The names of `inject`: arguments that callers cannot set.
    pub inject: Vec<String>,
    /// The digests of `arguments`: rules that callers' arguments have to match.
    pub arguments: Vec<String>,
}

impl Rights {
    /// The rights in `effective`; paths of secrets are told from `roots`, so that they read the same everywhere.
    pub fn of(effective: &Effective, roots: Roots<'_>) -> Self {
        let grants = &effective.grants;
        let digest = |rule: &serde_json::Value| format!("sha256:{}", hex::encode(Sha256::digest(rule.to_string())));
        Self {
            allowed: effective.allowed,
            approval: effective.approval,
            net: sorted(grants.net.iter().map(|grant| grant.text().to_owned())),
            addresses: sorted(grants.net.ranges().iter().map(ToString::to_string)),
            danger_metadata_addresses: grants.net.danger_metadata(),
            fs: sorted(grants.fs.iter().map(|grant| grant.text.clone())),
            call: sorted(grants.call.entries().into_iter()),
            env: sorted(grants.env.keys().cloned()),
            secrets: sorted(grants.secrets.iter().map(|secret| sentence(secret, roots))),
            inject: sorted(effective.inject.keys().cloned()),
            arguments: sorted(effective.arguments.iter().map(digest)),
        }
    }

    /// What is different in `now`, by key.
    pub fn changes(&self, now: &Self, roots: Roots<'_>) -> Vec<RightChange> {
        let mut changes = Vec::new();
        let mut note = |key, way, text: String| changes.push(RightChange { key, way, text });
        if self.allowed != now.allowed {
            let (way, text) = if now.allowed { (Way::Wider, "true") } else { (Way::Narrower, "false") };
            note("allow", way, text.to_owned());
        }
        if self.approval != now.approval {
            let way = if freedom(now.approval) > freedom(self.approval) { Way::Wider } else { Way::Narrower };
            note("approval", way, now.approval.as_str().to_owned());
        }
        if self.danger_metadata_addresses != now.danger_metadata_addresses {
            let way = if now.danger_metadata_addresses { Way::Wider } else { Way::Narrower };
            note("danger_metadata_addresses", way, now.danger_metadata_addresses.to_string());
        }
        let lists = [
            ("net", &self.net, &now.net, net_beyond as Beyond),
            ("addresses", &self.addresses, &now.addresses, addresses_beyond),
            ("fs", &self.fs, &now.fs, fs_beyond),
            ("call", &self.call, &now.call, call_beyond),
            ("env", &self.env, &now.env, texts_beyond),
            ("secrets", &self.secrets, &now.secrets, texts_beyond),
        ];
        for (key, was, is, beyond) in lists {
            beyond(was, is, roots).into_iter().for_each(|text| note(key, Way::Wider, text));
            beyond(is, was, roots).into_iter().for_each(|text| note(key, Way::Narrower, text));
        }
        // These hold callers back: fewer of them is more freedom.
        for (key, was, is) in [("inject", &self.inject, &now.inject), ("arguments", &self.arguments, &now.arguments)] {
            texts_beyond(is, was, roots).into_iter().for_each(|text| note(key, Way::Wider, text));
            texts_beyond(was, is, roots).into_iter().for_each(|text| note(key, Way::Narrower, text));
        }
        changes
    }
}

/// Which way a right went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// More is allowed than was.
    Wider,
    /// Less is allowed than was.
    Narrower,
}

/// One right that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightChange {
    /// The key of the configuration.
    pub key: &'static str,
    /// Which way it went.
    pub way: Way,
    /// The line that makes the difference: one that came or, where it is narrower, one that went.
    pub text: String,
}

impl RightChange {
    /// What happened, as the end of a sentence that starts with a plugin or a tool.
    pub fn phrase(&self) -> String {
        let Self { key, way, text } = self;
        match (*key, way) {
            ("allow" | "approval" | "danger_metadata_addresses", _) => format!("has `{key} = {text}` now"),
            ("inject", Way::Wider) => format!("no longer has `inject.{text}`: callers may set that argument now"),
            ("inject", Way::Narrower) => format!("has `inject.{text}` now"),
            ("call", Way::Wider) if text.starts_with('!') => format!("no longer has `{text}` in `call`"),
            ("call", Way::Narrower) if text.starts_with('!') => format!("has `{text}` in `call` now"),
            ("arguments", Way::Wider) => "no longer has one of its rules for `arguments`".to_owned(),
            ("arguments", Way::Narrower) => "has one more rule for `arguments`".to_owned(),
            (_, Way::Wider) => format!("may use more than it could: `{key}` has `{text}` now"),
            (_, Way::Narrower) => format!("may use less than it could: `{key}` had `{text}`"),
        }
    }
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines.dedup();
    lines
}

/// The less a person is asked, the more is allowed.
fn freedom(approval: Approval) -> u8 {
    match approval {
        Approval::Always => 0,
        Approval::Auto => 1,
        Approval::Never => 2,
    }
}

/// The lines of the second list that reach further than the first.
type Beyond = fn(&[String], &[String], Roots<'_>) -> Vec<String>;

fn texts_beyond(was: &[String], now: &[String], _: Roots<'_>) -> Vec<String> {
    now.iter().filter(|text| !was.contains(text)).cloned().collect()
}

/// Who has `*` has each name already; and what is no longer taken out is more, where it is granted.
fn call_beyond(was: &[String], now: &[String], _: Roots<'_>) -> Vec<String> {
    let all = |entries: &[String]| entries.iter().any(|entry| entry == "*");
    let (had_all, has_all) = (all(was), all(now));
    let new = now.iter().filter(|entry| !entry.starts_with('!') && !was.contains(entry) && !had_all);
    let back = was.iter().filter(|entry| {
        let tool = entry.strip_prefix('!');
        !now.contains(entry) && tool.is_some_and(|tool| has_all || now.iter().any(|entry| entry == tool))
    });
    new.chain(back).cloned().collect()
}

/// A line that is no grant any more reaches as far as its text is new.
fn net_beyond(was: &[String], now: &[String], roots: Roots<'_>) -> Vec<String> {
    let parsed = |text: &String| NetGrant::parse(text, 1, Place::default()).ok();
    let granted = NetGrants::new(was.iter().filter_map(parsed).collect(), Vec::new(), false, Section::default());
    let new = texts_beyond(was, now, roots).into_iter();
    new.filter(|text| parsed(text).is_none_or(|grant| !granted.covers(&grant))).collect()
}

fn fs_beyond(was: &[String], now: &[String], roots: Roots<'_>) -> Vec<String> {
    let parsed = |text: &String| FsGrant::parse(text, roots, Place::default()).ok();
    let granted = FsGrants::new(was.iter().filter_map(parsed).collect(), Section::default());
    let new = texts_beyond(was, now, roots).into_iter();
    new.filter(|text| parsed(text).is_none_or(|grant| !granted.covers(&grant))).collect()
}

fn addresses_beyond(was: &[String], now: &[String], roots: Roots<'_>) -> Vec<String> {
    let parsed = |text: &String| AddressRange::parse(text).ok();
    let granted: Vec<AddressRange> = was.iter().filter_map(parsed).collect();
    let new = texts_beyond(was, now, roots).into_iter();
    new.filter(|text| parsed(text).is_none_or(|range| !granted.iter().any(|known| known.covers(&range)))).collect()
}

/// A secret in one sentence, without its value.
fn sentence(secret: &SecretGrant, roots: Roots<'_>) -> String {
    let mut text = format!("{} from {}", secret.name, source(&secret.source, roots));
    if let Some(Binding { origin, placement }) = &secret.binding {
        let place = match placement {
            Placement::Header { name, format } => format!("header {name}: {format}"),
            Placement::Basic { user } => format!("basic {user}"),
            Placement::Query { key } => format!("query {key}"),
        };
        text.push_str(&format!(", to {origin} as {place}"));
    }
    if let Some(variable) = &secret.variable {
        text.push_str(&format!(", in the variable {variable}"));
    }
    if secret.reveal {
        text.push_str(", revealed");
    }
    text
}

fn source(source: &SecretSource, roots: Roots<'_>) -> String {
    match source {
        SecretSource::Env(name) => format!("env {name}"),
        SecretSource::File(path) => format!("file {}", told(path, roots)),
        // Its arguments may hold what is not for every eye.
        SecretSource::Command(argv) => format!("command {}", argv.first().map_or("", String::as_str)),
        SecretSource::Kept => "kept".to_owned(),
    }
}

/// A path as it would be written on any machine.
fn told(path: &Path, roots: Roots<'_>) -> String {
    let beneath =
        |folder: &Path, start: &str| path.strip_prefix(folder).ok().map(|rest| format!("{start}/{}", rest.display()));
    let own = beneath(roots.base, ".");
    let home = || roots.home.and_then(|home| beneath(Path::new(home), "~"));
    own.or_else(home).unwrap_or_else(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> Roots<'static> {
        Roots { base: Path::new("/srv/app"), home: Some("/home/me") }
    }

    fn rights(lines: &str) -> Rights {
        use crate::config::{Source, read, render};
        let text = format!("[plugins.a]\ncomponent = \"builtin:a\"\n{lines}");
        let source = Source { name: "bailiwick.toml".into(), text, base: "/srv/app".into() };
        let env = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let config = read(&source, &env).unwrap_or_else(|mistakes| panic!("{}", render(&source, &mistakes)));
        Rights::of(&config.plugins[0].rules_for("t"), roots())
    }

    /// `> key: text` for each right that is wider, `< key: text` for each that is narrower; and the other way round.
    #[track_caller]
    fn check(was: &str, now: &str, expected: &[&str]) {
        let (was, now) = (rights(was), rights(now));
        let shown = |was: &Rights, now: &Rights, wider: char, narrower: char| {
            let sign = |way| if way == Way::Wider { wider } else { narrower };
            let mut shown: Vec<String> = was
                .changes(now, roots())
                .iter()
                .map(|change| format!("{} {}: {}", sign(change.way), change.key, change.text))
                .collect();
            shown.sort();
            shown
        };
        assert_eq!(shown(&was, &now, '>', '<'), expected);
        let lists = |line: &&String| !["allow", "approval", "danger"].iter().any(|key| line[2..].starts_with(key));
        let (there, back) = (shown(&was, &now, '>', '<'), shown(&now, &was, '<', '>'));
        assert_eq!(there.iter().filter(lists).collect::<Vec<_>>(), back.iter().filter(lists).collect::<Vec<_>>());
        assert!(now.changes(&now, roots()).is_empty());
    }

    #[test]
    fn more_hosts_methods_and_paths_are_wider() {
        check("", "net = ['https://a.example']", &["> net: https://a.example"]);
        check("net = ['https://a.example']", "net = ['https://a.example/v1/**']", &["< net: https://a.example"]);
        check(
            "net = ['https://a.example']",
            "net = ['https://*.example.org']",
            &["< net: https://a.example", "> net: https://*.example.org"],
        );
        check("net = ['https://a.example']", "net = ['GET,HEAD https://a.example']", &[]);
        check("net = ['https://a.example']", "net = ['* https://a.example']", &["> net: * https://a.example"]);
    }

    #[test]
    fn more_addresses_are_wider() {
        let with = |ranges: &str| format!("net = ['https://a.example']\naddresses = {ranges}");
        check(&with("[]"), &with("['10.0.0.0/8']"), &["> addresses: 10.0.0.0/8"]);
        check(&with("['10.0.0.0/8']"), &with("['10.1.0.0/16']"), &["< addresses: 10.0.0.0/8"]);
        check(&with("['10.0.0.0/8']"), &with("['fd00::/8']"), &["< addresses: 10.0.0.0/8", "> addresses: fd00::/8"]);
        check(
            "net = ['http://169.254.169.254']\ndanger_metadata_addresses = true",
            "net = []",
            &["< danger_metadata_addresses: false", "< net: http://169.254.169.254"],
        );
    }

    #[test]
    fn more_of_the_disk_is_wider() {
        check("fs = ['./docs:rw']", "fs = ['./docs:ro']", &["< fs: ./docs:rw"]);
        check("fs = ['./docs']", "fs = ['./docs/a']", &["< fs: ./docs"]);
        check("fs = ['./docs:/x']", "fs = ['./docs:/y:ro']", &[]);
        check("fs = ['./docs']", "fs = ['~/docs']", &["< fs: ./docs", "> fs: ~/docs"]);
    }

    #[test]
    fn more_tools_to_call_are_wider() {
        check("", "call = ['read']", &["> call: read"]);
        check("call = ['read']", "call = ['*']", &["> call: *"]);
        check("call = ['*', '!write']", "call = ['*']", &["> call: !write"]);
        check("call = ['*', '!write']", "call = ['write']", &["< call: *", "> call: !write"]);
        check("call = ['*']", "call = ['*', '!write']", &["< call: !write"]);
        check("call = ['*', '!write']", "call = ['read']", &["< call: *"]);
        check("call = ['read']", "call = ['read', '!write']", &[]);
        check("call = ['read']", "call = ['read']", &[]);
    }

    #[test]
    fn another_use_of_a_secret_is_wider() {
        let secret = |lines: &str| format!("net = ['https://a.example']\n[plugins.a.secrets.T]\n{lines}");
        let bound = secret("env = 'T'\norigin = 'https://a.example'\nheader = 'X-Key'");
        check(
            &bound,
            &format!("{bound}\nreveal = true"),
            &[
                "< secrets: T from env T, to https://a.example as header x-key: {}",
                "> secrets: T from env T, to https://a.example as header x-key: {}, revealed",
            ],
        );
        check(
            &bound,
            &bound.replace("env = 'T'", "file = 'keys/t'"),
            &[
                "< secrets: T from env T, to https://a.example as header x-key: {}",
                "> secrets: T from file ./keys/t, to https://a.example as header x-key: {}",
            ],
        );
        let command = secret("command = ['pass', 'canary']\nreveal = true");
        assert_eq!(rights(&command).secrets, ["T from command pass, revealed"]);
        assert_eq!(rights(&secret("file = '~/k'\nreveal = true")).secrets, ["T from file ~/k, revealed"]);
        assert_eq!(rights(&secret("file = '/run/k'\nreveal = true")).secrets, ["T from file /run/k, revealed"]);
    }

    #[test]
    fn what_holds_callers_back_is_narrower() {
        check("", "inject = { a = 1 }", &["< inject: a"]);
        check("approval = 'always'", "", &["> approval: auto"]);
        check("", "approval = 'never'", &["> approval: never"]);
        check("[plugins.a.tools.t]\nallow = false", "", &["> allow: true"]);
        check("env = { A = 'canary' }", "env = { A = 'other' }", &[]);
        check("", "env = { A = 'canary' }", &["> env: A"]);
        let was = rights("arguments = { maxProperties = 8 }");
        let [change] = &was.changes(&rights(""), roots())[..] else { panic!("one rule went") };
        assert_eq!((change.key, change.way), ("arguments", Way::Wider));
        assert!(!format!("{:?}", rights("inject = { a = 'canary' }\nenv = { A = 'canary' }")).contains("canary"));
    }
}
