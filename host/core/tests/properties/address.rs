//! Addresses: both ends of each special range and their neighbours, and everything between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::for_all;
use crate::oracle::address::{METADATA, SPECIAL, address, bounds, check, check_range};

#[test]
fn both_sides_of_every_special_range_are_known() {
    for range in SPECIAL {
        let (family, first, last) = bounds(range).unwrap();
        let most = if family == 4 { u128::from(u32::MAX) } else { u128::MAX };
        let around = [first.checked_sub(1), Some(first), Some(last), last.checked_add(1).filter(|last| *last <= most)];
        around.into_iter().flatten().for_each(|number| check(address((family, number))));
        check_range(range);
    }
    METADATA.iter().for_each(|service| check(service.parse().unwrap()));
}

/// Any address; half of them in or near a special range.
pub(crate) fn addresses() -> impl Strategy<Value = IpAddr> {
    let near = (proptest::sample::select(&SPECIAL[..]), any::<u128>(), -2_i8..3).prop_map(|(range, inside, off)| {
        let (family, first, last) = bounds(range).unwrap();
        let inside = first + inside.checked_rem(last - first).unwrap_or(0);
        let end = if off < 0 { first } else { last };
        let number = if off == 0 { inside } else { end.saturating_add_signed(off.into()) };
        address((family, if family == 4 { number.min(u32::MAX.into()) } else { number }))
    });
    let v4 = any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits)));
    let v6 = any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from(bits)));
    let global = any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from(bits >> 3 | 1 << 125)));
    prop_oneof![4 => near, 2 => v4, 1 => v6, 2 => global]
}

#[test]
fn what_is_public_is_what_the_registries_leave() {
    for_all(50_000, addresses(), check);
}

#[test]
fn a_range_has_what_lies_between_its_ends() {
    let ranges = (addresses(), 0_u8..=130).prop_map(|(address, bits)| {
        // Most random ranges have bits set behind their prefix: these have not.
        let (family, number) = crate::oracle::address::number(address);
        let width = if family == 4 { 32 } else { 128 };
        let kept = width - u32::from(bits).min(width);
        let start = number.checked_shr(kept).and_then(|number| number.checked_shl(kept)).unwrap_or(0);
        format!("{}/{bits}", crate::oracle::address::address((family, start)))
    });
    for_all(10_000, ranges, |range| check_range(&range));
}
