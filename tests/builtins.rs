//! The plugins that are part of the program, as an operator would use them.

use serde_json::json;

use crate::support::host::World;
use crate::support::{Reply, TestHost, Upstream, remedy, told};

#[tokio::test]
async fn datetime_tells_the_time_and_needs_nothing() {
    let host = TestHost::new("[plugins.datetime]\ncomponent = \"builtin:datetime\"\n").await;
    assert_eq!(host.listed(), ["datetime"]);
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let moment = host.value("datetime", json!({"timezone": "Asia/Kathmandu"})).await;
    let told = moment.to_string();
    assert!(told.contains("+05:45"), "{told}");
    let unix = moment
        .as_object()
        .and_then(|fields| fields.values().find_map(|value| value.as_u64().filter(|number| *number >= before)));
    assert!(unix.is_some_and(|unix| unix <= before + 60), "{told}");
    let outcome = host.call("datetime", json!({"timezone": "Mars/Olympus"})).await;
    assert_eq!(outcome.code(), "arguments.invalid", "{}", crate::support::told(&outcome));
}

const FILES: &str = "[plugins.files]\ncomponent = \"builtin:files\"\nfs = [\"./notes:/notes:ro\"]\n";

fn notes() -> World {
    World::new()
        .file("notes/plan.md", "# Plan\nFirst this.\nThen that.\n")
        .file("notes/deep/er.txt", "that is deeper\n")
        .file("outside/secret.txt", "secret")
        .link("../outside/secret.txt", "notes/way-out")
}

#[tokio::test]
async fn files_reads_finds_and_searches_what_is_granted() {
    let host = notes().start(FILES).await;
    assert_eq!(host.listed(), ["glob", "grep", "read", "write"]);
    let read = host.told("read", json!({"filePath": "/notes/plan.md"})).await;
    assert!(read.starts_with("ok: ") && read.contains("First this.") && read.contains("Then that."), "{read}");
    assert!(
        host.told("read", json!({"filePath": "plan.md"})).await.contains("First this."),
        "the first directory is the workspace"
    );
    let found = host.told("glob", json!({"pattern": "**/*"})).await;
    assert!(found.contains("/notes/plan.md") && found.contains("/notes/deep/er.txt"), "{found}");
    let matched = host.told("grep", json!({"pattern": "th[ai][ts]"})).await;
    assert!(
        matched.contains("/notes/plan.md:2:First this.") && matched.contains("/notes/deep/er.txt:1:that is deeper"),
        "{matched}"
    );
    assert_eq!(host.call("read", json!({"filePath": "/notes/nothing.md"})).await.code(), "tool.not-found");
}

#[tokio::test]
async fn files_writes_where_it_may() {
    let host = notes().start(FILES).await;
    let asked = json!({"filePath": "/notes/new/file.md", "content": "new"});
    let outcome = host.call("write", asked.clone()).await;
    assert_eq!(
        told(&outcome),
        "denied.fs.write: changing `/notes/new/file.md` is refused: `./notes:/notes:ro` is read-only; \
         add `fs = [\"./notes:/notes:rw\"]` under `[plugins.files]` (bailiwick.toml:1)"
    );
    assert!(!host.world.path("notes/new").exists());
    let text =
        remedy::applied(FILES, &outcome.result.expect_err("it was refused").fix.expect("a refusal names its line"));
    let host = notes().start(&text).await;
    assert_eq!(host.call("write", asked).await.code(), "ok");
    assert_eq!(std::fs::read_to_string(host.world.path("notes/new/file.md")).expect("it was written"), "new");
}

#[tokio::test]
async fn files_stays_within_its_directories() {
    let host = notes().start(FILES).await;
    for path in [
        "/etc/passwd",
        "/notes/../outside/secret.txt",
        "../outside/secret.txt",
        "/notes/way-out",
        "way-out",
        "/outside/secret.txt",
        "~/x",
    ] {
        let outcome = host.call("read", json!({"filePath": path})).await;
        assert!(matches!(outcome.code(), "denied.fs.read" | "tool.not-found"), "{path}: {}", told(&outcome));
        assert!(outcome.code() != "tool.not-found" || path == "~/x", "{path}");
    }
    let everything = host.told("grep", json!({"pattern": "secret|root:"})).await;
    assert!(!everything.contains("secret.txt") && !everything.contains("root:x"), "{everything}");
    assert!(!host.told("glob", json!({"pattern": "../**"})).await.contains("secret.txt"));
}

