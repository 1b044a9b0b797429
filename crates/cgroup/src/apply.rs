//! Writing [`Limits`] into a cgroup's files.
//!
//! Each family of limits is one function; the order between files matters where a comment says so. A file is
//! written only for a limit that is set. On an error some limits may have been written: the caller either throws the
//! cgroup away (create) or applies the old limits again (update).

use crate::convert;
use crate::error::{Error, Result};
use crate::files::Dir;
use crate::handle::Cgroup;
use crate::limits::{Cpu, DeviceWeight, Io, Limits, Memory};
use rustix::io::Errno;

impl Cgroup {
    /// Write `limits`. They must be valid ([`Limits::validate`]) and their controllers enabled.
    ///
    /// # Errors
    /// [`Error::Io`] names the file and the value that the kernel refused; [`Error::BadLimit`]: a
    /// memory limit below what is in use (`checkBeforeUpdate`), or an impossible swap limit. Limits
    /// written before stay.
    pub fn apply(&self, limits: &Limits) -> Result<()> {
        let dir = self.dir();
        // Cheap and certain ones first, so that a bad update is noticed before memory moves.
        apply_pids(&dir, limits.pids)?;
        apply_cpu(&dir, &limits.cpu)?;
        optional(&dir, "cpuset.cpus", nonempty(limits.cpuset.cpus.as_ref()))?;
        optional(&dir, "cpuset.mems", nonempty(limits.cpuset.mems.as_ref()))?;
        apply_io(&dir, &limits.io)?;
        apply_memory(&dir, &limits.memory)?;
        optional(&dir, "memory.oom.group", limits.oom_group.map(|on| u8::from(on).to_string()))?;
        apply_hugetlb(&dir, limits)?;
        apply_rdma(&dir, limits)?;
        // Last, because these override what was derived above.
        apply_unified(&dir, limits)
    }
}

fn optional(dir: &Dir<'_>, file: &str, value: Option<String>) -> Result<()> {
    value.map_or(Ok(()), |value| dir.write(file, &value))
}

/// Unlimited needs no controller: where there is no file, there is no limit. Where there is one, an earlier limit ends.
fn apply_pids(dir: &Dir<'_>, limit: Option<i64>) -> Result<()> {
    let written = optional(dir, "pids.max", convert::pids_max(limit));
    match written {
        Err(error) if limit.is_some_and(|limit| limit <= 0) && error.is_gone() => Ok(()),
        other => other,
    }
}

