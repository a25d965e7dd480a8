//! The contracts in `wit/`, as Rust. Generated; the documentation of every item is in the WIT. A component need not export
//! `context`, so the two exports are looked up one by one and not as this world.

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
            import bailiwick:host/call@0.1.0;
            import wasi:config/store@0.2.0-rc.1;
            export bailiwick:tool/tool@0.1.0;
            export bailiwick:tool/context@0.1.0;
        }
    ",
    world: "bailiwick:runtime/component",
    with: {
        "wasi:io/poll": wasmtime_wasi::p2::bindings::io::poll,
        "bailiwick:host/call.pending": crate::runtime::imports::call::Pending,
    },
    imports: { "bailiwick:host/call": trappable, "bailiwick:host/ask.input": async, "bailiwick:host/ask.all": async, "bailiwick:host/artifact.put": async },
    exports: { default: async },
    require_store_data_send: true,
});
