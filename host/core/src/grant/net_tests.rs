use std::net::IpAddr;

use super::*;

fn parsed(texts: &[&str]) -> Vec<NetGrant> {
    let parse = |(at, text): (usize, &&str)| NetGrant::parse(text, at + 1, Place::default()).expect(text);
    texts.iter().enumerate().map(parse).collect()
}

fn grants(texts: &[&str]) -> NetGrants {
    NetGrants::new(parsed(texts), vec![], false, Section::new("plugins.fetch", "bailiwick.toml:4"))
}

fn with_ranges(texts: &[&str], ranges: &[&str], danger: bool) -> NetGrants {
    let ranges = ranges.iter().map(|range| AddressRange::parse(range).unwrap()).collect();
    NetGrants::new(parsed(texts), ranges, danger, Section::new("plugins.fetch", "bailiwick.toml:4"))
}

/// What comes of `METHOD URL`: the text of the grant, or the code of the denial.
fn outcome(grants: &NetGrants, request: &str) -> String {
    decide(grants, request).unwrap_or_else(|denial| denial.code().to_owned())
}

fn decide(grants: &NetGrants, request: &str) -> Result<String, NetDenial> {
    let (method, url) = request.split_once(' ').unwrap();
    let url = Url::parse(url).unwrap();
    grants.decide(&NetRequest { method, url: &url }).map(|grant| grant.text().to_owned())
}

#[track_caller]
fn check(texts: &[&str], request: &str, expected: &str) {
    assert_eq!(outcome(&grants(texts), request), expected, "{texts:?} {request}");
}

#[test]
fn each_denial_has_its_granted_twin() {
    const API: &str = "GET,POST https://api.example.com:8443/v1/**";
    check(&[API], "POST https://api.example.com:8443/v1/items?q=1#x", API);
    check(&[API], "POST https://api.example.org:8443/v1/items", "denied.net.host");
    check(&[API], "POST http://api.example.com:8443/v1/items", "denied.net.scheme");
    check(&[API], "POST https://api.example.com/v1/items", "denied.net.port");
    check(&[API], "PUT https://api.example.com:8443/v1/items", "denied.net.method");
    check(&[API], "POST https://api.example.com:8443/v2/items", "denied.net.path");
    check(&[], "GET https://example.com/", "denied.net.host");
}

#[test]
fn no_methods_means_get_and_head_and_a_star_all_but_tunnels() {
    for (grant, method, granted) in [
        ("https://a.com", "GET", true),
        ("https://a.com", "HEAD", true),
        ("https://a.com", "POST", false),
        ("https://a.com", "get", false),
        ("* https://a.com", "DELETE", true),
        ("* https://a.com", "PROPFIND", true),
        ("* https://a.com", "CONNECT", false),
        ("* https://a.com", "TRACE", false),
        ("* https://a.com", "trace", false),
        ("* https://a.com", "GET\r\nX:", false),
        ("PATCH https://a.com", "PATCH", true),
        ("PATCH https://a.com", "GET", false),
    ] {
        let url = Url::parse("https://a.com/").unwrap();
        let decided = grants(&[grant]).decide(&NetRequest { method, url: &url }).is_ok();
        assert_eq!(decided, granted, "{grant} {method:?}");
    }
}

#[test]
fn a_url_goes_where_the_parser_says_not_where_it_looks() {
    const ONE: &str = "https://good.com";
    for granted in [
        "GET https://GOOD.com/",
        "GET https://good.com./",
        "GET https://good.com:443/",
        "GET https://evil.com@good.com/",
        "GET https:good.com/",
        "GET https://good.com\\@evil.com/",
        "GET https://ｇood.com/",
        "GET https://good%2ecom/",
    ] {
        check(&[ONE], granted, ONE);
    }
    for refused in [
        "GET https://good.com@evil.com/",
        "GET https://good.com:80@evil.com/",
        "GET https://evil.com#@good.com/",
        "GET https://good.com.evil.com/",
        "GET https://evilgood.com/",
        "GET https://xn--god-5na.com/",
        "GET https://gооd.com/",
        "GET https://x.good.com/",
    ] {
        check(&[ONE], refused, "denied.net.host");
    }
    check(&[ONE], "GET file:///etc/passwd", "denied.net.scheme");
    check(&[ONE], "GET ftp://good.com/", "denied.net.scheme");
    check(&[ONE], "GET wss://good.com/", "denied.net.scheme");
}

