//! An overlay put together a second time, from layers with an id mapping.
//!
//! The engine's overlay stays mounted and in use. Where the root is to be read-only, all of its layers, the upper one
//! too, are only read here, and what must be created (mount points) goes to a tmpfs. Where it is to be writable, this
//! overlay writes to the same upper directory. The caller's file system ids are those of the container's root
//! meanwhile: overlayfs makes its own files with them, and would become read-only if it could not.
//!
//! Everything is stacked on the place of the rootfs, where it lies hidden below the finished overlay until the old root
//! goes: to close a mount that was never attached would wait for all processors.

use super::attach::{apply_attributes, attach_at};
use crate::plan::{Layer, MountPlan, OverlayPlan, Upper};
use crate::{Failure, StepResult};
use casemate_sys::mount::{self, attr, propagation, AttrChange, FsContext};
use casemate_sys::path::{ensure_dir, handle_in_root};
use casemate_sys::{Context, Error};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, StatxFlags, Uid};
use rustix::io::Errno;
use std::path::Path;

/// Bounds of the tmpfs for changes before the root becomes read-only: what a createContainer hook may write.
const SCRATCH: [(&str, &str); 3] = [("mode", "755"), ("size", "64m"), ("nr_inodes", "16k")];

const DIR: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Make the overlay, detached. `place` is the directory of the rootfs.
pub(super) fn compose(
    plan: &OverlayPlan,
    userns: Option<&OwnedFd>,
    place: &OwnedFd,
) -> StepResult<OwnedFd> {
    let bases = plan.bases.iter().map(|base| match userns {
        Some(userns) => map_base(base, userns, place),
        None => mount::open_path(base, false),
    });
    let bases = bases.collect::<Result<Vec<_>, _>>()?;
    let fs = FsContext::open("overlay")?;
    fs.set("source", "overlay")?;
    let lowers = plan.lowers.iter().map(|layer| open_layer(&bases, layer));
    let lowers = lowers.collect::<StepResult<Vec<_>>>()?;
    for lower in &lowers {
        set_dir(&fs, "lowerdir+", lower)?;
    }
    for data in &plan.data {
        set_dir(&fs, "datadir+", &open_layer(&bases, data)?)?;
    }
    let upper = match &plan.upper {
        Upper::Nothing => None,
        Upper::Scratch => Some(scratch(&lowers, place)?),
        Upper::Given { upper, work } => {
            Some((open_layer(&bases, upper)?, open_layer(&bases, work)?))
        }
        Upper::Kept { upper, work } => Some((open_layer(&bases, upper)?, own_work(&bases, work)?)),
    };
    if let Some((upper, work)) = &upper {
        set_dir(&fs, "upperdir", upper)?;
        set_dir(&fs, "workdir", work)?;
    }
    // An index ties an upper directory to one overlay for good, and one that is kept is in use by the engine's.
    if !plan.options.iter().any(|(key, _)| key == "index") {
        fs.set("index", "off")?;
    }
    for (key, value) in &plan.options {
        match value {
            Some(value) => fs.set(key, value)?,
            None => fs.set_flag(key)?,
        }
    }
    let whole = fs.mount(plan.attrs)?;
    if plan.inside.as_os_str().is_empty() {
        return Ok(whole);
    }
    mount::attach(&whole, place)?;
    let part = beneath(&whole, &plan.inside)?;
    Ok(mount::clone_tree(&part, false)?)
}

/// An overlay as a volume. What it was stacked from does not stay on the place below it.
pub(super) fn mount(
    root: &OwnedFd,
    plan: &MountPlan,
    overlay: &OverlayPlan,
    userns: Option<&OwnedFd>,
) -> StepResult<()> {
    let place = ensure_dir(root, &plan.destination, Mode::from_raw_mode(0o755), plan.links)?;
    let detached = compose(overlay, userns, &place)?;
    loop {
        let top = handle_in_root(root, &plan.destination, plan.links)?;
        if mount_id(&top)? == mount_id(&place)? {
            break;
        }
        rustix::process::fchdir(&top).call(|| "fchdir(layer)")?;
        mount::detach_here()?;
    }
    rustix::process::fchdir(root).call(|| "fchdir(rootfs)")?;
    apply_attributes(&detached, plan, plan.set)?;
    attach_at(root, &place, &detached, plan)
}

