//! Which parts of WebAssembly are off, and which of them a component needs that could not be compiled.
//!
//! What is on is decided by [`super::engine_config`] alone; this file only explains a refusal.

use wasmparser::{Validator, WasmFeatures};

/// Proposals that are off here, with what people call them.
const OFF: &[(WasmFeatures, &str)] = &[
    (WasmFeatures::THREADS, "threads (shared memory and atomics)"),
    (WasmFeatures::SHARED_EVERYTHING_THREADS, "shared-everything threads"),
    (WasmFeatures::MEMORY64, "64-bit memories"),
    (WasmFeatures::GC_TYPES, "garbage collection"),
    (WasmFeatures::EXCEPTIONS, "exceptions"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "exceptions of the old form"),
    (WasmFeatures::STACK_SWITCHING, "stack switching"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom page sizes"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide arithmetic"),
    (WasmFeatures::MEMORY_CONTROL, "memory control"),
    (WasmFeatures::CUSTOM_DESCRIPTORS, "custom descriptors"),
    (WasmFeatures::COMPACT_IMPORTS, "compact imports"),
    (WasmFeatures::CM_ASYNC, "asynchronous components (WASI 0.3)"),
    (WasmFeatures::CM_ASYNC_STACKFUL, "asynchronous components with stacks"),
    (WasmFeatures::CM_MORE_ASYNC_BUILTINS, "more asynchronous built-ins"),
    (WasmFeatures::CM_THREADING, "threads of components"),
    (WasmFeatures::CM_ERROR_CONTEXT, "error contexts of components"),
    (WasmFeatures::CM_VALUES, "values of components"),
    (WasmFeatures::CM_NESTED_NAMES, "nested names of components"),
    (WasmFeatures::CM_FIXED_LENGTH_LISTS, "lists of a fixed length in components"),
    (WasmFeatures::CM_GC, "garbage collection across components"),
    (WasmFeatures::CM_MAP, "maps in components"),
    (WasmFeatures::CM64, "64-bit memories of components"),
    (WasmFeatures::CM_IMPLEMENTS, "`implements` in components"),
];

/// The proposals that are off and that `wasm` cannot be without; none when it is invalid even with all of them, or valid
/// with none.
///
/// Takes as long as validating a few dozen times, so it belongs where validating does.
pub(super) fn missing(wasm: &[u8]) -> Vec<&'static str> {
    let off = OFF.iter().fold(WasmFeatures::empty(), |all, (proposal, _)| all | *proposal);
    let on = (WasmFeatures::WASM3 | WasmFeatures::COMPONENT_MODEL) - off;
    let valid_with = |features| Validator::new_with_features(features).validate_all(wasm).is_ok();
    if valid_with(on) || !valid_with(on | off) {
        return Vec::new();
    }
    OFF.iter().filter(|(proposal, _)| !valid_with((on | off) - *proposal)).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Components that need one proposal, as bytes: a core module with one section in it.
    fn with(section: &[u8]) -> Vec<u8> {
        let module = [b"\0asm\x01\0\0\0", section].concat();
        let length = u8::try_from(module.len()).expect("it is short");
        [b"\0asm\x0d\0\x01\0", &[1, length][..], &module].concat()
    }

    #[test]
    fn a_component_is_told_what_it_needs_and_nothing_else() {
        let cases: &[(&[u8], &[&str])] = &[
            (b"\x05\x03\x01\0\x01", &[]),
            (b"\x05\x04\x01\x03\x01\x01", &["threads (shared memory and atomics)"]),
            (b"\x05\x03\x01\x04\x01", &["64-bit memories"]),
            (b"\x01\x05\x01\x5f\x01\x7f\0", &["garbage collection"]),
            (b"\x01\x04\x01\x60\0\0\x0d\x03\x01\0\0", &["exceptions"]),
            (b"\x01\x06\x02\x60\0\0\x5d\0", &["garbage collection", "stack switching"]),
            (b"\x05\x04\x01\x08\x01\0", &["custom page sizes"]),
            (b"\x05\x03\x01\xff\x01", &[]),
        ];
        for (section, expected) in cases {
            assert_eq!(missing(&with(section)), *expected, "{section:x?}");
        }
    }

    #[test]
    fn what_is_on_is_what_the_engine_takes() {
        let engine = wasmtime::Engine::new(&crate::runtime::engine_config()).expect("the engine starts");
        let sections: &[&[u8]] = &[
            b"\x05\x03\x01\0\x01",
            b"\x05\x04\x01\x03\x01\x01",
            b"\x05\x03\x01\x04\x01",
            b"\x01\x05\x01\x5f\x01\x7f\0",
            b"\x01\x04\x01\x60\0\0\x0d\x03\x01\0\0",
            b"\x01\x06\x02\x60\0\0\x5d\0",
            b"\x05\x04\x01\x08\x01\0",
            b"\x05\x05\x02\0\x01\0\x01",
        ];
        for section in sections {
            let wasm = with(section);
            let compiles = engine.precompile_component(&wasm).is_ok();
            assert_eq!(compiles, missing(&wasm).is_empty(), "{section:x?}");
        }
    }
}
