//! Which requests may leave over HTTP: `"GET,POST https://*.example.com:8443/v1/**"`.
//!
//! A request is judged twice: by what its URL says ([`NetGrants::decide`]) and, once its host is resolved, by each
//! address it would connect to ([`NetGrants::decide_address`]). Both have to agree, for every hop of a redirect.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use super::address::{AddressClass, AddressRange, classify};
use super::pattern::{HostName, HostPattern, Methods, PathPattern, is_method, path_segments};
use super::secret::Origin;
use super::{Remedy, Section, quoted};
use crate::config::{Flaw, Place};

/// What a net grant looks like, for messages.
pub const NET_LEGAL: &str = "`[METHODS ]SCHEME://HOST[:PORT][/PATH]`, such as `GET,POST https://*.example.com/v1/**`";

/// One line of `net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetGrant {
    methods: Methods,
    scheme: Scheme,
    host: HostPattern,
    port: u16,
    path: PathPattern,
    text: String,
    index: usize,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl NetGrant {
    /// Reads one line of `net`; `index` is its place in the list, counted from 1.
    ///
    /// # Errors
    /// The text is no grant; the flaw says what is wrong with it and what would do.
    pub fn parse(text: &str, index: usize, place: Place) -> Result<Self, Flaw> {
        if text.is_empty() {
            return Err(Flaw::new("the grant is empty").legal(NET_LEGAL));
        }
        let (methods, target) = match text.split_once(' ') {
            Some((start, _)) if start.contains("://") => {
                return Err(Flaw::new(format!("`{text}` has a space too many")).legal(NET_LEGAL));
            }
            Some((start, _)) if start.ends_with(',') => {
                let flaw = Flaw::new(format!("`{text}` has a space after a comma")).legal(NET_LEGAL);
                return Err(flaw.suggest("leave it out"));
            }
            Some((methods, target)) => (Methods::parse(methods)?, target),
            None => (Methods::default_reading(), text),
        };
        if target.chars().any(|character| character.is_whitespace() || character.is_control()) {
            return Err(Flaw::new(format!("`{text}` has a space too many")).legal(NET_LEGAL));
        }
        let (scheme, rest) = split_scheme(target)?;
        if let Some(mark) = rest.chars().find(|character| matches!(character, '?' | '#')) {
            return Err(Flaw::new(format!("`{text}` has a `{mark}`: a grant ends with its path")).legal(NET_LEGAL));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(Flaw::new(format!("`{text}` has a user name: a grant names only a host")).legal(NET_LEGAL));
        }
        let (host, port) = split_port(authority)?;
        Ok(Self {
            methods,
            scheme,
            host: HostPattern::parse(host)?,
            port: port.unwrap_or_else(|| scheme.port()),
            path: PathPattern::parse(path)?,
            text: text.to_owned(),
            index,
            place,
        })
    }

    /// The grant as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its place in its list, counted from 1.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Where it is written.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The hosts it is for.
    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// The one port it is for.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The methods it is for.
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// Whether it can be held where only host and port are seen, as in a tunnel for TLS: plain HTTP always, HTTPS if it
    /// leaves methods and paths open.
    pub fn holds_in_a_tunnel(&self) -> bool {
        self.scheme == Scheme::Http || (self.methods == Methods::Any && self.path == PathPattern::Any)
    }

    /// The grant of all that is at its host and port.
    pub fn whole_host(&self) -> String {
        let port = if self.port == self.scheme.port() { String::new() } else { format!(":{}", self.port) };
        format!("* {}://{}{port}", self.scheme.as_str(), self.host)
    }

    /// The part of it that is for these methods; none if there is none.
    #[must_use]
    pub fn only(&self, methods: &[&str]) -> Option<Self> {
        let mut kept: Vec<String> = Vec::new();
        for method in methods.iter().filter(|method| self.methods.allow(method)) {
            if !kept.iter().any(|known| known == method) {
                kept.push((*method).to_owned());
            }
        }
        (!kept.is_empty()).then(|| Self { methods: Methods::Only(kept), ..self.clone() })
    }

    /// Whether it lets the request through by what it says of itself.
    pub(super) fn lets(&self, request: &NetRequest<'_>) -> bool {
        self.judge(&Target::of(request)).is_ok()
    }

    fn judge(&self, target: &Target<'_>) -> Result<(), Mismatch> {
        if !self.host.allows(&target.host) {
            return Err(Mismatch::Host);
        }
        if Some(self.scheme) != target.scheme {
            return Err(Mismatch::Scheme);
        }
        if self.port != target.port {
            return Err(Mismatch::Port);
        }
        if !self.methods.allow(target.method) {
            return Err(Mismatch::Method);
        }
        match self.path.allows(target.path) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Mismatch::Path),
        }
    }

    /// Whether everything but the methods of `other` lies within this grant.
    pub(super) fn covers_target(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.host.covers(&other.host)
            && self.path.covers(&other.path)
    }

    fn origin_text(&self, host: &HostName) -> String {
        origin_text(self.scheme, host, self.port)
    }
}

