//! The memory of the engine: that of the C library, with a note when there was none left.
#![expect(unsafe_code, reason = "it is an allocator")]

use std::cell::Cell;

use rquickjs::allocator::Allocator;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut u8;
    fn calloc(count: usize, size: usize) -> *mut u8;
    fn realloc(block: *mut u8, size: usize) -> *mut u8;
    fn free(block: *mut u8);
    fn malloc_usable_size(block: *mut u8) -> usize;
}

thread_local! {
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Whether memory was asked for that there was not. Then the engine may have thrown `null`, for want of room for an error.
pub(crate) fn was_refused() -> bool {
    REFUSED.get()
}

/// The C library's.
pub(crate) struct Memory;

fn noted(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        REFUSED.set(true);
    }
    block
}

// SAFETY: each function is the C library's of the same meaning; its blocks are aligned for anything.
unsafe impl Allocator for Memory {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: it takes any size.
        noted(unsafe { malloc(size) })
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        // SAFETY: it takes any sizes.
        noted(unsafe { calloc(count, size) })
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
        noted(unsafe { realloc(block, size) })
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        // SAFETY: the caller gives a block of this allocator.
        unsafe { malloc_usable_size(block) }
    }
}
