//! The filesystem, tried with the real program in three ways: as it is, with a kernel that has no `openat2`, and with one
//! whose `openat2` always has to be tried again. What the engine falls back to in the second and third case is where its
//! relatives were escaped from. The kernel is made so by strace; without strace the second and third way are left out.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::fs_twins::{CHANGES, OUT, REFUSALS, attempts, untouched, world};
use crate::support::host::World;
use crate::support::machine::is_slow_wanted;
use crate::support::program;

/// How the kernel answers to `openat2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    AsItIs,
    /// With this error, always.
    Failing(&'static str),
}

const WAYS: [Kernel; 3] = [Kernel::AsItIs, Kernel::Failing("ENOSYS"), Kernel::Failing("EAGAIN")];

/// Whether strace is there and may trace.
fn has_strace() -> bool {
    let tried = Command::new("strace").args(["-q", "-o", "/dev/null", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// The ways that can be tried here. What cannot is told.
fn ways() -> Vec<Kernel> {
    if has_strace() {
        return WAYS.to_vec();
    }
    println!("left out: `openat2` = ENOSYS and = EAGAIN, because strace is not there or may not trace");
    vec![Kernel::AsItIs]
}

/// Runs the program's `serve --stdio` in this world, calls these tools and gives the text of each answer.
fn answers(world: &World, config: &str, kernel: Kernel, calls: &[(&str, Value)]) -> Vec<String> {
    let path = world.path("bailiwick.toml");
    let text = format!("{config}\n[host]\nstate = \"./state\"\ncache = {:?}\n", world.cache());
    std::fs::write(path, text).expect("a file can be written");
    let trace = world.path("trace.txt");
    let mut command = match kernel {
        Kernel::AsItIs => Command::new(program::path()),
        Kernel::Failing(error) => {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-q", "-e", "trace=openat2", "-e", &format!("inject=openat2:error={error}")]);
            strace.arg("-o").arg(&trace).arg(program::path());
            strace
        }
    };
    command.args(["--config", "bailiwick.toml", "serve", "--stdio"]).current_dir(world.path(""));
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program can be started");
    let said = converse(&mut child, calls);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{kernel:?}: {}", String::from_utf8_lossy(&output.stderr));
    if kernel != Kernel::AsItIs {
        assert_injected(&trace);
    }
    said
}

/// The trace shows that `openat2` failed, and never did anything else.
fn assert_injected(trace: &Path) {
    let text = std::fs::read_to_string(trace).expect("strace wrote it");
    let calls: Vec<&str> =
        text.lines().filter(|line| line.contains("openat2(") && !line.contains("unfinished")).collect();
    assert!(!calls.is_empty(), "openat2 was never called: {text}");
    let others: Vec<&&str> = calls.iter().filter(|line| !line.contains("(INJECTED)")).collect();
    assert!(others.is_empty(), "openat2 was let through: {others:?}");
}

fn converse(child: &mut std::process::Child, calls: &[(&str, Value)]) -> Vec<String> {
    use std::io::{BufRead as _, BufReader, Write as _};
    let mut input = child.stdin.take().expect("it is piped");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut say = |message: Value| writeln!(input, "{message}").expect("it listens");
    let mut hear = |id: usize| -> Value {
        loop {
            let line = output.next().expect("it answers").expect("text");
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if message["id"] == id {
                return message;
            }
        }
    };
    let client = json!({"name": "test", "version": "0"});
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    say(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}));
    hear(0);
    say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let mut said = Vec::new();
    for (number, (tool, arguments)) in calls.iter().enumerate() {
        let params = json!({"name": tool, "arguments": arguments});
        say(json!({"jsonrpc": "2.0", "id": number + 1, "method": "tools/call", "params": params}));
        let answer = hear(number + 1);
        let content = answer["result"]["content"].as_array().cloned().unwrap_or_default();
        let texts: Vec<&str> = content.iter().filter_map(|piece| piece["text"].as_str()).collect();
        said.push(if texts.is_empty() { answer.to_string() } else { texts.join("\n") });
    }
    drop(input);
    said
}

const DELVER: &str =
    "[plugins.delver]\ncomponent = \"delver.wasm\"\nlimits.time = \"60s\"\nfs = [\"./data:/data:rw\"]\n";
const READ_ONLY: &str =
    "[plugins.delver]\ncomponent = \"delver.wasm\"\nlimits.time = \"60s\"\nfs = [\"./data:/data:ro\"]\n";

/// What came of each attempt, in order.
fn swept(world: &World, config: &str, kernel: Kernel, tried: &[(&str, String, String)]) -> Vec<String> {
    let attempts: Vec<Value> =
        tried.iter().map(|(operation, path, to)| json!({"operation": operation, "path": path, "to": to})).collect();
    let call = ("sweep", json!({"directory": "/data", "attempts": attempts}));
    let said = answers(world, config, kernel, &[call]).remove(0);
    let answer: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{kernel:?}: {error}: {said}"));
    let answers = answer["answers"].as_array().expect("a list").iter();
    answers.map(|answer| answer.as_str().expect("text").to_owned()).collect()
}

/// More ways out than those that WASI's own tests know.
const MORE_OUT: &[&str] = &[
    "loop-a",
    "loop-a/x",
    "sub/../up/outside",
    "./to-outside",
    "sub/./../to-outside",
    "up/data/up/outside",
    "to-environ",
    "chain-0",
];

/// A world with a chain of links that leads out in the end, too long for a kernel to follow.
fn deep_world() -> World {
    let world = (0..50).fold(world(), |world, n| world.link(format!("chain-{}", n + 1), &format!("data/chain-{n}")));
    world.link("../outside", "data/chain-50")
}

#[test]
fn nothing_outside_of_a_grant_is_reached_in_any_way() {
    for kernel in ways() {
        let world = deep_world();
        let out = OUT.iter().chain(MORE_OUT);
        let more = |path: &str| {
            let path = path.to_string();
            ["read-nofollow", "hash", "open", "open-directory", "open-both-ways", "write-stream", "touch-far"]
                .map(|operation| (operation, format!("{path}/secret.txt"), String::new()))
        };
        // A link within the grant may be removed and read: it is the plugin's own.
        let own = |(operation, path, _): &(&str, String, String)| {
            let last = path.rsplit('/').next().unwrap_or_default();
            let is_link = ["to-", "loop-", "chain-"].iter().any(|start| last.starts_with(start)) || last == "up";
            matches!(*operation, "unlink" | "readlink" | "stat" | "touch") && is_link
        };
        let tried: Vec<(&str, String, String)> =
            out.clone().flat_map(|path| attempts(path)).chain(out.flat_map(|path| more(path))).collect();
        let tried: Vec<_> = tried.into_iter().filter(|attempt| !own(attempt)).collect();
        let came = swept(&world, DELVER, kernel, &tried);
        let reached: Vec<_> =
            tried.iter().zip(&came).filter(|(_, answer)| !REFUSALS.contains(&answer.as_str())).collect();
        assert!(reached.is_empty(), "{kernel:?}: {reached:#?}");
        untouched(&world);
        assert!(!world.path("data/stolen.txt").exists());
        println!("measured: {} attempts to get out of a directory with {kernel:?}: 0 got out", tried.len());
    }
}

#[test]
fn what_is_inside_is_reached_in_every_way() {
    let mine = |operation: &'static str, path: &str, to: &str, expected: &str| {
        ((operation, path.to_owned(), to.to_owned()), expected.to_owned())
    };
    let steps = [
        mine("read", "plain.txt", "", "plain"),
        mine("read", "./sub//deep.txt", "", "deep"),
        mine("read", "sub/../plain.txt", "", "plain"),
        mine("read", "to-sub/deep.txt", "", "deep"),
        mine("read", "to-sub/../plain.txt", "", "plain"),
        mine("read-nofollow", "plain.txt", "", "plain"),
        mine("read-nofollow", "to-plain", "", "loop"),
        mine("list", "sub", "", "deep.txt"),
        mine("list", "to-sub/", "", "deep.txt"),
        mine("list", "sub/.", "", "deep.txt"),
        mine("stat", ".", "", ""),
        mine("read", "", "", "no-entry"),
        mine("open", "./", "", "done"),
        mine("open-directory", "plain.txt", "", "not-directory"),
        mine("read", "plain.txt/x", "", "not-directory"),
        mine("overwrite", "sub", "", "is-directory"),
        mine("read", "nothing", "", "no-entry"),
        mine("mkdir", "made", "", "done"),
        mine("mkdir", "made", "", "exist"),
        mine("create", "made/new.txt", "", "done"),
        mine("write-stream", "made/new.txt", "", "done"),
        mine("read", "made/new.txt", "", "changed"),
        mine("rename", "made/new.txt", "made/moved.txt", "done"),
        mine("link", "made/moved.txt", "made/linked.txt", "done"),
        mine("symlink", "moved.txt", "made/link", "done"),
        mine("read", "made/link", "", "changed"),
        mine("touch", "made/moved.txt", "", "done"),
        mine("touch-distant", "made/moved.txt", "", "overflow"),
        mine("resize-huge", "made/moved.txt", "", "invalid"),
        mine("rmdir", "made", "", "not-empty"),
        mine("unlink", "made/link", "", "done"),
        mine("unlink", "made/linked.txt", "", "done"),
        mine("unlink", "made/moved.txt", "", "done"),
        mine("rmdir", "made", "", "done"),
    ];
    for kernel in ways() {
        let (tried, expected): (Vec<_>, Vec<_>) = steps.iter().cloned().unzip();
        let came = swept(&world(), DELVER, kernel, &tried);
        for ((attempt, answer), expected) in tried.iter().zip(&came).zip(&expected) {
            assert!(answer == expected || expected.is_empty(), "{kernel:?}: {attempt:?}: {answer}, not {expected}");
        }
    }
}

