//! `bailiwick suggest`: of what a plugin was refused while it was observed, the lines that would cover it. It prints
//! them; whether they stand in the configuration is for its owner to decide.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use bailiwick_core::config::{Config, Plugin};
use bailiwick_core::observation::Observation;
use bailiwick_core::redact::visible;
use bailiwick_core::suggest::{Ground, suggest};

use crate::load::{StartError, own_folders};
use crate::{ambient, observe, settings};

use super::terminal::{Terminal, Trouble};
use super::{Exit, Global, start};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick call --observe web_fetch --arg url=https://example.com
  bailiwick suggest fetch
  bailiwick suggest fetch --clear

What is printed is TOML: lines to add to the tables that are there, with comments that say who asked,
how often and when. Nothing is written to the configuration, and nothing that was observed widens a
right by itself. Requests become lines of exactly their methods, hosts and paths; paths become the
directory they lie in. What leads to this machine, to a private network or to a cloud's metadata
service is named in a comment and left to you, as is what the file could not hold without a mistake.

That a plugin was refused a path is known by its own word alone: look twice at lines under `fs`.
Raw sockets and environment variables that are not there are not observed.";

pub(super) fn run(terminal: &Terminal, global: &Global, name: &str, clear: bool) -> Result<Exit, Trouble> {
    let settings = start::settings(global.config.as_deref())?;
    let plugin = plugin(&settings.config, name)?;
    let file = file(&settings.config)?;
    let (observations, unreadable) = observe::read(&file).map_err(|error| unusable(&file, &error))?;
    if unreadable > 0 {
        let message = format!("{unreadable} lines of {} are no observations and are left out", file.display());
        terminal.warning("suggest.unreadable", &message, None);
    }
    let observed: Vec<&Observation> = observations.of(&plugin.name).collect();
    if clear {
        return forget(terminal, &file, plugin, observed.is_empty());
    }
    let real_directory = |path: &Path| ambient::canonical(path).ok().filter(|path| ambient::is_dir(path));
    let own = own_folders(&settings.config);
    let ground = Ground { real_directory: &real_directory, own: &own };
    let suggestion = suggest(plugin, &observed, &ground);
    let source = settings::source(&settings.path).map_err(|error| start::unfit(&error))?;
    let suggestion = suggestion.checked(&source, &|name| ambient::env(name));
    if terminal.json {
        let mut json = serde_json::to_value(&suggestion).unwrap_or_default();
        json["toml"] = suggestion.text().into();
        terminal.print_json(&json)?;
    } else {
        terminal.print(&suggestion.text())?;
    }
    Ok(Exit::Done)
}

fn plugin<'c>(config: &'c Config, name: &str) -> Result<&'c Plugin, Trouble> {
    let names = config.plugins.iter().map(|plugin| format!("`{}`", plugin.name)).collect::<Vec<_>>().join(", ");
    let unknown = || {
        let message = format!("there is no plugin `{}`", visible(name));
        Trouble::new(Exit::Arguments, "plugin.unknown", &message).with("fix", &format!("the plugins are {names}"))
    };
    config.plugins.iter().find(|plugin| plugin.name.as_str() == name).ok_or_else(unknown)
}

fn file(config: &Config) -> Result<PathBuf, Trouble> {
    let folder = settings::state_folder(config);
    let folder = folder.ok_or_else(|| start::cannot_start(&StartError::NoFolder("state", "state")))?;
    Ok(folder.join(observe::FILE))
}

fn unusable(file: &Path, error: &io::Error) -> Trouble {
    Trouble::new(Exit::Start, "host.file", &format!("cannot use {}: {error}", file.display()))
}

fn forget(terminal: &Terminal, file: &Path, plugin: &Plugin, nothing: bool) -> Result<Exit, Trouble> {
    // A file that is not there is not made for this.
    let forgotten =
        if nothing { 0 } else { observe::forget(file, &plugin.name).map_err(|error| unusable(file, &error))? };
    if terminal.json {
        terminal.print_json(&json!({"plugin": plugin.name, "forgotten": forgotten}))?;
    } else {
        terminal.print(&format!("{forgotten} observations of `{}` are forgotten\n", plugin.name))?;
    }
    Ok(Exit::Done)
}
