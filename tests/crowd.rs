//! Many callers at once, over HTTP: everyone is answered with what was asked, or clearly refused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use crate::support::host::World;
use crate::support::machine::is_slow_wanted;
use crate::support::served::{Answer, Served};

fn config(gateway: &str) -> String {
    format!(
        "[gateway]\nanonymous = \"all\"\nper_ip = 0\nper_key = 0\n{gateway}\napi = {{ enable_tool_execute = true }}\n\
         [policies.all]\ntools = [\"*\"]\nexecute = true\nper_minute = 0\n\
         [plugins.polite]\ncomponent = {:?}\nlimits = {{ concurrency = 64 }}\n",
        bailiwick_tests::guest("polite")
    )
}

/// A call whose answer is its own.
fn call(number: usize) -> Vec<u8> {
    let body = json!({"parameters": {"name": format!("caller {number}")}}).to_string();
    let head = format!(
        "POST /api/v1/tools/echo/execute HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}

/// What came of a call; the answer of another is none.
fn verdict(number: usize, answer: &Answer) -> &'static str {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    let own = format!("caller {number}");
    match (answer.status, &body["success"]) {
        (200, Value::Bool(true)) if body["output"].to_string().contains(&format!("{own}\\")) => "answered",
        (200, Value::Bool(false)) if body["output"].to_string().contains("is busy") => "refused: busy",
        (503, _) => "refused: no room",
        (429, _) => "refused: too often",
        _ => panic!("{own} was told {answer:?}"),
    }
}

async fn crowd(server: &Served, size: usize) -> BTreeMap<&'static str, usize> {
    let (address, ready) = (server.address, Arc::new(Barrier::new(size)));
    let callers = (0..size).map(|number| {
        let ready = Arc::clone(&ready);
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            // All are connected before the first one speaks.
            ready.wait().await;
            stream.write_all(&call(number)).await.expect("it reads");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.expect("it answers");
            verdict(number, &Answer::read(&mut bytes.as_slice()))
        })
    });
    let mut told = BTreeMap::new();
    for caller in callers.collect::<Vec<_>>() {
        *told.entry(caller.await.expect("it does not panic")).or_default() += 1;
    }
    told
}

/// The most memory a process had, in MiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux says");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("it is among what Linux says");
    line.split_whitespace().nth(1).and_then(|size| size.parse::<u64>().ok()).expect("a number") >> 10
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_calls_at_once_are_each_answered_or_refused() {
    let server = World::new().serve_http(&config(""));
    let told = crowd(&server, 300).await;
    assert_eq!(told.values().sum::<usize>(), 300);
    assert!(told["answered"] >= 64, "{told:?}");
    let told = crowd(&server, 1).await;
    assert_eq!(told["answered"], 1, "and then it is as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_at_once_are_each_answered_or_refused() {
    if !is_slow_wanted("10,000 calls at once") {
        return;
    }
    let server = World::new().serve_http(&config("connections = 12000"));
    let before = peak(server.pid());
    let begun = Instant::now();
    let told = crowd(&server, 10_000).await;
    let (took, after) = (begun.elapsed(), peak(server.pid()));
    println!("measured: 10,000 calls at once: {told:?}, {took:.1?}, memory {before} MiB before and {after} at most");
    assert_eq!(told.values().sum::<usize>(), 10_000);
    assert!(after < 1_024, "{after} MiB");
    let told = crowd(&server, 1).await;
    assert_eq!(told["answered"], 1, "and then it is as before");
}
