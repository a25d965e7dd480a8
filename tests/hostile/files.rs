//! The filesystem beyond paths that lead out: what moves meanwhile, names, nodes that are no files, many entries, a full
//! disk, patterns that explode.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bailiwick::channel::{Answer, Channel, Question};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::fs_twins::{untouched, world};
use crate::support::host::World;
use crate::support::machine::is_slow_wanted;
use crate::support::{TestHost, program, told};

const DELVER: &str = "[plugins.delver]\ncomponent = \"delver.wasm\"\nfs = [\"./data:/data:rw\"]\n";
const FILES: &str = "[plugins.files]\ncomponent = \"builtin:files\"\nfs = [\"./data:/data:rw\"]\n";

/// What came of each of these below `/data`.
async fn swept(host: &TestHost, attempts: &[(&str, &str, &str)]) -> Vec<String> {
    let attempts: Vec<Value> =
        attempts.iter().map(|(operation, path, to)| json!({"operation": operation, "path": path, "to": to})).collect();
    let answer = host.told("sweep", json!({"directory": "/data", "attempts": attempts})).await;
    texts(&answer)
}

fn texts(told: &str) -> Vec<String> {
    let json =
        told.strip_prefix("ok: ").and_then(|rest| rest.split(" | = ").next()).unwrap_or_else(|| panic!("{told}"));
    let answer: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {told}"));
    answer["answers"].as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
}

#[tokio::test]
async fn a_directory_that_is_moved_out_while_it_is_open_has_no_way_up() {
    let (questions, mut received) = mpsc::channel::<Question>(1);
    let world = world().file("data/a/b/deep.txt", "deep").folder("outside/into");
    let host = world.start(DELVER).await.channel(Channel { questions: Some(questions), ..Channel::default() });
    let attempts: Vec<Value> = [
        ("read", "deep.txt"),
        ("read", "../secret.txt"),
        ("read", "../../plain.txt"),
        ("list", ".."),
        ("list", "../.."),
        ("create", "../new.txt"),
        ("unlink", "../secret.txt"),
    ]
    .iter()
    .map(|(operation, path)| json!({"operation": operation, "path": path}))
    .collect();
    let call = host.told("linger", json!({"directory": "/data", "inner": "a/b", "attempts": attempts}));
    let meanwhile = async {
        let question = received.recv().await.expect("it asks");
        std::fs::rename(host.world.path("data/a/b"), host.world.path("outside/b")).expect("it can be moved");
        drop(question.reply.send(Answer::Declined));
    };
    let (told, ()) = tokio::join!(call, meanwhile);
    let came = texts(&told);
    assert_eq!(came[0], "deep", "what was open is open");
    assert!(came[1..].iter().all(|answer| answer == "not-permitted"), "{came:?}");
    assert_eq!(std::fs::read_to_string(host.world.path("outside/secret.txt")).expect("it is there"), "secret");
}

#[tokio::test]
async fn nothing_goes_from_one_grant_to_another_of_other_rights() {
    let text = "[plugins.delver]\ncomponent = \"delver.wasm\"\nfs = [\"./data:/data:ro\", \"./other:/other:rw\", \"./third:/third:rw\"]\n";
    let host = world().file("other/own.txt", "own").folder("third").start(text).await;
    let across = async |operation: &str, from: &str, path: &str, into: &str, to: &str| {
        let asked = json!({"operation": operation, "from": from, "path": path, "into": into, "to": to});
        host.told("across", asked).await
    };
    for operation in ["rename", "link"] {
        assert_eq!(across(operation, "/data", "plain.txt", "/other", "mine.txt").await, "ok: not-permitted");
        assert_eq!(across(operation, "/other", "own.txt", "/data", "theirs.txt").await, "ok: not-permitted");
        assert_eq!(across(operation, "/other", "../data/plain.txt", "/third", "x.txt").await, "ok: not-permitted");
        assert_eq!(across(operation, "/other", "own.txt", "/third", "../data/x.txt").await, "ok: not-permitted");
    }
    assert_eq!(
        across("rename", "/other", "own.txt", "/third", "own.txt").await,
        "ok: done",
        "of the same rights it is fine"
    );
    assert_eq!(std::fs::read_to_string(host.world.path("data/plain.txt")).expect("it is there"), "plain");
    assert!(!host.world.path("data/theirs.txt").exists() && !host.world.path("other/mine.txt").exists());
}

