//! The calls that a server is busy with: what it does meanwhile is done for one of them, and noted with each.

use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::grant::{Want, Witness};
use bailiwick_core::outcome::Failure;

use crate::context::CallContext;

/// The calls under way at one server.
#[derive(Debug, Default)]
pub(crate) struct Underway(Mutex<Vec<Arc<CallContext>>>);

/// One of them; it is over when this is dropped.
pub(crate) struct Turn {
    calls: Arc<Underway>,
    call: Arc<CallContext>,
}

impl Underway {
    /// A call begins.
    pub(crate) fn enter(self: &Arc<Self>, call: &Arc<CallContext>) -> Turn {
        self.calls().push(Arc::clone(call));
        Turn { calls: Arc::clone(self), call: Arc::clone(call) }
    }

    /// Notes what was refused and done with every call under way: which of them it was for, nobody can tell.
    pub(crate) fn note(&self, denials: &[Failure], operations: impl Iterator<Item = String>) {
        let operations: Vec<String> = operations.collect();
        for call in self.calls().iter() {
            denials.iter().for_each(|denial| call.ledger.deny(denial.clone()));
            operations.iter().for_each(|operation| call.ledger.operation(operation.clone()));
        }
    }

    /// Notes what was asked for with every call under way, for `bailiwick suggest`.
    pub(crate) fn want(&self, want: &Want, by: Witness) {
        self.calls().iter().for_each(|call| call.ledger.want(Some(want.clone()), by));
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Vec<Arc<CallContext>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.calls.calls().retain(|call| !Arc::ptr_eq(call, &self.call));
    }
}
