//! The plugins that are part of this program.

use bailiwick_core::code::Interpreter;
use bailiwick_core::config::Interpreted;

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

/// The component that runs programs of some languages.
///
/// # Errors
/// A sentence that says why there is none.
pub fn interpreter(interpreter: Interpreter) -> Result<&'static [u8], String> {
    let bytes = match interpreter {
        Interpreter::JavaScript => JAVASCRIPT,
        Interpreter::Python => PYTHON,
    };
    if bytes.is_empty() {
        let name = interpreter.as_str();
        return Err(format!(
            "this program was built without its interpreter for {name}; run `./just interpreters` and build it again"
        ));
    }
    Ok(bytes)
}

/// The component behind `builtin:NAME`.
///
/// # Errors
/// A sentence that says which there are.
pub fn find(name: &str) -> Result<&'static [u8], String> {
    if BUILTINS.is_empty() {
        return Err(WITHOUT.to_owned());
    }
    let names = || {
        let all = BUILTINS.iter().map(|(name, _)| *name).chain(Interpreted::builtins());
        all.map(|name| format!("`builtin:{name}`")).collect::<Vec<_>>().join(", ")
    };
    if Interpreted::builtins().any(|known| known == name) {
        return interpreter(Interpreter::JavaScript);
    }
    BUILTINS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bytes)| *bytes)
        .ok_or_else(|| format!("there is no `builtin:{name}`; there are {}", names()))
}
