//! What a store holds for one call, and the limits it enforces.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Result};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::imports::files::Listings;
use super::imports::http::Outgoing;
use super::turn::GivingWay;
use crate::context::CallContext;

/// The data of one store.
pub(super) struct State {
    pub(super) table: ResourceTable,
    pub(super) wasi: WasiCtx,
    pub(super) http: WasiHttpCtx,
    pub(super) outgoing: Outgoing,
    pub(super) limiter: Limiter,
    pub(super) call: Arc<CallContext>,
    pub(super) listings: Listings,
    pub(super) giving_way: GivingWay,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Counts what all of a call's instances take together.
#[derive(Debug)]
pub(super) struct Limiter {
    memory: u64,
    most_memory: u64,
    table_elements: u64,
    most_table_elements: u64,
    /// Set when the guest asked for more; tells a trap that follows from any other.
    pub(super) exceeded: Option<Exceeded>,
}

/// What a guest asked too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// Linear memory.
    Memory,
    /// Table elements.
    Table,
}

impl Limiter {
    /// Limits in bytes and elements.
    #[must_use]
    pub(super) fn new(memory: u64, table_elements: u64) -> Self {
        Self { memory: 0, most_memory: memory, table_elements: 0, most_table_elements: table_elements, exceeded: None }
    }

    /// Memory taken so far.
    #[must_use]
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let after = self.memory + (desired - current) as u64;
        if after > self.most_memory {
            self.exceeded = Some(Exceeded::Memory);
            return Ok(false);
        }
        self.memory = after;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let after = self.table_elements + (desired - current) as u64;
        if after > self.most_table_elements {
            self.exceeded = Some(Exceeded::Table);
            return Ok(false);
        }
        self.table_elements = after;
        Ok(true)
    }

    fn instances(&self) -> usize {
        50
    }

    fn tables(&self) -> usize {
        50
    }

    fn memories(&self) -> usize {
        16
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.call.ledger.memory.fetch_max(self.limiter.memory(), Ordering::Relaxed);
    }
}
