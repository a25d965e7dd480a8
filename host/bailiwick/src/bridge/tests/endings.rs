//! How servers and calls end.

use bailiwick_core::outcome::Code;

use super::*;
use crate::bridge::Condition;

async fn pid(world: &World) -> u32 {
    world.told("pid", nothing()).await.parse().unwrap()
}

/// Whether a process is there; one that nobody has waited for yet is too.
fn is_there(pid: u32) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a test looks for its child")]
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_in_a_call_fails_it_and_comes_back_for_the_next() {
    let world = World::new("legacy");
    let failure = world.call("die", nothing()).await.unwrap_err();
    assert_eq!(failure.code, Code::ServerEnded);
    let message = "the MCP server of `other` was lost in the middle of the call: it ended with exit code 3";
    assert_eq!(failure.message, message);
    let fix = "what it did until then is done: call again only if that does no harm; it last wrote: about to die";
    assert_eq!(failure.fix.as_deref(), Some(fix));
    assert_eq!(world.starts(), 1, "it is not tried twice");
    assert_eq!(world.told("echo", json!({"text": "again"})).await, "again");
    assert_eq!(world.starts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_killed_between_calls_is_not_noticed() {
    let world = World::new("legacy");
    for _ in 0..3 {
        let before = pid(&world).await;
        let killed = rustix::process::Pid::from_raw(before.try_into().unwrap()).unwrap();
        rustix::process::kill_process(killed, rustix::process::Signal::KILL).unwrap();
        until("it is gone", || !is_there(before)).await;
        assert_ne!(pid(&world).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_leaves_behind_does_not_keep_it() {
    let world = World::new("legacy");
    let began = std::time::Instant::now();
    let failure = world.call("child", nothing()).await.unwrap_err();
    assert!(failure.message.ends_with("it ended with exit code 4"), "{failure}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_in_time_and_its_answer_goes_to_nobody_else() {
    let mut world = World::new("legacy");
    assert_eq!(world.told("echo", json!({"text": "up"})).await, "up");
    world.time = Duration::from_millis(300);
    let told = world.told("slow", json!({"ms": 900, "text": "late"})).await;
    assert!(told.starts_with("limit.time: "), "{told}");
    world.time = Duration::from_secs(20);
    assert_eq!(world.told("slow", json!({"ms": 1_000, "text": "own"})).await, "own");
    assert_eq!(world.told("cancelled", nothing()).await, "1", "and the server was told");
    assert_eq!(world.starts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_is_taken_back() {
    let world = World::new("legacy");
    assert_eq!(world.told("cancelled", nothing()).await, "0");
    let call = world.call("hang", nothing());
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    let mut seen = "0".to_owned();
    for _ in 0..100 {
        seen = world.told("cancelled", nothing()).await;
        if seen != "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(seen, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_answers_nothing_any_more_is_replaced() {
    let mut world = World::new("legacy");
    let before = pid(&world).await;
    world.time = Duration::from_millis(300);
    assert!(world.told("freeze", nothing()).await.starts_with("limit.time: "));
    until("it is gone", || !is_there(before)).await;
    world.time = Duration::from_secs(20);
    assert_ne!(pid(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_garbage_and_endless_lines_end_the_connection() {
    let world = World::new("legacy");
    let failure = world.call("garbage", nothing()).await.unwrap_err();
    assert!(failure.message.ends_with("it wrote 1000 lines to its standard output that are no messages"), "{failure}");
    let failure = world.call("long", nothing()).await.unwrap_err();
    assert!(failure.message.ends_with("it wrote a line of more than 16 MiB"), "{failure}");
    assert_eq!(world.told("echo", json!({"text": "still"})).await, "still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_changes_is_one_change() {
    let world = World::new("legacy");
    let mut changes = world.server.changes();
    assert_eq!(world.told("flood", nothing()).await, "flooded");
    changes.changed().await.unwrap();
    assert!(*changes.borrow_and_update() <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_gives_something_else_after_a_restart_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let world = World::new(&format!("changing {}", mark.display()));
    let before = world.server.described().await.unwrap().tools.len();
    let mut changes = world.server.changes();
    world.server.stop().await;
    assert_eq!(world.told("echo", json!({"text": "same"})).await, "same");
    assert!(!changes.has_changed().unwrap(), "it is the same still");
    world.server.stop().await;
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    std::fs::write(&mark, "").unwrap();
    assert_eq!(world.told("echo", json!({"text": "other"})).await, "other");
    tokio::time::timeout(Duration::from_secs(10), changes.changed()).await.unwrap().unwrap();
    assert_eq!(world.server.described().await.unwrap().tools.len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_ends_and_comes_back() {
    let world = World::with("legacy", |settings| settings.idle = Duration::from_millis(200));
    let before = pid(&world).await;
    until("it is idle", || world.server.condition() == Condition::Idle).await;
    until("it is gone", || !is_there(before)).await;
    assert_ne!(pid(&world).await, before);
    assert_eq!(world.told("slow", json!({"ms": 600, "text": "busy is not idle"})).await, "busy is not idle");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_it_is_dropped() {
    let world = World::new("legacy");
    let pid = pid(&world).await;
    assert!(is_there(pid));
    drop(world);
    until("it is gone", || !is_there(pid)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_has_its_own() {
    let mut world = World::with("legacy", |settings| settings.lifetime = Lifetime::Session);
    let (nobody, again) = (pid(&world).await, pid(&world).await);
    assert_eq!(nobody, again);
    world.session = Some("one".into());
    let one = pid(&world).await;
    world.session = Some("two".into());
    let two = pid(&world).await;
    world.session = Some("one".into());
    assert_eq!(pid(&world).await, one);
    world.caller = "another".to_owned();
    let another = pid(&world).await;
    let mut all = vec![nobody, one, two, another];
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4, "and a session's name is its caller's alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_have_an_end_to_their_number() {
    let mut world = World::with("legacy", |settings| settings.lifetime = Lifetime::Session);
    world.session = Some("first".into());
    let first = pid(&world).await;
    for number in 0..16 {
        world.session = Some(format!("s{number}").into());
        pid(&world).await;
    }
    until("the first is gone", || !is_there(first)).await;
    assert!(matches!(world.server.condition(), Condition::Running { count: 16, .. }), "{:?}", world.server.condition());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_has_its_own() {
    let world = World::with("legacy", |settings| settings.lifetime = Lifetime::Call);
    let (one, two) = (pid(&world).await, pid(&world).await);
    assert_ne!(one, two);
    until("both are gone", || !is_there(one) && !is_there(two)).await;
    assert_eq!(world.server.condition(), Condition::Idle);
}
