//! `bundle.privileged`: the configuration as a whole.

use super::prelude::*;
use crate::spec::{Capability, Spec};

/// **What.** A configuration with nearly all capabilities, all devices and nothing hidden is what
/// engines make of `--privileged`. restricted refuses it. baseline and hardened cut it back to what
/// they give to any container, and say in the record that it was asked for.
///
/// **Why.** Nobody meant to run that under restricted. Elsewhere people have it in their scripts
/// because something did not work once; with the other controls in force it is no more than an
/// ordinary container.
///
/// **What breaks.** docker in docker, node agents, storage and network plug-ins.
///
/// **Override.**
///
/// - `bundle.privileged`: a configuration that asks for everything (restricted; the other controls
///   still cut it back)
///
/// To run it as it is: the profile `privileged`.
///
/// **In the profiles.**
///
/// - privileged: This is the profile for it.
/// - baseline: Narrowed by the other controls; the record says that it was asked for.
/// - hardened: Everything at once, as engines' --privileged asks for it, is narrowed by the other
///   controls to what this profile gives; the record says that it was asked for.
/// - restricted: Nobody who asks for everything meant to run it under this profile: refused, not
///   narrowed.
pub(crate) const PRIVILEGED: Control = Control {
    id: ControlId::PrivilegedBundle,
    name: "bundle.privileged",
    allow: &["bundle.privileged"],
    modes: [OFF, WARN, WARN, ON],
    severity: HIGH,
    summary: "a configuration that asks for everything at once is not run",
};

/// A configuration with this many capabilities was given all that its engine knows of; engines know different kernels.
const NEARLY_ALL: u32 = 35;

/// Other controls cut such a configuration back piece by piece; this one says what it is, and where it enforces, that nobody
/// meant to run it here.
pub(crate) fn privileged(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (control, pointer) = (ControlId::PrivilegedBundle, "");
    if !draft.asked.everything {
        draft.log.note(control, pointer, Verdict::Kept, "is not what engines make of --privileged");
        return Ok(());
    }
    let reason = "the configuration asks for everything, as engines' --privileged does";
    if let Some(source) = draft.allows("bundle.privileged") {
        draft.log.waive(control, pointer, source, reason);
        return Ok(());
    }
    Err(draft.refuse(control, pointer, reason, Some("bundle.privileged")))
}

/// All capabilities, all devices, and nothing of /proc hidden: no single option of an engine gives all three.
pub(crate) fn asks_for_everything(spec: &Spec) -> bool {
    let Some(capabilities) = spec.process.as_ref().and_then(|p| p.capabilities.as_ref()) else {
        return false;
    };
    let bounding = &capabilities.bounding;
    let admin = Capability::from_name("CAP_SYS_ADMIN").is_some_and(|c| bounding.contains(c));
    let devices = spec.linux.resources.as_ref().map_or(&[][..], |limits| &limits.devices);
    admin
        && bounding.mask.count_ones() >= NEARLY_ALL
        && spec.linux.masked_paths.is_empty()
        && devices.last().is_some_and(super::device_rules::allows_all)
}
