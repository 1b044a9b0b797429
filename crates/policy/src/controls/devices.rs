//! `devices.nodes`: which devices a container may have at all. A device is its driver, and through a disk everybody's
//! data; the few that every program needs are not asked about.

use super::prelude::*;
use crate::admit::any_number;
use crate::facts::{FileKind, SourceFact};
use crate::spec::{Device, DeviceKind, DeviceRule, DeviceRuleKind};

/// **What.** A device of the configuration, as a node or a bind mount, is refused unless every
/// container has it (null, zero, full, random, urandom, tty, ptmx, pts) or its class is allowed.
/// Block devices belong to no class. Rules for using other devices are dropped. A configuration
/// that allows all devices (`--privileged` of an engine run by root) is reduced to those that every
/// container has. The host's system console is not one of them; a container's own /dev/console is a
/// pseudo terminal. Rootless podman's `--privileged` binds the host's devices one by one, which is
/// refused.
///
/// **Why.** A device gives access to the driver behind it, and a disk holds everybody's data.
///
/// **What breaks.** `--device` without an override.
///
/// **Override.**
///
/// - `devices.gpu`: graphics processors: NVIDIA, DRI, KFD
/// - `devices.kvm`, `devices.fuse`, `devices.tun`: that device
/// - `devices.sound`, `devices.video`, `devices.input`, `devices.serial`, `devices.usb`: device
///   nodes of that class
///
/// Everything else, including disks, needs `devices.all` of `devices.cgroup`.
///
/// **In the profiles.**
///
/// - privileged: Devices as the configuration asks.
/// - baseline: A device gives access to the driver behind it, and a disk holds everybody's data.
/// - hardened: A device gives access to the driver behind it, and a disk holds everybody's data, so
///   a container has to name the class that it needs. A configuration that names every device of
///   the host ("privileged") gets those that every container has.
pub(crate) const NODES: Control = Control {
    id: ControlId::DeviceNodes,
    name: "devices.nodes",
    allow: &[
        "devices.gpu",
        "devices.kvm",
        "devices.fuse",
        "devices.tun",
        "devices.sound",
        "devices.video",
        "devices.input",
        "devices.serial",
        "devices.usb",
    ],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "only the devices that every container has",
};

/// Character devices that every container has: memory (null, zero, full, random, urandom), terminals.
fn is_harmless(major: i64, minor: Option<i64>) -> bool {
    matches!((major, minor), (1, Some(3 | 5 | 7 | 8 | 9)) | (5, Some(0 | 2)) | (136..=143, _))
}

/// The host's system console. Engines have a rule for it in every configuration, for the container's own /dev/console, which
/// is a pseudo terminal: the rule alone opens nothing.
fn is_console(major: i64, minor: Option<i64>) -> bool {
    (major, minor) == (5, Some(1))
}

/// The override that permits a character device (Documentation/admin-guide/devices.txt; drivers with numbers of their
/// own choice are known by name).
fn class_of(major: i64, minor: Option<i64>, path: &str) -> &'static str {
    let name = path.strip_prefix("/dev/").unwrap_or_default();
    match (major, minor) {
        (195 | 226, _) => "devices.gpu",
        (10, Some(232)) => "devices.kvm",
        (10, Some(229)) => "devices.fuse",
        (10, Some(200)) => "devices.tun",
        (116, _) => "devices.sound",
        (81, _) => "devices.video",
        (13, _) => "devices.input",
        (4, Some(64..)) | (166 | 188 | 204, _) => "devices.serial",
        (189, _) => "devices.usb",
        _ if name.starts_with("nvidia") || matches!(name, "kfd" | "dxg") => "devices.gpu",
        _ if name.starts_with("snd/") => "devices.sound",
        _ => "devices.all",
    }
}

/// Comes before the rules for devices, which are narrowed to what is left.
pub(crate) fn nodes(draft: &mut Draft<'_>, asked: Vec<Device>) -> Result<Vec<Device>, Refusal> {
    let control = ControlId::DeviceNodes;
    if let Some(source) = draft.allows("devices.all") {
        draft.log.waive(control, "/linux/devices", source, "devices are as asked for");
        return Ok(asked);
    }
    let before = draft.log.len();
    // Engines' "privileged" names every device of the host: nobody asked for one of them in particular.
    let admitted = match draft.asked.all_devices {
        true => drop_nodes(draft, asked),
        false => refuse_nodes(draft, asked)?,
    };
    refuse_binds(draft)?;
    if draft.log.len() == before {
        let reason = "no devices but those that every container has";
        draft.log.note(control, "/linux/devices", Verdict::Kept, reason);
    }
    draft.devices.clone_from(&admitted);
    Ok(admitted)
}

