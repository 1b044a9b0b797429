//! `apparmor.profile`: the AppArmor profile of the container's processes.

use super::prelude::*;
use crate::facts::DefaultProfile;

/// **What.** Where AppArmor is on, a container that names no profile gets `casemate-default`
/// ([profiles/apparmor](../profiles/apparmor/casemate-default)). casemate loads it with
/// `apparmor_parser` when the kernel does not have it; the package loads it at boot. A profile that
/// the configuration names is applied as it is; `unconfined` is refused, unless the configuration
/// is an engine's "privileged" one, which gets `casemate-default` instead. The request is read back
/// before the program starts, and `exec` keeps the profile.
///
/// **Why.** It denies mounts, AF_ALG (CVE-2026-31431, also by the 32-bit `socketcall`), and writing
/// to `/proc/sys` and `/sys`, to root and even where a mask is missing. Engines set a profile only
/// when they know about AppArmor themselves. Signals and ptrace of casemate fit, whether it runs
/// unconfined or under a profile called `casemate`.
///
/// **Where it cannot be had.** AppArmor is off: verdict `waived`. AppArmor is on, the profile is
/// not loaded and cannot be (no `apparmor_parser`, an ordinary user): `waived` with the reason, and
/// refused by `restricted`.
///
/// **What breaks.** Programs that write kernel parameters or mount, which other rules stop as well.
///
/// **Override.**
///
/// - `apparmor.unconfined`: no AppArmor profile
///
/// **In the profiles.**
///
/// - privileged: The configuration's own profile, or none.
/// - baseline: The configuration's own profile, or ours: "unconfined" is what the standard forbids.
/// - hardened: Who names no AppArmor profile gets casemate-default (profiles/apparmor), which is
///   loaded when it is not there; "unconfined" is refused. Where AppArmor is off there is nothing
///   to do; where the profile cannot be loaded the record says so.
/// - restricted: Where AppArmor is on and the profile cannot be loaded, the container is refused.
pub(crate) const PROFILE: Control = Control {
    id: ControlId::ApparmorProfile,
    name: "apparmor.profile",
    allow: &["apparmor.unconfined"],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
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
