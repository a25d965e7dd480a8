//! Loading an HTTP service: its document is read, what is not as it was pinned is held back, and one component of the host's
//! own is made ready to send its requests.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Semaphore;

use bailiwick_core::config::{self, Service};
use bailiwick_core::context::Catalogue;
use bailiwick_core::lock::{Lock, Published};
use bailiwick_core::redact::brief;

use crate::builtin;
use crate::fleet::{self, kept};
use crate::runtime::{ComponentDigest, Described};

use super::servers::{Pinned, Screened, screened};
use super::{Backend, Fault, LoadFault, Loaded, Loader, MAX_MESSAGE, Plugin, Problem};

impl Loader<'_> {
    /// Loads a service.
    pub(super) async fn service(
        &self,
        configured: &config::Plugin,
        service: &Service,
        lock: Option<&Lock>,
    ) -> Result<Loaded, Fault> {
        self.wall.map_or(Ok(()), |wall| wall.admits(configured))?;
        let secrets = self.secrets(configured).await?;
        let wire = self.services.wire(configured, &secrets);
        self.services.stop_asking(&configured.name);
        let offered = self.services.offered(configured, service, &wire).await.map_err(|failure| {
            self.services.ask_again(configured, service, Arc::clone(&wire));
            // It may hold what the service wrote, which may be anything.
            let message = brief(&secrets.redactor().text(&failure.to_string()), MAX_MESSAGE);
            LoadFault { code: Some(failure.code), message }
        })?;
        let held_to = offered.held(configured);
        let described = Described { tools: offered.tools.clone(), context: Catalogue::default() };
        let identity = fleet::identity(&configured.class);
        let pinned = match lock.and_then(|lock| Some((lock, lock.plugins.get(&configured.name)?))) {
            Some((lock, pin)) => Some(Pinned { published: pin.published.clone(), file: Some(lock.file.clone()) }),
            None => self.first_use(configured, &identity, &described).await,
        };
        let Screened { described, held, mut problems } = screened(configured, described, pinned.as_ref());
        let known: BTreeSet<String> = held.iter().flat_map(|held| &held.tools).map(ToString::to_string).collect();
        if let Some(failure) = &offered.stale {
            let (name, at) = (&configured.name, &configured.grants.at);
            let message = format!("its document could not be asked for, and the one from before is used: {failure}");
            problems.push(Problem {
                code: failure.code.as_str(),
                partly: true,
                ..Problem::left_out(name, at, message)
            });
        }
        let code = builtin::openapi()?;
        let component = self.runtime.load(code, configured.name.as_ref()).await?;
        let session = self.services.session(service, wire);
        let callable = offered.service(configured, service, component, session);
        let callable = callable.map_err(|failure| failure.to_string())?;
        let plugin = Plugin {
            name: configured.name.clone(),
            at: configured.grants.at.clone(),
            source: service.url.to_string(),
            digest: ComponentDigest::of(identity.as_bytes()),
            class: configured.class.key(),
            backend: Backend::Service(Box::new(callable)),
            secrets,
            config: Arc::default(),
            slots: Semaphore::new(configured.limits.concurrency as usize),
        };
        Ok(Loaded { plugin, described, reason: None, known, held, problems, held_to: Some(Box::new(held_to)) })
    }

    /// What was pinned when the service was first used, if that is anything else; that is now, if it never was.
    async fn first_use(&self, configured: &config::Plugin, identity: &str, described: &Described) -> Option<Pinned> {
        let store = self.services.store()?;
        let (store, name, identity) = (Arc::clone(store), configured.name.clone(), identity.to_owned());
        let now = described.clone();
        let pinned = tokio::task::spawn_blocking(move || match kept::pinned(&store, &name)? {
            Some(pinned) if pinned == now.definitions() => Ok(None),
            Some(pinned) => Ok(Some(pinned)),
            None => kept::write(&store, &name, &identity, &now).map(|()| None),
        });
        let unkept = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, plugin = %configured.name, "what is kept of it cannot be used");
        };
        let pinned = pinned.await.inspect_err(|error| unkept(error)).ok()?;
        let pinned = pinned.inspect_err(|error| unkept(error)).ok()??;
        let identity = fleet::identity(&configured.class);
        Some(Pinned { published: Published::of(identity, [], &pinned), file: None })
    }
}