#[test]
fn the_narrowest_grant_that_allows_it_is_named() {
    const ALL: [&str; 3] = ["https://*", "https://*.example.com", "https://api.example.com"];
    check(&ALL, "GET https://api.example.com/", "https://api.example.com");
    check(&ALL, "GET https://www.example.com/", "https://*.example.com");
    check(&ALL, "GET https://example.com/", "https://*");
}

/// One address, many spellings: the parser makes them one, and a wildcard reaches none of them.
#[test]
fn no_spelling_of_a_special_address_is_public() {
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "0",
        "127.0.0.1.",
        "0x7F.1",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0::1]",
        "[fec0::1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "0xa9fea9fe",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "[::ffff:a9fe:a9fe]",
    ] {
        check(&["* https://*", "* http://*"], &format!("GET http://{host}/"), "denied.net.addr");
    }
    for host in ["localhost", "LOCALHOST", "localhost.", "a.localhost"] {
        check(&["* http://*"], &format!("GET http://{host}/"), "denied.net.host");
    }
    check(&["http://*"], "GET http://8.8.8.8/", "http://*");
    for broken in ["http://256.0.0.1/", "http://127.0.0.0.1/", "http://[fe80::1%25eth0]/", "http://[::1/"] {
        assert!(Url::parse(broken).is_err(), "{broken}");
    }
}

#[test]
fn an_address_grant_allows_exactly_that_address_and_port() {
    let local = grants(&["http://127.0.0.1:8080", "http://[::1]:9000"]);
    assert_eq!(outcome(&local, "GET http://127.0.0.1:8080/"), "http://127.0.0.1:8080");
    assert_eq!(outcome(&local, "GET http://[::1]:9000/x"), "http://[::1]:9000");
    for refused in [
        "GET http://127.0.0.1:8081/",
        "GET http://127.0.0.2:8080/",
        "GET http://localhost:8080/",
        "GET http://[::1]:8080/",
    ] {
        assert!(decide(&local, refused).is_err(), "{refused}");
    }
    let (first, other): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap());
    let grant = local.iter().next().unwrap();
    let url = Url::parse("http://127.0.0.1:8080/").unwrap();
    let request = NetRequest { method: "GET", url: &url };
    assert!(local.decide_address(grant, &request, first).is_ok());
    assert!(local.decide_address(grant, &request, other).is_err());
}

#[track_caller]
fn check_address(grants: &NetGrants, address: &str, granted: bool) {
    let grant = grants.iter().next().unwrap();
    let origin = grant.text().rsplit(' ').next().unwrap();
    let url = Url::parse(&origin.replace('*', "x")).unwrap();
    let decided = grants.decide_address(grant, &NetRequest { method: "GET", url: &url }, address.parse().unwrap());
    assert_eq!(decided.is_ok(), granted, "{grant:?} {address}");
}

#[test]
fn a_name_resolves_to_public_addresses_and_named_ranges() {
    let plain = grants(&["https://db.corp"]);
    check_address(&plain, "8.8.8.8", true);
    check_address(&plain, "2606:4700::1111", true);
    for address in ["10.0.0.1", "127.0.0.1", "::1", "::ffff:10.0.0.1", "169.254.169.254", "fe80::1", "64:ff9b::a00:1"] {
        check_address(&plain, address, false);
    }
    let ranged = with_ranges(&["https://db.corp"], &["10.0.0.0/8", "192.168.1.7"], false);
    for address in ["10.9.9.9", "::ffff:10.9.9.9", "192.168.1.7", "8.8.8.8"] {
        check_address(&ranged, address, true);
    }
    check_address(&ranged, "192.168.1.8", false);

    let wild = with_ranges(&["https://*.corp.example"], &["10.0.0.0/8"], false);
    check_address(&wild, "10.0.0.1", false);
    check_address(&with_ranges(&["https://*"], &["10.0.0.0/8"], false), "10.0.0.1", false);

    let localhost = grants(&["http://localhost:1234"]);
    check_address(&localhost, "127.0.0.1", true);
    check_address(&localhost, "::1", true);
    check_address(&localhost, "10.0.0.1", false);
}

