//! Tools that are programs which callers made while the host runs: made, called, changed and kept, over HTTP and MCP. They
//! are run by the interpreters that come with the host, and reach nothing.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::manage::{ask, call, call_json, config, listed, made, run, told};
use crate::support::host::World;
use crate::support::served::Served;
use crate::web::{KEY, OTHER_KEY, POLITE};

/// Waits until the interpreter for a language is compiled, which takes longer than a client waits.
fn ready(language: &str) {
    static PYTHON: OnceLock<()> = OnceLock::new();
    static JAVASCRIPT: OnceLock<()> = OnceLock::new();
    let (compiled, source) = match language {
        "python" => (&PYTHON, "def main(input): return 1"),
        _ => (&JAVASCRIPT, "function main() { return 1 }"),
    };
    compiled.get_or_init(|| {
        let text = format!("[plugins.warm]\ncode = {{ language = {language:?}, source = {source:?} }}\n");
        let run = World::new().run(&text, &["call", "warm", "{}", "--no-input"], "");
        assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    });
}

/// A host whose one key makes programs in this language.
fn serve(language: &str) -> Served {
    ready(language);
    World::new().serve_http(&config(POLITE, ""))
}

fn code(name: &str, language: &str, source: &str) -> Value {
    json!({"name": name, "language": language, "source": source})
}

/// Makes a tool of a program over MCP, and gives what is said.
fn create(served: &Served, name: &str, language: &str, source: &str) -> Value {
    call_json(served, "create_code_tool", &code(name, language, source))
}

/// The same that is not made; gives why.
fn refused(served: &Served, arguments: &Value) -> String {
    let (text, is_error) = call(served, KEY, "create_code_tool", arguments);
    assert!(is_error, "{text}");
    text
}

/// What a program gives that is called `name`.
fn gives(served: &Served, name: &str, arguments: &Value) -> Value {
    let said = run(served, OTHER_KEY, name, arguments);
    assert_eq!(said["success"], true, "{said}");
    said["structured"].clone()
}

/// A program that adds, as the language has it.
fn adder(language: &str) -> &'static str {
    match language {
        "javascript" => "async function main(input) {\n  return { sum: input.a + input.b };\n}\n",
        "typescript" => {
            "interface In { a: number; b: number }\n\
             export async function main(input: In): Promise<{ sum: number }> {\n  return { sum: (input.a + input.b) as number };\n}\n"
        }
        _ => "def main(input):\n    return {\"sum\": input[\"a\"] + input[\"b\"]}\n",
    }
}

