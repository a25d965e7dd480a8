//! The way out: fetching a page of 100 kB from a local server and making Markdown of it, in the sandbox and without.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::report::{Goal, Report, median, micros, ratio};
use crate::world::World;

const ROUNDS: usize = 30;
const BATCH: u32 = 10;

fn page() -> String {
    let paragraph = "<p>A bailiwick is the area in which someone has <b>authority</b>, and <a href=\"/x\">nothing</a> \
                     else counts there.</p>\n";
    let mut page = String::from("<!doctype html><html><head><title>Page</title></head><body><article><h1>Page</h1>\n");
    while page.len() < 100_000 {
        page.push_str(paragraph);
    }
    page.push_str("</article></body></html>");
    page
}

/// Answers every request on every connection with the page.
async fn serve(page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n", page.len());
    let answer = std::sync::Arc::new([head.as_bytes(), page.as_bytes()].concat());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = std::sync::Arc::clone(&answer);
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    seen.extend_from_slice(&buffer[..read]);
                    if seen.ends_with(b"\r\n\r\n") {
                        seen.clear();
                        if stream.write_all(&answer).await.is_err() {
                            break;
                        }
                    }
                }
            });
        }
    });
    url
}

pub(crate) async fn run(report: &mut Report) {
    let url = serve(page()).await;
    let origin = url.trim_end_matches('/');
    let text = format!("[plugins.web-fetch]\ncomponent = \"builtin:web-fetch\"\nnet = [\"{origin}\"]\n");
    let host = World::new().start(&text, "").await;
    let arguments = format!("{{\"url\":\"{url}\",\"mode\":\"full\"}}");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let (mut plain, mut sandboxed) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS + 2 {
        let start = Instant::now();
        for _ in 0..BATCH {
            let page = client.get(&url).send().await.expect("it answers").text().await.expect("it is text");
            std::hint::black_box(dom_query::Document::from(page.as_str()).md(None));
        }
        let without = micros(start.elapsed()) / f64::from(BATCH) / 1000.0;
        let start = Instant::now();
        for _ in 0..BATCH {
            host.call("web_fetch", &arguments).await;
        }
        let within = micros(start.elapsed()) / f64::from(BATCH) / 1000.0;
        if round >= 2 {
            plain.push(without);
            sandboxed.push(within);
        }
    }
    report.plain("reqwest and dom_query, native", median(&plain), "ms");
    report.plain("web_fetch in full mode", median(&sandboxed), "ms");
    report.gated("web_fetch of 100 kB / reqwest and the same Markdown", ratio(&sandboxed, &plain), Goal::AtMost(2.0));
}
