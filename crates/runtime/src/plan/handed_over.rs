//! Descriptors that the payload is to have from the caller: its standard streams, and those that are preserved for it.

use casemate_kernel::magic;
use casemate_policy::{FileKind, HardenedSpec, LeadsTo};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, OFlags};
use rustix::io::FdFlags;

/// From here on descriptors are preserved; below are the standard streams.
const FIRST: i32 = 3;

/// Whether what the payload is to have is what the container's profile lets through: `preserved` descriptors from 3 on
/// and, unless it gets a terminal in their place, the standard streams. A number that is not open is for the launch to
/// complain of; one of which the kind cannot be told counts as a directory.
///
/// # Errors
/// A refusal.
pub(crate) fn check(
    proc: &OwnedFd,
    preserved: u32,
    terminal: bool,
    spec: &HardenedSpec,
) -> anyhow::Result<()> {
    let first = if terminal { FIRST } else { 0 };
    // More than there can be are not open.
    let end = FIRST.saturating_add(i32::try_from(preserved).unwrap_or(i32::MAX));
    for number in first..end {
        let Some(fd) = casemate_sys::fd::borrow(number) else { continue };
        // One of our own: what a caller hands over has come through execve(2). The launch will miss it.
        if number >= FIRST && rustix::io::fcntl_getfd(fd)?.contains(FdFlags::CLOEXEC) {
            continue;
        }
        let Some(to) = leads_to(proc, fd) else { continue };
        let path = rustix::fs::readlinkat(proc, format!("self/fd/{number}"), Vec::new());
        // For the message, which names the number as well.
        spec.check_descriptor(number, to, &path.unwrap_or_default().to_string_lossy())?;
    }
    Ok(())
}

/// `None`: to nothing that is not for a container. What is let in is listed: the kernel has ever more kinds of objects, and one that
/// nobody has looked at may be a way into the host.
fn leads_to(proc: &OwnedFd, fd: BorrowedFd<'_>) -> Option<LeadsTo> {
    // A FUSE file system that is not the caller's, NFS that is gone: the rule must not be passed by an error.
    let Ok(stat) = rustix::fs::fstat(fd) else { return Some(LeadsTo::Directory) };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let Ok(flags) = rustix::fs::fcntl_getfl(fd) else { return Some(LeadsTo::Directory) };
    if kind == FileType::Directory || flags.contains(OFlags::PATH) {
        return Some(LeadsTo::Directory);
    }
    match kind {
        FileType::Fifo => return None,
        FileType::Socket => return socket(fd),
        _ => {}
    }
    let Ok(found) = rustix::fs::fstatfs(fd) else { return Some(LeadsTo::Directory) };
    if let Some(to) = of_kernel(proc, fd, found.f_type as u64) {
        return to;
    }
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    match kind {
        FileType::RegularFile => None,
        FileType::CharacterDevice if rustix::termios::isatty(fd) => None,
        FileType::CharacterDevice => Some(LeadsTo::Device(FileKind::Char(major, minor))),
        FileType::BlockDevice => Some(LeadsTo::Device(FileKind::Block(major, minor))),
        _ => Some(LeadsTo::Kernel("of no known kind")),
    }
}

/// Connections and what waits for them are handed over by whoever made them; a packet socket or one of netlink is the network
/// namespace that it was made in.
fn socket(fd: BorrowedFd<'_>) -> Option<LeadsTo> {
    use rustix::net::{sockopt, AddressFamily, SocketType};
    let usual = [AddressFamily::UNIX, AddressFamily::INET, AddressFamily::INET6];
    let of = |family, kind| usual.contains(&family) && kind != SocketType::RAW;
    // What cannot be told counts as what is not let in.
    match (sockopt::socket_domain(fd), sockopt::socket_type(fd)) {
        (Ok(family), Ok(kind)) if of(family, kind) => None,
        _ => Some(LeadsTo::Kernel("a socket of no program's")),
    }
}

/// What a file of this file system leads to, if that is one of the kernel's.
fn of_kernel(proc: &OwnedFd, fd: BorrowedFd<'_>, fs: u64) -> Option<Option<LeadsTo>> {
    match fs {
        magic::DEVPTS => Some(None),
        magic::ANON_INODE if is_harmless(proc, fd) => Some(None),
        magic::ANON_INODE => Some(Some(LeadsTo::Kernel("anon_inode"))),
        magic::DMA_BUF => Some(Some(LeadsTo::Kernel("dmabuf"))),
        magic::GUEST_MEMORY => Some(Some(LeadsTo::Kernel("guest memory"))),
        other => magic::of_kernel(other).map(|name| Some(LeadsTo::Kernel(name))),
    }
}

/// Objects of the kernel without a name that count, wait or tell the time, and show nothing of the host.
const HARMLESS: [&str; 4] = ["[eventfd]", "[timerfd]", "[signalfd]", "[eventpoll]"];

/// The kernel says what such an object is in the link of its descriptor; one that cannot be read is none of these.
fn is_harmless(proc: &OwnedFd, fd: BorrowedFd<'_>) -> bool {
    let link = rustix::fs::readlinkat(proc, format!("self/fd/{}", fd.as_raw_fd()), Vec::new());
    link.is_ok_and(|text| {
        let name = text.to_bytes().strip_prefix(b"anon_inode:");
        name.is_some_and(|name| HARMLESS.iter().any(|known| known.as_bytes() == name))
    })
}
