//! What sort of address an IP address is. Only public ones are reached without being named.
//!
//! The tables are IANA's special-purpose registries and the metadata services of the large clouds. For IPv6 the rule
//! is turned round: outside `2000::/3` nothing is public, whatever is assigned there later.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Flaw;

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// Reachable from anywhere: the only class that needs no naming.
    Public,
    /// This machine.
    Loopback,
    /// A private network (RFC 1918, unique local).
    Private,
    /// The local link.
    LinkLocal,
    /// A cloud's metadata service, which hands out credentials to whoever asks.
    Metadata,
    /// Shared between a provider and its customers (carrier-grade NAT).
    Shared,
    /// A group of machines.
    Multicast,
    /// An IPv6 form that carries another address (NAT64, 6to4, Teredo …).
    Translated,
    /// For documentation and benchmarks.
    Documentation,
    /// Unspecified, broadcast, reserved or not assigned.
    Reserved,
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Metadata => "cloud metadata",
            Self::Shared => "shared (carrier-grade NAT)",
            Self::Multicast => "multicast",
            Self::Translated => "translated (it carries another address)",
            Self::Documentation => "documentation or benchmark",
            Self::Reserved => "reserved",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> (Ipv4Addr, u8) {
    (Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, bits: u8) -> (Ipv6Addr, u8) {
    (Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), bits)
}

/// The metadata services: AWS, GCP, Azure and others; ECS tasks; AWS over IPv6; Alibaba; Azure wire server; Oracle.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// IPv4 that is not public; the first range that contains an address decides.
const V4: [((Ipv4Addr, u8), AddressClass); 15] = [
    (v4(0, 0, 0, 0, 8), AddressClass::Reserved),
    (v4(10, 0, 0, 0, 8), AddressClass::Private),
    (v4(100, 64, 0, 0, 10), AddressClass::Shared),
    (v4(127, 0, 0, 0, 8), AddressClass::Loopback),
    (v4(169, 254, 0, 0, 16), AddressClass::LinkLocal),
    (v4(172, 16, 0, 0, 12), AddressClass::Private),
    (v4(192, 0, 0, 0, 24), AddressClass::Reserved),
    (v4(192, 0, 2, 0, 24), AddressClass::Documentation),
    (v4(192, 88, 99, 0, 24), AddressClass::Translated),
    (v4(192, 168, 0, 0, 16), AddressClass::Private),
    (v4(198, 18, 0, 0, 15), AddressClass::Documentation),
    (v4(198, 51, 100, 0, 24), AddressClass::Documentation),
    (v4(203, 0, 113, 0, 24), AddressClass::Documentation),
    (v4(224, 0, 0, 0, 4), AddressClass::Multicast),
    (v4(240, 0, 0, 0, 4), AddressClass::Reserved),
];

/// IPv6 that is not public, inside `2000::/3` and outside; the first range that contains an address decides.
const V6: [((Ipv6Addr, u8), AddressClass); 16] = [
    ((Ipv6Addr::LOCALHOST, 128), AddressClass::Loopback),
    ((Ipv6Addr::UNSPECIFIED, 128), AddressClass::Reserved),
    (v6(0, 0, 0, 0, 96), AddressClass::Translated),
    (v6(0x64, 0xff9b, 0, 0, 96), AddressClass::Translated),
    (v6(0x64, 0xff9b, 1, 0, 48), AddressClass::Translated),
    (v6(0x100, 0, 0, 0, 64), AddressClass::Reserved),
    (v6(0x100, 0, 0, 1, 64), AddressClass::Reserved),
    (v6(0x2001, 0, 0, 0, 32), AddressClass::Translated),
    (v6(0x2001, 0, 0, 0, 23), AddressClass::Reserved),
    (v6(0x2001, 0xdb8, 0, 0, 32), AddressClass::Documentation),
    (v6(0x2002, 0, 0, 0, 16), AddressClass::Translated),
    (v6(0x3fff, 0, 0, 0, 20), AddressClass::Documentation),
    (v6(0xfc00, 0, 0, 0, 7), AddressClass::Private),
    (v6(0xfe80, 0, 0, 0, 10), AddressClass::LinkLocal),
    (v6(0xfec0, 0, 0, 0, 10), AddressClass::Private),
    (v6(0xff00, 0, 0, 0, 8), AddressClass::Multicast),
];

