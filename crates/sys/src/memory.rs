//! Memory that will be needed, asked for at once.
//!
//! A page fault is a trap, and on a virtual machine a slow one (2 to 5 µs). What making a container takes is known beforehand:
//! the C library's first heap, nearly all of it, in the runtime and again in the container's process. This is only about
//! time; nothing depends on it.

/// The C library's first extension of the heap: 132 KiB (malloc(3), M_TOP_PAD), of which the start of the program has some.
const FIRST_HEAP: usize = 128 << 10;
/// What making a container takes of it.
const TAKEN: usize = 92 << 10;

/// Have the kernel map that part of the heap.
pub fn warm_heap() {
    // SAFETY: no memory is involved.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    // SAFETY: asks for the end of the heap without moving it.
    let end = unsafe { libc::sbrk(0) } as usize;
    let end = end & !(page - 1);
    if let Some(start) = end.checked_sub(FIRST_HEAP).map(|start| start & !(page - 1)) {
        // SAFETY: populating changes nothing in memory, whoever it belongs to. What is not mapped answers ENOMEM, Linux before
        // 5.14 EINVAL, and faults will do.
        unsafe { libc::madvise(start as *mut _, TAKEN, libc::MADV_POPULATE_WRITE) };
    }
}
