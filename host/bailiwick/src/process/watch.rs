//! One program from its start to its end: fed, listened to, and not waited for longer than it may take.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use super::output::Spool;
use crate::keeper::{Ended, Running};

/// How long streams are read after their program and all it started has ended.
const REST: Duration = Duration::from_secs(1);

/// A program that runs. Dropping the leash ends it, and all it started.
pub(super) struct Streams<I, O, E, L> {
    pub(super) stdin: I,
    pub(super) stdout: O,
    pub(super) stderr: E,
    pub(super) ended: watch::Receiver<Option<Ended>>,
    pub(super) leash: L,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) stdout: Spool,
    pub(super) stderr: Spool,
    /// None when nobody knows how it ended.
    pub(super) ended: Option<Ended>,
}

/// Attends to a program that was started, until it ends: gives it `input`, which may be more than it reads, and keeps at
/// most so many bytes of each stream. What it leaves running in the background ends with it. To drop this ends it too.
pub(super) async fn attend<I, O, E, L>(streams: Streams<I, O, E, L>, input: &[u8], most: (usize, usize)) -> Ran
where
    I: AsyncWrite + Unpin,
    O: AsyncRead + Unpin,
    E: AsyncRead + Unpin,
{
    let Streams { mut stdin, mut stdout, mut stderr, mut ended, leash } = streams;
    let (mut out, mut err) = (Spool::new(most.0), Spool::new(most.1));
    let how = {
        let feeding = async move {
            // It need not read all of it, or any.
            let _ = stdin.write_all(input).await;
            let _ = stdin.shutdown().await;
        };
        let reading = async { tokio::join!(out.read(&mut stdout), err.read(&mut stderr)) };
        tokio::pin!(feeding, reading);
        let (mut is_fed, mut is_read) = (false, false);
        let how = loop {
            tokio::select! {
                how = ended.wait_for(Option::is_some) => break how.ok().and_then(|how| *how),
                () = &mut feeding, if !is_fed => is_fed = true,
                _ = &mut reading, if !is_read => is_read = true,
            }
        };
        // A child that keeps a stream open would keep us waiting.
        drop(leash);
        if !is_read {
            let _ = tokio::time::timeout(REST, &mut reading).await;
        }
        how
    };
    Ran { stdout: out, stderr: err, ended: how }
}

impl From<Running>
    for Streams<
        tokio::net::unix::pipe::Sender,
        tokio::net::unix::pipe::Receiver,
        tokio::net::unix::pipe::Receiver,
        crate::keeper::Leash,
    >
{
    fn from(running: Running) -> Self {
        let Running { stdin, stdout, stderr, ended, leash, .. } = running;
        Self { stdin, stdout, stderr, ended, leash }
    }
}
