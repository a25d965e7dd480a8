//! From `--config` to a running host: read, confine, start threads, load. With the waiting made visible.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use url::Url;

use bailiwick_core::config::{self, Config, Confine, Mistake};
use bailiwick_core::confine::Life;

use crate::ambient::{self, Fingerprint};
use crate::confine::{self, ConfineError, Wall};
use crate::host::Host;
use crate::keeper::Keeper;
use crate::keys::Environment;
use crate::load::{Problem, Setup, StartError};
use crate::registrations::{Registrations, with_registrations};
use crate::runtime::{self, Compiler};
use crate::settings::{self, SettingsError};
use crate::store::{self, Store};
use crate::telemetry;

use super::terminal::{Terminal, Trouble};
use super::{Exit, Global};

/// A start that takes longer than this is announced.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long what is still under way may take to end, once the answer is written.
const FAREWELL: Duration = Duration::from_millis(100);

/// What someone without a configuration is told.
const FIRST: &str = "name a file with `--config FILE`, or write one, for example:
[plugins.datetime]
component = \"builtin:datetime\"";

/// A configuration, and the file it is from.
pub(super) struct Settings {
    pub(super) path: PathBuf,
    pub(super) config: Config,
    /// What it and its lock file looked like, from before they were read: what is written since then is a change.
    pub(super) seen: Fingerprints,
}

/// Finds and reads the configuration.
pub(super) fn settings(given: Option<&Path>) -> Result<Settings, Trouble> {
    let path = settings::find(given).map_err(|error| unfit(&error))?;
    let seen = fingerprints(&path);
    let config = settings::read(&path).map_err(|error| unfit(&error))?;
    let path = path.strip_prefix("./").map(Path::to_owned).unwrap_or(path);
    Ok(Settings { path, config, seen })
}

/// What a configuration and its lock file look like from outside; none for one that is not there.
pub(super) type Fingerprints = [Option<Fingerprint>; 2];

/// See [`Fingerprints`].
pub(super) fn fingerprints(config: &Path) -> Fingerprints {
    let lock = settings::lock_file(config).path;
    [config, lock.as_path()].map(|file| ambient::fingerprint(file).ok())
}

/// A configuration, in a process that is confined to it, or was told not to be. There is no host without one.
pub(super) struct Ground {
    pub(super) settings: Settings,
    pub(super) wall: Option<Arc<Wall>>,
    /// Who starts programs, if there are any.
    pub(super) keeper: Option<Arc<Keeper>>,
}

/// Finds and reads the configuration, and confines this process to what it grants. `out` is a folder that is written to
/// beside that. Before the first thread.
pub(super) fn ground(terminal: &Terminal, global: &Global, life: Life, out: Option<&Path>) -> Result<Ground, Trouble> {
    stand(terminal, global, settings(global.config.as_deref())?, life, out)
}

/// The same, for a configuration that was read already.
pub(super) fn stand(
    terminal: &Terminal,
    global: &Global,
    settings: Settings,
    life: Life,
    out: Option<&Path>,
) -> Result<Ground, Trouble> {
    stand_beside(terminal, global, settings, life, out, None)
}

/// The same; what is at `beside` stays in reach too.
pub(super) fn stand_beside(
    terminal: &Terminal,
    global: &Global,
    settings: Settings,
    life: Life,
    out: Option<&Path>,
    beside: Option<&Url>,
) -> Result<Ground, Trouble> {
    let settings = Settings { config: with_kept(settings.config)?, ..settings };
    let required = settings.config.host.confine == Confine::Required;
    if global.no_confine {
        if required {
            let message = "`--no-confine` is given, and `confine = \"required\"` under `[host]` forbids it";
            return Err(Trouble::new(Exit::Start, "host.confine", message));
        }
        tracing::info!("the host is not confined");
        terminal.alarm("host.no-confine", "the host is not confined to what is granted: `--no-confine`");
        let keeper = keeper(&settings.config)?;
        return Ok(Ground { settings, wall: None, keeper });
    }
    let planned = confine::plan(&settings.config, &settings.path, life, out).map_err(|error| cannot_start(&error))?;
    let planned = beside.into_iter().fold(planned, |planned, url| planned.and_host(url, "`--base-url`", "--base-url"));
    let keeper = keeper(&settings.config)?;
    let wall = Wall::raise(planned).map_err(|error| unconfined(&error))?;
    let missing = &wall.hold().missing;
    let (essential, others): (Vec<_>, Vec<_>) = missing.iter().cloned().partition(|missing| missing.is_essential());
    if required && !essential.is_empty() {
        return Err(unconfined(&ConfineError::Lacking(essential)));
    }
    essential.iter().for_each(|missing| tracing::warn!("{missing}"));
    others.iter().for_each(|missing| tracing::info!("{missing}"));
    wall.confinement().pinned.iter().for_each(|pinned| tracing::info!("{pinned}"));
    Ok(Ground { settings, wall: Some(Arc::new(wall)), keeper })
}

/// A configuration with what is registered beside it: what this process is confined to has room for that too. Where there
/// is no database yet, nothing is.
fn with_kept(config: Config) -> Result<Config, Trouble> {
    let database = settings::state_folder(&config).map(|state| state.join(store::FILE));
    if !database.is_some_and(|database| ambient::exists(&database)) {
        return Ok(config);
    }
    let listed = registrations(&config)?.list().map_err(|error| cannot_start(&error.into()))?;
    Ok(with_registrations(&config, &listed).config)
}

