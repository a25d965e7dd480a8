//! A way to a server whose reports of progress are heard as they come: before the answer that came after them.

use std::sync::Arc;

use rmcp::RoleClient;
use rmcp::model::{JsonRpcMessage, ServerJsonRpcMessage, ServerNotification};
use rmcp::service::TxJsonRpcMessage;
use rmcp::transport::Transport;

use super::hear::{Ear, Hear};

/// Another way, listened to.
pub(crate) struct Over<T> {
    way: T,
    ear: Arc<Ear>,
}

impl Hear {
    /// The same way. Without this rmcp hands reports to tasks of their own, which may come after the answer.
    pub(crate) fn over<T: Transport<RoleClient>>(&self, way: T) -> Over<T> {
        Over { way, ear: Arc::clone(&self.0) }
    }
}

impl<T: Transport<RoleClient>> Over<T> {
    /// Takes a report of a call that is under way; what is of none yet is left to who waits for it.
    fn takes(&self, message: &ServerJsonRpcMessage) -> bool {
        let JsonRpcMessage::Notification(told) = message else { return false };
        let ServerNotification::ProgressNotification(report) = &told.notification else { return false };
        let params = &report.params;
        self.ear.progress(&params.progress_token, params.progress, params.total, params.message.as_deref())
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Over<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.way.send(item)
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            let message = self.way.receive().await?;
            if !self.takes(&message) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.way.close().await
    }
}
