//! What `explain` says of a request is what egress does with it: many configurations, many requests, both asked.

use std::net::IpAddr;
use std::sync::Arc;

use bailiwick_core::config::{Config, Source, read};
use bailiwick_core::explain::{Answer, Ruling, Subject};
use bailiwick_core::grant::{NetRequest, Want};
use bailiwick_core::outcome::Code;
use http::{Method, Uri};

use super::super::{connect, judged, read_url, within_count};
use super::support::*;
use crate::context::CallContext;

const METHODS: &[&str] = &["GET", "POST", "HEAD", "PUT", "TRACE", "CONNECT", "PURGE", "get"];
const SCHEMES: &[&str] = &["http", "https", "ftp"];
/// Hosts of requests, some of them spelled so that readers differ.
const HOSTS: &[&str] = &[
    "a.example",
    "A.Example",
    "a.example.",
    "b.a.example",
    "evil.example",
    "localhost",
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "10.0.0.7",
    "169.254.169.254",
    "2852039166",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "8.8.8.8",
    "user@a.example",
];
const PORTS: &[&str] = &["", "", ":80", ":443", ":8080", ":0"];
const PATHS: &[&str] =
    &["/", "/v1", "/v1/x?q=%2e", "/v1/../v2", "/v1/%2e%2e/v2", "/v1/a%2fb", "//v1", "/v1/x/y", "/v2\\x"];
const PLAIN_HOSTS: &[&str] = &["a.example", "a.example", "b.a.example", "localhost", "127.0.0.1"];
/// What a name leads to.
const ADDRESSES: &[&str] = &[
    "8.8.8.8",
    "8.8.8.8",
    "2606:4700::1",
    "127.0.0.1",
    "10.0.0.7",
    "192.0.2.1",
    "169.254.169.254",
    "8.8.8.8",
    "fd00::7",
    "::1",
];
const GRANTED_METHODS: &[&str] = &["", "", "GET ", "POST ", "GET,PUT ", "* "];
const GRANTED_HOSTS: &[&str] = &["a.example", "*.a.example", "*", "localhost", "127.0.0.1", "10.0.0.7", "[::1]"];
const GRANTED_PATHS: &[&str] = &["", "", "/", "/v1/**", "/v1/*", "/v2"];
const RANGES: &[&str] = &["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "fd00::/8", "192.0.2.0/24"];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }

    fn of<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len())]
    }

    fn net(&mut self) -> Vec<String> {
        let grant = |dice: &mut Self| {
            let (methods, scheme) = (dice.of(GRANTED_METHODS), dice.of(&["http", "http", "https"]));
            let (host, port, path) = (dice.of(GRANTED_HOSTS), dice.of(&["", "", "", ":8080"]), dice.of(GRANTED_PATHS));
            format!("{methods}{scheme}://{host}{port}{path}")
        };
        (0..self.below(7)).map(|_| grant(self)).collect()
    }

    /// Some of the plugin's grants, or some narrower than its own; what is wider is a mistake of the file.
    fn less(&mut self, net: &[String]) -> Vec<String> {
        let mut less: Vec<String> = net.iter().filter(|_| self.below(2) == 0).cloned().collect();
        if self.below(2) == 0 {
            less.extend(self.net().pop());
        }
        less
    }

    /// A plugin, sometimes with a tool that has less.
    fn file(&mut self) -> String {
        let ranges: Vec<&str> = (0..self.below(3)).map(|_| self.of(RANGES)).collect();
        let (net, danger) = (self.net(), self.below(4) == 0);
        let mut text = format!(
            "[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = {net:?}\naddresses = {ranges:?}\n\
             danger_metadata_addresses = {danger}\n"
        );
        match self.below(6) {
            0 => text.push_str(&format!("[plugins.probe.tools.get]\nnet = {:?}\n", self.less(&net))),
            1 => text.push_str("[plugins.probe.tools.get]\nlimits.http_requests = 0\n"),
            2 => text.push_str(&format!("[plugins.probe.tools.\"*\"]\nnet = {:?}\n", self.less(&net))),
            _ => {}
        }
        text
    }

    fn request(&mut self) -> (Method, String) {
        // Most of them ask for nothing out of the way, so that both answers are there.
        let (method, scheme, host, port, path) = match self.below(4) {
            0 => (self.of(METHODS), self.of(SCHEMES), self.of(HOSTS), self.of(PORTS), self.of(PATHS)),
            _ => {
                let (host, port) = (self.of(PLAIN_HOSTS), self.of(&["", "", "", ":8080"]));
                (self.of(&["GET", "POST"]), "http", host, port, self.of(&PATHS[..3]))
            }
        };
        (method.parse().unwrap(), format!("{scheme}://{host}{port}{path}"))
    }
}

