//! Other people's OpenAPI documents, from the packages that `services/documents.json` names, and other people's programs
//! that judge what becomes of them: jsonschema the schemas, json-schema-faker and ajv make arguments, Prism holds every
//! request against the document it came of.
//!
//! What is not installed is skipped, and that is told; `just test` installs it. `UPDATE=1` writes the list's counts anew.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use bailiwick_core::openapi::{Format, Options, Service, parse, read};
use serde_json::{Value, json};

use crate::support::machine::is_slow_wanted;
use crate::support::{TestHost, told};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services")
}

/// Whether all that judges is there; tells it if not.
fn is_installed() -> bool {
    let needed = ["node_modules/.installed", ".venv/.installed", ".documents/.installed"];
    let missing = needed.iter().find(|needed| !folder().join(needed).exists());
    if let Some(missing) = missing {
        println!("skip   services/{missing} is not there; run `tests/install.sh services`");
    }
    missing.is_none()
}

/// The list, entry by entry.
fn documents() -> Vec<Value> {
    let list = std::fs::read_to_string(folder().join("documents.json")).expect("the list can be read");
    serde_json::from_str(&list).expect("the list is JSON")
}

/// Writes the list, if it is to be written.
fn keep(list: &[Value]) {
    if std::env::var_os("UPDATE").is_some() {
        let list = serde_json::to_string_pretty(list).expect("JSON") + "\n";
        std::fs::write(folder().join("documents.json"), list).expect("the list can be written");
    }
}

fn text<'v>(entry: &'v Value, key: &str) -> &'v str {
    entry[key].as_str().unwrap_or_else(|| panic!("`{key}` is a text in {entry}"))
}

fn path(entry: &Value) -> PathBuf {
    let ending = text(entry, "path").rsplit('.').next().expect("files have an ending");
    folder().join(".documents").join(format!("{}.{ending}", text(entry, "name")))
}

fn document(entry: &Value) -> Value {
    let document = std::fs::read_to_string(path(entry)).expect("the document can be read");
    parse(&document, Format::Either).unwrap_or_else(|error| panic!("{}: {error}", text(entry, "name")))
}

fn service(entry: &Value, document: &Value) -> Service {
    let url = format!("http://127.0.0.1/{}", text(entry, "name")).parse().expect("an address");
    read(document, &Options { url: Some(url), ..Options::default() }).expect("the document describes a service")
}

/// Operations in a document, counted in another way than the reader's: the keys below `paths` that are methods.
fn operations(document: &Value) -> usize {
    let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let paths = document["paths"].as_object().expect("there are paths").values();
    paths.map(|item| methods.iter().filter(|method| item.get(**method).is_some()).count()).sum()
}

/// Whether a document is too large for every run.
fn is_left_out(entry: &Value, slow: bool) -> bool {
    const LARGE: u64 = 2 << 20;
    let size = std::fs::metadata(path(entry)).expect("the document is there").len();
    entry["slow"] == true && size > LARGE && !slow
}

