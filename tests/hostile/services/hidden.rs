//! What callers never see and never change: arguments that the operator fills, headers it gives, keys it holds.

use serde_json::{Value, json};

use super::{Service, counted, document, get, post, tried, with_schemas};
use crate::support::host::World;
use crate::support::program::Run;
use crate::support::upstream::Received;
use crate::support::{Reply, TestHost, log, told};

/// What the operator fills in, and what a caller would rather have there.
const OURS: &str = "operators-own";
const THEIRS: &str = "callers-own";

fn injecting(lines: &str) -> String {
    format!("inject = {{ tenant = \"{OURS}\" }}\n{lines}")
}

/// What the caller's value could be hidden in.
fn spellings() -> Vec<Value> {
    [
        "tenant",
        "Tenant",
        "TENANT",
        "tenant[]",
        "tenant[0]",
        "Tenant[a]",
        "tenan\u{74}",
        "tenant ",
        " tenant",
        "tenant\0",
    ]
    .into_iter()
    .flat_map(|name| {
        [json!({name: THEIRS}), json!({name: [THEIRS]}), json!({name: {"a": THEIRS}}), json!({name: null})]
    })
    .collect()
}

/// Whatever was sent holds the operator's value once and the caller's nowhere.
fn is_ours(request: &Received, about: &str) {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let headers: String = request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let all = format!("{}\n{headers}\n{body}", request.target);
    assert_eq!(all.matches(OURS).count(), 1, "{about}: {all}");
    // A field of a field is not what the operator means.
    let fields = serde_json::from_str::<serde_json::Map<String, Value>>(&body).unwrap_or_default();
    let mut own = fields.iter().filter(|(name, _)| *name != "body");
    assert!(own.all(|(_, value)| !value.to_string().contains(THEIRS)), "{about}: {all}");
    assert!(fields.contains_key("body") || !all.contains(THEIRS), "{about}: {all}");
}

/// The same schema for any more fields.
fn open(object: &Value) -> Value {
    let mut open = object.clone();
    open["additionalProperties"] = json!(true);
    open
}

/// Documents that have `tenant` somewhere, each with an operation `a`.
fn with_tenant() -> Vec<(&'static str, Value)> {
    let schema = json!({"type": "string", "default": "d-tenant", "example": "e-tenant", "enum": ["x-tenant"]});
    let parameter = |at: &str| {
        let path = if at == "path" { "/a/{tenant}" } else { "/a" };
        document(
            json!({path: get("a", json!([{"name": "tenant", "in": at, "required": true, "schema": schema}, {"name": "q", "in": "query"}]))}),
        )
    };
    let object = json!({"type": "object", "required": ["tenant"], "properties": {"tenant": schema, "q": {}}, "example": {"tenant": "e-tenant"}, "default": {"tenant": "d-tenant"}});
    let body = |schema: Value| {
        with_schemas(
            json!({"/a": post("a", schema)}),
            json!({"T": object, "U": {"allOf": [{"$ref": "#/components/schemas/T"}]}}),
        )
    };
    let media = |media: &str| {
        document(json!({"/a": {"post": {"operationId": "a", "requestBody": {"content": {media: {"schema": object}}}}}}))
    };
    let mut upper = object.clone();
    upper["properties"] = json!({"TENANT": schema, "q": {}});
    upper["required"] = json!(["TENANT"]);
    vec![
        ("path", parameter("path")),
        ("query", parameter("query")),
        ("header", parameter("header")),
        ("cookie", parameter("cookie")),
        ("an undeclared path", document(json!({"/a/{tenant}": get("a", json!([{"name": "q", "in": "query"}]))}))),
        ("nowhere, in GET", document(json!({"/a": get("a", json!([{"name": "q", "in": "query"}]))}))),
        (
            "nowhere, in POST",
            document(json!({"/a": {"post": {"operationId": "a", "parameters": [{"name": "q", "in": "query"}]}}})),
        ),
        ("a body", body(object.clone())),
        ("a body of a name", body(json!({"$ref": "#/components/schemas/T"}))),
        ("a body of two names", body(json!({"$ref": "#/components/schemas/U"}))),
        ("all of", body(json!({"allOf": [object.clone(), {"type": "object", "required": ["tenant"]}]}))),
        ("any of", body(json!({"anyOf": [object.clone(), {"$ref": "#/components/schemas/U"}]}))),
        (
            "one of",
            body(
                json!({"oneOf": [object.clone(), {"type": "object", "properties": {"tenant": schema, "z": {}}, "required": ["z"]}]}),
            ),
        ),
        (
            "if",
            body(
                json!({"type": "object", "properties": {"q": {}}, "if": {"required": ["tenant"]}, "then": {"properties": {"tenant": schema}}}),
            ),
        ),
        (
            "dependencies",
            body(
                json!({"type": "object", "properties": {"q": {}}, "dependentSchemas": {"tenant": {"required": ["tenant"]}}, "dependentRequired": {"q": ["tenant"]}}),
            ),
        ),
        ("another case", body(upper)),
        ("an open body", body(open(&object))),
        ("any body", body(json!({}))),
        ("a form", media("application/x-www-form-urlencoded")),
        ("parts", media("multipart/form-data")),
    ]
}