/// The override that a node needs; `None`: it needs none.
fn needs(device: &Device) -> Option<&'static str> {
    match device.kind {
        DeviceKind::Fifo => None,
        DeviceKind::Block => Some("devices.all"),
        DeviceKind::Char | DeviceKind::Unbuffered => {
            let (major, minor) = (device.major, Some(device.minor));
            (!is_harmless(major, minor)).then(|| class_of(major, minor, &device.path))
        }
    }
}

fn drop_nodes(draft: &mut Draft<'_>, asked: Vec<Device>) -> Vec<Device> {
    let allowed = |class: &str| draft.choice.overrides.allows(class).is_some();
    let kept = |device: &&Device| needs(device).is_none_or(allowed);
    let admitted: Vec<Device> = asked.iter().filter(kept).cloned().collect();
    if admitted.len() != asked.len() {
        let reason = "a container that asks for every device gets those that every container has";
        let (control, change) = (ControlId::DeviceNodes, values(&asked, &admitted));
        draft.log.change(control, "/linux/devices", Verdict::Tightened, change, reason);
    }
    admitted
}

fn refuse_nodes(draft: &mut Draft<'_>, asked: Vec<Device>) -> Result<Vec<Device>, Refusal> {
    for (index, device) in asked.iter().enumerate() {
        if let Some(class) = needs(device) {
            judge(draft, class, &device.path, format!("/linux/devices/{index}"))?;
        }
    }
    Ok(asked)
}

fn refuse_binds(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let facts = draft.facts;
    for (index, fact) in &facts.sources {
        let SourceFact::Found(file) = fact else { continue };
        if let Some(class) = needed(file.kind, &file.path) {
            judge(draft, class, &file.path, format!("/mounts/{index}/source"))?;
        }
    }
    Ok(())
}

/// The override that an existing file needs; `None`: it needs none, or is no device.
pub(super) fn needed(kind: FileKind, path: &str) -> Option<&'static str> {
    match kind {
        FileKind::Block(..) => Some("devices.all"),
        FileKind::Char(major, minor) => {
            let (major, minor) = (i64::from(major), Some(i64::from(minor)));
            (!is_harmless(major, minor)).then(|| class_of(major, minor, path))
        }
        _ => None,
    }
}

fn judge(
    draft: &mut Draft<'_>,
    class: &'static str,
    shown: &str,
    pointer: String,
) -> Result<(), Refusal> {
    let control = ControlId::DeviceNodes;
    match draft.allows(class) {
        Some(source) => {
            let reason = format!("device {shown} is there as asked for ({class})");
            draft.log.waive(control, pointer, source, reason);
            Ok(())
        }
        None => Err(draft.refuse(control, pointer, format!("device {shown}"), Some(class))),
    }
}

/// Rules that let a device be used which may not be there: it could still come with a volume.
pub(crate) fn rules(
    draft: &mut Draft<'_>,
    asked: Vec<DeviceRule>,
) -> Result<Vec<DeviceRule>, Refusal> {
    if draft.allows("devices.all").is_some() {
        return Ok(asked);
    }
    let admitted: Vec<DeviceRule> =
        asked.iter().filter(|rule| is_of_a_device(draft, rule)).cloned().collect();
    if admitted.len() != asked.len() {
        let reason = "rules for devices that the container does not have";
        let (control, change) = (ControlId::DeviceNodes, values(&asked, &admitted));
        draft.log.change(control, "/linux/resources/devices", Verdict::Tightened, change, reason);
    }
    Ok(admitted)
}

fn is_of_a_device(draft: &Draft<'_>, rule: &DeviceRule) -> bool {
    let (Some(major), false) = (rule.major, any_number(rule.major)) else {
        // Whole classes are for `devices.cgroup`.
        return true;
    };
    let minor = rule.minor.filter(|_| !any_number(rule.minor));
    let class = match rule.kind {
        _ if !rule.allow => return true,
        Some(DeviceRuleKind::Char) if is_harmless(major, minor) || is_console(major, minor) => {
            return true
        }
        Some(DeviceRuleKind::Char) => class_of(major, minor, ""),
        // Known by name only: a node of that name was permitted.
        _ => "devices.all",
    };
    draft.allows(class).is_some() || (class == "devices.all" && named(&draft.devices, rule))
}

/// True for the rule of a node that passed.
fn named(devices: &[Device], rule: &DeviceRule) -> bool {
    let is_char = rule.kind == Some(DeviceRuleKind::Char);
    devices.iter().any(|device| {
        is_char
            && matches!(device.kind, DeviceKind::Char | DeviceKind::Unbuffered)
            && Some(device.major) == rule.major
            && Some(device.minor) == rule.minor
    })
}
