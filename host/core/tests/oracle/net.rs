//! Net grants: who may send what where, read and judged in the plainest way there is.

use std::net::IpAddr;

use bailiwick_core::config::Place;
use bailiwick_core::grant::{AddressRange, NetDenial, NetDenialKind, NetGrant, NetGrants, NetRequest, Section};
use bailiwick_core::outcome::Code;
use url::{Host, Url};

use super::address::{bounds, is_loopback, is_metadata, is_public, within};
use super::{is_plain, lines};

/// A grant as the model reads it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// None for all that can be granted.
    methods: Option<Vec<String>>,
    scheme: String,
    host: Hosts,
    port: u16,
    /// None for every path.
    path: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Hosts {
    One(IpAddr),
    Named(String),
    Below(String),
    All,
}

impl Grant {
    /// Reads a grant that the code has taken.
    pub fn read(text: &str) -> Self {
        let (methods, target) = match text.split_once(' ') {
            Some(("*", target)) => (None, target),
            Some((methods, target)) => (Some(methods.split(',').map(str::to_owned).collect()), target),
            None => (Some(vec!["GET".to_owned(), "HEAD".to_owned()]), text),
        };
        let (scheme, rest) = target.split_once("://").expect("a grant has a scheme");
        let path_at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().expect("a port")),
            Some(_) | None => (authority, if scheme == "https" { 443 } else { 80 }),
        };
        let host = match host.trim_matches(['[', ']']).parse() {
            Ok(address) => Hosts::One(address),
            Err(_) if host == "*" => Hosts::All,
            Err(_) => match host.strip_prefix("*.") {
                Some(domain) => Hosts::Below(domain.to_lowercase()),
                None => Hosts::Named(host.to_lowercase()),
            },
        };
        let path = match path {
            "" | "/**" => None,
            path => Some(path[1..].split('/').map(str::to_owned).collect()),
        };
        Self { methods, scheme: scheme.to_owned(), host, port, path }
    }

    fn has_method(&self, method: &str) -> bool {
        let upper = |character: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZ".contains(character);
        let legal = method.starts_with(upper)
            && method.len() <= 32
            && method.chars().all(|character| upper(character) || "0123456789-_".contains(character))
            && method != "CONNECT"
            && method != "TRACE";
        legal && self.methods.as_ref().is_none_or(|methods| methods.iter().any(|known| known == method))
    }

    fn has_host(&self, url: &Url) -> bool {
        match (&self.host, url.host()) {
            (Hosts::One(own), Some(Host::Ipv4(other))) => *own == IpAddr::V4(other),
            (Hosts::One(own), Some(Host::Ipv6(other))) => *own == IpAddr::V6(other),
            (Hosts::All, Some(Host::Ipv4(_) | Host::Ipv6(_))) => true,
            (Hosts::Named(own), Some(Host::Domain(name))) => *own == bare(name),
            (Hosts::Below(domain), Some(Host::Domain(name))) => is_below(&bare(name), domain),
            (Hosts::All, Some(Host::Domain(name))) => bare(name) != "localhost" && !is_below(&bare(name), "localhost"),
            (Hosts::One(_), Some(Host::Domain(_)))
            | (Hosts::Named(_) | Hosts::Below(_), Some(Host::Ipv4(_) | Host::Ipv6(_)))
            | (_, None) => false,
        }
    }

    fn has_path(&self, path: &str) -> bool {
        let Some(pattern) = &self.path else { return true };
        let segments: Option<Vec<String>> = path.split('/').skip(1).map(plainly).collect();
        segments.is_some_and(|segments| matches(pattern, &segments))
    }

    /// Whether a request is one of this grant's, by what its URL says.
    pub fn has(&self, method: &str, url: &Url) -> bool {
        url.scheme() == self.scheme
            && url.port_or_known_default() == Some(self.port)
            && self.has_host(url)
            && self.has_method(method)
            && self.has_path(url.path())
    }

    /// Whether this grant leads to an address, where the plugin has these ranges and perhaps the key for metadata.
    pub fn leads_to(&self, world: &World, address: IpAddr) -> bool {
        let named = match &self.host {
            Hosts::One(own) => super::address::number(*own) == super::address::number(address),
            Hosts::Named(name) => {
                is_public(address)
                    || (name == "localhost" && is_loopback(address))
                    || world.ranges.iter().any(|range| within(*range, address))
            }
            Hosts::Below(_) | Hosts::All => is_public(address),
        };
        named && (world.danger || !is_metadata(address))
    }
}

