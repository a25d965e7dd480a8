//! Plugins over HTTP: who may manage sees how they do, and accepts what became of one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};

use bailiwick_core::name::PluginName;

use super::body::{Detail, shown};
use super::refusal::{Denied, refuse};
use super::{Gateway, Identity};
use crate::host::{NotAccepted, Snapshot};
use crate::load::{Plugin, Problem};

/// What is answered, all of it for callers that may manage.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/api/v1/plugins", get(list)).route("/api/v1/plugins/{name}/accept", post(accept))
}

fn allowed(identity: &Identity) -> Result<(), Denied> {
    if identity.caller.may.manage {
        return Ok(());
    }
    let message = format!("`{}` may not manage; set `manage = true` in its policy", identity.caller.name);
    Err(refuse(StatusCode::FORBIDDEN, message))
}

fn one(plugin: &Plugin, snapshot: &Snapshot) -> Value {
    let tools = snapshot.registry.tools().iter().filter(|tool| tool.plugin == plugin.name);
    json!({
        "name": plugin.name.as_str(),
        "class": plugin.class,
        "digest": plugin.digest.to_string(),
        "condition": plugin.condition(),
        "tools": tools.map(|tool| tool.name.as_str()).collect::<Value>(),
    })
}

fn told(problem: &Problem) -> Value {
    json!({
        "code": problem.code,
        "plugin": problem.plugin.as_str(),
        "message": problem.message,
        "fix": problem.fix,
        "difference": problem.difference,
        "partly": problem.partly,
    })
}

/// Lists the plugins that are loaded, how each does, and what could not be loaded. For callers that may manage.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", responses((status = 200, body = Object)))]
async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, Denied> {
    allowed(&identity)?;
    let snapshot = gateway.host.snapshot();
    let plugins: Value = snapshot.plugins.iter().map(|plugin| one(plugin, &snapshot)).collect();
    let problems: Value = snapshot.problems.iter().map(told).collect();
    Ok(shown(&json!({"plugins": plugins, "problems": problems})))
}

/// Accepts what an MCP server publishes now in the place of what it published when it was first used: what was quarantined
/// can be called. What a lock file pins is accepted by `bailiwick lock --accept` alone.
#[utoipa::path(post, path = "/api/v1/plugins/{name}/accept", tag = "plugins",
    params(("name" = String, Path, description = "The plugin")),
    responses((status = 200, body = Object), (status = 404, body = Detail),
        (status = 409, description = "a lock file pins it, or it is no server", body = Detail),
        (status = 502, description = "it does not say what it publishes", body = Detail)))]
async fn accept(
    State(gateway): State<Arc<Gateway>>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
) -> Result<Response, Denied> {
    allowed(&identity)?;
    let unknown = || {
        refuse(StatusCode::NOT_FOUND, format!("there is no plugin `{}`", bailiwick_core::redact::quotable(&name, 40)))
    };
    let plugin = PluginName::parse(&name).map_err(|_| unknown())?;
    match gateway.host.accept(&plugin).await {
        Ok(tools) => {
            tracing::info!(%plugin, by = %identity.caller.name, tools, "what the plugin publishes is accepted");
            Ok(shown(&json!({"plugin": plugin.as_str(), "tools": tools})))
        }
        Err(NotAccepted::Unknown) => Err(unknown()),
        Err(error @ (NotAccepted::Locked(_) | NotAccepted::Fixed)) => {
            Err(refuse(StatusCode::CONFLICT, error.to_string()))
        }
        Err(error @ NotAccepted::Silent(_)) => Err(refuse(StatusCode::BAD_GATEWAY, error.to_string())),
    }
}
