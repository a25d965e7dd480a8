//! What arrives at a service, and what comes of its answer.

use serde_json::json;

use bailiwick::artifact::Owner;
use bailiwick::channel::Channel;

use super::{echo, echoing, plugin, refused, shop_host, troubled};
use crate::support::host::World;
use crate::support::{Reply, TestHost, Upstream, told};

#[tokio::test]
async fn c12_arguments_are_those_a_caller_may_give() {
    let (_upstream, host) = shop_host("", "").await;
    let schema = host.schema("get_item");
    let mut names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["X-Trace", "id", "tags", "tenant"], "no credentials");
    assert_eq!(host.schema("add_item")["required"], json!(["name", "tenant"]));
    assert_eq!(host.schema("remove_item")["required"], json!(["id"]), "the path's own parameters count");
}

#[tokio::test]
async fn c13_arguments_go_where_the_document_says() {
    let (_upstream, host) = shop_host("", "").await;
    let came = host.value("get_item", json!({"id": "a/../b?x#y z", "tags": ["1", "2&3"], "X-Trace": "t"})).await;
    assert_eq!(came["method"], "GET");
    assert_eq!(came["target"], "/items/a%2F..%2Fb%3Fx%23y%20z?tags=1&tags=2%263");
    assert_eq!(came["headers"]["x-trace"], "t");
    assert!(came["headers"]["accept"].as_str().unwrap().contains("json"));
    let came = host.value("add_item", json!({"name": "n", "price": null, "tenant": "t"})).await;
    assert_eq!((came["method"].as_str(), came["target"].as_str()), (Some("POST"), Some("/items")));
    assert_eq!(came["headers"]["content-type"], "application/json");
    let body: serde_json::Value = serde_json::from_str(came["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["name"], "n");
    for id in [".", "..", ""] {
        refused(&host, "get_item", json!({"id": id, "X-Trace": "t"}), "arguments.invalid").await;
    }
}

#[tokio::test]
async fn c13_a_refusal_is_told_with_its_status_and_its_reason() {
    let upstream = Upstream::new(|request| match request.target.as_str() {
        "/openapi.json" => echoing(super::shop())(request),
        "/named" => Reply::status(429, "slow down").header("retry-after", "7"),
        "/reports/last" => Reply::status(401, "who are you"),
        _ => Reply::status(204, ""),
    })
    .await;
    let host = TestHost::new(&plugin("shop", upstream.port, "", "")).await;
    let outcome = host.call("called", json!({})).await;
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.code.as_str(), "upstream.status");
    assert!(failure.message.contains("429") && failure.message.contains("slow down"), "{failure}");
    let refused = host.call("last_get", json!({})).await.result.unwrap_err();
    assert_eq!(refused.code.as_str(), "upstream.auth");
    let empty = told(&host.call("get_item", json!({"id": "1", "X-Trace": "t"})).await);
    assert!(empty.contains("204"), "{empty}");
}

#[tokio::test]
async fn c7_headers_are_on_every_request_and_in_nothing_a_caller_sees() {
    let secret = "[plugins.shop.secrets.KEY]\nfile = \"./key\"\norigin = \"http://127.0.0.1:PORT\"\nheader = \"Authorization\"\nformat = \"Bearer {}\"\n";
    let upstream = Upstream::new(echoing(super::shop())).await;
    let lines = secret.replace("PORT", &upstream.port.to_string());
    let text = plugin("shop", upstream.port, ", headers = { X-Client = \"blue\" }", &lines);
    let host = World::new().secret("key", "s3cret-of-the-shop").start(&text).await;
    let outcome = told(&host.call("get_item", json!({"id": "1", "X-Trace": "t"})).await);
    assert!(outcome.contains("\"x-client\":\"blue\""), "{outcome}");
    assert!(!outcome.contains("s3cret-of-the-shop"), "what is reflected is masked: {outcome}");
    let seen = upstream.requests();
    let sent = seen.iter().find(|request| request.target.starts_with("/items/")).unwrap();
    assert_eq!(sent.header("authorization"), Some("Bearer s3cret-of-the-shop"));
    assert_eq!(sent.header("x-client"), Some("blue"));
    assert!(!host.schema("get_item").to_string().contains("uthorization"));
}

#[tokio::test]
async fn c8_what_is_injected_is_hidden_and_always_wins() {
    let (_upstream, host) = shop_host("", "inject = { tenant = \"acme\" }").await;
    for tool in ["get_item", "add_item"] {
        let schema = host.schema(tool);
        assert!(!schema.to_string().contains("tenant"), "{schema}");
    }
    let came = host.value("get_item", json!({"id": "1", "X-Trace": "t"})).await;
    assert_eq!(came["target"], "/items/1?tenant=acme");
    let came = host.value("add_item", json!({"name": "n"})).await;
    assert_eq!(came["body"], "{\"name\":\"n\",\"tenant\":\"acme\"}");
    for tenant in ["tenant", "Tenant", "TENANT"] {
        refused(&host, "add_item", json!({"name": "n", tenant: "evil"}), "arguments.invalid").await;
    }
}

#[tokio::test]
async fn c6_a_service_that_does_not_answer_is_given_up() {
    let upstream = Upstream::new(|request| match request.target.as_str() {
        "/openapi.json" => echoing(super::shop())(request),
        _ => Reply::silence(),
    })
    .await;
    let host = TestHost::new(&plugin("shop", upstream.port, "", "limits.time = \"1s\"")).await;
    let told = host.told("called", json!({})).await;
    assert!(["upstream.timeout", "limit.time"].contains(&told.split(':').next().unwrap_or_default()), "{told}");
    let tool = host.listed();
    assert!(tool.contains(&"called".to_owned()));
}

#[tokio::test]
async fn g9_one_request_is_a_tool() {
    let upstream = Upstream::new(echo).await;
    let port = upstream.port;
    let text = format!(
        "[plugins.get_thing]\nhttp = {{ url = \"http://127.0.0.1:{port}/things/{{id}}?v=1\", method = \"GET\", description = \"A thing.\", headers = {{ X-Client = \"blue\" }} }}\n\
         net = [\"http://127.0.0.1:{port}\"]\n\
         [plugins.put_thing]\nhttp = {{ url = \"http://127.0.0.1:{port}/things/{{id}}\", method = \"PUT\", input = {{ type = \"object\", properties = {{ id = {{ type = \"integer\" }}, tenant = {{ type = \"string\" }} }} }} }}\n\
         net = [\"PUT http://127.0.0.1:{port}\"]\ninject = {{ tenant = \"acme\" }}\n"
    );
    let host = TestHost::new(&text).await;
    assert_eq!(host.listed(), ["get_thing", "put_thing"]);
    let came = host.value("get_thing", json!({"id": "a/b", "q": ["1", "2"], "n": 3})).await;
    let target = came["target"].as_str().unwrap();
    assert!(
        target.starts_with("/things/a%2Fb?v=1&") && target.contains("q=1&q=2") && target.contains("n=3"),
        "{target}"
    );
    assert_eq!(came["headers"]["x-client"], "blue");
    refused(&host, "get_thing", json!({}), "arguments.invalid").await;
    let came = host.value("put_thing", json!({"id": 7, "name": "n"})).await;
    assert_eq!((came["method"].as_str(), came["target"].as_str()), (Some("PUT"), Some("/things/7")));
    let body: serde_json::Value = serde_json::from_str(came["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"name": "n", "tenant": "acme"}));
    assert!(host.schema("put_thing")["properties"].get("tenant").is_none());
    refused(&host, "put_thing", json!({"id": "x"}), "arguments.invalid").await;
}

#[tokio::test]
async fn c16_certificates_are_checked_unless_the_operator_says_otherwise() {
    let upstream = Upstream::secure(&["127.0.0.1"], echoing(super::shop())).await;
    let port = upstream.port;
    let text = |keys: &str| {
        format!(
            "[plugins.shop]\nopenapi = {{ url = \"https://127.0.0.1:{port}\"{keys} }}\nnet = [\"https://127.0.0.1:{port}\"]\n"
        )
    };
    let host = troubled(World::new(), &text("")).await;
    assert!(host.problems()[0].contains("certificate"), "{:?}", host.problems());
    let host = TestHost::new(&text(", danger_unverified_tls = true")).await;
    assert_eq!(host.value("called", json!({})).await["target"], "/named");
}

#[tokio::test]
async fn what_an_earlier_call_left_is_sent_as_a_file() {
    let document = json!({
        "openapi": "3.1.0", "info": {"title": "T", "version": "1"},
        "paths": {
            "/photo": {"get": {"operationId": "photo"}},
            "/upload": {"post": {"operationId": "upload", "requestBody": {"required": true, "content": {
                "multipart/form-data": {"schema": {"type": "object", "properties": {
                    "file": {"type": "string", "format": "binary"}, "title": {"type": "string"},
                }}}}}}},
        },
    });
    let photo = vec![0xff; 300_000];
    let bytes = photo.clone();
    let upstream = Upstream::new(move |request| match request.target.as_str() {
        "/openapi.json" => echoing(document.clone())(request),
        "/photo" => Reply::ok(bytes.clone()).header("content-type", "image/png"),
        _ => Reply::ok("taken"),
    })
    .await;
    let owner = Owner::Named("key:a".into());
    let host =
        TestHost::new(&plugin("api", upstream.port, "", "")).await.channel(Channel { owner, ..Channel::default() });
    let outcome = host.call("photo", json!({})).await;
    let output = outcome.result.expect("it answers");
    let link = output.content.iter().find_map(|piece| {
        let bailiwick_core::outcome::Content::Link(link) = piece else { return None };
        Some(link.uri.clone())
    });
    let link = link.expect("it is kept");
    let sent = host.call("upload", json!({"title": "t", "file": {"artifact": link}})).await;
    assert!(sent.result.is_ok(), "{sent:?}");
    let seen = upstream.requests();
    let upload = seen.iter().find(|request| request.target == "/upload").unwrap();
    assert!(upload.body.windows(photo.len()).any(|window| window == photo));
    assert!(upload.header("content-type").unwrap().starts_with("multipart/form-data; boundary="));
}
