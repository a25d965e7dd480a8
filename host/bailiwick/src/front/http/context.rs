//! `/api/v1/context`: the prompts and resources of a caller. They are had over MCP; this says which there are.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use bailiwick_core::context::{Prompt, PromptArgument, Visible};
use bailiwick_core::outcome::ResourceLink;

use super::{Gateway, Identity};

pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/api/v1/context", get(list))
}

/// What plugins give beside tools.
#[derive(Serialize, ToSchema)]
pub(super) struct ContextBlocks {
    /// Texts with blanks.
    prompts: Vec<ContextPrompt>,
    /// Documents.
    resources: Vec<ContextResource>,
    /// Families of documents.
    templates: Vec<ContextTemplate>,
}

/// A text with blanks.
#[derive(Serialize, ToSchema)]
pub(super) struct ContextPrompt {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    description: String,
    /// What it needs.
    arguments: Vec<ContextArgument>,
}

/// What a prompt needs.
#[derive(Serialize, ToSchema)]
pub(super) struct ContextArgument {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    required: bool,
}

/// A document.
#[derive(Serialize, ToSchema)]
pub(super) struct ContextResource {
    uri: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// Documents whose URIs differ in some places.
#[derive(Serialize, ToSchema)]
pub(super) struct ContextTemplate {
    uri_template: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
}

/// The prompts and resources this caller may have.
#[utoipa::path(get, path = "/api/v1/context", tag = "tools", responses((status = 200, body = ContextBlocks)))]
async fn list(State(gateway): State<Arc<Gateway>>, Extension(asker): Extension<Identity>) -> Json<ContextBlocks> {
    let Visible { prompts, resources, families } = gateway.host.contexts(&asker.caller);
    let prompts = prompts.into_iter().map(|offered| {
        let Prompt { title, description, arguments, .. } = offered.prompt;
        let arguments = arguments
            .into_iter()
            .map(|PromptArgument { name, description, required, .. }| ContextArgument { name, description, required });
        ContextPrompt { name: offered.tool.name.to_string(), title, description, arguments: arguments.collect() }
    });
    let resources = resources.into_iter().map(|offered| {
        let ResourceLink { uri, name, title, description, mime_type, size } = offered.link;
        ContextResource { uri, name, title, description, mime_type, size }
    });
    let templates = families.into_iter().map(|offered| ContextTemplate {
        uri_template: offered.family.uri_template,
        name: offered.family.name,
        description: offered.family.description,
        mime_type: offered.family.mime_type,
    });
    Json(ContextBlocks { prompts: prompts.collect(), resources: resources.collect(), templates: templates.collect() })
}
