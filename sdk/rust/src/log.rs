//! Lines for the operator, in the host's log, under the name of the plugin and the id of the call.
//!
//! No grant is needed. The host takes secrets and control characters out first; what a call writes beyond `limits.log`
//! (64 KiB unless the operator says otherwise) is dropped.

use crate::bindings::bailiwick::host::log::{Level, write};

/// Logs a step that matters only to whoever follows every one of them.
pub fn trace(message: impl AsRef<str>) {
    write(Level::Trace, message.as_ref());
}

/// Logs something for whoever looks for a mistake.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// Logs something worth knowing.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// Logs that something is off while the call goes on.
///
/// ```no_run
/// # let page = 3;
/// bailiwick_sdk::log::warn(format!("page {page} is empty, going on"));
/// ```
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// Logs why the call is about to fail.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}
