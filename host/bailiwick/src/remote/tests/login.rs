//! How the host proves who asks: the whole way round, and whoever would lead it astray.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use url::Url;

use bailiwick_core::name::PluginName;
use bailiwick_core::outcome::{Code, Failure};

use super::super::{Invitation, LoggedIn, logout};
use super::support::{
    Served, Shared, World, authority, authorization_server, browse, get, guarded_server, json as json_reply,
    modern_reply, plugin, reply, serve, site, with, world,
};
use super::{check, connected, refused, said};
use crate::ambient;

/// Logs in; whoever is shown the page does `browser` with it.
async fn log_in(world: &World, patience: Duration, browser: impl FnOnce(&Invitation)) -> Result<LoggedIn, Failure> {
    let listener = ambient::listen_on_loopback().await.unwrap();
    let login = world.site.login(listener, browser, patience);
    tokio::time::timeout(Duration::from_secs(30), login).await.unwrap()
}

/// Somebody who agrees.
async fn agree(world: &World) -> Result<LoggedIn, Failure> {
    let mut page: Option<JoinHandle<String>> = None;
    let logged_in = log_in(world, Duration::from_secs(20), |invitation| {
        page = Some(tokio::spawn(browse(invitation.page.to_string())));
    });
    let logged_in = logged_in.await;
    if let (Some(page), true) = (page, logged_in.is_ok()) {
        assert_eq!(page.await.unwrap(), "200 Bailiwick has its answer. You can close this page.");
    }
    logged_in
}

/// A server that wants to be shown tokens, and who gives them.
struct Guarded {
    authority: Shared,
    authorization: Served,
    server: Served,
    text: String,
}

async fn guarded(keys: &str) -> Guarded {
    let authority = authority();
    let authorization = authorization_server(&authority).await;
    let server = guarded_server(&authority, &authorization.url()).await;
    let net = [format!("GET {}/.well-known/**", server.url()), format!("GET,POST {}", authorization.url())];
    let net: Vec<&str> = net.iter().map(String::as_str).collect();
    let text = plugin(&server, &format!(", {keys}"), &net);
    Guarded { authority, authorization, server, text }
}

#[tokio::test]
async fn a_login_is_used_renewed_and_in_the_end_asked_for_again() {
    let Guarded { authority, authorization, server, text } = guarded("auth = \"oauth\"").await;
    let world = world(&text, &[]);
    let failure = refused(&world).await;
    check(&failure, Code::UpstreamAuth, &["wants to know who asks for `tracker`", "run `bailiwick login tracker`"]);
    let logged_in = agree(&world).await.unwrap();
    assert_eq!((logged_in.scopes, logged_in.renews), (vec!["read".to_owned()], true));
    let client = connected(&world).await;
    // The server repeats what it was shown; nobody else sees it.
    let text_of_tool = said(&client, &world.site).await.unwrap();
    assert!(text_of_tool.starts_with("asked by ") && !text_of_tool.contains("canary"), "{text_of_tool}");
    assert_eq!(server.heard().last().unwrap().header("authorization"), Some("Bearer access-token-canary-1"));
    // Revoked: renewed once, and the call goes on.
    authority.lock().unwrap().access = None;
    said(&client, &world.site).await.unwrap();
    assert_eq!(server.heard().last().unwrap().header("authorization"), Some("Bearer access-token-canary-2"));
    // Another process that starts now has it too, without asking anybody.
    let asked = authorization.heard().len();
    let other = site(&text, &[], &world.store);
    drop(other.connect((), super::either_era()).await.unwrap());
    assert_eq!(authorization.heard().len(), asked);
    // Revoked for good: said once by the authorization server, and from then on nobody asks it.
    (authority.lock().unwrap().access, authority.lock().unwrap().refresh) = (None, None);
    for _ in 0..3 {
        let failure = said(&client, &world.site).await.unwrap_err();
        check(&failure, Code::UpstreamAuth, &["run `bailiwick login tracker`"]);
        assert!(!failure.to_string().contains("canary"), "{failure}");
    }
    let refreshes =
        authorization.heard().iter().filter(|heard| heard.body.contains("grant_type=refresh_token")).count();
    assert_eq!(refreshes, 2);
    // And a new login is used by whoever runs.
    agree(&world).await.unwrap();
    said(&client, &world.site).await.unwrap();
    assert!(authorization.heard().iter().all(|heard| heard.header("authorization").is_none()), "a token went astray");
    assert!(
        authorization
            .heard()
            .iter()
            .filter(|heard| heard.path == "/token")
            .all(|heard| { heard.fields().get("resource") == Some(&format!("{}/mcp", server.url())) })
    );
    assert!(!format!("{:?}", world.site).contains("canary"));
}

