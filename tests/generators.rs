//! The contract works with the generators other languages have: plugins in Python, JavaScript and C, built by
//! `generators/build.sh` without anything of ours but `wit/`, are loaded and answer.
//!
//! Takes minutes and installs a few hundred megabytes: run by `just slow`.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::host::World;

#[tokio::test]
async fn plugins_of_other_languages_are_plugins() {
    if std::env::var_os("RUN_SLOW_TESTS").is_none() {
        println!("skip   plugins in Python, JavaScript and C: `just slow` builds and runs them");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generators");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("generators/build.sh");
    let built = Command::new(script).arg(&folder).status().expect("the script can be started");
    assert!(built.success(), "the plugins do not build");
    let languages = ["python", "javascript", "c"];
    let table = |name| format!("[plugins.{name}]\ncomponent = {:?}\n", folder.join(format!("{name}.wasm")));
    let host = World::new().start(&languages.map(table).concat()).await;
    for language in languages {
        let tool = format!("count_words_{language}");
        assert_eq!(host.value(&tool, json!({"text": "one two\tthree"})).await, json!({"words": 3}), "{language}");
        assert_eq!(host.told(&tool, json!({"text": "  "})).await, "tool.failed: the text has no words", "{language}");
        let wrong = host.told(&tool, json!({"texts": "one"})).await;
        assert!(wrong.starts_with("arguments.invalid: "), "{language}: {wrong}");
    }
}
