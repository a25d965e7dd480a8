//! A server that is killed at any moment, again and again: what was acknowledged is there, the chain holds, and it starts
//! again at once.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use bailiwick::audit::Archive;

use crate::support::host::World;

const CONFIG: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\napproval = \"never\"\n";

/// What was answered this long before the end is on record.
const SETTLED: Duration = Duration::from_millis(500);

/// A client of the server, until it is killed.
#[derive(Default)]
struct Heard {
    /// When it was ready.
    ready: Option<Duration>,
    /// When calls were answered, by tool.
    answered: BTreeMap<&'static str, Vec<Instant>>,
}

type Streams = (ChildStdin, BufReader<ChildStdout>);

/// Asks and waits for the answer; none when the server is gone.
fn ask((input, output): &mut Streams, id: u64, method: &str, params: &Value) -> Option<()> {
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).ok()?;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        // What was cut off in the middle is no answer.
        if serde_json::from_str::<Value>(&line).ok()?["id"] == id {
            return Some(());
        }
    }
}

/// Calls one tool after the other until the server is gone.
fn client(mut server: Child, begun: Instant, heard: &mut Heard) {
    let input = server.stdin.take().expect("it is piped");
    let mut streams = (input, BufReader::new(server.stdout.take().expect("it is piped")));
    let client = json!({"name": "test", "version": "1"});
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    let mut greeted = || {
        ask(&mut streams, 0, "initialize", &hello)?;
        heard.ready = Some(begun.elapsed());
        writeln!(streams.0, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).ok()?;
        for id in 1.. {
            // Every fourth is of high risk.
            let (tool, arguments) = match id % 4 {
                0 => ("launch", json!({"target": "the moon"})),
                _ => ("counted", json!({"count": id})),
            };
            ask(&mut streams, id, "tools/call", &json!({"name": tool, "arguments": arguments}))?;
            heard.answered.entry(tool).or_default().push(Instant::now());
        }
        Some(())
    };
    assert!(greeted().is_none(), "it ends by being killed");
    server.wait().expect("it was killed");
}

/// Commands beside the server, one after the other: how many calls of high risk were answered.
fn commands(world: &World, over: &AtomicBool) -> usize {
    let mut answered = 0;
    while !over.load(Ordering::SeqCst) {
        let run = world.run_bare(&["--config", "bailiwick.toml", "call", "launch", "-a", "target=x"], "");
        assert_eq!(run.exit, 0, "{}", run.err);
        answered += 1;
    }
    answered
}

/// A command that is killed after so long, or as soon as it has said something; what it said.
fn cut_short(world: &World, arguments: &[&str], life: Option<Duration>) -> String {
    let mut command = Command::new(crate::support::program::path());
    command.args(["--config", "bailiwick.toml"]).args(arguments).current_dir(world.path(""));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut said = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    match life {
        Some(life) => std::thread::sleep(life),
        None => drop(out.read_line(&mut said)),
    }
    // It may have ended.
    drop(child.kill());
    drop(out.read_to_string(&mut said));
    child.wait().expect("it ended");
    said
}

/// What was said to the operator about keys: name and state.
type Told = BTreeMap<String, &'static str>;

/// Makes a key and revokes the one before, each killed somewhere in the middle or after it said so.
fn keys(world: &World, round: u64, told: &mut Told) {
    let name = format!("k{round}");
    // Every other round at once when it has said so, which is when nothing of it may be lost any more.
    let life = |part: u64| (round % 2 == 1).then(|| moment(part * round + 1) / 2);
    let said = cut_short(world, &["keys", "create", &name, "--tools", "*"], life(2));
    if said.contains("bwk_") {
        told.insert(name, "valid");
    }
    let Some((last, _)) = told.iter().find(|(_, state)| **state == "valid") else { return };
    let last = last.clone();
    if cut_short(world, &["keys", "revoke", &last], life(3)).contains("is revoked") {
        told.insert(last, "revoked");
    }
}

/// What the host says of the keys now.
fn listed(world: &World) -> BTreeMap<String, String> {
    let run = world.run_bare(&["--config", "bailiwick.toml", "--json", "keys", "list"], "");
    assert_eq!(run.exit, 0, "{}", run.err);
    let list: Value = serde_json::from_str(&run.out).expect("it is JSON");
    let word = |key: &Value, what: &str| key[what].as_str().expect("a text").to_owned();
    let keys = list["keys"].as_array().expect("a list");
    keys.iter().map(|key| (word(key, "name"), word(key, "state"))).collect()
}

