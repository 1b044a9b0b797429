//! Names for file descriptors in error messages: number and path, read when the call has failed.

use rustix::fd::{AsFd, AsRawFd};

/// `[7]</rootfs/proc>`: the descriptor's number and what it referred to.
pub fn label(fd: impl AsFd) -> String {
    let raw = fd.as_fd().as_raw_fd();
    match std::fs::read_link(format!("/proc/self/fd/{raw}")) {
        Ok(path) => format!("[{raw}]<{}>", path.display()),
        Err(_) => format!("[{raw}]"),
    }
}

/// Close every descriptor from `first` to `last`, both included: close_range(2), Linux 5.9.
///
/// The caller must own no Rust object that still believes in one of them; the only place to call this is shortly
/// before execve, where everything that was open is abandoned on purpose (CVE-2024-21626).
///
/// # Errors
/// EINVAL: `first` is above `last`; ENOSYS before Linux 5.9.
pub fn close_between(first: u32, last: u32) -> crate::Result<()> {
    use crate::error::{check, Context};
    // SAFETY: plain integers; the ownership rule is the caller's, stated above, and execve or _exit follows.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })
        .map(drop)
        .call(|| format!("close_range({first}, {last})"))
}

/// Mark every descriptor from `first` on close-on-exec: close_range(2) with CLOSE_RANGE_CLOEXEC, Linux 5.11.
///
/// # Errors
/// EINVAL before Linux 5.11; ENOSYS before 5.9.
pub fn cloexec_from(first: u32) -> crate::Result<()> {
    use crate::error::{check, Context};
    // SAFETY: plain integers; no descriptor is closed.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 4) })
        .map(drop)
        .call(|| format!("close_range({first}, ~0, CLOEXEC)"))
}

/// Make `fd` appear as number `target`, without close-on-exec: dup2(2), then the flag cleared.
///
/// # Errors
/// EBADF: `target` is negative, or not below the limit RLIMIT_NOFILE.
pub fn place(fd: impl AsFd, target: i32) -> crate::Result<()> {
    use crate::error::{check, Context};
    let raw = fd.as_fd().as_raw_fd();
    let ret = if raw == target {
        // SAFETY: plain integers on a descriptor that the caller lends us.
        unsafe { libc::fcntl(raw, libc::F_SETFD, 0) }
    } else {
        // SAFETY: plain integers; target is one of 0, 1, 2 or a number that the caller reserved.
        unsafe { libc::dup2(raw, target) }
    };
    check(ret as libc::c_long).map(drop).call(|| format!("dup2({raw}, {target})"))
}

/// Whether `raw` is open in this process.
pub fn is_open(raw: i32) -> bool {
    // SAFETY: F_GETFD reads the descriptor table only.
    unsafe { libc::fcntl(raw, libc::F_GETFD) >= 0 }
}

/// Borrow a descriptor number that the caller of the program handed over (stdio, LISTEN_FDS, --preserve-fds).
pub fn borrow(raw: i32) -> Option<rustix::fd::BorrowedFd<'static>> {
    if !is_open(raw) {
        return None;
    }
    // SAFETY: just seen open; inherited descriptors live until the process ends or execs, because nothing in
    // this program owns them.
    Some(unsafe { rustix::fd::BorrowedFd::borrow_raw(raw) })
}

/// Wait until something is there to be read, the end included; for a pidfd, until the process has ended. False: it takes
/// longer than `limit`.
///
/// # Errors
/// ENOMEM; EINVAL where RLIMIT_NOFILE is 0. An interruption is no error, nor is a lost peer.
pub fn readable(fd: impl AsFd, limit: std::time::Duration) -> crate::Result<bool> {
    use crate::error::Context;
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    use std::time::Instant;
    let deadline = Instant::now().checked_add(limit);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], left.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e).call(|| format!("poll({})", label(&fd))),
        }
    }
}
