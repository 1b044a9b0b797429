//! `memory.limit` and `memory.oom-group`: how much memory, and what happens at its end.

use super::prelude::*;
use crate::spec::Memory;
use std::collections::BTreeMap;

/// **What.** restricted refuses a container without a memory limit, unless the node's policy has a
/// value; casemate then sets that value. `-1` is no limit. The sandbox of a pod gets 64 MiB.
/// hardened records that there is no limit.
///
/// **Why.** Memory that one container uses is missing for the others and for the host's own
/// services. Only the user knows how much a program needs.
///
/// **What breaks.** Under restricted, `run` without `-m`, pods without `limits.memory`.
///
/// **Override.**
///
/// - `memory.unlimited`: no limit of memory is asked for
///
/// To set a limit for all containers, use `"memory.limit"` in `[values]` of the policy. hardened
/// only warns, so under hardened also set `"memory.limit" = "enforce"` in `[controls]`.
///
/// **In the profiles.**
///
/// - privileged: No limit.
/// - baseline: The node may limit pods elsewhere.
/// - hardened: Only its owner knows how much a program needs. Without a limit it can use all of the
///   host's memory, and the record says that there was none.
/// - restricted: casemate invents no value: a container without a limit is refused, unless the
///   policy has a value for it.
pub(crate) const LIMIT: Control = Control {
    id: ControlId::MemoryLimit,
    name: "memory.limit",
    allow: &["memory.unlimited"],
    modes: [OFF, OFF, WARN, ON],
    severity: LOW,
    summary: "memory is limited",
};

/// **What.** Under `restricted`, or if the node's policy turns it on
/// (`"memory.oom-group" = "enforce"` in `[controls]`), `memory.oom.group` of the container's cgroup
/// is 1. When memory runs out, the kernel then ends all of the container's processes, and not only
/// the largest one. If the configuration sets this itself (`resources.unified`), either way, that
/// value is used.
///
/// **Why.** A service that has lost some of its processes is in an untested state, and nobody
/// restarts it.
///
/// **What breaks.** Servers that survive the death of a worker (postgres, php-fpm) end as a whole.
///
/// **If it is not available.** A cgroup without the memory controller: `waived`.
///
/// **Override.**
///
/// - `memory.oom-single`: out of memory, one process is killed and not all
///
/// **In the profiles.**
///
/// - privileged: As the configuration asks.
/// - baseline: As the configuration asks.
/// - hardened: Servers with several processes (databases) survive when one of them is killed; turn
///   this on if you want them to end.
/// - restricted: Half a service is an untested state: it ends as a whole, and its supervisor
///   restarts it.
pub(crate) const GROUP: Control = Control {
    id: ControlId::OomGroup,
    name: "memory.oom-group",
    allow: &["memory.oom-single"],
    modes: [OFF, OFF, OFF, ON],
    severity: LOW,
    summary: "when memory runs out, the whole container ends",
};

/// Bytes that no host has: a limit in name only.
const ENDLESS: i64 = 1 << 62;

/// Bytes for a pod's sandbox, which only sleeps and which engines never limit.
const SANDBOX_MEMORY: i64 = 64 << 20;

/// How much a program needs nobody knows but its owner, so nothing is invented: a policy may have a value for those who say
/// nothing.
pub(crate) fn limit(draft: &mut Draft<'_>, mut asked: Memory) -> Result<Memory, Refusal> {
    let (control, pointer) = (ControlId::MemoryLimit, "/linux/resources/memory/limit");
    if asked.limit.is_some_and(|limit| (1..ENDLESS).contains(&limit)) {
        draft.log.note(control, pointer, Verdict::Kept, "set by the configuration");
        return Ok(asked);
    }
    if draft.joining.is_some() && asked.limit.is_none() {
        draft.log.note(control, pointer, Verdict::Kept, "stays as it is");
        return Ok(asked);
    }
    if let Some(source) = draft.allows("memory.unlimited") {
        draft.log.waive(control, pointer, source, "memory is not limited");
        return Ok(asked);
    }
    let value = draft.choice.overrides.values.memory_limit;
    let value = value.map(|limit| i64::try_from(limit.get()).unwrap_or(i64::MAX));
    let Some(limit) = value.or(draft.asked.sandbox.then_some(SANDBOX_MEMORY)) else {
        let reason =
            "memory is not limited: without a limit it can use all of the host's (set one)";
        return Err(draft.refuse(control, pointer, reason, Some("memory.unlimited")));
    };
    if !draft.facts.has_controller("memory") {
        let reason = "memory cannot be limited: the container's cgroup has no memory controller";
        if draft.profile.fail_closed {
            return Err(draft.refuse(control, pointer, reason, Some("memory.unlimited")));
        }
        draft.log.note(control, pointer, Verdict::Waived, reason);
        return Ok(asked);
    }
    let before = asked.limit.replace(limit);
    let reason = "the policy's limit for containers that have none";
    draft.log.change(control, pointer, Verdict::Added, values(&before, &limit), reason);
    Ok(asked)
}

/// The file of cgroup v2 (kernel, Documentation/admin-guide/cgroup-v2.rst).
const OOM_GROUP: &str = "memory.oom.group";

/// A configuration that says so itself, as Kubernetes does, is followed.
pub(crate) fn oom_group(
    draft: &mut Draft<'_>,
    mut asked: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let (control, pointer) = (ControlId::OomGroup, "/linux/resources/unified/memory.oom.group");
    if asked.contains_key(OOM_GROUP) {
        draft.log.note(control, pointer, Verdict::Kept, "set by the configuration");
        return Ok(asked);
    }
    if draft.joining.is_some() {
        draft.log.note(control, pointer, Verdict::Kept, "stays as it is");
        return Ok(asked);
    }
    if let Some(source) = draft.allows("memory.oom-single") {
        let reason = "out of memory, one process at a time is killed";
        draft.log.waive(control, pointer, source, reason);
        return Ok(asked);
    }
    if !draft.facts.has_controller("memory") {
        let reason = "the container's cgroup has no memory controller";
        draft.log.note(control, pointer, Verdict::Waived, reason);
        return Ok(asked);
    }
    asked.insert(OOM_GROUP.to_owned(), "1".to_owned());
    let reason =
        "a service that has lost some of its processes is in a state that nobody has tested";
    draft.log.change(control, pointer, Verdict::Added, values(&(), &"1"), reason);
    Ok(asked)
}