fn origin_text(scheme: Scheme, host: &HostName, port: u16) -> String {
    let scheme_port = scheme.port();
    let scheme = scheme.as_str();
    if port == scheme_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") }
}

fn split_scheme(target: &str) -> Result<(Scheme, &str), Flaw> {
    let Some((scheme, rest)) = target.split_once("://") else {
        let flaw = Flaw::new(format!("`{target}` has no scheme")).legal(NET_LEGAL);
        if let Some((scheme @ ("http" | "https"), rest)) = target.split_once(':') {
            return Err(flaw.suggest(format!("did you mean `{scheme}://{}`?", rest.trim_start_matches('/'))));
        }
        let looks_like_host = target.split(['/', ':']).next().is_some_and(|host| HostPattern::parse(host).is_ok());
        return Err(if looks_like_host { flaw.suggest(format!("did you mean `https://{target}`?")) } else { flaw });
    };
    let lower = scheme.to_ascii_lowercase();
    match (Scheme::parse(scheme), Scheme::parse(&lower)) {
        (Some(scheme), _) => Ok((scheme, rest)),
        (None, Some(_)) => {
            Err(Flaw::new(format!("`{scheme}` is not a scheme")).suggest(format!("did you mean `{lower}`?")))
        }
        (None, None) => {
            Err(Flaw::new(format!("`{scheme}` is not a scheme that can be granted")).legal("`http`, `https`"))
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), Flaw> {
    const LEGAL: &str = "one number from 1 to 65535, or none for the scheme's own";
    let end_of_host =
        if authority.starts_with('[') { authority.find(']').map(|end| end + 1) } else { authority.find(':') };
    let (host, port) = authority.split_at(end_of_host.unwrap_or(authority.len()));
    if port.is_empty() {
        return Ok((host, None));
    }
    let digits = port.strip_prefix(':').unwrap_or(port);
    if digits.is_empty() {
        return Err(Flaw::new(format!("`{authority}` has no port after its colon")).legal(LEGAL));
    }
    let canonical = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(number) if canonical => Ok((host, Some(number))),
        Ok(_) | Err(_) => Err(Flaw::new(format!("`{digits}` is not a port")).legal(LEGAL)),
    }
}

/// How far a request got with a grant that does not let it through. What got further sorts later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mismatch {
    Host,
    Scheme,
    Port,
    Method,
    Path,
}

/// A request that wants to leave.
#[derive(Clone, Copy, Debug)]
pub struct NetRequest<'a> {
    /// As it would be sent.
    pub method: &'a str,
    /// As the `url` crate read it: no other parser may have a say in where it goes.
    pub url: &'a Url,
}

/// What a request says, in the terms of a grant.
struct Target<'a> {
    method: &'a str,
    scheme: Option<Scheme>,
    host: HostName,
    port: u16,
    path: &'a str,
}

impl<'a> Target<'a> {
    fn of(request: &NetRequest<'a>) -> Self {
        let host = match request.url.host() {
            Some(Host::Domain(name)) => HostName::Name(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()),
            Some(Host::Ipv4(address)) => HostName::Address(address.into()),
            Some(Host::Ipv6(address)) => HostName::Address(address.into()),
            None => HostName::Name(String::new()),
        };
        Self {
            method: request.method,
            scheme: Scheme::parse(request.url.scheme()),
            host,
            port: request.url.port_or_known_default().unwrap_or(0),
            path: request.url.path(),
        }
    }

    /// The method and where it goes, without query, user or password, of a bounded length.
    fn shown(&self, url: &Url) -> String {
        const LONGEST: usize = 200;
        let place = match self.scheme {
            Some(scheme) => format!("{}{}", origin_text(scheme, &self.host, self.port), self.path),
            None => format!("{}:…", url.scheme()),
        };
        format!("{} {}", shortened(self.method, 32), shortened(&place, LONGEST))
    }

