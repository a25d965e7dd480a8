//! Loading a plugin that is a server: what it publishes is known from before, or it is asked; what is not as it was pinned
//! is held back, tool by tool.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Semaphore;

use bailiwick_core::config::{self, Class};
use bailiwick_core::context::Catalogue;
use bailiwick_core::lock::{Change, Lock, Published};
use bailiwick_core::name::ToolName;
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::registry::{Held, check_definitions};

use crate::fleet;
use crate::runtime::{ComponentDigest, Described};

use super::{Backend, Fault, LoadFault, Loaded, Loader, Plugin, Problem};

/// What was pinned of a server or a service, and by what.
pub(super) struct Pinned {
    pub(super) published: Published,
    /// The lock file; none where the host pinned it itself, when it was first used.
    pub(super) file: Option<String>,
}

impl Loader<'_> {
    /// Loads a server.
    pub(super) async fn server(&self, configured: &config::Plugin, lock: Option<&Lock>) -> Result<Loaded, Fault> {
        self.wall.map_or(Ok(()), |wall| wall.admits(configured))?;
        let secrets = self.secrets(configured).await?;
        let member = self.fleet.member(configured, &secrets)?;
        let described = self.fleet.described(&member).await.map_err(|failure| {
            // It holds what the server wrote last, which may be anything.
            let message = secrets.redactor().text(&failure.to_string()).into_owned();
            LoadFault { code: Some(failure.code), message }
        })?;
        let pinned = match lock.and_then(|lock| Some((lock, lock.plugins.get(&configured.name)?))) {
            Some((lock, pin)) => Some(Pinned { published: pin.published.clone(), file: Some(lock.file.clone()) }),
            None => member.kept().await.map(|kept| Pinned {
                published: Published::of(fleet::identity(&configured.class), [], &kept.pinned),
                file: None,
            }),
        };
        let Screened { described, held, problems } = screened(configured, described, pinned.as_ref());
        let mut known: BTreeSet<String> = held.iter().flat_map(|held| &held.tools).map(ToString::to_string).collect();
        known.extend(pinned.iter().flat_map(|pinned| pinned.published.tools.keys().cloned()));
        let plugin = Plugin {
            name: configured.name.clone(),
            at: configured.grants.at.clone(),
            source: source(&configured.class),
            class: configured.class.key(),
            digest: ComponentDigest::of(member.identity.as_bytes()),
            backend: Backend::Server(member),
            secrets,
            config: Arc::new(BTreeMap::new()),
            slots: Semaphore::new(configured.limits.concurrency as usize),
        };
        Ok(Loaded { plugin, described, reason: None, known, held, problems, held_to: None })
    }
}

/// The command, as a person would write it, or the URL.
fn source(class: &Class) -> String {
    match class {
        Class::Component(_) | Class::Process(_) | Class::Service(_) | Class::Code(_) => String::new(),
        Class::Remote(remote) => remote.url.to_string(),
        Class::Mcp(mcp) => mcp.launch.to_string(),
    }
}

/// What of a server or a service can be used, and what not.
pub(super) struct Screened {
    pub(super) described: Described,
    pub(super) held: Vec<Held>,
    pub(super) problems: Vec<Problem>,
}

