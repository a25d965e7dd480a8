//! The contracts in `wit/`, as Rust. Generated; the documentation of every item is in the WIT.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package bailiwick:runtime;
        world component {
            import bailiwick:host/log@0.1.0;
            import bailiwick:host/progress@0.1.0;
            import bailiwick:host/ask@0.1.0;
            import bailiwick:host/secret@0.1.0;
            import bailiwick:host/artifact@0.1.0;
            import wasi:config/store@0.2.0-rc.1;
            export bailiwick:tool/tool@0.1.0;
        }
    ",
    world: "bailiwick:runtime/component",
    imports: { "bailiwick:host/ask.input": async, "bailiwick:host/artifact.put": async },
    exports: { default: async },
    require_store_data_send: true,
});
