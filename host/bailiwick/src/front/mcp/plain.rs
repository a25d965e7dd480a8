//! Calls that are nothing but calls: one request, one answer, and a client that can neither be told nor asked anything
//! in between. They are most of what a server is asked for, and rmcp's service spends more on each than the call itself
//! takes; so they go straight to [`Connection::run`].
//!
//! What is plain is said narrowly, in rmcp's own words where it has them. Whatever is not, mistakes included, is for rmcp
//! to answer, and a plain call gets what rmcp would have answered.

use std::fmt;
use std::marker::PhantomData;

use axum::Json;
use axum::http::header::{self, AsHeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequest, CallToolRequestMethod, CallToolRequestParams, ErrorCode, JsonRpcVersion2_0, ProtocolVersion,
    RequestId, RequestMetaObject, ServerJsonRpcMessage, ServerResult,
};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio_util::sync::CancellationToken;

use super::call::{Asked, Told, can_hear};
use super::desk::Asker;
use super::http::SESSION;
use super::question::abilities;
use super::seen::Origin;
use super::wire::Vocabulary;
use super::{Agreed, Connection};
use crate::host::Host;

/// The one version whose requests stand alone.
const VERSION: ProtocolVersion = ProtocolVersion::V_2026_07_28;

/// A request over HTTP that stands alone and calls a tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plain {
    #[serde(rename = "jsonrpc")]
    _version: JsonRpcVersion2_0,
    id: RequestId,
    #[serde(rename = "method")]
    _method: CallToolRequestMethod,
    params: Object<CallToolRequestParams>,
}

impl Plain {
    /// The call that a request is, if it is a plain one of a tool that is there.
    pub(super) fn read(host: &Host, parts: &Parts, body: &[u8]) -> Option<Self> {
        let plain = Self::parse(&parts.headers, body)?;
        let snapshot = host.snapshot();
        let (_, tool) = snapshot.registry.resolve(&plain.params.0.name)?;
        // Its arguments are to be compared with headers.
        (!tool.arguments.has_headers()).then_some(plain)
    }

    fn parse(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let is_usual = only(headers, header::CONTENT_TYPE) == Some("application/json")
            && only(headers, header::ACCEPT).is_some_and(names_both)
            && only(headers, "mcp-protocol-version") == Some(VERSION.as_str())
            && only(headers, "mcp-method") == Some("tools/call")
            && !headers.contains_key(SESSION);
        let name = only(headers, "mcp-name").filter(|_| is_usual)?;
        let Object(plain) = serde_json::from_slice::<Object<Self>>(body).ok()?;
        let params = &plain.params.0;
        let is_plain = params.name == name && is_fresh(params) && params.meta.as_ref().is_some_and(stands_alone);
        is_plain.then_some(plain)
    }

    /// Answers it. Whoever goes away drops this, and the call with it.
    pub(super) async fn answer(self, connection: &Connection, asker: &Asker, headers: &HeaderMap) -> Response {
        let Self { id, params: Object(params), .. } = self;
        let origin = Origin { meta: params.meta.as_ref(), headers: Some(headers) };
        let told = connection.run(asker, Asked::from(&params), origin, &CancellationToken::new()).await;
        let (status, message) = match result(told, Vocabulary::NEWEST) {
            Ok(result) => (StatusCode::OK, ServerJsonRpcMessage::response(result, id)),
            Err(error) => (status(error.code), ServerJsonRpcMessage::error(error, Some(id))),
        };
        (status, Json(message)).into_response()
    }
}

impl Connection {
    /// What the client of a call on a connection has words for, if the call is a plain one.
    pub(super) fn plain(&self, call: &CallToolRequest) -> Option<Vocabulary> {
        let meta = call.extensions.get::<RequestMetaObject>();
        match (is_fresh(&call.params), meta.and_then(|meta| meta.protocol_version())) {
            (false, _) => None,
            (true, Some(_)) => meta.is_some_and(stands_alone).then_some(Vocabulary::NEWEST),
            (true, None) => {
                let Agreed { vocabulary, able } = (*self.agreed())?;
                let is_plain = !vocabulary.stateless && !can_hear(meta, able, *self.log_level());
                is_plain.then_some(vocabulary)
            }
        }
    }

    /// Answers a plain call; none if it was cancelled, for that has no answer.
    pub(super) async fn answer_plain(
        &self,
        asker: &Asker,
        id: RequestId,
        call: &CallToolRequest,
        vocabulary: Vocabulary,
        cancelled: &CancellationToken,
    ) -> Option<ServerJsonRpcMessage> {
        let origin = Origin { meta: call.extensions.get(), headers: None };
        let told = self.run(asker, Asked::from(&call.params), origin, cancelled).await;
        (!cancelled.is_cancelled()).then(|| match result(told, vocabulary) {
            Ok(result) => ServerJsonRpcMessage::response(result, id),
            Err(error) => ServerJsonRpcMessage::error(error, Some(id)),
        })
    }
}

/// The status that goes with an error, of those a call can have.
fn status(code: ErrorCode) -> StatusCode {
    if code == ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY { StatusCode::BAD_REQUEST } else { StatusCode::OK }
}