#[tokio::test]
async fn a_login_is_forgotten_by_logging_out() {
    let Guarded { text, .. } = &guarded("auth = \"oauth\"").await;
    let world = world(text, &[]);
    let tracker = PluginName::parse("tracker").unwrap();
    assert_eq!(logout(&world.store, &tracker).unwrap(), 0);
    agree(&world).await.unwrap();
    assert_eq!(logout(&world.store, &tracker).unwrap(), 1);
    check(&refused(&world).await, Code::UpstreamAuth, &["bailiwick login tracker"]);
}

#[tokio::test]
async fn many_that_need_a_new_token_ask_for_one() {
    let Guarded { authority, authorization, text, .. } = &guarded("auth = \"oauth\"").await;
    let world = world(text, &[]);
    agree(&world).await.unwrap();
    let client = connected(&world).await;
    authority.lock().unwrap().access = None;
    let calls = (0..10).map(|_| said(&client, &world.site));
    for said in futures::future::join_all(calls).await {
        said.unwrap();
    }
    assert_eq!(authorization.heard().iter().filter(|heard| heard.body.contains("grant_type=refresh_token")).count(), 1);
}

#[tokio::test]
async fn a_token_that_is_about_to_expire_is_renewed_before_it_is_sent() {
    let Guarded { authority, server, text, .. } = &guarded("auth = \"oauth\"").await;
    let world = world(text, &[]);
    authority.lock().unwrap().lasts = 1;
    agree(&world).await.unwrap();
    authority.lock().unwrap().lasts = 3_600;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let before = server.heard().len();
    let client = connected(&world).await;
    said(&client, &world.site).await.unwrap();
    let later = server.heard().split_off(before);
    let messages = later.iter().filter(|heard| heard.method == "POST");
    assert!(messages.clone().count() >= 2);
    for heard in messages {
        assert_eq!(heard.header("authorization"), Some("Bearer access-token-canary-2"));
    }
}

#[tokio::test]
async fn credentials_of_its_own_need_no_person() {
    let keys = "auth = \"client-credentials\", client_id = \"bot\", client_secret = \"CLIENT\"";
    let Guarded { authority, authorization, server, text } = &guarded(keys).await;
    authority.lock().unwrap().secret = Some("the-client-canary".to_owned());
    let secret = |value: &str| format!("[plugins.tracker.secrets.CLIENT]\ncommand = [\"printf\", \"{value}\"]\n");
    let world = world(&format!("{text}{}", secret("the-client-canary")), &[]);
    let client = connected(&world).await;
    let text_of_tool = said(&client, &world.site).await.unwrap();
    assert!(!text_of_tool.contains("canary"), "{text_of_tool}");
    authority.lock().unwrap().access = None;
    said(&client, &world.site).await.unwrap();
    assert_eq!(authorization.count("/token"), 2);
    assert!(server.heard().iter().all(|heard| !heard.body.contains("the-client-canary")));
    let failure = log_in(&world, Duration::from_secs(1), |_| panic!("nobody is asked")).await.unwrap_err();
    check(&failure, Code::ArgumentsInvalid, &["credentials of its own"]);
    let wrong = super::support::world(&format!("{text}{}", secret("another-canary")), &[]);
    let failure = refused(&wrong).await;
    check(&failure, Code::UpstreamAuth, &["no token for `tracker`"]);
    assert!(!failure.to_string().contains("canary"), "{failure}");
}

