//! Egress against real servers on loopback: what must not leave does not leave, and what leaves is what was judged.

mod explained;
mod hostile;
mod matrix;
mod proxied;
mod reuse;
mod secret;
mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::HeaderValue;
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::Error;

use self::support::*;

#[tokio::test]
async fn a_granted_request_is_sent_as_it_was_judged() {
    let server = Server::start(|_| ok("hello")).await;
    let port = server.port();
    let call = World::new([format!("http://127.0.0.1:{port}")]).call();
    let mut request = get(&format!("http://127.0.0.1:{port}/a/../b?c=%64"));
    for (name, value) in [
        ("host", "evil.example"),
        ("accept", "text/plain"),
        ("connection", "close, x-mine"),
        ("x-mine", "1"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("proxy-authorization", "Basic x"),
        ("content-length", "0"),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    assert_eq!(fetch(&call, request).await.unwrap(), "hello");
    let expected =
        format!("GET /b?c=%64 HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: text/plain\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(server.requests(), [expected]);
    assert_eq!(codes(&call), Vec::<&str>::new());
    let operations: Vec<(String, u32)> = call.ledger.operations().into_iter().collect();
    assert_eq!(operations, [(format!("http GET http://127.0.0.1:{port}"), 1)]);
}

#[tokio::test]
async fn a_body_is_streamed_with_the_length_that_was_declared_or_in_chunks() {
    let server = Server::start(|_| ok("")).await;
    let port = server.port();
    let call = World::new([format!("POST http://127.0.0.1:{port}")]).call();
    let url = format!("http://127.0.0.1:{port}/");
    fetch(&call, post(&url, "known")).await.unwrap();
    let pieces = ["a", "bc"].map(|piece| Ok(http_body::Frame::data(bytes::Bytes::from_static(piece.as_bytes()))));
    let pieces = http_body_util::StreamBody::new(futures::stream::iter(pieces)).boxed_unsync();
    fetch(&call, http::Request::post(&url).body(pieces).unwrap()).await.unwrap();
    let bodies: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.split_once("\r\nhost: ").unwrap().1.replace(&format!("127.0.0.1:{port}\r\n"), ""))
        .collect();
    assert_eq!(
        bodies,
        ["content-length: 5\r\n\r\nknown", "transfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"]
    );
}

#[tokio::test]
async fn what_is_not_granted_is_not_even_looked_up() {
    let server = Server::start(|_| ok("")).await;
    let port = server.port();
    let table = names([("other.example", &[&["127.0.0.1"]]), ("h.example", &[&["127.0.0.1"]])]);
    let call = World::with(egress(&table, &[]), [format!("GET http://h.example:{port}/api/**")]).call();
    for (request, code) in [
        (get(&format!("http://other.example:{port}/api/x")), "denied.net.host"),
        (get(&format!("https://h.example:{port}/api/x")), "denied.net.scheme"),
        (get("http://h.example/api/x"), "denied.net.port"),
        (post(&format!("http://h.example:{port}/api/x"), ""), "denied.net.method"),
        (get(&format!("http://h.example:{port}/apix")), "denied.net.path"),
        (get(&format!("http://h.example:{port}/api/../admin")), "denied.net.path"),
        (get(&format!("http://h.example:{port}/api/%2e%2e/root")), "denied.net.path"),
    ] {
        let before = codes(&call).len();
        let url = request.uri().clone();
        assert!(matches!(send(&call, request).await, Err(Error::HttpRequestDenied)), "{url}");
        assert_eq!(codes(&call)[before..], [code], "{url}");
    }
    assert_eq!((table.lookups.load(Ordering::SeqCst), server.connections()), (0, 0));
    assert_eq!(fetch(&call, get(&format!("http://h.example:{port}/api/x"))).await.unwrap(), "");
}

#[tokio::test]
async fn methods_that_are_never_sent_are_denied() {
    let server = Server::start(|_| ok("")).await;
    let port = server.port();
    let call = World::new([format!("* http://127.0.0.1:{port}")]).call();
    for method in ["CONNECT", "TRACE", "get", "Get"] {
        let mut request = get(&format!("http://127.0.0.1:{port}/"));
        *request.method_mut() = method.parse().unwrap();
        assert!(matches!(send(&call, request).await, Err(Error::HttpRequestDenied)), "{method}");
    }
    assert_eq!(server.connections(), 0);
    let denial = &call.ledger.denials()[0];
    assert_eq!(denial.code.as_str(), "denied.net.method");
}

#[tokio::test]
async fn an_address_in_another_spelling_reaches_nothing() {
    let server = Server::start(|_| ok("")).await;
    let port = server.port();
    let call = World::new([format!("http://127.0.0.1:{port}"), format!("http://*:{port}")]).call();
    for host in
        ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.01", "[::ffff:127.0.0.1]", "localhost", "0"]
    {
        let answer = send(&call, get(&format!("http://{host}:{port}/"))).await;
        let refused = matches!(answer, Err(Error::HttpRequestDenied | Error::DestinationIpProhibited));
        assert!(refused, "{host}: {answer:?}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(fetch(&call, get(&format!("http://127.0.0.1:{port}/"))).await.unwrap(), "");
}

#[tokio::test]
async fn one_forbidden_address_among_many_denies_them_all() {
    let server = Server::start(|_| ok("")).await;
    let port = server.port();
    for mixed in [
        &["127.0.0.1", "10.0.0.1"][..],
        &["10.0.0.1", "127.0.0.1"],
        &["127.0.0.1", "169.254.169.254"],
        &["127.0.0.1", "::1"],
    ] {
        let table = names([("h.example", &[mixed])]);
        let call = World::with(egress(&table, &[]), [format!("http://h.example:{port}")]).call();
        let answer = send(&call, get(&format!("http://h.example:{port}/"))).await;
        assert!(matches!(answer, Err(Error::DestinationIpProhibited)), "{mixed:?}");
        assert_eq!(codes(&call), ["denied.net.addr"]);
        assert_eq!(table.lookups.load(Ordering::SeqCst), 1);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_wildcard_reaches_no_private_address() {
    let server = Server::start(|_| ok("")).await;
    let port = server.port();
    let table = names([("rebind.h.example", &[&["127.0.0.1"]])]);
    for grant in [format!("http://*.h.example:{port}"), format!("http://*:{port}")] {
        let call = World::with(egress(&table, &[]), [grant]).call();
        let answer = send(&call, get(&format!("http://rebind.h.example:{port}/"))).await;
        assert!(matches!(answer, Err(Error::DestinationIpProhibited)));
        assert_eq!(codes(&call), ["denied.net.addr"]);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn names_that_lead_nowhere_are_dns_errors() {
    let table = names([("empty.example", &[&[]])]);
    let grants = ["empty", "missing"].map(|name| format!("http://{name}.example"));
    let call = World::with(egress(&table, &[]), grants).call();
    for name in ["empty", "missing"] {
        let answer = send(&call, get(&format!("http://{name}.example/"))).await;
        assert!(matches!(answer, Err(Error::DnsError { .. })), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let server = Server::start(|_| ok("second")).await;
    let port = server.port();
    let table = names([("h.example", &[&["127.0.0.99", "127.0.0.1"]]), ("dead.example", &[&["127.0.0.98"]])]);
    let grants = [format!("http://h.example:{port}"), format!("http://dead.example:{port}")];
    let call = World::with(egress(&table, &[]), grants).call();
    assert_eq!(fetch(&call, get(&format!("http://h.example:{port}/"))).await.unwrap(), "second");
    let answer = send(&call, get(&format!("http://dead.example:{port}/"))).await;
    assert!(matches!(answer, Err(Error::ConnectionRefused)), "{answer:?}");
}

#[tokio::test]
async fn a_redirect_is_the_guests_business() {
    let elsewhere = Server::start(|_| ok("")).await;
    let location = format!("http://127.0.0.1:{}/secret", elsewhere.port());
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let server = Server::start(move |_| vec![text(answer.clone())]).await;
    let port = server.port();
    let call = World::new([format!("http://127.0.0.1:{port}")]).call();
    let response = send(&call, get(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["location"].to_str().unwrap()), (302, &*location));
    assert!(matches!(send(&call, get(&location)).await, Err(Error::HttpRequestDenied)));
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn only_a_certificate_for_this_host_from_a_known_authority_will_do() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let expire = |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let early = |params: &mut rcgen::CertificateParams| params.not_before = rcgen::date_time_ymd(2999, 1, 1);
    for (what, tls, accepted) in [
        ("right", known.certify(&["h.test.example"], |_| {}), true),
        ("wildcard", known.certify(&["*.test.example"], |_| {}), true),
        ("another host", known.certify(&["other.example"], |_| {}), false),
        ("its address only", known.certify(&["127.0.0.1"], |_| {}), false),
        ("expired", known.certify(&["h.test.example"], expire), false),
        ("not yet valid", known.certify(&["h.test.example"], early), false),
        ("self-signed", self_signed(&["h.test.example"]), false),
        ("unknown authority", unknown.certify(&["h.test.example"], |_| {}), false),
    ] {
        let server = Server::start_tls(tls, |_| ok("proved")).await;
        let port = server.port();
        let table = names([("h.test.example", &[&["127.0.0.1"]])]);
        let grant = format!("https://h.test.example:{port}");
        let call = World::with(egress(&table, std::slice::from_ref(&known.pem)), [grant]).call();
        let answer = fetch(&call, get(&format!("https://h.test.example:{port}/"))).await;
        match accepted {
            true => assert!(matches!(answer.as_deref(), Ok("proved")), "{what}: {answer:?}"),
            false => {
                assert!(matches!(answer, Err(Error::TlsCertificateError)), "{what}: {answer:?}");
                assert_eq!(server.requests(), [""; 0], "{what}");
            }
        }
    }
}

#[tokio::test]
async fn an_address_can_have_a_certificate() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.certify(&["127.0.0.1"], |_| {}), |_| ok("proved")).await;
    let port = server.port();
    let call = World::with(egress(&names([]), &[authority.pem]), [format!("https://127.0.0.1:{port}")]).call();
    assert_eq!(fetch(&call, get(&format!("https://127.0.0.1:{port}/"))).await.unwrap(), "proved");
}

#[test]
fn a_file_without_a_certificate_is_no_authority() {
    for pem in [&b""[..], b"no pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = super::Egress::new(crate::resolver::Resolver::System, &[pem.to_vec()]).unwrap_err();
        assert!(error.to_string().starts_with("certificate file 1 of `extra_ca` cannot be used: "), "{error}");
    }
}

#[tokio::test]
async fn the_limits_of_a_call_hold_and_say_how_to_raise_them() {
    let server =
        Server::start(|request| ok(if request.starts_with("GET /long") { "0123456789" } else { "01234567" })).await;
    let port = server.port();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let mut world = World::new([format!("* http://127.0.0.1:{port}")]);
    (world.limits.http_requests, world.limits.http_request_body, world.limits.http_response_body) = (4, 8, 8);
    let call = world.call();
    assert_eq!(fetch(&call, post(&url("/"), "12345678")).await.unwrap(), "01234567");
    assert!(matches!(fetch(&call, post(&url("/"), "123456789")).await, Err(Error::HttpRequestBodySize(Some(8)))));
    let pieces = ["12345", "6789"].map(|piece| Ok(http_body::Frame::data(bytes::Bytes::from_static(piece.as_bytes()))));
    let pieces = http_body_util::StreamBody::new(futures::stream::iter(pieces)).boxed_unsync();
    let streamed = fetch(&call, http::Request::post(url("/")).body(pieces).unwrap()).await;
    assert!(matches!(streamed, Err(Error::HttpRequestBodySize(Some(8)))), "{streamed:?}");
    assert!(matches!(fetch(&call, get(&url("/long"))).await, Err(Error::HttpResponseBodySize(Some(8)))));
    assert!(matches!(fetch(&call, get(&url("/"))).await, Err(Error::ConnectionLimitReached)));
    let notes: Vec<String> = call.ledger.denials().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "`web_fetch` sent a request body of more than 8 bytes; raise `limits.http_request_body` under `[plugins.fetch]` (bailiwick.toml:1)",
            "`web_fetch` was sent a response body of more than 8 bytes; raise `limits.http_response_body` under `[plugins.fetch]` (bailiwick.toml:1)",
            "`web_fetch` made more than 4 HTTP requests in one call; raise `limits.http_requests` under `[plugins.fetch]` (bailiwick.toml:1)",
        ]
    );
    assert_eq!(codes(&call), ["limit.http"; 3]);
}

#[tokio::test]
async fn a_request_waits_until_another_is_done() {
    let server = Server::start(|_| ok("body")).await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    let mut world = World::new([format!("http://127.0.0.1:{}", server.port())]);
    world.limits.http_concurrent = 2;
    let call = world.call();
    let first = send(&call, get(&url)).await.unwrap();
    let second = send(&call, get(&url)).await.unwrap();
    let mut third = Box::pin(send(&call, get(&url)));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut third).await.is_err(), "two are open");
    drop(first);
    let third = third.await.unwrap();
    // A body that was read to its end counts no more, even if the guest keeps it.
    let mut body = second.into_body();
    while body.frame().await.is_some() {}
    send(&call, get(&url)).await.unwrap();
    drop(third);
}

#[tokio::test]
async fn waiting_for_another_request_ends_with_the_call() {
    let server = Server::start(|_| ok("body")).await;
    let url = format!("http://127.0.0.1:{}/", server.port());
    let mut world = World::new([format!("http://127.0.0.1:{}", server.port())]);
    (world.limits.http_concurrent, world.limits.time) = (1, Duration::from_millis(100));
    let call = world.call();
    let _first = send(&call, get(&url)).await.unwrap();
    assert!(matches!(send(&call, get(&url)).await, Err(Error::ConnectionLimitReached)));
    assert_eq!(codes(&call), ["limit.http"]);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test runs another of this file with a proxy in its environment")]
async fn a_proxy_in_the_environment_is_ignored() {
    let proxy = Server::start(|_| ok("")).await;
    let address = format!("http://{}", proxy.address);
    let test = "egress::tests::a_granted_request_is_sent_as_it_was_judged";
    let run = tokio::task::spawn_blocking(move || {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            child.env(name, &address);
        }
        child.env_remove("NO_PROXY").env_remove("no_proxy").args(["--exact", test]).output().unwrap()
    });
    let output = run.await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
    assert_eq!(proxy.connections(), 0);
}
