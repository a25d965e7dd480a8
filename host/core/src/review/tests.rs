use super::*;
use crate::config::{read, render};
use crate::registry::{Annotations, Risk};

fn roots() -> Roots<'static> {
    Roots { base: Path::new("/srv/app"), home: None }
}

fn source(lines: &str) -> Source {
    let text = format!("[plugins.a]\ncomponent = \"builtin:a\"\n{lines}");
    Source { name: "bailiwick.toml".into(), text, base: "/srv/app".into() }
}

fn config(source: &Source) -> Config {
    read(source, &|_| None).unwrap_or_else(|mistakes| panic!("{}", render(source, &mistakes)))
}

fn definition(description: &str, risk: Risk) -> Definition {
    Definition {
        name: "get".to_owned(),
        title: None,
        description: description.to_owned(),
        input_schema: "{}".to_owned(),
        output_schema: None,
        annotations: Annotations::default(),
        risk,
    }
}

/// A component at one moment.
struct Made {
    component: &'static str,
    imports: &'static [&'static str],
    definitions: Vec<Definition>,
}

const HTTP: &[&str] = &["wasi:http/outgoing-handler@0.2.6", "wasi:http/types@0.2.6", "wasi:io/poll@0.2.6"];

impl Default for Made {
    fn default() -> Self {
        Self { component: "sha256:1", imports: HTTP, definitions: vec![definition("Gets.", Risk::Low)] }
    }
}

/// Findings on one line each: `LINE:COLUMN RULE SUBJECT`.
fn found(made: &Made, lines: &str, lock: Option<&Lock>) -> Vec<String> {
    let source = source(lines);
    let config = config(&source);
    let real = |path: &Path| path.to_owned();
    let setting = Setting {
        source: &source,
        roots: roots(),
        own_file: Path::new("/srv/app/bailiwick.toml"),
        real: &real,
        lock,
        lock_file: "bailiwick.lock",
    };
    let imports: BTreeSet<String> = made.imports.iter().map(|import| (*import).to_owned()).collect();
    let subject = Subject {
        plugin: &config.plugins[0],
        component: Some(made.component.to_owned()),
        imports: Some(&imports),
        definitions: Some(&made.definitions),
        fault: None,
    };
    let found = review_lock(&config, &setting).into_iter().chain(review(&subject, &setting));
    let shown = |finding: Finding| {
        let Place { line, column, .. } = finding.place;
        format!("{line}:{column} {} {}", finding.rule.id(), finding.subject).trim_end().to_owned()
    };
    found.map(shown).collect()
}

fn lock(made: &Made, lines: &str) -> Lock {
    let source = source(lines);
    let config = config(&source);
    let published = Published::of(
        made.component.to_owned(),
        made.imports.iter().map(|import| (*import).to_owned()),
        &made.definitions,
    );
    let pin = Pin::of(&config.plugins[0], published, roots());
    Lock { file: "bailiwick.lock".to_owned(), plugins: [(config.plugins[0].name.clone(), pin)].into() }
}

const NET: &str = "net = ['https://a.example']";

#[track_caller]
fn check(made: &Made, lines: &str, expected: &[&str]) {
    let lock = lock(&Made::default(), NET);
    assert_eq!(found(made, lines, Some(&lock)), expected);
}

#[test]
fn what_is_as_it_was_pinned_gives_no_finding() {
    check(&Made::default(), NET, &[]);
}

#[test]
fn another_component_another_import_another_definition() {
    check(&Made { component: "sha256:2", ..Made::default() }, NET, &["2:1 audit.component-changed"]);
    let more = Made {
        imports: &["wasi:http/outgoing-handler@0.2.6", "wasi:http/types@0.2.9", "wasi:sockets/tcp@0.2.6"],
        ..Made::default()
    };
    check(
        &more,
        NET,
        &[
            "2:1 audit.import-added wasi:sockets/tcp@0.2.6",
            "2:1 audit.import-version wasi:http/types@0.2.9",
            "2:1 audit.import-removed wasi:io/poll@0.2.6",
            "2:1 audit.import-denied wasi:sockets/*",
        ],
    );
    let other = Made { definitions: vec![definition("Gets. And more.", Risk::Low)], ..Made::default() };
    check(&other, NET, &["2:1 audit.definition-changed get"]);
    let fewer = Made { definitions: Vec::new(), ..Made::default() };
    check(&fewer, NET, &["2:1 audit.tool-removed get"]);
}

