//! The allocator. This is only about time; nothing depends on it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The C library's allocator, which can be told to keep off the memory that is in use.
///
/// After a process was made with a copy of our memory, each page that one of the two writes to has to be copied first. To
/// free an object writes to it, and to find room among what was freed writes to its neighbours; what is left to do by then
/// takes little memory: in the runtime because it is about to end, in the container's process because another program is about
/// to take its place. So what is freed lies where it is, and new objects lie side by side in pages that nobody has used.
#[derive(Debug)]
pub struct Allocator;

static KEEPS: AtomicBool = AtomicBool::new(false);
/// The unused part of the new pages.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

/// How large the part of the heap for new objects is, in bytes. Whatever does not fit comes from the C library again.
const ROOM: usize = 64 << 10;

/// From here on, what is freed lies where it is, and what is new lies elsewhere.
pub fn keep_freed() {
    if cfg!(casemate_without = "keep-freed") {
        return;
    }
    if END.load(Ordering::Relaxed) == 0 {
        find_room();
    }
    KEEPS.store(true, Ordering::Relaxed);
}

fn find_room() {
    let Ok(layout) = Layout::from_size_align(ROOM, 16) else { return };
    // SAFETY: the size is not zero. It is more than is usually freed in one piece, and comes from the end of the heap then.
    let start = unsafe { System.alloc(layout) } as usize;
    if start != 0 {
        NEXT.store(start, Ordering::Relaxed);
        END.store(start + ROOM, Ordering::Relaxed);
    }
}

/// From here on memory is used again: for a process that stays.
pub fn reuse_freed() {
    KEEPS.store(false, Ordering::Relaxed);
}

/// Room for a new object among the new pages. `None`: there is none left.
fn take(layout: Layout) -> Option<*mut u8> {
    let mut place = 0;
    let taken = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
        place = next.checked_next_multiple_of(layout.align())?;
        place.checked_add(layout.size()).filter(|end| *end <= END.load(Ordering::Relaxed))
    });
    taken.ok().map(|_| place as *mut u8)
}

/// Let the newest object have another size where it is, 0 when it is freed. False: it is not the newest, or there is no room
/// left.
fn extend(pointer: *mut u8, old: usize, new: usize) -> bool {
    let (start, limit) = (pointer as usize, END.load(Ordering::Relaxed));
    let Some(end) = start.checked_add(new).filter(|end| *end <= limit) else { return false };
    NEXT.compare_exchange(start + old, end, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Whether an object lies in the new pages, which the C library knows nothing of.
fn is_new(pointer: *mut u8) -> bool {
    let (at, end) = (pointer as usize, END.load(Ordering::Relaxed));
    at < end && at >= end - ROOM
}

// SAFETY: what `take` gives away lies in memory of System's that is never freed, belongs to nobody else until it is freed, and
// is aligned as asked; it never gets to System. Everything else is passed on to System; not to free is always allowed.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let new = if KEEPS.load(Ordering::Relaxed) { take(layout) } else { None };
        // SAFETY: passed on.
        new.unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if is_new(pointer) {
            // The newest makes room for the next; others stay.
            extend(pointer, layout.size(), 0);
        } else if !KEEPS.load(Ordering::Relaxed) {
            // SAFETY: passed on; it came from there.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match KEEPS.load(Ordering::Relaxed).then(|| take(layout)).flatten() {
            Some(place) => {
                // SAFETY: ours, and as large as that.
                unsafe { place.write_bytes(0, layout.size()) };
                place
            }
            // SAFETY: passed on.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !KEEPS.load(Ordering::Relaxed) && !is_new(pointer) {
            // SAFETY: passed on; it came from there.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        if is_new(pointer) && extend(pointer, layout.size(), size) {
            return pointer;
        }
        // SAFETY: the caller guarantees that the size fits the alignment; the old object has layout's size, and the new one
        // is another.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(pointer, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn after_a_launch_new_objects_lie_in_new_pages_and_old_ones_where_they_are() {
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        // SAFETY: every object is freed, and grown, with the layout that it has, and what is freed meanwhile is leaked: to look at it
        // is what this test is for.
        unsafe {
            let (old, other) = (Allocator.alloc(layout(64)), Allocator.alloc(layout(64)));
            old.write_bytes(7, 64);
            other.write_bytes(8, 64);
            keep_freed();
            let first = Allocator.alloc(layout(10));
            let second = Allocator.alloc_zeroed(layout(4000));
            assert!(is_new(first) && is_new(second) && !is_new(old));
            assert_eq!(first as usize + 16, second as usize);
            assert!(std::slice::from_raw_parts(second, 4000).iter().all(|byte| *byte == 0));
            let larger = Allocator.realloc(second, layout(4000), 4096);
            assert_eq!(larger, second, "the newest grows where it is");
            let grown = Allocator.realloc(old, layout(64), 128);
            assert!(is_new(grown) && std::slice::from_raw_parts(grown, 64) == [7; 64]);
            Allocator.dealloc(other, layout(64));
            // It is leaked, so it is there.
            assert_eq!(std::slice::from_raw_parts(other, 64), [8; 64], "it was freed");
            let brief = Allocator.alloc(layout(100));
            Allocator.dealloc(brief, layout(100));
            let next = Allocator.alloc(layout(100));
            assert_eq!(next, brief, "the newest makes room for the next");
            Allocator.dealloc(grown, layout(128));
            assert_ne!(Allocator.alloc(layout(128)), grown, "others stay");
            let large = Allocator.alloc(layout(ROOM));
            assert!(!large.is_null() && !is_new(large));
            reuse_freed();
            first.write_bytes(9, 10);
            let usual = Allocator.realloc(first, layout(10), 256);
            assert!(!is_new(usual) && std::slice::from_raw_parts(usual, 10) == [9; 10]);
            for (object, size) in [(usual, 256), (second, 4096), (large, ROOM)] {
                Allocator.dealloc(object, layout(size));
            }
        }
    }
}
