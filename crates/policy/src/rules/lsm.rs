//! `apparmor.profile` and `selinux.label`: which security module's label the process gets.

use crate::control::RuleId;
use crate::decision::{Refusal, Verdict};
use crate::facts::DefaultProfile;
use crate::harden::Draft;
use serde_json::json;

/// The profile that casemate brings.
const DEFAULT: &str = "casemate-default";

const UNCONFINED: &str = "unconfined";

/// Rule `apparmor.profile`. Comes before the device rules: those take away what tells a "privileged" configuration.
pub(crate) fn apparmor(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (RuleId::APPARMOR, "/process/apparmorProfile");
    let Some(process) = &draft.spec.process else { return Ok(()) };
    if !draft.facts.apparmor {
        draft.log.note(rule, pointer, Verdict::Waived, "this kernel runs without AppArmor");
        return Ok(());
    }
    let asked = process.apparmor_profile.clone();
    if asked.as_deref().is_some_and(|profile| profile != UNCONFINED) {
        draft.log.note(rule, pointer, Verdict::Kept, "set by the configuration");
        return Ok(());
    }
    if let Some(source) = draft.allows("apparmor.unconfined") {
        draft.log.waive(rule, pointer, source, "no AppArmor profile, as asked for");
        return Ok(());
    }
    // Engines' "privileged" says so of everything: it is narrowed like the rest.
    if asked.is_some() && !super::devices::asks_for_everything(&draft.spec) {
        let reason = "AppArmor profile unconfined";
        return Err(draft.refuse(rule, pointer, reason, Some("apparmor.unconfined")));
    }
    if let DefaultProfile::Unavailable(why) = &draft.facts.apparmor_default {
        let reason = format!("profile {DEFAULT}: {why}");
        if draft.profile.fail_closed {
            return Err(draft.refuse(rule, pointer, reason, Some("apparmor.unconfined")));
        }
        let nothing = (serde_json::Value::Null, serde_json::Value::Null);
        draft.log.change(rule, pointer, Verdict::Waived, nothing, reason);
        return Ok(());
    }
    let verdict = if asked.is_some() { Verdict::Tightened } else { Verdict::Added };
    if let Some(process) = &mut draft.spec.process {
        process.apparmor_profile = Some(DEFAULT.to_owned());
    }
    let reason = "denies what reaches the host through /proc, /sys and mounts, to root too";
    draft.log.change(rule, pointer, verdict, (json!(asked), json!(DEFAULT)), reason);
    Ok(())
}
