//! What a plugin can use up, and that the host and everyone else go on: each limit beside the same call within it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick::channel::{Answer, Channel, Question};
use futures::future::join_all;
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::host::World;
use crate::support::{Reply, TestHost, Upstream, log, machine, told};

fn unruly(lines: &str) -> String {
    format!("[plugins.unruly]\ncomponent = \"unruly.wasm\"\n{lines}\n")
}

/// A channel whose questions come to us, so that a test knows when a call runs.
fn asked() -> (Channel, mpsc::Receiver<Question>) {
    let (questions, received) = mpsc::channel(64);
    (Channel { questions: Some(questions), ..Channel::default() }, received)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_ends_at_its_deadline_and_holds_up_nobody() {
    let text = unruly(
        "limits.concurrency = 50\n[plugins.unruly.tools.spin]\nlimits.time = \"2s\"\n[plugins.polite]\ncomponent = \"polite.wasm\"\nlimits.concurrency = 50",
    );
    let host = TestHost::new(&text).await;
    let start = Instant::now();
    let spin = async {
        let outcome = host.call("spin", json!({})).await;
        (outcome, start.elapsed())
    };
    let others = async {
        let calls = (0..50).map(|number| host.call("echo", json!({"name": number.to_string()})));
        let outcomes = join_all(calls).await;
        (outcomes, start.elapsed())
    };
    let ((spun, spin_time), (outcomes, others_time)) = tokio::join!(spin, others);
    println!(
        "measured: 50 calls in {others_time:?} beside a loop that ended after {spin_time:?}, its deadline being 2 s"
    );
    assert_eq!(
        told(&spun),
        "limit.time: `spin` did not end within 2s; raise it with `limits.time = \"4s\"` under `[plugins.unruly.tools.spin]` (bailiwick.toml:4)"
    );
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
    assert!(others_time < spin_time, "the others did not wait for the loop");
    let audit = host.audit();
    let record = audit.iter().find(|record| record["tool"] == "spin").expect("the loop is recorded");
    let late = record["micros"].as_u64().expect("a number").saturating_sub(2_000_000);
    println!("measured: the host reports {late} µs past the deadline");
    assert!(late < 500_000, "{late} µs late");
    assert_eq!(record["outcome"], "limit.time");
    assert_eq!(audit.len(), 51);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_loops_leave_room_for_a_call() {
    let text = unruly("limits.concurrency = 100\nlimits.time = \"1s\"\n[plugins.polite]\ncomponent = \"polite.wasm\"");
    let host = Arc::new(World::new().host_keys("calls = 110\n").start(&text).await);
    let start = Instant::now();
    // Each in a task of its own, as a front end would have it.
    let spin = |host: Arc<TestHost>| async move { host.call("spin", json!({})).await };
    let loops: Vec<_> = (0..100).map(|_| tokio::spawn(spin(Arc::clone(&host)))).collect();
    let echo = |host: Arc<TestHost>| async move { host.call("echo", json!({"name": "x"})).await };
    let mut times = Vec::new();
    while start.elapsed() < Duration::from_millis(800) {
        let before = Instant::now();
        let outcome = tokio::spawn(echo(Arc::clone(&host))).await.expect("it does not panic");
        assert!(outcome.result.is_ok(), "{}", told(&outcome));
        times.push(before.elapsed());
    }
    let outcomes = join_all(loops).await;
    let all = start.elapsed();
    times.sort();
    println!(
        "measured: beside 100 loops {} calls took {:?} (median) to {:?}; the last loop ended after {all:?}, the deadline being 1 s",
        times.len(),
        times[times.len() / 2],
        times[times.len() - 1]
    );
    assert!(outcomes.into_iter().all(|outcome| outcome.is_ok_and(|outcome| outcome.code() == "limit.time")));
    // Half a second is a turn for each of 100 loops on two threads; the rest is slack for a machine that is not ours.
    assert!(all < Duration::from_secs(4), "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_never_describes_itself_is_left_out() {
    let start = Instant::now();
    let host = World::new()
        .try_start("[plugins.stuck]\ncomponent = \"stuck.wasm\"\n[plugins.polite]\ncomponent = \"polite.wasm\"\n")
        .await
        .expect("it starts");
    println!("measured: a host with a plugin whose `describe` loops started in {:?}", start.elapsed());
    assert_eq!(
        host.problems(),
        ["plugin `stuck` (bailiwick.toml:1) is left out: `describe` failed: `describe` took longer than 2s"]
    );
    assert!(host.call("echo", json!({"name": "x"})).await.result.is_ok());
}

#[test]
fn memory_beyond_the_limit_ends_the_call_and_nothing_else() {
    machine::alone("limits::memory_beyond_the_limit_ends_the_call_and_nothing_else", async {
        let host = TestHost::new(&unruly("limits.memory = \"32MiB\"")).await;
        let bomb = async || host.told("hoard", json!({"mebibytes": 4_000})).await;
        let told = bomb().await;
        assert_eq!(
            told,
            "limit.memory: `hoard` needs more than its 32 MiB of memory; raise it with `limits.memory = \"64MiB\"` under `[plugins.unruly]` (bailiwick.toml:1)"
        );
        let (before, descriptors) = (machine::resident(), machine::descriptors());
        for _ in 0..1_000 {
            bomb().await;
        }
        let after = machine::resident();
        println!("measured: resident {} MiB before 1,000 memory bombs, {} MiB after", before >> 20, after >> 20);
        assert!(after < before + (16 << 20), "{before} → {after}");
        assert_eq!(machine::descriptors(), descriptors);
        assert_eq!(host.told("hoard", json!({"mebibytes": 16})).await, "ok: 16 MiB", "within the limit it works");
        let more = TestHost::new(&unruly("limits.memory = \"128MiB\"")).await;
        assert_eq!(more.told("hoard", json!({"mebibytes": 64})).await, "ok: 64 MiB", "and with a higher limit");
    });
}

#[tokio::test]
async fn growing_memory_beyond_the_limit_is_refused() {
    let text = "[plugins.small]\ncomponent = \"unruly.wasm\"\nlimits.memory = \"32MiB\"\n[plugins.large]\ncomponent = \"unruly.wasm\"\nlimits.memory = \"1GiB\"\n";
    let host = TestHost::new(text).await;
    assert_eq!(host.told("small__grow", json!({"pages": 10_000})).await, "ok: refused");
    assert_eq!(host.told("large__grow", json!({"pages": 10_000})).await, "ok: grown");
    assert_eq!(host.told("small__grow", json!({"pages": 10})).await, "ok: grown");
    // A slot of the pool ends at 1 GiB, whatever the limit says; the guest is told so in the same way.
    assert_eq!(host.told("large__grow", json!({"pages": 65_000})).await, "ok: refused");
}

#[tokio::test]
async fn tables_beyond_the_limit_end_the_call() {
    let text = "[plugins.small]\ncomponent = \"unruly.wasm\"\nlimits.table_elements = 1\n[plugins.large]\ncomponent = \"unruly.wasm\"\nlimits.table_elements = 10_000\n";
    let host = TestHost::new(text).await;
    assert_eq!(
        host.told("small__count", json!({})).await,
        "limit.memory: `small__count` needs more than 1 table elements; raise it with `limits.table_elements = 2` under `[plugins.small]` (bailiwick.toml:1)"
    );
    assert_eq!(host.told("large__count", json!({})).await, "ok: 1");
}

#[tokio::test]
async fn a_stack_that_overflows_ends_the_call() {
    let host = TestHost::new(&unruly("")).await;
    for _ in 0..3 {
        assert_eq!(
            host.told("recurse_for_ever", json!({})).await,
            "limit.stack: `recurse_for_ever` ran out of stack: it recurses too deeply"
        );
        // A stack that a program keeps in its own memory ends where its memory does: to the host that is any trap.
        assert_eq!(
            host.told("recurse_with_luggage", json!({})).await,
            "plugin.trap: `recurse_with_luggage` crashed: wasm trap: out of bounds memory access"
        );
    }
    assert!(host.told("recurse_a_little", json!({})).await.starts_with("ok: "));
    assert_eq!(host.told("count", json!({})).await, "ok: 1");
}

#[tokio::test]
async fn a_trap_ends_the_call() {
    let host = TestHost::new(&unruly("")).await;
    for _ in 0..3 {
        assert_eq!(
            host.told("trap", json!({})).await,
            "plugin.trap: `trap` crashed: wasm trap: wasm `unreachable` instruction executed"
        );
    }
    assert_eq!(
        host.told("panic", json!({"message": "canary of a panic"})).await,
        "plugin.trap: `panic` crashed: wasm trap: wasm `unreachable` instruction executed"
    );
    assert_eq!(log::lines_with("canary of a panic").len(), 1, "its last words are in the log");
    assert_eq!(host.told("count", json!({})).await, "ok: 1");
    let audit = host.audit();
    assert_eq!(audit.iter().filter(|record| record["outcome"] == "plugin.trap").count(), 4);
}

#[tokio::test]
async fn an_exit_ends_the_call_and_not_the_host() {
    let host = TestHost::new(&unruly("")).await;
    for (status, seen) in [(0, 0), (1, 1), (255, 1)] {
        assert_eq!(
            host.told("exit", json!({"status": status})).await,
            format!("plugin.exit: `exit` called exit with status {seen} instead of answering")
        );
    }
    assert_eq!(host.told("count", json!({})).await, "ok: 1");
}

#[tokio::test]
async fn a_result_beyond_the_limit_becomes_an_artifact_and_a_preview() {
    let host = TestHost::new(&unruly("limits.output = \"10KiB\"\nlimits.artifacts = \"1MiB\"")).await;
    assert_eq!(
        host.told("flood", json!({"bytes": 10_240})).await.len(),
        "ok: ".len() + 10_240,
        "at the limit nothing is cut"
    );
    let outcome = host.call("flood", json!({"bytes": 100_000})).await;
    let output = outcome.result.as_ref().expect("a result");
    let text = told(&outcome);
    let (preview, link) = text.split_once(" | [link artifact://").expect("a preview and a link");
    assert!(
        preview.len() < 6_200
            && preview.contains("characters left out here; the whole result is in the linked artifact"),
        "{preview}"
    );
    assert!(link.ends_with("/result.txt result.txt Some(100000)]"), "{link}");
    assert_eq!(output.content.len(), 2);
    let (call, _) = link.split_once('/').expect("CALL/NAME");
    let kept =
        std::fs::read_to_string(host.world.path("state/artifacts").join(call).join("result.txt")).expect("it is kept");
    assert_eq!(kept.len(), 100_000);
    let head = preview.trim_start_matches("ok: ").split('\n').next().expect("a line");
    assert!(kept.starts_with(head) && preview.ends_with(&kept[kept.len() - 1_000..]));
    assert_eq!(
        host.told("flood", json!({"bytes": 2_000_000})).await,
        "limit.output: `flood` gave a result of 2000000 bytes, more than can be kept; ask for less, or raise `limits.artifacts` under `[plugins.unruly]` (bailiwick.toml:1)"
    );
    let mixed = host.told("mixed", json!({"bytes": 20_000})).await;
    assert!(
        mixed.starts_with("ok: a text | [link artifact://")
            && mixed.contains("/image image Some(20000)] | rrr")
            && mixed.ends_with("/resource.txt resource.txt Some(20000)]"),
        "{mixed}"
    );
}

#[tokio::test]
async fn what_a_plugin_keeps_is_limited() {
    let host = TestHost::new(&unruly("limits.artifacts = \"10KiB\"")).await;
    let kept = host.told("keep", json!({"name": "../../../x y", "bytes": 10_240})).await;
    assert!(kept.starts_with("ok: artifact://") && kept.ends_with("/_.._.._x_y"), "{kept}");
    assert_eq!(
        host.told("keep", json!({"name": "x", "bytes": 10_241})).await,
        "tool.failed: The result is larger than `limits.artifacts` allows."
    );
}

#[tokio::test]
async fn a_flood_of_log_lines_is_fast_and_bounded() {
    let text = "[plugins.flooder]\ncomponent = \"unruly.wasm\"\nlimits.log = \"10KiB\"\n";
    let host = TestHost::new(text).await;
    let start = Instant::now();
    assert_eq!(host.told("chatter", json!({"lines": 20_000, "length": 200})).await, "ok: done");
    println!("measured: 60,000 lines of 200 bytes in {:?}", start.elapsed());
    let lines = log::lines_with("plugin=flooder");
    let bytes: usize = lines.iter().filter(|line| line.contains("xxx")).map(|line| line.matches('x').count()).sum();
    assert!((9_000..=10_240).contains(&bytes), "{bytes}");
    assert_eq!(
        lines.iter().filter(|line| line.contains("the call wrote more than `limits.log`; the rest is dropped")).count(),
        1
    );
    assert_eq!(
        host.told("chatter", json!({"lines": 1, "length": 3_000_000})).await,
        "ok: done",
        "one long line is no way around it"
    );
}

#[tokio::test]
async fn what_a_guest_prints_is_a_log_line() {
    let host = TestHost::new(&unruly("")).await;
    assert_eq!(host.told("say", json!({"text": "canary to be printed \u{1b}[2J"})).await, "ok: said");
    let lines = log::lines_with("canary to be printed");
    let said: Vec<&str> = lines.iter().filter_map(|line| line.split_once("plugin: ").map(|(_, said)| said)).collect();
    assert_eq!(said.len(), 3, "{lines:#?}");
    for (line, kind) in said.iter().zip(["log", "out", "err"]) {
        assert!(line.starts_with(&format!("{kind}: canary to be printed \\u{{1b}}[2J")), "{line}");
    }
}

#[tokio::test]
async fn a_guest_that_sleeps_for_ever_is_woken_by_its_deadline() {
    let host = TestHost::new(&unruly("limits.time = \"1s\"")).await;
    assert_eq!(
        host.told("sleep_for_ever", json!({})).await,
        "limit.time: `sleep_for_ever` did not end within 1s; raise it with `limits.time = \"2s\"` under `[plugins.unruly]` (bailiwick.toml:1)"
    );
    assert_eq!(host.told("sleep", json!({"milliseconds": 1})).await, "ok: slept");
    let outcome = host.call("pester", json!({"times": 1_000_000_000})).await;
    assert_eq!(outcome.code(), "limit.time", "calling the host does not stop the clock");
}

#[tokio::test]
async fn handles_beyond_the_limit_end_the_call() {
    let host = TestHost::new(&unruly("limits.handles = 100")).await;
    assert_eq!(host.told("leak", json!({"handles": 50})).await, "ok: 50 leaked");
    assert_eq!(
        host.told("leak", json!({"handles": 1_000_000})).await,
        "limit.handles: `leak` holds too many handles; raise it with `limits.handles = 200` under `[plugins.unruly]` (bailiwick.toml:1)"
    );
    let more = TestHost::new(&unruly("limits.handles = 2000")).await;
    assert_eq!(more.told("leak", json!({"handles": 1_000})).await, "ok: 1000 leaked");
}

/// `probe` with leave to speak to this server.
fn probe(web: &Upstream, lines: &str) -> String {
    format!(
        "[plugins.probe]\ncomponent = \"probe.wasm\"\nnet = [\"GET,POST http://127.0.0.1:{}\"]\n{lines}\n",
        web.port
    )
}

#[tokio::test]
async fn requests_beyond_the_limit_are_not_sent() {
    let web = Upstream::hello().await;
    let host = TestHost::new(&probe(&web, "limits.http_requests = 5")).await;
    let told = host.told("hammer", json!({"url": web.url("/"), "times": 10})).await;
    assert!(told.starts_with("ok: 5 answered, then: "), "{told}");
    assert!(
        told.ends_with(
            "on the way limit.http: `hammer` made more than 5 HTTP requests in one call; raise `limits.http_requests` under `[plugins.probe]` (bailiwick.toml:1)"
        ),
        "{told}"
    );
    assert_eq!(web.requests().len(), 5);
    assert_eq!(
        host.told("hammer", json!({"url": web.url("/"), "times": 5})).await,
        "ok: 5 answered",
        "each call has its own count"
    );
}

#[tokio::test]
async fn requests_open_at_once_are_limited() {
    let web = Upstream::hello().await;
    let authority = format!("127.0.0.1:{}", web.port);
    let host = TestHost::new(&probe(&web, "limits.http_concurrent = 3\nlimits.time = \"2s\"")).await;
    assert_eq!(host.told("crowd", json!({"authority": authority, "times": 3})).await, "ok: 3 answered, 0 refused");
    // The guest keeps all of its answers open, so that the fourth never gets a turn.
    assert_eq!(host.call("crowd", json!({"authority": authority, "times": 4})).await.code(), "limit.time");
    assert_eq!(web.requests().len(), 6);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_cut_off() {
    let web = Upstream::new(|request| match request.target.as_str() {
        "/chunks" => Reply::chunks((0..40).map(|_| vec![b'x'; 100])),
        path => Reply::ok(vec![b'x'; path[1..].parse().unwrap_or(0)]),
    })
    .await;
    let host =
        TestHost::new(&probe(&web, "limits.http_response_body = \"2KiB\"\nlimits.http_request_body = \"1KiB\"")).await;
    assert_eq!(host.value("get", json!({"url": web.url("/2048")})).await["body"].as_str().map(str::len), Some(2048));
    for path in ["/2049", "/chunks"] {
        let outcome = host.call("get", json!({"url": web.url(path)})).await;
        assert_eq!(
            told(&outcome),
            "limit.http: `get` was sent a response body of more than 2048 bytes; raise `limits.http_response_body` under `[plugins.probe]` (bailiwick.toml:1)",
            "{path}"
        );
    }
    let post = |bytes: usize| json!({"url": web.url("/1"), "method": "POST", "body": "x".repeat(bytes)});
    assert_eq!(host.value("get", post(1_024)).await["status"], 200);
    assert_eq!(
        host.told("get", post(1_025)).await,
        "limit.http: `get` sent a request body of more than 1024 bytes; raise `limits.http_request_body` under `[plugins.probe]` (bailiwick.toml:1)"
    );
}

#[tokio::test]
async fn a_plugin_that_is_busy_refuses_and_recovers() {
    let (channel, mut questions) = asked();
    let text = "[plugins.polite]\ncomponent = \"polite.wasm\"\nlimits.concurrency = 1\n[plugins.unruly]\ncomponent = \"unruly.wasm\"\n";
    let host = World::new().host_keys("queue = 0\n").start(text).await.channel(channel);
    let busy = host.call("ask", json!({"question": "wait"}));
    let meanwhile = async {
        let question = questions.recv().await.expect("it asks");
        let refused = host.told("echo", json!({"name": "x"})).await;
        let other = host.told("count", json!({})).await;
        drop(question.reply.send(Answer::Declined));
        (refused, other)
    };
    let (first, (refused, other)) = tokio::join!(busy, meanwhile);
    assert_eq!(refused, "limit.concurrency: `echo` is busy: too many calls are under way; try again in a moment");
    assert_eq!(other, "ok: 1", "another plugin is not busy");
    assert_eq!(told(&first), "ok: Answer::Declined");
    assert!(host.call("echo", json!({"name": "x"})).await.result.is_ok(), "its slot is free again");
}

#[tokio::test]
async fn the_host_takes_so_many_calls_at_once_and_lets_so_many_wait() {
    let (channel, mut questions) = asked();
    let host = World::new()
        .host_keys("calls = 1\nqueue = 1\n")
        .start("[plugins.polite]\ncomponent = \"polite.wasm\"\n")
        .await
        .channel(channel);
    let first = host.call("ask", json!({"question": "wait"}));
    let rest = async {
        let question = questions.recv().await.expect("it asks");
        let mut waiting = Box::pin(host.call("echo", json!({"name": "second"})));
        assert!(futures::poll!(&mut waiting).is_pending(), "the second waits");
        assert_eq!(host.call("echo", json!({"name": "third"})).await.code(), "limit.concurrency");
        drop(question.reply.send(Answer::Declined));
        waiting.await
    };
    let (_, second) = tokio::join!(first, rest);
    assert!(second.result.is_ok(), "{}", told(&second));
}

#[tokio::test]
async fn a_call_that_is_given_up_is_recorded_and_frees_its_slot() {
    let (channel, mut questions) = asked();
    let text = "[plugins.polite]\ncomponent = \"polite.wasm\"\nlimits.concurrency = 1\n";
    let host = World::new().host_keys("queue = 0\n").start(text).await.channel(channel);
    for _ in 0..20 {
        let mut call = Box::pin(host.call("ask", json!({"question": "wait"})));
        let question = tokio::select! {
            outcome = &mut call => panic!("it waits: {}", told(&outcome)),
            question = questions.recv() => question,
        };
        drop(call);
        assert!(question.expect("it asks").reply.send(Answer::Declined).is_err(), "nobody waits for the answer");
        assert!(host.call("echo", json!({"name": "x"})).await.result.is_ok(), "the slot is free");
    }
    let host = host.channel(Channel::default());
    drop(questions);
    let audit = host.audit();
    let outcomes: Vec<&str> = audit.iter().filter_map(|record| record["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["call.cancelled", "ok"].repeat(20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_given_up_at_any_moment_does_no_harm() {
    let host = Arc::new(
        World::new().host_keys("queue = 0\n").start(&unruly("limits.concurrency = 1\nlimits.time = \"5s\"")).await,
    );
    for polls in 1..=60 {
        let mut call = Box::pin(host.call("chatter", json!({"lines": 200, "length": 50})));
        for _ in 0..polls {
            if futures::poll!(&mut call).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        assert_eq!(host.told("count", json!({})).await, "ok: 1", "after {polls} steps");
    }
    let audit = Arc::into_inner(host).expect("no one else holds it").audit();
    assert_eq!(audit.len(), 120, "one record for each, given up or not");
}

#[tokio::test]
async fn every_call_starts_anew() {
    let host = TestHost::new(&unruly("")).await;
    for _ in 0..20 {
        assert_eq!(host.told("count", json!({})).await, "ok: 1");
    }
    let numbers = [host.told("random", json!({})).await, host.told("random", json!({})).await];
    assert_ne!(numbers[0], numbers[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_a_call_leaves_in_memory_is_found_by_the_next() {
    let text = "[plugins.a]\ncomponent = \"unruly.wasm\"\n[plugins.b]\ncomponent = \"unruly.wasm\"\n";
    // One slot: whoever comes next gets the memory of the one before.
    let host = World::new().host_keys("calls = 1\n").start(text).await;
    let start = Instant::now();
    let rounds = if machine::is_slow_wanted("10,000 rounds of memory that was used before") { 10_000 } else { 1_000 };
    for round in 0..rounds {
        assert_eq!(host.told("a__litter", json!({})).await, "ok: left");
        let finder = if round % 2 == 0 { "a__search" } else { "b__search" };
        let found = host.told(finder, json!({})).await;
        assert!(found.starts_with("ok: 0 found in "), "round {round}: {found}");
    }
    println!("measured: {rounds} rounds in {:?}", start.elapsed());
}

#[tokio::test]
async fn random_bytes_come_in_measure() {
    let host = TestHost::new(&unruly("")).await;
    assert_eq!(host.told("random_bytes", json!({"bytes": 65_536})).await, "ok: 65536");
    for bytes in [65_537, u64::MAX >> 1, u64::MAX] {
        let outcome = host.call("random_bytes", json!({"bytes": bytes})).await;
        assert_eq!(outcome.code(), "plugin.trap", "{}", told(&outcome));
    }
}

#[tokio::test]
async fn standard_input_is_at_its_end() {
    assert_eq!(TestHost::new(&unruly("")).await.told("listen", json!({})).await, "ok: 0 bytes");
}

#[tokio::test]
async fn a_result_that_is_no_json_is_told_so() {
    let host = TestHost::new(&unruly("")).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for structured in ["", "{", "nonsense", "{\"a\":1,\"a\":2}", "NaN", "1e999", "{} {}", "\"\\ud800\"", deep.as_str()]
    {
        let outcome = host.call("garble", json!({"structured": structured})).await;
        let shown: String = structured.chars().take(20).collect();
        assert_eq!(outcome.code(), "plugin.invalid", "{shown}: {}", told(&outcome));
        assert!(
            told(&outcome).starts_with("plugin.invalid: the tool's structured result is not JSON: "),
            "{}",
            told(&outcome)
        );
    }
    assert_eq!(host.told("garble", json!({"structured": "{\"a\":[1,null]}"})).await, "ok: = {\"a\":[1,null]}");
}

#[tokio::test]
async fn what_could_fool_a_reader_is_made_visible() {
    let host = TestHost::new(&unruly("")).await;
    assert_eq!(host.told("forge", json!({})).await, "ok: a\\u{1b}[2Jb\\u{202e}c\nd | \\u{9b}31m");
}
