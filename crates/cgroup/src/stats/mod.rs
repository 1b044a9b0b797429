//! What a cgroup uses, in the shape that `events --stats` prints.
//!
//! [`Stats`] is the shape (names and units of runc's output, which its callers parse, most of them from cgroup v1
//! days); `read` fills it from cgroup v2 files. A file that is not there, because its controller is not enabled,
//! leaves zeros.

mod read;

use serde::Serialize;
use std::collections::BTreeMap;

/// Usage of one cgroup at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Processors and memory nodes in effect.
    pub cpuset: CpusetStats,
    /// Memory and swap.
    pub memory: MemoryStats,
    /// Tasks.
    pub pids: PidsStats,
    /// Block devices.
    pub blkio: BlkioStats,
    /// Huge pages, by page size.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
    /// Always empty: nothing is read from resctrl.
    pub intel_rdt: BTreeMap<String, u64>,
    /// Filled by the caller, who knows the container's network namespace.
    pub network_interfaces: Vec<NetworkInterface>,
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CpuStats {
    /// Time used.
    pub usage: CpuUsage,
    /// Effect of the quota.
    pub throttling: Throttling,
    /// Stall information, if the kernel has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// Nanoseconds of processor time; the per-processor lists of cgroup v1 are left out when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuUsage {
    /// All of it.
    pub total: u64,
    /// cgroup v1 only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// cgroup v1 only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// cgroup v1 only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// In user mode.
    pub user: u64,
}

/// Effect of cpu.max.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods that have passed.
    pub periods: u64,
    /// Those in which the quota ran out.
    pub throttled_periods: u64,
    /// Nanoseconds waited.
    pub throttled_time: u64,
}

/// Pressure stall information (Documentation/accounting/psi.rst).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Psi {
    /// At least one task stalled.
    pub some: PsiLine,
    /// All tasks stalled.
    pub full: PsiLine,
}

/// Percent of time stalled over the last seconds, and microseconds in all.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PsiLine {
    /// Over 10 s.
    pub avg10: f64,
    /// Over 60 s.
    pub avg60: f64,
    /// Over 300 s.
    pub avg300: f64,
    /// Since the cgroup was made, microseconds.
    pub total: u64,
}

/// Processors and memory nodes; the numbers are cgroup v1's and stay zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct CpusetStats {
    /// Processors in effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    /// Memory nodes in effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// Memory, bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemoryStats {
    /// Page cache.
    pub cache: u64,
    /// Memory.
    pub usage: MemoryEntry,
    /// Memory plus swap, as cgroup v1 counted and callers expect.
    pub swap: MemoryEntry,
    /// cgroup v1 only.
    pub kernel: MemoryEntry,
    /// cgroup v1 only.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// memory.stat as it is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// Stall information, if the kernel has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// One kind of memory, bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEntry {
    /// Limit; the largest number when there is none.
    pub limit: u64,
    /// Now.
    pub usage: u64,
    /// Highest so far (Linux 5.19), else 0.
    pub max: u64,
    /// How often the limit was met.
    pub failcnt: u64,
}

/// Tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// Limit; 0 when there is none.
    pub limit: u64,
}

/// Block devices. Only the first two lists exist in cgroup v2.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct BlkioStats {
    /// Bytes, by device and operation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    /// Operations, by device and operation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_queue_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlkioEntry>,
    /// Stall information, if the kernel has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// One number of one block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlkioEntry {
    /// Device number.
    pub major: u64,
    /// Device number.
    pub minor: u64,
    /// `Read`, `Write` or `Discard`.
    pub op: String,
    /// Bytes or operations.
    pub value: u64,
}

/// Huge pages of one size, bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HugetlbStats {
    /// Now.
    pub usage: u64,
    /// Not in cgroup v2: 0.
    pub max: u64,
    /// How often the limit was met.
    pub failcnt: u64,
}

/// Counters of one network interface of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct NetworkInterface {
    pub name: String,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_the_one_that_callers_parse() {
        let stats = Stats {
            memory: MemoryStats { kernel_tcp: MemoryEntry::default(), ..MemoryStats::default() },
            network_interfaces: vec![NetworkInterface::default()],
            ..Stats::default()
        };
        let json = serde_json::to_value(&stats).unwrap();
        for pointer in [
            "/cpu/usage/total",
            "/cpu/throttling/throttledPeriods",
            "/cpuset/sched_relax_domain_level",
            "/memory/kernelTCP/failcnt",
            "/memory/usage/limit",
            "/pids/current",
            "/hugetlb",
            "/intel_rdt",
            "/network_interfaces/0/RxBytes",
        ] {
            assert!(json.pointer(pointer).is_some(), "{pointer} is missing in {json}");
        }
        assert!(json.pointer("/cpu/psi").is_none());
        assert!(json.pointer("/cpu/usage/percpu").is_none());
    }

    #[test]
    fn block_device_lists_have_their_callers_names() {
        let entry = BlkioEntry { major: 8, minor: 0, op: "Read".into(), value: 1 };
        let blkio = BlkioStats {
            io_service_bytes_recursive: vec![entry.clone()],
            io_serviced_recursive: vec![entry],
            ..BlkioStats::default()
        };
        let json = serde_json::to_value(&blkio).unwrap();
        assert_eq!(json["ioServiceBytesRecursive"][0]["op"], "Read");
        assert!(json["ioServicedRecursive"].is_array());
    }
}
