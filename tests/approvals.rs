//! Calls that wait for a person: who is asked, whose answer counts, and what becomes of calls that nobody answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick::approval::{AnswerError, Entry};
use bailiwick::channel::{Answer, Channel, Question};
use bailiwick_core::approval::{ApprovalId, Decision, Reply, State};
use bailiwick_core::call::{Call, Caller, May};
use bailiwick_core::outcome::Outcome;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::host::World;
use crate::support::served::Served;
use crate::support::server::Server;
use crate::support::upstream::Reply as Answered;
use crate::support::{TestHost, Upstream, told};

const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
const REJECTED: &str = "denied.approval: Tool call rejected by user.";
const TIMED_OUT: &str = "denied.approval: Tool call rejected by user. (approval timed out)";
const UNASKABLE: &str = "denied.approval: `launch` needs a person's approval and this caller has no way to give it; \
    add `approval = \"never\"` under `[plugins.polite]` (bailiwick.toml:1)";

/// A host at which somebody else than the caller can answer.
async fn attended(text: &str) -> TestHost {
    let host = TestHost::new(text).await;
    host.host.desk().answered_by(|| true);
    host
}

/// A caller that may run tools and nothing else.
fn agent(name: &str) -> Arc<Caller> {
    let may = May { execute: true, ..May::default() };
    Arc::new(Caller { may, ..Caller::operator(name) })
}

/// Begins a call of somebody's.
fn begun(host: &TestHost, caller: &Arc<Caller>, tool: &str, arguments: Value, channel: Channel) -> JoinHandle<Outcome> {
    let (host, caller) = (Arc::clone(&host.host), Arc::clone(caller));
    let (id, tool) = (host.new_call_id(), tool.to_owned());
    let call = Call { id, tool, arguments: arguments.to_string(), caller, trace: None, session: None };
    tokio::spawn(async move { host.call(call, channel).await })
}

/// Begins a call of `launch` that nobody but others can agree to.
fn launch(host: &TestHost, caller: &str, target: &str) -> JoinHandle<Outcome> {
    begun(host, &agent(caller), "launch", json!({"target": target}), Channel::default())
}

/// Waits until so many approvals wait.
async fn pending(host: &TestHost, number: usize) -> Vec<Entry> {
    let mut changed = host.host.desk().watch();
    loop {
        let entries = host.host.desk().list(Some(State::Pending)).await.expect("the store can be read");
        if entries.len() == number {
            return entries;
        }
        let more = tokio::time::timeout(Duration::from_secs(30), changed.changed());
        more.await.expect("it comes to that").expect("the desk is there");
    }
}

fn id(entry: &Entry) -> ApprovalId {
    ApprovalId::parse(&entry.id).expect("it is an id")
}

fn approve(arguments: Option<Value>, minutes: Option<u32>) -> Reply {
    let arguments = arguments.map(|arguments| arguments.to_string());
    Reply { decision: Decision::Approve { arguments, minutes }, reason: None }
}

async fn outcome(call: JoinHandle<Outcome>) -> String {
    told(&call.await.expect("the call does not crash"))
}

/// The state of an approval that a test has seen before, and who answered it.
async fn state(host: &TestHost, entry: &Entry) -> (&'static str, Option<String>) {
    let entry = host.host.desk().one(&id(entry)).await.expect("the store can be read").expect("it is kept");
    (entry.state, entry.by)
}

#[tokio::test]
async fn who_may_approve_answers_for_others_and_the_audit_says_who() {
    let host = attended(POLITE).await;
    let calls = [launch(&host, "key:agent", "moon"), launch(&host, "key:agent", "mars")];
    let entries = pending(&host, 2).await;
    let of = |target: &str| entries.iter().find(|entry| entry.facts.arguments["target"] == target).expect("it waits");
    let (moon, mars) = (of("moon"), of("mars"));
    let mut shown = json!(moon);
    let fields = shown.as_object_mut().expect("an object");
    for name in ["id", "call", "created", "expires"] {
        assert!(fields.remove(name).is_some_and(|text| text.as_str().is_some_and(|text| !text.is_empty())), "{name}");
    }
    assert_eq!(
        shown,
        json!({
            "state": "pending", "caller": "key:agent", "tool": "launch", "plugin": "polite", "risk": "high",
            "why": "its plugin says that its risk is high", "arguments": {"target": "moon"}, "may": [],
        })
    );
    let desk = host.host.desk();
    let answered = desk.answer(&id(moon), "key:boss", Reply::YES).await.expect("it waits");
    assert_eq!((answered.state, answered.by.as_deref()), ("approved", Some("key:boss")));
    let no = Reply { reason: Some("not today".to_owned()), ..Reply::NO };
    desk.answer(&id(mars), "key:boss", no).await.expect("it waits");
    let [moon_call, mars_call] = calls;
    assert_eq!(outcome(moon_call).await, "ok: launched at moon");
    assert_eq!(outcome(mars_call).await, format!("{REJECTED} Reason: not today"));
    assert_eq!(state(&host, mars).await, ("rejected", Some("key:boss".to_owned())));
    let mut approvals: Vec<String> = host.audit().iter().map(|record| record["approval"].to_string()).collect();
    approvals.sort();
    assert_eq!(approvals, ["\"approved by key:boss\"", "\"rejected by key:boss\""]);
}

