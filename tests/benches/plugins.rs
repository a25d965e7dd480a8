//! Many plugins: what a call costs among a thousand, what an idle one keeps, how long the program takes to its first
//! answer, and what a call under way keeps.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick::host::Host;
use bailiwick::load::Setup;

use crate::call::ARGUMENTS;
use crate::report::{Goal, Report, median, micros, ratio};
use crate::world::{World, anonymous_memory};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bailiwick-bench");
const ROUNDS: usize = 30;
const BATCH: u32 = 50;

/// `count` plugins of the same component.
fn many(count: usize) -> String {
    let component = bailiwick_tests::guest("bench");
    let mut text = String::new();
    for number in 0..count {
        let _ = writeln!(text, "[plugins.p{number}]\ncomponent = {component:?}");
    }
    text
}

/// `count` plugins, each of a component of its own: the same code with a number behind it.
fn different(world: &World, count: u8) -> String {
    let component = std::fs::read(bailiwick_tests::guest("bench")).expect("it is built");
    let mut text = String::new();
    for number in 0..count {
        // A custom section of five bytes: a name of one character, and three bytes.
        let bytes = [&component[..], &[0, 5, 1, b'n', number, 0, 0]].concat();
        let path = world.path().join(format!("own{number}.wasm"));
        std::fs::write(&path, bytes).expect("a file can be written");
        let _ = writeln!(text, "[plugins.own{number}]\ncomponent = {path:?}");
    }
    text
}

pub(crate) async fn run(report: &mut Report) {
    crowd(report).await;
    apart(report).await;
    running(report).await;
    starts(report);
}

async fn crowd(report: &mut Report) {
    let one = World::new().start(&many(1), "").await;
    let before = anonymous_memory("self");
    let thousand = World::new().start(&many(1_000), "").await;
    let idle = (anonymous_memory("self") - before) / 1_000.0 / 1024.0;
    let (mut alone, mut crowded) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..BATCH {
            one.call("bill", ARGUMENTS).await;
        }
        alone.push(micros(start.elapsed()));
        let start = Instant::now();
        for _ in 0..BATCH {
            thousand.call("p500__bill", ARGUMENTS).await;
        }
        crowded.push(micros(start.elapsed()));
    }
    report.gated("a call with 1,000 plugins / with 1", ratio(&crowded, &alone), Goal::AtMost(1.1));
    report.gated("anonymous memory of an idle plugin that shares its code, KiB", idle, Goal::AtMost(128.0));
}

/// What an idle plugin keeps whose component nobody else uses. Loaded from the cache: compiling is not what is asked.
async fn apart(report: &mut Report) {
    const PLUGINS: u8 = 40;
    let world = World::new();
    let config = world.config(&different(&world, PLUGINS), "");
    drop(Host::start(&config, Setup::default()).await.expect("the host starts"));
    let before = anonymous_memory("self");
    let host = Host::start(&config, Setup::default()).await.expect("the host starts");
    let each = (anonymous_memory("self") - before) / f64::from(PLUGINS) / 1024.0;
    assert_eq!(host.snapshot().plugins.len(), usize::from(PLUGINS), "all are loaded");
    report.gated("anonymous memory of an idle plugin with code of its own, KiB", each, Goal::AtMost(128.0));
}

async fn running(report: &mut Report) {
    const CALLS: usize = 200;
    let unruly = bailiwick_tests::guest("unruly");
    let text = format!("[plugins.unruly]\ncomponent = {unruly:?}\nlimits = {{ concurrency = {CALLS} }}\n");
    let host = Arc::new(World::new().start(&text, "calls = 256").await);
    host.call("sleep", "{\"milliseconds\":1}").await;
    let before = anonymous_memory("self");
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let host = Arc::clone(&host);
            tokio::spawn(async move { host.call("sleep", "{\"milliseconds\":1500}").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let each = (anonymous_memory("self") - before) / CALLS as f64 / 1024.0;
    for call in calls {
        call.await.expect("it is answered");
    }
    report.gated("anonymous memory of a running call, the guest's included, KiB", each, Goal::AtMost(256.0));
}

/// From nothing to the first answer, as a process of its own; everything is compiled already.
fn starts(report: &mut Report) {
    let builtins = "[plugins.datetime]\ncomponent = \"builtin:datetime\"\n[plugins.files]\ncomponent = \"builtin:files\"\n\
                    [plugins.web-fetch]\ncomponent = \"builtin:web-fetch\"\n";
    let first = |text: &str, tool: &str, arguments: &str, rounds: usize| {
        let world = World::new();
        let config = world.path().join("bailiwick.toml");
        std::fs::write(&config, world.toml(text, "")).expect("a file can be written");
        let once = || {
            let start = Instant::now();
            let mut command = Command::new(PROGRAM);
            command.arg("--config").arg(&config).args(["call", tool, arguments]);
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("the program starts");
            assert!(status.success(), "the call succeeds");
            micros(start.elapsed()) / 1000.0
        };
        let cold = once();
        let warm: Vec<f64> = (0..rounds).map(|_| once()).collect();
        (cold, median(&warm))
    };
    let (cold, warm) = first(builtins, "datetime", "{}", 15);
    report.gated("cold start of the built-in plugins to the first answer, ms", cold, Goal::AtMost(3_000.0));
    report.gated("warm start to the first answer: built-in plugins, ms", warm, Goal::AtMost(30.0));
    let (_, warm) = first(&many(100), "p50__bill", ARGUMENTS, 9);
    report.gated("warm start to the first answer: 100 plugins, ms", warm, Goal::AtMost(60.0));
    let (_, warm) = first(&many(1_000), "p500__bill", ARGUMENTS, 5);
    report.gated("warm start to the first answer: 1,000 plugins, ms", warm, Goal::AtMost(200.0));
}
