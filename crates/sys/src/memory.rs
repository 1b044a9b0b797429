//! Memory that will be needed, asked for at once.
//!
//! A page fault is a trap, and on a virtual machine a slow one (2 to 5 µs). What making a container takes is known beforehand:
//! the C library's first heap, nearly all of it, in the runtime and again in the container's process. This is only about
//! time; nothing depends on it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// The C library's first extension of the heap: 132 KiB (malloc(3), M_TOP_PAD), of which the start of the program has some.
const FIRST_HEAP: usize = 128 << 10;

/// What making a container takes of it, in bytes.
pub const TO_CREATE: usize = 92 << 10;
/// What entering one takes.
pub const TO_ENTER: usize = 52 << 10;

/// Have the kernel map that part of the heap.
pub fn warm_heap(taken: usize) {
    // SAFETY: no memory is involved.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    // SAFETY: asks for the end of the heap without moving it.
    let end = unsafe { libc::sbrk(0) } as usize;
    let end = end & !(page - 1);
    if let Some(start) = end.checked_sub(FIRST_HEAP).map(|start| start & !(page - 1)) {
        // SAFETY: populating changes nothing in memory, whoever it belongs to. What is not mapped answers ENOMEM, Linux before
        // 5.14 EINVAL, and faults will do.
        unsafe { libc::madvise(start as *mut _, taken, libc::MADV_POPULATE_WRITE) };
    }
}

/// The C library's allocator, which can be told to let what is freed lie.
///
/// After a process was made with a copy of our memory, each page that one of the two writes to has to be copied first. To
/// free an object writes to it, and what is left to do by then is little, mostly freeing: in the runtime because it is about
/// to end, in the container's process because another program is about to take its memory.
#[derive(Debug)]
pub struct Allocator;

static KEEPS: AtomicBool = AtomicBool::new(false);

/// From here on, what is freed lies where it is.
pub fn keep_freed() {
    KEEPS.store(true, Ordering::Relaxed);
}

/// From here on it is used again: for a process that stays.
pub fn reuse_freed() {
    KEEPS.store(false, Ordering::Relaxed);
}

// SAFETY: everything is passed on to System; not to free is always allowed.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !KEEPS.load(Ordering::Relaxed) {
            // SAFETY: passed on.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