#[tokio::test]
async fn a_caller_that_may_not_approve_is_not_asked_itself() {
    let asked = |may_approve: bool| async move {
        let host = TestHost::new(POLITE).await;
        let (questions, mut received) = mpsc::channel::<Question>(1);
        let caller =
            Arc::new(Caller { may: May { approve: may_approve, ..May::EVERYTHING }, ..(*agent("key:a")).clone() });
        let channel = Channel { questions: Some(questions), ..Channel::default() };
        let call = begun(&host, &caller, "launch", json!({"target": "moon"}), channel);
        let question = received.recv().await;
        let was_asked = question.is_some();
        if let Some(question) = question {
            question.reply.send(Answer::Accepted(json!({}))).expect("the host waits");
        }
        (was_asked, outcome(call).await)
    };
    assert_eq!(asked(false).await, (false, UNASKABLE.to_owned()));
    assert_eq!(asked(true).await, (true, "ok: launched at moon".to_owned()));
}

#[tokio::test]
async fn the_first_of_two_answers_counts() {
    let host = attended(POLITE).await;
    for _ in 0..8 {
        let call = launch(&host, "key:agent", "moon");
        let entry = pending(&host, 1).await.remove(0);
        let desk = host.host.desk();
        let (id, yes) = (id(&entry), Reply::YES);
        let (one, other) = tokio::join!(desk.answer(&id, "key:a", yes), desk.answer(&id, "key:b", Reply::NO));
        let (winner, loser) = match (one, other) {
            (Ok(entry), Err(error)) | (Err(error), Ok(entry)) => (entry, error),
            (Ok(_), Ok(_)) | (Err(_), Err(_)) => panic!("one of two answers counts"),
        };
        assert!(matches!(loser, AnswerError::Settled { .. }), "{loser}");
        let expected = if winner.state == "approved" { "ok: launched at moon" } else { REJECTED };
        assert_eq!(outcome(call).await, expected, "by {:?}", winner.by);
        let late = desk.answer(&id, "key:c", Reply::NO).await.expect_err("it is settled");
        assert_eq!(late.to_string(), format!("approval `{id}` is {} already", winner.state));
    }
    let unknown = ApprovalId::of([7; 16]);
    let error = host.host.desk().answer(&unknown, "key:a", Reply::YES).await.expect_err("there is none");
    assert_eq!(error.to_string(), format!("there is no approval `{unknown}`"));
}

#[tokio::test]
async fn other_arguments_keep_to_the_tools_rules_and_are_what_runs() {
    let text = format!(
        "{POLITE}[plugins.polite.tools.launch]\narguments = {{ properties = {{ target = {{ maxLength = 5 }} }} }}\n"
    );
    let host = attended(&text).await;
    let call = launch(&host, "key:agent", "moon");
    let entry = pending(&host, 1).await.remove(0);
    let desk = host.host.desk();
    for (arguments, field) in
        [(json!({}), "target"), (json!({"target": "saturn"}), "`target`"), (json!({"target": "mars", "x": 1}), "'x'")]
    {
        let error =
            desk.answer(&id(&entry), "key:boss", approve(Some(arguments), None)).await.expect_err("it does not fit");
        assert_eq!(error.code(), "arguments.invalid");
        assert!(error.to_string().contains(field), "{error}");
    }
    assert_eq!(state(&host, &entry).await, ("pending", None), "it still waits");
    let answered =
        desk.answer(&id(&entry), "key:boss", approve(Some(json!({"target": "mars"})), None)).await.expect("they fit");
    assert_eq!(answered.answer, Some(json!({"decision": "approve", "arguments": {"target": "mars"}})));
    assert_eq!(outcome(call).await, "ok: launched at mars");
    assert_eq!(host.audit()[0]["approval"], "approved by key:boss with other arguments");
}

