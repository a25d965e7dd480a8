//! The servers of a host, over its reloads: one that is configured as before goes on as it is, one that is not ends.

mod dial;
pub(crate) mod kept;
mod launch;
mod underway;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use bailiwick_core::config::{self, Class, Start};
use bailiwick_core::confine::ProgramRule;
use bailiwick_core::name::PluginName;
use bailiwick_core::outcome::{Code, Failure, Output};
use bailiwick_core::policy::Permitted;

use crate::artifact::Artifacts;
use crate::bridge::{Patience, Server, Settings, Way};
use crate::context::CallContext;
use crate::egress::Egress;
use crate::keeper::Keeper;
use crate::load;
use crate::registrations::Vault;
use crate::remote::Site;
use crate::runtime::Described;
use crate::secrets::Secrets;
use crate::store::Store;

use self::dial::Dialled;
use self::launch::Launched;
pub(crate) use self::underway::Underway;

/// All servers.
pub(crate) struct Fleet {
    keeper: Option<Arc<Keeper>>,
    egress: Arc<Egress>,
    artifacts: Arc<Artifacts>,
    store: Arc<Store>,
    members: Mutex<HashMap<PluginName, Arc<Member>>>,
    changed: watch::Sender<u64>,
    /// Whether servers are asked what they have although it is known.
    afresh: bool,
}

/// One server.
pub(crate) struct Member {
    /// The plugin.
    pub(crate) name: PluginName,
    /// The server.
    pub(crate) server: Arc<Server>,
    /// The calls it is busy with.
    pub(crate) underway: Arc<Underway>,
    /// What runs, however it is configured beside that.
    pub(crate) identity: String,
    /// All that has to be as it was for it to go on.
    fingerprint: String,
    store: Arc<Store>,
    changed: watch::Sender<u64>,
    follower: Mutex<Option<AbortHandle>>,
    /// Whether somebody asks it until it answers.
    is_awaited: AtomicBool,
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(follower) = self.follower.lock().unwrap_or_else(PoisonError::into_inner).take() {
            follower.abort();
        }
    }
}

/// What servers are made of.
pub(crate) struct Yard<'h> {
    /// Who starts programs.
    pub(crate) keeper: Option<&'h Arc<Keeper>>,
    /// Where their requests go.
    pub(crate) egress: &'h Arc<Egress>,
    /// Where what is too large is kept.
    pub(crate) artifacts: &'h Arc<Artifacts>,
    /// Where it is kept what proves to servers elsewhere who asks; none where there is no such place.
    pub(crate) store: Option<&'h Arc<Store>>,
}

impl Yard<'_> {
    /// A server that does not run yet, and the calls it will be busy with.
    fn server(
        &self,
        configured: &config::Plugin,
        secrets: &Arc<Secrets>,
    ) -> Result<(Arc<Server>, Arc<Underway>), String> {
        let underway = Arc::new(Underway::default());
        let (way, idle, lifetime) = match &configured.class {
            Class::Component(_) | Class::Process(_) | Class::Service(_) | Class::Code(_) => {
                return Err("it is no server".to_owned());
            }
            Class::Mcp(mcp) => {
                let keeper = keeper_of(self.keeper, &configured.name)?;
                let (keeper, calls) = (Arc::clone(keeper), Arc::clone(&underway));
                let launched = Launched::new(keeper, configured, secrets, self.egress, self.artifacts, calls);
                (Way::Child(Arc::new(launched)), mcp.idle, mcp.lifetime)
            }
            Class::Remote(remote) => {
                let store = self.store.ok_or("there is no state folder yet: start the host once")?;
                let (egress, secrets, store) = (Arc::clone(self.egress), Arc::clone(secrets), Arc::clone(store));
                let site = Site::new(configured, remote, egress, secrets, store);
                (Way::Url(Arc::new(Dialled(site))), remote.idle, remote.lifetime)
            }
        };
        let settings = Settings {
            plugin: configured.name.clone(),
            at: configured.grants.at.clone(),
            idle,
            lifetime,
            start_time: Settings::START_TIME,
            patience: Patience::default(),
        };
        Ok((Server::new(settings, way), underway))
    }

    /// Starts a plugin's server, asks what it has, and ends it.
    ///
    /// # Errors
    /// When a secret cannot be read or the server does not come up, in a sentence.
    pub(crate) async fn asked(&self, configured: &config::Plugin) -> Result<Described, String> {
        let secrets = load::secrets(configured, None, &Vault::default()).await?;
        let (server, _) = self.server(configured, &secrets)?;
        let described = server.described().await.map_err(|failure| failure.to_string());
        server.stop().await;
        described
    }
}

