//! Results that are too big for an answer: kept as files in the state directory, named by the call that made them.

pub mod files;
mod shelf;

use std::io;
use std::path::{Path, PathBuf};

use bailiwick_core::call::CallId;
use bailiwick_core::outcome::Outcome;

pub use self::shelf::Owner;
use self::shelf::Shelf;
pub(crate) use self::shelf::links;
use crate::ambient;

/// What the URIs of artifacts begin with.
pub(crate) const SCHEME: &str = "artifact://";

/// The folder of artifacts: `FOLDER/CALL/NAME`, readable by the operator alone.
#[derive(Debug)]
pub struct Artifacts {
    folder: PathBuf,
    shelf: Shelf,
}

/// An artifact that may be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its file.
    pub(crate) path: PathBuf,
    /// Its name, without the call's.
    pub(crate) name: String,
    /// What the plugin said it is.
    pub(crate) mime_type: Option<String>,
}

impl Artifacts {
    /// Artifacts under this folder, which is made when the first one is kept.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, shelf: Shelf::default() }
    }

    /// Keeps `data` and gives back its URI, `artifact://CALL/NAME`. A name that is taken gets a number.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub async fn keep(&self, call: &CallId, name: &str, data: Vec<u8>) -> io::Result<String> {
        let folder = self.folder.join(call.as_str());
        let name = file_name(name);
        let kept =
            tokio::task::spawn_blocking(move || write(&folder, &name, &data)).await.map_err(io::Error::other)??;
        Ok(format!("{SCHEME}{call}/{kept}"))
    }

    /// Remembers that what a call left is `owner`'s.
    pub(crate) fn note(&self, owner: &Owner, call: &CallId, outcome: &Outcome) {
        match owner {
            Owner::Named(name) => self.shelf.note(name, call, outcome),
            Owner::Nobody | Owner::Operator => {}
        }
    }

    /// The artifact behind `artifact://CALL/NAME`, if `owner` may use it. Whether its file is there is seen when it is read.
    pub(crate) fn of(&self, owner: &Owner, uri: &str) -> Option<Kept> {
        let mime_type = match owner {
            Owner::Nobody => None,
            Owner::Named(name) => self.shelf.owned(name, uri),
            Owner::Operator => Some(None),
        }?;
        let (_, name) = uri.rsplit_once('/')?;
        Some(Kept { path: self.path(uri)?, name: name.to_owned(), mime_type })
    }

    /// The file behind `artifact://CALL/NAME`.
    #[must_use]
    pub fn path(&self, uri: &str) -> Option<PathBuf> {
        let (call, name) = uri.strip_prefix(SCHEME)?.split_once('/')?;
        let plain = |part: &str| !part.is_empty() && part == file_name(part);
        (plain(call) && plain(name)).then(|| self.folder.join(call).join(name))
    }
}

fn write(folder: &Path, name: &str, data: &[u8]) -> io::Result<String> {
    ambient::create_private_dir(folder)?;
    for number in 1..10_000 {
        let name = if number == 1 { name.to_owned() } else { format!("{number}-{name}") };
        match ambient::create_private(&folder.join(&name), data) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// `name` as a file name: letters, digits, `.`, `_` and `-`, never hidden, at most 80 characters.
fn file_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
        .take(80)
        .collect();
    let safe = safe.trim_start_matches('.');
    if safe.is_empty() { "artifact".to_owned() } else { safe.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_folder() {
        assert_eq!(file_name("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(file_name("...."), "artifact");
        assert_eq!(file_name("page 1.html"), "page_1.html");
        let artifacts = Artifacts::new(PathBuf::from("/state"));
        assert_eq!(artifacts.path("artifact://c1/../x"), None);
        assert_eq!(artifacts.path("artifact://../x"), None);
        assert_eq!(artifacts.path("artifact://c1/x"), Some(PathBuf::from("/state/c1/x")));
    }
}