const PAGE: &str = r##"<!doctype html><html><head><title>Letters</title></head><body>
<nav><a href="/home">Home</a> <a href="/about">About</a></nav>
<article><h1>On letters</h1><p>A letter is a message on paper, and for a long time it was the only way to reach somebody who was
not in the same room. It was written by hand, folded, sealed and carried, and it took days or weeks to arrive.</p>
<p>Today letters are rare. The few that still come are often the ones that matter: see <a href="https://letters.example/more">more</a>
about why people go on writing them, what they write about and whom they write to when they do.</p>
<script>alert("never")</script></article>
<footer>Imprint</footer></body></html>"##;

fn web_fetch(web: &Upstream, lines: &str) -> String {
    format!("[plugins.web]\ncomponent = \"builtin:web-fetch\"\nnet = [\"http://127.0.0.1:{}\"]\n{lines}\n", web.port)
}

async fn site() -> Upstream {
    Upstream::new(|request| match request.target.as_str() {
        "/letters" => Reply::ok(PAGE).header("content-type", "text/html; charset=utf-8"),
        "/data" => Reply::ok(r#"{"a":1}"#).header("content-type", "application/json"),
        _ => Reply::status(404, "nothing here").header("content-type", "text/plain"),
    })
    .await
}

#[tokio::test]
async fn web_fetch_gives_the_article_the_page_or_its_links() {
    let web = site().await;
    let host = TestHost::new(&web_fetch(&web, "")).await;
    let article = host.told("web_fetch", json!({"url": web.url("/letters")})).await;
    assert!(article.contains("Title: Letters") && article.contains("A letter is a message on paper"), "{article}");
    assert!(!article.contains("Imprint") && !article.contains("alert("), "{article}");
    let full = host.told("web_fetch", json!({"url": web.url("/letters"), "mode": "full"})).await;
    assert!(full.contains("Imprint") && full.contains("Home") && !full.contains("alert("), "{full}");
    let links = host.told("web_fetch", json!({"url": web.url("/letters"), "mode": "links"})).await;
    for link in [web.url("/home"), web.url("/about"), "https://letters.example/more".to_owned()] {
        assert!(links.contains(&link), "{links}");
    }
    assert!(
        host.told("web_fetch", json!({"url": web.url("/data")})).await.contains(r#"{"a":1}"#)
            || host.told("web_fetch", json!({"url": web.url("/data")})).await.contains("\"a\": 1")
    );
    assert!(host.told("web_fetch", json!({"url": web.url("/nothing")})).await.contains("404"));
}

#[tokio::test]
async fn web_fetch_says_which_line_it_lacks() {
    let web = site().await;
    let text = "[plugins.web]\ncomponent = \"builtin:web-fetch\"\n";
    let asked = json!({"url": web.url("/letters")});
    let outcome = TestHost::new(text).await.call("web_fetch", asked.clone()).await;
    assert_eq!(
        // It also asks what kind of thing it is, with HEAD, and goes on without an answer.
        told(&outcome).lines().next().unwrap_or_default(),
        format!(
            "denied.net.host: `GET {url}` is refused: `[plugins.web]` (bailiwick.toml:1) grants no `net`; \
             add `net = [\"GET {url}\"]` under `[plugins.web]` (bailiwick.toml:1)",
            url = web.url("/letters")
        )
    );
    assert_eq!(web.connections(), 0);
    let granted =
        remedy::applied(text, &outcome.result.expect_err("it was refused").fix.expect("a refusal names its line"));
    assert!(TestHost::new(&granted).await.told("web_fetch", asked).await.contains("A letter is a message"));
}

#[tokio::test]
async fn what_a_web_page_says_is_not_taken_for_the_hosts_word() {
    let web =
        Upstream::new(|_| Reply::ok("a\u{202e}b\u{1b}[2Jc").header("content-type", "text/plain; charset=utf-8")).await;
    let host = TestHost::new(&web_fetch(&web, "")).await;
    let told = host.told("web_fetch", json!({"url": web.url("/")})).await;
    assert!(!told.contains('\u{202e}') && !told.contains('\u{1b}'), "{told:?}");
}
