//! The allocator: a bump pointer over 4 KiB, set back at the start of every request.
//!
//! The answer itself allocates nothing. Only the bindings' error cases (strings that the host puts
//! into an `error-code`) do, and none of those outlives its request.
//!
//! An allocator and the canonical ABI's `cabi_realloc` cannot be written without `unsafe`; this file
//! holds all of it.

#![expect(unsafe_code, reason = "an allocator cannot be written without it")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::ptr;

const ARENA_BYTES: usize = 4096;

#[repr(align(16))]
struct Arena {
    memory: UnsafeCell<[u8; ARENA_BYTES]>,
    used: Cell<usize>,
}

// SAFETY: a component instance of wasm32-wasip2 has one thread, and the host does not enter it again
// while a call runs.
unsafe impl Sync for Arena {}

#[global_allocator]
static ARENA: Arena = Arena {
    memory: UnsafeCell::new([0; ARENA_BYTES]),
    used: Cell::new(0),
};

/// Forgets every allocation. Called before anything of the request is alive.
pub(crate) fn reset() {
    ARENA.used.set(0);
}

// SAFETY: `alloc` hands out disjoint, aligned parts of a static, or null when it is used up.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // The arena is aligned to 16, which is the most that any type of the bindings needs.
        let start = self.used.get().next_multiple_of(layout.align());
        let Some(end) = start.checked_add(layout.size()) else {
            return ptr::null_mut();
        };
        if end > ARENA_BYTES || layout.align() > 16 {
            return ptr::null_mut();
        }
        self.used.set(end);
        // SAFETY: `start <= end <= ARENA_BYTES`, so the pointer stays inside the static.
        unsafe { self.memory.get().cast::<u8>().add(start) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// What the host calls to place a string or list. Defined here, or the linker would take the one of
/// wasi-libc and its whole malloc with it.
///
/// # Safety
///
/// The canonical ABI calls it with `old` and `old_len` of an earlier call, or null and 0.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, new_len: usize) -> *mut u8 {
    let Ok(layout) = Layout::from_size_align(new_len, align) else {
        core::arch::wasm32::unreachable()
    };
    // SAFETY: `alloc` of the arena accepts any layout, of size 0 too.
    let new = unsafe { ARENA.alloc(layout) };
    if new.is_null() {
        core::arch::wasm32::unreachable();
    }
    if old_len > 0 {
        // SAFETY: both parts are inside the arena and disjoint; the length is the smaller of the two.
        unsafe { ptr::copy_nonoverlapping(old, new, old_len.min(new_len)) };
    }
    new
}