fn check_made(language: &str) {
    let served = serve(language);
    let schema = json!({"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]});
    let mut arguments = code(" My Adder ", language, adder(language));
    arguments["inputSchema"] = schema.clone();
    arguments["description"] = "Adds two numbers.".into();
    let said = call_json(&served, "create_code_tool", &arguments);
    let id = said["id"].as_str().expect("an id");
    assert!(id.len() == 36 && id.as_bytes()[14] == b'4', "{said}");
    let expected = json!({"id": id, "toolId": format!("fn-{id}"), "name": "My Adder",
        "message": "Function \"My Adder\" created. Calls go by `my_adder`."});
    assert_eq!(said, expected);
    assert_eq!(gives(&served, "my_adder", &json!({"a": 2, "b": 3})), json!({"sum": 5}));
    assert_eq!(run(&served, OTHER_KEY, "my_adder", &json!({"a": 2}))["code"], "arguments.invalid");
    let (text, is_error) = call(&served, OTHER_KEY, "my_adder", &json!({"a": 1.5, "b": 1}));
    assert_eq!((text.as_str(), is_error), ("{\"sum\":2.5}", false));
    let described = ask(&served, KEY, "GET", "/api/v1/tools/my_adder", &Value::Null).json();
    assert_eq!((&described["description"], &described["parameters"]), (&json!("Adds two numbers."), &schema));
    // Of the tools it is one, by the id of a tool.
    let tool = call_json(&served, "get_tool", &json!({"id": said["toolId"]}));
    assert_eq!((&tool["id"], &tool["protocol"]), (&said["toolId"], &json!("code")));
    assert_eq!(tool["config"]["source"], adder(language));
    let listed = call_json(&served, "list_tools", &json!({"category": "custom"}));
    assert_eq!(listed, json!([{"id": said["toolId"], "name": "My Adder", "protocol": "code"}]));
    let plain = match language {
        "python" => "async def main(input):\n    return input\n",
        _ => "function main(input) { return input }",
    };
    create(&served, "Plain", language, plain);
    assert_eq!(gives(&served, "plain", &json!({"x": [1, null, "ü"]})), json!({"x": [1, null, "ü"]}));
    assert_eq!(call_json(&served, "delete_tool", &json!({"id": said["toolId"]})), json!({"ok": true}));
    assert_eq!(run(&served, OTHER_KEY, "my_adder", &json!({}))["detail"], "Tool 'my_adder' not found");
}

#[test]
fn g12_a_program_in_javascript_is_made_a_tool() {
    check_made("javascript");
}

#[test]
fn g12_a_program_in_typescript_is_made_a_tool() {
    check_made("typescript");
}

#[test]
fn g12_a_program_in_python_is_made_a_tool() {
    check_made("python");
}

#[test]
fn g12_what_is_missing_is_said_in_the_words_that_clients_know() {
    let served = World::new().serve_http(&config(POLITE, ""));
    for (arguments, error) in [
        (json!({}), "name is required"),
        (code("  ", "python", "x"), "name is required"),
        (code("x", "ruby", "x"), "language must be javascript, python, or typescript"),
        (json!({"name": "x", "source": "x"}), "language must be javascript, python, or typescript"),
        (json!({"name": "x", "language": "python"}), "source is required"),
        (code("x", "python", " \n"), "source is required"),
    ] {
        assert_eq!(call_json(&served, "create_code_tool", &arguments), json!({ "error": error }));
        let said = run(&served, KEY, "create_code_tool", &arguments);
        assert_eq!(said["structured"], json!({ "error": error }), "{said}");
    }
    let http = |config: Value| json!({"name": "x", "protocol": "code", "config": config});
    for (config, error) in [
        (json!({"source": "x"}), "language must be javascript, python, or typescript"),
        (json!({"language": "python"}), "source is required"),
        (json!({"language": "python", "source": "x", "headers": {"X-Key": "canary"}}), "`config.headers`"),
        (json!({"language": "python", "source": "x", "net": ["GET https://a.example"]}), "reaches nothing"),
        (json!({"language": "python", "source": "x", "colour": "canary"}), "`config.colour`"),
    ] {
        let (status, answer) = told(&served, "POST", "/api/v1/manage/tools", &http(config));
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(status == 422 && detail.contains(error) && !detail.contains("canary"), "{status} {answer}");
    }
    let mut more = code("x", "python", "x");
    more["fs"] = json!(["read /etc"]);
    assert!(refused(&served, &more).contains("fs"));
    assert_eq!(call_json(&served, "list_custom_functions", &json!({})), json!([]));
}

fn check_faults(language: &str, source: &str, place: &str) {
    let served = serve(language);
    let said = refused(&served, &code("broken", language, source));
    assert!(said.contains("arguments.invalid") && said.contains(place), "{said}");
    let body = json!({"name": "b", "protocol": "code", "config": {"language": language, "source": source}});
    let (status, answer) = told(&served, "POST", "/api/v1/manage/tools", &body);
    assert!(status == 422 && answer["detail"].as_str().is_some_and(|text| text.contains(place)), "{answer}");
    // One that is there stays as it is.
    let id = create(&served, "adder", language, adder(language))["id"].clone();
    let (text, is_error) = call(&served, KEY, "update_custom_function", &json!({"id": id, "source": source}));
    assert!(is_error && text.contains(place), "{text}");
    assert_eq!(gives(&served, "adder", &json!({"a": 1, "b": 1})), json!({"sum": 2}));
    let shown = call_json(&served, "get_custom_function", &json!({"id": id}));
    assert_eq!((&shown["version"], &shown["source"]), (&json!(1), &json!(adder(language))));
}

#[test]
fn g12_a_program_in_javascript_that_does_not_compile_is_refused_with_its_places() {
    check_faults("javascript", "function main(input) {\n  return input +;\n}\n", "line 2, column");
}

#[test]
fn g12_a_program_in_typescript_that_does_not_compile_is_refused_with_its_places() {
    check_faults("typescript", "function main(input: number) {\n  const x: = 1;\n}\n", "line 2, column");
}

#[test]
fn g12_a_program_in_python_that_does_not_compile_is_refused_with_its_places() {
    check_faults("python", "def main(input):\n    return input +\n", "line 2, column");
}

fn check_results(language: &str, sources: [(&str, Value); 4], fails: &str) {
    let served = serve(language);
    for (number, (source, expected)) in sources.into_iter().enumerate() {
        create(&served, &format!("t{number}"), language, source);
        assert_eq!(gives(&served, &format!("t{number}"), &json!({})), expected, "{source}");
    }
    create(&served, "fails", language, fails);
    let said = run(&served, OTHER_KEY, "fails", &json!({}));
    let text = said["output"].as_str().unwrap_or_default();
    assert_eq!((&said["success"], &said["code"]), (&json!(false), &json!("tool.failed")), "{said}");
    assert!(text.contains("out of ideas") && text.contains("line 2") && text.contains("before that"), "{said}");
}

/// What programs without `main`, with a list, with a text and with nothing give.
fn results(sources: [&'static str; 4]) -> [(&'static str, Value); 4] {
    let [none, list, text, nothing] = sources;
    [
        (none, json!({"output": "No main() defined"})),
        (list, json!({"output": [1, 2]})),
        (text, json!({"output": "plain text"})),
        (nothing, json!({"output": null})),
    ]
}

#[test]
fn g13_results_and_failures_of_programs_in_javascript() {
    let sources = results([
        "const x = 1;",
        "const main = () => [1, 2];",
        "async function main() { return 'plain text'; }",
        "function main() {}",
    ]);
    let fails = "function main() { console.log('before that');\n  throw new Error('out of ideas');\n}";
    check_results("javascript", sources, fails);
}

#[test]
fn g13_results_and_failures_of_programs_in_typescript() {
    let sources = results([
        "type X = number; const x: X = 1;",
        "const main = (): number[] => [1, 2];",
        "enum Word { Plain = 'plain text' }\nfunction main(): string { return Word.Plain; }",
        "function main(): void {}",
    ]);
    let fails = "function main(_: unknown): never { console.log('before that');\n  throw new Error('out of ideas');\n}";
    check_results("typescript", sources, fails);
}

#[test]
fn g13_results_and_failures_of_programs_in_python() {
    let sources = results([
        "x = 1",
        "def main(input):\n    return [1, 2]",
        "async def main(input):\n    return 'plain text'",
        "def main(input):\n    pass",
    ]);
    check_results("python", sources, "def main(input): print('before that');\\\n  raise ValueError('out of ideas')");
}

#[test]
fn g14_functions_are_listed_shown_and_changed() {
    let served = serve("python");
    let said = create(&served, "Adder", "python", adder("python"));
    let (id, tool_id) = (&said["id"], &said["toolId"]);
    let brief = json!({"id": id, "toolId": tool_id, "name": "Adder", "language": "python", "version": 1});
    assert_eq!(call_json(&served, "list_custom_functions", &json!({})), json!([brief]));
    let shown = call_json(&served, "get_custom_function", &json!({"id": id}));
    assert_eq!((&shown["source"], &shown["sandboxId"]), (&json!(adder("python")), &Value::Null));
    assert_eq!(call_json(&served, "get_custom_function", &json!({"id": tool_id})), shown);
    for (tool, arguments) in [
        ("get_custom_function", json!({"id": "nothing"})),
        ("update_custom_function", json!({"id": "nothing", "name": "x"})),
        ("get_custom_function", json!({"id": "echo"})),
        ("update_custom_function", json!({"id": "echo", "name": "x"})),
    ] {
        assert_eq!(call_json(&served, tool, &arguments), json!({"error": "Custom function not found"}));
    }
    // What is not said stays; another source is another version, and holds at once.
    let schema = json!({"type": "object", "required": ["a"]});
    let renamed = json!({"id": id, "name": "Other", "description": "Says.", "inputSchema": schema});
    let updated = json!({"id": id, "message": "Function \"Other\" updated"});
    assert_eq!(call_json(&served, "update_custom_function", &renamed), updated);
    let shown = call_json(&served, "get_custom_function", &json!({"id": id}));
    assert_eq!((&shown["version"], &shown["name"], &shown["inputSchema"]), (&json!(1), &json!("Other"), &schema));
    let second = "def main(input):\n    return {'product': input['a'] * 2}\n";
    call_json(&served, "update_custom_function", &json!({"id": tool_id, "source": second}));
    assert_eq!(gives(&served, "adder", &json!({"a": 4})), json!({"product": 8}));
    let shown = call_json(&served, "get_custom_function", &json!({"id": id}));
    assert_eq!(
        (&shown["version"], &shown["source"], &shown["description"]),
        (&json!(2), &json!(second), &json!("Says."))
    );
    let told: Vec<(&Value, &Value)> =
        shown["versions"].as_array().expect("a list").iter().map(|one| (&one["version"], &one["by"])).collect();
    assert_eq!(told, [(&json!(2), &json!("key:maker")), (&json!(1), &json!("key:maker"))]);
    let first = call_json(&served, "get_custom_function", &json!({"id": id, "version": 1}));
    assert_eq!((&first["version"], &first["source"]), (&json!(1), &json!(adder("python"))));
    let (text, is_error) = call(&served, KEY, "get_custom_function", &json!({"id": id, "version": 3}));
    assert!(is_error && text.contains("version 3 of this function is not kept; ask for one of 2, 1"), "{text}");
}

#[test]
fn g14_the_same_over_http_and_lists_are_without_sources() {
    let served = serve("python");
    let config = json!({"language": "python", "source": adder("python"), "timeoutMs": 5000, "description": "Adds."});
    let record = made(&served, "/api/v1/manage/tools", &json!({"name": "Adder", "protocol": "code", "config": config}));
    assert_eq!((&record["protocol"], &record["config"], &record["version"]), (&json!("code"), &config, &json!(1)));
    assert_eq!((&record["tools"], &record["owner"]), (&json!(["adder"]), &json!("key:maker")));
    let path = format!("/api/v1/manage/tools/{}", record["id"].as_str().expect("an id"));
    let changed =
        told(&served, "PUT", &path, &json!({"config": {"source": "def main(input):\n    return {'is': 1}\n"}}));
    assert_eq!((changed.0, &changed.1["version"], &changed.1["config"]["timeoutMs"]), (200, &json!(2), &json!(5000)));
    assert_eq!(gives(&served, "adder", &json!({})), json!({"is": 1}));
    for list in ["/api/v1/manage/tools", "/api/tools"] {
        let body = ask(&served, KEY, "GET", list, &Value::Null).body;
        assert!(body.contains(record["id"].as_str().expect("an id")) && !body.contains("def main"), "{body}");
    }
    let other = told(&served, "PUT", &path, &json!({"protocol": "http"}));
    assert_eq!(other.0, 422, "{other:?}");
    let shown = run(&served, KEY, "get_custom_function", &json!({"id": record["id"], "version": 1}));
    assert_eq!(shown["structured"]["source"], adder("python"), "{shown}");
    let one = format!("/api/tools/{}", record["id"].as_str().expect("an id"));
    assert_eq!(told(&served, "DELETE", &one, &Value::Null), (200, json!({"ok": true})));
}

#[test]
fn g14_a_program_is_kept_over_a_restart_and_shown_at_the_command_line() {
    let served = serve("python");
    let source = "def main(input):\n    # ${x}\n    return {'is': 'kept'}\n";
    let id = create(&served, "Keeper", "python", adder("python"))["id"].clone();
    call_json(&served, "update_custom_function", &json!({"id": id, "source": source}));
    let (code, log, world) = served.end();
    assert_eq!(code, 0, "{log}");
    let changes: Vec<Value> = world
        .records()
        .into_iter()
        .filter(|record| record["tool"].as_str().is_some_and(|tool| tool.starts_with("tools ")))
        .collect();
    assert_eq!(changes.len(), 2);
    let facts = changes[1]["arguments"].to_string();
    for fact in ["protocol:code", "language:python", "version:2", "sha256:"] {
        assert!(facts.contains(fact), "{facts}");
    }
    let text = config(POLITE, "");
    let listed = world.run(&text, &["tools", "list"], "");
    assert!(listed.exit == 0 && listed.out.contains("keeper") && listed.out.contains("(python)"), "{}", listed.out);
    let shown = world.run(&text, &["tools", "show", "keeper"], "");
    assert_eq!(shown.exit, 0, "{}{}", shown.out, shown.err);
    for part in ["Language  python", "Size      ", "Version   2", "Tools (1)", "keeper"] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    // The lines for the file make the same tool.
    let table = world.run(&text, &["tools", "show", "--toml", "keeper"], "").out;
    let said = World::new().run(&table, &["call", "keeper", "{}", "--no-input"], "");
    assert_eq!((said.exit, said.out.trim()), (0, "{\"is\":\"kept\"}"), "{table}{}", said.err);
    let unfit = world.run(&text, &["tools", "update", "keeper", "--header", "X-Key: canary"], "");
    assert!(unfit.exit != 0 && unfit.err.contains("reaches nothing") && !unfit.err.contains("canary"), "{}", unfit.err);
    let served = world.serve_http(&text);
    assert_eq!(gives(&served, "keeper", &json!({})), json!({"is": "kept"}));
    let shown = call_json(&served, "get_custom_function", &json!({"id": id, "version": 1}));
    assert_eq!(shown["source"], adder("python"));
    let (_, _, world) = served.end();
    assert_eq!(world.run(&text, &["tools", "remove", "keeper"], "").exit, 0);
    let served = world.serve_http(&text);
    assert_eq!(call_json(&served, "list_custom_functions", &json!({})), json!([]));
}

#[test]
fn g12_nothing_is_left_of_a_program_that_cannot_be_kept() {
    let served = serve("python");
    create(&served, "first", "python", adder("python"));
    let database = rusqlite::Connection::open(served.world().path("state/bailiwick.db")).expect("a database");
    let full = "CREATE TRIGGER full BEFORE INSERT ON code_versions BEGIN SELECT raise(ABORT, 'full'); END";
    database.execute_batch(full).expect("it can be changed");
    let (text, is_error) = call(&served, KEY, "create_code_tool", &code("second", "python", adder("python")));
    assert_eq!(
        (text.as_str(), is_error),
        ("the database of what is registered cannot be used; the host's log says why [host.internal]", true)
    );
    let names = |served: &Served| -> Vec<String> {
        let all = call_json(served, "list_custom_functions", &json!({}));
        all.as_array().expect("a list").iter().map(|one| one["name"].to_string()).collect()
    };
    assert_eq!(names(&served), ["\"first\""]);
    assert!(!listed(&served, OTHER_KEY).contains(&"second".to_owned()));
    // The twin: once it can be kept, it is.
    database.execute_batch("DROP TRIGGER full").expect("it can be changed");
    create(&served, "second", "python", adder("python"));
    assert_eq!(names(&served), ["\"first\"", "\"second\""]);
    assert_eq!(gives(&served, "second", &json!({"a": 1, "b": 1})), json!({"sum": 2}));
    // A source that is changed from outside is not run.
    let (_, _, world) = served.end();
    database.execute("UPDATE registrations SET record = replace(record, 'sum', 'som')", []).expect("it can be changed");
    drop(database);
    let served = world.serve_http(&config(POLITE, ""));
    assert_eq!(run(&served, OTHER_KEY, "second", &json!({"a": 1, "b": 1}))["detail"], "Tool 'second' not found");
}

#[test]
fn g12_who_may_not_manage_makes_and_sees_no_programs() {
    let served = serve("python");
    let id = create(&served, "adder", "python", adder("python"))["id"].clone();
    let (mine, theirs) = (listed(&served, KEY), listed(&served, OTHER_KEY));
    for (tool, arguments) in [
        ("create_code_tool", code("x", "python", "x = 1")),
        ("create_code_tool", json!({})),
        ("list_custom_functions", json!({})),
        ("get_custom_function", json!({"id": id})),
        ("update_custom_function", json!({"id": id, "source": "x = 1"})),
    ] {
        assert!(mine.iter().any(|known| known == tool) && !theirs.iter().any(|known| known == tool), "{tool}");
        for (name, arguments) in
            [(tool, arguments.clone()), ("call_tool", json!({"name": tool, "arguments": arguments}))]
        {
            let (text, is_error) = call(&served, OTHER_KEY, name, &arguments);
            assert!(is_error && text.contains("set `manage = true` under `[policies.user]`"), "{text}");
        }
        let said = run(&served, OTHER_KEY, tool, &arguments);
        assert_eq!(said["code"], "denied.manage", "{said}");
    }
    assert_eq!(gives(&served, "adder", &json!({"a": 1, "b": 1})), json!({"sum": 2}));
}

/// Everything that a program of this language could try to get out, each as a line of what came of it.
fn attempts(language: &str) -> &'static str {
    match language {
        "python" => {
            "import os, sys\n\
             def tried(what):\n    try:\n        return str(what())\n    except BaseException as error:\n        return 'no: ' + type(error).__name__\n\
             def fetched():\n    import urllib.request\n    return urllib.request.urlopen('http://127.0.0.1:1/').read()\n\
             def connected():\n    import socket\n    return socket.create_connection(('127.0.0.1', 1), 1)\n\
             def started():\n    import subprocess\n    return subprocess.run(['/bin/true'])\n\
             def called():\n    return api.echo(name='x')\n\
             def main(input):\n    return {\n        'file': tried(lambda: open('/etc/passwd').read()),\n        'folder': tried(lambda: os.listdir(input['state'])),\n        'write': tried(lambda: open('out.txt', 'w').write('x')),\n        'fetch': tried(fetched), 'socket': tried(connected), 'process': tried(started), 'call': tried(called),\n        'environment': 'no: ' + str(len([name for name in os.environ if name in ('PATH', 'HOME') or 'CARGO' in name])),\n    }\n"
        }
        _ => {
            "const tried = async (what) => { try { return String(await what()) } catch (error) { return 'no: ' + error.name } };\n\
             async function main(input) {\n  return {\n    file: await tried(() => require('fs').readFileSync('/etc/passwd')),\n    module: await tried(() => import('node:fs')),\n    fetch: await tried(() => fetch('http://127.0.0.1:1/')),\n    socket: await tried(() => new WebSocket('ws://127.0.0.1:1/')),\n    process: await tried(() => require('child_process').execSync('true')),\n    call: await tried(() => api.echo({ name: 'x' })),\n    environment: await tried(() => process.env.PATH.length),\n    deno: await tried(() => Deno.readTextFileSync('/etc/passwd')),\n  };\n}\n"
        }
    }
}

fn check_reaches_nothing(language: &str) {
    ready(language);
    // Whatever its maker may let tools reach, a program does not.
    let lines = "create = [\"* http://*\", \"* https://*\"]\ncreate_addresses = [\"127.0.0.0/8\"]";
    let served = World::new().serve_http(&config(POLITE, lines));
    create(&served, "tries", language, attempts(language));
    let state = served.world().path("state").display().to_string();
    let said = gives(&served, "tries", &json!({ "state": state }));
    let fields = said.as_object().expect("an object");
    assert!(fields.len() >= 8, "{said}");
    for (what, came) in fields {
        assert!(came.as_str().is_some_and(|text| text.starts_with("no: ")), "{what}: {said}");
    }
}

#[test]
fn g12_a_program_in_javascript_reaches_nothing() {
    check_reaches_nothing("javascript");
}

#[test]
fn g12_a_program_in_typescript_reaches_nothing() {
    check_reaches_nothing("typescript");
}

#[test]
fn g12_a_program_in_python_reaches_nothing() {
    check_reaches_nothing("python");
}

#[test]
fn g12_a_name_is_given_once_also_among_programs() {
    let served = serve("python");
    for (name, called) in [("Echo", "echo_2"), ("create code tool", "create_code_tool_2"), ("Echo", "echo_3")] {
        let said = create(&served, name, "python", adder("python"));
        assert_eq!(said["message"], format!("Function \"{name}\" created. Calls go by `{called}`."));
    }
}
