//! The one clone3: from a plan to a child that runs its stages, and a handle for the parent.

use crate::exec::{run_exec, run_go_between};
use crate::failure::FAILED;
use crate::placement::{first_that_takes, Mover, Placement};
use crate::plan::{ContainerPlan, ExecPlan};
use crate::proto::{self, FromChild, FromParent};
use crate::stage::run_container;
use crate::{Failure, StepResult};
use casemate_sys::args::{self, Hidden};
use casemate_sys::process::{clone_process, clone_sibling, exit_now, Cloned};
use casemate_sys::socket;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

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

impl Spawned {
    /// Have it end, whatever it is doing.
    pub fn dismiss(&self) {
        // It may be waiting for a word, and ends without; an error of either means that it is gone already, or that the other
        // has to do.
        socket::end(&self.channel).ok();
        casemate_sys::process::pidfd_signal(&self.pidfd, 9).ok();
    }
}

/// Launch a container's init.
///
/// # Errors
/// The clone is refused: EAGAIN (pids.max or RLIMIT_NPROC, with a hint), ENOSPC for a namespace,
/// EACCES, EBUSY or EOPNOTSUPP for the cgroup. Of a move: what the mover says, or no answer from
/// the go-between in time.
pub fn launch(plan: ContainerPlan, placement: Placement<'_>) -> StepResult<Spawned> {
    let kinds = plan.namespaces.clone;
    match placement {
        Placement::Into(cgroup) => {
            spawn(kinds, cgroup, move |channel| run_container(plan, channel))
        }
        Placement::Moved(mover) => {
            let between = spawn(0, None, move |channel| {
                clone_when_moved(kinds, channel, |channel| run_container(plan, channel))
            })?;
            let moved = mover(between.pid)
                .and_then(|()| proto::tell_child(&between.channel, FromParent::Moved));
            take_over(between, moved)
        }
    }
}

/// The go-between's side of [`Placement::Moved`]; returns only what went wrong.
fn clone_when_moved(
    kinds: u64,
    channel: &OwnedFd,
    body: impl FnOnce(&OwnedFd) -> Failure,
) -> Failure {
    let cloned = proto::await_parent(channel, FromParent::Moved)
        .and_then(|()| clone_sibling(kinds, None).map_err(no_room));
    match cloned {
        Ok(Cloned::Child) => match proto::await_parent(channel, FromParent::Known) {
            Ok(()) => body(channel),
            Err(failure) => failure,
        },
        Ok(Cloned::Parent { pid, pidfd }) => match proto::send_process(channel, pid, pidfd) {
            Ok(()) => exit_now(0),
            Err(failure) => failure,
        },
        Err(failure) => failure,
    }
}

/// The parent's side: from a go-between to the process that it made. `prepared`: what was to be done before it can.
fn take_over(between: Spawned, prepared: StepResult<()>) -> StepResult<Spawned> {
    let answer = prepared.and_then(|()| proto::receive_within(&between.channel, proto::limit([])));
    if !matches!(answer, Ok(FromChild::Process(..))) {
        between.dismiss();
    }
    // Nothing is left for it to do, whatever it answered.
    casemate_sys::process::wait(between.pid, true).ok();
    match answer? {
        FromChild::Process(pid, pidfd) => {
            let made = Spawned { pid, pidfd, channel: between.channel };
            // It shares the channel with the go-between, and must not be the first to speak.
            let told = proto::tell_child(&made.channel, FromParent::Known);
            told.inspect_err(|_| made.dismiss()).map(|()| made)
        }
        FromChild::Failed(failure) => Err(failure),
        other => {
            Err(Failure::new("protocol", format!("the way into the container ended: {other:?}")))
        }
    }
}

/// Launch a process that joins a running container. The pid namespace must have been joined by the caller. `cgroups`: it
/// is born into the first of these that takes it; where there is none, into our own.
///
/// # Errors
/// The clone is refused: EAGAIN (pids.max or RLIMIT_NPROC, with a hint); EACCES for a cgroup,
/// EBUSY, ENODEV or EOPNOTSUPP when none of them takes it.
pub fn launch_exec<'a>(
    plan: ExecPlan,
    cgroups: impl IntoIterator<Item = BorrowedFd<'a>>,
) -> StepResult<Spawned> {
    spawn_into(cgroups, move |channel| run_exec(plan, channel))
}

