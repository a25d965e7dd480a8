//! Compiles the guests, one component for each `[[example]]` of `guests/Cargo.toml`, and tells the tests where they are.
#![expect(clippy::disallowed_methods, reason = "a build script reads sources and starts cargo")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";

fn main() {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    for watched in ["guests", "../sdk/rust", "../wit", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", manifest.join(watched).display());
    }
    let root = manifest.join("..");
    let folder = build(&root, &out);
    let mut source =
        String::from("/// Every guest: its name and its component.\npub const GUESTS: &[(&str, &str)] = &[\n");
    for name in guests(&manifest.join("guests/Cargo.toml")) {
        let component = folder.join(format!("{name}.wasm"));
        writeln!(source, "    ({name:?}, {component:?}),").expect("a String takes everything");
        println!("cargo::rustc-env=GUEST_{}={}", name.to_uppercase(), component.display());
    }
    source.push_str("];\n");
    fs::write(out.join("guests.rs"), source).expect("OUT_DIR can be written");
}

/// The names of the examples, in the order of the file.
fn guests(manifest: &Path) -> Vec<String> {
    let text = fs::read_to_string(manifest).expect("the guests have a manifest");
    let examples = text.split("[[example]]\n").skip(1);
    let name = |example: &str| {
        example.strip_prefix("name = \"").and_then(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned())
    };
    examples.map(|example| name(example).expect("an example starts with its name")).collect()
}

/// Runs cargo in the folder that the built-in plugins are compiled in too: they share their dependencies.
fn build(root: &Path, out: &Path) -> PathBuf {
    let target = out.ancestors().nth(4).expect("OUT_DIR lies in target/PROFILE/build/NAME/out").join("plugins");
    let mut cargo = Command::new(env::var("CARGO").expect("cargo sets it"));
    cargo
        .current_dir(root)
        .args([
            "build",
            "--locked",
            "--profile",
            "guest",
            "-p",
            "bailiwick-guests",
            "--examples",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&target);
    // What cargo sets for this script is meant for the tests, not for the guests.
    for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"]
    {
        cargo.env_remove(name);
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(status.success(), "the guests do not compile; cargo's own messages stand above");
    target.join(TARGET).join("guest").join("examples")
}
