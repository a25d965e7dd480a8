//! Who asks, and how often they may: what stands between the network and the faces.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio_util::sync::CancellationToken;

use bailiwick_core::call::Caller;

use super::{Face, Gateway, Refusal};

/// Who asks. Every request beyond [`authenticate`] has it in its extensions.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) caller: Arc<Caller>,
    /// Cancelled once the caller's key is revoked: what goes on under it ends then.
    pub(crate) revoked: CancellationToken,
}

/// Finds out who asks.
pub(crate) async fn authenticate(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let Some(policy) = &gateway.settings.anonymous else {
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "Authentication required");
        return refusal.with(header::WWW_AUTHENTICATE, "Bearer").response(Face::of(request.uri().path()));
    };
    let caller = Arc::new(Caller::under("anonymous", policy));
    request.extensions_mut().insert(Arc::clone(&caller));
    request.extensions_mut().insert(Identity { caller, revoked: CancellationToken::new() });
    next.run(request).await
}

/// Refuses an address that asks too often.
pub(crate) async fn per_address(State(_): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    next.run(request).await
}

/// Refuses a caller that asks too often.
pub(crate) async fn per_key(State(_): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    next.run(request).await
}
