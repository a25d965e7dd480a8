//! What was done to a registration, as it is written down: names, and never a value.

use std::collections::BTreeMap;

use bailiwick_core::call::CallId;
use bailiwick_core::name::{PluginName, ToolName};
use bailiwick_core::redact::brief;
use bailiwick_core::registration::{Protocol, Registration};
use bailiwick_core::registry::Over;

use sha2::{Digest as _, Sha256};

use crate::audit::Record;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Add,
    /// It is another one.
    Update,
    /// It is gone.
    Remove,
}

impl Action {
    /// The word for it, stable.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Remove => "remove",
        }
    }
}

/// A change, as it was written down beside the registrations. Whoever makes one leaves its [`Change::record`] in the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub action: Action,
    /// Who.
    pub caller: String,
    /// The id of the registration.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is afterwards, or was before it was removed; none where that cannot be read.
    pub facts: Option<String>,
}

impl Change {
    pub(super) fn new(action: Action, caller: &str, (id, name): (&str, &str), of: Option<&Registration>) -> Self {
        let (id, name) = (id.to_owned(), brief(name, 128));
        Self { action, caller: caller.to_owned(), id, name, facts: of.map(facts) }
    }

    /// Schemas were laid over a tool of the configuration.
    pub(super) fn narrowed(tool: &ToolName, caller: &str, over: &Over) -> Self {
        let named = [("inputSchema", over.input.is_some()), ("outputSchema", over.output.is_some())];
        let named: Vec<&str> = named.into_iter().filter_map(|(key, is_there)| is_there.then_some(key)).collect();
        let facts = Some(format!("{{standard,{}}}", named.join(",")));
        let (id, name) = (tool.to_string(), tool.to_string());
        Self { action: Action::Update, caller: caller.to_owned(), id, name, facts }
    }

    /// The record for the audit. Its tool is one that no caller can name.
    #[must_use]
    pub fn record(&self) -> Record {
        Record {
            time: jiff::Timestamp::now(),
            call: CallId::new(&format!("registration-{}", self.id)),
            caller: self.caller.clone(),
            tool: format!("tools {}", self.action.as_str()),
            plugin: PluginName::parse(&self.name).ok(),
            component: None,
            grants: None,
            arguments: self.facts.clone(),
            outcome: "ok",
            approval: None,
            intent: None,
            denials: Vec::new(),
            refused: None,
            operations: BTreeMap::new(),
            micros: 0,
            memory: 0,
            output: 0,
        }
    }
}

/// What of it matters to whoever looks for who opened what.
fn facts(of: &Registration) -> String {
    let mut facts = vec![format!("protocol:{}", of.protocol.as_str())];
    if let Ok(net) = of.net() {
        facts.extend(net.iter().map(|line| format!("net:{line}")));
    }
    facts.extend(of.ranges().iter().map(|range| format!("addresses:{range}")));
    facts.extend(of.headers.iter().map(|header| format!("header:{}", header.name)));
    facts.extend(
        of.login().map(|login| format!("login:{} {}", login.method, login.url.split('?').next().unwrap_or_default())),
    );
    facts.extend(of.inject.iter().map(|name| format!("inject:{name}")));
    if let Protocol::Code(code) = &of.protocol {
        let digest = hex::encode(Sha256::digest(&code.source));
        facts.extend([format!("language:{}", code.language), format!("version:{}", code.version)]);
        facts.extend([format!("bytes:{}", code.source.len()), format!("sha256:{digest}")]);
    }
    facts.extend(of.is_unverified().then(|| "unverified-tls".to_owned()));
    format!("{{{}}}", facts.join(","))
}
