//! Tools as resources: callers that may manage make, show, change and remove them while the host runs.
//!
//! What is made is a registration beside the configuration, and reaches no more than the policy of who makes it says. Tools
//! of the configuration are shown too; of them schemas alone can be narrowed. Each change is in the audit, and holds when it
//! is answered.

mod document;
mod draft;
mod found;
mod functions;
mod tools;

use std::sync::Arc;

use serde_json::{Value, json};

use bailiwick_core::call::{Caller, Ceiling};
use bailiwick_core::config::Flaw;
use bailiwick_core::name::ToolName;
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::registration::resource::{self, Kind, UNNAMED, Wanted};
use bailiwick_core::registration::{self, Protocol, Registration};
use bailiwick_core::registry::Over;
use bailiwick_core::schema::{ArgumentSchema, ResultSchema};

use crate::host::Host;
use crate::registrations::{Change, Kept, RegistrationError, Registrations};
use crate::store::now;

pub(crate) use document::Imported;
use draft::Draft;
use found::Found;
pub(crate) use found::Made;
pub(crate) use tools::{is_offered, is_one, tools};

/// Registrations that callers can fill a host with; each is loaded at every change.
const MOST_MADE: usize = 1_000;

/// Why nothing was done.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is no such tool.
    Unknown,
    /// It stands in the configuration, and can be removed there alone.
    Standard,
    /// There is one of its name.
    Taken(Failure),
    /// Anything else.
    Other(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<Flaw> for Refused {
    fn from(flaw: Flaw) -> Self {
        Self::Other(registration::unfit(flaw))
    }
}

impl From<RegistrationError> for Refused {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Unfit(flaw) => flaw.into(),
            RegistrationError::Unknown(_) => Self::Unknown,
            RegistrationError::Exists(_) => Self::Taken(Failure::new(Code::ArgumentsInvalid, error.to_string())),
            RegistrationError::Changed(_) => {
                let failure = Failure::new(Code::ArgumentsInvalid, error.to_string());
                Self::Taken(failure.with_fix("look at it, and change it once more"))
            }
            // Where it is, is the operator's affair.
            RegistrationError::Store(_) => {
                tracing::error!(%error, "what is registered cannot be used");
                let message = "the database of what is registered cannot be used";
                Self::Other(Failure::new(Code::Internal, message).with_fix("the host's log says why"))
            }
            RegistrationError::Unreadable(..) | RegistrationError::Seal(_) => {
                tracing::error!(%error, "what is registered cannot be used");
                Self::Other(Failure::new(Code::Internal, error.to_string()))
            }
        }
    }
}

