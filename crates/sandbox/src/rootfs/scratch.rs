//! Places that are writable although the root is not, and show what the image has there.
//!
//! Little is copied into a new tmpfs. Much is not: an image may have gigabytes below /var/cache, which would neither fit nor be
//! there in time. So the image's own directory is shown, from an overlay whose changes go to one tmpfs. Where the root was
//! put together from its layers that overlay exists already, and a place costs no more than a bind mount; else the root gets
//! one above it when the first place needs it. Where the kernel has none for us (two overlays on top of each other already,
//! or a user namespace without extended attributes on tmpfs), everything is copied.

use super::attach::{apply_attributes, attach_at};
use super::{copy_up, overlay};
use crate::plan::{MountPlan, MountSource, RootPlan, Upper};
use crate::{Failure, StepResult};
use casemate_sys::mount::{self, attr, FsContext};
use casemate_sys::path::handle_in_root;
use casemate_sys::{Context, Error, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, StatxFlags, Uid, XattrFlags};
use rustix::io::Errno;
use std::cell::OnceCell;

const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The whole tree once more, writable, with changes in a tmpfs that goes with the container.
pub(super) struct Writable {
    /// The root itself is such a tree until it is sealed.
    is_root: bool,
    /// Otherwise an overlay above the root; `None`: there can be none.
    above: OnceCell<Option<OwnedFd>>,
}

impl Writable {
    pub(super) fn new(plan: &RootPlan) -> Self {
        let overlay =
            plan.overlay.as_ref().filter(|_| plan.prepared.is_none() && plan.idmap.is_some());
        let is_root = overlay.is_some_and(|overlay| matches!(overlay.upper, Upper::Scratch));
        Self { is_root, above: OnceCell::new() }
    }

    /// Show the image's directory at `place`, if that is what suits it.
    pub(super) fn show(
        &self,
        root: &OwnedFd,
        place: &OwnedFd,
        plan: &MountPlan,
    ) -> StepResult<bool> {
        let like_image = matches!(plan.source, MountSource::Filesystem { inherit_mode: true, .. });
        let for_free = self.is_root && like_image;
        if !for_free && copy_up::is_small(&read(place)?)? {
            return Ok(false);
        }
        // What somebody mounted in the rootfs is not in the overlay.
        if mount_id(place)? != mount_id(root)? {
            return Ok(false);
        }
        let shown = if self.is_root {
            mount::clone_tree(place, false)?
        } else {
            // Where no overlay can be made, what is there is copied, which tells what fails.
            let Some(above) = self.above.get_or_init(|| layer(root, place, plan).ok()) else {
                return Ok(false);
            };
            mount::clone_tree(handle_in_root(above, &plan.destination, plan.links)?, false)?
        };
        apply_attributes(&shown, plan, plan.set)?;
        attach_at(root, place, &shown, plan)?;
        Ok(true)
    }
}

/// An overlay of the root and a tmpfs, attached to `place`, where what is shown there will hide it: to close a mount that
/// was never attached would wait for all processors.
fn layer(root: &OwnedFd, place: &OwnedFd, plan: &MountPlan) -> StepResult<OwnedFd> {
    let (upper, work) = overlay::scratch(std::slice::from_ref(root), place)?;
    let fs = FsContext::open("overlay")?;
    fs.set("source", "overlay")?;
    match overlay::set_dir(&fs, "lowerdir+", root) {
        // Before Linux 6.5.
        Err(e) if e.errno() == Errno::INVAL => overlay::set_dir(&fs, "lowerdir", root)?,
        other => other?,
    }
    overlay::set_dir(&fs, "upperdir", &upper)?;
    overlay::set_dir(&fs, "workdir", &work)?;
    fs.set("index", "off")?;
    // An image does not say where its directories are.
    fs.set("redirect_dir", "nofollow")?;
    if needs_user_attributes(&work)? {
        fs.set_flag("userxattr")?;
    }
    for (key, value) in labels(plan) {
        fs.set(key, value)?;
    }
    let whole = fs.mount(attr::NOSUID | attr::NODEV)?;
    mount::attach(&whole, place)?;
    Ok(whole)
}

/// SELinux' options of the tmpfs that the overlay stands in for.
fn labels(plan: &MountPlan) -> impl Iterator<Item = (&str, &str)> {
    let options = match &plan.source {
        MountSource::Filesystem { options, .. } => options.as_slice(),
        _ => &[],
    };
    let pairs = options.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?)));
    pairs.filter(|(key, _)| key.ends_with("context"))
}

/// An overlay marks what was removed or replaced by attributes that only the host's root may write, or, in a user namespace, by
/// others. An error where it can have neither: it would refuse to remove directories later.
fn needs_user_attributes(work: &OwnedFd) -> Result<bool> {
    let work = read(work)?;
    let set = |name: &str| rustix::fs::fsetxattr(&work, name, b"y", XattrFlags::empty());
    match set("trusted.overlay.casemate") {
        Err(Errno::PERM) => set("user.overlay.casemate").call(|| "fsetxattr(user)").map(|()| true),
        other => other.call(|| "fsetxattr(trusted)").map(|()| false),
    }
}

/// Copy into `tmpfs`, which is new, empty and attached nowhere, what `place` holds.
pub(super) fn fill(tmpfs: &OwnedFd, place: &OwnedFd, plan: &MountPlan) -> StepResult<()> {
    let image = read(place)?;
    if inherits_owner(plan) {
        let st = rustix::fs::fstat(&image).call(|| "fstat(destination)")?;
        let (uid, gid) = (Uid::from_raw(st.st_uid), Gid::from_raw(st.st_gid));
        rustix::fs::chownat(tmpfs, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
            .call(|| "fchownat(tmpfs)")?;
    }
    copy_up::copy(&image, tmpfs).map_err(too_much)
}

/// Who sets neither mode nor owner wants the image's.
fn inherits_owner(plan: &MountPlan) -> bool {
    let MountSource::Filesystem { inherit_mode, options, .. } = &plan.source else { return false };
    *inherit_mode && !options.iter().any(|(key, _)| key == "uid" || key == "gid")
}

fn read(place: &OwnedFd) -> Result<OwnedFd> {
    rustix::fs::openat(place, c".", READ, Mode::empty())
        .call(|| format!("openat({}, \".\")", casemate_sys::fd::label(place)))
}

fn mount_id(file: &OwnedFd) -> Result<u64> {
    let st = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
    st.call(|| "statx(MNT_ID)").map(|st| st.stx_mnt_id)
}

fn too_much(e: Error) -> Failure {
    Failure::from(e).with_hint_on(
        Errno::NOSPC,
        "the image holds more there than the tmpfs may: mount something larger there",
    )
}