/// The result of a tool's call.
fn result(told: Told, vocabulary: Vocabulary) -> Result<ServerResult, ErrorData> {
    let mut result = told.of_tool(vocabulary).map(ServerResult::CallToolResult)?;
    if !vocabulary.stateless {
        result.strip_result_type_for_legacy_peer();
    }
    Ok(result)
}

/// Whether a call begins here, and answers nothing that an earlier one asked.
fn is_fresh(params: &CallToolRequestParams) -> bool {
    params.input_responses.is_none() && params.request_state.is_none()
}

/// Whether a request says everything about itself, and that its client wants to hear of nothing but the result.
fn stands_alone(meta: &RequestMetaObject) -> bool {
    let deaf = |able| !can_hear(Some(meta), able, meta.log_level());
    meta.protocol_version() == Some(VERSION)
        && meta.client_capabilities().is_some_and(|capabilities| deaf(abilities(&capabilities)))
}

/// The value of a header that is there once.
fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

/// Whether an `Accept` names both media types of an answer, and makes no difference between them.
fn names_both(accept: &str) -> bool {
    let names = |media: &str| accept.split(',').any(|one| one.trim() == media);
    names("application/json") && names("text/event-stream")
}

/// A JSON object: what serde derives would take a list of its fields' values too.
#[derive(Debug)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use serde_json::{Value, json};

    use super::*;

    const USUAL: [(&str, &str); 5] = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "echo"),
    ];

    fn usual() -> HeaderMap {
        USUAL
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn call() -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "echo", "arguments": {"name": "x"}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        }})
    }

    fn is_plain(headers: &HeaderMap, body: &str) -> bool {
        Plain::parse(headers, body.as_bytes()).is_some()
    }

    #[test]
    fn the_usual_call_is_plain_with_any_arguments_and_id() {
        assert!(is_plain(&usual(), &call().to_string()));
        for (at, value) in [("/id", json!("one")), ("/params/arguments", json!({})), ("/params/arguments", Value::Null)]
        {
            let mut call = call();
            *call.pointer_mut(at).unwrap() = value;
            assert!(is_plain(&usual(), &call.to_string()), "{call}");
        }
    }

    #[test]
    fn a_header_that_is_not_as_usual_is_for_rmcp() {
        for (name, value) in USUAL {
            let mut headers = usual();
            headers.remove(name);
            assert!(!is_plain(&headers, &call().to_string()), "without {name}");
            headers.append(name, HeaderValue::from_static(value));
            assert!(is_plain(&headers, &call().to_string()), "with {name} again");
            headers.append(name, HeaderValue::from_static(value));
            assert!(!is_plain(&headers, &call().to_string()), "with {name} twice");
            headers.insert(name, HeaderValue::from_static("something else"));
            assert!(!is_plain(&headers, &call().to_string()), "with another {name}");
        }
        for (name, value) in [
            ("content-type", "application/json; charset=utf-8"),
            ("accept", "application/json;q=0, text/event-stream"),
            ("accept", "*/*"),
            ("mcp-session-id", "s"),
        ] {
            let mut headers = usual();
            headers.insert(name, HeaderValue::from_static(value));
            assert!(!is_plain(&headers, &call().to_string()), "{name}: {value}");
        }
    }

    #[test]
    fn a_client_that_can_be_told_or_asked_is_for_rmcp() {
        let meta = |key: &str, value: Value| {
            let mut call = call();
            call["params"]["_meta"][key] = value;
            call
        };
        let mut answering = call();
        answering["params"]["requestState"] = json!("s");
        for call in [
            answering,
            meta("progressToken", json!("p")),
            meta("io.modelcontextprotocol/logLevel", json!("info")),
            meta("io.modelcontextprotocol/clientCapabilities", json!({"elicitation": {}})),
            meta("io.modelcontextprotocol/clientCapabilities", json!({"sampling": {}})),
            meta("io.modelcontextprotocol/clientCapabilities", json!({"roots": {}})),
            meta("io.modelcontextprotocol/clientCapabilities", json!("none")),
            meta("io.modelcontextprotocol/protocolVersion", json!("2025-11-25")),
        ] {
            assert!(!is_plain(&usual(), &call.to_string()), "{call}");
        }
    }

    #[test]
    fn mistakes_are_for_rmcp() {
        let good = call().to_string();
        let meta = call()["params"]["_meta"].to_string();
        for bad in [
            String::new(),
            format!("{good} {{}}"),
            format!("[{good}]"),
            good.replace("2.0", "1.0"),
            good.replace("tools/call", "tools/list"),
            good.replace("\"echo\"", "\"ehco\""),
            good.replace("\"id\":1", "\"id\":null"),
            good.replace("\"id\":1", "\"id\":1,\"id\":2"),
            good.replace("\"id\":1", "\"id\":1,\"more\":2"),
            good.replace("{\"name\":\"x\"}", "[]"),
            // What serde derives takes these for objects.
            format!("[\"2.0\", 1, \"tools/call\", {{\"name\": \"echo\", \"_meta\": {meta}}}]"),
            format!("{{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/call\", \"params\": [{meta}, \"echo\"]}}"),
        ] {
            assert!(!is_plain(&usual(), &bad), "{bad}");
        }
    }
}
