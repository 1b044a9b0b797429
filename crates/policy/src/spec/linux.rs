//! `linux`: namespaces, ids, devices, paths and labels (config-linux.md). Resources and seccomp have
//! their own modules.

use super::de::{
    is_default, map, maybe_object, non_empty, non_empty_enum, nullable, object_map, objects,
};
use super::mount::IdMapping;
use super::resources::Resources;
use super::seccomp::SeccompProfile;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The Linux part of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// User ids of the container's user namespace.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids of the container's user namespace.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub gid_mappings: Vec<IdMapping>,
    /// Kernel parameters, as written; `check::sysctl` says which are allowed and what they mean.
    #[serde(deserialize_with = "map", skip_serializing_if = "is_default")]
    pub sysctl: BTreeMap<String, String>,
    /// Limits; `None` where the bundle has none.
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where the container's cgroup goes; the form depends on the driver.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub cgroups_path: Option<String>,
    /// Namespaces to make or join, each kind at most once.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub namespaces: Vec<Namespace>,
    /// Device nodes beside the default ones.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub devices: Vec<Device>,
    /// Host network devices to move into the container, by host name.
    #[serde(deserialize_with = "object_map", skip_serializing_if = "is_default")]
    pub net_devices: BTreeMap<String, NetDevice>,
    /// System call filter.
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<SeccompProfile>,
    /// Propagation of the root mount.
    #[serde(deserialize_with = "non_empty_enum", skip_serializing_if = "Option::is_none")]
    pub rootfs_propagation: Option<Propagation>,
    /// Paths to hide.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub masked_paths: Vec<String>,
    /// Paths to make read-only.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub readonly_paths: Vec<String>,
    /// SELinux context of the mounts.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub mount_label: Option<String>,
    /// Intel Resource Director Technology.
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<IntelRdt>,
    /// NUMA policy, set_mempolicy(2).
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicy>,
    /// Execution domain, personality(2).
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub personality: Option<Personality>,
    /// Clock offsets of a new time namespace.
    #[serde(deserialize_with = "object_map", skip_serializing_if = "is_default")]
    pub time_offsets: BTreeMap<Clock, TimeOffset>,
}

/// One namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Kind.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// Join the one behind this path; `None` makes a new one.
    #[serde(default, deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// The eight kinds, namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// Process ids.
    Pid,
    /// Network stack.
    Network,
    /// Mount points.
    Mount,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// User and group ids.
    User,
    /// Cgroup root.
    Cgroup,
    /// Boot and monotonic clocks.
    Time,
}

impl NamespaceKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Pid,
        Self::Network,
        Self::Mount,
        Self::Ipc,
        Self::Uts,
        Self::User,
        Self::Cgroup,
        Self::Time,
    ];

    /// The name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::Network => "network",
            Self::Mount => "mount",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }
}

/// One device node, mknod(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Path in the container.
    pub path: String,
    /// Kind of node.
    #[serde(rename = "type")]
    pub kind: DeviceKind,
    /// Major number; not for a FIFO.
    #[serde(default, deserialize_with = "nullable")]
    pub major: i64,
    /// Minor number; not for a FIFO.
    #[serde(default, deserialize_with = "nullable")]
    pub minor: i64,
    /// Permission bits; 0666 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<u32>,
    /// Owner in the container; 0 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group in the container; 0 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}

/// Kinds of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// Character device.
    #[serde(rename = "c")]
    Char,
    /// Unbuffered character device: the same as `c` on Linux.
    #[serde(rename = "u")]
    Unbuffered,
    /// Block device.
    #[serde(rename = "b")]
    Block,
    /// FIFO.
    #[serde(rename = "p")]
    Fifo,
}

/// A host network device on its way into the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetDevice {
    /// Name inside, which may hold one `%d`; the host's name when not given.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Mount propagation, mount_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Both ways.
    Shared,
    /// Both ways, all mounts below.
    Rshared,
    /// From the host only.
    Slave,
    /// From the host only, all mounts below.
    Rslave,
    /// Not at all.
    Private,
    /// Not at all, all mounts below.
    Rprivate,
    /// Not at all, and not to be bind-mounted.
    Unbindable,
    /// The same, all mounts below.
    Runbindable,
}

/// Clocks that a time namespace can shift, time_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// CLOCK_MONOTONIC and its variants.
    Monotonic,
    /// CLOCK_BOOTTIME and its variant.
    Boottime,
}

/// How far a clock is shifted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeOffset {
    /// Seconds, may be negative.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub secs: i64,
    /// Nanoseconds, added; below 1 000 000 000.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub nanosecs: u32,
}

/// `linux.intelRdt`: read in full so that refusing it can be exact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntelRdt {
    /// Class of service.
    #[serde(
        rename = "closID",
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub clos_id: Option<String>,
    /// Lines for the `schemata` file.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub schemata: Vec<String>,
    /// L3 cache line of the `schemata` file.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub l3_cache_schema: Option<String>,
    /// Memory bandwidth line of the `schemata` file.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub mem_bw_schema: Option<String>,
    /// Make a monitoring group.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub enable_monitoring: bool,
}

/// `linux.memoryPolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPolicy {
    /// Mode.
    pub mode: MemoryPolicyMode,
    /// Node list, "0-3,7".
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub nodes: String,
    /// Mode flags.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub flags: Vec<MemoryPolicyFlag>,
}

/// set_mempolicy(2) modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MemoryPolicyMode {
    /// The kernel's.
    MpolDefault,
    /// One node first.
    MpolPreferred,
    /// Only these nodes.
    MpolBind,
    /// In turn over these nodes.
    MpolInterleave,
    /// The node of the CPU.
    MpolLocal,
    /// These nodes first.
    MpolPreferredMany,
    /// In turn, by weight.
    MpolWeightedInterleave,
}

/// set_mempolicy(2) mode flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MemoryPolicyFlag {
    /// Nodes are absolute.
    MpolFStaticNodes,
    /// Nodes are relative to the cpuset.
    MpolFRelativeNodes,
    /// With MPOL_BIND: let the kernel balance.
    MpolFNumaBalancing,
}

/// `linux.personality`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personality {
    /// Domain.
    pub domain: PersonalityDomain,
    /// None is defined by the specification; kept for a warning.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub flags: Vec<String>,
}

/// Execution domains that the specification allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PersonalityDomain {
    /// PER_LINUX.
    Linux,
    /// PER_LINUX32.
    Linux32,
}
