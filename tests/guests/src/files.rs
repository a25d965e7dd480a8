//! One file operation exactly as it is written, below a granted directory: no C library resolves the path first.

use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags};

/// The granted directory whose path in the guest is `guest`.
pub fn directory(guest: &str) -> Option<Descriptor> {
    get_directories().into_iter().find(|(_, path)| path == guest).map(|(directory, _)| directory)
}

/// Does `operation` to `path`, which is relative to `directory`; `to` is the second path where there is one. What was
/// read, or `done`.
///
/// # Errors
/// The name of the error code.
pub fn run(directory: &Descriptor, operation: &str, path: &str, to: &str) -> Result<String, String> {
    one(directory, operation, path, to).map_err(|code| code.name().to_owned())
}

fn one(directory: &Descriptor, operation: &str, path: &str, to: &str) -> Result<String, ErrorCode> {
    let follow = PathFlags::SYMLINK_FOLLOW;
    let open = |flags, rights| directory.open_at(follow, path, flags, rights);
    let done = |()| "done".to_owned();
    match operation {
        "read" => {
            let (bytes, _) = open(OpenFlags::empty(), DescriptorFlags::READ)?.read(64 << 10, 0)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        "list" => {
            let entries = open(OpenFlags::DIRECTORY, DescriptorFlags::READ)?.read_directory()?;
            let mut names = Vec::new();
            while let Some(entry) = entries.read_directory_entry()? {
                names.push(entry.name);
            }
            names.sort();
            Ok(names.join(" "))
        }
        "stat" => directory.stat_at(follow, path).map(|stat| format!("{} bytes", stat.size)),
        "count" => {
            let entries = open(OpenFlags::DIRECTORY, DescriptorFlags::READ)?.read_directory()?;
            let mut n_entries = 0_u64;
            while entries.read_directory_entry()?.is_some() {
                n_entries += 1;
            }
            Ok(format!("{n_entries} entries"))
        }
        "open" => open(OpenFlags::empty(), DescriptorFlags::READ).map(drop).map(done),
        "open-both-ways" => {
            open(OpenFlags::empty(), DescriptorFlags::READ | DescriptorFlags::WRITE).map(drop).map(done)
        }
        "open-directory" => open(OpenFlags::DIRECTORY, DescriptorFlags::READ).map(drop).map(done),
        "read-nofollow" => {
            let file = directory.open_at(PathFlags::empty(), path, OpenFlags::empty(), DescriptorFlags::READ)?;
            Ok(String::from_utf8_lossy(&file.read(64 << 10, 0)?.0).into_owned())
        }
        "hash" => directory.metadata_hash_at(follow, path).map(|_| "hashed".to_owned()),
        "write-stream" => {
            let stream = open(OpenFlags::empty(), DescriptorFlags::WRITE)?.write_via_stream(0)?;
            stream.blocking_write_and_flush(b"changed").map(done).map_err(|_| ErrorCode::Io)
        }
        "resize-huge" => open(OpenFlags::empty(), DescriptorFlags::WRITE)?.set_size(1 << 63).map(done),
        "resize-sparse" => open(OpenFlags::empty(), DescriptorFlags::WRITE)?.set_size(1 << 40).map(done),
        "touch-distant" => {
            let distant = NewTimestamp::Timestamp(Datetime { seconds: u64::MAX, nanoseconds: u32::MAX });
            directory.set_times_at(follow, path, distant, distant).map(done)
        }
        "touch-far" => {
            let far = NewTimestamp::Timestamp(Datetime { seconds: 1 << 62, nanoseconds: 999_999_999 });
            directory.set_times_at(follow, path, far, far).map(done)
        }
        "readlink" => directory.readlink_at(path),
        "overwrite" => {
            open(OpenFlags::empty(), DescriptorFlags::WRITE)?.write(b"changed", 0).map(|_| "done".to_owned())
        }
        "create" => open(OpenFlags::CREATE | OpenFlags::EXCLUSIVE, DescriptorFlags::WRITE).map(drop).map(done),
        "truncate" => open(OpenFlags::TRUNCATE, DescriptorFlags::READ).map(drop).map(done),
        "resize" => open(OpenFlags::empty(), DescriptorFlags::READ)?.set_size(0).map(done),
        "append" => {
            let file = open(OpenFlags::empty(), DescriptorFlags::READ)?;
            let stream = file.append_via_stream()?;
            stream.blocking_write_and_flush(b"changed").map(done).map_err(|_| ErrorCode::Io)
        }
        "touch" => directory.set_times_at(follow, path, NewTimestamp::Now, NewTimestamp::Now).map(done),
        "mkdir" => directory.create_directory_at(path).map(done),
        "rmdir" => directory.remove_directory_at(path).map(done),
        "unlink" => directory.unlink_file_at(path).map(done),
        "rename" => directory.rename_at(path, directory, to).map(done),
        "link" => directory.link_at(PathFlags::empty(), path, directory, to).map(done),
        "symlink" => directory.symlink_at(path, to).map(done),
        _ => Err(ErrorCode::Unsupported),
    }
}