impl Fleet {
    /// Who starts the programs of a plugin.
    ///
    /// # Errors
    /// When nobody does; the sentence says what to do.
    pub(crate) fn keeper(&self, plugin: &PluginName) -> Result<&Arc<Keeper>, String> {
        keeper_of(self.keeper.as_ref(), plugin)
    }

    /// None yet. `keeper` starts those that are programs; `afresh` has each asked what it has.
    pub(crate) fn new(
        keeper: Option<Arc<Keeper>>,
        egress: Arc<Egress>,
        artifacts: Arc<Artifacts>,
        store: Arc<Store>,
        afresh: bool,
    ) -> Self {
        let (members, changed) = (Mutex::default(), watch::Sender::new(0));
        Self { keeper, egress, artifacts, store, members, changed, afresh }
    }

    /// Changes whenever what a server publishes may have changed.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What is told when that may be.
    pub(crate) fn changed(&self) -> watch::Sender<u64> {
        self.changed.clone()
    }

    /// The server of a plugin: the one that is there, if it is configured as it was, or else a new one.
    ///
    /// # Errors
    /// When there is nobody to start it; the sentence says what to do.
    pub(crate) fn member(&self, configured: &config::Plugin, secrets: &Arc<Secrets>) -> Result<Arc<Member>, String> {
        let identity = identity(&configured.class);
        let fingerprint = fingerprint(configured, secrets);
        let name = &configured.name;
        if let Some(known) = self.members().get(name).filter(|known| known.fingerprint == fingerprint) {
            return Ok(Arc::clone(known));
        }
        let yard = Yard {
            keeper: self.keeper.as_ref(),
            egress: &self.egress,
            artifacts: &self.artifacts,
            store: Some(&self.store),
        };
        let (server, underway) = yard.server(configured, secrets)?;
        let member = Arc::new(Member {
            name: name.clone(),
            server,
            underway,
            identity,
            fingerprint,
            store: Arc::clone(&self.store),
            changed: self.changed.clone(),
            follower: Mutex::default(),
            is_awaited: AtomicBool::new(false),
        });
        member.follow();
        if let Class::Mcp(mcp) = &configured.class
            && mcp.start == Start::Eager
        {
            let member = Arc::clone(&member);
            tokio::spawn(async move {
                if let Err(failure) = member.ask().await {
                    tracing::warn!(plugin = %member.name, %failure, "the server did not come up");
                }
            });
        }
        self.members().insert(name.clone(), Arc::clone(&member));
        Ok(member)
    }

    /// Ends every server that is not among these.
    pub(crate) fn retain(&self, config: &config::Config) {
        let is_there = |name: &PluginName| config.plugins.iter().any(|plugin| plugin.name == *name && plugin.enabled);
        self.members().retain(|name, _| is_there(name));
    }

    /// What a server publishes: as it is known or, if it is not, as it says now.
    ///
    /// # Errors
    /// When it does not come up, or says nothing that can be used.
    pub(crate) async fn described(&self, member: &Arc<Member>) -> Result<Described, Failure> {
        if !self.afresh
            && let Some(listed) = member.kept().await.and_then(|kept| kept.listed)
        {
            member.server.expect(&listed);
            return Ok(listed);
        }
        member.ask().await.inspect_err(|_| member.ask_again())
    }

    /// Asks a server what it has, pins that, and says how many definitions it is.
    ///
    /// # Errors
    /// When it does not say.
    pub(crate) async fn accept(&self, plugin: &PluginName) -> Result<usize, Failure> {
        let member = self.members().get(plugin).cloned();
        let silent = |reason: String| Failure::new(Code::Internal, reason);
        let member = member.ok_or_else(|| silent(format!("the server of `{plugin}` could not be made")))?;
        let definitions = member.ask().await?.definitions();
        let (store, plugin, n_definitions) = (Arc::clone(&self.store), plugin.clone(), definitions.len());
        let pinned = tokio::task::spawn_blocking(move || kept::pin(&store, &plugin, &definitions)).await;
        pinned.map_err(|error| silent(error.to_string()))?.map_err(|error| silent(error.to_string()))?;
        Ok(n_definitions)
    }

