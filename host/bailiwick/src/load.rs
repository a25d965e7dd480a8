//! From a configuration to plugins that can be called: components compiled, directories opened, secrets read, tools
//! described. Rights become handles here, once; no call looks at a path or a name again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::join_all;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use bailiwick_core::call::CallId;
use bailiwick_core::config::{self, Approval, Class, ComponentSource, Config, Effective};
use bailiwick_core::grant::{FsGrant, FsGrants, Grants, Limits, SecretGrant};
use bailiwick_core::name::{PluginName, ToolName};
use bailiwick_core::registry::{
    Candidate, Definition, DefinitionError, Registry, Tool, Trust, annotations, check_definitions,
};
use bailiwick_core::schema::{ArgumentSchema, ResultSchema};

use crate::artifact::Artifacts;
use crate::audit::{Audit, Rotation};
use crate::channel::Channel;
use crate::context::{CallContext, Ledger};
use crate::deadline::Deadline;
use crate::egress::Egress;
use crate::host::Snapshot;
use crate::runtime::{self, Cache, Component, Directories, MAX_COMPONENT, Runtime};
use crate::secrets::Secrets;
use crate::{ambient, builtin, settings};

/// What a program that embeds the host decides; the rest is in the configuration.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Where names become addresses.
    pub resolver: ambient::Resolver,
}

/// Why a host cannot start at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No folder for state or cache.
    #[error("no folder for {0}: set `HOME`, or `{1}` under `[host]`")]
    NoFolder(&'static str, &'static str),
    /// A file or folder of the host's own.
    #[error("cannot use {path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The engine.
    #[error("this machine cannot run components: {0}")]
    Engine(String),
    /// TLS roots.
    #[error("egress cannot be set up: {0}")]
    Egress(String),
    /// No random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
}

/// Why one plugin is not there.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The plugin.
    pub plugin: PluginName,
    /// Its line in the configuration, `FILE:LINE`.
    pub at: String,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "plugin `{}` ({}) is left out: {}", self.plugin, self.at, self.message)
    }
}

/// A plugin that can be called.
pub struct Plugin {
    /// Its name.
    pub name: PluginName,
    /// `FILE:LINE` of its table.
    pub at: String,
    /// Where its code comes from, as the operator wrote it.
    pub source: String,
    /// Its code.
    pub component: Component,
    pub(crate) directories: Directories,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) config: Arc<BTreeMap<String, String>>,
    pub(crate) slots: Semaphore,
}

/// Everything of a host that outlives a reload.
pub(crate) struct Parts {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) artifacts: Arc<Artifacts>,
    pub(crate) audit: Audit,
}

/// Opens what the host keeps for itself.
pub(crate) fn parts(config: &Config, setup: Setup) -> Result<Parts, StartError> {
    let state = settings::state_folder(config).ok_or(StartError::NoFolder("state", "state"))?;
    let file = |path: &std::path::Path| {
        let path = path.to_owned();
        move |error| StartError::File { path, error }
    };
    ambient::create_private_dir(&state).map_err(file(&state))?;
    let key_file = state.join("host.key");
    let key = runtime::host_key(&key_file).map_err(file(&key_file))?;
    let cache_folder = settings::cache_folder(config).ok_or(StartError::NoFolder("compiled components", "cache"))?;
    let cache = Cache::open(cache_folder.clone(), key).map_err(file(&cache_folder))?;
    let audit_file = config.audit.file.clone().unwrap_or_else(|| state.join("audit.jsonl"));
    let rotation = Rotation { file: audit_file.clone(), at: config.audit.rotate_at, keep: config.audit.keep };
    let audit = Audit::open(rotation).map_err(file(&audit_file))?;
    let mut authorities = Vec::new();
    for path in &config.host.extra_ca {
        authorities.push(ambient::read(path, 4 << 20).map_err(file(path))?);
    }
    let egress = Egress::new(setup.resolver, &authorities).map_err(|error| StartError::Egress(error.to_string()))?;
    let runtime =
        Runtime::new(config.host.calls, Some(cache)).map_err(|error| StartError::Engine(format!("{error:#}")))?;
    Ok(Parts {
        runtime: Arc::new(runtime),
        egress: Arc::new(egress),
        artifacts: Arc::new(Artifacts::new(state.join("artifacts"))),
        audit,
    })
}

/// Loads all plugins of `config`.
pub(crate) async fn snapshot(config: &Config, parts: &Parts) -> Snapshot {
    let loader = Loader { runtime: &parts.runtime, egress: &parts.egress, artifacts: &parts.artifacts };
    loader.snapshot(config).await
}

