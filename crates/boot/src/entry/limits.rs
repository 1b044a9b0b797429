//! Resource limits with which this program cannot run: told before they end it. The rules of [`super`] hold for this code.

use super::call::call;

/// A stack, and data, that all commands get by with; the C library's start alone takes 200 KiB of data. With less the kernel ends
/// the program with SIGSEGV, of which nobody can tell where it comes from. The limits are the caller's, who may mean them for the
/// container: they are not changed. (Where not even the program's own data fits, it is execve(2) that fails.)
const MIN_STACK: usize = 128 << 10;
const MIN_DATA: usize = 1 << 20;

#[inline(always)]
pub(super) unsafe fn refuse_tiny() {
    // SAFETY: plain system calls with constants.
    unsafe {
        if soft_limit(libc::RLIMIT_STACK as usize) < MIN_STACK {
            end_with(b"casemate: RLIMIT_STACK is below 128 KiB, the least that casemate runs with (hint: ulimit -s)\n");
        }
        if soft_limit(libc::RLIMIT_DATA as usize) < MIN_DATA {
            end_with(b"casemate: RLIMIT_DATA is below 1 MiB, the least that casemate runs with (hint: ulimit -d)\n");
        }
    }
}

/// No limit where it cannot be told.
#[inline(always)]
unsafe fn soft_limit(resource: usize) -> usize {
    let mut limit = [usize::MAX; 2];
    // SAFETY: struct rlimit64 is two words.
    unsafe { call(libc::SYS_prlimit64, 0, resource, 0, (&raw mut limit) as usize, 0) };
    // SAFETY: as above; the kernel writes to it behind the compiler's back.
    unsafe { (&raw const limit).cast::<usize>().read_volatile() }
}

#[inline(always)]
unsafe fn end_with(line: &[u8]) {
    // SAFETY: the address and length of a constant.
    unsafe {
        call(libc::SYS_write, 2, line.as_ptr() as usize, line.len(), 0, 0);
        call(libc::SYS_exit_group, 1, 0, 0, 0, 0);
    }
}
