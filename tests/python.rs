//! The Python interpreter: what programs give, what ends them, what they reach, and CPython's own tests within it.
//!
//! The cases are in `cases/python/`, one file for each subject. `gives` is the whole answer but for its duration and its
//! tracebacks; `stack` is the traceback, where a case is about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{TestHost, machine, told};

const LIMITS: &str = "limits.memory = \"256MiB\"\nlimits.output = \"8MiB\"\nlimits.concurrency = 8\n";

fn component() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/built/python.wasm");
    assert!(path.exists(), "there is no plugins/built/python.wasm: run `plugins/python/build.sh`");
    path.canonicalize().expect("it is there")
}

/// A plugin that is the interpreter, with lines of its own.
fn interpreter(lines: &str) -> String {
    format!("[plugins.python]\ncomponent = {:?}\n{LIMITS}{lines}\n", component())
}

fn program(form: &str, source: &str) -> Value {
    json!({"language": "python", "form": form, "source": source})
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    form: String,
    source: String,
    input: Option<String>,
    time_ms: Option<u64>,
    gives: String,
    stack: Option<String>,
}

impl Case {
    fn arguments(&self) -> Value {
        let mut arguments = program(&self.form, &self.source);
        if let Some(input) = &self.input {
            arguments["input"] = serde_json::from_str(input).expect("an input is JSON");
        }
        if let Some(time) = self.time_ms {
            arguments["time_ms"] = time.into();
        }
        arguments
    }

    /// What is wrong with an answer.
    fn judged(&self, mut answer: Value) -> Option<String> {
        let took = answer.as_object_mut()?.remove("duration_ms");
        let stack = stack_of(&mut answer);
        let wanted: Value = serde_json::from_str(&self.gives).expect("an answer is JSON");
        let fits = self.stack.is_none() || self.stack == stack;
        let fine = took.is_some_and(|took| took.is_f64()) && answer == wanted && fits;
        (!fine).then(|| format!("{}: wanted {wanted}, got {answer}\n{}", self.name, stack.unwrap_or_default()))
    }
}

/// Takes the tracebacks out; gives the one of the error.
fn stack_of(answer: &mut Value) -> Option<String> {
    let error = match answer.get_mut("error") {
        Some(error) => Some(error),
        None => answer.get_mut("errors").and_then(|errors| errors.get_mut(0)),
    };
    let stack = error?.as_object_mut()?.remove("stack")?;
    stack.as_str().map(str::to_owned)
}

