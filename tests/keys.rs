//! Keys, policies, rates, budgets and tokens, as operators and callers meet them: the real program, real requests.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use bailiwick_core::call::{Budget, Caller, May, Policy, Selector};
use serde_json::{Value, json};

use crate::support::host::{TestHost, World};
use crate::support::served::{Answer, Served};

const PLUGIN: &str = "[plugins.datetime]\ncomponent = \"builtin:datetime\"\n";
/// A key whose hash costs next to nothing.
const KEY: &str = "bwk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$vJUe/WFIFA3WGmy/KkLlcQ";
const ACCEPT: (&str, &str) = ("Accept", "application/json, text/event-stream");

/// A configuration with that key under this policy.
fn keyed(policy: &str, gateway: &str) -> String {
    format!("{PLUGIN}[policies.p]\n{policy}\n[keys.ci]\nhash = \"{HASH}\"\npolicy = \"p\"\n[gateway]\n{gateway}\n")
}

/// Opens an MCP session, with these headers.
fn enter(served: &Served, headers: &[(&str, &str)]) -> Answer {
    let info = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    served.post("/mcp", &[headers, &[ACCEPT]].concat(), &body)
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn status(served: &Served, key: &str) -> u16 {
    enter(served, &[("Authorization", &bearer(key))]).status
}

/// Whether any file below `folder` holds `text`.
fn is_anywhere(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => is_anywhere(&path, text),
            false => std::fs::read(&path)
                .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes())),
        }
    })
}

#[test]
fn a2_a5_a_key_is_shown_once_and_its_hash_alone_is_kept() {
    let world = World::new();
    let made = world.run(PLUGIN, &["keys", "create", "ci", "--tools", "now,!later", "--execute", "--calls", "9"], "");
    assert_eq!((made.exit, made.err.as_str()), (0, ""));
    let key = made.out.trim_end();
    assert!(key.starts_with("bwk_") && key.len() == 47, "{key}");
    assert!(!is_anywhere(&world.path("state"), &key[4..]), "the key is kept");
    assert!(is_anywhere(&world.path("state"), "$argon2id$v=19$m=65536,t=3,p=4$"), "its hash is not");
    let listed = world.run(PLUGIN, &["keys", "list"], "");
    assert_eq!(listed.out, "ci  valid  tools now,!later, execute, 9 calls/24h\n");
    let again = world.run(PLUGIN, &["keys", "create", "ci"], "");
    assert_eq!(again.exit, 1);
    assert_eq!(
        again.err,
        "error[keys.exists]: there is a key `ci` already\n  = fix: take another name, or run `bailiwick keys revoke ci` first\n"
    );
    assert_eq!(world.run(PLUGIN, &["keys", "revoke", "ci"], "").out, "the key `ci` is revoked\n");
    assert_eq!(world.run(PLUGIN, &["keys", "revoke", "ci"], "").exit, 1);
    let listed = world.run(PLUGIN, &["keys", "list", "--json"], "");
    let listed: Value = serde_json::from_str(&listed.out).expect("it is JSON");
    assert_eq!((&listed["keys"][0]["name"], &listed["keys"][0]["state"]), (&json!("ci"), &json!("revoked")));
}

#[test]
fn a5_a_key_is_written_to_a_new_file_of_its_owner_alone() {
    let world = World::new().file("taken.env", "old");
    let made = world.run(PLUGIN, &["keys", "create", "ci", "--write-env", "ci.env"], "");
    assert_eq!((made.exit, made.out.as_str()), (0, "the key `ci` is in ci.env\n"));
    let text = std::fs::read_to_string(world.path("ci.env")).expect("it is written");
    assert!(text.starts_with("BAILIWICK_API_KEY=bwk_") && text.ends_with('\n') && text.len() == 66, "{text}");
    let mode = std::fs::metadata(world.path("ci.env")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let refused = world.run(PLUGIN, &["keys", "create", "other", "--write-env", "taken.env"], "");
    assert_eq!(refused.exit, 1);
    assert!(refused.err.contains("name a file that is not there: none is written over"), "{}", refused.err);
    assert_eq!(std::fs::read_to_string(world.path("taken.env")).expect("it is there"), "old");
    // What nobody got to know is worth nothing.
    assert!(world.run(PLUGIN, &["keys", "list"], "").out.contains("other  revoked  "));
}

#[test]
fn a3_a_hash_is_made_of_a_key_from_standard_input_or_of_a_new_one() {
    let world = World::new();
    let hash = world.run_bare(&["keys", "hash"], &format!("{KEY}\n"));
    assert!(hash.exit == 0 && hash.out.starts_with("$argon2id$v=19$m=65536,t=3,p=4$"), "{}", hash.out);
    let refused = world.run_bare(&["keys", "hash"], "hunter2");
    assert_eq!(refused.exit, 2);
    assert_eq!(
        refused.err,
        "error[usage.key]: what is on standard input is no key\n  = legal: 2 to 8 small letters, `_`, and 43 characters \
         of base64url\n"
    );
    let new = world.run_bare(&["keys", "hash"], "");
    let lines: Vec<&str> = new.out.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("bwk_") && lines[1].starts_with("$argon2id$"), "{}", new.out);
}

