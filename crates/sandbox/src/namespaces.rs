//! Joining and making namespaces, in the one order that works for both kinds of caller.

use crate::failure::Step;
use crate::plan::{ContainerPlan, Namespaces, TimeOffset, UserNamespace};
use crate::StepResult;
use casemate_sys::ns::{self, flag};
use casemate_sys::{process, Context, Error};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Enter every namespace except a user namespace that comes last.
pub(crate) fn enter(plan: &Namespaces, host_proc: &OwnedFd) -> StepResult<()> {
    // The unprivileged caller first becomes root of its user namespace: only that gives it the right to the others.
    if let UserNamespace::EnterFirst = plan.user {
        become_root()?;
    }
    for (kind, fd) in &plan.join {
        let about = || format!("linux.namespaces {}", ns::names(*kind));
        ns::setns(fd, *kind).step("namespaces", about)?;
        is_in(*kind, fd, host_proc).step("namespaces", about)?;
    }
    if plan.new_cgroup {
        ns::unshare(flag::CGROUP).step("namespaces", || "linux.namespaces cgroup")?;
    }
    if plan.new_time.is_some() {
        enter_new_time(host_proc)?;
    }
    Ok(())
}

/// What comes next is meant for this namespace: the host's name, in the host's, would be changed for everybody. So the kernel's
/// word for having joined it is not taken (filters can have calls answered without being made, seccomp(2)).
fn is_in(kind: u64, joined: &OwnedFd, host_proc: &OwnedFd) -> casemate_sys::Result<()> {
    let joined = rustix::fs::fstat(joined).call(|| "fstat(namespace)")?;
    if ns::inode(host_proc, "self", &ns::names(kind))? == Some(joined.st_ino) {
        return Ok(());
    }
    Err(Error::new("setns(): the namespace is not the one to be joined", Errno::IO))
}

/// Enter the user namespace last, and take a private copy of the finished tree along: copying it into a mount
/// namespace of a less privileged user namespace is what makes the kernel lock every mount to the next and every flag
/// to its mount (mount_namespaces(7), "Restrictions on mount namespaces").
pub(crate) fn enter_user_last(plan: &Namespaces) -> StepResult<()> {
    if let UserNamespace::EnterLast(fd) = &plan.user {
        ns::setns(fd, flag::USER).step("namespaces", || "linux.namespaces user")?;
        // The cgroup namespace again, with the same root: now it belongs to the container.
        let kinds = if plan.new_cgroup { flag::MNT | flag::CGROUP } else { flag::MNT };
        ns::unshare(kinds).step("namespaces", || "linux.namespaces user")?;
        become_root()?;
    }
    Ok(())
}

/// A createContainer hook runs "in the container namespace" (runtime-spec), before we do ourselves: as the container's root,
/// which is also who can write to a rootfs that is shown with the container's ids. In our own mount namespace or a copy
/// of it, in which it sees the tree and can mount nothing.
pub(crate) fn enter_user_for_hook(plan: &Namespaces) -> StepResult<()> {
    if let UserNamespace::EnterLast(fd) = &plan.user {
        match process::set_groups(&[]) {
            // Denied for good in a namespace that an ordinary user made: then there are none of the host's.
            Err(e) if e.errno() == Errno::PERM => {}
            other => other.step("hook", || "groups")?,
        }
        ns::setns(fd, flag::USER).step("hook", || "linux.namespaces user")?;
        become_root()?;
    }
    Ok(())
}

/// Ids of root where they are mapped; a namespace without uid 0 is entered with what the map gives.
fn become_root() -> StepResult<()> {
    for result in [process::set_res_gid(0, 0, 0), process::set_res_uid(0, 0, 0)] {
        match result {
            Err(e) if e.errno() == Errno::INVAL => {}
            other => other.step("namespaces", || "become root of the user namespace")?,
        }
    }
    Ok(())
}

/// A new time namespace takes offsets only while nobody is in it, so: make it for children, write the offsets, and enter it
/// later ourselves (time_namespaces(7)). The offsets are written while the process is dumpable: the file of one that is not
/// belongs to the host's root, and an ordinary user could not open it.
pub(crate) fn make_time(plan: &Namespaces, host_proc: &OwnedFd) -> StepResult<()> {
    let Some(offsets) = &plan.new_time else { return Ok(()) };
    ns::unshare(flag::TIME).step("namespaces", || "linux.namespaces time")?;
    let mut text = String::new();
    for TimeOffset { clock, secs, nanos } in offsets {
        text.push_str(&format!("{clock} {secs} {nanos}\n"));
    }
    if text.is_empty() {
        return Ok(());
    }
    let file = open_proc(host_proc, "self/timens_offsets", OFlags::WRONLY)
        .step("namespaces", || "linux.timeOffsets")?;
    rustix::io::write(&file, text.as_bytes())
        .call(|| format!("write(/proc/self/timens_offsets, {text:?})"))
        .step("namespaces", || "linux.timeOffsets")?;
    Ok(())
}

fn enter_new_time(host_proc: &OwnedFd) -> StepResult<()> {
    let fd = open_proc(host_proc, "self/ns/time_for_children", OFlags::RDONLY)
        .step("namespaces", || "linux.namespaces time")?;
    ns::setns(&fd, flag::TIME).step("namespaces", || "linux.namespaces time")
}

fn open_proc(host_proc: &OwnedFd, path: &str, flags: OFlags) -> casemate_sys::Result<OwnedFd> {
    rustix::fs::openat(host_proc, path, flags | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("openat(/proc, \"{path}\")"))
}

/// What belongs to the namespaces themselves: names, the loopback interface.
pub(crate) fn configure(plan: &ContainerPlan) -> StepResult<()> {
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.as_bytes())
            .call(|| format!("sethostname({name:?})"))
            .step("namespaces", || "hostname")?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.as_bytes())
            .call(|| format!("setdomainname({name:?})"))
            .step("namespaces", || "domainname")?;
    }
    if plan.loopback {
        casemate_sys::net::loopback_up().step("namespaces", || "linux.namespaces network")?;
    }
    Ok(())
}
