//! What a traced process has at a stop: whether it goes into a system call or comes out of one, which call that is, and its
//! answer. To change these is a matter of registers, and those are of x86-64.

use std::ffi::c_void;
use std::io::{Error, Result};

/// Offsets in the user area, of the answer and of the number.
#[cfg(target_arch = "x86_64")]
const PLACES: Option<(usize, usize)> = Some((libc::RAX as usize * 8, libc::ORIG_RAX as usize * 8));
#[cfg(not(target_arch = "x86_64"))]
const PLACES: Option<(usize, usize)> = None;

/// Where a process is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Going in: number and first argument.
    Entry(u64, u64),
    /// Coming out.
    Exit,
    /// It was killed meanwhile, or this is no stop at a call.
    Other,
}

/// A process that was killed meanwhile.
fn is_gone(error: &Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

/// By PTRACE_GET_SYSCALL_INFO, and not by counting stops: which one comes first depends on how a process was attached to.
pub(crate) fn stop(tid: i32) -> Result<Stop> {
    // SAFETY: numbers, for which zero is a value.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    // SAFETY: writes at most so many bytes of the structure.
    let done = unsafe {
        libc::ptrace(
            libc::PTRACE_GET_SYSCALL_INFO,
            tid,
            size as *mut c_void,
            (&raw mut info).cast::<c_void>(),
        )
    };
    match Error::last_os_error() {
        error if done == -1 && !is_gone(&error) => return Err(error),
        _ if done == -1 => return Ok(Stop::Other),
        _ => {}
    }
    Ok(match info.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: the kernel has said that it is this one.
            let entry = unsafe { info.u.entry };
            Stop::Entry(entry.nr, entry.args[0])
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => Stop::Exit,
        _ => Stop::Other,
    })
}

fn write(tid: i32, offset: usize, word: i64) -> Result<()> {
    // SAFETY: writes one word of the user area.
    let done = unsafe {
        libc::ptrace(libc::PTRACE_POKEUSER, tid, offset as *mut c_void, word as *mut c_void)
    };
    match Error::last_os_error() {
        error if done == -1 && !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

fn places() -> Result<(usize, usize)> {
    PLACES.ok_or_else(|| Error::other("the registers of this architecture are not known"))
}

/// At the entry: nothing is called.
pub(crate) fn skip(tid: i32) -> Result<()> {
    write(tid, places()?.1, -1)
}

/// At the exit: this errno is the answer.
pub(crate) fn answer(tid: i32, errno: i32) -> Result<()> {
    write(tid, places()?.0, -i64::from(errno))
}
