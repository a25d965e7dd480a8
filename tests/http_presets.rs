//! The built-in tool `http`: presets, and that what belongs to one reaches its origin and nobody else.

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::upstream::Received;
use crate::support::{Reply, TestHost, Upstream, remedy, told};

const KEY: &str = "key-of-the-preset-8f2c";
const TOKEN: &str = "token-of-the-operator-31d9";

/// A service that says what it got.
async fn service() -> Upstream {
    Upstream::new(|request| match request.target.as_str() {
        "/v1/long" => Reply::ok("ü".repeat(5_000)).header("content-type", "text/plain; charset=utf-8"),
        "/v1/huge" => Reply::ok(vec![b'a'; (1 << 20) + 1]).header("content-type", "text/plain"),
        "/v1/gone" => Reply::status(404, "nothing here").header("content-type", "text/plain"),
        "/v1/busy" => Reply::status(429, "later").header("retry-after", "7"),
        "/v1/slow" => Reply::silence(),
        target => Reply::ok(format!("{{\"target\":{target:?}}}")).header("content-type", "application/json"),
    })
    .await
}

/// A configuration with a preset for the service, and these lines more of the plugin's table.
fn config(service: &Upstream, net: &[&str], settings: &str) -> String {
    let own = service.url("");
    let net: Vec<String> = net.iter().map(|line| format!("{line:?}")).collect();
    format!(
        "[plugins.web]\ncomponent = \"builtin:http\"\nnet = [\"GET,POST {own}\", {}]\n\
         [plugins.web.config]\ndefault_headers = {{ X-Team = \"red\", Accept = \"text/plain\" }}\n{settings}\n\
         [plugins.web.config.presets.api]\nbase_url = \"{own}/v1\"\n\
         headers = {{ X-Key = \"{KEY}\", Accept = \"application/json\" }}\n\
         [plugins.web.secrets.TOKEN]\nfile = \"token\"\norigin = \"{own}\"\nheader = \"Authorization\"\n\
         format = \"Bearer {{}}\"\n",
        net.join(", ")
    )
}

async fn start(text: &str) -> TestHost {
    World::new().secret("token", TOKEN).start(text).await
}

async fn get(host: &TestHost, url: &str, preset: Option<&str>) -> String {
    host.told("http", json!({"method": "GET", "url": url, "preset": preset})).await
}

/// Whether a request has anything of the preset or the secret in it.
fn is_told(request: &Received) -> bool {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let all = format!("{}{:?}{body}", request.target, request.headers);
    [KEY, TOKEN, "x-key"].iter().any(|secret| all.contains(secret))
}

