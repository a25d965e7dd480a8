//! Keeps a server up with its configuration file: a change, or SIGHUP, is read and takes effect; a mistake is told and
//! changes nothing.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Sender};
use tokio::time::sleep;

use bailiwick_core::config::Config;

use crate::confine::Wall;
use crate::host::Host;
use crate::{ambient, settings};

use super::start::{Fingerprints, Ground, Settings, fingerprints, unfit};
use super::terminal::Terminal;

/// Editors write a file in several steps; this long after the last one it is read.
const QUIET: Duration = Duration::from_millis(200);
/// A file that is written to without end is read after this many steps all the same.
const MOST_STEPS: u32 = 25;
/// How often the file is looked at where nobody tells of changes.
const POLL: Duration = Duration::from_secs(2);
/// And where somebody does: network file systems and links into other folders tell nothing.
const SAFETY_POLL: Duration = Duration::from_secs(30);

/// Takes SIGHUP from here on; what comes before [`keep_up`] listens is kept for it.
pub(super) fn hangup() -> Option<Signal> {
    signal(SignalKind::hangup())
        .inspect_err(|error| tracing::warn!(%error, "SIGHUP will not reload the configuration"))
        .ok()
}

/// Reloads the host whenever its configuration changes.
pub(super) async fn keep_up(
    terminal: &Terminal,
    host: &Host,
    ground: Ground,
    mut hangup: Option<Signal>,
) -> Infallible {
    let Ground { settings: Settings { path, config: started, mut seen }, wall, .. } = ground;
    let (sender, mut changes) = mpsc::channel(1);
    let watcher = watcher(&path, sender.clone()).inspect_err(
        |error| tracing::warn!(%error, "the folder of the configuration cannot be watched; looking every 2 s"),
    );
    let poll = if watcher.is_ok() { SAFETY_POLL } else { POLL };
    // The file may have changed while the host started.
    let mut why = Why::Perhaps;
    loop {
        // Taken before reading: what is written after this is a change again.
        let mut now = fingerprints(&path);
        if now != seen {
            // Whoever writes it may not be done, also where a reload is asked for: half a file can be a right one.
            now = at_rest(&path, now).await;
        }
        if why == Why::Asked || now != seen {
            seen = now;
            reload(terminal, host, &path, &started, wall.as_deref()).await;
        }
        why = tokio::select! {
            _ = changes.recv() => Why::Perhaps,
            () = sleep(poll) => Why::Perhaps,
            () = hung_up(hangup.as_mut()) => Why::Asked,
        };
    }
}

/// Whether something must have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Perhaps,
    /// Whoever runs it says so.
    Asked,
}

/// What a configuration looks like once it looks the same for a while.
async fn at_rest(path: &Path, mut seen: Fingerprints) -> Fingerprints {
    for _ in 0..MOST_STEPS {
        sleep(QUIET).await;
        let now = fingerprints(path);
        if now == seen {
            break;
        }
        seen = now;
    }
    seen
}

fn watcher(path: &Path, changes: Sender<()>) -> notify::Result<RecommendedWatcher> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The folder, not the file: editors and Kubernetes put a new file in the place of the old one.
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // A full channel says already that something changed.
            let _ = changes.try_send(());
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

async fn hung_up(hangup: Option<&mut Signal>) {
    let received = match hangup {
        Some(hangup) => hangup.recv().await,
        None => None,
    };
    if received.is_none() {
        std::future::pending().await
    }
}

/// Reads the file and lets it take effect if it is right.
async fn reload(terminal: &Terminal, host: &Host, path: &Path, started: &Config, wall: Option<&Wall>) {
    match settings::read(path) {
        Ok(config) => {
            if config.host != started.host || config.audit != started.audit || config.gateway != started.gateway {
                tracing::warn!(
                    "`[host]`, `[gateway]` and `[audit]` are read at the start only; start again for them to take effect"
                );
            }
            host.reload(&config).await;
            let snapshot = host.snapshot();
            let (tools, problems) = (snapshot.registry.tools().len(), snapshot.problems.len());
            tracing::info!(tools, problems, "the configuration is reloaded");
        }
        Err(error) => {
            let mut trouble = unfit(&error).with("note", "the configuration that runs stays as it is");
            if wall.is_some() && ambient::is_kept_from(path) {
                let fix = "another file took the place of the one the host was confined to at its start; restart it";
                trouble = trouble.with("fix", fix);
            }
            terminal.trouble(&trouble);
        }
    }
}