#[tokio::test]
async fn oas14_what_is_injected_is_in_no_schema_and_always_wins() {
    let mut inputs = 0;
    for (about, said) in with_tenant() {
        let service = Service::of(&said).await;
        let host = service.host(", optional_headers = true", &injecting("")).await;
        let shown = host.schema("a").to_string();
        assert!(!shown.to_ascii_lowercase().contains("tenant"), "{about}: {shown}");
        assert!(!shown.contains(OURS), "{about}: {shown}");
        let empty = if shown.contains("\"required\":[\"z\"]") { json!({"z": 1}) } else { json!({}) };
        let outcome = host.call("a", json!({"q": "1"})).await;
        let outcome = if outcome.result.is_ok() { outcome } else { host.call("a", empty).await };
        let outcome = if outcome.result.is_ok() { outcome } else { host.call("a", json!({"body": {"q": "1"}})).await };
        assert_eq!(told(&outcome), "ok: done", "{about}: {shown}");
        is_ours(&service.last(), about);
        for arguments in spellings() {
            let before = service.asked().len();
            let mut beside = arguments.clone();
            beside["q"] = json!("1");
            let mut within = json!({"body": beside.clone()});
            for tried in [arguments, beside, within.take()] {
                let outcome = host.call("a", tried.clone()).await;
                assert!(
                    outcome.result.is_ok() || matches!(outcome.code(), "arguments.invalid"),
                    "{about} {tried}: {}",
                    told(&outcome)
                );
                assert!(!told(&outcome).contains(OURS), "{about} {tried}: {}", told(&outcome));
                inputs += 1;
            }
            for request in &service.asked()[before..] {
                is_ours(request, about);
            }
        }
    }
    counted("OAS-14", inputs);
}

#[tokio::test]
async fn oas14_keys_of_an_object_are_no_way_around() {
    let parameters = json!([
        {"name": "filter", "in": "query", "style": "form", "explode": true, "schema": {"type": "object", "additionalProperties": true}},
        {"name": "deep", "in": "query", "style": "deepObject", "explode": true, "schema": {"type": "object"}},
        {"name": "tenan", "in": "query", "style": "deepObject", "explode": true, "schema": {"type": "object"}},
        {"name": "tenant", "in": "query", "schema": {"type": "string"}},
        {"name": "crumbs", "in": "cookie", "required": true, "schema": {"type": "object"}},
    ]);
    let service = Service::of(&document(json!({"/a": get("a", parameters)}))).await;
    let host = service.host("", &injecting("")).await;
    let mut inputs = 0;
    for name in [
        "tenant",
        "Tenant",
        "TENANT",
        "tenant[]",
        "tenant[a]",
        "&tenant",
        "x&tenant=",
        "tenant#",
        "ten\u{61}nt",
        "tenant ",
    ] {
        for about in ["filter", "crumbs", "deep", "tenan"] {
            let before = service.asked().len();
            let outcome = host.call("a", json!({"crumbs": {}, about: {name: THEIRS}})).await;
            for request in &service.asked()[before..] {
                assert_eq!(tenants(request), [OURS], "{about} {name}: {request:?}: {}", told(&outcome));
            }
            inputs += 1;
        }
    }
    counted("OAS-14", inputs);
}

