//! What a plugin may not do to files, each beside the same call with the line that allows it.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{TestHost, remedy, told};

/// A folder `data` to grant, with a folder `outside` beside it that is not.
pub(crate) fn world() -> World {
    World::new()
        .file("data/plain.txt", "plain")
        .file("data/sub/deep.txt", "deep")
        .file("outside/secret.txt", "secret")
        .folder("outside/folder")
        .link("plain.txt", "data/to-plain")
        .link("sub", "data/to-sub")
        .link("../outside", "data/to-outside")
        .link("../outside/secret.txt", "data/to-secret")
        .link("/etc", "data/to-etc")
        .link("/etc/passwd", "data/to-passwd")
        .link("/proc/self/environ", "data/to-environ")
        .link("..", "data/up")
        .link("loop-b", "data/loop-a")
        .link("loop-a", "data/loop-b")
}

const READ_ONLY: &str = "[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"./data:/data:ro\"]\n";
const READ_WRITE: &str = "[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"./data:/data:rw\"]\n";

/// What of the world outside of the grant must never change.
fn outside(world: &World) -> (Vec<String>, String) {
    let entries = std::fs::read_dir(world.path("outside")).expect("it is there");
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    (names, std::fs::read_to_string(world.path("outside/secret.txt")).expect("it is there"))
}

#[track_caller]
pub(crate) fn untouched(world: &World) {
    assert_eq!(outside(world), (vec!["folder".to_owned(), "secret.txt".to_owned()], "secret".to_owned()));
}

/// The call is refused with this sentence, and with the line that the sentence names gives `granted`. `HERE` stands for
/// the folder of the configuration.
async fn twin(text: &str, tool: &str, arguments: Value, refusal: &str, granted: &str) {
    let first = world();
    let here = first.path("").display().to_string().trim_end_matches('/').to_owned();
    let fill = |text: &str, here: &str| text.replace("HERE", here);
    let asked = |here: &str| serde_json::from_str::<Value>(&fill(&arguments.to_string(), here)).expect("JSON");
    let host = first.start(text).await;
    let outcome = host.call(tool, asked(&here)).await;
    assert_eq!(told(&outcome), fill(refusal, &here));
    untouched(&host.world);
    let fix = outcome.result.expect_err("it was refused").fix.expect("a refusal names its line");
    // The line names this very folder, so the twin runs in it.
    let world = host.world;
    drop(host.host);
    let text = remedy::applied(text, &fix);
    assert_eq!(world.start(&text).await.told(tool, asked(&here)).await, granted, "with {fix}");
}

#[tokio::test]
async fn a_plugin_without_fs_reads_nothing() {
    twin(
        "[plugins.probe]\ncomponent = \"probe.wasm\"\n",
        "read",
        json!({"path": "HERE/data/plain.txt"}),
        "denied.fs.read: reading `HERE/data/plain.txt` is refused: `[plugins.probe]` (bailiwick.toml:1) grants no `fs`; \
         add `fs = [\"HERE/data:ro\"]` under `[plugins.probe]` (bailiwick.toml:1)",
        "ok: plain",
    )
    .await;
}

#[tokio::test]
async fn a_directory_that_is_not_granted_is_not_read() {
    twin(
        READ_ONLY,
        "read",
        json!({"path": "HERE/outside/secret.txt"}),
        "denied.fs.read: reading `HERE/outside/secret.txt` is refused: it lies outside of `/data`; \
         add `fs = [\"HERE/outside:ro\"]` under `[plugins.probe]` (bailiwick.toml:1)",
        "ok: secret",
    )
    .await;
}

#[tokio::test]
async fn what_is_granted_to_read_is_not_written() {
    twin(
        READ_ONLY,
        "write",
        json!({"path": "/data/new.txt", "text": "new"}),
        "denied.fs.write: changing `/data/new.txt` is refused: `./data:/data:ro` is read-only; \
         add `fs = [\"./data:/data:rw\"]` under `[plugins.probe]` (bailiwick.toml:1)",
        "ok: written",
    )
    .await;
    twin(
        READ_ONLY,
        "write",
        json!({"path": "/data/plain.txt", "text": "new"}),
        "denied.fs.write: changing `/data/plain.txt` is refused: `./data:/data:ro` is read-only; \
         add `fs = [\"./data:/data:rw\"]` under `[plugins.probe]` (bailiwick.toml:1)",
        "ok: written",
    )
    .await;
}

