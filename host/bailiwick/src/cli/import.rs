//! `bailiwick import`: servers that another program's file has, as tables for the configuration. It prints them; with
//! `--write` it adds them to the file, if the whole of that is right then.

use std::io::Read as _;
use std::path::Path;

use serde_json::json;

use bailiwick_core::config::{self, Source};
use bailiwick_core::import::{Import, ImportError, MAX_FILE, import};
use bailiwick_core::redact::visible;

use crate::settings::SettingsError;
use crate::{ambient, settings};

use super::terminal::{Terminal, Trouble};
use super::{Exit, Global, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick import ~/.cursor/mcp.json
  bailiwick import .vscode/mcp.json --write
  bailiwick import - < claude_desktop_config.json

Reads `mcpServers` (Claude, Cursor and many others) and `servers` (VS Code), and prints the TOML it
proposes, with comments that say what a person should know. What looks like a secret is never printed:
the proposal names the environment variable the host will take it from. Nothing is granted but what an
entry itself shows: the directories it names (to be read), the address it is at. Nothing is installed.

With --write the tables are added to the end of the configuration, if there is no plugin of such a name
and the whole file is right then; otherwise nothing is written. Look at `bailiwick check` next.";

pub(super) fn run(terminal: &Terminal, global: &Global, file: &Path, write: bool) -> Result<Exit, Trouble> {
    let text = text(file)?;
    let imported = import(&text).map_err(|error| unusable(&error))?;
    propose(terminal, global, &imported, write)
}

/// Prints proposals, or adds them to the configuration.
pub(super) fn propose(terminal: &Terminal, global: &Global, imported: &Import, write: bool) -> Result<Exit, Trouble> {
    let file = if write && !imported.proposals.is_empty() { Some(add(global, imported)?) } else { None };
    if terminal.json {
        let mut told = serde_json::to_value(imported).unwrap_or_default();
        told["written"] = json!(file);
        terminal.print_json(&told)?;
    } else if let Some(file) = &file {
        let names: Vec<String> =
            imported.proposals.iter().map(|proposal| format!("`[plugins.{}]`", proposal.name)).collect();
        terminal.print(&format!("{file}: {} added\n", names.join(", ")))?;
        let notes = imported.proposals.iter().map(|proposal| (Some(&proposal.name), &proposal.notes));
        for (name, notes) in notes.chain([(None, &imported.notes)]) {
            let whose = name.map(|name| format!("{name}: ")).unwrap_or_default();
            notes.iter().for_each(|note| terminal.warning("import.note", &format!("{whose}{note}"), None));
        }
    } else {
        terminal.print(&imported.text())?;
    }
    // All of it was left out.
    Ok(if imported.proposals.is_empty() { Exit::Failed } else { Exit::Done })
}

pub(super) fn unusable(error: &ImportError) -> Trouble {
    Trouble::new(Exit::Failed, "import.unusable", &error.to_string())
}

fn text(file: &Path) -> Result<String, Trouble> {
    let most = MAX_FILE as u64;
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().take(most + 1).read_to_end(&mut bytes).map(|_| bytes)
    } else {
        ambient::read(file, most)
    };
    let shown = file.display().to_string();
    let unreadable = |reason: &str| {
        let message = format!("cannot read {}: {reason}", visible(&shown));
        Trouble::new(Exit::Failed, "import.unreadable", &message)
    };
    let bytes = read.map_err(|error| unreadable(&error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8"))
}

/// Adds proposals to the end of the configuration. Gives the file's name as it is shown.
fn add(global: &Global, imported: &Import) -> Result<String, Trouble> {
    let start::Settings { path, config, seen } = start::settings(global.config.as_deref())?;
    let is_there = |name: &str| config.plugins.iter().any(|plugin| plugin.name.as_str() == name);
    let taken: Vec<String> = imported
        .proposals
        .iter()
        .filter(|proposal| is_there(proposal.name.as_str()))
        .map(|proposal| format!("`[plugins.{}]`", proposal.name))
        .collect();
    let shown = path.display().to_string();
    let refused = |code, message: String, fix: &str| Trouble::new(Exit::Failed, code, &message).with("fix", fix);
    if !taken.is_empty() {
        let message = format!("nothing is written: {shown} has {} already", taken.join(", "));
        return Err(refused("import.exists", message, "without --write they are printed, to be compared"));
    }
    let source = settings::source(&path).map_err(|error| start::unfit(&error))?;
    let gap = if source.text.is_empty() || source.text.ends_with('\n') { "\n" } else { "\n\n" };
    let whole = Source { text: format!("{}{gap}{}", source.text, imported.text()), ..source };
    if let Err(mistakes) = config::read(&whole, &|name| ambient::env(name)) {
        let source_text = Box::new(Source { name: format!("{shown} with what was to be added"), ..whole });
        return Err(start::unfit(&SettingsError::Mistakes { source_text, mistakes }));
    }
    if start::fingerprints(&path) != seen {
        let message = format!("nothing is written: {shown} was changed at this moment");
        return Err(refused("import.changed", message, "try again"));
    }
    ambient::write_over(&path, whole.text.as_bytes())
        .map_err(|error| Trouble::new(Exit::Failed, "import.unwritable", &format!("cannot write {shown}: {error}")))?;
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use bailiwick_core::import::Proposal;
    use bailiwick_core::name::PluginName;

    use super::super::Cli;
    use super::*;

    const BEFORE: &str = "# mine\n[plugins.clock]\ncomponent = \"builtin:datetime\"";

    /// A configuration for its owner alone, by way of a link, with a proposal that is to be added to it. Says what came of it,
    /// with `FILE` for the file, and what is in the file then.
    #[track_caller]
    fn check(name: &str, toml: &str, told: &str, text: &str) {
        let folder = ambient::temporary_dir("bailiwick-import").unwrap();
        let (file, link) = (folder.join("real.toml"), folder.join("bailiwick.toml"));
        ambient::write_private(&file, BEFORE.as_bytes()).unwrap();
        ambient::symlink("real.toml", &link).unwrap();
        let shown = link.display().to_string();
        let Cli { global, .. } = Cli::try_parse_from(["bailiwick", "--config", shown.as_str(), "list"]).unwrap();
        let proposal =
            Proposal { name: PluginName::parse(name).unwrap(), toml: toml.to_owned(), notes: vec!["a\nb".into()] };
        let added = add(&global, &Import { proposals: vec![proposal], notes: Vec::new() });
        let outcome = added.unwrap_or_else(|trouble| trouble.json()["errors"][0]["message"].to_string());
        assert_eq!(outcome.replace(&shown, "FILE"), told);
        assert_eq!(String::from_utf8(ambient::read(&file, 1 << 20).unwrap()).unwrap(), text);
        assert_eq!(ambient::mode_and_owner(&link).unwrap().0, 0o600, "its mode is what it was");
        assert_eq!(ambient::canonical(&link).unwrap(), ambient::canonical(&file).unwrap(), "the link is one still");
        ambient::remove_tree(&folder).unwrap();
    }

    #[test]
    fn what_fits_is_added_to_the_end() {
        const LATER: &str = "[plugins.later]\ncomponent = \"builtin:datetime\"\n";
        check("later", LATER, "FILE", &format!("{BEFORE}\n\n# a b\n{LATER}"));
    }

    #[test]
    fn nothing_is_written_that_is_there_or_would_be_wrong() {
        let exists = "\"nothing is written: FILE has `[plugins.clock]` already\"";
        check("clock", "[plugins.clock]\n", exists, BEFORE);
        check("x", "[plugins.x]\nnett = []\n", "\"`[plugins.x]` does not say what it is\"", BEFORE);
        check(
            "x",
            "[plugins.x]\ncomponent = \"builtin:datetime\"\n[plugins.clock]\n",
            "\"`clock` is there already\"",
            BEFORE,
        );
        check("x", "[[", "\"unquoted keys cannot be empty\"", BEFORE);
    }
}
