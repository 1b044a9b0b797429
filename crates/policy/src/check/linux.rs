//! Devices, cgroup path and the small Linux settings.

use super::lists;
use super::warn::warn;
use crate::spec::{
    Device, DeviceKind, MemoryPolicy, MemoryPolicyFlag, MemoryPolicyMode, Spec, SpecError, Warning,
};

/// Device numbers have 12 and 20 bits in the kernel.
const MAX_MAJOR: i64 = 0xfff;
const MAX_MINOR: i64 = 0xf_ffff;
/// Bytes of a path: PATH_MAX of linux/limits.h.
const MAX_CGROUPS_PATH: usize = 4096;
/// Cgroups below each other in one path. Engines use fewer than ten; each is a directory of the host's that is made.
const MAX_CGROUPS_DEPTH: usize = 32;

/// Entries of a list of paths; engines write some dozens, and each is a mount.
const MAX_PATHS: usize = 4096;

pub(super) fn check(spec: &Spec, warnings: &mut Vec<Warning>) -> Result<(), SpecError> {
    for (i, device) in spec.linux.devices.iter().enumerate() {
        one_device(device).map_err(|(field, message)| {
            SpecError::new(format!("linux.devices[{i}].{field}"), message)
        })?;
    }
    if let Some(path) = &spec.linux.cgroups_path {
        cgroups_path(path).map_err(|message| SpecError::new("linux.cgroupsPath", message))?;
    }
    for (field, list) in
        [("maskedPaths", &spec.linux.masked_paths), ("readonlyPaths", &spec.linux.readonly_paths)]
    {
        if list.len() > MAX_PATHS {
            let message = format!("{} entries, at most {MAX_PATHS} are taken", list.len());
            return Err(SpecError::new(format!("linux.{field}"), message));
        }
    }
    if spec.linux.intel_rdt.is_some() {
        let message = "Intel RDT is not supported by this runtime; remove the object";
        return Err(SpecError::new("linux.intelRdt", message));
    }
    if let Some(policy) = &spec.linux.memory_policy {
        memory_policy(policy)?;
    }
    let flags = spec.linux.personality.iter().flat_map(|personality| &personality.flags);
    for flag in flags {
        let message = format!("{flag:?} is not defined by the specification; ignored");
        warn(warnings, "linux.personality.flags".to_owned(), message);
    }
    Ok(())
}

fn cgroups_path(path: &str) -> Result<(), String> {
    if path.len() > MAX_CGROUPS_PATH {
        return Err(format!("is {} bytes long; {MAX_CGROUPS_PATH} at most", path.len()));
    }
    if path.chars().any(char::is_control) {
        return Err("contains a control character".to_owned());
    }
    // `:` separates the parts of the systemd form.
    if path.split(['/', ':']).any(|part| part == "..") {
        return Err(format!("{path:?} must not contain \"..\""));
    }
    let depth = path.split('/').filter(|part| !matches!(*part, "" | ".")).count();
    if depth > MAX_CGROUPS_DEPTH {
        return Err(format!("has {depth} components; {MAX_CGROUPS_DEPTH} at most"));
    }
    Ok(())
}

fn one_device(device: &Device) -> Result<(), (&'static str, String)> {
    if !device.path.starts_with('/') {
        return Err(("path", format!("{:?} is not an absolute path", device.path)));
    }
    if device.path.split('/').any(|part| part == "..") {
        return Err(("path", format!("{:?} must not contain \"..\"", device.path)));
    }
    if device.kind == DeviceKind::Fifo {
        return Ok(());
    }
    if !(0..=MAX_MAJOR).contains(&device.major) {
        return Err(("major", format!("{} is not a device number", device.major)));
    }
    if !(0..=MAX_MINOR).contains(&device.minor) {
        return Err(("minor", format!("{} is not a device number", device.minor)));
    }
    Ok(())
}

/// set_mempolicy(2), "ERRORS": what would be a bare EINVAL.
fn memory_policy(policy: &MemoryPolicy) -> Result<(), SpecError> {
    let fail = |field: &str, message: String| {
        Err(SpecError::new(format!("linux.memoryPolicy.{field}"), message))
    };
    let without_nodes =
        matches!(policy.mode, MemoryPolicyMode::MpolDefault | MemoryPolicyMode::MpolLocal);
    // An empty node list of MPOL_PREFERRED means the local node.
    let may_be_empty = without_nodes || policy.mode == MemoryPolicyMode::MpolPreferred;
    match policy.nodes.as_str() {
        "" if !may_be_empty => {
            return fail("nodes", "missing: the mode needs a node list".to_owned())
        }
        "" => {}
        _ if without_nodes => return fail("nodes", "must be empty for this mode".to_owned()),
        nodes => {
            if let Some(message) = lists::problem(nodes) {
                return fail("nodes", message);
            }
        }
    }
    let has = |flag: MemoryPolicyFlag| policy.flags.contains(&flag);
    if has(MemoryPolicyFlag::MpolFStaticNodes) && has(MemoryPolicyFlag::MpolFRelativeNodes) {
        let message = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other";
        return fail("flags", message.to_owned());
    }
    let balanced =
        matches!(policy.mode, MemoryPolicyMode::MpolBind | MemoryPolicyMode::MpolPreferredMany);
    if has(MemoryPolicyFlag::MpolFNumaBalancing) && !balanced {
        return fail("flags", "MPOL_F_NUMA_BALANCING needs MPOL_BIND".to_owned());
    }
    Ok(())
}