#[tokio::test]
async fn an_answer_stands_for_the_same_question_only() {
    let host = attended(&format!("{POLITE}[approval]\ntime = \"1s\"\n")).await;
    let call = launch(&host, "key:agent", "moon");
    let entry = pending(&host, 1).await.remove(0);
    host.host.desk().answer(&id(&entry), "key:boss", approve(None, Some(10))).await.expect("it waits");
    assert_eq!(outcome(call).await, "ok: launched at moon");
    assert_eq!(outcome(launch(&host, "key:agent", "moon")).await, "ok: launched at moon", "nobody is asked again");
    for (caller, target) in [("key:agent", "mars"), ("key:other", "moon")] {
        let call = launch(&host, caller, target);
        let entry = pending(&host, 1).await.remove(0);
        host.host.desk().answer(&id(&entry), "key:boss", Reply::NO).await.expect("it waits");
        assert_eq!(outcome(call).await, REJECTED, "{caller} {target}");
    }
    // The tool may reach something else: what was agreed to is gone, also when it is as before.
    host.reload(&format!("{POLITE}net = [\"https://a.test\"]\n[approval]\ntime = \"1s\"\n")).await;
    assert_eq!(outcome(launch(&host, "key:agent", "moon")).await, TIMED_OUT);
    host.reload(&format!("{POLITE}[approval]\ntime = \"1s\"\n")).await;
    assert_eq!(outcome(launch(&host, "key:agent", "moon")).await, TIMED_OUT);
    let approvals: Vec<Value> = host.audit().iter().map(|record| record["approval"].clone()).collect();
    assert_eq!(approvals[..2], [json!("approved by key:boss for 10 min"), json!("standing approval by key:boss")]);
}

#[tokio::test]
async fn who_does_not_answer_in_time_has_said_no() {
    let host = attended(&format!("{POLITE}[approval]\ntime = \"1s\"\n")).await;
    let begun = Instant::now();
    let call = launch(&host, "key:agent", "moon");
    let entry = pending(&host, 1).await.remove(0);
    assert_eq!(outcome(call).await, TIMED_OUT);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(state(&host, &entry).await, ("expired", None));
    let late = host.host.desk().answer(&id(&entry), "key:boss", Reply::YES).await.expect_err("it is too late");
    assert_eq!(late.to_string(), format!("approval `{}` is expired already", entry.id));
    assert_eq!(host.audit()[0]["approval"], "timed-out");
}

#[tokio::test]
async fn waiting_takes_neither_the_calls_time_nor_a_slot() {
    let text = format!("{POLITE}[plugins.polite.limits]\ntime = \"300ms\"\nconcurrency = 1\n");
    let host = attended(&text).await;
    let call = launch(&host, "key:agent", "moon");
    let entry = pending(&host, 1).await.remove(0);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(400) {
        assert_eq!(host.call("counted", json!({"count": 1})).await.code(), "ok", "the only slot is free");
    }
    host.host.desk().answer(&id(&entry), "key:boss", Reply::YES).await.expect("it waits");
    assert_eq!(outcome(call).await, "ok: launched at moon");
}

#[tokio::test]
async fn a_caller_that_gives_up_is_not_answered_for() {
    let host = attended(POLITE).await;
    let call = launch(&host, "key:agent", "moon");
    let entry = pending(&host, 1).await.remove(0);
    call.abort();
    drop(call.await);
    pending(&host, 0).await;
    let error = host.host.desk().answer(&id(&entry), "key:boss", Reply::YES).await.expect_err("nobody waits");
    assert_eq!(error.to_string(), format!("approval `{}` is cancelled already", entry.id));
    assert_eq!(host.audit()[0]["approval"], "unanswered");
}