/// What loading needs.
pub(crate) struct Loader<'h> {
    pub(crate) runtime: &'h Arc<Runtime>,
    pub(crate) egress: &'h Arc<Egress>,
    pub(crate) artifacts: &'h Arc<Artifacts>,
}

impl Loader<'_> {
    /// Loads all enabled plugins, side by side.
    pub(crate) async fn snapshot(&self, config: &Config) -> Snapshot {
        let enabled: Vec<&config::Plugin> = config.plugins.iter().filter(|plugin| plugin.enabled).collect();
        let own = own_folders(config);
        let loaded = join_all(enabled.iter().map(|plugin| self.plugin(plugin, &own))).await;
        let (mut plugins, mut candidates, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (configured, loaded) in enabled.into_iter().zip(loaded) {
            let tools = loaded.and_then(|(plugin, described, reason)| {
                let tools = tools(configured, &described, reason.as_deref(), plugins.len())?;
                Ok((plugin, tools))
            });
            match tools {
                Ok((plugin, tools)) => {
                    plugins.push(plugin);
                    candidates.extend(tools);
                }
                Err(message) => {
                    let at = configured.grants.at.clone();
                    let problem = Problem { plugin: configured.name.clone(), at, message };
                    tracing::error!("{problem}");
                    problems.push(problem);
                }
            }
        }
        let registry = Registry::new(candidates).unwrap_or_else(|message| {
            tracing::error!("no tools: {message}");
            problems.extend(plugins.first().map(|plugin| Problem {
                plugin: plugin.name.clone(),
                at: plugin.at.clone(),
                message,
            }));
            Registry::default()
        });
        Snapshot { registry, plugins, problems }
    }

    async fn plugin(
        &self,
        configured: &config::Plugin,
        own: &[PathBuf],
    ) -> Result<(Plugin, Vec<Definition>, Option<String>), String> {
        let (bytes, source) = bytes(configured)?;
        let runtime = Arc::clone(self.runtime);
        let name = configured.name.to_string();
        let component = tokio::task::spawn_blocking(move || runtime.load(&bytes, &name))
            .await
            .map_err(|_| "loading it crashed; the log says more".to_owned())?
            .map_err(|error| error.to_string())?;
        let grants = || {
            std::iter::once(&configured.grants.fs).chain(configured.tools.values().filter_map(|rule| rule.fs.as_ref()))
        };
        let directories = Directories::open(grants()).map_err(|(path, error)| {
            format!("the directory {} of its `fs` cannot be opened: {error}", path.display())
        })?;
        own_files(own, grants().flat_map(FsGrants::iter))?;
        let granted = Arc::clone(&configured.grants);
        // A secret's command may take seconds.
        let secrets = tokio::task::spawn_blocking(move || Secrets::load(&granted.secrets, &granted.at))
            .await
            .map_err(|_| "reading its secrets crashed; the log says more".to_owned())?
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let secrets = Arc::new(secrets);
        let settings = Arc::new(configured.config.clone());
        let _room = self.runtime.preview().await;
        let nothing = self.preview(configured, Arc::new(Secrets::default()), Arc::default(), "describe");
        let described =
            runtime::describe(&component, &nothing).await.map_err(|failure| format!("`describe` failed: {failure}"))?;
        let names = self.preview(configured, Arc::clone(&secrets), Arc::clone(&settings), "check");
        let reason =
            runtime::check(&component, &names).await.map_err(|failure| format!("`check` failed: {failure}"))?;
        let slots = Semaphore::new(configured.limits.concurrency as usize);
        let at = configured.grants.at.clone();
        let plugin = Plugin {
            name: configured.name.clone(),
            at,
            source,
            component,
            directories,
            secrets,
            config: settings,
            slots,
        };
        Ok((plugin, described, reason))
    }

    /// The rights of `describe` and `check`: none, but for the names of secrets and the configuration that `check` sees.
    fn preview(
        &self,
        configured: &config::Plugin,
        secrets: Arc<Secrets>,
        settings: Arc<BTreeMap<String, String>>,
        what: &str,
    ) -> Arc<CallContext> {
        let names_only = |grant: &SecretGrant| SecretGrant { reveal: false, ..grant.clone() };
        let secrets_seen = match what {
            "check" => configured.grants.secrets.iter().map(names_only).collect(),
            _ => Vec::new(),
        };
        let (table, at) = (configured.grants.table.clone(), configured.grants.at.clone());
        let effective = Effective {
            allowed: true,
            grants: Arc::new(Grants { secrets: secrets_seen, table, at, ..Grants::default() }),
            limits: Limits::default(),
            approval: Approval::Never,
            arguments: Vec::new(),
            inject: serde_json::Map::new(),
        };
        let name = ToolName::parse(what).unwrap_or_else(|_| unreachable!("`{what}` is a legal name"));
        Arc::new(CallContext {
            id: CallId::new(&format!("{what}-{}", configured.name)),
            plugin: configured.name.clone(),
            tool: name,
            deadline: Arc::new(Deadline::new(effective.limits.time)),
            effective: Arc::new(effective),
            config: settings,
            secrets,
            egress: Arc::clone(self.egress),
            artifacts: Arc::clone(self.artifacts),
            channel: Channel::default(),
            ledger: Ledger::default(),
        })
    }
}

