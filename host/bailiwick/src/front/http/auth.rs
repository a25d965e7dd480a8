//! Who asks, and how often they may: what stands between the network and the faces.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};

use bailiwick_core::outcome::Code;

use super::limits::{self, TooMany};
use super::oauth::{self, Lacks};
use super::{Face, Gateway, Refusal};
use crate::keys::Refused;

/// Who asks. Every request beyond [`authenticate`] has it in its extensions, and the caller by itself too.
pub(crate) use crate::keys::Identity;

/// Finds out who asks, and notes it.
pub(super) async fn authenticate(gateway: &Gateway, request: &mut Request) -> Result<Identity, Refusal> {
    match gateway.host.keys().identify(request.headers()).await {
        Ok(identity) => {
            request.extensions_mut().insert(Arc::clone(&identity.caller));
            request.extensions_mut().insert(identity.clone());
            Ok(identity)
        }
        Err(refused) => {
            let (address, face) = (limits::sender(gateway, request), Face::of(request.uri().path()));
            tracing::warn!(?address, ?refused, ?face, "nobody we know asks");
            Err(refusal(&refused, gateway, request.headers()))
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

/// Refuses an address that asks too often, or says how much is left. Those who only ask whether the server is up are not
/// counted.
pub(super) fn per_address(gateway: &Gateway, request: &Request) -> Result<Option<u32>, Refusal> {
    let Some(sender) = limits::sender(gateway, request).filter(|_| !is_probe(request.uri().path())) else {
        return Ok(None);
    };
    gateway.limits.address(sender, gateway.settings.per_ip).map_err(|too_many| {
        tracing::warn!(address = %sender, "refused: too many requests of this address");
        refused(too_many)
    })
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/health")
}

/// Refuses a caller that asks too often, or says how much is left. Callers without a key are told apart by their
/// addresses.
pub(super) fn per_key(gateway: &Gateway, request: &Request, identity: &Identity) -> Result<Option<u32>, Refusal> {
    let name = match (identity.is_anonymous(), limits::sender(gateway, request)) {
        (true, Some(address)) => format!("anonymous {}", limits::group(address)),
        (true, None) | (false, _) => identity.caller.name.clone(),
    };
    let default = if identity.is_anonymous() { 0 } else { gateway.settings.per_key };
    gateway.limits.caller(name, identity.per_minute.unwrap_or(default)).map_err(|too_many| {
        tracing::warn!(caller = identity.caller.name, "refused: too many requests of this caller");
        refused(too_many)
    })
}

fn refused(too_many: TooMany) -> Refusal {
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded").coded(Code::LimitRate);
    let refusal = refusal.with(header::RETRY_AFTER, &too_many.seconds().to_string());
    refusal.with(limits::REMAINING, "0")
}
