//! `process.ids` and `process.labels`: what a process that `exec` adds has in common with its container.

use super::prelude::*;
use crate::check::container_ids;
use crate::spec::{Process, SpecError};

/// **What.** Under every profile, `exec` is refused with a uid, gid or additional group that the
/// container's user namespace does not map.
///
/// **Why.** The kernel would return an error that explains nothing, or worse, the process would
/// keep an id of the host.
///
/// **What breaks.** `exec --user` with an id that nobody in the container can have.
///
/// **Override.** None. Give the container's user namespace a mapping for the id.
///
/// **In the profiles.**
///
/// - privileged: An id that is not mapped has no meaning in the container, under any profile.
/// - hardened: exec with an id that the container does not map would run as a user of the host.
pub(crate) const IDS: Control = Control {
    id: ControlId::ExecIds,
    name: "process.ids",
    allow: &[],
    modes: [ON, ON, ON, ON],
    severity: MEDIUM,
    summary: "exec runs with ids that the container maps",
};

/// **What.** A process that `exec` adds gets the AppArmor profile and the SELinux label of the
/// container, whatever the caller sends. Engines send "unconfined" for a privileged exec. The other
/// rules for processes (`process.no-new-privileges`, `capabilities.ceiling`, `rlimits.core`) apply
/// to it too, with the profile that the container was created with.
///
/// **Why.** A label is a promise about the whole container. A single unconfined process would be a
/// way out for all others that can trace it or write to its files.
///
/// **What breaks.** `docker exec --privileged` and `podman exec --privileged` gain nothing.
///
/// **Override.** None for a single process. Create the container with the profile `privileged`, or
/// with `apparmor.unconfined` or `selinux.unlabelled`.
///
/// **In the profiles.**
///
/// - privileged: exec uses the labels that its caller sends.
/// - hardened: Engines send "unconfined" for a privileged exec: the container keeps its own label.
pub(crate) const LABELS: Control = Control {
    id: ControlId::ExecLabels,
    name: "process.labels",
    allow: &[],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
    summary: "exec keeps the container's security labels",
};

/// No profile and no override runs a process with ids that the container does not map.
pub(crate) fn mapped_ids(process: &Process, container: &HardenedSpec) -> Result<(), Refusal> {
    container_ids(process, &container.linux).map_err(|error: SpecError| {
        let pointer = format!("/{}", error.path().replace(['.', '['], "/").replace(']', ""));
        let reason = format!("{pointer}: {}", error.message());
        container.refuse_later(ControlId::ExecIds, pointer, reason, None)
    })
}

pub(crate) fn apparmor(
    draft: &mut Draft<'_>,
    asked: Option<String>,
) -> Result<Option<String>, Refusal> {
    let init = draft.joining.and_then(|container| container.process.as_ref());
    let wanted = init.and_then(|init| init.apparmor_profile.clone());
    Ok(keep(draft, "/process/apparmorProfile", asked, wanted))
}

pub(crate) fn selinux(
    draft: &mut Draft<'_>,
    asked: Option<String>,
) -> Result<Option<String>, Refusal> {
    let init = draft.joining.and_then(|container| container.process.as_ref());
    let wanted = init.and_then(|init| init.selinux_label.clone());
    Ok(keep(draft, "/process/selinuxLabel", asked, wanted))
}

/// Engines send "unconfined" for a privileged exec.
fn keep(
    draft: &mut Draft<'_>,
    pointer: &'static str,
    asked: Option<String>,
    wanted: Option<String>,
) -> Option<String> {
    if wanted.is_none() || asked == wanted {
        return asked;
    }
    let verdict = if asked.is_some() { Verdict::Tightened } else { Verdict::Added };
    let reason = "a process that joins keeps the container's label";
    draft.log.change(ControlId::ExecLabels, pointer, verdict, values(&asked, &wanted), reason);
    wanted
}
