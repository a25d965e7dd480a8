//! Loading native programs: none of them runs before it is called, and none that is not what was pinned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use bailiwick_core::config::{self, Process};
use bailiwick_core::lock::{Lock, Published};
use bailiwick_core::name::ToolName;

use crate::process::Programs;

use super::{Backend, Fault, Loaded, Loader, Plugin, Quarantine, own_files};

impl Loader<'_> {
    pub(super) async fn programs_plugin(
        &self,
        configured: &config::Plugin,
        process: &Process,
        own: &[PathBuf],
        lock: Option<&Lock>,
    ) -> Result<Loaded, Fault> {
        self.wall.map_or(Ok(()), |wall| wall.admits(configured))?;
        own_files(own, configured.grants.fs.iter())?;
        let keeper = Arc::clone(self.fleet.keeper(&configured.name)?);
        let programs = Programs::read(configured, process, Some(keeper)).await?;
        let described = programs.described();
        if let Some(lock) = lock {
            let definitions = described.definitions();
            unchanged(configured, lock, Published::of(programs.digest().to_string(), [], &definitions))?;
        }
        let plugin = Plugin {
            name: configured.name.clone(),
            at: configured.grants.at.clone(),
            source: programs.source(),
            class: configured.class.key(),
            digest: programs.digest(),
            backend: Backend::Programs(Box::new(programs)),
            secrets: self.secrets(configured).await?,
            config: Arc::new(BTreeMap::new()),
            slots: Semaphore::new(configured.limits.concurrency as usize),
        };
        let (known, held, problems) = (BTreeSet::new(), Vec::new(), Vec::new());
        Ok(Loaded { plugin, described, reason: None, known, held, problems, held_to: None })
    }
}

/// Checks that programs are what was pinned of them. Those that were never pinned may be anything.
pub(super) fn unchanged(configured: &config::Plugin, lock: &Lock, now: Published) -> Result<(), Fault> {
    let Some(pin) = lock.plugins.get(&configured.name) else { return Ok(()) };
    let Some(difference) = pin.published.difference(&now) else { return Ok(()) };
    let tools = pin.published.tools.keys().filter_map(|name| ToolName::parse(name).ok()).collect();
    Err(Fault::Quarantined(Box::new(Quarantine { lock: lock.file.clone(), difference, tools })))
}
