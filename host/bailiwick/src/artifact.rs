//! Results that are too big for an answer: kept as files in the state directory, named by the call that made them.

use std::io;
use std::path::{Path, PathBuf};

use bailiwick_core::call::CallId;

use crate::ambient;

/// The folder of artifacts: `FOLDER/CALL/NAME`, readable by the operator alone.
#[derive(Debug)]
pub struct Artifacts {
    folder: PathBuf,
}

impl Artifacts {
    /// Artifacts under this folder, which is made when the first one is kept.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
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
        Ok(format!("artifact://{call}/{kept}"))
    }

    /// The file behind `artifact://CALL/NAME`.
    #[must_use]
    pub fn path(&self, uri: &str) -> Option<PathBuf> {
        let (call, name) = uri.strip_prefix("artifact://")?.split_once('/')?;
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