#[tokio::test]
async fn an_authorization_server_is_reached_only_by_grant() {
    let Guarded { authorization, server, .. } = &guarded("auth = \"oauth\"").await;
    let world = |net: &[&str]| world(&plugin(server, ", auth = \"oauth\"", net), &[]);
    let (known, origin) = (format!("GET {}/.well-known/**", server.url()), authorization.url());
    let failure = agree(&world(&[])).await.unwrap_err();
    let line = format!("add `net = [\"GET {}/.well-known/oauth-protected-resource\"]`", server.url());
    check(&failure, Code::DeniedNetPath, &[&line]);
    let failure = agree(&world(&[&known])).await.unwrap_err();
    let line = format!("add `net = [\"GET {origin}/.well-known/oauth-authorization-server\"]`");
    check(&failure, Code::DeniedNetPort, &[&line]);
    assert!(authorization.heard().is_empty());
    // The last of what is refused is told too, though rmcp says only that it failed.
    let some = [known.as_str(), &format!("GET,POST {origin}/.well-known/**"), &format!("POST {origin}/register")];
    let failure = agree(&world(&some)).await.unwrap_err();
    check(&failure, Code::DeniedNetPath, &[&format!("add `net = [\"POST {origin}/token\"]`")]);
}

/// A server whose challenge and metadata lead wherever it likes.
async fn misleading(challenge: String, servers: Vec<String>) -> Served {
    serve(move |port| {
        move |heard: &super::Heard| {
            if heard.path.starts_with("/.well-known/oauth-protected-resource") {
                let resource = format!("http://127.0.0.1:{port}/mcp");
                return json_reply(200, &json!({"resource": resource, "authorization_servers": servers}));
            }
            with(reply(401, "text/plain", ""), "www-authenticate", &challenge)
        }
    })
    .await
}

#[tokio::test]
async fn nobody_is_led_to_private_addresses() {
    for place in ["http://169.254.169.254/latest", "http://10.0.0.9/x", "https://metadata.google.internal/x"] {
        let challenge = format!("Bearer resource_metadata=\"{place}\"");
        let server = misleading(challenge, vec![place.to_owned()]).await;
        let known = format!("GET {}/.well-known/**", server.url());
        let world = world(&plugin(&server, ", auth = \"oauth\"", &[&known]), &[]);
        let failure = log_in(&world, Duration::from_secs(1), |_| panic!("nobody is asked")).await.unwrap_err();
        assert!(matches!(failure.code, Code::UpstreamAuth | Code::DeniedNetHost | Code::DeniedNetAddress), "{failure}");
    }
    // Nor by a name that is granted and leads there.
    for address in ["169.254.169.254", "10.0.0.9", "127.0.0.1"] {
        let server = misleading("Bearer".to_owned(), vec!["https://auth.example.com".to_owned()]).await;
        let known = format!("GET {}/.well-known/**", server.url());
        let text = plugin(&server, ", auth = \"oauth\"", &[&known, "* https://auth.example.com"]);
        let world = world(&text, &[("auth.example.com", address)]);
        let failure = log_in(&world, Duration::from_secs(1), |_| panic!("nobody is asked")).await.unwrap_err();
        check(&failure, Code::DeniedNetAddress, &[address]);
    }
}

#[tokio::test]
async fn an_authorization_server_that_cannot_be_trusted_is_not_used() {
    for (metadata, part) in [
        (json!({"code_challenge_methods_supported": null}), "does not say that it takes PKCE"),
        (json!({"code_challenge_methods_supported": ["plain"]}), "does not say that it takes PKCE"),
        (json!({"issuer": "https://other.example.com"}), "issuer mismatch"),
        (json!({"token_endpoint": "http://auth.example.com/token"}), "`token_endpoint` is not reached over https"),
        (
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            "`authorization_endpoint` is not reached over https",
        ),
        (json!({"registration_endpoint": null}), "does not let clients register themselves"),
    ] {
        let Guarded { authority, text, .. } = &guarded("auth = \"oauth\"").await;
        authority.lock().unwrap().metadata = metadata.clone();
        let world = world(text, &[]);
        let failure =
            log_in(&world, Duration::from_secs(1), |_| panic!("nobody is asked: {metadata}")).await.unwrap_err();
        check(&failure, Code::UpstreamAuth, &[part]);
    }
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_no_answer() {
    let Guarded { authority, authorization, text, .. } = &guarded("auth = \"oauth\"").await;
    let world = world(text, &[]);
    authority.lock().unwrap().issuer_in_answer = Some("https://evil.example.com".to_owned());
    check(&agree(&world).await.unwrap_err(), Code::UpstreamAuth, &["issuer mismatch"]);
    assert_eq!(authorization.count("/token"), 0, "the code was shown to nobody");
    authority.lock().unwrap().issuer_in_answer = Some(authorization.url());
    agree(&world).await.unwrap();
}

#[tokio::test]
async fn only_the_answer_to_this_question_is_taken() {
    let Guarded { text, .. } = &guarded("auth = \"oauth\"").await;
    let world = world(text, &[]);
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&seen);
    let logged_in = log_in(&world, Duration::from_secs(20), move |invitation| {
        let page = invitation.page.clone();
        tokio::spawn(async move {
            let back = page.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
            let state = page.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
            let status = async |url: String, host: Option<&str>| {
                let (head, _) = get(&Url::parse(&url).unwrap(), host).await;
                let status = head.split_whitespace().nth(1).unwrap().to_owned();
                told.lock().unwrap().push(status);
            };
            status(format!("{back}?code=evil&state=guessed"), None).await;
            status(format!("{back}?code=evil"), None).await;
            status(format!("{back}?state={state}"), None).await;
            status(back.replace("/callback", "/other"), None).await;
            status(format!("{back}?code=evil&state={state}"), Some("evil.example.com")).await;
            browse(page.to_string()).await;
        });
    });
    logged_in.await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["400", "400", "400", "404", "421"]);
}

