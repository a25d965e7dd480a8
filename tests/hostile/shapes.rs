//! Components of a shape that no compiler makes: code that runs before and after the call, parts that are too many or too
//! large, results that break the rules of how values cross over.

use std::time::{Duration, Instant};

use serde_json::json;

use super::raw_plugin;
use crate::support::contract::Trial;
use crate::support::host::World;
use crate::support::machine::alone;
use crate::support::{TestHost, raw, told};

/// A world with these components of `guests/raw`.
fn world(names: &[&str]) -> World {
    names.iter().fold(World::new(), |world, name| world.file(&format!("{name}.wasm"), raw::component(name)))
}

/// A host with one plugin, and why it is left out.
async fn left_out(bytes: Vec<u8>) -> String {
    let text = raw_plugin("odd", "") + "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    let host = World::new().file("odd.wasm", bytes).try_start(&text).await.expect("the host starts");
    assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x", "the others run");
    assert_eq!(host.problems().len(), 1, "{:#?}", host.problems());
    host.problems().remove(0).replace("plugin `odd` (bailiwick.toml:1) is left out: ", "")
}

#[test]
fn code_that_runs_before_or_after_a_call_ends_with_its_time() {
    alone("hostile::shapes::code_that_runs_before_or_after_a_call_ends_with_its_time", async {
        let cases = [
            ("RES-2", "start-loop"),
            ("RES-3", "initialiser-loop"),
            ("RES-4", "realloc-loop"),
            ("RES-5", "post-return-loop"),
            ("RES-6", "destructor-loop"),
        ];
        let names = cases.map(|(_, name)| name);
        let text: String =
            names.iter().map(|name| raw_plugin(name, "limits.time = \"300ms\"\nenv = { LOOP = \"1\" }")).collect();
        let mut trial = Trial::begin(world(&names), &text).await;
        for (id, name) in cases {
            let begun = Instant::now();
            trial.case(id, &format!("{name}__run"), json!({}), "limit.time").await;
            let late = begun.elapsed().saturating_sub(Duration::from_millis(300));
            println!("measured: {id} {name} ended {late:?} after its deadline");
            assert!(late < Duration::from_millis(300), "{id}: {late:?}");
        }
        trial.end().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_never_finishes_starting_is_left_out() {
    let begun = Instant::now();
    assert_eq!(
        left_out(raw::component("start-loop-always")).await,
        "`describe` failed: `describe` took longer than 2s"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    // The same code without the loop is a plugin like any other.
    let host = world(&["start-loop"]).start(&raw_plugin("start-loop", "")).await;
    assert_eq!(host.told("run", json!({})).await, "ok: ");
}

#[test]
fn memories_and_tables_are_counted_before_they_are_made() {
    alone("hostile::shapes::memories_and_tables_are_counted_before_they_are_made", async {
        let text = raw_plugin("memory-large", "limits.memory = \"32MiB\"")
            + &raw_plugin("table-grow", "limits.table_elements = 10_000");
        let mut trial = Trial::begin(world(&["memory-large", "table-grow"]), &text).await;
        let outcome = trial.case("RES-10", "memory-large__run", json!({}), "limit.memory").await;
        assert_eq!(
            told(&outcome),
            "limit.memory: `memory-large__run` needs more than its 32 MiB of memory; \
             raise it with `limits.memory = \"64MiB\"` under `[plugins.memory-large]` (bailiwick.toml:1)"
        );
        trial.case("RES-12", "table-grow__run", json!({}), "ok").await;
        trial.end().await;
        // Its granted twin.
        let host = world(&["memory-large"]).start(&raw_plugin("memory-large", "limits.memory = \"64MiB\"")).await;
        assert_eq!(host.told("run", json!({})).await, "ok: ");
    });
}

#[tokio::test]
async fn what_takes_more_than_a_look_may_is_left_out() {
    let whole = left_out(raw::component("memory-whole")).await;
    assert!(whole.starts_with("`describe` failed: `describe` needs more than its 64 MiB of memory"), "{whole}");
    let table = left_out(raw::component("table-large")).await;
    assert!(table.starts_with("`describe` failed: `describe` needs more than 20000 table elements"), "{table}");
}

#[tokio::test]
async fn a_component_of_too_many_parts_is_left_out() {
    let parts = |part: &str, count: usize| part.repeat(count);
    let memories =
        raw::with(&format!("(core module $m {}) (core instance (instantiate $m))", parts("(memory 1024)", 100)));
    let instances = raw::with(&format!("(core module $m) {}", parts("(core instance (instantiate $m))", 200)));
    for (what, bytes) in [("memories", memories), ("instances", instances)] {
        let reason = left_out(bytes).await;
        assert!(
            reason.contains("is made of more instances, memories or tables than a call may have"),
            "{what}: {reason}"
        );
    }
    // What is within measure is none of that.
    let some = raw::with(&format!("(core module $m (memory 1)) {}", parts("(core instance (instantiate $m))", 8)));
    let host = World::new().file("odd.wasm", some).start(&raw_plugin("odd", "")).await;
    assert_eq!(host.told("run", json!({})).await, "ok: ");
    let globals = raw::with(&format!(
        "(core module $m {}) (core instance (instantiate $m))",
        parts("(global (mut i64) (i64.const 1))", 100_000)
    ));
    let text = raw_plugin("odd", "") + "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    let host = World::new().file("odd.wasm", globals).try_start(&text).await.expect("the host starts");
    assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x", "the others run, with or without it");
}

#[tokio::test]
async fn one_plugin_of_many_parts_leaves_room_for_the_others() {
    let parts = raw::with(&format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(40)));
    let text = raw_plugin("odd", "limits.concurrency = 50") + "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    let host = World::new().file("odd.wasm", parts).host_keys("calls = 64\n").start(&text).await;
    let calls = (0..50).map(|_| host.call("run", json!({})));
    let (many, one) = tokio::join!(futures::future::join_all(calls), host.call("echo", json!({"name": "x"})));
    assert!(one.result.is_ok(), "{}", told(&one));
    assert!(many.iter().all(|outcome| outcome.result.is_ok()), "{}", told(&many[0]));
}

#[tokio::test]
async fn loading_and_calling_do_not_take_each_others_room() {
    let plugins: String = (0..40).map(|n| format!("[plugins.p{n}]\ncomponent = \"polite.wasm\"\n")).collect();
    let text = format!("{plugins}[plugins.stuck]\ncomponent = \"stuck.wasm\"\n");
    let host = World::new().host_keys("calls = 1\n").try_start(&text).await.expect("the host starts");
    assert_eq!(host.problems().len(), 1, "only the one that never describes itself is missing: {:#?}", host.problems());
    assert_eq!(host.value("p7__echo", json!({"name": "x"})).await["name"], "x");
}

/// Whether the compiler refused it, by the name of what it would need or in its own words.
fn is_of_no_use(reason: &str) -> bool {
    let named =
        reason.starts_with("it needs ") && reason.ends_with(", which this host does not offer; build it without");
    named || reason.starts_with("it cannot be compiled: ")
}

#[tokio::test]
async fn proposals_that_no_tool_needs_are_refused() {
    for (what, module) in [
        ("64-bit memory", "(memory i64 1)"),
        ("shared memory", "(memory 1 1 shared)"),
        ("garbage collection", "(type (struct (field i32)))"),
        ("typed exceptions", "(tag (param i32))"),
        ("stack switching", "(type $f (func)) (type (cont $f))"),
        ("wide arithmetic", "(func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 1)))"),
        ("memory control", "(memory 1 (pagesize 1))"),
        ("atomics", "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))"),
    ] {
        let reason = left_out(raw::with(&format!("(core module {module})"))).await;
        assert!(is_of_no_use(&reason), "{what}: {reason}");
    }
    for (what, part) in [
        (
            "asynchronous lifting",
            "(core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) (func (canon lift (core func $i \"f\") async))",
        ),
        ("streams", "(type (stream u8))"),
        ("futures", "(type (future u8))"),
        ("error contexts", "(core func (canon error-context.drop))"),
        ("threads of components", "(core func (canon thread.available_parallelism))"),
    ] {
        let reason = left_out(raw::with(part)).await;
        assert!(is_of_no_use(&reason), "{what}: {reason}");
    }
}

#[test]
fn writing_all_of_a_large_memory_at_once_ends_with_its_time() {
    alone("hostile::shapes::writing_all_of_a_large_memory_at_once_ends_with_its_time", async {
        let text = raw_plugin("fill", "limits.time = \"500ms\"\nlimits.memory = \"1GiB\"");
        let mut trial = Trial::begin(world(&["fill"]), &text).await;
        let begun = Instant::now();
        trial.case("RES-16", "run", json!({}), "limit.time").await;
        let late = begun.elapsed().saturating_sub(Duration::from_millis(500));
        println!("measured: filling 1 GiB at a time ended {late:?} after its deadline");
        assert!(late < Duration::from_secs(2), "{late:?}");
        trial.end().await;
    });
}

/// What `crooked-results` gives for each number, the rest of the outcome, and the limit it may run into.
const CROOKED: &[(&str, u32, &str)] = &[
    ("RES-20", 1, "plugin.trap"),
    ("RES-20", 2, "plugin.trap"),
    ("RES-22", 3, "plugin.trap"),
    ("RES-23", 4, "plugin.trap"),
    ("RES-23", 5, "plugin.trap"),
    ("RES-20", 6, "plugin.trap"),
    ("RES-24", 7, "plugin.trap"),
    ("RES-24", 8, "plugin.trap"),
    ("RES-24", 9, "plugin.trap"),
    ("RES-24", 10, "plugin.trap"),
    ("RES-23", 11, "plugin.trap"),
    ("RES-23", 12, "plugin.trap"),
    ("RES-23", 13, "plugin.trap"),
    ("RES-23", 14, "plugin.trap"),
    ("RES-23", 15, "plugin.trap"),
    ("RES-23", 16, "plugin.trap"),
    ("RES-22", 17, "limit.output"),
    ("RES-22", 18, "limit.output"),
    ("RES-21", 19, "ok"),
];

#[test]
fn results_that_break_the_rules_end_the_call_and_nothing_else() {
    alone("hostile::shapes::results_that_break_the_rules_end_the_call_and_nothing_else", async {
        let names = ["crooked-results", "utf16", "reentry", "realloc-outside", "resource-hoard"];
        let text: String = names.iter().map(|name| raw_plugin(name, "limits.handles = 500")).collect();
        let mut trial = Trial::begin(world(&names), &text).await;
        trial
            .until_nothing_grows(async |trial| {
                for (id, n, code) in CROOKED {
                    trial.case(id, "crooked-results__run", json!({"n": n}), code).await;
                }
            })
            .await;
        let right = trial.case("RES-20", "crooked-results__run", json!({"n": 0}), "ok").await;
        assert_eq!(told(&right), "ok: run", "the same component, when it keeps to the rules");
        let right = trial.case("RES-23", "utf16__run", json!({"n": 0}), "ok").await;
        assert_eq!(told(&right), "ok: run");
        trial.case("RES-23", "utf16__run", json!({"n": 1}), "plugin.trap").await;
        trial.case("RES-23", "utf16__run", json!({"n": 2}), "plugin.trap").await;
        trial.case("RES-18", "reentry__run", json!({}), "plugin.trap").await;
        trial.case("RES-20", "realloc-outside__run", json!({}), "plugin.trap").await;
        trial.case("RES-28", "resource-hoard__run", json!({}), "limit.handles").await;
        trial.end().await;
    });
}

#[tokio::test]
async fn a_description_that_breaks_the_rules_leaves_its_plugin_out() {
    let reason = left_out(raw::component("crooked-description")).await;
    assert!(reason.starts_with("`describe` failed: `describe` broke off: "), "{reason}");
}

#[tokio::test]
async fn a_result_of_many_pieces_is_no_larger_than_one_may_be() {
    let text = "[plugins.forger]\ncomponent = \"forger.wasm\"\nlimits.output = \"10KiB\"\n";
    let host = TestHost::new(text).await;
    let size = |outcome: &bailiwick_core::outcome::Outcome| {
        outcome.result.as_ref().map_or(0, bailiwick_core::outcome::Output::size)
    };
    // What the links take by themselves: a path and a sentence each.
    let links = |pieces: u64| pieces * 250;
    for (pieces, bytes, how) in [(100, 5_000, "text"), (1_000, 30, "text"), (1, 1_000_000, "type"), (3, 9_000, "uri")] {
        let outcome = host.call("many", json!({"pieces": pieces, "bytes": bytes, "how": how})).await;
        assert!(outcome.result.is_ok(), "{how}: {}", told(&outcome));
        assert!(size(&outcome) <= (10 << 10) + links(pieces), "{how}: {} bytes", size(&outcome));
    }
    for (pieces, bytes, how) in [(1_001, 30, "text"), (2, 9_000, "link"), (100_000, 0, "text")] {
        let outcome = host.call("many", json!({"pieces": pieces, "bytes": bytes, "how": how})).await;
        assert_eq!(outcome.code(), "limit.output", "{how}: {}", told(&outcome).len());
    }
    assert_eq!(host.told("many", json!({"pieces": 3, "bytes": 2, "how": "text"})).await, "ok: xx | xx | xx");
}
