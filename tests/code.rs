//! Programs that callers send, and programs as tools, through the whole of the host: what they are told, what they reach, and
//! how they end.

use bailiwick_core::outcome::Content;
use serde_json::{Value, json};

use crate::support::host::{TestHost, World, told};

const RUNNER: &str = "[plugins.code]\ncomponent = \"builtin:code-executor\"\n";

async fn run(host: &TestHost, language: &str, code: &str) -> Value {
    host.value("code_executor", json!({"language": language, "code": code, "timeout_seconds": 2})).await
}

#[tokio::test]
async fn a30_a_result_has_what_was_printed_and_the_last_value() {
    let host = TestHost::new(RUNNER).await;
    for (language, code, output, value) in [
        ("javascript", "console.log('a', 1); console.warn('b'); 6 * 7", Some("a 1\n[warn] b"), json!(42)),
        ("typescript", "enum E { A = 3 } const n: number = E.A; n as number", None, json!(3)),
        ("python", "print('a', 1)\n6 * 7", Some("a 1"), json!(42)),
    ] {
        let result = run(&host, language, code).await;
        assert_eq!(result.get("output").and_then(Value::as_str), output, "{language}: {result}");
        assert_eq!(result["return_value"], value, "{language}: {result}");
        assert!(result["duration_ms"].is_number() && result.get("error").is_none(), "{language}: {result}");
    }
    let plain = host.value("code_executor", json!({"code": "1 + 1"})).await;
    assert_eq!(plain["return_value"], 2, "JavaScript where nothing is said");
    assert_eq!(
        host.told("code_executor", json!({"code": " "})).await,
        "arguments.invalid: code_executor: code must not be empty"
    );
}

