//! Limits as plain data: what a container may use, in the units of the OCI runtime specification.
//!
//! Values are kept as the specification states them (shares, memory+swap, quota); conversion to cgroup v2 is in
//! [`crate::convert`], writing in `apply`. `None` always means "leave alone". The type is serialisable because the
//! limits last applied must be stored: an update names only what changes.

use crate::controllers::Controllers;
use crate::convert;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Limits of one cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory and swap.
    pub memory: Memory,
    /// Processor time.
    pub cpu: Cpu,
    /// Processors and memory nodes that may be used.
    pub cpuset: Cpuset,
    /// Block devices.
    pub io: Io,
    /// Number of tasks; negative: unlimited; zero is a limit too.
    pub pids: Option<i64>,
    /// Huge pages, per page size.
    pub hugetlb: Vec<Hugetlb>,
    /// RDMA resources, by device name.
    pub rdma: BTreeMap<String, Rdma>,
    /// File name to content, written as they are, after everything else.
    pub unified: BTreeMap<String, String>,
    /// Kill all processes of the cgroup together when memory runs out (memory.oom.group).
    pub oom_group: Option<bool>,
}

/// Memory limits, bytes. Negative means unlimited, zero is the same as `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Hard limit.
    pub limit: Option<i64>,
    /// Amount protected from reclaim (memory.low).
    pub reservation: Option<i64>,
    /// Hard limit of memory *plus* swap, as the specification counts.
    pub swap: Option<i64>,
    /// Refuse a new `limit` below the current usage instead of provoking the OOM killer.
    pub check_before_update: bool,
}

/// Processor limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Relative weight on the version 1 scale of 2 to 262144; 0 is the same as `None`.
    pub shares: Option<u64>,
    /// Microseconds of processor time per period; negative: unlimited; 0 is the same as `None`.
    pub quota: Option<i64>,
    /// Length of the period in microseconds; 0 is the same as `None`.
    pub period: Option<u64>,
    /// Microseconds that may be saved up beyond the quota.
    pub burst: Option<u64>,
    /// 1: scheduled only when nothing else wants to run (SCHED_IDLE); 0: normal.
    pub idle: Option<i64>,
}

/// Lists in the format of cpuset(7), e.g. `0-2,7`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpuset {
    /// Processors.
    pub cpus: Option<String>,
    /// Memory nodes.
    pub mems: Option<String>,
}

/// Block device limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Io {
    /// Relative weight, 10 to 1000; 0 is the same as `None`.
    pub weight: Option<u16>,
    /// Weights for single devices.
    pub weight_device: Vec<DeviceWeight>,
    /// Bytes read per second.
    pub read_bps: Vec<DeviceRate>,
    /// Bytes written per second.
    pub write_bps: Vec<DeviceRate>,
    /// Read operations per second.
    pub read_iops: Vec<DeviceRate>,
    /// Write operations per second.
    pub write_iops: Vec<DeviceRate>,
}

/// Weight of one block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceWeight {
    /// Device number.
    pub major: u32,
    /// Device number.
    pub minor: u32,
    /// 10 to 1000; 0 takes the device's own weight back.
    pub weight: u16,
}

/// Rate limit of one block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRate {
    /// Device number.
    pub major: u32,
    /// Device number.
    pub minor: u32,
    /// Bytes or operations per second; 0 takes the limit back.
    pub rate: u64,
}

/// Limit for one huge page size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hugetlb {
    /// As in the file name: `2MB`, `1GB`.
    pub page_size: String,
    /// Bytes, for use and for reservation.
    pub limit: u64,
}

/// Limits of one RDMA device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rdma {
    /// Handles.
    pub hca_handles: Option<u32>,
    /// Objects.
    pub hca_objects: Option<u32>,
}

impl Memory {
    fn is_set(&self) -> bool {
        [self.limit, self.reservation, self.swap].iter().any(|value| value.unwrap_or(0) != 0)
    }
}

impl Cpu {
    fn is_set(&self) -> bool {
        self.shares.unwrap_or(0) != 0
            || self.quota.unwrap_or(0) != 0
            || self.period.unwrap_or(0) != 0
            || self.burst.is_some()
            || self.idle.is_some()
    }
}