#[tokio::test]
async fn only_so_many_wait() {
    let host = attended(POLITE).await;
    let calls: Vec<_> = (0..16).map(|number| launch(&host, "key:a", &number.to_string())).collect();
    let entries = pending(&host, 16).await;
    let crowded = "limit.concurrency: `launch` needs a person's approval, and too many calls wait for one already; \
        try again once some of them are answered";
    assert_eq!(outcome(launch(&host, "key:a", "moon")).await, crowded);
    let other = launch(&host, "key:b", "moon");
    pending(&host, 17).await;
    for entry in entries {
        host.host.desk().answer(&id(&entry), "key:boss", Reply::YES).await.expect("it waits");
    }
    for call in calls {
        assert!(outcome(call).await.starts_with("ok: "));
    }
    other.abort();
}

#[tokio::test]
async fn a_webhook_is_told_and_no_secret_with_it() {
    let hook = Upstream::new(|_| Answered::status(204, "")).await;
    let text = format!(
        "[plugins.polite]\ncomponent = \"polite.wasm\"\nnet = [\"POST https://a.test\"]\n\
         [plugins.polite.secrets.TOKEN]\nfile = \"./token\"\norigin = \"https://a.test\"\nheader = \"authorization\"\n\
         [approval]\nwebhook = \"{}\"\n",
        hook.url("/hook?key=1")
    );
    let host = World::new().secret("token", "canary-secret").start(&text).await;
    let call = launch(&host, "key:agent", "canary-secret \u{202e}");
    let entry = pending(&host, 1).await.remove(0);
    while hook.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let request = hook.requests().remove(0);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/hook?key=1"));
    let told: Value = serde_json::from_slice(&request.body).expect("it is JSON");
    assert_eq!(
        told,
        json!({
            "event": "approval.pending",
            "approval": entry,
            "answer": {
                "http": format!("POST /api/v1/approvals/{}", entry.id),
                "command": format!("bailiwick approvals approve {}", entry.id),
            },
        })
    );
    assert_eq!(told["approval"]["arguments"]["target"], "[secret TOKEN] \\u{202e}");
    assert_eq!(
        told["approval"]["may"],
        json!(["send POST to https://a.test", "use the secret TOKEN at https://a.test"])
    );
    host.host.desk().answer(&id(&entry), "key:boss", Reply::YES).await.expect("it waits");
    assert!(outcome(call).await.starts_with("ok: launched at "));
    let database = std::fs::read(host.world.path("state/bailiwick.db-wal")).expect("it is written");
    let canary = b"canary-secret";
    assert!(!database.windows(canary.len()).any(|bytes| bytes == canary), "the store keeps no secret");
}

#[tokio::test]
async fn a_webhook_that_cannot_be_told_holds_nothing_up() {
    let host = TestHost::new(&format!("{POLITE}[approval]\nwebhook = \"http://127.0.0.1:1/\"\n")).await;
    let call = launch(&host, "key:agent", "moon");
    let entry = pending(&host, 1).await.remove(0);
    host.host.desk().answer(&id(&entry), "cli", Reply::YES).await.expect("it waits");
    assert_eq!(outcome(call).await, "ok: launched at moon");
}

// From here on, the real program.

/// A server whose questions go to a webhook, and the webhook.
async fn hooked(lines: &str) -> (Upstream, String) {
    let hook = Upstream::new(|_| Answered::status(204, "")).await;
    let text = format!("{POLITE}[approval]\nwebhook = \"{}\"\n{lines}", hook.url("/"));
    (hook, text)
}

/// A call under way in a thread of its own.
fn calling(mut server: Server, target: &str) -> std::thread::JoinHandle<(Server, String)> {
    let arguments = json!({"target": target});
    std::thread::spawn(move || {
        let said = server.call("launch", arguments);
        (server, said)
    })
}

fn approvals(world: &World, text: &str, arguments: &[&str]) -> (i32, Value) {
    let run = world.run(text, &[&["--json", "approvals"], arguments].concat(), "");
    let told = if run.out.is_empty() { run.err } else { run.out };
    (run.exit, serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}")))
}

/// The id of the one approval that waits, once there is one.
fn waiting(world: &World, text: &str) -> String {
    let begun = Instant::now();
    loop {
        let (_, listed) = approvals(world, text, &[]);
        if let Some(entry) = listed["approvals"].get(0) {
            return entry["id"].as_str().expect("it has an id").to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing waits");
    }
}

async fn aside(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work).await.expect("it does not panic");
}

