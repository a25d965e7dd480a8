//! A server that is killed again and again while callers call: nobody gets another's answer, nothing stays behind, and
//! whoever calls another plugin notices nothing.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{are_installed, plugin, script, text};
use crate::support::host::World;
use crate::support::machine::{children_of, is_slow_wanted};
use crate::support::served::Served;

/// How many call the server at the same time.
const CALLERS: usize = 4;
/// How long anything may take to come back.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of the calls.
#[derive(Debug, Default)]
struct Told {
    answered: AtomicUsize,
    failed: AtomicUsize,
    wrong: AtomicUsize,
}

/// Calls a tool; its answer, and how long it took.
fn call(served: &Served, tool: &str, parameters: &Value) -> (Value, Duration) {
    let begun = Instant::now();
    let path = format!("/api/v1/tools/{tool}/execute");
    let (_, body) = served.post(&path, &[], &json!({ "parameters": parameters })).told();
    (body, begun.elapsed())
}

/// One of the callers: every call has a token of its own.
fn caller(served: &Served, number: usize, told: &Told, over: &AtomicBool) {
    for count in 0.. {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let token = format!("token-{number}-{count}-end");
        let (body, _) = call(served, "repeat", &json!({ "token": token }));
        let output = body["output"].to_string();
        let counter = match body["success"].as_bool() {
            Some(true) if output.contains(&token) && output.matches("token-").count() == 1 => &told.answered,
            Some(false) if !output.contains("token-") => &told.failed,
            Some(_) | None => {
                println!("{token} was told {body}");
                &told.wrong
            }
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

/// How long calls of another plugin take, one after the other, until it is over.
fn neighbour(served: &Served, over: &AtomicBool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let (body, time) = call(served, "echo", &json!({"name": "neighbour"}));
        assert_eq!(body["success"], true, "{body}");
        took.push(time);
        std::thread::sleep(Duration::from_millis(2));
    }
    took
}

/// The 99th of a hundred.
fn p99(took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    took[(took.len() - 1) * 99 / 100]
}

/// The processes whose command line has this word, without those that only start it.
fn marked(mark: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("Linux says").flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let is_marked = |process: &u32| {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.next().is_some_and(|program| program.ends_with(b"python3")) && words.any(|word| word == mark.as_bytes())
    };
    numbers.filter(is_marked).collect()
}

/// A process and all that came from it.
fn descendants(process: u32) -> Vec<u32> {
    let mut all = children_of(process);
    let mut next = 0;
    while let Some(parent) = all.get(next) {
        let more = children_of(*parent);
        all.extend(more);
        next += 1;
    }
    all
}

/// Those that ended and were not waited for.
fn zombies(process: u32) -> Vec<u32> {
    let is_zombie = |process: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tZ"))
    };
    descendants(process).into_iter().filter(is_zombie).collect()
}

/// Waits until there is something.
fn awaited<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < patience, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What is different each time, without being random.
fn moment(round: usize) -> Duration {
    // In steps of the golden ratio, which spread them over the whole length.
    Duration::from_micros(round as u64 * 24_721 % 40_000)
}

fn config(mark: &str) -> String {
    let gateway = "[gateway]\nanonymous = \"all\"\nper_ip = 0\nper_key = 0\napi = { enable_tool_execute = true }\n\
                   [policies.all]\ntools = [\"*\"]\nexecute = true\nper_minute = 0\n\
                   [plugins.polite]\ncomponent = \"polite.wasm\"\n";
    format!("{gateway}{}", plugin("killed", &script("repeat.py", &[mark]), ""))
}

/// Kills the server so many times; each time it has answered somebody since the last.
fn kill(rounds: usize, mark: &str, told: &Told) {
    for round in 0..rounds {
        let answered = told.answered.load(Ordering::SeqCst);
        awaited("an answer", || (told.answered.load(Ordering::SeqCst) > answered).then_some(()));
        std::thread::sleep(moment(round));
        let process = awaited("the server", || marked(mark).into_iter().next());
        let status = Command::new("kill").args(["-s", "KILL", &process.to_string()]).status();
        assert!(status.is_ok(), "there is `kill`");
    }
}

fn killed(rounds: usize) {
    if !are_installed(&["/usr/bin/python3".into()]) {
        return;
    }
    let world = World::new();
    let mark = text(world.path("mark"));
    let served = world.serve_http(&config(&mark));
    // Both are up.
    call(&served, "echo", &json!({"name": "x"}));
    call(&served, "repeat", &json!({"token": "token-first"}));

    let (told, over, calm) = (Told::default(), AtomicBool::new(false), AtomicBool::new(false));
    let (mut before, mut during) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| {
                scope.spawn({
                    let (served, told, over) = (&served, &told, &over);
                    move || caller(served, number, told, over)
                })
            })
            .collect();
        let quiet = scope.spawn(|| neighbour(&served, &calm));
        std::thread::sleep(Duration::from_secs(3));
        calm.store(true, Ordering::SeqCst);
        before = quiet.join().expect("it is answered");
        let loud = scope.spawn(|| neighbour(&served, &over));
        kill(rounds, &mark, &told);
        over.store(true, Ordering::SeqCst);
        during = loud.join().expect("it is answered");
        callers.into_iter().for_each(|caller| caller.join().expect("it is told something"));
    });
    // It is there again, once, and nothing that ended waits to be waited for.
    let (again, _) = awaited("an answer after all", || {
        Some(call(&served, "repeat", &json!({"token": "token-last"}))).filter(|(body, _)| body["success"] == true)
    });
    assert!(again["output"].to_string().contains("token-last"), "{again}");
    assert_eq!(marked(&mark).len(), 1, "one is running");
    awaited("no zombies", || zombies(served.pid()).is_empty().then_some(()));
    let (p99_before, p99_during) = (p99(&mut before), p99(&mut during));
    println!(
        "measured: {rounds} kills; {} calls answered, {} failed, {} wrong; p99 of a neighbour {p99_before:.1?} before, \
         {p99_during:.1?} during",
        told.answered.load(Ordering::SeqCst),
        told.failed.load(Ordering::SeqCst),
        told.wrong.load(Ordering::SeqCst)
    );
    assert_eq!(told.wrong.load(Ordering::SeqCst), 0, "nobody gets another's answer");
    // A kill ends the calls of its moment; what comes while the server starts again waits or fails.
    assert!(told.answered.load(Ordering::SeqCst) >= rounds, "{told:?}");
    assert!(p99_during < p99_before * 3 + Duration::from_millis(50), "{p99_before:?} before, {p99_during:?} during");
    let (code, said, _world) = served.end();
    assert_eq!(code, 0, "{said}");
    awaited("nothing stays behind", || marked(&mark).is_empty().then_some(()));
}

#[test]
fn servers_are_killed_twenty_times() {
    killed(20);
}

#[test]
fn servers_are_killed_a_thousand() {
    if is_slow_wanted("a thousand kills of a server") {
        killed(1_000);
    }
}

/// The host itself is killed: its servers end with it.
#[test]
fn nothing_outlives_a_host_that_is_killed() {
    if !are_installed(&["/usr/bin/python3".into()]) {
        return;
    }
    for _ in 0..5 {
        let world = World::new();
        let mark = text(world.path("mark"));
        let served = world.serve_http(&config(&mark));
        call(&served, "repeat", &json!({"token": "token-first"}));
        assert_eq!(marked(&mark).len(), 1, "it runs");
        // Dropping it kills it.
        drop(served);
        awaited("nothing stays behind", || marked(&mark).is_empty().then_some(()));
    }
}
