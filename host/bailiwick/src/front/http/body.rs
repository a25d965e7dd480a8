//! Bodies that are read, and what is said of those that cannot be.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;
use utoipa::ToSchema;

use bailiwick_core::redact::{brief, visible_json};

/// JSON in which nothing is hidden.
pub(super) fn shown(value: &Value) -> Response {
    let text = visible_json(&value.to_string()).into_owned();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// A refusal of the API.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Detail {
    /// What is wrong.
    detail: String,
    /// Where, for a request that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
}

/// What is wrong with one field.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FieldError {
    /// Its name, with dots between names and numbers.
    field: String,
    /// What is wrong.
    message: String,
    /// A stable word for it.
    r#type: &'static str,
}

impl FieldError {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>, kind: &'static str) -> Self {
        Self { field: field.into(), message: message.into(), r#type: kind }
    }
}

/// A request that cannot be read.
#[derive(Debug)]
pub(super) struct Invalid(Vec<FieldError>);

impl Invalid {
    pub(super) fn one(error: FieldError) -> Self {
        Self(vec![error])
    }

    /// A query with a name or a value that is none.
    pub(super) fn query(rejection: &QueryRejection) -> Self {
        Self::one(FieldError::new("query", rejection.body_text(), "value_error"))
    }
}

impl IntoResponse for Invalid {
    fn into_response(self) -> Response {
        let detail = Detail { detail: "Validation error".to_owned(), errors: self.0 };
        (StatusCode::UNPROCESSABLE_ENTITY, Json(detail)).into_response()
    }
}

/// Reads a body as JSON.
///
/// # Errors
/// What is wrong with it, without any of it.
pub(super) fn read<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, Invalid> {
    if bytes.is_empty() {
        return Err(Invalid::one(FieldError::new("body", "Field required", "missing")));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let message = error.to_string();
        let kind = match error.classify() {
            Category::Data if message.starts_with("unknown field") => "extra_forbidden",
            Category::Data if message.starts_with("missing field") => "missing",
            Category::Data if message.starts_with("duplicate field") => "json_invalid",
            Category::Data => "model_attributes_type",
            Category::Io | Category::Syntax | Category::Eof => "json_invalid",
        };
        Invalid::one(FieldError::new("body", brief(&message, 300), kind))
    })
}