#[test]
fn a_grant_that_grew_is_told_at_its_line() {
    let made = Made::default();
    check(
        &made,
        "net = ['https://a.example',\n  'https://b.example']",
        &["4:3 audit.grant-widened net:https://b.example"],
    );
    check(&made, "net = ['https://a.example/v1']", &["3:1 audit.grant-narrowed net:https://a.example"]);
    let asks = lock(&made, &format!("{NET}\napproval = 'always'"));
    assert_eq!(
        found(&made, &format!("{NET}\napproval = 'never'"), Some(&asks)),
        ["4:1 audit.grant-widened approval:never"]
    );
    let narrow = lock(&made, &format!("{NET}\n[plugins.a.tools.get]\nnet = []"));
    assert_eq!(found(&made, NET, Some(&narrow)), ["3:8 audit.grant-widened get:net:https://a.example"]);
}

#[test]
fn dangers_are_told_whatever_is_pinned() {
    let made = Made { definitions: vec![definition("Gets.", Risk::High)], ..Made::default() };
    let lines = "net = ['https://*', 'http://169.254.169.254', 'https://a.example']\ndanger_metadata_addresses = true\n\
                 addresses = ['10.0.0.0/8']\napproval = 'never'\n\
                 [plugins.a.secrets.T]\nenv = 'T'\nreveal = true\n";
    let lock = lock(&made, lines);
    assert_eq!(
        found(&made, lines, Some(&lock)),
        [
            "3:8 audit.any-host https://*",
            "4:1 audit.metadata danger_metadata_addresses",
            "7:20 audit.reveal T",
            "6:1 audit.unasked get",
            "7:20 audit.grant-unused secrets.T",
            "3:21 audit.addresses http://169.254.169.254",
            "5:1 audit.addresses 10.0.0.0/8",
        ]
    );
}

#[test]
fn a_grant_without_an_import_and_an_import_without_a_grant() {
    let made = Made {
        imports: &["wasi:filesystem/types@0.2.6", "wasi:filesystem/preopens@0.2.6", "wasi:cli/stdin@0.2.6"],
        ..Made::default()
    };
    let lines = "net = ['https://a.example']\nenv = { A = 'b' }\nconfig = { c = 'd' }\n[plugins.a.secrets.T]\n\
                 env = 'T'\norigin = 'https://a.example'\nheader = 'X-Key'";
    let lock = lock(&made, lines);
    assert_eq!(
        found(&made, lines, Some(&lock)),
        [
            "3:1 audit.grant-unused net",
            "4:1 audit.grant-unused env",
            "5:1 audit.grant-unused config",
            "6:20 audit.grant-unused secrets.T",
            "2:1 audit.import-denied wasi:filesystem/*",
        ]
    );
    let used = Made { imports: HTTP, ..Made::default() };
    let bound =
        "net = ['https://a.example']\n[plugins.a.secrets.T]\nenv = 'T'\norigin = 'https://a.example'\nheader = 'X-Key'";
    let lock = super::tests::lock(&used, bound);
    assert_eq!(found(&used, bound, Some(&lock)), Vec::<String>::new());
}

#[test]
fn what_is_not_pinned_is_told() {
    assert_eq!(found(&Made::default(), NET, None), ["1:1 audit.no-lock bailiwick.lock"]);
    let mut other = lock(&Made::default(), NET);
    let pin = other.plugins.pop_first().unwrap().1;
    other.plugins.insert(PluginName::parse("b").unwrap(), pin);
    assert_eq!(found(&Made::default(), NET, Some(&other)), ["1:1 audit.stale-pin b", "1:10 audit.unpinned"]);
}

#[test]
fn what_the_host_does_not_offer_is_told_by_name() {
    let made = Made { imports: &["evil:power/unlimited@1.0.0"], ..Made::default() };
    let lock = lock(&made, "");
    assert_eq!(found(&made, "", Some(&lock)), ["2:1 audit.import-unknown evil:power/unlimited@1.0.0"]);
}
