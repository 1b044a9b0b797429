//! What reading one input costs: memory by an allocator that counts, time of the processor and not of the clock, so that a busy
//! machine changes nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The system's allocator, with a count of what is in use and of the most that was.
#[derive(Debug)]
pub struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    MOST.fetch_max(IN_USE.fetch_add(by, Relaxed) + by, Relaxed);
}

// SAFETY: the system's allocator does the work; numbers are added beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's own promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's own promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's own promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// What something took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The most memory beyond what was in use before.
    pub bytes: usize,
    /// Time of the processor.
    pub time: Duration,
}

fn processor_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one structure.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Do it, and see what it takes.
pub fn cost(work: impl FnOnce()) -> Cost {
    let (before, begun) = (IN_USE.load(Relaxed), processor_time());
    MOST.store(before, Relaxed);
    work();
    Cost {
        bytes: MOST.load(Relaxed).saturating_sub(before),
        time: processor_time().saturating_sub(begun),
    }
}
