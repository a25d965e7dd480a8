//! Logging in at a registered service (C15): said on the command line, done once, kept over restarts, seen nowhere.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const PASSWORD: &str = "canary \"of\" a & password";
const VARIABLES: &[(&str, &str)] = &[("SHOP_USER", "canary-of-a-user"), ("SHOP_PASSWORD", PASSWORD)];
const CALL: [&str; 9] = ["call", "echo", "-a", "id=7", "-a", "units=si", "--no-input", "--log", "trace"];

/// A service that lets in who has what the last login gave.
struct Guarded {
    service: Upstream,
    logins: Arc<AtomicUsize>,
}

impl Guarded {
    async fn new() -> Self {
        let logins = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&logins);
        let service = Upstream::new(move |received: &Received| match received.target.as_str() {
            "/openapi.json" => answer(received),
            "/login" => {
                let body = String::from_utf8_lossy(&received.body).into_owned();
                if !(body.contains("user") && body.contains("password")) {
                    return Reply::status(403, "no");
                }
                let token = format!("canary-of-a-session-{}", counted.fetch_add(1, Ordering::SeqCst) + 1);
                let reply = Reply::ok(json!({"data": {"token": token}}).to_string());
                reply.header("set-cookie", format!("session={token}; Path=/; HttpOnly"))
            }
            _ => {
                let token = format!("canary-of-a-session-{}", counted.load(Ordering::SeqCst));
                let cookie = received.header("cookie") == Some(format!("session={token}").as_str());
                let header = received.header("x-session") == Some(format!("Token {token}").as_str());
                if cookie || header { answer(received) } else { Reply::status(401, "log in") }
            }
        })
        .await;
        Self { service, logins }
    }

    fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    /// What registers it with a login, by cookie or by JSON.
    async fn registered(&self, desk: &Desk, by_cookie: bool) {
        let (url, at) = (self.service.url(""), self.service.url("/login"));
        let mut arguments = vec!["tools", "add", "echo", "--url", &url, "--auth-login-url", &at];
        arguments.extend(match by_cookie {
            true => {
                ["--auth-login-body", "user=${SHOP_USER}&password=${SHOP_PASSWORD}", "--auth-extract-cookie", "session"]
            }
            false => [
                "--auth-login-body",
                "{\"user\":\"${SHOP_USER}\",\"password\":\"${SHOP_PASSWORD}\"}",
                "--auth-extract-json",
                "$.data.token",
            ],
        });
        if !by_cookie {
            arguments.extend(["--auth-inject-header", "X-Session", "--auth-inject-format", "Token %s"]);
        }
        let added = desk.run_with(&arguments, VARIABLES).await;
        let expected = "Registered tools \"echo\" — 2 tool(s) discovered.\n";
        assert_eq!((added.exit, added.out.as_str(), added.err.as_str()), (0, expected, ""));
    }
}

/// Changes the database from outside.
#[track_caller]
fn change(desk: &Desk, change: &str) {
    let database = rusqlite::Connection::open(desk.world.path("state/bailiwick.db")).expect("it opens");
    assert_eq!(database.execute(change, []).expect("it changes"), 1, "one session is kept");
}

#[tokio::test]
async fn c15_one_login_lasts_over_two_runs_and_nothing_of_it_is_seen() {
    for (by_cookie, goes) in
        [(true, "the cookie session goes into the header cookie"), (false, "$.data.token goes into")]
    {
        let (guarded, desk) = (Guarded::new().await, Desk::new());
        guarded.registered(&desk, by_cookie).await;
        let mut seen = Vec::new();
        for _ in 0..2 {
            let called = desk.run(&CALL).await;
            assert!(called.exit == 0 && called.out.contains("/echo/7"), "{}{}", called.out, called.err);
            seen.extend([called.out, called.err]);
        }
        assert_eq!(guarded.logins(), 1, "once for both runs");
        let requests = guarded.service.requests();
        let login = requests.iter().find(|request| request.target == "/login").expect("it logged in");
        let body = String::from_utf8_lossy(&login.body).into_owned();
        if by_cookie {
            assert_eq!(body, "user=canary%2Dof%2Da%2Duser&password=canary%20%22of%22%20a%20%26%20password");
        } else {
            let body: Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(body, json!({"user": "canary-of-a-user", "password": PASSWORD}));
        }
        let shown = desk.done(&["tools", "show", "echo"]).await;
        assert!(shown.contains(&format!("Login     POST {}; {goes}", guarded.service.url("/login"))), "{shown}");
        let told = desk.json(&["tools", "show", "echo"]).await;
        assert_eq!(
            (&told["login"]["method"], &told["login"]["url"]),
            (&json!("POST"), &json!(guarded.service.url("/login")))
        );
        assert!(told["login"].get("body").is_none(), "{told}");
        seen.extend([shown, told.to_string()]);
        for arguments in [&["tools", "list"][..], &["list"], &["show", "echo"], &["check"]] {
            seen.push(desk.json(arguments).await.to_string());
        }
        for arguments in [&["tools", "show", "--toml", "echo"][..], &["tools", "list"], &["audit", "log"]] {
            seen.push(desk.done(arguments).await);
        }
        for text in seen {
            assert!(!text.contains("canary"), "{text}");
        }
        assert!(!is_anywhere(&desk.world.path("state"), "canary"), "a value is in the state folder");
    }
}

