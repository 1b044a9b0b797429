//! `devices.cgroup`: which devices the container's cgroup lets it use.

use super::prelude::*;
use crate::admit::{any_number, is_all_devices};
use crate::spec::{DeviceRule, DeviceRuleKind};

/// **What.** The list of device rules begins with "deny all". Rules that allow a whole class (`a`,
/// or any major number) are dropped. Rules with a wildcard lose the right to create nodes. casemate
/// adds null, zero, full, random, urandom, tty, ptmx and pts. It does not add "create any node" and
/// `/dev/net/tun`, as runc does.
///
/// **Why.** A device gives access to the kernel driver behind it, and a disk holds everybody's
/// data.
///
/// **What breaks.** `--privileged` containers that expect all devices; VPNs, which need
/// `/dev/net/tun`.
///
/// **Workaround.** Name the device, and allow its class: `--device /dev/net/tun` with
/// `devices.tun`.
///
/// **Override.**
///
/// - `devices.all`: device rules as in the configuration, including whole classes; with
///   `devices.nodes`, every device
///
/// **In the profiles.**
///
/// - privileged: The rules that runc adds: creating any node, and /dev/net/tun, stay allowed.
/// - baseline: A rule for all devices is what "privileged" looks like in a configuration.
/// - hardened: Rules for a whole class of devices are dropped, and rules with a wildcard lose the
///   right to create nodes; the list begins with "deny all". The runtime adds only the devices that
///   every container has (null, zero, full, random, urandom, tty, ptmx, pts), without the "create
///   any node" and /dev/net/tun that other runtimes add.
pub(crate) const NARROW: Control = Control {
    id: ControlId::DeviceCgroup,
    name: "devices.cgroup",
    allow: &["devices.all"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "only named devices can be used, and no device nodes can be created",
};

/// The list is made whether or not the container gets a cgroup to enforce it in: an `update` or a record must never find a
/// looser one.
pub(crate) fn narrow(
    draft: &mut Draft<'_>,
    asked: Vec<DeviceRule>,
) -> Result<Vec<DeviceRule>, Refusal> {
    let (control, pointer) = (ControlId::DeviceCgroup, "/linux/resources/devices");
    if let Some(source) = draft.allows("devices.all") {
        draft.log.waive(control, pointer, source, "device rules are as asked for");
        return Ok(asked);
    }
    draft.extras.strict_devices = true;
    let mut after = narrowed(&asked);
    if !after.first().is_some_and(denies_all) {
        after.insert(0, DeviceRule { access: "rwm".to_owned(), ..DeviceRule::default() });
    }
    if after == asked {
        let reason = "everything is denied but what the configuration names";
        draft.log.note(control, pointer, Verdict::Kept, reason);
    } else {
        let verdict = if asked.is_empty() { Verdict::Added } else { Verdict::Tightened };
        let reason = "only devices that are named, and no creating of arbitrary nodes";
        draft.log.change(control, pointer, verdict, values(&asked, &after), reason);
    }
    Ok(after)
}

/// Drops rules that allow a whole class of devices, and takes `m` from those with any wildcard.
fn narrowed(rules: &[DeviceRule]) -> Vec<DeviceRule> {
    let mut kept = Vec::with_capacity(rules.len() + 1);
    for rule in rules {
        let is_class =
            matches!(rule.kind, None | Some(DeviceRuleKind::All)) || any_number(rule.major);
        if !rule.allow {
            kept.push(rule.clone());
        } else if !is_class {
            let mut rule = rule.clone();
            if rule.access.is_empty() {
                // Not given means all three.
                rule.access.push_str("rwm");
            }
            if any_number(rule.minor) {
                rule.access.retain(|access| access != 'm');
            }
            if !rule.access.is_empty() {
                kept.push(rule);
            }
        }
    }
    kept
}

fn denies_all(rule: &DeviceRule) -> bool {
    !rule.allow
        && is_all_devices(rule)
        && (rule.access.is_empty()
            || ['r', 'w', 'm'].iter().all(|access| rule.access.contains(*access)))
}
