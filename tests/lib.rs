//! Bailiwick from the outside. As a library it is where the test guests are, compiled, for whoever else needs them.

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// The component of a guest.
///
/// # Panics
/// When there is no guest of that name.
#[must_use]
pub fn guest(name: &str) -> &'static std::path::Path {
    let found = GUESTS.iter().find(|(guest, _)| *guest == name);
    std::path::Path::new(found.unwrap_or_else(|| panic!("there is no guest `{name}`")).1)
}