#[tokio::test]
async fn c15_a_session_ends_with_the_login_that_gave_it() {
    let (guarded, desk) = (Guarded::new().await, Desk::new());
    guarded.registered(&desk, true).await;
    let mut expected = 0;
    let mut logs_in = async |what: &str, often: usize| {
        let called = desk.run(&CALL).await;
        assert_eq!(called.exit, 0, "{what}: {}", called.err);
        expected += often;
        assert_eq!(guarded.logins(), expected, "{what}");
        called.err
    };
    logs_in("at first", 1).await;
    logs_in("it is kept", 0).await;
    desk.done(&["tools", "update", "echo", "--timeout", "7000"]).await;
    logs_in("another registration", 1).await;
    change(&desk, "UPDATE sessions SET sealed = zeroblob(60)");
    let told = logs_in("other bytes", 1).await;
    assert!(told.contains("the session that was kept is of no use"), "{told}");
    change(&desk, "UPDATE sessions SET login = 'another'");
    logs_in("another login", 1).await;
    logs_in("it is kept again", 0).await;
    desk.done(&["tools", "remove", "echo"]).await;
    guarded.registered(&desk, true).await;
    logs_in("it is registered anew", 1).await;
}

#[tokio::test]
async fn c15_a_login_of_the_configuration_is_kept_for_as_long_as_it_is_the_same() {
    let guarded = Guarded::new().await;
    let (url, at) = (guarded.service.url(""), guarded.service.url("/login"));
    let text = format!(
        "[plugins.echo]\nopenapi.url = \"{url}\"\nnet = [\"GET,POST {url}\"]\n[plugins.echo.openapi.login]\n\
         url = \"{at}\"\nbody = \"user=canary-of-a-user&password={{{{password}}}}\"\njson = \"$.data.token\"\n\
         header = \"X-Session\"\nformat = \"Token {{}}\"\n[plugins.echo.secrets.password]\nfile = \"./password\"\n"
    );
    let world = World::new().secret("password", "canary-password-1");
    let desk = Desk::of(world, &text);
    for _ in 0..2 {
        desk.done(&CALL).await;
    }
    assert_eq!(guarded.logins(), 1);
    std::fs::write(desk.world.path("password"), "canary-password-2").expect("it can be written");
    desk.done(&CALL).await;
    assert_eq!(guarded.logins(), 2, "another password is another login");
    assert!(!is_anywhere(&desk.world.path("state"), "canary"), "a value is in the state folder");
}

#[tokio::test]
async fn c15_a_login_is_said_as_a_whole() {
    let (guarded, desk) = (Guarded::new().await, Desk::new());
    let (url, at) = (guarded.service.url(""), guarded.service.url("/login"));
    let add = ["tools", "add", "echo", "--url", &url];
    for (part, wrong) in [
        ("where to log in", &["--auth-extract-cookie", "session"][..]),
        ("proves who asks", &["--auth-login-url", &at][..]),
        (
            "cannot be used with",
            &["--auth-login-url", &at, "--auth-extract-cookie", "a", "--auth-extract-json", "$.a"][..],
        ),
        ("leads to no one place", &["--auth-login-url", &at, "--auth-extract-json", "$.*"][..]),
        ("not a method", &["--auth-login-url", &at, "--auth-extract-cookie", "a", "--auth-login-method", "BREW"][..]),
        ("exactly once", &["--auth-login-url", &at, "--auth-extract-cookie", "a", "--auth-inject-format", "%s%s"][..]),
        (
            "`NOT_THERE` is not set",
            &["--auth-login-url", &at, "--auth-extract-cookie", "a", "--auth-login-body", "${NOT_THERE}"][..],
        ),
        ("unencrypted", &["--auth-login-url", "http://10.1.2.3/login", "--auth-extract-cookie", "a"][..]),
    ] {
        let run = desk.run(&[&add[..], wrong].concat()).await;
        assert!(run.exit == 2 && run.err.contains(part), "{wrong:?}: {}", run.err);
    }
    guarded.registered(&desk, true).await;
    let missing = desk.run(&["tools", "update", "echo", "--auth-login-method", "PUT"]).await;
    assert!(missing.exit == 2 && missing.err.contains("all of it"), "{}", missing.err);
    let other = ["tools", "update", "echo", "--auth-login-url", &at, "--auth-extract-json", "$.data.token"];
    desk.done(&other).await;
    let shown = desk.json(&["tools", "show", "echo"]).await;
    let expected = json!({"url": at, "method": "POST", "json": "$.data.token", "header": "authorization"});
    assert_eq!(shown["login"], expected);
    let table = desk.done(&["tools", "show", "--toml", "echo"]).await;
    assert!(!table.contains("LOGIN_1") && !table.contains("body"), "all of it is replaced: {table}");
    desk.done(&["tools", "update", "echo", "--auth-login-url", ""]).await;
    assert!(desk.json(&["tools", "show", "echo"]).await.get("login").is_none());
    let called = desk.run(&CALL).await;
    assert!(called.exit != 0 && called.err.contains("upstream.auth"), "{}", called.err);
}
