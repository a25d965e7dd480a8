//! URLs however they are spelled: only what the one parser reads decides, and nobody is reached by spelling.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use url::Url;

use crate::oracle::net::World;
use crate::oracle::url::{GRANTS, judge};
use crate::{Tally, any_of, for_all};

const PIECES: &[&str] = &[
    "https",
    "http",
    "HTTPS",
    "ws",
    "file",
    "://",
    ":",
    "//",
    "/",
    "\\",
    "@",
    "#",
    "?",
    "good.example",
    "x.good.example",
    "evil.test",
    "api.example",
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "localhost",
    "[::1]",
    "[2606:4700::1111]",
    ":8080",
    ":8443",
    ":3000",
    ":443",
    ".",
    "..",
    "%2e",
    "%2f",
    "%40",
    "\t",
    "\n",
    " ",
    "\u{3002}",
    "\u{200b}",
    "\u{ff0e}",
    "/v1/x",
    "/a/1/b",
    "b\u{fc}cher.example",
    "xn--",
    "u:p",
    "\u{131}",
    "\u{df}",
    "%00",
    ";",
    "/x y/z",
];

#[test]
fn glued_pieces_are_decided_by_one_parser() {
    let tally = Tally::default();
    let requests = (any_of(&["GET", "POST", "PUT", "get"]), vec(any_of(PIECES), 1..9));
    for_all(40_000, requests, |(method, pieces)| {
        tally.add(if judge(method, &pieces.concat()) { (1, 0) } else { (0, 1) });
    });
    assert!(tally.no.get() > 10_000);
}

/// Ways to write a host that parsers read as the same one, or that fool parsers.
fn spelled(host: &'static str) -> impl Strategy<Value = String> {
    let letters = vec(0_u8..5, host.len()).prop_map(move |ways| {
        let spell = |(character, way): (char, &u8)| match way {
            0 => character.to_ascii_uppercase().to_string(),
            1 => format!("%{:02x}", u32::from(character)),
            2 if character.is_ascii_alphanumeric() => {
                char::from_u32(u32::from(character) + 0xfee0).unwrap_or(character).to_string()
            }
            2 if character == '.' => "\u{3002}".to_owned(),
            _ => character.to_string(),
        };
        host.chars().zip(&ways).map(spell).collect::<String>()
    });
    let dot = any_of(&["", "", "."]);
    let front = any_of(&["", "good.example@", "good.example:443@", "u:p@", "good.example%40", "\t"]);
    let back = any_of(&["", "#@good.example", "?@good.example", "/@good.example", "\\@good.example", ":443", ":0443"]);
    (front, letters, dot, back).prop_map(|(front, host, dot, back)| format!("{front}{host}{dot}{back}"))
}

#[test]
fn no_spelling_of_a_host_that_is_not_granted_is_let_through() {
    const DENIED: [&str; 8] = [
        "evil.test",
        "good.example.evil.test",
        "xgood.example",
        "x.api.example",
        "10.0.0.1",
        "169.254.169.254",
        "127.0.0.2",
        "xn--good-example",
    ];
    let read = Cell::new(0);
    for host in DENIED {
        let urls = (any_of(&["https://", "http://", "https:", "https:\\\\", "HTTP:/"]), spelled(host));
        for_all(800, urls, |(scheme, rest)| {
            let text = format!("{scheme}{rest}");
            let Ok(url) = Url::parse(&text) else { return };
            // Some of these do lead elsewhere: then it is not this host.
            let is_it = url.host_str().is_some_and(|seen| seen.trim_end_matches('.') == host);
            read.set(read.get() + u32::from(is_it));
            assert!(!judge("GET", &text) || !is_it, "{text:?} is let through as {url}");
        });
    }
    assert!(read.get() > 1_500, "only {} of the spellings are read as what they spell", read.get());
}

#[test]
fn every_spelling_of_a_granted_host_is_judged_as_that_host() {
    let tally = Tally::default();
    for_all(8_000, spelled("good.example"), |rest| {
        tally.add(if judge("GET", &format!("https://{rest}")) { (1, 0) } else { (0, 1) });
    });
    tally.expect(8_000, 20);
}

/// The numbers an IPv4 address is written as, for one that is refused and one that is granted.
#[test]
fn an_address_is_the_same_in_every_notation() {
    let cases = (any::<[bool; 2]>(), vec(0_u8..3, 4), 1_usize..5, any::<bool>());
    for_all(4_000, cases, |([granted, upper], bases, parts, dot)| {
        let address: [u8; 4] = if granted { [127, 0, 0, 1] } else { [127, 0, 0, 2] };
        let mut numbers: Vec<u32> = address[..parts - 1].iter().map(|byte| u32::from(*byte)).collect();
        numbers.push(address[parts - 1..].iter().fold(0, |all, byte| all << 8 | u32::from(*byte)));
        let write = |(number, base): (&u32, &u8)| match (base, upper) {
            (0, _) => number.to_string(),
            (1, _) => format!("0{number:o}"),
            (_, false) => format!("0x{number:x}"),
            (_, true) => format!("0X{number:X}"),
        };
        let host = numbers.iter().zip(&bases).map(write).collect::<Vec<_>>().join(".");
        let dot = if dot { "." } else { "" };
        assert_eq!(judge("GET", &format!("http://{host}{dot}:8080/x")), granted, "{host}");
    });
}

#[test]
fn what_is_granted_is_let_through() {
    let world = World::of(&GRANTS);
    for (method, url) in [
        ("GET", "https://good.example/any"),
        ("POST", "https://x.good.example:8443/v1/y"),
        ("DELETE", "https://api.example/a/1/b"),
        ("GET", "http://localhost:3000/"),
        ("HEAD", "https://[2606:4700::1111]/x%20y/z"),
        ("PUT", "http://b\u{fc}cher.example/"),
    ] {
        assert!(judge(method, url) && world.allows(method, &Url::parse(url).unwrap(), None), "{method} {url}");
    }
}