#[tokio::test]
async fn a_person_on_the_same_machine_answers_by_command() {
    let (_hook, text) = hooked("").await;
    aside(move || {
        let world = World::new();
        let server = world.serve(&text, &[]);
        let call = calling(server, "moon");
        let id = waiting(&world, &text);
        let (exit, wrong) = approvals(&world, &text, &["approve", &id, "--arguments", "{\"x\": 1}"]);
        assert_eq!((exit, &wrong["errors"][0]["code"]), (5, &json!("arguments.invalid")));
        let (exit, entry) =
            approvals(&world, &text, &["approve", &id[..8], "--arguments", "{\"target\": \"mars\"}", "--for", "1h"]);
        assert_eq!((exit, &entry["state"], &entry["by"]), (0, &json!("approved"), &json!("cli")));
        let (server, said) = call.join().expect("it does not panic");
        assert_eq!(said, "launched at mars");
        let (exit, late) = approvals(&world, &text, &["reject", &id]);
        assert_eq!((exit, &late["errors"][0]["code"]), (1, &json!("approval.settled")));
        let (_, standing) = approvals(&world, &text, &["standing"]);
        assert_eq!(standing["standing"][0]["arguments"], json!({"target": "mars"}));
        let (server, said) = calling(server, "mars").join().expect("it does not panic");
        assert_eq!(said, "launched at mars", "nobody is asked again");
        assert_eq!(approvals(&world, &text, &["revoke", &id[..4]]), (0, json!({"revoked": id})));
        let call = calling(server, "mars");
        let id = waiting(&world, &text);
        approvals(&world, &text, &["reject", &id, "--reason", "not now"]);
        let (server, said) = call.join().expect("it does not panic");
        assert_eq!(said, "Tool call rejected by user. Reason: not now [denied.approval]");
        server.end();
        let (exit, none) = approvals(&world, &text, &["show", "00000000-0000-4000-8000-000000000000"]);
        assert_eq!((exit, &none["errors"][0]["code"]), (5, &json!("approval.unknown")));
    })
    .await;
}

#[test]
fn a_person_who_watches_can_be_asked() {
    let world = World::new();
    let text = format!("{POLITE}[approval]\ntime = \"30s\"\n");
    let mut server = world.serve(&text, &[]);
    assert!(server.call("launch", json!({"target": "moon"})).starts_with("`launch` needs a person's approval"));
    let mut watcher = Server::spawn(world.program(&text, &[], &["--json", "approvals", "list", "--watch"]));
    // It is there from its first look on; until then a call is refused at once.
    let call = std::thread::spawn(move || {
        loop {
            let said = server.call("launch", json!({"target": "moon"}));
            if !said.starts_with("`launch` needs") {
                return (server, said);
            }
        }
    });
    let entry = watcher.next("what waits");
    let (exit, _) = approvals(&world, &text, &["approve", entry["id"].as_str().expect("it has an id")]);
    assert_eq!(exit, 0);
    let (server, said) = call.join().expect("it does not panic");
    assert_eq!(said, "launched at moon");
    server.end();
    watcher.signal("TERM");
}

#[tokio::test]
async fn a_restart_rejects_what_waited() {
    let (_hook, text) = hooked("").await;
    aside(move || {
        let world = World::new();
        let server = world.serve(&text, &[]);
        let process = server.id();
        let call = calling(server, "moon");
        let id = waiting(&world, &text);
        let killed = std::process::Command::new("kill").args(["-s", "KILL", &process.to_string()]).status();
        assert!(killed.expect("there is `kill`").success());
        assert!(call.join().is_err(), "its caller has no answer");
        world.serve(&text, &[]).end();
        let (_, entry) = approvals(&world, &text, &["show", &id]);
        let reason = "the host ended before anyone answered";
        assert_eq!(
            (&entry["state"], &entry["by"], &entry["answer"]["reason"]),
            (&json!("rejected"), &json!("restart"), &json!(reason))
        );
        let (exit, late) = approvals(&world, &text, &["approve", &id]);
        assert_eq!((exit, &late["errors"][0]["code"]), (1, &json!("approval.settled")));
    })
    .await;
}

