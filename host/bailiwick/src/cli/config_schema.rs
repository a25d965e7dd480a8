//! `bailiwick config-schema`: what may stand in bailiwick.toml, as a JSON Schema.

use bailiwick_core::config;

use super::Exit;
use super::terminal::{Terminal, Trouble};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick config-schema > bailiwick.schema.json

With `#:schema ./bailiwick.schema.json` as its first line, editors that use taplo complete
bailiwick.toml and mark what is wrong with it. `bailiwick check` knows more than a schema can say.";

pub(super) fn run(terminal: &Terminal) -> Result<Exit, Trouble> {
    terminal.print_json(&config::json_schema())?;
    Ok(Exit::Done)
}
