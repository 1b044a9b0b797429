//! The one clone3: from a plan to a child that runs its stages, and a handle for the parent.

use crate::exec::run_exec;
use crate::plan::{ContainerPlan, ExecPlan};
use crate::stage::run_container;
use crate::{Failure, StepResult};
use casemate_sys::process::{clone_process, exit_now, Cloned};
use casemate_sys::socket;
use rustix::fd::{BorrowedFd, OwnedFd};

/// Exit status of a child that failed before execve.
pub const FAILED: i32 = 1;

/// A process that was just made: the parent's handle.
#[derive(Debug)]
pub struct Spawned {
    /// Pid in the runtime's pid namespace.
    pub pid: i32,
    /// The process itself.
    pub pidfd: OwnedFd,
    /// Our end of the protocol ([`crate::proto`]).
    pub channel: OwnedFd,
}

/// Launch a container's init. `cgroup`: the directory it is born into.
pub fn launch(plan: ContainerPlan, cgroup: Option<BorrowedFd<'_>>) -> StepResult<Spawned> {
    let kinds = plan.namespaces.clone;
    spawn(kinds, cgroup, move |channel| run_container(plan, channel))
}

/// Launch a process that joins a running container. The pid namespace must have been joined by the caller.
pub fn launch_exec(plan: ExecPlan, cgroup: Option<BorrowedFd<'_>>) -> StepResult<Spawned> {
    spawn(0, cgroup, move |channel| run_exec(plan, channel))
}

/// `body` runs in the child, on a copy of this memory, and never returns into the caller's code: what the caller would
/// undo on drop stays undone there.
fn spawn(kinds: u64, cgroup: Option<BorrowedFd<'_>>, body: impl FnOnce(&OwnedFd) -> Failure) -> StepResult<Spawned> {
    let (ours, theirs) = socket::pair()?;
    match clone_process(kinds, cgroup)? {
        Cloned::Parent { pid, pidfd } => Ok(Spawned { pid, pidfd, channel: ours }),
        Cloned::Child => {
            drop(ours);
            let failure = body(&theirs);
            crate::proto::send_failure(&theirs, &failure);
            exit_now(FAILED)
        }
    }
}

/// A process that does nothing, until this is dropped. A systemd scope can only be made around a process; init is born
/// into the scope later.
#[derive(Debug)]
pub struct Parked {
    spawned: Spawned,
}

impl Parked {
    /// Park a process.
    pub fn new() -> StepResult<Self> {
        let spawned = spawn(0, None, |channel| {
            // Ends with our parent, if not earlier.
            let mut word = [0u8; 1];
            rustix::io::read(channel, &mut word).ok();
            exit_now(0)
        })?;
        Ok(Self { spawned })
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.spawned.pid
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        // Failing means that it is gone already, which is what is wanted.
        casemate_sys::process::pidfd_signal(&self.spawned.pidfd, 9).ok();
        casemate_sys::process::wait(self.spawned.pid, true).ok();
    }
}