/// Says what an address is for. An IPv4 address in IPv6 clothes (`::ffff:…`) is judged as IPv4.
pub fn classify(address: IpAddr) -> AddressClass {
    let address = address.to_canonical();
    if METADATA.contains(&address) {
        return AddressClass::Metadata;
    }
    match address {
        IpAddr::V4(address) => {
            let found = V4.iter().find(|(range, _)| v4_within(address, *range));
            found.map_or(AddressClass::Public, |(_, class)| *class)
        }
        IpAddr::V6(address) => {
            let found = V6.iter().find(|(range, _)| v6_within(address, *range));
            let elsewhere =
                if address.segments()[0] >> 13 == 1 { AddressClass::Public } else { AddressClass::Reserved };
            found.map_or(elsewhere, |(_, class)| *class)
        }
    }
}

fn v4_within(address: Ipv4Addr, (network, bits): (Ipv4Addr, u8)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(bits)
}

fn v6_within(address: Ipv6Addr, (network, bits): (Ipv6Addr, u8)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(bits)
}

/// A range of addresses: `10.0.0.0/8`, or one address: `192.168.1.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    network: IpAddr,
    bits: u8,
}

/// What an address range looks like, for messages.
pub const RANGE_LEGAL: &str = "an address such as `192.168.1.7` or a range such as `10.0.0.0/8`";

