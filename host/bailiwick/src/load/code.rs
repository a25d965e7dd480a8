//! Loading a tool that is a program, or runs some: nothing of it runs before it is called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use bailiwick_core::code::tools::{Custom, Kind, custom, executor, mode, runner};
use bailiwick_core::config::{self, CodeSource, CodeTool, Interpreted};
use bailiwick_core::context::Catalogue;
use bailiwick_core::lock::{Lock, Published};
use bailiwick_core::registration::code::MAX_SOURCE;
use bailiwick_core::registry::Definition;

use crate::ambient;
use crate::code::Program;
use crate::runtime::{ComponentDigest, Described};

use super::programs::unchanged;
use super::{Backend, Fault, Loaded, Loader, Plugin, opened};

/// A tool as it is read, before anything that it may reach is opened.
pub(crate) struct Read {
    kind: Kind,
    pub(crate) definition: Definition,
    /// Of what runs.
    pub(crate) digest: ComponentDigest,
}

/// Reads what a tool is made of.
///
/// # Errors
/// Its file cannot be read, in a sentence.
pub(crate) async fn read(configured: &config::Plugin, interpreted: &Interpreted) -> Result<Read, String> {
    let (kind, definition) = match interpreted {
        Interpreted::Executor => (Kind::Executor, executor()),
        Interpreted::Mode => (Kind::Mode, mode()),
        Interpreted::Runner => (Kind::Runner, runner()),
        Interpreted::Tool(tool) => {
            let source = text(tool).await?;
            let definition = custom(configured.name.as_str(), tool);
            (Kind::Custom(Custom { language: tool.language, source }), definition)
        }
    };
    let identity = match &kind {
        Kind::Executor | Kind::Mode | Kind::Runner => interpreted.source(),
        Kind::Custom(custom) => format!("{} {}", custom.language, custom.source),
    };
    Ok(Read { kind, definition, digest: ComponentDigest::of(identity.as_bytes()) })
}

async fn text(tool: &CodeTool) -> Result<String, String> {
    let file = match &tool.source {
        CodeSource::Text(text) => return Ok(text.clone()),
        CodeSource::File(file) => file.clone(),
    };
    let read = tokio::task::spawn_blocking(move || {
        let unread = |error: &dyn std::fmt::Display| format!("its program {} cannot be read: {error}", file.display());
        let bytes = ambient::read(&file, MAX_SOURCE as u64).map_err(|error| unread(&error))?;
        String::from_utf8(bytes).map_err(|_| unread(&"it is not text in UTF-8"))
    });
    read.await.map_err(|error| error.to_string())?
}

impl Loader<'_> {
    pub(super) async fn code(
        &self,
        configured: &config::Plugin,
        interpreted: &Interpreted,
        own: &[PathBuf],
        lock: Option<&Lock>,
    ) -> Result<Loaded, Fault> {
        self.wall.map_or(Ok(()), |wall| wall.admits(configured))?;
        let Read { kind, definition, digest } = read(configured, interpreted).await?;
        let described = Described { tools: vec![definition], context: Catalogue::default() };
        if let Some(lock) = lock {
            unchanged(configured, lock, Published::of(digest.to_string(), [], &described.definitions()))?;
        }
        let directories = opened(configured, own)?;
        let interpreters = Arc::clone(self.interpreters);
        let plugin = Plugin {
            name: configured.name.clone(),
            at: configured.grants.at.clone(),
            source: interpreted.source(),
            digest,
            class: configured.class.key(),
            backend: Backend::Code(Box::new(Program { kind, directories, interpreters })),
            secrets: self.secrets(configured).await?,
            config: Arc::new(BTreeMap::new()),
            slots: Semaphore::new(configured.limits.concurrency as usize),
        };
        let (known, held, problems) = (BTreeSet::new(), Vec::new(), Vec::new());
        Ok(Loaded { plugin, described, reason: None, known, held, problems, held_to: None })
    }
}
