//! What lives as long as one run, beside the engine: the component has one thread and runs once, so it is in one place.

use std::cell::{Cell, RefCell};

use crate::bindings::bailiwick::host::call::Pending;
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::random::random;
use crate::output::Console;
use crate::position::Map;
use crate::{engine, memory};

/// Nanoseconds in a millisecond.
const NANOS: u64 = 1_000_000;

/// A call of another tool that has not been answered.
pub(crate) struct Asked {
    /// What the prelude knows it by.
    pub(crate) id: u32,
    /// Ready with the answer. It must go before the call itself does, so it stands first.
    pub(crate) ready: Pollable,
    /// The call.
    pub(crate) call: Pending,
}

thread_local! {
    static BEGUN: Cell<u64> = const { Cell::new(0) };
    static DEADLINE: Cell<u64> = const { Cell::new(u64::MAX) };
    static LATE: Cell<bool> = const { Cell::new(false) };
    static SEED: Cell<u64> = const { Cell::new(0) };
    static LAST: Cell<u32> = const { Cell::new(0) };
    static CONSOLE: RefCell<Console> = const { RefCell::new(Console::new()) };
    static ASKED: RefCell<Vec<Asked>> = const { RefCell::new(Vec::new()) };
    static MAP: RefCell<Map> = const { RefCell::new(Map::none()) };
}

/// Starts the clock of a run and takes live randomness.
pub(crate) fn begin(time_ms: u32) {
    let now = monotonic_clock::now();
    BEGUN.set(now);
    DEADLINE.set(now + u64::from(time_ms) * NANOS);
    LATE.set(false);
    SEED.set(random::get_random_u64());
    // While the component is prepared, memory grows to what a run finds.
    if engine::is_made() {
        memory::begin();
    }
}

/// Ends the run: the reserve is free, and nothing waits.
pub(crate) fn end() -> Console {
    memory::end();
    ASKED.take();
    CONSOLE.replace(Console::new())
}

/// Milliseconds since the run began.
pub(crate) fn elapsed() -> f64 {
    (monotonic_clock::now() - BEGUN.get()) as f64 / NANOS as f64
}

/// Whether the run's time is up. Once it is, it stays so.
pub(crate) fn is_late() -> bool {
    if !LATE.get() && monotonic_clock::now() >= DEADLINE.get() {
        LATE.set(true);
    }
    LATE.get()
}

/// Milliseconds until the run's time is up.
pub(crate) fn left() -> f64 {
    DEADLINE.get().saturating_sub(monotonic_clock::now()) as f64 / NANOS as f64
}

/// Gives the run so many milliseconds more.
pub(crate) fn extend(ms: f64) {
    DEADLINE.set(DEADLINE.get().saturating_add((ms.max(0.0) * NANOS as f64) as u64));
}

/// A number from 0 to 1, 1 excluded.
pub(crate) fn random() -> f64 {
    // SplitMix64: what Math.random needs, and no more.
    let seed = SEED.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    SEED.set(seed);
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Uses the run's console.
pub(crate) fn console<T>(with: impl FnOnce(&mut Console) -> T) -> T {
    CONSOLE.with_borrow_mut(with)
}

/// Uses the calls under way.
pub(crate) fn asked<T>(with: impl FnOnce(&mut Vec<Asked>) -> T) -> T {
    ASKED.with_borrow_mut(with)
}

/// A number for the next call.
pub(crate) fn next_id() -> u32 {
    LAST.set(LAST.get() + 1);
    LAST.get()
}

/// Says where what is run comes from.
pub(crate) fn set_map(map: Map) {
    MAP.set(map);
}

/// Uses what says where what is run comes from.
pub(crate) fn map<T>(with: impl FnOnce(&Map) -> T) -> T {
    MAP.with_borrow(with)
}
