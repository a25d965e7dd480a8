//! The SDK's README, followed to the letter: its files in an empty folder, its command, a tool that can be called.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::host::World;

/// The code blocks of a Markdown text: the language with what stands behind it, and the text.
fn blocks(markdown: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in markdown.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[tokio::test]
async fn the_first_plugin_of_the_readme_can_be_built_and_called() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/rust");
    let readme = std::fs::read_to_string(sdk.join("README.md")).expect("the SDK has a README");
    let blocks = blocks(&readme);
    let first = |kind: &str| {
        blocks.iter().find(|(info, _)| info.split([',', ' ']).next() == Some(kind)).map(|(_, text)| text.clone())
    };
    let source = first("rust").expect("the README has Rust code");
    let manifest = first("toml").expect("the README has a Cargo.toml");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository is there");
    // The SDK is not published: the one of this repository stands in for it.
    let manifest: toml::Table = manifest.parse().unwrap_or_else(|error| panic!("{error}: {manifest}"));
    let mut manifest = manifest;
    let dependency =
        manifest.get_mut("dependencies").and_then(|table| table.as_table_mut()).expect("it has dependencies");
    let path = toml::Value::String(root.join("sdk/rust").display().to_string());
    dependency
        .insert("bailiwick-sdk".to_owned(), toml::Value::Table([("path".to_owned(), path)].into_iter().collect()));
    let name = manifest["package"]["name"].as_str().expect("a package has a name").to_owned();
    std::fs::create_dir(folder.path().join("src")).expect("a folder can be made");
    std::fs::write(folder.path().join("src/lib.rs"), source).expect("a file can be written");
    std::fs::write(folder.path().join("Cargo.toml"), toml::to_string(&manifest).expect("TOML"))
        .expect("a file can be written");
    std::fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("a file can be copied");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    let output = Command::new("cargo")
        .args(["build", "--offline", "--release", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target)
        .current_dir(folder.path())
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let component = target.join("wasm32-wasip2/release").join(format!("{}.wasm", name.replace('-', "_")));
    let bytes = std::fs::read(&component).unwrap_or_else(|error| panic!("{}: {error}", component.display()));
    let host = World::new().file("mine.wasm", bytes).start("[plugins.mine]\ncomponent = \"mine.wasm\"\n").await;
    let tools = host.listed();
    assert!(!tools.is_empty());
    // Every required argument is a text in the README's first tool.
    let schema = host.schema(&tools[0]);
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let arguments: serde_json::Map<String, serde_json::Value> =
        required.iter().filter_map(|name| name.as_str()).map(|name| (name.to_owned(), json!("Ada"))).collect();
    let outcome = host.call(&tools[0], arguments.into()).await;
    assert!(outcome.result.is_ok(), "{}", crate::support::told(&outcome));
    assert!(crate::support::told(&outcome).contains("Ada"), "{}", crate::support::told(&outcome));
}
