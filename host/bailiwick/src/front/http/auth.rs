//! Who asks, and how often they may: what stands between the network and the faces.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use bailiwick_core::outcome::Code;

use super::limits::{self, TooMany};
use super::oauth::{self, Lacks};
use super::{Face, Gateway, Refusal};
use crate::keys::Refused;

/// Who asks. Every request beyond [`authenticate`] has it in its extensions, and the caller by itself too.
pub(crate) use crate::keys::Identity;

/// Finds out who asks.
pub(crate) async fn authenticate(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let face = Face::of(request.uri().path());
    match gateway.host.keys().identify(request.headers()).await {
        Ok(identity) => {
            request.extensions_mut().insert(Arc::clone(&identity.caller));
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(refused) => {
            let address = limits::sender(&gateway, &request);
            tracing::warn!(?address, ?refused, ?face, "nobody we know asks");
            refusal(&refused, &gateway, request.headers()).response(face)
        }
    }
}

fn refusal(refused: &Refused, gateway: &Gateway, headers: &HeaderMap) -> Refusal {
    let challenged = |status, message: &str, lacks: &Lacks<'_>| {
        let challenge = oauth::challenge(gateway.settings.oauth.as_ref(), headers, lacks);
        Refusal::new(status, message).with(header::WWW_AUTHENTICATE, &challenge)
    };
    match refused {
        Refused::Missing => challenged(StatusCode::UNAUTHORIZED, "Authentication required", &Lacks::Token),
        Refused::Invalid => challenged(StatusCode::UNAUTHORIZED, "Authentication required", &Lacks::Validity),
        Refused::Scope(scope) => challenged(StatusCode::FORBIDDEN, "the token lacks a scope", &Lacks::Scope(scope)),
        Refused::Busy => {
            let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many keys are being checked; try again");
            refusal.with(header::RETRY_AFTER, "1")
        }
        Refused::Unavailable => {
            let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "keys cannot be checked at the moment");
            refusal.with(header::RETRY_AFTER, "5")
        }
    }
}

/// Refuses an address that asks too often. Those who only ask whether the server is up are not counted.
pub(crate) async fn per_address(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let Some(sender) = limits::sender(&gateway, &request).filter(|_| !is_probe(path)) else {
        return next.run(request).await;
    };
    let face = Face::of(path);
    match gateway.limits.address(sender, gateway.settings.per_ip) {
        Ok(left) => limits::told(next.run(request).await, left),
        Err(too_many) => {
            tracing::warn!(address = %sender, "refused: too many requests of this address");
            refused(too_many, face)
        }
    }
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/health")
}

/// Refuses a caller that asks too often. Callers without a key are told apart by their addresses.
pub(crate) async fn per_key(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let Some(identity) = request.extensions().get::<Identity>() else { return next.run(request).await };
    let sender = limits::sender(&gateway, &request);
    let name = match (identity.is_anonymous(), sender) {
        (true, Some(address)) => format!("anonymous {}", limits::group(address)),
        (true, None) | (false, _) => identity.caller.name.clone(),
    };
    let default = if identity.is_anonymous() { 0 } else { gateway.settings.per_key };
    let limit = identity.per_minute.unwrap_or(default);
    match gateway.limits.caller(name, limit) {
        Ok(left) => limits::told(next.run(request).await, left),
        Err(too_many) => {
            tracing::warn!(caller = identity.caller.name, "refused: too many requests of this caller");
            refused(too_many, Face::of(request.uri().path()))
        }
    }
}

fn refused(too_many: TooMany, face: Face) -> Response {
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded").coded(Code::LimitRate);
    let refusal = refusal.with(header::RETRY_AFTER, &too_many.seconds().to_string());
    refusal.with(limits::REMAINING, "0").response(face)
}
