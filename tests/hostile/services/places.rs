//! What callers say to a service: a value stays in its place, whatever is in it.

use serde_json::{Map, Value, json};

use super::{Service, counted, document, get, left_out};
use crate::support::told;
use crate::support::upstream::Received;

/// Texts that would be more than a value somewhere.
const TEXTS: [&str; 30] = [
    "../admin",
    "..",
    ".",
    "%2e%2e",
    "%2e%2e%2fadmin",
    "..%2f",
    "..\\admin",
    "a/b",
    "/",
    "//evil.test/",
    "%2f",
    "%",
    "%00",
    "\0",
    "?x=1",
    "a&b=c",
    "#frag",
    "a;b=c",
    "\r\nX-Injected: 1",
    "\r\n\r\nGET /admin HTTP/1.1",
    "\n",
    " ",
    "a b+c",
    "é\u{202e}",
    "{id}",
    "@evil.test",
    ":80",
    "http://evil.test/",
    "*",
    "\u{ff0f}",
];

/// What the text is in a place where only unreserved characters stand as they are.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Nothing of a request is anything but what was meant.
fn is_whole(request: &Received, about: &str) {
    for (name, value) in &request.headers {
        assert!(!name.starts_with("x-injected") && !value.contains("evil.test"), "{about}: {request:?}");
    }
    assert!(!request.target.contains(['\r', '\n', ' ', '#']), "{about}: {request:?}");
}

#[tokio::test]
async fn oas10_a_value_in_a_path_is_one_segment() {
    let any = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": ["string", "number", "boolean", "array", "object"]}}]);
    let service = Service::of(&document(
        json!({"/users/{id}/notes": get("notes", any.clone()), "/f/a{id}.json": get("file", any)}),
    ))
    .await;
    let host = service.host("", "").await;
    let mut inputs = 0;
    for text in TEXTS {
        let before = service.asked().len();
        let outcome = host.call("notes", json!({"id": text})).await;
        if matches!(text, "." | "..") {
            assert_eq!(outcome.code(), "arguments.invalid", "{text:?}: {}", told(&outcome));
            assert_eq!(service.asked().len(), before, "{text:?}");
        } else {
            assert_eq!(told(&outcome), "ok: done", "{text:?}");
            assert_eq!(service.asked().len(), before + 1, "{text:?}");
            assert_eq!(service.last().target, format!("/users/{}/notes", encoded(text)), "{text:?}");
            is_whole(&service.last(), text);
        }
        let outcome = host.call("file", json!({"id": text})).await;
        assert_eq!(told(&outcome), "ok: done", "{text:?}");
        assert_eq!(service.last().target, format!("/f/a{}.json", encoded(text)), "{text:?}");
        inputs += 2;
    }
    for (value, expected) in [
        (json!(["a", "b/c"]), "a,b%2Fc"),
        (json!({"a": "../x", "b": 1}), "a,..%2Fx,b,1"),
        (json!([["..", "/"]]), "%5B%22..%22%2C%22%2F%22%5D"),
        (json!(true), "true"),
        (json!(1e300), "1e%2B300"),
        (json!(-0.5), "-0.5"),
    ] {
        assert_eq!(host.told("notes", json!({"id": value})).await, "ok: done", "{value}");
        assert_eq!(service.last().target, format!("/users/{expected}/notes"), "{value}");
        inputs += 1;
    }
    let before = service.asked().len();
    for value in [json!(""), Value::Null, json!([]), json!({}), json!([null]), json!([".."])] {
        let outcome = host.call("notes", json!({"id": value})).await;
        assert_eq!(outcome.code(), "arguments.invalid", "{value}: {}", told(&outcome));
        inputs += 1;
    }
    for arguments in [json!({}), json!({"id": "a", "x": 1}), json!({"ID": "a"}), json!(["a"])] {
        let outcome = host.call("notes", arguments.clone()).await;
        assert_eq!(outcome.code(), "arguments.invalid", "{arguments}: {}", told(&outcome));
        inputs += 1;
    }
    assert_eq!(service.asked().len(), before, "none of it was sent");
    counted("OAS-10", inputs);
}

