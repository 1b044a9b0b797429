//! `devices.nodes`: which devices a container may have at all. A device is its driver, and through a disk everybody's
//! data; the few that every program needs are not asked about.

use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::facts::{FileKind, SourceFact};
use crate::harden::Draft;
use crate::spec::{Device, DeviceKind, DeviceRule, DeviceRuleKind, Linux, Spec};
use serde_json::json;

/// Character devices that every container has: memory (null, zero, full, random, urandom), terminals.
fn is_harmless(major: i64, minor: Option<i64>) -> bool {
    matches!((major, minor), (1, Some(3 | 5 | 7 | 8 | 9)) | (5, Some(0..=2)) | (136..=143, _))
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

/// Rule `devices.nodes`. Comes before `devices.cgroup`, which narrows what is left.
pub(crate) fn nodes(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::DeviceNodes;
    if let Some(source) = draft.allows("devices.all") {
        draft.log.waive(rule, "/linux/devices", source, "devices are as asked for");
        return Ok(());
    }
    let before = draft.log.len();
    // Engines' "privileged" names every device of the host: nobody asked for one of them in particular.
    let everything =
        draft.spec.linux.resources.as_ref().is_some_and(|resources| {
            resources.devices.iter().any(|rule| rule.allow && is_all(rule))
        });
    if everything {
        drop_nodes(draft);
    } else {
        refuse_nodes(draft)?;
    }
    refuse_binds(draft)?;
    drop_rules(draft);
    if draft.log.len() == before {
        let reason = "no devices but those that every container has";
        draft.log.note(rule, "/linux/devices", Verdict::Kept, reason);
    }
    Ok(())
}

/// True for a configuration that engines write for "privileged": all devices may be used.
pub(super) fn asks_for_everything(spec: &Spec) -> bool {
    let resources = spec.linux.resources.as_ref();
    resources.is_some_and(|r| r.devices.iter().any(|rule| rule.allow && is_all(rule)))
}

fn is_all(rule: &DeviceRule) -> bool {
    let any = |number: Option<i64>| number.is_none_or(|number| number == -1);
    matches!(rule.kind, None | Some(DeviceRuleKind::All)) && any(rule.major) && any(rule.minor)
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

fn drop_nodes(draft: &mut Draft<'_>) {
    let choice = draft.choice;
    let allowed = |class: &str| choice.overrides.allows(class).is_some();
    let before = draft.spec.linux.devices.clone();
    draft.spec.linux.devices.retain(|device| needs(device).is_none_or(allowed));
    if draft.spec.linux.devices.len() != before.len() {
        let reason = "a container that asks for every device gets those that every container has";
        let values = (json!(before), json!(draft.spec.linux.devices));
        let pointer = "/linux/devices";
        draft.log.change(ControlId::DeviceNodes, pointer, Verdict::Tightened, values, reason);
    }
}

fn refuse_nodes(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    for index in 0..draft.spec.linux.devices.len() {
        let device = &draft.spec.linux.devices[index];
        if let Some(class) = needs(device) {
            let (shown, pointer) = (device.path.clone(), format!("/linux/devices/{index}"));
            judge(draft, class, &shown, pointer)?;
        }
    }
    Ok(())
}

fn refuse_binds(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let facts = draft.facts;
    for (index, fact) in &facts.sources {
        let SourceFact::Found(file) = fact else { continue };
        let class = match file.kind {
            FileKind::Block(..) => "devices.all",
            FileKind::Char(major, minor) => {
                let (major, minor) = (i64::from(major), Some(i64::from(minor)));
                if is_harmless(major, minor) {
                    continue;
                }
                class_of(major, minor, &file.path)
            }
            _ => continue,
        };
        judge(draft, class, &file.path, format!("/mounts/{index}/source"))?;
    }
    Ok(())
}

fn judge(
    draft: &mut Draft<'_>,
    class: &'static str,
    shown: &str,
    pointer: String,
) -> Result<(), Refusal> {
    let rule = ControlId::DeviceNodes;
    match draft.allows(class) {
        Some(source) => {
            let reason = format!("device {shown} is there as asked for ({class})");
            draft.log.waive(rule, pointer, source, reason);
            Ok(())
        }
        None => Err(draft.refuse(rule, pointer, format!("device {shown}"), Some(class))),
    }
}

/// Rules that let a device be used which may not be there: it could still come with a volume.
fn drop_rules(draft: &mut Draft<'_>) {
    let choice = draft.choice;
    let Linux { resources, devices, .. } = &mut draft.spec.linux;
    let Some(resources) = resources else { return };
    let before = resources.devices.clone();
    resources.devices.retain(|rule| {
        let any = |number: Option<i64>| number.filter(|number| *number != -1);
        let (Some(major), minor) = (any(rule.major), any(rule.minor)) else {
            // Whole classes are for `devices.cgroup`.
            return true;
        };
        let class = match rule.kind {
            _ if !rule.allow => return true,
            Some(DeviceRuleKind::Char) if is_harmless(major, minor) => return true,
            Some(DeviceRuleKind::Char) => class_of(major, minor, ""),
            // Known by name only: a node of that name was permitted.
            _ => "devices.all",
        };
        choice.overrides.allows(class).is_some() || (class == "devices.all" && named(devices, rule))
    });
    if resources.devices.len() != before.len() {
        let reason = "rules for devices that the container does not have";
        let values = (json!(before), json!(resources.devices));
        let pointer = "/linux/resources/devices";
        draft.log.change(ControlId::DeviceNodes, pointer, Verdict::Tightened, values, reason);
    }
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