impl AddressRange {
    /// Reads a range or a single address.
    ///
    /// # Errors
    /// The text is neither, a bit behind the prefix is set, or the range is all there is.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let no_range = || Flaw::new(format!("`{text}` is not an address range")).legal(RANGE_LEGAL);
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let network: IpAddr = address.parse().map_err(|_| no_range())?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| no_range())?
            }
            Some(_) => return Err(no_range()),
        };
        if bits > longest {
            return Err(Flaw::new(format!("`{text}` has a prefix of more than {longest} bits")).legal(RANGE_LEGAL));
        }
        if bits == 0 {
            let flaw = Flaw::new(format!("`{text}` is every address there is"));
            return Err(flaw.legal("the ranges the granted names really resolve to"));
        }
        if network.to_canonical() != network {
            let flaw = Flaw::new(format!("`{text}` is an IPv4 address written as IPv6"));
            return Err(flaw.suggest(format!("write `{}`", network.to_canonical())));
        }
        let range = Self { network, bits };
        match range.start() {
            start if start == network => Ok(range),
            start => Err(Flaw::new(format!("`{text}` has bits set behind its prefix"))
                .suggest(format!("did you mean `{start}/{bits}`?"))),
        }
    }

    /// Whether the address lies in the range; an IPv4 address in IPv6 clothes is judged as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => v4_within(address, (network, self.bits)),
            (IpAddr::V6(network), IpAddr::V6(address)) => v6_within(address, (network, self.bits)),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether every address of `other` lies in this range.
    pub fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.contains(other.network)
    }

    fn start(&self) -> IpAddr {
        match self.network {
            IpAddr::V4(network) => {
                IpAddr::V4(Ipv4Addr::from_bits(network.to_bits() & (u32::MAX << (32 - u32::from(self.bits)))))
            }
            IpAddr::V6(network) => {
                IpAddr::V6(Ipv6Addr::from_bits(network.to_bits() & (u128::MAX << (128 - u32::from(self.bits)))))
            }
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::AddressClass::*;
    use super::*;

    /// First and last address of each special range, as the registries have them, and what they are.
    const SPECIAL: &[(&str, &str, AddressClass)] = &[
        ("0.0.0.0", "0.255.255.255", Reserved),
        ("10.0.0.0", "10.255.255.255", Private),
        ("100.64.0.0", "100.127.255.255", Shared),
        ("127.0.0.0", "127.255.255.255", Loopback),
        ("169.254.0.0", "169.254.255.255", LinkLocal),
        ("172.16.0.0", "172.31.255.255", Private),
        ("192.0.0.0", "192.0.0.255", Reserved),
        ("192.0.2.0", "192.0.2.255", Documentation),
        ("192.88.99.0", "192.88.99.255", Translated),
        ("192.168.0.0", "192.168.255.255", Private),
        ("198.18.0.0", "198.19.255.255", Documentation),
        ("198.51.100.0", "198.51.100.255", Documentation),
        ("203.0.113.0", "203.0.113.255", Documentation),
        ("224.0.0.0", "239.255.255.255", Multicast),
        ("240.0.0.0", "255.255.255.255", Reserved),
        ("168.63.129.16", "168.63.129.16", Metadata),
        ("169.254.169.254", "169.254.169.254", Metadata),
        ("169.254.170.2", "169.254.170.2", Metadata),
        ("100.100.100.200", "100.100.100.200", Metadata),
        ("192.0.0.192", "192.0.0.192", Metadata),
        ("fd00:ec2::254", "fd00:ec2::254", Metadata),
        ("::", "::", Reserved),
        ("::1", "::1", Loopback),
        ("::2", "::ffff:ffff", Translated),
        ("::ffff:7f00:1", "::ffff:7fff:ffff", Loopback),
        ("::ffff:a9fe:a9fe", "::ffff:a9fe:a9fe", Metadata),
        ("64:ff9b::", "64:ff9b::ffff:ffff", Translated),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Translated),
        ("100::", "100::ffff:ffff:ffff:ffff", Reserved),
        ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", Reserved),
        ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Translated),
        ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Translated),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
        ("4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LinkLocal),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast),
    ];

    /// Neighbours of the special ranges, which anyone may reach.
    const PUBLIC: &[&str] = &[
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "168.63.129.15",
        "168.63.129.17",
        "2000::1",
        "2001:200::",
        "2001:db7:ffff::",
        "2001:db9::",
        "2003::",
        "2606:4700::1111",
        "3ffe:ffff::",
        "3fff:1000::",
        "::ffff:8.8.8.8",
    ];

    #[test]
    fn both_ends_of_every_special_range_are_known() {
        for (first, last, class) in SPECIAL {
            assert_eq!(classify(first.parse().unwrap()), *class, "{first}");
            assert_eq!(classify(last.parse().unwrap()), *class, "{last}");
        }
    }

    #[test]
    fn their_neighbours_are_public() {
        for address in PUBLIC {
            assert_eq!(classify(address.parse().unwrap()), Public, "{address}");
        }
    }

    #[test]
    fn a_range_contains_what_its_prefix_says() {
        let range = AddressRange::parse("10.0.0.0/8").unwrap();
        for (address, inside) in [("10.255.0.1", true), ("11.0.0.0", false), ("::ffff:10.0.0.1", true), ("::1", false)]
        {
            assert_eq!(range.contains(address.parse().unwrap()), inside, "{address}");
        }
        let single = AddressRange::parse("fd00::7").unwrap();
        assert!(single.contains("fd00::7".parse().unwrap()));
        assert!(!single.contains("fd00::8".parse().unwrap()));
    }

    #[test]
    fn a_crooked_range_is_refused() {
        for text in
            ["", "10", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "::/129", "0.0.0.0/0", "::/0", "a/8"]
        {
            assert!(AddressRange::parse(text).is_err(), "{text}");
        }
        let flaw = AddressRange::parse("10.0.0.1/8").unwrap_err();
        assert_eq!(flaw.suggestion.unwrap(), "did you mean `10.0.0.0/8`?");
        assert!(AddressRange::parse("::ffff:10.0.0.1").is_err());
    }
}
