//! The container's tree: built by descriptors on detached mounts, sealed, then made the root.
//!
//! One descriptor of the rootfs is opened at the start; every path of the container is resolved below it by the
//! kernel. A mount is configured while it is attached nowhere, so there is no moment at which a read-only mount is
//! writable, and it is attached to a descriptor, so the target cannot be swapped between check and use. The exception is
//! a tmpfs, which is new and empty, and in which other mounts need places: it is made read-only with the tree.

mod attach;
mod bind;
mod console;
mod copy_up;
mod devices;
mod filesystem;
mod hosts;
mod mask;
mod overlay;
mod scratch;

use crate::failure::Step;
use crate::plan::{DetachedTree, MountPlan, MountSource, RootPlan, UserNamespace};
use crate::{Failure, StepResult};
use casemate_sys::mount::{self, attr, AttrChange};
use casemate_sys::path::{ensure_dir, find_in_root, handle_in_root, Links};
use casemate_sys::{caps, process, Context};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::path::Path;

use attach::{apply_attributes, apply_propagation, is_mount};
pub(crate) use console::open_console;

/// The tree while it is being built: `root` is the rootfs, attached in our own mount namespace.
pub(crate) struct Builder<'p> {
    plan: &'p RootPlan,
    root: OwnedFd,
    /// Mounts that become read-only when nothing is to be made in them any more.
    sealed_last: Vec<(&'p MountPlan, OwnedFd)>,
    writable: scratch::Writable,
}

/// The finished tree: nothing can be mounted into it through this type any more.
pub(crate) struct Sealed<'p> {
    plan: &'p RootPlan,
    root: OwnedFd,
}

impl<'p> Builder<'p> {
    /// Cut our mount namespace off from the host's and attach the rootfs in it.
    pub(crate) fn open(plan: &'p RootPlan, user: &UserNamespace) -> StepResult<Self> {
        let about = || format!("root.path {}", plan.rootfs.display());
        if let UserNamespace::EnterLast(_) = user {
            own_what_is_created(plan.owner)?;
        }
        if plan.own_mounts {
            cut_off(plan)?;
        }
        let place = mount::open_path(&plan.rootfs, false).step("rootfs", about)?;
        verify_identity(&place, plan)?;
        let root = match (&plan.prepared, &plan.overlay, &plan.idmap) {
            (Some(tree), ..) => prepared_rootfs(tree).step("rootfs", about)?,
            (None, Some(overlay), Some(userns)) => {
                overlay::compose(overlay, Some(userns), &place).step("rootfs", about)?
            }
            _ => clone_rootfs(plan, &place).step("rootfs", about)?,
        };
        // In the host's mount namespace nothing is attached: the tree grows on the detached mount (Linux 6.15).
        if plan.own_mounts {
            mount::attach(&root, &place).step("rootfs", about)?;
        }
        if let Some(tree) = &plan.prepared {
            bind::attach_below(&root, tree).step("rootfs", about)?;
        }
        let writable = scratch::Writable::new(plan);
        Ok(Self { plan, root, sealed_last: Vec::new(), writable })
    }

    /// Everything that the spec lists, in its order, then device nodes, links and the working directory.
    pub(crate) fn mount_all(mut self) -> StepResult<Self> {
        // Modes of what is made in the tree are meant as they are written. Hooks that follow get the caller's mask back.
        let mask = rustix::process::umask(Mode::empty());
        for mount in &self.plan.mounts {
            if let Some(top) = self.mount_one(mount).step("mount", || &mount.label)? {
                self.sealed_last.push((mount, top));
            }
        }
        devices::make_all(&self.root, &self.plan.devices, self.plan.owner)?;
        self.link_all()?;
        self.make_cwd()?;
        rustix::process::umask(mask);
        Ok(self)
    }

    /// The mount itself, if it is still to be made read-only.
    fn mount_one(&self, plan: &MountPlan) -> StepResult<Option<OwnedFd>> {
        match &plan.source {
            MountSource::Filesystem { .. } => {
                return filesystem::mount(&self.root, plan, &self.writable);
            }
            MountSource::Bind { .. } => bind::mount(&self.root, plan)?,
            MountSource::Overlay { plan: overlay, userns } => {
                overlay::mount(&self.root, plan, overlay, userns.as_ref())?;
            }
            MountSource::Remount => {
                let place = handle_in_root(&self.root, &plan.destination, plan.links)?;
                apply_attributes(&place, plan, plan.set)?;
            }
        }
        Ok(None)
    }

