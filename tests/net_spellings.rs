//! Every way to write an address that should not be reached (NET-1 to NET-40): none of them gets a packet out, and the
//! one that an operator grants by its plain name does.

use serde_json::json;

use crate::support::host::World;
use crate::support::{Upstream, told};

const LOOPBACK: &[&str] = &[
    "127.0.0.1",
    "2130706433",
    "0x7f000001",
    "0X7F000001",
    "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "0177.0x0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "127.0.0.01",
    "127.000.000.001",
    "127.0.0.1.",
    "127.0.0.2",
    "127.255.255.254",
    "00000177.0.0.1",
    "0x7f.1",
    "256.0.0.1",
    "4294967296",
    "127.0.0.1.1",
    "①②⑦.⓪.⓪.①",
    "１２７.０.０.１",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "127.0.0.\u{200b}1",
    "127.0.\u{ad}0.1",
    "%31%32%37.0.0.1",
    "%2531%2532%2537.0.0.1",
    "127%2e0%2e0%2e1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[::1%25lo]",
    "[::1%lo]",
    "localhost",
    "LOCALHOST",
    "LocalHost",
    "localhost.",
    "ip6-localhost",
    "x.localhost",
    "ⓛocalhost",
    "ｌｏｃａｌｈｏｓｔ",
    "%6cocalhost",
    "good.test@127.0.0.1",
    "good.test:80@127.0.0.1",
    "127.0.0.1#good.test",
    "good.test\\@127.0.0.1",
    "127.0.0.1\t",
    "127.0.0.1\r\nx",
    "127.0.0.1 ",
    " 127.0.0.1",
    "127.0.0.1\0.good.test",
    "127.0.0.1/",
    "127.0.0.1?",
    "",
];

const METADATA: &[&str] = &[
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "025177524776",
    "169.254.43518",
    "169.16689662",
    "0251.254.169.254",
    "169.254.169.254.",
    "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
    "１６９.２５４.１６９.２５４",
    "169。254。169。254",
    "%31%36%39.254.169.254",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fec0::1]",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
];

const PRIVATE: &[&str] = &[
    "10.0.0.1",
    "167772161",
    "0xa000001",
    "0x0a.0.0.1",
    "012.0.0.1",
    "01200000001",
    "10.1",
    "10.0.1",
    "10.0.0.01",
    "10.0.0.1.",
    "①⓪.⓪.⓪.①",
    "１０.０.０.１",
    "10。0。0。1",
    "%31%30.0.0.1",
    "[::ffff:10.0.0.1]",
    "[::ffff:a00:1]",
    "[::a00:1]",
    "[64:ff9b::a00:1]",
    "[64:ff9b:1::a00:1]",
    "[2002:a00:1::]",
    "[fd00::1]",
    "[fc00::1]",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "0300.0250.0.1",
    "100.64.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "0.1.2.3",
    "[100::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[ff02::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[100:0:0:1::1]",
];

/// Sends a request to every spelling, once as it is written and once through a URL parser; none may get anywhere.
async fn check(spellings: &[&str]) {
    let web = Upstream::hello().await;
    let port = web.port;
    let text = format!(
        "[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"http://*:{port}\", \"http://*\", \"https://*:{port}\"]\nlimits.time = \"20s\"\n"
    );
    // The system's own resolver: it takes many of these for 127.0.0.1, which is what makes them dangerous.
    let host = World::new().system_names().start(&text).await;
    let mut admitted = Vec::new();
    for spelling in spellings {
        for (tool, arguments) in [
            ("raw", json!({"authority": format!("{spelling}:{port}")})),
            ("raw", json!({"authority": spelling})),
            ("raw", json!({"authority": format!("{spelling}:{port}"), "scheme": "https"})),
            ("get", json!({"url": format!("http://{spelling}:{port}/"), "redirects": 0})),
        ] {
            let outcome = host.call(tool, arguments).await;
            // `upstream.dns`: the resolver of this machine knows no such name. `upstream.protocol`: no URL at all.
            let harmless = [
                "denied.net.host",
                "denied.net.addr",
                "denied.net.port",
                "arguments.invalid",
                "upstream.dns",
                "upstream.protocol",
            ];
            if !harmless.contains(&outcome.code()) {
                admitted.push(format!("{tool} {spelling:?}: {}", told(&outcome)));
            }
        }
    }
    assert!(admitted.is_empty(), "{admitted:#?}");
    assert_eq!(web.connections(), 0, "not one connection");
}

#[tokio::test]
async fn no_spelling_of_this_machine_is_reached() {
    check(LOOPBACK).await;
}

#[tokio::test]
async fn no_spelling_of_a_metadata_service_is_reached() {
    check(METADATA).await;
}

#[tokio::test]
async fn no_spelling_of_an_inner_address_is_reached() {
    check(PRIVATE).await;
}

#[tokio::test]
async fn a_spelling_of_an_address_is_known_for_what_it_is() {
    let host = World::new().start("[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"http://*\"]\n").await;
    for spelling in [
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "0",
        "127.0.0.01",
        "0x7f.1",
        "127.0.0.1.",
    ] {
        let outcome = host.call("raw", json!({"authority": spelling})).await;
        assert_eq!(outcome.code(), "denied.net.addr", "{spelling}: {}", told(&outcome));
    }
    for address in LOOPBACK
        .iter()
        .chain(METADATA)
        .chain(PRIVATE)
        .filter(|spelling| spelling.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok())
    {
        let outcome = host.call("raw", json!({"authority": address})).await;
        assert_eq!(outcome.code(), "denied.net.addr", "{address}: {}", told(&outcome));
    }
}

#[tokio::test]
async fn names_that_lead_inside_are_refused() {
    let web = Upstream::hello().await;
    let inside = [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "192.168.1.1",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fd00:ec2::254",
        "fe80::1",
    ];
    let world = || {
        inside.iter().fold(World::new(), |world, address| {
            world.name(&format!("{}.nip.example", address.replace([':', '.'], "-").trim_matches('-')), &[address])
        })
    };
    let text = format!(
        "[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"http://*:{port}\", \"http://*.nip.example:{port}\"]\n",
        port = web.port
    );
    let host = world().start(&text).await;
    for address in inside {
        let name = format!("{}.nip.example", address.replace([':', '.'], "-").trim_matches('-'));
        let outcome = host.call("raw", json!({"authority": format!("{name}:{}", web.port)})).await;
        let expected = if address == "::" { "upstream.dns" } else { "denied.net.addr" };
        assert!(
            [expected, "denied.net.addr", "denied.net.host"].contains(&outcome.code()),
            "{address}: {}",
            told(&outcome)
        );
    }
    assert_eq!(web.connections(), 0);
}

#[tokio::test]
async fn an_address_that_is_granted_by_its_plain_name_is_reached_by_that_name_alone() {
    let web = Upstream::hello().await;
    let port = web.port;
    let text = format!("[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"http://127.0.0.1:{port}\"]\n");
    let host = World::new().system_names().start(&text).await;
    assert_eq!(host.told("raw", json!({"authority": format!("127.0.0.1:{port}")})).await, "ok: 200 hello");
    for spelling in LOOPBACK.iter().skip(1) {
        let outcome = host.call("raw", json!({"authority": format!("{spelling}:{port}")})).await;
        assert!(outcome.result.is_err(), "{spelling:?}: {}", told(&outcome));
    }
    assert_eq!(web.connections(), 1);
}
