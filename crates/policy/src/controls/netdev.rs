//! `network.devices`: network devices of the host that are moved into the container.

use super::prelude::*;
use crate::spec::NetDevice;
use std::collections::BTreeMap;

/// **What.** `linux.netDevices` is refused.
///
/// **Why.** A device that is moved disappears from the host until the container ends: the host's
/// network card, its bridge, another container's device.
///
/// **What breaks.** Network functions that get a network card of their own.
///
/// **Override.**
///
/// - `network.devices`: network devices of the host, moved into the container
///
/// **In the profiles.**
///
/// - privileged: As the configuration asks.
/// - hardened: A device that is moved disappears from the host; with the wrong name, a
///   configuration disconnects the host from the network.
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
