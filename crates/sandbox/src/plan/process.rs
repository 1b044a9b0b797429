//! The program, its identity, and everything that confines it.

use casemate_sys::sched::SchedAttr;
use std::ffi::CString;
use std::path::PathBuf;

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
