//! Device nodes and links of the container's /dev, and the rules for using devices.

use crate::resolve::ids::IdMaps;
use anyhow::{anyhow, Result};
use casemate_cgroup::devices::{DeviceAccess, DeviceKind as RuleKind, DeviceRule as CgroupRule};
use casemate_kernel::{HostId, InnerId};
use casemate_policy::spec::{Device, DeviceKind as SpecKind, DeviceRule, DeviceRuleKind, Spec};
use casemate_policy::HardenedSpec;
use casemate_sandbox::plan::{DeviceKind, DeviceNode};
use std::path::{Path, PathBuf};

/// The nodes that every container has (config-linux.md "Default Devices").
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The links that every container has (runtime-linux.md "Dev symbolic links", and ptmx).
const LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// A bound /dev is somebody else's: nothing is made in it.
fn dev_is_bound(spec: &Spec) -> bool {
    spec.mounts
        .iter()
        .any(|mount| mount.is_bind() && mount.destination.trim_end_matches('/') == "/dev")
}

/// All nodes: the default ones, overridden by the spec's of the same path.
pub(crate) fn nodes(spec: &Spec, ids: &IdMaps) -> Result<Vec<DeviceNode>> {
    if dev_is_bound(spec) {
        return Ok(Vec::new());
    }
    let root = |id: Option<HostId>| id.map_or(0, |id| id.0);
    let asked = |path: &str| spec.linux.devices.iter().any(|device| device.path == path);
    let (uid, gid) = (root(ids.host_uid(InnerId::ROOT)), root(ids.host_gid(InnerId::ROOT)));
    let default =
        DEFAULT.iter().filter(|(path, ..)| !asked(path)).map(|(path, major, minor)| DeviceNode {
            path: PathBuf::from(path),
            kind: DeviceKind::Char,
            major: *major,
            minor: *minor,
            mode: 0o666,
            uid,
            gid,
        });
    let mut all: Vec<_> = default.collect();
    for (index, device) in spec.linux.devices.iter().enumerate() {
        // The link to the container's own devpts stands there, as under runc. An ordinary user could only bind the host's.
        let is_char = matches!(device.kind, SpecKind::Char | SpecKind::Unbuffered);
        if is_char && device.path == "/dev/ptmx" && (device.major, device.minor) == (5, 2) {
            continue;
        }
        all.push(
            node(device, ids)
                .map_err(|e| anyhow!("linux.devices[{index}] {}: {e}", device.path))?,
        );
    }
    Ok(all)
}

fn node(device: &Device, ids: &IdMaps) -> Result<DeviceNode> {
    let owner = |id: Option<u32>, host: Option<HostId>, name: &str| {
        host.map(|id| id.0).ok_or_else(|| {
            anyhow!("{name} {} is not mapped into the user namespace", id.unwrap_or(0))
        })
    };
    Ok(DeviceNode {
        path: PathBuf::from(&device.path),
        kind: match device.kind {
            SpecKind::Char | SpecKind::Unbuffered => DeviceKind::Char,
            SpecKind::Block => DeviceKind::Block,
            SpecKind::Fifo => DeviceKind::Fifo,
        },
        major: u32::try_from(device.major)?,
        minor: u32::try_from(device.minor)?,
        mode: device.file_mode.unwrap_or(0o666) & 0o7777,
        uid: owner(device.uid, ids.host_uid(InnerId(device.uid.unwrap_or(0))), "uid")?,
        gid: owner(device.gid, ids.host_gid(InnerId(device.gid.unwrap_or(0))), "gid")?,
    })
}

/// All links.
pub(crate) fn links(spec: &Spec) -> Vec<(PathBuf, String)> {
    if dev_is_bound(spec) {
        return Vec::new();
    }
    LINKS
        .iter()
        .map(|(path, target)| (Path::new(path).to_path_buf(), (*target).to_owned()))
        .collect()
}

const fn rule(major: Option<u32>, minor: Option<u32>, access: DeviceAccess) -> CgroupRule {
    CgroupRule { allow: true, kind: RuleKind::Char, major, minor, access }
}

/// The rules: the spec's in their order, then what no container can do without.
pub(crate) fn rules(spec: &HardenedSpec) -> Result<Vec<CgroupRule>> {
    const RW: DeviceAccess = DeviceAccess { read: true, write: true, mknod: false };
    const MKNOD: DeviceAccess = DeviceAccess { read: false, write: false, mknod: true };
    let strict = spec.extras().strict_devices;
    let asked = spec.linux.resources.as_ref().map(|r| r.devices.as_slice()).unwrap_or_default();
    let mut all = asked.iter().map(convert).collect::<Result<Vec<_>>>()?;
    let access = if strict { RW } else { DeviceAccess::ALL };
    if !strict {
        all.push(rule(None, None, MKNOD));
        all.push(CgroupRule { kind: RuleKind::Block, ..rule(None, None, MKNOD) });
    }
    for (_, major, minor) in DEFAULT {
        all.push(rule(Some(major), Some(minor), access));
    }
    // ptmx, and the slaves: majors 136 to 143 exist, but only the first is used by devpts.
    all.push(rule(Some(5), Some(2), access));
    all.push(rule(Some(136), None, access));
    if !strict {
        all.push(rule(Some(10), Some(200), access));
    }
    Ok(all)
}

fn convert(rule: &DeviceRule) -> Result<CgroupRule> {
    let number = |n: Option<i64>| match n {
        None | Some(-1) => Ok(None),
        Some(n) => u32::try_from(n).map(Some),
    };
    let access = if rule.access.is_empty() { "rwm" } else { &rule.access };
    Ok(CgroupRule {
        allow: rule.allow,
        kind: match rule.kind {
            None | Some(DeviceRuleKind::All) => RuleKind::All,
            Some(DeviceRuleKind::Char) => RuleKind::Char,
            Some(DeviceRuleKind::Block) => RuleKind::Block,
        },
        major: number(rule.major)?,
        minor: number(rule.minor)?,
        access: DeviceAccess::parse(access)
            .ok_or_else(|| anyhow!("linux.resources.devices: access {access:?}"))?,
    })
}