#[test]
fn an_mcp_client_that_can_be_asked_is_asked() {
    let world = World::new();
    let mut server = Server::spawn(world.program(POLITE, &[], &["serve", "--stdio"]));
    server.greet_as(&json!({"elicitation": {}}));
    let accept = json!({"action": "accept", "content": {}});
    let (said, questions) = server.call_answering("launch", json!({"target": "moon"}), &accept);
    assert_eq!(said, "launched at moon");
    let [mut question] = <[Value; 1]>::try_from(questions).expect("it is asked once");
    question.as_object_mut().expect("an object").remove("_meta");
    let expected = json!({
        "mode": "form",
        "message": "Bailiwick asks: `mcp-stdio` wants to run the tool `launch` of plugin `polite` with \
            {\"target\":\"moon\"}\n  asked because its plugin says that its risk is high\n  \
            it reaches nothing outside of itself",
        "requestedSchema": {"type": "object", "properties": {}},
    });
    assert_eq!(question, expected);
    for action in ["decline", "cancel"] {
        let (said, _) = server.call_answering("launch", json!({"target": "moon"}), &json!({"action": action}));
        assert_eq!(said, "Tool call rejected by user. [denied.approval]", "{action}");
    }
    server.end();
}

/// Two keys, and what they stand for.
const AGENT: &str = "Bearer bwk_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE";
const BOSS: &str = "Bearer bwk_YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI";
const KEYS: &str = r#"
[policies.agent]
tools = ["*"]
execute = true
[policies.boss]
approve = true
[keys.agent]
hash = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$ECN2i3h+C90ZKxXLKHslkw"
policy = "agent"
[keys.boss]
hash = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$CcxX4/tYOjNw3zK8IZEGng"
policy = "boss"
"#;

#[tokio::test]
async fn over_http_a_key_answers_if_it_may() {
    let (_hook, text) = hooked(KEYS).await;
    aside(move || {
        let world = World::new();
        let beside = world.serve(&text, &[]);
        let served = world.serve_http(&text);
        let (agent, boss) = ([("Authorization", AGENT)], [("Authorization", BOSS)]);
        let get = |path: &str, key: &[(&str, &str)]| served.get(path, key).told();
        let post = |id: &str, key: &[(&str, &str)], body: Value| {
            served.post(&format!("/api/v1/approvals/{id}"), key, &body).told()
        };
        assert_eq!(get("/api/v1/approvals", &boss), (200, json!({"approvals": []})));
        let call = calling(beside, "moon");
        let id = waiting(served.world(), &text);
        let (path, yes) = (format!("/api/v1/approvals/{id}"), json!({"decision": "approve"}));
        let forbidden = (403, json!({"detail": "`key:agent` may not approve; set `approve = true` in its policy"}));
        for path in ["/api/v1/approvals", "/api/v1/approvals/x", "/api/v1/approvals/stream", &path] {
            assert_eq!(get(path, &agent), forbidden, "{path}");
            assert_eq!(get(path, &[]).0, 401, "{path}");
        }
        assert_eq!(post(&id, &agent, yes.clone()), forbidden);
        assert_eq!(post("x", &agent, yes.clone()), forbidden, "before it is looked up");
        assert_eq!(post(&id, &[], yes.clone()).0, 401);
        let (status, listed) = get("/api/v1/approvals?state=pending", &boss);
        assert_eq!((status, &listed["approvals"][0]), (200, &get(&path, &boss).1));
        assert_eq!(listed["approvals"][0]["arguments"], json!({"target": "moon"}));
        let states = "the query takes `state`, one of `pending`, `approved`, `rejected`, `expired`, `cancelled`";
        assert_eq!(get("/api/v1/approvals?state=open", &boss), (422, json!({"detail": states})));
        assert_eq!(get("/api/v1/approvals?stat=open", &boss).0, 422);
        let unknown = (404, json!({"detail": "there is no approval `x`"}));
        assert_eq!((get("/api/v1/approvals/x", &boss), post("x", &boss, yes.clone())), (unknown.clone(), unknown));
        let wrong = |body: Value| post(&id, &boss, body);
        assert_eq!(
            wrong(json!({"decision": "maybe"})),
            (422, json!({"detail": "`decision` must be `approve` or `reject`"}))
        );
        assert_eq!(wrong(json!({"decision": "approve", "arguments": {"x": 1}})).0, 422, "they do not fit the tool");
        assert_eq!(served.request("POST", &path, &boss, "{").status, 422);
        assert_eq!(served.request("DELETE", &path, &boss, "").status, 405);
        let (status, entry) = post(&id, &boss, json!({"decision": "approve", "arguments": {"target": "mars"}}));
        assert_eq!((status, &entry["state"], &entry["by"]), (200, &json!("approved"), &json!("key:boss")));
        let (beside, said) = call.join().expect("it does not panic");
        assert_eq!(said, "launched at mars");
        let late = json!({"detail": format!("approval `{id}` is approved already")});
        assert_eq!(post(&id, &boss, json!({"decision": "reject"})), (409, late));
        beside.end();
        served.end();
    })
    .await;
}