    /// /dev/fd and its like. What is there already stays: an image may know better.
    fn link_all(&self) -> StepResult<()> {
        let mut last: Option<(&Path, OwnedFd)> = None;
        for (path, target) in &self.plan.symlinks {
            let about = || format!("link {}", path.display());
            let Some((parent, name)) = casemate_sys::path::split(path) else { continue };
            if last.as_ref().is_none_or(|(path, _)| *path != parent) {
                let dir =
                    ensure_dir(&self.root, parent, Mode::from_raw_mode(0o755), Links::Refused);
                last = Some((parent, dir.step("devices", about)?));
            }
            let Some((_, dir)) = &last else { continue };
            match rustix::fs::symlinkat(target.as_str(), dir, name) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => {
                    return Err(e).call(|| format!("symlinkat({target:?})")).step("devices", about);
                }
            }
        }
        Ok(())
    }

    /// Made now, while the root is still writable. A rootfs on a read-only file system cannot have it made; entering it
    /// later says so.
    fn make_cwd(&self) -> StepResult<()> {
        match ensure_dir(&self.root, &self.plan.cwd, Mode::from_raw_mode(0o755), Links::InRoot) {
            Ok(_) => Ok(()),
            Err(e)
                if matches!(
                    e.errno(),
                    Errno::ROFS | Errno::LOOP | Errno::NOTDIR | Errno::ACCESS
                ) =>
            {
                Ok(())
            }
            Err(e) => Err(e).step("cwd", || format!("process.cwd {}", self.plan.cwd.display())),
        }
    }

    /// The pty of the container's own devpts, with its other side on /dev/console.
    pub(crate) fn console(&self, size: casemate_sys::tty::Size) -> StepResult<console::Console> {
        let console = open_console(&self.root, size).step("console", || "process.terminal")?;
        console.bind(&self.root).step("console", || "process.terminal /dev/console")?;
        Ok(console)
    }

    /// Hide, make read-only: the last changes.
    pub(crate) fn seal(self) -> StepResult<Sealed<'p>> {
        mask::make_readonly(&self.root, &self.plan.readonly_paths)?;
        mask::hide(&self.root, &self.plan.masked)?;
        let change = AttrChange { set: attr::RDONLY, ..AttrChange::default() };
        for (plan, top) in &self.sealed_last {
            mount::set_attr(top, change, false).step("mount", || &plan.label)?;
        }
        if self.plan.readonly {
            mount::set_attr(&self.root, change, false).step("rootfs", || "root.readonly")?;
        }
        Ok(Sealed { plan: self.plan, root: self.root })
    }
}

impl Sealed<'_> {
    /// Make it the root, and let go of the host's.
    pub(crate) fn pivot(self, host_proc: &OwnedFd) -> StepResult<()> {
        let about = || format!("root.path {}", self.plan.rootfs.display());
        rustix::process::fchdir(&self.root).call(|| "fchdir(rootfs)").step("pivot", about)?;
        if !self.plan.own_mounts {
            return self.enter_detached();
        }
        let old = mount::open_path(Path::new("/"), false).step("pivot", about)?;
        if self.plan.no_pivot {
            hosts::detach_kernel_file_systems(host_proc, &self.plan.rootfs)?;
            // What is mounted over a shared "/" would cover the host's.
            let private =
                AttrChange { propagation: mount::propagation::PRIVATE, ..AttrChange::default() };
            mount::set_attr(&old, private, false).step("pivot", about)?;
            mount::move_root_here().step("pivot", about)?;
        } else {
            mount::pivot_root_here().step("pivot", about)?;
            // The old root lies on top of the new one now: cut it off from the host before it goes, or the host's mounts
            // would go with it. By its descriptor, because "." is the new one, whose shared volumes stay shared.
            let slave =
                AttrChange { propagation: mount::propagation::SLAVE, ..AttrChange::default() };
            mount::set_attr(&old, slave, true).step("pivot", about)?;
            mount::detach_here().step("pivot", about)?;
            rustix::process::chdir("/").call(|| "chdir(\"/\")").step("pivot", about)?;
        }
        if let Some((propagation, recursive)) = self.plan.propagation.after {
            let top = mount::open_path(Path::new("/"), false)?;
            let change = AttrChange { propagation, ..AttrChange::default() };
            mount::set_attr(&top, change, recursive).step("pivot", || "linux.rootfsPropagation")?;
        }
        own_files_again()
    }

    /// Without a mount namespace there is no root to be exchanged: the detached tree becomes the root of this process alone,
    /// and stays as long as it is used.
    fn enter_detached(&self) -> StepResult<()> {
        let about = || format!("root.path {}", self.plan.rootfs.display());
        rustix::process::chroot(".").call(|| "chroot(\".\")").step("pivot", about)?;
        rustix::process::chdir("/").call(|| "chdir(\"/\")").step("pivot", about)?;
        own_files_again()
    }
}

