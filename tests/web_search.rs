//! The plugins that ask search services, against servers in the shape of each provider, and against a real instance of
//! searx.

mod searxng;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::secrets::leaks;
use crate::support::host::World;
use crate::support::machine::is_slow_wanted;
use crate::support::upstream::Received;
use crate::support::{Reply, TestHost, Upstream, log, remedy, told};

/// A key that stands nowhere else.
const CANARY: &str = "canary-of-searches_7f31";

/// The placement of each provider's key.
const BRAVE: &str = "header = \"X-Subscription-Token\"";
const TAVILY: &str = "header = \"Authorization\"\nformat = \"Bearer {}\"";
const EXA: &str = "header = \"x-api-key\"";

/// A plugin that asks the server at `port`, whose key goes where `placement` says.
fn plugin(component: &str, config: &str, port: u16, placement: &str) -> String {
    let origin = format!("http://127.0.0.1:{port}");
    format!(
        "[plugins.search]\ncomponent = \"builtin:{component}\"\nnet = [\"GET,POST {origin}\"]\n\
         config = {{ base_url = \"{origin}\"{config} }}\n\
         [plugins.search.secrets.KEY]\nfile = \"canary\"\norigin = \"{origin}\"\n{placement}\n"
    )
}

async fn start(text: &str) -> TestHost {
    World::new().secret("canary", CANARY).start(text).await
}

async fn brave(web: &Upstream) -> TestHost {
    start(&plugin("web-search", "", web.port, BRAVE)).await
}

/// A server that answers everything with this.
async fn answering(body: Value) -> Upstream {
    Upstream::new(move |_| Reply::ok(body.to_string()).header("content-type", "application/json")).await
}

fn brave_answer() -> Value {
    json!({"type": "search", "web": {"type": "search", "results": [
        {"title": "Rust &amp; letters", "url": "https://letters.example/rust", "description": "All <strong>letters</strong>"},
        {"title": "Two", "url": "https://letters.example/two", "description": ""},
    ]}})
}

/// The only request that came, its headers apart: those every request of ours has are checked.
fn only(web: &Upstream) -> (String, Vec<(String, String)>, String) {
    let requests = web.requests();
    let [Received { method, target, headers, body }] = &requests[..] else { panic!("{requests:?}") };
    let usual = [
        ("host", format!("127.0.0.1:{}", web.port)),
        ("accept", "application/json".to_owned()),
        ("user-agent", format!("bailiwick/{}", env!("CARGO_PKG_VERSION"))),
        // The host looks for the key in what comes back, so nothing packed may come.
        ("accept-encoding", "identity".to_owned()),
    ];
    let is_usual = |name: &str, value: &str| usual.iter().any(|known| known == &(name, value.to_owned()));
    let count = headers.iter().filter(|(name, value)| is_usual(name, value)).count();
    assert_eq!(count, usual.len(), "{headers:?}");
    let mut own: Vec<_> = headers.iter().filter(|(name, value)| !is_usual(name, value)).cloned().collect();
    own.sort();
    (format!("{method} {target}"), own, String::from_utf8_lossy(body).into_owned())
}