/// What a service reads as the tenant: in the query and in cookies, whatever the case, lists and objects too.
fn tenants(request: &Received) -> Vec<String> {
    let query = request.target.split_once('?').map_or("", |(_, query)| query).split('&');
    let cookies = request.header("cookie").unwrap_or_default().split("; ");
    let pairs = query.chain(cookies).filter_map(|pair| pair.split_once('='));
    let is_tenant = |name: &str| {
        let name = name.replace("%5B", "[").to_ascii_lowercase();
        name == "tenant" || name.starts_with("tenant[")
    };
    pairs.filter(|(name, _)| is_tenant(name)).map(|(_, value)| value.to_owned()).collect()
}

#[tokio::test]
async fn oas14_one_request_of_the_operators_is_held_to_the_same() {
    let service = Service::of(&document(json!({}))).await;
    let own = service.web.url("");
    let plugin = |method: &str, path: &str| {
        let input = "input = { type = \"object\", required = [\"tenant\"], properties = { tenant = {}, q = {} } }";
        format!(
            "[plugins.once]\napproval = \"never\"\nhttp = {{ url = \"{own}{path}\", method = \"{method}\", {input} }}\nnet = [\"* {own}\"]\n{}",
            injecting("")
        )
    };
    let mut inputs = 0;
    for (method, path) in [
        ("GET", "/x"),
        ("POST", "/x"),
        ("GET", "/x/{tenant}"),
        ("PUT", "/x/{tenant}/y"),
        ("GET", "/x?tenant={tenant}"),
        ("DELETE", "/x"),
    ] {
        let host = World::new().start(&plugin(method, path)).await;
        assert!(!host.schema("once").to_string().contains("tenant"), "{method} {path}");
        assert_eq!(host.told("once", json!({})).await, "ok: done", "{method} {path}");
        is_ours(&service.last(), path);
        for arguments in spellings() {
            let before = service.asked().len();
            let outcome = host.call("once", arguments.clone()).await;
            assert!(!told(&outcome).contains(OURS), "{arguments}: {}", told(&outcome));
            for request in &service.asked()[before..] {
                let clean = !request.target.contains(THEIRS)
                    || !request.target.to_ascii_lowercase().contains(&format!("tenant={THEIRS}"));
                assert!(clean, "{method} {path} {arguments}: {request:?}");
            }
            inputs += 1;
        }
    }
    counted("OAS-14", inputs);
}

fn all_said(run: &Run) -> String {
    format!("{}{}", run.out, run.err)
}

/// A service that says back everything it was sent, with the headers that a careless one would send.
async fn careless() -> Service {
    let keyed = json!([{"name": "q", "in": "query"}, {"name": "free", "in": "query", "schema": {"type": "object"}}, {"name": "api_key", "in": "query", "required": true}, {"name": "X-Key", "in": "header", "required": true}]);
    let mut said = document(
        json!({"/a": get("a", keyed.clone()), "/fails": get("fails", keyed.clone()), "/moves": get("moves", keyed)}),
    );
    said["components"] = json!({"securitySchemes": {
        "key": {"type": "apiKey", "in": "query", "name": "api_key"},
        "head": {"type": "apiKey", "in": "header", "name": "X-Key"},
    }});
    Service::answering(&said, |request| {
        let back = format!("{} {:?}", request.target, request.headers);
        match request.target.split('?').next() {
            Some("/fails") => Reply::status(500, back.clone()).header("x-back", back),
            Some("/moves") => Reply::redirect(302, format!("http://10.0.0.1{}", request.target)),
            Some(_) | None => Reply::ok(back.clone()).header("x-back", back),
        }
    })
    .await
}

const KEY: &str = "k3y-0f-the-0perator+/=";
const TOKEN: &str = "t0ken-0f-the-0perator";
const HEADER: &str = "plain-header-value-17";

fn keyed(service: &Service) -> String {
    let own = service.web.url("");
    let lines = format!(
        "[plugins.shop.secrets.key]\nfile = \"key\"\norigin = \"{own}\"\nquery = \"api_key\"\n[plugins.shop.secrets.token]\nfile = \"token\"\norigin = \"{own}\"\nheader = \"X-Key\"\n"
    );
    service.plugin("shop", &format!(", headers = {{ X-Client = \"{HEADER}\" }}"), &lines)
}

