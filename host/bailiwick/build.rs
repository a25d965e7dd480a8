//! Compiles the built-in plugins to components and embeds them, so that the program is one file.
//!
//! Without the wasm target, a debug build goes on without them (someone who works on the host does not need them) and
//! says so; a release build fails.
#![expect(clippy::disallowed_methods, reason = "a build script reads sources and starts cargo")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use sha2::{Digest as _, Sha256};

const TARGET: &str = "wasm32-wasip2";
/// Folder under `plugins/`, which is also the name after `builtin:`.
const BUILTINS: &[&str] =
    &["datetime", "files", "http", "memory", "shell", "std", "web-answers", "web-fetch", "web-search"];
/// Those with dependencies whose features others of them must not have: a clock does not import files.
const APART: [&str; 1] = ["shell"];
/// What the host runs for itself, with the constant each becomes; no configuration can name them.
const OWN: [(&str, &str); 2] = [("selftest", "SELFTEST"), ("openapi", "OPENAPI")];

/// Interpreters, with the constant each becomes. They need compilers of other languages, so they are built beforehand, by
/// `plugins/build-interpreters.sh`; without that, a program has none and says so.
const INTERPRETERS: [(&str, &str); 2] = [("javascript", "JAVASCRIPT"), ("python", "PYTHON")];

fn main() {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = manifest.join("../..");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    for watched in ["plugins", "sdk/rust", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo::rustc-env=BAILIWICK_WASMTIME={}", locked(&root, "wasmtime"));
    let components = if has_target() {
        build(&root, &out)
    } else {
        let sentence = format!("the built-in plugins need the target {TARGET}: run `rustup target add {TARGET}`");
        if env::var("PROFILE").as_deref() == Ok("release") {
            println!("cargo::error={sentence}");
            return;
        }
        println!("cargo::warning={sentence}; this build goes on without them");
        Vec::new()
    };
    let text = source(&components) + &interpreters(&root);
    fs::write(out.join("builtins.rs"), text).expect("OUT_DIR can be written");
}

/// The interpreters that are there.
fn interpreters(root: &Path) -> String {
    let mut text = String::new();
    for (name, constant) in INTERPRETERS {
        let file = fs::canonicalize(root.join("plugins/built").join(format!("{name}.wasm"))).ok();
        if file.is_none() {
            println!(
                "cargo::warning=there is no {name}.wasm in plugins/built: programs in it are not run; `./just interpreters` builds it"
            );
        }
        text += &constant_of("Runs programs; none in a program that was built without it.", constant, file.as_deref());
    }
    text
}

/// A constant of one component that may be missing.
fn constant_of(doc: &str, name: &str, file: Option<&Path>) -> String {
    let value = file.map_or("None".to_owned(), |file| format!("Some({})", embedded(file)));
    format!("/// {doc}\npub const {name}: Option<Embedded> = {value};\n")
}

/// A component and its digest: what starts with the program need not be hashed each time.
fn embedded(file: &Path) -> String {
    let bytes = fs::read(file).expect("a component that was built can be read");
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    format!("Embedded {{ wasm: include_bytes!({file:?}), digest: {digest:?} }}")
}

/// The version of a dependency in Cargo.lock.
fn locked(root: &Path, name: &str) -> String {
    let lock = fs::read_to_string(root.join("Cargo.lock")).expect("Cargo.lock is part of the source");
    let entry = format!("name = \"{name}\"\nversion = \"");
    let version = lock.split_once(&entry).and_then(|(_, rest)| rest.split_once('"'));
    version.map(|(version, _)| version.to_owned()).expect("every dependency is in Cargo.lock")
}

fn has_target() -> bool {
    let rustc = env::var("RUSTC").expect("cargo sets it");
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists())
}

/// Runs cargo for the plugins, in a target folder that all profiles of the host share.
fn build(root: &Path, out: &Path) -> Vec<(&'static str, PathBuf)> {
    let target = out.ancestors().nth(4).expect("OUT_DIR lies in target/PROFILE/build/NAME/out").join("plugins");
    let all: Vec<&str> = BUILTINS.iter().copied().chain(OWN.iter().map(|(plugin, _)| *plugin)).collect();
    let (apart, together): (Vec<&str>, Vec<&str>) = all.iter().partition(|plugin| APART.contains(plugin));
    compile(root, &target, &together);
    for plugin in apart {
        compile(root, &target, &[plugin]);
    }
    let component = |plugin: &str| {
        let file = format!("bailiwick_plugin_{}.wasm", plugin.replace('-', "_"));
        target.join(TARGET).join("guest").join(file)
    };
    all.into_iter().map(|plugin| (plugin, component(plugin))).collect()
}

/// One run of cargo: what these plugins depend on has the features that any of them wants.
fn compile(root: &Path, target: &Path, plugins: &[&str]) {
    let mut cargo = Command::new(env::var("CARGO").expect("cargo sets it"));
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--profile", "guest", "--target", TARGET, "--target-dir"])
        .arg(target);
    for plugin in plugins {
        cargo.args(["-p", &format!("bailiwick-plugin-{plugin}")]);
    }
    // What cargo sets for this script is meant for the host, not for the plugins.
    for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WORKSPACE_WRAPPER", "CLIPPY_ARGS"]
    {
        cargo.env_remove(name);
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(status.success(), "the built-in plugins do not compile; cargo's own messages stand above");
}

fn source(components: &[(&str, PathBuf)]) -> String {
    let mut text =
        String::from("/// The plugins in this program, by name.\npub const BUILTINS: &[(&str, Embedded)] = &[\n");
    let is_own = |name: &str| OWN.iter().any(|(own, _)| *own == name);
    for (name, path) in components.iter().filter(|(name, _)| !is_own(name)) {
        writeln!(text, "    ({name:?}, {}),", embedded(path)).expect("a String takes everything");
    }
    text.push_str("];\n");
    for (own, constant) in OWN {
        let component = components.iter().find(|(name, _)| *name == own).map(|(_, path)| path.as_path());
        text += &constant_of("What the host runs for itself; none in a program without plugins.", constant, component);
    }
    text
}