#[test]
fn metadata_needs_its_own_key_in_every_case() {
    for metadata in ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"] {
        let literal = format!("http://{metadata}");
        let range = format!("{metadata}/32");
        check_address(&grants(&[&literal]), metadata, false);
        check_address(&with_ranges(&[&literal], &[], true), metadata, true);
        check_address(&with_ranges(&["http://meta.corp"], &[&range], false), metadata, false);
        check_address(&with_ranges(&["http://meta.corp"], &[&range], true), metadata, true);
        check_address(&with_ranges(&["http://meta.corp"], &[], true), metadata, false);
        check_address(&with_ranges(&["http://*"], &[&range], true), metadata, false);
    }
}

#[test]
fn a_denial_is_a_sentence_with_the_closest_grant_and_the_line_to_add() {
    let denial = decide(&grants(&["GET https://api.example.com/v1/**"]), "POST https://api.example.com/v1/items?key=1")
        .unwrap_err();
    assert_eq!(
        denial.to_string(),
        "`POST https://api.example.com/v1/items` is refused: `POST` to this host is not granted; the closest grant is \
         `GET https://api.example.com/v1/**` (net 1)"
    );
    assert_eq!(denial.allow_line().unwrap(), r#"net = ["POST https://api.example.com/v1/items"]"#);
    assert_eq!(
        denial.fix(),
        "add `net = [\"POST https://api.example.com/v1/items\"]` under `[plugins.fetch]` (bailiwick.toml:4)"
    );

    let denial = decide(&grants(&["https://*.example.com"]), "GET https://u:p@example.com/").unwrap_err();
    assert_eq!(
        denial.to_string(),
        "`GET https://example.com/` is refused: no `net` of `[plugins.fetch]` (bailiwick.toml:4) names the host \
         `example.com`; the closest grant is `https://*.example.com` (net 1)"
    );
    let denial = decide(&grants(&[]), "CONNECT https://a.com/").unwrap_err();
    assert_eq!(denial.allow_line(), None);
    assert_eq!(denial.fix(), "no grant can allow it");
}

#[test]
fn an_address_denial_says_what_the_address_is() {
    let wild = grants(&["https://*.corp.example"]);
    let grant = wild.iter().next().unwrap();
    let url = Url::parse("https://db.corp.example/").unwrap();
    let request = NetRequest { method: "GET", url: &url };
    let denial = wild.decide_address(grant, &request, "10.0.0.1".parse().unwrap()).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "`https://db.corp.example:443` is refused: 10.0.0.1 is a private address, and a wildcard reaches only public \
         ones; the closest grant is `https://*.corp.example` (net 1)"
    );
    assert_eq!(
        denial.fix(),
        "add `net = [\"GET,HEAD https://db.corp.example\"]` and `addresses = [\"10.0.0.1\"]` under `[plugins.fetch]` \
         (bailiwick.toml:4)"
    );
    let denial = decide(&wild, "GET http://169.254.169.254/latest").unwrap_err();
    assert_eq!(
        denial.allow_line().unwrap(),
        "net = [\"GET http://169.254.169.254/latest\"]\ndanger_metadata_addresses = true"
    );
}

