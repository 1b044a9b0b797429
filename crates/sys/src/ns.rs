//! Namespaces: clone flags, setns(2), unshare(2).

use crate::error::{check, Context, Result};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// CLONE_NEW* bits.
pub mod flag {
    /// Time.
    pub const TIME: u64 = 0x80;
    /// Mount.
    pub const MNT: u64 = 0x0002_0000;
    /// Control group.
    pub const CGROUP: u64 = 0x0200_0000;
    /// Host and domain name.
    pub const UTS: u64 = 0x0400_0000;
    /// System V IPC and POSIX message queues.
    pub const IPC: u64 = 0x0800_0000;
    /// User.
    pub const USER: u64 = 0x1000_0000;
    /// Process ids.
    pub const PID: u64 = 0x2000_0000;
    /// Network.
    pub const NET: u64 = 0x4000_0000;
}

/// Names for error messages.
pub fn names(flags: u64) -> String {
    let all = [
        (flag::TIME, "time"),
        (flag::MNT, "mnt"),
        (flag::CGROUP, "cgroup"),
        (flag::UTS, "uts"),
        (flag::IPC, "ipc"),
        (flag::USER, "user"),
        (flag::PID, "pid"),
        (flag::NET, "net"),
    ];
    let hits: Vec<_> = all.iter().filter(|(f, _)| flags & f != 0).map(|(_, n)| *n).collect();
    hits.join("|")
}

/// Enter the namespace(s) of `fd`: a /proc/PID/ns file, or a pidfd with several kinds at once (Linux 5.8).
pub fn setns(fd: impl AsFd, kinds: u64) -> Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setns, fd.as_fd().as_raw_fd(), kinds as libc::c_int) })
        .map(drop)
        .call(|| format!("setns({}, {})", crate::fd::label(&fd), names(kinds)))
}

/// Leave for new namespaces of these kinds.
pub fn unshare(kinds: u64) -> Result<()> {
    // SAFETY: plain integers; the descriptor table is not unshared.
    check(unsafe { libc::syscall(libc::SYS_unshare, kinds as libc::c_int) })
        .map(drop)
        .call(|| format!("unshare({})", names(kinds)))
}

/// The user namespace that owns `fd`, a namespace of another kind: ioctl_nsfs(2) NS_GET_USERNS.
pub fn owner_of(fd: impl AsFd) -> Result<OwnedFd> {
    const NS_GET_USERNS: libc::c_ulong = 0xb701;
    // SAFETY: this ioctl takes no argument and returns a new descriptor.
    check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_USERNS as _) } as libc::c_long)
        // SAFETY: nobody else owns what the kernel has just made.
        .map(|raw| unsafe { OwnedFd::from_raw_fd(raw as i32) })
        .call(|| format!("ioctl({}, NS_GET_USERNS)", crate::fd::label(&fd)))
}

/// The kind of namespace that `fd` is: ioctl_nsfs(2) NS_GET_NSTYPE.
pub fn kind_of(fd: impl AsFd) -> Result<u64> {
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: this ioctl takes no argument.
    check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_NSTYPE as _) } as libc::c_long)
        .map(|v| v as u64)
        .call(|| format!("ioctl({}, NS_GET_NSTYPE)", crate::fd::label(&fd)))
}
