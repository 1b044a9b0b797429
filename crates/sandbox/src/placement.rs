//! How a new process comes into its cgroup.

use crate::StepResult;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// Has somebody with the right to do so (systemd) move a process, given by its pid, into the container's cgroup.
pub type Mover<'a> = &'a dyn Fn(i32) -> StepResult<()>;

/// How a container's init comes into its cgroup.
#[derive(Clone, Copy)]
pub enum Placement<'a> {
    /// It is made in this directory (CLONE_INTO_CGROUP); `None`: in our own cgroup.
    Into(Option<BorrowedFd<'a>>),
    /// The kernel lets the caller neither make nor move a process there (an ordinary user outside of
    /// what was delegated to him): a go-between is moved, and makes init where it is then.
    Moved(Mover<'a>),
}

impl std::fmt::Debug for Placement<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Into(cgroup) => f.debug_tuple("Into").field(cgroup).finish(),
            Self::Moved(_) => f.write_str("Moved"),
        }
    }
}

/// The first cgroup that can hold processes. One that has become an inner node answers EBUSY, one that is
/// being removed ENODEV, one with a threaded child EOPNOTSUPP.
pub(crate) fn first_that_takes<'a, T>(
    cgroups: impl IntoIterator<Item = BorrowedFd<'a>>,
    mut clone: impl FnMut(Option<BorrowedFd<'_>>) -> casemate_sys::Result<T>,
) -> casemate_sys::Result<T> {
    let mut refused = None;
    for cgroup in cgroups {
        match clone(Some(cgroup)) {
            Err(e) if matches!(e.errno(), Errno::BUSY | Errno::NODEV | Errno::OPNOTSUPP) => {
                refused = Some(e);
            }
            other => return other,
        }
    }
    refused.map_or_else(|| clone(None), Err)
}