    fn members(&self) -> std::sync::MutexGuard<'_, HashMap<PluginName, Arc<Member>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// What is kept of it; none if nothing is, or if it cannot be read, which is logged.
    pub(crate) async fn kept(&self) -> Option<kept::Kept> {
        let (store, name, identity) = (Arc::clone(&self.store), self.name.clone(), self.identity.clone());
        let read = tokio::task::spawn_blocking(move || kept::read(&store, &name, &identity)).await.ok()?;
        read.inspect_err(|error| tracing::error!(%error, plugin = %self.name, "what is kept of it cannot be read"))
            .ok()?
    }

    /// Runs a tool, or asks for a prompt, a resource or values.
    ///
    /// # Errors
    /// Why there is no result.
    pub(crate) async fn call(&self, permitted: &Permitted, context: &Arc<CallContext>) -> Result<Output, Failure> {
        let _turn = self.underway.enter(context);
        let result = self.server.call(permitted, context).await;
        if matches!(&result, Err(failure) if failure.code == Code::DeniedQuarantined) {
            // Whoever lists it next shall know.
            self.ask()
                .await
                .inspect_err(|failure| tracing::warn!(plugin = %self.name, %failure, "what changed is not known"))
                .ok();
        }
        result
    }

    /// Asks it what it has, and keeps that.
    async fn ask(&self) -> Result<Described, Failure> {
        let said = self.server.described().await?;
        let (store, name, identity) = (Arc::clone(&self.store), self.name.clone(), self.identity.clone());
        let copy = Described { tools: said.tools.clone(), context: said.context.clone() };
        let kept = tokio::task::spawn_blocking(move || kept::write(&store, &name, &identity, &copy)).await;
        if let Ok(Err(error)) = kept {
            tracing::error!(%error, plugin = %self.name, "what it publishes cannot be kept");
        }
        Ok(said)
    }

    /// Asks one that could not be asked again and again, until it can: then its tools are there without anybody's doing.
    fn ask_again(self: &Arc<Self>) {
        const PAUSE: Duration = Duration::from_secs(30);
        if self.is_awaited.swap(true, Ordering::Relaxed) {
            return;
        }
        let member = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                let Some(member) = member.upgrade() else { return };
                if member.ask().await.is_ok() {
                    member.is_awaited.store(false, Ordering::Relaxed);
                    member.changed.send_modify(|version| *version += 1);
                    return;
                }
            }
        });
    }

    /// Asks it again whenever it says that something changed.
    fn follow(self: &Arc<Self>) {
        let (member, mut changes) = (Arc::downgrade(self), self.server.changes());
        let follower = tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let Some(member) = member.upgrade() else { return };
                match member.ask().await {
                    Ok(_) => member.changed.send_modify(|version| *version += 1),
                    Err(failure) => tracing::warn!(plugin = %member.name, %failure, "what changed is not known"),
                }
            }
        });
        *self.follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(follower.abort_handle());
    }
}

/// Who starts the programs of a plugin.
fn keeper_of<'k>(keeper: Option<&'k Arc<Keeper>>, plugin: &PluginName) -> Result<&'k Arc<Keeper>, String> {
    keeper.filter(|keeper| keeper.keeps(plugin)).ok_or_else(|| {
        "nobody can start its program: which there are is fixed when the host starts; restart it".to_owned()
    })
}

/// What a plugin runs, in one line: the digest of its command and of what it is started in, or of its URL.
pub(crate) fn identity(class: &Class) -> String {
    let told = match class {
        Class::Component(_) | Class::Process(_) | Class::Code(_) => String::new(),
        Class::Service(service) => format!("{:?}", (&service.url, &service.known)),
        Class::Mcp(mcp) => format!("{:?}", (&mcp.launch.command, &mcp.launch.cwd)),
        Class::Remote(remote) => remote.url.to_string(),
    };
    format!("sha256:{}", hex::encode(Sha256::digest(told)))
}

/// All that a running server was started with. Values of secrets are in it only as a digest.
fn fingerprint(configured: &config::Plugin, secrets: &Secrets) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{:?}", (&configured.class, &configured.grants, &configured.limits)));
    if let Some(rule) = ProgramRule::of(configured) {
        digest.update(format!("{:?}", (&rule.launch.command, &rule.env, &rule.files)));
    }
    for secret in &configured.grants.secrets {
        digest.update(secrets.value(&secret.name).unwrap_or_default());
    }
    hex::encode(digest.finalize())
}
