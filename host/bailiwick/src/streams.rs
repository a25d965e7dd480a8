//! Standard input and output of a server, without a thread that waits for each: a pipe and a socket can say when there is
//! something to do. Neither is switched to not blocking, since whoever shares an open file shares that too: a pipe is
//! opened once more, and a socket is told so with every operation.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ambient;

/// What a client writes.
pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// What a client reads.
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Standard input.
pub(crate) fn input() -> Reader {
    if let Ok(pipe) = ambient::input_pipe() {
        return Box::new(pipe);
    }
    match Socket::new(ambient::input_socket()) {
        Ok(socket) => Box::new(socket),
        Err(_) => Box::new(tokio::io::stdin()),
    }
}

/// Standard output.
pub(crate) fn output() -> Writer {
    if let Ok(pipe) = ambient::output_pipe() {
        return Box::new(pipe);
    }
    match Socket::new(ambient::output_socket()) {
        Ok(socket) => Box::new(socket),
        Err(_) => Box::new(tokio::io::stdout()),
    }
}

/// A stream socket that others may have too.
#[derive(Debug)]
struct Socket(AsyncFd<OwnedFd>);

impl Socket {
    fn new(socket: io::Result<OwnedFd>) -> io::Result<Self> {
        ambient::awaited(socket?).map(Self)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(context))?;
            let read = ready.try_io(|socket| Ok(recv(socket, into.initialize_unfilled(), RecvFlags::DONTWAIT)?.0));
            match read {
                Ok(Ok(count)) => {
                    into.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(context))?;
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match ready.try_io(|socket| Ok(send(socket, bytes, flags)?)) {
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(written) => return Poll::Ready(written),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It ends with the process, as the other streams do.
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_socket_waits_without_a_thread_and_stays_as_it_is() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let shared = ours.try_clone().unwrap();
        let mut socket = Socket::new(Ok(ours.into())).unwrap();
        let mut byte = [0];
        let waiting = tokio::time::timeout(Duration::from_millis(20), socket.read_exact(&mut byte)).await;
        assert!(waiting.is_err(), "nobody has written");
        theirs.write_all(b"x").unwrap();
        socket.read_exact(&mut byte).await.unwrap();
        let long = vec![b'y'; 4 << 20];
        let reader = std::thread::spawn(move || {
            let mut read = vec![0; 4 << 20];
            theirs.read_exact(&mut read).unwrap();
            (read, theirs)
        });
        socket.write_all(&long).await.unwrap();
        let (read, theirs) = reader.join().unwrap();
        assert_eq!((byte[0], read == long), (b'x', true));
        let flags = rustix::fs::fcntl_getfl(&shared).unwrap();
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK), "whoever shares it would not expect that");
        drop(theirs);
        assert_eq!(socket.read(&mut byte).await.unwrap(), 0, "the end is the end");
        assert!(socket.write_all(&long).await.is_err(), "nobody reads any more");
    }
}
