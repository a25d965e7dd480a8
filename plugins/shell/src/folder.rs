//! A granted directory as the interpreter sees it.
//!
//! WASI has no modes: every file shows as one that its owner may read, change and run, so that a script can be run by its
//! path.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bashkit::{DirEntry, FileType, FsBackend, Metadata, Result, async_trait};

/// What every file and directory shows as its mode.
const MODE: u32 = 0o755;

/// The directory at this path.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where the interpreter's path is.
    fn at(&self, path: &Path) -> PathBuf {
        let below = path.strip_prefix("/").unwrap_or(path);
        // Joined with nothing, a path would end in a slash.
        if below.as_os_str().is_empty() { self.0.clone() } else { self.0.join(below) }
    }
}

/// The host answers "not permitted" for a directory that is granted to be read only.
fn changed<T>(result: io::Result<T>) -> Result<T> {
    result.map_err(|error| {
        let refused = matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem);
        if refused { read_only() } else { error }.into()
    })
}

fn read_only() -> io::Error {
    let text = "Permission denied (granted to be read only; its entry in `fs` would have to end in `:rw`)";
    io::Error::new(ErrorKind::PermissionDenied, text)
}

fn unsupported(what: &str) -> bashkit::Error {
    io::Error::new(ErrorKind::Unsupported, format!("{what} cannot be set here")).into()
}

fn metadata(of: &fs::Metadata) -> Metadata {
    let kind = of.file_type();
    let file_type = if kind.is_dir() {
        FileType::Directory
    } else if kind.is_symlink() {
        FileType::Symlink
    } else if kind.is_file() {
        FileType::File
    } else {
        FileType::Fifo
    };
    let modified = of.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Metadata { file_type, size: of.len(), mode: MODE, modified, created: of.created().unwrap_or(modified) }
}

#[async_trait]
impl FsBackend for Folder {
    async fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let path = self.at(path);
        // A pipe or a device could be waited for without end.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file").into());
        }
        Ok(fs::read(path)?)
    }

    async fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        changed(fs::write(self.at(path), content))
    }

    async fn append(&self, path: &Path, content: &[u8]) -> Result<()> {
        let file = fs::OpenOptions::new().append(true).create(true).open(self.at(path));
        changed(file.and_then(|mut file| file.write_all(content)))
    }

    async fn mkdir(&self, path: &Path, recursive: bool) -> Result<()> {
        let path = self.at(path);
        changed(if recursive { fs::create_dir_all(path) } else { fs::create_dir(path) })
    }

    async fn remove(&self, path: &Path, recursive: bool) -> Result<()> {
        let path = self.at(path);
        let is_dir = fs::symlink_metadata(&path)?.is_dir();
        changed(match (is_dir, recursive) {
            (true, true) => fs::remove_dir_all(path),
            (true, false) => fs::remove_dir(path),
            (false, _) => fs::remove_file(path),
        })
    }

    async fn stat(&self, path: &Path) -> Result<Metadata> {
        Ok(metadata(&fs::symlink_metadata(self.at(path))?))
    }

    async fn read_dir(&self, path: &Path) -> Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.at(path))? {
            let entry = entry?;
            // What was removed while it was listed is not there.
            let Ok(of) = entry.metadata() else { continue };
            entries.push(DirEntry { name: entry.file_name().to_string_lossy().into_owned(), metadata: metadata(&of) });
        }
        Ok(entries)
    }

    async fn exists(&self, path: &Path) -> Result<bool> {
        Ok(fs::symlink_metadata(self.at(path)).is_ok())
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        changed(fs::rename(self.at(from), self.at(to)))
    }

    async fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let content = fs::read(self.at(from))?;
        changed(fs::write(self.at(to), content))
    }

    async fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        let below = link.strip_prefix("/").unwrap_or(link);
        let folder = wasip2::filesystem::preopens::get_directories()
            .into_iter()
            .find(|(_, path)| Path::new(path) == self.0)
            .map(|(folder, _)| folder)
            .ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        let made = folder.symlink_at(&target.to_string_lossy(), &below.to_string_lossy());
        made.map_err(|code| io::Error::new(ErrorKind::PermissionDenied, code.message()).into())
    }

    async fn read_link(&self, path: &Path) -> Result<PathBuf> {
        Ok(fs::read_link(self.at(path))?)
    }

    /// Nothing has to be done for a mode that the file shows already, as `chmod +x` asks for it.
    async fn chmod(&self, _path: &Path, mode: u32) -> Result<()> {
        if mode & 0o777 == MODE { Ok(()) } else { Err(unsupported("the mode")) }
    }

    async fn set_modified_time(&self, path: &Path, time: SystemTime) -> Result<()> {
        let file = fs::OpenOptions::new().write(true).open(self.at(path));
        changed(file.and_then(|file| file.set_modified(time)))
    }
}