    /// The `net` line that would let exactly this request through, if one can.
    fn line(&self) -> Option<String> {
        let scheme = self.scheme.filter(|_| self.port != 0 && is_method(self.method))?;
        let origin = origin_text(scheme, &self.host, self.port);
        let exact = match self.path {
            "/" => String::new(),
            path => path.replace('*', "%2A"),
        };
        // A path that reads in two ways, or has `//`, matches no pattern: only a grant for the whole host lets it through.
        let lines = [exact, String::new()].map(|path| format!("{} {origin}{path}", self.method));
        lines.iter().find(|line| NetGrant::parse(line, 1, Place::default()).is_ok()).map(|line| net_line(line))
    }
}

fn net_line(grant: &str) -> String {
    format!("net = [{}]", quoted(grant))
}

fn shortened(text: &str, longest: usize) -> String {
    let shown: String = text.chars().take(longest).flat_map(char::escape_debug).collect();
    if text.chars().nth(longest).is_some() { format!("{shown}…") } else { shown }
}

/// What a plugin, or one tool of it, may reach over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetGrants {
    grants: Vec<NetGrant>,
    /// Ranges beyond the public internet that exactly named hosts may resolve to.
    ranges: Vec<AddressRange>,
    /// Whether metadata services may be reached at all.
    danger_metadata: bool,
    /// Whether anybody may answer: certificates are not checked.
    unverified_tls: bool,
    section: Section,
    /// The plugin's grants, where these are a tool's: both have to let a request through.
    outer: Option<Arc<NetGrants>>,
}

impl NetGrants {
    /// A plugin's grants, as they stand in the file.
    pub fn new(grants: Vec<NetGrant>, ranges: Vec<AddressRange>, danger_metadata: bool, section: Section) -> Self {
        Self { grants, ranges, danger_metadata, unverified_tls: false, section, outer: None }
    }

    /// The same, where anybody may answer: certificates are not checked.
    #[must_use]
    pub fn with_unverified_tls(self) -> Self {
        Self { unverified_tls: true, ..self }
    }

    /// Whether anybody may answer.
    #[must_use]
    pub fn unverified_tls(&self) -> bool {
        self.unverified_tls
    }

    /// A tool's grants within these. Whatever they say, nothing passes that does not pass here too.
    #[must_use]
    pub fn narrowed(&self, grants: Vec<NetGrant>, section: Section) -> Self {
        Self {
            grants,
            ranges: self.ranges.clone(),
            danger_metadata: self.danger_metadata,
            unverified_tls: self.unverified_tls,
            section,
            outer: Some(Arc::new(self.clone())),
        }
    }

    /// The table these stand in.
    pub fn section(&self) -> &Section {
        &self.section
    }

    /// The plugin's grants, where these are a tool's.
    pub fn outer(&self) -> Option<&Self> {
        self.outer.as_deref()
    }

