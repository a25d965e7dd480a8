//! How often an address and a caller may ask: windows of a minute that slide, bounded in number.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use bailiwick_core::bucket::Windows;
use bailiwick_core::grant::address::AddressRange;

use super::{Ends, Gateway};

/// How many more requests there may be.
pub(super) const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// What proxies say of whom a request is from.
const FORWARDED: &str = "x-forwarded-for";

/// Addresses, and callers, that are counted at once, before those that were idle the longest are forgotten. Each takes at
/// most 6 KiB, and half a KiB with a limit of 60.
const MOST: usize = 16_384;

/// What there was of late.
pub(crate) struct Limits {
    addresses: Mutex<Windows<IpAddr>>,
    callers: Mutex<Windows<String>>,
    since: Instant,
}

/// There were too many; there may be another after this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany(Duration);

impl TooMany {
    /// In whole seconds, as `Retry-After` has it: never too early.
    pub(super) fn seconds(self) -> u64 {
        self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0)
    }
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            addresses: Mutex::new(Windows::new(MOST)),
            callers: Mutex::new(Windows::new(MOST)),
            since: Instant::now(),
        }
    }

    /// Counts a request of an address, and says how many more there may be; none where there is no limit.
    pub(super) fn address(&self, address: IpAddr, limit: u32) -> Result<Option<u32>, TooMany> {
        held(&self.addresses).take(group(address), limit, self.since.elapsed()).map_err(TooMany)
    }

    /// The same for a caller.
    pub(super) fn caller(&self, name: String, limit: u32) -> Result<Option<u32>, TooMany> {
        held(&self.callers).take(name, limit, self.since.elapsed()).map_err(TooMany)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds to an answer how many more requests there may be, unless it says of fewer already.
pub(super) fn told(mut response: Response, left: Option<u32>) -> Response {
    let Some(left) = left else { return response };
    let known = response.headers().get(REMAINING).and_then(|known| known.to_str().ok()?.parse().ok());
    if known.is_none_or(|known: u32| left < known) {
        response.headers_mut().insert(REMAINING, HeaderValue::from(left));
    }
    response
}

/// What is counted as one address: of IPv6, whoever has one has 2^64 of them.
pub(super) fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// Whom a request is from.
pub(super) fn sender(gateway: &Gateway, request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<Ends>()?.peer.ip();
    Some(behind(peer, request.headers(), &gateway.settings.trusted_proxies))
}

/// Who stands behind the proxies that are trusted: of those whom `X-Forwarded-For` names, the last one that is none of
/// them. Whatever stands before that, the sender may have written itself.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[AddressRange]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut sender = peer.to_canonical();
    let values: Vec<&str> = headers.get_all(FORWARDED).iter().map(|value| value.to_str().unwrap_or("")).collect();
    for hop in values.join(",").rsplit(',') {
        if !is_trusted(sender) {
            break;
        }
        // What a trusted proxy wrote is an address; without one, what is known is the proxy.
        let Some(address) = address_of(hop.trim()) else { break };
        sender = address.to_canonical();
    }
    sender
}

/// An address, as proxies write it: with or without brackets and a port.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.split_once(']')).map(|(address, _)| address);
    let address = bare.unwrap_or(text).parse().ok();
    address.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|range| AddressRange::parse(range).unwrap());
        let headers = forwarded.iter().map(|value| (HeaderName::from_static(FORWARDED), value.parse().unwrap()));
        let headers: HeaderMap = headers.collect();
        assert_eq!(behind(peer.parse().unwrap(), &headers, &trusted).to_string(), expected, "{peer} {forwarded:?}");
    }

    #[test]
    fn api13_only_trusted_proxies_say_whom_a_request_is_from() {
        check("203.0.113.9", &[], "203.0.113.9");
        check("203.0.113.9", &["198.51.100.1"], "203.0.113.9");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["1.1.1.1", "198.51.100.1, 10.9.9.9"], "198.51.100.1");
        check("10.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2");
        check("fd00::1", &["[2001:db8::1]:4711"], "2001:db8::1");
        check("10.0.0.1", &["198.51.100.1:80"], "198.51.100.1");
        check("10.0.0.1", &["198.51.100.1, evil"], "10.0.0.1");
        check("10.0.0.1", &[""], "10.0.0.1");
    }

    #[test]
    fn api14_a_v6_network_counts_as_one_address() {
        let group = |address: &str| group(address.parse().unwrap()).to_string();
        assert_eq!(group("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(group("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(group("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn t8_the_answer_says_when_to_come_back_and_how_many_are_left() {
        assert_eq!(TooMany(Duration::from_millis(1)).seconds(), 1);
        assert_eq!(TooMany(Duration::from_secs(60)).seconds(), 60);
        let answer = told(told(Response::default(), Some(7)), Some(3));
        assert_eq!(answer.headers()[REMAINING], "3");
        assert_eq!(told(answer, Some(9)).headers()[REMAINING], "3");
        assert!(!told(Response::default(), None).headers().contains_key(REMAINING));
    }

    #[test]
    fn t8_an_address_may_ask_sixty_times() {
        let limits = Limits::new();
        let address = "192.0.2.1".parse().unwrap();
        let left: Vec<_> = (0..60).map(|_| limits.address(address, 60).unwrap().unwrap()).collect();
        assert_eq!(left, (0..60).rev().collect::<Vec<_>>());
        assert_eq!(limits.address(address, 60).unwrap_err().seconds(), 60);
        assert_eq!(limits.address("192.0.2.2".parse().unwrap(), 60), Ok(Some(59)));
    }
}