/// Whatever is refused, adding the lines it names lets it through: no dead ends and no more than was asked.
#[test]
fn the_line_of_a_denial_would_have_allowed_it() {
    for request in [
        "GET https://b.example/",
        "POST https://b.example:8443/v1/a%20b/*/ä",
        "DELETE http://b.example/x;y=1",
        "GET http://127.0.0.1:8080/x",
        "GET http://[::1]/",
        "GET http://169.254.169.254/",
        "GET https://b.example/a%2fb",
        "PUT https://b.example//x",
        "GET https://b.example/100%25",
        "GET http://10.0.0.1/",
    ] {
        for before in [
            &["https://a.example"][..],
            &["https://*", "http://*"],
            &["https://b.example/other", "http://b.example/z/**"],
        ] {
            let Err(denial) = decide(&grants(before), request) else {
                continue;
            };
            let Some(line) = denial.allow_line() else {
                panic!("{request}: {denial}");
            };
            let table: toml::Table = line.parse().unwrap();
            let text = table["net"][0].as_str().unwrap();
            let danger = table.contains_key("danger_metadata_addresses");
            assert_eq!(outcome(&with_ranges(&[text], &[], danger), request), text, "{request}");
        }
    }
}

#[test]
fn a_crooked_grant_is_refused() {
    for text in [
        "",
        " ",
        "https://",
        "https:///x",
        "a.com",
        "GET",
        "GET https://a.com x",
        "GET  https://a.com",
        " https://a.com",
        "https://a.com ",
        "ftp://a.com",
        "HTTPS://a.com",
        "file:///x",
        "//a.com",
        "https:/a.com",
        "https://u@a.com",
        "https://a.com?x",
        "https://a.com/#x",
        "https://a.com:",
        "https://a.com:0",
        "https://a.com:0443",
        "https://a.com:65536",
        "https://a.com:80-90",
        "https://a.com:+1",
        "https://a.com\\x",
        "https://*.",
        "https://*.com",
        "http://*x.com",
        "https://a b.com",
        "get https://a.com",
        "CONNECT https://a.com",
        "GET,, https://a.com",
        "https://[::1]x",
        "https://[::1",
        "https://a.com/**/x",
        "https://127.1",
        "https://a.com/a\tb",
        "https://bücher.de",
    ] {
        assert!(NetGrant::parse(text, 1, Place::default()).is_err(), "{text:?}");
    }
}

#[test]
fn covering_means_letting_no_more_through() {
    for (plugin, tool, covered) in [
        (&["https://a.com"][..], "https://a.com", true),
        (&["https://a.com"], "GET https://a.com/x", true),
        (&["https://a.com/x"], "https://a.com", false),
        (&["https://a.com"], "POST https://a.com", false),
        (&["GET https://a.com", "POST https://a.com"], "GET,POST https://a.com/x", true),
        (&["GET,POST https://a.com"], "* https://a.com", false),
        (&["* https://a.com"], "PUT https://a.com", true),
        (&["https://*.a.com"], "https://x.a.com", true),
        (&["https://*.a.com"], "https://*.x.a.com", true),
        (&["https://*.a.com"], "https://a.com", false),
        (&["https://x.a.com"], "https://*.a.com", false),
        (&["https://*"], "https://8.8.8.8", true),
        (&["https://*"], "https://10.0.0.1", false),
        (&["https://*"], "https://localhost", false),
        (&["https://*"], "http://a.com", false),
        (&["https://*"], "https://a.com:8443", false),
    ] {
        let tool = NetGrant::parse(tool, 1, Place::default()).unwrap();
        assert_eq!(grants(plugin).covers(&tool), covered, "{plugin:?} {tool:?}");
    }
}