#[test]
fn a46_a_key_can_only_be_made_under_a_policy_that_is_there() {
    let world = World::new();
    let config = format!("{PLUGIN}[policies.readers]\ntools = [\"*\"]\n");
    let refused = world.run(&config, &["keys", "create", "ci", "--policy", "writers"], "");
    assert_eq!(refused.exit, 2);
    assert_eq!(
        refused.err,
        "error[usage.key]: there is no policy `writers` in the configuration\n  = known: `readers`\n"
    );
    assert_eq!(world.run(&config, &["keys", "create", "ci", "--policy", "readers", "--execute"], "").exit, 2);
    assert_eq!(world.run(&config, &["keys", "create", "a b"], "").exit, 2);
    assert_eq!(world.run(&config, &["keys", "create", "ci", "--policy", "readers", "--expires", "30d"], "").exit, 0);
    assert!(world.run(&config, &["keys", "list"], "").out.starts_with("ci  valid  policy readers  until 2"));
}

#[test]
fn t5_api1_without_a_good_key_nobody_gets_in() {
    let served = World::new().serve_http(&keyed("tools = [\"*\"]", "per_ip = 0"));
    let refused = enter(&served, &[]);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    let message = json!({"code": -32000, "message": "Authentication required"});
    assert_eq!(refused.json()["error"], message);
    let of_tools = served.get("/api/v1/tools", &[]);
    assert_eq!(of_tools.told(), (401, json!({"detail": "Authentication required"})));
    assert_eq!(of_tools.header("www-authenticate"), Some("Bearer"));
    let of_auxot = json!({"error": {"message": "Authentication required", "type": "authentication_error"}});
    assert_eq!(served.get("/api/tools/v1/list", &[]).told(), (401, of_auxot));
    let good = bearer(KEY);
    for wrong in ["", "Bearer", "Bearer ", "Basic Zm9vOmJhcg==", KEY, &good.replace("AAEC", "AAED"), &good[..50]] {
        assert_eq!(enter(&served, &[("Authorization", wrong)]).status, 401, "{wrong}");
    }
    assert_eq!(enter(&served, &[("Authorization", &good), ("Authorization", &good)]).status, 401);
    assert_eq!(served.get(&format!("/mcp?access_token={KEY}&key={KEY}"), &[ACCEPT]).status, 401);
    assert_eq!(enter(&served, &[("Authorization", &good)]).status, 200);
    assert_eq!(enter(&served, &[("authorization", &good.replace("Bearer", "bearer"))]).status, 200);
    assert_eq!(served.get("/healthz", &[]).status, 200, "whether it is up is no secret");
}

#[test]
fn a13_a_key_works_as_soon_as_it_is_made_and_not_after_it_is_revoked() {
    let served = World::new().serve_http(&format!("{PLUGIN}[gateway]\nper_ip = 0\n"));
    let beside =
        |arguments: &[&str]| served.world().run_bare(&[&["--config", "bailiwick.toml"], arguments].concat(), "");
    let key = beside(&["keys", "create", "ci", "--tools", "*"]).out.trim_end().to_owned();
    assert_eq!(status(&served, &key), 200);
    assert_eq!(beside(&["keys", "create", "other"]).exit, 0);
    assert_eq!(status(&served, &key), 200);
    assert_eq!(beside(&["keys", "revoke", "ci"]).exit, 0);
    assert_eq!(status(&served, &key), 401);
    let (_, said, _) = served.end();
    assert!(said.contains("nobody can call this server yet: there is no key"), "{said}");
    assert!(!said.contains(&key), "{said}");
}

