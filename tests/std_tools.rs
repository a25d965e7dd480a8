//! The built-in plugin `std`: Agentron's standard tools, with their names and shapes, against servers of a test's own.

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{Reply, TestHost, Upstream, remedy, told};

const BARE: &str = "[plugins.std]\ncomponent = \"builtin:std\"\n";

fn config(web: &Upstream, methods: &str, lines: &str) -> String {
    format!("{BARE}net = [\"{methods} {}\"]\n{lines}\n", web.url(""))
}

async fn site() -> Upstream {
    Upstream::new(|request| match request.target.as_str() {
        "/page" => Reply::ok("<p>hello</p>").header("content-type", "text/html"),
        "/long" => Reply::ok("a".repeat(100_001)),
        "/huge" => Reply::ok("a".repeat((1 << 20) + 10)),
        "/data" => Reply::status(201, "{\"b\":[1]}").header("content-type", "application/json").header("x-a", "1"),
        "/broken" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"),
        _ => Reply::status(404, "nothing here"),
    })
    .await
}

/// Services of Open-Meteo's shape: they know Berlin, where it is 13.4 °C.
async fn meteo() -> Upstream {
    Upstream::new(|request| {
        let answer = match request.target.split_once('?') {
            Some(("/v1/search", query)) if query.contains("name=Berlin") => {
                include_str!("../plugins/std/cases/places.json")
            }
            Some(("/v1/search", _)) => include_str!("../plugins/std/cases/no_places.json"),
            Some(("/v1/forecast", query)) if query.starts_with("latitude=0&") => return Reply::status(500, "oops"),
            Some(("/v1/forecast", _)) => include_str!("../plugins/std/cases/weather.json"),
            _ => return Reply::status(404, "nothing here"),
        };
        Reply::ok(answer).header("content-type", "application/json; charset=utf-8")
    })
    .await
}

/// A refusal, and the same call with the line it names.
async fn refused_and_granted(world: impl Fn() -> World, text: &str, tool: &str, asked: Value) -> Value {
    let outcome = world().start(text).await.call(tool, asked.clone()).await;
    assert!(outcome.code().starts_with("denied."), "{}", told(&outcome));
    let fix = outcome.result.expect_err("it was refused").fix.expect("a refusal names its line");
    world().start(&remedy::applied(text, &fix)).await.value(tool, asked).await
}

#[tokio::test]
async fn g16_the_tools_have_agentrons_names() {
    let host = TestHost::new(BARE).await;
    let names = ["std-fetch-url", "std-http-request", "std-weather", "std-webhook", "std-write-file"];
    assert_eq!(host.listed(), names);
    let properties = |tool: &str| {
        let schema = host.schema(tool);
        let names: Vec<String> = schema["properties"].as_object().expect("an object").keys().cloned().collect();
        (names.join(" "), schema["required"].clone())
    };
    assert_eq!(properties("std-fetch-url"), ("url".to_owned(), json!(["url"])));
    assert_eq!(properties("std-http-request"), ("url method headers body".to_owned(), json!(["url"])));
    assert_eq!(properties("std-webhook"), ("url body".to_owned(), json!(["url"])));
    assert_eq!(properties("std-weather"), ("location units".to_owned(), json!(["location"])));
    assert_eq!(properties("std-write-file"), ("name content".to_owned(), json!(["name", "content"])));
}

#[tokio::test]
async fn g16_fetch_url_gives_status_url_and_content() {
    let web = site().await;
    let host = TestHost::new(&config(&web, "GET", "")).await;
    let fetch = async |path: &str| host.value("std-fetch-url", json!({"url": web.url(path)})).await;
    let page = json!({"status": 200, "url": web.url("/page"), "content": "<p>hello</p>"});
    assert_eq!(fetch("/page").await, page);
    assert_eq!(host.told("std-fetch-url", json!({"url": web.url("/page")})).await, format!("ok: {page} | = {page}"));
    assert_eq!(fetch("/none").await["status"], 404);
    for path in ["/long", "/huge"] {
        let long = fetch(path).await;
        assert_eq!(long["content"].as_str().map(str::len), Some(100_000), "{path}");
        assert_eq!(long["truncated"], true);
    }
    let broken = fetch("/broken").await;
    assert_eq!(broken["error"], "Fetch failed", "{broken}");
    assert!(broken["message"].is_string() && broken["content"].is_null(), "{broken}");
    let invalid = host.call("std-fetch-url", json!({"url": "file:///etc/passwd"})).await;
    assert_eq!(invalid.code(), "arguments.invalid");
}

