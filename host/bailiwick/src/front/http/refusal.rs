//! A refusal in the shape of whoever was asked.

use axum::Json;
use axum::http::header::HeaderName;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use bailiwick_core::outcome::Code;

/// Whose errors a path is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// `/api/tools/…`: `{"error": {"message", "type"}}`.
    Auxot,
    /// `/mcp`: an error of JSON-RPC without an id.
    Mcp,
    /// Everything else: `{"detail"}`.
    Api,
}

impl Face {
    pub(crate) fn of(path: &str) -> Self {
        let within =
            |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match path {
            _ if within("/api/tools") => Self::Auxot,
            _ if within("/mcp") => Self::Mcp,
            _ => Self::Api,
        }
    }
}

/// A refusal in the API's words, for handlers.
pub(super) struct Denied(Refusal);

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        self.0.response(Face::Api)
    }
}

/// Refuses in the API's words.
pub(super) fn refuse(status: StatusCode, message: impl Into<String>) -> Denied {
    Denied(Refusal::new(status, message))
}

/// An answer that refuses: its status, one sentence, and the headers that go with it.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    /// For programs, where the face has a place for it.
    code: Option<Code>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), code: None, headers: Vec::new() }
    }

    /// The same with one more header; one that is no header's value is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    /// The same with a code.
    pub(crate) fn coded(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    pub(crate) fn response(self, face: Face) -> Response {
        let mut response = (self.status, Json(self.body(face))).into_response();
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }

    fn body(&self, face: Face) -> Value {
        let message = &self.message;
        let code = self.code.map(Code::as_str);
        match face {
            Face::Auxot => {
                let mut error = json!({"message": message, "type": kind(self.status)});
                if let Some(code) = code {
                    error["code"] = code.into();
                }
                json!({ "error": error })
            }
            Face::Mcp => {
                // -32000 to -32019 are a server's own.
                let mut error = json!({"code": -32000, "message": message});
                if let Some(code) = code {
                    error["data"] = json!({ "code": code });
                }
                json!({"jsonrpc": "2.0", "id": null, "error": error})
            }
            Face::Api => json!({"detail": message}),
        }
    }
}

/// What Auxot calls an error with this status.
fn kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::SERVICE_UNAVAILABLE => "service_unavailable",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &Value) {
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded");
        assert_eq!(refusal.body(Face::of(path)), *expected, "{path}");
    }

    #[test]
    fn each_face_is_refused_in_its_own_words() {
        let auxot = json!({"error": {"message": "Rate limit exceeded", "type": "rate_limit_error"}});
        let api = json!({"detail": "Rate limit exceeded"});
        let mcp = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "Rate limit exceeded"}});
        check("/api/tools/v1/list", &auxot);
        check("/api/tools", &auxot);
        check("/api/toolsy", &api);
        check("/api/v1/tools", &api);
        check("/mcp", &mcp);
        check("/mcpx", &api);
        check("/", &api);
    }
}
