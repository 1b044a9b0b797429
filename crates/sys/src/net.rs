//! The little of networking that a runtime does: the loopback interface, moving a device into a container.

use crate::error::{check, Context, Result};
use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Set `lo` of the current network namespace up.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN in the user namespace of the network namespace; EAFNOSUPPORT: a
/// kernel without IPv4.
pub fn loopback_up() -> Result<()> {
    // SAFETY: plain integers; the returned descriptor is ours.
    let sock = check(libc::c_long::from(unsafe {
        libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
    }))
    // SAFETY: a new descriptor that nobody else owns.
    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
    .call(|| "socket(AF_INET, SOCK_DGRAM)")?;
    // SAFETY: ifreq is plain data, all-zero is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq.
    check(libc::c_long::from(unsafe {
        libc::ioctl(sock.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request)
    }))
    .map(drop)
    .call(|| "ioctl(SIOCSIFFLAGS, \"lo\", UP)")
}
