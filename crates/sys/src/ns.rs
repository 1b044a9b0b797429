//! Namespaces: clone flags, setns(2), unshare(2).

use crate::error::{check, Context, Error, Result};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

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
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN in the user namespace of the target (for all but user namespaces in
/// the own one, too; for mount namespaces also CAP_SYS_CHROOT); EINVAL: not of these kinds, the own
/// user namespace, or several threads; ESRCH: the process of the pidfd has ended.
pub fn setns(fd: impl AsFd, kinds: u64) -> Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setns, fd.as_fd().as_raw_fd(), kinds as libc::c_int) })
        .map(drop)
        .call(|| format!("setns({}, {})", crate::fd::label(&fd), names(kinds)))
}

/// Leave for new namespaces of these kinds.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, or for a user namespace in a chroot; ENOSPC: the limit of
/// namespaces, or 32 levels; EINVAL: a kind that the kernel has not, or several threads with
/// [`flag::USER`].
pub fn unshare(kinds: u64) -> Result<()> {
    // SAFETY: plain integers; the descriptor table is not unshared.
    check(unsafe { libc::syscall(libc::SYS_unshare, kinds as libc::c_int) })
        .map(drop)
        .call(|| format!("unshare({})", names(kinds)))
}

/// The user namespace that owns `fd`, a namespace of another kind: ioctl_nsfs(2) NS_GET_USERNS.
///
/// # Errors
/// EPERM: it is neither the caller's own user namespace nor below it; ENOTTY: `fd` is no namespace.
pub fn owner_of(fd: impl AsFd) -> Result<OwnedFd> {
    const NS_GET_USERNS: libc::c_ulong = 0xb701;
    // SAFETY: this ioctl takes no argument and returns a new descriptor.
    check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_USERNS as _) } as libc::c_long)
        // SAFETY: nobody else owns what the kernel has just made.
        .map(|raw| unsafe { OwnedFd::from_raw_fd(raw as i32) })
        .call(|| format!("ioctl({}, NS_GET_USERNS)", crate::fd::label(&fd)))
}

/// The kind of namespace that `fd` is: ioctl_nsfs(2) NS_GET_NSTYPE.
///
/// # Errors
/// ENOTTY: `fd` is no namespace, or a kernel before Linux 4.11.
pub fn kind_of(fd: impl AsFd) -> Result<u64> {
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: this ioctl takes no argument.
    check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_NSTYPE as _) } as libc::c_long)
        .map(|v| v as u64)
        .call(|| format!("ioctl({}, NS_GET_NSTYPE)", crate::fd::label(&fd)))
}

/// The inode number of a namespace: `who` is a process's directory in `proc` ("self" or a number), `file` a file of its ns
/// directory. `None`: this kernel has no namespaces of the kind, or the process has ended.
///
/// The link's text, `net:[4026531840]` (namespaces(7)), has the number. To follow the link instead makes the kernel make an
/// inode, and throw it away, for each namespace that nobody has open: 11 microseconds in place of 1.5.
///
/// # Errors
/// EACCES: the caller may not look into the process (ptrace(2)), or it has just ended; EINVAL: a
/// link that names no namespace.
pub fn inode(proc: impl AsFd, who: &str, file: &str) -> Result<Option<u64>> {
    let path = format!("{who}/ns/{file}");
    let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
    let call = || format!("readlinkat(/proc/{path})");
    match rustix::fs::readlinkat_raw(proc, path.as_str(), &mut buffer) {
        Ok((text, _)) => number_in(text).map(Some).ok_or_else(|| Error::new(call(), Errno::INVAL)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error).call(call),
    }
}

/// N of `kind:[N]`.
fn number_in(link: &[u8]) -> Option<u64> {
    let (_, number) = std::str::from_utf8(link).ok()?.split_once(":[")?;
    number.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags, CWD};

    #[test]
    fn the_inode_of_a_namespace_is_the_one_that_its_file_has() {
        let proc = rustix::fs::openat(CWD, "/proc", OFlags::PATH, Mode::empty()).unwrap();
        for file in ["mnt", "net", "pid", "ipc", "uts", "cgroup", "user", "time_for_children"] {
            let Some(found) = inode(&proc, "self", file).unwrap() else { continue };
            let stat = rustix::fs::stat(format!("/proc/self/ns/{file}")).unwrap();
            assert_eq!(found, stat.st_ino, "{file}");
        }
        assert_eq!(inode(&proc, "self", "none").unwrap(), None);
    }

    #[test]
    fn a_link_that_names_no_namespace_has_no_number() {
        assert_eq!(number_in(b"net:[4026531840]"), Some(4_026_531_840));
        for link in [&b"/run/netns/x"[..], b"net:[]", b"net:[12", b"net:[x]", b"", b"\xff:[1]"] {
            assert_eq!(number_in(link), None);
        }
    }
}