#[tokio::test]
async fn a_no_is_told_and_so_is_nobody() {
    let Guarded { text, .. } = &guarded("auth = \"oauth\"").await;
    let world = world(text, &[]);
    let refused = log_in(&world, Duration::from_secs(20), |invitation| {
        let value = |name: &str| invitation.page.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        let url = format!(
            "{}?error=access_denied&error_description=not%1b%5Btoday&state={}",
            value("redirect_uri"),
            value("state")
        );
        tokio::spawn(browse(url));
    });
    let failure = refused.await.unwrap_err();
    check(&failure, Code::UpstreamAuth, &["says no: access_denied (not"]);
    assert!(!failure.to_string().contains('\u{1b}'));
    let failure = log_in(&world, Duration::from_millis(300), |_| {}).await.unwrap_err();
    check(&failure, Code::UpstreamAuth, &["nobody agreed", "run `bailiwick login tracker`"]);
}

#[tokio::test]
async fn a_client_that_is_known_there_is_not_registered_again() {
    let keys = "auth = \"oauth\", client_id = \"known\", client_secret = \"CLIENT\", scopes = [\"a\", \"b\"]";
    let Guarded { authorization, text, .. } = &guarded(keys).await;
    let secret = "[plugins.tracker.secrets.CLIENT]\ncommand = [\"printf\", \"the-client-canary\"]\n";
    let world = world(&format!("{text}{secret}"), &[]);
    let mut asked = Vec::new();
    let logged_in = log_in(&world, Duration::from_secs(20), |invitation| {
        asked.clone_from(&invitation.scopes);
        assert!(invitation.page.query().unwrap().contains("client_id=known"));
        tokio::spawn(browse(invitation.page.to_string()));
    });
    logged_in.await.unwrap();
    assert_eq!((asked, authorization.count("/register")), (vec!["a".to_owned(), "b".to_owned()], 0));
}

#[tokio::test]
async fn a_document_says_what_the_host_is_where_such_are_read() {
    let keys = "auth = \"oauth\", client_metadata_url = \"https://app.example.com/client.json\"";
    let Guarded { authority, authorization, text, .. } = &guarded(keys).await;
    for (reads, registrations) in [(false, 1), (true, 1)] {
        authority.lock().unwrap().metadata = json!({"client_id_metadata_document_supported": reads});
        agree(&world(text, &[])).await.unwrap();
        assert_eq!(authorization.count("/register"), registrations, "{reads}");
    }
    let last = authorization.heard().into_iter().rfind(|heard| heard.path.starts_with("/authorize")).unwrap();
    assert_eq!(last.fields()["client_id"], "https://app.example.com/client.json");
}

#[tokio::test]
async fn a_server_that_wants_nothing_is_shown_nothing_it_was_not_promised() {
    let server = serve(|_| modern_reply).await;
    let world = world(&plugin(&server, "", &[]), &[]);
    let failure = log_in(&world, Duration::from_secs(1), |_| panic!("nobody is asked")).await.unwrap_err();
    check(&failure, Code::ArgumentsInvalid, &["no `auth = \"oauth\"`"]);
    assert!(server.heard().is_empty());
}
