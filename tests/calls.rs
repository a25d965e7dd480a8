//! Tools that are made of other tools: `bailiwick:host/call`, by a component that uses it. Whatever it calls passes the gate as
//! if its own caller had called it.

use std::sync::Arc;
use std::time::Duration;

use bailiwick::channel::{Answer, Channel, Matter, Question};
use bailiwick_core::call::{Budget, Caller, May, Policy, Selector};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Barrier, mpsc};

use crate::support::host::{TestHost, World};
use crate::support::remedy;

const MAKER: &str = "[plugins.maker]\ncomponent = \"maker.wasm\"\n";
const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";

fn both(call: &str) -> String {
    format!("{MAKER}{call}\n{POLITE}")
}

fn one(tool: &str, arguments: Value) -> Value {
    json!({"calls": [{"tool": tool, "arguments": arguments}]})
}

async fn answers(host: &TestHost, tool: &str, arguments: Value) -> Value {
    host.value(tool, arguments).await
}

/// A server at a free port that answers when so many requests wait for an answer, and not before.
pub(crate) async fn server_of_crowds(crowd: usize) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
    let port = listener.local_addr().expect("it is bound").port();
    let barrier = Arc::new(Barrier::new(crowd));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                let mut head = Vec::new();
                let mut piece = [0; 4096];
                loop {
                    match stream.read(&mut piece).await {
                        Ok(0) | Err(_) => return,
                        Ok(n) => head.extend_from_slice(&piece[..n]),
                    }
                    if head.ends_with(b"\r\n\r\n") {
                        barrier.wait().await;
                        let body = if head.starts_with(b"HEAD") { "" } else { "<p>one two three</p>" };
                        let answer = format!(
                            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}",
                            "<p>one two three</p>".len()
                        );
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                        head.clear();
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn without_a_grant_no_tool_is_there_and_with_it_those_it_names() {
    let host = TestHost::new(&both("")).await;
    assert_eq!(answers(&host, "callable", json!({})).await, json!([]));
    let denied = answers(&host, "together", one("echo", json!({"name": "x"}))).await;
    assert_eq!(denied[0]["code"], "denied.call");
    let message = denied[0]["message"].as_str().expect("it says why");
    assert!(message.contains("add `call = [\"echo\"]` under `[plugins.maker]` (bailiwick.toml:1)"), "{message}");
    let outcome = host.call("together", one("echo", json!({"name": "x"}))).await;
    let fix = outcome.denials[0].fix.clone().expect("a refusal names its line");
    let granted = TestHost::new(&remedy::applied(&both(""), &fix)).await;
    assert_eq!(answers(&granted, "callable", json!({})).await, json!(["echo"]));
    let answer = answers(&granted, "together", one("echo", json!({"name": "x"}))).await;
    assert_eq!(answer[0]["ok"]["name"], "x", "{answer}");
    let other = answers(&granted, "together", one("counted", json!({"count": 1}))).await;
    assert_eq!(other[0]["code"], "denied.call");
}

#[tokio::test]
async fn what_its_caller_may_not_use_it_may_not_call() {
    let host = TestHost::new(&both("call = [\"*\"]")).await;
    assert_eq!(answers(&host, "together", one("echo", json!({"name": "x"}))).await[0]["ok"]["name"], "x");
    let host = host.caller("narrow", &["*", "!echo"]);
    let names = answers(&host, "callable", json!({})).await;
    let names: Vec<&str> = names.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(!names.contains(&"echo") && names.contains(&"counted"), "{names:?}");
    assert!(!names.contains(&"together"), "what calls tools is not called: {names:?}");
    let tools = host.host.list(&host.who());
    let hints =
        |name: &str| tools.iter().find(|(known, _)| known.as_str() == name).expect("it is listed").1.annotations;
    let (maker, counted) = (hints("together"), hints("counted"));
    assert_eq!((maker.read_only, maker.open_world), (Some(false), Some(true)), "what it calls may do anything");
    assert_eq!((counted.read_only, counted.open_world), (Some(true), Some(false)));
    let refused = answers(&host, "together", one("echo", json!({"name": "x"}))).await;
    let directly = host.call("echo", json!({"name": "x"})).await;
    assert_eq!(refused[0]["code"], directly.code(), "it is told what its caller would be told");
    let unknown = answers(&host, "together", one("nothing_of_this_name", json!({}))).await;
    assert_eq!(unknown[0]["code"], "tool.unknown");
}

#[tokio::test]
async fn what_calls_tools_is_not_called() {
    let host = TestHost::new(&both("call = [\"*\"]")).await;
    let inner = one("echo", json!({"name": "x"}));
    let answer = answers(&host, "together", one("together", inner)).await;
    assert_eq!(answer[0]["code"], "denied.call", "{answer}");
}

#[tokio::test]
async fn arguments_are_checked_and_a_failure_is_an_answer() {
    let host = TestHost::new(&both("call = [\"echo\"]")).await;
    let calls = json!({"calls": [
        {"tool": "echo", "arguments": {}},
        {"tool": "echo", "arguments": {"name": "x", "count": "many"}},
        {"tool": "echo", "arguments": [1]},
        {"tool": "", "arguments": {}},
        {"tool": "echo", "arguments": {"name": "good"}},
    ]});
    let told = answers(&host, "in_turn", calls).await;
    let codes: Vec<&Value> = (0..4).map(|n| &told[n]["code"]).collect();
    assert_eq!(codes, ["arguments.invalid", "arguments.invalid", "arguments.invalid", "tool.unknown"], "{told}");
    assert_eq!(told[4]["ok"]["name"], "good");
}

#[tokio::test]
async fn each_call_leaves_a_record_of_its_own_and_is_paid_for() {
    let host = TestHost::new(&both("call = [\"*\"]")).await.caller("somebody", &["*"]);
    let calls = json!({"calls": [
        {"tool": "echo", "arguments": {"name": "x"}},
        {"tool": "counted", "arguments": {"count": "no"}},
    ]});
    answers(&host, "in_turn", calls).await;
    let records = host.audit();
    let told: Vec<(&str, &str, &str)> = records
        .iter()
        .map(|record| {
            let text = |key: &str| record[key].as_str().expect("a text");
            (text("tool"), text("outcome"), text("caller"))
        })
        .collect();
    assert_eq!(
        told,
        [("echo", "ok", "somebody"), ("counted", "arguments.invalid", "somebody"), ("in_turn", "ok", "somebody"),]
    );
    let id = |n: usize| records[n]["call"].as_str().expect("a text").to_owned();
    assert_eq!([id(0), id(1)], [format!("{}.1", id(2)), format!("{}.2", id(2))], "the id says within which");
    assert_eq!(records[2]["operations"], json!({"call counted": 1, "call echo": 1}));

    let policy = Policy {
        name: "small".to_owned(),
        tools: Selector::all(),
        may: May { execute: true, ..May::default() },
        budget: Budget { calls: Some(3), ..Budget::default() },
        ..Policy::default()
    };
    let host = TestHost::new(&both("call = [\"*\"]")).await.called_by(Caller::under("key:small", &policy));
    let echo = json!({"tool": "echo", "arguments": {"name": "x"}});
    let told = answers(&host, "in_turn", json!({"calls": [echo, echo, echo]})).await;
    assert_eq!((&told[1]["ok"]["name"], &told[2]["code"]), (&json!("x"), &json!("limit.budget")), "{told}");
}

#[tokio::test]
async fn it_makes_no_more_calls_than_it_may() {
    let host = TestHost::new(&both("call = [\"*\"]\nlimits.calls = 2")).await;
    let echo = json!({"tool": "echo", "arguments": {"name": "x"}});
    let told = answers(&host, "together", json!({"calls": [echo, echo, echo]})).await;
    assert_eq!(told[2]["code"], "limit.calls");
    let message = told[2]["message"].as_str().expect("it says why");
    assert!(message.contains("raise `limits.calls` under `[plugins.maker]`"), "{message}");
    assert_eq!(told[1]["ok"]["name"], "x");
}

#[tokio::test]
async fn calls_that_are_begun_together_are_under_way_together() {
    let port = server_of_crowds(20).await;
    let text = format!(
        "{MAKER}call = [\"web_fetch\"]\nlimits.time = \"20s\"\n[plugins.web]\ncomponent = \"builtin:web-fetch\"\n\
         net = [\"GET,HEAD http://127.0.0.1:{port}\"]\nlimits.concurrency = 20\n"
    );
    let host = TestHost::new(&text).await;
    let page = |n: usize| json!({"tool": "web_fetch", "arguments": {"url": format!("http://127.0.0.1:{port}/{n}")}});
    let calls: Vec<Value> = (0..20).map(page).collect();
    let told = answers(&host, "together", json!({"calls": calls})).await;
    for (number, answer) in told.as_array().expect("a list").iter().enumerate() {
        assert_eq!(answer["ok"]["status"], 200, "{number}: {answer}");
        assert_eq!(answer["ok"]["url"], format!("http://127.0.0.1:{port}/{number}"), "they come in their order");
    }
}

/// A caller who takes `time` to answer every question with yes; and how many there were.
fn slow_to_agree(time: Duration) -> (Channel, mpsc::UnboundedReceiver<String>) {
    let (questions, mut received) = mpsc::channel::<Question>(8);
    let (noted, notes) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(question) = received.recv().await {
            let Matter::Form { message, .. } = &question.matter else { panic!("a form was asked") };
            drop(noted.send(message.clone()));
            tokio::time::sleep(time).await;
            drop(question.reply.send(Answer::Accepted(json!({}))));
        }
    });
    (Channel { questions: Some(questions), ..Channel::default() }, notes)
}

