//! Tokens that PyJWT 2 made with keys nobody has any more, and a server that has the public ones.

use std::sync::atomic::{AtomicUsize, Ordering};

use bailiwick_core::call::{May, Policy, Selector};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::ambient;
use crate::resolver::Resolver;

/// An authorization server: documents by path, and how often it was asked.
struct Server {
    origin: String,
    documents: Arc<Mutex<Value>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        let listener = ambient::listen_on_loopback().await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let documents = Arc::new(Mutex::new(json!({ "/keys": { "keys": given()["keys"] } })));
        let asked = Arc::new(AtomicUsize::new(0));
        let (shown, counted) = (Arc::clone(&documents), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = vec![0; 4_096];
                let n_read = stream.read(&mut head).await.unwrap();
                let path = String::from_utf8_lossy(&head[..n_read]).split(' ').nth(1).unwrap().to_owned();
                counted.fetch_add(1, Ordering::SeqCst);
                let body = held(&shown)[&path].clone();
                let status = if body.is_null() { "404 Not Found" } else { "200 OK" };
                let body = body.to_string();
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { origin, documents, asked }
    }

    fn set(&self, path: &str, document: Value) {
        held(&self.documents)[path] = document;
    }

    fn authority(&self) -> Authority {
        let settings = settings(Some(&format!("{}/keys", self.origin)));
        let egress = Arc::new(Egress::new(Resolver::System, &[]).unwrap());
        Authority { floor: Duration::ZERO, ..Authority::new(settings, egress) }
    }
}

fn settings(jwks: Option<&str>) -> OauthSettings {
    let may = May { execute: true, ..May::default() };
    OauthSettings {
        issuer: Url::parse("https://auth.example").unwrap(),
        audience: "https://tools.example/mcp".to_owned(),
        jwks: jwks.map(|url| Url::parse(url).unwrap()),
        scopes: vec!["tools".to_owned()],
        policy: Arc::new(Policy { name: "people".to_owned(), tools: Selector::all(), may, ..Policy::default() }),
    }
}

fn given() -> Value {
    serde_json::from_str(include_str!("tokens.json")).unwrap()
}

fn token(name: &str) -> String {
    given()["tokens"][name].as_str().unwrap_or_else(|| panic!("no token {name}")).to_owned()
}

async fn told(authority: &Authority, token: &str) -> String {
    let mut tag = Tag::default();
    for (at, byte) in token.bytes().enumerate() {
        tag[at % 32] = tag[at % 32].rotate_left(3) ^ byte;
    }
    match authority.identify(token, tag).await {
        Ok(identity) => identity.caller.name.clone(),
        Err(refused) => format!("{refused:?}"),
    }
}

#[tokio::test]
async fn tokens_of_the_issuer_made_out_to_this_server_let_in_and_all_others_do_not() {
    let server = Server::start().await;
    let authority = server.authority();
    for (name, token) in given()["tokens"].as_object().unwrap() {
        let expected = match name.as_str() {
            "!scope" => "Scope(\"tools\")",
            "rotated" => "Invalid",
            name if name.starts_with('!') => "Invalid",
            _ => "oauth:alice",
        };
        assert_eq!(told(&authority, token.as_str().unwrap()).await, expected, "{name}");
    }
    for no_token in ["", "a.b.c", "..", "eyJhbGciOiJFUzI1NiJ9", &"a".repeat(MAX_TOKEN + 1)] {
        assert_eq!(told(&authority, no_token).await, "Invalid");
    }
}

#[tokio::test]
async fn keys_are_asked_for_once_and_again_when_one_is_not_known() {
    let server = Server::start().await;
    let mut authority = server.authority();
    authority.floor = FLOOR;
    assert_eq!(told(&authority, &token("es256")).await, "oauth:alice");
    assert_eq!(told(&authority, &token("rs256")).await, "oauth:alice");
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    // The keys are rotated. Whoever makes up key ids does not make us ask all the time.
    let rotated = given()["rotated"].clone();
    server.set("/keys", json!({ "keys": rotated }));
    assert_eq!(told(&authority, &token("rotated")).await, "Invalid");
    assert_eq!(told(&authority, &token("rotated")).await, "Invalid");
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    authority.floor = Duration::ZERO;
    assert_eq!(told(&authority, &token("rotated")).await, "oauth:alice");
    assert_eq!(server.asked.load(Ordering::SeqCst), 2);
    // A key that is withdrawn checks nothing any more.
    assert_eq!(told(&authority, &token("ps256")).await, "Invalid");
}

#[tokio::test]
async fn without_keys_nobody_is_let_in_and_the_old_ones_go_on() {
    let server = Server::start().await;
    let authority = server.authority();
    server.set("/keys", Value::Null);
    assert_eq!(told(&authority, &token("es256")).await, "Unavailable");
    server.set("/keys", json!({ "keys": given()["keys"] }));
    assert_eq!(told(&authority, &token("es256")).await, "oauth:alice");
    server.set("/keys", json!({ "keys": [{"kty": "RSA", "n": "x".repeat(MAX_ANSWER)}] }));
    assert_eq!(told(&authority, &token("rotated")).await, "Invalid");
    assert_eq!(told(&authority, &token("rs256")).await, "oauth:alice");
}

#[tokio::test]
async fn keys_are_where_the_issuer_itself_says_and_nowhere_else() {
    let server = Server::start().await;
    let egress = Arc::new(Egress::new(Resolver::System, &[]).unwrap());
    let authority = || {
        let mut settings = settings(None);
        settings.issuer = Url::parse(&server.origin).unwrap();
        Authority::new(settings, Arc::clone(&egress))
    };
    let metadata = |issuer: &str, keys: String| json!({"issuer": issuer, "jwks_uri": keys});
    let own = format!("{}/keys", server.origin);
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        server.set(path, metadata(&server.origin, own.clone()));
        assert_eq!(authority().ask().await.map(|keys| keys.len()), Ok(4), "{path}");
        server.set(path, metadata("https://evil.example", own.clone()));
        assert_eq!(
            authority().ask().await.map(|keys| keys.len()),
            Err(format!("{}{path} is another issuer's", server.origin))
        );
        server.set(path, metadata(&server.origin, "http://127.0.0.1:1/keys".to_owned()));
        let refused =
            "its keys are on another server; name it: `jwks = \"http://127.0.0.1:1/keys\"` under `[gateway.oauth]`";
        assert_eq!(authority().ask().await.map(|keys| keys.len()), Err(refused.to_owned()));
        server.set(path, Value::Null);
    }
    assert!(authority().ask().await.is_err());
}

#[tokio::test]
async fn what_goes_on_under_a_token_ends_with_it() {
    let server = Server::start().await;
    let authority = server.authority();
    let identity = authority.identify(&token("es256"), Tag::default()).await.unwrap();
    let again = authority.identify(&token("es256"), Tag::default()).await.unwrap();
    authority.expire();
    assert!(!identity.revoked.is_cancelled());
    held(&authority.seen).retain(|_| false);
    assert!(identity.revoked.is_cancelled() && again.revoked.is_cancelled());
    let other = authority.identify(&token("es256"), Tag::default()).await.unwrap();
    drop(authority);
    assert!(other.revoked.is_cancelled(), "another configuration knows nothing of it");
}
