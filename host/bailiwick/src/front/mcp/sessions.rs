//! The sessions of clients that begin with `initialize`: each is its caller's alone, and there is an end to their number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::WorkerTransport;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, LocalSessionWorker, SessionConfig,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};
use tokio_util::sync::CancellationToken;

use bailiwick_core::call::Caller;

/// Sessions in all; the one that was not used for longest makes room for one more.
const MAX_SESSIONS: usize = 2_000;
/// Sessions of one caller.
const MAX_OF_ONE: usize = 100;
/// A session that nothing is said in for so long is over.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// How soon a client that lost its stream should come back.
const RETRY: Duration = Duration::from_secs(3);

tokio::task_local! {
    /// Whose request is being answered.
    pub(super) static ASKED_BY: Owner;
}

/// Whose a session is.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) caller: Arc<Caller>,
    pub(super) principal: String,
    /// Cancelled once they may not ask any more: their sessions end then.
    pub(super) revoked: CancellationToken,
}

/// All sessions, with their owners.
#[derive(Debug)]
pub(super) struct Sessions {
    /// For the tasks that end sessions.
    me: Weak<Self>,
    inner: LocalSessionManager,
    owners: Mutex<HashMap<SessionId, Owned>>,
}

#[derive(Debug)]
struct Owned {
    principal: String,
    used: Instant,
    /// Cancelled once the session is gone.
    gone: CancellationToken,
}

type Fault = LocalSessionManagerError;

impl Sessions {
    pub(super) fn new() -> Arc<Self> {
        let mut inner = LocalSessionManager::default();
        let mut config = SessionConfig::default();
        config.keep_alive = Some(IDLE);
        config.sse_retry = Some(RETRY);
        inner.session_config = config;
        Arc::new_cyclic(|me| Self { me: Weak::clone(me), inner, owners: Mutex::default() })
    }

    /// Whether this session is one of this caller's.
    pub(super) fn is_of(&self, id: &str, principal: &str) -> bool {
        self.owners().get(id).is_some_and(|owned| owned.principal == principal)
    }

    /// Notes that a session was used.
    fn touch(&self, id: &SessionId) {
        if let Some(owned) = self.owners().get_mut(id) {
            owned.used = Instant::now();
        }
    }

    /// The session that has to make room before `principal` can have one more.
    fn too_many(&self, principal: &str) -> Option<SessionId> {
        let owners = self.owners();
        let oldest = |of: &dyn Fn(&Owned) -> bool| {
            let candidates = owners.iter().filter(|(_, owned)| of(owned));
            candidates.min_by_key(|(_, owned)| owned.used).map(|(id, _)| Arc::clone(id))
        };
        let own = |owned: &Owned| owned.principal == principal;
        if owners.values().filter(|owned| own(owned)).count() >= MAX_OF_ONE {
            return oldest(&own);
        }
        if owners.len() >= MAX_SESSIONS { oldest(&|_| true) } else { None }
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<SessionId, Owned>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opening a session takes an owner, and closing one forgets it; the rest is rmcp's.
impl SessionManager for Sessions {
    type Error = Fault;
    type Transport = WorkerTransport<LocalSessionWorker>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Fault> {
        let Owner { principal, revoked, .. } = ASKED_BY.get();
        while let Some(oldest) = self.too_many(&principal) {
            tracing::warn!("a caller has too many sessions; the one not used for longest is closed");
            self.close_session(&oldest).await?;
        }
        let (id, transport) = self.inner.create_session().await?;
        let gone = CancellationToken::new();
        let owned = Owned { principal, used: Instant::now(), gone: gone.clone() };
        self.owners().insert(Arc::clone(&id), owned);
        let (sessions, ending) = (Weak::clone(&self.me), Arc::clone(&id));
        tokio::spawn(async move {
            tokio::select! {
                () = gone.cancelled() => {}
                () = revoked.cancelled() => if let Some(sessions) = sessions.upgrade() {
                    // What cannot be closed has closed itself.
                    let _ = sessions.close_session(&ending).await;
                },
            }
        });
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Fault> {
        self.inner.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Fault> {
        self.inner.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Fault> {
        if let Some(owned) = self.owners().remove(id) {
            owned.gone.cancel();
        }
        self.inner.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Fault> {
        self.touch(id);
        self.inner.create_stream(id, message).await
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Fault> {
        self.touch(id);
        self.inner.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Fault> {
        self.touch(id);
        self.inner.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Fault> {
        self.touch(id);
        self.inner.resume(id, last_event_id).await
    }
}
