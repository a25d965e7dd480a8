//! What the host, the keeper and its cages say to each other: one JSON text a message, with open files beside it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Ended, LaunchError};
use crate::ambient;

/// A message up to this length is sent as it is; a socket takes about 200 KiB before it has its sender wait.
const SHORT: usize = 16 << 10;
/// What is sent in place of a longer one, which comes as a file. No JSON text begins like this.
const LONG: &[u8] = b"+";
/// A charter is part of a configuration of at most 1 MiB; arguments have as much again.
const LONGEST: u64 = 4 << 20;
/// The files of one message: three streams, a listener, and a message that was too long.
const FILES: usize = 5;

/// What the host says to the keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Start one.
    Launch(Launch),
    /// Ask it to end.
    Terminate(u64),
    /// End it, and all it started.
    Kill(u64),
}

/// Which program to start, and with what besides what the charter says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) id: u64,
    pub(super) plugin: String,
    pub(super) arguments: Vec<String>,
    pub(super) variables: BTreeMap<String, Hidden>,
    pub(super) cwd: Option<PathBuf>,
}

/// What the keeper says to the host.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// It runs; its streams, and the listener if there is one, come along.
    Launched(u64),
    /// It never ran.
    Refused(u64, LaunchError),
    /// It ran, and nothing of it does any more.
    Ended(u64, Ended),
}

/// What a cage says to the keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The program runs; the listener comes along if there is one.
    Started,
    /// It does not.
    Refused(LaunchError),
    /// It ended.
    Ended(Ended),
}

/// What the keeper says to a cage. The end of the connection says to end all that is in it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Bid {
    /// Ask the program to end.
    Terminate,
}

/// The value of a secret.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hidden(pub(super) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Sends a message. Waits while the other side has too many to read.
pub(super) fn send(socket: BorrowedFd<'_>, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let text = Zeroizing::new(serde_json::to_vec(message)?);
    if text.len() as u64 > LONGEST {
        return Err(io::Error::new(ErrorKind::InvalidInput, "its arguments are too long"));
    }
    let long = if text.len() > SHORT { Some(ambient::cage::sealed(&text)?) } else { None };
    let body: &[u8] = if long.is_some() { LONG } else { &text };
    let files: Vec<BorrowedFd<'_>> = long.iter().map(|file| file.as_fd()).chain(files.iter().copied()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(ErrorKind::InvalidInput.into());
    }
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(socket, &[IoSlice::new(body)], &mut beside, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// The next message and its files; none when there are no more.
pub(super) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut text = Zeroizing::new(vec![0; SHORT + 1]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut beside, RecvFlags::CMSG_CLOEXEC)
    });
    let received = match received {
        Ok(received) => received,
        Err(rustix::io::Errno::CONNRESET) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut files = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            files.extend(some);
        }
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(ErrorKind::InvalidData, "a message is too long"));
    }
    text.truncate(received.bytes);
    if text.is_empty() {
        return Ok(None);
    }
    if *text == LONG {
        if files.is_empty() {
            return Err(ErrorKind::InvalidData.into());
        }
        text = Zeroizing::new(ambient::cage::read_sealed(files.remove(0), LONGEST)?);
    }
    Ok(Some((serde_json::from_slice(&text)?, files)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        ambient::cage::connection().unwrap()
    }

    #[test]
    fn messages_of_any_length_arrive_whole_and_apart() {
        let (one, other) = pair();
        for length in [0, 1, SHORT - 2, SHORT - 1, SHORT, 1 << 20] {
            let message = "x".repeat(length);
            send(one.as_fd(), &message, &[]).unwrap();
            send(one.as_fd(), &"next", &[]).unwrap();
            assert_eq!(receive::<String>(other.as_fd()).unwrap().unwrap().0, message);
            assert_eq!(receive::<String>(other.as_fd()).unwrap().unwrap().0, "next");
        }
        drop(one);
        assert!(receive::<String>(other.as_fd()).unwrap().is_none());
    }

    #[test]
    fn files_come_along_and_a_message_that_is_too_long_does_not() {
        let (one, other) = pair();
        let long = "x".repeat(SHORT);
        for message in ["short", &long] {
            let (input, _output) = std::io::pipe().unwrap();
            send(one.as_fd(), &message, &[input.as_fd(); FILES - 1]).unwrap();
            let (got, files) = receive::<String>(other.as_fd()).unwrap().unwrap();
            assert_eq!((got.as_str(), files.len()), (message, FILES - 1));
        }
        assert!(send(one.as_fd(), &"x".repeat(5 << 20), &[]).is_err());
    }

    #[test]
    fn a_file_that_could_still_be_changed_is_not_read() {
        let (input, _output) = std::io::pipe().unwrap();
        assert!(ambient::cage::read_sealed(input.into(), 10).is_err());
        let open = rustix::fs::memfd_create("open", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(ambient::cage::read_sealed(open, 10).is_err());
        assert_eq!(ambient::cage::read_sealed(ambient::cage::sealed(b"text").unwrap(), 4).unwrap(), b"text");
        assert!(ambient::cage::read_sealed(ambient::cage::sealed(b"text").unwrap(), 3).is_err());
    }

    #[test]
    fn the_value_of_a_secret_is_in_no_debug_text() {
        assert_eq!(format!("{:?}", Hidden("canary".to_owned())), "(hidden)");
    }
}
