//! The entry for a process that joins a running container: into its namespaces, and from there through the
//! same stages as the container's first process (`stage.rs`).

use crate::failure::Step;
use crate::placement::first_that_takes;
use crate::plan::ExecPlan;
use crate::proto::{self, FromParent};
use crate::stage::Rooted;
use crate::{identity, rootfs, Failure, StepResult};
use casemate_sys::ns::{self, flag};
use casemate_sys::process::{self, Cloned};
use casemate_sys::Context;
use rustix::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// Run an exec'd process; returns only what went wrong.
pub(crate) fn run_exec(plan: ExecPlan, channel: &OwnedFd) -> Failure {
    join_and_exec(plan, channel).unwrap_or_else(|failure| failure)
}

fn join_and_exec(plan: ExecPlan, channel: &OwnedFd) -> StepResult<Failure> {
    before_joining(&plan)?;
    // All in one call: with the user namespace among them the kernel checks the others against its privilege.
    // The pid namespace was joined by our parent.
    let join = plan.join & !flag::PID;
    if join != 0 {
        ns::setns(&plan.init, join).step("namespaces", || "join the container")?;
    }
    if plan.join & flag::USER != 0 {
        become_root()?;
    }
    inside(plan, channel)
}

fn before_joining(plan: &ExecPlan) -> StepResult<()> {
    identity::apply_early(&plan.early, &plan.host_proc)?;
    identity::limit_descriptors(&plan.early)?;
    if plan.terminal.is_none() {
        identity::own_stdio(plan.early.stdio_owner)?;
    }
    // Not before the score is written, and before the first foreign process can see us (CVE-2016-9962).
    process::set_dumpable(false).step("dumpable", || "exec")
}

fn become_root() -> StepResult<()> {
    process::set_res_gid(0, 0, 0).step("namespaces", || "join the container")?;
    process::set_res_uid(0, 0, 0).step("namespaces", || "join the container")
}

/// The go-between's side; returns only what went wrong. `moved`: it waits for the parent to have it moved.
pub(crate) fn run_go_between(
    plan: ExecPlan,
    cgroups: &[BorrowedFd<'_>],
    moved: bool,
    channel: &OwnedFd,
) -> Failure {
    let wait = if moved { proto::await_parent(channel, FromParent::Moved) } else { Ok(()) };
    wait.and_then(|()| go_between(plan, cgroups, channel)).unwrap_or_else(|failure| failure)
}

/// First the user namespace, which gives the right to the pid namespace, which counts for children only: so one more
/// process is made here, and ends up where a privileged caller's would have been made.
fn go_between(
    plan: ExecPlan,
    cgroups: &[BorrowedFd<'_>],
    channel: &OwnedFd,
) -> StepResult<Failure> {
    before_joining(&plan)?;
    let about = || "join the container";
    if plan.join & flag::USER != 0 {
        ns::setns(&plan.init, flag::USER).step("namespaces", about)?;
        become_root()?;
    }
    if plan.join & flag::PID != 0 {
        ns::setns(&plan.init, flag::PID).step("namespaces", about)?;
    }
    let cloned =
        first_that_takes(cgroups.iter().copied(), |cgroup| process::clone_sibling(0, cgroup));
    match cloned.step("namespaces", about)? {
        Cloned::Parent { pid, pidfd } => {
            proto::send_process(channel, pid, pidfd)?;
            process::exit_now(0)
        }
        Cloned::Child => {
            proto::await_parent(channel, FromParent::Known)?;
            rustix::process::setsid().call(|| "setsid()").step("session", || "exec")?;
            let rest = plan.join & !(flag::USER | flag::PID);
            if rest != 0 {
                ns::setns(&plan.init, rest).step("namespaces", about)?;
            }
            inside(plan, channel)
        }
    }
}

/// In all of the container's namespaces.
fn inside(plan: ExecPlan, channel: &OwnedFd) -> StepResult<Failure> {
    let ExecPlan { host_proc, init, terminal, process, .. } = plan;
    drop(init);
    if let Some(size) = terminal {
        let root = casemate_sys::mount::open_path(Path::new("/"), false)?;
        let console = rootfs::open_console(&root, size).step("console", || "process.terminal")?;
        proto::send_console(channel, &console.master)?;
        identity::take_terminal(&console.peer, process.uid)?;
    }
    Rooted { process, init: None, host_proc, channel }.drop_privilege()?.confine()?.start()
}