#[test]
fn t8_api14_an_address_and_a_key_may_ask_so_often_in_a_minute() {
    let served = World::new().serve_http(&keyed("tools = [\"*\"]", "per_ip = 6\nper_key = 3"));
    let good = bearer(KEY);
    let ask = || enter(&served, &[("Authorization", &good), ("X-Forwarded-For", "192.0.2.1")]);
    let left = |answer: &Answer| answer.header("x-ratelimit-remaining").map(str::to_owned);
    for remaining in ["2", "1", "0"] {
        let answer = ask();
        assert_eq!((answer.status, left(&answer).as_deref()), (200, Some(remaining)));
    }
    let refused = ask();
    assert_eq!((refused.status, left(&refused).as_deref()), (429, Some("0")));
    let error = json!({"code": -32000, "message": "Rate limit exceeded", "data": {"code": "limit.rate"}});
    assert_eq!(refused.json()["error"], error);
    let after: u64 = refused.header("retry-after").expect("it says when").parse().expect("in seconds");
    assert!((1..=60).contains(&after), "{after}");
    // The address is asked for before the key.
    assert_eq!([enter(&served, &[]).status, enter(&served, &[]).status, enter(&served, &[]).status], [401, 401, 429]);
    let other = enter(&served, &[("X-Forwarded-For", "198.51.100.7")]);
    assert_eq!((other.status, other.header("x-ratelimit-remaining")), (429, Some("0")), "a header is no address");
    assert_eq!(served.get("/healthz", &[]).status, 200);
}

#[test]
fn api13_behind_a_proxy_that_is_trusted_each_address_counts_for_itself() {
    let served = World::new().serve_http(&keyed("", "per_ip = 1\ntrusted_proxies = [\"127.0.0.0/8\"]"));
    let ask = |from: &str| enter(&served, &[("X-Forwarded-For", from)]).status;
    assert_eq!([ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.2")], [401, 429, 401]);
    assert_eq!([ask("10.1.1.1, 192.0.2.3"), ask("10.1.1.2, 192.0.2.3")], [401, 429]);
    assert_eq!([ask("2001:db8::1"), ask("2001:db8::2"), ask("2001:db8:0:1::1")], [401, 429, 401]);
}

#[test]
fn a_policy_that_changes_changes_what_its_keys_may_do() {
    let served = World::new().serve_http(&keyed("tools = [\"*\"]\nper_minute = 1", "per_ip = 0"));
    assert_eq!([status(&served, KEY), status(&served, KEY)], [200, 429]);
    let file = served.world().path("bailiwick.toml");
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, text.replace("per_minute = 1", "per_minute = 0")).expect("it can be written");
    served.signal(libc::SIGHUP);
    wait_until(|| status(&served, KEY) == 200);
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, text.replace("[keys.ci]", "[keys.ci]\n#").replace("hash =", "#")).expect("it can be written");
    served.signal(libc::SIGHUP);
    // A configuration with a mistake changes nothing.
    assert_eq!(status(&served, KEY), 200);
    let gone = text.split("[keys.ci]").next().expect("it begins").to_owned() + "[gateway]\nper_ip = 0\n[host]\n";
    let host = text.split("[host]\n").nth(1).expect("it ends with it");
    std::fs::write(&file, gone + host).expect("it can be written");
    served.signal(libc::SIGHUP);
    wait_until(|| status(&served, KEY) == 401);
}

fn wait_until(is_so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed().as_secs() < 20, "it does not come to be");
    }
}

/// A host whose caller has these rights.
async fn under(world: World, may: May, budget: Budget) -> TestHost {
    let text = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    let policy = Policy { name: "p".to_owned(), tools: Selector::all(), may, budget, ..Policy::default() };
    world.start(text).await.called_by(Caller::under("key:ci", &policy))
}

const EXECUTE: May = May { execute: true, approve: false, manage: false };

#[tokio::test]
async fn who_may_not_execute_runs_nothing() {
    let everything_else = May { execute: false, approve: true, manage: true };
    let host = under(World::new(), everything_else, Budget::default()).await;
    let denied = "denied.execute: `key:ci` may not run tools; set `execute = true` under `[policies.p]`";
    assert_eq!(host.told("echo", json!({"name": "x"})).await, denied);
    assert_eq!(host.told("nonexistent", json!({})).await, denied, "nor learns what there is");
    let host = under(World::new(), EXECUTE, Budget::default()).await;
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "ok");
}

