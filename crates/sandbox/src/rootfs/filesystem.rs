//! New instances of file systems: proc, sysfs, tmpfs, devpts, mqueue, cgroup2, overlay and whatever else the spec asks.

use super::attach::{apply_attributes, apply_propagation, attach_at};
use super::scratch::{self, Writable};
use crate::plan::{Content, MountPlan, MountSource};
use crate::{Failure, StepResult};
use casemate_sys::mount::propagation::PRIVATE;
use casemate_sys::mount::{self, attr, AttrChange, FsContext};
use casemate_sys::path::{ensure_dir, find_in_root};
use casemate_sys::Context;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use std::path::Path;

/// Mount `plan` (a [`MountSource::Filesystem`]) below `root`. A read-only tmpfs is given back: it stays writable until the
/// tree is complete, because what the spec mounts in it (podman's read-only /dev has four such) needs mount points there.
pub(super) fn mount(
    root: &OwnedFd,
    plan: &MountPlan,
    writable: &Writable,
) -> StepResult<Option<OwnedFd>> {
    let MountSource::Filesystem { fstype, or_bind, content, inherit_mode, .. } = &plan.source
    else {
        return Err(Failure::new("mount", "not a file system"));
    };
    let sealed_last = fstype == "tmpfs" && plan.set & attr::RDONLY != 0;
    let set = if sealed_last { plan.set & !attr::RDONLY } else { plan.set };
    let inherited = if *inherit_mode { mode_of_destination(root, plan)? } else { None };
    let place = ensure_dir(root, &plan.destination, Mode::from_raw_mode(0o755), plan.links)?;
    if *content == Content::CopyOrLayer && writable.show(root, &place, plan)? {
        return Ok(None);
    }
    let detached = match create(root, &place, plan, (inherited, set)) {
        Err(e) if matches!(e.errno(), Errno::PERM | Errno::BUSY) => match or_bind {
            Some(path) => {
                attach_at(root, &place, host_part(path, plan)?, plan)?;
                return Ok(None);
            }
            None => return Err(e.into()),
        },
        other => other?,
    };
    if *content != Content::Nothing {
        scratch::fill(&detached, &place, plan)?;
    }
    if let MountSource::Filesystem { label: Some(label), .. } = &plan.source {
        set_label(&detached, label)?;
    }
    if plan.recursive_set | plan.recursive_clear == 0 {
        // fsmount has set the attributes, and a new mount has none that would have to be cleared.
        apply_propagation(&detached, plan)?;
    } else {
        // What was asked for the mount itself counts more than what was asked for all of the tree: `rrw` opens nothing
        // that is to be read-only.
        apply_attributes(&detached, plan, set)?;
    }
    attach_at(root, &place, &detached, plan)?;
    Ok(sealed_last.then_some(detached))
}

/// The mode of the directory that is to be covered. A mount point that the image lacks has none to be taken over: then the
/// kernel's own (1777) is right, because whoever asks for a tmpfs there wants a place for the program's user, whoever that is.
fn mode_of_destination(root: &OwnedFd, plan: &MountPlan) -> StepResult<Option<u32>> {
    let Some(there) = find_in_root(root, &plan.destination, plan.links)? else { return Ok(None) };
    let stat = rustix::fs::fstat(&there).call(|| "fstat(destination)")?;
    Ok(Some(stat.st_mode & 0o7777))
}

/// fsopen, options, fsmount with the attributes `set`; where an option is too long for that, mount(2).
fn create(
    root: &OwnedFd,
    place: &OwnedFd,
    plan: &MountPlan,
    (mode, set): (Option<u32>, u64),
) -> casemate_sys::Result<OwnedFd> {
    let MountSource::Filesystem { fstype, source, options, .. } = &plan.source else {
        return Err(casemate_sys::Error::new("fsopen", Errno::INVAL));
    };
    let mode = mode.map(|mode| ("mode".to_owned(), Some(format!("{mode:o}"))));
    if mount::needs_one_string(source.as_deref(), options) {
        let options: Vec<_> = options.iter().cloned().chain(mode).collect();
        let made = mount::from_one_string(place, (fstype, source.as_deref()), &options, set);
        rustix::process::fchdir(root).call(|| "fchdir(rootfs)")?;
        return made;
    }
    let fs = FsContext::open(fstype)?;
    if let Some(source) = source {
        fs.set("source", source)?;
    }
    for (key, value) in options.iter().chain(&mode) {
        match value {
            Some(value) => fs.set(key, value)?,
            None => fs.set_flag(key)?,
        }
    }
    fs.mount(set)
}

/// The file system of an ipc namespace exists as long as that does: its label cannot be chosen when it is mounted, but
/// changed.
fn set_label(mount: &OwnedFd, label: &str) -> casemate_sys::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::openat(mount, ".", flags, Mode::empty()).call(|| "openat(mqueue)")?;
    rustix::fs::fsetxattr(&top, "security.selinux", label.as_bytes(), XattrFlags::empty())
        .call(|| format!("fsetxattr(security.selinux, {label:?})"))
}

/// What stands in for a file system that this user namespace may not mount: the host's own, read by its path. Nothing that is
/// mounted in it comes back to the host, and of a whole sysfs nothing is writable: a cgroup file system of the host's lies below.
fn host_part(path: &Path, plan: &MountPlan) -> StepResult<OwnedFd> {
    let source = mount::open_path(path, false)?;
    let detached = mount::clone_tree(source.as_fd(), true)?;
    let closed = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
    let whole = matches!(&plan.source, MountSource::Filesystem { fstype, .. } if fstype == "sysfs");
    // What the host has mounted below comes along, and must not have less.
    let set = if whole { closed } else { plan.set & closed };
    let change = AttrChange { set, propagation: PRIVATE, ..AttrChange::default() };
    mount::set_attr(&detached, change, true)?;
    if whole {
        apply_propagation(&detached, plan)?;
    } else {
        apply_attributes(&detached, plan, plan.set)?;
    }
    Ok(detached)
}