#[tokio::test]
async fn a_grant_is_read_only_unless_it_says_otherwise() {
    let host = world().start("[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"./data:/data\"]\n").await;
    assert_eq!(host.told("read", json!({"path": "/data/plain.txt"})).await, "ok: plain");
    assert_eq!(host.call("write", json!({"path": "/data/new.txt", "text": ""})).await.code(), "denied.fs.write");
}

#[tokio::test]
async fn nothing_above_a_directory_is_reached() {
    let host = world().start(READ_WRITE).await;
    for path in [
        "/data/../outside/secret.txt",
        "/data/sub/../../outside/secret.txt",
        "/outside/secret.txt",
        "/etc/passwd",
        "../outside/secret.txt",
        "/proc/self/environ",
    ] {
        for (tool, arguments) in [("read", json!({"path": path})), ("write", json!({"path": path, "text": "changed"}))]
        {
            let outcome = host.call(tool, arguments).await;
            assert!(outcome.code().starts_with("denied.fs."), "{tool} {path}: {}", told(&outcome));
        }
    }
    untouched(&host.world);
    assert_eq!(
        host.told("read", json!({"path": "/data/sub/../plain.txt"})).await,
        "ok: plain",
        "within the grant `..` is fine"
    );
    assert_eq!(host.told("read", json!({"path": "/data/./sub//deep.txt"})).await, "ok: deep");
    assert_eq!(host.told("list", json!({"path": "/data/sub"})).await, "ok: deep.txt");
}

#[tokio::test]
async fn a_link_leads_no_further_than_the_grant() {
    let host = world().start(READ_WRITE).await;
    for path in [
        "to-secret",
        "to-passwd",
        "to-environ",
        "to-outside/secret.txt",
        "to-etc/passwd",
        "up/outside/secret.txt",
        "sub/../up/outside/secret.txt",
    ] {
        let path = format!("/data/{path}");
        for (tool, arguments) in [("read", json!({"path": path})), ("write", json!({"path": path, "text": "changed"}))]
        {
            let outcome = host.call(tool, arguments).await;
            assert!(outcome.code().starts_with("denied.fs."), "{tool} {path}: {}", told(&outcome));
            let failure = outcome.result.expect_err("it was refused");
            if !path.contains("..") {
                assert_eq!(failure.message, format!("`{path}` leads out of the granted directories"));
            }
        }
    }
    untouched(&host.world);
    assert_eq!(host.told("read", json!({"path": "/data/to-plain"})).await, "ok: plain", "a link inside is fine");
    assert_eq!(host.told("read", json!({"path": "/data/to-sub/deep.txt"})).await, "ok: deep");
}

/// What a guest gets when it speaks to WASI without a C library in between: `OPERATION PATH[ -> TO]: answer`.
async fn answers(host: &TestHost, operations: &[(&str, &str, &str)]) -> Vec<String> {
    let mut answers = Vec::new();
    for (operation, path, to) in operations {
        let arguments = json!({"directory": "/data", "operation": operation, "path": path, "to": to});
        answers.push(format!("{operation} {path} {to}: {}", host.told("file", arguments).await));
    }
    answers
}