/// A name without the dot of its root.
fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_lowercase()
}

fn is_below(name: &str, domain: &str) -> bool {
    let (name, domain): (Vec<&str>, Vec<&str>) = (name.split('.').collect(), domain.split('.').collect());
    name.len() > domain.len() && name.ends_with(&domain) && name.iter().all(|label| !label.is_empty())
}

fn matches(pattern: &[String], segments: &[String]) -> bool {
    match (pattern, segments) {
        ([], []) => true,
        ([rest], _) if rest == "**" => true,
        ([own, pattern @ ..], [segment, segments @ ..]) => {
            let same = if own == "*" { !segment.is_empty() } else { plainly(own).as_ref() == Some(segment) };
            same && matches(pattern, segments)
        }
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

/// A segment decoded once; none if a server that decodes more often, or cuts off parameters, could see another path.
fn plainly(segment: &str) -> Option<String> {
    let once = decoded(segment)?;
    let mut layer = once.clone();
    for _ in 0..=segment.len() {
        let name = layer.split(';').next().unwrap_or_default();
        if layer.contains(['/', '\\']) || name == "." || name == ".." || layer.contains(char::is_control) {
            return None;
        }
        layer = decoded(&layer)?;
    }
    Some(once)
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// What an operator wrote, for code and model.
#[derive(Debug, Default)]
pub struct World {
    plugin: Vec<Grant>,
    tool: Option<Vec<Grant>>,
    ranges: Vec<(u8, u128, u128)>,
    danger: bool,
    plugin_texts: Vec<String>,
    tool_texts: Vec<String>,
    range_texts: Vec<String>,
}

impl World {
    /// A plugin's grants; what is no grant is left out.
    pub fn of(grants: &[&str]) -> Self {
        let mut world = Self::default();
        grants.iter().for_each(|grant| world.add("plugin", grant));
        world
    }

    fn add(&mut self, keyword: &str, text: &str) {
        let is_grant = || NetGrant::parse(text, 1, Place::default()).is_ok();
        match keyword {
            "plugin" if is_grant() && self.plugin.len() < 16 => {
                self.plugin.push(Grant::read(text));
                self.plugin_texts.push(text.to_owned());
            }
            "tool" if is_grant() && self.tool_texts.len() < 16 => {
                self.tool.get_or_insert_default().push(Grant::read(text));
                self.tool_texts.push(text.to_owned());
            }
            "range" if AddressRange::parse(text).is_ok() && self.ranges.len() < 16 => {
                self.ranges.extend(bounds(text));
                self.range_texts.push(text.to_owned());
            }
            "danger" => self.danger = text == "true",
            _ => {}
        }
    }

    /// The same for the code.
    pub fn grants(&self) -> NetGrants {
        let ranges = self.range_texts.iter().filter_map(|text| AddressRange::parse(text).ok()).collect();
        let plugin = NetGrants::new(parsed(&self.plugin_texts), ranges, self.danger, section("plugins.a"));
        match self.tool {
            Some(_) => plugin.narrowed(parsed(&self.tool_texts), section("plugins.a.tools.b")),
            None => plugin,
        }
    }

    /// Whether a request may be sent, to an address where it is known.
    pub fn allows(&self, method: &str, url: &Url, address: Option<IpAddr>) -> bool {
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        let one_of = |grants: &[Grant]| {
            grants.iter().any(|grant| {
                let leads = [literal, address].into_iter().flatten().all(|address| grant.leads_to(self, address));
                grant.has(method, url) && leads
            })
        };
        one_of(&self.plugin) && self.tool.as_ref().is_none_or(|tool| one_of(tool))
    }
}

fn section(table: &str) -> Section {
    Section::new(table, "bailiwick.toml:1")
}

fn parsed(texts: &[String]) -> Vec<NetGrant> {
    let parse = |(at, text): (usize, &String)| NetGrant::parse(text, at + 1, Place::default()).ok();
    texts.iter().enumerate().filter_map(parse).collect()
}

/// What the code says: first of the URL, then of the address.
pub fn decide(grants: &NetGrants, method: &str, url: &Url, address: Option<IpAddr>) -> Result<(), NetDenial> {
    let request = NetRequest { method, url };
    let grant = grants.decide(&request)?;
    let narrower = grants.iter().find(|other| {
        let (own, other) = (Grant::read(grant.text()), Grant::read(other.text()));
        other.has(method, url) && is_narrower(&other.host, &own.host)
    });
    assert_eq!(narrower, None, "{method} {url}: `{}` is not the narrowest", grant.text());
    address.map_or(Ok(()), |address| grants.decide_address(grant, &request, address))
}

fn is_narrower(host: &Hosts, than: &Hosts) -> bool {
    match (host, than) {
        (Hosts::All, _) => false,
        (_, Hosts::All) => true,
        (Hosts::Below(domain), Hosts::Below(wider)) => domain.len() > wider.len(),
        (Hosts::One(_) | Hosts::Named(_), Hosts::Below(_)) => true,
        (Hosts::One(_) | Hosts::Named(_) | Hosts::Below(_), Hosts::One(_) | Hosts::Named(_)) => false,
    }
}

/// Compares code and model for one request; says whether it is allowed.
pub fn check(world: &World, grants: &NetGrants, method: &str, url: &Url, address: Option<IpAddr>) -> bool {
    // An address that is written needs no resolving.
    let address = address.filter(|_| matches!(url.host(), Some(Host::Domain(_))));
    let decided = decide(grants, method, url, address);
    let expected = world.allows(method, url, address);
    assert_eq!(decided.is_ok(), expected, "{method} {url} {address:?}\n{world:?}\n{decided:?}");
    if let Err(denial) = &decided {
        check_denial(denial, world, method, url, address);
    }
    expected
}

/// A denial is plain and short, and the line it names would have allowed just this.
fn check_denial(denial: &NetDenial, world: &World, method: &str, url: &Url, address: Option<IpAddr>) {
    let told = format!("{denial}; {}", denial.fix());
    assert!(Code::parse(denial.code()).is_some_and(Code::is_denial), "{told}");
    assert!(is_plain(&told), "{told:?}");
    // One in four, because it takes longer than all the rest.
    let is_chosen = told.len() % 4 == 0 && world.tool.is_none();
    let Some(line) = denial.allow_line().filter(|_| is_chosen) else { return };
    let table: toml::Table = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
    let mut wider =
        World { danger: world.danger || table.contains_key("danger_metadata_addresses"), ..World::default() };
    let added = |key: &str| {
        let items = table.get(key).and_then(toml::Value::as_array).into_iter().flatten();
        items.map(|item| item.as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    for grant in added("net") {
        let before = wider.plugin.len();
        wider.add("plugin", &grant);
        assert_eq!(wider.plugin.len(), before + 1, "the fix `{grant}` is no grant");
    }
    let elsewhere = Url::parse("https://elsewhere.invalid:4431/").expect("a URL");
    assert!(!wider.allows(method, &elsewhere, None), "`{line}` allows more than {method} {url}");
    world.plugin_texts.iter().for_each(|grant| wider.add("plugin", grant));
    world.range_texts.iter().chain(&added("addresses")).for_each(|range| wider.add("range", range));
    // A URL is judged before anything is known of addresses.
    let address = address.filter(|_| matches!(denial.kind(), NetDenialKind::Address(_)));
    let decided = decide(&wider.grants(), method, url, address);
    assert!(decided.is_ok(), "{method} {url} {address:?}: `{line}` does not allow it: {decided:?}");
}

/// Lines: `plugin: GRANT`, `tool: GRANT`, `range: RANGE`, `danger: true`, `ask: METHOD URL [ADDRESS]`.
pub fn input(data: &[u8]) {
    judge(data);
}

/// The same, and says how many requests were allowed and refused.
pub fn judge(data: &[u8]) -> (u32, u32) {
    let mut world = World::default();
    lines(data).for_each(|(keyword, text)| world.add(keyword, text));
    let grants = world.grants();
    let (mut allowed, mut refused) = (0, 0);
    for (_, request) in lines(data).filter(|(keyword, _)| *keyword == "ask").take(64) {
        let mut words = request.splitn(3, ' ');
        let (Some(method), Some(url)) = (words.next(), words.next().and_then(|url| Url::parse(url).ok())) else {
            continue;
        };
        let address = words.next().and_then(|address| address.parse().ok());
        let counter = if check(&world, &grants, method, &url, address) { &mut allowed } else { &mut refused };
        *counter += 1;
    }
    (allowed, refused)
}
