//! `linux.resources` to the limits of the cgroup crate: the same numbers under that crate's names.

use anyhow::{Context, Result};
use casemate_cgroup::limits::{Cpu, Cpuset, DeviceRate, DeviceWeight, Hugetlb, Io, Memory, Rdma};
use casemate_cgroup::Limits;
use casemate_policy::spec::{BlockIo, Resources, ThrottleDevice, WeightDevice};

/// Lower the limits; device rules have their own way.
///
/// # Errors
/// A device number in `blockIO` that is negative or too large.
pub fn limits(resources: Option<&Resources>) -> Result<Limits> {
    let Some(r) = resources else { return Ok(Limits::default()) };
    Ok(Limits {
        memory: Memory {
            limit: r.memory.limit,
            reservation: r.memory.reservation,
            swap: r.memory.swap,
            check_before_update: r.memory.check_before_update,
        },
        cpu: Cpu {
            shares: r.cpu.shares,
            quota: r.cpu.quota,
            period: r.cpu.period,
            burst: r.cpu.burst,
            idle: r.cpu.idle,
        },
        cpuset: Cpuset { cpus: r.cpu.cpus.clone(), mems: r.cpu.mems.clone() },
        io: io(&r.block_io).context("linux.resources.blockIO")?,
        pids: r.pids.as_ref().and_then(|pids| pids.limit),
        hugetlb: r
            .hugepage_limits
            .iter()
            .map(|h| Hugetlb { page_size: h.page_size.clone(), limit: h.limit })
            .collect(),
        rdma: r
            .rdma
            .iter()
            .map(|(name, d)| {
                (name.clone(), Rdma { hca_handles: d.hca_handles, hca_objects: d.hca_objects })
            })
            .collect(),
        unified: r.unified.clone(),
        oom_group: None,
    })
}

fn io(block: &BlockIo) -> Result<Io> {
    let rates = |list: &[ThrottleDevice]| {
        list.iter()
            .map(|d| {
                Ok(DeviceRate {
                    major: d.major.try_into()?,
                    minor: d.minor.try_into()?,
                    rate: d.rate,
                })
            })
            .collect::<Result<Vec<_>>>()
    };
    let weight = |d: &WeightDevice| {
        Ok(DeviceWeight {
            major: d.major.try_into()?,
            minor: d.minor.try_into()?,
            weight: d.weight.unwrap_or(0),
        })
    };
    Ok(Io {
        weight: block.weight,
        weight_device: block.weight_device.iter().map(weight).collect::<Result<Vec<_>>>()?,
        read_bps: rates(&block.throttle_read_bps_device)?,
        write_bps: rates(&block.throttle_write_bps_device)?,
        read_iops: rates(&block.throttle_read_iops_device)?,
        write_iops: rates(&block.throttle_write_iops_device)?,
    })
}