#[tokio::test]
async fn a_budget_is_kept_and_outlives_the_host() {
    let budget = Budget { calls: Some(2), ..Budget::default() };
    let host = under(World::new(), EXECUTE, budget).await;
    assert_eq!(host.call("nonexistent", json!({})).await.code(), "tool.unknown", "what is denied costs nothing");
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "ok");
    let host = under(host.end(), EXECUTE, budget).await;
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "ok");
    let told = host.told("echo", json!({"name": "x"})).await;
    let expected = "limit.budget: `key:ci` has used up its budget of 2 calls in each 24h; try again in ";
    assert!(told.starts_with(expected) && told.ends_with(" s, or raise `calls` under `[policies.p]`"), "{told}");
    let host = under(host.end(), EXECUTE, Budget { calls: Some(3), ..budget }).await;
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "ok", "a larger budget has more left");
}

#[tokio::test]
async fn results_and_time_are_paid_for_too() {
    let host = under(World::new(), EXECUTE, Budget { bytes: Some(1), ..Budget::default() }).await;
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "ok");
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "limit.budget");
    let time = Some(std::time::Duration::from_micros(1));
    let host = under(World::new(), EXECUTE, Budget { time, ..Budget::default() }).await;
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "ok");
    assert_eq!(host.call("echo", json!({"name": "x"})).await.code(), "limit.budget");
}

/// A server that has the keys of an authorization server, and whatever was asked of it.
fn signing_keys() -> (u16, Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = listener.local_addr().expect("it listens").port();
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = [0; 4_096];
            let n_read = stream.read(&mut head).expect("a request");
            heard.lock().expect("nobody panics").push(String::from_utf8_lossy(&head[..n_read]).into_owned());
            let body = json!({ "keys": tokens()["keys"] }).to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).expect("it listens");
        }
    });
    (port, asked)
}

/// Tokens that PyJWT made, and the keys to check them with.
fn tokens() -> Value {
    serde_json::from_str(include_str!("../host/bailiwick/src/keys/tokens.json")).expect("it is JSON")
}

#[test]
fn a_token_of_the_issuer_lets_in_and_is_sent_nowhere() {
    let (port, asked) = signing_keys();
    let oauth = format!(
        "[gateway.oauth]\nissuer = \"https://auth.example\"\naudience = \"https://tools.example/mcp\"\n\
         jwks = \"http://127.0.0.1:{port}/keys\"\nscopes = [\"tools\"]\npolicy = \"p\""
    );
    // The program is confined: the keys' port is within its wall.
    let served = World::new().serve_http(&keyed("tools = [\"*\"]", &format!("per_ip = 0\n{oauth}")));
    let metadata = "https://tools.example/.well-known/oauth-protected-resource/mcp";
    let challenged = enter(&served, &[]);
    let expected = format!("Bearer resource_metadata=\"{metadata}\"");
    assert_eq!((challenged.status, challenged.header("www-authenticate")), (401, Some(expected.as_str())));
    let of_itself = json!({
        "resource": "https://tools.example/mcp", "authorization_servers": ["https://auth.example"],
        "scopes_supported": ["tools"], "bearer_methods_supported": ["header"], "resource_name": "Bailiwick",
    });
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        assert_eq!(served.get(path, &[]).told(), (200, of_itself.clone()));
    }
    let token = |name: &str| tokens()["tokens"][name].as_str().expect("it is there").to_owned();
    for name in ["rs256", "ps256", "es256", "es384", "eddsa"] {
        assert_eq!(status(&served, &token(name)), 200, "{name}");
    }
    for name in ["!audience", "!expired", "!none", "!hs256_with_the_public_key", "!issuer", "rotated"] {
        assert_eq!(status(&served, &token(name)), 401, "{name}");
    }
    let narrow = enter(&served, &[("Authorization", &bearer(&token("!scope")))]);
    let expected = format!("Bearer resource_metadata=\"{metadata}\", error=\"insufficient_scope\", scope=\"tools\"");
    assert_eq!((narrow.status, narrow.header("www-authenticate")), (403, Some(expected.as_str())));
    assert_eq!(status(&served, KEY), 200, "keys go on to let in");
    let asked = asked.lock().expect("nobody panics").join("\n");
    assert_eq!(asked.matches("GET /keys").count(), 1, "{asked}");
    assert!(!asked.contains("eyJ"), "a token was passed on: {asked}");
}
