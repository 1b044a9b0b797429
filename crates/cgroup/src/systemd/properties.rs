//! Limits and device rules as unit properties, so that systemd does not undo them and `systemctl show` tells the
//! truth. Pure functions; what has no property (huge pages, rdma, io) is written through the file system alone.

use super::wire::{Property, Value};
use crate::convert;
use crate::devices::{effective, DeviceKind, DeviceRule};
use crate::error::Result;
use crate::limits::{Cpu, Limits};

/// systemd's "no limit".
const INFINITY: u64 = u64::MAX;
/// Versions of systemd that learned a property (systemd.resource-control(5), NEWS).
const HAS_QUOTA_PERIOD: u32 = 242;
const HAS_CPUSETS: u32 = 244;
const HAS_CPU_IDLE: u32 = 252;
const HAS_SCOPE_OOM_POLICY: u32 = 253;

fn push(list: &mut Vec<Property>, name: &str, value: Value) {
    list.push((name.to_owned(), value));
}

/// Properties for `limits`, for the given version of systemd.
///
/// Errors: [`crate::Error::BadLimit`] for an impossible swap limit.
pub(super) fn of_limits(limits: &Limits, version: u32) -> Result<Vec<Property>> {
    let mut list = Vec::new();
    let memory = &limits.memory;
    push_number(&mut list, "MemoryMax", convert::number(memory.limit));
    push_number(&mut list, "MemoryLow", convert::number(memory.reservation));
    push_number(&mut list, "MemorySwapMax", convert::swap_max(memory.limit, memory.swap)?);
    of_cpu(&mut list, &limits.cpu, version);
    push_number(&mut list, "TasksMax", convert::pids_max(limits.pids));
    if version >= HAS_CPUSETS {
        push_set(&mut list, "AllowedCPUs", limits.cpuset.cpus.as_deref());
        push_set(&mut list, "AllowedMemoryNodes", limits.cpuset.mems.as_deref());
    }
    if let Some(group) = limits.oom_group {
        push_oom_policy(&mut list, group, version);
    }
    for (key, value) in &limits.unified {
        of_unified(&mut list, key, value.trim(), version);
    }
    Ok(list)
}

fn push_number(list: &mut Vec<Property>, name: &str, text: Option<String>) {
    let number = match text.as_deref() {
        None => return,
        Some("max") => INFINITY,
        Some(text) => match text.parse() {
            Ok(number) => number,
            Err(_) => return,
        },
    };
    push(list, name, Value::U64(number));
}

fn of_cpu(list: &mut Vec<Property>, cpu: &Cpu, version: u32) {
    if cpu.idle == Some(1) {
        if version >= HAS_CPU_IDLE {
            push(list, "CPUWeight", Value::U64(0));
        }
    } else if let Some(weight) = convert::cpu_weight(cpu.shares) {
        push(list, "CPUWeight", Value::U64(weight));
    }
    let (quota, period) = (cpu.quota.unwrap_or(0), cpu.period.unwrap_or(0));
    if period != 0 && version >= HAS_QUOTA_PERIOD {
        push(list, "CPUQuotaPeriodUSec", Value::U64(period));
    }
    if quota != 0 || period != 0 {
        push(list, "CPUQuotaPerSecUSec", Value::U64(quota_per_second(quota, period)));
    }
}

/// Microseconds of processor time per second, rounded up to the hundredth of a processor that systemd counts in.
fn quota_per_second(quota: i64, period: u64) -> u64 {
    const STEP: u64 = 10_000;
    if quota <= 0 {
        return INFINITY;
    }
    let period = if period == 0 { 100_000 } else { period };
    let exact = quota.unsigned_abs().saturating_mul(1_000_000) / period;
    exact.checked_next_multiple_of(STEP).unwrap_or(INFINITY)
}

/// What is no list the kernel refuses when it is written to the cgroup itself.
fn push_set(list: &mut Vec<Property>, name: &str, text: Option<&str>) {
    if let Some(bits) = text.filter(|text| !text.is_empty()).and_then(bit_set) {
        push(list, name, Value::Bytes(bits));
    }
}

