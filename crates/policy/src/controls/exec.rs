//! `process.ids` and `process.labels`: what a process that `exec` adds has in common with its container.

use super::prelude::*;
use crate::spec::{Process, SpecError};

pub(crate) const IDS: Control = Control {
    id: ControlId::ExecIds,
    name: "process.ids",
    allow: &[],
    modes: [ON, ON, ON, ON],
    summary: "exec runs with ids that the container maps",
};

pub(crate) const LABELS: Control = Control {
    id: ControlId::ExecLabels,
    name: "process.labels",
    allow: &[],
    modes: [OFF, ON, ON, ON],
    summary: "exec keeps the container's security labels",
};

/// No profile and no override runs a process with ids that the container does not map.
pub(crate) fn mapped_ids(process: &Process, container: &HardenedSpec) -> Result<(), Refusal> {
    crate::admit::check_ids(process, container).map_err(|error: SpecError| {
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
