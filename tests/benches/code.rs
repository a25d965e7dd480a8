//! Programs: how long an interpreter takes to be there, for the first time and later; what a small program costs in a fresh
//! one; and how fast three programs run in it, beside node and python3 on this machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use bailiwick::runtime::Engines;
use serde_json::{Value, json};

use crate::call::BareEngine;
use crate::report::{Goal, Report, median, micros, ratio};
use crate::world::{BenchHost, World};

const STARTS: usize = 15;
const ROUNDS: usize = 15;
const BATCH: usize = 40;
const PLUGIN: &str = "[plugins.code]\ncomponent = \"builtin:code-executor\"\n";

/// Programs of one kind in both languages; each gives the same text.
struct Pair {
    name: &'static str,
    javascript: &'static str,
    python: &'static str,
}

const PROGRAMS: [Pair; 3] = [
    Pair {
        name: "fib(27)",
        javascript: "function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2) } String(fib(27))",
        python: "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nstr(fib(27))",
    },
    Pair {
        name: "20,000 turns of JSON",
        javascript: "let t = 0; for (let i = 0; i < 20000; i++) { t += JSON.parse(JSON.stringify({ id: i, name: 'x' + i, tags: ['a', 'b'] })).id } String(t)",
        python: "import json\nt = 0\nfor i in range(20000):\n    t += json.loads(json.dumps({'id': i, 'name': f'x{i}', 'tags': ['a', 'b']}))['id']\nstr(t)",
    },
    Pair {
        name: "a text of 100,000 pieces",
        javascript: "let s = ''; for (let i = 0; i < 100000; i++) { s += i.toString(16) } String(s.length)",
        python: "parts = []\nfor i in range(100000):\n    parts.append(format(i, 'x'))\nstr(len(''.join(parts)))",
    },
];

pub(crate) async fn run(report: &mut Report) {
    first(report);
    let host = World::new().start(PLUGIN, "").await;
    small(report, &host).await;
    fresh_and_warm(report, &host).await;
    beside(report, &host, Beside::node()).await;
    beside(report, &host, Beside::python()).await;
}

fn call(language: &str, code: &str) -> String {
    json!({"language": language, "code": code, "timeout_seconds": 30}).to_string()
}

/// The first answer after a start: once with nothing compiled, and then with everything.
fn first(report: &mut Report) {
    for language in ["javascript", "python"] {
        let world = World::new();
        let config = configuration(&world);
        let cold = answered(&config, language);
        let warm: Vec<f64> = (0..STARTS).map(|_| answered(&config, language)).collect();
        report.plain(&format!("{language}: from the start to the first answer, nothing compiled"), cold, "ms");
        report.gated(&format!("{language}: the same, compiled before, ms"), median(&warm), Goal::AtMost(50.0));
    }
}

fn configuration(world: &World) -> PathBuf {
    let config = world.path().join("bailiwick.toml");
    std::fs::write(&config, world.toml(PLUGIN, "")).expect("a file can be written");
    config
}

/// Milliseconds from the start of the program until it has written the answer of a program that it runs.
fn answered(config: &std::path::Path, language: &str) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick-bench"));
    command.args(["call", "code_executor", &call(language, "1 + 1"), "--json", "--config"]).arg(config);
    let start = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut output, mut answer) = (child.stdout.take().expect("it was asked for"), vec![0]);
    output.read_exact(&mut answer).expect("it answers");
    let took = micros(start.elapsed()) / 1_000.0;
    output.read_to_end(&mut answer).expect("it says all of it");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains('2'), "{answer}");
    child.wait().expect("it ends");
    took
}

/// A program that does nothing worth mentioning, in a fresh interpreter each time.
async fn small(report: &mut Report, host: &BenchHost) {
    let mut times = Vec::new();
    let arguments = call("python", "1 + 1");
    for round in 0..BATCH * 3 {
        let start = Instant::now();
        host.call("code_executor", &arguments).await;
        if round >= BATCH {
            times.push(micros(start.elapsed()));
        }
    }
    report.gated("`1 + 1` in python: the whole call, µs", median(&times), Goal::AtMost(4_000.0));
}

/// What a model writes when it is asked who spent most.
const SNIPPET: &str = "
const orders = [
  { who: 'Ada', items: [['bread', 2.5, 2], ['milk', 1.2, 6]] },
  { who: 'Grace', items: [['tea', 4.8, 1], ['rice', 3.1, 4], ['apples', 0.4, 12]] },
  { who: 'Ada', items: [['coffee', 7.9, 1]] },
];
const spent = {};
for (const { who, items } of orders) {
  for (const [, price, count] of items) spent[who] = (spent[who] ?? 0) + price * count;
}
const lines = Object.entries(spent).sort((a, b) => b[1] - a[1]).map(([who, sum]) => `${who}: ${sum.toFixed(2)}`);
console.log(lines.join('\\n'));
lines[0]";

