//! `apparmor.profile` and `selinux.label`: which security module's label the process gets.

use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::facts::DefaultProfile;
use crate::harden::Draft;
use serde_json::json;

/// The profile that casemate brings.
const DEFAULT: &str = "casemate-default";

const UNCONFINED: &str = "unconfined";

/// Rule `apparmor.profile`. Comes before the device rules: those take away what tells a "privileged" configuration.
pub(crate) fn apparmor(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::ApparmorProfile, "/process/apparmorProfile");
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

/// Users, and types, of processes in containers (container-selinux; Pod Security Standards, "SELinux").
const USERS: [&str; 2] = ["system_u", "unconfined_u"];
const TYPES: [&str; 4] =
    ["container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// Rule `selinux.label`.
pub(crate) fn selinux(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::SelinuxLabel, "/process/selinuxLabel");
    let Some(process) = &draft.spec.process else { return Ok(()) };
    if !draft.facts.selinux {
        draft.log.note(rule, pointer, Verdict::Waived, "this kernel runs without SELinux");
        return Ok(());
    }
    let fault = match process.selinux_label.as_deref() {
        Some(label) => fault(label, draft.profile.fail_closed),
        None if draft.extras.auto_label.is_some() => None,
        None if draft.profile.fail_closed => Some("no SELinux label".to_owned()),
        None => {
            let reason = "the configuration has no label, and its files would need one too";
            draft.log.note(rule, pointer, Verdict::Waived, reason);
            return Ok(());
        }
    };
    let Some(fault) = fault else {
        draft.log.note(rule, pointer, Verdict::Kept, "a label for containers");
        return Ok(());
    };
    if let Some(source) = draft.allows("selinux.unlabelled") {
        draft.log.waive(rule, pointer, source, format!("the label is as asked for: {fault}"));
        return Ok(());
    }
    Err(draft.refuse(rule, pointer, fault, Some("selinux.unlabelled")))
}

/// What is wrong with a label `user:role:type:level`; `pair`: it must have categories.
fn fault(label: &str, pair: bool) -> Option<String> {
    let mut parts = label.splitn(4, ':');
    let [user, role, kind, level] = [(); 4].map(|()| parts.next().unwrap_or_default());
    if !USERS.contains(&user) || role != "system_r" || !TYPES.contains(&kind) {
        return Some(format!("SELinux label {label} is none of containers"));
    }
    let categories = level.split_once(':').map_or("", |(_, categories)| categories);
    let separated = !categories.is_empty() && categories.split(',').all(|c| c.starts_with('c'));
    (pair && !separated).then(|| format!("SELinux label {label} has no categories"))
}
