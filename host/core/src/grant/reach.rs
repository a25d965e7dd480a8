//! Which addresses a net grant leads to, said before any name is looked up. The decision itself is
//! [`NetGrants::decide_address`]; a test holds the two together.

use std::fmt;
use std::net::IpAddr;

use super::address::{AddressClass, AddressRange, classify};
use super::net::{NetGrant, NetGrants, NetRequest};
use super::pattern::HostPattern;

/// The addresses a granted request may connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// None at all: the grant is for a metadata service, and the key for those is not set.
    Nothing,
    /// Exactly this one.
    Exactly(IpAddr),
    /// Public ones, and these.
    Public {
        /// This machine, because the grant says `localhost`.
        loopback: bool,
        /// The plugin's `addresses`.
        ranges: Vec<AddressRange>,
        /// Whether metadata services within those ranges count too.
        metadata: bool,
    },
}

impl Reach {
    const ONLY_PUBLIC: Self = Self::Public { loopback: false, ranges: Vec::new(), metadata: false };

    /// Whether a request may connect to this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Nothing => false,
            Self::Exactly(own) => *own == address,
            Self::Public { loopback, ranges, metadata } => {
                let class = classify(address);
                let named = class == AddressClass::Public
                    || (*loopback && class == AddressClass::Loopback)
                    || ranges.iter().any(|range| range.contains(address));
                named && (class != AddressClass::Metadata || *metadata)
            }
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("none: a metadata service needs `danger_metadata_addresses = true` too"),
            Self::Exactly(address) => write!(f, "{address} ({}), which the grant itself names", classify(*address)),
            Self::Public { loopback, ranges, metadata } => {
                f.write_str("public ones")?;
                if *loopback {
                    f.write_str(", and loopback")?;
                }
                for range in ranges {
                    write!(f, ", and {range}")?;
                }
                match (ranges.is_empty(), metadata) {
                    (false, true) => f.write_str(", metadata services included"),
                    (false, false) => f.write_str(", without metadata services"),
                    (true, true | false) => Ok(()),
                }
            }
        }
    }
}

impl NetGrants {
    /// The addresses a request that `grant` lets through may connect to.
    pub fn reach(&self, grant: &NetGrant, request: &NetRequest<'_>) -> Reach {
        let own = self.reach_alone(grant);
        let Some(outer) = self.outer() else {
            return own;
        };
        let wider = || outer.iter().filter(|wide| wide.lets(request));
        match own {
            Reach::Nothing => Reach::Nothing,
            Reach::Exactly(address) => {
                if wider().any(|wide| outer.reach_alone(wide).contains(address)) {
                    own
                } else {
                    Reach::Nothing
                }
            }
            // The plugin's ranges are the tool's too: they count only where the plugin's grant names the host exactly.
            Reach::Public { .. } if wider().any(|wide| matches!(wide.host(), HostPattern::Name(_))) => own,
            Reach::Public { .. } if wider().next().is_some() => Reach::ONLY_PUBLIC,
            Reach::Public { .. } => Reach::Nothing,
        }
    }

    fn reach_alone(&self, grant: &NetGrant) -> Reach {
        match grant.host() {
            HostPattern::Address(address) => {
                let allowed = classify(*address) != AddressClass::Metadata || self.danger_metadata();
                if allowed { Reach::Exactly(address.to_canonical()) } else { Reach::Nothing }
            }
            HostPattern::Name(name) => Reach::Public {
                loopback: name == "localhost",
                ranges: self.ranges().to_vec(),
                metadata: self.danger_metadata(),
            },
            HostPattern::Under(_) | HostPattern::Any => Reach::ONLY_PUBLIC,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use url::Url;

    use super::*;
    use crate::config::Place;
    use crate::grant::Section;

    const HOSTS: &[&str] = &["a.test", "x.a.test", "*.a.test", "*", "localhost", "127.0.0.1", "10.0.0.7", "8.8.8.8"];
    const MORE_HOSTS: &[&str] = &["169.254.169.254", "[::1]"];
    const RANGES: &[&str] = &["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "fd00::/8"];
    const ADDRESSES: &[&str] = &[
        "8.8.8.8",
        "127.0.0.1",
        "127.0.0.2",
        "::1",
        "10.0.0.7",
        "10.1.2.3",
        "169.254.169.254",
        "169.254.0.1",
        "fd00::1",
        "fd00:ec2::254",
        "::ffff:10.0.0.7",
        "2606:4700::1",
        "192.168.1.1",
    ];

    fn grants(hosts: &[&str]) -> Vec<NetGrant> {
        let parse = |(at, host): (usize, &&str)| NetGrant::parse(&format!("http://{host}"), at + 1, Place::default());
        hosts.iter().enumerate().map(|grant| parse(grant).unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_said_of_addresses_is_what_is_decided(
            outer in prop::collection::vec(select([HOSTS, MORE_HOSTS].concat()), 1..4),
            inner in prop::option::of(prop::collection::vec(select([HOSTS, MORE_HOSTS].concat()), 1..3)),
            ranges in prop::collection::vec(select(RANGES), 0..3),
            danger: bool,
        ) {
            let ranges = ranges.iter().map(|range| AddressRange::parse(range).unwrap()).collect();
            let plugin = NetGrants::new(grants(&outer), ranges, danger, Section::default());
            let judged = match inner {
                Some(inner) => plugin.narrowed(grants(&inner), Section::default()),
                None => plugin,
            };
            for grant in judged.iter() {
                let host = grant.host().to_string().replace('*', "y");
                let url: Url = format!("http://{host}/").parse().unwrap();
                let request = NetRequest { method: "GET", url: &url };
                let reach = judged.reach(grant, &request);
                for address in ADDRESSES {
                    let address: IpAddr = address.parse().unwrap();
                    let decided = judged.decide_address(grant, &request, address).is_ok();
                    prop_assert_eq!(reach.contains(address), decided, "{} {:?} {}", grant.text(), reach, address);
                }
            }
        }
    }

    #[test]
    fn it_reads_as_a_phrase() {
        let ranges = vec![AddressRange::parse("10.0.0.0/8").unwrap()];
        let plugin = NetGrants::new(grants(&["a.test", "127.0.0.1", "*"]), ranges, false, Section::default());
        let url: Url = "http://a.test/".parse().unwrap();
        let request = NetRequest { method: "GET", url: &url };
        let phrases: Vec<String> = plugin.iter().map(|grant| plugin.reach(grant, &request).to_string()).collect();
        assert_eq!(
            phrases,
            [
                "public ones, and 10.0.0.0/8, without metadata services",
                "127.0.0.1 (loopback), which the grant itself names",
                "public ones",
            ]
        );
    }
}