/// Programs in an engine without a host around it: in a fresh interpreter each time, and in one that stays and has run them
/// before, which no host for programs of strangers can offer.
async fn fresh_and_warm(report: &mut Report, host: &BenchHost) {
    let component = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/built/javascript.wasm");
    let wasm = std::fs::read(component).expect("the interpreter was built");
    let bare = BareEngine::new(&Engines::new(64).expect("the engine starts").pooled, &wasm, true);
    for (name, source, goal) in [("`1 + 1`", "1 + 1", None), ("a snippet", SNIPPET, Some(Goal::AtMost(2.0)))] {
        let arguments = call("javascript", source);
        let run = json!({"language": "javascript", "form": "script", "source": source}).to_string();
        let mut stays = bare.start().await;
        let (mut here, mut fresh, mut warm) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..BATCH * 3 {
            let start = Instant::now();
            host.call("code_executor", &arguments).await;
            let first = Instant::now();
            bare.start().await.call("run", &run).await;
            let second = Instant::now();
            stays.call("run", &run).await;
            if round >= BATCH {
                here.push(micros(first - start));
                fresh.push(micros(second - first));
                warm.push(micros(second.elapsed()));
            }
        }
        report.plain(&format!("{name} in javascript: the whole call"), median(&here), "µs");
        report.plain(&format!("{name} in javascript: a bare engine, fresh"), median(&fresh), "µs");
        report.plain(&format!("{name} in javascript: a bare engine, warm"), median(&warm), "µs");
        let (what, compared) = (format!("{name} in javascript: fresh / warm"), ratio(&fresh, &warm));
        match goal {
            Some(goal) => report.gated(&what, compared, goal),
            None => report.plain(&what, compared, ""),
        }
    }
}

/// What runs the same programs without a host: one process that reads programs and says how long each took.
struct Beside {
    language: &'static str,
    command: &'static str,
    loop_: &'static str,
    most: f64,
}

struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Beside {
    fn node() -> Self {
        let loop_ = "require('readline').createInterface({ input: process.stdin }).on('line', (line) => { const code = JSON.parse(line); const t = process.hrtime.bigint(); const v = (0, eval)('{' + code + '}'); console.log(JSON.stringify({ us: Number(process.hrtime.bigint() - t) / 1e3, value: v })) })";
        Self { language: "javascript", command: "node", loop_, most: 10.0 }
    }

    fn python() -> Self {
        let loop_ = "import sys, json, time, ast\nfor line in sys.stdin:\n    tree = ast.parse(json.loads(line))\n    last = ast.Expression(tree.body.pop().value)\n    scope = {}\n    t = time.perf_counter()\n    exec(compile(tree, 'p', 'exec'), scope)\n    v = eval(compile(last, 'p', 'eval'), scope)\n    print(json.dumps({'us': (time.perf_counter() - t) * 1e6, 'value': v}), flush=True)";
        Self { language: "python", command: "python3", loop_, most: 4.0 }
    }

    fn start(&self) -> Option<Running> {
        let flag = if self.command == "node" { "-e" } else { "-c" };
        let spawned =
            Command::new(self.command).args([flag, self.loop_]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.ok()?;
        let (input, output) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        Some(Running { child, input, output })
    }
}

impl Running {
    fn micros(&mut self, code: &str) -> (f64, String) {
        writeln!(self.input, "{}", Value::from(code)).expect("it reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        let told: Value = serde_json::from_str(&line).expect("it is JSON");
        (told["us"].as_f64().expect("a number"), told["value"].as_str().unwrap_or_default().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn beside(report: &mut Report, host: &BenchHost, beside: Beside) {
    let Some(mut native) = beside.start() else {
        println!("  skip: {} is not there", beside.command);
        return;
    };
    for pair in &PROGRAMS {
        let code = if beside.language == "python" { pair.python } else { pair.javascript };
        let arguments = call(beside.language, code);
        let (mut within, mut without) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS + 2 {
            let start = Instant::now();
            let said = host.value("code_executor", &arguments).await;
            let took = micros(start.elapsed());
            let value = said["return_value"].as_str().unwrap_or_default().to_owned();
            let (plain, expected) = native.micros(code);
            assert_eq!(value, expected, "{}", pair.name);
            if round >= 2 {
                within.push(took);
                without.push(plain);
            }
        }
        report.plain(&format!("{} in {}: here", pair.name, beside.language), median(&within) / 1_000.0, "ms");
        report.plain(
            &format!("{} in {}: {}", pair.name, beside.language, beside.command),
            median(&without) / 1_000.0,
            "ms",
        );
        let what = format!("{} in {}: here / {}", pair.name, beside.language, beside.command);
        let compared = ratio(&within, &without);
        if pair.name == "fib(27)" {
            report.gated(&what, compared, Goal::AtMost(beside.most));
        } else {
            report.plain(&what, compared, "");
        }
    }
}
