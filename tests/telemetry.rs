//! What operators see of a running host: what leaves for a collector, what Prometheus reads, and where requests stand in
//! a trace. And what is in none of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::contract::CANARY;
use crate::support::host::World;
use crate::support::{Reply, TestHost, Upstream};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// `probe` that may ask `web`, and a collector if there is one.
fn config(web: &Upstream, collector: Option<&Upstream>, more: &str) -> String {
    let port = web.port;
    let telemetry =
        collector.map_or(String::new(), |collector| format!("[telemetry]\notlp = {:?}\n", collector.url("")));
    format!(
        "[plugins.probe]\ncomponent = \"probe.wasm\"\n\
         net = [\"GET,POST http://127.0.0.1:{port}\"]\n{more}\n{telemetry}"
    )
}

/// What a collector was sent, as spans.
fn spans(collector: &Upstream) -> Vec<Span> {
    let requests = collector.requests().into_iter().filter(|request| request.target == "/v1/traces");
    let mut spans = Vec::new();
    for request in requests {
        assert_eq!((request.method.as_str(), request.header("content-type")), ("POST", Some("application/x-protobuf")));
        let export = ExportTraceServiceRequest::decode(&*request.body).expect("it is what OTLP says");
        for resource in export.resource_spans {
            let of = resource.resource.expect("somebody sends it").attributes;
            assert_eq!(attributes(&of)["service.name"], json!("bailiwick"));
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, Value> {
    let value = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(number)) => json!(number),
        other => panic!("no other kinds are used: {other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), value(&pair.value))).collect()
}

/// Each span as `NAME < PARENT {attributes}`, in order of their names; ids and ports are left out.
fn shown(spans: &[Span], ports: &[(u16, &str)]) -> Vec<String> {
    let name = |id: &[u8]| spans.iter().find(|span| span.span_id == id).map_or("-", |span| &span.name);
    let mut lines: Vec<String> = spans
        .iter()
        .map(|span| {
            let mut attributes = attributes(&span.attributes);
            assert!(attributes.remove("gen_ai.tool.call.id").is_none_or(|id| id.is_string()));
            let attributes = serde_json::to_string(&attributes).expect("it is JSON");
            format!("{} < {} {attributes}", span.name, name(&span.parent_span_id))
        })
        .collect();
    for (port, name) in ports {
        lines.iter_mut().for_each(|line| *line = line.replace(&port.to_string(), name));
    }
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_sent_the_steps_of_each_call_and_no_value() {
    let (web, collector) = (Upstream::new(|_| Reply::status(404, CANARY)).await, Upstream::hello().await);
    let host = World::new().start(&config(&web, Some(&collector), "")).await.traced(PARENT, None);
    let headers = json!({"x-canary": CANARY});
    let url = web.url(&format!("/{CANARY}?q={CANARY}"));
    host.call("get", json!({"url": url, "method": "POST", "body": CANARY, "headers": headers})).await;
    host.call("get", json!({"url": format!("http://{CANARY}.example/")})).await;
    host.call(CANARY, json!({})).await;
    drop(host.end());
    let spans = spans(&collector);
    assert!(spans.iter().all(|span| hex::encode(&span.trace_id) == TRACE));
    let own = "\"bailiwick.caller.sort\":\"other\"";
    let tool =
        "\"gen_ai.operation.name\":\"execute_tool\",\"gen_ai.tool.name\":\"get\",\"gen_ai.tool.type\":\"extension\"";
    let plugin = "\"bailiwick.plugin\":\"probe\"";
    assert_eq!(
        shown(&spans, &[(web.port, "PORT")]),
        [
            "POST < execute_tool get {\"error.type\":\"404\",\"http.request.method\":\"POST\",\
             \"http.response.status_code\":404,\"server.address\":\"127.0.0.1\",\"server.port\":PORT}"
                .to_owned(),
            format!(
                "execute_tool < - {{{own},\"error.type\":\"tool.unknown\",\"gen_ai.operation.name\":\"execute_tool\",\
                 \"gen_ai.tool.type\":\"extension\"}}"
            ),
            format!("execute_tool get < - {{{own},{plugin},\"error.type\":\"denied.net.host\",{tool}}}"),
            format!("execute_tool get < - {{{own},{plugin},{tool}}}"),
        ]
    );
    for request in collector.requests() {
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!sent.contains(CANARY), "{}: {sent}", request.target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_sent_what_is_counted() {
    let (web, collector) = (Upstream::hello().await, Upstream::hello().await);
    let host = World::new().start(&config(&web, Some(&collector), "")).await;
    host.call("get", json!({"url": web.url("/")})).await;
    drop(host.end());
    let requests = collector.requests().into_iter().filter(|request| request.target == "/v1/metrics");
    let exports = requests.map(|request| ExportMetricsServiceRequest::decode(&*request.body).expect("it is OTLP"));
    let metrics = exports.flat_map(|export| export.resource_metrics).flat_map(|resource| resource.scope_metrics);
    let mut names: Vec<String> = metrics.flat_map(|scope| scope.metrics).map(|metric| metric.name).collect();
    names.sort();
    let expected = [
        "bailiwick.call.duration",
        "bailiwick.calls",
        "bailiwick.calls.running",
        "bailiwick.calls.waiting",
        "bailiwick.egress.io",
        "bailiwick.egress.requests",
        "bailiwick.plugins",
        "bailiwick.plugins.problems",
        "bailiwick.tools",
    ];
    assert_eq!(names, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_slot_is_a_step_of_its_own() {
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let web = Upstream::new(move |_| {
        let _ = held.lock().unwrap_or_else(PoisonError::into_inner).recv();
        Reply::ok("hello")
    });
    let (web, collector) = (web.await, Upstream::hello().await);
    let text = config(&web, Some(&collector), "[plugins.probe.limits]\nconcurrency = 1");
    let host = World::new().start(&text).await;
    let calls = (0..2).map(|_| host.call("get", json!({"url": web.url("/")})));
    let one_waits = async {
        while !host.host.metrics().contains("bailiwick_calls_waiting 1\n") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(let_go);
    };
    tokio::join!(futures::future::join_all(calls), one_waits);
    drop(host.end());
    let spans = spans(&collector);
    let waits: Vec<&Span> = spans.iter().filter(|span| span.name == "queue wait").collect();
    assert_eq!(waits.len(), 1, "the first did not wait");
    let around = spans.iter().find(|span| span.span_id == waits[0].parent_span_id);
    assert_eq!(around.map(|span| span.name.as_str()), Some("execute_tool get"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_traces_that_nobody_decided_about_so_many_are_kept_and_the_others_word_counts() {
    let (web, collector) = (Upstream::hello().await, Upstream::hello().await);
    let text = format!("{}sample = 0\n", config(&web, Some(&collector), ""));
    let host = World::new().start(&text).await;
    host.call("get", json!({"url": web.url("/")})).await;
    let host = host.traced(PARENT, None);
    host.call("get", json!({"url": web.url("/")})).await;
    drop(host.end());
    assert_eq!(spans(&collector).len(), 2, "the call and its request of the trace that is kept");
    let sent: Vec<String> =
        web.requests().iter().map(|asked| asked.header("traceparent").unwrap().to_owned()).collect();
    assert!(sent[0].ends_with("-00") && !sent[0].contains(TRACE), "{sent:?}");
    assert!(sent[1].ends_with("-01") && sent[1].contains(TRACE), "{sent:?}");
}

/// What a server sees of a trace: the two headers.
async fn seen(collector: Option<&Upstream>, parent: Option<&str>, own: Value) -> Vec<(Option<String>, Option<String>)> {
    let web = Upstream::hello().await;
    let mut host = World::new().start(&config(&web, collector, "")).await;
    if let Some(parent) = parent {
        host = host.traced(parent, Some("vendor=1"));
    }
    host.call("get", json!({"url": web.url("/"), "headers": own})).await;
    let header = |name| web.requests().iter().map(|asked| asked.header(name).map(str::to_owned)).collect::<Vec<_>>();
    header("traceparent").into_iter().zip(header("tracestate")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_a_caller_began_goes_on_to_whom_a_plugin_asks() {
    let passed = seen(None, Some(PARENT), json!({})).await;
    assert_eq!(passed, [(Some(PARENT.to_owned()), Some("vendor=1".to_owned()))]);
    // Nobody traces: nothing is said.
    assert_eq!(seen(None, None, json!({})).await, [(None, None)]);
    let collector = Upstream::hello().await;
    let [(Some(parent), state)] = &seen(Some(&collector), Some(PARENT), json!({})).await[..] else { panic!() };
    let request = spans(&collector).into_iter().find(|span| span.name == "GET").expect("it is traced");
    assert_eq!(*parent, format!("00-{TRACE}-{}-01", hex::encode(&request.span_id)), "it names the request's own span");
    assert_eq!(state.as_deref(), Some("vendor=1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_cannot_put_its_requests_into_another_trace() {
    let forged = "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01";
    let own = json!({"traceparent": forged, "tracestate": "forged=1"});
    let passed = seen(None, Some(PARENT), own.clone()).await;
    assert_eq!(passed, [(Some(PARENT.to_owned()), Some("vendor=1".to_owned()))]);
    let collector = Upstream::hello().await;
    let [(Some(parent), None)] = &seen(Some(&collector), None, own.clone()).await[..] else {
        panic!("a state is left")
    };
    assert!(!parent.contains("ffffffff"), "{parent}");
    // Where the host knows of no trace, they are headers like any other that the plugin may send.
    assert_eq!(seen(None, None, own).await, [(Some(forged.to_owned()), Some("forged=1".to_owned()))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_answer_holds_up_no_call_and_ends_within_a_second() {
    let (web, silent) = (Upstream::hello().await, Upstream::new(|_| Reply::silence()).await);
    let host = World::new().start(&config(&web, Some(&silent), "")).await;
    for _ in 0..700 {
        // More than one delivery takes, so that the next ones wait.
        assert_eq!(host.call(CANARY, json!({})).await.code(), "tool.unknown");
    }
    assert!(host.told("get", json!({"url": web.url("/")})).await.starts_with("ok: "));
    let start = Instant::now();
    drop(host.end());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_there_is_none_to_be_reached() {
    let web = Upstream::hello().await;
    let text = format!("{}[telemetry]\notlp = \"http://127.0.0.1:1\"\n", config(&web, None, ""));
    let host = World::new().start(&text).await;
    assert!(host.told("get", json!({"url": web.url("/")})).await.starts_with("ok: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_a_step_of_its_own_and_counted_by_what_came_of_it() {
    let collector = Upstream::hello().await;
    let telemetry = format!("[telemetry]\notlp = {:?}", collector.url(""));
    let text = format!("[plugins.polite]\ncomponent = \"polite.wasm\"\n{telemetry}");
    let host = World::new().start(&text).await;
    assert_eq!(host.call("launch", json!({"target": "x"})).await.code(), "denied.approval");
    let counted = counted(&host);
    assert!(counted.contains(&"bailiwick_approvals_total{answer=\"unaskable\"} 1".to_owned()), "{counted:#?}");
    drop(host.end());
    let steps: Vec<String> = shown(&spans(&collector), &[]);
    let steps: Vec<&str> = steps.iter().map(|line| line.split(" {").next().unwrap_or_default()).collect();
    assert_eq!(steps, ["approval wait < execute_tool launch", "execute_tool launch < -"]);
}

/// Lines of what Prometheus reads, without those that time decides.
fn counted(host: &TestHost) -> Vec<String> {
    let text = host.host.metrics();
    let of_time = ["_seconds", "bailiwick_components", "bailiwick_audit_backlog", "bailiwick_build"];
    let lines = text.lines().filter(|line| !line.starts_with('#') && !of_time.iter().any(|name| line.contains(name)));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_has_names_of_the_configuration_and_no_others() {
    let web = Upstream::new(|_| Reply::ok("12345")).await;
    let host = World::new().start(&config(&web, None, "")).await;
    host.call("get", json!({"url": web.url("/"), "method": "POST", "body": "123"})).await;
    host.call("get", json!({"url": "http://other.example/"})).await;
    for n in 0..3 {
        host.call(&format!("{CANARY}{n}"), json!({})).await;
    }
    assert_eq!(
        counted(&host),
        [
            "bailiwick_calls_running 0",
            "bailiwick_calls_total{plugin=\"(unknown)\",tool=\"(unknown)\",outcome=\"tool.unknown\",caller=\"other\"} 3",
            "bailiwick_calls_total{plugin=\"probe\",tool=\"get\",outcome=\"denied.net.host\",caller=\"other\"} 1",
            "bailiwick_calls_total{plugin=\"probe\",tool=\"get\",outcome=\"ok\",caller=\"other\"} 1",
            "bailiwick_calls_waiting 0",
            "bailiwick_denials_total{code=\"denied.net.host\"} 1",
            "bailiwick_egress_bytes_total{plugin=\"probe\",direction=\"received\"} 5",
            "bailiwick_egress_bytes_total{plugin=\"probe\",direction=\"sent\"} 3",
            "bailiwick_egress_requests_total{plugin=\"probe\",method=\"POST\",status=\"2xx\"} 1",
            "bailiwick_plugin_problems 0",
            "bailiwick_plugins 1",
            &format!("bailiwick_tools {}", host.listed().len()),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_own_parser_reads_it() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/.venv/bin/python");
    let found = python.exists() && {
        let asked = Command::new(&python).args(["-c", "import prometheus_client"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    if !found {
        println!("skip   prometheus_client is not there; run `tests/install.sh clients models`");
        return;
    }
    let web = Upstream::hello().await;
    let host = World::new().start(&config(&web, None, "")).await;
    host.call("get", json!({"url": web.url("/")})).await;
    let file = host.world.path("metrics.txt");
    std::fs::write(&file, host.host.metrics()).expect("a file can be written");
    let script = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
                  for family in read(open(sys.argv[1]).read()):\n  print(family.name, family.type, family.unit)";
    let output = Command::new(python).args(["-c", script]).arg(&file).output().expect("it can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        read.lines().map(str::trim_end).collect::<Vec<_>>(),
        [
            "bailiwick_build info",
            "bailiwick_calls counter",
            "bailiwick_call_duration_seconds histogram seconds",
            "bailiwick_calls_running gauge",
            "bailiwick_calls_waiting gauge",
            "bailiwick_egress_requests counter",
            "bailiwick_egress_bytes counter bytes",
            "bailiwick_plugins gauge",
            "bailiwick_plugin_problems gauge",
            "bailiwick_tools gauge",
            "bailiwick_components_cached counter",
            "bailiwick_components_compiled counter",
            "bailiwick_audit_backlog gauge",
        ]
    );
}

/// The names of a process's threads.
fn threads(process: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let names = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_reaches_its_collector_from_behind_its_wall_and_has_no_threads_for_it_without_one() {
    let (web, collector) = (Upstream::hello().await, Upstream::hello().await);
    let exports = |process| threads(process).iter().any(|name| name.starts_with("OpenTelemetry"));
    let world = World::new();
    let mut plain = world.serve(&config(&web, None, ""), &[]);
    plain.call("get", json!({"url": web.url("/")}));
    assert!(!exports(plain.id()));
    plain.end();
    let mut traced = world.serve(&config(&web, Some(&collector), ""), &[]);
    traced.call("get", json!({"url": web.url("/")}));
    assert!(exports(traced.id()));
    let said = traced.end();
    let spans = spans(&collector);
    assert!(spans.iter().any(|span| span.name == "execute_tool get"), "{said}");
}

/// A server whose callers need no key, under a policy with these lines.
fn open_to_all(policy: &str, telemetry: &str) -> String {
    format!(
        "[plugins.probe]\ncomponent = \"probe.wasm\"\n[gateway]\nanonymous = \"all\"\n\
         [policies.all]\ntools = [\"*\"]\n{policy}\n[telemetry]\n{telemetry}\n"
    )
}

#[test]
fn what_is_counted_is_for_those_who_may_manage_or_for_all_or_for_none() {
    let asked = |text: &str| World::new().serve_http(text).get("/metrics", &[]);
    let refused = asked(&open_to_all("execute = true", ""));
    let detail = "reading metrics takes a policy with `manage = true`, or `metrics = \"open\"` under `[telemetry]`";
    assert_eq!(refused.told(), (403, json!({"detail": detail})));
    for text in [open_to_all("manage = true", "metrics = \"key\""), open_to_all("", "metrics = \"open\"")] {
        let answer = asked(&text);
        assert_eq!(answer.status, 200);
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(answer.header("content-type"), Some(kind));
        assert!(answer.body.contains("bailiwick_plugins 1\n") && answer.body.ends_with("# EOF\n"), "{}", answer.body);
    }
    assert_eq!(asked(&open_to_all("manage = true", "metrics = \"off\"")).status, 404);
    assert_eq!(asked("[plugins.probe]\ncomponent = \"probe.wasm\"").status, 401);
}

#[test]
fn requests_are_counted_by_route_and_logged_without_what_they_say() {
    let server = World::new().serve_http_with(&open_to_all("manage = true", "metrics = \"open\""), &["--log", "info"]);
    let path = format!("/{CANARY}?key={CANARY}");
    assert_eq!(server.get(&path, &[("X-Canary", CANARY), ("X-Request-ID", "mine-1")]).status, 404);
    server.request(&CANARY.to_uppercase().replace('-', ""), "/healthz", &[], "");
    assert_eq!(server.get("/healthz", &[("traceparent", PARENT)]).status, 200);
    let text = server.get("/metrics", &[]).body;
    let counted: Vec<&str> = text.lines().filter(|line| line.starts_with("bailiwick_http_requests_total")).collect();
    for expected in [
        "bailiwick_http_requests_total{route=\"(none)\",method=\"GET\",status=\"404\"} 1",
        "bailiwick_http_requests_total{route=\"/healthz\",method=\"GET\",status=\"200\"} 1",
        "bailiwick_http_requests_total{route=\"/healthz\",method=\"_OTHER\",status=\"405\"} 1",
    ] {
        assert!(counted.contains(&expected), "{counted:#?}");
    }
    let (_, said, _) = server.end();
    let plain = strip(&said);
    assert!(!plain.to_lowercase().contains(&CANARY.to_lowercase()), "{plain}");
    let line = |part: &str| {
        let found = plain.lines().find(|line| line.contains("request=") && line.contains(part));
        found.unwrap_or_else(|| panic!("no line with {part}: {plain}")).to_owned()
    };
    assert!(line("\"mine-1\"").contains("method=\"GET\" route=\"(none)\" status=404 ms="), "{plain}");
    assert!(line(TRACE).contains("method=\"GET\" route=\"/healthz\" status=200 ms="), "{plain}");
}

/// Without colours.
fn strip(text: &str) -> String {
    let mut out = String::new();
    let mut pieces = text.split('\u{1b}');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.push_str(piece.split_once('m').map_or(piece, |(_, rest)| rest));
    }
    out
}

/// `tools/call` as MCP without sessions has it.
fn call(tool: &str, arguments: Value, meta: Value) -> (Vec<(&'static str, String)>, Value) {
    let mut meta = meta;
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "test", "version": "1"});
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let headers = [
        ("Accept", "application/json, text/event-stream".to_owned()),
        ("MCP-Protocol-Version", "2026-07-28".to_owned()),
        ("Mcp-Method", "tools/call".to_owned()),
        ("Mcp-Name", tool.to_owned()),
    ];
    let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
    (headers.into(), json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_http_is_a_trace_from_its_client_to_whom_its_tool_asks() {
    let (web, collector) = (Upstream::hello().await, Upstream::hello().await);
    let text = config(
        &web,
        Some(&collector),
        "[gateway]\nanonymous = \"all\"\n[policies.all]\ntools = [\"*\"]\nexecute = true",
    );
    let server = World::new().serve_http(&text);
    let ask = |meta: Value, parent: Option<&str>| {
        let (mut headers, body) = call("get", json!({"url": web.url("/")}), meta);
        headers.extend(parent.map(|parent| ("traceparent", parent.to_owned())));
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = server.post("/mcp", &headers, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    ask(json!({}), Some(PARENT));
    let other = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01";
    ask(json!({"traceparent": other}), Some("nonsense"));
    let (_, said, _) = server.end();
    let spans = spans(&collector);
    let of =
        |trace: &str| spans.iter().filter(|span| hex::encode(&span.trace_id) == trace).cloned().collect::<Vec<_>>();
    let names = |spans: &[Span]| {
        let shown = shown(spans, &[]);
        shown.iter().map(|line| line.split(" {").next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let chain =
        ["GET < execute_tool get", "POST /mcp < -", "execute_tool get < tools/call get", "tools/call get < POST /mcp"];
    assert_eq!(names(&of(TRACE)), chain, "{said}");
    // What MCP itself says comes before what the HTTP request says.
    let chain = ["GET < execute_tool get", "execute_tool get < tools/call get", "tools/call get < -"];
    assert_eq!(names(&of(&"a".repeat(32))), chain, "{said}");
    let first = of(TRACE);
    let root = first.iter().find(|span| span.name == "POST /mcp").expect("it is there");
    assert_eq!(hex::encode(&root.parent_span_id), "b7ad6b7169203331");
    let request = first.iter().find(|span| span.name == "GET").expect("it is there");
    let sent = web.requests()[0].header("traceparent").map(str::to_owned);
    assert_eq!(sent, Some(format!("00-{TRACE}-{}-01", hex::encode(&request.span_id))));
}
