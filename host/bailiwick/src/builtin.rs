//! The plugins that are part of this program.

include!(concat!(env!("OUT_DIR"), "/builtins.rs"));

const WITHOUT: &str =
    "this program was built without its built-in plugins; run `rustup target add wasm32-wasip2` and build it again";

/// The component that sends the requests of HTTP services.
///
/// # Errors
/// A sentence that says why there is none.
pub fn openapi() -> Result<&'static [u8], String> {
    if OPENAPI.is_empty() { Err(WITHOUT.to_owned()) } else { Ok(OPENAPI) }
}

/// The component behind `builtin:NAME`.
///
/// # Errors
/// A sentence that says which there are.
pub fn find(name: &str) -> Result<&'static [u8], String> {
    if BUILTINS.is_empty() {
        return Err(WITHOUT.to_owned());
    }
    let names = || BUILTINS.iter().map(|(name, _)| format!("`builtin:{name}`")).collect::<Vec<_>>().join(", ");
    BUILTINS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bytes)| *bytes)
        .ok_or_else(|| format!("there is no `builtin:{name}`; there are {}", names()))
}
