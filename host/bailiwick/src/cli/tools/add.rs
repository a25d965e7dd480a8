//! `bailiwick tools add` and `update`.

use bailiwick_core::config::{Config, Flaw};
use bailiwick_core::confine::Life;
use bailiwick_core::name::PluginName;
use bailiwick_core::redact::visible;
use bailiwick_core::registration::{DEFAULT_TIMEOUT_MS, Http, Mcp, Naming, OpenApi, Protocol, Registration};

use crate::registrations::{self, RegistrationError, Values};
use crate::store::now;

use super::given::{AddArguments, UpdateArguments};
use super::show::{Live, live};
use super::{CALLER, audited, record, refused, unfit};
use crate::cli::start::{self, Settings};
use crate::cli::terminal::{Terminal, Trouble};
use crate::cli::{Exit, Global};

pub(super) fn add(terminal: &Terminal, global: &Global, arguments: &AddArguments) -> Result<Exit, Trouble> {
    let settings = start::settings(global.config.as_deref())?;
    let name = PluginName::parse(&arguments.name).map_err(|error| {
        let message = format!("there can be no plugin `{}`", visible(&arguments.name));
        Trouble::new(Exit::Usage, "usage.name", &message).with("legal", error.legal())
    })?;
    let (registration, values) = draft(&name, arguments).map_err(|error| refused(&error))?;
    let registrations = start::registrations(&settings.config)?;
    is_free(&settings.config, &name)?;
    let change = registrations.add(&registration, &values, CALLER).map_err(|error| refused(&error))?;
    audited(&settings.config, &change)?;
    warn_of_insecure(terminal, &registration);
    drop(registrations);
    let live = counted(terminal, global, settings, &name)?;
    told(terminal, &registration, &live)
}

fn draft(name: &PluginName, arguments: &AddArguments) -> Result<(Registration, Values), RegistrationError> {
    let created = now();
    let mut service = OpenApi {
        url: arguments.url.trim().to_owned(),
        spec: None,
        naming: Naming::default(),
        include: Vec::new(),
        exclude: Vec::new(),
        unverified_tls: false,
        login: None,
    };
    let mut values = Values::default();
    arguments.given.put_service(&mut service, &mut values).map_err(RegistrationError::Unfit)?;
    let mut registration = Registration {
        id: registrations::new_id()?,
        name: name.clone(),
        title: None,
        protocol: Protocol::OpenApi(service),
        timeout_ms: DEFAULT_TIMEOUT_MS,
        headers: Vec::new(),
        inject: Vec::new(),
        addresses: Vec::new(),
        net: Vec::new(),
        owner: CALLER.to_owned(),
        created_at: created,
        updated_at: created,
    };
    arguments.given.put(&mut registration, &mut values).map_err(RegistrationError::Unfit)?;
    Ok((registration, values))
}

/// Whether the configuration has no plugin of this name.
fn is_free(config: &Config, name: &PluginName) -> Result<(), Trouble> {
    let Some(taken) = config.plugins.iter().find(|plugin| plugin.name == *name) else { return Ok(()) };
    let message = format!("the configuration has a plugin `{name}` already ({})", taken.grants.at);
    let trouble = Trouble::new(Exit::Failed, "tools.configured", &message);
    Err(trouble.with("fix", "take another name, or change it there"))
}

/// Nobody should miss that a service is believed whoever answers.
fn warn_of_insecure(terminal: &Terminal, registration: &Registration) {
    if registration.is_unverified() {
        let message =
            format!("it is not checked who answers for tools {:?}: anybody on the way may", registration.name.as_str());
        terminal.alarm("tools.unverified-tls", &message);
    }
}

/// Starts a host with this service alone and asks what it has.
fn counted(terminal: &Terminal, global: &Global, settings: Settings, name: &PluginName) -> Result<Live, Trouble> {
    let ground = start::stand(terminal, global, settings, Life::Once, None)?;
    let mut found = Live::default();
    start::with_threads(async {
        found = live(terminal, &ground, name).await?;
        Ok(Exit::Done)
    })?;
    Ok(found)
}

fn told(terminal: &Terminal, registration: &Registration, live: &Live) -> Result<Exit, Trouble> {
    if terminal.json {
        let mut json = record(registration);
        live.put(&mut json);
        terminal.print_json(&json)?;
        return Ok(Exit::Done);
    }
    let name = registration.name.as_str();
    match &live.trouble {
        None => terminal.print(&format!("Registered tools {name:?} — {} tool(s) discovered.\n", live.tools.len()))?,
        Some(trouble) => {
            let what = "could not reach endpoint to count tools (will retry…)";
            terminal.print(&format!("Registered tools {name:?} — {what}\n"))?;
            terminal.warning("tools.unreachable", trouble, None);
        }
    }
    Ok(Exit::Done)
}

pub(super) fn update(terminal: &Terminal, global: &Global, arguments: &UpdateArguments) -> Result<Exit, Trouble> {
    let config = start::settings(global.config.as_deref())?.config;
    let registrations = start::registrations(&config)?;
    let kept = registrations.get(&arguments.name).map_err(|error| refused(&error))?;
    let mut registration = kept.registration;
    // A record whose values do not open may not be what was registered: nothing is sealed for it again.
    let mut values = kept.values.map_err(|error| refused(&error.into()))?;
    changed(&mut registration, &mut values, arguments).map_err(|flaw| unfit(&flaw))?;
    registration.updated_at = now();
    let change = registrations.update(&registration, &values, CALLER).map_err(|error| refused(&error))?;
    audited(&config, &change)?;
    warn_of_insecure(terminal, &registration);
    if terminal.json {
        terminal.print_json(&record(&registration))?;
    } else {
        terminal.print(&format!("Updated tools {:?}.\n", registration.name.as_str()))?;
    }
    Ok(Exit::Done)
}

fn changed(registration: &mut Registration, values: &mut Values, arguments: &UpdateArguments) -> Result<(), Flaw> {
    let given = &arguments.given;
    given.put(registration, values)?;
    let url = arguments.url.as_ref().map(|url| url.trim().to_owned());
    match (&mut registration.protocol, url) {
        (Protocol::OpenApi(service), url) => {
            given.put_service(service, values)?;
            service.url = url.unwrap_or_else(|| service.url.clone());
            return Ok(());
        }
        (Protocol::Http(Http { url: old, .. }) | Protocol::Mcp(Mcp { url: old, .. }), Some(url)) => *old = url,
        (Protocol::Native(_) | Protocol::Code(_), Some(_)) => {
            return Err(Flaw::new("it is no service, and has no URL"));
        }
        (Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Native(_) | Protocol::Code(_), None) => {}
    }
    if given.is_of_services() {
        return Err(Flaw::new("it is no service with a document, and what was given is for those"));
    }
    Ok(())
}
