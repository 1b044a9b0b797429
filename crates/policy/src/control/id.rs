//! The ids of the controls.

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A control, by its stable name `family.name`: what policies, records and documents call it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ControlId {
    /// The configuration is run as written. Not a control: the answer when every control is off.
    Verbatim,
    /// prctl(PR_SET_NO_NEW_PRIVS).
    NoNewPrivileges,
    /// Upper bound of all five capability sets.
    Capabilities,
    /// No core dumps.
    CoreLimit,
    /// The default system call filter.
    DefaultSeccomp,
    /// An own mount namespace.
    MountNamespace,
    /// No propagation to the host.
    SharedPropagation,
    /// A read-only root file system.
    ReadonlyRoot,
    /// Writable places in a root that was made read-only.
    RootTmpfs,
    /// Hidden paths.
    MaskedPaths,
    /// Read-only paths.
    ReadonlyPaths,
    /// Task limit.
    PidsLimit,
    /// Device access.
    DeviceCgroup,
    /// The configuration is what engines make of `--privileged`.
    PrivilegedBundle,
    /// Not the host's network.
    HostNetwork,
    /// Not the host's processes.
    HostPid,
    /// Not the host's System V objects and message queues.
    HostIpc,
    /// Not the host's name.
    HostUts,
    /// Not the host's view of control groups.
    HostCgroup,
    /// No process runs as root.
    RootUser,
    /// A memory limit.
    MemoryLimit,
    /// Of /proc, the processes only.
    ProcSubset,
    /// A user namespace with ids that nothing on the host belongs to.
    AutoUserns,
    /// That user namespace or none.
    RequiredUserns,
    /// What of the host is bound.
    MountSources,
    /// nosuid, nodev, noexec.
    MountFlags,
    /// Devices at all.
    DeviceNodes,
    /// Who may change a hook.
    TrustedHooks,
    /// Which hooks.
    ListedHooks,
    /// Who gets the terminal.
    ConsolePeer,
    /// Which of the caller's descriptors.
    PreservedFds,
    /// No groups of the caller's.
    KeptGroups,
    /// A session keyring of the container's own.
    SessionKeyring,
    /// Out of memory, all of a container's processes end together.
    OomGroup,
    /// Kernel parameters known to be safe.
    Sysctls,
    /// The cgroup file system.
    CgroupMount,
    /// Limits where the configuration has none.
    DefaultRlimits,
    /// oom_score_adj.
    OomScore,
    /// The host's core dump program.
    CorePattern,
    /// The SELinux label.
    SelinuxLabel,
    /// An SELinux label where the configuration has none.
    SelinuxAssign,
    /// The AppArmor profile.
    ApparmorProfile,
    /// Ids that the container does not map; no profile switches this off.
    ExecIds,
    /// A process added by `exec` keeps the container's security labels.
    ExecLabels,
    /// Nothing is written but where the container is meant to write, by Landlock.
    Landlock,
    /// No user namespaces in the container's own.
    NestedUserns,
}

impl ControlId {
    /// Every id.
    pub const ALL: [Self; 46] = [
        Self::Verbatim,
        Self::NoNewPrivileges,
        Self::Capabilities,
        Self::CoreLimit,
        Self::DefaultSeccomp,
        Self::MountNamespace,
        Self::SharedPropagation,
        Self::ReadonlyRoot,
        Self::RootTmpfs,
        Self::MaskedPaths,
        Self::ReadonlyPaths,
        Self::PidsLimit,
        Self::DeviceCgroup,
        Self::PrivilegedBundle,
        Self::HostNetwork,
        Self::HostPid,
        Self::HostIpc,
        Self::HostUts,
        Self::HostCgroup,
        Self::RootUser,
        Self::MemoryLimit,
        Self::ProcSubset,
        Self::AutoUserns,
        Self::RequiredUserns,
        Self::MountSources,
        Self::MountFlags,
        Self::DeviceNodes,
        Self::TrustedHooks,
        Self::ListedHooks,
        Self::ConsolePeer,
        Self::PreservedFds,
        Self::KeptGroups,
        Self::SessionKeyring,
        Self::OomGroup,
        Self::Sysctls,
        Self::CgroupMount,
        Self::DefaultRlimits,
        Self::OomScore,
        Self::CorePattern,
        Self::SelinuxLabel,
        Self::SelinuxAssign,
        Self::ApparmorProfile,
        Self::ExecIds,
        Self::ExecLabels,
        Self::Landlock,
        Self::NestedUserns,
    ];

    /// The id as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verbatim => "profile.verbatim",
            Self::NoNewPrivileges => "process.no-new-privileges",
            Self::Capabilities => "capabilities.ceiling",
            Self::CoreLimit => "rlimits.core",
            Self::DefaultSeccomp => "seccomp.default",
            Self::MountNamespace => "namespaces.mount",
            Self::SharedPropagation => "mounts.shared-propagation",
            Self::ReadonlyRoot => "root.readonly",
            Self::RootTmpfs => "root.tmpfs",
            Self::MaskedPaths => "paths.masked",
            Self::ReadonlyPaths => "paths.readonly",
            Self::PidsLimit => "pids.limit",
            Self::DeviceCgroup => "devices.cgroup",
            Self::PrivilegedBundle => "bundle.privileged",
            Self::HostNetwork => "namespaces.host-network",
            Self::HostPid => "namespaces.host-pid",
            Self::HostIpc => "namespaces.host-ipc",
            Self::HostUts => "namespaces.host-uts",
            Self::HostCgroup => "namespaces.host-cgroup",
            Self::RootUser => "process.root",
            Self::MemoryLimit => "memory.limit",
            Self::ProcSubset => "mounts.proc-subset",
            Self::AutoUserns => "userns.auto",
            Self::RequiredUserns => "userns.required",
            Self::MountSources => "mounts.sources",
            Self::MountFlags => "mounts.flags",
            Self::DeviceNodes => "devices.nodes",
            Self::TrustedHooks => "hooks.trusted",
            Self::ListedHooks => "hooks.allow",
            Self::ConsolePeer => "console.peer",
            Self::PreservedFds => "process.preserved-fds",
            Self::KeptGroups => "process.groups",
            Self::SessionKeyring => "process.keyring",
            Self::OomGroup => "memory.oom-group",
            Self::Sysctls => "sysctls.allowlist",
            Self::CgroupMount => "cgroup.readonly",
            Self::DefaultRlimits => "rlimits.defaults",
            Self::OomScore => "oom.score",
            Self::CorePattern => "process.core-pattern",
            Self::SelinuxLabel => "selinux.label",
            Self::SelinuxAssign => "selinux.assign",
            Self::ApparmorProfile => "apparmor.profile",
            Self::ExecIds => "process.ids",
            Self::ExecLabels => "process.labels",
            Self::Landlock => "landlock.layer",
            Self::NestedUserns => "userns.nested",
        }
    }

    /// The id that is written so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.as_str() == text)
    }
}

impl fmt::Debug for ControlId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for ControlId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for ControlId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Only ids that this release has: a record of another release may hold one that it does not.
impl<'de> Deserialize<'de> for ControlId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("control {text:?} is unknown")))
    }
}