#[tokio::test]
async fn a30_what_goes_wrong_is_part_of_the_result_with_its_place() {
    let host = TestHost::new(RUNNER).await;
    for (language, code, error) in [
        ("javascript", "console.log('before');\nnull.x", "runtime error: TypeError"),
        ("javascript", "let 1x", "syntax error: "),
        ("typescript", "const x: = 5", "syntax error: "),
        ("python", "print('before')\n1 / 0", "runtime error: ZeroDivisionError: division by zero (line 2"),
        ("python", "def f(:", "syntax error: "),
    ] {
        let result = run(&host, language, code).await;
        let said = result["error"].as_str().unwrap_or_default();
        assert!(said.starts_with(error) && said.contains("(line "), "{language} {code:?}: {result}");
        if code.contains("before") {
            assert_eq!(result["output"], "before", "{language}: what came before is kept");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a30_programs_that_would_never_end_do_and_the_next_is_unharmed() {
    let host = TestHost::new(RUNNER).await;
    for (language, code, ends) in [
        ("javascript", "while (true) {}", "execution timed out after 2000ms"),
        ("javascript", "/(a+)+$/.test('a'.repeat(40) + '!')", "execution timed out after 2000ms"),
        ("javascript", "new Array(1e9).fill(0)", "out of memory"),
        ("javascript", "'x'.repeat(2 ** 30)", "out of memory"),
        ("javascript", "(function f() { return f() + 1 })()", "stack overflow"),
        ("python", "while True: pass", "execution timed out after 2000ms"),
        ("python", "import re\nre.search('(a+)+$', 'a' * 40 + '!')", "execution timed out after 2000ms"),
        ("python", "[0] * 10**9", "out of memory"),
        ("python", "'x' * 2**30", "out of memory"),
        ("python", "def f(): return f() + 1\nf()", "stack overflow"),
    ] {
        let result = run(&host, language, code).await;
        assert!(result["error"].as_str().is_some_and(|error| error.starts_with(ends)), "{language} {code:?}: {result}");
        assert_eq!(run(&host, language, "1 + 1").await["return_value"], 2, "after {code:?}");
    }
}

#[tokio::test]
async fn a30_there_is_nothing_to_reach() {
    let host = World::new().variable("SECRET", "canary").file("secret.txt", "canary").start(RUNNER).await;
    for (language, code) in [
        ("javascript", "fetch('http://127.0.0.1')"),
        ("javascript", "require('fs')"),
        ("javascript", "process.env.SECRET"),
        ("javascript", "new XMLHttpRequest()"),
        ("javascript", "readFile('/etc/passwd')"),
        ("python", "open('/etc/passwd').read()"),
        ("python", "import os\nos.listdir('/')"),
        ("python", "import socket\nsocket.create_connection(('127.0.0.1', 80))"),
        ("python", "import subprocess\nsubprocess.run(['id'])"),
        ("python", "import os\nos.environ['SECRET']"),
        ("python", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')"),
    ] {
        let result = run(&host, language, code).await;
        assert!(result["error"].as_str().is_some_and(|error| error.starts_with("runtime error")), "{code:?}: {result}");
        assert!(!result.to_string().contains("canary"), "{result}");
    }
}

#[tokio::test]
async fn a30_granted_folders_are_there_to_read_and_to_leave_files() {
    let text = format!("{RUNNER}fs = [\"./in:/in\", \"./out:/out:rw\"]\n");
    let host = World::new().file("in/a.txt", "seven").folder("out").start(&text).await;
    for (language, code) in [
        ("javascript", "writeFile('/out/js.txt', readFile('/in/a.txt') + '!'); readFile('/out/js.txt')"),
        ("python", "open('/out/py.txt', 'w').write(open('/in/a.txt').read() + '!')\nopen('/out/py.txt').read()"),
    ] {
        assert_eq!(run(&host, language, code).await["return_value"], "seven!");
    }
    for (language, code) in [
        ("javascript", "writeFile('/in/a.txt', 'x')"),
        ("javascript", "readFile('/in/../../secret')"),
        ("python", "open('/in/a.txt', 'w')"),
        ("python", "open('/out/../secret')"),
    ] {
        assert!(run(&host, language, code).await["error"].is_string(), "{code:?}");
    }
    assert_eq!(std::fs::read_to_string(host.world.path("out/js.txt")).expect("it was left"), "seven!");
}

#[tokio::test]
async fn a30_what_is_printed_without_end_is_shown_in_part_and_kept() {
    let host = TestHost::new(RUNNER).await;
    for (language, code) in [
        ("javascript", "for (let n = 0; n < 40000; n++) console.log('line', n)"),
        ("python", "for n in range(40000): print('line', n)"),
    ] {
        let outcome = host.call("code_executor", json!({"language": language, "code": code})).await;
        let output = outcome.result.expect("it ran");
        let shown = output.structured.expect("a result")["output"].as_str().expect("a text").to_owned();
        assert!(shown.starts_with("line 0\n") && shown.ends_with("line 39999"), "{language}: both ends are there");
        assert!(shown.contains("left out") && shown.len() < 110_000, "{language}: {}", shown.len());
        let link = output.content.iter().find_map(|piece| match piece {
            Content::Link(link) => Some(link.uri.clone()),
            Content::Text(_) | Content::Image(_) | Content::Audio(_) | Content::Resource(_) => None,
        });
        assert!(link.is_some_and(|uri| uri.starts_with("artifact://") && uri.ends_with("output.txt")), "{language}");
    }
}

#[tokio::test]
async fn g13_a_file_with_main_is_a_tool() {
    let text = "[plugins.slug]\ncode = { file = \"slug.py\", description = \"Makes a slug.\", input = { type = \"object\", \
                properties = { title = { type = \"string\" } }, required = [\"title\"] } }\n\
                [plugins.later]\ncode = { language = \"javascript\", source = \"async function main(input) { await null; return { got: input } }\" }\n\
                [plugins.typed]\ncode = { language = \"typescript\", source = \"export default function main(input: { n: number }): number { return input.n * 2 }\" }\n\
                [plugins.none]\ncode = { language = \"python\", source = \"x = 1\" }\n\
                [plugins.broken]\ncode = { language = \"javascript\", source = \"function main() { throw new Error('no') }\" }\n";
    let host = World::new()
        .file("slug.py", "def main(input):\n    return input['title'].lower().replace(' ', '-')\n")
        .start(text)
        .await;
    assert_eq!(host.told("slug", json!({"title": "A Title"})).await, "ok: a-title | = {\"output\":\"a-title\"}");
    assert_eq!(host.call("slug", json!({})).await.code(), "arguments.invalid");
    assert_eq!(host.value("later", json!({"a": 1})).await, json!({"got": {"a": 1}}));
    assert_eq!(host.value("typed", json!({"n": 4})).await, json!({"output": 8}));
    assert_eq!(host.value("none", json!({})).await, json!({"output": "No main() defined"}));
    let broken = host.call("broken", json!({})).await;
    assert!(told(&broken).starts_with("tool.failed: runtime error: Error: no"), "{}", told(&broken));
}

#[tokio::test]
async fn g13_a_tool_of_the_operators_calls_what_it_is_granted() {
    let tool = |call: &str| {
        format!(
            "[plugins.twice]\ncode = {{ language = \"javascript\", source = \"async function main(input) {{ const r = await api.echo({{ name: input.name }}); return r.output.name + r.output.name }}\" }}\n{call}\n\
             [plugins.polite]\ncomponent = \"polite.wasm\"\n"
        )
    };
    let granted = TestHost::new(&tool("call = [\"echo\"]")).await;
    assert_eq!(granted.value("twice", json!({"name": "x"})).await, json!({"output": "xx"}));
    let denied = TestHost::new(&tool("")).await;
    assert_eq!(denied.call("twice", json!({"name": "x"})).await.code(), "tool.failed", "there is no `api`");
}

#[tokio::test]
async fn g16_std_run_code_runs_main() {
    let host = TestHost::new("[plugins.std-run]\ncomponent = \"builtin:std-run-code\"\n").await;
    let run = async |language: &str, code: &str| {
        host.value("std-run-code", json!({"language": language, "code": code, "input": {"n": 3}})).await
    };
    assert_eq!(run("javascript", "const main = (input) => input.n + 1").await, json!({"output": 4}));
    assert_eq!(run("python", "def main(input): return {'n': input['n'] * 2}").await, json!({"n": 6}));
    let failed = run("python", "def main(input):\n    print('before')\n    raise ValueError('no')").await;
    assert_eq!((&failed["exitCode"], &failed["stdout"]), (&json!(1), &json!("before")), "{failed}");
    assert!(failed["stderr"].as_str().is_some_and(|stack| stack.contains("ValueError")), "{failed}");
}

#[test]
fn what_has_to_be_compiled_is_compiled_ahead() {
    let world = World::new().own_cache();
    let run = world.run(RUNNER, &["warm", "--json"], "");
    assert_eq!(run.exit, 0, "{}", run.err);
    let told: Value = serde_json::from_str(&run.out).expect("it is JSON");
    let ready: Vec<&str> =
        told["ready"].as_array().expect("a list").iter().filter_map(|each| each["what"].as_str()).collect();
    assert_eq!(ready, ["1 plugins", "javascript", "python"]);
    let again = world.run(RUNNER, &["warm"], "");
    assert!(again.out.starts_with("1 plugins: ready after ") && again.out.contains("\npython: ready"), "{}", again.out);
    let compiled = std::fs::read_dir(world.cache()).expect("there is a cache").count();
    let call = world.run(RUNNER, &["call", "code_executor", "{\"language\": \"python\", \"code\": \"1 + 1\"}"], "");
    assert!(call.out.contains("\"return_value\":2") && !call.err.contains("preparing"), "{} {}", call.out, call.err);
    assert_eq!(
        std::fs::read_dir(world.cache()).expect("there is a cache").count(),
        compiled,
        "nothing was compiled again"
    );
}
