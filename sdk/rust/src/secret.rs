//! Secrets by name. A plugin learns that a secret is set; the host puts the value into requests to the origin the
//! operator bound it to (TOML: `[plugins.NAME.secrets.SECRET]`).

use crate::bindings::bailiwick::host::secret as host;
pub use crate::bindings::bailiwick::host::secret::Denial;

/// The names of the plugin's own secrets, sorted.
pub fn names() -> Vec<String> {
    host::names()
}

/// Whether a secret of this name is granted to the plugin and has a value.
///
/// ```no_run
/// use bailiwick_sdk::{Failure, secret};
///
/// # fn example() -> Result<(), Failure> {
/// if !secret::is_set("token") {
///     return Err(Failure::not_configured("Set the secret `token`."));
/// }
/// # Ok(())
/// # }
/// ```
pub fn is_set(name: &str) -> bool {
    host::is_set(name)
}

/// The value itself, for protocols that need the bytes.
///
/// # Errors
///
/// [`Denial::Unknown`] when no secret of this name is granted, [`Denial::NotRevealed`] when its table lacks
/// `reveal = true`.
pub fn reveal(name: &str) -> Result<String, Denial> {
    host::reveal(name)
}