/// What is registered beside a configuration. Makes the state folder where it is missing.
pub(super) fn registrations(config: &Config) -> Result<Registrations, Trouble> {
    let folder = settings::state_folder(config);
    let folder = folder.ok_or_else(|| cannot_start(&StartError::NoFolder("state", "state")))?;
    let unusable = |path: &Path, error| cannot_start(&StartError::File { path: path.to_owned(), error });
    ambient::create_private_dir(&folder).map_err(|error| unusable(&folder, error))?;
    let store = Store::open(&folder.join(store::FILE)).map_err(|error| cannot_start(&error.into()))?;
    let key = folder.join(runtime::KEY_FILE);
    Registrations::open(Arc::new(store), &key).map_err(|error| unusable(&key, error))
}

/// Starts the process that starts programs, if the configuration has any: outside of what confines this one.
pub(super) fn keeper(config: &Config) -> Result<Option<Arc<Keeper>>, Trouble> {
    Keeper::of(config).map(|keeper| keeper.map(Arc::new)).map_err(|error| {
        let message = format!("the process that starts programs cannot be started: {error}");
        Trouble::new(Exit::Start, "host.keeper", &message)
    })
}

/// Runs what needs threads. They share the confinement of the thread that starts them.
pub(super) fn with_threads(work: impl Future<Output = Result<Exit, Trouble>>) -> Result<Exit, Trouble> {
    telemetry::write_aside();
    let runtime = runtime::executor().build().map_err(|error| {
        Trouble::new(Exit::Start, "host.threads", &format!("this machine gives no threads to run on: {error}"))
    })?;
    let ended = runtime.block_on(work);
    // A question nobody answered may still wait for a line of the terminal.
    runtime.shutdown_timeout(FAREWELL);
    telemetry::deliver();
    ended
}

/// How a host starts in this process: behind its wall, and what it compiles is compiled by a child.
pub(super) fn setup(ground: &Ground) -> Setup {
    let keeper = ground.keeper.clone();
    Setup { compiler: Compiler::own_program(), keeper, ..Setup::behind(ground.wall.clone()) }
}

/// Starts a host, and tells a person who waits for it.
pub(super) async fn host(terminal: &Terminal, ground: &Ground) -> Result<Arc<Host>, Trouble> {
    host_with(terminal, ground, false).await
}

/// The same; servers are asked what they have although it is known.
pub(super) async fn host_afresh(terminal: &Terminal, ground: &Ground) -> Result<Arc<Host>, Trouble> {
    started(terminal, ground, Setup { afresh: true, ..setup(ground) }).await
}

/// The same; with `observe`, what plugins are refused is written down.
pub(super) async fn host_with(terminal: &Terminal, ground: &Ground, observe: bool) -> Result<Arc<Host>, Trouble> {
    started(terminal, ground, Setup { observe, ..setup(ground) }).await
}

/// The same, as `setup` says.
pub(super) async fn host_of(terminal: &Terminal, ground: &Ground, setup: Setup) -> Result<Arc<Host>, Trouble> {
    started(terminal, ground, setup).await
}

async fn started(terminal: &Terminal, ground: &Ground, setup: Setup) -> Result<Arc<Host>, Trouble> {
    let environment =
        Environment::read().map_err(|error| Trouble::new(Exit::Config, "config.environment", &error.to_string()))?;
    let setup = Setup { environment, ..setup };
    let started = patiently(terminal, Host::start(&ground.settings.config, setup)).await;
    started.map(Arc::new).map_err(|error| cannot_start(&error))
}

/// Waits for what may have to compile plugins, and tells a person who waits too.
pub(super) async fn patiently<T>(terminal: &Terminal, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => done,
        () = tokio::time::sleep(PATIENCE) => {
            terminal.hint("preparing plugins (the first start compiles them) …");
            let done = work.await;
            terminal.hint(&format!("ready after {:.1} s", begun.elapsed().as_secs_f64()));
            done
        }
    }
}

/// Tells which plugins were left out.
pub(super) fn warn_of_problems(terminal: &Terminal, host: &Host) {
    for problem in &host.snapshot().problems {
        terminal.warning(problem.code, &problem.to_string(), problem.fix.as_deref());
    }
}

/// Problems for programs.
pub(super) fn problems_json(problems: &[Problem]) -> Value {
    let json = |problem: &Problem| {
        json!({
            "code": problem.code, "plugin": problem.plugin.to_string(), "at": problem.at, "message": problem.message,
            "fix": problem.fix, "difference": problem.difference,
        })
    };
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

fn unconfined(error: &ConfineError) -> Trouble {
    let fix = match error {
        ConfineError::Broker(..) | ConfineError::Refused(_) => "`--no-confine` runs it as it is, and says so each time",
        ConfineError::Lacking(_) => "use a kernel that can, or write `confine = \"best-effort\"`",
    };
    Trouble::new(Exit::Start, "host.confine", &error.to_string()).with("fix", fix)
}

pub(super) fn cannot_start(error: &StartError) -> Trouble {
    let trouble = |code| Trouble::new(Exit::Start, code, &error.to_string());
    match error {
        StartError::NoFolder(..) => trouble("host.folder"),
        StartError::File { .. } | StartError::Store(_) => trouble("host.file"),
        StartError::Engine(_) => trouble("host.engine"),
        StartError::Egress(_) => trouble("host.egress"),
        StartError::Telemetry(_) => trouble("host.telemetry"),
        StartError::Random(_) => trouble("host.random"),
    }
}
