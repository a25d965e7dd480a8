//! Secrets go where they are bound to, and never come back.

use bailiwick_core::grant::Placement;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::Error;

use super::support::*;

const VALUE: &str = "canary-9f/4+c2 7e&x";

/// A world with one secret, bound to `server`.
fn bound(server: &Server, placement: Placement) -> World {
    let origin = format!("http://127.0.0.1:{}", server.port());
    let mut world = World::new([format!("* {origin}")]);
    world.secrets = vec![secret("TOKEN", VALUE, &origin, placement)];
    world
}

fn url(server: &Server, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", server.port())
}

#[tokio::test]
async fn a_secret_is_put_in_its_place_and_the_guests_own_is_left_out() {
    let server = Server::start(|_| ok("")).await;
    let basic = format!("authorization: Basic {}\r\n", STANDARD.encode(format!("me:{VALUE}")));
    let bearer = format!("authorization: Bearer {VALUE}\r\n");
    for (placement, path, expected) in [
        (header("authorization", "Bearer {}"), "/?key=1", ("GET /?key=1 ", bearer)),
        (Placement::Basic { user: "me".to_owned() }, "/", ("GET / ", basic)),
        (header("x-api-key", "{}"), "/", ("GET / ", format!("x-api-key: {VALUE}\r\n"))),
        (
            Placement::Query { key: "key".to_owned() },
            "/?a=1&KEY=mine&key=mine",
            ("GET /?a=1&key=canary%2D9f%2F4%2Bc2%207e%26x ", String::new()),
        ),
    ] {
        let in_query = matches!(placement, Placement::Query { .. });
        let call = bound(&server, placement).call();
        let mut request = get(&url(&server, path));
        for (name, value) in
            [("Authorization", "mine"), ("authorization", "mine"), ("x-api-key", "mine"), ("range", "bytes=0-5")]
        {
            request.headers_mut().append(http::HeaderName::try_from(name).unwrap(), HeaderValue::from_static(value));
        }
        request.headers_mut().insert("accept-encoding", HeaderValue::from_static("gzip"));
        fetch(&call, request).await.unwrap();
        let sent = server.requests().pop().unwrap();
        assert!(sent.starts_with(expected.0) && sent.contains(&expected.1), "{sent}");
        if !in_query {
            let name = expected.1.split(':').next().unwrap();
            assert_eq!(sent.matches(&format!("\r\n{name}: ")).count(), 1, "{sent}");
        }
        assert!(sent.contains("accept-encoding: identity\r\n") && !sent.contains("range"), "{sent}");
        assert!(call.ledger.operations().contains_key("secret use TOKEN"));
    }
}

#[tokio::test]
async fn a_secret_goes_to_no_other_origin_and_to_no_other_tool() {
    let server = Server::start(|_| ok("")).await;
    let other = Server::start(|_| ok("")).await;
    let mut world = bound(&server, header("authorization", "Bearer {}"));
    world.net.push(format!("* http://127.0.0.1:{}", other.port()));
    world.net.push(format!("* http://h.example:{}", server.port()));
    world.egress = egress(&names([("h.example", &[&["127.0.0.1"]])]), &[]);
    fetch(&world.call(), get(&url(&other, "/"))).await.unwrap();
    fetch(&world.call(), get(&format!("http://h.example:{}/", server.port()))).await.unwrap();
    world.withheld = std::mem::take(&mut world.secrets);
    fetch(&world.call(), get(&url(&server, "/"))).await.unwrap();
    for sent in server.requests().iter().chain(&other.requests()) {
        assert!(!sent.contains("canary") && !sent.contains("authorization"), "{sent}");
    }
    assert_eq!((server.requests().len(), other.requests().len()), (2, 1));
}

#[tokio::test]
async fn a_server_that_repeats_a_secret_tells_the_guest_nothing() {
    let encoded = STANDARD.encode(format!("me:{VALUE}"));
    let body = format!("you sent {VALUE} and {encoded}.");
    for cut in 0..body.len() {
        let (first, second) = body.split_at(cut);
        let mut steps =
            vec![text(format!("HTTP/1.1 200 OK\r\nx-echo: <{VALUE}>\r\ntransfer-encoding: chunked\r\n\r\n"))];
        for piece in [first, second].iter().filter(|piece| !piece.is_empty()) {
            steps.push(text(format!("{:x}\r\n{piece}\r\n", piece.len())));
        }
        steps.push(text(format!("0\r\nx-end: {VALUE}\r\n\r\n")));
        let server = Server::start(move |_| steps.clone()).await;
        let call = bound(&server, Placement::Basic { user: "me".to_owned() }).call();
        let response = send(&call, get(&url(&server, "/"))).await.unwrap();
        assert_eq!(response.headers()["x-echo"], "<[secret TOKEN]>");
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-end"], "[secret TOKEN]");
        let seen = String::from_utf8(collected.to_bytes().to_vec()).unwrap();
        assert_eq!(seen.len(), body.len());
        assert!(seen.starts_with("you sent ******************* and "), "{seen}");
        assert!(!seen.contains(&encoded[8..16]), "cut at {cut}: {seen}");
    }
}

#[tokio::test]
async fn a_url_that_is_repeated_tells_the_guest_nothing() {
    let server = Server::start(|request| ok(request.lines().next().unwrap())).await;
    let call = bound(&server, Placement::Query { key: "key".to_owned() }).call();
    let seen = fetch(&call, get(&url(&server, "/?a=1"))).await.unwrap();
    let hidden = "*".repeat("canary%2D9f%2F4%2Bc2%207e%26x".len());
    assert_eq!(seen, format!("GET /?a=1&key={hidden} HTTP/1.1"));
}

#[tokio::test]
async fn a_packed_answer_is_refused_where_it_could_hold_a_secret() {
    let packed = || vec![text("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx")];
    let server = Server::start(move |_| packed()).await;
    let mut world = bound(&server, header("authorization", "Bearer {}"));
    let call = world.call();
    assert!(matches!(send(&call, get(&url(&server, "/"))).await, Err(Error::HttpProtocolError)));
    assert_eq!(codes(&call), ["upstream.protocol"]);
    world.secrets.clear();
    let call = world.call();
    assert_eq!(fetch(&call, get(&url(&server, "/"))).await.unwrap(), "xx");
    assert_eq!(codes(&call), Vec::<&str>::new());
}

#[tokio::test]
async fn neither_debug_nor_the_ledger_holds_a_secret() {
    let server = Server::start(|_| vec![Step::Close]).await;
    let call = bound(&server, Placement::Query { key: "key".to_owned() }).call();
    let error = send(&call, get(&url(&server, "/path?q=1"))).await.unwrap_err();
    let shown = format!("{:?} {:?} {:?} {error} {error:?}", call.secrets, call.egress, call.ledger);
    assert!(!shown.contains("canary"), "{shown}");
    let operations: Vec<String> = call.ledger.operations().into_keys().collect();
    assert_eq!(operations, [format!("http GET http://127.0.0.1:{}", server.port()), "secret use TOKEN".to_owned()]);
}
