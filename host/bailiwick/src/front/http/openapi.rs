//! `/openapi.json`: what of all this is meant for programs that read before they ask.
//!
//! Each handler says what it takes and gives, in a `utoipa::path` above it; what stands before all of them is added here.

use axum::Json;
use axum::Router;
use axum::routing::get;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema};

use super::refusal::Face;
use super::{approvals, artifacts, auxot, batch, body, code_mode, context, manage, plugins, render, tools};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Bailiwick", description = "Tools that run inside rights an operator wrote down."),
    paths(
        tools::list,
        tools::describe,
        tools::execute,
        batch::run,
        code_mode::types,
        render::render,
        context::list,
        artifacts::fetch,
        auxot::list,
        auxot::tools,
        auxot::execute,
        approvals::list,
        approvals::show,
        approvals::answer,
        approvals::stream,
        plugins::list,
        plugins::accept,
        manage::list,
        manage::create,
        manage::import,
        manage::one,
        manage::change,
        manage::remove,
        manage::list_plainly,
        manage::create_plainly,
        manage::one_plainly,
        manage::change_plainly,
        manage::remove_plainly,
        super::alive,
        super::ready,
        super::health,
        serve,
    ),
    components(schemas(body::Detail, auxot::AuxotError)),
    tags(
        (name = "tools", description = "The tools, and calls of them"),
        (name = "auxot", description = "The same for Auxot's clients"),
        (name = "approvals", description = "Calls that wait for a person"),
        (name = "plugins", description = "What provides tools, and how it does"),
        (name = "manage", description = "Tools that are made while the host runs"),
        (name = "agentron", description = "The same for Agentron's clients"),
        (name = "server", description = "The server itself"),
    )
)]
struct Document;

/// What an answer is where its handler says no more.
const GIVEN: &str = "what was asked for";
const REFUSED: &str = "a refusal; the body says why";
const SCHEME: &str = "key";

/// What may be answered before a request gets to its handler.
const ALWAYS: [(&str, &str); 4] = [
    ("400", "the request is malformed"),
    ("403", "a page of another origin, or a caller that may not"),
    ("421", "not a name of this server"),
    ("429", "too many requests; `Retry-After` says when to come back"),
];
/// The same where a key is needed.
const KEYED: [(&str, &str); 6] = [
    ("401", "no key, or none of ours"),
    ("408", "the body took too long"),
    ("413", "the body is too large"),
    ("415", "the body is not `application/json`"),
    ("500", "a mistake of the server"),
    ("503", "too many calls, or the server is starting or stopping"),
];

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/openapi.json", get(serve))
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses((status = 200, body = Object)))]
async fn serve() -> Json<OpenApi> {
    Json(document())
}

/// The whole of it.
pub(super) fn document() -> OpenApi {
    let mut document = Document::openapi();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("`bailiwick keys create` makes one"))
        .build();
    if let Some(components) = &mut document.components {
        components.add_security_scheme(SCHEME, SecurityScheme::Http(key));
    }
    for (path, item) in &mut document.paths.paths {
        let operations =
            [("get", &mut item.get), ("post", &mut item.post), ("put", &mut item.put), ("delete", &mut item.delete)];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                complete(method, path, operation);
            }
        }
    }
    document
}

/// Adds what holds for every operation.
fn complete(method: &str, path: &str, operation: &mut Operation) {
    // Handlers of several paths have the same name; a path and a method are one's own.
    let words = path.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    operation.operation_id = Some(std::iter::once(method).chain(words).collect::<Vec<_>>().join("_"));
    let keyed = path.starts_with("/api/");
    let error = match Face::of(path) {
        Face::Auxot => auxot::AuxotError::name(),
        Face::Api | Face::Mcp => body::Detail::name(),
    };
    let more = if keyed { &KEYED[..] } else { &[] };
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = if status.starts_with('2') { GIVEN } else { REFUSED }.to_owned();
        }
    }
    for (status, description) in ALWAYS.iter().chain(more) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(error.clone()))).build();
        let response = ResponseBuilder::new().description(*description).content("application/json", content).build();
        operation.responses.responses.entry((*status).to_owned()).or_insert_with(|| response.into());
    }
    if keyed {
        let none: [&str; 0] = [];
        operation.security = Some(vec![SecurityRequirement::new(SCHEME, none)]);
    }
}
