//! MCP as lines of JSON. rmcp reads them; what is written comes from rmcp or from calls it has nothing to do with, a whole
//! line at a time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rmcp::RoleServer;
use rmcp::model::ServerJsonRpcMessage;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Mutex;

use crate::streams::{Reader, Writer};

/// The two streams of a client.
pub(super) struct Lines {
    pub(super) inner: AsyncRwTransport<RoleServer, Reader, Inlet>,
    outlet: Outlet,
}

impl Lines {
    pub(super) fn new(reader: Reader, writer: Writer) -> Self {
        let outlet = Outlet(Arc::new(Mutex::new(writer)));
        let inlet = Inlet { outlet: outlet.clone(), line: Vec::new(), sending: None };
        Self { inner: AsyncRwTransport::new_server(reader, inlet), outlet }
    }

    /// Where answers can be written beside rmcp's.
    pub(super) fn outlet(&self) -> Outlet {
        self.outlet.clone()
    }
}

/// Where lines are written.
#[derive(Clone)]
pub(super) struct Outlet(Arc<Mutex<Writer>>);

impl Outlet {
    /// Writes a message.
    pub(super) async fn write(&self, message: &ServerJsonRpcMessage) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.send(&line).await
    }

    async fn send(&self, lines: &[u8]) -> io::Result<()> {
        let mut writer = self.0.lock().await;
        writer.write_all(lines).await?;
        writer.flush().await
    }
}

/// What rmcp writes to: it keeps what it is given until it is told to flush, which is after every message.
pub(super) struct Inlet {
    outlet: Outlet,
    line: Vec<u8>,
    sending: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
}

impl AsyncWrite for Inlet {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.line.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(sending) = &mut self.sending {
                let sent = ready!(sending.as_mut().poll(context));
                self.sending = None;
                sent?;
            }
            if self.line.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (outlet, line) = (self.outlet.clone(), std::mem::take(&mut self.line));
            self.sending = Some(Box::pin(async move { outlet.send(&line).await }));
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        let outlet = self.outlet.clone();
        self.sending = Some(Box::pin(async move { outlet.0.lock().await.shutdown().await }));
        self.poll_flush(context)
    }
}
