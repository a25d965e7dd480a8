//! A real instance of searx, as Debian packages it, over a corpus of the test's own: what `web_search` says arrives at the
//! engines, and what they say arrives at the caller.
//!
//! Where it is not installed the test says so; `tests/install.sh web_search` installs it.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::upstream::Received;
use crate::support::{Reply, TestHost, Upstream, told};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("web_search")
}

/// An instance; it ends with this value.
struct Searx {
    child: Child,
    port: u16,
}

impl Drop for Searx {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Searx {
    /// Serves the corpus; none where searx is not installed, which is printed.
    async fn over(corpus: &Upstream, world: &World) -> Option<Self> {
        let python = folder().join(".venv/bin/python");
        let missing =
            [".venv/.installed", ".packages/.installed"].into_iter().find(|needed| !folder().join(needed).exists());
        if let Some(missing) = missing {
            println!(
                "skip   web_search/{missing} is not there: a real searx is NOT tried; run `tests/install.sh web_search`"
            );
            return None;
        }
        let packages = folder().join(".packages/usr");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let settings = std::fs::read_to_string(folder().join("settings.yml")).expect("the settings can be read");
        let settings = settings
            .replace("CORPUS", &corpus.url(""))
            .replace("PORT", &port.to_string())
            .replace("SEARX", &packages.join("share/python3-searx").display().to_string());
        let file = world.path("searx.yml");
        std::fs::write(&file, settings).expect("a file can be written");
        let child = Command::new(python)
            .args(["-B", "-m", "searx.webapp"])
            .env("SEARX_SETTINGS_PATH", &file)
            .env("PYTHONPATH", packages.join("lib/python3/dist-packages"))
            .current_dir(world.path("."))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(world.path("searx.log")).expect("a file can be written"))
            .spawn()
            .expect("it starts");
        let searx = Self { child, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = || std::fs::read_to_string(world.path("searx.log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not come up: {}", said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(searx)
    }

    /// A host that asks it.
    async fn host(&self, world: World) -> TestHost {
        let origin = format!("http://127.0.0.1:{}", self.port);
        let text = format!(
            "[plugins.search]\ncomponent = \"builtin:web-search\"\nnet = [\"GET {origin}/search\"]\n\
             config = {{ provider = \"searxng\", base_url = \"{origin}\" }}\n"
        );
        world.start(&text).await
    }
}

/// Texts, which are found by a word in their headings.
fn corpus() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("https://letters.example/clay", "Letters on <em>clay</em>", "The oldest letters &amp; their envelopes"),
        ("https://letters.example/paper", "Letters on paper", "Folded, sealed and carried"),
        ("https://letters.example/wire?a=1&b=2", "Letters by wire", "Dots &amp; dashes"),
        ("javascript:alert(1)", "Letters that do something", "x"),
        ("https://stones.example/", "Stones", "No mention of them"),
    ]
}

fn found(request: &Received) -> Vec<(&'static str, &'static str, &'static str)> {
    let asked = request.target.split(['=', '&']).nth(1).unwrap_or_default().to_ascii_lowercase();
    let is_meant = |heading: &str| asked.split(['+', '%']).any(|word| heading.to_ascii_lowercase().contains(word));
    corpus().into_iter().filter(|(_, heading, _)| is_meant(heading)).collect()
}

/// The engines behind the instance: one speaks JSON, the other is a page that can be asked for what is new.
fn engines(request: &Received) -> Reply {
    if request.target.starts_with("/json") {
        let hits = found(request);
        let hits = hits.iter().map(|(url, heading, text)| json!({"address": url, "heading": heading, "text": text}));
        return Reply::ok(json!({ "hits": hits.collect::<Vec<_>>() }).to_string());
    }
    let article = |(url, heading, text): &(&str, &str, &str)| {
        format!("<article><a href=\"{}\">{heading}</a><p>{text}</p></article>", url.replace('&', "&amp;"))
    };
    let new = if request.target.contains("&age=") {
        found(request).iter().take(1).map(article).collect()
    } else {
        String::new()
    };
    Reply::ok(format!("<html><body><p>Found:</p>{new}</body></html>")).header("content-type", "text/html")
}

fn urls(found: &Value) -> Vec<&str> {
    let results = found["results"].as_array().expect("a list");
    results.iter().map(|hit| hit["url"].as_str().expect("a text")).collect()
}

#[tokio::test]
async fn searxng_gives_what_its_engines_found() {
    let (corpus, world) = (Upstream::new(engines).await, World::new());
    let Some(searx) = Searx::over(&corpus, &world).await else { return };
    let host = searx.host(world).await;
    let outcome = host.call("web_search", json!({"query": "letters"})).await;
    let hits = json!([
        {"title": "Letters on clay", "url": "https://letters.example/clay", "snippet": "The oldest letters & their envelopes"},
        {"title": "Letters on paper", "url": "https://letters.example/paper", "snippet": "Folded, sealed and carried"},
        {"title": "Letters by wire", "url": "https://letters.example/wire?a=1&b=2", "snippet": "Dots & dashes"},
    ]);
    let record = outcome.result.as_ref().unwrap_or_else(|failure| panic!("{failure}")).structured.clone();
    assert_eq!(record, Some(json!({"query": "letters", "results": hits, "result_count": 3})));
    let text = told(&outcome);
    assert!(
        text.starts_with("ok: 1. **Letters on clay**\n   The oldest letters & their envelopes\n   https://"),
        "{text}"
    );
    let one = host.value("web_search", json!({"query": "letters on paper", "count": 1})).await;
    assert_eq!(one["result_count"], 1);
    let asked: Vec<String> = corpus.requests().into_iter().map(|request| request.target).collect();
    assert!(asked.contains(&"/json?q=letters+on+paper".to_owned()), "{asked:?}");
    let nothing = host.told("web_search", json!({"query": "zzz"})).await;
    assert!(nothing.starts_with("ok: No results found. | "), "{nothing}");
}

#[tokio::test]
async fn searxng_passes_on_how_old_a_page_may_be() {
    let (corpus, world) = (Upstream::new(engines).await, World::new());
    let Some(searx) = Searx::over(&corpus, &world).await else { return };
    let host = searx.host(world).await;
    for freshness in ["day", "week", "month"] {
        let found = host.value("web_search", json!({"query": "letters", "freshness": freshness})).await;
        assert_eq!(urls(&found), ["https://letters.example/clay"], "{found}");
    }
    let asked: Vec<String> = corpus.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/pages?q=letters&age=1", "/pages?q=letters&age=7", "/pages?q=letters&age=31"]);
}

#[tokio::test]
async fn searxng_tells_which_engines_did_not_answer() {
    let broken = |request: &Received| match request.target.starts_with("/json") {
        true => Reply::status(503, "down"),
        false => engines(request),
    };
    let (corpus, world) = (Upstream::new(broken).await, World::new());
    let Some(searx) = Searx::over(&corpus, &world).await else { return };
    let host = searx.host(world).await;
    let told = host.told("web_search", json!({"query": "letters"})).await;
    assert!(told.starts_with("upstream.protocol: Engines of SearXNG did not answer: corpus ("), "{told}");
    let found = host.value("web_search", json!({"query": "letters", "freshness": "day"})).await;
    assert_eq!((urls(&found).len(), found.get("error")), (1, None), "it was not asked: {found}");
}