#[tokio::test]
async fn programs_give_what_they_should() {
    let host = TestHost::new(&interpreter("")).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/python");
    let mut wrong = Vec::new();
    let mut tried = 0;
    for entry in std::fs::read_dir(folder).expect("there are cases").flatten() {
        if entry.path().extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).expect("it can be read");
        let cases: Cases = toml::from_str(&text).unwrap_or_else(|error| panic!("{:?}: {error}", entry.path()));
        for case in cases.case {
            tried += 1;
            wrong.extend(case.judged(host.value("run", case.arguments()).await));
        }
    }
    println!("measured: {} of {tried} programs in Python give what they should", tried - wrong.len());
    assert!(tried > 150 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn arguments_that_make_no_program_are_refused() {
    let host = TestHost::new(&interpreter("")).await;
    for arguments in [
        json!({"language": "javascript", "form": "script", "source": "1"}),
        json!({"language": "python", "form": "cell", "source": "1"}),
        json!({"language": "python", "form": "script"}),
        json!({"language": "python", "form": "script", "source": "1", "files": true}),
    ] {
        assert_eq!(host.call("run", arguments.clone()).await.code(), "arguments.invalid", "{arguments}");
    }
}

/// Each ends as an error of its own kind, or as the limit of the host that it ran into; the next call knows nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_mean_harm_end() {
    let host = TestHost::new(&interpreter("limits.time = \"3s\"")).await;
    let programs = [
        ("while True: pass", "limit.time"),
        ("10**10**10", "limit.time"),
        ("import re; re.match('(a+)+$', 'a' * 64 + 'b')", "limit.time"),
        ("sum(iter(int, 1))", "limit.time"),
        ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", "limit.time"),
        ("import time\nwhile True: print('on and on')", "timeout"),
        ("import time\nwhile True: time.sleep(0.01)", "timeout"),
        ("[0] * 10**9", "memory"),
        ("'x' * 2**30", "memory"),
        ("kept = []\nwhile True: kept.append('x' * 100_000)", "memory"),
        ("kept = {}\nwhile True: kept[len(kept)] = bytes(100_000)", "memory"),
        ("def f(n): return f(n + 1)\nf(0)", "stack"),
        ("x = []\nfor _ in range(100_000): x = [x]\nrepr(x)", "limit.stack"),
        ("import json; json.loads('[' * 100_000)", "limit.stack"),
        ("import os; os._exit(3)", "plugin."),
        ("import os; os.abort()", "plugin."),
        ("import builtins; builtins.len = None; builtins.isinstance = None; 5", ""),
        ("import sys; sys.modules.clear(); 5", ""),
        ("import sys; sys.stdout = None; print(1)", ""),
        ("import sys; sys.stdout.close(); print(1)", "runtime"),
    ];
    let mut wrong = Vec::new();
    for (source, wanted) in programs {
        let mut arguments = program("script", source);
        arguments["time_ms"] = json!(1000);
        let outcome = host.call("run", arguments).await;
        let ended = match &outcome.result {
            Ok(output) => {
                output.structured.clone().unwrap_or_default()["error"]["kind"].as_str().unwrap_or_default().to_owned()
            }
            Err(failure) => failure.code.to_string(),
        };
        println!("measured: {:?} ends as {ended:?}", source.lines().next().unwrap_or_default());
        if !ended.starts_with(wanted) {
            wrong.push(format!("{source:?} ended as {ended:?}, not {wanted:?}: {}", told(&outcome)));
        }
        let next = host.value("run", program("script", "import sys\nlen('abc'), len(sys.modules) > 100")).await;
        assert_eq!(next["value"], json!([3, true]), "after {source:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn granted_directories_are_there_and_no_others() {
    let lines = "fs = [\"./notes:/notes:rw\", \"./lib:/lib:ro\"]";
    let world = World::new().file("notes/a.txt", "first\n").file("lib/helper.py", "def twice(x): return 2 * x\n");
    let host = world.start(&interpreter(lines)).await;
    let source = "
import os, pathlib, sqlite3, sys, tempfile
with open('/notes/a.txt') as file: first = file.read()
pathlib.Path('/notes/deep').mkdir()
pathlib.Path('/notes/deep/b.txt').write_text('second')
db = sqlite3.connect('/notes/x.db')
db.execute('create table t(a)')
db.commit()
sys.path.append('/lib')
import helper
refused = []
for path in ('/etc/passwd', '/notes/../etc/passwd', '/lib/new.txt'):
    try: open(path, 'a')
    except OSError as error: refused.append(type(error).__name__)
[first, sorted(os.listdir('/notes')), helper.twice(4), refused, [str(p) for p in pathlib.Path('/notes').rglob('*.txt')]]
";
    let answer = host.value("run", program("script", source)).await;
    let value = &answer["value"];
    assert_eq!(value[0], "first\n", "{answer}");
    assert_eq!(value[1], json!(["a.txt", "deep", "x.db"]), "{answer}");
    assert_eq!((&value[2], value[3].as_array().map(Vec::len)), (&json!(8), Some(3)), "{answer}");
    assert_eq!(std::fs::read_to_string(host.world.path("notes/deep/b.txt")).expect("it was written"), "second");
    assert!(!host.world.path("lib/__pycache__").exists(), "nothing is written beside what is imported");
}

#[tokio::test]
async fn what_is_too_large_is_shown_in_part_and_kept_whole() {
    let host = TestHost::new(&interpreter("")).await;
    let answer = host.value("run", program("script", "for n in range(100_000): print('line', n)")).await;
    let output = answer["output"].as_str().expect("text");
    assert!(output.starts_with("line 0\n") && output.ends_with("line 99999\n"), "both ends are there");
    assert!(output.contains(" bytes left out]") && output.len() < 270_000, "{}", output.len());
    assert!(answer["artifact"].as_str().is_some_and(|uri| uri.starts_with("artifact://")), "{}", answer["artifact"]);
    let answer = host.value("run", program("script", "list(range(400_000))")).await;
    assert!(answer["value"].as_str().is_some_and(|told| told.starts_with("<list: its JSON has ")), "{answer}");
    assert!(answer["value_artifact"].is_string(), "{answer}");
}

fn with_tools(lines: &str) -> String {
    let others = "[plugins.polite]\ncomponent = \"polite.wasm\"\n[plugins.unruly]\ncomponent = \"unruly.wasm\"\nlimits.concurrency = 8\n";
    format!("{}{others}", interpreter(lines))
}

/// Runs a program that finds `api`.
async fn coded(host: &TestHost, source: &str) -> Value {
    let mut arguments = program("body", source);
    arguments["tools"] = json!(true);
    host.value("run", arguments).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_call_other_tools() {
    let host = TestHost::new(&with_tools("call = [\"echo\", \"sleep\", \"fail\", \"counted\"]")).await;
    let answer =
        coded(&host, "return [api.names, api.echo({'name': 'Ada'}), api['echo'](name='Bo').output['name']]").await;
    assert_eq!(answer["value"][0], json!(["counted", "echo", "fail", "sleep"]), "{answer}");
    assert_eq!(answer["value"][1]["success"], json!(true), "{answer}");
    assert_eq!(answer["value"][2], "Bo", "{answer}");
    let answer = coded(&host, "return api.counted(count=3)").await;
    assert_eq!(answer["value"], json!({"success": true, "output": {"count": 3}}), "{answer}");
    let answer = coded(&host, "return api.echo(nobody=1)").await;
    assert_eq!(answer["value"]["success"], json!(false), "{answer}");
    assert_eq!(answer["value"]["error"]["code"], "arguments.invalid", "{answer}");
    let answer = coded(&host, "return api.ecko({})").await;
    assert_eq!(answer["error"]["message"], "AttributeError: there is no tool `ecko`; near it: echo", "{answer}");
    let answer = coded(&host, "return api.launch({})").await;
    assert_eq!(answer["error"]["kind"], "runtime", "what was not granted is not there: {answer}");
    let without = host.value("run", program("body", "return api")).await;
    assert_eq!(without["error"]["message"], "NameError: name 'api' is not defined", "{without}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_call_several_tools_at_once() {
    let host = TestHost::new(&with_tools("call = [\"echo\", \"sleep\"]")).await;
    let together = [
        "answers = api.all([('sleep', {'milliseconds': 300})] * 4 + [('echo', {'name': 'x'})])",
        "answers = api.all([api.later.sleep(milliseconds=300) for _ in range(4)] + [api.later.echo(name='x')])",
        "import asyncio\nanswers = await asyncio.gather(*(api.aio.sleep(milliseconds=300) for _ in range(4)), api.aio.echo(name='x'))",
    ];
    for calls in together {
        let source = format!(
            "import time\nbegun = time.monotonic()\n{calls}\ntook = time.monotonic() - begun\n\
             return [len(answers), all(one['success'] for one in answers), answers[-1].output['name'] == 'x', took]"
        );
        let answer = coded(&host, &source).await;
        let took = answer["value"][3].as_f64().unwrap_or(f64::MAX);
        println!("measured: four sleeps of 300 ms at once take {took:.3} s");
        assert_eq!(answer["value"][0], 5, "{answer}");
        assert_eq!((&answer["value"][1], &answer["value"][2]), (&json!(true), &json!(true)), "{answer}");
        assert!(took < 0.9, "they run at the same time: {answer}");
    }
    let source = "import asyncio\ntry:\n    await asyncio.wait_for(api.aio.sleep(milliseconds=20000), 0.2)\n\
                  except TimeoutError:\n    return 'gave up'";
    assert_eq!(coded(&host, source).await["value"], "gave up");
}

/// CPython's package `test`: where BAILIWICK_CPYTHON_TESTS says, else of the newest Python that is installed with it.
fn cpython_tests() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("BAILIWICK_CPYTHON_TESTS") {
        return Some(folder.into());
    }
    (11..=14).rev().find_map(|minor| {
        let found = "import test.test_json, test, sys; sys.stdout.write(list(test.__path__)[0])";
        let output = Command::new(format!("python3.{minor}")).args(["-c", found]).output().ok()?;
        output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).into_owned()))
    })
}