/// Holds back every definition that is not what was pinned, or is none.
pub(super) fn screened(configured: &config::Plugin, described: Described, pinned: Option<&Pinned>) -> Screened {
    let (name, at) = (&configured.name, &configured.grants.at);
    let identity = fleet::identity(&configured.class);
    // Only what is compared is written out as a person would see it: for a thousand tools that takes a while.
    let compared = pinned.map(|_| described.definitions()).unwrap_or_default();
    let now = Published::of(identity, [], &compared);
    let (mut held, mut problems) = (Vec::new(), Vec::new());
    if let Some(Pinned { published, file: Some(file) }) = pinned
        && published.component != now.component
    {
        let message = format!("it is not what {file} pins: it is another program");
        let fix = format!("`bailiwick lock` shows the difference, `bailiwick lock --accept {name}` accepts it");
        let failure = Failure::new(Code::DeniedQuarantined, format!("plugin `{name}` is quarantined: {message}"));
        let tools = published.tools.keys().filter_map(|tool| ToolName::parse(tool).ok()).collect();
        held.push(of(configured, tools, failure.with_fix(fix.clone())));
        let code = Code::DeniedQuarantined.as_str();
        problems.push(Problem { code, fix: Some(fix), ..Problem::left_out(name, at, message) });
        let nothing = Described { tools: Vec::new(), context: Catalogue::default() };
        return Screened { described: nothing, held, problems };
    }
    let changed = pinned.map(|pinned| changed(&pinned.published, &now)).unwrap_or_default();
    let mut tools = Vec::new();
    for definition in described.tools {
        let reason = match check_definitions(std::slice::from_ref(&definition)) {
            Err(error) => Some((error.to_string(), None)),
            Ok(()) => changed.get(&definition.name).map(|word| {
                let was = pinned.map(|pinned| pinned.published.tool_difference(&now, &definition.name));
                (format!("tool `{}` {word}", definition.name), was)
            }),
        };
        match reason {
            None => tools.push(definition),
            Some((reason, difference)) => {
                let (failure, problem) = quarantined(configured, pinned, reason, difference);
                problems.push(problem);
                let tool = ToolName::parse(&definition.name).into_iter().collect();
                held.push(of(configured, tool, failure));
            }
        }
    }
    let mut context = described.context;
    for definition in context.definitions() {
        // What resources there are changes all the time; what prompts say and where templates lead does not.
        let is_fixed = !definition.name.starts_with("resource:");
        if let Some(word) = changed.get(&definition.name).filter(|_| is_fixed) {
            let difference = pinned.map(|pinned| pinned.published.tool_difference(&now, &definition.name));
            let (_, problem) = quarantined(configured, pinned, format!("`{}` {word}", definition.name), difference);
            problems.push(problem);
            context.leave_out(&definition.name);
        }
    }
    if let Err(reason) = context.check() {
        problems.push(Problem { code: Code::PluginInvalid.as_str(), ..Problem::left_out(name, at, reason) });
        context = Catalogue::default();
    }
    Screened { described: Described { tools, context }, held, problems }
}

/// What is not as it was pinned, with the words for it.
fn changed(pinned: &Published, now: &Published) -> BTreeMap<String, &'static str> {
    let told = |change: Change| match change {
        Change::ToolAdded(name) => Some((name, "is new")),
        Change::ToolChanged(name) => Some((name, "is defined otherwise now")),
        Change::Component { .. }
        | Change::ImportAdded(_)
        | Change::ImportRemoved(_)
        | Change::ImportVersion { .. }
        | Change::ToolRemoved(_) => None,
    };
    pinned.changes(now).into_iter().filter_map(told).collect()
}

fn quarantined(
    configured: &config::Plugin,
    pinned: Option<&Pinned>,
    reason: String,
    difference: Option<String>,
) -> (Failure, Problem) {
    let (name, at) = (&configured.name, &configured.grants.at);
    let by = match pinned {
        Some(Pinned { file: Some(file), .. }) => format!("it is not what {file} pins: {reason}"),
        Some(Pinned { file: None, .. }) => format!("it is not what it was when it was first used: {reason}"),
        None => reason,
    };
    let fix = difference
        .is_some()
        .then(|| format!("`bailiwick lock` shows the difference, `bailiwick lock --accept {name}` accepts it"));
    let code = if difference.is_some() { Code::DeniedQuarantined } else { Code::PluginInvalid };
    let failure = Failure::new(code, format!("plugin `{name}`: {by}"));
    let failure = match &fix {
        Some(fix) => failure.with_fix(fix.clone()),
        None => failure,
    };
    let problem = Problem { code: code.as_str(), fix, difference, partly: true, ..Problem::left_out(name, at, by) };
    (failure, problem)
}

/// Keeps the names of tools that may not run.
fn of(configured: &config::Plugin, tools: Vec<ToolName>, failure: Failure) -> Held {
    let aliases = configured.alias.iter().filter(|(_, tool)| tools.contains(tool));
    let aliases = aliases.map(|(alias, _)| alias.clone()).collect();
    Held { plugin: configured.name.clone(), tools, aliases, naming: super::naming(configured), failure }
}

#[cfg(test)]
#[path = "servers_tests.rs"]
mod tests;