impl Cpuset {
    fn is_set(&self) -> bool {
        [&self.cpus, &self.mems].iter().any(|list| list.as_deref().is_some_and(|l| !l.is_empty()))
    }
}

impl Io {
    /// The four lists of rates with the keys that io.max has for them.
    pub(crate) fn rates(&self) -> [(&'static str, &[DeviceRate]); 4] {
        [
            ("rbps", &self.read_bps),
            ("wbps", &self.write_bps),
            ("riops", &self.read_iops),
            ("wiops", &self.write_iops),
        ]
    }

    fn is_set(&self) -> bool {
        self.weight.unwrap_or(0) != 0
            || !self.weight_device.is_empty()
            || self.rates().iter().any(|(_, list)| !list.is_empty())
    }
}

impl Limits {
    /// Whether nothing at all is limited.
    pub fn is_empty(&self) -> bool {
        self.needed_controllers().is_empty() && self.unified.is_empty()
    }

    /// The controllers that these limits need, each with the limit that needs it first.
    pub fn needed_controllers(&self) -> Controllers {
        let mut set = Controllers::none();
        let fixed = [
            (self.memory.is_set(), "memory", "resources.memory"),
            (self.oom_group.is_some(), "memory", "memory.oom.group"),
            (self.cpu.is_set(), "cpu", "resources.cpu"),
            (self.cpuset.is_set(), "cpuset", "resources.cpu.cpus/mems"),
            (self.io.is_set(), "io", "resources.blockIO"),
            // Unlimited is what a cgroup without the controller is.
            (self.pids.is_some_and(|limit| limit > 0), "pids", "resources.pids.limit"),
            (!self.hugetlb.is_empty(), "hugetlb", "resources.hugepageLimits"),
            (!self.rdma.is_empty(), "rdma", "resources.rdma"),
        ];
        for (_, controller, limit) in fixed.iter().filter(|(set, _, _)| *set) {
            set.need(*controller, *limit);
        }
        for key in self.unified.keys() {
            match key.split('.').next().unwrap_or_default() {
                // Files of the core, there in every cgroup.
                "cgroup" => {}
                controller => set.need(controller.to_owned(), format!("resources.unified {key:?}")),
            }
        }
        set
    }

    /// Check everything that can be checked without the kernel.
    ///
    /// # Errors
    /// [`Error::BadLimit`] for the first one found.
    pub fn validate(&self) -> Result<()> {
        convert::swap_max(self.memory.limit, self.memory.swap)?;
        if self.cpu.idle.is_some_and(|idle| !(0..=1).contains(&idle)) {
            return Err(bad("resources.cpu.idle", "must be 0 or 1"));
        }
        self.validate_io()?;
        self.validate_names()?;
        self.unified.iter().try_for_each(|(key, value)| check_unified(key, value))
    }

    fn validate_io(&self) -> Result<()> {
        let single = self.io.weight_device.iter().map(|device| device.weight);
        for weight in self.io.weight.into_iter().chain(single).filter(|weight| *weight != 0) {
            if !(10..=1000).contains(&weight) {
                return Err(bad(
                    "resources.blockIO.weight",
                    format!("{weight} is not in 10..1000"),
                ));
            }
        }
        Ok(())
    }

    fn validate_names(&self) -> Result<()> {
        for list in [&self.cpuset.cpus, &self.cpuset.mems].into_iter().flatten() {
            if !list.chars().all(|c| c.is_ascii_digit() || "-,: \n".contains(c)) {
                return Err(bad("resources.cpu.cpus/mems", format!("{list:?} is no list")));
            }
        }
        for Hugetlb { page_size, .. } in &self.hugetlb {
            if !is_page_size(page_size) {
                return Err(bad(
                    "resources.hugepageLimits",
                    format!("{page_size:?} is no page size like \"2MB\""),
                ));
            }
        }
        for name in self.rdma.keys() {
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(bad("resources.rdma", format!("{name:?} is no device name")));
            }
        }
        Ok(())
    }

