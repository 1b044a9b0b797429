//! `apparmor.profile`: the AppArmor profile of the container's processes.

use super::prelude::*;
use crate::facts::DefaultProfile;

/// **What.** If AppArmor is on, a container that names no profile gets `casemate-default`
/// ([profiles/apparmor](../profiles/apparmor/casemate-default)). The package loads this profile at
/// boot; casemate loads it with `apparmor_parser` if the kernel does not have it. A profile that
/// the configuration names is applied unchanged. `unconfined` is refused, unless the configuration
/// is an engine's "privileged" one, which gets `casemate-default` instead. casemate reads the
/// profile back before the program starts, and `exec` keeps it.
///
/// **Why.** The profile denies mounts, AF_ALG (CVE-2026-31431, also through the 32-bit
/// `socketcall`), and writing to `/proc/sys` and `/sys`, even to root and even if a mask is
/// missing. Engines set a profile only if they detect AppArmor themselves. Signals and ptrace by
/// casemate are permitted, whether it runs unconfined or under a profile called `casemate`.
///
/// **If it is not available.** AppArmor is off: verdict `waived`. AppArmor is on, and the profile
/// is not loaded and cannot be loaded (no `apparmor_parser`, an ordinary user): `waived` with the
/// reason; `restricted` refuses the container.
///
/// **What breaks.** Programs that write kernel parameters or mount; other rules refuse this as
/// well.
///
/// **Override.**
///
/// - `apparmor.unconfined`: no AppArmor profile
///
/// **In the profiles.**
///
/// - privileged: The configuration's own profile, or none.
/// - baseline: The configuration's own profile, or casemate's: the standard forbids "unconfined".
/// - hardened: A container without an AppArmor profile gets casemate-default (profiles/apparmor),
///   which is loaded if necessary; "unconfined" is refused. If AppArmor is off, nothing happens; if
///   the profile cannot be loaded, the record says so.
/// - restricted: If AppArmor is on and the profile cannot be loaded, the container is refused.
pub(crate) const PROFILE: Control = Control {
    id: ControlId::ApparmorProfile,
    name: "apparmor.profile",
    allow: &["apparmor.unconfined"],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
    summary: "if AppArmor is on, a profile confines the container",
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
