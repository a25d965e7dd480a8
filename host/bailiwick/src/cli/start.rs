//! From `--config` to a running host, with the waiting made visible.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use bailiwick_core::config::{self, Config, Mistake};

use crate::host::Host;
use crate::load::{Problem, Setup, StartError};
use crate::settings::{self, SettingsError};

use super::Exit;
use super::terminal::{Terminal, Trouble};

/// A start that takes longer than this is announced.
const PATIENCE: Duration = Duration::from_millis(300);

/// What someone without a configuration is told.
const FIRST: &str = "name a file with `--config FILE`, or write one, for example:
[plugins.datetime]
component = \"builtin:datetime\"";

/// A configuration, and the file it is from.
pub(super) struct Settings {
    pub(super) path: PathBuf,
    pub(super) config: Config,
}

/// Finds and reads the configuration.
pub(super) fn settings(given: Option<&Path>) -> Result<Settings, Trouble> {
    let path = settings::find(given).map_err(|error| unfit(&error))?;
    let config = settings::read(&path).map_err(|error| unfit(&error))?;
    let path = path.strip_prefix("./").map(Path::to_owned).unwrap_or(path);
    Ok(Settings { path, config })
}

/// Starts a host, and tells a person who waits for it.
pub(super) async fn host(terminal: &Terminal, config: &Config) -> Result<Arc<Host>, Trouble> {
    let begun = Instant::now();
    let mut start = std::pin::pin!(Host::start(config, Setup::default()));
    let started = tokio::select! {
        biased;
        started = &mut start => started,
        () = tokio::time::sleep(PATIENCE) => {
            terminal.hint("preparing plugins (the first start compiles them) …");
            let started = start.await;
            terminal.hint(&format!("ready after {:.1} s", begun.elapsed().as_secs_f64()));
            started
        }
    };
    started.map(Arc::new).map_err(|error| cannot_start(&error))
}

/// Tells which plugins were left out.
pub(super) fn warn_of_problems(terminal: &Terminal, host: &Host) {
    for problem in &host.snapshot().problems {
        let message = format!("plugin `{}` ({}) is left out: {}", problem.plugin, problem.at, problem.message);
        terminal.warning("plugin.left-out", &message, None);
    }
}

/// Problems for programs.
pub(super) fn problems_json(problems: &[Problem]) -> Value {
    let json =
        |problem: &Problem| json!({"plugin": problem.plugin.to_string(), "at": problem.at, "message": problem.message});
    problems.iter().map(json).collect()
}

/// What is wrong with a configuration.
pub(super) fn unfit(error: &SettingsError) -> Trouble {
    let trouble = |code, message: String| Trouble::new(Exit::Config, code, &message);
    match error {
        SettingsError::Missing { looked } => {
            let looked: Vec<String> = looked.iter().map(|path| path.display().to_string()).collect();
            trouble("config.missing", "there is no configuration".to_owned())
                .with("looked at", &looked.join(", "))
                .with("fix", FIRST)
        }
        SettingsError::Unreadable { path, error } => {
            let trouble = trouble("config.unreadable", format!("cannot read {}: {error}", path.display()));
            if error.kind() == std::io::ErrorKind::NotFound {
                return trouble.with("fix", "check the path after `--config` or in BAILIWICK_CONFIG");
            }
            trouble
        }
        SettingsError::Writable { path, mode } => {
            let message = format!(
                "everyone may write to {} (mode {mode:o}), and whoever writes to it grants rights",
                path.display()
            );
            trouble("config.writable", message).with("fix", &format!("run `chmod o-w {}`", path.display()))
        }
        SettingsError::Mistakes { source_text, mistakes } => {
            let mut text = config::render(source_text, mistakes);
            if !text.ends_with('\n') {
                text.push('\n');
            }
            Trouble::rendered(
                Exit::Config,
                text,
                mistakes.iter().map(|mistake| mistake_json(&source_text.name, mistake)).collect(),
            )
        }
    }
}

fn mistake_json(file: &str, mistake: &Mistake) -> Value {
    json!({
        "code": mistake.code,
        "message": mistake.message,
        "file": file,
        "line": mistake.place.line,
        "column": mistake.place.column,
        "legal": mistake.legal,
        "suggestion": mistake.suggestion,
    })
}

fn cannot_start(error: &StartError) -> Trouble {
    let trouble = |code| Trouble::new(Exit::Start, code, &error.to_string());
    match error {
        StartError::NoFolder(..) => trouble("host.folder"),
        StartError::File { .. } => trouble("host.file"),
        StartError::Engine(_) => trouble("host.engine"),
        StartError::Egress(_) => trouble("host.egress"),
        StartError::Random(_) => trouble("host.random"),
    }
}
