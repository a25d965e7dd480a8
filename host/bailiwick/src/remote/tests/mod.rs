//! Servers at a URL, as they are spoken to: both eras, and what a server may not do.

mod login;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, GetExtensions as _};
use rmcp::service::{PeerRequestOptions, RunningService, ServiceError};
use serde_json::json;

use bailiwick_core::outcome::{Code, Failure};

use self::support::{
    Heard, Served, World, event, json as json_reply, modern, modern_reply, plugin, reply, serve, tools, with, world,
};
use super::{For, Site, either_era};

type Client = RunningService<RoleClient, ()>;

/// What a tool says.
async fn said(client: &Client, site: &Site) -> Result<String, Failure> {
    let result = client.call_tool(CallToolRequestParams::new("echo")).await.map_err(|error| site.failure(&error))?;
    Ok(result.content.iter().filter_map(|piece| piece.as_text().map(|text| text.text.clone())).collect())
}

async fn connected(world: &World) -> Client {
    let connecting = world.site.connect((), either_era());
    tokio::time::timeout(Duration::from_secs(20), connecting).await.unwrap().unwrap()
}

/// Why there is no connection.
async fn refused(world: &World) -> Failure {
    let connecting = world.site.connect((), either_era());
    tokio::time::timeout(Duration::from_secs(20), connecting).await.unwrap().err().unwrap()
}

#[tokio::test]
async fn a_server_without_sessions_answers_with_json_or_with_events() {
    for reply in [modern_reply as fn(&Heard) -> _, |heard: &Heard| {
        modern(heard).map_or_else(|| modern_reply(heard), |answer| event(&answer))
    }] {
        let server = serve(|_| reply).await;
        let world = world(&plugin(&server, ", headers = { X-Team = \"blue\" }", &[]), &[]);
        let client = connected(&world).await;
        assert_eq!(client.list_all_tools().await.unwrap().len(), 1);
        assert_eq!(said(&client, &world.site).await.unwrap(), "asked by nobody");
        drop(client);
        assert_eq!(server.whats(), ["server/discover", "tools/list", "tools/call"]);
        for heard in server.heard() {
            let shown = ["x-team", "mcp-protocol-version", "accept-encoding", "authorization", "mcp-session-id"];
            let shown = shown.map(|name| heard.header(name).unwrap_or("none").to_owned());
            assert_eq!(shown, ["blue", "2026-07-28", "identity", "none", "none"]);
            assert!(heard.header("user-agent").unwrap().starts_with("bailiwick/"));
        }
    }
}

