//! The ids of the controls.

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The id of a control and of the rule that carries it out, `family.name`: stable, and the anchor of its documentation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(&'static str);

impl RuleId {
    /// The configuration is run as written. Not a control: the answer when every control is off.
    pub const VERBATIM: Self = Self("profile.verbatim");
    /// prctl(PR_SET_NO_NEW_PRIVS).
    pub const NO_NEW_PRIVILEGES: Self = Self("process.no-new-privileges");
    /// Upper bound of all five capability sets.
    pub const CAPABILITIES: Self = Self("capabilities.ceiling");
    /// No core dumps.
    pub const CORE: Self = Self("rlimits.core");
    /// The default system call filter.
    pub const SECCOMP: Self = Self("seccomp.default");
    /// An own mount namespace.
    pub const MOUNT_NAMESPACE: Self = Self("namespaces.mount");
    /// No propagation to the host.
    pub const PROPAGATION: Self = Self("mounts.shared-propagation");
    /// A read-only root file system.
    pub const READONLY_ROOT: Self = Self("root.readonly");
    /// Writable places in a root that was made read-only.
    pub const TMPFS: Self = Self("root.tmpfs");
    /// Hidden paths.
    pub const MASKED: Self = Self("paths.masked");
    /// Read-only paths.
    pub const READONLY_PATHS: Self = Self("paths.readonly");
    /// Task limit.
    pub const PIDS: Self = Self("pids.limit");
    /// Device access.
    pub const DEVICES: Self = Self("devices.cgroup");
    /// The configuration is what engines make of `--privileged`.
    pub const PRIVILEGED_BUNDLE: Self = Self("bundle.privileged");
    /// Not the host's network.
    pub const HOST_NETWORK: Self = Self("namespaces.host-network");
    /// Not the host's processes.
    pub const HOST_PID: Self = Self("namespaces.host-pid");
    /// Not the host's System V objects and message queues.
    pub const HOST_IPC: Self = Self("namespaces.host-ipc");
    /// Not the host's name.
    pub const HOST_UTS: Self = Self("namespaces.host-uts");
    /// Not the host's view of control groups.
    pub const HOST_CGROUP: Self = Self("namespaces.host-cgroup");
    /// No process runs as root.
    pub const ROOT_USER: Self = Self("process.root");
    /// A memory limit.
    pub const MEMORY: Self = Self("memory.limit");
    /// Of /proc, the processes only.
    pub const PROC_SUBSET: Self = Self("mounts.proc-subset");
    /// A user namespace with ids that nothing on the host belongs to.
    pub const USERNS: Self = Self("userns.auto");
    /// That user namespace or none.
    pub const USERNS_REQUIRED: Self = Self("userns.required");
    /// What of the host is bound.
    pub const SOURCES: Self = Self("mounts.sources");
    /// nosuid, nodev, noexec.
    pub const FLAGS: Self = Self("mounts.flags");
    /// Devices at all.
    pub const DEVICE_NODES: Self = Self("devices.nodes");
    /// Who may change a hook.
    pub const HOOKS: Self = Self("hooks.trusted");
    /// Which hooks.
    pub const HOOKS_ALLOW: Self = Self("hooks.allow");
    /// Who gets the terminal.
    pub const CONSOLE: Self = Self("console.peer");
    /// Which of the caller's descriptors.
    pub const DESCRIPTORS: Self = Self("process.preserved-fds");
    /// No groups of the caller's.
    pub const GROUPS: Self = Self("process.groups");
    /// A session keyring of the container's own.
    pub const KEYRING: Self = Self("process.keyring");
    /// Out of memory, all of a container's processes end together.
    pub const OOM_GROUP: Self = Self("memory.oom-group");
    /// Kernel parameters known to be safe.
    pub const SYSCTLS: Self = Self("sysctls.allowlist");
    /// The cgroup file system.
    pub const CGROUP_MOUNT: Self = Self("cgroup.readonly");
    /// Limits where the configuration has none.
    pub const RLIMITS: Self = Self("rlimits.defaults");
    /// oom_score_adj.
    pub const OOM_SCORE: Self = Self("oom.score");
    /// The host's core dump program.
    pub const CORE_PATTERN: Self = Self("process.core-pattern");
    /// The SELinux label.
    pub const SELINUX: Self = Self("selinux.label");
    /// An SELinux label where the configuration has none.
    pub const SELINUX_ASSIGN: Self = Self("selinux.assign");
    /// The AppArmor profile.
    pub const APPARMOR: Self = Self("apparmor.profile");
    /// Ids that the container does not map; no profile switches this off.
    pub const IDS: Self = Self("process.ids");
    /// A process added by `exec` keeps the container's security labels.
    pub const LABELS: Self = Self("process.labels");

    /// Nothing is written but where the container is meant to write, by Landlock.
    pub const LANDLOCK: Self = Self("landlock.layer");
    /// No user namespaces in the container's own.
    pub const NESTED_USERNS: Self = Self("userns.nested");

    /// The id as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl Serialize for RuleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

/// Only ids of the table: a record of another release may hold one that this one does not have.
impl<'de> Deserialize<'de> for RuleId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let found = super::Control::find(&text).map(|control| control.id);
        found.ok_or_else(|| D::Error::custom(format!("control {text:?} is unknown")))
    }
}
