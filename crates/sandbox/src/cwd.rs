//! The working directory: entered twice if need be, and the kernel asked where that is.

use crate::failure::Step;
use crate::plan::ProcessPlan;
use crate::{Failure, StepResult};
use casemate_sys::path::{open_in_root, Links};
use casemate_sys::Context;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::Path;

/// Whether a failure is "permission denied": for the two tries of entering the working directory.
fn is_permission(failure: &Failure) -> bool {
    [Errno::ACCESS, Errno::PERM].iter().any(|errno| failure.errno == errno.raw_os_error())
}

/// Enter the working directory. Resolved inside the root and without magic links, so that /proc/self/fd/N cannot lead
/// out (CVE-2024-21626).
pub(crate) fn enter_cwd(cwd: &Path) -> StepResult<()> {
    let about = || format!("process.cwd {}", cwd.display());
    let root = casemate_sys::mount::open_path(Path::new("/"), false).step("cwd", about)?;
    let dir =
        open_in_root(&root, cwd, OFlags::PATH | OFlags::DIRECTORY, Mode::empty(), Links::InRoot)
            .step("cwd", about)?;
    rustix::process::fchdir(dir)
        .call(|| format!("chdir to cwd ({:?})", cwd.display().to_string()))
        .step("cwd", about)
}

/// The kernel's own word on where we are: a directory outside of the root is "(unreachable)" (CVE-2024-21626).
pub(crate) fn verify_cwd(cwd: &Path) -> StepResult<()> {
    let now = rustix::process::getcwd(Vec::new())
        .call(|| "getcwd()")
        .step("cwd", || format!("process.cwd {}", cwd.display()))?;
    if now.as_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(Failure::new(
            "cwd",
            format!(
                "process.cwd {}: the working directory is outside of the container's root",
                cwd.display()
            ),
        ))
    }
}

/// Whether the working directory has been entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cwd {
    /// It is where we are.
    Entered,
    /// Root may not; [`crate::ready::prepare`] tries as the payload's user, and reports.
    ClosedToRoot,
}

/// The directory may be closed to the payload's user but open to root (an image's WORKDIR /root with another USER), or the
/// other way round (a network file system): engines expect either to do.
pub(crate) fn enter_cwd_as_root(plan: &ProcessPlan) -> StepResult<Cwd> {
    match enter_cwd(&plan.cwd) {
        Ok(()) => Ok(Cwd::Entered),
        Err(e) if is_permission(&e) => Ok(Cwd::ClosedToRoot),
        Err(e) => Err(e),
    }
}
