use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::config::{Config, read, render};
use crate::grant::{Access, FsWant, NetGrant, NetWant};

const FILE: &str = r#"[plugins.probe]
component = "probe.wasm"
net = ["https://api.example.com/v1/**"]
fs = ["./data:/data:ro"]
config = { known = 1 }
[plugins.probe.secrets.TOKEN]
env = "TOKEN"
reveal = true
[plugins.probe.secrets.KEY]
env = "KEY"
origin = "https://api.example.com"
header = "X-Key"
[plugins.probe.tools.get]
net = ["https://api.example.com/v1/items"]
fs = ["./data/sub:ro"]
secrets = []
"#;

/// The directories of the machine; what is behind an arrow is what the path is a link to.
const DIRECTORIES: &[&str] = &[
    "/srv/app/data",
    "/srv/app/data/sub",
    "/srv/app/data/out -> /srv/out",
    "/srv/app/state",
    "/srv/docs",
    "/srv/docs/a",
    "/srv/link -> /srv/docs",
    "/srv/to-proc -> /proc",
    "/home/me/.ssh",
    "/home/me",
    "/srv",
    "/proc",
];

fn real_directory(path: &Path) -> Option<PathBuf> {
    let line = |line: &&&str| line.split(" -> ").next().map(Path::new) == Some(path);
    let found = DIRECTORIES.iter().find(line)?;
    found.split(" -> ").last().map(PathBuf::from)
}

fn source(text: &str) -> Source {
    Source { name: "b.toml".into(), text: text.to_owned(), base: "/srv/app".into() }
}

fn config(text: &str) -> Result<Config, String> {
    let source = source(text);
    read(&source, &|_| None).map_err(|mistakes| render(&source, &mistakes))
}

fn seen(tool: &str, want: Want) -> Observation {
    let by = if matches!(want, Want::Fs(_)) { Witness::Plugin } else { Witness::Host };
    Observation {
        plugin: PluginName::parse("probe").unwrap(),
        tool: ToolName::parse(tool).unwrap(),
        want,
        by,
        count: 1,
        first: "T0".to_owned(),
        last: "T1".to_owned(),
        call: "c-1".to_owned(),
    }
}

/// `METHOD URL[ -> ADDRESS]`, `ro PATH`, `rw PATH`, `use NAME`, `see NAME`, `set NAME`.
fn want(text: &str) -> Want {
    let (what, rest) = text.split_once(' ').unwrap();
    match what {
        "ro" => Want::Fs(FsWant { access: Access::ReadOnly, path: rest.to_owned() }),
        "rw" => Want::Fs(FsWant { access: Access::ReadWrite, path: rest.to_owned() }),
        "use" | "see" => Want::secret(rest, what == "see").unwrap(),
        "set" => Want::Setting(rest.to_owned()),
        method => {
            let (url, address) = rest.split_once(" -> ").map_or((rest, None), |(url, ip)| (url, Some(ip)));
            let url = url::Url::parse(url).unwrap();
            let request = crate::grant::NetRequest { method, url: &url };
            Want::net(&request, address.map(|ip| ip.parse().unwrap()), &Default::default()).unwrap()
        }
    }
}

fn suggestion(text: &str, wants: &[(&str, &str)]) -> Suggestion {
    let config = config(text).unwrap();
    let observed: Vec<Observation> = wants.iter().map(|(tool, text)| seen(tool, want(text))).collect();
    let ground = Ground { real_directory: &real_directory, own: &[PathBuf::from("/srv/app/state")] };
    let suggested = suggest(&config.plugins[0], &observed.iter().collect::<Vec<_>>(), &ground);
    suggested.checked(&source(text), &|_| None)
}

/// Each line as `TABLE KEY GRANT`, what is withheld as `- WANT: WHY`.
fn shown(suggestion: &Suggestion) -> Vec<String> {
    let mut shown = Vec::new();
    for Table { table, lines, .. } in &suggestion.tables {
        for Line { key, grant, instead_of, .. } in lines {
            let instead = instead_of.as_ref().map_or(String::new(), |old| format!(" (not {old})"));
            shown.push(format!("{} {key} {grant}{instead}", table.trim_start_matches("plugins.")));
        }
    }
    shown.extend(suggestion.withheld.iter().map(|Withheld { want, why, .. }| format!("- {want}: {why}")));
    shown
}

#[track_caller]
fn check(wants: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(shown(&suggestion(FILE, wants)), expected, "{wants:?}");
}