/// A list such as `0-2,7` as a bit set, lowest number in the lowest bit of the first byte; `None` if it is no list.
fn bit_set(text: &str) -> Option<Vec<u8>> {
    const HIGHEST: usize = 8191;
    let mut bits = Vec::new();
    for part in text.trim().split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first > last || last > HIGHEST {
            return None;
        }
        bits.resize(bits.len().max(last / 8 + 1), 0);
        for number in first..=last {
            bits[number / 8] |= 1 << (number % 8);
        }
    }
    Some(bits)
}

fn push_oom_policy(list: &mut Vec<Property>, group: bool, version: u32) {
    if version >= HAS_SCOPE_OOM_POLICY {
        let policy = if group { "kill" } else { "continue" };
        push(list, "OOMPolicy", Value::Str(policy.to_owned()));
    }
}

fn of_unified(list: &mut Vec<Property>, key: &str, value: &str, version: u32) {
    let number = |list: &mut Vec<Property>, name| push_number(list, name, Some(value.to_owned()));
    match key {
        "memory.min" => number(list, "MemoryMin"),
        "memory.low" => number(list, "MemoryLow"),
        "memory.high" => number(list, "MemoryHigh"),
        "memory.max" => number(list, "MemoryMax"),
        "memory.swap.max" => number(list, "MemorySwapMax"),
        "pids.max" => number(list, "TasksMax"),
        "cpu.weight" => number(list, "CPUWeight"),
        "cpu.idle" if value == "1" && version >= HAS_CPU_IDLE => {
            push(list, "CPUWeight", Value::U64(0));
        }
        "cpu.max" => of_cpu_max(list, value, version),
        "memory.oom.group" => push_oom_policy(list, value == "1", version),
        "cpuset.cpus" if version >= HAS_CPUSETS => push_set(list, "AllowedCPUs", Some(value)),
        "cpuset.mems" if version >= HAS_CPUSETS => {
            push_set(list, "AllowedMemoryNodes", Some(value))
        }
        _ => {}
    }
}

/// `MAX PERIOD`, `MAX` or `max`: cgroup-v2.rst. What is none of these the kernel refuses.
fn of_cpu_max(list: &mut Vec<Property>, value: &str, version: u32) {
    let mut words = value.split_whitespace();
    let quota = match words.next() {
        Some("max") => Some(-1),
        word => word.and_then(|word| word.parse().ok()).filter(|quota| *quota > 0),
    };
    let period = words.next().map_or(Some(0), |word| word.parse().ok());
    if let (Some(quota), Some(period), None) = (quota, period, words.next()) {
        of_cpu(list, &Cpu { quota: Some(quota), period: Some(period), ..Cpu::default() }, version);
    }
}

/// Properties for device rules: a strict allow-list where systemd can express the rules, else none of its own
/// (our program on the same cgroup is in force either way).
pub(super) fn of_devices(rules: &[DeviceRule]) -> Vec<Property> {
    let (default, rules) = effective(rules);
    let entries: Option<Vec<(String, String)>> = match default {
        true => None,
        false => rules.iter().map(device_entries).collect::<Option<Vec<_>>>().map(|e| e.concat()),
    };
    let policy = if entries.is_some() { "strict" } else { "auto" };
    let mut list = Vec::new();
    push(&mut list, "DevicePolicy", Value::Str(policy.to_owned()));
    push(&mut list, "DeviceAllow", Value::Pairs(entries.unwrap_or_default()));
    list
}

fn device_entries(rule: &DeviceRule) -> Option<Vec<(String, String)>> {
    let kinds: &[&str] = match rule.kind {
        DeviceKind::Block => &["block"],
        DeviceKind::Char => &["char"],
        DeviceKind::All => &["block", "char"],
    };
    let name = |kind: &&str| match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => Some(format!("/dev/{kind}/{major}:{minor}")),
        (Some(major), None) => Some(format!("{kind}-{major}")),
        (None, None) => Some(format!("{kind}-*")),
        (None, Some(_)) => None,
    };
    if !rule.allow {
        return None;
    }
    kinds.iter().map(|kind| Some((name(kind)?, rule.access.to_string()))).collect()
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
