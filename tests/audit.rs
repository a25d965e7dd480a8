//! The audit from outside: the chain, what an operator sees of it, and what happens when it cannot be written.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bailiwick::audit::Archive;
use bailiwick::channel::{Answer, Channel, Question};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::host::World;
use crate::support::{TestHost, log};

const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
const LAUNCH: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\napproval = \"never\"\n";

/// The file, as anybody with a copy of SQLite opens it.
fn sql(world: &World) -> Connection {
    let connection = Connection::open(world.path("state/audit.db")).expect("it can be opened");
    // The host may be writing.
    connection.busy_timeout(Duration::from_secs(10)).expect("it can be waited for");
    connection
}

/// A world in which a tool was called so many times, `i` with the argument `i`.
async fn called(times: usize) -> World {
    let host = TestHost::new(POLITE).await;
    for count in 0..times {
        assert_eq!(host.call("counted", json!({"count": count})).await.code(), "ok");
    }
    host.end()
}

fn verify(world: &World, more: &[&str]) -> (i32, String) {
    let run = world.run(POLITE, &[&["audit", "verify"], more].concat(), "");
    (run.exit, run.out + &run.err)
}

#[tokio::test]
async fn each_change_by_plain_sql_is_caught_and_the_first_record_named() {
    for (change, told) in [
        ("", "5 records are what was written"),
        (
            "UPDATE records SET record = replace(record, 'counted', 'uncounted') WHERE seq = 3",
            "record 3 is not what was",
        ),
        ("UPDATE records SET record = replace(record, '\"ok\"', '\"no\"') WHERE seq = 5", "record 5 is not what was"),
        ("UPDATE records SET hash = zeroblob(32) WHERE seq = 2", "record 2 is not what was"),
        ("UPDATE records SET hash = x'00' WHERE seq = 5", "record 5 is not what was"),
        ("DELETE FROM records WHERE seq = 2", "record 2 is missing"),
        ("DELETE FROM records WHERE seq = 1", "record 1 is missing"),
        (
            "INSERT INTO records (seq, record, hash) SELECT 6, record, hash FROM records WHERE seq = 5",
            "record 6 is not",
        ),
        (
            "INSERT INTO records (seq, record, hash) SELECT 0, record, hash FROM records WHERE seq = 1",
            "record 0 was put in",
        ),
        (
            "UPDATE records SET seq = 9 WHERE seq = 3; UPDATE records SET seq = 3 WHERE seq = 4; \
             UPDATE records SET seq = 4 WHERE seq = 9",
            "record 3 is not what was",
        ),
        ("UPDATE anchor SET seq = 1", "record 1 was put in"),
        ("UPDATE anchor SET hash = randomblob(32)", "record 1 is not what was"),
        ("DELETE FROM anchor", "5 records are what was written"),
    ] {
        let world = called(5).await;
        sql(&world).execute_batch(change).expect("whoever has the file can change it");
        let (exit, said) = verify(&world, &[]);
        assert!(said.contains(told), "{change}: {said}");
        assert_eq!(exit, i32::from(!said.contains("are what was written")), "{change}: {said}");
    }
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_caught_by_a_head_that_was_noted() {
    let world = called(5).await;
    let run = world.run(POLITE, &["--json", "audit", "verify"], "");
    let told: Value = serde_json::from_str(&run.out).expect("it is JSON");
    let head = told["head"].as_str().expect("it names the head").to_owned();
    assert_eq!(told, json!({"ok": true, "records": 5, "first": 1, "last": 5, "head": head}));
    assert_eq!(verify(&world, &["--head", &head]).0, 0);
    sql(&world).execute_batch("DELETE FROM records WHERE seq = 5").expect("whoever has the file can change it");
    assert_eq!(verify(&world, &[]).0, 0, "without a head nothing is to be seen");
    let (exit, said) = verify(&world, &["--head", &head]);
    assert!(exit == 1 && said.contains("error[audit.head]") && said.contains("cut off"), "{said}");
    let (exit, said) = verify(&world, &["--head", "abc"]);
    assert!(exit == 2 && said.contains("64 hex digits"), "{said}");
}

#[tokio::test]
async fn a_missing_audit_is_no_good_audit() {
    let world = World::new();
    let (exit, said) = verify(&world, &[]);
    assert!(exit == 1 && said.contains("error[audit.missing]"), "{said}");
}

#[tokio::test]
async fn several_hosts_write_one_chain_and_it_goes_on_after_a_restart() {
    let world = World::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let run = world.run(POLITE, &["call", "counted", "-a", "count=1"], "");
                    assert_eq!(run.exit, 0, "{}", run.err);
                }
            });
        }
    });
    let (exit, said) = verify(&world, &[]);
    assert!(exit == 0 && said.contains("12 records are what was written"), "{said}");
}

