//! Every special range in every spelling: 33 addresses, 14 ways to write each. None is let through under any grant by
//! wildcard, also when the resolver takes the spelling for the address, which is what makes it dangerous.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailiwick_core::grant::NetRequest;
use http::Uri;

use super::support::*;
use crate::egress::{connect, judged};
use crate::resolver::{FixedNames, Resolver};

/// One address in each range that is not for everybody: IANA's special-purpose registries and what clouds add to them.
const SPECIAL: [&str; 33] = [
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "168.63.129.16",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:2::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
];

fn wide(text: &str) -> String {
    let wider = |c: char| match c {
        '0'..='9' | 'a'..='z' => char::from_u32(c as u32 + 0xfee0).unwrap_or(c),
        other => other,
    };
    text.chars().map(wider).collect()
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'.' { ".".to_owned() } else { format!("%{byte:02x}") }).collect()
}

fn spellings_v4(address: Ipv4Addr) -> [String; 14] {
    let [a, b, c, d] = address.octets();
    let n = address.to_bits();
    let dotted = address.to_string();
    [
        dotted.clone(),
        n.to_string(),
        format!("{n:#x}"),
        format!("{a:#x}.{b:#x}.{c:#X}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0{n:o}"),
        format!("{a}.{}", n & 0xff_ffff),
        format!("{a}.{b}.{}", n & 0xffff),
        format!("0000{a:o}.{b}.{c:#x}.{d}"),
        format!("{dotted}."),
        wide(&dotted),
        dotted.replace('.', "\u{3002}"),
        percent(&dotted),
        format!("[::ffff:{dotted}]"),
    ]
}

fn spellings_v6(address: Ipv6Addr) -> [String; 14] {
    let groups = address.segments();
    let joined = |form: fn(u16) -> String| groups.iter().map(|group| form(*group)).collect::<Vec<_>>().join(":");
    let [.., y, z] = groups;
    let tail = Ipv4Addr::from_bits(u32::from(y) << 16 | u32::from(z));
    let head: Vec<String> = groups[..6].iter().map(|group| format!("{group:x}")).collect();
    [
        format!("[{address}]"),
        format!("[{}]", joined(|group| format!("{group:x}"))),
        format!("[{}]", joined(|group| format!("{group:04x}"))),
        format!("[{}]", joined(|group| format!("{group:04X}"))),
        format!("[{}:{tail}]", head.join(":")),
        format!("[{address}]:80"),
        format!("[{address}]."),
        format!("[{address}%25eth0]"),
        format!("[{address}%eth0]"),
        format!("[{}]", percent(&address.to_string())),
        address.to_string(),
        format!("[{}]", wide(&address.to_string())),
        format!("[v1.{address}]"),
        format!("{}.ipv6-literal.net", address.to_string().replace(':', "-")),
    ]
}

/// Where a request to `host` would connect to, under these grants, if the resolver takes `host` for `address`.
async fn led(host: &str, address: IpAddr, grants: &[&str]) -> Option<Vec<IpAddr>> {
    let uri: Uri = format!("http://{host}/").parse().ok()?;
    let bare = host.trim_end_matches('.').to_ascii_lowercase();
    let names = std::collections::HashMap::from([(bare, vec![vec![address]])]);
    let resolver = Resolver::Fixed(std::sync::Arc::new(FixedNames { names, ..FixedNames::default() }));
    let mut world = World::new(grants.iter().map(|grant| (*grant).to_owned()));
    world.ranges = Vec::new();
    let call = world.call();
    let (target, grant) = judged(&call, &http::Method::GET, &uri).ok()?;
    let request = NetRequest { method: "GET", url: &target.url };
    let addresses = connect::addresses(&resolver, &call, (&request, grant), &target).await.ok()?;
    Some(addresses.into_iter().map(|address| address.ip()).collect())
}

#[tokio::test]
async fn no_special_range_is_reached_in_any_spelling() {
    const GRANTS: &[&str] = &["http://*", "http://*.inner.example", "http://*.ipv6-literal.net"];
    let mut tried = 0;
    let mut reached = Vec::new();
    for text in SPECIAL {
        let address: IpAddr = text.parse().unwrap();
        let spellings = match address {
            IpAddr::V4(address) => spellings_v4(address),
            IpAddr::V6(address) => spellings_v6(address),
        };
        for host in
            spellings.iter().chain([&format!("{}.inner.example", text.replace([':', '.'], "-").trim_matches('-'))])
        {
            tried += 1;
            reached.extend(led(host, address, GRANTS).await.map(|to| format!("{host} ({text}) → {to:?}")));
        }
    }
    assert!(reached.is_empty(), "{reached:#?}");
    assert_eq!(tried, SPECIAL.len() * 15, "14 spellings of each, and a name that leads there");
    // The same question about an address for everybody has another answer.
    let public: IpAddr = "8.8.8.8".parse().unwrap();
    assert_eq!(led("8.8.8.8", public, GRANTS).await, Some(vec![public]));
    assert_eq!(led("dns.inner.example", public, GRANTS).await, Some(vec![public]));
    assert_eq!(led("8.8.2056", public, GRANTS).await, None, "but only as it is usually written");
}
