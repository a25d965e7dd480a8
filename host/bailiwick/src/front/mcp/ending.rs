//! How the connection of one client ends: nothing more is read, calls under way may finish, then they are cancelled.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, ClientRequest, RequestId, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::front::life::Life;

/// How long calls under way may take to finish once the client is gone or the program is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// A transport that ends in good order. Its end of input is told only once nothing is under way any more or the grace
/// is over, because rmcp passes nothing on after that: progress of a call that is about to finish would be lost.
pub(super) struct Ending<T> {
    inner: T,
    life: Arc<Life>,
    begun: bool,
    /// Calls that were read and are not answered yet. Each is under way from here on, also while rmcp has it in hand.
    owed: watch::Sender<HashSet<RequestId>>,
    /// Kept here since `receive` is dropped and called again whenever rmcp has something else to do.
    patience: Option<Instant>,
}

impl<T> Ending<T> {
    pub(super) fn new(inner: T, life: Arc<Life>) -> Self {
        Self { inner, life, begun: false, owed: watch::Sender::default(), patience: None }
    }

    /// Remembers a call that came in, and forgets one that was taken back: that one is not answered.
    fn note(&self, message: &ClientJsonRpcMessage) {
        match message {
            ClientJsonRpcMessage::Request(asked) if matches!(asked.request, ClientRequest::CallToolRequest(_)) => {
                self.owed.send_if_modified(|owed| owed.insert(asked.id.clone()));
            }
            ClientJsonRpcMessage::Notification(told) => {
                if let ClientNotification::CancelledNotification(cancelled) = &told.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.owed.send_if_modified(|owed| owed.remove(id));
                }
            }
            ClientJsonRpcMessage::Request(_) | ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => {}
        }
    }
}

/// Waits until every call is answered and nothing else is under way.
async fn settled(life: &Life, owed: &watch::Sender<HashSet<RequestId>>) {
    // The sender is our own, so it cannot be gone.
    let _ = owed.subscribe().wait_for(HashSet::is_empty).await;
    life.idle().await;
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Ending<T> {
    type Error = T::Error;

    fn send(&mut self, item: ServerJsonRpcMessage) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answered = match &item {
            ServerJsonRpcMessage::Response(answer) => Some(answer.id.clone()),
            ServerJsonRpcMessage::Error(error) => error.id.clone(),
            ServerJsonRpcMessage::Request(_) | ServerJsonRpcMessage::Notification(_) => None,
        };
        let (sent, owed) = (self.inner.send(item), self.owed.clone());
        async move {
            let sent = sent.await;
            if let Some(id) = answered {
                owed.send_if_modified(|owed| owed.remove(&id));
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        while self.patience.is_none() {
            let message = tokio::select! {
                biased;
                () = self.life.leaving() => None,
                message = self.inner.receive() => message,
            };
            match message {
                Some(message) => {
                    self.begun |= matches!(message, ClientJsonRpcMessage::Request(_));
                    self.note(&message);
                    // A client that takes back its first request sends a notification before rmcp has begun, and rmcp
                    // hangs up on that.
                    if self.begun {
                        return Some(message);
                    }
                }
                None => self.patience = Some(Instant::now() + GRACE),
            }
        }
        self.life.leave();
        if let Some(patience) = self.patience {
            let _ = tokio::time::timeout_at(patience, settled(&self.life, &self.owed)).await;
        }
        self.life.end();
        None
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}
