//! `bailiwick version`: what exactly this program is made of.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::builtin::BUILTINS;
use crate::runtime::{CONTRACT, Wasm};

use super::Exit;
use super::terminal::{Terminal, Trouble};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Set by the build script from Cargo.lock.
const ENGINE: &str = env!("BAILIWICK_WASMTIME");

pub(super) fn run(terminal: &Terminal) -> Result<Exit, Trouble> {
    let builtins = BUILTINS.iter().map(|(name, embedded)| (*name, Wasm::embedded(*embedded)));
    if terminal.json {
        let builtin = |(name, wasm): (&str, Wasm)| json!({"name": name, "bytes": wasm.bytes.len(), "digest": wasm.digest.to_string()});
        terminal.print_json(&json!({
            "version": VERSION,
            "engine": {"name": "wasmtime", "version": ENGINE},
            "contract": format!("bailiwick:tool@{CONTRACT}"),
            "builtins": builtins.map(builtin).collect::<Value>(),
        }))?;
        return Ok(Exit::Done);
    }
    let mut text = format!("bailiwick {VERSION}\nengine    wasmtime {ENGINE}\ncontract  bailiwick:tool@{CONTRACT}\n");
    if BUILTINS.is_empty() {
        text.push_str("built-in  no plugins\n");
    }
    for (name, wasm) in builtins {
        let _ = writeln!(text, "built-in  {name:<12} {}  {} bytes", wasm.digest, wasm.bytes.len());
    }
    terminal.print(&text)?;
    Ok(Exit::Done)
}
