//! `apparmor.profile`: the AppArmor profile of the container's processes.

use super::prelude::*;
use crate::facts::DefaultProfile;

pub(crate) const PROFILE: Control = Control {
    id: ControlId::ApparmorProfile,
    name: "apparmor.profile",
    allow: &["apparmor.unconfined"],
    modes: [OFF, ON, ON, ON],
    summary: "an AppArmor profile confines the container where AppArmor is on",
};

/// The profile that casemate brings.
const DEFAULT: &str = "casemate-default";

const UNCONFINED: &str = "unconfined";

pub(crate) fn profile(
    draft: &mut Draft<'_>,
    asked: Option<String>,
) -> Result<Option<String>, Refusal> {
    let (control, pointer) = (ControlId::ApparmorProfile, "/process/apparmorProfile");
    if draft.joining.is_some() {
        // The container's own is kept by `process.labels`.
        return Ok(asked);
    }
    if !draft.facts.apparmor {
        draft.log.note(control, pointer, Verdict::Waived, "this kernel runs without AppArmor");
        return Ok(asked);
    }
    if asked.as_deref().is_some_and(|profile| profile != UNCONFINED) {
        draft.log.note(control, pointer, Verdict::Kept, "set by the configuration");
        return Ok(asked);
    }
    if let Some(source) = draft.allows("apparmor.unconfined") {
        draft.log.waive(control, pointer, source, "no AppArmor profile, as asked for");
        return Ok(asked);
    }
    // Engines' "privileged" says so of everything: it is narrowed like the rest.
    if asked.is_some() && !draft.asked.all_devices {
        let reason = "AppArmor profile unconfined";
        return Err(draft.refuse(control, pointer, reason, Some("apparmor.unconfined")));
    }
    if let DefaultProfile::Unavailable(why) = &draft.facts.apparmor_default {
        let reason = format!("profile {DEFAULT}: {why}");
        if draft.profile.fail_closed {
            return Err(draft.refuse(control, pointer, reason, Some("apparmor.unconfined")));
        }
        draft.log.note(control, pointer, Verdict::Waived, reason);
        return Ok(asked);
    }
    let verdict = if asked.is_some() { Verdict::Tightened } else { Verdict::Added };
    let reason = "denies what reaches the host through /proc, /sys and mounts, to root too";
    draft.log.change(control, pointer, verdict, values(&asked, &DEFAULT), reason);
    Ok(Some(DEFAULT.to_owned()))
}