fn config(text: String) -> Option<Config> {
    read(&Source { name: "b.toml".into(), text, base: "/srv".into() }, &|_| None).ok()
}

/// A call with the rights of the tool `get`, where every name leads to `address`.
fn call(subject: &Subject<'_>, address: &str) -> Arc<CallContext> {
    let table = names([
        ("a.example", &[&[address]]),
        ("b.a.example", &[&[address]]),
        ("evil.example", &[&[address]]),
        ("localhost", &[&[address]]),
    ]);
    let mut call = World::with(egress(&table, &[]), []).call();
    Arc::get_mut(&mut call).unwrap().effective = Arc::new(subject.effective().clone());
    call
}

/// All that egress decides before it connects: the code of a refusal, or nothing; and whether it got to an address.
async fn enforced(call: &CallContext, method: &Method, uri: &Uri) -> (Option<Code>, bool) {
    let judgement = async {
        let (target, grant) = judged(call, method, uri)?;
        within_count(call, 0)?;
        let request = NetRequest { method: method.as_str(), url: &target.url };
        connect::addresses(&call.egress.resolver, call, (&request, grant), &target).await
    };
    let reached = judgement.await.is_ok();
    (call.ledger.denials().first().map(|failure| failure.code), reached)
}

fn explained(subject: &Subject<'_>, method: &Method, uri: &Uri, address: IpAddr) -> (Option<Code>, bool) {
    let url = match read_url(uri) {
        Ok(url) => url,
        Err(failure) => return (code(&subject.unreadable(failure.code, &failure.message)), false),
    };
    let request = NetRequest { method: method.as_str(), url: &url };
    let answer = subject.net(&request);
    let net = &subject.effective().grants.net;
    let to = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse().ok()).unwrap_or(address);
    let reaches = || net.decide(&request).is_ok_and(|grant| net.reach(grant, &request).contains(to));
    match code(&answer) {
        None if reaches() => (None, true),
        None => (Some(Code::DeniedNetAddress), false),
        refused => (refused, false),
    }
}

fn code(answer: &Answer) -> Option<Code> {
    match &answer.ruling {
        Ruling::Allowed { .. } => None,
        Ruling::Denied { code, .. } => Some(*code),
    }
}

#[tokio::test]
async fn what_is_explained_is_what_is_enforced() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut configs, mut allowed, mut refused) = (0, 0, 0);
    while configs < 400 {
        let text = dice.file();
        let Some(config) = config(text.clone()) else { continue };
        configs += 1;
        let subject = Subject::new(&config.plugins[0], Some("get"));
        for _ in 0..50 {
            let ((method, url), address) = (dice.request(), dice.of(ADDRESSES));
            // What is no URI never becomes a request.
            let Ok(uri) = url.parse::<Uri>() else { continue };
            let call = call(&subject, address);
            let done = enforced(&call, &method, &uri).await;
            let said = explained(&subject, &method, &uri, address.parse().unwrap());
            assert_eq!(said, done, "{method} {url} -> {address} under\n{text}");
            *(if done.1 { &mut allowed } else { &mut refused }) += 1;
        }
    }
    // Neither side is empty: the agreement is about both.
    assert!(allowed > 500 && refused > 500, "{allowed} allowed, {refused} refused");
}

#[tokio::test]
async fn a_refusal_is_noted_as_what_was_wanted_without_what_may_hold_a_value() {
    let text = "[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"http://a.example\"]\n";
    let config = config(text.to_owned()).unwrap();
    let subject = Subject::new(&config.plugins[0], None);
    for (uri, wanted) in [
        ("https://evil.example/x?token=1", "GET https://evil.example/x"),
        ("http://a.example/y?token=1", "GET http://a.example/y -> 10.0.0.7"),
        ("http://2852039166/latest", "GET http://169.254.169.254/latest"),
    ] {
        let call = call(&subject, "10.0.0.7");
        let (_, reached) = enforced(&call, &Method::GET, &uri.parse().unwrap()).await;
        let noted: Vec<String> = call
            .ledger
            .wants()
            .iter()
            .map(|(want, _)| match want {
                Want::Net(net) => {
                    let led_to = net.address.map_or(String::new(), |address| format!(" -> {address}"));
                    format!("{want}{led_to}")
                }
                Want::Fs(_) | Want::Secret(_) | Want::Setting(_) | Want::Call(_) => want.to_string(),
            })
            .collect();
        assert_eq!((noted, reached), (vec![wanted.to_owned()], false), "{uri}");
    }
    let allowed = call(&subject, "8.8.8.8");
    assert!(enforced(&allowed, &Method::GET, &"http://a.example/y".parse().unwrap()).await.1);
    assert!(allowed.ledger.wants().is_empty());
}
