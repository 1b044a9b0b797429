//! Descriptors that the payload is to have from the caller: its standard streams, and those that are preserved for it.

use casemate_kernel::magic;
use casemate_policy::{HardenedSpec, LeadsTo};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{FileType, OFlags};

/// From here on descriptors are preserved; below are the standard streams.
const FIRST: i32 = 3;

/// Whether what the payload is to have is what the container's profile lets through: `preserved` descriptors from 3 on
/// and, unless it gets a terminal in their place, the standard streams. A number that is not open is for the launch to
/// complain of; one of which the kind cannot be told counts as a directory.
///
/// # Errors
/// A refusal.
pub fn check(
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
        let Some(to) = leads_to(fd, number) else { continue };
        let path = rustix::fs::readlinkat(proc, format!("self/fd/{number}"), Vec::new());
        // For the message, which names the number as well.
        spec.check_descriptor(number, to, &path.unwrap_or_default().to_string_lossy())?;
    }
    Ok(())
}

/// `None`: to nothing that is not for a container.
fn leads_to(fd: BorrowedFd<'_>, number: i32) -> Option<LeadsTo> {
    // A FUSE file system that is not the caller's, NFS that is gone: the rule must not be passed by an error.
    let Ok(stat) = rustix::fs::fstat(fd) else { return Some(LeadsTo::Directory) };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let Ok(flags) = rustix::fs::fcntl_getfl(fd) else { return Some(LeadsTo::Directory) };
    if kind == FileType::Directory || flags.contains(OFlags::PATH) {
        return Some(LeadsTo::Directory);
    }
    if number < FIRST || matches!(kind, FileType::Fifo | FileType::Socket) {
        return None;
    }
    let Ok(found) = rustix::fs::fstatfs(fd) else { return Some(LeadsTo::Directory) };
    match found.f_type as u64 {
        magic::DEVPTS => None,
        other => magic::of_kernel(other).map(LeadsTo::Kernel),
    }
}
