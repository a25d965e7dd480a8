//! Who a request is from, and what is kept for them between requests: calls that wait for an answer, and artifacts.
//! Nothing of it is ever shown to another caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::request::Parts;
use rmcp::ErrorData;
use rmcp::model::Extensions;
use tokio_util::sync::CancellationToken;

use bailiwick_core::call::{CallId, Caller};
use bailiwick_core::outcome::Outcome;

use super::artifacts::Kept;
use super::call::Told;
use super::parked::Parked;
use crate::artifact::Owner;
use crate::front::http::{Ends, Identity};

/// Callers something is kept for at once; the one that was away longest makes room.
const MAX_DESKS: usize = 10_000;

/// What is kept for one caller.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) parked: Parked,
    pub(super) artifacts: Kept,
}

/// One who asks.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) caller: Arc<Caller>,
    /// Whose is what its calls leave.
    pub(super) owner: Owner,
    pub(super) desk: Arc<Desk>,
    /// Cancelled once the caller may not ask any more.
    pub(super) revoked: CancellationToken,
}

impl Asker {
    /// Whoever sits at the other end of a connection of their own.
    pub(super) fn alone(caller: Arc<Caller>) -> Self {
        let owner = Owner::Named(caller.name.as_str().into());
        Self { caller, owner, desk: Arc::default(), revoked: CancellationToken::new() }
    }

    /// Keeps for the caller what a call left behind.
    pub(super) fn keep(&self, call: &CallId, told: &Told) {
        if let Told::Tool(Outcome { result: Ok(output), .. }) = told {
            self.desk.artifacts.note(call, output);
        }
    }
}

/// Who the requests of a connection are from.
#[derive(Clone, Debug)]
pub(super) enum Askers {
    /// All from one.
    One(Asker),
    /// Each says so itself, over HTTP.
    Each(Arc<Desks>),
}

impl Askers {
    /// Who a request is from.
    pub(super) fn of(&self, extensions: &Extensions) -> Result<Asker, ErrorData> {
        match self {
            Self::One(asker) => Ok(asker.clone()),
            Self::Each(desks) => {
                let asker = extensions.get::<Parts>().and_then(|parts| desks.asker(&parts.extensions));
                asker.ok_or_else(|| ErrorData::internal_error("nobody knows who asks", None))
            }
        }
    }
}

/// The desks of all callers over HTTP, by who they are.
#[derive(Debug, Default)]
pub(super) struct Desks(Mutex<HashMap<String, (Instant, Arc<Desk>)>>);

impl Desks {
    /// Who a request over HTTP is from; none if it was never asked who it is from.
    pub(super) fn asker(&self, extensions: &axum::http::Extensions) -> Option<Asker> {
        let Identity { caller, revoked, .. } = extensions.get::<Identity>()?.clone();
        let principal = principal(extensions)?;
        let desk = self.of(&principal);
        Some(Asker { caller, owner: Owner::Named(principal.into()), desk, revoked })
    }

    fn of(&self, principal: &str) -> Arc<Desk> {
        let mut desks = self.desks();
        if let Some((used, desk)) = desks.get_mut(principal) {
            *used = Instant::now();
            return Arc::clone(desk);
        }
        if desks.len() >= MAX_DESKS
            && let Some(oldest) = desks.iter().min_by_key(|(_, (used, _))| *used).map(|(name, _)| name.clone())
        {
            desks.remove(&oldest);
        }
        let desk = Arc::new(Desk::default());
        desks.insert(principal.to_owned(), (Instant::now(), Arc::clone(&desk)));
        desk
    }

    /// Cancels the calls that have waited too long for an answer.
    pub(super) fn expire(&self) {
        self.desks().values().for_each(|(_, desk)| desk.parked.expire());
    }

    /// Cancels all calls that wait for an answer.
    pub(super) fn clear(&self) {
        self.desks().values().for_each(|(_, desk)| desk.parked.clear());
    }

    fn desks(&self) -> MutexGuard<'_, HashMap<String, (Instant, Arc<Desk>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name that what is kept between requests goes by: the caller's. Those without a key are told apart by where they
/// ask from, since they have nothing else.
pub(crate) fn principal(extensions: &axum::http::Extensions) -> Option<String> {
    let name = &extensions.get::<Identity>()?.caller.name;
    if name != "anonymous" {
        return Some(name.clone());
    }
    let peer = extensions.get::<Ends>()?.peer.ip();
    Some(format!("{name} {peer}"))
}