#[test]
fn requests_become_lines_of_exactly_what_was_asked_for() {
    check(
        &[
            ("raw", "GET https://a.example.com/x?q=1"),
            ("raw", "POST https://a.example.com/x"),
            ("raw", "GET https://a.example.com/"),
            ("raw", "GET http://a.example.com:8080/x"),
            ("raw", "GET https://api.example.com/v1/there/already"),
        ],
        &[
            "probe net GET http://a.example.com:8080/x",
            "probe net GET https://a.example.com/",
            "probe net GET,POST https://a.example.com/x",
        ],
    );
    assert_eq!(suggestion(FILE, &[("raw", "GET https://api.example.com/v1/x")]).granted, 1);
}

#[test]
fn several_ids_in_one_place_become_an_asterisk_and_nothing_else_does() {
    let ask = |path: &str| format!("GET https://a.example.com{path}");
    for (paths, expected) in [
        (&["/u/1/x", "/u/22/x"][..], &["/u/1/x", "/u/22/x"][..]),
        (&["/u/1/x", "/u/22/x", "/u/333/x", "/u/4/y"], &["/u/*/x", "/u/4/y"]),
        (&["/u/deadbeef01", "/u/0123-4567-89ab", "/u/12345678"], &["/u/*"]),
        (&["/u/ann", "/u/bob", "/u/eve", "/u/v1", "/u/dead"], &["/u/ann", "/u/bob", "/u/dead", "/u/eve", "/u/v1"]),
    ] {
        let asked: Vec<String> = paths.iter().map(|path| ask(path)).collect();
        let wants: Vec<(&str, &str)> = asked.iter().map(|asked| ("raw", asked.as_str())).collect();
        let expected: Vec<String> =
            expected.iter().map(|path| format!("probe net GET https://a.example.com{path}")).collect();
        assert_eq!(shown(&suggestion(FILE, &wants)), expected);
    }
}

#[test]
fn what_leads_inward_is_named_and_not_suggested() {
    check(
        &[
            ("raw", "GET http://10.0.0.7:8080/x"),
            ("raw", "GET http://127.0.0.1/"),
            ("raw", "GET http://[fe80::1]/"),
            ("raw", "GET http://localhost/"),
            ("raw", "GET http://printer/"),
            ("raw", "GET http://db.internal/"),
            ("raw", "GET https://api.example.com/v1/x -> 10.1.2.3"),
        ],
        &[
            "- GET http://10.0.0.7:8080/x: 10.0.0.7 is a private address",
            "- GET http://127.0.0.1/: 127.0.0.1 is a loopback address",
            "- GET http://[fe80::1]/: fe80::1 is a link-local address",
            "- GET http://localhost/: `localhost` is this machine",
            "- GET http://printer/: `printer` is a name of a private network",
            "- GET http://db.internal/: `db.internal` is a name of a private network",
            "- GET https://api.example.com/v1/x: `api.example.com` led to 10.1.2.3, a private address",
        ],
    );
    let by_hand: Vec<Option<String>> =
        suggestion(FILE, &[("raw", "GET http://10.0.0.7/x"), ("raw", "GET https://api.example.com/v1/x -> 10.1.2.3")])
            .withheld
            .into_iter()
            .map(|withheld| withheld.by_hand)
            .collect();
    assert_eq!(
        by_hand.iter().flatten().collect::<Vec<_>>(),
        ["net = [\"GET http://10.0.0.7/x\"]", "addresses = [\"10.1.2.3\"] under [plugins.probe]"]
    );
}

#[test]
fn a_metadata_service_has_no_line_at_all() {
    for request in [
        "GET http://169.254.169.254/latest/meta-data",
        "GET http://[fd00:ec2::254]/",
        "GET http://metadata.google.internal/",
        "GET https://api.example.com/v1/x -> 169.254.169.254",
    ] {
        let suggestion = suggestion(FILE, &[("raw", request)]);
        let [Withheld { why, by_hand: None, .. }] = &suggestion.withheld[..] else { panic!("{suggestion:?}") };
        assert!(why.contains("cloud metadata") && why.contains("credentials"), "{why}");
        let text = suggestion.text();
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "{text}");
        assert!(!text.contains("net = ["), "{text}");
    }
}

#[test]
fn what_no_line_can_allow_is_told() {
    check(
        &[("raw", "CONNECT https://a.example.com/"), ("raw", "GET https://a.example.com/%2e%2e%2fx")],
        &[
            "- CONNECT https://a.example.com/: no line can allow such a request",
            "- GET https://a.example.com/%2e%2e%2fx: its path can be read in two ways, so that only a grant for the \
             whole host lets it through",
        ],
    );
}

