//! Logging in at a service (C15): once it refuses, once for all calls, and with nothing of it in sight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{echo, echoing, shop};
use crate::support::host::World;
use crate::support::upstream::Received;
use crate::support::{Reply, Upstream, told};

const PASSWORD: &str = "pass\"word & more";

/// A shop that lets in who has the token of the last login.
async fn guarded(logins: &Arc<AtomicUsize>, by_cookie: bool) -> Upstream {
    let logins = Arc::clone(logins);
    Upstream::new(move |request: &Received| {
        let number = logins.load(Ordering::Relaxed);
        let token = format!("token-number-{number}");
        match request.target.as_str() {
            "/openapi.json" => echoing(shop())(request),
            "/login" if String::from_utf8_lossy(&request.body).contains("bot") => {
                let token = format!("token-number-{}", logins.fetch_add(1, Ordering::Relaxed) + 1);
                let answer = Reply::ok(json!({"data": {"token": token}}).to_string());
                answer.header("set-cookie", format!("session={token}; Path=/; HttpOnly"))
            }
            "/login" => Reply::status(403, "no"),
            _ => {
                let (name, wanted) = match by_cookie {
                    true => ("cookie", format!("session={token}")),
                    false => ("authorization", format!("Bearer {token}")),
                };
                if request.header(name) == Some(&wanted) { echo(request) } else { Reply::status(401, "log in") }
            }
        }
    })
    .await
}

fn text(port: u16, login: &str) -> String {
    format!(
        "[plugins.shop]\nnet = [\"GET,POST http://127.0.0.1:{port}\"]\nopenapi.url = \"http://127.0.0.1:{port}\"\n\
         [plugins.shop.openapi.login]\nurl = \"http://127.0.0.1:{port}/login\"\n{login}\n\
         [plugins.shop.secrets.password]\nfile = \"./password\"\n"
    )
}

#[tokio::test]
async fn c15_the_host_logs_in_once_it_is_refused_and_asks_once_more() {
    for (by_cookie, login) in [
        (false, "body = '{\"user\": \"bot\", \"password\": \"{{password}}\"}'\njson = \"$.data.token\""),
        (true, "body = 'user=bot&password={{password}}'\ncookie = \"session\""),
    ] {
        let logins = Arc::new(AtomicUsize::new(0));
        let upstream = guarded(&logins, by_cookie).await;
        let world = World::new().secret("password", PASSWORD);
        let host = world.start(&text(upstream.port, login)).await;
        let first = told(&host.call("called", json!({})).await);
        assert!(first.contains("/named"), "{first}");
        assert!(!first.contains("token-number"), "what is reflected is masked: {first}");
        for _ in 0..3 {
            assert!(told(&host.call("called", json!({})).await).contains("/named"));
        }
        assert_eq!(logins.load(Ordering::Relaxed), 1, "once for all calls");
        let seen = upstream.requests();
        let login = seen.iter().find(|request| request.target == "/login").unwrap();
        let body = String::from_utf8_lossy(&login.body).into_owned();
        if by_cookie {
            assert_eq!(body, "user=bot&password=pass%22word%20%26%20more");
        } else {
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body, json!({"user": "bot", "password": PASSWORD}));
        }
        // Somebody else has logged in there: ours is good for nothing any more.
        logins.fetch_add(1, Ordering::Relaxed);
        assert!(told(&host.call("called", json!({})).await).contains("/named"));
        assert_eq!(logins.load(Ordering::Relaxed), 3);
        let audit = serde_json::to_string(&host.audit()).unwrap();
        assert!(!audit.contains("token-number") && !audit.contains("word & more"), "{audit}");
    }
}

#[tokio::test]
async fn c15_a_login_that_fails_is_told_and_a_call_is_repeated_once_only() {
    let logins = Arc::new(AtomicUsize::new(0));
    let upstream = guarded(&logins, false).await;
    let world = World::new().secret("password", PASSWORD);
    let host = world.start(&text(upstream.port, "body = 'user=other&p={{password}}'\njson = \"$.data.token\"")).await;
    let failure = host.call("called", json!({})).await.result.unwrap_err();
    assert_eq!(failure.code.as_str(), "upstream.auth");
    assert!(failure.message.contains("the login at") && failure.message.contains("403"), "{failure}");
    let asked = upstream.requests().iter().filter(|request| request.target == "/named").count();
    assert_eq!(asked, 1);
    let world = World::new().secret("password", PASSWORD);
    let wrong = text(upstream.port, "body = 'user=bot&p={{password}}'\njson = \"$.data.other\"");
    let failure = world.start(&wrong).await.call("called", json!({})).await.result.unwrap_err();
    assert!(failure.message.contains("gave nothing at"), "{failure}");
}

#[tokio::test]
async fn credentials_of_a_client_are_had_from_a_token_endpoint() {
    // OAuth 2 client credentials (RFC 6749, section 4.4) are a login like any other.
    let upstream = Upstream::new(|request: &Received| match request.target.as_str() {
        "/openapi.json" => echoing(shop())(request),
        "/token" => match String::from_utf8_lossy(&request.body).as_ref() {
            "grant_type=client_credentials&client_id=me&client_secret=hush%2Dhush" => {
                Reply::ok("{\"access_token\": \"of-the-client\", \"token_type\": \"Bearer\"}")
            }
            _ => Reply::status(400, ""),
        },
        _ if request.header("authorization") == Some("Bearer of-the-client") => echo(request),
        _ => Reply::status(401, ""),
    })
    .await;
    let port = upstream.port;
    let text = text(
        port,
        "body = 'grant_type=client_credentials&client_id=me&client_secret={{password}}'\njson = \"$.access_token\"",
    );
    let text = text.replace("/login", "/token");
    let host = World::new().secret("password", "hush-hush").start(&text).await;
    assert_eq!(host.value("called", json!({})).await["target"], "/named");
}
