use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use url::Url;

use super::*;
use crate::config::{Config, Source, read, render};

const FILE: &str = r#"[plugins.probe]
component = "probe.wasm"
net = [
    "https://api.example.com/v1/**",
    "POST http://10.0.0.7:8080",
    "GET https://db.example.com",
]
addresses = ["10.0.0.0/8"]
fs = ["./data:/data:ro", "./notes:/notes:rw"]
inject = { n = 1 }
[plugins.probe.secrets.TOKEN]
env = "TOKEN"
origin = "https://api.example.com"
header = "Authorization"
[plugins.probe.secrets.KEY]
file = "key"
reveal = true
[plugins.probe.tools.get]
net = ["https://api.example.com/v1/items/*"]
secrets = ["KEY"]
approval = "always"
[plugins.probe.tools.off]
allow = false
[plugins.probe.tools.silent]
limits.http_requests = 0
"#;

fn config(text: &str) -> Result<Config, String> {
    let source = Source { name: "b.toml".into(), text: text.to_owned(), base: "/srv/app".into() };
    read(&source, &|_| None).map_err(|mistakes| render(&source, &mistakes))
}

fn shown(answer: &Answer) -> String {
    let mut lines = match &answer.ruling {
        Ruling::Allowed { by } => vec![format!("allowed by {} {}", by.at, by.text)],
        Ruling::Denied { code, reason, by, fix } => {
            let mut lines = vec![format!("{code} by {} {}: {reason}", by.at, by.text)];
            lines.extend(fix.iter().map(|fix| format!("+ {} under [{}] ({})", fix.line, fix.table, fix.at)));
            lines
        }
    };
    lines.extend(answer.notes.iter().map(|note| format!("{}: {}", note.about, note.text)));
    lines.join("\n")
}

