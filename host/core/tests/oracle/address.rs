//! Which addresses are public: IANA's special-purpose registries and the metadata services, as a list of ranges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailiwick_core::grant::{AddressClass, AddressRange, classify};

/// Every range that no name and no wildcard leads to.
pub const SPECIAL: [&str; 33] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
    "::/128",
    "::1/128",
    "::/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/32",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// The metadata services, which need a key of their own.
pub const METADATA: [&str; 6] =
    ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"];

/// An address as a family and a number. What is IPv4 in IPv6 clothes is IPv4.
pub fn number(address: IpAddr) -> (u8, u128) {
    match address {
        IpAddr::V4(address) => (4, u128::from(u32::from_be_bytes(address.octets()))),
        IpAddr::V6(address) => {
            let number = u128::from_be_bytes(address.octets());
            if number >> 32 == 0xffff { (4, number & 0xffff_ffff) } else { (6, number) }
        }
    }
}

/// The address with this number.
pub fn address((family, number): (u8, u128)) -> IpAddr {
    if family == 4 {
        Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into()
    } else {
        Ipv6Addr::from(number.to_be_bytes()).into()
    }
}

/// Family, first and last number of a range written `ADDRESS/BITS`, or of one address.
pub fn bounds(range: &str) -> Option<(u8, u128, u128)> {
    let (start, bits) = range.split_once('/').unwrap_or((range, ""));
    let (family, first) = number(start.parse().ok()?);
    let width = if family == 4 { 32 } else { 128 };
    let bits: u32 = if bits.is_empty() { width } else { bits.parse().ok().filter(|bits| *bits <= width)? };
    let size = 1_u128.checked_shl(width - bits).unwrap_or(0);
    Some((family, first, first.wrapping_add(size.wrapping_sub(1))))
}

/// Whether a range has an address in it.
pub fn within(range: (u8, u128, u128), address: IpAddr) -> bool {
    let (family, number) = number(address);
    family == range.0 && (range.1..=range.2).contains(&number)
}

/// Whether anyone may be sent there.
pub fn is_public(address: IpAddr) -> bool {
    let (family, number) = number(address);
    let global_unicast = family == 4 || number >> 125 == 1;
    let special = SPECIAL.iter().any(|range| bounds(range).is_some_and(|range| within(range, address)));
    global_unicast && !special && !is_metadata(address)
}

/// Whether it is a metadata service.
pub fn is_metadata(address: IpAddr) -> bool {
    METADATA.iter().any(|service| service.parse().is_ok_and(|service| number(service) == number(address)))
}

/// Whether it is this machine.
pub fn is_loopback(address: IpAddr) -> bool {
    matches!(number(address), (4, 0x7f00_0000..=0x7fff_ffff) | (6, 1))
}

/// Compares the classes of one address with the list.
pub fn check(address: IpAddr) {
    let class = classify(address);
    assert_eq!(class == AddressClass::Public, is_public(address), "{address} is {class}");
    assert_eq!(class == AddressClass::Metadata, is_metadata(address), "{address} is {class}");
    assert_eq!(class == AddressClass::Loopback, is_loopback(address), "{address} is {class}");
    if let (4, number) = number(address) {
        let mapped = Ipv6Addr::from((0xffff_u128 << 32 | number).to_be_bytes());
        assert_eq!(classify(mapped.into()), class, "{mapped}");
        // IPv6 forms that carry an IPv4 address lead nowhere, whatever they carry.
        for front in [0, 0x64_ff9b << 96, 0x64_ff9b_0001 << 80, 0x2002_u128 << 112 | number << 80] {
            let carrier = IpAddr::V6(Ipv6Addr::from((front | number).to_be_bytes()));
            assert_ne!(classify(carrier), AddressClass::Public, "{carrier}");
        }
    }
}

/// Compares a range with arithmetic on its bounds.
pub fn check_range(text: &str) {
    let Ok(range) = AddressRange::parse(text) else { return };
    assert_eq!(AddressRange::parse(&range.to_string()), Ok(range), "{text}");
    let (family, first, last) = bounds(text).unwrap_or_else(|| panic!("`{text}` is no range to the model"));
    let most = if family == 4 { u128::from(u32::MAX) } else { u128::MAX };
    let inside = [Some(first), Some(last), Some(first + (last - first) / 2)];
    let outside = [first.checked_sub(1), last.checked_add(1).filter(|number| *number <= most)];
    for number in inside.into_iter().chain(outside).flatten() {
        let address = address((family, number));
        assert_eq!(range.contains(address), within((family, first, last), address), "{text} {address}");
    }
}

/// A line is an address or a range; four and sixteen bytes are an address as it is sent.
pub fn input(data: &[u8]) {
    if let Ok(octets) = <[u8; 4]>::try_from(data) {
        check(octets.into());
    }
    if let Ok(octets) = <[u8; 16]>::try_from(data) {
        check(octets.into());
    }
    for line in std::str::from_utf8(data).unwrap_or_default().lines() {
        if let Ok(address) = line.parse() {
            check(address);
        }
        check_range(line);
    }
}