#[test]
fn nothing_under_a_read_only_grant_changes_in_any_way() {
    for kernel in ways() {
        let world = world();
        let more =
            [("write-stream", "plain.txt", ""), ("resize-sparse", "plain.txt", ""), ("touch-far", "plain.txt", "")];
        let tried: Vec<(&str, String, String)> = CHANGES
            .iter()
            .chain(&more)
            .map(|(operation, path, to)| (*operation, (*path).to_owned(), (*to).to_owned()))
            .collect();
        let came = swept(&world, READ_ONLY, kernel, &tried);
        for (attempt, answer) in tried.iter().zip(&came) {
            assert!(
                matches!(answer.as_str(), "not-permitted" | "read-only" | "bad-descriptor"),
                "{kernel:?}: {attempt:?}: {answer}"
            );
        }
        assert_eq!(std::fs::read_to_string(world.path("data/plain.txt")).expect("it is there"), "plain");
        assert_eq!(std::fs::read_dir(world.path("data")).expect("it is there").count(), 12);
    }
}

#[test]
fn the_files_plugin_stays_inside_in_every_way() {
    let config = "[plugins.files]\ncomponent = \"builtin:files\"\nfs = [\"./data:/data:rw\"]\n";
    let mut calls: Vec<(&str, Value)> = Vec::new();
    for path in OUT.iter().chain(MORE_OUT) {
        // What starts at the root is the whole name of a file.
        let path = if path.starts_with('/') { (*path).to_owned() } else { format!("/data/{path}") };
        let file = format!("{path}/secret.txt");
        calls.push(("read", json!({"filePath": file})));
        calls.push(("write", json!({"filePath": file, "content": "changed"})));
        calls.push(("write", json!({"filePath": format!("{path}/new.txt"), "content": "new"})));
        calls.push(("glob", json!({"pattern": "**", "path": path, "hidden": true, "no_ignore": true})));
        calls.push(("grep", json!({"pattern": "secret|root", "path": path, "hidden": true})));
    }
    for path in ["to-secret", "to-passwd", "to-environ"] {
        calls.push(("read", json!({"filePath": path})));
        calls.push(("write", json!({"filePath": path, "content": "changed"})));
    }
    for kernel in ways() {
        let world = deep_world();
        for ((tool, arguments), said) in calls.iter().zip(answers(&world, config, kernel, &calls)) {
            let leaked =
                said.lines().any(|line| line == "secret" || line.contains("root:x") || line.contains("secret.txt:1"));
            assert!(!leaked, "{kernel:?}: {tool} {arguments}: {said}");
            let wrote = *tool == "write" && said.starts_with("Wrote");
            assert!(!wrote, "{kernel:?}: {tool} {arguments}: {said}");
        }
        untouched(&world);
        let inside = [
            ("read", json!({"filePath": "plain.txt"})),
            ("write", json!({"filePath": "/data/to-sub/new.txt", "content": "new"})),
            ("glob", json!({"pattern": "**/*.txt"})),
            ("grep", json!({"pattern": "de+p"})),
        ];
        let said = answers(&world, config, kernel, &inside);
        assert_eq!(said[0], "plain", "{kernel:?}");
        assert!(
            said[1].starts_with("Wrote 3 characters") && said[2].contains("/data/sub/new.txt"),
            "{kernel:?}: {said:?}"
        );
        assert!(said[3].contains("/data/sub/deep.txt:1:deep"), "{kernel:?}: {said:?}");
    }
}

