//! The container's file system tree.

use casemate_sys::path::Links;
use rustix::fd::OwnedFd;
use std::path::PathBuf;

/// The container's file system tree.
#[derive(Debug)]
pub struct RootPlan {
    /// Absolute path of the rootfs in the runtime's view.
    pub rootfs: PathBuf,
    /// Device and inode that it had when the plan was made; anything else there is refused.
    pub identity: (u64, u64),
    /// Id mapping of the rootfs mount itself, if any.
    pub idmap: Option<OwnedFd>,
    /// With an id mapping: the rootfs is an overlay, which is put together a second time from layers that have it.
    pub overlay: Option<OverlayPlan>,
    /// The rootfs as the parent has prepared it; `None`: it is used as it lies at `rootfs`.
    pub prepared: Option<DetachedTree>,
    /// Propagation of everything before the tree is built, and of `/` at the end.
    pub propagation: RootPropagation,
    /// Owner of what is created in the tree: the container's root, in ids of the runtime's namespace.
    pub owner: (u32, u32),
    /// The container's mounts, in order.
    pub mounts: Vec<MountPlan>,
    /// Device nodes.
    pub devices: Vec<DeviceNode>,
    /// Links such as /dev/fd: where, to what.
    pub symlinks: Vec<(PathBuf, String)>,
    /// Hidden paths.
    pub masked: Vec<PathBuf>,
    /// Paths made read-only.
    pub readonly_paths: Vec<PathBuf>,
    /// `/` is read-only.
    pub readonly: bool,
    /// Made when missing.
    pub cwd: PathBuf,
    /// MS_MOVE and chroot in place of pivot_root.
    pub no_pivot: bool,
    /// The container has a mount namespace of its own. Without one its tree is attached nowhere, so that the host's
    /// mounts stay as they are.
    pub own_mounts: bool,
}

/// An overlay to be put together from layers: with an id mapping of theirs, because one that is mounted cannot be given
/// any, or from the layers that a configuration names.
#[derive(Debug)]
pub struct OverlayPlan {
    /// Directories that hold the layers: one for each mount that has some.
    pub bases: Vec<PathBuf>,
    /// The layers that are only read, uppermost first.
    pub lowers: Vec<Layer>,
    /// Layers of data only, which others refer to.
    pub data: Vec<Layer>,
    /// Where changes go.
    pub upper: Upper,
    /// Mount options that the new overlay shares with the old one.
    pub options: Vec<(String, Option<String>)>,
    /// Attributes of the mount (`mount::attr`).
    pub attrs: u64,
    /// Where in the overlay the rootfs is; empty: its top.
    pub inside: PathBuf,
}

/// One layer of an overlay.
#[derive(Debug)]
pub struct Layer {
    /// Which of the bases holds it.
    pub base: usize,
    /// Path below that, without links.
    pub path: PathBuf,
    /// Device and inode that it had when the plan was made.
    pub identity: (u64, u64),
}

/// Where the changes to an overlay go.
#[derive(Debug)]
pub enum Upper {
    /// To a tmpfs that goes with the container: mount points that the image lacks, and what hooks write before the root
    /// is made read-only.
    Scratch,
    /// Nowhere: it can only be read.
    Nothing,
    /// To these directories, which are in no other overlay.
    Given {
        /// The upper directory.
        upper: Layer,
        /// The work directory.
        work: Layer,
    },
    /// To the overlay's own upper directory, so that the engine finds them there.
    Kept {
        /// The upper directory.
        upper: Layer,
        /// The old overlay's work directory. The new one gets its own beside it, because the kernel empties it.
        work: Layer,
    },
}

/// Mounts that the parent has made and configured, and that are attached nowhere yet. Made there because whether a file system
/// can be shown with other ids is only known by trying, and has to be known before anything else is decided.
#[derive(Debug)]
pub struct DetachedTree {
    /// The topmost mount.
    pub top: OwnedFd,
    /// What is mounted below it: where, relative to the top, and what; outer ones before inner ones.
    pub below: Vec<(PathBuf, OwnedFd)>,
    /// The topmost mount has an id mapping.
    pub mapped: bool,
}

/// rootfsPropagation, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootPropagation {
    /// Before the tree is built: what the copied host tree becomes.
    pub before: u64,
    /// After: what `/` becomes, and whether with everything below.
    pub after: Option<(u64, bool)>,
}

/// One mount.
#[derive(Debug)]
pub struct MountPlan {
    /// `mounts[3] /proc`: for messages.
    pub label: String,
    /// Where, absolute, in the container.
    pub destination: PathBuf,
    /// Whether links in the destination are followed.
    pub links: Links,
    /// What is mounted.
    pub source: MountSource,
    /// Attributes set on this mount (`mount::attr`).
    pub set: u64,
    /// Attributes cleared.
    pub clear: u64,
    /// Attributes set on everything below as well.
    pub recursive_set: u64,
    /// Attributes cleared on everything below as well.
    pub recursive_clear: u64,
    /// Propagation changes in order: type, with everything below.
    pub propagation: Vec<(u64, bool)>,
}

/// What is mounted.
#[derive(Debug)]
pub enum MountSource {
    /// A new instance of a file system.
    Filesystem {
        /// Its type.
        fstype: String,
        /// The `source` parameter.
        source: Option<String>,
        /// Parameters: key, value (none: a flag).
        options: Vec<(String, Option<String>)>,
        /// When the kernel refuses with EPERM or EBUSY, bind this host path in its place (sysfs and cgroup2 in a user
        /// namespace that does not own the network or cgroup namespace).
        or_bind: Option<PathBuf>,
        /// Whether the new file system (tmpfs) begins with what the destination holds.
        content: Content,
        /// Take over the destination's mode, if it is there (tmpfs without a mode option).
        inherit_mode: bool,
        /// SELinux label of its top, for what does not take one as a parameter.
        label: Option<String>,
    },
    /// A part of the host's tree.
    Bind {
        /// Absolute host path.
        path: PathBuf,
        /// With everything mounted below.
        recursive: bool,
        /// Do not follow a final link.
        nofollow: bool,
        /// Device and inode that were judged: another file in its place is refused.
        identity: Option<(u64, u64)>,
        /// Final link: make an equal link in place of a mount.
        copy_symlink: bool,
        /// Id mapping: the user namespace, and whether everything below gets it.
        idmap: Option<(OwnedFd, bool)>,
        /// The source as the parent has prepared it: used in place of `path`.
        prepared: Option<DetachedTree>,
    },
    /// An overlay, made from its layers.
    Overlay {
        /// Which.
        plan: Box<OverlayPlan>,
        /// The user namespace with whose ids the layers are shown; `None`: as they are.
        userns: Option<OwnedFd>,
    },
    /// Change the attributes of what is mounted there already.
    Remount,
}

/// What a new tmpfs begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// A copy of what the destination holds.
    Copy,
    /// The same, if that is little; else the destination itself is made writable, with changes in a tmpfs that all such places
    /// share.
    CopyOrLayer,
}

/// One device node.
#[derive(Debug)]
pub struct DeviceNode {
    /// Where, absolute, in the container.
    pub path: PathBuf,
    /// Which kind.
    pub kind: DeviceKind,
    /// Device numbers.
    pub major: u32,
    /// Device numbers.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner, in ids of the runtime's namespace.
    pub uid: u32,
    /// Group, in ids of the runtime's namespace.
    pub gid: u32,
}

/// Kind of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// Named pipe.
    Fifo,
}