#[tokio::test]
async fn a_hard_link_that_is_there_is_a_file_like_any_other() {
    // Documented: a second name of a file is no link that leads anywhere. Whoever makes one gives the file away.
    let world = world();
    std::fs::hard_link(world.path("outside/secret.txt"), world.path("data/second-name")).expect("a link can be made");
    let host = world.start(DELVER).await;
    assert_eq!(swept(&host, &[("read", "second-name", "")]).await, ["secret"]);
    assert_eq!(
        swept(&host, &[("link", "../outside/secret.txt", "third-name"), ("link", "to-secret", "fourth-name")]).await[0],
        "not-permitted",
        "no guest makes one of a file outside"
    );
    untouched(&host.world);
}

#[tokio::test]
async fn names_of_every_sort_are_names() {
    let odd = std::ffi::OsStr::from_bytes(b"not-\xff-utf8");
    let world = World::new().file("data/new\nline", "n").file("data/esc\u{1b}[2J", "e").file("data/z.txt", "last");
    std::fs::write(world.path("data").join(odd), "odd").expect("a file can be made");
    // One and the same to people, two to the filesystem.
    let world = world.file("data/caf\u{e9}", "composed").file("data/cafe\u{301}", "decomposed").file("data/UP", "up");
    let host = world.start(&format!("{DELVER}{FILES}")).await;
    let long = "n".repeat(256);
    let deep = "d/".repeat(2_100);
    let came = swept(
        &host,
        &[
            ("read", "new\nline", ""),
            ("read", "caf\u{e9}", ""),
            ("read", "cafe\u{301}", ""),
            ("read", "up", ""),
            ("read", "a\0b", ""),
            ("create", &long, ""),
            ("create", &long[..255], ""),
            ("read", &deep, ""),
            ("list", ".", ""),
            ("create", "COM1.", ""),
            ("create", "con ", ""),
        ],
    )
    .await;
    assert_eq!(came[..4], ["n", "composed", "decomposed", "no-entry"]);
    assert_eq!(came[4..9], ["invalid", "name-too-long", "done", "name-too-long", "illegal-byte-sequence"]);
    assert_eq!(came[9..], ["done", "done"], "on Linux these are names like any other");
    // The plugin goes on after a name that is no text, and no name passes for two lines.
    let found = host.told("glob", json!({"pattern": "*"})).await;
    assert!(
        found.contains("/data/z.txt") && found.contains("/data/new\\nline") && !found.contains('\u{1b}'),
        "{found}"
    );
}

#[tokio::test]
async fn nodes_that_are_no_files_are_not_opened() {
    let world = World::new().file("data/plain.txt", "plain");
    let _listener = std::os::unix::net::UnixListener::bind(world.path("data/socket")).expect("a socket can be made");
    let made = std::process::Command::new("mkfifo").arg(world.path("data/pipe")).status().expect("mkfifo is there");
    assert!(made.success());
    let mut nodes = vec!["socket", "pipe"];
    for (name, kind, major, minor) in [("zero", "c", "1", "5"), ("random", "c", "1", "8"), ("loop", "b", "7", "0")] {
        let path = world.path("data").join(name);
        let made = std::process::Command::new("mknod").arg(&path).args([kind, major, minor]).output();
        if made.is_ok_and(|output| output.status.success()) {
            nodes.push(name);
        } else {
            println!("left out: the device {name}, which only root can make");
        }
    }
    let host = world.start(&format!("{DELVER}{FILES}")).await;
    let begun = Instant::now();
    for node in nodes {
        for operation in ["read", "open", "overwrite", "open-both-ways", "truncate", "touch", "append", "write-stream"]
        {
            let came = swept(&host, &[(operation, node, "")]).await;
            let refused = matches!(came[0].as_str(), "unsupported" | "not-permitted" | "access" | "no-such-device");
            assert!(refused, "{operation} {node}: {came:?}");
        }
        let outcome = host.call("files__read", json!({"filePath": node})).await;
        assert!(matches!(outcome.code(), "tool.failed" | "tool.unknown"), "{node}: {}", told(&outcome));
        let outcome = host.call("read", json!({"filePath": node})).await;
        assert!(told(&outcome).contains("is not a regular file"), "{node}: {}", told(&outcome));
        assert_eq!(swept(&host, &[("stat", node, "")]).await[0], "0 bytes", "looking at it is fine");
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    let searched = host.told("grep", json!({"pattern": "plain"})).await;
    assert!(searched.contains("/data/plain.txt:1:plain"), "{searched}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renames_elsewhere_on_the_filesystem_change_nothing() {
    let host = world().folder("storm").file("storm/a", "").start(DELVER).await;
    let (a, b, stop) = (host.world.path("storm/a"), host.world.path("storm/b"), Arc::new(AtomicBool::new(false)));
    let storm = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut times = 0;
            while !stop.load(Ordering::Relaxed) {
                std::fs::rename(&a, &b).and_then(|()| std::fs::rename(&b, &a)).expect("they are there");
                times += 2;
            }
            times
        })
    };
    let repeat = |path: &str| json!({"directory": "/data", "operation": "read", "path": path, "times": 2_000});
    let inside = host.told("repeat", repeat("sub/../sub/../sub/deep.txt")).await;
    let outside = host.told("repeat", repeat("sub/../../outside/secret.txt")).await;
    stop.store(true, Ordering::Relaxed);
    println!("measured: {} renames beside 4,000 attempts", storm.join().expect("it renames"));
    assert!(inside.starts_with("ok: {\"deep\":2000}"), "{inside}");
    assert!(outside.starts_with("ok: {\"not-permitted\":2000}"), "{outside}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_changes_while_it_is_listed_is_listed() {
    let world = World::new().folder("data/busy");
    let busy = world.path("data/busy");
    for number in 0..300 {
        std::fs::write(busy.join(format!("{number}.txt")), "x").expect("a file can be made");
    }
    let host = world.start(&format!("{DELVER}{FILES}")).await;
    let stop = Arc::new(AtomicBool::new(false));
    let churn = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            for number in (0..300).cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let path = busy.join(format!("{number}.txt"));
                drop(std::fs::remove_file(&path));
                drop(std::fs::write(&path, "x"));
            }
        })
    };
    for _ in 0..20 {
        let outcome =
            host.call("repeat", json!({"directory": "/data", "operation": "count", "path": "busy", "times": 20})).await;
        assert!(outcome.result.is_ok(), "{}", told(&outcome));
        assert!(host.call("grep", json!({"pattern": "x"})).await.result.is_ok());
        assert!(host.call("glob", json!({"pattern": "**/*.txt"})).await.result.is_ok());
    }
    stop.store(true, Ordering::Relaxed);
    churn.join().expect("it goes on");
}

