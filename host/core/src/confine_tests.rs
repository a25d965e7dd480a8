use std::collections::BTreeMap;

use super::*;
use crate::config::{Source, read, render};

/// What is where on the machine of these tests: paths with what they lead to.
struct Machine(BTreeMap<PathBuf, PathBuf>);

impl Machine {
    /// Everything that is named, and the folders around it, as it stands; `A -> B` is a link.
    fn with(paths: &[&str]) -> Self {
        let mut known = BTreeMap::new();
        for path in paths {
            let (from, to) = path.split_once(" -> ").unwrap_or((path, path));
            known.insert(PathBuf::from(from), PathBuf::from(to));
            for around in [from, to].into_iter().flat_map(|path| Path::new(path).ancestors().skip(1)) {
                known.entry(around.to_owned()).or_insert_with(|| around.to_owned());
            }
        }
        Self(known)
    }

    fn real(&self, path: &Path) -> Option<PathBuf> {
        self.0.get(path).cloned()
    }
}

fn config(text: &str) -> Config {
    let source = Source { name: "b.toml".into(), text: text.into(), base: "/srv/app".into() };
    let home = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
    read(&source, &home).unwrap_or_else(|mistakes| panic!("{}", render(&source, &mistakes)))
}

const OWN: [&str; 4] = ["/srv/app/b.toml", "/var/state/audit.db", "/var/cache/b", "/usr/bin/bailiwick"];

fn confinement(text: &str, life: Life, paths: &[&str]) -> Confinement {
    let machine = Machine::with(&[&OWN, paths].concat());
    let site = Site {
        config: Path::new("/srv/app/b.toml"),
        state: Path::new("/var/state"),
        cache: Path::new("/var/cache/b"),
        audit: Path::new("/var/state/audit.db"),
        out: None,
        program: Path::new("/usr/bin/bailiwick"),
        libraries: &[],
    };
    let look = Look { home: Some(Path::new("/home/me")), real: &|path| machine.real(path) };
    Confinement::of(&config(text), life, site, look)
}

