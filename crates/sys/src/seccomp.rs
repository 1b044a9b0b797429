//! Loading of compiled seccomp filters: seccomp(2).

use crate::error::{check, Context, Result};
use rustix::fd::{FromRawFd, OwnedFd};

/// SECCOMP_FILTER_FLAG_* bits.
pub mod flag {
    /// Synchronise all threads.
    pub const TSYNC: u64 = 1;
    /// Log all actions but allow.
    pub const LOG: u64 = 2;
    /// No speculative store bypass mitigation.
    pub const SPEC_ALLOW: u64 = 4;
    /// Answer with a notification descriptor.
    pub const NEW_LISTENER: u64 = 8;
    /// A notified call waits killable only.
    pub const WAIT_KILLABLE_RECV: u64 = 32;
}

/// Install the filter (8 bytes per instruction, host byte order). Needs no_new_privs or CAP_SYS_ADMIN.
/// With [`flag::NEW_LISTENER`] the notification descriptor comes back.
///
/// # Errors
/// EACCES: neither of the two; EINVAL: no valid filter, more than 4096 instructions, unknown flags;
/// ENOMEM: too much with the filters in force; EBUSY: a second listener. That another thread cannot
/// follow ([`flag::TSYNC`]) is not an error here.
pub fn load(program: &[u8], flags: u64) -> Result<Option<OwnedFd>> {
    // The kernel refuses more than 4096 (BPF_MAXINSNS).
    let len = u16::try_from(program.len() / 8).unwrap_or(u16::MAX);
    let prog = libc::sock_fprog { len, filter: program.as_ptr() as *mut libc::sock_filter };
    // SAFETY: SECCOMP_SET_MODE_FILTER (1) copies len instructions from filter; the slice holds at least that many
    // bytes, and the kernel's copy does not care for alignment.
    let ret = check(unsafe { libc::syscall(libc::SYS_seccomp, 1, flags, &raw const prog) })
        .call(|| format!("seccomp(SET_MODE_FILTER, {flags:#x}, {len} instructions)"))?;
    if flags & flag::NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with NEW_LISTENER the return value is a new descriptor that is ours.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(ret as i32) }))
}
