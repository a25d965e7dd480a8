//! Compiling what nobody vouches for: components made to hurt, compilers that misbehave, compiled code that was tampered
//! with. Each costs its own plugin and nothing else. Names such as CMP-5 are of the catalogue of hostile cases.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arbitrary::Unstructured;
use bailiwick::ambient;
use bailiwick::runtime::precheck::precheck;
use bailiwick::runtime::{CompileLimits, Compiler, Component, LoadError, Runtime, Wasm};
use bailiwick_core::outcome::Code;
use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{TestHost, bombs, log, machine, program};

const POLITE: &str = "[plugins.polite]\ncomponent = \"polite.wasm\"\n";
const ODD: &str = "[plugins.odd]\ncomponent = \"odd.wasm\"\n";
const TINY: &str = "[plugins.tiny]\ncomponent = \"tiny.wasm\"\n";

/// What compiling may take where a test does not care.
const LIMITS: CompileLimits = CompileLimits { time: Duration::from_secs(60), memory: 1 << 30 };

/// A plugin of 1.5 kB with one tool, `echo`.
fn tiny() -> Vec<u8> {
    wat::parse_str(include_str!("cases/components/tiny.wat")).expect("it is well-formed")
}

/// The same with a custom section, so that it is another component.
fn other_tiny(number: u64) -> Vec<u8> {
    [tiny(), bombs::section(0, &[b"\x06number".to_vec(), number.to_le_bytes().to_vec()].concat())].concat()
}

fn guest(name: &str) -> Vec<u8> {
    let path = crate::GUESTS.iter().find(|(known, _)| *known == name).map(|(_, path)| *path).expect("a guest");
    std::fs::read(path).expect("it was built")
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).expect("it is below a usize")
    }
}

fn slow() -> bool {
    std::env::var_os("RUN_SLOW_TESTS").is_some()
}

/// A runtime without a cache.
fn runtime(compiler: Compiler, limits: CompileLimits) -> Arc<Runtime> {
    Arc::new(Runtime::new(4, None, compiler, limits).expect("this machine runs components"))
}

fn by_child() -> Compiler {
    Compiler::Child { program: program::path().to_owned() }
}

async fn load(runtime: &Arc<Runtime>, wasm: Vec<u8>) -> Result<Arc<Component>, LoadError> {
    runtime.load(Wasm::foreign(wasm), "odd").await
}

/// What a host says of a component that it leaves out, without the place.
fn said(host: &TestHost) -> String {
    let problems = host.problems();
    let [problem] = &problems[..] else { panic!("one plugin is left out, not {problems:#?}") };
    let (_, said) = problem.split_once(" is left out: ").expect("it says why");
    said.to_owned()
}

// ---- What is refused before anyone compiles it.

#[test]
fn what_is_too_much_is_told_so() {
    for (what, wasm) in [
        ("900000 functions, and the host compiles at most 200000", bombs::functions(900_000, b"\0\x0b")),
        ("4500004 bytes in one function, and the host compiles at most 4194304", bombs::sum(4_500_000)),
        ("50000 local variables in one function, and the host compiles at most 20000", bombs::locals(50_000)),
        (
            "10001 levels of nested blocks in one function, and the host compiles at most 10000",
            bombs::blocks(1_000_000),
        ),
        ("51 levels of nested components, and the host compiles at most 50", bombs::nested(5_000)),
        ("101 levels of nested types, and the host compiles at most 100", bombs::nested_types(500_000)),
        ("1000000 core types, and the host compiles at most 50000", bombs::many(1, 1_000_000, b"\x60\0\0")),
        ("100000 component types, and the host compiles at most 20000", bombs::many_in_component(7, 100_000, b"\x7d")),
        ("100000 imports, and the host compiles at most 50000", bombs::many(2, 100_000, b"\0\0\0\0")),
        ("1000 memories, and the host compiles at most 500", bombs::many(5, 1_000, b"\0\0")),
        ("1000 tables, and the host compiles at most 500", bombs::many(4, 1_000, b"\x70\0\0")),
        ("1000000 globals, and the host compiles at most 100000", bombs::many(6, 1_000_000, b"\x7f\0\x41\0\x0b")),
        ("200000 exports, and the host compiles at most 100000", bombs::many(7, 200_000, b"\0\0\0")),
        ("300000 data segments, and the host compiles at most 200000", bombs::many(11, 300_000, b"\x01\0")),
        ("300000 element segments, and the host compiles at most 100000", bombs::many(9, 300_000, b"\x01\0\0")),
        ("10000 instances, and the host compiles at most 5000", bombs::many_in_component(2, 10_000, b"\x01\0")),
        ("200000 aliases, and the host compiles at most 100000", bombs::many_in_component(6, 200_000, b"\x03\0\0\0")),
        (
            "50000 canonical functions, and the host compiles at most 20000",
            bombs::many_in_component(8, 50_000, b"\x04\0"),
        ),
        ("501 core modules, and the host compiles at most 500", modules(600)),
        ("501 nested components, and the host compiles at most 500", components(600)),
    ] {
        let start = Instant::now();
        let refused = precheck(&wasm).expect_err(what).to_string();
        assert_eq!(refused, format!("it has {what}"));
        assert!(start.elapsed() < Duration::from_secs(1), "{what}: {:?}", start.elapsed());
    }
}