/// No form of the secrets is in a text.
fn is_clean(text: &str, about: &str) {
    use base64::Engine as _;
    for secret in [KEY, TOKEN] {
        let encoded: String = secret.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let packed = base64::engine::general_purpose::STANDARD.encode(secret);
        for form in [secret.to_owned(), encoded.clone(), encoded.to_ascii_lowercase(), packed, hex::encode(secret)] {
            assert!(!text.contains(&form), "{about}: {form} is in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oas22_oas23_headers_and_keys_are_shown_nowhere() {
    let service = careless().await;
    let world = World::new().secret("key", KEY).secret("token", TOKEN);
    let text = keyed(&service);
    let mut inputs = 0;
    tokio::task::block_in_place(|| {
        for arguments in [
            vec!["list"],
            vec!["--json", "list"],
            vec!["show", "a"],
            vec!["--json", "show", "a"],
            vec!["check"],
            vec!["--json", "check"],
            vec!["call", "a"],
            vec!["--json", "call", "a"],
            vec!["call", "a", "-a", "q=x"],
            vec!["call", "fails"],
            vec!["--json", "call", "fails"],
            vec!["call", "moves"],
            vec!["--json", "call", "moves"],
            vec!["lock"],
            vec!["--json", "lock"],
            vec!["audit"],
            vec!["inspect", "shop"],
            vec!["explain", "a"],
            vec!["call", "a", "-a", "api_key=mine"],
            vec!["call", "a", "-a", "X-Key=mine"],
            vec!["call", "a", "-a", "X-Client=mine"],
        ] {
            let run = world.run(&text, &arguments, "");
            is_clean(&all_said(&run), &arguments.join(" "));
            // What is no secret is not shown either where callers read.
            let is_callers = matches!(arguments.as_slice(), ["list"] | ["--json", "list"]);
            assert!(!is_callers || !all_said(&run).contains(HEADER), "{arguments:?}: {}", all_said(&run));
            inputs += 1;
        }
        let run = world.run_with(&text, &["call", "moves"], &[("BAILIWICK_LOG", "trace")]);
        is_clean(&all_said(&run), "the log, at its loudest");
    });
    for request in service.asked() {
        assert_eq!(request.header("x-key"), Some(TOKEN), "{request:?}");
        assert_eq!(request.header("x-client"), Some(HEADER), "{request:?}");
        assert!(request.target.contains("api_key=k3y%2D0f%2Dthe%2D0perator"), "{request:?}");
        assert_eq!(request.target.matches("api_key").count(), 1, "{request:?}");
    }
    assert!(service.asked().len() >= 6);
    for name in ["audit.db", "bailiwick.db", "store.db"] {
        if let Ok(bytes) = std::fs::read(world.path("state").join(name)) {
            is_clean(&String::from_utf8_lossy(&bytes), name);
            inputs += 1;
        }
    }
    for record in world.recorded() {
        is_clean(&record, "the audit");
    }
    counted("OAS-22", inputs + 1);
}

async fn called(host: &TestHost, tool: &str, arguments: Value) -> String {
    let text = told(&host.call(tool, arguments).await);
    is_clean(&text, tool);
    text
}

#[tokio::test]
async fn oas23_a_callers_key_is_never_in_the_place_of_the_operators() {
    let service = careless().await;
    let host = World::new().secret("key", KEY).secret("token", TOKEN).start(&keyed(&service)).await;
    let mut known: Vec<String> =
        host.schema("a")["properties"].as_object().expect("an object").keys().cloned().collect();
    known.sort();
    assert_eq!(known, ["free", "q"]);
    let mut inputs = 0;
    for name in ["api_key", "API_KEY", "Api_Key", "api_key[]", "X-Key", "x-key", "key", "token", "X-Client", "x-client"]
    {
        for value in [json!("mine"), json!(["mine"]), json!(null)] {
            let text = called(&host, "a", json!({name: value})).await;
            assert!(text.starts_with("arguments.invalid"), "{name} {value}: {text}");
            inputs += 1;
        }
    }
    let answer = called(&host, "a", json!({"q": "x&api_key=mine"})).await;
    assert!(answer.starts_with("ok: ") && answer.contains("x%26api_key%3Dmine"), "{answer}");
    for name in ["api_key", "API_KEY", "api_key[]", "Api_Key[a]"] {
        let answer = called(&host, "a", json!({"free": {name: "mine"}})).await;
        assert!(answer.starts_with("ok: ") && !answer.contains("mine"), "{name}: {answer}");
        inputs += 1;
    }
    let failure = called(&host, "fails", json!({"q": "x"})).await;
    assert!(failure.starts_with("upstream."), "{failure}");
    let moved = called(&host, "moves", json!({})).await;
    assert!(moved.starts_with("denied.net."), "{moved}");
    is_clean(&log::everything(), "the log");
    for record in host.audit() {
        is_clean(&record.to_string(), "the audit");
    }
    counted("OAS-23", inputs + 3);
}

#[tokio::test]
async fn oas23_every_place_a_scheme_names_is_the_operators() {
    // One name in two places: both are a credential's.
    let parameter = |at: &str| json!({"name": "token", "in": at, "required": true, "schema": {"type": "string"}});
    let schemes = |places: &[&str]| -> Value {
        places
            .iter()
            .enumerate()
            .map(|(n, at)| (format!("s{n}"), json!({"type": "apiKey", "in": at, "name": "Token"})))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let mut inputs = 0;
    for places in [
        vec!["query"],
        vec!["header"],
        vec!["cookie"],
        vec!["query", "header"],
        vec!["header", "query"],
        vec!["cookie", "header", "query"],
    ] {
        let mut said =
            document(json!({"/a": get("a", json!([parameter("query"), parameter("header"), parameter("cookie")]))}));
        said["components"] = json!({"securitySchemes": schemes(&places)});
        let service = Service::of(&said).await;
        let host = service.host("", "").await;
        let schema = host.schema("a");
        let left = schema["properties"].as_object().map_or(0, serde_json::Map::len);
        assert_eq!(left, 3 - places.len(), "{places:?}: {schema}");
        inputs += 1;
    }
    // What it says about logging in elsewhere is not followed.
    let evil = crate::support::Upstream::hello().await;
    let mut said = document(json!({"/a": get("a", json!([]))}));
    said["components"] = json!({"securitySchemes": {
        "o": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": evil.url("/token"), "scopes": {}}}},
        "c": {"type": "openIdConnect", "openIdConnectUrl": evil.url("/.well-known/openid-configuration")},
    }});
    said["security"] = json!([{"o": []}, {"c": []}]);
    let service = Service::answering(&said, |_| {
        Reply::status(401, "who are you")
            .header("www-authenticate", "Bearer resource_metadata=\"http://169.254.169.254/\"")
    });
    let service = service.await;
    let host = tried(World::new(), &service.plugin("shop", "", "")).await;
    let outcome = host.call("a", json!({})).await;
    assert_eq!(outcome.code(), "upstream.auth", "{}", told(&outcome));
    assert_eq!((evil.connections(), service.asked().len()), (0, 1));
    counted("OAS-23", inputs + 3);
}

#[tokio::test]
async fn oas23_no_key_of_an_object_stands_for_what_a_caller_is_not_asked_for() {
    let object = json!({"type": "object", "additionalProperties": true});
    let parameters = json!([
        {"name": "free", "in": "query", "schema": object},
        {"name": "crumbs", "in": "cookie", "required": true, "schema": object},
        {"name": "sid", "in": "cookie", "schema": {"type": "string"}},
    ]);
    let mut said = document(json!({"/a": get("a", parameters)}));
    said["components"] = json!({"securitySchemes": {
        "one": {"type": "apiKey", "in": "query", "name": "api_key"},
        "two": {"type": "apiKey", "in": "cookie", "name": "session"},
    }});
    let service = Service::of(&said).await;
    let host = service.host("", "").await;
    let mut inputs = 0;
    for (place, name) in [
        ("free", "api_key"),
        ("free", "API_KEY"),
        ("free", "api_key[]"),
        ("crumbs", "session"),
        ("crumbs", "SESSION"),
        ("crumbs", "sid"),
    ] {
        // The operator holds no key for it, and a caller brings none.
        let mut arguments = json!({"crumbs": {"theme": "dark"}, "free": {"colour": "red"}});
        arguments[place][name] = json!(THEIRS);
        assert_eq!(host.told("a", arguments).await, "ok: done", "{place} {name}");
        let request = service.last();
        assert_eq!(
            (request.target.as_str(), request.header("cookie")),
            ("/a?colour=red", Some("theme=dark")),
            "{name}"
        );
        inputs += 1;
    }
    counted("OAS-23", inputs);
}
