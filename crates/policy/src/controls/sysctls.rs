//! `sysctls.allowlist`: of the parameters that belong to the container's namespaces, those that are known not to reach beyond.

use super::prelude::*;
use std::collections::BTreeMap;

/// **What.** Under `restricted`, only the parameters that Kubernetes considers safe are permitted
/// ([restricted.toml](../profiles/restricted.toml) uses the list of hardened.toml). Under every
/// profile, a parameter must belong to a namespace of the container's own, which casemate decides
/// by the inode. Each parameter has only one permitted spelling, without `..` and without a line
/// break in the value.
///
/// **Why.** A parameter outside of a namespace belongs to the host (CVE-2022-0811).
///
/// **What breaks.** `--sysctl net.ipv4.ip_forward=1` and similar ones under `restricted`.
///
/// **Override.**
///
/// - `sysctls.any`: kernel parameters outside of the list
///
/// The override lifts the list; parameters of the host have no override.
///
/// **In the profiles.**
///
/// - privileged: Any parameter that belongs to a namespace of the container's own; every profile
///   refuses others.
/// - baseline: As in privileged.
/// - hardened: Any parameter that belongs to a namespace of the container's own; every profile
///   refuses others.
/// - restricted: Of the parameters that belong to the container's namespaces, only the list `safe`.
pub(crate) const ALLOWLIST: Control = Control {
    id: ControlId::Sysctls,
    name: "sysctls.allowlist",
    allow: &["sysctls.any"],
    modes: [OFF, OFF, OFF, ON],
    severity: HIGH,
    summary: "only kernel parameters that are known to be safe can be set",
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
        draft.log.note(control, pointer, Verdict::Kept, "only safe kernel parameters");
        return Ok(asked);
    };
    let reason = format!("kernel parameter {}", other.replace('/', "."));
    Err(draft.refuse(control, pointer, reason, Some("sysctls.any")))
}