#[tokio::test]
async fn a_tool_of_high_risk_waits_for_a_person_and_that_takes_nobodys_time() {
    let text = both("call = [\"*\"]\nlimits.time = \"1s\"");
    let (channel, mut notes) = slow_to_agree(Duration::from_secs(2));
    let host = TestHost::new(&text).await.channel(channel);
    let told = answers(&host, "together", one("launch", json!({"target": "the moon"}))).await;
    assert_eq!(told[0]["ok"], "launched at the moon", "{told}");
    let message = notes.recv().await.expect("somebody was asked");
    assert!(message.contains("wants to run the tool `launch` of plugin `polite`"), "{message}");
    let host = host.channel(Channel::default());
    let told = answers(&host, "together", one("launch", json!({"target": "x"}))).await;
    assert_eq!(told[0]["code"], "denied.approval", "{told}");
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_ended_and_recorded() {
    for way in ["abandon", "leave"] {
        let port = server_of_crowds(2).await;
        let text = format!(
            "{MAKER}call = [\"*\"]\n[plugins.web]\ncomponent = \"builtin:web-fetch\"\nnet = [\"http://127.0.0.1:{port}\"]\n"
        );
        let host = TestHost::new(&text).await;
        let wanted = json!({"tool": "web_fetch", "arguments": {"url": format!("http://127.0.0.1:{port}/")}});
        assert_eq!(host.told(way, wanted).await, "ok: done");
        let records = host.audit();
        let of = |tool: &str| records.iter().find(|record| record["tool"] == tool).cloned();
        assert_eq!(of(way).expect("it has a record")["outcome"], "ok");
        // Whoever is not begun yet leaves none.
        if let Some(inner) = of("web_fetch") {
            assert_eq!(inner["outcome"], "cancelled", "{way}");
        }
    }
}

#[tokio::test]
async fn many_that_call_leave_room_for_what_they_call() {
    let world = World::new().host_keys("calls = 4\n");
    let host = Arc::new(world.start(&both("call = [\"*\"]")).await);
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let host = Arc::clone(&host);
            tokio::spawn(async move { answers(&host, "in_turn", one("echo", json!({"name": "x"}))).await })
        })
        .collect();
    for call in calls {
        let told = call.await.expect("nothing crashes");
        assert_eq!(told[0]["ok"]["name"], "x", "{told}");
    }
}
