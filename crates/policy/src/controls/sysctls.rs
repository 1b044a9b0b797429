//! `sysctls.allowlist`: of the parameters that belong to the container's namespaces, those that are known not to reach beyond.

use super::prelude::*;
use std::collections::BTreeMap;

/// **What.** Under `restricted`: only the parameters that Kubernetes counts as safe
/// ([restricted.toml](../profiles/restricted.toml) takes the list of hardened.toml). Under every
/// profile: only parameters that belong to a namespace of the container's own, one spelling each,
/// no `..`, no line break in a value; that a namespace is the container's own is decided by its
/// inode.
///
/// **Why.** A parameter outside of a namespace is the host's (CVE-2022-0811).
///
/// **What breaks.** `--sysctl net.ipv4.ip_forward=1` and the like under `restricted`.
///
/// **Override.**
///
/// - `sysctls.any`: kernel parameters outside of the list
///
/// For the list; for parameters of the host there is none.
///
/// **In the profiles.**
///
/// - privileged: Any parameter that belongs to a namespace of the container's; others are refused
///   by every profile.
/// - baseline: As in privileged.
/// - hardened: Any parameter that belongs to a namespace of the container's own; others are refused
///   by every profile.
/// - restricted: Of the parameters that belong to the container's namespaces only the list `safe`.
pub(crate) const ALLOWLIST: Control = Control {
    id: ControlId::Sysctls,
    name: "sysctls.allowlist",
    allow: &["sysctls.any"],
    modes: [OFF, OFF, OFF, ON],
    severity: HIGH,
    summary: "kernel parameters are only those that are known to be safe",
};

pub(crate) fn allowed(
    draft: &mut Draft<'_>,
    asked: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let (control, pointer) = (ControlId::Sysctls, "/linux/sysctl");
    if let Some(source) = draft.allows("sysctls.any") {
        draft.log.waive(control, pointer, source, "kernel parameters are as asked for");
        return Ok(asked);
    }
    let safe = draft.profile.sysctls;
    let Some(other) = draft.asked.sysctls.iter().find(|path| !safe.contains(&path.as_str())) else {
        draft.log.note(control, pointer, Verdict::Kept, "no kernel parameter but safe ones");
        return Ok(asked);
    };
    let reason = format!("kernel parameter {}", other.replace('/', "."));
    Err(draft.refuse(control, pointer, reason, Some("sysctls.any")))
}