#[tokio::test]
async fn g16_nobody_there_is_a_result_and_a_refusal_is_a_refusal() {
    let web = site().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|held| held.local_addr()).expect("a port is free");
    let url = format!("http://{closed}/");
    let host = TestHost::new(&format!("{BARE}net = [\"GET,POST {url}\"]\n")).await;
    for (tool, what) in [
        ("std-fetch-url", "Fetch failed"),
        ("std-http-request", "HTTP request failed"),
        ("std-webhook", "Webhook failed"),
    ] {
        let result = host.value(tool, json!({"url": url})).await;
        assert_eq!(result["error"], what);
        assert!(result["message"].as_str().is_some_and(|message| !message.is_empty()), "{result}");
        let asked = json!({"url": web.url("/page")});
        let result = refused_and_granted(World::new, BARE, tool, asked).await;
        assert!(result["status"].is_u64(), "{tool}: {result}");
    }
}

#[tokio::test]
async fn g16_http_request_gives_json_as_a_value() {
    let web = site().await;
    let host = TestHost::new(&config(&web, "GET,PATCH", "")).await;
    let asked = json!({"url": web.url("/data"), "method": "patch", "headers": {"X-Key": "k"}, "body": {"a": 1}});
    let result = host.value("std-http-request", asked).await;
    assert_eq!((&result["status"], &result["content"]), (&json!(201), &json!({"b": [1]})));
    assert_eq!((&result["headers"]["x-a"], &result["url"]), (&json!("1"), &json!(web.url("/data"))));
    let request = &web.requests()[0];
    assert_eq!((request.method.as_str(), request.body.as_slice()), ("PATCH", br#"{"a":1}"#.as_slice()));
    assert_eq!((request.header("x-key"), request.header("content-type")), (Some("k"), Some("application/json")));
    let page = host.value("std-http-request", json!({"url": web.url("/page")})).await;
    assert_eq!(page["content"], "<p>hello</p>");
    let outcome = host.call("std-http-request", json!({"url": web.url("/data"), "method": "DELETE"})).await;
    assert_eq!(outcome.code(), "denied.net.method", "{}", told(&outcome));
    for wrong in [
        json!({"url": web.url("/"), "method": "TRACE"}),
        json!({"url": web.url("/"), "body": "x"}),
        json!({"url": web.url("/"), "headers": {"Host": "x"}}),
        json!({"url": web.url("/"), "timeout": 3}),
    ] {
        assert_eq!(host.call("std-http-request", wrong.clone()).await.code(), "arguments.invalid", "{wrong}");
    }
}

#[tokio::test]
async fn g16_a_callers_headers_stay_with_the_origin_they_were_for() {
    let other = site().await;
    let to = other.url("/page");
    let web = Upstream::new(move |_| Reply::redirect(302, to.clone())).await;
    let text = format!("{BARE}net = [\"GET {}\", \"GET {}\"]\n", web.url(""), other.url(""));
    let headers = json!({"Authorization": "Bearer t", "X-Api-Key": "k", "Accept": "a/b"});
    let result =
        TestHost::new(&text).await.value("std-http-request", json!({"url": web.url("/"), "headers": headers})).await;
    assert_eq!(result["content"], "<p>hello</p>");
    let sent = |upstream: &Upstream| {
        let request = upstream.requests()[0].clone();
        ["authorization", "x-api-key", "accept"].map(|name| request.header(name).map(str::to_owned))
    };
    assert_eq!(sent(&web), [Some("Bearer t"), Some("k"), Some("a/b")].map(|value| value.map(str::to_owned)));
    assert_eq!(sent(&other), [None, None, Some("a/b")].map(|value| value.map(str::to_owned)));
}

#[tokio::test]
async fn g16_a_webhook_is_sent_json_and_its_answer_is_cut() {
    let web = Upstream::new(|_| Reply::ok("x".repeat(5_001))).await;
    let host = TestHost::new(&config(&web, "POST", "")).await;
    let result = host.value("std-webhook", json!({"url": web.url("/hook"), "body": {"text": "hi"}})).await;
    assert_eq!(result, json!({"status": 200, "url": web.url("/hook"), "response": "x".repeat(5_000)}));
    host.value("std-webhook", json!({"url": web.url("/hook")})).await;
    let sent: Vec<String> =
        web.requests().iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect();
    assert_eq!(sent, ["{\"text\":\"hi\"}", "{}"]);
    assert_eq!(web.requests()[0].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn g16_weather_asks_for_the_place_and_then_for_its_weather() {
    let meteo = meteo().await;
    let settings = format!(
        "config = {{ geocoding_url = {:?}, forecast_url = {:?} }}",
        meteo.url("/v1/search"),
        meteo.url("/v1/forecast")
    );
    let host = TestHost::new(&config(&meteo, "GET", &settings)).await;
    let weather = host.value("std-weather", json!({"location": "Berlin"})).await;
    let expected = json!({
        "location": "Berlin", "temperature": 13.4, "temperature_display": "13.4°C", "humidity_percent": 71,
        "weather_code": 3, "wind_speed_kmh": 11.9, "units": "celsius",
    });
    assert_eq!(weather, expected);
    let targets: Vec<String> = meteo.requests().into_iter().map(|request| request.target).collect();
    let current = "current=temperature_2m%2Crelative_humidity_2m%2Cweather_code%2Cwind_speed_10m";
    let forecast = format!("/v1/forecast?latitude=52.52437&longitude=13.41053&{current}");
    assert_eq!(targets, ["/v1/search?name=Berlin&count=1", &forecast]);

    let weather = host.value("std-weather", json!({"location": "52.52,13.41", "units": "fahrenheit"})).await;
    assert_eq!((&weather["temperature_display"], &weather["units"]), (&json!("56.1°F"), &json!("fahrenheit")));
    assert_eq!(meteo.requests().len(), 3, "a position is not looked up");

    let unknown = host.value("std-weather", json!({"location": "Atlantis"})).await;
    assert_eq!(unknown, json!({"error": "Location not found", "location": "Atlantis"}));
    let broken = host.value("std-weather", json!({"location": "0,0"})).await;
    assert_eq!(broken, json!({"error": "Weather failed", "message": "the forecast service answered 500"}));
    for wrong in
        [json!({"location": " "}), json!({"location": "Berlin", "units": "kelvin"}), json!({"location": "91,0"})]
    {
        assert_eq!(host.call("std-weather", wrong.clone()).await.code(), "arguments.invalid", "{wrong}");
    }
}

#[tokio::test]
async fn g16_weather_that_is_not_granted_names_its_lines() {
    let meteo = meteo().await;
    let text = format!(
        "{BARE}config = {{ geocoding_url = {:?}, forecast_url = {:?} }}\n",
        meteo.url("/v1/search"),
        meteo.url("/v1/forecast")
    );
    let asked = json!({"location": "52.52,13.41"});
    let weather = refused_and_granted(World::new, &text, "std-weather", asked).await;
    assert_eq!(weather["temperature"], json!(13.4));
    let outcome = TestHost::new(&format!("{BARE}config = {{ weather_url = \"http://a.example\" }}\n"))
        .await
        .call("std-weather", json!({"location": "Berlin"}))
        .await;
    let why = "The setting `weather_url` is unknown; there are `geocoding_url` and `forecast_url`.";
    assert_eq!(told(&outcome), format!("plugin.not-configured: {why}"));
}

#[tokio::test]
async fn g16_write_file_writes_under_a_plain_name() {
    let world = || World::new().folder("files").file("outside", "old").link("../outside", "files/way-out");
    let text = format!("{BARE}fs = [\"./files:/files:rw\"]\n");
    let host = world().start(&text).await;
    let write = |name: &str| host.call("std-write-file", json!({"name": name, "content": "grün"}));
    let result = host.value("std-write-file", json!({"name": "report.md", "content": "grün"})).await;
    assert_eq!(result, json!({"name": "report.md", "path": "/files/report.md", "contextDir": "/files"}));
    assert_eq!(std::fs::read_to_string(host.world.path("files/report.md")).expect("it was written"), "grün");
    for name in ["", "..", "a/b", "/etc/x", "../outside", "a\\b", "a\nb"] {
        let outcome = write(name).await;
        assert_eq!(outcome.code(), "arguments.invalid", "{name:?}: {}", told(&outcome));
    }
    assert_eq!(write("way-out").await.code(), "denied.fs.write");
    assert_eq!(std::fs::read_to_string(host.world.path("outside")).expect("it is there"), "old");

    let asked = json!({"name": "report.md", "content": "x"});
    let read_only = text.replace(":rw", ":ro");
    let result = refused_and_granted(world, &read_only, "std-write-file", asked.clone()).await;
    assert_eq!(result["name"], "report.md");
    let why = "No folder is granted to write to: add `fs = [\"./files:rw\"]` to the plugin's table.";
    assert_eq!(TestHost::new(BARE).await.told("std-write-file", asked).await, format!("plugin.not-configured: {why}"));
}