    /// These limits with those that `update` names in place of the old ones: the semantics of `update`.
    ///
    /// Absent values stay; a single one of quota and period keeps the other; an unlimited memory without a swap value
    /// lifts the swap limit too; `idle` without shares resets the weight; per-device entries are replaced by device
    /// number; `unified` keys are replaced one by one; huge page limits are ignored, because callers send their
    /// whole resource object and a page limit cannot be lowered below use.
    pub fn merge(&self, update: &Self) -> Self {
        let mut merged = self.clone();
        merge_memory(&mut merged.memory, &update.memory);
        merge_cpu(&mut merged.cpu, &update.cpu);
        merge_text(&mut merged.cpuset.cpus, update.cpuset.cpus.as_ref());
        merge_text(&mut merged.cpuset.mems, update.cpuset.mems.as_ref());
        merge_io(&mut merged.io, &update.io);
        merged.pids = update.pids.or(merged.pids);
        merged.oom_group = update.oom_group.or(merged.oom_group);
        merged.rdma.extend(update.rdma.clone());
        merged.unified.extend(update.unified.clone());
        merged
    }
}

fn nonzero_i64(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value != 0)
}

fn nonzero_u64(value: Option<u64>) -> Option<u64> {
    value.filter(|value| *value != 0)
}

fn merge_memory(old: &mut Memory, new: &Memory) {
    let limit = nonzero_i64(new.limit);
    let lifted = limit.filter(|limit| *limit < 0);
    old.swap = nonzero_i64(new.swap).or(lifted).or(old.swap);
    old.limit = limit.or(old.limit);
    old.reservation = nonzero_i64(new.reservation).or(old.reservation);
    // A property of this update, not of the container.
    old.check_before_update = new.check_before_update;
}

fn merge_cpu(old: &mut Cpu, new: &Cpu) {
    let shares = nonzero_u64(new.shares);
    // Leaving SCHED_IDLE gives a cgroup the default weight; the stored shares would be a lie.
    let kept = old.shares.filter(|_| new.idle.is_none());
    old.shares = shares.or(kept);
    old.quota = nonzero_i64(new.quota).or(old.quota);
    old.period = nonzero_u64(new.period).or(old.period);
    old.burst = new.burst.or(old.burst);
    old.idle = new.idle.or(old.idle);
}

fn merge_text(old: &mut Option<String>, new: Option<&String>) {
    if let Some(new) = new.filter(|new| !new.is_empty()) {
        *old = Some(new.clone());
    }
}

fn merge_io(old: &mut Io, new: &Io) {
    old.weight = new.weight.filter(|weight| *weight != 0).or(old.weight);
    upsert(&mut old.weight_device, &new.weight_device, |d| (d.major, d.minor));
    let number = |d: &DeviceRate| (d.major, d.minor);
    upsert(&mut old.read_bps, &new.read_bps, number);
    upsert(&mut old.write_bps, &new.write_bps, number);
    upsert(&mut old.read_iops, &new.read_iops, number);
    upsert(&mut old.write_iops, &new.write_iops, number);
}

/// New entries in place of all old ones of the same device: a configuration may name one twice, and the last one counts.
fn upsert<T: Clone>(old: &mut Vec<T>, new: &[T], key: impl Fn(&T) -> (u32, u32)) {
    old.retain(|known| new.iter().all(|entry| key(entry) != key(known)));
    old.extend_from_slice(new);
}

fn bad(limit: impl Into<String>, why: impl Into<String>) -> Error {
    Error::BadLimit { limit: limit.into(), why: why.into() }
}

fn is_page_size(text: &str) -> bool {
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| text.strip_suffix(unit));
    number.is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
}

/// Files of the core that are no limits: writing them moves, kills or stops processes.
const NO_LIMITS: [&str; 6] = [
    "cgroup.procs",
    "cgroup.threads",
    "cgroup.kill",
    "cgroup.freeze",
    "cgroup.type",
    "cgroup.subtree_control",
];

fn check_unified(key: &str, value: &str) -> Result<()> {
    let limit = format!("resources.unified {key:?}");
    if key.contains(['/', '\0']) {
        return Err(bad(limit, "a file name, not a path, is wanted"));
    }
    let controller = key.split('.').next().unwrap_or_default();
    if controller.is_empty() || controller.len() == key.len() || key.contains(char::is_whitespace) {
        return Err(bad(limit, "expected the form \"controller.file\""));
    }
    if NO_LIMITS.contains(&key) {
        return Err(bad(limit, "is not a limit"));
    }
    if value.contains('\0') {
        return Err(bad(limit, "the value contains a NUL"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
