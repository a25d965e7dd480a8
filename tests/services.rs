//! HTTP services as plugins: what a document and an operator say together, proved by what arrives at the service.

mod fastapi;
mod known;
mod login;
mod requests;

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::upstream::Received;
use crate::support::{Reply, TestHost, Upstream};

/// A small shop, as its document describes it.
fn shop() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "paths": {
            "/items/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
                "get": {
                    "operationId": "get_item",
                    "summary": "One item",
                    "parameters": [
                        {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                        {"name": "tenant", "in": "query", "schema": {"type": "string"}},
                        {"name": "X-Trace", "in": "header", "required": true, "schema": {"type": "string"}},
                        {"name": "Authorization", "in": "header", "required": true, "schema": {"type": "string"}},
                    ],
                },
                "delete": {"operationId": "remove_item"},
            },
            "/items": {"post": {
                "operationId": "add_item",
                "requestBody": {"required": true, "content": {"application/json": {"schema": {
                    "type": "object",
                    "required": ["name", "tenant"],
                    "properties": {
                        "name": {"type": "string"},
                        "price": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                        "tenant": {"type": "string"},
                    },
                }}}},
            }},
            "/reports/last": {"get": {}},
            "/named": {"get": {"x-tool-name": "called"}},
            "/health": {"get": {"operationId": "health"}},
            "/METRICS/": {"get": {"operationId": "metrics"}},
            "/trace": {"trace": {"operationId": "trace"}, "options": {"operationId": "options"}},
        },
    })
}

/// Answers for the document, and everything else with what came.
fn echoing(document: Value) -> impl Fn(&Received) -> Reply + Send + Sync + 'static {
    move |request| match request.target.as_str() {
        "/openapi.json" => Reply::ok(document.to_string()).header("content-type", "application/json"),
        _ => echo(request),
    }
}

/// What came, as JSON.
fn echo(request: &Received) -> Reply {
    let came = json!({
        "method": request.method,
        "target": request.target,
        "headers": request.headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "body": String::from_utf8_lossy(&request.body),
    });
    Reply::ok(came.to_string()).header("content-type", "application/json")
}

/// A service at this port, with more keys in its table and more lines after it.
fn plugin(name: &str, port: u16, keys: &str, lines: &str) -> String {
    format!(
        "[plugins.{name}]\nopenapi = {{ url = \"http://127.0.0.1:{port}\"{keys} }}\n\
         net = [\"* http://127.0.0.1:{port}\"]\napproval = \"never\"\n{lines}\n"
    )
}

/// The shop as a plugin, and where what it is asked is seen.
async fn shop_host(keys: &str, lines: &str) -> (Upstream, TestHost) {
    let upstream = Upstream::new(echoing(shop())).await;
    let host = World::new().start(&plugin("shop", upstream.port, keys, lines)).await;
    (upstream, host)
}

/// A host of which some plugin is left out.
async fn troubled(world: World, text: &str) -> TestHost {
    match world.try_start(text).await {
        Ok(host) => host,
        Err(error) => panic!("it starts: {error}"),
    }
}

/// Asserts that a call is refused with this code.
async fn refused(host: &TestHost, tool: &str, arguments: Value, code: &str) {
    let told = host.told(tool, arguments).await;
    assert!(told.starts_with(&format!("{code}: ")), "{told}");
}