/// The rules beyond those every host has.
#[track_caller]
fn check(text: &str, life: Life, paths: &[&str], expected: &[&str]) {
    let every: Vec<FileRule> = confinement("", life, &[]).files;
    let rules = confinement(text, life, paths).files;
    let shown = rules.iter().filter(|rule| !every.contains(rule)).map(|rule| {
        let at = rule.at.as_deref().unwrap_or("-");
        format!("{} {} {at}", rule.reach.as_str(), rule.path.display())
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

#[test]
fn a_host_that_is_granted_nothing_reaches_its_own_files_and_no_network() {
    let paths = ["/proc/self -> /proc/77", "/dev/null", "/lib/x/libc.so.6"];
    let machine = Machine::with(&[&OWN, &paths[..]].concat());
    let site = Site {
        config: Path::new("/srv/app/b.toml"),
        state: Path::new("/var/state"),
        cache: Path::new("/var/cache/b"),
        audit: Path::new("/var/log/b/audit.db"),
        out: None,
        program: Path::new("/usr/bin/bailiwick"),
        libraries: &["/lib/x/libc.so.6".into()],
    };
    let look = Look { home: None, real: &|path| machine.real(path) };
    let own = |life| Confinement::of(&Config::default(), life, site, look);
    let shown = |life| {
        let rules = own(life).files;
        rules.iter().map(|rule| format!("{} {}", rule.reach.as_str(), rule.path.display())).collect::<Vec<_>>()
    };
    let common = ["read /proc/77", "use /dev/null", "run /usr/bin/bailiwick", "run /lib/x"];
    assert_eq!(shown(Life::Once), [&["change /var/state", "change /var/cache/b"], &common[..]].concat());
    let serving = ["change /var/state", "change /var/cache/b", "read /srv/app"];
    assert_eq!(shown(Life::Serving), [&serving[..], &common[..]].concat());
    assert_eq!((own(Life::Once).sockets, own(Life::Once).ports().len()), (Sockets::None, 0));
}

#[test]
fn the_folder_of_an_audit_elsewhere_is_written_to_and_not_read() {
    let machine = Machine::with(&["/var/log/b", "/var/state"]);
    let site = Site {
        config: Path::new("/srv/app/b.toml"),
        state: Path::new("/var/state"),
        cache: Path::new("/nowhere"),
        audit: Path::new("/var/log/b/audit.db"),
        out: Some(Path::new("/var/log")),
        program: Path::new("/nowhere"),
        libraries: &[],
    };
    let look = Look { home: None, real: &|path| machine.real(path) };
    let rules = Confinement::of(&Config::default(), Life::Once, site, look).files;
    let reach: Vec<(Reach, &str)> = rules.iter().map(|rule| (rule.reach, rule.path.to_str().unwrap())).collect();
    assert_eq!(reach, [(Reach::Change, "/var/state"), (Reach::Change, "/var/log/b"), (Reach::Change, "/var/log")]);
}

#[test]
fn directories_are_in_reach_as_they_are_granted() {
    let text = "[plugins.a]\ncomponent = \"builtin:a\"\nfs = [\"./docs\", \"./work:rw\", \"./gone\"]\n\
                [plugins.a.tools.t]\nfs = [\"./work/link:ro\"]\n\
                [plugins.off]\nenabled = false\ncomponent = \"builtin:a\"\nfs = [\"./secret:rw\"]";
    check(
        text,
        Life::Serving,
        &["/srv/app/docs", "/srv/app/work", "/srv/app/work/link -> /mnt/disk", "/srv/app/secret"],
        &["change /srv/app/work b.toml:3", "read /mnt/disk b.toml:5"],
    );
    check(
        text,
        Life::Once,
        &["/srv/app/docs", "/srv/app/work", "/srv/app/work/link -> /mnt/disk", "/srv/app/secret"],
        &["read /srv/app/docs b.toml:3", "change /srv/app/work b.toml:3", "read /mnt/disk b.toml:5"],
    );
}

#[test]
fn a_file_that_is_read_once_is_in_reach_alone_and_one_that_is_replaced_with_its_folder() {
    let text = "[plugins.a]\ncomponent = \"/opt/plugins/a.wasm\"\n[plugins.a.secrets.KEY]\nfile = \"~/keys/k\"\n\
                reveal = true";
    let paths = ["/opt/plugins/a.wasm", "/home/me/keys/k"];
    check(text, Life::Once, &paths, &["read /opt/plugins/a.wasm b.toml:1", "read /home/me/keys/k b.toml:3"]);
    check(text, Life::Serving, &paths, &["read /opt/plugins b.toml:1", "read /home/me/keys b.toml:3"]);
}

#[test]
fn behind_a_link_both_folders_are_in_reach() {
    let text = "[plugins.a]\ncomponent = \"/opt/plugins/a.wasm\"";
    let paths = ["/opt/plugins/a.wasm -> /opt/plugins/..1/a.wasm"];
    check(text, Life::Serving, &paths, &["read /opt/plugins b.toml:1"]);
    let paths = ["/opt/plugins/a.wasm -> /build/out/a.wasm"];
    check(text, Life::Serving, &paths, &["read /build/out b.toml:1", "read /opt/plugins b.toml:1"]);
    check(text, Life::Once, &paths, &["read /build/out/a.wasm b.toml:1"]);
}

#[test]
fn no_folder_that_everybody_uses_is_opened_up_for_one_file() {
    for (folder, shared) in [
        ("/etc", true),
        ("/tmp", true),
        ("/home/me", true),
        ("/home", true),
        ("/", true),
        ("/etc/bailiwick", false),
        ("/home/me/tools", false),
        ("/app", false),
    ] {
        let file = format!("{}/a.wasm", folder.trim_end_matches('/'));
        let text = format!("[plugins.a]\ncomponent = {file:?}");
        let found = confinement(&text, Life::Serving, &[&file]);
        let rule = found.files.last().unwrap();
        let expected = if shared { file.as_str() } else { folder };
        assert_eq!((rule.path.to_str().unwrap(), found.pinned.len()), (expected, usize::from(shared)), "{folder}");
        if shared {
            assert!(found.pinned[0].to_string().starts_with(&format!("the component of `a` {file} is out of reach")));
        }
        assert!(confinement(&text, Life::Once, &[&file]).pinned.is_empty(), "read once, there is no successor");
    }
}

#[test]
fn connections_go_to_granted_ports_and_names_are_looked_up_for_grants_that_have_one() {
    let text = "[plugins.a]\ncomponent = \"builtin:a\"\nnet = [\"https://*.example.com\", \"http://127.0.0.1:8080\"]\n\
                [plugins.b]\ncomponent = \"builtin:b\"\nnet = [\"POST https://localhost:8443/x\"]\n\
                [plugins.off]\nenabled = false\ncomponent = \"builtin:b\"\nnet = [\"http://x.test\"]";
    let found = confinement(text, Life::Once, &[]);
    assert_eq!(found.sockets, Sockets::Tcp);
    assert_eq!(found.ports().into_iter().collect::<Vec<_>>(), [443, 8080, 8443]);
    let names: Vec<String> = found.names().into_iter().map(ToString::to_string).collect();
    assert_eq!(names, ["*.example.com", "localhost"]);
    let addresses = "[plugins.a]\ncomponent = \"builtin:a\"\nnet = [\"http://127.0.0.1:8080\", \"http://[::1]\"]";
    let found = confinement(addresses, Life::Once, &[]);
    assert!(found.names().is_empty() && found.ports().len() == 2);
}

#[test]
fn who_looks_up_names_reads_everything_and_changes_nothing() {
    let found = Confinement::of_resolver();
    let reach: Vec<(Reach, &Path)> = found.files.iter().map(|rule| (rule.reach, rule.path.as_path())).collect();
    assert_eq!((reach, found.sockets), (vec![(Reach::Read, Path::new("/"))], Sockets::Any));
}

/// What of `after` a host cannot have that was confined for `before`.
#[track_caller]
fn check_beyond(before: &str, after: &str, paths: &[&str], expected: &[&str]) {
    let machine = Machine::with(&[&OWN, paths].concat());
    let look = Look { home: Some(Path::new("/home/me")), real: &|path| machine.real(path) };
    let held = confinement(before, Life::Serving, paths);
    let plugin = config(after).plugins.remove(0);
    let beyond: Vec<String> = held.beyond(&plugin, look).iter().map(ToString::to_string).collect();
    let told = |what: &&str| format!("{what} lies outside of what the host was confined to at its start; restart it");
    assert_eq!(beyond, expected.iter().map(told).collect::<Vec<_>>());
}

const BEFORE: &str = "[plugins.a]\ncomponent = \"builtin:a\"\nfs = [\"/data/in:ro\", \"/data/out:rw\"]\n\
                      net = [\"https://*.example.com\"]\n[plugins.a.secrets.KEY]\ncommand = [\"pass\", \"key\"]\n\
                      reveal = true";

#[test]
fn a_change_within_the_confinement_is_no_trouble() {
    let paths = ["/data/in/a", "/data/out/b", "/srv/app/plugins/c.wasm"];
    check_beyond(BEFORE, BEFORE, &paths, &[]);
    let narrower = "[plugins.b]\ncomponent = \"./plugins/c.wasm\"\nfs = [\"/data/in/a\", \"/data/out/b:rw\"]\n\
                    net = [\"POST https://api.example.com/v1\"]\n[plugins.b.secrets.OTHER]\n\
                    command = [\"pass\", \"key\"]\nreveal = true";
    check_beyond(BEFORE, narrower, &paths, &[]);
    let not_there = "[plugins.a]\ncomponent = \"/gone/a.wasm\"\nfs = [\"/nowhere:rw\"]";
    check_beyond(BEFORE, not_there, &paths, &[]);
}

#[test]
fn a_change_beyond_the_confinement_is_told_with_its_line() {
    let after = "[plugins.b]\ncomponent = \"/opt/plugins/c.wasm\"\nfs = [\"/data/in:rw\", \"/data\"]\n\
                 net = [\"https://example.org\", \"https://a.example.com:8443\", \"https://127.0.0.1\"]\n\
                 [plugins.b.secrets.KEY]\ncommand = [\"pass\", \"other\"]\nreveal = true";
    check_beyond(
        BEFORE,
        after,
        &["/data/in", "/data/out", "/opt/plugins/c.wasm"],
        &[
            "the component of `b` (/opt/plugins, b.toml:1)",
            "`/data/in:rw` in `fs` of `b` (/data/in, b.toml:3)",
            "`/data` in `fs` of `b` (/data, b.toml:3)",
            "`https://example.org` in `net` of `b` (b.toml:4)",
            "`https://a.example.com:8443` in `net` of `b` (b.toml:4)",
            "the command of the secret `KEY` (b.toml:5)",
        ],
    );
}

#[test]
fn a_link_that_leads_elsewhere_is_judged_as_where_it_leads() {
    let grant = "[plugins.a]\ncomponent = \"builtin:a\"\nfs = [\"/data/in\"]";
    let held = confinement(grant, Life::Serving, &["/data/in -> /data/1"]);
    let machine = Machine::with(&["/data/in -> /data/2"]);
    let look = Look { home: None, real: &|path| machine.real(path) };
    let beyond = held.beyond(&config(grant).plugins[0], look);
    assert_eq!(beyond[0].at, "/data/2, b.toml:3");
}

#[test]
fn what_the_host_itself_asks_for_is_in_reach() {
    let text = "[telemetry]\notlp = \"http://127.0.0.1:4318\"\n[approval]\nwebhook = \"https://hooks.example.com/x\"\n\
                [policies.p]\ntools = [\"*\"]\n[gateway.oauth]\nissuer = \"https://id.example.com:8443\"\n\
                audience = \"a\"\npolicy = \"p\"\njwks = \"http://[::1]:81/keys\"";
    let all = confinement(text, Life::Serving, &[]);
    assert_eq!(all.sockets, Sockets::Tcp);
    assert_eq!(all.ports().into_iter().collect::<Vec<_>>(), [81, 443, 4318, 8443]);
    let names: Vec<String> = all.names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["hooks.example.com", "id.example.com"]);
}

#[test]
fn what_a_command_names_stays_in_reach_beside_the_rest() {
    let nothing = confinement("", Life::Once, &[]);
    assert_eq!(nothing.sockets, Sockets::None);
    let more = nothing.and_host(&Url::parse("http://gpu.lan:8000/v1").unwrap(), "`--base-url`", "--base-url");
    assert_eq!((more.sockets, more.ports().into_iter().collect::<Vec<_>>()), (Sockets::Tcp, vec![8000]));
    assert_eq!(more.names().iter().map(ToString::to_string).collect::<Vec<_>>(), ["gpu.lan"]);
}
