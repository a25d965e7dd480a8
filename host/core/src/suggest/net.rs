//! Lines of `net`: exactly the methods and paths that were asked for, of public hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use url::Url;

use super::{Asked, Line, Need};
use crate::config::{Place, Plugin};
use crate::grant::{AddressClass, NetGrant, NetGrants, NetRequest, NetWant, Section, classify, quoted};

/// This many ids in one place of a path become a `*`: fewer are written out.
const MANY_IDS: usize = 3;

/// How close lines stay to what was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Every path as it was.
    Exact,
    /// A segment in which several ids stood becomes a `*`.
    Ids,
}

/// What a request needs.
pub(super) fn need(plugin: &Plugin, tool: &str, want: &NetWant) -> Need<()> {
    let effective = plugin.rules_for(tool);
    let net = &effective.grants.net;
    let whole = format!("{} {}", want.method, want.origin());
    let Ok(whole_host) = parse(&whole) else {
        return Need::withheld("no line can allow such a request");
    };
    if let Some(address) = want.address {
        return led_to(net, want, address);
    }
    let Ok(exact) = parse(&want.to_string()) else {
        if lacking(net, &whole_host).is_empty() {
            return Need::Granted;
        }
        let why = "its path can be read in two ways, so that only a grant for the whole host lets it through";
        return Need::by_hand(why, net_line(&whole));
    };
    let sections = lacking(net, &exact);
    if sections.is_empty() {
        return Need::Granted;
    }
    match inward(&want.host) {
        None => Need::Lines(sections.into_iter().map(|section| (section, ())).collect()),
        Some(Inward { what, class: AddressClass::Metadata }) => metadata(&what),
        Some(Inward { what, .. }) => Need::by_hand(what, net_line(&want.to_string())),
    }
}

fn parse(text: &str) -> Result<NetGrant, crate::config::Flaw> {
    NetGrant::parse(text, 1, Place::default())
}

fn net_line(grant: &str) -> String {
    format!("net = [{}]", quoted(grant))
}

/// The tables whose own list does not let it through.
fn lacking(net: &NetGrants, grant: &NetGrant) -> Vec<Section> {
    let levels = [Some(net), net.outer()].into_iter().flatten();
    levels.filter(|level| !level.covers(grant)).map(|level| level.section().clone()).collect()
}

fn metadata<T>(what: &str) -> Need<T> {
    Need::withheld(format!(
        "{what}: it hands out this machine's credentials to whoever asks. If that is what you want, name it in `net` \
         yourself, beside `danger_metadata_addresses`"
    ))
}

/// A name that led to an address no grant names.
fn led_to(net: &NetGrants, want: &NetWant, address: IpAddr) -> Need<()> {
    let class = classify(address);
    let what = format!("`{}` led to {address}, a {class} address", want.host);
    let url = Url::parse(&format!("{}{}", want.origin(), want.path));
    let denied = match &url {
        Ok(url) => {
            let request = NetRequest { method: &want.method, url };
            net.decide(&request).and_then(|grant| net.decide_address(grant, &request, address)).err()
        }
        Err(_) => None,
    };
    match denied {
        None => Need::Granted,
        Some(_) if class == AddressClass::Metadata => metadata(&what),
        Some(denial) => {
            let line = |(line, section): &(String, Section)| format!("{line} under [{}]", section.table);
            Need::by_hand(what, denial.lines().iter().map(line).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A host that is not on the public internet.
struct Inward {
    what: String,
    class: AddressClass,
}

/// Names under which clouds answer with credentials.
const METADATA_NAMES: &[&str] =
    &["metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];
/// Domains that mean something else on each network (RFC 6762, RFC 8375, and the one ICANN keeps for private use).
const PRIVATE_DOMAINS: &[&str] = &[".local", ".home.arpa", ".internal"];

/// What is known of a host before it is looked up, if it is no public one.
fn inward(host: &str) -> Option<Inward> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        let class = classify(address);
        let what = format!("{address} is a {class} address");
        return (class != AddressClass::Public).then_some(Inward { what, class });
    }
    let (what, class) = if host == "localhost" || host.ends_with(".localhost") {
        ("this machine", AddressClass::Loopback)
    } else if METADATA_NAMES.contains(&host) {
        ("a cloud metadata service", AddressClass::Metadata)
    } else if !host.contains('.') || PRIVATE_DOMAINS.iter().any(|domain| host.ends_with(domain)) {
        ("a name of a private network", AddressClass::Private)
    } else {
        return None;
    };
    Some(Inward { what: format!("`{host}` is {what}"), class })
}

/// The lines that let exactly these requests through: one for each origin and path, with its methods.
pub(super) fn lines(wants: &[(NetWant, Asked)], width: Width) -> Vec<Line> {
    let mut paths: BTreeMap<(String, &str), BTreeSet<&str>> = BTreeMap::new();
    for (want, _) in wants {
        paths.entry((want.origin().to_string(), &want.method)).or_default().insert(&want.path);
    }
    let mut patterns: BTreeMap<(String, String), Drafted<'_>> = BTreeMap::new();
    for (want, asked) in wants {
        let origin = want.origin().to_string();
        let pattern = match width {
            Width::Exact => want.path.clone(),
            Width::Ids => widened(&want.path, &paths[&(origin.clone(), want.method.as_str())]),
        };
        let line = patterns.entry((origin, pattern)).or_default();
        line.methods.insert(&want.method);
        line.paths.insert(&want.path);
        line.asked.push(asked.clone());
    }
    patterns.into_iter().map(|((origin, pattern), drafted)| drafted.line(&origin, &pattern)).collect()
}

#[derive(Default)]
struct Drafted<'w> {
    methods: BTreeSet<&'w str>,
    paths: BTreeSet<&'w str>,
    asked: Vec<Asked>,
}

impl Drafted<'_> {
    fn line(self, origin: &str, pattern: &str) -> Line {
        let methods: Vec<&str> = self.methods.into_iter().collect();
        let about = match self.paths.len() {
            1 if pattern.split('/').any(|segment| segment == "*") => Some("`*` stands where a secret stood".to_owned()),
            0 | 1 => None,
            n => Some(format!("`*` stands for the ids in {n} paths")),
        };
        let grant = format!("{} {origin}{pattern}", methods.join(","));
        Line { key: "net", grant, instead_of: None, about, asked: self.asked }
    }
}

/// The path with a `*` for the one segment in which it differs from at least two others by an id alone.
fn widened(path: &str, all: &BTreeSet<&str>) -> String {
    let segments: Vec<&str> = path.split('/').collect();
    let alike = |at: usize| {
        let same = |other: &&&str| {
            let others: Vec<&str> = other.split('/').collect();
            others.len() == segments.len()
                && is_id(others[at])
                && others.iter().zip(&segments).enumerate().all(|(index, (other, own))| index == at || other == own)
        };
        if is_id(segments[at]) { all.iter().filter(same).count() } else { 0 }
    };
    let most = (0..segments.len()).map(|at| (alike(at), at)).max().filter(|(n, _)| *n >= MANY_IDS);
    let Some((_, at)) = most else { return path.to_owned() };
    let mut wide = segments;
    wide[at] = "*";
    wide.join("/")
}

/// Whether a segment names one of many: a number, or eight or more hexadecimal digits with a digit among them.
fn is_id(segment: &str) -> bool {
    let number = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let hex = segment.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    number || (segment.len() >= 8 && hex && segment.bytes().any(|byte| byte.is_ascii_digit()))
}
