//! What clients are told of the authorization server: where to get a token (RFC 9728), and what a token lacks (RFC 6750).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use url::Url;

use bailiwick_core::config::OauthSettings;

use super::{Face, Gateway, Refusal};

/// Where the metadata of a protected resource is; behind it may stand the resource's own path.
const METADATA: &str = "/.well-known/oauth-protected-resource";

/// The metadata of this server, for whoever asks.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route(METADATA, get(metadata)).route("/.well-known/oauth-protected-resource/mcp", get(metadata))
}

async fn metadata(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    let Some(oauth) = &gateway.settings.oauth else {
        return Refusal::new(StatusCode::NOT_FOUND, "Not Found").response(Face::Api);
    };
    Json(json!({
        "resource": resource(oauth, &headers),
        "authorization_servers": [oauth.issuer.as_str().trim_end_matches('/')],
        "scopes_supported": oauth.scopes,
        "bearer_methods_supported": ["header"],
        "resource_name": "Bailiwick",
    }))
    .into_response()
}

/// What to answer a request without a token with.
pub(super) fn challenge(oauth: Option<&OauthSettings>, headers: &HeaderMap, lacks: &Lacks<'_>) -> String {
    let Some(oauth) = oauth else { return "Bearer".to_owned() };
    let mut challenge = format!("Bearer resource_metadata=\"{}\"", metadata_url(oauth, headers));
    match lacks {
        Lacks::Token => {}
        Lacks::Validity => challenge.push_str(", error=\"invalid_token\""),
        Lacks::Scope(scope) => challenge.push_str(&format!(", error=\"insufficient_scope\", scope=\"{scope}\"")),
    }
    challenge
}

/// Why a request is not let in.
pub(super) enum Lacks<'a> {
    /// There is no token.
    Token,
    /// There is one, and it is no good.
    Validity,
    /// It is good for something else.
    Scope(&'a str),
}

/// This server as its clients know it: the audience of their tokens, if that is an address.
fn resource(oauth: &OauthSettings, headers: &HeaderMap) -> String {
    match public(oauth) {
        Some(_) => oauth.audience.clone(),
        None => format!("http://{}/mcp", host(headers)),
    }
}

fn metadata_url(oauth: &OauthSettings, headers: &HeaderMap) -> String {
    let Some(mut url) = public(oauth) else { return format!("http://{}{METADATA}", host(headers)) };
    let path = if url.path() == "/mcp" { format!("{METADATA}/mcp") } else { METADATA.to_owned() };
    url.set_path(&path);
    url.set_query(None);
    url.to_string()
}

fn public(oauth: &OauthSettings) -> Option<Url> {
    Url::parse(&oauth.audience).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// The name that the request was sent to; it is one of ours, or the request would not have come this far.
fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost")
}

#[cfg(test)]
mod tests {
    use bailiwick_core::call::Policy;

    use super::*;

    fn oauth(audience: &str) -> OauthSettings {
        OauthSettings {
            issuer: Url::parse("https://auth.example").unwrap(),
            audience: audience.to_owned(),
            jwks: None,
            scopes: vec!["tools".to_owned()],
            policy: Arc::new(Policy::default()),
        }
    }

    #[test]
    fn a_client_without_a_token_is_told_where_to_get_one() {
        let headers = HeaderMap::from_iter([(header::HOST, "localhost:8080".parse().unwrap())]);
        let told = |audience: &str, lacks: &Lacks<'_>| challenge(Some(&oauth(audience)), &headers, lacks);
        let (public, at) = ("https://tools.example/mcp", "https://tools.example/.well-known/oauth-protected-resource");
        assert_eq!(told(public, &Lacks::Token), format!("Bearer resource_metadata=\"{at}/mcp\""));
        assert_eq!(
            told("https://tools.example", &Lacks::Validity),
            format!("Bearer resource_metadata=\"{at}\", error=\"invalid_token\"")
        );
        assert_eq!(
            told("bailiwick", &Lacks::Scope("tools")),
            "Bearer resource_metadata=\"http://localhost:8080/.well-known/oauth-protected-resource\", \
             error=\"insufficient_scope\", scope=\"tools\""
        );
        assert_eq!(challenge(None, &headers, &Lacks::Token), "Bearer");
    }
}
