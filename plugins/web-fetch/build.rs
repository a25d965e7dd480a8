//! Gives the component a stack of 1 MiB, which `page.rs` counts on. Wasm's own default is the same today; here it is said.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();
    if target.split(',').any(|family| family == "wasm") {
        println!("cargo::rustc-cdylib-link-arg=-zstack-size=1048576");
    }
}
