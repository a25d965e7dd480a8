//! What a call costs, as ratios within one run: `just bench`.
//!
//! The work is always the same: 215 bytes of JSON in, five items of JSON out. It is done natively, in a bare engine with
//! the same guest, settings and limits, in an engine as it comes out of the box, and through the whole of `Host::call`.
//! The variants take turns, a batch each, so that a machine that changes its pace changes it for all; what is printed is
//! the median over the rounds and the median of the ratios within a round.
#![expect(clippy::disallowed_methods, reason = "a bench sets up its own world")]
#![expect(clippy::print_stdout, reason = "its figures are its result")]
#![expect(missing_docs, reason = "generated bindings")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick::channel::Channel;
use bailiwick::host::Host;
use bailiwick::load::Setup;
use bailiwick::runtime::Engines;
use bailiwick_core::call::{Call, Caller};
use bailiwick_core::config::{Source, read};
use serde::{Deserialize, Serialize};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// The guest that does the work.
const BENCH: &str = env!("GUEST_BENCH");

wasmtime::component::bindgen!({
    path: "../wit",
    world: "bailiwick:tool/plugin",
    exports: { default: async },
});

const ROUNDS: usize = 40;
const BATCH: u32 = 100;

const ARGUMENTS: &str = r#"{"title":"Groceries for the week","items":[{"name":"bread","price":2.5,"count":2},{"name":"milk","price":1.2,"count":6},{"name":"apples","price":0.4,"count":12},{"name":"rice","price":3.1,"count":1},{"name":"tea","price":4.8,"count":1}]}"#;

#[derive(Deserialize)]
struct Basket {
    title: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    price: f64,
    count: u32,
}

#[derive(Serialize)]
struct Line {
    name: String,
    total: f64,
}

#[derive(Serialize)]
struct Bill {
    title: String,
    lines: Vec<Line>,
}

fn native(arguments: &str) -> String {
    let basket: Basket = serde_json::from_str(arguments).expect("the arguments parse");
    let line = |item: Item| Line { name: item.name, total: item.price * f64::from(item.count) };
    let bill = Bill { title: basket.title, lines: basket.items.into_iter().map(line).collect() };
    serde_json::to_string(&bill).expect("a bill is JSON")
}

struct Bare {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

struct BareEngine {
    pre: PluginPre<Bare>,
    epochs: bool,
}

impl BareEngine {
    fn new(engine: &Engine, wasm: &[u8], epochs: bool) -> Self {
        let component = Component::new(engine, wasm).expect("the guest compiles");
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI links");
        let pre = linker.instantiate_pre(&component).and_then(PluginPre::new).expect("the guest links");
        Self { pre, epochs }
    }

    async fn call(&self) -> String {
        let limits = StoreLimitsBuilder::new().memory_size(64 << 20).table_elements(20_000).build();
        let state = Bare { wasi: WasiCtxBuilder::new().build(), table: ResourceTable::new(), limits };
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limits);
        if self.epochs {
            store.set_epoch_deadline(1);
            store.epoch_deadline_async_yield_and_update(1);
        }
        let plugin = self.pre.instantiate_async(&mut store).await.expect("it starts");
        let answer = plugin.bailiwick_tool_tool().call_call(&mut store, "bill", ARGUMENTS).await;
        answer.expect("it ends").expect("it answers").structured.expect("the answer is JSON")
    }
}

async fn host(folder: &std::path::Path, wasm: &std::path::Path) -> Host {
    let text = format!(
        "[host]\nstate = {folder:?}\ncache = {:?}\n[plugins.bench]\ncomponent = {wasm:?}\n",
        folder.join("cache")
    );
    let source = Source { name: "bench.toml".to_owned(), text, base: folder.to_owned() };
    let config = read(&source, &|_| None).expect("the configuration is right");
    let host = Host::start(&config, Setup::default()).await.expect("the host starts");
    assert!(host.snapshot().problems.is_empty(), "the guest loads");
    host
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Microseconds for one of `BATCH` calls.
fn per_call(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(BATCH)
}

async fn measure<F: Future<Output = ()>>(mut one: impl FnMut() -> F) -> f64 {
    let start = Instant::now();
    for _ in 0..BATCH {
        one().await;
    }
    per_call(start.elapsed())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = std::env::temp_dir().join(format!("bailiwick-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let wasm_path = std::path::Path::new(BENCH);
    let wasm = std::fs::read(wasm_path).expect("the guest was built");

    let engines = Engines::new(64).expect("the engine starts");
    let pooled = BareEngine::new(&engines.pooled, &wasm, true);
    let default = BareEngine::new(&Engine::default(), &wasm, false);
    let host = Arc::new(host(&folder, wasm_path).await);
    let caller = Arc::new(Caller::operator("bench"));

    assert_eq!(pooled.call().await, native(ARGUMENTS), "all variants do the same work");
    let through_host = || async {
        let call = Call {
            id: host.new_call_id(),
            tool: "bill".to_owned(),
            arguments: ARGUMENTS.to_owned(),
            caller: Arc::clone(&caller),
        };
        let outcome = host.call(call, Channel::default()).await;
        assert!(outcome.result.is_ok(), "the call succeeds");
    };

    if let Some(name) = std::env::args().skip_while(|word| word != "--only").nth(1) {
        return alone(&name, &pooled, through_host).await;
    }
    let mut figures: [Vec<f64>; 4] = Default::default();
    for round in 0..ROUNDS + 3 {
        let row = [
            measure(|| async { drop(std::hint::black_box(native(std::hint::black_box(ARGUMENTS)))) }).await,
            measure(|| async { drop(pooled.call().await) }).await,
            measure(|| async { drop(default.call().await) }).await,
            measure(through_host).await,
        ];
        // The first rounds warm caches and the pool.
        if round >= 3 {
            for (column, figure) in figures.iter_mut().zip(row) {
                column.push(figure);
            }
        }
    }
    report(&figures);
    let _ = std::fs::remove_dir_all(&folder);
}

/// One variant for five seconds and nothing else, for a profiler to look at: `--only bare` or `--only host`.
async fn alone<F: Future<Output = ()>>(name: &str, bare: &BareEngine, mut through_host: impl FnMut() -> F) {
    let until = Instant::now() + Duration::from_secs(5);
    let mut calls = 0;
    while Instant::now() < until {
        match name {
            "bare" => drop(bare.call().await),
            _ => through_host().await,
        }
        calls += 1;
    }
    println!("{name}: {:.2} µs a call", 5e6 / f64::from(calls));
}

fn report(figures: &[Vec<f64>; 4]) {
    let [native, pooled, default, host] = figures;
    println!("\nOne call, {} bytes of JSON in; medians over {ROUNDS} rounds of {BATCH} calls, µs:", ARGUMENTS.len());
    for (name, column) in [
        ("native serde_json", native),
        ("bare wasmtime, fresh, pool, limits", pooled),
        ("bare wasmtime, fresh, out of the box", default),
        ("Host::call, fresh, everything on", host),
    ] {
        println!("  {name:<40} {:>9.2}", median(column.clone()));
    }
    let ratio = |a: &[f64], b: &[f64]| median(a.iter().zip(b).map(|(a, b)| a / b).collect());
    println!("Ratios (median over the rounds):");
    println!("  Host::call / native                      {:>9.2}   gate ≤ 9", ratio(host, native));
    println!("  Host::call / bare wasmtime               {:>9.2}   gate ≤ 1.8", ratio(host, pooled));
    println!("  out of the box / Host::call              {:>9.2}   gate ≥ 2.5", ratio(default, host));
}
