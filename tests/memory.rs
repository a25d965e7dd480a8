//! The built-in plugin `memory`: what a model keeps in one folder, and that it keeps it nowhere else.

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{TestHost, remedy, told};

const MEMORY: &str = "[plugins.memory]\ncomponent = \"builtin:memory\"\nfs = [\"./memory:rw\"]\n";

fn world() -> World {
    World::new()
        .file("memory/people/ada.md", "Likes engines.\n")
        .file("outside/secret.txt", "secret")
        .link("../outside/secret.txt", "memory/way-out")
        .link("../outside", "memory/way-in")
}

async fn write(host: &TestHost, path: &str) -> String {
    host.told("memory_write", json!({"path": path, "content": "new"})).await
}

#[tokio::test]
async fn n10_what_is_written_is_read_and_listed() {
    let host = world().start(MEMORY).await;
    assert_eq!(host.listed(), ["memory_read", "memory_write"]);
    assert_eq!(write(&host, "plans/2026/autumn.md").await, "ok: Written to plans/2026/autumn.md");
    assert_eq!(write(&host, "people/ada.md").await, "ok: Written to people/ada.md");
    assert_eq!(host.told("memory_read", json!({"path": "people/ada.md"})).await, "ok: new");
    let list = "ok: people/ada.md\nplans/2026/autumn.md";
    assert_eq!(host.told("memory_read", json!({})).await, list);
    assert_eq!(host.told("memory_read", json!({"path": null})).await, list);
    let file = host.world.path("memory/plans/2026/autumn.md");
    assert_eq!(std::fs::read_to_string(file).expect("it was written"), "new");
    assert_eq!(
        host.told("memory_read", json!({"path": "people/adda.md"})).await,
        "tool.not-found: File not found: people/adda.md; did you mean `people/ada.md`?"
    );
}

#[tokio::test]
async fn n10_without_a_folder_the_line_is_named_that_would_grant_one() {
    let bare = "[plugins.memory]\ncomponent = \"builtin:memory\"\n";
    let host = World::new().start(bare).await;
    for (tool, arguments) in [("memory_read", json!({})), ("memory_write", json!({"path": "a.md", "content": "x"}))] {
        assert_eq!(
            host.told(tool, arguments).await,
            "plugin.not-configured: No folder is granted to keep the memory in: add `fs = [\"./memory:rw\"]` to the \
             plugin's table."
        );
    }
    let granted = remedy::merged(bare, "[plugins.memory]\nfs = [\"./memory:rw\"]");
    let host = World::new().folder("memory").start(&granted).await;
    assert_eq!(host.told("memory_read", json!({})).await, "ok: [The memory is empty.]");
    assert_eq!(write(&host, "a.md").await, "ok: Written to a.md");
}

#[tokio::test]
async fn n10_a_folder_that_can_only_be_read_is_not_written() {
    let text = MEMORY.replace(":rw", ":ro");
    let host = world().start(&text).await;
    assert_eq!(host.told("memory_read", json!({"path": "people/ada.md"})).await, "ok: Likes engines.\n");
    let outcome = host.call("memory_write", json!({"path": "b.md", "content": "x"})).await;
    assert_eq!(outcome.code(), "denied.fs.write", "{}", told(&outcome));
    let fix = outcome.result.expect_err("it was refused").fix.expect("a refusal names its line");
    assert!(!host.world.path("memory/b.md").exists());
    let host = world().start(&remedy::applied(&text, &fix)).await;
    assert_eq!(write(&host, "b.md").await, "ok: Written to b.md");
}

#[tokio::test]
async fn n10_the_first_folder_is_the_memory_and_the_only_one() {
    let text = MEMORY.replace("[\"./memory:rw\"]", "[\"./memory:/m:rw\", \"./outside:/o:rw\"]");
    let host = world().start(&text).await;
    assert_eq!(host.told("memory_read", json!({})).await, "ok: people/ada.md");
    for path in ["/o/secret.txt", "../o/secret.txt", "/m/people/ada.md"] {
        assert_eq!(host.call("memory_read", json!({"path": path})).await.code(), "arguments.invalid", "{path}");
    }
}

#[tokio::test]
async fn n10_nothing_leads_out_of_the_folder() {
    let host = world().start(MEMORY).await;
    let secret = host.world.path("outside/secret.txt").display().to_string();
    for path in [
        "..",
        "../outside/secret.txt",
        "people/../../outside/secret.txt",
        "people/../people/ada.md",
        "./people/ada.md",
        "/etc/passwd",
        "//etc/passwd",
        &secret,
        "",
        " ",
        "people//ada.md",
        "people/",
        "a\0b",
        "a\nb",
    ] {
        for (tool, arguments) in
            [("memory_read", json!({"path": path})), ("memory_write", json!({"path": path, "content": "x"}))]
        {
            let outcome = host.call(tool, arguments).await;
            assert_eq!(outcome.code(), "arguments.invalid", "{tool} {path:?}: {}", told(&outcome));
        }
    }
    for path in ["way-out", "way-in/secret.txt"] {
        assert_eq!(host.call("memory_read", json!({"path": path})).await.code(), "denied.fs.read", "{path}");
        let outcome = host.call("memory_write", json!({"path": path, "content": "x"})).await;
        assert_eq!(outcome.code(), "denied.fs.write", "{path}: {}", told(&outcome));
    }
    assert_eq!(
        host.call("memory_write", json!({"path": "way-in/new", "content": "x"})).await.code(),
        "denied.fs.write"
    );
    assert_eq!(host.told("memory_read", json!({})).await, "ok: people/ada.md", "links are not listed");
    assert_eq!(std::fs::read_to_string(secret).expect("it is there"), "secret");
    assert!(!host.world.path("outside/new").exists());
}

#[tokio::test]
async fn n10_notes_have_a_size_and_are_text() {
    let world = world().file("memory/large", vec![b'a'; (1 << 20) + 1]).file("memory/image", b"\xff\xd8\xff");
    let host = world.start(MEMORY).await;
    let read = |path: &str| host.told("memory_read", json!({"path": path}));
    assert_eq!(read("large").await, "tool.failed: large is larger than 1 MiB, which is the most that is read here.");
    assert_eq!(read("image").await, "tool.failed: image is not text: it is not UTF-8.");
    assert_eq!(read("people").await, "arguments.invalid: people is a folder; leave `path` out to see the files in it.");
    let too_large = json!({"path": "b.md", "content": "a".repeat((1 << 20) + 1)});
    let told = host.told("memory_write", too_large).await;
    assert_eq!(told, "arguments.invalid: `content` is larger than 1 MiB; write several files.");
    assert!(!host.world.path("memory/b.md").exists());
    let fits: Value = json!({"path": "b.md", "content": "a".repeat(1 << 20)});
    assert_eq!(host.told("memory_write", fits).await, "ok: Written to b.md");
}