#[tokio::test]
async fn oas10_a_path_of_a_document_is_one_below_the_service() {
    let paths = [
        "/../admin",
        "/a/../../b",
        "/a/%2e%2e/b",
        "/a/.%2E/b",
        "/./a",
        "//evil.test/x",
        "/q?x=1",
        "/h#f",
        "relative",
        "http://evil.test/x",
        "/\\evil.test",
        "/\r\nHost: evil.test",
        "/{a}{",
        "/}",
        "/{../x}",
        "",
        "/a\u{202e}b",
        "/a%2fb/%2e%2e",
        "/a%00b",
        "/a\tb",
    ];
    for path in paths {
        let service =
            Service::of(&document(json!({path: get("odd", json!([])), "/ping": get("ping", json!([]))}))).await;
        let host = service.host("", "").await;
        assert_eq!(host.told("ping", json!({})).await, "ok: done", "{path:?}");
        if !host.listed().contains(&"odd".to_owned()) {
            assert!(!left_out(&host).is_empty(), "{path:?}");
            continue;
        }
        let schema = host.schema("odd");
        let names = schema["properties"].as_object().into_iter().flatten();
        let arguments: Map<String, Value> = names.map(|(name, _)| (name.clone(), json!("v"))).collect();
        let _ = host.call("odd", Value::Object(arguments)).await;
        for request in service.asked() {
            is_whole(&request, path);
            assert!(request.target.starts_with('/') && !request.target.contains(".."), "{path:?}: {request:?}");
            assert_eq!(request.header("host"), Some(format!("127.0.0.1:{}", service.web.port).as_str()));
        }
    }
    counted("OAS-10", paths.len());
}

#[tokio::test]
async fn oas11_a_value_in_a_query_is_one_value() {
    let parameter = |name: &str, more: Value| {
        let mut parameter = json!({"name": name, "in": "query", "schema": {}});
        parameter.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        parameter
    };
    let parameters = json!([
        parameter("q", json!({})),
        parameter("flat", json!({"explode": false})),
        parameter("space", json!({"style": "spaceDelimited", "explode": false})),
        parameter("pipe", json!({"style": "pipeDelimited", "explode": false})),
        parameter("deep", json!({"style": "deepObject"})),
        parameter("free", json!({"allowReserved": true})),
        {"name": "text", "in": "query", "content": {"application/json": {"schema": {}}}},
        parameter("a&b=c#d", json!({})),
    ]);
    let service = Service::of(&document(json!({"/find": get("find", parameters)}))).await;
    let host = service.host("", "").await;
    let mut inputs = 0;
    for text in TEXTS {
        for name in ["q", "flat", "space", "pipe", "deep", "free"] {
            assert_eq!(host.told("find", json!({name: text})).await, "ok: done", "{name} {text:?}");
            let request = service.last();
            is_whole(&request, text);
            let pairs: Vec<(String, String)> = pairs(&request);
            assert_eq!(pairs, [(name.to_owned(), text.to_owned())], "{text:?}: {request:?}");
            assert!(name == "free" || request.target == format!("/find?{name}={}", encoded(text)), "{request:?}");
            inputs += 1;
        }
    }
    for (arguments, expected) in [
        (json!({"q": ["a&b=c", "d"]}), "q=a%26b%3Dc&q=d"),
        (json!({"q": {"x&y": "1"}}), "x%26y=1"),
        (json!({"flat": ["a,b", "c"]}), "flat=a%2Cb,c"),
        (json!({"flat": {"a": "b&c"}}), "flat=a,b%26c"),
        (json!({"space": ["a b", "c"]}), "space=a%20b%20c"),
        (json!({"pipe": ["a|b", "c"]}), "pipe=a%7Cb%7Cc"),
        (json!({"deep": {"a]&b": {"c": "="}}}), "deep%5Ba%5D%26b%5D%5Bc%5D=%3D"),
        (json!({"text": {"a": "&=#"}}), "text=%7B%22a%22%3A%22%26%3D%23%22%7D"),
        (json!({"a_b_c_d": "1"}), "a%26b%3Dc%23d=1"),
        (json!({"q": null}), ""),
        (json!({"q": [null, null]}), ""),
        (json!({"q": ""}), "q="),
    ] {
        assert_eq!(host.told("find", arguments.clone()).await, "ok: done", "{arguments}");
        let target = service.last().target;
        assert_eq!(target.split_once('?').map_or("", |(_, query)| query), expected, "{arguments}");
        inputs += 1;
    }
    // A key of an object is no way to say what another argument says.
    let before = service.asked().len();
    for arguments in [json!({"q": {"flat": "x"}}), json!({"q": {"FREE": "x"}}), json!({"q": {"text": 1}})] {
        assert_eq!(host.call("find", arguments.clone()).await.code(), "arguments.invalid", "{arguments}");
        inputs += 1;
    }
    let long = host.call("find", json!({"q": "x".repeat(70_000)})).await;
    assert_eq!(long.code(), "arguments.invalid", "{}", told(&long));
    assert_eq!(service.asked().len(), before);
    counted("OAS-11", inputs + 1);
}

