//! Whose shared memory goes with an ipc namespace that is joined: that of the process whose namespace it is.

use anyhow::Result;
use casemate_policy::spec::{NamespaceKind, Spec};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Device and inode of what that process has on /dev/shm; `None`: no process is named, or it has none.
///
/// # Errors
/// It cannot be looked at, for another reason than that it is not there.
pub(super) fn of_joined(spec: &Spec, proc: &OwnedFd) -> Result<Option<(u64, u64)>> {
    let path = spec.namespace(NamespaceKind::Ipc).and_then(|namespace| namespace.path.as_deref());
    let Some(pid) = path.and_then(crate::resolve::userns::pid_of) else { return Ok(None) };
    let about = || format!("open(/proc/{pid}/root/dev/shm)");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = match rustix::fs::openat(proc, format!("{pid}/root"), flags, Mode::empty()) {
        // It has ended: who opens its namespace tells.
        Err(Errno::NOENT | Errno::SRCH) => return Ok(None),
        other => other.call(about)?,
    };
    // A link there would be followed here.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(&root, "dev/shm", flags, Mode::empty(), resolve) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        other => {
            let stat = rustix::fs::fstat(other.call(about)?).call(about)?;
            Ok(Some((stat.st_dev, stat.st_ino)))
        }
    }
}
