//! How servers come up, or do not.

use bailiwick_core::outcome::Code;

use super::*;
use crate::bridge::{Condition, Era};

/// The failure of a server that does not come up.
async fn refused(world: &World) -> Failure {
    world.server.described().await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_until_it_is_needed() {
    let world = World::new("legacy");
    assert_eq!((world.server.condition(), world.starts()), (Condition::Idle, 0));
    world.server.described().await.unwrap();
    let condition = world.server.condition();
    assert!(matches!(condition, Condition::Running { count: 1, era: Era::Legacy, .. }), "{condition:?}");
    world.server.stop().await;
    assert_eq!(world.server.condition(), Condition::Idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_there_is_named() {
    let world = World::of(vec!["/no/such/program".to_owned()], |_| {});
    let failure = refused(&world).await;
    assert_eq!(failure.code, Code::ServerUnreachable);
    let expected = "the MCP server of `other` is not there: it could not be started: No such file or directory (os error 2); \
        see `mcp` under `[plugins.other]` (bailiwick.toml:1)";
    assert_eq!(failure.to_string(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ends_at_once_is_quoted() {
    let failure = refused(&World::new("exit-at-once")).await;
    let expected = "the MCP server of `other` is not there: it ended with exit code 2; it last wrote: \
        cannot find my module | cannot find my module";
    assert_eq!(failure.to_string(), expected);
    let failure = refused(&World::new("exit-init")).await;
    assert_eq!(failure.message, "the MCP server of `other` is not there: it ended with exit code 7");
    assert!(failure.fix.unwrap().contains("\\u{1b}[31mno database"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_costs_its_time_and_no_more() {
    for mode in ["silent", "hang-init", "hang-list"] {
        let world = World::with(mode, |settings| settings.start_time = Duration::from_millis(1_500));
        let began = std::time::Instant::now();
        let failure = refused(&world).await;
        assert_eq!(failure.code, Code::ServerUnreachable, "{mode}");
        assert!(failure.message.contains("within 1.5s"), "{mode}: {failure}");
        assert!(began.elapsed() < Duration::from_secs(4), "{mode} took {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_an_end() {
    let list = "the list of tools";
    for (mode, expected) in [
        ("loop", format!("{list} leads back to where it was")),
        ("endless", format!("{list} has more than 64 pages")),
        ("many", format!("{list} has more than 256 of them")),
    ] {
        let failure = refused(&World::new(mode)).await;
        assert_eq!((failure.code, failure.message), (Code::PluginInvalid, expected), "{mode}");
    }
    let described = World::new("paged").server.described().await.unwrap();
    assert_eq!((described.tools.len(), described.tools[39].name.as_str()), (40, "t39"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_falls_over_the_first_question_is_not_asked_it_again() {
    let world = World::new("exit-on-discover");
    assert_eq!(world.told("echo", json!({"text": "up"})).await, "up");
    assert_eq!(world.starts(), 2);
    world.server.stop().await;
    assert_eq!(world.told("echo", json!({"text": "up"})).await, "up");
    assert_eq!(world.starts(), 3, "what it speaks is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_answer_the_first_question_is_spoken_to_as_before() {
    let world = World::new("mute");
    assert_eq!(world.told("echo", json!({"text": "up"})).await, "up");
    assert_eq!(world.starts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_nobody_knows_is_refused() {
    let failure = refused(&World::new("old")).await;
    let expected =
        "the MCP server of `other` is not there: it speaks version `1999-01-01` of MCP, which this host does not";
    assert_eq!(failure.message, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_again_and_again_is_left_alone() {
    let world = World::of(vec!["/bin/false".to_owned()], |_| {});
    let mut kinds = Vec::new();
    for _ in 0..5 {
        refused(&world).await;
        kinds.push(matches!(world.server.condition(), Condition::Broken { .. }));
    }
    assert_eq!(kinds, [false, false, false, false, true]);
    let starts = world.starts();
    let failure = refused(&world).await;
    assert_eq!(world.starts(), starts, "it is not tried");
    assert!(failure.message.contains("it failed too often, last because it ended with exit code 1"), "{failure}");
    assert!(failure.fix.unwrap().starts_with("it is tried again in "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_out_a_short_pause() {
    let world = World::with("legacy", |settings| settings.patience.first = Duration::from_millis(300));
    assert!(world.told("die", nothing()).await.starts_with("server.ended"));
    until("it pauses", || matches!(world.server.condition(), Condition::BackingOff { .. })).await;
    let began = std::time::Instant::now();
    assert_eq!(world.told("echo", json!({"text": "back"})).await, "back");
    assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
}