impl Host {
    /// All tools that `caller` may manage: those of the configuration that it may see, and those that were made, in the order
    /// in which they were.
    pub(crate) fn tools_made(&self, caller: &Caller) -> Vec<Made> {
        let standard = self.standard(caller).into_iter();
        standard.chain(self.kept().iter().map(|kept| self.shown(kept).without_source())).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn tool_made(&self, caller: &Caller, id: &str) -> Result<Made, Refused> {
        Ok(match self.found(caller, id).ok_or(Refused::Unknown)? {
            Found::Kept(kept) => self.shown(&kept),
            Found::Standard(name, tool) => self.standard_one(&name, &tool),
            Found::Part(name, tool, kept) => found::part(&name, &tool, &kept),
        })
    }

    /// Makes a tool.
    ///
    /// # Errors
    /// What is sent is no tool, or reaches more than `caller` may let it.
    pub(crate) async fn make_tool(&self, caller: &Caller, body: &Value) -> Result<Made, Refused> {
        let wanted = Wanted::read(body)?;
        let made = resource::Made::new(wanted.protocol.unwrap_or_default(), &wanted.config.unwrap_or_default())?;
        let title = wanted.name.unwrap_or_else(|| UNNAMED.to_owned());
        let mut draft = Draft::new(title, made.protocol.clone(), caller)?;
        draft.put(made)?;
        let protocol = &mut draft.registration.protocol;
        protocol.set_schemas(wanted.input_schema, wanted.output_schema)?;
        usable(protocol)?;
        draft.registration.fit(&caller.ceiling);
        self.may_be(caller, &draft.registration)?;
        self.compiles(&draft.registration, None).await?;
        self.added(caller, draft).await
    }

    /// Gives a draft its name and keeps it.
    async fn added(&self, caller: &Caller, mut draft: Draft) -> Result<Made, Refused> {
        // Who makes one takes no other's name, and neither do two at once.
        let _turn = self.managing.lock().await;
        if self.registered.load().listed.kept.len() >= MOST_MADE {
            let failure = Failure::new(Code::LimitBudget, format!("{MOST_MADE} tools are made already"));
            return Err(failure.with_fix("delete those that nobody needs").into());
        }
        self.has_room(&draft.registration)?;
        draft.registration.name = resource::slug(&draft.title(), |name| self.is_taken(name));
        let id = draft.registration.id.clone();
        let by = caller.name.clone();
        self.keep(move |kept| kept.add_with(&draft.registration, &draft.values, draft.document.as_deref(), &by))
            .await?;
        self.tool_made(caller, &id)
    }

    /// Changes a tool; what is not said of it stays.
    ///
    /// # Errors
    /// There is none, or as for [`Host::make_tool`].
    pub(crate) async fn change_tool(&self, caller: &Caller, id: &str, body: &Value) -> Result<Made, Refused> {
        let wanted = Wanted::read(body)?;
        match self.found(caller, id).ok_or(Refused::Unknown)? {
            Found::Part(_, _, kept) => Err(part_of(&kept).into()),
            Found::Standard(name, _) => self.narrow(caller, &name, wanted).await,
            Found::Kept(kept) => self.change_kept(caller, &kept, wanted).await,
        }
    }

    async fn change_kept(&self, caller: &Caller, kept: &Kept, wanted: Wanted) -> Result<Made, Refused> {
        let mut draft = Draft::of(kept)?;
        let kind = Kind::of(&draft.registration.protocol);
        if wanted.protocol.is_some_and(|protocol| protocol != kind) {
            let flaw = Flaw::new(format!("a tool of protocol {} stays one", kind.as_str()));
            return Err(flaw.suggest("make another one").into());
        }
        if let Some(name) = wanted.name {
            draft.registration.title = Some(name);
        }
        if let Some(config) = &wanted.config {
            let made = match &draft.registration.protocol {
                Protocol::OpenApi(service) => resource::Made::service(service, config)?,
                Protocol::Code(code) => resource::Made::code(Some(code), config)?,
                Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Native(_) => resource::Made::new(kind, config)?,
            };
            draft.put(made)?;
            draft.registration.fit(&caller.ceiling);
        }
        draft.registration.protocol.set_schemas(wanted.input_schema, wanted.output_schema)?;
        usable(&draft.registration.protocol)?;
        self.may_be(caller, &draft.registration)?;
        self.compiles(&draft.registration, Some(&kept.registration)).await?;
        self.has_room(&draft.registration)?;
        draft.registration.updated_at = now();
        let (id, by) = (draft.registration.id.clone(), caller.name.clone());
        self.keep(move |kept| kept.update(&draft.registration, &draft.values, &by)).await?;
        self.tool_made(caller, &id)
    }

    /// Lays schemas over a tool of the configuration.
    async fn narrow(&self, caller: &Caller, name: &ToolName, wanted: Wanted) -> Result<Made, Refused> {
        if let Some(field) = wanted.beyond_schemas() {
            let message = format!("`{field}` of a standard tool cannot be changed");
            return Err(Flaw::new(message).legal("inputSchema, outputSchema").into());
        }
        let mut over = self.registered.load().listed.narrowings.get(name).cloned().unwrap_or_default();
        over.input = wanted.input_schema.unwrap_or(over.input);
        over.output = wanted.output_schema.unwrap_or(over.output);
        usable_schemas(over.input.as_ref(), over.output.as_ref())?;
        let (tool, by, over): (ToolName, String, Over) = (name.clone(), caller.name.clone(), over);
        self.keep(move |kept| kept.narrow(&tool, &over, &by)).await?;
        self.tool_made(caller, name.as_str())
    }

    /// Removes a tool that was made.
    ///
    /// # Errors
    /// There is none, or it stands in the configuration.
    pub(crate) async fn remove_tool(&self, caller: &Caller, id: &str) -> Result<(), Refused> {
        let kept = match self.found(caller, id).ok_or(Refused::Unknown)? {
            Found::Part(_, _, kept) => return Err(part_of(&kept).into()),
            Found::Standard(..) => return Err(Refused::Standard),
            Found::Kept(kept) => kept,
        };
        let by = caller.name.clone();
        self.keep(move |all| all.remove(&kept.registration.id, &by)).await
    }

    /// Whether `caller` may let a registration be.
    fn may_be(&self, caller: &Caller, registration: &Registration) -> Result<(), Failure> {
        registration::within(registration, &caller.ceiling)?;
        let Protocol::Native(native) = &registration.protocol else { return Ok(()) };
        let snapshot = self.snapshot();
        let registry = &snapshot.registry;
        let is_open = |name: &ToolName, tool: &bailiwick_core::registry::Tool| {
            tool.effective.allowed && registry.selects(&caller.tools, name, tool)
        };
        let known = registry.resolve(native.tool.as_str());
        let Some((name, _)) = known.filter(|(name, tool)| is_open(name, tool)) else {
            return Err(bailiwick_core::policy::unknown(registry, native.tool.as_str(), &caller.tools));
        };
        if registry.made_of(name).is_some() {
            let message = format!("`{name}` is another name itself");
            return Err(Failure::new(Code::ArgumentsInvalid, message).with_fix("name the tool that it stands for"));
        }
        Ok(())
    }

    /// Changes what is kept, writes it into the audit, and loads it.
    async fn keep(
        &self,
        change: impl FnOnce(&Registrations) -> Result<Change, RegistrationError> + Send + 'static,
    ) -> Result<(), Refused> {
        let registrations = Arc::clone(&self.registrations);
        let changed = tokio::task::spawn_blocking(move || change(&registrations)).await;
        let crashed = |_| Failure::new(Code::Internal, "changing what is registered crashed");
        self.note(&changed.map_err(crashed)??);
        self.refresh().await;
        Ok(())
    }
}

fn part_of(kept: &Kept) -> Failure {
    let message = format!("it is one operation of `{}`", resource::title(&kept.registration));
    Failure::new(Code::ArgumentsInvalid, message).with_fix(format!("change or remove `{}`", kept.registration.id))
}

/// Whether the schemas that came with a tool can be used at all.
fn usable(protocol: &Protocol) -> Result<(), Failure> {
    let (input, output) = protocol.schemas();
    usable_schemas(input, output)
}

fn usable_schemas(input: Option<&Value>, output: Option<&Value>) -> Result<(), Failure> {
    let unusable = |key: &str, error: &dyn std::fmt::Display| {
        Failure::new(Code::ArgumentsInvalid, format!("`{key}` cannot be used: {error}"))
    };
    if let Some(schema) = input {
        ArgumentSchema::compile(&schema.to_string(), &[], serde_json::Map::new())
            .map_err(|error| unusable("inputSchema", &error))?;
    }
    if let Some(schema) = output {
        ResultSchema::compile(&schema.to_string()).map_err(|error| unusable("outputSchema", &error))?;
    }
    Ok(())
}

/// Whether a caller makes tools within bounds that an operator wrote for it.
fn is_bounded(caller: &Caller) -> bool {
    match caller.ceiling {
        Ceiling::Within(_) => true,
        Ceiling::Open => false,
    }
}

/// An id, a name and what runs it: what lists say.
pub(crate) fn brief(made: &Made) -> Value {
    json!({"id": made.record["id"], "name": made.record["name"], "protocol": made.record["protocol"]})
}
