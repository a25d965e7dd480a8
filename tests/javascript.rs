//! The interpreter for JavaScript and TypeScript: what programs give, what ends them, what they reach.
//!
//! The cases are in `cases/javascript/`: `runs.json` has whole answers, but for their duration and their stacks;
//! `language.json` and `typescript.json` have values, one for each part of the languages. What is marked `miss` there is what
//! the standard says and the interpreter does not do; one that it does after all is a failure too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{TestHost, told};

fn component() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/built/javascript.wasm");
    assert!(path.exists(), "there is no plugins/built/javascript.wasm: run `plugins/javascript/build.sh`");
    path.canonicalize().expect("it is there")
}

/// A plugin that is the interpreter, with lines of its own.
fn interpreter(lines: &str) -> String {
    format!("[plugins.javascript]\ncomponent = {:?}\n{lines}\n", component())
}

fn program(form: &str, source: &str) -> Value {
    json!({"language": "javascript", "form": form, "source": source})
}

fn cases<T: for<'a> Deserialize<'a>>(name: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/javascript").join(name);
    let text = std::fs::read_to_string(&path).expect("there are cases");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A run and its whole answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    name: String,
    source: String,
    #[serde(default)]
    form: Option<String>,
    #[serde(default)]
    language: Option<String>,
    #[serde(default)]
    input: Option<Value>,
    #[serde(default)]
    time_ms: Option<u64>,
    answer: Value,
}

impl Whole {
    fn arguments(&self) -> Value {
        let mut arguments = program(self.form.as_deref().unwrap_or("script"), &self.source);
        if let Some(language) = &self.language {
            arguments["language"] = language.as_str().into();
        }
        if let Some(input) = &self.input {
            arguments["input"] = input.clone();
        }
        if let Some(time) = self.time_ms {
            arguments["time_ms"] = time.into();
        }
        arguments
    }
}