#[test]
fn a_tool_with_a_rule_of_its_own_needs_the_line_there_too() {
    check(
        &[("get", "GET https://api.example.com/v1/x"), ("get", "GET https://a.example.com/x"), ("get", "use KEY")],
        &[
            "probe net GET https://a.example.com/x",
            "probe.tools.get net GET https://a.example.com/x",
            "probe.tools.get net GET https://api.example.com/v1/x",
            "probe.tools.get secrets KEY",
        ],
    );
    let ids: Vec<(&str, String)> = (1..4).map(|n| ("get", format!("GET https://a.example.com/{n}"))).collect();
    let ids: Vec<(&str, &str)> = ids.iter().map(|(tool, text)| (*tool, text.as_str())).collect();
    check(
        &ids,
        &[
            "probe net GET https://a.example.com/*",
            "probe.tools.get net GET https://a.example.com/1",
            "probe.tools.get net GET https://a.example.com/2",
            "probe.tools.get net GET https://a.example.com/3",
        ],
    );
}

#[test]
fn a_line_that_holds_for_other_tools_too_says_so() {
    let text = FILE.replace("tools.get]", "tools.\"*\"]");
    let suggestion = suggestion(&text, &[("any", "use KEY"), ("any", "GET https://api.example.com/v1/x")]);
    assert_eq!(
        shown(&suggestion),
        ["probe.tools.\"*\" net GET https://api.example.com/v1/x", "probe.tools.\"*\" secrets KEY"]
    );
    let said = suggestion.text().matches("the rule is for every tool that has none of its own").count();
    assert_eq!(said, 2, "{}", suggestion.text());
}

#[test]
fn a_path_becomes_the_directory_it_lies_in() {
    check(
        &[
            ("read", "ro /srv/docs/x.txt"),
            ("read", "ro /srv/docs/a"),
            ("read", "rw /data/sub/new.txt"),
            ("read", "ro /data/x.txt"),
        ],
        &["probe fs ./data/sub:/data/sub:rw", "probe fs /srv/docs:ro"],
    );
    check(&[("read", "rw /data/new/deep.txt")], &["probe fs ./data:/data:rw (not ./data:/data:ro)"]);
    check(&[("read", "rw /data/x"), ("read", "rw /data/sub/x")], &["probe fs ./data:/data:rw (not ./data:/data:ro)"]);
    check(&[("read", "ro /srv/link/x")], &["probe fs /srv/docs:/srv/link:ro"]);
    check(
        &[("get", "ro /data/x.txt"), ("get", "rw /data/sub/x")],
        &[
            "probe fs ./data/sub:/data/sub:rw",
            "probe.tools.get fs ./data:/data:ro",
            "probe.tools.get fs ./data/sub:rw (not ./data/sub:ro)",
        ],
    );
}

#[test]
fn a_path_that_leads_where_nobody_should_be_led_is_not_suggested() {
    check(
        &[
            ("read", "ro notes.txt"),
            ("read", "ro /nowhere/x"),
            ("read", "ro /proc/self/environ"),
            ("read", "ro /srv/to-proc/x"),
            ("read", "ro /srv/app/state/host.key"),
            ("read", "ro /srv/x"),
            ("read", "ro /home/me/.ssh/id"),
            ("read", "rw /data/out/x"),
            ("read", "ro /x"),
            ("read", "ro /srv/docs\nnet = [\"https://*\"]/x"),
        ],
        &[
            "- read notes.txt: it is relative, and the plugin has no directory that it could lie in",
            "- read /nowhere/x: there is no directory /nowhere on this machine",
            "- read /proc/self/environ: there is no directory /proc/self on this machine",
            "- read /srv/to-proc/x: `/proc` lies in `/proc`, which is never granted",
            "- read /srv/app/state/host.key: /srv/app/state holds what the host keeps for itself",
            "- read /srv/x: /srv holds what the host keeps for itself",
            "- read /home/me/.ssh/id: /home/me/.ssh is where programs keep credentials",
            "- write /data/out/x: it leads to /srv/out, which is not in `./data:/data:ro`",
            "- read /x: it lies in no directory that could be granted",
            "- read /srv/docs\\nnet = [\"https://*\"]/x: its name holds a character that no grant can",
        ],
    );
}