#[test]
fn a_tool_reaches_no_more_than_its_plugin_even_where_its_own_line_says_so() {
    let plugin = with_ranges(&["https://*.a.com"], &["10.0.0.0/8"], false);
    let tool = plugin.narrowed(
        parsed(&["* https://x.a.com", "https://b.com"]),
        Section::new("plugins.fetch.tools.get", "bailiwick.toml:9"),
    );
    assert_eq!(outcome(&tool, "GET https://x.a.com/"), "* https://x.a.com");
    assert_eq!(outcome(&tool, "POST https://x.a.com/"), "denied.net.method");
    assert_eq!(outcome(&tool, "GET https://b.com/"), "denied.net.host");
    assert_eq!(outcome(&tool, "GET https://y.a.com/"), "denied.net.host");
    check_address(&tool, "8.8.8.8", true);
    // The tool names the host exactly, but the plugin only by a wildcard, which the ranges are not for.
    check_address(&tool, "10.0.0.1", false);

    let denial = decide(&tool, "GET https://y.a.com/").unwrap_err();
    assert_eq!(
        denial.fix(),
        "add `net = [\"GET https://y.a.com\"]` under `[plugins.fetch.tools.get]` (bailiwick.toml:9)"
    );
    let denial = decide(&tool, "GET https://c.com/").unwrap_err();
    assert_eq!(
        denial.fix(),
        "add `net = [\"GET https://c.com\"]` under `[plugins.fetch.tools.get]` (bailiwick.toml:9), and \
         `net = [\"GET https://c.com\"]` under `[plugins.fetch]` (bailiwick.toml:4)"
    );
}

#[test]
fn a_plugins_grant_for_one_method_opens_no_address_to_another() {
    let plugin = with_ranges(&["GET https://db.corp", "POST https://*"], &["10.0.0.0/8"], false);
    let tool = plugin.narrowed(parsed(&["GET,POST https://db.corp"]), Section::default());
    let url = Url::parse("https://db.corp/").unwrap();
    for (method, address, granted) in
        [("GET", "10.0.0.1", true), ("POST", "10.0.0.1", false), ("GET", "8.8.8.8", true), ("POST", "8.8.8.8", true)]
    {
        for grants in [&plugin, &tool] {
            let request = NetRequest { method, url: &url };
            let grant = grants.decide(&request).unwrap();
            let decided = grants.decide_address(grant, &request, address.parse().unwrap());
            assert_eq!(decided.is_ok(), granted, "{method} {address}");
        }
    }
}

#[test]
fn of_two_domains_the_longer_is_the_narrower() {
    const ALL: [&str; 2] = ["https://*.example.com", "https://*.x.example.com"];
    check(&ALL, "GET https://a.x.example.com/", "https://*.x.example.com");
    check(&[ALL[1], ALL[0]], "GET https://a.x.example.com/", "https://*.x.example.com");
}

/// A small, dumb second opinion on a closed world: every grant against every request, both ways round.
#[test]
fn decisions_agree_with_a_model_on_every_pair() {
    let methods = ["GET", "POST"];
    let origins = [
        "https://a.com",
        "http://a.com",
        "https://a.com:444",
        "https://x.a.com",
        "https://b.com",
        "https://*.a.com",
        "https://*",
    ];
    let paths = ["", "/v", "/v/**", "/*/w"];
    let model = |(method, origin, path): (&str, &str, &str), (asked, target, route): (&str, &str, &str)| {
        let same_host = match origin {
            "https://*.a.com" => target == "https://x.a.com",
            "https://*" => target.starts_with("https://") && !target.ends_with(":444"),
            exact => exact == target,
        };
        let same_path = match path {
            "" => true,
            "/v" => route == "/v",
            "/v/**" => route == "/v" || route.starts_with("/v/"),
            _ => route.ends_with("/w") && route.matches('/').count() == 2 && !route.starts_with("//"),
        };
        method == asked && same_host && same_path
    };
    for method in methods {
        for origin in origins {
            for path in paths {
                let one = grants(&[&format!("{method} {origin}{path}")]);
                for asked in methods {
                    for target in &origins[..5] {
                        for route in ["/", "/v", "/v/", "/v/w", "/v/w/x", "/x/w", "//w", "/vv"] {
                            let granted = decide(&one, &format!("{asked} {target}{route}")).is_ok();
                            let expected = model((method, origin, path), (asked, target, route));
                            assert_eq!(granted, expected, "{method} {origin}{path} <- {asked} {target}{route}");
                        }
                    }
                }
            }
        }
    }
}