/// Runs a script with `input` and gives what it says, line by line.
fn run(interpreter: &str, script: &str, input: &[Value]) -> Vec<String> {
    let mut child = Command::new(interpreter)
        .arg(script)
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the interpreter can be started");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input: String = input.iter().map(|line| format!("{line}\n")).collect();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writing.join().expect("it is written").expect("it is read");
    assert!(output.status.success(), "{script} fails");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn tools(service: &Service) -> Vec<Value> {
    let tool = |definition: &bailiwick_core::registry::Definition| {
        let schema: Value = serde_json::from_str(&definition.input_schema).expect("a schema is JSON");
        json!({ "tool": definition.name, "schema": schema })
    };
    service.tools.iter().map(|entry| tool(entry.definition())).collect()
}

#[test]
fn every_operation_of_a_document_is_a_tool_or_it_is_said_why_not() {
    if !is_installed() {
        return;
    }
    let slow = is_slow_wanted("the tools of the largest documents");
    let mut list = documents();
    let (mut schemas, mut n_operations, mut n_documents) = (Vec::new(), 0, 0);
    for entry in list.iter_mut().filter(|entry| !is_left_out(entry, slow)) {
        let document = document(entry);
        let service = service(entry, &document);
        let left_out: BTreeMap<_, _> =
            service.left_out.iter().map(|left| (left.operation.as_str(), left.reason.as_str())).collect();
        let operations = operations(&document);
        assert_eq!(service.tools.len() + service.left_out.len(), operations, "{}", text(entry, "name"));
        assert_eq!(left_out.len(), service.left_out.len(), "each is left out once");
        n_operations += operations;
        n_documents += 1;
        for tool in &service.tools {
            schemas.extend(tool.definition().output_schema.iter().map(|schema| {
                json!({ "tool": tool.definition().name, "schema": serde_json::from_str::<Value>(schema).expect("JSON") })
            }));
        }
        schemas.extend(tools(&service));
        let became = (json!(service.tools.len()), json!(left_out));
        if std::env::var_os("UPDATE").is_some() {
            (entry["tools"], entry["left_out"]) = became;
        } else {
            assert_eq!((&entry["tools"], &entry["left_out"]), (&became.0, &became.1), "{}", text(entry, "name"));
        }
    }
    keep(&list);
    let said = run(".venv/bin/python", "schemas.py", &schemas);
    assert_eq!(said, [schemas.len().to_string()], "every schema is one of JSON Schema 2020-12");
    println!("measured: {n_documents} documents, {n_operations} operations, {} schemas", schemas.len());
}

/// Prism, behind a port of its own.
struct Judge {
    child: Child,
    verdicts: BufReader<ChildStdout>,
    port: u16,
}

impl Judge {
    fn start() -> Self {
        let mut child = Command::new("node")
            .args(["server.mjs", ".documents"])
            .current_dir(folder())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node can be started");
        let mut verdicts = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut port = String::new();
        verdicts.read_line(&mut port).expect("it says its port");
        Self { child, verdicts, port: port.trim().parse().expect("a port") }
    }

    /// Has it read a document, which takes longer than a call may, and gives the number of operations it sees.
    fn open(&self, name: &str) -> usize {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        write!(stream, "GET /{name} HTTP/1.0\r\n\r\n").expect("it reads");
        let last = BufReader::new(stream).lines().map_while(Result::ok).last();
        last.and_then(|last| last.trim().parse().ok()).expect("it says how many operations there are")
    }

    /// What it said of the last request. Every request has one verdict.
    fn verdict(&mut self) -> Value {
        let mut line = String::new();
        self.verdicts.read_line(&mut line).expect("it says what it found");
        serde_json::from_str(&line).expect("a verdict is JSON")
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether every text, number and truth value of the arguments is in the request.
fn arrived(value: &Value, texts: &str) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => texts.contains(&value.to_string()),
        // Bytes, which some places want as they are.
        Value::String(text) if text == "ZmlsZQ==" => texts.contains("file") || texts.contains(text),
        Value::String(text) => texts.contains(text.trim()),
        Value::Array(items) => items.iter().all(|item| arrived(item, texts)),
        Value::Object(fields) => fields.values().all(|field| arrived(field, texts)),
    }
}

/// What is wrong with the request that a call made, if anything is.
fn wrong(verdict: &Value, operation: &str, arguments: &Value) -> Option<String> {
    let errors: Vec<&str> = verdict["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !errors.is_empty() {
        return Some(errors.join("; "));
    }
    if verdict["operation"] != operation {
        return Some(format!("it is taken for {}", verdict["operation"]));
    }
    let texts = verdict["texts"].as_str().unwrap_or_default();
    (!arrived(arguments, texts)).then(|| "not all of the arguments are in it".to_owned())
}

/// Calls every tool of a document twice, with as little and with as much as its schema takes, and has Prism say whether
/// the request is one of the operation's. The list names those that are not, with whose fault that is.
async fn judged(judge: &mut Judge, entry: &Value) -> BTreeMap<String, String> {
    let name = text(entry, "name");
    let service = service(entry, &document(entry));
    assert_eq!(judge.open(name), service.tools.len() + service.left_out.len(), "{name}: Prism counts otherwise");
    let config = format!(
        "[plugins.s]\nopenapi = {{ url = \"http://127.0.0.1:{port}/{name}\", spec = {spec:?} }}\n\
         net = [\"GET,HEAD,OPTIONS,POST,PUT,PATCH,DELETE http://127.0.0.1:{port}\"]\napproval = \"never\"\n",
        port = judge.port,
        spec = path(entry),
    );
    let host = TestHost::new(&config).await;
    assert_eq!(host.problems(), [""; 0], "{name}");
    let listed = host.listed();
    let of: BTreeMap<&str, String> = service
        .tools
        .iter()
        .map(|tool| (tool.definition().name.as_str(), format!("{} {}", tool.operation().method, tool.path)))
        .collect();
    let (mut n_sent, mut n_seen, mut n_without) = (0, 0, 0);
    let mut mismatches = BTreeMap::new();
    for line in run("node", "arguments.mjs", &tools(&service)) {
        let made: Value = serde_json::from_str(&line).expect("arguments are JSON");
        let (tool, arguments) = (text(&made, "tool"), &made["arguments"]);
        if arguments.is_null() {
            n_without += 1;
            continue;
        }
        let full = listed.iter().find(|full| *full == tool);
        let full = full.or_else(|| listed.iter().find(|full| full.ends_with(&format!("_{tool}"))));
        let full = full.unwrap_or_else(|| panic!("`{tool}` is not listed"));
        let outcome = host.call(full, arguments.clone()).await;
        let found = match &outcome.result {
            Ok(_) => {
                n_sent += 1;
                let verdict = judge.verdict();
                n_seen += usize::from(verdict["sees"] == true);
                wrong(&verdict, &of[tool], arguments)
            }
            Err(_) => Some(told(&outcome)),
        };
        if let Some(found) = found {
            mismatches.insert(format!("{tool}, {}", text(&made, "kind")), found);
        }
    }
    let n_operations = service.tools.len() + service.left_out.len();
    println!(
        "measured: {name}: {n_operations} operations, {} tools; {n_sent} requests, {} of calls were not as the document says; \
         Prism sees damage in {n_seen}; {n_without} calls could not be made up",
        service.tools.len(),
        mismatches.len(),
    );
    // The smallest take nothing that could be damaged.
    assert!(n_seen > 0 || n_operations < 5, "{name}: Prism sees nothing at all");
    mismatches
}

/// Compares what was found with what is known; `UPDATE=1` makes it known.
fn compare(entry: &mut Value, found: BTreeMap<String, String>) {
    let known = entry["mismatches"].as_object().expect("mismatches are by call").clone();
    if std::env::var_os("UPDATE").is_some() {
        let why = |(call, found): (String, String)| {
            let why = known.get(&call).cloned().unwrap_or_else(|| found.chars().take(200).collect::<String>().into());
            (call, why)
        };
        entry["mismatches"] = found.into_iter().map(why).collect();
        return;
    }
    let new: Vec<_> = found.iter().filter(|(call, _)| !known.contains_key(*call)).collect();
    let gone: Vec<_> = known.keys().filter(|call| !found.contains_key(*call)).collect();
    assert!(new.is_empty() && gone.is_empty(), "{}: new {new:#?}, no longer {gone:?}", text(entry, "name"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_is_what_the_document_takes() {
    if !is_installed() {
        return;
    }
    let mut judge = Judge::start();
    let slow = is_slow_wanted("requests of the larger documents");
    let mut list = documents();
    for number in 0..list.len() {
        let entry = &mut list[number];
        if let Some(why) = entry["unjudged"].as_str() {
            println!("left out: requests of {}: {why}", text(entry, "name"));
        } else if slow || entry["slow"] == false {
            let found = judged(&mut judge, entry).await;
            compare(entry, found);
            keep(&list);
        }
    }
}
