//! Tries the filesystem in bulk, without a C library: many things in one call, one thing many times, one thing from a
//! directory that moved meanwhile.

use std::collections::BTreeMap;

use bailiwick_guests::files;
use bailiwick_sdk::prelude::*;
use bailiwick_sdk::serde_json::{Value, json};
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

/// One thing to try; see `files::run`.
#[bailiwick_sdk::args]
struct Attempt {
    operation: String,
    path: String,
    #[serde(default)]
    to: String,
}

fn granted(directory: &str) -> Result<wasip2::filesystem::types::Descriptor, Failure> {
    files::directory(directory).ok_or_else(|| Failure::failed("no such directory is granted"))
}

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Tries each of these below a granted directory and says what came of each.
    #[tool]
    fn sweep(directory: String, attempts: Vec<Attempt>) -> Result<Json<Value>, Failure> {
        let opened = granted(&directory)?;
        let answer = |attempt: &Attempt| {
            files::run(&opened, &attempt.operation, &attempt.path, &attempt.to).unwrap_or_else(|code| code)
        };
        Ok(Json(json!({ "answers": attempts.iter().map(answer).collect::<Vec<_>>() })))
    }

    /// Does the same thing again and again, and counts what came of it.
    #[tool]
    fn repeat(directory: String, operation: String, path: String, times: u32) -> Result<Json<Value>, Failure> {
        let opened = granted(&directory)?;
        let mut counts = BTreeMap::<String, u32>::new();
        for _ in 0..times {
            let answer = files::run(&opened, &operation, &path, "").unwrap_or_else(|code| code);
            *counts.entry(answer).or_default() += 1;
        }
        Ok(Json(json!(counts)))
    }

    /// Renames or links from one granted directory to another.
    #[tool]
    fn across(operation: String, from: String, path: String, into: String, to: String) -> Result<String, Failure> {
        let (from, into) = (granted(&from)?, granted(&into)?);
        let done = match operation.as_str() {
            "rename" => from.rename_at(&path, &into, &to),
            _ => from.link_at(PathFlags::empty(), &path, &into, &to),
        };
        Ok(done.map_or_else(|code| code.name().to_owned(), |()| "done".to_owned()))
    }

    /// Opens a directory, asks its caller, then tries each of these from that directory.
    #[tool]
    fn linger(directory: String, inner: String, attempts: Vec<Attempt>) -> Result<Json<Value>, Failure> {
        let opened = granted(&directory)?;
        let inner = opened
            .open_at(
                PathFlags::empty(),
                &inner,
                OpenFlags::DIRECTORY,
                DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
            )
            .map_err(|code| Failure::failed(code.name()))?;
        let _ = ask::input("go on?", r#"{"type":"object","properties":{}}"#);
        let answer = |attempt: &Attempt| {
            files::run(&inner, &attempt.operation, &attempt.path, &attempt.to).unwrap_or_else(|code| code)
        };
        Ok(Json(json!({ "answers": attempts.iter().map(answer).collect::<Vec<_>>() })))
    }
}
