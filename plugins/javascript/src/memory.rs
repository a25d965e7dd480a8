//! The memory of the engine: that of the C library, with a note when there was none left.
//!
//! A run that needs more than the instance has when it starts leaves some of what there is for its answer. One that does not
//! need more, as most, leaves the memory at its size: growing it, and starting the next instance with it, costs more than
//! such a run.
#![expect(unsafe_code, reason = "it is an allocator")]

use std::cell::{Cell, RefCell};

use rquickjs::allocator::Allocator;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn calloc(count: usize, size: usize) -> *mut u8;
    fn realloc(block: *mut u8, size: usize) -> *mut u8;
    fn free(block: *mut u8);
    fn malloc_usable_size(block: *mut u8) -> usize;
}

/// What is kept free for the answer of a run that used all of its memory.
const RESERVED: usize = 1 << 20;
/// A page: by no more does the memory grow for a smaller block.
const SMALL: usize = 64 << 10;

thread_local! {
    static REFUSED: Cell<bool> = const { Cell::new(false) };
    /// Pages of memory when the run began, while nothing is reserved.
    static PAGES: Cell<usize> = const { Cell::new(usize::MAX) };
    static RESERVE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A run begins.
pub(crate) fn begin() {
    PAGES.set(pages());
}

/// What was kept for the answer is free.
pub(crate) fn end() {
    PAGES.set(usize::MAX);
    RESERVE.take();
}

fn pages() -> usize {
    core::arch::wasm32::memory_size(0)
}

/// Takes the reserve before the memory may grow by much, and once it has grown by a little; whether the run may ask for
/// `size` bytes then.
fn is_reserved(size: usize) -> bool {
    let before = PAGES.get();
    if before == usize::MAX || (size < SMALL && pages() <= before) {
        return true;
    }
    let reserved = RESERVE.with_borrow_mut(|reserve| reserve.try_reserve_exact(RESERVED)).is_ok();
    if reserved {
        PAGES.set(usize::MAX);
    }
    reserved
}

/// Whether memory was asked for that there was not. Then the engine may have thrown `null`, for want of room for an error.
pub(crate) fn was_refused() -> bool {
    REFUSED.get()
}

/// The C library's.
pub(crate) struct Memory;

/// A block of `size` bytes, if there is room beside the reserve.
fn noted(size: usize, block: impl FnOnce() -> *mut u8) -> *mut u8 {
    let block = if is_reserved(size) { block() } else { std::ptr::null_mut() };
    if block.is_null() {
        REFUSED.set(true);
    }
    block
}

// SAFETY: each function is the C library's of the same meaning; its blocks are aligned for anything.
unsafe impl Allocator for Memory {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: it takes any size.
        noted(size, || unsafe { malloc(size) })
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        // SAFETY: it takes any sizes.
        noted(count.saturating_mul(size), || unsafe { calloc(count, size) })
    }

    unsafe fn dealloc(&mut self, block: *mut u8) {
        // SAFETY: the caller gives a block of this allocator.
        unsafe { free(block) }
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        if size == 0 {
            // SAFETY: the caller gives a block of this allocator, or none.
            unsafe { free(block) };
            return std::ptr::null_mut();
        }
        // SAFETY: the caller gives a block of this allocator, or none.
        noted(size, || unsafe { realloc(block, size) })
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        // SAFETY: the caller gives a block of this allocator.
        unsafe { malloc_usable_size(block) }
    }
}
