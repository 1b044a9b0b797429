//! The one clone3: from a plan to a child that runs its stages, and a handle for the parent.

use crate::exec::{run_exec, run_go_between};
use crate::plan::{ContainerPlan, ExecPlan};
use crate::proto::FromChild;
use crate::stage::run_container;
use crate::{Failure, StepResult};
use casemate_sys::process::{clone_process, exit_now, Cloned};
use casemate_sys::socket;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

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

/// Launch a process that joins a running container. The pid namespace must have been joined by the caller. `cgroups`: it
/// is born into the first of these that takes it; where there is none, into our own.
pub fn launch_exec(plan: ExecPlan, cgroups: &[BorrowedFd<'_>]) -> StepResult<Spawned> {
    spawn_into(cgroups, move |channel| run_exec(plan, channel))
}

/// The same for a caller whose only privilege is in the container's user namespace: a go-between enters that, then the
/// pid namespace, and makes the process a child of ours. `cgroups`: as above.
pub fn launch_exec_unprivileged(plan: ExecPlan, cgroups: &[BorrowedFd<'_>]) -> StepResult<Spawned> {
    let between = spawn(0, None, |channel| run_go_between(plan, cgroups, channel))?;
    let answer = crate::proto::receive(&between.channel);
    // Nothing is left for it to do, whatever it answered.
    casemate_sys::process::wait(between.pid, true).ok();
    match answer? {
        FromChild::Process(pid, pidfd) => Ok(Spawned { pid, pidfd, channel: between.channel }),
        FromChild::Failed(failure) => Err(failure),
        other => {
            Err(Failure::new("protocol", format!("the way into the container ended: {other:?}")))
        }
    }
}

/// The first cgroup that can hold processes. One that has become an inner node answers EBUSY, one that is
/// being removed ENODEV, one with a threaded child EOPNOTSUPP.
pub(crate) fn first_that_takes<T>(
    cgroups: &[BorrowedFd<'_>],
    mut clone: impl FnMut(Option<BorrowedFd<'_>>) -> casemate_sys::Result<T>,
) -> casemate_sys::Result<T> {
    let Some((last, others)) = cgroups.split_last() else { return clone(None) };
    for cgroup in others {
        match clone(Some(*cgroup)) {
            Err(e) if matches!(e.errno(), Errno::BUSY | Errno::NODEV | Errno::OPNOTSUPP) => {}
            other => return other,
        }
    }
    clone(Some(*last))
}

fn spawn_into(
    cgroups: &[BorrowedFd<'_>],
    body: impl FnOnce(&OwnedFd) -> Failure,
) -> StepResult<Spawned> {
    let (ours, theirs) = socket::pair()?;
    let cloned = first_that_takes(cgroups, |cgroup| clone_process(0, cgroup)).map_err(no_room)?;
    Ok(part_ways(cloned, ours, theirs, body))
}

/// `body` runs in the child, on a copy of this memory, and never returns into the caller's code: what the caller would
/// undo on drop stays undone there.
fn spawn(
    kinds: u64,
    cgroup: Option<BorrowedFd<'_>>,
    body: impl FnOnce(&OwnedFd) -> Failure,
) -> StepResult<Spawned> {
    let (ours, theirs) = socket::pair()?;
    let cloned = clone_process(kinds, cgroup).map_err(no_room)?;
    Ok(part_ways(cloned, ours, theirs, body))
}

/// EAGAIN from clone3 is a limit that somebody set.
fn no_room(error: casemate_sys::Error) -> Failure {
    let limit = error.errno() == Errno::AGAIN;
    let mut failure = Failure::from(error);
    if limit {
        failure.message.push_str(" (hint: pids.max of the cgroup or RLIMIT_NPROC leaves no room)");
    }
    failure
}

fn part_ways(
    cloned: Cloned,
    ours: OwnedFd,
    theirs: OwnedFd,
    body: impl FnOnce(&OwnedFd) -> Failure,
) -> Spawned {
    match cloned {
        Cloned::Parent { pid, pidfd } => Spawned { pid, pidfd, channel: ours },
        Cloned::Child => {
            drop(ours);
            // Ours is only a copy of the descriptor: cheap to close as long as the parent has its own.
            casemate_sys::exe::release_mount();
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