#[tokio::test]
async fn a_granted_directory_that_is_removed_leaves_the_host_as_it_is() {
    let host = world().start(DELVER).await;
    std::fs::remove_dir_all(host.world.path("data")).expect("it can be removed");
    assert_eq!(swept(&host, &[("read", "plain.txt", ""), ("create", "new.txt", "")]).await, ["no-entry", "no-entry"]);
    std::fs::create_dir(host.world.path("data")).expect("it can be made");
    std::fs::write(host.world.path("data/plain.txt"), "another").expect("a file can be made");
    assert_eq!(
        swept(&host, &[("read", "plain.txt", "")]).await,
        ["no-entry"],
        "what is granted is the directory that was"
    );
    host.reload(DELVER).await;
    assert_eq!(swept(&host, &[("read", "plain.txt", "")]).await, ["another"], "until the operator says so again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tools_that_write_one_file_leave_one_of_both() {
    let text = format!("{FILES}[plugins.again]\ncomponent = \"builtin:files\"\nfs = [\"./data:/data:rw\"]\n");
    let host = World::new().folder("data").start(&text).await;
    let content = |number: usize| number.to_string().repeat(20_000);
    for round in 0..5 {
        let writes = (0..10).map(|number| {
            let tool = if number % 2 == 0 { "files__write" } else { "again__write" };
            host.call(tool, json!({"filePath": "/data/one.txt", "content": content(number)}))
        });
        let outcomes = futures::future::join_all(writes).await;
        assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "round {round}");
        let left = std::fs::read_to_string(host.world.path("data/one.txt")).expect("it is there");
        assert!((0..10).any(|number| left == content(number)), "round {round}: neither of them");
        assert_eq!(std::fs::read_dir(host.world.path("data")).expect("it is there").count(), 1, "nothing else is left");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_so_and_leaves_the_old_file() {
    let world = World::new().folder("data");
    let data = world.path("data");
    let mounted =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&data).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("left out: a full disk, because no tmpfs can be mounted here");
        return;
    }
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            drop(std::process::Command::new("umount").arg("-l").arg(&self.0).status());
        }
    }
    let _mounted = Mounted(data.clone());
    let host = world.start(&format!("{DELVER}{FILES}")).await;
    let write = |bytes: usize| json!({"filePath": "/data/kept.txt", "content": "k".repeat(bytes)});
    assert_eq!(host.call("write", write(1_000)).await.code(), "ok");
    let outcome = host.call("write", write(1 << 20)).await;
    assert_eq!(
        told(&outcome),
        "tool.failed: There is no space left for /data/kept.txt, or its disk fails; the file is as it was."
    );
    assert_eq!(std::fs::read_to_string(data.join("kept.txt")).expect("it is there").len(), 1_000);
    assert_eq!(std::fs::read_dir(&data).expect("it is there").count(), 1, "nothing half written is left");
    assert_eq!(host.call("write", write(2_000)).await.code(), "ok", "what fits is written");
}

