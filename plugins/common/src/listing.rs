//! Listing a directory, entry by entry.
//!
//! Not `std::fs::read_dir`: it ends at the first entry the host cannot name, which is one whose name is not UTF-8, and
//! so would hide what comes after it.

/// What an entry is. A link is neither, whatever it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, a device, a pipe, a socket.
    Other,
}

pub use imp::Lister;

#[cfg(target_family = "wasm")]
mod imp {
    use std::path::{Path, PathBuf};

    use wasip2::filesystem::preopens;
    use wasip2::filesystem::types::{Descriptor, DescriptorFlags, DescriptorType, OpenFlags, PathFlags};

    use super::Kind;

    /// Lists directories below the grants.
    pub struct Lister(Vec<(Descriptor, PathBuf)>);

    impl Lister {
        /// Opens what is granted, for one call.
        #[must_use]
        pub fn open() -> Self {
            let grants = preopens::get_directories().into_iter();
            Self(grants.map(|(descriptor, path)| (descriptor, PathBuf::from(path))).collect())
        }

        /// The names in a directory and what they are; an entry is none if the host cannot tell. None at all: the
        /// directory cannot be listed.
        pub fn list(&self, directory: &Path) -> Option<impl Iterator<Item = Option<(String, Kind)>>> {
            let around = self.0.iter().filter(|(_, path)| directory.starts_with(path));
            let (grant, path) = around.max_by_key(|(_, path)| path.components().count())?;
            let below = directory.strip_prefix(path).ok()?.to_str()?;
            let below = if below.is_empty() { "." } else { below };
            let opened = grant.open_at(PathFlags::SYMLINK_FOLLOW, below, OpenFlags::DIRECTORY, DescriptorFlags::READ);
            let entries = opened.ok()?.read_directory().ok()?;
            Some(std::iter::from_fn(move || match entries.read_directory_entry() {
                Ok(entry) => entry.map(|entry| Some((entry.name, kind(entry.type_)))),
                Err(_) => Some(None),
            }))
        }
    }

    fn kind(kind: DescriptorType) -> Kind {
        match kind {
            DescriptorType::RegularFile => Kind::File,
            DescriptorType::Directory => Kind::Directory,
            DescriptorType::Unknown
            | DescriptorType::BlockDevice
            | DescriptorType::CharacterDevice
            | DescriptorType::Fifo
            | DescriptorType::SymbolicLink
            | DescriptorType::Socket => Kind::Other,
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    use std::fs::{self, FileType};
    use std::path::Path;

    use super::Kind;

    /// Lists directories, for tests.
    pub struct Lister;

    impl Lister {
        /// Opens what is granted, for one call.
        #[must_use]
        pub fn open() -> Self {
            Self
        }

        /// The names in a directory and what they are; an entry is none if they cannot be told.
        pub fn list(&self, directory: &Path) -> Option<impl Iterator<Item = Option<(String, Kind)>>> {
            let entries = fs::read_dir(directory).ok()?;
            Some(entries.map(|entry| {
                let entry = entry.ok()?;
                Some((entry.file_name().into_string().ok()?, kind(entry.file_type().ok()?)))
            }))
        }
    }

    fn kind(kind: FileType) -> Kind {
        match (kind.is_file(), kind.is_dir()) {
            (true, _) => Kind::File,
            (_, true) => Kind::Directory,
            (false, false) => Kind::Other,
        }
    }
}