/// The records that came after number `after`: how many by caller, tool and outcome; and the number of the last.
fn recorded(world: &World, after: i64) -> (BTreeMap<(String, String, String), usize>, i64) {
    let archive = Archive::open(&world.path("state/audit.db")).expect("it can be read").expect("it is there");
    let verified = archive.verify(None).expect("it can be read");
    assert_eq!(verified.broken, None);
    let mut counts = BTreeMap::new();
    for row in archive.records(&bailiwick::audit::Filter::default(), after, u32::MAX).expect("it can be read") {
        let record: Value = serde_json::from_str(&row.record).expect("a record is JSON");
        let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        *counts.entry((word("caller"), word("tool"), word("outcome"))).or_insert(0) += 1;
    }
    (counts, verified.head.number)
}

/// What is different each time, without being random: the moments.
fn moment(round: u64) -> Duration {
    // In steps of the golden ratio, which spread them over the whole length.
    Duration::from_micros(round * 927_051 % 1_500_000)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one round, from its start to what is left of it")]
fn what_was_acknowledged_outlives_a_kill_at_any_moment() {
    let rounds = if std::env::var_os("RUN_SLOW_TESTS").is_some() { 200 } else { 8 };
    let world = World::new();
    // Compiles the plugin, and writes the configuration.
    assert_eq!(world.run(CONFIG, &["call", "launch", "-a", "target=x"], "").exit, 0);
    let (_, mut last) = recorded(&world, 0);
    let mut told = Told::new();
    let (mut slowest, mut acknowledged, mut unrecorded, mut not_ready) = (Duration::ZERO, 0, 0, 0);
    for round in 0..rounds {
        let begun = Instant::now();
        let server = Command::new(crate::support::program::path())
            .args(["--config", "bailiwick.toml", "serve", "--stdio"])
            .current_dir(world.path(""))
            .env_remove("BAILIWICK_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let (mut heard, over, process) = (Heard::default(), AtomicBool::new(false), server.id());
        let (killed, commanded) = std::thread::scope(|scope| {
            let keys = scope.spawn(|| keys(&world, round, &mut told));
            let commands = scope.spawn(|| commands(&world, &over));
            let client = scope.spawn(|| client(server, begun, &mut heard));
            std::thread::sleep(moment(round));
            let killed = Instant::now();
            let kill = Command::new("kill").args(["-s", "KILL", &process.to_string()]).status();
            assert!(kill.expect("there is `kill`").success());
            client.join().expect("it ends with the server");
            keys.join().expect("they end");
            over.store(true, Ordering::SeqCst);
            (killed, commands.join().expect("they end"))
        });
        let listed = listed(&world);
        for (name, state) in &told {
            // A key that was being revoked when the command was killed may be revoked.
            let now = listed.get(name).map(String::as_str);
            assert!(now == Some(state) || now == Some("revoked"), "round {round}: `{name}` is {now:?}, not {state}");
        }
        let (counts, now) = recorded(&world, last);
        last = now;
        let count = |caller: &str, tool: &str, outcome: &str| {
            counts.get(&(caller.to_owned(), tool.to_owned(), outcome.to_owned())).copied().unwrap_or(0)
        };
        let answered = |tool| heard.answered.get(tool).map_or(&[][..], Vec::as_slice);
        // That a call of high risk runs is on record before it does.
        let launched = answered("launch").len();
        assert!(count("mcp-stdio", "launch", "begun") >= launched, "round {round}: {launched} launched, {counts:?}");
        // Of the others, what was answered a little before the end.
        let all = answered("counted").len();
        let settled = answered("counted").iter().filter(|at| killed.saturating_duration_since(**at) > SETTLED).count();
        let kept = count("mcp-stdio", "counted", "ok");
        assert!(kept >= settled, "round {round}: {settled} were answered long before, {counts:?}");
        // A command that ended has written everything.
        assert!(count("cli", "launch", "begun") >= commanded, "round {round}: {counts:?}");
        assert!(count("cli", "launch", "ok") >= commanded, "round {round}: {counts:?}");
        slowest = slowest.max(heard.ready.unwrap_or_default());
        not_ready += u32::from(heard.ready.is_none());
        acknowledged += all + launched + commanded;
        unrecorded = unrecorded.max(all.saturating_sub(kept));
    }
    assert!(!told.is_empty(), "keys were made");
    println!(
        "measured: {rounds} kills, {not_ready} before it was ready; {acknowledged} calls answered, at most {unrecorded} of \
         one run without their record; {} keys made or revoked; ready after {slowest:?} at most",
        told.len()
    );
}
