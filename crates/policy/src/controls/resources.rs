//! `pids.*` and `devices.*`: what the container's cgroup enforces.

use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::harden::Draft;
use crate::spec::{DeviceRule, DeviceRuleKind, Pids};
use serde_json::{json, Value};

/// Rule `pids.limit`.
pub(crate) fn pids(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let set = draft.choice.overrides.values.pids_limit;
    let limit = set.map_or(draft.profile.pids_limit, |limit| limit.get().into());
    let (rule, pointer) = (ControlId::PidsLimit, "/linux/resources/pids");
    let present = draft.spec.linux.resources.as_ref().and_then(|resources| resources.pids);
    let required = draft.profile.fail_closed;
    if present.and_then(|pids| pids.limit).is_some_and(|limit| !required || limit > 0) {
        draft.log.note(rule, pointer, Verdict::Kept, "set by the configuration");
        return Ok(());
    }
    if let Some(source) = draft.allows("pids.unlimited") {
        draft.log.waive(rule, pointer, source, "no limit is added");
        return Ok(());
    }
    if !draft.facts.has_controller("pids") {
        let reason = "no limit: the container's cgroup has no pids controller";
        if required {
            return Err(draft.refuse(rule, pointer, reason, Some("pids.unlimited")));
        }
        draft.log.note(rule, pointer, Verdict::Waived, reason);
        return Ok(());
    }
    let pids = Pids { limit: Some(limit) };
    draft.spec.linux.resources.get_or_insert_default().pids = Some(pids);
    let reason = "a fork bomb would take the host's process table";
    let verdict = if present.is_some() { Verdict::Tightened } else { Verdict::Added };
    draft.log.change(rule, pointer, verdict, (json!(present), json!(pids)), reason);
    Ok(())
}

/// Bytes for a pod's sandbox, which only sleeps and which engines never limit.
const SANDBOX_MEMORY: i64 = 64 << 20;

/// How engines mark the sandbox of a pod: containerd's CRI service, CRI-O. Nothing is gained by saying so.
const SANDBOX: [(&str, &str); 2] = [
    ("io.kubernetes.cri.container-type", "sandbox"),
    ("io.kubernetes.cri-o.ContainerType", "sandbox"),
];

/// Rule `memory.limit`. How much a program needs nobody knows but its owner, so nothing is invented: a policy may have a
/// value for those who say nothing.
pub(crate) fn memory(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::MemoryLimit, "/linux/resources/memory/limit");
    let present = draft.spec.linux.resources.as_ref().and_then(|resources| resources.memory.limit);
    if present.is_some_and(|limit| limit > 0) {
        draft.log.note(rule, pointer, Verdict::Kept, "set by the configuration");
        return Ok(());
    }
    if let Some(source) = draft.allows("memory.unlimited") {
        draft.log.waive(rule, pointer, source, "memory is not limited");
        return Ok(());
    }
    let annotations = &draft.spec.annotations;
    let is_sandbox =
        SANDBOX.iter().any(|(key, value)| annotations.get(*key).is_some_and(|v| v == value));
    let value = draft.choice.overrides.values.memory_limit;
    let value = value.map(|limit| i64::try_from(limit.get()).unwrap_or(i64::MAX));
    let Some(limit) = value.or(is_sandbox.then_some(SANDBOX_MEMORY)) else {
        let reason = "memory is not limited: the host's ends first (set a limit)";
        return Err(draft.refuse(rule, pointer, reason, Some("memory.unlimited")));
    };
    if !draft.facts.has_controller("memory") {
        let reason = "memory cannot be limited: the container's cgroup has no memory controller";
        if draft.profile.fail_closed {
            return Err(draft.refuse(rule, pointer, reason, Some("memory.unlimited")));
        }
        draft.log.note(rule, pointer, Verdict::Waived, reason);
        return Ok(());
    }
    draft.spec.linux.resources.get_or_insert_default().memory.limit = Some(limit);
    let reason = "the policy's limit for containers that have none";
    draft.log.change(rule, pointer, Verdict::Added, (json!(present), json!(limit)), reason);
    Ok(())
}