    /// The grants in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = &NetGrant> {
        self.grants.iter()
    }

    /// Whether nothing may be reached.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// Whether metadata services may be reached at all.
    pub fn danger_metadata(&self) -> bool {
        self.danger_metadata
    }

    /// The ranges beyond the public internet that exactly named hosts may resolve to.
    pub fn ranges(&self) -> &[AddressRange] {
        &self.ranges
    }

    /// Judges what a request says of itself; the narrowest grant that lets it through is returned.
    ///
    /// # Errors
    /// No grant does. The denial has the reason of the grant that came closest.
    pub fn decide(&self, request: &NetRequest<'_>) -> Result<&NetGrant, NetDenial> {
        let target = Target::of(request);
        let grant = self.find(&target).map_err(|mismatch| self.deny(mismatch, &target, request.url))?;
        if let Some(outer) = &self.outer {
            outer.find(&target).map_err(|mismatch| self.deny(mismatch, &target, request.url))?;
        }
        if let HostName::Address(address) = target.host {
            self.decide_address(grant, request, address)?;
        }
        Ok(grant)
    }

    fn find(&self, target: &Target<'_>) -> Result<&NetGrant, Mismatch> {
        let mut closest = Mismatch::Host;
        let mut found: Option<&NetGrant> = None;
        for grant in &self.grants {
            match grant.judge(target) {
                Ok(()) if found.is_none_or(|known| grant.host.width() < known.host.width()) => found = Some(grant),
                Ok(()) => {}
                Err(mismatch) => closest = closest.max(mismatch),
            }
        }
        found.ok_or(closest)
    }

    /// Judges one address that a request would connect to, which `grant` lets through by what it says of itself.
    ///
    /// # Errors
    /// The address is not public and `grant` does not name it, or it is a metadata service and the plugin does not
    /// have the key for those; or no grant of the plugin lets this very request go there.
    pub fn decide_address(&self, grant: &NetGrant, request: &NetRequest<'_>, address: IpAddr) -> Result<(), NetDenial> {
        let target = Target::of(request);
        let leads = |outer: &Arc<NetGrants>| {
            outer.grants.iter().any(|wide| wide.judge(&target).is_ok() && outer.reaches(wide, address))
        };
        if self.reaches(grant, address) && self.outer.as_ref().is_none_or(leads) {
            return Ok(());
        }
        Err(self.deny_address(grant, &target.host, address))
    }

    fn reaches(&self, grant: &NetGrant, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let class = classify(address);
        let in_ranges = || self.ranges.iter().any(|range| range.contains(address));
        let named = match &grant.host {
            HostPattern::Address(own) => *own == address,
            HostPattern::Name(name) => {
                class == AddressClass::Public || (name == "localhost" && class == AddressClass::Loopback) || in_ranges()
            }
            HostPattern::Under(_) | HostPattern::Any => class == AddressClass::Public,
        };
        named && (class != AddressClass::Metadata || self.danger_metadata)
    }

    /// Whether every request that `other` lets through is let through here.
    pub fn covers(&self, other: &NetGrant) -> bool {
        match &other.methods {
            Methods::Any => self.grants.iter().any(|grant| grant.methods == Methods::Any && grant.covers_target(other)),
            Methods::Only(methods) => methods.iter().all(|method| {
                self.grants.iter().any(|grant| grant.methods.allow(method) && grant.covers_target(other))
            }),
        }
    }

    /// Whether some request to this origin could be let through.
    pub fn names(&self, origin: &Origin) -> bool {
        self.at(origin).next().is_some()
    }

    /// Whether some request with this method to this origin could be let through.
    pub fn names_method(&self, method: &str, origin: &Origin) -> bool {
        self.at(origin).any(|grant| grant.methods.allow(method))
    }

    /// The grants for something at this origin.
    fn at(&self, origin: &Origin) -> impl Iterator<Item = &NetGrant> {
        let host = match origin.host.trim_matches(['[', ']']).parse() {
            Ok(address) => HostName::Address(address),
            Err(_) => HostName::Name(origin.host.clone()),
        };
        let (scheme, port) = (origin.scheme.clone(), origin.port);
        let same = move |grant: &NetGrant| grant.scheme.as_str() == scheme && grant.port == port;
        self.grants.iter().filter(move |grant| same(grant) && grant.host.allows(&host))
    }

    fn deny(&self, mismatch: Mismatch, target: &Target<'_>, url: &Url) -> NetDenial {
        let section = &self.section;
        let near = |grant: &&NetGrant| grant.judge(target) == Err(mismatch);
        let closest = match mismatch {
            Mismatch::Host => self.nearest_host(&target.host),
            Mismatch::Scheme | Mismatch::Port | Mismatch::Method | Mismatch::Path => self.grants.iter().find(near),
        };
        let mut remedy = Remedy::default();
        if let Some(line) = target.line() {
            remedy.add(&line, section);
            let denied_by_plugin = self.outer.as_ref().filter(|outer| outer.find(target).is_err());
            if let Some(outer) = denied_by_plugin {
                remedy.add(&line, &outer.section);
            }
            if let HostName::Address(address) = target.host {
                self.add_danger(&mut remedy, address);
            }
        }
        let (kind, reason) = match mismatch {
            _ if target.scheme.is_none() => {
                (NetDenialKind::Scheme, format!("`{}` is not a scheme that can be granted", url.scheme()))
            }
            Mismatch::Host if self.grants.is_empty() => (NetDenialKind::Host, format!("{section} grants no `net`")),
            Mismatch::Host => (NetDenialKind::Host, format!("no `net` of {section} names the host `{}`", target.host)),
            Mismatch::Scheme => (NetDenialKind::Scheme, format!("`{}` to this host is not granted", url.scheme())),
            Mismatch::Port => (NetDenialKind::Port, format!("port {} of this host is not granted", target.port)),
            Mismatch::Method if is_method(target.method) => {
                (NetDenialKind::Method, format!("`{}` to this host is not granted", target.method))
            }
            Mismatch::Method => (NetDenialKind::Method, "this method is never granted".to_owned()),
            Mismatch::Path => (NetDenialKind::Path, path_reason(target.path)),
        };
        let closest = closest.cloned().map(Box::new);
        NetDenial { kind, request: target.shown(url), reason, closest, remedy }
    }

    fn deny_address(&self, grant: &NetGrant, host: &HostName, address: IpAddr) -> NetDenial {
        let class = classify(address);
        let address = address.to_canonical();
        let is_literal = matches!(host, HostName::Address(_));
        let plugin = self.outer.as_deref().unwrap_or(self);
        let wide = matches!(grant.host, HostPattern::Under(_) | HostPattern::Any);
        let exact = format!("{} {}", grant.methods, grant.origin_text(host));
        let mut remedy = Remedy::default();
        // What cannot be written as a grant, such as an IPv4 address in IPv6 clothes, no line can allow.
        if NetGrant::parse(&exact, 1, Place::default()).is_ok() {
            if wide || is_literal {
                remedy.add(net_line(&exact), &self.section);
                if self.outer.is_some() {
                    remedy.add(net_line(&exact), &plugin.section);
                }
            }
            if !is_literal {
                remedy.add(format!("addresses = [{}]", quoted(&address.to_string())), &plugin.section);
            }
            self.add_danger(&mut remedy, address);
        }
        let what = format!("{address} is a {class} address");
        let reason = if class == AddressClass::Metadata && !self.danger_metadata {
            format!("{what}, which is never reached without `danger_metadata_addresses`")
        } else if wide {
            format!("{what}, and a wildcard reaches only public ones")
        } else {
            format!("{what}, which no grant names")
        };
        let request = shortened(&format!("{}://{host}:{}", grant.scheme.as_str(), grant.port), 200);
        let closest = Some(Box::new(grant.clone()));
        NetDenial { kind: NetDenialKind::Address(class), request, reason, closest, remedy }
    }

    fn add_danger(&self, remedy: &mut Remedy, address: IpAddr) {
        if classify(address) == AddressClass::Metadata && !self.danger_metadata {
            let plugin = self.outer.as_deref().unwrap_or(self);
            remedy.add("danger_metadata_addresses = true", &plugin.section);
        }
    }

    /// The grant whose host was probably meant: the domain itself beside its wildcard, or a name one slip away.
    fn nearest_host(&self, host: &HostName) -> Option<&NetGrant> {
        let HostName::Name(host) = host else {
            return None;
        };
        let likeness = |grant: &NetGrant| match &grant.host {
            HostPattern::Name(name) => strsim::normalized_damerau_levenshtein(name, host),
            HostPattern::Under(domain) if domain == host => 1.0,
            HostPattern::Under(_) | HostPattern::Address(_) | HostPattern::Any => 0.0,
        };
        let best = self.grants.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(best) > 0.7).then_some(best)
    }
}

