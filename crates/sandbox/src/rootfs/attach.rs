//! Attaching mounts to the tree, and their attributes.

use crate::plan::MountPlan;
use crate::{Failure, StepResult};
use casemate_sys::mount::{self, attr, AttrChange};
use casemate_sys::path::{handle_in_root, Links};
use casemate_sys::Context;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

/// Whether `fd` is the top of a mount.
pub(super) fn is_mount(fd: &OwnedFd) -> casemate_sys::Result<bool> {
    let st = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
        .call(|| format!("statx({})", casemate_sys::fd::label(fd)))?;
    Ok(st.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// The attributes of a plan, `set` in place of those that it sets, on a mount that is not attached yet (or, for a remount,
/// on one that is ours).
pub(super) fn apply_attributes(fd: impl AsFd, plan: &MountPlan, set: u64) -> StepResult<()> {
    apply_recursive(&fd, plan)?;
    change_attributes(&fd, set, plan.clear, false)?;
    apply_propagation(fd, plan)
}

/// Attributes that only somebody with more privilege may take away (mount_namespaces(7)) stay: `rw`, which engines write for
/// every volume that is not read-only, then finds one that is. What is to be set is set or is an error.
pub(super) fn change_attributes(
    fd: impl AsFd,
    set: u64,
    clear: u64,
    recursive: bool,
) -> casemate_sys::Result<()> {
    if set | clear == 0 {
        return Ok(());
    }
    let change = |clear: u64| AttrChange { set, clear, ..AttrChange::default() };
    // The kernel wants the old mode of access times named when there is a new one.
    let replaced = if set & attr::ATIME_MASK == 0 { 0 } else { clear & attr::ATIME_MASK };
    match mount::set_attr(&fd, change(clear), recursive) {
        Err(e) if e.errno() == Errno::PERM && clear != replaced => match set | replaced {
            0 => Ok(()),
            _ => mount::set_attr(&fd, change(replaced), recursive),
        },
        other => other,
    }
}

pub(super) fn apply_propagation(fd: impl AsFd, plan: &MountPlan) -> StepResult<()> {
    for (propagation, recursive) in &plan.propagation {
        let change = AttrChange { propagation: *propagation, ..AttrChange::default() };
        mount::set_attr(&fd, change, *recursive)?;
    }
    Ok(())
}

fn apply_recursive(fd: impl AsFd, plan: &MountPlan) -> StepResult<()> {
    Ok(change_attributes(fd, plan.recursive_set, plan.recursive_clear, true)?)
}

/// Attach a mount at the place that was found for it. Never where a link has led into a procfs: what lies there would cover
/// what processes say about themselves, and what is written to them (CVE-2025-52881). Whoever can write to a volume
/// decides where its links lead, at any moment. So the path is looked up once more without links, and has to be the same.
pub(super) fn attach_at(
    root: &OwnedFd,
    place: &OwnedFd,
    tree: impl AsFd,
    plan: &MountPlan,
) -> StepResult<()> {
    if plan.links == Links::InRoot && is_procfs(place)? {
        let identity = |fd: &OwnedFd| -> casemate_sys::Result<_> {
            let found = rustix::fs::fstat(fd).call(|| "fstat()")?;
            Ok((found.st_dev, found.st_ino))
        };
        // A path that cannot be looked up without links is not the same, whatever the error.
        let direct = handle_in_root(root, &plan.destination, Links::Refused).ok();
        if direct.as_ref().map(identity).transpose()? != Some(identity(place)?) {
            return Err(Failure::new("mount", "a link leads into a procfs"));
        }
    }
    Ok(mount::attach(tree, place)?)
}

pub(super) fn is_procfs(fd: impl AsFd) -> casemate_sys::Result<bool> {
    let fs = rustix::fs::fstatfs(fd).call(|| "fstatfs()")?;
    Ok(fs.f_type as u64 == casemate_kernel::magic::PROC)
}

/// The part of a plan's attributes that counts for what is mounted below the top as well.
pub(super) fn apply_below(fd: impl AsFd, plan: &MountPlan) -> StepResult<()> {
    apply_recursive(&fd, plan)?;
    for (propagation, _) in plan.propagation.iter().filter(|(_, recursive)| *recursive) {
        let change = AttrChange { propagation: *propagation, ..AttrChange::default() };
        mount::set_attr(&fd, change, true)?;
    }
    Ok(())
}