#[test]
fn a_line_that_would_be_a_mistake_is_withheld_with_the_mistake() {
    // What may be written must not hold the component, nor the file itself.
    let text = "[plugins.probe]\ncomponent = \"/srv/docs/probe.wasm\"\n";
    assert_eq!(
        shown(&suggestion(text, &[("write", "rw /srv/docs/x")])),
        ["- fs = [\"/srv/docs:rw\"]: `fs = [\"/srv/docs:rw\"]` under [plugins.probe] would be a mistake: the plugin \
             may not have `/srv/docs:rw`: it could replace its own component"]
    );
    let suggested = suggestion(text, &[("read", "ro /srv/docs/x")]);
    assert_eq!(shown(&suggested), ["probe fs /srv/docs:ro"]);
}

#[test]
fn secrets_and_settings_are_a_persons_to_fill_in() {
    check(
        &[("raw", "use NONE"), ("raw", "see KEY"), ("raw", "see TOKEN"), ("raw", "set known"), ("raw", "set max")],
        &[
            "- use the secret NONE: the plugin has no secret of this name, and only you know which one it could be",
            "- see the value of the secret KEY: it is granted for use by the host, and this would hand its value to the plugin",
            "- read the setting max: it is not set, which may be meant so",
        ],
    );
}

#[test]
fn it_is_toml_whatever_a_plugin_wrote() {
    let wants = [
        ("raw", "GET https://a.example.com/x"),
        ("get", "GET https://a.example.com/x"),
        ("read", "rw /data/x"),
        ("read", "ro /srv/link/x"),
        ("read", "ro /evil\n[plugins.evil]\nx = 1/y"),
        ("raw", "set a\n[plugins.evil]"),
        ("get", "use KEY"),
        ("raw", "GET http://10.0.0.7/"),
    ];
    let text = suggestion(FILE, &wants).text();
    let expected = "\
# What `probe` (b.toml:1) asked for and was refused. Nothing of it is granted until you write it
# there yourself: where a list is there already, add to it.

[plugins.probe]
net = [
    # `raw` once, last T1 (call c-1); `get` once, last T1 (call c-1)
    \"GET https://a.example.com/x\",
]
fs = [
    # `read` once, last T1 (call c-1), by the plugin's own word
    # in the place of \"./data:/data:ro\"
    \"./data:/data:rw\",
    # `read` once, last T1 (call c-1), by the plugin's own word
    # `/srv/link` is a link to it
    \"/srv/docs:/srv/link:ro\",
]

[plugins.probe.tools.get]
net = [
    # `get` once, last T1 (call c-1)
    \"GET https://a.example.com/x\",
]
secrets = [
    # `get` once, last T1 (call c-1)
    \"KEY\",
]

# Not suggested, because it takes someone who knows more:
#
# read /evil\\n[plugins.evil]\\nx = 1/y
#   `read` once, last T1 (call c-1), by the plugin's own word
#   its name holds a character that no grant can
#
# read the setting a\\n[plugins.evil]
#   `raw` once, last T1 (call c-1)
#   it is not set, which may be meant so
#   by hand: config.\"\"\"\\na\\n[plugins.evil]\"\"\" = … under [plugins.probe]
#
# GET http://10.0.0.7/
#   `raw` once, last T1 (call c-1)
#   10.0.0.7 is a private address
#   by hand: net = [\"GET http://10.0.0.7/\"]
";
    assert_eq!(text, expected);
    let parsed: Toml = text.parse().unwrap();
    assert_eq!(parsed["plugins"].as_table().unwrap().keys().collect::<Vec<_>>(), ["probe"]);
}

#[test]
fn nothing_observed_is_told_with_what_to_do() {
    let nothing = suggestion(FILE, &[]).text();
    assert!(nothing.contains("bailiwick call --observe") && nothing.lines().all(|line| line.starts_with('#')));
    let granted = suggestion(FILE, &[("raw", "GET https://api.example.com/v1/x")]).text();
    assert!(
        granted.contains("no line to suggest") && granted.contains("1 of what it asked for is granted"),
        "{granted}"
    );
}

const HOSTS: &[&str] =
    &["a.example.com", "b.example.com", "x.a.example.com", "8.8.8.8", "10.0.0.7", "169.254.169.254", "localhost"];
const PATHS: &[&str] = &["/", "/v1", "/v1/1", "/v1/2", "/v1/3", "/v1/a%2fb", "/a*b", "//x", "/v1/1/x"];
const FOLDERS: &[&str] = &["./data:/data:ro", "./data/sub:/data/sub:rw", "/srv/docs:ro", "/srv/docs/a:/a:rw"];
const FILES: &[&str] = &["/data/x", "/data/sub/x", "/srv/docs/x", "/srv/docs/a/x", "/a/x", "/srv/link/x", "x", "/data"];
const GRANTED: &[&str] = &["https://a.example.com", "GET https://*.example.com/v1/**", "https://*", "http://10.0.0.7"];