/// The file of cgroup v2 (kernel, Documentation/admin-guide/cgroup-v2.rst).
const OOM_GROUP: &str = "memory.oom.group";

/// Rule `memory.oom-group`. A configuration that says so itself, as Kubernetes does, is followed.
pub(crate) fn oom_group(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::OomGroup, "/linux/resources/unified/memory.oom.group");
    let resources = draft.spec.linux.resources.as_ref();
    if resources.is_some_and(|resources| resources.unified.contains_key(OOM_GROUP)) {
        draft.log.note(rule, pointer, Verdict::Kept, "set by the configuration");
        return Ok(());
    }
    if let Some(source) = draft.allows("memory.oom-single") {
        draft.log.waive(rule, pointer, source, "out of memory, one process at a time is killed");
        return Ok(());
    }
    if !draft.facts.has_controller("memory") {
        let reason = "the container's cgroup has no memory controller";
        draft.log.note(rule, pointer, Verdict::Waived, reason);
        return Ok(());
    }
    let unified = &mut draft.spec.linux.resources.get_or_insert_default().unified;
    unified.insert(OOM_GROUP.to_owned(), "1".to_owned());
    let reason =
        "a service that has lost some of its processes is in a state that nobody has tested";
    draft.log.change(rule, pointer, Verdict::Added, (Value::Null, json!("1")), reason);
    Ok(())
}

/// Rule `devices.cgroup`. The list is made whether or not the container gets a cgroup to enforce it in: an
/// `update` or a record must never find a looser one.
pub(crate) fn devices(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::DeviceCgroup, "/linux/resources/devices");
    if let Some(source) = draft.allows("devices.all") {
        draft.log.waive(rule, pointer, source, "device rules are as asked for");
        return Ok(());
    }
    draft.extras.strict_devices = true;
    let resources = draft.spec.linux.resources.as_mut();
    let before = resources.map(|limits| std::mem::take(&mut limits.devices)).unwrap_or_default();
    let mut after = narrow(&before);
    if !after.first().is_some_and(denies_all) {
        after.insert(0, DeviceRule { access: "rwm".to_owned(), ..DeviceRule::default() });
    }
    if after == before {
        let reason = "everything is denied but what the configuration names";
        draft.log.note(rule, pointer, Verdict::Kept, reason);
    } else {
        let verdict = if before.is_empty() { Verdict::Added } else { Verdict::Tightened };
        let reason = "only devices that are named, and no creating of arbitrary nodes";
        let values = (json!(before), json!(after));
        draft.log.change(rule, pointer, verdict, values, reason);
    }
    draft.spec.linux.resources.get_or_insert_default().devices = after;
    Ok(())
}

/// Drops rules that allow a whole class of devices, and takes `m` from those with any wildcard.
fn narrow(rules: &[DeviceRule]) -> Vec<DeviceRule> {
    let mut kept = Vec::with_capacity(rules.len() + 1);
    for rule in rules {
        let any = |number: Option<i64>| number.is_none_or(|number| number == -1);
        let is_class = matches!(rule.kind, None | Some(DeviceRuleKind::All)) || any(rule.major);
        if !rule.allow {
            kept.push(rule.clone());
        } else if !is_class {
            let mut rule = rule.clone();
            if rule.access.is_empty() {
                // Not given means all three.
                rule.access.push_str("rwm");
            }
            if any(rule.minor) {
                rule.access.retain(|access| access != 'm');
            }
            if !rule.access.is_empty() {
                kept.push(rule);
            }
        }
    }
    kept
}

fn denies_all(rule: &DeviceRule) -> bool {
    let any = |number: Option<i64>| number.is_none_or(|number| number == -1);
    !rule.allow
        && matches!(rule.kind, None | Some(DeviceRuleKind::All))
        && any(rule.major)
        && any(rule.minor)
        && (rule.access.is_empty()
            || ['r', 'w', 'm'].iter().all(|access| rule.access.contains(*access)))
}
