//! `pids.limit`: the number of tasks.

use super::prelude::*;
use crate::spec::Pids;

/// **What.** The limit is 2048 tasks if the configuration sets no limit. A limit in the
/// configuration is kept, including -1 and 0 (both unlimited).
///
/// **Why.** A fork bomb exhausts the host's process table, which nothing else limits.
///
/// **What breaks.** Programs with more than 2048 threads.
///
/// **Workaround.** Set your own limit: `--pids-limit`.
///
/// **Override.**
///
/// - `pids.unlimited`: no limit of processes is added
///
/// The verdict is also `waived` if the container's cgroup has no pids controller, and for
/// containers of ordinary users, who may not have the right to set a limit.
///
/// **In the profiles.**
///
/// - privileged: No default limit.
/// - baseline: The node may limit pods elsewhere (kubelet's podPidsLimit).
/// - hardened: A fork bomb exhausts the host's process table, which nothing else limits.
pub(crate) const LIMIT: Control = Control {
    id: ControlId::PidsLimit,
    name: "pids.limit",
    allow: &["pids.unlimited"],
    modes: [OFF, WARN, ON, ON],
    severity: MEDIUM,
    summary: "the number of tasks is limited",
};

pub(crate) fn limit(draft: &mut Draft<'_>, asked: Option<Pids>) -> Result<Option<Pids>, Refusal> {
    let set = draft.choice.overrides.values.pids_limit;
    let limit = set.map_or(draft.profile.pids_limit, |limit| limit.get().into());
    let (control, pointer) = (ControlId::PidsLimit, "/linux/resources/pids");
    let required = draft.profile.fail_closed;
    let given = asked.and_then(|Pids { limit }| limit);
    if given.is_some_and(|limit| !required || limit > 0) {
        draft.log.note(control, pointer, Verdict::Kept, "set by the configuration");
        return Ok(asked);
    }
    if draft.joining.is_some() && given.is_none() {
        draft.log.note(control, pointer, Verdict::Kept, "stays as it is");
        return Ok(asked);
    }
    if let Some(source) = draft.allows("pids.unlimited") {
        draft.log.waive(control, pointer, source, "no limit is added");
        return Ok(asked);
    }
    if !draft.facts.has_controller("pids") {
        let reason = "no limit: the container's cgroup has no pids controller";
        if required {
            return Err(draft.refuse(control, pointer, reason, Some("pids.unlimited")));
        }
        draft.log.note(control, pointer, Verdict::Waived, reason);
        return Ok(asked);
    }
    let pids = Pids { limit: Some(limit) };
    let reason = "a fork bomb would take the host's process table";
    let verdict = if asked.is_some() { Verdict::Tightened } else { Verdict::Added };
    draft.log.change(control, pointer, verdict, values(&asked, &pids), reason);
    Ok(Some(pids))
}