#[tokio::test]
async fn a_file_larger_than_any_disk_is_refused_or_hollow() {
    let host = world().start(DELVER).await;
    let came = swept(
        &host,
        &[("resize-huge", "plain.txt", ""), ("resize-sparse", "plain.txt", ""), ("read", "sub/deep.txt", "")],
    )
    .await;
    assert!(matches!(came[0].as_str(), "invalid" | "file-too-large"), "{came:?}");
    assert!(matches!(came[1].as_str(), "done" | "file-too-large"), "{came:?}");
    assert_eq!(came[2], "deep");
}

#[tokio::test]
async fn patterns_that_explode_end_within_the_time_of_a_call() {
    let world = World::new().file("data/a.txt", "a".repeat(60_000)).file("data/deep/b.txt", "x\n");
    // A round of links, and one long line without an end.
    let world = world.link("..", "data/deep/round").link(".", "data/self");
    let long = std::fs::File::create(world.path("data/long.bin")).expect("a file can be made");
    long.set_len(64 << 20).expect("a file can be grown");
    let text = format!("{FILES}limits.time = \"10s\"\n");
    let host = world.start(&text).await;
    let nested = "{a,b}".repeat(30);
    let stars = "*".repeat(50);
    for (tool, arguments) in [
        ("glob", json!({"pattern": nested})),
        ("glob", json!({"pattern": format!("**/{stars}a{stars}b")})),
        ("glob", json!({"pattern": "**/**/**/**/**/**/**/**/*.txt"})),
        ("glob", json!({"pattern": "{".repeat(300) + &"}".repeat(300)})),
        ("glob", json!({"pattern": "[".repeat(1_000)})),
        ("grep", json!({"pattern": "(a+)+$"})),
        ("grep", json!({"pattern": "(a|aa)+b"})),
        ("grep", json!({"pattern": "((a{1000}){1000}){1000}"})),
        ("grep", json!({"pattern": "(".repeat(10_000)})),
        ("grep", json!({"pattern": "\\p{L}{500}"})),
        ("grep", json!({"pattern": "x", "path": "long.bin"})),
        ("read", json!({"filePath": "long.bin"})),
        ("read", json!({"filePath": "a.txt", "offset": u64::MAX, "limit": u64::MAX})),
    ] {
        let begun = Instant::now();
        let outcome = host.call(tool, arguments.clone()).await;
        let shown: String = arguments.to_string().chars().take(60).collect();
        assert!(begun.elapsed() < Duration::from_secs(10), "{tool} {shown}: {:?}", begun.elapsed());
        assert!(
            matches!(outcome.code(), "ok" | "arguments.invalid" | "tool.failed"),
            "{tool} {shown}: {}",
            told(&outcome)
        );
    }
    let found = host.told("glob", json!({"pattern": "**/*.txt"})).await;
    assert_eq!(
        found.matches("b.txt").count(),
        2,
        "once as text and once as structure, not once for each way round: {found}"
    );
}

#[test]
fn a_write_that_is_killed_leaves_the_old_file_or_the_new_one() {
    let times = if is_slow_wanted("killing 300 writes") { 300 } else { 12 };
    let world = World::new().file("data/one.txt", "o".repeat(300_000));
    let text = format!("{FILES}[host]\nstate = \"./state\"\ncache = {:?}\n", world.cache());
    std::fs::write(world.path("bailiwick.toml"), text).expect("a file can be written");
    let (mut old, mut new) = (0, 0);
    for number in 0..times {
        let content = if number % 2 == 0 { "n" } else { "o" }.repeat(300_000);
        let arguments = json!({"filePath": "/data/one.txt", "content": content}).to_string();
        let mut child = std::process::Command::new(program::path())
            .args(["--config", "bailiwick.toml", "call", "write", "-"])
            .current_dir(world.path(""))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the program can be started");
        use std::io::Write as _;
        drop(child.stdin.take().expect("it is piped").write_all(arguments.as_bytes()));
        std::thread::sleep(Duration::from_millis(20 + 17 * (number % 15)));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let left = std::fs::read_to_string(world.path("data/one.txt")).expect("it is there");
        let first = left.chars().next().expect("it holds something");
        assert!(left.len() == 300_000 && left.chars().all(|c| c == first), "round {number}: half of it");
        if content.starts_with(first) { new += 1 } else { old += 1 }
    }
    println!("measured: of {times} killed writes {old} left the old file and {new} the new one");
}
