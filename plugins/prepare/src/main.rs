//! Runs a component's set-up once and keeps what it left in memory: `bailiwick-prepare IN OUT`.
//!
//! The set-up is the call of `describe`, which a plugin answers before anybody granted it anything: so what is kept holds no
//! right, no path and no secret, and the component has no export it did not have before. Its tables must not change and it
//! must hold no handle of the host's when `describe` returns.
#![expect(clippy::disallowed_methods, reason = "a tool of the build reads and writes files")]
#![expect(clippy::print_stderr, reason = "it is a program")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentNamedList, Func, Instance, Lift, Linker, ResourceTable, ResourceType, Val, WasmList,
};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

/// The interface and the function that set a plugin up.
const INTERFACE: &str = "bailiwick:tool/tool@0.1.0";
const FUNCTION: &str = "describe";

/// A world without anything in it, in which no time passes and chance always says the same: what is made of a component is
/// the same each time.
struct Nothing {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl Nothing {
    fn new() -> Self {
        let mut wasi = WasiCtxBuilder::new();
        wasi.secure_random(Deterministic::new(vec![4])).insecure_random(Deterministic::new(vec![4]));
        wasi.insecure_random_seed(4).wall_clock(Stopped).monotonic_clock(Stopped);
        Self { wasi: wasi.build(), table: ResourceTable::new() }
    }
}

/// A clock that stands still.
struct Stopped;

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Stopped {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

impl WasiView for Nothing {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        eprintln!("usage: bailiwick-prepare IN OUT");
        return ExitCode::FAILURE;
    };
    match prepare(from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bailiwick-prepare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn prepare(from: &str, to: &str) -> Result<()> {
    let wasm = std::fs::read(from).with_context(|| format!("`{from}` cannot be read"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let prepared = runtime.block_on(run(&wasm))?;
    // Written aside first: a build that ends early must not leave half a component.
    let aside = format!("{to}.new");
    std::fs::write(&aside, prepared).with_context(|| format!("`{aside}` cannot be written"))?;
    std::fs::rename(&aside, to).with_context(|| format!("`{to}` cannot be written"))
}

async fn run(wasm: &[u8]) -> Result<Vec<u8>> {
    let wizer = Wizer::new();
    let (context, instrumented) = told(wizer.instrument_component(wasm), "the component cannot be prepared")?;
    let engine = told(Engine::new(&Config::new()), "no engine")?;
    let component = told(Component::new(&engine, &instrumented), "the component does not compile")?;
    let mut linker = Linker::<Nothing>::new(&engine);
    told(wasmtime_wasi::p2::add_to_linker_async(&mut linker), "no WASI")?;
    told(host(&mut linker, &component, &engine), "the component's imports cannot be filled in")?;
    let mut store = Store::new(&engine, Nothing::new());
    let instance = told(linker.instantiate_async(&mut store, &component).await, "the component does not start")?;
    let describe = function(&mut store, &instance, INTERFACE, FUNCTION)?;
    let mut results = [Val::Bool(false)];
    told(describe.call_async(&mut store, &[], &mut results).await, "the set-up failed")?;
    let mut prepared = Prepared { store, instance };
    told(wizer.snapshot_component(&context, &mut prepared).await, "its memory cannot be kept")
}

/// Puts the host's own interfaces there, in name only: whoever calls one of their functions fails. What they share with WASI
/// is WASI's.
fn host(linker: &mut Linker<Nothing>, component: &Component, engine: &Engine) -> wasmtime::Result<()> {
    for (name, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = item.ty else { continue };
        if !name.starts_with("bailiwick:") {
            continue;
        }
        let mut instance = linker.instance(name)?;
        for (name, item) in interface.exports(engine) {
            let called = name.to_owned();
            match item.ty {
                ComponentItem::ComponentFunc(_) => instance.func_new(name, move |_, _, _, _| {
                    Err(wasmtime::format_err!("it calls `{called}`, which is not there before it is run"))
                })?,
                ComponentItem::Resource(_) if name == "pollable" => {
                    instance.resource(name, ResourceType::host::<DynPollable>(), |_, _| Ok(()))?;
                }
                ComponentItem::Resource(_) => instance.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?,
                ComponentItem::CoreFunc(_)
                | ComponentItem::Module(_)
                | ComponentItem::Component(_)
                | ComponentItem::ComponentInstance(_)
                | ComponentItem::Type(_) => {}
            }
        }
    }
    Ok(())
}

/// The engine's error, under a sentence of ours.
fn told<T>(result: wasmtime::Result<T>, what: &'static str) -> Result<T> {
    result.map_err(|error| anyhow!("{what}: {error:#}"))
}

fn function(store: &mut Store<Nothing>, instance: &Instance, interface: &str, name: &str) -> Result<Func> {
    let inner = instance.get_export_index(&mut *store, None, interface);
    let inner = inner.with_context(|| format!("the component does not export `{interface}`"))?;
    let index = instance.get_export_index(&mut *store, Some(&inner), name);
    let index = index.with_context(|| format!("`{interface}` has no `{name}`"))?;
    instance.get_func(store, index).with_context(|| format!("`{name}` is no function"))
}

/// An instance that was set up, as it is read.
struct Prepared {
    store: Store<Nothing>,
    instance: Instance,
}

impl Prepared {
    /// What a function that takes nothing gives.
    async fn get<R>(&mut self, interface: &str, name: &str) -> R
    where
        (R,): ComponentNamedList + Lift + 'static,
        R: Lift + 'static,
    {
        let read = async {
            let function = function(&mut self.store, &self.instance, interface, name)?;
            let function = told(function.typed::<(), (R,)>(&self.store), "it has another type")?;
            told(function.call_async(&mut self.store, ()).await, "it failed")
        };
        let (value,): (R,) = read.await.expect("the function is one that was added to read the instance by");
        value
    }
}

impl ComponentInstanceState for Prepared {
    async fn call_func_ret_list_u8(&mut self, interface: &str, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let list: WasmList<u8> = self.get(interface, name).await;
        contents(list.as_le_slice(&self.store));
    }

    async fn call_func_ret_s32(&mut self, interface: &str, name: &str) -> i32 {
        self.get(interface, name).await
    }

    async fn call_func_ret_s64(&mut self, interface: &str, name: &str) -> i64 {
        self.get(interface, name).await
    }

    async fn call_func_ret_f32(&mut self, interface: &str, name: &str) -> u32 {
        self.get::<f32>(interface, name).await.to_bits()
    }

    async fn call_func_ret_f64(&mut self, interface: &str, name: &str) -> u64 {
        self.get::<f64>(interface, name).await.to_bits()
    }
}
