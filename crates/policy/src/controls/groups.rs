//! `process.groups`: a container of root's does not keep its caller's groups.

use super::prelude::*;
use std::collections::BTreeMap;

/// **What.** The annotation `run.oci.keep_original_groups` (`podman run --group-add keep-groups`)
/// counts for callers that are ordinary users, and not for root of the host: its groups are not the
/// container's. `exec` likewise.
///
/// **Why.** Annotations may come with an image, and this one would also cost the container its user
/// namespace: the caller's groups do not exist there.
///
/// **What breaks.** `keep-groups` with rootful podman.
///
/// **Override.**
///
/// - `groups.kept`: the groups of a caller that is root, with podman's keep-groups
///
/// It takes the host's ids, then, which `userns.fallback` or `userns.host` beside it permits.
///
/// **In the profiles.**
///
/// - privileged: As the caller says.
/// - baseline: As the caller says.
/// - hardened: An annotation asks for it (run.oci.keep_original_groups), and annotations may come
///   with an image. Root's groups are root's, and ids that nobody else has cannot be had together
///   with them. Ordinary users have only their own.
pub(crate) const KEPT: Control = Control {
    id: ControlId::KeptGroups,
    name: "process.groups",
    allow: &["groups.kept"],
    modes: [OFF, OFF, ON, ON],
    severity: MEDIUM,
    summary: "a container of root's does not keep its caller's groups",
};

/// The annotation by which podman's `--group-add keep-groups` reaches a runtime.
const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

/// Comes before the user namespace: the caller's groups are nobody's there.
pub(crate) fn kept(
    draft: &mut Draft<'_>,
    asked: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let (control, pointer) = (ControlId::KeptGroups, "/annotations/run.oci.keep_original_groups");
    if !draft.asked.keeps_groups {
        draft.log.note(control, pointer, Verdict::Kept, "the groups are the configuration's");
        return Ok(asked);
    }
    if draft.facts.euid != 0 || !draft.facts.in_initial_userns {
        draft.log.note(control, pointer, Verdict::Kept, "they are those of an ordinary user");
        return Ok(asked);
    }
    if let Some(source) = draft.allows("groups.kept") {
        draft.log.waive(control, pointer, source, "the container keeps its caller's groups");
        return Ok(asked);
    }
    draft.extras.drop_groups = true;
    let reason = "root's groups are not the container's, whoever wrote the annotation";
    draft.log.change(control, pointer, Verdict::Tightened, values(&"1", &()), reason);
    Ok(asked)
}

/// The annotation asks for them.
pub(crate) fn are_kept(annotations: &BTreeMap<String, String>) -> bool {
    annotations.get(KEEP_GROUPS).is_some_and(|value| value == "1")
}

impl HardenedSpec {
    /// Whether the container keeps its caller's groups.
    #[must_use]
    pub fn keeps_groups(&self) -> bool {
        !self.extras().drop_groups && are_kept(&self.annotations)
    }
}