fn header(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

#[tokio::test]
async fn a32_brave_is_asked_as_it_wants_to_be() {
    let web = answering(brave_answer()).await;
    let host = brave(&web).await;
    assert_eq!(host.listed(), ["std-web-search", "web_search"]);
    let outcome = host.call("web_search", json!({"query": "rust & wasm"})).await;
    let expected = json!({"query": "rust & wasm", "results": [
        {"title": "Rust & letters", "url": "https://letters.example/rust", "snippet": "All letters"},
        {"title": "Two", "url": "https://letters.example/two", "snippet": ""},
    ], "result_count": 2});
    let text = "1. **Rust & letters**\n   All letters\n   https://letters.example/rust\n\n\
                2. **Two**\n   https://letters.example/two";
    assert_eq!(told(&outcome), format!("ok: {text} | = {expected}"));
    let (request, own, body) = only(&web);
    assert_eq!(request, "GET /res/v1/web/search?q=rust+%26+wasm&count=5");
    assert_eq!((own, body.as_str()), (vec![header("x-subscription-token", CANARY)], ""));
}

#[tokio::test]
async fn a32_how_old_a_page_may_be_is_said_in_the_words_of_brave() {
    let web = answering(json!({"type": "search"})).await;
    let host = brave(&web).await;
    for freshness in ["day", "week", "month"] {
        let found = host.told("web_search", json!({"query": "x", "count": 10, "freshness": freshness})).await;
        assert!(found.starts_with("ok: No results found. | "), "{found}");
    }
    let targets: Vec<String> = web.requests().into_iter().map(|request| request.target).collect();
    let target = |word: &str| format!("/res/v1/web/search?q=x&count=10&freshness={word}");
    assert_eq!(targets, [target("pd"), target("pw"), target("pm")]);
}

#[tokio::test]
async fn a32_arguments_that_make_no_sense_ask_nobody() {
    let web = answering(json!({})).await;
    let host = brave(&web).await;
    for arguments in [
        json!({}),
        json!({"query": ""}),
        json!({"query": "  "}),
        json!({"query": "x".repeat(401)}),
        json!({"query": "x", "count": 0}),
        json!({"query": "x", "count": 21}),
        json!({"query": "x", "freshness": "year"}),
        json!({"query": "x", "maxResults": 3}),
    ] {
        let outcome = host.call("web_search", arguments.clone()).await;
        assert_eq!(outcome.code(), "arguments.invalid", "{arguments}: {}", told(&outcome));
    }
    assert_eq!(web.connections(), 0);
}

#[tokio::test]
async fn n13_tavily_is_asked_as_it_wants_to_be() {
    let web = answering(json!({"query": "letters", "answer": null, "results": [
        {"title": "A", "url": "https://letters.example/a", "content": "About  a", "score": 0.9, "raw_content": null},
    ], "response_time": 0.5}))
    .await;
    let host = start(&plugin("web-search", ", provider = \"tavily\"", web.port, TAVILY)).await;
    let found = host.told("web_search", json!({"query": "letters", "count": 3, "freshness": "week"})).await;
    assert!(found.starts_with("ok: 1. **A**\n   About a\n   https://letters.example/a | = "), "{found}");
    let (request, own, body) = only(&web);
    assert_eq!(request, "POST /search");
    let length = header("content-length", body.len().to_string());
    let kind = header("content-type", "application/json");
    assert_eq!(own, [header("authorization", format!("Bearer {CANARY}")), length, kind]);
    assert_eq!(body, r#"{"query":"letters","max_results":3,"time_range":"week"}"#);
}

#[tokio::test]
async fn n13_exa_is_asked_as_it_wants_to_be() {
    let web = answering(json!({"requestId": "1", "results": [
        {"id": "1", "title": "A", "url": "https://letters.example/a", "text": "About a", "publishedDate": null},
    ]}))
    .await;
    let host = start(&plugin("web-search", ", provider = \"exa\"", web.port, EXA)).await;
    let found = host.told("web_search", json!({"query": "letters"})).await;
    assert!(found.starts_with("ok: 1. **A**\n   About a\n   https://letters.example/a | = "), "{found}");
    let (request, own, body) = only(&web);
    assert_eq!(request, "POST /search");
    assert_eq!(own.last(), Some(&header("x-api-key", CANARY)));
    assert_eq!(body, r#"{"query":"letters","numResults":5,"contents":{"text":{"maxCharacters":300}}}"#);
    host.value("web_search", json!({"query": "letters", "freshness": "month"})).await;
    let body: Value = serde_json::from_slice(&web.requests()[1].body).expect("it is JSON");
    let since = body["startPublishedDate"].as_str().unwrap_or_default();
    assert!(since.starts_with("20") && since.ends_with("T00:00:00.000Z") && since.len() == 24, "{body}");
}

#[tokio::test]
async fn g16_the_same_search_in_the_shape_of_another_catalogue() {
    let web = answering(json!({"answer": "A is first.", "results": [
        {"title": "A", "url": "https://letters.example/a", "content": "About a"},
    ]}))
    .await;
    let text = plugin("web-search", ", provider = \"tavily\"", web.port, TAVILY);
    let host = start(&text).await;
    let found = host.value("std-web-search", json!({"query": "letters", "maxResults": 2})).await;
    let hit = json!({"title": "A", "url": "https://letters.example/a", "snippet": "About a"});
    assert_eq!(found, json!({"results": [hit], "summary": "A is first."}));
    host.value("std-web-search", json!({"query": "letters"})).await;
    let bodies: Vec<Vec<u8>> = web.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies[0], br#"{"query":"letters","max_results":2}"#);
    assert_eq!(bodies[1], br#"{"query":"letters","max_results":8}"#);
    assert_eq!(host.call("std-web-search", json!({"query": "x", "maxResults": 21})).await.code(), "arguments.invalid");
    let hidden = start(&format!("{text}[plugins.search.tools.std-web-search]\nallow = false\n")).await;
    assert_eq!(hidden.listed(), ["web_search"]);
}

#[tokio::test]
async fn a33_a_question_is_answered_without_what_is_meant_for_programs() {
    let web = answering(json!({"id": "1", "object": "chat.completion", "model": "brave", "created": 1, "choices": [{
        "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content":
            "It is **42**<citation>{\"number\":1,\"url\":\"https://a.example\"}</citation>.\n\
             <enum_item>{\"uuid\":\"u\"}</enum_item>\n<usage>{\"X-Request-Queries\":1}</usage>"},
    }]}))
    .await;
    let host = start(&plugin("web-answers", "", web.port, BRAVE)).await;
    assert_eq!(host.listed(), ["web_answers"]);
    let told = host.told("web_answers", json!({"query": "What is it?"})).await;
    let expected = json!({"query": "What is it?", "answer": "It is **42**."});
    assert_eq!(told, format!("ok: It is **42**. | = {expected}"));
    let (request, own, body) = only(&web);
    assert_eq!(request, "POST /res/v1/chat/completions");
    assert_eq!(own.last(), Some(&header("x-subscription-token", CANARY)));
    assert_eq!(body, r#"{"messages":[{"role":"user","content":"What is it?"}],"model":"brave","stream":false}"#);
}

/// Calls a tool of an unconfigured plugin, then sets what its sentence says.
async fn is_configured_by_its_sentence(component: &str, tool: &str, variable: &str, arguments: Value, answer: Value) {
    let web = answering(answer).await;
    let origin = format!("http://127.0.0.1:{}", web.port);
    let text = format!(
        "[plugins.search]\ncomponent = \"builtin:{component}\"\nnet = [\"GET,POST {origin}\"]\n\
         config.base_url = \"{origin}\"\n"
    );
    let host = start(&text).await;
    let sentence = format!("Set {variable} to enable it: write `");
    let told = host.told(tool, arguments.clone()).await;
    assert!(told.starts_with(&format!("plugin.not-configured: {tool} is not configured. {sentence}")), "{told}");
    let listed = host.host.list(&host.who());
    let described: Vec<String> = listed.iter().map(|(_, tool)| tool.description()).collect();
    let noted = format!(" [NOT CONFIGURED] {sentence}");
    assert!(described.iter().all(|description| description.contains(&noted)), "{described:?}");
    assert_eq!(web.connections(), 0);
    let line = told.split('`').nth(1).expect("a line stands in it");
    let line = line.replace(&format!("env = \"{variable}\""), "file = \"canary\"");
    let host = start(&format!("{text}{line}\n")).await;
    assert_eq!(host.call(tool, arguments).await.code(), "ok");
    assert_eq!(web.requests()[0].header("x-subscription-token"), Some(CANARY));
}

#[tokio::test]
async fn n6_a32_without_a_key_the_way_to_one_is_told() {
    let (query, answer) = (json!({"query": "x"}), brave_answer());
    is_configured_by_its_sentence("web-search", "web_search", "BRAVE_SEARCH_API_KEY", query, answer).await;
}

#[tokio::test]
async fn n6_a33_without_a_key_the_way_to_one_is_told() {
    let answer = json!({"choices": [{"message": {"content": "y"}}]});
    let query = json!({"query": "x"});
    is_configured_by_its_sentence("web-answers", "web_answers", "BRAVE_ANSWERS_API_KEY", query, answer).await;
}

#[tokio::test]
async fn n6_settings_that_make_no_sense_are_told() {
    let host = |config: &str| {
        let text = format!("[plugins.search]\ncomponent = \"builtin:web-search\"\nconfig = {{ {config} }}\n");
        async move { TestHost::new(&text).await.told("web_search", json!({"query": "x"})).await }
    };
    for (config, reason) in [
        ("provider = \"bing\"", "The setting `provider` is `bing`; write `brave`, `tavily`, `exa` or `searxng`."),
        ("provider = \"searxng\"", "Set `config.base_url` to the URL of your instance of SearXNG to enable it."),
        ("base-url = \"x\"", "There is no setting `base-url`; there are `provider`, `base_url`, `count`."),
        ("count = 21", "The setting `count` must be a number from 1 to 20."),
    ] {
        let told = host(config).await;
        assert_eq!(told, format!("plugin.not-configured: web_search is not configured. {reason}"));
    }
}

#[tokio::test]
async fn which_line_a_search_lacks_is_told() {
    let web = answering(json!({"results": [], "unresponsive_engines": []})).await;
    let text = format!(
        "[plugins.search]\ncomponent = \"builtin:web-search\"\n\
         config = {{ provider = \"searxng\", base_url = \"{}\" }}\n",
        web.url("")
    );
    let outcome = TestHost::new(&text).await.call("web_search", json!({"query": "x"})).await;
    assert_eq!(outcome.code(), "denied.net.host", "{}", told(&outcome));
    assert_eq!(web.connections(), 0);
    let fix = outcome.result.expect_err("it was refused").fix.expect("a refusal names its line");
    let granted = TestHost::new(&remedy::applied(&text, &fix)).await;
    assert_eq!(granted.call("web_search", json!({"query": "x"})).await.code(), "ok");
}

/// A key is nowhere but at its origin, whatever the service does with it.
#[tokio::test]
async fn n13_the_key_of_a_search_goes_to_its_origin_and_nowhere_else() {
    let elsewhere = answering(brave_answer()).await;
    let away = elsewhere.url("/res/v1/web/search?q=x&count=5");
    let web = Upstream::new(move |request| {
        let key = request.header("x-subscription-token").unwrap_or("none").to_owned();
        if request.target.contains("away") {
            return Reply::redirect(307, away.clone()).header("x-told", key);
        }
        if request.target.contains("wrong") {
            return Reply::status(401, json!({"error": {"detail": format!("wrong key {key}")}}).to_string());
        }
        if request.target.contains("broken") {
            return Reply::status(500, format!("{key} {}", hex::encode(&key)));
        }
        let hit = json!({"title": key, "url": format!("https://a.example/{key}"), "description": hex::encode(&key)});
        Reply::ok(json!({"web": {"results": [hit]}}).to_string())
    })
    .await;
    let text = plugin("web-search", "", web.port, BRAVE)
        .replace("net = [", &format!("net = [\"GET http://127.0.0.1:{}\", ", elsewhere.port));
    let host = start(&text).await;
    let mut outcomes = Vec::new();
    for (query, code) in
        [("back", "ok"), ("away", "upstream.status"), ("wrong", "upstream.auth"), ("broken", "upstream.status")]
    {
        let outcome = host.call("web_search", json!({"query": query})).await;
        assert_eq!(outcome.code(), code, "{}", told(&outcome));
        outcomes.push(format!("{}\n{outcome:?}", told(&outcome)));
    }
    assert!(outcomes[1].contains("307, a redirect to `http://127.0.0.1:"), "{}", outcomes[1]);
    assert_eq!(elsewhere.connections(), 0, "a redirect is not followed");
    assert!(web.requests().iter().all(|request| request.header("x-subscription-token") == Some(CANARY)));
    outcomes.push(log::everything());
    outcomes.push(format!("{:?}", host.audit()));
    for said in outcomes {
        assert_eq!(leaks(CANARY, said.as_bytes()), [] as [String; 0], "{said}");
    }
}

#[tokio::test]
async fn what_a_provider_does_wrong_has_a_code_and_a_sentence() {
    let web = Upstream::new(|request| {
        let json = |status, body: Value| Reply::status(status, body.to_string());
        match request.target.split(['=', '&']).nth(1) {
            Some("key") => json(403, json!({"error": {"detail": "No."}})),
            Some("busy") => json(429, json!({"error": {"detail": "Too fast"}})).header("retry-after", "30"),
            Some("broken") => Reply::status(500, "Internal Server Error"),
            Some("page") => Reply::ok("<html>Log in</html>").header("content-type", "text/html"),
            Some("huge") => Reply::ok(format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20))),
            Some("cut") => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"web\":"),
            _ => json(200, json!({"web": {"pages": []}})),
        }
    })
    .await;
    let host = brave(&web).await;
    let line = format!(
        "secrets.KEY = {{ env = \"BRAVE_SEARCH_API_KEY\", origin = \"http://127.0.0.1:{}\", \
         header = \"X-Subscription-Token\" }}",
        web.port
    );
    for (query, expected) in [
        (
            "key",
            format!(
                "upstream.auth: Brave API error: 403 No. Check the value of the secret `KEY` and its line in the plugin's \
                 table, which should be `{line}`."
            ),
        ),
        (
            "busy",
            "upstream.status: Brave API error: 429 Too fast. It had too many requests, or the plan is used up.; \
             try again in 30 s"
                .to_owned(),
        ),
        ("broken", "upstream.status: Brave API error: 500 Internal Server Error. Try again later.".to_owned()),
        (
            "page",
            format!(
                "upstream.protocol: Brave at http://127.0.0.1:{}/ answered with a web page instead of JSON: check the \
                 setting `base_url`.",
                web.port
            ),
        ),
        ("huge", "upstream.protocol: The answer of Brave is larger than 1 MiB; ask for fewer results.".to_owned()),
        (
            "other",
            "upstream.protocol: The answer of Brave has no list of results: check the setting `base_url`.".to_owned(),
        ),
    ] {
        assert_eq!(host.told("web_search", json!({"query": query})).await, expected);
    }
    let broken_off = host.call("web_search", json!({"query": "cut"})).await;
    assert!(broken_off.code().starts_with("upstream."), "{}", told(&broken_off));
    let asked = web.requests().iter().filter(|request| request.target.contains("busy")).count();
    assert_eq!(asked, 1, "nobody waits for half a minute");
}

#[tokio::test]
async fn a_busy_provider_is_asked_again_when_it_says() {
    let asked = AtomicUsize::new(0);
    let web = Upstream::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::status(429, "{}").header("retry-after", "1"),
        _ => Reply::ok(brave_answer().to_string()),
    })
    .await;
    let host = brave(&web).await;
    let (begun, outcome) = (Instant::now(), host.call("web_search", json!({"query": "x"})).await);
    assert_eq!(outcome.code(), "ok", "{}", told(&outcome));
    assert_eq!(web.requests().len(), 2);
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_left_in_time() {
    if !is_slow_wanted("15 s of silence") {
        return;
    }
    let web = Upstream::new(|_| Reply::silence()).await;
    let host = brave(&web).await;
    let (asked, told) = (Instant::now(), host.told("web_search", json!({"query": "x"})).await);
    assert_eq!(told, "upstream.timeout: Brave gave no answer in time. Try again later.");
    assert!((14..20).contains(&asked.elapsed().as_secs()), "{:?}", asked.elapsed());
}

#[test]
fn what_the_plugins_suggest_is_a_configuration() {
    let search = include_str!("../plugins/web-search/grants.toml");
    let answers = include_str!("../plugins/web-answers/grants.toml");
    let mut texts = vec![search.to_owned(), answers.to_owned()];
    for other in search.split("\n\n").filter(|block| block.contains("\n#   ")) {
        let lines = other.lines().filter_map(|line| line.strip_prefix("#   "));
        let lines: Vec<&str> = lines.collect();
        texts.push(format!("[plugins.web-search]\ncomponent = \"builtin:web-search\"\n{}\n", lines.join("\n")));
    }
    assert_eq!(texts.len(), 5, "Brave's, three others', and that of the answers");
    for text in texts {
        World::new().config(&text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes}"));
    }
}