fn pairs(request: &Received) -> Vec<(String, String)> {
    // A plus sign is a space to some and none to others: none is sent.
    assert!(!request.target.contains('+'), "{request:?}");
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').map_or((decoded(pair), String::new()), |(n, v)| (decoded(n), decoded(v))))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match escape.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &after[2..]).1,
            None => (bytes.push(*first), rest = after).1,
        }
    }
    String::from_utf8(bytes).expect("it was text")
}

/// Names of headers that are the host's, the operator's or the connection's.
const HEADERS: [&str; 34] = [
    "Host",
    "host",
    "HOST",
    "Authorization",
    "authorization",
    "Cookie",
    "Content-Length",
    "Content-Type",
    "Accept",
    "Transfer-Encoding",
    "Connection",
    "Upgrade",
    "Expect",
    "TE",
    "Trailer",
    "Keep-Alive",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "x-http-method-override",
    "X-Method-Override",
    "X-Api-Key",
    "Api-Key",
    "X-Auth-Token",
    "Set-Cookie",
];

#[tokio::test]
async fn oas12_headers_that_are_not_a_callers_are_none_of_its_arguments() {
    for name in HEADERS {
        let parameters = json!([
            {"name": name, "in": "header", "required": true, "schema": {"type": "string"}},
            {"name": "X-Fine", "in": "header", "required": true, "schema": {"type": "string"}},
        ]);
        let service = Service::of(&document(json!({"/a": get("a", parameters)}))).await;
        let host = service.host(", optional_headers = true", "").await;
        let schema = host.schema("a");
        let known: Vec<&String> = schema["properties"].as_object().expect("an object").keys().collect();
        assert_eq!(known, ["X-Fine"], "{name}");
        let outcome = host.call("a", json!({"X-Fine": "1", name: "evil.test"})).await;
        assert_eq!(outcome.code(), "arguments.invalid", "{name}: {}", told(&outcome));
        assert_eq!(host.told("a", json!({"X-Fine": "1"})).await, "ok: done", "{name}");
        let request = service.last();
        is_whole(&request, name);
        assert_eq!((request.header("x-fine"), service.asked().len()), (Some("1"), 1), "{name}");
        assert_eq!(request.header("host"), Some(format!("127.0.0.1:{}", service.web.port).as_str()), "{name}");
    }
    for name in ["X\r\nX-Injected", "X: 1", "X A", "", "X\0", "\u{e9}", "X\u{202e}", "a,b", "(x)", "X\n"] {
        let parameters = json!([{"name": name, "in": "header", "required": true, "schema": {"type": "string"}}]);
        let service =
            Service::of(&document(json!({"/a": get("a", parameters), "/ping": get("ping", json!([]))}))).await;
        let host = service.host("", "").await;
        assert_eq!(host.listed(), ["ping"], "{name:?}: {}", left_out(&host));
        assert!(left_out(&host).contains("header"), "{name:?}: {}", left_out(&host));
    }
    counted("OAS-12", HEADERS.len() + 10);
}