#[tokio::test]
async fn programs_give_what_they_should() {
    let host = TestHost::new(&interpreter("")).await;
    let mut wrong = Vec::new();
    let cases: Vec<Whole> = cases("runs.json");
    for case in &cases {
        let mut answer = host.value("run", case.arguments()).await;
        let took = answer.as_object_mut().expect("an answer is an object").remove("duration_ms");
        if let Some(error) = answer.get_mut("error").and_then(Value::as_object_mut) {
            error.remove("stack");
        }
        if answer != case.answer || !took.is_some_and(|took| took.is_f64()) {
            wrong.push(format!("{}: wanted {}, got {answer}", case.name, case.answer));
        }
    }
    println!("measured: {} of {} runs of JavaScript give what they should", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A part of the language and the value it has to give.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    name: String,
    source: String,
    value: Value,
    #[serde(default)]
    miss: bool,
}

async fn parts(file: &str, language: &str, at_least: usize) {
    let host = TestHost::new(&interpreter("")).await;
    let parts: Vec<Part> = cases(file);
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::<String, (usize, usize)>::new());
    for part in &parts {
        let mut arguments = program("script", &part.source);
        arguments["language"] = language.into();
        let answer = host.value("run", arguments).await;
        let fits = answer.get("error").is_none() && same(&answer["value"], &part.value);
        let edition = part.name.split(' ').next().unwrap_or_default().to_owned();
        let count = counts.entry(edition).or_default();
        *count = (count.0 + usize::from(fits), count.1 + 1);
        if fits == part.miss {
            wrong.push(format!("{}: wanted {}, got {answer}", part.name, part.value));
        }
    }
    let missed: Vec<&str> = parts.iter().filter(|part| part.miss).map(|part| part.name.as_str()).collect();
    if language == "javascript" {
        for (edition, (fits, all)) in counts {
            println!("measured: {edition}: {fits} of {all}");
        }
    }
    println!("measured: {} of {} parts of {language}; missed: {missed:?}", parts.len() - missed.len(), parts.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(parts.len() >= at_least, "there are {} parts", parts.len());
}

/// Whether two values are the same; 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

#[tokio::test]
async fn the_language_is_there() {
    parts("language.json", "javascript", 250).await;
}

#[tokio::test]
async fn typescript_is_there() {
    parts("typescript.json", "typescript", 75).await;
}

#[tokio::test]
async fn arguments_that_make_no_program_are_refused() {
    let host = TestHost::new(&interpreter("")).await;
    for arguments in [
        json!({"language": "python", "form": "script", "source": "1"}),
        json!({"language": "javascript", "form": "module", "source": "1"}),
        json!({"language": "javascript", "form": "script"}),
        json!({"language": "javascript", "form": "script", "source": "1", "time_ms": 0}),
        json!({"language": "javascript", "form": "script", "source": "1", "files": true}),
        json!({"language": "javascript", "form": "script", "source": "1".repeat(1_048_577)}),
    ] {
        assert_eq!(host.call("run", arguments.clone()).await.code(), "arguments.invalid");
    }
}

/// Each ends as an error of its own kind; the next call knows nothing of it. Where the engine's stack is over before the
/// interpreter notices (`*stack`), it may be the host's limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_mean_harm_end() {
    let host = TestHost::new(&interpreter("")).await;
    let mut wrong = Vec::new();
    for (source, wanted) in HARMFUL {
        let mut arguments = program("script", source);
        arguments["time_ms"] = json!(if wanted == "timeout" { 1000 } else { 20_000 });
        let outcome = host.call("run", arguments).await;
        let ended = match &outcome.result {
            Ok(output) => {
                let kind = output.structured.clone().unwrap_or_default()["error"]["kind"].clone();
                kind.as_str().unwrap_or_default().to_owned()
            }
            Err(failure) => failure.code.to_string(),
        };
        println!("measured: {:?} ends as {ended:?}", source.lines().next().unwrap_or_default());
        let is_wanted = wanted.strip_prefix('*').map_or(ended == wanted, |end| ended.ends_with(end));
        if !is_wanted {
            wrong.push(format!("{source:?} ended as {ended:?}, not {wanted:?}: {}", told(&outcome)));
        }
        let next = host.value("run", program("script", "[[1, 2].map(x => x * 2), typeof kept]")).await;
        assert_eq!(next["value"], json!([[2, 4], "undefined"]), "after {source:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const HARMFUL: [(&str, &str); 47] = [
    ("while (true) {}", "timeout"),
    ("for (;;) { try { while (true) {} } catch {} finally { continue } }", "timeout"),
    ("/(a+)+$/.test('a'.repeat(40) + '!')", "timeout"),
    ("[3, 1, 2].sort(() => { while (true) {} })", "timeout"),
    ("new Array(2 ** 32 - 2).indexOf(1)", "timeout"),
    ("async function f() { while (true) await null } await f()", "timeout"),
    ("async function f() { await null; return f() } await f()", "memory"),
    ("(function f() { Promise.resolve().then(f) })()", "timeout"),
    ("(function f() { setTimeout(f, 0) })()", "timeout"),
    ("await new Promise(r => setTimeout(r, 1e9))", "timeout"),
    ("setInterval(() => console.log('on and on'), 1)", "timeout"),
    ("while (true) console.log('x'.repeat(1000))", "timeout"),
    ("const g = (function* () { while (true) yield 1 })(); for (const x of g) {}", "timeout"),
    ("({ toJSON() { while (true) {} } })", "timeout"),
    ("({ get [Symbol.toStringTag]() { while (true) {} } }) + ''", "timeout"),
    ("throw { get message() { while (true) {} }, toString() { while (true) {} } }", "runtime"),
    ("new Proxy({}, { ownKeys() { while (true) {} } })", "timeout"),
    ("new Array(1e9).fill(0)", "memory"),
    ("'x'.repeat(2 ** 29)", "memory"),
    ("'x'.repeat(2 ** 30)", "memory"),
    ("new Uint8Array(2 ** 31)", "runtime"),
    ("new ArrayBuffer(1e9)", "memory"),
    ("globalThis.kept = []; while (true) kept.push('x'.repeat(1000) + kept.length)", "memory"),
    ("globalThis.kept = new Map(); let i = 0; while (true) kept.set(i++, {})", "memory"),
    ("let s = 'a'; while (true) s += s", "memory"),
    ("JSON.parse('[' + '1,'.repeat(2e7) + '1]')", "memory"),
    ("(function f() { return f() + 1 })()", "stack"),
    ("class A { get a() { return this.a } } new A().a", "stack"),
    ("const f = () => [1].map(f); f()", "stack"),
    ("const o = { toString() { return '' + o } }; '' + o", "stack"),
    ("const p = new Proxy({}, { get: (t, k, r) => r[k] }); p.x", "stack"),
    ("JSON.parse('['.repeat(1e5))", "*stack"),
    ("let d = []; for (let i = 0; i < 1e5; i++) d = [d]; d.flat(Infinity)", "*stack"),
    ("let d = []; for (let i = 0; i < 1e5; i++) d = [d]; d", ""),
    ("let d = {}; for (let i = 0; i < 1e5; i++) d = { d }; console.log(d)", ""),
    ("eval('('.repeat(1e5))", "*stack"),
    ("let d = {}; for (let i = 0; i < 1e5; i++) d = { d }; JSON.stringify(d)", "*stack"),
    ("fetch('http://127.0.0.1')", "runtime"),
    ("new WebSocket('ws://127.0.0.1')", "runtime"),
    ("require('fs').readFileSync('/etc/passwd')", "runtime"),
    ("await import('/etc/passwd')", "runtime"),
    ("import os from 'os'; os.exec(['sh'])", "syntax"),
    ("process.exit(3)", "runtime"),
    ("readFile('/etc/passwd')", "runtime"),
    ("std.loadFile('/etc/passwd')", "runtime"),
    ("new Function('return this')().constructor.constructor('return process')()", "runtime"),
    ("globalThis.kept = 1; Object.prototype.kept = 2; Array.prototype.map = null; 5", ""),
];

#[tokio::test]
async fn granted_folders_are_there_and_no_others() {
    let lines = "fs = [\"./notes:/notes:rw\", \"./lib:/lib:ro\"]";
    let world = World::new().file("notes/a.txt", "first\n").file("lib/b.bin", [0, 255]).folder("notes/deep");
    let host = world.start(&interpreter(lines)).await;
    let source = "
const refused = [];
for (const path of ['/etc/passwd', '/notes/../etc/passwd', '/lib/../../etc/passwd', '/notes/none'])
  try { readFile(path) } catch (error) { refused.push(error.code) }
try { writeFile('/lib/new.txt', 'x') } catch (error) { refused.push(error instanceof Error) }
writeFile('/notes/deep/c.txt', 'tschüß');
writeFile('/notes/d.bin', new Uint8Array([1, 2, 3]));
[readFile('/notes/a.txt'), listFiles('/notes'), listFiles().sort(), readFile('/lib/b.bin', 'hex'),
  readFile('/notes/deep/c.txt'), Buffer.isBuffer(readFile('/notes/d.bin', null)), refused]";
    let answer = host.value("run", program("script", source)).await;
    let value = &answer["value"];
    assert_eq!(value[0], "first\n", "{answer}");
    assert_eq!(value[1], json!(["a.txt", "d.bin", "deep/"]), "{answer}");
    assert_eq!(value[2], json!(["/lib", "/notes"]), "{answer}");
    assert_eq!((&value[3], &value[4], &value[5]), (&json!("00ff"), &json!("tschüß"), &json!(true)), "{answer}");
    assert_eq!(value[6].as_array().map(Vec::len), Some(5), "{answer}");
    assert_eq!(std::fs::read(host.world.path("notes/d.bin")).expect("it was written"), [1, 2, 3]);
    assert!(!host.world.path("lib/new.txt").exists(), "nothing is written where only reading is granted");
}

#[tokio::test]
async fn chance_and_time_are_live() {
    let host = TestHost::new(&interpreter("")).await;
    let source =
        "[Math.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint8Array(8))].join(), Date.now()]";
    let first = host.value("run", program("script", source)).await;
    let second = host.value("run", program("script", source)).await;
    for each in 0..3 {
        assert_ne!(first["value"][each], second["value"][each], "{first} {second}");
    }
    let year = 365 * 24 * 3600 * 1000_i64;
    assert!(first["value"][3].as_i64().is_some_and(|now| now > 54 * year), "{first}");
}

#[tokio::test]
async fn what_is_too_large_is_shown_in_part_and_kept_whole() {
    let host = TestHost::new(&interpreter("limits.output = \"8MiB\"")).await;
    let answer = host.value("run", program("script", "for (let n = 0; n < 1e5; n++) console.log('line', n)")).await;
    let output = answer["output"].as_str().expect("text");
    assert!(output.starts_with("line 0\n") && output.ends_with("line 99999"), "both ends are there");
    assert!(output.contains(" bytes left out]") && output.len() < 270_000, "{}", output.len());
    assert!(answer["artifact"].as_str().is_some_and(|uri| uri.starts_with("artifact://")), "{}", answer["artifact"]);
    let answer = host.value("run", program("script", "console.log('a'.repeat(2e7) + 'z'); 1")).await;
    let output = answer["output"].as_str().expect("text");
    assert!(output.starts_with("aaa") && output.ends_with("az") && output.len() < 270_000, "both ends are there");
    let answer = host.value("run", program("script", "new Array(5e5).fill(12345)")).await;
    assert!(answer["value"].as_str().is_some_and(|told| told.contains("more than an answer holds")), "{answer}");
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
    let answer = coded(
        &host,
        "return [Object.keys(api), await api.echo({ name: 'Ada' }), (await api['echo']({ name: 'Bo' })).output.name]",
    )
    .await;
    assert_eq!(answer["value"][0], json!(["counted", "echo", "fail", "sleep"]), "{answer}");
    assert_eq!(answer["value"][1]["success"], json!(true), "{answer}");
    assert_eq!(answer["value"][2], "Bo", "{answer}");
    let answer = coded(&host, "return await api.counted({ count: 3 })").await;
    assert_eq!(answer["value"], json!({"success": true, "output": {"count": 3}}), "{answer}");
    let answer = coded(&host, "return await api.echo({ nobody: 1 })").await;
    assert_eq!(answer["value"]["success"], json!(false), "{answer}");
    assert_eq!(answer["value"]["error"]["code"], "arguments.invalid", "{answer}");
    let answer = coded(&host, "return api.ecko({})").await;
    assert_eq!(answer["error"]["message"], "TypeError: `api` has no tool `ecko`: did you mean `echo`?", "{answer}");
    let answer = coded(&host, "return api.launch({})").await;
    assert_eq!(answer["error"]["kind"], "runtime", "what was not granted is not there: {answer}");
    let without = host.value("run", program("body", "return api")).await;
    assert_eq!(
        without["error"]["message"], "ReferenceError: api is not defined (this run may call no tools)",
        "{without}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_call_several_tools_at_once() {
    let host = TestHost::new(&with_tools("call = [\"echo\", \"sleep\"]")).await;
    let source = "const begun = performance.now();
const answers = await Promise.all([...Array(4).fill({ milliseconds: 300 }).map(api.sleep), api.echo({ name: 'x' })]);
return [answers.length, answers.every(a => a.success), answers.at(-1).output.name, performance.now() - begun]";
    let mut arguments = program("body", source);
    (arguments["tools"], arguments["time_ms"]) = (json!(true), json!(200));
    let answer = host.value("run", arguments).await;
    let took = answer["value"][3].as_f64().unwrap_or(f64::MAX);
    println!("measured: four sleeps of 300 ms at once take {took:.0} ms");
    assert_eq!((&answer["value"][0], &answer["value"][1]), (&json!(5), &json!(true)), "{answer}");
    assert!(took < 900.0, "they run at the same time, and waiting for them does not count: {answer}");
}
