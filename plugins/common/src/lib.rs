//! What several built-in plugins do alike, so that it is right in all of them.
//!
//! The host enforces every grant; nothing here protects anything. It is there to answer with the right failure.
#![expect(clippy::disallowed_methods, reason = "a guest's std::fs reaches its preopens only")]

pub mod grants;
pub mod headers;
pub mod listing;
pub mod replace;
pub mod text;
pub mod trouble;

/// The paths of the granted directories, in the operator's order.
#[cfg(target_family = "wasm")]
#[must_use]
pub fn granted_directories() -> Vec<String> {
    wasip2::filesystem::preopens::get_directories().into_iter().map(|(_, path)| path).collect()
}

/// A native build is for tests only, and has nothing.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn granted_directories() -> Vec<String> {
    Vec::new()
}
