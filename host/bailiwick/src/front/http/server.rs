//! Connections: taken one by one up to a limit, read within a time, and ended in good order.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tower::ServiceExt as _;

use bailiwick_core::config::GatewaySettings;

use super::{Ends, Gateway, opening, router};
use crate::front::life::Life;

/// The largest head of a request.
const MAX_HEAD: usize = 64 << 10;
/// The most headers in one.
const MAX_HEADERS: usize = 128;
/// Requests that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 128;
/// How often an HTTP/2 connection without traffic is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);
/// How long nothing is accepted after the system refused to give a connection.
const PAUSE: Duration = Duration::from_millis(50);
/// How long connections may take to end once nothing is under way in them.
const FAREWELL: Duration = Duration::from_secs(1);
/// How every HTTP/2 connection begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A server: it takes connections from its start on, and says that it is starting until there is a host to offer.
pub struct Server {
    settings: GatewaySettings,
    answers: Arc<ArcSwap<Router>>,
    life: Arc<Life>,
}

impl Server {
    /// A server as `[gateway]` says, without a host so far.
    #[must_use]
    pub fn new(settings: &GatewaySettings) -> Self {
        let answers = Arc::new(ArcSwap::from_pointee(opening()));
        Self { settings: settings.clone(), answers, life: Arc::new(Life::new()) }
    }

    pub(super) fn life(&self) -> Arc<Life> {
        Arc::clone(&self.life)
    }

    /// From here on, this is what is answered.
    pub fn offer(&self, gateway: &Arc<Gateway>) {
        self.answers.store(Arc::new(router(Arc::clone(gateway))));
    }

    /// Takes no more connections; calls under way may finish. Said once more, they are cancelled.
    pub fn leave(&self) {
        if self.life.is_open() { self.life.leave() } else { self.life.end() }
    }

    /// Serves at a socket that listens already, until [`Server::leave`]; then takes no more connections, lets calls under
    /// way finish within the grace, cancels the rest and hangs up.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub async fn serve(&self, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let (ends, mut connections) = (GracefulShutdown::new(), JoinSet::new());
        self.take_all(&listener, &ends, &mut connections).await;
        drop(listener);
        let mut ended = pin!(ends.shutdown());
        let finished = async {
            tokio::select! {
                () = self.life.idle() => {}
                () = self.life.over() => {}
                () = &mut ended => {}
            }
        };
        let in_time = timeout(self.settings.grace, finished).await.is_ok();
        if !in_time {
            tracing::warn!("calls that took longer than `grace` under `[gateway]` are cancelled");
        }
        self.life.end();
        let _ = timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
        connections.shutdown().await;
        Ok(())
    }

    /// Takes connections, as many as there is room for, until the server is left.
    async fn take_all(&self, listener: &TcpListener, ends: &GracefulShutdown, connections: &mut JoinSet<()>) {
        let room = Arc::new(Semaphore::new(self.settings.connections as usize));
        let builder = builder(&self.settings);
        let mut leaving = pin!(self.life.leaving());
        loop {
            let taken = async {
                let place = Arc::clone(&room).acquire_owned().await;
                (listener.accept().await, place)
            };
            tokio::select! {
                biased;
                () = &mut leaving => return,
                // One that ended.
                Some(_) = connections.join_next() => {}
                taken = taken => match taken {
                    (Ok((stream, peer)), Ok(place)) => {
                        let connection = Connection { stream, peer, patience: self.settings.header_time, place };
                        let answers = Arc::clone(&self.answers);
                        connections.spawn(connection.serve(builder.clone(), answers, ends.watcher()));
                    }
                    // Most likely the files that this process may have open are used up; some connection will end.
                    (Err(error), _) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        sleep(PAUSE).await;
                    }
                    (Ok(_), Err(closed)) => unreachable!("nobody closes it: {closed}"),
                },
            }
        }
    }
}

fn builder(settings: &GatewaySettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_time)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    builder
}

/// A connection that was taken, and its place among those that may be.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    patience: Duration,
    place: OwnedSemaphorePermit,
}

impl Connection {
    /// Answers its requests until either side ends it.
    async fn serve(self, builder: Builder<TokioExecutor>, answers: Arc<ArcSwap<Router>>, watcher: Watcher) {
        let Self { stream, peer, patience, place } = self;
        let Ok(local) = stream.local_addr() else { return };
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let ends = Ends { peer: canonical(peer), local: canonical(local) };
        // Small messages are what most answers are.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request: Request<Incoming>| {
            let router = Router::clone(&answers.load());
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ends);
            router.oneshot(request)
        });
        let io = TokioIo::new(Begun { stream, matched: 0, until: Some(Box::pin(sleep(patience))) });
        // A connection that breaks is its caller's affair.
        let _ = watcher.watch(builder.serve_connection(io, service)).await;
        drop(place);
    }
}

/// A stream that has to say in time which version of HTTP it speaks. From then on, hyper watches the time.
struct Begun<S> {
    stream: S,
    /// Bytes that began as an HTTP/2 connection does.
    matched: usize,
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Begun<S> {
    /// Looks at what was read: anything but a part of HTTP/2's beginning settles the version.
    fn note(&mut self, read: &[u8]) {
        let rest = &PREFACE[self.matched..];
        let n_read = read.len().min(rest.len());
        self.matched += n_read;
        if read.is_empty() || read[..n_read] != rest[..n_read] || self.matched == PREFACE.len() {
            self.until = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        if Pin::new(&mut self.stream).poll_read(context, into)?.is_ready() {
            if self.until.is_some() {
                self.note(&into.filled()[before..]);
            }
            return Poll::Ready(Ok(()));
        }
        match &mut self.until {
            Some(until) => until.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
            None => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn read(pieces: &[&[u8]]) -> Vec<io::Result<usize>> {
        let (mut client, stream) = tokio::io::duplex(64);
        let mut begun = Begun { stream, matched: 0, until: Some(Box::pin(sleep(Duration::from_secs(5)))) };
        let mut results = Vec::new();
        for piece in pieces {
            tokio::io::AsyncWriteExt::write_all(&mut client, piece).await.unwrap();
            results.push(begun.read(&mut [0; 64]).await);
        }
        results.push(timeout(Duration::from_secs(60), begun.read(&mut [0; 64])).await.unwrap_or(Ok(99)));
        results
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_say_what_it_speaks_is_hung_up_on() {
        let last = |pieces: &'static [&'static [u8]]| async { read(pieces).await.pop().unwrap().map_err(|e| e.kind()) };
        assert_eq!(last(&[]).await, Err(io::ErrorKind::TimedOut));
        assert_eq!(last(&[b"P"]).await, Err(io::ErrorKind::TimedOut));
        assert_eq!(last(&[b"PRI * HTT", b"P/2.0\r\n\r\nSM\r\n\r"]).await, Err(io::ErrorKind::TimedOut));
        // From here on, it is not ours to time.
        assert_eq!(last(&[b"PO"]).await, Ok(99));
        assert_eq!(last(&[b"PRI * HTT", b"P/1"]).await, Ok(99));
        assert_eq!(last(&[b"PRI * HTT", b"P/2.0\r\n\r\nSM\r\n\r\nmore"]).await, Ok(99));
    }
}