/// What is copied into a mount namespace of a user namespace with less privilege gets events from the original and sends none
/// (mount_namespaces(7)): mounts that are to be shared are only slaves there. Shared once more, they are so among the
/// container's own mount namespaces, and go on receiving; the host is out of reach either way.
pub(crate) fn share_again(plan: &RootPlan) -> StepResult<()> {
    let is_shared = |mount: &&MountPlan| {
        mount.propagation.iter().any(|(kind, _)| *kind == mount::propagation::SHARED)
    };
    if !plan.own_mounts || !plan.mounts.iter().any(|mount| is_shared(&mount)) {
        return Ok(());
    }
    let root = mount::open_path(Path::new("/"), false)?;
    for mount in plan.mounts.iter().filter(is_shared) {
        // Not there: a later mount covers it, and nobody can mount anything in it.
        let place = find_in_root(&root, &mount.destination, mount.links);
        let Some(place) = place.step("mount", || &mount.label)? else { continue };
        if is_mount(&place)? {
            apply_propagation(&place, mount).step("mount", || &mount.label)?;
        }
    }
    Ok(())
}

/// Files that later steps make are the caller's own again.
fn own_files_again() -> StepResult<()> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    process::set_fs_ids(uid, gid).step("pivot", || "owner of the tree")
}

/// What the parent has prepared, cut off from the host.
fn prepared_rootfs(tree: &DetachedTree) -> casemate_sys::Result<OwnedFd> {
    let private = AttrChange { propagation: mount::propagation::PRIVATE, ..AttrChange::default() };
    mount::set_attr(&tree.top, private, false)?;
    rustix::io::fcntl_dupfd_cloexec(&tree.top, 3).call(|| "fcntl(rootfs, F_DUPFD_CLOEXEC)")
}

/// A copy of what is mounted there, cut off from the host, with the id mapping of the plan.
fn clone_rootfs(plan: &RootPlan, place: &OwnedFd) -> casemate_sys::Result<OwnedFd> {
    let root = mount::clone_tree(place, true)?;
    let private = AttrChange { propagation: mount::propagation::PRIVATE, ..AttrChange::default() };
    mount::set_attr(&root, private, false)?;
    if let Some(userns) = &plan.idmap {
        let idmap =
            AttrChange { set: attr::IDMAP, userns: Some(userns.as_fd()), ..AttrChange::default() };
        mount::set_attr(&root, idmap, false)?;
    }
    Ok(root)
}

/// Cut our copy of the host's mounts off from the host, before the first mount of ours.
fn cut_off(plan: &RootPlan) -> StepResult<()> {
    let top = mount::open_path(Path::new("/"), false)?;
    let change = AttrChange { propagation: plan.propagation.before, ..AttrChange::default() };
    mount::set_attr(&top, change, true).step("rootfs", || "linux.rootfsPropagation")?;
    if plan.propagation.before == mount::propagation::SHARED {
        isolate_parent(&plan.rootfs)?;
    }
    Ok(())
}

/// Let whatever is created in the tree (mount points, device nodes, roots of tmpfs) belong to the container's root.
/// Without SECBIT_NO_SETUID_FIXUP the change of the file system uid would take CAP_DAC_OVERRIDE and others away.
fn own_what_is_created((uid, gid): (u32, u32)) -> StepResult<()> {
    caps::set_securebits(caps::SECBIT_NO_SETUID_FIXUP).step("rootfs", || "owner of the tree")?;
    process::set_fs_ids(uid, gid).step("rootfs", || "owner of the tree")
}

/// The rootfs must be the directory that the plan was made for.
fn verify_identity(place: &OwnedFd, plan: &RootPlan) -> StepResult<()> {
    let st = rustix::fs::fstat(place).call(|| "fstat(rootfs)")?;
    if (st.st_dev, st.st_ino) == plan.identity {
        Ok(())
    } else {
        let message = format!(
            "root.path {}: was replaced while the container was created",
            plan.rootfs.display()
        );
        Err(Failure::new("rootfs", message))
    }
}

/// With shared propagation kept for the container's volumes, attaching the rootfs would show it on the host as well: make
/// the mount that it lies on private first.
fn isolate_parent(rootfs: &Path) -> StepResult<()> {
    let about = || format!("root.path {}", rootfs.display());
    for dir in rootfs.ancestors() {
        let fd = mount::open_path(dir, false).step("rootfs", about)?;
        if is_mount(&fd).step("rootfs", about)? {
            let change =
                AttrChange { propagation: mount::propagation::PRIVATE, ..AttrChange::default() };
            return mount::set_attr(&fd, change, false).step("rootfs", about);
        }
    }
    Ok(())
}
