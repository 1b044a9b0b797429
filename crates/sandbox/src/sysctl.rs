//! Kernel parameters: written through the runtime's own verified procfs, before any mount of the container exists.

use crate::failure::Step;
use crate::plan::Sysctl;
use crate::{Failure, StepResult};
use casemate_sys::Context;
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Write all, in order. Which keys may be here was decided by the spec's check.
pub(crate) fn write_all(host_proc: impl AsFd, sysctls: &[Sysctl]) -> StepResult<()> {
    for Sysctl { path, value } in sysctls {
        write_one(&host_proc, path, value)
            .step("sysctl", || format!("linux.sysctl {path}={value}"))
            .map_err(|failure| explained(failure, path))?;
    }
    Ok(())
}

/// In a container, /proc/sys is read-only, or covered; the one parameter that nobody asked for then needs a word.
fn explained(mut failure: Failure, path: &str) -> Failure {
    let covered = [Errno::XDEV, Errno::ROFS, Errno::ACCESS, Errno::NOENT];
    let errno = covered.iter().any(|errno| errno.raw_os_error() == failure.errno);
    if errno && path == NO_NESTING {
        failure.message.push_str(
            " (hint: /proc/sys is closed here; without this: --allow userns.nested. In a container of casemate's, that takes paths.writable)",
        );
    }
    failure
}

/// Also written where the configuration does not ask for it.
const NO_NESTING: &str = "user/max_user_namespaces";

fn write_one(host_proc: impl AsFd, path: &str, value: &str) -> casemate_sys::Result<()> {
    let full = format!("sys/{path}");
    // BENEATH and NO_XDEV: whatever is mounted over a part of /proc/sys, it is not what gets written (CVE-2025-52881).
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_XDEV
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::fs::openat2(
        &host_proc,
        &full,
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )
    .call(|| format!("openat2(/proc, \"{full}\", O_WRONLY)"))?;
    let written = rustix::io::write(&file, value.as_bytes())
        .call(|| format!("write(/proc/{full}, {value:?})"))?;
    if written == value.len() {
        Ok(())
    } else {
        Err(casemate_sys::Error::new(format!("write(/proc/{full}): short"), rustix::io::Errno::IO))
    }
}
