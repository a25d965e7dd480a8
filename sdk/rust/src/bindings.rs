//! What `wit-bindgen` makes of the WIT in `wit/`: plain types and the calls behind the other modules.
//!
//! Nothing here is needed to write a plugin; it is public because the `export!`s it contains expand in the plugin.

wit_bindgen::generate!({
    inline: "
        package bailiwick:sdk;

        /// Everything the SDK can reach. An import that a plugin does not use is not in its component.
        world sdk {
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
    path: "wit",
    generate_all,
    additional_derives: [PartialEq],
    pub_export_macro: true,
    default_bindings_module: "bailiwick_sdk::bindings",
});

/// As `export!`, for a plugin that gives no context: its component does not export what it has nothing for.
pub use bailiwick_sdk_plain::export as export_tools;
