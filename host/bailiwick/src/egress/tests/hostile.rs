//! Servers that are slow, broken or up to something.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, RequestOptions};

use super::support::*;
use crate::egress::send_for_guest;

const SHORT: Duration = Duration::from_millis(100);

fn impatient() -> Option<RequestOptions> {
    Some(RequestOptions {
        connect_timeout: Some(SHORT),
        first_byte_timeout: Some(SHORT),
        between_bytes_timeout: Some(SHORT),
    })
}

/// A server that answers with these steps, and a call that may ask it.
async fn answers(steps: Vec<Step>) -> (Server, std::sync::Arc<crate::context::CallContext>, String) {
    let server = Server::start(move |_| steps.clone()).await;
    let origin = format!("http://127.0.0.1:{}", server.port());
    let call = World::new([origin.clone()]).call();
    (server, call, format!("{origin}/"))
}

fn drip(start: &str) -> Vec<Step> {
    let mut steps = vec![text(start)];
    for _ in 0..100 {
        steps.extend([Step::Wait(Duration::from_millis(20)), text("x")]);
    }
    steps
}

#[tokio::test]
async fn a_head_that_trickles_in_times_out() {
    let mut flood = Vec::new();
    for _ in 0..100 {
        flood.extend([text("HTTP/1.1 100 Continue\r\n\r\n"), Step::Wait(Duration::from_millis(20))]);
    }
    for steps in [vec![Step::Wait(Duration::from_secs(5))], drip("HTTP/1.1 200 OK\r\nx-slow: "), flood] {
        let (server, call, url) = answers(steps).await;
        let started = Instant::now();
        let answer = send_for_guest(&call, get(&url), impatient()).await;
        assert!(matches!(answer, Err(Error::HttpResponseTimeout)), "{answer:?}");
        assert!(started.elapsed() < Duration::from_secs(2));
        drop(server);
    }
}

#[tokio::test]
async fn a_body_that_falls_silent_times_out() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nstart";
    let (server, call, url) = answers(vec![text(head), Step::Wait(Duration::from_secs(5))]).await;
    let mut body = send_for_guest(&call, get(&url), impatient()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "start");
    // A guest that takes its time is no reason to give up on a server.
    tokio::time::sleep(2 * SHORT).await;
    let started = Instant::now();
    assert!(matches!(body.frame().await, Some(Err(Error::ConnectionReadTimeout))));
    assert!(started.elapsed() > SHORT / 2);
    assert!(body.frame().await.is_none());
    drop(server);
}

#[tokio::test]
async fn a_handshake_that_stalls_times_out() {
    let server = Server::start(|_| vec![Step::Wait(Duration::from_secs(5))]).await;
    let call = World::new([format!("https://127.0.0.1:{}", server.port())]).call();
    let started = Instant::now();
    let answer = send_for_guest(&call, get(&format!("https://127.0.0.1:{}/", server.port())), impatient()).await;
    assert!(matches!(answer, Err(Error::ConnectionTimeout)), "{answer:?}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn an_answer_that_is_no_tls_is_an_error_of_tls() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.certify(&["127.0.0.1"], |_| {}), |_| ok("")).await;
    let plain = World::new([format!("http://127.0.0.1:{}", server.port())]).call();
    assert!(send(&plain, get(&format!("http://127.0.0.1:{}/", server.port()))).await.is_err());
}

#[tokio::test]
async fn a_body_that_is_dropped_closes_its_connection() {
    let endless = drip("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
    let (server, call, url) = answers(endless).await;
    let response = send(&call, get(&url)).await.unwrap();
    drop(response);
    server.all_closed().await;
    let mut request = Box::pin(send(&call, get(&url)));
    let _ = tokio::time::timeout(Duration::from_millis(1), &mut request).await;
    drop(request);
    server.all_closed().await;
}

#[tokio::test]
async fn crooked_answers_are_refused() {
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let large = "x".repeat(70_000);
    for (what, answer) in [
        ("no HTTP", "hello\r\n\r\n".to_owned()),
        ("HTTP/0.9", "<html></html>".to_owned()),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("bad status", "HTTP/1.1 99999 OK\r\n\r\n".to_owned()),
        ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned()),
        ("crooked length", "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\na".to_owned()),
        ("folded header", "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n".to_owned()),
        ("many headers", format!("HTTP/1.1 200 OK\r\n{many}\r\n")),
        ("large header", format!("HTTP/1.1 200 OK\r\nx: {large}\r\n\r\n")),
        ("packed transfer", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned()),
        ("switch", "HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n".to_owned()),
        ("nothing", String::new()),
    ] {
        let (server, call, url) = answers(vec![text(answer), Step::Close]).await;
        let answer = send(&call, get(&url)).await;
        assert!(answer.is_err(), "{what}: {answer:?}");
        server.all_closed().await;
    }
}

#[tokio::test]
async fn the_guest_learns_what_was_wrong() {
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(70_000));
    let (_server, call, url) = answers(vec![text(large)]).await;
    let answer = send(&call, get(&url)).await;
    assert!(matches!(answer, Err(Error::HttpResponseHeaderSectionSize(_))), "{answer:?}");
    let (_server, call, url) = answers(vec![text("hello\r\n\r\n")]).await;
    let answer = send(&call, get(&url)).await;
    assert!(matches!(answer, Err(Error::HttpProtocolError)), "{answer:?}");
    for broken in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let (_server, call, url) = answers(vec![text(broken), Step::Close]).await;
        let answer = fetch(&call, get(&url)).await;
        assert!(matches!(answer, Err(Error::HttpResponseIncomplete)), "{answer:?}");
    }
}

#[tokio::test]
async fn the_guest_sees_no_headers_that_were_for_the_host() {
    let head = "HTTP/1.1 200 OK\r\nx-kept: 1\r\nconnection: x-hop, close\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nupgrade: h2c\r\ntrailer: x-end\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-end: 1\r\n\r\n";
    let (_server, call, url) = answers(vec![text(head)]).await;
    let response = send(&call, get(&url)).await.unwrap();
    let expected: HeaderMap =
        [(HeaderName::from_static("x-kept"), HeaderValue::from_static("1"))].into_iter().collect();
    assert_eq!(*response.headers(), expected);
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-end"], "1");
    assert_eq!(collected.to_bytes(), "ok");
}