/// The places the host keeps for itself, without links.
fn own_folders(config: &Config) -> Vec<PathBuf> {
    [settings::state_folder(config), settings::cache_folder(config), config.audit.file.clone()]
        .into_iter()
        .flatten()
        .filter_map(|path| ambient::canonical(&path).ok())
        .collect()
}

/// Refuses a grant that shows the host's own files, also by way of a link or of a folder around them: the key, the
/// compiled code and the audit are nobody's to read or write.
fn own_files<'g>(own: &[PathBuf], grants: impl Iterator<Item = &'g FsGrant>) -> Result<(), String> {
    for grant in grants {
        let Ok(real) = ambient::canonical(&grant.host) else { continue };
        if let Some(path) = own.iter().find(|path| path.starts_with(&real) || real.starts_with(path)) {
            let path = path.display();
            return Err(format!("its `fs` grant `{}` reaches {path}, which the host keeps for itself", grant.text));
        }
    }
    Ok(())
}

/// The bytes of a plugin's component.
fn bytes(configured: &config::Plugin) -> Result<(std::borrow::Cow<'static, [u8]>, String), String> {
    let Class::Component(source) = &configured.class;
    match source {
        ComponentSource::Builtin(name) => Ok((builtin::find(name)?.into(), format!("builtin:{name}"))),
        ComponentSource::Path(path) => {
            let shown = path.display().to_string();
            let bytes = ambient::read(path, MAX_COMPONENT).map_err(|error| format!("cannot read {shown}: {error}"))?;
            Ok((bytes.into(), shown))
        }
    }
}

/// The tools of one plugin, with what the operator says of each.
fn tools(
    configured: &config::Plugin,
    definitions: &[Definition],
    reason: Option<&str>,
    plugin_index: usize,
) -> Result<Vec<Candidate>, String> {
    check_definitions(definitions).map_err(|error| error.to_string())?;
    let trust = match &configured.class {
        Class::Component(ComponentSource::Builtin(_)) => Trust::Builtin,
        Class::Component(ComponentSource::Path(_)) => Trust::Foreign,
    };
    let known = |name: &str| definitions.iter().any(|definition| definition.name == name);
    let named = configured.tools.keys().filter(|name| *name != "*").map(String::as_str);
    let named = named.chain(configured.alias.values().map(AsRef::as_ref));
    if let Some(name) = named.into_iter().find(|name| !known(name)) {
        let all = definitions.iter().map(|definition| format!("`{}`", definition.name)).collect::<Vec<_>>().join(", ");
        return Err(DefinitionError::UnknownTool { name: name.to_owned(), known: all }.to_string());
    }
    definitions
        .iter()
        .map(|definition| {
            let tool = tool(configured, definition, reason, plugin_index, trust)?;
            let mut aliases: Vec<ToolName> = configured
                .alias
                .iter()
                .filter(|(_, tool)| AsRef::<str>::as_ref(*tool) == definition.name)
                .map(|(alias, _)| alias.clone())
                .collect();
            aliases.sort();
            Ok(Candidate { tool, aliases })
        })
        .collect()
}

fn tool(
    configured: &config::Plugin,
    definition: &Definition,
    reason: Option<&str>,
    plugin_index: usize,
    trust: Trust,
) -> Result<Tool, String> {
    let name = &definition.name;
    let schema = |which, error| DefinitionError::Schema { tool: name.clone(), which, error }.to_string();
    let effective = configured.rules_for(name);
    let arguments = ArgumentSchema::compile(&definition.input_schema, &effective.arguments, effective.inject.clone())
        .map_err(|error| schema("input schema", error))?;
    let output = definition.output_schema.as_deref().map(ResultSchema::compile).transpose();
    let (results, output_schema) = output.map_err(|error| schema("output schema", error))?.unzip();
    let grants_digest = format!("sha256:{}", hex::encode(Sha256::digest(format!("{effective:?}"))));
    Ok(Tool {
        name: ToolName::parse(name).map_err(|error| error.to_string())?,
        plugin: configured.name.clone(),
        plugin_index,
        annotations: annotations(definition, &effective, trust),
        definition: definition.clone(),
        effective: Arc::new(effective),
        arguments,
        results,
        output_schema,
        grants_digest,
        not_configured: reason.map(str::to_owned),
    })
}
