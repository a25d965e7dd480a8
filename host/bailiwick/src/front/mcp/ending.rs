//! How the connection of one client ends: nothing more is read, calls under way may finish, then they are cancelled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, ClientRequest, RequestId, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Connection;
use super::desk::Askers;
use super::lines::Lines;
use crate::front::life::Life;

/// How long calls under way may take to finish once the client is gone or the program is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Calls that were read and are not answered yet, each with what cancels it where rmcp does not.
type Owed = watch::Sender<HashMap<RequestId, CancellationToken>>;

/// A transport that ends in good order. Its end of input is told only once nothing is under way any more or the grace
/// is over, because rmcp passes nothing on after that: progress of a call that is about to finish would be lost. A plain
/// call never gets to rmcp.
pub(super) struct Ending {
    lines: Lines,
    connection: Arc<Connection>,
    begun: bool,
    /// Each is under way from here on, also while rmcp has it in hand.
    owed: Owed,
    /// Kept here since `receive` is dropped and called again whenever rmcp has something else to do.
    patience: Option<Instant>,
}

impl Ending {
    pub(super) fn new(lines: Lines, connection: Arc<Connection>) -> Self {
        Self { lines, connection, begun: false, owed: watch::Sender::default(), patience: None }
    }

    /// Starts a plain call; any other message is given back.
    fn begin(&self, message: ClientJsonRpcMessage) -> Option<ClientJsonRpcMessage> {
        let ClientJsonRpcMessage::Request(asked) = message else { return Some(message) };
        let ClientRequest::CallToolRequest(call) = &asked.request else {
            return Some(ClientJsonRpcMessage::Request(asked));
        };
        let Some(vocabulary) = self.connection.plain(call) else { return Some(ClientJsonRpcMessage::Request(asked)) };
        let (id, call) = (asked.id, call.clone());
        let Askers::One(asker) = &self.connection.askers else { unreachable!("lines are of one client") };
        let (asker, connection, outlet) = (asker.clone(), Arc::clone(&self.connection), self.lines.outlet());
        let (owed, under_way) = (self.owed.clone(), connection.life.enter());
        let cancelled = owed.borrow().get(&id).cloned().unwrap_or_default();
        tokio::spawn(async move {
            let _under_way = under_way;
            let answer = connection.answer_plain(&asker, id.clone(), &call, vocabulary, &cancelled).await;
            if let Some(answer) = answer {
                // A client that is gone needs none.
                let _ = outlet.write(&answer).await;
                owed.send_if_modified(|owed| owed.remove(&id).is_some());
            }
        });
        None
    }

    /// Remembers a call that came in, and forgets one that was taken back: that one is not answered.
    fn note(&self, message: &ClientJsonRpcMessage) {
        match message {
            ClientJsonRpcMessage::Request(asked) if matches!(asked.request, ClientRequest::CallToolRequest(_)) => {
                self.owed.send_modify(|owed| drop(owed.insert(asked.id.clone(), CancellationToken::new())));
            }
            ClientJsonRpcMessage::Notification(told) => {
                if let ClientNotification::CancelledNotification(cancelled) = &told.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.owed.send_if_modified(|owed| owed.remove(id).map(|call| call.cancel()).is_some());
                }
            }
            ClientJsonRpcMessage::Request(_) | ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => {}
        }
    }
}

fn is_request(message: &ClientJsonRpcMessage) -> bool {
    matches!(message, ClientJsonRpcMessage::Request(_))
}

/// Waits until every call is answered and nothing else is under way.
async fn settled(life: &Life, owed: &Owed) {
    // The sender is our own, so it cannot be gone.
    let _ = owed.subscribe().wait_for(HashMap::is_empty).await;
    life.idle().await;
}

impl Transport<RoleServer> for Ending {
    type Error = std::io::Error;

    fn send(&mut self, item: ServerJsonRpcMessage) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answered = match &item {
            ServerJsonRpcMessage::Response(answer) => Some(answer.id.clone()),
            ServerJsonRpcMessage::Error(error) => error.id.clone(),
            ServerJsonRpcMessage::Request(_) | ServerJsonRpcMessage::Notification(_) => None,
        };
        let (sent, owed) = (self.lines.inner.send(item), self.owed.clone());
        async move {
            let sent = sent.await;
            if let Some(id) = answered {
                owed.send_if_modified(|owed| owed.remove(&id).is_some());
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        while self.patience.is_none() {
            let message = tokio::select! {
                biased;
                () = self.connection.life.leaving() => None,
                message = self.lines.inner.receive() => message,
            };
            match message {
                Some(message) => {
                    self.note(&message);
                    // The first request is rmcp's, whatever it is: rmcp learns from it what the client speaks, and before
                    // it hangs up on any notification.
                    let next = if self.begun { self.begin(message) } else { Some(message).filter(is_request) };
                    self.begun |= next.is_some();
                    if next.is_some() {
                        return next;
                    }
                }
                None => self.patience = Some(Instant::now() + GRACE),
            }
        }
        let life = &self.connection.life;
        life.leave();
        if let Some(patience) = self.patience {
            let _ = tokio::time::timeout_at(patience, settled(life, &self.owed)).await;
        }
        life.end();
        None
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.lines.inner.close().await
    }
}
