//! Gives the component a stack in memory that has room beyond what a program may use of it.
#![expect(clippy::disallowed_methods, reason = "a build script is told its target through the environment")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_TARGET_FAMILY").is_some_and(|family| family == "wasm") {
        println!("cargo::rustc-cdylib-link-arg=-zstack-size=2097152");
    }
}
