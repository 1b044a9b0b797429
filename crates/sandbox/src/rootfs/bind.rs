//! Bind mounts: a part of the host's tree, cloned, configured while detached, attached.

use super::attach::{apply_attributes, apply_below, attach_at, is_procfs};
use crate::failure::Step;
use crate::plan::{DetachedTree, MountPlan, MountSource};
use crate::{Failure, StepResult};
use casemate_sys::mount::{self, attr, AttrChange};
use casemate_sys::path::{ensure_dir, ensure_file, handle_in_root, split, Links};
use casemate_sys::{Context, Error};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use std::path::Path;

/// Mount `plan` (a [`MountSource::Bind`]) below `root`.
pub(super) fn mount(root: &OwnedFd, plan: &MountPlan) -> StepResult<()> {
    let MountSource::Bind { path, recursive, nofollow, identity, copy_symlink, idmap, prepared } =
        &plan.source
    else {
        return Err(Failure::new("mount", "not a bind mount"));
    };
    let about = || format!("source {}", path.display());
    if let Some(tree) = prepared {
        return attach_prepared(root, tree, plan).step("mount", about);
    }
    let source = mount::open_path(path, *nofollow || *copy_symlink).step("mount", about)?;
    let stat = rustix::fs::fstat(&source).call(|| "fstat(source)")?;
    if identity.is_some_and(|judged| judged != (stat.st_dev, stat.st_ino)) {
        return Err(Failure::new("mount", format!("{}: changed while it was looked at", about())));
    }
    let kind = FileType::from_raw_mode(stat.st_mode);
    if *copy_symlink && kind == FileType::Symlink {
        return copy_link(root, path, plan);
    }
    check_proc(&source, plan)?;
    let detached = mount::clone_tree(&source, *recursive).step("mount", about)?;
    if let Some((userns, recursive)) = idmap {
        show_with_ids(&detached, userns, *recursive).map_err(|e| e.about(about()))?;
    }
    apply_attributes(&detached, plan, plan.set).step("mount", about)?;
    attach_at(root, &place_for(root, kind, plan)?, &detached, plan)
}

/// What the configuration asks for by name is done or is an error: a program that was promised its files must not find those
/// of others.
fn show_with_ids(detached: &OwnedFd, userns: &OwnedFd, recursive: bool) -> StepResult<()> {
    let change =
        AttrChange { set: attr::IDMAP, userns: Some(userns.as_fd()), ..AttrChange::default() };
    mount::set_attr(detached, change, recursive).step("mount", || "idmap").map_err(|failure| {
        failure.with_hint_on(
            Errno::INVAL,
            "its file system cannot be shown with other ids, or is already: leave out idmap and the mappings of this mount",
        )
    })
}

/// The place that `plan` names, made if it is missing, of the kind that the source is.
fn place_for(root: &OwnedFd, kind: FileType, plan: &MountPlan) -> casemate_sys::Result<OwnedFd> {
    if kind == FileType::Directory {
        ensure_dir(root, &plan.destination, Mode::from_raw_mode(0o755), plan.links)
    } else {
        let place = ensure_file(root, &plan.destination, Mode::from_raw_mode(0o644), plan.links)?;
        let st = rustix::fs::fstat(&place).call(|| "fstat(destination)")?;
        if FileType::from_raw_mode(st.st_mode) == FileType::Directory {
            // As mount(2) says it, and engines know it; move_mount(2) answers EINVAL.
            return Err(Error::new("mount a file onto a directory", Errno::NOTDIR));
        }
        Ok(place)
    }
}

/// A source that the parent has cloned and mapped already.
fn attach_prepared(root: &OwnedFd, tree: &DetachedTree, plan: &MountPlan) -> StepResult<()> {
    let st = rustix::fs::fstat(&tree.top).call(|| "fstat(source)")?;
    check_proc(&tree.top, plan)?;
    apply_attributes(&tree.top, plan, plan.set)?;
    for (_, below) in &tree.below {
        apply_below(below, plan)?;
    }
    let place = place_for(root, FileType::from_raw_mode(st.st_mode), plan)?;
    attach_at(root, &place, &tree.top, plan)?;
    attach_below(&tree.top, tree)
}

/// Attach what belongs below the top of `tree`, which is attached. Without links on the way: what lies on a volume is up to
/// whoever can write to it.
pub(super) fn attach_below(top: &OwnedFd, tree: &DetachedTree) -> StepResult<()> {
    for (path, below) in &tree.below {
        let place = handle_in_root(top, path, Links::Refused)?;
        mount::attach(below, &place)?;
    }
    Ok(())
}

/// Onto /proc itself goes nothing but a procfs: a directory of files with the same names would swallow the writes of
/// security labels (CVE-2019-16884).
fn check_proc(source: impl AsFd, plan: &MountPlan) -> StepResult<()> {
    if plan.destination != Path::new("/proc") {
        return Ok(());
    }
    if is_procfs(source)? {
        Ok(())
    } else {
        Err(Failure::new("mount", "only a procfs can be mounted on /proc"))
    }
}

/// `copy-symlink`: the same link, in place of a mount.
fn copy_link(root: &OwnedFd, path: &Path, plan: &MountPlan) -> StepResult<()> {
    let target =
        rustix::fs::readlink(path, Vec::new()).call(|| format!("readlink({})", path.display()))?;
    let (parent, name) = split(&plan.destination)
        .ok_or_else(|| Failure::new("mount", "a link cannot replace the root"))?;
    let dir = ensure_dir(root, parent, Mode::from_raw_mode(0o755), Links::InRoot)?;
    match rustix::fs::symlinkat(&target, &dir, name) {
        Err(rustix::io::Errno::EXIST) => {
            let there = rustix::fs::readlinkat(&dir, name, Vec::new())
                .call(|| "readlinkat(destination)")?;
            if there == target {
                Ok(())
            } else {
                Err(Failure::new("mount", "another file is in the place of the link"))
            }
        }
        other => Ok(other.call(|| format!("symlinkat({target:?})"))?),
    }
}
