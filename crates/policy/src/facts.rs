//! What the rules may know about the host: plain data, probed by the runtime before the rules run.
//!
//! Nothing here is looked up; a fact that is missing cannot be guessed later. The record of a container
//! keeps these facts, so that the same decisions can be made again from it.

mod files;

pub use files::{
    is_below, BundleFact, Engine, EngineFact, FileFact, FileKind, LayerFact, LayerRole, MountFacts,
    Package, SourceFact, SubMount, Use, Used, SIGNS, SOCKETS,
};

use crate::spec::NamespaceKind;
use casemate_kernel::HostId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The host as the rules see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostFacts {
    /// Effective user id of the caller.
    pub euid: u32,
    /// Effective group id of the caller.
    pub egid: u32,
    /// The caller sits in the initial user namespace.
    pub in_initial_userns: bool,
    /// The caller may give a container ids of the host that are not its own.
    pub can_make_user_namespace: bool,
    /// Why a container that was to have a user namespace of its own cannot have it: found out after the rules had decided so.
    pub unmappable: Option<String>,
    /// That is so only because the kernel is too old for what engines make for every container: tmpfs before Linux 6.3.
    pub unmappable_by_kernel: bool,
    /// AppArmor is enabled.
    pub apparmor: bool,
    /// Whether containers can have the profile that casemate brings; looked at only where one needs it.
    pub apparmor_default: DefaultProfile,
    /// SELinux is enabled.
    pub selinux: bool,
    /// More about it, for a container that is to be given a label; `None`: nobody looked, or the caller may give none.
    pub selinux_host: Option<SelinuxFacts>,
    /// Landlock ABI version; 0 when the kernel has none.
    pub landlock_abi: u32,
    /// Kernel release, major and minor.
    pub kernel: (u32, u32),
    /// cgroup v2 controllers that a container's cgroup can have; empty when it gets no cgroup.
    pub cgroup_controllers: Vec<String>,
    /// What `kernel.core_pattern` does with a core dump.
    pub core_pattern: CorePattern,
    /// The host's mountinfo, which the facts about files were read from; empty where nobody looked.
    #[serde(skip)]
    pub mountinfo: Vec<u8>,
    /// The sources of bind mounts, by the number of the mount.
    pub sources: BTreeMap<usize, SourceFact>,
    /// The layers of overlays that the configuration mounts, by the number of the mount.
    pub layers: BTreeMap<usize, Vec<LayerFact>>,
    /// What else the judgement of mounts has to know.
    pub mounts: MountFacts,
    /// Why a hook is not to be trusted, by its JSON pointer. A hook that is not here was found trustworthy.
    pub hook_faults: BTreeMap<String, String>,
    /// Where the programs of hooks lie that are named by a process (`/proc/PID/exe`), by JSON pointer: which file that is may be
    /// another one when the hook runs.
    pub hook_names: BTreeMap<String, String>,
    /// The programs of hooks that run on the host's side, by JSON pointer; looked at only where somebody asks.
    pub hook_files: BTreeMap<String, HookFile>,
    /// Where system calls are handed to, for a filter that does so.
    pub listener: Option<SourceFact>,
    /// What the configuration's own system call filter does; `None`: it has none, or nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_filter: Option<FilterFact>,
    /// The root file system.
    pub root: Option<FileFact>,
    /// Namespaces that the configuration joins by path and that are the runtime's own, the host's.
    pub host_namespaces: Vec<NamespaceKind>,
    /// First user ids of the ranges that containers of this host have from casemate; looked for only where the configuration brings
    /// ids of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_uids: Vec<HostId>,
    /// First group ids, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_gids: Vec<HostId>,
    /// Directories of the rootfs that control `root.tmpfs` would make writable; looked for only when the root is writable.
    pub present: Vec<String>,
    /// The caller's limits, where the configuration sets none of its own.
    pub limits: CallerLimits,
}

/// Where core dumps go (core(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CorePattern {
    /// Into a file.
    #[default]
    File,
    /// To a program that the kernel starts as root of the host (`|`).
    Pipe,
    /// To a socket of the host (`@`, `@@`; Linux 6.16).
    Socket,
}

impl CorePattern {
    /// Reads `/proc/sys/kernel/core_pattern`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.as_bytes().first() {
            Some(b'|') => Self::Pipe,
            Some(b'@') => Self::Socket,
            _ => Self::File,
        }
    }
}

/// The AppArmor profile `casemate-default` of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DefaultProfile {
    /// The kernel has it.
    Loaded,
    /// It can be loaded before the container is made.
    Loadable,
    /// It can not, for this reason.
    Unavailable(String),
    /// Nobody looked.
    #[default]
    Unknown,
}

/// The program of a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HookFile {
    /// Its path without links.
    pub path: String,
    /// SHA-256 of what it holds, hexadecimal; `None`: could not be read.
    pub sha256: Option<String>,
}

/// What a system call filter does, asked of the program that would be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterFact {
    /// The calls that it lets pass, with some arguments at least, of those that are asked about
    /// ([`guarded_calls`](crate::guarded_calls)).
    pub lets_pass: Vec<String>,
    /// Calls pass that no rule of it names.
    pub is_open: bool,
}

/// What giving a container an SELinux label depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SelinuxFacts {
    /// SELinux refuses, and does not only write a log.
    pub enforcing: bool,
    /// Why the loaded policy cannot carry the labels.
    pub fault: Option<String>,
}

/// What a container inherits from the caller unless its configuration says otherwise; `None`: it does say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CallerLimits {
    /// RLIMIT_NOFILE: soft, hard.
    pub nofile: Option<(u64, u64)>,
    /// RLIMIT_CORE, hard, bytes.
    pub core: Option<u64>,
    /// RLIMIT_MEMLOCK: soft, hard, bytes.
    pub memlock: Option<(u64, u64)>,
    /// /proc/self/oom_score_adj.
    pub oom_score_adj: Option<i32>,
}

impl HostFacts {
    /// True when a container's cgroup can have this controller.
    #[must_use]
    pub fn has_controller(&self, name: &str) -> bool {
        self.cgroup_controllers.iter().any(|controller| controller == name)
    }
}
