//! The plugins that are part of this program.

use bailiwick_core::code::Interpreter;
use bailiwick_core::config::Interpreted;

use crate::runtime::Wasm;

include!(concat!(env!("OUT_DIR"), "/builtins.rs"));

const WITHOUT: &str =
    "this program was built without its built-in plugins; run `rustup target add wasm32-wasip2` and build it again";

/// A component that is part of this program.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// Its bytes.
    pub wasm: &'static [u8],
    /// Their SHA-256, from when the program was built.
    pub digest: [u8; 32],
}

/// The component that sends the requests of HTTP services.
///
/// # Errors
/// A sentence that says why there is none.
pub fn openapi() -> Result<Wasm, String> {
    OPENAPI.map(Wasm::embedded).ok_or_else(|| WITHOUT.to_owned())
}

/// The component that runs programs of some languages.
///
/// # Errors
/// A sentence that says why there is none.
pub fn interpreter(interpreter: Interpreter) -> Result<Wasm, String> {
    let embedded = match interpreter {
        Interpreter::JavaScript => JAVASCRIPT,
        Interpreter::Python => PYTHON,
    };
    let name = interpreter.as_str();
    embedded.map(Wasm::embedded).ok_or_else(|| {
        format!(
            "this program was built without its interpreter for {name}; run `./just interpreters` and build it again"
        )
    })
}

/// The component behind `builtin:NAME`.
///
/// # Errors
/// A sentence that says which there are.
pub fn find(name: &str) -> Result<Wasm, String> {
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
    let found = BUILTINS.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, embedded)| Wasm::embedded(*embedded))
        .ok_or_else(|| format!("there is no `builtin:{name}`; there are {}", names()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::ComponentDigest;

    #[test]
    fn digests_are_those_of_what_is_embedded() {
        let own = [OPENAPI, SELFTEST, JAVASCRIPT, PYTHON];
        let all: Vec<Embedded> =
            BUILTINS.iter().map(|(_, embedded)| *embedded).chain(own.into_iter().flatten()).collect();
        assert!(all.len() > 4);
        for embedded in all {
            assert_eq!(Wasm::embedded(embedded).digest, ComponentDigest::of(embedded.wasm));
        }
    }
}
