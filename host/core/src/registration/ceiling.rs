//! What a registration may reach at most: what the policy of who makes it says.

use url::Url;

use super::{Document, Http, Mcp, Naming, OpenApi, Protocol, Registration};
use crate::call::Ceiling;
use crate::config::{Flaw, Place};
use crate::grant::address::AddressRange;
use crate::grant::pattern::HostPattern;
use crate::grant::{NetGrant, NetGrants, Section, quoted};
use crate::name::PluginName;
use crate::outcome::{Code, Failure};

/// Whether a registration reaches no more than `ceiling` lets through.
///
/// # Errors
/// `denied.ceiling`, with the line of the policy that would let it be made.
pub fn within(registration: &Registration, ceiling: &Ceiling) -> Result<(), Failure> {
    let Ceiling::Within(most) = ceiling else { return Ok(()) };
    for line in registration.net().map_err(unfit)? {
        let grant = NetGrant::parse(&line, 1, Place::default()).map_err(unfit)?;
        if !most.covers(&grant) {
            return Err(beyond(&format!("`{line}`"), "create", &line, most.section()));
        }
    }
    for text in registration.ranges() {
        let range = AddressRange::parse(&text).map_err(unfit)?;
        if !most.ranges().iter().any(|own| own.covers(&range)) {
            return Err(beyond(&format!("addresses in `{text}`"), "create_addresses", &text, most.section()));
        }
    }
    if registration.is_unverified() {
        let message = "only the operator may register a service whose certificate is not checked";
        return Err(Failure::new(Code::DeniedCeiling, message).with_fix("use `bailiwick tools`"));
    }
    match &registration.protocol {
        // It is a file of the host's machine.
        Protocol::OpenApi(OpenApi { spec: Some(Document::File(_)), .. }) => {
            let message = "only the operator may register a service whose document is a file";
            Err(Failure::new(Code::DeniedCeiling, message).with_fix("use `bailiwick tools`"))
        }
        Protocol::OpenApi(_) | Protocol::Http(_) | Protocol::Mcp(_) | Protocol::Native(_) | Protocol::Code(_) => Ok(()),
    }
}

/// What cannot be registered, as callers are told.
#[must_use]
pub fn unfit(flaw: Flaw) -> Failure {
    let failure = Failure::new(Code::ArgumentsInvalid, flaw.message);
    match flaw.suggestion.or(flaw.legal) {
        Some(fix) => failure.with_fix(fix),
        None => failure,
    }
}

fn beyond(what: &str, key: &str, line: &str, section: &Section) -> Failure {
    let message = format!("{what} is more than tools that this caller makes may reach");
    let fix = match section.table.is_empty() {
        true => format!("make its key with a policy that has `{key} = [{}]`", quoted(line)),
        false => format!("add {} to `{key}` under {section}", quoted(line)),
    };
    Failure::new(Code::DeniedCeiling, message).with_fix(fix)
}

/// What reads the document at `url`, before anybody knows of which service it is.
///
/// # Errors
/// It is none that could be read, or lies beyond what `ceiling` lets through.
pub fn reader(url: &str, ceiling: &Ceiling) -> Result<Registration, Failure> {
    let service = super::origin(url).map_err(unfit)?.to_string();
    let mut reader = Registration {
        id: "document".to_owned(),
        name: PluginName::parse("document").map_err(|error| Failure::new(Code::Internal, error.to_string()))?,
        title: None,
        protocol: Protocol::OpenApi(OpenApi {
            url: service,
            spec: Some(Document::Url(url.to_owned())),
            naming: Naming::Slug,
            include: Vec::new(),
            exclude: Vec::new(),
            unverified_tls: false,
            login: None,
        }),
        timeout_ms: super::DEFAULT_TIMEOUT_MS,
        headers: Vec::new(),
        inject: Vec::new(),
        addresses: Vec::new(),
        net: Vec::new(),
        owner: String::new(),
        created_at: 0,
        updated_at: 0,
    };
    reader.fit(ceiling);
    reader.net = vec![format!("GET {}", target(url))];
    within(&reader, ceiling)?;
    Ok(reader)
}

impl Registration {
    /// Asks for no more than it needs, and of a service for no more than `ceiling` lets through: the operations beyond it are
    /// no tools. Its hosts may resolve to what the ceiling says.
    pub fn fit(&mut self, ceiling: &Ceiling) {
        let Ceiling::Within(most) = ceiling else { return };
        self.net = match &self.protocol {
            Protocol::OpenApi(service) => openapi(service, most),
            Protocol::Http(Http { url, method, .. }) => vec![needed(&[method], url, &target(url), most)],
            Protocol::Mcp(Mcp { url, .. }) => vec![needed(&["GET", "POST", "DELETE"], url, &target(url), most)],
            Protocol::Native(_) | Protocol::Code(_) => Vec::new(),
        };
        let is_named = |line: &String| {
            let grant = NetGrant::parse(line, 1, Place::default());
            grant.is_ok_and(|grant| matches!(grant.host(), HostPattern::Name(_)))
        };
        if self.addresses.is_empty() && self.net.iter().any(is_named) {
            self.addresses = most.ranges().iter().map(ToString::to_string).collect();
        }
    }
}

fn openapi(service: &OpenApi, most: &NetGrants) -> Vec<String> {
    let base = below(&service.url);
    let methods = super::METHODS_OF_SERVICES.iter().filter(|method| covers(most, &format!("{method} {base}")));
    let mut methods: Vec<&str> = methods.copied().collect();
    if methods.is_empty() {
        // One it may not have, so that the denial says which.
        methods.push("GET");
    }
    let document = match &service.spec {
        Some(Document::Url(spec)) => Some(needed(&["GET"], spec, &target(spec), most)),
        Some(Document::File(_) | Document::Kept) | None => None,
    };
    std::iter::once(needed(&methods, &service.url, &base, most)).chain(document).collect()
}

/// The line that a tool at `url` needs: for all of the origin where that may be, because a path in a grant refuses arguments
/// with a slash in them, else for `target` alone.
fn needed(methods: &[&str], url: &str, target: &str, most: &NetGrants) -> String {
    let methods = methods.join(",");
    let whole = super::origin(url).map(|origin| format!("{methods} {origin}")).ok();
    whole.filter(|line| covers(most, line)).unwrap_or_else(|| format!("{methods} {target}"))
}

fn covers(most: &NetGrants, line: &str) -> bool {
    NetGrant::parse(line, 1, Place::default()).is_ok_and(|grant| most.covers(&grant))
}

/// All that lies below a URL, as a grant has it.
fn below(url: &str) -> String {
    let target = target(url);
    let target = target.trim_end_matches('/');
    // An origin alone means all of it.
    if target.matches('/').count() <= 2 { target.to_owned() } else { format!("{target}/**") }
}

/// Where a URL leads, as a grant has it: without its query, and any segment where an argument stands in one.
fn target(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let start = text.find("://").map_or(0, |at| at + 3);
    let (origin, path) = text.split_at(text[start..].find('/').map_or(text.len(), |at| at + start));
    let segments = path.split('/').map(|segment| if segment.contains('{') { "*" } else { segment });
    let path = segments.collect::<Vec<_>>().join("/");
    // A grant names a host as a URL does.
    let origin = Url::parse(origin).map_or_else(|_| origin.to_owned(), |url| url.origin().ascii_serialization());
    format!("{origin}{}", if path == "/" { "" } else { &path })
}
