//! `bundle.privileged`: the configuration as a whole.

use super::prelude::*;

/// **What.** This detects a configuration with nearly all capabilities, all devices and no masked
/// paths, which is what engines make of `--privileged`. restricted refuses it. baseline and
/// hardened reduce it to what they give any container, and record that it was asked for.
///
/// **Why.** Nobody wants to run such a container under restricted. Elsewhere, people have
/// `--privileged` in scripts because something did not work once. With the other controls in force,
/// the result is an ordinary container.
///
/// **What breaks.** docker in docker, node agents, storage and network plug-ins.
///
/// **Override.**
///
/// - `bundle.privileged`: a configuration that asks for everything (restricted; the other controls
///   still reduce it)
///
/// To run the configuration unchanged, use the profile `privileged`.
///
/// **In the profiles.**
///
/// - privileged: This is the profile for such configurations.
/// - baseline: The other controls reduce it; the record says that it was asked for.
/// - hardened: Engines ask for everything at once with --privileged. The other controls reduce that
///   to what this profile gives; the record says that it was asked for.
/// - restricted: Nobody who asks for everything wants to run it under this profile: refused, not
///   reduced.
pub(crate) const PRIVILEGED: Control = Control {
    id: ControlId::PrivilegedBundle,
    name: "bundle.privileged",
    allow: &["bundle.privileged"],
    modes: [OFF, WARN, WARN, ON],
    severity: HIGH,
    summary: "a configuration that asks for everything at once is not run",
};

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