#[tokio::test]
async fn oas12_a_value_in_a_header_is_one_value() {
    let parameters = json!([{"name": "X-Fine", "in": "header", "required": true, "schema": {}}]);
    let service = Service::of(&document(json!({"/a": get("a", parameters)}))).await;
    let host = service.host("", "").await;
    let mut inputs = 0;
    for text in TEXTS {
        let before = service.asked().len();
        let outcome = host.call("a", json!({"X-Fine": text})).await;
        if text.contains(char::is_control) {
            assert_eq!(outcome.code(), "arguments.invalid", "{text:?}: {}", told(&outcome));
            assert_eq!(service.asked().len(), before, "{text:?}");
        } else if text.is_ascii() {
            assert_eq!(told(&outcome), "ok: done", "{text:?}");
            let request = service.last();
            assert_eq!(request.header("x-fine"), Some(text.trim()), "{text:?}");
            assert!(request.header("x-injected").is_none() && request.target == "/a", "{request:?}");
        }
        inputs += 1;
    }
    for value in [
        json!(["a\r\nX-Injected: 1"]),
        json!({"a": "b\nX-Injected: 1"}),
        json!({"a\r\nX-Injected": 1}),
        json!("a\u{7f}b"),
        json!("a\u{0}b"),
        json!("a\rb"),
    ] {
        assert_eq!(host.call("a", json!({"X-Fine": value})).await.code(), "arguments.invalid", "{value}");
        inputs += 1;
    }
    assert!(service.asked().iter().all(|request| request.header("x-injected").is_none()));
    counted("OAS-12", inputs);
}

#[tokio::test]
async fn oas13_a_cookie_is_one_cookie_and_never_a_credential() {
    let cookie = |name: &str| json!({"name": name, "in": "cookie", "required": true, "schema": {}});
    let mut said = document(json!({"/a": get("a", json!([cookie("theme"), cookie("session"), cookie("X-Api-Key")]))}));
    said["components"] = json!({"securitySchemes": {"login": {"type": "apiKey", "in": "cookie", "name": "session"}}});
    let service = Service::of(&said).await;
    let host = service.host("", "").await;
    assert_eq!(host.schema("a")["properties"].as_object().expect("an object").len(), 1, "{}", host.schema("a"));
    let mut inputs = 3;
    for text in TEXTS {
        let outcome = host.call("a", json!({"theme": text})).await;
        if outcome.result.is_ok() {
            let request = service.last();
            let sent = request.header("cookie").expect("a cookie");
            assert!(sent.starts_with("theme=") && !sent.contains([';', ',', '"', ' ', '\\']), "{text:?}: {sent:?}");
            assert!(request.header("x-injected").is_none(), "{text:?}");
        } else {
            assert_eq!(outcome.code(), "arguments.invalid", "{text:?}: {}", told(&outcome));
        }
        inputs += 1;
    }
    for value in [
        json!({"session": "mine"}),
        json!({"theme": "x", "session": "mine"}),
        json!({"theme": {"session": "mine"}}),
        json!({"theme": {"a;session": "x"}}),
        json!({"theme": "x", "Cookie": "session=mine"}),
    ] {
        let before = service.asked().len();
        let outcome = host.call("a", value.clone()).await;
        let sent = service.asked().get(before).map(|request| request.header("cookie").unwrap_or_default().to_owned());
        let clean = sent.as_ref().is_none_or(|sent| !sent.split("; ").any(|one| one.starts_with("session=")));
        assert!(clean, "{value}: {sent:?}: {}", told(&outcome));
        inputs += 1;
    }
    assert_eq!(host.told("a", json!({"theme": "dark"})).await, "ok: done");
    assert_eq!(service.last().header("cookie"), Some("theme=dark"));
    counted("OAS-13", inputs);
}