#[track_caller]
fn check(tool: Option<&str>, ask: impl Fn(&Subject<'_>) -> Answer, expected: &str) {
    let config = config(FILE).unwrap();
    assert_eq!(shown(&ask(&Subject::new(&config.plugins[0], tool))), expected);
}

fn net(request: &str) -> impl Fn(&Subject<'_>) -> Answer {
    let (method, url) = request.split_once(' ').unwrap();
    let url = Url::parse(url).unwrap();
    move |subject| subject.net(&NetRequest { method, url: &url })
}

#[test]
fn a_request_is_answered_with_its_line_its_addresses_and_its_secrets() {
    check(
        None,
        net("GET https://api.example.com/v1/x?q=1"),
        "allowed by b.toml:4 net 1: https://api.example.com/v1/**\n\
         methods: the grant names none, which means GET and HEAD\n\
         addresses: the name is looked up at the call; it may lead to public ones, and 10.0.0.0/8, without metadata services\n\
         secret: `TOKEN` is put into the header `authorization` by the host\n\
         limits: 100 requests in one call, 6 at once; bodies of 1MiB out and 8MiB in",
    );
    check(
        None,
        net("POST http://10.0.0.7:8080/x"),
        "allowed by b.toml:5 net 2: POST http://10.0.0.7:8080\n\
         addresses: 10.0.0.7 (private), which the grant itself names\n\
         limits: 100 requests in one call, 6 at once; bodies of 1MiB out and 8MiB in",
    );
}

#[test]
fn a_refused_request_is_answered_with_what_decides_and_what_would_change_it() {
    check(
        None,
        net("DELETE https://db.example.com/x"),
        "denied.net.method by b.toml:6 net 3: GET https://db.example.com: `DELETE` to this host is not granted\n\
         + net = [\"DELETE https://db.example.com/x\"] under [plugins.probe] (b.toml:1)",
    );
    check(
        None,
        net("GET https://api.exmple.com/"),
        "denied.net.host by b.toml:1 [plugins.probe]: no `net` of `[plugins.probe]` (b.toml:1) names the host `api.exmple.com`\n\
         + net = [\"GET https://api.exmple.com\"] under [plugins.probe] (b.toml:1)\n\
         meant: perhaps b.toml:4  net 1: https://api.example.com/v1/**",
    );
    check(
        None,
        net("GET http://169.254.169.254/latest"),
        "denied.net.host by b.toml:1 [plugins.probe]: no `net` of `[plugins.probe]` (b.toml:1) names the host `169.254.169.254`\n\
         + net = [\"GET http://169.254.169.254/latest\"] under [plugins.probe] (b.toml:1)\n\
         + danger_metadata_addresses = true under [plugins.probe] (b.toml:1)\n\
         address: 169.254.169.254 is a cloud metadata address",
    );
}

#[test]
fn a_tool_is_answered_by_its_own_rule() {
    check(
        Some("get"),
        net("GET https://api.example.com/v1/x"),
        "denied.net.path by b.toml:19 net 1: https://api.example.com/v1/items/*: this path is not granted\n\
         + net = [\"GET https://api.example.com/v1/x\"] under [plugins.probe.tools.get] (b.toml:18)",
    );
    check(
        Some("silent"),
        net("GET https://db.example.com/"),
        "limit.http by b.toml:24 [plugins.probe.tools.silent]: `limits.http_requests` is 0: no request is sent at all\n\
         + limits.http_requests = 100 under [plugins.probe.tools.silent] (b.toml:24)",
    );
    let config = config(FILE).unwrap();
    let off = Subject::new(&config.plugins[0], Some("off")).switched_off().unwrap();
    assert_eq!(
        shown(&off),
        "denied.tool by b.toml:22 [plugins.probe.tools.off]: it is switched off in the configuration\n\
         + allow = true under [plugins.probe.tools.off] (b.toml:22)"
    );
    let get = Subject::new(&config.plugins[0], Some("get"));
    assert_eq!(get.switched_off(), None);
    let notes: Vec<&str> = get.notes().iter().map(|note| note.about).collect();
    assert_eq!(notes, ["approval", "arguments"]);
    let whole = Subject::new(&config.plugins[0], None).notes();
    assert_eq!(
        whole.last().unwrap().text,
        "`probe.get`, `probe.off`, `probe.silent` may have less: ask for it by that name"
    );
}

#[test]
fn a_path_is_answered_with_where_it_lies_on_the_host() {
    check(
        None,
        |subject| subject.fs(Access::ReadOnly, "sub/../x.txt"),
        "allowed by b.toml:9 fs: ./data:/data:ro\n\
         path: it means `/data/x.txt`\n\
         host path: /srv/app/data/x.txt\n\
         links: one that leads out of the directory is refused at the call",
    );
    check(
        None,
        |subject| subject.fs(Access::ReadOnly, "/notes/../data/x.txt"),
        "allowed by b.toml:9 fs: ./data:/data:ro\n\
         path: it means `/data/x.txt`\n\
         path: as it is written it leads out of `./notes:/notes:rw`, and is refused to a plugin that does not take `..` out\n\
         host path: /srv/app/data/x.txt\n\
         links: one that leads out of the directory is refused at the call",
    );
    check(
        None,
        |subject| subject.fs(Access::ReadWrite, "/data/x.txt"),
        "denied.fs.write by b.toml:9 fs: ./data:/data:ro: `./data:/data:ro` is read-only\n\
         + fs = [\"./data:/data:rw\"] under [plugins.probe] (b.toml:1)",
    );
    check(
        None,
        |subject| subject.fs(Access::ReadOnly, "/data/../etc/passwd"),
        "denied.fs.read by b.toml:1 [plugins.probe]: it lies outside of `/data`, `/notes`\n\
         + fs = [\"/etc:ro\"] under [plugins.probe] (b.toml:1)\n\
         path: it means `/etc/passwd`",
    );
    check(
        None,
        |subject| subject.fs(Access::ReadOnly, "/proc/self/environ"),
        "denied.fs.read by b.toml:1 [plugins.probe]: it lies outside of `/data`, `/notes`",
    );
}

#[test]
fn a_secret_is_answered_with_its_use_and_never_its_value() {
    check(
        None,
        |subject| subject.secret("TOKEN"),
        "allowed by b.toml:11 [plugins.probe.secrets.TOKEN]\n\
         use: the host puts it into the header `authorization` of requests to https://api.example.com\n\
         value: the plugin never sees it\n\
         source: the variable TOKEN",
    );
    check(
        Some("get"),
        |subject| subject.secret("KEY"),
        "allowed by b.toml:15 [plugins.probe.secrets.KEY]\n\
         use: the host puts it into no request\n\
         value: the plugin can read it: `reveal = true`\n\
         source: the file /srv/app/key",
    );
    check(
        Some("get"),
        |subject| subject.secret("TOKEN"),
        "denied.secret by b.toml:18 [plugins.probe.tools.get]: the rule for the tool leaves it out\n\
         + secrets = [\"TOKEN\"] under [plugins.probe.tools.get] (b.toml:18)",
    );
    check(
        None,
        |subject| subject.secret("NONE"),
        "denied.secret by b.toml:1 [plugins.probe]: the plugin has no secret of this name\n\
         + secrets.NONE = { env = \"NONE\", origin = \"https://HOST\", header = \"NAME\" } under [plugins.probe] (b.toml:1)",
    );
}

const HOSTS: &[&str] =
    &["a.example.com", "b.example.com", "example.com", "localhost", "8.8.8.8", "127.0.0.1", "169.254.169.254"];
const GRANTED: &[&str] = &["a.example.com", "*.example.com", "example.com", "localhost", "*", "8.8.8.8", "127.0.0.1"];
const PATHS: &[&str] = &["/", "/v1", "/v1/a", "/v1/a/b", "/v2/a", "/a%2fb", "//x", "/v1/a*b"];
const PATTERNS: &[&str] = &["", "/", "/v1/**", "/v1/*", "/*/a"];
const METHODS: &[&str] = &["GET", "POST", "HEAD", "CONNECT", "PROPFIND"];
const FILES: &[&str] = &["/data/x", "/data/sub/x", "/data", "/other/x", "/data/../other/x", "x", "/proc/x", "/x"];
const FOLDERS: &[&str] = &["./data:/data:ro", "./data/sub:/data/sub:rw", "/other:ro", "/data/sub:ro", "./notes:rw"];

fn net_line() -> impl Strategy<Value = String> {
    let methods = select(&["", "GET ", "POST ", "GET,POST ", "* "][..]);
    let (scheme, port) = (select(&["http", "https"][..]), select(&["", ":8080"][..]));
    (methods, scheme, select(GRANTED), port, select(PATTERNS))
        .prop_map(|(methods, scheme, host, port, path)| format!("{methods}{scheme}://{host}{port}{path}"))
}

/// A plugin, and perhaps a narrower rule for its tool `get`. Some of them are wrong; those are not judged.
fn file() -> impl Strategy<Value = String> {
    let nets = || prop::collection::hash_set(net_line(), 0..4);
    let folders = || subsequence(FOLDERS, 0..3);
    let rule = prop::option::of((prop::option::of(nets()), prop::option::of(folders())));
    (nets(), folders(), rule).prop_map(|(net, fs, rule)| {
        let net: Vec<_> = net.into_iter().collect();
        let mut text = format!("[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = {net:?}\nfs = {fs:?}\n");
        if let Some((net, fs)) = rule {
            text.push_str("[plugins.probe.tools.get]\n");
            let net = net.map(|net| net.into_iter().collect::<Vec<_>>());
            text.extend(net.map(|net| format!("net = {net:?}\n")));
            text.extend(fs.map(|fs| format!("fs = {fs:?}\n")));
        }
        text
    })
}

/// The file once each line of the advice stands in it; none if there is no advice.
fn advised(text: &str, answer: &Answer) -> Option<String> {
    let Ruling::Denied { fix, .. } = &answer.ruling else { return None };
    let mut table: toml::Table = text.parse().unwrap();
    for Fix { line, table: path, .. } in fix {
        crate::suggest::put(&mut table, path, line.parse().unwrap());
    }
    (!fix.is_empty()).then(|| toml::to_string(&table).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_line_that_would_allow_it_does(
        text in file(),
        (method, scheme, host) in (select(METHODS), select(&["http", "https"][..]), select(HOSTS)),
        (port, path) in (select(&["", ":8080"][..]), select(PATHS)),
        (access, file) in (select(&[Access::ReadOnly, Access::ReadWrite][..]), select(FILES)),
    ) {
        let Ok(before) = config(&text) else { return Ok(()) };
        let url = Url::parse(&format!("{scheme}://{host}{port}{path}")).unwrap();
        let request = NetRequest { method, url: &url };
        let asks: [&dyn Fn(&Subject<'_>) -> Answer; 2] = [&|subject| subject.net(&request), &|subject| subject.fs(access, file)];
        for ask in asks {
            let answer = ask(&Subject::new(&before.plugins[0], Some("get")));
            let Some(after) = advised(&text, &answer) else { continue };
            // What is wider than the plugin's own or clashes with it is a mistake of its own, told as one.
            let Ok(after) = config(&after) else { continue };
            let again = ask(&Subject::new(&after.plugins[0], Some("get")));
            prop_assert!(again.is_allowed(), "{}\n{}", text, shown(&answer));
        }
    }
}
