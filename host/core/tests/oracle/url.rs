//! What a URL says is decided by what one parser reads in it: spelling, user names, queries and fragments have no say.

use std::sync::LazyLock;

use bailiwick_core::grant::{NetGrants, NetRequest, Origin};
use url::Url;

use super::net::{World, check};

/// Grants of every sort; only what they name is ever reached.
pub const GRANTS: [&str; 7] = [
    "https://good.example",
    "GET,POST https://*.good.example:8443/v1/**",
    "* https://api.example/a/*/b",
    "http://127.0.0.1:8080",
    "http://localhost:3000",
    "https://[2606:4700::1111]/x%20y/**",
    "PUT http://xn--bcher-kva.example/",
];

/// The hosts of [`GRANTS`], and endings of hosts.
const HOSTS: [&str; 6] =
    ["good.example", "api.example", "127.0.0.1", "localhost", "[2606:4700::1111]", "xn--bcher-kva.example"];
const ENDINGS: [&str; 1] = [".good.example"];

/// Judges one request; says whether it is allowed.
pub fn judge(method: &str, text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    static WORLD: LazyLock<(World, NetGrants)> = LazyLock::new(|| {
        let world = World::of(&GRANTS);
        let grants = world.grants();
        (world, grants)
    });
    let (world, grants) = &*WORLD;
    let allowed = check(world, grants, method, &url, None);
    for twin in twins(&url) {
        assert_eq!(decide(grants, method, &twin), allowed, "{url} and {twin}");
        assert_eq!(Origin::of(&twin), Origin::of(&url), "{url} and {twin}");
    }
    if allowed {
        let host = host_of(url.as_str());
        let host = host.strip_suffix('.').unwrap_or(host);
        let named = HOSTS.contains(&host) || ENDINGS.iter().any(|ending| host.ends_with(ending));
        assert!(named, "{method} {text:?} reaches `{host}`");
        let origin = Origin::of(&url).unwrap_or_else(|| panic!("{url} has no origin"));
        assert_eq!(origin.host, host, "{url}");
    }
    allowed
}

fn decide(grants: &NetGrants, method: &str, url: &Url) -> bool {
    grants.decide(&NetRequest { method, url }).is_ok()
}

/// The same request in other words: read again, and without what is not judged.
fn twins(url: &Url) -> Vec<Url> {
    let again = Url::parse(url.as_str()).unwrap_or_else(|error| panic!("{url} is not read again: {error}"));
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    let mut anonymous = bare.clone();
    let _ = anonymous.set_username("");
    let _ = anonymous.set_password(None);
    let mut named = url.clone();
    let _ = named.set_username("good.example");
    let _ = named.set_password(Some("@good.example"));
    named.set_query(Some("https://good.example/"));
    vec![again, bare, anonymous, named]
}

/// The host in the text of a URL that has been normalised, found without a parser.
fn host_of(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        Some(_) | None => host,
    }
}

/// A method, a space, and a URL as it might be written.
pub fn input(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (method, url) = text.split_once(' ').unwrap_or(("GET", text));
    judge(method, url);
}