#[tokio::test]
async fn a_call_of_high_risk_is_on_record_before_it_runs_and_others_are_not() {
    let text = format!("{POLITE}[plugins.polite.tools.ask]\napproval = \"always\"\n");
    let (questions, mut asked) = mpsc::channel::<Question>(1);
    let host = TestHost::new(&text).await.channel(Channel { questions: Some(questions), ..Channel::default() });
    let path = host.world.path("state/audit.db");
    let seen = async {
        let approval = asked.recv().await.expect("the host asks");
        drop(approval.reply.send(Answer::Accepted(json!({}))));
        // The tool runs and asks in its turn.
        let question = asked.recv().await.expect("the tool asks");
        let archive = Archive::open(&path).expect("it can be read").expect("it is there");
        let rows = archive.records(&bailiwick::audit::Filter::default(), 0, 10).expect("it can be read");
        drop(question.reply.send(Answer::Accepted(json!({"answer": "x"}))));
        rows
    };
    let (outcome, rows) = tokio::join!(host.call("ask", json!({"question": "which?"})), seen);
    assert_eq!((outcome.code(), rows.len()), ("ok", 1));
    assert_eq!(host.call("counted", json!({"count": 1})).await.code(), "ok");
    let host = host.channel(Channel::default());
    let records = host.end().records();
    let told: Vec<_> = records.iter().map(|record| (&record["tool"], &record["outcome"], &record["intent"])).collect();
    assert_eq!(
        told,
        [
            (&json!("ask"), &json!("begun"), &Value::Null),
            (&json!("ask"), &json!("ok"), &json!(1)),
            (&json!("counted"), &json!("ok"), &Value::Null),
        ]
    );
    assert_eq!(records[0]["call"], records[1]["call"]);
    assert_eq!(records[0]["approval"], "approved by test");
    assert_eq!(records[0]["arguments"], records[1]["arguments"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_that_cannot_be_written_holds_up_no_call_but_those_of_high_risk() {
    let host = TestHost::new(LAUNCH).await;
    assert_eq!(host.call("launch", json!({"target": "x"})).await.code(), "ok");
    // Both its records are written: of what waits from here on, none is older.
    let begun = Instant::now();
    while host.world.records().len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is written");
        tokio::task::yield_now().await;
    }
    let other = sql(&host.world);
    other.execute_batch("BEGIN EXCLUSIVE").expect("nobody else holds it");
    let begun = Instant::now();
    assert_eq!(host.call("counted", json!({"count": 1})).await.code(), "ok");
    // More than may wait to be written; names nobody has are the cheapest.
    for _ in 0..6_000 {
        assert_eq!(host.call("nobody", json!({})).await.code(), "tool.unknown");
    }
    let took = begun.elapsed();
    println!("measured: 6,000 calls without an audit took {took:?}");
    let refused = host.call("launch", json!({"target": "x"})).await;
    assert_eq!(
        crate::support::told(&refused),
        "host.audit: `launch` runs only when that is on record, and the audit cannot be written; the log of the host says why"
    );
    other.execute_batch("COMMIT").expect("it is held");
    drop(other);
    // As soon as it can be written, it is, and high risk runs again.
    let begun = Instant::now();
    while host.call("launch", json!({"target": "x"})).await.code() != "ok" {
        assert!(begun.elapsed() < Duration::from_secs(20), "it can be written again");
        tokio::task::yield_now().await;
    }
    let world = host.end();
    let (exit, said) = verify(&world, &[]);
    assert_eq!(exit, 0, "{said}");
    let records = world.records();
    let lost: u64 = records.iter().filter_map(|record| record["records"].as_u64()).sum();
    let of = |tool: &str| records.iter().filter(|record| record["tool"] == tool).count() as u64;
    assert_eq!(of("counted"), 1);
    assert!(of("nobody") >= 4_096 && lost > 0, "{} are kept and {lost} counted", of("nobody"));
    let log = log::everything();
    assert!(log.contains("audit records cannot be written; it is tried again"), "the log says so");
    assert!(log.contains("audit records are written again"), "the log says so");
}

#[tokio::test]
async fn a_file_that_is_no_audit_any_more_stops_no_tool_and_does_not_keep_the_host_from_ending() {
    let host = TestHost::new(LAUNCH).await;
    let path = host.world.path("state/audit.db");
    std::fs::write(&path, "this is no database ".repeat(4_000)).expect("whoever has the file can change it");
    drop(std::fs::write(path.with_extension("db-wal"), "nor is this"));
    for count in 0..10 {
        assert_eq!(host.call("counted", json!({"count": count})).await.code(), "ok");
    }
    let begun = Instant::now();
    host.end();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_log_shows_what_is_asked_for_newest_last() {
    let world = World::new();
    let text = "[plugins.polite]\ncomponent = \"polite.wasm\"\n[plugins.probe]\ncomponent = \"probe.wasm\"\n";
    for arguments in [&["counted", "-a", "count=1"][..], &["nobody\u{1b}[2J"], &["read", "-a", "path=/etc/hosts"]] {
        world.run(text, &[&["call"], arguments].concat(), "");
    }
    let shown = |more: &[&str]| {
        let run = world.run(text, &[&["audit", "log", "--json"], more].concat(), "");
        assert_eq!(run.exit, 0, "{}", run.err);
        let record = |line: &str| serde_json::from_str::<Value>(line).expect("each line is a record");
        run.out.lines().map(|line| record(line)["tool"].as_str().expect("a tool").to_owned()).collect::<Vec<_>>()
    };
    let nasty = "nobody\\u{1b}[2J";
    assert_eq!(shown(&[]), ["counted", nasty, "read"]);
    assert_eq!(shown(&["--limit", "2"]), [nasty, "read"]);
    assert_eq!(shown(&["--tool", "counted"]), ["counted"]);
    assert_eq!(shown(&["--plugin", "probe"]), ["read"]);
    assert_eq!(shown(&["--caller", "cli"]).len(), 3);
    assert_eq!(shown(&["--caller", "mcp-stdio"]).len(), 0);
    assert_eq!(shown(&["--since", "1h"]).len(), 3);
    assert_eq!(shown(&["--since", "2999-01-01T00:00:00Z"]).len(), 0);
    assert_eq!(shown(&["--denied"]), ["read"]);
    assert_eq!(shown(&["--denied", "--tool", "counted"]).len(), 0);
    let run = world.run(text, &["audit", "log"], "");
    let lines: Vec<&str> = run.out.lines().collect();
    assert!(lines[0].contains("  cli           counted               ok  "), "{}", run.out);
    assert!(lines.last().is_some_and(|line| line.starts_with("    denied.fs.read: ")), "{}", run.out);
    assert!(!run.out.contains('\u{1b}'), "{:?}", run.out);
    let run = world.run(text, &["audit", "log", "--since", "yesterday"], "");
    assert!(run.exit == 2 && run.err.contains("2026-01-31T08:00:00Z"), "{}", run.err);
}

/// What Ctrl-C sends; where whoever runs the tests has it ignored, and so what they start, the signal that stands beside it.
fn interrupt() -> &'static str {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("it is among what Linux says");
    let ignored = u64::from_str_radix(ignored.trim(), 16).expect("a mask of signals");
    if ignored & (1 << (libc::SIGINT - 1)) == 0 { "INT" } else { "TERM" }
}

#[test]
fn following_shows_what_comes_until_nobody_reads_or_ctrl_c() {
    let world = World::new();
    let call = |count: u32| {
        let count = format!("count={count}");
        assert_eq!(world.run(POLITE, &["call", "counted", "-a", &count], "").exit, 0);
    };
    call(1);
    for ends_by_signal in [true, false] {
        let mut follower = world.program(POLITE, &[], &["audit", "log", "--follow", "--json", "--limit", "1"]);
        let mut child = follower.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut next = || {
            let line = out.next().expect("one more").expect("it is UTF-8");
            serde_json::from_str::<Value>(&line).expect("a record")["outcome"].clone()
        };
        assert_eq!(next(), "ok");
        call(2);
        assert_eq!(next(), "ok");
        if ends_by_signal {
            let id = child.id().to_string();
            let sent =
                std::process::Command::new("kill").args(["-s", interrupt(), &id]).status().expect("there is `kill`");
            assert!(sent.success());
        } else {
            drop(out);
        }
        let status = child.wait().expect("it ends");
        assert_eq!(status.success(), !ends_by_signal, "{status}");
    }
}