/// Everything that can be done to `path`, to what is in it, and from and to it.
pub(crate) fn attempts(path: &str) -> Vec<(&'static str, String, String)> {
    let (inside, secret) = (format!("{path}/new"), format!("{path}/secret.txt"));
    let mut attempts: Vec<(&'static str, String, String)> = Vec::new();
    for operation in ["list", "touch", "stat", "rmdir", "mkdir", "unlink"] {
        // Removing a link that is inside the grant is the plugin's right.
        if operation != "unlink" || path.contains(['/', '.']) {
            attempts.push((operation, path.to_owned(), String::new()));
        }
    }
    for operation in ["read", "stat", "overwrite", "truncate", "resize", "append", "touch", "unlink", "readlink"] {
        attempts.push((operation, secret.clone(), String::new()));
    }
    attempts.extend([
        ("create", inside.clone(), String::new()),
        ("mkdir", inside.clone(), String::new()),
        ("rmdir", format!("{path}/folder"), String::new()),
        ("rename", "plain.txt".to_owned(), inside.clone()),
        ("rename", secret.clone(), "stolen.txt".to_owned()),
        ("link", secret, "stolen.txt".to_owned()),
        ("link", "plain.txt".to_owned(), inside.clone()),
        ("symlink", "anything".to_owned(), inside),
    ]);
    attempts
}

/// Paths that lead out of the directory.
pub(crate) const OUT: &[&str] = &[
    "../outside",
    "to-outside",
    "to-outside/",
    "to-outside/.",
    "to-outside//",
    "up/outside",
    "/outside",
    "sub/../../outside",
    "to-etc",
    "to-etc/",
    "up",
];
/// What an attempt to get out may come to.
pub(crate) const REFUSALS: &[&str] =
    &["not-permitted", "access", "no-entry", "loop", "not-directory", "is-directory", "invalid", "exist", "not-empty"];

#[tokio::test]
async fn no_operation_leads_out_of_a_directory() {
    let host = world().start(READ_WRITE).await;
    let mut reached = Vec::new();
    for (operation, path, to) in OUT.iter().flat_map(|path| attempts(path)) {
        let answer = answers(&host, &[(operation, &path, &to)]).await.remove(0);
        if !REFUSALS.iter().any(|code| answer.ends_with(&format!("ok: {code}"))) {
            reached.push(answer);
        }
    }
    assert!(reached.is_empty(), "{reached:#?}");
    untouched(&host.world);
    assert!(!host.world.path("data/stolen.txt").exists());
}

#[tokio::test]
async fn a_link_that_the_guest_makes_leads_out_no_more_than_any_other() {
    let host = world().start(READ_WRITE).await;
    let made = answers(
        &host,
        &[
            ("symlink", "../outside", "mine"),
            ("symlink", "/etc", "absolute"),
            ("symlink", "sub", "inner"),
            ("read", "mine/secret.txt", ""),
            ("list", "mine/", ""),
            ("read", "absolute/passwd", ""),
            ("read", "inner/deep.txt", ""),
        ],
    )
    .await;
    assert_eq!(
        made,
        [
            "symlink ../outside mine: ok: done",
            "symlink /etc absolute: ok: not-permitted",
            "symlink sub inner: ok: done",
            "read mine/secret.txt : ok: not-permitted",
            "list mine/ : ok: not-permitted",
            "read absolute/passwd : ok: no-entry",
            "read inner/deep.txt : ok: deep",
        ]
    );
    untouched(&host.world);
}

/// With a file that nobody has changed for a long time.
fn old(world: World) -> World {
    let file = std::fs::OpenOptions::new().write(true).open(world.path("data/plain.txt"));
    file.and_then(|file| file.set_modified(UNIX_EPOCH)).expect("a time can be set");
    world
}

/// What changes something, each in its own way.
pub(crate) const CHANGES: &[(&str, &str, &str)] = &[
    ("overwrite", "plain.txt", ""),
    ("create", "new.txt", ""),
    ("truncate", "plain.txt", ""),
    ("resize", "plain.txt", ""),
    ("append", "plain.txt", ""),
    ("touch", "plain.txt", ""),
    ("mkdir", "new", ""),
    ("rmdir", "sub", ""),
    ("unlink", "plain.txt", ""),
    ("rename", "plain.txt", "moved.txt"),
    ("link", "plain.txt", "linked.txt"),
    ("symlink", "plain.txt", "new-link"),
];

#[tokio::test]
async fn nothing_under_a_read_only_grant_changes() {
    let host = old(world()).start(READ_ONLY).await;
    let before = listing(&host.world);
    for answer in answers(&host, CHANGES).await {
        assert!(
            answer.ends_with("ok: not-permitted")
                || answer.ends_with("ok: read-only")
                || answer.ends_with("ok: bad-descriptor"),
            "{answer}"
        );
    }
    assert_eq!(listing(&host.world), before);
    assert_eq!(
        answers(&host, &[("read", "plain.txt", ""), ("readlink", "to-plain", "")]).await,
        ["read plain.txt : ok: plain", "readlink to-plain : ok: plain.txt"]
    );
    // The same with the grant that allows it: each change happens. (A file opened to read is not written either way.)
    for change in
        CHANGES.iter().filter(|(operation, ..)| !["resize", "append", "rmdir", "truncate"].contains(operation))
    {
        let host = old(world()).start(READ_WRITE).await;
        assert_eq!(answers(&host, &[*change]).await, [format!("{} {} {}: ok: done", change.0, change.1, change.2)]);
        assert_ne!(listing(&host.world), before, "{change:?}");
    }
}

/// Every name below `data` with what it holds, and whether it was changed only long ago.
fn listing(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["data", "data/sub"] {
        for entry in std::fs::read_dir(world.path(folder)).expect("it is there").flatten() {
            let metadata = std::fs::symlink_metadata(entry.path()).expect("it is there");
            let text = metadata.is_file().then(|| std::fs::read_to_string(entry.path()).expect("text"));
            let is_old = metadata.modified().expect("Linux knows") < UNIX_EPOCH + Duration::from_secs(1_000_000_000);
            found.push(format!(
                "{folder}/{} {text:?} {is_old} {:o}",
                entry.file_name().to_string_lossy(),
                metadata.permissions().mode()
            ));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn what_is_no_file_is_not_opened() {
    let host = world().start(READ_ONLY).await;
    let fifo = host.world.path("data/pipe");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo is there");
    assert!(made.success());
    let outcome = host.call("read", json!({"path": "/data/pipe"})).await;
    assert_eq!(outcome.code(), "tool.failed", "{}", told(&outcome));
    assert_eq!(host.told("read", json!({"path": "/data/plain.txt"})).await, "ok: plain");
}

#[tokio::test]
async fn a_directory_granted_inside_another_keeps_its_own_access() {
    let text = "[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"./data:/data:ro\", \"./data/sub:/data/sub:rw\"]\n";
    let host = world().start(text).await;
    assert_eq!(host.told("write", json!({"path": "/data/sub/new.txt", "text": "new"})).await, "ok: written");
    assert_eq!(host.call("write", json!({"path": "/data/new.txt", "text": "new"})).await.code(), "denied.fs.write");
}

#[tokio::test]
async fn what_is_granted_is_the_directory_that_was_there_when_the_plugin_was_loaded() {
    let host = world().start(READ_ONLY).await;
    let data = host.world.path("data");
    std::fs::rename(&data, host.world.path("moved")).expect("it can be moved");
    std::os::unix::fs::symlink(host.world.path("outside"), &data).expect("a link can be made");
    assert_eq!(host.told("read", json!({"path": "/data/plain.txt"})).await, "ok: plain");
    assert_ne!(host.told("read", json!({"path": "/data/secret.txt"})).await, "ok: secret");
}

#[tokio::test]
async fn a_tool_sees_no_more_than_its_own_directories() {
    let text = format!(
        "{READ_WRITE}[plugins.probe.tools.read]\nfs = [\"./data/sub:ro\"]\n[plugins.probe.tools.list]\nfs = []\n"
    );
    let host = world().start(&text).await;
    assert_eq!(host.told("read", json!({"path": "/data/sub/deep.txt"})).await, "ok: deep");
    assert_eq!(
        host.told("read", json!({"path": "/data/plain.txt"})).await,
        "denied.fs.read: reading `/data/plain.txt` is refused: it lies outside of `/data/sub`; \
         add `fs = [\"/data:ro\"]` under `[plugins.probe.tools.read]` (bailiwick.toml:4)"
    );
    assert_eq!(host.call("list", json!({"path": "/data"})).await.code(), "denied.fs.read");
    assert_eq!(
        host.told("write", json!({"path": "/data/new.txt", "text": "new"})).await,
        "ok: written",
        "the other tools keep theirs"
    );
}

#[tokio::test]
async fn a_plugin_has_the_surroundings_it_was_given_and_no_others() {
    let text = "[plugins.probe]\ncomponent = \"probe.wasm\"\nfs = [\"./data:/data:ro\"]\nenv = { LANG = \"${LOCALE}\", MODE = \"x\" }\n\
                config = { url = \"https://x.example\", n = 3 }\n";
    let seen = world().variable("LOCALE", "de").start(text).await.value("surroundings", json!({})).await;
    assert_eq!(
        seen,
        json!({
            "environment": {"LANG": "de", "MODE": "x"},
            "arguments": [],
            "working directory": null,
            "config": {"n": "3", "url": "https://x.example"},
            "directories": ["/data"],
            "secrets": [],
        })
    );
    let nothing =
        TestHost::new("[plugins.probe]\ncomponent = \"probe.wasm\"\n").await.value("surroundings", json!({})).await;
    assert_eq!(
        nothing,
        json!({"environment": {}, "arguments": [], "working directory": null, "config": {}, "directories": [], "secrets": []})
    );
}
