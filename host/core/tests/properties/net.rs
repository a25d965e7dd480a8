//! Net grants against the model: random plugins and tools, random requests to random addresses.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::address::addresses;
use crate::oracle::net::judge;
use crate::{Tally, any_of, for_all};

const METHODS: &[&str] = &["", "", "GET ", "POST ", "GET,POST ", "* ", "PROPFIND,GET "];
const ASKED: &[&str] = &["GET", "GET", "GET", "POST", "HEAD", "PROPFIND", "CONNECT", "get", "A", "", "TRACE"];
const SCHEMES: &[&str] = &["https", "https", "http"];
const GRANTED_HOSTS: &[&str] = &[
    "a.test",
    "x.a.test",
    "*.a.test",
    "*.x.a.test",
    "b.test",
    "*",
    "localhost",
    "127.0.0.1",
    "10.0.0.7",
    "8.8.8.8",
    "169.254.169.254",
    "[::1]",
    "[2606:4700::1111]",
    "xn--bcher-kva.test",
    "*.localhost.test",
    "API.test",
    "a_b.test",
];
const HOSTS: &[&str] = &[
    "a.test",
    "x.a.test",
    "y.x.a.test",
    "b.test",
    "A.test",
    "a.test.",
    "localhost",
    "x.localhost",
    "localhost.",
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "10.0.0.7",
    "8.8.8.8",
    "134744072",
    "169.254.169.254",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[2606:4700::1111]",
    "b\u{fc}cher.test",
    "xa.test",
    "a.test.evil.test",
    "a..a.test",
    "u:p@a.test",
    "a.test@b.test",
    "a%2etest",
    "\u{ff41}.test",
    "api.test",
    "a_b.test",
    "x.localhost.test",
];
const PORTS: &[&str] = &["", "", "", ":8443", ":443", ":80"];
const GRANTED_PATHS: &[&str] =
    &["", "", "/", "/v1", "/v1/", "/v1/**", "/*/x", "/v1/*", "/%2A", "/a%20b/**", "/**", "/v1/*/x/**", "/\u{e4}"];
const SEGMENTS: &[&str] = &[
    "v1",
    "x",
    "",
    "a",
    "%76%31",
    "a%20b",
    "*",
    "%2A",
    "a%2fb",
    "%252e%252e",
    "..",
    "%2e",
    "..;a",
    "a;b",
    "%00",
    "a\\b",
    "%c3%a4",
    "\u{e4}",
    "%c0%ae",
    "%zz",
    "100%25",
];
const RANGES: &[&str] = &["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "fd00::/8", "192.0.0.192", "64:ff9b::/96"];

/// Three of four times one of the few that have to do with each other, else any.
fn often(few: &'static [&'static str], all: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => any_of(few), 1 => any_of(all)]
}

fn grants() -> impl Strategy<Value = String> {
    let hosts = often(&["a.test", "*.a.test", "*", "localhost", "10.0.0.7"], GRANTED_HOSTS);
    let (schemes, ports) = (often(&["https"], SCHEMES), often(&[""], PORTS));
    let paths = often(&["", "/v1/**"], GRANTED_PATHS);
    (any_of(METHODS), schemes, hosts, ports, paths)
        .prop_map(|(methods, scheme, host, port, path)| format!("{methods}{scheme}://{host}{port}{path}"))
}

fn requests() -> impl Strategy<Value = String> {
    let hosts = often(&["a.test", "x.a.test", "A.test.", "localhost", "10.0.0.7"], HOSTS);
    let segments = often(&["v1", "x"], SEGMENTS);
    let path = vec(segments, 0..4).prop_map(|segments| format!("/{}", segments.join("/")));
    let rest = any_of(&["", "", "?q=/v1", "#v1"]);
    let (methods, schemes, ports) = (often(&["GET"], ASKED), often(&["https"], SCHEMES), often(&[""], PORTS));
    let addresses = prop_oneof![Just("8.8.8.8".parse().unwrap()), Just("10.1.2.3".parse().unwrap()), addresses()];
    (methods, schemes, hosts, ports, path, rest, addresses).prop_map(
        |(method, scheme, host, port, path, rest, address)| {
            format!("ask: {method} {scheme}://{host}{port}{path}{rest} {address}\n")
        },
    )
}

/// What an operator wrote, and requests to judge by it.
fn cases() -> impl Strategy<Value = String> {
    let lines = |keyword: &'static str, grants: Vec<String>| {
        grants.iter().map(|grant| format!("{keyword}: {grant}\n")).collect::<String>()
    };
    let plugin = vec(grants(), 0..6);
    let tool = proptest::option::of(vec(grants(), 1..4));
    let ranges = vec(any_of(RANGES), 0..3);
    (plugin, tool, ranges, any::<bool>(), vec(requests(), 48)).prop_map(
        move |(plugin, tool, ranges, danger, requests)| {
            let ranges: String = ranges.iter().map(|range| format!("range: {range}\n")).collect();
            let tool = tool.map(|grants| lines("tool", grants)).unwrap_or_default();
            format!("{}{tool}{ranges}danger: {danger}\n{}", lines("plugin", plugin), requests.concat())
        },
    )
}

#[test]
fn decisions_are_those_of_the_model() {
    let tally = Tally::default();
    for_all(2_200, cases(), |case| tally.add(judge(case.as_bytes())));
    tally.expect(100_000, 25);
}

/// Requests that are made to fit, so that many are allowed and each part of a grant decides some.
#[test]
fn decisions_at_the_edge_of_a_grant_are_those_of_the_model() {
    let cases = vec(grants(), 1..4).prop_flat_map(|grants| {
        let fitting = proptest::sample::select(grants.clone()).prop_flat_map(|grant| {
            let target = grant.rsplit(' ').next().unwrap_or_default().to_owned();
            let method = grant.split([' ', ',']).next().filter(|method| !method.contains("://")).unwrap_or("GET");
            let method = if method == "*" { "DELETE" } else { method }.to_owned();
            let change = any_of(&["", "", "", "", "/", "/more", "x", "?q"]);
            (Just(method), Just(target), any_of(&["x", "y.x", "a", ""]), change, addresses())
        });
        let requests = fitting.prop_map(|(method, target, star, change, address)| {
            let target = target.replace("**", "").replace('*', star);
            format!("ask: {method} {target}{change} {address}\n")
        });
        let grants: String = grants.iter().map(|grant| format!("plugin: {grant}\n")).collect();
        (Just(grants), any::<bool>(), vec(requests, 32))
    });
    let tally = Tally::default();
    for_all(1_000, cases, |(grants, danger, requests)| {
        tally.add(judge(format!("{grants}range: 10.0.0.0/8\ndanger: {danger}\n{}", requests.concat()).as_bytes()));
    });
    tally.expect(20_000, 5);
}