fn mount_id(fd: &OwnedFd) -> casemate_sys::Result<u64> {
    let st = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
    Ok(st.call(|| "statx(volume)")?.stx_mnt_id)
}

/// The directory with layers, once more, with the id mapping.
fn map_base(base: &Path, userns: &OwnedFd, place: &OwnedFd) -> casemate_sys::Result<OwnedFd> {
    let clone = mount::clone_tree(mount::open_path(base, false)?, false)?;
    let change = AttrChange {
        set: attr::IDMAP,
        propagation: propagation::PRIVATE,
        userns: Some(userns.as_fd()),
        ..AttrChange::default()
    };
    mount::set_attr(&clone, change, false)?;
    mount::attach(&clone, place)?;
    Ok(clone)
}

/// A layer below its base; what is there now must be what was there when the plan was made.
fn open_layer(bases: &[OwnedFd], layer: &Layer) -> StepResult<OwnedFd> {
    let fd = beneath(base(bases, layer)?, &layer.path)?;
    let st = rustix::fs::fstat(&fd).call(|| "fstat(layer)")?;
    if (st.st_dev, st.st_ino) == layer.identity {
        return Ok(fd);
    }
    let message =
        format!("layer {} was replaced while the container was created", layer.path.display());
    Err(Failure::new("rootfs", message))
}

fn base<'b>(bases: &'b [OwnedFd], layer: &Layer) -> StepResult<&'b OwnedFd> {
    bases.get(layer.base).ok_or_else(|| Failure::new("rootfs", "a layer without a base"))
}

fn beneath(dir: &OwnedFd, path: &Path) -> casemate_sys::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(dir, path, DIR, Mode::empty(), resolve)
        .call(|| format!("openat2({}, \"{}\")", casemate_sys::fd::label(dir), path.display()))
}

/// A directory of the overlay, by descriptor where the kernel takes one (Linux 6.13), else by the name of the descriptor.
pub(super) fn set_dir(fs: &FsContext, key: &str, dir: &OwnedFd) -> casemate_sys::Result<()> {
    match fs.set_fd(key, dir) {
        Err(e) if e.errno() == Errno::INVAL => {
            fs.set(key, &format!("/proc/self/fd/{}", dir.as_raw_fd()))
        }
        other => other,
    }
}

/// Upper and work directory on a tmpfs. The upper one is what the container sees as `/`, so it looks like the image's.
pub(super) fn scratch(lowers: &[OwnedFd], place: &OwnedFd) -> StepResult<(OwnedFd, OwnedFd)> {
    let top = lowers.first().ok_or_else(|| Failure::new("rootfs", "an overlay without layers"))?;
    let st = rustix::fs::fstat(top).call(|| "fstat(layer)")?;
    let fs = FsContext::open("tmpfs")?;
    for (key, value) in SCRATCH {
        fs.set(key, value)?;
    }
    let tmpfs = fs.mount(attr::NOSUID | attr::NODEV)?;
    mount::attach(&tmpfs, place)?;
    let upper = make_dir(&tmpfs, "upper")?;
    let work = make_dir(&tmpfs, "work")?;
    let (uid, gid) = (Uid::from_raw(st.st_uid), Gid::from_raw(st.st_gid));
    rustix::fs::chownat(&tmpfs, "upper", Some(uid), Some(gid), rustix::fs::AtFlags::empty())
        .call(|| "fchownat(upper)")?;
    let mode = Mode::from_raw_mode(st.st_mode & 0o7777);
    rustix::fs::chmodat(&tmpfs, "upper", mode, rustix::fs::AtFlags::empty())
        .call(|| "fchmodat(upper)")?;
    Ok((upper, work))
}

fn make_dir(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Error> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => beneath(parent, Path::new(name)),
        Err(e) => Err(e).call(|| format!("mkdirat({name:?})")),
    }
}

/// The work directory beside the engine's: overlayfs empties the one that it is given, and the engine's overlay goes on
/// using its own. It goes when the engine removes the container's layer.
fn own_work(bases: &[OwnedFd], work: &Layer) -> StepResult<OwnedFd> {
    let (Some(parent), Some(name)) = (work.path.parent(), work.path.file_name()) else {
        return Err(Failure::new("rootfs", "the overlay's work directory has no parent"));
    };
    let parent = beneath(base(bases, work)?, parent)?;
    Ok(make_dir(&parent, &format!("{}-casemate", name.to_string_lossy()))?)
}
