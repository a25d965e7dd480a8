//! One call: 237 bytes of JSON in, five items of JSON out. Done natively, in a bare engine with the same guest, settings
//! and limits, in an engine as it comes out of the box, and through the whole of `Host::call`.

use std::time::{Duration, Instant};

use bailiwick::runtime::Engines;
use serde::{Deserialize, Serialize};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceTable, ResourceType};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::report::{Goal, Report, median, micros, ratio};
use crate::world::{BenchHost, World};

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "bailiwick:tool/plugin",
    exports: { default: async },
});

const ROUNDS: usize = 40;
const BATCH: u32 = 100;

pub(crate) const ARGUMENTS: &str = r#"{"title":"Groceries for the week","items":[{"name":"bread","price":2.5,"count":2},{"name":"milk","price":1.2,"count":6},{"name":"apples","price":0.4,"count":12},{"name":"rice","price":3.1,"count":1},{"name":"tea","price":4.8,"count":1}]}"#;

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

pub(crate) struct Bare {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// An engine with WASI and nothing else of a host.
pub(crate) struct BareEngine {
    pre: PluginPre<Bare>,
    epochs: bool,
}

/// An instance in it.
pub(crate) struct BareInstance {
    store: Store<Bare>,
    plugin: Plugin,
}

impl BareInstance {
    /// What a tool answers as JSON.
    pub(crate) async fn call(&mut self, tool: &str, arguments: &str) -> String {
        let answer = self.plugin.bailiwick_tool_tool().call_call(&mut self.store, tool, arguments).await;
        answer.expect("it ends").expect("it answers").structured.expect("the answer is JSON")
    }
}

impl BareEngine {
    pub(crate) fn new(engine: &Engine, wasm: &[u8], epochs: bool) -> Self {
        let component = Component::new(engine, wasm).expect("the guest compiles");
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI links");
        host_in_name(&mut linker, &component).expect("what is a host's may be named");
        let pre = linker.instantiate_pre(&component).and_then(PluginPre::new).expect("the guest links");
        Self { pre, epochs }
    }

    async fn call(&self) -> String {
        self.start().await.call("bill", ARGUMENTS).await
    }

    pub(crate) async fn start(&self) -> BareInstance {
        let limits = StoreLimitsBuilder::new().memory_size(64 << 20).table_elements(20_000).build();
        let state = Bare { wasi: WasiCtxBuilder::new().build(), table: ResourceTable::new(), limits };
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limits);
        if self.epochs {
            store.set_epoch_deadline(1);
            store.epoch_deadline_async_yield_and_update(1);
        }
        let plugin = self.pre.instantiate_async(&mut store).await.expect("it starts");
        BareInstance { store, plugin }
    }
}

/// What is a host's and not WASI's, for components that import it and do not use it here.
fn host_in_name(linker: &mut Linker<Bare>, component: &Component) -> wasmtime::Result<()> {
    let engine = component.engine().clone();
    for (name, item) in component.component_type().imports(&engine).filter(|(name, _)| name.starts_with("bailiwick:")) {
        let ComponentItem::ComponentInstance(interface) = item.ty else { continue };
        let mut instance = linker.instance(name)?;
        for (name, item) in interface.exports(&engine) {
            if let ComponentItem::ComponentFunc(_) = item.ty {
                instance.func_new(name, |_, _, _, _| Err(wasmtime::format_err!("there is no host here")))?;
            } else if let ComponentItem::Resource(_) = item.ty {
                let polled = name == "pollable";
                let kind = if polled { ResourceType::host::<DynPollable>() } else { ResourceType::host::<()>() };
                instance.resource(name, kind, |_, _| Ok(()))?;
            }
        }
    }
    Ok(())
}

/// A host with nothing but the guest that does the work.
pub(crate) async fn host() -> BenchHost {
    let component = bailiwick_tests::guest("bench");
    World::new().start(&format!("[plugins.bench]\ncomponent = {component:?}\n"), "").await
}

/// Microseconds for one of `BATCH` calls.
async fn measure<F: Future<Output = ()>>(mut one: impl FnMut() -> F) -> f64 {
    let start = Instant::now();
    for _ in 0..BATCH {
        one().await;
    }
    micros(start.elapsed()) / f64::from(BATCH)
}

fn engines() -> (BareEngine, BareEngine) {
    let wasm = std::fs::read(bailiwick_tests::guest("bench")).expect("the guest was built");
    let engines = Engines::new(64).expect("the engine starts");
    (BareEngine::new(&engines.pooled, &wasm, true), BareEngine::new(&Engine::default(), &wasm, false))
}

pub(crate) async fn run(report: &mut Report) {
    let (pooled, default) = engines();
    let host = host().await;
    assert_eq!(pooled.call().await, native(ARGUMENTS), "all variants do the same work");
    let mut figures: [Vec<f64>; 4] = Default::default();
    for round in 0..ROUNDS + 3 {
        let row = [
            measure(|| async { drop(std::hint::black_box(native(std::hint::black_box(ARGUMENTS)))) }).await,
            measure(|| async { drop(pooled.call().await) }).await,
            measure(|| async { drop(default.call().await) }).await,
            measure(|| host.call("bill", ARGUMENTS)).await,
        ];
        // The first rounds warm caches and the pool.
        if round >= 3 {
            for (column, figure) in figures.iter_mut().zip(row) {
                column.push(figure);
            }
        }
    }
    let [native, pooled, default, host] = &figures;
    report.plain("native serde_json", median(native), "µs");
    report.plain("bare wasmtime: fresh instance, same pool and limits", median(pooled), "µs");
    report.plain("bare wasmtime: fresh instance, out of the box", median(default), "µs");
    report.plain("Host::call: fresh instance, everything on", median(host), "µs");
    report.plain("bare wasmtime / native", ratio(pooled, native), "");
    report.gated("Host::call / native", ratio(host, native), Goal::AtMost(9.0));
    report.gated("Host::call / bare wasmtime", ratio(host, pooled), Goal::AtMost(1.8));
    report.gated("out of the box / Host::call", ratio(default, host), Goal::AtLeast(2.5));
}

/// One variant for five seconds and nothing else, for a profiler to look at: `--only bare` or `--only host`.
pub(crate) async fn alone(variant: &str) {
    let (bare, _) = engines();
    let host = host().await;
    let until = Instant::now() + Duration::from_secs(5);
    let mut calls = 0;
    while Instant::now() < until {
        match variant {
            "bare" => drop(bare.call().await),
            "host" => host.call("bill", ARGUMENTS).await,
            other => panic!("`{other}` is neither `bare` nor `host`"),
        }
        calls += 1;
    }
    println!("{variant}: {:.2} µs a call", 5e6 / f64::from(calls));
}