fn any_want() -> impl Strategy<Value = Want> {
    let scheme = || select(&["http", "https"][..]);
    let net = (select(&["GET", "POST", "CONNECT"][..]), scheme(), select(HOSTS), select(PATHS));
    let net = net.prop_map(|(method, scheme, host, path)| want(&format!("{method} {scheme}://{host}{path}")));
    let fs = (select(&["ro", "rw"][..]), select(FILES)).prop_map(|(access, path)| want(&format!("{access} {path}")));
    let call = select(&["read", "write"][..]).prop_map(|tool| Want::Call(ToolName::parse(tool).unwrap()));
    prop_oneof![4 => net, 2 => fs, 1 => call]
}

fn covered(plugin: &Plugin, tool: &str, want: &Want) -> bool {
    let grants = plugin.rules_for(tool).grants;
    match want {
        Want::Net(want) => {
            let grant = |text: &str| NetGrant::parse(text, 1, Default::default());
            let grant = grant(&want.to_string()).or(grant(&format!("{} {}", want.method, want.origin()))).unwrap();
            grants.net.covers(&grant) && grants.net.outer().is_none_or(|outer| outer.covers(&grant))
        }
        Want::Fs(FsWant { access: Access::ReadOnly, path }) => grants.fs.decide_read(path).is_ok(),
        Want::Fs(FsWant { access: Access::ReadWrite, path }) => grants.fs.decide_write(path).is_ok(),
        Want::Call(tool) => grants.call.allows(tool),
        Want::Secret(_) | Want::Setting(_) => unreachable!("none is asked for"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Every want is covered or left to a person, by the file with the lines in it; and what was suggested goes to no
    /// host that was not asked for, and never inward.
    #[test]
    fn what_is_suggested_covers_what_was_asked_for_and_goes_nowhere_else(
        net in subsequence(GRANTED, 0..3),
        fs in subsequence(FOLDERS, 0..3),
        rule in prop::option::of((prop::bool::ANY, prop::bool::ANY)),
        wants in prop::collection::vec((select(&["get", "put"][..]), any_want()), 1..12),
    ) {
        let mut text = format!("[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = {net:?}\nfs = {fs:?}\n");
        if let Some((net, fs)) = rule {
            text.push_str("[plugins.probe.tools.get]\n");
            text.push_str(if net { "net = []\n" } else { "" });
            text.push_str(if fs { "fs = []\n" } else { "" });
        }
        let Ok(before) = config(&text) else { return Ok(()) };
        let observed: Vec<Observation> = wants.iter().map(|(tool, want)| seen(tool, want.clone())).collect();
        let ground = Ground { real_directory: &real_directory, own: &[] };
        let suggested = suggest(&before.plugins[0], &observed.iter().collect::<Vec<_>>(), &ground);
        let suggested = suggested.checked(&source(&text), &|_| None);

        let printed: Toml = suggested.text().parse().expect("it is TOML");
        let mut file: Toml = text.parse().expect("it was read");
        merge(&mut file, printed);
        let after = config(&toml::to_string(&file).expect("TOML")).expect("the file with the lines is right");
        let withheld: Vec<&str> = suggested.withheld.iter().map(|withheld| withheld.want.as_str()).collect();
        let mistakes = suggested.withheld.iter().any(|withheld| withheld.why.contains("would be a mistake"));
        for (tool, want) in &wants {
            let left_out = withheld.contains(&want.to_string().as_str());
            prop_assert!(mistakes || left_out || covered(&after.plugins[0], tool, want), "{}\n{} {}\n{}", text, tool, want, suggested.text());
        }
        let asked = |grant: &NetGrant| wants.iter().any(|(_, want)| match want {
            Want::Net(NetWant { scheme, host, .. }) => grant.text().contains(&format!(" {scheme}://{host}")),
            Want::Fs(_) | Want::Secret(_) | Want::Setting(_) | Want::Call(_) => false,
        });
        for line in suggested.tables.iter().flat_map(|table| &table.lines).filter(|line| line.key == "net") {
            let grant = NetGrant::parse(&line.grant, 1, Default::default()).expect("it is a grant");
            prop_assert!(asked(&grant), "{}", line.grant);
            for inward in ["10.0.0.7", "169.254.169.254", "localhost"] {
                prop_assert!(!line.grant.contains(inward), "{}", line.grant);
            }
        }
    }
}
