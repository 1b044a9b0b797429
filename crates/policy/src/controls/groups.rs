//! `process.groups`: a container of root's does not keep its caller's groups.

use super::prelude::*;
use crate::admit::keeps_groups;
use std::collections::BTreeMap;

/// **What.** The annotation `run.oci.keep_original_groups` (`podman run --group-add keep-groups`)
/// has an effect only if the caller is an ordinary user. If the caller is root of the host, the
/// container does not get root's groups. The same is true of `exec`.
///
/// **Why.** Annotations may come from an image. This one would also prevent a user namespace,
/// because the caller's groups do not exist there.
///
/// **What breaks.** `keep-groups` with rootful podman.
///
/// **Override.**
///
/// - `groups.kept`: the groups of a caller that is root, with podman's keep-groups
///
/// The container then uses the host's ids, which also needs `userns.fallback` or `userns.host`.
///
/// **In the profiles.**
///
/// - privileged: As the caller asks.
/// - baseline: As the caller asks.
/// - hardened: An annotation asks for this (run.oci.keep_original_groups), and annotations may come
///   from an image. The groups belong to root, and a container cannot have them together with
///   unique ids. Ordinary users only pass on their own groups.
pub(crate) const KEPT: Control = Control {
    id: ControlId::KeptGroups,
    name: "process.groups",
    allow: &["groups.kept"],
    modes: [OFF, OFF, ON, ON],
    severity: MEDIUM,
    summary: "a container started by root does not keep its caller's groups",
};

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
    let reason = "the container does not get root's groups, no matter who wrote the annotation";
    draft.log.change(control, pointer, Verdict::Tightened, values(&"1", &()), reason);
    Ok(asked)
}

impl HardenedSpec {
    /// Whether the container keeps its caller's groups.
    #[must_use]
    pub fn keeps_groups(&self) -> bool {
        !self.extras().drop_groups && keeps_groups(&self.annotations)
    }
}
