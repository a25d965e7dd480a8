//! What went wrong with a file, as a failure for the caller.

use std::io::{self, ErrorKind};

use bailiwick_sdk::Failure;

/// What was to be done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Read it, list it, look at it.
    Read,
    /// Change or make it.
    Write,
}

impl Wish {
    /// The failure for a path that may not be reached, as the caller wrote it.
    pub fn denied(self, written: &str) -> Failure {
        match self {
            Self::Read => Failure::denied_read(written),
            Self::Write => Failure::denied_write(written),
        }
    }

    /// The failure for `error`, which came of wishing this of the path the caller wrote.
    ///
    /// A link out of the grant and a write under a read-only grant both come back from the host as "not permitted".
    pub fn failure(self, written: &str, error: &io::Error) -> Failure {
        let is = |kinds: &[ErrorKind]| kinds.contains(&error.kind());
        if is(&[ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem]) || is_not_capable(error) {
            return self.denied(written);
        }
        if is(&[ErrorKind::NotFound, ErrorKind::NotADirectory]) {
            return not_found(written);
        }
        if is(&[ErrorKind::IsADirectory]) {
            return is_directory(written);
        }
        if is(&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge]) {
            return Failure::failed(format!("There is no space left for {written}; the file is as it was."));
        }
        if self == Self::Write && is_io(error) {
            // A full disk comes back as this from a stream: which of the two it was, nobody says.
            return Failure::failed(format!(
                "There is no space left for {written}, or its disk fails; the file is as it was."
            ));
        }
        if is(&[ErrorKind::InvalidFilename, ErrorKind::InvalidInput]) {
            return Failure::invalid(format!("{written} is not a name that a file can have here."));
        }
        let verb = match self {
            Self::Read => "read",
            Self::Write => "write",
        };
        Failure::failed(format!("Cannot {verb} {written}: {error}."))
    }
}

/// `tool.not-found`, in the words other systems use.
pub fn not_found(written: &str) -> Failure {
    Failure::not_found(format!("File not found: {written}"))
}

/// `arguments.invalid` for a directory where a file belongs.
pub fn is_directory(written: &str) -> Failure {
    Failure::invalid(format!("{written} is a directory; use glob to see what is in it."))
}

/// `tool.failed` for devices, pipes and sockets: opening one can wait for ever.
pub fn is_not_regular(written: &str) -> Failure {
    Failure::failed(format!("{written} is not a regular file but a device, a pipe or a socket."))
}

/// `EIO`, for which std has no kind.
fn is_io(error: &io::Error) -> bool {
    error.raw_os_error() == Some(if cfg!(target_family = "wasm") { 29 } else { 5 })
}

/// `ENOTCAPABLE`, for which std has no kind.
#[cfg(target_family = "wasm")]
fn is_not_capable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(76)
}

#[cfg(not(target_family = "wasm"))]
fn is_not_capable(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_failure() {
        let check = |kind: ErrorKind, expected: Failure| {
            assert_eq!(expected, Wish::Write.failure("a", &io::Error::from(kind)));
        };
        check(ErrorKind::PermissionDenied, Failure::denied_write("a"));
        check(ErrorKind::ReadOnlyFilesystem, Failure::denied_write("a"));
        check(ErrorKind::NotFound, Failure::not_found("File not found: a"));
        check(ErrorKind::NotADirectory, Failure::not_found("File not found: a"));
        check(ErrorKind::StorageFull, Failure::failed("There is no space left for a; the file is as it was."));
        check(ErrorKind::TimedOut, Failure::failed("Cannot write a: timed out."));
        assert_eq!(Failure::denied_read("a"), Wish::Read.failure("a", &ErrorKind::PermissionDenied.into()));
    }
}
