//! The plan: everything the container's first process will do, as data. Built and checked before clone3, moved into
//! the child by memory, interpreted there without parsing anything.
//!
//! Ids in here are what the step that uses them needs: `root` and `stdio` work before the user namespace is entered
//! and carry ids of the runtime's own namespace, `process` carries the container's.

use crate::guard::HookGuard;
use casemate_sys::path::Links;
use casemate_sys::sched::SchedAttr;
use casemate_sys::tty::Size;
use rustix::fd::OwnedFd;
use std::ffi::CString;
use std::path::PathBuf;

/// A container, ready to be launched.
#[derive(Debug)]
pub struct ContainerPlan {
    /// The runtime's own /proc, checked to be procfs. Everything written below /proc goes through it.
    pub host_proc: OwnedFd,
    /// Which namespaces, and how.
    pub namespaces: Namespaces,
    /// Done with the caller's privilege, before any namespace hides it.
    pub early: Early,
    /// Host name, if it is to be set.
    pub hostname: Option<String>,
    /// NIS domain name, if it is to be set.
    pub domainname: Option<String>,
    /// The network namespace is new: its loopback interface has to be set up.
    pub loopback: bool,
    /// Network devices are on their way: wait for them.
    pub await_devices: bool,
    /// Kernel parameters to write, in order.
    pub sysctls: Vec<Sysctl>,
    /// The tree.
    pub root: RootPlan,
    /// A terminal is to be made.
    pub terminal: Option<Size>,
    /// prestart or createRuntime hooks exist: stop and let the parent run them.
    pub parent_hooks: bool,
    /// createContainer hooks.
    pub create_container: Vec<Hook>,
    /// startContainer hooks.
    pub start_container: Vec<Hook>,
    /// State JSON for hooks of the container's side.
    pub hook_state: HookState,
    /// The program and its identity.
    pub process: ProcessPlan,
    /// What holds the process until `start`.
    pub gate: Gate,
}

/// A process to be added to a running container.
#[derive(Debug)]
pub struct ExecPlan {
    /// The runtime's own /proc, checked to be procfs.
    pub host_proc: OwnedFd,
    /// The container's init.
    pub init: OwnedFd,
    /// Kinds of namespaces to join, bits of `ns::flag`.
    pub join: u64,
    /// Done with the caller's privilege.
    pub early: Early,
    /// A terminal is to be made.
    pub terminal: Option<Size>,
    /// The program and its identity.
    pub process: ProcessPlan,
}

/// Namespaces of a new container.
#[derive(Debug)]
pub struct Namespaces {
    /// Made by clone3 itself: bits of `ns::flag`.
    pub clone: u64,
    /// Joined by the child, in this order.
    pub join: Vec<(u64, OwnedFd)>,
    /// A new cgroup namespace. Not by clone3: its root is the cgroup of the caller of unshare(2), and only the child
    /// is in the container's cgroup.
    pub new_cgroup: bool,
    /// A new time namespace with these offsets.
    pub new_time: Option<Vec<TimeOffset>>,
    /// The user namespace.
    pub user: UserNamespace,
}

/// One line for timens_offsets (time_namespaces(7)).
#[derive(Debug)]
pub struct TimeOffset {
    /// `monotonic` or `boottime`.
    pub clock: String,
    /// Seconds.
    pub secs: i64,
    /// Nanoseconds.
    pub nanos: u32,
}

/// When the user namespace is entered.
#[derive(Debug)]
pub enum UserNamespace {
    /// Not at all.
    Inherit,
    /// After the tree is built with the privilege of the namespace above, together with a mount namespace of its own,
    /// so that the kernel locks every mask and every read-only flag (mount_namespaces(7)).
    EnterLast(OwnedFd),
    /// By clone3: the caller has no privilege but inside it.
    EnterFirst,
}

/// Attributes set while the caller's privilege is still there.
#[derive(Debug, Default)]
pub struct Early {
    /// /proc/self/oom_score_adj.
    pub oom_score_adj: Option<i32>,
    /// Resource, soft, hard.
    pub rlimits: Vec<(u32, u64, u64)>,
    /// A limit that the caller may not set becomes the caller's own where that is lower.
    pub rlimits_may_shrink: bool,
    /// sched_setattr(2).
    pub scheduler: Option<SchedAttr>,
    /// Class and level of ioprio_set(2).
    pub io_priority: Option<(u32, u32)>,
    /// CPU mask for sched_setaffinity(2).
    pub affinity: Option<Vec<u64>>,
    /// Mode with flags, and nodes, of set_mempolicy(2).
    pub mempolicy: Option<(u32, Vec<u64>)>,
    /// The session keyring to join; an empty name: a new one, which nobody else can join.
    pub keyring: Option<String>,
    /// SELinux label of that keyring.
    pub keyring_label: Option<String>,
    /// The owner that pipes, sockets and terminals on 0, 1, 2 get.
    pub stdio_owner: u32,
}

