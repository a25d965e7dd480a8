//! The one engine all components share, and its clock.
//!
//! Set up for a fresh instance per call: memory comes from a pool of slots that are reset by copy-on-write, and every
//! 10 ms an epoch tick makes a busy guest give way to the others.

use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// A guest gives way at least this often, and a deadline is seen at most this late.
pub const TICK: Duration = Duration::from_millis(10);

/// The native stack a guest may use; deeper recursion traps.
const WASM_STACK: usize = 2 << 20;
/// What a fiber has beyond that, for host calls.
const ASYNC_STACK: usize = WASM_STACK + (512 << 10);
/// Most memory one slot of the pool can grow to; `limits.memory` is usually far below. Plugins that need more run outside
/// the pool.
const SLOT_MEMORY: usize = 1 << 30;
/// Tables of a slot.
const SLOT_TABLE: usize = 100_000;
/// Core instances of a slot; a Rust component is three.
const SLOT_INSTANCES: u32 = 50;
/// Slots for looking at plugins while they are loaded, so that calls and loading never take each other's.
pub(super) const PREVIEWS: usize = 8;

/// Engines for the two ways of getting memory.
#[derive(Debug, Clone)]
pub struct Engines {
    /// From the pool; used for everything that fits.
    pub pooled: Engine,
    /// One by one, for components that do not fit a slot. Slower; the log says when it is used.
    pub on_demand: Engine,
}

impl Engines {
    /// Engines that can hold `calls` calls at once, and what loading needs beside them.
    ///
    /// # Errors
    /// When this machine cannot reserve the address space, or is not one the compiler knows.
    pub fn new(calls: u32) -> wasmtime::Result<Self> {
        let pooled = match Engine::new(config().allocation_strategy(pool(calls))) {
            Ok(engine) => engine,
            Err(error) => {
                tracing::warn!(%error, "no address space for a pool of instances; calls will start slower");
                Engine::new(&config())?
            }
        };
        let on_demand = Engine::new(&config())?;
        tick(&pooled);
        tick(&on_demand);
        Ok(Self { pooled, on_demand })
    }
}

/// What every component is compiled for. Proposals that no tool needs are off: each is attack surface.
#[must_use]
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .parallel_compilation(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(ASYNC_STACK)
        .memory_init_cow(true)
        .wasm_memory64(false)
        .wasm_component_model(true)
        // What debuggers of native code want, and nothing here does.
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    config
}

fn pool(calls: u32) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    let slots = calls + PREVIEWS as u32;
    // For each slot as much as one component may have: whatever one plugin is made of, there is room for the others. A
    // Rust component is three core instances and two or three tables, but one memory. Figures as measured: what a call
    // touches stays resident, so that the next one starts without page faults: up to what the interpreter for JavaScript has,
    // whose call took three times as long with less.
    pool.total_component_instances(slots)
        .total_core_instances(slots * SLOT_INSTANCES)
        .total_memories(slots * 2)
        .total_tables(slots * 6)
        .total_stacks(slots)
        .max_core_instances_per_component(SLOT_INSTANCES)
        .max_memories_per_component(2)
        .max_tables_per_component(6)
        .max_memory_size(SLOT_MEMORY)
        .table_elements(SLOT_TABLE)
        .linear_memory_keep_resident(3 << 20)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        .decommit_batch_size(1)
        // Off: in 48.0.8 it can leave pages of the last instance behind when they were swapped out.
        .pagemap_scan(Enabled::No);
    InstanceAllocationStrategy::Pooling(pool)
}

/// Ticks for as long as the engine lives, and no longer: the thread holds it weakly.
fn tick(engine: &Engine) {
    let engine = engine.weak();
    let clock = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            super::turn::pass_over_absent();
            std::thread::sleep(TICK);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("epoch".to_owned()).spawn(clock) {
        tracing::error!(%error, "no thread for the epoch clock: busy guests will not give way");
    }
}
