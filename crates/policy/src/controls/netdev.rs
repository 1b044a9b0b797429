//! `network.devices`: network devices of the host that are moved into the container.

use super::prelude::*;
use crate::spec::NetDevice;
use std::collections::BTreeMap;

/// **What.** `linux.netDevices` is refused.
///
/// **Why.** A device that is moved is gone from the host for as long as the container lives: its
/// card, its bridge, another container's.
///
/// **What breaks.** Network functions that are given a card of their own.
///
/// **Override.**
///
/// - `network.devices`: network devices of the host, moved into the container
///
/// **In the profiles.**
///
/// - privileged: As asked.
/// - hardened: A device that is moved is gone from the host; with the wrong name in it, a
///   configuration takes the host off the network.
pub(crate) const MOVED: Control = Control {
    id: ControlId::NetDevices,
    name: "network.devices",
    allow: &["network.devices"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "no network device of the host is moved into the container",
};

/// A device that is moved is gone from the host for as long as the container lives.
pub(crate) fn moved(
    draft: &mut Draft<'_>,
    asked: BTreeMap<String, NetDevice>,
) -> Result<BTreeMap<String, NetDevice>, Refusal> {
    let (control, pointer) = (ControlId::NetDevices, "/linux/netDevices");
    let Some(first) = asked.keys().next() else {
        draft.log.note(control, pointer, Verdict::Kept, "none is asked for");
        return Ok(asked);
    };
    let reason = format!("linux.netDevices {first}: the host would lose the device");
    if let Some(source) = draft.allows("network.devices") {
        draft.log.waive(control, pointer, source, reason);
        return Ok(asked);
    }
    Err(draft.refuse(control, pointer, reason, Some("network.devices")))
}
