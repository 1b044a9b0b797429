//! The one clone3 of a container: what is around it in the parent, and what ends the process again.

use super::{cgroups, netdev};
use crate::decide::Decided;
use crate::state::CgroupRecord;
use anyhow::{Context as _, Result};
use casemate_cgroup::Cgroup;
use casemate_sandbox::launch::{launch, Spawned};
use casemate_sandbox::plan::{ContainerPlan, UserNamespace};
use casemate_sandbox::Placement;
use casemate_sys::ns::{self, flag};
use casemate_sys::{process, socket, Context as _};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// clone3; around it, for a joined pid namespace, our own "namespace of children" is switched there and back.
pub(super) fn spawn(
    plan: ContainerPlan,
    (cgroup, recorded): (Option<&Cgroup>, Option<&CgroupRecord>),
    pid: Option<&OwnedFd>,
    proc: &OwnedFd,
) -> Result<Spawned> {
    let placement = Placement::Into(cgroup.map(AsFd::as_fd));
    let Some(pid) = pid else {
        let mover = cgroup.map_or(Ok(None), |cgroup| cgroups::mover(recorded, &[cgroup]))?;
        return Ok(launch(
            plan,
            mover.as_ref().map_or(placement, |mover| Placement::Moved(mover)),
        )?);
    };
    let own =
        rustix::fs::openat(proc, "self/ns/pid", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .call(|| "openat(/proc, \"self/ns/pid\")")?;
    if !matches!(plan.namespaces.user, UserNamespace::EnterFirst) {
        // The child is seen in there as soon as it exists (CVE-2016-9962). Who has no privilege has to be dumpable until the
        // id maps are written, and joins no pid namespace.
        process::set_dumpable(false)?;
    }
    ns::setns(pid, flag::PID).context("linux.namespaces pid")?;
    let child = launch(plan, placement);
    match ns::setns(&own, flag::PID) {
        // The way back to a pid namespace of the host is closed to root of a user namespace. Only hooks are made after this,
        // and they have the same pids to work with.
        Err(e) if e.errno() == rustix::io::Errno::PERM => {}
        other => other.context("linux.namespaces pid: back")?,
    }
    Ok(child?)
}

/// The network namespace that the container joins: also the one that a holder made for it.
pub(super) fn joined_network(plan: &ContainerPlan) -> Result<Option<OwnedFd>> {
    let joined = plan.namespaces.join.iter().find(|(kind, _)| *kind == flag::NET);
    joined.map(|(_, fd)| fd.try_clone().map_err(|e| crate::files::io_error_text(&e))).transpose()
}

/// Move `linux.netDevices` into the container's network namespace.
pub(super) fn move_devices(
    decided: &Decided,
    pid: i32,
    joined: Option<OwnedFd>,
) -> Result<Option<netdev::Moves>> {
    let devices = &decided.spec.linux.net_devices;
    if devices.is_empty() {
        return Ok(None);
    }
    let target = match joined {
        Some(fd) => fd,
        None => {
            let path = format!("{pid}/ns/net");
            rustix::fs::openat(
                &decided.proc,
                &path,
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .call(|| format!("openat(/proc, \"{path}\")"))?
        }
    };
    netdev::move_all(devices, &decided.proc, target).map(Some)
}

/// Without the channel it ends by itself, in case that the signal does not reach it.
pub(super) fn kill_init(pid: i32, channel: &OwnedFd) -> Result<()> {
    let ended = socket::end(channel);
    match process::pidfd_open(pid) {
        Ok(pidfd) => process::pidfd_signal(&pidfd, 9).or(ended)?,
        // Gone already: reaped when its end was noticed.
        Err(e) if e.errno() == Errno::SRCH => return Ok(()),
        Err(e) => ended.map_err(|_| e)?,
    }
    // As above.
    process::wait(pid, true).ok();
    Ok(())
}

/// A process that the kernel killed for memory has no words of its own.
pub(super) fn oom_or(error: anyhow::Error, cgroup: Option<&Cgroup>) -> anyhow::Error {
    match cgroup.map(Cgroup::oom_kill_count) {
        Some(Ok(kills)) if kills > 0 => {
            error.context("container init was OOM-killed (memory limit too low?)")
        }
        // Why it could not be counted is not why the container ended.
        _ => error,
    }
}
