//! Limits: what no cgroup would take. Relations between limits and the kernel's present values are
//! judged where they are applied.

use super::lists;
use crate::spec::{BlockIo, Cpu, DeviceRule, Memory, Resources, SpecError, Warning};

pub(super) fn check(limits: &Resources) -> Result<(), SpecError> {
    for (i, rule) in limits.devices.iter().enumerate() {
        device_rule(rule).map_err(|(field, message)| {
            SpecError::new(format!("linux.resources.devices[{i}].{field}"), message)
        })?;
    }
    let below = |(field, message): (&str, String)| {
        SpecError::new(format!("linux.resources.{field}"), message)
    };
    memory(&limits.memory).map_err(below)?;
    cpu(&limits.cpu).map_err(below)?;
    block_io(&limits.block_io).map_err(below)?;
    if limits.pids.and_then(|pids| pids.limit).is_some_and(|limit| limit < -1) {
        return Err(below(("pids.limit", "must be -1 (unlimited) or more".to_owned())));
    }
    for (i, limit) in limits.hugepage_limits.iter().enumerate() {
        if !is_page_size(&limit.page_size) {
            let path = format!("linux.resources.hugepageLimits[{i}].pageSize");
            let message = format!("{:?} is not a page size like \"2MB\"", limit.page_size);
            return Err(SpecError::new(path, message));
        }
    }
    names("unified", limits.unified.keys())?;
    names("rdma", limits.rdma.keys())
}

/// Letters of a device rule that mean nothing, beside some that do. As for runc the rule is about the others.
pub(super) fn useless_access(limits: &Resources, warnings: &mut Vec<Warning>) {
    for (i, rule) in limits.devices.iter().enumerate() {
        if rule.access.contains(|letter| !DeviceRule::is_access(letter)) {
            let message =
                format!("{:?} is not made of r, w and m; what is not is ignored", rule.access);
            super::warn::warn(warnings, format!("linux.resources.devices[{i}].access"), message);
        }
    }
}

fn device_rule(rule: &DeviceRule) -> Result<(), (&'static str, String)> {
    // Missing means all three (config-linux.md "Allowed Device list": the property is optional).
    if !rule.access.is_empty() && !rule.access.contains(['r', 'w', 'm']) {
        return Err(("access", format!("{:?} is not made of r, w and m", rule.access)));
    }
    for (field, number) in [("major", rule.major), ("minor", rule.minor)] {
        if number.is_some_and(|number| !(-1..=i64::from(u32::MAX)).contains(&number)) {
            return Err((field, "must be -1 (any) or a device number".to_owned()));
        }
    }
    Ok(())
}

fn memory(memory: &Memory) -> Result<(), (&'static str, String)> {
    let sizes = [
        ("memory.limit", memory.limit),
        ("memory.reservation", memory.reservation),
        ("memory.swap", memory.swap),
    ];
    for (field, size) in sizes {
        if size.is_some_and(|size| size < -1) {
            return Err((field, "must be -1 (unlimited) or more".to_owned()));
        }
    }
    match memory.swappiness {
        Some(value) if value > 100 => {
            Err(("memory.swappiness", format!("{value} is not between 0 and 100")))
        }
        _ => Ok(()),
    }
}

fn cpu(cpu: &Cpu) -> Result<(), (&'static str, String)> {
    for (field, list) in [("cpu.cpus", &cpu.cpus), ("cpu.mems", &cpu.mems)] {
        if let Some(message) = list.as_deref().and_then(lists::problem) {
            return Err((field, message));
        }
    }
    match cpu.idle {
        Some(value) if !(0..=1).contains(&value) => Err(("cpu.idle", "must be 0 or 1".to_owned())),
        _ => Ok(()),
    }
}

fn block_io(io: &BlockIo) -> Result<(), (&'static str, String)> {
    let devices = io.weight_device.iter().map(|device| device.weight);
    for weight in devices.chain([io.weight]).flatten() {
        // 0 leaves the weight as it is.
        if weight != 0 && !(10..=1000).contains(&weight) {
            return Err(("blockIO.weight", format!("{weight} is not between 10 and 1000")));
        }
    }
    Ok(())
}

fn is_page_size(text: &str) -> bool {
    ["KB", "MB", "GB"].iter().any(|unit| {
        let digits = text.strip_suffix(unit).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Keys become file names or the first word of a line.
fn names<'a>(field: &str, keys: impl Iterator<Item = &'a String>) -> Result<(), SpecError> {
    for key in keys {
        let bad = key.is_empty()
            || key == "."
            || key == ".."
            || key.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
        if bad {
            let message = format!("{key:?} is not a plain name");
            return Err(SpecError::new(format!("linux.resources.{field}"), message));
        }
    }
    Ok(())
}
