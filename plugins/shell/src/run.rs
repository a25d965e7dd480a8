//! One command: the file system it sees, the interpreter, and what becomes of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick_plugin_common::grants::Grants;
use bailiwick_plugin_common::trouble::Wish;
use bailiwick_sdk::Failure;
use bashkit::{
    Bash, Error, ExecOptions, ExecutionLimits, FileSystem, InMemoryFs, LimitExceeded, MemoryLimits, MountableFs,
    PosixFs, SessionLimits,
};

use crate::folder::Folder;
use crate::said;

/// Seconds a command may ask for, and has that asks for none: the host's own limit ends it sooner.
const MOST_SECONDS: u64 = 3600;
/// Where a command runs without a workspace, and what `~` is.
const HOME: &str = "/home/user";
/// Bytes of one stream that are kept. What a result has no room for, the host puts in an artifact.
const MAX_STREAM: usize = 8 << 20;

/// Runs it, and gives what it said.
///
/// # Errors
///
/// `arguments.invalid` for a `workdir` that is no directory here, `denied.*` for one outside of the grants, `tool.failed`
/// for a command that ran out of time or of what the interpreter has for one.
pub(crate) fn bash(command: &str, workdir: Option<&str>, timeout: Option<u64>) -> Result<String, Failure> {
    let granted = bailiwick_plugin_common::granted_directories();
    let workdir = place(&granted, workdir)?;
    let seconds = timeout.unwrap_or(MOST_SECONDS);
    let mut shell = Bash::builder()
        .fs(files(&granted)?)
        .cwd(workdir.clone())
        .rootfs(false)
        .username("user")
        .hostname("localhost")
        .env("HOME", HOME)
        .limits(limits(seconds))
        .session_limits(SessionLimits::unlimited())
        .memory_limits(MemoryLimits::unlimited())
        .build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let heard = Arc::new(Mutex::new(said::Streams::default()));
    let listener = Arc::clone(&heard);
    let options = ExecOptions::new().streaming(Box::new(move |stdout, stderr| {
        if let Ok(mut heard) = listener.lock() {
            heard.add(stdout, stderr);
        }
    }));
    match runtime.block_on(shell.exec_with_options(command, options)) {
        Ok(result) => Ok(said::text(&result.stdout.text_lossy(), &result.stderr.text_lossy(), result.exit_code)),
        // As bash has it: what it cannot read, it says so and ends with 2.
        Err(error @ Error::Parse { .. }) => Ok(said::text("", &format!("bash: {error}\n"), 2)),
        Err(error) => {
            let heard = heard.lock().map(|heard| heard.end()).unwrap_or_default();
            Err(Failure::failed(format!("{}{heard}", reason(&error, seconds, command))))
        }
    }
}

/// Where a command runs.
fn place(granted: &[String], workdir: Option<&str>) -> Result<PathBuf, Failure> {
    let Some(written) = workdir else {
        return Ok(granted.first().map_or_else(|| PathBuf::from(HOME), PathBuf::from));
    };
    let path = Grants::new(granted).find("workdir", written, Wish::Read)?.path;
    match std::fs::metadata(&path) {
        Ok(there) if there.is_dir() => Ok(path),
        Ok(_) => Err(Failure::invalid(format!("`workdir` is {written}, which is no directory."))),
        Err(error) => Err(Wish::Read.failure(written, &error)),
    }
}

/// The granted directories at their own paths, on memory.
fn files(granted: &[String]) -> Result<Arc<dyn FileSystem>, Failure> {
    let memory = InMemoryFs::new();
    // What lies above a granted directory has to be there for the way to it.
    for path in granted.iter().map(String::as_str).chain([HOME]) {
        memory.add_dir(path, 0o755);
    }
    let all = MountableFs::new(Arc::new(memory));
    for path in granted {
        let folder = PosixFs::new(Folder::new(Path::new(path)));
        all.mount(path, Arc::new(folder)).map_err(|error| Failure::failed(error.to_string()))?;
    }
    Ok(Arc::new(all))
}

/// What guards the interpreter's stack stays; what the host limits by itself does not.
fn limits(seconds: u64) -> ExecutionLimits {
    ExecutionLimits::cli()
        .max_work_units(u64::MAX)
        .max_aggregate_input_bytes(u64::MAX)
        .max_live_intermediate_bytes(u64::MAX)
        .max_word_split_fields(usize::MAX)
        .max_word_split_bytes(usize::MAX)
        .max_stdout_bytes(MAX_STREAM)
        .max_stderr_bytes(MAX_STREAM)
        .timeout(Duration::from_secs(seconds))
}

/// Why a command ended that did not end by itself.
fn reason(error: &Error, seconds: u64, command: &str) -> String {
    match error {
        Error::ResourceLimit(LimitExceeded::Timeout(_)) => format!("Command timed out after {seconds}s: {command}"),
        error => format!("The command was ended: {error}."),
    }
}