#[tokio::test]
async fn n14_a_preset_is_an_address_headers_and_a_login() {
    let service = service().await;
    let host = start(&config(&service, &[], "")).await;
    assert_eq!(host.listed(), ["http"]);
    let told = get(&host, "/items?n=5", Some("api")).await;
    assert_eq!(told, "ok: Status: 200 OK\nContent-Type: application/json\n\n{\"target\":\"/v1/items?n=5\"}");
    let request = &service.requests()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/v1/items?n=5"));
    assert_eq!(request.header("x-key"), Some(KEY));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!((request.header("x-team"), request.header("accept")), (Some("red"), Some("application/json")));

    let asked = json!({"method": "POST", "url": "/items", "preset": "api", "body": {"b": [1], "a": "x"},
        "headers": {"X-Key": "mine", "x-team": "blue", "X-Extra": "e"}});
    assert!(host.told("http", asked).await.starts_with("ok: Status: 200 OK"));
    let request = &service.requests()[1];
    assert_eq!(request.body, br#"{"b":[1],"a":"x"}"#);
    assert_eq!(request.header("content-type"), Some("application/json"));
    let headers = ["x-key", "x-team", "x-extra"].map(|name| request.header(name));
    assert_eq!(headers, [Some(KEY), Some("blue"), Some("e")], "default < caller < preset");
}

#[tokio::test]
async fn n14_what_is_a_presets_reaches_no_other_origin() {
    let (service, other) = (service().await, service().await);
    let host = start(&config(&service, &[&format!("GET,POST {}", other.url(""))], "")).await;
    let elsewhere = other.url("/collect");
    let refused = get(&host, &elsewhere, Some("api")).await;
    assert_eq!(
        refused,
        format!(
            "arguments.invalid: `url` leads to `{}`, and the preset `api` is for `{}` alone: give a path, or leave \
             `preset` out.",
            other.url(""),
            service.url("")
        )
    );
    // No spelling of a path is another host; they all end at the preset's own.
    let authority = format!("127.0.0.1:{}", other.port);
    for path in
        [format!("//{authority}/"), format!("\\\\{authority}/"), format!("@{authority}/"), format!(".{authority}/")]
    {
        let told = get(&host, &path, Some("api")).await;
        assert!(told.starts_with("ok: ") || told.starts_with("arguments.invalid: "), "{path}: {told}");
    }
    assert_eq!(other.connections(), 0);
    // Without the preset it may go there, and has nothing of it.
    assert!(get(&host, &elsewhere, None).await.starts_with("ok: "));
    assert_eq!(other.requests().len(), 1);
    assert!(!other.requests().iter().any(is_told));
    assert_eq!(other.requests()[0].header("x-team"), Some("red"));
}

#[tokio::test]
async fn n14_a_redirect_elsewhere_loses_what_is_the_presets() {
    let other = service().await;
    let to = other.url("/collect");
    let service = Upstream::new(move |request| match request.target.as_str() {
        "/v1/here" => Reply::redirect(307, "/v1/end"),
        "/v1/away" => Reply::redirect(307, to.clone()),
        _ => Reply::ok("arrived"),
    })
    .await;
    let host = start(&config(&service, &[&format!("GET,POST {}", other.url(""))], "")).await;
    assert!(get(&host, "/here", Some("api")).await.ends_with("\n\narrived"));
    assert!(service.requests().iter().all(is_told), "its own origin keeps them");
    let asked = json!({"method": "GET", "url": "/away", "preset": "api", "headers": {"X-Mine": "m"}});
    assert!(host.told("http", asked).await.starts_with("ok: "));
    let request = &other.requests()[0];
    assert!(!is_told(request), "{request:?}");
    assert_eq!((request.header("x-mine"), request.header("x-team")), (None, None));
    // Where it may not go at all, it does not.
    let host = start(&config(&service, &[], "")).await;
    let outcome = host.call("http", json!({"method": "GET", "url": "/away", "preset": "api"})).await;
    assert!(outcome.code().starts_with("denied.net."), "{}", told(&outcome));
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test]
async fn n14_a_request_that_is_not_granted_names_its_line() {
    let service = service().await;
    let text = format!(
        "[plugins.web]\ncomponent = \"builtin:http\"\nnet = [\"GET {url}\"]\n\
         [plugins.web.config.presets.api]\nbase_url = \"{url}/v1\"\n",
        url = service.url("")
    );
    let asked = json!({"method": "POST", "url": "/items", "preset": "api", "body": {}});
    let outcome = TestHost::new(&text).await.call("http", asked.clone()).await;
    assert_eq!(outcome.code(), "denied.net.method", "{}", told(&outcome));
    let fix = outcome.result.expect_err("it was refused").fix.expect("a refusal names its line");
    assert_eq!(service.connections(), 0);
    let host = TestHost::new(&remedy::applied(&text, &fix)).await;
    assert!(host.told("http", asked).await.starts_with("ok: Status: 200 OK"));
}

#[tokio::test]
async fn n14_a_status_that_is_no_success_is_a_failure_with_the_answer() {
    let service = service().await;
    let host = start(&config(&service, &[], "")).await;
    assert_eq!(
        get(&host, "/gone", Some("api")).await,
        "upstream.status: Status: 404 Not Found\nContent-Type: text/plain\n\nnothing here"
    );
    let busy = get(&host, "/busy", Some("api")).await;
    assert!(busy.starts_with("upstream.status: Status: 429 Too Many Requests\n") && busy.contains("7 s"), "{busy}");
}

#[tokio::test]
async fn n14_a_long_answer_is_cut_and_kept_whole() {
    let service = service().await;
    let host = start(&config(&service, &[], "")).await;
    let long = get(&host, "/long", Some("api")).await;
    let shown =
        format!("Content-Type: text/plain; charset=utf-8\n\n{}\n[truncated] | [link artifact://", "ü".repeat(4_000));
    assert!(long.contains(&shown) && long.ends_with("/body.txt body.txt Some(10000)]"), "{}", &long[long.len() - 90..]);
    let huge = get(&host, "/huge", Some("api")).await;
    let marker = "a\n[truncated]\n[the answer goes on: only its first 1048576 bytes were read] | [link artifact://";
    assert!(huge.contains(marker), "{}", &huge[huge.len() - 300..]);
    let small = start(&config(&service, &[], "max_response_bytes = 10")).await;
    let cut = get(&small, "/huge", Some("api")).await;
    assert!(cut.ends_with("\n\naaaaaaaaaa\n[the answer goes on: only its first 10 bytes were read]"), "{cut}");
}

#[tokio::test]
async fn n14_who_does_not_answer_is_given_up() {
    let service = service().await;
    let host = start(&config(&service, &[], "timeout_ms = 200")).await;
    let begun = std::time::Instant::now();
    let told = get(&host, "/slow", Some("api")).await;
    assert!(told.starts_with("upstream.") && begun.elapsed().as_secs() < 8, "{told}");
}

#[tokio::test]
async fn n14_what_makes_no_sense_is_refused_by_name() {
    let service = service().await;
    let host = start(&config(&service, &[], "")).await;
    let unknown = get(&host, "/", Some("x")).await;
    assert_eq!(unknown, "arguments.invalid: Unknown preset: \"x\". Check your config. Presets there: `api`.");
    for wrong in [
        json!({"method": "PUT", "url": "/", "preset": "api"}),
        json!({"method": "GET", "url": "/items"}),
        json!({"method": "GET", "url": "/", "preset": "api", "body": {}}),
        json!({"method": "GET", "url": "/", "preset": "api", "headers": {"Host": "evil.example"}}),
        json!({"method": "GET", "url": "/", "preset": "api", "timeout": 5}),
        json!({"url": "/", "preset": "api"}),
    ] {
        let outcome = host.call("http", wrong.clone()).await;
        assert_eq!(outcome.code(), "arguments.invalid", "{wrong}: {}", told(&outcome));
    }
    assert_eq!(service.connections(), 0);
}

#[tokio::test]
async fn n14_settings_that_cannot_be_used_are_told_without_what_they_hold() {
    let service = service().await;
    let base = config(&service, &[], "");
    for (line, expected) in [
        ("timeout = 5", "The setting `timeout` is unknown; there are `timeout_ms`"),
        ("timeout_ms = 0", "The setting `timeout_ms` must be from 1 to 600000."),
        ("default_headers = \"hush-hush\"", "The setting `default_headers` cannot be used at character 1"),
    ] {
        let settings = format!("[plugins.web.config]\n{line}");
        let told = get(&start(&remedy::merged(&base, &settings)).await, "/", Some("api")).await;
        assert!(told.starts_with(&format!("plugin.not-configured: {expected}")), "{line}: {told}");
        assert!(!told.contains("hush"), "{told}");
    }
    let settings: Value = json!(KEY);
    let preset = format!("[plugins.web.config.presets.api]\nkey = {settings}");
    let told = get(&start(&remedy::merged(&base, &preset)).await, "/", Some("api")).await;
    assert!(told.starts_with("plugin.not-configured: The setting `presets` cannot be used at"), "{told}");
    assert!(!told.contains(KEY), "{told}");
    assert_eq!(service.connections(), 0);
}
