//! Gives the component a stack of 1 MiB, which the limits in `src/page.rs` count on.

#[expect(clippy::disallowed_methods, reason = "a build script learns its target from the environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let family = std::env::var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();
    if family.split(',').any(|family| family == "wasm") {
        println!("cargo::rustc-cdylib-link-arg=-zstack-size=1048576");
    }
}
