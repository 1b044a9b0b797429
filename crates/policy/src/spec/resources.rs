//! `linux.resources`: limits as the bundle or `update` gives them (config-linux.md, "Control groups").
//!
//! A field that is `None` is not touched. Conversion to cgroup v2 files is not done here.

use super::de::{
    is_default, map, maybe_object, non_empty, non_empty_enum, nullable, object, object_map, objects,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Device access rules; a later one wins over an earlier one.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub devices: Vec<DeviceRule>,
    /// Memory.
    #[serde(deserialize_with = "object", skip_serializing_if = "is_default")]
    pub memory: Memory,
    /// Processor time.
    #[serde(deserialize_with = "object", skip_serializing_if = "is_default")]
    pub cpu: Cpu,
    /// Number of tasks.
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub pids: Option<Pids>,
    /// Block devices.
    #[serde(rename = "blockIO", deserialize_with = "object", skip_serializing_if = "is_default")]
    pub block_io: BlockIo,
    /// Huge pages.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub hugepage_limits: Vec<HugepageLimit>,
    /// Network classes; cgroup v1 only.
    #[serde(deserialize_with = "object", skip_serializing_if = "is_default")]
    pub network: Network,
    /// RDMA, by device.
    #[serde(deserialize_with = "object_map", skip_serializing_if = "is_default")]
    pub rdma: BTreeMap<String, Rdma>,
    /// cgroup v2 files by name.
    #[serde(deserialize_with = "map", skip_serializing_if = "is_default")]
    pub unified: BTreeMap<String, String>,
}

/// One device access rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRule {
    /// Allow or deny.
    #[serde(deserialize_with = "nullable")]
    pub allow: bool,
    /// Kind; `None` means all, like `a`.
    #[serde(
        rename = "type",
        deserialize_with = "non_empty_enum",
        skip_serializing_if = "Option::is_none"
    )]
    pub kind: Option<DeviceRuleKind>,
    /// Major number; `None` or -1 means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    /// Minor number; `None` or -1 means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Some of `r`, `w`, `m`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub access: String,
}

impl DeviceRule {
    /// Whether a letter of `access` means anything.
    pub(crate) fn is_access(letter: char) -> bool {
        matches!(letter, 'r' | 'w' | 'm')
    }
}

/// What a device rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceRuleKind {
    /// Both kinds.
    #[serde(rename = "a")]
    All,
    /// Character devices.
    #[serde(rename = "c")]
    Char,
    /// Block devices.
    #[serde(rename = "b")]
    Block,
}

/// Memory limits, bytes; -1 means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Hard limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Soft limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<i64>,
    /// Memory and swap together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<i64>,
    /// Kernel memory; deprecated, ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<i64>,
    /// Kernel memory of TCP; deprecated, ignored.
    #[serde(rename = "kernelTCP", skip_serializing_if = "Option::is_none")]
    pub kernel_tcp: Option<i64>,
    /// Willingness to swap, 0 to 100; cgroup v1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swappiness: Option<u64>,
    /// Turn off the OOM killer; cgroup v1 only.
    #[serde(
        rename = "disableOOMKiller",
        deserialize_with = "nullable",
        skip_serializing_if = "is_default"
    )]
    pub disable_oom_killer: bool,
    /// Account hierarchically; cgroup v2 always does.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub use_hierarchy: bool,
    /// Refuse a limit below the present use.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub check_before_update: bool,
}

/// Processor limits; times in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cpu {
    /// Relative weight, 2 to 262144; 0 leaves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// Time per period; 0 or less means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<i64>,
    /// What may be saved up beyond the quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// Length of the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// Real-time part; cgroup v1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_runtime: Option<i64>,
    /// Real-time part; cgroup v1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_period: Option<u64>,
    /// CPU list, "0-3,7".
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// Memory node list.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub mems: Option<String>,
    /// 1 puts the cgroup into SCHED_IDLE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<i64>,
}

/// Task limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pids {
    /// Most tasks at one time; `None` leaves the limit, -1 means unlimited, 0 forbids every fork.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// Block device limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockIo {
    /// Relative weight, 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Weight against child cgroups; cgroup v1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u16>,
    /// Weights by device.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub weight_device: Vec<WeightDevice>,
    /// Reads, bytes per second.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub throttle_read_bps_device: Vec<ThrottleDevice>,
    /// Writes, bytes per second.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub throttle_write_bps_device: Vec<ThrottleDevice>,
    /// Reads, operations per second.
    #[serde(
        rename = "throttleReadIOPSDevice",
        deserialize_with = "objects",
        skip_serializing_if = "is_default"
    )]
    pub throttle_read_iops_device: Vec<ThrottleDevice>,
    /// Writes, operations per second.
    #[serde(
        rename = "throttleWriteIOPSDevice",
        deserialize_with = "objects",
        skip_serializing_if = "is_default"
    )]
    pub throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// Weight of one block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightDevice {
    /// Major number.
    #[serde(deserialize_with = "nullable")]
    pub major: i64,
    /// Minor number.
    #[serde(deserialize_with = "nullable")]
    pub minor: i64,
    /// Relative weight, 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Weight against child cgroups; cgroup v1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u16>,
}

/// Rate of one block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThrottleDevice {
    /// Major number.
    #[serde(deserialize_with = "nullable")]
    pub major: i64,
    /// Minor number.
    #[serde(deserialize_with = "nullable")]
    pub minor: i64,
    /// Bytes or operations per second.
    #[serde(deserialize_with = "nullable")]
    pub rate: u64,
}

/// Limit for one size of huge pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HugepageLimit {
    /// "64KB", "2MB", "1GB".
    #[serde(deserialize_with = "nullable")]
    pub page_size: String,
    /// Bytes.
    #[serde(deserialize_with = "nullable")]
    pub limit: u64,
}

/// Network classes; cgroup v1 only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Class of the container's packets.
    #[serde(rename = "classID", skip_serializing_if = "Option::is_none")]
    pub class_id: Option<u32>,
    /// Priorities by interface.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub priorities: Vec<InterfacePriority>,
}

/// Priority of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InterfacePriority {
    /// Interface.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Priority.
    #[serde(deserialize_with = "nullable")]
    pub priority: u32,
}

/// Limits of one RDMA device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rdma {
    /// Open handles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hca_handles: Option<u32>,
    /// Objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hca_objects: Option<u32>,
}