#[tokio::test]
async fn oas15_a_method_is_what_the_document_says_and_the_grant_allows() {
    let body = json!({"requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {"b": {}}}}}}});
    let with = |name: &str| {
        let mut operation = body.clone();
        operation["operationId"] = json!(name);
        operation
    };
    let said = document(json!({"/a": {
        "get": with("get_a"), "head": with("head_a"), "post": with("post_a"), "put": with("put_a"), "patch": with("patch_a"),
        "delete": with("delete_a"), "options": with("options_a"), "trace": with("trace_a"), "connect": with("connect_a"),
        "GET": with("upper_a"), "post\r\nX": with("broken_a"), "query": with("query_a"), "x-method": with("own_a"),
    }}));
    let service = Service::of(&said).await;
    let host = service.host("", "approval = \"never\"").await;
    assert_eq!(
        host.listed(),
        ["delete_a", "get_a", "head_a", "options_a", "patch_a", "post_a", "put_a"],
        "{}",
        left_out(&host)
    );
    assert!(left_out(&host).contains("TRACE"), "{}", left_out(&host));
    for name in host.listed() {
        let takes = host.schema(&name)["properties"].as_object().is_some_and(|fields| fields.contains_key("b"));
        let arguments = if takes { json!({"b": "x"}) } else { json!({}) };
        let outcome = host.call(&name, arguments).await;
        assert!(outcome.result.is_ok(), "{name}: {}", told(&outcome));
        let request = service.last();
        assert_eq!(request.method.to_ascii_lowercase(), name.trim_end_matches("_a"), "{request:?}");
        assert!(!matches!(request.method.as_str(), "GET" | "HEAD") || request.body.is_empty(), "{request:?}");
    }
    // What `net` does not grant is no tool, and no argument makes another method of one.
    let own = service.web.url("");
    for (net, expected) in [
        ("GET", vec!["get_a"]),
        ("GET,HEAD", vec!["get_a", "head_a"]),
        ("GET,POST", vec!["get_a", "post_a"]),
        ("GET,DELETE", vec!["delete_a", "get_a"]),
    ] {
        let text = format!("[plugins.shop]\nopenapi = {{ url = \"{own}\" }}\nnet = [\"{net} {own}\"]\n");
        let host = crate::support::host::World::new().start(&text).await;
        assert_eq!(host.listed(), expected, "{net}");
        assert!(left_out(&host).contains("granted"), "{net}: {}", left_out(&host));
        let before = service.asked().len();
        for arguments in [json!({"_method": "DELETE"}), json!({"X-HTTP-Method-Override": "DELETE"})] {
            let outcome = host.call("get_a", arguments).await;
            assert_eq!(outcome.code(), "arguments.invalid", "{}", told(&outcome));
        }
        assert_eq!(service.asked().len(), before);
    }
    counted("OAS-15", 13 + 12);
}

#[tokio::test]
async fn oas15_a_redirect_takes_no_method_where_it_is_not_granted() {
    let said = document(json!({"/a": {"delete": {"operationId": "delete_a"}}}));
    let moved = Service::answering(&said, |request| match request.target.as_str() {
        "/a" => crate::support::Reply::redirect(307, "/elsewhere"),
        _ => crate::support::Reply::ok("done"),
    });
    let moved = moved.await;
    let own = moved.web.url("");
    let text = format!(
        "[plugins.shop]\nopenapi = {{ url = \"{own}\" }}\nnet = [\"GET {own}\", \"DELETE {own}/a\"]\napproval = \"never\"\n"
    );
    let host = crate::support::host::World::new().start(&text).await;
    let outcome = host.call("delete_a", json!({})).await;
    assert_eq!(outcome.code(), "denied.net.path", "{}", told(&outcome));
    assert_eq!(moved.asked().len(), 1);
    counted("OAS-15", 1);
}