/// A server with sessions, which forgets the first one after `calls` calls.
async fn server_with_sessions(calls: usize) -> Served {
    serve(move |_| {
        let (sessions, called) = (AtomicUsize::new(0), AtomicUsize::new(0));
        move |heard: &Heard| {
            let message = heard.json();
            let answer = |result| json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            match (heard.method.as_str(), message["method"].as_str().unwrap_or_default()) {
                ("POST", "initialize") => {
                    let number = sessions.fetch_add(1, Ordering::SeqCst) + 1;
                    let result = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                        "serverInfo": {"name": "old", "version": "1"}});
                    with(event(&answer(result)), "mcp-session-id", &format!("session-{number}"))
                }
                ("POST", "server/discover") => reply(400, "text/plain", "no session"),
                ("GET", _) => reply(405, "text/plain", ""),
                ("DELETE", _) => reply(200, "text/plain", ""),
                ("POST", _) if heard.header("mcp-session-id").is_none() => reply(400, "text/plain", "no session"),
                ("POST", "notifications/initialized") => reply(202, "text/plain", ""),
                ("POST", "tools/list") => json_reply(200, &answer(tools())),
                ("POST", "tools/call") => {
                    let number = called.fetch_add(1, Ordering::SeqCst) + 1;
                    if number > calls && heard.header("mcp-session-id") == Some("session-1") {
                        return reply(404, "text/plain", "no such session");
                    }
                    let session = heard.header("mcp-session-id").unwrap_or_default();
                    json_reply(200, &answer(json!({"content": [{"type": "text", "text": session}]})))
                }
                _ => reply(400, "text/plain", "no"),
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_session_is_named_in_every_request_and_ended_at_the_end() {
    let server = server_with_sessions(9).await;
    let world = world(&plugin(&server, "", &[]), &[]);
    let client = connected(&world).await;
    assert_eq!(client.list_all_tools().await.unwrap().len(), 1);
    assert_eq!(said(&client, &world.site).await.unwrap(), "session-1");
    client.cancel().await.unwrap();
    let heard = server.heard();
    assert_eq!(&server.whats()[..3], ["server/discover", "initialize", "notifications/initialized"]);
    assert_eq!(server.count("DELETE"), 1);
    for one in heard.iter().skip(2) {
        assert_eq!(one.header("mcp-session-id"), Some("session-1"), "{}", one.what());
        assert_eq!(one.header("mcp-protocol-version"), Some("2025-06-18"), "{}", one.what());
    }
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_begun_anew() {
    let server = server_with_sessions(1).await;
    let world = world(&plugin(&server, "", &[]), &[]);
    let client = connected(&world).await;
    assert_eq!(said(&client, &world.site).await.unwrap(), "session-1");
    assert_eq!(said(&client, &world.site).await.unwrap(), "session-2");
    assert_eq!(server.count("initialize"), 2);
}

/// A server whose one tool is answered with `call`.
async fn server_that_calls(call: impl Fn(&Heard) -> support::Reply + Send + Sync + 'static) -> Served {
    serve(move |_| move |heard: &Heard| if heard.what() == "tools/call" { call(heard) } else { modern_reply(heard) })
        .await
}

#[track_caller]
fn check(failure: &Failure, code: Code, parts: &[&str]) {
    assert_eq!(failure.code, code, "{failure}");
    for part in parts {
        assert!(failure.to_string().contains(part), "`{part}` is not in: {failure}");
    }
}

#[tokio::test]
async fn an_answer_has_a_length_whatever_form_it_has() {
    let long = || "x".repeat(super::wire::MAX_MESSAGE + 1);
    let server = server_that_calls(move |_| reply(200, "application/json", format!("\"{}\"", long()))).await;
    let world = support::world(&plugin(&server, "", &[]), &[]);
    let client = connected(&world).await;
    let failure = said(&client, &world.site).await.unwrap_err();
    check(&failure, Code::UpstreamProtocol, &["an answer of more than 16777216 bytes"]);
    let server =
        server_that_calls(move |_| reply(200, "text/event-stream", format!("id: 1\ndata: {}\n\n", long()))).await;
    let world = support::world(&plugin(&server, "", &[]), &[]);
    let client = connected(&world).await;
    let asked = client.call_tool(CallToolRequestParams::new("echo"));
    let told = tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap().unwrap_err();
    assert!(
        matches!(&told, ServiceError::McpError(error) if error.message.contains("an event of more than 16777216 bytes")),
        "{told}"
    );
    assert_eq!(server.count("tools/call"), 1);
    assert_eq!(server.count("GET"), 0, "the stream is not taken up again");
}

#[tokio::test]
async fn nobody_is_led_elsewhere() {
    let other = serve(|_| modern_reply).await;
    let elsewhere = format!("{}/mcp", other.url());
    let server = server_that_calls(move |_| with(reply(307, "text/plain", ""), "location", &elsewhere)).await;
    // Not even to what is granted too.
    let world = world(&plugin(&server, "", &[&format!("POST {}/mcp", other.url())]), &[]);
    let client = connected(&world).await;
    let failure = said(&client, &world.site).await.unwrap_err();
    check(&failure, Code::UpstreamStatus, &["answers 307", &other.url(), "not followed"]);
    assert!(other.heard().is_empty());
}

#[tokio::test]
async fn what_a_server_says_wrongly_is_told_with_its_code() {
    for (status, kind, body, code, part) in [
        (500, "text/html", "<b>broken</b>", Code::UpstreamStatus, "answers 500: <b>broken</b>"),
        (200, "text/html", "<b>hello</b>", Code::UpstreamProtocol, "`text/html` is neither JSON nor events"),
        (200, "application/json", "{}", Code::UpstreamProtocol, "does not speak MCP"),
        (401, "text/plain", "", Code::UpstreamAuth, "wants to know who asks"),
        (429, "text/plain", "", Code::UpstreamStatus, "answers 429"),
    ] {
        let server = server_that_calls(move |_| reply(status, kind, body)).await;
        let world = world(&plugin(&server, "", &[]), &[]);
        let client = connected(&world).await;
        check(&said(&client, &world.site).await.unwrap_err(), code, &[part, &server.url()]);
    }
    let packed = server_that_calls(|heard| with(modern_reply(heard), "content-encoding", "gzip")).await;
    let world = world(&plugin(&packed, "", &[]), &[]);
    let client = connected(&world).await;
    check(&said(&client, &world.site).await.unwrap_err(), Code::UpstreamProtocol, &["packed its answer"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_and_one_at_a_private_address_is_denied() {
    let gone = serve(|_| modern_reply).await;
    let text = plugin(&gone, "", &[]);
    drop(gone);
    check(&refused(&world(&text, &[])).await, Code::UpstreamConnect, &["gives no answer"]);
    let text = "[plugins.tracker]\nmcp.url = \"https://mcp.example.com/mcp\"\nnet = [\"* https://mcp.example.com\"]\n";
    for address in ["169.254.169.254", "10.0.0.9", "127.0.0.1"] {
        let failure = refused(&world(text, &[("mcp.example.com", address)])).await;
        check(&failure, Code::DeniedNetAddress, &[address, "add `addresses = "]);
    }
}

#[tokio::test]
async fn secrets_are_bound_to_their_origin_and_come_back_masked() {
    let server = serve(|_| modern_reply).await;
    let origin = server.url();
    let secret = format!(
        "[plugins.tracker.secrets.KEY]\ncommand = [\"printf\", \"the-canary-value\"]\norigin = \"{origin}\"\n\
         header = \"Authorization\"\nformat = \"Bearer {{}}\"\n"
    );
    let world = world(&format!("{}{secret}", plugin(&server, "", &[])), &[]);
    let client = connected(&world).await;
    let text = said(&client, &world.site).await.unwrap();
    assert!(text.starts_with("asked by Bearer ") && !text.contains("canary"), "{text}");
    assert!(server.heard().iter().all(|heard| heard.header("authorization") == Some("Bearer the-canary-value")));
}

#[tokio::test]
async fn what_a_call_asks_for_is_judged_and_kept_as_the_calls() {
    let server = serve(|_| modern_reply).await;
    let world = world(&plugin(&server, "", &[]), &[]);
    let client = connected(&world).await;
    let context = world.site.inner.wire.context();
    let ask = async |context: &Arc<crate::context::CallContext>| {
        let mut request = CallToolRequest::new(CallToolRequestParams::new("echo"));
        request.extensions_mut().insert(For(Arc::clone(context)));
        let request = ClientRequest::CallToolRequest(request);
        let sent = client.send_request_with_option(request, PeerRequestOptions::default()).await;
        sent.map_err(|error| world.site.failure(&error))?
            .await_response()
            .await
            .map_err(|error| world.site.failure(&error))
    };
    ask(&context).await.unwrap();
    let operation = format!("http POST {}", server.url());
    assert_eq!(context.ledger.operations().get(&operation), Some(&1));
    // A call that may not go there does not, whatever its plugin may.
    let bench = crate::egress::Egress::new(crate::resolver::Resolver::default(), &[]).unwrap();
    let narrow = crate::examine::nothing(&context.plugin, &Arc::new(bench), &context.artifacts);
    check(&ask(&narrow).await.unwrap_err(), Code::DeniedNetHost, &["grants no `net`"]);
    assert_eq!(narrow.ledger.denials().len(), 1);
}