fn nonempty(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

fn apply_cpu(dir: &Dir<'_>, cpu: &Cpu) -> Result<()> {
    // Idle before weight: a cgroup in SCHED_IDLE refuses a weight (EINVAL), and one that is to become idle has none.
    optional(dir, "cpu.idle", cpu.idle.map(|idle| idle.to_string()))?;
    if cpu.idle != Some(1) {
        optional(dir, "cpu.weight", convert::cpu_weight(cpu.shares).map(|w| w.to_string()))?;
    }
    // A burst must not exceed the quota: lowering it goes before the quota, raising it after.
    let burst = cpu.burst.map(|burst| burst.to_string());
    let early = optional(dir, "cpu.max.burst", burst.clone());
    let retry = matches!(&early, Err(error) if error.errno() == Some(Errno::INVAL));
    if !retry {
        early?;
    }
    optional(dir, "cpu.max", convert::cpu_max(cpu.quota, cpu.period))?;
    if retry {
        optional(dir, "cpu.max.burst", burst)?;
    }
    Ok(())
}

fn apply_memory(dir: &Dir<'_>, memory: &Memory) -> Result<()> {
    check_usage(dir, memory)?;
    let swap = convert::swap_max(memory.limit, memory.swap)?;
    if let Some(swap) = swap {
        match dir.write("memory.swap.max", &swap) {
            // A kernel without swap accounting has no such file, and nothing that the file would forbid.
            Err(error)
                if error.errno() == Some(Errno::NOENT) && matches!(swap.as_str(), "max" | "0") => {}
            other => other?,
        }
    }
    optional(dir, "memory.max", convert::number(memory.limit))?;
    optional(dir, "memory.low", convert::number(memory.reservation))
}

/// checkBeforeUpdate: no limit below what is in use, for which the kernel would end processes.
fn check_usage(dir: &Dir<'_>, memory: &Memory) -> Result<()> {
    if !memory.check_before_update {
        return Ok(());
    }
    let in_use = |file: &str, found: String| {
        let number = found.trim().parse::<u64>();
        number.map_err(|_| Error::BadContent { path: dir.path.join(file), found })
    };
    let reject = |limit: &str, name: &str, bytes: u64, usage: u64| {
        Error::BadLimit {
        limit: format!("resources.memory.{limit}"),
        why: format!(
            "rejecting {name} limit of {bytes} bytes, below the current usage of {usage} (checkBeforeUpdate)"
        ),
    }
    };
    let set =
        |limit: Option<i64>| limit.and_then(|bytes| u64::try_from(bytes).ok()).filter(|n| *n > 0);
    let (limit, both) = (set(memory.limit), set(memory.swap));
    if limit.or(both).is_none() {
        return Ok(());
    }
    let usage = in_use("memory.current", dir.read("memory.current")?)?;
    if let Some(both) = both {
        // A kernel without swap accounting has no such file.
        let swap = dir.read_optional("memory.swap.current")?;
        let swap = swap.map_or(Ok(0), |text| in_use("memory.swap.current", text))?;
        if usage + swap > both {
            return Err(reject("swap", "memory+swap", both, usage + swap));
        }
    }
    match limit.filter(|limit| usage > *limit) {
        Some(limit) => Err(reject("limit", "memory", limit, usage)),
        None => Ok(()),
    }
}

fn apply_io(dir: &Dir<'_>, io: &Io) -> Result<()> {
    let weight = io.weight.filter(|weight| *weight != 0);
    if weight.is_some() || !io.weight_device.is_empty() {
        apply_io_weight(dir, weight, &io.weight_device)?;
    }
    for (key, rates) in io.rates() {
        for rate in rates {
            // The kernel answers ERANGE to 0; the specification's 0 takes a limit back.
            let value = if rate.rate == 0 { "max".to_owned() } else { rate.rate.to_string() };
            dir.write("io.max", &format!("{}:{} {key}={value}", rate.major, rate.minor))?;
        }
    }
    Ok(())
}

/// BFQ's file, where that scheduler is compiled in, takes the specification's weights as they are; io.weight has
/// its own scale.
fn apply_io_weight(dir: &Dir<'_>, weight: Option<u16>, devices: &[DeviceWeight]) -> Result<()> {
    let bfq = dir.has("io.bfq.weight")?;
    let file = if bfq { "io.bfq.weight" } else { "io.weight" };
    let scale = |weight: u16| {
        let scaled = if bfq { Some(weight.into()) } else { convert::io_weight(weight) };
        scaled.filter(|scaled| *scaled != 0).map_or("default".to_owned(), |w| w.to_string())
    };
    optional(dir, file, weight.map(scale))?;
    for device in devices {
        let line = format!("{}:{} {}", device.major, device.minor, scale(device.weight));
        dir.write(file, &line)?;
    }
    Ok(())
}

fn apply_hugetlb(dir: &Dir<'_>, limits: &Limits) -> Result<()> {
    for page in &limits.hugetlb {
        let value = page.limit.to_string();
        dir.write(&format!("hugetlb.{}.max", page.page_size), &value)?;
        // Reservations have their own counter since Linux 5.7.
        match dir.write(&format!("hugetlb.{}.rsvd.max", page.page_size), &value) {
            Err(error) if error.errno() == Some(Errno::NOENT) => {}
            other => other?,
        }
    }
    Ok(())
}

fn apply_rdma(dir: &Dir<'_>, limits: &Limits) -> Result<()> {
    for (device, rdma) in &limits.rdma {
        let handles = rdma.hca_handles.map(|n| format!(" hca_handle={n}")).unwrap_or_default();
        let objects = rdma.hca_objects.map(|n| format!(" hca_object={n}")).unwrap_or_default();
        dir.write("rdma.max", &format!("{device}{handles}{objects}"))?;
    }
    Ok(())
}

fn apply_unified(dir: &Dir<'_>, limits: &Limits) -> Result<()> {
    for (file, value) in &limits.unified {
        // Line by line: files like io.max take one device per write(2).
        for line in value.lines().filter(|line| !line.is_empty()) {
            dir.write(file, line)?;
        }
    }
    Ok(())
}
