//! Connections that serve more than one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime_wasi_http::Error;

use super::support::*;

#[tokio::test]
async fn a_connection_serves_the_next_request_of_the_same_plugin() {
    let server = Server::start(|_| ok("body")).await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    let mut world = World::new([format!("* http://127.0.0.1:{}", server.port())]);
    for _ in 0..5 {
        assert_eq!(fetch(&world.call(), get(&url)).await.unwrap(), "body");
        assert_eq!(fetch(&world.call(), post(&url, "mine")).await.unwrap(), "body");
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 10));
    world.plugin = "other";
    assert_eq!(fetch(&world.call(), get(&url)).await.unwrap(), "body");
    assert_eq!(server.connections(), 2, "plugins share no connections");
    assert_eq!(world.egress.pool.len(), 2);
}

#[tokio::test]
async fn a_connection_that_waits_is_no_right() {
    let server = Server::start(|_| ok("body")).await;
    let port = server.port();
    let table = names([("h.example", &[&["127.0.0.1"], &["127.0.0.1"], &["10.0.0.1"]])]);
    let egress = egress(&table, &[]);
    let url = format!("http://h.example:{port}/");
    let world = World::with(Arc::clone(&egress), [format!("http://h.example:{port}")]);
    fetch(&world.call(), get(&url)).await.unwrap();
    let ungranted = World::with(Arc::clone(&egress), []);
    assert!(matches!(send(&ungranted.call(), get(&url)).await, Err(Error::HttpRequestDenied)));
    fetch(&world.call(), get(&url)).await.unwrap();
    assert_eq!(table.lookups.load(Ordering::SeqCst), 2, "one look-up for every request that is granted");
    // The name leads elsewhere now, and not where the waiting connection does.
    let call = world.call();
    assert!(matches!(send(&call, get(&url)).await, Err(Error::DestinationIpProhibited)));
    assert_eq!(codes(&call), ["denied.net.addr"]);
    assert_eq!((server.connections(), server.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_connection_with_unread_bytes_is_not_used_again() {
    let server = Server::start(|_| ok("body")).await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    let world = World::new([format!("http://127.0.0.1:{}", server.port())]);
    let call = world.call();
    drop(send(&call, get(&url)).await.unwrap());
    server.all_closed().await;
    assert_eq!(fetch(&call, get(&url)).await.unwrap(), "body");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_went_stale_is_replaced_once() {
    // The server hangs up on every second request without a word.
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => ok("body"),
        _ => vec![Step::Close],
    })
    .await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    let call = World::new([format!("* http://127.0.0.1:{}", server.port())]).call();
    assert_eq!(fetch(&call, get(&url)).await.unwrap(), "body");
    assert_eq!(fetch(&call, get(&url)).await.unwrap(), "body");
    assert_eq!((server.connections(), server.requests().len()), (2, 3));
    // What may do something twice is not repeated.
    assert!(fetch(&call, post(&url, "pay")).await.is_err());
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn an_answer_that_says_close_is_the_last() {
    let server = Server::start(|_| {
        vec![text("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"), Step::Close]
    })
    .await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    let call = World::new([format!("http://127.0.0.1:{}", server.port())]).call();
    for _ in 0..3 {
        assert_eq!(fetch(&call, get(&url)).await.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn an_answer_without_a_body_need_not_be_read() {
    let server = Server::start(|request| {
        let length = if request.starts_with("HEAD") { 5 } else { 0 };
        vec![text(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"))]
    })
    .await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    let call = World::new([format!("* http://127.0.0.1:{}", server.port())]).call();
    for method in ["HEAD", "GET", "HEAD", "DELETE"] {
        let mut request = get(&url);
        *request.method_mut() = method.parse().unwrap();
        drop(send(&call, request).await.unwrap());
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 4));
}