/// One kernel parameter.
#[derive(Debug)]
pub struct Sysctl {
    /// Path below /proc/sys, e.g. `net/ipv4/ip_forward`.
    pub path: String,
    /// The value.
    pub value: String,
}

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

/// One hook.
#[derive(Clone, Debug)]
pub struct Hook {
    /// `createContainer hook #0`, as runc counts them: for messages.
    pub label: String,
    /// Absolute path.
    pub path: PathBuf,
    /// Full argv.
    pub args: Vec<CString>,
    /// Environment.
    pub env: Vec<CString>,
    /// Working directory, if it is there, else `/`; `None`: that of the process it runs beside.
    pub dir: Option<PathBuf>,
    /// The bundle names none: startContainer hooks get a HOME beside it, as the program does.
    pub home: bool,
    /// Seconds; 0: none given.
    pub timeout: u64,
    /// What its program has to be when it runs.
    pub guard: HookGuard,
}

/// The state JSON that hooks read, cut at the places that only the container's side knows.
#[derive(Clone, Debug, Default)]
pub struct HookState {
    /// The bundle that it names.
    pub bundle: PathBuf,
    /// Up to the status.
    pub before_status: String,
    /// From behind the status up to the pid.
    pub before_pid: String,
    /// From behind the pid.
    pub after_pid: String,
}

impl HookState {
    /// The JSON for this status and pid.
    pub fn render(&self, status: &str, pid: i32) -> String {
        format!("{}{status}{}{pid}{}", self.before_status, self.before_pid, self.after_pid)
    }
}

/// What holds a created container until it is started.
#[derive(Debug)]
pub enum Gate {
    /// The channel to the parent, which stays (`run`, `exec`).
    Channel,
    /// A listening socket that `start` connects to.
    Listener(OwnedFd),
}

/// The program and everything that confines it.
#[derive(Debug)]
pub struct ProcessPlan {
    /// Arguments; the first is looked up.
    pub args: Vec<CString>,
    /// Environment, exact (HOME is added when missing).
    pub env: Vec<CString>,
    /// Working directory, absolute, in the container.
    pub cwd: PathBuf,
    /// User id in the container.
    pub uid: u32,
    /// Group id in the container.
    pub gid: u32,
    /// Supplementary groups; `None`: leave the caller's (`keep_original_groups`).
    pub groups: Option<Vec<u32>>,
    /// setgroups(2) may be denied in this user namespace; then an empty list is not an error.
    pub groups_may_fail: bool,
    /// File mode creation mask.
    pub umask: u32,
    /// Personality, if one is to be set.
    pub personality: Option<u64>,
    /// Capability masks; `None`: everything the namespace gives (no `capabilities` in the spec).
    pub caps: CapabilityPlan,
    /// prctl(PR_SET_NO_NEW_PRIVS).
    pub no_new_privs: bool,
    /// AppArmor profile to change to at execve.
    pub apparmor: Option<String>,
    /// SELinux label to change to at execve.
    pub selinux: Option<String>,
    /// Compiled filters, in the order in which they are loaded.
    pub seccomp: Vec<SeccompFilter>,
    /// The Landlock layer, if there is to be one.
    pub landlock: Option<LandlockPlan>,
    /// Descriptors from 3 on that the payload keeps: how many.
    pub keep_fds: u32,
}

/// What the Landlock layer denies beside writing, which it always does. Namespaces that are the container's own keep
/// these apart already, and keep the container's processes together: each process that `exec` adds is a domain of its
/// own, and would be cut off from the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LandlockPlan {
    /// Signals to other processes: the pid namespace is shared with others.
    pub signals: bool,
    /// Abstract unix sockets of others: the network namespace is shared with others.
    pub abstract_sockets: bool,
    /// The TCP ports that may be bound; `None`: all.
    pub tcp_bind: Option<Vec<u16>>,
    /// The TCP ports that may be connected to; `None`: all.
    pub tcp_connect: Option<Vec<u16>>,
}

/// The five sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilityPlan {
    /// Bounding set.
    pub bounding: u64,
    /// Effective set.
    pub effective: u64,
    /// Permitted set.
    pub permitted: u64,
    /// Inheritable set.
    pub inheritable: u64,
    /// Ambient set.
    pub ambient: u64,
}

/// One compiled filter.
#[derive(Clone, Debug)]
pub struct SeccompFilter {
    /// Instructions, 8 bytes each.
    pub program: Vec<u8>,
    /// `seccomp::flag` bits.
    pub flags: u64,
    /// It lets every read(2) pass: how many filters are loaded can be asked behind it.
    pub lets_read: bool,
}

impl SeccompFilter {
    /// The filter reports to a listener.
    pub fn notifies(&self) -> bool {
        self.flags & casemate_sys::seccomp::flag::NEW_LISTENER != 0
    }
}
