//! The plugins that are part of this program.

include!(concat!(env!("OUT_DIR"), "/builtins.rs"));

/// The component behind `builtin:NAME`.
///
/// # Errors
/// A sentence that says which there are.
pub fn find(name: &str) -> Result<&'static [u8], String> {
    if BUILTINS.is_empty() {
        return Err("this program was built without its built-in plugins; run `rustup target add wasm32-wasip2` and build it again".to_owned());
    }
    let names = || BUILTINS.iter().map(|(name, _)| format!("`builtin:{name}`")).collect::<Vec<_>>().join(", ");
    BUILTINS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bytes)| *bytes)
        .ok_or_else(|| format!("there is no `builtin:{name}`; there are {}", names()))
}
