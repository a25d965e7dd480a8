//! The configuration beyond what is wrong with its text: what overlaps, what is missing on the disk, what changes while
//! the host runs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{TestHost, program};

const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";

#[tokio::test]
async fn grants_that_overlap_are_decided_by_the_deepest() {
    let world = || World::new().file("data/a.txt", "a").file("data/sub/b.txt", "b");
    for grants in
        [r#"["./data:/data:ro", "./data/sub:/data/sub:rw"]"#, r#"["./data/sub:/data/sub:rw", "./data:/data:ro"]"#]
    {
        let text = format!("[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = {grants}\n");
        let host = world().start(&text).await;
        assert_eq!(
            host.told("write", json!({"path": "/data/sub/b.txt", "text": "new"})).await,
            "ok: written",
            "{grants}"
        );
        assert_eq!(
            host.call("write", json!({"path": "/data/a.txt", "text": "new"})).await.code(),
            "denied.fs.write",
            "{grants}"
        );
    }
}

#[tokio::test]
async fn a_component_that_is_no_file_leaves_its_plugin_out() {
    for (component, reason) in [("folder.wasm", "cannot read"), ("empty.wasm", "it is not a WebAssembly component")] {
        let text = format!("[plugins.odd]\ncomponent = \"./{component}\"\n{POLITE}");
        let host = World::new().folder("folder.wasm").file("empty.wasm", "").try_start(&text).await.expect("it starts");
        assert!(host.problems()[0].contains(reason), "{component}: {:?}", host.problems());
        assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x", "the others run");
    }
}

#[tokio::test]
async fn paths_start_from_the_file_that_names_them() {
    let text = "[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"./${FOLDER}:/data\"]\n";
    let host = World::new().file("data/a.txt", "a").variable("FOLDER", "data").start(text).await;
    assert_eq!(host.told("read", json!({"path": "/data/a.txt"})).await, "ok: a");
    let unset = World::new().config(text).expect_err("the variable is not set");
    assert!(unset.contains("FOLDER"), "{unset}");
}

#[test]
fn a_configuration_of_many_parts_is_read_or_refused_in_time() {
    let world = World::new();
    let begun = Instant::now();
    let keys: String = (0..40_000).map(|n| format!("k{n} = 1\n")).collect();
    assert!(world.config(&keys).is_err());
    let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(world.config(&deep).is_err());
    let tables = format!("[{}]\n", vec!["a"; 20_000].join("."));
    assert!(world.config(&tables).is_err());
    let net: Vec<String> = (0..20_000).map(|n| format!("\"https://h{n}.example\"")).collect();
    drop(world.config(&format!("[plugins.a]\ncomponent = \"builtin:datetime\"\nnet = [{}]\n", net.join(", "))));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn bytes_that_are_no_text_are_told_so() {
    for (bytes, is_fine) in [
        (&b"\xef\xbb\xbf[plugins.datetime]\r\ncomponent = \"builtin:datetime\"\r\n"[..], true),
        (b"[plugins.datetime]\ncomponent = \"builtin:\xff\"\n", false),
        (b"[plugins.datetime]\n# \0\ncomponent = \"builtin:datetime\"\n", false),
        (b"\xff\xfe[\0p\0", false),
    ] {
        let world = World::new();
        std::fs::write(world.path("bailiwick.toml"), bytes).expect("a file can be written");
        let output = Command::new(program::path())
            .args(["--config", "bailiwick.toml", "list"])
            .current_dir(world.path(""))
            .env("XDG_STATE_HOME", world.path("state"))
            .env("XDG_CACHE_HOME", world.cache())
            .output()
            .expect("the program can be started");
        let expected = if is_fine { 0 } else { 3 };
        assert_eq!(output.status.code(), Some(expected), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_configuration_in_a_folder_of_everybodys_is_not_read() {
    let world = World::new();
    let folder = world.path("");
    for (mode, exit) in [(0o777, 3), (0o1777, 0), (0o755, 0)] {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&folder, permissions).expect("a mode can be set");
        let run = world.run(POLITE, &["list"], "");
        assert_eq!(run.exit, exit, "{mode:o}: {}", run.err);
        assert!(exit == 0 || run.err.contains("chmod o-w"), "{}", run.err);
    }
}

#[tokio::test]
async fn a_plugin_without_grants_has_nothing() {
    let host = World::new().file("data/a.txt", "a").start("[plugins.probe]\ncomponent = \"probe.wasm\"\n").await;
    assert_eq!(host.call("read", json!({"path": "/data/a.txt"})).await.code(), "denied.fs.read");
    assert_eq!(host.call("raw", json!({"authority": "x.example"})).await.code(), "denied.net.host");
    let seen = host.value("surroundings", json!({})).await;
    assert!(["environment", "config"].iter().all(|key| seen[key] == json!({})), "{seen}");
    let grant = "[plugins.nobody]\nnet = [\"https://x.example\"]\n";
    assert!(World::new().config(grant).is_err(), "a grant to a plugin without code");
}

#[tokio::test]
async fn an_empty_list_means_none() {
    let text = "[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"http://x.example\"]\nfs = [\"./data:/data\"]\n\
                [plugins.probe.tools.raw]\nnet = []\n[plugins.probe.tools.read]\nfs = []\n";
    let host = World::new().file("data/a.txt", "a").start(text).await;
    assert_eq!(host.call("raw", json!({"authority": "x.example"})).await.code(), "denied.net.host");
    assert_eq!(host.call("read", json!({"path": "/data/a.txt"})).await.code(), "denied.fs.read");
    assert_eq!(host.told("list", json!({"path": "/data"})).await, "ok: a.txt", "what says nothing has the plugin's");
    let host = TestHost::new(POLITE).await.caller("nobody", &[]);
    assert!(host.listed().is_empty());
}

#[test]
fn a_mistake_in_a_running_hosts_file_changes_nothing() {
    let world = World::new();
    let config = world.path("bailiwick.toml");
    let write = |plugins: &str| {
        let text = format!("{plugins}[host]\nstate = \"./state\"\ncache = {:?}\n", world.cache());
        std::fs::write(&config, text).expect("a file can be written");
    };
    write(POLITE);
    let mut child = Command::new(program::path())
        .args(["--config", "bailiwick.toml", "serve", "--stdio"])
        .current_dir(world.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut input = child.stdin.take().expect("it is piped");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut told_of = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let mut number = 0;
    let mut ask = |method: &str, params: Value| -> Value {
        number += 1;
        writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
            .expect("it listens");
        loop {
            let line = output.next().expect("it answers").expect("text");
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if message["id"] == number {
                return message;
            }
        }
    };
    let client = json!({"name": "test", "version": "0"});
    ask("initialize", json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}));
    let mut echo = || ask("tools/call", json!({"name": "echo", "arguments": {"name": "x"}}));
    assert!(echo()["result"]["isError"] == json!(false));
    for broken in ["[plugins.polite\n", "[plugins.polite]\ncomponent = \"polite.wasm\"\nnett = []\n", "\0"] {
        write(broken);
        // It says what is wrong, with its place, and goes on.
        let complaint = told_of.by_ref().map_while(Result::ok).find(|line| line.contains("bailiwick.toml:"));
        assert!(complaint.is_some(), "{broken}");
        assert_eq!(echo()["result"]["isError"], json!(false), "{broken}");
    }
    write("[plugins.polite]\ncomponent = \"polite.wasm\"\n[plugins.polite.tools.echo]\nallow = false\n");
    let begun = Instant::now();
    // A right that is taken away is gone for new calls soon after the file is written.
    while echo()["result"]["isError"] == json!(false) {
        assert!(begun.elapsed() < Duration::from_secs(5), "what was taken away is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("measured: a right that was taken away was gone after {:?}", begun.elapsed());
    drop(input);
    assert!(child.wait().expect("it ends").success());
}
