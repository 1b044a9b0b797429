//! `sysctls.allowlist`: of the parameters that belong to the container's namespaces, those that are known not to reach beyond.

use super::prelude::*;
use std::collections::BTreeMap;

pub(crate) const ALLOWLIST: Control = Control {
    id: ControlId::Sysctls,
    name: "sysctls.allowlist",
    allow: &["sysctls.any"],
    modes: [OFF, OFF, OFF, ON],
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