fn path_reason(path: &str) -> String {
    match path_segments(path) {
        Ok(_) => "this path is not granted".to_owned(),
        Err(ambiguous) => format!("the path {}, so that no path pattern can judge it", ambiguous.0),
    }
}

/// Why a request may not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetDenialKind {
    /// No grant names the host.
    Host,
    /// The host is granted, but not over this scheme.
    Scheme,
    /// The origin is granted, but not this port.
    Port,
    /// The origin is granted, but not this method.
    Method,
    /// The origin is granted, but not this path.
    Path,
    /// The host is granted, but not at this address.
    Address(AddressClass),
}

impl NetDenialKind {
    /// Stable code, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Host => "denied.net.host",
            Self::Scheme => "denied.net.scheme",
            Self::Port => "denied.net.port",
            Self::Method => "denied.net.method",
            Self::Path => "denied.net.path",
            Self::Address(_) => "denied.net.addr",
        }
    }
}

/// A request that may not leave: what it was, why not, and what would let it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDenial {
    kind: NetDenialKind,
    request: String,
    reason: String,
    closest: Option<Box<NetGrant>>,
    remedy: Remedy,
}

impl NetDenial {
    /// Why, for programs.
    pub fn kind(&self) -> NetDenialKind {
        self.kind
    }

    /// Stable code, for programs.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// Why, as a phrase.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The grant that came closest.
    pub fn closest(&self) -> Option<&NetGrant> {
        self.closest.as_deref()
    }

    /// The lines that would let the request through, each with the table it belongs to.
    pub fn lines(&self) -> &[(String, Section)] {
        self.remedy.lines()
    }

    /// What would let the request through, as it would stand in the file; several lines where one is not enough,
    /// none where nothing can (CONNECT, `file:` …).
    pub fn allow_line(&self) -> Option<String> {
        self.remedy.toml()
    }

    /// What to do about it, as a phrase: ``add `net = ["GET https://b.example"]` under `[plugins.x]` (b.toml:12)``.
    pub fn fix(&self) -> String {
        self.remedy.sentence().unwrap_or_else(|| "no grant can allow it".to_owned())
    }
}

impl fmt::Display for NetDenial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is refused: {}", self.request, self.reason)?;
        match &self.closest {
            Some(closest) => write!(f, "; the closest grant is `{}` (net {})", closest.text, closest.index),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NetDenial {}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