/// What waits for an answer over HTTP, once it is so much.
fn waiting_over_http(served: &Served, number: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let listed = served.get("/api/v1/approvals?state=pending", &[("Authorization", BOSS)]).json();
        match listed["approvals"].as_array() {
            Some(entries) if entries.len() == number => return entries.clone(),
            Some(_) | None => assert!(begun.elapsed() < Duration::from_secs(30), "not so much waits: {listed}"),
        }
    }
}

#[test]
fn no_way_to_call_over_http_leads_around_a_person() {
    let gateway = "[gateway]\nper_ip = 0\nper_key = 0\n[gateway.api]\nenable_tool_execute = true\n";
    let served = World::new().serve_http(&format!("{POLITE}{KEYS}{gateway}"));
    let agent = |path: &str, body: Value| served.post(path, &[("Authorization", AGENT)], &body).told().1;
    let answer = |entry: &Value, body: Value| {
        let path = format!("/api/v1/approvals/{}", entry["id"].as_str().expect("it has an id"));
        assert_eq!(served.post(&path, &[("Authorization", BOSS)], &body).status, 200);
    };
    let (yes, no) = (json!({"decision": "approve"}), json!({"decision": "reject"}));
    std::thread::scope(|scope| {
        let call = || agent("/api/v1/tools/launch/execute", json!({"parameters": {"target": "moon"}}));
        let called = scope.spawn(call);
        let entry = waiting_over_http(&served, 1).remove(0);
        assert_eq!((&entry["caller"], &entry["tool"]), (&json!("key:agent"), &json!("launch")));
        answer(&entry, json!({"decision": "approve", "minutes": 5}));
        let told = called.join().expect("it does not panic");
        assert_eq!((&told["output"], &told["success"]), (&json!("launched at moon"), &json!(true)));
        assert_eq!(call()["output"], "launched at moon", "nobody is asked again");

        let call = |id: &str, target: &str| {
            let arguments = json!({"target": target}).to_string();
            json!({"id": id, "type": "function", "function": {"name": "launch", "arguments": arguments}})
        };
        let calls = json!({"tool_calls": [call("a", "mars"), call("b", "moon"), call("c", "venus")]});
        let called = scope.spawn(move || agent("/api/v1/tool-calls", calls));
        for entry in waiting_over_http(&served, 2) {
            answer(&entry, if entry["arguments"]["target"] == "mars" { no.clone() } else { yes.clone() });
        }
        let told = called.join().expect("it does not panic");
        let said: Vec<&Value> =
            told["messages"].as_array().expect("a list").iter().map(|said| &said["content"]).collect();
        assert_eq!(said, ["Tool call rejected by user.", "launched at moon", "launched at venus"]);

        let body = json!({"tool": "launch", "arguments": {"target": "mars"}});
        let called = scope.spawn(move || agent("/api/tools/v1/execute", body));
        let begun = Instant::now();
        while !called.is_finished() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it waits for nobody");
            let listed = served.get("/api/v1/approvals?state=pending", &[("Authorization", BOSS)]).json();
            if let Some(entry) = listed["approvals"].get(0) {
                answer(entry, no.clone());
            }
        }
        let told = called.join().expect("it does not panic").to_string();
        assert!(told.contains("rejected by user"), "{told}");
    });
    served.end();
}

#[test]
fn where_no_key_may_approve_a_call_is_refused_at_once() {
    let gateway = "[gateway]\nper_ip = 0\nper_key = 0\n[gateway.api]\nenable_tool_execute = true\n";
    let keys = KEYS.replace("approve = true", "manage = true");
    let served = World::new().serve_http(&format!("{POLITE}{keys}{gateway}"));
    let body = json!({"parameters": {"target": "moon"}});
    let told = served.post("/api/v1/tools/launch/execute", &[("Authorization", AGENT)], &body).json();
    assert_eq!((&told["code"], &told["success"]), (&json!("denied.approval"), &json!(false)));
    served.end();
}