fn modules(count: usize) -> Vec<u8> {
    bombs::component(&vec![bombs::section(1, b"\0asm\x01\0\0\0"); count])
}

fn components(count: usize) -> Vec<u8> {
    bombs::component(&vec![bombs::section(4, &bombs::component(&[])); count])
}

#[test]
fn what_is_much_and_not_too_much_is_let_through() {
    for wasm in [
        bombs::functions(200_000, b"\0\x0b"),
        bombs::sum(4_000_000),
        bombs::locals(20_000),
        bombs::blocks(10_000),
        bombs::nested(49),
        bombs::nested_types(99),
        bombs::doubling(40),
        bombs::many(5, 500, b"\0\0"),
        modules(500),
        components(500),
        tiny(),
    ] {
        precheck(&wasm).unwrap_or_else(|error| panic!("{} bytes: {error}", wasm.len()));
    }
    for (name, _) in crate::GUESTS {
        precheck(&guest(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn a_component_that_is_refused_keeps_the_others_running() {
    let text = format!("{ODD}{POLITE}");
    let world = World::new().file("odd.wasm", bombs::functions(900_000, b"\0\x0b"));
    let host = world.try_start(&text).await.expect("the host starts");
    assert_eq!(said(&host), "it has 900000 functions, and the host compiles at most 200000");
    assert_eq!(host.host.snapshot().problems[0].code, Code::LimitCompile.as_str());
    assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x");
}

#[test]
fn the_program_names_what_was_too_much() {
    let world = World::new().file("odd.wasm", bombs::nested_types(10_000));
    let message = "it has 101 levels of nested types, and the host compiles at most 100";
    let check = world.run(ODD, &["check"], "");
    assert_eq!(check.exit, 1);
    let first = check.err.lines().next().unwrap_or_default();
    assert_eq!(first, format!("error[limit.compile]: plugin `odd` cannot be loaded: {message}"));
    let list = world.run(ODD, &["--json", "list"], "");
    let listed: Value = serde_json::from_str(&list.out).expect("it is JSON");
    let problem = &listed["problems"][0];
    assert_eq!((&problem["code"], &problem["message"]), (&json!("limit.compile"), &json!(message)), "{listed}");
    assert_eq!((&problem["plugin"], &problem["at"]), (&json!("odd"), &json!("bailiwick.toml:1")));
}

#[tokio::test]
async fn a_file_that_is_no_component_is_told_what_it_is() {
    let compiled = {
        let world = World::new().own_cache().file("tiny.wasm", tiny());
        let host = world.start(TINY).await;
        std::fs::read(entry(&host.world)).expect("it is there")
    };
    let engine = wasmtime::Engine::new(&bailiwick::runtime::engine_config()).expect("the engine starts");
    let foreign = engine.precompile_component(&tiny()).expect("it compiles");
    let never = "it is not a WebAssembly component: it is compiled code, which is never loaded from a file; \
                 name the component it was compiled from";
    for (bytes, expected) in [
        (foreign, never),
        (compiled, never),
        (b"odd".to_vec(), "it is not a WebAssembly component: it does not start with the WebAssembly magic number"),
        (
            b"\0asm\x0d\0\x01\0\x07\xff\xff\xff\xff\x0f".to_vec(),
            "it is damaged: unexpected end-of-file (at offset 0xe)",
        ),
        (b"\0asm\x0d\0\x01\0\x07\x05\x01\x41\x01\x09\0".to_vec(), "it is damaged: a declaration of no known kind, 0x9"),
    ] {
        let text = format!("{ODD}{POLITE}");
        let host = World::new().file("odd.cwasm", &bytes).file("odd.wasm", &bytes);
        let host = host.try_start(&text).await.expect("the host starts");
        let said = said(&host);
        assert!(said.starts_with(expected), "{said}");
        assert_eq!(host.host.snapshot().problems[0].code, Code::PluginInvalid.as_str());
    }
}

#[tokio::test]
async fn what_cannot_be_read_as_a_file_is_told_so() {
    let world = World::new().folder("folder.wasm").link("pipe", "link.wasm").link("/dev/zero", "zero.wasm");
    let pipe = std::process::Command::new("mkfifo").arg(world.path("pipe")).status().expect("mkfifo is there");
    assert!(pipe.success());
    let huge = std::fs::File::create(world.path("huge.wasm")).expect("it can be made");
    huge.set_len(3 << 30).expect("it takes no room");
    let here = world.path("").display().to_string();
    let text = "[plugins.a]\ncomponent = \"folder.wasm\"\n[plugins.b]\ncomponent = \"link.wasm\"\n\
                [plugins.c]\ncomponent = \"huge.wasm\"\n[plugins.d]\ncomponent = \"zero.wasm\"\n";
    let host = world.try_start(&format!("{text}{POLITE}")).await.expect("the host starts");
    let problems: Vec<String> = host.problems().iter().map(|problem| problem.replace(&here, "HERE/")).collect();
    assert_eq!(
        problems,
        [
            "plugin `a` (bailiwick.toml:1) is left out: cannot read HERE/folder.wasm: it is not a regular file",
            "plugin `b` (bailiwick.toml:3) is left out: cannot read HERE/link.wasm: it is not a regular file",
            "plugin `c` (bailiwick.toml:5) is left out: HERE/huge.wasm is larger than 128MiB, the most the host takes",
            "plugin `d` (bailiwick.toml:7) is left out: cannot read HERE/zero.wasm: it is not a regular file",
        ]
    );
    assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x");
}

#[tokio::test]
async fn what_is_off_is_named() {
    for (needs, text) in [
        ("threads (shared memory and atomics)", "(component (core module (memory 1 1 shared)))"),
        (
            "threads (shared memory and atomics)",
            "(component (core module (memory 1) (func (drop (i32.atomic.load (i32.const 0))))))",
        ),
        ("64-bit memories", "(component (core module (memory i64 1)))"),
        ("garbage collection", "(component (core module (type (struct (field i32)))))"),
        ("garbage collection", "(component (core module (func (result (ref null i31)) (ref.null i31))))"),
        ("exceptions", "(component (core module (tag) (func (throw 0))))"),
        ("custom page sizes", "(component (core module (memory 1 (pagesize 1))))"),
        (
            "wide arithmetic",
            "(component (core module (func (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1)))))",
        ),
        ("asynchronous components (WASI 0.3)", "(component (type (future)))"),
    ] {
        let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        for compiler in [Compiler::InProcess, by_child()] {
            let error = load(&runtime(compiler, LIMITS), wasm.clone()).await.err().expect("it is refused");
            assert_eq!(
                error.to_string(),
                format!("it needs {needs}, which this host does not offer; build it without")
            );
            assert_eq!(error.code(), Code::PluginInvalid);
        }
    }
}

// ---- What only a compiler finds out.

const TIME: &str =
    "compiling it takes more than 3s of processor time; if you trust it, raise `compile_time` under `[host]`";
const MEMORY: &str =
    "compiling it takes more than 256MiB of memory; if you trust it, raise `compile_memory` under `[host]`";

/// Bombs that pass the bounds, and what a child of 3 seconds and 256 MiB may say of them.
fn large_bombs() -> [(&'static [&'static str], Vec<u8>); 5] {
    let of = |parts: &[Vec<u8>]| parts.concat();
    let loops = of(&[b"\0".to_vec(), b"\x03\x40".repeat(2_000), b"\x0c\0\x0b".repeat(2_000), b"\x0b".to_vec()]);
    let steps = of(&[b"\0".to_vec(), b"\x41\0\x1a".repeat(20), b"\x0b".to_vec()]);
    [
        (&[TIME], bombs::loops(10_000)),
        (&[MEMORY], bombs::doubling(40)),
        (&[TIME, MEMORY], bombs::sum(4_000_000)),
        (&[TIME, MEMORY], bombs::functions(200_000, &steps)),
        (&[TIME, MEMORY], bombs::functions(500, &loops)),
    ]
}

#[test]
fn a_compile_bomb_costs_one_child_and_nothing_else() {
    machine::alone("compile::a_compile_bomb_costs_one_child_and_nothing_else", async {
        let world = World::new().own_cache().compiled_by(program::path());
        let world = world.host_keys("compile_time = \"3s\"\ncompile_memory = \"256MiB\"\n");
        let host = world.start(POLITE).await;
        let with_bomb = format!("{POLITE}{ODD}");
        let odd = host.world.path("odd.wasm");
        // What the allocator keeps of the largest file it saw is not what a bomb costs.
        std::fs::write(&odd, bombs::functions(900_000, &b"\0\x0b".repeat(10))).expect("it can be written");
        host.reload(&with_bomb).await;
        let (before, descriptors) = (machine::resident(), machine::descriptors());
        for (expected, wasm) in large_bombs() {
            std::fs::write(&odd, &wasm).expect("it can be written");
            let start = Instant::now();
            let ((), slowest) = tokio::join!(host.reload(&with_bomb), slowest_call_while_there_are_children(&host));
            println!(
                "measured: a bomb of {} kB took {:.1} s; the slowest of the calls meanwhile took {slowest:?}",
                wasm.len() / 1000,
                start.elapsed().as_secs_f64()
            );
            let said = said(&host);
            assert!(expected.contains(&said.as_str()), "{said}");
            assert_eq!(host.host.snapshot().problems[0].code, Code::LimitCompile.as_str(), "limit.compile");
            assert!(slowest < Duration::from_secs(1), "a call took {slowest:?} meanwhile");
            assert_eq!(machine::children(), Vec::<u32>::new());
        }
        let after = machine::resident();
        println!("measured: resident {} MiB before the bombs, {} MiB after", before >> 20, after >> 20);
        assert!(after < before + (16 << 20), "{before} → {after}");
        assert_eq!(machine::descriptors(), descriptors);
        let audit = host.audit();
        assert!(audit.iter().all(|record| record["outcome"] == "ok"), "no call was lost");
    });
}

/// Calls again and again until the children are gone.
async fn slowest_call_while_there_are_children(host: &TestHost) -> Duration {
    machine::until("a child is started", || !machine::children().is_empty()).await;
    let mut slowest = Duration::ZERO;
    while !machine::children().is_empty() {
        let start = Instant::now();
        assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x");
        slowest = slowest.max(start.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slowest
}

#[tokio::test]
async fn the_same_component_within_its_limits_is_compiled() {
    let small = CompileLimits { memory: 64 << 20, ..LIMITS };
    let wasm = bombs::functions(20_000, b"\0\x41\0\x1a\x0b");
    let refused = load(&runtime(by_child(), small), wasm.clone()).await.err().expect("it takes more");
    assert_eq!(
        refused.to_string(),
        "compiling it takes more than 64MiB of memory; if you trust it, raise `compile_memory` under `[host]`"
    );
    let compiled = load(&runtime(by_child(), LIMITS), wasm).await.err().expect("it has no tools");
    assert!(matches!(compiled, LoadError::NoTools(_)), "{compiled}");
}

#[tokio::test]
async fn types_that_grow_without_end_are_refused() {
    for wasm in [bombs::chained_types(100), bombs::chained_types(10_000), bombs::doubling_types(60)] {
        let error = load(&runtime(by_child(), LIMITS), wasm).await.err().expect("no tools, at most").to_string();
        let refused = ["it does not export", "it cannot be compiled: failed to parse WebAssembly module: "];
        assert!(refused.iter().any(|start| error.starts_with(start)), "{error}");
    }
}

#[tokio::test]
async fn a_plugin_compiled_by_a_child_is_like_any_other() {
    let world = World::new().own_cache().compiled_by(program::path());
    let host = world.start(POLITE).await;
    assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], "x");
    let kept = entry(&host.world);
    let name = kept.file_name().expect("a name").to_string_lossy().into_owned();
    let code = std::fs::read(&kept).expect("it is there");
    // A host without children takes what the child made.
    let again = World::new().own_cache().file(&format!("cache/{name}"), &code).private("cache").start(POLITE).await;
    assert_eq!(again.value("echo", json!({"name": "x"})).await["name"], "x");
    assert!(code == std::fs::read(entry(&again.world)).expect("it is there"), "it was not compiled again");
}

#[tokio::test]
async fn what_a_child_costs_at_a_cold_start() {
    let wasm = guest("hidden");
    let children = runtime(by_child(), LIMITS);
    let in_process = runtime(Compiler::InProcess, LIMITS);
    let (mut by_child, mut by_itself) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        for (runtime, times) in [(&children, &mut by_child), (&in_process, &mut by_itself)] {
            let start = Instant::now();
            load(runtime, wasm.clone()).await.map(drop).expect("it loads");
            times.push(start.elapsed());
        }
    }
    by_child.sort();
    by_itself.sort();
    println!(
        "measured: a component of {} kB is compiled in {:?} by a child, in {:?} in process",
        wasm.len() / 1000,
        by_child[2],
        by_itself[2]
    );
    assert!(by_child[2] < by_itself[2] + Duration::from_secs(2));
}

// ---- Compilers that misbehave.

/// A world with a program that is not what it should be, and a component it should compile.
fn with_compiler(script: &str) -> World {
    let world = World::new().own_cache().file("odd.wasm", tiny()).file("compiler", format!("#!/bin/sh\n{script}\n"));
    let compiler = world.path("compiler");
    std::fs::set_permissions(&compiler, PermissionsExt::from_mode(0o755)).expect("a mode can be set");
    world.host_keys("compile_time = \"1s\"\n").compiled_by(compiler)
}

/// What a child says: the start of its answer, its engine's number, a length, the rest.
fn answer(start: &str, engine: u64, length: u64, rest: &str) -> Vec<u8> {
    [start.as_bytes(), &engine.to_le_bytes(), &length.to_le_bytes(), rest.as_bytes()].concat()
}

#[tokio::test]
async fn a_compiler_that_misbehaves_costs_its_plugin_and_nothing_else() {
    let clock = "compiling it did not end within 4s; if you trust it, raise `compile_time` under `[host]`";
    let killed = "its compiler was ended by signal 9; the machine may be out of memory, or someone ended it";
    let nothing = "its compiler failed: it ended with exit status: 0 and no answer";
    let version = "its compiler failed: it is of another version than this host";
    let large = "its compiled code is larger than 1GiB, the most the host loads";
    let complained = "its compiler failed: it ended with exit status: 7 and said `the sky \\u{1b}[2J fell`";
    let none = Vec::new;
    for (script, says, expected) in [
        ("exec sleep 600", none(), clock),
        ("exec >&- 2>&-; exec sleep 600", none(), clock),
        ("kill -STOP $$", none(), clock),
        ("exec yes >&2", none(), clock),
        ("exec cat", none(), clock),
        ("kill -9 $$", none(), killed),
        ("head -c 1000 > /dev/null; kill -9 $$", none(), killed),
        ("exit 0", none(), nothing),
        ("printf 'the sky \\033[2J fell\\n' >&2; exit 7", none(), complained),
        ("cat \"$0.says\"", b"junk".repeat(10), nothing),
        ("cat \"$0.says\"", answer("bwcode1\nc", 1, 64, "short"), nothing),
        ("cat \"$0.says\"", answer("bwcode0\nc", 1, 5, "short"), nothing),
        ("cat \"$0.says\"", answer("bwcode1\nx", 1, 5, "short"), nothing),
        ("cat \"$0.says\"", answer("bwcode1\nc", 1, 5, "short"), version),
        ("cat \"$0.says\"; exec cat /dev/zero", answer("bwcode1\nc", 1, u64::MAX, ""), large),
    ] {
        let world = with_compiler(&format!("echo >> \"$0.starts\"\n{script}")).file("compiler.says", &says);
        let host = world.try_start(ODD).await.expect("the host starts");
        assert_eq!(said(&host), expected, "{script} {says:?}");
        let starts = std::fs::read_to_string(host.world.path("compiler.starts")).expect("it was started");
        assert_eq!(starts, "\n", "{script}: it is tried once");
        let kept = std::fs::read_dir(host.world.path("cache")).expect("there is a cache").count();
        assert_eq!(kept, 0, "{script}: nothing it said is kept");
    }
}

#[tokio::test]
async fn a_compiler_that_is_not_there_is_told_so() {
    let missing = World::new().own_cache().file("odd.wasm", tiny()).compiled_by("/nowhere/bailiwick");
    let host = missing.try_start(ODD).await.expect("the host starts");
    assert_eq!(said(&host), "its compiler failed: it cannot be started: No such file or directory (os error 2)");
    assert_eq!(host.host.snapshot().problems[0].code, Code::Internal.as_str());
}

#[tokio::test]
async fn code_of_another_version_that_claims_to_be_ours_is_not_loaded() {
    // It answers as a child of this host would, with our own number, and code that no engine made.
    let real = World::new().own_cache().file("tiny.wasm", tiny()).start(TINY).await;
    let number = entry(&real.world).file_stem().expect("a name").to_string_lossy().into_owned();
    let number = u64::from_str_radix(&number[number.len() - 16..], 16).expect("the end of the name is the number");
    let says = answer("bwcode1\nc", number, 5, "short");
    let world = with_compiler("exec cat \"$0.says\"").file("compiler.says", says);
    let host = world.try_start(ODD).await.expect("the host starts");
    let said = said(&host);
    assert!(said.starts_with("it cannot be compiled: "), "{said}");
}

#[test]
fn a_start_that_is_given_up_leaves_no_child() {
    machine::alone("compile::a_start_that_is_given_up_leaves_no_child", async {
        let world = with_compiler("exec sleep 600");
        let given_up = tokio::time::timeout(Duration::from_millis(500), world.try_start(ODD)).await;
        assert!(given_up.is_err(), "it was still at it");
        machine::until("the child is gone", || machine::children().is_empty()).await;
    });
}

#[tokio::test]
async fn a_host_that_is_killed_leaves_no_child() {
    killed(&["check"], false).await;
    killed(&["--no-confine", "check"], true).await;
}

/// A host that compiles, killed in the middle; `first` tells whether its child may say that it is the first to go when
/// memory ends. Behind the wall of its host, it may not.
async fn killed(arguments: &[&str], first: bool) {
    let world = World::new().own_cache().file("odd.wasm", bombs::loops(10_000));
    let text = format!("{ODD}[host]\nstate = \"./state\"\ncache = \"./cache\"\n");
    std::fs::write(world.path("bailiwick.toml"), text).expect("it can be written");
    let mut host = std::process::Command::new(program::path())
        .args(["--config", "bailiwick.toml"])
        .args(arguments)
        .current_dir(world.path(""))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program can be started");
    let mut child = None;
    machine::until("a child is started", || {
        child = machine::children_of(host.id()).pop();
        child.is_some()
    })
    .await;
    let child = child.expect("there is one");
    assert_confined(child, first).await;
    host.kill().expect("it can be killed");
    host.wait().expect("it ends");
    machine::until("the child is gone", || !Path::new(&format!("/proc/{child}")).exists()).await;
}

/// What the kernel says of a child that compiles.
async fn assert_confined(child: u32, first: bool) {
    let proc = |file: &str| std::fs::read_to_string(format!("/proc/{child}/{file}")).unwrap_or_default();
    let cpu = |limits: &str| limits.lines().any(|line| line.starts_with("Max cpu time") && line.contains(" 121 "));
    machine::until("the child has limits", || cpu(&proc("limits"))).await;
    machine::until("the child has given up its rights", || proc("status").contains("NoNewPrivs:\t1")).await;
    let limits = proc("limits");
    for (name, soft, hard) in [
        ("Max cpu time", "120", "121"),
        ("Max file size", "0", "0"),
        ("Max data size", "2147483648", "2147483648"),
        ("Max core file size", "0", "0"),
        ("Max open files", "16", "16"),
        ("Max address space", "10737418240", "10737418240"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("Linux says");
        let mut values = line[name.len()..].split_whitespace();
        assert_eq!((values.next(), values.next()), (Some(soft), Some(hard)), "{name}");
    }
    assert_eq!(proc("oom_score_adj").trim() == "1000", first);
    let nice = |stat: String| -> i32 {
        let (_, rest) = stat.rsplit_once(')').expect("it has a name");
        rest.split_whitespace().nth(16).and_then(|nice| nice.parse().ok()).expect("a number")
    };
    let own = nice(std::fs::read_to_string("/proc/self/stat").expect("Linux says"));
    assert_eq!(nice(proc("stat")), (own + 10).min(19));
    // Only root may look further into a process that is not to be looked into.
    if let Ok(descriptors) = std::fs::read_dir(format!("/proc/{child}/fd")) {
        let open: Vec<String> =
            descriptors.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        // What was open in whoever started the tests, and is not ours to close, comes along.
        let handed_down = |descriptor: &str| {
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
            flags.is_some_and(|flags| flags & libc::O_CLOEXEC.cast_unsigned() == 0)
        };
        let own = |descriptor: &&String| ["0", "1", "2"].contains(&descriptor.as_str()) || handed_down(descriptor);
        assert!(open.iter().all(|descriptor| own(&descriptor)), "{open:?}");
        let environment = proc("environ");
        assert!(
            environment.starts_with("RAYON_NUM_THREADS=") && environment.matches('\0').count() == 1,
            "{environment}"
        );
    }
}

#[tokio::test]
async fn slow_components_do_not_hold_up_the_others() {
    // As many as run at once hang; the next gets a turn all the same.
    let hang = std::thread::available_parallelism().map_or(1, usize::from).clamp(2, 8);
    let turns = (0..hang).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
    let script = format!(
        "for turn in {turns}; do mkdir \"$0.$turn\" 2>/dev/null && exec sleep 600; done\nexec {} \"$@\"",
        program::path().display()
    );
    let world = with_compiler(&script);
    let runtime = runtime(Compiler::Child { program: world.path("compiler") }, LIMITS);
    let hanging: Vec<_> = (0..hang)
        .map(|number| {
            let runtime = Arc::clone(&runtime);
            let wasm = other_tiny(number as u64);
            tokio::spawn(async move { load(&runtime, wasm).await.map(drop) })
        })
        .collect();
    machine::until("all of them hang", || (0..hang).all(|number| world.path(&format!("compiler.{number}")).exists()))
        .await;
    let start = Instant::now();
    load(&runtime, tiny()).await.map(drop).expect("it loads");
    println!("measured: beside {hang} compilers that hang, another is done after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(hanging.iter().all(|task| !task.is_finished()), "they still hang");
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn plugins_of_one_component_compile_it_once() {
    let script = format!("echo >> \"$0.starts\"\nexec {} \"$@\"", program::path().display());
    let world = with_compiler(&script).host_keys("calls = 8\n");
    let text: String = (0..20).map(|number| format!("[plugins.p{number}]\ncomponent = \"odd.wasm\"\n")).collect();
    let host = world.start(&text).await;
    let starts = std::fs::read_to_string(host.world.path("compiler.starts")).expect("it was started");
    assert_eq!(starts, "\n");
    assert_eq!(host.listed().len(), 20);
}

#[tokio::test]
async fn a_component_that_was_refused_is_not_compiled_again() {
    let three: String = (0..3).map(|number| format!("[plugins.p{number}]\ncomponent = \"odd.wasm\"\n")).collect();
    let counted = |script: &str| with_compiler(&format!("echo >> \"$0.starts\"\n{script}"));
    for (script, starts_after_reload) in [
        // It is in the component: trying again would come to the same.
        (format!("exec {} \"$@\"", program::path().display()), 1),
        // It may have been the machine: a reload tries again.
        ("kill -9 $$".to_owned(), 2),
    ] {
        let host = counted(&script).file("odd.wasm", bombs::loops(10_000)).try_start(&three).await.expect("it starts");
        let starts = || std::fs::read_to_string(host.world.path("compiler.starts")).expect("it was started").len();
        // Whoever comes to the same component only after it was given up may try once more.
        let may = |n_starts: usize| if starts_after_reload == 1 { 1..=1 } else { n_starts..=3 * n_starts };
        assert!(host.problems().len() == 3 && may(1).contains(&starts()), "{script}: {}", starts());
        host.reload(&three).await;
        assert!(host.problems().len() == 3 && may(2).contains(&starts()), "{script}: {}", starts());
    }
}

#[tokio::test]
async fn a_thousand_plugins_are_there_in_a_moment() {
    let text: String = (0..1000).map(|number| format!("[plugins.p{number}]\ncomponent = \"tiny.wasm\"\n")).collect();
    let start = Instant::now();
    let host = World::new().own_cache().file("tiny.wasm", tiny()).start(&text).await;
    println!("measured: 1,000 plugins of one component in {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(host.listed().len(), 1000);
    assert_eq!(host.told("p777__echo", json!({"a": 1})).await, "ok: {\"a\":1}");
}

#[tokio::test]
async fn a_program_that_is_replaced_while_it_runs_goes_on_compiling() {
    use std::io::{BufRead as _, Write as _};
    let world = World::new().own_cache().file("odd.wasm", tiny());
    let copy = world.path("bailiwick");
    std::fs::hard_link(program::path(), &copy)
        .or_else(|_| std::fs::copy(program::path(), &copy).map(drop))
        .expect("the program can be copied");
    let config = world.path("bailiwick.toml");
    let own = "[host]\nstate = \"./state\"\ncache = \"./cache\"\n";
    std::fs::write(&config, own).expect("it can be written");
    let mut host = std::process::Command::new(&copy)
        .args(["--config", "bailiwick.toml", "serve", "--stdio"])
        .current_dir(world.path(""))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program can be started");
    let mut input = host.stdin.take().expect("it is piped");
    let mut output = std::io::BufReader::new(host.stdout.take().expect("it is piped")).lines();
    let mut ask = |id: u64, method: &str, parameters: Value| {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters});
        writeln!(input, "{message}").expect("it listens");
        loop {
            let line = output.next().expect("it answers").expect("it is text");
            let answer: Value = serde_json::from_str(&line).expect("it is JSON");
            if answer["id"] == id {
                return answer["result"].clone();
            }
        }
    };
    ask(
        1,
        "initialize",
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}),
    );
    std::fs::remove_file(&copy).expect("it can be removed");
    std::fs::write(&copy, "#!/bin/sh\nexit 1\n").expect("it can be replaced");
    std::fs::write(&config, format!("{ODD}{own}")).expect("it can be written");
    let mut id = 1;
    machine::until("the new plugin is there", || {
        id += 1;
        ask(id, "tools/list", json!({}))["tools"].as_array().is_some_and(|tools| tools.len() == 1)
    })
    .await;
    let result = ask(id + 1, "tools/call", json!({"name": "echo", "arguments": {"a": 1}}));
    assert_eq!(result["content"][0]["text"], "{\"a\":1}");
    host.kill().expect("it can be killed");
    host.wait().expect("it ends");
}

#[tokio::test]
async fn what_is_compiled_is_what_was_read() {
    // The compiler waits until the file has been replaced.
    let script = format!("until [ -e \"$0.swapped\" ]; do sleep 0.05; done\nexec {} \"$@\"", program::path().display());
    let world = with_compiler(&script);
    let (component, swapped) = (world.path("odd.wasm"), world.path("compiler.swapped"));
    let digest = bailiwick::runtime::ComponentDigest::of(&tiny());
    let swap = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        std::fs::write(&component, guest("polite")).expect("it can be written");
        std::fs::write(&swapped, "").expect("it can be written");
    };
    let (host, ()) = tokio::join!(world.start(ODD), swap);
    assert_eq!(host.listed(), ["echo"]);
    assert_eq!(host.told("echo", json!({"name": 1})).await, "ok: {\"name\":1}", "the tool is the one that was read");
    let name = entry(&host.world).file_name().expect("a name").to_string_lossy().into_owned();
    let digest = digest.to_string();
    assert_eq!(name.split('-').next(), digest.strip_prefix("sha256:"), "and its code is kept under its own hash");
}

#[test]
fn nobody_else_starts_a_compiler() {
    for (arguments, expected) in [
        (&["compile-child"][..], "compile-child: it takes two arguments; the host starts it, nobody else does\n"),
        (&["compile-child", "much", "1"], "compile-child: its arguments are no numbers\n"),
        (&["compile-child", "1000000000", "1"], "compile-child: failed to fill whole buffer\n"),
    ] {
        let run = World::new().run_bare(arguments, "");
        assert_eq!((run.exit, run.out.as_str(), run.err.as_str()), (1, "", expected));
    }
    let help = World::new().run_bare(&["--help"], "");
    assert!(help.exit == 0 && !help.out.contains("compile-child"), "{}", help.out);
}

// ---- Random and damaged components.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_components_load_or_are_refused() {
    let n_components = if slow() { 10_000 } else { 300 };
    let runtime = runtime(Compiler::InProcess, LIMITS);
    let mut dice = Dice(1);
    let (mut compiled, mut refused) = (0, 0);
    for number in 0..n_components {
        let bytes: Vec<u8> = (0..2048).map(|_| u8::try_from(dice.roll(256)).expect("a byte")).collect();
        let config = wasm_smith::Config { allow_start_export: number % 2 == 0, ..wasm_smith::Config::default() };
        let component = wasm_smith::Component::new(config, &mut Unstructured::new(&bytes));
        let Ok(component) = component else { continue };
        match load(&runtime, component.to_bytes()).await {
            Ok(_) | Err(LoadError::NoTools(_) | LoadError::UnknownImports(_)) => compiled += 1,
            Err(error) => {
                assert_ne!(error.code(), Code::Internal, "component {number}: {error}");
                refused += 1;
            }
        }
    }
    println!("measured: of {n_components} random components {compiled} were compiled, {refused} refused");
    assert!(compiled > n_components / 4, "the rest is hardly of use");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_cut_anywhere_is_refused() {
    let runtime = runtime(Compiler::InProcess, LIMITS);
    let whole = tiny();
    load(&runtime, whole.clone()).await.map(drop).expect("the whole loads");
    // What ends with a section is whole, and what is cut off holds only names: nothing that runs.
    let names = bombs::section(0, b"\x0ecomponent-name");
    let names = whole.windows(14).position(|bytes| bytes == &names[3..]).expect("it has names") - 4;
    for length in (0..whole.len()).filter(|length| *length != names) {
        let error = load(&runtime, whole[..length].to_vec()).await.err();
        let error = error.unwrap_or_else(|| panic!("its first {length} bytes load"));
        assert_ne!(error.code(), Code::Internal, "its first {length} bytes: {error}");
    }
    let large = guest("hidden");
    let mut dice = Dice(4);
    for _ in 0..100 {
        let length = dice.roll(large.len());
        assert!(load(&runtime, large[..length].to_vec()).await.is_err(), "its first {length} bytes load");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_component_loads_or_is_refused() {
    let runtime = runtime(Compiler::InProcess, LIMITS);
    let whole = tiny();
    let mut dice = Dice(2);
    let n_components = if slow() { 20_000 } else { 500 };
    for _ in 0..n_components {
        let mut damaged = whole.clone();
        for _ in 0..=dice.roll(3) {
            let place = dice.roll(damaged.len());
            damaged[place] = u8::try_from(dice.roll(256)).expect("a byte");
        }
        if let Err(error) = load(&runtime, damaged.clone()).await {
            assert_ne!(error.code(), Code::Internal, "{error}: {damaged:x?}");
        }
    }
}

#[tokio::test]
async fn names_that_would_paint_on_a_terminal_are_spelled_out() {
    let tool = "(instance $i) (export \"bailiwick:tool/tool@0.1.0\" (instance $i))";
    let hostile = "(import \"url=<https://x/\\1b[2J\\u{202e}>\" (func)) (@custom \"\\1b[2J\" \"\\1b[2J\")";
    let hostile = format!("(component {hostile} {tool})");
    let many: String = (0..500)
        .map(|number| format!("(import \"evil:power/i{number}@1.0.0\" (instance (export \"f\" (func))))"))
        .collect();
    let many = format!("(component {many} {tool})");
    for text in [hostile, many] {
        let wasm = wat::parse_str(text).expect("it is well-formed");
        for world in [World::new(), World::new().own_cache().compiled_by(program::path())] {
            let host = world.file("odd.wasm", &wasm).try_start(ODD).await.expect("the host starts");
            let said = said(&host);
            assert!(!said.contains(|c: char| c.is_control() || c == '\u{202e}'), "{said:?}");
            assert!(said.len() < 2_500, "{} bytes", said.len());
            assert!(
                said.contains("\\u{1b}[2J") || said.contains("and 490 more, which this host does not offer"),
                "{said}"
            );
        }
    }
}

// ---- Compiled code that was tampered with.

/// The one entry of a world's own cache.
fn entry(world: &World) -> PathBuf {
    let entries: Vec<PathBuf> =
        std::fs::read_dir(world.cache()).expect("there is a cache").flatten().map(|entry| entry.path()).collect();
    let [entry] = &entries[..] else { panic!("one entry, not {entries:?}") };
    entry.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_flipped_bits_of_compiled_code_none_is_run() {
    const FLIPS: usize = 1_000;
    let host = World::new().own_cache().file("tiny.wasm", tiny()).start(TINY).await;
    let entry = entry(&host.world);
    let right = std::fs::read(&entry).expect("it is there");
    let mut dice = Dice(3);
    let mut anew = 0;
    for number in 0..FLIPS {
        let mut flipped = right.clone();
        // Every part of it in turn, a bit at random within: the seal, the headers, the machine code, the tables.
        let place = (right.len() * number / FLIPS + dice.roll(right.len() / FLIPS)).min(right.len() - 1);
        flipped[place] ^= 1 << dice.roll(8);
        std::fs::write(&entry, &flipped).expect("it can be written");
        // Code that is in use is not read again.
        host.reload("").await;
        host.reload(TINY).await;
        assert_eq!(host.problems(), Vec::<String>::new());
        assert_eq!(host.told("echo", json!({"a": number})).await, format!("ok: {{\"a\":{number}}}"));
        // Had it been taken, it would still be there.
        anew += usize::from(std::fs::read(&entry).expect("it is there") != flipped);
    }
    let noticed = log::lines_with(&entry.display().to_string()).len();
    println!(
        "measured: of {FLIPS} flipped bits {noticed} were noticed, {anew} entries compiled anew, {} run",
        FLIPS - anew
    );
    assert_eq!((noticed, anew), (FLIPS, FLIPS));
}

#[tokio::test]
async fn an_entry_that_is_no_file_is_never_waited_for() {
    /// What stands where the entry was, and how it gets there.
    type Imposter = (&'static str, fn(&Path));
    let make: [Imposter; 4] = [
        ("a pipe", |path| {
            let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo is there");
            assert!(made.success());
        }),
        ("a folder", |path| std::fs::create_dir(path).expect("it can be made")),
        ("a link to the right code", |path| {
            std::os::unix::fs::symlink(path.with_extension("kept"), path).expect("it can be made");
        }),
        ("a link to a device", |path| std::os::unix::fs::symlink("/dev/zero", path).expect("it can be made")),
    ];
    for (what, make) in make {
        let host = World::new().own_cache().file("tiny.wasm", tiny()).start(TINY).await;
        let entry = entry(&host.world);
        std::fs::rename(&entry, entry.with_extension("kept")).expect("it can be renamed");
        make(&entry);
        // Code that is in use is not read again.
        host.reload("").await;
        let reloaded = tokio::time::timeout(Duration::from_secs(5), host.reload(TINY)).await;
        assert!(reloaded.is_ok(), "{what} is waited for");
        assert_eq!(host.told("echo", json!({"a": 1})).await, "ok: {\"a\":1}", "{what}");
        let lines = log::lines_with(&format!("entry={}", entry.display()));
        assert!(lines.iter().any(|line| line.contains("cannot be read; compiling anew")), "{what}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_cache_that_is_not_ours_alone_is_not_used() {
    for mode in [0o770, 0o707, 0o1777] {
        let world = World::new().own_cache().folder("cache").file("tiny.wasm", tiny());
        let cache = world.path("cache");
        std::fs::set_permissions(&cache, PermissionsExt::from_mode(mode)).expect("a mode can be set");
        let error = world.try_start(TINY).await.err().expect("it does not start").to_string();
        assert!(error.ends_with("run `chmod go-w` on it"), "{mode:o}: {error}");
    }
    // Only root can give a folder to somebody else.
    if ambient::own_user() == 0 {
        let world = World::new().own_cache().folder("cache").private("cache").file("tiny.wasm", tiny());
        let cache = world.path("cache");
        std::os::unix::fs::chown(&cache, Some(65_534), None).expect("root may");
        let error = world.try_start(TINY).await.err().expect("it does not start").to_string();
        let cache = cache.display();
        assert_eq!(error, format!("cannot use {cache}: {cache} belongs to another user; run `chown` on it"));
    }
}
