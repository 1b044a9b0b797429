//! Where this thread's stack lies: unknown.
//!
//! Rust's start-up code asks for it, to be able to say "stack overflow" of a fault in the page below. The C library's answer for
//! the first thread is to read /proc/self/maps with sscanf(3), fifty thousand instructions; the page below ends the program
//! with or without the sentence. Only in static builds: in others the sentence is worth more than the time.
//!
//! Gains 1.2 % of a run, 2.9 % of an exec (docs/TUNING.md). Switch: `--cfg casemate_without="stack-unknown"`.

/// In place of the C library's.
#[cfg(not(casemate_without = "stack-unknown"))]
#[no_mangle]
extern "C" fn pthread_getattr_np(_: libc::pthread_t, _: *mut libc::pthread_attr_t) -> libc::c_int {
    libc::ENOSYS
}
