//! Gives the component a small stack: the tool needs little, and memory that is not there need not be set up.
#![expect(clippy::disallowed_methods, reason = "a build script is told its target through the environment")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_TARGET_FAMILY").is_some_and(|family| family == "wasm") {
        println!("cargo::rustc-cdylib-link-arg=-zstack-size=65536");
    }
}