/// Tests that would end the whole instance: they recurse in C until the stack is over, which the host ends.
const TOO_DEEP: [&str; 6] = [
    "test.test_json.test_recursion.TestCRecursion.test_highly_nested_objects_decoding",
    "test.test_json.test_recursion.TestCRecursion.test_highly_nested_objects_encoding",
    "test.test_json.test_recursion.TestCRecursion.test_endless_recursion",
    "test.test_json.test_recursion.TestPyRecursion.test_highly_nested_objects_decoding",
    "test.test_json.test_recursion.TestPyRecursion.test_highly_nested_objects_encoding",
    "test.test_json.test_recursion.TestPyRecursion.test_endless_recursion",
];

/// Tests of another minor version than the interpreter's fail where the library changed since; those are told one by one, and
/// only many of them are a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cpythons_own_tests_pass() {
    if !machine::is_slow_wanted("CPython's own tests within the interpreter") {
        return;
    }
    let Some(tests) = cpython_tests() else {
        println!("left out: CPython's own tests; BAILIWICK_CPYTHON_TESTS says where its package `test` is");
        return;
    };
    let lines = "fs = [\"./lib:/lib/test:ro\", \"./tmp:/tmp:rw\"]\nlimits.time = \"10m\"";
    let lines = lines.replace("./lib", &tests.to_string_lossy());
    let text = interpreter(&lines).replace("256MiB", "1GiB");
    let host = World::new().folder("tmp").start(&text).await;
    let driver = include_str!("cases/python/cpython.py");
    let (mut all, mut passed) = (0, 0);
    for module in ["json", "re", "statistics", "csv", "textwrap", "datetime"] {
        let mut arguments = program("main", driver);
        arguments["input"] = json!({"module": format!("test.test_{module}"), "leave_out": TOO_DEEP});
        let answer = host.value("run", arguments).await;
        let value = &answer["value"];
        let count =
            |key: &str| value[key].as_array().map(Vec::len).or(value[key].as_object().map(serde_json::Map::len));
        let (ran, fine) = (value["tests"].as_u64().unwrap_or(0), value["passed"].as_u64().unwrap_or(0));
        println!(
            "measured: test_{module}: {fine} of {ran} pass, {} are skipped, {} left out, {} fail",
            count("skipped").unwrap_or(0),
            count("left_out").unwrap_or(0),
            count("missed").unwrap_or(0)
        );
        for (test, reason) in value["missed"].as_object().into_iter().flatten() {
            println!("measured:   {test}: {reason}");
        }
        assert!(ran > 50, "{module}: {answer}");
        (all, passed) = (all + ran - count("skipped").unwrap_or(0) as u64, passed + fine);
    }
    assert!(passed * 100 >= all * 98, "{passed} of {all} pass");
}
