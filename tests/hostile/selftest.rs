//! `bailiwick selftest`, as an operator runs it.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::host::World;
use crate::support::program;

fn run(world: &World, arguments: &[&str]) -> Output {
    let empty = world.path("tmp");
    // A machine without a configuration, a home and a folder for anything but temporary files.
    Command::new(program::path())
        .args(arguments)
        .current_dir(&empty)
        .env_clear()
        .env("TMPDIR", &empty)
        .output()
        .expect("the program can be started")
}

#[test]
fn it_holds_here_and_leaves_nothing_behind() {
    let world = World::new().folder("tmp");
    let output = run(&world, &["--json", "selftest"]);
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)));
    let cases = report["cases"].as_array().expect("a list");
    let wrong: Vec<&Value> = cases.iter().filter(|case| case["ok"] != true).collect();
    assert!(wrong.is_empty() && report["findings"] == Value::Array(Vec::new()), "{wrong:#?}{}", report["findings"]);
    assert_eq!((report["ok"].as_bool(), output.status.code()), (Some(true), Some(0)));
    let granted = cases.iter().filter(|case| case["granted"] == true).count();
    assert!(cases.len() >= 40 && granted >= 10, "{} cases, {granted} of them granted", cases.len());
    println!("measured: {} cases of the self-test in {} ms", cases.len(), report["ms"]);
    assert_eq!(std::fs::read_dir(world.path("tmp")).expect("it is there").count(), 0, "nothing is left behind");
}

#[test]
fn a_person_reads_a_table() {
    let world = World::new().folder("tmp");
    let output = run(&world, &["selftest"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for words in
        ["CASE", "EXPECTED", "time.loop", "limit.time", "granted: ok: hello", "cases hold", "every call is on record"]
    {
        assert!(said.contains(words), "{words} is not in\n{said}");
    }
    assert!(!said.contains("FAIL") && !said.contains("canary-"), "{said}");
}

#[test]
fn it_takes_no_temporary_folder_it_cannot_make() {
    let world = World::new().folder("tmp");
    let output = Command::new(program::path())
        .arg("selftest")
        .env("TMPDIR", world.path("nowhere"))
        .output()
        .expect("the program can be started");
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("host.selftest"));
}