/// The same for a caller whose only privilege is in the container's user namespace: a go-between enters that, then the
/// pid namespace, and makes the process a child of ours. `cgroups`: as above. With a `mover` they are not used: the go-between
/// is moved first, while it has the ids that systemd knows the caller by.
///
/// # Errors
/// As [`launch_exec`]; the go-between may not enter a namespace, does not answer in time, or the
/// mover fails.
pub fn launch_exec_unprivileged(
    plan: ExecPlan,
    cgroups: &[BorrowedFd<'_>],
    mover: Option<Mover<'_>>,
) -> StepResult<Spawned> {
    let cgroups = if mover.is_some() { &[] } else { cgroups };
    let moved = mover.is_some();
    let between = spawn(0, None, |channel| run_go_between(plan, cgroups, moved, channel))?;
    let prepared = mover.map_or(Ok(()), |mover| {
        mover(between.pid)?;
        proto::tell_child(&between.channel, FromParent::Moved)
    });
    take_over(between, prepared)
}

fn spawn_into<'a>(
    cgroups: impl IntoIterator<Item = BorrowedFd<'a>>,
    body: impl FnOnce(&OwnedFd) -> Failure,
) -> StepResult<Spawned> {
    let (ours, theirs) = socket::pair()?;
    let hidden = args::hide()?;
    let cloned = first_that_takes(cgroups, |cgroup| clone_process(0, cgroup)).map_err(no_room)?;
    Ok(part_ways(cloned, hidden, (ours, theirs), body))
}

/// `body` runs in the child, on a copy of this memory, and never returns into the caller's code: what the caller would
/// undo on drop stays undone there.
fn spawn(
    kinds: u64,
    cgroup: Option<BorrowedFd<'_>>,
    body: impl FnOnce(&OwnedFd) -> Failure,
) -> StepResult<Spawned> {
    let (ours, theirs) = socket::pair()?;
    let hidden = args::hide()?;
    let cloned = clone_process(kinds, cgroup).map_err(no_room)?;
    Ok(part_ways(cloned, hidden, (ours, theirs), body))
}

/// EAGAIN from clone3 is a limit that somebody set.
fn no_room(error: casemate_sys::Error) -> Failure {
    Failure::from(error)
        .with_hint_on(Errno::AGAIN, "pids.max of the cgroup or RLIMIT_NPROC leaves no room")
}

/// The child is about to be seen in the container, with our arguments and environment if it had them (`hidden`).
fn part_ways(
    cloned: Cloned,
    hidden: Hidden,
    (ours, theirs): (OwnedFd, OwnedFd),
    body: impl FnOnce(&OwnedFd) -> Failure,
) -> Spawned {
    match cloned {
        Cloned::Parent { pid, pidfd } => Spawned { pid, pidfd, channel: ours },
        Cloned::Child => {
            hidden.for_good();
            drop(ours);
            let failure = body(&theirs);
            crate::proto::send_failure(&theirs, &failure);
            exit_now(FAILED)
        }
    }
}

/// A process that does nothing, until this is dropped. A systemd scope can only be made around a process; init is made
/// in the scope later.
#[derive(Debug)]
pub struct Placeholder {
    spawned: Spawned,
}

impl Placeholder {
    /// Make one.
    ///
    /// # Errors
    /// The clone is refused: EAGAIN (pids.max or RLIMIT_NPROC, with a hint).
    pub fn new() -> StepResult<Self> {
        let spawned = spawn(0, None, |channel| {
            // Ends with our parent, if not earlier.
            let mut word = [0u8; 1];
            // A word, an end or an error: it is over.
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

impl Drop for Placeholder {
    fn drop(&mut self) {
        self.spawned.dismiss();
        // Nobody is left to be told.
        casemate_sys::process::wait(self.spawned.pid, true).ok();
    }
}