/// Two things that change places again and again, until this value is gone.
struct Exchange {
    times: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Exchange {
    /// Exchanges `flip` and `flop` in `folder`.
    fn begin(folder: &Path) -> Self {
        let (flip, flop, spare) = (folder.join("flip"), folder.join("flop"), folder.join("spare"));
        let (times, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (counted, told) = (Arc::clone(&times), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                for (from, to) in [(&flip, &spare), (&flop, &flip), (&spare, &flop)] {
                    std::fs::rename(from, to).expect("they are there");
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { times, stop, thread: Some(thread) }
    }

    fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

#[test]
fn a_link_that_takes_a_directorys_place_meanwhile_leads_nowhere() {
    let long = is_slow_wanted("1,000,000 exchanges of a directory for a link");
    for kernel in ways() {
        let goal = match (kernel, long) {
            (Kernel::AsItIs, true) => 1_000_000,
            (Kernel::AsItIs, false) | (Kernel::Failing(_), true) => 100_000,
            (Kernel::Failing(_), false) => 10_000,
        };
        let world = world().file("data/flip/secret.txt", "inside").link("../outside", "data/flop");
        let repeat = |operation: &str, path: &str, times: u32| {
            ("repeat", json!({"directory": "/data", "operation": operation, "path": path, "times": times}))
        };
        let times = if kernel == Kernel::AsItIs { 2_000 } else { 200 };
        let round = [
            repeat("read", "flip/secret.txt", times),
            repeat("list", "flip/", times / 4),
            repeat("create", "flip/new.txt", times / 4),
            repeat("overwrite", "flip/secret.txt", times / 4),
        ];
        let exchange = Exchange::begin(&world.path("data"));
        let mut said = Vec::new();
        while exchange.times() < goal {
            said.extend(answers(&world, DELVER, kernel, &round));
        }
        let flips = exchange.times();
        drop(exchange);
        let opened: u64 =
            said.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok()).flat_map(counts).sum();
        println!("measured: {flips} exchanges beside {opened} attempts with {kernel:?}: 0 got out");
        assert!(opened >= u64::from(times), "{said:?}");
        for text in &said {
            assert!(!text.contains("\"secret\"") && !text.contains("folder secret.txt"), "{kernel:?}: {text}");
        }
        untouched(&world);
    }
}

fn counts(answer: Value) -> Vec<u64> {
    answer.as_object().map(|counts| counts.values().filter_map(Value::as_u64).collect()).unwrap_or_default()
}

#[test]
fn a_kernel_that_fails_otherwise_is_told_so() {
    if !has_strace() {
        println!("left out: EIO and EINTR, because strace is not there or may not trace");
        return;
    }
    for (fault, operation) in [("pwrite64:error=EIO", "overwrite"), ("pread64:error=EIO", "read")] {
        let world = world();
        let config = world.path("bailiwick.toml");
        let text = format!("{DELVER}\n[host]\nstate = \"./state\"\ncache = {:?}\n", world.cache());
        std::fs::write(config, text).expect("a file can be written");
        let attempts = json!({"directory": "/data", "operation": operation, "path": "plain.txt", "times": 300});
        let (syscall, _) = fault.split_once(':').expect("NAME:WHAT");
        let output = Command::new("strace")
            .args(["-f", "-q", "-o", "/dev/null", "-e", &format!("trace={syscall}"), "-e", &format!("inject={fault}")])
            // That file alone: the host reads and writes its own.
            .arg("-P")
            .arg(world.path("data/plain.txt"))
            .arg(program::path())
            .args(["--config", "bailiwick.toml", "call", "repeat", &attempts.to_string()])
            .current_dir(world.path(""))
            .output()
            .expect("strace can be started");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("\"io\""),
            "{fault}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// What the same ways out come to on an engine that lets some of them through, in a kernel of this sort. It is built in a
/// folder of its own.
fn toothed(world: &World, program: &Path, error: &str) -> String {
    let output = Command::new("strace")
        .args(["-f", "-q", "-o", "/dev/null", "-e", "trace=openat2", "-e", &format!("inject=openat2:error={error}")])
        .arg(program)
        .arg(world.path("data"))
        .output()
        .expect("strace can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn an_engine_with_the_known_hole_fails_the_same_cases() {
    if !is_slow_wanted("building the engine with the known hole") || !has_strace() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("teeth-fs");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("teeth-fs");
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo.args(["build", "--locked", "--quiet", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    let built = cargo.arg("--target-dir").arg(&target).status().expect("cargo can be started");
    assert!(built.success(), "the engine with the known hole does not compile");
    let program = target.join("debug/teeth-fs");
    let paths = ["link", "link/", "link/.", "link//", "link/./", "sub/../link/", "up/outside/", "../outside/"];
    let tried: Vec<(&str, String, String)> =
        paths.iter().map(|path| ("list", (*path).to_owned(), String::new())).collect();
    for error in ["ENOSYS", "EAGAIN"] {
        let world = world().link("../outside", "data/link");
        let theirs = toothed(&world, &program, error);
        assert!(theirs.contains("escaped: folder secret.txt"), "it is known to fail here: {theirs}");
        let ours = swept(&world, DELVER, Kernel::Failing(error), &tried);
        assert!(ours.iter().all(|answer| REFUSALS.contains(&answer.as_str())), "{error}: {ours:?}");
        let holes = theirs.lines().filter(|line| line.contains("escaped: ")).count();
        println!(
            "measured: with openat2 = {error} the known engine lets {holes} of {} ways through, ours 0",
            paths.len()
        );
    }
}
